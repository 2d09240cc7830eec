//! The typed face of `sys/policies/acl`.

use super::Session;
use crate::types::{Code, Error, Object, Operation, Result, Value};

/// The policies of the vault.
///
/// ```
/// use vault_core::types::Code;
/// # use vault_core::Vault;
/// # let (vault, init) = Vault::in_memory()?;
/// # let session = vault.session(init.root_token);
/// session.policies().write("app", r#"path "secret/data/app/*" { capabilities = ["read"] }"#)?;
/// assert!(session.policies().list()?.contains(&"app".to_owned()));
///
/// // One that does not parse is told by line and column, and changes nothing.
/// let error = session.policies().write("app", "path secret {").unwrap_err();
/// assert_eq!(error.code(), Code::InvalidPolicy);
/// assert!(session.policies().read("app")?.contains("secret/data/app/*"));
/// session.policies().delete("app")?;
/// # Ok::<(), vault_core::types::Error>(())
/// ```
#[derive(Debug)]
pub struct Policies<'s> {
    session: &'s Session,
}

impl<'s> Policies<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Policies { session }
    }

    /// Writes a policy, in HCL or JSON; one of that name is replaced, for live tokens too.
    ///
    /// # Errors
    /// `InvalidRequest` with the code `InvalidPolicy` when the text does not parse: the message gives line and column.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let body = Object::new().with("policy", text);
        self.session.request(Operation::Write, &at(name), Some(body.into())).map(drop)
    }

    /// The text of a policy.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub fn read(&self, name: &str) -> Result<String> {
        let response = self.session.request(Operation::Read, &at(name), None)?;
        let text = response.data.as_ref().and_then(|data| data.get("policy")).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| Error::new(Code::Internal, "a policy was answered without its text"))
    }

    /// The names of all policies, in order.
    ///
    /// # Errors
    /// Any class.
    pub fn list(&self) -> Result<Vec<String>> {
        let response = self.session.request(Operation::List, "sys/policies/acl", None)?;
        let keys = response.data.as_ref().and_then(|data| data.get("keys")).and_then(Value::as_array).unwrap_or_default();
        Ok(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Deletes a policy; live tokens lose what it gave them.
    ///
    /// # Errors
    /// Any class.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.session.request(Operation::Delete, &at(name), None).map(drop)
    }
}

fn at(name: &str) -> String {
    format!("sys/policies/acl/{name}")
}

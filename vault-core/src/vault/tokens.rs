//! The typed face of `auth/token`.

use super::Session;
use crate::types::{Auth, Code, Error, Object, Operation, Result, Ttl, Value};
use std::collections::BTreeMap;

/// The tokens of the vault.
#[derive(Debug)]
pub struct Tokens<'s> {
    session: &'s Session,
}

/// What a new token is to be.
#[derive(Clone, Debug, Default)]
pub struct TokenOptions {
    /// Its policies; when there are none, those of the token that makes it.
    pub policies: Vec<String>,
    /// How long it lasts; 768 hours when not given.
    pub ttl: Option<Ttl>,
    /// Its name in the audit log.
    pub display_name: Option<String>,
    /// What else is to be said of it, in the audit log and at look-up.
    pub metadata: BTreeMap<String, String>,
    /// Leave out the policy `default`.
    pub no_default_policy: bool,
}

/// What is known of a token without the token itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TokenInfo {
    /// Its accessor.
    pub accessor: String,
    /// Its policies.
    pub policies: Vec<String>,
    /// Its name in the audit log.
    pub display_name: String,
    /// What is left of its time; zero when it does not expire.
    pub ttl: Ttl,
    /// When it ends (RFC 3339), if it does.
    pub expire_time: Option<String>,
}

impl<'s> Tokens<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Tokens { session }
    }

    /// Makes a token, a child of this session's. It is revoked with its parent.
    ///
    /// # Errors
    /// `InvalidRequest` when it would hold a policy that this session's token does not.
    pub fn create(&self, options: TokenOptions) -> Result<Auth> {
        let mut body = Object::new();
        if !options.policies.is_empty() {
            body.insert("policies", options.policies);
        }
        if let Some(ttl) = options.ttl {
            body.insert("ttl", ttl.as_secs());
        }
        if let Some(name) = options.display_name {
            body.insert("display_name", name);
        }
        if !options.metadata.is_empty() {
            body.insert(
                "meta",
                options.metadata.iter().map(|(name, text)| (name.as_str(), Value::string(text.as_str()))).collect::<Object>(),
            );
        }
        if options.no_default_policy {
            body.insert("no_default_policy", true);
        }
        let response = self.session.request(Operation::Write, "auth/token/create", Some(body.into()))?;
        response.auth.ok_or_else(|| Error::new(Code::Internal, "a token was made and not answered"))
    }

    /// What is known of this session's own token.
    ///
    /// # Errors
    /// `PermissionDenied` when it is no longer valid.
    pub fn lookup_self(&self) -> Result<TokenInfo> {
        let response = self.session.request(Operation::Read, "auth/token/lookup-self", None)?;
        let data = response.data.unwrap_or(Value::Null);
        let text = |name| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let policies = data.get("policies").and_then(Value::as_array).unwrap_or_default();
        Ok(TokenInfo {
            accessor: text("accessor").unwrap_or_default(),
            policies: policies.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            display_name: text("display_name").unwrap_or_default(),
            ttl: Ttl::from_secs(data.get("ttl").and_then(Value::as_u64).unwrap_or_default()),
            expire_time: text("expire_time"),
        })
    }

    /// Revokes this session's own token with all its children.
    ///
    /// # Errors
    /// Any class.
    pub fn revoke_self(&self) -> Result<()> {
        self.session.request(Operation::Write, "auth/token/revoke-self", None).map(drop)
    }
}

//! The KV version 1 secrets engine: one value at a path, replaced as a whole.

use super::common::input::member;
use super::common::listing;
use super::common::plain::PlainSecrets;
use super::{Call, Engine, Outcome};
use crate::barrier::{Kind, Overlay};
use crate::types::id::Id;
use crate::types::{Code, Error, Operation, Result, Ttl, Value};

/// The engine of one mount.
pub(crate) struct Kv1Engine {
    mount: Id,
    /// How long an answer may be relied on where the secret itself does not say.
    default_lease: Ttl,
}

impl Kv1Engine {
    pub(crate) fn new(mount: Id, default_lease: Ttl) -> Self {
        Kv1Engine { mount, default_lease }
    }

    fn secrets<'s, 'o>(&self, overlay: &'s mut Overlay<'o>) -> PlainSecrets<'s, 'o> {
        PlainSecrets { kind: Kind::KvPlain, owner: self.mount, overlay }
    }

    /// What the member `ttl` or `lease` says, if it is a duration: a hint of the writer's, which the vault does not act on.
    fn lease_of(&self, secret: &Value) -> Ttl {
        let hint = member(Some(secret), "ttl").or_else(|| member(Some(secret), "lease"));
        hint.and_then(|hint| Ttl::from_value(hint).ok()).unwrap_or(self.default_lease)
    }
}

impl Engine for Kv1Engine {
    fn exists(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Option<bool>> {
        self.secrets(overlay).exists(call.path).map(Some)
    }

    fn execute(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Outcome> {
        match call.operation {
            Operation::List => listing::list(overlay, &self.mount, call.path, call.data),
            Operation::Read => {
                let secret = self.secrets(overlay).read(call.path)?;
                Ok(Outcome { lease_duration: self.lease_of(&secret), data: Some(secret), ..Outcome::default() })
            }
            Operation::Write => self.secrets(overlay).write(call.path, call.data).map(|()| Outcome::default()),
            Operation::Delete => self.secrets(overlay).delete(call.path).map(|()| Outcome::default()),
            Operation::Patch => Err(Error::new(Code::UnsupportedPath, "a KV version 1 mount has no patch: read, change and write")),
        }
    }
}

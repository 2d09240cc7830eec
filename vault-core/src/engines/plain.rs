//! Secrets without versions: one record each, found by who owns it and by its path.

use super::input::{named, not_found};
use crate::barrier::{Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Code, Error, Result, Value};

/// The secrets of one owner: a mount, or a token.
pub(super) struct PlainSecrets<'s, 'o> {
    pub(super) kind: Kind,
    pub(super) owner: Id,
    pub(super) overlay: &'s mut Overlay<'o>,
}

impl PlainSecrets<'_, '_> {
    pub(super) fn exists(&mut self, path: &str) -> Result<bool> {
        let key = self.key(path);
        Ok(self.overlay.get(self.kind, &key)?.is_some())
    }

    pub(super) fn read(&mut self, path: &str) -> Result<Value> {
        let key = self.key(named(path)?);
        let content = self.overlay.get(self.kind, &key)?.ok_or_else(not_found)?;
        Value::from_json(&content)
    }

    /// Replaces a secret by the members of the request.
    pub(super) fn write(&mut self, path: &str, data: Option<&Value>) -> Result<()> {
        let key = self.key(named(path)?);
        let members = data.filter(|data| data.as_object().is_some_and(|members| !members.is_empty()));
        let content =
            members.ok_or_else(|| Error::new(Code::InvalidData, "missing data fields: the members of the request are the secret"))?;
        let content = content.to_json();
        // A host's own values have passed no limit yet, and what reading would refuse must not be acknowledged.
        drop(Value::from_json(&content)?);
        let is_new = self.overlay.get(self.kind, &key)?.is_none();
        self.overlay.put(self.kind, key, &content)?;
        if is_new {
            self.overlay.enter(self.owner, path);
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, path: &str) -> Result<()> {
        let key = self.key(named(path)?);
        if self.overlay.get(self.kind, &key)?.is_some() {
            self.overlay.delete(key);
            self.overlay.leave(self.owner, path);
        }
        Ok(())
    }

    fn key(&self, path: &str) -> Key {
        self.overlay.barrier().key(self.kind, &[self.owner.as_bytes(), path.as_bytes()])
    }
}

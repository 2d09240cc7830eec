//! Secrets without versions: one record each, found by who owns it and by its path.

use super::input::{named, not_found};
use crate::barrier::{Barrier, Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Code, Error, Result, Value};

/// The secrets of one owner: a mount, or a token.
pub(in crate::engines) struct PlainSecrets<'s, 'o> {
    pub(in crate::engines) kind: Kind,
    pub(in crate::engines) owner: Id,
    pub(in crate::engines) overlay: &'s mut Overlay<'o>,
}

impl PlainSecrets<'_, '_> {
    pub(in crate::engines) fn exists(&mut self, path: &str) -> Result<bool> {
        let key = self.key(path);
        Ok(self.overlay.has(&key)?)
    }

    pub(in crate::engines) fn read(&mut self, path: &str) -> Result<Value> {
        let key = self.key(named(path)?);
        let content = self.overlay.get(self.kind, &key)?.ok_or_else(not_found)?;
        Value::from_json(&content)
    }

    /// Replaces a secret by the members of the request.
    pub(in crate::engines) fn write(&mut self, path: &str, data: Option<&Value>) -> Result<()> {
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

    pub(in crate::engines) fn delete(&mut self, path: &str) -> Result<()> {
        let key = self.key(named(path)?);
        if self.overlay.get(self.kind, &key)?.is_some() {
            self.overlay.delete(key);
            self.overlay.leave(self.owner, path);
        }
        Ok(())
    }

    /// Removes the record of a path whose entry goes otherwise.
    pub(in crate::engines) fn forget(&mut self, path: &str) -> usize {
        let key = self.key(path);
        self.overlay.delete(key);
        1
    }

    fn key(&self, path: &str) -> Key {
        key_of(self.overlay.barrier(), self.kind, &self.owner, path)
    }
}

/// Where a secret's record lies.
pub(in crate::engines) fn key_of(barrier: &Barrier, kind: Kind, owner: &Id, path: &str) -> Key {
    barrier.key(kind, &[owner.as_bytes(), path.as_bytes()])
}

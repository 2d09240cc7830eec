//! The KV version 2 secrets engine: versioned secrets with check-and-set, soft deletion and destruction.
//!
//! A secret's head holds its metadata and its current version's content, so that reading it costs one record; older versions have a record each.

mod head;
mod paths;
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) mod rescue;

use super::{Engine, Outcome};
use crate::barrier::Overlay;
use crate::types::id::Id;
use crate::types::{Operation, Result, Timestamp, Value};
use paths::Target;

/// The engine of one mount.
pub(crate) struct KvEngine {
    mount: Id,
}

impl KvEngine {
    pub(crate) fn new(mount: Id) -> Self {
        KvEngine { mount }
    }
}

impl Engine for KvEngine {
    fn exists(&self, overlay: &mut Overlay<'_>, path: &str) -> Result<Option<bool>> {
        match Target::parse(path)? {
            // The other verbs change what is there: always an update, as users know it.
            Target::Data(path) | Target::Metadata(path) => Ok(Some(head::exists(overlay, &self.mount, path)?)),
            Target::Delete(_) | Target::Undelete(_) | Target::Destroy(_) => Ok(None),
        }
    }

    fn execute(
        &self,
        overlay: &mut Overlay<'_>,
        operation: Operation,
        path: &str,
        data: Option<&Value>,
        now: Timestamp,
    ) -> Result<Outcome> {
        paths::execute(&self.mount, overlay, operation, Target::parse(path)?, data, now)
    }
}

//! The KV version 2 secrets engine: versioned secrets with check-and-set, soft deletion and destruction.
//!
//! A secret's head holds its metadata and its current version's content, so that reading it costs one record; older versions have a record each.

mod data;
mod head;
pub(crate) mod leftovers;
mod merge;
mod metadata;
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) mod rescue;
mod rules;
mod target;
mod versions;

use super::{Call, Engine, Outcome};
use crate::barrier::Overlay;
use crate::types::id::Id;
use crate::types::{Operation, Result, Timestamp};
use target::Target;

pub(super) use rules::forget_rest;
pub(super) use versions::forget;

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
    fn exists(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Option<bool>> {
        match Target::parse(call.path)? {
            Target::Data(path) | Target::Metadata(path) => Ok(Some(head::exists(overlay, &self.mount, path)?)),
            // The others change what is there, or the mount: always an update, as users know it.
            Target::Delete(_)
            | Target::Undelete(_)
            | Target::Destroy(_)
            | Target::Subkeys(_)
            | Target::DetailedMetadata(_)
            | Target::Config => Ok(None),
        }
    }

    /// A detailed listing tells what the metadata's own paths tell.
    fn listed_elsewhere(&self, call: &Call<'_>) -> Option<String> {
        match Target::parse(call.path) {
            Ok(Target::DetailedMetadata(folder)) if call.operation == Operation::List => {
                let slash = if folder.is_empty() || folder.ends_with('/') { "" } else { "/" };
                Some(format!("metadata/{folder}{slash}"))
            }
            _ => None,
        }
    }

    fn reads_secret<'p>(&self, call: &Call<'p>) -> Option<&'p str> {
        match Target::parse(call.path) {
            Ok(Target::Data(path)) if call.operation == Operation::Read => Some(path),
            _ => None,
        }
    }

    fn execute(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Outcome> {
        Secrets { mount: &self.mount, overlay, now: call.now }.execute(call)
    }
}

/// The secrets of a mount, as one request works on them.
struct Secrets<'s, 'o> {
    mount: &'s Id,
    overlay: &'s mut Overlay<'o>,
    now: Timestamp,
}

//! Versions that are gone and whose records are still there: more of them than one commit should hold, so that `tick` removes the rest.
//!
//! Such a record cannot be read: the head of its secret no longer names it, or says that it was destroyed. Where a new secret of the same
//! path has come to a version of that number, the record is that one's, and stays.

use super::head::{self, Loaded};
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::KV_VERSIONS_REMOVED_MAX;
use crate::types::{Code, Error, Result};
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;

/// Versions of a secret whose records are to be removed.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) struct Leftover {
    #[cbor(n(0), with = "minicbor::bytes")]
    mount: [u8; 16],
    #[n(1)]
    path: String,
    #[n(2)]
    numbers: Vec<u64>,
}

impl Leftover {
    /// Of a note's plaintext.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }

    /// Of which mount.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn mount(&self) -> Id {
        Id::from_bytes(self.mount)
    }

    /// Of which secret.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Which versions.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn note(&self, overlay: &mut Overlay<'_>, key: Key) -> Result<(), BarrierError> {
        overlay.put(Kind::KvLeftover, key, &minicbor::to_vec(self).expect("encoding to memory cannot fail"))
    }
}

/// Removes the records of versions that are gone: as many as one commit should hold, and notes the others.
pub(super) fn remove_versions(overlay: &mut Overlay<'_>, mount: &Id, path: &str, mut numbers: Vec<u64>) -> Result<()> {
    let later = numbers.split_off(numbers.len().min(KV_VERSIONS_REMOVED_MAX));
    for number in numbers {
        head::remove_version(overlay, mount, path, number);
    }
    if later.is_empty() {
        return Ok(());
    }
    let id = overlay.barrier().rng().array().map_err(|error| Error::new(Code::NoEntropy, error.to_string()))?;
    let key = overlay.barrier().member_key(Kind::KvLeftover, &[], &id);
    Ok(Leftover { mount: *mount.as_bytes(), path: path.to_owned(), numbers: later }.note(overlay, key)?)
}

/// Removes some of what a namespace's first note says; whether there was one.
pub(crate) fn sweep(overlay: &mut Overlay<'_>) -> Result<bool> {
    let mut found = None;
    overlay.scan(Kind::KvLeftover, &overlay.barrier().member_prefix(Kind::KvLeftover, &[]), |key, bytes| {
        found = Some((*key, Leftover::from_bytes(bytes)?));
        Ok(false)
    })?;
    let Some((key, mut leftover)) = found else { return Ok(false) };
    let mount = Id::from_bytes(leftover.mount);
    let loaded = head::load(overlay, &mount, &leftover.path)?;
    let live: BTreeSet<u64> = match &loaded {
        Some(Loaded { head, .. }) => head.versions.iter().filter(|version| !version.destroyed).map(|version| version.number).collect(),
        None => BTreeSet::new(),
    };
    let later = leftover.numbers.split_off(leftover.numbers.len().min(KV_VERSIONS_REMOVED_MAX));
    for number in leftover.numbers.drain(..).filter(|number| !live.contains(number)) {
        head::remove_version(overlay, &mount, &leftover.path, number);
    }
    if later.is_empty() {
        overlay.delete(key);
    } else {
        leftover.numbers = later;
        leftover.note(overlay, key)?;
    }
    Ok(true)
}

//! The records of a secret: its head, with metadata and current content, and its older versions.

use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Code, Error, Object, Result, Timestamp, Value};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

/// A secret without its content.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Head {
    #[n(0)]
    pub(super) created_millis: u64,
    #[n(1)]
    pub(super) updated_millis: u64,
    /// The newest version's number; 0 before the first.
    #[n(2)]
    pub(super) current: u64,
    /// The versions that are kept, in ascending order.
    #[n(3)]
    pub(super) versions: Vec<Version>,
}

/// One version without its content.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Version {
    #[n(0)]
    pub(super) number: u64,
    #[n(1)]
    pub(super) created_millis: u64,
    /// When it was deleted; 0 when it was not.
    #[n(2)]
    pub(super) deleted_millis: u64,
    #[n(3)]
    pub(super) destroyed: bool,
}

/// The head's record: the secret without its content, then the current version's content.
#[derive(Encode, Decode)]
struct HeadRecord<'b> {
    #[n(0)]
    head: Head,
    /// JSON text; absent when the current version was destroyed.
    #[cbor(b(1), with = "minicbor::bytes")]
    content: Option<&'b [u8]>,
}

/// A head as it was read, with its content where there is some.
pub(super) struct Loaded {
    pub(super) head: Head,
    pub(super) content: Option<Zeroizing<Vec<u8>>>,
}

impl Version {
    pub(super) fn is_readable(&self) -> bool {
        !self.destroyed && self.deleted_millis == 0
    }

    /// The row of a version, as answers show it.
    pub(super) fn to_object(&self) -> Object {
        let deleted = if self.deleted_millis == 0 { String::new() } else { Timestamp::from_millis(self.deleted_millis).to_string() };
        Object::new()
            .with("created_time", Timestamp::from_millis(self.created_millis).to_string())
            .with("deletion_time", deleted)
            .with("destroyed", self.destroyed)
    }

    /// The metadata of a version that stands beside its content.
    pub(super) fn to_metadata(&self) -> Value {
        self.to_object().with("custom_metadata", Value::Null).with("version", self.number).into()
    }
}

impl Head {
    pub(super) fn new(now: Timestamp) -> Self {
        Head { created_millis: now.as_millis(), updated_millis: now.as_millis(), current: 0, versions: Vec::new() }
    }

    pub(super) fn version_mut(&mut self, number: u64) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.number == number)
    }

    pub(super) fn version(&self, number: u64) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }
}

pub(super) fn exists(overlay: &mut Overlay<'_>, mount: &Id, path: &str) -> Result<bool> {
    let key = head_key(overlay.barrier(), mount, path);
    Ok(overlay.get(Kind::KvHead, &key)?.is_some())
}

/// The head of a secret, if there is one.
pub(super) fn load(overlay: &mut Overlay<'_>, mount: &Id, path: &str) -> Result<Option<Loaded>> {
    let key = head_key(overlay.barrier(), mount, path);
    let Some(bytes) = overlay.get(Kind::KvHead, &key)? else { return Ok(None) };
    parse(&bytes).map(Some)
}

/// A head of its plaintext.
pub(super) fn parse(bytes: &[u8]) -> Result<Loaded> {
    let record: HeadRecord<'_> = minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)?;
    Ok(Loaded { head: record.head, content: record.content.map(|content| Zeroizing::new(content.to_vec())) })
}

/// Writes the head of a secret with the content of its current version.
pub(super) fn save(overlay: &mut Overlay<'_>, mount: &Id, path: &str, head: Head, content: Option<&[u8]>) -> Result<()> {
    // Sized before writing, so that growth leaves no copies behind: a version's row takes at most 40 bytes, the rest at most 64.
    let capacity = 64 + 40 * head.versions.len() + content.map_or(0, <[u8]>::len);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    minicbor::encode(HeadRecord { head, content }, &mut *bytes).expect("encoding to memory cannot fail");
    debug_assert!(bytes.len() <= capacity);
    let key = head_key(overlay.barrier(), mount, path);
    Ok(overlay.put(Kind::KvHead, key, &bytes)?)
}

/// Removes the head of a secret.
pub(super) fn remove(overlay: &mut Overlay<'_>, mount: &Id, path: &str) {
    let key = head_key(overlay.barrier(), mount, path);
    overlay.delete(key);
}

/// The content of an older version.
pub(super) fn load_version(overlay: &mut Overlay<'_>, mount: &Id, path: &str, number: u64) -> Result<Zeroizing<Vec<u8>>> {
    let key = version_key(overlay.barrier(), mount, path, number);
    let missing = || Error::new(Code::Corrupt, "the store does not verify: a version of a secret is missing");
    overlay.get(Kind::KvVersion, &key)?.ok_or_else(missing)
}

/// Writes the content of an older version.
pub(super) fn save_version(overlay: &mut Overlay<'_>, mount: &Id, path: &str, number: u64, content: &[u8]) -> Result<()> {
    let key = version_key(overlay.barrier(), mount, path, number);
    Ok(overlay.put(Kind::KvVersion, key, content)?)
}

/// Removes the content of an older version.
pub(super) fn remove_version(overlay: &mut Overlay<'_>, mount: &Id, path: &str, number: u64) {
    let key = version_key(overlay.barrier(), mount, path, number);
    overlay.delete(key);
}

pub(super) fn head_key(barrier: &Barrier, mount: &Id, path: &str) -> Key {
    barrier.key(Kind::KvHead, &[mount.as_bytes(), path.as_bytes()])
}

pub(super) fn version_key(barrier: &Barrier, mount: &Id, path: &str, number: u64) -> Key {
    barrier.key(Kind::KvVersion, &[mount.as_bytes(), path.as_bytes(), &number.to_le_bytes()])
}

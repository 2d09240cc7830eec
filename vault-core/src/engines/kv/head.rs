//! The records of a secret: its head, with metadata and current content, and its older versions.

use super::rules::Rules;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Object, Result, Timestamp, Value, WipedBytes};
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
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
    #[cbor(n(4), default)]
    pub(super) rules: Rules,
    /// What its users say about it.
    #[cbor(n(5), default)]
    pub(super) custom: BTreeMap<String, String>,
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
    /// When it is deleted by itself; 0 for never. Beside `deleted_millis`, so that a clock that steps back brings nothing back that was deleted.
    #[cbor(n(4), default)]
    pub(super) expires_millis: u64,
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
    pub(super) content: Option<WipedBytes>,
}

impl Version {
    pub(super) fn new(number: u64, now: Timestamp, expires_millis: u64) -> Self {
        Version { number, created_millis: now.as_millis(), deleted_millis: 0, destroyed: false, expires_millis }
    }

    pub(super) fn is_readable(&self, now: Timestamp) -> bool {
        !self.destroyed && self.deleted_millis == 0 && (self.expires_millis == 0 || now.as_millis() < self.expires_millis)
    }

    /// When it is deleted by itself, if it is.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        (self.expires_millis > 0).then(|| Timestamp::from_millis(self.expires_millis))
    }

    /// The row of a version, as answers show it.
    pub(super) fn to_object(&self) -> Object {
        let deletion = match (self.deleted_millis, self.expires_millis) {
            (0, 0) => String::new(),
            (0, millis) | (millis, _) => Timestamp::from_millis(millis).to_string(),
        };
        Object::new()
            .with_known("created_time", Timestamp::from_millis(self.created_millis).to_string())
            .with_known("deletion_time", deletion)
            .with_known("destroyed", self.destroyed)
    }
}

impl Head {
    pub(super) fn new(now: Timestamp) -> Self {
        let millis = now.as_millis();
        Head {
            created_millis: millis,
            updated_millis: millis,
            current: 0,
            versions: Vec::new(),
            rules: Rules::default(),
            custom: BTreeMap::new(),
        }
    }

    pub(super) fn version_mut(&mut self, number: u64) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.number == number)
    }

    /// The metadata of a version that stands beside its content.
    pub(super) fn metadata_of(&self, version: &Version) -> Value {
        version.to_object().with_known("custom_metadata", self.custom_metadata()).with_known("version", version.number).into()
    }

    /// What its users say about it, as answers show it.
    pub(super) fn custom_metadata(&self) -> Value {
        if self.custom.is_empty() {
            return Value::Null;
        }
        self.custom.iter().map(|(name, text)| (name.as_str(), text.as_str().into())).collect::<Object>().into()
    }
}

pub(super) fn exists(overlay: &mut Overlay<'_>, mount: &Id, path: &str) -> Result<bool> {
    let key = head_key(overlay.barrier(), mount, path);
    Ok(overlay.has(&key)?)
}

/// The head of a secret, if there is one.
pub(super) fn load(overlay: &mut Overlay<'_>, mount: &Id, path: &str) -> Result<Option<Loaded>> {
    let key = head_key(overlay.barrier(), mount, path);
    let Some(bytes) = overlay.get(Kind::KvHead, &key)? else { return Ok(None) };
    parse(bytes).map(Some)
}

/// A head of its plaintext.
pub(super) fn parse(mut bytes: WipedBytes) -> Result<Loaded> {
    let HeadRecord { head, content } = minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)?;
    let content = content.and_then(|content| bytes.range_of(content));
    Ok(Loaded {
        head,
        content: content.map(|content| {
            bytes.narrow(content);
            bytes
        }),
    })
}

/// Writes the head of a secret with the content of its current version.
pub(super) fn save(overlay: &mut Overlay<'_>, mount: &Id, path: &str, head: Head, content: Option<&[u8]>) -> Result<()> {
    // Sized before writing, so that growth leaves no copies behind.
    let capacity = capacity_of(&head, content);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    minicbor::encode(HeadRecord { head, content }, &mut *bytes).expect("encoding to memory cannot fail");
    debug_assert!(bytes.len() <= capacity);
    let key = head_key(overlay.barrier(), mount, path);
    Ok(overlay.put(Kind::KvHead, key, &bytes)?)
}

/// The most bytes that a head's record takes: a version's row at most 48, a text 5 more than it has, the rest at most 96.
fn capacity_of(head: &Head, content: Option<&[u8]>) -> usize {
    let custom: usize = head.custom.iter().map(|(name, text)| 10 + name.len() + text.len()).sum();
    96 + 48 * head.versions.len() + custom + content.map_or(0, <[u8]>::len)
}

/// Removes the head of a secret.
pub(super) fn remove(overlay: &mut Overlay<'_>, mount: &Id, path: &str) {
    let key = head_key(overlay.barrier(), mount, path);
    overlay.delete(key);
}

/// The content of an older version, if it is there.
pub(super) fn load_version(overlay: &mut Overlay<'_>, mount: &Id, path: &str, number: u64) -> Result<Option<WipedBytes>> {
    let key = version_key(overlay.barrier(), mount, path, number);
    Ok(overlay.get(Kind::KvVersion, &key)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A head as it was before there were rules, custom metadata and versions that are deleted by themselves.
    #[derive(Encode)]
    struct OldHead {
        #[n(0)]
        created_millis: u64,
        #[n(1)]
        updated_millis: u64,
        #[n(2)]
        current: u64,
        #[n(3)]
        versions: Vec<OldVersion>,
    }

    #[derive(Encode)]
    struct OldVersion {
        #[n(0)]
        number: u64,
        #[n(1)]
        created_millis: u64,
        #[n(2)]
        deleted_millis: u64,
        #[n(3)]
        destroyed: bool,
    }

    #[derive(Encode)]
    struct OldRecord<'b> {
        #[n(0)]
        head: OldHead,
        #[cbor(b(1), with = "minicbor::bytes")]
        content: Option<&'b [u8]>,
    }

    #[test]
    fn a_head_from_before_there_were_rules_reads_as_one_that_has_none() {
        let version = OldVersion { number: 3, created_millis: 5, deleted_millis: 7, destroyed: false };
        let head = OldHead { created_millis: 1, updated_millis: 7, current: 3, versions: vec![version] };
        let bytes = minicbor::to_vec(OldRecord { head, content: Some(b"{}") }).expect("encoded");
        let record: HeadRecord<'_> = minicbor::decode(&bytes).expect("decoded");
        let expected = Head {
            updated_millis: 7,
            current: 3,
            versions: vec![Version { deleted_millis: 7, ..Version::new(3, Timestamp::from_millis(5), 0) }],
            ..Head::new(Timestamp::from_millis(1))
        };
        assert_eq!((record.head, record.content), (expected, Some(&b"{}"[..])));
    }

    #[test]
    fn the_largest_head_fits_the_buffer_that_is_sized_for_it() {
        let most = |number| Version {
            deleted_millis: u64::MAX,
            destroyed: true,
            ..Version::new(number, Timestamp::from_millis(u64::MAX), u64::MAX)
        };
        let mut head = Head {
            current: u64::MAX,
            versions: (0..300).map(|back| most(u64::MAX - back)).collect(),
            ..Head::new(Timestamp::from_millis(u64::MAX))
        };
        head.custom = (0..64).map(|number| (format!("{number:0>128}"), "v".repeat(512))).collect();
        let everything = Value::from(
            Object::new().with("max_versions", 10_000_u64).with("cas_required", true).with("delete_version_after", 1_000_000_000_u64),
        );
        head.rules.change(Some(&everything), super::super::rules::Owner::Key, false).expect("in range");
        let content = vec![b'x'; 1000];
        let capacity = capacity_of(&head, Some(&content));
        let bytes = minicbor::to_vec(HeadRecord { head, content: Some(&content) }).expect("encoded");
        assert!(bytes.len() <= capacity, "{} {capacity}", bytes.len());
    }
}

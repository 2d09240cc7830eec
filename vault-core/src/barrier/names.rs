//! Hidden names: where a record lies is a MAC of what it is, so that the store says nothing of names.

use super::record::{Barrier, Kind};
use crate::storage::Key;
use crate::types::id::Id;
use std::sync::Arc;

/// A path below a mount that comes into being, or is gone, and its folders with it.
#[derive(Clone, Debug)]
pub(crate) struct FolderChange {
    /// That of the mount's namespace.
    pub(crate) barrier: Arc<Barrier>,
    /// The mount's uuid.
    pub(crate) mount: Id,
    /// The path below the mount.
    pub(crate) path: String,
    /// Whether it is there from now on.
    pub(crate) present: bool,
}

/// The folder (`""`, or ending in a slash) and the child's name of a path; the child of a folder ends in a slash itself.
pub(crate) fn folder_and_child(path: &str) -> (&str, &str) {
    let end = path.strip_suffix('/').unwrap_or(path).rfind('/').map_or(0, |slash| slash + 1);
    path.split_at(end)
}

impl Barrier {
    /// The storage key of a record: the MAC of its kind, namespace and parts.
    pub(crate) fn key(&self, kind: Kind, parts: &[&[u8]]) -> Key {
        Key::new(&[&self.short_name(kind, parts)])
    }

    /// The storage key of the audit tail's chunk that starts with this sequence number: in order under one prefix.
    pub(crate) fn tail_key(&self, sequence: u64) -> Key {
        Key::new(&[&self.tail_prefix(), &sequence.to_be_bytes()])
    }

    /// The prefix of the audit tail's chunks.
    pub(crate) fn tail_prefix(&self) -> [u8; 16] {
        self.short_name(Kind::AuditTail, &[])
    }

    /// The prefix under which the children of a folder lie.
    pub(crate) fn folder_prefix(&self, mount: &Id, folder: &str) -> [u8; 16] {
        self.short_name(Kind::FolderEntry, &[mount.as_bytes(), folder.as_bytes()])
    }

    /// The storage key of a child's entry in its folder.
    pub(crate) fn folder_key(&self, mount: &Id, folder: &str, child: &str) -> Key {
        let prefix = self.folder_prefix(mount, folder);
        Key::new(&[&prefix, &self.keyring().names().short_tag(&[&prefix, child.as_bytes()])])
    }

    /// A group of records under one prefix, such as the children of a token.
    pub(crate) fn member_key(&self, kind: Kind, group: &[u8], member: &[u8; 16]) -> Key {
        Key::new(&[&self.short_name(kind, &[group]), member])
    }

    /// The prefix of such a group.
    pub(crate) fn member_prefix(&self, kind: Kind, group: &[u8]) -> [u8; 16] {
        self.short_name(kind, &[group])
    }

    fn short_name(&self, kind: Kind, parts: &[&[u8]]) -> [u8; 16] {
        const PARTS_MAX: usize = 3;
        let number = (kind as u16).to_le_bytes();
        let mut tuple: [&[u8]; PARTS_MAX + 2] = [&[]; PARTS_MAX + 2];
        tuple[0] = &number;
        tuple[1] = self.namespace().as_bytes();
        tuple[2..2 + parts.len()].copy_from_slice(parts);
        self.keyring().names().short_tag(&tuple[..2 + parts.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_into_folder_and_child() {
        for (path, folder, child) in [("a", "", "a"), ("a/b", "a/", "b"), ("a/b/c", "a/b/", "c"), ("a/", "", "a/"), ("a/b/", "a/", "b/")] {
            assert_eq!(folder_and_child(path), (folder, child), "{path}");
        }
    }
}

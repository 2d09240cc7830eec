//! Folder entries: a child appears with its first descendant and goes with its last. Only the leader knows the order, so it makes them.

use super::group::Merged;
use crate::barrier::{BarrierError, FolderChange, Kind, folder_and_child};
use crate::storage::Key;
use std::collections::BTreeMap;

/// Children of a folder that are read at first when it may have become empty, nearly always enough to tell that it has not; and at a time from then
/// on.
const PROBE_PAGE_FIRST: usize = 2;
const PROBE_PAGE: usize = 64;

/// The changes of folder entries that these changes of paths bring.
pub(super) fn change_folders(merged: &Merged<'_>, changes: &[FolderChange]) -> Result<BTreeMap<Key, Option<Vec<u8>>>, BarrierError> {
    let mut entries = BTreeMap::new();
    for change in changes {
        if change.present {
            appear(merged, &mut entries, change)?;
        } else {
            vanish(merged, &mut entries, change)?;
        }
    }
    Ok(entries)
}

type Entries = BTreeMap<Key, Option<Vec<u8>>>;

fn appear(merged: &Merged<'_>, entries: &mut Entries, change: &FolderChange) -> Result<(), BarrierError> {
    let mut path = change.path.as_str();
    loop {
        let (folder, child) = folder_and_child(path);
        let key = change.barrier.folder_key(&change.mount, folder, child);
        if is_present(merged, entries, &key)? {
            return Ok(());
        }
        entries.insert(key, Some(change.barrier.seal(Kind::FolderEntry, &key, child.as_bytes())?));
        if folder.is_empty() {
            return Ok(());
        }
        path = folder;
    }
}

fn vanish(merged: &Merged<'_>, entries: &mut Entries, change: &FolderChange) -> Result<(), BarrierError> {
    let mut path = change.path.as_str();
    loop {
        let (folder, child) = folder_and_child(path);
        let key = change.barrier.folder_key(&change.mount, folder, child);
        if !is_present(merged, entries, &key)? {
            return Ok(());
        }
        entries.insert(key, None);
        if folder.is_empty() || !is_empty(merged, entries, &change.barrier.folder_prefix(&change.mount, folder))? {
            return Ok(());
        }
        path = folder;
    }
}

fn is_present(merged: &Merged<'_>, entries: &Entries, key: &Key) -> Result<bool, BarrierError> {
    match entries.get(key) {
        Some(entry) => Ok(entry.is_some()),
        None => merged.has(key),
    }
}

/// Whether a folder has no child left, with the changes of the group and of this proposal.
fn is_empty(merged: &Merged<'_>, entries: &Entries, prefix: &[u8; 16]) -> Result<bool, BarrierError> {
    let added = |changes: &Entries| {
        changes.range(Key::new(&[prefix])..).take_while(|(key, _)| key.as_bytes().starts_with(prefix)).any(|(_, v)| v.is_some())
    };
    // An entry that the group added may be removed again by this proposal: ask for each through `is_present`.
    let group_has = |key: &Key| is_present(merged, entries, key);
    if added(entries) {
        return Ok(false);
    }
    for key in merged.changes.range(Key::new(&[prefix])..).map(|(key, _)| key).take_while(|key| key.as_bytes().starts_with(prefix)) {
        if group_has(key)? {
            return Ok(false);
        }
    }
    let (mut after, mut limit) = (None, PROBE_PAGE_FIRST);
    loop {
        let page = merged.storage.scan(prefix, after.as_ref(), limit)?;
        for (key, _) in &page {
            if is_present(merged, entries, key)? {
                return Ok(false);
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == limit => after = Some(*key),
            _ => return Ok(true),
        }
        limit = PROBE_PAGE;
    }
}

//! Pre-images: how an engine without versions gives snapshots.
//!
//! Before a batch is shown the old value of each of its keys is noted for each open snapshot. Who reads a snapshot asks the engine first and the
//! notes afterwards: a value from a later batch is then always covered by a note. No reader waits for I/O.

use super::{Key, Page, StorageError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// Old values by key; `None` where there was none.
type Olds = BTreeMap<Key, Option<Vec<u8>>>;

/// The open snapshots of one engine.
#[derive(Default)]
pub(super) struct PreImages(Mutex<Vec<Weak<SnapshotNotes>>>);

/// What has changed since a snapshot was taken.
#[derive(Default)]
pub(super) struct SnapshotNotes(Mutex<Olds>);

impl PreImages {
    /// Notes the old values of the keys of a batch that is about to be shown, where there is a snapshot.
    pub(super) fn note<'k>(
        &self,
        keys: impl Iterator<Item = &'k Key> + Clone,
        old: impl Fn(&Key) -> Result<Option<Vec<u8>>, StorageError>,
    ) -> Result<(), StorageError> {
        let mut snapshots = self.0.lock();
        snapshots.retain(|snapshot| snapshot.strong_count() > 0);
        for snapshot in snapshots.iter().filter_map(Weak::upgrade) {
            for key in keys.clone() {
                if !snapshot.0.lock().contains_key(key) {
                    let old = old(key)?;
                    snapshot.0.lock().insert(*key, old);
                }
            }
        }
        Ok(())
    }

    /// A snapshot of what is shown. No batch may be under way.
    pub(super) fn snapshot(&self) -> Arc<SnapshotNotes> {
        let notes = Arc::new(SnapshotNotes::default());
        self.0.lock().push(Arc::downgrade(&notes));
        notes
    }
}

impl SnapshotNotes {
    /// The keys that have changed since the snapshot.
    pub(super) fn changed(&self) -> Vec<Key> {
        self.0.lock().keys().copied().collect()
    }

    /// The value of a key as of the snapshot.
    pub(super) fn get(
        &self,
        key: &Key,
        engine: impl FnOnce() -> Result<Option<Vec<u8>>, StorageError>,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let found = engine()?;
        match self.0.lock().get(key) {
            Some(old) => Ok(old.clone()),
            None => Ok(found),
        }
    }

    /// A page as of the snapshot.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: usize,
        engine: impl Fn(usize) -> Result<Page, StorageError>,
    ) -> Result<Page, StorageError> {
        loop {
            let expected = self.0.lock().len();
            let found = engine(limit.saturating_add(expected))?;
            let notes = self.0.lock();
            if notes.len() <= expected {
                return Ok(overlaid(found, limit.saturating_add(expected), &notes, prefix, after, limit));
            }
        }
    }
}

/// A page of the engine with the old values in their places. `asked` is how many the engine was asked for.
fn overlaid(found: Page, asked: usize, olds: &Olds, prefix: &[u8], after: Option<&Key>, limit: usize) -> Page {
    // Where the engine had more, nothing is known beyond its last key.
    let end = if found.len() == asked { found.last().map(|(key, _)| *key) } else { None };
    let mut merged: BTreeMap<Key, Vec<u8>> = found.into_iter().collect();
    for (key, old) in olds.range(Key::new(&[prefix])..).take_while(|(key, _)| key.as_bytes().starts_with(prefix)) {
        if after.is_some_and(|after| key <= after) || end.is_some_and(|end| *key > end) {
            continue;
        }
        match old {
            Some(value) => merged.insert(*key, value.clone()),
            None => merged.remove(key),
        };
    }
    merged.into_iter().take(limit).collect()
}

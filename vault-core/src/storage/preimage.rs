//! Pre-images: how an engine without versions shows only what is durable, and gives snapshots.
//!
//! Before a batch is applied the old value of each of its keys is noted, for the batch in flight and for each open snapshot. A reader asks the
//! engine first and the notes afterwards: a value that came from a batch in flight is then always covered by a note. No reader waits for I/O.

use super::{Key, Page, StorageError};
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// Old values by key; `None` where there was none.
pub(super) type Olds = BTreeMap<Key, Option<Vec<u8>>>;

/// The notes of one engine.
#[derive(Default)]
pub(super) struct PreImages {
    in_flight: ArcSwapOption<Olds>,
    snapshots: Mutex<Vec<Weak<SnapshotNotes>>>,
}

/// What has changed since a snapshot was taken.
#[derive(Default)]
pub(super) struct SnapshotNotes(Mutex<Olds>);

impl PreImages {
    /// Notes the old values of a batch that is about to be applied.
    pub(super) fn begin(&self, olds: Olds) {
        let mut snapshots = self.snapshots.lock();
        snapshots.retain(|snapshot| snapshot.strong_count() > 0);
        for snapshot in snapshots.iter().filter_map(Weak::upgrade) {
            let mut notes = snapshot.0.lock();
            for (key, old) in &olds {
                notes.entry(*key).or_insert_with(|| old.clone());
            }
        }
        self.in_flight.store(Some(Arc::new(olds)));
    }

    /// The batch in flight is durable.
    pub(super) fn end(&self) {
        self.in_flight.store(None);
    }

    /// A snapshot of what is durable. No batch may be begun at the same time.
    pub(super) fn snapshot(&self) -> Arc<SnapshotNotes> {
        let notes = Arc::new(SnapshotNotes::default());
        self.snapshots.lock().push(Arc::downgrade(&notes));
        notes
    }

    /// The durable value of a key.
    pub(super) fn get(
        &self,
        key: &Key,
        engine: impl FnOnce() -> Result<Option<Vec<u8>>, StorageError>,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let found = engine()?;
        match self.in_flight.load().as_ref().and_then(|olds| olds.get(key)) {
            Some(old) => Ok(old.clone()),
            None => Ok(found),
        }
    }

    /// A page of durable values; `engine` gives at most as many as it is told.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: usize,
        engine: impl Fn(usize) -> Result<Page, StorageError>,
    ) -> Result<Page, StorageError> {
        loop {
            let expected = self.in_flight.load().as_ref().map_or(0, |olds| olds.len());
            let found = engine(limit.saturating_add(expected))?;
            let olds = self.in_flight.load();
            match olds.as_ref() {
                None => return Ok(found.into_iter().take(limit).collect()),
                // Another batch began meanwhile, larger than the page was widened for.
                Some(olds) if olds.len() > expected => {}
                Some(olds) => return Ok(overlaid(found, limit.saturating_add(expected), olds, prefix, after, limit)),
            }
        }
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

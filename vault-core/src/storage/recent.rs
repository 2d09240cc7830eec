//! The commits that are durable in the WAL and not in the engine yet: what they have changed lies in memory over the engine.
//!
//! So a commit waits for the WAL alone, and the engine is given many commits at once, each key as it was changed last, when the WAL has no room
//! for another one. Until then readers find what was changed here. While the engine takes it, in as many steps as it likes, all of it stays here:
//! nobody sees a step.

use super::wal::Wal;
use super::{Batch, Key, Page, StorageError};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The last change of each key: its value, or `None` where it was removed.
pub(super) type Changes = BTreeMap<Key, Option<Vec<u8>>>;

/// What the engine does not have yet.
pub(super) struct Recent {
    /// Shared with snapshots, and copied by the first commit after one was taken.
    changes: RwLock<Arc<Changes>>,
    log: Mutex<Log>,
}

struct Log {
    wal: Wal,
    /// Of the last commit that is here; 0 where there is none.
    number: u64,
}

impl Recent {
    /// Nothing, over a WAL of which the engine has all.
    pub(super) fn over(wal: Wal) -> Self {
        Recent { changes: RwLock::default(), log: Mutex::new(Log { wal, number: 0 }) }
    }

    /// The number of the last commit that is here, if there is one.
    pub(super) fn number(&self) -> Option<u64> {
        Some(self.log.lock().number).filter(|number| *number > 0)
    }

    /// The value of a key: as it was changed here, else as the engine has it.
    pub(super) fn get(
        &self,
        key: &Key,
        engine: impl FnOnce() -> Result<Option<Vec<u8>>, StorageError>,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let changes = self.changes.read();
        match changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => {
                drop(changes);
                engine()
            }
        }
    }

    /// All that is here, as it is now.
    pub(super) fn changes(&self) -> Arc<Changes> {
        Arc::clone(&self.changes.read())
    }

    /// What `with` makes of all that is here, while nothing comes or goes.
    pub(super) fn with_changes<R>(&self, with: impl FnOnce(&Arc<Changes>) -> R) -> R {
        with(&self.changes.read())
    }

    /// Takes a commit in; it is durable when this returns. `settle` makes changes durable in the engine, as the commit of that number.
    pub(super) fn commit(&self, batch: &Batch, settle: impl Fn(&Changes, u64) -> Result<(), StorageError>) -> Result<(), StorageError> {
        let mut log = self.log.lock();
        let committed = self.commit_to(&mut log, batch, settle);
        committed.inspect_err(|_| log.wal.keep())
    }

    fn commit_to(
        &self,
        log: &mut Log,
        batch: &Batch,
        settle: impl Fn(&Changes, u64) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if !log.wal.has_room(batch) {
            self.settle_log(log, &settle)?;
        }
        log.wal.append(batch)?;
        Arc::make_mut(&mut *self.changes.write()).extend(batch.changes.iter().map(|(key, change)| (*key, change.clone())));
        log.number = batch.number;
        // What is larger than the WAL has made it grow: it does not stay so.
        if log.wal.has_grown() { self.settle_log(log, &settle) } else { Ok(()) }
    }

    /// Lets the engine hold durably what is here, as the commit of that number.
    pub(super) fn settle(&self, settle: impl Fn(&Changes, u64) -> Result<(), StorageError>) -> Result<(), StorageError> {
        let mut log = self.log.lock();
        let settled = self.settle_log(&mut log, &settle);
        settled.inspect_err(|_| log.wal.keep())
    }

    fn settle_log(&self, log: &mut Log, settle: &impl Fn(&Changes, u64) -> Result<(), StorageError>) -> Result<(), StorageError> {
        if log.number > 0 {
            settle(&self.changes(), log.number)?;
            *self.changes.write() = Arc::default();
            log.number = 0;
        }
        log.wal.restart()
    }

    /// Leaves nothing in the WAL, of which the engine has all.
    pub(super) fn wipe(&self) -> Result<(), StorageError> {
        self.log.lock().wal.wipe()
    }

    /// Keeps what is in the WAL for the next opening, since the engine has failed.
    pub(super) fn keep(&self) {
        self.log.lock().wal.keep();
    }
}

/// What the commits of a WAL come to, and the number of the last.
pub(super) fn together(batches: Vec<Batch>) -> Option<(Changes, u64)> {
    let number = batches.last()?.number;
    Some((batches.into_iter().flat_map(|batch| batch.changes).collect(), number))
}

/// A page with what was changed over it. `engine` gives a page of at most as many records as it is told.
pub(super) fn scan(
    changes: &Changes,
    (prefix, after): (&[u8], Option<&Key>),
    limit: usize,
    engine: impl FnOnce(usize) -> Result<Page, StorageError>,
) -> Result<Page, StorageError> {
    let is_in = |key: &Key| after.is_none_or(|after| key > after);
    let from = Key::new(&[prefix]);
    let changed = changes.range(after.map_or(from, |after| (*after).max(from))..);
    let changed: Vec<_> = changed.take_while(|(key, _)| key.as_bytes().starts_with(prefix)).filter(|(key, _)| is_in(key)).collect();
    // So that enough is left once those are gone that were removed.
    let asked = limit.saturating_add(changed.iter().filter(|(_, change)| change.is_none()).count());
    let found = engine(asked)?;
    if changed.is_empty() {
        return Ok(found);
    }
    // Where the engine has more nothing is known beyond its last key.
    let end = if found.len() >= asked { found.last().map(|(key, _)| *key) } else { None };
    let mut page: BTreeMap<Key, Vec<u8>> = found.into_iter().collect();
    for (key, change) in changed.into_iter().take_while(|(key, _)| end.is_none_or(|end| **key <= end)) {
        match change {
            Some(value) => page.insert(*key, value.clone()),
            None => page.remove(key),
        };
    }
    Ok(page.into_iter().take(limit).collect())
}

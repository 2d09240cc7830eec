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
    /// How often the engine was given what was here.
    #[cfg(any(test, feature = "testing"))]
    settlings: u64,
}

impl Log {
    fn of(wal: Wal, number: u64) -> Self {
        Log {
            wal,
            number,
            #[cfg(any(test, feature = "testing"))]
            settlings: 0,
        }
    }
}

impl Recent {
    /// Nothing, over a WAL of which the engine has all.
    pub(super) fn over(wal: Wal) -> Self {
        Recent { changes: RwLock::default(), log: Mutex::new(Log::of(wal, 0)) }
    }

    /// The commits of a WAL that the engine does not have.
    #[cfg(feature = "redb")]
    pub(super) fn with(wal: Wal, batches: Vec<Batch>) -> Self {
        let (changes, number) = together(batches).unwrap_or_default();
        Recent { changes: RwLock::new(Arc::new(changes)), log: Mutex::new(Log::of(wal, number)) }
    }

    /// The number of the last commit that is here, if there is one.
    #[cfg(feature = "redb")]
    pub(super) fn number(&self) -> Option<u64> {
        Some(self.log.lock().number).filter(|number| *number > 0)
    }

    /// How often the engine was given what was here.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn settlings(&self) -> u64 {
        self.log.lock().settlings
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
    #[cfg(feature = "redb")]
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
        Ok(())
    }

    /// Lets the engine hold durably what is here, as the commit of that number.
    pub(super) fn settle(&self, settle: impl Fn(&Changes, u64) -> Result<(), StorageError>) -> Result<(), StorageError> {
        let mut log = self.log.lock();
        if log.wal.is_kept() {
            return Err(StorageError::Poisoned);
        }
        let settled = self.settle_log(&mut log, &settle);
        settled.inspect_err(|_| log.wal.keep())
    }

    fn settle_log(&self, log: &mut Log, settle: &impl Fn(&Changes, u64) -> Result<(), StorageError>) -> Result<(), StorageError> {
        if log.number > 0 {
            settle(&self.changes(), log.number)?;
            *self.changes.write() = Arc::default();
            log.number = 0;
            #[cfg(any(test, feature = "testing"))]
            {
                log.settlings += 1;
            }
        }
        log.wal.restart()
    }

    /// Leaves nothing in the WAL, of which the engine has all.
    pub(super) fn wipe(&self) -> Result<(), StorageError> {
        self.log.lock().wal.wipe()
    }

    /// Keeps what is in the WAL for the next opening, since the engine has failed.
    #[cfg(feature = "redb")]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Key {
        Key::new(&[b"k", &[number]])
    }

    #[test]
    fn a_page_has_what_is_in_memory_in_the_place_of_what_is_in_the_engine() {
        let engine: Page = (0..12).map(|number| (key(7 * number), vec![0])).collect();
        let dir = tempfile::tempdir().expect("a directory");
        let recent = Recent::over(Wal::open(dir.path(), 64 * 1024).expect("a file"));
        let changes: Changes = (0..80).step_by(3).map(|number| (key(number), (number % 4 != 0).then(|| vec![1]))).collect();
        let mut expected: BTreeMap<Key, Vec<u8>> = engine.iter().cloned().collect();
        for (key, change) in &changes {
            match change {
                Some(value) => expected.insert(*key, value.clone()),
                None => expected.remove(key),
            };
        }
        let never = |_: &Changes, _| unreachable!("there is room");
        recent.commit(&Batch { number: 1, expectations: Vec::new(), changes }, never).expect("committed");
        for limit in [1, 2, 7, 30, 1_000] {
            let mut found = Page::new();
            loop {
                let after = found.last().map(|(key, _)| *key);
                let of_engine =
                    |asked| Ok(engine.iter().filter(|(key, _)| after.is_none_or(|after| *key > after)).take(asked).cloned().collect());
                let page = scan(&recent.changes(), (b"k", after.as_ref()), limit, of_engine).expect("a page");
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                found.extend(page);
            }
            assert!(found.iter().cloned().eq(expected.clone()), "pages of {limit}");
        }
        assert_eq!(recent.get(&key(3), || Ok(None)).expect("read"), Some(vec![1]));
        assert_eq!(recent.get(&key(12), || Ok(Some(vec![0]))).expect("read"), None);
        assert_eq!(recent.get(&key(7), || Ok(Some(vec![0]))).expect("read"), Some(vec![0]));
    }

    #[test]
    fn the_engine_has_all_in_its_last_state_once_there_is_no_room_or_a_commit_is_large() {
        let dir = tempfile::tempdir().expect("a directory");
        let recent = Recent::over(Wal::open(dir.path(), 64 * 1024).expect("a file"));
        let engine = Mutex::new((Changes::new(), 0, 0_u32));
        let settle = |changes: &Changes, number| {
            let mut engine = engine.lock();
            engine.0.extend(changes.clone());
            (engine.1, engine.2) = (number, engine.2 + 1);
            Ok(())
        };
        let batch = |number: u64, bytes| Batch {
            number,
            expectations: Vec::new(),
            changes: BTreeMap::from([(key(1), Some(vec![number as u8; bytes])), (key(2), None)]),
        };
        (1..=8).for_each(|number| recent.commit(&batch(number, 5_000), settle).expect("committed"));
        assert_eq!(engine.lock().2, 0, "there is room for eight times two blocks");
        recent.commit(&batch(9, 5_000), settle).expect("committed");
        assert_eq!(*engine.lock(), (batch(8, 5_000).changes, 8, 1));
        assert_eq!(*recent.changes(), batch(9, 5_000).changes);
        recent.commit(&batch(10, 200_000), settle).expect("committed");
        assert_eq!(*engine.lock(), (batch(9, 5_000).changes, 9, 2), "what was there before");
        recent.commit(&batch(11, 10), settle).expect("committed");
        assert_eq!(*engine.lock(), (batch(10, 200_000).changes, 10, 3), "a large one has the WAL for itself");
        let fails = |_: &Changes, _| Err(StorageError::Closed);
        assert!(matches!(recent.settle(fails), Err(StorageError::Closed)));
        assert!(matches!(recent.settle(settle), Err(StorageError::Poisoned)), "it stays for the next opening");
    }
}

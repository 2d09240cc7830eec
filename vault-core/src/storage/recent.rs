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

/// The last change of each key: its value, or `None` where it was removed. Values are shared, so that a copy of them all is a small thing.
pub(super) type Changes = BTreeMap<Key, Option<Arc<[u8]>>>;

/// The least that a page asks the engine for again, where removals hide what it has found.
const ASKED_MIN: usize = 64;

/// What the engine does not have yet.
pub(super) struct Recent {
    /// Shared with scans and snapshots, and copied by the first commit after one was begun.
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
            Some(change) => Ok(change.as_deref().map(<[u8]>::to_vec)),
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

    /// Bytes of the records that are here.
    #[cfg(feature = "sled")]
    pub(super) fn bytes(&self) -> u64 {
        let records = self.changes();
        records.iter().map(|(key, change)| (key.as_bytes().len() + change.as_ref().map_or(0, |value| value.len())) as u64).sum()
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
        // Before readers are kept waiting.
        let shared: Vec<_> = batch.changes.iter().map(|(key, change)| (*key, change.as_deref().map(Arc::from))).collect();
        Arc::make_mut(&mut *self.changes.write()).extend(shared);
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
    let changes = batches.into_iter().flat_map(|batch| batch.changes);
    Some((changes.map(|(key, change)| (key, change.map(Arc::from))).collect(), number))
}

/// A page with what was changed over it. `engine` gives so many records at most that come after a key.
pub(super) fn scan(
    changes: &Changes,
    (prefix, after): (&[u8], Option<&Key>),
    limit: usize,
    engine: impl Fn(Option<&Key>, usize) -> Result<Page, StorageError>,
) -> Result<Page, StorageError> {
    let mut page = Page::new();
    let (mut after, mut rounds) = (after.copied(), 0);
    while page.len() < limit {
        let changed = changed_after(changes, prefix, after.as_ref());
        let left = limit - page.len();
        // More than once where something of what was found is removed.
        let asked = if rounds == 0 { left } else { left.max(ASKED_MIN) };
        rounds += 1;
        let found = engine(after.as_ref(), asked)?;
        // Where the engine has more nothing is known beyond its last key.
        let end = if found.len() >= asked { found.last().map(|(key, _)| *key) } else { None };
        let mut both: BTreeMap<Key, Vec<u8>> = found.into_iter().collect();
        for (key, change) in changed.take_while(|(key, _)| end.is_none_or(|end| **key <= end)) {
            match change {
                Some(value) => both.insert(*key, value.to_vec()),
                None => both.remove(key),
            };
        }
        page.extend(both.into_iter().take(left));
        match end {
            Some(end) => after = Some(end),
            None => break,
        }
    }
    Ok(page)
}

/// What was changed of the keys with a prefix that come after one.
fn changed_after<'c>(
    changes: &'c Changes,
    prefix: &'c [u8],
    after: Option<&Key>,
) -> impl Iterator<Item = (&'c Key, &'c Option<Arc<[u8]>>)> {
    let from = Key::new(&[prefix]);
    let after = after.copied();
    let changed = changes.range(after.map_or(from, |after| after.max(from))..);
    changed.take_while(move |(key, _)| key.as_bytes().starts_with(prefix)).filter(move |(key, _)| after.is_none_or(|after| **key > after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn key(number: u16) -> Key {
        Key::new(&[b"k", &number.to_be_bytes()])
    }

    #[test]
    fn a_page_has_what_is_in_memory_in_the_place_of_what_is_in_the_engine() {
        // Fewer than those that are asked for at least, and more.
        [12, 300].into_iter().for_each(a_page_over_so_many);
    }

    fn a_page_over_so_many(records: u16) {
        let engine: Page = (0..records).map(|number| (key(7 * number), vec![0])).collect();
        let dir = tempfile::tempdir().expect("a directory");
        let recent = Recent::over(Wal::open(dir.path(), 64 * 1024).expect("a file"));
        let changes: BTreeMap<_, _> = (0..7 * records).step_by(3).map(|number| (key(number), (number % 4 != 0).then(|| vec![1]))).collect();
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
                let of_engine = |after: Option<&Key>, asked| Ok(behind(&engine, after).take(asked).cloned().collect());
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
    fn pages_behind_many_removals_ask_the_engine_for_few_records() {
        let engine: Page = (0..1_000).map(|number| (key(number), vec![0])).collect();
        // The first half is removed, of the others each has a neighbour.
        let changes: Changes = (0..1_000).filter(|number| *number < 500 || number % 2 == 0).map(|number| (key(number), None)).collect();
        let asked = Cell::new(0);
        let of_engine = |after: Option<&Key>, most: usize| {
            let page: Page = behind(&engine, after).take(most).cloned().collect();
            asked.set(asked.get() + page.len());
            Ok(page)
        };
        let (mut found, mut pages) = (Page::new(), 0);
        loop {
            let after = found.last().map(|(key, _)| *key);
            let page = scan(&changes, (b"k", after.as_ref()), 10, of_engine).expect("a page");
            if page.is_empty() {
                break;
            }
            pages += 1;
            found.extend(page);
        }
        assert_eq!((found.len(), pages), (250, 25));
        // The removed half once, and for each page what it asks at first and at least once more: some of that is asked for again by the next one.
        assert!(asked.get() <= 500 + 26 * (10 + ASKED_MIN), "{} records were asked for", asked.get());
    }

    /// What comes behind a key.
    fn behind<'p>(page: &'p Page, after: Option<&Key>) -> impl Iterator<Item = &'p (Key, Vec<u8>)> {
        page.iter().filter(move |(key, _)| after.is_none_or(|after| key > after))
    }

    #[test]
    fn a_commit_beside_a_scan_copies_no_value() {
        let dir = tempfile::tempdir().expect("a directory");
        let recent = Recent::over(Wal::open(dir.path(), 64 * 1024).expect("a file"));
        let never = |_: &Changes, _| unreachable!("there is room");
        let batch = |number: u16| Batch {
            number: number.into(),
            expectations: Vec::new(),
            changes: BTreeMap::from([(key(number), Some(vec![7; 1_000]))]),
        };
        recent.commit(&batch(1), never).expect("committed");
        let scanned = recent.changes();
        recent.commit(&batch(2), never).expect("committed");
        assert_eq!((scanned.len(), recent.changes().len()), (1, 2), "what is scanned stays as it was");
        let value = |changes: &Changes| changes[&key(1)].as_ref().map(Arc::as_ptr);
        assert!(value(&scanned).is_some() && value(&scanned) == value(&recent.changes()));
    }

    #[test]
    fn the_engine_has_all_in_its_last_state_once_there_is_no_room_or_a_commit_is_large() {
        let dir = tempfile::tempdir().expect("a directory");
        let recent = Recent::over(Wal::open(dir.path(), 64 * 1024).expect("a file"));
        let shared = |changes: BTreeMap<Key, Option<Vec<u8>>>| -> Changes {
            changes.into_iter().map(|(key, change)| (key, change.map(Arc::from))).collect()
        };
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
        assert_eq!(*engine.lock(), (shared(batch(8, 5_000).changes), 8, 1));
        assert_eq!(*recent.changes(), shared(batch(9, 5_000).changes));
        recent.commit(&batch(10, 200_000), settle).expect("committed");
        assert_eq!(*engine.lock(), (shared(batch(9, 5_000).changes), 9, 2), "what was there before");
        recent.commit(&batch(11, 10), settle).expect("committed");
        assert_eq!(*engine.lock(), (shared(batch(10, 200_000).changes), 10, 3), "a large one has the WAL for itself");
        let fails = |_: &Changes, _| Err(StorageError::Closed);
        assert!(matches!(recent.settle(fails), Err(StorageError::Closed)));
        assert!(matches!(recent.settle(settle), Err(StorageError::Poisoned)), "it stays for the next opening");
    }
}

//! What must hold while the engine below a WAL is given what is in it: readers and snapshots see nothing of that.

use super::{commit, key};
use crate::storage::{Batch, Expected, Key, Page, Read, Storage, StorageError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Each on an empty store whose WAL has room for a few commits.
pub(super) const CHECKS: [fn(&dyn Storage); 4] = [
    snapshots_stay_as_they_were,
    pages_show_what_is_there_when_they_are_asked_for,
    what_was_removed_stays_away_until_it_is_added_again,
    readers_never_see_an_old_value_after_a_new_one,
];

/// Most commits until the engine is given them.
const SETTLES_WITHIN: u32 = 50;
/// Sizes of values: small, more than a block of the WAL, more than a small WAL.
const SIZES: [usize; 4] = [10, 300, 6_000, 30_000];

type Records = BTreeMap<Key, Vec<u8>>;

/// A value that tells the number of the commit that it is of.
fn value(number: u64) -> Vec<u8> {
    let size = SIZES[usize::try_from(number % 4).expect("less than 4")];
    [&number.to_le_bytes()[..], &vec![number.to_le_bytes()[0]; size]].concat()
}

fn number_of(value: &[u8]) -> u64 {
    let (number, filling) = value.split_first_chunk::<8>().expect("a value begins with its number");
    assert!(filling.iter().all(|byte| *byte == number[0]), "a value is whole");
    u64::from_le_bytes(*number)
}

/// A store, and what has to be in it.
struct Watched<'s> {
    storage: &'s dyn Storage,
    records: Records,
}

impl Watched<'_> {
    fn over(storage: &dyn Storage) -> Watched<'_> {
        Watched { storage, records: Records::new() }
    }

    /// Gives these keys the next commit's value, and removes those.
    fn change(&mut self, put: &[Key], removed: &[Key]) {
        let number = self.storage.commit_number() + 1;
        let changes = put.iter().map(|key| (*key, Some(value(number)))).chain(removed.iter().map(|key| (*key, None)));
        commit(self.storage, changes.collect());
        self.records.extend(put.iter().map(|key| (*key, value(number))));
        self.records.retain(|key, _| !removed.contains(key));
    }

    /// Commits something else until the engine was given all that was there.
    fn settle(&mut self) {
        let before = self.storage.settlings();
        let others = [Key::new(&[b"other"])];
        let settles = (0..SETTLES_WITHIN).any(|_| {
            self.change(&others, &[]);
            self.storage.settlings() > before
        });
        assert!(settles, "no settling in {SETTLES_WITHIN} commits");
    }

    fn check(&self) {
        check(self.storage, &self.records);
    }
}

/// A reader shows these records and no others: by key, in one page and in many.
fn check(reader: &dyn Read, records: &Records) {
    for limit in [3, 1_000] {
        let mut found = Page::new();
        loop {
            let page = reader.scan(&[], found.last().map(|(key, _)| key), limit).expect("scan");
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert!(found.iter().map(|(key, value)| (key, value)).eq(records), "pages of {limit}");
    }
    for key in (0..=u8::MAX).map(key) {
        assert!(reader.get(&key).expect("read").as_ref() == records.get(&key), "{key:?}");
    }
}

fn snapshots_stay_as_they_were(storage: &dyn Storage) {
    let mut store = Watched::over(storage);
    store.change(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(key), &[]);
    let mut snapshots = vec![(storage.snapshot().expect("snapshot"), store.records.clone())];
    let before = storage.settlings();
    for round in 0..16 {
        // Each key is overwritten, removed and added again, and some are new.
        store.change(&[round % 7, round % 5, 20 + round].map(key), &[9 - round % 10, 19 + round].map(key));
        if round % 3 == 0 {
            snapshots.push((storage.snapshot().expect("snapshot"), store.records.clone()));
        }
        if round % 4 == 3 {
            store.settle();
        }
        snapshots.iter().for_each(|(snapshot, records)| check(&**snapshot, records));
        store.check();
    }
    let settlings = storage.settlings() - before;
    assert!(settlings >= 4, "only {settlings} settlings");
}

fn pages_show_what_is_there_when_they_are_asked_for(storage: &dyn Storage) {
    for limit in [1, 4, 7] {
        let mut store = Watched::over(storage);
        let all: Vec<Key> = (0..40).map(key).collect();
        store.change(&all, &[Key::new(&[b"other"])]);
        let (before, mut pages) = (storage.settlings(), 0);
        let mut after: Option<Key> = None;
        loop {
            let is_in = |key: &Key| key.as_bytes().starts_with(b"k") && after.is_none_or(|after| *key > after);
            let expected = store.records.iter().filter(|(key, _)| is_in(key)).take(limit);
            let page = storage.scan(b"k", after.as_ref(), limit).expect("scan");
            assert!(page.iter().map(|(key, value)| (key, value)).eq(expected), "page {pages} of {limit} after {after:?}");
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            pages += 1;
            // Before and behind where the scan stands.
            let some = |factor: u64| all[usize::try_from(pages * factor).expect("few") % all.len()];
            store.change(&[1, 3].map(some), &[7, 11].map(some));
            if pages % 2 == 0 {
                store.settle();
            }
        }
        let settlings = storage.settlings() - before;
        assert!(settlings >= pages / 2 && settlings > 1, "{settlings} settlings in {pages} pages");
    }
}

fn what_was_removed_stays_away_until_it_is_added_again(storage: &dyn Storage) {
    let mut store = Watched::over(storage);
    let keys = [1, 2, 3].map(key);
    let expecting = |storage: &dyn Storage, key: Key| Batch {
        number: storage.commit_number() + 1,
        expectations: vec![(key, Expected::Absent)],
        changes: [(key, None)].into(),
    };
    // Whether it settles before the removal, behind it, and behind what is added again.
    for round in 0..16_u32 {
        let settle_if = |store: &mut Watched<'_>, bit: u32| {
            if round & bit > 0 {
                store.settle();
            }
            store.check();
        };
        store.change(&keys, &[]);
        settle_if(&mut store, 1);
        assert!(matches!(storage.commit(&expecting(storage, keys[0])), Err(StorageError::Conflict)), "it is there");
        store.change(&[], &keys[..2]);
        settle_if(&mut store, 2);
        storage.commit(&expecting(storage, keys[0])).expect("it is gone");
        store.change(&keys[..1], &keys[2..]);
        settle_if(&mut store, 4);
        store.change(&keys[1..], &keys[..1]);
        settle_if(&mut store, 8);
    }
}

/// Keys that each commit of the writer gives a value.
const ALWAYS: [u8; 3] = [10, 11, 12];
/// A key that those of an even number give a value, and the others remove.
const SOMETIMES: u8 = 13;
const COMMITS: u64 = 250;

/// A writer, as its readers see it.
struct Writer<'s> {
    storage: &'s dyn Storage,
    /// The last commit that was acknowledged.
    acknowledged: AtomicU64,
}

fn readers_never_see_an_old_value_after_a_new_one(storage: &dyn Storage) {
    let mut store = Watched::over(storage);
    store.change(&ALWAYS.map(key), &[]);
    let writer = Writer { storage, acknowledged: AtomicU64::new(1) };
    let before = storage.settlings();
    std::thread::scope(|scope| {
        let readers = [read, scan, snapshot].map(|look| {
            let writer = &writer;
            scope.spawn(move || writer.watch(look))
        });
        while storage.commit_number() < COMMITS {
            let is_even = !storage.commit_number().is_multiple_of(2);
            let sometimes = [key(SOMETIMES)];
            let (put, removed) = sometimes.split_at(usize::from(is_even));
            store.change(&[&ALWAYS.map(key)[..], put].concat(), removed);
            writer.acknowledged.store(storage.commit_number(), Ordering::Release);
        }
        let seen = readers.map(|reader| reader.join().expect("a reader that has nothing to object"));
        assert!(seen.iter().all(|seen| *seen > 5), "so many states were seen: {seen:?}");
    });
    let settlings = storage.settlings() - before;
    assert!(settlings > COMMITS / 10, "only {settlings} settlings");
    store.check();
}

impl Writer<'_> {
    /// Looks again and again, until the last commit is acknowledged; how many states were seen.
    fn watch(&self, look: fn(&dyn Storage) -> Vec<u64>) -> u64 {
        let (mut newest, mut seen) = (1, 0);
        while newest < COMMITS {
            let least = self.acknowledged.load(Ordering::Acquire).max(newest);
            let numbers = look(self.storage);
            assert!(numbers.iter().all(|number| *number >= least), "{numbers:?} where {least} was there before");
            let found = numbers.into_iter().max().expect("there are values");
            seen += u64::from(found > newest);
            newest = found;
        }
        seen
    }
}

/// Reads the keys one after another, of which none is older than the one before.
fn read(storage: &dyn Storage) -> Vec<u64> {
    let numbers: Vec<u64> =
        ALWAYS.iter().map(|always| number_of(&storage.get(&key(*always)).expect("read").expect("it is there"))).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    numbers
}

/// Reads all in one page.
fn scan(storage: &dyn Storage) -> Vec<u64> {
    let page = storage.scan(b"k", None, 10).expect("scan");
    assert!(page.iter().map(|(key, _)| *key).take(ALWAYS.len()).eq(ALWAYS.map(key)), "each is there");
    page.iter().map(|(_, value)| number_of(value)).collect()
}

/// Reads one state, slowly.
fn snapshot(storage: &dyn Storage) -> Vec<u64> {
    let snapshot = storage.snapshot().expect("snapshot");
    let mut found = Page::new();
    while let Some(next) = snapshot.scan(b"k", found.last().map(|(key, _)| key), 1).expect("scan").pop() {
        found.push(next);
    }
    let numbers: Vec<u64> = found.iter().map(|(_, value)| number_of(value)).collect();
    assert!(numbers.iter().all(|number| *number == numbers[0]), "one state: {numbers:?}");
    assert_eq!(found.len(), ALWAYS.len() + usize::from(numbers[0].is_multiple_of(2)), "what commit {} has left", numbers[0]);
    found.iter().for_each(|(key, value)| assert!(snapshot.get(key).expect("read").as_ref() == Some(value), "the same by its key"));
    numbers
}

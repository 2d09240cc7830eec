//! The contract of a backend as a suite: whatever passes it, a vault can stand on.

mod settling;

use super::{Batch, Expected, Key, Storage, StorageError};
use crate::crypto::sha256;
use std::sync::atomic::{AtomicBool, Ordering};

type Changes = Vec<(Key, Option<Vec<u8>>)>;

/// Runs every check, each on an empty store that `fresh` gives.
///
/// # Panics
/// Where the backend breaks the contract.
pub fn suite(fresh: &dyn Fn() -> Box<dyn Storage>) {
    CHECKS.iter().for_each(|check| check(&*fresh()));
}

/// As [`suite`] on stores whose WAL is so small that the engine below is given it again and again; and what may go wrong where it is.
///
/// # Panics
/// Where the backend breaks the contract, or its engine was given nothing.
#[doc(hidden)]
pub fn suite_with_settlings(fresh: &dyn Fn() -> Box<dyn Storage>) {
    let settlings_of = |check: &fn(&dyn Storage)| {
        let storage = fresh();
        check(&*storage);
        storage.settlings()
    };
    let settlings: u64 = CHECKS.iter().map(settlings_of).sum();
    assert!(settlings > 50, "only {settlings} settlings");
    settling::CHECKS.iter().for_each(|check| check(&*fresh()));
}

const CHECKS: [fn(&dyn Storage); 8] = [
    batches_are_atomic_and_numbered,
    expectations_hold_or_nothing_is_applied,
    values_of_all_sizes_replace_one_another,
    scans_are_ordered_and_paged,
    snapshots_do_not_change,
    readers_never_see_half_a_batch,
    heads_and_segments_are_kept,
    closed_stores_answer_so,
];

/// Checks that a store which was closed and opened again holds what was committed.
///
/// # Panics
/// Where it does not.
pub fn reopening(fresh: &dyn Fn() -> Box<dyn Storage>, reopen: &dyn Fn() -> Box<dyn Storage>) {
    let before = fresh();
    commit(&*before, vec![(key(1), Some(vec![1; 100])), (key(2), Some(vec![2; 300_000])), (key(3), Some(Vec::new()))]);
    commit(&*before, vec![(key(1), None)]);
    before.note_head(2, &[7; 32]).expect("a head");
    before.write_segment(1, b"segment").expect("a segment");
    before.close().expect("closed");
    let after = reopen();
    assert_eq!(after.commit_number(), 2);
    assert_eq!(after.get(&key(1)).expect("read"), None);
    assert_eq!(after.get(&key(2)).expect("read"), Some(vec![2; 300_000]));
    assert_eq!(after.get(&key(3)).expect("read"), Some(Vec::new()));
    assert_eq!(after.heads().expect("heads"), [(2, [7; 32])]);
    assert_eq!(after.read_segment(1).expect("read").as_deref(), Some(&b"segment"[..]));
}

fn key(number: u8) -> Key {
    Key::new(&[b"k", &[number]])
}

fn commit(storage: &dyn Storage, changes: Changes) {
    let number = storage.commit_number() + 1;
    storage.commit(&Batch { number, expectations: Vec::new(), changes: changes.into_iter().collect() }).expect("committed");
}

fn batches_are_atomic_and_numbered(storage: &dyn Storage) {
    assert_eq!(storage.commit_number(), 0);
    commit(storage, vec![(key(1), Some(vec![1])), (key(2), Some(vec![2]))]);
    assert_eq!(storage.commit_number(), 1);
    for number in [0, 1, 3] {
        let batch = Batch { number, expectations: Vec::new(), changes: [(key(1), None)].into() };
        assert!(matches!(storage.commit(&batch), Err(StorageError::Invalid(_))), "number {number}");
    }
    assert_eq!(storage.get(&key(1)).expect("read"), Some(vec![1]));
    commit(storage, vec![(key(1), None), (key(3), None)]);
    assert_eq!(storage.get(&key(1)).expect("read"), None);
    assert_eq!(storage.commit_number(), 2);
}

fn expectations_hold_or_nothing_is_applied(storage: &dyn Storage) {
    commit(storage, vec![(key(1), Some(vec![1]))]);
    let expecting = |key: Key, expected: Expected| Batch {
        number: 2,
        expectations: vec![(key, expected)],
        changes: [(super::Key::new(&[b"new"]), Some(vec![9]))].into(),
    };
    for (key, expected) in [(key(1), Expected::Absent), (key(2), Expected::Sha256([0; 32])), (key(1), Expected::Sha256(sha256(&[&[2]])))] {
        assert!(matches!(storage.commit(&expecting(key, expected)), Err(StorageError::Conflict)));
        assert_eq!(storage.get(&Key::new(&[b"new"])).expect("read"), None);
        assert_eq!(storage.commit_number(), 1, "a conflict is no commit and poisons nothing");
    }
    storage.commit(&expecting(key(1), Expected::Sha256(sha256(&[&[1]])))).expect("the value is the expected one");
    storage.commit(&Batch { number: 3, ..expecting(key(2), Expected::Absent) }).expect("the value is absent, as expected");
}

fn values_of_all_sizes_replace_one_another(storage: &dyn Storage) {
    let sizes = [0, 1, 4095, 4096, 4097, 100_000, 16, 2 * 1024 * 1024, 0, 5000, 5000];
    for (round, size) in sizes.into_iter().enumerate() {
        let value = vec![u8::try_from(round).expect("few"); size];
        commit(storage, vec![(key(1), Some(value.clone())), (key(2), Some(vec![2]))]);
        assert!(storage.get(&key(1)).expect("read") == Some(value), "size {size}");
        assert_eq!(storage.scan(&[], None, 10).expect("scan").len(), 2, "no part of a larger value is left");
    }
    commit(storage, vec![(key(1), None)]);
    assert_eq!(storage.scan(&[], None, 10).expect("scan"), [(key(2), vec![2])]);
}

fn scans_are_ordered_and_paged(storage: &dyn Storage) {
    let keys: Vec<Key> = (0..100_u8).map(|number| Key::new(&[&[number % 3], &[number], b"rest"])).collect();
    commit(storage, keys.iter().map(|key| (*key, Some(key.as_bytes().to_vec()))).collect());
    commit(storage, vec![(Key::new(&[&[255; 48]]), Some(vec![1])), (Key::new(&[&[1]]), Some(vec![1]))]);
    let mut expected: Vec<Key> = keys.into_iter().filter(|key| key.as_bytes()[0] == 1).chain([Key::new(&[&[1]])]).collect();
    expected.sort();
    for limit in [1, 2, 7, 1000] {
        let mut found = Vec::new();
        loop {
            let page = storage.scan(&[1], found.last(), limit).expect("scan");
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            found.extend(page.into_iter().map(|(key, _)| key));
        }
        assert_eq!(found, expected, "pages of {limit}");
    }
    assert_eq!(storage.scan(&[255], None, 10).expect("scan").len(), 1);
    assert!(storage.scan(&[7], None, 10).expect("scan").is_empty());
    assert_eq!(storage.scan(&[], None, usize::MAX).expect("scan").len(), 102);
}

fn snapshots_do_not_change(storage: &dyn Storage) {
    commit(storage, (0..20).map(|number| (key(number), Some(vec![number]))).collect());
    let first = storage.snapshot().expect("snapshot");
    let before = first.scan(&[], None, 1000).expect("scan");
    commit(storage, vec![(key(0), None), (key(1), Some(vec![99])), (key(200), Some(vec![200]))]);
    let second = storage.snapshot().expect("snapshot");
    commit(storage, vec![(key(1), Some(vec![100; 20_000])), (key(2), None), (key(0), Some(vec![7]))]);
    assert_eq!(first.scan(&[], None, 1000).expect("scan"), before);
    assert_eq!(first.get(&key(200)).expect("read"), None);
    assert_eq!(first.get(&key(0)).expect("read"), Some(vec![0]));
    assert_eq!(second.get(&key(0)).expect("read"), None);
    assert_eq!(second.get(&key(1)).expect("read"), Some(vec![99]));
    let mut paged = Vec::new();
    while let Some((key, value)) = first.scan(&[], paged.last().map(|(key, _)| key), 1).expect("scan").pop() {
        paged.push((key, value));
    }
    assert_eq!(paged, before, "page by page it is the same");
}

fn readers_never_see_half_a_batch(storage: &dyn Storage) {
    commit(storage, (0..10).map(|number| (key(number), Some(vec![0]))).collect());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let snapshot = storage.snapshot().expect("snapshot");
                    let page = snapshot.scan(&[], None, 100).expect("scan");
                    assert!(page.len() == 10 && page.iter().all(|(_, value)| *value == page[0].1), "half a batch: {page:?}");
                    assert_eq!(snapshot.get(&key(5)).expect("read").as_ref(), Some(&page[0].1));
                }
            });
        }
        for round in 1..=100 {
            commit(storage, (0..10).map(|number| (key(number), Some(vec![round; 1 + usize::from(round) * 60]))).collect());
            assert_eq!(storage.get(&key(3)).expect("read").map(|value| value[0]), Some(round));
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn heads_and_segments_are_kept(storage: &dyn Storage) {
    assert!(storage.heads().expect("heads").is_empty());
    for number in 1..=5 {
        storage.note_head(number, &[u8::try_from(number).expect("few"); 32]).expect("a head");
    }
    let mut heads = storage.heads().expect("heads");
    heads.sort_unstable();
    assert_eq!(heads, [(4, [4; 32]), (5, [5; 32])]);
    assert_eq!(storage.read_segment(1).expect("read"), None);
    storage.write_segment(1, b"left by a crash").expect("a segment");
    storage.write_segment(1, b"one").expect("the same segment");
    storage.write_segment(2, &[2; 100_000]).expect("a segment");
    assert_eq!(storage.read_segment(1).expect("read").as_deref(), Some(&b"one"[..]));
    assert_eq!(storage.read_segment(2).expect("read"), Some(vec![2; 100_000]));
    assert!(storage.remove_segment(1).expect("removed"));
    assert!(!storage.remove_segment(1).expect("gone already"));
    assert_eq!(storage.read_segment(1).expect("read"), None);
}

fn closed_stores_answer_so(storage: &dyn Storage) {
    storage.close().expect("closed");
    storage.close().expect("closing twice is fine");
    let closed = |error: StorageError| matches!(error, StorageError::Closed);
    assert!(storage.get(&key(1)).is_err_and(closed));
    assert!(storage.scan(&[], None, 1).is_err_and(closed));
    let batch = Batch { number: 1, expectations: Vec::new(), changes: [(key(1), None)].into() };
    assert!(storage.commit(&batch).is_err_and(closed));
}

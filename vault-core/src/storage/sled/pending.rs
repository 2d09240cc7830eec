//! What sled is not handed yet of the commits that are durable in the WAL: each record in its last state. Readers look here first.

use super::super::preimage::overlaid;
use super::super::{Batch, Key, Page, StorageError};
use parking_lot::{RwLock, RwLockReadGuard};
use std::collections::BTreeMap;
use std::ops::Bound;

/// New values by key; `None` where a record was removed.
pub(super) type Changes = BTreeMap<Key, Option<Vec<u8>>>;

/// The changes of commits that sled is handed together, later.
#[derive(Default)]
pub(super) struct Pending(RwLock<Changes>);

impl Pending {
    /// Shows a commit, which is durable now: all of it at once.
    pub(super) fn add(&self, batch: &Batch) {
        self.0.write().extend(batch.changes.iter().map(|(key, change)| (*key, change.clone())));
    }

    /// All of it. A writer waits meanwhile, and nobody else.
    pub(super) fn changes(&self) -> RwLockReadGuard<'_, Changes> {
        self.0.read()
    }

    /// sled holds all of it durably.
    pub(super) fn clear(&self) {
        self.0.write().clear();
    }

    /// The value of a key. Looked for here first: what goes from here is in sled already.
    pub(super) fn get(
        &self,
        key: &Key,
        engine: impl FnOnce() -> Result<Option<Vec<u8>>, StorageError>,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let found = self.0.read().get(key).cloned();
        found.map_or_else(engine, Ok)
    }

    /// A page of values; `engine` gives at most as many as it is told.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: usize,
        engine: impl Fn(usize) -> Result<Page, StorageError>,
    ) -> Result<Page, StorageError> {
        let (changes, removals) = self.page(prefix, after, limit);
        let asked = limit.saturating_add(removals);
        Ok(overlaid(engine(asked)?, asked, &changes, prefix, after, limit))
    }

    /// Changes up to the last one that a page of so many may need, and how many of them are removals.
    fn page(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> (Changes, usize) {
        let (mut page, mut removals) = (Changes::new(), 0);
        let first = Key::new(&[prefix]);
        let start = after.filter(|after| **after >= first).map_or(Bound::Included(&first), Bound::Excluded);
        for (key, change) in self.0.read().range((start, Bound::Unbounded)).take_while(|(key, _)| key.as_bytes().starts_with(prefix)) {
            if page.len() - removals == limit {
                break;
            }
            removals += usize::from(change.is_none());
            page.insert(*key, change.clone());
        }
        (page, removals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Key {
        Key::new(&[b"k", &[number]])
    }

    #[test]
    fn a_page_has_what_is_in_memory_in_the_place_of_what_is_in_sled() {
        let engine: Page = (0..12).map(|number| (key(7 * number), vec![0])).collect();
        let pending = Pending::default();
        let changes: Changes = (0..80).step_by(3).map(|number| (key(number), (number % 4 != 0).then(|| vec![1]))).collect();
        let mut expected: BTreeMap<Key, Vec<u8>> = engine.iter().cloned().collect();
        for (key, change) in &changes {
            match change {
                Some(value) => expected.insert(*key, value.clone()),
                None => expected.remove(key),
            };
        }
        pending.add(&Batch { number: 1, expectations: Vec::new(), changes });
        for limit in [1, 2, 7, 30, 1_000] {
            let mut found = Page::new();
            loop {
                let after = found.last().map(|(key, _)| *key);
                let of_engine =
                    |asked| Ok(engine.iter().filter(|(key, _)| after.is_none_or(|after| *key > after)).take(asked).cloned().collect());
                let page = pending.scan(b"k", after.as_ref(), limit, of_engine).expect("a page");
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                found.extend(page);
            }
            assert!(found.iter().cloned().eq(expected.clone()), "pages of {limit}");
        }
        assert_eq!(pending.get(&key(3), || Ok(None)).expect("read"), Some(vec![1]));
        assert_eq!(pending.get(&key(12), || Ok(Some(vec![0]))).expect("read"), None);
        assert_eq!(pending.get(&key(7), || Ok(Some(vec![0]))).expect("read"), Some(vec![0]));
    }
}

//! A store in memory: for tests, and for vaults that need no disk.

use super::{Batch, Expected, Key, Page, Read, Storage, StorageError};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

type Records = BTreeMap<Key, Arc<[u8]>>;

/// Records for which a page has room from the beginning.
const PAGE_RESERVED_MAX: usize = 1_024;

/// A store that is gone when it is dropped.
#[derive(Default)]
pub struct MemoryStorage(RwLock<Memory>);

#[derive(Clone, Default)]
struct Memory {
    /// Shared with snapshots, and copied by the first commit after one was taken.
    records: Arc<Records>,
    number: u64,
    heads: [Option<(u64, [u8; 32])>; 2],
    segments: BTreeMap<u64, Arc<[u8]>>,
    closed: bool,
}

impl MemoryStorage {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of the store as it is, open.
    #[must_use]
    pub fn copy(&self) -> Self {
        MemoryStorage(RwLock::new(Memory { closed: false, ..self.0.read().clone() }))
    }

    fn open<R>(&self, with: impl FnOnce(&Memory) -> R) -> Result<R, StorageError> {
        let memory = self.0.read();
        if memory.closed { Err(StorageError::Closed) } else { Ok(with(&memory)) }
    }
}

/// A snapshot: the records of one moment.
struct Snapshot(Arc<Records>);

impl Read for Snapshot {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.get(key).map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        Ok(page(&self.0, prefix, after, limit))
    }
}

impl Read for MemoryStorage {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.open(|memory| memory.records.get(key).map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.open(|memory| page(&memory.records, prefix, after, limit))
    }
}

impl Storage for MemoryStorage {
    fn commit_number(&self) -> u64 {
        self.0.read().number
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StorageError> {
        self.open(|memory| Box::new(Snapshot(Arc::clone(&memory.records))) as Box<dyn Read>)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StorageError> {
        let mut memory = self.0.write();
        if memory.closed {
            return Err(StorageError::Closed);
        }
        if batch.number != memory.number + 1 {
            return Err(StorageError::Invalid("commit numbers must be consecutive"));
        }
        for (key, expected) in &batch.expectations {
            if Expected::of(memory.records.get(key).map(|value| &**value)) != *expected {
                return Err(StorageError::Conflict);
            }
        }
        let records = Arc::make_mut(&mut memory.records);
        for (key, change) in &batch.changes {
            match change {
                Some(value) => records.insert(*key, value.as_slice().into()),
                None => records.remove(key),
            };
        }
        memory.number = batch.number;
        Ok(())
    }

    fn note_head(&self, number: u64, mac: &[u8; 32]) -> Result<(), StorageError> {
        let mut memory = self.0.write();
        memory.heads[(number % 2) as usize] = Some((number, *mac));
        Ok(())
    }

    fn heads(&self) -> Result<Vec<(u64, [u8; 32])>, StorageError> {
        self.open(|memory| memory.heads.into_iter().flatten().collect())
    }

    fn write_segment(&self, index: u64, content: &[u8]) -> Result<(), StorageError> {
        self.0.write().segments.insert(index, content.into());
        Ok(())
    }

    fn read_segment(&self, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.open(|memory| memory.segments.get(&index).map(|content| content.to_vec()))
    }

    fn remove_segment(&self, index: u64) -> Result<bool, StorageError> {
        Ok(self.0.write().segments.remove(&index).is_some())
    }

    fn close(&self) -> Result<(), StorageError> {
        self.0.write().closed = true;
        Ok(())
    }
}

fn page(records: &Records, prefix: &[u8], after: Option<&Key>, limit: usize) -> Page {
    let start = after.copied().unwrap_or(Key::new(&[prefix])).max(Key::new(&[prefix]));
    // Of its full size at once: a page that grows is copied each time.
    let mut page = Page::with_capacity(limit.min(PAGE_RESERVED_MAX));
    let found = records
        .range(start..)
        .filter(|(key, _)| after.is_none_or(|after| *key > after))
        .take_while(|(key, _)| key.as_bytes().starts_with(prefix))
        .take(limit)
        .map(|(key, value)| (*key, value.to_vec()));
    page.extend(found);
    page
}

//! A store in memory whose reads are counted, and between whose reads something can happen.
#![allow(dead_code, unreachable_pub, reason = "each test binary takes what it needs")]

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Batch, Key, Page, Read, Storage, StorageError};

pub type Then = Box<dyn FnOnce() + Send>;

/// A store in memory that counts its reads, and can let something happen behind one of them before its reader goes on.
#[derive(Default)]
pub struct Watched {
    inner: MemoryStorage,
    /// Records that were read.
    read: AtomicU64,
    /// Reads, whatever they found.
    asked: AtomicU64,
    /// Reads that are left until then.
    left: AtomicUsize,
    /// It happens before that read, and not behind it.
    is_ahead: AtomicBool,
    then: Mutex<Option<Then>>,
}

impl Watched {
    /// Records that were read so far.
    pub fn records_read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    /// How often something was read, or looked for, so far.
    pub fn reads(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Plans it for behind the read of this number, from now on.
    pub fn behind(&self, read: usize, then: Then) {
        self.plan(read, then, false);
    }

    /// Plans it for before the read of this number, from now on.
    pub fn ahead_of(&self, read: usize, then: Then) {
        self.plan(read, then, true);
    }

    fn plan(&self, read: usize, then: Then, is_ahead: bool) {
        *self.then.lock() = Some(then);
        self.is_ahead.store(is_ahead, Ordering::SeqCst);
        self.left.store(read, Ordering::SeqCst);
    }

    /// Whether it has happened.
    pub fn is_over(&self) -> bool {
        self.then.lock().take().is_none()
    }

    /// A read is made, around which something may be planned.
    fn read<T>(&self, read: impl FnOnce() -> T, records: impl FnOnce(&T) -> usize) -> T {
        let is_ahead = self.is_ahead.load(Ordering::SeqCst);
        if is_ahead {
            self.passed();
        }
        let found = read();
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.read.fetch_add(records(&found) as u64, Ordering::SeqCst);
        if !is_ahead {
            self.passed();
        }
        found
    }

    fn passed(&self) {
        if self.left.load(Ordering::SeqCst) > 0 && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let then = self.then.lock().take();
            if let Some(then) = then {
                then();
            }
        }
    }
}

impl Read for Watched {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.read(|| self.inner.get(key), |_| 1)
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.read(|| self.inner.scan(prefix, after, limit), |page| page.as_ref().map_or(0, Vec::len))
    }
}

impl Storage for Watched {
    fn commit_number(&self) -> u64 {
        self.inner.commit_number()
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StorageError> {
        self.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), StorageError> {
        self.inner.commit(batch)
    }

    fn note_head(&self, number: u64, mac: &[u8; 32]) -> Result<(), StorageError> {
        self.inner.note_head(number, mac)
    }

    fn heads(&self) -> Result<Vec<(u64, [u8; 32])>, StorageError> {
        self.inner.heads()
    }

    fn write_segment(&self, index: u64, content: &[u8]) -> Result<(), StorageError> {
        self.inner.write_segment(index, content)
    }

    fn read_segment(&self, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.inner.read_segment(index)
    }

    fn remove_segment(&self, index: u64) -> Result<bool, StorageError> {
        self.inner.remove_segment(index)
    }

    fn close(&self) -> Result<(), StorageError> {
        self.inner.close()
    }
}

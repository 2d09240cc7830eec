//! A store that fails when it is told to: what the tests of everything above stand on.

use super::memory::MemoryStorage;
use super::{Batch, Key, Page, Read, Storage, StorageError};
use parking_lot::Mutex;
use std::io::ErrorKind;

/// How a commit fails. In both cases the vault cannot know which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of the batch is there after a restart.
    Lost,
    /// All of the batch is there after a restart.
    Applied,
}

/// A store in memory with faults to order.
#[derive(Default)]
pub struct FaultyStorage {
    inner: MemoryStorage,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    /// The commit that fails, by its number.
    commit: Option<(u64, Fault)>,
    /// What a commit that was applied in doubt has left for the next life; until then nobody may see it.
    in_doubt: Option<MemoryStorage>,
    poisoned: bool,
    reads_fail: bool,
    is_full: bool,
}

impl FaultyStorage {
    /// A store over these records, without any fault yet.
    #[must_use]
    pub fn over(inner: MemoryStorage) -> Self {
        FaultyStorage { inner, plan: Mutex::default() }
    }

    /// Lets the commit with this number fail.
    pub fn fail_commit(&self, number: u64, fault: Fault) {
        self.plan.lock().commit = Some((number, fault));
    }

    /// Lets every read fail, or none.
    pub fn fail_reads(&self, fail: bool) {
        self.plan.lock().reads_fail = fail;
    }

    /// Lets the device be full for segments, or not.
    pub fn fill(&self, is_full: bool) {
        self.plan.lock().is_full = is_full;
    }

    /// What a process finds that opens the store after this one has died.
    #[must_use]
    pub fn restart(&self) -> MemoryStorage {
        self.plan.lock().in_doubt.as_ref().unwrap_or(&self.inner).copy()
    }

    fn check_read(&self) -> Result<(), StorageError> {
        let plan = self.plan.lock();
        match (plan.poisoned, plan.reads_fail) {
            (true, _) => Err(StorageError::Poisoned),
            (false, true) => Err(StorageError::Io { action: "reading", source: ErrorKind::InvalidData.into() }),
            (false, false) => Ok(()),
        }
    }
}

impl Read for FaultyStorage {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.check_read()?;
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.check_read()?;
        self.inner.scan(prefix, after, limit)
    }
}

impl Storage for FaultyStorage {
    fn commit_number(&self) -> u64 {
        self.inner.commit_number()
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StorageError> {
        self.check_read()?;
        self.inner.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), StorageError> {
        let mut plan = self.plan.lock();
        if plan.poisoned {
            return Err(StorageError::Poisoned);
        }
        match plan.commit {
            Some((number, fault)) if number == batch.number => {
                if fault == Fault::Applied {
                    let applied = self.inner.copy();
                    applied.commit(batch)?;
                    plan.in_doubt = Some(applied);
                }
                plan.poisoned = true;
                Err(StorageError::Io { action: "syncing the log", source: ErrorKind::Other.into() })
            }
            _ => self.inner.commit(batch),
        }
    }

    fn note_head(&self, number: u64, mac: &[u8; 32]) -> Result<(), StorageError> {
        self.inner.note_head(number, mac)
    }

    fn heads(&self) -> Result<Vec<(u64, [u8; 32])>, StorageError> {
        self.inner.heads()
    }

    fn write_segment(&self, index: u64, content: &[u8]) -> Result<(), StorageError> {
        if self.plan.lock().is_full {
            return Err(StorageError::Io { action: "writing an audit segment", source: ErrorKind::StorageFull.into() });
        }
        self.inner.write_segment(index, content)
    }

    fn remove_segment(&self, index: u64) -> Result<bool, StorageError> {
        self.inner.remove_segment(index)
    }

    fn read_segment(&self, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.check_read()?;
        self.inner.read_segment(index)
    }

    fn close(&self) -> Result<(), StorageError> {
        self.inner.close()
    }
}

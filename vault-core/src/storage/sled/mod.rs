//! The store on disk, over sled 0.34.7. ARCHITECTURE.md says why it stands on sled in this way.
//!
//! A store is a directory `{LOCK, HEAD, audit/, CURRENT, WAL, g-N/}`: `current` says which generation counts, `recovery` opens it in a private
//! copy, `compaction` writes a fresh one, `engine` lays records into one tree of sled's, `load` says how much at a time, `cleaner` has sled use
//! its file's room again, `handle` makes sled's calls come back. A commit is durable in the WAL and shown from memory
//! (`../recent.rs`) until sled is handed many of them at once.

mod cleaner;
mod compaction;
mod current;
mod engine;
mod handle;
mod load;
mod recovery;

use super::home::Home;
use super::preimage::{PreImages, SnapshotNotes};
use super::recent::{self, Recent};
use super::segments::Segments;
use super::{Backend, Batch, Compaction, Expected, Key, Page, Read, Storage, StorageError};
use crate::os::ForkGuard;
use engine::Engine;
use parking_lot::{Mutex, RwLock};
use recovery::Recovered;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where a store lies, and how it is held.
#[derive(Clone, Debug)]
pub struct SledOptions {
    /// The store's directory.
    pub path: PathBuf,
    /// Size of sled's page cache, in bytes.
    pub cache_bytes: u64,
}

/// A store on disk.
pub struct SledStorage {
    home: Home,
    segments: Segments,
    /// Gone once the store is closed.
    engine: RwLock<Option<Engine>>,
    /// The commits that the engine does not have yet.
    recent: Recent,
    pre_images: PreImages,
    committing: Mutex<()>,
    /// Held by a compaction, and by closing.
    compacting: Mutex<()>,
    closing: AtomicBool,
    /// Of the cache of the next generation.
    cache_bytes: u64,
    number: AtomicU64,
    poisoned: AtomicBool,
    fork: ForkGuard,
}

/// What the content of CURRENT says: the generation, and the commit number when it was opened last; `None` where it was altered or cut.
pub(super) fn read_current(bytes: &[u8]) -> Option<(u64, u64)> {
    current::Current::parse(bytes).map(|current| (current.generation, current.number))
}

impl SledStorage {
    /// Makes an empty store, whole or not at all, and opens it.
    ///
    /// # Errors
    /// `Exists` when there is one, `NotAStore` when there is something else, `Io` when the device fails.
    pub fn create(options: &SledOptions) -> Result<Self, StorageError> {
        Self::create_with(options, None)
    }

    /// Makes an empty store with a WAL of this size, unless that is the usual one.
    pub(super) fn create_with(options: &SledOptions, wal_bytes: Option<usize>) -> Result<Self, StorageError> {
        let wal_bytes = wal_bytes.unwrap_or(recovery::WAL_BYTES);
        let home = recovery::create(options, wal_bytes)?;
        Self::recover(home, options, wal_bytes)
    }

    /// Opens a store.
    ///
    /// # Errors
    /// `NotAStore`, `Locked` with the pid of the holder, `Corrupt`, `LostCommits`; what was there is left as it was.
    pub fn open(options: &SledOptions) -> Result<Self, StorageError> {
        Self::open_with(options, None)
    }

    /// Opens a store with a WAL of this size, unless that is the usual one.
    pub(super) fn open_with(options: &SledOptions, wal_bytes: Option<usize>) -> Result<Self, StorageError> {
        let home = Home::lock(&options.path, Backend::Sled)?;
        Self::recover(home, options, wal_bytes.unwrap_or(recovery::WAL_BYTES))
    }

    /// Opens a copy of a generation in an empty directory, whatever became of its commits; the audit segments are those in `audit`.
    pub(super) fn open_copy(generation: &Path, scratch: &Path, audit: PathBuf, cache_bytes: u64) -> Result<(Self, bool), StorageError> {
        let home = Home::lock_dir(scratch)?;
        let (recovered, is_sound) = recovery::open_beside(&home, generation, cache_bytes).inspect_err(|_| home.unlock())?;
        Ok((Self::over(home, audit, recovered, cache_bytes), is_sound))
    }

    fn recover(home: Home, options: &SledOptions, wal_bytes: usize) -> Result<Self, StorageError> {
        let recovered = recovery::recover(&home, options.cache_bytes, wal_bytes).inspect_err(|_| home.unlock())?;
        let audit = home.audit_dir();
        Ok(Self::over(home, audit, recovered, options.cache_bytes))
    }

    fn over(home: Home, audit: PathBuf, recovered: Recovered, cache_bytes: u64) -> Self {
        let Recovered { engine, wal, number } = recovered;
        SledStorage {
            segments: Segments::at(audit),
            home,
            engine: RwLock::new(Some(engine)),
            recent: Recent::over(wal),
            pre_images: PreImages::default(),
            committing: Mutex::new(()),
            compacting: Mutex::new(()),
            closing: AtomicBool::new(false),
            cache_bytes,
            number: AtomicU64::new(number),
            poisoned: AtomicBool::new(false),
            fork: ForkGuard::new(),
        }
    }

    fn with_engine<R>(&self, with: impl FnOnce(&Engine) -> Result<R, StorageError>) -> Result<R, StorageError> {
        self.check()?;
        with(self.engine.read().as_ref().ok_or(StorageError::Closed)?)
    }

    fn check(&self) -> Result<(), StorageError> {
        if self.fork.is_forked() {
            Err(StorageError::Forked)
        } else if self.poisoned.load(Ordering::Acquire) {
            Err(StorageError::Poisoned)
        } else {
            Ok(())
        }
    }

    /// Whether a batch is the next one and what it expects holds.
    fn validate(&self, engine: &Engine, batch: &Batch) -> Result<(), StorageError> {
        if batch.number != self.number.load(Ordering::Acquire) + 1 {
            return Err(StorageError::Invalid("commit numbers must be consecutive"));
        }
        for (key, expected) in &batch.expectations {
            if Expected::of(self.find(engine, key)?.as_deref()) != *expected {
                return Err(StorageError::Conflict);
            }
        }
        Ok(())
    }

    fn find(&self, engine: &Engine, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.recent.get(key, || engine.get(key))
    }

    fn page(&self, engine: &Engine, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        recent::scan(&self.recent.changes(), (prefix, after), limit, |after, limit| engine.scan(prefix, after, limit))
    }
}

impl Read for SledStorage {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.with_engine(|engine| self.find(engine, key))
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.with_engine(|engine| self.page(engine, prefix, after, limit))
    }
}

/// A snapshot: the store, but for what has changed since.
struct Snapshot<'s> {
    storage: &'s SledStorage,
    notes: Arc<SnapshotNotes>,
}

impl Read for Snapshot<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.storage.with_engine(|engine| self.notes.get(key, || self.storage.find(engine, key)))
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.storage.with_engine(|engine| self.notes.scan(prefix, after, limit, |limit| self.storage.page(engine, prefix, after, limit)))
    }
}

impl Storage for SledStorage {
    fn commit_number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StorageError> {
        self.check()?;
        let _committing = self.committing.lock();
        Ok(Box::new(Snapshot { storage: self, notes: self.pre_images.snapshot() }))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StorageError> {
        let _committing = self.committing.lock();
        self.with_engine(|engine| {
            self.validate(engine, batch)?;
            self.pre_images.note(batch.changes.keys(), |key| self.find(engine, key))?;
            if let Err(error) = self.recent.commit(batch, |changes, number| engine.settle(changes, number)) {
                self.poisoned.store(true, Ordering::Release);
                return Err(error);
            }
            self.number.store(batch.number, Ordering::Release);
            Ok(())
        })
    }

    #[cfg(any(test, feature = "testing"))]
    fn settlings(&self) -> u64 {
        self.recent.settlings()
    }

    fn note_head(&self, number: u64, mac: &[u8; 32]) -> Result<(), StorageError> {
        self.with_engine(|_| self.home.write_head(number, mac))
    }

    fn heads(&self) -> Result<Vec<(u64, [u8; 32])>, StorageError> {
        self.with_engine(|_| self.home.heads())
    }

    fn write_segment(&self, index: u64, content: &[u8]) -> Result<(), StorageError> {
        self.with_engine(|_| self.segments.write(index, content))
    }

    fn read_segment(&self, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.with_engine(|_| self.segments.read(index))
    }

    fn remove_segment(&self, index: u64) -> Result<bool, StorageError> {
        self.with_engine(|_| self.segments.remove(index))
    }

    fn compact(&self) -> Result<Compaction, StorageError> {
        compaction::compact(self)
    }

    fn close(&self) -> Result<(), StorageError> {
        if self.fork.is_forked() {
            return Err(StorageError::Forked);
        }
        // A compaction must have let go of the directory before somebody else may open it: it ends at its next page.
        self.closing.store(true, Ordering::Release);
        let _compacting = self.compacting.lock();
        let _committing = self.committing.lock();
        let engine = self.engine.write().take();
        let closed = engine.map_or(Ok(()), |engine| {
            // Where it fails the WAL has what sled has not.
            let _settled = self.recent.settle(|changes, number| engine.settle(changes, number)).and_then(|()| self.recent.wipe());
            engine.close()
        });
        self.home.unlock();
        closed
    }
}

impl Drop for SledStorage {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            // In a child sled's threads do not exist and its destructor would wait for them: what it holds is left to the end of the process.
            std::mem::forget(self.engine.get_mut().take());
        } else {
            // Nobody is left to tell of a failure; `close` does.
            let _outcome = self.close();
        }
    }
}

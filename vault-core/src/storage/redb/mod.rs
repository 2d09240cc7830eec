//! The store on disk over redb 4: a directory `{LOCK, HEAD, audit/, store.redb, WAL}`.
//!
//! redb's readers see only what was committed, and its read transactions are snapshots: that much of the contract of storage is what it does by itself.
//! A commit is durable in the WAL before redb has it, which makes it durable itself only now and then, with many others.
//! What redb does not tell is that commits were lost: HEAD does.

mod engine;

use super::home::{Home, open_file, sync_all};
use super::segments::Segments;
use super::{Backend, Batch, Compaction, Expected, Key, Page, Read, Storage, StorageError, files, wal};
use crate::os::ForkGuard;
use engine::{Check, Engine, View};
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The usual size of the WAL: so much is written to it before redb is given it.
const WAL_BYTES: usize = 2 * 1024 * 1024;

/// Where a store lies, and how it is held.
#[derive(Clone, Debug)]
pub struct RedbOptions {
    /// The store's directory.
    pub path: PathBuf,
    /// Size of redb's page cache, in bytes.
    pub cache_bytes: u64,
}

/// A store on disk.
pub struct RedbStorage {
    home: Home,
    segments: Segments,
    /// Gone once the store is closed.
    engine: RwLock<Option<Engine>>,
    committing: Mutex<()>,
    number: AtomicU64,
    poisoned: AtomicBool,
    fork: ForkGuard,
}

impl RedbStorage {
    /// Makes an empty store, whole or not at all, and opens it.
    ///
    /// # Errors
    /// `Exists` when there is one, `NotAStore` when there is something else, `Io` when the device fails.
    pub fn create(options: &RedbOptions) -> Result<Self, StorageError> {
        Self::create_with(options, None)
    }

    /// Makes an empty store with a WAL of this size, unless that is the usual one.
    pub(super) fn create_with(options: &RedbOptions, wal_bytes: Option<usize>) -> Result<Self, StorageError> {
        let wal_bytes = wal_bytes.unwrap_or(WAL_BYTES);
        let home = Home::create(&options.path, |home| {
            let file = home.dir().join(Backend::Redb.marker());
            drop(open_file(&file).map_err(files::io("making the store's file"))?);
            Engine::create(&file, options.cache_bytes, wal_bytes)?.close()?;
            sync_all(home.dir())
        })?;
        Self::over(home, options, wal_bytes)
    }

    /// Opens a store.
    ///
    /// # Errors
    /// `NotAStore`, `Locked` with the pid of the holder, `Corrupt`, `LostCommits`; what was there is left as it was.
    pub fn open(options: &RedbOptions) -> Result<Self, StorageError> {
        Self::open_with(options, None)
    }

    /// Opens a store with a WAL of this size, unless that is the usual one.
    pub(super) fn open_with(options: &RedbOptions, wal_bytes: Option<usize>) -> Result<Self, StorageError> {
        Self::over(Home::lock(&options.path, Backend::Redb)?, options, wal_bytes.unwrap_or(WAL_BYTES))
    }

    fn over(home: Home, options: &RedbOptions, wal_bytes: usize) -> Result<Self, StorageError> {
        let file = home.dir().join(Backend::Redb.marker());
        let opened = Engine::open(&file, options.cache_bytes, wal_bytes, Check::Usual).and_then(|engine| {
            let number = engine.number()?;
            home.check_number(number, 0)?;
            Ok((engine, number))
        });
        let (engine, number) = opened.inspect_err(|_| home.unlock())?;
        let audit = home.audit_dir();
        Ok(Self::of(home, audit, engine, number))
    }

    /// Opens a copy of a database in an empty directory, whatever became of its commits; the audit segments are those in `audit`. With
    /// `checked` every page has to be sound; without, what is not is found when it is read.
    pub(super) fn open_copy(file: &Path, scratch: &Path, audit: PathBuf, cache_bytes: u64, checked: bool) -> Result<Self, StorageError> {
        let home = Home::lock_dir(scratch)?;
        let own = scratch.join(Backend::Redb.marker());
        let check = if checked { Check::Whole } else { Check::Nothing };
        let opened = files::copy(file, &own).map_err(files::io("copying the store"));
        let opened = opened.and_then(|()| {
            copy_wal(file, &own)?;
            let engine = Engine::open(&own, cache_bytes, WAL_BYTES, check)?;
            let number = engine.left().last().map_or_else(|| engine.number(), |last| Ok(last.number))?;
            Ok((engine, number))
        });
        let (engine, number) = opened.inspect_err(|_| home.unlock())?;
        Ok(Self::of(home, audit, engine, number))
    }

    /// Gives another store the commits that the WAL has beyond a database which was opened unchecked.
    pub(super) fn give_left(&self, to: &dyn Storage) -> Result<(), StorageError> {
        self.with_engine(|engine| {
            engine.left().iter().try_for_each(|batch| {
                to.commit(&Batch { number: to.commit_number() + 1, expectations: Vec::new(), changes: batch.changes.clone() })
            })
        })
    }

    /// Makes an empty database in a new directory, for what can be read of another one; the audit segments are those in `audit`.
    pub(super) fn create_beside(dir: &Path, audit: PathBuf, cache_bytes: u64) -> Result<Self, StorageError> {
        files::make_dir(dir).map_err(files::io("making a directory for what can be read"))?;
        let home = Home::lock_dir(dir)?;
        let file = dir.join(Backend::Redb.marker());
        drop(open_file(&file).map_err(files::io("making the store's file"))?);
        let engine = Engine::create(&file, cache_bytes, WAL_BYTES)?;
        Ok(Self::of(home, audit, engine, 0))
    }

    fn of(home: Home, audit: PathBuf, engine: Engine, number: u64) -> Self {
        RedbStorage {
            segments: Segments::at(audit),
            home,
            engine: RwLock::new(Some(engine)),
            committing: Mutex::new(()),
            number: AtomicU64::new(number),
            poisoned: AtomicBool::new(false),
            fork: ForkGuard::new(),
        }
    }

    fn with_engine<R>(&self, with: impl FnOnce(&Engine) -> Result<R, StorageError>) -> Result<R, StorageError> {
        if self.fork.is_forked() {
            return Err(StorageError::Forked);
        }
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StorageError::Poisoned);
        }
        with(self.engine.read().as_ref().ok_or(StorageError::Closed)?)
    }

    /// Whether a batch is the next one and what it expects holds.
    fn validate(&self, engine: &Engine, batch: &Batch) -> Result<(), StorageError> {
        if batch.number != self.number.load(Ordering::Acquire) + 1 {
            return Err(StorageError::Invalid("commit numbers must be consecutive"));
        }
        for (key, expected) in &batch.expectations {
            if Expected::of(engine.get(key)?.as_deref()) != *expected {
                return Err(StorageError::Conflict);
            }
        }
        Ok(())
    }
}

/// Copies the WAL beside a database, where there is one.
fn copy_wal(from: &Path, to: &Path) -> Result<(), StorageError> {
    match files::copy(&from.with_file_name(wal::NAME), &to.with_file_name(wal::NAME)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(files::io("copying WAL")(error)),
        _ => Ok(()),
    }
}

impl Read for RedbStorage {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.with_engine(|engine| engine.get(key))
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.with_engine(|engine| engine.view()?.scan(prefix, after, limit))
    }
}

/// A snapshot: a read transaction of redb's, for as long as the store is open.
struct Snapshot<'s> {
    storage: &'s RedbStorage,
    view: View,
}

impl Read for Snapshot<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.storage.with_engine(|_| self.view.get(key))
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.storage.with_engine(|_| self.view.scan(prefix, after, limit))
    }
}

impl Storage for RedbStorage {
    fn commit_number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StorageError> {
        let view = self.with_engine(Engine::view)?;
        Ok(Box::new(Snapshot { storage: self, view }))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StorageError> {
        let _committing = self.committing.lock();
        self.with_engine(|engine| {
            self.validate(engine, batch)?;
            if let Err(error) = engine.apply(batch) {
                self.poisoned.store(true, Ordering::Release);
                return Err(error);
            }
            self.number.store(batch.number, Ordering::Release);
            Ok(())
        })
    }

    #[cfg(any(test, feature = "testing"))]
    fn settlings(&self) -> u64 {
        self.with_engine(|engine| Ok(engine.settlings())).unwrap_or_default()
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
        let _committing = self.committing.lock();
        // First, so that what was committed lately counts beforehand too.
        self.with_engine(|engine| {
            engine.settle().map_err(|_| {
                self.poisoned.store(true, Ordering::Release);
                StorageError::Poisoned
            })
        })?;
        let file = self.home.dir().join(Backend::Redb.marker());
        let size = || files::size_of_file(&file).map_err(files::io("measuring the store"));
        let before = size()?;
        // redb moves pages about, which nobody may read meanwhile: readers wait here.
        let mut engine = self.engine.write();
        match engine.as_mut().ok_or(StorageError::Closed)?.compact() {
            Ok(()) => {}
            Err(StorageError::Busy) => return Err(StorageError::Busy),
            Err(_) => {
                // Whether redb can go on after that is not known; what was committed is there at the next opening.
                self.poisoned.store(true, Ordering::Release);
                return Err(StorageError::Poisoned);
            }
        }
        drop(engine);
        Ok(Compaction { before, after: size()? })
    }

    fn close(&self) -> Result<(), StorageError> {
        if self.fork.is_forked() {
            return Err(StorageError::Forked);
        }
        let engine = self.engine.write().take();
        let closed = engine.map_or(Ok(()), Engine::close);
        self.home.unlock();
        // A store whose commit failed cannot be closed well, and whoever committed has been told.
        if self.poisoned.load(Ordering::Acquire) { Ok(()) } else { closed }
    }
}

impl Drop for RedbStorage {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            // The file is the parent's: redb's destructor would write to it.
            std::mem::forget(self.engine.get_mut().take());
        } else {
            // Nobody is left to tell of a failure; `close` does.
            let _outcome = self.close();
        }
    }
}

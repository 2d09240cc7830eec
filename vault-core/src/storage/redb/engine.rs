//! Records in redb's tables: one of records, one with the commit number; both change in one transaction, with all commits since the last one.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::super::files::io;
use super::super::recent::{self, Changes, Recent};
use super::super::wal::Wal;
use super::super::{Batch, Key, Page, StorageError};
use redb::{CompactionError, Database, ReadTransaction, ReadableDatabase, TableDefinition};
use rustix::fs::Advice;
use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const COMMIT: &str = "commit";
/// Up to this size every page is checked against its checksum at each opening; a larger file only after it was not closed well.
const CHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How much of a database is compared with its checksums when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// All of a small one; a larger one where it was not closed well.
    Usual,
    /// All of it.
    Whole,
    /// None of it: for what is known to be damaged.
    Nothing,
}

/// An open redb database, with the commits that it does not have yet.
pub(super) struct Engine {
    db: Database,
    recent: Recent,
    /// The commits of the WAL that were not put into a database which is known to be damaged.
    left: Vec<Batch>,
}

/// The store as it was when this was made: a read transaction, and what had been changed over it.
pub(super) struct View {
    changes: Arc<Changes>,
    read: ReadTransaction,
}

impl Engine {
    /// Makes an empty database in an empty file.
    pub(super) fn create(file: &Path, cache_bytes: u64, wal_bytes: usize) -> Result<Self, StorageError> {
        caught("making the store", || {
            let db = builder(cache_bytes).create(file)?;
            let begun = db.begin_write()?;
            begun.open_table(RECORDS)?;
            begun.open_table(NUMBERS)?.insert(COMMIT, 0)?;
            begun.commit()?;
            Ok(db)
        })
        .and_then(|db| Self::over(db, file, wal_bytes, Check::Usual))
    }

    /// Opens a database, which is mended by redb when the process or the machine had stopped at work.
    pub(super) fn open(file: &Path, cache_bytes: u64, wal_bytes: usize, check: Check) -> Result<Self, StorageError> {
        let size = fs::metadata(file).map_err(io("opening the store"))?.len();
        if size == 0 {
            return Err(StorageError::Corrupt("the file store.redb is empty".to_owned()));
        }
        if Wal::is_left(file.parent().unwrap_or(Path::new(".")))? {
            uncached(file).map_err(io("opening the store"))?;
        }
        let mut builder = builder(cache_bytes);
        builder.set_check_integrity_on_open(check == Check::Whole || check == Check::Usual && size <= CHECKED_BYTES_MAX);
        let db = caught("opening the store", || Ok(builder.open(file)?))?;
        Self::over(db, file, wal_bytes, check)
    }

    /// Shows what is in the WAL and not in the database; redb is given it later, since that may need room which is not there now.
    fn over(db: Database, file: &Path, wal_bytes: usize, check: Check) -> Result<Self, StorageError> {
        let mut wal = Wal::open(file.parent().unwrap_or(Path::new(".")), wal_bytes)?;
        let (batches, _) = wal.read(number(&db)?, check == Check::Nothing)?;
        if check == Check::Nothing {
            return Ok(Engine { db, recent: Recent::over(wal), left: batches });
        }
        wal.renew()?;
        Ok(Engine { db, recent: Recent::with(wal, batches), left: Vec::new() })
    }

    /// The commits of the WAL that are not in the database, since that is damaged.
    pub(super) fn left(&self) -> &[Batch] {
        &self.left
    }

    /// The number of the last commit; 0 when there was none.
    pub(super) fn number(&self) -> Result<u64, StorageError> {
        self.recent.number().map_or_else(|| number(&self.db), Ok)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.recent.get(key, || caught("reading", || read(&self.db.begin_read()?, key)))
    }

    pub(super) fn view(&self) -> Result<View, StorageError> {
        // What is here goes only once the database has it.
        self.recent.with_changes(|changes| caught("reading", || Ok(View { changes: Arc::clone(changes), read: self.db.begin_read()? })))
    }

    /// Applies a batch, which is durable when this returns.
    pub(super) fn apply(&self, batch: &Batch) -> Result<(), StorageError> {
        self.recent.commit(batch, |changes, number| put(&self.db, changes, number))
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn settlings(&self) -> u64 {
        self.recent.settlings()
    }

    /// Lets redb have all commits.
    pub(super) fn settle(&self) -> Result<(), StorageError> {
        self.recent.settle(|changes, number| put(&self.db, changes, number))
    }

    /// Moves pages to the beginning of the file, cuts off what is free then, and leaves nothing of old commits in the WAL.
    pub(super) fn compact(&mut self) -> Result<(), StorageError> {
        let compacted = self.settle().and_then(|()| self.recent.wipe()).and_then(|()| self.compact_settled());
        compacted.inspect_err(|error| {
            if !matches!(error, StorageError::Busy) {
                self.recent.keep();
            }
        })
    }

    fn compact_settled(&mut self) -> Result<(), StorageError> {
        let compacted = catch_unwind(AssertUnwindSafe(|| self.db.compact()));
        caught("compacting the store", || match compacted {
            Ok(Ok(_)) => Ok(Ok(())),
            Ok(Err(CompactionError::TransactionInProgress)) => Ok(Err(StorageError::Busy)),
            Ok(Err(error)) => Err(error.into()),
            Err(panic) => std::panic::resume_unwind(panic),
        })?
    }

    pub(super) fn close(self) -> Result<(), StorageError> {
        // Where it fails the WAL has what redb has not.
        let _settled = self.settle().and_then(|()| self.recent.wipe());
        let Engine { db, recent, .. } = self;
        caught("closing the store", move || Ok(db.close()?)).inspect_err(|_| recent.keep())
    }
}

impl View {
    pub(super) fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.as_deref().map(<[u8]>::to_vec)),
            None => caught("reading", || read(&self.read, key)),
        }
    }

    pub(super) fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        recent::scan(&self.changes, (prefix, after), limit, |after, limit| caught("scanning", || scan(&self.read, prefix, after, limit)))
    }
}

fn read(from: &ReadTransaction, key: &Key) -> Result<Option<Vec<u8>>, redb::Error> {
    let records = from.open_table(RECORDS)?;
    Ok(records.get(key.as_bytes())?.map(|value| value.value().to_vec()))
}

fn scan(from: &ReadTransaction, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, redb::Error> {
    let start = after.map_or_else(Vec::new, |after| [after.as_bytes(), &[0]].concat()).max(prefix.to_vec());
    let records = from.open_table(RECORDS)?;
    let mut page = Vec::new();
    for record in records.range(start.as_slice()..)?.take(limit) {
        let (key, value) = record?;
        if !key.value().starts_with(prefix) {
            break;
        }
        page.push((Key::new(&[key.value()]), value.value().to_vec()));
    }
    Ok(page)
}

/// Applies changes in one transaction as the commit of this number, durable when it returns.
fn put(db: &Database, changes: &Changes, number: u64) -> Result<(), StorageError> {
    caught("committing", || {
        let begun = db.begin_write()?;
        let mut records = begun.open_table(RECORDS)?;
        for (key, change) in changes {
            match change {
                None => records.remove(key.as_bytes())?,
                Some(value) => records.insert(key.as_bytes(), &**value)?,
            };
        }
        drop(records);
        begun.open_table(NUMBERS)?.insert(COMMIT, number)?;
        begun.commit()?;
        Ok(())
    })
}

/// Lets a file be read from the device: where a sync has failed, the system's cache holds what is not there, and tells nobody of it any more.
fn uncached(file: &Path) -> std::io::Result<()> {
    let file = fs::File::options().read(true).write(true).open(file)?;
    // What is dirty stays in the cache.
    file.sync_data()?;
    Ok(rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?)
}

fn number(db: &Database) -> Result<u64, StorageError> {
    let found = caught("reading", || {
        let numbers = db.begin_read()?.open_table(NUMBERS)?;
        Ok(numbers.get(COMMIT)?.map(|number| number.value()))
    })?;
    found.ok_or_else(|| StorageError::Corrupt("the store has no commit number".to_owned()))
}

fn builder(cache_bytes: u64) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(usize::try_from(cache_bytes).unwrap_or(usize::MAX));
    builder
}

/// Calls redb; its errors and panics become ours.
fn caught<R>(action: &'static str, call: impl FnOnce() -> Result<R, redb::Error>) -> Result<R, StorageError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(result)) => Ok(result),
        // The device did its part, and what it gave is no database: a file that was cut has lost its magic number, or its end.
        Ok(Err(redb::Error::Io(source))) if matches!(source.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            Err(StorageError::Corrupt(format!("{action}: {source}")))
        }
        Ok(Err(redb::Error::Io(source))) => Err(StorageError::Io { action, source }),
        Ok(Err(redb::Error::DatabaseClosed)) => Err(StorageError::Closed),
        Ok(Err(redb::Error::PreviousIo)) => Err(StorageError::Poisoned),
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => Err(StorageError::Locked { pid: None }),
        Ok(Err(error)) => Err(StorageError::Corrupt(format!("{action}: {error}"))),
        Err(_) => Err(StorageError::Corrupt(format!("{action}: redb panicked"))),
    }
}

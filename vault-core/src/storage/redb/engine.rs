//! Records in redb's tables: one of records, one with the commit number; both change in one transaction, which is durable in the WAL first.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::super::files::io;
use super::super::wal::Wal;
use super::super::{Batch, Key, Page, StorageError};
use parking_lot::Mutex;
use redb::{CompactionError, Database, Durability, ReadTransaction, ReadableDatabase, TableDefinition};
use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const COMMIT: &str = "commit";
/// The size of the WAL: so much is written to it before redb makes it durable itself.
const WAL_BYTES: usize = 2 * 1024 * 1024;
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

/// An open redb database, with the commits that it does not hold durably yet beside it.
pub(super) struct Engine {
    db: Database,
    wal: Mutex<Wal>,
    /// The commits of the WAL that were not put into a database which is known to be damaged.
    left: Vec<Batch>,
}

/// A read transaction: the database as it was when this was made.
pub(super) struct View(ReadTransaction);

impl Engine {
    /// Makes an empty database in an empty file.
    pub(super) fn create(file: &Path, cache_bytes: u64) -> Result<Self, StorageError> {
        caught("making the store", || {
            let db = builder(cache_bytes).create(file)?;
            let begun = db.begin_write()?;
            begun.open_table(RECORDS)?;
            begun.open_table(NUMBERS)?.insert(COMMIT, 0)?;
            begun.commit()?;
            Ok(db)
        })
        .and_then(|db| Self::over(db, file, Check::Usual))
    }

    /// Opens a database, which is mended by redb when the process or the machine had stopped at work.
    pub(super) fn open(file: &Path, cache_bytes: u64, check: Check) -> Result<Self, StorageError> {
        let size = fs::metadata(file).map_err(io("opening the store"))?.len();
        if size == 0 {
            return Err(StorageError::Corrupt("the file store.redb is empty".to_owned()));
        }
        let mut builder = builder(cache_bytes);
        builder.set_check_integrity_on_open(check == Check::Whole || check == Check::Usual && size <= CHECKED_BYTES_MAX);
        let db = caught("opening the store", || Ok(builder.open(file)?))?;
        Self::over(db, file, check)
    }

    /// Carries out what is in the WAL, and lets redb make it durable: it may have been read from the system's cache, whatever became of its sync.
    fn over(db: Database, file: &Path, check: Check) -> Result<Self, StorageError> {
        let number = number(&db)?;
        let mut wal = Wal::open(file.parent().unwrap_or(Path::new(".")), WAL_BYTES)?;
        let (batches, _) = wal.read(number, check == Check::Nothing)?;
        let mut engine = Engine { db, wal: Mutex::new(wal), left: Vec::new() };
        if check == Check::Nothing {
            engine.left = batches;
        } else if !batches.is_empty() {
            batches.iter().try_for_each(|batch| engine.put(batch, Durability::None))?;
            engine.settle()?;
        }
        Ok(engine)
    }

    /// The commits of the WAL that are not in the database, since that is damaged.
    pub(super) fn left(&self) -> &[Batch] {
        &self.left
    }

    /// The number of the last commit in the database; 0 when there was none.
    pub(super) fn number(&self) -> Result<u64, StorageError> {
        number(&self.db)
    }

    pub(super) fn view(&self) -> Result<View, StorageError> {
        caught("reading", || Ok(View(self.db.begin_read()?)))
    }

    /// Applies a batch in one transaction, which is durable when it returns: in the WAL, or where that has no room, in redb with all before it.
    pub(super) fn apply(&self, batch: &Batch) -> Result<(), StorageError> {
        let mut wal = self.wal.lock();
        self.apply_with(&mut wal, batch).inspect_err(|_| wal.keep())
    }

    fn apply_with(&self, wal: &mut Wal, batch: &Batch) -> Result<(), StorageError> {
        if wal.append(batch)? {
            return self.put(batch, Durability::None);
        }
        self.put(batch, Durability::Immediate)?;
        wal.restart()
    }

    fn put(&self, batch: &Batch, durability: Durability) -> Result<(), StorageError> {
        caught("committing", || {
            let mut begun = self.db.begin_write()?;
            begun.set_durability(durability)?;
            let mut records = begun.open_table(RECORDS)?;
            for (key, change) in &batch.changes {
                match change {
                    None => records.remove(key.as_bytes())?,
                    Some(value) => records.insert(key.as_bytes(), value.as_slice())?,
                };
            }
            drop(records);
            begun.open_table(NUMBERS)?.insert(COMMIT, batch.number)?;
            begun.commit()?;
            Ok(())
        })
    }

    /// Lets redb hold all commits durably.
    fn settle(&self) -> Result<(), StorageError> {
        let nothing = Batch { number: self.number()?, ..Batch::default() };
        self.put(&nothing, Durability::Immediate)?;
        self.wal.lock().restart()
    }

    /// Moves pages to the beginning of the file, cuts off what is free then, and leaves nothing of old commits in the WAL.
    pub(super) fn compact(&mut self) -> Result<(), StorageError> {
        self.settle()?;
        self.wal.lock().wipe()?;
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
        let _settled = self.settle().and_then(|()| self.wal.lock().wipe());
        caught("closing the store", move || Ok(self.db.close()?))
    }
}

impl View {
    pub(super) fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        caught("reading", || {
            let records = self.0.open_table(RECORDS)?;
            Ok(records.get(key.as_bytes())?.map(|value| value.value().to_vec()))
        })
    }

    pub(super) fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        caught("scanning", || {
            let start = after.map_or_else(Vec::new, |after| [after.as_bytes(), &[0]].concat()).max(prefix.to_vec());
            let records = self.0.open_table(RECORDS)?;
            let mut page = Vec::new();
            for record in records.range(start.as_slice()..)?.take(limit) {
                let (key, value) = record?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                page.push((Key::new(&[key.value()]), value.value().to_vec()));
            }
            Ok(page)
        })
    }
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

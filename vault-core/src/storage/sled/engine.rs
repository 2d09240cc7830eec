//! Records in one tree of sled's: keys by their first byte, values in chunks, and a commit that is durable when it returns.
//!
//! `0x00 "number"`: the commit number. `0x01 key`: a record, either `0x00 value` or `0x01 commit (8) chunks (4)`.
//! `0x02 length-of-key key commit (8) chunk (4)`: at most 4 KiB of a value that this commit has written. A leaf of sled's holds some 16 records;
//! one of more than 128 KiB would go to a file of its own, which sled never syncs. `journal` has the other keys, `cleaner` a tree of its own.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::super::files::io;
use super::super::home::restrict_all;
use super::super::preimage::Olds;
use super::super::wal::Wal;
use super::super::{Batch, Key, Page, StorageError};
use super::cleaner::Cleaner;
use super::handle::Handle;
use super::journal::{self, Changes, Load};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) const NUMBER_KEY: &[u8] = b"\x00number";
const RECORD: u8 = 1;
pub(super) const CHUNK: u8 = 2;
const WHOLE: u8 = 0;
const CHUNKED: u8 = 1;
pub(super) const CHUNK_BYTES: usize = 4 * 1024;
/// The least value that is filled in behind its key.
const FILLED_LATER_BYTES: usize = 256;
/// Times that a value is read again which a commit has replaced in between.
const READ_TRIES_MAX: usize = 1_000;
/// The size of the WAL: what sled is handed between two syncs fits, each commit in blocks of its own.
const WAL_BYTES: usize = 256 * 1024;
/// How long closing waits for sled's threads.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// An open sled database, with a descriptor of our own on its log.
pub(super) struct Engine {
    cleaner: Cleaner,
    db: Handle,
    /// Opened before any write: an error of the device is reported to descriptors that were open then.
    log: File,
    dir: PathBuf,
    blobs: Mutex<BTreeSet<OsString>>,
    unsynced: Mutex<Unsynced>,
}

/// What sled was handed since its log was synced last: commits that the WAL makes durable.
struct Unsynced {
    wal: Wal,
    load: Load,
}

impl Unsynced {
    /// All of it was synced.
    fn settle(&mut self) {
        self.wal.restart();
        self.load = Load::default();
    }
}

impl Engine {
    /// Opens sled in a directory, ends a commit that was cut off, and carries out those that are durable in the WAL.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, StorageError> {
        Self::open_with(dir, cache_bytes, false).map(|(engine, _)| engine)
    }

    /// As above, whatever is wrong with the WAL; with whether it is sound.
    pub(super) fn open_damaged(dir: &Path, cache_bytes: u64) -> Result<(Self, bool), StorageError> {
        Self::open_with(dir, cache_bytes, true)
    }

    fn open_with(dir: &Path, cache_bytes: u64, tolerant: bool) -> Result<(Self, bool), StorageError> {
        let config = sled::Config::new().path(dir).cache_capacity(cache_bytes).flush_every_ms(None).use_compression(false);
        let db = Handle::open(config)?;
        restrict_all(dir)?;
        let log = File::options().read(true).write(true).open(dir.join("db")).map_err(io("opening the log"))?;
        let blobs = Mutex::new(names_in(&dir.join("blobs"))?);
        let unsynced = Mutex::new(Unsynced { wal: Wal::open(dir, WAL_BYTES)?, load: Load::default() });
        let engine = Engine { cleaner: Cleaner::of(&db)?, db, log, dir: dir.to_owned(), blobs, unsynced };
        journal::recover(&engine)?;
        let is_sound = engine.carry_out(tolerant)?;
        Ok((engine, is_sound))
    }

    /// The number of the last commit; 0 when there was none.
    pub(super) fn number(&self) -> Result<u64, StorageError> {
        match self.db.call("reading", |db| db.get(NUMBER_KEY))? {
            None => Ok(0),
            Some(bytes) => bytes.as_ref().try_into().map(u64::from_le_bytes).map_err(|_| corrupt()),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        for _ in 0..READ_TRIES_MAX {
            let Some(value) = self.db.call("reading", |db| db.get(record_key(key)))? else { return Ok(None) };
            if let Some(value) = self.whole(key, &value)? {
                return Ok(Some(value));
            }
        }
        Err(corrupt())
    }

    pub(super) fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        let mut page = Vec::new();
        let start = after.map_or_else(|| [&[RECORD], prefix].concat(), |after| [&[RECORD], after.as_bytes(), &[0]].concat());
        let start = start.max([&[RECORD], prefix].concat());
        let mut records = self.db.call("scanning", |db| Ok(db.range(start..)))?;
        while page.len() < limit {
            let Some((found, value)) = self.db.call("scanning", |_| records.next().transpose())? else { break };
            let Some(bytes) = found.strip_prefix(&[RECORD]).filter(|bytes| bytes.starts_with(prefix)) else { break };
            let key = Key::new(&[bytes]);
            // A chunked value that was replaced meanwhile is read as it is now; one that was removed is left out.
            let value = match self.whole(&key, &value)? {
                Some(value) => Some(value),
                None => self.get(&key)?,
            };
            page.extend(value.map(|value| (key, value)));
        }
        Ok(page)
    }

    /// Carries out the commits of the WAL that sled has lost, or never had; whether it is sound.
    fn carry_out(&self, tolerant: bool) -> Result<bool, StorageError> {
        let number = self.number()?;
        let mut unsynced = self.unsynced.lock();
        let (batches, is_damaged) = unsynced.wal.read(number, tolerant)?;
        for batch in &batches {
            self.put_numbered(self.prepare(batch)?.1, batch.number)?;
        }
        if !batches.is_empty() {
            self.sync()?;
        }
        unsynced.settle();
        Ok(!is_damaged)
    }

    /// Applies the changes of a batch in one atomic step and waits until they are durable: in the WAL, or in sled with all before them.
    pub(super) fn apply(&self, batch: &Batch, changes: Changes) -> Result<(), StorageError> {
        let mut unsynced = self.unsynced.lock();
        self.apply_with(&mut unsynced, batch, changes).inspect_err(|_| unsynced.wal.keep())
    }

    fn apply_with(&self, unsynced: &mut Unsynced, batch: &Batch, changes: Changes) -> Result<(), StorageError> {
        let load = Load::of(&changes);
        if !unsynced.load.is_empty() && !unsynced.load.has_room(&load, 1) {
            self.sync_cleaned(unsynced)?;
        }
        // Where the next one like it would have to wait for sled, this one does instead of waiting for the WAL.
        if unsynced.load.has_room(&load, 2) && unsynced.wal.append(batch)? {
            unsynced.load.add(&load);
            self.put_numbered(changes, batch.number)?;
            return self.sync_blobs();
        }
        if unsynced.load.has_room(&load, 1) {
            unsynced.load.add(&load);
            self.put_numbered(changes, batch.number)?;
            return self.sync_cleaned(unsynced);
        }
        journal::apply(self, changes, batch.number)?;
        unsynced.settle();
        Ok(())
    }

    /// Has sled move leaves out of segments that hold little else, as far as it may write more before the sync that this ends with.
    fn sync_cleaned(&self, unsynced: &mut Unsynced) -> Result<(), StorageError> {
        let leaves = unsynced.load.leaves_to_clean();
        self.db.call("cleaning", |_| self.cleaner.clean(leaves))?;
        self.sync()?;
        unsynced.settle();
        Ok(())
    }

    /// Writes a batch, not at once, into a database that nobody relies on before it was synced as a whole.
    ///
    /// First the keys and then the values: sled writes a leaf anew when it splits and after ten changes, and a leaf that is filled in the order
    /// of its keys has nine records then. So each value is written once.
    pub(super) fn fill(&self, batch: &Batch) -> Result<(), StorageError> {
        let changes = self.prepare(batch)?.1;
        for (key, change) in &changes {
            if change.as_ref().is_some_and(|value| value.len() >= FILLED_LATER_BYTES) {
                self.db.call("filling", |db| db.insert(key, Vec::new()))?;
            }
        }
        let number = (NUMBER_KEY.to_vec(), Some(batch.number.to_le_bytes().to_vec()));
        for (key, change) in changes.into_iter().chain([number]) {
            self.db.call("filling", |db| match change {
                None => db.remove(key).map(drop),
                Some(value) => db.insert(key, value).map(drop),
            })?;
        }
        Ok(())
    }

    /// Applies changes of the tree and the number of their commit in one atomic step, which [`Self::sync`] makes durable.
    pub(super) fn put_numbered(&self, changes: Changes, number: u64) -> Result<(), StorageError> {
        let number = (NUMBER_KEY.to_vec(), Some(number.to_le_bytes().to_vec()));
        self.put_all(changes.into_iter().chain([number]))
    }

    /// Applies changes of the tree in one atomic step, which [`Self::sync`] makes durable.
    pub(super) fn put_all(&self, changes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Result<(), StorageError> {
        let mut batch = sled::Batch::default();
        for (key, change) in changes {
            match change {
                None => batch.remove(key),
                Some(value) => batch.insert(key, value),
            }
        }
        self.db.call("applying a batch", |db| db.apply_batch(batch))
    }

    /// What lies at a key of the tree.
    pub(super) fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.db.call("reading", |db| db.get(key))?.map(|value| value.to_vec()))
    }

    /// The old values of a batch's keys, and what it changes in the tree but for the number. No other commit may be under way.
    pub(super) fn prepare(&self, batch: &Batch) -> Result<(Olds, Changes), StorageError> {
        let (mut olds, mut changes) = (Olds::new(), Changes::new());
        for (key, change) in &batch.changes {
            let record_key = record_key(key);
            let old = self.db.call("reading", |db| db.get(&record_key))?;
            if let Some(record) = &old
                && let Some((number, chunks)) = chunks_of(record)?
            {
                changes.extend((0..chunks).map(|index| (chunk_key(key, &number, index), None)));
            }
            let old = old.map(|record| self.whole(key, &record)?.ok_or_else(corrupt)).transpose()?;
            olds.insert(*key, old);
            match change {
                None => drop(changes.insert(record_key, None)),
                Some(value) => insert(&mut changes, record_key, key, value, batch.number)?,
            }
        }
        Ok((olds, changes))
    }

    /// Waits until all that was applied is durable.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        self.db.flush()?;
        self.sync_blobs()?;
        // sled's flush is sync_file_range on Linux, which is no barrier and reports no error: this is what makes the batch durable.
        self.log.sync_data().map_err(io("syncing the log"))
    }

    /// Where it lies.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Closes sled and waits until its threads have let go of the files.
    pub(super) fn close(self) -> Result<(), StorageError> {
        // Where it fails the WAL has what sled has not.
        let _settled = self.sync().and_then(|()| self.unsynced.lock().wal.wipe());
        let Engine { cleaner, mut db, log, dir, .. } = self;
        drop(cleaner);
        let closed = db.close();
        let deadline = Instant::now() + CLOSE_WAIT;
        while log.try_lock().is_err() {
            if Instant::now() > deadline {
                return Err(StorageError::Io { action: "closing sled", source: std::io::ErrorKind::TimedOut.into() });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        closed.and_then(|()| restrict_all(&dir))
    }

    /// The value behind a record; `None` when a commit has replaced it meanwhile.
    fn whole(&self, key: &Key, record: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let Some((number, chunks)) = chunks_of(record)? else { return Ok(Some(record[1..].to_vec())) };
        let mut value = Vec::with_capacity(CHUNK_BYTES.saturating_mul(chunks as usize).min(crate::types::limits::RECORD_BYTES_MAX * 4));
        for index in 0..chunks {
            let Some(chunk) = self.db.call("reading", |db| db.get(chunk_key(key, &number, index)))? else { return Ok(None) };
            value.extend_from_slice(&chunk);
        }
        Ok(Some(value))
    }

    /// Makes files durable into which sled has moved pages that are too large for its log.
    fn sync_blobs(&self) -> Result<(), StorageError> {
        let dir = self.dir.join("blobs");
        let names = names_in(&dir)?;
        let mut known = self.blobs.lock();
        if names.is_subset(&known) {
            return Ok(());
        }
        restrict_all(&self.dir)?;
        for name in names.difference(&known) {
            match File::open(dir.join(name)) {
                Ok(file) => file.sync_all().map_err(io("syncing a page"))?,
                // sled's threads unlink what is no longer needed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io("syncing a page")(error)),
            }
        }
        File::open(&dir).and_then(|dir| dir.sync_all()).map_err(io("syncing the pages' directory"))?;
        *known = names;
        Ok(())
    }
}

fn insert(changes: &mut Changes, record_key: Vec<u8>, key: &Key, value: &[u8], number: u64) -> Result<(), StorageError> {
    if value.len() <= CHUNK_BYTES {
        changes.insert(record_key, Some([&[WHOLE], value].concat()));
        return Ok(());
    }
    let chunks = u32::try_from(value.len().div_ceil(CHUNK_BYTES)).map_err(|_| StorageError::Invalid("a value is too large"))?;
    let number = number.to_le_bytes();
    changes.insert(record_key, Some([&[CHUNKED], &number[..], &chunks.to_le_bytes()].concat()));
    for (index, bytes) in (0..chunks).zip(value.chunks(CHUNK_BYTES)) {
        changes.insert(chunk_key(key, &number, index), Some(bytes.to_vec()));
    }
    Ok(())
}

/// The commit and the number of chunks of a chunked record; `None` for a whole one.
fn chunks_of(record: &[u8]) -> Result<Option<([u8; 8], u32)>, StorageError> {
    match record.split_first() {
        Some((&WHOLE, _)) => Ok(None),
        Some((&CHUNKED, rest)) => {
            let (number, chunks) = rest.split_first_chunk::<8>().ok_or_else(corrupt)?;
            let chunks = chunks.try_into().map(u32::from_le_bytes).map_err(|_| corrupt())?;
            Ok(Some((*number, chunks)))
        }
        _ => Err(corrupt()),
    }
}

fn record_key(key: &Key) -> Vec<u8> {
    [&[RECORD], key.as_bytes()].concat()
}

fn chunk_key(key: &Key, number: &[u8; 8], index: u32) -> Vec<u8> {
    let len = u8::try_from(key.as_bytes().len()).expect("a key has at most 48 bytes");
    [&[CHUNK, len], key.as_bytes(), number, &index.to_be_bytes()].concat()
}

fn names_in(dir: &Path) -> Result<BTreeSet<OsString>, StorageError> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(io("listing pages"))).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(io("listing pages")(error)),
    }
}

pub(super) fn corrupt() -> StorageError {
    StorageError::Corrupt("a record is not one that a vault wrote".to_owned())
}

//! Records in one tree of sled's: keys by their first byte, values in chunks; what sled is handed is durable when that returns.
//!
//! `0x00 "number"`: the commit number. `0x01 key`: a record, either `0x00 value` or `0x01 commit (8) chunks (4)`.
//! `0x02 length-of-key key commit (8) chunk (4)`: at most 4 KiB of a value that this commit has written. A leaf of sled's holds some 16 records;
//! one of more than 128 KiB would go to a file of its own, which sled never syncs. `cleaner` has a tree of its own.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::super::files::io;
use super::super::home::restrict_all;
use super::super::recent;
use super::super::{Key, Page, StorageError};
use super::cleaner::Cleaner;
use super::handle::Handle;
use super::load::{Load, SEGMENT_BYTES};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NUMBER_KEY: &[u8] = b"\x00number";
const RECORD: u8 = 1;
const CHUNK: u8 = 2;
const WHOLE: u8 = 0;
const CHUNKED: u8 = 1;
pub(super) const CHUNK_BYTES: usize = 4 * 1024;
/// The least value that is filled in behind its key.
const FILLED_LATER_BYTES: usize = 256;
/// Times that a value is read again which a commit has replaced in between.
const READ_TRIES_MAX: usize = 1_000;
/// How long closing waits for sled's threads.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// Changes of keys in sled's tree.
type TreeChanges = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An open sled database, with a descriptor of our own on its log.
pub(super) struct Engine {
    cleaner: Cleaner,
    db: Handle,
    /// Opened before any write: an error of the device is reported to descriptors that were open then.
    log: File,
    dir: PathBuf,
    blobs: Mutex<BTreeSet<OsString>>,
}

impl Engine {
    /// Opens sled in a directory.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, StorageError> {
        let config = sled::Config::new().path(dir).cache_capacity(cache_bytes).segment_size(SEGMENT_BYTES);
        let db = Handle::open(config.flush_every_ms(None).use_compression(false))?;
        restrict_all(dir)?;
        let log = File::options().read(true).write(true).open(dir.join("db")).map_err(io("opening the log"))?;
        let blobs = Mutex::new(names_in(&dir.join("blobs"))?);
        Ok(Engine { cleaner: Cleaner::of(&db)?, db, log, dir: dir.to_owned(), blobs })
    }

    /// The number of the last commit that sled holds; 0 when there was none.
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

    /// Hands sled the changes that make its records those of the commit of this number, piece by piece, and waits until all of it is durable.
    /// A crash leaves some of the pieces; the WAL has them all, and whoever opens the store does the same again, under the same number.
    pub(super) fn settle(&self, changes: &recent::Changes, number: u64) -> Result<(), StorageError> {
        let (mut batch, mut load) = (sled::Batch::default(), Load::default());
        let last = (NUMBER_KEY.to_vec(), Some(number.to_le_bytes().to_vec()));
        for (key, change) in in_order(self.tree_changes(changes, number)?).into_iter().chain([last]) {
            if load.is_full() {
                self.put_cleaned(std::mem::take(&mut batch), &std::mem::take(&mut load))?;
            }
            load.add(&key, change.as_deref());
            match change {
                None => batch.remove(key),
                Some(value) => batch.insert(key, value),
            }
        }
        self.put_cleaned(batch, &load)
    }

    /// Applies a piece, and has sled move leaves out of segments that hold little else, as far as it may write more before the sync at the end.
    fn put_cleaned(&self, piece: sled::Batch, load: &Load) -> Result<(), StorageError> {
        self.db.call("cleaning", |_| self.cleaner.clean(load.leaves_to_clean()))?;
        self.db.call("applying a batch", |db| db.apply_batch(piece))?;
        self.sync()
    }

    /// Writes records, not at once, into a database that nobody relies on before it was synced as a whole.
    ///
    /// First the keys and then the values: sled writes a leaf anew when it splits and after ten changes, and a leaf that is filled in the order
    /// of its keys has nine records then. So each value is written once.
    pub(super) fn fill(&self, changes: &recent::Changes, number: u64) -> Result<(), StorageError> {
        let changes = self.tree_changes(changes, number)?;
        for (key, change) in &changes {
            if change.as_ref().is_some_and(|value| value.len() >= FILLED_LATER_BYTES) {
                self.db.call("filling", |db| db.insert(key, Vec::new()))?;
            }
        }
        let number = (NUMBER_KEY.to_vec(), Some(number.to_le_bytes().to_vec()));
        for (key, change) in changes.into_iter().chain([number]) {
            self.db.call("filling", |db| match change {
                None => db.remove(key).map(drop),
                Some(value) => db.insert(key, value).map(drop),
            })?;
        }
        Ok(())
    }

    /// What the tree has to have of records, and not of their old values any more.
    fn tree_changes(&self, changes: &recent::Changes, number: u64) -> Result<TreeChanges, StorageError> {
        let mut tree = TreeChanges::new();
        for (key, change) in changes {
            // Whatever chunks there are, those included that a settling which was cut off has left.
            for chunk in self.db.call("reading", |db| Ok(db.scan_prefix(chunk_prefix(key)).keys()))? {
                tree.insert(self.db.call("reading", |_| chunk)?.to_vec(), None);
            }
            match change {
                None => drop(tree.insert(record_key(key), None)),
                Some(value) => insert(&mut tree, key, value, number)?,
            }
        }
        Ok(tree)
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

fn insert(changes: &mut TreeChanges, key: &Key, value: &[u8], number: u64) -> Result<(), StorageError> {
    let record_key = record_key(key);
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
    [&chunk_prefix(key)[..], number, &index.to_be_bytes()].concat()
}

/// What the keys of all chunks of a record begin with.
fn chunk_prefix(key: &Key) -> Vec<u8> {
    let len = u8::try_from(key.as_bytes().len()).expect("a key has at most 48 bytes");
    [&[CHUNK, len], key.as_bytes()].concat()
}

/// Changes in an order in which whoever reads meanwhile finds every value whole: new chunks, then records, and last the chunks of old ones go.
fn in_order(changes: TreeChanges) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut changes: Vec<_> = changes.into_iter().collect();
    changes.sort_by_key(|(key, change)| match (key.first() == Some(&CHUNK), change) {
        (true, Some(_)) => 0,
        (false, _) => 1,
        (true, None) => 2,
    });
    changes
}

fn names_in(dir: &Path) -> Result<BTreeSet<OsString>, StorageError> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(io("listing pages"))).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(io("listing pages")(error)),
    }
}

fn corrupt() -> StorageError {
    StorageError::Corrupt("a record is not one that a vault wrote".to_owned())
}

//! A backend over the simulated medium: a write-ahead log with checksums, copied anew at each opening; heads and segments as files beside it.
//!
//! It is as careful as a backend on a real disk must be: what it has read of an old log it writes into a new one before it shows it, since
//! a cache may hold what a failed sync has never written.

use super::disk::{Disk, FileId};
use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vault_core::storage::{Batch, Expected, Key, Page, Read, Storage, StorageError};

type Records = BTreeMap<Key, Arc<[u8]>>;

const HEADS: &str = "heads";
const ASIDE: &str = "aside";
const HEAD_BYTES: usize = 512;
const CHECKSUM_BYTES: usize = 8;
/// A log that has grown to more than this and twice what lives in it is written anew.
const SLACK_BYTES: usize = 48 * 1024;

/// A store on a simulated medium.
pub struct WalStorage {
    disk: Arc<Disk>,
    memory: RwLock<Memory>,
    /// Held while a batch is written.
    log: Mutex<Log>,
    heads: FileId,
    poisoned: AtomicBool,
    closed: AtomicBool,
    /// A planted bug: every so-manieth commit is acknowledged and not synced.
    forgets_every: Option<u64>,
}

#[derive(Default)]
struct Memory {
    records: Arc<Records>,
    number: u64,
}

struct Log {
    file: FileId,
    index: u64,
    len: usize,
    /// Its length when it was new.
    begun: usize,
}

impl WalStorage {
    /// An empty store on an empty medium.
    pub fn create(disk: Arc<Disk>) -> Result<Self, StorageError> {
        let heads = disk.create(HEADS).map_err(io("creating the heads"))?;
        disk.write_at(heads, 0, &[0; 2 * HEAD_BYTES]).map_err(io("creating the heads"))?;
        disk.sync(heads).map_err(io("creating the heads"))?;
        Self::begin(disk, heads, Memory::default(), 0)
    }

    /// The store of a medium.
    pub fn open(disk: Arc<Disk>) -> Result<Self, StorageError> {
        let names = disk.names().map_err(io("listing"))?;
        let logs = names.iter().filter_map(|name| name.strip_prefix("log-")?.parse::<u64>().ok());
        let index = logs.max().ok_or(StorageError::NotAStore("it has no log"))?;
        let (_, log) = disk.open(&name_of(index)).map_err(io("reading the log"))?.ok_or(StorageError::NotAStore("it has no log"))?;
        let memory = replay(&log).ok_or_else(|| StorageError::Corrupt("the log has no beginning".to_owned()))?;
        let heads = disk.open(HEADS).map_err(io("reading the heads"))?.ok_or(StorageError::NotAStore("it has no heads"))?.0;
        let store = Self::begin(Arc::clone(&disk), heads, memory, index)?;
        for old in names.iter().filter(|name| name.starts_with("log-")) {
            disk.remove(old).map_err(io("removing an old log"))?;
        }
        Ok(store)
    }

    /// The planted bug.
    pub fn forgetting(mut self, every: Option<u64>) -> Self {
        self.forgets_every = every;
        self
    }

    fn begin(disk: Arc<Disk>, heads: FileId, memory: Memory, index: u64) -> Result<Self, StorageError> {
        let log = write_log(&disk, &memory, index + 1).map_err(io("writing the log"))?;
        Ok(WalStorage {
            disk,
            memory: RwLock::new(memory),
            log: Mutex::new(log),
            heads,
            poisoned: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            forgets_every: None,
        })
    }

    fn check(&self) -> Result<(), StorageError> {
        if self.closed.load(Ordering::Acquire) {
            Err(StorageError::Closed)
        } else if self.poisoned.load(Ordering::Acquire) {
            Err(StorageError::Poisoned)
        } else {
            Ok(())
        }
    }

    fn read<T>(&self, with: impl FnOnce(&Memory) -> T) -> Result<T, StorageError> {
        self.check()?;
        self.disk.read_call().map_err(io("reading"))?;
        Ok(with(&self.memory.read()))
    }

    fn append(&self, log: &mut Log, batch: &Batch) -> io::Result<()> {
        let frame = frame_of(batch.number, batch.changes.iter().map(|(key, value)| (key, value.as_deref())));
        self.disk.write_at(log.file, log.len, &frame)?;
        if self.forgets_every.is_none_or(|every| !batch.number.is_multiple_of(every)) {
            self.disk.sync(log.file)?;
        }
        log.len += frame.len();
        Ok(())
    }

    /// Writes the log anew once it is mostly of the past. The batch before is durable in the old one, whatever comes of this.
    fn compact(&self, log: &mut Log) {
        if log.len <= SLACK_BYTES + 2 * log.begun {
            return;
        }
        let (old, memory) = (log.index, self.memory.read());
        match write_log(&self.disk, &memory, old + 1) {
            Ok(new) => {
                *log = new;
                // Where it stays it is the older of two, and the next opening removes it.
                let _removed = self.disk.remove(&name_of(old));
            }
            // Which of the two a restart would find is unknown.
            Err(_) => self.poisoned.store(true, Ordering::Release),
        }
    }
}

impl Read for WalStorage {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.read(|memory| memory.records.get(key).map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.read(|memory| page(&memory.records, prefix, after, limit))
    }
}

/// The records of one moment.
struct Snapshot<'s>(&'s WalStorage, Arc<Records>);

impl Read for Snapshot<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.0.read(|_| self.1.get(key).map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.0.read(|_| page(&self.1, prefix, after, limit))
    }
}

impl Storage for WalStorage {
    fn commit_number(&self) -> u64 {
        self.memory.read().number
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StorageError> {
        let records = self.read(|memory| Arc::clone(&memory.records))?;
        Ok(Box::new(Snapshot(self, records)))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StorageError> {
        let mut log = self.log.lock();
        self.check()?;
        {
            let memory = self.memory.read();
            if batch.number != memory.number + 1 {
                return Err(StorageError::Invalid("commit numbers must be consecutive"));
            }
            let holds = |(key, expected): &(Key, Expected)| Expected::of(memory.records.get(key).map(|value| &**value)) == *expected;
            if !batch.expectations.iter().all(holds) {
                return Err(StorageError::Conflict);
            }
        }
        self.append(&mut log, batch).map_err(|error| {
            self.poisoned.store(true, Ordering::Release);
            io("writing the log")(error)
        })?;
        {
            let mut memory = self.memory.write();
            let records = Arc::make_mut(&mut memory.records);
            for (key, change) in &batch.changes {
                match change {
                    Some(value) => records.insert(*key, value.as_slice().into()),
                    None => records.remove(key),
                };
            }
            memory.number = batch.number;
        }
        self.compact(&mut log);
        Ok(())
    }

    fn note_head(&self, number: u64, mac: &[u8; 32]) -> Result<(), StorageError> {
        self.check()?;
        let mut head = [&number.to_le_bytes()[..], mac].concat();
        head.extend_from_slice(&checksum(&head));
        let slot = usize::from(number % 2 == 1) * HEAD_BYTES;
        self.disk.write_at(self.heads, slot, &head).map_err(io("noting the head"))
    }

    fn heads(&self) -> Result<Vec<(u64, [u8; 32])>, StorageError> {
        self.check()?;
        let (_, content) = self.disk.open(HEADS).map_err(io("reading the heads"))?.unwrap_or_default();
        Ok(content.chunks(HEAD_BYTES).filter_map(head_of).collect())
    }

    fn write_segment(&self, index: u64, content: &[u8]) -> Result<(), StorageError> {
        self.check()?;
        let write = || {
            let file = self.disk.create(ASIDE)?;
            self.disk.write_at(file, 0, content)?;
            self.disk.sync(file)?;
            self.disk.rename(ASIDE, &segment_name(index))?;
            self.disk.sync_directory()
        };
        write().map_err(io("writing an audit segment"))
    }

    fn read_segment(&self, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.check()?;
        Ok(self.disk.open(&segment_name(index)).map_err(io("reading an audit segment"))?.map(|(_, content)| content))
    }

    fn remove_segment(&self, index: u64) -> Result<bool, StorageError> {
        self.check()?;
        self.disk.remove(&segment_name(index)).map_err(io("removing an audit segment"))
    }

    fn close(&self) -> Result<(), StorageError> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

/// Writes a log that begins with all of the records, durable with its name when this returns.
fn write_log(disk: &Disk, memory: &Memory, index: u64) -> io::Result<Log> {
    let frame = frame_of(memory.number, memory.records.iter().map(|(key, value)| (key, Some(&**value))));
    let file = disk.create(ASIDE)?;
    disk.write_at(file, 0, &frame)?;
    disk.sync(file)?;
    disk.rename(ASIDE, &name_of(index))?;
    disk.sync_directory()?;
    Ok(Log { file, index, len: frame.len(), begun: frame.len() })
}

/// A frame: length, checksum, number, and each key with its new value or its absence.
fn frame_of<'c>(number: u64, changes: impl Iterator<Item = (&'c Key, Option<&'c [u8]>)>) -> Vec<u8> {
    let mut frame = vec![0; 4 + CHECKSUM_BYTES];
    frame.extend_from_slice(&number.to_le_bytes());
    for (key, value) in changes {
        let len = value.map_or(u32::MAX, |value| u32::try_from(value.len()).expect("a value of the vault"));
        frame.push(u8::try_from(key.as_bytes().len()).expect("a short key"));
        frame.extend_from_slice(key.as_bytes());
        frame.extend_from_slice(&len.to_le_bytes());
        frame.extend_from_slice(value.unwrap_or_default());
    }
    let len = u32::try_from(frame.len()).expect("a frame of the vault");
    frame[..4].copy_from_slice(&len.to_le_bytes());
    let sum = checksum(&frame[4 + CHECKSUM_BYTES..]);
    frame[4..4 + CHECKSUM_BYTES].copy_from_slice(&sum);
    frame
}

/// What the whole frames of a log amount to; a torn one ends it. `None` where not even the first is whole.
fn replay(log: &[u8]) -> Option<Memory> {
    let mut records = Records::new();
    let mut number = None;
    let mut rest = log;
    while let Some((content, after)) = whole_frame(rest) {
        let (own, mut changes) = content.split_first_chunk::<8>()?;
        let own = u64::from_le_bytes(*own);
        if number.is_some_and(|number| own != number + 1) {
            break;
        }
        number = Some(own);
        while let Some((len, more)) = changes.split_first() {
            let (key, more) = more.split_at_checked(usize::from(*len))?;
            let (len, more) = more.split_first_chunk::<4>()?;
            let key = Key::new(&[key]);
            changes = match u32::from_le_bytes(*len) {
                u32::MAX => {
                    records.remove(&key);
                    more
                }
                len => {
                    let (value, more) = more.split_at_checked(len as usize)?;
                    records.insert(key, value.into());
                    more
                }
            };
        }
        rest = after;
    }
    number.map(|number| Memory { records: Arc::new(records), number })
}

fn whole_frame(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = u32::from_le_bytes(*rest.first_chunk::<4>()?) as usize;
    let (frame, after) = rest.split_at_checked(len)?;
    let content = frame.get(4 + CHECKSUM_BYTES..)?;
    (frame[4..4 + CHECKSUM_BYTES] == checksum(content)).then_some((content, after))
}

fn head_of(slot: &[u8]) -> Option<(u64, [u8; 32])> {
    let (number, rest) = slot.split_first_chunk::<8>()?;
    let (mac, rest) = rest.split_first_chunk::<32>()?;
    let sound = rest.starts_with(&checksum(&slot[..40]));
    sound.then(|| (u64::from_le_bytes(*number), *mac))
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = Sha256::digest(content);
    *hash.first_chunk().expect("a hash is longer")
}

fn page(records: &Records, prefix: &[u8], after: Option<&Key>, limit: usize) -> Page {
    let start = after.copied().unwrap_or(Key::new(&[prefix])).max(Key::new(&[prefix]));
    let found = records.range(start..).filter(|(key, _)| after.is_none_or(|after| *key > after));
    let found = found.take_while(|(key, _)| key.as_bytes().starts_with(prefix)).take(limit);
    found.map(|(key, value)| (*key, value.to_vec())).collect()
}

fn name_of(index: u64) -> String {
    format!("log-{index:08}")
}

fn segment_name(index: u64) -> String {
    format!("segment-{index:08}")
}

fn io(action: &'static str) -> impl Fn(io::Error) -> StorageError {
    move |source| StorageError::Io { action, source }
}

//! Storage: ciphertext by key, committed in atomic, durable batches; and append-only files of sealed audit records.
//!
//! A backend sees keys that are MACs and values that are ciphertext. Everything above relies on this contract:
//!
//! - [`Storage::commit`] is atomic across keys and durable when it returns `Ok`. After an error other than
//!   [`StorageError::Conflict`] or [`StorageError::Invalid`] the outcome is unknown and the backend is poisoned: every later call fails until it is reopened.
//! - [`Read::get`], [`Read::scan`] and snapshots show only what is durable: never a batch whose commit has not returned or is in doubt.
//! - A reader never waits on a writer's I/O.
//! - After a crash at any instant the store reopens with every acknowledged batch, and with the batch in flight whole or not at all.

#[cfg(any(feature = "sled", feature = "redb"))]
mod anchor_file;
mod backend;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) mod doctor;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
#[cfg(any(feature = "sled", feature = "redb"))]
mod files;
#[cfg(any(feature = "sled", feature = "redb"))]
mod home;
pub mod memory;
#[cfg(feature = "sled")]
mod preimage;
#[cfg(any(feature = "sled", feature = "redb"))]
mod recent;
#[cfg(feature = "redb")]
pub mod redb;
#[cfg(any(feature = "sled", feature = "redb"))]
mod segments;
#[cfg(feature = "sled")]
pub mod sled;
#[cfg(any(feature = "sled", feature = "redb"))]
mod wal;

#[cfg(any(feature = "sled", feature = "redb"))]
pub use anchor_file::FileAnchor;
pub use backend::Backend;
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) use files::remove;

use crate::crypto::sha256;
use crate::types::{Code, Error};
use std::collections::BTreeMap;
use std::fmt;

/// Longest storage key, in bytes.
pub const KEY_BYTES_MAX: usize = 48;

/// A storage key: at most 48 bytes, held in place. Keys are ordered as their bytes are.
#[derive(Clone, Copy)]
pub struct Key {
    len: u8,
    bytes: [u8; KEY_BYTES_MAX],
}

impl Key {
    /// The key made of these parts, one after another.
    ///
    /// # Panics
    /// When they are longer than [`KEY_BYTES_MAX`] together: keys are built by the vault alone, from MACs and fixed names.
    #[must_use]
    pub fn new(parts: &[&[u8]]) -> Self {
        let mut key = Key { len: 0, bytes: [0; KEY_BYTES_MAX] };
        for part in parts {
            let start = usize::from(key.len);
            key.bytes[start..start + part.len()].copy_from_slice(part);
            key.len += u8::try_from(part.len()).expect("a part fits, or the copy above has panicked");
        }
        key
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
impl Eq for Key {}
impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}
impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", hex::encode(self.as_bytes()))
    }
}

/// What a batch expects of a key before it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There is no value.
    Absent,
    /// There is a value with this SHA-256.
    Sha256([u8; 32]),
}

impl Expected {
    /// What a value, or its absence, is expected as.
    #[must_use]
    pub fn of(value: Option<&[u8]>) -> Self {
        value.map_or(Expected::Absent, |value| Expected::Sha256(sha256(&[value])))
    }
}

/// A set of changes that is applied whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The commit number: exactly one more than that of the batch before; the first is 1.
    pub number: u64,
    /// What must hold beforehand; else nothing is applied and the answer is [`StorageError::Conflict`].
    pub expectations: Vec<(Key, Expected)>,
    /// The new value of each key, or `None` to remove it.
    pub changes: BTreeMap<Key, Option<Vec<u8>>>,
}

/// A page of a scan, in ascending order of keys.
pub type Page = Vec<(Key, Vec<u8>)>;

/// What can be read: of the store as it is, or of a snapshot.
pub trait Read: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError>;

    /// Keys that start with `prefix` and are greater than `after`, with their values, ascending, at most `limit` of them.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError>;
}

/// A store of encrypted records. See the [module](self) for the contract.
pub trait Storage: Read {
    /// The number of the last durable batch; 0 when there was none.
    fn commit_number(&self) -> u64;

    /// A view that later commits do not change.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StorageError>;

    /// Applies a batch; atomic, and durable when it returns. Callers take turns: a second commit waits for the first.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn commit(&self, batch: &Batch) -> Result<(), StorageError>;

    /// Notes the last acknowledged commit in a place that survives a killed process (not a power cut): a lower bound, checked at open.
    /// `mac` lets the vault check later that it was the vault that wrote it. Best effort where the medium allows nothing better.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn note_head(&self, number: u64, mac: &[u8; 32]) -> Result<(), StorageError>;

    /// The heads that are noted, those that are torn left out; at most two.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn heads(&self) -> Result<Vec<(u64, [u8; 32])>, StorageError>;

    /// Writes segment `index` durably; one that is there already (left by a crash before its commit) is replaced.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn write_segment(&self, index: u64, content: &[u8]) -> Result<(), StorageError>;

    /// The content of segment `index`.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn read_segment(&self, index: u64) -> Result<Option<Vec<u8>>, StorageError>;

    /// Removes segment `index`; whether it was there. That it is gone need not be durable.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn remove_segment(&self, index: u64) -> Result<bool, StorageError>;

    /// Gives room back that no record needs any more, without changing what is there; how large the store is before and after. Readers and
    /// snapshots stay right. Commits wait where they must, and over redb readers too. A crash at any instant leaves the store as it was or compacted.
    ///
    /// # Errors
    /// [`StorageError::Busy`] where open snapshots keep the backend from it; see [`StorageError`]. Unless the answer is
    /// [`StorageError::Poisoned`] the store is as it was, and goes on.
    fn compact(&self) -> Result<Compaction, StorageError> {
        Ok(Compaction::default())
    }

    /// How often the engine below was given the commits that a WAL had kept for it.
    #[cfg(any(test, feature = "testing"))]
    #[doc(hidden)]
    fn settlings(&self) -> u64 {
        0
    }

    /// Closes the store and waits until nothing of it runs any more; later calls answer [`StorageError::Closed`]. Closing twice is fine.
    ///
    /// # Errors
    /// See [`StorageError`]; the store is closed all the same.
    fn close(&self) -> Result<(), StorageError>;
}

/// What a compaction has brought. Both are 0 for a store that has no files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// Bytes of the store's records on the device beforehand.
    pub before: u64,
    /// Bytes of them afterwards.
    pub after: u64,
}

/// Why storage failed. Messages name files of the store and nothing that is in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// An expectation of the batch did not hold; nothing was applied.
    #[error("a record changed in between")]
    Conflict,
    /// The batch or the argument is not one that the vault would make: a wrong number, a value past the limit.
    #[error("invalid storage call: {0}")]
    Invalid(&'static str),
    /// The operating system failed an operation.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An earlier commit failed; the store must be reopened.
    #[error("an earlier commit failed, and whether it was written is unknown: reopen the vault")]
    Poisoned,
    /// The store holds what no vault wrote, or has been cut.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The store has lost commits that were acknowledged.
    #[error("the store has lost commits: {expected} were acknowledged, {found} are there")]
    LostCommits {
        /// The number that was acknowledged.
        expected: u64,
        /// The number that was found.
        found: u64,
    },
    /// Another process, or another handle of this one, has the store open.
    #[error("the store is open in {}", .pid.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    Locked {
        /// The process that holds it, where it could be read.
        pid: Option<u32>,
    },
    /// What was asked for has to wait until others are done.
    #[error("the store is in use by a backup, a verification or the like: try again when it has ended")]
    Busy,
    /// There is a store already.
    #[error("there is a store at this place already: open it, or choose another place")]
    Exists,
    /// There is no store, or it is none of ours.
    #[error("not a libvault store: {0}")]
    NotAStore(&'static str),
    /// The store is of a backend that was left out of this build.
    #[error("this build has no backend \"{0}\": build vault-core with the feature of that name")]
    NotBuilt(&'static str),
    /// The process forked since the store was opened.
    #[error("the vault was opened in another process: open it after the fork")]
    Forked,
    /// The store was closed.
    #[error("the vault is closed")]
    Closed,
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let code = match &error {
            StorageError::Conflict | StorageError::Busy => Code::Conflict,
            StorageError::Invalid(_) => Code::Internal,
            StorageError::Io { source, .. }
                if matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) =>
            {
                Code::NoSpace
            }
            StorageError::Io { .. } => Code::Unavailable,
            StorageError::Poisoned => Code::Poisoned,
            StorageError::Corrupt(_) => Code::Corrupt,
            StorageError::LostCommits { .. } => Code::LostCommits,
            StorageError::Locked { .. } => Code::StoreLocked,
            StorageError::Exists => Code::StoreExists,
            StorageError::NotAStore(_) => Code::NotAStore,
            StorageError::NotBuilt(_) => Code::InvalidRequest,
            StorageError::Forked => Code::Forked,
            StorageError::Closed => Code::Closed,
        };
        Error::new(code, error.to_string())
    }
}

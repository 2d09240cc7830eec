//! The backends on disk: which one a new store is made with, and which one an old store is of.
#![allow(clippy::disallowed_methods, reason = "a backend on disk is known by its files")]

#[cfg(any(feature = "sled", feature = "redb"))]
use super::home::Home;
#[cfg(feature = "redb")]
use super::redb::{RedbOptions, RedbStorage};
#[cfg(feature = "sled")]
use super::sled::{SledOptions, SledStorage};
use super::{Storage, StorageError};
use std::path::Path;

/// Which engine keeps a store on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// sled 0.34: the default. Needs the feature `sled`.
    Sled,
    /// redb 4: for large stores, since it opens them without a copy and takes less room. Needs the feature `redb`.
    Redb,
}

const ALL: [Backend; 2] = [Backend::Sled, Backend::Redb];

impl Backend {
    /// The backend that a new store is made with unless told otherwise: sled where it is built in, else redb.
    #[must_use]
    pub const fn preferred() -> Self {
        if cfg!(all(feature = "redb", not(feature = "sled"))) { Backend::Redb } else { Backend::Sled }
    }

    /// Its name: `"sled"` or `"redb"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Sled => "sled",
            Backend::Redb => "redb",
        }
    }

    /// The backend of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|backend| backend.name() == name)
    }

    /// The backend of the store at a place, if there is one.
    #[must_use]
    pub fn found_at(dir: &Path) -> Option<Self> {
        ALL.into_iter().find(|backend| dir.join(backend.marker()).is_file())
    }

    /// The file by which a directory is known to be a store of this backend.
    pub(super) const fn marker(self) -> &'static str {
        match self {
            Backend::Sled => "CURRENT",
            Backend::Redb => "store.redb",
        }
    }

    /// Makes an empty store with a WAL of so many bytes, which a test fills soon.
    ///
    /// # Errors
    /// See [`StorageError`].
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn create_with_wal(self, path: &Path, cache_bytes: u64, wal_bytes: usize) -> Result<Box<dyn Storage>, StorageError> {
        self.create(path, cache_bytes, Some(wal_bytes))
    }

    /// Opens such a store; the number has to be the same.
    ///
    /// # Errors
    /// See [`StorageError`].
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn open_with_wal(path: &Path, cache_bytes: u64, wal_bytes: usize) -> Result<Box<dyn Storage>, StorageError> {
        Self::open(path, cache_bytes, Some(wal_bytes))
    }

    /// Makes an empty store, whole or not at all, and opens it. Its WAL has the usual size unless told.
    pub(crate) fn create(self, path: &Path, cache_bytes: u64, wal_bytes: Option<usize>) -> Result<Box<dyn Storage>, StorageError> {
        match self {
            #[cfg(feature = "sled")]
            Backend::Sled => Ok(Box::new(SledStorage::create_with(&SledOptions { path: path.to_owned(), cache_bytes }, wal_bytes)?)),
            #[cfg(feature = "redb")]
            Backend::Redb => Ok(Box::new(RedbStorage::create_with(&RedbOptions { path: path.to_owned(), cache_bytes }, wal_bytes)?)),
            #[cfg(not(all(feature = "sled", feature = "redb")))]
            _ => absent(self, path, cache_bytes, wal_bytes),
        }
    }

    /// Opens the store at a place, by the backend that it was made with.
    pub(crate) fn open(path: &Path, cache_bytes: u64, wal_bytes: Option<usize>) -> Result<Box<dyn Storage>, StorageError> {
        match Self::found_at(path) {
            #[cfg(feature = "sled")]
            Some(Backend::Sled) => Ok(Box::new(SledStorage::open_with(&SledOptions { path: path.to_owned(), cache_bytes }, wal_bytes)?)),
            #[cfg(feature = "redb")]
            Some(Backend::Redb) => Ok(Box::new(RedbStorage::open_with(&RedbOptions { path: path.to_owned(), cache_bytes }, wal_bytes)?)),
            #[cfg(not(all(feature = "sled", feature = "redb")))]
            Some(other) => absent(other, path, cache_bytes, wal_bytes),
            #[cfg(any(feature = "sled", feature = "redb"))]
            None => Err(Home::why_not_a_store(path)),
            #[cfg(not(any(feature = "sled", feature = "redb")))]
            None => absent(Self::preferred(), path, cache_bytes, wal_bytes),
        }
    }
}

#[cfg(not(all(feature = "sled", feature = "redb")))]
fn absent(backend: Backend, _path: &Path, _cache_bytes: u64, _wal_bytes: Option<usize>) -> Result<Box<dyn Storage>, StorageError> {
    Err(StorageError::NotBuilt(backend.name()))
}

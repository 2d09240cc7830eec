//! From a configuration to a store: in memory, or on disk where the backend is built in.

use super::Config;
use super::config::Place;
use crate::pipeline::Parts;
use crate::storage::memory::MemoryStorage;
use crate::storage::{Backend, Storage, StorageError};
use crate::types::{Code, Error, Result};
use std::path::Path;
use std::sync::Arc;

/// An empty store for a new vault. One that a crash during its creation left behind is taken up again.
pub(super) fn create(config: Config) -> Result<Parts> {
    let storage = match &config.place {
        Place::Memory => Arc::new(MemoryStorage::new()) as Arc<dyn Storage>,
        Place::Directory(path) => create_at(checked(path)?, &config)?,
        Place::Storage(storage) if storage.commit_number() == 0 => Arc::clone(storage),
        Place::Storage(_) => return Err(StorageError::Exists.into()),
    };
    Ok(parts(config, storage))
}

/// The store of a vault that is there.
pub(super) fn open(config: Config) -> Result<Parts> {
    let storage = match &config.place {
        Place::Memory => {
            let why = "a vault in memory cannot be opened again: create it, or give the place of one on disk";
            return Err(Error::new(Code::NotAStore, why));
        }
        Place::Directory(path) => open_at(checked(path)?, &config)?,
        Place::Storage(storage) => Arc::clone(storage),
    };
    if storage.commit_number() == 0 {
        return Err(Error::new(Code::NotAStore, "not a libvault store: its creation was cut off, so create it again"));
    }
    Ok(parts(config, storage))
}

/// Removes what [`create`] has made, best effort.
pub(super) fn discard(config: &Config) {
    #[cfg(any(feature = "sled", feature = "redb"))]
    if let Place::Directory(path) = &config.place {
        crate::storage::remove(path);
    }
    #[cfg(not(any(feature = "sled", feature = "redb")))]
    let _ = config;
}

#[cfg(any(feature = "sled", feature = "redb"))]
impl Config {
    /// The directory of the vault, where it has one.
    pub(crate) fn directory(&self) -> Result<Option<&Path>> {
        if let Place::Directory(path) = &self.place { checked(path).map(Some) } else { Ok(None) }
    }

    /// The storage that the host has given.
    pub(crate) fn storage(&self) -> Result<&Arc<dyn Storage>> {
        match &self.place {
            Place::Storage(storage) => Ok(storage),
            _ => Err(Error::new(Code::NotAStore, "a vault in memory has no store: give the place of one on disk")),
        }
    }
}

/// A path that the system can be asked for.
fn checked(path: &Path) -> Result<&Path> {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(Error::new(Code::InvalidRequest, "the path of the store holds a NUL character"));
    }
    Ok(path)
}

fn parts(config: Config, storage: Arc<dyn Storage>) -> Parts {
    Parts {
        storage,
        clock: config.clock,
        rng: config.rng,
        audit_mode: config.audit_mode,
        audit_tail_bytes_max: config.audit_tail_bytes,
        value_cache: config.value_cache,
        wrappers: config.wrappers,
        sinks: config.sinks,
        anchor: config.anchor,
        accept_rollback: config.accept_rollback,
        policies: config.policies,
        connectors: config.connectors,
        lease_hook: config.lease_hook,
        rotation_hook: config.rotation_hook,
        log: config.log,
    }
}

fn create_at(path: &Path, config: &Config) -> Result<Arc<dyn Storage>> {
    match config.backend.create(path, config.cache_bytes, config.wal_bytes) {
        Err(StorageError::Exists) => {
            // One that is held by somebody, damaged or of another backend is not empty either.
            match open_at(path, config) {
                Ok(storage) if storage.commit_number() == 0 && Backend::found_at(path) == Some(config.backend) => Ok(storage),
                _ => Err(StorageError::Exists.into()),
            }
        }
        made => Ok(made?.into()),
    }
}

fn open_at(path: &Path, config: &Config) -> Result<Arc<dyn Storage>> {
    Ok(Backend::open(path, config.cache_bytes, config.wal_bytes)?.into())
}

//! A private copy of a store: the only thing that is ever opened of a store that is examined, and gone when it is dropped.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a store is copied as files")]

#[cfg(feature = "redb")]
use super::super::redb::RedbStorage;
#[cfg(feature = "sled")]
use super::super::sled::SledStorage;
use super::super::files::{io, make_dir, size_of};
use super::super::home::Home;
use super::super::{Backend, Storage, StorageError};
use super::{ReadLock, Signs, read_lock};
use std::fs;
use std::path::{Path, PathBuf};

/// Room that is left free on the device beside a copy, in bytes.
const ROOM_LEFT_BYTES: u64 = 16 * 1024 * 1024;

/// A copy of a store's records, opened; its audit segments are read where they lie.
pub(crate) struct Patient {
    /// Gone once it is dropped: the storage first, then its files.
    storage: Option<Box<dyn Storage>>,
    scratch: PathBuf,
    /// The database has passed its backend's own check.
    sound: bool,
}

/// The name of the directory for the copy of a store.
pub(super) fn scratch_name(name: &str) -> String {
    format!(".{name}.examined")
}

impl Patient {
    /// Copies the records of a store into a directory beside it, or in `scratch`, and opens the copy. What HEAD and CURRENT ask for is
    /// left to the caller to compare.
    ///
    /// # Errors
    /// `Locked` when somebody has the store open, or examines it just now; `Io` with `StorageFull` where there is no room for a copy;
    /// `Corrupt` where the backend cannot open it.
    pub(crate) fn copy_of(dir: &Path, signs: &Signs, scratch: Option<&Path>, cache_bytes: u64) -> Result<Self, StorageError> {
        let name = dir.file_name().ok_or(StorageError::NotAStore("the path names no directory"))?;
        let name = scratch_name(&name.to_string_lossy());
        let scratch = scratch.map_or_else(|| dir.with_file_name(&name), |scratch| scratch.join(&name));
        // For as long as the copying takes: a store that is written to cannot be copied.
        let ReadLock::Free(_lock) = read_lock(dir)? else {
            return Err(StorageError::Locked { pid: signs.holder.flatten() });
        };
        clear(&scratch)?;
        make_dir(&scratch).map_err(io("making a directory for a copy of the store"))?;
        // From here on dropped with all that is in it.
        let mut patient = Patient { storage: None, scratch, sound: true };
        patient.check_room(dir, signs)?;
        let (storage, sound) = patient.open(dir, signs, cache_bytes)?;
        (patient.storage, patient.sound) = (Some(storage), sound);
        Ok(patient)
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        self.storage.as_deref().expect("it is there until this is dropped")
    }

    /// Whether the database has passed its backend's own check.
    pub(crate) fn is_sound(&self) -> bool {
        self.sound
    }

    fn open(&self, dir: &Path, signs: &Signs, cache_bytes: u64) -> Result<(Box<dyn Storage>, bool), StorageError> {
        let audit = dir.join("audit");
        match signs.backend {
            #[cfg(feature = "sled")]
            Some(Backend::Sled) => {
                let why = || StorageError::Corrupt("there is no generation of the store".to_owned());
                let generation = dir.join(format!("g-{}", signs.generation().ok_or_else(why)?));
                Ok((Box::new(SledStorage::open_copy(&generation, &self.scratch, audit, cache_bytes)?), true))
            }
            #[cfg(feature = "redb")]
            Some(Backend::Redb) => {
                let file = dir.join(Backend::Redb.marker());
                // What does not pass redb's check may hold much that can be read all the same: of a fresh copy, since a check mends.
                let open = |checked| RedbStorage::open_copy(&file, &self.scratch, audit.clone(), cache_bytes, checked);
                match open(true) {
                    Err(StorageError::Corrupt(_)) => Ok((Box::new(open(false)?), false)),
                    opened => Ok((Box::new(opened?), true)),
                }
            }
            #[cfg(not(all(feature = "sled", feature = "redb")))]
            Some(other) => Err(StorageError::NotBuilt(other.name())),
            None => Err(StorageError::Corrupt("the database of the store is missing".to_owned())),
        }
    }

    /// The copy must not fill a device that others need.
    fn check_room(&self, dir: &Path, signs: &Signs) -> Result<(), StorageError> {
        let needed = match signs.generation() {
            Some(generation) if signs.backend == Some(Backend::Sled) => size_of(&dir.join(format!("g-{generation}"))),
            _ => fs::metadata(dir.join(Backend::Redb.marker())).map(|found| found.len()).or(Ok(0)),
        };
        let needed = needed.map_err(io("measuring the store"))?.saturating_add(ROOM_LEFT_BYTES);
        let device = rustix::fs::statvfs(&self.scratch).map_err(|error| io("asking for room")(error.into()))?;
        if device.f_bavail.saturating_mul(device.f_frsize) < needed {
            let source = std::io::ErrorKind::StorageFull.into();
            return Err(StorageError::Io { action: "copying the store (it needs as much room as the store has)", source });
        }
        Ok(())
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        drop(self.storage.take());
        // Best effort: what is left is known by its name, and the next examination removes it.
        let _removed = fs::remove_dir_all(&self.scratch);
    }
}

/// Removes what an examination that was cut off has left; one that is under way has it locked.
fn clear(scratch: &Path) -> Result<(), StorageError> {
    if scratch.exists() {
        drop(Home::lock_dir(scratch)?);
        fs::remove_dir_all(scratch).map_err(io("removing an examination that was cut off"))?;
    }
    Ok(())
}

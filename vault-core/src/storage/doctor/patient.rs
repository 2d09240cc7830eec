//! A private copy of a store: the only thing that is ever opened of a store that is examined, and gone when it is dropped.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a store is copied as files")]

use super::super::files::{io, make_dir, size_of};
use super::super::home::Home;
#[cfg(feature = "redb")]
use super::super::redb::RedbStorage;
#[cfg(feature = "sled")]
use super::super::sled::SledStorage;
use super::super::wal;
use super::super::{Backend, Storage, StorageError};
#[cfg(feature = "redb")]
use super::super::{Batch, Read};
#[cfg(feature = "redb")]
use super::Tolerant;
use super::{ReadLock, Signs, read_lock};
use std::fs;
use std::path::{Path, PathBuf};

/// Records that are taken at a time.
#[cfg(feature = "redb")]
const PAGE: usize = 512;
/// Room that is left free on the device beside a copy, in bytes.
const ROOM_LEFT_BYTES: u64 = 16 * 1024 * 1024;

/// A copy of a store's records, opened; its audit segments are read where they lie.
pub(crate) struct Patient {
    /// Gone once it is dropped: the storage first, then its files.
    storage: Option<Box<dyn Storage>>,
    scratch: PathBuf,
    /// The database has passed its backend's own check, and its WAL is whole.
    sound: bool,
    /// The number of the last commit that is there.
    number: u64,
    /// Places at which the database could not be read when that was taken out which can be.
    gaps: u64,
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
        let mut patient = Patient { storage: None, scratch, sound: true, number: 0, gaps: 0 };
        patient.check_room(dir, signs)?;
        patient.open(dir, signs, cache_bytes)?;
        Ok(patient)
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        self.storage.as_deref().expect("it is there until this is dropped")
    }

    /// Whether the database has passed its backend's own check, and its WAL is whole.
    pub(crate) fn is_sound(&self) -> bool {
        self.sound
    }

    /// The number of the last commit that is there.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Places at which the database could not be read.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps
    }

    fn open(&mut self, dir: &Path, signs: &Signs, cache_bytes: u64) -> Result<(), StorageError> {
        let audit = dir.join("audit");
        let storage: Box<dyn Storage> = match signs.backend {
            #[cfg(feature = "sled")]
            Some(Backend::Sled) => {
                let why = || StorageError::Corrupt("there is no generation of the store".to_owned());
                let generation = dir.join(format!("g-{}", signs.generation().ok_or_else(why)?));
                let (storage, is_sound) = SledStorage::open_copy(&generation, &self.scratch, audit, cache_bytes)?;
                self.sound = is_sound;
                Box::new(storage)
            }
            #[cfg(feature = "redb")]
            Some(Backend::Redb) => {
                let file = dir.join(Backend::Redb.marker());
                // What does not pass redb's check may hold much that can be read all the same: of a fresh copy, since a check mends.
                let open = |checked| RedbStorage::open_copy(&file, &self.scratch, audit.clone(), cache_bytes, checked);
                match open(true) {
                    Err(StorageError::Corrupt(_)) => {
                        let damaged = open(false)?;
                        self.sound = false;
                        self.number = damaged.commit_number();
                        // Read once and laid into a sound one: each touch of a damaged page costs a panic of redb's.
                        let taken = RedbStorage::create_beside(&self.scratch.join("taken"), audit.clone(), cache_bytes)?;
                        self.gaps = take(&damaged, &taken)?;
                        damaged.give_left(&taken)?;
                        self.storage = Some(Box::new(taken));
                        return Ok(());
                    }
                    opened => Box::new(opened?),
                }
            }
            #[cfg(not(all(feature = "sled", feature = "redb")))]
            Some(other) => return Err(StorageError::NotBuilt(other.name())),
            None => return Err(StorageError::Corrupt("the database of the store is missing".to_owned())),
        };
        self.number = storage.commit_number();
        self.storage = Some(storage);
        Ok(())
    }

    /// The copy must not fill a device that others need.
    fn check_room(&self, dir: &Path, signs: &Signs) -> Result<(), StorageError> {
        let needed = bytes_of_copy(dir, signs)?.saturating_add(ROOM_LEFT_BYTES);
        let device = rustix::fs::statvfs(&self.scratch).map_err(|error| io("asking for room")(error.into()))?;
        if device.f_bavail.saturating_mul(device.f_frsize) < needed {
            let source = std::io::ErrorKind::StorageFull.into();
            return Err(StorageError::Io { action: "copying the store (it needs as much room as the store has)", source });
        }
        Ok(())
    }
}

/// What a copy of a store's records takes: what only the WAL has is laid into it.
fn bytes_of_copy(dir: &Path, signs: &Signs) -> Result<u64, StorageError> {
    let of_file = |name: &str| fs::metadata(dir.join(name)).map_or(0, |found| found.len());
    let records = match signs.generation() {
        Some(generation) if signs.backend == Some(Backend::Sled) => {
            size_of(&dir.join(format!("g-{generation}"))).map_err(io("measuring the store"))?
        }
        _ => of_file(Backend::Redb.marker()),
    };
    Ok(records.saturating_add(of_file(wal::NAME)))
}

impl Drop for Patient {
    fn drop(&mut self) {
        drop(self.storage.take());
        // Best effort: what is left is known by its name, and the next examination removes it.
        let _removed = fs::remove_dir_all(&self.scratch);
    }
}

/// Copies what can be read; how often something could not be.
#[cfg(feature = "redb")]
fn take(from: &dyn Storage, to: &dyn Storage) -> Result<u64, StorageError> {
    let from = Tolerant::over(from);
    let mut after = None;
    loop {
        let page = from.scan(&[], after.as_ref(), PAGE)?;
        after = page.last().map(|(key, _)| *key);
        let ended = page.len() < PAGE;
        let changes = page.into_iter().map(|(key, value)| (key, Some(value))).collect();
        to.commit(&Batch { number: to.commit_number() + 1, expectations: Vec::new(), changes })?;
        if ended {
            return Ok(from.gaps());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_needs_room_for_the_records_in_use_and_for_what_the_wal_has() {
        for records in ["g-2/db", "store.redb"] {
            let dir = tempfile::tempdir().expect("a directory");
            let dir = dir.path();
            let write = |name: &str, bytes| {
                fs::create_dir_all(dir.join(name).parent().expect("it has one")).expect("made");
                fs::write(dir.join(name), vec![1; bytes]).expect("written");
            };
            write(records, 5_000);
            if records.starts_with("g-") {
                write("g-1/db", 300);
            }
            let needed = || bytes_of_copy(dir, &Signs::of(dir).expect("looked at")).expect("measured");
            assert_eq!(needed(), 5_000, "{records}");
            write(wal::NAME, 70_000);
            assert_eq!(needed(), 75_000, "{records}");
        }
    }
}

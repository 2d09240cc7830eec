//! The files of a store: LOCK, CURRENT, HEAD, the generations `g-N/`, `audit/`; all 0600 in directories 0700.
//!
//! CURRENT: `"LVCURR00" | generation (8) | commit (8) | SHA-256 of what comes before (32)`.
//! HEAD: two slots of 512 bytes: `commit (8) | MAC (32) | first 8 bytes of the SHA-256 of what comes before`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::super::StorageError;
use super::super::files::{io, write_durably};
use crate::crypto::sha256;
use parking_lot::Mutex;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Result as IoResult, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const CURRENT_MAGIC: &[u8; 8] = b"LVCURR00";
const HEAD_SLOT_BYTES: u64 = 512;

/// A store's directory, locked by this handle.
pub(super) struct Place {
    dir: PathBuf,
    /// Let go at close.
    lock: Mutex<Option<File>>,
    head: File,
}

/// Which generation is the store, and the commit that it had when it was opened last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Current {
    pub(super) generation: u64,
    pub(super) number: u64,
}

impl Place {
    /// Locks a store that is there.
    pub(super) fn lock(dir: &Path) -> Result<Self, StorageError> {
        let found = fs::metadata(dir).map_err(|error| match error.kind() {
            ErrorKind::NotFound => StorageError::NotAStore("there is nothing at this place: create a vault first"),
            _ => StorageError::Io { action: "opening the store", source: error },
        })?;
        if !found.is_dir() {
            return Err(StorageError::NotAStore("there is a file at this place, and a store is a directory"));
        }
        if !dir.join("CURRENT").is_file() {
            return Err(StorageError::NotAStore("the directory has no file CURRENT"));
        }
        Self::lock_dir(dir)
    }

    /// Locks a directory that is being made into a store.
    pub(super) fn lock_dir(dir: &Path) -> Result<Self, StorageError> {
        let mut lock = open_file(&dir.join("LOCK")).map_err(io("opening LOCK"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = lock.read_to_string(&mut text);
                return Err(StorageError::Locked { pid: read.ok().and_then(|_| text.trim().parse().ok()) });
            }
            Err(TryLockError::Error(source)) => return Err(StorageError::Io { action: "locking the store", source }),
        }
        // The pid is for the message alone; the lock is what counts.
        let noted = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
        noted.map_err(io("writing LOCK"))?;
        let head = open_file(&dir.join("HEAD")).map_err(io("opening HEAD"))?;
        Ok(Place { dir: dir.to_owned(), lock: Mutex::new(Some(lock)), head })
    }

    /// The same place under the name that it was given when it was whole.
    pub(super) fn renamed(self, dir: &Path) -> Self {
        Place { dir: dir.to_owned(), ..self }
    }

    /// Frees the store for others. Closing the descriptor is not enough: a process that is being spawned just now has a copy of it.
    pub(super) fn unlock(&self) {
        if let Some(lock) = self.lock.lock().take() {
            // Closing is what is left where this fails.
            let _unlocked = lock.unlock();
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn audit_dir(&self) -> PathBuf {
        self.dir.join("audit")
    }

    pub(super) fn generation_dir(&self, generation: u64) -> PathBuf {
        self.dir.join(format!("g-{generation}"))
    }

    pub(super) fn current(&self) -> Result<Current, StorageError> {
        let bytes = fs::read(self.dir.join("CURRENT")).map_err(io("reading CURRENT"))?;
        let sound = || {
            let (body, hash) = bytes.split_last_chunk::<32>()?;
            let (generation, number) = body.strip_prefix(CURRENT_MAGIC)?.split_first_chunk::<8>()?;
            let number: [u8; 8] = number.try_into().ok()?;
            let current = Current { generation: u64::from_le_bytes(*generation), number: u64::from_le_bytes(number) };
            (sha256(&[body]) == *hash).then_some(current)
        };
        sound().ok_or_else(|| StorageError::Corrupt("the file CURRENT was altered or cut".to_owned()))
    }

    /// Switches to another generation: written aside, synced, renamed, the directory synced.
    pub(super) fn switch(&self, to: Current) -> Result<(), StorageError> {
        let mut bytes = [&CURRENT_MAGIC[..], &to.generation.to_le_bytes(), &to.number.to_le_bytes()].concat();
        bytes.extend_from_slice(&sha256(&[&bytes]));
        write_durably(&self.dir, "CURRENT", &bytes).map_err(io("switching CURRENT"))
    }

    pub(super) fn write_head(&self, number: u64, mac: &[u8; 32]) -> Result<(), StorageError> {
        let mut slot = [&number.to_le_bytes()[..], mac].concat();
        slot.extend_from_slice(&sha256(&[&slot])[..8]);
        self.head.write_all_at(&slot, number % 2 * HEAD_SLOT_BYTES).map_err(io("writing HEAD"))
    }

    /// The heads that are noted; torn and empty slots are left out.
    pub(super) fn heads(&self) -> Result<Vec<(u64, [u8; 32])>, StorageError> {
        let mut heads = Vec::new();
        for slot in 0..2 {
            let mut bytes = [0; 48];
            match self.head.read_exact_at(&mut bytes, slot * HEAD_SLOT_BYTES) {
                Ok(()) => heads.extend(head_of(&bytes)),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(io("reading HEAD")(error)),
            }
        }
        Ok(heads)
    }
}

fn head_of(bytes: &[u8; 48]) -> Option<(u64, [u8; 32])> {
    let (body, check) = bytes.split_last_chunk::<8>()?;
    let (number, mac) = body.split_first_chunk::<8>()?;
    (sha256(&[body])[..8] == *check).then_some((u64::from_le_bytes(*number), mac.try_into().ok()?))
}

/// Opens a file for reading and writing, made 0600 if it is not there.
fn open_file(path: &Path) -> IoResult<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Takes from a directory and all in it what others could do with it: sled makes its files as the umask says.
pub(super) fn restrict_all(dir: &Path) -> Result<(), StorageError> {
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(io("restricting a directory"))?;
    for entry in fs::read_dir(dir).map_err(io("listing a directory"))? {
        let entry = entry.map_err(io("listing a directory"))?;
        let path = entry.path();
        let restricted = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            restrict_all(&path)
        } else {
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(io("restricting a file"))
        };
        match restricted {
            // sled's threads rename and unlink files of their own.
            Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_free_though_a_process_that_is_being_spawned_has_a_copy_of_its_lock() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Place::lock_dir(dir.path()).expect("nobody has it");
        let copy = place.lock.lock().as_ref().map(|lock| lock.try_clone().expect("a copy"));
        assert!(matches!(Place::lock_dir(dir.path()), Err(StorageError::Locked { .. })));
        place.unlock();
        assert!(Place::lock_dir(dir.path()).is_ok());
        drop(copy);
    }
}

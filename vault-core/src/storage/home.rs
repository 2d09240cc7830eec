//! The home of a store on disk: a directory with LOCK, HEAD and `audit/`, made whole or not at all; files 0600, directories 0700.
//!
//! HEAD: two slots of 512 bytes: `commit (8) | MAC (32) | first 8 bytes of the SHA-256 of what comes before`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::files::{io, make_dir, sync_dir};
use super::{Backend, StorageError};
use crate::crypto::sha256;
use parking_lot::Mutex;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Result as IoResult, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(super) const HEAD_SLOT_BYTES: u64 = 512;

/// A store's directory, locked by this handle.
pub(super) struct Home {
    dir: PathBuf,
    /// Let go at close.
    lock: Mutex<Option<File>>,
    head: File,
}

impl Home {
    /// Locks a store that is there: a directory with the file by which its backend is known.
    pub(super) fn lock(dir: &Path, backend: Backend) -> Result<Self, StorageError> {
        if dir.join(backend.marker()).is_file() { Self::lock_dir(dir) } else { Err(Self::why_not_a_store(dir)) }
    }

    /// What keeps a place from being a store.
    pub(super) fn why_not_a_store(dir: &Path) -> StorageError {
        match fs::metadata(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                StorageError::NotAStore("there is nothing at this place: create a vault first")
            }
            Err(source) => StorageError::Io { action: "opening the store", source },
            Ok(found) if !found.is_dir() => StorageError::NotAStore("there is a file at this place, and a store is a directory"),
            Ok(_) => StorageError::NotAStore("the directory has neither a file CURRENT nor a file store.redb"),
        }
    }

    /// Makes a store aside, has it filled, syncs it and renames it into its place.
    pub(super) fn create(path: &Path, fill: impl FnOnce(&Home) -> Result<(), StorageError>) -> Result<Self, StorageError> {
        let name = path.file_name().ok_or(StorageError::NotAStore("the path names no directory"))?;
        must_be_free(path)?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut aside_name = OsString::from(".");
        aside_name.push(name);
        aside_name.push(".creating");
        let aside = parent.join(aside_name);
        if aside.exists() {
            // Left by a creation that was cut off; one that is under way has it locked.
            drop(Self::lock_dir(&aside)?);
            fs::remove_dir_all(&aside).map_err(io("removing a creation that was cut off"))?;
        }
        let made = Self::make(&aside, fill).and_then(|home| {
            fs::rename(&aside, path).map_err(io("renaming the new store into its place"))?;
            sync_dir(&parent).map_err(io("syncing the store's parent"))?;
            Ok(Home { dir: path.to_owned(), ..home })
        });
        if made.is_err() {
            // Best effort: the first error is the one to tell.
            let _removed = fs::remove_dir_all(&aside);
        }
        made
    }

    fn make(dir: &Path, fill: impl FnOnce(&Home) -> Result<(), StorageError>) -> Result<Self, StorageError> {
        make_dir(dir).map_err(io("making the store's directory"))?;
        let home = Self::lock_dir(dir)?;
        make_dir(&home.audit_dir()).map_err(io("making the audit directory"))?;
        fill(&home)?;
        sync_all(dir)?;
        Ok(home)
    }

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
        Ok(Home { dir: dir.to_owned(), lock: Mutex::new(Some(lock)), head })
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

    /// Checks that a store has every commit that was acknowledged as far as HEAD, and `known`, can tell.
    pub(super) fn check_number(&self, number: u64, known: u64) -> Result<(), StorageError> {
        let acknowledged = self.heads()?.into_iter().map(|(number, _)| number).fold(known, u64::max);
        if number < acknowledged {
            return Err(StorageError::LostCommits { expected: acknowledged, found: number });
        }
        Ok(())
    }
}

/// A new store takes a place where there is nothing, or an empty directory.
fn must_be_free(path: &Path) -> Result<(), StorageError> {
    if Backend::found_at(path).is_some() {
        return Err(StorageError::Exists);
    }
    match fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(StorageError::NotAStore("the directory holds other files: choose an empty or a new one")),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io("looking at the place")(error)),
    }
}

/// The head in a slot; `None` where it is torn or empty.
pub(super) fn head_of(bytes: &[u8; 48]) -> Option<(u64, [u8; 32])> {
    let (body, check) = bytes.split_last_chunk::<8>()?;
    let (number, mac) = body.split_first_chunk::<8>()?;
    (sha256(&[body])[..8] == *check).then_some((u64::from_le_bytes(*number), mac.try_into().ok()?))
}

/// Opens a file for reading and writing, made 0600 if it is not there.
pub(super) fn open_file(path: &Path) -> IoResult<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Takes from a directory and all in it what others could do with it: an engine may make its files as the umask says.
#[cfg(feature = "sled")]
pub(super) fn restrict_all(dir: &Path) -> Result<(), StorageError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::Permissions::from_mode;
    fs::set_permissions(dir, mode(0o700)).map_err(io("restricting a directory"))?;
    for entry in fs::read_dir(dir).map_err(io("listing a directory"))? {
        let entry = entry.map_err(io("listing a directory"))?;
        let path = entry.path();
        let restricted = if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            restrict_all(&path)
        } else {
            fs::set_permissions(&path, mode(0o600)).map_err(io("restricting a file"))
        };
        match restricted {
            // sled's threads rename and unlink files of their own.
            Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Makes all files below a directory durable, and the names in it.
pub(super) fn sync_all(dir: &Path) -> Result<(), StorageError> {
    for entry in fs::read_dir(dir).map_err(io("listing a directory"))? {
        let entry = entry.map_err(io("listing a directory"))?;
        if entry.file_type().map_err(io("listing a directory"))?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            match File::open(entry.path()) {
                Ok(file) => file.sync_all().map_err(io("syncing a file"))?,
                // sled's threads rename and unlink files of their own.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(io("syncing a file")(error)),
            }
        }
    }
    sync_dir(dir).map_err(io("syncing a directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_free_though_a_process_that_is_being_spawned_has_a_copy_of_its_lock() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::lock_dir(dir.path()).expect("nobody has it");
        let copy = home.lock.lock().as_ref().map(|lock| lock.try_clone().expect("a copy"));
        assert!(matches!(Home::lock_dir(dir.path()), Err(StorageError::Locked { .. })));
        home.unlock();
        assert!(Home::lock_dir(dir.path()).is_ok());
        drop(copy);
    }
}

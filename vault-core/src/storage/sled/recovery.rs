//! Making a store, and opening one in a private copy of its generation.
//!
//! sled renames a new snapshot without syncing the directory while it opens, and then overwrites the log: a power cut in between loses the
//! store. So it never opens the generation that CURRENT names, but a copy; CURRENT is switched when the copy has been opened, checked and synced.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::super::StorageError;
use super::super::files::{io, make_dir, sync_dir};
use super::SledOptions;
use super::engine::Engine;
use super::place::{Current, Place};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Makes an empty store aside, syncs it and renames it into its place.
pub(super) fn create(options: &SledOptions) -> Result<Place, StorageError> {
    let path = &options.path;
    let name = path.file_name().ok_or(StorageError::NotAStore("the path names no directory"))?;
    match fs::read_dir(path) {
        Ok(mut entries) => {
            if path.join("CURRENT").exists() {
                return Err(StorageError::Exists);
            }
            if entries.next().is_some() {
                return Err(StorageError::NotAStore("the directory holds other files: choose an empty or a new one"));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("looking at the place")(error)),
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut aside_name = std::ffi::OsString::from(".");
    aside_name.push(name);
    aside_name.push(".creating");
    let aside = parent.join(aside_name);
    if aside.exists() {
        // Left by a creation that was cut off; one that is under way has it locked.
        drop(Place::lock_dir(&aside)?);
        fs::remove_dir_all(&aside).map_err(io("removing a creation that was cut off"))?;
    }
    let made = make_aside(&aside, options.cache_bytes).and_then(|place| {
        fs::rename(&aside, path).map_err(io("renaming the new store into its place"))?;
        sync_dir(&parent).map_err(io("syncing the store's parent"))?;
        Ok(place.renamed(path))
    });
    if made.is_err() {
        // Best effort: the first error is the one to tell.
        let _removed = fs::remove_dir_all(&aside);
    }
    made
}

fn make_aside(aside: &Path, cache_bytes: u64) -> Result<Place, StorageError> {
    make_dir(aside).map_err(io("making the store's directory"))?;
    let place = Place::lock_dir(aside)?;
    make_dir(&place.audit_dir()).map_err(io("making the audit directory"))?;
    let generation = place.generation_dir(1);
    make_dir(&generation).map_err(io("making a generation"))?;
    Engine::open(&generation, cache_bytes)?.close()?;
    sync_all(&generation)?;
    place.switch(Current { generation: 1, number: 0 })?;
    sync_all(aside)?;
    Ok(place)
}

/// Opens a copy of the current generation, checks it, and makes it the current one.
pub(super) fn recover(place: &Place, cache_bytes: u64) -> Result<(Engine, u64), StorageError> {
    let current = place.current()?;
    let old = place.generation_dir(current.generation);
    if !old.is_dir() {
        return Err(StorageError::Corrupt("the generation that CURRENT names is missing".to_owned()));
    }
    remove_leftovers(place, &old)?;
    let generation = current.generation + 1;
    let new = place.generation_dir(generation);
    let recovered = copy(&old, &new).and_then(|()| open_copy(place, &new, current.number, cache_bytes)).and_then(|(engine, number)| {
        sync_dir(place.dir()).map_err(io("syncing the store's directory"))?;
        place.switch(Current { generation, number })?;
        Ok((engine, number))
    });
    match recovered {
        Ok(recovered) => {
            fs::remove_dir_all(&old).map_err(io("removing the generation before"))?;
            Ok(recovered)
        }
        Err(error) => {
            // The generation that CURRENT names is as it was; where CURRENT was switched after all, the copy is whole and stays.
            if place.current().is_ok_and(|now| now == current) {
                let _removed = fs::remove_dir_all(&new);
            }
            Err(error)
        }
    }
}

/// Opens the copy and checks that it has every commit that was acknowledged.
fn open_copy(place: &Place, dir: &Path, number_at_open: u64, cache_bytes: u64) -> Result<(Engine, u64), StorageError> {
    let engine = Engine::open(dir, cache_bytes)?;
    let number = engine.number()?;
    let acknowledged = place.heads()?.into_iter().map(|(number, _)| number).fold(number_at_open, u64::max);
    if number < acknowledged {
        engine.close()?;
        return Err(StorageError::LostCommits { expected: acknowledged, found: number });
    }
    sync_all(dir)?;
    Ok((engine, number))
}

/// Removes what openings and commits that were cut off have left: other generations, files written aside.
fn remove_leftovers(place: &Place, current: &Path) -> Result<(), StorageError> {
    for entry in fs::read_dir(place.dir()).map_err(io("listing the store"))? {
        let path = entry.map_err(io("listing the store"))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("g-") && path != current {
            fs::remove_dir_all(&path).map_err(io("removing a generation that was cut off"))?;
        } else if name == "CURRENT.new" {
            fs::remove_file(&path).map_err(io("removing a file that was cut off"))?;
        }
    }
    Ok(())
}

/// Copies a generation, by reference where the file system can; snapshots that sled had not finished are left out.
fn copy(from: &Path, to: &Path) -> Result<(), StorageError> {
    make_dir(to).map_err(io("making a generation"))?;
    for entry in fs::read_dir(from).map_err(io("listing a generation"))? {
        let entry = entry.map_err(io("listing a generation"))?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(io("listing a generation"))?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if !entry.file_name().to_string_lossy().ends_with(".generating") {
            fs::copy(entry.path(), &target).map_err(io("copying a generation (it needs as much room as the store)"))?;
        }
    }
    Ok(())
}

/// Makes all files below a directory durable, and the names in it.
fn sync_all(dir: &Path) -> Result<(), StorageError> {
    for entry in fs::read_dir(dir).map_err(io("listing a directory"))? {
        let entry = entry.map_err(io("listing a directory"))?;
        if entry.file_type().map_err(io("listing a directory"))?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            match File::open(entry.path()) {
                Ok(file) => file.sync_all().map_err(io("syncing a file"))?,
                // sled's threads rename and unlink files of their own.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io("syncing a file")(error)),
            }
        }
    }
    sync_dir(dir).map_err(io("syncing a directory"))
}

//! Making a store, and opening one in a private copy of its generation.
//!
//! sled renames a new snapshot without syncing the directory while it opens, and then overwrites the log: a power cut in between loses the
//! store. So it never opens the generation that CURRENT names, but a copy; CURRENT is switched when the copy has been opened, checked and synced.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::super::StorageError;
use super::super::files::{io, make_dir, sync_dir};
use super::super::home::{Home, sync_all};
use super::SledOptions;
use super::current::{Current, generation_dir};
use super::engine::Engine;
use std::fs;
use std::path::Path;

/// Makes an empty store: one empty generation, and CURRENT.
pub(super) fn create(options: &SledOptions) -> Result<Home, StorageError> {
    Home::create(&options.path, |home| {
        let generation = generation_dir(home, 1);
        make_dir(&generation).map_err(io("making a generation"))?;
        Engine::open(&generation, options.cache_bytes)?.close()?;
        sync_all(&generation)?;
        Current { generation: 1, number: 0 }.write(home)
    })
}

/// Opens a copy of the current generation, checks it, and makes it the current one.
pub(super) fn recover(home: &Home, cache_bytes: u64) -> Result<(Engine, u64), StorageError> {
    let current = Current::read(home)?;
    let old = generation_dir(home, current.generation);
    if !old.is_dir() {
        return Err(StorageError::Corrupt("the generation that CURRENT names is missing".to_owned()));
    }
    remove_leftovers(home, &old)?;
    let generation = current.generation + 1;
    let new = generation_dir(home, generation);
    let recovered = copy(&old, &new).and_then(|()| open_copy(home, &new, current.number, cache_bytes)).and_then(|(engine, number)| {
        sync_dir(home.dir()).map_err(io("syncing the store's directory"))?;
        Current { generation, number }.write(home)?;
        Ok((engine, number))
    });
    match recovered {
        Ok(recovered) => {
            fs::remove_dir_all(&old).map_err(io("removing the generation before"))?;
            Ok(recovered)
        }
        Err(error) => {
            // The generation that CURRENT names is as it was; where CURRENT was switched after all, the copy is whole and stays.
            if Current::read(home).is_ok_and(|now| now == current) {
                let _removed = fs::remove_dir_all(&new);
            }
            Err(error)
        }
    }
}

/// Opens a private copy of any generation, and nothing else of the store that it is of.
pub(super) fn open_beside(home: &Home, generation: &Path, cache_bytes: u64) -> Result<(Engine, u64, bool), StorageError> {
    let own = generation_dir(home, 1);
    copy(generation, &own)?;
    let (engine, is_sound) = Engine::open_damaged(&own, cache_bytes)?;
    let number = engine.number()?;
    Ok((engine, number, is_sound))
}

/// Opens the copy and checks that it has every commit that was acknowledged.
fn open_copy(home: &Home, dir: &Path, number_at_open: u64, cache_bytes: u64) -> Result<(Engine, u64), StorageError> {
    let engine = Engine::open(dir, cache_bytes)?;
    let number = engine.number()?;
    if let Err(error) = home.check_number(number, number_at_open) {
        engine.close()?;
        return Err(error);
    }
    sync_all(dir)?;
    Ok((engine, number))
}

/// Removes what openings and commits that were cut off have left: other generations, files written aside.
fn remove_leftovers(home: &Home, current: &Path) -> Result<(), StorageError> {
    for entry in fs::read_dir(home.dir()).map_err(io("listing the store"))? {
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

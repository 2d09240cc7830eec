//! Making a store, and opening one in a private copy of its generation.
//!
//! sled renames a new snapshot without syncing the directory while it opens, and then overwrites the log: a power cut in between loses the
//! store. So it never opens the generation that CURRENT names, but a copy; CURRENT is switched when the copy has been opened, checked and synced.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::super::StorageError;
use super::super::files::{io, make_dir, sync_dir};
use super::super::home::{Home, sync_all};
use super::super::recent;
use super::super::wal::{self, Wal};
use super::SledOptions;
use super::current::{Current, generation_dir};
use super::engine::Engine;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The usual size of the WAL: sled is handed so much at once.
pub(super) const WAL_BYTES: usize = 1024 * 1024;

/// An engine that holds all commits up to this number, and the WAL for those to come.
pub(super) struct Recovered {
    pub(super) engine: Engine,
    pub(super) wal: Wal,
    pub(super) number: u64,
}

/// Makes an empty store: one empty generation, and CURRENT.
pub(super) fn create(options: &SledOptions, wal_bytes: usize) -> Result<Home, StorageError> {
    Home::create(&options.path, |home| {
        let generation = generation_dir(home, 1);
        make_dir(&generation).map_err(io("making a generation"))?;
        Engine::open(&generation, options.cache_bytes)?.close()?;
        Wal::open(home.dir(), wal_bytes)?;
        sync_all(&generation)?;
        Current { generation: 1, number: 0 }.write(home)
    })
}

/// Opens a copy of the current generation, checks it, and makes it the current one.
pub(super) fn recover(home: &Home, cache_bytes: u64, wal_bytes: usize) -> Result<Recovered, StorageError> {
    let current = Current::read(home)?;
    let old = generation_dir(home, current.generation);
    if !old.is_dir() {
        return Err(StorageError::Corrupt("the generation that CURRENT names is missing".to_owned()));
    }
    remove_leftovers(home, &old)?;
    let generation = current.generation + 1;
    let new = generation_dir(home, generation);
    let recovered =
        copy(&old, &new).and_then(|()| open_copy(home, &new, current.number, (cache_bytes, wal_bytes))).and_then(|mut recovered| {
            sync_dir(home.dir()).map_err(io("syncing the store's directory"))?;
            Current { generation, number: recovered.number }.write(home)?;
            // Not before: the generation before has not what is in it.
            recovered.wal.wipe()?;
            Ok(recovered)
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

/// Opens a private copy of any generation, with the WAL beside it, and nothing else of the store that it is of; whether the WAL is sound.
pub(super) fn open_beside(home: &Home, generation: &Path, cache_bytes: u64) -> Result<(Recovered, bool), StorageError> {
    let own = generation_dir(home, 1);
    copy(generation, &own)?;
    match fs::copy(generation.with_file_name(wal::NAME), home.dir().join(wal::NAME)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("copying WAL")(error)),
        _ => {}
    }
    let (mut recovered, is_sound) = carry_out(home, Engine::open(&own, cache_bytes)?, WAL_BYTES, true)?;
    recovered.wal.restart()?;
    Ok((recovered, is_sound))
}

/// Opens the copy and checks that it has every commit that was acknowledged.
fn open_copy(home: &Home, dir: &Path, number_at_open: u64, (cache_bytes, wal_bytes): (u64, usize)) -> Result<Recovered, StorageError> {
    let (recovered, _) = carry_out(home, Engine::open(dir, cache_bytes)?, wal_bytes, false)?;
    if let Err(error) = home.check_number(recovered.number, number_at_open) {
        recovered.engine.close()?;
        return Err(error);
    }
    sync_all(dir)?;
    Ok(recovered)
}

/// Hands sled the commits of the WAL that it has not; whether that is sound. Damage is an error where it is not to be tolerated.
fn carry_out(home: &Home, engine: Engine, wal_bytes: usize, tolerant: bool) -> Result<(Recovered, bool), StorageError> {
    let mut number = engine.number()?;
    let mut wal = Wal::open(home.dir(), wal_bytes)?;
    let (batches, is_damaged) = wal.read(number, tolerant)?;
    if let Some((changes, last)) = recent::together(batches) {
        engine.settle(&changes, last)?;
        number = last;
    }
    Ok((Recovered { engine, wal, number }, !is_damaged))
}

/// Removes what openings and commits that were cut off have left: other generations, files written aside.
fn remove_leftovers(home: &Home, current: &Path) -> Result<(), StorageError> {
    for entry in fs::read_dir(home.dir()).map_err(io("listing the store"))? {
        let path = entry.map_err(io("listing the store"))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("g-") && path != current {
            fs::remove_dir_all(&path).map_err(io("removing a generation that was cut off"))?;
        } else if name == "CURRENT.new" || name == "WAL.new" {
            fs::remove_file(&path).map_err(io("removing a file that was cut off"))?;
        }
    }
    Ok(())
}

/// Copies a generation, by reference where the file system can; snapshots that sled had not finished are left out, and a WAL, which once lay there.
fn copy(from: &Path, to: &Path) -> Result<(), StorageError> {
    make_dir(to).map_err(io("making a generation"))?;
    for entry in fs::read_dir(from).map_err(io("listing a generation"))? {
        let entry = entry.map_err(io("listing a generation"))?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(io("listing a generation"))?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if !is_left_out(&entry.file_name()) {
            fs::copy(entry.path(), &target).map_err(io("copying a generation (it needs as much room as the store)"))?;
        }
    }
    Ok(())
}

fn is_left_out(name: &OsStr) -> bool {
    name == wal::NAME || name.to_string_lossy().ends_with(".generating")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_what_is_sleds_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("g-1"), dir.path().join("g-2"));
        fs::create_dir_all(from.join("blobs")).expect("made");
        for name in ["db", "conf", "blobs/7", "snap.12", "snap.13.generating", wal::NAME] {
            fs::write(from.join(name), name).expect("written");
        }
        copy(&from, &to).expect("copied");
        let is_there = |name: &str| fs::read(to.join(name)).is_ok_and(|content| content == name.as_bytes());
        assert!(["db", "conf", "blobs/7", "snap.12"].iter().all(|name| is_there(name)));
        assert!(!to.join("snap.13.generating").exists() && !to.join(wal::NAME).exists());
    }
}

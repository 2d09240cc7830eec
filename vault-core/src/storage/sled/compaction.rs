//! Compaction: the live records are written into a fresh generation, which takes the place of the one in use.
//!
//! Most of the work is done on a snapshot, while others go on; then commits wait until what has changed since is taken over, the fresh
//! generation is on the device and CURRENT names it. Readers never wait for any of it.
#![allow(clippy::disallowed_methods, reason = "a backend on disk touches files")]

use super::super::files::{io, make_dir, size_of, sync_dir};
use super::super::home::sync_all;
use super::super::{Compaction, Key, Storage, StorageError};
use super::current::{Current, generation_dir};
use super::engine::Engine;
use super::{SledStorage, SnapshotNotes};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Records that are copied at a time.
const PAGE: usize = 256;

/// Compacts the store.
pub(super) fn compact(storage: &SledStorage) -> Result<Compaction, StorageError> {
    // Before the lock: in a child process it may be held by a thread that is not there.
    storage.check()?;
    let _alone = storage.compacting.lock();
    if storage.closing.load(Ordering::Acquire) {
        return Err(StorageError::Closed);
    }
    let current = Current::read(&storage.home)?;
    let old = generation_dir(&storage.home, current.generation);
    let new = generation_dir(&storage.home, current.generation + 1);
    let before = size_of(&old).map_err(io("measuring the store"))? + storage.recent.bytes();
    if new.exists() {
        // Left by a compaction that failed.
        fs::remove_dir_all(&new).map_err(io("removing a generation that was cut off"))?;
    }
    make_dir(&new).map_err(io("making a generation"))?;
    let replaced = Engine::open(&new, storage.cache_bytes).and_then(|fresh| carry_over(storage, fresh, current));
    match replaced {
        Ok(replaced) => {
            // All of these are best effort: what the old one could not write any more is in the fresh one, and what is left of its files
            // the next opening removes.
            let _closed = replaced.map(Engine::close);
            let _removed = fs::remove_dir_all(&old);
            Ok(Compaction { before, after: size_of(&new).unwrap_or(before) })
        }
        Err(error) => {
            if Current::read(&storage.home).is_ok_and(|now| now == current) {
                let _removed = fs::remove_dir_all(&new);
            }
            Err(error)
        }
    }
}

/// Fills a fresh generation and puts it in the place of the one in use, which comes back.
fn carry_over(storage: &SledStorage, fresh: Engine, current: Current) -> Result<Option<Engine>, StorageError> {
    let switched = fill(storage, &fresh).and_then(|notes| {
        let committing = storage.committing.lock();
        switch(storage, &fresh, &notes, current).map(|()| committing)
    });
    match switched {
        // Nobody commits before this is done. Readers that are at work have the old one a moment longer.
        Ok(_committing) => {
            let replaced = {
                let mut engine = storage.engine.write();
                // The fresh one has all of it.
                let _settled = storage.recent.settle(|_, _| Ok(()));
                engine.replace(fresh)
            };
            // Nothing of old commits stays in the WAL; what this cannot write over, later ones do.
            let _wiped = storage.recent.wipe();
            Ok(replaced)
        }
        Err(error) => {
            // The first error is the one to tell.
            let _closed = fresh.close();
            Err(error)
        }
    }
}

/// Writes what is there now into a fresh generation, while others go on; what tells later what they have changed meanwhile.
fn fill(storage: &SledStorage, fresh: &Engine) -> Result<Arc<SnapshotNotes>, StorageError> {
    let notes = {
        let _committing = storage.committing.lock();
        storage.pre_images.snapshot()
    };
    let mut after: Option<Key> = None;
    loop {
        if storage.closing.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        let page =
            storage.with_engine(|from| notes.scan(&[], after.as_ref(), PAGE, |limit| storage.page(from, &[], after.as_ref(), limit)))?;
        after = page.last().map(|(key, _)| *key);
        let ended = page.len() < PAGE;
        let changes = page.into_iter().map(|(key, value)| (key, Some(value.into()))).collect();
        fresh.fill(&changes, storage.commit_number())?;
        if ended {
            // So that little is left to be written while commits wait.
            fresh.sync()?;
            return Ok(notes);
        }
    }
}

/// Takes over what has changed since, and makes the fresh generation the one that counts. No commit may be under way.
fn switch(storage: &SledStorage, fresh: &Engine, notes: &SnapshotNotes, current: Current) -> Result<(), StorageError> {
    let number = storage.commit_number();
    let mut changes = BTreeMap::new();
    for key in notes.changed() {
        changes.insert(key, storage.with_engine(|from| storage.find(from, &key))?.map(Arc::from));
    }
    fresh.fill(&changes, number)?;
    fresh.sync()?;
    sync_all(fresh.dir())?;
    sync_dir(storage.home.dir()).map_err(io("syncing the store's directory"))?;
    let next = Current { generation: current.generation + 1, number };
    next.write(&storage.home).map_err(|error| {
        if Current::read(&storage.home).is_ok_and(|now| now == current) {
            return error;
        }
        // CURRENT was switched after all, and nobody knows whether that is durable: nothing more may be committed to either generation.
        storage.poisoned.store(true, Ordering::Release);
        StorageError::Poisoned
    })
}

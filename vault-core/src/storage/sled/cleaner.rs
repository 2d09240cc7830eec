//! Cleaning: sled gives a segment of its log to new records once nothing in it counts any more, and moves what still does out of one that
//! is less than half full. But without its own thread, which would write between two of our syncs, it moves a leaf only when it writes another one
//! anew: too seldom, and the file grows to four times what is in it. So before a sync it is made to write a leaf anew that is empty but for a number.

use super::handle::Handle;
use crate::storage::StorageError;
use std::sync::atomic::{AtomicU32, Ordering};

/// The tree of that leaf.
const TREE: &str = "cleaning";
/// After so many changes sled writes a leaf anew.
const CHANGES: usize = 10;

/// A leaf that is there to be changed.
pub(super) struct Cleaner {
    tree: sled::Tree,
    /// No change is one unless it changes something.
    next: AtomicU32,
}

impl Cleaner {
    pub(super) fn of(db: &Handle) -> Result<Self, StorageError> {
        Ok(Cleaner { tree: db.call("opening a tree", |db| db.open_tree(TREE))?, next: AtomicU32::new(0) })
    }

    /// Has sled move up to so many leaves.
    pub(super) fn clean(&self, leaves: usize) -> sled::Result<()> {
        for _ in 0..leaves * CHANGES {
            self.tree.insert(b"", &self.next.fetch_add(1, Ordering::Relaxed).to_le_bytes())?;
        }
        Ok(())
    }
}

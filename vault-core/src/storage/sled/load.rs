//! How much sled is handed between two syncs of its log.
//!
//! sled's log is made of segments, and the head of each says up to where the log is durable; sled believes that of what `sync_file_range`
//! has written. Where it writes past a whole segment between two of our syncs, a power cut can leave the head of a later segment and not
//! what it vouches for: the store is then damaged as a whole. So no more than [`BYTES_MAX`] are handed to sled between two syncs.

use super::engine::CHUNK_BYTES;

/// The size of a segment of sled's log, in bytes.
pub(super) const SEGMENT_BYTES: usize = 512 * 1024;
/// What is handed to sled between two syncs, counted as [`Load::add`] does. sled writes a change itself, and every tenth time the leaf that it
/// is in, at most 16 records of 4 KiB: for each change of 512 bytes some 7 KiB, so that at its worst this stays below a segment, with room for cleaning.
const BYTES_MAX: usize = 24 * 1024;
/// What a change counts at the least.
const CHANGE_BYTES: usize = 512;

/// What sled may write between two syncs in bytes, less than a segment, as far as what was committed leaves room for cleaning.
const WRITTEN_MAX: usize = SEGMENT_BYTES / 8 * 7;
/// The largest leaf, in bytes.
const LEAF_BYTES_MAX: usize = 16 * CHUNK_BYTES;
/// So many changes, or fewer, have one leaf moved.
const CHANGES_PER_LEAF: usize = 5;
/// Most leaves that are moved before one sync.
const LEAVES_MAX: usize = 5;

/// What sled was handed since its log was synced last.
#[derive(Default)]
pub(super) struct Load {
    bytes: usize,
    /// Bytes that sled may write of it: each change, and a tenth of the leaf that it is in.
    written: usize,
    changes: usize,
}

impl Load {
    /// Counts a change in.
    pub(super) fn add(&mut self, key: &[u8], change: Option<&[u8]>) {
        let bytes = key.len() + change.map_or(0, <[u8]>::len);
        self.bytes += bytes.max(CHANGE_BYTES);
        self.written += bytes + LEAF_BYTES_MAX / 10;
        self.changes += 1;
    }

    /// Whether another change of at most 4 KiB has no place beside it before the next sync.
    pub(super) fn is_full(&self) -> bool {
        self.bytes + CHUNK_BYTES + CHANGE_BYTES > BYTES_MAX
    }

    /// How many leaves sled may be had to move beside it.
    pub(super) fn leaves_to_clean(&self) -> usize {
        let room = WRITTEN_MAX.saturating_sub(self.written);
        (room / LEAF_BYTES_MAX).min(self.changes.div_ceil(CHANGES_PER_LEAF)).min(LEAVES_MAX)
    }
}

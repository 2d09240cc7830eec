//! What sled is handed between two syncs.
//!
//! sled's log is made of segments, and the head of each says up to where the log is durable; sled believes that of what `sync_file_range`
//! has written. Where one writes past a whole segment between two of our syncs, a power cut can leave the head of a later segment
//! and not what it vouches for: the store is then damaged as a whole. So no more than [`BYTES_MAX`] are handed to sled between two syncs.

use super::engine::{CHUNK_BYTES, Change};

/// What is handed to sled between two syncs, counted as [`Load::of`] does. sled writes a change itself, and every tenth time the leaf that it is
/// in, at most 16 records of 4 KiB: for each change of 512 bytes some 7 KiB, so that at its worst this stays below a segment of 512 KiB.
const BYTES_MAX: usize = 32 * 1024;
/// What a change counts at the least.
const CHANGE_BYTES: usize = 512;

/// What sled may write between two syncs in bytes, less than a segment, as far as what it was handed leaves room for cleaning.
const WRITTEN_MAX: usize = 448 * 1024;
/// The largest leaf, in bytes.
const LEAF_BYTES_MAX: usize = 16 * CHUNK_BYTES;
/// So many changes, or fewer, have one leaf moved.
const CHANGES_PER_LEAF: usize = 8;
/// Most leaves that are moved before one sync.
const LEAVES_MAX: usize = 4;

/// What sled was handed since it was synced last.
#[derive(Default)]
struct Load {
    bytes: usize,
    /// Bytes that sled may write of it: each change, and a tenth of the leaf that it is in.
    written: usize,
    changes: usize,
}

/// Changes that sled takes before one sync.
pub(super) struct Piece {
    pub(super) changes: Vec<Change>,
    /// How many leaves sled may be had to move beside them.
    pub(super) leaves: usize,
}

impl Load {
    fn of((key, value): &Change) -> Self {
        let bytes = key.len() + value.as_ref().map_or(0, Vec::len);
        Load { bytes: bytes.max(CHANGE_BYTES), written: bytes + LEAF_BYTES_MAX / 10, changes: 1 }
    }

    fn has_room(&self, more: &Load) -> bool {
        self.bytes + more.bytes <= BYTES_MAX
    }

    fn add(&mut self, more: &Load) {
        self.bytes += more.bytes;
        self.written += more.written;
        self.changes += more.changes;
    }

    fn leaves_to_clean(&self) -> usize {
        let room = WRITTEN_MAX.saturating_sub(self.written);
        (room / LEAF_BYTES_MAX).min(self.changes.div_ceil(CHANGES_PER_LEAF)).min(LEAVES_MAX)
    }
}

/// Cuts changes, in their order, into pieces that sled takes at once.
pub(super) fn pieces(changes: impl IntoIterator<Item = Change>) -> impl Iterator<Item = Piece> {
    let mut rest = changes.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut load = Load::default();
        let mut changes = Vec::new();
        while let Some(change) = rest.next_if(|change| changes.is_empty() || load.has_room(&Load::of(change))) {
            load.add(&Load::of(&change));
            changes.push(change);
        }
        if changes.is_empty() { None } else { Some(Piece { leaves: load.leaves_to_clean(), changes }) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_all_changes_in_order_and_no_more_than_sled_takes_at_once() {
        let changes = |sizes: &[usize]| -> Vec<Change> {
            sizes.iter().enumerate().map(|(at, size)| (vec![at as u8], Some(vec![0; *size]))).collect()
        };
        let cut = |sizes: &[usize]| -> Vec<usize> { pieces(changes(sizes)).map(|piece| piece.changes.len()).collect() };
        assert!(cut(&[]).is_empty());
        assert_eq!(cut(&[10; 100]), [64, 36], "small ones count 512 bytes");
        assert_eq!(cut(&[4096; 16]), [7, 7, 2]);
        let whole: Vec<Change> = pieces(changes(&[5_000; 20])).flat_map(|piece| piece.changes).collect();
        assert_eq!(whole, changes(&[5_000; 20]));
    }
}

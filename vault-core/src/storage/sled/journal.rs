//! A commit that is larger than sled's log can take at once: its changes are journaled first, and what counts is one small batch.
//!
//! sled's log is made of segments, and the head of each says up to where the log is durable; sled believes that of what `sync_file_range`
//! has written. Where one commit writes past a whole segment between two of our syncs, a power cut can leave the head of a later segment
//! and not what it vouches for: the store is then damaged as a whole. So no more than [`BYTES_MAX`] are handed to sled between two syncs, or of a larger commit one change beyond them.
//! What is larger goes into entries of its own, piece by piece; then one batch marks them as complete, with the commit's number; then they
//! are carried out, and removed. An opening carries out what is marked and removes what is not.
//!
//! `0x00 "journal"`: the mark, with the number of entries (4). `0x03 index (4, big-endian)`: an entry,
//! `0x00 key` for a removal or `0x01 length-of-key (1) key value`.

use super::super::StorageError;
use super::engine::{CHUNK, CHUNK_BYTES, Engine, NUMBER_KEY, corrupt};
use std::collections::BTreeMap;

/// What is handed to sled between two syncs, counted as [`weight`] does. sled writes a change itself, and every tenth time the leaf that it is
/// in, at most 16 records of 4 KiB: for each change of 512 bytes some 7 KiB, so that at its worst this stays below a segment of 512 KiB.
const BYTES_MAX: usize = 32 * 1024;
/// Bytes of records in a group of commits after which no further one joins: with the group's own records it nearly always needs no journal.
pub(super) const GROUP_BYTES: usize = 16 * 1024;
/// What a change counts at the least.
const CHANGE_BYTES: usize = 512;

/// What sled may write between two syncs in bytes, less than a segment, as far as what was committed leaves room for cleaning.
const WRITTEN_MAX: usize = 448 * 1024;
/// The largest leaf, in bytes.
const LEAF_BYTES_MAX: usize = 16 * CHUNK_BYTES;
/// So many changes, or fewer, have one leaf moved.
const CHANGES_PER_LEAF: usize = 8;
/// Most leaves that are moved before one sync.
const LEAVES_MAX: usize = 4;

const MARK_KEY: &[u8] = b"\x00journal";
const ENTRY: u8 = 3;
const REMOVE: u8 = 0;
const INSERT: u8 = 1;

/// Changes of keys in sled's tree.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What sled was handed since it was synced last.
#[derive(Default)]
pub(super) struct Load {
    bytes: usize,
    /// Bytes that sled may write of it: each change, and a tenth of the leaf that it is in.
    written: usize,
    changes: usize,
}

impl Load {
    /// Of a commit: its changes, and that of the number.
    pub(super) fn of(changes: &Changes) -> Self {
        let bytes = changes.iter().map(weight).sum::<usize>() + CHANGE_BYTES;
        let values: usize = changes.iter().map(|(key, change)| key.len() + change.as_ref().map_or(0, Vec::len)).sum();
        let changes = changes.len() + 1;
        Load { bytes, written: values + changes * LEAF_BYTES_MAX / 10, changes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes == 0
    }

    /// Whether so many like another one may be handed over beside it before the next sync.
    pub(super) fn has_room(&self, more: &Load, times: usize) -> bool {
        self.bytes + times * more.bytes <= BYTES_MAX
    }

    pub(super) fn add(&mut self, more: &Load) {
        self.bytes += more.bytes;
        self.written += more.written;
        self.changes += more.changes;
    }

    /// How many leaves sled may be had to move beside it.
    pub(super) fn leaves_to_clean(&self) -> usize {
        let room = WRITTEN_MAX.saturating_sub(self.written);
        (room / LEAF_BYTES_MAX).min(self.changes.div_ceil(CHANGES_PER_LEAF)).min(LEAVES_MAX)
    }
}

/// Applies changes that are too large for one step as the commit of this number, whole or not at all, and waits until they are durable.
pub(super) fn apply(engine: &Engine, changes: Changes, number: u64) -> Result<(), StorageError> {
    let number = (NUMBER_KEY.to_vec(), Some(number.to_le_bytes().to_vec()));
    let count = u32::try_from(changes.len()).map_err(|_| StorageError::Invalid("a batch has too many changes"))?;
    in_pieces(engine, (0..).zip(&changes).map(|(index, (key, change))| (entry_key(index), Some(entry(key, change.as_deref())))))?;
    engine.put_all([number, (MARK_KEY.to_vec(), Some(count.to_le_bytes().to_vec()))])?;
    engine.sync()?;
    in_pieces(engine, in_order(changes))?;
    clear(engine, count)
}

/// Carries out what an earlier opening has marked as complete, and removes what it has not.
pub(super) fn recover(engine: &Engine) -> Result<(), StorageError> {
    let Some(mark) = engine.get_raw(MARK_KEY)? else {
        let mut left = 0;
        while engine.get_raw(&entry_key(left))?.is_some() {
            left += 1;
        }
        return if left == 0 { Ok(()) } else { remove_entries(engine, left) };
    };
    let count = mark.as_slice().try_into().map(u32::from_le_bytes).map_err(|_| corrupt())?;
    let mut changes = Changes::new();
    for index in 0..count {
        let bytes = engine.get_raw(&entry_key(index))?.ok_or_else(corrupt)?;
        let (key, change) = parse(&bytes).ok_or_else(corrupt)?;
        changes.insert(key, change);
    }
    in_pieces(engine, in_order(changes))?;
    clear(engine, count)
}

/// Changes in an order in which whoever reads meanwhile finds every value whole: new chunks, then records, and last the chunks of old ones go.
fn in_order(changes: Changes) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut changes: Vec<_> = changes.into_iter().collect();
    changes.sort_by_key(|(key, change)| match (key.first() == Some(&CHUNK), change) {
        (true, Some(_)) => 0,
        (false, _) => 1,
        (true, None) => 2,
    });
    changes
}

/// Takes the mark away, and then the entries.
fn clear(engine: &Engine, count: u32) -> Result<(), StorageError> {
    engine.put_all([(MARK_KEY.to_vec(), None)])?;
    engine.sync()?;
    remove_entries(engine, count)
}

/// From the last one on, so that a crash leaves the first ones, by which the next opening finds them.
fn remove_entries(engine: &Engine, count: u32) -> Result<(), StorageError> {
    in_pieces(engine, (0..count).rev().map(|index| (entry_key(index), None)))
}

/// Applies changes in order, each piece durable before the next.
fn in_pieces(engine: &Engine, changes: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Result<(), StorageError> {
    let (mut piece, mut bytes) = (Vec::new(), 0);
    for change in changes {
        bytes += weight((&change.0, &change.1));
        piece.push(change);
        if bytes >= BYTES_MAX {
            engine.put_all(std::mem::take(&mut piece))?;
            engine.sync()?;
            bytes = 0;
        }
    }
    if piece.is_empty() {
        return Ok(());
    }
    engine.put_all(piece)?;
    engine.sync()
}

fn weight((key, change): (&Vec<u8>, &Option<Vec<u8>>)) -> usize {
    (key.len() + change.as_ref().map_or(0, Vec::len)).max(CHANGE_BYTES)
}

fn entry_key(index: u32) -> Vec<u8> {
    [&[ENTRY], &index.to_be_bytes()[..]].concat()
}

fn entry(key: &[u8], change: Option<&[u8]>) -> Vec<u8> {
    let len = u8::try_from(key.len()).expect("a key of sled's has at most 62 bytes");
    match change {
        None => [&[REMOVE], key].concat(),
        Some(value) => [&[INSERT, len], key, value].concat(),
    }
}

fn parse(bytes: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    match bytes.split_first()? {
        (&REMOVE, key) => Some((key.to_vec(), None)),
        (&INSERT, rest) => {
            let (len, rest) = rest.split_first()?;
            let (key, value) = rest.split_at_checked(usize::from(*len))?;
            Some((key.to_vec(), Some(value.to_vec())))
        }
        _ => None,
    }
}

//! The commits that the engine does not hold durably yet: a file that is written over from its beginning, so that a commit syncs blocks which
//! the file system has already, and nothing beside them. Only a commit that is larger than the file makes it larger, until the next round.
//!
//! WAL is made full of zeros. A record begins at a block of 4 KiB and takes whole ones:
//! `check (16) | commit (8) | length of the changes (4) | changes`, where the check is the beginning of the SHA-256 of what follows it; a change
//! is `length of the key (1) | key | 0x00` for a removal, or `... | 0x01 | length of the value (4) | value`. The records are one after another from the first
//! block, each with the next commit's number; what does not go on so is left of an earlier round, or of a commit that was never acknowledged.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::files::{io, write_durably};
use super::home::open_file;
use super::{Batch, KEY_BYTES_MAX, Key, StorageError};
use crate::crypto::sha256;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file's name.
pub(super) const NAME: &str = "WAL";
/// Nothing that was acknowledged shares a block with what is written later: a write that is torn harms nothing else.
const BLOCK_BYTES: usize = 4 * 1024;
/// The largest record.
#[cfg(feature = "sled")]
const BYTES_MAX: usize = 1 << 30;
const CHECK_BYTES: usize = 16;
const HEAD_BYTES: usize = CHECK_BYTES + 8 + 4;

/// The open file.
pub(super) struct Wal {
    file: File,
    /// Its size, but while it holds a larger commit.
    bytes: usize,
    /// Where the next record goes.
    at: usize,
    /// Behind it there is nothing but zeros.
    end: usize,
    /// What is in the file stays there.
    kept: bool,
}

/// What a record says.
struct Record<'b> {
    number: u64,
    changes: &'b [u8],
}

impl Wal {
    /// Opens the file of a directory, made of so many bytes where there is none.
    pub(super) fn open(dir: &Path, bytes: usize) -> Result<Self, StorageError> {
        let path = dir.join(NAME);
        if !path.try_exists().map_err(io("opening WAL"))? {
            write_durably(dir, NAME, &vec![0; bytes]).map_err(io("making WAL"))?;
        }
        let file = open_file(&path).map_err(io("opening WAL"))?;
        Ok(Wal { file, bytes, at: 0, end: 0, kept: false })
    }

    /// The commits after `after` in their order; further ones go behind them. Damage is an error, or where `tolerant` says so it ends them, and is
    /// told beside them.
    pub(super) fn read(&mut self, after: u64, tolerant: bool) -> Result<(Vec<Batch>, bool), StorageError> {
        let len = usize::try_from(self.file.metadata().map_err(io("reading WAL"))?.len()).map_err(|_| damaged())?;
        let is_damaged = len < self.bytes;
        if is_damaged {
            if !tolerant {
                return Err(damaged());
            }
            self.file.set_len(self.bytes as u64).map_err(io("reading WAL"))?;
        }
        let mut content = vec![0; len.max(self.bytes)];
        self.file.read_exact_at(&mut content, 0).map_err(io("reading WAL"))?;
        self.end = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let (batches, at, damage) = take(&content, after);
        self.at = if batches.is_empty() { 0 } else { at };
        match damage {
            Some(damage) if !tolerant => Err(damage),
            damage => Ok((batches, is_damaged || damage.is_some())),
        }
    }

    /// Leaves nothing in the file: the engine holds all of it durably.
    pub(super) fn wipe(&mut self) -> Result<(), StorageError> {
        if self.kept {
            return Ok(());
        }
        self.restart()?;
        let wiped = self.file.write_all_at(&vec![0; self.end], 0).and_then(|()| self.file.sync_data());
        wiped.map_err(io("wiping WAL"))?;
        self.end = 0;
        Ok(())
    }

    /// Keeps what is in the file for the next opening, since the engine has failed: a sync that succeeds after one that has not tells nothing.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// Writes a commit down; whether it is durable now: a file without room for it stays as it is.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<bool, StorageError> {
        let Some(record) = encode(batch, self.bytes.saturating_sub(self.at)) else { return Ok(false) };
        self.write(&record)?;
        Ok(true)
    }

    /// Begins anew with a commit of any size: the engine holds all that is in the file durably.
    #[cfg(feature = "sled")]
    pub(super) fn restart_with(&mut self, batch: &Batch) -> Result<(), StorageError> {
        self.restart()?;
        let record = encode(batch, BYTES_MAX).ok_or(StorageError::Invalid("a batch is too large"))?;
        self.write(&record)
    }

    /// Begins anew: the engine holds all that is in the file durably.
    pub(super) fn restart(&mut self) -> Result<(), StorageError> {
        if self.end > self.bytes {
            self.file.set_len(self.bytes as u64).map_err(io("cutting WAL"))?;
        }
        (self.at, self.end) = (0, self.end.min(self.bytes));
        Ok(())
    }

    fn write(&mut self, record: &[u8]) -> Result<(), StorageError> {
        let written = self.file.write_all_at(record, self.at as u64).and_then(|()| self.file.sync_data());
        written.map_err(io("writing WAL"))?;
        self.at += record.len();
        self.end = self.end.max(self.at);
        Ok(())
    }
}

/// The commits after `after` of a content, the end of the records, and what is wrong with them.
fn take(content: &[u8], after: u64) -> (Vec<Batch>, usize, Option<StorageError>) {
    let (mut batches, mut at, mut last) = (Vec::new(), 0, None);
    while let Some((record, len)) = first_of(&content[at.min(content.len())..]) {
        if last.is_some_and(|last| record.number != last + 1) {
            break;
        }
        if record.number > after {
            if record.number != after + 1 + batches.len() as u64 {
                return (batches, at, Some(StorageError::Corrupt("WAL goes on from a later commit than the store".to_owned())));
            }
            let Some(changes) = parse(record.changes) else { return (batches, at, Some(damaged())) };
            batches.push(Batch { number: record.number, expectations: Vec::new(), changes });
        }
        last = Some(record.number);
        at += len;
    }
    // Each record was durable before the next one was written: where one follows later, what is between was damaged.
    let last = last.unwrap_or(0).max(after);
    let follows = |at: usize| number_of(&content[at..]) > last && first_of(&content[at..]).is_some();
    let is_damaged = (at..content.len()).step_by(BLOCK_BYTES).any(follows);
    (batches, at, is_damaged.then(damaged))
}

fn damaged() -> StorageError {
    StorageError::Corrupt("the file WAL is damaged".to_owned())
}

/// The record of a batch, in whole blocks; `None` where it has no room.
fn encode(batch: &Batch, room: usize) -> Option<Vec<u8>> {
    let change_bytes =
        |(key, value): (&Key, &Option<Vec<u8>>)| 2 + key.as_bytes().len() + value.as_ref().map_or(0, |value| 4 + value.len());
    let bytes = HEAD_BYTES + batch.changes.iter().map(change_bytes).sum::<usize>();
    if bytes.next_multiple_of(BLOCK_BYTES) > room {
        return None;
    }
    let mut record = Vec::with_capacity(bytes.next_multiple_of(BLOCK_BYTES));
    record.resize(HEAD_BYTES, 0);
    for (key, value) in &batch.changes {
        record.push(u8::try_from(key.as_bytes().len()).expect("a key has at most 48 bytes"));
        record.extend_from_slice(key.as_bytes());
        match value {
            None => record.push(0),
            Some(value) => {
                record.push(1);
                record.extend_from_slice(&u32::try_from(value.len()).expect("the file is smaller").to_le_bytes());
                record.extend_from_slice(value);
            }
        }
    }
    let len = u32::try_from(record.len() - HEAD_BYTES).expect("the file is smaller");
    record[CHECK_BYTES..CHECK_BYTES + 8].copy_from_slice(&batch.number.to_le_bytes());
    record[CHECK_BYTES + 8..HEAD_BYTES].copy_from_slice(&len.to_le_bytes());
    let check = sha256(&[&record[CHECK_BYTES..]]);
    record[..CHECK_BYTES].copy_from_slice(&check[..CHECK_BYTES]);
    record.resize(record.len().next_multiple_of(BLOCK_BYTES), 0);
    Some(record)
}

/// The record that a content begins with, and how many bytes it takes; `None` where there is none, or not all of it.
fn first_of(content: &[u8]) -> Option<(Record<'_>, usize)> {
    let (check, rest) = content.split_first_chunk::<CHECK_BYTES>()?;
    let (number, counted) = rest.split_first_chunk::<8>()?;
    let (len, changes) = counted.split_first_chunk::<4>()?;
    let changes = changes.get(..u32::from_le_bytes(*len) as usize)?;
    let number = u64::from_le_bytes(*number);
    let is_whole = number > 0 && sha256(&[&rest[..HEAD_BYTES - CHECK_BYTES + changes.len()]])[..CHECK_BYTES] == *check;
    is_whole.then_some((Record { number, changes }, (HEAD_BYTES + changes.len()).next_multiple_of(BLOCK_BYTES)))
}

/// The number in the head of a record, if one is there.
fn number_of(head: &[u8]) -> u64 {
    head.get(CHECK_BYTES..CHECK_BYTES + 8).and_then(|number| number.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn parse(mut rest: &[u8]) -> Option<BTreeMap<Key, Option<Vec<u8>>>> {
    let mut changes = BTreeMap::new();
    while let Some((len, behind)) = rest.split_first() {
        let (key, behind) = behind.split_at_checked(usize::from(*len)).filter(|(key, _)| key.len() <= KEY_BYTES_MAX)?;
        let value;
        (value, rest) = match behind.split_first()? {
            (0, behind) => (None, behind),
            (1, behind) => {
                let (len, behind) = behind.split_first_chunk::<4>()?;
                let (value, behind) = behind.split_at_checked(u32::from_le_bytes(*len) as usize)?;
                (Some(value.to_vec()), behind)
            }
            _ => return None,
        };
        changes.insert(Key::new(&[key]), value);
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(number: u64, bytes: usize) -> Batch {
        let changes = BTreeMap::from([(Key::new(&[b"kept"]), Some(vec![number as u8; bytes])), (Key::new(&[b"gone"]), None)]);
        Batch { number, expectations: Vec::new(), changes }
    }

    const BYTES: usize = 256 * 1024;

    fn open(dir: &Path, after: u64) -> (Wal, Vec<Batch>) {
        let mut wal = Wal::open(dir, BYTES).expect("it opens");
        let (batches, is_damaged) = wal.read(after, false).expect("it reads");
        assert!(!is_damaged);
        (wal, batches)
    }

    fn is_damaged(dir: &Path, after: u64) -> bool {
        matches!(Wal::open(dir, BYTES).expect("it opens").read(after, false), Err(StorageError::Corrupt(_)))
    }

    fn numbers(dir: &Path, after: u64) -> Vec<u64> {
        let batches = open(dir, after).1;
        batches.iter().for_each(|found| assert_eq!(found.changes.len(), 2));
        batches.iter().map(|batch| batch.number).collect()
    }

    #[test]
    fn what_was_written_is_found_again_and_what_the_engine_has_is_left_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        let (mut wal, found) = open(dir, 0);
        assert!(found.is_empty());
        for number in 1..=5 {
            assert!(wal.append(&batch(number, 3_000 * number as usize)).expect("written"));
        }
        assert_eq!(numbers(dir, 0), [1, 2, 3, 4, 5]);
        assert_eq!(numbers(dir, 3), [4, 5]);
        assert!(numbers(dir, 5).is_empty());
        assert!(numbers(dir, 9).is_empty(), "all of it is old");
        let (_, batches) = open(dir, 4);
        assert_eq!(batches[0].changes, batch(5, 15_000).changes);
    }

    #[test]
    fn a_round_that_begins_anew_ends_where_the_last_one_shows() {
        let dir = tempfile::tempdir().expect("a directory");
        let (dir, path) = (dir.path(), dir.path().join(NAME));
        let (mut wal, _) = open(dir, 0);
        (1..=9).for_each(|number| assert!(wal.append(&batch(number, 100)).expect("written")));
        wal.restart().expect("begun anew");
        (10..=12).for_each(|number| assert!(wal.append(&batch(number, 100)).expect("written")));
        assert_eq!(numbers(dir, 9), [10, 11, 12]);
        let (mut wal, _) = open(dir, 9);
        assert!(wal.append(&batch(13, 100)).expect("written"), "behind those that the engine does not have yet");
        assert_eq!(numbers(dir, 9), [10, 11, 12, 13]);
        assert!(is_damaged(dir, 8), "commit 9 is nowhere");
        wal.wipe().expect("wiped");
        assert!(std::fs::read(&path).expect("it is there").iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_torn_end_is_no_commit_and_damage_before_the_end_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let (dir, path) = (dir.path(), dir.path().join(NAME));
        let (mut wal, _) = open(dir, 0);
        (1..=3).for_each(|number| assert!(wal.append(&batch(number, 5_000)).expect("written")));
        let whole = std::fs::read(&path).expect("it is there");
        let with_flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).expect("written");
        };
        for at in [0, 20, 5_000] {
            with_flipped(2 * 2 * BLOCK_BYTES + at);
            assert_eq!(numbers(dir, 0), [1, 2], "byte {at} of the last");
            with_flipped(2 * BLOCK_BYTES + at);
            assert!(is_damaged(dir, 0), "byte {at} of the second");
            assert!(numbers(dir, 3).is_empty(), "the engine has them all");
        }
    }

    #[test]
    fn a_file_of_another_size_is_damaged_and_what_is_whole_in_it_can_be_had() {
        let dir = tempfile::tempdir().expect("a directory");
        let (dir, path) = (dir.path(), dir.path().join(NAME));
        let (mut wal, _) = open(dir, 0);
        (1..=3).for_each(|number| assert!(wal.append(&batch(number, 5_000)).expect("written")));
        let whole = std::fs::read(&path).expect("it is there");
        std::fs::write(&path, &whole[..5 * BLOCK_BYTES]).expect("written");
        assert!(is_damaged(dir, 0));
        let (batches, is_damaged) = Wal::open(dir, BYTES).expect("it opens").read(0, true).expect("it reads");
        assert!(is_damaged && batches.iter().map(|batch| batch.number).eq([1, 2]));
    }

    #[cfg(feature = "sled")]
    #[test]
    fn a_commit_that_is_larger_than_the_file_makes_it_larger_for_a_round() {
        let dir = tempfile::tempdir().expect("a directory");
        let (dir, path) = (dir.path(), dir.path().join(NAME));
        let len = || std::fs::metadata(&path).expect("it is there").len();
        let (mut wal, _) = open(dir, 0);
        assert!(wal.append(&batch(1, 10)).expect("written"));
        wal.restart_with(&batch(2, 2 * BYTES)).expect("written");
        assert!(!wal.append(&batch(3, 10)).expect("nothing written"), "until the engine holds the large one");
        assert!(len() > 2 * BYTES as u64);
        let (mut wal, batches) = open(dir, 1);
        assert_eq!(batches[0].changes, batch(2, 2 * BYTES).changes);
        wal.restart().expect("begun anew");
        assert_eq!(len(), BYTES as u64);
        assert!(wal.append(&batch(3, 10)).expect("written"));
        assert_eq!(numbers(dir, 2), [3]);
        wal.wipe().expect("wiped");
        assert!(std::fs::read(&path).expect("it is there").iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_has_no_room_is_left_to_the_engine() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut wal, _) = open(dir.path(), 0);
        assert!(!wal.append(&batch(1, BYTES)).expect("nothing written"));
        assert!(wal.append(&batch(1, BYTES / 2)).expect("written"));
        assert!(!wal.append(&batch(2, BYTES / 2)).expect("nothing written"));
        assert!(wal.append(&batch(2, 10)).expect("written"));
    }
}

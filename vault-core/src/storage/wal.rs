//! The commits that the engine does not hold durably yet: a file of fixed size that is written over from its beginning, so that a commit syncs
//! blocks which the file system has already, and nothing beside them. One commit that is larger lets it grow until the engine has it.
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
use std::fs::{self, File};
#[cfg(feature = "redb")]
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The file's name.
pub(super) const NAME: &str = "WAL";
/// Nothing that was acknowledged shares a block with what is written later: a write that is torn harms nothing else.
const BLOCK_BYTES: usize = 4 * 1024;
const CHECK_BYTES: usize = 16;
/// The last byte of a file without records that is of a store which has failed.
const LEFT: u8 = 1;
const HEAD_BYTES: usize = CHECK_BYTES + 8 + 4;

/// The open file.
pub(super) struct Wal {
    path: PathBuf,
    file: File,
    /// The size that it is to have.
    bytes: usize,
    /// The size that it has.
    len: usize,
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
    /// Whether something was left in the file of a directory: the store was not closed well, or it has failed.
    #[cfg(feature = "redb")]
    pub(super) fn is_left(dir: &Path) -> Result<bool, StorageError> {
        match fs::read(dir.join(NAME)) {
            Ok(content) => Ok(content.iter().any(|byte| *byte != 0)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io("reading WAL")(error)),
        }
    }

    /// Opens the file of a directory, made of so many bytes where there is none.
    pub(super) fn open(dir: &Path, bytes: usize) -> Result<Self, StorageError> {
        let path = dir.join(NAME);
        if !path.try_exists().map_err(io("opening WAL"))? {
            write_durably(dir, NAME, &vec![0; bytes]).map_err(io("making WAL"))?;
        }
        let file = open_file(&path).map_err(io("opening WAL"))?;
        Ok(Wal { path, file, bytes, len: bytes, at: 0, end: 0, kept: false })
    }

    /// The commits after `after` in their order; further ones go behind them. Damage is an error, or where `tolerant` says so it ends them, and is
    /// told beside them.
    pub(super) fn read(&mut self, after: u64, tolerant: bool) -> Result<(Vec<Batch>, bool), StorageError> {
        let mut is_damaged = false;
        let mut content = fs::read(&self.path).map_err(io("reading WAL"))?;
        if content.len() < self.bytes {
            // One that is closed well may have been made smaller.
            is_damaged = content.iter().any(|byte| *byte != 0);
            if is_damaged && !tolerant {
                return Err(damaged());
            }
            self.file.write_all_at(&vec![0; self.bytes - content.len()], content.len() as u64).map_err(io("reading WAL"))?;
            self.file.sync_all().map_err(io("reading WAL"))?;
            content.resize(self.bytes, 0);
        }
        self.end = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.len = content.len();
        let (batches, at, damage) = take(&content, after);
        self.at = if batches.is_empty() { 0 } else { at };
        match damage {
            Some(damage) if !tolerant => Err(damage),
            damage => Ok((batches, is_damaged || damage.is_some())),
        }
    }

    /// Makes the commits in the file durable once more: they may have been read from the system's cache, whatever became of their sync.
    #[cfg(feature = "redb")]
    pub(super) fn renew(&mut self) -> Result<(), StorageError> {
        if self.at == 0 {
            return Ok(());
        }
        let mut content = vec![0; self.at];
        let read = self.file.read_exact_at(&mut content, 0);
        let renewed = read.and_then(|()| self.file.write_all_at(&content, 0)).and_then(|()| self.file.sync_data());
        renewed.map_err(io("writing WAL"))
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
        if self.end == 0 {
            // No record: it says that something is left. Where it cannot be written the device fails, and so will the next opening.
            let _told = self.file.write_all_at(&[LEFT], self.bytes as u64 - 1).and_then(|()| self.file.sync_data());
        }
    }

    /// Whether what is in the file stays there.
    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }

    /// Whether a commit goes behind those that are in the file.
    pub(super) fn has_room(&self, batch: &Batch) -> bool {
        self.at + bytes_of(batch).next_multiple_of(BLOCK_BYTES) <= self.bytes
    }

    /// Writes a commit down, which is durable when this returns.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), StorageError> {
        let record = encode(batch)?;
        if let Err(error) = self.file.write_all_at(&record, self.at as u64) {
            // On a full device what there is of a large commit takes nobody's room.
            let _cut = self.file.set_len(self.bytes.max(self.at) as u64);
            return Err(io("writing WAL")(error));
        }
        self.file.sync_data().map_err(io("writing WAL"))?;
        self.at += record.len();
        self.end = self.end.max(self.at);
        self.len = self.len.max(self.at);
        Ok(())
    }

    /// Whether a commit has made the file larger than it is to be.
    fn has_grown(&self) -> bool {
        self.len > self.bytes
    }

    /// Begins anew, in a file of its fixed size: the engine holds all that is in it durably.
    pub(super) fn restart(&mut self) -> Result<(), StorageError> {
        if self.has_grown() {
            self.file.set_len(self.bytes as u64).map_err(io("cutting WAL"))?;
            self.len = self.bytes;
            self.end = self.end.min(self.bytes);
        }
        self.at = 0;
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

/// What the record of a batch takes, but for what fills its last block up.
fn bytes_of(batch: &Batch) -> usize {
    let change_bytes =
        |(key, value): (&Key, &Option<Vec<u8>>)| 2 + key.as_bytes().len() + value.as_ref().map_or(0, |value| 4 + value.len());
    HEAD_BYTES + batch.changes.iter().map(change_bytes).sum::<usize>()
}

/// The record of a batch, in whole blocks.
fn encode(batch: &Batch) -> Result<Vec<u8>, StorageError> {
    let bytes = bytes_of(batch);
    let len = u32::try_from(bytes - HEAD_BYTES).map_err(|_| StorageError::Invalid("a batch is too large"))?;
    let mut record = Vec::with_capacity(bytes.next_multiple_of(BLOCK_BYTES));
    record.resize(HEAD_BYTES, 0);
    for (key, value) in &batch.changes {
        record.push(u8::try_from(key.as_bytes().len()).expect("a key has at most 48 bytes"));
        record.extend_from_slice(key.as_bytes());
        match value {
            None => record.push(0),
            Some(value) => {
                record.push(1);
                record.extend_from_slice(&u32::try_from(value.len()).expect("all of them are less").to_le_bytes());
                record.extend_from_slice(value);
            }
        }
    }
    record[CHECK_BYTES..CHECK_BYTES + 8].copy_from_slice(&batch.number.to_le_bytes());
    record[CHECK_BYTES + 8..HEAD_BYTES].copy_from_slice(&len.to_le_bytes());
    let check = sha256(&[&record[CHECK_BYTES..]]);
    record[..CHECK_BYTES].copy_from_slice(&check[..CHECK_BYTES]);
    record.resize(record.len().next_multiple_of(BLOCK_BYTES), 0);
    Ok(record)
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
            wal.append(&batch(number, 3_000 * number as usize)).expect("written");
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
        (1..=9).for_each(|number| wal.append(&batch(number, 100)).expect("written"));
        wal.restart().expect("begun");
        (10..=12).for_each(|number| wal.append(&batch(number, 100)).expect("written"));
        assert_eq!(numbers(dir, 9), [10, 11, 12]);
        let (mut wal, _) = open(dir, 9);
        wal.append(&batch(13, 100)).expect("written behind those that the engine does not have yet");
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
        (1..=3).for_each(|number| wal.append(&batch(number, 5_000)).expect("written"));
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
    fn a_file_that_was_cut_is_damaged_unless_it_was_closed_well_and_what_is_whole_in_it_can_be_had() {
        let dir = tempfile::tempdir().expect("a directory");
        let (dir, path) = (dir.path(), dir.path().join(NAME));
        let (mut wal, _) = open(dir, 0);
        (1..=3).for_each(|number| wal.append(&batch(number, 5_000)).expect("written"));
        let whole = std::fs::read(&path).expect("it is there");
        std::fs::write(&path, &whole[..5 * BLOCK_BYTES]).expect("written");
        assert!(is_damaged(dir, 0));
        let (batches, is_damaged) = Wal::open(dir, BYTES).expect("it opens").read(0, true).expect("it reads");
        assert!(is_damaged && batches.iter().map(|batch| batch.number).eq([1, 2]));
        std::fs::write(&path, vec![0; BLOCK_BYTES]).expect("written");
        assert!(open(dir, 3).1.is_empty(), "closed well, and smaller");
        assert_eq!(std::fs::metadata(&path).expect("it is there").len(), BYTES as u64);
    }

    #[cfg(feature = "redb")]
    #[test]
    fn a_store_that_has_failed_leaves_something_even_where_nothing_was_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        assert!(!Wal::is_left(dir).expect("read"), "there is no file");
        let (mut wal, _) = open(dir, 0);
        wal.append(&batch(1, 100)).expect("written");
        assert!(Wal::is_left(dir).expect("read"));
        wal.wipe().expect("wiped");
        assert!(!Wal::is_left(dir).expect("read"), "closed well");
        wal.keep();
        assert!(Wal::is_left(dir).expect("read"), "failed");
        let (mut wal, found) = open(dir, 1);
        assert!(found.is_empty(), "it is no record");
        wal.append(&batch(2, 100)).expect("written");
        wal.wipe().expect("wiped");
        assert!(!Wal::is_left(dir).expect("read"), "closed well");
    }

    #[test]
    fn a_commit_that_is_larger_than_the_file_lets_it_grow_until_the_engine_has_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        let len = || std::fs::metadata(dir.join(NAME)).expect("it is there").len();
        let (mut wal, _) = open(dir, 0);
        assert!(!wal.has_room(&batch(1, BYTES)) && wal.has_room(&batch(1, BYTES / 2)));
        wal.append(&batch(1, BYTES / 2)).expect("written");
        assert!(!wal.has_room(&batch(2, BYTES / 2)) && wal.has_room(&batch(2, 10)) && !wal.has_grown());
        wal.append(&batch(2, 3 * BYTES)).expect("written");
        assert!(wal.has_grown() && len() > 3 * BYTES as u64);
        assert_eq!(numbers(dir, 0), [1, 2]);
        let (mut wal, _) = open(dir, 0);
        assert!(wal.has_grown(), "what was left by a crash");
        wal.restart().expect("begun");
        assert!(!wal.has_grown() && len() == BYTES as u64);
        wal.append(&batch(3, 10)).expect("written");
        assert_eq!(numbers(dir, 2), [3]);
    }
}

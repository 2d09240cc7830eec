//! Backups: a store's ciphertext in one stream, with key slots, a manifest, and a digest that anybody can check without opening it.
//!
//! `"LVBK" | format (2, little-endian)`, then frames `kind (1) | length (4, little-endian) | payload`, and at the end the SHA-256 of all that
//! comes before. Frames, in this order: the manifest (CBOR), the header with its slots, the wrapped keyring, pages of records
//! (`key length (1) | key | value length (4) | value`, again and again), segments (`number (8) | content`), the end (CBOR: what there was).

mod reader;
mod writer;

pub use reader::verify;

pub(crate) use reader::{Frame, Reader};
pub(crate) use writer::Writer;

use crate::types::{Code, Error, Timestamp};
use minicbor::{Decode, Encode};

const MAGIC: &[u8; 4] = b"LVBK";
const FORMAT: u16 = 0;
/// Bytes of records after which a page ends, and the most that any frame may have.
const PAGE_BYTES: usize = 1024 * 1024;
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

const MANIFEST: u8 = 1;
const HEADER: u8 = 2;
const KEYRING: u8 = 3;
const RECORDS: u8 = 4;
const SEGMENT: u8 = 5;
const END: u8 = 6;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Manifest {
    #[cbor(n(0), with = "minicbor::bytes")]
    store: [u8; 16],
    #[n(1)]
    made_millis: u64,
    #[n(2)]
    commit: u64,
    #[n(3)]
    version: String,
}

/// What there was in a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Totals {
    #[n(0)]
    records: u64,
    #[n(1)]
    segments: u64,
}

/// A backup that was written, or found to be whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupInfo {
    /// The vault that it is of: 32 hexadecimal digits.
    pub vault: String,
    /// When it was made.
    pub made: Timestamp,
    /// The number of the last commit that it holds.
    pub commit: u64,
    /// The version of the library that made it.
    pub version: String,
    /// Records in it.
    pub records: u64,
    /// Sealed audit segments in it.
    pub segments: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of all but its last 32 bytes, which are this digest.
    pub digest: [u8; 32],
}

impl BackupInfo {
    fn of(manifest: &Manifest, totals: Totals, bytes: u64, digest: [u8; 32]) -> Self {
        BackupInfo {
            vault: hex::encode(manifest.store),
            made: Timestamp::from_millis(manifest.made_millis),
            commit: manifest.commit,
            version: manifest.version.clone(),
            records: totals.records,
            segments: totals.segments,
            bytes,
            digest,
        }
    }
}

/// The stream is none of ours, is cut, or was altered.
fn bad(why: &str) -> Error {
    Error::new(Code::BadBackup, format!("this backup cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Key;
    use crate::types::id::Id;

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::begin(&mut bytes, &Id::from_bytes([3; 16]), Timestamp::from_secs(1), 7).expect("memory");
        writer.header(b"header").expect("memory");
        writer.keyring(b"keyring").expect("memory");
        for i in 0..3_u8 {
            writer.record(&Key::new(&[&[i; 16]]), &vec![i; 700_000]).expect("memory");
        }
        writer.segment(1, b"segment").expect("memory");
        let info = writer.end().expect("memory");
        assert_eq!((info.records, info.segments, info.commit, info.bytes), (3, 1, 7, bytes.len() as u64));
        assert_eq!(verify(&mut &bytes[..]).expect("whole"), info);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = sample();
        let mut source = &bytes[..];
        let mut reader = Reader::begin(&mut source).expect("whole");
        assert_eq!(reader.header, b"header");
        assert_eq!(reader.keyring, b"keyring");
        let mut records = Vec::new();
        let mut segments = Vec::new();
        loop {
            match reader.next().expect("whole") {
                Frame::Records(page) => records.extend(page),
                Frame::Segment(index, content) => segments.push((index, content)),
                Frame::End(_) => break,
            }
        }
        assert_eq!(records.len(), 3);
        assert_eq!(records[2], (Key::new(&[&[2; 16]]), vec![2; 700_000]));
        assert_eq!(segments, [(1, b"segment".to_vec())]);
    }

    #[test]
    fn a_cut_altered_or_foreign_backup_is_refused() {
        let bytes = sample();
        let step = 997;
        for len in (0..bytes.len()).step_by(step).chain(bytes.len() - 40..bytes.len()) {
            assert_eq!(verify(&mut &bytes[..len]).expect_err("cut").code(), Code::BadBackup, "{len}");
        }
        for at in (0..bytes.len()).step_by(step).chain(0..120).chain(bytes.len() - 60..bytes.len()) {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(verify(&mut &altered[..]).expect_err("altered").code(), Code::BadBackup, "{at}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(verify(&mut &longer[..]).expect_err("longer").code(), Code::BadBackup);
        assert_eq!(verify(&mut &b"SQLite format 3\0"[..]).expect_err("foreign").code(), Code::BadBackup);
    }
}

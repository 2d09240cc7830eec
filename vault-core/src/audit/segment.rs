//! A sealed segment: the tail's events in one immutable, encrypted file beside the store, and the entry in the store that vouches for it.

use super::Chain;
use crate::barrier::{Barrier, BarrierError, Kind};
use crate::crypto::sha256;
use crate::storage::Key;
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

/// The store's entry for a segment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SegmentEntry {
    /// The number of the segment's first event.
    #[n(0)]
    pub(crate) first_sequence: u64,
    /// The number of its last event.
    #[n(1)]
    pub(crate) last_sequence: u64,
    /// The chain's head after its last event.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) head: [u8; 32],
    /// SHA-256 of the file.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) file_hash: [u8; 32],
}

impl SegmentEntry {
    /// Seals the events of `chunk` into segment `index`: the file's content, and its entry.
    pub(crate) fn seal(
        barrier: &Barrier,
        index: u64,
        chunk: &[u8],
        first_sequence: u64,
        end: Chain,
    ) -> Result<(Vec<u8>, SegmentEntry), BarrierError> {
        let content = barrier.seal(Kind::AuditSegment, &file_key(barrier, index), chunk)?;
        let file_hash = sha256(&[&content]);
        Ok((content, SegmentEntry { first_sequence, last_sequence: end.sequence, head: end.head, file_hash }))
    }

    /// Opens the file of segment `index`.
    pub(crate) fn open(&self, barrier: &Barrier, index: u64, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, BarrierError> {
        if sha256(&[content]) != self.file_hash {
            return Err(BarrierError::Corrupt);
        }
        barrier.open(Kind::AuditSegment, &file_key(barrier, index), content)
    }

    /// Where the entry of segment `index` lies in the store.
    pub(crate) fn key(barrier: &Barrier, index: u64) -> Key {
        barrier.key(Kind::AuditSegmentEntry, &[&index.to_le_bytes()])
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("encoding to memory cannot fail")
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }
}

fn file_key(barrier: &Barrier, index: u64) -> Key {
    barrier.key(Kind::AuditSegment, &[&index.to_le_bytes()])
}

//! The root record: the one record that every commit writes, and by which all others are judged.

use super::record::{Barrier, Kind};
use super::{BarrierError, Digest};
use crate::storage::{Key, Read};
use minicbor::{Decode, Encode};

/// The storage key of the root record.
pub(crate) const ROOT_KEY: &[u8] = b"root";

/// The state of the whole store after a commit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RootRecord {
    /// The commit's number.
    #[n(0)]
    pub(crate) commit: u64,
    /// The integrity digest over all records but this one.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) digest: [u8; 32],
    /// The number of the last audit record; they count from 1.
    #[n(2)]
    pub(crate) audit_sequence: u64,
    /// The head of the audit chain.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) audit_head: [u8; 32],
    /// Sealed audit segments; they count from 1.
    #[n(4)]
    pub(crate) audit_segments: u64,
    /// Bytes of the audit tail, before encryption.
    #[n(5)]
    pub(crate) audit_tail_bytes: u64,
    /// Messages under the data key of `messages_key`.
    #[n(6)]
    pub(crate) messages: u64,
    /// How often the store was adopted after a restore.
    #[n(7)]
    pub(crate) epoch: u64,
    /// The id of the data key that was primary when the messages were counted.
    #[n(12)]
    pub(crate) messages_key: u32,
    /// Which of several stores with one past this is: drawn anew at each adoption.
    #[cbor(n(13), with = "minicbor::bytes")]
    pub(crate) lineage: [u8; 16],
    /// The store was restored and not yet adopted.
    #[n(14)]
    pub(crate) frozen: bool,
    /// The lineage that it was adopted from.
    #[cbor(n(15), with = "minicbor::bytes")]
    pub(crate) parent: [u8; 16],
    /// The roots of the full subtrees of the audit tree, largest first.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub(crate) audit_frontier: Vec<u8>,
    /// The root of the audit tree.
    #[cbor(n(9), with = "minicbor::bytes")]
    pub(crate) audit_root: [u8; 32],
}

impl RootRecord {
    pub(crate) fn key() -> Key {
        Key::new(&[ROOT_KEY])
    }

    pub(crate) fn seal(&self, barrier: &Barrier) -> Result<Vec<u8>, BarrierError> {
        let plaintext = minicbor::to_vec(self).expect("encoding to memory cannot fail");
        barrier.seal(Kind::Root, &RootRecord::key(), &plaintext)
    }

    /// Reads the root record of a store, which must have one.
    pub(crate) fn load(barrier: &Barrier, source: &dyn Read) -> Result<Self, BarrierError> {
        let record = source.get(&RootRecord::key())?.ok_or(BarrierError::Corrupt)?;
        Self::open(barrier, &record)
    }

    /// The root record of its bytes.
    pub(crate) fn open(barrier: &Barrier, record: &[u8]) -> Result<Self, BarrierError> {
        let plaintext = barrier.open(Kind::Root, &RootRecord::key(), record)?;
        minicbor::decode(&plaintext).map_err(|_| BarrierError::Corrupt)
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::from_bytes(&self.digest)
    }
}

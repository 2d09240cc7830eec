//! Where the log begins once its oldest segments were pruned: enough of what is gone that all later checks and proofs still hold.

use super::{Chain, Tree};
use crate::barrier::{Barrier, BarrierError, Kind};
use crate::storage::{Key, Read};
use crate::types::id::Id;
use minicbor::{Decode, Encode};

/// What stands in the place of pruned segments.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Base {
    /// The number of the last event that is gone.
    #[n(0)]
    pub(crate) sequence: u64,
    /// The chain's head after it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) head: [u8; 32],
    /// The roots of the full subtrees over what is gone.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) frontier: Vec<u8>,
    /// The number of the last segment that is gone.
    #[n(3)]
    pub(crate) segments: u64,
}

impl Base {
    /// The beginning of a log of which nothing is gone.
    fn of_whole(store: &Id) -> Self {
        Base { sequence: 0, head: Chain::start(store).head, frontier: Vec::new(), segments: 0 }
    }

    /// Where the record lies.
    pub(crate) fn key(barrier: &Barrier) -> Key {
        barrier.key(Kind::AuditBase, &[])
    }

    /// The beginning of the log of a store.
    pub(crate) fn load(barrier: &Barrier, store: &Id, records: &dyn Read) -> Result<Self, BarrierError> {
        let key = Self::key(barrier);
        let found = records.get(&key)?.map(|record| barrier.open(Kind::AuditBase, &key, &record)).transpose()?;
        Self::decode(found.as_ref().map(|bytes| bytes.as_slice()), store)
    }

    /// The beginning that a record tells, or its absence.
    pub(crate) fn decode(bytes: Option<&[u8]>, store: &Id) -> Result<Self, BarrierError> {
        bytes.map_or_else(|| Ok(Self::of_whole(store)), |bytes| minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("encoding to memory cannot fail")
    }

    /// The chain after what is gone.
    pub(super) fn chain(&self) -> Chain {
        Chain { sequence: self.sequence, head: self.head }
    }

    /// The tree over what is gone.
    pub(crate) fn tree(&self) -> Result<Tree, BarrierError> {
        Tree::from_bytes(self.sequence, &self.frontier).ok_or(BarrierError::Corrupt)
    }
}

//! The audit trail: what an event holds, and how events are chained, laid into the store and sealed into segments.
//!
//! Pure: nothing here reads or writes the store by itself; the committer does, with the records that are made here.

mod base;
mod chain;
mod checkpoint;
mod chunk;
mod event;
mod log;
mod mode;
mod proof;
mod queue;
mod segment;
mod tree;
#[cfg(test)]
mod tree_tests;

pub(crate) use base::Base;
pub(crate) use chain::Chain;
pub(crate) use checkpoint::Signer;
pub(crate) use chunk::{Chunk, events_of_chunk};
pub(crate) use event::{Decided, Event, HashedValue, hash_text};
pub(crate) use log::Log;
pub(crate) use proof::Leaves;
pub(crate) use queue::{Admission, Queue};
pub(crate) use segment::SegmentEntry;
pub(crate) use tree::{Leaf, Tree};

pub use checkpoint::{Checkpoint, verify_checkpoint};
pub use log::AuditSummary;
pub use mode::AuditMode;
pub use proof::{ConsistencyProof, InclusionProof};

use crate::barrier::BarrierError;
use crate::storage::StorageError;
use crate::types::{Code, Error};

/// Why the audit log failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AuditError {
    /// The log is not what the root record says.
    #[error("the audit log does not verify: {0}")]
    Broken(String),
    /// A record of the log could not be read.
    #[error(transparent)]
    Barrier(#[from] BarrierError),
}

impl From<StorageError> for AuditError {
    fn from(error: StorageError) -> Self {
        AuditError::Barrier(error.into())
    }
}

impl From<AuditError> for Error {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Broken(_) => Error::new(Code::Corrupt, error.to_string()),
            AuditError::Barrier(error) => error.into(),
        }
    }
}

//! What a request ends in: a reply that is recorded, or one of the few that cannot be.

use crate::commit::Receipt;
use crate::types::{Class, Error, Response, Result};

/// The end of a request.
#[allow(clippy::large_enum_variant, reason = "nearly every reply is a recorded one, and a box would cost each of them an allocation")]
#[derive(Debug)]
#[must_use]
pub enum Reply {
    /// Its audit record is durable, or admitted where the vault is configured so.
    Recorded(Recorded),
    /// There is no record of it, for a reason of a closed list.
    Unrecorded(Unrecorded),
}

/// A reply with the receipt of its record; it cannot be made without one.
#[derive(Debug)]
pub struct Recorded {
    outcome: Result<Response>,
    receipt: Receipt,
}

/// A reply without a record.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unrecorded {
    /// The vault is sealed, closed, or belongs to another process: there is no log to write to.
    Unready(Error),
    /// The status of the seal, which tells nothing that needs a token.
    SealStatus(Box<Response>),
    /// The audit log itself failed, so nothing is answered.
    AuditFailed(Error),
}

impl Reply {
    pub(super) fn recorded(outcome: Result<Response>, receipt: Receipt) -> Self {
        Reply::Recorded(Recorded { outcome, receipt })
    }

    /// The error; `None` for a response.
    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Reply::Recorded(recorded) => recorded.outcome.as_ref().err(),
            Reply::Unrecorded(Unrecorded::SealStatus(_)) => None,
            Reply::Unrecorded(Unrecorded::Unready(error) | Unrecorded::AuditFailed(error)) => Some(error),
        }
    }

    /// The class of the error; `None` for a response.
    pub(super) fn class(&self) -> Option<Class> {
        self.error().map(Error::class)
    }

    /// The response, or the error.
    ///
    /// # Errors
    /// What the request ended in.
    pub fn into_result(self) -> Result<Response> {
        match self {
            Reply::Recorded(recorded) => recorded.outcome,
            Reply::Unrecorded(Unrecorded::SealStatus(response)) => Ok(*response),
            Reply::Unrecorded(Unrecorded::Unready(error) | Unrecorded::AuditFailed(error)) => Err(error),
        }
    }

    /// The number of the commit by which the reply's record is durable; `None` when it waits in the queue, or there is none.
    #[must_use]
    pub fn commit(&self) -> Option<u64> {
        if let Reply::Recorded(recorded) = self { recorded.receipt.commit() } else { None }
    }
}

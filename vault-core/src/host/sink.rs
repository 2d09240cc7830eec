//! An audit sink: where a copy of the audit log goes, event by event, while the log itself stays in the vault.

use crate::types::Timestamp;

/// A sink could not take what it was given. The text is shown to operators: it must hold no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(String);

impl SinkError {
    /// An error with what went wrong.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        SinkError(message.into())
    }
}

/// One event on its way to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditLine {
    /// The event's number in the log; they count from 1. By it a sink tells what it has had already.
    pub sequence: u64,
    /// When the event was, by the vault's clock.
    pub time: Timestamp,
    /// The event as one JSON object without line breaks, as `sys/audit-log/events` shows it.
    pub json: String,
}

impl AuditLine {
    /// An event's line.
    #[must_use]
    pub fn new(sequence: u64, time: Timestamp, json: String) -> Self {
        AuditLine { sequence, time, json }
    }
}

/// Takes the events of the audit log in order, each at least once.
///
/// The vault keeps for each sink, by its name, how far it is; it goes on there after a crash or a failure, from the beginning of the log
/// for a new name. It is fed by `tick`, from one thread at a time, under no lock of the vault: requests never wait for it. But the call of `tick`
/// that feeds it does: an implementation that may stall should give up after some seconds, and is then tried again, ever more rarely, up to
/// once a minute.
pub trait AuditSink: Send + Sync {
    /// A name that stays, from 1 to 128 bytes.
    fn name(&self) -> &str;

    /// Takes these events, all of them, for good: they are not given again once this has answered.
    ///
    /// # Errors
    /// [`SinkError`] when they may not have been taken; all of them are given again later.
    fn deliver(&self, lines: &[AuditLine]) -> Result<(), SinkError>;
}

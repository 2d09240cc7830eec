//! A log of the host's: what the vault has to say that is neither a reply nor an event of its audit log.

use crate::types::Code;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LogLevel {
    /// Something that was to work did not: the device, the audit log, the anchor, a key service.
    Error,
    /// Somebody should look at it: a sink that takes nothing, a lease that cannot be revoked, a rotation that has stopped, a wrong key.
    Warning,
    /// It is as it should be: the vault was unsealed, a sink takes events again.
    Info,
}

impl LogLevel {
    /// The level's name: `error`, `warning`, `info`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warning => "warning",
            LogLevel::Info => "info",
        }
    }
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogTopic {
    /// A request failed by what is not its caller's doing.
    Request,
    /// A tick failed, or what it needs of tokens cannot be read.
    Tick,
    /// Unsealing, sealing and closing.
    Seal,
    /// An audit sink.
    Sink,
    /// A lease, or a record that leads to some.
    Lease,
    /// The rotation of a credential.
    Rotation,
    /// The log itself: lines were dropped.
    Log,
}

impl LogTopic {
    /// The topic's name, as C and Python spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LogTopic::Request => "request",
            LogTopic::Tick => "tick",
            LogTopic::Seal => "seal",
            LogTopic::Sink => "sink",
            LogTopic::Lease => "lease",
            LogTopic::Rotation => "rotation",
            LogTopic::Log => "log",
        }
    }
}

/// One line. Its message holds no secret, no token and no path, no control characters, and at most 1,024 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// What it is about.
    pub topic: LogTopic,
    /// The number of the error that it tells of, if it does.
    pub code: Option<Code>,
    /// How many times in a row the same was to be said.
    pub count: u64,
    /// What happened, and mostly what to do.
    pub message: String,
}

impl LogLine {
    /// A line that was said once.
    #[must_use]
    pub fn new(level: LogLevel, topic: LogTopic, code: Option<Code>, message: impl Into<String>) -> Self {
        LogLine { level, topic, code, count: 1, message: message.into() }
    }
}

/// Takes what the vault has to say: write it to the host's own log.
///
/// No request waits for it: lines are kept, 256 at most and equal ones in a row as one, until the host unseals, ticks, seals or closes
/// the vault, and are given at the end of that call, from its thread, in order and one at a time, under no lock of the vault. It may call the
/// vault back. What it panics with is dropped, and so is what a crash finds undelivered: what must not be lost is in the audit log.
pub trait Log: Send + Sync {
    /// Takes one line.
    fn log(&self, line: &LogLine);
}

//! What goes into the machine and what comes out of it.

use super::state::{Credential, Slot, State, ValueId};
use crate::host::ConnectorFailure;
use crate::types::Timestamp;

/// The time and the chance of a step, handed in.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The vault's clock.
    pub now: Timestamp,
    /// A random number from 0 to 1,000, by which waits are spread.
    pub jitter_permille: u32,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// It is due, or an operator wants it now.
    Begin,
    /// An operator wants to know whether a rotation would work.
    Rehearse,
    /// Time has passed.
    Tick,
    /// The process was started anew: what was in flight may have been done or not.
    Restarted,
    /// The target answered the ask with this number.
    Answer(u64, Answer),
    /// An operator wants back what was there before: the run that has begun, or during its grace the promotion.
    RollBack,
    /// An operator has seen to what stopped it and wants another try.
    Retry,
    /// An operator wants the old credential gone now.
    EndGrace,
    /// An operator gives the password that the current account has at the target.
    Give,
}

/// What a target answered.
pub type Answer = Result<(), ConnectorFailure>;

/// Who asks the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authenticate {
    /// The account that the connection is configured with.
    Manager,
    /// The account itself, with this password.
    Itself(ValueId),
}

/// What is asked of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Give the account this password (`Connector::set_password`).
    Set(Credential, Authenticate),
    /// Give the account a random password that nobody keeps (`Connector::set_password`).
    Close(Slot),
    /// Log in and out with this (`Connector::test`).
    Test(Credential),
    /// Look at the configuration and log in with it (`Connector::check`).
    Check,
}

impl Task {
    /// The duty that is asked for, as the audit log spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Task::Set(_, Authenticate::Manager) => "set-password",
            Task::Set(_, Authenticate::Itself(_)) => "set-password-by-itself",
            Task::Close(_) => "close",
            Task::Test(_) => "test",
            Task::Check => "check",
        }
    }
}

/// An ask with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// To be given back with the answer.
    pub number: u64,
    /// What is asked.
    pub task: Task,
}

/// What belongs into the same commit as the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// Generate a password by the policy and keep it under this number.
    Generate(ValueId),
    /// Keep the password that the operator gave under this number.
    KeepGiven(ValueId),
    /// What readers are given becomes this (with [`super::Strategy::GenerateAndStore`]: write it as a new version).
    Promote(Credential),
    /// Remove the password with this number: it is of no use any more.
    Forget(ValueId),
}

/// Why an input was not taken; the state stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// It stopped: it waits for an operator.
    #[error("this rotation stopped and needs attention: see what it says, then retry, roll back, or give the password that works")]
    NeedsAttention,
    /// One is under way.
    #[error("a run of this rotation is under way: wait for its end, or roll it back")]
    Busy,
    /// There is no password that could be tried, gone back to, or changed by its own account.
    #[error("the vault does not know the account's password yet: rotate it, or give it")]
    Unknown,
    /// There is nothing that this could be done to.
    #[error("nothing is under way that this applies to")]
    NothingToDo,
    /// The roll back is under way.
    #[error("it is being rolled back already: wait, or retry when it needs attention")]
    RollingBack,
    /// The answer belongs to an ask from before.
    #[error("this answers an ask that is no longer waited for")]
    Stale,
}

/// What a step leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// To be made durable, together with the records.
    pub state: State,
    /// What belongs into the same commit.
    pub records: Vec<Record>,
    /// What is to be asked once that is durable.
    pub ask: Option<Ask>,
}

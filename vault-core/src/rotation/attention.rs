//! Why a rotation stopped, and in words what an operator does about it.

use super::state::Phase;
use crate::host::ConnectorFailure;
use minicbor::{Decode, Encode};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Why {
    /// The target answered no.
    #[n(0)]
    Refused,
    /// The target does not let in who asked.
    #[n(1)]
    Unauthenticated,
    /// The target was not reached.
    #[n(2)]
    Unreachable,
    /// No answer tells what was done.
    #[n(3)]
    Unknown,
    /// The configuration makes no sense to the connector.
    #[n(4)]
    Misconfigured,
    /// The target said that it was done, or nothing, and it was not done.
    #[n(5)]
    NotDone,
}

/// Where and why a rotation stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Reason {
    /// The phase in which it stopped.
    #[n(0)]
    pub phase: Phase,
    /// What went wrong there.
    #[n(1)]
    pub why: Why,
}

impl From<ConnectorFailure> for Why {
    fn from(failure: ConnectorFailure) -> Self {
        match failure {
            ConnectorFailure::Refused => Why::Refused,
            ConnectorFailure::Unauthenticated => Why::Unauthenticated,
            ConnectorFailure::Unreachable => Why::Unreachable,
            ConnectorFailure::Unknown => Why::Unknown,
            ConnectorFailure::Misconfigured => Why::Misconfigured,
        }
    }
}

impl Reason {
    /// What happened, what holds now, and what to do: for operators, without secrets.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{}: {}. {}. {}.", self.happened(), self.cause(), self.holds(), self.todo())
    }

    fn happened(&self) -> &'static str {
        match self.phase {
            Phase::Idle => "the rotation failed and was rolled back",
            Phase::Setting => "the new password could not be set",
            Phase::TestingNew => "whether the new password works could not be found out",
            Phase::TestingOld => "the new password does not work, and neither was the current one seen to",
            Phase::TestingKept => "whether the account in use still works could not be found out",
            Phase::Closing => "the account that is no longer used could not be closed",
            Phase::TestingClosed => "whether the account that is no longer used is closed could not be found out",
            Phase::TestingBack => "whether the current password works could not be found out",
            Phase::SettingBack => "the current password could not be put back",
            Phase::TestingPrevious => "the previous account does not work, or that could not be found out",
            Phase::Checking => "the connection's configuration does not work",
            Phase::TestingCurrent => "the current password does not work, or that could not be found out",
            Phase::TestingGiven => "the password that was given does not work, or that could not be found out",
            Phase::Grace => "the old credential could not be retired",
        }
    }

    fn cause(&self) -> &'static str {
        match self.why {
            Why::Refused => "the target answered no",
            Why::Unauthenticated => "the target refused the login",
            Why::Unreachable => "the target was not reached",
            Why::Unknown => "the target gave no answer in time",
            Why::Misconfigured => "the connector cannot use its configuration",
            Why::NotDone => "the target did not do what it was asked",
        }
    }

    fn holds(&self) -> &'static str {
        match (self.phase, self.why) {
            (Phase::TestingOld | Phase::SettingBack | Phase::TestingBack, Why::Unauthenticated) => {
                "Somebody else may have changed the password, or the account may be locked or gone; the vault keeps both passwords"
            }
            (Phase::TestingNew | Phase::TestingOld | Phase::TestingBack | Phase::SettingBack, _) => {
                "One of the current and the pending password works; the vault keeps both"
            }
            (Phase::Closing | Phase::TestingClosed, _) => {
                "The current credential works; the other account may still be open with a password that the vault keeps"
            }
            (Phase::TestingCurrent | Phase::TestingGiven | Phase::Checking, _) => "Nothing was changed",
            _ => "The current credential is as it was",
        }
    }

    fn todo(&self) -> &'static str {
        match (self.phase, self.why) {
            (Phase::TestingOld | Phase::TestingBack, Why::Unauthenticated) => {
                "See to the account at the target, then retry; or set a password there by hand and give it to the vault"
            }
            (Phase::TestingGiven, Why::Unauthenticated) => "Give the password that the account has at the target, or retry",
            (_, Why::Misconfigured) => "Correct the connection's configuration or the role's statements, then retry",
            (_, Why::Unauthenticated) => "Correct the account by which the vault manages the target, then retry",
            (_, Why::Unreachable | Why::Unknown) => "Make the target answer again, then retry; or roll back",
            (_, Why::Refused) => "Look at the target's log for why, correct it, then retry; or roll back",
            (_, Why::NotDone) => "Look at the statements and at the target: it does not do what they say. Then retry, or roll back",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_what_happened_what_holds_and_what_to_do() {
        let words = Reason { phase: Phase::TestingOld, why: Why::Unauthenticated }.words();
        for part in ["the new password does not work", "the target refused the login", "the vault keeps both", "give it to the vault"] {
            assert!(words.contains(part), "{words}");
        }
        let words = Reason { phase: Phase::Setting, why: Why::Unreachable }.words();
        assert!(words.contains("could not be set") && words.contains("was not reached") && words.contains("then retry"), "{words}");
    }
}

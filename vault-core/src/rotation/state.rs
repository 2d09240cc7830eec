//! What is known of a rotation and made durable at each step: its phase, its credentials by reference, its failures.

use super::attention::Reason;
use crate::types::Timestamp;
use minicbor::{Decode, Encode};

/// The number of a value that the vault keeps; given once in a rotation's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct ValueId(#[n(0)] pub u64);

impl ValueId {
    /// What an account had when it was given to the vault: nobody has told it.
    pub const UNKNOWN: ValueId = ValueId(0);

    /// Whether the vault keeps what it stands for.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 != Self::UNKNOWN.0
    }
}

/// One of the accounts of a rotation; with one account it is always `A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Slot {
    /// The first account.
    #[n(0)]
    A,
    /// The second account.
    #[n(1)]
    B,
}

/// An account with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Credential {
    /// The account.
    #[n(0)]
    pub slot: Slot,
    /// The number of its password.
    #[n(1)]
    pub value: ValueId,
}

/// Where a rotation stands. Each phase but `Idle` and `Grace` has one thing that it asks of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Phase {
    /// Nothing is to be done until it is due.
    #[n(0)]
    Idle,
    /// The pending password is durable and is being set at the target.
    #[n(1)]
    Setting,
    /// Whether the pending password works is being found out.
    #[n(2)]
    TestingNew,
    /// The pending password does not work; whether the current one does is being found out, and then those that were abandoned.
    #[n(3)]
    TestingOld,
    /// The pending account works; whether the current one still does is being looked at (two accounts).
    #[n(4)]
    TestingKept,
    /// The new credential is the current one, and the old one is kept for those who still use it.
    #[n(5)]
    Grace,
    /// An account that is no longer wanted gets a random password that nobody keeps (two accounts).
    #[n(6)]
    Closing,
    /// Whether that account is really closed is being found out.
    #[n(7)]
    TestingClosed,
    /// Rolling back: whether the current password works is being found out (one account); where the account changes its own password those that
    /// were abandoned too.
    #[n(8)]
    TestingBack,
    /// Rolling back: the current password is being set again (one account).
    #[n(9)]
    SettingBack,
    /// Going back to the previous account: whether it still works is being found out (two accounts).
    #[n(10)]
    TestingPrevious,
    /// A rehearsal looks at the connection's configuration (one account).
    #[n(11)]
    Checking,
    /// A rehearsal logs in with the current password (one account).
    #[n(12)]
    TestingCurrent,
    /// Whether the password that an operator gave works is being found out.
    #[n(13)]
    TestingGiven,
}

/// How the last run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Finish {
    /// The new credential was promoted; `old_worked` tells whether the old account still worked then (two accounts).
    #[n(0)]
    Rotated {
        /// Whether the old account still worked, where it was to.
        #[n(0)]
        old_worked: bool,
    },
    /// What had begun was put back.
    #[n(1)]
    RolledBack,
    /// A rehearsal found that a rotation would work.
    #[n(2)]
    Rehearsed,
    /// A rehearsal found what would stop a rotation.
    #[n(3)]
    RehearsalFailed {
        /// What would stop it.
        #[n(0)]
        reason: Reason,
    },
    /// A password that an operator gave, or that a late target had set, works and is the current one.
    #[n(4)]
    Adopted,
}

/// What is known of a rotation. It is written in the commit that goes before each ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct State {
    /// Where it stands.
    #[n(0)]
    pub phase: Phase,
    /// Set when it stopped: only an operator makes it go on.
    #[n(1)]
    pub attention: Option<Reason>,
    /// What readers are given.
    #[n(2)]
    pub current: Credential,
    /// What is to become the current one.
    #[n(3)]
    pub pending: Option<Credential>,
    /// What was the current one, during its grace.
    #[n(4)]
    pub previous: Option<Credential>,
    /// What the idle account may have, where it was left its password (two accounts).
    #[n(5)]
    pub idle: Option<Credential>,
    /// What was pending when runs were rolled back, newest last. A target that is late could still set it, so it is known until the next
    /// promotion.
    #[n(6)]
    pub abandoned: Vec<Credential>,
    /// A password that an operator gave, until it was tested.
    #[n(7)]
    pub given: Option<Credential>,
    /// Whether the ask of this phase was made durable and not answered.
    #[n(8)]
    pub asked: bool,
    /// The number of the last ask; an answer to another one is stale.
    #[n(9)]
    pub ask: u64,
    /// When to go on, in milliseconds since the Unix epoch.
    #[n(10)]
    pub wake_millis: u64,
    /// Nothing is asked before this, since the target may still be at work; in milliseconds since the Unix epoch.
    #[n(11)]
    pub settled_millis: u64,
    /// Failures since it began, was promoted, or an operator asked for another try.
    #[n(12)]
    pub failures: u32,
    /// Logins of the last hour that failed or may have; milliseconds since the Unix epoch, the last one in flight while `asked`.
    #[n(13)]
    pub logins_millis: Vec<u64>,
    /// The number of the next value.
    #[n(14)]
    pub next_value: u64,
    /// This run is a rehearsal: it promotes nothing.
    #[n(15)]
    pub rehearsal: bool,
    /// Why a run that is being rolled back by itself failed.
    #[n(16)]
    pub gave_up: Option<Reason>,
    /// An operator wants to roll back once the ask in flight is answered.
    #[n(17)]
    pub roll_back_wanted: bool,
    /// An operator wants another rotation after this one.
    #[n(18)]
    pub again_wanted: bool,
    /// Where it stood when a password was given.
    #[n(19)]
    pub before_given: Phase,
    /// How the last run ended.
    #[n(20)]
    pub last: Option<Finish>,
    /// When a new credential was last promoted, in milliseconds since the Unix epoch; 0 when never.
    #[n(21)]
    pub promoted_millis: u64,
    /// How many of the abandoned ones were tried, or are, since the current one was refused; the newest first.
    #[cbor(n(22), default)]
    pub tried: u32,
}

impl Phase {
    /// The phase's name, as answers and the audit log spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Setting => "setting",
            Phase::TestingNew => "testing-new",
            Phase::TestingOld => "testing-old",
            Phase::TestingKept => "testing-kept",
            Phase::Grace => "grace",
            Phase::Closing => "closing",
            Phase::TestingClosed => "testing-closed",
            Phase::TestingBack => "testing-back",
            Phase::SettingBack => "setting-back",
            Phase::TestingPrevious => "testing-previous",
            Phase::Checking => "checking",
            Phase::TestingCurrent => "testing-current",
            Phase::TestingGiven => "testing-given",
        }
    }
}

impl Slot {
    /// The other account.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

impl State {
    /// What is known beside the current one, and may become it, or become it again.
    pub(crate) fn beside_current(&self) -> impl Iterator<Item = Credential> + '_ {
        let single = [self.pending, self.previous, self.idle, self.given].into_iter().flatten();
        single.chain(self.abandoned.iter().copied())
    }

    /// A rotation of a credential that works today: account `A` with the value number 1.
    #[must_use]
    pub fn enrolled() -> Self {
        State {
            phase: Phase::Idle,
            attention: None,
            current: Credential { slot: Slot::A, value: ValueId(1) },
            pending: None,
            previous: None,
            idle: None,
            abandoned: Vec::new(),
            given: None,
            asked: false,
            ask: 0,
            wake_millis: 0,
            settled_millis: 0,
            failures: 0,
            logins_millis: Vec::new(),
            next_value: 2,
            rehearsal: false,
            gave_up: None,
            roll_back_wanted: false,
            again_wanted: false,
            before_given: Phase::Idle,
            last: None,
            promoted_millis: 0,
            tried: 0,
        }
    }

    /// A rotation of an account whose password the vault does not know: the first run, or a password that is given, ends that.
    #[must_use]
    pub fn unknown() -> Self {
        let current = Credential { slot: Slot::A, value: ValueId::UNKNOWN };
        State { current, next_value: 1, ..State::enrolled() }
    }

    /// Every credential that the vault keeps for this rotation.
    pub fn known(&self) -> impl Iterator<Item = Credential> + '_ {
        let all = [Some(self.current), self.pending, self.previous, self.idle, self.given];
        all.into_iter().flatten().chain(self.abandoned.iter().copied()).filter(|credential| credential.value.is_known())
    }

    /// Whether there is a current credential that can be given out, or gone back to.
    #[must_use]
    pub const fn has_current(&self) -> bool {
        self.current.value.is_known()
    }

    /// What is tried of the current one and those that were abandoned.
    pub(super) fn candidate(&self) -> Credential {
        self.tried_at().map_or(self.current, |at| self.abandoned[at])
    }

    /// Which of the abandoned ones is being tried; none where it is the current one.
    pub(super) fn tried_at(&self) -> Option<usize> {
        self.abandoned.len().checked_sub(self.tried as usize).filter(|at| *at < self.abandoned.len())
    }

    /// When a tick has something to do; nothing while an answer, an operator or the schedule is waited for.
    #[must_use]
    pub fn wake(&self) -> Option<Timestamp> {
        let waits = !self.asked && self.attention.is_none() && self.phase != Phase::Idle;
        waits.then(|| Timestamp::from_millis(self.wake_millis.max(self.settled_millis)))
    }

    /// The state from its record.
    ///
    /// # Errors
    /// [`minicbor::decode::Error`] when the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }

    /// The state as a record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("encoding to memory cannot fail")
    }

    pub(super) fn new_value(&mut self) -> ValueId {
        let value = ValueId(self.next_value);
        self.next_value += 1;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::super::attention::Why;
    use super::*;

    #[test]
    fn a_state_reads_back_from_its_record() {
        let mut state = State::enrolled();
        let credential = |value| Some(Credential { slot: Slot::B, value: ValueId(value) });
        let reason = Reason { phase: Phase::TestingClosed, why: Why::NotDone };
        (state.pending, state.previous, state.idle, state.given) = (credential(2), credential(3), credential(4), credential(5));
        state.abandoned = credential(6).into_iter().collect();
        (state.attention, state.gave_up, state.last) = (Some(reason), Some(reason), Some(Finish::RehearsalFailed { reason }));
        state.logins_millis = vec![1, 2, 3];
        assert_eq!(State::from_bytes(&state.to_bytes()).unwrap(), state);
    }

    /// The bytes are those of the first version: a change that cannot read them loses rotations that are under way.
    #[test]
    fn a_record_of_the_first_version_is_read() {
        let bytes = hex::decode(FIRST).unwrap();
        assert_eq!(State::from_bytes(&bytes).unwrap(), State::enrolled());
        assert!(State::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(State::from_bytes(b"").is_err());
    }

    const FIRST: &str = "9600f6820001f6f6f680f6f4000000008002f4f6f4f400f600";
}

//! What an engine wants done outside of the vault: told with its outcome, carried out by the pipeline under no lock.

use crate::host::Target;
use crate::lease::Account;
use crate::lease::shared::Shared;
use crate::lease::terms::Terms;
use crate::rotation::{Ask, Input, Phase};
use crate::types::limits::LOST_CALL_SECONDS;
use crate::types::{SecretString, Timestamp, Ttl, Value};
use std::fmt;
use std::sync::Arc;

/// A connection to a target system, with what it takes to ask it.
pub(crate) struct Connection {
    /// Stays while the connection does.
    pub(crate) id: [u8; 16],
    /// The name of the host's connector.
    pub(crate) plugin: String,
    /// What the connector is told of it; no secrets.
    pub(crate) config: Value,
    pub(crate) username: String,
    pub(crate) password: SecretString,
    /// The password that is being set.
    pub(crate) pending: Option<SecretString>,
    /// What else the account may come to have, the newest last.
    pub(crate) late: Vec<LatePassword>,
    pub(crate) secrets: Vec<(String, SecretString)>,
    /// What changes the password of the connection's own account.
    pub(crate) rotation: Vec<String>,
    /// It was deleted, and stays for as long as its leases.
    pub(crate) is_retired: bool,
}

/// A password that does not count, and which the connection's account may have all the same: a lost call could still set it, or what took its place was
/// not tried.
#[derive(PartialEq, Eq)]
pub(crate) struct LatePassword {
    pub(crate) password: SecretString,
    /// Since when it does not count, in milliseconds since the Unix epoch.
    pub(crate) since_millis: u64,
}

/// An account that is to be made, and the lease that it is handed out with.
pub(crate) struct NewLease {
    pub(crate) account: Account,
    pub(crate) password: SecretString,
    pub(crate) creation: Vec<String>,
    pub(crate) rollback: Vec<String>,
    pub(crate) terms: Terms,
    pub(crate) sharing: Sharing,
}

/// Whether others have the account too.
pub(crate) enum Sharing {
    /// It is nobody else's.
    None,
    /// It is a new one, for others too.
    First(Box<Shared>),
    /// It is there already.
    Joined(Box<Shared>),
}

impl Sharing {
    /// The same, to be changed.
    pub(crate) fn shared_mut(&mut self) -> Option<&mut Shared> {
        match self {
            Sharing::None => None,
            Sharing::First(shared) | Sharing::Joined(shared) => Some(shared),
        }
    }

    /// The account that is shared.
    pub(crate) fn shared(&self) -> Option<&Shared> {
        match self {
            Sharing::None => None,
            Sharing::First(shared) | Sharing::Joined(shared) => Some(shared),
        }
    }
}

/// What is to be done outside.
pub(crate) enum Effect {
    /// An account is made, and handed out with a lease.
    Issue(Arc<Connection>, Box<NewLease>),
    /// The connection's password is changed.
    Rotate(Arc<Connection>),
    /// Which of its passwords the connection's account has is found out, and a change that is under way ends with that.
    Settle(Arc<Connection>),
    /// The rotation of a credential goes on with what its target is asked.
    Carry(Box<Begun>),
}

/// A step of a rotation that an operator's request has made, and that something is to be asked after.
pub(crate) struct Begun {
    /// The credential's.
    pub(crate) id: [u8; 16],
    /// Its role's name.
    pub(crate) name: String,
    /// The name of the connection's connector.
    pub(crate) plugin: String,
    pub(crate) ask: Ask,
    /// What was wanted, as the log says it.
    pub(crate) input: Input,
    /// Where the rotation stands with that.
    pub(crate) phase: Phase,
    /// The credential was made by the same request.
    pub(crate) is_new: bool,
}

/// What is asked outside before the request commits. It changes nothing there that a failed commit would leave behind.
pub(crate) enum Probe {
    /// Whether a configuration can be used; with `true` by logging in.
    Check(Arc<Connection>, bool),
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effect([redacted])")
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe([redacted])")
    }
}

impl Connection {
    /// Takes over what was seen to work after `now`, if it is one of its passwords. What was being set is kept as one that may come late, unless it
    /// `is_sure` that no call which sets it was lost: it may be set once more after another one has taken its place.
    pub(crate) fn settle(&mut self, works: &SecretString, is_sure: bool, now: Timestamp) {
        let was_late = self.late.iter().any(|late| late.password == *works);
        if !was_late && self.password != *works && self.pending.as_ref() != Some(works) {
            return;
        }
        let before = std::mem::replace(&mut self.password, SecretString::copy_from(works.expose()));
        self.forget_arrived(now);
        if was_late && before != *works {
            self.may_come(before, now);
        }
        if let Some(pending) = self.pending.take().filter(|_| !is_sure) {
            self.may_come(pending, now);
        }
    }

    /// Takes leave of the password that it had before it was given another one, which is tried before that counts where it `is_tried`.
    pub(crate) fn leave_password(&mut self, before: SecretString, is_tried: bool, now: Timestamp) {
        if is_tried {
            self.forget_arrived(now);
        } else if before != self.password {
            self.may_come(before, now);
        }
        if let Some(pending) = self.pending.take() {
            self.may_come(pending, now);
        }
    }

    /// The passwords that its account may have beside the one that counts, the likeliest first.
    pub(crate) fn other_passwords(&self) -> impl Iterator<Item = &SecretString> {
        let late = self.late.iter().rev().map(|late| &late.password).filter(|late| **late != self.password);
        self.pending.iter().chain(late)
    }

    /// Whether it has the same passwords as another state of it.
    pub(crate) fn has_passwords_of(&self, other: &Connection) -> bool {
        self.password == other.password && self.pending == other.pending && self.late == other.late
    }

    fn may_come(&mut self, password: SecretString, now: Timestamp) {
        self.late.retain(|late| late.password != password);
        self.late.push(LatePassword { password, since_millis: now.as_millis() });
    }

    /// Forgets what has arrived by now, or never will: for when another password is seen to work afterwards.
    fn forget_arrived(&mut self, now: Timestamp) {
        self.late.retain(|late| {
            let since = Timestamp::from_millis(late.since_millis);
            now < since || now < since.plus(Ttl::from_secs(LOST_CALL_SECONDS))
        });
    }

    /// What a connector is asked with.
    pub(crate) fn target(&self) -> Target<'_> {
        self.target_with(&self.password)
    }

    /// The same, with another password.
    pub(crate) fn target_with<'c>(&'c self, password: &'c SecretString) -> Target<'c> {
        Target { id: self.id, config: &self.config, username: &self.username, password, secrets: &self.secrets }
    }
}

//! A hook for leases: what a host is told of credentials that were granted, renewed or revoked, or cannot be revoked.

use crate::types::Timestamp;

/// What has happened to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseChange {
    /// It was granted.
    Granted,
    /// Its end was put off, or brought forward.
    Renewed,
    /// It ends soon: whoever uses it renews it now, or asks for another one.
    ExpiringSoon,
    /// It has ended, and what was made for it is gone from the target.
    Revoked,
    /// It has ended, but what was made for it may still be at the target, which was told in vain as often as it is tried: somebody has to
    /// look after it.
    Irrevocable,
}

impl LeaseChange {
    /// The change's name, as C and Python spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LeaseChange::Granted => "granted",
            LeaseChange::Renewed => "renewed",
            LeaseChange::ExpiringSoon => "expiring-soon",
            LeaseChange::Revoked => "revoked",
            LeaseChange::Irrevocable => "irrevocable",
        }
    }
}

/// A change of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseNotice {
    /// What has happened.
    pub change: LeaseChange,
    /// The lease's id, which is no secret.
    pub lease_id: String,
    /// The path of its namespace, with a slash at its end; empty for the root namespace.
    pub namespace: String,
    /// When it ends, or has ended.
    pub expires: Timestamp,
}

impl LeaseNotice {
    /// A notice.
    #[must_use]
    pub fn new(change: LeaseChange, lease_id: String, namespace: String, expires: Timestamp) -> Self {
        LeaseNotice { change, lease_id, namespace, expires }
    }
}

/// Is told of leases, once what it is told is durable.
///
/// It is called by requests and by `tick`, from several threads at once, under no lock of the vault, and may call back. A notice can be lost
/// in a crash: the leases themselves, and the audit log, tell what is so. It should return at once, since a request waits for it; what it
/// panics with is dropped.
pub trait LeaseHook: Send + Sync {
    /// Something has happened to a lease.
    fn changed(&self, notice: &LeaseNotice);
}

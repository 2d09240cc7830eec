//! A hook for rotations: what a host is told of credentials that were replaced, or whose rotation needs somebody.

/// What has happened to a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RotationChange {
    /// Readers are given another password: whoever keeps the old one reads anew.
    Promoted,
    /// Its rotation has stopped: somebody has to look after it.
    NeedsAttention,
}

impl RotationChange {
    /// The change's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RotationChange::Promoted => "promoted",
            RotationChange::NeedsAttention => "needs-attention",
        }
    }
}

/// A change of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationNotice {
    /// What has happened.
    pub change: RotationChange,
    /// Where the credential is known, such as `database/static-roles/app`.
    pub path: String,
    /// The path of its namespace, with a slash at its end; empty for the root namespace.
    pub namespace: String,
    /// The number of the password that readers are given.
    pub version: u64,
    /// What happened, what holds and what to do, where it needs somebody.
    pub what_to_do: Option<String>,
}

impl RotationNotice {
    /// A notice.
    #[must_use]
    pub fn new(change: RotationChange, path: String, namespace: String, version: u64, what_to_do: Option<String>) -> Self {
        RotationNotice { change, path, namespace, version, what_to_do }
    }
}

/// Is told of rotations that targets were asked for, and of those by schedule, once what it is told is durable.
///
/// It is called by requests and by `tick`, from several threads at once, under no lock of the vault, and may call back. A notice can be lost
/// in a crash: `sys/rotation` and the audit log tell what is so. It should return at once, since a request waits for it; what it panics with
/// is dropped.
pub trait RotationHook: Send + Sync {
    /// Something has happened to a credential.
    fn changed(&self, notice: &RotationNotice);
}

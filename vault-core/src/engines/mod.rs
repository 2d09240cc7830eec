//! Secrets engines: what answers below a mount, and which there are.
//!
//! An engine works on the overlay that it is given and returns what it did. It knows nothing of tokens, policies, commits or other engines.

mod common;
pub(crate) mod cubbyhole;
pub(crate) mod database;
pub(crate) mod kv;
mod kv1;

#[cfg(any(feature = "sled", feature = "redb"))]
use crate::barrier::Barrier;
use crate::barrier::{Kind, Overlay};
use crate::identity::EntityRef;
use crate::managed::Used;
#[cfg(any(feature = "sled", feature = "redb"))]
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Operation, Result, Timestamp, Ttl, Value};
pub(crate) use common::effect::{Begun, Connection, Effect, NewLease, Probe, Sharing};
use common::plain::PlainSecrets;
use cubbyhole::CubbyholeEngine;
use database::DatabaseEngine;
use kv::KvEngine;
#[cfg(any(feature = "sled", feature = "redb"))]
use kv::rescue::Health;
use kv1::Kv1Engine;
use std::sync::Arc;

/// What is asked of an engine.
#[derive(Clone, Copy)]
pub(crate) struct Call<'c> {
    pub(crate) operation: Operation,
    /// Below the mount.
    pub(crate) path: &'c str,
    pub(crate) data: Option<&'c Value>,
    pub(crate) now: Timestamp,
    /// The key of the caller's token, where that is of the mount's namespace.
    pub(crate) holder: Option<&'c [u8; 16]>,
    /// The name of the caller's token, as it was made.
    pub(crate) display_name: &'c str,
    /// Whose the caller's token is.
    pub(crate) entity: Option<EntityRef>,
}

/// What answers below a mount.
pub(crate) trait Engine: Send + Sync {
    /// Whether the request may change something, so that what it reads must still hold when it commits.
    fn may_write(&self, call: &Call<'_>) -> bool {
        !matches!(call.operation, Operation::Read | Operation::List)
    }

    /// Whether the target of a write exists: decides between `create` and `update`. `None` where the engine does not tell: `update`.
    fn exists(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Option<bool>>;

    /// The folder below the mount at which what a request lists is listed too, with its slash: the rules for it decide as well.
    fn listed_elsewhere(&self, _call: &Call<'_>) -> Option<String> {
        None
    }

    /// The path of the secret whose content the request reads.
    fn reads_secret<'p>(&self, _call: &Call<'p>) -> Option<&'p str> {
        None
    }

    /// Carries out an operation on a path below the mount.
    fn execute(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Outcome>;
}

/// What an engine did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What it answers.
    pub(crate) data: Option<Value>,
    /// The version of a secret that it read or wrote, for the audit record.
    pub(crate) version: Option<u64>,
    /// How long the caller may rely on the answer.
    pub(crate) lease_duration: Ttl,
    /// When what it answers ceases to be so by itself, if it does.
    pub(crate) until: Option<Timestamp>,
    /// What the caller should know though the request succeeded.
    pub(crate) warnings: Vec<String>,
    /// What is to be done outside, between two commits.
    pub(crate) effect: Option<Effect>,
    /// What is to be asked outside, before the commit.
    pub(crate) probe: Option<Probe>,
    /// The connection that a connector is to let go of once this is durable, with the connector's name.
    pub(crate) forgets: Option<(String, [u8; 16])>,
    /// The rotated credential that was read, where its reads are looked at.
    pub(crate) used: Option<Used>,
}

/// Which engines there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum EngineKind {
    Kv1,
    Kv2,
    Cubbyhole,
    Database,
}

impl EngineKind {
    /// Its name in records.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            EngineKind::Kv1 => "kv-v1",
            EngineKind::Kv2 => "kv-v2",
            EngineKind::Cubbyhole => "cubbyhole",
            EngineKind::Database => "database",
        }
    }

    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [EngineKind::Kv1, EngineKind::Kv2, EngineKind::Cubbyhole, EngineKind::Database].into_iter().find(|kind| kind.name() == name)
    }

    /// An engine over the records of an owner; its answers may be relied on for so long where they do not say otherwise themselves.
    pub(crate) fn engine(self, owner: Id, default_lease: Ttl, max_lease: Ttl) -> Arc<dyn Engine> {
        match self {
            EngineKind::Kv1 => Arc::new(Kv1Engine::new(owner, default_lease)),
            EngineKind::Kv2 => Arc::new(KvEngine::new(owner)),
            EngineKind::Cubbyhole => Arc::new(CubbyholeEngine),
            EngineKind::Database => Arc::new(DatabaseEngine::new(owner, default_lease, max_lease)),
        }
    }

    /// Removes the records of one path of an owner that is gone, its entry in its folder excepted; how many.
    pub(crate) fn forget(self, overlay: &mut Overlay<'_>, owner: &Id, path: &str) -> Result<usize> {
        match self.plain() {
            Some(kind) => Ok(PlainSecrets { kind, owner: *owner, overlay }.forget(path)),
            None if self == EngineKind::Database => Ok(database::forget(overlay, owner, path)),
            None => kv::forget(overlay, owner, path),
        }
    }

    /// Removes what belongs to such an owner and to no path.
    pub(crate) fn forget_rest(self, overlay: &mut Overlay<'_>, owner: &Id) {
        if self == EngineKind::Kv2 {
            kv::forget_rest(overlay, owner);
        }
    }

    /// Which versions of a secret can be read: one without versions has one, with the number 1. `newest` is the largest that is known of it.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn examine(self, overlay: &mut Overlay<'_>, owner: &Id, path: &str, newest: u64) -> Result<Health> {
        let there = match self.plain() {
            Some(kind) => PlainSecrets { kind, owner: *owner, overlay }.exists(path)?,
            None if self == EngineKind::Database => database::is_there(overlay, owner, path)?,
            None => return kv::rescue::examine(overlay, owner, path, newest),
        };
        let (readable, lost) = if there { (vec![1], Vec::new()) } else { (Vec::new(), vec![1]) };
        Ok(Health { headless: !there, readable, lost })
    }

    /// The storage keys that a secret's records have.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn keys(self, barrier: &Barrier, owner: &Id, path: &str, versions: &[u64]) -> Vec<Key> {
        match self.plain() {
            Some(kind) => vec![common::plain::key_of(barrier, kind, owner, path)],
            None if self == EngineKind::Database => database::keys(barrier, owner, path),
            None => kv::rescue::keys(barrier, owner, path, versions),
        }
    }

    /// The path of a request for a secret, from its mount's path on.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn request_prefix(self, mount: &str) -> String {
        if self == EngineKind::Kv2 { format!("{mount}data/") } else { mount.to_owned() }
    }

    /// What the records of its secrets are, where those have no versions.
    fn plain(self) -> Option<Kind> {
        match self {
            EngineKind::Kv1 => Some(Kind::KvPlain),
            EngineKind::Kv2 | EngineKind::Database => None,
            EngineKind::Cubbyhole => Some(Kind::Cubbyhole),
        }
    }
}

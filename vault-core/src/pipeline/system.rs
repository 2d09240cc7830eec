//! What the vault's own paths answer: `sys/` and `auth/token/`.

use super::affect::{Deed, Follow, Probing};
use super::core::Core;
use super::lease_paths::{self, LeasePath};
use super::namespaces::{Namespace, Place};
use super::{audit_log, ceremony, keys, mount_paths, namespace_paths, policies, retention, seals, sinks, tokens};
use crate::auth::LiveToken;
use crate::barrier::Overlay;
use crate::commit::Publish;
use crate::policy::{Capability, CompiledPolicies};
use crate::types::{Auth, Code, Error, Object, Operation, Path, Result, Timestamp, Ttl, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a request did: what it answers, and what is to happen once it is durable.
#[derive(Default)]
pub(super) struct Done {
    pub(super) data: Option<Value>,
    pub(super) auth: Option<Auth>,
    pub(super) version: Option<u64>,
    pub(super) lease_duration: Ttl,
    pub(super) warnings: Vec<String>,
    pub(super) publish: Option<Publish>,
    /// The store goes on as a new one of this lineage.
    pub(super) adopts: Option<[u8; 16]>,
    /// The vault is to be sealed once the request is recorded.
    pub(super) seals: bool,
    /// The lease that comes with the answer.
    pub(super) lease: Option<Granted>,
    /// A lease that the audit event names and the answer does not.
    pub(super) named: Option<Granted>,
    /// What is to be done outside, between two commits.
    pub(super) effect: Option<Deed>,
    /// What is to be asked outside, before the commit.
    pub(super) probe: Option<Probing>,
    /// What is done after the commit, whatever becomes of it.
    pub(super) follow: Option<Follow>,
    /// The connection that a connector is to let go of after the commit.
    pub(super) forgets: Option<(String, [u8; 16])>,
}

/// A lease as an answer names it.
pub(super) struct Granted {
    pub(super) id: String,
    pub(super) renewable: bool,
    pub(super) duration: Ttl,
}

impl Done {
    pub(super) fn answer(body: Object) -> Self {
        Done { data: Some(body.into()), ..Done::default() }
    }

    pub(super) fn publishing(mut self, publish: impl FnOnce() + Send + 'static) -> Self {
        self.publish = Some(Box::new(publish));
        self
    }
}

/// One of the vault's own paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum SystemPath<'p> {
    SealStatus,
    Seal,
    Seals,
    SealSlot(&'p str),
    KeyStatus,
    Rotate,
    RotateConfig,
    RekeyInit,
    RootAttempt,
    Mounts,
    Mount(&'p str),
    MountTune(&'p str),
    Remount,
    Policies,
    Policy(&'p str),
    CapabilitiesSelf,
    AuditVerify,
    AuditEvents,
    AuditExport,
    AuditHash,
    AuditSinks,
    AuditSink(&'p str),
    AuditRetention,
    AuditPrune,
    AuditCheckpoint,
    AuditPublicKey,
    AuditInclusion,
    AuditConsistency,
    StorageVerify,
    StorageCompact,
    Backup,
    Adopt,
    Namespaces,
    Namespace(&'p str),
    Lease(LeasePath<'p>),
    TokenCreate,
    TokenLookupSelf,
    TokenRevokeSelf,
    /// Below `sys/` or `auth/`, but none of ours.
    Unknown,
}

impl<'p> SystemPath<'p> {
    /// The system path, if this is one.
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        Some(match path {
            "sys/seal-status" => SystemPath::SealStatus,
            "sys/seal" => SystemPath::Seal,
            "sys/seals" => SystemPath::Seals,
            "sys/key-status" => SystemPath::KeyStatus,
            "sys/rotate" => SystemPath::Rotate,
            "sys/rotate/config" => SystemPath::RotateConfig,
            "sys/rekey/init" => SystemPath::RekeyInit,
            "sys/generate-root/attempt" => SystemPath::RootAttempt,
            "sys/mounts" => SystemPath::Mounts,
            "sys/remount" => SystemPath::Remount,
            "sys/policies/acl" => SystemPath::Policies,
            "sys/capabilities-self" => SystemPath::CapabilitiesSelf,
            "sys/audit-log/verify" => SystemPath::AuditVerify,
            "sys/audit-log/events" => SystemPath::AuditEvents,
            "sys/audit-log/export" => SystemPath::AuditExport,
            "sys/audit-log/sinks" => SystemPath::AuditSinks,
            "sys/audit-log/retention" => SystemPath::AuditRetention,
            "sys/audit-log/prune" => SystemPath::AuditPrune,
            "sys/audit-hash" => SystemPath::AuditHash,
            "sys/audit-log/checkpoint" => SystemPath::AuditCheckpoint,
            "sys/audit-log/public-key" => SystemPath::AuditPublicKey,
            "sys/audit-log/proof/inclusion" => SystemPath::AuditInclusion,
            "sys/audit-log/proof/consistency" => SystemPath::AuditConsistency,
            "sys/storage/verify" => SystemPath::StorageVerify,
            "sys/storage/compact" => SystemPath::StorageCompact,
            "sys/storage/backup" => SystemPath::Backup,
            "sys/storage/adopt" => SystemPath::Adopt,
            "sys/namespaces" => SystemPath::Namespaces,
            "auth/token/create" => SystemPath::TokenCreate,
            "auth/token/lookup-self" => SystemPath::TokenLookupSelf,
            "auth/token/revoke-self" => SystemPath::TokenRevokeSelf,
            _ => {
                if let Some(lease) = LeasePath::parse(path) {
                    SystemPath::Lease(lease)
                } else if let Some(name) = path.strip_prefix("sys/policies/acl/") {
                    SystemPath::Policy(name)
                } else if let Some(name) = path.strip_prefix("sys/namespaces/") {
                    SystemPath::Namespace(name)
                } else if let Some(at) = path.strip_prefix("sys/mounts/") {
                    at.strip_suffix("/tune").map_or(SystemPath::Mount(at), SystemPath::MountTune)
                } else if let Some(number) = path.strip_prefix("sys/seals/") {
                    SystemPath::SealSlot(number)
                } else if let Some(name) = path.strip_prefix("sys/audit-log/sinks/") {
                    SystemPath::AuditSink(name)
                } else if path.starts_with("sys/audit-hash/") {
                    // Where people know one key for each audit device, there is one for all here.
                    SystemPath::AuditHash
                } else if path == "sys" || path == "auth" || path.starts_with("sys/") || path.starts_with("auth/") {
                    SystemPath::Unknown
                } else {
                    return None;
                }
            }
        })
    }

    /// Whether the path may be written while the vault is frozen.
    pub(super) fn is_for_the_frozen(self) -> bool {
        matches!(
            self,
            SystemPath::Lease(LeasePath::Lookup)
                | SystemPath::Adopt
                | SystemPath::Backup
                | SystemPath::StorageCompact
                | SystemPath::Seal
                | SystemPath::CapabilitiesSelf
        )
    }

    /// Whether the path is there in every namespace; the others speak of the whole store, and are the root namespace's.
    pub(super) fn is_of_each_namespace(self) -> bool {
        if let SystemPath::Lease(path) = self {
            return path.is_of_each_namespace();
        }
        matches!(
            self,
            SystemPath::KeyStatus
                | SystemPath::Rotate
                | SystemPath::RotateConfig
                | SystemPath::Mounts
                | SystemPath::Mount(_)
                | SystemPath::MountTune(_)
                | SystemPath::Remount
                | SystemPath::Policies
                | SystemPath::Policy(_)
                | SystemPath::CapabilitiesSelf
                | SystemPath::Namespaces
                | SystemPath::Namespace(_)
                | SystemPath::TokenCreate
                | SystemPath::TokenLookupSelf
                | SystemPath::TokenRevokeSelf
                | SystemPath::Unknown
        )
    }

    /// Whether the path needs `sudo` beside the operation's capability.
    pub(super) fn is_root_protected(self, operation: Operation) -> bool {
        let changes_namespaces = matches!(self, SystemPath::Namespace(_)) && matches!(operation, Operation::Write | Operation::Delete);
        changes_namespaces
            || matches!(self, SystemPath::Lease(path) if path.is_root_protected())
            || matches!(
                self,
                SystemPath::Seal
                    | SystemPath::Seals
                    | SystemPath::SealSlot(_)
                    | SystemPath::Rotate
                    | SystemPath::RotateConfig
                    | SystemPath::RekeyInit
                    | SystemPath::Remount
                    | SystemPath::RootAttempt
                    | SystemPath::AuditVerify
                    | SystemPath::AuditEvents
                    | SystemPath::AuditExport
                    | SystemPath::AuditSinks
                    | SystemPath::AuditSink(_)
                    | SystemPath::AuditRetention
                    | SystemPath::AuditPrune
                    | SystemPath::AuditInclusion
                    | SystemPath::StorageVerify
                    | SystemPath::StorageCompact
                    | SystemPath::Backup
                    | SystemPath::Adopt
            )
    }
}

/// What an operation on a system path works with.
pub(super) struct Ask<'a> {
    pub(super) core: &'a Core,
    pub(super) place: &'a Place<'a>,
    pub(super) caller: &'a Arc<LiveToken>,
    /// The namespace of the token.
    pub(super) home: &'a Namespace,
    pub(super) rules: &'a CompiledPolicies,
    /// The token itself, which only `lookup-self` gives back to its holder.
    pub(super) token: &'a str,
    /// The path as it is seen from the token's namespace.
    pub(super) policy_path: &'a str,
    pub(super) data: Option<&'a Value>,
    pub(super) now: Timestamp,
}

/// Carries out an operation on a system path.
pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: SystemPath<'_>) -> Result<Done> {
    let (core, namespace) = (ask.core, &*ask.place.namespace);
    if !namespace.is_root() && !path.is_of_each_namespace() {
        return Err(Error::new(Code::UnsupportedPath, "this path is the root namespace's only: it speaks of the whole vault"));
    }
    match (operation, path) {
        (Operation::Write, SystemPath::Seal) => Ok(Done { seals: true, ..Done::default() }),
        (Operation::Read | Operation::List, SystemPath::Seals) => Ok(seals::list(core)),
        (Operation::Write, SystemPath::Seals) => seals::add(core, overlay, ask.data, ask.now),
        (Operation::Delete, SystemPath::SealSlot(number)) => seals::remove(core, overlay, number),
        (Operation::Read, SystemPath::KeyStatus) => keys::status(core, namespace, overlay),
        (Operation::Write, SystemPath::Rotate) => keys::roll(core, namespace, overlay, ask.now),
        (Operation::Read, SystemPath::RotateConfig) => Ok(keys::read_policy(namespace)),
        (Operation::Write, SystemPath::RotateConfig) => keys::write_policy(namespace, overlay, ask.data),
        (Operation::Read, SystemPath::RekeyInit) => Ok(ceremony::rekey_status(core)),
        (Operation::Write, SystemPath::RekeyInit) => ceremony::rekey_begin(core, ask.data),
        (Operation::Delete, SystemPath::RekeyInit) => Ok(ceremony::rekey_cancel(core)),
        (Operation::Delete, SystemPath::RootAttempt) => ceremony::root_cancel(core, None),
        (Operation::Read, SystemPath::Mounts) => Ok(Done { data: Some(namespace.mounts.load().to_value()), ..Done::default() }),
        (Operation::Read, SystemPath::Mount(at)) => mount_paths::read(namespace, at),
        (Operation::Write, SystemPath::Mount(at)) => mount_paths::mount(core, namespace, overlay, at, ask.data),
        (Operation::Delete, SystemPath::Mount(at)) => mount_paths::unmount(namespace, overlay, at),
        (Operation::Read, SystemPath::MountTune(at)) => mount_paths::read_tune(namespace, at),
        (Operation::Write, SystemPath::MountTune(at)) => mount_paths::tune(namespace, overlay, at, ask.data),
        (Operation::Write, SystemPath::Remount) => mount_paths::remount(core, namespace, overlay, ask.data),
        (Operation::List | Operation::Read, SystemPath::Policies) => policies::list(overlay),
        (Operation::Read, SystemPath::Policy(name)) => policies::read(overlay, name),
        (Operation::Write, SystemPath::Policy(name)) => policies::write(&namespace.policies, overlay, name, ask.data),
        (Operation::Delete, SystemPath::Policy(name)) => policies::delete(&namespace.policies, overlay, name),
        (Operation::Write, SystemPath::CapabilitiesSelf) => capabilities_self(ask),
        (Operation::Read, SystemPath::AuditVerify) => audit_log::verify(core),
        (Operation::Read, SystemPath::AuditEvents) => audit_log::events(core, ask.data),
        // As with a backup: the events go to a stream of the host's.
        (Operation::Read, SystemPath::AuditExport) => Ok(Done::default()),
        (Operation::Write, SystemPath::AuditHash) => audit_log::hash(core, ask.data),
        (Operation::Read | Operation::List, SystemPath::AuditSinks) => sinks::list(core, ask.now),
        (Operation::Delete, SystemPath::AuditSink(name)) => sinks::forget(core, overlay, name),
        (Operation::Read, SystemPath::AuditRetention) => retention::read_policy(core),
        (Operation::Write, SystemPath::AuditRetention) => retention::write_policy(core, overlay, ask.data),
        (Operation::Write, SystemPath::AuditPrune) => retention::prune(core, overlay, ask.data),
        (Operation::Read, SystemPath::AuditCheckpoint) => audit_log::checkpoint(core),
        (Operation::Read, SystemPath::AuditPublicKey) => audit_log::public_key(core),
        (Operation::Read, SystemPath::AuditInclusion) => audit_log::inclusion_proof(core, ask.data),
        (Operation::Read, SystemPath::AuditConsistency) => audit_log::consistency_proof(core, ask.data),
        (Operation::Read, SystemPath::StorageVerify) => storage_verify(core),
        (Operation::Write, SystemPath::StorageCompact) => storage_compact(core),
        // The backup itself goes to a stream of the host's; what is asked here is whether it may, and that is recorded.
        (Operation::Write, SystemPath::Backup) => Ok(Done::default()),
        (Operation::Write, SystemPath::Adopt) => adopt(core),
        (Operation::List | Operation::Read, SystemPath::Namespaces) => namespace_paths::list(ask, overlay),
        (Operation::Read, SystemPath::Namespace(name)) => namespace_paths::read(ask, overlay, name),
        (Operation::Write, SystemPath::Namespace(name)) => namespace_paths::create(ask, overlay, name),
        (Operation::Delete, SystemPath::Namespace(name)) => namespace_paths::delete(ask, overlay, name),
        (operation, SystemPath::Lease(path)) => lease_paths::execute(ask, overlay, operation, path),
        (Operation::Write, SystemPath::TokenCreate) => tokens::create(ask, overlay),
        (Operation::Read, SystemPath::TokenLookupSelf) => Ok(tokens::lookup_self(ask)),
        (Operation::Write, SystemPath::TokenRevokeSelf) => tokens::revoke_self(core, overlay, ask.caller),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

fn capabilities_self(ask: &Ask<'_>) -> Result<Done> {
    let bad = || Error::new(Code::InvalidData, "pass the paths as an array of texts, the member \"paths\"");
    let paths = ask.data.and_then(|data| data.get("paths")).and_then(Value::as_array).ok_or_else(bad)?;
    // Of paths in the request's namespace, which the token's policies may see from above.
    let below = ask.place.namespace.path.strip_prefix(ask.home.path.as_str()).unwrap_or_default();
    let mut body = Object::new();
    for path in paths {
        let path = Path::parse(path.as_str().ok_or_else(bad)?)?;
        body.insert(path.as_str(), ask.rules.capabilities(&format!("{below}{}", path.as_str())));
    }
    Ok(Done::answer(body))
}

fn storage_verify(core: &Core) -> Result<Done> {
    let found = super::verify::verify(core)?;
    Ok(Done::answer(Object::new().with("records", found.records).with("audit_records", found.audit.records)))
}

fn storage_compact(core: &Core) -> Result<Done> {
    let found = core.storage.compact()?;
    Ok(Done::answer(Object::new().with("bytes_before", found.before).with("bytes_after", found.after)))
}

/// Lets a restored store go on as a new one: of a lineage of its own, so that it is never taken for the one that it was copied from.
fn adopt(core: &Core) -> Result<Done> {
    if !core.frozen.load(Ordering::Acquire) {
        return Err(Error::new(Code::InvalidRequest, "the vault is not frozen: there is nothing to adopt"));
    }
    let lineage = *core.random_id()?.as_bytes();
    let frozen = Arc::clone(&core.frozen);
    Ok(Done { adopts: Some(lineage), ..Done::default() }.publishing(move || frozen.store(false, Ordering::Release)))
}

/// The capability that an operation needs; for a write the existence of its target decides.
pub(super) fn capability_for(operation: Operation, exists: Option<bool>) -> Capability {
    match operation {
        Operation::Read => Capability::Read,
        Operation::List => Capability::List,
        Operation::Patch => Capability::Patch,
        Operation::Delete => Capability::Delete,
        Operation::Write if exists == Some(false) => Capability::Create,
        Operation::Write => Capability::Update,
    }
}

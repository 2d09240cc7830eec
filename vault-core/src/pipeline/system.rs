//! What the vault's own paths answer: `sys/`, `auth/token/` and `identity/`.

use super::affect::{Deed, Follow};
use super::auth_paths::{self, AuthPath};
use super::capability_paths::{self, Whose};
use super::core::Core;
use super::emergency::{self, EmergencyPath};
use super::identity_paths::{self, IdentityPath};
use super::info_paths::{self, InfoPath};
use super::lease_paths::{self, LeasePath};
use super::namespaces::{Namespace, Place};
use super::policies::PolicyForm;
use super::quota_paths::{self, QuotaPath};
use super::rotation_paths::{self, RotationPath};
use super::token_paths::{self, TokenPath};
use super::tools::ToolPath;
use super::ui_paths::UiPath;
use super::wrapping::{self, WrappingPath};
use super::{
    audit_log, ceremony, keys, mount_paths, namespace_paths, password_policies, policies, retention, seals, sinks, tools, ui_paths,
};
use crate::auth::LiveToken;
use crate::barrier::Overlay;
use crate::commit::Publish;
use crate::engines::Probe;
use crate::managed::Used;
use crate::policy::{Capability, CompiledPolicies};
use crate::types::{Auth, Code, Error, Object, Operation, Response, Result, Timestamp, Ttl, Value, WrapInfo};
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
    /// When what the request answers ceases to be so by itself, if it does.
    pub(super) until: Option<Timestamp>,
    /// The accessor of a token that the request was about, where that is not the caller's: for the audit log.
    pub(super) concerns: Option<String>,
    /// The id of the entity or group that the request was about: for the audit log.
    pub(super) identity: Option<String>,
    /// The accessor of a token that the request made and that is in no `auth` of its reply.
    pub(super) made: Option<String>,
    /// The token that the reply was put behind.
    pub(super) wrap_info: Option<WrapInfo>,
    /// What came out of a wrapping token: the reply is this and nothing else.
    pub(super) unwrapped: Option<Box<Response>>,
    /// The path of the request whose reply that was.
    pub(super) unwrapped_path: Option<String>,
    /// The lease that comes with the answer.
    pub(super) lease: Option<Granted>,
    /// A lease that the audit event names and the answer does not.
    pub(super) named: Option<Granted>,
    /// What is to be done outside, between two commits.
    pub(super) effect: Option<Deed>,
    /// What is to be asked outside, before the commit.
    pub(super) probe: Option<Probe>,
    /// What is done after the commit, whatever becomes of it.
    pub(super) follow: Option<Follow>,
    /// The connection that a connector is to let go of after the commit.
    pub(super) forgets: Option<(String, [u8; 16])>,
    /// The rotated credential that was read, where its reads are looked at.
    pub(super) used: Option<Used>,
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

    /// What the request answers, taken out of what it did.
    pub(super) fn take_response(&mut self) -> Response {
        if let Some(unwrapped) = self.unwrapped.take() {
            return *unwrapped;
        }
        let (lease_id, renewable, lease_duration) = match &self.lease {
            Some(lease) => (lease.id.clone(), lease.renewable, lease.duration),
            None => (String::new(), false, std::mem::take(&mut self.lease_duration)),
        };
        Response {
            lease_id,
            renewable,
            lease_duration,
            data: self.data.take(),
            warnings: std::mem::take(&mut self.warnings),
            auth: self.auth.take(),
            wrap_info: self.wrap_info.take(),
            ..Response::default()
        }
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
    Policies(PolicyForm),
    Policy(&'p str, PolicyForm),
    PasswordPolicies,
    PasswordPolicy(&'p str),
    PasswordGenerate(&'p str),
    Capabilities(Whose),
    Explain,
    Ui(UiPath<'p>),
    Tools(ToolPath<'p>),
    Info(InfoPath),
    Auth(AuthPath<'p>),
    Quotas(QuotaPath<'p>),
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
    Token(TokenPath<'p>),
    Wrapping(WrappingPath),
    Lease(LeasePath<'p>),
    Rotation(RotationPath<'p>),
    Identity(IdentityPath<'p>),
    Emergency(EmergencyPath),
    /// Below `sys/`, `auth/` or `identity/`, but none of ours.
    Unknown,
}

impl<'p> SystemPath<'p> {
    /// The system path, if this is one.
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        // Nearly every path is a mount's, which is told at once.
        if !["sys", "auth", "identity"].iter().any(|own| path.starts_with(own)) {
            return None;
        }
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
            "sys/policies/acl" => SystemPath::Policies(PolicyForm::Acl),
            "sys/policy" => SystemPath::Policies(PolicyForm::Old),
            "sys/policies/explain" => SystemPath::Explain,
            "sys/policies/password" => SystemPath::PasswordPolicies,
            "sys/capabilities" => SystemPath::Capabilities(Whose::Token),
            "sys/capabilities-accessor" => SystemPath::Capabilities(Whose::Accessor),
            "sys/capabilities-self" => SystemPath::Capabilities(Whose::Caller),
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
            _ => {
                if let Some(token) = TokenPath::parse(path) {
                    SystemPath::Token(token)
                } else if let Some(wrapping) = WrappingPath::parse(path) {
                    SystemPath::Wrapping(wrapping)
                } else if let Some(lease) = LeasePath::parse(path) {
                    SystemPath::Lease(lease)
                } else if let Some(rotation) = RotationPath::parse(path) {
                    SystemPath::Rotation(rotation)
                } else if let Some(emergency) = EmergencyPath::parse(path) {
                    SystemPath::Emergency(emergency)
                } else if let Some(name) = path.strip_prefix("sys/policies/acl/") {
                    SystemPath::Policy(name, PolicyForm::Acl)
                } else if let Some(name) = path.strip_prefix("sys/policy/") {
                    SystemPath::Policy(name, PolicyForm::Old)
                } else if let Some(info) = InfoPath::parse(path) {
                    SystemPath::Info(info)
                } else if let Some(rest) = path.strip_prefix("sys/quotas/") {
                    QuotaPath::parse(rest).map_or(SystemPath::Unknown, SystemPath::Quotas)
                } else if let Some(rest) = path.strip_prefix("sys/tools/") {
                    ToolPath::parse(rest).map_or(SystemPath::Unknown, SystemPath::Tools)
                } else if let Some(rest) = path.strip_prefix("sys/internal/ui/") {
                    UiPath::parse(rest).map_or(SystemPath::Unknown, SystemPath::Ui)
                } else if let Some(name) = path.strip_prefix("sys/policies/password/") {
                    name.strip_suffix("/generate").map_or(SystemPath::PasswordPolicy(name), SystemPath::PasswordGenerate)
                } else if let Some(name) = path.strip_prefix("sys/namespaces/") {
                    SystemPath::Namespace(name)
                } else if let Some(auth) = AuthPath::parse(path) {
                    SystemPath::Auth(auth)
                } else if let Some(at) = path.strip_prefix("sys/mounts/") {
                    at.strip_suffix("/tune").map_or(SystemPath::Mount(at), SystemPath::MountTune)
                } else if let Some(number) = path.strip_prefix("sys/seals/") {
                    SystemPath::SealSlot(number)
                } else if let Some(name) = path.strip_prefix("sys/audit-log/sinks/") {
                    SystemPath::AuditSink(name)
                } else if path.starts_with("sys/audit-hash/") {
                    // Where people know one key for each audit device, there is one for all here.
                    SystemPath::AuditHash
                } else if path == "identity" || path.starts_with("identity/") {
                    IdentityPath::parse(path).map_or(SystemPath::Unknown, SystemPath::Identity)
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
            SystemPath::Lease(LeasePath::Lookup) | SystemPath::Adopt | SystemPath::Backup | SystemPath::StorageCompact | SystemPath::Seal
        ) || self.changes_nothing()
    }

    /// Whether a write of the path changes nothing of the store: it asks, and what it asks with is too long or too secret for a path.
    pub(super) fn changes_nothing(self) -> bool {
        matches!(self, SystemPath::AuditHash | SystemPath::Capabilities(_) | SystemPath::Explain | SystemPath::Tools(_) | SystemPath::Seal)
            || matches!(self, SystemPath::Emergency(EmergencyPath::Look))
            || matches!(self, SystemPath::Lease(LeasePath::Lookup) | SystemPath::Wrapping(WrappingPath::Lookup))
            || matches!(self, SystemPath::Token(path) if path.only_tells())
            || matches!(self, SystemPath::Identity(path) if path.only_tells())
    }

    /// Whether a write of the path issues a token (true) or revokes some (false).
    pub(super) fn is_issuance_or_revocation(self) -> Option<bool> {
        match self {
            SystemPath::Token(path) => path.is_issuance_or_revocation(),
            _ => None,
        }
    }

    /// Whether any valid token may ask, whatever its policies say: the answer is only what they let it reach.
    pub(super) fn is_for_any_token(self) -> bool {
        matches!(self, SystemPath::Ui(path) if path.is_for_any_token())
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
                | SystemPath::Policies(_)
                | SystemPath::Policy(..)
                | SystemPath::PasswordPolicies
                | SystemPath::PasswordPolicy(_)
                | SystemPath::PasswordGenerate(_)
                | SystemPath::Capabilities(_)
                | SystemPath::Explain
                | SystemPath::Ui(_)
                | SystemPath::Auth(_)
                | SystemPath::Tools(_)
                | SystemPath::Namespaces
                | SystemPath::Namespace(_)
                | SystemPath::Token(_)
                | SystemPath::Wrapping(_)
                | SystemPath::Rotation(_)
                | SystemPath::Identity(_)
                | SystemPath::Unknown
        )
    }

    /// Whether the path needs `sudo` beside the operation's capability.
    pub(super) fn is_root_protected(self, operation: Operation) -> bool {
        let changes_namespaces = matches!(self, SystemPath::Namespace(_)) && matches!(operation, Operation::Write | Operation::Delete);
        changes_namespaces
            || matches!(self, SystemPath::Token(path) if path.is_root_protected())
            || matches!(self, SystemPath::Auth(AuthPath::Method(_))) && operation != Operation::List
            || matches!(self, SystemPath::Info(path) if path.is_root_protected())
            || matches!(self, SystemPath::Lease(path) if path.is_root_protected())
            || matches!(self, SystemPath::Rotation(path) if path.is_root_protected())
            // A listing of all leases, whose slash was left out.
            || matches!(self, SystemPath::Lease(LeasePath::Lookup)) && operation == Operation::List
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
                    | SystemPath::Emergency(_)
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
    /// For how long the reply is to be wrapped; never zero.
    pub(super) wrap_ttl: Option<Ttl>,
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
        (Operation::List | Operation::Read, SystemPath::Policies(form)) => policies::list(overlay, form),
        (Operation::Read, SystemPath::Policy(name, form)) => policies::read(overlay, name, form),
        (Operation::Write, SystemPath::Policy(name, form)) => policies::write(&namespace.policies, overlay, name, ask.data, form),
        (Operation::Delete, SystemPath::Policy(name, _)) => policies::delete(&namespace.policies, overlay, name),
        (Operation::List | Operation::Read, SystemPath::PasswordPolicies) => password_policies::list(overlay),
        (Operation::Read, SystemPath::PasswordPolicy(name)) => password_policies::read(overlay, name),
        (Operation::Write, SystemPath::PasswordPolicy(name)) => password_policies::write(ask, overlay, name),
        (Operation::Delete, SystemPath::PasswordPolicy(name)) => password_policies::delete(overlay, name),
        (Operation::Read, SystemPath::PasswordGenerate(name)) => password_policies::generate(ask, overlay, name),
        (Operation::Write, SystemPath::Capabilities(whose)) => capability_paths::capabilities(ask, whose),
        (Operation::Write, SystemPath::Explain) => capability_paths::explain(ask),
        (Operation::Read, SystemPath::Ui(path)) => ui_paths::read(ask, path),
        (operation, SystemPath::Auth(path)) => auth_paths::execute(ask, overlay, operation, path),
        (operation, SystemPath::Info(path)) => info_paths::execute(ask, overlay, operation, path),
        (operation, SystemPath::Quotas(path)) => quota_paths::execute(ask, overlay, operation, path),
        (operation, SystemPath::Tools(path)) => tools::execute(core.barrier.rng(), operation, path, ask.data),
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
        (operation, SystemPath::Wrapping(path)) => wrapping::execute(ask, overlay, operation, path),
        (operation, SystemPath::Token(path)) => token_paths::execute(ask, overlay, operation, path),
        (operation, SystemPath::Identity(path)) => identity_paths::execute(ask, overlay, operation, path),
        (operation, SystemPath::Rotation(path)) => rotation_paths::execute(ask, overlay, operation, path),
        (operation, SystemPath::Emergency(path)) => emergency::execute(ask, overlay, operation, path),
        (operation, SystemPath::Lease(path)) => lease_paths::execute(ask, overlay, operation, path),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
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

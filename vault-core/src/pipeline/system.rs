//! What the vault's own paths answer: `sys/` and `auth/token/`.

use super::core::Core;
use super::{mounts, policies, tokens};
use crate::audit::{Event, verify, walk};
use crate::auth::LiveToken;
use crate::barrier::Overlay;
use crate::commit::Publish;
use crate::policy::{Capability, CompiledPolicies};
use crate::types::{Auth, Code, Error, Object, Operation, Path, Result, Timestamp, Value};
use std::sync::Arc;

/// Most events that one request answers.
const EVENTS_MAX: u64 = 1_000;

/// What a request did: what it answers, and what is to happen once it is durable.
#[derive(Default)]
pub(super) struct Done {
    pub(super) data: Option<Value>,
    pub(super) auth: Option<Auth>,
    pub(super) version: Option<u64>,
    pub(super) publish: Option<Publish>,
    /// The vault is to be sealed once the request is recorded.
    pub(super) seals: bool,
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
    Mounts,
    Mount(&'p str),
    Policies,
    Policy(&'p str),
    CapabilitiesSelf,
    AuditVerify,
    AuditEvents,
    StorageVerify,
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
            "sys/mounts" => SystemPath::Mounts,
            "sys/policies/acl" => SystemPath::Policies,
            "sys/capabilities-self" => SystemPath::CapabilitiesSelf,
            "sys/audit-log/verify" => SystemPath::AuditVerify,
            "sys/audit-log/events" => SystemPath::AuditEvents,
            "sys/storage/verify" => SystemPath::StorageVerify,
            "auth/token/create" => SystemPath::TokenCreate,
            "auth/token/lookup-self" => SystemPath::TokenLookupSelf,
            "auth/token/revoke-self" => SystemPath::TokenRevokeSelf,
            _ => {
                if let Some(name) = path.strip_prefix("sys/policies/acl/") {
                    SystemPath::Policy(name)
                } else if let Some(at) = path.strip_prefix("sys/mounts/") {
                    SystemPath::Mount(at)
                } else if path == "sys" || path == "auth" || path.starts_with("sys/") || path.starts_with("auth/") {
                    SystemPath::Unknown
                } else {
                    return None;
                }
            }
        })
    }

    /// Whether the path needs `sudo` beside the operation's capability.
    pub(super) fn is_root_protected(self) -> bool {
        matches!(self, SystemPath::Seal | SystemPath::AuditVerify | SystemPath::AuditEvents | SystemPath::StorageVerify)
    }
}

/// What an operation on a system path works with.
pub(super) struct Ask<'a> {
    pub(super) core: &'a Core,
    pub(super) caller: &'a Arc<LiveToken>,
    pub(super) rules: &'a CompiledPolicies,
    /// The token itself, which only `lookup-self` gives back to its holder.
    pub(super) token: &'a str,
    pub(super) full_path: &'a str,
    pub(super) data: Option<&'a Value>,
    pub(super) now: Timestamp,
}

/// Carries out an operation on a system path.
pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: SystemPath<'_>) -> Result<Done> {
    let core = ask.core;
    match (operation, path) {
        (Operation::Write, SystemPath::Seal) => Ok(Done { seals: true, ..Done::default() }),
        (Operation::Read, SystemPath::Mounts) => Ok(Done { data: Some(core.mounts.load().to_value()), ..Done::default() }),
        (Operation::Write, SystemPath::Mount(at)) => {
            let table = mounts::mount(core, overlay, at, ask.data)?;
            let published = Arc::clone(&core.mounts);
            Ok(Done::default().publishing(move || published.store(Arc::new(table))))
        }
        (Operation::List | Operation::Read, SystemPath::Policies) => policies::list(overlay),
        (Operation::Read, SystemPath::Policy(name)) => policies::read(overlay, name),
        (Operation::Write, SystemPath::Policy(name)) => policies::write(&core.policies, overlay, name, ask.data),
        (Operation::Delete, SystemPath::Policy(name)) => policies::delete(&core.policies, overlay, name),
        (Operation::Write, SystemPath::CapabilitiesSelf) => capabilities_self(ask),
        (Operation::Read, SystemPath::AuditVerify) => audit_verify(core),
        (Operation::Read, SystemPath::AuditEvents) => audit_events(core, ask.data),
        (Operation::Read, SystemPath::StorageVerify) => storage_verify(core),
        (Operation::Write, SystemPath::TokenCreate) => tokens::create(core, overlay, ask.caller, ask.full_path, ask.data, ask.now),
        (Operation::Read, SystemPath::TokenLookupSelf) => Ok(tokens::lookup_self(ask.caller, ask.token, ask.now)),
        (Operation::Write, SystemPath::TokenRevokeSelf) => tokens::revoke_self(core, overlay, ask.caller),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

fn capabilities_self(ask: &Ask<'_>) -> Result<Done> {
    let bad = || Error::new(Code::InvalidData, "pass the paths as an array of texts, the member \"paths\"");
    let paths = ask.data.and_then(|data| data.get("paths")).and_then(Value::as_array).ok_or_else(bad)?;
    let mut body = Object::new();
    for path in paths {
        let path = Path::parse(path.as_str().ok_or_else(bad)?)?;
        body.insert(path.as_str(), ask.rules.capabilities(path.as_str()));
    }
    Ok(Done::answer(body))
}

fn audit_verify(core: &Core) -> Result<Done> {
    core.committer.flush()?;
    let (root, snapshot) = core.committer.snapshot()?;
    let found = verify(&core.barrier, &core.store, &root, &*snapshot, &*core.storage)?;
    let body = Object::new().with("records", found.records).with("segments", found.segments);
    Ok(Done::answer(body.with("head", hex::encode(found.head)).with("root", hex::encode(found.root))))
}

fn audit_events(core: &Core, data: Option<&Value>) -> Result<Done> {
    let number = |name: &str, default: u64| match data.and_then(|data| data.get(name)) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => {
            value.as_u64().ok_or_else(|| Error::new(Code::InvalidData, "\"after\" and \"limit\" must be whole numbers from 0 on"))
        }
    };
    let (after, limit) = (number("after", 0)?, number("limit", 100)?.min(EVENTS_MAX));
    core.committer.flush()?;
    let (root, snapshot) = core.committer.snapshot()?;
    let mut events = Vec::new();
    let mut unreadable = false;
    walk(&core.barrier, &core.store, &root, &*snapshot, &*core.storage, |sequence, bytes| {
        if sequence > after && (events.len() as u64) < limit {
            match Event::from_bytes(bytes) {
                Some(event) => events.push(event.to_value(sequence)),
                None => unreadable = true,
            }
        }
        (events.len() as u64) < limit && !unreadable
    })?;
    if unreadable {
        return Err(Error::new(Code::Corrupt, "the audit log holds a record that no vault wrote"));
    }
    Ok(Done::answer(Object::new().with("events", Value::Array(events))))
}

fn storage_verify(core: &Core) -> Result<Done> {
    let found = super::verify::verify(core)?;
    Ok(Done::answer(Object::new().with("records", found.records).with("audit_records", found.audit.records)))
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

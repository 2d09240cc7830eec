//! The way of a request, on one screen: route, authenticate, authorise, execute, record, reply.

mod affect;
mod aside;
mod audit_log;
mod auth_paths;
mod backup;
mod capability_paths;
mod ceremony;
mod core;
mod deadman;
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) mod doctor;
mod emergency;
mod given;
mod health;
mod identities;
mod identity_aliases;
mod identity_entities;
mod identity_groups;
mod identity_named;
mod identity_paths;
mod info_paths;
#[cfg(all(test, loom))]
mod interleavings_tests;
mod keys;
#[cfg(feature = "testing")]
mod known;
mod lease_paths;
mod lease_quotas;
mod lease_renewal;
mod lease_telling;
mod lease_work;
mod leases;
mod listeners;
mod log;
mod mount_paths;
mod mounts;
mod namespace_paths;
mod namespace_table;
mod namespaces;
mod operator;
mod outside;
mod password_policies;
mod policies;
mod quota_paths;
mod quotas;
mod reencrypt;
mod removal;
mod reply;
mod retention;
mod rotate_root;
mod rotation;
mod rotation_ask;
mod rotation_paths;
mod rotation_secret;
mod rotation_usage;
mod rotation_work;
mod runtime;
mod seals;
mod second_path;
mod sinks;
mod stage;
mod system;
mod tick;
mod token_change;
mod token_create;
mod token_look;
mod token_options;
mod token_paths;
mod token_roles;
mod tokens;
mod tools;
mod ui_paths;
mod verify;
mod version_history;
mod wrapping;

pub use backup::BackupSeals;
pub use emergency::Suspect;
#[cfg(feature = "testing")]
pub use known::{Known, KnownConnection, KnownCredential, KnownLease};
pub use reply::{Recorded, Reply, Unrecorded};
pub use runtime::SealStatus;
pub use verify::Verification;

pub(crate) use backup::restore;
pub(crate) use listeners::Listener;
pub(crate) use runtime::{Parts, Runtime};
pub(crate) use stage::{Caller, Footing};

use self::core::Core;
use crate::audit::{AuditMode, Event};
use crate::commit::CommitError;
use crate::metrics::Target;
use crate::os::Stopwatch;
use crate::types::limits::{REQUEST_ID_BYTES_MAX, TTL_SECONDS_MAX};
use crate::types::{Class, Code, Error, Operation, Request, Result, Timestamp, Ttl};
use namespaces::Place;
use stage::{Authenticated, Authorized, Recorded as Carried, Routed};

/// Carries a request out, and records how it ended.
fn handle(core: &Core, caller: Option<&Caller>, request: &Request, now: Timestamp, mode: AuditMode) -> (Reply, bool) {
    let mut event = match arrive(core, request, now) {
        Ok(event) => event,
        Err(error) => return (Reply::Unrecorded(Unrecorded::Unready(error)), false),
    };
    let place = match Place::of(core, request) {
        Ok(place) => place,
        Err(error) => {
            let reply = refuse(core, error, event, now, mode);
            core.metrics.request(Target::None, request.operation, reply.class());
            return (reply, false);
        }
    };
    if !place.namespace.is_root() || place.is_missing {
        event.namespace = place.namespace.audit_name();
        event.path = place.path().to_owned();
    }
    let mut target = Target::None;
    let ended = match journey(core, caller, request, &place, (now, mode), (&mut event, &mut target)) {
        Ok(carried) => (Reply::recorded(Ok(carried.response), carried.receipt), carried.seals),
        Err(error) => (refuse(core, error, event, now, mode), false),
    };
    core.metrics.request(target, request.operation, ended.0.class());
    if !place.namespace.is_root() {
        keys::roll_early(core, &place.namespace, now);
    }
    ended
}

fn journey(
    core: &Core,
    caller: Option<&Caller>,
    request: &Request,
    place: &Place<'_>,
    (now, mode): (Timestamp, AuditMode),
    (event, target): (&mut Event, &mut Target),
) -> Result<Carried> {
    check_context(request)?;
    let limited = core.quotas.take(place, request.context.remote_address.as_deref(), now);
    // A wrapping token may come in the data of a request that has no token beside it.
    let bearer = caller.is_none().then(|| wrapping::bearer(request, place.path())).flatten().map(Caller::new);
    let named = caller.is_some();
    let caller = caller.or(bearer.as_ref());
    let routed = Routed::new(core, request, place, now);
    *target = routed.target();
    let timed = routed.is_issuance_or_revocation().map(|issues| (issues, Stopwatch::start()));
    let limited = match limited {
        Err(error) if !routed.is_quota_path() => return Err(error),
        limited => limited,
    };
    let authenticated = routed.authenticate(caller, event);
    if limited.is_err() && !authenticated.as_ref().is_ok_and(Authenticated::has_sudo) {
        // Whoever may change any quota is never locked out by one; others wait here too.
        limited?;
    }
    let authenticated = authenticated.map_err(|error| wrapping::explain(error, request, place.path(), named))?;
    authenticated.note_use();
    let recorded = authenticated.as_one_use(|| carry_out(&authenticated, mode, event)).map_err(|error| told_gone(place, error))?;
    match timed {
        Some((true, watch)) => core.metrics.issuance(watch.elapsed()),
        Some((false, watch)) => core.metrics.revocation(watch.elapsed()),
        None => {}
    }
    Ok(recorded)
}

fn carry_out(authenticated: &Authenticated<'_>, mode: AuditMode, event: &mut Event) -> Result<Carried> {
    let (mut tries, retries_max) = (0, authenticated.retries_max());
    // Held until what the request has done is durable: whoever makes a shared account, joins it or puts its end off does so alone.
    let mut turn = None;
    loop {
        tries += 1;
        // What the request has read was changed by others before it could commit: it is carried out anew on what is there now.
        let executed = authenticated.authorize(event).and_then(Authorized::execute);
        let mut executed = match executed {
            Err(error) if error.code() == Code::Conflict && tries <= retries_max => {
                authenticated.doubt();
                continue;
            }
            executed => executed?.probe()?,
        };
        if let (None, Some(slot)) = (&turn, executed.slot()) {
            let (claim, has_waited) = authenticated.core().outside.begin_slot(slot)?;
            turn = Some(claim);
            if has_waited {
                // What others have done meanwhile is there now.
                continue;
            }
        }
        match executed.closes_unheld() {
            Ok(false) => {}
            Err(error) if error.code() != Code::Conflict => return Err(error),
            _ if tries > retries_max => return Err(CommitError::Conflict.into()),
            _ => {
                authenticated.doubt();
                continue;
            }
        }
        if executed.has_effect() {
            // From its first commit on it is not carried out anew: what it does outside is done once.
            match executed.intend() {
                Err(CommitError::Conflict) if tries <= retries_max => {
                    authenticated.doubt();
                    continue;
                }
                intended => return intended?.affect(event, turn),
            }
        }
        match executed.record(event, mode) {
            Err(CommitError::Conflict) if tries <= retries_max => authenticated.doubt(),
            recorded => {
                drop(turn);
                return Ok(recorded?.followed(authenticated, mode));
            }
        }
    }
}

/// Records of a namespace that was deleted meanwhile are swept one by one: whoever misses one of them learns that the namespace is gone.
fn told_gone(place: &Place<'_>, error: Error) -> Error {
    if error.class() != Class::Corrupt {
        return error;
    }
    place.check_is_there().err().unwrap_or(error)
}

/// The event of a request that has just come.
fn arrive(core: &Core, request: &Request, now: Timestamp) -> Result<Event> {
    Ok(Event {
        time_millis: now.as_millis(),
        request_id: core.random_id()?.to_string(),
        correlation_id: request.context.correlation_id.as_deref().map(shortened),
        remote_address: request.context.remote_address.as_deref().map(shortened),
        operation: request.operation.name().into(),
        path: request.path.as_str().to_owned(),
        count: 1,
        ..Event::default()
    })
}

/// Records a refusal; where the log fails there is no other answer than that.
fn refuse(core: &Core, error: Error, mut event: Event, now: Timestamp, mode: AuditMode) -> Reply {
    event.outcome = error.code().number();
    match core.committer.admit_refusal(&event, now, mode) {
        Ok(receipt) => Reply::recorded(Err(error), receipt),
        Err(failure) => {
            core.metrics.audit_failure();
            Reply::Unrecorded(Unrecorded::AuditFailed(failure.into()))
        }
    }
}

fn check_context(request: &Request) -> Result<()> {
    let context = &request.context;
    let too_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > REQUEST_ID_BYTES_MAX);
    if too_long(&context.correlation_id) || too_long(&context.remote_address) {
        let why = format!("the correlation id and the remote address have at most {REQUEST_ID_BYTES_MAX} bytes each");
        return Err(Error::new(Code::InvalidRequest, why));
    }
    if request.wrap_ttl.is_some_and(|ttl| ttl > Ttl::from_secs(TTL_SECONDS_MAX)) {
        return Err(Error::new(Code::InvalidRequest, format!("a reply is wrapped for at most {TTL_SECONDS_MAX} seconds")));
    }
    if request.data.as_ref().is_some_and(|data| data.as_object().is_none()) {
        return Err(Error::new(Code::InvalidData, "the data of a request must be an object"));
    }
    if matches!(request.operation, Operation::Write | Operation::Patch) && request.path.is_folder() {
        return Err(Error::new(Code::InvalidPath, "invalid path: it ends in a slash, and a folder cannot be written"));
    }
    Ok(())
}

/// What a restored vault answers to a write.
fn frozen() -> Error {
    Error::new(Code::Frozen, "the vault was restored and is frozen: look at it, then adopt it (sys/storage/adopt)")
}

/// What the log keeps of a host's text, however long it is.
fn shortened(text: &str) -> String {
    text.chars().take(REQUEST_ID_BYTES_MAX).collect()
}

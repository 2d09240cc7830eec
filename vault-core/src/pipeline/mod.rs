//! The way of a request, on one screen: route, authenticate, authorise, execute, record, reply.

mod affect;
mod audit_log;
mod backup;
mod ceremony;
mod core;
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) mod doctor;
#[cfg(all(test, loom))]
mod interleavings_tests;
mod keys;
mod lease_paths;
mod lease_quotas;
mod lease_work;
mod leases;
mod mount_paths;
mod mounts;
mod namespace_paths;
mod namespace_table;
mod namespaces;
mod operator;
mod outside;
mod policies;
mod reencrypt;
mod removal;
mod reply;
mod retention;
mod rotate_root;
mod runtime;
mod seals;
mod sinks;
mod stage;
mod system;
mod tick;
mod tokens;
mod verify;

pub use backup::BackupSeals;
pub use reply::{Recorded, Reply, Unrecorded};
pub use runtime::SealStatus;
pub use verify::Verification;

pub(crate) use backup::restore;
pub(crate) use runtime::{Parts, Runtime};
pub(crate) use stage::Caller;

use self::core::Core;
use crate::audit::Event;
use crate::commit::CommitError;
use crate::types::limits::{COMMIT_RETRIES_MAX, REQUEST_ID_BYTES_MAX};
use crate::types::{Code, Error, Operation, Request, Result, Timestamp};
use namespaces::Place;
use stage::{Recorded as Carried, Routed};

/// Carries a request out, and records how it ended.
fn handle(core: &Core, caller: Option<&Caller>, request: &Request, now: Timestamp, strict: bool) -> (Reply, bool) {
    let mut event = match arrive(core, request, now) {
        Ok(event) => event,
        Err(error) => return (Reply::Unrecorded(Unrecorded::Unready(error)), false),
    };
    let place = match Place::of(core, request) {
        Ok(place) => place,
        Err(error) => return (refuse(core, error, event, now, strict), false),
    };
    if !place.namespace.is_root() || place.is_missing {
        event.namespace = place.namespace.audit_name();
        event.path = place.path().to_owned();
    }
    let ended = match journey(core, caller, request, &place, (now, strict), &mut event) {
        Ok(carried) => (Reply::recorded(Ok(carried.response), carried.receipt), carried.seals),
        Err(error) => (refuse(core, error, event, now, strict), false),
    };
    keys::roll_early(core, &place.namespace, now);
    ended
}

fn journey(
    core: &Core,
    caller: Option<&Caller>,
    request: &Request,
    place: &Place<'_>,
    (now, strict): (Timestamp, bool),
    event: &mut Event,
) -> Result<Carried> {
    check_context(request)?;
    let authenticated = Routed::new(core, request, place, now).authenticate(caller, event)?;
    let mut tries = 0;
    loop {
        tries += 1;
        // What the request has read was changed by others before it could commit: it is carried out anew on what is there now.
        let executed = match authenticated.authorize(event)?.execute() {
            Err(error) if error.code() == Code::Conflict && tries <= COMMIT_RETRIES_MAX => continue,
            executed => executed?.probe()?,
        };
        if executed.has_effect() {
            // From its first commit on it is not carried out anew: what it does outside is done once.
            match executed.intend() {
                Err(CommitError::Conflict) if tries <= COMMIT_RETRIES_MAX => continue,
                intended => return intended?.affect(event),
            }
        }
        match executed.record(event, strict) {
            Err(CommitError::Conflict) if tries <= COMMIT_RETRIES_MAX => {}
            recorded => return Ok(recorded?.followed(core, now)),
        }
    }
}

/// The event of a request that has just come.
fn arrive(core: &Core, request: &Request, now: Timestamp) -> Result<Event> {
    Ok(Event {
        time_millis: now.as_millis(),
        request_id: core.random_id()?.to_string(),
        correlation_id: request.context.correlation_id.as_deref().map(shortened),
        remote_address: request.context.remote_address.as_deref().map(shortened),
        operation: request.operation.name().to_owned(),
        path: request.path.as_str().to_owned(),
        count: 1,
        ..Event::default()
    })
}

/// Records a refusal; where the log fails there is no other answer than that.
fn refuse(core: &Core, error: Error, mut event: Event, now: Timestamp, strict: bool) -> Reply {
    event.outcome = error.code().number();
    match core.committer.admit_refusal(event, now, strict) {
        Ok(receipt) => Reply::recorded(Err(error), receipt),
        Err(failure) => Reply::Unrecorded(Unrecorded::AuditFailed(failure.into())),
    }
}

fn check_context(request: &Request) -> Result<()> {
    let context = &request.context;
    let too_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > REQUEST_ID_BYTES_MAX);
    if too_long(&context.correlation_id) || too_long(&context.remote_address) {
        let why = format!("the correlation id and the remote address have at most {REQUEST_ID_BYTES_MAX} bytes each");
        return Err(Error::new(Code::InvalidRequest, why));
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

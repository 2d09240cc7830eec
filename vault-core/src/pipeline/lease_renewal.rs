//! The renewal of a lease: the end that is asked of the target is durable first, then the target is asked, then the lease has it.
//!
//! At no instant may an account last longer at its target than the lease's record says (`asked_millis`). Where it is not known what came of the
//! question, or the lease could not have the new end, tick puts the target's end back to that of the lease.

use super::affect::{Given, hand_out};
use super::core::Core;
use super::lease_telling::LOST_CALL_SECONDS;
use super::leases::{self, barrier_of};
use super::namespaces::Namespace;
use super::outside::{Claim, ask, failed, text_of};
use super::stage::Authenticated;
use super::system::Done;
use crate::audit::Event;
use crate::barrier::{Barrier, Overlay};
use crate::commit::CommitError;
use crate::engines::{Connection, database};
use crate::host::{Account, ConnectorError};
use crate::lease::shared::Shared;
use crate::lease::{Lease, LeaseRef, index};
use crate::types::limits::COMMIT_RETRIES_MAX;
use crate::types::{Code, Error, Result, Timestamp, Ttl};
use std::sync::Arc;

/// A renewal.
pub(super) struct Renewal {
    connection: Arc<Connection>,
    /// The lease as it was.
    pub(super) before: Lease,
    /// The lease with the end that the target is asked for.
    pub(super) asked: Lease,
    expires: Timestamp,
    /// The account, where others may have it too.
    pub(super) shared: Option<Shared>,
}

impl Renewal {
    pub(super) fn of(before: Lease, connection: Arc<Connection>, (expires, shared): (Timestamp, Option<Shared>), now: Timestamp) -> Self {
        let asked = Lease {
            // Another one whose outcome is not known may have asked for more.
            asked_millis: before.asked_millis.max(Some(expires.as_millis())),
            // What a lost question may have done is put back once it can no longer arrive.
            next_millis: now.plus(Ttl::from_secs(LOST_CALL_SECONDS)).as_millis(),
            attempts: 0,
            ..before.clone()
        };
        Renewal { connection, before, asked, expires, shared }
    }

    /// Claims the lease before the intent is durable: two renewals of one lease would leave the target with the end of either.
    pub(super) fn claim<'c>(&self, core: &'c Core, barrier: &Barrier) -> Result<Claim<'c>> {
        core.outside.connector(&self.connection.plugin)?;
        let busy = || Error::new(Code::Conflict, "the lease is being renewed just now: try again later");
        core.outside.begin_renewal(LeaseRef::of(barrier, &self.before.id)).ok_or_else(busy)
    }

    /// The lease that has the end which the target has taken.
    fn done(&self, now: Timestamp) -> Lease {
        Lease {
            expires_millis: self.expires.as_millis(),
            renewed_millis: Some(now.as_millis()),
            // What another one has asked for and is later may still arrive.
            asked_millis: self.before.asked_millis.filter(|asked| *asked > self.expires.as_millis()),
            ..self.asked.clone()
        }
    }
}

/// Asks the target, and commits the new end with the request's event.
pub(super) fn carry_out(stage: &Authenticated<'_>, renewal: Renewal, event: &mut Event, done: &Done) -> Result<Given> {
    let core = stage.core();
    event.lease = Some(renewal.before.id.clone());
    let put = match &renewal.shared {
        Some(shared) => {
            put_off(core, &renewal.connection, &Lease { expires_millis: renewal.expires.as_millis(), ..renewal.asked.clone() }, shared)
        }
        None => put_end(core, &renewal.connection, &renewal.asked, renewal.expires),
    };
    put.map_err(|error| {
        event.target_error = Some(text_of(&error));
        if !error.failure().may_be_done() {
            forget(core, &stage.place().namespace, &renewal);
        }
        failed(&error)
    })?;
    for _ in 0..=COMMIT_RETRIES_MAX {
        if let Some(given) = grant(stage, &renewal, event, done)? {
            return Ok(given);
        }
    }
    Err(CommitError::Conflict.into())
}

fn put_end(core: &Core, connection: &Connection, lease: &Lease, expires: Timestamp) -> Result<(), ConnectorError> {
    let connector = core.outside.connector(&connection.plugin).map_err(|error| {
        // Looked for before the intent: a host's list does not change.
        ConnectorError::new(crate::host::ConnectorFailure::Misconfigured, error.to_string())
    })?;
    let account = Account { username: &lease.account.username, statements: &lease.account.renewal };
    ask(|| connector.renew(&connection.target(), &account, expires))
}

/// The target has done nothing: the lease is as it was. Where this fails it counts as one of which that is not known.
fn forget(core: &Core, namespace: &Namespace, renewal: &Renewal) {
    for _ in 0..=COMMIT_RETRIES_MAX {
        let noted = leases::update(core, namespace, &renewal.before.id, Vec::new(), |found| {
            (*found == renewal.asked).then(|| Some(renewal.before.clone()))
        });
        if !matches!(noted, Err(CommitError::Conflict)) {
            break;
        }
    }
}

/// Gives the lease its new end, unless it, the connection or the caller's token has ended meanwhile: the target may have taken its time, so this is
/// judged by the clock as it is now, and once more by that of the commit.
fn grant(stage: &Authenticated<'_>, renewal: &Renewal, event: &Event, done: &Done) -> Result<Option<Given>> {
    let (core, place) = (stage.core(), stage.place());
    let now = core.clock.now();
    let barrier = &place.namespace.barrier;
    let mut overlay = Overlay::writing(barrier, core.source());
    if !stage.holds(&mut overlay)? {
        return Err(Error::permission_denied());
    }
    place.check_is_there()?;
    let found = Lease::load(&mut overlay, &LeaseRef::of(barrier, &renewal.before.id).key)?;
    let is_still = database::is_still(&mut overlay, &renewal.connection)?;
    let holds = found.as_ref() == Some(&renewal.asked) && is_still.is_some() && leases::holds(core, &mut overlay, &renewal.asked, now)?;
    if !holds {
        return Err(Error::new(Code::LeaseEnded, "the lease has ended meanwhile: ask for new credentials"));
    }
    if is_still == Some(false) {
        let why = "the connection was written anew meanwhile, with another account of the vault's: the lease has its old end, try again";
        return Err(Error::new(Code::Conflict, why));
    }
    if let Some(of) = &renewal.asked.shared
        && let Some(shared) = Shared::load(&mut overlay, &of.id)?
    {
        shared.lasting_to(renewal.expires).put(&mut overlay)?;
    }
    let token_ends = leases::end_of_holder(core, &renewal.asked)?;
    let before = token_ends.map_or(renewal.asked.expires(), |ends| ends.min(renewal.asked.expires()));
    overlay.within(&core.barrier, |overlay| index::look_into(overlay, renewal.expires))?;
    let lease = renewal.done(now);
    index::save(&mut overlay, Some(&renewal.asked), Some(&lease), &barrier_of(&core.namespaces.load_full()))?;
    hand_out(stage, overlay, (lease, before), event, done)
}

/// Lets a shared account last for one of its leases, where it does not already: to the latest end of all of them.
pub(super) fn put_off(core: &Core, connection: &Connection, lease: &Lease, shared: &Shared) -> Result<(), ConnectorError> {
    if lease.expires_millis <= shared.ends_millis {
        return Ok(());
    }
    put_end(core, connection, lease, Timestamp::from_millis(shared.ends_millis.max(lease.expires_millis)))
}

/// Puts the end of an account back to that of its lease, where more was asked for and the lease does not have it; of one that is shared to what
/// its target has taken for the others. What the target said.
pub(super) fn put_back(core: &Core, connection: &Connection, lease: &Lease, shared: Option<&Shared>) -> Result<(), ConnectorError> {
    let others = shared.map_or(Timestamp::EPOCH, |shared| Timestamp::from_millis(shared.ends_millis));
    put_end(core, connection, lease, lease.expires().max(others))
}

//! What is due of leases, by `tick`: what ends many at once is carried out in steps, leases whose time is over are ended, and targets are told.
//!
//! A lease ends in the commit that its cause stands in, or at its time; its target is told afterwards, a bounded number at a time, again after
//! 10 s, 20 s, and so on, each plus or minus half, and after six times in vain no more.

use super::core::Core;
use super::lease_renewal;
use super::leases::{self, barrier_of, notice};
use super::namespaces::Namespace;
use super::outside::{Part, ask, ask_by_own_account, is_refused_login, text_of};
use super::{rotate_root, tokens};
use crate::audit::Event;
use crate::auth::TokenRef;
use crate::barrier::{BarrierError, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::engines::{Connection, database};
use crate::host::{Account, Connector, ConnectorError, ConnectorFailure, LeaseChange};
use crate::lease::chore::{self, Chore};
use crate::lease::shared::{self, Shared};
use crate::lease::{Lease, LeaseRef, State, index};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::{
    COMMIT_RETRIES_MAX, LEASE_PAGE_RECORDS_MAX, LEASES_LOOKED_AT_PER_TICK_MAX, LOST_CALL_SECONDS, REVOCATION_ATTEMPTS_MAX,
    REVOCATIONS_PER_TICK_MAX,
};
use crate::types::{Code, Error, Result, Timestamp, Ttl};
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Steps of each kind that one call does.
const STEPS: usize = 64;
/// Leases that one call tells to all targets together, after which it asks none of them a further time.
const TOLD_MAX: usize = 1_024;
/// Buckets of time that one commit goes through.
const BUCKETS_MAX: u64 = 10_000;
/// Wait after a target was told in vain for the first time, in milliseconds; it doubles with each.
const RETRY_MILLIS: u64 = 10_000;
/// No wait is longer: what waits longer was put off by a clock that was wrong, and is due.
const RETRY_SECONDS_LONGEST: u64 = 3_600;
/// Wait before looking again for a connector that the host has not given, in seconds.
const AWAY_SECONDS: u64 = 60;
/// How long before its end the hook is told of it, in seconds.
const WARNING_SECONDS: u64 = 300;
/// Leases that `sync` waits for are told to their targets in at most so many rounds.
const ROUNDS_MAX: usize = 64;

/// Does what is due; when it wants to be called next.
pub(super) fn work(core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
    let chores = carry_out(core, now)?;
    let ends = expire(core, now)?;
    let told = tell_due(core, now, None)?;
    Ok([chores, ends, told].into_iter().flatten().min())
}

/// Carries out what ends many leases at once.
fn carry_out(core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
    let mut steps = STEPS;
    loop {
        let (next, has_grown) = carry_out_noted(core, &mut steps, now)?;
        if !has_grown || steps == 0 {
            return Ok(if has_grown { Some(now) } else { next });
        }
    }
}

/// Carries out what is noted by now; when something is to be gone on with, and whether more may have been noted by it.
fn carry_out_noted(core: &Core, steps: &mut usize, now: Timestamp) -> Result<(Option<Timestamp>, bool)> {
    let (mut next, mut has_grown) = (None, false);
    for namespace in core.namespaces.load_full().iter() {
        for chore in chore::all(&Overlay::reading(&namespace.barrier, core.source()))? {
            if let Chore::Rotation(id) = &chore {
                if let Some(at) = rotate_root::resume(core, namespace, id, now)? {
                    next = earlier(next, Some(at));
                }
                continue;
            }
            loop {
                if *steps == 0 {
                    return Ok((Some(now), has_grown));
                }
                match retried(|| step(core, namespace, &chore, now))? {
                    Some(Stepped::On) => *steps -= 1,
                    Some(Stepped::Off) => {
                        *steps -= 1;
                        has_grown |= matches!(chore, Chore::Family(_));
                        break;
                    }
                    // It costs no step: however many wait, those behind them go on.
                    Some(Stepped::Waits) => break,
                    None => {
                        next = earlier(next, Some(now));
                        break;
                    }
                }
            }
        }
    }
    Ok((next, has_grown))
}

/// Tries what may lose races with others; `None` where it lost all of them.
pub(super) fn retried<T>(mut what: impl FnMut() -> Result<T, CommitError>) -> Result<Option<T>> {
    for _ in 0..=COMMIT_RETRIES_MAX {
        match what() {
            Err(CommitError::Conflict) => {}
            other => return other.map(Some).map_err(Error::from),
        }
    }
    Ok(None)
}

/// What came of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stepped {
    /// Some leases were ended: there may be more.
    On,
    /// There is nothing more: the chore was struck off.
    Off,
    /// It waits for accounts to be gone from its target, or somebody else has carried it out.
    Waits,
}

/// Ends some of the leases that a chore ends, or strikes it off when there is none.
fn step(core: &Core, namespace: &Namespace, chore: &Chore, now: Timestamp) -> Result<Stepped, CommitError> {
    let namespaces = core.namespaces.load_full();
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    if !chore.is_there(&mut overlay)? {
        return Ok(Stepped::Waits);
    }
    if let Chore::Family(family) = chore {
        chore::end_children(&mut overlay, family, &barrier_of(&namespaces))?;
        core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() })?;
        return Ok(Stepped::Off);
    }
    let forced = matches!(chore, Chore::Prefix(prefix) if prefix.forced);
    let is_held_still = match chore {
        Chore::Token(key) => {
            let holder = TokenRef { namespace: namespace.id, key: *key };
            tokens::look_up(core, &namespaces, holder).map_err(CommitError::Failed)?.is_some_and(|token| token.is_quarantined())
        }
        _ => false,
    };
    let found = chore::next_of(&mut overlay, chore, LEASE_PAGE_RECORDS_MAX)?;
    for lease in &found {
        let ends = |overlay: &mut Overlay<'_>| {
            let Some(old) = Lease::load(overlay, &lease.key)?.filter(|old| forced || old.state == State::Active) else { return Ok(false) };
            index::save(overlay, Some(&old), Some(&old.ended(now, forced)), &barrier_of(&namespaces))?;
            // Whoever is held still may have told its password: others keep the account for their time, but nobody is given it any more.
            if let Some(of) = old.shared.filter(|_| is_held_still) {
                Shared::close_by_id(overlay, &of.id)?;
            }
            Ok::<_, BarrierError>(true)
        };
        let ended = namespaces.barrier(&lease.namespace).map(|barrier| overlay.within(&barrier, ends)).transpose()?;
        if ended != Some(true) {
            // What leads nowhere would hold back those behind it.
            chore::strike_off(&mut overlay, chore, lease);
        }
    }
    let mut forgotten = None;
    if found.is_empty() {
        if let Chore::Target(id) = chore {
            if !database::is_unused(&mut overlay, id).map_err(CommitError::Failed)? {
                return Ok(Stepped::Waits);
            }
            forgotten = database::load(&mut overlay, id).map_err(CommitError::Failed)?.map(|found| found.connection);
            database::purge(&mut overlay, id);
        }
        chore.delete(&mut overlay);
    }
    core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() })?;
    if let Some(connection) = forgotten
        && let Ok(connector) = core.outside.connector(&connection.plugin)
    {
        let _panicked: Result<(), ConnectorError> = ask(|| {
            connector.forget(&connection.id);
            Ok(())
        });
    }
    Ok(if found.is_empty() { Stepped::Off } else { Stepped::On })
}

/// Ends leases whose time is over, bucket by bucket from the last one that was left; when the next one ends.
fn expire(core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
    let (next, grants) = core.outside.next_due();
    let ahead = if core.outside.has_hook() { Ttl::from_secs(WARNING_SECONDS) } else { Ttl::ZERO };
    if now.plus(ahead) < next {
        return Ok(Some(Timestamp::from_millis(next.as_millis() - ahead.as_secs() * 1000)));
    }
    for _ in 0..STEPS {
        match retried(|| expire_some(core, now))? {
            Some(Round::More) => {}
            Some(Round::Nothing) => return Ok(None),
            Some(Round::Done(next)) => {
                warn(core, now, next, grants)?;
                return Ok(Some(next));
            }
            None => break,
        }
    }
    Ok(Some(now))
}

enum Round {
    /// There never was a lease.
    Nothing,
    More,
    /// Nothing more is over; the instant at which something may be.
    Done(Timestamp),
}

fn expire_some(core: &Core, now: Timestamp) -> Result<Round, CommitError> {
    let namespaces = core.namespaces.load_full();
    let mut overlay = core.writing();
    let Some(left_at) = index::mark(&mut overlay)? else { return Ok(Round::Nothing) };
    let current = index::bucket_at(now);
    // Where the clock has stepped back there is nothing to catch up with; the mark follows it, so that new leases are not passed over.
    let first = left_at.min(current);
    let last = current.min(first.saturating_add(BUCKETS_MAX));
    let (mut found, mut next) = (Vec::new(), index::bucket_start(last + 1));
    let mut is_full = false;
    for bucket in first..=last {
        index::each_due(&overlay, bucket, |lease, expires| {
            if expires <= now {
                found.push((bucket, lease));
            } else {
                next = next.min(expires);
            }
            found.len() < LEASE_PAGE_RECORDS_MAX
        })?;
        is_full = found.len() >= LEASE_PAGE_RECORDS_MAX;
        if is_full {
            break;
        }
    }
    for (bucket, lease) in &found {
        let ends = |overlay: &mut Overlay<'_>| match Lease::load(overlay, &lease.key)? {
            Some(old) if old.state == State::Active && index::bucket_at(old.expires()) == *bucket => {
                let over = old.expires() <= now;
                let ended = over.then(|| index::save(overlay, Some(&old), Some(&old.ended(now, false)), &barrier_of(&namespaces)));
                ended.transpose().map(|_| true)
            }
            _ => Ok::<_, BarrierError>(false),
        };
        let is_its_own = namespaces.barrier(&lease.namespace).map(|barrier| overlay.within(&barrier, ends)).transpose()?;
        if is_its_own != Some(true) {
            // What leads nowhere would hold back those behind it.
            index::strike_off_bucket(&mut overlay, *bucket, lease);
        }
    }
    let reached = if is_full { found.last().map_or(first, |(bucket, _)| *bucket) } else { last };
    if left_at != reached {
        index::set_mark(&mut overlay, reached)?;
    }
    if left_at != reached || !found.is_empty() {
        core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() })?;
    }
    Ok(if is_full || last < current { Round::More } else { Round::Done(next) })
}

/// Tells the hook what ends soon, and remembers when the next lease ends.
fn warn(core: &Core, now: Timestamp, next: Timestamp, grants: u64) -> Result<()> {
    core.outside.nothing_due_before(grants, next);
    if !core.outside.has_hook() {
        return Ok(());
    }
    let until = now.plus(Ttl::from_secs(WARNING_SECONDS));
    let overlay = core.reading();
    let mut soon = HashSet::new();
    let mut earliest_after = Timestamp::from_millis(u64::MAX);
    for bucket in index::bucket_at(now)..=index::bucket_at(until) {
        index::each_due(&overlay, bucket, |lease, expires| {
            if expires > now && expires <= until {
                soon.insert(lease);
            } else if expires > until {
                earliest_after = earliest_after.min(expires);
            }
            true
        })?;
    }
    let namespaces = core.namespaces.load_full();
    let mut notices = Vec::new();
    for lease in &soon {
        let Some(namespace) = namespaces.get(&lease.namespace).filter(|_| core.outside.is_first_warning(*lease)) else { continue };
        if let Some(found) = Lease::load(&mut Overlay::reading(&namespace.barrier, core.source()), &lease.key)? {
            notices.push(notice(LeaseChange::ExpiringSoon, &found, &namespace));
        }
    }
    core.outside.keep_warnings(&soon);
    core.outside.tell(notices);
    Ok(())
}

/// What came of telling a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The lease is gone.
    Gone,
    /// It is told again later, or no more; the target itself answered.
    Refused,
    /// It is told again later: the target does not answer, or there is no connector to it.
    Away,
    /// Somebody else is telling it, or its target is busy.
    Busy,
}

/// Looks at what waits for its target behind a place in the queue: a bounded part of it, or all where only some leases are asked for.
fn look(core: &Core, after: Option<Key>, only: Option<&HashSet<LeaseRef>>, now: Timestamp) -> Result<Part> {
    let mut found = Part { due: BTreeMap::new(), next: None, in_vain: false, left_at: None, looked: now };
    let mut looked_at = 0;
    index::each_queued(&core.reading(), after, |place, queued| {
        looked_at += 1;
        if only.is_none() && looked_at >= LEASES_LOOKED_AT_PER_TICK_MAX {
            found.left_at = Some(*place);
        }
        if only.is_some_and(|only| !only.contains(&queued.lease)) || core.outside.is_busy(&queued.lease) {
            return found.left_at.is_none();
        }
        if waits(queued.next, now) {
            found.next = earlier(found.next, Some(queued.next));
        } else {
            found.due.entry(queued.target).or_default().push_back(queued.lease);
        }
        found.left_at.is_none()
    })?;
    Ok(found)
}

/// Whether a target is to be told only later.
fn waits(next: Timestamp, now: Timestamp) -> bool {
    next > now && next <= now.plus(Ttl::from_secs(RETRY_SECONDS_LONGEST))
}

/// The earlier of two instants of which there may be none.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

/// Tells targets of leases that have ended: what is due of the part of the queue whose turn it is, or those of some leases; when the next is due.
fn tell_due(core: &Core, now: Timestamp, only: Option<&HashSet<LeaseRef>>) -> Result<Option<Timestamp>> {
    let kept = if only.is_none() { core.outside.take_part(now) } else { None };
    let after = if only.is_none() { core.outside.queue_place() } else { None };
    // A part is told before the next one is looked at: however many wait, each is looked at about as often as it is told.
    let mut part = kept.map_or_else(|| look(core, after, only, now), Ok)?;
    tell_each(core, &mut part, now)?;
    if !part.due.is_empty() && only.is_none() {
        core.outside.keep_part(part);
        return Ok(Some(now));
    }
    let mut next = earlier(part.next, (!part.due.is_empty()).then_some(now));
    if part.in_vain {
        // Due again at an instant that was drawn just now.
        next = earlier(next, look(core, after, only, now)?.next.filter(|next| *next > now));
    }
    if only.is_some() {
        return Ok(next);
    }
    // Until all parts were looked at it is not known when the first is due: then the next one is looked at.
    Ok(core.outside.leave_queue_at(part.left_at, next).map_or(Some(now), |all| all))
}

/// The record of a lease.
fn record(core: &Core, lease: &LeaseRef) -> Result<Option<Lease>> {
    let Some(namespace) = core.namespaces.load().get(&lease.namespace) else { return Ok(None) };
    Ok(Lease::load(&mut Overlay::reading(&namespace.barrier, core.source()), &lease.key)?)
}

/// Tells each target in its turn of what is due of a part, up to a bound: those that do not answer hold up none of the others, and are asked no
/// further for this part.
fn tell_each(core: &Core, part: &mut Part, now: Timestamp) -> Result<()> {
    let mut count = 0;
    for _ in 0..REVOCATIONS_PER_TICK_MAX {
        if part.due.is_empty() || count >= TOLD_MAX {
            break;
        }
        for target in part.due.keys().copied().collect::<Vec<_>>() {
            let lease = part.due.get_mut(&target).and_then(VecDeque::pop_front);
            if part.due.get(&target).is_none_or(VecDeque::is_empty) {
                part.due.remove(&target);
            }
            let Some(lease) = lease else { continue };
            // Somebody else may have told it since it was looked at.
            if record(core, &lease)?.is_some_and(|lease| waits(Timestamp::from_millis(lease.next_millis), now)) {
                part.in_vain = true;
                continue;
            }
            match tell(core, &lease, now)? {
                // What was never handed out is undone once more later.
                Told::Gone => part.in_vain |= record(core, &lease)?.is_some(),
                Told::Refused => part.in_vain = true,
                // One that does not answer is not asked for the others too.
                Told::Away => {
                    part.next = earlier(part.next, Some(now.plus(Ttl::from_secs(AWAY_SECONDS.min(RETRY_MILLIS / 1000)))));
                    part.due.remove(&target);
                    part.in_vain = true;
                }
                Told::Busy => part.next = Some(now),
            }
            count += 1;
        }
    }
    Ok(())
}

/// Tells a lease's target that it has ended, and commits what came of it.
pub(super) fn tell(core: &Core, lease: &LeaseRef, now: Timestamp) -> Result<Told> {
    let Some(namespace) = core.namespaces.load().get(&lease.namespace) else {
        unqueue(core, None, lease)?;
        return Ok(Told::Refused);
    };
    let read = || Lease::load(&mut Overlay::reading(&namespace.barrier, core.source()), &lease.key);
    let Some(before) = read()? else {
        unqueue(core, Some(&namespace), lease)?;
        return Ok(Told::Gone);
    };
    let Some(_claim) = core.outside.begin_revocation(*lease, before.target) else { return Ok(Told::Busy) };
    // Read anew: it may have been told, or handed out, before it was claimed.
    let Some(lease) = read()? else { return Ok(Told::Gone) };
    match lease.state {
        State::Pending | State::Ending => {}
        State::Active if lease.asked_millis.is_some() => return put_back(core, &namespace, &lease, now),
        State::Active | State::Stuck => return Ok(Told::Refused),
    }
    if lease.shared.is_some() {
        match retried(|| leave_account(core, &namespace, &lease, now))? {
            Some(Leaving::Last) => {}
            Some(Leaving::Left) => return Ok(Told::Gone),
            Some(Leaving::Changed) | None => return Ok(Told::Busy),
        }
    }
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    let connection = database::load(&mut overlay, &lease.target)?.map(|found| found.connection);
    let outcome = match connection {
        None => Err(ConnectorError::new(ConnectorFailure::Misconfigured, "the connection's record is gone")),
        Some(connection) => {
            let mount = Id::from_bytes(lease.mount);
            let role = database::revocation_of(&mut overlay, &mount, &lease.account.role, &lease.target)?;
            let statements = role.unwrap_or_else(|| lease.account.revocation.clone());
            let account = Account { username: &lease.account.username, statements: &statements };
            match core.outside.connector(&connection.plugin) {
                Ok(connector) => {
                    let mut outcome = ask_by_own_account(&connection, |target| connector.revoke(target, &account));
                    // One that was deleted learns of no change of the password: who has the account now in the same mount knows it.
                    if connection.is_retired && is_refused_login(&outcome) {
                        let others = database::of_same_account(&mut overlay, &mount, &connection)?;
                        outcome = revoke(&**connector, &others, &account).unwrap_or(outcome);
                    }
                    outcome
                }
                // Whoever forces it does not wait for a connector that the host no longer gives.
                Err(error) if lease.forced => Err(ConnectorError::new(ConnectorFailure::Misconfigured, error.to_string())),
                Err(_) => return Ok(Told::Away),
            }
        }
    };
    drop(overlay);
    settle(core, &namespace, &lease, outcome, now)
}

/// What the end of a lease is to the account that it shares.
enum Leaving {
    /// Others have it still: the lease is gone, and the account stays.
    Left,
    /// It was the last one: the account is handed out no more, and its target is to be told.
    Last,
    /// The lease is not what it was.
    Changed,
}

/// Lets go of a shared account. That nobody has it any more is durable before the target is told: no lease is made on one that goes.
fn leave_account(core: &Core, namespace: &Namespace, lease: &Lease, now: Timestamp) -> Result<Leaving, CommitError> {
    let Some(of) = &lease.shared else { return Ok(Leaving::Last) };
    let namespaces = core.namespaces.load_full();
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    let own = LeaseRef::of(&namespace.barrier, &lease.id);
    if Lease::load(&mut overlay, &own.key)?.as_ref() != Some(lease) {
        return Ok(Leaving::Changed);
    }
    if !shared::has_another(&mut overlay, &of.id, &own)? {
        if Shared::close_by_id(&mut overlay, &of.id)? {
            core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() })?;
        }
        return Ok(Leaving::Last);
    }
    index::save(&mut overlay, Some(lease), None, &barrier_of(&namespaces))?;
    let operation = if lease.was_never_given() { "roll-back" } else { "revoke" };
    let event = leases::event(core, namespace, operation, lease, now).map_err(CommitError::Failed)?;
    core.committer.commit(Proposal { writes: overlay.into_writes(), events: vec![event], ..Proposal::default() })?;
    if !lease.was_never_given() {
        core.outside.tell(vec![notice(LeaseChange::Revoked, lease, namespace)]);
    }
    Ok(Leaving::Left)
}

/// Removes what leads to a lease that is not there any more from among those that wait: it would be in the way of those behind it.
fn unqueue(core: &Core, namespace: Option<&Namespace>, lease: &LeaseRef) -> Result<()> {
    let committed = retried(|| {
        let mut overlay = core.writing();
        let load = |overlay: &mut Overlay<'_>| Lease::load(overlay, &lease.key);
        if namespace.map(|namespace| overlay.within(&namespace.barrier, load)).transpose()?.flatten().is_none() {
            index::strike_off_queue(&mut overlay, lease);
            core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() })?;
        }
        Ok(())
    });
    committed.map(drop)
}

/// Removes an account by the first of these connections that is let in, if one is.
fn revoke(connector: &dyn Connector, by: &[Connection], account: &Account<'_>) -> Option<Result<(), ConnectorError>> {
    by.iter()
        .map(|connection| ask_by_own_account(connection, |target| connector.revoke(target, account)))
        .find(|outcome| !is_refused_login(outcome))
}

/// Tells a target the end of a lease that was to be renewed, where it is not known which one it has; and commits what came of it.
fn put_back(core: &Core, namespace: &Namespace, lease: &Lease, now: Timestamp) -> Result<Told> {
    let Some(_claim) = core.outside.begin_renewal(LeaseRef::of(&namespace.barrier, &lease.id)) else { return Ok(Told::Busy) };
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    let connection = database::load(&mut overlay, &lease.target)?.map(|found| found.connection);
    // One that is gone ends the lease.
    let Some(connection) = connection.filter(|connection| !connection.is_retired) else { return Ok(Told::Refused) };
    if core.outside.connector(&connection.plugin).is_err() {
        return Ok(Told::Away);
    }
    let account = lease.shared.map(|of| Shared::load(&mut overlay, &of.id)).transpose()?.flatten();
    // Whoever puts it off meanwhile is not undone by this.
    let turn = account.as_ref().map(|account| core.outside.try_slot(account.slot(&namespace.barrier)));
    if matches!(turn, Some(None)) {
        return Ok(Told::Busy);
    }
    // Read in its turn.
    let account = lease.shared.map(|of| Shared::load(&mut overlay, &of.id)).transpose()?.flatten();
    let outcome = lease_renewal::put_back(core, &connection, lease, account.as_ref());
    let wait = wait_after(core, lease.attempts)?.min(RETRY_SECONDS_LONGEST * 1000);
    let error = outcome.as_ref().err();
    let becomes = match error {
        None => Lease { asked_millis: None, attempts: 0, ..lease.clone() },
        Some(_) => Lease { attempts: lease.attempts.saturating_add(1), next_millis: now.as_millis().saturating_add(wait), ..lease.clone() },
    };
    let event = Event {
        outcome: error.map_or(0, |_| Code::TargetUnavailable.number()),
        target_error: error.map(text_of),
        ..leases::event(core, namespace, "renewal-roll-back", lease, now)?
    };
    retried(|| leases::update(core, namespace, &lease.id, vec![event.clone()], |found| (found == lease).then(|| Some(becomes.clone()))))?;
    Ok(match error.map(ConnectorError::failure) {
        None => Told::Gone,
        Some(ConnectorFailure::Unreachable | ConnectorFailure::Unknown) => Told::Away,
        Some(_) => Told::Refused,
    })
}

/// What a lease becomes, by what its target said.
fn after(lease: &Lease, error: Option<&ConnectorError>, wait_millis: u64, now: Timestamp) -> Option<Lease> {
    let never_given = lease.was_never_given();
    let Some(error) = error else {
        // A call that was lost may still arrive; one that the target has answered does not.
        let arrives = Timestamp::from_millis(lease.issued_millis).plus(Ttl::from_secs(LOST_CALL_SECONDS));
        let waits = never_given && !lease.refused && now < arrives && now.as_millis() >= lease.issued_millis;
        return waits.then(|| Lease { state: State::Ending, undone: true, next_millis: arrives.as_millis(), ..lease.clone() });
    };
    let attempts = lease.attempts.saturating_add(1);
    if lease.forced || lease.refused && attempts >= REVOCATION_ATTEMPTS_MAX {
        return None;
    }
    let state = if attempts >= REVOCATION_ATTEMPTS_MAX { State::Stuck } else { State::Ending };
    Some(Lease {
        state,
        attempts,
        undone: never_given,
        next_millis: now.as_millis().saturating_add(wait_millis),
        error: Some(text_of(error)),
        ..lease.clone()
    })
}

/// 10 s, doubling with each time, plus or minus half.
fn wait_after(core: &Core, attempts: u32) -> Result<u64> {
    let bytes = core.barrier.rng().array().map_err(|error| Error::new(Code::NoEntropy, error.to_string()))?;
    let whole = RETRY_MILLIS.checked_shl(attempts.min(16)).unwrap_or(u64::MAX);
    Ok(whole / 2 + u64::from_le_bytes(bytes) % whole)
}

/// Commits what came of telling a target.
fn settle(core: &Core, namespace: &Namespace, lease: &Lease, outcome: Result<(), ConnectorError>, now: Timestamp) -> Result<Told> {
    let wait = wait_after(core, lease.attempts)?;
    let error = outcome.as_ref().err();
    let becomes = after(lease, error, wait, now);
    let is_stuck = becomes.as_ref().is_some_and(|new| new.state == State::Stuck);
    let never_given = lease.was_never_given();
    let operation = match (is_stuck, never_given) {
        (true, _) => "irrevocable",
        (false, true) => "roll-back",
        (false, false) => "revoke",
    };
    let event = Event {
        outcome: error.map_or(0, |_| Code::TargetUnavailable.number()),
        target_error: error.map(text_of),
        ..leases::event(core, namespace, operation, lease, now)?
    };
    let changed = retried(|| {
        leases::update(core, namespace, &lease.id, vec![event.clone()], |found| {
            // Forced or ended anew meanwhile: what the target said counts for that as well.
            matches!(found.state, State::Pending | State::Ending).then(|| after(found, error, wait, now))
        })
    })?;
    if let Some(Some((old, new))) = changed {
        let change = match &new {
            None if !never_given => Some(LeaseChange::Revoked),
            Some(new) if new.state == State::Stuck => Some(LeaseChange::Irrevocable),
            _ => None,
        };
        core.outside.tell(change.map(|change| notice(change, &old, namespace)).into_iter().collect());
    }
    Ok(match error.map(ConnectorError::failure) {
        None => Told::Gone,
        Some(ConnectorFailure::Unreachable | ConnectorFailure::Unknown) => Told::Away,
        Some(_) if becomes.is_none() => Told::Gone,
        Some(_) => Told::Refused,
    })
}

/// Ends at once what a prefix ends, and tells the targets where that is asked for; what is to be said of it.
pub(super) fn sweep(core: &Core, namespace: &Namespace, folder: &str, tells: bool, now: Timestamp) -> Result<Vec<String>> {
    carry_out(core, now)?;
    if !tells {
        return Ok(Vec::new());
    }
    let left = || -> Result<HashSet<LeaseRef>> {
        let overlay = Overlay::reading(&namespace.barrier, core.source());
        let mut left = HashSet::new();
        index::walk(&overlay, &index::ENDING, folder, &mut |id| {
            left.insert(LeaseRef::of(&namespace.barrier, id));
            Ok(true)
        })?;
        Ok(left)
    };
    let mut before = left()?;
    for _ in 0..ROUNDS_MAX {
        if before.is_empty() {
            return Ok(Vec::new());
        }
        tell_due(core, now, Some(&before))?;
        let after = left()?;
        if after.len() == before.len() {
            break;
        }
        before = after;
    }
    let count = before.len();
    Ok(if count == 0 {
        Vec::new()
    } else {
        vec![format!("{count} leases have ended whose target could not be told yet: tick tells it again")]
    })
}

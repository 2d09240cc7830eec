//! How targets are told of leases that have ended: a bounded number at a time, each target in its turn, and what they answer in one commit for many.
//!
//! A target that fails is told again after 10 s, 20 s, and so on, each plus or minus half, and after six times in vain no more.

use super::core::Core;
use super::lease_renewal;
use super::lease_work::{AWAY_SECONDS, earlier, or_aside, retried, tell_unreadable};
use super::leases::{self, barrier_of, notice};
use super::namespaces::Namespace;
use super::outside::{Claim, Part, ask_by_own_account, is_refused_login, text_of};
use crate::audit::Event;
use crate::barrier::{BarrierError, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::engines::{Connection, database};
use crate::host::{Account, Connector, ConnectorError, ConnectorFailure, LeaseChange, LeaseNotice};
use crate::lease::shared::{self, Shared};
use crate::lease::{Lease, LeaseRef, State, index};
use crate::os::Stopwatch;
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::{LEASES_LOOKED_AT_PER_TICK_MAX, LOST_CALL_SECONDS, REVOCATION_ATTEMPTS_MAX, REVOCATIONS_PER_TICK_MAX};
use crate::types::{Code, Error, Result, Timestamp, Ttl};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Leases that one call tells to all targets together, after which it asks none of them a further time.
const TOLD_MAX: usize = 1_024;
/// Answers of targets that one commit holds.
const ANSWERS_MAX: usize = 32;
/// How long answers wait for others before a further target is asked: those that a crash loses are asked for again.
const ANSWERS_WAIT: Duration = Duration::from_millis(50);
/// Wait after a target was told in vain for the first time, in milliseconds; it doubles with each.
const RETRY_MILLIS: u64 = 10_000;
/// No wait is longer: what waits longer was put off by a clock that was wrong, and is due.
const RETRY_SECONDS_LONGEST: u64 = 3_600;

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
    let unreadable = index::each_queued(&core.reading(), after, |place, queued| {
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
    tell_unreadable(core, unreadable, "tell of leases that wait for their targets");
    Ok(found)
}

/// Whether a target is to be told only later.
fn waits(next: Timestamp, now: Timestamp) -> bool {
    next > now && next <= now.plus(Ttl::from_secs(RETRY_SECONDS_LONGEST))
}

/// Tells targets of leases that have ended: what is due of the part of the queue whose turn it is, or those of some leases; when the next is due.
pub(super) fn tell_due(core: &Core, now: Timestamp, only: Option<&HashSet<LeaseRef>>) -> Result<Option<Timestamp>> {
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

/// Tells each target in its turn of what is due of a part, up to a bound: those that do not answer hold up none of the others, and are asked no
/// further for this part.
fn tell_each(core: &Core, part: &mut Part, now: Timestamp) -> Result<()> {
    let mut answers = Vec::new();
    let asked = ask_each(core, part, &mut answers, now);
    // What targets have answered is kept, whatever else has failed.
    settle(core, answers, now)?;
    asked
}

fn ask_each<'c>(core: &'c Core, part: &mut Part, answers: &mut Vec<Answer<'c>>, now: Timestamp) -> Result<()> {
    let (mut known, mut count, mut waited) = (Known::default(), 0, Stopwatch::start());
    for _ in 0..REVOCATIONS_PER_TICK_MAX {
        if part.due.is_empty() || count >= TOLD_MAX {
            break;
        }
        for target in part.due.keys().copied().collect::<Vec<_>>() {
            if answers.len() >= ANSWERS_MAX || waited.elapsed() > ANSWERS_WAIT {
                settle(core, std::mem::take(answers), now)?;
                waited = Stopwatch::start();
            }
            let lease = part.due.get_mut(&target).and_then(VecDeque::pop_front);
            if part.due.get(&target).is_none_or(VecDeque::is_empty) {
                part.due.remove(&target);
            }
            let Some(lease) = lease else { continue };
            let told = match or_aside(core, ask_target(core, &lease, target, &mut known, (now, true)))? {
                Some(Asked::Answered(answer)) => {
                    let told = answer.told();
                    part.in_vain |= answer.stays();
                    answers.push(*answer);
                    told
                }
                Some(Asked::Told(told)) => told,
                None => Told::Refused,
            };
            match told {
                Told::Gone => {}
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
    let namespace = core.namespaces.load().get(&lease.namespace);
    let load = |namespace: Arc<Namespace>| Lease::load(&mut Overlay::reading(&namespace.barrier, core.source()), &lease.key);
    let target = namespace.map(load).transpose()?.flatten().map(|lease| lease.target).unwrap_or_default();
    match ask_target(core, lease, target, &mut Known::default(), (now, false))? {
        Asked::Told(told) => Ok(told),
        Asked::Answered(answer) => {
            let told = answer.told();
            settle(core, vec![*answer], now)?;
            Ok(told)
        }
    }
}

/// What one call has read of targets already: it tells many leases of each.
#[derive(Default)]
struct Known {
    connections: HashMap<[u8; 16], Option<Arc<Connection>>>,
    /// What undoes an account, where its role is there.
    statements: HashMap<MadeBy, Option<Vec<String>>>,
}

/// What made an account.
#[derive(PartialEq, Eq, Hash)]
struct MadeBy {
    mount: [u8; 16],
    role: String,
    target: [u8; 16],
}

/// What came of a lease whose target was to be told.
enum Asked<'c> {
    Told(Told),
    /// It was asked: what it said is to be committed.
    Answered(Box<Answer<'c>>),
}

/// What a target has said of a lease. Nobody else asks it for that one until this was committed.
struct Answer<'c> {
    at: LeaseRef,
    namespace: Arc<Namespace>,
    /// As it was when the target was asked.
    lease: Lease,
    outcome: Result<(), ConnectorError>,
    /// Before it is told again, in milliseconds.
    wait_millis: u64,
    /// What the lease became, as it was.
    becomes: Option<Lease>,
    _claim: Claim<'c>,
}

impl Answer<'_> {
    fn error(&self) -> Option<&ConnectorError> {
        self.outcome.as_ref().err()
    }

    fn told(&self) -> Told {
        match self.error().map(ConnectorError::failure) {
            None => Told::Gone,
            Some(ConnectorFailure::Unreachable | ConnectorFailure::Unknown) => Told::Away,
            Some(_) if self.becomes.is_none() => Told::Gone,
            Some(_) => Told::Refused,
        }
    }

    /// Whether the lease stays: what was never handed out is undone once more later, and what failed is told again.
    fn stays(&self) -> bool {
        self.becomes.is_some()
    }
}

/// Tells a lease's target that it has ended; one whose time to be told again has not come is left alone where that is asked for.
fn ask_target<'c>(
    core: &'c Core,
    at: &LeaseRef,
    target: [u8; 16],
    known: &mut Known,
    (now, only_due): (Timestamp, bool),
) -> Result<Asked<'c>> {
    let Some(namespace) = core.namespaces.load().get(&at.namespace) else {
        unqueue(core, None, at)?;
        return Ok(Asked::Told(Told::Refused));
    };
    let Some(mut claim) = core.outside.begin_revocation(*at, target) else { return Ok(Asked::Told(Told::Busy)) };
    // Read once it is claimed: it may have been told, or handed out, before.
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    let Some(lease) = Lease::load(&mut overlay, &at.key)? else {
        unqueue(core, Some(&namespace), at)?;
        return Ok(Asked::Told(Told::Gone));
    };
    if only_due && waits(Timestamp::from_millis(lease.next_millis), now) {
        return Ok(Asked::Told(Told::Refused));
    }
    match lease.state {
        State::Pending | State::Ending => {}
        State::Active if lease.asked_millis.is_some() => return put_back(core, &namespace, &lease, now).map(Asked::Told),
        State::Active | State::Stuck => return Ok(Asked::Told(Told::Refused)),
    }
    if lease.shared.is_some() {
        match retried(|| leave_account(core, &namespace, &lease, now))? {
            Some(Leaving::Last) => {}
            Some(Leaving::Left) => return Ok(Asked::Told(Told::Gone)),
            Some(Leaving::Changed) | None => return Ok(Asked::Told(Told::Busy)),
        }
    }
    let connection = match known.connections.entry(lease.target) {
        Entry::Occupied(entry) => entry.get().clone(),
        Entry::Vacant(entry) => {
            let found = database::load(&mut overlay, &lease.target)?.map(|found| Arc::new(found.connection));
            entry.insert(found).clone()
        }
    };
    let outcome = match &connection {
        None => Err(ConnectorError::new(ConnectorFailure::Misconfigured, "the connection's record is gone")),
        Some(connection) => match core.outside.connector(&connection.plugin) {
            Ok(connector) => {
                let made_by = MadeBy { mount: lease.mount, role: lease.account.role.clone(), target: lease.target };
                let role = match known.statements.entry(made_by) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        let mount = Id::from_bytes(lease.mount);
                        entry.insert(database::revocation_of(&mut overlay, &mount, &lease.account.role, &lease.target)?)
                    }
                };
                let statements = role.as_ref().unwrap_or(&lease.account.revocation);
                let account = Account { username: &lease.account.username, statements };
                let mut outcome = ask_by_own_account(connection, |target| connector.revoke(target, &account));
                // One that was deleted learns of no change of the password: who has the account now in the same mount knows it.
                if connection.is_retired && is_refused_login(&outcome) {
                    let others = database::of_same_account(&mut overlay, &Id::from_bytes(lease.mount), connection)?;
                    outcome = revoke(&**connector, &others, &account).unwrap_or(outcome);
                }
                outcome
            }
            // Whoever forces it does not wait for a connector that the host no longer gives.
            Err(error) if lease.forced => Err(ConnectorError::new(ConnectorFailure::Misconfigured, error.to_string())),
            Err(_) => return Ok(Asked::Told(Told::Away)),
        },
    };
    if outcome.is_err() {
        // Its record may be another one by now.
        *known = Known::default();
    }
    claim.answered();
    let wait_millis = wait_after(core, lease.attempts)?;
    let becomes = after(&lease, outcome.as_ref().err(), wait_millis, now);
    Ok(Asked::Answered(Box::new(Answer { at: *at, namespace, lease, outcome, wait_millis, becomes, _claim: claim })))
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

/// Commits what targets have said: of all leases in one commit, or of each in its own where that loses its races.
fn settle(core: &Core, answers: Vec<Answer<'_>>, now: Timestamp) -> Result<()> {
    if answers.is_empty() {
        return Ok(());
    }
    let mut notices = Vec::new();
    match retried(|| commit_answers(core, &answers, now))? {
        Some(told) => notices.extend(told),
        None => {
            for one in answers.chunks(1) {
                notices.extend(retried(|| commit_answers(core, one, now))?.unwrap_or_default());
            }
        }
    }
    drop(answers);
    core.outside.tell(notices);
    Ok(())
}

/// Commits what targets have said of some leases; what the hook is to be told.
fn commit_answers(core: &Core, answers: &[Answer<'_>], now: Timestamp) -> Result<Vec<LeaseNotice>, CommitError> {
    let namespaces = core.namespaces.load_full();
    let mut overlay = core.writing();
    let (mut events, mut notices, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for answer in answers {
        let (namespace, error) = (&answer.namespace, answer.error());
        let settled = overlay.within(&namespace.barrier, |overlay| {
            // Forced or ended anew meanwhile: what the target said counts for that as well.
            let is_told = |found: &Lease| matches!(found.state, State::Pending | State::Ending);
            let Some(old) = Lease::load(overlay, &answer.at.key)?.filter(is_told) else { return Ok(None) };
            let new = after(&old, error, answer.wait_millis, now);
            index::save(overlay, Some(&old), new.as_ref(), &barrier_of(&namespaces))?;
            if new.is_none() {
                shared::forget_with(overlay, &old)?;
            }
            Ok::<_, BarrierError>(Some((old, new)))
        })?;
        let Some((old, new)) = settled else { continue };
        let never_given = answer.lease.was_never_given();
        let is_stuck = new.as_ref().is_some_and(|new| new.state == State::Stuck);
        let operation = match (is_stuck, never_given) {
            (true, _) => "irrevocable",
            (false, true) => "roll-back",
            (false, false) => "revoke",
        };
        events.push(Event {
            outcome: error.map_or(0, |_| Code::TargetUnavailable.number()),
            target_error: error.map(text_of),
            ..leases::event(core, namespace, operation, &answer.lease, now).map_err(CommitError::Failed)?
        });
        let change = match new {
            None if !never_given => Some(LeaseChange::Revoked),
            _ if is_stuck => Some(LeaseChange::Irrevocable),
            _ => None,
        };
        ended.extend(change.filter(|change| error.is_none() && *change == LeaseChange::Revoked).and(old.ended_millis));
        notices.extend(change.map(|change| notice(change, &old, namespace)));
    }
    if !events.is_empty() {
        core.committer.commit(Proposal { writes: overlay.into_writes(), events, ..Proposal::default() })?;
    }
    let gone_millis = core.clock.now().as_millis();
    ended.iter().for_each(|ended| core.metrics.account_gone(Duration::from_millis(gone_millis.saturating_sub(*ended))));
    notices.iter().filter(|notice| notice.change == LeaseChange::Irrevocable).for_each(|_| core.metrics.irrevocable());
    Ok(notices)
}

//! What is due of leases, by `tick`: what ends many at once is carried out in steps, leases whose time is over are ended, and targets are told.
//!
//! A lease ends in the commit that its cause stands in, or at its time; its target is told afterwards, a bounded number at a time, again after
//! 10 s, 20 s, and so on, each plus or minus half, and after six times in vain no more.

use super::core::Core;
use super::lease_renewal;
use super::leases::{self, barrier_of, notice};
use super::namespaces::Namespace;
use super::outside::{Claim, Part, ask, ask_by_own_account, is_refused_login, text_of};
use super::rotate_root;
use crate::audit::Event;
use crate::barrier::{BarrierError, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::engines::{Connection, database};
use crate::host::{Account, Connector, ConnectorError, ConnectorFailure, LeaseChange, LeaseNotice, LogLevel, LogTopic};
use crate::lease::chore::{self, Chore, Whose};
use crate::lease::index::{self, Mark};
use crate::lease::shared::{self, Shared};
use crate::lease::{Lease, LeaseRef, State};
use crate::os::Stopwatch;
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::{
    COMMIT_RETRIES_MAX, LEASE_PAGE_RECORDS_MAX, LEASES_LOOKED_AT_PER_TICK_MAX, LOST_CALL_SECONDS, REVOCATION_ATTEMPTS_MAX,
    REVOCATIONS_PER_TICK_MAX,
};
use crate::types::{Class, Code, Error, Result, Timestamp, Ttl};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Steps of each kind that one call does.
const STEPS: usize = 64;
/// Leases that one call tells to all targets together, after which it asks none of them a further time.
const TOLD_MAX: usize = 1_024;
/// Answers of targets that one commit holds: with their events they are below what sled takes without its journal.
const ANSWERS_MAX: usize = 32;
/// How long answers wait for others: those that a crash loses are asked for again.
const ANSWERS_WAIT: Duration = Duration::from_millis(50);
/// Buckets of time that one commit goes through.
const BUCKETS_MAX: usize = 10_000;
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
        let (chores, unreadable) = chore::readable(&Overlay::reading(&namespace.barrier, core.source()))?;
        tell_unreadable(core, unreadable, "end leases of a namespace");
        for chore in chores {
            if let Chore::Rotation(id) = &chore {
                let resumed = or_aside(core, rotate_root::resume(core, namespace, id, now))?;
                next = earlier(next, resumed.unwrap_or_else(|| Some(again(now))));
                continue;
            }
            loop {
                if *steps == 0 {
                    return Ok((Some(now), has_grown));
                }
                let Some(stepped) = or_aside(core, retried(|| step(core, namespace, &chore, now)))? else {
                    next = earlier(next, Some(again(now)));
                    break;
                };
                match stepped {
                    Some(Stepped::On) => *steps -= 1,
                    Some(Stepped::Off) => {
                        *steps -= 1;
                        has_grown |= matches!(chore, Chore::Family(_) | Chore::Target(_));
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

/// What came of a part of what is due, or nothing where a record that it needs cannot be read: the host's log is told, and the rest goes on.
fn or_aside<T>(core: &Core, done: Result<T>) -> Result<Option<T>> {
    match done {
        Err(error) if error.class() == Class::Corrupt => {
            core.log.note_failure(LogTopic::Lease, &error);
            Ok(None)
        }
        done => done.map(Some),
    }
}

/// When to look again at what could not be read.
fn again(now: Timestamp) -> Timestamp {
    now.plus(Ttl::from_secs(AWAY_SECONDS))
}

/// Tells the host's log of records that cannot be read: what they lead to waits until they are mended, and all else goes on.
fn tell_unreadable(core: &Core, unreadable: usize, what: &str) {
    if unreadable > 0 {
        core.log.note(LogLevel::Error, LogTopic::Lease, Some(Code::Corrupt), || {
            format!("{unreadable} records that {what} cannot be read: let the doctor look at the store")
        });
    }
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
    /// There is nothing more of it: the chore was struck off, or another one goes on in its place.
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
    let was_held_still = matches!(chore, Chore::Token(Whose { up_to: Some(_), .. }));
    let (found, goes_on_as) = match chore {
        Chore::Target(at) => chore::next_at(&overlay, at, LEASE_PAGE_RECORDS_MAX).map(|(found, next)| (found, Some(next)))?,
        _ => (chore::next_of(&mut overlay, chore, LEASE_PAGE_RECORDS_MAX, &barrier_of(&namespaces))?, None),
    };
    for lease in &found {
        let ends = |overlay: &mut Overlay<'_>| {
            let Some(old) = Lease::load(overlay, &lease.key)?.filter(|old| forced || old.state == State::Active) else { return Ok(false) };
            index::save(overlay, Some(&old), Some(&old.ended(now, forced)), &barrier_of(&namespaces))?;
            // Whoever was held still may have told its password: others keep the account for their time, but nobody is given it any more.
            if let Some(of) = old.shared.filter(|_| was_held_still) {
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
        if let Chore::Target(at) = chore {
            let id = &at.id;
            if !database::is_unused(&mut overlay, id).map_err(CommitError::Failed)? {
                return Ok(Stepped::Waits);
            }
            forgotten = database::load(&mut overlay, id).map_err(CommitError::Failed)?.map(|found| found.connection);
            database::purge(&mut overlay, id);
        }
        chore.delete(&mut overlay);
    } else if let Some(next) = &goes_on_as {
        chore.delete(&mut overlay);
        next.put(&mut overlay)?;
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
    Ok(if found.is_empty() || goes_on_as.is_some() { Stepped::Off } else { Stepped::On })
}

/// Ends leases whose time is over, bucket by bucket from the last one that was left; when the next one ends.
fn expire(core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
    let (next, grants) = core.outside.next_due();
    let ahead = if core.outside.has_hook() { Ttl::from_secs(WARNING_SECONDS) } else { Ttl::ZERO };
    if now.plus(ahead) < next {
        return Ok(Some(Timestamp::from_millis(next.as_millis() - ahead.as_secs() * 1000)));
    }
    let mut aside = Aside::default();
    let mut next = Some(now);
    for _ in 0..STEPS {
        match retried(|| expire_some(core, now, &mut aside))? {
            Some(Round::More) => {}
            Some(Round::Nothing) => return Ok(None),
            Some(Round::Done(at)) => {
                warn(core, now, at, grants)?;
                next = Some(at);
                break;
            }
            None => break,
        }
    }
    tell_unreadable(core, aside.leases.len() + aside.places.values().sum::<usize>(), "tell of leases whose time is over");
    Ok(next)
}

enum Round {
    /// There never was a lease.
    Nothing,
    More,
    /// Nothing more is over; the instant at which something may be.
    Done(Timestamp),
}

/// What cannot be read: leases, and in each bucket what leads to some.
#[derive(Default)]
struct Aside {
    leases: HashSet<LeaseRef>,
    places: BTreeMap<u64, usize>,
}

fn expire_some(core: &Core, now: Timestamp, aside: &mut Aside) -> Result<Round, CommitError> {
    let namespaces = core.namespaces.load_full();
    let mut overlay = core.writing();
    let Some(mark) = Mark::load(&mut overlay)? else { return Ok(Round::Nothing) };
    // Where the clock has stepped back there is nothing to catch up with; the mark follows it, so that new leases are not passed over.
    let current = index::bucket_at(now);
    let (mut found, mut next) = (Vec::new(), index::bucket_start(current + 1));
    let (mut reached, mut looked_into) = (current, 0);
    let mut is_full = false;
    for bucket in mark.due.steps_to(current) {
        let unreadable = index::each_due(&overlay, bucket, |lease, expires| {
            if expires > now {
                next = next.min(expires);
            } else if !aside.leases.contains(&lease) {
                found.push((bucket, lease));
            }
            found.len() < LEASE_PAGE_RECORDS_MAX
        })?;
        if unreadable > 0 {
            aside.places.insert(bucket, unreadable);
        }
        looked_into += 1;
        is_full = found.len() >= LEASE_PAGE_RECORDS_MAX || looked_into >= BUCKETS_MAX;
        if is_full {
            reached = bucket;
            break;
        }
    }
    let mut has_changed = mark.due.mark() != reached;
    for (bucket, lease) in &found {
        let ends = |overlay: &mut Overlay<'_>| match Lease::load(overlay, &lease.key)? {
            Some(old) if old.state == State::Active && index::bucket_at(old.expires()) == *bucket => {
                let over = old.expires() <= now;
                let ended = over.then(|| index::save(overlay, Some(&old), Some(&old.ended(now, false)), &barrier_of(&namespaces)));
                ended.transpose().map(|_| true)
            }
            _ => Ok::<_, BarrierError>(false),
        };
        match namespaces.barrier(&lease.namespace).map(|barrier| overlay.within(&barrier, ends)).transpose() {
            Ok(Some(true)) => has_changed = true,
            // What leads nowhere would hold back those behind it.
            Ok(Some(false) | None) => {
                index::strike_off_bucket(&mut overlay, *bucket, lease);
                has_changed = true;
            }
            Err(BarrierError::Corrupt) => {
                aside.leases.insert(*lease);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if mark.due.mark() != reached {
        Mark { due: mark.due.at(reached), ..mark }.put(&mut overlay)?;
    }
    if has_changed {
        core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() })?;
    }
    Ok(if is_full { Round::More } else { Round::Done(next) })
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
        // What cannot be read was told of.
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
            if answers.len() >= ANSWERS_MAX || waited.elapsed() > ANSWERS_WAIT {
                settle(core, std::mem::take(answers), now)?;
                waited = Stopwatch::start();
            }
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
    /// What undoes an account, by mount, role and connection, where the role is there.
    statements: HashMap<([u8; 16], String, [u8; 16]), Option<Vec<String>>>,
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
                let role = match known.statements.entry((lease.mount, lease.account.role.clone(), lease.target)) {
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
    let (mut events, mut notices) = (Vec::new(), Vec::new());
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
        notices.extend(change.map(|change| notice(change, &old, namespace)));
    }
    if !events.is_empty() {
        core.committer.commit(Proposal { writes: overlay.into_writes(), events, ..Proposal::default() })?;
    }
    Ok(notices)
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

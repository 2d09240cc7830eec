//! What is due of leases, by `tick`: what ends many at once is carried out in steps, leases whose time is over are ended, and targets are told.
//!
//! A lease ends in the commit that its cause stands in, or at its time; its target is told afterwards (`lease_telling`). What cannot be read is set
//! aside, and the rest goes on.

use super::aside::Aside;
use super::core::Core;
use super::lease_telling::tell_due;
use super::leases::{barrier_of, notice};
use super::namespaces::Namespace;
use super::outside::ask;
use super::rotate_root;
use crate::barrier::{BarrierError, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::engines::database;
use crate::host::{ConnectorError, LeaseChange, LogLevel, LogTopic};
use crate::lease::chore::{self, Chore, Whose};
use crate::lease::index::{self, Mark};
use crate::lease::shared::Shared;
use crate::lease::{Lease, LeaseRef, State};
use crate::types::limits::{COMMIT_RETRIES_MAX, LEASE_PAGE_RECORDS_MAX};
use crate::types::{Class, Code, Error, Result, Timestamp, Ttl};
use std::collections::HashSet;

/// Steps of each kind that one call does.
const STEPS: usize = 64;
/// Buckets of time that one commit goes through.
const BUCKETS_MAX: usize = 10_000;
/// Wait before looking again for a connector that the host has not given, in seconds.
pub(super) const AWAY_SECONDS: u64 = 60;
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

/// Whether others may go on in a chore's place once it is struck off.
fn goes_on_elsewhere(chore: &Chore) -> bool {
    matches!(chore, Chore::Family(_) | Chore::Target(_) | Chore::Token(Whose { up_to: Some(_), .. }) | Chore::Entity(_))
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
                        has_grown |= goes_on_elsewhere(&chore);
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
pub(super) fn or_aside<T>(core: &Core, done: Result<T>) -> Result<Option<T>> {
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
pub(super) fn tell_unreadable(core: &Core, unreadable: usize, what: &str) {
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
    let mut reading = Overlay::reading(&namespace.barrier, core.source());
    let (found, goes_on_as) = chore::next_of(&mut reading, chore, LEASE_PAGE_RECORDS_MAX, &barrier_of(&namespaces))?;
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
    let is_over = found.is_empty() && goes_on_as.is_none();
    if is_over {
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
    Ok(if is_over || goes_on_as.is_some() { Stepped::Off } else { Stepped::On })
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
    tell_unreadable(core, aside.len(), "tell of leases whose time is over");
    Ok(next)
}

enum Round {
    /// There never was a lease.
    Nothing,
    More,
    /// Nothing more is over; the instant at which something may be.
    Done(Timestamp),
}

fn expire_some(core: &Core, now: Timestamp, aside: &mut Aside<LeaseRef>) -> Result<Round, CommitError> {
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
            } else if !aside.has(&lease) {
                found.push((bucket, lease));
            }
            found.len() < LEASE_PAGE_RECORDS_MAX
        })?;
        aside.put_places(bucket, unreadable);
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
                aside.put(*lease);
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

/// The earlier of two instants of which there may be none.
pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
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

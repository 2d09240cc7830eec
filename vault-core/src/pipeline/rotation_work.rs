//! What is due of rotations, by `tick`: those whose answer was lost, and those whose time has come, a bounded number with each call. Namespaces
//! take turns, one credential each, and the next call begins with those that had no turn.

use super::core::Core;
use super::namespaces::Namespace;
use super::rotation::{Cause, Made, carry_on, commit_step, hold, load};
use super::rotation_ask::is_of_the_vault;
use super::rotation_secret;
use super::rotation_usage::tell_unreadable;
use crate::barrier::{BarrierError, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::engines::database;
use crate::host::LogTopic;
use crate::managed::Managed;
use crate::managed::index::{self, Found};
use crate::rotation::Input;
use crate::types::limits::ROTATIONS_PER_TICK_MAX;
use crate::types::{Class, Code, Result, Timestamp, Ttl};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Buckets of time that one call goes through in a namespace; where the clock was set forth by more, it looks at all credentials instead.
const BUCKETS_MAX: u64 = 10_000;
/// Wait before looking again at what could not be gone on with, in seconds.
const AGAIN_SECONDS: u64 = 10;

/// What one call may still do, and has found out.
struct Round {
    /// When the call began; whatever is done reads the clock anew, since a target may take its time.
    now: Timestamp,
    left: usize,
    /// Targets that do not answer: they are asked no further in this call.
    away: HashSet<[u8; 16]>,
    /// Credentials whose records cannot be read.
    unreadable: HashSet<[u8; 16]>,
    next: Option<Timestamp>,
}

/// What may be due in a namespace.
struct Queue {
    namespace: Arc<Namespace>,
    ids: VecDeque<[u8; 16]>,
    /// The first bucket that no call has gone through.
    mark: u64,
    /// The bucket of now, which is the last that this one goes through.
    last: u64,
    /// All credentials are looked at, since buckets do not tell what is due: the clock was set.
    all: bool,
    /// How many of the last of `ids` are of the one time that all are gone through, since the opening or since the clock was set back; some with
    /// each call.
    once: Option<usize>,
}

/// How far all credentials of a namespace were gone through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    /// This one is the next.
    Before([u8; 16]),
    All,
}

/// Does what is due; when it wants to be called next.
pub(super) fn work(core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
    let mut round = Round { now, left: ROTATIONS_PER_TICK_MAX, away: HashSet::new(), unreadable: HashSet::new(), next: None };
    let turn = core.rotation_turn.load(Ordering::Relaxed);
    let mut queues = Vec::new();
    // What waits since before an opening, or since before the clock was set back, may wait for a time that is far off.
    let seen = core.rotation_seen.swap(now.as_millis().max(1), Ordering::Relaxed);
    if now.as_millis() < seen {
        core.rotation_rounds.lock().clear();
    }
    for namespace in core.namespaces.load_full().iter() {
        match queue_of(core, namespace, turn, &mut round) {
            Ok(queue) => queues.extend(queue),
            // The other namespaces go on.
            Err(error) if error.class() == Class::Corrupt => {
                core.log.note_failure(LogTopic::Rotation, &error);
                round.wants(round.again());
            }
            Err(error) => return Err(error),
        }
    }
    queues.sort_unstable_by_key(|queue| *queue.namespace.id.as_bytes());
    let taken = take_turns(core, &mut queues, turn, &mut round)?;
    core.rotation_turn.store(turn.wrapping_add(taken), Ordering::Relaxed);
    for queue in &queues {
        leave(core, queue, &mut round)?;
        // Where those that were asked have taken the whole call it goes on from where it was.
        if queue.once.is_some_and(|once| queue.ids.len() <= once) {
            let passed = queue.ids.front().map_or(Passed::All, |next| Passed::Before(*next));
            core.rotation_rounds.lock().insert(queue.namespace.id, passed);
        }
    }
    Ok(round.next)
}

/// Goes on with one credential of each namespace after the other, for as long as any is left; how many turns were taken.
fn take_turns(core: &Core, queues: &mut [Queue], first: usize, round: &mut Round) -> Result<usize> {
    let (count, mut taken, mut idle) = (queues.len(), 0, 0);
    while count > 0 && idle < count && round.left > 0 {
        let queue = &mut queues[first.wrapping_add(taken) % count];
        taken += 1;
        match queue.ids.pop_front() {
            Some(id) => {
                idle = 0;
                drive(core, &queue.namespace, &id, round)?;
            }
            None => idle += 1,
        }
    }
    Ok(taken)
}

impl Round {
    /// When to look again at what nothing tells the time of.
    fn again(&self) -> Timestamp {
        self.now.plus(Ttl::from_secs(AGAIN_SECONDS))
    }

    fn wants(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

/// What is to be looked at in a namespace: first what was asked and not answered, then what is due, in the order in which it is; none where
/// there never was a credential.
fn queue_of(core: &Core, namespace: &Arc<Namespace>, turn: usize, round: &mut Round) -> Result<Option<Queue>> {
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    let Some(mark) = index::mark(&mut overlay)? else { return Ok(None) };
    let last = index::bucket_at(round.now);
    let mut ids: VecDeque<_> = readable(core, index::asked(&overlay)?).into();
    let passed = core.rotation_rounds.lock().get(&namespace.id).copied();
    let is_once = passed != Some(Passed::All);
    let all = is_once || last < mark || last - mark > BUCKETS_MAX;
    let mut once = None;
    if is_once {
        let all = readable(core, index::all(&overlay)?);
        // Where the one at which it was left is gone it is begun anew.
        let left_at = all.iter().position(|id| passed == Some(Passed::Before(*id))).unwrap_or_default();
        once = Some(all.len() - left_at);
        ids.extend(all.into_iter().skip(left_at));
    } else if all {
        // No time tells who is first: each call begins with others.
        let mut all = readable(core, index::all(&overlay)?);
        let first = turn % all.len().max(1);
        all.rotate_left(first);
        ids.extend(all);
    } else {
        let mut due = BTreeSet::new();
        for bucket in mark..=last {
            for (id, at) in readable(core, index::in_bucket(&overlay, bucket)?) {
                if at <= round.now {
                    due.insert((at, id));
                } else {
                    round.wants(at);
                }
            }
        }
        ids.extend(due.into_iter().map(|(_, id)| id));
    }
    Ok(Some(Queue { namespace: Arc::clone(namespace), ids, mark, last, all, once }))
}

/// What can be read of what was looked for; of the rest the host's log is told.
fn readable<T>(core: &Core, found: Found<T>) -> Vec<T> {
    tell_unreadable(core, found.unreadable);
    found.all
}

/// Moves the mark of a namespace to where nothing before it is due any more.
fn leave(core: &Core, queue: &Queue, round: &mut Round) -> Result<()> {
    let Queue { namespace, mark, last, .. } = queue;
    if !queue.ids.is_empty() {
        round.wants(round.now);
        if queue.all {
            return Ok(());
        }
    }
    // What is still due lies where it was: the mark stays before it.
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    let mut reached = *last;
    if queue.all {
        for id in index::all(&overlay)?.all.into_iter().filter(|id| !round.unreadable.contains(id)) {
            let next = match Managed::load(&mut overlay, &id) {
                Err(BarrierError::Corrupt) => None,
                managed => managed?.and_then(|managed| managed.next()),
            };
            reached = next.map_or(reached, |next| reached.min(index::bucket_at(next)));
        }
    } else {
        for bucket in *mark..*last {
            if index::in_bucket(&overlay, bucket)?.all.iter().any(|(id, _)| !round.unreadable.contains(id)) {
                reached = bucket;
                break;
            }
        }
    }
    drop(overlay);
    round.wants(index::bucket_start(*last + 1));
    if reached == *mark { Ok(()) } else { set_mark(core, namespace, *mark, reached) }
}

/// Moves the mark, unless somebody has moved it meanwhile.
fn set_mark(core: &Core, namespace: &Namespace, from: u64, to: u64) -> Result<()> {
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    if index::mark(&mut overlay)? != Some(from) {
        return Ok(());
    }
    index::set_mark(&mut overlay, to)?;
    match core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }) {
        Err(CommitError::Conflict) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Goes on with one credential as far as that goes now. What only this one lacks stops no other.
fn drive(core: &Core, namespace: &Namespace, id: &[u8; 16], round: &mut Round) -> Result<()> {
    // Somebody else is at it, or a call from before is still under way.
    let Some(_claim) = core.outside.begin_rotation(*id) else { return Ok(()) };
    let now = core.clock.now();
    let error = match go_on(core, namespace, id, round, now) {
        Err(error) if is_of_the_vault(&error) || error.class() == Class::Corrupt => error,
        other => return other,
    };
    let held = rotation_secret::forget_orphan(core, namespace, id).and_then(|is_gone| match is_gone {
        true => Ok(None),
        false => hold(core, namespace, id, &error.to_string(), true, now),
    });
    let until = match held {
        // Nobody can go on with what cannot be read itself: the log and `verify` tell of it, and the mark passes it.
        Err(error) if error.class() == Class::Corrupt => {
            core.log.note_failure(LogTopic::Rotation, &error);
            round.unreadable.insert(*id);
            return Ok(());
        }
        held => held?,
    };
    round.left = round.left.saturating_sub(1);
    round.wants(until.unwrap_or_else(|| round.again()));
    Ok(())
}

fn go_on(core: &Core, namespace: &Namespace, id: &[u8; 16], round: &mut Round, now: Timestamp) -> Result<()> {
    let Some(managed) = load(core, namespace, id)? else { return Ok(()) };
    if let Some(until) = managed.held(now) {
        round.wants(until);
        return Ok(());
    }
    match reach(core, namespace, &managed, round)? {
        Reach::Yes => {}
        // What is not asked yet leaves the bucket in which it lies: nothing behind it is hidden by it for as long as the host is without.
        Reach::NoConnector if !managed.state.asked => {
            let until = hold(core, namespace, id, "the host has not given the connector", false, now)?;
            round.left = round.left.saturating_sub(1);
            round.wants(until.unwrap_or_else(|| round.again()));
            return Ok(());
        }
        Reach::NoConnector | Reach::Away => {
            round.wants(round.again());
            return Ok(());
        }
    }
    let (cause, target) = (if managed.state.asked { Cause::Input(Input::Restarted) } else { Cause::Due }, managed.target);
    drop(managed);
    let ask = match commit_step(core, namespace, id, cause, None, now)? {
        Made::Step(advanced) => {
            round.left = round.left.saturating_sub(1);
            advanced.ask
        }
        Made::Rejected(_) | Made::Nothing | Made::Gone => None,
    };
    let rested = carry_on(core, namespace, id, ask)?;
    if let Some(rested) = rested {
        if let (Some(target), Some(error)) = (target, &rested.error)
            && matches!(super::outside::failed(error).code(), Code::TargetUnavailable)
        {
            round.away.insert(target);
        }
        if let Some(next) = rested.managed.next() {
            round.wants(next);
        }
    }
    Ok(())
}

/// Whether a credential's target can be asked.
enum Reach {
    Yes,
    NoConnector,
    /// It did not answer a moment ago.
    Away,
}

fn reach(core: &Core, namespace: &Namespace, managed: &Managed, round: &Round) -> Result<Reach> {
    let Some(target) = managed.target else { return Ok(Reach::Yes) };
    if round.away.contains(&target) {
        return Ok(Reach::Away);
    }
    let configured = database::load(&mut Overlay::reading(&namespace.barrier, core.source()), &target)?;
    let is_given = configured.is_none_or(|configured| core.outside.connector(&configured.connection.plugin).is_ok());
    Ok(if is_given { Reach::Yes } else { Reach::NoConnector })
}

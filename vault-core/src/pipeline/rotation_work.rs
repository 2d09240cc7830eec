//! What is due of rotations, by `tick`: those whose answer was lost, and those whose time has come, a bounded number with each call.

use super::core::Core;
use super::namespaces::Namespace;
use super::rotation::{Cause, Made, carry_on, commit_step, hold, load};
use super::rotation_ask::is_of_the_vault;
use super::rotation_secret;
use crate::barrier::Overlay;
use crate::commit::{CommitError, Proposal};
use crate::engines::database;
use crate::managed::{Managed, index};
use crate::rotation::Input;
use crate::types::limits::ROTATIONS_PER_TICK_MAX;
use crate::types::{Class, Code, Result, Timestamp, Ttl};
use std::collections::{BTreeSet, HashSet};

/// Buckets of time that one call goes through in a namespace.
const BUCKETS_MAX: u64 = 10_000;
/// Wait before looking again at what could not be gone on with, in seconds.
const AGAIN_SECONDS: u64 = 10;

/// What one call may still do, and has found out.
struct Round {
    now: Timestamp,
    left: usize,
    /// Targets that do not answer: they are asked no further in this call.
    away: HashSet<[u8; 16]>,
    /// Credentials whose records cannot be read.
    unreadable: HashSet<[u8; 16]>,
    next: Option<Timestamp>,
}

/// Does what is due; when it wants to be called next.
pub(super) fn work(core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
    let mut round = Round { now, left: ROTATIONS_PER_TICK_MAX, away: HashSet::new(), unreadable: HashSet::new(), next: None };
    for namespace in core.namespaces.load_full().iter() {
        in_namespace(core, namespace, &mut round)?;
    }
    Ok(round.next)
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

fn in_namespace(core: &Core, namespace: &Namespace, round: &mut Round) -> Result<()> {
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    let Some(mark) = index::mark(&mut overlay)? else { return Ok(()) };
    let current = index::bucket_at(round.now);
    for id in index::asked(&overlay)? {
        drive(core, namespace, &id, round)?;
    }
    if current < mark {
        // The clock was set back: what waits for a time that is far off is looked at once.
        for id in index::all(&overlay)? {
            if round.left == 0 {
                return Ok(());
            }
            drive(core, namespace, &id, round)?;
        }
        return set_mark(core, namespace, mark, current);
    }
    let last = current.min(mark.saturating_add(BUCKETS_MAX));
    let mut due = BTreeSet::new();
    for bucket in mark..=last {
        for (id, at) in index::in_bucket(&overlay, bucket)? {
            if at <= round.now {
                due.insert((at, id));
            } else {
                round.wants(at);
            }
        }
    }
    drop(overlay);
    for (_, id) in due {
        if round.left == 0 {
            round.wants(round.now);
            break;
        }
        drive(core, namespace, &id, round)?;
    }
    // What is still due lies where it was: the mark stays before it.
    let overlay = Overlay::reading(&namespace.barrier, core.source());
    let mut reached = last;
    for bucket in mark..last {
        if index::in_bucket(&overlay, bucket)?.iter().any(|(id, _)| !round.unreadable.contains(id)) {
            reached = bucket;
            break;
        }
    }
    drop(overlay);
    round.wants(if last < current { round.now } else { index::bucket_start(current + 1) });
    if reached == mark { Ok(()) } else { set_mark(core, namespace, mark, reached) }
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
    let error = match go_on(core, namespace, id, round) {
        Err(error) if is_of_the_vault(&error) || error.class() == Class::Corrupt => error,
        other => return other,
    };
    let held = rotation_secret::forget_orphan(core, namespace, id).and_then(|is_gone| match is_gone {
        true => Ok(None),
        false => hold(core, namespace, id, &error.to_string(), true, round.now),
    });
    let until = match held {
        // Nobody can go on with what cannot be read itself: `verify` tells of it, and the mark passes it.
        Err(error) if error.class() == Class::Corrupt => {
            round.unreadable.insert(*id);
            return Ok(());
        }
        held => held?,
    };
    round.left = round.left.saturating_sub(1);
    round.wants(until.unwrap_or_else(|| round.again()));
    Ok(())
}

fn go_on(core: &Core, namespace: &Namespace, id: &[u8; 16], round: &mut Round) -> Result<()> {
    let Some(managed) = load(core, namespace, id)? else { return Ok(()) };
    if let Some(until) = managed.held(round.now) {
        round.wants(until);
        return Ok(());
    }
    match reach(core, namespace, &managed, round)? {
        Reach::Yes => {}
        // What is not asked yet leaves the bucket in which it lies: nothing behind it is hidden by it for as long as the host is without.
        Reach::NoConnector if !managed.state.asked => {
            let until = hold(core, namespace, id, "the host has not given the connector", false, round.now)?;
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
    let ask = match commit_step(core, namespace, id, cause, None, round.now)? {
        Made::Step(advanced) => {
            round.left = round.left.saturating_sub(1);
            advanced.ask
        }
        Made::Rejected(_) | Made::Nothing | Made::Gone => None,
    };
    let rested = carry_on(core, namespace, id, ask, round.now)?;
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

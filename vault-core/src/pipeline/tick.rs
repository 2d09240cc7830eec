//! What is due by the vault's clock: waiting audit records, tokens whose time has ended, entities that were not heard of, keys to roll, events for sinks, segments to prune.

use super::aside::Aside;
use super::core::Core;
use super::namespaces::{Namespace, Namespaces};
use super::{deadman, keys, lease_work, reencrypt, removal, retention, rotation_usage, rotation_work, sinks, tokens, version_history};
use crate::audit::Event;
use crate::auth::{Due, TokenEntry, TokenRef, due, records};
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::host::{LogLevel, LogTopic};
use crate::identity;
use crate::types::id::Id;
use crate::types::limits::{COMMIT_RETRIES_MAX, TOKEN_REMOVAL_ROUNDS_MAX, TOKEN_REMOVALS_MAX};
use crate::types::spans::Spans;
use crate::types::{Code, Result, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Steps of the re-encryption that one call does.
const REENCRYPTION_STEPS: usize = 4;
/// Hours that one round looks through for tokens.
const HOURS_MAX: usize = 50_000;

/// Does what is due; when it wants to be called next.
pub(super) fn tick(core: &Core) -> Result<Option<Timestamp>> {
    let now = core.clock.now();
    let values = core.committer.values().and_then(|values| values.sweep(now));
    if core.frozen.load(Ordering::Acquire) {
        // Nothing is removed and nothing goes out; what was read is recorded all the same.
        core.committer.flush()?;
        return Ok([core.committer.deadline(), values].into_iter().flatten().min());
    }
    core.committer.advance_anchor(false)?;
    version_history::note_once(core, now)?;
    for namespace in core.namespaces.load_full().iter() {
        keys::roll_if_due(core, namespace, now)?;
    }
    let mut reencrypting = true;
    for _ in 0..REENCRYPTION_STEPS {
        reencrypting = reencrypting && reencrypt::work(core, now)?;
    }
    let mut aside = Aside::default();
    let next_expiry = rounds(|| {
        loop {
            let known = aside.len_of_members();
            let round = see_to_due(core, &mut aside, now)?;
            if aside.len_of_members() == known {
                return Ok(round);
            }
        }
    })?;
    tell_unreadable(core, aside.len());
    let swept = rounds(|| sweep_doomed(core))?;
    let next_expiry = next_expiry.filter(|_| swept.is_some()).unwrap_or(now);
    if core.committer.deadline().is_some_and(|deadline| deadline <= now) {
        core.committer.flush()?;
    }
    let removing = removal::work(core)?;
    let leases = lease_work::work(core, now)?;
    let usage = rotation_usage::work(core, now)?;
    let rotations = rotation_work::work(core, now)?;
    let more = (retention::prune_if_due(core, now)? || reencrypting || removing).then_some(now);
    retention::sweep(core)?;
    // Last, since a sink may take its time.
    let fed = sinks::feed(core, now)?;
    Ok([core.committer.deadline(), Some(next_expiry), keys::next_roll(core), more, fed, leases, usage, rotations, values]
        .into_iter()
        .flatten()
        .min())
}

enum Round {
    /// Nothing more is due; the instant at which something may be.
    Done(Timestamp),
    More,
}

enum Failure {
    Barrier(BarrierError),
    Commit(CommitError),
}

impl From<BarrierError> for Failure {
    fn from(error: BarrierError) -> Self {
        Failure::Barrier(error)
    }
}

/// What is due, as one commit ends it.
#[derive(Default)]
struct Ended {
    /// All that are removed, descendants too.
    removed: Vec<TokenRef>,
    /// Those whose time has ended, with their namespaces.
    expired: Vec<(Option<String>, TokenEntry)>,
    /// Entities that are lost, with their namespaces.
    lost: Vec<(Arc<Namespace>, Id)>,
    /// Notes that lead nowhere any more and were removed.
    dangling: usize,
}

impl Ended {
    fn len(&self) -> usize {
        self.removed.len() + self.lost.len()
    }
}

/// Tells the host's log of what could not be read.
fn tell_unreadable(core: &Core, unreadable: usize) {
    if unreadable > 0 {
        core.log.note(LogLevel::Error, LogTopic::Tick, Some(Code::Corrupt), || {
            format!("{unreadable} records of what is due, tokens or entities, cannot be read: let the doctor look at the store")
        });
    }
}

/// Removes expired tokens with their descendants and notes which entities are lost, minute by minute from the last hour that was left, at most some at a time.
fn see_to_due(core: &Core, aside: &mut Aside<Due>, now: Timestamp) -> Result<Round, Failure> {
    let namespaces = core.namespaces.load_full();
    let mut overlay = core.writing();
    let (current, current_minute) = (due::hour_at(now), due::minute_at(now));
    let hours = load_hours(&mut overlay)?;
    let mut ended = Ended::default();
    let mut next = due::hour_start(current + 1);
    // Where the clock has stepped back there is nothing to catch up with; the mark follows it, so that new tokens are not passed over.
    let (mut reached, mut looked_into) = (current, 0);
    for hour in hours.steps_to(current) {
        if looked_into == HOURS_MAX {
            reached = hour;
            break;
        }
        looked_into += 1;
        let (minutes, unreadable) = due::minutes_in(&overlay, hour)?;
        aside.put_places(hour, unreadable);
        for minute in minutes {
            if minute > current_minute {
                next = next.min(due::minute_start(minute));
                break;
            }
            let (found, unreadable) = due::due_in(&overlay, minute, TOKEN_REMOVALS_MAX)?;
            aside.put_places(minute, unreadable);
            let are_all = found.len() < TOKEN_REMOVALS_MAX;
            let mut stay = unreadable;
            for due in found {
                if aside.has(&due) {
                    stay += 1;
                    continue;
                }
                match see_to(core, &namespaces, &mut overlay, (due, minute), &mut ended, now) {
                    Ok(None) => {}
                    Ok(Some(ends)) => {
                        next = next.min(ends);
                        stay += 1;
                    }
                    Err(BarrierError::Corrupt) => {
                        // Perhaps not before half of it was removed: nothing of this round is committed, and the next one lets it be.
                        aside.put(due);
                        return Ok(Round::More);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if are_all && stay == 0 && minute < current_minute {
                due::leave_minute(&mut overlay, minute)?;
                ended.dangling += 1;
            }
            // Some of a minute that is not over may hide others from a scan that is bounded: those wait for its end.
            if ended.len() >= TOKEN_REMOVALS_MAX || !are_all && stay < TOKEN_REMOVALS_MAX {
                commit(core, overlay, ended, now).map_err(Failure::Commit)?;
                return Ok(Round::More);
            }
        }
    }
    if hours.mark() != reached {
        save_hours(&mut overlay, &hours.at(reached))?;
    }
    if hours.mark() != reached || ended.len() > 0 || ended.dangling > 0 {
        commit(core, overlay, ended, now).map_err(Failure::Commit)?;
    }
    Ok(if reached < current { Round::More } else { Round::Done(next) })
}

/// Sees to what is due in a minute, if its time has come; else tells when it does.
fn see_to(
    core: &Core,
    namespaces: &Namespaces,
    overlay: &mut Overlay<'_>,
    (due, minute): (Due, u64),
    ended: &mut Ended,
    now: Timestamp,
) -> Result<Option<Timestamp>, BarrierError> {
    let is_due = |ends: Option<Timestamp>| ends.is_some_and(|ends| due::minute_at(ends) == minute);
    let barrier_of = |id: &Id| namespaces.barrier(id);
    match due {
        Due::Token(token) => {
            if let Some(namespace) = namespaces.get(&token.namespace)
                && let Some(entry) = overlay.within(&namespace.barrier, |overlay| records::load(overlay, &token.key))?
                && is_due(entry.ends())
            {
                if !entry.is_expired(now) {
                    return Ok(entry.ends());
                }
                let most = TOKEN_REMOVALS_MAX.saturating_sub(ended.removed.len());
                let ending = if has_expired(&entry) { tokens::Ending::Over } else { tokens::Ending::Revoked };
                ended.removed.extend(tokens::remove(overlay, &token, ending, &barrier_of, most)?);
                ended.expired.push((namespace.audit_name(), entry));
                return Ok(None);
            }
        }
        Due::Entity(of) => {
            if let Some(namespace) = namespaces.get(&of.namespace)
                && let Some(entity) = overlay.within(&namespace.barrier, |overlay| identity::load_entity(overlay, &of.id))?
                && is_due(entity.presence().due())
            {
                if entity.presence().lost_since(now).is_none() {
                    return Ok(entity.presence().due());
                }
                overlay.within(&namespace.barrier, |overlay| deadman::strike(overlay, &entity, &barrier_of))?;
                ended.lost.push((namespace, of.id));
                return Ok(None);
            }
        }
    }
    // It was removed, one way or another, or its namespace deleted.
    overlay.delete(due.key(&core.barrier, minute));
    ended.dangling += 1;
    Ok(None)
}

/// Removes descendants of tokens that were removed with too many of them for one commit.
fn sweep_doomed(core: &Core) -> Result<Round, Failure> {
    let namespaces = core.namespaces.load_full();
    let mut overlay = core.writing();
    let Some(removed) = tokens::sweep(&mut overlay, &|id| namespaces.barrier(id), TOKEN_REMOVALS_MAX)? else {
        return Ok(Round::Done(Timestamp::EPOCH));
    };
    let ended = Ended { removed, ..Ended::default() };
    commit(core, overlay, ended, Timestamp::EPOCH).map_err(Failure::Commit)?;
    Ok(Round::More)
}

/// Does rounds of something until nothing is left of it, so many at most; what the last one said, or that there is more.
fn rounds(mut round: impl FnMut() -> Result<Round, Failure>) -> Result<Option<Timestamp>> {
    let mut tries = 0;
    let mut done = 0;
    while done < TOKEN_REMOVAL_ROUNDS_MAX {
        match round() {
            Ok(Round::Done(next)) => return Ok(Some(next)),
            Ok(Round::More) => {
                tries = 0;
                done += 1;
            }
            Err(Failure::Commit(CommitError::Conflict)) if tries < COMMIT_RETRIES_MAX => tries += 1,
            Err(Failure::Commit(error)) => return Err(error.into()),
            Err(Failure::Barrier(error)) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn commit(core: &Core, overlay: Overlay<'_>, ended: Ended, now: Timestamp) -> Result<(), CommitError> {
    let Ended { removed, expired, lost, .. } = ended;
    let of_tokens = expired.into_iter().map(|(namespace, entry)| Event {
        time_millis: now.as_millis(),
        operation: if has_expired(&entry) { "expire" } else { "deadman" }.into(),
        path: "auth/token".to_owned(),
        namespace,
        accessor: Some(entry.accessor),
        display_name: Some(entry.display_name),
        count: 1,
        ..Event::default()
    });
    let of_entities = lost.iter().map(|(namespace, entity)| Event {
        time_millis: now.as_millis(),
        operation: "deadman".into(),
        path: "identity/entity".to_owned(),
        namespace: namespace.audit_name(),
        identity_concerned: Some(entity.to_string()),
        count: 1,
        ..Event::default()
    });
    let events = of_tokens.chain(of_entities).collect();
    let tokens = Arc::clone(&core.tokens);
    let publish = move || {
        tokens.forget(&removed);
        lost.iter().for_each(|(namespace, _)| namespace.identities.changed());
    };
    let proposal = Proposal { writes: overlay.into_writes(), events, publish: Some(Box::new(publish)), ..Proposal::default() };
    core.committer.commit(proposal).map(drop)
}

/// Whether the time of a token that has ended was over first, before it was not used for too long.
fn has_expired(entry: &TokenEntry) -> bool {
    entry.expires().is_some_and(|ends| entry.deadman().is_none_or(|deadman| ends <= deadman.deadline()))
}

/// The hour that the last tick was in, or the first one of all when there was none, and where tokens end from there on.
fn load_hours(overlay: &mut Overlay<'_>) -> Result<Spans, BarrierError> {
    let key = overlay.barrier().key(Kind::TickState, &[]);
    let bytes = overlay.get(Kind::TickState, &key)?.ok_or(BarrierError::Corrupt)?;
    minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)
}

/// Makes sure that a tick looks at the end of what is laid: where the clock has stepped back since the last one it may lie before its mark.
pub(super) fn look_at(overlay: &mut Overlay<'_>, root: &Arc<Barrier>, ends: Option<Timestamp>) -> Result<(), BarrierError> {
    let Some(hour) = ends.map(due::hour_at) else { return Ok(()) };
    overlay.within(root, |overlay| {
        let mut hours = load_hours(overlay)?;
        if hours.lead_to(hour) { save_hours(overlay, &hours) } else { Ok(()) }
    })
}

/// Notes the hour in which a tick was, and where tokens end from there on.
pub(super) fn save_hours(overlay: &mut Overlay<'_>, hours: &Spans) -> Result<(), BarrierError> {
    let key = overlay.barrier().key(Kind::TickState, &[]);
    overlay.put(Kind::TickState, key, &minicbor::to_vec(hours).expect("encoding to memory cannot fail"))
}

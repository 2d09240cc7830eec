//! What is due by the vault's clock: waiting audit records, tokens whose time has ended, keys to roll, events for sinks, segments to prune.

use super::core::Core;
use super::{keys, lease_work, reencrypt, removal, retention, sinks};
use crate::audit::Event;
use crate::auth::{TokenEntry, TokenRef, token};
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::types::id::Id;
use crate::types::limits::COMMIT_RETRIES_MAX;
use crate::types::{Result, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Tokens that one commit removes, their descendants not counted.
const REMOVALS_MAX: usize = 256;

/// Steps of the re-encryption that one call does.
const REENCRYPTION_STEPS: usize = 4;

/// Does what is due; when it wants to be called next.
pub(super) fn tick(core: &Core) -> Result<Option<Timestamp>> {
    let now = core.clock.now();
    if core.frozen.load(Ordering::Acquire) {
        // Nothing is removed and nothing goes out; what was read is recorded all the same.
        core.committer.flush()?;
        return Ok(core.committer.deadline());
    }
    core.committer.advance_anchor(false)?;
    for namespace in core.namespaces.load_full().iter() {
        keys::roll_if_due(core, namespace, now)?;
    }
    let mut reencrypting = true;
    for _ in 0..REENCRYPTION_STEPS {
        reencrypting = reencrypting && reencrypt::work(core, now)?;
    }
    let mut tries = 0;
    let next_expiry = loop {
        match remove_expired(core, now) {
            Ok(Round::Done(next)) => break next,
            Ok(Round::More) => tries = 0,
            Err(Failure::Commit(CommitError::Conflict)) if tries < COMMIT_RETRIES_MAX => tries += 1,
            Err(Failure::Commit(error)) => return Err(error.into()),
            Err(Failure::Barrier(error)) => return Err(error.into()),
        }
    };
    if core.committer.deadline().is_some_and(|deadline| deadline <= now) {
        core.committer.flush()?;
    }
    let removing = removal::work(core)?;
    let leases = lease_work::work(core, now)?;
    let more = (retention::prune_if_due(core, now)? || reencrypting || removing).then_some(now);
    retention::sweep(core)?;
    // Last, since a sink may take its time.
    let fed = sinks::feed(core, now)?;
    Ok([core.committer.deadline(), Some(next_expiry), keys::next_roll(core), more, fed, leases].into_iter().flatten().min())
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

/// Removes expired tokens with their descendants, bucket by bucket from the last one that was left, at most some at a time.
fn remove_expired(core: &Core, now: Timestamp) -> Result<Round, Failure> {
    let namespaces = core.namespaces.load_full();
    let barrier_of = |id: &Id| namespaces.barrier(id);
    let mut overlay = core.writing();
    let current = token::bucket_at(now);
    let left_at = load_bucket(&mut overlay)?;
    let mut removed: Vec<TokenRef> = Vec::new();
    let mut expired = Vec::new();
    let mut dangling = 0;
    let mut next = token::bucket_start(current + 1);
    let mut roots = 0;
    // Where the clock has stepped back there is nothing to catch up with; the mark follows it, so that new tokens are not passed over.
    for bucket in left_at.min(current)..=current {
        for token in token::due_in(&overlay, bucket)? {
            let Some(namespace) = namespaces.get(&token.namespace) else {
                // Its namespace was deleted.
                overlay.delete(token::due_key(&core.barrier, bucket, &token));
                dangling += 1;
                continue;
            };
            let Some(entry) = overlay.within(&namespace.barrier, |overlay| token::load(overlay, &token.key))? else { continue };
            if !entry.is_expired(now) {
                next = next.min(Timestamp::from_millis(entry.expires_millis));
                continue;
            }
            expired.push((namespace.audit_name(), entry));
            let gone = token::remove_tree(&mut overlay, &token, &barrier_of)?;
            removal::doom_cubbyholes(&mut overlay, &barrier_of, &gone)?;
            removed.extend(gone);
            roots += 1;
            if roots == REMOVALS_MAX {
                commit(core, overlay, removed, expired, now).map_err(Failure::Commit)?;
                return Ok(Round::More);
            }
        }
    }
    if left_at != current {
        save_bucket(&mut overlay, current)?;
    }
    if left_at != current || !removed.is_empty() || dangling > 0 {
        commit(core, overlay, removed, expired, now).map_err(Failure::Commit)?;
    }
    Ok(Round::Done(next))
}

fn commit(
    core: &Core,
    overlay: Overlay<'_>,
    removed: Vec<TokenRef>,
    expired: Vec<(Option<String>, TokenEntry)>,
    now: Timestamp,
) -> Result<(), CommitError> {
    let events = expired.into_iter().map(|(namespace, entry)| Event {
        time_millis: now.as_millis(),
        operation: "expire".to_owned(),
        path: "auth/token".to_owned(),
        namespace,
        accessor: Some(entry.accessor),
        display_name: Some(entry.display_name),
        count: 1,
        ..Event::default()
    });
    let tokens = Arc::clone(&core.tokens);
    let publish = move || tokens.revoke(&removed);
    let proposal =
        Proposal { writes: overlay.into_writes(), events: events.collect(), publish: Some(Box::new(publish)), ..Proposal::default() };
    core.committer.commit(proposal).map(drop)
}

/// The bucket that the last tick was in; the first one of all when there was none.
fn load_bucket(overlay: &mut Overlay<'_>) -> Result<u64, BarrierError> {
    let key = overlay.barrier().key(Kind::TickState, &[]);
    let bytes = overlay.get(Kind::TickState, &key)?.ok_or(BarrierError::Corrupt)?;
    bytes.as_slice().try_into().map(u64::from_le_bytes).map_err(|_| BarrierError::Corrupt)
}

/// Makes sure that the next tick looks into the bucket of a new token: where the clock has stepped back since the last one it may lie before its mark.
pub(super) fn look_into(overlay: &mut Overlay<'_>, bucket: u64) -> Result<(), BarrierError> {
    if bucket < load_bucket(overlay)? { save_bucket(overlay, bucket) } else { Ok(()) }
}

/// Notes the bucket in which a tick was.
pub(super) fn save_bucket(overlay: &mut Overlay<'_>, bucket: u64) -> Result<(), BarrierError> {
    let key = overlay.barrier().key(Kind::TickState, &[]);
    overlay.put(Kind::TickState, key, &bucket.to_le_bytes())
}

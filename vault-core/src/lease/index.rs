//! Where a lease is found: by its holder, its target, its path, and by when something is to be done about it. One function keeps all of them.

use super::record::{Lease, LeaseRef, State};
use crate::auth::TokenRef;
use crate::auth::records::BarrierOf;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::storage::Key;
use crate::types::Timestamp;
use crate::types::id::Id;
use crate::types::spans::Spans;
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Leases that end within one bucket are found by one scan; seconds.
const DUE_BUCKET_SECONDS: u64 = 300;

/// The folder in which the leases are listed that were handed out, as if it were a mount.
pub(crate) const LIVE: Id = Id::from_bytes(*b"sys/leases/live_");
/// The folder of those that have ended and whose target was not told yet.
pub(crate) const ENDING: Id = Id::from_bytes(*b"sys/leases/ended");

/// The parts that the leases of a target are found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Handed out, whether or not they have ended: a lease that ends stays where it is.
    Given = 0,
    /// Never handed out: being made, or to be undone. They stand apart, so that however many there are they hide none that was handed out.
    Begun = 1,
}

impl Part {
    fn of(lease: &Lease) -> Self {
        if lease.was_never_given() { Part::Begun } else { Part::Given }
    }
}

/// Writes a lease in the place of what it was, or removes it, and keeps all that it is found by; through an overlay of its namespace.
pub(crate) fn save(
    overlay: &mut Overlay<'_>,
    old: Option<&Lease>,
    new: Option<&Lease>,
    barrier_of: BarrierOf<'_>,
) -> Result<(), BarrierError> {
    let Some(any) = old.or(new) else { return Ok(()) };
    let lease = LeaseRef::of(overlay.barrier(), &any.id);
    match new {
        Some(new) => overlay.put(Kind::Lease, lease.storage_key(), &new.to_bytes())?,
        None => overlay.delete(lease.storage_key()),
    }
    let here = *overlay.barrier().namespace();
    let before = old.map(|old| places(old, &lease, here, barrier_of)).unwrap_or_default();
    let after = new.map(|new| places(new, &lease, here, barrier_of)).unwrap_or_default();
    for (key, place) in &before {
        if !after.contains_key(key) {
            overlay.within(&place.barrier, |overlay| overlay.delete(*key));
        }
    }
    for (key, place) in &after {
        if before.get(key).is_none_or(|old| old.content != place.content) {
            overlay.within(&place.barrier, |overlay| overlay.put(place.kind, *key, &place.content))?;
        }
    }
    let (left, entered) = (old.and_then(|old| folder(old.state)), new.and_then(|new| folder(new.state)));
    if left != entered {
        left.into_iter().for_each(|folder| overlay.leave(folder, &any.id));
        entered.into_iter().for_each(|folder| overlay.enter(folder, &any.id));
    }
    Ok(())
}

/// The folder in which a lease of that state is listed.
pub(crate) fn folder(state: State) -> Option<Id> {
    match state {
        State::Pending => None,
        State::Active => Some(LIVE),
        State::Ending | State::Stuck => Some(ENDING),
    }
}

/// A record by which a lease is found.
pub(crate) struct Place {
    pub(crate) barrier: Arc<Barrier>,
    pub(crate) kind: Kind,
    pub(crate) content: Vec<u8>,
}

/// What kinds of records those are.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) const PLACES: [Kind; 8] = [
    Kind::LeaseOfToken,
    Kind::LeaseOfEntity,
    Kind::LeaseOfShared,
    Kind::LeaseOfTarget,
    Kind::LeaseDue,
    Kind::LeaseQueue,
    Kind::LeaseStuck,
    Kind::LeaseBegun,
];

/// Every place but the folders.
pub(crate) fn places(lease: &Lease, at: &LeaseRef, here: Id, barrier_of: BarrierOf<'_>) -> BTreeMap<Key, Place> {
    let mut places = BTreeMap::new();
    let bytes = at.to_bytes();
    let mut add = |namespace: &Id, kind: Kind, group: &[u8], member: &[u8; 16], more: &[u8]| {
        // With its namespace goes the place.
        if let Some(barrier) = barrier_of(namespace) {
            let key = barrier.member_key(kind, group, member);
            places.insert(key, Place { barrier, kind, content: [&bytes[..], more].concat() });
        }
    };
    let part = Part::of(lease);
    match lease.state {
        State::Active => {
            add(&Id::from_bytes(lease.holder_namespace), Kind::LeaseOfToken, &lease.holder, &at.key, &[]);
            if let Some(entity) = &lease.entity {
                add(&Id::from_bytes(entity.namespace), Kind::LeaseOfEntity, &entity.id, &at.key, &[]);
            }
        }
        _ if part == Part::Begun => add(&here, Kind::LeaseBegun, &[], &at.key, lease.id.as_bytes()),
        State::Pending | State::Ending | State::Stuck => {}
    }
    if let Some(shared) = &lease.shared {
        add(&here, Kind::LeaseOfShared, &shared.id, &at.key, &[]);
    }
    add(&here, Kind::LeaseOfTarget, &group_of(&lease.target, part), &at.key, &[]);
    match lease.state {
        State::Active => {
            if lease.asked_millis.is_some() {
                add(&Id::ROOT, Kind::LeaseQueue, &[], &at.key, &queued(lease));
            }
            let bucket = bucket_at(lease.expires());
            add(&Id::ROOT, Kind::LeaseDue, &bucket.to_le_bytes(), &at.key, &lease.expires_millis.to_le_bytes());
        }
        State::Pending | State::Ending => add(&Id::ROOT, Kind::LeaseQueue, &[], &at.key, &queued(lease)),
        State::Stuck => add(&here, Kind::LeaseStuck, &[], &at.key, &[]),
    }
    places
}

fn group_of(target: &[u8; 16], part: Part) -> [u8; 17] {
    let mut group = [part as u8; 17];
    group[..16].copy_from_slice(target);
    group
}

fn queued(lease: &Lease) -> Vec<u8> {
    [&lease.next_millis.to_le_bytes()[..], &lease.target].concat()
}

/// A lease that waits for its target to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    pub(crate) lease: LeaseRef,
    pub(crate) next: Timestamp,
    pub(crate) target: [u8; 16],
}

/// Gives what waits behind a place in the queue, with its place, through an overlay of the root namespace, until `each` answers false; how many
/// records cannot be read.
pub(crate) fn each_queued(
    overlay: &Overlay<'_>,
    after: Option<Key>,
    mut each: impl FnMut(&Key, Queued) -> bool,
) -> Result<usize, BarrierError> {
    overlay.scan_readable_after(Kind::LeaseQueue, &overlay.barrier().member_prefix(Kind::LeaseQueue, &[]), after, |key, bytes| {
        let (lease, rest) = bytes.split_at_checked(32).ok_or(BarrierError::Corrupt)?;
        let (next, target) = rest.split_first_chunk::<8>().ok_or(BarrierError::Corrupt)?;
        let next = Timestamp::from_millis(u64::from_le_bytes(*next));
        let target = target.try_into().map_err(|_| BarrierError::Corrupt)?;
        Ok(each(key, Queued { lease: LeaseRef::from_bytes(lease)?, next, target }))
    })
}

/// Gives the leases whose time ends in a bucket, and when, through an overlay of the root namespace, until `each` answers false; how many
/// records cannot be read.
pub(crate) fn each_due(
    overlay: &Overlay<'_>,
    bucket: u64,
    mut each: impl FnMut(LeaseRef, Timestamp) -> bool,
) -> Result<usize, BarrierError> {
    overlay.scan_readable(Kind::LeaseDue, &overlay.barrier().member_prefix(Kind::LeaseDue, &bucket.to_le_bytes()), |bytes| {
        let (lease, expires) = bytes.split_at_checked(32).ok_or(BarrierError::Corrupt)?;
        let expires = expires.try_into().map_err(|_| BarrierError::Corrupt)?;
        Ok(each(LeaseRef::from_bytes(lease)?, Timestamp::from_millis(u64::from_le_bytes(expires))))
    })
}

/// The first leases that a token holds, through an overlay of the token's namespace.
pub(crate) fn of_token(overlay: &Overlay<'_>, token: &[u8; 16], limit: usize) -> Result<Vec<LeaseRef>, BarrierError> {
    group(overlay, Kind::LeaseOfToken, token, limit)
}

/// The first leases of an entity's tokens, through an overlay of the entity's namespace.
pub(crate) fn of_entity(overlay: &Overlay<'_>, entity: &[u8; 16], limit: usize) -> Result<Vec<LeaseRef>, BarrierError> {
    group(overlay, Kind::LeaseOfEntity, entity, limit)
}

/// The first leases behind a place that a token holds, each with its place, through an overlay of the token's namespace.
pub(crate) fn of_token_after(
    overlay: &Overlay<'_>,
    token: &[u8; 16],
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<(Key, LeaseRef)>, BarrierError> {
    group_after(overlay, Kind::LeaseOfToken, token, after, limit)
}

/// The first leases behind a place of an entity's tokens, each with its place, through an overlay of the entity's namespace.
pub(crate) fn of_entity_after(
    overlay: &Overlay<'_>,
    entity: &[u8; 16],
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<(Key, LeaseRef)>, BarrierError> {
    group_after(overlay, Kind::LeaseOfEntity, entity, after, limit)
}

/// The first leases that share an account, through an overlay of their namespace.
pub(crate) fn of_shared(overlay: &Overlay<'_>, id: &[u8; 16], limit: usize) -> Result<Vec<LeaseRef>, BarrierError> {
    group(overlay, Kind::LeaseOfShared, id, limit)
}

/// The first leases at a target, through an overlay of its namespace.
pub(crate) fn of_target(overlay: &Overlay<'_>, target: &[u8; 16], part: Part, limit: usize) -> Result<Vec<LeaseRef>, BarrierError> {
    group(overlay, Kind::LeaseOfTarget, &group_of(target, part), limit)
}

/// The first leases at a target behind a place that were handed out, each with its place.
pub(crate) fn given_at(
    overlay: &Overlay<'_>,
    target: &[u8; 16],
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<(Key, LeaseRef)>, BarrierError> {
    group_after(overlay, Kind::LeaseOfTarget, &group_of(target, Part::Given), after, limit)
}

/// The first leases of a namespace whose target was told in vain.
pub(crate) fn stuck(overlay: &Overlay<'_>, limit: usize) -> Result<Vec<LeaseRef>, BarrierError> {
    group(overlay, Kind::LeaseStuck, &[], limit)
}

/// Gives the leases of a namespace that were never handed out, and their ids, until `each` answers false.
pub(crate) fn each_begun(
    overlay: &Overlay<'_>,
    mut each: impl FnMut(LeaseRef, &str) -> Result<bool, BarrierError>,
) -> Result<(), BarrierError> {
    overlay.scan(Kind::LeaseBegun, &overlay.barrier().member_prefix(Kind::LeaseBegun, &[]), |_, bytes| {
        let (lease, id) = bytes.split_at_checked(32).ok_or(BarrierError::Corrupt)?;
        each(LeaseRef::from_bytes(lease)?, std::str::from_utf8(id).map_err(|_| BarrierError::Corrupt)?)
    })
}

/// Removes what leads to a lease from its token, where that lease is gone or is found elsewhere; through an overlay of the token's namespace.
pub(crate) fn strike_off_token(overlay: &mut Overlay<'_>, token: &[u8; 16], lease: &LeaseRef) {
    let key = overlay.barrier().member_key(Kind::LeaseOfToken, token, &lease.key);
    overlay.delete(key);
}

/// The same of its entity, through an overlay of the entity's namespace.
pub(crate) fn strike_off_entity(overlay: &mut Overlay<'_>, entity: &[u8; 16], lease: &LeaseRef) {
    let key = overlay.barrier().member_key(Kind::LeaseOfEntity, entity, &lease.key);
    overlay.delete(key);
}

/// The same of a bucket, through an overlay of the root namespace.
pub(crate) fn strike_off_bucket(overlay: &mut Overlay<'_>, bucket: u64, lease: &LeaseRef) {
    let key = overlay.barrier().member_key(Kind::LeaseDue, &bucket.to_le_bytes(), &lease.key);
    overlay.delete(key);
}

/// The same of what waits for its target, through an overlay of the root namespace.
pub(crate) fn strike_off_queue(overlay: &mut Overlay<'_>, lease: &LeaseRef) {
    let key = overlay.barrier().member_key(Kind::LeaseQueue, &[], &lease.key);
    overlay.delete(key);
}

fn group(overlay: &Overlay<'_>, kind: Kind, group: &[u8], limit: usize) -> Result<Vec<LeaseRef>, BarrierError> {
    Ok(group_after(overlay, kind, group, None, limit)?.into_iter().map(|(_, lease)| lease).collect())
}

fn group_after(
    overlay: &Overlay<'_>,
    kind: Kind,
    group: &[u8],
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<(Key, LeaseRef)>, BarrierError> {
    let mut leases = Vec::new();
    overlay.scan_after(kind, &overlay.barrier().member_prefix(kind, group), after, |key, bytes| {
        leases.push((*key, LeaseRef::from_bytes(bytes)?));
        Ok(leases.len() < limit)
    })?;
    Ok(leases)
}

/// Walks the ids of a folder and of the folders in it, until `each` answers false; whether it went to the end.
pub(crate) fn walk(
    overlay: &Overlay<'_>,
    owner: &Id,
    folder: &str,
    each: &mut dyn FnMut(&str) -> Result<bool, BarrierError>,
) -> Result<bool, BarrierError> {
    let mut children = Vec::new();
    overlay.scan(Kind::FolderEntry, &overlay.barrier().folder_prefix(owner, folder), |_, name| {
        children.push(std::str::from_utf8(name).map_err(|_| BarrierError::Corrupt)?.to_owned());
        Ok(true)
    })?;
    for child in children {
        let path = format!("{folder}{child}");
        let goes_on = if path.ends_with('/') { walk(overlay, owner, &path, each)? } else { each(&path)? };
        if !goes_on {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Notes that a token holds leases: what ends it then ends them. What is read here becomes an expectation, so that of a grant and of the
/// token's end, whichever comes second, knows of the first.
pub(crate) fn note_holder(overlay: &mut Overlay<'_>, token: &TokenRef, barrier_of: BarrierOf<'_>) -> Result<bool, BarrierError> {
    let Some(barrier) = barrier_of(&token.namespace) else { return Ok(false) };
    overlay.within(&barrier, |overlay| {
        let key = holder_key(&barrier, &token.key);
        if overlay.get(Kind::LeaseHolder, &key)?.is_none() {
            overlay.put(Kind::LeaseHolder, key, &[])?;
        }
        Ok(true)
    })
}

pub(super) fn holder_key(barrier: &Barrier, token: &[u8; 16]) -> Key {
    barrier.key(Kind::LeaseHolder, &[token])
}

/// The bucket of an instant.
pub(crate) fn bucket_at(at: Timestamp) -> u64 {
    at.as_secs() / DUE_BUCKET_SECONDS
}

/// The instant at which a bucket begins.
pub(crate) fn bucket_start(bucket: u64) -> Timestamp {
    Timestamp::from_secs(bucket.saturating_mul(DUE_BUCKET_SECONDS))
}

/// What is noted of the leases of all namespaces together, in the root namespace.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct Mark {
    /// The buckets that were not gone through yet.
    #[n(0)]
    pub(crate) due: Spans,
    /// How often somebody was held still: what that ends are leases from before it.
    #[n(1)]
    pub(crate) holds: u64,
}

impl Mark {
    /// The mark; `None` where there never was a lease. What is read here becomes an expectation.
    pub(crate) fn load(overlay: &mut Overlay<'_>) -> Result<Option<Self>, BarrierError> {
        let key = overlay.barrier().key(Kind::LeaseMark, &[]);
        let bytes = overlay.get(Kind::LeaseMark, &key)?;
        bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()
    }

    pub(crate) fn put(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let key = overlay.barrier().key(Kind::LeaseMark, &[]);
        overlay.put(Kind::LeaseMark, key, &minicbor::to_vec(self).expect("encoding to memory cannot fail"))
    }

    /// One that begins at a bucket.
    pub(crate) fn beginning_at(bucket: u64) -> Self {
        Mark { due: Spans::beginning_at(bucket), holds: 0 }
    }
}

/// Makes sure, through an overlay of the root namespace, that a tick looks into the bucket in which a lease ends: where the clock has
/// stepped back since the last one it may lie before its mark. How often somebody was held still by now.
pub(crate) fn look_into(overlay: &mut Overlay<'_>, ends: Timestamp) -> Result<u64, BarrierError> {
    let bucket = bucket_at(ends);
    let mut mark = Mark::load(overlay)?.unwrap_or_else(|| Mark::beginning_at(bucket));
    if mark.due.lead_to(bucket) {
        mark.put(overlay)?;
    }
    Ok(mark.holds)
}

/// Counts, through an overlay of the root namespace, that somebody is held still; the number that the leases have which were granted before.
pub(crate) fn hold(overlay: &mut Overlay<'_>) -> Result<u64, BarrierError> {
    let mark = Mark::load(overlay)?.unwrap_or_default();
    let before = mark.holds;
    Mark { holds: before + 1, ..mark }.put(overlay)?;
    Ok(before)
}

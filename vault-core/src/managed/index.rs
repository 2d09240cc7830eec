//! Where credentials that are rotated are found: by when something is to be done, and those that are being asked or need
//! somebody. All of it lies in their own namespace, and goes with it.

use super::record::Managed;
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::storage::Key;
use crate::types::Timestamp;
#[cfg(any(feature = "sled", feature = "redb"))]
use crate::{barrier::Barrier, types::id::Id};

/// What is due within one bucket is found by one scan; seconds.
const DUE_BUCKET_SECONDS: u64 = 300;

/// What leads to credentials, the mark excepted.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) const PLACES: [Kind; 7] = [
    Kind::ManagedName,
    Kind::ManagedAll,
    Kind::ManagedAsked,
    Kind::ManagedStuck,
    Kind::ManagedDue,
    Kind::ManagedOfTarget,
    Kind::ManagedOfAccount,
];

/// One place in which a credential is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    kind: Kind,
    group: Vec<u8>,
    id: [u8; 16],
    content: Vec<u8>,
}

/// Where a credential is found.
pub(crate) fn places(managed: &Managed) -> Vec<Place> {
    let place = |kind, group: &[u8], more: &[u8]| {
        let content = [&managed.id[..], more].concat();
        Place { kind, group: group.to_vec(), id: managed.id, content }
    };
    let mut places = vec![place(Kind::ManagedAll, &[], &[])];
    if managed.state.asked {
        places.push(place(Kind::ManagedAsked, &[], &[]));
    }
    if managed.state.attention.is_some() || managed.is_stalled() {
        places.push(place(Kind::ManagedStuck, &[], &[]));
    }
    if let Some(next) = managed.next() {
        places.push(place(Kind::ManagedDue, &bucket_at(next).to_le_bytes(), &next.as_millis().to_le_bytes()));
    }
    places
}

/// Writes a credential, or removes it, and all that it is found by; `before` are the places of what it was.
pub(crate) fn save(overlay: &mut Overlay<'_>, before: &[Place], new: Option<&Managed>) -> Result<(), BarrierError> {
    let after = new.map(places).unwrap_or_default();
    for place in before {
        let stays = after.iter().any(|other| other.kind == place.kind && other.group == place.group);
        if !stays {
            let key = overlay.barrier().member_key(place.kind, &place.group, &place.id);
            overlay.delete(key);
        }
    }
    for place in after.iter().filter(|place| !before.contains(place)) {
        let key = overlay.barrier().member_key(place.kind, &place.group, &place.id);
        overlay.put(place.kind, key, &place.content)?;
    }
    let Some(new) = new else { return Ok(()) };
    new.put(overlay)?;
    // Where the clock has stepped back since the last tick what is due next may lie before its mark.
    match (mark(overlay)?, new.next().map(bucket_at)) {
        (Some(mark), Some(bucket)) if bucket < mark => set_mark(overlay, bucket),
        // Past every bucket: the next tick looks at all, and sets it to where it is.
        (None, _) => set_mark(overlay, u64::MAX),
        _ => Ok(()),
    }
}

/// All records that lead to a credential, with what they hold; the count of its target excepted.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) fn found_by(barrier: &Barrier, managed: &Managed) -> Vec<(Kind, Key, Vec<u8>)> {
    let name = super::name_key(barrier, &Id::from_bytes(managed.owner), &managed.name);
    let mut found = vec![(Kind::ManagedName, name, managed.id.to_vec())];
    if let Some(target) = &managed.target {
        let key = |username: &String| barrier.key(Kind::ManagedOfAccount, &[target, username.as_bytes()]);
        found.extend(managed.usernames.iter().map(|username| (Kind::ManagedOfAccount, key(username), managed.id.to_vec())));
    }
    let places = places(managed).into_iter();
    found.extend(places.map(|place| (place.kind, barrier.member_key(place.kind, &place.group, &place.id), place.content)));
    found
}

/// Lets the next tick begin at a bucket, where it would begin behind it or not at all. A mark past every bucket lets it look at all.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) fn lower_mark(overlay: &mut Overlay<'_>, first: u64) -> Result<(), BarrierError> {
    let passes_over = mark(overlay)?.is_none_or(|mark| mark > first && mark != u64::MAX);
    if passes_over { set_mark(overlay, first) } else { Ok(()) }
}

/// Where the count of a connection's target lies, and whether it is this.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) fn count_is(overlay: &mut Overlay<'_>, target: &[u8; 16], count: u64) -> Result<(Key, bool), BarrierError> {
    let key = overlay.barrier().key(Kind::ManagedOfTarget, &[target]);
    Ok((key, count_of_target(overlay, target)? == count))
}

/// The bucket of an instant.
pub(crate) fn bucket_at(at: Timestamp) -> u64 {
    at.as_secs() / DUE_BUCKET_SECONDS
}

/// The instant at which a bucket begins.
pub(crate) fn bucket_start(bucket: u64) -> Timestamp {
    Timestamp::from_secs(bucket.saturating_mul(DUE_BUCKET_SECONDS))
}

/// The first bucket that a tick has not gone through; `None` where there never was such a credential.
pub(crate) fn mark(overlay: &mut Overlay<'_>) -> Result<Option<u64>, BarrierError> {
    let key = overlay.barrier().key(Kind::ManagedMark, &[]);
    let bytes = overlay.get(Kind::ManagedMark, &key)?;
    bytes.map(|bytes| bytes.as_slice().try_into().map(u64::from_le_bytes).map_err(|_| BarrierError::Corrupt)).transpose()
}

pub(crate) fn set_mark(overlay: &mut Overlay<'_>, bucket: u64) -> Result<(), BarrierError> {
    let key = overlay.barrier().key(Kind::ManagedMark, &[]);
    overlay.put(Kind::ManagedMark, key, &bucket.to_le_bytes())
}

/// What was found, and how many places could not be read: they hide what they lead to, and nothing else.
pub(crate) struct Found<T> {
    pub(crate) all: Vec<T>,
    pub(crate) unreadable: usize,
}

impl<T> Found<T> {
    /// All of it, for what is not to go on without the rest.
    pub(crate) fn whole(self) -> Result<Vec<T>, BarrierError> {
        if self.unreadable == 0 { Ok(self.all) } else { Err(BarrierError::Corrupt) }
    }
}

/// Those that lie in a bucket, and when something is to be done about each.
pub(crate) fn in_bucket(overlay: &Overlay<'_>, bucket: u64) -> Result<Found<([u8; 16], Timestamp)>, BarrierError> {
    let mut found = Vec::new();
    let prefix = overlay.barrier().member_prefix(Kind::ManagedDue, &bucket.to_le_bytes());
    let unreadable = overlay.scan_readable(Kind::ManagedDue, &prefix, |bytes| {
        let (id, at) = bytes.split_first_chunk::<16>().ok_or(BarrierError::Corrupt)?;
        let at = at.try_into().map_err(|_| BarrierError::Corrupt)?;
        found.push((*id, Timestamp::from_millis(u64::from_le_bytes(at))));
        Ok(true)
    })?;
    Ok(Found { all: found, unreadable })
}

/// Those that were asked of their target and not answered.
pub(crate) fn asked(overlay: &Overlay<'_>) -> Result<Found<[u8; 16]>, BarrierError> {
    group(overlay, Kind::ManagedAsked)
}

/// Those that need somebody.
pub(crate) fn stuck(overlay: &Overlay<'_>) -> Result<Found<[u8; 16]>, BarrierError> {
    group(overlay, Kind::ManagedStuck)
}

/// All of a namespace.
pub(crate) fn all(overlay: &Overlay<'_>) -> Result<Found<[u8; 16]>, BarrierError> {
    group(overlay, Kind::ManagedAll)
}

/// How many there are at a connection's target. What is read here becomes an expectation: none is entered meanwhile.
pub(crate) fn count_of_target(overlay: &mut Overlay<'_>, target: &[u8; 16]) -> Result<u64, BarrierError> {
    let key = overlay.barrier().key(Kind::ManagedOfTarget, &[target]);
    let bytes = overlay.get(Kind::ManagedOfTarget, &key)?;
    bytes.map_or(Ok(0), |bytes| bytes.as_slice().try_into().map(u64::from_le_bytes).map_err(|_| BarrierError::Corrupt))
}

/// Counts one more at a connection's target, or one less.
pub(super) fn count(overlay: &mut Overlay<'_>, target: &[u8; 16], is_new: bool) -> Result<(), BarrierError> {
    let count = count_of_target(overlay, target)?;
    put_count(overlay, target, if is_new { count + 1 } else { count.saturating_sub(1) })
}

/// Notes how many there are at a connection's target.
pub(crate) fn put_count(overlay: &mut Overlay<'_>, target: &[u8; 16], count: u64) -> Result<(), BarrierError> {
    let key = overlay.barrier().key(Kind::ManagedOfTarget, &[target]);
    if count == 0 {
        overlay.delete(key);
        return Ok(());
    }
    overlay.put(Kind::ManagedOfTarget, key, &count.to_le_bytes())
}

/// The credential that rotates an account at a connection's target. What is read here becomes an expectation: no other takes it meanwhile.
pub(crate) fn of_account(overlay: &mut Overlay<'_>, target: &[u8; 16], username: &str) -> Result<Option<Managed>, BarrierError> {
    let key = account_key(overlay, target, username);
    let Some(bytes) = overlay.get(Kind::ManagedOfAccount, &key)? else { return Ok(None) };
    Managed::load(overlay, bytes.as_slice().try_into().map_err(|_| BarrierError::Corrupt)?)
}

/// Enters the accounts of a credential as its own.
pub(super) fn take_accounts(overlay: &mut Overlay<'_>, target: &[u8; 16], managed: &Managed) -> Result<(), BarrierError> {
    for username in &managed.usernames {
        let key = account_key(overlay, target, username);
        overlay.put(Kind::ManagedOfAccount, key, &managed.id)?;
    }
    Ok(())
}

/// Lets others rotate the accounts of a credential.
pub(super) fn let_accounts_go(overlay: &mut Overlay<'_>, target: &[u8; 16], managed: &Managed) -> Result<(), BarrierError> {
    for username in &managed.usernames {
        let key = account_key(overlay, target, username);
        let is_its_own = overlay.get(Kind::ManagedOfAccount, &key)?.is_some_and(|bytes| bytes.as_slice() == managed.id);
        if is_its_own {
            overlay.delete(key);
        }
    }
    Ok(())
}

fn account_key(overlay: &Overlay<'_>, target: &[u8; 16], username: &str) -> Key {
    overlay.barrier().key(Kind::ManagedOfAccount, &[target, username.as_bytes()])
}

fn group(overlay: &Overlay<'_>, kind: Kind) -> Result<Found<[u8; 16]>, BarrierError> {
    let mut all = Vec::new();
    let unreadable = overlay.scan_readable(kind, &overlay.barrier().member_prefix(kind, &[]), |bytes| {
        all.push(bytes.try_into().map_err(|_| BarrierError::Corrupt)?);
        Ok(true)
    })?;
    Ok(Found { all, unreadable })
}

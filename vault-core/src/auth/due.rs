//! What is due, in the root namespace: tokens whose time ends and entities that are lost unless they are heard of, in the minute of that, which
//! the hour of that minute knows.

use super::records::BarrierOf;
use super::token::TokenRef;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::identity::EntityRef;
use crate::storage::Key;
use crate::types::Timestamp;
use crate::types::id::Id;

/// The mark of the tick is an hour: what is due in it is found through its minutes.
const HOUR_SECONDS: u64 = 3600;
/// What is due within one minute is found by one scan.
const MINUTE_SECONDS: u64 = 60;
/// Behind the 32 bytes of an entity, so that it is no token.
const ENTITY: u8 = 1;

/// Whose time it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Due {
    Token(TokenRef),
    Entity(EntityRef),
}

impl Due {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Due::Token(token) => token.to_bytes().to_vec(),
            Due::Entity(entity) => [&entity.to_bytes()[..], &[ENTITY]].concat(),
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        match bytes.split_first_chunk::<32>() {
            Some((entity, [ENTITY])) => Ok(Due::Entity(EntityRef::from_bytes(*entity))),
            _ => TokenRef::from_bytes(bytes).map(Due::Token),
        }
    }

    /// Where it stands in a minute.
    pub(crate) fn key(&self, root: &Barrier, minute: u64) -> Key {
        let id = match self {
            Due::Token(token) => &token.key,
            Due::Entity(entity) => entity.id.as_bytes(),
        };
        root.member_key(Kind::Due, &minute.to_le_bytes(), id)
    }
}

/// Lets a tick find it when its time ends, if it does.
pub(crate) fn enter(overlay: &mut Overlay<'_>, due: &Due, ends: Option<Timestamp>, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    let Some(minute) = ends.map(minute_at) else { return Ok(()) };
    let root = barrier_of(&Id::ROOT).ok_or(BarrierError::Corrupt)?;
    overlay.within(&root, |overlay| {
        overlay.put(Kind::Due, due.key(&root, minute), &due.to_bytes())?;
        // Written whether it is there or not: so a tick that finds the minute empty at the same time does not take it away.
        overlay.put(Kind::DueMinute, minute_key(&root, minute), &minute.to_le_bytes())
    })
}

/// Takes it out of the minute of its end.
pub(crate) fn leave(overlay: &mut Overlay<'_>, due: &Due, ends: Option<Timestamp>, barrier_of: BarrierOf<'_>) {
    if let (Some(minute), Some(root)) = (ends.map(minute_at), barrier_of(&Id::ROOT)) {
        overlay.within(&root, |overlay| overlay.delete(due.key(&root, minute)));
    }
}

/// Takes it from the minute in which it ended to the one in which it ends now.
pub(crate) fn move_to(
    overlay: &mut Overlay<'_>,
    due: &Due,
    (old, new): (Option<Timestamp>, Option<Timestamp>),
    barrier_of: BarrierOf<'_>,
) -> Result<(), BarrierError> {
    if old.map(minute_at) == new.map(minute_at) {
        return Ok(());
    }
    leave(overlay, due, old, barrier_of);
    enter(overlay, due, new, barrier_of)
}

/// What is due in a minute, through an overlay of the root namespace, so many at most; and how many records cannot be read.
pub(crate) fn due_in(overlay: &Overlay<'_>, minute: u64, most: usize) -> Result<(Vec<Due>, usize), BarrierError> {
    let mut found = Vec::new();
    let unreadable = overlay.scan_readable(Kind::Due, &overlay.barrier().member_prefix(Kind::Due, &minute.to_le_bytes()), |due| {
        found.push(Due::from_bytes(due)?);
        Ok(found.len() < most)
    })?;
    Ok((found, unreadable))
}

/// The minutes of an hour in which something is due, in order, through an overlay of the root namespace; and how many records cannot be
/// read.
pub(crate) fn minutes_in(overlay: &Overlay<'_>, hour: u64) -> Result<(Vec<u64>, usize), BarrierError> {
    let mut minutes = Vec::new();
    let prefix = overlay.barrier().member_prefix(Kind::DueMinute, &hour.to_le_bytes());
    let unreadable = overlay.scan_readable(Kind::DueMinute, &prefix, |minute| {
        minutes.push(u64::from_le_bytes(minute.try_into().map_err(|_| BarrierError::Corrupt)?));
        Ok(true)
    })?;
    minutes.sort_unstable();
    Ok((minutes, unreadable))
}

/// Lets an hour know of a minute no more. What comes into it at the same time puts the note back, or lets this commit fail.
pub(crate) fn leave_minute(overlay: &mut Overlay<'_>, minute: u64) -> Result<(), BarrierError> {
    let key = minute_key(overlay.barrier(), minute);
    overlay.get(Kind::DueMinute, &key)?;
    overlay.delete(key);
    Ok(())
}

/// The hour of an instant.
pub(crate) fn hour_at(at: Timestamp) -> u64 {
    at.as_secs() / HOUR_SECONDS
}

/// The minute of an instant.
pub(crate) fn minute_at(at: Timestamp) -> u64 {
    at.as_secs() / MINUTE_SECONDS
}

/// The instant at which an hour begins.
pub(crate) fn hour_start(hour: u64) -> Timestamp {
    Timestamp::from_secs(hour.saturating_mul(HOUR_SECONDS))
}

/// The instant at which a minute begins.
pub(crate) fn minute_start(minute: u64) -> Timestamp {
    Timestamp::from_secs(minute.saturating_mul(MINUTE_SECONDS))
}

fn minute_key(root: &Barrier, minute: u64) -> Key {
    let hour = minute * MINUTE_SECONDS / HOUR_SECONDS;
    root.member_key(Kind::DueMinute, &hour.to_le_bytes(), &root.member_prefix(Kind::DueMinute, &[&minute.to_le_bytes()[..], b"m"].concat()))
}

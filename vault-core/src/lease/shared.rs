//! An account that the tokens of one entity share: made once, held by the leases of all of them, and gone with the last one.
//!
//! The account's record is laid by the commit that intends to make it, with its first lease, and removed by the commit that removes its last one. Which
//! account is handed out next stands in a slot, by role and entity: an account leaves it when another takes its place, and before the target is
//! told of its end. Who the leases are is not counted anywhere: each is found by the account's id.

use super::index;
use super::record::{Entity, Lease, LeaseRef};
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{SecretString, Timestamp, Ttl};
use minicbor::{Decode, Encode};

/// Leases among which another one is looked for first.
const SOME: usize = 4;

/// An account that is shared.
#[derive(Encode, Decode)]
pub(crate) struct Shared {
    /// Drawn once.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) mount: [u8; 16],
    #[n(2)]
    pub(crate) role: String,
    #[n(3)]
    pub(crate) entity: Entity,
    /// The id of the connection at whose target it is.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) target: [u8; 16],
    #[n(5)]
    pub(crate) username: String,
    /// For those who come later; empty once there is nobody whom it would be given to.
    #[cbor(n(6), with = "secret")]
    pub(crate) password: SecretString,
    /// A hash of what made it: one that is made in another way takes its place.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub(crate) made_by: [u8; 32],
    /// Milliseconds since the Unix epoch, as all times here.
    #[n(8)]
    pub(crate) born_millis: u64,
    /// Its longest life from then on, in seconds.
    #[n(9)]
    pub(crate) max_seconds: u64,
    /// Its first lease was handed out: it is at the target.
    #[n(10)]
    pub(crate) is_ready: bool,
    /// It is handed out no more.
    #[n(11)]
    pub(crate) is_closed: bool,
    /// The namespace's era when it was made: after the next end by prefix nobody joins it any more, whether or not it was carried out.
    #[n(12)]
    pub(crate) era: u64,
    /// The latest end that the target has taken.
    #[n(13)]
    pub(crate) ends_millis: u64,
    /// The latest end that the target was asked for: the account may last so long there.
    #[n(14)]
    pub(crate) asked_millis: u64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared([redacted])")
    }
}

impl Shared {
    /// The end that no lease of it goes past.
    pub(crate) fn latest_end(&self) -> Timestamp {
        Timestamp::from_millis(self.born_millis).plus(Ttl::from_secs(self.max_seconds))
    }

    /// Notes that the target is asked for an end: durable before it is.
    pub(crate) fn ask(&mut self, ends: Timestamp) {
        self.asked_millis = self.asked_millis.max(ends.as_millis());
    }

    /// The end that it may have at its target, where that is later than what the target is known to have taken.
    pub(crate) fn asked(&self) -> Option<u64> {
        Some(self.asked_millis).filter(|asked| *asked > self.ends_millis)
    }

    /// The same, once the target has taken an end.
    pub(crate) fn lasting_to(self, ends: Timestamp) -> Self {
        Shared { ends_millis: self.ends_millis.max(ends.as_millis()), ..self }
    }

    /// What is left of its longest life, in whole seconds: a lease of so many ends with it, or before.
    pub(crate) fn left(&self, now: Timestamp) -> Ttl {
        Ttl::from_secs(self.latest_end().as_millis().saturating_sub(now.as_millis()) / 1000)
    }

    /// Whether one more may hold it: it is there, nothing was ended by prefix since it was made, and a lease that begins now has at least half of
    /// the time that it would have of a new one. Whether a lease of it holds is looked at apart.
    pub(crate) fn can_be_joined(&self, ttl: Ttl, now: Timestamp, era: u64) -> bool {
        // Where the clock has stepped back before its birth it is not known how long it has lasted.
        self.is_ready
            && !self.is_closed
            && self.era == era
            && now.as_millis() >= self.born_millis
            && self.left(now).as_secs() >= ttl.as_secs().div_ceil(2).max(1)
    }

    /// An account by its id. What is read here becomes an expectation.
    pub(crate) fn load(overlay: &mut Overlay<'_>, id: &[u8; 16]) -> Result<Option<Self>, BarrierError> {
        let key = key_of(overlay.barrier(), id);
        overlay.get(Kind::SharedAccount, &key)?.map(|bytes| Self::from_bytes(&bytes)).transpose()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }

    pub(crate) fn put(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let bytes = zeroize::Zeroizing::new(minicbor::to_vec(self).expect("encoding to memory cannot fail"));
        let key = key_of(overlay.barrier(), &self.id);
        overlay.put(Kind::SharedAccount, key, &bytes)
    }

    /// Where it is noted which account is handed out next.
    pub(crate) fn slot(&self, barrier: &Barrier) -> Key {
        slot_key(barrier, &Id::from_bytes(self.mount), &self.role, &self.entity)
    }

    /// Puts a new account into its slot; the one that was there is handed out no more.
    pub(crate) fn take_slot(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        if let Some(old) = in_slot(overlay, &self.slot(overlay.barrier()))? {
            old.closed().put(overlay)?;
        }
        let key = self.slot(overlay.barrier());
        overlay.put(Kind::SharedSlot, key, &self.id)?;
        self.put(overlay)
    }

    /// Lets the account of that id be handed out no more; whether it was.
    pub(crate) fn close_by_id(overlay: &mut Overlay<'_>, id: &[u8; 16]) -> Result<bool, BarrierError> {
        match Shared::load(overlay, id)? {
            Some(shared) if !shared.is_closed => shared.close(overlay).map(|()| true),
            _ => Ok(false),
        }
    }

    fn close(self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        self.leave_slot(overlay)?;
        self.closed().put(overlay)
    }

    fn closed(self) -> Self {
        Shared { is_closed: true, password: SecretString::copy_from(""), ..self }
    }

    fn leave_slot(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let slot = self.slot(overlay.barrier());
        let is_its_own = overlay.get(Kind::SharedSlot, &slot)?.is_some_and(|id| id.as_slice() == self.id);
        if is_its_own {
            overlay.delete(slot);
        }
        Ok(())
    }
}

/// The account of a slot, if there is one. What is read here becomes an expectation: of two that would fill it one is carried out anew.
pub(crate) fn in_slot(overlay: &mut Overlay<'_>, slot: &Key) -> Result<Option<Shared>, BarrierError> {
    let Some(id) = overlay.get(Kind::SharedSlot, slot)? else { return Ok(None) };
    Shared::load(overlay, id.as_slice().try_into().map_err(|_| BarrierError::Corrupt)?)
}

pub(crate) fn slot_key(barrier: &Barrier, mount: &Id, role: &str, entity: &Entity) -> Key {
    let whose = [entity.namespace, entity.id].concat();
    barrier.key(Kind::SharedSlot, &[mount.as_bytes(), &whose, role.as_bytes()])
}

/// Whether there is another lease of an account, whatever its state: what the account's end takes is up to that one then. What is read here
/// becomes an expectation, so that of two leases that end at once one knows that it is the last.
pub(crate) fn has_another(overlay: &mut Overlay<'_>, id: &[u8; 16], than: &LeaseRef) -> Result<bool, BarrierError> {
    has_lease(overlay, id, |_, lease, _| Ok(lease.key != than.key))
}

/// Whether there is a lease of an account of which something is so. What is read here becomes an expectation.
pub(crate) fn has_lease<E: From<BarrierError>>(
    overlay: &mut Overlay<'_>,
    id: &[u8; 16],
    mut is_so: impl FnMut(&mut Overlay<'_>, &LeaseRef, &Lease) -> Result<bool, E>,
) -> Result<bool, E> {
    // Mostly it is one of the first: all are looked at only where these lead nowhere.
    for limit in [SOME, usize::MAX] {
        for at in index::of_shared(overlay, id, limit)? {
            if let Some(lease) = Lease::load(overlay, &at.key)?.filter(|lease| lease.shares(id))
                && is_so(overlay, &at, &lease)?
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Removes an account's record with its last lease, in the commit that removes that one.
pub(crate) fn forget_with(overlay: &mut Overlay<'_>, lease: &Lease) -> Result<(), BarrierError> {
    let Some(of) = &lease.shared else { return Ok(()) };
    let than = LeaseRef::of(overlay.barrier(), &lease.id);
    if !has_another(overlay, &of.id, &than)?
        && let Some(shared) = Shared::load(overlay, &of.id)?
    {
        shared.leave_slot(overlay)?;
        let key = key_of(overlay.barrier(), &of.id);
        overlay.delete(key);
    }
    Ok(())
}

/// Where an account's record lies.
pub(crate) fn key_of(barrier: &Barrier, id: &[u8; 16]) -> Key {
    barrier.key(Kind::SharedAccount, &[id])
}

mod secret {
    use crate::types::SecretString;
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decoder, Encoder};

    pub(super) fn encode<C, W: Write>(text: &SecretString, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.str(text.expose())?.ok()
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<SecretString, DecodeError> {
        Ok(SecretString::copy_from(d.str()?))
    }
}

//! What ends many leases at once: noted in one record by the commit that causes it, whatever their number, and carried out by `tick` in steps.

use super::index::{self, holder_key};
use super::record::Lease;
use crate::auth::TokenRef;
use crate::auth::records::{self, BarrierOf};
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::crypto::sha256;
use crate::storage::{KEY_BYTES_MAX, Key};
use crate::types::id::Id;
use crate::types::limits::{LEASE_PAGE_RECORDS_MAX, LEASES_LOOKED_AT_MAX};
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;

/// What is to be carried out.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) enum Chore {
    /// The token of this namespace has ended, or was held still: so do its leases.
    #[n(0)]
    Token(#[n(0)] Whose),
    /// All leases below a prefix that were granted up to an era have ended.
    #[n(1)]
    Prefix(#[n(0)] Prefix),
    /// The connection is gone: so are its leases, and then its record.
    #[n(2)]
    Target(#[n(0)] AtTarget),
    /// A connection's password is being changed: which one the target has is to be found out.
    #[n(3)]
    Rotation(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]),
    /// The token of this namespace is held still: the leases of all that it has made have ended.
    #[n(4)]
    Family(#[n(0)] Family),
    /// The entity of this namespace was held still: the leases of its tokens have ended.
    #[n(5)]
    Entity(#[n(0)] Whose),
}

/// Whose leases end, and how far that has come.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Whose {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    /// Those that were granted up to this hold (`index::hold`), and not what is granted after a release; all where there is none.
    #[n(1)]
    pub(crate) up_to: Option<u64>,
    /// Where the last lease stands that was looked at; empty before the first, and where all of them end: those are found no more.
    #[cbor(n(2), with = "minicbor::bytes")]
    after: Vec<u8>,
}

impl Whose {
    /// All leases of somebody.
    pub(crate) fn all(id: [u8; 16]) -> Self {
        Whose { id, up_to: None, after: Vec::new() }
    }

    /// The leases of somebody that were granted up to a hold.
    fn held(id: [u8; 16], up_to: u64) -> Self {
        Whose { up_to: Some(up_to), ..Whose::all(id) }
    }

    fn includes(&self, lease: &Lease) -> bool {
        self.up_to.is_none_or(|hold| lease.hold <= hold)
    }
}

/// A connection whose leases end, and how far that has come.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct AtTarget {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    /// Where the last lease stands that was seen to; empty before the first. Behind it none is handed out any more.
    #[cbor(n(1), with = "minicbor::bytes")]
    after: Vec<u8>,
}

/// A token whose children's leases end, and how far that has come.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Family {
    #[cbor(n(0), with = "minicbor::bytes")]
    token: [u8; 16],
    /// Where the last child stands that was seen to; empty before the first.
    #[cbor(n(1), with = "minicbor::bytes")]
    after: Vec<u8>,
    /// As in [`Whose`].
    #[n(2)]
    up_to: u64,
}

/// What was ended by prefix.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Prefix {
    /// A folder of ids: ends in a slash, or is empty.
    #[n(0)]
    pub(crate) folder: String,
    #[n(1)]
    pub(crate) era: u64,
    /// They go whatever the target says.
    #[n(2)]
    pub(crate) forced: bool,
}

impl Chore {
    /// That of a connection that is gone.
    pub(crate) fn of_target(id: [u8; 16]) -> Self {
        Chore::Target(AtTarget { id, after: Vec::new() })
    }

    /// Notes a chore, through an overlay of its namespace.
    pub(crate) fn put(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let bytes = minicbor::to_vec(self).expect("encoding to memory cannot fail");
        let key = self.key(overlay);
        overlay.put(Kind::LeaseChore, key, &bytes)
    }

    /// Notes a chore, unless that was done.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn ensure(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        if self.is_there(overlay)? { Ok(()) } else { self.put(overlay) }
    }

    /// Strikes a chore off.
    pub(crate) fn delete(&self, overlay: &mut Overlay<'_>) {
        let key = self.key(overlay);
        overlay.delete(key);
    }

    /// Whether it is noted still. What is read here becomes an expectation.
    pub(crate) fn is_there(&self, overlay: &mut Overlay<'_>) -> Result<bool, BarrierError> {
        let key = self.key(overlay);
        Ok(overlay.get(Kind::LeaseChore, &key)?.is_some())
    }

    fn key(&self, overlay: &Overlay<'_>) -> Key {
        let digest = sha256(&[&minicbor::to_vec(self).expect("encoding to memory cannot fail")]);
        let mut member = [0; 16];
        member.copy_from_slice(&digest[..16]);
        overlay.barrier().member_key(Kind::LeaseChore, &[], &member)
    }

    /// Whether it ends a lease of its namespace, which was handed out by a token of the namespace or of one above.
    pub(crate) fn ends(&self, lease: &Lease) -> bool {
        match self {
            Chore::Token(whose) => lease.holder == whose.id && whose.includes(lease),
            Chore::Prefix(prefix) => lease.era <= prefix.era && lease.id.starts_with(&prefix.folder),
            Chore::Target(at) => lease.target == at.id,
            Chore::Entity(whose) => lease.entity.is_some_and(|of| of.id == whose.id) && whose.includes(lease),
            // Of a token that is held still, and of its descendants, no lease holds.
            Chore::Rotation(_) | Chore::Family(_) => false,
        }
    }

    /// Whether it ends a lease of a namespace below its own: only by whose that is.
    pub(crate) fn ends_from_above(&self, lease: &Lease) -> bool {
        matches!(self, Chore::Token(_) | Chore::Entity(_)) && self.ends(lease)
    }
}

/// The chores of a namespace. One that cannot be read may end any lease: whoever asks whether one holds is not answered.
pub(crate) fn all(overlay: &Overlay<'_>) -> Result<Vec<Chore>, BarrierError> {
    let (chores, unreadable) = readable(overlay)?;
    if unreadable == 0 { Ok(chores) } else { Err(BarrierError::Corrupt) }
}

/// The chores that can be read, and how many cannot: they hold up none of the others.
pub(crate) fn readable(overlay: &Overlay<'_>) -> Result<(Vec<Chore>, usize), BarrierError> {
    let mut chores = Vec::new();
    let unreadable = overlay.scan_readable(Kind::LeaseChore, &overlay.barrier().member_prefix(Kind::LeaseChore, &[]), |bytes| {
        chores.push(minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)?);
        Ok(true)
    })?;
    Ok((chores, unreadable))
}

/// Ends the leases of a token, in the commit that ends the token.
pub(crate) fn end_token(overlay: &mut Overlay<'_>, token: &TokenRef, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    // With its namespace goes the token; and that has no leases when it goes.
    let Some(barrier) = barrier_of(&token.namespace) else { return Ok(()) };
    overlay.within(&barrier, |overlay| {
        let key = holder_key(&barrier, &token.key);
        if overlay.get(Kind::LeaseHolder, &key)?.is_some() {
            overlay.delete(key);
            Chore::Token(Whose::all(token.key)).put(overlay)?;
        }
        Ok(())
    })
}

/// Ends the leases that a token was granted up to a hold. What it is granted after its release goes on.
fn hold_token(overlay: &mut Overlay<'_>, token: &TokenRef, up_to: u64, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    let Some(barrier) = barrier_of(&token.namespace) else { return Ok(()) };
    overlay.within(&barrier, |overlay| {
        if overlay.get(Kind::LeaseHolder, &holder_key(&barrier, &token.key))?.is_some() {
            Chore::Token(Whose::held(token.key, up_to)).put(overlay)?;
        }
        Ok(())
    })
}

/// Ends the leases of a token that is held still and of all its descendants: its own in this commit, those of the others by the chore that is
/// noted.
pub(crate) fn hold_family(overlay: &mut Overlay<'_>, token: &TokenRef, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    let (Some(root), Some(barrier)) = (barrier_of(&Id::ROOT), barrier_of(&token.namespace)) else { return Ok(()) };
    let up_to = overlay.within(&root, index::hold)?;
    hold_token(overlay, token, up_to, barrier_of)?;
    let family = Chore::Family(Family { token: token.key, after: Vec::new(), up_to });
    overlay.within(&barrier, |overlay| family.put(overlay))
}

/// Ends the leases of an entity that is held still, through an overlay of its namespace.
pub(crate) fn hold_entity(overlay: &mut Overlay<'_>, entity: [u8; 16], barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    let Some(root) = barrier_of(&Id::ROOT) else { return Ok(()) };
    let up_to = overlay.within(&root, index::hold)?;
    Chore::Entity(Whose::held(entity, up_to)).put(overlay)
}

/// Ends the leases of some children of a token, and notes what is left: further children, and the children's own.
pub(crate) fn end_children(overlay: &mut Overlay<'_>, family: &Family, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    let (children, are_all) = records::children_after(overlay, &family.token, place(&family.after), LEASE_PAGE_RECORDS_MAX)?;
    for (_, child) in &children {
        hold_token(overlay, child, family.up_to, barrier_of)?;
        let Some(barrier) = barrier_of(&child.namespace) else { continue };
        overlay.within(&barrier, |overlay| {
            let (some, _) = records::children_after(overlay, &child.key, None, 1)?;
            let family = Family { token: child.key, after: Vec::new(), up_to: family.up_to };
            if some.is_empty() { Ok(()) } else { Chore::Family(family).put(overlay) }
        })?;
    }
    Chore::Family(family.clone()).delete(overlay);
    match children.last() {
        Some((last, _)) if !are_all => Chore::Family(Family { after: last.as_bytes().to_vec(), ..family.clone() }).put(overlay),
        _ => Ok(()),
    }
}

/// Ends all leases below a folder of ids, through an overlay of their namespace; those that are granted from now on are of another era.
pub(crate) fn end_prefix(overlay: &mut Overlay<'_>, folder: &str, forced: bool) -> Result<Chore, BarrierError> {
    let era = era(overlay)?;
    let key = overlay.barrier().key(Kind::LeaseEra, &[]);
    overlay.put(Kind::LeaseEra, key, &(era + 1).to_le_bytes())?;
    let chore = Chore::Prefix(Prefix { folder: folder.to_owned(), era, forced });
    chore.put(overlay)?;
    Ok(chore)
}

/// The era of a namespace. What is read here becomes an expectation: a grant or a renewal that was told commits only while it lasts.
pub(crate) fn era(overlay: &mut Overlay<'_>) -> Result<u64, BarrierError> {
    let key = overlay.barrier().key(Kind::LeaseEra, &[]);
    let bytes = overlay.get(Kind::LeaseEra, &key)?;
    bytes.map_or(Ok(0), |bytes| bytes.as_slice().try_into().map(u64::from_le_bytes).map_err(|_| BarrierError::Corrupt))
}

/// Raises the era of a namespace to that of a lease, where it was lost: what is ended by prefix would not end that one.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) fn raise_era(overlay: &mut Overlay<'_>, least: u64) -> Result<(), BarrierError> {
    if era(overlay)? < least {
        let key = overlay.barrier().key(Kind::LeaseEra, &[]);
        overlay.put(Kind::LeaseEra, key, &least.to_le_bytes())?;
    }
    Ok(())
}

/// Whether a token's leases are noted, so that its end would end them. What is read here becomes an expectation.
pub(crate) fn is_held(overlay: &mut Overlay<'_>, lease: &Lease, barrier_of: BarrierOf<'_>) -> Result<bool, BarrierError> {
    let holder = lease.holder();
    let Some(barrier) = barrier_of(&holder.namespace) else { return Ok(false) };
    overlay.within(&barrier, |overlay| Ok(overlay.get(Kind::LeaseHolder, &holder_key(&barrier, &holder.key))?.is_some()))
}

/// Whether something ends a lease that was noted and not carried out yet, through an overlay of its namespace.
pub(crate) fn ends_already(overlay: &mut Overlay<'_>, lease: &Lease, barrier_of: BarrierOf<'_>) -> Result<bool, BarrierError> {
    era(overlay)?;
    if !is_held(overlay, lease, barrier_of)? {
        return Ok(true);
    }
    if all(overlay)?.iter().any(|chore| chore.ends(lease)) {
        return Ok(true);
    }
    for namespace in elsewhere(lease, overlay.barrier().namespace()) {
        // With its namespace goes the holder.
        let Some(barrier) = barrier_of(&namespace) else { continue };
        if overlay.within(&barrier, |overlay| all(overlay))?.iter().any(|chore| chore.ends_from_above(lease)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The namespaces, but for a lease's own, in which it may be noted that its holder or its entity was held still.
pub(crate) fn elsewhere(lease: &Lease, here: &Id) -> BTreeSet<Id> {
    let of_entity = lease.entity.map(|of| of.namespace);
    let all = [Some(lease.holder_namespace), of_entity].into_iter().flatten().map(Id::from_bytes);
    all.filter(|namespace| namespace != here).collect()
}

/// The leases that a chore ends and that go on as if it were not, at most some, and the chore as it is once they have ended, where it goes on as
/// another one; those among them that are not there any more are to be struck off. Through an overlay that only reads: a commit that expected what
/// a chore leaves alone would lose its races against whoever renews that. Whoever ends a lease reads it once more.
pub(crate) fn next_of(
    overlay: &mut Overlay<'_>,
    chore: &Chore,
    limit: usize,
    barrier_of: BarrierOf<'_>,
) -> Result<(Vec<super::LeaseRef>, Option<Chore>), BarrierError> {
    match chore {
        Chore::Token(Whose { id, up_to: None, .. }) => {
            let all = index::of_token_after(overlay, id, None, limit)?;
            Ok((all.into_iter().map(|(_, lease)| lease).collect(), None))
        }
        Chore::Token(whose) => {
            let page = index::of_token_after(overlay, &whose.id, place(&whose.after), LEASES_LOOKED_AT_MAX)?;
            let (found, next) = included(overlay, page, whose, limit, barrier_of)?;
            Ok((found, next.map(Chore::Token)))
        }
        Chore::Entity(whose) => {
            let page = index::of_entity_after(overlay, &whose.id, place(&whose.after), LEASES_LOOKED_AT_MAX)?;
            let (found, next) = included(overlay, page, whose, limit, barrier_of)?;
            Ok((found, next.map(Chore::Entity)))
        }
        Chore::Target(at) => {
            let page = index::given_at(overlay, &at.id, place(&at.after), limit)?;
            let next = page.last().map(|(last, _)| Chore::Target(AtTarget { after: last.as_bytes().to_vec(), ..at.clone() }));
            Ok((page.into_iter().map(|(_, lease)| lease).collect(), next))
        }
        Chore::Prefix(prefix) => Ok((below(overlay, prefix, limit)?, None)),
        Chore::Rotation(_) | Chore::Family(_) => Ok((Vec::new(), None)),
    }
}

/// A place in a scan that was noted; none before the first.
fn place(after: &[u8]) -> Option<Key> {
    (!after.is_empty()).then(|| Key::new(&[&after[..after.len().min(KEY_BYTES_MAX)]]))
}

/// Removes what leads from a chore to a lease that it has nothing to do with any more.
pub(crate) fn strike_off(overlay: &mut Overlay<'_>, chore: &Chore, lease: &super::LeaseRef) {
    match chore {
        Chore::Token(whose) => index::strike_off_token(overlay, &whose.id, lease),
        Chore::Entity(whose) => index::strike_off_entity(overlay, &whose.id, lease),
        Chore::Target(_) | Chore::Prefix(_) | Chore::Rotation(_) | Chore::Family(_) => {}
    }
}

/// The first of a page of leases that were not granted after a hold, and what is to be gone on with behind those that were looked at; what leads
/// nowhere is among them. What is granted meanwhile is of a later hold, so that nothing before that place is missed.
fn included(
    overlay: &mut Overlay<'_>,
    page: Vec<(Key, super::LeaseRef)>,
    whose: &Whose,
    limit: usize,
    barrier_of: BarrierOf<'_>,
) -> Result<(Vec<super::LeaseRef>, Option<Whose>), BarrierError> {
    let (mut found, mut last) = (Vec::new(), None);
    for (place, at) in page {
        let lease = match barrier_of(&at.namespace) {
            Some(barrier) => overlay.within(&barrier, |overlay| Lease::load(overlay, &at.key))?,
            None => None,
        };
        last = Some(place);
        if lease.is_none_or(|lease| whose.includes(&lease)) {
            found.push(at);
            if found.len() == limit {
                break;
            }
        }
    }
    Ok((found, last.map(|last| Whose { after: last.as_bytes().to_vec(), ..whose.clone() })))
}

fn below(overlay: &mut Overlay<'_>, prefix: &Prefix, limit: usize) -> Result<Vec<super::LeaseRef>, BarrierError> {
    let mut ids = Vec::new();
    let owners: &[_] = if prefix.forced { &[index::LIVE, index::ENDING] } else { &[index::LIVE] };
    for owner in owners {
        index::walk(overlay, owner, &prefix.folder, &mut |id| {
            ids.push(id.to_owned());
            Ok(true)
        })?;
    }
    if prefix.forced {
        index::each_begun(overlay, |_, id| {
            ids.extend(id.starts_with(&prefix.folder).then(|| id.to_owned()));
            Ok(true)
        })?;
        ids.sort_unstable();
        ids.dedup();
    }
    let mut found = Vec::new();
    for id in ids {
        let lease = super::LeaseRef::of(overlay.barrier(), &id);
        let goes = |lease: &Lease| match prefix.forced {
            true => !(lease.forced && lease.state == super::State::Ending),
            false => lease.state == super::State::Active,
        };
        let is_open = |lease: &Lease| lease.era <= prefix.era && goes(lease);
        if Lease::load(overlay, &lease.key)?.is_some_and(|lease| is_open(&lease)) {
            found.push(lease);
            if found.len() == limit {
                break;
            }
        }
    }
    Ok(found)
}

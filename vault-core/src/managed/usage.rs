//! What makes a rotation due by use: how often the current version was read, and which tokens have read it.
//!
//! A reader is a token, and the entity that it is of: what all tokens of an entity have read is noted once more under the entity, so that it leaves with all
//! of them in one step, whatever their number.

use super::index::Found;
use super::record::Managed;
use crate::auth::TokenRef;
use crate::auth::records::BarrierOf;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::crypto::sha256;
use crate::identity::EntityRef;
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::{CREDENTIALS_PER_ENTITY_MAX, CREDENTIALS_PER_READER_MAX};
use minicbor::{Decode, Encode};

/// What is to be done about a read of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) id: [u8; 16],
    /// After so many reads it is rotated; 0 for never.
    pub(crate) reads_max: u64,
    /// Who has read it is noted.
    pub(crate) notes_readers: bool,
}

/// What of its use has made a credential due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Use {
    #[n(0)]
    Reads,
    #[n(1)]
    ReaderLeft,
}

impl Use {
    /// As answers and the audit log spell it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Use::Reads => "reads",
            Use::ReaderLeft => "reader-left",
        }
    }
}

/// Since when a credential is due by its use, and by what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct UsedUp {
    /// Milliseconds since the Unix epoch.
    #[n(0)]
    pub(crate) since_millis: u64,
    #[n(1)]
    pub(crate) by: Use,
}

/// How often a version was read within a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Reads {
    #[n(0)]
    version: u64,
    /// The number that the next value had: a run that has begun begins to count anew.
    #[n(1)]
    run: u64,
    #[n(2)]
    count: u64,
}

/// A version of a credential that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct HasRead {
    /// The credential's namespace.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) namespace: [u8; 16],
    /// The credential.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    #[n(2)]
    pub(crate) version: u64,
}

/// Who has read something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Token(TokenRef),
    Entity(EntityRef),
}

impl Reader {
    fn credentials_max(&self) -> usize {
        match self {
            Reader::Token(_) => CREDENTIALS_PER_READER_MAX,
            Reader::Entity(_) => CREDENTIALS_PER_ENTITY_MAX,
        }
    }

    fn namespace(&self) -> &Id {
        match self {
            Reader::Token(token) => &token.namespace,
            Reader::Entity(entity) => &entity.namespace,
        }
    }
}

impl HasRead {
    /// Whether both are of the same credential.
    fn is_of(&self, other: &HasRead) -> bool {
        (self.namespace, self.id) == (other.namespace, other.id)
    }
}

/// How often the current version was read since it became that, or since a run began, as far as it is written down.
pub(crate) fn reads(overlay: &mut Overlay<'_>, managed: &Managed, version: u64) -> Result<u64, BarrierError> {
    let key = reads_key(overlay.barrier(), &managed.id);
    let Some(bytes) = overlay.get(Kind::ManagedReads, &key)? else { return Ok(0) };
    let reads: Reads = minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)?;
    Ok(if (reads.version, reads.run) == (version, managed.state.next_value) { reads.count } else { 0 })
}

/// Counts reads of the current version; how many there are with them.
pub(crate) fn add_reads(overlay: &mut Overlay<'_>, managed: &Managed, version: u64, more: u64) -> Result<u64, BarrierError> {
    let count = reads(overlay, managed, version)?.saturating_add(more);
    let reads = Reads { version, run: managed.state.next_value, count };
    let key = reads_key(overlay.barrier(), &managed.id);
    overlay.put(Kind::ManagedReads, key, &minicbor::to_vec(reads).expect("encoding to memory cannot fail"))?;
    Ok(count)
}

/// Removes what is counted of a credential that is gone.
pub(super) fn forget(overlay: &mut Overlay<'_>, id: &[u8; 16]) -> Result<(), BarrierError> {
    let key = reads_key(overlay.barrier(), id);
    if overlay.get(Kind::ManagedReads, &key)?.is_some() {
        overlay.delete(key);
    }
    Ok(())
}

/// Whether it is noted already that somebody has read a version, or the namespace of whoever that is is gone.
pub(crate) fn is_noted(
    overlay: &mut Overlay<'_>,
    reader: &Reader,
    read: &HasRead,
    barrier_of: BarrierOf<'_>,
) -> Result<bool, BarrierError> {
    let Some(barrier) = barrier_of(reader.namespace()) else { return Ok(true) };
    let key = reader_key(&barrier, reader);
    Ok(overlay.within(&barrier, |overlay| read_by(overlay, &key))?.contains(read))
}

/// Notes that somebody has read a version, which must be the current one: it takes the place of those that were read before, but for
/// those that `may_return`: they may become the current one again. Of what is too much for one reader the oldest counts as if it had left: it is not
/// forgotten that somebody knows it.
pub(crate) fn note_reader(
    overlay: &mut Overlay<'_>,
    reader: &Reader,
    (read, may_return): (HasRead, &[u64]),
    barrier_of: BarrierOf<'_>,
) -> Result<(), BarrierError> {
    let Some(barrier) = barrier_of(reader.namespace()) else { return Ok(()) };
    let key = reader_key(&barrier, reader);
    let mut all = overlay.within(&barrier, |overlay| read_by(overlay, &key))?;
    all.retain(|other| !other.is_of(&read) || may_return.contains(&other.version));
    // At the end, as the one that is read with it.
    all.sort_by_key(|other| other.is_of(&read));
    while all.iter().filter(|other| !other.is_of(&read)).count() >= reader.credentials_max() {
        put_left(overlay, all.remove(0), barrier_of)?;
    }
    all.push(read);
    let bytes = minicbor::to_vec(&all).expect("encoding to memory cannot fail");
    overlay.within(&barrier, |overlay| overlay.put(Kind::ManagedReader, key, &bytes))
}

/// Lets go of what somebody has read, in the commit that removes a token, or in which an entity is disabled or deleted: where it has `left` before
/// its time, what it has read is to be rotated.
pub(crate) fn end_reader(overlay: &mut Overlay<'_>, reader: &Reader, left: bool, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    // With its namespace it goes; and what it could read is there or below.
    let Some(barrier) = barrier_of(reader.namespace()) else { return Ok(()) };
    let key = reader_key(&barrier, reader);
    let all = overlay.within(&barrier, |overlay| read_by(overlay, &key))?;
    if all.is_empty() {
        return Ok(());
    }
    overlay.within(&barrier, |overlay| overlay.delete(key));
    all.into_iter().filter(|_| left).try_for_each(|read| put_left(overlay, read, barrier_of))
}

/// Versions of credentials of a namespace that were read by somebody who has left, some of them.
pub(crate) fn left(overlay: &Overlay<'_>, most: usize) -> Result<Found<HasRead>, BarrierError> {
    let mut all = Vec::new();
    let unreadable = overlay.scan_readable(Kind::ManagedLeft, &overlay.barrier().member_prefix(Kind::ManagedLeft, &[]), |bytes| {
        all.push(minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)?);
        Ok(all.len() < most)
    })?;
    Ok(Found { all, unreadable })
}

/// Strikes off that somebody has left, once that is seen to.
pub(crate) fn strike_off_left(overlay: &mut Overlay<'_>, read: &HasRead) {
    let key = left_key(overlay.barrier(), read);
    overlay.delete(key);
}

fn put_left(overlay: &mut Overlay<'_>, read: HasRead, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    let Some(barrier) = barrier_of(&Id::from_bytes(read.namespace)) else { return Ok(()) };
    let (key, bytes) = (left_key(&barrier, &read), minicbor::to_vec(read).expect("encoding to memory cannot fail"));
    overlay.within(&barrier, |overlay| overlay.put(Kind::ManagedLeft, key, &bytes))
}

fn read_by(overlay: &mut Overlay<'_>, key: &Key) -> Result<Vec<HasRead>, BarrierError> {
    let bytes = overlay.get(Kind::ManagedReader, key)?;
    bytes.map_or(Ok(Vec::new()), |bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt))
}

fn reads_key(barrier: &Barrier, id: &[u8; 16]) -> Key {
    barrier.key(Kind::ManagedReads, &[id])
}

fn reader_key(barrier: &Barrier, reader: &Reader) -> Key {
    match reader {
        Reader::Token(token) => barrier.key(Kind::ManagedReader, &[b"token", &token.key]),
        Reader::Entity(entity) => barrier.key(Kind::ManagedReader, &[b"entity", entity.id.as_bytes()]),
    }
}

fn left_key(barrier: &Barrier, read: &HasRead) -> Key {
    let mut member = [0; 16];
    member.copy_from_slice(&sha256(&[&read.id, &read.version.to_le_bytes()])[..16]);
    barrier.member_key(Kind::ManagedLeft, &[], &member)
}

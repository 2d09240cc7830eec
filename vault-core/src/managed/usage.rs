//! What makes a rotation due by use: how often the current version was read, and which tokens have read it.
//!
//! A reader is a token, and the entity that it is of: what all tokens of an entity have read is noted once more under the entity, so that it leaves with all
//! of them in one step, whatever their number. Each credential that it has read has a note of its own, so that there may be any number of them; a sign
//! beside them says that there are some. Once a reader is gone, which takes the sign away, `tick` goes through its notes.

use super::index::Found;
use super::record::Managed;
use crate::auth::TokenRef;
use crate::auth::records::BarrierOf;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::crypto::sha256;
use crate::identity::EntityRef;
use crate::storage::Key;
use crate::types::id::Id;
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

/// A reader who is gone, and whose notes are to be gone through.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Gone {
    /// The reader's namespace.
    #[cbor(n(0), with = "minicbor::bytes")]
    namespace: [u8; 16],
    /// What its notes are named by.
    #[cbor(n(1), with = "minicbor::bytes")]
    group: Vec<u8>,
    /// It has left before its time: what it has read is to be rotated.
    #[n(2)]
    left: bool,
}

impl Reader {
    /// What its notes are named by.
    fn group(&self) -> Vec<u8> {
        match self {
            Reader::Token(token) => [b"token", &token.key[..]].concat(),
            Reader::Entity(entity) => [b"entity", &entity.id.as_bytes()[..]].concat(),
        }
    }

    fn namespace(&self) -> &Id {
        match self {
            Reader::Token(token) => &token.namespace,
            Reader::Entity(entity) => &entity.namespace,
        }
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
    let key = note_key(&barrier, reader, read);
    Ok(overlay.within(&barrier, |overlay| noted(overlay, &key))?.contains(read))
}

/// Notes that somebody has read a version, which must be the current one: it takes the place of those that were read before, but for
/// those that `may_return`: they may become the current one again.
pub(crate) fn note_reader(
    overlay: &mut Overlay<'_>,
    reader: &Reader,
    (read, may_return): (HasRead, &[u64]),
    barrier_of: BarrierOf<'_>,
) -> Result<(), BarrierError> {
    let Some(barrier) = barrier_of(reader.namespace()) else { return Ok(()) };
    let (sign, key) = (sign_key(&barrier, reader), note_key(&barrier, reader, &read));
    overlay.within(&barrier, |overlay| {
        let mut versions = noted(overlay, &key)?;
        versions.retain(|other| other.version != read.version && may_return.contains(&other.version));
        versions.push(read);
        // Read, so that whoever ends the reader at the same time knows of the notes.
        if overlay.get(Kind::ManagedReader, &sign)?.is_none() {
            overlay.put(Kind::ManagedReader, sign, &[])?;
        }
        overlay.put(Kind::ManagedReader, key, &minicbor::to_vec(&versions).expect("encoding to memory cannot fail"))
    })
}

/// Lets go of what somebody has read, in the commit that removes a token, or in which an entity is disabled or deleted: where it has `left` before
/// its time, what it has read is to be rotated.
pub(crate) fn end_reader(overlay: &mut Overlay<'_>, reader: &Reader, left: bool, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    // With its namespace it goes; and what it could read is there or below.
    let (Some(barrier), Some(root)) = (barrier_of(reader.namespace()), barrier_of(&Id::ROOT)) else { return Ok(()) };
    let sign = sign_key(&barrier, reader);
    if overlay.within(&barrier, |overlay| overlay.get(Kind::ManagedReader, &sign))?.is_none() {
        return Ok(());
    }
    overlay.within(&barrier, |overlay| overlay.delete(sign));
    let gone = Gone { namespace: *reader.namespace().as_bytes(), group: reader.group(), left };
    let (key, bytes) = (gone_key(&root, &gone), minicbor::to_vec(&gone).expect("encoding to memory cannot fail"));
    overlay.within(&root, |overlay| overlay.put(Kind::ManagedReaderGone, key, &bytes))
}

/// One of the readers who are gone and whose notes were not all gone through, on an overlay of the root namespace.
pub(crate) fn next_gone(overlay: &Overlay<'_>) -> Result<Found<Gone>, BarrierError> {
    let mut all = Vec::new();
    let prefix = overlay.barrier().member_prefix(Kind::ManagedReaderGone, &[]);
    let unreadable = overlay.scan_readable(Kind::ManagedReaderGone, &prefix, |bytes| {
        all.push(minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)?);
        Ok(false)
    })?;
    Ok(Found { all, unreadable })
}

/// Goes through so many notes of a reader who is gone, on an overlay of the root namespace: they are removed, and what is to be rotated is noted; those
/// notes, and how many cannot be read.
pub(crate) fn end_notes(
    overlay: &mut Overlay<'_>,
    gone: &Gone,
    most: usize,
    barrier_of: BarrierOf<'_>,
) -> Result<Found<HasRead>, BarrierError> {
    let mut found = Found { all: Vec::new(), unreadable: 0 };
    let mut are_none = true;
    if let Some(barrier) = barrier_of(&Id::from_bytes(gone.namespace)) {
        overlay.within(&barrier, |overlay| {
            let prefix = barrier.member_prefix(Kind::ManagedReader, &gone.group);
            let mut some = Vec::new();
            found.unreadable = overlay.scan_readable(Kind::ManagedReader, &prefix, |bytes| {
                let versions: Vec<HasRead> = minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)?;
                some.extend(versions.first().copied());
                Ok(some.len() < most)
            })?;
            are_none = some.is_empty();
            for read in some {
                let key = barrier.member_key(Kind::ManagedReader, &gone.group, &credential_name(&read));
                // Read once more, so that none is missed which is noted meanwhile.
                found.all.extend(noted(overlay, &key)?);
                overlay.delete(key);
            }
            Ok::<_, BarrierError>(())
        })?;
    }
    // Not where another call has removed all of these meanwhile: there may be more behind them.
    if are_none {
        let key = gone_key(overlay.barrier(), gone);
        overlay.delete(key);
    }
    found.all.iter().filter(|_| gone.left).try_for_each(|read| put_left(overlay, *read, barrier_of))?;
    Ok(found)
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

/// The versions of one credential that somebody has read.
fn noted(overlay: &mut Overlay<'_>, key: &Key) -> Result<Vec<HasRead>, BarrierError> {
    let bytes = overlay.get(Kind::ManagedReader, key)?;
    bytes.map_or(Ok(Vec::new()), |bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt))
}

fn reads_key(barrier: &Barrier, id: &[u8; 16]) -> Key {
    barrier.key(Kind::ManagedReads, &[id])
}

fn sign_key(barrier: &Barrier, reader: &Reader) -> Key {
    barrier.key(Kind::ManagedReader, &[&reader.group()])
}

fn note_key(barrier: &Barrier, reader: &Reader, read: &HasRead) -> Key {
    barrier.member_key(Kind::ManagedReader, &reader.group(), &credential_name(read))
}

fn credential_name(read: &HasRead) -> [u8; 16] {
    short(&[&read.namespace, &read.id])
}

fn gone_key(root: &Barrier, gone: &Gone) -> Key {
    root.member_key(Kind::ManagedReaderGone, &[], &short(&[&gone.namespace, &gone.group]))
}

fn left_key(barrier: &Barrier, read: &HasRead) -> Key {
    barrier.member_key(Kind::ManagedLeft, &[], &short(&[&read.id, &read.version.to_le_bytes()]))
}

fn short(parts: &[&[u8]]) -> [u8; 16] {
    *sha256(parts).first_chunk().expect("a hash of 32 bytes")
}

//! A sealed segment: the tail's events in one immutable, encrypted file beside the store, and the entry in the store that vouches for it.
//!
//! `nonce (12) | ciphertext | tag (16)`, under a key of the segment's own, which its entry holds: a roll of the data keys re-encrypts entries,
//! and no file.

use super::Chain;
use crate::barrier::{Barrier, BarrierError, Kind};
use crate::crypto::{AeadKey, Key256, Nonce, sha256};
use crate::storage::Key;
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, Zeroizing};

/// The store's entry for a segment.
#[derive(Encode, Decode)]
pub(crate) struct SegmentEntry {
    /// The number of the segment's first event.
    #[n(0)]
    pub(crate) first_sequence: u64,
    /// The number of its last event.
    #[n(1)]
    pub(crate) last_sequence: u64,
    /// The chain's head after its last event.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) head: [u8; 32],
    /// SHA-256 of the file.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) file_hash: [u8; 32],
    /// The time of its last event, in milliseconds since the Unix epoch.
    #[n(21)]
    pub(crate) last_millis: u64,
    /// What the file is encrypted under.
    #[cbor(n(20), with = "minicbor::bytes")]
    key: [u8; 32],
}

impl Drop for SegmentEntry {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl SegmentEntry {
    /// Seals the events of a chunk, given in parts, into segment `index`: the file's content, and its entry.
    pub(crate) fn seal(
        barrier: &Barrier,
        index: u64,
        chunk: &[&[u8]],
        first_sequence: u64,
        end: Chain,
        last_millis: u64,
    ) -> Result<(Vec<u8>, SegmentEntry), BarrierError> {
        let key = Key256::random(barrier.rng())?;
        let nonce = Nonce::random(barrier.rng())?;
        let mut content = nonce.as_bytes().to_vec();
        AeadKey::new(&key).seal(nonce, &context(barrier, index), chunk, &mut content);
        let file_hash = sha256(&[&content]);
        Ok((
            content,
            SegmentEntry { first_sequence, last_sequence: end.sequence, head: end.head, file_hash, last_millis, key: *key.expose() },
        ))
    }

    /// Opens the file of segment `index`.
    pub(crate) fn open(&self, barrier: &Barrier, index: u64, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, BarrierError> {
        if sha256(&[content]) != self.file_hash {
            return Err(BarrierError::Corrupt);
        }
        let (nonce, sealed) = content.split_first_chunk::<12>().ok_or(BarrierError::Corrupt)?;
        let key = AeadKey::new(&Key256::from_bytes(&self.key));
        key.open(nonce, &context(barrier, index), sealed).map_err(|_| BarrierError::Corrupt)
    }

    /// Where the entry of segment `index` lies in the store.
    pub(crate) fn key(barrier: &Barrier, index: u64) -> Key {
        barrier.key(Kind::AuditSegmentEntry, &[&index.to_le_bytes()])
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        minicbor::encode(self, &mut *bytes).expect("encoding to memory cannot fail");
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }
}

/// What a segment is bound to: its store and its place in the log.
fn context(barrier: &Barrier, index: u64) -> Vec<u8> {
    [&b"libvault v0 audit segment"[..], barrier.store().as_bytes(), &index.to_le_bytes()].concat()
}

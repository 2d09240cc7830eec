//! The record format: AES-256-GCM-SIV, bound by its associated data to store, namespace, kind and storage key.
//!
//! `format (1) | suite (1) | data-key id (4, little-endian) | nonce (12) | ciphertext | tag (16)`

use super::BarrierError;
use crate::crypto::{Keyring, Nonce};
use crate::host::Rng;
use crate::storage::{KEY_BYTES_MAX, Key};
use crate::types::id::Id;
use crate::types::limits::{KEY_MESSAGES_MAX, RECORD_BYTES_MAX};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

const FORMAT: u8 = 0;
const SUITE_AES_256_GCM_SIV: u8 = 1;
const NONCE_AT: usize = 6;
const BODY_AT: usize = NONCE_AT + 12;
const TAG_BYTES: usize = 16;

/// What a record is. The number stands in the associated data and in names, never in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    Root = 1,
    MountTable = 2,
    Policy = 3,
    FolderEntry = 4,
    Token = 5,
    Accessor = 6,
    TokenChild = 7,
    Due = 8,
    TickState = 9,
    KvHead = 10,
    KvVersion = 11,
    AuditTail = 12,
    AuditSegment = 13,
    AuditSegmentEntry = 14,
}

/// Encrypts and decrypts the records of one namespace.
pub(crate) struct Barrier {
    store: Id,
    namespace: Id,
    keyring: Keyring,
    rng: Arc<dyn Rng>,
    /// Messages under the primary data key, those of earlier openings included.
    messages: AtomicU64,
}

impl Barrier {
    pub(crate) fn new(store: Id, namespace: Id, keyring: Keyring, rng: Arc<dyn Rng>) -> Self {
        Barrier { store, namespace, keyring, rng, messages: AtomicU64::new(0) }
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(crate) fn namespace(&self) -> &Id {
        &self.namespace
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        &*self.rng
    }

    /// Messages under the primary data key so far.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Goes on counting from what the root record says.
    pub(crate) fn resume_messages(&self, count: u64) {
        self.messages.fetch_add(count, Ordering::Relaxed);
    }

    /// The record of a plaintext.
    pub(crate) fn seal(&self, kind: Kind, key: &Key, plaintext: &[u8]) -> Result<Vec<u8>, BarrierError> {
        if plaintext.len() > RECORD_BYTES_MAX && kind != Kind::AuditSegment {
            return Err(BarrierError::TooLarge);
        }
        if self.messages.fetch_add(1, Ordering::Relaxed) >= KEY_MESSAGES_MAX {
            return Err(BarrierError::KeyExhausted);
        }
        let (key_id, data_key) = self.keyring.primary();
        let nonce = Nonce::random(&*self.rng)?;
        let mut record = Vec::with_capacity(BODY_AT + plaintext.len() + TAG_BYTES);
        record.push(FORMAT);
        record.push(SUITE_AES_256_GCM_SIV);
        record.extend_from_slice(&key_id.to_le_bytes());
        record.extend_from_slice(nonce.as_bytes());
        data_key.seal(nonce, self.associated_data(kind, key, key_id).as_bytes(), plaintext, &mut record);
        Ok(record)
    }

    /// The plaintext of a record.
    pub(crate) fn open(&self, kind: Kind, key: &Key, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, BarrierError> {
        if record.len() < BODY_AT + TAG_BYTES || record[0] != FORMAT || record[1] != SUITE_AES_256_GCM_SIV {
            return Err(BarrierError::Corrupt);
        }
        let key_id = u32::from_le_bytes([record[2], record[3], record[4], record[5]]);
        let data_key = self.keyring.data_key(key_id).ok_or(BarrierError::Corrupt)?;
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&record[NONCE_AT..BODY_AT]);
        let aad = self.associated_data(kind, key, key_id);
        data_key.open(&nonce, aad.as_bytes(), &record[BODY_AT..]).map_err(|_| BarrierError::Corrupt)
    }

    /// Every field that gives a record its meaning. All fields but the last have a fixed length, so that no two tuples share an encoding.
    fn associated_data(&self, kind: Kind, key: &Key, key_id: u32) -> AssociatedData {
        let mut aad = AssociatedData { len: 0, bytes: [0; AAD_BYTES_MAX] };
        for part in [
            &[FORMAT, SUITE_AES_256_GCM_SIV][..],
            self.store.as_bytes(),
            self.namespace.as_bytes(),
            &(kind as u16).to_le_bytes(),
            &key_id.to_le_bytes(),
            key.as_bytes(),
        ] {
            aad.bytes[aad.len..aad.len + part.len()].copy_from_slice(part);
            aad.len += part.len();
        }
        aad
    }
}

const AAD_BYTES_MAX: usize = 2 + 16 + 16 + 2 + 4 + KEY_BYTES_MAX;

struct AssociatedData {
    len: usize,
    bytes: [u8; AAD_BYTES_MAX],
}

impl AssociatedData {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::SystemRng;

    fn barrier(store: u8, namespace: u8, keyring: Keyring) -> Barrier {
        Barrier::new(Id::from_bytes([store; 16]), Id::from_bytes([namespace; 16]), keyring, Arc::new(SystemRng::new()))
    }

    #[test]
    fn a_record_opens_only_as_what_it_is_where_it_lies() {
        let rng = SystemRng::new();
        let keyring = Keyring::generate(&rng).expect("randomness");
        let again = || Keyring::from_bytes(&keyring.to_bytes()).expect("own bytes");
        let here = barrier(1, 0, again());
        let key = Key::new(&[b"k"]);
        let record = here.seal(Kind::KvHead, &key, b"plain").expect("sealed");
        assert_eq!(&**here.open(Kind::KvHead, &key, &record).expect("opened"), b"plain");
        assert!(here.open(Kind::KvVersion, &key, &record).is_err(), "another kind");
        assert!(here.open(Kind::KvHead, &Key::new(&[b"l"]), &record).is_err(), "another place");
        assert!(barrier(2, 0, again()).open(Kind::KvHead, &key, &record).is_err(), "another store");
        assert!(barrier(1, 1, again()).open(Kind::KvHead, &key, &record).is_err(), "another namespace");
        let other = Keyring::generate(&rng).expect("randomness");
        assert!(barrier(1, 0, other).open(Kind::KvHead, &key, &record).is_err(), "another key");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let here = barrier(1, 0, Keyring::generate(&SystemRng::new()).expect("randomness"));
        let key = Key::new(&[b"k"]);
        let record = here.seal(Kind::KvHead, &key, b"some plaintext").expect("sealed");
        for bit in 0..record.len() * 8 {
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(here.open(Kind::KvHead, &key, &bad).is_err(), "bit {bit}");
        }
        for len in 0..record.len() {
            assert!(here.open(Kind::KvHead, &key, &record[..len]).is_err(), "length {len}");
        }
    }
}

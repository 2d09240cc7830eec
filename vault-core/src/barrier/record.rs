//! The record format: AES-256-GCM-SIV, bound by its associated data to store, namespace and storage key, and by its plaintext to its kind.
//!
//! `format (1) | suite (1) | data-key id (4, little-endian) | nonce (12) | ciphertext | tag (16)`, where the plaintext ends in its kind
//! (2, little-endian): nobody sees from outside what a record is, and a scan under a new data key can still read it.

use super::BarrierError;
use crate::crypto::{Keyring, Nonce};
use crate::host::Rng;
use crate::storage::{KEY_BYTES_MAX, Key};
use crate::types::id::Id;
use crate::types::limits::{KEY_MESSAGES_MAX, RECORD_BYTES_MAX};
use crate::types::{Wiped, WipedBytes};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const FORMAT: u8 = 0;
const SUITE_AES_256_GCM_SIV: u8 = 1;
const NONCE_AT: usize = 6;
const BODY_AT: usize = NONCE_AT + 12;
const TAG_BYTES: usize = 16;
const KIND_BYTES: usize = 2;

/// What a record is. The number stands under the encryption and in names, never in the clear.
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
    AuditSegmentEntry = 14,
    KvConfig = 20,
    KvPlain = 21,
    Cubbyhole = 22,
    CubbyholeOwner = 23,
    MountSign = 24,
    Removal = 25,
    KvLeftover = 26,
    TokenLastChild = 27,
    VersionHistory = 28,
    Reencryption = 30,
    RotationPolicy = 31,
    AuditBase = 32,
    AuditCursor = 33,
    AuditRetention = 34,
    Entity = 35,
    EntityAlias = 36,
    Group = 37,
    IdentityName = 38,
    GroupsOfMember = 39,
    NamespaceTable = 40,
    NamespaceKeyring = 41,
    KeyMessages = 42,
    NamespaceEntry = 43,
    TokenUses = 50,
    TokenRole = 51,
    Wrapped = 52,
    DueMinute = 53,
    TokenDoom = 54,
    PasswordPolicy = 60,
    Quotas = 61,
    AuthTuning = 62,
    Lease = 70,
    LeaseOfToken = 71,
    LeaseOfTarget = 72,
    LeaseDue = 73,
    LeaseQueue = 74,
    LeaseStuck = 75,
    LeaseHolder = 76,
    LeaseChore = 77,
    LeaseEra = 78,
    LeaseMark = 79,
    LeaseQuota = 80,
    DatabaseConnection = 81,
    DatabaseName = 82,
    DatabaseRole = 83,
    DatabaseMount = 84,
    LeaseBegun = 85,
    Managed = 88,
    ManagedName = 89,
    ManagedDue = 90,
    ManagedMark = 91,
    ManagedAsked = 92,
    ManagedStuck = 93,
    ManagedOfTarget = 94,
    ManagedAll = 95,
    ManagedOfAccount = 96,
    ManagedReads = 97,
    ManagedReader = 98,
    ManagedLeft = 99,
    LeaseOfEntity = 100,
    SharedAccount = 101,
    SharedSlot = 102,
    LeaseOfShared = 103,
    ManagedReaderGone = 104,
}

/// Encrypts and decrypts the records of one namespace.
pub(crate) struct Barrier {
    store: Id,
    namespace: Id,
    keyring: Keyring,
    rng: Arc<dyn Rng>,
    /// The namespace was deleted: nothing is committed under its keys any more.
    ended: AtomicBool,
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Barrier([redacted])")
    }
}

impl Barrier {
    pub(crate) fn new(store: Id, namespace: Id, keyring: Keyring, rng: Arc<dyn Rng>) -> Self {
        Barrier { store, namespace, keyring, rng, ended: AtomicBool::new(false) }
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(crate) fn namespace(&self) -> &Id {
        &self.namespace
    }

    /// Lets nothing be committed under these keys any more, once it is durable that their namespace is gone.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether the namespace was deleted.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        &*self.rng
    }

    /// The same randomness, for another barrier.
    pub(crate) fn shared_rng(&self) -> Arc<dyn Rng> {
        Arc::clone(&self.rng)
    }

    /// The store that the records belong to.
    pub(crate) fn store(&self) -> &Id {
        &self.store
    }

    /// The record of a plaintext.
    pub(crate) fn seal(&self, kind: Kind, key: &Key, plaintext: &[u8]) -> Result<Vec<u8>, BarrierError> {
        if plaintext.len() > RECORD_BYTES_MAX {
            return Err(BarrierError::TooLarge);
        }
        self.seal_raw(key, plaintext, &(kind as u16).to_le_bytes())
    }

    /// The same content under the primary data key, whatever kind it is of.
    pub(crate) fn reseal(&self, key: &Key, record: &[u8]) -> Result<Vec<u8>, BarrierError> {
        let plaintext = self.open_raw(key, record.to_vec())?;
        let (body, kind) = plaintext.split_last_chunk::<KIND_BYTES>().ok_or(BarrierError::Corrupt)?;
        self.seal_raw(key, body, kind)
    }

    /// The plaintext of a record.
    pub(crate) fn open(&self, kind: Kind, key: &Key, record: &[u8]) -> Result<WipedBytes, BarrierError> {
        self.open_owned(kind, key, record.to_vec())
    }

    /// As above, in the record's own buffer.
    pub(crate) fn open_owned(&self, kind: Kind, key: &Key, record: Vec<u8>) -> Result<WipedBytes, BarrierError> {
        let mut plaintext = self.open_raw(key, record)?;
        match plaintext.split_last_chunk::<KIND_BYTES>() {
            Some((body, found)) if *found == (kind as u16).to_le_bytes() => {
                let len = body.len();
                plaintext.narrow(0..len);
                Ok(plaintext)
            }
            _ => Err(BarrierError::Corrupt),
        }
    }

    /// The number of a record's kind.
    pub(crate) fn kind_of(&self, key: &Key, record: &[u8]) -> Result<u16, BarrierError> {
        let plaintext = self.open_raw(key, record.to_vec())?;
        plaintext.last_chunk::<KIND_BYTES>().map(|kind| u16::from_le_bytes(*kind)).ok_or(BarrierError::Corrupt)
    }

    /// Whether a record is under the data key that encrypts now.
    pub(crate) fn is_current(&self, record: &[u8]) -> bool {
        data_key_of(record) == Some(self.keyring.data_keys().primary().id())
    }

    fn seal_raw(&self, key: &Key, body: &[u8], kind: &[u8; KIND_BYTES]) -> Result<Vec<u8>, BarrierError> {
        let data_keys = self.keyring.data_keys();
        let primary = data_keys.primary();
        if primary.count(1) >= KEY_MESSAGES_MAX {
            return Err(BarrierError::KeyExhausted);
        }
        let nonce = Nonce::random(&*self.rng)?;
        let mut record = Vec::with_capacity(BODY_AT + body.len() + KIND_BYTES + TAG_BYTES);
        record.push(FORMAT);
        record.push(SUITE_AES_256_GCM_SIV);
        record.extend_from_slice(&primary.id().to_le_bytes());
        record.extend_from_slice(nonce.as_bytes());
        primary.aead().seal(nonce, self.associated_data(key, primary.id()).as_bytes(), &[body, kind], &mut record);
        Ok(record)
    }

    fn open_raw(&self, key: &Key, record: Vec<u8>) -> Result<WipedBytes, BarrierError> {
        let key_id = data_key_of(&record).ok_or(BarrierError::Corrupt)?;
        let data_keys = self.keyring.data_keys();
        let data_key = data_keys.get(key_id).ok_or(BarrierError::Corrupt)?;
        let aad = self.associated_data(key, key_id);
        // Decrypted where it lies: wiped from here on, whatever happens.
        let mut record = Wiped::new(record);
        let (front, tag) = record.split_last_chunk_mut::<TAG_BYTES>().ok_or(BarrierError::Corrupt)?;
        let (head, body) = front.split_at_mut(BODY_AT);
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&head[NONCE_AT..]);
        data_key.aead().open_in_place(&nonce, aad.as_bytes(), body, tag).map_err(|_| BarrierError::Corrupt)?;
        let end = record.len() - TAG_BYTES;
        let mut plaintext = WipedBytes::from(record);
        plaintext.narrow(BODY_AT..end);
        Ok(plaintext)
    }

    /// Every field that gives a record its meaning but its kind, which its plaintext ends in. All fields but the last have a fixed length, so that no two tuples share an encoding.
    fn associated_data(&self, key: &Key, key_id: u32) -> AssociatedData {
        let mut aad = AssociatedData { len: 0, bytes: [0; AAD_BYTES_MAX] };
        for part in
            [&[FORMAT, SUITE_AES_256_GCM_SIV][..], self.store.as_bytes(), self.namespace.as_bytes(), &key_id.to_le_bytes(), key.as_bytes()]
        {
            aad.bytes[aad.len..aad.len + part.len()].copy_from_slice(part);
            aad.len += part.len();
        }
        aad
    }
}

/// The id of the data key that a record is under, when it has the form of one.
pub(crate) fn data_key_of(record: &[u8]) -> Option<u32> {
    if record.len() < BODY_AT + KIND_BYTES + TAG_BYTES || record[0] != FORMAT || record[1] != SUITE_AES_256_GCM_SIV {
        return None;
    }
    Some(u32::from_le_bytes([record[2], record[3], record[4], record[5]]))
}

const AAD_BYTES_MAX: usize = 2 + 16 + 16 + 4 + KEY_BYTES_MAX;

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
        let keyring = Keyring::generate(&rng, 1, 0).expect("randomness");
        let again = || Keyring::from_bytes(&keyring.to_bytes(&keyring.data_keys())).expect("own bytes");
        let here = barrier(1, 0, again());
        let key = Key::new(&[b"k"]);
        let record = here.seal(Kind::KvHead, &key, b"plain").expect("sealed");
        assert_eq!(&*here.open(Kind::KvHead, &key, &record).expect("opened"), b"plain");
        assert!(here.open(Kind::KvVersion, &key, &record).is_err(), "another kind");
        assert!(here.open(Kind::KvHead, &Key::new(&[b"l"]), &record).is_err(), "another place");
        assert!(barrier(2, 0, again()).open(Kind::KvHead, &key, &record).is_err(), "another store");
        assert!(barrier(1, 1, again()).open(Kind::KvHead, &key, &record).is_err(), "another namespace");
        let other = Keyring::generate(&rng, 1, 0).expect("randomness");
        assert!(barrier(1, 0, other).open(Kind::KvHead, &key, &record).is_err(), "another key");
    }

    #[test]
    fn after_a_roll_old_records_open_until_their_key_is_retired() {
        let rng = SystemRng::new();
        let here = barrier(1, 0, Keyring::generate(&rng, 1, 0).expect("randomness"));
        let key = Key::new(&[b"k"]);
        let old = here.seal(Kind::KvHead, &key, b"plain").expect("sealed");
        let rolled = here.keyring().data_keys().rolled(&rng, 2, 1).expect("randomness").expect("room");
        here.keyring().publish(rolled);
        assert!(!here.is_current(&old));
        assert_eq!(here.kind_of(&key, &old).expect("opened"), Kind::KvHead as u16);
        let new = here.reseal(&key, &old).expect("resealed");
        assert!(here.is_current(&new));
        let alone = here.keyring().data_keys().without_succeeded(2);
        here.keyring().publish(alone);
        assert_eq!(&*here.open(Kind::KvHead, &key, &old).expect("a reader may hold it still"), b"plain");
        let bytes = here.keyring().to_bytes(&here.keyring().data_keys());
        let reopened = barrier(1, 0, Keyring::from_bytes(&bytes).expect("own bytes"));
        assert_eq!(&*reopened.open(Kind::KvHead, &key, &new).expect("opened"), b"plain");
        assert!(reopened.open(Kind::KvHead, &key, &old).is_err(), "its key is retired");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let here = barrier(1, 0, Keyring::generate(&SystemRng::new(), 1, 0).expect("randomness"));
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

//! The keys of a namespace: the data keys that encrypt its records, and the keys that name, hash and compare.

use super::{AeadKey, CryptoError, Key256, Label, MacKey, derive};
use crate::host::{Rng, RngError};
use arc_swap::ArcSwap;
use minicbor::{Decode, Encode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// Most data keys of one keyring.
const DATA_KEYS_MAX: usize = 64;
/// Retired data keys that are held until the vault is sealed.
const RETIRED_HELD_MAX: usize = 16;
/// Upper bound of the encoding of one data key and of the rest, in bytes.
const DATA_KEY_BYTES: usize = 64;
const REST_BYTES: usize = 6 * 36 + 16;

/// A data key's place in its life. One that encrypts nothing any more is no longer in the keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
enum State {
    /// Encrypts and decrypts.
    #[n(0)]
    Primary,
    /// Decrypts what it encrypted before.
    #[n(1)]
    Enabled,
}

/// One data key.
pub(crate) struct DataKey {
    id: u32,
    /// When it was made, in milliseconds since the Unix epoch.
    made_millis: u64,
    raw: Key256,
    aead: AeadKey,
    /// Messages that it has encrypted, those of earlier openings included.
    messages: AtomicU64,
    /// As many of them as the store knows of.
    noted: AtomicU64,
}

/// The data keys of a keyring.
#[derive(Clone)]
pub(crate) struct DataKeys {
    /// The first is the primary one, which encrypts.
    live: Vec<Arc<DataKey>>,
    /// Those that were retired last, until the vault is sealed: a reader may still hold a record, or a snapshot, from before.
    retired: Vec<Arc<DataKey>>,
}

struct Named {
    raw: Key256,
    mac: MacKey,
}

/// The keys of a namespace.
pub(crate) struct Keyring {
    /// Swapped when the keyring is rolled; all else stays for the life of the store.
    data_keys: ArcSwap<DataKeys>,
    names: Named,
    token_hash: Named,
    digest: Named,
    head: Named,
    audit: Named,
    /// The keys that sign checkpoints are derived from it, and the one below.
    checkpoint: Key256,
    /// Encrypts batch tokens; derived, so that it stands in no record.
    batch: AeadKey,
}

#[derive(Encode, Decode)]
struct KeyringRecord<'b> {
    #[b(0)]
    data_keys: Vec<DataKeyRecord<'b>>,
    #[cbor(b(1), with = "minicbor::bytes")]
    names: &'b [u8],
    #[cbor(b(2), with = "minicbor::bytes")]
    token_hash: &'b [u8],
    #[cbor(b(3), with = "minicbor::bytes")]
    digest: &'b [u8],
    #[cbor(b(4), with = "minicbor::bytes")]
    head: &'b [u8],
    #[cbor(b(5), with = "minicbor::bytes")]
    audit: &'b [u8],
    #[cbor(b(6), with = "minicbor::bytes")]
    checkpoint: &'b [u8],
}

#[derive(Encode, Decode)]
struct DataKeyRecord<'b> {
    #[n(0)]
    id: u32,
    #[n(1)]
    state: State,
    #[cbor(b(2), with = "minicbor::bytes")]
    raw: &'b [u8],
    #[n(3)]
    made_millis: u64,
}

impl Keyring {
    /// A new keyring with one data key of this number.
    pub(crate) fn generate(rng: &dyn Rng, id: u32, now_millis: u64) -> Result<Self, RngError> {
        let named = || Key256::random(rng).map(Named::new);
        let checkpoint = Key256::random(rng)?;
        Ok(Keyring {
            data_keys: ArcSwap::from_pointee(DataKeys::of(vec![Arc::new(DataKey::new(id, now_millis, Key256::random(rng)?))])),
            names: named()?,
            token_hash: named()?,
            digest: named()?,
            head: named()?,
            audit: named()?,
            batch: batch_key(&checkpoint),
            checkpoint,
        })
    }

    /// The keyring as it is wrapped, with these data keys: a buffer that wipes itself and was never moved.
    pub(crate) fn to_bytes(&self, data_keys: &DataKeys) -> Zeroizing<Vec<u8>> {
        let rows = data_keys.live.iter().enumerate().map(|(index, key)| DataKeyRecord {
            id: key.id,
            state: if index == 0 { State::Primary } else { State::Enabled },
            raw: key.raw.expose(),
            made_millis: key.made_millis,
        });
        let record = KeyringRecord {
            data_keys: rows.collect(),
            names: self.names.raw.expose(),
            token_hash: self.token_hash.raw.expose(),
            digest: self.digest.raw.expose(),
            head: self.head.raw.expose(),
            audit: self.audit.raw.expose(),
            checkpoint: self.checkpoint.expose(),
        };
        let capacity = REST_BYTES + DATA_KEY_BYTES * data_keys.live.len();
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        minicbor::encode(record, &mut *bytes).expect("encoding to memory cannot fail");
        debug_assert!(bytes.len() <= capacity);
        bytes
    }

    /// The keyring of such bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        let record: KeyringRecord<'_> = minicbor::decode(bytes).map_err(|_| CryptoError::Keyring)?;
        let key = |raw: &[u8]| raw.try_into().map(Key256::from_bytes).map_err(|_| CryptoError::Keyring);
        let named = |raw: &[u8]| key(raw).map(Named::new);
        let mut data_keys = Vec::new();
        for (index, row) in record.data_keys.iter().enumerate() {
            if (row.state == State::Primary) != (index == 0) {
                return Err(CryptoError::Keyring);
            }
            data_keys.push(Arc::new(DataKey::new(row.id, row.made_millis, key(row.raw)?)));
        }
        if data_keys.is_empty() || data_keys.len() > DATA_KEYS_MAX {
            return Err(CryptoError::Keyring);
        }
        let checkpoint = key(record.checkpoint)?;
        Ok(Keyring {
            data_keys: ArcSwap::from_pointee(DataKeys::of(data_keys)),
            names: named(record.names)?,
            token_hash: named(record.token_hash)?,
            digest: named(record.digest)?,
            head: named(record.head)?,
            audit: named(record.audit)?,
            batch: batch_key(&checkpoint),
            checkpoint,
        })
    }

    /// The data keys in force.
    pub(crate) fn data_keys(&self) -> arc_swap::Guard<Arc<DataKeys>> {
        self.data_keys.load()
    }

    /// Puts other data keys in force, once the keyring that holds them is durable.
    pub(crate) fn publish(&self, data_keys: DataKeys) {
        self.data_keys.store(Arc::new(data_keys));
    }

    /// Makes storage keys of names.
    pub(crate) fn names(&self) -> &MacKey {
        &self.names.mac
    }

    /// Makes storage keys of tokens.
    pub(crate) fn token_hash(&self) -> &MacKey {
        &self.token_hash.mac
    }

    /// Makes the terms of the integrity digest.
    pub(crate) fn digest(&self) -> &MacKey {
        &self.digest.mac
    }

    /// What the keys that sign checkpoints are derived from.
    pub(crate) fn checkpoint(&self) -> &Key256 {
        &self.checkpoint
    }

    /// Encrypts what batch tokens hold.
    pub(crate) fn batch(&self) -> &AeadKey {
        &self.batch
    }

    /// Authenticates the heads that are noted beside the store.
    pub(crate) fn audit(&self) -> &MacKey {
        &self.audit.mac
    }

    pub(crate) fn head(&self) -> &MacKey {
        &self.head.mac
    }
}

fn batch_key(checkpoint: &Key256) -> AeadKey {
    AeadKey::new(&derive(checkpoint, Label::BatchToken, &[]))
}

impl DataKeys {
    fn of(live: Vec<Arc<DataKey>>) -> Self {
        DataKeys { live, retired: Vec::new() }
    }

    /// The data key that encrypts.
    pub(crate) fn primary(&self) -> &DataKey {
        self.live.first().expect("data keys are made and read with a primary one")
    }

    /// The data key of that id, those included that were retired a moment ago.
    pub(crate) fn get(&self, id: u32) -> Option<&DataKey> {
        self.live.iter().chain(&self.retired).find(|key| key.id == id).map(|key| &**key)
    }

    /// Whether there are as many as a keyring holds.
    pub(crate) fn is_full(&self) -> bool {
        self.live.len() >= DATA_KEYS_MAX
    }

    /// How many there are under which something may be.
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// The numbers of those under which something may be, the primary key's first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.live.iter().map(|key| key.id)
    }

    /// These keys and a new primary one of this number. `None` when there are too many to re-encrypt first.
    pub(crate) fn rolled(&self, rng: &dyn Rng, id: u32, now_millis: u64) -> Result<Option<Self>, RngError> {
        if self.is_full() {
            return Ok(None);
        }
        debug_assert!(id > self.primary().id, "numbers of data keys only rise");
        let mut live = vec![Arc::new(DataKey::new(id, now_millis, Key256::random(rng)?))];
        live.extend(self.live.iter().cloned());
        Ok(Some(DataKeys { live, retired: self.retired.clone() }))
    }

    /// How many of them stay when those go that were succeeded by a key of this number or a lower one.
    fn staying(&self, number: u32) -> usize {
        1 + self.live.iter().take(self.live.len() - 1).filter(|successor| successor.id > number).count()
    }

    /// Whether one of them was succeeded by a key of this number or a lower one.
    pub(crate) fn has_succeeded(&self, number: u32) -> bool {
        self.staying(number) < self.live.len()
    }

    /// The keys without those that were succeeded by a key of this number or a lower one: nothing is under them any more.
    pub(crate) fn without_succeeded(&self, number: u32) -> Self {
        let (live, gone) = self.live.split_at(self.staying(number));
        DataKeys { live: live.to_vec(), retired: gone.iter().chain(&self.retired).take(RETIRED_HELD_MAX).cloned().collect() }
    }
}

impl DataKey {
    fn new(id: u32, made_millis: u64, raw: Key256) -> Self {
        DataKey { id, made_millis, aead: AeadKey::new(&raw), raw, messages: AtomicU64::new(0), noted: AtomicU64::new(0) }
    }

    /// Its number: higher than that of all that were made before it in the store.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn made_millis(&self) -> u64 {
        self.made_millis
    }

    pub(crate) fn aead(&self) -> &AeadKey {
        &self.aead
    }

    /// Messages that it has encrypted so far.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Messages that the store does not know of yet.
    pub(crate) fn unnoted(&self) -> u64 {
        self.messages().saturating_sub(self.noted.load(Ordering::Relaxed))
    }

    /// The store knows of so many messages.
    pub(crate) fn note(&self, messages: u64) {
        self.noted.fetch_max(messages, Ordering::Relaxed);
    }

    /// Counts further messages; how many there were before.
    pub(crate) fn count(&self, messages: u64) -> u64 {
        self.messages.fetch_add(messages, Ordering::Relaxed)
    }
}

impl Named {
    fn new(raw: Key256) -> Self {
        Named { mac: MacKey::new(&raw), raw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::SystemRng;

    #[test]
    fn a_keyring_round_trips_and_anything_else_is_refused() {
        let keyring = Keyring::generate(&SystemRng::new(), 1, 7).expect("randomness");
        let bytes = keyring.to_bytes(&keyring.data_keys());
        let again = Keyring::from_bytes(&bytes).expect("own bytes");
        assert_eq!(*again.to_bytes(&again.data_keys()), *bytes);
        assert_eq!(again.names().tag(&[b"x"]), keyring.names().tag(&[b"x"]));
        assert_ne!(keyring.names().tag(&[b"x"]), keyring.digest().tag(&[b"x"]));
        for len in 0..bytes.len() {
            assert!(Keyring::from_bytes(&bytes[..len]).is_err(), "length {len}");
        }
        assert!(Keyring::from_bytes(b"something else").is_err());
    }

    #[test]
    fn a_roll_adds_a_primary_key_and_retiring_leaves_it_alone() {
        let rng = SystemRng::new();
        let keyring = Keyring::generate(&rng, 1, 7).expect("randomness");
        let rolled = keyring.data_keys().rolled(&rng, 2, 8).expect("randomness").expect("room");
        assert_eq!((rolled.len(), rolled.primary().id(), rolled.primary().made_millis()), (2, 2, 8));
        assert!(rolled.get(1).is_some());
        let bytes = keyring.to_bytes(&rolled);
        assert_eq!(Keyring::from_bytes(&bytes).expect("own bytes").data_keys().primary().id(), 2);
        assert!(!rolled.has_succeeded(1) && rolled.has_succeeded(2));
        assert_eq!(rolled.without_succeeded(1).len(), 2, "the old key was succeeded by a later one");
        let retired = rolled.without_succeeded(2);
        assert_eq!((retired.len(), retired.get(1).is_some()), (1, true), "a reader may still need it");
        let stored = Keyring::from_bytes(&keyring.to_bytes(&retired)).expect("own bytes");
        assert!(stored.data_keys().get(1).is_none() && stored.data_keys().get(2).is_some(), "and the store has it no more");
        let mut full = rolled;
        while let Some(more) = full.rolled(&rng, full.primary().id() + 3, 9).expect("randomness") {
            full = more;
        }
        assert_eq!(full.len(), DATA_KEYS_MAX);
        assert!(Keyring::from_bytes(&keyring.to_bytes(&full)).is_ok());
    }
}

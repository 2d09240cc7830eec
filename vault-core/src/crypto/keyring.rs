//! The keys of a namespace: the data keys that encrypt its records, and the keys that name, hash and compare.

use super::{AeadKey, CryptoError, Key256, MacKey};
use crate::host::{Rng, RngError};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

/// Most data keys of one keyring.
const DATA_KEYS_MAX: usize = 64;
/// Upper bound of the encoding of one data key and of the rest, in bytes.
const DATA_KEY_BYTES: usize = 48;
const REST_BYTES: usize = 5 * 36 + 16;

/// A data key's place in its life.
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

struct DataKey {
    id: u32,
    state: State,
    raw: Key256,
    aead: AeadKey,
}

struct Named {
    raw: Key256,
    mac: MacKey,
}

/// The keys of a namespace.
pub(crate) struct Keyring {
    data_keys: Vec<DataKey>,
    names: Named,
    token_hash: Named,
    digest: Named,
    head: Named,
    audit: Named,
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
}

#[derive(Encode, Decode)]
struct DataKeyRecord<'b> {
    #[n(0)]
    id: u32,
    #[n(1)]
    state: State,
    #[cbor(b(2), with = "minicbor::bytes")]
    raw: &'b [u8],
}

impl Keyring {
    /// A new keyring with one data key.
    pub(crate) fn generate(rng: &dyn Rng) -> Result<Self, RngError> {
        let named = || Key256::random(rng).map(Named::new);
        Ok(Keyring {
            data_keys: vec![DataKey::new(1, State::Primary, Key256::random(rng)?)],
            names: named()?,
            token_hash: named()?,
            digest: named()?,
            head: named()?,
            audit: named()?,
        })
    }

    /// The keyring as it is wrapped: a buffer that wipes itself and was never moved.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let data_keys = self.data_keys.iter().map(|key| DataKeyRecord { id: key.id, state: key.state, raw: key.raw.expose() }).collect();
        let record = KeyringRecord {
            data_keys,
            names: self.names.raw.expose(),
            token_hash: self.token_hash.raw.expose(),
            digest: self.digest.raw.expose(),
            head: self.head.raw.expose(),
            audit: self.audit.raw.expose(),
        };
        let capacity = REST_BYTES + DATA_KEY_BYTES * self.data_keys.len();
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
        for data_key in &record.data_keys {
            data_keys.push(DataKey::new(data_key.id, data_key.state, key(data_key.raw)?));
        }
        let primaries = data_keys.iter().filter(|data_key| data_key.state == State::Primary).count();
        if primaries != 1 || data_keys.len() > DATA_KEYS_MAX {
            return Err(CryptoError::Keyring);
        }
        Ok(Keyring {
            data_keys,
            names: named(record.names)?,
            token_hash: named(record.token_hash)?,
            digest: named(record.digest)?,
            head: named(record.head)?,
            audit: named(record.audit)?,
        })
    }

    /// The data key that encrypts, with its id.
    pub(crate) fn primary(&self) -> (u32, &AeadKey) {
        let primary = self.data_keys.iter().find(|key| key.state == State::Primary);
        let primary = primary.expect("a keyring is made and read with exactly one primary key");
        (primary.id, &primary.aead)
    }

    /// The data key of that id.
    pub(crate) fn data_key(&self, id: u32) -> Option<&AeadKey> {
        self.data_keys.iter().find(|key| key.id == id).map(|key| &key.aead)
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

    /// Authenticates the heads that are noted beside the store.
    pub(crate) fn head(&self) -> &MacKey {
        &self.head.mac
    }
}

impl DataKey {
    fn new(id: u32, state: State, raw: Key256) -> Self {
        DataKey { id, state, aead: AeadKey::new(&raw), raw }
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
        let keyring = Keyring::generate(&SystemRng::new()).expect("randomness");
        let bytes = keyring.to_bytes();
        let again = Keyring::from_bytes(&bytes).expect("own bytes");
        assert_eq!(*again.to_bytes(), *bytes);
        assert_eq!(again.names().tag(&[b"x"]), keyring.names().tag(&[b"x"]));
        assert_ne!(keyring.names().tag(&[b"x"]), keyring.digest().tag(&[b"x"]));
        for len in 0..bytes.len() {
            assert!(Keyring::from_bytes(&bytes[..len]).is_err(), "length {len}");
        }
        assert!(Keyring::from_bytes(b"something else").is_err());
    }
}

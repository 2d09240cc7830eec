//! The header: the one record that is read before any key is there.
//!
//! `"LVLT" | format (2, little-endian) | CBOR (store id, creation time, slots) | HMAC-SHA-256 (32)`. The MAC's key is derived from the
//! root key and checked at unseal, so that no field is trusted that is not authenticated.

use super::SealError;
use super::slot::{NewSeal, Slot, UnsealKey};
use crate::crypto::{Key256, Label, MacKey, derive};
use crate::host::Rng;
use crate::types::Timestamp;
use crate::types::id::Id;
use minicbor::{Decode, Encode};

const MAGIC: &[u8; 4] = b"LVLT";
/// The format that this version writes.
pub(crate) const FORMAT: u16 = 0;
const PREFIX_BYTES: usize = 6;
const MAC_BYTES: usize = 32;

/// A store's header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    body: Body,
    mac: [u8; MAC_BYTES],
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Body {
    #[cbor(n(0), with = "minicbor::bytes")]
    store: [u8; 16],
    #[n(1)]
    created_millis: u64,
    #[n(2)]
    slots: Vec<Slot>,
}

impl Header {
    /// The header of a new store, with a slot for each seal.
    pub(crate) fn create(rng: &dyn Rng, store: &Id, now: Timestamp, root_key: &Key256, seals: &[NewSeal]) -> Result<Self, SealError> {
        let mut slots = Vec::new();
        for (id, seal) in (1..).zip(seals) {
            slots.push(Slot::create(rng, store, id, root_key, seal)?);
        }
        let body = Body { store: *store.as_bytes(), created_millis: now.as_millis(), slots };
        let mac = mac_key(root_key, store).tag(&[&body.signed_bytes()]);
        Ok(Header { body, mac })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.body.signed_bytes();
        bytes.extend_from_slice(&self.mac);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, SealError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(SealError::Foreign)?;
        let (format, rest) = rest.split_first_chunk::<2>().ok_or(SealError::Corrupt)?;
        let format = u16::from_le_bytes(*format);
        if format != FORMAT {
            return Err(SealError::NewerFormat(format));
        }
        let (cbor, mac) = rest.split_last_chunk::<MAC_BYTES>().ok_or(SealError::Corrupt)?;
        let body: Body = minicbor::decode(cbor).map_err(|_| SealError::Corrupt)?;
        // One encoding only: what decodes to this body but differs was not written by a vault.
        if body.signed_bytes()[PREFIX_BYTES..] != *cbor {
            return Err(SealError::Corrupt);
        }
        Ok(Header { body, mac: *mac })
    }

    /// The root key, if this key opens a slot and the header is the one that the root key has signed.
    pub(crate) fn unseal(&self, key: &UnsealKey) -> Result<Key256, SealError> {
        let store = self.store();
        let mut outcome = Err(SealError::WrongKey);
        for slot in &self.body.slots {
            outcome = slot.open(&store, key);
            if !matches!(outcome, Err(SealError::WrongKey)) {
                break;
            }
        }
        let root_key = outcome?;
        if mac_key(&root_key, &store).verify(&[&self.body.signed_bytes()], &self.mac) { Ok(root_key) } else { Err(SealError::Corrupt) }
    }

    pub(crate) fn store(&self) -> Id {
        Id::from_bytes(self.body.store)
    }

    /// The kinds of the slots, in their order.
    pub(crate) fn slot_kinds(&self) -> Vec<&'static str> {
        self.body.slots.iter().map(Slot::kind_name).collect()
    }
}

impl Body {
    /// What the MAC is over: all that stands before it.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &FORMAT.to_le_bytes()].concat();
        minicbor::encode(self, &mut bytes).expect("encoding to memory cannot fail");
        bytes
    }
}

fn mac_key(root_key: &Key256, store: &Id) -> MacKey {
    MacKey::new(&derive(root_key, Label::HeaderMac, store.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Argon2Params;
    use crate::os::SystemRng;
    use crate::types::SecretString;

    const STORE: Id = Id::from_bytes([3; 16]);

    fn root_key() -> Key256 {
        Key256::from_bytes(&[9; 32])
    }

    fn header(seals: &[NewSeal]) -> Header {
        Header::create(&SystemRng::new(), &STORE, Timestamp::from_secs(1), &root_key(), seals).expect("sound seals")
    }

    fn raw(byte: u8) -> UnsealKey {
        UnsealKey::raw_key(&[byte; 32]).expect("32 bytes")
    }

    #[test]
    fn any_slot_opens_and_no_other_key_does() {
        let passphrase = NewSeal::passphrase_with("open sesame", Argon2Params::FLOOR).expect("floor");
        let header = header(&[NewSeal::raw_key(&[1; 32]).expect("32 bytes"), passphrase]);
        let header = Header::parse(&header.to_bytes()).expect("own bytes");
        for key in [raw(1), UnsealKey::passphrase("open sesame").expect("short")] {
            assert_eq!(header.unseal(&key).expect("opens").expose(), root_key().expose());
        }
        for key in [raw(2), UnsealKey::passphrase("open sesame ").expect("short")] {
            assert!(matches!(header.unseal(&key), Err(SealError::WrongKey)));
        }
        assert_eq!(header.slot_kinds(), ["raw-key", "passphrase"]);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_header_is_found() {
        let bytes = header(&[NewSeal::raw_key(&[1; 32]).expect("32 bytes")]).to_bytes();
        let opens = |bytes: &[u8]| Header::parse(bytes).and_then(|header| header.unseal(&raw(1))).is_ok();
        assert!(opens(&bytes));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&bad), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(!opens(&bytes[..len]), "length {len}");
        }
    }

    #[test]
    fn a_slot_of_another_store_does_not_open_this_one() {
        let one = header(&[NewSeal::raw_key(&[1; 32]).expect("32 bytes")]);
        let mut other = one.clone();
        other.body.store = [4; 16];
        assert!(matches!(other.unseal(&raw(1)), Err(SealError::WrongKey)));
    }

    #[test]
    fn a_downgraded_or_exhausting_cost_is_refused_before_any_work() {
        let weak = Argon2Params { memory_kib: 8, iterations: 1, lanes: 1 };
        assert!(matches!(NewSeal::passphrase_with("p", weak), Err(SealError::BadParameters)));
        let seal = NewSeal::Passphrase { passphrase: SecretString::copy_from("p"), params: Argon2Params::FLOOR };
        let bytes = header(&[seal]).to_bytes();
        let memory = minicbor::to_vec(Argon2Params::FLOOR.memory_kib).expect("memory");
        let at = bytes.windows(memory.len()).position(|window| window == memory).expect("the cost stands in the header");
        let mut bad = bytes;
        bad[at + 1..at + memory.len()].fill(0);
        let outcome = Header::parse(&bad).and_then(|header| header.unseal(&UnsealKey::passphrase("p").expect("short")));
        assert!(matches!(outcome, Err(SealError::Corrupt)));
    }

    #[test]
    fn foreign_and_newer_headers_are_named_as_such() {
        assert!(matches!(Header::parse(b"SQLite format 3\0"), Err(SealError::Foreign)));
        assert!(matches!(Header::parse(b""), Err(SealError::Foreign)));
        let mut bytes = header(&[NewSeal::raw_key(&[1; 32]).expect("32 bytes")]).to_bytes();
        bytes[4] = 1;
        assert!(matches!(Header::parse(&bytes), Err(SealError::NewerFormat(1))));
    }

    #[test]
    fn unusable_passphrases_and_keys_are_refused() {
        assert!(matches!(NewSeal::passphrase(""), Err(SealError::BadPassphrase)));
        assert!(matches!(NewSeal::passphrase(&"p".repeat(4097)), Err(SealError::BadPassphrase)));
        assert!(matches!(UnsealKey::raw_key(&[0; 31]), Err(SealError::BadRawKey)));
    }
}

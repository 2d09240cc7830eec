//! The header: the one record that is read before any key is there.
//!
//! `"LVLT" | format (2, little-endian) | CBOR (store id, creation time, slots) | HMAC-SHA-256 (32)`. The MAC's key is derived from the
//! root key and checked at unseal, so that no field is trusted that is not authenticated.

use super::SealError;
use super::keys::{NewSeal, UnsealKey};
use super::slot::Slot;
use crate::crypto::{Key256, Label, MacKey, derive};
use crate::host::Rng;
use crate::types::id::Id;
use crate::types::limits::SLOTS_MAX;
use crate::types::{SecretString, Timestamp};
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
    /// The number that the next slot gets: numbers are never used twice.
    #[n(3)]
    next_slot: u32,
}

/// What may be known of a slot without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotInfo {
    /// The slot's number: never used twice.
    pub id: u32,
    /// `passphrase`, `raw-key`, `shamir` or `wrapper`.
    pub kind: &'static str,
    /// When it was made.
    pub created: Timestamp,
    /// How many shares there are, where it is opened by such.
    pub shares: Option<u8>,
    /// How many of them open it.
    pub threshold: Option<u8>,
    /// The name of the key service that opens it, where it is one.
    pub wrapper: Option<String>,
    /// The slot in whose favour this one goes, once that one was used.
    pub superseded_by: Option<u32>,
}

/// A header that is to be written, and the shares that it gives out.
pub(crate) struct NewHeader {
    pub(crate) header: Header,
    /// Those of all slots that were made with it, in order.
    pub(crate) shares: Vec<SecretString>,
    /// The number of the last slot that was made.
    pub(crate) slot: u32,
}

impl Header {
    /// The header of a new store, with a slot for each seal.
    pub(crate) fn create(rng: &dyn Rng, store: &Id, now: Timestamp, root_key: &Key256, seals: &[NewSeal]) -> Result<NewHeader, SealError> {
        let body = Body { store: *store.as_bytes(), created_millis: now.as_millis(), slots: Vec::new(), next_slot: 1 };
        body.with(rng, now, root_key, seals)
    }

    /// This header with one slot more.
    pub(crate) fn with_slot(&self, rng: &dyn Rng, now: Timestamp, root_key: &Key256, seal: &NewSeal) -> Result<NewHeader, SealError> {
        self.body.clone().with(rng, now, root_key, std::slice::from_ref(seal))
    }

    /// This header without a slot.
    pub(crate) fn without_slot(&self, root_key: &Key256, id: u32) -> Result<Header, SealError> {
        let mut body = self.body.clone();
        body.slots.retain(|slot| slot.id != id);
        if body.slots.len() == self.body.slots.len() {
            return Err(SealError::NoSuchSlot);
        }
        if body.slots.is_empty() { Err(SealError::LastSlot) } else { Ok(body.signed(root_key)) }
    }

    /// This header with a slot marked as superseded by another: it opens until the other one was used.
    pub(crate) fn superseded(&self, root_key: &Key256, id: u32, by: u32) -> Header {
        let mut body = self.body.clone();
        body.slots.iter_mut().filter(|slot| slot.id == id).for_each(|slot| slot.superseded_by = Some(by));
        body.signed(root_key)
    }

    /// This header without the slots that a slot supersedes, if there are any.
    pub(crate) fn without_superseded(&self, root_key: &Key256, by: u32) -> Option<Header> {
        let mut body = self.body.clone();
        body.slots.retain(|slot| slot.superseded_by != Some(by));
        (body.slots.len() < self.body.slots.len()).then(|| body.signed(root_key))
    }

    /// The header under a new root key: new slots, and those that `keep` opens. Every other slot must be in `drop`.
    pub(crate) fn rekeyed(
        &self,
        rng: &dyn Rng,
        now: Timestamp,
        root_key: &Key256,
        seals: &[NewSeal],
        keep: &[UnsealKey],
        drop: &[u32],
    ) -> Result<NewHeader, SealError> {
        let store = self.store();
        let mut body = Body { slots: Vec::new(), ..self.body.clone() };
        for slot in self.body.slots.iter().filter(|slot| !drop.contains(&slot.id)) {
            let mut opened = Err(SealError::SlotLeftBehind(slot.id, slot.kind_name()));
            for key in keep {
                match slot.open(&store, key) {
                    Ok(found) => {
                        opened = Ok(found);
                        break;
                    }
                    // A service that is away would have opened it.
                    Err(SealError::KeyService(error)) => opened = Err(SealError::KeyService(error)),
                    Err(_) => {}
                }
            }
            let opened = opened?;
            body.slots.push(slot.rewrapped(rng, &store, root_key, &opened.slot_key)?);
        }
        body.with(rng, now, root_key, seals)
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

    /// The root key and the slot's number, if this key opens a slot and the header is the one that the root key has signed.
    pub(crate) fn unseal(&self, key: &UnsealKey) -> Result<(Key256, u32), SealError> {
        let (root_key, id, sound) = self.open_unsigned(key)?;
        if sound { Ok((root_key, id)) } else { Err(SealError::Corrupt) }
    }

    /// The root key, the slot's number, and whether the header is the one that the root key has signed.
    pub(crate) fn open_unsigned(&self, key: &UnsealKey) -> Result<(Key256, u32, bool), SealError> {
        let store = self.store();
        let mut outcome = Err(SealError::WrongKey);
        for slot in &self.body.slots {
            match slot.open(&store, key) {
                Ok(opened) => {
                    outcome = Ok((opened.root_key, slot.id));
                    break;
                }
                // The most telling reason stays: that a share is of no set says less than that it was altered.
                Err(error) if outcome.as_ref().is_err_and(|known| telling(&error) > telling(known)) => outcome = Err(error),
                Err(_) => {}
            }
        }
        let (root_key, id) = outcome?;
        let sound = mac_key(&root_key, &store).verify(&[&self.body.signed_bytes()], &self.mac);
        Ok((root_key, id, sound))
    }

    /// This header with one slot alone, which was opened: what it is bound to is as it was, whatever became of the rest.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn with_slot_alone(&self, root_key: &Key256, id: u32) -> Header {
        let mut body = self.body.clone();
        body.slots.retain(|slot| slot.id == id);
        body.slots.iter_mut().for_each(|slot| slot.superseded_by = None);
        body.next_slot = body.next_slot.max(id.saturating_add(1));
        body.signed(root_key)
    }

    /// When the store was made.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn created(&self) -> Timestamp {
        Timestamp::from_millis(self.body.created_millis)
    }

    pub(crate) fn store(&self) -> Id {
        Id::from_bytes(self.body.store)
    }

    /// The slots, in their order.
    pub(crate) fn slots(&self) -> Vec<SlotInfo> {
        let info = |slot: &Slot| SlotInfo {
            id: slot.id,
            kind: slot.kind_name(),
            created: Timestamp::from_millis(slot.created_millis),
            shares: slot.shares().map(|set| set.count),
            threshold: slot.shares().map(|set| set.threshold),
            wrapper: slot.wrapper().map(str::to_owned),
            superseded_by: slot.superseded_by,
        };
        self.body.slots.iter().map(info).collect()
    }

    /// The slot that a share belongs to, and which of its shares it is.
    pub(crate) fn slot_of_share(&self, text: &str) -> Result<(SlotInfo, u8), SealError> {
        let share = super::share::Share::parse(text)?;
        for (slot, info) in self.body.slots.iter().zip(self.slots()) {
            if let Some(set) = slot.shares().filter(|set| set.is_of(&share)) {
                set.check(&self.store(), &share)?;
                return Ok((info, share.x()));
            }
        }
        Err(SealError::ForeignShare)
    }
}

impl Body {
    /// This body with a slot for each seal, signed.
    fn with(mut self, rng: &dyn Rng, now: Timestamp, root_key: &Key256, seals: &[NewSeal]) -> Result<NewHeader, SealError> {
        let store = Id::from_bytes(self.store);
        let mut shares = Vec::new();
        for seal in seals {
            let (slot, dealt) = Slot::create(rng, &store, self.next_slot, now, root_key, seal)?;
            self.next_slot += 1;
            self.slots.push(slot);
            shares.extend(dealt);
        }
        if self.slots.len() > SLOTS_MAX {
            return Err(SealError::TooManySlots);
        }
        if self.slots.is_empty() {
            return Err(SealError::LastSlot);
        }
        let slot = self.next_slot - 1;
        Ok(NewHeader { header: self.signed(root_key), shares, slot })
    }

    fn signed(self, root_key: &Key256) -> Header {
        let mac = mac_key(root_key, &Id::from_bytes(self.store)).tag(&[&self.signed_bytes()]);
        Header { body: self, mac }
    }
    /// What the MAC is over: all that stands before it.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &FORMAT.to_le_bytes()].concat();
        minicbor::encode(self, &mut bytes).expect("encoding to memory cannot fail");
        bytes
    }
}

/// How much a reason says of why a key opens nothing.
fn telling(error: &SealError) -> u8 {
    match error {
        SealError::WrongKey => 0,
        SealError::ForeignShare => 1,
        _ => 2,
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

    fn new_header(seals: &[NewSeal]) -> NewHeader {
        Header::create(&SystemRng::new(), &STORE, Timestamp::from_secs(1), &root_key(), seals).expect("sound seals")
    }

    fn header(seals: &[NewSeal]) -> Header {
        new_header(seals).header
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
            assert_eq!(header.unseal(&key).expect("opens").0.expose(), root_key().expose());
        }
        for key in [raw(2), UnsealKey::passphrase("open sesame ").expect("short")] {
            assert!(matches!(header.unseal(&key), Err(SealError::WrongKey)));
        }
        assert_eq!(header.slots().iter().map(|slot| slot.kind).collect::<Vec<_>>(), ["raw-key", "passphrase"]);
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
    fn slots_come_and_go_and_their_numbers_are_never_used_twice() {
        let rng = SystemRng::new();
        let now = Timestamp::from_secs(2);
        let first = header(&[NewSeal::raw_key(&[1; 32]).expect("32 bytes")]);
        let added = first.with_slot(&rng, now, &root_key(), &NewSeal::shares(3, 2).expect("numbers")).expect("added");
        assert_eq!((added.slot, added.shares.len()), (2, 3));
        let two = Header::parse(&added.header.to_bytes()).expect("own bytes");
        let texts: Vec<&str> = added.shares.iter().map(|share| share.expose()).collect();
        let shares = |texts: &[&str]| UnsealKey::shares(texts.iter().copied()).expect("shares");
        assert_eq!(two.unseal(&shares(&texts[1..])).expect("opens").1, 2);
        assert!(matches!(two.unseal(&shares(&texts[..1])), Err(SealError::NotEnoughShares { have: 1, need: 2 })));
        assert!(matches!(first.unseal(&shares(&texts)), Err(SealError::WrongKey)), "this header has no shares at all");
        assert_eq!(two.slot_of_share(texts[2]).expect("ours").1, 3);
        let left = two.without_slot(&root_key(), 2).expect("removed");
        assert!(left.unseal(&shares(&texts)).is_err() && left.unseal(&raw(1)).is_ok());
        assert!(matches!(left.without_slot(&root_key(), 1), Err(SealError::LastSlot)));
        assert!(matches!(left.without_slot(&root_key(), 2), Err(SealError::NoSuchSlot)));
        let again = left.with_slot(&rng, now, &root_key(), &NewSeal::shares(2, 2).expect("numbers")).expect("added");
        assert_eq!(again.slot, 3);
        assert!(matches!(again.header.unseal(&shares(&texts)), Err(SealError::ForeignShare)));
    }

    #[test]
    fn a_rekey_keeps_the_slots_whose_keys_are_given_and_names_the_others() {
        let rng = SystemRng::new();
        let seals = [NewSeal::raw_key(&[1; 32]).expect("32 bytes"), NewSeal::raw_key(&[2; 32]).expect("32 bytes")];
        let old = header(&seals);
        let new_root = Key256::from_bytes(&[8; 32]);
        let new_seal = [NewSeal::raw_key(&[3; 32]).expect("32 bytes")];
        let rekey = |keep: &[UnsealKey], drop: &[u32]| old.rekeyed(&rng, Timestamp::from_secs(2), &new_root, &new_seal, keep, drop);
        assert!(matches!(rekey(&[raw(1)], &[]), Err(SealError::SlotLeftBehind(2, "raw-key"))));
        let new = rekey(&[raw(1)], &[2]).expect("rekeyed").header;
        for (key, opens) in [(1, true), (2, false), (3, true)] {
            assert_eq!(new.unseal(&raw(key)).map(|(root, _)| *root.expose()).ok(), opens.then_some([8; 32]), "{key}");
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

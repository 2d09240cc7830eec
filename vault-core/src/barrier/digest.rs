//! The integrity digest: a sum over all records, by which a record that was removed, added or put back is found.

use crate::crypto::MacKey;
use crate::storage::Key;

/// The sum modulo 2^256 of one term for each record: HMAC(digest key, storage key, SHA-256 of the record).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest([u64; 4]);

impl Digest {
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            *limb = u64::from_le_bytes(word);
        }
        Digest(limbs)
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (limb, chunk) in self.0.iter().zip(bytes.chunks_exact_mut(8)) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    /// A record's term.
    pub(crate) fn term(mac: &MacKey, key: &Key, record_hash: &[u8; 32]) -> Self {
        Digest::from_bytes(&mac.tag(&[key.as_bytes(), record_hash]))
    }

    /// Adds a record's term.
    pub(crate) fn add(&mut self, mac: &MacKey, key: &Key, record_hash: &[u8; 32]) {
        self.add_term(Digest::term(mac, key, record_hash));
    }

    /// Takes a record's term away.
    pub(crate) fn subtract(&mut self, mac: &MacKey, key: &Key, record_hash: &[u8; 32]) {
        self.subtract_term(Digest::term(mac, key, record_hash));
    }

    pub(crate) fn add_term(&mut self, term: Digest) {
        let mut carry = false;
        for (limb, other) in self.0.iter_mut().zip(term.0) {
            let (sum, over) = limb.overflowing_add(other);
            let (sum, over_carry) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = over || over_carry;
        }
    }

    pub(crate) fn subtract_term(&mut self, term: Digest) {
        let mut borrow = false;
        for (limb, other) in self.0.iter_mut().zip(term.0) {
            let (rest, under) = limb.overflowing_sub(other);
            let (rest, under_borrow) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = under || under_borrow;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Key256;

    #[test]
    fn order_does_not_matter_and_subtraction_undoes_addition() {
        let mac = MacKey::new(&Key256::from_bytes(&[7; 32]));
        let keys: Vec<Key> = (0..50_u8).map(|i| Key::new(&[&[i]])).collect();
        let (mut forward, mut backward) = (Digest::default(), Digest::default());
        for (i, key) in keys.iter().enumerate() {
            forward.add(&mac, key, &[u8::try_from(i).expect("small"); 32]);
        }
        for (i, key) in keys.iter().enumerate().rev() {
            backward.add(&mac, key, &[u8::try_from(i).expect("small"); 32]);
        }
        assert_eq!(forward, backward);
        assert_eq!(Digest::from_bytes(&forward.to_bytes()), forward);
        let before = forward;
        forward.add(&mac, &keys[0], &[9; 32]);
        assert_ne!(forward, before);
        forward.subtract(&mac, &keys[0], &[9; 32]);
        assert_eq!(forward, before);
    }
}

//! Key derivation: HKDF-Expand (RFC 5869) with one label for each use, and Argon2id (RFC 9106) for passphrases.

use super::{CryptoError, Key256};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// What a derived key is for. Every label of the library stands here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Label {
    /// Wraps the root key in a slot.
    SlotKey,
    /// Commits a slot to its key, since AES-GCM-SIV does not.
    SlotCommitment,
    /// Authenticates the header.
    HeaderMac,
    /// Wraps a keyring.
    KeyringKey,
    /// Commits a wrapped keyring to its key.
    KeyringCommitment,
    /// Signs the checkpoints of one lineage.
    CheckpointKey,
}

impl Label {
    const fn text(self) -> &'static [u8] {
        match self {
            Label::SlotKey => b"libvault v0 slot key",
            Label::SlotCommitment => b"libvault v0 slot commitment",
            Label::HeaderMac => b"libvault v0 header mac",
            Label::KeyringKey => b"libvault v0 keyring key",
            Label::KeyringCommitment => b"libvault v0 keyring commitment",
            Label::CheckpointKey => b"libvault v0 checkpoint key",
        }
    }
}

/// The key for one use, from a uniformly random key.
pub(crate) fn derive(from: &Key256, label: Label, context: &[u8]) -> Key256 {
    let derived = Key256::filled(|bytes| {
        let hkdf = Hkdf::<Sha256>::from_prk(from.expose()).expect("a 32-byte key is long enough");
        hkdf.expand_multi_info(&[label.text(), &[0], context], bytes)
    });
    derived.expect("32 bytes are within what HKDF gives")
}

/// A value that commits to a key and tells nothing of it.
pub(crate) fn commitment(of: &Key256, label: Label, context: &[u8]) -> [u8; 32] {
    *derive(of, label, context).expose()
}

/// The cost of an Argon2id derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Params {
    /// Memory, in KiB: from 19,456 to 4,194,304.
    pub memory_kib: u32,
    /// Passes over the memory: from 2 to 64.
    pub iterations: u32,
    /// Lanes: from 1 to 64.
    pub lanes: u32,
}

impl Default for Argon2Params {
    /// 64 MiB, 3 passes, 4 lanes: the second recommendation of RFC 9106.
    fn default() -> Self {
        Argon2Params { memory_kib: 64 * 1024, iterations: 3, lanes: 4 }
    }
}

impl Argon2Params {
    /// The least that is accepted, against a downgrade: 19 MiB, 2 passes, 1 lane (OWASP's minimum).
    pub const FLOOR: Argon2Params = Argon2Params { memory_kib: 19 * 1024, iterations: 2, lanes: 1 };
    /// The most that is accepted, against a header that exhausts memory.
    pub const CAP: Argon2Params = Argon2Params { memory_kib: 4 * 1024 * 1024, iterations: 64, lanes: 64 };

    pub(crate) fn check(&self) -> Result<(), CryptoError> {
        let within = |value, floor, cap| (floor..=cap).contains(&value);
        let sound = within(self.memory_kib, Self::FLOOR.memory_kib, Self::CAP.memory_kib)
            && within(self.iterations, Self::FLOOR.iterations, Self::CAP.iterations)
            && within(self.lanes, Self::FLOOR.lanes, Self::CAP.lanes);
        if sound { Ok(()) } else { Err(CryptoError::Parameters) }
    }
}

/// The key of a passphrase. The memory that the derivation worked in is wiped.
pub(crate) fn argon2id(passphrase: &[u8], salt: &[u8; 16], params: &Argon2Params) -> Result<Key256, CryptoError> {
    params.check()?;
    let cost = argon2::Params::new(params.memory_kib, params.iterations, params.lanes, Some(32)).map_err(|_| CryptoError::Parameters)?;
    let mut memory = Zeroizing::new(vec![argon2::Block::default(); cost.block_count()]);
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cost);
    Key256::filled(|key| argon2.hash_password_into_with_memory(passphrase, salt, key, memory.as_mut_slice()))
        .map_err(|_| CryptoError::Parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion_is_that_of_another_implementation() {
        struct Length;
        impl ring::hkdf::KeyType for Length {
            fn len(&self) -> usize {
                32
            }
        }
        let key = Key256::from_bytes(&[5; 32]);
        let reference = ring::hkdf::Prk::new_less_safe(ring::hkdf::HKDF_SHA256, key.expose());
        let mut expected = [0; 32];
        reference.expand(&[b"libvault v0 slot key", b"\0", b"context"], Length).and_then(|okm| okm.fill(&mut expected)).expect("32 bytes");
        assert_eq!(*derive(&key, Label::SlotKey, b"context").expose(), expected);
    }

    #[test]
    fn every_use_and_context_has_its_own_key() {
        let key = Key256::from_bytes(&[5; 32]);
        let mut seen = std::collections::HashSet::new();
        for label in [Label::SlotKey, Label::SlotCommitment, Label::HeaderMac, Label::KeyringKey, Label::KeyringCommitment] {
            for context in [&b""[..], b"a", b"b"] {
                assert!(seen.insert(*derive(&key, label, context).expose()));
            }
        }
    }

    /// The parameters of RFC 9106's own vector lie below our floor; this one was computed by the reference implementation (libargon2, version 20171227).
    #[test]
    fn argon2id_gives_what_the_reference_implementation_gives() {
        let key = argon2id(b"password", b"somesaltsomesalt", &Argon2Params::FLOOR).expect("floor");
        assert_eq!(hex::encode(key.expose()), "2b5dc4054886ec957ef59c73b661c54dd6fb274590b278f657c6d96aac8fa6d1");
    }

    #[test]
    fn weak_and_exhausting_parameters_are_refused() {
        for params in [
            Argon2Params { memory_kib: 19 * 1024 - 1, ..Argon2Params::FLOOR },
            Argon2Params { iterations: 1, ..Argon2Params::FLOOR },
            Argon2Params { lanes: 0, ..Argon2Params::FLOOR },
            Argon2Params { memory_kib: u32::MAX, ..Argon2Params::FLOOR },
            Argon2Params { iterations: u32::MAX, ..Argon2Params::FLOOR },
        ] {
            assert!(argon2id(b"p", &[0; 16], &params).is_err());
        }
    }
}

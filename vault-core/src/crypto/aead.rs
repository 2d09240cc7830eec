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
        let opened = self.0.0.decrypt_inout_detached(&(*nonce).into(), aad, plaintext.as_mut_slice().into(), &Tag::from(*tag));
        // On failure the buffer is dropped here, and wiped with it.
        opened.map(|()| plaintext).map_err(|_| CryptoError::Decrypt)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8452, appendix C.2: key, nonce, associated data, plaintext, result.
    const VECTORS: [(&str, &str, &str, &str, &str); 4] = [
        (
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "",
            "",
            "07f5f4169bbf55a8400cd47ea6fd400f",
        ),
        (
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "",
            "0100000000000000",
            "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28",
        ),
        (
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "",
            "010000000000000000000000",
            "9aab2aeb3faa0a34aea8e2b18ca50da9ae6559e48fd10f6e5c9ca17e",
        ),
        (
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "01",
            "0200000000000000",
            "1de22967237a813291213f267e3b452f02d01ae33e4ec854",
        ),
    ];

    fn key(text: &str) -> AeadKey {
        let bytes: [u8; 32] = hex::decode(text).expect("hex").try_into().expect("32 bytes");
        AeadKey::new(&Key256::from_bytes(&bytes))
    }

    #[test]
    fn the_vectors_of_rfc_8452_hold() {
        for (key_text, nonce, aad, plaintext, result) in VECTORS {
            let bytes = |text| hex::decode(text).expect("hex");
            let nonce: [u8; 12] = bytes(nonce).try_into().expect("12 bytes");
            let mut out = Vec::new();
            key(key_text).seal(Nonce(nonce), &bytes(aad), &[&bytes(plaintext)], &mut out);
            assert_eq!(hex::encode(&out), result);
            assert_eq!(*key(key_text).open(&nonce, &bytes(aad), &out).expect("opens"), bytes(plaintext));
        }
    }

    #[test]
    fn sealing_never_moves_the_buffer_with_plaintext_in_it() {
        let mut out = Vec::with_capacity(6 + 100 + TAG_BYTES);
        out.extend_from_slice(b"header");
        let before = out.as_ptr();
        key(VECTORS[0].0).seal(Nonce([0; 12]), b"", &[&[7; 100]], &mut out);
        assert_eq!(before, out.as_ptr());
    }

    #[test]
    fn cut_ciphertext_is_refused() {
        for len in 0..TAG_BYTES {
            assert_eq!(key(VECTORS[0].0).open(&[0; 12], b"", &vec![0; len]), Err(CryptoError::Decrypt));
        }
    }
}

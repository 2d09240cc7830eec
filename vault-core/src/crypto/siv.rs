//! The mode of AES-256-GCM-SIV (RFC 8452, sections 4 and 5) over the block cipher, POLYVAL and the counter mode.
//!
//! The crate `aes-gcm-siv` is the same, and what this is compared with in the tests. It derives the keys of a message block by block, and each
//! of these blocks costs as much as all of them at once where the processor encrypts several side by side.

use aes::Aes256Enc;
use ctr::CtrCore;
use ctr::cipher::inout::InOutBuf;
use ctr::cipher::{Block, BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipherCore};
use ctr::flavors::Ctr32LE;
use polyval::Polyval;
use polyval::universal_hash::UniversalHash;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Blocks of which the halves are the keys of a message: two for POLYVAL, four for AES-256.
const KEY_BLOCKS: usize = 6;

/// The key from which those of each message are derived.
pub(super) struct Siv(Aes256Enc);

/// What encrypts and authenticates one message; both wipe themselves.
struct Message {
    cipher: Aes256Enc,
    polyval: Polyval,
    nonce: [u8; 12],
}

impl Siv {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Siv(Aes256Enc::new(key.into()))
    }

    /// Encrypts in place; the tag.
    pub(super) fn seal(&self, nonce: &[u8; 12], aad: &[u8], buffer: &mut [u8]) -> [u8; 16] {
        let mut message = self.message(nonce);
        let tag = message.tag(aad, buffer);
        message.apply_keystream(&tag, buffer);
        tag
    }

    /// Decrypts in place, and answers whether the tag holds; where it does not the buffer is as it was.
    pub(super) fn open(&self, nonce: &[u8; 12], aad: &[u8], buffer: &mut [u8], tag: &[u8; 16]) -> bool {
        let mut message = self.message(nonce);
        message.apply_keystream(tag, buffer);
        let holds = bool::from(message.tag(aad, buffer).ct_eq(tag));
        if !holds {
            message.apply_keystream(tag, buffer);
        }
        holds
    }

    /// Section 4: a 32-bit counter before the nonce, and of each encrypted block the first half.
    fn message(&self, nonce: &[u8; 12]) -> Message {
        let mut blocks = [Block::<Aes256Enc>::default(); KEY_BLOCKS];
        for (counter, block) in (0_u32..).zip(&mut blocks) {
            block[..4].copy_from_slice(&counter.to_le_bytes());
            block[4..].copy_from_slice(nonce);
        }
        self.0.encrypt_blocks(&mut blocks);
        let (mut mac_key, mut enc_key) = ([0; 16], [0; 32]);
        let halves = mac_key.chunks_exact_mut(8).chain(enc_key.chunks_exact_mut(8));
        halves.zip(&blocks).for_each(|(half, block)| half.copy_from_slice(&block[..8]));
        let message = Message { cipher: Aes256Enc::new(&enc_key.into()), polyval: Polyval::new(&mac_key.into()), nonce: *nonce };
        blocks.iter_mut().for_each(|block| block.as_mut_slice().zeroize());
        mac_key.zeroize();
        enc_key.zeroize();
        message
    }
}

impl Message {
    /// Section 4: POLYVAL of the associated data, the plaintext and the lengths of both in bits, with the nonce, encrypted.
    fn tag(&mut self, aad: &[u8], plaintext: &[u8]) -> [u8; 16] {
        self.polyval.update_padded(aad);
        self.polyval.update_padded(plaintext);
        let mut lengths = [0; 16];
        lengths[..8].copy_from_slice(&(aad.len() as u64 * 8).to_le_bytes());
        lengths[8..].copy_from_slice(&(plaintext.len() as u64 * 8).to_le_bytes());
        self.polyval.update(&[lengths.into()]);
        let mut tag = self.polyval.finalize_reset();
        tag.iter_mut().zip(&self.nonce).for_each(|(byte, nonce)| *byte ^= nonce);
        tag[15] &= 0x7f;
        self.cipher.encrypt_block(&mut tag);
        tag.into()
    }

    /// Encrypts or decrypts: the counter begins at the tag, its highest bit set.
    fn apply_keystream(&self, tag: &[u8; 16], buffer: &mut [u8]) {
        let mut start = Block::<Aes256Enc>::from(*tag);
        start[15] |= 0x80;
        CtrCore::<&Aes256Enc, Ctr32LE>::inner_iv_init(&self.cipher, &start).apply_keystream_partial(InOutBuf::from(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes_gcm_siv::Aes256GcmSiv;
    use aes_gcm_siv::aead::AeadInOut;
    use ring::rand::SecureRandom;

    fn random<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        ring::rand::SystemRandom::new().fill(&mut bytes).expect("randomness");
        bytes
    }

    #[test]
    fn every_message_is_what_the_crate_makes_of_it() {
        for len in (0..260).chain([1023, 1024, 1025, 1040, 2047, 4096, 9001]) {
            let (key, nonce, aad) = (random::<32>(), random::<12>(), &random::<86>()[..len % 87]);
            let plaintext: Vec<u8> = random::<256>().into_iter().cycle().take(len).collect();
            let (ours, theirs) = (Siv::new(&key), Aes256GcmSiv::new(&key.into()));
            let mut expected = plaintext.clone();
            let expected_tag = theirs.encrypt_inout_detached(&nonce.into(), aad, (&mut *expected).into()).expect("short enough");
            let mut sealed = plaintext.clone();
            let tag = ours.seal(&nonce, aad, &mut sealed);
            assert_eq!((&sealed, &tag[..]), (&expected, &expected_tag[..]), "{len} bytes");
            assert!(ours.open(&nonce, aad, &mut sealed, &tag));
            assert_eq!(sealed, plaintext);
        }
    }
}

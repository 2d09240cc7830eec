//! HMAC-SHA-256 (RFC 2104) over tuples, its state kept in locked memory.

use super::Key256;
use crate::os::LockedBox;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A key that authenticates and names.
pub(crate) struct MacKey(LockedBox<State>);

struct State(Hmac<Sha256>);

impl Zeroize for State {
    /// Nothing here: the state wipes itself when dropped (feature `zeroize` of `hmac`), and its page is wiped whole after that.
    fn zeroize(&mut self) {}
}

impl MacKey {
    pub(crate) fn new(key: &Key256) -> Self {
        MacKey(LockedBox::new(State(Hmac::new_from_slice(key.expose()).expect("HMAC takes a key of any length"))))
    }

    /// The MAC of a tuple. Each part goes in behind its length, so that no two tuples share an encoding.
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.0.clone();
        for part in parts {
            let len = u32::try_from(part.len()).expect("parts are names and hashes, far below 4 GiB");
            mac.update(&len.to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The first half of the MAC of a tuple.
    pub(crate) fn short_tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.tag(parts)[..16]);
        short
    }

    /// Whether this is the MAC of a tuple, in constant time.
    pub(crate) fn verify(&self, parts: &[&[u8]], tag: &[u8; 32]) -> bool {
        self.tag(parts).ct_eq(tag).into()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_the_plain_hmac_over_length_prefixed_parts() {
        let key = [0x0b; 32];
        let message = [&3_u32.to_le_bytes()[..], b"abc", &0_u32.to_le_bytes()].concat();
        let reference = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key), &message);
        let mac = MacKey::new(&Key256::from_bytes(&key));
        assert_eq!(mac.tag(&[b"abc", b""]), reference.as_ref());
        assert!(mac.verify(&[b"abc", b""], &mac.tag(&[b"abc", b""])));
    }

    #[test]
    fn no_two_tuples_share_a_tag() {
        let mac = MacKey::new(&Key256::from_bytes(&[1; 32]));
        let tuples: [&[&[u8]]; 7] = [&[], &[b""], &[b"ab"], &[b"a", b"b"], &[b"", b"ab"], &[b"ab", b""], &[b"a", b"", b"b"]];
        let tags: std::collections::HashSet<_> = tuples.iter().map(|tuple| mac.tag(tuple)).collect();
        assert_eq!(tags.len(), tuples.len());
        assert!(!mac.verify(&[b"a"], &mac.tag(&[b"b"])));
    }
}

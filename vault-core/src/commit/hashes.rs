//! The hashes of records as the last commit left them: what a leader has met lately is neither read nor hashed again.
//!
//! Every change of the store goes through the leader, so that what it has noted is what is there.

use crate::barrier::Digest;
use crate::crypto::{MacKey, sha256};
use crate::storage::{Expected, Key};
use std::collections::HashMap;

/// Records of one generation: there are two, so that those that are met again and again stay.
const RECORDS_MAX: usize = 4_096;

/// A record's SHA-256, and its term in the digest.
#[derive(Clone, Copy)]
pub(super) struct Hashed {
    hash: [u8; 32],
    pub(super) term: Digest,
}

/// What is known of records of the store; `None` where it is known that there is none.
#[derive(Default)]
pub(super) struct Hashes {
    newer: HashMap<Key, Option<Hashed>>,
    older: HashMap<Key, Option<Hashed>>,
}

impl Hashed {
    pub(super) fn of(mac: &MacKey, key: &Key, record: &[u8]) -> Self {
        let hash = sha256(&[record]);
        Hashed { hash, term: Digest::term(mac, key, &hash) }
    }

    /// As what a record, or its absence, is expected.
    pub(super) fn expected(hashed: Option<&Hashed>) -> Expected {
        hashed.map_or(Expected::Absent, |hashed| Expected::Sha256(hashed.hash))
    }
}

impl Hashes {
    pub(super) fn get(&self, key: &Key) -> Option<Option<Hashed>> {
        self.newer.get(key).or_else(|| self.older.get(key)).copied()
    }

    pub(super) fn note(&mut self, key: Key, hashed: Option<Hashed>) {
        if self.newer.len() >= RECORDS_MAX {
            std::mem::swap(&mut self.newer, &mut self.older);
            self.newer.clear();
        }
        self.newer.insert(key, hashed);
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.newer.remove(key);
        self.older.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Key256;

    fn key(number: usize) -> Key {
        Key::new(&[&number.to_be_bytes()])
    }

    #[test]
    fn what_was_noted_last_counts_and_the_number_of_what_is_noted_is_bounded() {
        let mac = MacKey::new(&Key256::from_bytes(&[7; 32]));
        let mut hashes = Hashes::default();
        assert!(hashes.get(&key(0)).is_none(), "nothing is known");
        let record = Hashed::of(&mac, &key(0), b"record");
        hashes.note(key(0), Some(record));
        (1..RECORDS_MAX + 10).for_each(|number| hashes.note(key(number), None));
        let found = hashes.get(&key(0)).expect("known still");
        assert_eq!(Hashed::expected(found.as_ref()), Expected::of(Some(b"record")));
        hashes.note(key(0), None);
        assert_eq!(Hashed::expected(hashes.get(&key(0)).expect("known").as_ref()), Expected::Absent, "it was removed");
        hashes.forget(&key(0));
        assert!(hashes.get(&key(0)).is_none());
        hashes.note(key(0), None);
        (0..3 * RECORDS_MAX).for_each(|number| hashes.note(key(RECORDS_MAX * 10 + number), None));
        assert!(hashes.get(&key(0)).is_none(), "forgotten");
        assert!(hashes.newer.len() + hashes.older.len() <= 2 * RECORDS_MAX);
    }
}

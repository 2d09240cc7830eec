//! The Merkle tree over the events (RFC 6962, section 2.1), grown at its right edge: only the roots of its full subtrees are kept.
//!
//! `leaf = SHA-256(0x00 | event)`, `node = SHA-256(0x01 | left | right)`. One more event costs O(log n) hashes at most, and no reading.
//! The chain goes over the same leaves, so that an event is hashed once.

use crate::crypto::sha256;

/// The hash of one event, as the tree and the chain take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf([u8; 32]);

/// The tree at one point: how many events are in it, and the roots of its full subtrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    size: u64,
    /// Largest first: one for each bit that is set in `size`.
    frontier: Vec<[u8; 32]>,
}

impl Tree {
    /// The tree without events.
    pub(crate) fn empty() -> Self {
        Tree { size: 0, frontier: Vec::new() }
    }

    /// The tree with one more event.
    pub(crate) fn push(&mut self, leaf: Leaf) {
        let mut hash = leaf.0;
        for _ in 0..self.size.trailing_ones() {
            let left = self.frontier.pop().expect("there is one subtree for each bit of the size");
            hash = node(&left, &hash);
        }
        self.frontier.push(hash);
        self.size += 1;
    }

    /// The tree's root; of the empty tree, the hash of nothing.
    pub(crate) fn root(&self) -> [u8; 32] {
        let mut smallest_first = self.frontier.iter().rev();
        let Some(first) = smallest_first.next() else {
            return sha256(&[]);
        };
        smallest_first.fold(*first, |right, left| node(left, &right))
    }

    /// How many events are in it.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The root of the full subtree over these leaves (from 0), if it is one of those that are kept.
    pub(super) fn subtree(&self, start: u64, end: u64) -> Option<[u8; 32]> {
        let bits = (0..u64::BITS).rev().map(|bit| 1_u64 << bit).filter(|bit| self.size & bit != 0);
        let mut at = 0;
        for (len, hash) in bits.zip(&self.frontier) {
            if (at, at + len) == (start, end) {
                return Some(*hash);
            }
            at += len;
        }
        None
    }

    /// The roots of the full subtrees, one after another, as they stand in the root record.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.frontier.concat()
    }

    /// The tree of `size` events with these subtrees; `None` when there are not as many as that size has.
    pub(crate) fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let whole = rest.is_empty() && hashes.len() == size.count_ones() as usize;
        whole.then(|| Tree { size, frontier: hashes.to_vec() })
    }
}

impl Leaf {
    /// That of an event.
    pub(crate) fn of(event: &[u8]) -> Self {
        Leaf(sha256(&[&[0], event]))
    }

    pub(super) fn hash(&self) -> &[u8; 32] {
        &self.0
    }
}

pub(super) fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], left, right])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MTH straight from the RFC's definition.
    fn naive_root(events: &[Vec<u8>]) -> [u8; 32] {
        match events {
            [] => sha256(&[]),
            [event] => sha256(&[&[0], event]),
            _ => {
                let (left, right) = events.split_at(events.len().next_power_of_two() / 2);
                sha256(&[&[1], &naive_root(left), &naive_root(right)])
            }
        }
    }

    #[test]
    fn every_size_has_the_root_of_the_definition_and_survives_the_root_record() {
        let events: Vec<Vec<u8>> = (0..300_u32).map(|i| i.to_le_bytes().to_vec()).collect();
        let mut tree = Tree::empty();
        for (size, event) in events.iter().enumerate() {
            assert_eq!(tree.root(), naive_root(&events[..size]), "size {size}");
            tree = Tree::from_bytes(size as u64, &tree.to_bytes()).expect("its own bytes");
            tree.push(Leaf::of(event));
        }
    }

    #[test]
    fn a_frontier_of_another_size_is_refused() {
        let mut tree = Tree::empty();
        (0..3).for_each(|_| tree.push(Leaf::of(b"event")));
        let bytes = tree.to_bytes();
        assert!(Tree::from_bytes(3, &bytes).is_some());
        assert!(Tree::from_bytes(4, &bytes).is_none());
        assert!(Tree::from_bytes(3, &bytes[1..]).is_none());
        assert!(Tree::from_bytes(0, &bytes).is_none());
    }
}

//! The hash chain over the events.
//!
//! `head(0) = SHA-256("libvault v0 audit" | store id)`, `head(n) = SHA-256(0x01 | head(n-1) | n (8, little-endian) | leaf n)`,
//! where the leaf is the event's in the tree: `SHA-256(0x00 | event n)`.

use super::Leaf;
use crate::crypto::sha256;
use crate::types::id::Id;

/// The chain at one point: how many events there were, and their head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The number of the last event; they count from 1.
    pub(crate) sequence: u64,
    /// The head after it.
    pub(crate) head: [u8; 32],
}

impl Chain {
    /// The chain of a store before its first event.
    pub(crate) fn start(store: &Id) -> Self {
        Chain { sequence: 0, head: sha256(&[b"libvault v0 audit", store.as_bytes()]) }
    }

    /// The chain with one more event.
    pub(crate) fn push(&mut self, leaf: Leaf) {
        self.sequence += 1;
        self.head = sha256(&[&[1], &self.head, &self.sequence.to_le_bytes(), leaf.hash()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_depends_on_store_order_and_content() {
        let chain = |store: u8, events: &[&[u8]]| {
            let mut chain = Chain::start(&Id::from_bytes([store; 16]));
            events.iter().for_each(|event| chain.push(Leaf::of(event)));
            chain.head
        };
        let head = chain(1, &[b"a", b"b"]);
        assert_eq!(head, chain(1, &[b"a", b"b"]));
        for other in [chain(2, &[b"a", b"b"]), chain(1, &[b"b", b"a"]), chain(1, &[b"ab"]), chain(1, &[b"a"]), chain(1, &[b"a", b"b", b""])]
        {
            assert_ne!(head, other);
        }
    }
}

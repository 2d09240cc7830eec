//! The hash chain over the events, and the chunks in which they lie in the store.
//!
//! `head(0) = SHA-256("libvault v0 audit" | store id)`, `head(n) = SHA-256(0x01 | head(n-1) | n (8, little-endian) | event n)`.
//! A chunk is a sequence of `length (4, little-endian) | event`.

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
    pub(crate) fn push(&mut self, event: &[u8]) {
        self.sequence += 1;
        self.head = sha256(&[&[1], &self.head, &self.sequence.to_le_bytes(), event]);
    }
}

/// The chunk that holds these events.
pub(crate) fn chunk_from_events(events: &[Vec<u8>]) -> Vec<u8> {
    let mut chunk = Vec::with_capacity(events.iter().map(|event| 4 + event.len()).sum());
    for event in events {
        let len = u32::try_from(event.len()).expect("an event is far smaller than 4 GiB: its fields are bounded");
        chunk.extend_from_slice(&len.to_le_bytes());
        chunk.extend_from_slice(event);
    }
    chunk
}

/// The events of a chunk; `None` when it is cut or is no chunk.
pub(crate) fn events_of_chunk(chunk: &[u8]) -> Option<Vec<&[u8]>> {
    let mut events = Vec::new();
    let mut rest = chunk;
    while !rest.is_empty() {
        let (len, tail) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        events.push(tail.get(..len)?);
        rest = &tail[len..];
    }
    Some(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_round_trip_and_cut_ones_are_refused() {
        let events = vec![b"one".to_vec(), Vec::new(), b"three".to_vec()];
        let chunk = chunk_from_events(&events);
        assert_eq!(events_of_chunk(&chunk).expect("whole"), vec![&b"one"[..], b"", b"three"]);
        assert!(events_of_chunk(&chunk[..chunk.len() - 1]).is_none());
        assert!(events_of_chunk(&[1, 0]).is_none());
    }

    #[test]
    fn the_head_depends_on_store_order_and_content() {
        let chain = |store: u8, events: &[&[u8]]| {
            let mut chain = Chain::start(&Id::from_bytes([store; 16]));
            events.iter().for_each(|event| chain.push(event));
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

//! Proofs over the tree of events, and their verification, which needs no vault (RFC 6962, section 2.1; the verification as RFC 9162 tells it).

use super::checkpoint::Checkpoint;
use super::tree::{Leaf, Tree, node};
use crate::types::{Code, Error, Object, Result, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Shows that an event is in the log, without the rest of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The event's number; they count from 1.
    pub sequence: u64,
    /// How many events the log had, of which this is a proof.
    pub size: u64,
    /// The event's bytes as they are chained: CBOR.
    pub event: Vec<u8>,
    /// The hashes on the way from the event to the root.
    pub hashes: Vec<[u8; 32]>,
}

/// Shows that a log is the continuation of an older one: nothing of that was taken away or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// How many events the older log had.
    pub from: u64,
    /// How many the newer one has.
    pub to: u64,
    /// The hashes by which both roots are made.
    pub hashes: Vec<[u8; 32]>,
}

impl InclusionProof {
    /// Checks the proof against a checkpoint of the same size.
    ///
    /// # Errors
    /// `Corrupt` when the event is not in that log, at that place, as these bytes.
    pub fn verify(&self, checkpoint: &Checkpoint) -> Result<()> {
        let fails = || wrong("the event is not at that place of the log");
        if self.size != checkpoint.size || self.sequence == 0 || self.sequence > self.size {
            return Err(fails());
        }
        let (mut at, mut last) = (self.sequence - 1, self.size - 1);
        let mut hash = *Leaf::of(&self.event).hash();
        for other in &self.hashes {
            if last == 0 {
                return Err(fails());
            }
            if at % 2 == 1 || at == last {
                hash = node(other, &hash);
                while at % 2 == 0 && at != 0 {
                    at /= 2;
                    last /= 2;
                }
            } else {
                hash = node(&hash, other);
            }
            at /= 2;
            last /= 2;
        }
        if last == 0 && hash == checkpoint.root { Ok(()) } else { Err(fails()) }
    }

    /// The proof as `sys/audit-log/proof/inclusion` answers it.
    ///
    /// # Errors
    /// `InvalidData` when it is none.
    pub fn from_value(value: &Value) -> Result<Self> {
        let event = value.get("event").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok()).ok_or_else(no_proof)?;
        Ok(InclusionProof { sequence: number(value, "sequence")?, size: number(value, "size")?, event, hashes: hashes(value)? })
    }

    pub(crate) fn to_object(&self) -> Object {
        Object::new()
            .with("sequence", self.sequence)
            .with("size", self.size)
            .with("event", STANDARD.encode(&self.event))
            .with("hashes", hash_values(&self.hashes))
    }
}

impl ConsistencyProof {
    /// Checks that the newer log begins with the older one.
    ///
    /// # Errors
    /// `Corrupt` when it does not: something was taken away, changed, or the log was forked.
    pub fn verify(&self, older: &Checkpoint, newer: &Checkpoint) -> Result<()> {
        let fails = || wrong("the newer log does not begin with the older one");
        if older.origin != newer.origin || (self.from, self.to) != (older.size, newer.size) || self.from > self.to {
            return Err(fails());
        }
        if self.from == 0 || self.from == self.to {
            let same = self.from == 0 || older.root == newer.root;
            return if same && self.hashes.is_empty() { Ok(()) } else { Err(fails()) };
        }
        let (mut at, mut last) = (self.from - 1, self.to - 1);
        while at % 2 == 1 {
            at /= 2;
            last /= 2;
        }
        let mut hashes = self.hashes.iter();
        let start = if self.from.is_power_of_two() { &older.root } else { hashes.next().ok_or_else(fails)? };
        let (mut old, mut new) = (*start, *start);
        for other in hashes {
            if last == 0 {
                return Err(fails());
            }
            if at % 2 == 1 || at == last {
                old = node(other, &old);
                new = node(other, &new);
                while at % 2 == 0 && at != 0 {
                    at /= 2;
                    last /= 2;
                }
            } else {
                new = node(&new, other);
            }
            at /= 2;
            last /= 2;
        }
        if last == 0 && old == older.root && new == newer.root { Ok(()) } else { Err(fails()) }
    }

    /// The proof as `sys/audit-log/proof/consistency` answers it.
    ///
    /// # Errors
    /// `InvalidData` when it is none.
    pub fn from_value(value: &Value) -> Result<Self> {
        Ok(ConsistencyProof { from: number(value, "from")?, to: number(value, "to")?, hashes: hashes(value)? })
    }

    pub(crate) fn to_object(&self) -> Object {
        Object::new().with("from", self.from).with("to", self.to).with("hashes", hash_values(&self.hashes))
    }
}

/// The leaves of a log, of which the oldest may be gone but for the roots of their full subtrees.
pub(crate) struct Leaves {
    base: Tree,
    hashes: Vec<[u8; 32]>,
}

impl Leaves {
    /// The leaves that come after those of `base`, none yet.
    pub(crate) fn after(base: Tree) -> Self {
        Leaves { base, hashes: Vec::new() }
    }

    /// Adds the next event.
    pub(crate) fn push(&mut self, leaf: Leaf) {
        self.hashes.push(*leaf.hash());
    }

    /// How many leaves there are, those that are gone included.
    pub(crate) fn size(&self) -> u64 {
        self.base.size() + self.hashes.len() as u64
    }

    /// The hashes that prove the leaf at `at` (PATH of the RFC); `None` where that leaf is gone.
    pub(crate) fn inclusion(&self, at: u64) -> Option<Vec<[u8; 32]>> {
        let (mut start, mut end) = (0, self.size());
        let mut hashes = Vec::new();
        while end - start > 1 {
            let middle = start + split(end - start);
            if at < middle {
                hashes.push(self.root_of(middle, end)?);
                end = middle;
            } else {
                hashes.push(self.root_of(start, middle)?);
                start = middle;
            }
        }
        hashes.reverse();
        Some(hashes)
    }

    /// The hashes that prove that the first `from` leaves are the beginning of all (PROOF of the RFC); `None` where that lies in what is gone.
    pub(crate) fn consistency(&self, from: u64) -> Option<Vec<[u8; 32]>> {
        let (mut start, mut end) = (0, self.size());
        let mut whole = true;
        let mut hashes = Vec::new();
        if from == 0 {
            return Some(hashes);
        }
        while from != end {
            let middle = start + split(end - start);
            if from <= middle {
                hashes.push(self.root_of(middle, end)?);
                end = middle;
            } else {
                hashes.push(self.root_of(start, middle)?);
                start = middle;
                whole = false;
            }
        }
        if !whole {
            hashes.push(self.root_of(start, end)?);
        }
        hashes.reverse();
        Some(hashes)
    }

    /// The root over the leaves from `start` to before `end` (MTH of the RFC).
    fn root_of(&self, start: u64, end: u64) -> Option<[u8; 32]> {
        let gone = self.base.size();
        if end <= gone {
            return self.base.subtree(start, end);
        }
        if end - start == 1 {
            return self.hashes.get(usize::try_from(start - gone).ok()?).copied();
        }
        let middle = start + split(end - start);
        Some(node(&self.root_of(start, middle)?, &self.root_of(middle, end)?))
    }
}

/// The largest power of two below a length of at least 2.
fn split(len: u64) -> u64 {
    len.next_power_of_two() / 2
}

fn hash_values(hashes: &[[u8; 32]]) -> Value {
    Value::Array(hashes.iter().map(|hash| Value::string(STANDARD.encode(hash))).collect())
}

fn hashes(value: &Value) -> Result<Vec<[u8; 32]>> {
    let hash = |value: &Value| value.as_str().and_then(|text| STANDARD.decode(text).ok()).and_then(|bytes| bytes.try_into().ok());
    let all = value.get("hashes").and_then(Value::as_array).ok_or_else(no_proof)?;
    all.iter().map(|value| hash(value).ok_or_else(no_proof)).collect()
}

fn number(value: &Value, name: &str) -> Result<u64> {
    value.get(name).and_then(Value::as_u64).ok_or_else(no_proof)
}

fn no_proof() -> Error {
    Error::new(Code::InvalidData, "this is no proof as sys/audit-log/proof answers it")
}

fn wrong(why: &str) -> Error {
    Error::new(Code::Corrupt, format!("the proof does not verify: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(events: &[Vec<u8>]) -> Checkpoint {
        Checkpoint { origin: "o".to_owned(), size: events.len() as u64, root: tree(events).root() }
    }

    fn tree(events: &[Vec<u8>]) -> Tree {
        let mut tree = Tree::empty();
        events.iter().for_each(|event| tree.push(Leaf::of(event)));
        tree
    }

    fn events(count: u32) -> Vec<Vec<u8>> {
        (0..count).map(|i| i.to_le_bytes().to_vec()).collect()
    }

    /// The leaves of these events, of which the first are gone.
    fn leaves(gone: usize, events: &[Vec<u8>]) -> Leaves {
        let mut leaves = Leaves::after(tree(&events[..gone]));
        events[gone..].iter().for_each(|event| leaves.push(Leaf::of(event)));
        leaves
    }

    #[test]
    fn every_event_of_every_size_is_proved_and_no_other_in_its_place() {
        let events = events(70);
        for size in 1..=events.len() {
            let checkpoint = checkpoint(&events[..size]);
            let leaves = leaves(0, &events[..size]);
            for (at, event) in events[..size].iter().enumerate() {
                let hashes = leaves.inclusion(at as u64).expect("nothing is gone");
                let proof = InclusionProof { sequence: at as u64 + 1, size: size as u64, event: event.clone(), hashes };
                proof.verify(&checkpoint).expect("proved");
                assert_eq!(InclusionProof::from_value(&proof.to_object().into()).expect("its own"), proof);
                let other = InclusionProof { event: b"another".to_vec(), ..proof.clone() };
                assert!(other.verify(&checkpoint).is_err());
                let elsewhere = InclusionProof { sequence: (at as u64 + 1) % size as u64 + 1, ..proof.clone() };
                assert_eq!(elsewhere.verify(&checkpoint).is_err(), size > 1);
                if let Some(first) = proof.hashes.first() {
                    let mut longer = proof.clone();
                    longer.hashes.push(*first);
                    assert!(longer.verify(&checkpoint).is_err());
                    let shorter = InclusionProof { hashes: proof.hashes[1..].to_vec(), ..proof.clone() };
                    assert!(shorter.verify(&checkpoint).is_err());
                }
            }
        }
    }

    #[test]
    fn what_is_not_gone_is_proved_as_if_nothing_were() {
        let events = events(70);
        for size in 1..=events.len() {
            let whole = leaves(0, &events[..size]);
            for gone in 0..=size {
                let rest = leaves(gone, &events[..size]);
                for at in 0..size as u64 {
                    let expected = (at >= gone as u64).then(|| whole.inclusion(at)).flatten();
                    let found = rest.inclusion(at);
                    assert!(found == expected || at < gone as u64, "{at} of {size}, {gone} gone");
                }
                for from in gone..=size {
                    assert_eq!(rest.consistency(from as u64), whole.consistency(from as u64), "{from} of {size}, {gone} gone");
                }
            }
        }
    }

    #[test]
    fn every_pair_of_sizes_is_consistent_and_a_fork_is_not() {
        let events = events(70);
        let mut forked = events.clone();
        forked[3] = b"another".to_vec();
        for to in 0..=events.len() {
            let leaves = leaves(0, &events[..to]);
            for from in 0..=to {
                let hashes = leaves.consistency(from as u64).expect("nothing is gone");
                let proof = ConsistencyProof { from: from as u64, to: to as u64, hashes };
                let (older, newer) = (checkpoint(&events[..from]), checkpoint(&events[..to]));
                proof.verify(&older, &newer).unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
                assert_eq!(ConsistencyProof::from_value(&proof.to_object().into()).expect("its own"), proof);
                if from > 3 {
                    assert!(proof.verify(&checkpoint(&forked[..from]), &newer).is_err(), "{from} to {to}");
                    assert!(proof.verify(&older, &checkpoint(&forked[..to])).is_err(), "{from} to {to}");
                }
                for at in 0..proof.hashes.len() {
                    let mut bad = proof.clone();
                    bad.hashes[at][0] ^= 1;
                    assert!(bad.verify(&older, &newer).is_err());
                }
            }
        }
    }
}

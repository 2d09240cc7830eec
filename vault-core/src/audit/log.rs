//! Reading the log: all of it, compared with the root record; or what comes after some event.

use super::base::Base;
use super::{AuditError, Chain, Leaf, SegmentEntry, Tree, events_of_chunk};
use crate::barrier::{Barrier, Kind, RootRecord};
use crate::storage::{Key, Read, Storage};
use crate::types::id::Id;
use zeroize::Zeroizing;

/// Tail chunks that are read at a time.
const TAIL_PAGE: usize = 256;

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditSummary {
    /// Events that were read and chained anew.
    pub records: u64,
    /// Sealed segments among them.
    pub segments: u64,
    /// The number of the last event that was pruned; 0 when none was.
    pub pruned: u64,
    /// The head of the chain: SHA-256.
    pub head: [u8; 32],
    /// The root of the Merkle tree over the events (RFC 6962), pruned ones included.
    pub root: [u8; 32],
}

/// The log of a store as one root record describes it.
pub(crate) struct Log<'a> {
    pub(crate) barrier: &'a Barrier,
    pub(crate) store: &'a Id,
    pub(crate) root: &'a RootRecord,
    pub(crate) records: &'a dyn Read,
    pub(crate) storage: &'a dyn Storage,
}

impl Log<'_> {
    /// Where the log begins.
    pub(crate) fn base(&self) -> Result<Base, AuditError> {
        Ok(Base::load(self.barrier, self.store, self.records)?)
    }

    /// Reads every event and compares the chain and the tree with the root record.
    pub(crate) fn verify(&self) -> Result<AuditSummary, AuditError> {
        let base = self.base()?;
        let mut tree = base.tree()?;
        self.walk(|_, _, leaf| {
            tree.push(leaf);
            true
        })?;
        let root = self.root;
        check_tree(&tree, root)?;
        Ok(AuditSummary {
            records: root.audit_sequence - base.sequence,
            segments: root.audit_segments - base.segments,
            pruned: base.sequence,
            head: root.audit_head,
            root: root.audit_root,
        })
    }

    /// Reads every event in order, with its number and leaf, checking the chain on the way, until `each` answers false.
    pub(crate) fn walk(&self, mut each: impl FnMut(u64, &[u8], Leaf) -> bool) -> Result<(), AuditError> {
        let base = self.base()?;
        let mut chain = base.chain();
        let mut feed = |chain: &mut Chain, chunk: &[u8], place: &str| -> Result<bool, AuditError> {
            for event in events_of_chunk(chunk).ok_or_else(|| cut(place))? {
                let leaf = Leaf::of(event);
                chain.push(leaf);
                if !each(chain.sequence, event, leaf) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        for index in base.segments + 1..=self.root.audit_segments {
            let broken = |why: &str| AuditError::Broken(format!("segment {index} {why}"));
            let (entry, chunk) = self.segment(index)?;
            if entry.first_sequence != chain.sequence + 1 {
                return Err(broken("is out of place"));
            }
            if !feed(&mut chain, &chunk, &format!("segment {index}"))? {
                return Ok(());
            }
            if chain != (Chain { sequence: entry.last_sequence, head: entry.head }) {
                return Err(broken("does not lead to its recorded head"));
            }
        }
        let mut stopped = false;
        self.tail(|first, chunk| {
            if first != chain.sequence + 1 {
                return Err(AuditError::Broken(format!("the record after number {} is missing", chain.sequence)));
            }
            stopped = !feed(&mut chain, chunk, "a chunk of the tail")?;
            Ok(!stopped)
        })?;
        if !stopped && chain != (Chain { sequence: self.root.audit_sequence, head: self.root.audit_head }) {
            let (found, expected) = (chain.sequence, self.root.audit_sequence);
            return Err(AuditError::Broken(format!("{found} records lead to another head than the root record's, which knows {expected}")));
        }
        Ok(())
    }

    /// Reads the events after number `after` in order, until `each` answers false. Only what holds them is read; each piece of the log is
    /// authenticated, and that they are the whole log is for [`Self::verify`] to say.
    pub(crate) fn after(&self, after: u64, mut each: impl FnMut(u64, &[u8]) -> bool) -> Result<(), AuditError> {
        let base = self.base()?;
        let mut next = after.max(base.sequence).saturating_add(1);
        let mut feed = |next: &mut u64, first: u64, chunk: &[u8]| -> Result<bool, AuditError> {
            let events = events_of_chunk(chunk).ok_or_else(|| cut("a part of the log"))?;
            if first > *next {
                return Err(AuditError::Broken(format!("the record with number {next} is missing")));
            }
            for (sequence, event) in (first..).zip(events) {
                if sequence == *next {
                    *next += 1;
                    if !each(sequence, event) {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        };
        for index in self.first_segment_with(next, base.segments)?..=self.root.audit_segments {
            let (entry, chunk) = self.segment(index)?;
            if !feed(&mut next, entry.first_sequence, &chunk)? {
                return Ok(());
            }
        }
        self.tail(|first, chunk| feed(&mut next, first, chunk))
    }

    /// The events of a segment, and its entry.
    pub(crate) fn segment(&self, index: u64) -> Result<(SegmentEntry, Zeroizing<Vec<u8>>), AuditError> {
        let broken = |why: &str| AuditError::Broken(format!("segment {index} {why}"));
        let entry = self.entry(index)?;
        let content = self.storage.read_segment(index)?.ok_or_else(|| broken("is missing"))?;
        let chunk = entry.open(self.barrier, index, &content).map_err(|_| broken("was altered"))?;
        Ok((entry, chunk))
    }

    /// The entry of a segment.
    pub(crate) fn entry(&self, index: u64) -> Result<SegmentEntry, AuditError> {
        let key = SegmentEntry::key(self.barrier, index);
        let record = self.records.get(&key)?.ok_or_else(|| AuditError::Broken(format!("segment {index} has lost its entry")))?;
        Ok(SegmentEntry::from_bytes(&self.barrier.open(Kind::AuditSegmentEntry, &key, &record)?)?)
    }

    /// The first segment that reaches this event, else the one after the last; all up to `gone` were pruned.
    fn first_segment_with(&self, sequence: u64, gone: u64) -> Result<u64, AuditError> {
        let (mut low, mut high) = (gone + 1, self.root.audit_segments + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle)?.last_sequence < sequence {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Reads the chunks of the tail in order, with the number of their first event, until `each` answers false.
    fn tail(&self, mut each: impl FnMut(u64, &[u8]) -> Result<bool, AuditError>) -> Result<(), AuditError> {
        let prefix = self.barrier.tail_prefix();
        let mut after: Option<Key> = None;
        loop {
            let page = self.records.scan(&prefix, after.as_ref(), TAIL_PAGE)?;
            for (key, record) in &page {
                let chunk = self.barrier.open(Kind::AuditTail, key, record)?;
                let first = key.as_bytes().last_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                if !each(first, &chunk)? {
                    return Ok(());
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == TAIL_PAGE => after = Some(*key),
                _ => return Ok(()),
            }
        }
    }
}

fn cut(place: &str) -> AuditError {
    AuditError::Broken(format!("{place} is cut"))
}

fn check_tree(tree: &Tree, root: &RootRecord) -> Result<(), AuditError> {
    let recorded = Tree::from_bytes(root.audit_sequence, &root.audit_frontier);
    if recorded.as_ref() == Some(tree) && root.audit_root == tree.root() {
        return Ok(());
    }
    Err(AuditError::Broken("the events make another tree than the root record's".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_is_not_the_root_records_is_found() {
        let mut tree = Tree::empty();
        (0..3_u8).for_each(|i| tree.push(Leaf::of(&[i])));
        let root = RootRecord {
            commit: 1,
            digest: [0; 32],
            audit_sequence: 3,
            audit_head: [0; 32],
            audit_segments: 0,
            audit_tail_bytes: 0,
            messages: 0,
            epoch: 0,
            audit_frontier: tree.to_bytes(),
            audit_root: tree.root(),
            messages_key: 0,
            lineage: [0; 16],
            frozen: false,
            parent: [0; 16],
        };
        assert!(check_tree(&tree, &root).is_ok());
        let mut frontier = root.audit_frontier.clone();
        frontier[0] ^= 1;
        for other in [
            RootRecord { audit_frontier: frontier, ..root.clone() },
            RootRecord { audit_root: [0; 32], ..root.clone() },
            RootRecord { audit_sequence: 4, ..root.clone() },
        ] {
            assert!(matches!(check_tree(&tree, &other), Err(AuditError::Broken(_))));
        }
    }
}

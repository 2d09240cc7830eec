//! Reading the whole log anew, from the first event to the head in the root record.

use super::{AuditError, Chain, SegmentEntry, Tree, events_of_chunk};
use crate::barrier::{Barrier, Kind, RootRecord};
use crate::storage::{Key, Read, Storage};
use crate::types::id::Id;

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
    /// The head of the chain: SHA-256.
    pub head: [u8; 32],
    /// The root of the Merkle tree over the events (RFC 6962).
    pub root: [u8; 32],
}

/// Reads every event and compares the chain and the tree with the root record.
pub(crate) fn verify(
    barrier: &Barrier,
    store: &Id,
    root: &RootRecord,
    records: &dyn Read,
    storage: &dyn Storage,
) -> Result<AuditSummary, AuditError> {
    let mut tree = Tree::empty();
    walk(barrier, store, root, records, storage, |_, event| {
        tree.push(event);
        true
    })?;
    check_tree(&tree, root)?;
    Ok(AuditSummary { records: root.audit_sequence, segments: root.audit_segments, head: root.audit_head, root: root.audit_root })
}

fn check_tree(tree: &Tree, root: &RootRecord) -> Result<(), AuditError> {
    let recorded = Tree::from_bytes(root.audit_sequence, &root.audit_frontier);
    if recorded.as_ref() == Some(tree) && root.audit_root == tree.root() {
        return Ok(());
    }
    Err(AuditError::Broken("the events make another tree than the root record's".to_owned()))
}

/// Reads every event in order, checking the chain on the way, until `each` answers false.
pub(crate) fn walk(
    barrier: &Barrier,
    store: &Id,
    root: &RootRecord,
    records: &dyn Read,
    storage: &dyn Storage,
    mut each: impl FnMut(u64, &[u8]) -> bool,
) -> Result<(), AuditError> {
    let mut chain = Chain::start(store);
    let mut feed = |chain: &mut Chain, chunk: &[u8], place: &str| -> Result<bool, AuditError> {
        let events = events_of_chunk(chunk).ok_or_else(|| AuditError::Broken(format!("{place} is cut")))?;
        for event in events {
            chain.push(event);
            if !each(chain.sequence, event) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    for index in 1..=root.audit_segments {
        let broken = |why: &str| AuditError::Broken(format!("segment {index} {why}"));
        let key = SegmentEntry::key(barrier, index);
        let record = records.get(&key)?.ok_or_else(|| broken("has lost its entry"))?;
        let entry = SegmentEntry::from_bytes(&barrier.open(Kind::AuditSegmentEntry, &key, &record)?)?;
        let content = storage.read_segment(index)?.ok_or_else(|| broken("is missing"))?;
        let chunk = entry.open(barrier, index, &content).map_err(|_| broken("was altered"))?;
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
    let prefix = barrier.tail_prefix();
    let mut after: Option<Key> = None;
    loop {
        let page = records.scan(&prefix, after.as_ref(), TAIL_PAGE)?;
        for (key, record) in &page {
            if *key != barrier.tail_key(chain.sequence + 1) {
                return Err(AuditError::Broken(format!("the record after number {} is missing", chain.sequence)));
            }
            let chunk = barrier.open(Kind::AuditTail, key, record)?;
            if !feed(&mut chain, &chunk, "a chunk of the tail")? {
                return Ok(());
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == TAIL_PAGE => after = Some(*key),
            _ => break,
        }
    }
    if chain != (Chain { sequence: root.audit_sequence, head: root.audit_head }) {
        let (found, expected) = (chain.sequence, root.audit_sequence);
        return Err(AuditError::Broken(format!("{found} records lead to another head than the root record's, which knows {expected}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_is_not_the_root_records_is_found() {
        let mut tree = Tree::empty();
        (0..3_u8).for_each(|i| tree.push(&[i]));
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

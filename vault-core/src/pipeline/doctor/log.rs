//! The audit log of a damaged store, piece by piece: as far as it is the chain that it was, and what can be read beyond.

use crate::audit::{Base, Chain, Leaf, SegmentEntry, Tree, events_of_chunk};
use crate::barrier::{Barrier, BarrierError, Kind, RootRecord};
use crate::storage::{Key, Read, Storage};
use crate::types::Result;

/// Tail chunks that are read at a time.
const TAIL_PAGE: usize = 256;

/// What was found of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogState {
    /// Events that are what they were, in one chain from where the log begins.
    pub(crate) chained: u64,
    /// Events behind a break that can be read all the same.
    pub(crate) unchained: u64,
    /// Events that the root record knows and that cannot be read.
    pub(crate) lost: u64,
    /// The number of the first event that is missing or not what it was.
    pub(crate) first_bad: Option<u64>,
    /// What is wrong there.
    pub(crate) why: Option<String>,
    /// Segments that are missing or were altered, by number.
    pub(crate) bad_segments: Vec<u64>,
}

/// Where the part ends that is what it was.
pub(super) struct Prefix {
    pub(super) base: Base,
    pub(super) chain: Chain,
    pub(super) tree: Tree,
    /// The last segment of it.
    pub(super) segments: u64,
    /// The chain and the tree at the end of that segment.
    pub(super) sealed: (Chain, Tree),
    /// The whole log is what it was.
    pub(super) whole: bool,
}

/// A log that is read.
pub(super) struct Reader<'a> {
    pub(super) barrier: &'a Barrier,
    pub(super) root: Option<&'a RootRecord>,
    pub(super) records: &'a dyn Read,
    pub(super) storage: &'a dyn Storage,
}

/// Is given an event's number, its bytes, and whether it stands in the chain.
pub(super) type EachEvent<'e> = dyn FnMut(u64, &[u8], bool) -> Result<()> + 'e;

/// What is being found on the way.
struct Walk<'e> {
    prefix: Prefix,
    state: LogState,
    each: &'e mut EachEvent<'e>,
}

impl Reader<'_> {
    /// Gives every event that can be read, in order, with its number and whether it stands in the chain.
    pub(super) fn read<'e>(&self, each: &'e mut EachEvent<'e>) -> Result<(Prefix, LogState)> {
        let store = self.barrier.store();
        let base = Base::load(self.barrier, store, self.records)?;
        let tree = base.tree()?;
        let chain = Chain { sequence: base.sequence, head: base.head };
        let segments = base.segments;
        let prefix = Prefix { base, chain, tree: tree.clone(), segments, sealed: (chain, tree), whole: false };
        let mut walk = Walk { prefix, state: LogState::default(), each };
        let mut index = segments + 1;
        while self.has_segment(index)? {
            match self.segment(index)? {
                Some((entry, chunk)) => {
                    let end = Chain { sequence: entry.last_sequence, head: entry.head };
                    walk.piece(entry.first_sequence, &chunk, Some(end), &format!("segment {index}"))?;
                    if walk.state.why.is_none() {
                        walk.prefix.segments = index;
                        walk.prefix.sealed = (walk.prefix.chain, walk.prefix.tree.clone());
                    }
                }
                None => {
                    walk.state.bad_segments.push(index);
                    walk.broken(format!("segment {index} is missing or was altered"));
                }
            }
            index += 1;
        }
        self.tail(&mut walk)?;
        walk.end(self.root);
        Ok((walk.prefix, walk.state))
    }

    /// Whether there should be a segment of this number; without a root record, whether there is something of it.
    fn has_segment(&self, index: u64) -> Result<bool> {
        match self.root {
            Some(root) => Ok(index <= root.audit_segments),
            None => Ok(self.records.get(&SegmentEntry::key(self.barrier, index))?.is_some() || self.storage.read_segment(index)?.is_some()),
        }
    }

    fn segment(&self, index: u64) -> Result<Option<(SegmentEntry, zeroize::Zeroizing<Vec<u8>>)>> {
        let key = SegmentEntry::key(self.barrier, index);
        let (Some(record), Some(content)) = (self.records.get(&key)?, self.storage.read_segment(index)?) else { return Ok(None) };
        let Ok(entry) = self.barrier.open(Kind::AuditSegmentEntry, &key, &record).and_then(|bytes| SegmentEntry::from_bytes(&bytes)) else {
            return Ok(None);
        };
        Ok(entry.open(self.barrier, index, &content).ok().map(|chunk| (entry, chunk)))
    }

    fn tail(&self, walk: &mut Walk<'_>) -> Result<()> {
        let prefix = self.barrier.tail_prefix();
        let mut after: Option<Key> = None;
        loop {
            let page = self.records.scan(&prefix, after.as_ref(), TAIL_PAGE)?;
            for (key, record) in &page {
                let first = key.as_bytes().last_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                match self.barrier.open(Kind::AuditTail, key, record) {
                    Ok(chunk) => walk.piece(first, &chunk, None, "a chunk of the tail")?,
                    Err(BarrierError::Corrupt) => walk.broken("a chunk of the tail was altered".to_owned()),
                    Err(error) => return Err(error.into()),
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == TAIL_PAGE => after = Some(*key),
                _ => return Ok(()),
            }
        }
    }
}

impl Walk<'_> {
    /// Takes in a piece of the log that decrypts: as a part of the chain, if it is one.
    fn piece(&mut self, first: u64, chunk: &[u8], end: Option<Chain>, place: &str) -> Result<()> {
        let Some(events) = events_of_chunk(chunk) else {
            self.broken(format!("{place} is cut"));
            return Ok(());
        };
        let (mut chain, mut tree) = (self.prefix.chain, self.prefix.tree.clone());
        for event in &events {
            let leaf = Leaf::of(event);
            chain.push(leaf);
            tree.push(leaf);
        }
        if first != self.prefix.chain.sequence + 1 {
            self.broken(format!("the record after number {} is missing", self.prefix.chain.sequence));
        } else if end.is_some_and(|end| end != chain) {
            self.broken(format!("{place} does not lead to its recorded head"));
        }
        let chained = self.state.why.is_none();
        if chained {
            (self.prefix.chain, self.prefix.tree) = (chain, tree);
            self.state.chained += events.len() as u64;
        } else {
            self.state.unchained += events.len() as u64;
        }
        for (sequence, event) in (first..).zip(events) {
            (self.each)(sequence, event, chained)?;
        }
        Ok(())
    }

    /// The chain ends here; the first reason stays.
    fn broken(&mut self, why: String) {
        if self.state.why.is_none() {
            self.state.first_bad = Some(self.prefix.chain.sequence + 1);
            self.state.why = Some(why);
        }
    }

    /// Compares what was found with the root record.
    fn end(&mut self, root: Option<&RootRecord>) {
        let Some(root) = root else {
            self.broken("where the log ends cannot be told without the root record".to_owned());
            return;
        };
        let found = self.prefix.chain;
        if found != (Chain { sequence: root.audit_sequence, head: root.audit_head }) || self.prefix.tree.root() != root.audit_root {
            self.broken(format!(
                "{} records lead to another head than the root record's, which knows {}",
                found.sequence, root.audit_sequence
            ));
        }
        self.prefix.whole = self.state.why.is_none();
        let there = self.prefix.base.sequence + self.state.chained + self.state.unchained;
        self.state.lost = root.audit_sequence.saturating_sub(there);
    }
}

//! Laying the audit log of a damaged store into a new one: what is in its chain as it was, what else can be read behind it, and what was lost.

use super::super::backup::Target;
use super::super::runtime::{Parts, own_event};
use super::Opened;
use super::log::{Prefix, Reader};
use super::salvage::{MESSAGES_UNKNOWN, Salvaged};
use super::survey::each;
use crate::audit::{Base, Chain, Chunk, Event, Leaf, SegmentEntry, Tree};
use crate::barrier::{BarrierError, Digest, Kind, RootRecord};
use crate::storage::{Key, Storage};
use crate::types::{Code, Result, Timestamp};

/// Bytes of events that are sealed into one segment where the log is laid anew.
const SEGMENT_BYTES: usize = 1024 * 1024;

/// The log in the new store.
pub(super) struct Relaid<'a, 't, 's> {
    pub(super) opened: &'a Opened,
    pub(super) reader: &'a Reader<'a>,
    pub(super) target: &'t mut Target<'s>,
    pub(super) new: &'s dyn Storage,
    pub(super) now: Timestamp,
}

/// Events that are being laid, behind those that are there.
struct Laying {
    chain: Chain,
    tree: Tree,
    /// Where those begin that no segment has.
    first: u64,
    waiting: Chunk,
    segments: u64,
    tail_bytes: u64,
}

impl Relaid<'_, '_, '_> {
    /// Lays the log: as it was where it is whole; else up to the break, then what else can be read under new numbers, and between them what
    /// was lost. Whatever was lost is told by events at its end. The root record, but for digest and commit.
    pub(super) fn log(&mut self, prefix: Prefix, told: &Salvaged, lost_commits: u64, parts: &Parts) -> Result<RootRecord> {
        self.segments(&prefix)?;
        let (chain, tree) = if prefix.whole { (prefix.chain, prefix.tree.clone()) } else { prefix.sealed.clone() };
        let mut laying =
            Laying { first: chain.sequence + 1, chain, tree, waiting: Chunk::default(), segments: prefix.segments, tail_bytes: 0 };
        if prefix.whole {
            laying.tail_bytes = self.tail()?;
        } else {
            self.events(&prefix, told, &mut laying, parts)?;
        }
        for (what, count) in losses(told, lost_commits) {
            let path = format!("sys/storage/salvage/{what}");
            self.push(&mut laying, &event(parts, self.now, "salvage-loss", &path, Code::Corrupt.number(), count)?)?;
        }
        self.push(&mut laying, &event(parts, self.now, "salvage", "sys/storage/salvage", 0, 1)?)?;
        self.end(laying, prefix.whole && lost_commits == 0, parts)
    }

    /// Takes over the segments that are in the chain, with their entries, and where the log begins.
    fn segments(&mut self, prefix: &Prefix) -> Result<()> {
        let barrier = &*self.opened.barrier;
        let mut take = |key: Key| -> Result<()> {
            match self.reader.records.get(&key)? {
                Some(record) => self.target.put(key, record),
                None => Ok(()),
            }
        };
        take(Base::key(barrier))?;
        for index in prefix.base.segments + 1..=prefix.segments {
            take(SegmentEntry::key(barrier, index))?;
            let missing = || BarrierError::Corrupt;
            self.new.write_segment(index, &self.reader.storage.read_segment(index)?.ok_or_else(missing)?)?;
        }
        Ok(())
    }

    /// Takes over the tail, and where the sinks are; how many bytes of events it has.
    fn tail(&mut self) -> Result<u64> {
        let barrier = &*self.opened.barrier;
        let mut bytes = 0;
        each(self.reader.records, |key, record| {
            if let Ok(chunk) = barrier.open(Kind::AuditTail, &key, &record) {
                bytes += chunk.len() as u64;
            } else if barrier.open(Kind::AuditCursor, &key, &record).is_err() {
                return Ok(());
            }
            self.target.put(key, record)
        })?;
        Ok(bytes)
    }

    /// Lays every event that is in no segment of the chain, with what tells of the break. Sinks begin anew: the numbers are other ones.
    fn events(&mut self, prefix: &Prefix, told: &Salvaged, laying: &mut Laying, parts: &Parts) -> Result<()> {
        let (mut broken, after, reader) = (false, prefix.sealed.0.sequence, self.reader);
        let gap = event(parts, self.now, "salvage-gap", "sys/audit-log", Code::Corrupt.number(), told.log.lost.max(1))?;
        reader.read(&mut |sequence, bytes, chained| {
            if chained && sequence <= after {
                return Ok(());
            }
            if !chained && !std::mem::replace(&mut broken, true) {
                self.push(laying, &gap)?;
            }
            self.push(laying, bytes)
        })?;
        if broken { Ok(()) } else { self.push(laying, &gap) }
    }

    fn push(&mut self, laying: &mut Laying, event: &[u8]) -> Result<()> {
        let leaf = Leaf::of(event);
        laying.chain.push(leaf);
        laying.tree.push(leaf);
        laying.waiting.push(event);
        if laying.waiting.as_bytes().len() < SEGMENT_BYTES || laying.tail_bytes > 0 {
            return Ok(());
        }
        let chunk = std::mem::take(&mut laying.waiting);
        let index = laying.segments + 1;
        let barrier = &*self.opened.barrier;
        let (file, entry) = SegmentEntry::seal(barrier, index, &[chunk.as_bytes()], laying.first, laying.chain, self.now.as_millis())?;
        self.new.write_segment(index, &file)?;
        let key = SegmentEntry::key(barrier, index);
        self.target.put(key, barrier.seal(Kind::AuditSegmentEntry, &key, &entry.to_bytes())?)?;
        (laying.segments, laying.first) = (index, laying.chain.sequence + 1);
        Ok(())
    }

    /// Lays the rest as the tail.
    fn end(&mut self, laying: Laying, counted: bool, parts: &Parts) -> Result<RootRecord> {
        let barrier = &*self.opened.barrier;
        let key = barrier.tail_key(laying.first);
        self.target.put(key, barrier.seal(Kind::AuditTail, &key, laying.waiting.as_bytes())?)?;
        let old = self.opened.root.as_ref();
        let data_keys = barrier.keyring().data_keys();
        let known = old.filter(|root| counted && root.messages_key == data_keys.primary().id()).map(|root| root.messages);
        let lineage = match old {
            Some(root) => root.lineage,
            None => parts.rng.array().map_err(BarrierError::from)?,
        };
        Ok(RootRecord {
            commit: 0,
            digest: Digest::default().to_bytes(),
            audit_sequence: laying.chain.sequence,
            audit_head: laying.chain.head,
            audit_segments: laying.segments,
            audit_tail_bytes: laying.tail_bytes + laying.waiting.as_bytes().len() as u64,
            messages: known.unwrap_or(MESSAGES_UNKNOWN) + data_keys.primary().messages(),
            epoch: old.map_or(0, |root| root.epoch),
            messages_key: data_keys.primary().id(),
            lineage,
            frozen: true,
            parent: old.map_or([0; 16], |root| root.parent),
            audit_frontier: laying.tree.to_bytes(),
            audit_root: laying.tree.root(),
        })
    }
}

/// What was lost, and how much of it.
fn losses(told: &Salvaged, lost_commits: u64) -> impl Iterator<Item = (&'static str, u64)> {
    let versions = told.damaged.iter().map(|secret| secret.lost.len() as u64).sum();
    let all = [
        ("commits", lost_commits),
        ("namespaces", told.namespaces_lost.len() as u64),
        ("records", told.unreadable + told.orphans),
        ("secret-versions", versions),
        ("names", told.nameless),
        ("policies", told.policies_lost),
        ("tokens", told.tokens_dropped),
        ("entities", told.entities_disabled),
        ("audit-events", told.log.lost),
        ("system-records", told.remade.len() as u64),
    ];
    all.into_iter().filter(|(_, count)| *count > 0)
}

fn event(parts: &Parts, now: Timestamp, operation: &'static str, path: &str, outcome: i32, count: u64) -> Result<Vec<u8>> {
    let own = own_event(&*parts.rng, now)?;
    Ok(Event { operation: operation.into(), path: path.to_owned(), outcome, count, ..own }.to_bytes())
}

//! Taking out of a damaged store what can be had of it, into an empty one: frozen, as after a restore.

use super::super::backup::Target;
use super::super::runtime::{Parts, own_event};
use super::log::{LogState, Prefix, Reader};
use super::mend::Mend;
use super::sound::Sound;
use super::survey::{DamagedSecret, Hints, Kept, each, keep};
use super::{Opened, open};
use crate::audit::{Base, Chain, Event, SegmentEntry, Tree, chunk_from_events};
use crate::barrier::{BarrierError, Digest, Kind, RootRecord, fixed};
use crate::crypto::sha256;
use crate::seal::UnsealKey;
use crate::storage::{Key, Read, Storage};
use crate::types::limits::KEY_MESSAGES_MAX;
use crate::types::{Code, Result, Timestamp};

/// Bytes of events that are sealed into one segment where the log is laid anew.
const SEGMENT_BYTES: usize = 1024 * 1024;
/// How much a data key counts as having encrypted where that is not known: so much that it is rolled once the vault is adopted.
const MESSAGES_UNKNOWN: u64 = KEY_MESSAGES_MAX / 10 * 9;

/// What a salvage has taken, and what was lost.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    /// Records that were taken as they were.
    pub(crate) taken: u64,
    /// Records that do not decrypt.
    pub(crate) unreadable: u64,
    /// Records of the vault's own that were made anew.
    pub(crate) remade: Vec<&'static str>,
    pub(crate) policies_lost: Vec<String>,
    /// Tokens that hold a policy that was lost.
    pub(crate) tokens_dropped: u64,
    /// Secrets that are whole.
    pub(crate) whole: u64,
    /// Secrets of which something was lost, or all.
    pub(crate) damaged: Vec<DamagedSecret>,
    /// Records that can be read and whose names were lost, and the mount where they lie now.
    pub(crate) nameless: u64,
    pub(crate) nameless_mount: Option<String>,
    pub(crate) log: LogState,
    /// Whether the header was signed anew, with no slot but the one that the key opens.
    pub(crate) header_remade: bool,
}

/// Writes what can be read of a store into an empty one. `lost_commits` is what its files tell of commits that are not there any more.
///
/// # Errors
/// `WrongKey` and the like; `Corrupt` where no key opens the store; `Unavailable`, `NoSpace`.
pub(crate) fn salvage(records: &dyn Read, storage: &dyn Storage, key: &UnsealKey, parts: &Parts, lost_commits: u64) -> Result<Salvaged> {
    let opened = open(records, key, &parts.rng)?.map_err(super::Shut::error)?;
    let barrier = &*opened.barrier;
    let now = parts.clock.now();
    let new = &*parts.storage;
    let sound = Sound { barrier, records };
    let mut told = Salvaged::default();
    let mut target = Target::new(new);
    each(records, |key, record| {
        if fixed::is_bare(key.as_bytes()) || key == RootRecord::key() {
            return Ok(());
        }
        match barrier.kind_of(&key, &record) {
            // The log is laid into its place by itself.
            Ok(kind) if is_of_the_log(kind) => Ok(()),
            Ok(_) => {
                told.taken += 1;
                target.put(key, record)
            }
            Err(_) => {
                told.unreadable += 1;
                Ok(())
            }
        }
    })?;
    target.flush()?;
    let mut hints = Hints::default();
    let reader = Reader { barrier, root: opened.root.as_ref(), records: &sound, storage };
    let (prefix, state) = reader.read(&mut |_, event, _| {
        hints.see(event);
        Ok(())
    })?;
    told.log = state;
    let mut kept = keep(&sound, &opened, &hints)?;
    drop(hints);
    Mend::new(&opened, new, now).all(&mut kept, &mut target, &mut told)?;
    tell_of(kept, &mut told);
    let mut root = Relaid { opened: &opened, reader: &reader, target: &mut target, new, now }.log(prefix, &told, lost_commits, parts)?;
    target.flush()?;
    told.header_remade = !opened.header_sound;
    finish(&opened, new, &mut target, &mut root)?;
    Ok(told)
}

fn tell_of(kept: Kept, told: &mut Salvaged) {
    told.remade = kept.system_lost;
    told.policies_lost = kept.policies_lost.into_iter().collect();
    for secret in &kept.secrets {
        if secret.health.lost.is_empty() {
            told.whole += 1;
        } else {
            told.damaged.push(secret.told());
        }
    }
}

fn is_of_the_log(kind: u16) -> bool {
    [Kind::AuditTail, Kind::AuditSegmentEntry, Kind::AuditBase, Kind::AuditCursor].into_iter().any(|of| of as u16 == kind)
}

/// Digest, root record, keyring and, last, the header: without it the store is none.
fn finish(opened: &Opened, new: &dyn Storage, target: &mut Target<'_>, root: &mut RootRecord) -> Result<()> {
    let mac = opened.barrier.keyring().digest();
    let header = if opened.header_sound {
        opened.header.to_bytes()
    } else {
        opened.header.with_slot_alone(&opened.root_key, opened.slot).to_bytes()
    };
    let mut digest = Digest::default();
    for (name, bytes) in [(fixed::HEADER, &header), (fixed::KEYRING, &opened.wrapped)] {
        digest.add(mac, &Key::new(&[name]), &sha256(&[bytes]));
    }
    each(new, |key, record| {
        digest.add(mac, &key, &sha256(&[&record]));
        Ok(())
    })?;
    root.digest = digest.to_bytes();
    root.commit = new.commit_number() + 1;
    target.put(RootRecord::key(), root.seal(&opened.barrier)?)?;
    target.put(Key::new(&[fixed::KEYRING]), opened.wrapped.clone())?;
    target.put(Key::new(&[fixed::HEADER]), header)?;
    target.flush()
}

/// The log in the new store.
struct Relaid<'a, 't, 's> {
    opened: &'a Opened,
    reader: &'a Reader<'a>,
    target: &'t mut Target<'s>,
    new: &'s dyn Storage,
    now: Timestamp,
}

/// Events that are being laid, behind those that are there.
struct Laying {
    chain: Chain,
    tree: Tree,
    /// Where those begin that no segment has.
    first: u64,
    waiting: Vec<Vec<u8>>,
    bytes: usize,
    segments: u64,
    tail_bytes: u64,
}

impl Relaid<'_, '_, '_> {
    /// Lays the log: as it was where it is whole; else up to the break, then what else can be read under new numbers, and between them what
    /// was lost. Whatever was lost is told by events at its end. The root record, but for digest and commit.
    fn log(&mut self, prefix: Prefix, told: &Salvaged, lost_commits: u64, parts: &Parts) -> Result<RootRecord> {
        self.segments(&prefix)?;
        let (chain, tree) = if prefix.whole { (prefix.chain, prefix.tree.clone()) } else { prefix.sealed.clone() };
        let mut laying =
            Laying { first: chain.sequence + 1, chain, tree, waiting: Vec::new(), bytes: 0, segments: prefix.segments, tail_bytes: 0 };
        if prefix.whole {
            laying.tail_bytes = self.tail()?;
        } else {
            self.events(&prefix, told, &mut laying, parts)?;
        }
        for (what, count) in losses(told, lost_commits) {
            let path = format!("sys/storage/salvage/{what}");
            self.push(&mut laying, event(parts, self.now, "salvage-loss", &path, Code::Corrupt.number(), count)?)?;
        }
        self.push(&mut laying, event(parts, self.now, "salvage", "sys/storage/salvage", 0, 1)?)?;
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
                self.push(laying, gap.clone())?;
            }
            self.push(laying, bytes.to_vec())
        })?;
        if broken { Ok(()) } else { self.push(laying, gap) }
    }

    fn push(&mut self, laying: &mut Laying, event: Vec<u8>) -> Result<()> {
        laying.chain.push(&event);
        laying.tree.push(&event);
        laying.bytes += event.len() + 4;
        laying.waiting.push(event);
        if laying.bytes < SEGMENT_BYTES || laying.tail_bytes > 0 {
            return Ok(());
        }
        let chunk = chunk_from_events(&std::mem::take(&mut laying.waiting));
        let index = laying.segments + 1;
        let barrier = &*self.opened.barrier;
        let (file, entry) = SegmentEntry::seal(barrier, index, &chunk, laying.first, laying.chain, self.now.as_millis())?;
        self.new.write_segment(index, &file)?;
        let key = SegmentEntry::key(barrier, index);
        self.target.put(key, barrier.seal(Kind::AuditSegmentEntry, &key, &entry.to_bytes())?)?;
        (laying.segments, laying.first, laying.bytes) = (index, laying.chain.sequence + 1, 0);
        Ok(())
    }

    /// Lays the rest as the tail.
    fn end(&mut self, laying: Laying, counted: bool, parts: &Parts) -> Result<RootRecord> {
        let barrier = &*self.opened.barrier;
        let chunk = chunk_from_events(&laying.waiting);
        let key = barrier.tail_key(laying.first);
        self.target.put(key, barrier.seal(Kind::AuditTail, &key, &chunk)?)?;
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
            audit_tail_bytes: laying.tail_bytes + chunk.len() as u64,
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
        ("records", told.unreadable),
        ("secret-versions", versions),
        ("names", told.nameless),
        ("policies", told.policies_lost.len() as u64),
        ("tokens", told.tokens_dropped),
        ("audit-events", told.log.lost),
        ("system-records", told.remade.len() as u64),
    ];
    all.into_iter().filter(|(_, count)| *count > 0)
}

fn event(parts: &Parts, now: Timestamp, operation: &str, path: &str, outcome: i32, count: u64) -> Result<Vec<u8>> {
    let own = own_event(&*parts.rng, now)?;
    Ok(Event { operation: operation.to_owned(), path: path.to_owned(), outcome, count, ..own }.to_bytes())
}

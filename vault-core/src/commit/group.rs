//! One group: validate in order, merge, add folder entries, audit records, digest and root record, commit, publish.

use super::folders::change_folders;
use super::hashes::{Hashed, Hashes};
use super::{CommitError, Committer, Prepared, Publish, ended, is_in_doubt};
use crate::audit::{Chain, Chunk, Leaf, SegmentEntry, Tree};
use crate::barrier::{Barrier, BarrierError, Kind, RootRecord, Writes, fixed};
use crate::crypto::MacKey;
use crate::storage::{Batch, Key, Page, Storage};
use crate::types::id::Id;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zeroize::Zeroizing;

/// Messages under a namespace's primary key after which their number is noted anew: fewer than an opening adds for those that were not.
const MESSAGES_NOTED: u64 = 1 << 15;
/// Tail chunks that are read at a time when the tail is sealed.
const TAIL_PAGE: usize = 1_024;
/// The events of a group that make a segment by themselves, in bytes: they are encrypted and written once, and not first into the tail.
const SEGMENT_AT_ONCE_BYTES: usize = 512 * 1024;

/// What only the leader of a group may touch.
pub(super) struct Leader {
    root: RootRecord,
    hashes: Hashes,
    /// The next group ends the counting of repeated refusals.
    pub(super) end_counting: bool,
    /// The vault was sealed: nothing is committed any more.
    pub(super) ended: bool,
}

/// The changes of a group so far, over the store.
pub(super) struct Merged<'a> {
    pub(super) storage: &'a dyn Storage,
    mac: &'a MacKey,
    hashes: &'a mut Hashes,
    pub(super) changes: Changes,
}

/// What a group changes, by key.
type Changes = BTreeMap<Key, Change>;

/// What becomes of a record.
pub(super) struct Change {
    /// What it is from now on; `None` where it is removed.
    new: Option<(Vec<u8>, Hashed)>,
    /// What was there is taken from the digest already.
    is_settled: bool,
}

impl Change {
    fn new(new: Option<(Vec<u8>, Hashed)>) -> Self {
        Change { new, is_settled: false }
    }

    fn to(mac: &MacKey, key: &Key, record: Vec<u8>) -> Self {
        let hashed = Hashed::of(mac, key, &record);
        Change::new(Some((record, hashed)))
    }

    fn settled(self) -> Self {
        Change { is_settled: true, ..self }
    }

    fn hashed(&self) -> Option<Hashed> {
        self.new.as_ref().map(|(_, hashed)| *hashed)
    }
}

impl Leader {
    pub(super) fn new(root: RootRecord) -> Self {
        Leader { root, hashes: Hashes::default(), end_counting: false, ended: false }
    }

    pub(super) fn root(&self) -> &RootRecord {
        &self.root
    }
}

impl Merged<'_> {
    /// Whether there is a record at a key as the group so far leaves it.
    pub(super) fn has(&self, key: &Key) -> Result<bool, BarrierError> {
        match (self.changes.get(key), self.hashes.get(key)) {
            (Some(change), _) => Ok(change.new.is_some()),
            (None, Some(known)) => Ok(known.is_some()),
            (None, None) => Ok(self.storage.get(key)?.is_some()),
        }
    }

    /// Whether all that a proposal has read is still so.
    fn holds(&mut self, writes: &Writes) -> Result<bool, BarrierError> {
        for (key, expected) in &writes.expectations {
            let hashed = match self.changes.get(key) {
                Some(change) => change.hashed(),
                None => stored(self.storage, self.mac, self.hashes, key)?,
            };
            if Hashed::expected(hashed.as_ref()) != *expected {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What the record of a key is in the store, before the group.
fn stored(storage: &dyn Storage, mac: &MacKey, hashes: &mut Hashes, key: &Key) -> Result<Option<Hashed>, BarrierError> {
    if let Some(known) = hashes.get(key) {
        return Ok(known);
    }
    let hashed = storage.get(key)?.map(|record| Hashed::of(mac, key, &record));
    hashes.note(*key, hashed);
    Ok(hashed)
}

impl Committer {
    pub(super) fn commit_group(&self, group: Vec<Prepared>) -> Vec<Result<u64, CommitError>> {
        let mut leader = self.leader.lock();
        let leader = &mut *leader;
        if self.is_poisoned() {
            return Vec::new();
        }
        if leader.ended {
            return group.iter().map(|_| Err(ended())).collect();
        }
        let mac = self.barrier.keyring().digest();
        let mut merged = Merged { storage: &*self.storage, mac, hashes: &mut leader.hashes, changes: Changes::new() };
        let mut outcomes: Vec<Result<u64, CommitError>> = Vec::with_capacity(group.len());
        let mut publishes: Vec<Publish> = Vec::new();
        let now = self.clock.now();
        let end_counting = std::mem::take(&mut leader.end_counting);
        let mut events = self.audit.lock().take(now, end_counting);
        let queued = events.end();
        let number = leader.root.commit + 1;
        let mut adopts = None;
        let mut barriers: Vec<Arc<Barrier>> = Vec::new();
        for Prepared { proposal, hashed, events: own } in group {
            barriers.extend(proposal.writes.barriers.iter().cloned());
            let is_late = proposal.before.is_some_and(|before| now >= before);
            let is_over = is_late || proposal.holds.is_some_and(|holds| !holds());
            let joined = if is_over { Err(CommitError::Conflict) } else { join(&mut merged, proposal.writes, hashed) };
            if joined.is_ok() {
                adopts = adopts.or(proposal.adopts);
                events.append(&own);
                publishes.extend(proposal.publish);
            }
            outcomes.push(joined.map(|()| number));
        }
        if merged.changes.is_empty() && events.is_empty() {
            self.audit.lock().reuse(events);
            // Nothing is left to write: what these callers wait for is in the last commit, or in one before it.
            return outcomes.into_iter().map(|outcome| outcome.map(|_| leader.root.commit)).collect();
        }
        // All of them: one that nobody watches yet can be watched, and read as it was, before it is durable.
        let mut changes = merged.changes;
        let changed: Vec<Key> = changes.keys().copied().collect();
        // Until what is published with the change is published too, whatever happens.
        let _changing = self.values.as_ref().map(|values| values.changing(changed.iter()));
        let noted = note_messages(&barriers, mac, &mut changes);
        match noted.map_err(CommitError::from).and_then(|noted| {
            self.write(leader, changes, &events, adopts)?;
            Ok(noted)
        }) {
            Ok(noted) => {
                noted.into_iter().for_each(|(barrier, messages)| barrier.keyring().data_keys().primary().note(messages));
                publishes.into_iter().for_each(|publish| publish());
                self.audit.lock().reuse(events);
                // Last: who is told reads the store and what is published as they are now.
                self.watches.changed(changed.iter());
                outcomes
            }
            Err(error) => {
                if matches!(error, CommitError::Poisoned) {
                    self.poisoned.store(true, Ordering::Release);
                } else {
                    // Nothing was written: the events of replies that have left go on waiting.
                    events.cut(queued);
                    self.audit.lock().put_back(events, now);
                }
                outcomes.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    /// Commits merged changes and events as the next commit, and notes the head.
    fn write(&self, leader: &mut Leader, mut changes: Changes, events: &Chunk, adopts: Option<[u8; 16]>) -> Result<(), CommitError> {
        let mut root = leader.root.clone();
        if let Some(lineage) = adopts {
            root.parent = std::mem::replace(&mut root.lineage, lineage);
            root.epoch += 1;
            root.frozen = false;
        }
        if !events.is_empty() {
            let first = root.audit_sequence + 1;
            let mut chain = Chain { sequence: root.audit_sequence, head: root.audit_head };
            let mut tree = Tree::from_bytes(root.audit_sequence, &root.audit_frontier).ok_or(BarrierError::Corrupt)?;
            for event in events.iter() {
                let leaf = Leaf::of(event);
                chain.push(leaf);
                tree.push(leaf);
            }
            root.audit_frontier = tree.to_bytes();
            root.audit_root = tree.root();
            root.audit_sequence = chain.sequence;
            root.audit_head = chain.head;
            let newest = events.as_bytes();
            root.audit_tail_bytes += newest.len() as u64;
            if root.audit_tail_bytes > self.audit_tail_bytes_max || newest.len() >= SEGMENT_AT_ONCE_BYTES {
                self.seal_tail(&mut root, &mut changes, (first, newest))?;
            } else {
                let key = self.barrier.tail_key(first);
                if let Some(planted) = self.storage.get(&key)? {
                    // Nobody has put one there: the digest tells of it from now on.
                    self.take_from_digest(&mut root, &key, &planted);
                }
                changes.insert(key, self.change_to(&key, self.barrier.seal(Kind::AuditTail, &key, newest)?).settled());
            }
        }
        self.write_batch(leader, root, changes)
    }

    /// Moves the tail and this group's chunk behind it into a segment: the file first, then the entry and the removals in this very batch.
    fn seal_tail(&self, root: &mut RootRecord, changes: &mut Changes, (mut first, newest): (u64, &[u8])) -> Result<(), CommitError> {
        let mut tail = Page::new();
        let prefix = self.barrier.tail_prefix();
        let mut after = None;
        loop {
            let page = self.storage.scan(&prefix, after.as_ref(), TAIL_PAGE)?;
            after = page.last().map(|(key, _)| *key);
            let last_page = page.len() < TAIL_PAGE;
            tail.extend(page);
            if last_page {
                break;
            }
        }
        let mut content = Zeroizing::new(Vec::new());
        if let Some((key, _)) = tail.first() {
            first = sequence_of_tail_key(key);
            content.reserve(usize::try_from(root.audit_tail_bytes).unwrap_or_default());
            for (key, record) in &tail {
                content.extend_from_slice(&self.barrier.open(Kind::AuditTail, key, record)?);
            }
        }
        let index = root.audit_segments + 1;
        let end = Chain { sequence: root.audit_sequence, head: root.audit_head };
        let last_millis = self.clock.now().as_millis();
        let (file, entry) = SegmentEntry::seal(&self.barrier, index, &[&content, newest], first, end, last_millis)?;
        self.storage.write_segment(index, &file)?;
        for (key, record) in tail {
            self.take_from_digest(root, &key, &record);
            changes.insert(key, Change::new(None).settled());
        }
        let key = SegmentEntry::key(&self.barrier, index);
        changes.insert(key, self.change_to(&key, self.barrier.seal(Kind::AuditSegmentEntry, &key, &entry.to_bytes())?));
        root.audit_segments = index;
        root.audit_tail_bytes = 0;
        Ok(())
    }

    fn take_from_digest(&self, root: &mut RootRecord, key: &Key, record: &[u8]) {
        let mut digest = root.digest();
        digest.subtract_term(Hashed::of(self.barrier.keyring().digest(), key, record).term);
        root.digest = digest.to_bytes();
    }

    fn change_to(&self, key: &Key, record: Vec<u8>) -> Change {
        Change::to(self.barrier.keyring().digest(), key, record)
    }

    /// Digest, root record, batch, head.
    fn write_batch(&self, leader: &mut Leader, mut root: RootRecord, changes: Changes) -> Result<(), CommitError> {
        let mac = self.barrier.keyring().digest();
        let mut digest = root.digest();
        for (key, change) in &changes {
            if !change.is_settled
                && let Some(old) = stored(&*self.storage, mac, &mut leader.hashes, key)?
            {
                digest.subtract_term(old.term);
            }
            if let Some(new) = change.hashed() {
                digest.add_term(new.term);
            }
        }
        root.commit += 1;
        root.digest = digest.to_bytes();
        let data_keys = self.barrier.keyring().data_keys();
        root.messages_key = data_keys.primary().id();
        root.messages = data_keys.primary().messages();
        drop(data_keys);
        let hashes: Vec<(Key, Option<Hashed>, bool)> =
            changes.iter().map(|(key, change)| (*key, change.hashed(), change.is_settled)).collect();
        let mut changes: BTreeMap<_, _> = changes.into_iter().map(|(key, change)| (key, change.new.map(|(record, _)| record))).collect();
        changes.insert(RootRecord::key(), Some(root.seal(&self.barrier)?));
        let batch = Batch { number: root.commit, expectations: Vec::new(), changes };
        self.storage.commit(&batch).map_err(|error| if is_in_doubt(&error) { CommitError::Poisoned } else { error.into() })?;
        let head_mac = self.barrier.keyring().head().tag(&[self.store.as_bytes(), &root.commit.to_le_bytes()]);
        let number = root.commit;
        self.anchor.note(&root);
        leader.root = root;
        for (key, hashed, is_settled) in hashes {
            // Nobody will ask for a chunk of the tail soon, and the others are worth their places.
            if is_settled { leader.hashes.forget(&key) } else { leader.hashes.note(key, hashed) }
        }
        // The commit stands; a head that cannot be noted means a device that fails, and the next opening could not tell a loss.
        self.storage.note_head(number, &head_mac).map_err(|_| CommitError::Poisoned)
    }
}

/// Lets a proposal join the group, unless something it has read was changed, or the data key that it was encrypted under was rolled since:
/// once a roll is published nothing more is written under the old key, so that one pass over the store can retire it.
/// Nor is anything written into a namespace that was deleted since: once that is published, one pass can remove all that was in it.
fn join(merged: &mut Merged<'_>, writes: Writes, hashed: Vec<Option<Hashed>>) -> Result<(), CommitError> {
    let is_current = |(key, change): (&Key, &Option<Vec<u8>>)| {
        let under_primary = |record: &Vec<u8>| writes.barriers.iter().any(|barrier| barrier.is_current(record));
        fixed::is_bare(key.as_bytes()) || change.as_ref().is_none_or(under_primary)
    };
    let ended = writes.barriers.iter().any(|barrier| barrier.is_ended());
    if ended || !merged.holds(&writes)? || !writes.changes.iter().all(is_current) {
        return Err(CommitError::Conflict);
    }
    let folders = change_folders(merged, &writes.folders)?;
    let changes = writes.changes.into_iter().zip(hashed).map(|((key, record), hashed)| (key, Change::new(record.zip(hashed))));
    merged.changes.extend(changes);
    let mac = merged.mac;
    merged.changes.extend(folders.into_iter().map(|(key, entry)| {
        let change = entry.map_or(Change::new(None), |entry| Change::to(mac, &key, entry));
        (key, change)
    }));
    Ok(())
}

/// Notes how many messages the primary key of a namespace has encrypted, now and then: the root namespace's stand in the root record.
fn note_messages(barriers: &[Arc<Barrier>], mac: &MacKey, changes: &mut Changes) -> Result<Vec<(Arc<Barrier>, u64)>, BarrierError> {
    let mut noted = Vec::new();
    for barrier in barriers.iter().filter(|barrier| *barrier.namespace() != Id::ROOT) {
        let data_keys = barrier.keyring().data_keys();
        let primary = data_keys.primary();
        let key = barrier.key(Kind::KeyMessages, &[]);
        if primary.unnoted() < MESSAGES_NOTED || changes.contains_key(&key) || barrier.is_ended() {
            continue;
        }
        let messages = primary.messages();
        let plaintext = [&primary.id().to_le_bytes()[..], &messages.to_le_bytes()].concat();
        changes.insert(key, Change::to(mac, &key, barrier.seal(Kind::KeyMessages, &key, &plaintext)?));
        noted.push((Arc::clone(barrier), messages));
    }
    Ok(noted)
}

fn sequence_of_tail_key(key: &Key) -> u64 {
    key.as_bytes().last_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

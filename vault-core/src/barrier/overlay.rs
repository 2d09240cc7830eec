//! The overlay on which a request works: the published state, its own writes over it, and a memory of what it has read.

use super::BarrierError;
use super::names::FolderChange;
use super::record::{Barrier, Kind};
use super::values::ValueCache;
use super::watch::{Sight, Watches};
use crate::storage::{Expected, Key, Read};
use crate::types::id::Id;
use crate::types::limits::LIST_NAMES_MAX;
use crate::types::{Timestamp, WipedBytes};
use std::cell::Cell;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// Children that one scan of a folder reads at a time.
const SCAN_PAGE: usize = 1_000;
/// Records of the first page: many scans need no more.
const SCAN_PAGE_FIRST: usize = 100;

/// What a request wants written: ready for the committer.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) expectations: BTreeMap<Key, Expected>,
    pub(crate) changes: BTreeMap<Key, Option<Vec<u8>>>,
    pub(crate) folders: Vec<FolderChange>,
    /// What the changes are encrypted and named by: one barrier, or several where namespaces meet.
    pub(crate) barriers: Vec<Arc<Barrier>>,
}

/// A request's view of the store.
pub(crate) struct Overlay<'a> {
    barrier: &'a Arc<Barrier>,
    source: &'a dyn Read,
    tracking: Tracking,
    writes: Writes,
    /// What is read is watched from then on.
    watched: Option<Watched>,
    /// Where values may be held that were read before, and the time.
    held: Option<(&'a ValueCache, Timestamp)>,
    /// What was found when somebody asked whether it is there: whoever reads it next takes it.
    found: Option<(Key, Option<Vec<u8>>)>,
}

/// What becomes of what is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tracking {
    /// Nothing: there is no commit.
    Off,
    /// The commit expects it.
    Expected,
    /// The commit expects it, and whoever reads it once more finds the same: an answer may be made of it that never comes to a commit.
    Steady,
}

/// What was read, by a reader that wants to know when it changes.
struct Watched {
    watches: Arc<Watches>,
    sight: Sight,
    /// Something was read that cannot be watched.
    blind: Cell<bool>,
}

impl<'a> Overlay<'a> {
    /// For a request that only reads.
    pub(crate) fn reading(barrier: &'a Arc<Barrier>, source: &'a dyn Read) -> Self {
        Overlay { barrier, source, tracking: Tracking::Off, writes: Writes::default(), watched: None, held: None, found: None }
    }

    /// For a request that only reads, and takes values that are held as they are.
    pub(crate) fn reading_held(barrier: &'a Arc<Barrier>, source: &'a dyn Read, values: &'a ValueCache, now: Timestamp) -> Self {
        Overlay { held: Some((values, now)), ..Overlay::reading(barrier, source) }
    }

    /// For a request that only reads, and wants to know when what it has read is changed.
    pub(crate) fn watching(barrier: &'a Arc<Barrier>, source: &'a dyn Read, watches: &Arc<Watches>) -> Self {
        let watched = Watched { watches: Arc::clone(watches), sight: Sight::new(), blind: Cell::new(false) };
        Overlay { watched: Some(watched), ..Overlay::reading(barrier, source) }
    }

    /// For what writes, and answers nothing before its commit.
    pub(crate) fn writing(barrier: &'a Arc<Barrier>, source: &'a dyn Read) -> Self {
        Overlay { tracking: Tracking::Expected, ..Overlay::reading(barrier, source) }
    }

    /// For a request that may write: a record that was changed between two reads is answered as `Changed`, so that it is carried out anew.
    pub(crate) fn of_request(barrier: &'a Arc<Barrier>, source: &'a dyn Read) -> Self {
        Overlay { tracking: Tracking::Steady, ..Overlay::reading(barrier, source) }
    }

    pub(crate) fn barrier(&self) -> &'a Barrier {
        self.barrier
    }

    /// Works in another namespace for a while: one and the same commit, under that one's names and keys.
    pub(crate) fn within<T>(&mut self, barrier: &Arc<Barrier>, work: impl FnOnce(&mut Overlay<'_>) -> T) -> T {
        let writes = std::mem::take(&mut self.writes);
        let (watched, held) = (self.watched.take(), self.held);
        let mut inner = Overlay { barrier, source: self.source, tracking: self.tracking, writes, watched, held, found: None };
        let done = work(&mut inner);
        self.writes = inner.writes;
        self.watched = inner.watched;
        done
    }

    /// The plaintext of a record.
    pub(crate) fn get(&mut self, kind: Kind, key: &Key) -> Result<Option<WipedBytes>, BarrierError> {
        if let Some(own) = self.writes.changes.get(key) {
            return own.as_ref().map(|record| self.barrier.open(kind, key, record)).transpose();
        }
        if let Some((values, now)) = self.held.filter(|_| ValueCache::holds(kind)) {
            return self.get_held(kind, key, values, now);
        }
        let record = match self.found.take_if(|(found, _)| found == key) {
            Some((_, record)) => record,
            None => self.read(key)?,
        };
        record.map(|record| self.barrier.open_owned(kind, key, record)).transpose()
    }

    /// Whether there is a record, whatever it holds: it is decrypted by whoever reads it after that.
    pub(crate) fn has(&mut self, key: &Key) -> Result<bool, BarrierError> {
        if let Some(own) = self.writes.changes.get(key) {
            return Ok(own.is_some());
        }
        let record = self.read(key)?;
        let is_there = record.is_some();
        self.found = Some((*key, record));
        Ok(is_there)
    }

    /// A record as published, which is remembered.
    fn read(&mut self, key: &Key) -> Result<Option<Vec<u8>>, BarrierError> {
        self.watch(key);
        let record = self.source.get(key)?;
        self.remember(key, record.as_deref())?;
        Ok(record)
    }

    fn get_held(&self, kind: Kind, key: &Key, values: &ValueCache, now: Timestamp) -> Result<Option<WipedBytes>, BarrierError> {
        let pass = match values.get(key, now) {
            Ok(held) => return Ok(Some(held.into())),
            Err(pass) => pass,
        };
        let Some(record) = self.source.get(key)? else { return Ok(None) };
        let value = self.barrier.open_owned(kind, key, record)?;
        let Some(pass) = pass else { return Ok(Some(value)) };
        let value = value.share();
        values.put(&pass, key, value.clone(), now);
        Ok(Some(value.into()))
    }

    /// Lets the commit expect what was read. A second read that differs from the first would make the view inconsistent: the first stands, and the
    /// commit fails on it, if it comes to one.
    fn remember(&mut self, key: &Key, record: Option<&[u8]>) -> Result<(), BarrierError> {
        if self.tracking == Tracking::Off {
            return Ok(());
        }
        let seen = Expected::of(record);
        let first = self.writes.expectations.entry(*key).or_insert(seen);
        if self.tracking == Tracking::Steady && *first != seen { Err(BarrierError::Changed) } else { Ok(()) }
    }

    /// Lets the commit fail unless a record is what it was when somebody read it, who does not read it again.
    pub(crate) fn expect(&mut self, key: Key, seen: Expected) {
        if self.tracking != Tracking::Off {
            self.writes.expectations.entry(key).or_insert(seen);
        }
    }

    /// Writes a record.
    pub(crate) fn put(&mut self, kind: Kind, key: Key, plaintext: &[u8]) -> Result<(), BarrierError> {
        let record = self.barrier.seal(kind, &key, plaintext)?;
        self.take_part();
        self.writes.changes.insert(key, Some(record));
        Ok(())
    }

    /// What stands outside the barrier: the header and wrapped keyrings.
    pub(crate) fn get_bare(&mut self, key: &Key) -> Result<Option<Vec<u8>>, BarrierError> {
        self.read(key)
    }

    /// Puts the same content under the primary data key, if it is still what was read.
    pub(crate) fn reseal(&mut self, key: Key, record: &[u8]) -> Result<usize, BarrierError> {
        let resealed = self.barrier.reseal(&key, record)?;
        self.take_part();
        let len = resealed.len();
        self.writes.expectations.insert(key, Expected::of(Some(record)));
        self.writes.changes.insert(key, Some(resealed));
        Ok(len)
    }

    /// Writes what stands outside the barrier: the header and wrapped keyrings.
    pub(crate) fn put_bare(&mut self, key: Key, bytes: Vec<u8>) {
        self.writes.changes.insert(key, Some(bytes));
    }

    /// Removes a record.
    pub(crate) fn delete(&mut self, key: Key) {
        self.take_part();
        self.writes.changes.insert(key, None);
    }

    /// Lets a path appear in the listings of its folders.
    pub(crate) fn enter(&mut self, mount: Id, path: &str) {
        self.change_folders(mount, path, true);
    }

    /// Lets a path go from the listings of its folders.
    pub(crate) fn leave(&mut self, mount: Id, path: &str) {
        self.change_folders(mount, path, false);
    }

    fn change_folders(&mut self, mount: Id, path: &str, present: bool) {
        self.take_part();
        self.writes.folders.push(FolderChange { barrier: Arc::clone(self.barrier), mount, path: path.to_owned(), present });
    }

    /// Remembers that the barrier in use has a part in what is written.
    fn take_part(&mut self) {
        if !self.writes.barriers.iter().any(|barrier| Arc::ptr_eq(barrier, self.barrier)) {
            self.writes.barriers.push(Arc::clone(self.barrier));
        }
    }

    /// Removes a record that nobody can read any more, if it is still what was found.
    pub(crate) fn sweep(&mut self, key: Key, record: &[u8]) {
        self.writes.expectations.insert(key, Expected::of(Some(record)));
        self.delete(key);
    }

    /// The children of a folder as published, in order. Own changes are not among them: the committer makes the entries.
    pub(crate) fn children(&self, mount: &Id, folder: &str) -> Result<Vec<String>, BarrierError> {
        self.children_after(mount, folder, "", None)
    }

    /// The first `limit` of a folder's children that come after a name, in order. Hidden names have no order in the store, so that all of them
    /// are looked at; no more than a page of them is held.
    pub(crate) fn children_after(&self, mount: &Id, folder: &str, after: &str, limit: Option<usize>) -> Result<Vec<String>, BarrierError> {
        let prefix = self.barrier.folder_prefix(mount, folder);
        let mut names = BinaryHeap::new();
        self.scan(Kind::FolderEntry, &prefix, |_, name| {
            let name = std::str::from_utf8(name).map_err(|_| BarrierError::Corrupt)?;
            let is_full = limit.is_some_and(|limit| names.len() >= limit);
            if name <= after || is_full && names.peek().is_none_or(|last: &String| name >= last.as_str()) {
                return Ok(true);
            }
            if is_full {
                names.pop();
            }
            names.push(name.to_owned());
            if names.len() > LIST_NAMES_MAX { Err(BarrierError::TooManyNames) } else { Ok(true) }
        })?;
        Ok(names.into_sorted_vec())
    }

    /// Reads the published records under a prefix in order of their keys, until `each` answers false.
    pub(crate) fn scan(
        &self,
        kind: Kind,
        prefix: &[u8],
        each: impl FnMut(&Key, &[u8]) -> Result<bool, BarrierError>,
    ) -> Result<(), BarrierError> {
        self.scan_after(kind, prefix, None, each)
    }

    /// As above, those that come after a key.
    pub(crate) fn scan_after(
        &self,
        kind: Kind,
        prefix: &[u8],
        after: Option<Key>,
        mut each: impl FnMut(&Key, &[u8]) -> Result<bool, BarrierError>,
    ) -> Result<(), BarrierError> {
        self.scan_opened(kind, prefix, after, |key, opened| each(key, &opened?))
    }

    /// Reads the published records under a prefix that can be read, until `each` answers false; how many of those before that cannot, which
    /// `each` may find out too. For what goes on without them.
    pub(crate) fn scan_readable(
        &self,
        kind: Kind,
        prefix: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<bool, BarrierError>,
    ) -> Result<usize, BarrierError> {
        self.scan_readable_after(kind, prefix, None, |_, bytes| each(bytes))
    }

    /// As above, those that come after a key.
    pub(crate) fn scan_readable_after(
        &self,
        kind: Kind,
        prefix: &[u8],
        after: Option<Key>,
        mut each: impl FnMut(&Key, &[u8]) -> Result<bool, BarrierError>,
    ) -> Result<usize, BarrierError> {
        let mut unreadable = 0;
        self.scan_opened(kind, prefix, after, |key, opened| match opened.and_then(|bytes| each(key, &bytes)) {
            Err(BarrierError::Corrupt) => {
                unreadable += 1;
                Ok(true)
            }
            other => other,
        })?;
        Ok(unreadable)
    }

    fn scan_opened(
        &self,
        kind: Kind,
        prefix: &[u8],
        mut after: Option<Key>,
        mut each: impl FnMut(&Key, Result<WipedBytes, BarrierError>) -> Result<bool, BarrierError>,
    ) -> Result<(), BarrierError> {
        // What comes into a range later has no key that could be watched now.
        self.cannot_watch();
        let mut limit = SCAN_PAGE_FIRST;
        loop {
            let page = self.source.scan(prefix, after.as_ref(), limit)?;
            for (key, record) in &page {
                if !each(key, self.barrier.open(kind, key, record))? {
                    return Ok(());
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == limit => after = Some(*key),
                _ => return Ok(()),
            }
            limit = SCAN_PAGE;
        }
    }

    /// Watches a record from now on, where this is an overlay that watches.
    pub(crate) fn watch(&mut self, key: &Key) {
        if let Some(Watched { watches, sight, blind }) = &mut self.watched
            && !sight.note(watches, key)
        {
            blind.set(true);
        }
    }

    /// Says that something was looked at that cannot be watched.
    pub(crate) fn cannot_watch(&self) {
        if let Some(watched) = &self.watched {
            watched.blind.set(true);
        }
    }

    /// What was read, where all of it is watched.
    pub(crate) fn take_sight(&mut self) -> Option<Sight> {
        self.watched.take().filter(|watched| !watched.blind.get()).map(|watched| watched.sight)
    }

    /// What the request wants written.
    pub(crate) fn into_writes(self) -> Writes {
        self.writes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Keyring;
    use crate::os::SystemRng;
    use crate::storage::memory::MemoryStorage;
    use crate::storage::{Batch, Storage};

    fn barrier() -> Arc<Barrier> {
        let rng = SystemRng::new();
        let keyring = Keyring::generate(&rng, 1, 0).expect("randomness");
        Arc::new(Barrier::new(Id::from_bytes([1; 16]), Id::ROOT, keyring, Arc::new(rng)))
    }

    fn put(storage: &MemoryStorage, barrier: &Barrier, key: &Key, text: &[u8]) {
        let changes = BTreeMap::from([(*key, Some(barrier.seal(Kind::KvPlain, key, text).expect("sealed")))]);
        storage.commit(&Batch { number: storage.commit_number() + 1, changes, ..Batch::default() }).expect("committed");
    }

    #[test]
    fn what_was_found_there_is_what_is_read_and_expected() {
        let (barrier, storage) = (barrier(), MemoryStorage::new());
        let (key, none) = (Key::new(&[b"key"]), Key::new(&[b"none"]));
        put(&storage, &barrier, &key, b"then");
        let record = storage.get(&key).expect("read");
        let mut overlay = Overlay::of_request(&barrier, &storage);
        assert!(overlay.has(&key).expect("read"));
        put(&storage, &barrier, &key, b"now");
        assert_eq!(overlay.get(Kind::KvPlain, &key).expect("read").as_deref(), Some(&b"then"[..]));
        assert!(matches!(overlay.get(Kind::KvPlain, &key), Err(BarrierError::Changed)), "it was read a second time");
        assert!(!overlay.has(&none).expect("read"));
        overlay.put(Kind::KvPlain, none, b"own").expect("sealed");
        assert!(overlay.has(&none).expect("read"));
        let expected = BTreeMap::from([(key, Expected::of(record.as_deref())), (none, Expected::Absent)]);
        assert_eq!(overlay.into_writes().expectations, expected);
    }
}

//! The namespaces of a store that may be damaged: which there are, whose keys can be had, and which record is whose.

use super::super::namespace_table::{NamespaceEntry, NamespaceTable, keyring_key};
use super::super::reencrypt::Progress;
use super::survey::each;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay, data_key_of, fixed};
use crate::storage::{Key, Read};
use crate::types::Result;
use crate::types::id::Id;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A namespace whose keys are there.
pub(super) struct Space {
    /// Its path from the root namespace, with a slash at its end; empty for the root namespace itself.
    pub(super) path: String,
    pub(super) barrier: Arc<Barrier>,
}

/// The namespaces of a store.
pub(crate) struct Spaces {
    /// The root namespace, then each behind the one above it.
    pub(super) all: Vec<Space>,
    /// Which of them a data key is of.
    by_data_key: HashMap<u32, usize>,
    /// The data keys of namespaces that were deleted: what is under them waits for its removal.
    deleted: HashSet<u32>,
    /// The paths of those whose keys are gone.
    pub(super) lost: Vec<String>,
    /// The table as it is right without those, and with nothing left of what was deleted.
    pub(super) table: NamespaceTable,
    /// The table itself is gone: this one is made anew of the entries that lie beside the keyrings.
    pub(super) table_lost: bool,
}

/// Whose a record is.
pub(super) enum Whose {
    /// Of a namespace, by its place among all: it decrypts, and its kind is this one.
    Space(usize, u16),
    /// Of a namespace that was deleted.
    Deleted,
    /// Of a namespace whose keys are gone, as far as can be told.
    Orphan,
    /// It does not decrypt.
    Unreadable,
}

impl Spaces {
    /// Unlocks what can be unlocked: the keyring of each namespace lies in the one above it.
    pub(super) fn of(root: &Arc<Barrier>, records: &dyn Read) -> Result<Self> {
        let mut spaces = Spaces {
            all: Vec::new(),
            by_data_key: HashMap::new(),
            deleted: HashSet::new(),
            lost: Vec::new(),
            table: NamespaceTable::new(),
            table_lost: false,
        };
        spaces.add(String::new(), Arc::clone(root));
        match sound(NamespaceTable::load(root, &mut Overlay::reading(root, records)))? {
            Some(table) => {
                spaces.unlock(&table.entries, records)?;
                spaces.deleted = table.deleted.into_iter().flat_map(|deleted| deleted.keys).collect();
                spaces.table.next_key = table.next_key;
            }
            None => {
                spaces.table_lost = true;
                spaces.find(records)?;
                spaces.table.next_key = spaces.number_after_all(records)?;
            }
        }
        Ok(spaces)
    }

    /// Whose a record is that is not one of the fixed ones.
    pub(super) fn whose(&self, key: &Key, record: &[u8]) -> Whose {
        let Some(id) = data_key_of(record) else { return Whose::Unreadable };
        match self.by_data_key.get(&id) {
            Some(at) => self.all[*at].barrier.kind_of(key, record).map_or(Whose::Unreadable, |kind| Whose::Space(*at, kind)),
            None if self.deleted.contains(&id) => Whose::Deleted,
            None if self.table_lost || !self.lost.is_empty() => Whose::Orphan,
            None => Whose::Unreadable,
        }
    }

    /// The namespace that a record is of, and its kind, where that is one of these.
    pub(super) fn among(&self, key: &Key, record: &[u8], kinds: &[Kind]) -> Option<(usize, Kind)> {
        if fixed::is_bare(key.as_bytes()) {
            return None;
        }
        let Whose::Space(at, kind) = self.whose(key, record) else { return None };
        kinds.iter().find(|of| **of as u16 == kind).map(|kind| (at, *kind))
    }

    /// The barrier of a namespace.
    pub(super) fn barrier(&self, id: &Id) -> Option<Arc<Barrier>> {
        self.all.iter().find(|space| space.barrier.namespace() == id).map(|space| Arc::clone(&space.barrier))
    }

    /// Whether the table of the store is to be written anew.
    pub(super) fn is_table_stale(&self) -> bool {
        self.table_lost || !self.lost.is_empty() || !self.deleted.is_empty()
    }

    /// Each entry of the table, with the namespace that it is below.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&NamespaceEntry, Arc<Barrier>)> {
        self.table.entries.iter().filter_map(|entry| Some((entry, self.barrier(&Id::from_bytes(entry.parent))?)))
    }

    /// Where the keyrings of the namespaces lie, and their entries beside them.
    pub(super) fn keys(&self) -> HashSet<Key> {
        let keys = self.entries().flat_map(|(entry, above)| {
            let id = Id::from_bytes(entry.id);
            [keyring_key(&above, &id), NamespaceEntry::key(&above, &id)]
        });
        keys.collect()
    }

    /// The names that namespaces have, in whichever, each with a slash at its end and in lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.table.entries.iter().map(|entry| format!("{}/", entry.name.to_ascii_lowercase()))
    }

    fn add(&mut self, path: String, barrier: Arc<Barrier>) {
        self.by_data_key.extend(barrier.keyring().data_keys().ids().map(|id| (id, self.all.len())));
        self.all.push(Space { path, barrier });
    }

    /// Takes in namespaces in the order of a table. What is below one that is lost is lost with it.
    fn unlock(&mut self, entries: &[NamespaceEntry], records: &dyn Read) -> Result<()> {
        let mut paths: HashMap<[u8; 16], String> = HashMap::from([(*Id::ROOT.as_bytes(), String::new())]);
        for space in &self.all {
            paths.insert(*space.barrier.namespace().as_bytes(), space.path.clone());
        }
        for entry in entries {
            let path = format!("{}{}/", paths.get(&entry.parent).map_or("", String::as_str), entry.name);
            paths.insert(entry.id, path.clone());
            let above = self.barrier(&Id::from_bytes(entry.parent));
            match above.map(|above| sound(entry.unlock(&above, records))).transpose()?.flatten() {
                Some(barrier) => {
                    self.add(path, barrier);
                    self.table.entries.push(entry.clone());
                }
                None => self.lost.push(path),
            }
        }
        Ok(())
    }

    /// Takes in the namespaces that the entries beside the keyrings tell, level by level.
    fn find(&mut self, records: &dyn Read) -> Result<()> {
        let mut searched = 0;
        while searched < self.all.len() {
            let level = searched..self.all.len();
            searched = self.all.len();
            let mut found = Vec::new();
            each(records, |key, record| {
                let at = data_key_of(&record).and_then(|id| self.by_data_key.get(&id)).filter(|at| level.contains(at));
                let Some(at) = at.filter(|_| !fixed::is_bare(key.as_bytes())) else { return Ok(()) };
                let barrier = &self.all[*at].barrier;
                if let Ok(bytes) = barrier.open(Kind::NamespaceEntry, &key, &record) {
                    let entry = minicbor::decode::<NamespaceEntry>(&bytes).ok();
                    found.extend(entry.filter(|entry| entry.parent == *barrier.namespace().as_bytes()));
                }
                Ok(())
            })?;
            self.unlock(&found, records)?;
        }
        Ok(())
    }

    /// A number above those of all data keys in use, and above that of a pass over the store that is under way.
    fn number_after_all(&self, records: &dyn Read) -> Result<u32> {
        let root = &self.all[0].barrier;
        let progress = sound(Progress::load(root, &mut Overlay::reading(root, records)))?.flatten();
        let keys: BTreeSet<u32> = self.by_data_key.keys().copied().chain(progress.map(|progress| progress.target)).collect();
        Ok(keys.last().map_or(1, |last| last.saturating_add(1)))
    }
}

/// What can be read; nothing of what is missing or was altered.
fn sound<T>(read: Result<T, BarrierError>) -> Result<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(BarrierError::Corrupt) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

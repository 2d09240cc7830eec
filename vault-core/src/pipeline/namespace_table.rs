//! The record of all namespaces: their names, which is below which, the numbers of data keys, and what was deleted and not yet swept.

use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::crypto::Keyring;
use crate::storage::{Key, Read};
use crate::types::id::Id;
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The table of a store. It stands in the root namespace.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct NamespaceTable {
    /// The number of the next data key, of whichever namespace: numbers are never used again, so that one tells key and namespace.
    #[n(0)]
    pub(super) next_key: u32,
    /// The namespaces but the root one, each behind that which it is below.
    #[n(1)]
    pub(super) entries: Vec<NamespaceEntry>,
    /// Namespaces that were deleted and whose records were not all removed yet.
    #[n(2)]
    pub(super) deleted: Vec<Deleted>,
}

/// A namespace as the table says.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct NamespaceEntry {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) id: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) parent: [u8; 16],
    #[n(2)]
    pub(super) name: String,
    #[n(3)]
    pub(super) metadata: BTreeMap<String, String>,
}

/// What is left of a deleted namespace: records that nobody can read.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct Deleted {
    /// The numbers of the data keys that they are under.
    #[n(0)]
    pub(super) keys: Vec<u32>,
    /// Drawn at the deletion: a pass over the store that began with a higher number has met all of them.
    #[n(1)]
    pub(super) mark: u32,
}

impl NamespaceTable {
    /// That of a new store, whose root namespace has the data key 1.
    pub(super) fn new() -> Self {
        NamespaceTable { next_key: 2, entries: Vec::new(), deleted: Vec::new() }
    }

    /// Reads the table through whichever overlay.
    pub(super) fn load(root: &Arc<Barrier>, overlay: &mut Overlay<'_>) -> Result<Self, BarrierError> {
        let key = root.key(Kind::NamespaceTable, &[]);
        let bytes = overlay.within(root, |overlay| overlay.get(Kind::NamespaceTable, &key))?.ok_or(BarrierError::Corrupt)?;
        minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)
    }

    /// Writes the table through whichever overlay.
    pub(super) fn save(&self, root: &Arc<Barrier>, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let bytes = minicbor::to_vec(self).expect("encoding to memory cannot fail");
        overlay.within(root, |overlay| overlay.put(Kind::NamespaceTable, root.key(Kind::NamespaceTable, &[]), &bytes))
    }

    /// The table's record, for whoever wants to know when it changes.
    pub(super) fn watch(root: &Arc<Barrier>, overlay: &mut Overlay<'_>) {
        overlay.watch(&root.key(Kind::NamespaceTable, &[]));
    }

    /// A number that was never given before.
    pub(super) fn draw(&mut self) -> Result<u32, BarrierError> {
        let number = self.next_key;
        self.next_key = number.checked_add(1).ok_or(BarrierError::KeyExhausted)?;
        Ok(number)
    }

    /// The namespaces directly below one.
    pub(super) fn below<'t>(&'t self, parent: &'t Id) -> impl Iterator<Item = &'t NamespaceEntry> {
        self.entries.iter().filter(move |entry| entry.parent == *parent.as_bytes())
    }

    /// The keys of all namespaces as a store has them, by their ids, each unlocked by the one above it.
    pub(super) fn unlock(&self, root: &Arc<Barrier>, records: &dyn Read) -> Result<HashMap<Id, Arc<Barrier>>, BarrierError> {
        let mut barriers = HashMap::from([(Id::ROOT, Arc::clone(root))]);
        for entry in &self.entries {
            let parent = barriers.get(&Id::from_bytes(entry.parent)).ok_or(BarrierError::Corrupt)?;
            let barrier = entry.unlock(parent, records)?;
            barriers.insert(*barrier.namespace(), barrier);
        }
        Ok(barriers)
    }
}

impl NamespaceEntry {
    /// The namespace's keys as a store has them.
    pub(super) fn unlock(&self, above: &Arc<Barrier>, records: &dyn Read) -> Result<Arc<Barrier>, BarrierError> {
        let id = Id::from_bytes(self.id);
        let keyring = load_keyring(&mut Overlay::reading(above, records), &id)?;
        Ok(Arc::new(Barrier::new(*above.store(), id, keyring, above.shared_rng())))
    }

    /// Writes the entry a second time, beside the keyring: a table that is lost can be made anew of these.
    pub(super) fn put(&self, above: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let bytes = minicbor::to_vec(self).expect("encoding to memory cannot fail");
        let key = Self::key(above.barrier(), &Id::from_bytes(self.id));
        above.put(Kind::NamespaceEntry, key, &bytes)
    }

    /// Where the entry lies a second time.
    pub(super) fn key(above: &Barrier, id: &Id) -> Key {
        above.key(Kind::NamespaceEntry, &[id.as_bytes()])
    }
}

/// Where the keyring of a namespace lies.
pub(super) fn keyring_key(above: &Barrier, id: &Id) -> Key {
    above.key(Kind::NamespaceKeyring, &[id.as_bytes()])
}

/// The keyring of a namespace, through an overlay of the one above it: a record like any other there, so that a roll there takes it along.
pub(super) fn load_keyring(above: &mut Overlay<'_>, id: &Id) -> Result<Keyring, BarrierError> {
    let key = keyring_key(above.barrier(), id);
    let bytes = above.get(Kind::NamespaceKeyring, &key)?.ok_or(BarrierError::Corrupt)?;
    Keyring::from_bytes(&bytes).map_err(|_| BarrierError::Corrupt)
}

//! Reading the whole store anew and comparing it with the root record.

use super::audit_log::View;
use super::core::Core;
use super::namespace_table::NamespaceTable;
use crate::audit::AuditSummary;
use crate::barrier::{Barrier, Digest, Overlay, RootRecord, data_key_of, fixed};
use crate::crypto::sha256;
use crate::storage::{Key, Read};
use crate::types::{Code, Error, Result};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Records that are read at a time.
const PAGE: usize = 1_000;

/// What a verification of the whole store found: that it is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Records that were read, the root record among them.
    pub records: u64,
    /// The audit log.
    pub audit: AuditSummary,
}

/// The keys that the records of one snapshot are under, as that snapshot itself has them.
struct StoredKeys<'c> {
    root: &'c Arc<Barrier>,
    barriers: HashMap<u32, Arc<Barrier>>,
    /// Those of deleted namespaces: gone, and what is under them is being removed.
    gone: HashSet<u32>,
}

impl<'c> StoredKeys<'c> {
    fn of(root: &'c Arc<Barrier>, records: &dyn Read) -> Result<Self> {
        let table = NamespaceTable::load(root, &mut Overlay::reading(root, records))?;
        let mut barriers = HashMap::new();
        for barrier in table.unlock(root, records)?.into_values() {
            barriers.extend(barrier.keyring().data_keys().ids().map(|id| (id, Arc::clone(&barrier))));
        }
        Ok(StoredKeys { root, barriers, gone: table.deleted.into_iter().flat_map(|deleted| deleted.keys).collect() })
    }

    /// Whether a record is what the vault wrote there; of one that nobody can read any more the digest tells.
    fn opens(&self, key: &Key, record: &[u8]) -> bool {
        let id = data_key_of(record);
        if id.is_some_and(|id| self.gone.contains(&id)) {
            return true;
        }
        // The root namespace's keys include those that were retired since the snapshot.
        id.and_then(|id| self.barriers.get(&id)).unwrap_or(self.root).kind_of(key, record).is_ok()
    }
}

/// Every record against the digest, and every audit event against the chain, on one snapshot.
pub(super) fn verify(core: &Core) -> Result<Verification> {
    let view = View::flushed(core)?;
    let root = view.root();
    let keys = StoredKeys::of(&core.barrier, view.records())?;
    let mut digest = Digest::default();
    let mut records = 0;
    let mut unreadable = 0_u64;
    let mut after = None;
    loop {
        let page = view.records().scan(&[], after.as_ref(), PAGE)?;
        for (key, record) in &page {
            records += 1;
            if !fixed::is_bare(key.as_bytes()) && !keys.opens(key, record) {
                unreadable += 1;
            }
            if *key != RootRecord::key() {
                digest.add(core.barrier.keyring().digest(), key, &sha256(&[record]));
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => after = Some(*key),
            _ => break,
        }
    }
    // The log first: where it is broken it can say what is wrong, the digest only that something is.
    let audit = view.log().verify()?;
    if unreadable > 0 {
        return Err(Error::new(
            Code::Corrupt,
            format!("the store does not verify: {unreadable} of {records} records were altered or put in another's place"),
        ));
    }
    if digest != root.digest() {
        return Err(Error::new(Code::Corrupt, "the store does not verify: a record was removed, added or put back"));
    }
    Ok(Verification { records, audit })
}

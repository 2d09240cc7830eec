//! A store in memory without one of its records, for what the doctor makes of that.
#![allow(unreachable_pub, reason = "each test binary takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Batch, Read, Storage};

/// The store without one record, with its commits and its segments.
pub(crate) fn without(storage: &MemoryStorage, at: usize) -> Arc<MemoryStorage> {
    let harmed = Arc::new(MemoryStorage::new());
    let mut records = storage.scan(&[], None, 100_000).unwrap();
    drop(records.remove(at));
    for number in 1..storage.commit_number() {
        harmed.commit(&Batch { number, expectations: Vec::new(), changes: BTreeMap::new() }).unwrap();
    }
    let changes = records.into_iter().map(|(key, value)| (key, Some(value))).collect();
    harmed.commit(&Batch { number: storage.commit_number(), expectations: Vec::new(), changes }).unwrap();
    for index in 1.. {
        let Some(segment) = storage.read_segment(index).unwrap() else { break };
        harmed.write_segment(index, &segment).unwrap();
    }
    harmed
}

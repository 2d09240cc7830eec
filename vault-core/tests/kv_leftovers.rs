//! A secret of many versions that is removed: one commit removes some records, `tick` the others, and nothing of them is seen meanwhile.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/mounts.rs"]
mod support;

use std::sync::Arc;
use support::*;
use vault_core::doctor::{self, Verdict};
use vault_core::storage::Storage;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::limits::KV_VERSIONS_REMOVED_MAX;
use vault_core::types::{Class, Object, Operation};
use vault_core::{Config, KvSettings, UnsealKey};

const VERSIONS: u64 = 300;

struct Store {
    world: World,
    storage: Arc<MemoryStorage>,
}

/// A store with a secret of many versions.
fn store() -> Store {
    let storage = Arc::new(MemoryStorage::new());
    let world = create(Config::on(Arc::clone(&storage) as Arc<dyn Storage>).with_audit_tail_bytes(1));
    let store = Store { world, storage };
    let kv = store.world.root.kv("secret");
    kv.set_config(&KvSettings { max_versions: Some(1_000), ..KvSettings::default() }).unwrap();
    store.put(VERSIONS, "old");
    store
}

impl Store {
    fn put(&self, count: u64, text: &str) {
        for number in 1..=count {
            self.world.root.kv("secret").put("x", Object::new().with(text, number)).unwrap();
        }
    }

    fn records(&self) -> u64 {
        records(&self.world)
    }

    fn settled(&self) -> u64 {
        settle(&self.world);
        self.records()
    }

    fn readable(&self) -> usize {
        let kv = self.world.root.kv("secret");
        (1..=VERSIONS).filter(|version| kv.get_version("x", *version).is_ok()).count()
    }
}

#[test]
fn a_removal_of_many_versions_is_a_small_commit_and_tick_removes_the_rest() {
    let store = store();
    let full = store.settled();
    store.world.root.kv("secret").delete_metadata("x").unwrap();
    let left = store.records();
    assert!(left > full - 2 * KV_VERSIONS_REMOVED_MAX as u64, "{left} of {full} are left after the commit");
    assert_eq!(store.readable(), 0);
    let copy = Config::on(Arc::new(store.storage.copy()) as Arc<dyn Storage>).with_audit_tail_bytes(1);
    let report = doctor::examine(&copy, Some(&key())).unwrap();
    assert_eq!(report.verdict, Verdict::Sound, "what is being removed is no damage: {report:?}");
    let quiet = store.settled();
    assert!(quiet <= full - VERSIONS + 10, "{quiet} of {full} are left in the end");
}

#[test]
fn a_new_secret_of_the_same_path_keeps_all_its_versions_while_the_old_ones_are_removed() {
    let store = store();
    store.world.root.kv("secret").delete_metadata("x").unwrap();
    store.put(VERSIONS, "new");
    store.settled();
    let kv = store.world.root.kv("secret");
    for version in 1..=VERSIONS {
        let found = kv.get_version("x", version).unwrap();
        assert_eq!(found.data.get("new").unwrap().as_u64(), Some(version), "version {version}");
    }
}

#[test]
fn versions_past_the_number_that_is_kept_and_destroyed_ones_go_with_their_records() {
    let store = store();
    let full = store.settled();
    let kv = store.world.root.kv("secret");
    kv.destroy_versions("x", &(1..=150).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.readable(), 150);
    kv.set_config(&KvSettings { max_versions: Some(10), ..KvSettings::default() }).unwrap();
    store.put(1, "newest");
    assert_eq!(store.readable(), 9, "and the newest, past those that are looked at");
    let quiet = store.settled();
    assert!(quiet <= full - VERSIONS + 12, "{quiet} of {full} are left in the end");
    assert_eq!(store.readable(), 9);
}

#[test]
fn what_is_left_of_a_secret_goes_with_its_mount_and_after_it() {
    let store = store();
    let full = store.settled();
    store.world.root.kv("secret").delete_metadata("x").unwrap();
    store.put(VERSIONS, "new");
    unmount(&store.world.root, "secret").unwrap();
    let quiet = store.settled();
    assert!(quiet <= full - VERSIONS + 10, "{quiet} of {full} are left in the end");
    let refused = ask(&store.world.root, Operation::Read, "secret/data/x", "").unwrap_err();
    assert_eq!(refused.class(), Class::NotFound);
}

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

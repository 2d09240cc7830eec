//! Every backend passes the one conformance suite, and a vault over a failing one acknowledges nothing that is lost.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::sync::Arc;
use vault_core::storage::Storage;
use vault_core::storage::conformance;
use vault_core::storage::faulty::{Fault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Class, Code, Error, Object, SecretString};
use vault_core::{Config, NewSeal, Session, UnsealKey, Vault};

const KEY: [u8; 32] = [7; 32];

#[test]
fn memory_conforms() {
    conformance::suite(&|| Box::new(MemoryStorage::new()));
}

#[test]
fn a_faulty_store_without_faults_conforms() {
    conformance::suite(&|| Box::new(FaultyStorage::default()));
}

#[cfg(feature = "sled")]
#[test]
fn sled_conforms_and_reopens() {
    use std::cell::Cell;
    use vault_core::storage::sled::{SledOptions, SledStorage};
    let dir = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    let options = |number: u32| SledOptions { path: dir.path().join(number.to_string()), cache_bytes: 8 << 20 };
    let fresh = || {
        made.set(made.get() + 1);
        Box::new(SledStorage::create(&options(made.get())).unwrap()) as Box<dyn Storage>
    };
    conformance::suite(&fresh);
    conformance::reopening(&fresh, &|| Box::new(SledStorage::open(&options(made.get())).unwrap()));
}

#[cfg(feature = "redb")]
#[test]
fn redb_conforms_and_reopens() {
    use std::cell::Cell;
    use vault_core::storage::redb::{RedbOptions, RedbStorage};
    let dir = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    let options = |number: u32| RedbOptions { path: dir.path().join(number.to_string()), cache_bytes: 8 << 20 };
    let fresh = || {
        made.set(made.get() + 1);
        Box::new(RedbStorage::create(&options(made.get())).unwrap()) as Box<dyn Storage>
    };
    conformance::suite(&fresh);
    conformance::reopening(&fresh, &|| Box::new(RedbStorage::open(&options(made.get())).unwrap()));
}

/// Sizes of a WAL in which one small commit has room, or three.
#[cfg(any(feature = "sled", feature = "redb"))]
const SMALL_WALS: [usize; 2] = [4 * 1024, 12 * 1024];

#[cfg(any(feature = "sled", feature = "redb"))]
fn conforms_with_small_wals(backend: vault_core::storage::Backend) {
    use std::cell::Cell;
    use vault_core::storage::Backend;
    let dir = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    let place = || dir.path().join(made.get().to_string());
    for wal_bytes in SMALL_WALS {
        let fresh = || {
            made.set(made.get() + 1);
            backend.create_with_wal(&place(), 8 << 20, wal_bytes).unwrap()
        };
        conformance::suite_with_settlings(&fresh);
        conformance::reopening(&fresh, &|| Backend::open_with_wal(&place(), 8 << 20, wal_bytes).unwrap());
    }
}

#[cfg(feature = "sled")]
#[test]
fn sled_conforms_where_it_is_given_the_wal_every_few_commits() {
    conforms_with_small_wals(vault_core::storage::Backend::Sled);
}

#[cfg(feature = "redb")]
#[test]
fn redb_conforms_where_it_is_given_the_wal_every_few_commits() {
    conforms_with_small_wals(vault_core::storage::Backend::Redb);
}

fn member(number: u64) -> Object {
    Object::new().with("value", number)
}

/// A new vault over a faulty store, and its root session and token.
fn vault() -> (Arc<FaultyStorage>, Session, String) {
    let storage = Arc::new(FaultyStorage::default());
    let config = Config::on(storage.clone()).with_audit_tail_bytes(2048);
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let token = init.root_token.expose().to_owned();
    (storage, vault.session(init.root_token), token)
}

fn reopened(storage: MemoryStorage, token: &str) -> (Vault, Session) {
    let sealed = Vault::open(Config::on(Arc::new(storage)).with_audit_tail_bytes(2048)).unwrap();
    let vault = sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let session = vault.session(SecretString::copy_from(token));
    (vault, session)
}

fn value(session: &Session, path: &str) -> Result<u64, Error> {
    session.kv("secret").get(path).map(|secret| secret.data.get("value").unwrap().as_u64().unwrap())
}

#[test]
fn a_commit_in_doubt_is_not_acknowledged_not_shown_and_decided_by_reopening() {
    for fault in [Fault::Lost, Fault::Applied] {
        let (storage, root, token) = vault();
        root.kv("secret").put("x", member(1)).unwrap();
        storage.fail_commit(storage.commit_number() + 1, fault);
        let error = root.kv("secret").put("x", member(2)).unwrap_err();
        assert_eq!((error.code(), error.class()), (Code::Poisoned, Class::Unavailable));
        assert_eq!(value(&root, "x").unwrap_err().code(), Code::Poisoned, "reads stop, since their records cannot be written");
        assert_eq!(root.kv("secret").put("y", member(1)).unwrap_err().code(), Code::Poisoned);
        let (vault, root) = reopened(storage.restart(), &token);
        assert_eq!(value(&root, "x").unwrap(), if fault == Fault::Lost { 1 } else { 2 });
        vault.verify().unwrap();
        root.kv("secret").put("x", member(3)).unwrap();
    }
}

/// A story with every kind of write: after each step the model says what must be there.
fn story(root: &Session, step: u64) -> Result<(), Error> {
    let kv = root.kv("secret");
    match step % 6 {
        0 => kv.put(&format!("a/{step}"), member(step)).map(drop),
        1 => kv.put("a/same", member(step)).map(drop),
        2 => root.policies().write(&format!("p{step}"), "path \"x\" { capabilities = [\"read\"] }"),
        3 => root.tokens().create(vault_core::TokenOptions::default()).map(drop),
        4 => kv.delete_metadata(&format!("a/{}", step - 4)),
        _ => kv.put(&format!("deep/er/{step}"), member(step)).map(drop),
    }
}

/// What is there after so many steps.
fn check(root: &Session, steps: u64) {
    let same = (0..steps).rfind(|step| step % 6 == 1);
    assert_eq!(value(root, "a/same").ok(), same);
    for step in (0..steps).filter(|step| step % 6 == 0) {
        assert_eq!(value(root, &format!("a/{step}")).is_ok(), step + 4 >= steps, "a/{step} after {steps}");
    }
    let deep = (0..steps).filter(|step| step % 6 == 5).count();
    assert_eq!(root.kv("secret").list("deep/er").map_or(0, |names| names.len()), deep);
    assert_eq!(root.policies().list().unwrap().len(), 2 + (0..steps).filter(|step| step % 6 == 2).count());
}

#[test]
fn a_crash_at_every_commit_leaves_the_step_before_or_after_it() {
    for failing in 2..40 {
        for fault in [Fault::Lost, Fault::Applied] {
            let (storage, root, token) = vault();
            storage.fail_commit(failing, fault);
            let done = (0..100).take_while(|step| story(&root, *step).is_ok()).count() as u64;
            assert!(done < 100, "commit {failing} is reached");
            let (vault, root) = reopened(storage.restart(), &token);
            check(&root, done + u64::from(fault == Fault::Applied));
            vault.verify().unwrap();
            root.audit().verify().unwrap();
        }
    }
}

#[test]
fn a_full_device_refuses_what_does_not_fit_and_works_again_once_there_is_room() {
    let (storage, root, _token) = vault();
    storage.fill(true);
    let mut acknowledged = 0;
    let error = loop {
        match root.kv("secret").put("x", member(acknowledged + 1)) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1000, "the tail outgrows its bound");
    };
    assert_eq!((error.code(), error.class()), (Code::NoSpace, Class::Unavailable));
    storage.fill(false);
    assert_eq!(value(&root, "x").unwrap(), acknowledged);
    root.kv("secret").put("x", member(0)).unwrap();
    let report = root.audit().verify().unwrap();
    assert!(report.segments >= 1 && report.records > acknowledged);
}

#[test]
fn a_read_that_fails_is_an_error_and_passes() {
    let (storage, root, _token) = vault();
    root.kv("secret").put("x", member(1)).unwrap();
    storage.fail_reads(true);
    assert_eq!(value(&root, "x").unwrap_err().class(), Class::Unavailable);
    storage.fail_reads(false);
    assert_eq!(value(&root, "x").unwrap(), 1);
}

//! Backups of a vault in use, restored into an empty place: frozen until adopted; what is bad is refused whole. And anchors.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vault_core::backup;
use vault_core::host::{Anchor, AnchorError, ManualClock};
use vault_core::storage::Storage;
use vault_core::storage::faulty::{Fault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Class, Code, Object, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{BackupSeals, Config, NewSeal, Session, UnsealKey, Vault};

const KEY: [u8; 32] = [7; 32];

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

fn create(config: Config) -> (Vault, String) {
    let (vault, init) = Vault::create(config.with_audit_tail_bytes(8 * 1024), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    (vault, init.root_token.expose().to_owned())
}

fn session(vault: &Vault, token: &str) -> Session {
    vault.session(SecretString::copy_from(token))
}

fn put(root: &Session, path: &str, value: u64) {
    root.kv("secret").put(path, Object::new().with("value", value)).unwrap();
}

fn value(root: &Session, path: &str) -> u64 {
    root.kv("secret").get(path).unwrap().data.get("value").unwrap().as_u64().unwrap()
}

fn taken(root: &Session, seals: &BackupSeals) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (info, _) = root.backup().to_writer(&mut bytes, seals).unwrap();
    assert_eq!(backup::verify(&mut &bytes[..]).unwrap(), info);
    bytes
}

fn restored(bytes: &[u8], key: &UnsealKey) -> vault_core::types::Result<Vault> {
    Vault::restore(Config::in_memory(), &mut &bytes[..], key).map(|(vault, _)| vault)
}

fn adopt(root: &Session) {
    root.request(Operation::Write, "sys/storage/adopt", None).unwrap();
}

fn filled() -> (Vault, String) {
    let (vault, token) = create(Config::in_memory());
    let root = session(&vault, &token);
    (0..200).for_each(|i| put(&root, &format!("a/{i}"), i));
    put(&root, "large", 1);
    root.kv("secret").put("large", Object::new().with("value", 1_u64).with("much", "x".repeat(500_000))).unwrap();
    (vault, token)
}

#[test]
fn a_backup_is_restored_frozen_and_goes_on_once_it_is_adopted() {
    let (vault, token) = filled();
    let bytes = taken(&session(&vault, &token), &BackupSeals::Own);
    put(&session(&vault, &token), "a/1", 1000);
    let copy = restored(&bytes, &key()).unwrap();
    let root = session(&copy, &token);
    assert!(copy.is_frozen() && !vault.is_frozen());
    (0..200).for_each(|i| assert_eq!(value(&root, &format!("a/{i}")), i));
    copy.verify().unwrap();
    assert!(root.audit().verify().unwrap().segments > 0);
    for refused in [
        root.kv("secret").put("x", Object::new()).map(drop),
        root.tokens().create(vault_core::TokenOptions::default()).map(drop),
        root.request(Operation::Write, "sys/rotate", None).map(drop),
        root.policies().delete("default"),
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::Frozen);
    }
    // An opening that follows is frozen still.
    let sealed = copy.seal().unwrap();
    let copy = sealed.unseal(&key()).unwrap();
    assert!(copy.is_frozen());
    adopt(&root);
    assert!(!copy.is_frozen());
    put(&root, "a/1", 2);
    copy.verify().unwrap();
    let copy = copy.seal().unwrap().unseal(&key()).unwrap();
    assert!(!copy.is_frozen());
    assert_eq!(value(&session(&copy, &token), "a/1"), 2);
    let again = root.request(Operation::Write, "sys/storage/adopt", None).unwrap_err();
    assert_eq!(again.code(), Code::InvalidRequest);
}

#[test]
fn a_backup_with_slots_of_its_own_is_opened_by_them_alone() {
    let (vault, token) = filled();
    let root = session(&vault, &token);
    let mut bytes = Vec::new();
    let seals = BackupSeals::New(vec![NewSeal::shares(3, 2).unwrap(), NewSeal::passphrase("for the safe").unwrap()]);
    let (info, shares) = root.backup().to_writer(&mut bytes, &seals).unwrap();
    assert_eq!((info.commit, shares.len()), (backup::verify(&mut &bytes[..]).unwrap().commit, 3));
    assert_eq!(restored(&bytes, &key()).unwrap_err().code(), Code::WrongKey);
    for key in [UnsealKey::passphrase("for the safe").unwrap(), UnsealKey::shares(shares[1..].iter().map(|s| s.expose())).unwrap()] {
        let copy = restored(&bytes, &key).unwrap();
        assert_eq!(value(&session(&copy, &token), "a/7"), 7);
        // The vault that it becomes is opened by the backup's slots.
        copy.seal().unwrap().unseal(&key).unwrap();
    }
}

#[test]
fn a_backup_is_consistent_while_others_write_and_roll() {
    let (vault, token) = create(Config::in_memory());
    let root = session(&vault, &token);
    put(&root, "pair/a", 0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let root = session(&vault, &token);
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                put(&root, "pair/a", number);
                put(&root, "pair/b", number);
                if number % 50 == 0 {
                    root.request(Operation::Write, "sys/rotate", None).unwrap();
                }
                vault.tick().unwrap();
            }
        });
        // Whatever happens the writer comes to its end.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        for _ in 0..20 {
            let copy = restored(&taken(&root, &BackupSeals::Own), &key()).unwrap();
            copy.verify().unwrap();
            let frozen = session(&copy, &token);
            let b = frozen.kv("secret").get("pair/b").map_or(0, |_| value(&frozen, "pair/b"));
            let a = value(&frozen, "pair/a");
            assert!(a == b || a == b + 1, "one moment: {a} and {b}");
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
}

#[test]
fn bad_truncated_and_foreign_backups_are_refused_whole() {
    let (vault, token) = filled();
    let bytes = taken(&session(&vault, &token), &BackupSeals::Own);
    let storage = || Arc::new(MemoryStorage::new());
    let refused = |bytes: &[u8]| {
        let place = storage();
        let error = Vault::restore(Config::on(place.clone()), &mut &bytes[..], &key()).unwrap_err();
        let class = error.class();
        assert!(matches!(class, Class::InvalidRequest | Class::Corrupt), "{error}");
        assert!(Vault::open(Config::on(Arc::new(place.copy()))).is_err(), "nothing that opens is left");
    };
    for at in (0..bytes.len()).step_by(bytes.len() / 150) {
        refused(&bytes[..at]);
        let mut altered = bytes.clone();
        altered[at] ^= 0x10;
        refused(&altered);
    }
    refused(b"none of ours");
    // Somebody who recomputes the outer digest is found by what is inside: a page of records left out.
    let digest = |bytes: &[u8]| {
        use sha2::Digest;
        sha2::Sha256::digest(bytes)
    };
    let body = &bytes[..bytes.len() - 32];
    let mut forged = body.to_vec();
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    let sum = digest(&forged);
    forged.extend_from_slice(&sum);
    refused(&forged);
    let place = storage();
    Vault::restore(Config::on(place.clone()), &mut &bytes[..], &key()).unwrap();
    let again = Vault::restore(Config::on(place), &mut &bytes[..], &key()).unwrap_err();
    assert_eq!(again.code(), Code::StoreExists, "only into an empty place");
}

#[test]
fn a_crash_at_any_commit_of_a_restore_leaves_nothing_that_opens_or_all_of_it() {
    let (vault, token) = filled();
    let bytes = taken(&session(&vault, &token), &BackupSeals::Own);
    for fault in [Fault::Lost, Fault::Applied] {
        for number in 1..50 {
            let storage = Arc::new(FaultyStorage::default());
            storage.fail_commit(number, fault);
            let outcome = Vault::restore(Config::on(storage.clone()), &mut &bytes[..], &key());
            let after = Vault::open(Config::on(Arc::new(storage.restart())));
            match (&outcome, after) {
                (_, Ok(sealed)) => {
                    let copy = sealed.unseal(&key()).unwrap();
                    assert!(copy.is_frozen());
                    copy.verify().unwrap();
                }
                (Ok(_), Err(error)) => panic!("acknowledged and not there: {error}"),
                (Err(_), Err(_)) => {}
            }
            if outcome.is_ok() {
                assert!(number > 1, "the restore has several commits");
                break;
            }
            assert!(number < 49, "the restore comes to its end");
        }
    }
}

#[cfg(any(feature = "sled", feature = "redb"))]
#[test]
fn a_backup_moves_a_vault_between_backends_and_a_refused_one_leaves_no_directory() {
    use vault_core::storage::Backend;
    let dir = tempfile::tempdir().unwrap();
    let (mut vault, token) = filled();
    let backends = [(Backend::Sled, cfg!(feature = "sled")), (Backend::Redb, cfg!(feature = "redb"))].repeat(2);
    for (number, (backend, _)) in backends.into_iter().filter(|(_, built)| *built).enumerate() {
        let place = dir.path().join(format!("vault{number}"));
        let bytes = taken(&session(&vault, &token), &BackupSeals::Own);
        let config = || Config::at(&place).with_backend(backend);
        let wrong = Vault::restore(config(), &mut &bytes[..bytes.len() - 1], &key()).unwrap_err();
        assert_eq!(wrong.code(), Code::BadBackup);
        assert!(!place.exists());
        let (copy, _) = Vault::restore(config(), &mut &bytes[..], &key()).unwrap();
        adopt(&session(&copy, &token));
        copy.close().unwrap();
        assert_eq!(Backend::found_at(&place), Some(backend));
        // The backend need not be told again.
        vault = Vault::open(Config::at(&place)).unwrap().unseal(&key()).unwrap();
        assert_eq!(value(&session(&vault, &token), "a/7"), 7);
        vault.verify().unwrap();
    }
}

/// A stream that ends in a failure after so many bytes.
struct Broken(usize);

impl std::io::Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let given = self.0.min(buffer.len());
        self.0 -= given;
        // What a backup begins with, for as long as there is some.
        buffer[..given].fill(b'x');
        if given == 0 { Err(std::io::Error::other("the callback failed")) } else { Ok(given) }
    }
}

#[test]
fn a_stream_that_fails_is_told_as_that_and_not_as_a_bad_backup() {
    for bytes in [0, 1, 5] {
        for error in
            [backup::verify(&mut Broken(bytes)).unwrap_err(), Vault::restore(Config::in_memory(), &mut Broken(bytes), &key()).unwrap_err()]
        {
            assert_eq!(error.code(), Code::Unavailable, "{bytes}");
            assert!(error.to_string().contains("the callback failed"), "{error}");
        }
    }
    assert_eq!(backup::verify(&mut Broken(6)).unwrap_err().code(), Code::BadBackup, "what it begins with tells that it is none");
    assert_eq!(backup::verify(&mut &b"LVB"[..]).unwrap_err().code(), Code::BadBackup, "and so does its end");
}

/// An anchor in memory.
#[derive(Default)]
struct Memory {
    state: Mutex<Option<Vec<u8>>>,
    fails: AtomicBool,
}

impl Anchor for Memory {
    fn load(&self) -> Result<Option<Vec<u8>>, AnchorError> {
        Ok(self.state.lock().clone())
    }

    fn store(&self, state: &[u8]) -> Result<(), AnchorError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(AnchorError::new("the network is down"));
        }
        *self.state.lock() = Some(state.to_vec());
        Ok(())
    }
}

fn anchored(storage: &MemoryStorage, anchor: &Arc<Memory>) -> Config {
    Config::on(Arc::new(storage.copy())).with_anchor(anchor.clone(), Ttl::ZERO)
}

#[test]
fn a_store_that_was_rolled_back_is_refused_until_somebody_breaks_the_glass() {
    let storage = Arc::new(MemoryStorage::new());
    let anchor = Arc::new(Memory::default());
    let (vault, token) = create(Config::on(storage.clone()).with_anchor(anchor.clone(), Ttl::ZERO));
    let root = session(&vault, &token);
    put(&root, "x", 1);
    let old = storage.copy();
    put(&root, "x", 2);
    let newest = storage.copy();
    let open = |storage: &MemoryStorage| Vault::open(anchored(storage, &anchor)).unwrap().unseal(&key());
    assert_eq!(open(&old).unwrap_err().code(), Code::Rollback);
    assert_eq!(value(&session(&open(&newest).unwrap(), &token), "x"), 2);
    // Without its anchor it would open: the anchor is what tells.
    Vault::open(Config::on(Arc::new(old.copy()))).unwrap().unseal(&key()).unwrap();
    let taken = Arc::new(old.copy());
    let config = Config::on(taken.clone()).with_anchor(anchor.clone(), Ttl::ZERO).with_rollback_accepted();
    let vault = Vault::open(config).unwrap().unseal(&key()).unwrap();
    let root = session(&vault, &token);
    assert_eq!(value(&root, "x"), 1);
    let events = root.audit().events(0, 1000).unwrap();
    assert!(events.iter().any(|event| event.get("operation").and_then(Value::as_str) == Some("accept-rollback")));
    put(&root, "x", 3);
    vault.verify().unwrap();
    // From here on this one counts, and the one that was the newest is a fork.
    assert_eq!(value(&session(&open(&taken).unwrap(), &token), "x"), 3);
    assert_eq!(open(&newest).unwrap_err().code(), Code::Rollback);
}

#[test]
fn an_anchor_that_fails_keeps_the_acknowledgement_and_a_foreign_or_altered_one_is_named() {
    let storage = Arc::new(MemoryStorage::new());
    let anchor = Arc::new(Memory::default());
    let (vault, token) = create(Config::on(storage.clone()).with_anchor(anchor.clone(), Ttl::ZERO));
    let root = session(&vault, &token);
    anchor.fails.store(true, Ordering::Relaxed);
    let error = root.kv("secret").put("x", Object::new()).unwrap_err();
    assert_eq!((error.code(), error.class()), (Code::AnchorFailed, Class::Unavailable));
    assert!(error.to_string().contains("the network is down"), "{error}");
    anchor.fails.store(false, Ordering::Relaxed);
    put(&root, "x", 1);
    let other = Arc::new(Memory::default());
    drop(create(Config::in_memory().with_anchor(other.clone(), Ttl::ZERO)));
    let open = |anchor: &Arc<Memory>| Vault::open(anchored(&storage, anchor)).unwrap().unseal(&key());
    assert_eq!(open(&other).unwrap_err().code(), Code::InvalidRequest);
    let mut bytes = anchor.state.lock().clone().unwrap();
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        *other.state.lock() = Some(bytes.clone());
        assert!(open(&other).is_err(), "byte {at}");
        bytes[at] ^= 1;
    }
    open(&anchor).unwrap();
}

#[test]
fn an_anchor_with_an_interval_is_advanced_when_its_time_comes_and_at_close() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let anchor = Arc::new(Memory::default());
    let config = Config::in_memory().with_clock(clock.clone()).with_anchor(anchor.clone(), Ttl::from_secs(60));
    let (vault, token) = create(config);
    let root = session(&vault, &token);
    put(&root, "x", 0);
    let first = anchor.state.lock().clone();
    put(&root, "x", 1);
    assert_eq!(*anchor.state.lock(), first);
    clock.advance(Ttl::from_secs(60));
    vault.tick().unwrap();
    let second = anchor.state.lock().clone();
    assert_ne!(second, first);
    put(&root, "x", 2);
    vault.close().unwrap();
    assert_ne!(*anchor.state.lock(), second);
}

#[test]
fn a_restored_vault_gets_an_anchor_of_its_own_when_it_is_adopted() {
    let storage = Arc::new(MemoryStorage::new());
    let anchor = Arc::new(Memory::default());
    let (vault, token) = create(Config::on(storage.clone()).with_anchor(anchor.clone(), Ttl::ZERO));
    let root = session(&vault, &token);
    put(&root, "x", 1);
    let bytes = taken(&root, &BackupSeals::Own);
    put(&root, "x", 2);
    let lost = storage.copy();
    drop((root, vault));
    let place = Arc::new(MemoryStorage::new());
    let config = Config::on(place.clone()).with_anchor(anchor.clone(), Ttl::ZERO);
    let (copy, _) = Vault::restore(config, &mut &bytes[..], &key()).unwrap();
    let root = session(&copy, &token);
    adopt(&root);
    put(&root, "x", 3);
    let open = |storage: &MemoryStorage| Vault::open(anchored(storage, &anchor)).unwrap().unseal(&key());
    assert_eq!(value(&session(&open(&place).unwrap(), &token), "x"), 3);
    assert_eq!(open(&lost).unwrap_err().code(), Code::Rollback, "the one that it replaces");
    assert!(place.commit_number() > 0);
}

#[cfg(any(feature = "sled", feature = "redb"))]
#[test]
fn an_anchor_in_a_file_is_private_and_survives() {
    use std::os::unix::fs::PermissionsExt;
    use vault_core::storage::FileAnchor;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("anchor");
    let anchor = Arc::new(FileAnchor::at(&path));
    let storage = Arc::new(MemoryStorage::new());
    let (vault, token) = create(Config::on(storage.clone()).with_anchor(anchor.clone(), Ttl::ZERO));
    let old = storage.copy();
    put(&session(&vault, &token), "x", 1);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let open = |storage: &MemoryStorage| Vault::open(Config::on(Arc::new(storage.copy())).with_anchor(anchor.clone(), Ttl::ZERO));
    open(&storage).unwrap().unseal(&key()).unwrap();
    assert_eq!(open(&old).unwrap().unseal(&key()).unwrap_err().code(), Code::Rollback);
}

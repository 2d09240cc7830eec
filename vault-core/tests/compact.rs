//! Compaction: room comes back while the vault is in use, and nothing else changes.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking, and tells its seed and what it measured"
)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::{KEY, Random, backend, create, files_below, member, number_from, open, text_of, wal_bytes};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Backend, Batch, Key, Storage};
use vault_core::types::{Code, Object, Operation, SecretString, Value};
use vault_core::{BackupSeals, Config, NewSeal, UnsealKey, Vault};

fn records_bytes(place: &Path) -> u64 {
    files_below(place).iter().filter(|path| !path.to_string_lossy().contains("/audit/")).map(|path| path.metadata().unwrap().len()).sum()
}

fn key_of(number: u64) -> Key {
    Key::new(&[&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes(), &number.to_be_bytes()])
}

/// With a small WAL where the tests are run so.
fn make(place: &Path) -> Arc<dyn Storage> {
    const CACHE: u64 = 64 << 20;
    if let Some(bytes) = wal_bytes() {
        return Arc::from(backend().create_with_wal(place, CACHE, bytes).unwrap());
    }
    let path = place.to_owned();
    match backend() {
        #[cfg(feature = "redb")]
        Backend::Redb => Arc::new(
            vault_core::storage::redb::RedbStorage::create(&vault_core::storage::redb::RedbOptions { path, cache_bytes: CACHE }).unwrap(),
        ),
        #[cfg(feature = "sled")]
        _ => Arc::new(
            vault_core::storage::sled::SledStorage::create(&vault_core::storage::sled::SledOptions { path, cache_bytes: CACHE }).unwrap(),
        ),
        #[cfg(not(feature = "sled"))]
        other => panic!("{other:?} is not built in"),
    }
}

/// `LIBVAULT_COMPACT_RECORDS=100000` is the size of the promise.
#[test]
fn after_ten_overwrites_of_everything_a_compacted_store_has_at_most_three_times_its_payload() {
    let count = number_from("LIBVAULT_COMPACT_RECORDS").unwrap_or(20_000);
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    let storage = make(&place);
    let mut random = Random::seeded();
    let mut noise = |len: u64| -> Vec<u8> { (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect() };
    let mut last = Vec::new();
    for _ in 0..11 {
        last.clear();
        for from in (0..count).step_by(500) {
            let changes: Vec<(Key, Vec<u8>)> = (from..count.min(from + 500)).map(|number| (key_of(number), noise(1024))).collect();
            last.extend(changes.iter().cloned());
            let changes = changes.into_iter().map(|(key, value)| (key, Some(value))).collect();
            storage.commit(&Batch { number: storage.commit_number() + 1, expectations: Vec::new(), changes }).unwrap();
        }
    }
    let started = std::time::Instant::now();
    let told = storage.compact().unwrap();
    let took = started.elapsed();
    for (key, value) in &last {
        assert_eq!(storage.get(key).unwrap().as_ref(), Some(value));
    }
    storage.close().unwrap();
    let payload = count * 1024;
    let found = records_bytes(&place);
    eprintln!(
        "{}: {count} x 1 KiB, {} bytes before, {} after, {found} closed: {:.2} x the payload; {took:.1?}",
        backend().name(),
        told.before,
        told.after,
        found as f64 / payload as f64
    );
    assert!(told.after < told.before, "{told:?}");
    assert!(found <= 3 * payload, "{found} of {payload}");
    // Over sled each value is written once: 2 x otherwise.
    assert!(backend() != Backend::Sled || 2 * found <= 3 * payload, "{found} of {payload}");
}

/// sled alone would take four times the payload. redb doubles its file when that is full, which is no question of cleaning.
#[test]
fn what_is_overwritten_again_and_again_takes_at_most_three_times_its_payload() {
    const RECORDS: u64 = 6_000;
    if backend() == vault_core::storage::Backend::Redb {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    let storage = make(&place);
    for round in 0..3 {
        for from in (0..RECORDS).step_by(12) {
            let changes = (from..RECORDS.min(from + 12)).map(|number| (key_of(number), Some(vec![round; 1024]))).collect();
            storage.commit(&Batch { number: storage.commit_number() + 1, expectations: Vec::new(), changes }).unwrap();
        }
    }
    storage.close().unwrap();
    let found = records_bytes(&place);
    eprintln!("{}: {found} bytes, {:.2} x the payload", backend().name(), found as f64 / (RECORDS * 1024) as f64);
    assert!(found <= 3 * RECORDS * 1024, "{found}");
}

#[test]
fn what_only_the_wal_has_counts_beforehand_too() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    let storage = make(&place);
    let changes = (0..100).map(|number| (key_of(number), Some(vec![7; 5_000]))).collect();
    storage.commit(&Batch { number: storage.commit_number() + 1, expectations: Vec::new(), changes }).unwrap();
    let in_engine = records_bytes(&place) - place.join("WAL").metadata().unwrap().len();
    let told = storage.compact().unwrap();
    // redb is given it before.
    let least = if backend() == vault_core::storage::Backend::Redb { 500_000 } else { in_engine + 500_000 };
    assert!(told.before >= least && told.after >= 500_000, "{in_engine} {told:?}");
}

#[test]
fn a_vault_that_was_compacted_holds_and_takes_what_it_did_and_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("vault");
    let (vault, token) = create(&place);
    let root = vault.session(SecretString::copy_from(&token));
    for round in 0..30 {
        for number in 0..20 {
            root.kv("secret").put(&format!("app/{number}"), member(&format!("{round} {}", "x".repeat(number * 700)))).unwrap();
        }
    }
    let told = vault.compact().unwrap();
    assert!(told.after < told.before, "{told:?}");
    root.kv("secret").put("app/new", member("new")).unwrap();
    let again = root.request(Operation::Write, "sys/storage/compact", None).unwrap().data.unwrap();
    assert!(again.get("bytes_after").and_then(Value::as_u64).unwrap() > 0);
    vault.verify().unwrap();
    vault.close().unwrap();
    assert_eq!(vault.compact().unwrap_err().code(), Code::Closed);
    let vault = open(&place).unwrap();
    vault.verify().unwrap();
    let root = vault.session(SecretString::copy_from(&token));
    for number in 0..20 {
        let secret = root.kv("secret").get(&format!("app/{number}")).unwrap();
        assert_eq!(text_of(&secret.data), format!("29 {}", "x".repeat(number * 700)));
        assert_eq!(secret.version.version, 30);
    }
    assert_eq!(text_of(&root.kv("secret").get("app/new").unwrap().data), "new");
    let recorded =
        root.request(Operation::Read, "sys/audit-log/events", Some(Object::new().with("after", 600_u64).into())).unwrap().data.unwrap();
    let events = recorded.get("events").and_then(Value::as_array).unwrap().to_vec();
    let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let compacted = events.iter().filter(|event| text(event, "path") == "sys/storage/compact").map(|event| text(event, "operation"));
    assert_eq!(compacted.collect::<Vec<_>>(), ["compact", "write"]);
    vault.seal().unwrap();
    assert_eq!(vault.compact().unwrap_err().code(), Code::Sealed);
}

#[test]
fn only_a_token_with_sudo_compacts_and_a_frozen_vault_may_be() {
    let (vault, init) = Vault::in_memory().unwrap();
    let root = vault.session(init.root_token);
    let policy = "path \"sys/storage/compact\" { capabilities = [\"update\"] }";
    root.policies().write("compactors", policy).unwrap();
    let token = root.tokens().create(vault_core::TokenOptions { policies: vec!["compactors".to_owned()], ..Default::default() }).unwrap();
    let session = vault.session(token.client_token);
    let write = |session: &vault_core::Session| session.request(Operation::Write, "sys/storage/compact", None);
    assert_eq!(write(&session).unwrap_err().code(), Code::PermissionDenied);
    root.policies().write("compactors", &policy.replace("\"update\"", "\"update\", \"sudo\"")).unwrap();
    write(&session).unwrap();
    let mut backup = Vec::new();
    root.backup().to_writer(&mut backup, &BackupSeals::New(vec![NewSeal::raw_key(&KEY).unwrap()])).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let key = UnsealKey::raw_key(&KEY).unwrap();
    let (copy, _) = Vault::restore(support::config(&dir.path().join("copy")), &mut &backup[..], &key).unwrap();
    copy.compact().unwrap();
    assert!(copy.is_frozen());
    write(&copy.session(copy.generate_root(&key).unwrap())).unwrap();
    copy.verify().unwrap();
}

#[test]
fn a_store_in_memory_has_nothing_to_compact() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, _) = Vault::create(Config::on(storage), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    assert_eq!(vault.compact().unwrap(), vault_core::storage::Compaction::default());
}

#[test]
fn readers_and_writers_under_compactions_lose_nothing() {
    const WRITERS: u64 = 3;
    const ROUNDS: u64 = 6;
    const WRITES_MIN: u64 = 300;
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("vault");
    let (vault, token) = create(&place);
    let session = || vault.session(SecretString::copy_from(&token));
    let kv = |writer: u64, number: u64| format!("w{writer}/{}", number % 7);
    let text = |writer: u64, number: u64| format!("{writer} {number} {}", "y".repeat(usize::try_from(number % 5).unwrap() * 3000));
    let done: Vec<AtomicU64> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
    let stop = AtomicBool::new(false);
    let busy = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (done, stop, root) = (&done, &stop, session());
            scope.spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let number = done[usize::try_from(writer).unwrap()].load(Ordering::Acquire);
                    root.kv("secret").put(&kv(writer, number), member(&text(writer, number))).unwrap();
                    done[usize::try_from(writer).unwrap()].store(number + 1, Ordering::Release);
                }
            });
        }
        let (done, stop, root) = (&done, &stop, session());
        scope.spawn(move || {
            while !stop.load(Ordering::Acquire) {
                for writer in 0..WRITERS {
                    let number = done[usize::try_from(writer).unwrap()].load(Ordering::Acquire);
                    if number > 0 {
                        let found = root.kv("secret").get(&kv(writer, number - 1)).unwrap();
                        let newest: u64 = text_of(&found.data).split(' ').nth(1).unwrap().parse().unwrap();
                        assert!(newest >= number - 1, "{newest} of {number}");
                    }
                }
            }
        });
        let (root, busy, vault) = (session(), &busy, &vault);
        scope.spawn(move || {
            for _ in 0..ROUNDS {
                let mut bytes = Vec::new();
                root.backup().to_writer(&mut bytes, &BackupSeals::Own).unwrap();
                let (copy, _) = Vault::restore(Config::in_memory(), &mut &bytes[..], &UnsealKey::raw_key(&KEY).unwrap()).unwrap();
                copy.verify().unwrap();
            }
        });
        let mut compacted = 0;
        let written = || done.iter().map(|done| done.load(Ordering::Acquire)).sum::<u64>();
        while compacted < ROUNDS || written() < WRITES_MIN {
            std::thread::sleep(std::time::Duration::from_millis(5));
            match vault.compact() {
                Ok(_) => compacted += 1,
                Err(error) => {
                    assert_eq!((error.code(), backend()), (Code::Conflict, Backend::Redb), "{error}");
                    busy.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        stop.store(true, Ordering::Release);
    });
    vault.verify().unwrap();
    vault.close().unwrap();
    let vault = open(&place).unwrap();
    vault.verify().unwrap();
    let root = vault.session(SecretString::copy_from(&token));
    let mut written = 0;
    for writer in 0..WRITERS {
        let count = done[usize::try_from(writer).unwrap()].load(Ordering::Acquire);
        written += count;
        for number in count.saturating_sub(7)..count {
            assert_eq!(text_of(&root.kv("secret").get(&kv(writer, number)).unwrap().data), text(writer, number));
        }
    }
    eprintln!("{}: {written} writes under compactions, {} of them put off", backend().name(), busy.load(Ordering::Relaxed));
}

#[test]
fn a_snapshot_from_before_stays_what_it_was_or_keeps_the_compaction_off() {
    let dir = tempfile::tempdir().unwrap();
    let storage = make(&dir.path().join("store"));
    let write = |value: u8, keys: std::ops::Range<u64>| {
        let changes = keys.map(|number| (key_of(number), Some(vec![value; 5000]))).collect();
        storage.commit(&Batch { number: storage.commit_number() + 1, expectations: Vec::new(), changes }).unwrap();
    };
    write(1, 0..50);
    let snapshot = storage.snapshot().unwrap();
    write(2, 20..70);
    match storage.compact() {
        Ok(_) => write(3, 0..10),
        Err(error) => {
            assert!(matches!((error, backend()), (vault_core::storage::StorageError::Busy, Backend::Redb)));
        }
    }
    let page = snapshot.scan(&[], None, 1000).unwrap();
    assert_eq!(page.len(), 50);
    assert!(page.iter().all(|(_, value)| *value == vec![1; 5000]));
    drop(snapshot);
    storage.compact().unwrap();
    assert_eq!(storage.scan(&[], None, 1000).unwrap().len(), 70);
    storage.close().unwrap();
    assert!(matches!(storage.compact(), Err(vault_core::storage::StorageError::Closed)));
}

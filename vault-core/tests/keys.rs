//! The data keys: rolled in use, what is under old ones re-encrypted in the background, and retired; whatever crashes.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vault_core::host::ManualClock;
use vault_core::storage::Storage;
use vault_core::storage::faulty::{Fault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Code, Object, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{Config, NewSeal, Session, UnsealKey, Vault};

const KEY: [u8; 32] = [7; 32];

fn create(config: Config) -> (Vault, String) {
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
    (vault, init.root_token.expose().to_owned())
}

fn open(storage: MemoryStorage) -> Vault {
    Vault::open(Config::on(Arc::new(storage))).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap()
}

fn session(vault: &Vault, token: &str) -> Session {
    vault.session(SecretString::copy_from(token))
}

fn status(root: &Session) -> (u64, u64, bool) {
    let status = root.request(Operation::Read, "sys/key-status", None).unwrap().data.unwrap();
    let reencryption = status.get("reencryption").unwrap();
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).unwrap();
    let active = reencryption.get("active").and_then(Value::as_bool).unwrap();
    (number(&status, "term"), number(reencryption, "data_keys"), active)
}

fn roll(root: &Session) {
    root.request(Operation::Write, "sys/rotate", None).unwrap();
}

fn put(root: &Session, path: &str, value: u64) -> Result<(), vault_core::types::Error> {
    root.kv("secret").put(path, Object::new().with("value", value)).map(drop)
}

fn value(root: &Session, path: &str) -> u64 {
    root.kv("secret").get(path).unwrap().data.get("value").unwrap().as_u64().unwrap()
}

/// The ids of the data keys that the records of a store are under.
fn ids(storage: &dyn Storage) -> Vec<u32> {
    let page = storage.scan(&[], None, 1_000_000).unwrap();
    let bare = |key: &[u8]| key == b"header" || key == b"keyring";
    let mut ids: Vec<u32> = page
        .iter()
        .filter(|(key, _)| !bare(key.as_bytes()))
        .map(|(_, record)| u32::from_le_bytes(record[2..6].try_into().unwrap()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[test]
fn a_roll_re_encrypts_everything_in_the_background_and_retires_the_old_key() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, token) = create(Config::on(storage.clone()).with_audit_tail_bytes(16 * 1024));
    let root = session(&vault, &token);
    for i in 0..2000 {
        put(&root, &format!("a/{i}"), i).unwrap();
    }
    assert_eq!(status(&root), (1, 1, false));
    roll(&root);
    assert_eq!(status(&root), (2, 2, true));
    put(&root, "busy", 0).unwrap();
    assert_eq!(ids(&*storage), [1, 2]);
    let mut ticks = 0;
    while status(&root).2 {
        // In use meanwhile.
        put(&root, "busy", ticks).unwrap();
        assert_eq!(value(&root, &format!("a/{ticks}")), ticks);
        vault.tick().unwrap();
        ticks += 1;
        assert!(ticks < 1000, "the re-encryption comes to an end");
    }
    assert!(ticks > 1, "it is done in steps");
    assert_eq!(ids(&*storage), [2]);
    assert_eq!(status(&root), (2, 1, false));
    vault.verify().unwrap();
    assert!(root.audit().verify().unwrap().segments > 0, "sealed segments are read after the key is gone");
    let vault = open(storage.copy());
    let root = session(&vault, &token);
    (0..2000).for_each(|i| assert_eq!(value(&root, &format!("a/{i}")), i));
    vault.verify().unwrap();
}

#[test]
fn a_crash_at_every_step_of_a_roll_and_its_re_encryption_loses_nothing() {
    let mut reached = 0;
    for fault in [Fault::Lost, Fault::Applied] {
        for ahead in 1.. {
            let storage = Arc::new(FaultyStorage::default());
            let (vault, token) = create(Config::on(storage.clone()));
            let root = session(&vault, &token);
            (0..300).for_each(|i| put(&root, &format!("a/{i}"), i).unwrap());
            storage.fail_commit(storage.commit_number() + ahead, fault);
            let rolled = root.request(Operation::Write, "sys/rotate", None);
            let finished = rolled.and_then(|_| {
                for _ in 0..10 {
                    vault.tick()?;
                }
                Ok(())
            });
            // Opened again it goes on where it was, and comes to its end.
            let after = storage.restart();
            let vault = open(after.copy());
            let root = session(&vault, &token);
            (0..300).for_each(|i| assert_eq!(value(&root, &format!("a/{i}")), i));
            vault.verify().unwrap();
            (0..10).for_each(|_| assert!(vault.tick().is_ok()));
            assert!(!status(&root).2);
            vault.verify().unwrap();
            reached += 1;
            if finished.is_ok() {
                break;
            }
        }
    }
    assert!(reached > 8, "the crash falls into each step: {reached}");
}

#[test]
fn rolls_follow_one_another_while_the_re_encryption_is_under_way() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, token) = create(Config::on(storage.clone()));
    let root = session(&vault, &token);
    (0..500).for_each(|i| put(&root, &format!("a/{i}"), i).unwrap());
    for _ in 0..5 {
        roll(&root);
        vault.tick().unwrap();
    }
    (0..50).for_each(|_| assert!(vault.tick().is_ok()));
    assert_eq!(status(&root), (6, 1, false));
    assert_eq!(ids(&*storage), [6]);
    for _ in 0..100 {
        if let Err(error) = root.request(Operation::Write, "sys/rotate", None) {
            assert_eq!(error.code(), Code::InvalidRequest, "so many that the re-encryption must come first");
            assert!(error.to_string().contains("tick"));
            return;
        }
    }
    panic!("data keys without bound");
}

#[test]
fn the_keyring_is_rolled_on_schedule_and_at_the_message_limit() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let (vault, token) = create(Config::in_memory().with_clock(clock.clone()));
    let root = session(&vault, &token);
    let config = Object::new().with("interval", "24h").with("max_operations", 10_000_u64);
    root.request(Operation::Write, "sys/rotate/config", Some(config.into())).unwrap();
    let read = root.request(Operation::Read, "sys/rotate/config", None).unwrap().data.unwrap();
    assert_eq!(read.get("interval").and_then(Value::as_u64), Some(86_400));
    vault.tick().unwrap();
    assert_eq!(status(&root).0, 1);
    clock.advance(Ttl::from_secs(86_400));
    vault.tick().unwrap();
    assert_eq!(status(&root).0, 2);
    (0..10).for_each(|_| assert!(vault.tick().is_ok()));
    assert_eq!(status(&root), (2, 1, false));
    // By the number of messages, without any tick.
    let mut writes = 0;
    while status(&root).0 == 2 {
        put(&root, "x", writes).unwrap();
        writes += 1;
        assert!(writes < 10_000, "every write is several messages");
    }
    for bad in [0_u64, 9_999, u64::MAX] {
        let data = Object::new().with("max_operations", bad);
        assert_eq!(root.request(Operation::Write, "sys/rotate/config", Some(data.into())).unwrap_err().code(), Code::InvalidData);
    }
}

#[test]
fn writers_lose_nothing_while_keys_are_rolled_and_retired_under_them() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, token) = create(Config::on(storage.clone()));
    let stop = AtomicBool::new(false);
    let written: Vec<u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (vault, token, stop) = (&vault, &token, &stop);
                scope.spawn(move || {
                    let root = session(vault, token);
                    let mut last = 0;
                    while !stop.load(Ordering::Relaxed) {
                        match put(&root, &format!("w/{writer}/{}", last % 7), last + 1) {
                            Ok(()) => last += 1,
                            Err(error) => assert_eq!(error.code(), Code::Conflict, "{error}"),
                        }
                    }
                    last
                })
            })
            .collect();
        let readers = scope.spawn(|| {
            // Readers and verifications meanwhile never meet a record whose key is gone.
            let root = session(&vault, &token);
            while !stop.load(Ordering::Relaxed) {
                let _found = root.kv("secret").list("w");
                vault.verify().unwrap();
                root.audit().events(0, 10).unwrap();
            }
        });
        let root = session(&vault, &token);
        for _ in 0..40 {
            roll(&root);
            while status(&root).2 {
                vault.tick().unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
        readers.join().unwrap();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert!(written.iter().all(|last| *last > 0));
    vault.verify().unwrap();
    let root = session(&open(storage.copy()), &token);
    for (writer, last) in written.iter().enumerate() {
        if *last > 0 {
            assert_eq!(value(&root, &format!("w/{writer}/{}", (last - 1) % 7)), *last);
        }
    }
    assert_eq!(ids(&*storage), [41]);
}

#[test]
fn a_keyring_that_is_full_keeps_no_tick_from_its_work() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_457_040)));
    let (vault, token) = create(Config::in_memory().with_clock(clock.clone()));
    let root = session(&vault, &token);
    let interval = Object::new().with("interval", "1s");
    root.request(Operation::Write, "sys/rotate/config", Some(interval.into())).unwrap();
    let refused = (0..100).find_map(|_| root.request(Operation::Write, "sys/rotate", None).err());
    assert_eq!(refused.unwrap().code(), Code::InvalidRequest, "a keyring holds so many keys and no more");
    for _ in 0..50 {
        clock.advance(Ttl::from_secs(10));
        vault.tick().unwrap();
    }
    root.request(Operation::Write, "sys/rotate", None).unwrap();
}

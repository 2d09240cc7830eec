//! The life of a namespace: made, rolled, backed up, deleted and swept; whatever crashes or races. What is deleted is gone.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/namespaces.rs"]
mod support;
#[path = "support/watched.rs"]
mod watched;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use support::*;
use vault_core::host::ManualClock;
use vault_core::storage::Storage;
use vault_core::storage::faulty::{Fault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::limits::NAMESPACES_MAX;
use vault_core::types::{Code, Error, Object, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{BackupSeals, Config, NewSeal, Session, UnsealKey, Vault};
use watched::Watched;

#[test]
fn a_roll_is_of_one_namespace_and_the_re_encryption_is_of_all() {
    let storage = Arc::new(MemoryStorage::new());
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let (vault, root, token) = create(Config::on(storage.clone()).with_clock(clock.clone()));
    make(&root, "a").unwrap();
    make(&root, "b").unwrap();
    let (a, b) = (root.namespace("a").unwrap(), root.namespace("b").unwrap());
    make(&a, "x").unwrap();
    let x = a.namespace("x").unwrap();
    for session in [&root, &a, &b, &x] {
        (0..300).for_each(|i| put(session, &format!("s/{i}"), &i.to_string()).unwrap());
    }
    assert_eq!(([&root, &a, &b, &x]).map(term), [1, 2, 3, 4]);
    a.request(Operation::Write, "sys/rotate", None).unwrap();
    assert_eq!(([&root, &a, &b, &x]).map(term), [1, 5, 3, 4]);
    put(&a, "s/0", "0").unwrap();
    assert_eq!(ids(&*storage), BTreeSet::from([1, 2, 3, 4, 5]));
    // Others are rolled while the first re-encryption is under way.
    vault.tick().unwrap();
    root.request(Operation::Write, "sys/rotate", None).unwrap();
    x.request(Operation::Write, "sys/rotate", None).unwrap();
    vault.tick().unwrap();
    root.request(Operation::Write, "sys/rotate", None).unwrap();
    settle(&vault);
    assert_eq!(([&root, &a, &b, &x]).map(term), [8, 5, 3, 7]);
    assert_eq!(ids(&*storage), BTreeSet::from([3, 5, 7, 8]), "what the old keys are gone from");
    vault.verify().unwrap();
    // Its own schedule.
    let every_day = Object::new().with("interval", "24h");
    b.request(Operation::Write, "sys/rotate/config", Some(every_day.into())).unwrap();
    clock.advance(Ttl::from_secs(86_400));
    settle(&vault);
    assert_eq!(([&root, &a, &b, &x]).map(term), [8, 5, 9, 7]);
    assert_eq!(ids(&*storage), BTreeSet::from([5, 7, 8, 9]));
    let (vault, root) = open(storage.copy(), &token);
    for namespace in ["", "a", "b", "a/x"] {
        let session = root.namespace(namespace).unwrap();
        (0..300).for_each(|i| assert_eq!(value(&session, &format!("s/{i}")), i.to_string()));
    }
    vault.verify().unwrap();
}

#[test]
fn what_is_deleted_is_gone_at_once_and_swept_later_and_the_same_name_begins_anew() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, root, token) = create(Config::on(storage.clone()));
    make(&root, "a").unwrap();
    make(&root, "b").unwrap();
    let (a, b) = (root.namespace("a").unwrap(), root.namespace("b").unwrap());
    make(&a, "x").unwrap();
    put(&b, "s", "kept").unwrap();
    for i in 0..1_500 {
        put(&a, &format!("s/{i}"), "old").unwrap();
    }
    a.request(Operation::Write, "sys/rotate", None).unwrap();
    assert_eq!(term(&a), 5);
    let admin = token_of(&vault, &a, "admin", ADMIN).namespace("a").unwrap();
    assert_eq!(value(&admin, "s/7"), "old");
    let below = token_of(&vault, &a, "admin", ADMIN).namespace("a").unwrap();
    assert_eq!(delete(&root, "a").unwrap_err().code(), Code::InvalidRequest, "one is below it");
    delete(&a, "x").unwrap();
    let dead: BTreeSet<u32> = [2, 4, 5].into();
    let left = |storage: &MemoryStorage| count(storage, &dead);
    let before = left(&storage);
    assert!(before > 1_500, "{before}");
    let id = root.request(Operation::Read, "sys/namespaces/a", None).unwrap().data.unwrap().get("id").unwrap().as_str().unwrap().to_owned();
    delete(&root, "a").unwrap();
    delete(&root, "a").unwrap();
    assert_eq!(names(&root), ["b/"]);
    for session in [&admin, &below] {
        assert_eq!(session.tokens().lookup_self().unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(put(session, "s/7", "late").unwrap_err().code(), Code::PermissionDenied);
    }
    assert_eq!(a.kv("secret").get("s/7").unwrap_err().code(), Code::NotFound);
    assert_eq!(left(&storage), before, "its records are still there, under no key");
    vault.verify().unwrap();
    // The same name: other keys, nothing of what was, and no token of before.
    make(&root, "a").unwrap();
    let again =
        root.request(Operation::Read, "sys/namespaces/a", None).unwrap().data.unwrap().get("id").unwrap().as_str().unwrap().to_owned();
    assert_ne!(id, again);
    for session in [&root, &open(storage.copy(), &token).1] {
        let a = session.namespace("a").unwrap();
        assert_eq!(a.kv("secret").get("s/7").unwrap_err().code(), Code::NotFound);
        assert_eq!(a.kv("secret").list("").unwrap_err().code(), Code::NotFound);
        assert_eq!(a.policies().list().unwrap(), ["default", "root"]);
        assert!(names(&a).is_empty());
    }
    assert_eq!(admin.tokens().lookup_self().unwrap_err().code(), Code::PermissionDenied);
    put(&a, "s/7", "new").unwrap();
    // Swept in steps, across a reopening.
    vault.tick().unwrap();
    assert!((1..before).contains(&left(&storage)), "not at once");
    vault.verify().unwrap();
    vault.close().unwrap();
    let storage = Arc::new(storage.copy());
    let vault = Vault::open(Config::on(storage.clone())).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let root = vault.session(SecretString::copy_from(&token));
    settle(&vault);
    assert_eq!(left(&storage), 0);
    let terms = ["", "a", "b"].map(|namespace| term(&root.namespace(namespace).unwrap()));
    assert_eq!(ids(&*storage), BTreeSet::from(terms));
    assert_eq!(value(&root.namespace("a").unwrap(), "s/7"), "new");
    assert_eq!(value(&root.namespace("b").unwrap(), "s"), "kept");
    vault.verify().unwrap();
}

#[test]
fn a_crash_at_every_commit_of_a_namespaces_life_leaves_old_or_new() {
    let mut reached = 0;
    for fault in [Fault::Lost, Fault::Applied] {
        for ahead in 1.. {
            let storage = Arc::new(FaultyStorage::default());
            let (vault, root, token) = create(Config::on(storage.clone()));
            make(&root, "old").unwrap();
            let old = root.namespace("old").unwrap();
            (0..600).for_each(|i| put(&old, &format!("s/{i}"), "1").unwrap());
            storage.fail_commit(storage.commit_number() + ahead, fault);
            let life = || -> Result<(), Error> {
                make(&root, "new")?;
                let new = root.namespace("new")?;
                put(&new, "s", "1")?;
                new.request(Operation::Write, "sys/rotate", None)?;
                vault.tick()?;
                make(&new, "x")?;
                delete(&new, "x")?;
                delete(&root, "old")?;
                (0..4).try_for_each(|_| vault.tick().map(drop))
            };
            let finished = life();
            let after = Arc::new(storage.restart());
            let vault = Vault::open(Config::on(after.clone())).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
            let root = vault.session(SecretString::copy_from(&token));
            vault.verify().unwrap();
            let there = names(&root);
            if there.contains(&"old/".to_owned()) {
                let old = root.namespace("old").unwrap();
                (0..600).for_each(|i| assert_eq!(value(&old, &format!("s/{i}")), "1"));
            } else {
                assert!(there.contains(&"new/".to_owned()), "made before the old one was deleted");
                assert_eq!(root.namespace("old").unwrap().kv("secret").get("s/1").unwrap_err().code(), Code::NotFound);
            }
            if there.contains(&"new/".to_owned()) {
                let new = root.namespace("new").unwrap();
                assert_eq!(new.policies().list().unwrap(), ["default", "root"], "made whole or not at all");
                put(&new, "t", "2").unwrap();
                assert_eq!(value(&new, "t"), "2");
                assert!(names(&new).len() < 2);
            }
            settle(&vault);
            vault.verify().unwrap();
            let mut terms: BTreeSet<u32> = BTreeSet::from([term(&root)]);
            for name in names(&root) {
                let session = root.namespace(&name).unwrap();
                terms.insert(term(&session));
                terms.extend(names(&session).iter().map(|name| term(&session.namespace(name).unwrap())));
            }
            assert_eq!(ids(&*after), terms, "nothing is left under another key");
            reached += 1;
            if finished.is_ok() {
                break;
            }
        }
    }
    assert!(reached > 20, "the crash falls into each step: {reached}");
}

#[test]
fn backups_hold_all_namespaces_and_a_rekey_keeps_them() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, root, _) = create(Config::on(storage.clone()));
    make(&root, "a").unwrap();
    make(&root.namespace("a").unwrap(), "x").unwrap();
    put(&root.namespace("a/x").unwrap(), "s", "deep").unwrap();
    make(&root, "gone").unwrap();
    put(&root.namespace("gone").unwrap(), "s", "1").unwrap();
    delete(&root, "gone").unwrap();
    let mut bytes = Vec::new();
    let other = [9; 32];
    root.backup().to_writer(&mut bytes, &BackupSeals::New(vec![NewSeal::raw_key(&other).unwrap()])).unwrap();
    let (restored, _) = Vault::restore(Config::in_memory(), &mut bytes.as_slice(), &UnsealKey::raw_key(&other).unwrap()).unwrap();
    restored.verify().unwrap();
    let root = restored.session(restored.generate_root(&UnsealKey::raw_key(&other).unwrap()).unwrap());
    assert_eq!(value(&root.namespace("a/x").unwrap(), "s"), "deep");
    assert_eq!(put(&root.namespace("a").unwrap(), "s", "1").unwrap_err().code(), Code::Frozen);
    assert_eq!(make(&root, "b").unwrap_err().code(), Code::Frozen);
    root.request(Operation::Write, "sys/storage/adopt", None).unwrap();
    put(&root.namespace("a").unwrap(), "s", "1").unwrap();
    settle(&restored);
    restored.verify().unwrap();
    // A new root key: the namespaces' keyrings hang below the root one and stay.
    let shares = Object::new().with("secret_shares", 1_u64).with("secret_threshold", 1_u64).with("keep_root_key", false);
    let begun = root.request(Operation::Write, "sys/rekey/init", Some(shares.into())).unwrap().data.unwrap();
    let key = Object::new()
        .with("nonce", begun.get("nonce").and_then(Value::as_str).unwrap())
        .with("raw_key", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=");
    let done = root.request(Operation::Write, "sys/rekey/update", Some(key.into())).unwrap().data.unwrap();
    let share = done.get("keys").and_then(Value::as_array).unwrap()[0].as_str().unwrap().to_owned();
    let token = secret_of(&root);
    let sealed = restored.seal().unwrap();
    sealed.unseal_share(&share).unwrap();
    let root = restored.session(SecretString::copy_from(&token));
    assert_eq!(value(&root.namespace("a/x").unwrap(), "s"), "deep");
    restored.verify().unwrap();
    vault.verify().unwrap();
}

#[test]
fn writers_and_readers_meet_a_namespace_that_comes_and_goes_and_nothing_of_it_stays() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, root, token) = create(Config::on(storage.clone()));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (root, stop) = (root.clone(), &stop);
            scope.spawn(move || {
                let session = root.namespace("a").unwrap();
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    match put(&session, &format!("w/{writer}/{}", n % 5), "x") {
                        Ok(()) => {}
                        Err(error) => assert!(matches!(error.code(), Code::NotFound | Code::Conflict), "{error}"),
                    }
                    let _listed = session.kv("secret").list("w");
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                vault.verify().unwrap();
                vault.tick().unwrap();
            }
        });
        for _ in 0..60 {
            make(&root, "a").unwrap();
            let session = root.namespace("a").unwrap();
            let rolled = session.request(Operation::Write, "sys/rotate", None);
            assert!(rolled.is_ok_and(|_| true) || term(&session) > 0);
            put(&session, "mine", "1").unwrap();
            while let Err(error) = delete(&root, "a") {
                assert_eq!(error.code(), Code::Conflict, "{error}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    settle(&vault);
    vault.verify().unwrap();
    assert_eq!(ids(&*storage), BTreeSet::from([term(&root)]));
    let (vault, root) = open(storage.copy(), &token);
    assert!(names(&root).is_empty());
    vault.verify().unwrap();
}

#[test]
fn who_misses_what_is_swept_of_a_deleted_namespace_learns_that_it_is_gone() {
    let storage = Arc::new(Watched::default());
    let (vault, root, _) = create(Config::on(storage.clone()));
    type Act = fn(&Session) -> Result<(), Error>;
    let operations: [Act; 4] = [
        |session| put(session, "s", "2"),
        |session| session.kv("secret").get("s").map(drop),
        |session| session.kv("secret").list("").map(drop),
        |session| session.request(Operation::Read, "sys/mounts", None).map(drop),
    ];
    for operation in operations {
        for read in 1.. {
            make(&root, "a").unwrap();
            let session = root.namespace("a").unwrap();
            put(&session, "s", "1").unwrap();
            let (deleting, sweeping) = (root.clone(), vault.clone());
            let (over, is_over) = mpsc::channel();
            let (started, thread) = mpsc::channel();
            storage.ahead_of(
                read,
                Box::new(move || {
                    let swept = std::thread::spawn(move || {
                        while delete(&deleting, "a").is_err() {}
                        settle(&sweeping);
                        let _told = over.send(());
                    });
                    // A reader that leads a commit is not waited for by those who want to commit.
                    let _over = is_over.recv_timeout(Duration::from_millis(100));
                    started.send(swept).unwrap();
                }),
            );
            match operation(&session) {
                Ok(()) => {}
                Err(error) => assert!(matches!(error.code(), Code::NotFound | Code::Conflict), "read {read}: {error}"),
            }
            match thread.try_recv() {
                Ok(swept) => swept.join().unwrap(),
                Err(_) => {
                    assert!(!storage.is_over());
                    delete(&root, "a").unwrap();
                    break;
                }
            }
        }
    }
    vault.verify().unwrap();
}

#[test]
fn of_two_who_make_the_same_name_one_does() {
    let (vault, root, _) = create(Config::in_memory());
    for round in 0..20 {
        let name = format!("n{round}");
        let made: usize = std::thread::scope(|scope| {
            let mount = || {
                let data = Object::new().with("type", "kv-v2");
                root.request(Operation::Write, &format!("sys/mounts/{name}/kv"), Some(data.into())).is_ok()
            };
            let threads = [scope.spawn(|| make(&root, &name).is_ok()), scope.spawn(|| make(&root, &name).is_ok()), scope.spawn(mount)];
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(made, 1, "a namespace or a mount, and one of them");
    }
    vault.verify().unwrap();
}

#[test]
fn messages_are_counted_for_each_namespace_across_openings_and_roll_its_keyring() {
    let encryptions = |session: &Session| {
        let status = session.request(Operation::Read, "sys/key-status", None).unwrap().data.unwrap();
        status.get("encryptions").and_then(Value::as_u64).unwrap()
    };
    let storage = Arc::new(MemoryStorage::new());
    let (vault, root, token) = create(Config::on(storage.clone()));
    make(&root, "a").unwrap();
    vault.close().unwrap();
    let mut storage = storage.copy();
    for opening in 1..=4 {
        // Each opening counts on from what the one before has noted, and for what it may have kept from being noted.
        let shared = Arc::new(storage);
        let vault = Vault::open(Config::on(shared.clone())).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
        let a = vault.session(SecretString::copy_from(&token)).namespace("a").unwrap();
        let counted = encryptions(&a);
        assert!(counted >= opening << 16, "opening {opening}: {counted}");
        put(&a, "s", "1").unwrap();
        storage = shared.copy();
    }
    let (_vault, root) = open(storage, &token);
    let a = root.namespace("a").unwrap();
    let before = (term(&a), term(&root));
    let limit = Object::new().with("max_operations", 10_000_u64);
    a.request(Operation::Write, "sys/rotate/config", Some(limit.into())).unwrap();
    assert!(term(&a) > before.0, "past its limit it is rolled without a tick");
    assert_eq!(term(&root), before.1);
    assert!(encryptions(&a) < 100, "the new key begins anew");
    put(&a, "s", "2").unwrap();
}

#[test]
fn there_are_no_more_namespaces_than_their_keys_may_take_memory() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, root, token) = create(Config::on(storage.clone()));
    (0..NAMESPACES_MAX).for_each(|i| drop(make(&root, &format!("n{i}")).unwrap()));
    assert_eq!(make(&root, "more").unwrap_err().code(), Code::InvalidRequest);
    put(&root.namespace("n7").unwrap(), "s", "7").unwrap();
    vault.close().unwrap();
    let (vault, root) = open(storage.copy(), &token);
    assert_eq!(names(&root).len(), NAMESPACES_MAX);
    assert_eq!(value(&root.namespace("n7").unwrap(), "s"), "7");
    delete(&root, "n7").unwrap();
    make(&root, "more").unwrap();
    vault.verify().unwrap();
}

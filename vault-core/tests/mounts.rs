//! The life of a mount: made, tuned, moved and removed, with all that was behind it; whatever crashes or races.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/mounts.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::*;
use vault_core::Config;
use vault_core::storage::Storage;
use vault_core::storage::faulty::{Fault, FaultyStorage};
use vault_core::types::{Class, Code, Error, Object, Operation, Value};

#[test]
fn mounts_of_one_kind_have_their_own_secrets_and_rows() {
    let world = world();
    mount(&world.root, "a", "2").unwrap();
    mount(&world.root, "b/c", "1").unwrap();
    for path in ["secret/data/x", "a/data/x"] {
        ask(&world.root, Operation::Write, path, &format!(r#"{{"data":{{"at":"{path}"}}}}"#)).unwrap();
    }
    ask(&world.root, Operation::Write, "b/c/x", r#"{"at":"b/c"}"#).unwrap();
    assert_eq!(world.root.kv("a").get("x").unwrap().data.get("at").unwrap().as_str(), Some("a/data/x"));
    let all = read(&world.root, "sys/mounts").unwrap();
    let paths: Vec<&str> = all.as_object().unwrap().iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["a/", "b/c/", "cubbyhole/", "identity/", "secret/", "sys/"]);
    let row = read(&world.root, "sys/mounts/b/c").unwrap();
    assert!(Some(&row) == all.get("b/c/"));
    assert_eq!(row.get("options").unwrap().get("version").unwrap().as_str(), Some("1"));
    assert!(row.get("accessor").unwrap().as_str().unwrap().starts_with("kv_"));
    assert_eq!(code_of(read(&world.root, "sys/mounts/none")), Code::NotFound);
    for (kind, options) in
        [("kv-v1", r#"{"version":"2"}"#), ("kv-v2", r#"{"version":1}"#), ("kv", r#"{"version":"3"}"#), ("kv", r#"{"v":"1"}"#)]
    {
        let body = format!(r#"{{"type":"{kind}","options":{options}}}"#);
        assert_eq!(code_of(ask(&world.root, Operation::Write, "sys/mounts/d", &body)), Code::InvalidRequest, "{body}");
    }
    for body in
        [r#"{"type":"kv","local":true}"#, r#"{"type":"kv","seal_wrap":true}"#, r#"{"type":"kv","confg":{}}"#, r#"{"type":"kv","config":1}"#]
    {
        assert_eq!(ask(&world.root, Operation::Write, "sys/mounts/d", body).unwrap_err().class(), Class::InvalidRequest, "{body}");
    }
}

#[test]
fn a_mount_is_tuned_member_by_member_and_what_is_not_supported_is_refused() {
    let world = world();
    let body = r#"{"type":"kv","description":"old","config":{"max_lease_ttl":"2h","default_lease_ttl":0},"options":{"version":"1"}}"#;
    ask(&world.root, Operation::Write, "sys/mounts/m", body).unwrap();
    let tune = |data: &str| ask(&world.root, Operation::Write, "sys/mounts/m/tune", data).map(drop);
    let seen = || text_of(&read(&world.root, "sys/mounts/m/tune").unwrap());
    let shown = |default: u64, max: u64, description: &str| {
        format!(
            r#"{{"default_lease_ttl":{default},"description":"{description}","force_no_cache":false,"max_lease_ttl":{max},"options":{{"version":"1"}}}}"#
        )
    };
    assert_eq!(seen(), shown(7200, 7200, "old"));
    tune(r#"{"description":"new","default_lease_ttl":"30m"}"#).unwrap();
    assert_eq!(seen(), shown(1800, 7200, "new"));
    ask(&world.root, Operation::Write, "m/x", r#"{"a":1}"#).unwrap();
    assert_eq!(ask(&world.root, Operation::Read, "m/x", "").unwrap().lease_duration.as_secs(), 1800);
    tune(r#"{"max_lease_ttl":"system","default_lease_ttl":"system","options":{"version":1}}"#).unwrap();
    assert_eq!(seen(), shown(768 * 3600, 768 * 3600, "new"));
    assert_eq!(ask(&world.root, Operation::Read, "m/x", "").unwrap().lease_duration.as_secs(), 768 * 3600);
    tune(r#"{"max_lease_ttl":"9000h"}"#).unwrap();
    for bad in [
        r#"{"default_lease_ttl":"9001h"}"#,
        r#"{"max_lease_ttl":"soon"}"#,
        r#"{"description":1}"#,
        r#"{"options":{"version":"2"}}"#,
        r#"{"options":{"upgrade":"yes"}}"#,
        r#"{"audit_non_hmac_request_keys":["a"]}"#,
        r#"{"listing_visibility":"unauth"}"#,
        r#"{"defualt_lease_ttl":1}"#,
    ] {
        assert_eq!(tune(bad).unwrap_err().class(), Class::InvalidRequest, "{bad}");
    }
    assert_eq!(seen(), shown(768 * 3600, 9000 * 3600, "new"));
    assert_eq!(code_of(ask(&world.root, Operation::Write, "sys/mounts/none/tune", "{}")), Code::NotFound);
    assert_eq!(code_of(ask(&world.root, Operation::Write, "sys/mounts/sys/tune", "{}")), Code::NotFound);
}

#[test]
fn a_mount_that_is_moved_keeps_its_secrets_and_policies_see_its_new_path() {
    let world = world();
    mount(&world.root, "old", "2").unwrap();
    put(&world.root, "old", "x").unwrap();
    let remount = |from: &str, to: &str| {
        let body = format!(r#"{{"from":"{from}","to":"{to}"}}"#);
        ask(&world.root, Operation::Write, "sys/remount", &body).map(drop)
    };
    let reader = token_with(&world, "path \"old/*\" { capabilities = [\"read\"] }");
    reader.kv("old").get("x").unwrap();
    let before = records(&world);
    remount("old/", "team/new").unwrap();
    assert_eq!(records(&world), before, "only the table changes");
    world.root.kv("team/new").get("x").unwrap();
    assert_eq!(code_of(world.root.kv("old").get("x")), Code::NotFound);
    assert_eq!(code_of(reader.kv("team/new").get("x")), Code::PermissionDenied);
    remount("team/new", "team").unwrap();
    put(&world.root, "team", "y").unwrap();
    for (from, to) in [
        ("none", "x"),
        ("team", "secret"),
        ("team", "secret/a"),
        ("team", "sys/a"),
        ("team", "cubbyhole"),
        ("cubbyhole", "c"),
        ("sys", "s"),
        ("team", "a/../b"),
    ] {
        assert!(matches!(remount(from, to).unwrap_err().class(), Class::InvalidRequest | Class::NotFound), "{from} {to}");
    }
    let mounter = token_with(&world, "path \"sys/remount\" { capabilities = [\"update\"] }");
    assert_eq!(code_of(ask(&mounter, Operation::Write, "sys/remount", r#"{"from":"team","to":"b"}"#)), Code::PermissionDenied);
    assert_eq!(world.root.kv("team").list("").unwrap(), ["x", "y"]);
    world.vault.verify().unwrap();
}

#[test]
fn what_was_behind_a_mount_is_unreachable_at_once_and_one_made_anew_sees_nothing_of_it() {
    let world = world();
    put(&world.root, "secret", "kept").unwrap();
    let before = records(&world);
    for version in ["1", "2"] {
        mount(&world.root, "m", version).unwrap();
        fill(&world.root, version, 700);
        let full = records(&world);
        unmount(&world.root, "m").unwrap();
        unmount(&world.root, "m").unwrap();
        // A path of the one version is none of the other's.
        let gone = |path: &str| assert!(matches!(code_of(read(&world.root, path)), Code::NotFound | Code::UnsupportedPath), "{path}");
        gone("m/data/f0/s1");
        gone("m/f0/s1");
        assert_eq!(code_of(ask(&world.root, Operation::Write, "m/f0/s1", r#"{"a":1}"#)), Code::NotFound);
        assert_eq!(records(&world), full, "the sign of the mount went and the note of its removal came");
        // Made anew before anything was removed, and of either version.
        for again in ["2", "1"] {
            mount(&world.root, "m", again).unwrap();
            gone("m/data/f0/s1");
            gone("m/f0/s1");
            for folder in ["m", "m/metadata", "m/metadata/f0", "m/f0"] {
                let outcome = ask(&world.root, Operation::List, folder, "");
                assert!(matches!(code_of(outcome), Code::NotFound | Code::UnsupportedPath), "{folder}");
            }
            if again == "2" {
                assert_eq!(read(&world.root, "m/config").unwrap().get("max_versions").unwrap().as_u64(), Some(0));
                assert_eq!(world.root.kv("m").put("f0/s1", Object::new()).unwrap().version, 1);
            }
            unmount(&world.root, "m").unwrap();
        }
        let mut ticks = 0;
        while records(&world) != before {
            world.vault.tick().unwrap();
            world.vault.verify().unwrap();
            ticks += 1;
            assert!(ticks < 20, "{} {before}", records(&world));
        }
        assert!(ticks > 1, "in steps");
    }
    world.vault.tick().unwrap();
    assert_eq!(records(&world), before);
    world.root.kv("secret").get("kept").unwrap();
}

#[test]
fn a_crash_at_every_commit_of_a_removal_leaves_old_or_new_and_the_rest_is_removed_later() {
    let mut reached = 0;
    for fault in [Fault::Lost, Fault::Applied] {
        for ahead in 1.. {
            let storage = Arc::new(FaultyStorage::default());
            let world = create(Config::on(storage.clone()));
            let before = records(&world);
            mount(&world.root, "m", "2").unwrap();
            fill(&world.root, "2", 150);
            storage.fail_commit(storage.commit_number() + ahead, fault);
            let life = || -> Result<(), Error> {
                unmount(&world.root, "m")?;
                mount(&world.root, "m", "1")?;
                ask(&world.root, Operation::Write, "m/new", r#"{"a":1}"#)?;
                (0..3).try_for_each(|_| world.vault.tick().map(drop))
            };
            let finished = life();
            let world = reopen(Arc::new(storage.restart()), &world.token);
            world.vault.verify().unwrap();
            let version = read(&world.root, "sys/mounts/m").ok().map(|row| text_of(row.get("options").unwrap()));
            match version.as_deref() {
                Some(r#"{"version":"2"}"#) => {
                    (0..150).for_each(|i| drop(read(&world.root, &format!("m/data/f{}/s{i}", i % 3)).unwrap()));
                }
                _ => assert_eq!(code_of(read(&world.root, "m/data/f0/s0")), Code::NotFound),
            }
            unmount(&world.root, "m").unwrap();
            settle(&world);
            world.vault.verify().unwrap();
            assert_eq!(records(&world), before, "nothing is left");
            reached += 1;
            if finished.is_ok() {
                break;
            }
        }
    }
    assert!(reached > 10, "the crash falls into each step: {reached}");
}

#[test]
fn writers_meet_a_mount_that_comes_and_goes_and_nothing_of_it_stays() {
    let world = world();
    let before = records(&world);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (root, stop) = (&world.root, &stop);
            scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let written = root.kv("m").put(&format!("t{thread}/{number}"), Object::new());
                    let code = written.err().map(|error| error.code());
                    assert!(matches!(code, None | Some(Code::NotFound | Code::Conflict)), "{code:?}");
                }
            });
        }
        for _ in 0..60 {
            mount(&world.root, "m", "2").unwrap();
            std::thread::yield_now();
            unmount(&world.root, "m").unwrap();
            world.vault.tick().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    settle(&world);
    world.vault.verify().unwrap();
    assert_eq!(records(&world), before, "no writer left anything behind a removal");
}

#[test]
fn the_mounts_of_a_namespace_are_its_own() {
    let world = world();
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    let team = world.root.namespace("team").unwrap();
    let before = records(&world);
    mount(&team, "m", "1").unwrap();
    ask(&team, Operation::Write, "m/x", r#"{"a":1}"#).unwrap();
    read(&world.root, "team/m/x").unwrap();
    assert_eq!(code_of(read(&world.root, "sys/mounts/m")), Code::NotFound);
    let renamed = ask(&world.root, Operation::Write, "sys/remount", r#"{"from":"secret","to":"team/s"}"#);
    assert_eq!(renamed.unwrap_err().class(), Class::InvalidRequest, "not into a namespace");
    ask(&team, Operation::Write, "sys/remount", r#"{"from":"m","to":"n"}"#).unwrap();
    assert_eq!(read(&team, "n/x").unwrap().get("a"), Some(&Value::from(1_u64)));
    unmount(&team, "n").unwrap();
    settle(&world);
    assert_eq!(records(&world), before);
    world.vault.verify().unwrap();
}

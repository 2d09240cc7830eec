//! Rotations that go wrong, and what operators do about it: whatever the target answers and wherever the process ends, the vault knows a
//! credential that works.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/roles.rs"]
mod roles;
#[path = "support/target.rs"]
mod support;

use roles::*;
use std::sync::{Arc, Mutex};
use support::*;
use vault_core::host::{RotationChange, RotationHook, RotationNotice};
use vault_core::storage::Storage;
use vault_core::storage::faulty::{Fault as StoreFault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Class, Code, Operation, Response, Timestamp, Ttl, Value};
use vault_core::{BackupSeals, Config, UnsealKey, Vault};

/// How one call may end, and whether what was asked can have been done.
const LIES: [Fault; 8] = [
    Fault::Refused,
    Fault::Unreachable,
    Fault::UnknownDone,
    Fault::UnknownNotDone,
    Fault::PanicsBefore,
    Fault::PanicsAfter,
    Fault::LiesRefused,
    Fault::LiesDone,
];

#[test]
fn whatever_a_target_answers_to_a_rotation_the_vault_comes_to_know_what_it_has() {
    for fault in LIES {
        for (duty, nth) in [(Duty::SetPassword, 1), (Duty::Test, 1), (Duty::Test, 2)] {
            if duty == Duty::Test && matches!(fault, Fault::LiesDone) {
                continue;
            }
            let world = enrolled();
            let what = format!("{fault:?} at {duty:?} {nth}");
            world.target.plan(duty, &vec![fault; nth]);
            let answered = write(&world.root, "rotate-role/app", "");
            if let Err(error) = &answered {
                let known = [Code::RotationPending, Code::RotationStuck];
                assert!(known.contains(&error.code()), "{what}: {error}");
            }
            assert!(!format!("{answered:?}").contains(&password_at(&world, "app")), "{what}");
            settle(&world, 3 * 3600);
            assert_eq!(creds_now(&world.root).1, password_at(&world, "app"), "{what}");
            world.vault.verify().unwrap();
        }
    }
}

#[test]
fn a_rotation_that_keeps_failing_stops_says_what_to_do_and_goes_on_when_it_is_told() {
    let world = enrolled();
    let before = creds_now(&world.root).1;
    world.target.always(Some(Fault::Refused));
    assert_eq!(write(&world.root, "rotate-role/app", "").unwrap_err().code(), Code::RotationPending);
    settle(&world, 2 * 3600);
    assert_eq!(world.target.calls(Duty::SetPassword), 1 + 12, "tried twelve times, and no more");
    let told = status(&world.root);
    assert_eq!(told.get("needs_attention").and_then(Value::as_bool), Some(true));
    assert!(text(&told, "what_to_do").contains("Look at the target's log"), "{told:?}");
    assert!(text(&told, "target_error").contains("as it was told"));
    assert_eq!(creds_now(&world.root).1, before, "readers are given what works");
    // It is seen by who looks after the whole vault.
    let all = ask(&world.root, Operation::Read, "sys/rotation", "").unwrap().data.unwrap();
    assert_eq!(all.get("needing_attention").and_then(Value::as_u64), Some(1));
    assert_eq!(text(&all.get("attention").and_then(Value::as_array).unwrap()[0], "path"), "database/static-roles/app");
    assert!(world.vault.metrics().contains("libvault_rotations_needing_attention 1\n"));
    assert!(world.vault.metrics().contains("libvault_rotations_total{outcome=\"failure\"} 1\n"));
    let events = ask(&world.root, Operation::Read, "sys/audit-log/events", r#"{"limit":1000}"#).unwrap().data.unwrap();
    let log = String::from_utf8(events.to_json().to_vec()).unwrap();
    assert_eq!(log.matches(r#""operation":"rotation-needs-attention""#).count(), 1);
    assert_eq!(write(&world.root, "rotate-role/app", "").unwrap_err().code(), Code::InvalidRequest, "retry, or roll back");
    world.clock.advance(Ttl::from_secs(3 * 86_400));
    settle(&world, 3600);
    assert_eq!(world.target.calls(Duty::SetPassword), 13, "no clock starts it again");
    world.target.heal();
    write(&world.root, "retry-role/app", "").unwrap();
    assert_eq!(creds_now(&world.root).1, password_at(&world, "app"));
    assert_ne!(creds_now(&world.root).1, before);
    assert!(world.vault.metrics().contains("libvault_rotations_needing_attention 0\n"));
    world.vault.verify().unwrap();
}

#[test]
fn a_rotation_is_rolled_back_before_its_promotion_and_after_it() {
    let world = enrolled();
    let before = creds_now(&world.root).1;
    world.target.plan(Duty::SetPassword, &[Fault::Refused]);
    write(&world.root, "rotate-role/app", "").unwrap_err();
    write(&world.root, "roll-back-role/app", "").unwrap();
    assert_eq!((creds_now(&world.root).1, text(&status(&world.root), "last")), (before.clone(), "rolled-back".to_owned()));
    assert_eq!(password_at(&world, "app"), before);
    write(&world.root, "rotate-role/app", "").unwrap();
    assert_ne!(password_at(&world, "app"), before);
    write(&world.root, "roll-back-role/app", "").unwrap();
    assert_eq!((creds_now(&world.root).1, password_at(&world, "app")), (before.clone(), before));
    write(&world.root, "end-grace-role/app", "").unwrap();
    assert_eq!(write(&world.root, "roll-back-role/app", "").unwrap_err().code(), Code::InvalidRequest, "nothing is left to go back to");
    world.vault.verify().unwrap();
}

#[test]
fn a_rehearsal_tells_whether_a_rotation_would_work_and_changes_nothing() {
    let world = enrolled();
    write(&world.root, "end-grace-role/app", "").unwrap_err();
    let before = creds_now(&world.root).1;
    let rehearse = || write(&world.root, "rehearse-role/app", "").unwrap().data.unwrap();
    let report = rehearse();
    assert_eq!(report.get("would_work").and_then(Value::as_bool), Some(true));
    let asked: Vec<String> = report.get("steps").and_then(Value::as_array).unwrap().iter().map(|step| text(step, "asked")).collect();
    assert_eq!(asked, ["check", "test"]);
    assert_eq!((creds_now(&world.root).1, password_at(&world, "app")), (before.clone(), before.clone()));
    account(&world, "app", "changed-by-hand");
    let report = rehearse();
    assert_eq!(report.get("would_work").and_then(Value::as_bool), Some(false));
    assert!(text(&report, "found").contains("the current password does not work"), "{report:?}");
    // With two accounts the idle one goes all the way.
    account(&world, "a", "a");
    account(&world, "b", "b");
    write(&world.root, "static-roles/two", r#"{"db_name":"db","usernames":["a","b"],"rotation_period":"24h"}"#).unwrap();
    let report = write(&world.root, "rehearse-role/two", "").unwrap().data.unwrap();
    assert_eq!(report.get("would_work").and_then(Value::as_bool), Some(true), "{report:?}");
    assert_eq!(text(&read(&world.root, "static-creds/two"), "username"), "b", "nothing was promoted");
    assert_eq!(text(&read(&world.root, "static-creds/two"), "password"), password_at(&world, "b"));
}

#[test]
fn a_password_that_was_changed_by_hand_is_adopted_once_it_works() {
    let world = enrolled();
    account(&world, "app", "changed-by-hand");
    let wrong = write(&world.root, "adopt-role/app", r#"{"password":"canary-wrong"}"#).unwrap_err();
    assert_eq!(wrong.code(), Code::RotationStuck);
    assert!(!format!("{wrong:?}{wrong}").contains("canary-wrong"));
    assert_eq!(write(&world.root, "adopt-role/app", "").unwrap_err().code(), Code::InvalidData);
    write(&world.root, "adopt-role/app", r#"{"password":"changed-by-hand"}"#).unwrap();
    assert_eq!(creds_now(&world.root).1, "changed-by-hand");
    let told = status(&world.root);
    assert_eq!((text(&told, "last"), told.get("needs_attention").and_then(Value::as_bool)), ("adopted".to_owned(), Some(false)));
    world.clock.advance(Ttl::from_secs(86_400));
    settle(&world, 0);
    assert_ne!(password_at(&world, "app"), "changed-by-hand");
    assert_eq!(creds_now(&world.root).1, password_at(&world, "app"));
}

#[test]
fn one_ask_is_in_flight_for_a_role_and_others_go_on_meanwhile() {
    let world = enrolled();
    account(&world, "other", "from-before");
    let before = creds_now(&world.root).1;
    world.target.plan(Duty::SetPassword, &[Fault::Stalls]);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| write(&world.root, "rotate-role/app", ""));
        world.target.wait_for_stall();
        // The store is not locked, what readers are given is there, and the ask is not made twice.
        assert_eq!(creds_now(&world.root).1, before);
        assert_eq!(write(&world.root, "rotate-role/app", "").unwrap_err().class(), Class::InvalidRequest);
        world.vault.tick().unwrap();
        world.root.kv("secret").put("a", vault_core::types::Object::new().with("k", "v")).unwrap();
        let rolled = write(&world.root, "roll-back-role/app", "").unwrap();
        assert!(rolled.warnings[0].contains("once it has answered"), "{rolled:?}");
        assert_eq!(world.target.calls(Duty::SetPassword), 2);
        world.target.let_go();
        slow.join().unwrap().ok();
    });
    settle(&world, 3600);
    assert_eq!((creds_now(&world.root).1, password_at(&world, "app")), (before.clone(), before));
    world.vault.verify().unwrap();
}

#[test]
fn many_roles_that_are_due_at_once_are_rotated_in_bounded_ticks() {
    let world = world();
    for number in 0..100 {
        account(&world, &format!("app-{number}"), "x");
        let data = format!(r#"{{"db_name":"db","username":"app-{number}","rotation_period":"24h"}}"#);
        write(&world.root, &format!("static-roles/app-{number}"), &data).unwrap();
    }
    world.clock.advance(Ttl::from_secs(86_400));
    let before = world.target.calls(Duty::SetPassword);
    let next = world.vault.tick().unwrap().unwrap();
    assert_eq!(world.target.calls(Duty::SetPassword) - before, 64);
    assert!(next.as_millis() <= world.clock_millis(), "it wants to be called again at once");
    settle(&world, 0);
    assert_eq!(world.target.calls(Duty::SetPassword) - before, 100);
    // A target that is away is asked once in a tick, not once for each role.
    world.clock.advance(Ttl::from_secs(86_400));
    world.target.always(Some(Fault::Unreachable));
    let before = world.target.calls(Duty::SetPassword);
    world.vault.tick().unwrap();
    assert_eq!(world.target.calls(Duty::SetPassword) - before, 1);
    world.target.heal();
    settle(&world, 60);
    for number in 0..100 {
        let data = read(&world.root, &format!("static-creds/app-{number}"));
        assert_eq!(text(&data, "password"), password_at(&world, &format!("app-{number}")));
    }
    world.vault.verify().unwrap();
}

/// What is done in the lives that crash.
const STORIES: [&str; 8] = ["create", "rotate", "due", "used", "two", "roll-back", "adopt", "rehearse-two"];

fn tell(world: &World, story: &str) {
    // Whatever it answers: the store may have failed under it.
    let _whatever = match story {
        "create" => write(&world.root, "static-roles/new", r#"{"db_name":"db","username":"new","rotation_period":"24h"}"#),
        "rotate" => write(&world.root, "rotate-role/app", ""),
        "due" => {
            world.clock.advance(Ttl::from_secs(86_400));
            world.vault.tick().map(|_| Response::default())
        }
        "used" => write(&world.root, "static-roles/app", r#"{"rotate_after_reads":1}"#)
            .and_then(|_| ask(&world.root, Operation::Read, "database/static-creds/app", "")),
        "two" => write(&world.root, "rotate-role/two", ""),
        "roll-back" => write(&world.root, "rotate-role/app", "").and_then(|_| write(&world.root, "roll-back-role/app", "")),
        "adopt" => {
            account(world, "app", "by-hand");
            write(&world.root, "adopt-role/app", r#"{"password":"by-hand"}"#)
        }
        _ => write(&world.root, "rehearse-role/two", ""),
    };
    for _ in 0..3 {
        let _whatever = world.vault.tick();
    }
}

#[test]
fn whichever_commit_a_crash_cuts_off_the_vault_knows_a_credential_that_works() {
    let storage = Arc::new(MemoryStorage::new());
    let old = world_on(Config::on(storage.clone()));
    for name in ["app", "a", "b", "new"] {
        account(&old, name, "from-before");
    }
    role_of(&old, DAILY);
    write(&old.root, "static-roles/two", r#"{"db_name":"db","usernames":["a","b"],"rotation_period":"24h","grace":"1h"}"#).unwrap();
    write(&old.root, "rotate-role/two", "").unwrap();
    old.clock.advance(Ttl::from_secs(3601));
    settle(&old, 0);
    let start = old.clock_millis();
    let accounts = old.target.state.lock().unwrap().accounts.clone();
    let mut crashes = 0;
    for story in STORIES {
        for fault in [StoreFault::Lost, StoreFault::Applied] {
            for nth in 1.. {
                let what = format!("{story}, {fault:?}, commit {nth}");
                let target = Fake::new();
                target.state.lock().unwrap().accounts = accounts.clone();
                old.clock.set(Timestamp::from_millis(start));
                let old =
                    World { target, vault: old.vault.clone(), root: old.root.clone(), token: old.token.clone(), clock: old.clock.clone() };
                let faulty = Arc::new(FaultyStorage::over(storage.copy()));
                let world = reopen(faulty.clone(), &old);
                faulty.fail_commit(faulty.commit_number() + nth, fault);
                tell(&world, story);
                let crashed = world.vault.tick().is_err();
                let restarted = Arc::new(faulty.restart());
                drop(world);
                let world = reopen(restarted, &old);
                // With two accounts what readers are given works at every instant.
                let data = read(&world.root, "static-creds/two");
                assert_eq!(text(&data, "password"), password_at(&world, &text(&data, "username")), "{what}");
                settle(&world, 600);
                let adopts = story == "adopt" && password_at(&world, "app") == "by-hand";
                if adopts && creds_now(&world.root).1 != "by-hand" {
                    write(&world.root, "adopt-role/app", r#"{"password":"by-hand"}"#).unwrap_or_else(|error| panic!("{what}: {error}"));
                }
                assert_eq!(creds_now(&world.root).1, password_at(&world, "app"), "{what}");
                if ask(&world.root, Operation::Read, "database/static-roles/new", "").is_ok() {
                    assert_eq!(text(&read(&world.root, "static-creds/new"), "password"), password_at(&world, "new"), "{what}");
                } else {
                    assert_eq!(password_at(&world, "new"), "from-before", "{what}: none is left behind");
                }
                let asked = ask(&world.root, Operation::Read, "sys/rotation", "").unwrap().data.unwrap();
                assert_eq!(asked.get("asked").and_then(Value::as_u64), Some(0), "{what}");
                assert_eq!(asked.get("needing_attention").and_then(Value::as_u64), Some(0), "{what}");
                world.vault.verify().unwrap();
                // A rotation works as ever.
                settle(&world, 2 * 3600);
                write(&world.root, "rotate-role/app", "").unwrap_or_else(|error| panic!("{what}: {error}"));
                write(&world.root, "rotate-role/two", "").unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(creds_now(&world.root).1, password_at(&world, "app"), "{what}");
                if !crashed {
                    assert!(nth > 2, "{what}: it commits at least twice");
                    break;
                }
                crashes += 1;
            }
        }
    }
    assert!(crashes > 40, "{crashes}");
}

#[test]
fn a_restored_vault_rotates_nothing_until_it_is_adopted() {
    let world = enrolled();
    let mut backup = Vec::new();
    world.root.backup().to_writer(&mut backup, &BackupSeals::Own).unwrap();
    world.clock.advance(Ttl::from_secs(2 * 86_400));
    let config = Config::in_memory().with_clock(world.clock.clone()).with_connector(world.target.clone());
    let (vault, _) = Vault::restore(config, &mut backup.as_slice(), &UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let root = vault.session(vault_core::types::SecretString::copy_from(&world.token));
    vault.tick().unwrap();
    assert_eq!(world.target.calls(Duty::SetPassword), 1);
    assert_eq!(write(&root, "rotate-role/app", "").unwrap_err().code(), Code::Frozen);
    assert_eq!(creds_now(&root).1, password_at(&world, "app"));
    ask(&root, Operation::Write, "sys/storage/adopt", "").unwrap();
    vault.tick().unwrap();
    assert_eq!(world.target.calls(Duty::SetPassword), 2);
    assert_eq!(creds_now(&root).1, password_at(&world, "app"));
}

#[test]
fn a_host_that_has_not_given_the_connector_stops_no_rotation_for_good() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    account(&world, "app", "from-before");
    role_of(&world, DAILY);
    world.clock.advance(Ttl::from_secs(86_400));
    let bare = Config::on(Arc::new(storage.copy())).with_clock(world.clock.clone());
    let vault = Vault::open(bare).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    for _ in 0..20 {
        vault.tick().unwrap();
        world.clock.advance(Ttl::from_secs(600));
    }
    let root = vault.session(vault_core::types::SecretString::copy_from(&world.token));
    assert_eq!(status(&root).get("needs_attention").and_then(Value::as_bool), Some(false));
    assert_eq!(write(&root, "rotate-role/app", "").unwrap_err().code(), Code::UnknownConnector);
    world.vault.tick().unwrap();
    assert_eq!(world.target.calls(Duty::SetPassword), 2);
}

#[test]
fn a_secret_of_the_vaults_own_is_rotated_by_its_policy_on_its_schedule() {
    let world = world();
    let policy = r#"{"policy":"length = 12\nrule \"charset\" { charset = \"0123456789\" }"}"#;
    ask(&world.root, Operation::Write, "sys/policies/password/digits", policy).unwrap();
    world.root.kv("secret").put("app/api", vault_core::types::Object::new().with("user", "me").with("key", "from-before")).unwrap();
    let path = "sys/rotation/secrets/secret/app/api";
    ask(&world.root, Operation::Write, path, r#"{"member":"key","password_policy":"digits","rotation_period":"1h"}"#).unwrap();
    let now = || world.root.kv("secret").get("app/api").unwrap();
    let key = || now().data.get("key").and_then(Value::as_str).unwrap().to_owned();
    let first = key();
    assert!(first.len() == 12 && first.bytes().all(|byte| byte.is_ascii_digit()), "by its policy");
    assert_eq!(now().data.get("user").and_then(Value::as_str), Some("me"), "the other members stay");
    world.clock.advance(Ttl::from_secs(3600));
    world.vault.tick().unwrap();
    let second = key();
    assert_ne!(second, first);
    ask(&world.root, Operation::Write, "sys/rotation/rotate/secret/app/api", "").unwrap();
    let third = key();
    assert_ne!(third, second);
    let back = ask(&world.root, Operation::Write, "sys/rotation/roll-back/secret/app/api", "").unwrap_err();
    assert_eq!((back.code(), key()), (Code::UnsupportedPath, third.clone()), "older values are the secret's own versions and nowhere else");
    let told = ask(&world.root, Operation::Read, path, "").unwrap().data.unwrap();
    assert_eq!((text(&told, "member"), told.get("rotation_period").and_then(Value::as_u64)), ("key".to_owned(), Some(3600)));
    let listed = ask(&world.root, Operation::List, "sys/rotation/secrets", "").unwrap().data.unwrap();
    assert_eq!(listed.get("keys").and_then(Value::as_array).unwrap()[0].as_str(), Some("secret/app/api"));
    // Whoever may not write the secret may not have it rotated, and a policy that is gone stops no tick.
    world
        .root
        .policies()
        .write("some", r#"path "sys/rotation/*" { capabilities = ["create", "update", "read", "list", "sudo"] }"#)
        .unwrap();
    let options = vault_core::TokenOptions { policies: vec!["some".to_owned()], ..Default::default() };
    let other = world.vault.session(world.root.tokens().create(options).unwrap().client_token);
    assert_eq!(ask(&other, Operation::Write, "sys/rotation/rotate/secret/app/api", "").unwrap_err().class(), Class::PermissionDenied);
    ask(&world.root, Operation::Delete, "sys/policies/password/digits", "").unwrap();
    world.clock.advance(Ttl::from_secs(3600));
    world.vault.tick().unwrap();
    assert_eq!(key(), third);
    let told = ask(&world.root, Operation::Read, path, "").unwrap().data.unwrap();
    assert!(text(told.get("rotation").unwrap(), "target_error").contains("no password policy"), "{told:?}");
    ask(&world.root, Operation::Write, "sys/policies/password/digits", policy).unwrap();
    settle(&world, 60);
    assert_ne!(key(), third);
    let told = ask(&world.root, Operation::Read, path, "").unwrap().data.unwrap();
    assert!(told.get("rotation").unwrap().get("target_error").is_none(), "it is mended: {told:?}");
    // A secret that was deleted is written anew, with its mount the rotation ends.
    world.root.kv("secret").delete("app/api").unwrap();
    world.clock.advance(Ttl::from_secs(3600));
    world.vault.tick().unwrap();
    assert_eq!(key().len(), 12);
    ask(&world.root, Operation::Delete, "sys/mounts/secret", "").unwrap();
    world.clock.advance(Ttl::from_secs(3600));
    settle(&world, 60);
    let all = ask(&world.root, Operation::Read, "sys/rotation", "").unwrap().data.unwrap();
    assert_eq!(all.get("credentials").and_then(Value::as_u64), Some(0));
    world.vault.verify().unwrap();
}

#[test]
fn a_rotation_ends_with_its_secret_and_with_its_mount_and_writes_no_value_that_was_destroyed() {
    let world = world();
    let all = || ask(&world.root, Operation::Read, "sys/rotation", "").unwrap().data.unwrap().get("credentials").and_then(Value::as_u64);
    let rotate = |path: &str, more: &str| {
        let data = format!(r#"{{"rotation_period":"1h"{more}}}"#);
        ask(&world.root, Operation::Write, &format!("sys/rotation/secrets/{path}"), &data).unwrap();
    };
    let skips = r#","skip_import_rotation":true"#;
    rotate("secret/a", "");
    rotate("secret/none", skips);
    ask(&world.root, Operation::Write, "sys/rotation/rotate/secret/a", "").unwrap();
    let kv = world.root.kv("secret");
    kv.destroy_versions("a", &[1, 2]).unwrap();
    assert!(ask(&world.root, Operation::Write, "sys/rotation/roll-back/secret/a", "").is_err());
    assert_eq!(kv.get("a").unwrap_err().code(), Code::VersionDeleted, "nothing brings a destroyed value back");
    assert_eq!(all(), Some(2));
    for path in ["a", "none"] {
        ask(&world.root, Operation::Delete, &format!("secret/metadata/{path}"), "").unwrap();
        let told = ask(&world.root, Operation::Read, &format!("sys/rotation/secrets/secret/{path}"), "");
        assert_eq!(told.unwrap_err().code(), Code::NotFound, "{path}");
    }
    assert_eq!(all(), Some(0));
    world.clock.advance(Ttl::from_secs(3600));
    settle(&world, 60);
    assert_eq!(kv.get("a").unwrap_err().code(), Code::NotFound, "no schedule makes it anew");
    // With the mount they end at once, not when they would be due.
    ask(&world.root, Operation::Write, "sys/mounts/own", r#"{"type":"kv-v2"}"#).unwrap();
    for number in 0..300 {
        rotate(&format!("own/{number}"), if number % 2 == 0 { "" } else { skips });
    }
    rotate("secret/stays", "");
    assert_eq!(all(), Some(301));
    ask(&world.root, Operation::Delete, "sys/mounts/own", "").unwrap();
    for _ in 0..4 {
        world.vault.tick().unwrap();
    }
    assert_eq!(all(), Some(1));
    world.vault.verify().unwrap();
}

#[test]
fn whoever_has_a_secret_rotated_may_write_it_as_it_is_and_is_told_of_no_mount_before() {
    let world = world();
    world.root.kv("secret").put("there", vault_core::types::Object::new().with("k", "v")).unwrap();
    ask(&world.root, Operation::Write, "sys/mounts/old", r#"{"type":"kv"}"#).unwrap();
    let may = |name: &str, rule: &str| {
        let rules = format!(r#"path "sys/rotation/*" {{ capabilities = ["create", "update", "read", "delete"] }} {rule}"#);
        world.root.policies().write(name, &rules).unwrap();
        let options = vault_core::TokenOptions { policies: vec![name.to_owned()], ..Default::default() };
        world.vault.session(world.root.tokens().create(options).unwrap().client_token)
    };
    let asked = |session: &vault_core::Session, operation, path: &str| {
        let data = if operation == Operation::Write { r#"{"member":"key","rotation_period":"1h"}"# } else { "" };
        ask(session, operation, &format!("sys/rotation/secrets/{path}"), data).map(drop).map_err(|error| error.code())
    };
    let denied = Err(Code::PermissionDenied);
    let updating = may("updating", r#"path "secret/data/*" { capabilities = ["update"] }"#);
    assert_eq!(asked(&updating, Operation::Write, "secret/new"), denied, "KV itself would ask for create");
    assert_eq!(asked(&updating, Operation::Write, "secret/there"), Ok(()));
    let creating = may("creating", r#"path "secret/data/*" { capabilities = ["create"] }"#);
    assert_eq!(asked(&creating, Operation::Write, "secret/there"), denied);
    assert_eq!(asked(&creating, Operation::Write, "secret/new"), Ok(()));
    for constraint in [r#"denied_parameters = { "data" = [] }"#, r#"allowed_parameters = { "options" = [] }"#] {
        let bound = may("bound", &format!(r#"path "secret/data/*" {{ capabilities = ["create", "update"] {constraint} }}"#));
        for path in ["secret/there", "secret/newer"] {
            assert_eq!(asked(&bound, Operation::Write, path), denied, "{constraint} {path}");
        }
    }
    let fitting = r#"path "secret/data/*" { capabilities = ["create", "update"] allowed_parameters = { "data" = [] } }"#;
    assert_eq!(asked(&may("fitting", fitting), Operation::Write, "secret/newer"), Ok(()));
    let nobody = may("nobody", "");
    for operation in [Operation::Read, Operation::Write, Operation::Delete] {
        for path in ["secret/there", "secret/none", "old/x", "nowhere/x"] {
            assert_eq!(asked(&nobody, operation, path), denied, "{operation:?} {path}");
        }
        assert_eq!(asked(&world.root, operation, "old/x"), Err(Code::InvalidRequest));
        assert_eq!(asked(&world.root, operation, "nowhere/x"), Err(Code::NotFound));
    }
    world.vault.verify().unwrap();
}

#[derive(Default)]
struct Notes(Mutex<Vec<RotationNotice>>);

impl RotationHook for Notes {
    fn changed(&self, notice: &RotationNotice) {
        self.0.lock().unwrap().push(notice.clone());
        assert!(notice.version < 3, "a hook's panic is dropped");
    }
}

#[test]
fn a_hook_is_told_of_what_was_promoted_and_of_what_needs_somebody() {
    let notes = Arc::new(Notes::default());
    let world = world_on(Config::in_memory().with_rotation_hook(notes.clone()));
    account(&world, "app", "from-before");
    role_of(&world, DAILY);
    write(&world.root, "rotate-role/app", "").unwrap();
    world.target.always(Some(Fault::Refused));
    write(&world.root, "rotate-role/app", "").unwrap_err();
    settle(&world, 2 * 3600);
    world.target.heal();
    write(&world.root, "retry-role/app", "").unwrap();
    let notes = notes.0.lock().unwrap();
    let told: Vec<(RotationChange, u64)> = notes.iter().map(|notice| (notice.change, notice.version)).collect();
    let (promoted, stopped) = (RotationChange::Promoted, RotationChange::NeedsAttention);
    assert_eq!(told, [(promoted, 1), (promoted, 2), (stopped, 2), (promoted, 3)]);
    assert!(notes.iter().all(|notice| notice.path == "database/static-roles/app" && notice.namespace.is_empty()));
    assert!(notes[2].what_to_do.as_ref().unwrap().contains("then retry"));
}

//! Static roles: a password is replaced at its target by requests and by `tick`, on its schedule, as users know it.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/roles.rs"]
mod roles;
#[path = "support/target.rs"]
mod support;

use roles::*;
use support::*;
use vault_core::types::{Class, Code, Operation, Timestamp, Ttl, Value};

#[test]
fn a_new_static_role_is_rotated_at_once_and_read_as_users_know_it() {
    let world = enrolled();
    let data = read(&world.root, "static-creds/app");
    assert_eq!(text(&data, "username"), "app");
    assert_eq!(text(&data, "password"), password_at(&world, "app"));
    assert_ne!(password_at(&world, "app"), "from-before");
    assert_eq!(data.get("rotation_period").and_then(Value::as_u64), Some(86_400));
    assert_eq!(data.get("ttl").and_then(Value::as_u64), Some(86_400));
    assert_eq!(text(&data, "last_vault_rotation"), "2026-11-23T18:04:00Z");
    let stages = data.get("stages").unwrap();
    assert_eq!(stages.get("current").and_then(|stage| stage.get("version")).and_then(Value::as_u64), Some(1));
    assert!(stages.get("pending").unwrap().as_object().is_none());
    let role = read(&world.root, "static-roles/app");
    assert_eq!((text(&role, "db_name"), text(&role, "username"), text(&role, "strategy")), ("db".into(), "app".into(), "single".into()));
    let listed = ask(&world.root, Operation::List, "database/static-roles", "").unwrap().data.unwrap();
    assert_eq!(listed.get("keys").and_then(Value::as_array).unwrap()[0].as_str(), Some("app"));
    assert_eq!(world.target.calls(Duty::SetPassword), 1);
    ask(&world.root, Operation::Delete, "database/static-roles/app", "").unwrap();
    assert_eq!(ask(&world.root, Operation::Read, "database/static-creds/app", "").unwrap_err().class(), Class::NotFound);
    assert_eq!(ask(&world.root, Operation::List, "database/static-roles", "").unwrap_err().class(), Class::NotFound);
    assert!(world.vault.tick().unwrap().is_some());
    world.vault.verify().unwrap();
}

#[test]
fn it_is_rotated_by_its_period_and_on_demand_which_begins_the_period_anew() {
    let world = enrolled();
    let first = creds_now(&world.root).1;
    world.clock.advance(Ttl::from_secs(86_399));
    world.vault.tick().unwrap();
    assert_eq!(creds_now(&world.root).1, first, "not yet");
    world.clock.advance(Ttl::from_secs(1));
    world.vault.tick().unwrap();
    let second = creds_now(&world.root).1;
    assert_ne!(second, first);
    assert_eq!(password_at(&world, "app"), second);
    let previous = read(&world.root, "static-creds/app").get("stages").unwrap().get("previous").unwrap().clone();
    assert_eq!((previous.get("version").and_then(Value::as_u64), text(&previous, "until")), (Some(1), "2026-11-25T18:04:00Z".to_owned()));
    world.clock.advance(Ttl::from_secs(40_000));
    write(&world.root, "rotate-role/app", "").unwrap();
    let third = creds_now(&world.root).1;
    assert_ne!(third, second);
    world.clock.advance(Ttl::from_secs(50_000));
    world.vault.tick().unwrap();
    assert_eq!(creds_now(&world.root).1, third, "the period began with the last rotation");
    assert_eq!(world.target.calls(Duty::SetPassword), 3);
    world.vault.verify().unwrap();
}

#[test]
fn a_role_that_its_target_refuses_at_once_is_not_made() {
    let world = world();
    account(&world, "app", "from-before");
    for (fault, code) in [(Fault::Refused, Code::TargetRefused), (Fault::Unreachable, Code::TargetUnavailable)] {
        world.target.plan(Duty::SetPassword, &[fault]);
        assert_eq!(write(&world.root, "static-roles/app", DAILY).unwrap_err().code(), code);
        assert_eq!(ask(&world.root, Operation::Read, "database/static-roles/app", "").unwrap_err().class(), Class::NotFound);
    }
    assert_eq!(password_at(&world, "app"), "from-before");
    // Of what may have been done the vault keeps what it has set.
    world.target.plan(Duty::SetPassword, &[Fault::UnknownDone]);
    assert_eq!(write(&world.root, "static-roles/app", DAILY).unwrap_err().code(), Code::RotationPending);
    assert_eq!(ask(&world.root, Operation::Read, "database/static-creds/app", "").unwrap_err().code(), Code::RotationPending);
    settle(&world, 120);
    assert_eq!(creds_now(&world.root).1, password_at(&world, "app"));
    world.vault.verify().unwrap();
}

#[test]
fn every_step_is_in_the_audit_log_and_no_password_is() {
    let world = enrolled();
    write(&world.root, "rotate-role/app", "").unwrap();
    let events = ask(&world.root, Operation::Read, "sys/audit-log/events", r#"{"limit":1000}"#).unwrap().data.unwrap();
    let log = String::from_utf8(events.to_json().to_vec()).unwrap();
    for part in [r#""rotation_input":"begin""#, r#""rotation_ask":"set-password""#, r#""rotation_phase":"grace""#] {
        assert!(log.contains(part), "{part}");
    }
    assert!(log.contains(r#""path":"database/static-roles/app""#));
    assert!(!log.contains(&creds_now(&world.root).1) && !log.contains("from-before"));
    let status = status(&world.root);
    assert_eq!((text(&status, "phase"), text(&status, "last")), ("grace".to_owned(), "rotated".to_owned()));
}

#[test]
fn a_cron_expression_in_its_zone_rotates_within_its_window() {
    let world = world();
    account(&world, "app", "from-before");
    let data =
        r#"{"db_name":"db","username":"app","rotation_schedule":"0 2 * * *","rotation_window":"1h","rotation_zone":"Europe/Berlin"}"#;
    role_of(&world, data);
    let first = creds_now(&world.root).1;
    // START is 2026-11-23T18:04:00Z, so that the next 02:00 in Berlin is 01:00 UTC.
    let ttl = read(&world.root, "static-creds/app").get("ttl").and_then(Value::as_u64).unwrap();
    assert_eq!(ttl, 6 * 3600 + 56 * 60);
    // Asleep through the whole window: it waits for the next one.
    world.clock.advance(Ttl::from_secs(ttl + 3600));
    world.vault.tick().unwrap();
    assert_eq!(creds_now(&world.root).1, first);
    world.clock.advance(Ttl::from_secs(23 * 3600 + 60));
    world.vault.tick().unwrap();
    assert_ne!(creds_now(&world.root).1, first);
    assert_eq!(world.target.calls(Duty::SetPassword), 2);
}

#[test]
fn a_clock_that_is_set_back_by_years_neither_loses_a_rotation_nor_repeats_it() {
    let world = enrolled();
    let at = |years: i64| Timestamp::from_secs((START as i64 + years * 365 * 86_400) as u64);
    world.clock.set(at(-4));
    world.vault.tick().unwrap();
    assert_eq!(world.target.calls(Duty::SetPassword), 1);
    settle(&world, 10 * 86_400 + 100);
    assert_eq!(world.target.calls(Duty::SetPassword), 11, "a day later each");
    world.clock.set(at(3));
    settle(&world, 10);
    assert_eq!(world.target.calls(Duty::SetPassword), 12, "once for all that was missed");
    world.vault.verify().unwrap();
}

/// Found by the simulation (seed 1326).
#[test]
fn a_clock_that_leaps_by_decades_keeps_no_rotation_waiting_for_the_buckets_in_between() {
    let world = enrolled();
    world.clock.set(Timestamp::from_secs(START - 54 * 365 * 86_400));
    world.vault.tick().unwrap();
    world.clock.set(Timestamp::from_secs(START + 90_000));
    world.vault.tick().unwrap();
    assert_eq!(world.target.calls(Duty::SetPassword), 2, "one call finds what is due");
    world.clock.set(Timestamp::from_secs(START + 50 * 365 * 86_400));
    world.target.always(Some(Fault::Unreachable));
    world.vault.tick().unwrap();
    world.target.heal();
    settle(&world, 60);
    assert_eq!(creds_now(&world.root).1, password_at(&world, "app"));
    assert_eq!(world.target.calls(Duty::SetPassword), 4, "what failed once is found again");
    world.vault.verify().unwrap();
}

/// Found by the simulation (seed 1600).
#[test]
fn a_rotation_that_waits_goes_on_when_the_clock_is_set_back_though_another_one_is_overdue() {
    let world = enrolled();
    account(&world, "other", "from-before");
    write(&world.root, "static-roles/other", &DAILY.replace("\"app\"", "\"other\"")).unwrap();
    world.clock.advance(Ttl::from_secs(15 * 86_400));
    // One target, which answers once: the second one is not asked in this call, and stays overdue.
    world.target.plan(Duty::Test, &[Fault::Unreachable]);
    world.vault.tick().unwrap();
    world.clock.set(Timestamp::from_secs(START + 12 * 86_400));
    // No wait is longer than an hour.
    settle(&world, 3_700);
    for (name, role) in [("app", "static-creds/app"), ("other", "static-creds/other")] {
        assert_eq!(text(&read(&world.root, role), "password"), password_at(&world, name), "{name}");
    }
    world.vault.verify().unwrap();
}

#[test]
fn two_accounts_take_turns_and_the_old_one_works_through_its_grace_and_is_closed_then() {
    let world = world();
    account(&world, "app-a", "a");
    account(&world, "app-b", "b");
    role_of(&world, r#"{"db_name":"db","usernames":["app-a","app-b"],"rotation_period":"24h","grace":"1h"}"#);
    let first = creds_now(&world.root);
    assert_eq!((first.0.as_str(), first.1.clone()), ("app-b", password_at(&world, "app-b")));
    assert_eq!(password_at(&world, "app-a"), "a", "nobody was told that it is not in use");
    write(&world.root, "rotate-role/app", "").unwrap();
    let second = creds_now(&world.root);
    assert_eq!((second.0.as_str(), second.1.clone()), ("app-a", password_at(&world, "app-a")));
    assert_eq!(password_at(&world, "app-b"), first.1, "those who read it before are not locked out");
    let later = write(&world.root, "rotate-role/app", "").unwrap();
    assert_eq!(later.warnings.len(), 1, "once the grace is over");
    world.clock.advance(Ttl::from_secs(3600));
    settle(&world, 0);
    let third = creds_now(&world.root);
    assert_eq!((third.0.as_str(), third.1.clone()), ("app-b", password_at(&world, "app-b")));
    world.clock.advance(Ttl::from_secs(3600));
    settle(&world, 0);
    assert_ne!(password_at(&world, "app-a"), second.1, "closed");
    let told = status(&world.root);
    assert_eq!((text(&told, "phase"), text(&told, "target_error")), ("idle".to_owned(), String::new()), "its refusal was hoped for");
    world.vault.verify().unwrap();
}

#[test]
fn an_account_that_changes_its_own_password_needs_it_and_is_logged_in_with_it() {
    let world = world();
    account(&world, "app", "mine");
    let data = |more: &str| format!(r#"{{"db_name":"db","username":"app","rotation_period":"24h","by_itself":true{more}}}"#);
    assert_eq!(write(&world.root, "static-roles/app", &data("")).unwrap_err().code(), Code::InvalidData);
    assert_eq!(write(&world.root, "static-roles/app", &data(r#","password":"wrong""#)).unwrap_err().code(), Code::TargetRefused);
    assert_eq!(ask(&world.root, Operation::Read, "database/static-roles/app", "").unwrap_err().class(), Class::NotFound);
    role_of(&world, &data(r#","password":"mine""#));
    assert_eq!(creds_now(&world.root).1, password_at(&world, "app"));
    assert_ne!(password_at(&world, "app"), "mine");
    assert_eq!(world.target.state.lock().unwrap().set_by, vec!["app".to_owned()], "the managing account was not asked");
}

#[test]
fn a_password_that_is_given_can_be_kept_until_the_schedule_says_otherwise() {
    let world = world();
    account(&world, "app", "mine");
    let data = r#"{"db_name":"db","username":"app","rotation_period":"24h","skip_import_rotation":true}"#;
    assert_eq!(write(&world.root, "static-roles/app", data).unwrap_err().code(), Code::InvalidData, "which password?");
    role_of(&world, &data.replace('}', r#","password":"mine"}"#));
    assert_eq!(creds_now(&world.root).1, "mine");
    assert_eq!(world.target.calls(Duty::SetPassword), 0);
    world.clock.advance(Ttl::from_secs(86_400));
    settle(&world, 0);
    assert_ne!(creds_now(&world.root).1, "mine");
}

#[test]
fn a_connection_a_mount_and_a_namespace_with_static_roles_are_not_removed() {
    let world = enrolled();
    for path in ["database/config/db", "sys/mounts/database"] {
        let error = ask(&world.root, Operation::Delete, path, "").unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{path}");
        assert!(error.to_string().contains("1 static roles"), "{error}");
    }
    let moved = ask(
        &world.root,
        Operation::Write,
        "database/config/db",
        &format!(r#"{{"connection_url":"fake://{{{{username}}}}:{{{{password}}}}@elsewhere/db","password":"{ROOT_PASSWORD}"}}"#),
    );
    assert_eq!(moved.unwrap_err().code(), Code::InvalidRequest);
    ask(&world.root, Operation::Delete, "database/static-roles/app", "").unwrap();
    ask(&world.root, Operation::Delete, "database/config/db", "").unwrap();
    ask(&world.root, Operation::Delete, "sys/mounts/database", "").unwrap();
    settle(&world, 10);
    world.vault.verify().unwrap();
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_write_instead() {
    let world = world();
    account(&world, "app", "from-before");
    for data in [
        r#"{"db_name":"db","username":"app"}"#,
        r#"{"db_name":"db","username":"app","rotation_period":"24h","rotation_schedule":"0 2 * * *"}"#,
        r#"{"db_name":"db","username":"app","rotation_period":"24h","rotation_window":"1h"}"#,
        r#"{"db_name":"db","username":"app","rotation_period":"0"}"#,
        r#"{"db_name":"db","username":"app","rotation_schedule":"0 2 30 2 *"}"#,
        r#"{"db_name":"db","username":"app","rotation_schedule":"0 2 * * *","rotation_zone":"Middle/Earth"}"#,
        r#"{"db_name":"db","username":"app","rotation_period":"24h","rotation_jitter":"48h"}"#,
        r#"{"db_name":"db","rotation_period":"24h"}"#,
        r#"{"username":"app","rotation_period":"24h"}"#,
        r#"{"db_name":"db","usernames":["a","a"],"rotation_period":"24h"}"#,
        r#"{"db_name":"db","usernames":["a","b"],"rotation_period":"1h","grace":"1h"}"#,
        r#"{"db_name":"db","usernames":["a","b"],"rotation_period":"24h","by_itself":true}"#,
        r#"{"db_name":"db","username":"app","rotation_period":"24h","strategy":"alternating"}"#,
        r#"{"db_name":"db","username":"app","rotation_period":"24h","credential_type":"rsa_private_key"}"#,
        r#"{"db_name":"db","username":"app","rotation_period":"24h","rotaton_window":"1h"}"#,
        r#"{"db_name":"none","username":"app","rotation_period":"24h"}"#,
    ] {
        let error = write(&world.root, "static-roles/app", data).unwrap_err();
        assert_eq!(error.class(), Class::InvalidRequest, "{data}: {error}");
    }
    role_of(&world, DAILY);
    for data in [r#"{"username":"other"}"#, r#"{"db_name":"other"}"#, r#"{"by_itself":true}"#, r#"{"password":"x"}"#] {
        assert_eq!(write(&world.root, "static-roles/app", data).unwrap_err().code(), Code::InvalidData, "{data}");
    }
    write(&world.root, "static-roles/app", r#"{"rotation_period":"1h"}"#).unwrap();
    assert_eq!(read(&world.root, "static-creds/app").get("ttl").and_then(Value::as_u64), Some(3600));
    assert_eq!(world.target.calls(Duty::SetPassword), 1, "other settings rotate nothing");
}

#[test]
fn no_two_roles_of_a_connection_rotate_one_account_and_none_rotates_the_connections_own() {
    let world = enrolled();
    for name in ["a", "b"] {
        account(&world, name, "x");
    }
    let one = |username: &str| format!(r#"{{"db_name":"db","username":"{username}","rotation_period":"24h"}}"#);
    let two = |usernames: &str| format!(r#"{{"db_name":"db","usernames":[{usernames}],"rotation_period":"24h"}}"#);
    write(&world.root, "static-roles/two", &two(r#""a","b""#)).unwrap();
    for data in [one("app"), one("a"), one("b"), two(r#""app","c""#), two(r#""c","b""#)] {
        let error = write(&world.root, "static-roles/again", &data).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{data}: {error}");
        assert!(error.to_string().contains("rotates this account already"), "{error}");
    }
    for data in [one(ROOT_NAME), two(&format!(r#""c","{ROOT_NAME}""#))] {
        let error = write(&world.root, "static-roles/again", &data).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{data}: {error}");
        assert!(error.to_string().contains("rotate-root"), "{error}");
    }
    for username in ["app", "b"] {
        let data = format!(r#"{{"username":"{username}","password":"x"}}"#);
        let error = write(&world.root, "config/db", &data).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{error}");
        assert!(error.to_string().contains("static role"), "{error}");
    }
    // Another connection's accounts are others, and a role that is gone holds none.
    connect(&world.root, "other").unwrap();
    write(&world.root, "static-roles/again", &one("app").replace("\"db\"", "\"other\"")).unwrap();
    for name in ["two", "again"] {
        ask(&world.root, Operation::Delete, &format!("database/static-roles/{name}"), "").unwrap();
    }
    for name in ["a", "b"] {
        write(&world.root, &format!("static-roles/{name}"), &one(name)).unwrap();
    }
    world.vault.verify().unwrap();
}

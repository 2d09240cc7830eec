//! Rotations that lack something of the vault's own: a password policy, the connector, or the leave of their connection. They hide no other,
//! fail no tick, and tell what they lack.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/roles.rs"]
mod roles;
#[path = "support/target.rs"]
mod support;

use roles::*;
use std::sync::Arc;
use support::*;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Code, Operation, SecretString, Ttl, Value};
use vault_core::{Config, UnsealKey, Vault};

const DAY: u64 = 86_400;
const DIGITS: &str = r#"{"policy":"length = 12\nrule \"charset\" { charset = \"0123456789\" }"}"#;

fn digits(world: &World) {
    ask(&world.root, Operation::Write, "sys/policies/password/digits", DIGITS).unwrap();
}

fn no_digits(world: &World) {
    ask(&world.root, Operation::Delete, "sys/policies/password/digits", "").unwrap();
}

/// A second connection whose passwords are digits, with the role `lacking`, a day each.
fn lacking(world: &World) {
    digits(world);
    connect(&world.root, "db2").unwrap();
    write(&world.root, "config/db2", r#"{"password_policy":"digits"}"#).unwrap();
    account(world, "lacking", "from-before");
    write(&world.root, "static-roles/lacking", r#"{"db_name":"db2","username":"lacking","rotation_period":"24h"}"#).unwrap();
}

fn rotation_of(world: &World, name: &str) -> Value {
    read(&world.root, &format!("static-roles/{name}")).get("rotation").unwrap().clone()
}

fn needing_attention(world: &World) -> Option<u64> {
    let all = ask(&world.root, Operation::Read, "sys/rotation", "").unwrap().data.unwrap();
    all.get("needing_attention").and_then(Value::as_u64)
}

#[test]
fn a_policy_that_is_missing_for_months_hides_no_rotation_that_is_due_later() {
    let world = enrolled();
    lacking(&world);
    no_digits(&world);
    // Ten thousand buckets of five minutes and more, with ticks once a day.
    let mut before = creds_now(&world.root).1;
    for day in 0..60 {
        world.clock.advance(Ttl::from_secs(DAY + 1));
        let next = world.vault.tick().unwrap().unwrap();
        assert!(next.as_millis() > world.clock_millis(), "day {day}: it does not want to be called at once for ever");
        let now = creds_now(&world.root).1;
        assert_ne!(now, before, "day {day}");
        before = now;
    }
    let told = rotation_of(&world, "lacking");
    assert!(text(&told, "target_error").contains("no password policy"), "{told:?}");
    assert_eq!(told.get("needs_attention").and_then(Value::as_bool), Some(true));
    assert!(text(&told, "what_to_do").contains("goes on by itself"), "{told:?}");
    assert_eq!(needing_attention(&world), Some(1));
    let old = password_at(&world, "lacking");
    digits(&world);
    settle(&world, 900);
    assert_ne!(password_at(&world, "lacking"), old, "it goes on by itself");
    assert_eq!(needing_attention(&world), Some(0));
    world.vault.verify().unwrap();
}

#[test]
fn a_policy_that_is_missing_is_counted_and_told_once() {
    let world = world();
    lacking(&world);
    no_digits(&world);
    world.clock.advance(Ttl::from_secs(DAY));
    for tries in 1..=12 {
        assert_eq!(needing_attention(&world), Some(0), "{tries}");
        let next = world.vault.tick().unwrap().unwrap();
        assert!(next.as_millis() > world.clock_millis());
        world.clock.advance(Ttl::from_secs(900));
        let told = rotation_of(&world, "lacking");
        assert_eq!(told.get("failures").and_then(Value::as_u64), Some(tries));
    }
    assert_eq!(needing_attention(&world), Some(1));
    for _ in 0..5 {
        world.vault.tick().unwrap();
        world.clock.advance(Ttl::from_secs(900));
    }
    let events = ask(&world.root, Operation::Read, "sys/audit-log/events", r#"{"limit":1000}"#).unwrap().data.unwrap();
    let log = String::from_utf8(events.to_json().to_vec()).unwrap();
    assert_eq!(log.matches("rotation-needs-attention").count(), 1);
    assert_eq!(world.target.calls(Duty::SetPassword), 1);
}

#[test]
fn a_connector_that_the_host_does_not_give_hides_no_secret_that_is_due_later() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    account(&world, "app", "from-before");
    role_of(&world, DAILY);
    world.root.kv("secret").put("api", vault_core::types::Object::new().with("password", "from-before")).unwrap();
    ask(&world.root, Operation::Write, "sys/rotation/secrets/secret/api", r#"{"rotation_period":"24h"}"#).unwrap();
    let bare = Config::on(Arc::new(storage.copy())).with_clock(world.clock.clone());
    let vault = Vault::open(bare).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let root = vault.session(SecretString::copy_from(&world.token));
    let key = || root.kv("secret").get("api").unwrap().data.get("password").and_then(Value::as_str).unwrap().to_owned();
    let mut before = key();
    for day in 0..60 {
        world.clock.advance(Ttl::from_secs(DAY + 1));
        let next = vault.tick().unwrap().unwrap();
        assert!(next.as_millis() > world.clock_millis(), "day {day}");
        assert_ne!(key(), before, "day {day}");
        before = key();
    }
    let told = status(&root);
    assert!(text(&told, "target_error").contains("has not given the connector"), "{told:?}");
    assert_eq!(told.get("needs_attention").and_then(Value::as_bool), Some(false), "the host may give it the next time");
}

#[test]
fn a_policy_must_be_there_when_a_rotation_is_written() {
    let world = world();
    let secret = |more: &str| {
        let data = format!(r#"{{"password_policy":"digits","rotation_period":"24h"{more}}}"#);
        ask(&world.root, Operation::Write, "sys/rotation/secrets/secret/api", &data)
    };
    for more in ["", r#","skip_import_rotation":true"#] {
        let error = secret(more).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{error}");
        assert!(error.to_string().contains("sys/policies/password/"), "{error}");
    }
    account(&world, "app", "mine");
    write(&world.root, "config/db", r#"{"password_policy":"digits"}"#).unwrap();
    for more in ["", r#","password":"mine","skip_import_rotation":true"#] {
        let data = format!(r#"{{"db_name":"db","username":"app","rotation_period":"24h"{more}}}"#);
        let error = write(&world.root, "static-roles/app", &data).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{error}");
        assert!(error.to_string().contains("sys/policies/password/"), "{error}");
    }
    assert_eq!(world.target.calls(Duty::Test) + world.target.calls(Duty::SetPassword), 0);
    digits(&world);
    secret(r#","skip_import_rotation":true"#).unwrap();
    role_of(&world, r#"{"db_name":"db","username":"app","rotation_period":"24h"}"#);
    no_digits(&world);
    assert_eq!(secret("").unwrap_err().code(), Code::InvalidRequest);
    let error = write(&world.root, "static-roles/app", r#"{"rotation_period":"1h"}"#).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
}

#[test]
fn an_account_that_cannot_be_closed_without_its_policy_burns_no_login_and_stops_no_other() {
    let world = enrolled();
    digits(&world);
    connect(&world.root, "db2").unwrap();
    write(&world.root, "config/db2", r#"{"password_policy":"digits"}"#).unwrap();
    for name in ["a", "b"] {
        account(&world, name, "x");
    }
    let data = r#"{"db_name":"db2","usernames":["a","b"],"rotation_period":"24h","grace":"1h"}"#;
    write(&world.root, "static-roles/two", data).unwrap();
    write(&world.root, "rotate-role/two", "").unwrap();
    no_digits(&world);
    let (tests, open) = (world.target.calls(Duty::Test), password_at(&world, "b"));
    let first = creds_now(&world.root).1;
    for _ in 0..30 {
        world.clock.advance(Ttl::from_secs(3600));
        world.vault.tick().unwrap();
    }
    assert_ne!(creds_now(&world.root).1, first, "the other is rotated meanwhile");
    let of_app = 1;
    assert_eq!(world.target.calls(Duty::Test) - tests, of_app, "none for the account that is not closed");
    assert_eq!(password_at(&world, "b"), open);
    assert!(text(&rotation_of(&world, "two"), "target_error").contains("no password policy"));
    digits(&world);
    settle(&world, 900);
    assert_ne!(password_at(&world, "b"), open, "closed, or the next one");
    assert_eq!(
        text(&read(&world.root, "static-creds/two"), "password"),
        password_at(&world, &text(&read(&world.root, "static-creds/two"), "username"))
    );
    world.vault.verify().unwrap();
}

#[test]
fn an_answer_is_kept_where_a_further_run_that_is_wanted_lacks_its_policy() {
    let world = world();
    digits(&world);
    connect(&world.root, "db2").unwrap();
    write(&world.root, "config/db2", r#"{"password_policy":"digits"}"#).unwrap();
    account(&world, "lacking", "mine");
    world.target.plan(Duty::Test, &[Fault::UnknownNotDone]);
    let data = r#"{"db_name":"db2","username":"lacking","rotation_period":"24h","password":"mine"}"#;
    assert_eq!(write(&world.root, "static-roles/lacking", data).unwrap_err().code(), Code::RotationPending);
    no_digits(&world);
    for _ in 0..5 {
        world.clock.advance(Ttl::from_secs(900));
        world.vault.tick().unwrap();
    }
    assert_eq!(text(&read(&world.root, "static-creds/lacking"), "password"), "mine", "it was tried and works");
    assert_eq!(world.target.calls(Duty::Test), 2, "once more, and no more");
    assert!(text(&rotation_of(&world, "lacking"), "target_error").contains("no password policy"));
    digits(&world);
    settle(&world, 900);
    assert_ne!(password_at(&world, "lacking"), "mine", "the rotation that was wanted");
    assert_eq!(text(&read(&world.root, "static-creds/lacking"), "password"), password_at(&world, "lacking"));
}

#[test]
fn a_role_that_its_connection_no_longer_allows_is_neither_read_nor_rotated() {
    let world = enrolled();
    write(&world.root, "config/db", r#"{"allowed_roles":"others-*"}"#).unwrap();
    for (operation, path) in [
        (Operation::Read, "static-creds/app"),
        (Operation::Write, "rotate-role/app"),
        (Operation::Write, "rehearse-role/app"),
        (Operation::Write, "retry-role/app"),
    ] {
        let error = ask(&world.root, operation, &format!("database/{path}"), "").unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{path}: {error}");
        assert!(error.to_string().contains("allowed_roles"), "{path}: {error}");
    }
    settle(&world, 3 * DAY);
    assert_eq!(world.target.calls(Duty::SetPassword), 1, "by the clock neither");
    assert!(text(&status(&world.root), "target_error").contains("allowed_roles"));
    assert_eq!(needing_attention(&world), Some(1));
    write(&world.root, "config/db", r#"{"allowed_roles":"app"}"#).unwrap();
    settle(&world, 900);
    assert_eq!(world.target.calls(Duty::SetPassword), 2);
    assert_eq!(creds_now(&world.root).1, password_at(&world, "app"));
    assert_eq!(needing_attention(&world), Some(0));
}

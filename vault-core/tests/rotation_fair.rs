//! Many rotations that are due at once in some namespaces keep none of another one from its turn.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/target.rs"]
mod support;

use support::*;
use vault_core::Session;
use vault_core::types::{Object, Operation, Timestamp, Ttl, Value};

const SECRETS: usize = 70;

fn rotate(session: &Session, name: &str, more: &str) {
    session.kv("secret").put(name, Object::new().with("password", "from-before")).unwrap();
    let data = format!(r#"{{"skip_import_rotation":true{more}}}"#);
    ask(session, Operation::Write, &format!("sys/rotation/secrets/secret/{name}"), &data).unwrap();
}

fn value(session: &Session, name: &str) -> String {
    session.kv("secret").get(name).unwrap().data.get("password").and_then(Value::as_str).unwrap().to_owned()
}

#[test]
fn a_namespace_with_more_than_a_tick_takes_starves_no_other() {
    let world = world();
    let mut sessions = vec![world.root.clone()];
    for name in ["a", "b", "c"] {
        ask(&world.root, Operation::Write, &format!("sys/namespaces/{name}"), "").unwrap();
        let below = world.root.namespace(name).unwrap();
        sessions.push(below);
    }
    // Whichever comes first: each of them has more than a tick takes but the last, in turn.
    for quiet in &sessions {
        for session in &sessions {
            let of = if std::ptr::eq(session, quiet) { 1 } else { SECRETS };
            (0..of).for_each(|number| rotate(session, &format!("s{number}"), r#","rotation_period":"5s""#));
        }
        for _ in 0..3 {
            world.clock.advance(Ttl::from_secs(5));
            let before = value(quiet, "s0");
            world.vault.tick().unwrap();
            assert_ne!(value(quiet, "s0"), before, "it has its turn with each tick");
        }
        for session in &sessions {
            for number in 0..SECRETS {
                let _none = ask(session, Operation::Delete, &format!("sys/rotation/secrets/secret/s{number}"), "");
            }
        }
    }
    world.vault.verify().unwrap();
}

#[test]
fn many_namespaces_take_turns_over_ticks() {
    let world = world();
    let mut sessions = Vec::new();
    for number in 0..SECRETS {
        ask(&world.root, Operation::Write, &format!("sys/namespaces/n{number}"), "").unwrap();
        let below = world.root.namespace(&format!("n{number}")).unwrap();
        rotate(&below, "s", r#","rotation_period":"5s""#);
        sessions.push(below);
    }
    let before: Vec<String> = sessions.iter().map(|session| value(session, "s")).collect();
    for _ in 0..2 {
        world.clock.advance(Ttl::from_secs(5));
        let next = world.vault.tick().unwrap().unwrap();
        assert!(next.as_millis() <= world.clock_millis(), "it wants to be called again at once");
    }
    let after: Vec<String> = sessions.iter().map(|session| value(session, "s")).collect();
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before == after).count(), 0, "all had a turn in two ticks");
}

#[test]
fn a_clock_that_went_back_leaves_what_one_tick_does_not_take_to_the_next_one_at_once() {
    let world = world();
    let digits = r#"{"policy":"length = 12\nrule \"charset\" { charset = \"0123456789\" }"}"#;
    ask(&world.root, Operation::Write, "sys/policies/password/digits", digits).unwrap();
    (0..SECRETS).for_each(|number| rotate(&world.root, &format!("s{number}"), r#","rotation_period":"1h","password_policy":"digits""#));
    ask(&world.root, Operation::Delete, "sys/policies/password/digits", "").unwrap();
    let start = world.clock_millis();
    world.clock.advance(Ttl::from_secs(7200));
    settle(&world, 0);
    // None could be rotated; half an hour before that they were due as well.
    world.clock.set(vault_core::types::Timestamp::from_millis(start + 5_400_000));
    let next = world.vault.tick().unwrap().unwrap();
    assert!(next.as_millis() <= world.clock_millis(), "{next}");
    settle(&world, 0);
}

#[test]
fn behind_an_opening_a_backlog_is_soon_worked_off_in_the_order_in_which_it_became_due() {
    let world = world();
    // More than a call takes are always due; the others are due one by one between them.
    let often = (0..2 * SECRETS).map(|number| (format!("s{number}"), 5));
    let periods: Vec<(String, u64)> = often.chain((0..20).map(|number| (format!("late{number}"), 40 + 5 * number))).collect();
    for (name, period) in &periods {
        rotate(&world.root, name, &format!(r#","rotation_period":"{period}s""#));
    }
    for _ in 0..6 {
        world.clock.advance(Ttl::from_secs(5));
        world.vault.tick().unwrap();
    }
    let due = |name: &str, period: u64| {
        let told = ask(&world.root, Operation::Read, &format!("sys/rotation/secrets/secret/{name}"), "").unwrap().data.unwrap();
        let last = told.get("last_vault_rotation").and_then(Value::as_str).map(|last| Timestamp::parse(last).unwrap().as_secs());
        last.unwrap_or(START) + period
    };
    for _ in 0..6 {
        world.clock.advance(Ttl::from_secs(5));
        let before: Vec<_> = periods.iter().map(|(name, period)| (name, due(name, *period), value(&world.root, name))).collect();
        world.vault.tick().unwrap();
        let (done, left): (Vec<_>, Vec<_>) = before.iter().partition(|(name, _, old)| value(&world.root, name) != *old);
        let latest_done = done.iter().map(|(_, due, _)| *due).max().unwrap();
        let earliest_left = left.iter().map(|(_, due, _)| *due).min().unwrap();
        assert!(latest_done <= earliest_left, "{latest_done} {earliest_left}");
    }
    world.vault.verify().unwrap();
}

//! Entities that must check in: heard of by any of their tokens, and lost with all of them and with their leases when they are not.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/identities.rs"]
mod identities;
#[path = "support/target.rs"]
mod support;

use identities::{alias, entity, logged_in, login_role, member, session_of, told, write};
use std::sync::Arc;
use support::*;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Code, Object, Operation, Timestamp, Ttl, Value};
use vault_core::{Config, Session};

const PERIOD: u64 = 400;
/// One to one and a quarter periods.
const GRACE: u64 = 100;

fn text_of(value: &Value) -> String {
    String::from_utf8_lossy(&value.to_json()).into_owned()
}

/// A world with the entity `ann`, which is lost when it is not heard of for so long; and its id.
fn world_with_ann(config: Config) -> (World, String) {
    let world = world_on(config);
    let everything = r#"path "*" { capabilities = ["create", "read", "update", "list", "sudo"] }"#;
    world.root.policies().write("everything", everything).unwrap();
    login_role(&world.root, "");
    let id = entity(&world.root, "ann", "everything");
    alias(&world.root, &id, "ann");
    switch(&world.root, "ann", PERIOD);
    (world, id)
}

fn switch(session: &Session, name: &str, seconds: u64) {
    write(session, &format!("identity/entity/name/{name}"), &format!(r#"{{"deadman_period":{seconds}}}"#)).unwrap();
}

fn take_back(session: &Session, name: &str) {
    write(session, &format!("identity/entity/name/{name}"), r#"{"lost":false}"#).unwrap();
}

fn ann(world: &World) -> Session {
    session_of(&world.vault, &logged_in(&world.root, "ann", ""))
}

fn advance(world: &World, seconds: u64) {
    world.clock.advance(Ttl::from_secs(seconds));
}

fn shown(world: &World) -> Value {
    ask(&world.root, Operation::Read, "identity/entity/name/ann", "").unwrap().data.unwrap()
}

fn is_refused(session: &Session) -> bool {
    session.tokens().lookup_self().is_err_and(|error| error.code() == Code::PermissionDenied)
}

fn losses(world: &World) -> Vec<Value> {
    let events = world.root.audit().events(0, 10_000).unwrap();
    events.into_iter().filter(|event| event.get("operation").and_then(Value::as_str) == Some("deadman")).collect()
}

#[test]
fn an_entity_that_is_not_heard_of_loses_its_tokens_and_leases_and_comes_back_without_them() {
    let (world, id) = world_with_ann(Config::in_memory());
    let auth = logged_in(&world.root, "ann", "");
    let (one, other) = (session_of(&world.vault, &auth), ann(&world));
    let child = world.vault.session(one.tokens().create(Default::default()).unwrap().client_token);
    let lease = creds(&one).unwrap();
    // Heard of by one of them all stay, though no tick and no other token knows.
    for round in 0..6 {
        advance(&world, PERIOD - 1);
        if round % 3 == 0 {
            world.vault.tick().unwrap();
        }
        [&one, &child, &other][round % 3].tokens().lookup_self().unwrap();
    }
    for session in [&one, &other, &child] {
        session.kv("secret").put("app", Object::new()).unwrap();
    }
    renew(&one, &lease.lease_id, 3600).unwrap();
    advance(&world, PERIOD);
    // A refusal tells as well that somebody is there.
    assert_eq!(ask(&other, Operation::Delete, "secret/data/app", "").unwrap_err().code(), Code::PermissionDenied);
    advance(&world, PERIOD);
    assert!(!is_refused(&one));
    advance(&world, PERIOD + GRACE);
    // From that instant on it is worth nothing, before any tick.
    for session in [&one, &other, &child, &session_of(&world.vault, &auth)] {
        assert!(is_refused(session));
        assert_eq!(session.kv("secret").put("app", Object::new()).unwrap_err().code(), Code::PermissionDenied);
    }
    assert!(lookup(&world.root, &lease.lease_id).is_err());
    assert!(shown(&world).get("lost").is_some());
    let refused = write(&world.root, "auth/token/create/login", r#"{"entity_alias":"ann"}"#).unwrap_err();
    assert!(refused.code() == Code::InvalidRequest && refused.to_string().contains("\"lost\": false"), "{refused}");
    settle(&world, 60);
    assert!(world.target.accounts().is_empty() && is_refused(&one));
    let losses = losses(&world);
    assert_eq!(losses.iter().map(|event| told(event, "identity_concerned")).collect::<Vec<_>>(), [id]);
    // What is written beside it does not take it back, and what does takes no tokens back.
    switch(&world.root, "ann", PERIOD);
    switch(&world.root, "ann", 2 * PERIOD);
    switch(&world.root, "ann", PERIOD);
    assert!(shown(&world).get("lost").is_some());
    take_back(&world.root, "ann");
    assert!([&one, &other, &child].into_iter().all(is_refused) && shown(&world).get("lost").is_none());
    let back = ann(&world);
    // What its new tokens make are new ones too.
    for kind in ["service", "batch"] {
        let made = write(&back, "auth/token/create", &format!(r#"{{"type":"{kind}","policies":["base"]}}"#)).unwrap().auth.unwrap();
        assert!(!is_refused(&session_of(&world.vault, &made)), "{kind}");
    }
    let lease = creds(&back).unwrap();
    settle(&world, 60);
    assert!(!is_refused(&back) && is_refused(&one) && lookup(&world.root, &lease.lease_id).is_ok());
    // And is watched as before.
    advance(&world, PERIOD + GRACE);
    assert!(is_refused(&back));
    settle(&world, 60);
    assert!(world.target.accounts().is_empty());
    world.vault.verify().unwrap();
}

#[test]
fn one_that_is_taken_back_before_a_tick_has_lost_its_tokens_and_leases_all_the_same() {
    let (world, _) = world_with_ann(Config::in_memory());
    let session = ann(&world);
    let lease = creds(&session).unwrap();
    advance(&world, PERIOD + GRACE);
    write(&world.root, "identity/entity/name/ann", r#"{"deadman_period":0,"lost":false}"#).unwrap();
    assert!(is_refused(&session) && lookup(&world.root, &lease.lease_id).is_err());
    let back = ann(&world);
    assert!(shown(&world).get("deadman_period").is_none());
    creds(&back).unwrap();
    settle(&world, 60);
    assert_eq!(world.target.accounts().len(), 1);
    // Without a switch nobody is lost.
    advance(&world, 3 * PERIOD);
    world.vault.tick().unwrap();
    assert!(!is_refused(&back) && losses(&world).is_empty());
}

#[test]
fn batch_tokens_and_live_secrets_tell_that_somebody_is_there() {
    let (world, _) = world_with_ann(Config::in_memory());
    world.root.kv("secret").put("app", Object::new()).unwrap();
    let parent = ann(&world);
    let batch = write(&parent, "auth/token/create", r#"{"type":"batch","policies":["everything"]}"#);
    let batch = world.vault.session(batch.unwrap().auth.unwrap().client_token);
    let live = parent.kv("secret").live("app").unwrap();
    for round in 0..10 {
        advance(&world, PERIOD);
        if round < 5 {
            batch.kv("secret").get("app").unwrap();
        } else {
            live.get().unwrap();
        }
    }
    // Looks at a live secret write nothing between the notes of a period.
    let commits = world.root.audit().events(0, 10_000).unwrap().len();
    for _ in 0..100 {
        live.get().unwrap();
    }
    assert!(world.root.audit().events(0, 10_000).unwrap().len() <= commits + 5);
    advance(&world, PERIOD + GRACE);
    assert!(live.get().is_err() && batch.kv("secret").get("app").is_err());
}

#[test]
fn what_was_heard_is_known_after_a_restart_and_a_clock_that_leaps_for_a_moment_loses_nobody() {
    let storage = Arc::new(MemoryStorage::new());
    let (old, _) = world_with_ann(Config::on(storage.clone()));
    let auth = logged_in(&old.root, "ann", "");
    for _ in 0..5 {
        advance(&old, PERIOD);
        session_of(&old.vault, &auth).tokens().lookup_self().unwrap();
    }
    let world = reopen(Arc::new(storage.copy()), &old);
    let session = session_of(&world.vault, &auth);
    advance(&world, PERIOD);
    session.tokens().lookup_self().unwrap();
    let now = world.clock_millis();
    world.clock.set(Timestamp::from_millis(now + 10 * 366 * 86_400_000));
    assert!(is_refused(&session));
    world.clock.set(Timestamp::from_millis(now));
    session.tokens().lookup_self().unwrap();
    // One that steps back counts from there.
    world.clock.set(Timestamp::from_millis(now - 86_400_000));
    session.tokens().lookup_self().unwrap();
    advance(&world, PERIOD + GRACE);
    assert!(is_refused(&session));
    world.vault.tick().unwrap();
    assert_eq!(losses(&world).len(), 1);
    // What a tick has noted no clock takes back.
    world.clock.set(Timestamp::from_millis(now - 86_400_000));
    assert!(is_refused(&session));
    // Taken back it has new tokens at once, though by the clock it was lost later.
    take_back(&world.root, "ann");
    assert!(!is_refused(&ann(&world)) && is_refused(&session));
}

#[test]
fn a_switch_counts_while_the_vault_is_closed_and_while_its_entity_is_refused() {
    for refusal in ["closed", "disabled", "quarantined"] {
        let storage = Arc::new(MemoryStorage::new());
        let (old, _) = world_with_ann(Config::on(storage.clone()));
        let auth = logged_in(&old.root, "ann", "");
        let refuse = |on: bool| match refusal {
            "disabled" => drop(write(&old.root, "identity/entity/name/ann", &format!(r#"{{"disabled":{on}}}"#)).unwrap()),
            "quarantined" if on => old.root.emergency().quarantine_entity("ann").unwrap(),
            "quarantined" => old.root.emergency().release_entity("ann").unwrap(),
            _ => {}
        };
        refuse(true);
        advance(&old, PERIOD + GRACE - 1);
        refuse(false);
        let world = reopen(Arc::new(storage.copy()), &old);
        assert!(!is_refused(&session_of(&world.vault, &auth)), "{refusal}");
        refuse(true);
        advance(&old, PERIOD + GRACE);
        refuse(false);
        let world = reopen(Arc::new(storage.copy()), &old);
        assert!(is_refused(&session_of(&world.vault, &auth)), "{refusal}");
        world.vault.tick().unwrap();
        assert_eq!(losses(&world).len(), 1, "{refusal}");
    }
}

#[test]
fn an_entity_of_a_namespace_is_watched_there_and_one_that_is_deleted_is_not() {
    let (world, _) = world_with_ann(Config::in_memory());
    write(&world.root, "sys/namespaces/team", "").unwrap();
    let team = world.root.namespace("team").unwrap();
    login_role(&team, "");
    let id = entity(&team, "bob", "base");
    alias(&team, &id, "bob");
    switch(&team, "bob", PERIOD);
    let bob = session_of(&world.vault, &logged_in(&team, "bob", "")).namespace("team").unwrap();
    advance(&world, PERIOD);
    bob.tokens().lookup_self().unwrap();
    ask(&world.root, Operation::Delete, "identity/entity/name/ann", "").unwrap();
    advance(&world, PERIOD + GRACE);
    assert!(is_refused(&bob));
    settle(&world, 60);
    let losses = losses(&world);
    assert_eq!(
        losses.iter().map(|event| (told(event, "namespace"), told(event, "identity_concerned"))).collect::<Vec<_>>(),
        [("team/".to_owned(), id)]
    );
    take_back(&team, "bob");
    let back = session_of(&world.vault, &logged_in(&team, "bob", "")).namespace("team").unwrap();
    assert!(!is_refused(&back) && is_refused(&bob));
    // With its namespace goes what is due there.
    ask(&world.root, Operation::Delete, "sys/namespaces/team", "").unwrap();
    advance(&world, 2 * PERIOD);
    settle(&world, 60);
    assert_eq!(self::losses(&world).len(), 1);
    world.vault.verify().unwrap();
}

#[test]
fn a_switch_is_shown_and_one_that_is_too_short_is_refused() {
    let (world, _) = world_with_ann(Config::in_memory());
    let data = shown(&world);
    assert_eq!(data.get("deadman_period").and_then(Value::as_u64), Some(PERIOD));
    assert_eq!(told(&data, "last_noted_use"), Timestamp::from_secs(START).to_string());
    assert_eq!(told(&data, "deadman_deadline"), Timestamp::from_secs(START + PERIOD + GRACE).to_string());
    for period in ["59s", "-1", "x"] {
        let data = format!(r#"{{"deadman_period":"{period}"}}"#);
        assert_eq!(write(&world.root, "identity/entity/name/ann", &data).unwrap_err().class(), Code::InvalidData.class(), "{period}");
    }
    assert_eq!(write(&world.root, "identity/entity/name/ann", r#"{"lost":true}"#).unwrap_err().code(), Code::InvalidData);
    // What is written beside it does not count as being heard of, nor the same once more.
    advance(&world, PERIOD);
    switch(&world.root, "ann", PERIOD);
    write(&world.root, "identity/entity/name/ann", r#"{"metadata":{"a":"b"}}"#).unwrap();
    advance(&world, GRACE);
    assert!(shown(&world).get("lost").is_some());
    let named = member(ask(&world.root, Operation::Write, "identity/lookup/entity", r#"{"name":"ann"}"#), "lost");
    assert_eq!(named, Timestamp::from_secs(START + PERIOD + GRACE).to_string());
}

#[test]
fn threads_that_use_an_entitys_tokens_while_it_is_noted_are_answered() {
    let (world, _) = world_with_ann(Config::in_memory());
    let sessions: Vec<Session> = (0..4).map(|_| ann(&world)).collect();
    for _ in 0..20 {
        advance(&world, PERIOD);
        std::thread::scope(|scope| {
            let threads: Vec<_> = sessions
                .iter()
                .enumerate()
                .map(|(number, session)| {
                    scope.spawn(move || {
                        for round in 0..5 {
                            let kv = session.kv("secret");
                            kv.put(&format!("{number}/{round}"), Object::new()).unwrap();
                            kv.get(&format!("{number}/{round}")).unwrap();
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        world.vault.tick().unwrap();
    }
    assert!(losses(&world).is_empty());
}

//! An emergency with accounts at a target: leases end, credentials are rotated several at a time, and what was done is not done twice.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/target.rs"]
mod support;

use support::*;
use vault_core::types::{Code, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{ContainOptions, Containment, ReaderTokens, Session, Suspect, TokenOptions};

fn token(world: &World) -> (Session, String) {
    let policy = r#"path "database/*" { capabilities = ["read"] } path "secret/data/*" { capabilities = ["read"] }"#;
    world.root.policies().write("creds", policy).unwrap();
    let options = TokenOptions { policies: vec!["creds".to_owned()], ..TokenOptions::default() };
    let auth = world.root.tokens().create(options).unwrap();
    (world.vault.session(auth.client_token), auth.accessor)
}

fn static_role(world: &World, name: &str) {
    world.target.state.lock().unwrap().accounts.insert(name.to_owned(), "before".to_owned());
    let data = format!(r#"{{"db_name":"db","username":"{name}","rotation_period":"24h"}}"#);
    ask(&world.root, Operation::Write, &format!("database/static-roles/{name}"), &data).unwrap();
}

fn password(world: &World, name: &str) -> String {
    let data = ask(&world.root, Operation::Read, &format!("database/static-creds/{name}"), "").unwrap().data.unwrap();
    data.get("password").and_then(Value::as_str).unwrap().to_owned()
}

fn steps(containment: &Containment, step: &str) -> Vec<(String, String)> {
    let of_kind = containment.steps.iter().filter(|found| found.step == step);
    of_kind.map(|found| (found.what.clone(), found.outcome.clone())).collect()
}

#[test]
fn the_leases_below_a_path_end_and_their_accounts_go_with_the_next_tick() {
    let world = world();
    let (thief, accessor) = token(&world);
    let one = creds(&thief).unwrap();
    role(&world.root, "rw", "{}");
    let other = creds_of(&world.root, "rw").unwrap();
    let exposure = world.root.emergency().look("database/creds/ro", Timestamp::EPOCH).unwrap();
    assert_eq!((exposure.leases.clone(), exposure.readers.len()), (vec![one.lease_id.clone()], 1));
    assert!(exposure.by_hand.is_empty(), "a lease that ends is replaced: {:?}", exposure.by_hand);
    let ended = world.root.emergency().contain(&exposure, 10).unwrap();
    assert_eq!(steps(&ended, "revoke-token"), [(accessor, "done".to_owned())]);
    assert_eq!(steps(&ended, "end-leases"), [("database/creds/ro".to_owned(), "done".to_owned())]);
    assert!(lookup(&world.root, &one.lease_id).is_err() && lookup(&world.root, &other.lease_id).is_ok());
    world.vault.tick().unwrap();
    assert_eq!(world.target.accounts().into_iter().collect::<Vec<_>>(), [other.username]);
}

#[test]
fn what_a_token_has_read_is_rotated_so_many_at_a_time_and_none_twice() {
    let world = world();
    for name in ["a", "b", "c", "untouched"] {
        static_role(&world, name);
    }
    world.clock.advance(Ttl::from_secs(10));
    let (thief, accessor) = token(&world);
    for name in ["a", "b", "c"] {
        ask(&thief, Operation::Read, &format!("database/static-creds/{name}"), "").unwrap();
    }
    let lease = creds(&thief).unwrap();
    let before = ["a", "b", "c", "untouched"].map(|name| password(&world, name));
    world.clock.advance(Ttl::from_secs(10));
    let emergency = world.root.emergency();
    let exposure = emergency.look_at(&Suspect::Accessor(accessor.clone()), Timestamp::EPOCH).unwrap();
    assert_eq!(exposure.credentials, ["a", "b", "c"].map(|name| format!("database/static-roles/{name}")));
    assert_eq!((exposure.leases.clone(), exposure.by_hand.len()), (vec![lease.lease_id.clone()], 0));
    world.clock.advance(Ttl::from_secs(1));
    let options = ContainOptions { most: 2, tokens: ReaderTokens::Quarantine, ..ContainOptions::default() };

    let dry = emergency.contain_with(&exposure, &ContainOptions { dry_run: true, ..options.clone() }).unwrap();
    assert_eq!((dry.count("planned"), dry.steps.len()), (5, 5), "{dry}");
    assert!(lookup(&world.root, &lease.lease_id).is_ok());

    let first = emergency.contain_with(&exposure, &options).unwrap();
    assert_eq!((first.left, first.failed, first.count("done")), (1, 0, 4), "{first}");
    let second = emergency.contain_with(&exposure, &options).unwrap();
    assert_eq!((second.left, second.failed), (0, 0), "{second}");
    assert_eq!(steps(&second, "rotate").iter().filter(|(_, outcome)| outcome == "done").count(), 1, "{second}");
    let after = ["a", "b", "c", "untouched"].map(|name| password(&world, name));
    assert!((0..3).all(|i| before[i] != after[i]) && before[3] == after[3]);
    assert!(lookup(&world.root, &lease.lease_id).is_err());
    assert_eq!(ask(&thief, Operation::Read, "database/static-creds/a", "").unwrap_err().code(), Code::PermissionDenied);
    settle(&world, 60);
    assert!(!world.target.accounts().contains(&lease.username));
    world.vault.verify().unwrap();
}

#[test]
fn a_target_that_does_not_answer_keeps_none_of_the_others_from_being_done() {
    let world = world();
    for name in ["a", "b"] {
        static_role(&world, name);
    }
    let (thief, accessor) = token(&world);
    ask(&thief, Operation::Read, "database/static-creds/a", "").unwrap();
    world.clock.advance(Ttl::from_secs(10));
    let exposure = world.root.emergency().look("database/static-creds", Timestamp::EPOCH).unwrap();
    assert_eq!(exposure.credentials.len(), 2);
    world.target.plan(Duty::SetPassword, &[Fault::Unreachable]);
    world.clock.advance(Ttl::from_secs(1));
    let options = ContainOptions { parallel: 1, ..ContainOptions::default() };
    let ended = world.root.emergency().contain_with(&exposure, &options).unwrap();
    assert_eq!((ended.count("pending"), ended.count("done")), (1, 2), "{ended}");
    assert_eq!(steps(&ended, "revoke-token"), [(accessor, "done".to_owned())]);
    let page = ended.to_string();
    assert!(page.contains("rotate pending: database/static-roles/") && page.contains("rotated database/static-roles/"), "{page}");
    assert!(!page.contains("before"), "no password is in it");
}

#[test]
fn rotations_of_a_containment_wait_for_their_targets_side_by_side() {
    let world = world();
    for name in ["a", "b", "c"] {
        static_role(&world, name);
    }
    world.clock.advance(Ttl::from_secs(10));
    let exposure = world.root.emergency().look("database/static-creds", Timestamp::EPOCH).unwrap();
    world.target.plan(Duty::SetPassword, &[Fault::Stalls, Fault::Stalls, Fault::Stalls]);
    world.clock.advance(Ttl::from_secs(1));
    std::thread::scope(|scope| {
        let contained = scope.spawn(|| world.root.emergency().contain(&exposure, 10));
        for _ in 0..2_000 {
            if world.target.stalled() < 3 {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        let together = world.target.stalled();
        world.target.let_go();
        assert_eq!(contained.join().unwrap().unwrap().count("done"), 3);
        assert_eq!(together, 3);
    });
}

#[test]
fn a_token_that_is_not_used_loses_itself_its_children_and_its_leases_with_the_next_tick() {
    let world = world();
    let policy = r#"path "*" { capabilities = ["read", "update", "create"] }"#;
    world.root.policies().write("all", policy).unwrap();
    let options = |deadman| TokenOptions { policies: vec!["all".to_owned()], deadman_period: deadman, ..TokenOptions::default() };
    let auth = world.root.tokens().create(options(Some(Ttl::from_secs(400)))).unwrap();
    let (dead, accessor) = (world.vault.session(auth.client_token), auth.accessor);
    let child = world.vault.session(dead.tokens().create(options(None)).unwrap().client_token);
    let one = creds(&dead).unwrap();
    // As long as it is used it lives; what that costs is a commit now and then.
    for _ in 0..50 {
        world.clock.advance(Ttl::from_secs(40));
        dead.tokens().lookup_self().unwrap();
        world.vault.tick().unwrap();
    }
    let told = ask(&world.root, Operation::Write, "auth/token/lookup-accessor", &format!(r#"{{"accessor":"{accessor}"}}"#)).unwrap();
    assert_eq!(told.data.unwrap().get("deadman_period").and_then(Value::as_u64), Some(400));
    // A refusal is a use as well.
    world.clock.advance(Ttl::from_secs(399));
    assert_eq!(ask(&dead, Operation::Delete, "secret/data/x", "").unwrap_err().code(), Code::PermissionDenied);
    world.clock.advance(Ttl::from_secs(399));
    creds(&child).unwrap();
    world.clock.advance(Ttl::from_secs(102));
    // Whoever is not heard of is worth nothing from then on, before any tick.
    for session in [&dead, &child] {
        assert_eq!(session.tokens().lookup_self().unwrap_err().code(), Code::PermissionDenied);
    }
    assert!(lookup(&world.root, &one.lease_id).is_err());
    settle(&world, 60);
    assert!(world.target.accounts().is_empty());
    assert!(world.root.tokens().lookup_accessor(&accessor).is_err());
    let events = world.root.audit().events(0, 1_000).unwrap();
    let is_lost = |event: &&Value| event.get("operation").and_then(Value::as_str) == Some("deadman");
    assert_eq!(events.iter().filter(is_lost).count(), 1);
    world.vault.verify().unwrap();
}

#[test]
fn the_use_of_a_token_is_noted_across_a_restart_and_by_a_live_secret() {
    use std::sync::Arc;
    let storage = Arc::new(vault_core::storage::memory::MemoryStorage::new());
    let old = world_on(vault_core::Config::on(storage.clone()));
    let policy = r#"path "secret/data/*" { capabilities = ["read"] }"#;
    old.root.policies().write("kv", policy).unwrap();
    old.root.kv("secret").put("app", vault_core::types::Object::new()).unwrap();
    let period = Some(Ttl::from_secs(400));
    let options = TokenOptions { policies: vec!["kv".to_owned()], deadman_period: period, ..TokenOptions::default() };
    let token = old.root.tokens().create(options).unwrap().client_token;
    let session = old.vault.session(SecretString::copy_from(token.expose()));
    let live = session.kv("secret").live("app").unwrap();
    for _ in 0..20 {
        old.clock.advance(Ttl::from_secs(90));
        live.get().unwrap();
    }
    let new = reopen(Arc::new(storage.copy()), &old);
    let session = new.vault.session(token);
    new.clock.advance(Ttl::from_secs(399));
    session.kv("secret").get("app").unwrap();
    // A clock that was years ahead for a moment does not let it live on for years.
    new.clock.advance(Ttl::from_secs(399));
    let now = new.clock_millis();
    new.clock.set(Timestamp::from_millis(now + 10 * 366 * 86_400_000));
    session.kv("secret").get("app").unwrap_err();
    new.clock.set(Timestamp::from_millis(now));
    session.kv("secret").get("app").unwrap();
    new.clock.advance(Ttl::from_secs(501));
    session.kv("secret").get("app").unwrap_err();
    let bad = |data: &str| ask(&new.root, Operation::Write, "auth/token/create", data).unwrap_err().code();
    assert_eq!(bad(r#"{"deadman_period":"59s"}"#), Code::InvalidData);
    assert_eq!(bad(r#"{"deadman_period":"1h","type":"batch"}"#), Code::InvalidRequest);
}

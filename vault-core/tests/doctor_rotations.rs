//! What the doctor makes of rotations whose indexes were lost: a salvage lets each be found by its name and by its time, and go on.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/harmed.rs"]
mod harmed;
#[path = "support/roles.rs"]
mod roles;
#[path = "support/target.rs"]
mod support;

use harmed::without;
use roles::*;
use std::sync::Arc;
use support::*;
use vault_core::doctor::{self, Options, Verdict};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Read, Storage};
use vault_core::types::{Object, Operation, SecretString, Ttl, Value};
use vault_core::{Config, Session, UnsealKey, Vault};

fn config(storage: &Arc<MemoryStorage>) -> Config {
    Config::on(Arc::clone(storage) as Arc<dyn Storage>)
}

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

/// A store with rotations at rest, in their grace, in doubt and stopped, and a secret of the vault's own; and the world around it.
fn store() -> (Arc<MemoryStorage>, World) {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(config(&storage));
    for name in ["app", "a", "b", "lost", "stuck"] {
        account(&world, name, "from-before");
    }
    role_of(&world, DAILY);
    write(&world.root, "static-roles/two", r#"{"db_name":"db","usernames":["a","b"],"rotation_period":"48h","grace":"1h"}"#).unwrap();
    write(&world.root, "rotate-role/two", "").unwrap();
    for name in ["lost", "stuck"] {
        write(&world.root, &format!("static-roles/{name}"), &format!(r#"{{"db_name":"db","username":"{name}","rotation_period":"36h"}}"#))
            .unwrap();
    }
    world.target.plan(Duty::SetPassword, &[Fault::UnknownDone]);
    write(&world.root, "rotate-role/lost", "").unwrap_err();
    account(&world, "stuck", "changed-by-hand");
    world.target.plan(Duty::SetPassword, &[Fault::LiesDone]);
    write(&world.root, "rotate-role/stuck", "").unwrap_err();
    world.root.kv("secret").put("api", Object::new().with("password", "from-before")).unwrap();
    ask(&world.root, Operation::Write, "sys/rotation/secrets/secret/api", r#"{"rotation_period":"24h"}"#).unwrap();
    (Arc::new(storage.copy()), world)
}

/// Salvages a store and adopts it, with a target of its own that has what the old one had.
fn salvaged(storage: &Arc<MemoryStorage>, old: &World) -> World {
    let (clock, target) = (old.clock.clone(), Fake::new());
    target.state.lock().unwrap().accounts = old.target.state.lock().unwrap().accounts.clone();
    clock.set(vault_core::types::Timestamp::from_secs(START));
    let new = Config::in_memory().with_clock(clock.clone()).with_connector(target.clone());
    let (vault, _): (Vault, _) = doctor::salvage_with(&config(storage), &key(), new, &Options::new()).unwrap();
    vault.verify().unwrap();
    let token = vault.generate_root(&key()).unwrap();
    let world = World { root: vault.session(SecretString::copy_from(token.expose())), vault, token: String::new(), clock, target };
    ask(&world.root, Operation::Write, "sys/storage/adopt", "").unwrap();
    world
}

const ROLES: [&str; 4] = ["app", "two", "lost", "stuck"];

/// What readers are given of a role, where it is to be had.
fn creds(root: &Session, name: &str) -> Option<(String, String)> {
    let data = ask(root, Operation::Read, &format!("database/static-creds/{name}"), "").ok()?.data?;
    Some((text(&data, "username"), text(&data, "password")))
}

fn secret(root: &Session) -> Option<String> {
    root.kv("secret").get("api").ok()?.data.get("password").and_then(Value::as_str).map(str::to_owned)
}

/// How many of a store's rotations are not listed, not rotated by the next days, or lead to nothing that works.
fn lame(storage: &Arc<MemoryStorage>, old: &World) -> usize {
    let world = salvaged(storage, old);
    let listed = ask(&world.root, Operation::List, "database/static-roles", "");
    let listed = listed.ok().and_then(|listed| listed.data?.get("keys")?.as_array().map(<[Value]>::len)).unwrap_or_default();
    let (before, key) = (ROLES.map(|name| creds(&world.root, name)), secret(&world.root));
    // Whoever was stopped is helped; the others go on by themselves.
    let _whatever = write(&world.root, "retry-role/stuck", "");
    for _ in 0..4 {
        world.clock.advance(Ttl::from_secs(86_400));
        settle(&world, 7200);
    }
    let after = ROLES.map(|name| creds(&world.root, name));
    let goes_on = |now: &Option<(String, String)>, was: &Option<(String, String)>| {
        was.is_some() && now != was && now.as_ref().is_some_and(|(name, password)| password_at(&world, name) == *password)
    };
    let roles = after.iter().zip(&before).filter(|(now, was)| !goes_on(now, was)).count();
    world.vault.verify().unwrap();
    roles.max(ROLES.len() - listed) + usize::from(key.is_none() || secret(&world.root) == key)
}

#[test]
fn whichever_record_of_an_index_is_lost_the_doctor_tells_it_and_a_salvage_lets_every_rotation_go_on() {
    let (storage, old) = store();
    let sound = doctor::examine(&config(&storage), Some(&key())).unwrap();
    assert_eq!(sound.verdict, Verdict::Sound, "{sound}");
    assert_eq!(lame(&storage, &old), 0, "nothing is lost");
    let records = storage.scan(&[], None, 100_000).unwrap();
    let (mut told, mut lost) = (0, 0);
    for (at, (name, _)) in records.iter().enumerate() {
        if matches!(name.as_bytes(), b"header" | b"keyring") {
            continue;
        }
        let harmed = without(&storage, at);
        let report = doctor::examine(&config(&harmed), Some(&key())).unwrap();
        assert_ne!(report.verdict, Verdict::Sound, "record {at}");
        told += usize::from(report.has("rotation-indexes"));
        lost += lame(&harmed, &old);
    }
    // Where its own record is gone, or its connection's, its mount, or the secret itself, nothing tells of it any more.
    let (own, connection, mounts, content) = (ROLES.len() + 1, ROLES.len(), ROLES.len() + 1, 1);
    assert!(lost <= own + connection + mounts + content, "{lost}");
    // Each has a name and a place among all; those at the target an account or two; a time, a count and a mark beside.
    assert!(told >= 2 * 5 + 5 + 3 + 2, "{told}");
}

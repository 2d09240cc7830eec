//! What the doctor makes of leases whose indexes were lost: a salvage lets each be found, and ended, by all that ends it.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/harmed.rs"]
mod harmed;
#[path = "support/identities.rs"]
mod identities;
#[path = "support/target.rs"]
mod support;

use harmed::without;
use std::sync::Arc;
use support::*;
use vault_core::doctor::{self, Options, Verdict};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Read, Storage};
use vault_core::types::{Operation, SecretString, Timestamp, Value};
use vault_core::{Config, TokenOptions, UnsealKey, Vault};

fn text_of(value: &Value) -> String {
    String::from_utf8_lossy(&value.to_json()).into_owned()
}

fn config(storage: &Arc<MemoryStorage>) -> Config {
    Config::on(Arc::clone(storage) as Arc<dyn Storage>)
}

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

/// A store with leases in every state, held by root and by another token; and that token, and the world around it.
fn store() -> (Arc<MemoryStorage>, World, String) {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(config(&storage));
    let options = TokenOptions { policies: vec!["root".to_owned()], ..TokenOptions::default() };
    let holder = world.root.tokens().create(options).unwrap().client_token.expose().to_owned();
    let session = world.vault.session(SecretString::copy_from(&holder));
    creds(&session).unwrap();
    creds(&session).unwrap();
    creds(&world.root).unwrap();
    // One that was ended by prefix: what comes now is of another era.
    role(&world.root, "rw", "{}");
    creds_of(&world.root, "rw").unwrap();
    ask(&world.root, Operation::Write, "sys/leases/revoke-prefix/database/creds/rw", "").unwrap();
    world.vault.tick().unwrap();
    creds_of(&world.root, "rw").unwrap();
    // Never handed out, and ended with its target away.
    world.target.plan(Duty::Create, &[Fault::UnknownDone]);
    creds(&world.root).err().unwrap();
    let ended = creds(&world.root).unwrap();
    world.target.plan(Duty::Revoke, &[Fault::Unreachable]);
    revoke(&world.root, &ended.lease_id, true).unwrap_err();
    (Arc::new(storage.copy()), world, holder)
}

/// A target with the accounts of another one.
fn copy_of(target: &Fake) -> Arc<Fake> {
    let copy = Fake::new();
    copy.state.lock().unwrap().accounts = target.state.lock().unwrap().accounts.clone();
    copy
}

/// Salvages a store, adopts it, and does something; the accounts that are left at its target a day after.
fn left_after(storage: &Arc<MemoryStorage>, old: &World, what: impl Fn(&World)) -> usize {
    let (clock, target) = (old.clock.clone(), copy_of(&old.target));
    clock.set(Timestamp::from_secs(START));
    let new = Config::in_memory().with_clock(clock.clone()).with_connector(target.clone());
    let (vault, _): (Vault, _) = doctor::salvage_with(&config(storage), &key(), new, &Options::new()).unwrap();
    vault.verify().unwrap();
    let token = vault.generate_root(&key()).unwrap();
    let world = World { root: vault.session(SecretString::copy_from(token.expose())), vault, token: String::new(), clock, target };
    ask(&world.root, Operation::Write, "sys/storage/adopt", "").unwrap();
    what(&world);
    settle(&world, 600);
    world.vault.verify().unwrap();
    world.target.accounts().len()
}

#[test]
fn whichever_record_of_an_index_is_lost_the_doctor_tells_it_and_a_salvage_lets_every_lease_end() {
    let (storage, old, holder) = store();
    let sound = doctor::examine(&config(&storage), Some(&key())).unwrap();
    assert_eq!(sound.verdict, Verdict::Sound, "{sound}");
    let accounts = old.target.accounts().len();
    assert_eq!(accounts, 6, "two of the token, two of root, one never handed out, one ended");
    let records = storage.scan(&[], None, 100_000).unwrap();
    let (mut told, mut lost) = (0, [0; 3]);
    for (at, (name, _)) in records.iter().enumerate() {
        if matches!(name.as_bytes(), b"header" | b"keyring") {
            continue;
        }
        let harmed = without(&storage, at);
        let report = doctor::examine(&config(&harmed), Some(&key())).unwrap();
        assert_ne!(report.verdict, Verdict::Sound, "record {at}");
        told += usize::from(report.has("lease-indexes"));
        // By their time; by prefix; with their token, which leaves those of root.
        let expired = left_after(&harmed, &old, |world| world.clock.set(Timestamp::from_secs(START + 800 * 3600)));
        let prefixed = left_after(&harmed, &old, |world| {
            ask(&world.root, Operation::Write, "sys/leases/revoke-prefix/database", "").unwrap();
        });
        let revoked = left_after(&harmed, &old, |world| {
            let session = world.vault.session(SecretString::copy_from(&holder));
            let _gone_already = session.tokens().revoke_self();
        });
        lost[0] += usize::from(expired > 0);
        lost[1] += usize::from(prefixed > 0);
        lost[2] += usize::from(revoked > 2);
    }
    // Where a lease's own record is gone, or its connection's, nothing tells of the account any more: five live or ended ones, one begun.
    let untold = accounts + 1;
    assert!(lost.iter().all(|count| *count <= untold), "{lost:?} of {untold}");
    assert!(told >= 4 * 4 + 2, "each lease has that many places at least: {told}");
}

#[test]
fn whichever_record_of_a_shared_account_is_lost_the_account_goes_with_what_is_left_of_its_leases() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(config(&storage));
    role(&world.root, "ro", r#"{"credential_sharing":"entity"}"#);
    world.root.policies().write("everything", r#"path "*" { capabilities = ["read", "update"] }"#).unwrap();
    let id = identities::entity(&world.root, "ann", "everything");
    identities::alias(&world.root, &id, "ann");
    identities::login_role(&world.root, "");
    let names =
        |storage: &MemoryStorage| -> Vec<_> { storage.scan(&[], None, 100_000).unwrap().into_iter().map(|(name, _)| name).collect() };
    let tokens = [0; 3].map(|_| identities::logged_in(&world.root, "ann", ""));
    let before = names(&storage);
    for token in &tokens {
        creds(&identities::session_of(&world.vault, token)).unwrap();
    }
    assert_eq!(world.target.accounts().len(), 1);
    let storage = Arc::new(storage.copy());
    let sound = doctor::examine(&config(&storage), Some(&key())).unwrap();
    assert_eq!(sound.verdict, Verdict::Sound, "{sound}");
    let (mut told, mut of_leases) = (0, 0);
    for (at, name) in names(&storage).iter().enumerate().filter(|(_, name)| !before.contains(name)) {
        let harmed = without(&storage, at);
        let report = doctor::examine(&config(&harmed), Some(&key())).unwrap();
        assert_ne!(report.verdict, Verdict::Sound, "record {at}");
        of_leases += 1;
        told += usize::from(report.has("lease-indexes"));
        let expired = left_after(&harmed, &world, |world| world.clock.set(Timestamp::from_secs(START + 800 * 3600)));
        let prefixed = left_after(&harmed, &world, |world| {
            ask(&world.root, Operation::Write, "sys/leases/revoke-prefix/database", "").unwrap();
        });
        assert_eq!((expired, prefixed), (0, 0), "{name:?}: the other leases tell of the account");
    }
    assert!(told >= 3 * 5 && of_leases > told, "a token, an entity, an account, a target and a time of each: {told} of {of_leases}");
}

//! What the doctor makes of version 1 mounts, cubbyholes, and what is being removed, in each namespace.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/harmed.rs"]
mod harmed;
#[path = "support/identities.rs"]
mod identities;
#[path = "support/mounts.rs"]
mod support;

use harmed::without;
use identities::{alias, entity, group, logged_in, login_role, told};
use std::sync::Arc;
use support::*;
use vault_core::doctor::{self, Options, Verdict};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Read, Storage};
use vault_core::types::{Code, Operation, SecretString};
use vault_core::{Config, Session, TokenOptions, UnsealKey, Vault};

const NAMESPACES: [&str; 2] = ["", "team"];
const SECRETS: [&str; 3] = ["a", "b/c", "b/d/e"];

fn config(storage: &Arc<MemoryStorage>) -> Config {
    Config::on(Arc::clone(storage) as Arc<dyn Storage>).with_audit_tail_bytes(1)
}

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

/// A store each of whose namespaces has secrets of version 1, a cubbyhole, and mounts that were removed and not yet swept; and the tokens of
/// the cubbyholes.
fn store() -> (Arc<MemoryStorage>, Vec<String>) {
    let storage = Arc::new(MemoryStorage::new());
    let world = create(config(&storage));
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    let tokens = NAMESPACES.iter().map(|namespace| {
        let session = world.root.namespace(namespace).unwrap();
        mount(&session, "old", "1").unwrap();
        for path in SECRETS {
            ask(&session, Operation::Write, &format!("old/{path}"), &format!(r#"{{"is":"{path}"}}"#)).unwrap();
        }
        let token = session.tokens().create(holding("default")).unwrap().client_token.expose().to_owned();
        ask(&holder(&world.vault, &token, namespace), Operation::Write, "cubbyhole/x/y", r#"{"mine":1}"#).unwrap();
        for version in ["1", "2"] {
            mount(&session, "m", version).unwrap();
            fill(&session, version, 6);
            unmount(&session, "m").unwrap();
        }
        token
    });
    let tokens = tokens.collect();
    world.vault.seal().unwrap();
    (Arc::new(storage.copy()), tokens)
}

fn holding(policy: &str) -> TokenOptions {
    TokenOptions { policies: vec![policy.to_owned()], ..TokenOptions::default() }
}

fn holder(vault: &Vault, token: &str, namespace: &str) -> Session {
    vault.session(SecretString::copy_from(token)).namespace(namespace).unwrap()
}

/// How many secrets of version 1 a namespace has.
fn old_secrets(root: &Session, namespace: &str) -> usize {
    let session = root.namespace(namespace).unwrap();
    let is_whole = |path: &&&str| read(&session, &format!("old/{path}")).is_ok_and(|data| data.get("is").unwrap().as_str() == Some(**path));
    SECRETS.iter().filter(is_whole).count()
}

fn salvaged(storage: &Arc<MemoryStorage>) -> (Vault, Session, doctor::SalvageReport) {
    let (vault, report) = doctor::salvage_with(&config(storage), &key(), Config::in_memory(), &Options::new().with_names()).unwrap();
    vault.verify().unwrap();
    let root = vault.session(vault.generate_root(&key()).unwrap());
    root.request(Operation::Write, "sys/storage/adopt", None).unwrap();
    (vault, root, report)
}

#[test]
fn a_salvage_keeps_version_1_and_cubbyholes_with_their_listings_and_nothing_of_what_is_being_removed() {
    let (storage, tokens) = store();
    let all = SECRETS.len() * NAMESPACES.len();
    let report = doctor::examine(&config(&storage), Some(&key())).unwrap();
    assert_eq!(report.verdict, Verdict::Sound, "{report}");
    assert_eq!(report.content.as_ref().unwrap().secrets, all as u64, "{report}");
    let (vault, root, report) = salvaged(&storage);
    assert!(report.is_complete() && report.nameless == 0, "{report}");
    let keys = |session: &Session, path: &str| text_of(ask(session, Operation::List, path, "").unwrap().data.unwrap().get("keys").unwrap());
    for (namespace, token) in NAMESPACES.iter().zip(&tokens) {
        assert_eq!(old_secrets(&root, namespace), SECRETS.len());
        let session = root.namespace(namespace).unwrap();
        assert_eq!((keys(&session, "old"), keys(&session, "old/b")), (r#"["a","b/"]"#.to_owned(), r#"["c","d/"]"#.to_owned()));
        let holder = holder(&vault, token, namespace);
        assert_eq!(keys(&holder, "cubbyhole/x"), r#"["y"]"#);
        read(&holder, "cubbyhole/x/y").unwrap();
        assert_eq!(code_of(read(&session, "sys/mounts/m")), Code::NotFound);
        ask(&session, Operation::Write, "old/new", r#"{"a":1}"#).unwrap();
    }
    for _ in 0..10 {
        vault.tick().unwrap();
    }
    vault.verify().unwrap();
}

#[test]
fn whichever_record_is_gone_at_most_what_it_held_is_lost() {
    let (storage, _) = store();
    let records = storage.scan(&[], None, 100_000).unwrap();
    let (mut incomplete, mut without_namespace) = (0, 0);
    for (at, (key, _)) in records.iter().enumerate() {
        if matches!(key.as_bytes(), b"header" | b"keyring") {
            continue;
        }
        let (vault, root, report) = salvaged(&without(&storage, at));
        let there = NAMESPACES.map(|namespace| old_secrets(&root, namespace));
        if report.namespaces_lost > 0 {
            assert_eq!(there, [SECRETS.len(), 0], "record {at}: {report}");
            without_namespace += 1;
        } else {
            let (there, all) = (there.iter().sum::<usize>(), SECRETS.len() * NAMESPACES.len());
            let told = report.damaged.len() + usize::try_from(report.nameless).unwrap();
            assert!(there + told >= all, "record {at}: {report}");
            incomplete += usize::from(there < all);
        }
        vault.tick().unwrap();
        vault.verify().unwrap();
    }
    assert!(incomplete >= SECRETS.len() * NAMESPACES.len(), "{incomplete}");
    assert_eq!(without_namespace, 1, "its keyring");
}

/// The records that are left once a token was left out with one that it has made in the namespace below, which has a cubbyhole or none.
fn records_without_the_token(with_cubbyhole: bool) -> u64 {
    let storage = Arc::new(MemoryStorage::new());
    let world = create(config(&storage));
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    world.root.policies().write("admin", "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"sudo\"] }").unwrap();
    let admin = world.root.tokens().create(holding("admin")).unwrap().client_token;
    let child = holder(&world.vault, admin.expose(), "team").tokens().create(holding("default")).unwrap().client_token;
    if with_cubbyhole {
        ask(&holder(&world.vault, child.expose(), "team"), Operation::Write, "cubbyhole/x/y", r#"{"mine":1}"#).unwrap();
    }
    world.vault.seal().unwrap();
    let count = storage.scan(&[], None, 100_000).unwrap().len();
    let lost = |at: usize| {
        let harmed = without(&storage, at);
        let lost_policy = doctor::examine(&config(&harmed), Some(&key())).unwrap().has("policies-lost");
        lost_policy.then(|| salvaged(&harmed)).filter(|(.., report)| report.tokens_dropped > 0)
    };
    let (vault, root, _) = (0..count).find_map(lost).unwrap();
    for _ in 0..40 {
        vault.tick().unwrap();
    }
    vault.verify().unwrap().records - root.audit().verify().unwrap().segments
}

#[test]
fn with_a_token_that_is_left_out_go_the_cubbyholes_of_those_that_it_has_made() {
    assert_eq!(records_without_the_token(true), records_without_the_token(false));
}

#[test]
fn roles_of_tokens_and_their_tokens_outlive_a_salvage_and_are_listed_wherever_they_are_there() {
    let storage = Arc::new(MemoryStorage::new());
    let world = create(config(&storage));
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    let tokens = NAMESPACES.map(|namespace| {
        let session = world.root.namespace(namespace).unwrap();
        ask(&session, Operation::Write, "auth/token/roles/app", r#"{"allowed_policies":"default","orphan":true}"#).unwrap();
        session.tokens().create_with_role("app", holding("default")).unwrap().client_token.expose().to_owned()
    });
    world.vault.seal().unwrap();
    let report = doctor::examine(&config(&storage), Some(&key())).unwrap();
    assert_eq!(report.verdict, Verdict::Sound, "{report}");

    let roles = |root: &Session, namespace: &str| {
        let session = root.namespace(namespace).unwrap();
        let is_there = read(&session, "auth/token/roles/app").is_ok();
        (is_there, ask(&session, Operation::List, "auth/token/roles", "").is_ok())
    };
    let (vault, root, _) = salvaged(&storage);
    for (namespace, token) in NAMESPACES.iter().zip(&tokens) {
        assert_eq!(roles(&root, namespace), (true, true), "{namespace}");
        let own = read(&holder(&vault, token, namespace), "auth/token/lookup-self").unwrap();
        assert_eq!(own.get("role").and_then(|role| role.as_str()), Some("app"), "{namespace}");
    }
    let mut lost = 0;
    for at in 0..storage.scan(&[], None, 100_000).unwrap().len() {
        let harmed = without(&storage, at);
        // Without its header or its root record nothing of a store can be had.
        let options = Options::new().with_names();
        let Ok((vault, _)) = doctor::salvage_with(&config(&harmed), &key(), Config::in_memory(), &options) else { continue };
        let root = vault.session(vault.generate_root(&key()).unwrap());
        let found = roles(&root, "");
        assert_eq!(found.0, found.1, "a role is listed where it is there: record {at}");
        lost += usize::from(!found.0);
    }
    assert_eq!(lost, 1, "its own record alone loses it");
}

/// A store with two entities in each namespace: one in a group that may read a secret, one in none; and the tokens of both.
fn store_of_identities() -> (Arc<MemoryStorage>, Vec<[String; 2]>) {
    let storage = Arc::new(MemoryStorage::new());
    let world = create(config(&storage));
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    let tokens = NAMESPACES.map(|namespace| {
        let session = world.root.namespace(namespace).unwrap();
        login_role(&session, "");
        session.policies().write("reader", r#"path "secret/data/x" { capabilities = ["read"] }"#).unwrap();
        put(&session, "secret", "x").unwrap();
        let people = ["ann", "bob"].map(|name| {
            let id = entity(&session, name, "");
            alias(&session, &id, name);
            id
        });
        group(&session, "readers", "reader", &[&people[0]]);
        ["ann", "bob"].map(|name| logged_in(&session, name, "").client_token.expose().to_owned())
    });
    world.vault.seal().unwrap();
    (Arc::new(storage.copy()), tokens.into())
}

#[test]
fn identities_outlive_a_salvage_and_whoever_lost_a_policy_or_a_group_is_disabled() {
    let (storage, tokens) = store_of_identities();
    assert_eq!(doctor::examine(&config(&storage), Some(&key())).unwrap().verdict, Verdict::Sound);
    let look = |session: &Session| read(session, "auth/token/lookup-self").is_ok();
    let reads = |session: &Session| session.kv("secret").get("x").is_ok();
    let (vault, root, report) = salvaged(&storage);
    assert!(report.is_complete(), "{report}");
    for (namespace, [ann, bob]) in NAMESPACES.iter().zip(&tokens) {
        let (ann, bob) = (holder(&vault, ann, namespace), holder(&vault, bob, namespace));
        assert_eq!([look(&ann), reads(&ann), look(&bob), reads(&bob)], [true, true, true, false]);
        let session = root.namespace(namespace).unwrap();
        for (path, names) in [("identity/entity/name", r#"["ann","bob"]"#), ("identity/group/name", r#"["readers"]"#)] {
            assert_eq!(text_of(ask(&session, Operation::List, path, "").unwrap().data.unwrap().get("keys").unwrap()), names);
        }
        assert_eq!(logged_in(&session, "ann", "").identity_policies, ["reader"]);
    }
    let (mut disabled, mut gone, mut listed_wrong) = (0, 0, 0);
    for at in 0..storage.scan(&[], None, 100_000).unwrap().len() {
        let harmed = without(&storage, at);
        let options = Options::new().with_names();
        let Ok((vault, report)) = doctor::salvage_with(&config(&harmed), &key(), Config::in_memory(), &options) else { continue };
        let root = vault.session(vault.generate_root(&key()).unwrap());
        let (ann, bob) = (holder(&vault, &tokens[0][0], ""), holder(&vault, &tokens[0][1], ""));
        let entity = read(&root, "identity/entity/name/ann");
        let listed = ask(&root, Operation::List, "identity/entity/name", "").map(|response| told(&response.data.unwrap(), "keys"));
        listed_wrong += usize::from(listed.unwrap_or_default().contains("ann") != entity.is_ok());
        match &entity {
            Err(_) => gone += 1,
            Ok(entity) => {
                let is_disabled = told(entity, "disabled") == "true";
                assert!(!is_disabled || report.entities_disabled == 1 && !report.is_complete(), "record {at}: {report}");
                disabled += usize::from(is_disabled);
            }
        }
        // Nobody reads more than before, whatever is gone.
        assert!(!reads(&bob), "record {at}");
        assert!(look(&ann) || entity.is_err() || !reads(&ann), "record {at}");
        vault.verify().unwrap();
    }
    assert_eq!((gone, listed_wrong), (1, 0), "its own record alone loses an entity");
    assert_eq!(disabled, 2, "without the record of the group, and without that of its policy");
}

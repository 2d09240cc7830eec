//! An emergency by entity: who has had what by which of its tokens, all of them held still at once, and what they have read rotated when they leave.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/identities.rs"]
mod identities;
#[path = "support/roles.rs"]
mod roles;
#[path = "support/target.rs"]
mod support;

use identities::{alias, entity, logged_in, login_role, member, session_of};
use roles::{account, role_of};
use support::*;
use vault_core::types::limits::EMERGENCY_NAMES_MAX;
use vault_core::types::{Code, Object, Operation, Timestamp, Value};
use vault_core::{ContainOptions, ReaderTokens, Session, Suspect};

fn text_of(value: &Value) -> String {
    String::from_utf8_lossy(&value.to_json()).into_owned()
}

/// The entity `ann`, who may do everything, and sessions of two of her tokens with their accessors.
fn ann(world: &World) -> (String, [(Session, String); 2]) {
    let everything = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#;
    world.root.policies().write("everything", everything).unwrap();
    let id = entity(&world.root, "ann", "everything");
    alias(&world.root, &id, "ann");
    login_role(&world.root, "");
    let tokens = [0; 2].map(|_| logged_in(&world.root, "ann", ""));
    (id, tokens.map(|auth| (session_of(&world.vault, &auth), auth.accessor)))
}

fn put(world: &World, name: &str) {
    world.root.kv("secret").put(name, Object::new().with("password", "from-before")).unwrap();
}

#[test]
fn a_look_by_entity_tells_what_all_of_its_tokens_have_read_and_a_containment_ends_them() {
    for by in ["name", "id", "deleted"] {
        let world = world();
        put(&world, "a");
        put(&world, "b");
        let (id, [(one, accessor), (other, silent)]) = ann(&world);
        one.kv("secret").get("a").unwrap();
        world.root.kv("secret").get("b").unwrap();
        let child = one.tokens().create(Default::default()).unwrap();
        world.vault.session(child.client_token).kv("secret").get("b").unwrap();
        creds(&one).unwrap();
        if by == "deleted" {
            ask(&world.root, Operation::Delete, "identity/entity/name/ann", "").unwrap();
        }
        let suspect = Suspect::Entity(if by == "name" { "Ann".to_owned() } else { id.clone() });
        let emergency = world.root.emergency();
        let exposure = emergency.look_at(&suspect, Timestamp::EPOCH).unwrap();
        let mut readers: Vec<_> = exposure.readers.iter().map(|reader| (reader.accessor.clone(), reader.reads)).collect();
        readers.sort();
        let mut expected = [(accessor, 2), (silent, 0), (child.accessor, 1)];
        expected.sort();
        assert_eq!(readers, expected, "{by}");
        assert_eq!((exposure.leases.len(), exposure.is_complete, exposure.next), (1, true, None));
        assert!(exposure.paths.contains(&"secret/data/a".to_owned()) && exposure.to_string().contains(&id), "{exposure}");
        let ended = emergency.contain(&exposure, 100).unwrap();
        assert_eq!((ended.left, ended.failed), (0, 0), "{ended}");
        world.vault.tick().unwrap();
        assert!(world.target.accounts().is_empty());
        if by != "deleted" {
            assert_eq!(other.tokens().lookup_self().unwrap_err().code(), Code::PermissionDenied);
        }
    }
    let world = world();
    let unknown = world.root.emergency().look_at(&Suspect::Entity("nobody".to_owned()), Timestamp::EPOCH);
    assert_eq!(unknown.unwrap_err().code(), Code::InvalidRequest);
}

#[test]
fn an_entity_in_quarantine_loses_its_leases_and_nothing_else_until_it_is_released() {
    let world = world();
    put(&world, "a");
    let (_, [(one, _), (other, _)]) = ann(&world);
    let leases = [&one, &other].map(|session| creds(session).unwrap().lease_id);
    let emergency = world.root.emergency();
    emergency.quarantine_entity("ann").unwrap();
    emergency.quarantine_entity("ann").unwrap();
    for (session, lease) in [&one, &other].into_iter().zip(&leases) {
        assert_eq!(session.kv("secret").get("a").unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(session.kv("secret").put("a", Object::new()).unwrap_err().code(), Code::PermissionDenied);
        assert!(lookup(&world.root, lease).is_err() && renew(&world.root, lease, 60).is_err());
    }
    assert!(!member(ask(&world.root, Operation::Read, "identity/entity/name/ann", ""), "quarantined").is_empty());
    world.vault.tick().unwrap();
    assert!(world.target.accounts().is_empty());
    // Whoever may write entities cannot let it go on by that.
    ask(&world.root, Operation::Write, "identity/entity/name/ann", r#"{"disabled":false}"#).unwrap();
    assert!(one.kv("secret").get("a").is_err());
    emergency.release_entity("ann").unwrap();
    one.kv("secret").get("a").unwrap();
    let lease = creds(&other).unwrap().lease_id;
    world.vault.tick().unwrap();
    assert!(lookup(&world.root, &lease).is_ok());
    assert_eq!(one.emergency().quarantine_entity("ann").unwrap_err().code(), Code::InvalidRequest, "not its own");
    for refused in [emergency.quarantine_entity("nobody"), emergency.release_entity("nobody")] {
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        assert!(!error.to_string().contains("pass the id"), "it takes no deleted one: {error}");
    }
    for verb in ["quarantine", "release"] {
        for data in [r#"{"accessor":"a","entity":"ann"}"#, r#"{"accessor":"","entity":""}"#, "{}"] {
            let error = ask(&world.root, Operation::Write, &format!("sys/emergency/{verb}"), data).unwrap_err();
            assert_eq!(error.code(), Code::InvalidData);
            assert!(error.to_string().contains("\"accessor\" and \"entity\""), "{verb} {data}: {error}");
        }
    }
    world.vault.verify().unwrap();
}

#[test]
fn an_entity_that_is_disabled_or_deleted_lets_what_its_tokens_have_read_be_rotated() {
    for ends in ["disable", "delete", "rename"] {
        let world = world();
        account(&world, "app", "from-before");
        role_of(&world, r#"{"db_name":"db","username":"app","rotation_period":"240h","rotate_when_reader_leaves":true}"#);
        let (_, [(one, _), _]) = ann(&world);
        ask(&one, Operation::Read, "database/static-creds/app", "").unwrap();
        let password = || world.target.state.lock().unwrap().accounts["app"].clone();
        let before = password();
        let path = "identity/entity/name/ann";
        match ends {
            "disable" => ask(&world.root, Operation::Write, path, r#"{"disabled":true}"#).map(drop),
            "delete" => ask(&world.root, Operation::Delete, path, "").map(drop),
            _ => ask(&world.root, Operation::Write, path, r#"{"metadata":{"a":"b"}}"#).map(drop),
        }
        .unwrap();
        settle(&world, 60);
        assert_eq!(password() != before, ends != "rename", "{ends}");
        if ends == "disable" {
            // Who comes back is noted anew.
            ask(&world.root, Operation::Write, path, r#"{"disabled":false}"#).unwrap();
            ask(&one, Operation::Read, "database/static-creds/app", "").unwrap();
            let before = password();
            ask(&world.root, Operation::Write, path, r#"{"disabled":true}"#).unwrap();
            settle(&world, 60);
            assert_ne!(password(), before);
        }
        world.vault.verify().unwrap();
    }
}

#[test]
fn decoys_hide_no_reader_from_the_next_page() {
    let world = world();
    world.root.policies().write("read", r#"path "secret/data/*" { capabilities = ["read"] }"#).unwrap();
    let options = || vault_core::TokenOptions { policies: vec!["read".to_owned()], ..Default::default() };
    let [decoy, hidden] = [0; 2].map(|_| world.root.tokens().create(options()).unwrap());
    let [decoys, hides] = [&decoy, &hidden].map(|auth| session_of(&world.vault, auth));
    for number in 0..EMERGENCY_NAMES_MAX {
        let name = format!("s{number}");
        world.root.kv("secret").put(&name, Object::new()).unwrap();
        decoys.kv("secret").get(&name).unwrap();
    }
    put(&world, "last");
    hides.kv("secret").get("last").unwrap();
    let emergency = world.root.emergency();
    let suspect = Suspect::Prefix("secret/".to_owned());
    let first = emergency.look_at(&suspect, Timestamp::EPOCH).unwrap();
    assert!(!first.is_complete && first.readers.iter().all(|reader| reader.accessor == decoy.accessor));
    assert!(first.to_string().contains("look on after"), "{}", first.timeline.last().unwrap());
    let second = emergency.look_on(&first).unwrap().unwrap();
    assert!(second.is_complete && second.after == first.next.unwrap());
    assert_eq!(second.readers.iter().map(|reader| reader.accessor.as_str()).collect::<Vec<_>>(), [hidden.accessor.as_str()]);
    assert!(emergency.look_on(&second).unwrap().is_none());
    let options = ContainOptions { tokens: ReaderTokens::Quarantine, ..ContainOptions::default() };
    assert_eq!(emergency.contain_with(&second, &options).unwrap().count("done"), 1);
    assert!(hides.kv("secret").get("last").is_err() && decoys.kv("secret").get("s1").is_ok());
}

//! What somebody tries who wants to be another one, or more than it is: names, namespaces, ends of entities, races, and what a request costs.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking, and races with threads")]

#[path = "support/identities.rs"]
mod identities;
#[path = "support/watched.rs"]
mod store;
#[path = "support/mounts.rs"]
mod support;

use identities::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use store::Watched;
use support::*;
use vault_core::storage::Storage;
use vault_core::types::{Class, Code, Operation, Path, Request, SecretString};
use vault_core::{Config, Session, Vault};

/// `ann`, with case, spaces, composition, width and dots.
const VARIANTS: [&str; 8] = ["Ann", "ANN", " ann ", "ann.", "a\u{ff4e}n", "\u{ff21}NN", "ann\u{a0}", "ann . "];

fn world_of_ann(policies: &str) -> (World, Session, String) {
    let world = world();
    login_role(&world.root, "");
    let ann = entity(&world.root, "ann", policies);
    alias(&world.root, &ann, "ann");
    let session = session_of(&world.vault, &logged_in(&world.root, "ann", ""));
    (world, session, ann)
}

fn is_denied(session: &Session) -> bool {
    match read(session, "auth/token/lookup-self") {
        Ok(_) => false,
        Err(error) => error.code() == Code::PermissionDenied,
    }
}

#[test]
fn variants_of_a_name_are_one_entity_one_group_and_one_alias() {
    let (world, _, ann) = world_of_ann("");
    let root = &world.root;
    let ops = group(root, "jos\u{e9}", "", &[]);
    for variant in ["jose\u{301}", "JOS\u{c9}", "Jose\u{301}. "] {
        assert_eq!(member(write(root, "identity/lookup/group", &format!(r#"{{"name":"{variant}"}}"#)), "id"), ops, "{variant:?}");
        assert!(write(root, "identity/group", &format!(r#"{{"name":"{variant}"}}"#)).unwrap().data.is_none(), "{variant:?}");
    }
    for variant in VARIANTS {
        assert!(write(root, "identity/entity", &format!(r#"{{"name":"{variant}"}}"#)).unwrap().data.is_none(), "{variant:?}");
        assert_eq!(told(&read(root, &format!("identity/entity/name/{variant}")).unwrap(), "id"), ann, "{variant:?}");
        assert_eq!(logged_in(root, variant, "").entity_id, ann, "{variant:?}");
        let body = format!(r#"{{"alias_name":"{variant}","alias_mount_accessor":"auth_token"}}"#);
        assert_eq!(member(write(root, "identity/lookup/entity", &body), "id"), ann, "{variant:?}");
    }
    for hidden in ["a\u{200b}nn", "ann\u{ad}", "\u{202e}ann", "ann\u{feff}"] {
        for (path, body) in [
            ("identity/entity", format!(r#"{{"name":"{hidden}"}}"#)),
            ("identity/group", format!(r#"{{"name":"{hidden}"}}"#)),
            ("identity/entity-alias", format!(r#"{{"name":"{hidden}","mount_accessor":"auth_token"}}"#)),
            ("auth/token/create/login", format!(r#"{{"entity_alias":"{hidden}"}}"#)),
        ] {
            assert_eq!(write(root, path, &body).unwrap_err().class(), Class::InvalidRequest, "{path} {hidden:?}");
        }
    }
    let listed = ask(root, Operation::List, "identity/entity/name", "").unwrap().data.unwrap();
    assert_eq!(told(&listed, "keys"), r#"["ann"]"#);
}

#[test]
fn letters_with_several_lower_cases_make_no_second_identity() {
    let (world, _, _) = world_of_ann("");
    let sigma = entity(&world.root, "\u{391}\u{3a3}", "");
    for variant in ["\u{3b1}\u{3c3}", "\u{3b1}\u{3c2}", "\u{391}\u{3c2}"] {
        let found = write(&world.root, "identity/lookup/entity", &format!(r#"{{"name":"{variant}"}}"#));
        assert_eq!(member(found, "id"), sigma, "{variant:?}");
    }
}

#[test]
fn no_spelling_of_an_identitys_name_or_id_slips_past_a_rule_for_it() {
    let (world, _, ann) = world_of_ann("");
    group(&world.root, "ann", "", &[]);
    let held = token_with(
        &world,
        &format!(
            r#"path "identity/*" {{ capabilities = ["read", "update", "delete"] }}
               path "identity/entity/name/ann" {{ capabilities = ["deny"] }}
               path "identity/group/name/ann" {{ capabilities = ["deny"] }}
               path "identity/entity/id/{ann}" {{ capabilities = ["deny"] }}"#
        ),
    );
    for variant in VARIANTS.into_iter().chain(["ann"]) {
        for folder in ["identity/entity/name", "identity/group/name"] {
            let path = format!("{folder}/{variant}");
            assert_eq!(code_of(read(&held, &path)), Code::PermissionDenied, "{path:?}");
            assert_eq!(code_of(write(&held, &path, r#"{"policies":"p"}"#)), Code::PermissionDenied, "{path:?}");
            assert_eq!(code_of(delete(&held, &path)), Code::PermissionDenied, "{path:?}");
        }
    }
    assert_eq!(code_of(read(&held, &format!("identity/entity/id/{ann}"))), Code::PermissionDenied);
    for id in [ann.to_uppercase(), ann.replace('-', ""), format!("{{{ann}}}"), format!("urn:uuid:{ann}"), format!("{ann} ")] {
        assert_eq!(code_of(read(&held, &format!("identity/entity/id/{id}"))), Code::NotFound, "{id}");
        assert_eq!(code_of(write(&held, &format!("identity/entity/id/{id}"), "{}")), Code::InvalidRequest, "{id}");
        delete(&held, &format!("identity/entity/id/{id}")).unwrap();
    }
    read(&world.root, &format!("identity/entity/id/{ann}")).unwrap();
}

#[test]
fn root_is_given_by_no_identity_in_any_spelling() {
    let (world, session, ann) = world_of_ann("");
    let root = &world.root;
    for spelling in [
        "root",
        "ROOT",
        " root ",
        "\\troot\\n",
        "\u{ff52}oot",
        "root.",
        "ro\u{200b}ot",
        "r\u{43e}ot",
        "response-wrapping",
        "Response-Wrapping ",
    ] {
        for policies in [format!(r#"["{spelling}"]"#), format!(r#"["p", "{spelling}"]"#), format!(r#""p,{spelling}""#)] {
            for path in ["identity/entity/name/ann", "identity/group", "identity/group/name/g"] {
                let body = format!(r#"{{"policies":{policies}}}"#);
                match write(root, path, &body) {
                    Err(error) => assert_eq!(error.class(), Class::InvalidRequest, "{path} {body}"),
                    // Another name, which is not root's.
                    Ok(_) => assert_eq!(spelling, "root.", "{path} {body}"),
                }
            }
        }
    }
    write(root, "identity/group/name/g", &format!(r#"{{"member_entity_ids":["{ann}"]}}"#)).unwrap();
    assert_eq!(code_of(read(&session, "sys/mounts")), Code::PermissionDenied);
    let look = read(&session, "auth/token/lookup-self").unwrap();
    assert!(!told(&look, "identity_policies").contains("\"root\""));
}

#[test]
fn the_tokens_of_a_disabled_or_deleted_entity_are_refused_at_once_children_and_batch_tokens_too() {
    let (world, session, ann) = world_of_ann("");
    let root = &world.root;
    root.policies()
        .write(
            "base",
            r#"path "auth/token/*" { capabilities = ["read", "update"] } path "secret/*" { capabilities = ["create", "update", "read"] }"#,
        )
        .unwrap();
    let make = |session: &Session, body: &str| write(session, "auth/token/create", body).unwrap().auth.unwrap();
    let child = session_of(&world.vault, &make(&session, "{}"));
    let grandchild = session_of(&world.vault, &make(&child, r#"{"num_uses":50}"#));
    let batch = session_of(&world.vault, &make(&child, r#"{"type":"batch"}"#));
    let alone = session_of(&world.vault, &logged_in(root, "ann", r#","type":"batch","no_parent":true"#));
    let all = [&session, &child, &grandchild, &batch, &alone];
    put(&session, "secret", "x").unwrap();
    let secret = session.live("secret/data/x").unwrap();
    secret.get().unwrap();
    for session in all {
        assert!(!is_denied(session));
    }
    write(root, "identity/entity/name/ann", r#"{"disabled":true}"#).unwrap();
    assert!(!secret.is_current());
    assert_eq!(code_of(secret.get()), Code::PermissionDenied);
    for session in all {
        for (operation, path) in [
            (Operation::Read, "auth/token/lookup-self"),
            (Operation::Read, "secret/data/x"),
            (Operation::Write, "secret/data/x"),
            (Operation::Write, "auth/token/renew-self"),
            (Operation::Write, "auth/token/create"),
            (Operation::Read, "sys/internal/ui/mounts"),
        ] {
            let error = ask(session, operation, path, r#"{"data":{"a":1}}"#).unwrap_err();
            assert_eq!((error.code(), error.to_string()), (Code::PermissionDenied, "permission denied".to_owned()), "{path}");
        }
    }
    let capabilities = write(root, "sys/capabilities", &format!(r#"{{"token":"{}","path":"secret/data/x"}}"#, text_token(&world)));
    assert_eq!(told(&capabilities.unwrap().data.unwrap(), "capabilities"), r#"["deny"]"#);
    write(root, &format!("identity/entity/id/{ann}"), r#"{"disabled":false}"#).unwrap();
    for session in all {
        assert!(!is_denied(session), "it is as it was");
    }
    delete(root, "identity/entity/name/ann").unwrap();
    for session in all {
        assert!(is_denied(session));
    }
    // Another one of the same name is another one.
    let second = entity(root, "ann", "");
    alias(root, &second, "ann");
    for session in all {
        assert!(is_denied(session));
    }
    // Whoever may revoke tokens still can.
    root.tokens().accessors(None, 0).unwrap();
    world.vault.verify().unwrap();
}

/// A token of the disabled entity `ann`.
fn text_token(world: &World) -> String {
    write(&world.root, "identity/entity/name/ann", r#"{"disabled":false}"#).unwrap();
    let auth = logged_in(&world.root, "ann", "");
    write(&world.root, "identity/entity/name/ann", r#"{"disabled":true}"#).unwrap();
    auth.client_token.expose().to_owned()
}

#[test]
fn an_identity_of_one_namespace_is_none_in_another_by_any_verb() {
    let world = world();
    for path in ["a", "b"] {
        write(&world.root, &format!("sys/namespaces/{path}"), "").unwrap();
    }
    write(&world.root.namespace("a").unwrap(), "sys/namespaces/below", "").unwrap();
    let spaces = ["", "a", "b", "a/below"].map(|path| world.root.namespace(path).unwrap());
    let ids: Vec<[String; 3]> = spaces
        .iter()
        .map(|session| {
            login_role(session, "");
            let ann = entity(session, "ann", "");
            let alias = alias(session, &ann, "ann");
            let ops = group(session, "ops", "", &[&ann]);
            [ann, alias, ops]
        })
        .collect();
    for (at, session) in spaces.iter().enumerate() {
        for (of, [ann, alias, ops]) in ids.iter().enumerate().filter(|(of, _)| *of != at) {
            for (kind, id) in [("entity", ann), ("entity-alias", alias), ("group", ops)] {
                let path = format!("identity/{kind}/id/{id}");
                assert_eq!(code_of(read(session, &path)), Code::NotFound, "{kind} of {of} at {at}");
                assert_eq!(code_of(write(session, &path, "{}")), Code::InvalidRequest, "{kind} of {of} at {at}");
                delete(session, &path).unwrap();
            }
            for (path, body) in [
                ("identity/lookup/entity", format!(r#"{{"id":"{ann}"}}"#)),
                ("identity/lookup/entity", format!(r#"{{"alias_id":"{alias}"}}"#)),
                ("identity/lookup/group", format!(r#"{{"id":"{ops}"}}"#)),
            ] {
                assert!(write(session, path, &body).unwrap().data.is_none(), "{path} {of} {at}");
            }
            for (path, body) in [
                ("identity/entity", format!(r#"{{"id":"{ann}"}}"#)),
                ("identity/entity-alias", format!(r#"{{"id":"{alias}"}}"#)),
                ("identity/entity-alias", format!(r#"{{"name":"x","mount_accessor":"auth_token","canonical_id":"{ann}"}}"#)),
                ("identity/group", format!(r#"{{"name":"x","member_entity_ids":["{ann}"]}}"#)),
                ("identity/group", format!(r#"{{"name":"x","member_group_ids":["{ops}"]}}"#)),
                ("identity/group", format!(r#"{{"id":"{ops}"}}"#)),
            ] {
                assert_eq!(write(session, path, &body).unwrap_err().class(), Class::InvalidRequest, "{path} {of} {at}");
            }
        }
        assert_eq!(logged_in(session, "ann", "").entity_id, ids[at][0]);
    }
    for (session, [ann, alias, ops]) in spaces.iter().zip(&ids) {
        for (kind, id) in [("entity", ann), ("entity-alias", alias), ("group", ops)] {
            read(session, &format!("identity/{kind}/id/{id}")).unwrap();
        }
    }
    assert_eq!(told(read(&world.root, "sys/internal/counters/entities").unwrap().get("counters").unwrap(), "entities"), r#"{"total":4}"#);
    delete(&world.root, "sys/namespaces/b").unwrap();
    world.vault.verify().unwrap();
}

#[test]
fn the_policies_of_an_entity_stay_in_its_namespace_and_its_end_reaches_tokens_below() {
    let world = world();
    let root = &world.root;
    login_role(root, "");
    write(root, "sys/namespaces/team", "").unwrap();
    let team = root.namespace("team").unwrap();
    put(&team, "secret", "x").unwrap();
    // The policy of the same name says more in the namespace below.
    root.policies().write("p", r#"path "team/auth/token/create" { capabilities = ["update", "sudo"] }"#).unwrap();
    team.policies().write("p", r#"path "secret/*" { capabilities = ["read"] }"#).unwrap();
    team.policies().write("q", r#"path "secret/data/{{identity.entity.name}}" { capabilities = ["read"] }"#).unwrap();
    put(&team, "secret", "ann").unwrap();
    let ann = entity(root, "ann", "p");
    alias(root, &ann, "ann");
    let session = session_of(&world.vault, &logged_in(root, "ann", ""));
    let below = session.namespace("team").unwrap();
    assert_eq!(code_of(below.kv("secret").get("x")), Code::PermissionDenied);
    let made = write(&below, "auth/token/create", r#"{"policies":"q","no_default_policy":true}"#).unwrap().auth.unwrap();
    assert_eq!((made.entity_id.as_str(), made.identity_policies.len()), (ann.as_str(), 0));
    let held = session_of(&world.vault, &made).namespace("team").unwrap();
    for path in ["x", "ann"] {
        assert_eq!(code_of(held.kv("secret").get(path)), Code::PermissionDenied, "{path}");
    }
    team.policies().write("q", r#"path "secret/data/x" { capabilities = ["read"] }"#).unwrap();
    held.kv("secret").get("x").unwrap();
    write(root, "identity/entity/name/ann", r#"{"disabled":true}"#).unwrap();
    assert_eq!(code_of(held.kv("secret").get("x")), Code::PermissionDenied);
}

fn watched() -> (World, Arc<Watched>) {
    let storage = Arc::new(Watched::default());
    let world = create(Config::on(Arc::clone(&storage) as Arc<dyn Storage>));
    login_role(&world.root, "");
    world.root.policies().write("base", r#"path "secret/*" { capabilities = ["create", "update", "read"] }"#).unwrap();
    put(&world.root, "secret", "x").unwrap();
    (world, storage)
}

/// Records that are read by so many requests of a kind, made by a session and each by its token anew.
fn cost(storage: &Watched, vault: &Vault, token: &str, operation: Operation, requests: u64) -> [u64; 2] {
    let data = || match operation {
        Operation::Write => Some(vault_core::types::Value::from_json(br#"{"data":{"a":1}}"#).unwrap()),
        _ => None,
    };
    let session = vault.session(SecretString::copy_from(token));
    let by_session = || drop(session.request(operation, "secret/data/x", data()).unwrap());
    let by_token = || {
        let mut request = Request::new(operation, Path::parse("secret/data/x").unwrap());
        request.token = Some(SecretString::copy_from(token));
        request.data = data();
        drop(vault.handle(request).into_result().unwrap());
    };
    let counted = |work: &dyn Fn()| {
        work();
        let before = storage.records_read();
        (0..requests).for_each(|_| work());
        storage.records_read() - before
    };
    [counted(&by_session), counted(&by_token)]
}

#[test]
fn a_request_reads_nothing_of_identities_while_none_is_changed() {
    let (world, storage) = watched();
    let ann = entity(&world.root, "ann", "base");
    alias(&world.root, &ann, "ann");
    group(&world.root, "ops", "base", &[&ann]);
    let of_ann = logged_in(&world.root, "ann", "").client_token.expose().to_owned();
    let plain = write(&world.root, "auth/token/create-orphan", r#"{"policies":"base","no_default_policy":true}"#).unwrap().auth.unwrap();
    let plain = plain.client_token.expose().to_owned();
    // As many versions as are kept: each further one costs the same.
    for _ in 0..20 {
        put(&world.root, "secret", "x").unwrap();
    }
    for operation in [Operation::Read, Operation::Write] {
        let costs = [&plain, &of_ann].map(|token| cost(&storage, &world.vault, token, operation, 20));
        // The commit of a write compares the entity's record by the hash that the leader has of it.
        assert_eq!(costs[0], costs[1], "{operation:?}");
    }
    // A template is filled in once.
    world.root.policies().write("base", r#"path "secret/data/x" { capabilities = ["update", "read"] } path "secret/{{identity.entity.name}}" { capabilities = ["read"] }"#).unwrap();
    let costs = [&plain, &of_ann].map(|token| cost(&storage, &world.vault, token, Operation::Read, 20));
    assert_eq!(costs[0], costs[1]);
}

/// As long as the end of an entity may take; one that takes longer waits for a lock.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn a_write_under_way_is_not_committed_behind_the_end_of_its_entity() {
    for end in [r#"{"disabled":true}"#, ""] {
        let mut refused = 0;
        for read in 1.. {
            let (world, storage) = watched();
            let ann = entity(&world.root, "ann", "");
            alias(&world.root, &ann, "ann");
            let session = session_of(&world.vault, &logged_in(&world.root, "ann", ""));
            put(&session, "secret", "x").unwrap();
            let root = world.vault.session(SecretString::copy_from(&world.token));
            let (waits, (tell, told)) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
            let waited = Arc::clone(&waits);
            storage.behind(
                read,
                Box::new(move || {
                    std::thread::spawn(move || {
                        let path = "identity/entity/name/ann";
                        let ended = if end.is_empty() { delete(&root, path) } else { write(&root, path, end).map(drop) };
                        tell.send(ended.is_ok()).unwrap_or_default();
                    });
                    waited.store(told.recv_timeout(PATIENCE).is_err(), Ordering::SeqCst);
                }),
            );
            let outcome = put(&session, "secret", "x").map_err(|error| error.code());
            if waits.load(Ordering::SeqCst) || !storage.is_over() {
                break;
            }
            assert_eq!(outcome, Err(Code::PermissionDenied), "read {read}");
            assert_eq!(world.root.kv("secret").get("x").unwrap().version.version, 2);
            refused += 1;
        }
        assert!(refused > 3, "the end never came between");
    }
}

#[test]
fn a_roll_of_the_keys_keeps_no_token_of_an_entity_from_writing() {
    let (world, session, _) = world_of_ann("");
    let root = &world.root;
    root.policies().write("base", r#"path "secret/*" { capabilities = ["create", "update", "read"] }"#).unwrap();
    put(&session, "secret", "x").unwrap();
    for _ in 0..3 {
        write(root, "sys/rotate", "").unwrap();
        for _ in 0..20 {
            world.vault.tick().unwrap();
        }
        for _ in 0..3 {
            put(&session, "secret", "x").unwrap();
        }
    }
    world.vault.verify().unwrap();
}

#[test]
fn of_many_threads_that_name_somebody_new_all_mean_the_same_one() {
    let world = world();
    login_role(&world.root, "");
    let ids: Vec<String> = std::thread::scope(|scope| {
        let threads = VARIANTS.map(|variant| {
            let root = world.vault.session(SecretString::copy_from(&world.token));
            scope.spawn(move || {
                write(&root, "identity/entity", &format!(r#"{{"name":"{variant}"}}"#)).unwrap();
                logged_in(&root, variant, "").entity_id
            })
        });
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let names = ask(&world.root, Operation::List, "identity/entity/name", "").unwrap().data.unwrap();
    // The one that was written, and the one of the alias, which is another's until somebody says so.
    assert_eq!(names.get("keys").unwrap().as_array().unwrap().len(), 2);
    world.vault.verify().unwrap();
}

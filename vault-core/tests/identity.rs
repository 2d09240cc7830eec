//! Entities, aliases and groups by requests, and tokens of them; as users of Vault and OpenBao know them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/identities.rs"]
mod identities;
#[path = "support/mounts.rs"]
mod support;

use identities::*;
use support::*;
use vault_core::types::limits::{GROUPS_PER_MEMBER_MAX, IDENTITY_POLICIES_MAX};
use vault_core::types::{Class, Code, Operation, Ttl};
use vault_core::{Config, UnsealKey};

fn keys(session: &vault_core::Session, path: &str) -> String {
    text_of(ask(session, Operation::List, path, "").unwrap().data.unwrap().get("keys").unwrap())
}

#[test]
fn an_entity_is_made_shown_changed_listed_and_deleted_by_its_id_and_by_its_name() {
    let world = world();
    let root = &world.root;
    assert_eq!(code_of(ask(root, Operation::List, "identity/entity/id", "")), Code::NotFound);
    let made = write(root, "identity/entity", r#"{"name":"Ann","metadata":{"team":"ops"},"policies":["B","a","a"]}"#);
    let made = made.unwrap().data.unwrap();
    let id = told(&made, "id");
    assert_eq!((told(&made, "name"), told(&made, "aliases")), ("ann".to_owned(), "null".to_owned()));
    assert_eq!(id.len(), 36);
    world.clock.advance(Ttl::from_secs(60));
    assert!(write(root, &format!("identity/entity/id/{id}"), r#"{"metadata":{"team":"dev"}}"#).unwrap().data.is_none(), "no content");
    for path in [format!("identity/entity/id/{id}"), "identity/entity/name/ann".to_owned()] {
        let entity = read(root, &path).unwrap();
        for (name, text) in [
            ("id", id.as_str()),
            ("name", "ann"),
            ("policies", r#"["a","b"]"#),
            ("metadata", r#"{"team":"dev"}"#),
            ("disabled", "false"),
            ("aliases", "[]"),
            ("group_ids", "[]"),
            ("direct_group_ids", "[]"),
            ("inherited_group_ids", "[]"),
            ("merged_entity_ids", "null"),
            ("creation_time", "2026-11-23T18:04:00Z"),
            ("last_update_time", "2026-11-23T18:05:00Z"),
            ("namespace_id", "root"),
        ] {
            assert_eq!(told(&entity, name), text, "{name}");
        }
    }
    // The same name is the same entity, and by its id it gets another one.
    assert!(write(root, "identity/entity", r#"{"name":" ANN.","disabled":true}"#).unwrap().data.is_none());
    assert_eq!(told(&read(root, "identity/entity/name/ann").unwrap(), "disabled"), "true");
    write(root, "identity/entity", &format!(r#"{{"id":"{id}","name":"Anna"}}"#)).unwrap();
    assert_eq!(code_of(read(root, "identity/entity/name/ann")), Code::NotFound);
    assert_eq!(told(&read(root, "identity/entity/name/anna").unwrap(), "id"), id);
    let unnamed = write(root, "identity/entity", "{}").unwrap().data.unwrap();
    assert!(told(&unnamed, "name").starts_with("entity_"));
    let bob = member(write(root, "identity/entity/name/bob", "{}"), "id");
    assert_eq!(code_of(write(root, &format!("identity/entity/id/{bob}"), r#"{"name":"anna"}"#)), Code::InvalidRequest, "a name has one");
    assert_eq!(keys(root, "identity/entity/name"), format!(r#"["anna","bob","{}"]"#, told(&unnamed, "name")));
    let listed = ask(root, Operation::List, "identity/entity/id", r#"{"limit":2}"#).unwrap().data.unwrap();
    assert_eq!(listed.get("keys").unwrap().as_array().unwrap().len(), 2);
    let all = ask(root, Operation::List, "identity/entity/id/", "").unwrap().data.unwrap();
    assert_eq!(told(all.get("key_info").unwrap().get(&id).unwrap(), "name"), "anna");
    assert_eq!(told(read(root, "sys/internal/counters/entities").unwrap().get("counters").unwrap(), "entities"), r#"{"total":3}"#);
    delete(root, &format!("identity/entity/id/{id}")).unwrap();
    delete(root, "identity/entity/name/bob").unwrap();
    for path in [format!("identity/entity/id/{id}"), "identity/entity/name/anna".to_owned(), "identity/entity/name/bob".to_owned()] {
        assert_eq!(code_of(read(root, &path)), Code::NotFound);
        delete(root, &path).unwrap();
    }
    delete(root, &format!("identity/entity/id/{}", told(&unnamed, "id"))).unwrap();
    assert_eq!(code_of(ask(root, Operation::List, "identity/entity/id", "")), Code::NotFound, "nothing is left");
    world.vault.verify().unwrap();
}

#[test]
fn an_alias_names_its_entity_at_an_auth_method_and_goes_with_it() {
    let world = world();
    let root = &world.root;
    let ann = entity(root, "ann", "");
    let id = alias(root, &ann, "Ann@Example.org");
    let shown = read(root, &format!("identity/entity-alias/id/{id}")).unwrap();
    for (name, text) in [
        ("id", id.as_str()),
        ("canonical_id", ann.as_str()),
        ("name", "ann@example.org"),
        ("mount_accessor", "auth_token"),
        ("mount_path", "auth/token/"),
        ("mount_type", "token"),
        ("local", "false"),
        ("custom_metadata", "{}"),
    ] {
        assert_eq!(told(&shown, name), text, "{name}");
    }
    let of_entity = read(root, &format!("identity/entity/id/{ann}")).unwrap();
    assert_eq!(told(&of_entity.get("aliases").unwrap().as_array().unwrap()[0], "id"), id);
    for body in [
        format!(r#"{{"id":"{ann}"}}"#),
        r#"{"name":"ANN"}"#.to_owned(),
        format!(r#"{{"alias_id":"{id}"}}"#),
        r#"{"alias_name":"ann@example.org","alias_mount_accessor":"auth_token"}"#.to_owned(),
    ] {
        assert_eq!(member(write(root, "identity/lookup/entity", &body), "id"), ann, "{body}");
    }
    for body in [r#"{"name":"nobody"}"#, r#"{"alias_id":"x"}"#, r#"{"alias_name":"ann","alias_mount_accessor":"auth_token"}"#] {
        assert!(write(root, "identity/lookup/entity", body).unwrap().data.is_none(), "{body}");
    }
    for body in ["{}", r#"{"id":"x","name":"y"}"#, r#"{"alias_name":"ann"}"#] {
        assert_eq!(write(root, "identity/lookup/entity", body).unwrap_err().class(), Class::InvalidRequest, "{body}");
    }
    // The same name at the same method is the same alias; another entity gets it when the request says so.
    let again =
        write(root, "identity/entity-alias", r#"{"name":"ANN@example.org","mount_accessor":"auth_token","custom_metadata":{"a":"b"}}"#);
    assert_eq!(member(again, "id"), id);
    assert_eq!(told(&read(root, &format!("identity/entity-alias/id/{id}")).unwrap(), "custom_metadata"), r#"{"a":"b"}"#);
    let second = format!(r#"{{"name":"second","canonical_id":"{ann}","mount_accessor":"auth_token"}}"#);
    assert_eq!(code_of(write(root, "identity/entity-alias", &second)), Code::InvalidRequest, "one at each method");
    let bob = entity(root, "bob", "");
    let moved = write(root, &format!("identity/entity-alias/id/{id}"), &format!(r#"{{"canonical_id":"{bob}","name":"bob"}}"#));
    assert_eq!(member(moved, "canonical_id"), bob);
    assert_eq!(told(&read(root, &format!("identity/entity/id/{ann}")).unwrap(), "aliases"), "[]");
    assert!(
        write(root, "identity/lookup/entity", r#"{"alias_name":"ann@example.org","alias_mount_accessor":"auth_token"}"#)
            .unwrap()
            .data
            .is_none()
    );
    // Without an entity one is made.
    let made = write(root, "identity/entity-alias", r#"{"name":"eve","mount_accessor":"auth_token"}"#).unwrap().data.unwrap();
    let eve = told(&made, "canonical_id");
    assert!(told(&read(root, &format!("identity/entity/id/{eve}")).unwrap(), "name").starts_with("entity_"));
    let taken = write(root, &format!("identity/entity-alias/id/{}", told(&made, "id")), r#"{"name":"bob"}"#);
    assert_eq!(code_of(taken), Code::InvalidRequest);
    for body in [
        r#"{"name":"x"}"#.to_owned(),
        r#"{"name":"x","mount_accessor":"auth_userpass_1"}"#.to_owned(),
        r#"{"mount_accessor":"auth_token"}"#.to_owned(),
        r#"{"name":"x","mount_accessor":"auth_token","canonical_id":"x"}"#.to_owned(),
        r#"{"name":"x","mount_accessor":"auth_token","other":1}"#.to_owned(),
    ] {
        assert_eq!(write(root, "identity/entity-alias", &body).unwrap_err().class(), Class::InvalidRequest, "{body}");
    }
    let listed = ask(root, Operation::List, "identity/entity-alias/id", "").unwrap().data.unwrap();
    assert_eq!(told(listed.get("key_info").unwrap().get(&id).unwrap(), "canonical_id"), bob);
    delete(root, &format!("identity/entity-alias/id/{}", told(&made, "id"))).unwrap();
    delete(root, &format!("identity/entity/id/{bob}")).unwrap();
    assert_eq!(code_of(ask(root, Operation::List, "identity/entity-alias/id", "")), Code::NotFound);
    assert_eq!(code_of(read(root, &format!("identity/entity-alias/id/{id}"))), Code::NotFound);
    world.vault.verify().unwrap();
}

#[test]
fn a_group_has_entities_and_groups_and_never_itself_below_itself() {
    let world = world();
    let root = &world.root;
    let (ann, bob) = (entity(root, "ann", ""), entity(root, "bob", ""));
    let inner = group(root, "Inner", "p", &[&ann, &bob]);
    let body = format!(r#"{{"name":"outer","member_group_ids":"{inner}","metadata":{{"a":"b"}},"type":"internal"}}"#);
    let outer = member(write(root, "identity/group", &body), "id");
    let shown = read(root, "identity/group/name/OUTER").unwrap();
    for (name, text) in [
        ("id", outer.clone()),
        ("name", "outer".to_owned()),
        ("type", "internal".to_owned()),
        ("member_group_ids", format!(r#"["{inner}"]"#)),
        ("member_entity_ids", "[]".to_owned()),
        ("metadata", r#"{"a":"b"}"#.to_owned()),
        ("policies", "[]".to_owned()),
        ("parent_group_ids", "[]".to_owned()),
        ("modify_index", "1".to_owned()),
        ("alias", "{}".to_owned()),
        ("namespace_id", "root".to_owned()),
    ] {
        assert_eq!(told(&shown, name), text, "{name}");
    }
    assert_eq!(told(&read(root, &format!("identity/group/id/{inner}")).unwrap(), "parent_group_ids"), format!(r#"["{outer}"]"#));
    let of_ann = read(root, "identity/entity/name/ann").unwrap();
    assert_eq!(told(&of_ann, "direct_group_ids"), format!(r#"["{inner}"]"#));
    assert_eq!(told(&of_ann, "inherited_group_ids"), format!(r#"["{outer}"]"#));
    assert_eq!(told(&of_ann, "group_ids"), format!(r#"["{inner}","{outer}"]"#));
    assert_eq!(member(write(root, "identity/lookup/group", r#"{"name":"inner"}"#), "id"), inner);
    assert!(write(root, "identity/lookup/group", r#"{"id":"x"}"#).unwrap().data.is_none());
    let listed = ask(root, Operation::List, "identity/group/id", "").unwrap().data.unwrap();
    assert_eq!(told(listed.get("key_info").unwrap().get(&inner).unwrap(), "num_member_entities"), "2");
    assert_eq!(keys(root, "identity/group/name"), r#"["inner","outer"]"#);
    for (path, body) in [
        (format!("identity/group/id/{inner}"), format!(r#"{{"member_group_ids":["{outer}"]}}"#)),
        (format!("identity/group/id/{inner}"), format!(r#"{{"member_group_ids":["{inner}"]}}"#)),
        (format!("identity/group/id/{inner}"), format!(r#"{{"member_group_ids":["{ann}"]}}"#)),
        (format!("identity/group/id/{inner}"), r#"{"member_entity_ids":["x"]}"#.to_owned()),
        ("identity/group".to_owned(), r#"{"name":"other","type":"external"}"#.to_owned()),
        (format!("identity/group/id/{outer}"), r#"{"name":"inner"}"#.to_owned()),
        ("identity/group/id/x".to_owned(), "{}".to_owned()),
    ] {
        assert_eq!(write(root, &path, &body).unwrap_err().class(), Class::InvalidRequest, "{body}");
    }
    // Who is gone is in no group, and whose group is gone is in none.
    delete(root, &format!("identity/entity/id/{bob}")).unwrap();
    assert_eq!(told(&read(root, "identity/group/name/inner").unwrap(), "member_entity_ids"), format!(r#"["{ann}"]"#));
    write(root, "identity/group/name/inner", r#"{"member_entity_ids":[]}"#).unwrap();
    assert_eq!(told(&read(root, "identity/entity/name/ann").unwrap(), "group_ids"), "[]");
    delete(root, "identity/group/name/inner").unwrap();
    assert_eq!(told(&read(root, "identity/group/name/outer").unwrap(), "member_group_ids"), "[]");
    delete(root, &format!("identity/group/id/{outer}")).unwrap();
    assert_eq!(code_of(ask(root, Operation::List, "identity/group/name", "")), Code::NotFound);
    world.vault.verify().unwrap();
}

#[test]
fn a_token_has_the_policies_of_its_entity_and_its_groups_as_they_are_at_each_request() {
    let world = world();
    let root = &world.root;
    login_role(root, "");
    for name in ["own", "inner", "outer"] {
        root.policies()
            .write(name, &format!("path \"secret/data/{name}\" {{ capabilities = [\"create\", \"update\", \"read\"] }}"))
            .unwrap();
        put(root, "secret", name).unwrap();
    }
    let ann = entity(root, "ann", "own");
    alias(root, &ann, "ann");
    let auth = logged_in(root, "ann", "");
    assert_eq!((auth.entity_id.as_str(), &*auth.identity_policies), (ann.as_str(), &["own".to_owned()][..]));
    assert_eq!((auth.policies.clone(), auth.token_policies.clone()), (vec!["base".to_owned(), "own".to_owned()], vec!["base".to_owned()]));
    let session = session_of(&world.vault, &auth);
    let may = |name: &str| session.kv("secret").get(name).is_ok();
    assert_eq!([may("own"), may("inner"), may("outer")], [true, false, false]);
    let inner = group(root, "inner", "inner", &[&ann]);
    assert_eq!([may("own"), may("inner"), may("outer")], [true, true, false]);
    write(root, "identity/group", &format!(r#"{{"name":"outer","policies":"outer","member_group_ids":["{inner}"]}}"#)).unwrap();
    assert_eq!([may("own"), may("inner"), may("outer")], [true, true, true]);
    let look = read(&session, "auth/token/lookup-self").unwrap();
    assert_eq!((told(&look, "entity_id"), told(&look, "identity_policies")), (ann.clone(), r#"["inner","outer","own"]"#.to_owned()));
    assert_eq!(told(&look, "policies"), r#"["base"]"#);
    put(&session, "secret", "outer").unwrap();
    write(root, "identity/entity/name/ann", r#"{"policies":[]}"#).unwrap();
    assert_eq!([may("own"), may("inner"), may("outer")], [false, true, true]);
    delete(root, "identity/group/name/outer").unwrap();
    assert_eq!(code_of(put(&session, "secret", "outer")), Code::PermissionDenied);
    write(root, "identity/group/name/inner", r#"{"policies":"outer"}"#).unwrap();
    assert_eq!([may("own"), may("inner"), may("outer")], [false, false, true]);
    write(root, "identity/group/name/inner", r#"{"member_entity_ids":[]}"#).unwrap();
    assert_eq!([may("own"), may("inner"), may("outer")], [false, false, false]);
    read(&session, "auth/token/lookup-self").unwrap();
    // All of it is in the store.
    write(root, "identity/group/name/inner", &format!(r#"{{"member_entity_ids":["{ann}"]}}"#)).unwrap();
    let sealed = world.vault.seal().unwrap();
    sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    assert_eq!([may("own"), may("inner"), may("outer")], [false, false, true]);
}

#[test]
fn a_deny_of_a_group_counts_against_what_the_token_has_of_its_own() {
    let world = world();
    let root = &world.root;
    login_role(root, "");
    root.policies().write("base", r#"path "secret/*" { capabilities = ["read"] }"#).unwrap();
    root.policies().write("barred", r#"path "secret/data/x" { capabilities = ["deny"] }"#).unwrap();
    put(root, "secret", "x").unwrap();
    let ann = entity(root, "ann", "");
    alias(root, &ann, "ann");
    let session = session_of(&world.vault, &logged_in(root, "ann", ""));
    session.kv("secret").get("x").unwrap();
    group(root, "barred", "barred", &[&ann]);
    assert_eq!(code_of(session.kv("secret").get("x")), Code::PermissionDenied);
}

#[test]
fn children_inherit_the_entity_and_orphans_do_not() {
    let world = world();
    let root = &world.root;
    login_role(root, "");
    root.policies().write("maker", r#"path "auth/token/*" { capabilities = ["update", "read", "sudo"] }"#).unwrap();
    let ann = entity(root, "ann", "maker");
    alias(root, &ann, "ann");
    let session = session_of(&world.vault, &logged_in(root, "ann", ""));
    let made = |path: &str, body: &str| write(&session, path, body).unwrap().auth.unwrap();
    let child = made("auth/token/create", "{}");
    assert_eq!((child.entity_id.as_str(), child.token_policies.clone()), (ann.as_str(), vec!["base".to_owned(), "default".to_owned()]));
    assert_eq!(child.identity_policies, ["maker"]);
    let grandchild = write(&session_of(&world.vault, &child), "auth/token/create", r#"{"type":"batch"}"#).unwrap().auth.unwrap();
    assert_eq!(grandchild.entity_id, ann);
    assert_eq!(told(&read(&session_of(&world.vault, &grandchild), "auth/token/lookup-self").unwrap(), "entity_id"), ann);
    for orphan in [made("auth/token/create-orphan", "{}"), made("auth/token/create", r#"{"no_parent":true}"#)] {
        assert_eq!((orphan.entity_id.as_str(), orphan.identity_policies.len()), ("", 0));
    }
    // The entity gives no more to children than it gives to itself: its policies are none that they may hold of their own.
    let error = write(&session, "auth/token/create", r#"{"policies":"maker"}"#);
    assert!(error.is_ok(), "sudo on the path gives any policy");
    root.policies().write("maker", r#"path "auth/token/*" { capabilities = ["update"] }"#).unwrap();
    assert_eq!(
        code_of(write(&session, "auth/token/create", r#"{"policies":"maker"}"#)),
        Code::InvalidRequest,
        "a subset of the token's own"
    );
    let renewed = write(&session, "auth/token/renew-self", "{}").unwrap().auth.unwrap();
    assert_eq!((renewed.entity_id.as_str(), &*renewed.policies), (ann.as_str(), &["base".to_owned(), "maker".to_owned()][..]));
}

#[test]
fn an_entity_alias_needs_a_role_that_allows_it_and_makes_its_entity() {
    let world = world();
    let root = &world.root;
    root.policies().write("base", "").unwrap();
    let role =
        |aliases: &str| write(root, "auth/token/roles/r", &format!(r#"{{"allowed_entity_aliases":{aliases},"orphan":true}}"#)).unwrap();
    role(r#"["Web-*", "Ann"]"#);
    assert_eq!(told(&read(root, "auth/token/roles/r").unwrap(), "allowed_entity_aliases"), r#"["web-*","ann"]"#);
    let make = |alias: &str| write(root, "auth/token/create/r", &format!(r#"{{"entity_alias":"{alias}"}}"#));
    for alias in ["bob", "annx", "xann", "we", "a/nn", "\u{200b}ann"] {
        assert_eq!(make(alias).unwrap_err().class(), Class::InvalidRequest, "{alias}");
    }
    assert_eq!(code_of(write(root, "auth/token/create", r#"{"entity_alias":"ann"}"#)), Code::InvalidRequest, "without a role");
    assert_eq!(code_of(write(root, "auth/token/create-orphan", r#"{"entity_alias":"ann"}"#)), Code::InvalidRequest);
    assert_eq!(code_of(ask(root, Operation::List, "identity/entity/id", "")), Code::NotFound, "a refusal makes nobody");
    let first = make("WEB-1").unwrap().auth.unwrap();
    assert_eq!(first.entity_id.len(), 36);
    for same in ["web-1", "Web-1. ", "\u{ff37}eb-1"] {
        assert_eq!(make(same).unwrap().auth.unwrap().entity_id, first.entity_id, "{same}");
    }
    assert_ne!(make("web-2").unwrap().auth.unwrap().entity_id, first.entity_id);
    let body = r#"{"alias_name":"web-1","alias_mount_accessor":"auth_token"}"#;
    assert_eq!(member(write(root, "identity/lookup/entity", body), "id"), first.entity_id);
    write(root, &format!("identity/entity/id/{}", first.entity_id), r#"{"disabled":true}"#).unwrap();
    assert_eq!(code_of(make("web-1")), Code::InvalidRequest, "a disabled entity gets no tokens");
    role("[]");
    assert_eq!(code_of(make("ann")), Code::InvalidRequest, "none is allowed unless the role says so");
}

#[test]
fn the_first_token_of_a_new_alias_works_at_once_and_so_do_those_that_follow() {
    let world = world();
    login_role(&world.root, "");
    for more in ["", "", r#","type":"batch""#] {
        read(&session_of(&world.vault, &logged_in(&world.root, "ann", more)), "auth/token/lookup-self").unwrap();
    }
    let batch = logged_in(&world.root, "bob", r#","type":"batch""#);
    read(&session_of(&world.vault, &batch), "auth/token/lookup-self").unwrap();
}

#[test]
fn templates_are_filled_in_by_the_callers_entity_and_groups_wherever_policies_are_asked() {
    let world = world();
    let root = &world.root;
    login_role(root, "");
    let policy = r#"
        path "secret/data/by-name/{{identity.entity.name}}" { capabilities = ["read"] }
        path "secret/data/by-id/{{identity.entity.id}}" { capabilities = ["read"] }
        path "secret/data/by-team/{{identity.entity.metadata.team}}" { capabilities = ["read"] }
        path "secret/data/by-alias/{{identity.entity.aliases.auth_token.name}}" { capabilities = ["read"] }
        path "secret/data/by-desk/{{identity.entity.aliases.auth_token.custom_metadata.desk}}" { capabilities = ["read"] }
        path "secret/data/by-group/{{identity.groups.names.ops.metadata.floor}}" { capabilities = ["read"] }"#;
    root.policies().write("base", policy).unwrap();
    let ann = member(write(root, "identity/entity", r#"{"name":"ann","metadata":{"team":"red"}}"#), "id");
    let bob = entity(root, "bob", "");
    let body = format!(r#"{{"name":"ann-at-work","canonical_id":"{ann}","mount_accessor":"auth_token","custom_metadata":{{"desk":"7"}}}}"#);
    write(root, "identity/entity-alias", &body).unwrap();
    alias(root, &bob, "bob");
    write(root, "identity/group", &format!(r#"{{"name":"ops","metadata":{{"floor":"2"}},"member_entity_ids":["{ann}"]}}"#)).unwrap();
    let paths = ["by-name/ann", &format!("by-id/{ann}"), "by-team/red", "by-alias/ann-at-work", "by-desk/7", "by-group/2"];
    for path in paths {
        put(root, "secret", path).unwrap();
    }
    let auth = logged_in(root, "ann-at-work", "");
    let (of_ann, of_bob) = (session_of(&world.vault, &auth), session_of(&world.vault, &logged_in(root, "bob", "")));
    for path in paths {
        of_ann.kv("secret").get(path).unwrap();
        assert_eq!(code_of(of_bob.kv("secret").get(path)), Code::PermissionDenied, "{path}");
        let ask_for =
            |token: &str| format!(r#"{{"token":"{token}","paths":"secret/data/{path}","path":"secret/data/{path}","operation":"read"}}"#);
        let capabilities = write(root, "sys/capabilities", &ask_for(auth.client_token.expose())).unwrap().data.unwrap();
        assert_eq!(told(&capabilities, "capabilities"), r#"["read"]"#, "{path}");
        let explained = write(
            root,
            "sys/policies/explain",
            &format!(r#"{{"accessor":"{}","path":"secret/data/{path}","operation":"read"}}"#, auth.accessor),
        )
        .unwrap()
        .data
        .unwrap();
        assert_eq!((told(&explained, "allowed"), told(&explained, "policy")), ("true".to_owned(), "base".to_owned()), "{path}");
    }
    // What is written of the entity later is known at the next request.
    write(root, "identity/entity/name/ann", r#"{"metadata":{"team":"a*"}}"#).unwrap();
    put(root, "secret", "by-team/ab").unwrap();
    for path in ["by-team/red", "by-team/ab"] {
        assert_eq!(code_of(of_ann.kv("secret").get(path)), Code::PermissionDenied, "{path}");
    }
    write(root, "identity/group/name/ops", r#"{"member_entity_ids":[]}"#).unwrap();
    assert_eq!(code_of(of_ann.kv("secret").get("by-group/2")), Code::PermissionDenied);
}

#[test]
fn an_event_says_which_entity_asked_refusals_included() {
    let world = world();
    let root = &world.root;
    login_role(root, "");
    let ann = entity(root, "ann", "");
    alias(root, &ann, "ann");
    let auth = logged_in(root, "ann", "");
    let session = session_of(&world.vault, &auth);
    let concerned = |path: &str| {
        let events = root.audit().events(0, 1000).unwrap();
        told(events.iter().rev().find(|event| told(event, "path") == path).unwrap(), "identity_concerned")
    };
    for path in ["identity/entity", "identity/entity-alias", "auth/token/create/login"] {
        assert_eq!(concerned(path), ann, "{path}");
    }
    let ops = group(root, "ops", "", &[&ann]);
    assert_eq!(concerned("identity/group"), ops);
    write(root, "identity/lookup/entity", r#"{"name":"ann"}"#).unwrap();
    assert_eq!(concerned("identity/lookup/entity"), ann);
    let of_last = |path: &str| {
        let events = root.audit().events(0, 1000).unwrap();
        let event = events.into_iter().rev().find(|event| told(event, "path") == path).unwrap();
        (told(&event, "entity_id"), told(&event, "accessor"), told(&event, "outcome"))
    };
    read(&session, "auth/token/lookup-self").unwrap();
    assert_eq!(of_last("auth/token/lookup-self"), (ann.clone(), auth.accessor.clone(), "0".to_owned()));
    write(root, "identity/entity/name/ann", r#"{"disabled":true}"#).unwrap();
    read(&session, "auth/token/lookup-self").unwrap_err();
    assert_eq!(of_last("auth/token/lookup-self"), (ann.clone(), auth.accessor.clone(), "200".to_owned()));
    delete(root, "identity/entity/name/ann").unwrap();
    assert_eq!(concerned("identity/entity/name/ann"), ann);
    read(&session, "secret/data/x").unwrap_err();
    assert_eq!(of_last("secret/data/x"), (ann, auth.accessor, "200".to_owned()));
    read(root, "auth/token/lookup-self").unwrap();
    assert_eq!(of_last("auth/token/lookup-self").0, "null");
    root.audit().verify().unwrap();
}

#[test]
fn a_wrapped_token_comes_out_with_its_entity() {
    let world = world();
    let root = &world.root;
    login_role(root, "");
    let ann = entity(root, "ann", "");
    alias(root, &ann, "ann");
    let data = vault_core::types::Object::new().with("entity_alias", "ann");
    let wrapped = root.wrapping().request(Operation::Write, "auth/token/create/login", Some(data.into()), Ttl::from_secs(60)).unwrap();
    let auth = world.vault.session(wrapped.token).request(Operation::Write, "sys/wrapping/unwrap", None).unwrap().auth.unwrap();
    assert_eq!(auth.entity_id, ann);
}

#[test]
fn identity_is_a_mount_that_is_always_there_in_each_namespace() {
    let world = world();
    write(&world.root, "sys/namespaces/team", "").unwrap();
    for session in [&world.root, &world.root.namespace("team").unwrap()] {
        let mounts = read(session, "sys/mounts").unwrap();
        assert_eq!(told(mounts.get("identity/").unwrap(), "type"), "identity");
        unmount(session, "identity").unwrap();
        assert!(mount(session, "identity", "2").is_err() && mount(session, "identity/x", "2").is_err());
        for (from, to) in [("identity", "other"), ("secret", "identity"), ("secret", "identity/x")] {
            assert!(write(session, "sys/remount", &format!(r#"{{"from":"{from}","to":"{to}"}}"#)).is_err(), "{from} {to}");
        }
        entity(session, "ann", "");
        for path in ["identity", "identity/x", "identity/oidc/key/x", "identity/entity/merge"] {
            assert_eq!(code_of(read(session, path)), Code::UnsupportedPath, "{path}");
        }
    }
}

#[test]
fn limits_of_count_and_size_hold_for_identities() {
    let world = world();
    let root = &world.root;
    let refused = |path: &str, body: &str| {
        assert_eq!(write(root, path, body).unwrap_err().class(), Class::InvalidRequest, "{path} {}", &body[..body.len().min(80)]);
    };
    let names = (0..=IDENTITY_POLICIES_MAX).map(|i| format!("p{i}")).collect::<Vec<_>>().join(",");
    let many = (0..=64).map(|i| format!(r#""k{i}":"v""#)).collect::<Vec<_>>().join(",");
    for (path, body) in [
        ("identity/entity", format!(r#"{{"policies":"{names}"}}"#)),
        ("identity/group", format!(r#"{{"policies":"{names}"}}"#)),
        ("identity/entity", format!(r#"{{"metadata":{{{many}}}}}"#)),
        ("identity/entity", format!(r#"{{"metadata":{{"k":"{}"}}}}"#, "v".repeat(513))),
        ("identity/entity", format!(r#"{{"metadata":{{"{}":"v"}}}}"#, "k".repeat(129))),
        ("identity/entity", r#"{"metadata":{"k":1}}"#.to_owned()),
        ("identity/entity", r#"{"metadata":"k=v"}"#.to_owned()),
        ("identity/entity", format!(r#"{{"name":"{}"}}"#, "n".repeat(513))),
        ("identity/entity", r#"{"name":"a/b"}"#.to_owned()),
        ("identity/entity", r#"{"nmae":"ann"}"#.to_owned()),
        ("identity/entity", r#"{"disabled":"perhaps"}"#.to_owned()),
        ("identity/entity/id/x", "{}".to_owned()),
        ("identity/group", r#"{"member_entity_ids":5}"#.to_owned()),
        ("identity/entity-alias", r#"{"name":"","mount_accessor":"auth_token"}"#.to_owned()),
        ("identity/lookup/group", "{}".to_owned()),
    ] {
        refused(path, &body);
    }
    let ann = entity(root, "ann", "");
    for i in 0..GROUPS_PER_MEMBER_MAX {
        group(root, &format!("g{i}"), "", &[&ann]);
    }
    refused("identity/group", &format!(r#"{{"name":"one-more","member_entity_ids":["{ann}"]}}"#));
    delete(root, "identity/group/name/g0").unwrap();
    group(root, "one-more", "", &[&ann]);
    delete(root, "identity/entity/name/ann").unwrap();
    assert_eq!(told(&read(root, "identity/group/name/g1").unwrap(), "member_entity_ids"), "[]");
    world.vault.verify().unwrap();
}

#[test]
fn an_entity_that_is_in_more_groups_than_anybody_may_be_in_is_refused_and_not_let_do_less_or_more() {
    let world = create(Config::in_memory());
    let root = &world.root;
    login_role(root, "");
    let ann = entity(root, "ann", "");
    alias(root, &ann, "ann");
    let session = session_of(&world.vault, &logged_in(root, "ann", ""));
    let mut below = group(root, "g0", "", &[&ann]);
    for i in 1..=1000 {
        let body = format!(r#"{{"name":"g{i}","member_group_ids":["{below}"]}}"#);
        if i == 1000 {
            read(&session, "auth/token/lookup-self").unwrap();
        }
        below = member(write(root, "identity/group", &body), "id");
    }
    assert_eq!(code_of(read(&session, "auth/token/lookup-self")), Code::PermissionDenied);
    delete(root, "identity/group/name/g1000").unwrap();
    read(&session, "auth/token/lookup-self").unwrap();
}

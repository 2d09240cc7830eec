//! Tokens: made, looked at, renewed, used up, bound to networks, revoked; as users of Vault and OpenBao know them.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking, and races with threads")]

#[path = "support/mounts.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use support::*;
use vault_core::types::{Auth, Class, Code, Context, Error, Operation, TokenType, Ttl, Value};
use vault_core::{Session, TokenOptions, Vault};

const HOUR: u64 = 3600;

fn secs(seconds: u64) -> Ttl {
    Ttl::from_secs(seconds)
}

fn with(policies: &[&str], ttl: u64) -> TokenOptions {
    let policies = policies.iter().map(|name| (*name).to_owned()).collect();
    TokenOptions { policies, ttl: Some(secs(ttl)), ..TokenOptions::default() }
}

fn session(vault: &Vault, auth: &Auth) -> Session {
    vault.session(vault_core::types::SecretString::copy_from(auth.client_token.expose()))
}

fn create(session: &Session, path: &str, data: &str) -> Result<Auth, Error> {
    ask(session, Operation::Write, path, data).map(|response| response.auth.unwrap())
}

fn is_denied<T>(outcome: Result<T, Error>) -> bool {
    code_of(outcome) == Code::PermissionDenied
}

#[test]
fn a_look_up_tells_all_fields_by_token_by_accessor_and_of_oneself() {
    let world = world();
    let body = r#"{"policies":"default","ttl":"1h","explicit_max_ttl":"2h","period":0,"num_uses":9,"display_name":"app","meta":{"a":"b"}}"#;
    let auth = create(&world.root, "auth/token/create", body).unwrap();
    assert_eq!((auth.num_uses, auth.renewable, auth.orphan, auth.lease_duration), (9, true, false, secs(HOUR)));
    let token = auth.client_token.expose();
    let by_token = ask(&world.root, Operation::Write, "auth/token/lookup", &format!(r#"{{"token":"{token}"}}"#)).unwrap().data.unwrap();
    for (name, text) in [
        ("display_name", "\"token-app\""),
        ("path", "\"auth/token/create\""),
        ("policies", "[\"default\"]"),
        ("num_uses", "9"),
        ("explicit_max_ttl", "7200"),
        ("creation_ttl", "3600"),
        ("ttl", "3600"),
        ("orphan", "false"),
        ("renewable", "true"),
        ("type", "\"service\""),
        ("meta", "{\"a\":\"b\"}"),
        ("entity_id", "\"\""),
        ("creation_time", "1795457040"),
        ("expire_time", "\"2026-11-23T19:04:00Z\""),
        ("issue_time", "\"2026-11-23T18:04:00Z\""),
    ] {
        assert_eq!(text_of(by_token.get(name).unwrap()), text, "{name}");
    }
    assert_eq!(by_token.get("id").and_then(Value::as_str), Some(token));
    assert!(by_token.get("last_renewal").is_none() && by_token.get("role").is_none() && by_token.get("period").is_none());
    let by_accessor = ask(&world.root, Operation::Write, "auth/token/lookup-accessor", &format!(r#"{{"accessor":"{}"}}"#, auth.accessor));
    assert_eq!(by_accessor.unwrap().data.unwrap().get("id").and_then(Value::as_str), Some(""), "an accessor does not give the token");
    let own = session(&world.vault, &auth);
    for operation in [Operation::Read, Operation::Write] {
        assert_eq!(
            ask(&own, operation, "auth/token/lookup-self", "").unwrap().data.unwrap().get("id").and_then(Value::as_str),
            Some(token)
        );
    }
    assert_eq!(own.tokens().lookup_self().unwrap().num_uses, 6, "each look counts");
    ask(&world.root, Operation::Write, "auth/token/renew", &format!(r#"{{"token":"{token}","increment":"30m"}}"#)).unwrap();
    let renewed = ask(&world.root, Operation::Read, "auth/token/lookup", &format!(r#"{{"token":"{token}"}}"#)).unwrap().data.unwrap();
    assert_eq!(renewed.get("last_renewal_time").and_then(Value::as_u64), Some(1_795_457_040));
    assert_eq!(renewed.get("last_renewal").and_then(Value::as_str), Some("2026-11-23T18:04:00Z"));
    assert_eq!(world.root.tokens().lookup(token).unwrap().ttl, secs(1800), "an increment counts from now");
}

#[test]
fn an_accessor_does_not_authenticate_and_names_a_token_in_its_own_namespace_only() {
    let world = world();
    let auth = world.root.tokens().create(with(&["default"], HOUR)).unwrap();
    let by_accessor = world.vault.session(vault_core::types::SecretString::copy_from(&auth.accessor));
    assert!(is_denied(by_accessor.tokens().lookup_self()));
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    let team = world.root.namespace("team").unwrap();
    assert_eq!(code_of(team.tokens().lookup_accessor(&auth.accessor)), Code::InvalidRequest);
    assert!(is_denied(team.tokens().lookup(auth.client_token.expose())));
    team.tokens().revoke(auth.client_token.expose()).unwrap();
    session(&world.vault, &auth).tokens().lookup_self().unwrap();
    assert_eq!(code_of(world.root.tokens().lookup_accessor("nonsense")), Code::InvalidRequest);
    world.root.tokens().revoke_accessor(&auth.accessor).unwrap();
    assert!(is_denied(session(&world.vault, &auth).tokens().lookup_self()));
}

#[test]
fn a_token_never_lives_past_its_maximum_however_often_it_is_renewed() {
    let world = world();
    let auth = world.root.tokens().create(with(&["default"], 300 * HOUR)).unwrap();
    let own = session(&world.vault, &auth);
    let mut left = 768 * HOUR;
    while left > 100 * HOUR {
        world.clock.advance(secs(100 * HOUR));
        left -= 100 * HOUR;
        let renewed = own.tokens().renew_self(Some(secs(1_000_000_000))).unwrap();
        assert_eq!(renewed.lease_duration, secs(left));
    }
    world.clock.advance(secs(left));
    assert!(is_denied(own.tokens().renew_self(None)));
    let options = TokenOptions { explicit_max_ttl: Some(secs(600)), period: Some(secs(400)), ..with(&["default"], 1) };
    let periodic = session(&world.vault, &world.root.tokens().create(options).unwrap());
    world.clock.advance(secs(399));
    assert_eq!(periodic.tokens().renew_self(Some(secs(5))).unwrap().lease_duration, secs(201), "its period, up to the explicit maximum");
    let options = TokenOptions { period: Some(secs(400)), ..with(&["default"], 1) };
    let periodic = session(&world.vault, &world.root.tokens().create(options).unwrap());
    for _ in 0..10_000 {
        world.clock.advance(secs(399));
        assert_eq!(periodic.tokens().renew_self(Some(secs(5))).unwrap().lease_duration, secs(400));
    }
    world.clock.advance(secs(400));
    assert!(is_denied(periodic.tokens().renew_self(None)));
}

#[test]
fn what_is_not_renewable_is_not_renewed_and_a_child_never_outlives_its_parent() {
    let world = world();
    let fixed = world.root.tokens().create(TokenOptions { not_renewable: true, ..with(&["default"], HOUR) }).unwrap();
    assert_eq!(code_of(session(&world.vault, &fixed).tokens().renew_self(None)), Code::InvalidRequest);
    world.root.policies().write("default", r#"path "auth/token/*" { capabilities = ["update", "read", "sudo"] }"#).unwrap();
    assert_eq!(code_of(world.root.tokens().renew_self(None)), Code::InvalidRequest, "the root token does not expire");
    let parent = world.root.tokens().create(with(&["default"], HOUR)).unwrap();
    let parent_session = session(&world.vault, &parent);
    let child = parent_session.tokens().create(TokenOptions { period: Some(secs(9 * HOUR)), ..with(&[], 1) }).unwrap();
    let child_session = session(&world.vault, &child);
    assert_eq!(child.lease_duration, secs(HOUR));
    world.clock.advance(secs(1800));
    assert_eq!(child_session.tokens().renew_self(None).unwrap().lease_duration, secs(1800));
    parent_session.tokens().renew_self(Some(secs(2 * HOUR))).unwrap();
    assert_eq!(child_session.tokens().renew_self(None).unwrap().lease_duration, secs(2 * HOUR));
    world.clock.advance(secs(2 * HOUR));
    assert!(is_denied(child_session.tokens().lookup_self()));
}

#[test]
fn a_period_a_chosen_id_and_no_parent_need_sudo_and_an_orphan_by_its_own_path_does_not() {
    let world = world();
    let rules = r#"path "auth/token/create" { capabilities = ["update"] } path "auth/token/create-orphan" { capabilities = ["update"] }"#;
    let plain = token_with(&world, rules);
    for body in [r#"{"period":"1h"}"#, r#"{"no_parent":true}"#, r#"{"id":"mine"}"#] {
        assert_eq!(code_of(create(&plain, "auth/token/create", body)), Code::InvalidRequest, "{body}");
    }
    assert!(create(&plain, "auth/token/create-orphan", "{}").unwrap().orphan);
    world.root.policies().write("p", &rules.replacen("[\"update\"]", "[\"update\", \"sudo\"]", 1)).unwrap();
    assert_eq!(create(&plain, "auth/token/create", r#"{"period":"1h"}"#).unwrap().lease_duration, secs(HOUR));
    assert!(create(&plain, "auth/token/create", r#"{"no_parent":true}"#).unwrap().orphan);
    let mine = create(&plain, "auth/token/create", r#"{"id":"mine"}"#).unwrap();
    assert_eq!(mine.client_token.expose(), "mine");
    session(&world.vault, &mine).tokens().lookup_self().unwrap();
    for id in ["mine", "hvs.x", "hvb.x", "a b", "s.x"] {
        assert_eq!(create(&plain, "auth/token/create", &format!(r#"{{"id":"{id}"}}"#)).unwrap_err().class(), Class::InvalidRequest, "{id}");
    }
    assert_eq!(code_of(create(&plain, "auth/token/create", r#"{"policies":["root"]}"#)), Code::InvalidRequest, "sudo is not root");
    for body in
        [r#"{"policies":["response-wrapping"]}"#, r#"{"policies":["Response-Wrapping "]}"#, r#"{"uses":1}"#, r#"{"entity_alias":"x"}"#]
    {
        assert_eq!(create(&world.root, "auth/token/create", body).unwrap_err().class(), Class::InvalidRequest, "{body}");
    }
}

#[test]
fn revoking_an_orphans_maker_leaves_it_and_revoke_orphan_leaves_the_children() {
    let world = world();
    let parent = token_with(&world, r#"path "auth/token/*" { capabilities = ["update", "sudo"] }"#);
    let orphan = session(&world.vault, &parent.tokens().create_orphan(with(&[], HOUR)).unwrap());
    let child_auth = parent.tokens().create(with(&[], HOUR)).unwrap();
    let child = session(&world.vault, &child_auth);
    let grandchild = session(&world.vault, &child.tokens().create(with(&[], HOUR)).unwrap());
    for session in [&orphan, &child, &grandchild] {
        session.tokens().lookup_self().unwrap();
    }
    child.tokens().revoke_orphan(child_auth.client_token.expose()).unwrap();
    assert!(is_denied(child.tokens().lookup_self()));
    assert!(grandchild.tokens().lookup_self().unwrap().orphan);
    parent.tokens().revoke_self().unwrap();
    orphan.tokens().lookup_self().unwrap();
    grandchild.tokens().lookup_self().unwrap();
    assert!(is_denied(parent.tokens().lookup_self()));
    assert_eq!(code_of(world.root.tokens().revoke_orphan(child_auth.client_token.expose())), Code::InvalidRequest);
    world.vault.verify().unwrap();
}

#[test]
fn a_token_of_n_uses_serves_n_requests_refused_ones_included_and_makes_no_children() {
    let world = world();
    world.root.policies().write("p", r#"path "auth/token/create" { capabilities = ["update"] }"#).unwrap();
    let auth = world.root.tokens().create(TokenOptions { num_uses: 4, ..with(&["p"], HOUR) }).unwrap();
    let limited = session(&world.vault, &auth);
    assert_eq!(code_of(limited.tokens().create(with(&[], HOUR))), Code::InvalidRequest);
    assert!(is_denied(read(&limited, "sys/mounts")));
    ask(&limited, Operation::Write, "cubbyhole/x", r#"{"a":1}"#).unwrap();
    assert_eq!(world.root.tokens().lookup(auth.client_token.expose()).unwrap().num_uses, 1);
    read(&limited, "cubbyhole/x").unwrap();
    assert!(is_denied(read(&limited, "cubbyhole/x")));
    assert!(is_denied(world.root.tokens().lookup(auth.client_token.expose())), "it was revoked with its last use");
    world.vault.verify().unwrap();
}

#[test]
fn of_many_threads_exactly_as_many_use_a_limited_token_as_it_has_uses() {
    let world = world();
    let auth = world.root.tokens().create(TokenOptions { num_uses: 37, ..with(&["default"], HOUR) }).unwrap();
    let limited = session(&world.vault, &auth);
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (limited, served) = (&limited, &served);
            scope.spawn(move || {
                for i in 0..20 {
                    let outcome = if i % 2 == 0 {
                        limited.tokens().lookup_self().map(drop)
                    } else {
                        ask(limited, Operation::Write, &format!("cubbyhole/t{thread}"), r#"{"a":1}"#).map(drop)
                    };
                    match outcome {
                        Ok(()) => drop(served.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => assert_eq!(error.code(), Code::PermissionDenied),
                    }
                }
            });
        }
    });
    assert_eq!(served.load(Ordering::Relaxed), 37);
    assert!(is_denied(limited.tokens().lookup_self()));
    world.vault.verify().unwrap();
}

#[test]
fn revocation_wins_every_race_against_renewal() {
    let world = world();
    for _ in 0..30 {
        let auth = world.root.tokens().create(with(&["default"], HOUR)).unwrap();
        let token = auth.client_token.expose();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..10).for_each(|_| drop(world.root.tokens().renew(token, Some(secs(HOUR))))));
            }
            scope.spawn(|| world.root.tokens().revoke(token).unwrap());
        });
        assert!(is_denied(session(&world.vault, &auth).tokens().lookup_self()));
        assert!(is_denied(world.root.tokens().lookup(token)));
        assert_eq!(code_of(world.root.tokens().lookup_accessor(&auth.accessor)), Code::InvalidRequest);
    }
    world.vault.verify().unwrap();
}

#[test]
fn a_child_that_is_made_while_its_parent_is_revoked_is_worth_nothing() {
    let world = world();
    world.root.policies().write("p", r#"path "auth/token/create" { capabilities = ["update"] }"#).unwrap();
    for _ in 0..30 {
        let parent_auth = world.root.tokens().create(with(&["p"], HOUR)).unwrap();
        let parent = session(&world.vault, &parent_auth);
        let mut children = Vec::new();
        std::thread::scope(|scope| {
            let making = scope.spawn(|| (0..20).map_while(|_| parent.tokens().create(with(&[], HOUR)).ok()).collect::<Vec<_>>());
            scope.spawn(|| world.root.tokens().revoke(parent_auth.client_token.expose()).unwrap());
            children = making.join().unwrap();
        });
        for child in &children {
            assert!(is_denied(session(&world.vault, child).tokens().lookup_self()));
        }
    }
}

#[test]
fn a_batch_token_lies_in_no_record_does_what_its_policies_say_and_cannot_be_renewed_revoked_or_a_parent() {
    let world = world();
    world
        .root
        .policies()
        .write("p", r#"path "auth/token/*" { capabilities = ["update", "sudo"] } path "secret/*" { capabilities = ["create", "read"] }"#)
        .unwrap();
    let before = records(&world);
    let options = || TokenOptions { token_type: Some(TokenType::Batch), ..with(&["p"], HOUR) };
    let auth = world.root.tokens().create(options()).unwrap();
    assert_eq!(records(&world), before);
    assert!(auth.client_token.expose().starts_with("hvb.") && auth.accessor.is_empty() && !auth.renewable);
    assert_eq!(auth.token_type, TokenType::Batch);
    let batch = session(&world.vault, &auth);
    let info = batch.tokens().lookup_self().unwrap();
    assert_eq!((info.token_type, info.ttl, info.renewable), (TokenType::Batch, secs(HOUR), false));
    assert_eq!(world.root.tokens().lookup(auth.client_token.expose()).unwrap().policies, ["default", "p"]);
    put(&batch, "secret", "x").unwrap();
    for refused in [
        batch.tokens().create(with(&[], 60)).map(drop),
        batch.tokens().renew_self(None).map(drop),
        world.root.tokens().renew(auth.client_token.expose(), None).map(drop),
    ] {
        assert_eq!(code_of(refused), Code::InvalidRequest);
    }
    for refused in [batch.tokens().revoke_self(), world.root.tokens().revoke(auth.client_token.expose())] {
        assert_eq!(refused.unwrap_err().class(), Class::InvalidRequest);
    }
    assert_eq!(code_of(ask(&batch, Operation::Write, "cubbyhole/x", r#"{"a":1}"#)), Code::UnsupportedPath);
    for (body, why) in [
        (r#"{"num_uses":1,"type":"batch"}"#, "uses"),
        (r#"{"period":"1h","type":"batch"}"#, "period"),
        (r#"{"id":"x","type":"batch"}"#, "id"),
        (r#"{"policies":"root","type":"batch"}"#, "root"),
    ] {
        assert_eq!(code_of(create(&world.root, "auth/token/create", body)), Code::InvalidRequest, "{why}");
    }
    world.clock.advance(secs(HOUR));
    assert!(is_denied(batch.tokens().lookup_self()));
}

#[test]
fn a_batch_token_ends_with_its_parent_and_as_an_orphan_by_time_only() {
    let world = world();
    let rules = r#"path "auth/token/*" { capabilities = ["update"] } path "secret/*" { capabilities = ["create", "update"] }"#;
    let parent = token_with(&world, rules);
    let options = || TokenOptions { token_type: Some(TokenType::Batch), ..with(&[], HOUR) };
    let child = session(&world.vault, &parent.tokens().create(options()).unwrap());
    let orphan = session(&world.vault, &parent.tokens().create_orphan(options()).unwrap());
    for session in [&child, &orphan] {
        put(session, "secret", "x").unwrap();
    }
    parent.tokens().revoke_self().unwrap();
    assert!(is_denied(child.tokens().lookup_self()) && is_denied(put(&child, "secret", "y")));
    orphan.tokens().lookup_self().unwrap();
    let again = reopened(&world, &orphan);
    again.tokens().lookup_self().unwrap();
}

/// The same session after a seal and an unseal.
fn reopened(world: &World, session: &Session) -> Session {
    world.vault.seal().unwrap().unseal(&vault_core::UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    session.clone()
}

#[test]
fn a_token_bound_to_networks_is_refused_from_elsewhere_and_where_nobody_says_from_where() {
    let world = world();
    ask(&world.root, Operation::Write, "auth/token/roles/near", r#"{"token_bound_cidrs":["10.0.0.0/8","::1"],"token_num_uses":3}"#)
        .unwrap();
    let auth = world.root.tokens().create_with_role("near", with(&["default"], HOUR)).unwrap();
    let near = session(&world.vault, &auth);
    let from = |address: Option<&str>| {
        let context = Context { remote_address: address.map(str::to_owned), ..Context::default() };
        near.request_with(Operation::Read, "auth/token/lookup-self", None, context)
    };
    for address in [None, Some("11.0.0.1"), Some(""), Some("10.0.0.1.example.org")] {
        assert!(is_denied(from(address)), "{address:?}");
    }
    let told = from(Some("10.9.9.9")).unwrap().data.unwrap();
    assert_eq!(text_of(told.get("bound_cidrs").unwrap()), r#"["10.0.0.0/8","::1/128"]"#);
    assert_eq!(told.get("num_uses").and_then(Value::as_u64), Some(2), "what was refused for its address used nothing");
    from(Some("::1")).unwrap();
}

#[test]
fn a_role_never_widens_the_bond_of_the_token_that_uses_it() {
    let world = world();
    let role = |name: &str, networks: &str| {
        ask(&world.root, Operation::Write, &format!("auth/token/roles/{name}"), &format!(r#"{{"token_bound_cidrs":[{networks}]}}"#))
            .unwrap();
    };
    role("near", r#""10.0.0.0/8""#);
    role("wide", r#""0.0.0.0/0","::/0""#);
    role("narrow", r#""10.1.0.0/16","192.168.0.0/16""#);
    role("far", r#""192.168.0.0/16""#);
    world.root.policies().write("p", r#"path "auth/token/*" { capabilities = ["create", "update", "sudo"] }"#).unwrap();
    let near = session(&world.vault, &world.root.tokens().create_with_role("near", with(&["p"], HOUR)).unwrap());
    let from = |path: &str| {
        let context = Context { remote_address: Some("10.1.2.3".to_owned()), ..Context::default() };
        near.request_with(Operation::Write, path, None, context).map(|response| response.auth.unwrap())
    };
    for (path, bond) in [
        ("auth/token/create", r#"["10.0.0.0/8"]"#),
        ("auth/token/create-orphan", r#"["10.0.0.0/8"]"#),
        ("auth/token/create/wide", r#"["10.0.0.0/8"]"#),
        ("auth/token/create/narrow", r#"["10.1.0.0/16"]"#),
    ] {
        let made = from(path).unwrap();
        let body = format!(r#"{{"accessor":"{}"}}"#, made.accessor);
        let told = ask(&world.root, Operation::Write, "auth/token/lookup-accessor", &body).unwrap().data.unwrap();
        assert_eq!(text_of(told.get("bound_cidrs").unwrap()), bond, "{path}");
    }
    assert_eq!(code_of(from("auth/token/create/far")), Code::InvalidRequest, "nothing would be left");
}

#[test]
fn a_role_says_what_its_tokens_are_and_which_policies_they_may_hold() {
    let world = world();
    let role = r#"{"allowed_policies":["a","b"],"allowed_policies_glob":"app-*","disallowed_policies":["app-admin"],"orphan":true,"renewable":false,
        "token_period":"30m","token_explicit_max_ttl":"2h","token_type":"service","path_suffix":"v1"}"#;
    ask(&world.root, Operation::Write, "auth/token/roles/app", role).unwrap();
    let maker = token_with(
        &world,
        r#"path "auth/token/create/app" { capabilities = ["update"] } path "auth/token/roles/*" { capabilities = ["update"] }"#,
    );
    assert!(is_denied(ask(&maker, Operation::Write, "auth/token/roles/new", "{}")), "a new role needs create");
    ask(&maker, Operation::Write, "auth/token/roles/app", "{}").unwrap();
    let made = |policies: &[&str]| maker.tokens().create_with_role("app", TokenOptions { ttl: None, ..with(policies, 1) });
    let auth = made(&[]).unwrap();
    assert_eq!(auth.policies, ["a", "b", "default"], "more than its maker holds");
    assert_eq!((auth.orphan, auth.renewable, auth.lease_duration), (true, false, secs(1800)));
    let info = ask(&world.root, Operation::Write, "auth/token/lookup-accessor", &format!(r#"{{"accessor":"{}"}}"#, auth.accessor))
        .unwrap()
        .data
        .unwrap();
    assert_eq!(text_of(info.get("path").unwrap()), "\"auth/token/create/app/v1\"");
    assert_eq!((text_of(info.get("role").unwrap()).as_str(), text_of(info.get("period").unwrap()).as_str()), ("\"app\"", "1800"));
    assert_eq!(made(&["app-x"]).unwrap().policies, ["app-x", "default"]);
    for policies in [&["c"][..], &["app-admin"], &["root"], &["response-wrapping"]] {
        assert_eq!(code_of(made(policies)), Code::InvalidRequest, "{policies:?}");
    }
    let told = read(&world.root, "auth/token/roles/app").unwrap();
    assert_eq!(text_of(told.get("token_period").unwrap()), "1800");
    assert_eq!(text_of(told.get("token_type").unwrap()), "\"service\"");
    let listed = ask(&world.root, Operation::List, "auth/token/roles", "").unwrap().data.unwrap();
    assert_eq!(text_of(listed.get("keys").unwrap()), r#"["app"]"#);
    for body in [
        r#"{"token_type":"other"}"#,
        r#"{"token_type":"batch"}"#,
        r#"{"path_suffix":"../x"}"#,
        r#"{"allowed_entity_aliases":["\u200b"]}"#,
        r#"{"orphans":true}"#,
        r#"{"token_bound_cidrs":"10.0.0.0/99"}"#,
    ] {
        assert_eq!(ask(&world.root, Operation::Write, "auth/token/roles/app", body).unwrap_err().class(), Class::InvalidRequest, "{body}");
    }
    ask(&world.root, Operation::Delete, "auth/token/roles/app", "").unwrap();
    assert_eq!(code_of(read(&world.root, "auth/token/roles/app")), Code::NotFound);
    assert_eq!(code_of(made(&[])), Code::InvalidRequest);
    world.vault.verify().unwrap();
}

#[test]
fn what_reaches_every_token_needs_sudo() {
    let world = world();
    let plain = token_with(&world, r#"path "auth/token/*" { capabilities = ["create", "read", "update", "list"] }"#);
    for (operation, path) in
        [(Operation::List, "auth/token/accessors"), (Operation::Write, "auth/token/revoke-orphan"), (Operation::Write, "auth/token/tidy")]
    {
        assert!(is_denied(ask(&plain, operation, path, "")), "{path}");
    }
}

#[test]
fn tidy_removes_what_is_worth_nothing_and_nothing_else() {
    let world = world();
    let kept = session(&world.vault, &world.root.tokens().create(with(&["default"], 9 * HOUR)).unwrap());
    for _ in 0..20 {
        world.root.tokens().create(with(&["default"], HOUR)).unwrap();
    }
    world.clock.advance(secs(2 * HOUR));
    assert_eq!(world.root.tokens().accessors(None, 0).unwrap().len(), 22);
    let body = ask(&world.root, Operation::Write, "auth/token/tidy", "").unwrap().data.unwrap();
    assert_eq!((text_of(body.get("removed").unwrap()), text_of(body.get("more").unwrap())), ("20".to_owned(), "false".to_owned()));
    assert_eq!(world.root.tokens().accessors(None, 0).unwrap().len(), 2);
    kept.tokens().lookup_self().unwrap();
    world.vault.tick().unwrap();
    world.vault.verify().unwrap();
}

#[test]
fn a_commit_that_fails_leaves_no_token_and_no_wrapped_reply_behind() {
    use std::sync::Arc;
    use vault_core::storage::Storage;
    use vault_core::storage::faulty::{Fault, FaultyStorage};
    use vault_core::storage::memory::MemoryStorage;
    for wrapped in [false, true] {
        let storage = Arc::new(FaultyStorage::over(MemoryStorage::default()));
        let world = support::create(vault_core::Config::on(storage.clone()));
        let before = world.root.tokens().accessors(None, 0).unwrap();
        world.vault.tick().unwrap();
        storage.fail_commit(storage.commit_number() + 1, Fault::Lost);
        let error = if wrapped {
            world.root.wrapping().wrap(vault_core::types::Object::new().with("a", 1_u64), secs(60)).map(drop)
        } else {
            world.root.tokens().create(with(&["default"], HOUR)).map(drop)
        };
        assert_eq!(error.unwrap_err().class(), Class::Unavailable);
        let again = support::reopen(Arc::new(storage.restart()), &world.token);
        assert_eq!(again.root.tokens().accessors(None, 0).unwrap(), before);
    }
}

#[test]
fn times_are_whole_seconds_whenever_they_begin() {
    let world = world();
    world.clock.set(vault_core::types::Timestamp::from_millis(1_795_457_040_700));
    let auth = world.root.tokens().create(with(&["default"], 60)).unwrap();
    assert_eq!(auth.lease_duration, secs(60));
    world.clock.set(vault_core::types::Timestamp::from_millis(1_795_457_041_200));
    let told = read(&session(&world.vault, &auth), "auth/token/lookup-self").unwrap();
    for name in ["ttl", "creation_ttl", "creation_time", "explicit_max_ttl"] {
        assert!(told.get(name).and_then(Value::as_u64).is_some(), "{name}");
    }
    world.clock.set(vault_core::types::Timestamp::from_millis(1_795_457_100_700));
    assert!(is_denied(session(&world.vault, &auth).tokens().lookup_self()), "never longer than they say");
    for text in ["1.5", "\"1.5\"", "-1"] {
        assert_eq!(
            create(&world.root, "auth/token/create", &format!(r#"{{"ttl":{text}}}"#)).unwrap_err().class(),
            Class::InvalidRequest,
            "{text}"
        );
    }
}

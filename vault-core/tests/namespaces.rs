//! Namespaces: each with keys, mounts, policies and tokens of its own; nothing reaches out of one.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/namespaces.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use support::*;
use vault_core::host::ManualClock;
use vault_core::storage::Read;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::limits::NAMESPACE_DEPTH_MAX;
use vault_core::types::{Code, NamespacePath, Object, Operation, Path, Request, SecretString, Timestamp, Ttl, Value};
use vault_core::{BackupSeals, Config, Session, TokenOptions, UnsealKey, Vault};

#[test]
fn each_namespace_has_secrets_policies_and_mounts_of_its_own_and_survives_a_reopening() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, root, token) = create(Config::on(storage.clone()));
    let data = Object::new().with("custom_metadata", Object::new().with("owner", "ops"));
    let made = root.request(Operation::Write, "sys/namespaces/team-a", Some(data.into())).unwrap().data.unwrap();
    assert_eq!(made.get("path").and_then(Value::as_str), Some("team-a/"));
    make(&root, "team").unwrap();
    let (a, other) = (root.namespace("team-a").unwrap(), root.namespace("team").unwrap());
    make(&a, "dev").unwrap();
    let dev = a.namespace("dev").unwrap();
    for (session, text) in [(&root, "root"), (&a, "a"), (&other, "team"), (&dev, "dev")] {
        put(session, "app/x", text).unwrap();
        session.policies().write("p", &format!("# {text}\n")).unwrap();
        let mount = Object::new().with("type", "kv-v2");
        session.request(Operation::Write, &format!("sys/mounts/kv-{text}"), Some(mount.into())).unwrap();
    }
    let check = |root: &Session| {
        let (a, other) = (root.namespace("/team-a/").unwrap(), root.namespace("team").unwrap());
        let dev = root.namespace("team-a/dev").unwrap();
        for (session, text) in [(root, "root"), (&root.namespace("root").unwrap(), "root"), (&a, "a"), (&other, "team"), (&dev, "dev")] {
            assert_eq!(value(session, "app/x"), text);
            assert_eq!(session.kv("secret").list("").unwrap(), ["app/"]);
            assert_eq!(session.policies().read("p").unwrap(), format!("# {text}\n"));
            let mounts = session.request(Operation::Read, "sys/mounts", None).unwrap().data.unwrap();
            let mounts: Vec<_> = mounts.as_object().unwrap().iter().map(|(name, _)| name.to_owned()).collect();
            assert_eq!(mounts.len(), 5, "{mounts:?}");
            assert!(mounts.contains(&format!("kv-{text}/")));
        }
        // A path from above leads to the same place.
        for (path, text) in [("team-a/secret/data/app/x", "a"), ("team-a/dev/secret/data/app/x", "dev"), ("team/secret/data/app/x", "team")]
        {
            let read = root.request(Operation::Read, path, None).unwrap().data.unwrap();
            assert_eq!(read.get("data").unwrap().get("value").and_then(Value::as_str), Some(text));
        }
        assert_eq!(value(&a.namespace("dev").unwrap(), "app/x"), "dev");
        assert_eq!(names(root), ["team/", "team-a/"]);
        assert_eq!(names(&a), ["dev/"]);
        assert!(names(&dev).is_empty());
        let read = root.request(Operation::Read, "sys/namespaces/team-a", None).unwrap().data.unwrap();
        assert_eq!(read.get("custom_metadata").unwrap().get("owner").and_then(Value::as_str), Some("ops"));
        assert_eq!(read.get("id"), made.get("id"));
    };
    check(&root);
    vault.verify().unwrap();
    let (vault, root) = open(storage.copy(), &token);
    check(&root);
    vault.verify().unwrap();
    assert_eq!(ids(&*storage), BTreeSet::from([1, 2, 3, 4]), "each has a keyring");
}

#[test]
fn a_token_reaches_its_namespace_and_those_below_it_and_never_one_above_or_beside() {
    let (vault, root, _) = create(Config::in_memory());
    for path in ["a", "b", "a/x", "a/y", "ab"] {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        make(&root.namespace(above).unwrap(), name).unwrap();
    }
    let all = ["", "a", "b", "a/x", "a/y", "ab"];
    let mut tokens = Vec::new();
    for home in all {
        let session = root.namespace(home).unwrap();
        put(&session, "s", home).unwrap();
        tokens.push((home, token_of(&vault, &session, "admin", ADMIN)));
    }
    let paths = [
        "secret/data/s",
        "secret/metadata/s",
        "secret/metadata/",
        "secret/delete/s",
        "sys/mounts",
        "sys/mounts/kv",
        "sys/policies/acl",
        "sys/policies/acl/admin",
        "sys/policies/acl/default",
        "sys/capabilities-self",
        "sys/namespaces",
        "sys/namespaces/x",
        "sys/key-status",
        "sys/rotate",
        "sys/rotate/config",
        "sys/seal",
        "sys/storage/backup",
        "sys/audit-log/events",
        "auth/token/create",
        "auth/token/lookup-self",
        "auth/token/revoke-self",
        "nothing/here",
        "sys/nothing",
    ];
    let mut refused = 0;
    for (home, session) in &tokens {
        for target in all {
            let is_within = home.is_empty() || target == *home || target.starts_with(&format!("{home}/"));
            if is_within {
                let inside = session.namespace(target).unwrap();
                assert_eq!(value(&inside, "s"), target, "{home:?} in {target:?}");
                inside.tokens().lookup_self().unwrap();
                continue;
            }
            for path in paths {
                for operation in ALL {
                    let full = if target.is_empty() { path.to_owned() } else { format!("{target}/{path}") };
                    // By the namespace of the request, and by the path alone.
                    let asked = [(target, path.to_owned()), ("", full)];
                    for (namespace, path) in asked {
                        let request = Request::new(operation, Path::parse(&path).unwrap());
                        let request = request.in_namespace(NamespacePath::parse(namespace).unwrap());
                        let error = session.handle(request).into_result().unwrap_err();
                        // A folder is written nowhere, whoever asks: that is told before anything is looked up.
                        if path.ends_with('/') && matches!(operation, Operation::Write | Operation::Patch) {
                            assert_eq!(error.code(), Code::InvalidPath);
                        } else {
                            assert_eq!((error.code(), error.to_string()), (Code::PermissionDenied, "permission denied".to_owned()));
                        }
                        refused += 1;
                    }
                }
            }
        }
    }
    assert_eq!(refused, 23 * paths.len() * 5 * 2, "every namespace that is above or beside, every path, every verb, both ways");
    for (home, session) in &tokens {
        assert_eq!(value(&session.namespace(home).unwrap(), "s"), *home, "nothing was done to any of them");
    }
    vault.verify().unwrap();
}

#[test]
fn policies_are_those_of_the_tokens_namespace_and_see_paths_from_there() {
    let (vault, root, _) = create(Config::in_memory());
    make(&root, "a").unwrap();
    make(&root, "b").unwrap();
    let (a, b) = (root.namespace("a").unwrap(), root.namespace("b").unwrap());
    make(&a, "x").unwrap();
    for session in [&root, &a, &b, &a.namespace("x").unwrap()] {
        put(session, "s", "1").unwrap();
    }
    // The parent's rule reaches into the child by its path from the parent.
    let reaching = token_of(&vault, &root, "reach", r#"path "a/secret/data/*" { capabilities = ["read"] }"#);
    assert_eq!(value(&reaching.namespace("a").unwrap(), "s"), "1");
    for (namespace, why) in [("", "not the own"), ("b", "not another"), ("a/x", "not one below")] {
        assert_eq!(reaching.namespace(namespace).unwrap().kv("secret").get("s").unwrap_err().code(), Code::PermissionDenied, "{why}");
    }
    assert_eq!(put(&reaching.namespace("a").unwrap(), "s", "2").unwrap_err().code(), Code::PermissionDenied);
    let asked = Object::new().with("paths", vec!["secret/data/s", "x/secret/data/s"]);
    let everywhere = token_of(&vault, &root, "caps", r#"path "a/*" { capabilities = ["read", "update"] }"#);
    let told = everywhere.namespace("a").unwrap().request(Operation::Write, "sys/capabilities-self", Some(asked.into())).unwrap();
    assert_eq!(told.data.unwrap().get("secret/data/s").unwrap().as_array().unwrap().len(), 2, "as seen from the request's namespace");
    // The same name says different things: a policy of a sibling gives nothing.
    b.policies().write("same", r#"path "secret/*" { capabilities = ["read"] }"#).unwrap();
    let in_a = token_of(&vault, &a, "same", r#"path "other/*" { capabilities = ["read"] }"#);
    assert_eq!(in_a.namespace("a").unwrap().kv("secret").get("s").unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(in_a.namespace("a").unwrap().kv("other").get("s").unwrap_err().code(), Code::NotFound, "allowed, and nothing is mounted");
    // A change of the policy changes live tokens there, and no others.
    let in_b = token_of(&vault, &b, "same", r#"path "secret/*" { capabilities = ["read"] }"#).namespace("b").unwrap();
    assert_eq!(value(&in_b, "s"), "1");
    a.policies().write("same", "").unwrap();
    assert_eq!(value(&in_b, "s"), "1");
    b.policies().write("same", "").unwrap();
    assert_eq!(in_b.kv("secret").get("s").unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn a_token_for_a_namespace_below_needs_sudo_names_its_policies_and_is_never_root() {
    let (vault, root, _) = create(Config::in_memory());
    make(&root, "a").unwrap();
    let a = root.namespace("a").unwrap();
    a.policies().write("ops", ADMIN).unwrap();
    // A policy of the same name in the namespace above gives no claim to that of the one below.
    let plain = token_of(&vault, &root, "ops", r#"path "a/auth/token/create" { capabilities = ["update"] }"#).namespace("a").unwrap();
    let ops = |policies: &[&str]| TokenOptions { policies: policies.iter().map(|&p| p.to_owned()).collect(), ..TokenOptions::default() };
    assert_eq!(plain.tokens().create(ops(&["ops"])).unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(plain.tokens().create(ops(&["default"])).unwrap_err().code(), Code::PermissionDenied);
    let above = token_of(&vault, &root, "give", r#"path "a/auth/token/create" { capabilities = ["update", "sudo"] }"#);
    let sudo = above.namespace("a").unwrap();
    assert_eq!(sudo.tokens().create(ops(&[])).unwrap_err().code(), Code::InvalidRequest);
    for given in [&sudo, &a] {
        assert_eq!(given.tokens().create(ops(&["root"])).unwrap_err().code(), Code::InvalidRequest, "root is of the root namespace");
    }
    let token = sudo.tokens().create(ops(&["ops"])).unwrap();
    let admin = vault.session(token.client_token).namespace("a").unwrap();
    put(&admin, "x", "1").unwrap();
    assert_eq!(admin.tokens().create(ops(&["root"])).unwrap_err().code(), Code::InvalidRequest);
    assert_eq!(a.policies().write("root", ADMIN).unwrap_err().code(), Code::InvalidPolicy);
    // Its children are of its own namespace, with what it has.
    let child = vault.session(admin.tokens().create(ops(&["ops"])).unwrap().client_token).namespace("a").unwrap();
    assert_eq!(value(&child, "x"), "1");
    let found = child.request(Operation::Read, "auth/token/lookup-self", None).unwrap().data.unwrap();
    assert_eq!(found.get("namespace_path").and_then(Value::as_str), Some("a/"));
    // All of them end with the one that they were made by, wherever that is.
    assert_eq!(sudo.tokens().revoke_self().unwrap_err().code(), Code::PermissionDenied, "its policy default is of the root namespace");
    above.tokens().revoke_self().unwrap();
    for session in [&admin, &child, &sudo, &above] {
        assert_eq!(session.tokens().lookup_self().unwrap_err().code(), Code::PermissionDenied);
    }
    vault.verify().unwrap();
}

#[test]
fn revocations_and_expiry_cross_namespaces_and_a_reopening() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let storage = Arc::new(MemoryStorage::new());
    let (vault, root, _) = create(Config::on(storage.clone()).with_clock(clock.clone()));
    make(&root, "a").unwrap();
    let a = root.namespace("a").unwrap();
    a.policies().write("ops", ADMIN).unwrap();
    let options =
        |seconds| TokenOptions { policies: vec!["ops".to_owned()], ttl: Some(Ttl::from_secs(seconds)), ..TokenOptions::default() };
    let above = token_of(&vault, &root, "give", r#"path "a/*" { capabilities = ["update", "sudo"] }"#);
    let kept = above.namespace("a").unwrap().tokens().create(options(1_000_000)).unwrap();
    let brief = a.tokens().create(options(60)).unwrap();
    let records = |storage: &MemoryStorage| storage.scan(&[], None, 100_000).unwrap().len();
    let brief_session = vault.session(brief.client_token).namespace("a").unwrap();
    brief_session.tokens().lookup_self().unwrap();
    vault.tick().unwrap();
    let before = records(&storage);
    clock.advance(Ttl::from_secs(60));
    assert_eq!(brief_session.tokens().lookup_self().unwrap_err().code(), Code::PermissionDenied);
    vault.tick().unwrap();
    // Its record, its accessor's, its place with its parent and in its bucket are gone; events came.
    assert!(records(&storage) < before, "the expired token's records are removed");
    let events = root.audit().events(0, 1_000).unwrap();
    let expired = events.iter().find(|event| event.get("operation").and_then(Value::as_str) == Some("expire")).unwrap();
    assert_eq!(expired.get("namespace").and_then(Value::as_str), Some("a/"));
    let config = Config::on(Arc::new(storage.copy())).with_clock(clock);
    let vault = Vault::open(config).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let kept = vault.session(kept.client_token).namespace("a").unwrap();
    kept.tokens().lookup_self().unwrap();
    let above = vault.session(SecretString::copy_from(&secret_of(&above)));
    above.tokens().revoke_self().unwrap();
    assert_eq!(kept.tokens().lookup_self().unwrap_err().code(), Code::PermissionDenied, "with its parent in the namespace above");
    vault.verify().unwrap();
}

#[test]
fn tricks_with_paths_and_names_lead_nowhere() {
    let (vault, root, _) = create(Config::in_memory());
    make(&root, "team").unwrap();
    make(&root, "team-a").unwrap();
    let a = root.namespace("team-a").unwrap();
    for session in [&root, &a, &root.namespace("team").unwrap()] {
        put(session, "s", "1").unwrap();
    }
    let admin = token_of(&vault, &a, "admin", ADMIN);
    let inside = admin.namespace("team-a").unwrap();
    assert_eq!(value(&inside, "s"), "1");
    for path in ["../secret/data/s", "x/../../secret/data/s", "%2e%2e/secret/data/s", "..%2fsecret/data/s", "./secret/data/s", "a//b"] {
        assert_eq!(code(inside.request(Operation::Read, path, None)), Code::InvalidPath, "{path}");
    }
    for namespace in
        ["..", "team-a/..", "team-a/../team", "%2e%2e", "team-a%2f..", "team-a//x", "sys", "team-a/sys", "\u{ff54}eam", "team a"]
    {
        assert_eq!(admin.namespace(namespace).unwrap_err().code(), Code::InvalidPath, "{namespace}");
    }
    // Another spelling, a prefix, a longer name, a name from above: none is the namespace, and none is told from another.
    for namespace in ["Team-A", "TEAM-A", "team", "team-", "team-ab", "nope", "team-a/team-a", ""] {
        let elsewhere = admin.namespace(namespace).unwrap();
        let error = elsewhere.kv("secret").get("s").unwrap_err();
        let expected = if namespace == "team-a/team-a" { Code::NotFound } else { Code::PermissionDenied };
        assert_eq!(error.code(), expected, "{namespace}");
    }
    // A session of a namespace has paths of that one only, however they look.
    assert_eq!(inside.kv("team/secret").get("s").unwrap_err().code(), Code::NotFound);
    assert_eq!(code(inside.request(Operation::Read, "team/secret/data/s", None)), Code::NotFound);
    // Who may know is told that there is none; and it is no path into the namespace above.
    assert_eq!(root.namespace("secret").unwrap().request(Operation::Read, "data/s", None).unwrap_err().code(), Code::NotFound);
    assert_eq!(code(root.namespace("nope").unwrap().request(Operation::Write, "secret/data/s", None)), Code::NotFound);
    assert_eq!(code(root.namespace("nope").unwrap().request(Operation::Write, "sys/seal", None)), Code::NotFound);
    for name in ["root", "ROOT", "sys", "Auth", "identity", "cubbyhole", "audit", "a b", "a+", "*", "a%2fb", "x/y", "ü", "a\\b"] {
        assert!(matches!(make(&root, name).unwrap_err().code(), Code::InvalidPath), "{name}");
    }
    for name in ["team", "TEAM", "Team-a", "secret", "SECRET"] {
        assert_eq!(make(&root, name).unwrap_err().code(), Code::InvalidRequest, "{name} is taken");
    }
    for mount in ["team", "team-a/kv", "TEAM/kv"] {
        let data = Object::new().with("type", "kv-v2");
        let error = root.request(Operation::Write, &format!("sys/mounts/{mount}"), Some(data.into())).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest, "{mount} is a namespace's");
    }
    let data = Object::new().with("type", "kv-v2");
    root.request(Operation::Write, "sys/mounts/team-b/kv", Some(data.into())).unwrap();
    assert_eq!(make(&root, "team-b").unwrap_err().code(), Code::InvalidRequest, "a mount lies below that name");
    vault.verify().unwrap();
}

#[test]
fn what_speaks_of_the_whole_vault_is_the_root_namespaces_only() {
    let (vault, root, _) = create(Config::in_memory());
    make(&root, "a").unwrap();
    let admin = token_of(&vault, &root.namespace("a").unwrap(), "admin", ADMIN).namespace("a").unwrap();
    let of_the_vault = [
        (Operation::Write, "sys/seal"),
        (Operation::Read, "sys/seals"),
        (Operation::Delete, "sys/seals/0"),
        (Operation::Read, "sys/seal-status"),
        (Operation::Write, "sys/unseal"),
        (Operation::Read, "sys/init"),
        (Operation::Read, "sys/rekey/init"),
        (Operation::Write, "sys/rekey/update"),
        (Operation::Write, "sys/generate-root/attempt"),
        (Operation::Write, "sys/storage/backup"),
        (Operation::Read, "sys/storage/verify"),
        (Operation::Write, "sys/storage/adopt"),
        (Operation::Read, "sys/audit-log/events"),
        (Operation::Read, "sys/audit-log/verify"),
        (Operation::Read, "sys/audit-log/checkpoint"),
        (Operation::Write, "sys/audit-log/prune"),
        (Operation::Write, "sys/audit-hash"),
    ];
    for (operation, path) in of_the_vault {
        for session in [&admin, &root.namespace("a").unwrap()] {
            assert_eq!(code(session.request(operation, path, None)), Code::UnsupportedPath, "{path}");
            assert_eq!(code(root.request(operation, &format!("a/{path}"), None)), Code::UnsupportedPath, "{path}");
        }
    }
    let inside = root.namespace("a").unwrap();
    assert_eq!(inside.backup().to_writer(&mut Vec::new(), &BackupSeals::Own).unwrap_err().code(), Code::UnsupportedPath);
    assert_eq!(inside.audit().export(&mut Vec::new(), 0).unwrap_err().code(), Code::UnsupportedPath);
    assert!(!vault.seal_status().sealed);
    // An administrator makes namespaces below, and no deeper than there may be.
    let mut at = admin;
    for _ in 1..NAMESPACE_DEPTH_MAX {
        make(&at, "n").unwrap();
        at = at.namespace("n").unwrap();
    }
    put(&at, "deep", "1").unwrap();
    assert_eq!(make(&at, "n").unwrap_err().code(), Code::InvalidRequest);
    let without_sudo = token_of(&vault, &root, "p", r#"path "sys/namespaces/*" { capabilities = ["create", "update", "read", "delete"] }"#);
    assert_eq!(make(&without_sudo, "b").unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(delete(&without_sudo, "a").unwrap_err().code(), Code::PermissionDenied);
    without_sudo.request(Operation::Read, "sys/namespaces/a", None).unwrap();
    vault.verify().unwrap();
}

#[test]
fn the_log_names_the_namespace_of_each_event() {
    let (_vault, root, _) = create(Config::in_memory());
    make(&root, "a").unwrap();
    put(&root.namespace("a").unwrap(), "x", "1").unwrap();
    root.request(Operation::Read, "a/secret/data/x", None).unwrap();
    let events = root.audit().events(0, 1_000).unwrap();
    let of_a: Vec<_> = events.iter().filter(|event| event.get("namespace").and_then(Value::as_str) == Some("a/")).collect();
    let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap().to_owned();
    let told: Vec<_> = of_a.iter().map(|event| (text(event, "operation"), text(event, "path"))).collect();
    let path = "secret/data/x".to_owned();
    assert_eq!(told, [("write".to_owned(), path.clone()), ("read".to_owned(), path)], "one canonical form, however it was asked");
    assert!(events.iter().any(|event| matches!(event.get("namespace"), Some(Value::Null))));
}

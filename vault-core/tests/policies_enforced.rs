//! What policies say of parameters, of a write's target and of sudo holds for requests to a vault.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use vault_core::policy::{Dialect, Settings};
use vault_core::types::limits::TOKEN_DEPTH_MAX;
use vault_core::types::{Class, Code, Object, Operation, Result, Value};
use vault_core::{Config, NewSeal, Session, TokenOptions, Vault};

struct World {
    vault: Vault,
    root: Session,
}

fn world(config: Config) -> World {
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    World { vault, root }
}

impl World {
    /// A session whose token has this policy alone.
    fn session_with(&self, policy: &str) -> Session {
        self.root.policies().write("p", policy).unwrap();
        let options = TokenOptions { policies: vec!["p".to_owned()], no_default_policy: true, ..TokenOptions::default() };
        self.vault.session(self.root.tokens().create(options).unwrap().client_token)
    }

    /// What the log says of the last request: its step and its rule.
    fn last_decision(&self) -> (String, Option<String>) {
        let events = self.root.audit().events(0, 10_000).unwrap();
        let decision = events.iter().rev().find_map(|event| event.get("decision")).unwrap();
        let text = |name| decision.get(name).and_then(Value::as_str).map(str::to_owned);
        (text("step").unwrap(), text("rule"))
    }
}

fn write(session: &Session, path: &str, data: &str) -> Result<()> {
    session.request(Operation::Write, path, Some(Value::from_json(data.as_bytes()).unwrap())).map(drop)
}

#[test]
fn a_request_passes_its_data_to_policy_and_the_log_tells_the_step() {
    let world = world(Config::in_memory());
    let policy = r#"path "auth/token/create" { capabilities = ["update"] required_parameters = ["ttl"]
            allowed_parameters = { "ttl" = ["1h", 60] "policies" = ["p", "q*"] } denied_parameters = { "policies" = ["q-root"] } }"#;
    // Each with a token of its own: what one token is refused again and again is counted together.
    let create = |data: &str| write(&world.session_with(policy), "auth/token/create", data);
    create(r#"{"ttl": "1h", "policies": ["p"]}"#).unwrap();
    create(r#"{"ttl": 60}"#).unwrap();
    for (data, step) in [
        (r#"{"policies": ["p"]}"#, "a parameter that the rule requires is missing"),
        (r#"{"ttl": "2h"}"#, "the rule does not allow this parameter's value"),
        (r#"{"ttl": 60, "display_name": "CANARY"}"#, "the rule does not allow this parameter"),
        (r#"{"ttl": 60, "policies": ["p", "other"]}"#, "the rule does not allow this parameter's value"),
        // However it is spelt, and even though the caller could not give it anyway.
        (r#"{"ttl": 60, "policies": ["p", " Q-Root"]}"#, "the rule denies this parameter or its value"),
    ] {
        let error = create(data).unwrap_err();
        // The caller is told nothing of the rule.
        assert_eq!((error.code(), error.to_string().as_str()), (Code::PermissionDenied, "permission denied"), "{data}");
        assert_eq!(world.last_decision(), (step.to_owned(), Some("auth/token/create".to_owned())), "{data}");
    }
    let error = world.session_with(policy).request(Operation::Write, "auth/token/create", None).unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[test]
fn parameters_of_a_read_are_checked() {
    let world = world(Config::in_memory());
    world.root.kv("secret").put("db", Object::new().with("k", "v")).unwrap();
    let app = world.session_with("path \"secret/data/db\" { capabilities = [\"read\"] denied_parameters = { \"version\" = [] } }");
    app.kv("secret").get("db").unwrap();
    assert_eq!(app.kv("secret").get_version("db", 1).unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn a_rule_that_asks_for_wrapping_denies_what_is_not_wrapped() {
    let world = world(Config::in_memory());
    world.root.kv("secret").put("db", Object::new().with("k", "v")).unwrap();
    let app = world.session_with("path \"secret/data/db\" { capabilities = [\"read\"] max_wrapping_ttl = \"1h\" }");
    assert_eq!(app.kv("secret").get("db").unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(world.last_decision().0, "the rule asks for a wrapped reply, and the request for none");
}

#[test]
fn a_write_is_a_create_where_nothing_is_and_an_update_where_something_is() {
    let world = world(Config::in_memory());
    for dialect in [Dialect::Vault, Dialect::OpenBao] {
        let world = self::world(Config::in_memory().with_policies(dialect));
        let creator = world.session_with("path \"secret/data/*\" { capabilities = [\"create\"] }");
        creator.kv("secret").put("a", Object::new()).unwrap();
        assert_eq!(creator.kv("secret").put("a", Object::new()).unwrap_err().code(), Code::PermissionDenied);
        let updater = world.session_with("path \"secret/data/*\" { capabilities = [\"update\"] }");
        updater.kv("secret").put("a", Object::new()).unwrap();
        assert_eq!(updater.kv("secret").put("b", Object::new()).unwrap_err().code(), Code::PermissionDenied);
    }
    // Paths of the vault's own have no such check: every write is an update.
    let writer = world.session_with("path \"sys/policies/acl/*\" { capabilities = [\"create\"] }");
    assert_eq!(writer.policies().write("new", "").unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn a_write_to_a_path_that_ends_in_a_slash_fails() {
    let world = world(Config::in_memory());
    for (path, data) in [
        ("secret/data/a/", r#"{"data": {}}"#),
        ("secret/delete/a/", r#"{"versions": [1]}"#),
        ("auth/token/create/", "{}"),
        ("sys/policies/acl/a/", r#"{"policy": ""}"#),
        ("sys/mounts/a/", r#"{"type": "kv"}"#),
    ] {
        for operation in [Operation::Write, Operation::Patch] {
            let error = world.root.request(operation, path, Some(Value::from_json(data.as_bytes()).unwrap())).unwrap_err();
            assert_eq!(error.class(), Class::InvalidRequest, "{path}");
        }
    }
    assert!(world.root.kv("secret").get("a").is_err());
}

#[test]
fn a_slash_behind_a_path_of_the_vaults_own_slips_past_no_rule() {
    let world = world(Config::in_memory());
    let session = world.session_with(
        r#"path "sys/*" { policy = "sudo" } path "auth/*" { policy = "sudo" }
        path "sys/storage/verify" { policy = "deny" } path "sys/policies/acl/p" { policy = "deny" } path "auth/token/create" { policy = "deny" }"#,
    );
    for (operation, path) in [
        (Operation::Read, "sys/storage/verify"),
        (Operation::Read, "sys/policies/acl/p"),
        (Operation::Delete, "sys/policies/acl/p"),
        (Operation::Write, "auth/token/create"),
    ] {
        for path in [path.to_owned(), format!("{path}/")] {
            assert!(session.request(operation, &path, None).is_err(), "{operation:?} {path}");
        }
    }
    assert!(world.root.policies().read("p").is_ok());
    assert!(session.request(Operation::List, "sys/policies/acl/", None).is_ok(), "a folder is listed with its slash or without");
    assert!(session.request(Operation::List, "sys/policies/acl", None).is_ok());
}

#[test]
fn no_spelling_of_a_policys_name_slips_past_a_rule_for_it() {
    let world = world(Config::in_memory());
    world.root.policies().write("admin", "").unwrap();
    let policy = r#"path "sys/policies/acl/*" { capabilities = ["create", "read", "update", "delete"] }
            path "sys/policies/acl/admin" { capabilities = ["deny"] }"#;
    let author = world.session_with(policy);
    write(&author, "sys/policies/acl/Other", r#"{"policy": ""}"#).unwrap();
    for name in ["admin", "Admin", "ADMIN", " admin", "admin ", " aDmin "] {
        let path = format!("sys/policies/acl/{name}");
        for operation in [Operation::Write, Operation::Read, Operation::Delete] {
            let data = Object::new().with("policy", "path \"*\" { capabilities = [\"sudo\"] }");
            let error = author.request(operation, &path, Some(data.into())).unwrap_err();
            assert_eq!(error.code(), Code::PermissionDenied, "{operation:?} {name:?}");
        }
    }
    let text = world.root.request(Operation::Read, "sys/policies/acl/admin", None).unwrap().data.unwrap();
    assert_eq!(text.get("policy").and_then(Value::as_str), Some(""));
}

#[test]
fn a_chain_of_tokens_has_an_end() {
    let world = world(Config::in_memory());
    let mut session = world.root.clone();
    for _ in 0..TOKEN_DEPTH_MAX {
        session = world.vault.session(session.tokens().create(TokenOptions::default()).unwrap().client_token);
    }
    let error = session.tokens().create(TokenOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    session.tokens().lookup_self().unwrap();
}

#[test]
fn root_protected_paths_need_sudo_in_addition_to_the_capability() {
    let world = world(Config::in_memory());
    for dialect in [Dialect::Vault, Dialect::OpenBao] {
        let world = self::world(Config::in_memory().with_policies(dialect));
        for (capabilities, allowed) in
            [("\"read\"", false), ("\"sudo\"", false), ("\"read\", \"sudo\"", true), ("\"read\", \"sudo\", \"deny\"", false)]
        {
            let session = world.session_with(&format!("path \"sys/audit-log/verify\" {{ capabilities = [{capabilities}] }}"));
            assert_eq!(session.audit().verify().is_ok(), allowed, "{capabilities}");
        }
    }
    let session = world.session_with("path \"sys/audit-log/verify\" { capabilities = [\"read\"] }");
    session.audit().verify().unwrap_err();
    assert_eq!(world.last_decision().0, "sudo is required");
}

#[test]
fn a_vault_with_an_absolute_deny_denies_whatever_else_allows() {
    let policy = "path \"secret/data/*\" { capabilities = [\"deny\"] } path \"secret/data/db\" { capabilities = [\"read\"] }";
    for (absolute_deny, allowed) in [(false, true), (true, false)] {
        let settings = Settings { absolute_deny, ..Settings::default() };
        let world = world(Config::in_memory().with_policies(settings));
        world.root.kv("secret").put("db", Object::new()).unwrap();
        let session = world.session_with(policy);
        assert_eq!(session.kv("secret").get("db").is_ok(), allowed);
    }
}

#[test]
fn a_rule_with_a_template_matches_nothing_while_nothing_is_known_of_callers() {
    let world = world(Config::in_memory());
    world.root.kv("secret").put("a", Object::new()).unwrap();
    let session = world.session_with("path \"secret/data/{{identity.entity.name}}*\" { capabilities = [\"read\"] }");
    assert_eq!(session.kv("secret").get("a").unwrap_err().code(), Code::PermissionDenied);
}

//! What the vault's own paths answer, in the shapes that Vault's users know.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test compares with the process that it runs in")]

use vault_core::types::{Class, Code, Object, Operation, Result, Value};
use vault_core::{Config, NewSeal, Session, TokenOptions, Vault};

struct World {
    vault: Vault,
    root: Session,
}

fn world() -> World {
    let (vault, init) = Vault::create(Config::in_memory(), NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    World { vault, root }
}

impl World {
    /// A token with this policy alone.
    fn token_with(&self, policy: &str) -> (String, String) {
        self.root.policies().write("p", policy).unwrap();
        let options = TokenOptions { policies: vec!["p".to_owned()], no_default_policy: true, ..TokenOptions::default() };
        let created = self.root.tokens().create(options).unwrap();
        (created.client_token.expose().to_owned(), created.accessor)
    }

    fn session_with(&self, policy: &str) -> Session {
        self.session_of(&self.token_with(policy).0)
    }

    fn session_of(&self, token: &str) -> Session {
        self.vault.session(vault_core::types::SecretString::copy_from(token))
    }
}

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap()
}

fn ask(session: &Session, operation: Operation, path: &str, data: &str) -> Result<Value> {
    let data = (!data.is_empty()).then(|| json(data));
    session.request(operation, path, data).map(|response| response.data.unwrap_or(Value::Null))
}

fn write(session: &Session, path: &str, data: &str) -> Result<Value> {
    ask(session, Operation::Write, path, data)
}

fn read(session: &Session, path: &str) -> Result<Value> {
    ask(session, Operation::Read, path, "")
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap()
}

#[test]
fn random_bytes_come_in_the_number_and_format_that_are_asked_for() {
    use base64::Engine;
    let World { root, .. } = world();
    let bytes = |path: &str, data: &str| {
        let answer = write(&root, path, data).unwrap();
        let written = text(&answer, "random_bytes").to_owned();
        let is_hex = data.contains("hex");
        if is_hex { written.len() / 2 } else { base64::engine::general_purpose::STANDARD.decode(&written).unwrap().len() }
    };
    assert_eq!(bytes("sys/tools/random", ""), 32);
    assert_eq!(bytes("sys/tools/random", r#"{"bytes": 7, "format": "hex"}"#), 7);
    assert_eq!(bytes("sys/tools/random/64", r#"{"bytes": 7}"#), 64);
    assert_eq!(bytes("sys/tools/random/platform", ""), 32);
    assert_eq!(bytes("sys/tools/random/platform/5", r#"{"format": "hex"}"#), 5);
    assert_eq!(bytes("sys/tools/random", r#"{"bytes": "131072"}"#), 131_072);
    let two = [write(&root, "sys/tools/random", "").unwrap(), write(&root, "sys/tools/random", "").unwrap()];
    assert_ne!(text(&two[0], "random_bytes"), text(&two[1], "random_bytes"));
    let sealed = root.request(Operation::Write, "sys/tools/random/seal", None).unwrap();
    assert!(sealed.warnings[0].contains("platform"), "{:?}", sealed.warnings);
    for (path, data) in [
        ("sys/tools/random/0", ""),
        ("sys/tools/random/131073", ""),
        ("sys/tools/random/99999999999999999999999", ""),
        ("sys/tools/random/dice", ""),
        ("sys/tools/random/platform/x", ""),
        ("sys/tools/random", r#"{"bytes": -1}"#),
        ("sys/tools/random", r#"{"bytes": [1]}"#),
        ("sys/tools/random", r#"{"format": "text"}"#),
    ] {
        assert_eq!(write(&root, path, data).unwrap_err().class(), Class::InvalidRequest, "{path} {data}");
    }
}

#[test]
fn hashes_are_those_of_the_standard() {
    let World { root, .. } = world();
    // "abc"
    for (path, data, sum) in [
        ("sys/tools/hash", r#"{"input": "YWJj"}"#, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("sys/tools/hash/sha2-224", r#"{"input": "YWJj"}"#, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (
            "sys/tools/hash",
            r#"{"input": "YWJj", "algorithm": "sha2-384"}"#,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            "sys/tools/hash/sha2-512",
            r#"{"input": "YWJj"}"#,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        ("sys/tools/hash", r#"{"input": "YWJj", "format": "base64"}"#, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
    ] {
        assert_eq!(text(&write(&root, path, data).unwrap(), "sum"), sum, "{path} {data}");
    }
    for (path, data) in [
        ("sys/tools/hash", r#"{"input": "not base64!"}"#),
        ("sys/tools/hash/md5", r#"{"input": "YWJj"}"#),
        ("sys/tools/hash", r#"{"input": "YWJj", "format": "octal"}"#),
        ("sys/tools/hash", r#"{"input": 5}"#),
    ] {
        assert_eq!(write(&root, path, data).unwrap_err().class(), Class::InvalidRequest, "{path} {data}");
    }
}

#[test]
fn both_paths_of_policies_lead_to_the_same_policies_in_their_own_shapes() {
    let World { root, .. } = world();
    let rules = "path \"a\" { capabilities = [\"read\"] }";
    write(
        &root,
        "sys/policy/Old",
        &format!("{{\"policy\": {}}}", Value::from(rules).to_json().iter().map(|b| *b as char).collect::<String>()),
    )
    .unwrap();
    assert_eq!(read(&root, "sys/policies/acl/old").unwrap(), Object::new().with("name", "old").with("policy", rules).into());
    assert_eq!(read(&root, "sys/policy/OLD").unwrap(), Object::new().with("name", "old").with("rules", rules).into());
    let names: Value = vec!["default", "old", "root"].into();
    assert_eq!(ask(&root, Operation::List, "sys/policies/acl", "").unwrap(), Object::new().with("keys", names.clone()).into());
    for operation in [Operation::List, Operation::Read] {
        let both: Value = Object::new().with("keys", names.clone()).with("policies", names.clone()).into();
        assert_eq!(ask(&root, operation, "sys/policy", "").unwrap(), both);
    }
    // In base64, and by the member of old.
    write(&root, "sys/policy/rules", r#"{"rules": "cGF0aCAiYSIgeyBjYXBhYmlsaXRpZXMgPSBbInJlYWQiXSB9"}"#).unwrap();
    assert_eq!(text(&read(&root, "sys/policy/rules").unwrap(), "rules"), rules);
    assert!(write(&root, "sys/policies/acl/x", r#"{"rules": "path \"a\" { }"}"#).is_err(), "a member of the old form only");
    ask(&root, Operation::Delete, "sys/policy/old", "").unwrap();
    assert_eq!(read(&root, "sys/policy/old").unwrap_err().class(), Class::NotFound);
}

#[test]
fn policies_of_the_vault_itself_cannot_be_written_and_default_cannot_be_deleted() {
    let World { root, .. } = world();
    for folder in ["sys/policy", "sys/policies/acl"] {
        for name in ["root", "ROOT", "response-wrapping"] {
            for operation in [Operation::Write, Operation::Delete] {
                let error = ask(&root, operation, &format!("{folder}/{name}"), r#"{"policy": ""}"#).unwrap_err();
                assert_eq!(error.code(), Code::InvalidPolicy, "{folder} {name}");
            }
        }
        assert!(ask(&root, Operation::Delete, &format!("{folder}/default"), "").is_err());
        write(&root, &format!("{folder}/default"), r#"{"policy": "path \"x\" { capabilities = [\"read\"] }"}"#).unwrap();
    }
    assert_eq!(text(&read(&root, "sys/policy/root").unwrap(), "rules"), "");
    assert!(text(&read(&root, "sys/policy/response-wrapping").unwrap(), "rules").contains("sys/wrapping/unwrap"));
}

#[test]
fn no_spelling_of_a_policys_name_slips_past_a_rule_for_the_older_path() {
    let world = world();
    let app =
        world.session_with("path \"sys/policy/*\" { capabilities = [\"update\"] } path \"sys/policy/p\" { capabilities = [\"deny\"] }");
    for name in ["p", "P"] {
        assert_eq!(write(&app, &format!("sys/policy/{name}"), r#"{"policy": ""}"#).unwrap_err().code(), Code::PermissionDenied);
    }
    write(&app, "sys/policy/q", r#"{"policy": ""}"#).unwrap();
}

const APP: &str = r#"path "secret/data/a" { capabilities = ["read", "list"] } path "secret/data/b/*" { capabilities = ["deny"] }
    path "sys/capabilities-self" { capabilities = ["update"] }"#;

#[test]
fn capabilities_of_one_path_are_told_in_both_members_and_those_of_several_by_path() {
    let world = world();
    let (token, accessor) = world.token_with(APP);
    let app = world.session_of(&token);
    let both = json(r#"{"capabilities": ["list", "read"], "secret/data/a": ["list", "read"]}"#);
    for data in [
        r#"{"path": "secret/data/a"}"#,
        r#"{"paths": ["secret/data/a"]}"#,
        r#"{"paths": "secret/data/a"}"#,
        r#"{"path": ["secret/data/a"]}"#,
    ] {
        assert_eq!(write(&app, "sys/capabilities-self", data).unwrap(), both, "{data}");
    }
    let several = json(r#"{"secret/data/a": ["list", "read"], "secret/data/b/c": ["deny"], "x": ["deny"]}"#);
    for paths in [r#"["secret/data/a", "secret/data/b/c", "x"]"#, r#""secret/data/a,secret/data/b/c, x""#] {
        assert_eq!(write(&app, "sys/capabilities-self", &format!("{{\"paths\": {paths}}}")).unwrap(), several);
        let of_token = format!("{{\"token\": \"{token}\", \"paths\": {paths}}}");
        assert_eq!(write(&world.root, "sys/capabilities", &of_token).unwrap(), several);
        let of_accessor = format!("{{\"accessor\": \"{accessor}\", \"paths\": {paths}}}");
        assert_eq!(write(&world.root, "sys/capabilities-accessor", &of_accessor).unwrap(), several);
        assert_eq!(write(&app, "sys/capabilities", &of_token).unwrap_err().code(), Code::PermissionDenied);
    }
    assert_eq!(
        write(&world.root, "sys/capabilities-self", r#"{"path": "x"}"#).unwrap(),
        json(r#"{"capabilities": ["root"], "x": ["root"]}"#)
    );
    for data in ["{}", r#"{"paths": []}"#, r#"{"paths": [5]}"#, r#"{"paths": ""}"#, r#"{"paths": ["a//b/../c"]}"#] {
        assert_eq!(write(&app, "sys/capabilities-self", data).unwrap_err().class(), Class::InvalidRequest, "{data}");
    }
}

#[test]
fn capabilities_of_a_token_that_is_unknown_or_was_revoked_are_not_told() {
    let fresh = world();
    let (token, accessor) = fresh.token_with("path \"auth/token/revoke-self\" { capabilities = [\"update\"] }");
    write(&fresh.session_of(&token), "auth/token/revoke-self", "").unwrap();
    for (path, data) in [
        ("sys/capabilities", format!("{{\"token\": \"{token}\", \"path\": \"x\"}}")),
        ("sys/capabilities", r#"{"token": "hvs.unknown", "path": "x"}"#.to_owned()),
        ("sys/capabilities", format!("{{\"token\": \"{}\", \"path\": \"x\"}}", "x".repeat(5_000))),
        ("sys/capabilities-accessor", format!("{{\"accessor\": \"{accessor}\", \"path\": \"x\"}}")),
        ("sys/capabilities-accessor", r#"{"accessor": "", "path": "x"}"#.to_owned()),
        ("sys/capabilities", r#"{"path": "x"}"#.to_owned()),
    ] {
        let error = write(&fresh.root, path, &data).unwrap_err();
        assert_eq!(error.class(), Class::InvalidRequest, "{path}");
        assert!(!error.to_string().contains("hvs."), "no token in a message");
    }
}

#[test]
fn an_explanation_is_the_decision_itself_with_its_trace() {
    let world = world();
    let policy = r#"path "secret/data/*" { capabilities = ["read", "update"] required_parameters = ["cas"] }
        path "secret/data/b" { capabilities = ["deny"] } path "sys/policies/explain" { capabilities = ["update"] }
        path "sys/seal" { capabilities = ["update"] }"#;
    let app = world.session_with(policy);
    let explain = |data: &str| write(&app, "sys/policies/explain", data).unwrap();
    let read = explain(r#"{"path": "secret/data/a", "operation": "read", "data": {"cas": 0}}"#);
    assert_eq!(read.get("allowed"), Some(&Value::Bool(true)));
    assert_eq!((text(&read, "rule"), text(&read, "policy")), ("secret/data/*", "p"));
    assert!(text(&read, "text").starts_with("ALLOWED read secret/data/a"), "{}", text(&read, "text"));
    let denied = explain(r#"{"path": "secret/data/b", "capability": "read"}"#);
    assert_eq!(denied.get("allowed"), Some(&Value::Bool(false)));
    assert_eq!(denied.get("losers").and_then(Value::as_array).unwrap().len(), 1);
    let missing = explain(r#"{"path": "secret/data/a", "operation": "write", "data": {"ttl": 1}}"#);
    assert_eq!(text(&missing, "parameter"), "cas");
    let given = explain(r#"{"path": "secret/data/a", "operation": "update", "data": {"cas": 1}, "wrap_ttl": "1h"}"#);
    assert_eq!(given.get("allowed"), Some(&Value::Bool(true)));
    // The capability alone is not enough there, and the explanation says so as the vault itself does.
    let sudo = explain(r#"{"path": "sys/seal", "operation": "write"}"#);
    assert_eq!((sudo.get("allowed"), text(&sudo, "step")), (Some(&Value::Bool(false)), "sudo is required"));
    assert_eq!(write(&app, "sys/seal", "").unwrap_err().code(), Code::PermissionDenied);
    for data in [
        "{}",
        r#"{"path": "x"}"#,
        r#"{"path": "x", "operation": "sudo"}"#,
        r#"{"path": "x", "operation": "read", "capability": "read"}"#,
        r#"{"path": "x", "operation": "read", "data": 5}"#,
        r#"{"path": "x", "operation": "read", "token": "a", "accessor": "b"}"#,
    ] {
        assert!(write(&app, "sys/policies/explain", data).is_err(), "{data}");
    }
}

#[test]
fn explaining_another_tokens_decision_needs_its_capabilities_path_and_sudo() {
    let world = world();
    let (token, accessor) = world.token_with("path \"secret/data/mine\" { capabilities = [\"read\"] }");
    let of_token = format!("{{\"path\": \"secret/data/mine\", \"operation\": \"read\", \"token\": \"{token}\"}}");
    let of_accessor = format!("{{\"path\": \"secret/data/mine\", \"operation\": \"read\", \"accessor\": \"{accessor}\"}}");
    for data in [&of_token, &of_accessor] {
        assert_eq!(write(&world.root, "sys/policies/explain", data).unwrap().get("allowed"), Some(&Value::Bool(true)));
    }
    let with = |name: &str, policy: &str| {
        world.root.policies().write(name, policy).unwrap();
        let options = TokenOptions { policies: vec![name.to_owned()], no_default_policy: true, ..TokenOptions::default() };
        world.vault.session(world.root.tokens().create(options).unwrap().client_token)
    };
    let explain = "path \"sys/policies/explain\" { capabilities = [\"update\", \"sudo\"] }";
    let capabilities = "path \"sys/capabilities\" { capabilities = [\"update\"] }";
    let may = with("both", &format!("{explain} {capabilities}"));
    write(&may, "sys/policies/explain", &of_token).unwrap();
    assert_eq!(write(&may, "sys/policies/explain", &of_accessor).unwrap_err().code(), Code::PermissionDenied);
    let no_sudo = with("nosudo", &format!("path \"sys/policies/explain\" {{ capabilities = [\"update\"] }} {capabilities}"));
    assert_eq!(write(&no_sudo, "sys/policies/explain", &of_token).unwrap_err().code(), Code::PermissionDenied);
    let alone = with("alone", explain);
    assert_eq!(write(&alone, "sys/policies/explain", &of_token).unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn the_resultant_acl_lists_what_the_token_can_reach() {
    let world = world();
    let app = world.session_with(
        r#"path "secret/data/a" { capabilities = ["read"] } path "secret/data/b/*" { capabilities = ["list", "deny"] }
        path "+/x" { capabilities = ["read"] } path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }"#,
    );
    let expected = json(
        r#"{"root": false, "chroot_namespace": "", "exact_paths": {"secret/data/a": {"capabilities": ["read"]},
        "sys/internal/ui/resultant-acl": {"capabilities": ["read"]}},
        "glob_paths": {"secret/data/b/": {"capabilities": ["deny"]}, "+/x": {"capabilities": ["read"]}}}"#,
    );
    assert_eq!(read(&app, "sys/internal/ui/resultant-acl").unwrap(), expected);
    assert_eq!(read(&world.root, "sys/internal/ui/resultant-acl").unwrap(), json(r#"{"root": true}"#));
}

#[test]
fn any_token_sees_the_mounts_that_it_can_reach_and_no_others() {
    let world = world();
    write(&world.root, "sys/mounts/other", r#"{"type": "kv"}"#).unwrap();
    let app = world.session_with("path \"secret/data/a\" { capabilities = [\"read\"] }");
    let seen = read(&app, "sys/internal/ui/mounts").unwrap();
    let names: Vec<&str> = seen.get("secret").and_then(Value::as_object).unwrap().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["secret/"]);
    assert_eq!(seen.get("auth").and_then(Value::as_object).unwrap().len(), 0);
    // What `vault kv` asks first: the version is in the options.
    let mount = read(&app, "sys/internal/ui/mounts/secret/a/b").unwrap();
    assert_eq!((text(&mount, "path"), text(&mount, "type"), text(mount.get("options").unwrap(), "version")), ("secret/", "kv", "2"));
    for path in ["other", "other/x", "nothing", "sys"] {
        let error = read(&app, &format!("sys/internal/ui/mounts/{path}")).unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied, "{path}");
    }
    assert!(read(&world.root, "sys/internal/ui/mounts").unwrap().get("secret").unwrap().get("other/").is_some());
    assert_eq!(read(&world.session_of("hvs.bad"), "sys/internal/ui/mounts").unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn health_and_leader_need_neither_token_nor_keys() {
    use vault_core::types::{Path, Request};
    let World { vault, root } = world();
    let sealed = vault.seal().unwrap();
    let ask = |path: &str| sealed.handle(Request::new(Operation::Read, Path::parse(path).unwrap())).into_result().unwrap().data.unwrap();
    let health = ask("sys/health");
    assert_eq!(
        (health.get("initialized"), health.get("sealed"), health.get("standby")),
        (Some(&Value::Bool(true)), Some(&Value::Bool(true)), Some(&Value::Bool(false)))
    );
    assert_eq!((text(&health, "replication_dr_mode"), text(&health, "replication_performance_mode")), ("disabled", "disabled"));
    assert!(health.get("server_time_utc").and_then(Value::as_u64).unwrap() > 1_700_000_000);
    assert_eq!(text(&health, "version"), env!("CARGO_PKG_VERSION"));
    assert!(text(&health, "cluster_name").starts_with("libvault-") && text(&health, "cluster_id").len() == 36);
    assert_eq!(ask("sys/leader").get("ha_enabled"), Some(&Value::Bool(false)));
    let _vault = sealed.unseal(&vault_core::UnsealKey::raw_key(&[7; 32]).unwrap()).unwrap();
    assert_eq!(read(&root, "sys/health").unwrap().get("sealed"), Some(&Value::Bool(false)));
    assert!(read(&root, "sys/ha-status").unwrap().get("nodes").and_then(Value::as_array).unwrap().len() == 1);
}

#[test]
fn the_process_and_the_configuration_are_told_to_sudo_alone_and_hold_no_secret() {
    let world = world();
    let app = world.session_with("path \"sys/*\" { capabilities = [\"read\"] }");
    for path in ["sys/host-info", "sys/config/state/sanitized"] {
        assert_eq!(read(&app, path).unwrap_err().code(), Code::PermissionDenied, "{path}");
    }
    let host = read(&world.root, "sys/host-info").unwrap();
    assert_eq!(host.get("pid").and_then(Value::as_u64), Some(u64::from(std::process::id())));
    assert!(host.get("memory").unwrap().get("resident_bytes").and_then(Value::as_u64).unwrap() > 100_000);
    let config = read(&world.root, "sys/config/state/sanitized").unwrap();
    assert_eq!(text(config.get("policy").unwrap(), "dialect"), "vault");
    assert_eq!(text(config.get("audit").unwrap(), "mode"), "batched");
    assert_eq!(config.get("seals").unwrap(), &vec!["raw-key"].into());
}

#[test]
fn tokens_are_counted_without_looking_at_other_records() {
    let world = world();
    let count = || {
        let answer = read(&world.root, "sys/internal/counters/tokens").unwrap();
        answer.get("counters").unwrap().get("service_tokens").unwrap().get("total").and_then(Value::as_u64).unwrap()
    };
    assert_eq!(count(), 0, "the root token does not expire, and is not counted");
    let token = world.token_with("path \"auth/token/revoke-self\" { capabilities = [\"update\"] }").0;
    world.token_with("path \"auth/token/revoke-self\" { capabilities = [\"update\"] }");
    assert_eq!(count(), 2);
    write(&world.session_of(&token), "auth/token/revoke-self", "").unwrap();
    assert_eq!(count(), 1);
    let entities = read(&world.root, "sys/internal/counters/entities").unwrap();
    assert_eq!(entities, json(r#"{"counters": {"entities": {"total": 0}}}"#));
    assert!(read(&world.root, "sys/internal/counters/requests").is_ok());
}

#[test]
fn tokens_are_the_one_auth_method_and_its_lifetimes_hold_for_new_tokens() {
    let World { root, .. } = world();
    let methods = read(&root, "sys/auth").unwrap();
    assert_eq!(text(methods.get("token/").unwrap(), "type"), "token");
    let ttl = |data: &str| {
        let response = root.request(Operation::Write, "auth/token/create", Some(json(data))).unwrap();
        response.auth.unwrap().lease_duration.as_secs()
    };
    assert_eq!(ttl(r#"{"policies": ["default"]}"#), 768 * 3600);
    for (path, other) in [("sys/auth/token/tune", "sys/mounts/auth/token/tune"), ("sys/mounts/auth/token/tune", "sys/auth/token/tune")] {
        write(&root, path, r#"{"default_lease_ttl": "1h", "max_lease_ttl": "2h"}"#).unwrap();
        let tuned = read(&root, other).unwrap();
        let seconds = |name: &str| tuned.get(name).and_then(Value::as_u64);
        assert_eq!((seconds("default_lease_ttl"), seconds("max_lease_ttl")), (Some(3600), Some(7200)));
    }
    assert_eq!(ttl(r#"{"policies": ["default"]}"#), 3600);
    assert_eq!(ttl(r#"{"policies": ["default"], "ttl": "24h"}"#), 7200);
    for data in
        [r#"{"default_lease_ttl": "3h"}"#, r#"{"max_lease_ttl": "10000h"}"#, r#"{"max_lease_ttl": "x"}"#, r#"{"token_type": "batch"}"#]
    {
        assert_eq!(write(&root, "sys/auth/token/tune", data).unwrap_err().class(), Class::InvalidRequest, "{data}");
    }
    write(&root, "sys/auth/token/tune", r#"{"default_lease_ttl": "system", "max_lease_ttl": 0}"#).unwrap();
    assert_eq!(ttl(r#"{"policies": ["default"]}"#), 768 * 3600);
    let error = write(&root, "sys/auth/github", r#"{"type": "github"}"#).unwrap_err();
    assert!(error.to_string().contains("not supported in this version"), "{error}");
    assert!(ask(&root, Operation::Delete, "sys/auth/token", "").is_err());
    assert_eq!(read(&root, "sys/auth/github").unwrap_err().class(), Class::NotFound);
}

#[test]
fn every_line_of_the_list_of_paths_is_as_it_says() {
    let page = include_str!("../../docs/system-paths.md");
    let mut answers = true;
    let mut asked = 0;
    for line in page.lines() {
        if line.starts_with("## ") {
            answers = line == "## What answers";
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, operation, path, ..] = cells[..] else { continue };
        let Some(operation) = Operation::from_name(operation) else { continue };
        let path = path.trim_matches('`');
        let concrete: Vec<&str> = path
            .split('/')
            .map(|segment| match segment {
                "BYTES" => "16",
                "SOURCE" => "platform",
                "ALGORITHM" => "sha2-256",
                "PATH" if answers => "secret",
                "PATH" | "NAME" => "x",
                segment => segment,
            })
            .collect();
        // Each with a vault of its own: some of them end it.
        let World { vault, root } = world();
        if cells.get(3) == Some(&"none") {
            let path = vault_core::types::Path::parse(&concrete.join("/")).unwrap();
            let outcome = vault.handle(vault_core::types::Request::new(operation, path)).into_result();
            assert!(outcome.is_ok() || outcome.is_err_and(|error| error.class() == Class::InvalidRequest), "{line}");
        }
        let outcome = ask(&root, operation, &concrete.join("/"), "");
        let is_known =
            outcome.as_ref().map_or_else(|error| !matches!(error.code(), Code::UnsupportedPath | Code::PermissionDenied), |_| true);
        if answers {
            assert!(is_known, "{line}: {outcome:?}");
            let needs_sudo = cells.get(3) == Some(&"sudo");
            let all =
                world_session(&vault, &root, "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }");
            if let Some(all) = all.filter(|_| cells.get(3) != Some(&"none")) {
                let refused = ask(&all, operation, &concrete.join("/"), "").is_err_and(|error| error.code() == Code::PermissionDenied);
                assert_eq!(refused, needs_sudo, "{line}");
            }
        } else {
            assert!(outcome.is_err(), "{line}");
        }
        asked += 1;
    }
    assert!(asked > 100, "{asked} lines were found");
}

/// A session of this policy alone; none where the vault was sealed meanwhile.
fn world_session(vault: &Vault, root: &Session, policy: &str) -> Option<Session> {
    root.policies().write("all", policy).ok()?;
    let options = TokenOptions { policies: vec!["all".to_owned()], no_default_policy: true, ..TokenOptions::default() };
    Some(vault.session(root.tokens().create(options).ok()?.client_token))
}

#[test]
fn the_versions_of_the_library_are_listed_from_the_making_of_the_store_on() {
    let World { root, vault } = world();
    let told = ask(&root, Operation::List, "sys/version-history", "").unwrap();
    let version = vault.seal_status().version.to_owned();
    assert_eq!(told.get("keys").unwrap(), &vec![version.as_str()].into());
    let installed = told.get("key_info").and_then(|info| info.get(&version)).unwrap();
    assert_eq!((installed.get("previous_version"), installed.get("build_date")), (Some(&Value::Null), Some(&Value::Null)));
    assert!(text(installed, "timestamp_installed").ends_with('Z'));
    vault.tick().unwrap();
    assert_eq!(ask(&root, Operation::List, "sys/version-history", "").unwrap(), told, "a tick notes what is new only");
    assert_eq!(read(&root, "sys/version-history").unwrap_err().code(), Code::UnsupportedPath);
}

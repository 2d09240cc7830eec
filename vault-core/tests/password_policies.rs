//! What the paths of password policies answer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use vault_core::types::{Class, Code, Object, Operation, Value};
use vault_core::{Config, NewSeal, Session, Vault};

const POLICY: &str = "length = 12\nrule \"charset\" {\n  charset = \"abc\"\n  min-chars = 1\n}\nrule \"charset\" { charset = \"0123456789\" min-chars = 3 }\n";

fn world() -> (Vault, Session) {
    let (vault, init) = Vault::create(Config::in_memory(), NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    (vault, root)
}

fn write(session: &Session, name: &str, policy: &str) -> vault_core::types::Result<()> {
    let data = Object::new().with("policy", policy).into();
    session.request(Operation::Write, &format!("sys/policies/password/{name}"), Some(data)).map(drop)
}

fn read(session: &Session, path: &str) -> vault_core::types::Result<Value> {
    session.request(Operation::Read, path, None).map(|response| response.data.unwrap())
}

fn names(session: &Session) -> Value {
    session.request(Operation::List, "sys/policies/password", None).unwrap().data.unwrap().get("keys").unwrap().clone()
}

#[test]
fn a_password_policy_is_written_read_listed_used_and_deleted() {
    let (_vault, root) = world();
    assert_eq!(names(&root), Value::Array(Vec::new()));
    write(&root, "db", POLICY).unwrap();
    write(&root, "app.1", &POLICY.replace("12", "30")).unwrap();
    assert_eq!(read(&root, "sys/policies/password/db").unwrap(), Object::new().with("policy", POLICY).into());
    assert_eq!(names(&root), vec!["app.1", "db"].into());
    for _ in 0..100 {
        let answer = read(&root, "sys/policies/password/db/generate").unwrap();
        let password = answer.get("password").and_then(Value::as_str).unwrap();
        assert_eq!(password.len(), 12);
        assert!(password.bytes().all(|byte| b"abc0123456789".contains(&byte)), "{password}");
        assert!(password.bytes().filter(u8::is_ascii_digit).count() >= 3, "{password}");
    }
    for _ in 0..2 {
        root.request(Operation::Delete, "sys/policies/password/db", None).unwrap();
    }
    assert_eq!(names(&root), vec!["app.1"].into());
    for path in ["sys/policies/password/db", "sys/policies/password/db/generate"] {
        assert_eq!(read(&root, path).unwrap_err().class(), Class::NotFound, "{path}");
    }
}

#[test]
fn a_password_policy_may_come_in_base64() {
    use base64::Engine;
    let (_vault, root) = world();
    write(&root, "db", &base64::engine::general_purpose::STANDARD.encode(POLICY)).unwrap();
    assert_eq!(read(&root, "sys/policies/password/db").unwrap(), Object::new().with("policy", POLICY).into());
}

#[test]
fn what_is_no_password_policy_is_not_written() {
    let (_vault, root) = world();
    for policy in ["", "length = 1", "length = 20", "rule \"charset\" { charset = \"a\" }", "{", "length = 20 rule \"x\" {}"] {
        assert_eq!(write(&root, "db", policy).unwrap_err().code(), Code::InvalidPolicy, "{policy}");
    }
    assert_eq!(root.request(Operation::Write, "sys/policies/password/db", None).unwrap_err().code(), Code::InvalidData);
    for name in ["a b", "a/b", "\u{e9}", &"x".repeat(600)] {
        assert!(write(&root, name, POLICY).is_err(), "{name}");
    }
    assert_eq!(names(&root), Value::Array(Vec::new()));
}

#[test]
fn password_policies_are_their_namespaces_own_and_need_their_capability() {
    let (vault, root) = world();
    write(&root, "db", POLICY).unwrap();
    root.request(Operation::Write, "sys/namespaces/a", None).unwrap();
    assert_eq!(read(&root, "a/sys/policies/password/db").unwrap_err().class(), Class::NotFound);
    let rule = "path \"sys/policies/password/db/generate\" { capabilities = [\"read\"] }";
    root.policies().write("p", rule).unwrap();
    let options = vault_core::TokenOptions { policies: vec!["p".to_owned()], ..Default::default() };
    let app = vault.session(root.tokens().create(options).unwrap().client_token);
    read(&app, "sys/policies/password/db/generate").unwrap();
    assert_eq!(read(&app, "sys/policies/password/db").unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(write(&app, "db", POLICY).unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn a_password_policy_outlives_seal_and_unseal() {
    let (vault, root) = world();
    write(&root, "db", POLICY).unwrap();
    let sealed = vault.seal().unwrap();
    let _vault = sealed.unseal(&vault_core::UnsealKey::raw_key(&[7; 32]).unwrap()).unwrap();
    assert_eq!(names(&root), vec!["db"].into());
    read(&root, "sys/policies/password/db/generate").unwrap();
}

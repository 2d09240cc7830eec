//! KV version 1: one value at a path, replaced as a whole.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use vault_core::types::{Code, Object, Operation, Response, Result, Value};
use vault_core::{Session, TokenOptions, Vault};

fn world() -> (Vault, Session) {
    let (vault, init) = Vault::in_memory().unwrap();
    let root = vault.session(init.root_token);
    root.request(Operation::Write, "sys/mounts/old", Some(Object::new().with("type", "kv").into())).unwrap();
    (vault, root)
}

fn ask(session: &Session, operation: Operation, path: &str, data: &str) -> Result<Response> {
    let data = (!data.is_empty()).then(|| Value::from_json(data.as_bytes()).unwrap());
    session.request(operation, &format!("old/{path}"), data)
}

fn code_of<T>(outcome: Result<T>) -> Code {
    outcome.map(drop).unwrap_err().code()
}

#[test]
fn a_value_is_written_read_replaced_listed_and_deleted() {
    let (vault, root) = world();
    let read = |path: &str| ask(&root, Operation::Read, path, "");
    ask(&root, Operation::Write, "app/db", r#"{"user":"u","pass":"p"}"#).unwrap();
    ask(&root, Operation::Write, "top", r#"{"a":1}"#).unwrap();
    ask(&root, Operation::Write, "app/db", r#"{"pass":"q"}"#).unwrap();
    let data = read("app/db").unwrap().data.unwrap();
    assert_eq!(data.to_json().as_slice(), br#"{"pass":"q"}"#, "a write replaces the whole");
    let keys = |path: &str, data: &str| {
        let data = ask(&root, Operation::List, path, data).unwrap().data.unwrap();
        String::from_utf8(data.get("keys").unwrap().to_json().to_vec()).unwrap()
    };
    assert_eq!(keys("", ""), r#"["app/","top"]"#);
    assert_eq!(keys("app", ""), r#"["db"]"#);
    assert_eq!(keys("", r#"{"limit":1,"after":"app/"}"#), r#"["top"]"#);
    ask(&root, Operation::Delete, "app/db", "").unwrap();
    ask(&root, Operation::Delete, "app/db", "").unwrap();
    assert_eq!(code_of(read("app/db")), Code::NotFound);
    assert_eq!(code_of(ask(&root, Operation::List, "app", "")), Code::NotFound);
    vault.verify().unwrap();
}

#[test]
fn the_lease_duration_is_what_the_secret_says_of_itself_else_the_default() {
    let (_vault, root) = world();
    for (content, seconds) in [
        (r#"{"a":1}"#, 768 * 3600),
        (r#"{"ttl":"30m"}"#, 1800),
        (r#"{"ttl":90}"#, 90),
        (r#"{"lease":"1h"}"#, 3600),
        (r#"{"ttl":"soon"}"#, 768 * 3600),
        (r#"{"ttl":[]}"#, 768 * 3600),
    ] {
        ask(&root, Operation::Write, "x", content).unwrap();
        let response = ask(&root, Operation::Read, "x", "").unwrap();
        assert_eq!((response.lease_duration.as_secs(), response.renewable), (seconds, false), "{content}");
        assert!(response.lease_id.is_empty(), "it is a hint and no lease");
        assert_eq!(response.data.unwrap().to_json().as_slice(), content.as_bytes());
    }
}

#[test]
fn bad_input_is_refused_and_what_was_there_stays() {
    let (vault, root) = world();
    ask(&root, Operation::Write, "x", r#"{"a":1}"#).unwrap();
    assert_eq!(code_of(ask(&root, Operation::Write, "x", "")), Code::InvalidData);
    assert_eq!(code_of(ask(&root, Operation::Write, "x", "{}")), Code::InvalidData);
    for path in ["folder/", ""] {
        assert_eq!(code_of(ask(&root, Operation::Write, path, r#"{"a":1}"#)), Code::InvalidPath, "{path}");
    }
    assert_eq!(code_of(ask(&root, Operation::Patch, "x", r#"{"a":2}"#)), Code::UnsupportedPath);
    let deep = (0..64).fold(Object::new(), |inner, _| Object::new().with("a", inner));
    assert_eq!(code_of(root.request(Operation::Write, "old/x", Some(deep.into()))), Code::InvalidData);
    assert_eq!(ask(&root, Operation::Read, "x", "").unwrap().data.unwrap().to_json().as_slice(), br#"{"a":1}"#);
    vault.verify().unwrap();
}

#[test]
fn a_write_needs_create_where_nothing_is_and_update_where_something_is() {
    let (vault, root) = world();
    let with = |capability: &str| {
        root.policies().write(capability, &format!("path \"old/*\" {{ capabilities = [\"{capability}\"] }}")).unwrap();
        let options = TokenOptions { policies: vec![capability.to_owned()], ..TokenOptions::default() };
        vault.session(root.tokens().create(options).unwrap().client_token)
    };
    let (create, update) = (with("create"), with("update"));
    assert_eq!(code_of(ask(&update, Operation::Write, "x", r#"{"a":1}"#)), Code::PermissionDenied);
    ask(&create, Operation::Write, "x", r#"{"a":1}"#).unwrap();
    assert_eq!(code_of(ask(&create, Operation::Write, "x", r#"{"a":1}"#)), Code::PermissionDenied);
    ask(&update, Operation::Write, "x", r#"{"a":2}"#).unwrap();
}

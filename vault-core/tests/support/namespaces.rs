//! What the tests of namespaces share: vaults in memory, their namespaces, and what lies in their stores.
#![allow(dead_code, unreachable_pub, reason = "each test binary takes what it needs")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use vault_core::storage::Storage;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Code, Error, Object, Operation, Response, SecretString, Value};
use vault_core::{Config, NewSeal, Session, TokenOptions, UnsealKey, Vault};

pub const KEY: [u8; 32] = [7; 32];
pub const ALL: [Operation; 5] = [Operation::Read, Operation::List, Operation::Write, Operation::Patch, Operation::Delete];
/// What a namespace's administrator holds.
pub const ADMIN: &str = r#"path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }"#;

pub fn create(config: Config) -> (Vault, Session, String) {
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let token = init.root_token.expose().to_owned();
    (vault.clone(), vault.session(init.root_token), token)
}

pub fn open(storage: MemoryStorage, token: &str) -> (Vault, Session) {
    let vault = Vault::open(Config::on(Arc::new(storage))).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    (vault.clone(), vault.session(SecretString::copy_from(token)))
}

pub fn make(session: &Session, name: &str) -> Result<Response, Error> {
    session.request(Operation::Write, &format!("sys/namespaces/{name}"), None)
}

pub fn delete(session: &Session, name: &str) -> Result<Response, Error> {
    session.request(Operation::Delete, &format!("sys/namespaces/{name}"), None)
}

pub fn names(session: &Session) -> Vec<String> {
    let data = session.request(Operation::List, "sys/namespaces", None).unwrap().data.unwrap();
    data.get("keys").and_then(Value::as_array).unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

pub fn member(text: &str) -> Object {
    Object::new().with("value", text)
}

pub fn put(session: &Session, path: &str, text: &str) -> Result<(), Error> {
    session.kv("secret").put(path, member(text)).map(drop)
}

pub fn value(session: &Session, path: &str) -> String {
    session.kv("secret").get(path).unwrap().data.get("value").unwrap().as_str().unwrap().to_owned()
}

/// A token that is made in the namespace of `session` with this policy, written there.
pub fn token_of(vault: &Vault, session: &Session, policy: &str, text: &str) -> Session {
    session.policies().write(policy, text).unwrap();
    let options = TokenOptions { policies: vec![policy.to_owned()], ..TokenOptions::default() };
    vault.session(session.tokens().create(options).unwrap().client_token)
}

pub fn code(result: Result<Response, Error>) -> Code {
    result.map_or_else(|error| error.code(), |_| panic!("it was allowed"))
}

/// The numbers of the data keys that the records of a store are under.
pub fn ids(storage: &dyn Storage) -> BTreeSet<u32> {
    let page = storage.scan(&[], None, 1_000_000).unwrap();
    let records = page.iter().filter(|(key, _)| key.as_bytes() != b"header" && key.as_bytes() != b"keyring");
    records.map(|(_, record)| u32::from_le_bytes(record[2..6].try_into().unwrap())).collect()
}

/// How many records are under these data keys.
pub fn count(storage: &dyn Storage, keys: &BTreeSet<u32>) -> usize {
    let page = storage.scan(&[], None, 1_000_000).unwrap();
    let records = page.iter().filter(|(key, _)| key.as_bytes() != b"header" && key.as_bytes() != b"keyring");
    records.filter(|(_, record)| keys.contains(&u32::from_le_bytes(record[2..6].try_into().unwrap()))).count()
}

pub fn term(session: &Session) -> u32 {
    let status = session.request(Operation::Read, "sys/key-status", None).unwrap().data.unwrap();
    u32::try_from(status.get("term").and_then(Value::as_u64).unwrap()).unwrap()
}

pub fn settle(vault: &Vault) {
    (0..40).for_each(|_| assert!(vault.tick().is_ok()));
}

/// The token of a session, which only the vault tells its holder.
pub fn secret_of(session: &Session) -> String {
    let found = session.request(Operation::Read, "auth/token/lookup-self", None).unwrap().data.unwrap();
    found.get("id").and_then(Value::as_str).unwrap().to_owned()
}

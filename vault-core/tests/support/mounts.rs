//! What the tests of mounts and cubbyholes share: a vault in memory whose records other than the audit log's can be counted.
#![allow(dead_code, unreachable_pub, reason = "each test binary takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use vault_core::host::ManualClock;
use vault_core::storage::Storage;
use vault_core::types::{Code, Error, Object, Operation, Response, SecretString, Timestamp, Value};
use vault_core::{Config, NewSeal, Session, TokenOptions, UnsealKey, Vault};

pub const KEY: [u8; 32] = [7; 32];

pub struct World {
    pub vault: Vault,
    pub root: Session,
    pub token: String,
    pub clock: Arc<ManualClock>,
}

pub fn world() -> World {
    create(Config::in_memory())
}

/// A vault that seals each event into a segment at once, so that [`records`] can tell the log from the rest.
pub fn create(config: Config) -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_457_040)));
    let config = config.with_clock(clock.clone()).with_audit_tail_bytes(1);
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let token = init.root_token.expose().to_owned();
    World { root: vault.session(init.root_token), vault, token, clock }
}

pub fn reopen(storage: Arc<dyn Storage>, token: &str) -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_457_040)));
    let config = Config::on(storage).with_clock(clock.clone()).with_audit_tail_bytes(1);
    let vault = Vault::open(config).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    World { root: vault.session(SecretString::copy_from(token)), vault, token: token.to_owned(), clock }
}

/// The records of the store that are none of the audit log's.
pub fn records(world: &World) -> u64 {
    let segments = world.root.audit().verify().unwrap().segments;
    world.vault.verify().unwrap().records - segments
}

/// Calls `tick` until nothing is left to remove.
pub fn settle(world: &World) {
    for _ in 0..100 {
        let before = records(world);
        world.vault.tick().unwrap();
        if records(world) == before {
            return;
        }
    }
    panic!("the removal does not end");
}

pub fn ask(session: &Session, operation: Operation, path: &str, data: &str) -> Result<Response, Error> {
    let data = (!data.is_empty()).then(|| Value::from_json(data.as_bytes()).unwrap());
    session.request(operation, path, data)
}

pub fn read(session: &Session, path: &str) -> Result<Value, Error> {
    ask(session, Operation::Read, path, "").map(|response| response.data.unwrap())
}

pub fn mount(session: &Session, path: &str, version: &str) -> Result<(), Error> {
    let body = format!(r#"{{"type":"kv","options":{{"version":"{version}"}}}}"#);
    ask(session, Operation::Write, &format!("sys/mounts/{path}"), &body).map(drop)
}

pub fn unmount(session: &Session, path: &str) -> Result<(), Error> {
    ask(session, Operation::Delete, &format!("sys/mounts/{path}"), "").map(drop)
}

pub fn put(session: &Session, mount: &str, path: &str) -> Result<(), Error> {
    session.kv(mount).put(path, Object::new()).map(drop)
}

/// Fills the mount `m`: secrets in nested folders, some with several versions, and a configuration.
pub fn fill(session: &Session, version: &str, secrets: usize) {
    for i in 0..secrets {
        let path = format!("f{}/s{i}", i % 3);
        match version {
            "1" => drop(ask(session, Operation::Write, &format!("m/{path}"), r#"{"a":1}"#).unwrap()),
            _ => (0..=i % 3).for_each(|_| put(session, "m", &path).unwrap()),
        }
    }
    if version == "2" {
        put(session, "m", "a/b/c/d").unwrap();
        put(session, "m", "a/b/c").unwrap();
        ask(session, Operation::Write, "m/config", r#"{"max_versions":5}"#).unwrap();
    }
}

pub fn token_with(world: &World, policy: &str) -> Session {
    world.root.policies().write("p", policy).unwrap();
    let options = TokenOptions { policies: vec!["p".to_owned()], ..TokenOptions::default() };
    world.vault.session(world.root.tokens().create(options).unwrap().client_token)
}

pub fn text_of(value: &Value) -> String {
    String::from_utf8(value.to_json().to_vec()).unwrap()
}

pub fn code_of<T>(outcome: Result<T, Error>) -> Code {
    outcome.map(drop).unwrap_err().code()
}

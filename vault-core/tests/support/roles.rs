//! Static roles in a vault over the target in memory, for the tests of rotations.
#![allow(dead_code, unreachable_pub, reason = "each test binary takes what it needs")]
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

use crate::support::*;
use vault_core::Session;
use vault_core::types::{Error, Operation, Response, Value};

/// Puts an account into the target as an operator would have made it.
pub fn account(world: &World, name: &str, password: &str) {
    world.target.state.lock().unwrap().accounts.insert(name.to_owned(), password.to_owned());
}

pub fn password_at(world: &World, name: &str) -> String {
    world.target.state.lock().unwrap().accounts[name].clone()
}

pub fn write(session: &Session, path: &str, data: &str) -> Result<Response, Error> {
    ask(session, Operation::Write, &format!("database/{path}"), data)
}

pub fn read(session: &Session, path: &str) -> Value {
    ask(session, Operation::Read, &format!("database/{path}"), "").unwrap().data.unwrap()
}

pub fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub fn creds_now(session: &Session) -> (String, String) {
    let data = read(session, "static-creds/app");
    (text(&data, "username"), text(&data, "password"))
}

pub fn status(session: &Session) -> Value {
    read(session, "static-roles/app").get("rotation").unwrap().clone()
}

pub fn role_of(world: &World, data: &str) {
    write(&world.root, "static-roles/app", data).unwrap();
}

pub const DAILY: &str = r#"{"db_name":"db","username":"app","rotation_period":"24h","rotation_statements":["ALTER {{name}}"]}"#;

pub fn enrolled() -> World {
    let world = world();
    account(&world, "app", "from-before");
    role_of(&world, DAILY);
    world
}

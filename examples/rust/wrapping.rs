//! A credential that is handed to another, who alone sees it, and can tell whether somebody was there before.
//!
//! `cargo run --example wrapping`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use vault_core::types::{Object, Operation, Ttl, Value};
use vault_core::{TokenOptions, Vault};

fn main() -> Result<(), Box<dyn Error>> {
    let (vault, init) = Vault::in_memory()?;
    let root = vault.session(init.root_token);
    root.policies().write("app", r#"path "secret/data/app" { capabilities = ["read"] }"#)?;
    root.kv("secret").put("app", Object::new().with("password", "pa55-w0rd"))?;

    // The operator makes a token for the application, and gets a wrapping token in its place.
    let asked = Object::new().with("policies", vec!["app"]).with("num_uses", 1_u64);
    let info = root.wrapping().request(Operation::Write, "auth/token/create", Some(asked.into()), Ttl::from_secs(300))?;
    println!("handed over: a token that lasts {} s and holds what {} answered", info.ttl.as_secs(), info.creation_path);

    // The application unwraps it, with a token that may do nothing else.
    let launcher = root.tokens().create(TokenOptions { policies: vec!["default".to_owned()], ..TokenOptions::default() })?;
    let launcher = vault.session(launcher.client_token);
    let auth = launcher.wrapping().unwrap(info.token.expose())?.auth.ok_or("a token was wrapped")?;
    let app = vault.session(auth.client_token);
    let secret = app.kv("secret").get("app")?;
    println!("read a password of {} characters", secret.data.get("password").and_then(Value::as_str).unwrap_or_default().len());

    // Its one use is over, and nobody unwraps a second time: whoever is told so raises the alarm.
    println!("once more: {}", app.kv("secret").get("app").expect_err("used up"));
    println!("unwrapped again: {}", launcher.wrapping().unwrap(info.token.expose()).expect_err("unwrapped"));
    Ok(vault.close()?)
}

//! A password that is rotated under a running program: workers hold a live secret, see the new version at their next request, and one that was
//! refused in between logs in again.
//!
//! `cargo run --example live_secret`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::fmt;
use std::sync::Mutex;
use vault_core::types::Object;
use vault_core::{TokenOptions, Vault};

/// What a database does here: it knows one password.
struct Database(Mutex<String>);

/// Its answer to a wrong one.
#[derive(Debug, PartialEq)]
struct Refused;

impl Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database refuses the password")
    }
}

impl Database {
    fn log_in(&self, password: &str) -> Result<&'static str, Refused> {
        if *self.0.lock().map_err(|_| Refused)? == password { Ok("a connection") } else { Err(Refused) }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (vault, init) = Vault::in_memory()?;
    let root = vault.session(init.root_token);
    root.policies().write("app", r#"path "secret/data/app/db" { capabilities = ["read"] }"#)?;
    root.kv("secret").put("app/db", Object::new().with("password", "first"))?;
    let database = Database(Mutex::new("first".to_owned()));
    let rotate = |password: &str| {
        *database.0.lock().map_err(|_| "poisoned")? = password.to_owned();
        root.kv("secret").put("app/db", Object::new().with("password", password)).map_err(|error| error.to_string())
    };

    // The program's own token, and one live secret for as long as it runs.
    let token = root.tokens().create(TokenOptions { policies: vec!["app".to_owned()], ..TokenOptions::default() })?;
    let password = vault.session(token.client_token).kv("secret").live("app/db")?;
    let log_in = || password.with_retry(|secret| database.log_in(secret.text("password").unwrap_or_default()), |error| *error == Refused);

    println!("version {:?}: {}", password.get()?.version(), log_in()?);
    for _ in 0..1_000_000 {
        password.get()?;
    }
    println!("asked a million times more; reads in the audit log: {}", reads(&root)?);

    rotate("second")?;
    println!("rotated; version {:?}: {}", password.get()?.version(), log_in()?);

    // The target has the new password a moment before the vault does: who logs in just then is refused, reads anew and tries once more.
    let mut late = true;
    let connection = password.with_retry(
        |secret| {
            if std::mem::take(&mut late) {
                *database.0.lock().map_err(|_| Refused)? = "third".to_owned();
            }
            let refused = database.log_in(secret.text("password").unwrap_or_default());
            if refused.is_err() {
                rotate("third").map_err(|_| Refused)?;
            }
            refused
        },
        |error| *error == Refused,
    )?;
    println!("refused once, then {connection}; reads in the audit log: {}", reads(&root)?);

    root.tokens().revoke_accessor(&token.accessor)?;
    println!("revoked: {}", password.get().expect_err("the token is gone"));
    Ok(vault.close()?)
}

fn reads(root: &vault_core::Session) -> Result<usize, Box<dyn Error>> {
    let events = root.audit().events(0, 1_000)?;
    let is_read = |event: &&vault_core::types::Value| event.get("live").and_then(|live| live.as_bool()) == Some(true);
    Ok(events.iter().filter(is_read).count())
}

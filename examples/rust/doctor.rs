//! The doctor: a store is damaged, examined, and salvaged into a new vault that has its secrets.
//!
//! `cargo run --example doctor`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example talks to its reader and handles files, as a host does")]

use std::error::Error;
use std::fs;
use vault_core::types::{Object, Operation, Value};
use vault_core::{Config, NewSeal, UnsealKey, Vault, doctor};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("vault");
    let key = UnsealKey::raw_key(&[7; 32])?;
    let (vault, init) = Vault::create(Config::at(&place), NewSeal::raw_key(&[7; 32])?)?;
    vault.session(init.root_token).kv("secret").put("app/db", Object::new().with("password", "pa55-w0rd"))?;
    let size = vault.compact()?;
    println!("compacted in use: {} bytes of {}", size.after, size.before);
    vault.close()?;
    println!("{}", doctor::examine(&Config::at(&place), Some(&key))?);

    // As after a device that has lost the file which says what counts.
    fs::write(place.join("CURRENT"), b"")?;
    println!("opening it: {}", Vault::open(Config::at(&place)).expect_err("it is damaged"));
    println!("{}", doctor::examine(&Config::at(&place), Some(&key))?);

    let (salvaged, report) = doctor::salvage(&Config::at(&place), &key, Config::at(folder.path().join("salvaged")))?;
    println!("{report}");
    let root = salvaged.session(salvaged.generate_root(&key)?);
    let secret = root.kv("secret").get("app/db")?;
    println!("the secret is there: {}", secret.data.get("password").and_then(Value::as_str) == Some("pa55-w0rd"));
    root.request(Operation::Write, "sys/storage/adopt", None)?;
    root.kv("secret").put("app/db", Object::new().with("password", "n3w"))?;
    println!("adopted, it goes on");
    Ok(())
}

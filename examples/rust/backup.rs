//! Backup, restore and audit proof: a backup of a vault in use, looked at while it is frozen, adopted; and what an auditor checks without it.
//!
//! `cargo run --example backup`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an example talks to its reader and handles files, as a host does"
)]

use std::error::Error;
use std::fs::File;
use vault_core::audit_proof::{ConsistencyProof, verify_checkpoint};
use vault_core::types::{Object, Operation, Value};
use vault_core::{BackupSeals, Config, NewSeal, Session, UnsealKey, Vault, backup};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("vault.backup");
    let (vault, init) = Vault::create(Config::at(folder.path().join("vault")), NewSeal::raw_key(&[7; 32])?)?;
    let token = init.root_token.expose().to_owned();
    let root = vault.session(init.root_token);
    root.kv("secret").put("app/db", Object::new().with("password", "pa55-w0rd"))?;
    let (key, older) = (read(&root, "public-key", "key", None)?, read(&root, "checkpoint", "checkpoint", None)?);

    // Under a passphrase of its own, that lies in a safe: whoever opens the vault does not open it.
    let seals = BackupSeals::New(vec![NewSeal::passphrase("for the safe")?]);
    let (info, _) = root.backup().to_writer(&mut File::create(&file)?, &seals)?;
    println!("a backup of {} records, {} bytes", info.records, info.bytes);
    let found = backup::verify(&mut File::open(&file)?)?;
    println!("it is whole, which needs no key to tell: {}", found.digest == info.digest);

    let place = Config::at(folder.path().join("restored"));
    let (copy, _) = Vault::restore(place, &mut File::open(&file)?, &UnsealKey::passphrase("for the safe")?)?;
    let restored = copy.session(vault_core::types::SecretString::copy_from(&token));
    println!("restored and frozen: {}", copy.is_frozen());
    println!("a write: {}", restored.kv("secret").put("x", Object::new()).expect_err("it is frozen"));
    restored.request(Operation::Write, "sys/storage/adopt", None)?;
    restored.kv("secret").put("x", Object::new())?;
    println!("adopted, it goes on");

    // An auditor with the public key and an old checkpoint sees that nothing was taken away since.
    root.kv("secret").put("app/db", Object::new().with("password", "n3w"))?;
    let newer = read(&root, "checkpoint", "checkpoint", None)?;
    let (older, newer) = (verify_checkpoint(&older, &key)?, verify_checkpoint(&newer, &key)?);
    let sizes = Object::new().with("from", older.size).with("to", newer.size);
    let proof = root.request(Operation::Read, "sys/audit-log/proof/consistency", Some(sizes.into()))?.data.unwrap_or(Value::Null);
    ConsistencyProof::from_value(&proof)?.verify(&older, &newer)?;
    println!("the log of {} records is the continuation of the one of {}", newer.size, older.size);
    Ok(())
}

fn read(session: &Session, path: &str, member: &str, data: Option<Value>) -> Result<String, Box<dyn Error>> {
    let answer = session.request(Operation::Read, &format!("sys/audit-log/{path}"), data)?.data;
    Ok(answer.as_ref().and_then(|data| data.get(member)).and_then(Value::as_str).ok_or("nothing was answered")?.to_owned())
}

//! The audit log checked by somebody who has only the vault's public key, and no vault: an auditor, on another machine.
//!
//! `cargo run --example audit_proof`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use vault_core::audit_proof::{ConsistencyProof, InclusionProof, verify_checkpoint};
use vault_core::types::{Object, Operation, Value};
use vault_core::{Session, Vault};

/// What the operator hands out: the public key once, a checkpoint every now and then, and proofs when asked.
struct Handed {
    public_key: String,
    older: String,
    newer: String,
    inclusion: Value,
    consistency: Value,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (vault, init) = Vault::in_memory()?;
    let root = vault.session(init.root_token);
    let public_key = text(&read(&root, "public-key", Object::new())?, "key")?;
    root.kv("secret").put("app/db", Object::new().with("password", "pa55-w0rd"))?;
    let older = text(&read(&root, "checkpoint", Object::new())?, "checkpoint")?;
    root.kv("secret").put("app/db", Object::new().with("password", "n3w"))?;
    let newer = text(&read(&root, "checkpoint", Object::new())?, "checkpoint")?;
    let (from, to) = (verify_checkpoint(&older, &public_key)?.size, verify_checkpoint(&newer, &public_key)?.size);
    let inclusion = read(&root, "proof/inclusion", Object::new().with("sequence", from).with("size", to))?;
    let consistency = read(&root, "proof/consistency", Object::new().with("from", from).with("to", to))?;
    vault.close()?;

    // The vault is closed: what follows needs nothing of it but these texts.
    audit(&Handed { public_key, older, newer, inclusion, consistency })
}

/// Checks what was handed over with the public key alone.
fn audit(handed: &Handed) -> Result<(), Box<dyn Error>> {
    let older = verify_checkpoint(&handed.older, &handed.public_key)?;
    let newer = verify_checkpoint(&handed.newer, &handed.public_key)?;
    ConsistencyProof::from_value(&handed.consistency)?.verify(&older, &newer)?;
    println!("the log of {} events begins with the one of {}: nothing was removed or changed", newer.size, older.size);
    let proof = InclusionProof::from_value(&handed.inclusion)?;
    proof.verify(&newer)?;
    println!("the event is in it: {}", text(handed.inclusion.get("event_json").ok_or("no event")?, "path")?);

    println!("for another log: {}", proof.verify(&older).expect_err("it is the proof of the newer one"));
    let forged = handed.newer.replace(&format!("\n{}\n", newer.size), &format!("\n{}\n", newer.size - 1));
    println!("a forged checkpoint: {}", verify_checkpoint(&forged, &handed.public_key).expect_err("nobody else can sign one"));
    Ok(())
}

fn read(session: &Session, path: &str, data: Object) -> Result<Value, Box<dyn Error>> {
    Ok(session.request(Operation::Read, &format!("sys/audit-log/{path}"), Some(data.into()))?.data.ok_or("nothing was answered")?)
}

fn text(value: &Value, member: &str) -> Result<String, Box<dyn Error>> {
    Ok(value.get(member).and_then(Value::as_str).ok_or("there is no such member")?.to_owned())
}

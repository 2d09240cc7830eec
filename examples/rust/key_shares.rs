//! Key shares: a vault that any 3 of 5 people open together, a share that is none, and a rekey that locks nobody out.
//!
//! `cargo run --example key_shares`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use vault_core::types::{Object, Operation, Path, Request, Value};
use vault_core::{Config, NewSeal, UnsealKey, Unsealing, Vault};

fn main() -> Result<(), Box<dyn Error>> {
    let (vault, init) = Vault::create(Config::in_memory(), NewSeal::shares(5, 3)?)?;
    println!("a vault with {} key shares, of which 3 open it; each person keeps one", init.shares.len());
    let sealed = vault.seal()?;
    let mistyped = sealed.unseal_share("lvs1not-a-share").expect_err("this is none");
    println!("a mistyped share: {mistyped}");
    for share in &init.shares[1..4] {
        match sealed.unseal_share(share.expose())? {
            Unsealing::More(status) => println!("{} of {} shares were given", status.progress, status.threshold),
            Unsealing::Unsealed(_) => println!("the vault is unsealed"),
        }
    }

    // Somebody leaves: new shares under a new root key. Nothing changes before three people have shown their new ones.
    let root = vault.session(init.root_token);
    let numbers = Object::new().with("secret_shares", 5_u64).with("secret_threshold", 3_u64).with("require_verification", true);
    let begun = root.request(Operation::Write, "sys/rekey/init", Some(numbers.into()))?.data.unwrap_or(Value::Null);
    let mut answer = Value::Null;
    for share in &init.shares[..3] {
        answer = ask(&vault, "sys/rekey/update", text(&begun, "nonce"), share.expose())?;
    }
    let new: Vec<&str> = answer.get("keys").and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str).collect();
    for share in &new[..3] {
        ask(&vault, "sys/rekey/verify", text(&answer, "verification_nonce"), share)?;
    }
    let sealed = vault.seal()?;
    let old = UnsealKey::shares(init.shares.iter().map(|share| share.expose()))?;
    println!("the old shares: {}", sealed.unseal(&old).expect_err("they open nothing any more"));
    let key = UnsealKey::shares(new[2..].iter().copied())?;
    let vault = sealed.unseal(&key)?;
    println!("the new ones open the vault, and make a root token when the last one is lost");
    let root = vault.session(vault.generate_root(&key)?);
    println!("its policies: {:?}", root.tokens().lookup_self()?.policies);
    Ok(())
}

/// A request without a token: what it needs is a share.
fn ask(vault: &Vault, path: &str, nonce: &str, share: &str) -> Result<Value, Box<dyn Error>> {
    let data = Object::new().with("nonce", nonce).with("key", share);
    let request = Request::new(Operation::Write, Path::parse(path)?).with_data(data.into());
    Ok(vault.handle(request).into_result()?.data.unwrap_or(Value::Null))
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

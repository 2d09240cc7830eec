//! The quickstart: a vault on disk from its creation to the byte that somebody flips in a copy of it.
//!
//! `cargo run --example quickstart`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example talks to its reader and handles files, as a host does")]

use std::error::Error;
use std::fs;
use std::path::Path;
use vault_core::policy::{Capability, Dialect, Facts, evaluate};
use vault_core::types::{Class, Object, Ttl, Value};
use vault_core::{Config, NewSeal, TokenOptions, UnsealKey, Vault};

const PASSPHRASE: &str = "correct horse battery staple";
const POLICY: &str = r#"# What the billing service may do: its own secrets, nothing else.
path "secret/data/billing/*" {
    capabilities = ["create", "read", "update"]
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("vault");

    step("Create a vault on disk");
    let (vault, init) = Vault::create(Config::at(&place), NewSeal::passphrase(PASSPHRASE)?)?;
    say("a store with one key slot (Argon2id, 64 MiB) and a root token, shown once");
    vault.close()?;

    step("Open it again, sealed, and unseal it");
    let sealed = Vault::open(Config::at(&place))?;
    say(&format!("sealed: {}", sealed.seal_status().sealed));
    let refused = sealed.unseal(&UnsealKey::passphrase("a guess")?).expect_err("a wrong passphrase opens nothing");
    say(&format!("a wrong passphrase: {refused}"));
    let vault = sealed.unseal(&UnsealKey::passphrase(PASSPHRASE)?)?;
    say(&format!("sealed: {}", vault.seal_status().sealed));

    step("Write a policy, and mint a token that may do that and no more");
    let root = vault.session(init.root_token);
    root.policies().write("billing", POLICY)?;
    let auth = root.tokens().create(TokenOptions {
        policies: vec!["billing".to_owned()],
        ttl: Some(Ttl::from_secs(3600)),
        display_name: Some("billing-service".to_owned()),
        ..TokenOptions::default()
    })?;
    say(&format!("policies {:?}, for {} s, accessor {}", auth.policies, auth.lease_duration.as_secs(), auth.accessor));
    let billing = vault.session(auth.client_token);

    step("Store a secret and read it back");
    let written = billing.kv("secret").put("billing/db", Object::new().with("user", "billing").with("password", "pa55-w0rd"))?;
    say(&format!("wrote version {} of secret/billing/db", written.version));
    let secret = billing.kv("secret").get("billing/db")?;
    // The one place where the secret is looked at; it is wiped when `secret` goes out of scope.
    let password = secret.data.get("password").and_then(Value::as_str).unwrap_or_default();
    say(&format!("read version {}: user {:?}, a password of {} characters", secret.version.version, "billing", password.len()));

    step("Be denied elsewhere, and learn which rule decided");
    let denied = billing.kv("secret").get("payroll/db").expect_err("the policy does not reach there");
    say(&format!("the caller learns only: {denied}"));
    let events = root.audit().events(0, 1000)?;
    let event = events.iter().rfind(|event| text(event, "path") == "secret/data/payroll/db").ok_or("the denial was not recorded")?;
    let decision = event.get("decision").ok_or("the event has no decision")?;
    say(&format!("the audit log knows: {} by {}: {}", text(event, "operation"), text(event, "display_name"), text(decision, "step")));
    for path in ["secret/data/payroll/db", "secret/data/billing/db"] {
        let facts = Facts::new(Capability::Read, path);
        say(&format!("explain: {}", evaluate(&[POLICY], &facts, Dialect::Vault)?));
    }

    step("Revoke the token");
    billing.tokens().revoke_self()?;
    let gone = billing.kv("secret").get("billing/db").expect_err("a revoked token is worth nothing");
    say(&format!("the next read: {gone}"));

    step("Verify the audit log and the store");
    let report = root.audit().verify()?;
    say(&format!("{} audit records lead to the head {}...", report.records, &report.head[..16]));
    let whole = vault.verify()?;
    say(&format!("{} records of the store agree with the digest in the root record", whole.records));
    vault.close()?;

    step("Flip one byte in a copy");
    let copy = folder.path().join("copy");
    copy_dir(&place, &copy)?;
    let flipped = flip_newest_byte(&copy)?;
    say(&format!("flipped byte {flipped} of the copy's log"));
    let found = Vault::open(Config::at(&copy)).and_then(|sealed| {
        let vault = sealed.unseal(&UnsealKey::passphrase(PASSPHRASE)?)?;
        vault.verify()
    });
    let found = found.err().ok_or("the flipped byte was not found")?;
    assert_eq!(found.class(), Class::Corrupt);
    say(&format!("found: {found}"));
    let vault = Vault::open(Config::at(&place))?.unseal(&UnsealKey::passphrase(PASSPHRASE)?)?;
    vault.verify()?;
    say("the original still verifies");

    println!("\nDone: no daemon, no port, nothing in the clear on disk.");
    Ok(())
}

fn step(title: &str) {
    println!("\n== {title}");
}

fn say(line: &str) {
    println!("   {line}");
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Flips a byte in the part of the log that was written last; where in the file it was.
fn flip_newest_byte(store: &Path) -> Result<usize, Box<dyn Error>> {
    let generation = fs::read_dir(store)?.filter_map(Result::ok).find(|entry| entry.file_name().to_string_lossy().starts_with("g-"));
    let log = generation.ok_or("the copy has no generation")?.path().join("db");
    let mut bytes = fs::read(&log)?;
    let last = bytes.iter().rposition(|byte| *byte != 0).ok_or("the log is empty")?;
    let at = last.saturating_sub(16);
    bytes[at] ^= 1;
    fs::write(&log, bytes)?;
    Ok(at)
}

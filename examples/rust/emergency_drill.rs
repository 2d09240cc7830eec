//! An emergency drill: a token is not trusted any more. What it has read, what would be done, and the end of it, with a page for the postmortem.
//!
//! `cargo run --example emergency_drill`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use vault_core::testing::TestVault;
use vault_core::types::{Object, Result, Timestamp, Ttl};
use vault_core::{ContainOptions, ReaderTokens, Suspect};

fn main() -> Result<()> {
    // A vault in memory whose clock moves when it is told: a drill costs nobody a night.
    let test = TestVault::new();
    let (root, emergency) = (&test.root, test.root.emergency());
    for (name, text) in [("app/db", "first"), ("app/mail", "second")] {
        root.kv("secret").put(name, Object::new().with("password", text))?;
    }
    let policy = r#"path "secret/data/app/*" { capabilities = ["read"] } path "auth/token/lookup-self" { capabilities = ["read"] }"#;
    let shop = test.session_with(policy, Ttl::from_secs(8 * 3_600));
    shop.kv("secret").get("app/db")?;
    test.advance(Ttl::from_secs(600));
    shop.kv("secret").get("app/mail")?;
    let accessor = shop.tokens().lookup_self()?.accessor;
    test.advance(Ttl::from_secs(60));

    // Safe to type in any state of mind: it changes nothing.
    let exposure = emergency.look_at(&Suspect::Accessor(accessor.clone()), Timestamp::EPOCH)?;
    print!("The look:\n{exposure}");

    // Held still, it does nothing more and can still be asked about; if it was the wrong one only its leases are lost.
    let options = ContainOptions { tokens: ReaderTokens::Quarantine, dry_run: true, ..ContainOptions::default() };
    print!("The rehearsal:\n{}", emergency.contain_with(&exposure, &options)?);
    let ended = emergency.contain_with(&exposure, &ContainOptions { dry_run: false, ..options })?;
    print!("The end:\n{ended}");
    println!("the shop now: {}", shop.kv("secret").get("app/db").map_or_else(|error| error.to_string(), |_| "reads on".to_owned()));

    emergency.release(&accessor)?;
    println!("and released: {}", shop.kv("secret").get("app/db").is_ok());
    Ok(())
}

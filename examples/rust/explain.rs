//! Why a request is denied: the rule, its line, and the rules that lost; beforehand from the texts alone, and afterwards from a vault.
//!
//! `cargo run --example explain`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use vault_core::policy::{Capability, Dialect, Facts, evaluate};
use vault_core::types::{Object, Operation};
use vault_core::{TokenOptions, Vault};

const APP: &str = r#"
path "secret/data/*" {
  capabilities = ["read"]
}
path "secret/data/payroll/*" {
  capabilities = ["deny"]
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    // From the text: nothing is opened, no token is made.
    let decision = evaluate(&[APP], &Facts::new(Capability::Read, "secret/data/payroll/ann"), Dialect::Vault)?;
    assert!(!decision.allowed && decision.line == Some(5));
    println!("{decision}");

    // From a vault, of a token that is denied: its own decision, told by whoever may ask for it.
    let (vault, init) = Vault::in_memory()?;
    let root = vault.session(init.root_token);
    root.policies().write("app", APP)?;
    let auth = root.tokens().create(TokenOptions { policies: vec!["app".to_owned()], ..TokenOptions::default() })?;
    let asked = Object::new().with("operation", "read").with("path", "secret/data/payroll/ann").with("accessor", auth.accessor.as_str());
    let app = vault.session(auth.client_token);
    println!("the application is told: {}", app.kv("secret").get("payroll/ann").expect_err("denied"));
    let told = root.request(Operation::Write, "sys/policies/explain", Some(asked.into()))?.data.ok_or("an explanation")?;
    println!("the operator is told: {}", told.get("text").and_then(|text| text.as_str()).ok_or("a text")?);

    // And the log has it, with the policy and the line, for each request that was refused.
    let events = root.audit().events(0, 1_000)?;
    let denied = events.iter().filter(|event| event.get("path").and_then(|path| path.as_str()) == Some("secret/data/payroll/ann"));
    assert_eq!(denied.count(), 1);
    Ok(vault.close()?)
}

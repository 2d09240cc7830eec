//! A token that may do one thing, for an hour, ten times, from one network; and what it cannot do with that.
//!
//! `cargo run --example least_privilege`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use vault_core::Vault;
use vault_core::types::{Context, Object, Operation, Value};

const WORKER: &str = r#"
path "secret/data/jobs/+/input" {
  capabilities = ["read"]
}
"#;
const DISPATCHER: &str = r#"
path "auth/token/create/worker" {
  capabilities        = ["update"]
  allowed_parameters  = { "meta" = [] }
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let (vault, init) = Vault::in_memory()?;
    let root = vault.session(init.root_token);
    root.policies().write("worker", WORKER)?;
    root.policies().write("dispatcher", DISPATCHER)?;
    root.kv("secret").put("jobs/7/input", Object::new().with("key", "k-7"))?;

    // What each worker's token is, is fixed beforehand: whoever dispatches chooses nothing of it.
    let role = Object::new()
        .with("allowed_policies", "worker")
        .with("token_no_default_policy", true)
        .with("token_explicit_max_ttl", "1h")
        .with("token_num_uses", 10_u64)
        .with("token_bound_cidrs", "10.0.0.0/8")
        .with("orphan", true)
        .with("renewable", false);
    root.request(Operation::Write, "auth/token/roles/worker", Some(role.into()))?;
    let asked = Object::new().with("policies", "dispatcher").with("no_default_policy", true);
    let dispatcher = root.request(Operation::Write, "auth/token/create", Some(asked.into()))?.auth.ok_or("a token")?;
    let dispatcher = vault.session(dispatcher.client_token);
    let worker = dispatcher.request(Operation::Write, "auth/token/create/worker", None)?.auth.ok_or("a token")?;
    println!("a worker may be {:?} for {} s, {} times", worker.policies, worker.lease_duration.as_secs(), worker.num_uses);
    let worker = vault.session(worker.client_token);

    let from = |address: &str| Context { remote_address: Some(address.to_owned()), ..Context::default() };
    let read = |path: &str, address: &str| worker.request_with(Operation::Read, path, None, from(address));
    let input = read("secret/data/jobs/7/input", "10.1.2.3")?.data.ok_or("a secret")?;
    println!("it reads {} member", input.get("data").and_then(Value::as_object).ok_or("an object")?.len());
    println!("another secret: {}", read("secret/data/jobs/7/output", "10.1.2.3").expect_err("denied"));
    println!("from elsewhere: {}", read("secret/data/jobs/7/input", "192.0.2.1").expect_err("denied"));
    println!(
        "a token for itself: {}",
        worker.request_with(Operation::Write, "auth/token/create", None, from("10.1.2.3")).expect_err("denied")
    );
    println!("more than its role: {}", {
        let more = Object::new().with("policies", "root");
        dispatcher.request(Operation::Write, "auth/token/create/worker", Some(more.into())).expect_err("denied")
    });
    Ok(vault.close()?)
}

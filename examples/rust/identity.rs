//! Two people with one role of tokens: each reads what its policies, its groups and its own name give, is named in the audit log, and ends at once.
//!
//! `cargo run --example identity`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use vault_core::types::{Object, Operation, Value};
use vault_core::{Session, Vault};

const PEOPLE: &str = r#"
path "secret/data/people/{{identity.entity.name}}/*" {
  capabilities = ["create", "update", "read"]
}
"#;
const OPERATORS: &str = r#"
path "secret/data/servers/*" {
  capabilities = ["read"]
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let (vault, init) = Vault::in_memory()?;
    let root = vault.session(init.root_token);
    root.policies().write("people", PEOPLE)?;
    root.policies().write("operators", OPERATORS)?;
    root.kv("secret").put("servers/web", Object::new().with("password", "pa55-w0rd"))?;
    let write = |path: &str, data: Object| root.request(Operation::Write, path, Some(data.into()));

    // Who they are. A name has one spelling, however it is written.
    let mut ids = Vec::new();
    for name in ["Ann", "Bob"] {
        let made = write("identity/entity", Object::new().with("name", name).with("policies", "people"))?.data.ok_or("an entity")?;
        let id = made.get("id").and_then(Value::as_str).ok_or("an id")?.to_owned();
        let alias = Object::new().with("name", format!("{name}@Example.org")).with("canonical_id", id.as_str());
        write("identity/entity-alias", alias.with("mount_accessor", "auth_token"))?;
        ids.push(id);
    }
    let operators = Object::new().with("policies", "operators").with("member_entity_ids", vec![ids[0].as_str()]);
    write("identity/group/name/operators", operators)?;

    // The program that has looked at their passports may make tokens for whoever is of this domain, and nobody else.
    let role = Object::new().with("allowed_entity_aliases", "*@example.org").with("allowed_policies", "default").with("orphan", true);
    write("auth/token/roles/people", role)?;
    let log_in = |alias: &str| -> Result<Session, Box<dyn Error>> {
        let auth = write("auth/token/create/people", Object::new().with("entity_alias", alias))?.auth.ok_or("a token")?;
        println!("{alias} is the entity {}, which gives {:?}", auth.entity_id, auth.identity_policies);
        Ok(vault.session(auth.client_token))
    };
    let (ann, bob) = (log_in("ann@example.org")?, log_in("BOB@example.org")?);
    println!("somebody else: {}", log_in("eve@elsewhere.org").err().ok_or("a refusal")?);

    ann.kv("secret").put("people/ann/note", Object::new().with("text", "mine"))?;
    println!("bob reads ann's note: {}", bob.kv("secret").get("people/ann/note").expect_err("denied"));
    println!("ann reads a server's password: {}", ann.kv("secret").get("servers/web").is_ok());
    println!("bob reads it: {}", bob.kv("secret").get("servers/web").expect_err("denied"));

    // A change counts from the next request on, for tokens that are in use as well.
    write("identity/group/name/operators", Object::new().with("member_entity_ids", ids.clone()))?;
    println!("bob reads it as an operator: {}", bob.kv("secret").get("servers/web").is_ok());
    write("identity/entity/name/ann", Object::new().with("disabled", true))?;
    println!("ann has left: {}", ann.kv("secret").get("servers/web").expect_err("denied"));

    // And who is not heard of for a day loses all tokens and leases.
    write("identity/entity/name/bob", Object::new().with("deadman_period", "24h"))?;
    let bob = root.request(Operation::Read, "identity/entity/name/bob", None)?.data.ok_or("an entity")?;
    println!("bob checks in before {}", bob.get("deadman_deadline").and_then(Value::as_str).ok_or("a time")?);

    let events = root.audit().events(0, 1_000)?;
    let of_ann = events.iter().filter(|event| event.get("entity_id").and_then(Value::as_str) == Some(&ids[0])).count();
    println!("the log has {of_ann} requests of ann's");
    Ok(vault.close()?)
}

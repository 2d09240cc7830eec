//! The database engine: accounts are made at a target, handed out with a lease, and gone with it.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/target.rs"]
mod support;

use std::collections::BTreeSet;
use support::*;
use vault_core::types::{Code, Operation, Ttl, Value};

#[test]
fn credentials_are_made_at_the_target_and_gone_when_their_time_ends() {
    let world = world();
    let one = creds(&world.root).unwrap();
    assert!(one.lease_id.starts_with("database/creds/ro/"), "{}", one.lease_id);
    assert_eq!(one.lease_id.rsplit('/').next().unwrap().len(), 24);
    assert_eq!(one.seconds, 3600);
    assert!(one.username.starts_with("v-root-ro-"), "{}", one.username);
    assert_eq!(world.target.accounts(), BTreeSet::from([one.username.clone()]));
    assert_eq!(world.target.state.lock().unwrap().accounts[&one.username], one.password);
    let told = lookup(&world.root, &one.lease_id).unwrap();
    assert_eq!(told.get("ttl").and_then(Value::as_u64), Some(3600));
    assert_eq!(count(&world.root, ""), 1);
    world.clock.advance(Ttl::from_secs(3599));
    world.vault.tick().unwrap();
    assert_eq!(world.target.accounts().len(), 1);
    world.clock.advance(Ttl::from_secs(1));
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded, "before any tick");
    world.vault.tick().unwrap();
    assert!(world.target.accounts().is_empty());
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::InvalidRequest);
    assert_eq!((count(&world.root, ""), count(&world.root, "ending"), count(&world.root, "irrevocable")), (0, 0, 0));
    world.vault.verify().unwrap();
    assert_eq!(ask(&world.root, Operation::Read, "database/creds/none", "").unwrap_err().code(), Code::NotFound);
}

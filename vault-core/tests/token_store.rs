//! A store of many tokens: an opening loads none of them, and what is over is removed in bounded steps.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and tells its figures"
)]

#[path = "support/watched.rs"]
mod store;

use std::sync::Arc;
use store::Watched;
use vault_core::host::{Clock, ManualClock};
use vault_core::storage::Storage;
use vault_core::types::{SecretString, Timestamp, Ttl};
use vault_core::{Config, NewSeal, Session, TokenOptions, UnsealKey, Vault};

const KEY: [u8; 32] = [7; 32];
const HOUR: u64 = 3600;
/// Tokens, unless `LIBVAULT_TOKENS` says otherwise.
const COUNT: usize = 20_000;
/// Records that an opening reads, and a tick that has nothing to remove, however many tokens there are.
const OPENING_RECORDS_MAX: u64 = 200;

fn options(policy: &str, hours: u64) -> TokenOptions {
    TokenOptions { policies: vec![policy.to_owned()], ttl: Some(Ttl::from_secs(hours * HOUR)), ..TokenOptions::default() }
}

fn accessors(root: &Session) -> usize {
    let (mut listed, mut after) = (0, None);
    loop {
        let page = root.tokens().accessors(after.as_deref(), 1000).unwrap();
        listed += page.len();
        after = page.last().cloned();
        if page.len() < 1000 {
            return listed;
        }
    }
}

/// Ticks until nothing is due, at most so often; how many there were, and the records that one read at most.
fn tick_all(vault: &Vault, clock: &ManualClock, storage: &Watched, most: usize) -> (usize, u64) {
    let (mut ticks, mut records) = (0, 0);
    loop {
        let before = storage.records_read();
        let next = vault.tick().unwrap();
        records = records.max(storage.records_read() - before);
        ticks += 1;
        assert!(ticks <= most, "each removes its share");
        if next.is_none_or(|next| next.as_millis() > 1 + clock.now().as_millis()) {
            return (ticks, records);
        }
    }
}

#[test]
fn tokens_are_not_loaded_when_a_vault_is_opened_and_are_removed_in_bounded_steps_however_many_there_are() {
    let count: usize = std::env::var("LIBVAULT_TOKENS").map_or(COUNT, |count| count.parse().unwrap());
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_457_040)));
    let storage = Arc::new(Watched::default());
    let config = Config::on(Arc::clone(&storage) as Arc<dyn Storage>).with_clock(clock.clone()).with_audit_tail_bytes(16 * 1024);
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let text = init.root_token.expose().to_owned();
    let root = vault.session(init.root_token);
    let left = |vault: &Vault, root: &Session| vault.verify().unwrap().records - root.audit().verify().unwrap().segments;
    let fresh = left(&vault, &root);
    let parent = root.tokens().create(options("root", 2)).unwrap().client_token.expose().to_owned();
    let parent_session = vault.session(SecretString::copy_from(&parent));
    for i in 0..count {
        let maker = if i % 2 == 0 { &root } else { &parent_session };
        maker.tokens().create(options("default", 1)).unwrap();
    }
    assert_eq!(accessors(&root), count + 2);
    vault.tick().unwrap();

    let sealed = vault.seal().unwrap();
    let before = storage.records_read();
    let vault = sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let opening = storage.records_read() - before;
    let root = vault.session(SecretString::copy_from(&text));
    assert!(opening <= OPENING_RECORDS_MAX, "{opening} records were read");
    let (_, idle) = tick_all(&vault, &clock, &storage, 10);
    assert!(idle <= OPENING_RECORDS_MAX, "{idle} records were read");

    let full = left(&vault, &root);
    vault.session(SecretString::copy_from(&parent)).tokens().revoke_self().unwrap();
    assert!(full - left(&vault, &root) < 6 * 256, "one commit removes some of the descendants, the rest is worth nothing and waits");
    let (swept, sweep) = tick_all(&vault, &clock, &storage, 2 * count / 4096 + 20);
    assert_eq!(accessors(&root), count.div_ceil(2) + 1);
    clock.advance(Ttl::from_secs(HOUR + 60));
    let (expired, expiry) = tick_all(&vault, &clock, &storage, 2 * count / 4096 + 20);
    assert_eq!(accessors(&root), 1);
    let behind = left(&vault, &root);
    assert!(behind < fresh + 200, "nothing stays but the log: {behind}, {fresh}");
    // A tick removes 4,096 tokens at most, and looks at some records for each.
    assert!(sweep.max(expiry) < 4096 * 40, "{sweep} and {expiry} records were read");
    eprintln!(
        "{count} tokens: {opening} records read by an opening, {idle} by an idle tick; {swept} and {expired} ticks of at most {} records",
        sweep.max(expiry)
    );
}

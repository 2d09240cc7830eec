//! A store of many leases: an opening loads none of them, and those that are over end in bounded steps, however many there are.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and tells its figures"
)]

#[path = "support/target.rs"]
mod support;
#[path = "support/watched.rs"]
mod watched;

use std::sync::Arc;
use std::time::Instant;
use support::{KEY, count, creds, world_on};
use vault_core::storage::Storage;
use vault_core::types::{SecretString, Ttl};
use vault_core::{Config, TokenOptions, UnsealKey, Vault};
use watched::Watched;

/// Leases, unless `LIBVAULT_LEASES` says otherwise.
const COUNT: u64 = 3_000;
/// Records that an opening reads, and a tick that has nothing to do, however many leases there are.
const OPENING_RECORDS_MAX: u64 = 400;
/// Records that a tick reads at most: it ends 4,096 leases, looks at what each change meets, and at 2,048 leases that wait for their targets, twice
/// where it told some.
const TICK_RECORDS_MAX: u64 = 4_096 * 60 + 2 * 2_048;

/// Reads of a tick after a leap of the clock: of the spans in which a lease and a token ended, 4,096 steps each, and what else it does.
const LEAP_READS_MAX: u64 = 2 * 4_096 + 1_000;

/// Memory that the process has, in bytes; 0 where the system does not tell.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4_096
}

#[test]
fn a_clock_that_leaps_by_decades_is_not_followed_through_the_time_in_which_nothing_ends() {
    const YEAR: u64 = 365 * 86_400;
    let storage = Arc::new(Watched::default());
    let world = world_on(Config::on(Arc::clone(&storage) as Arc<dyn Storage>));
    creds(&world.root).unwrap();
    world.root.tokens().create(TokenOptions { ttl: Some(Ttl::from_secs(60)), ..TokenOptions::default() }).unwrap();
    world.vault.tick().unwrap();
    for _ in 0..2 {
        world.clock.advance(Ttl::from_secs(60 * YEAR));
        let before = storage.reads();
        world.vault.tick().unwrap();
        let reads = storage.reads() - before;
        assert!(reads <= LEAP_READS_MAX, "{reads} reads");
        assert_eq!(world.target.account_count(), 0);
        creds(&world.root).unwrap();
    }
    world.vault.verify().unwrap();
}

#[test]
fn leases_are_not_loaded_when_a_vault_is_opened_and_end_in_bounded_steps_however_many_there_are() {
    let leases: u64 = std::env::var("LIBVAULT_LEASES").map_or(COUNT, |count| count.parse().unwrap());
    let storage = Arc::new(Watched::default());
    let old = world_on(Config::on(Arc::clone(&storage) as Arc<dyn Storage>).with_audit_tail_bytes(64 * 1024));
    let began = Instant::now();
    for _ in 0..leases {
        creds(&old.root).unwrap();
    }
    let granting = began.elapsed();
    eprintln!("granted in {granting:?}");
    old.vault.tick().unwrap();
    old.vault.seal().unwrap();

    // Opened anew by a host that does not give the connector: what ends is not told.
    let config = Config::on(Arc::clone(&storage) as Arc<dyn Storage>).with_clock(old.clock.clone());
    let (before, memory_before, began) = (storage.records_read(), memory(), Instant::now());
    let vault = Vault::open(config).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let (opening, unsealing) = (storage.records_read() - before, began.elapsed());
    vault.tick().unwrap();
    let grown = memory().saturating_sub(memory_before);
    assert!(storage.records_read() - before <= OPENING_RECORDS_MAX, "{} records were read", storage.records_read() - before);
    let root = vault.session(SecretString::copy_from(&old.token));
    assert_eq!(count(&root, "ending"), 0);

    old.clock.advance(Ttl::from_secs(3_600));
    let (began, mut ticks, mut most) = (Instant::now(), 0, 0);
    loop {
        let before = storage.records_read();
        let next = vault.tick().unwrap();
        most = most.max(storage.records_read() - before);
        ticks += 1;
        // As many as there are ticks to end them, and some to look at all that wait.
        assert!(ticks <= leases / 4_096 + leases / 2_048 + 10, "each ends its share");
        if next.is_none_or(|next| next.as_millis() > old.clock_millis() + 1) {
            break;
        }
    }
    let expiring = began.elapsed();
    assert!(most <= TICK_RECORDS_MAX, "{most} records were read by a tick");
    let left = root.leases().list("database/creds/ro").unwrap();
    assert!(left.is_empty(), "{} leases are live", left.len());
    if leases <= 100_000 {
        assert_eq!((count(&root, "ending"), count(&root, "")), (leases, 0));
    }

    // The host gives the connector again: told, they are gone, so many with each tick.
    drop(root);
    let _sealed = vault.seal().unwrap();
    let told = support::reopen(Arc::clone(&storage) as Arc<dyn Storage>, &old);
    let (began, mut ticks_told) = (Instant::now(), 0_u64);
    while ticks_told < 200 && told.target.account_count() > 0 {
        let before = storage.records_read();
        told.vault.tick().unwrap();
        most = most.max(storage.records_read() - before);
        ticks_told += 1;
    }
    let telling = began.elapsed();
    let gone = leases - told.target.account_count() as u64;
    // The last part of the queue may hold fewer than one tick tells.
    assert!(gone == leases || gone >= 180 * 64, "{gone} were told in {ticks_told} ticks");
    assert!(most <= TICK_RECORDS_MAX, "{most} records were read by a tick");
    let rate = |count: u64, time: std::time::Duration| (count as f64 / time.as_secs_f64()) as u64;
    eprintln!(
        "{leases} leases: granted at {}/s; opened and unsealed in {unsealing:?} by {opening} records, {} bytes of memory for each; ended at {}/s in \
         {ticks} ticks of at most {most} records; {gone} told at {}/s",
        rate(leases, granting),
        grown / leases,
        rate(leases, expiring),
        rate(gone, telling),
    );
}

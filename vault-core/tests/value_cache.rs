//! Decrypted secrets that are held: never an old one behind the answer of a write, never one that policy refuses, none past its time or a seal.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use vault_core::host::ManualClock;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Code, Object, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{Config, KvSettings, NewSeal, Session, TokenOptions, UnsealKey, Vault};

const KEY: [u8; 32] = [7; 32];

struct World {
    vault: Vault,
    root: Session,
    token: String,
    clock: Arc<ManualClock>,
}

fn world_with(bytes: u64) -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let config = Config::on(Arc::new(MemoryStorage::new())).with_clock(clock.clone()).with_value_cache(bytes, Ttl::from_secs(60));
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let token = init.root_token.expose().to_owned();
    let root = vault.session(init.root_token);
    World { vault, root, token, clock }
}

fn world() -> World {
    world_with(1 << 20)
}

impl World {
    /// Hits, misses, and values that are held.
    fn figures(&self) -> (u64, u64, u64) {
        let text = self.vault.metrics();
        let figure = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        (
            figure("libvault_value_cache_total{outcome=\"hit\"}"),
            figure("libvault_value_cache_total{outcome=\"miss\"}"),
            figure("libvault_value_cache_values "),
        )
    }
}

fn put(session: &Session, path: &str, number: u64) {
    session.kv("secret").put(path, Object::new().with("n", number)).unwrap();
}

fn number(session: &Session, path: &str) -> u64 {
    session.kv("secret").get(path).unwrap().data.get("n").and_then(Value::as_u64).unwrap()
}

#[test]
fn a_secret_that_is_read_again_is_held_and_a_write_is_seen_at_once() {
    let world = world();
    put(&world.root, "a", 1);
    assert_eq!([number(&world.root, "a"), number(&world.root, "a"), number(&world.root, "a")], [1, 1, 1]);
    assert_eq!(world.figures(), (2, 1, 1));
    put(&world.root, "a", 2);
    assert_eq!(world.figures().2, 0, "forgotten by the write");
    assert_eq!([number(&world.root, "a"), number(&world.root, "a")], [2, 2]);
    // Older versions have records of their own.
    let old = || world.root.kv("secret").get_version("a", 1).unwrap().data.get("n").and_then(Value::as_u64);
    assert_eq!([old(), old()], [Some(1), Some(1)]);
    assert_eq!(world.figures(), (6, 3, 2), "head and version, each read once from the store");
    let kv = world.root.kv("secret");
    kv.delete("a").unwrap();
    assert_eq!(kv.get("a").unwrap_err().code(), Code::VersionDeleted);
    kv.destroy_versions("a", &[1]).unwrap();
    assert_eq!(kv.get_version("a", 1).unwrap_err().code(), Code::VersionDeleted);
    kv.delete_metadata("a").unwrap();
    assert_eq!(kv.get("a").unwrap_err().code(), Code::NotFound);
    assert_eq!(kv.get("never").unwrap_err().code(), Code::NotFound);
    assert_eq!(world.figures().2, 0, "and nothing is held of what is not there");
}

#[test]
fn a_secret_that_ends_by_itself_ends_though_it_is_held() {
    let world = world();
    let settings = KvSettings { delete_version_after: Some("10s".into()), ..KvSettings::default() };
    world.root.kv("secret").set_metadata("a", &settings, None).unwrap();
    put(&world.root, "a", 1);
    assert_eq!(number(&world.root, "a"), 1);
    world.clock.advance(Ttl::from_secs(10));
    assert_eq!(world.root.kv("secret").get("a").unwrap_err().code(), Code::VersionDeleted);
    assert_eq!(world.figures().0, 1, "by what is held");
}

#[test]
fn what_is_held_is_for_whom_policy_lets_and_each_read_has_its_record() {
    let world = world();
    put(&world.root, "a", 1);
    world.root.policies().write("reader", r#"path "secret/data/a" { capabilities = ["read"] }"#).unwrap();
    let options = TokenOptions { policies: vec!["reader".into()], ..TokenOptions::default() };
    let made = world.root.tokens().create(options).unwrap();
    let reader = world.vault.session(made.client_token);
    let before = world.root.audit().verify().unwrap().records;
    assert_eq!([number(&reader, "a"), number(&reader, "a")], [1, 1]);
    world.root.policies().write("reader", r#"path "secret/data/b" { capabilities = ["read"] }"#).unwrap();
    assert_eq!(reader.kv("secret").get("a").unwrap_err().code(), Code::PermissionDenied);
    world.root.request(Operation::Write, "auth/token/revoke-accessor", Some(Object::new().with("accessor", made.accessor).into())).unwrap();
    assert_eq!(reader.kv("secret").get("a").unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(world.root.audit().verify().unwrap().records, before + 7, "two reads, two refusals, two writes and the look before");
}

#[test]
fn nothing_is_held_past_its_time_or_a_seal_and_a_mount_takes_its_secrets_along() {
    let world = world();
    for path in ["a", "b", "c"] {
        put(&world.root, path, 1);
        assert_eq!(number(&world.root, path), 1);
    }
    assert_eq!(world.figures().2, 3);
    world.clock.advance(Ttl::from_secs(59));
    let next = world.vault.tick().unwrap().unwrap();
    assert!(next <= Timestamp::from_secs(1_800_000_060), "tick wants to be called when they are to be wiped");
    assert_eq!(world.figures().2, 3);
    world.clock.advance(Ttl::from_secs(1));
    world.vault.tick().unwrap();
    assert_eq!(world.figures().2, 0);
    assert_eq!(number(&world.root, "a"), 1);
    world.root.request(Operation::Delete, "sys/mounts/secret", None).unwrap();
    assert_eq!(world.root.kv("secret").get("a").unwrap_err().code(), Code::NotFound);
    world.root.request(Operation::Write, "sys/mounts/secret", Some(Object::new().with("type", "kv-v2").into())).unwrap();
    assert_eq!(world.root.kv("secret").get("a").unwrap_err().code(), Code::NotFound);
    put(&world.root, "a", 3);
    assert_eq!(number(&world.root, "a"), 3);
    let sealed = world.vault.seal().unwrap();
    assert!(!sealed.metrics().contains("value_cache"));
    let vault = sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let root = vault.session(SecretString::copy_from(&world.token));
    assert_eq!(number(&root, "a"), 3);
    assert!(vault.metrics().contains("libvault_value_cache_total{outcome=\"miss\"} 1\n"), "the next opening begins with nothing");
}

#[test]
fn no_more_is_held_than_fits_and_nothing_unless_it_is_asked_for() {
    let world = world_with(64 * 1024);
    for number in 0..1_000 {
        let path = format!("s/{number}");
        put(&world.root, &path, number);
        assert_eq!(self::number(&world.root, &path), number);
    }
    let text = world.vault.metrics();
    let bytes = text.lines().find_map(|line| line.strip_prefix("libvault_value_cache_bytes ")).unwrap().parse::<u64>().unwrap();
    assert!(bytes > 16 * 1024 && bytes <= 64 * 1024, "{bytes}");
    for config in [
        Config::in_memory(),
        Config::in_memory().with_value_cache(0, Ttl::from_secs(60)),
        Config::in_memory().with_value_cache(1 << 20, Ttl::ZERO),
    ] {
        let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
        let root = vault.session(init.root_token);
        put(&root, "a", 1);
        assert_eq!([self::number(&root, "a"), self::number(&root, "a")], [1, 1]);
        assert!(!vault.metrics().contains("value_cache"));
    }
}

#[test]
fn no_reader_sees_what_was_before_an_acknowledged_write_or_goes_back_in_time() {
    let world = world();
    put(&world.root, "hot", 0);
    let (acknowledged, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    let at_least = acknowledged.load(Ordering::SeqCst);
                    let found = number(&world.root, "hot");
                    assert!(found >= at_least && found >= last, "{found} behind {at_least} and {last}");
                    last = found;
                }
            });
        }
        for n in 1..=3_000 {
            put(&world.root, "hot", n);
            acknowledged.store(n, Ordering::SeqCst);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(number(&world.root, "hot"), 3_000);
    assert!(world.figures().0 > 0, "some of them by what is held");
}

//! Live secrets: each new version is seen once it is acknowledged, nothing is asked while nothing changes, and what a read would be refused is.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, races with threads, and prints its figure"
)]

#[path = "support/mounts.rs"]
mod support;

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::*;
use vault_core::storage::faulty::FaultyStorage;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Auth, Code, Object, Operation, SecretString, Ttl, Value};
use vault_core::{AuditMode, Config, LiveSecret, NewSeal, RetryError, Session, TokenOptions, UnsealKey};

fn member(text: &str) -> Object {
    Object::new().with("value", text)
}

fn write(session: &Session, path: &str, text: &str) -> u64 {
    session.kv("secret").put(path, member(text)).unwrap().version
}

fn value_of(live: &LiveSecret) -> String {
    live.get().unwrap().text("value").unwrap().to_owned()
}

/// The records of reads of a path, each with whether its reader keeps what it read.
fn reads(session: &Session, path: &str) -> Vec<bool> {
    let events = session.audit().events(0, 1_000).unwrap();
    let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let of_path = events.iter().filter(|event| text(event, "path") == path && text(event, "operation") == "read");
    of_path.map(|event| event.get("live").and_then(Value::as_bool).unwrap()).collect()
}

fn token(world: &World, options: TokenOptions) -> Auth {
    world.root.tokens().create(options).unwrap()
}

fn session(world: &World, auth: &Auth) -> Session {
    world.vault.session(SecretString::copy_from(auth.client_token.expose()))
}

fn reader(world: &World, options: TokenOptions) -> (Session, Auth) {
    world.root.policies().write("reader", r#"path "secret/*" { capabilities = ["read"] }"#).unwrap();
    let auth = token(world, TokenOptions { policies: vec!["reader".to_owned()], ..options });
    (session(world, &auth), auth)
}

/// A live secret that was read under a token of its own.
fn held(world: &World, options: TokenOptions) -> (LiveSecret, Auth) {
    write(&world.root, "x", "one");
    let (session, auth) = reader(world, options);
    let live = session.kv("secret").live("x").unwrap();
    assert_eq!(value_of(&live), "one");
    assert!(live.is_current());
    (live, auth)
}

fn is_refused(live: &LiveSecret, code: Code) -> bool {
    let stale = !live.is_current();
    let refused = code_of(live.get()) == code;
    stale && refused && !live.is_current()
}

#[test]
fn a_new_version_is_seen_at_the_next_call_and_read_once() {
    let world = world();
    let (live, _) = held(&world, TokenOptions::default());
    for number in 2..5 {
        assert_eq!(write(&world.root, "x", &format!("v{number}")), number);
        assert!(!live.is_current());
        assert_eq!((value_of(&live), live.get().unwrap().version()), (format!("v{number}"), Some(number)));
        assert!(live.is_current());
    }
    assert_eq!(reads(&world.root, "secret/data/x"), [true; 4]);
}

#[test]
fn while_nothing_changes_the_store_is_not_asked_and_nothing_is_recorded() {
    let storage = Arc::new(FaultyStorage::over(MemoryStorage::new()));
    let world = create(Config::on(storage.clone()));
    let (live, _) = held(&world, TokenOptions::default());
    let first = live.get().unwrap();
    write(&world.root, "y", "another secret");
    token(&world, TokenOptions::default());
    let before = world.root.audit().verify().unwrap().records;
    storage.fail_reads(true);
    for _ in 0..10_000 {
        assert!(Arc::ptr_eq(&live.get().unwrap(), &first));
    }
    storage.fail_reads(false);
    // The verification's own record.
    assert_eq!(world.root.audit().verify().unwrap().records, before + 1);
}

#[test]
fn a_change_of_another_secret_is_none_of_this_one() {
    let world = world();
    let (live, _) = held(&world, TokenOptions::default());
    for number in 0..100 {
        write(&world.root, &format!("others/{number}"), "z");
    }
    assert!(live.is_current());
    assert_eq!(reads(&world.root, "secret/data/x"), [true]);
}

#[test]
fn a_token_that_is_revoked_or_whose_parent_is_gives_nothing_any_more() {
    let world = world();
    let (live, auth) = held(&world, TokenOptions::default());
    world.root.tokens().revoke_accessor(&auth.accessor).unwrap();
    assert!(is_refused(&live, Code::PermissionDenied));

    let parent = token(&world, TokenOptions { policies: vec!["reader".to_owned(), "default".to_owned()], ..TokenOptions::default() });
    world
        .root
        .policies()
        .write("reader", r#"path "secret/*" { capabilities = ["read"] } path "auth/token/create" { capabilities = ["update"] }"#)
        .unwrap();
    let child = session(&world, &parent).tokens().create(TokenOptions::default()).unwrap();
    let live = session(&world, &child).kv("secret").live("x").unwrap();
    assert_eq!(value_of(&live), "one");
    world.root.tokens().revoke_accessor(&parent.accessor).unwrap();
    assert!(is_refused(&live, Code::PermissionDenied));
}

#[test]
fn a_token_that_expires_by_the_clock_gives_nothing_any_more_before_any_tick() {
    let world = world();
    let (live, _) = held(&world, TokenOptions { ttl: Some(Ttl::from_secs(60)), ..TokenOptions::default() });
    world.clock.advance(Ttl::from_secs(59));
    assert!(live.is_current());
    world.clock.advance(Ttl::from_secs(1));
    assert!(is_refused(&live, Code::PermissionDenied));
}

#[test]
fn a_policy_that_no_longer_allows_the_read_is_heeded() {
    let world = world();
    let (live, _) = held(&world, TokenOptions::default());
    world.root.policies().write("reader", r#"path "secret/data/x" { capabilities = ["deny"] }"#).unwrap();
    assert!(is_refused(&live, Code::PermissionDenied));
    world.root.policies().write("reader", r#"path "secret/data/x" { capabilities = ["read"] }"#).unwrap();
    assert_eq!(value_of(&live), "one");
    world.root.policies().delete("reader").unwrap();
    assert!(is_refused(&live, Code::PermissionDenied));
}

#[test]
fn a_vault_that_is_sealed_or_closed_gives_nothing_and_after_unsealing_it_is_read_anew() {
    let world = world();
    let (live, _) = held(&world, TokenOptions::default());
    let sealed = world.vault.seal().unwrap();
    assert!(is_refused(&live, Code::Sealed));
    let vault = sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    assert_eq!(value_of(&live), "one");
    // Sealed and unsealed between two calls.
    vault.seal().unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    assert!(!live.is_current());
    assert_eq!(value_of(&live), "one");
    assert_eq!(reads(&world.root, "secret/data/x").len(), 3);
    vault.close().unwrap();
    assert!(is_refused(&live, Code::Closed));
}

#[test]
fn a_version_that_is_deleted_destroyed_or_removed_is_refused_as_a_read_is() {
    let world = world();
    let (live, _) = held(&world, TokenOptions::default());
    let kv = world.root.kv("secret");
    kv.delete("x").unwrap();
    assert!(is_refused(&live, Code::VersionDeleted));
    kv.undelete_versions("x", &[1]).unwrap();
    assert_eq!(value_of(&live), "one");
    kv.destroy_versions("x", &[1]).unwrap();
    assert!(is_refused(&live, Code::VersionDeleted));
    write(&world.root, "x", "two");
    assert_eq!(value_of(&live), "two");
    kv.delete_metadata("x").unwrap();
    assert!(is_refused(&live, Code::NotFound));
    write(&world.root, "x", "three");
    assert_eq!(value_of(&live), "three");
}

#[test]
fn a_version_that_is_deleted_by_itself_is_gone_at_its_time() {
    let world = world();
    ask(&world.root, Operation::Write, "secret/metadata/x", r#"{"delete_version_after":"60s"}"#).unwrap();
    let (live, _) = held(&world, TokenOptions::default());
    world.clock.advance(Ttl::from_secs(59));
    assert!(live.is_current());
    world.clock.advance(Ttl::from_secs(1));
    assert!(is_refused(&live, Code::VersionDeleted));
}

#[test]
fn a_mount_that_is_moved_or_removed_is_noticed() {
    let world = world();
    let (live, _) = held(&world, TokenOptions::default());
    ask(&world.root, Operation::Write, "sys/remount", r#"{"from":"secret","to":"moved"}"#).unwrap();
    assert!(is_refused(&live, Code::NotFound));
    ask(&world.root, Operation::Write, "sys/remount", r#"{"from":"moved","to":"secret"}"#).unwrap();
    assert_eq!(value_of(&live), "one");
    unmount(&world.root, "secret").unwrap();
    assert!(is_refused(&live, Code::NotFound));
}

#[test]
fn a_namespace_that_is_deleted_is_noticed() {
    let world = world();
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    let below = world.root.namespace("team").unwrap();
    write(&below, "x", "one");
    let live = below.kv("secret").live("x").unwrap();
    assert_eq!(value_of(&live), "one");
    write(&world.root, "x", "of the namespace above");
    assert!(live.is_current());
    write(&below, "x", "two");
    assert_eq!(value_of(&live), "two");
    ask(&world.root, Operation::Delete, "sys/namespaces/team", "").unwrap();
    assert!(is_refused(&live, Code::NotFound));
}

#[test]
fn a_look_at_what_is_held_is_no_use_of_a_token_and_its_last_use_ends_it() {
    let world = world();
    let (live, _) = held(&world, TokenOptions { num_uses: 2, ..TokenOptions::default() });
    for _ in 0..10 {
        assert_eq!(value_of(&live), "one");
    }
    write(&world.root, "x", "two");
    assert_eq!(value_of(&live), "two");
    assert!(is_refused(&live, Code::PermissionDenied));
}

#[test]
fn a_secret_of_version_1_and_one_in_a_cubbyhole_are_live_too() {
    let world = world();
    mount(&world.root, "plain", "1").unwrap();
    for path in ["plain/x", "cubbyhole/x"] {
        ask(&world.root, Operation::Write, path, r#"{"value":"one"}"#).unwrap();
        let live = world.root.live(path).unwrap();
        assert_eq!((value_of(&live), live.get().unwrap().version()), ("one".to_owned(), None));
        assert!(live.is_current());
        ask(&world.root, Operation::Write, path, r#"{"value":"two"}"#).unwrap();
        assert_eq!(value_of(&live), "two");
        ask(&world.root, Operation::Delete, path, "").unwrap();
        assert!(is_refused(&live, Code::NotFound));
    }
    // By its path a secret of version 2 has the members of the answer.
    write(&world.root, "x", "one");
    let live = world.root.live("secret/data/x").unwrap();
    assert!(live.get().unwrap().data().get("metadata").is_some() && live.is_current());
}

#[test]
fn what_gives_something_new_with_each_read_and_the_vaults_own_paths_are_refused() {
    let world = world();
    ask(&world.root, Operation::Write, "sys/mounts/database", r#"{"type":"database"}"#).unwrap();
    for path in ["database/creds/app", "sys/mounts", "auth/token/lookup-self"] {
        assert_eq!(code_of(world.root.live(path).unwrap().get()), Code::UnsupportedPath, "{path}");
    }
    assert_eq!(code_of(world.root.live("secret/../x")), Code::InvalidPath);
    assert_eq!(code_of(world.root.kv("secret").live("a//b")), Code::InvalidPath);
    // Nobody learns by that what is there.
    let (reader, _) = reader(&world, TokenOptions::default());
    assert_eq!(code_of(reader.live("database/creds/app").unwrap().get()), Code::PermissionDenied);
}

#[test]
fn a_credential_that_is_refused_is_read_anew_and_tried_once_more() {
    let world = world();
    let (live, _) = held(&world, TokenOptions::default());
    let mut seen = Vec::new();
    let logged_in = live.with_retry(
        |secret| {
            seen.push(secret.text("value").unwrap().to_owned());
            if seen.len() == 1 {
                // Somebody rotates it between the read and its use.
                write(&world.root, "x", "two");
            }
            if secret.text("value") == Some("two") { Ok(7) } else { Err("denied") }
        },
        |error| *error == "denied",
    );
    assert_eq!((logged_in.unwrap(), seen), (7, vec!["one".to_owned(), "two".to_owned()]));
    assert_eq!(reads(&world.root, "secret/data/x").len(), 2);
}

#[test]
fn a_refusal_reads_anew_even_where_nothing_is_known_to_have_changed_and_never_tries_a_third_time() {
    let world = world();
    let (live, auth) = held(&world, TokenOptions::default());
    let mut attempts = 0;
    let failed: Result<(), _> = live.with_retry(
        |_| {
            attempts += 1;
            Err(attempts)
        },
        |_| true,
    );
    assert!(matches!(failed, Err(RetryError::Attempt(2))));
    assert_eq!((attempts, reads(&world.root, "secret/data/x").len()), (2, 2));

    let mut attempts = 0;
    let failed: Result<(), _> = live.with_retry(
        |_| {
            attempts += 1;
            Err("unreachable")
        },
        |error| *error == "denied",
    );
    assert!(matches!(failed, Err(RetryError::Attempt("unreachable"))));
    assert_eq!((attempts, reads(&world.root, "secret/data/x").len()), (1, 2));

    let failed: Result<(), _> = live.with_retry(
        |_| {
            world.root.tokens().revoke_accessor(&auth.accessor).unwrap();
            Err("denied")
        },
        |_| true,
    );
    assert!(matches!(failed, Err(RetryError::Vault(error)) if error.code() == Code::PermissionDenied));
}

#[test]
fn many_threads_see_every_acknowledged_version_and_read_each_once() {
    let world = world();
    let versions = 200;
    write(&world.root, "x", "1");
    let (reader, _) = reader(&world, TokenOptions::default());
    let live = reader.kv("secret").live("x").unwrap();
    let acknowledged = AtomicU64::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let least = acknowledged.load(Ordering::Acquire);
                    let seen = live.get().unwrap();
                    let version = seen.version().unwrap();
                    assert!(version >= least, "{version} was given after {least} was acknowledged");
                    assert_eq!(seen.text("value"), Some(version.to_string().as_str()));
                    if version == versions {
                        return;
                    }
                }
            });
        }
        for number in 2..=versions {
            assert_eq!(write(&world.root, "x", &number.to_string()), number);
            acknowledged.store(number, Ordering::Release);
        }
    });
    let read = reads(&world.root, "secret/data/x").len() as u64;
    assert!((2..=versions).contains(&read), "{read} reads of {versions} versions");
}

#[test]
fn in_strict_mode_each_actual_read_is_durable_before_it_is_given() {
    let (vault, init) =
        vault_core::Vault::create(Config::in_memory().with_audit_mode(AuditMode::Strict), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    write(&root, "x", "one");
    let live = root.kv("secret").live("x").unwrap();
    for number in 0..3 {
        assert_eq!(value_of(&live), if number == 0 { "one" } else { "two" });
        write(&root, "x", "two");
    }
    assert_eq!(reads(&root, "secret/data/x"), [true; 3]);
}

#[test]
fn a_listener_is_told_by_tick_of_each_other_content_and_once_of_an_error() {
    let world = world();
    let (live, auth) = held(&world, TokenOptions::default());
    let told = Arc::new(Mutex::new(Vec::new()));
    let (log, vault) = (told.clone(), world.vault.clone());
    let listening = live
        .on_change(move |news| {
            // It may call back, even so.
            vault.tick().unwrap();
            log.lock().push(news.map(|secret| secret.text("value").unwrap().to_owned()).map_err(|error| error.code()));
        })
        .unwrap();
    let tick = || {
        world.vault.tick().unwrap();
        std::mem::take(&mut *told.lock())
    };
    assert_eq!(tick(), []);
    write(&world.root, "x", "two");
    write(&world.root, "x", "three");
    assert_eq!((tick(), tick()), (vec![Ok("three".to_owned())], vec![]));
    // Read anew, and the same.
    world.root.policies().write("other", r#"path "a" { capabilities = ["read"] }"#).unwrap();
    assert_eq!(tick(), []);
    world.root.kv("secret").delete("x").unwrap();
    assert_eq!((tick(), tick()), (vec![Err(Code::VersionDeleted)], vec![]));
    write(&world.root, "x", "four");
    assert_eq!(tick(), [Ok("four".to_owned())]);
    drop(listening);
    world.root.tokens().revoke_accessor(&auth.accessor).unwrap();
    assert_eq!(tick(), []);
}

#[test]
fn a_listener_is_told_nothing_older_after_what_is_newer() {
    let world = world();
    let (live, _) = held(&world, TokenOptions::default());
    let told = Arc::new(Mutex::new(Vec::new()));
    let (log, vault, root) = (told.clone(), world.vault.clone(), world.root.clone());
    let _listening = live
        .on_change(move |news| {
            let news = news.unwrap().text("value").unwrap().to_owned();
            if news == "two" {
                // Another thread's tick finds the next version before this one has been told.
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        write(&root, "x", "three");
                        vault.tick().unwrap();
                    });
                });
            }
            log.lock().push(news);
        })
        .unwrap();
    write(&world.root, "x", "two");
    world.vault.tick().unwrap();
    assert_eq!(*told.lock(), ["two"]);
    world.vault.tick().unwrap();
    assert_eq!(*told.lock(), ["two", "three"]);
}

#[test]
fn a_refresh_reads_and_records_whatever_is_held() {
    let world = world();
    let (live, _) = held(&world, TokenOptions::default());
    let again = live.refresh().unwrap();
    assert_eq!((again.text("value"), again.version()), (Some("one"), Some(1)));
    assert_eq!(reads(&world.root, "secret/data/x"), [true; 2]);
    assert!(!format!("{live:?} {again:?}").contains("one"));
}

//! Rotation by use: after so many reads, and when somebody leaves who has read the current version; whatever crashes.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/roles.rs"]
mod roles;
#[path = "support/target.rs"]
mod support;

use roles::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use support::*;
use vault_core::host::{Log, LogLevel, LogLine, LogTopic};
use vault_core::storage::faulty::{Fault as StoreFault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Key, Read, Storage};
use vault_core::types::limits::READS_UNWRITTEN_MAX;
use vault_core::types::{Class, Code, Object, Operation, SecretString, Timestamp, TokenType, Ttl, Value};
use vault_core::{Config, Session, TokenOptions};

/// A role that is rotated by use, beside what else is said of it.
fn used(world: &World, more: &str) {
    account(world, "app", "from-before");
    role_of(world, &format!(r#"{{"db_name":"db","username":"app",{more}}}"#));
}

fn reads(session: &Session) -> Option<u64> {
    read(session, "static-roles/app").get("reads").and_then(Value::as_u64)
}

fn version(session: &Session) -> u64 {
    read(session, "static-creds/app").get("stages").and_then(|stages| stages.get("current")?.get("version")?.as_u64()).unwrap()
}

/// What has made rotations due that a tick has begun, as the audit log tells it.
fn causes(world: &World) -> Vec<String> {
    let told = ask(&world.root, Operation::Read, "sys/audit-log/events", r#"{"limit":1000}"#).unwrap().data.unwrap();
    let events = told.get("events").and_then(Value::as_array).unwrap().iter();
    events.filter_map(|event| event.get("rotation_cause")?.as_str().map(str::to_owned)).collect()
}

/// A session of a token that may do everything and has a time of its own.
fn token(world: &World) -> (Session, String) {
    let options = TokenOptions { policies: vec!["root".to_owned()], ..TokenOptions::default() };
    let auth = world.root.tokens().create(options).unwrap();
    (world.vault.session(SecretString::copy_from(auth.client_token.expose())), auth.accessor)
}

fn revoke_token(world: &World, accessor: &str) {
    let data = Object::new().with("accessor", accessor);
    world.root.request(Operation::Write, "auth/token/revoke-accessor", Some(data.into())).unwrap();
}

fn secret(session: &Session, more: &str) {
    session.kv("secret").put("api", Object::new().with("password", "from-before")).unwrap();
    ask(session, Operation::Write, "sys/rotation/secrets/secret/api", &format!("{{{more}}}")).unwrap();
}

fn key(session: &Session) -> String {
    session.kv("secret").get("api").unwrap().data.get("password").and_then(Value::as_str).unwrap().to_owned()
}

#[test]
fn after_so_many_reads_a_role_is_rotated_by_the_next_tick_and_counts_anew() {
    let world = world();
    used(&world, r#""rotate_after_reads":5"#);
    let told = read(&world.root, "static-roles/app");
    assert_eq!(told.get("rotate_after_reads").and_then(Value::as_u64), Some(5));
    for _ in 0..3 {
        let first = creds_now(&world.root);
        for _ in 0..3 {
            world.vault.tick().unwrap();
            assert_eq!(creds_now(&world.root), first);
        }
        world.vault.tick().unwrap();
        assert_eq!(reads(&world.root), Some(4));
        assert_eq!(creds_now(&world.root), first, "the fifth read");
        world.vault.tick().unwrap();
        assert_eq!(reads(&world.root), Some(0));
        assert_ne!(password_at(&world, "app"), first.1);
    }
    // No clock does.
    settle(&world, 30 * 86_400);
    assert_eq!(world.target.calls(Duty::SetPassword), 4);
    write(&world.root, "static-roles/app", r#"{"rotate_after_reads":0,"rotation_period":"8000h"}"#).unwrap();
    assert_eq!(reads(&world.root), None);
    (0..10).for_each(|_| drop(creds_now(&world.root)));
    world.vault.tick().unwrap();
    assert_eq!(world.target.calls(Duty::SetPassword), 4, "not any more");
    assert_eq!(causes(&world), ["reads"; 3]);
    world.vault.verify().unwrap();
}

#[test]
fn a_secret_of_the_vaults_own_is_rotated_after_so_many_reads_of_its_newest_version() {
    let world = world();
    secret(&world.root, r#""rotate_after_reads":3,"skip_import_rotation":true"#);
    let first = key(&world.root);
    world.vault.tick().unwrap();
    // Older versions, and what somebody writes by hand, are other values.
    world.root.kv("secret").put("api", Object::new().with("password", "by-hand")).unwrap();
    for _ in 0..5 {
        let old = ask(&world.root, Operation::Read, "secret/data/api", r#"{"version":1}"#).unwrap().data.unwrap();
        assert_eq!(old.get("data").map(|data| text(data, "password")), Some(first.clone()));
    }
    world.vault.tick().unwrap();
    assert_eq!(key(&world.root), "by-hand");
    assert_eq!(key(&world.root), "by-hand");
    world.vault.tick().unwrap();
    let told = ask(&world.root, Operation::Read, "sys/rotation/secrets/secret/api", "").unwrap().data.unwrap();
    assert_eq!(told.get("reads").and_then(Value::as_u64), Some(2));
    assert_eq!(key(&world.root), "by-hand", "the third");
    world.vault.tick().unwrap();
    assert_ne!(key(&world.root), "by-hand");
    // What is not said of a secret is not done, and what is said later is.
    ask(&world.root, Operation::Write, "sys/rotation/secrets/secret/api", r#"{"rotate_after_reads":0,"rotation_period":"24h"}"#).unwrap();
    let now = key(&world.root);
    for _ in 0..5 {
        assert_eq!(key(&world.root), now);
        world.vault.tick().unwrap();
    }
    ask(&world.root, Operation::Write, "sys/rotation/secrets/secret/api", r#"{"rotate_after_reads":1}"#).unwrap();
    assert_eq!(key(&world.root), now);
    world.vault.tick().unwrap();
    assert_ne!(key(&world.root), now);
    world.vault.verify().unwrap();
}

#[test]
fn reads_are_written_down_in_batches_and_a_crash_forgets_fewer_than_one() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    used(&world, r#""rotate_after_reads":1000"#);
    world.vault.tick().unwrap();
    let before = storage.commit_number();
    let most = READS_UNWRITTEN_MAX;
    (0..3 * most - 1).for_each(|_| drop(creds_now(&world.root)));
    let queued = storage.commit_number() - before;
    // The audit log's own batches are among them.
    assert!(queued <= 2 + 3 * most / 64 + 2, "{queued} commits for {} reads", 3 * most - 1);
    let crashed = reopen(Arc::new(storage.copy()), &world);
    assert_eq!(reads(&crashed.root), Some(2 * most), "all but those of the last batch");
    drop(crashed);
    // What is closed in order forgets none.
    world.vault.close().unwrap();
    let closed = reopen(Arc::new(storage.copy()), &world);
    assert_eq!(reads(&closed.root), Some(3 * most - 1));
    closed.vault.verify().unwrap();
}

#[test]
fn a_run_that_was_rolled_back_counts_anew_and_is_not_begun_again_at_once() {
    let world = world();
    used(&world, r#""rotate_after_reads":2"#);
    (0..2).for_each(|_| drop(creds_now(&world.root)));
    world.target.plan(Duty::SetPassword, &[Fault::Refused]);
    world.vault.tick().unwrap();
    write(&world.root, "roll-back-role/app", "").unwrap();
    let before = creds_now(&world.root);
    settle(&world, 86_400);
    assert_eq!(creds_now(&world.root), before);
    world.vault.tick().unwrap();
    assert_ne!(creds_now(&world.root), before, "two reads since then");
}

#[test]
fn whoever_leaves_and_has_read_the_current_version_lets_it_be_rotated() {
    for revokes in ["accessor", "parent", "self"] {
        let world = world();
        used(&world, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
        let ((reader, accessor), (_, other)) = (token(&world), token(&world));
        let version_then = version(&reader);
        let of_root = version(&world.root);
        assert_eq!(version_then, of_root);
        revoke_token(&world, &other);
        world.vault.tick().unwrap();
        assert_eq!(version(&world.root), of_root, "that one had not read it");
        match revokes {
            "accessor" => revoke_token(&world, &accessor),
            "self" => reader.tokens().revoke_self().unwrap(),
            // The child of a token that is revoked.
            _ => {
                let child = reader.tokens().create(TokenOptions { policies: vec!["root".to_owned()], ..Default::default() }).unwrap();
                let child = world.vault.session(SecretString::copy_from(child.client_token.expose()));
                write(&world.root, "rotate-role/app", "").unwrap();
                version(&child);
                revoke_token(&world, &accessor);
            }
        }
        let before = password_at(&world, "app");
        world.vault.tick().unwrap();
        assert_ne!(password_at(&world, "app"), before, "{revokes}");
        assert_eq!(causes(&world), ["reader-left"]);
        let after = password_at(&world, "app");
        settle(&world, 3600);
        assert_eq!(password_at(&world, "app"), after, "once");
        world.vault.verify().unwrap();
    }
}

#[test]
fn whoever_is_not_heard_of_leaves_as_well() {
    for of in ["token", "entity"] {
        let world = world();
        used(&world, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
        let reader = if of == "token" {
            let period = Some(Ttl::from_secs(400));
            let options = TokenOptions { policies: vec!["root".to_owned()], deadman_period: period, ..TokenOptions::default() };
            world.root.tokens().create(options).unwrap()
        } else {
            world.root.policies().write("app", r#"path "database/*" { capabilities = ["read"] }"#).unwrap();
            let ask = |path: &str, data: &str| ask(&world.root, Operation::Write, path, data).unwrap();
            let id = ask("identity/entity", r#"{"name":"ann","policies":"app","deadman_period":400}"#).data.unwrap();
            let id = id.get("id").and_then(Value::as_str).unwrap().to_owned();
            ask("identity/entity-alias", &format!(r#"{{"name":"ann","canonical_id":"{id}","mount_accessor":"auth_token"}}"#));
            ask("auth/token/roles/login", r#"{"allowed_entity_aliases":"*"}"#);
            ask("auth/token/create/login", r#"{"entity_alias":"ann"}"#).auth.unwrap()
        };
        version(&world.vault.session(reader.client_token));
        let before = password_at(&world, "app");
        settle(&world, 499);
        assert_eq!(password_at(&world, "app"), before);
        settle(&world, 60);
        assert_ne!(password_at(&world, "app"), before, "{of}");
        assert_eq!(causes(&world), ["reader-left"]);
    }
}

#[test]
fn what_came_first_says_how_a_token_ended_however_late_the_tick_is() {
    for (ttl, leaves) in [(600, true), (450, false)] {
        let world = world();
        used(&world, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
        let (period, ttl) = (Some(Ttl::from_secs(400)), Some(Ttl::from_secs(ttl)));
        let options = TokenOptions { policies: vec!["root".to_owned()], deadman_period: period, ttl, ..TokenOptions::default() };
        version(&world.vault.session(world.root.tokens().create(options).unwrap().client_token));
        let before = password_at(&world, "app");
        world.clock.advance(Ttl::from_secs(3600));
        settle(&world, 60);
        assert_eq!(password_at(&world, "app") != before, leaves);
    }
}

#[test]
fn a_token_that_ends_by_itself_or_had_read_an_older_version_lets_nothing_be_rotated() {
    let world = world();
    used(&world, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
    let short = TokenOptions { policies: vec!["root".to_owned()], ttl: Some(Ttl::from_secs(600)), ..TokenOptions::default() };
    let short = world.root.tokens().create(short).unwrap();
    version(&world.vault.session(SecretString::copy_from(short.client_token.expose())));
    let once = TokenOptions { policies: vec!["root".to_owned()], num_uses: 1, ..TokenOptions::default() };
    let once = world.root.tokens().create(once).unwrap();
    version(&world.vault.session(SecretString::copy_from(once.client_token.expose())));
    let (reader, accessor) = token(&world);
    version(&reader);
    let before = world.target.calls(Duty::SetPassword);
    settle(&world, 1200);
    assert_eq!(world.target.calls(Duty::SetPassword), before);
    write(&world.root, "rotate-role/app", "").unwrap();
    revoke_token(&world, &accessor);
    settle(&world, 1200);
    assert_eq!(world.target.calls(Duty::SetPassword), before + 1);
}

#[test]
fn a_reader_is_known_from_its_first_answer_on_whatever_crashes() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    used(&world, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
    secret(&world.root, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
    let (reader, accessor) = token(&world);
    version(&reader);
    let value = key(&reader);
    let commits = storage.commit_number();
    (0..50).for_each(|_| drop((version(&reader), key(&reader))));
    assert!(storage.commit_number() - commits <= 3, "it is noted once");
    // The process ends behind the read, and again behind the revocation.
    let store = Arc::new(storage.copy());
    let second = reopen(store.clone(), &world);
    revoke_token(&second, &accessor);
    let second = reopen(Arc::new(store.copy()), &world);
    let before = password_at(&second, "app");
    second.vault.tick().unwrap();
    assert_ne!(password_at(&second, "app"), before);
    assert_ne!(key(&second.root), value);
    second.vault.verify().unwrap();
}

#[test]
fn wherever_the_process_ends_whoever_was_answered_and_has_left_lets_it_be_rotated() {
    let storage = Arc::new(MemoryStorage::new());
    let old = world_on(Config::on(storage.clone()));
    used(&old, r#""rotate_when_reader_leaves":true,"rotate_after_reads":1000,"rotation_period":"240h""#);
    let accounts = old.target.state.lock().unwrap().accounts.clone();
    let before = version(&old.root);
    let mut seen = 0;
    for fault in [StoreFault::Lost, StoreFault::Applied] {
        for nth in 1.. {
            old.target.state.lock().unwrap().accounts = accounts.clone();
            let faulty = Arc::new(FaultyStorage::over(storage.copy()));
            let world = reopen(faulty.clone(), &old);
            faulty.fail_commit(faulty.commit_number() + nth, fault);
            let options = TokenOptions { policies: vec!["root".to_owned()], ..TokenOptions::default() };
            let (mut was_answered, mut has_left) = (false, false);
            if let Ok(auth) = world.root.tokens().create(options) {
                let reader = world.vault.session(SecretString::copy_from(auth.client_token.expose()));
                was_answered = ask(&reader, Operation::Read, "database/static-creds/app", "").is_ok();
                let data = Object::new().with("accessor", auth.accessor);
                has_left = world.root.request(Operation::Write, "auth/token/revoke-accessor", Some(data.into())).is_ok();
            }
            (0..3).for_each(|_| drop(world.vault.tick()));
            let crashed = world.vault.tick().is_err();
            drop(world);
            let world = reopen(Arc::new(faulty.restart()), &old);
            settle(&world, 600);
            let (_, password) = creds_now(&world.root);
            assert_eq!(password, password_at(&world, "app"), "{fault:?} {nth}");
            if was_answered && has_left {
                seen += 1;
                assert!(version(&world.root) > before, "{fault:?} {nth}");
            }
            world.vault.verify().unwrap();
            if !crashed {
                assert!(nth > 6, "it commits at least so often: {nth}");
                break;
            }
        }
    }
    assert!(seen > 6, "{seen}");
}

#[test]
fn a_reader_whose_revocation_was_first_is_answered_nothing() {
    let world = world();
    used(&world, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            let (reader, accessor) = token(&world);
            let before = version(&world.root);
            let reading = scope.spawn(move || ask(&reader, Operation::Read, "database/static-creds/app", ""));
            revoke_token(&world, &accessor);
            let was_answered = match reading.join().unwrap() {
                Ok(_) => true,
                Err(error) => {
                    assert!(matches!(error.code(), Code::PermissionDenied | Code::Conflict), "{error}");
                    false
                }
            };
            world.vault.tick().unwrap();
            assert!(!was_answered || version(&world.root) != before, "whoever was answered is known");
        }
    });
}

#[test]
fn readers_from_above_and_batch_tokens_leave_with_whoever_made_them() {
    let world = world();
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    let team = world.root.namespace("team").unwrap();
    secret(&team, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
    let (reader, accessor) = token(&world);
    world.root.policies().write("team", r#"path "team/secret/*" { capabilities = ["read"] }"#).unwrap();
    let batch = TokenOptions { policies: vec!["team".to_owned()], token_type: Some(TokenType::Batch), ..TokenOptions::default() };
    for by_batch in [false, true] {
        let session = if by_batch {
            let auth = reader.tokens().create(batch.clone()).unwrap();
            world.vault.session(SecretString::copy_from(auth.client_token.expose()))
        } else {
            reader.clone()
        };
        let value = key(&session.namespace("team").unwrap());
        if by_batch {
            revoke_token(&world, &accessor);
        } else {
            // One that has read in another namespace is of no matter there, and one that made nothing neither.
            revoke_token(&world, &token(&world).1);
            world.vault.tick().unwrap();
            assert_eq!(key(&team), value);
            continue;
        }
        world.vault.tick().unwrap();
        assert_ne!(key(&team), value);
    }
    world.vault.verify().unwrap();
}

#[test]
fn a_wrapped_answer_is_a_read_and_a_live_secret_reads_each_version_once() {
    let world = world();
    used(&world, r#""rotate_after_reads":3"#);
    let wrapped = vault_core::types::Request {
        wrap_ttl: Some(Ttl::from_secs(60)),
        ..vault_core::types::Request::new(Operation::Read, vault_core::types::Path::parse("database/static-creds/app").unwrap())
    };
    world.root.handle(wrapped).into_result().unwrap();
    let live = world.root.live("database/static-creds/app").unwrap();
    (0..10).for_each(|_| drop(live.get().unwrap()));
    world.vault.tick().unwrap();
    assert_eq!(reads(&world.root), Some(2), "once wrapped, once live");
    let before = password_at(&world, "app");
    version(&world.root);
    world.vault.tick().unwrap();
    assert_ne!(password_at(&world, "app"), before);
}

#[test]
fn whoever_unwraps_what_another_token_has_read_is_a_reader() {
    for path in ["database/static-creds/app", "secret/data/api"] {
        let world = world();
        used(&world, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
        secret(&world.root, r#""rotate_when_reader_leaves":true,"rotation_period":"240h""#);
        let wrapped = world.root.wrapping().request(Operation::Read, path, None, Ttl::from_secs(60)).unwrap();
        let ((looker, looked), (unwrapper, accessor)) = (token(&world), token(&world));
        looker.wrapping().lookup(wrapped.token.expose()).unwrap();
        unwrapper.wrapping().unwrap(wrapped.token.expose()).unwrap();
        revoke_token(&world, &looked);
        world.vault.tick().unwrap();
        assert_eq!(causes(&world).len(), 0, "{path}: that one has not seen it");
        revoke_token(&world, &accessor);
        world.vault.tick().unwrap();
        assert_eq!(causes(&world), ["reader-left"], "{path}");
    }
}

#[test]
fn whoever_reads_any_number_of_credentials_again_and_again_has_none_of_them_rotated_and_when_it_leaves_all() {
    const COUNT: usize = 300;
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    let (reader, accessor) = token(&world);
    let name = |number: usize| format!("s{number}");
    for number in 0..COUNT {
        world.root.kv("secret").put(&name(number), Object::new().with("password", "x")).unwrap();
        let data = r#"{"rotate_when_reader_leaves":true,"rotation_period":"240h","skip_import_rotation":true}"#;
        ask(&world.root, Operation::Write, &format!("sys/rotation/secrets/secret/{}", name(number)), data).unwrap();
    }
    let read_all = || (0..COUNT).for_each(|number| drop(reader.kv("secret").get(&name(number)).unwrap()));
    read_all();
    let noted = storage.commit_number();
    read_all();
    assert!(storage.commit_number() - noted < COUNT as u64 / 2, "what is noted is not noted again");
    settle(&world, 120);
    let is_new = |number: &usize| {
        let metadata = ask(&world.root, Operation::Read, &format!("secret/metadata/{}", name(*number)), "").unwrap().data.unwrap();
        metadata.get("current_version").and_then(Value::as_u64) == Some(2)
    };
    assert_eq!((0..COUNT).filter(is_new).count(), 0, "nobody has left");
    revoke_token(&world, &accessor);
    settle(&world, 60);
    assert_eq!((0..COUNT).filter(is_new).count(), COUNT);
    world.vault.verify().unwrap();
}

#[test]
fn an_older_version_that_is_read_too_lets_nobody_forget_who_has_read_the_current_one() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    secret(&world.root, r#""rotate_when_reader_leaves":true,"rotation_period":"240h","skip_import_rotation":true"#);
    world.root.kv("secret").put("api", Object::new().with("password", "by-hand")).unwrap();
    let ((reader, accessor), (historian, other)) = (token(&world), token(&world));
    let older = |session: &Session| ask(session, Operation::Read, "secret/data/api", r#"{"version":1}"#).unwrap();
    assert_eq!(key(&reader), "by-hand");
    let before = storage.commit_number();
    for _ in 0..50 {
        older(&historian);
        key(&reader);
        older(&reader);
    }
    assert!(storage.commit_number() - before <= 3, "an older version is not noted");
    revoke_token(&world, &other);
    world.vault.tick().unwrap();
    assert_eq!(key(&world.root), "by-hand", "that one knows what is not used any more");
    revoke_token(&world, &accessor);
    world.vault.tick().unwrap();
    assert_ne!(key(&world.root), "by-hand");
    assert_eq!(causes(&world), ["reader-left"]);
}

/// The store with the record altered that a credential's rotation is: the largest of those that go with it.
fn with_harmed_rotation(world: &World, storage: &MemoryStorage, path: &str) -> Arc<MemoryStorage> {
    let records: BTreeMap<_, _> = storage.scan(&[], None, 100_000).unwrap().into_iter().collect();
    let largest = gone_with(world, storage, path).into_iter().max_by_key(|name| records[name].len()).unwrap();
    with_harmed(storage, &largest)
}

/// The records that go with the rotation of a credential.
fn gone_with(world: &World, storage: &MemoryStorage, path: &str) -> Vec<Key> {
    let without = Arc::new(storage.copy());
    let other = reopen(without.clone(), world);
    ask(&other.root, Operation::Delete, path, "").unwrap();
    let names = storage.scan(&[], None, 100_000).unwrap().into_iter().map(|(name, _)| name);
    names.filter(|name| name.as_bytes().len() >= 16 && without.get(name).unwrap().is_none()).collect()
}

#[test]
fn a_credential_that_cannot_be_read_keeps_no_secret_from_its_readers_and_no_other_from_a_tick() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    let members = r#"{"rotate_when_reader_leaves":true,"rotation_period":"240h","skip_import_rotation":true}"#;
    let names = ["a", "b", "harmed", "y", "z"];
    let (reader, accessor) = token(&world);
    for name in names {
        world.root.kv("secret").put(name, Object::new().with("password", "from-before")).unwrap();
        ask(&world.root, Operation::Write, &format!("sys/rotation/secrets/secret/{name}"), members).unwrap();
        reader.kv("secret").get(name).unwrap();
    }
    revoke_token(&world, &accessor);
    let path = "sys/rotation/secrets/secret/harmed";
    let world = reopen(with_harmed_rotation(&world, &storage, path), &world);
    assert_eq!(ask(&world.root, Operation::Read, path, "").unwrap_err().class(), Class::Corrupt);
    let value = |name: &str| world.root.kv("secret").get(name).unwrap().data.get("password").and_then(Value::as_str).map(str::to_owned);
    let values = || names.map(|name| value(name).unwrap());
    assert_eq!(values(), ["from-before"; 5], "secrets are read");
    for _ in 0..2 {
        assert!(world.vault.tick().unwrap().is_some());
    }
    let rotated = values().map(|value| value != "from-before");
    assert_eq!(rotated, [true, true, false, true, true]);
    assert_eq!(causes(&world), ["reader-left"; 4]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = world();
    account(&world, "app", "x");
    for more in [
        r#""rotate_after_reads":-1"#,
        r#""rotate_after_reads":"many""#,
        r#""rotate_after_reads":2000000000"#,
        r#""rotate_when_reader_leaves":1"#,
    ] {
        let data = format!(r#"{{"db_name":"db","username":"app","rotation_period":"24h",{more}}}"#);
        assert_eq!(write(&world.root, "static-roles/app", &data).unwrap_err().code(), Code::InvalidData, "{more}");
    }
    let never = write(&world.root, "static-roles/app", r#"{"db_name":"db","username":"app","rotate_after_reads":0}"#).unwrap_err();
    assert!(never.to_string().contains("rotate_after_reads"), "{never}");
}

#[test]
fn whoever_has_read_a_version_that_was_rolled_back_to_lets_it_be_rotated() {
    for reads_again in [false, true] {
        let world = world();
        for name in ["a", "b"] {
            account(&world, name, "from-before");
        }
        role_of(&world, r#"{"db_name":"db","usernames":["a","b"],"rotation_period":"240h","grace":"1h","rotate_when_reader_leaves":true}"#);
        let (reader, accessor) = token(&world);
        let first = version(&reader);
        write(&world.root, "rotate-role/app", "").unwrap();
        let second = version(&reader);
        assert_ne!(first, second);
        write(&world.root, "roll-back-role/app", "").unwrap();
        assert_eq!(version(&world.root), first);
        if reads_again {
            settle(&world, 7200);
            write(&world.root, "rotate-role/app", "").unwrap();
            assert_ne!(version(&reader), first);
            write(&world.root, "roll-back-role/app", "").unwrap();
            assert_eq!(version(&world.root), first, "and once more, with nobody reading it in between");
        }
        revoke_token(&world, &accessor);
        settle(&world, 7200);
        assert_ne!(version(&world.root), first, "reads again: {reads_again}; {:?}", causes(&world));
        assert!(causes(&world).contains(&"reader-left".to_owned()), "{:?}", causes(&world));
    }
}

/// A log that keeps its lines.
#[derive(Default)]
struct Kept(Mutex<Vec<LogLine>>);

impl Log for Kept {
    fn log(&self, line: &LogLine) {
        self.0.lock().unwrap().push(line.clone());
    }
}

#[test]
fn a_harmed_record_that_leads_to_a_rotation_keeps_no_other_from_a_tick_and_is_told() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    let members = r#"{"rotate_when_reader_leaves":true,"rotation_period":"240h","skip_import_rotation":true}"#;
    let (reader, accessor) = token(&world);
    for name in ["a", "b"] {
        world.root.kv("secret").put(name, Object::new().with("password", "from-before")).unwrap();
        ask(&world.root, Operation::Write, &format!("sys/rotation/secrets/secret/{name}"), members).unwrap();
    }
    let is_there = |name: &Key| storage.get(name).unwrap().is_some();
    let names = || -> Vec<Key> { storage.scan(&[], None, 100_000).unwrap().into_iter().map(|(name, _)| name).collect() };
    let unread = names();
    ["a", "b"].iter().for_each(|name| drop(reader.kv("secret").get(name).unwrap()));
    let noted = names();
    revoke_token(&world, &accessor);
    // What tells who has read what, and that somebody has left, goes with the next tick.
    let ticked = Arc::new(storage.copy());
    let other = reopen(ticked.clone(), &world);
    other.vault.tick().unwrap();
    let goes = |name: &Key| name.as_bytes().len() > 16 && ticked.get(name).unwrap().is_none();
    let leads_to_all: Vec<Key> = names().into_iter().filter(|name| !noted.contains(name) && goes(name)).collect();
    let mut harmed: Vec<Key> = noted.iter().filter(|name| !unread.contains(name) && goes(name)).copied().collect();
    assert_eq!((harmed.len(), leads_to_all.len()), (2, 1), "a note of each credential, and one of who has left");
    harmed.extend(leads_to_all.iter().copied());
    let leading = harmed.len();
    harmed.extend(gone_with(&world, &storage, "sys/rotation/secrets/secret/a").into_iter().filter(is_there));
    let (mut told_of, mut looks_incomplete) = (0, 0);
    for (nth, name) in harmed.into_iter().enumerate() {
        let log = Arc::new(Kept::default());
        let world = reopen_with(Config::on(with_harmed(&storage, &name)).with_log(log.clone()), &world);
        for _ in 0..2 {
            assert!(world.vault.tick().unwrap().is_some());
        }
        let lines = std::mem::take(&mut *log.0.lock().unwrap());
        let tells = |line: &LogLine| (line.level, line.topic, line.code) == (LogLevel::Error, LogTopic::Rotation, Some(Code::Corrupt));
        let tells = lines.iter().any(tells);
        assert!(tells || nth >= leading, "what tells that somebody has left: {lines:?}");
        told_of += usize::from(tells);
        if let Ok(looked) = world.root.emergency().look("secret/data", Timestamp::EPOCH) {
            let is_told = looked.timeline.iter().any(|line| line.contains("cannot be read: let the doctor look at the store"));
            assert_ne!(is_told, looked.is_complete, "{looked}");
            looks_incomplete += usize::from(is_told);
        }
        let is_new = |name: &str| {
            let secret = world.root.kv("secret").get(name).unwrap();
            secret.data.get("password").and_then(Value::as_str) != Some("from-before")
        };
        if !leads_to_all.contains(&name) {
            assert!(is_new("a") || is_new("b"), "the other one goes on");
            assert!(!causes(&world).is_empty());
        }
    }
    assert!(told_of >= leading + 2, "the place of a credential and its record too, but for what no tick reads: {told_of} of {leading}");
    assert!(looks_incomplete > 0, "where the place of a credential cannot be read a look says that it is not all");
}

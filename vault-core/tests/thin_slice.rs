//! One secret's whole way through a vault in memory: what the layers promise together.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use vault_core::host::{Clock, ManualClock};
use vault_core::types::{Class, Code, Context, Object, Operation, Path, Request, SecretString, Timestamp, Ttl, Value};
use vault_core::{AuditMode, Config, NewSeal, Session, TokenOptions, UnsealKey, Vault};

const KEY: [u8; 32] = [7; 32];

struct World {
    vault: Vault,
    root: Session,
    clock: Arc<ManualClock>,
}

fn world_with(config: Config) -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_457_040)));
    let (vault, init) = Vault::create(config.with_clock(clock.clone()), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    World { vault, root, clock }
}

fn world() -> World {
    world_with(Config::in_memory())
}

impl World {
    /// A session of a new token with one policy, which this text says.
    fn session_with(&self, policy: &str, ttl_seconds: u64) -> Session {
        self.root.policies().write("p", policy).unwrap();
        let options = TokenOptions { policies: vec!["p".to_owned()], ttl: Some(Ttl::from_secs(ttl_seconds)), ..TokenOptions::default() };
        self.vault.session(self.root.tokens().create(options).unwrap().client_token)
    }
}

fn member(text: &str) -> Object {
    Object::new().with("value", text)
}

const APP: &str = r#"path "secret/data/app/*" { capabilities = ["create", "read", "update", "delete"] }
path "secret/metadata/app/*" { capabilities = ["read", "list"] }"#;

#[test]
fn a_secret_is_written_read_versioned_listed_deleted_and_undeleted() {
    let world = world();
    let kv = world.root.kv("secret");
    assert_eq!(kv.put("app/db", member("one")).unwrap().version, 1);
    assert_eq!(kv.put("app/db", member("two")).unwrap().version, 2);
    kv.put("app/deep/er", member("x")).unwrap();
    kv.put("top", member("x")).unwrap();
    assert_eq!(kv.get("app/db").unwrap().data.get("value").unwrap().as_str(), Some("two"));
    assert_eq!(kv.get_version("app/db", 1).unwrap().data.get("value").unwrap().as_str(), Some("one"));
    assert_eq!(kv.list("").unwrap(), ["app/", "top"]);
    assert_eq!(kv.list("app").unwrap(), ["db", "deep/"]);
    kv.delete("app/db").unwrap();
    let error = kv.get("app/db").unwrap_err();
    assert_eq!((error.code(), error.class()), (Code::VersionDeleted, Class::NotFound));
    assert_eq!(error.data().unwrap().get("metadata").unwrap().get("version").unwrap().as_u64(), Some(2));
    assert!(kv.get_version("app/db", 1).is_ok(), "only the newest version was deleted");
    kv.undelete_versions("app/db", &[2]).unwrap();
    assert!(kv.get("app/db").is_ok());
    kv.destroy_versions("app/db", &[1, 2]).unwrap();
    assert!(kv.get("app/db").is_err() && kv.get_version("app/db", 1).is_err());
    let metadata = kv.metadata("app/db").unwrap();
    assert_eq!((metadata.current_version, metadata.oldest_version), (2, 1));
    assert!(metadata.versions.iter().all(|version| version.destroyed));
    world.vault.verify().unwrap();
}

#[test]
fn after_delete_and_re_creation_nothing_old_is_visible() {
    let world = world();
    let kv = world.root.kv("secret");
    for text in ["old 1", "old 2", "old 3"] {
        kv.put("app/x", member(text)).unwrap();
    }
    kv.delete_metadata("app/x").unwrap();
    assert_eq!(kv.get("app/x").unwrap_err().code(), Code::NotFound);
    assert_eq!(kv.list("").unwrap_err().code(), Code::NotFound, "the folder went with its last child");
    assert_eq!(kv.put("app/x", member("new")).unwrap().version, 1);
    assert_eq!(kv.get_version("app/x", 2).unwrap_err().code(), Code::NotFound);
    assert_eq!(kv.metadata("app/x").unwrap().versions.len(), 1);
}

#[test]
fn the_eleventh_version_pushes_the_first_one_out() {
    let world = world();
    let kv = world.root.kv("secret");
    for number in 1..=11 {
        kv.put("x", member(&number.to_string())).unwrap();
    }
    assert_eq!(kv.get_version("x", 1).unwrap_err().code(), Code::NotFound);
    assert_eq!(kv.get_version("x", 2).unwrap().data.get("value").unwrap().as_str(), Some("2"));
    assert_eq!(kv.metadata("x").unwrap().oldest_version, 2);
    world.vault.verify().unwrap();
}

#[test]
fn check_and_set_writes_on_the_version_it_names_only() {
    let world = world();
    let kv = world.root.kv("secret");
    assert_eq!(kv.put_cas("x", member("a"), 1).unwrap_err().code(), Code::CasMismatch);
    assert_eq!(kv.put_cas("x", member("a"), 0).unwrap().version, 1);
    assert_eq!(kv.put_cas("x", member("b"), 0).unwrap_err().code(), Code::CasMismatch);
    assert_eq!(kv.put_cas("x", member("b"), 1).unwrap().version, 2);
}

#[test]
fn what_could_not_be_read_back_is_refused_and_the_version_before_it_stays() {
    let world = world();
    let kv = world.root.kv("secret");
    kv.put("x", member("one")).unwrap();
    let deep = (0..64).fold(Object::new(), |inner, _| Object::new().with("a", inner));
    let many = Object::new().with("a", vec![0_u64; 19_999]);
    // Within the limit as text, past it as JSON.
    let large = Object::new().with("a", "\n".repeat(600_000));
    for data in [deep, many, large] {
        assert_eq!(kv.put("x", data).unwrap_err().code(), Code::InvalidData);
        assert_eq!(kv.get("x").unwrap().version.version, 1);
    }
    for data in [Object::new().with("a", vec![0_u64; 19_998]), Object::new().with("a", "\n".repeat(524_000))] {
        kv.put("y", data).unwrap();
        kv.get("y").unwrap();
    }
}

#[test]
fn a_least_privilege_token_does_what_its_policy_says_and_nothing_else() {
    let world = world();
    let app = world.session_with(APP, 3600);
    app.kv("secret").put("app/db", member("x")).unwrap();
    app.kv("secret").get("app/db").unwrap();
    for outcome in [
        app.kv("secret").get("other/db").map(drop),
        app.kv("secret").put("other/db", member("x")).map(drop),
        app.kv("secret").list("").map(drop),
        app.kv("secret").delete_metadata("app/db"),
        app.policies().write("p", "path \"*\" { capabilities = [\"sudo\"] }"),
        app.policies().list().map(drop),
        app.tokens().create(TokenOptions::default()).map(drop),
        app.audit().verify().map(drop),
        app.request(Operation::Read, "nothing/mounted", None).map(drop),
        app.request(Operation::Write, "sys/seal", None).map(drop),
        app.request(Operation::Read, "sys/storage/verify", None).map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (Code::PermissionDenied, "permission denied"));
    }
    assert_eq!(app.tokens().lookup_self().unwrap().policies, ["default", "p"]);
}

#[test]
fn missing_bad_expired_and_revoked_tokens_have_one_and_the_same_answer() {
    let world = world();
    let expired = world.session_with(APP, 10);
    let revoked = world.session_with(APP, 3600);
    revoked.kv("secret").put("app/x", member("x")).unwrap();
    expired.kv("secret").get("app/x").unwrap();
    revoked.tokens().revoke_self().unwrap();
    world.clock.advance(Ttl::from_secs(10));
    let path = || Path::parse("secret/data/app/x").unwrap();
    let unknown = |text: &str| world.vault.session(SecretString::copy_from(text));
    for reply in [
        world.vault.handle(Request::new(Operation::Read, path())),
        unknown("").handle(Request::new(Operation::Read, path())),
        unknown("hvs.00000000000000000000000000000000").handle(Request::new(Operation::Read, path())),
        unknown(&"x".repeat(100_000)).handle(Request::new(Operation::Read, path())),
        expired.handle(Request::new(Operation::Read, path())),
        revoked.handle(Request::new(Operation::Read, path())),
    ] {
        let error = reply.into_result().unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (Code::PermissionDenied, "permission denied"));
    }
}

#[test]
fn children_end_with_their_parent_and_get_no_more_than_it_has() {
    let world = world();
    let parent = world.session_with(&format!("{APP}\npath \"auth/token/create\" {{ capabilities = [\"update\"] }}"), 3600);
    let asking = |policies: &[&str], ttl| TokenOptions {
        policies: policies.iter().map(|name| (*name).to_owned()).collect(),
        ttl: Some(Ttl::from_secs(ttl)),
        ..TokenOptions::default()
    };
    world.root.policies().write("more", "path \"*\" { capabilities = [\"read\"] }").unwrap();
    for policies in [&["more"][..], &["root"], &["ROOT "], &["p", "more"]] {
        assert_eq!(parent.tokens().create(asking(policies, 60)).unwrap_err().class(), Class::InvalidRequest, "{policies:?}");
    }
    let auth = parent.tokens().create(asking(&["p"], 999_999)).unwrap();
    assert_eq!(auth.lease_duration, Ttl::from_secs(3600), "no longer than its parent");
    let child = world.vault.session(auth.client_token);
    let grandchild = world.vault.session(child.tokens().create(asking(&[], 60)).unwrap().client_token);
    grandchild.kv("secret").put("app/x", member("x")).unwrap();
    parent.tokens().revoke_self().unwrap();
    for gone in [&parent, &child, &grandchild] {
        assert_eq!(gone.kv("secret").get("app/x").unwrap_err().code(), Code::PermissionDenied);
    }
}

#[test]
fn a_policy_that_changes_changes_live_tokens_at_once() {
    let world = world();
    let app = world.session_with(APP, 3600);
    app.kv("secret").put("app/x", member("x")).unwrap();
    world.root.policies().write("p", "path \"secret/data/app/x\" { capabilities = [\"deny\"] }").unwrap();
    assert_eq!(app.kv("secret").get("app/x").unwrap_err().code(), Code::PermissionDenied);
    world.root.policies().write("p", APP).unwrap();
    app.kv("secret").get("app/x").unwrap();
    world.root.policies().delete("p").unwrap();
    assert_eq!(app.kv("secret").get("app/x").unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(world.root.policies().list().unwrap(), ["default", "root"]);
    assert_eq!(world.root.policies().read("p").unwrap_err().code(), Code::NotFound);
    assert_eq!(world.root.policies().write("Root", APP).unwrap_err().code(), Code::InvalidPolicy);
}

#[test]
fn tick_removes_expired_tokens_even_after_years_and_a_clock_that_stepped_back() {
    let world = world();
    let records = || world.vault.verify().unwrap().records;
    world.session_with(APP, 1);
    let before = records();
    world.session_with(APP, 100);
    world.session_with(APP, 1_000_000);
    assert!(records() > before);
    world.clock.advance(Ttl::from_secs(50));
    let next = world.vault.tick().unwrap().unwrap();
    assert!(next <= Timestamp::from_secs(1_795_457_040 + 100));
    world.clock.set(Timestamp::from_secs(1_000_000));
    world.vault.tick().unwrap();
    world.session_with(APP, 60);
    world.clock.set(Timestamp::from_secs(1_795_457_040 + 10 * 366 * 86_400));
    world.vault.tick().unwrap();
    world.root.audit().verify().unwrap();
    let expired = world
        .root
        .audit()
        .events(0, 1000)
        .unwrap()
        .iter()
        .filter(|event| event.get("operation").unwrap().as_str() == Some("expire"))
        .count();
    assert_eq!(expired, 4);
}

#[test]
fn every_outcome_is_recorded_with_who_what_and_which_rule_decided() {
    let world = world();
    let app = world.session_with(APP, 3600);
    app.kv("secret").put("app/x", member("CANARY")).unwrap();
    app.kv("secret").get("other").unwrap_err();
    let event = world.last_event_of("secret/data/other");
    assert_eq!(event.get("outcome").unwrap().as_u64(), Some(200));
    let decision = event.get("decision").unwrap();
    assert_eq!(decision.get("allowed").unwrap().as_bool(), Some(false));
    assert_eq!(decision.get("step").unwrap().as_str(), Some("no rule matches, and the default is to deny"));
    let event = world.last_event_of("secret/data/app/x");
    let decision = event.get("decision").unwrap();
    assert_eq!(decision.get("rule").unwrap().as_str(), Some("secret/data/app/*"));
    assert_eq!((decision.get("policy").unwrap().as_str(), decision.get("line").unwrap().as_u64()), (Some("p"), Some(1)));
    assert_eq!(event.get("version").unwrap().as_u64(), Some(1));
    let context = Context { correlation_id: Some("req-7".to_owned()), remote_address: Some("10.0.0.9".to_owned()) };
    app.request_with(Operation::Read, "secret/data/app/x", None, context).unwrap();
    let event = world.last_event_of("secret/data/app/x");
    assert_eq!(event.get("correlation_id").unwrap().as_str(), Some("req-7"));
    let report = world.root.audit().verify().unwrap();
    assert!(report.records >= 7);
    let all = world.root.audit().events(0, 1000).unwrap();
    let text = String::from_utf8(Value::Array(all).to_json().to_vec()).unwrap();
    assert!(!text.contains("CANARY"), "no value stands in the log");
}

impl World {
    fn last_event_of(&self, path: &str) -> Value {
        let events = self.root.audit().events(0, 1000).unwrap();
        events.into_iter().rfind(|event| event.get("path").unwrap().as_str() == Some(path)).unwrap()
    }
}

#[test]
fn a_flood_of_identical_refusals_is_one_record_with_a_count() {
    let world = world();
    let app = world.session_with(APP, 3600);
    for _ in 0..5000 {
        app.kv("secret").get("other").unwrap_err();
    }
    world.clock.advance(Ttl::from_secs(1));
    world.vault.tick().unwrap();
    let events = world.root.audit().events(0, 1000).unwrap();
    let counts: Vec<u64> = events
        .iter()
        .filter(|event| event.get("path").unwrap().as_str() == Some("secret/data/other"))
        .map(|event| event.get("count").unwrap().as_u64().unwrap())
        .collect();
    assert_eq!(counts, [1, 4999]);
}

#[test]
fn strict_replies_wait_for_their_record_and_batched_ones_for_its_admission() {
    let read = || Request::new(Operation::Read, Path::parse("sys/mounts").unwrap());
    let strict = world_with(Config::in_memory().with_audit_mode(AuditMode::Strict));
    assert!(strict.root.handle(read()).commit().is_some());
    let nowhere = || Request::new(Operation::Read, Path::parse("nowhere/x").unwrap());
    assert!(strict.root.handle(nowhere()).commit().is_some(), "a refusal waits too");
    assert!(strict.root.handle(nowhere()).commit().is_none(), "one that repeats is counted");
    let batched = world();
    assert!(batched.root.handle(read()).commit().is_none());
    batched.clock.advance(Ttl::from_secs(1));
    assert!(batched.root.handle(read()).commit().is_some(), "the queue has waited long enough");
}

#[test]
fn reads_that_repeat_are_counted_where_the_vault_is_told_to() {
    let world = world_with(Config::in_memory().with_audit_mode(AuditMode::Counted));
    let app = world.session_with(APP, 3600);
    app.kv("secret").put("app/db", member("1")).unwrap();
    for _ in 0..5_000 {
        app.kv("secret").get("app/db").unwrap();
    }
    app.kv("secret").put("app/db", member("2")).unwrap();
    for _ in 0..10 {
        app.kv("secret").get("app/db").unwrap();
    }
    let before = world.root.audit().verify().unwrap().records;
    assert!(before < 20, "{before} records");
    world.clock.advance(Ttl::from_secs(1));
    world.vault.tick().unwrap();
    let events = world.root.audit().events(0, 1000).unwrap();
    let reads: Vec<(u64, u64)> = events
        .iter()
        .filter(|event| event.get("operation").unwrap().as_str() == Some("read"))
        .filter(|event| event.get("path").unwrap().as_str() == Some("secret/data/app/db"))
        .map(|event| (event.get("version").unwrap().as_u64().unwrap(), event.get("count").unwrap().as_u64().unwrap()))
        .collect();
    let of = |version| reads.iter().filter(|read| read.0 == version).map(|read| read.1).sum::<u64>();
    assert_eq!((of(1), of(2)), (5_000, 10), "{reads:?}");
    assert!(reads.len() <= 4, "{reads:?}");
}

#[test]
fn a_token_that_was_made_while_the_clock_was_back_is_removed_by_a_tick_all_the_same() {
    let world = world();
    let at = |hours: u64| world.clock.set(Timestamp::from_secs(1_795_457_040 + hours * 3600));
    at(100);
    world.vault.tick().unwrap();
    at(50);
    let token = world.session_with(APP, 1);
    token.kv("secret").put("app/x", member("x")).unwrap();
    at(100);
    world.vault.tick().unwrap();
    // It was removed, and not only past its time.
    at(50);
    assert_eq!(token.kv("secret").get("app/x").unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn a_clock_that_is_stepped_by_centuries_keeps_no_tick_from_its_end() {
    let world = world();
    let token = world.session_with(APP, 60);
    let century = Ttl::from_secs(100 * 365 * 24 * 3600);
    world.clock.advance(century);
    let ticks = (1..).find(|_| world.vault.tick().unwrap().is_none_or(|next| next > world.clock.now())).unwrap();
    assert!((1..20).contains(&ticks), "{ticks} ticks look through a century");
    assert_eq!(token.kv("secret").get("app/x").unwrap_err().code(), Code::PermissionDenied);
    let events = world.root.audit().events(0, 1000).unwrap();
    assert!(events.iter().any(|event| event.get("operation").unwrap().as_str() == Some("expire")));
    // Further than anybody counts hours: each call ends all the same.
    world.clock.set(Timestamp::from_millis(u64::MAX / 2));
    let next = world.vault.tick().unwrap();
    assert!(next.is_some_and(|next| next <= world.clock.now()), "there is more to do");
}

#[test]
fn the_audit_tail_is_sealed_into_segments_and_verifies_across_them() {
    let world = world_with(Config::in_memory().with_audit_tail_bytes(4096));
    for number in 0..200 {
        world.root.kv("secret").put(&format!("k{number}"), member("x")).unwrap();
    }
    let report = world.root.audit().verify().unwrap();
    assert!(report.segments >= 3 && report.records >= 201, "{report:?}");
    world.vault.verify().unwrap();
    let events = world.root.audit().events(0, 1000).unwrap();
    let numbers: Vec<u64> = events.iter().map(|event| event.get("sequence").unwrap().as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_sealed_vault_answers_its_status_only_and_works_again_when_unsealed() {
    let world = world();
    world.root.kv("secret").put("x", member("x")).unwrap();
    let sealed = world.vault.seal().unwrap();
    assert!(sealed.seal_status().sealed);
    assert_eq!(world.root.kv("secret").get("x").unwrap_err().code(), Code::Sealed);
    let status = world.vault.handle(Request::new(Operation::Read, Path::parse("sys/seal-status").unwrap())).into_result().unwrap();
    assert_eq!(status.data.unwrap().get("sealed").unwrap().as_bool(), Some(true));
    for wrong in [UnsealKey::raw_key(&[8; 32]).unwrap(), UnsealKey::passphrase("x").unwrap()] {
        assert_eq!(sealed.unseal(&wrong).unwrap_err().code(), Code::WrongKey);
    }
    let vault = sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    assert_eq!(sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap_err().code(), Code::AlreadyUnsealed);
    world.root.kv("secret").get("x").unwrap();
    let failed = world.last_event_of("sys/unseal");
    assert_eq!(failed.get("operation").unwrap().as_str(), Some("unseal"));
    assert_eq!(world.last_event_of("sys/seal").get("operation").unwrap().as_str(), Some("seal"), "the host's own doing is recorded too");
    let counts: Vec<_> = world
        .root
        .audit()
        .events(0, 1000)
        .unwrap()
        .iter()
        .filter(|event| event.get("outcome").unwrap().as_u64() == Some(106))
        .map(|event| event.get("count").unwrap().as_u64())
        .collect();
    assert_eq!(counts, [Some(2)], "the wrong keys were counted");
    world.root.request(Operation::Write, "sys/seal", None).unwrap();
    assert_eq!(world.root.kv("secret").get("x").unwrap_err().code(), Code::Sealed);
    vault.close().unwrap();
    vault.close().unwrap();
    assert_eq!(world.root.kv("secret").get("x").unwrap_err().code(), Code::Closed);
}

#[test]
fn another_mount_has_its_own_secrets_and_reserved_or_overlapping_paths_are_refused() {
    let world = world();
    let mount = |path: &str, body: Object| world.root.request(Operation::Write, &format!("sys/mounts/{path}"), Some(body.into()));
    let kv = || Object::new().with("type", "kv").with("options", Object::new().with("version", "2"));
    mount("team/a", kv()).unwrap();
    world.root.kv("team/a").put("x", member("a")).unwrap();
    world.root.kv("secret").put("x", member("b")).unwrap();
    assert_eq!(world.root.kv("team/a").get("x").unwrap().data.get("value").unwrap().as_str(), Some("a"));
    for path in ["secret", "secret/below", "team", "team/a/b", "sys/x", "auth/x", "identity"] {
        assert_eq!(mount(path, kv()).unwrap_err().class(), Class::InvalidRequest, "{path}");
    }
    for body in [Object::new(), kv().with("options", Object::new().with("version", "3")), Object::new().with("type", "pki")] {
        assert_eq!(mount("other", body).unwrap_err().class(), Class::InvalidRequest);
    }
    let mounts = world.root.request(Operation::Read, "sys/mounts", None).unwrap().data.unwrap();
    assert_eq!(
        mounts.as_object().unwrap().iter().map(|(path, _)| path).collect::<Vec<_>>(),
        ["cubbyhole/", "identity/", "secret/", "sys/", "team/a/"]
    );
    assert_eq!(world.root.request(Operation::Read, "nowhere/x", None).unwrap_err().code(), Code::NotFound);
}

#[test]
fn bad_input_is_answered_with_a_typed_error_and_nothing_is_lost() {
    let world = world();
    world.root.kv("secret").put("x", member("x")).unwrap();
    let write = |path: &str, data: Option<Value>| world.root.request(Operation::Write, path, data).unwrap_err().class();
    let invalid = Class::InvalidRequest;
    assert_eq!(write("secret/data/x", None), invalid);
    assert_eq!(write("secret/data/x", Some(Object::new().into())), invalid);
    assert_eq!(write("secret/data/x", Some(Object::new().with("data", "text").into())), invalid);
    assert_eq!(write("secret/data/x", Some(Value::string("text"))), invalid);
    assert_eq!(
        write("secret/data/x", Some(Object::new().with("data", Object::new()).with("options", Object::new().with("cass", 1_u64)).into())),
        invalid
    );
    assert_eq!(write("secret/data/", Some(Object::new().with("data", Object::new()).into())), invalid);
    assert_eq!(write("secret/data/folder/", Some(Object::new().with("data", Object::new()).into())), invalid);
    assert_eq!(write("secret/unknown/x", None), invalid);
    assert_eq!(write("secret/delete/x", Some(Object::new().with("versions", Value::Array(vec![])).into())), invalid);
    assert_eq!(write("auth/token/create", Some(Object::new().with("entity_alias", "x").into())), invalid);
    assert_eq!(write("auth/token/create", Some(Object::new().with("policy", "x").into())), invalid);
    assert_eq!(write("auth/token/create", Some(Object::new().with("ttl", "soon").into())), invalid);
    assert_eq!(write("sys/policies/acl/x", Some(Object::new().with("policy", "path").into())), invalid);
    for path in ["", "a//b", "a/../b", "a/%2e%2e/b", "a\0b"] {
        assert_eq!(write(path, None), invalid, "{path:?}");
    }
    let huge = Object::new().with("data", member(&"x".repeat(3 * 1024 * 1024)));
    assert_eq!(write("secret/data/x", Some(huge.into())), invalid);
    let long = Context { correlation_id: Some("x".repeat(129)), remote_address: None };
    assert_eq!(world.root.request_with(Operation::Read, "sys/mounts", None, long).unwrap_err().class(), invalid);
    assert_eq!(world.root.kv("secret").get("x").unwrap().version.version, 1);
    world.vault.verify().unwrap();
}

#[test]
fn threads_that_write_and_read_lose_nothing() {
    let world = world();
    let kv_total = 8 * 50;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let root = world.root.clone();
            scope.spawn(move || {
                for number in 0..50 {
                    let path = format!("t{thread}/n{number}");
                    root.kv("secret").put(&path, member(&path)).unwrap();
                    assert_eq!(root.kv("secret").get(&path).unwrap().data.get("value").unwrap().as_str(), Some(path.as_str()));
                }
            });
        }
    });
    let found: usize = (0..8).map(|thread| world.root.kv("secret").list(&format!("t{thread}")).unwrap().len()).sum();
    assert_eq!(found, kv_total);
    let report = world.root.audit().verify().unwrap();
    assert!(report.records >= 2 * kv_total as u64);
    world.vault.verify().unwrap();
}

#[test]
fn racing_check_and_set_writers_have_one_winner_for_each_version() {
    let world = world();
    let wins: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let root = world.root.clone();
                scope.spawn(move || (0..20).filter(|version| root.kv("secret").put_cas("x", member("x"), *version).is_ok()).count())
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(world.root.kv("secret").metadata("x").unwrap().current_version, wins as u64);
}

#[test]
fn racing_creation_and_deletion_below_a_folder_keep_its_listing_right() {
    let world = world();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let root = world.root.clone();
            scope.spawn(move || {
                for _ in 0..50 {
                    let path = format!("folder/t{thread}");
                    root.kv("secret").put(&path, member("x")).unwrap();
                    assert_eq!(root.kv("secret").list("").unwrap(), ["folder/"]);
                    root.kv("secret").delete_metadata(&path).unwrap();
                }
            });
        }
    });
    assert_eq!(world.root.kv("secret").list("").unwrap_err().code(), Code::NotFound);
    world.vault.verify().unwrap();
}

#[test]
fn debug_output_of_every_type_holds_no_secret() {
    let world = world();
    let secret = world.root.kv("secret").put("CANARY", member("CANARY")).map(|_| world.root.kv("secret").get("CANARY").unwrap()).unwrap();
    let request = Request::new(Operation::Read, Path::parse("secret/data/CANARY").unwrap())
        .with_token(SecretString::copy_from("CANARY"))
        .with_data(member("CANARY").into());
    let key = UnsealKey::passphrase("CANARY").unwrap();
    let seal = NewSeal::passphrase("CANARY").unwrap();
    let reply = world.root.handle(Request::new(Operation::Read, Path::parse("secret/data/CANARY").unwrap()));
    let text = format!(
        "{:?} {secret:?} {request:?} {key:?} {seal:?} {reply:?} {:?} {:?}",
        world.vault,
        world.root,
        world.root.kv("secret").get("gone").unwrap_err()
    );
    assert!(!text.contains("CANARY"), "{text}");
}

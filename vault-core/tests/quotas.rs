//! Quotas by rate limit who asks too often, and lock nobody out for good.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use vault_core::host::ManualClock;
use vault_core::types::{Class, Code, Context, Object, Operation, Result, Timestamp, Ttl, Value};
use vault_core::{Config, NewSeal, Session, TokenOptions, UnsealKey, Vault};

struct World {
    vault: Vault,
    root: Session,
    clock: Arc<ManualClock>,
}

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn world() -> World {
    let clock = Arc::new(ManualClock::new(START));
    let (vault, init) = Vault::create(Config::in_memory().with_clock(clock.clone()), NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    root.kv("secret").put("a", Object::new().with("k", "v")).unwrap();
    World { vault, root, clock }
}

impl World {
    fn session_with(&self, policy: &str) -> Session {
        self.root.policies().write("p", policy).unwrap();
        let options = TokenOptions { policies: vec!["p".to_owned()], no_default_policy: true, ..TokenOptions::default() };
        self.vault.session(self.root.tokens().create(options).unwrap().client_token)
    }
}

fn quota(session: &Session, name: &str, data: &str) -> Result<()> {
    let data = Value::from_json(data.as_bytes()).unwrap();
    session.request(Operation::Write, &format!("sys/quotas/rate-limit/{name}"), Some(data)).map(drop)
}

fn get(session: &Session, path: &str, address: Option<&str>) -> Result<()> {
    let context = Context { remote_address: address.map(str::to_owned), ..Context::default() };
    session.request_with(Operation::Read, path, None, context).map(drop)
}

fn is_limited(outcome: &Result<()>) -> bool {
    outcome.as_ref().is_err_and(|error| error.class() == Class::RateLimited)
}

#[test]
fn a_quota_lets_its_rate_through_and_says_when_to_try_again() {
    let World { root, clock, .. } = world();
    quota(&root, "q", r#"{"path": "secret", "rate": 3, "interval": "10s"}"#).unwrap();
    let read = || get(&root, "secret/data/a", None);
    (0..3).for_each(|_| read().unwrap());
    let error = read().unwrap_err();
    assert_eq!((error.class(), error.code()), (Class::RateLimited, Code::RateLimited));
    assert!(error.to_string().contains("try again in 3.334 s"), "{error}");
    assert_eq!(error.data().unwrap().get("retry_after").unwrap().as_u64(), Some(4));
    clock.advance(Ttl::from_secs(4));
    read().unwrap();
    assert!(is_limited(&read()));
    // Other mounts do not count.
    get(&root, "sys/mounts", None).unwrap();
    // It is a refusal as any other, and has its record.
    let events = root.audit().events(0, 1_000).unwrap();
    assert!(events.iter().any(|event| event.get("outcome").and_then(Value::as_u64) == Some(500)));
}

#[test]
fn each_client_address_has_its_own_and_those_without_one_share() {
    let World { root, .. } = world();
    quota(&root, "q", r#"{"path": "secret/", "rate": 1, "interval": "60s"}"#).unwrap();
    for address in [Some("10.0.0.1"), Some("10.0.0.2"), None] {
        get(&root, "secret/data/a", address).unwrap();
        assert!(is_limited(&get(&root, "secret/data/a", address)), "{address:?}");
    }
}

#[test]
fn a_token_that_is_bad_counts_too_since_it_is_limited_before_it_is_looked_at() {
    let world = world();
    quota(&world.root, "q", r#"{"path": "secret/", "rate": 2, "interval": "60s"}"#).unwrap();
    let bad = world.vault.session(vault_core::types::SecretString::copy_from("hvs.bad"));
    let outcomes: Vec<_> = (0..4).map(|_| get(&bad, "secret/data/a", Some("x")).unwrap_err().class()).collect();
    assert_eq!(outcomes, [Class::PermissionDenied, Class::PermissionDenied, Class::RateLimited, Class::RateLimited]);
}

#[test]
fn the_most_specific_quota_alone_counts_and_namespaces_have_their_own() {
    let World { root, .. } = world();
    root.request(Operation::Write, "sys/namespaces/a", None).unwrap();
    root.request(Operation::Write, "sys/namespaces/b", None).unwrap();
    quota(&root, "all", r#"{"rate": 1000000}"#).unwrap();
    quota(&root, "ns", r#"{"path": "a", "rate": 1, "interval": 60}"#).unwrap();
    quota(&root, "mount", r#"{"path": "a/secret", "rate": 2, "interval": 60}"#).unwrap();
    quota(&root, "glob", r#"{"path": "a/secret/data/x*", "rate": 3, "interval": 60}"#).unwrap();
    quota(&root, "exact", r#"{"path": "a/secret/data/xy", "rate": 4, "interval": 60}"#).unwrap();
    let allowed = |path: &str| (0..20).take_while(|_| !is_limited(&get(&root, path, None))).count();
    assert_eq!(allowed("a/sys/mounts"), 1);
    assert_eq!(allowed("a/secret/data/y"), 2);
    assert_eq!(allowed("a/secret/data/xz"), 3);
    assert_eq!(allowed("a/secret/data/xy"), 4);
    assert_eq!(allowed("b/secret/data/y"), 20);
    assert_eq!(allowed("secret/data/a"), 20);
}

#[test]
fn a_client_that_comes_too_often_is_blocked_for_the_block_interval() {
    let World { root, clock, .. } = world();
    quota(&root, "q", r#"{"path": "secret", "rate": 1, "interval": "1s", "block_interval": "5m"}"#).unwrap();
    get(&root, "secret/data/a", None).unwrap();
    assert!(is_limited(&get(&root, "secret/data/a", None)));
    clock.advance(Ttl::from_secs(299));
    assert!(is_limited(&get(&root, "secret/data/a", None)));
    clock.advance(Ttl::from_secs(1));
    get(&root, "secret/data/a", None).unwrap();
}

#[test]
fn a_clock_that_steps_back_years_locks_nobody_out() {
    let World { root, clock, .. } = world();
    quota(&root, "q", r#"{"path": "secret", "rate": 1, "interval": "1s", "block_interval": "1m"}"#).unwrap();
    get(&root, "secret/data/a", None).unwrap();
    assert!(is_limited(&get(&root, "secret/data/a", None)));
    clock.set(Timestamp::from_secs(1_000_000_000));
    let _blocked_anew = get(&root, "secret/data/a", None);
    clock.advance(Ttl::from_secs(60));
    get(&root, "secret/data/a", None).unwrap();
}

#[test]
fn whoever_may_change_quotas_is_never_locked_out_by_one() {
    let world = world();
    quota(&world.root, "q", r#"{"rate": 0.001, "interval": "1s", "block_interval": "24h"}"#).unwrap();
    (0..3).for_each(|_| drop(get(&world.root, "secret/data/a", None)));
    assert!(is_limited(&get(&world.root, "secret/data/a", None)));
    // Without a token, as ever.
    assert!(
        world
            .vault
            .handle(vault_core::types::Request::new(Operation::Read, vault_core::types::Path::parse("sys/health").unwrap()))
            .into_result()
            .is_ok()
    );
    get(&world.root, "sys/quotas/rate-limit/q", None).unwrap();
    world.root.request(Operation::Delete, "sys/quotas/rate-limit/q", None).unwrap();
    get(&world.root, "secret/data/a", None).unwrap();
    // A token that has no sudo there waits like all others.
    let app = world.session_with("path \"sys/quotas/*\" { capabilities = [\"read\"] }");
    let operator = {
        world.root.policies().write("o", "path \"sys/quotas/*\" { capabilities = [\"read\", \"delete\", \"sudo\"] }").unwrap();
        let options = TokenOptions { policies: vec!["o".to_owned()], ..TokenOptions::default() };
        world.vault.session(world.root.tokens().create(options).unwrap().client_token)
    };
    quota(&world.root, "q", r#"{"rate": 1, "interval": "1h"}"#).unwrap();
    get(&app, "sys/quotas/rate-limit/q", None).unwrap();
    assert!(is_limited(&get(&app, "sys/quotas/rate-limit/q", None)));
    operator.request(Operation::Delete, "sys/quotas/rate-limit/q", None).unwrap();
}

#[test]
fn who_is_let_past_a_quota_is_authenticated_once() {
    let world = world();
    quota(&world.root, "q", r#"{"rate": 1, "interval": "1h"}"#).unwrap();
    get(&world.root, "sys/mounts", None).unwrap();
    let authentications = || {
        let figures = world.vault.metrics();
        let figures = figures.lines().filter_map(|line| line.strip_prefix("libvault_authentications_total{outcome="));
        figures.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum::<f64>()
    };
    let before = authentications();
    get(&world.root, "sys/quotas/rate-limit/q", None).unwrap();
    assert_eq!(authentications() - before, 1.0);
    let nobody = world.vault.session(vault_core::types::SecretString::copy_from("hvs.bad"));
    assert!(is_limited(&get(&nobody, "sys/quotas/rate-limit/q", None)));
    assert_eq!(authentications() - before, 2.0);
}

#[test]
fn the_addresses_of_one_network_of_version_6_share_and_a_flood_of_them_leaves_others_alone() {
    let World { root, .. } = world();
    quota(&root, "q", r#"{"path": "secret/", "rate": 1, "interval": "60s"}"#).unwrap();
    get(&root, "secret/data/a", Some("2001:db8::1")).unwrap();
    for address in ["2001:db8::2", "[2001:db8::ffff:0:0:3]:80"] {
        assert!(is_limited(&get(&root, "secret/data/a", Some(address))), "{address}");
    }
    get(&root, "secret/data/a", Some("2001:db8:0:1::1")).unwrap();
}

#[test]
fn exempt_paths_are_never_limited() {
    let World { root, .. } = world();
    let exempt = r#"{"rate_limit_exempt_paths": ["/secret/data/a", "sys/mounts*"], "enable_rate_limit_audit_logging": true}"#;
    root.request(Operation::Write, "sys/quotas/config", Some(Value::from_json(exempt.as_bytes()).unwrap())).unwrap();
    quota(&root, "q", r#"{"rate": 1, "interval": "1h"}"#).unwrap();
    for _ in 0..5 {
        get(&root, "secret/data/a", None).unwrap();
        get(&root, "sys/mounts", None).unwrap();
    }
    assert!(get(&root, "sys/namespaces", None).is_ok() && is_limited(&get(&root, "sys/namespaces", None)));
    let config = root.request(Operation::Read, "sys/quotas/config", None).unwrap().data.unwrap();
    assert_eq!(config.get("rate_limit_exempt_paths").unwrap(), &vec!["secret/data/a", "sys/mounts*"].into());
    for bad in [
        r#"{"enable_rate_limit_audit_logging": false}"#,
        r#"{"rate_limit_exempt_paths": "x"}"#,
        r#"{"rate_limit_exempt_paths": [""]}"#,
        r#"{"x": 1}"#,
    ] {
        let data = Some(Value::from_json(bad.as_bytes()).unwrap());
        assert_eq!(root.request(Operation::Write, "sys/quotas/config", data).unwrap_err().class(), Class::InvalidRequest, "{bad}");
    }
}

#[test]
fn quotas_are_read_listed_changed_and_outlive_a_seal() {
    let World { root, vault, .. } = world();
    assert_eq!(root.request(Operation::List, "sys/quotas/rate-limit", None).unwrap_err().class(), Class::NotFound);
    quota(&root, "b", r#"{"path": "secret", "rate": 2.5, "interval": "1m", "block_interval": "2m"}"#).unwrap();
    quota(&root, "a", r#"{"rate": "7"}"#).unwrap();
    let expected = r#"{"name": "b", "type": "rate-limit", "path": "secret/", "role": "", "rate": 2.5, "interval": 60, "block_interval": 120,
        "group_by": "ip", "inheritable": false}"#;
    let read = |session: &Session| session.request(Operation::Read, "sys/quotas/rate-limit/b", None).unwrap().data.unwrap();
    assert_eq!(read(&root), Value::from_json(expected.as_bytes()).unwrap());
    let names = root.request(Operation::List, "sys/quotas/rate-limit", None).unwrap().data.unwrap();
    assert_eq!(names.get("keys").unwrap(), &vec!["a", "b"].into());
    // A change without the path leaves it.
    quota(&root, "b", r#"{"rate": 1, "interval": "1h"}"#).unwrap();
    assert_eq!(read(&root).get("path").and_then(Value::as_str), Some("secret/"));
    let _vault = vault.seal().unwrap().unseal(&UnsealKey::raw_key(&[7; 32]).unwrap()).unwrap();
    get(&root, "secret/data/a", None).unwrap();
    assert!(is_limited(&get(&root, "secret/data/a", None)));
}

#[test]
fn what_is_no_quota_is_refused() {
    let World { root, .. } = world();
    for data in [
        "{}",
        r#"{"rate": 0}"#,
        r#"{"rate": -1}"#,
        r#"{"rate": 1e300}"#,
        r#"{"rate": "NaN"}"#,
        r#"{"rate": "inf"}"#,
        r#"{"rate": [1]}"#,
        r#"{"rate": 1, "interval": "0s"}"#,
        r#"{"rate": 1, "interval": "9999999h"}"#,
        r#"{"rate": 1, "block_interval": "soon"}"#,
        r#"{"rate": 1, "path": "nowhere/"}"#,
        r#"{"rate": 1, "path": "secret/*/x"}"#,
        r#"{"rate": 1, "path": "secret/../sys"}"#,
        r#"{"rate": 1, "path": 5}"#,
        r#"{"rate": 1, "role": "r"}"#,
        r#"{"rate": 1, "path": "secret", "inheritable": true}"#,
        r#"{"rate": 1, "group_by": "entity"}"#,
        r#"{"rate": 1, "type": "lease-count"}"#,
        r#"{"rate": 1, "unknown": 1}"#,
    ] {
        assert_eq!(quota(&root, "q", data).unwrap_err().class(), Class::InvalidRequest, "{data}");
    }
    quota(&root, "q", r#"{"rate": 1000}"#).unwrap();
    assert!(quota(&root, "again", r#"{"rate": 1}"#).is_err(), "two quotas of one path");
    assert!(quota(&root, "a b", r#"{"rate": 1, "path": "secret"}"#).is_err());
    assert!(root.request(Operation::Write, "sys/namespaces/a", None).is_ok());
    let below = root.namespace("a").unwrap();
    assert_eq!(quota(&below, "q", r#"{"rate": 1}"#).unwrap_err().code(), Code::UnsupportedPath);
}

//! What users of the crate stand on: its public types go between threads, and the fixture for their own tests is a whole vault.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::panic::{RefUnwindSafe, UnwindSafe};
use vault_core::testing::TestVault;
use vault_core::types::{Code, Object, Operation, Request, Response, SecretString, Ttl, Value};
use vault_core::*;

fn goes_between_threads<T: Send + Sync>() {}

#[test]
fn the_public_types_go_between_threads() {
    goes_between_threads::<Vault>();
    goes_between_threads::<SealedVault>();
    goes_between_threads::<Session>();
    goes_between_threads::<LiveSecret>();
    goes_between_threads::<SecretSnapshot>();
    goes_between_threads::<Listening>();
    goes_between_threads::<(Kv<'_>, Policies<'_>, Tokens<'_>, Leases<'_>, Audit<'_>, Backup<'_>, Wrapping<'_>)>();
    goes_between_threads::<(Config, Init, NewSeal, UnsealKey, BackupSeals, Unsealing)>();
    goes_between_threads::<(Request, Response, Reply, Value, Object, SecretString, vault_core::types::Error)>();
    goes_between_threads::<(KvSecret, KvMetadata, KvVersion, TokenInfo, TokenOptions, LeaseInfo, WrappingInfo)>();
    goes_between_threads::<(AuditReport, Verification, SealStatus, backup::BackupInfo, TestVault)>();
    goes_between_threads::<(policy::Decision, RetryError<vault_core::types::Error>)>();
}

#[test]
fn errors_may_cross_a_caught_panic() {
    fn may_cross<T: UnwindSafe + RefUnwindSafe>() {}
    may_cross::<(vault_core::types::Error, Value, Object)>();
}

#[test]
fn the_fixture_has_a_vault_whose_time_moves_when_told() {
    let test = TestVault::new();
    let app = test.session_with(r#"path "secret/data/app" { capabilities = ["read"] }"#, Ttl::from_secs(60));
    test.root.kv("secret").put("app", Object::new().with("a", 1_u64)).unwrap();
    assert!(app.kv("secret").get("app").is_ok());
    assert_eq!(app.kv("secret").put("app", Object::new()).unwrap_err().code(), Code::PermissionDenied);
    test.advance(Ttl::from_secs(59));
    assert!(app.kv("secret").get("app").is_ok());
    test.advance(Ttl::from_secs(1));
    assert_eq!(app.kv("secret").get("app").unwrap_err().code(), Code::PermissionDenied);
    // The token is gone from the store too, not only refused: the root token is all that is left.
    assert_eq!(test.root.tokens().accessors(None, 10).unwrap().len(), 1);
    assert_eq!(test.events("read", "secret/data/app").len(), 3);
}

#[test]
fn the_fixture_goes_on_after_a_restart_and_takes_tokens_as_text() {
    let test = TestVault::default();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    let live = test.root.kv("secret").live("app").unwrap();
    live.get().unwrap();
    test.reseal();
    assert!(!live.is_current() && live.get().is_ok());
    assert_eq!(test.session("no token").kv("secret").get("app").unwrap_err().code(), Code::PermissionDenied);
    test.root.request(Operation::Write, "sys/seal", None).unwrap();
    assert_eq!(live.get().unwrap_err().code(), Code::Sealed);
}

#[test]
fn the_fixture_reads_more_events_than_one_page_of_the_log_has() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    for _ in 0..1_200 {
        test.root.kv("secret").get("app").unwrap();
    }
    assert_eq!(test.events("read", "secret/data/app").len(), 1_200);
}

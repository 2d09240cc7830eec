//! When a credential is out: who has read it is told from the audit log, and their tokens and leases end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use vault_core::testing::TestVault;
use vault_core::types::{Code, Object, Operation, Timestamp, Ttl};

const READER: &str = r#"path "secret/data/*" { capabilities = ["read"] }"#;
const HOUR: Ttl = Ttl::from_secs(3600);

fn accessor(session: &vault_core::Session) -> String {
    session.tokens().lookup_self().map(|info| info.accessor).unwrap_or_default()
}

fn reader(test: &TestVault) -> vault_core::Session {
    test.session_with(&format!(r#"{READER} path "auth/token/lookup-self" {{ capabilities = ["read"] }}"#), Ttl::from_secs(30 * 3600))
}

#[test]
fn a_look_tells_who_has_read_since_when_and_changes_nothing() {
    let test = TestVault::new();
    for path in ["app/db", "app2", "app"] {
        test.root.kv("secret").put(path, Object::new().with("a", 1_u64)).unwrap();
    }
    let (early, late, other) = (reader(&test), reader(&test), reader(&test));
    early.kv("secret").get("app/db").unwrap();
    early.kv("secret").get("app").unwrap();
    other.kv("secret").get("app2").unwrap();
    other.kv("secret").get("app/none").unwrap_err();
    test.advance(HOUR);
    let since = Timestamp::from_secs(1_800_000_000 + 3600);
    let live = late.kv("secret").live("app/db").unwrap();
    live.get().unwrap();

    let all = test.root.emergency().look("secret/data/app/", Timestamp::EPOCH).unwrap();
    let told: Vec<_> = all.readers.iter().map(|reader| (reader.accessor.clone(), reader.reads, reader.is_live)).collect();
    assert_eq!(told, [(accessor(&early), 2, false), (accessor(&late), 1, true)]);
    assert!(all.is_complete && all.leases.is_empty());
    let page = all.to_string();
    assert!(page.contains("2 readers, 0 leases") && page.contains("has used it on since"), "{page}");

    let lately = test.root.emergency().look("secret/data/app", since).unwrap();
    assert_eq!(lately.readers.len(), 1);
    assert_eq!(lately.readers[0].accessor, accessor(&late));
    assert!(early.kv("secret").get("app/db").is_ok() && live.is_current());
}

#[test]
fn what_was_found_is_ended_so_many_at_a_time_and_the_sessions_own_token_stays() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    let readers: Vec<_> = (0..5).map(|_| reader(&test)).collect();
    for reader in &readers {
        reader.kv("secret").get("app").unwrap();
    }
    test.root.kv("secret").get("app").unwrap();
    let emergency = test.root.emergency();
    let exposure = emergency.look("secret/data/app", Timestamp::EPOCH).unwrap();
    assert_eq!(exposure.readers.len(), 6);
    let first = emergency.contain(&exposure, 3).unwrap();
    assert_eq!((first.revoked.len(), first.left, first.kept.len()), (3, 2, 1));
    let second = emergency.contain(&exposure, 3).unwrap();
    assert_eq!((second.revoked.len(), second.gone.len(), second.left), (2, 3, 0));
    for reader in &readers {
        assert_eq!(reader.kv("secret").get("app").unwrap_err().code(), Code::PermissionDenied);
    }
    assert!(test.root.kv("secret").get("app").is_ok());
    assert!(second.to_string().contains("kept: ") && first.to_string().contains("left for another call: 2 readers"));
}

#[test]
fn whoever_unwraps_what_another_has_read_is_a_reader_and_who_looks_the_token_up_is_none() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    let wrapped = test.root.wrapping().request(Operation::Read, "secret/data/app", None, HOUR).unwrap();
    let launcher = test.session_with(
        r#"path "sys/wrapping/*" { capabilities = ["update"] } path "auth/token/lookup-self" { capabilities = ["read"] }"#,
        HOUR,
    );
    launcher.wrapping().lookup(wrapped.token.expose()).unwrap();
    let names = || {
        let exposure = test.root.emergency().look("secret/data/app", Timestamp::EPOCH).unwrap();
        exposure.readers.into_iter().map(|reader| reader.accessor).collect::<Vec<_>>()
    };
    assert_eq!(names(), [accessor(&test.root)]);
    launcher.wrapping().unwrap(wrapped.token.expose()).unwrap();
    assert_eq!(names(), [accessor(&test.root), accessor(&launcher)]);
}

#[test]
fn whoever_may_not_read_the_log_learns_nothing() {
    let test = TestVault::new();
    let error = reader(&test).emergency().look("secret/data/app", Timestamp::EPOCH).unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

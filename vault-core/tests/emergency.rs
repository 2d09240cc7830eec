//! When a credential is out: who has read it is told from the audit log, and their tokens and leases end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use vault_core::testing::TestVault;
use vault_core::types::{Code, Object, Operation, Timestamp, TokenType, Ttl, Value};
use vault_core::{ContainOptions, ReaderTokens, Suspect, TokenOptions};

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
    assert!(page.contains("2 readers, 0 leases, 0 credentials") && page.contains("has used it on since"), "{page}");

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
    assert_eq!((first.count("done"), first.left, first.count("kept")), (3, 2, 1));
    let second = emergency.contain(&exposure, 3).unwrap();
    assert_eq!((second.count("done"), second.count("gone"), second.left, second.failed), (2, 3, 0, 0));
    for reader in &readers {
        assert_eq!(reader.kv("secret").get("app").unwrap_err().code(), Code::PermissionDenied);
    }
    assert!(test.root.kv("secret").get("app").is_ok());
    let own = accessor(&test.root);
    assert!(second.to_string().contains(&format!("kept {own}: the token of this session")), "{second}");
    assert_eq!(first.to_string().matches("left for another call").count(), 2);
    // Each step has its record, which names the containment.
    let events = test.root.audit().events(0, 1_000).unwrap();
    let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let contain = events.iter().find(|event| text(event, "path") == "sys/emergency/contain").unwrap();
    let id = text(contain, "request_id");
    let steps = events.iter().filter(|event| text(event, "correlation_id") == id).map(|event| text(event, "path"));
    assert_eq!(steps.collect::<Vec<_>>(), ["auth/token/revoke-accessor"; 3]);
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
        exposure.readers.into_iter().map(|reader| reader.accessor).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(), [accessor(&test.root)].into());
    launcher.wrapping().unwrap(wrapped.token.expose()).unwrap();
    assert_eq!(names(), [accessor(&test.root), accessor(&launcher)].into());
}

#[test]
fn whoever_may_not_read_the_log_learns_nothing() {
    let test = TestVault::new();
    let error = reader(&test).emergency().look("secret/data/app", Timestamp::EPOCH).unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[test]
fn a_dry_run_tells_what_it_would_do_and_does_nothing() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    let reader = reader(&test);
    reader.kv("secret").get("app").unwrap();
    let emergency = test.root.emergency();
    let exposure = emergency.look("secret/data/app", Timestamp::EPOCH).unwrap();
    let options = ContainOptions { dry_run: true, ..ContainOptions::default() };
    let planned = emergency.contain_with(&exposure, &options).unwrap();
    assert_eq!((planned.count("planned"), planned.steps.len(), planned.left), (1, 1, 0));
    assert!(planned.to_string().contains(&format!("would revoke, with its children and leases, {}", accessor(&reader))), "{planned}");
    reader.kv("secret").get("app").unwrap();
}

#[test]
fn a_token_that_is_not_trusted_is_followed_to_what_it_and_its_children_have_read() {
    let test = TestVault::new();
    for name in ["app", "other", "app2"] {
        test.root.kv("secret").put(name, Object::new()).unwrap();
    }
    let policy = r#"path "secret/data/*" { capabilities = ["read"] } path "auth/token/+" { capabilities = ["update", "read"] }"#;
    let thief = test.session_with(policy, HOUR);
    let stranger = reader(&test);
    stranger.kv("secret").get("app2").unwrap();
    let child = thief.tokens().create(TokenOptions::default()).unwrap();
    let (child, child_accessor) = (test.vault.session(child.client_token), child.accessor);
    child.kv("secret").get("other").unwrap();
    thief.tokens().lookup_self().unwrap();
    let own = accessor(&thief);
    let suspect = Suspect::Accessor(own.clone());
    let exposure = test.root.emergency().look_at(&suspect, Timestamp::EPOCH).unwrap();
    let told: Vec<_> = exposure.readers.iter().map(|reader| (reader.accessor.clone(), reader.reads)).collect();
    assert_eq!(told, [(child_accessor, 1), (own, 0)]);
    assert_eq!(
        (exposure.paths.clone(), exposure.by_hand.clone()),
        (vec!["secret/data/other".to_owned()], vec!["secret/data/other".to_owned()])
    );
    let prefix = test.root.emergency().look_at(&Suspect::Prefix("secret/data/app".to_owned()), Timestamp::EPOCH).unwrap();
    assert_eq!((prefix.readers.len(), prefix.paths.clone()), (1, vec!["secret/data/app2".to_owned()]));
    test.root.emergency().contain(&exposure, 10).unwrap();
    assert!(thief.tokens().lookup_self().is_err() && child.kv("secret").get("other").is_err() && stranger.kv("secret").get("app2").is_ok());
}

#[test]
fn a_token_in_quarantine_does_nothing_with_all_that_it_has_made_until_it_is_released() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    let policy = r#"path "secret/data/*" { capabilities = ["read", "update"] } path "auth/token/+" { capabilities = ["update", "read"] }"#;
    let held = test.session_with(policy, HOUR);
    let child = test.vault.session(held.tokens().create(TokenOptions::default()).unwrap().client_token);
    held.kv("secret").get("app").unwrap();
    child.kv("secret").get("app").unwrap();
    let live = child.kv("secret").live("app").unwrap();
    live.get().unwrap();
    let emergency = test.root.emergency();
    let exposure = emergency.look_at(&Suspect::Accessor(accessor(&held)), Timestamp::EPOCH).unwrap();
    let name = accessor(&held);
    let options = ContainOptions { tokens: ReaderTokens::Quarantine, ..ContainOptions::default() };
    assert_eq!(emergency.contain_with(&exposure, &options).unwrap().count("done"), 2);
    for session in [&held, &child] {
        assert_eq!(session.kv("secret").get("app").unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(session.kv("secret").put("app", Object::new()).unwrap_err().code(), Code::PermissionDenied);
        assert!(session.tokens().revoke_self().is_err());
    }
    assert!(live.get().is_err());
    assert!(!test.root.tokens().lookup_accessor(&name).unwrap().display_name.is_empty(), "it is still there");
    // The child is in quarantine itself, and its parent's holds it too.
    let child_name = exposure.readers.iter().find(|reader| reader.accessor != name).unwrap().accessor.clone();
    emergency.release(&child_name).unwrap();
    assert!(child.kv("secret").get("app").is_err());
    emergency.release(&name).unwrap();
    for session in [&held, &child] {
        session.kv("secret").get("app").unwrap();
    }
    let own = accessor(&test.root);
    assert_eq!(emergency.quarantine(&own).unwrap_err().code(), Code::InvalidRequest);
    assert_eq!(emergency.quarantine("nobody").unwrap_err().code(), Code::InvalidRequest);
}

#[test]
fn containing_gives_nobody_more_than_their_policies_do() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    let victim = reader(&test);
    victim.kv("secret").get("app").unwrap();
    let clerk = test.session_with(r#"path "sys/emergency/*" { capabilities = ["update", "sudo"] }"#, HOUR);
    let exposure = clerk.emergency().look("secret/data/app", Timestamp::EPOCH).unwrap();
    let tried = clerk.emergency().contain(&exposure, 10).unwrap();
    assert_eq!((tried.failed, tried.count("done")), (1, 0), "{tried}");
    victim.kv("secret").get("app").unwrap();
    let plain = test.session_with(r#"path "sys/emergency/*" { capabilities = ["update"] }"#, HOUR);
    assert_eq!(plain.emergency().look("secret/data/app", Timestamp::EPOCH).unwrap_err().code(), Code::PermissionDenied);
}

#[test]
fn what_is_asked_wrongly_is_refused_and_nothing_is_done() {
    let test = TestVault::new();
    let ask = |path: &str, data: Object| test.root.request(Operation::Write, path, Some(data.into())).unwrap_err().code();
    let path = || Object::new().with("path", "secret/data/app");
    for data in [Object::new(), path().with("accessor", "a"), path().with("since", "yesterday"), Object::new().with("path", 7_u64)] {
        assert_eq!(ask("sys/emergency/look", data.clone()), Code::InvalidData);
        assert_eq!(ask("sys/emergency/contain", data), Code::InvalidData);
    }
    for prefix in ["/", "///"] {
        let data = Object::new().with("prefix", prefix);
        assert_eq!(ask("sys/emergency/contain", data), Code::InvalidData, "{prefix} is all of the vault");
    }
    for (name, value) in [("most", "0"), ("parallel", "17"), ("tokens", "burn"), ("dry_run", "perhaps"), ("before", "then")] {
        assert_eq!(ask("sys/emergency/contain", path().with(name, value)), Code::InvalidData, "{name}");
    }
    assert_eq!(ask("sys/emergency/contain", path().with("dryrun", true)), Code::InvalidRequest, "a misspelt dry run is none");
    assert_eq!(ask("sys/emergency/burn", path()), Code::UnsupportedPath);
}

#[test]
fn a_prefix_is_of_secrets_only() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    test.session_with(r#"path "sys/mounts" { capabilities = ["read"] }"#, HOUR).request(Operation::Read, "sys/mounts", None).unwrap();
    let reader = reader(&test);
    reader.kv("secret").get("app").unwrap();
    let exposure = test.root.emergency().look_at(&Suspect::Prefix("/s".to_owned()), Timestamp::EPOCH).unwrap();
    assert_eq!(exposure.paths, ["secret/data/app"]);
    assert_eq!(exposure.readers.iter().map(|found| found.accessor.clone()).collect::<Vec<_>>(), [accessor(&reader)]);
}

const MAKER: &str = r#"path "secret/data/*" { capabilities = ["read"] } path "auth/token/*" { capabilities = ["update", "read"] }
    path "sys/emergency/*" { capabilities = ["update", "sudo"] }"#;

fn batch() -> TokenOptions {
    TokenOptions { token_type: Some(TokenType::Batch), ..TokenOptions::default() }
}

#[test]
fn what_a_batch_token_has_read_is_told_of_its_parent_which_ends_it() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    for tokens in [ReaderTokens::Revoke, ReaderTokens::Quarantine] {
        for by_path in [true, false] {
            let parent = test.session_with(MAKER, HOUR);
            let children = [0; 2].map(|_| test.vault.session(parent.tokens().create(batch()).unwrap().client_token));
            for child in &children {
                child.kv("secret").get("app").unwrap();
            }
            let own = accessor(&parent);
            let suspect = if by_path { Suspect::Path("secret/data/app".to_owned()) } else { Suspect::Accessor(own.clone()) };
            let exposure = test.root.emergency().look_at(&suspect, Timestamp::EPOCH).unwrap();
            let found = exposure.readers.iter().find(|reader| reader.parent_accessor == own).unwrap();
            assert_eq!((found.accessor.as_str(), found.reads), ("", 2));
            assert!(exposure.is_complete && exposure.paths == ["secret/data/app"]);
            assert!(exposure.to_string().contains(&format!("a batch token made by {own}")), "{exposure}");
            let options = ContainOptions { tokens, ..ContainOptions::default() };
            let ended = test.root.emergency().contain_with(&exposure, &options).unwrap();
            assert_eq!((ended.count("done"), ended.count("kept"), ended.is_complete), (1, 0, true), "{ended}");
            for child in &children {
                assert_eq!(child.kv("secret").get("app").unwrap_err().code(), Code::PermissionDenied);
            }
        }
    }
}

#[test]
fn a_batch_token_that_none_has_made_is_kept_and_the_containment_is_not_complete() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    let maker = test.session_with(MAKER, HOUR);
    let orphan = test.vault.session(maker.tokens().create_orphan(batch()).unwrap().client_token);
    orphan.kv("secret").get("app").unwrap();
    let emergency = test.root.emergency();
    let exposure = emergency.look("secret/data/app", Timestamp::EPOCH).unwrap();
    assert!(!exposure.is_complete && exposure.readers[0].parent_accessor.is_empty());
    let ended = emergency.contain(&exposure, 10).unwrap();
    assert_eq!((ended.left, ended.failed, ended.count("kept"), ended.is_complete), (0, 0, 1, false), "{ended}");
    assert!(ended.to_string().contains("wait for its end") && ended.to_string().contains("this is not all"), "{ended}");
}

#[test]
fn nobody_ends_the_token_that_its_own_hangs_on() {
    let test = TestVault::new();
    test.root.kv("secret").put("app", Object::new()).unwrap();
    let parent = test.session_with(MAKER, HOUR);
    let own = test.vault.session(parent.tokens().create(TokenOptions::default()).unwrap().client_token);
    let stranger = reader(&test);
    for session in [&parent, &own, &stranger] {
        session.kv("secret").get("app").unwrap();
    }
    let emergency = own.emergency();
    let exposure = emergency.look("secret/data/app", Timestamp::EPOCH).unwrap();
    let above = accessor(&parent);
    for tokens in [ReaderTokens::Quarantine, ReaderTokens::Revoke] {
        let ended = emergency.contain_with(&exposure, &ContainOptions { tokens, ..ContainOptions::default() }).unwrap();
        assert_eq!((ended.count("done"), ended.count("kept"), ended.failed), (1, 2, 0), "{ended}");
        assert!(ended.to_string().contains(&format!("kept {above}: the token of this session would end with it")), "{ended}");
    }
    assert_eq!(emergency.quarantine(&above).unwrap_err().code(), Code::InvalidRequest);
    own.kv("secret").get("app").unwrap();
    assert!(stranger.kv("secret").get("app").is_err());
}

//! The cubbyhole: each token's own, out of reach of everybody else, and gone with the token.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/mounts.rs"]
mod support;

use support::*;
use vault_core::types::{Class, Code, Operation, Ttl};
use vault_core::{Session, TokenOptions};

fn token(world: &World, ttl_seconds: u64) -> Session {
    let options = TokenOptions { policies: vec!["default".to_owned()], ttl: Some(Ttl::from_secs(ttl_seconds)), ..TokenOptions::default() };
    world.vault.session(world.root.tokens().create(options).unwrap().client_token)
}

#[test]
fn each_token_has_its_own_and_nobody_reaches_another_ones() {
    let world = world();
    let (one, other) = (token(&world, 3600), token(&world, 3600));
    ask(&one, Operation::Write, "cubbyhole/a/b", r#"{"of":"one"}"#).unwrap();
    ask(&other, Operation::Write, "cubbyhole/a/b", r#"{"of":"other"}"#).unwrap();
    ask(&one, Operation::Write, "cubbyhole/c", r#"{"n":1}"#).unwrap();
    assert_eq!(text_of(&read(&one, "cubbyhole/a/b").unwrap()), r#"{"of":"one"}"#);
    assert_eq!(text_of(&read(&other, "cubbyhole/a/b").unwrap()), r#"{"of":"other"}"#);
    assert_eq!(code_of(read(&other, "cubbyhole/c")), Code::NotFound);
    for path in ["cubbyhole/a/b", "cubbyhole/c"] {
        assert_eq!(code_of(read(&world.root, path)), Code::NotFound, "nor the root token");
    }
    let keys = |session: &Session, path: &str, data: &str| {
        ask(session, Operation::List, path, data).map(|response| text_of(response.data.unwrap().get("keys").unwrap()))
    };
    assert_eq!(keys(&one, "cubbyhole", "").unwrap(), r#"["a/","c"]"#);
    assert_eq!(keys(&one, "cubbyhole/", r#"{"after":"a/","limit":1}"#).unwrap(), r#"["c"]"#);
    assert_eq!(keys(&other, "cubbyhole/a", "").unwrap(), r#"["b"]"#);
    assert_eq!(code_of(keys(&world.root, "cubbyhole", "")), Code::NotFound);
    let response = ask(&one, Operation::Read, "cubbyhole/c", "").unwrap();
    assert_eq!((response.lease_duration, response.renewable), (Ttl::ZERO, false));
    ask(&world.root, Operation::Delete, "cubbyhole/c", "").unwrap();
    ask(&other, Operation::Delete, "cubbyhole/c", "").unwrap();
    read(&one, "cubbyhole/c").unwrap();
    ask(&one, Operation::Delete, "cubbyhole/c", "").unwrap();
    assert_eq!(code_of(read(&one, "cubbyhole/c")), Code::NotFound);
    world.vault.verify().unwrap();
}

#[test]
fn it_goes_with_its_token_however_that_ends() {
    let world = world();
    let before = records(&world);
    let parent = token_with(&world, "path \"auth/token/create\" { capabilities = [\"update\"] }");
    let child = world.vault.session(parent.tokens().create(TokenOptions::default()).unwrap().client_token);
    let brief = token(&world, 60);
    for session in [&parent, &child, &brief] {
        for i in 0..150 {
            ask(session, Operation::Write, &format!("cubbyhole/f{}/s{i}", i % 7), r#"{"a":1}"#).unwrap();
        }
    }
    let full = records(&world);
    parent.tokens().revoke_self().unwrap();
    world.clock.advance(Ttl::from_secs(60));
    for session in [&parent, &child, &brief] {
        assert_eq!(code_of(read(session, "cubbyhole/f0/s0")), Code::PermissionDenied);
        assert_eq!(code_of(ask(session, Operation::Write, "cubbyhole/late", r#"{"a":1}"#)), Code::PermissionDenied);
    }
    world.vault.tick().unwrap();
    assert!(records(&world) > before + 1 && records(&world) < full, "in steps");
    // The notes of the minutes in which they would have ended go with those.
    world.clock.advance(Ttl::from_secs(768 * 3600 + 60));
    settle(&world);
    world.vault.verify().unwrap();
    world.root.policies().delete("p").unwrap();
    // The root token keeps which child it made last.
    assert_eq!(records(&world), before + 1);
}

#[test]
fn it_is_in_the_namespace_of_its_token() {
    let world = world();
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    let team = world.root.namespace("team").unwrap();
    let options = TokenOptions { policies: vec!["default".to_owned()], ..TokenOptions::default() };
    let inside = world.vault.session(team.tokens().create(options).unwrap().client_token).namespace("team").unwrap();
    ask(&inside, Operation::Write, "cubbyhole/x", r#"{"a":1}"#).unwrap();
    read(&inside, "cubbyhole/x").unwrap();
    ask(&world.root, Operation::Write, "cubbyhole/x", r#"{"a":2}"#).unwrap();
    for path in ["team/cubbyhole/x", "team/cubbyhole/y"] {
        assert_eq!(code_of(read(&world.root, path)), Code::UnsupportedPath, "a token from above has its own there, not this one");
        assert_eq!(code_of(ask(&world.root, Operation::Write, path, r#"{"a":1}"#)), Code::UnsupportedPath);
    }
    inside.tokens().revoke_self().unwrap();
    settle(&world);
    world.vault.verify().unwrap();
}

#[test]
fn it_is_no_mount_that_could_be_removed_moved_or_covered() {
    let world = world();
    let one = token(&world, 3600);
    ask(&one, Operation::Write, "cubbyhole/x", r#"{"a":1}"#).unwrap();
    unmount(&world.root, "cubbyhole").unwrap();
    assert_eq!(mount(&world.root, "cubbyhole", "1").unwrap_err().class(), Class::InvalidRequest);
    assert_eq!(mount(&world.root, "cubbyhole/x", "1").unwrap_err().class(), Class::InvalidRequest);
    assert_eq!(code_of(ask(&world.root, Operation::Write, "sys/remount", r#"{"from":"cubbyhole","to":"c"}"#)), Code::NotFound);
    read(&one, "cubbyhole/x").unwrap();
    for (operation, path, data, code) in [
        (Operation::Write, "cubbyhole/x", "", Code::InvalidData),
        (Operation::Write, "cubbyhole/x", "{}", Code::InvalidData),
        (Operation::Write, "cubbyhole/folder/", r#"{"a":1}"#, Code::InvalidPath),
        (Operation::Patch, "cubbyhole/x", r#"{"a":1}"#, Code::UnsupportedPath),
        (Operation::Read, "cubbyhole", "", Code::InvalidPath),
    ] {
        assert_eq!(
            code_of(ask(&world.root, operation, path, data)),
            if operation == Operation::Read { Code::NotFound } else { code },
            "{path}"
        );
        let own = ask(&one, operation, path, data);
        // What the default policy does not give is refused before that.
        assert!(matches!(own.unwrap_err().code(), found if found == code || found == Code::PermissionDenied), "{path}");
    }
}

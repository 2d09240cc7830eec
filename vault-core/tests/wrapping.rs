//! Response wrapping: a reply behind a token that gives it back once.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking, and races with threads")]

#[path = "support/mounts.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use support::*;
use vault_core::types::{Code, Error, Object, Operation, Path, Request, SecretString, Ttl, Value, WrapInfo};
use vault_core::{Session, TokenOptions};

const TTL: Ttl = Ttl::from_secs(300);
const INVALID: &str = "wrapping token is not valid or does not exist";

fn object(json: &str) -> Object {
    Value::from_json(json.as_bytes()).unwrap().as_object().unwrap().clone()
}

fn wrapped(world: &World) -> WrapInfo {
    world.root.wrapping().wrap(object(r#"{"a":"CANARY"}"#), TTL).unwrap()
}

fn holder(world: &World, info: &WrapInfo) -> Session {
    world.vault.session(SecretString::copy_from(info.token.expose()))
}

fn is_invalid<T>(outcome: Result<T, Error>) -> bool {
    let error = outcome.map(drop).unwrap_err();
    error.code() == Code::InvalidRequest && error.to_string() == INVALID
}

#[test]
fn a_wrapped_reply_has_nothing_but_the_wrapping_token_and_comes_out_once() {
    let world = world();
    put(&world.root, "secret", "x").unwrap();
    let before = records(&world);
    let request = Request::new(Operation::Read, Path::parse("secret/data/x").unwrap()).with_wrap_ttl(TTL);
    let response = world.root.handle(request).into_result().unwrap();
    assert!(response.data.is_none() && response.auth.is_none() && response.warnings.is_empty() && !response.request_id.is_empty());
    let info = response.wrap_info.unwrap();
    assert_eq!((info.ttl, info.creation_path.as_str(), info.wrapped_accessor.as_str()), (TTL, "secret/data/x", ""));
    let looked = world.root.wrapping().lookup(info.token.expose()).unwrap();
    assert_eq!(
        (looked.creation_ttl, looked.creation_path.as_str(), looked.creation_time.as_str()),
        (TTL, "secret/data/x", "2026-11-23T18:04:00Z")
    );
    let plain = ask(&world.root, Operation::Read, "secret/data/x", "").unwrap();
    let unwrapped = world.root.wrapping().unwrap(info.token.expose()).unwrap();
    assert!(unwrapped.data == plain.data && unwrapped.wrap_info.is_none());
    assert!(is_invalid(world.root.wrapping().unwrap(info.token.expose())));
    assert!(is_invalid(world.root.wrapping().lookup(info.token.expose())));
    world.clock.advance(Ttl::from_secs(3600));
    settle(&world);
    assert_eq!(records(&world), before);
    world.vault.verify().unwrap();
}

#[test]
fn the_wrapping_token_unwraps_for_itself_for_another_and_without_any_token_beside_it() {
    let world = world();
    let unwrap =
        |session: &Session, data: &str| ask(session, Operation::Write, "sys/wrapping/unwrap", data).map(|r| text_of(&r.data.unwrap()));
    let info = wrapped(&world);
    assert_eq!(unwrap(&holder(&world, &info), "").unwrap(), r#"{"a":"CANARY"}"#);
    assert!(is_invalid(unwrap(&holder(&world, &info), "")));
    let info = wrapped(&world);
    let named = format!(r#"{{"token":"{}"}}"#, info.token.expose());
    assert_eq!(unwrap(&holder(&world, &info), &named).unwrap(), r#"{"a":"CANARY"}"#, "its own, named as well");
    let info = wrapped(&world);
    let bare = |verb: &str| {
        let path = Path::parse(&format!("sys/wrapping/{verb}")).unwrap();
        let data = Object::new().with("token", info.token.expose());
        world.vault.handle(Request::new(Operation::Write, path).with_data(data.into())).into_result()
    };
    assert_eq!(bare("lookup").unwrap().data.unwrap().get("creation_ttl").and_then(Value::as_u64), Some(300));
    assert_eq!(text_of(&bare("unwrap").unwrap().data.unwrap()), r#"{"a":"CANARY"}"#);
    assert!(is_invalid(bare("unwrap")) && is_invalid(bare("lookup")));
    let info = wrapped(&world);
    let nobody = world.vault.session(SecretString::copy_from(""));
    let named = format!(r#"{{"token":"{}"}}"#, info.token.expose());
    assert_eq!(unwrap(&nobody, &named).unwrap(), r#"{"a":"CANARY"}"#, "a session of an empty token has none");
    assert!(is_invalid(unwrap(&nobody, &named)) && is_invalid(unwrap(&nobody, "")));
    assert_eq!(code_of(ask(&nobody, Operation::Read, "secret/data/x", "")), Code::PermissionDenied);
    let path = Path::parse("sys/wrapping/unwrap").unwrap();
    assert!(is_invalid(world.vault.handle(Request::new(Operation::Write, path)).into_result()));
    let other = token_with(&world, r#"path "sys/wrapping/unwrap" { capabilities = ["deny"] }"#);
    let info = wrapped(&world);
    let named = format!(r#"{{"token":"{}"}}"#, info.token.expose());
    assert_eq!(code_of(unwrap(&other, &named)), Code::PermissionDenied, "another caller needs a policy");
    assert!(is_invalid(unwrap(&world.root, &format!(r#"{{"token":"{}"}}"#, world.token).replace(&world.token, "hvs.nonsense"))));
    let service = world.root.tokens().create(TokenOptions::default()).unwrap();
    assert!(is_invalid(unwrap(&world.root, &format!(r#"{{"token":"{}"}}"#, service.client_token.expose()))), "no wrapping token");
}

#[test]
fn a_wrapping_token_can_do_nothing_else_and_nobody_is_given_its_policy() {
    let world = world();
    let info = wrapped(&world);
    let holder = holder(&world, &info);
    for (operation, path) in [
        (Operation::Read, "auth/token/lookup-self"),
        (Operation::Write, "auth/token/renew-self"),
        (Operation::Write, "auth/token/create"),
        (Operation::Read, "cubbyhole/other"),
        (Operation::Write, "cubbyhole/response"),
        (Operation::Write, "sys/wrapping/wrap"),
        (Operation::Write, "sys/wrapping/rewrap"),
    ] {
        assert_eq!(code_of(ask(&holder, operation, path, "")), Code::PermissionDenied, "{path}");
    }
    assert_eq!(code_of(world.root.tokens().renew(info.token.expose(), None)), Code::InvalidRequest);
    let asked = TokenOptions { policies: vec!["response-wrapping".to_owned()], ..TokenOptions::default() };
    assert_eq!(code_of(world.root.tokens().create(asked)), Code::InvalidRequest);
    assert_eq!(code_of(world.root.policies().write("response-wrapping", "")), Code::InvalidPolicy);
    let body = read(&holder, "cubbyhole/response").unwrap();
    let text = Value::from_json(body.get("response").unwrap().as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(text_of(text.get("data").unwrap()), r#"{"a":"CANARY"}"#, "as it was done before there was unwrap");
    assert_eq!(code_of(read(&holder, "cubbyhole/response")), Code::PermissionDenied);
    assert!(is_invalid(world.root.wrapping().unwrap(info.token.expose())));
}

#[test]
fn of_many_threads_exactly_one_unwraps() {
    let world = world();
    for _ in 0..20 {
        let info = wrapped(&world);
        let own = holder(&world, &info);
        let (got, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..6 {
                let (world, info, own, got, refused) = (&world, &info, &own, &got, &refused);
                scope.spawn(move || {
                    let outcome = match thread % 3 {
                        0 => world.root.wrapping().unwrap(info.token.expose()).map(drop),
                        1 => ask(own, Operation::Write, "sys/wrapping/unwrap", "").map(drop),
                        _ => read(own, "cubbyhole/response").map(drop),
                    };
                    match outcome {
                        Ok(()) => got.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            assert!(matches!(error.code(), Code::InvalidRequest | Code::PermissionDenied), "{error}");
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                });
            }
        });
        assert_eq!((got.into_inner(), refused.into_inner()), (1, 5));
    }
    world.vault.verify().unwrap();
}

#[test]
fn rewrapping_keeps_time_and_path_and_ends_the_old_token() {
    let world = world();
    let info = wrapped(&world);
    world.clock.advance(Ttl::from_secs(200));
    let again = world.root.wrapping().rewrap(info.token.expose()).unwrap();
    assert_eq!((again.ttl, again.creation_path.as_str()), (TTL, "sys/wrapping/wrap"));
    assert!(is_invalid(world.root.wrapping().unwrap(info.token.expose())));
    assert!(is_invalid(world.root.wrapping().rewrap(info.token.expose())));
    world.clock.advance(Ttl::from_secs(299));
    assert_eq!(text_of(&world.root.wrapping().unwrap(again.token.expose()).unwrap().data.unwrap()), r#"{"a":"CANARY"}"#);
}

#[test]
fn a_wrapping_token_that_has_expired_is_as_if_it_had_never_been_and_a_tick_removes_what_it_held() {
    let world = world();
    let before = records(&world);
    let info = wrapped(&world);
    assert!(records(&world) > before);
    world.clock.advance(TTL);
    assert!(is_invalid(world.root.wrapping().unwrap(info.token.expose())));
    assert!(is_invalid(ask(&holder(&world, &info), Operation::Write, "sys/wrapping/unwrap", "")));
    world.clock.advance(Ttl::from_secs(60));
    settle(&world);
    assert_eq!(records(&world), before);
    let info = wrapped(&world);
    world.root.tokens().revoke_accessor(&info.accessor).unwrap();
    assert!(is_invalid(world.root.wrapping().unwrap(info.token.expose())), "nor one that was revoked");
}

#[test]
fn a_wrapped_token_comes_out_with_its_auth() {
    let world = world();
    let body = Value::from_json(br#"{"policies":["default"],"ttl":"1h","meta":{"a":"b"}}"#).unwrap();
    let info = world.root.wrapping().request(Operation::Write, "auth/token/create", Some(body), TTL).unwrap();
    let auth = world.root.wrapping().unwrap(info.token.expose()).unwrap().auth.unwrap();
    assert_eq!(auth.accessor, info.wrapped_accessor);
    assert_eq!((auth.policies.as_slice(), auth.lease_duration), (&["default".to_owned()][..], Ttl::from_secs(3600)));
    assert_eq!(auth.metadata.get("a").map(String::as_str), Some("b"));
    assert_eq!(world.vault.session(auth.client_token).tokens().lookup_self().unwrap().accessor, info.wrapped_accessor);
}

#[test]
fn policies_say_for_how_long_a_reply_must_or_may_be_wrapped() {
    let world = world();
    put(&world.root, "secret", "x").unwrap();
    let app = token_with(&world, r#"path "secret/*" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "10m" }"#);
    let wrap = |seconds| app.wrapping().request(Operation::Read, "secret/data/x", None, Ttl::from_secs(seconds)).map(drop);
    assert_eq!(code_of(ask(&app, Operation::Read, "secret/data/x", "")), Code::PermissionDenied);
    for seconds in [59, 601] {
        assert_eq!(code_of(wrap(seconds)), Code::PermissionDenied, "{seconds}");
    }
    for seconds in [60, 600] {
        wrap(seconds).unwrap();
    }
    assert_eq!(code_of(world.root.wrapping().wrap(Object::new(), Ttl::from_secs(768 * 3600 + 1))), Code::InvalidRequest);
    assert_eq!(code_of(ask(&world.root, Operation::Write, "sys/wrapping/wrap", r#"{"a":1}"#)), Code::InvalidRequest);
}

#[test]
fn the_log_tells_who_wrapped_and_unwrapped_what_and_never_the_token() {
    let world = world();
    let info = wrapped(&world);
    world.root.wrapping().unwrap(info.token.expose()).unwrap();
    let events = world.root.audit().events(0, 1000).unwrap();
    let of = |path: &str| events.iter().rfind(|event| event.get("path").and_then(Value::as_str) == Some(path)).unwrap();
    let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert_eq!(text(of("sys/wrapping/wrap"), "wrapping_accessor"), info.accessor);
    assert_eq!(text(of("sys/wrapping/unwrap"), "wrapping_path"), "sys/wrapping/wrap");
    assert_eq!(text(of("sys/wrapping/unwrap"), "accessor_concerned"), info.accessor);
    let all = text_of(&Value::Array(events.clone()));
    assert!(!all.contains(info.token.expose()) && !all.contains("CANARY"));
}

#[test]
fn a_request_that_fails_leaves_no_wrapping_token_and_a_reply_without_content_needs_none() {
    let world = world();
    let before = records(&world);
    assert_eq!(code_of(world.root.wrapping().request(Operation::Read, "secret/data/none", None, TTL)), Code::NotFound);
    assert_eq!(
        code_of(world.root.wrapping().request(Operation::Write, "auth/token/create", Some(object(r#"{"ttl":"soon"}"#).into()), TTL)),
        Code::InvalidData
    );
    let response = world.root.handle(Request::new(Operation::Delete, Path::parse("secret/data/none").unwrap()).with_wrap_ttl(TTL));
    assert!(response.into_result().unwrap().wrap_info.is_none());
    assert_eq!(records(&world), before);
}

#[test]
fn a_wrapping_token_is_its_namespaces_and_opens_in_no_other_one() {
    let world = world();
    for name in ["team", "other"] {
        ask(&world.root, Operation::Write, &format!("sys/namespaces/{name}"), "").unwrap();
    }
    let (team, other) = (world.root.namespace("team").unwrap(), world.root.namespace("other").unwrap());
    let wrapped = || team.wrapping().wrap(Object::new().with("a", 1_u64), TTL).unwrap().token.expose().to_owned();
    let token = wrapped();
    for stranger in [&world.root, &other] {
        assert!(stranger.wrapping().unwrap(&token).is_err());
        assert!(stranger.wrapping().lookup(&token).is_err());
    }
    let alone = world.vault.session(vault_core::types::SecretString::copy_from(&token));
    assert!(alone.request(Operation::Read, "cubbyhole/response", None).is_err(), "nor by itself, above its own");
    let response = team.wrapping().unwrap(&token).unwrap();
    assert_eq!(response.data.unwrap().get("a").and_then(Value::as_u64), Some(1), "and strangers have not spent it");
    let token = wrapped();
    ask(&world.root, Operation::Delete, "sys/namespaces/team", "").unwrap();
    assert!(team.wrapping().unwrap(&token).is_err(), "it goes with its namespace");
    assert!(alone.request(Operation::Read, "cubbyhole/response", None).is_err());
    world.vault.verify().unwrap();
}

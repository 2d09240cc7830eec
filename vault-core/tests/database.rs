//! The database engine: accounts are made at a target, handed out with a lease, and gone with it.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/target.rs"]
mod support;

use std::collections::BTreeSet;
use support::*;
use vault_core::TokenOptions;
use vault_core::types::{Code, Operation, Path, Request, TokenType, Ttl, Value};

#[test]
fn credentials_are_made_at_the_target_and_gone_when_their_time_ends() {
    let world = world();
    let one = creds(&world.root).unwrap();
    assert!(one.lease_id.starts_with("database/creds/ro/"), "{}", one.lease_id);
    assert_eq!(one.lease_id.rsplit('/').next().unwrap().len(), 24);
    assert_eq!(one.seconds, 3600);
    assert!(one.username.starts_with("v-root-ro-"), "{}", one.username);
    assert_eq!(world.target.accounts(), BTreeSet::from([one.username.clone()]));
    assert_eq!(world.target.state.lock().unwrap().accounts[&one.username], one.password);
    let told = lookup(&world.root, &one.lease_id).unwrap();
    assert_eq!(told.get("ttl").and_then(Value::as_u64), Some(3600));
    assert_eq!(count(&world.root, ""), 1);
    world.clock.advance(Ttl::from_secs(3599));
    world.vault.tick().unwrap();
    assert_eq!(world.target.accounts().len(), 1);
    world.clock.advance(Ttl::from_secs(1));
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded, "before any tick");
    world.vault.tick().unwrap();
    assert!(world.target.accounts().is_empty());
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::InvalidRequest);
    assert_eq!((count(&world.root, ""), count(&world.root, "ending"), count(&world.root, "irrevocable")), (0, 0, 0));
    world.vault.verify().unwrap();
    assert_eq!(ask(&world.root, Operation::Read, "database/creds/none", "").unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_configuration_is_tried_out_shown_without_secrets_and_taken_as_given() {
    let world = bare(vault_core::Config::in_memory());
    ask(&world.root, Operation::Write, "sys/mounts/database", r#"{"type":"database"}"#).unwrap();
    let unknown = ask(&world.root, Operation::Write, "database/config/x", r#"{"plugin_name":"postgresql-database-plugin"}"#).unwrap_err();
    assert_eq!(unknown.code(), Code::UnknownConnector);
    assert!(unknown.to_string().contains("there are fake"), "{unknown}");
    world.target.plan(Duty::Check, &[Fault::Unreachable]);
    assert_eq!(connect(&world.root, "db").unwrap_err().code(), Code::TargetUnavailable);
    assert_eq!(ask(&world.root, Operation::Read, "database/config/db", "").unwrap_err().code(), Code::NotFound, "nothing was kept");
    connect(&world.root, "db").unwrap();
    let more = r#"{"private_key":"CANARY-KEY","root_rotation_statements":["ALTER"],"tls_ca":"public"}"#;
    ask(&world.root, Operation::Write, "database/config/db", more).unwrap();
    let shown = ask(&world.root, Operation::Read, "database/config/db", "").unwrap().data.unwrap();
    let text = String::from_utf8(shown.to_json().to_vec()).unwrap();
    assert!(!text.contains("CANARY") && !text.contains(ROOT_PASSWORD), "{text}");
    for part in [r#""plugin_name":"fake""#, r#""allowed_roles":["*"]"#, r#""username":"vaultadmin""#, r#""tls_ca":"public""#, "ALTER"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let in_url = r#"{"plugin_name":"fake","connection_url":"fake://a:CANARY@h"}"#;
    let refused = ask(&world.root, Operation::Write, "database/config/y", in_url).unwrap_err();
    assert!(refused.code() == Code::InvalidData && !refused.to_string().contains("CANARY"), "{refused}");
    // Not tried out where that is not wanted.
    let calls = world.target.calls(Duty::Check);
    ask(&world.root, Operation::Write, "database/config/z", r#"{"plugin_name":"fake","verify_connection":false}"#).unwrap();
    assert_eq!(world.target.calls(Duty::Check), calls);
    let names = ask(&world.root, Operation::List, "database/config", "").unwrap().data.unwrap();
    assert_eq!(names.get("keys"), Some(&Value::from(vec!["db", "z"])));
    ask(&world.root, Operation::Write, "database/reset/db", "").unwrap();
    assert!(world.target.state.lock().unwrap().forgotten > 0);
}

#[test]
fn roles_are_written_shown_listed_and_deleted() {
    let world = world();
    role(&world.root, "rw", r#"{"default_ttl":"2h","max_ttl":"3h","revocation_statements":"DROP {{name}}","renew_statements":["R"]}"#);
    let shown = ask(&world.root, Operation::Read, "database/roles/rw", "").unwrap().data.unwrap();
    let text = String::from_utf8(shown.to_json().to_vec()).unwrap();
    assert_eq!(
        text,
        r#"{"creation_statements":["CREATE {{name}}"],"credential_sharing":"none","credential_type":"password","db_name":"db","default_ttl":7200,"max_ttl":10800,"renew_statements":["R"],"revocation_statements":["DROP {{name}}"],"rollback_statements":[]}"#
    );
    let names = ask(&world.root, Operation::List, "database/roles/", "").unwrap().data.unwrap();
    assert_eq!(names.get("keys"), Some(&Value::from(vec!["ro", "rw"])));
    for bad in [r#"{"credential_type":"rsa_private_key"}"#, r#"{"default_ttl":"4h"}"#, r#"{"creation":"x"}"#, r#"{"db_name":""}"#] {
        assert!(ask(&world.root, Operation::Write, "database/roles/rw", bad).is_err(), "{bad}");
    }
    // Of the role as it is when the lease ends; as it was when it is gone.
    let (one, two) = (creds_of(&world.root, "rw").unwrap(), creds_of(&world.root, "rw").unwrap());
    assert_eq!(world.target.state.lock().unwrap().last_statements, ["CREATE {{name}}"]);
    ask(&world.root, Operation::Write, "database/roles/rw", r#"{"revocation_statements":["DROP CASCADE {{name}}"]}"#).unwrap();
    revoke(&world.root, &one.lease_id, true).unwrap();
    assert_eq!(world.target.state.lock().unwrap().last_statements, ["DROP CASCADE {{name}}"]);
    ask(&world.root, Operation::Delete, "database/roles/rw", "").unwrap();
    assert_eq!(creds_of(&world.root, "rw").err().unwrap().code(), Code::NotFound);
    revoke(&world.root, &two.lease_id, true).unwrap();
    assert_eq!(world.target.state.lock().unwrap().last_statements, ["DROP {{name}}"]);
}

#[test]
fn a_connection_serves_only_the_roles_that_it_allows() {
    let world = world();
    for (allowed, serves) in [("ro,rw", true), ("rw", false), ("", false), ("r*", true), ("*o", true), ("x*", false), ("*", true)] {
        let data = format!(r#"{{"allowed_roles":"{allowed}"}}"#);
        ask(&world.root, Operation::Write, "database/config/db", &data).unwrap();
        assert_eq!(creds(&world.root).is_ok(), serves, "{allowed}");
    }
}

#[test]
fn a_deleted_connection_ends_its_leases_and_its_name_begins_anew() {
    let world = world();
    for _ in 0..5 {
        creds(&world.root).unwrap();
    }
    let one = creds(&world.root).unwrap();
    ask(&world.root, Operation::Delete, "database/config/db", "").unwrap();
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded, "at once");
    assert_eq!(renew(&world.root, &one.lease_id, 0).unwrap_err().code(), Code::LeaseEnded);
    assert_eq!(creds(&world.root).err().unwrap().code(), Code::InvalidRequest);
    connect(&world.root, "db").unwrap();
    let other = creds(&world.root).unwrap();
    settle(&world, 1);
    assert_eq!(world.target.accounts(), BTreeSet::from([other.username.clone()]));
    lookup(&world.root, &other.lease_id).unwrap();
}

#[test]
fn an_unmounted_engine_ends_its_leases() {
    let world = world();
    for _ in 0..70 {
        creds(&world.root).unwrap();
    }
    let one = creds(&world.root).unwrap();
    ask(&world.root, Operation::Delete, "sys/mounts/database", "").unwrap();
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded);
    configure(&world.root);
    let other = creds(&world.root).unwrap();
    settle(&world, 1);
    assert_eq!(world.target.accounts(), BTreeSet::from([other.username]));
    assert_eq!(count(&world.root, ""), 1);
    world.vault.verify().unwrap();
}

#[test]
fn a_lease_keeps_its_id_when_its_mount_is_moved() {
    let world = world();
    let one = creds(&world.root).unwrap();
    ask(&world.root, Operation::Write, "sys/remount", r#"{"from":"database","to":"db2"}"#).unwrap();
    lookup(&world.root, &one.lease_id).unwrap();
    renew(&world.root, &one.lease_id, 60).unwrap();
    let counts = ask(&world.root, Operation::Read, "sys/leases/count", "").unwrap().data.unwrap();
    assert_eq!(counts.get("counts").and_then(|counts| counts.get("db2/")).and_then(Value::as_u64), Some(1));
    ask(&world.root, Operation::Write, "sys/leases/revoke-prefix/database", "").unwrap();
    settle(&world, 1);
    assert!(world.target.accounts().is_empty());
}

#[test]
fn a_namespace_with_leases_is_deleted_only_once_they_are_revoked() {
    let world = world();
    ask(&world.root, Operation::Write, "sys/namespaces/team", "").unwrap();
    let team = world.root.namespace("team").unwrap();
    configure(&team);
    let one = creds(&team).unwrap();
    let (id, suffix) = one.lease_id.rsplit_once('.').unwrap();
    assert!(id.starts_with("database/creds/ro/") && suffix.len() == 8, "{}", one.lease_id);
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::InvalidRequest, "another namespace has none of it");
    lookup(&team, &one.lease_id).unwrap();
    let delete = || ask(&world.root, Operation::Delete, "sys/namespaces/team", "");
    assert_eq!(delete().unwrap_err().code(), Code::InvalidRequest);
    ask(&team, Operation::Delete, "sys/mounts/database", "").unwrap();
    assert_eq!(delete().unwrap_err().code(), Code::InvalidRequest, "its account is there still");
    settle(&world, 1);
    assert!(world.target.accounts().is_empty());
    delete().unwrap();
    world.vault.verify().unwrap();
}

#[test]
fn the_connections_own_password_is_changed_tried_out_and_kept() {
    let world = world();
    creds(&world.root).unwrap();
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
    assert_ne!(world.target.root_password(), ROOT_PASSWORD);
    creds(&world.root).unwrap();
    assert_eq!(world.target.accounts().len(), 2);
    // Refused for sure: all is as it was, and said.
    let before = world.target.root_password();
    world.target.plan(Duty::SetPassword, &[Fault::Refused]);
    assert_eq!(ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap_err().code(), Code::TargetRefused);
    assert_eq!(world.target.root_password(), before);
    creds(&world.root).unwrap();
    // A connector that says so and has done it all the same is found out.
    world.target.plan(Duty::SetPassword, &[Fault::LiesRefused]);
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
    assert_ne!(world.target.root_password(), before);
    creds(&world.root).unwrap();
}

#[test]
fn whichever_way_a_change_of_the_own_password_fails_the_vault_never_loses_it() {
    for set in [Fault::Unreachable, Fault::UnknownDone, Fault::UnknownNotDone, Fault::PanicsBefore, Fault::PanicsAfter, Fault::Delayed] {
        for test in [None, Some(Fault::Unreachable), Some(Fault::UnknownNotDone), Some(Fault::PanicsBefore)] {
            let world = world();
            world.target.plan(Duty::SetPassword, &[set]);
            let tests: Vec<Fault> = test.into_iter().flat_map(|test| [test; 2]).collect();
            world.target.plan(Duty::Test, &tests);
            let _whatever = ask(&world.root, Operation::Write, "database/rotate-root/db", "");
            settle(&world, 120);
            creds(&world.root).unwrap_or_else(|error| panic!("{set:?} {test:?}: {error}"));
            ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
            creds(&world.root).unwrap();
        }
    }
}

#[test]
fn credentials_whose_reply_is_wrapped_come_out_with_their_lease_and_nowhere_else() {
    let world = world();
    let request = Request::new(Operation::Read, Path::parse("database/creds/ro").unwrap()).with_wrap_ttl(Ttl::from_secs(60));
    let wrapped = world.root.handle(request).into_result().unwrap();
    assert!(wrapped.data.is_none() && wrapped.lease_id.is_empty(), "nothing of the credentials is in the reply");
    assert_eq!(world.target.accounts().len(), 1);
    let token = wrapped.wrap_info.unwrap().token;
    let unwrapped = world.root.wrapping().unwrap(token.expose()).unwrap();
    let username = unwrapped.data.as_ref().unwrap().get("username").and_then(Value::as_str).unwrap();
    assert_eq!(world.target.accounts(), BTreeSet::from([username.to_owned()]));
    assert!(unwrapped.lease_id.starts_with("database/creds/ro/"));
    lookup(&world.root, &unwrapped.lease_id).unwrap();
    assert!(world.root.wrapping().unwrap(token.expose()).is_err());
}

#[test]
fn a_lease_of_a_batch_token_ends_with_the_token_and_with_its_parent() {
    let world = world();
    world.root.policies().write("db", r#"path "database/creds/*" { capabilities = ["read"] }"#).unwrap();
    let options = TokenOptions {
        policies: vec!["db".to_owned()],
        token_type: Some(TokenType::Batch),
        ttl: Some(Ttl::from_secs(600)),
        ..TokenOptions::default()
    };
    let parent = world.root.tokens().create(TokenOptions { policies: vec!["root".to_owned()], ..TokenOptions::default() }).unwrap();
    let parent = world.vault.session(parent.client_token);
    let batch = world.vault.session(parent.tokens().create(options.clone()).unwrap().client_token);
    let one = creds(&batch).unwrap();
    assert!(one.seconds <= 600, "{}", one.seconds);
    let renewed = renew(&world.root, &one.lease_id, 3600).unwrap();
    assert!(renewed.lease_duration.as_secs() <= 600, "it never outlives the token");
    parent.tokens().revoke_self().unwrap();
    assert!(lookup(&world.root, &one.lease_id).is_err());
    world.vault.tick().unwrap();
    assert!(world.target.accounts().is_empty());
    let orphan = world.root.tokens().create(TokenOptions { no_parent: true, ..options }).unwrap();
    let refused = creds(&world.vault.session(orphan.client_token)).err().unwrap();
    assert_eq!(refused.code(), Code::InvalidRequest);
    assert!(world.target.accounts().is_empty());
}

#[test]
fn a_connection_that_goes_elsewhere_needs_its_password_and_no_leases() {
    let world = world();
    let move_to = |data: &str| ask(&world.root, Operation::Write, "database/config/db", data).map(drop);
    let refused = move_to(r#"{"connection_url":"db://elsewhere","verify_connection":false}"#).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidData, "{refused}");
    assert!(refused.to_string().contains("\"password\""), "{refused}");
    creds(&world.root).unwrap();
    let refused = move_to(r#"{"connection_url":"db://elsewhere","verify_connection":false,"password":"p-elsewhere"}"#).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidRequest, "{refused}");
    assert!(refused.to_string().contains("leases"), "{refused}");
}

#[test]
fn a_mounts_maximum_may_exceed_the_systems() {
    let world = world();
    ask(&world.root, Operation::Write, "sys/mounts/database/tune", r#"{"max_lease_ttl":"2000h"}"#).unwrap();
    role(&world.root, "long", r#"{"default_ttl":"1000h"}"#);
    assert_eq!(creds_of(&world.root, "long").unwrap().seconds, 1000 * 3600);
    role(&world.root, "longer", r#"{"default_ttl":"3000h"}"#);
    assert_eq!(creds_of(&world.root, "longer").unwrap().seconds, 2000 * 3600, "and bounds all the same");
}

#[test]
fn of_a_configuration_only_options_that_are_known_to_be_public_are_shown() {
    let world = world();
    let more = r#"{"api_key":"CANARY-A","sasl":{"jaas":"CANARY-B"},"tls":{"key":"CANARY-C"},"max_open_connections":7,"tls_skip_verify":true,
        "tls_certificate":"-----BEGIN PRIVATE KEY----- CANARY-D","password":"first-password","verify_connection":false}"#;
    ask(&world.root, Operation::Write, "database/config/db", more).unwrap();
    let shown = ask(&world.root, Operation::Read, "database/config/db", "").unwrap();
    assert!(shown.warnings.iter().any(|warning| warning.contains("4 options")), "{:?}", shown.warnings);
    let text = String::from_utf8(shown.data.unwrap().to_json().to_vec()).unwrap();
    assert!(!text.contains("CANARY"), "{text}");
    for part in [r#""max_open_connections":7"#, r#""tls_skip_verify":true"#, r#""username":"vaultadmin""#, "{{password}}"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    creds(&world.root).unwrap();
}

#[test]
fn a_password_in_a_connection_url_is_refused_in_whichever_form() {
    let world = world();
    for url in [
        "fake://a:CANARY@h/d",
        "fake://h/d?user=a&password=CANARY",
        "fake://h/d?pass%77ord=CANARY",
        "host=h user=a password=CANARY",
        "host=h user=a Password = 'CANARY'",
        "Server=h;Uid=a;Pwd=CANARY",
    ] {
        let data = format!(r#"{{"plugin_name":"fake","verify_connection":false,"connection_url":"{url}"}}"#);
        let refused = ask(&world.root, Operation::Write, "database/config/y", &data).unwrap_err();
        assert!(refused.code() == Code::InvalidData && !refused.to_string().contains("CANARY"), "{url}: {refused}");
    }
    let words = r#"{"plugin_name":"fake","verify_connection":false,"connection_url":"host=h user={{username}} password={{password}}"}"#;
    ask(&world.root, Operation::Write, "database/config/y", words).unwrap();
}

#[test]
fn whichever_option_may_say_where_a_connection_goes_it_does_not_change_without_the_password() {
    let world = world();
    let write = |data: &str| ask(&world.root, Operation::Write, "database/config/db", data).map(drop);
    assert_eq!(write(r#"{"endpoint":"elsewhere","verify_connection":false}"#).unwrap_err().code(), Code::InvalidData);
    write(r#"{"max_open_connections":2,"connect_timeout":"3s","allowed_roles":"*"}"#).unwrap();
    let data = format!(r#"{{"endpoint":"elsewhere","verify_connection":false,"password":"{ROOT_PASSWORD}"}}"#);
    write(&data).unwrap();
    creds(&world.root).unwrap();
    let names = ask(&world.root, Operation::List, "database/config", "").unwrap().data.unwrap();
    assert_eq!(names.get("keys"), Some(&Value::from(vec!["db"])));
    world.vault.tick().unwrap();
    creds(&world.root).unwrap();
    world.vault.verify().unwrap();
}

//! What holds at Redis beside what holds everywhere.

use super::careful::Careful;
use super::subject::{asked, config, connected, creation, shared};
use test_servers::{Kind, Server};
use vault_core::host::ConnectorFailure;

const KIND: Kind = Kind::Redis;

fn admin(question: &[&str]) -> String {
    asked(KIND, shared(KIND), question)
}

fn own(statements: &[&str]) -> Vec<String> {
    statements.iter().map(|statement| (*statement).to_owned()).collect()
}

#[test]
fn a_user_has_the_rules_of_its_role_and_nothing_more() {
    let connected = connected(KIND);
    connected.create("v-rules", "canary-1", &[]).unwrap();
    let rules = || admin(&["ACL", "LIST"]).lines().find(|line| line.contains("user v-rules ")).unwrap().to_owned();
    assert!(rules().contains("~*") && rules().contains("-@all +@read"), "{}", rules());
    connected.create("v-rules", "canary-1", &own(&[r#"["~app:*", "+get"]"#])).unwrap();
    assert!(rules().contains("~app:*") && rules().ends_with("-@all +get"), "{}", rules());
    connected.revoke("v-rules", &[]).unwrap();
}

#[test]
fn rules_that_are_not_valid_make_no_user() {
    let connected = connected(KIND);
    for rules in [r#"["+nonsense-canary"]"#, r#"["+@all", "(+@canary"]"#] {
        assert_eq!(connected.create("v-invalid", "canary-1", &own(&[rules])), Err(ConnectorFailure::Refused));
        assert!(!admin(&["ACL", "LIST"]).contains("v-invalid"));
    }
    for rules in [r#"["nopass"]"#, r#"[">canary"]"#, "+@all"] {
        assert_eq!(connected.create("v-invalid", "canary-1", &own(&[rules])), Err(ConnectorFailure::Misconfigured));
    }
    let rollback = own(&["x"]);
    assert_eq!(connected.create_with_rollback("v-invalid", "canary-1", &[], &rollback), Err(ConnectorFailure::Misconfigured));
}

#[test]
fn users_that_are_persisted_outlive_the_server() {
    let mut server = Server::start(KIND).unwrap();
    let transient = Careful::redis(config(KIND, &server));
    let persistent = Careful::redis(config(KIND, &server)).with("persistence_mode", "ACLFILE");
    persistent.create("v-kept", "canary-1", &creation(KIND)).unwrap();
    transient.create("v-lost", "canary-1", &creation(KIND)).unwrap();
    // It has an ACL file and no configuration file.
    let impossible = Careful::redis(config(KIND, &server)).with("persistence_mode", "REWRITE");
    assert_eq!(impossible.create("v-impossible", "canary-1", &creation(KIND)), Err(ConnectorFailure::Refused));
    assert_eq!(transient.test("v-impossible", "canary-1"), Err(ConnectorFailure::Unauthenticated));
    server.kill().unwrap();
    server.start_again().unwrap();
    persistent.test("v-kept", "canary-1").unwrap();
    assert_eq!(transient.test("v-lost", "canary-1"), Err(ConnectorFailure::Unauthenticated));
    persistent.revoke("v-kept", &[]).unwrap();
    server.kill().unwrap();
    server.start_again().unwrap();
    assert_eq!(persistent.test("v-kept", "canary-1"), Err(ConnectorFailure::Unauthenticated));
}

#[test]
fn an_account_that_may_only_change_accounts_is_enough() {
    admin(&["ACL", "SETUSER", "vault-limited", "on", ">canary-limited", "+acl"]);
    let limited = connected(KIND).logged_in_as("vault-limited", "canary-limited");
    for password in ["canary-1", "canary-2"] {
        limited.create("v-limited", password, &creation(KIND)).unwrap();
        limited.test("v-limited", password).unwrap();
    }
    // It may not ask whether the server answers, and is still told so: the connection is kept.
    assert_eq!(admin(&["CLIENT", "LIST"]).matches("user=vault-limited ").count(), 1);
    limited.revoke("v-limited", &[]).unwrap();
    admin(&["ACL", "SETUSER", "vault-powerless", "on", ">canary-powerless"]);
    let powerless = connected(KIND).logged_in_as("vault-powerless", "canary-powerless");
    assert_eq!(powerless.create("v-limited", "canary-1", &creation(KIND)), Err(ConnectorFailure::Refused));
}

//! What holds at MariaDB beside what holds everywhere.

use super::careful::Careful;
use super::subject::{asked, connected, creation, shared, tls_config};
use test_servers::Kind;
use vault_core::host::ConnectorFailure;
use vault_core::types::Object;

const KIND: Kind = Kind::MariaDb;

fn admin(question: &str) -> String {
    asked(KIND, shared(KIND), &[question])
}

fn own(statements: &[&str]) -> Vec<String> {
    statements.iter().map(|statement| (*statement).to_owned()).collect()
}

#[test]
fn a_creation_that_fails_half_way_leaves_nothing() {
    let connected = connected(KIND);
    let half = own(&["CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; GRANT SELECT ON app.missing TO '{{name}}'@'%'"]);
    let rollback = own(&["CREATE TABLE app.rolled_back (name text)", "INSERT INTO app.rolled_back VALUES ('{{name}}')"]);
    assert_eq!(connected.create_with_rollback("v-half", "canary-1", &half, &rollback), Err(ConnectorFailure::Refused));
    assert_eq!(admin("SELECT count(*) FROM mysql.user WHERE user = 'v-half'"), "0");
    assert_eq!(admin("SELECT name FROM app.rolled_back"), "v-half");
    assert_eq!(connected.create("v-half", "canary-1", &own(&["nonsense 'canary'"])), Err(ConnectorFailure::Refused));
    assert_eq!(connected.create("v-half", "canary-1", &[]), Err(ConnectorFailure::Misconfigured));
}

#[test]
fn a_user_of_several_hosts_is_one_account() {
    let connected = connected(KIND);
    let statements = own(&["CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}', '{{name}}'@'127.0.0.1' IDENTIFIED BY '{{password}}'"]);
    connected.create("v-hosts", "canary-1", &statements).unwrap();
    connected.set_password("v-hosts", "canary-2").unwrap();
    assert_eq!(admin("SELECT count(DISTINCT authentication_string) FROM mysql.user WHERE user = 'v-hosts'"), "1");
    connected.test("v-hosts", "canary-2").unwrap();
    connected.revoke("v-hosts", &[]).unwrap();
    assert_eq!(admin("SELECT count(*) FROM mysql.user WHERE user = 'v-hosts'"), "0");
}

#[test]
fn the_roles_own_statements_are_carried_out_and_can_be_repeated() {
    let connected = connected(KIND);
    let statements = own(&[
        "CREATE DATABASE `{{name}}`; CREATE USER \"{{name}}\"@\"%\" IDENTIFIED BY \"{{password}}\"",
        "GRANT ALL ON `{{name}}`.* TO '{{name}}'",
    ]);
    for password in ["canary-1", "canary\"\\'"] {
        connected.create("v-own", password, &statements).unwrap();
        connected.test("v-own", password).unwrap();
    }
    let revocation = own(&["DROP DATABASE `{{name}}`; DROP USER '{{name}}'@'%'"]);
    let mut session = super::subject::Session::open(KIND, "v-own", "canary\"\\'");
    connected.revoke("v-own", &revocation).unwrap();
    assert!(session.is_cut_off());
    connected.revoke("v-own", &revocation).unwrap();
    assert_eq!(connected.test("v-own", "canary-1"), Err(ConnectorFailure::Unauthenticated));
}

#[test]
fn a_statement_that_takes_too_long_is_unknown_and_broken_off() {
    let connected = connected(KIND).with("statement_timeout", 1_u64);
    let since = std::time::Instant::now();
    assert_eq!(connected.create("v-slow", "canary-1", &own(&["DO SLEEP(31)"])), Err(ConnectorFailure::Unknown));
    assert!(since.elapsed().as_secs() < 3);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(admin("SELECT count(*) FROM information_schema.processlist WHERE info = 'DO SLEEP(31)'"), "0");
}

#[test]
fn what_a_statement_changes_of_its_session_is_gone_for_the_next() {
    let connected = connected(KIND).with("max_open_connections", 1_u64);
    connected.create("v-mode-1", "canary-1", &own(&["SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"])).unwrap();
    // The mode was the last one's only.
    connected.create("v-mode-2", "canary\\", &creation(KIND)).unwrap();
    connected.test("v-mode-2", "canary\\").unwrap();
    connected.revoke("v-mode-2", &[]).unwrap();
}

#[test]
fn a_unix_socket_and_a_url_do_as_well() {
    let server = shared(KIND);
    let dsn = format!("{{{{username}}}}:{{{{password}}}}@unix({})/app", server.socket().display());
    Careful::mysql(Object::new().with("connection_url", dsn)).check(true).unwrap();
    let url = |database| format!("mysql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/{database}", server.port());
    Careful::mysql(Object::new().with("connection_url", url("app"))).check(true).unwrap();
    assert_eq!(Careful::mysql(Object::new().with("connection_url", url("missing"))).check(true), Err(ConnectorFailure::Misconfigured));
}

#[test]
fn an_account_that_may_do_what_the_manual_says_is_enough() {
    admin(
        "CREATE USER 'vault-limited'@'%' IDENTIFIED BY 'canary-limited'; \
         GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO 'vault-limited'@'%'; \
         GRANT SELECT ON mysql.user TO 'vault-limited'@'%'; GRANT SELECT ON app.* TO 'vault-limited'@'%' WITH GRANT OPTION",
    );
    let limited = connected(KIND).logged_in_as("vault-limited", "canary-limited");
    limited.create("v-limited", "canary-1", &creation(KIND)).unwrap();
    limited.set_password("v-limited", "canary-2").unwrap();
    let mut session = super::subject::Session::open(KIND, "v-limited", "canary-2");
    limited.revoke("v-limited", &[]).unwrap();
    assert!(session.is_cut_off());
    assert_eq!(limited.test("v-limited", "canary-2"), Err(ConnectorFailure::Unauthenticated));
    admin("CREATE USER 'vault-powerless'@'%' IDENTIFIED BY 'canary-powerless'");
    let powerless = connected(KIND).logged_in_as("vault-powerless", "canary-powerless");
    assert_eq!(powerless.create("v-limited", "canary-1", &creation(KIND)), Err(ConnectorFailure::Refused));
    assert_eq!(powerless.revoke("v-limited", &[]), Err(ConnectorFailure::Refused));
}

#[test]
fn a_certificate_of_the_vaults_own_is_shown_to_whoever_wants_one() {
    admin("CREATE USER 'vault-x509'@'%' IDENTIFIED BY 'canary-x509' REQUIRE X509");
    let server = shared(KIND);
    let (certificate, key) = server.authority().client();
    let without = || {
        let tls = Careful::mysql(tls_config(KIND, server, "127.0.0.1")).with("tls_ca", server.authority().certificate());
        tls.logged_in_as("vault-x509", "canary-x509")
    };
    assert_eq!(without().check(true), Err(ConnectorFailure::Unauthenticated));
    without().with("tls_certificate", certificate).with_secret("private_key", key).check(true).unwrap();
    without().with_secret("tls_certificate_key", &format!("{certificate}{key}")).check(true).unwrap();
    assert_eq!(without().with("tls_certificate", certificate).check(false), Err(ConnectorFailure::Misconfigured));
    let foreign = test_servers::Authority::new("another", &["x"]).unwrap();
    let mismatched = without().with("tls_certificate", foreign.client().0).with_secret("private_key", key);
    assert_eq!(mismatched.check(false), Err(ConnectorFailure::Misconfigured));
}

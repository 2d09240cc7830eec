//! What holds at PostgreSQL beside what holds everywhere.

use super::careful::Careful;
use super::subject::{asked, config, connected, creation, shared};
use test_servers::{Kind, Server};
use vault_core::host::ConnectorFailure;
use vault_core::types::{Object, Timestamp};

const KIND: Kind = Kind::Postgres;

fn admin(question: &str) -> String {
    asked(KIND, shared(KIND), &[question])
}

fn own(statements: &[&str]) -> Vec<String> {
    statements.iter().map(|statement| (*statement).to_owned()).collect()
}

#[test]
fn renewing_moves_the_roles_end() {
    let connected = connected(KIND);
    connected.create("v-renew", "canary-1", &creation(KIND)).unwrap();
    let end = || admin("SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = 'v-renew'");
    assert_eq!(end(), "4000000000");
    connected.renew("v-renew", Timestamp::from_millis(4_100_000_000_001)).unwrap();
    assert_eq!(end(), "4100000001");
    connected.renew("v-renew", Timestamp::from_secs(1_000_000_000)).unwrap();
    assert_eq!(connected.test("v-renew", "canary-1"), Err(ConnectorFailure::Unauthenticated));
    connected.revoke("v-renew", &[]).unwrap();
    assert_eq!(connected.renew("v-renew", Timestamp::from_secs(4_000_000_000)), Err(ConnectorFailure::Refused));
}

#[test]
fn a_creation_that_fails_half_way_leaves_nothing() {
    let connected = connected(KIND);
    let half = own(&["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; GRANT \"no-such-role\" TO \"{{name}}\""]);
    assert_eq!(connected.create("v-half", "canary-1", &half), Err(ConnectorFailure::Refused));
    assert_eq!(admin("SELECT count(*) FROM pg_roles WHERE rolname = 'v-half'"), "0");
    let rollback = own(&["CREATE TABLE rolled_back (name text); INSERT INTO rolled_back VALUES ('{{name}}')"]);
    assert_eq!(connected.create_with_rollback("v-half", "canary-1", &half, &rollback), Err(ConnectorFailure::Refused));
    assert_eq!(admin("SELECT name FROM rolled_back"), "v-half");
    assert_eq!(connected.create("v-half", "canary-1", &own(&["nonsense canary"])), Err(ConnectorFailure::Refused));
    assert_eq!(connected.create("v-half", "canary-1", &[]), Err(ConnectorFailure::Misconfigured));
}

#[test]
fn what_a_role_owns_outlives_it_and_its_rights_do_not() {
    let connected = connected(KIND);
    let statements = own(&["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'", "GRANT CREATE ON SCHEMA public TO \"{{name}}\""]);
    connected.create("v-owner", "canary-1", &statements).unwrap();
    admin("CREATE TABLE owned (); ALTER TABLE owned OWNER TO \"v-owner\"");
    connected.revoke("v-owner", &[]).unwrap();
    assert_eq!(admin("SELECT tableowner FROM pg_tables WHERE tablename = 'owned'"), test_servers::USERNAME);
    assert_eq!(admin("SELECT count(*) FROM pg_roles WHERE rolname = 'v-owner'"), "0");
}

#[test]
fn an_account_that_may_only_create_roles_is_enough() {
    admin("CREATE ROLE \"vault-limited\" LOGIN CREATEROLE PASSWORD 'canary-limited'");
    let limited = connected(KIND).logged_in_as("vault-limited", "canary-limited");
    let statements = own(&["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"]);
    limited.create("v-limited", "canary-1", &statements).unwrap();
    let mut session = super::subject::Session::open(KIND, "v-limited", "canary-1");
    limited.revoke("v-limited", &[]).unwrap();
    assert!(session.is_cut_off());
    assert_eq!(limited.test("v-limited", "canary-1"), Err(ConnectorFailure::Unauthenticated));
    // It may not touch a superuser.
    assert_eq!(limited.set_password(test_servers::USERNAME, "canary-1"), Err(ConnectorFailure::Refused));
}

#[test]
fn the_roles_own_statements_are_carried_out_and_can_be_repeated() {
    let connected = connected(KIND);
    let statements = own(&[
        "CREATE SCHEMA \"{{name}}\"; CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
        "DO $$ BEGIN EXECUTE 'GRANT USAGE ON SCHEMA \"{{name}}\" TO \"{{name}}\"'; END $$",
    ]);
    for password in ["canary-1", "canary-2"] {
        connected.create("v-own", password, &statements).unwrap();
        connected.test("v-own", password).unwrap();
    }
    let revocation = own(&["DROP SCHEMA \"{{name}}\"; DROP ROLE \"{{name}}\""]);
    connected.revoke("v-own", &revocation).unwrap();
    connected.revoke("v-own", &revocation).unwrap();
    assert_eq!(connected.test("v-own", "canary-2"), Err(ConnectorFailure::Unauthenticated));
}

#[test]
fn a_statement_that_takes_too_long_is_unknown_and_broken_off() {
    let connected = connected(KIND).with("statement_timeout", 1_u64);
    let since = std::time::Instant::now();
    assert_eq!(connected.create("v-slow", "canary-1", &own(&["SELECT pg_sleep(30)"])), Err(ConnectorFailure::Unknown));
    assert!(since.elapsed().as_secs() < 3);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(
        admin(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(30)%' AND application_name = 'libvault' AND state = 'active'"
        ),
        "0"
    );
}

#[test]
fn what_a_statement_changes_of_its_session_is_gone_for_the_next() {
    // A verifier holds nothing that would show it.
    let connected = connected(KIND).with("max_open_connections", 1_u64).with("password_authentication", "password");
    connected.create("v-session-1", "canary-1", &own(&["SET standard_conforming_strings = off", "SET ROLE pg_monitor"])).unwrap();
    connected.create("v-session-2", "canary\\", &creation(KIND)).unwrap();
    connected.test("v-session-2", "canary\\").unwrap();
    connected.revoke("v-session-2", &[]).unwrap();
}

#[test]
fn the_servers_log_has_no_password() {
    let server = Server::start(KIND).unwrap();
    let connected = Careful::postgres(config(KIND, &server));
    connected.create("v-logged", "canary-logged", &creation(KIND)).unwrap();
    connected.set_password("v-logged", "canary-logged-2").unwrap();
    connected.test("v-logged", "canary-logged-2").unwrap();
    let log = server.log().unwrap();
    assert!(log.contains("CREATE ROLE \"v-logged\"") && log.contains("SCRAM-SHA-256$"), "{log}");
    assert!(!log.contains("canary"), "{log}");
    // Unless it is asked for.
    let plain = connected.with("password_authentication", "password");
    plain.set_password("v-logged", "canary-plain").unwrap();
    plain.test("v-logged", "canary-plain").unwrap();
    assert!(server.log().unwrap().contains("canary-plain"));
}

#[test]
fn sixteen_threads_never_have_more_connections_than_they_may() {
    let connected = connected(KIND).with("max_open_connections", 4_u64).with("connect_timeout", 20_u64);
    let config = connected.config.clone();
    let url = config.get("connection_url").unwrap().as_str().unwrap().replace("sslmode", "application_name=sixteen&sslmode");
    let connected = connected.with("connection_url", url);
    let mut most = 0;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|thread| {
                let connected = &connected;
                scope.spawn(move || {
                    for turn in 0..3 {
                        let name = format!("v-many-{thread}-{turn}");
                        let slow = own(&["SELECT pg_sleep(0.05)", "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'"]);
                        connected.create(&name, "canary-1", &slow).unwrap();
                        connected.revoke(&name, &[]).unwrap();
                    }
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            most = most.max(admin("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sixteen'").parse::<usize>().unwrap());
        }
    });
    assert_eq!(most, 4);
}

#[test]
fn it_works_within_an_async_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let connected = connected(KIND);
        connected.create("v-async", "canary-1", &creation(KIND)).unwrap();
        connected.test("v-async", "canary-1").unwrap();
        connected.revoke("v-async", &[]).unwrap();
        connected.forget();
    });
}

#[test]
fn a_unix_socket_and_words_instead_of_a_url_do_as_well() {
    let server = shared(KIND);
    let words = format!(
        "host={} port={} user={{{{username}}}} password='{{{{password}}}}' dbname=postgres",
        server.socket().display(),
        server.port()
    );
    Careful::postgres(Object::new().with("connection_url", words)).check(true).unwrap();
    let away = config(KIND, server).get("connection_url").unwrap().as_str().unwrap().replace("/postgres?", "/no-such-database?");
    assert_eq!(Careful::postgres(Object::new().with("connection_url", away)).check(true), Err(ConnectorFailure::Misconfigured));
}

#[test]
fn roles_that_are_granted_the_same_tables_at_the_same_time_are_all_made() {
    admin("CREATE TABLE IF NOT EXISTS shared_by_many (a int)");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let connected = connected(Kind::Postgres);
                for i in 0..10 {
                    let name = format!("v-race-{thread}-{i}");
                    connected.create(&name, "canary-1", &creation(Kind::Postgres)).unwrap();
                    connected.revoke(&name, &[]).unwrap();
                }
            });
        }
    });
}

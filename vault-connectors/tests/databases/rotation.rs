//! Static roles at real servers: a rotation changes the password, those who use it live on, and a server may end in the middle of each step.

use super::cut::{Cut, Duty, When};
use super::life::{connector_to, life};
use super::subject::{at_every_server, config, connected, connection, creation, shared};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use test_servers::{Kind, Server};
use vault_core::host::ConnectorFailure;
use vault_core::types::{Object, Operation, Ttl, Value};

at_every_server!(
    a_rotation_changes_the_password_and_the_old_one_is_refused,
    a_live_pool_survives_rotations_of_two_accounts,
    a_server_that_ends_in_the_middle_of_a_step_leaves_a_password_that_the_vault_knows
);

fn role(names: &[&str]) -> Object {
    let data = Object::new().with("db_name", "db").with("rotation_period", "24h");
    if names.len() == 1 { data.with("username", names[0]) } else { data.with("usernames", names.to_vec()).with("grace", "1h") }
}

fn a_rotation_changes_the_password_and_the_old_one_is_refused(kind: Kind) {
    let target = connected(kind);
    target.create("v-static", "canary-before", &creation(kind)).unwrap();
    let life = life(connector_to(kind), config(kind, shared(kind)));
    life.write("database/static-roles/app", role(&["v-static"]));
    let (name, first) = life.creds("app");
    target.test(&name, &first).unwrap();
    assert_eq!(target.test(&name, "canary-before"), Err(ConnectorFailure::Unauthenticated));
    life.write("database/rotate-role/app", Object::new());
    let (_, second) = life.creds("app");
    target.test(&name, &second).unwrap();
    assert_eq!(target.test(&name, &first), Err(ConnectorFailure::Unauthenticated));
    life.clock.advance(Ttl::from_secs(86_400));
    life.settle(0);
    let (_, third) = life.creds("app");
    target.test(&name, &third).unwrap();
    assert!(third != second && target.test(&name, &second) == Err(ConnectorFailure::Unauthenticated));
    // What was promoted is taken back.
    life.write("database/roll-back-role/app", Object::new());
    assert_eq!(life.creds("app").1, second);
    target.test(&name, &second).unwrap();
    let report = life.root.request(Operation::Write, "database/rehearse-role/app", None);
    assert!(report.is_err(), "in its grace it is not rehearsed");
    life.write("database/end-grace-role/app", Object::new());
    let report = life.root.request(Operation::Write, "database/rehearse-role/app", None).unwrap().data.unwrap();
    assert_eq!(report.get("would_work").and_then(Value::as_bool), Some(true), "{report:?}");
    target.revoke(&name, &[]).unwrap();
}

/// Clients that log in with what they have read, and read anew only now and then: none is ever refused before the old account's grace is over.
fn a_live_pool_survives_rotations_of_two_accounts(kind: Kind) {
    const CLIENTS: usize = 3;
    const LOGINS_OF_A_CREDENTIAL: usize = 4;
    const ROTATIONS: usize = 3;
    let target = connected(kind);
    for name in ["v-pool-a", "v-pool-b"] {
        target.create(name, "canary-before", &creation(kind)).unwrap();
    }
    let life = life(connector_to(kind), config(kind, shared(kind)));
    life.write("database/static-roles/app", role(&["v-pool-a", "v-pool-b"]));
    let (is_over, logins, read_since) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let (name, password) = life.creds("app");
                    read_since.fetch_add(1, Ordering::SeqCst);
                    for _ in 0..LOGINS_OF_A_CREDENTIAL {
                        connected(kind).test(&name, &password).unwrap();
                        logins.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        for _ in 0..ROTATIONS {
            let before = life.creds("app");
            life.write("database/rotate-role/app", Object::new());
            assert_ne!(life.creds("app"), before);
            // Everybody has read anew, twice, before the grace is over.
            read_since.store(0, Ordering::SeqCst);
            while read_since.load(Ordering::SeqCst) < 2 * CLIENTS + CLIENTS {
                std::thread::yield_now();
            }
            life.clock.advance(Ttl::from_secs(3_600));
            life.settle(0);
            assert_eq!(target.test(&before.0, &before.1), Err(ConnectorFailure::Unauthenticated), "closed");
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert!(logins.load(Ordering::SeqCst) >= ROTATIONS * CLIENTS * LOGINS_OF_A_CREDENTIAL);
    for name in ["v-pool-a", "v-pool-b"] {
        target.revoke(name, &[]).unwrap();
    }
}

fn a_server_that_ends_in_the_middle_of_a_step_leaves_a_password_that_the_vault_knows(kind: Kind) {
    let server = Server::start(kind).unwrap();
    let mut own = config(kind, &server).with("connect_timeout", "2s");
    if kind == Kind::Redis {
        own = own.with("persistence_mode", "ACLFILE");
    }
    let target = connection(kind, own.clone());
    target.create("v-cut", "canary-before", &creation(kind)).unwrap();
    let cut = Arc::new(Cut::new(connector_to(kind), server));
    let life = life(cut.clone(), own);
    life.write("database/static-roles/app", role(&["v-cut"]));
    // The first call of a rotation sets the password, the second tries it out.
    for call in [0, 1] {
        for when in [When::Before, When::AnswerLost, When::Behind] {
            let what = format!("{when:?} call {call}");
            let before = life.creds("app").1;
            cut.plan([Duty::SetPassword, Duty::Test][call], when);
            let answered = life.root.request(Operation::Write, "database/rotate-role/app", None);
            assert!(cut.is_cut(), "{what}");
            if let Err(error) = answered {
                assert!(!format!("{error} {error:?}").contains(&before), "{what}");
            }
            // While it is away the vault tries now and then, and is not harmed by it.
            life.settle(15);
            cut.start_again();
            life.settle(3_600);
            let (name, password) = life.creds("app");
            target.test(&name, &password).unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
            assert_ne!(password, before, "{what}: it went on by itself");
            assert_eq!(target.test(&name, &before), Err(ConnectorFailure::Unauthenticated), "{what}");
            life.vault.verify().unwrap();
        }
    }
}

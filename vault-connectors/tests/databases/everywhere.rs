//! What holds at every kind of server, one test for each kind.

use super::careful::Careful;
use super::subject::{Session, at_every_server, config, connected, connection, creation, shared, tls_config};
use std::time::{Duration, Instant};
use test_servers::{Authority, Kind, Server};
use vault_core::host::ConnectorFailure;
use vault_core::types::Timestamp;

const HOSTILE: [&str; 12] = [
    "canary'; DROP TABLE x; --",
    "canary\\",
    "canary\\'",
    "canary''",
    "canary\"; SELECT 1; \"",
    "canary $$ $x$ $1 %s {{name}} {{password}}",
    "canary /* */ -- # `",
    "canary\r\n*1\r\n$4\r\nPING\r\n",
    "canary>x nopass +@all",
    "canary äöü 漢字 \u{1f511}",
    "canary\t \u{7f}",
    "canary:@/?#&=+%41",
];

at_every_server!(
    an_account_logs_in_until_it_is_revoked,
    making_an_account_again_makes_it_as_asked,
    a_new_password_takes_the_place_of_the_old_one,
    hostile_passwords_are_passwords,
    hostile_names_are_refused,
    the_vaults_own_account_is_out_of_reach,
    a_wrong_password_of_the_vaults_own_is_told_as_such,
    a_server_that_is_away_is_unreachable,
    tls_is_trusted_by_its_authority_and_name_only,
    a_server_that_stalls_costs_bounded_time_and_one_that_comes_back_heals,
    a_forgotten_connection_is_closed
);

fn an_account_logs_in_until_it_is_revoked(kind: Kind) {
    let connected = connected(kind);
    connected.create("v-revoked", "canary-1", &creation(kind)).unwrap();
    connected.test("v-revoked", "canary-1").unwrap();
    assert_eq!(connected.test("v-revoked", "canary-2"), Err(ConnectorFailure::Unauthenticated));
    connected.renew("v-revoked", Timestamp::from_secs(4_100_000_000)).unwrap();
    let mut session = Session::open(kind, "v-revoked", "canary-1");
    connected.revoke("v-revoked", &[]).unwrap();
    assert!(session.is_cut_off());
    assert_eq!(connected.test("v-revoked", "canary-1"), Err(ConnectorFailure::Unauthenticated));
    connected.revoke("v-revoked", &[]).unwrap();
    connected.revoke("v-never-was", &[]).unwrap();
}

fn making_an_account_again_makes_it_as_asked(kind: Kind) {
    let connected = connected(kind);
    connected.create("v-again", "canary-1", &creation(kind)).unwrap();
    connected.create("v-again", "canary-2", &creation(kind)).unwrap();
    connected.test("v-again", "canary-2").unwrap();
    assert_eq!(connected.test("v-again", "canary-1"), Err(ConnectorFailure::Unauthenticated));
    connected.revoke("v-again", &[]).unwrap();
}

fn a_new_password_takes_the_place_of_the_old_one(kind: Kind) {
    let connected = connected(kind);
    connected.create("v-password", "canary-1", &creation(kind)).unwrap();
    for _ in 0..2 {
        connected.set_password("v-password", "canary-2").unwrap();
        connected.test("v-password", "canary-2").unwrap();
        assert_eq!(connected.test("v-password", "canary-1"), Err(ConnectorFailure::Unauthenticated));
    }
    connected.revoke("v-password", &[]).unwrap();
    assert_eq!(connected.set_password("v-password", "canary-3"), Err(ConnectorFailure::Refused));
    assert_eq!(connected.test("v-password", "canary-3"), Err(ConnectorFailure::Unauthenticated));
}

fn hostile_passwords_are_passwords(kind: Kind) {
    let connected = connected(kind);
    for (index, password) in HOSTILE.iter().enumerate() {
        let name = format!("v-hostile-{index}");
        connected.create(&name, password, &creation(kind)).unwrap();
        connected.test(&name, password).unwrap();
        let next = HOSTILE[(index + 1) % HOSTILE.len()];
        connected.set_password(&name, next).unwrap();
        connected.test(&name, next).unwrap();
        connected.revoke(&name, &[]).unwrap();
    }
    if kind != Kind::Redis {
        assert_eq!(connected.create("v-nul", "canary\0", &creation(kind)), Err(ConnectorFailure::Misconfigured));
    }
}

fn hostile_names_are_refused(kind: Kind) {
    let connected = connected(kind);
    for name in HOSTILE.iter().copied().chain(["", "a'b", "a\"b", "a`b", "a;b", "a\\", "a b", "a\0b", "%"]) {
        let refused = Err(ConnectorFailure::Misconfigured);
        assert_eq!(connected.create(name, "canary-1", &creation(kind)), refused, "{name:?}");
        assert_eq!(connected.set_password(name, "canary-1"), refused, "{name:?}");
        assert_eq!(connected.renew(name, Timestamp::from_secs(4_000_000_000)), refused, "{name:?}");
        assert_eq!(connected.revoke(name, &[]), refused, "{name:?}");
    }
}

fn the_vaults_own_account_is_out_of_reach(kind: Kind) {
    let connected = connected(kind);
    let servers = match kind {
        Kind::Postgres => "pg_signal_backend",
        Kind::MariaDb => "mariadb.sys",
        Kind::Redis => "default",
    };
    for name in [test_servers::USERNAME, servers] {
        assert_eq!(connected.create(name, "canary-1", &creation(kind)), Err(ConnectorFailure::Misconfigured));
        assert_eq!(connected.revoke(name, &[]), Err(ConnectorFailure::Misconfigured));
    }
    connected.check(true).unwrap();
}

fn a_wrong_password_of_the_vaults_own_is_told_as_such(kind: Kind) {
    let wrong = connected(kind).logged_in_as(test_servers::USERNAME, "canary-wrong");
    wrong.check(false).unwrap();
    for _ in 0..2 {
        assert_eq!(wrong.check(true), Err(ConnectorFailure::Unauthenticated));
        assert_eq!(wrong.create("v-wrong", "canary-1", &creation(kind)), Err(ConnectorFailure::Unauthenticated));
    }
}

fn a_server_that_is_away_is_unreachable(kind: Kind) {
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = nobody.local_addr().unwrap().port();
    let server = shared(kind);
    let config = if kind == Kind::Redis {
        config(kind, server).with("port", u64::from(port))
    } else {
        let url =
            config(kind, server).get("connection_url").unwrap().as_str().unwrap().replace(&server.port().to_string(), &port.to_string());
        config(kind, server).with("connection_url", url)
    };
    // It listens, and says nothing.
    let away = connection(kind, config.with("connect_timeout", "1s"));
    let since = Instant::now();
    assert_eq!(away.create("v-away", "canary-1", &creation(kind)), Err(ConnectorFailure::Unreachable));
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    drop(nobody);
    assert_eq!(away.test("v-away", "canary-1"), Err(ConnectorFailure::Unreachable));
}

fn tls_is_trusted_by_its_authority_and_name_only(kind: Kind) {
    let server = shared(kind);
    let tls = |host: &str| connection(kind, tls_config(kind, server, host));
    let authority = server.authority().certificate();
    let good = tls("127.0.0.1").with("tls_ca", authority);
    good.check(true).unwrap();
    good.create("v-tls", "canary-1", &creation(kind)).unwrap();
    good.test("v-tls", "canary-1").unwrap();
    good.revoke("v-tls", &[]).unwrap();
    tls("localhost").with("tls_ca", authority).check(true).unwrap();
    // Another address of this machine: the certificate does not name it, unless it is asked for another name.
    if kind == Kind::Postgres || kind == Kind::MariaDb {
        let elsewhere = || tls("127.0.0.1").with("tls_ca", authority);
        assert_eq!(elsewhere().with("tls_server_name", "db.example").check(true), Err(ConnectorFailure::Unreachable));
    }
    assert_eq!(
        tls("127.0.0.1").with("tls_ca", authority).with("tls_server_name", "127.0.0.2").check(true),
        Err(ConnectorFailure::Unreachable)
    );
    tls("127.0.0.1").with("tls_ca", authority).with("tls_server_name", "localhost").check(true).unwrap();
    let other = Authority::new("another", &["127.0.0.1"]).unwrap();
    let stranger = tls("127.0.0.1").with("tls_ca", other.certificate());
    assert_eq!(stranger.check(true), Err(ConnectorFailure::Unreachable));
    assert_eq!(stranger.create("v-tls", "canary-1", &creation(kind)), Err(ConnectorFailure::Unreachable));
    assert_eq!(tls("127.0.0.1").check(false), Err(ConnectorFailure::Misconfigured));
    tls("127.0.0.1").with("tls_skip_verify", true).check(true).unwrap();
}

/// A statement that takes longer than the freeze waits, before anything is made.
fn slow(kind: Kind) -> Vec<String> {
    let slow = match kind {
        Kind::Postgres => "SELECT pg_sleep(1)",
        Kind::MariaDb => "DO SLEEP(1)",
        Kind::Redis => return creation(kind),
    };
    [slow.to_owned()].into_iter().chain(creation(kind)).collect()
}

fn a_server_that_stalls_costs_bounded_time_and_one_that_comes_back_heals(kind: Kind) {
    let mut server = Server::start(kind).unwrap();
    let bounded = config(kind, &server).with("connect_timeout", 1_u64).with("statement_timeout", 2_u64);
    let connected = connection(kind, bounded);
    let makes = |connected: &Careful, name: &str| {
        connected.create(name, "canary-1", &creation(kind)).unwrap();
        connected.test(name, "canary-1").unwrap();
    };
    makes(&connected, "v-before");
    let since = Instant::now();
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| connected.create("v-stalled", "canary-1", &slow(kind)));
        std::thread::sleep(Duration::from_millis(300));
        server.freeze().unwrap();
        let stalled = stalled.join().unwrap();
        // Redis has nothing that takes time: it had done it before.
        assert_eq!(stalled, if kind == Kind::Redis { Ok(()) } else { Err(ConnectorFailure::Unknown) });
    });
    assert_eq!(connected.create("v-stalled", "canary-1", &creation(kind)), Err(ConnectorFailure::Unreachable));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    server.thaw().unwrap();
    makes(&connected, "v-stalled");
    std::thread::scope(|scope| {
        let lost = scope.spawn(|| connected.create("v-lost", "canary-1", &slow(kind)));
        std::thread::sleep(Duration::from_millis(300));
        server.kill().unwrap();
        let lost = lost.join().unwrap();
        assert_eq!(lost, if kind == Kind::Redis { Ok(()) } else { Err(ConnectorFailure::Unknown) });
    });
    for _ in 0..3 {
        assert_eq!(connected.create("v-lost", "canary-1", &creation(kind)), Err(ConnectorFailure::Unreachable));
    }
    server.start_again().unwrap();
    makes(&connected, "v-lost");
    connected.revoke("v-lost", &[]).unwrap();
}

fn a_forgotten_connection_is_closed(kind: Kind) {
    let server = shared(kind);
    let administrators = format!("v-forgotten-{}", if kind == Kind::Redis { "x" } else { "y" });
    let maker = connected(kind);
    maker.create(&administrators, "canary-1", &creation(kind)).unwrap();
    let count = || {
        let answer = match kind {
            Kind::Postgres => {
                super::subject::asked(kind, server, &[&format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{administrators}'")])
            }
            Kind::MariaDb => super::subject::asked(
                kind,
                server,
                &[&format!("SELECT count(*) FROM information_schema.processlist WHERE user = '{administrators}'")],
            ),
            Kind::Redis => {
                let list = super::subject::asked(kind, server, &["CLIENT", "LIST"]);
                list.matches(&format!("user={administrators} ")).count().to_string()
            }
        };
        answer.parse::<usize>().unwrap()
    };
    let connected = connected(kind).logged_in_as(&administrators, "canary-1");
    // It may do nothing that is asked; the connection is kept all the same.
    let _ = connected.revoke("v-never-was", &[]);
    assert_eq!(count(), 1);
    let _ = connected.revoke("v-never-was", &[]);
    assert_eq!(count(), 1);
    connected.forget();
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        count() == 0
    });
    assert!(gone);
    maker.revoke(&administrators, &[]).unwrap();
}

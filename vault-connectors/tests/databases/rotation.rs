//! Static roles at real servers: a rotation changes the password, those who use it live on, and a server may end in the middle of each step.

use super::subject::{config, connected, connection, creation, shared};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use test_servers::{Kind, PASSWORD, Server, USERNAME};
use vault_connectors::{mysql::Mysql, postgres::Postgres, redis::Redis};
use vault_core::host::{Account, Clock, Connector, ConnectorError, ConnectorFailure, ManualClock, NewAccount, Target};
use vault_core::types::{Object, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{Config, NewSeal, Session, Vault};

macro_rules! at_every_server {
    ($($test:ident),+) => {
        at_every_server!(@ postgres, Kind::Postgres, $($test),+);
        at_every_server!(@ mysql, Kind::MariaDb, $($test),+);
        at_every_server!(@ redis, Kind::Redis, $($test),+);
    };
    (@ $name:ident, $kind:expr, $($test:ident),+) => {
        mod $name {
            use test_servers::Kind;
            $(#[test]
            fn $test() {
                super::$test($kind);
            })+
        }
    };
}

at_every_server!(
    a_rotation_changes_the_password_and_the_old_one_is_refused,
    a_live_pool_survives_rotations_of_two_accounts,
    a_server_that_ends_in_the_middle_of_a_step_leaves_a_password_that_the_vault_knows
);

fn connector_to(kind: Kind) -> Arc<dyn Connector> {
    match kind {
        Kind::Postgres => Arc::new(Postgres::new()),
        Kind::MariaDb => Arc::new(Mysql::new()),
        Kind::Redis => Arc::new(Redis::new()),
    }
}

struct Life {
    vault: Vault,
    root: Session,
    clock: Arc<ManualClock>,
}

/// A vault with the mount `database` and the connection `db`.
fn life(connector: Arc<dyn Connector>, config: Object) -> Life {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_457_040)));
    let plugin = connector.name().to_owned();
    let place = Config::in_memory().with_clock(clock.clone()).with_connector(connector);
    let (vault, init) = Vault::create(place, NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    let life = Life { vault, root, clock };
    life.write("sys/mounts/database", Object::new().with("type", "database"));
    let config = config.with("plugin_name", plugin).with("username", USERNAME).with("password", PASSWORD).with("allowed_roles", "*");
    life.write("database/config/db", config);
    life
}

impl Life {
    fn write(&self, path: &str, data: Object) {
        self.root.request(Operation::Write, path, Some(data.into())).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    fn creds(&self, role: &str) -> (String, String) {
        let data = self.root.request(Operation::Read, &format!("database/static-creds/{role}"), None).unwrap().data.unwrap();
        let text = |name| data.get(name).and_then(Value::as_str).unwrap().to_owned();
        (text("username"), text("password"))
    }

    /// Ticks until nothing is due within so many seconds, with the clock going on.
    fn settle(&self, seconds: u64) {
        let end = self.clock.now().plus(Ttl::from_secs(seconds));
        for _ in 0..500 {
            let Some(next) = self.vault.tick().unwrap().filter(|next| *next <= end) else { return };
            self.clock.set(next.max(self.clock.now()));
        }
    }
}

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

/// When a server ends: before a call reaches it, or behind one that it has carried out, whose answer is lost or not.
#[derive(Clone, Copy, Debug)]
enum When {
    Before,
    AnswerLost,
    Behind,
}

/// A connector whose server ends at one of its calls.
struct Cut {
    inner: Arc<dyn Connector>,
    server: Mutex<Server>,
    at: Mutex<Option<(usize, When)>>,
    is_cut: AtomicBool,
}

impl Cut {
    fn run(&self, call: impl FnOnce() -> Result<(), ConnectorError>) -> Result<(), ConnectorError> {
        let when = {
            let mut at = self.at.lock();
            let now = at.as_ref().filter(|(left, _)| *left == 0).map(|(_, when)| *when);
            *at = if now.is_some() { None } else { at.map(|(left, when)| (left - 1, when)) };
            now
        };
        let Some(when) = when else { return call() };
        self.is_cut.store(true, Ordering::SeqCst);
        match when {
            When::Before => {
                self.server.lock().kill().unwrap();
                call()
            }
            When::AnswerLost | When::Behind => {
                let answer = call();
                self.server.lock().kill().unwrap();
                if matches!(when, When::Behind) { answer } else { Err(ConnectorError::new(ConnectorFailure::Unknown, "cut off")) }
            }
        }
    }
}

impl Connector for Cut {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn check(&self, target: &Target<'_>, verify: bool) -> Result<(), ConnectorError> {
        self.inner.check(target, verify)
    }

    fn create(&self, target: &Target<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError> {
        self.inner.create(target, new)
    }

    fn renew(&self, target: &Target<'_>, account: &Account<'_>, expires: Timestamp) -> Result<(), ConnectorError> {
        self.inner.renew(target, account, expires)
    }

    fn revoke(&self, target: &Target<'_>, account: &Account<'_>) -> Result<(), ConnectorError> {
        self.inner.revoke(target, account)
    }

    fn set_password(&self, target: &Target<'_>, account: &Account<'_>, password: &SecretString) -> Result<(), ConnectorError> {
        self.run(|| self.inner.set_password(target, account, password))
    }

    fn test(&self, target: &Target<'_>, username: &str, password: &SecretString) -> Result<(), ConnectorError> {
        self.run(|| self.inner.test(target, username, password))
    }

    fn forget(&self, id: &[u8; 16]) {
        self.inner.forget(id);
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
    let cut = Arc::new(Cut { inner: connector_to(kind), server: Mutex::new(server), at: Mutex::new(None), is_cut: AtomicBool::new(false) });
    let life = life(cut.clone(), own);
    life.write("database/static-roles/app", role(&["v-cut"]));
    // The first call of a rotation sets the password, the second tries it out.
    for call in [0, 1] {
        for when in [When::Before, When::AnswerLost, When::Behind] {
            let what = format!("{when:?} call {call}");
            let before = life.creds("app").1;
            *cut.at.lock() = Some((call, when));
            cut.is_cut.store(false, Ordering::SeqCst);
            let answered = life.root.request(Operation::Write, "database/rotate-role/app", None);
            assert!(cut.is_cut.load(Ordering::SeqCst), "{what}");
            if let Err(error) = answered {
                assert!(!format!("{error} {error:?}").contains(&before), "{what}");
            }
            // While it is away the vault tries now and then, and is not harmed by it.
            life.settle(15);
            cut.server.lock().start_again().unwrap();
            life.settle(3_600);
            let (name, password) = life.creds("app");
            target.test(&name, &password).unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
            assert_ne!(password, before, "{what}: it went on by itself");
            assert_eq!(target.test(&name, &before), Err(ConnectorFailure::Unauthenticated), "{what}");
            life.vault.verify().unwrap();
        }
    }
}

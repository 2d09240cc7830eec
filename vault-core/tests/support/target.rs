//! A target system in memory for the tests of leases: it keeps accounts, and fails as it is told.
#![allow(dead_code, unreachable_pub, reason = "each test binary takes what it needs")]
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use vault_core::host::{Account, Connector, ConnectorError, ConnectorFailure, ManualClock, NewAccount, Target};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Batch, Key, Read, Storage};
use vault_core::types::{Error, Object, Operation, Response, SecretString, Timestamp, Value};
use vault_core::{Config, NewSeal, Session, UnsealKey, Vault};

pub const KEY: [u8; 32] = [7; 32];
pub const START: u64 = 1_795_457_040;
pub const ROOT_NAME: &str = "vaultadmin";
pub const ROOT_PASSWORD: &str = "first-password";

/// How one call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Refused,
    Unreachable,
    /// It was done, and the answer was lost.
    UnknownDone,
    UnknownNotDone,
    PanicsBefore,
    PanicsAfter,
    /// It was done, and the connector says that it was refused.
    LiesRefused,
    /// It was not done, and the connector says that it was.
    LiesDone,
    /// The answer is lost, and the call arrives only with the next one.
    Delayed,
    /// It waits until it is let go.
    Stalls,
    /// It waits until it is let go, was not done, and the answer is lost.
    StallsLost,
}

pub const FAULTS: [Fault; 7] = [
    Fault::Refused,
    Fault::Unreachable,
    Fault::UnknownDone,
    Fault::UnknownNotDone,
    Fault::PanicsBefore,
    Fault::PanicsAfter,
    Fault::LiesRefused,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    Check,
    Create,
    Renew,
    Revoke,
    SetPassword,
    Test,
}

#[derive(Default)]
pub struct State {
    pub accounts: BTreeMap<String, String>,
    pub calls: BTreeMap<Duty, usize>,
    /// What is to happen to the next calls of a duty, in order.
    script: BTreeMap<Duty, VecDeque<Fault>>,
    /// What happens to all calls, once the script is over.
    pub always: Option<Fault>,
    late: Vec<(Duty, String, String)>,
    stalled: usize,
    let_go: bool,
    under_way: usize,
    pub most_under_way: usize,
    pub forgotten: usize,
    pub last_statements: Vec<String>,
    pub expirations: BTreeMap<String, Timestamp>,
    /// Who has set a password, each time.
    pub set_by: Vec<String>,
    /// The account and the password that a set was last asked for, done or not.
    pub last_set: (String, String),
}

impl State {
    /// What stalls from now on waits until it is let go.
    pub fn hold_again(&mut self) {
        self.let_go = false;
    }
}

/// The target.
#[derive(Default)]
pub struct Fake {
    pub state: Mutex<State>,
    changed: Condvar,
}

impl Fake {
    pub fn new() -> Arc<Self> {
        let fake = Fake::default();
        fake.state.lock().unwrap().accounts.insert(ROOT_NAME.to_owned(), ROOT_PASSWORD.to_owned());
        Arc::new(fake)
    }

    pub fn plan(&self, duty: Duty, faults: &[Fault]) {
        self.state.lock().unwrap().script.entry(duty).or_default().extend(faults);
    }

    pub fn always(&self, fault: Option<Fault>) {
        self.state.lock().unwrap().always = fault;
    }

    pub fn heal(&self) {
        let mut state = self.state.lock().unwrap();
        state.always = None;
        state.script.clear();
        state.let_go = true;
        self.changed.notify_all();
    }

    /// The accounts that the vault has made.
    pub fn accounts(&self) -> BTreeSet<String> {
        self.state.lock().unwrap().accounts.keys().filter(|name| *name != ROOT_NAME).cloned().collect()
    }

    /// How many accounts there are that the vault has made.
    pub fn account_count(&self) -> usize {
        self.state.lock().unwrap().accounts.len() - 1
    }

    pub fn calls(&self, duty: Duty) -> usize {
        self.state.lock().unwrap().calls.get(&duty).copied().unwrap_or_default()
    }

    pub fn root_password(&self) -> String {
        self.state.lock().unwrap().accounts[ROOT_NAME].clone()
    }

    pub fn wait_for_stall(&self) {
        let mut state = self.state.lock().unwrap();
        while state.stalled == 0 {
            state = self.changed.wait(state).unwrap();
        }
    }

    /// How many calls wait until they are let go.
    pub fn stalled(&self) -> usize {
        self.state.lock().unwrap().stalled
    }

    pub fn let_go(&self) {
        self.state.lock().unwrap().let_go = true;
        self.changed.notify_all();
    }

    fn run(&self, duty: Duty, target: &Target<'_>, name: &str, password: &str) -> Result<(), ConnectorError> {
        let mut state = self.state.lock().unwrap();
        *state.calls.entry(duty).or_default() += 1;
        state.under_way += 1;
        state.most_under_way = state.most_under_way.max(state.under_way);
        let fault = state.script.get_mut(&duty).and_then(VecDeque::pop_front).or(state.always);
        let late = std::mem::take(&mut state.late);
        if matches!(fault, Some(Fault::Stalls | Fault::StallsLost)) {
            state.stalled += 1;
            self.changed.notify_all();
            while !state.let_go {
                state = self.changed.wait(state).unwrap();
            }
            state.stalled -= 1;
        }
        let logged_in = duty == Duty::Test || state.accounts.get(target.username).is_some_and(|right| right == target.password.expose());
        let failed = |failure| Err(ConnectorError::new(failure, "as it was told"));
        if duty == Duty::SetPassword {
            state.set_by.push(target.username.to_owned());
            state.last_set = (name.to_owned(), password.to_owned());
        }
        let outcome = match fault {
            _ if !logged_in && !matches!(fault, Some(Fault::Unreachable)) => failed(ConnectorFailure::Unauthenticated),
            None | Some(Fault::Stalls) => apply(&mut state, duty, name, password),
            Some(Fault::Refused) => failed(ConnectorFailure::Refused),
            Some(Fault::Unreachable) => failed(ConnectorFailure::Unreachable),
            Some(Fault::UnknownNotDone | Fault::StallsLost) => failed(ConnectorFailure::Unknown),
            Some(Fault::Delayed) => {
                state.late.push((duty, name.to_owned(), password.to_owned()));
                failed(ConnectorFailure::Unknown)
            }
            Some(Fault::UnknownDone) => apply(&mut state, duty, name, password).and(failed(ConnectorFailure::Unknown)),
            Some(Fault::LiesDone) => Ok(()),
            Some(Fault::LiesRefused) => apply(&mut state, duty, name, password).and(failed(ConnectorFailure::Refused)),
            Some(fault) => {
                if fault == Fault::PanicsAfter {
                    apply(&mut state, duty, name, password).unwrap();
                }
                state.under_way -= 1;
                drop(state);
                panic!("the connector was told to");
            }
        };
        // What was delayed arrives behind this call.
        for (duty, name, password) in late {
            apply(&mut state, duty, &name, &password).unwrap();
        }
        state.under_way -= 1;
        outcome
    }
}

fn apply(state: &mut State, duty: Duty, name: &str, password: &str) -> Result<(), ConnectorError> {
    match duty {
        Duty::Create | Duty::SetPassword => drop(state.accounts.insert(name.to_owned(), password.to_owned())),
        Duty::Revoke => drop(state.accounts.remove(name)),
        Duty::Test if state.accounts.get(name).map(String::as_str) != Some(password) => {
            return Err(ConnectorError::new(ConnectorFailure::Unauthenticated, "no such account or another password"));
        }
        Duty::Renew if !state.accounts.contains_key(name) => {
            return Err(ConnectorError::new(ConnectorFailure::Refused, "no such account"));
        }
        Duty::Test | Duty::Renew | Duty::Check => {}
    }
    Ok(())
}

impl Connector for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn check(&self, target: &Target<'_>, verify: bool) -> Result<(), ConnectorError> {
        if verify { self.run(Duty::Check, target, "", "") } else { Ok(()) }
    }

    fn create(&self, target: &Target<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError> {
        self.state.lock().unwrap().last_statements = new.account.statements.to_vec();
        self.run(Duty::Create, target, new.account.username, new.password.expose())
    }

    fn renew(&self, target: &Target<'_>, account: &Account<'_>, expires: Timestamp) -> Result<(), ConnectorError> {
        self.run(Duty::Renew, target, account.username, "")?;
        self.state.lock().unwrap().expirations.insert(account.username.to_owned(), expires);
        Ok(())
    }

    fn revoke(&self, target: &Target<'_>, account: &Account<'_>) -> Result<(), ConnectorError> {
        self.state.lock().unwrap().last_statements = account.statements.to_vec();
        self.run(Duty::Revoke, target, account.username, "")
    }

    fn set_password(&self, target: &Target<'_>, account: &Account<'_>, password: &SecretString) -> Result<(), ConnectorError> {
        self.run(Duty::SetPassword, target, account.username, password.expose())
    }

    fn test(&self, target: &Target<'_>, username: &str, password: &SecretString) -> Result<(), ConnectorError> {
        self.run(Duty::Test, target, username, password.expose())
    }

    fn forget(&self, _id: &[u8; 16]) {
        self.state.lock().unwrap().forgotten += 1;
    }
}

pub struct World {
    pub vault: Vault,
    pub root: Session,
    pub token: String,
    pub clock: Arc<ManualClock>,
    pub target: Arc<Fake>,
}

pub fn world() -> World {
    world_on(Config::in_memory())
}

/// A vault with the mount `database`, the connection `db` and the role `ro`: an hour, at most a day.
pub fn world_on(config: Config) -> World {
    let world = bare(config);
    configure(&world.root);
    world
}

pub fn bare(config: Config) -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let target = Fake::new();
    let config = config.with_clock(clock.clone()).with_connector(target.clone());
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let token = init.root_token.expose().to_owned();
    World { root: vault.session(init.root_token), vault, token, clock, target }
}

pub fn configure(root: &Session) {
    ask(root, Operation::Write, "sys/mounts/database", r#"{"type":"database"}"#).unwrap();
    connect(root, "db").unwrap();
    role(root, "ro", r#"{"default_ttl":"1h","max_ttl":"24h"}"#);
}

pub fn connect(root: &Session, name: &str) -> Result<Response, Error> {
    let data = format!(
        r#"{{"plugin_name":"fake","allowed_roles":"*","username":"{ROOT_NAME}","password":"{ROOT_PASSWORD}",
            "connection_url":"fake://{{{{username}}}}:{{{{password}}}}@host/db"}}"#
    );
    ask(root, Operation::Write, &format!("database/config/{name}"), &data)
}

pub fn role(root: &Session, name: &str, more: &str) {
    let mut data = Value::from_json(more.as_bytes()).unwrap().as_object().unwrap().clone();
    data.insert("creation_statements", vec!["CREATE {{name}}"]);
    if data.get("db_name").is_none() {
        data.insert("db_name", "db");
    }
    root.request(Operation::Write, &format!("database/roles/{name}"), Some(data.into())).unwrap();
}

/// The same store in another life, over what a process would find there.
pub fn reopen(storage: Arc<dyn Storage>, old: &World) -> World {
    reopen_with(Config::on(storage), old)
}

/// The same, with more that the host gives.
pub fn reopen_with(config: Config, old: &World) -> World {
    let config = config.with_clock(old.clock.clone()).with_connector(old.target.clone());
    let vault = Vault::open(config).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    World {
        root: vault.session(SecretString::copy_from(&old.token)),
        vault,
        token: old.token.clone(),
        clock: old.clock.clone(),
        target: old.target.clone(),
    }
}

pub fn ask(session: &Session, operation: Operation, path: &str, data: &str) -> Result<Response, Error> {
    let data = (!data.is_empty()).then(|| Value::from_json(data.as_bytes()).unwrap());
    session.request(operation, path, data)
}

pub struct Creds {
    pub username: String,
    pub password: String,
    pub lease_id: String,
    pub seconds: u64,
}

pub fn creds(session: &Session) -> Result<Creds, Error> {
    creds_of(session, "ro")
}

pub fn creds_of(session: &Session, role: &str) -> Result<Creds, Error> {
    let response = ask(session, Operation::Read, &format!("database/creds/{role}"), "")?;
    let data = response.data.unwrap();
    let text = |name| data.get(name).and_then(Value::as_str).unwrap().to_owned();
    assert!(response.renewable);
    Ok(Creds {
        username: text("username"),
        password: text("password"),
        lease_id: response.lease_id,
        seconds: response.lease_duration.as_secs(),
    })
}

pub fn lookup(session: &Session, id: &str) -> Result<Value, Error> {
    let data = Object::new().with("lease_id", id);
    session.request(Operation::Write, "sys/leases/lookup", Some(data.into())).map(|response| response.data.unwrap())
}

pub fn renew(session: &Session, id: &str, increment: u64) -> Result<Response, Error> {
    let data = Object::new().with("lease_id", id).with("increment", increment);
    session.request(Operation::Write, "sys/leases/renew", Some(data.into()))
}

pub fn revoke(session: &Session, id: &str, sync: bool) -> Result<Response, Error> {
    let data = Object::new().with("lease_id", id).with("sync", sync);
    session.request(Operation::Write, "sys/leases/revoke", Some(data.into()))
}

/// The leases of a kind, as `sys/leases` counts them.
pub fn count(session: &Session, kind: &str) -> u64 {
    let data = if kind.is_empty() { Object::new() } else { Object::new().with("type", kind) };
    let data = session.request(Operation::Read, "sys/leases/count", Some(data.into())).unwrap().data.unwrap();
    data.get("lease_count").and_then(Value::as_u64).unwrap()
}

/// Ticks until nothing is due, with the clock going on to what is due next but no further than so many seconds.
pub fn settle(world: &World, seconds: u64) {
    let end = Timestamp::from_millis(world.clock_millis() + seconds * 1000);
    for _ in 0..10_000 {
        let next = world.vault.tick().unwrap();
        let Some(next) = next.filter(|next| *next <= end) else { break };
        if next.as_millis() > world.clock_millis() {
            world.clock.set(next);
        }
    }
}

impl World {
    pub fn clock_millis(&self) -> u64 {
        use vault_core::host::Clock;
        self.clock.now().as_millis()
    }
}

/// The store with one record altered.
pub fn with_harmed(storage: &MemoryStorage, name: &Key) -> Arc<MemoryStorage> {
    let mut records: BTreeMap<_, _> = storage.scan(&[], None, 100_000).unwrap().into_iter().collect();
    *records.get_mut(name).unwrap().last_mut().unwrap() ^= 1;
    let harmed = Arc::new(MemoryStorage::new());
    for number in 1..=storage.commit_number() {
        let changes = if number == 1 {
            std::mem::take(&mut records).into_iter().map(|(name, bytes)| (name, Some(bytes))).collect()
        } else {
            BTreeMap::new()
        };
        harmed.commit(&Batch { number, expectations: Vec::new(), changes }).unwrap();
    }
    harmed
}

//! Real threads, all kinds of requests, while the vault is sealed, unsealed, rolled, backed up, verified and at last closed under them.
//!
//! Short here; `LIBVAULT_STRESS_SECONDS` makes it longer (`cargo xtask stress --seconds N`). What each thread does follows from the seed, how
//! they meet does not.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, runs threads, and tells its seed and its figures"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::{KEY, Random, number_from};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Backend, Storage};
use vault_core::types::{Code, Context, Error, Object, Operation, Response, Result, SecretString, Value};
use vault_core::{BackupSeals, Config, NewSeal, Session, UnsealKey, Vault};

const WORKERS: u64 = 6;
const SECONDS: u64 = 2;
/// How much longer it may take until everything has happened at least once.
const PATIENCE: Duration = Duration::from_secs(60);
/// Secrets that all workers write, each write on condition of the version that was read before.
const SHARED: u64 = 3;
/// Secrets of a worker's own.
const OWN: u64 = 8;
/// Versions of a secret that are kept.
const VERSIONS_KEPT: u64 = 10;

/// One who asks, and what was acknowledged.
struct Worker {
    number: u64,
    vault: Vault,
    root: Session,
    random: Random,
    asked: u64,
    /// The ids of the requests that were acknowledged.
    acknowledged: Vec<String>,
    /// What the worker's own secrets hold.
    own: BTreeMap<String, String>,
    /// Which version of which shared secret it has written, and with what.
    shared: Vec<(String, u64, String)>,
    refused: u64,
}

fn id_of(worker: u64, asked: u64) -> String {
    format!("w{worker}-{asked}")
}

impl Worker {
    fn new(vault: &Vault, token: &str, number: u64, seed: u64) -> Self {
        Worker {
            number,
            vault: vault.clone(),
            root: vault.session(SecretString::copy_from(token)),
            random: Random::from_seed(seed ^ (number << 32)),
            asked: 0,
            acknowledged: Vec::new(),
            own: BTreeMap::new(),
            shared: Vec::new(),
            refused: 0,
        }
    }

    fn ask(&mut self, operation: Operation, path: &str, data: Option<Object>) -> Result<Response> {
        let root = self.root.clone();
        self.ask_as(&root, operation, path, data)
    }

    fn ask_as(&mut self, session: &Session, operation: Operation, path: &str, data: Option<Object>) -> Result<Response> {
        self.asked += 1;
        let id = id_of(self.number, self.asked);
        let context = Context { correlation_id: Some(id.clone()), ..Context::default() };
        let outcome = session.request_with(operation, path, data.map(Value::from), context);
        match &outcome {
            Ok(_) => self.acknowledged.push(id),
            Err(_) => self.refused += 1,
        }
        outcome
    }

    /// Asks until the vault is closed.
    fn work(mut self) -> Self {
        loop {
            let outcome = match self.random.below(16) {
                0..4 => self.write_own(),
                4..7 => self.read_own(),
                7 => self.remove_own(),
                8 => self.list_own(),
                9..13 => self.write_shared(),
                13 => self.make_and_revoke_a_token(),
                14 => self.change_a_policy(),
                _ => self.ask(Operation::Read, "nowhere/nothing", None).map(drop),
            };
            match outcome.as_ref().map_err(Error::code) {
                Ok(()) | Err(Code::Conflict | Code::CasMismatch | Code::NotFound) => {}
                Err(Code::Sealed) => thread::sleep(Duration::from_millis(1)),
                Err(Code::Closed) => return self,
                Err(_) => panic!("worker {}: {}", self.number, outcome.unwrap_err()),
            }
        }
    }

    fn own_path(&mut self) -> String {
        format!("own/{}/{}", self.number, self.random.below(OWN))
    }

    fn write_own(&mut self) -> Result<()> {
        let (path, value) = (self.own_path(), format!("{}-{}", self.number, self.asked));
        let data = Object::new().with("data", Object::new().with("value", value.as_str()));
        self.ask(Operation::Write, &format!("secret/data/{path}"), Some(data))?;
        self.own.insert(path, value);
        Ok(())
    }

    /// Nobody else writes there, so what is read is what was acknowledged last.
    fn read_own(&mut self) -> Result<()> {
        let path = self.own_path();
        let found = self.ask(Operation::Read, &format!("secret/data/{path}"), None);
        match (found, self.own.get(&path)) {
            (Ok(response), Some(value)) => assert_eq!(value_of(&response).as_deref(), Some(value.as_str()), "{path}"),
            (Err(error), None) if error.code() == Code::NotFound => {}
            (Err(error), _) if matches!(error.code(), Code::Sealed | Code::Closed) => return Err(error),
            (found, expected) => panic!("{path}: {:?} instead of {expected:?}", found.map(|response| value_of(&response))),
        }
        Ok(())
    }

    fn remove_own(&mut self) -> Result<()> {
        let path = self.own_path();
        self.ask(Operation::Delete, &format!("secret/metadata/{path}"), None)?;
        self.own.remove(&path);
        Ok(())
    }

    fn list_own(&mut self) -> Result<()> {
        let folder = format!("own/{}/", self.number);
        let names: Vec<String> = match self.ask(Operation::List, &format!("secret/metadata/{folder}"), None) {
            Ok(response) => {
                let keys = response.data.as_ref().and_then(|data| data.get("keys")).and_then(Value::as_array).unwrap();
                keys.iter().map(|name| format!("{folder}{}", name.as_str().unwrap())).collect()
            }
            Err(error) if error.code() == Code::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        assert!(names.iter().eq(self.own.keys()), "{names:?} instead of {:?}", self.own.keys());
        Ok(())
    }

    /// Reads a shared secret and writes its next version, unless somebody else was faster.
    fn write_shared(&mut self) -> Result<()> {
        let path = format!("shared/{}", self.random.below(SHARED));
        let cas = match self.ask(Operation::Read, &format!("secret/data/{path}"), None) {
            Ok(response) => response.data.as_ref().and_then(|data| data.get("metadata")?.get("version")).and_then(Value::as_u64).unwrap(),
            Err(error) if error.code() == Code::NotFound => 0,
            Err(error) => return Err(error),
        };
        let value = format!("{}-{}", self.number, self.asked);
        let data = Object::new().with("data", Object::new().with("value", value.as_str())).with("options", Object::new().with("cas", cas));
        self.ask(Operation::Write, &format!("secret/data/{path}"), Some(data))?;
        self.shared.push((path, cas + 1, value));
        Ok(())
    }

    /// A token that was revoked, and its child, answer as one that never was: from then on and to everybody.
    fn make_and_revoke_a_token(&mut self) -> Result<()> {
        let made = self.ask(Operation::Write, "auth/token/create", None)?.auth.unwrap();
        let parent = self.vault.session(made.client_token);
        let child = self.ask_as(&parent, Operation::Write, "auth/token/create", None)?.auth.unwrap();
        let child = self.vault.session(child.client_token);
        self.ask_as(&child, Operation::Read, "auth/token/lookup-self", None)?;
        self.ask_as(&parent, Operation::Write, "auth/token/revoke-self", None)?;
        for session in [parent, child] {
            match self.ask_as(&session, Operation::Read, "auth/token/lookup-self", None) {
                Err(error) if error.code() == Code::PermissionDenied => {}
                Err(error) => return Err(error),
                Ok(_) => panic!("a revoked token was used"),
            }
        }
        Ok(())
    }

    fn change_a_policy(&mut self) -> Result<()> {
        let text = format!("path \"secret/data/{}\" {{ capabilities = [\"read\"] }}", self.asked);
        let path = format!("sys/policies/acl/p{}", self.number);
        self.ask(Operation::Write, &path, Some(Object::new().with("policy", text.as_str())))?;
        let found = self.ask(Operation::Read, &path, None)?;
        assert_eq!(found.data.as_ref().and_then(|data| data.get("policy")).and_then(Value::as_str), Some(text.as_str()));
        Ok(())
    }
}

fn value_of(response: &Response) -> Option<String> {
    response.data.as_ref()?.get("data")?.get("value")?.as_str().map(str::to_owned)
}

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

/// What happens to the vault meanwhile, and how often.
#[derive(Debug, Default)]
struct Meanwhile {
    seals: AtomicU64,
    rolls: AtomicU64,
    ticks: AtomicU64,
    verifications: AtomicU64,
    backups: AtomicU64,
}

impl Meanwhile {
    /// Whether everything has happened.
    fn is_whole(&self) -> bool {
        let all = [&self.seals, &self.rolls, &self.ticks, &self.verifications, &self.backups];
        all.iter().all(|counter| counter.load(Ordering::Relaxed) > 0)
    }

    /// Does something again and again, until told to stop; what a sealed or closed vault refuses counts for nothing.
    fn again(name: &str, counter: &AtomicU64, stop: &AtomicBool, pause: Duration, mut what: impl FnMut() -> Result<()>) {
        while !stop.load(Ordering::Relaxed) {
            match what() {
                Ok(()) => _ = counter.fetch_add(1, Ordering::Relaxed),
                Err(error) => assert!(matches!(error.code(), Code::Sealed | Code::Closed | Code::Conflict), "{name}: {error}"),
            }
            thread::sleep(pause);
        }
    }
}

/// What became of a run.
struct Outcome {
    workers: Vec<Worker>,
    backup: Vec<u8>,
}

fn run(vault: &Vault, token: &str, seed: u64, seconds: u64, name: &str) -> Outcome {
    let meanwhile = Meanwhile::default();
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let millis = Duration::from_millis;
    let (workers, backup) = thread::scope(|scope| {
        let again = |name: &'static str, counter, pause, what: Box<dyn FnMut() -> Result<()> + Send>| {
            let stop = &stop;
            scope.spawn(move || Meanwhile::again(name, counter, stop, pause, what));
        };
        let root = |vault: &Vault| vault.session(SecretString::copy_from(token));
        let workers: Vec<_> = (1..=WORKERS)
            .map(|number| {
                let worker = Worker::new(vault, token, number, seed);
                scope.spawn(move || worker.work())
            })
            .collect();
        again(
            "seals",
            &meanwhile.seals,
            millis(60),
            Box::new(move || {
                let sealed = vault.seal()?;
                thread::sleep(millis(3));
                sealed.unseal(&key()).map(drop)
            }),
        );
        let rolling = root(vault);
        let roll = move || match rolling.request(Operation::Write, "sys/rotate", None) {
            // Too many data keys wait for the ticks to re-encrypt what is under them.
            Err(error) if error.code() == Code::InvalidRequest => Ok(()),
            rolled => rolled.map(drop),
        };
        again("rolls", &meanwhile.rolls, millis(100), Box::new(roll));
        again("ticks", &meanwhile.ticks, millis(5), Box::new(move || vault.tick().map(drop)));
        let verifying = root(vault);
        again(
            "verifications",
            &meanwhile.verifications,
            millis(50),
            Box::new(move || vault.verify().and_then(|_| verifying.audit().verify()).map(drop)),
        );
        let backing_up = root(vault);
        let (last, stop_backups, counter) = (parking_lot::Mutex::new(Vec::new()), &stop, &meanwhile.backups);
        let backups = scope.spawn(move || {
            Meanwhile::again("backups", counter, stop_backups, millis(100), || {
                let mut stream = Vec::new();
                backing_up.backup().to_writer(&mut stream, &BackupSeals::Own)?;
                *last.lock() = stream;
                Ok(())
            });
            last.into_inner()
        });
        let enough = Duration::from_secs(seconds);
        while start.elapsed() < enough || (!meanwhile.is_whole() && start.elapsed() < enough + PATIENCE) {
            thread::sleep(millis(20));
        }
        // While all of them are at work.
        let closed = vault.close();
        stop.store(true, Ordering::Relaxed);
        closed.unwrap();
        let workers: Vec<Worker> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        (workers, backups.join().unwrap())
    });
    let acknowledged: usize = workers.iter().map(|worker| worker.acknowledged.len()).sum();
    let refused: u64 = workers.iter().map(|worker| worker.refused).sum();
    eprintln!("{name}: {acknowledged} requests acknowledged, {refused} refused, {meanwhile:?}, {:.1?}", start.elapsed());
    assert!(acknowledged > 0 && meanwhile.is_whole(), "everything must have happened");
    Outcome { workers, backup }
}

/// What must hold of the store that the workers left behind.
fn check(vault: &Vault, token: &str, outcome: &Outcome) {
    vault.verify().unwrap();
    let root = vault.session(SecretString::copy_from(token));
    root.audit().verify().unwrap();
    for worker in &outcome.workers {
        for (path, value) in &worker.own {
            let found = root.kv("secret").get(path).unwrap();
            assert_eq!(found.data.get("value").and_then(Value::as_str), Some(value.as_str()), "{path} was acknowledged");
        }
        let folder = format!("own/{}", worker.number);
        let names = root.kv("secret").list(&folder).unwrap_or_default();
        assert_eq!(names.len(), worker.own.len(), "what was removed is gone: {names:?}");
    }
    check_shared(&root, outcome);
    check_log(&root, outcome);
}

/// Each version of a shared secret has one who wrote it, none is missing, and those that are kept hold what that one wrote.
fn check_shared(root: &Session, outcome: &Outcome) {
    let mut written: BTreeMap<&str, BTreeMap<u64, &str>> = BTreeMap::new();
    for (path, version, value) in outcome.workers.iter().flat_map(|worker| &worker.shared) {
        let before = written.entry(path).or_default().insert(*version, value);
        assert_eq!(before, None, "version {version} of {path} was acknowledged to two");
    }
    assert!(!written.is_empty());
    for (path, versions) in written {
        let last = root.kv("secret").metadata(path).unwrap().current_version;
        assert!(versions.keys().copied().eq(1..=last), "{path} has {last} versions, {} were acknowledged", versions.len());
        for (version, value) in versions.range(last.saturating_sub(VERSIONS_KEPT - 1)..) {
            let found = root.kv("secret").get_version(path, *version).unwrap();
            assert_eq!(found.data.get("value").and_then(Value::as_str), Some(*value), "version {version} of {path}");
        }
    }
}

/// Each request that was acknowledged is in the log once, as one that ended well.
fn check_log(root: &Session, outcome: &Outcome) {
    let mut recorded: BTreeSet<String> = BTreeSet::new();
    let mut after = 0;
    loop {
        let events = root.audit().events(after, 1_000).unwrap();
        for event in &events {
            after = event.get("sequence").and_then(Value::as_u64).unwrap();
            let id = event.get("correlation_id").and_then(Value::as_str);
            if let (Some(id), Some(0)) = (id, event.get("outcome").and_then(Value::as_u64)) {
                assert!(recorded.insert(id.to_owned()), "{id} is recorded twice");
            }
        }
        // Looking is recorded too, so there is always something new: a page that is not full is the last one of interest.
        if events.len() < 1_000 {
            break;
        }
    }
    for worker in &outcome.workers {
        for id in &worker.acknowledged {
            assert!(recorded.contains(id), "{id} was acknowledged and is not in the log");
        }
    }
}

/// Runs on a vault that `config` makes, and checks what `again` opens.
fn stress(name: &str, config: Config, again: impl FnOnce() -> Config) {
    let seed = number_from("LIBVAULT_SEED").unwrap_or(1);
    let seconds = number_from("LIBVAULT_STRESS_SECONDS").unwrap_or(SECONDS);
    eprintln!("{name}: LIBVAULT_SEED={seed}");
    let (vault, init) = Vault::create(config.with_audit_tail_bytes(64 * 1024), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let token = init.root_token.expose().to_owned();
    let outcome = run(&vault, &token, seed, seconds, name);
    assert!(vault.seal_status().closed && vault.tick().is_err());
    let vault = Vault::open(again().with_audit_tail_bytes(64 * 1024)).unwrap().unseal(&key()).unwrap();
    check(&vault, &token, &outcome);
    let (restored, _) = Vault::restore(Config::in_memory(), &mut outcome.backup.as_slice(), &key()).unwrap();
    restored.verify().unwrap();
}

#[test]
fn nothing_acknowledged_is_lost_in_memory() {
    let storage = Arc::new(MemoryStorage::new());
    let config = Config::on(Arc::clone(&storage) as Arc<dyn Storage>);
    stress("memory", config, || Config::on(Arc::new(storage.copy())));
}

/// A WAL in which two small commits have room.
const SMALL_WAL_BYTES: usize = 8 * 1024;

/// Over a backend as it is used, and where it is given what is in the WAL every few commits.
fn on_disk(backend: &str) {
    on_disk_with(backend, backend, |config| config);
    on_disk_with(&format!("{backend} with a small WAL"), backend, |config| config.with_wal_bytes(SMALL_WAL_BYTES));
}

fn on_disk_with(name: &str, backend: &str, with: impl Fn(Config) -> Config) {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("vault");
    let config = || with(Config::at(&place).with_backend(Backend::named(backend).unwrap()));
    stress(name, config(), config);
}

#[test]
#[cfg(feature = "sled")]
fn nothing_acknowledged_is_lost_over_sled() {
    on_disk("sled");
}

#[test]
#[cfg(feature = "redb")]
fn nothing_acknowledged_is_lost_over_redb() {
    on_disk("redb");
}

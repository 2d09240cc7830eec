//! Where the audit log goes: sinks that take it, fail, stall and come back; its export; and what is pruned once it has gone there.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and looks at files and threads"
)]

mod support;

use parking_lot::{Condvar, Mutex};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use vault_core::audit_proof::{ConsistencyProof, InclusionProof, verify_checkpoint};
use vault_core::host::{AuditLine, AuditSink, ManualClock, SinkError};
use vault_core::os::FileSink;
use vault_core::storage::faulty::{Fault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Code, Object, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{BackupSeals, Config, NewSeal, Session, UnsealKey, Vault};

const KEY: [u8; 32] = [7; 32];

/// A sink that keeps what it is given, fails when it is told to, and stalls until it is let go.
#[derive(Default)]
struct Keeper {
    lines: Mutex<Vec<AuditLine>>,
    fails: AtomicBool,
    panics: AtomicBool,
    calls: AtomicU64,
    stalls: Mutex<bool>,
    wake: Condvar,
}

impl Keeper {
    fn sequences(&self) -> Vec<u64> {
        self.lines.lock().iter().map(|line| line.sequence).collect()
    }

    fn stall(&self, stalls: bool) {
        *self.stalls.lock() = stalls;
        self.wake.notify_all();
    }
}

impl AuditSink for Keeper {
    fn name(&self) -> &str {
        "keeper"
    }

    fn deliver(&self, lines: &[AuditLine]) -> Result<(), SinkError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut stalls = self.stalls.lock();
        while *stalls {
            self.wake.wait(&mut stalls);
        }
        assert!(!self.panics.load(Ordering::Relaxed), "this sink panics");
        if self.fails.load(Ordering::Relaxed) {
            return Err(SinkError::new("the collector is down"));
        }
        self.lines.lock().extend_from_slice(lines);
        Ok(())
    }
}

fn small(config: Config) -> Config {
    config.with_audit_tail_bytes(2048)
}

fn create(config: Config) -> (Vault, String) {
    let (vault, init) = Vault::create(small(config), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let token = init.root_token.expose().to_owned();
    (vault, token)
}

fn open(config: Config, token: &str) -> (Vault, Session) {
    let vault = Vault::open(small(config)).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let session = vault.session(SecretString::copy_from(token));
    (vault, session)
}

fn session(vault: &Vault, token: &str) -> Session {
    vault.session(SecretString::copy_from(token))
}

fn put(root: &Session, path: &str, value: &str) {
    root.kv("secret").put(path, Object::new().with("value", value)).unwrap();
}

fn read(root: &Session, path: &str, data: Object) -> Value {
    root.request(Operation::Read, path, Some(data.into())).unwrap().data.unwrap()
}

fn write(root: &Session, path: &str, data: Object) -> Result<Value, Code> {
    root.request(Operation::Write, path, Some(data.into()))
        .map(|response| response.data.unwrap_or(Value::Null))
        .map_err(|error| error.code())
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap()
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap().to_owned()
}

/// The one row of the list of sinks.
fn status(root: &Session) -> Value {
    read(root, "sys/audit-log/sinks", Object::new()).get("sinks").unwrap().as_array().unwrap()[0].clone()
}

#[test]
fn a_sink_gets_every_event_in_order_from_the_beginning_and_goes_on_where_it_was() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, token) = create(Config::on(storage.clone()));
    let root = session(&vault, &token);
    (0..100).for_each(|i| put(&root, &format!("a/{i}"), "x"));
    drop((root, vault));
    let keeper = Arc::new(Keeper::default());
    let with = || Config::on(Arc::new(storage.copy())).with_audit_sink(keeper.clone());
    // The copy is what the sink's cursor lies in from now on.
    let kept = Arc::new(storage.copy());
    let (vault, root) = open(Config::on(kept.clone()).with_audit_sink(keeper.clone()), &token);
    vault.tick().unwrap();
    let events = root.audit().events(0, 1000).unwrap();
    let lines = keeper.lines.lock().clone();
    assert!(lines.len() >= 100, "{}", lines.len());
    assert_eq!(lines.iter().map(|line| line.sequence).collect::<Vec<_>>(), (1..=lines.len() as u64).collect::<Vec<_>>());
    for (line, event) in lines.iter().zip(&events) {
        assert_eq!(line.json.as_bytes(), event.to_json().as_slice());
        assert_eq!(line.time.to_string(), text(event, "time"));
    }
    vault.close().unwrap();
    let before = keeper.sequences().len();
    let (vault, root) = open(Config::on(Arc::new(kept.copy())).with_audit_sink(keeper.clone()), &token);
    put(&root, "b", "x");
    vault.tick().unwrap();
    vault.tick().unwrap();
    let sequences = keeper.sequences();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>(), "nothing twice after an orderly end");
    assert!(sequences.len() > before);
    let row = status(&root);
    assert_eq!((text(&row, "name").as_str(), number(&row, "failures")), ("keeper", 0));
    assert_eq!(number(&row, "sequence"), sequences.len() as u64);
    // An older copy of the store knows an older cursor: events come again, and none is left out.
    let (vault, _root) = open(with(), &token);
    vault.tick().unwrap();
    assert_eq!(keeper.sequences()[sequences.len()], 1);
}

#[test]
fn a_sink_that_fails_is_tried_ever_more_rarely_and_loses_nothing() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000_000_000)));
    let keeper = Arc::new(Keeper::default());
    let (vault, token) = create(Config::in_memory().with_clock(clock.clone()).with_audit_sink(keeper.clone()));
    let root = session(&vault, &token);
    keeper.fails.store(true, Ordering::Relaxed);
    put(&root, "x", "1");
    let mut waits = Vec::new();
    for _ in 0..9 {
        let before = keeper.calls.load(Ordering::Relaxed);
        let next = vault.tick().unwrap().unwrap();
        assert_eq!(keeper.calls.load(Ordering::Relaxed), before + 1);
        vault.tick().unwrap();
        assert_eq!(keeper.calls.load(Ordering::Relaxed), before + 1, "it rests");
        let row = status(&root);
        assert_eq!(text(&row, "error"), "the collector is down");
        let wait = next.as_millis() - clock_now(&clock);
        waits.push(wait / 1000);
        clock.advance(Ttl::from_secs(wait.div_ceil(1000)));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    keeper.fails.store(false, Ordering::Relaxed);
    put(&root, "x", "2");
    vault.tick().unwrap();
    let sequences = keeper.sequences();
    assert!(sequences.len() >= 3);
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    assert_eq!(number(&status(&root), "failures"), 0);
}

fn clock_now(clock: &ManualClock) -> u64 {
    use vault_core::host::Clock;
    clock.now().as_millis()
}

#[test]
fn a_sink_that_stalls_slows_no_request_and_no_other_tick() {
    let keeper = Arc::new(Keeper::default());
    let (vault, token) = create(Config::in_memory().with_audit_sink(keeper.clone()));
    let root = session(&vault, &token);
    keeper.stall(true);
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| vault.tick().unwrap());
        let start = Instant::now();
        while keeper.calls.load(Ordering::Relaxed) == 0 {
            assert!(start.elapsed() < Duration::from_secs(30), "the sink is called");
            std::thread::yield_now();
        }
        for i in 0..50 {
            put(&root, &format!("x/{i}"), "1");
            vault.tick().unwrap();
        }
        assert_eq!(keeper.calls.load(Ordering::Relaxed), 1, "one call at a time");
        keeper.stall(false);
        stalled.join().unwrap();
    });
    vault.tick().unwrap();
    let sequences = keeper.sequences();
    assert!(sequences.len() > 50);
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_sink_that_panics_harms_nothing_but_the_tick_that_called_it() {
    let keeper = Arc::new(Keeper::default());
    let (vault, token) = create(Config::in_memory().with_audit_sink(keeper.clone()));
    keeper.panics.store(true, Ordering::Relaxed);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| vault.tick())).is_err());
    keeper.panics.store(false, Ordering::Relaxed);
    put(&session(&vault, &token), "x", "1");
    vault.tick().unwrap();
    assert!(keeper.sequences().len() >= 2);
}

#[test]
fn after_a_crash_at_any_commit_a_sink_has_every_event_at_least_once_in_order() {
    for failing in 2..30 {
        for fault in [Fault::Lost, Fault::Applied] {
            let keeper = Arc::new(Keeper::default());
            let storage = Arc::new(FaultyStorage::default());
            let (vault, token) = create(Config::on(storage.clone()).with_audit_sink(keeper.clone()));
            storage.fail_commit(failing, fault);
            let root = session(&vault, &token);
            for i in 0..40 {
                if root.kv("secret").put("x", Object::new().with("value", i as u64)).is_err() || vault.tick().is_err() {
                    break;
                }
            }
            drop((root, vault));
            let (vault, root) = open(Config::on(Arc::new(storage.restart())).with_audit_sink(keeper.clone()), &token);
            vault.tick().unwrap();
            let newest = root.audit().events(0, 1000).unwrap();
            let sequences = keeper.sequences();
            let mut next = 1;
            for sequence in &sequences {
                assert!(*sequence <= next, "commit {failing}: {sequence} came where {next} was due");
                next = next.max(sequence + 1);
            }
            assert!(next > newest.len() as u64 - 1, "commit {failing}: {next} of {}", newest.len());
            // What came twice was the same event.
            let lines = keeper.lines.lock();
            for line in lines.iter() {
                let event = &newest[usize::try_from(line.sequence - 1).unwrap()];
                assert_eq!(line.json.as_bytes(), event.to_json().as_slice(), "commit {failing}, {fault:?}");
            }
        }
    }
}

#[test]
fn a_file_sink_is_private_follows_rotation_and_mends_a_torn_line() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let config = || Config::in_memory().with_audit_sink(Arc::new(FileSink::at("file", &path)));
    let (vault, token) = create(config());
    let root = session(&vault, &token);
    put(&root, "x", "1");
    vault.tick().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::rename(&path, dir.path().join("audit.1")).unwrap();
    put(&root, "x", "2");
    vault.tick().unwrap();
    fs::write(dir.path().join("other"), "{\"torn").unwrap();
    fs::rename(dir.path().join("other"), &path).unwrap();
    let torn_over = root.audit().events(0, 1000).unwrap().len();
    put(&root, "x", "3");
    vault.tick().unwrap();
    let parse = |line: &str| Value::from_json(line.as_bytes()).map(|event| number(&event, "sequence"));
    let first: Vec<u64> = fs::read_to_string(dir.path().join("audit.1")).unwrap().lines().map(|line| parse(line).unwrap()).collect();
    assert_eq!(first, (1..=first.len() as u64).collect::<Vec<_>>());
    let text = fs::read_to_string(&path).unwrap();
    let (torn, rest) = text.split_once('\n').unwrap();
    assert!(parse(torn).is_err());
    assert!(rest.lines().all(|line| parse(line).is_ok_and(|sequence| sequence as usize >= torn_over)), "{rest}");
    assert!(!text.contains(&token));
    let nowhere = FileSink::at("file", dir.path().join("no/such/directory"));
    let error = nowhere.deliver(&[]).unwrap_err().to_string();
    assert!(error.contains("writing the audit file"), "{error}");
}

#[test]
fn sinks_without_names_of_their_own_are_refused_before_anything_is_made() {
    let keeper = || Arc::new(Keeper::default());
    let config = Config::in_memory().with_audit_sink(keeper()).with_audit_sink(keeper());
    assert_eq!(Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap_err().code(), Code::InvalidRequest);
    let nameless = Config::in_memory().with_audit_sink(Arc::new(FileSink::at("", "x")));
    assert_eq!(Vault::create(nameless, NewSeal::raw_key(&KEY).unwrap()).unwrap_err().code(), Code::InvalidRequest);
}

#[test]
fn what_was_written_is_in_the_log_as_a_hash_that_can_be_looked_for() {
    let (vault, token) = create(Config::in_memory());
    let root = session(&vault, &token);
    let data = Object::new().with("password", "hunter2-canary").with("pin", 1234_u64).with("a/b", Value::from(vec![Value::string("in")]));
    root.kv("secret").put("app", data).unwrap();
    let event = root.audit().events(0, 1000).unwrap().pop().unwrap();
    let hash = |input: &str| text(&write(&root, "sys/audit-hash", Object::new().with("input", input)).unwrap(), "hash");
    let values = event.get("values").unwrap();
    let found = |pointer: &str| text(values, pointer);
    assert_eq!(found("/data/password"), hash("hunter2-canary"));
    assert_eq!(found("/data/pin"), hash("1234"));
    assert_eq!(found("/data/a~1b/0"), hash("in"));
    assert!(hash("x").starts_with("hmac-sha256:") && hash("x") != hash("y"));
    assert_eq!(
        write(&root, "sys/audit-hash/file", Object::new().with("input", "x")).unwrap().get("hash").unwrap().as_str().unwrap(),
        hash("x")
    );
    assert_eq!(write(&root, "sys/audit-hash", Object::new()).unwrap_err(), Code::InvalidData);
    let mut exported = Vec::new();
    root.audit().export(&mut exported, 0).unwrap();
    assert!(!String::from_utf8(exported).unwrap().contains("hunter2"));
    // Another vault hashes otherwise.
    let (other, token) = create(Config::in_memory());
    let other = text(&write(&session(&other, &token), "sys/audit-hash", Object::new().with("input", "x")).unwrap(), "hash");
    assert_ne!(other, hash("x"));
    let large = (0..1000).fold(Object::new(), |object, i| object.with(&i.to_string(), "v"));
    root.kv("secret").put("large", large).unwrap();
    let event = root.audit().events(0, 1000).unwrap().pop().unwrap();
    assert_eq!(event.get("values").unwrap().as_object().unwrap().len(), 64, "bounded");
}

#[test]
fn an_export_has_every_event_as_a_line_and_needs_sudo() {
    let (vault, token) = create(Config::in_memory());
    let root = session(&vault, &token);
    (0..200).for_each(|i| put(&root, &format!("a/{i}"), "x"));
    let export = |after| {
        let mut bytes = Vec::new();
        let count = root.audit().export(&mut bytes, after).unwrap();
        let lines: Vec<u64> =
            String::from_utf8(bytes).unwrap().lines().map(|line| number(&Value::from_json(line.as_bytes()).unwrap(), "sequence")).collect();
        assert_eq!(lines.len() as u64, count);
        lines
    };
    let all = export(0);
    assert!(all.len() > 200);
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(export(150)[0], 151, "from within a segment");
    assert!(export(1_000_000).is_empty());
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert_eq!(root.audit().export(&mut Full, 0).unwrap_err().code(), Code::Unavailable);
    root.policies().write("p", "path \"sys/audit-log/*\" { capabilities = [\"read\", \"update\", \"list\", \"delete\"] }").unwrap();
    let policies = vault_core::TokenOptions { policies: vec!["p".to_owned()], ..Default::default() };
    let weak = vault.session(root.tokens().create(policies).unwrap().client_token);
    assert_eq!(weak.audit().export(&mut Vec::new(), 0).unwrap_err().code(), Code::PermissionDenied);
    for (operation, path) in [
        (Operation::Read, "sys/audit-log/sinks"),
        (Operation::Delete, "sys/audit-log/sinks/x"),
        (Operation::Read, "sys/audit-log/retention"),
        (Operation::Write, "sys/audit-log/retention"),
        (Operation::Write, "sys/audit-log/prune"),
    ] {
        assert_eq!(weak.request(operation, path, None).unwrap_err().code(), Code::PermissionDenied, "{path}");
    }
}

#[test]
fn pruning_waits_for_sinks_and_leaves_a_log_that_verifies_and_proves() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("vault");
    let keeper = Arc::new(Keeper::default());
    let config = || Config::at(&place).with_backend(support::backend()).with_audit_sink(keeper.clone());
    let (vault, token) = create(config());
    let root = session(&vault, &token);
    (0..100).for_each(|i| put(&root, &format!("a/{i}"), "x"));
    let key = text(&read(&root, "sys/audit-log/public-key", Object::new()), "key");
    let note = |root: &Session| text(&read(root, "sys/audit-log/checkpoint", Object::new()), "checkpoint");
    let old_note = note(&root);
    let old = verify_checkpoint(&old_note, &key).unwrap();
    let whole = root.audit().verify().unwrap();
    assert!(whole.segments > 5);
    assert_eq!(
        write(&root, "sys/audit-log/prune", Object::new().with("before", 60_u64)).unwrap_err(),
        Code::InvalidRequest,
        "the sink is behind"
    );
    vault.tick().unwrap();
    let files = || fs::read_dir(place.join("audit")).unwrap().count() as u64;
    let before = files();
    let pruned = write(&root, "sys/audit-log/prune", Object::new().with("before", 60_u64)).unwrap();
    let gone = number(&pruned, "pruned");
    assert!((40..60).contains(&gone), "{gone}");
    let at = verify_checkpoint(&text(&pruned, "checkpoint"), &key).unwrap();
    assert_eq!(at.size, gone);
    vault.tick().unwrap();
    assert!(files() < before);
    let check = |vault: &Vault, root: &Session| {
        vault.verify().unwrap();
        let now = root.audit().verify().unwrap();
        assert!(now.segments >= 1);
        let events = root.audit().events(0, 1000).unwrap();
        assert_eq!(number(&events[0], "sequence"), gone + 1);
        let newest = verify_checkpoint(&note(root), &key).unwrap();
        let consistency = |from: u64| {
            let data = Object::new().with("from", from).with("to", newest.size);
            root.request(Operation::Read, "sys/audit-log/proof/consistency", Some(data.into())).map(|response| response.data.unwrap())
        };
        ConsistencyProof::from_value(&consistency(old.size).unwrap()).unwrap().verify(&old, &newest).unwrap();
        ConsistencyProof::from_value(&consistency(gone).unwrap()).unwrap().verify(&at, &newest).unwrap();
        assert_eq!(consistency(3).unwrap_err().code(), Code::InvalidRequest);
        let inclusion = |sequence: u64| {
            let data = Object::new().with("sequence", sequence).with("size", newest.size);
            root.request(Operation::Read, "sys/audit-log/proof/inclusion", Some(data.into())).map(|response| response.data.unwrap())
        };
        InclusionProof::from_value(&inclusion(gone + 1).unwrap()).unwrap().verify(&newest).unwrap();
        InclusionProof::from_value(&inclusion(newest.size).unwrap()).unwrap().verify(&newest).unwrap();
        assert_eq!(inclusion(gone).unwrap_err().code(), Code::InvalidRequest);
    };
    check(&vault, &root);
    assert_eq!(
        number(&write(&root, "sys/audit-log/prune", Object::new().with("before", 1_u64)).unwrap(), "pruned"),
        gone,
        "nothing comes back"
    );
    // A backup of what is left is restored, and reopening finds all of it.
    let mut backup = Vec::new();
    root.backup().to_writer(&mut backup, &BackupSeals::Own).unwrap();
    let (copy, _) = Vault::restore(small(Config::in_memory()), &mut &backup[..], &UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    session(&copy, &token).audit().verify().unwrap();
    vault.close().unwrap();
    // What a crash has left of the pruned files goes at the next opening's first tick.
    fs::write(place.join("audit/00000001.seg"), "left").unwrap();
    let (vault, root) = open(config(), &token);
    check(&vault, &root);
    vault.tick().unwrap();
    assert!(!place.join("audit/00000001.seg").exists());
    check(&vault, &root);
    // A sink that is no longer there holds the log until it is forgotten.
    vault.close().unwrap();
    let (vault, root) = open(Config::at(&place), &token);
    (0..30).for_each(|i| put(&root, &format!("b/{i}"), "x"));
    let prune = Object::new().with("before", 130_u64);
    assert_eq!(write(&root, "sys/audit-log/prune", prune.clone()).unwrap_err(), Code::InvalidRequest);
    assert_eq!(status(&root).get("attached").and_then(Value::as_bool), Some(false));
    root.request(Operation::Delete, "sys/audit-log/sinks/keeper", None).unwrap();
    assert_eq!(root.request(Operation::Delete, "sys/audit-log/sinks/keeper", None).unwrap_err().code(), Code::NotFound);
    assert!(number(&write(&root, "sys/audit-log/prune", prune).unwrap(), "pruned") > gone);
    vault.verify().unwrap();
}

#[test]
fn retention_prunes_by_the_clock_and_not_before_the_sinks() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000_000_000)));
    let keeper = Arc::new(Keeper::default());
    let (vault, token) = create(Config::in_memory().with_clock(clock.clone()).with_audit_sink(keeper.clone()));
    let root = session(&vault, &token);
    assert_eq!(write(&root, "sys/audit-log/retention", Object::new()).unwrap_err(), Code::InvalidData);
    write(&root, "sys/audit-log/retention", Object::new().with("retain", "90d")).unwrap();
    (0..60).for_each(|i| put(&root, &format!("a/{i}"), "x"));
    keeper.fails.store(true, Ordering::Relaxed);
    vault.tick().unwrap();
    let pruned = || number(&read(&root, "sys/audit-log/retention", Object::new()), "pruned");
    assert_eq!(pruned(), 0);
    clock.advance(Ttl::from_secs(91 * 24 * 3600));
    vault.tick().unwrap();
    assert_eq!(pruned(), 0, "the sink has nothing of it yet");
    keeper.fails.store(false, Ordering::Relaxed);
    clock.advance(Ttl::from_secs(61));
    (0..20).for_each(|_| _ = vault.tick().unwrap());
    let gone = pruned();
    assert!(gone > 40, "{gone}");
    vault.verify().unwrap();
    (0..60).for_each(|i| put(&root, &format!("b/{i}"), "x"));
    (0..20).for_each(|_| _ = vault.tick().unwrap());
    assert!(pruned() < gone + 60, "what is young stays");
    let own = root.audit().events(0, 1000).unwrap().into_iter().find(|event| text(event, "operation") == "prune");
    assert_eq!(text(&own.unwrap(), "path"), "sys/audit-log/prune");
}

#[test]
fn a_crash_at_any_commit_of_pruning_leaves_a_log_that_verifies() {
    for failing in 2..60 {
        for fault in [Fault::Lost, Fault::Applied] {
            let storage = Arc::new(FaultyStorage::default());
            let (vault, token) = create(Config::on(storage.clone()));
            storage.fail_commit(failing, fault);
            let root = session(&vault, &token);
            for i in 0..100_u64 {
                let put = root.kv("secret").put("x", Object::new().with("value", i));
                let pruned = i % 10 != 9 || write(&root, "sys/audit-log/prune", Object::new().with("before", i)).is_ok();
                if put.is_err() || !pruned || vault.tick().is_err() {
                    break;
                }
            }
            drop((root, vault));
            let (vault, root) = open(Config::on(Arc::new(storage.restart())), &token);
            vault.verify().unwrap();
            vault.tick().unwrap();
            root.audit().verify().unwrap();
        }
    }
}

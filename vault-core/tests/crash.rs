//! A process that is killed, or whose device fails, loses no write that it acknowledged and leaves no half of another.
//!
//! The tests start this very binary again as a writer. `LIBVAULT_KILL_ROUNDS` says how often it is killed, `LIBVAULT_SEED` replays a run;
//! with `LIBVAULT_TEST_WAL_BYTES=8192` the engine is given what is in the WAL every few commits.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells what it has seen"
)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use support::{PLACE, Random, TOKEN, backend, child, child_args, create, member, number_from, open, text_of, wal_bytes};
use vault_core::storage::Backend;
use vault_core::types::{Code, Operation, SecretString};
use vault_core::{Session, Vault};

const THREADS: u64 = 3;
/// Secrets that each thread writes in turn.
const KEYS: u64 = 8;
const ROUNDS: u64 = 200;
/// Bytes of the longest text; only every other one of its key is so long.
const LONGEST: usize = 150_000;
/// Most writes of a thread in one life.
const WRITES_MAX: u64 = 10_000;
/// Where each thread goes on counting.
const FROM: &str = "LIBVAULT_TEST_FROM";
/// Set where the keys are rolled while the writers write.
const CHORES: &str = "LIBVAULT_TEST_CHORES";

fn path_of(thread: u64, number: u64) -> String {
    format!("t{thread}/k{}", number % KEYS)
}

/// The value with this number: mostly small, sometimes in several chunks of the store.
fn text(thread: u64, number: u64) -> String {
    let length = match number % 16 {
        5 => 20_000,
        11 => LONGEST,
        _ => 40 + usize::try_from(number % 900).unwrap(),
    };
    let mut text = format!("{thread} {number} ");
    while text.len() < length {
        text.push_str(&(number * 31 + text.len() as u64).to_string());
    }
    text
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // One write for each line: a kill leaves it whole or not at all.
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[test]
#[ignore = "the process that the other tests kill"]
fn writer() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let token = std::env::var(TOKEN).unwrap();
    let from: Vec<u64> = std::env::var(FROM).unwrap().split(',').map(|number| number.parse().unwrap()).collect();
    // The test harness has begun a line of its own.
    say("");
    let vault = match open(Path::new(&place)) {
        Ok(vault) => vault,
        Err(error) => return say(&format!("failed {}", error.code().number())),
    };
    say("open");
    thread::scope(|scope| {
        for (thread, from) in (0..).zip(from) {
            let session = vault.session(SecretString::copy_from(&token));
            scope.spawn(move || write_until_failure(&session, thread, from));
        }
        if std::env::var_os(CHORES).is_some() {
            let session = vault.session(SecretString::copy_from(&token));
            scope.spawn(|| roll_until_failure(&vault, session));
        }
    });
    let codes = [vault.verify().map(drop), vault.tick().map(drop), vault.seal().map(drop)].map(|outcome| code_of(outcome).to_string());
    say(&format!("after {}", codes.join(" ")));
}

fn write_until_failure(session: &Session, thread: u64, from: u64) {
    // A writer that nobody stops would fill the disk.
    for number in from..from + WRITES_MAX {
        let kv = session.kv("secret");
        let outcome = kv.put(&path_of(thread, number), member(&text(thread, number)));
        if let Err(error) = outcome {
            say(&format!("failed {}", error.code().number()));
            let again = code_of(kv.put("again", member("x")).map(drop));
            return say(&format!("after {again} {}", code_of(kv.get("again").map(drop))));
        }
        say(&format!("ack {thread} {number}"));
    }
}

/// Rolls the data keys again and again, and lets the re-encryption run, while others write.
fn roll_until_failure(vault: &Vault, session: Session) {
    loop {
        let rolled = session.request(Operation::Write, "sys/rotate", None);
        // Too many keys wait for the re-encryption: that is what the ticks below do.
        if rolled.is_err_and(|error| error.code() != Code::InvalidRequest) || (0..20).any(|_| vault.tick().is_err()) {
            return;
        }
    }
}

fn code_of(outcome: vault_core::types::Result<()>) -> i32 {
    outcome.map_or_else(|error| error.code().number(), |()| 0)
}

/// A store, and what it must hold.
struct Ledger {
    place: std::path::PathBuf,
    token: String,
    /// The numbers that were written to each secret, in order: version 1 is the first.
    history: BTreeMap<String, Vec<u64>>,
    /// The number that each thread writes next.
    next: [u64; THREADS as usize],
}

impl Ledger {
    fn new(dir: &Path) -> Self {
        let place = dir.join("vault");
        let (vault, token) = create(&place);
        vault.close().unwrap();
        if let Some(bytes) = wal_bytes() {
            assert_eq!(
                std::fs::metadata(place.join("WAL")).unwrap().len(),
                bytes as u64,
                "the engine is given the WAL as often as was asked for"
            );
        }
        Ledger { place, token, history: BTreeMap::new(), next: [0; THREADS as usize] }
    }

    fn writer(&self, mut command: Command) -> Child {
        let from = self.next.map(|number| number.to_string()).join(",");
        command.env(PLACE, &self.place).env(TOKEN, &self.token).env(FROM, from);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Notes what was acknowledged.
    fn note(&mut self, lines: &[String]) {
        for line in lines {
            let Some(rest) = line.strip_prefix("ack ") else { continue };
            let (thread, number) = rest.split_once(' ').unwrap();
            let (thread, number): (u64, u64) = (thread.parse().unwrap(), number.parse().unwrap());
            let next = &mut self.next[usize::try_from(thread).unwrap()];
            assert_eq!(*next, number, "thread {thread} counts on");
            *next += 1;
            self.history.entry(path_of(thread, number)).or_default().push(number);
        }
    }

    /// Reopens the store: it verifies, has all that was acknowledged, and of what was not, each write whole or not at all.
    fn check(&mut self) {
        let vault = open(&self.place).unwrap();
        vault.verify().unwrap();
        let root = vault.session(SecretString::copy_from(&self.token));
        root.audit().verify().unwrap();
        for thread in 0..THREADS {
            let in_flight = self.next[usize::try_from(thread).unwrap()];
            for key in 0..KEYS {
                let path = path_of(thread, key);
                let history = self.history.entry(path.clone()).or_default();
                let current = match root.kv("secret").metadata(&path) {
                    Ok(metadata) => metadata.current_version,
                    Err(error) => {
                        assert_eq!(error.code(), Code::NotFound, "{path}: {error}");
                        0
                    }
                };
                if current == history.len() as u64 + 1 && in_flight % KEYS == key {
                    history.push(in_flight);
                    self.next[usize::try_from(thread).unwrap()] += 1;
                }
                assert_eq!(current, history.len() as u64, "versions of {path}");
                check_versions(&root, thread, &path, history);
            }
        }
        vault.close().unwrap();
    }
}

/// The newest versions of a secret hold what was written to it.
fn check_versions(root: &Session, thread: u64, path: &str, history: &[u64]) {
    for (version, number) in (1..).zip(history).skip(history.len().saturating_sub(3)) {
        let secret = root.kv("secret").get_version(path, version).unwrap();
        assert!(text_of(&secret.data) == text(thread, *number), "version {version} of {path} is number {number}");
    }
}

/// Lines that a child has said; the last one only when it is whole.
fn listen(child: &mut Child) -> (mpsc::Receiver<()>, thread::JoinHandle<Vec<String>>) {
    let (opened, open) = mpsc::channel();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let listener = thread::spawn(move || {
        let mut lines = Vec::new();
        let mut line = String::new();
        while out.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            if line == "open\n" {
                opened.send(()).unwrap_or_default();
            }
            lines.push(line.trim_end().to_owned());
            line.clear();
        }
        lines
    });
    (open, listener)
}

#[test]
fn a_vault_that_is_killed_at_any_instant_keeps_every_acknowledged_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::seeded();
    let mut ledger = Ledger::new(dir.path());
    let rounds = number_from("LIBVAULT_KILL_ROUNDS").unwrap_or(ROUNDS);
    let start = Instant::now();
    let mut opened = 0;
    for round in 0..rounds {
        let mut command = child("writer");
        // In every other life the keys are rolled meanwhile.
        if round % 2 == 0 {
            command.env(CHORES, "1");
        }
        let mut writer = ledger.writer(command);
        let (open, listener) = listen(&mut writer);
        // Every fourth one dies while it opens the store, or not long after.
        if round % 4 == 3 {
            thread::sleep(Duration::from_micros(random.below(20_000)));
        } else {
            assert!(open.recv_timeout(Duration::from_secs(60)).is_ok(), "round {round}: the writer opens the store");
            thread::sleep(Duration::from_micros(5_000 + random.below(55_000)));
        }
        writer.kill().unwrap();
        let status = writer.wait().unwrap();
        let lines = listener.join().unwrap();
        assert!(status.code().is_none(), "round {round}: it was the kill that ended it: {status} {lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("failed")), "round {round}: no write failed: {lines:?}");
        opened += u64::from(lines.iter().any(|line| line == "open"));
        ledger.note(&lines);
        ledger.check();
    }
    let written: u64 = ledger.next.iter().sum();
    assert!(written >= rounds, "only {written} writes in {rounds} rounds");
    eprintln!("{rounds} kills, {opened} of them after the opening, {written} writes, {:?}", start.elapsed());
}

/// What a writer has said whose `nth` fdatasync of each thread failed.
fn write_with_failing_sync(ledger: &Ledger, nth: u64) -> Vec<String> {
    let mut command = Command::new("strace");
    // strace injects only into calls that it traces; what it prints of them is not looked at.
    command.args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fdatasync"]);
    command.args(["-e", &format!("inject=fdatasync:error=EIO:when={nth}"), "--"]);
    command.arg(std::env::current_exe().unwrap()).args(child_args("writer"));
    let mut writer = ledger.writer(command);
    let (_open, listener) = listen(&mut writer);
    let status = writer.wait().unwrap();
    let lines = listener.join().unwrap();
    assert!(status.success(), "the writer under strace ends by itself ({status}; is ptrace allowed?): {lines:?}");
    lines
}

/// Chunks of 4 KiB that sled is handed before one sync: 24 KiB less what another one would take.
const CHUNKS_PER_SYNC: usize = 5;
/// Syncs that a write costs over sled at the most: one of the WAL; those behind the chunks of one longest text, which is new or laid among the old
/// versions; one behind the chunks that are removed, and one behind all else.
const SYNCS_PER_WRITE: u64 = 1 + LONGEST.div_ceil(CHUNKS_PER_SYNC * 4096) as u64 + 1 + 1;
/// Syncs behind the removals where the audit tail becomes a segment: there are some 150 records in its 32 KiB, and 39 are removed before one.
const SYNCS_PER_SEGMENT: u64 = 4;

/// Writes that were acknowledged before this sync of a thread at the least.
fn least_acknowledged(nth: u64) -> u64 {
    match backend() {
        // The first one of a life finds the WAL empty: it costs one sync.
        Backend::Sled => (nth - 1).saturating_sub(SYNCS_PER_SEGMENT).div_ceil(SYNCS_PER_WRITE),
        _ => nth - 1,
    }
}

#[test]
fn a_commit_whose_sync_fails_is_not_acknowledged_and_the_vault_answers_unavailable_until_it_is_reopened() {
    let strace = Command::new("strace").arg("-V").output();
    assert!(strace.is_ok_and(|output| output.status.success()), "this test needs strace to make a sync fail: install it");
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    let poisoned = Code::Poisoned.number();
    let mut while_open = 0;
    for nth in [1, 2, 3, 5, 9, 14, 20, 30] {
        let lines = write_with_failing_sync(&ledger, nth);
        let acknowledged = lines.iter().filter(|line| line.starts_with("ack ")).count() as u64;
        let failed: Vec<&String> = lines.iter().filter(|line| line.starts_with("failed ")).collect();
        // The first thread's first syncs are those of the opening and the unsealing; each thread has its own count.
        if lines.iter().any(|line| line == "open") {
            assert_eq!(failed.len() as u64, THREADS, "sync {nth}: every writer learns of it: {lines:?}");
            assert!(failed.iter().all(|line| **line == format!("failed {poisoned}")), "sync {nth}: {lines:?}");
            assert!(acknowledged >= least_acknowledged(nth), "sync {nth}: all before it were acknowledged: {lines:?}");
            let after: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("after ")).collect();
            let (of_vault, of_threads) = after.split_last().unwrap();
            assert!(of_threads.iter().all(|codes| *codes == format!("{poisoned} {poisoned}")), "sync {nth}: {lines:?}");
            assert_eq!(*of_vault, format!("{poisoned} {poisoned} {poisoned}"), "sync {nth}: verify, tick and seal");
            while_open += 1;
        } else {
            let unavailable = [Code::Unavailable, Code::Poisoned].map(|code| format!("failed {}", code.number()));
            assert!(acknowledged == 0 && failed.len() == 1 && unavailable.contains(failed[0]), "sync {nth}: {lines:?}");
        }
        ledger.note(&lines);
        ledger.check();
    }
    assert!(while_open >= 3, "only {while_open} syncs failed once the vault was open");
}

#[test]
#[ignore = "the process that the next test kills while it creates a vault"]
fn creator() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    say("");
    say("open");
    create(Path::new(&place)).0.close().unwrap();
    say("created");
}

#[test]
fn a_creation_that_is_killed_leaves_a_whole_vault_or_room_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::seeded();
    let (mut whole, mut again) = (0, 0);
    for round in 0..40 {
        let place = dir.path().join(format!("vault{round}"));
        let mut creator = child("creator");
        let mut creator = creator.env(PLACE, &place).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (started, listener) = listen(&mut creator);
        started.recv_timeout(Duration::from_secs(60)).unwrap();
        thread::sleep(Duration::from_micros(random.below(25_000)));
        creator.kill().unwrap();
        creator.wait().unwrap();
        let created = listener.join().unwrap().iter().any(|line| line == "created");
        match open(&place) {
            Ok(vault) => {
                vault.verify().unwrap();
                whole += 1;
            }
            Err(error) => {
                assert!(!created, "round {round}: what was created opens: {error}");
                assert_eq!(error.code(), Code::NotAStore, "round {round}: {error}");
                create(&place).0.verify().unwrap();
                again += 1;
            }
        }
    }
    eprintln!("{whole} whole, {again} made again");
    assert!(whole + again == 40);
}

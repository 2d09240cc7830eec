//! Running an operation again and again, each time with another of its system calls going wrong.

use super::{OPERATION, begin_file};
use crate::support::{PLACE, Random, child, memory_dir, number_from, shim};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take before it counts as hanging.
const HANGS_AFTER: Duration = Duration::from_secs(20);
/// In a quick run one in so many faults is tried.
const EVERY: u64 = 5;
/// More calls than any operation has.
const CALLS_MAX: usize = 5_000;

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub name: &'static str,
    /// What the call answers; 0 when the process is killed instead.
    errno: i32,
    /// Whether all later calls fail as well.
    lasting: bool,
}

pub const FAULTS: [Fault; 5] = [
    Fault { name: "SIGKILL", errno: 0, lasting: false },
    Fault { name: "EIO", errno: 5, lasting: false },
    Fault { name: "ENOSPC", errno: 28, lasting: false },
    Fault { name: "EIO from there on", errno: 5, lasting: true },
    Fault { name: "ENOSPC from there on", errno: 28, lasting: true },
];

impl Fault {
    pub fn kills(&self) -> bool {
        self.errno == 0
    }
}

/// What became of one run.
pub struct Outcome {
    /// What the worker said.
    pub lines: Vec<String>,
    /// The call that went wrong, if the run came to it.
    pub call: Option<String>,
    pub fault: Fault,
    status: ExitStatus,
    stderr: String,
}

impl Outcome {
    /// What was said after `word`.
    pub fn said<'o>(&'o self, word: &'o str) -> impl Iterator<Item = &'o str> + 'o {
        self.lines.iter().filter_map(move |line| line.strip_prefix(word)).map(str::trim)
    }

    /// What the operation itself acknowledged.
    pub fn acknowledged(&self) -> Option<&str> {
        self.said("ack").next()
    }

    /// The codes of the failures that were told.
    pub fn codes(&self) -> Vec<&str> {
        self.said("failed").collect()
    }

    /// The worker ended as it should: killed, or by itself; it has not panicked, and has told failures as those of the device.
    fn check(&self) {
        let killed = self.call.is_some() && self.fault.kills();
        assert_eq!(self.status.signal(), killed.then_some(9), "it ended with {}: {}", self.status, self.stderr);
        assert!(killed || self.status.success(), "it ended with {}: {}", self.status, self.stderr);
        // sled panics where it does not know better; the engine makes an error of it, and what it has printed stays.
        let panics = self.stderr.lines().filter(|line| line.contains("panicked at") && !line.contains("/sled-0.34.7/"));
        assert_eq!(panics.count(), 0, "it panicked: {}", self.stderr);
        for code in self.codes() {
            assert!(code.starts_with('7'), "a failure of the device is told as {code}");
        }
        if self.call.is_none() {
            assert!(self.codes().is_empty(), "nothing went wrong, and yet it failed");
        }
    }
}

/// Where a run lies: the directory whose calls are counted, and beside it what the run says.
pub struct Scene {
    /// Dropped with the scene.
    dir: tempfile::TempDir,
}

impl Scene {
    pub fn new() -> Self {
        // A fault needs no disk, and a thousand runs are tried.
        let dir = memory_dir();
        fs::create_dir(dir.path().join("counted")).unwrap();
        Scene { dir }
    }

    fn counted(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("counted")
    }

    pub fn place(&self) -> PathBuf {
        self.counted().join("vault")
    }

    pub fn beside(&self, name: &str) -> PathBuf {
        self.counted().join(name)
    }

    /// A worker whose call number `at` goes wrong, not yet started.
    pub fn worker(&self, operation: &str, fault: Fault, at: u64, extra: &[(&str, String)]) -> Command {
        let mut command = child("worker");
        command
            .env("RUST_BACKTRACE", "0")
            .env(OPERATION, operation)
            .env(PLACE, self.place())
            .envs(extra.iter().map(|(name, value)| (*name, value)));
        command.env("LD_PRELOAD", shim("faults")).env("FAULTS_DIR", self.counted()).env("FAULTS_REPORT", self.dir.path().join("report"));
        command.env("FAULTS_AT", at.to_string()).env("FAULTS_ERRNO", fault.errno.to_string());
        command.env("FAULTS_LASTING", u8::from(fault.lasting).to_string());
        assert_eq!(begin_file(&self.place()).parent(), Some(&*self.counted()));
        command
    }

    /// Runs the worker to its end.
    pub fn run(&self, mut command: Command, fault: Fault) -> Outcome {
        let file = |name: &str| File::create(self.dir.path().join(name)).unwrap();
        let text = |name: &str| fs::read_to_string(self.dir.path().join(name)).ok();
        let mut worker = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn().unwrap();
        let start = Instant::now();
        let status = loop {
            if let Some(status) = worker.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > HANGS_AFTER {
                worker.kill().unwrap();
                panic!("it hangs: {:?} {:?} {:?}", text("report"), text("out"), text("err"));
            }
            thread::sleep(Duration::from_millis(1));
        };
        let lines = text("out").unwrap().lines().map(str::to_owned).collect();
        Outcome { lines, call: text("report"), fault, status, stderr: text("err").unwrap() }
    }
}

/// Tries the faults of an operation: all of them, or one in so many. `prepare` lays out each scene anew, and `check` looks at what is left.
pub fn explore(operation: &str, prepare: &dyn Fn(&Scene) -> Vec<(&'static str, String)>, check: &dyn Fn(&Scene, &Outcome)) {
    let every = number_from("LIBVAULT_FAULTS_EVERY").unwrap_or(EVERY);
    let mut random = Random::seeded();
    let start = Instant::now();
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    let (mut told, mut failures) = (Vec::new(), Vec::new());
    for fault in FAULTS {
        let (mut injected, mut called) = (0_u64, 0);
        for at in (1 + random.below(every)..).step_by(usize::try_from(every).unwrap()).take(CALLS_MAX) {
            let scene = Scene::new();
            let extra = prepare(&scene);
            let outcome = scene.run(scene.worker(operation, fault, at, &extra), fault);
            let name = || format!("{operation}: {} at call {at} ({})", fault.name, outcome.call.as_deref().unwrap_or("none").trim());
            let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                outcome.check();
                check(&scene, &outcome);
            }));
            if let Err(panic) = judged {
                let why = panic.downcast_ref::<String>().map_or("a panic without words", String::as_str);
                failures.push(format!("{}: {why}; it said {:?}", name(), outcome.lines));
            }
            outcome.codes().iter().for_each(|code| *codes.entry((*code).to_owned()).or_default() += 1);
            if outcome.call.is_none() {
                break;
            }
            called = at;
            injected += 1;
        }
        told.push(format!("{} {injected} (up to call {called})", fault.name));
    }
    eprintln!("{operation}: one in {every}: {}; failures by code {codes:?}; {:.1?}", told.join(", "), start.elapsed());
    assert!(failures.is_empty(), "{} faults did harm:\n{}", failures.len(), failures.join("\n"));
}

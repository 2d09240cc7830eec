//! Whatever a power cut leaves of a store opens, verifies, has what was acknowledged and the rest whole or not at all, and goes on; also after
//! a second cut while it is opened.
//!
//! The tests start this very binary again as a worker, with a shim (`powercut/shim.c`) that writes down each call by which it changes a directory:
//! `record` reads that, `disk` says what of it a cut may leave, `draw` and `explore` choose states, `opener` opens them, `epoch` judges them.
//! `LIBVAULT_POWERCUT_STATES` says how many are tried; `LIBVAULT_SEED` replays a run but for the order of sled's threads;
//! so the records of one that failed are kept, and `LIBVAULT_POWERCUT_RECORDS` names their directory to have them taken instead of new ones.
#![cfg(all(feature = "sled", feature = "redb"))]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking, and tells what it has seen"
)]

#[path = "powercut/disk.rs"]
mod disk;
#[path = "powercut/draw.rs"]
mod draw;
#[path = "powercut/epoch.rs"]
mod epoch;
#[path = "powercut/explore.rs"]
mod explore;
#[path = "powercut/model.rs"]
mod model;
#[path = "powercut/opener.rs"]
mod opener;
#[path = "powercut/record.rs"]
mod record;
#[path = "powercut/story.rs"]
mod story;
mod support;
#[path = "powercut/tree.rs"]
mod tree;
#[path = "powercut/worker.rs"]
mod worker;

use disk::{Disk, Fate, Model};
use explore::{Recorded, Tally, engine_file, explore};
use record::{Op, Record};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use story::{RUNS, Run};
use support::{PLACE, Random, child, memory_dir, number_from, shim};
use tree::Tree;
use vault_core::Config;
use vault_core::storage::Backend;

/// Tells a child its backend.
const BACKEND: &str = "LIBVAULT_TEST_BACKEND";
/// Tells the worker its run.
const RUN: &str = "LIBVAULT_TEST_RUN";
/// Tells the worker its seed.
const RUN_SEED: &str = "LIBVAULT_TEST_SEED";
/// States that are tried of each backend in a quick run.
const STATES: u64 = 500;
/// States that are tried of each store that forgets something.
const WEAKENED_STATES: u64 = 120;
/// Failures that are told.
const TOLD_MAX: usize = 20;

/// A vault at a place. The audit tail is small, so that segments are written.
fn config(place: &Path) -> Config {
    support::config(place).with_audit_tail_bytes(1024)
}

fn say(line: &str) {
    // One write for each line, which the shim writes down.
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn fresh_seed(random: &mut Random) -> u64 {
    random.below(1 << 40)
}

#[test]
#[ignore = "the process whose run is recorded"]
fn worker() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    say("");
    worker::work(Run::named(&std::env::var(RUN).unwrap()), Path::new(&place), number_from(RUN_SEED).unwrap());
}

#[test]
#[ignore = "the process that opens what a cut has left"]
fn opener() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    say("");
    opener::serve(Path::new(&place));
}

/// Where states lie: the directory that is recorded, and beside it what is said.
struct Scene {
    /// Dropped with the scene.
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Scene { dir: memory_dir() };
        fs::create_dir(scene.recorded()).unwrap();
        scene
    }

    fn recorded(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("recorded")
    }

    fn place(&self) -> PathBuf {
        self.recorded().join("vault")
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn preload(&self, command: &mut Command) {
        command.env("LD_PRELOAD", shim("powercut")).env("POWERCUT_DIR", self.recorded()).env("POWERCUT_RECORD", self.beside("record"));
    }

    /// A worker, not yet started.
    fn worker(&self, run: Run, backend: Backend, seed: u64) -> Command {
        let mut worker = child("worker");
        worker.env(PLACE, self.place()).env(BACKEND, backend.name()).env(RUN, run.name()).env(RUN_SEED, seed.to_string());
        self.preload(&mut worker);
        worker
    }

    /// Lets a worker do its work in an empty directory.
    fn work(&self, mut worker: Command) -> (Record, Vec<u8>) {
        let file = |name: &str| File::create(self.beside(name)).unwrap();
        let status = worker.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).status().unwrap();
        assert!(status.success(), "the worker ends well: {}", fs::read_to_string(self.beside("err")).unwrap());
        self.record(&Tree::default(), &HashMap::new())
    }

    /// What was recorded over a directory that held `tree`. Replayed as a whole it gives the directory as it is now, byte for byte:
    /// the shim has missed nothing.
    fn record(&self, tree: &Tree, inodes: &HashMap<String, u64>) -> (Record, Vec<u8>) {
        let bytes = fs::read(self.beside("record")).unwrap();
        let record = Record::parse(&bytes, tree, inodes);
        let mut disk = Disk::new(&record, Model::Adversarial);
        disk.advance(record.ops.len());
        let replayed = disk.tree(&vec![Fate::Keep; disk.pending.len()]);
        let found = Tree::read(&self.recorded());
        assert!(replayed == found, "the record is whole: {:?}", replayed.differences(&found));
        (record, bytes)
    }
}

/// Records a run, or takes a record that was kept.
fn record(run: Run, backend: Backend, seed: u64) -> Recorded {
    if let Some(kept) = std::env::var_os("LIBVAULT_POWERCUT_RECORDS") {
        let bytes = fs::read(Path::new(&kept).join(kept_name(run, backend))).unwrap();
        return Recorded { run, backend, seed, record: Record::parse(&bytes, &Tree::default(), &HashMap::new()), bytes };
    }
    let scene = Scene::new();
    let (record, bytes) = scene.work(scene.worker(run, backend, seed));
    Recorded { run, backend, seed, record, bytes }
}

fn kept_name(run: Run, backend: Backend) -> String {
    format!("{}-{}", backend.name(), run.name())
}

/// Prints what was tried.
fn print(backend: Backend, tally: &Tally, start: Instant) {
    eprintln!("| backend | names | phase | states | distinct | of second cuts | failures |\n| --- | --- | --- | --- | --- | --- | --- |");
    let mut sums = [0; 4];
    for ((model, phase), row) in &tally.rows {
        let figures = [row.states, row.distinct, row.seconds, row.failures];
        sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
        eprintln!("| {} | {model} | {phase} | {} |", backend.name(), figures.map(|figure| figure.to_string()).join(" | "));
    }
    eprintln!("| {} | both | all | {} |", backend.name(), sums.map(|sum| sum.to_string()).join(" | "));
    eprintln!("{:.1?}", start.elapsed());
}

/// Fails if a state was wrong, and keeps the records.
fn judge(backend: Backend, runs: &[Recorded], tally: &Tally) {
    if tally.failures.is_empty() {
        return;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("powercut");
    fs::create_dir_all(&dir).unwrap();
    runs.iter().for_each(|recorded| fs::write(dir.join(kept_name(recorded.run, backend)), &recorded.bytes).unwrap());
    let told: Vec<&str> = tally.failures.iter().take(TOLD_MAX).map(String::as_str).collect();
    let (count, dir) = (tally.failures.len(), dir.display());
    panic!("{count} states are wrong; with LIBVAULT_POWERCUT_RECORDS={dir} it is the same runs again:\n{}", told.join("\n\n"));
}

fn cut(backend: Backend, runs: &[Run]) -> Tally {
    let mut random = Random::seeded();
    let start = Instant::now();
    let runs: Vec<Recorded> = runs.iter().map(|run| record(*run, backend, fresh_seed(&mut random))).collect();
    let states = number_from("LIBVAULT_POWERCUT_STATES").unwrap_or(STATES);
    let tally = explore(&runs, backend, states, &mut random);
    print(backend, &tally, start);
    judge(backend, &runs, &tally);
    tally
}

#[test]
fn a_power_cut_loses_nothing_over_sled() {
    cut(Backend::Sled, &RUNS);
}

/// Once a loss: `storage/sled/load.rs` says how.
#[test]
fn a_power_cut_in_a_commit_over_several_segments_loses_nothing_over_sled() {
    cut(Backend::Sled, &[Run::Large]);
}

#[test]
fn a_power_cut_loses_nothing_over_redb() {
    cut(Backend::Redb, &RUNS);
}

/// Cuts a vault whose engine is given what is in the WAL every few commits, also while it is.
fn cut_settlings(backend: Backend) {
    let cut = cut(backend, &[Run::Settled]).settlings.len();
    eprintln!("{backend:?}: {cut} settlings were cut in the middle");
    assert!(cut >= 3, "only {cut} settlings were cut in the middle");
}

#[test]
fn a_power_cut_while_sled_is_given_the_wal_loses_nothing() {
    cut_settlings(Backend::Sled);
}

#[test]
fn a_power_cut_while_redb_is_given_the_wal_loses_nothing() {
    cut_settlings(Backend::Redb);
}

/// Calls that strace is told to show: barriers, and ways around the shim.
const TRACED: &str = "trace=openat,fsync,fdatasync,sync,syncfs,msync,mmap,io_uring_setup,io_uring_enter,io_submit";

#[test]
fn the_record_has_every_barrier_that_strace_sees_and_nothing_goes_around_it() {
    for backend in [Backend::Sled, Backend::Redb] {
        let scene = Scene::new();
        let worker = scene.worker(Run::Lives, backend, 1);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-qq", "-o"]).arg(scene.beside("strace")).args(["-e", TRACED]);
        for (name, value) in worker.get_envs() {
            strace.arg("-E").arg(format!("{}={}", name.to_str().unwrap(), value.unwrap().to_str().unwrap()));
        }
        strace.arg("--").arg(worker.get_program()).args(worker.get_args());
        let (record, _) = scene.work(strace);
        let traced = fs::read_to_string(scene.beside("strace")).unwrap();
        let place = scene.recorded().to_str().unwrap().to_owned();
        let begun = traced.split_once("/begin\"").unwrap().1;
        let below: Vec<&str> = begun.lines().skip(1).filter(|line| line.contains(&place)).collect();
        let count = |call: &str| below.iter().filter(|line| line.contains(call)).count();
        let recorded = |which: fn(&Op) -> bool| record.ops.iter().filter(|op| which(op)).count();
        let syncs = recorded(|op| matches!(op, Op::Sync { .. }));
        let data_syncs = recorded(|op| matches!(op, Op::SyncData { .. }));
        assert!(data_syncs > 10 && syncs > 10, "{backend:?}: {syncs} and {data_syncs}");
        assert_eq!((syncs, data_syncs), (count(" fsync("), count(" fdatasync(")), "{backend:?}: the record and strace");
        let shared = below.iter().filter(|line| line.contains("mmap(") && line.contains("MAP_SHARED"));
        assert_eq!(shared.count() + count("msync(") + count("syncfs("), 0, "{backend:?}: mappings");
        assert!(!begun.contains("io_uring") && !begun.contains("io_submit") && !begun.contains(" sync("), "{backend:?}: other ways");
    }
}

/// In which phases losses are found when the barriers of some files and directories are forgotten.
fn losses(backend: Backend, run: Run, forgotten: impl Fn(&str) -> bool) -> Vec<String> {
    let mut random = Random::seeded();
    let recorded = record(run, backend, fresh_seed(&mut random));
    let recorded = Recorded { record: recorded.record.without_barriers(forgotten), ..recorded };
    let tally = explore(&[recorded], backend, WEAKENED_STATES, &mut random);
    tally.rows.into_iter().filter(|(_, row)| row.failures > 0).map(|((_, phase), _)| phase).collect()
}

#[test]
fn a_store_that_forgets_to_sync_its_log_is_found_out() {
    for backend in [Backend::Sled, Backend::Redb] {
        // It was made under another name.
        let phases = losses(backend, Run::Lives, |file| file.ends_with("/WAL") || file.ends_with("/WAL.new"));
        assert!(phases.iter().any(|phase| phase == "committing"), "{backend:?}: {phases:?}");
        // Sooner or later it is all that holds what the WAL has made durable before.
        let engine = |file: &str| file.ends_with(engine_file(backend));
        assert!(!losses(backend, Run::Lives, engine).is_empty(), "{backend:?}");
        // At once where the WAL is written over every few commits.
        let phases = losses(backend, Run::Settled, engine);
        assert!(phases.iter().any(|phase| phase == "committing"), "{backend:?}: {phases:?}");
    }
}

#[test]
fn an_opening_that_forgets_to_sync_the_directory_is_found_out() {
    // The store's directory, which was made aside.
    let phases = losses(Backend::Sled, Run::Lives, |file| file == ".vault.creating");
    assert!(phases.iter().any(|phase| phase == "opening"), "{phases:?}");
}

#[test]
fn a_segment_whose_name_is_not_synced_is_found_out() {
    for backend in [Backend::Sled, Backend::Redb] {
        assert!(!losses(backend, Run::Lives, |file| file == ".vault.creating/audit").is_empty(), "{backend:?}");
    }
}

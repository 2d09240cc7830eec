//! Whichever system call of an operation fails or is the last before the process is killed: what was acknowledged is there, the rest whole or not at all.
//!
//! The tests start this very binary again as a worker, with a shim (`faults/shim.c`) that counts its calls and lets one of them go wrong.
//! `LIBVAULT_FAULTS_EVERY=1` tries every call; `LIBVAULT_SEED` replays a run that tried fewer; with `LIBVAULT_TEST_WAL_BYTES=8192` the engine is
//! given what is in the WAL every few commits.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking, and tells what it has seen"
)]

#[path = "faults/run.rs"]
mod run;
mod support;
#[path = "faults/worker.rs"]
mod worker;

use run::{FAULTS, Outcome, Scene, explore};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{KEY, PLACE, TOKEN, copy_dir, member, text_of};
use vault_core::types::{Code, Operation, Result, SecretString};
use vault_core::{BackupSeals, Config, NewSeal, Session, UnsealKey, Vault};

/// Tells the worker what to do.
const OPERATION: &str = "LIBVAULT_TEST_OPERATION";
/// Tells the worker the key shares of the store.
const SHARES: &str = "LIBVAULT_TEST_SHARES";
/// The name of the backup that lies beside the store.
const BACKUP: &str = "backup";
/// The name of the store beside it that a salvage makes.
const SALVAGED: &str = "salvaged";
/// Secrets that each store holds beforehand.
const SECRETS: u64 = 8;
/// Secrets that the worker writes.
const PUTS: u64 = 8;

/// A vault at a place: the one line by which another backend comes to be tried. The audit tail is small, so that segments are written.
fn config(place: &Path) -> Config {
    support::config(place).with_audit_tail_bytes(1024)
}

fn say(line: &str) {
    // One write for each line: a kill leaves it whole or not at all.
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn begin_file(place: &Path) -> PathBuf {
    place.with_file_name("begin")
}

/// From here on the shim counts.
fn begin(place: &Path) {
    assert!(File::open(begin_file(place)).is_err());
}

/// A small value, or one in several chunks of the store.
fn text(number: u64) -> String {
    format!("value {number} ").repeat(if number % 4 == 3 { 1500 } else { 3 })
}

fn base_path(number: u64) -> String {
    format!("base/{number}")
}

/// What the worker writes: every third one a new version of a secret that was there.
fn put_path(number: u64) -> String {
    if number.is_multiple_of(3) { base_path(number) } else { format!("new/{number}") }
}

#[test]
#[ignore = "the process whose system calls go wrong"]
fn worker() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    // The test harness has begun a line of its own.
    say("");
    let (operation, token) = (std::env::var(OPERATION).unwrap(), std::env::var(TOKEN).unwrap_or_default());
    match worker::work(&operation, Path::new(&place), &token) {
        Ok(()) => say("done"),
        Err(error) => say(&format!("failed {}", error.code().number())),
    }
}

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

fn open(place: &Path) -> Result<Vault> {
    Vault::open(config(place))?.unseal(&key())
}

/// A closed store as the worker finds it.
struct Store {
    dir: tempfile::TempDir,
    token: String,
    shares: String,
}

impl Store {
    fn new(seal: NewSeal) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (vault, init) = Vault::create(config(&dir.path().join("vault")), seal).unwrap();
        let token = init.root_token.expose().to_owned();
        let root = vault.session(init.root_token);
        (0..SECRETS).for_each(|number| drop(root.kv("secret").put(&base_path(number), member(&text(number))).unwrap()));
        let mut backup = File::create(dir.path().join(BACKUP)).unwrap();
        root.backup().to_writer(&mut backup, &BackupSeals::Own).unwrap();
        vault.close().unwrap();
        let shares: Vec<_> = init.shares.iter().map(|share| share.expose().to_owned()).collect();
        Store { dir, token, shares: shares.join(" ") }
    }

    fn raw() -> Self {
        Store::new(NewSeal::raw_key(&KEY).unwrap())
    }

    /// Lays the store out for the worker.
    fn prepare(&self, scene: &Scene) -> Vec<(&'static str, String)> {
        copy_dir(&self.dir.path().join("vault"), &scene.place());
        vec![(TOKEN, self.token.clone()), (SHARES, self.shares.clone())]
    }

    /// Lays out the backup alone.
    fn prepare_backup(&self, scene: &Scene) -> Vec<(&'static str, String)> {
        fs::copy(self.dir.path().join(BACKUP), scene.beside(BACKUP)).unwrap();
        Vec::new()
    }

    /// The vault verifies, holds what it held and what was acknowledged, the rest whole or not at all; and goes on.
    fn check(&self, vault: &Vault, outcome: &Outcome) {
        vault.verify().unwrap();
        let root = vault.session(SecretString::copy_from(&self.token));
        root.audit().verify().unwrap();
        let acknowledged: Vec<u64> = outcome.said("put").map(|number| number.parse().unwrap()).collect();
        let mut expected: BTreeMap<String, Vec<Option<u64>>> = (0..SECRETS).map(|number| (base_path(number), vec![Some(number)])).collect();
        for number in 0..PUTS {
            let states = expected.entry(put_path(number)).or_insert_with(|| vec![None]);
            if acknowledged.contains(&number) {
                states.clear();
            }
            states.push(Some(1000 + number));
        }
        for (path, states) in &expected {
            let found = match root.kv("secret").get(path) {
                Ok(secret) => Some(text_of(&secret.data).to_owned()),
                Err(error) => {
                    assert_eq!(error.code(), Code::NotFound, "{path}: {error}");
                    None
                }
            };
            assert!(states.iter().any(|state| state.map(text) == found), "{path} holds none of {states:?}");
        }
        goes_on(vault, &root);
    }
}

/// Writing works, and is read after another opening.
fn goes_on(vault: &Vault, root: &Session) {
    root.kv("secret").put("after", member("it")).unwrap();
    assert_eq!(text_of(&root.kv("secret").get("after").unwrap().data), "it");
    vault.tick().unwrap();
    vault.close().unwrap();
}

#[test]
fn a_creation_leaves_a_whole_vault_or_room_for_another() {
    let check = |scene: &Scene, outcome: &Outcome| {
        let vault = match open(&scene.place()) {
            Ok(vault) => vault,
            Err(error) => {
                assert!(outcome.acknowledged().is_none(), "what was acknowledged opens: {error}");
                assert_eq!(error.code(), Code::NotAStore, "{error}");
                Vault::create(config(&scene.place()), NewSeal::raw_key(&KEY).unwrap()).unwrap().0
            }
        };
        vault.verify().unwrap();
        let root = match outcome.acknowledged() {
            Some(token) => vault.session(SecretString::copy_from(token)),
            None => vault.session(vault.generate_root(&key()).unwrap()),
        };
        root.audit().verify().unwrap();
        goes_on(&vault, &root);
    };
    explore("create", &|_| Vec::new(), &check);
}

#[test]
fn an_opening_loses_nothing() {
    let store = Store::raw();
    explore("open", &|scene| store.prepare(scene), &|scene, outcome| store.check(&open(&scene.place()).unwrap(), outcome));
}

#[test]
fn writes_that_were_acknowledged_stay() {
    let store = Store::raw();
    explore("put", &|scene| store.prepare(scene), &|scene, outcome| store.check(&open(&scene.place()).unwrap(), outcome));
}

#[test]
fn a_compaction_loses_nothing_and_what_is_written_after_it_stays() {
    let store = Store::raw();
    explore("compact", &|scene| store.prepare(scene), &|scene, outcome| store.check(&open(&scene.place()).unwrap(), outcome));
}

#[test]
fn a_roll_comes_to_its_end_later() {
    let store = Store::raw();
    let check = |scene: &Scene, outcome: &Outcome| {
        let vault = open(&scene.place()).unwrap();
        let root = vault.session(SecretString::copy_from(&store.token));
        let status = || root.request(Operation::Read, "sys/key-status", None).unwrap().data.unwrap();
        if outcome.acknowledged().is_some() {
            assert_eq!(status().get("term").unwrap().as_u64(), Some(2));
        }
        (0..20).for_each(|_| _ = vault.tick().unwrap());
        assert_eq!(status().get("reencryption").unwrap().get("active").unwrap().as_bool(), Some(false));
        store.check(&vault, outcome);
    };
    explore("roll", &|scene| store.prepare(scene), &check);
}

#[test]
fn a_rekey_leaves_the_old_or_the_new_shares_opening() {
    let store = Store::new(NewSeal::shares(3, 2).unwrap());
    let check = |scene: &Scene, outcome: &Outcome| {
        // Given out, and in force; else nobody has seen the new ones.
        let shares = outcome.acknowledged().unwrap_or(&store.shares);
        let vault = Vault::open(config(&scene.place())).unwrap().unseal(&UnsealKey::shares(shares.split(' ')).unwrap()).unwrap();
        store.check(&vault, outcome);
    };
    explore("rekey", &|scene| store.prepare(scene), &check);
}

#[test]
fn a_backup_is_whole_or_refused_and_harms_nothing() {
    let store = Store::raw();
    let check = |scene: &Scene, outcome: &Outcome| {
        let backup = fs::read(scene.beside(BACKUP)).unwrap_or_default();
        let whole = vault_core::backup::verify(&mut &backup[..]);
        assert!(whole.is_ok() || outcome.acknowledged().is_none(), "what was acknowledged is a backup: {whole:?}");
        if whole.is_ok() {
            let (copy, _) = Vault::restore(Config::in_memory(), &mut &backup[..], &key()).unwrap();
            copy.verify().unwrap();
        }
        store.check(&open(&scene.place()).unwrap(), outcome);
    };
    explore("backup", &|scene| store.prepare(scene), &check);
}

#[test]
fn a_salvage_changes_nothing_and_is_whole_or_can_be_done_again() {
    let store = Store::raw();
    let check = |scene: &Scene, outcome: &Outcome| {
        let new = scene.beside(SALVAGED);
        match open(&new) {
            Ok(vault) => {
                assert!(vault.is_frozen());
                vault.verify().unwrap();
                let root = vault.session(SecretString::copy_from(&store.token));
                root.request(Operation::Write, "sys/storage/adopt", None).unwrap();
                // A place at which the device would not read is a loss that is told.
                (0..SECRETS).for_each(|number| {
                    let found = root.kv("secret").get(&base_path(number));
                    let told = |secret: vault_core::KvSecret| text_of(&secret.data).to_owned();
                    assert!(found.map(told).map_or_else(|error| error.code() == Code::NotFound, |found| found == text(number)));
                });
                goes_on(&vault, &root);
            }
            Err(error) => {
                assert!(outcome.acknowledged().is_none(), "what was acknowledged opens: {error}");
                let cut_off = error.code() == Code::Corrupt && error.to_string().contains("a restore was cut off here");
                assert!(error.code() == Code::NotAStore || cut_off, "{error}");
            }
        }
        store.check(&open(&scene.place()).unwrap(), outcome);
    };
    explore("salvage", &|scene| store.prepare(scene), &check);
}

#[test]
fn a_restore_is_whole_or_can_be_done_again() {
    let store = Store::raw();
    let check = |scene: &Scene, outcome: &Outcome| {
        let vault = match open(&scene.place()) {
            Ok(vault) => vault,
            Err(error) => {
                assert!(outcome.acknowledged().is_none(), "what was acknowledged opens: {error}");
                // Either nothing is there, or what was cut off says so and has to be taken away.
                if error.code() != Code::NotAStore {
                    assert!(error.code() == Code::Corrupt && error.to_string().contains("a restore was cut off here"), "{error}");
                    fs::remove_dir_all(scene.place()).unwrap();
                }
                let mut source = File::open(scene.beside(BACKUP)).unwrap();
                Vault::restore(config(&scene.place()), &mut source, &key()).unwrap().0
            }
        };
        assert!(vault.is_frozen());
        vault.verify().unwrap();
        let root = vault.session(SecretString::copy_from(&store.token));
        root.request(Operation::Write, "sys/storage/adopt", None).unwrap();
        store.check(&vault, outcome);
    };
    explore("restore", &|scene| store.prepare_backup(scene), &check);
}

#[test]
fn the_shim_sees_every_call_that_strace_sees() {
    let store = Store::raw();
    for operation in ["open", "put"] {
        let scene = Scene::new();
        let extra = store.prepare(&scene);
        // With no call to go wrong the shim tells of each.
        let worker = scene.worker(operation, FAULTS[0], 0, &extra);
        let log = scene.place().with_file_name("../strace");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-qq", "-o"]).arg(&log).args(["-e", "trace=openat,open,creat,write,writev,pwrite64,pwritev,fsync,fdatasync,sync_file_range,sync,syncfs,msync,truncate,ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,chmod,fchmod,fchmodat,copy_file_range,sendfile,splice,link,linkat,symlink,symlinkat,mknod,mknodat"]);
        for (name, value) in worker.get_envs() {
            strace.arg("-E").arg(format!("{}={}", name.to_str().unwrap(), value.unwrap().to_str().unwrap()));
        }
        strace.arg("--").arg(worker.get_program()).args(worker.get_args());
        let outcome = scene.run(strace, FAULTS[1]);
        assert!(outcome.lines.iter().any(|line| line == "done"), "{:?}", outcome.lines);
        let seen = outcome.call.unwrap();
        let place = scene.place().parent().unwrap().to_str().unwrap().to_owned();
        let traced = fs::read_to_string(&log).unwrap();
        let begun = traced.split_once("/begin\"").unwrap().1;
        let traced: Vec<&str> = begun.lines().skip(1).filter(|line| line.contains(&place) && !line.contains(" resumed>")).collect();
        let name =
            |line: &str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').split(['(', ' ']).next().unwrap().to_owned();
        let count = |names: Vec<String>| {
            names.into_iter().fold(BTreeMap::<String, u64>::new(), |mut counts, name| {
                *counts.entry(name).or_default() += 1;
                counts
            })
        };
        let (seen, traced) = (count(seen.lines().map(name).collect()), count(traced.into_iter().map(name).collect()));
        assert!(seen.len() > 5, "{seen:?}");
        assert_eq!(seen, traced, "{operation}: shim and strace");
        eprintln!("{operation}: {seen:?}");
    }
}

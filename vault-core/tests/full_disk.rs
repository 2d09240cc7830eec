//! A device that is full: writes are refused and say why, nothing that was acknowledged is lost, and once there is room everything goes on.
//!
//! The device is a file system in memory of 16 MiB, which the test mounts in a mount namespace of its own: as root, or in a user namespace.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells what it has seen"
)]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{PLACE, backend, child_args, create, files_below, member, open, text_of};
use vault_core::Session;
use vault_core::storage::Backend;
use vault_core::types::{Class, Code, SecretString};

/// Leaves so little room that the store, which grows with each round, fits twice on the device in the last one too: an opening over sled copies it.
const BALLAST_BYTES: usize = 13 << 20;
/// What the later rounds may write into.
const ROOM_BYTES: u64 = 400 << 10;
/// More writes than the device has room for.
const WRITES_MAX: u64 = 4_000;

#[test]
fn a_full_device_refuses_writes_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0";
    let mut unshare = Command::new("unshare");
    unshare.arg(if root { "-m" } else { "-rm" }).arg(std::env::current_exe().unwrap()).args(child_args("on_a_small_device"));
    let output = unshare.env(PLACE, dir.path()).output().expect("this test needs unshare: install util-linux");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "no device could be mounted, or it went wrong on it: {out}{err}");
    eprintln!("{err}");
}

#[test]
#[ignore = "the process that the other test starts where it may mount"]
fn on_a_small_device() {
    let Some(dir) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(&dir).status().unwrap();
    assert!(mounted.success(), "a file system in memory cannot be mounted here");
    let (place, ballast) = (dir.join("vault"), dir.join("ballast"));
    fs::write(&ballast, vec![1; BALLAST_BYTES]).unwrap();
    let (vault, token) = create(&place);
    let session = |vault: &vault_core::Vault| vault.session(SecretString::copy_from(&token));
    let mut written = 0;
    let mut vault = vault;
    for round in 0..3 {
        let first = written;
        let refused = fill(&session(&vault), &mut written);
        // A commit that failed is in doubt; what failed before one says that there is no room.
        assert!(matches!(refused, Code::Poisoned | Code::NoSpace), "round {round}: {refused:?}");
        assert!(written > first, "round {round}: there was room, and it was used");
        // What is said until it is reopened, too, is no news of a store that is damaged.
        let class = |outcome: vault_core::types::Result<()>| outcome.map_or_else(|error| error.class(), |()| Class::Unavailable);
        let root = session(&vault);
        assert_eq!(class(root.kv("secret").put("again", member("x")).map(drop)), Class::Unavailable);
        assert_eq!(class(root.kv("secret").get(&path(0)).map(drop)), Class::Unavailable);
        assert_eq!(class(vault.tick().map(drop)), Class::Unavailable);
        assert!(!vault.seal_status().sealed);
        assert_eq!(class(vault.close()), Class::Unavailable);
        let before = files_below(&place);
        match (open(&place), backend()) {
            (Err(error), Backend::Sled) => assert_eq!(error.code(), Code::NoSpace, "an opening needs room, and says so"),
            // redb opens in place; the record of the unsealing may find a little room, or is in doubt.
            (Err(error), _) => assert!(matches!(error.code(), Code::NoSpace | Code::Poisoned), "{error:?}"),
            (Ok(vault), Backend::Sled) => panic!("it opened without room: {vault:?}"),
            (Ok(vault), _) => _ = vault.close(),
        }
        assert_eq!(files_below(&place), before, "and leaves the store as it was");
        // Room is made, and everything is there.
        fs::remove_file(&ballast).unwrap();
        vault = open(&place).unwrap();
        vault.verify().unwrap();
        let root = session(&vault);
        root.audit().verify().unwrap();
        for number in 0..written {
            assert!(text_of(&root.kv("secret").get(&path(number)).unwrap().data) == value(number), "number {number}");
        }
        // The write that was refused is there whole or not at all, and only where its commit is in doubt.
        let found = root.kv("secret").list("n").unwrap().len() as u64;
        assert!(found == written || (found == written + 1 && refused == Code::Poisoned), "{found} of {written}: {refused:?}");
        if found > written {
            assert!(text_of(&root.kv("secret").get(&path(written)).unwrap().data) == value(written), "number {written}");
        }
        root.kv("secret").put("after", member("it")).unwrap();
        vault.close().unwrap();
        vault = open(&place).unwrap();
        fill_up(&ballast);
        let store: u64 = files_below(&place).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
        eprintln!("round {round}: refused after {written} writes, a store of {store} bytes");
    }
}

/// Takes all the room that there is, but for a little.
fn fill_up(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    let chunk = vec![1; 64 << 10];
    while file.write_all(&chunk).is_ok() {}
    file.set_len(file.metadata().unwrap().len() - ROOM_BYTES).unwrap();
}

/// Writes until it is refused; with what code.
fn fill(root: &Session, written: &mut u64) -> Code {
    for _ in 0..WRITES_MAX {
        match root.kv("secret").put(&path(*written), member(&value(*written))) {
            Ok(_) => *written += 1,
            Err(error) => return error.code(),
        }
    }
    panic!("there is no end to the room");
}

fn path(number: u64) -> String {
    format!("n/{number}")
}

fn value(number: u64) -> String {
    format!("value {number} ").repeat(if number.is_multiple_of(5) { 4_000 } else { 20 })
}

//! A store over redb that was not closed well is read from the device, whatever the system's cache says of it.
//!
//! The device is not made to fail here: strace shows in which order the system is asked. The test starts this very binary again to open the store.
#![cfg(feature = "redb")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and looks at a store from outside"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{KEY, PLACE, child_args, copy_dir, member};
use vault_core::storage::Backend;
use vault_core::{Config, NewSeal, UnsealKey, Vault};

fn config(place: &Path) -> Config {
    Config::at(place).with_backend(Backend::Redb)
}

#[test]
#[ignore = "the process that strace watches"]
fn opener() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let vault = Vault::open(config(&place)).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    vault.close().unwrap();
}

/// What an opening asks the system of `store.redb`, in order.
fn asked_of_database(place: &Path) -> Vec<String> {
    let log = place.with_extension("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-e", "trace=fdatasync,fsync,fadvise64,read,pread64,write,pwrite64", "-o"]).arg(&log).arg("--");
    strace.arg(std::env::current_exe().unwrap()).args(child_args("opener")).env(PLACE, place).stdout(Stdio::null());
    assert!(strace.status().expect("this test needs strace: install it").success(), "the store opens and closes under strace");
    let traced = fs::read_to_string(log).unwrap();
    let call = |line: &str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').to_owned();
    traced.lines().filter(|line| line.contains("/store.redb>")).map(call).collect()
}

#[test]
fn a_store_that_was_not_closed_well_is_read_from_the_device() {
    let dir = tempfile::tempdir().unwrap();
    let (place, left) = (dir.path().join("closed"), dir.path().join("left"));
    let (vault, init) = Vault::create(config(&place), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    vault.session(init.root_token).kv("secret").put("x", member("1")).unwrap();
    copy_dir(&place, &left);
    vault.close().unwrap();
    let calls = asked_of_database(&left);
    let first = |name: &str| calls.iter().position(|call| call.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {calls:?}"));
    let dropped = first("fadvise64(");
    assert!(calls[dropped].contains("POSIX_FADV_DONTNEED") && calls[dropped].ends_with("= 0"), "{}", calls[dropped]);
    assert!(first("fdatasync(") < dropped, "what is dirty stays in the cache: {calls:?}");
    assert!(dropped < first("pread64("), "nothing is read before that: {calls:?}");
    assert!(!calls[..dropped].iter().any(|call| call.contains("write")), "{calls:?}");
    let calls = asked_of_database(&place);
    assert!(!calls.is_empty() && !calls.iter().any(|call| call.starts_with("fadvise64(")), "it was closed well: {calls:?}");
}

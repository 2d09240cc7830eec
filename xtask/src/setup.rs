//! What the tests need of the machine: found, installed where we may, or named.

use crate::run::{Outcome, command, output, run_quietly};
use std::process::Command;

/// A command that must be there, and the Debian package that has it.
const NEEDED: [(&str, &str); 6] =
    [("cc", "gcc"), ("g++", "g++"), ("valgrind", "valgrind"), ("strace", "strace"), ("nm", "binutils"), ("git", "git")];

/// Installs what is missing when we are root, else names it and stops.
pub(crate) fn everything() -> Outcome {
    let mut missing: Vec<&str> = NEEDED.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    if python().is_err() {
        missing.push("python3");
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if output(command("id").arg("-u"))?.trim() != "0" {
        return Err(format!("these Debian packages are missing: {packages}. Install them (apt-get install {packages}), or run as root"));
    }
    println!("installing {packages}");
    let apt = |words: &[&str]| run_quietly(command("apt-get").args(words).env("DEBIAN_FRONTEND", "noninteractive"));
    apt(&["update", "-q"])?;
    apt(&[&["install", "-q", "-y", "--no-install-recommends"], missing.as_slice()].concat())?;
    python().map(drop)
}

/// A Python of at least 3.11 that can make virtual environments.
pub(crate) fn python() -> Outcome<&'static str> {
    let check = "import sys, venv, ensurepip; assert sys.version_info >= (3, 11)";
    let works = |name: &&&str| Command::new(**name).args(["-c", check]).output().is_ok_and(|output| output.status.success());
    ["python3.11", "python3"].iter().find(works).copied().ok_or_else(|| "Python 3.11 or later with its venv module is missing".to_owned())
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

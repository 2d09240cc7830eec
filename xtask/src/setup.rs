//! What the tests need of the machine: found, installed where we may, or named.

use crate::run::{Outcome, command, output, run_quietly};
use std::process::Command;

/// A command that must work, with the words that show that it does, and the Debian packages that have it.
type Need = (&'static str, &'static [&'static str], &'static [&'static str]);

const NEEDED: [Need; 18] = [
    // The compiler alone is not enough: it must find the headers of the C library too.
    ("cc", &["-fsyntax-only", "-include", "stdlib.h", "-x", "c", "/dev/null"], &["gcc", "libc6-dev"]),
    ("g++", &["-fsyntax-only", "-include", "cstdlib", "-x", "c++", "/dev/null"], &["g++"]),
    ("valgrind", &["--version"], &["valgrind"]),
    ("strace", &["--version"], &["strace"]),
    ("nm", &["--version"], &["binutils"]),
    ("git", &["--version"], &["git"]),
    // What C and C++ programs are built by, and what compares the C interface with its baseline.
    ("cmake", &["--version"], &["cmake"]),
    ("meson", &["--version"], &["meson"]),
    ("ninja", &["--version"], &["ninja-build"]),
    ("pkg-config", &["--version"], &["pkg-config"]),
    ("abidiff", &["--version"], &["abigail-tools"]),
    ("rsyslogd", &["-v"], &["rsyslog"]),
    // The tests look for its module themselves, where distributions put it.
    ("softhsm2-util", &["--version"], &["softhsm2"]),
    // The servers of the connectors' tests, with their clients. Debian keeps PostgreSQL's beside each other, by their versions.
    ("sh", &["-c", "ls /usr/lib/postgresql/*/bin/initdb || command -v initdb"], &["postgresql"]),
    ("psql", &["--version"], &["postgresql-client"]),
    // What the examples in C and C++ speak to it by.
    ("pkg-config", &["--exists", "libpq"], &["libpq-dev"]),
    ("sh", &["-c", "PATH=$PATH:/usr/sbin mariadbd --version && mariadb --version && command -v mariadb-install-db"], &["mariadb-server"]),
    ("sh", &["-c", "redis-server --version && redis-cli --version"], &["redis-server"]),
];

/// What the peers of the benches need beside that: SQLCipher and RustyVault stand on OpenSSL.
const PEERS: [Need; 1] = [("cc", &["-fsyntax-only", "-include", "openssl/evp.h", "-x", "c", "/dev/null"], &["libssl-dev"])];

const PYTHON: [&str; 2] = ["python3", "python3-venv"];

/// Installs what is missing when we are root, else names it and stops; and looks again at what was installed.
pub(crate) fn everything() -> Outcome {
    install(&NEEDED)
}

/// As above, with what the benches' peers need.
pub(crate) fn for_benches() -> Outcome {
    everything()?;
    install(&PEERS)
}

fn install(needed: &[Need]) -> Outcome {
    let missing = missing(needed, python().is_ok());
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if output(command("id").arg("-u"))?.trim() != "0" {
        return Err(format!("these Debian packages are missing: {packages}. Install them (apt-get install {packages}), or run as root"));
    }
    println!("installing {packages}");
    // With the runlevel of a machine that is being set up no server is started as a service, and none that runs is touched.
    let apt = |words: &[&str]| {
        let mut apt = command("apt-get");
        run_quietly(apt.args(words).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1"))
    };
    apt(&["update", "-q"])?;
    apt(&[&["install", "-q", "-y", "--no-install-recommends"], missing.as_slice()].concat())?;
    match self::missing(needed, python().is_ok()).as_slice() {
        [] => Ok(()),
        still => Err(format!("installed, and yet it does not work: {}", still.join(" "))),
    }
}

/// A Python of at least 3.11 that can make virtual environments.
pub(crate) fn python() -> Outcome<&'static str> {
    let check = "import sys, venv, ensurepip; assert sys.version_info >= (3, 11)";
    let found = ["python3.11", "python3"].into_iter().find(|name| works(name, &["-c", check]));
    found.ok_or_else(|| "Python 3.11 or later with its venv module is missing".to_owned())
}

/// The packages that are missing.
fn missing(needed: &[Need], has_python: bool) -> Vec<&'static str> {
    let absent = needed.iter().filter(|(program, words, _)| !works(program, words));
    let mut packages: Vec<&str> = absent.flat_map(|(_, _, packages)| packages.iter().copied()).collect();
    if !has_python {
        packages.extend(PYTHON);
    }
    packages
}

fn works(program: &str, words: &[&str]) -> bool {
    Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_absent_or_does_not_work_is_missing() {
        let needed: [Need; 3] = [("true", &[], &["a"]), ("false", &[], &["b", "c"]), ("no-such-command-of-ours", &[], &["d"])];
        assert_eq!(missing(&needed, true), ["b", "c", "d"]);
        assert_eq!(missing(&needed[..1], false), PYTHON);
    }
}

//! Python: Fernet and sqlite3 beside libvault's wheel, timed by a script of its own in alternating rounds, in the same run.

use crate::Options;
use crate::measure::{Timing, timing};
use crate::report::{Report, Unit};
use crate::world::path;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECRETS: u64 = 1_000;

/// Runs the script with the interpreter that has the wheel: `LIBVAULT_BENCH_PYTHON`, which `cargo xtask bench` sets.
pub fn reads(report: &mut Report, options: &Options, folder: &Path) {
    report.chapter(
        "Python",
        "A read of 1 KiB through the wheel, and a SELECT of sqlite3 with a decryption by Fernet (of the package cryptography).",
    );
    let Some(interpreter) = std::env::var_os("LIBVAULT_BENCH_PYTHON") else {
        return report.words("Not measured: no interpreter with the wheel was given.");
    };
    let names = folder.join("paths");
    let paths: Vec<String> = (0..SECRETS).map(path).collect();
    std::fs::write(&names, paths.join("\n")).expect("a file");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("reads.py");
    let mut python = Command::new(interpreter);
    python.arg(script).arg(folder.join("python")).arg(names);
    python.args([options.pace.rounds.to_string(), options.pace.round.as_secs_f64().to_string()]);
    let output = python.output().expect("an interpreter");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let versions = told["versions"].as_object().expect("versions").iter();
    let versions: Vec<String> = versions.map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or_default())).collect();
    let timings: Vec<(String, Timing)> = told["rounds"].as_object().expect("rounds").iter().map(named).collect();
    report.timings("Python read", Unit::Micros, &timings);
    report.words(&format!("With {}.", versions.join(", ")));
}

fn named((name, rounds): (&String, &serde_json::Value)) -> (String, Timing) {
    let nanos = rounds.as_array().expect("rounds").iter().map(|round| round.as_f64().expect("nanoseconds")).collect();
    (name.clone(), timing(nanos))
}

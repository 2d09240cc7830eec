//! The benches: the comparison with raw limits and peers, and the instructions of the hot paths beside a committed baseline.

use crate::run::{Outcome, at, cargo, command, root, run, run_quietly, target};
use crate::{python, setup};
use std::fs;
use std::path::{Path, PathBuf};

/// The hot paths, each with how often it is gone in the longer one of two runs.
const HOT_PATHS: [(&str, u64); 4] = [("read", 2_000), ("held", 2_000), ("decision", 20_000), ("write", 500)];
/// How far a count may be from the baseline: compilers and allocators differ by less.
const TOLERANCE: f64 = 0.03;

/// Builds and runs the comparison with these words: none for the whole of it, which writes `benches/RESULTS.md`.
pub(crate) fn compare(words: &[&str]) -> Outcome {
    setup::for_benches()?;
    let needs_python = words.iter().all(|word| word.starts_with("--")) || words.contains(&"python");
    let interpreter = if needs_python { Some(python::for_benches()?) } else { None };
    run(benches("build").args(["--quiet", "--bin", "vault-bench"]))?;
    let mut comparison = command(built("vault-bench")?);
    comparison.args(words);
    if let Some(interpreter) = interpreter {
        comparison.env("LIBVAULT_BENCH_PYTHON", interpreter);
    }
    run(&mut comparison)
}

/// The criterion benches of the core.
pub(crate) fn criterion() -> Outcome {
    run(cargo().args(["bench", "-p", "vault-core", "--bench", "read", "--bench", "policy"]))
}

/// Counts the instructions of each hot path under callgrind, and compares them with the baseline, or writes that.
pub(crate) fn instructions(writes: bool) -> Outcome {
    setup::everything()?;
    run(benches("build").args(["--quiet", "--no-default-features", "--bin", "hot-paths"]))?;
    let program = built("hot-paths")?;
    let file = root().join("benches/instructions.txt");
    let baseline = if writes { String::new() } else { fs::read_to_string(&file).map_err(at(&file))? };
    let mut text = "# Instructions of one pass of each hot path under callgrind: `cargo xtask bench --instructions --write`\n".to_owned();
    let mut off = Vec::new();
    for (path, times) in HOT_PATHS {
        // What making the vault costs is in both runs alike.
        let counted = (count(&program, path, times + 100)? - count(&program, path, 100)?) / times;
        text += &format!("{path} {counted}\n");
        if writes {
            println!("{path}: {counted} instructions");
            continue;
        }
        let was = baseline.lines().find_map(|line| line.strip_prefix(path)?.trim().parse::<u64>().ok());
        let was = was.ok_or_else(|| format!("{} has no line for {path}", file.display()))?;
        let change = counted as f64 / was as f64 - 1.0;
        println!("{path}: {counted} instructions, {:+.1} % beside {was}", change * 100.0);
        if change.abs() > TOLERANCE {
            off.push(path);
        }
    }
    if writes {
        return fs::write(&file, text).map_err(at(&file));
    }
    let why = "is off the baseline by more than 3 %: mend it, or say why in the commit that writes a new one (--write)";
    if off.is_empty() { Ok(()) } else { Err(format!("{} {why}", off.join(", "))) }
}

/// The instructions of a run.
fn count(program: &Path, path: &str, times: u64) -> Outcome<u64> {
    let out = target()?.join("callgrind.out");
    let mut valgrind = command("valgrind");
    valgrind.args(["--tool=callgrind", &format!("--callgrind-out-file={}", out.display())]);
    run_quietly(valgrind.arg(program).args([path, &times.to_string()]))?;
    let text = fs::read_to_string(&out).map_err(at(&out))?;
    let summary = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    summary.and_then(|count| count.trim().parse().ok()).ok_or_else(|| "callgrind wrote no count".to_owned())
}

/// A command of cargo's in the benches' own workspace, built where everything else is.
fn benches(what: &str) -> std::process::Command {
    let mut cargo = cargo();
    cargo.args([what, "--release", "--locked", "--manifest-path"]).arg(root().join("benches/Cargo.toml"));
    if let Ok(target) = target() {
        cargo.arg("--target-dir").arg(target);
    }
    cargo
}

fn built(name: &str) -> Outcome<PathBuf> {
    let program = target()?.join("release").join(name);
    run_quietly(command("test").arg("-x").arg(&program)).map_err(|_| format!("{} was not built", program.display()))?;
    Ok(program)
}

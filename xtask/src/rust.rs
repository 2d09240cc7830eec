//! The steps that cargo does: format, clippy, tests, the quickstart.

use crate::run::{Outcome, cargo, command, files, output, root, run, target};
use crate::{servers, setup};

/// `cargo fmt --check`.
pub(crate) fn format() -> Outcome {
    run(cargo().args(["fmt", "--all", "--check"]))
}

/// Clippy over everything, warnings being errors.
///
/// PyO3's build script asks an interpreter for its version: it is given ours, since `python3` by itself may be too old.
pub(crate) fn clippy() -> Outcome {
    let mut clippy = cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]);
    run(clippy.env("PYO3_PYTHON", setup::python()?))
}

/// The core builds without a backend on disk, with the other one alone, and with the fixture for its users' tests alone, and the connectors to databases each alone, without a warning.
pub(crate) fn check_features() -> Outcome {
    let check = |(package, features): (&str, &str)| {
        run(cargo().args(["clippy", "-p", package, "--no-default-features", "--features", features, "--", "-D", "warnings"]))
    };
    let connectors = ["postgres", "mysql", "redis"].map(|feature| ("vault-connectors", feature));
    [("vault-core", ""), ("vault-core", "redb"), ("vault-core", "testing")].into_iter().chain(connectors).try_for_each(check)
}

/// The documentation of what is public, every warning of rustdoc being an error.
pub(crate) fn documentation() -> Outcome {
    let mut doc = cargo();
    doc.args(["doc", "--workspace", "--exclude", "libvault-python", "--all-features", "--no-deps"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Whether the core's public interface has changed more than its version says, since the last tag of a version; needs a tool that is built
/// first, so it is not part of `test`.
pub(crate) fn semver() -> Outcome {
    let tags = output(command("git").args(["tag", "--list", "v[0-9]*", "--sort=-version:refname"]))?;
    let Some(last) = tags.lines().next() else {
        println!("nothing was compared: this repository has no tag of a version (v[0-9]*).");
        println!(
            "Tag the first release (`git tag v{}`): from then on this compares vault-core's public interface with the last tag.",
            env!("CARGO_PKG_VERSION")
        );
        return Ok(());
    };
    let tools = target()?.join("tools");
    let tool = tools.join("bin/cargo-semver-checks");
    if !tool.exists() {
        run(cargo().args(["install", "--locked", "--root"]).arg(&tools).args(["cargo-semver-checks", "--version", "0.51.0"]))?;
    }
    run(command(tool).args(["semver-checks", "--package", "vault-core", "--all-features", "--baseline-rev", last]))
}

/// Every Rust test, those in the documentation too.
pub(crate) fn tests() -> Outcome {
    run(cargo().args(["test", "--workspace", "--exclude", "libvault-python", "--all-features", "--no-fail-fast"]))
}

/// The tests that touch the disk, over the backend that is not the default.
pub(crate) fn tests_over_redb() -> Outcome {
    let mut tests = cargo();
    // The features of all the workspace's tests, so that nothing is compiled anew.
    tests.args(["test", "--workspace", "--exclude", "libvault-python", "--all-features", "--no-fail-fast"]);
    tests.args(["--test", "disk", "--test", "crash", "--test", "canary", "--test", "faults", "--test", "full_disk"]);
    run(tests.env("LIBVAULT_TEST_BACKEND", "redb"))
}

/// Rounds of the kill -9 loop over a small WAL.
const SMALL_WAL_ROUNDS: &str = "60";

/// The tests in which a process dies, its device fails or its store is compacted, over each backend, where that is given what is in the WAL every few commits.
pub(crate) fn tests_over_a_small_wal() -> Outcome {
    ["sled", "redb"].into_iter().try_for_each(|backend| {
        let mut tests = cargo();
        tests.args(["test", "--workspace", "--exclude", "libvault-python", "--all-features", "--no-fail-fast"]);
        tests.args(["--test", "crash", "--test", "faults", "--test", "compact"]).env("LIBVAULT_KILL_ROUNDS", SMALL_WAL_ROUNDS);
        run(tests.env("LIBVAULT_TEST_WAL_BYTES", "8192").env("LIBVAULT_TEST_BACKEND", backend))
    })
}

/// Those that each language has under the same name.
const IN_EACH_LANGUAGE: [&str; 11] = [
    "quickstart",
    "least_privilege",
    "versions",
    "wrapping",
    "audit_proof",
    "backup",
    "key_shares",
    "worker",
    "emergency_drill",
    "postgres_per_request",
    "pool_survives_rotation",
];
/// It needs a token to ask, which the tests of `vault-connectors` have.
const NEEDS_A_TOKEN: &str = "pkcs11";

/// The main job, and the other examples; and that each language has those.
pub(crate) fn examples() -> Outcome {
    for name in IN_EACH_LANGUAGE {
        for (folder, ending) in [("rust", "rs"), ("c", "c"), ("cpp", "cpp"), ("python", "py")] {
            let path = root().join("examples").join(folder).join(name).with_extension(ending);
            if !path.exists() {
                return Err(format!("{} is not there: each language has the example {name}", path.display()));
            }
        }
    }
    for path in files(&root().join("examples/rust"), "rs")? {
        let name = path.file_stem().ok_or("an example has a name")?;
        if name != NEEDS_A_TOKEN {
            let mut example = cargo();
            example.args(["run", "--quiet", "--example"]).arg(name);
            run(&mut servers::beside(&path, example)?)?;
        }
    }
    Ok(())
}

/// The kill -9 loop for this many rounds over a backend.
pub(crate) fn crash(rounds: &str, backend: &str) -> Outcome {
    let mut crash = cargo();
    crash.args(["test", "-p", "vault-core", "--all-features", "--test", "crash", "--", "--nocapture"]);
    run(crash.env("LIBVAULT_KILL_ROUNDS", rounds).env("LIBVAULT_TEST_BACKEND", backend))
}

/// The simulation for this many steps, in stories of 100 with a seed each; for each 20,000 of them a short story with a crash at every operation.
pub(crate) fn sim(seed: &str, steps: &str) -> Outcome {
    let mut sim = cargo();
    sim.args(["test", "--release", "-p", "vault-core", "--all-features", "--test", "sim", "--", "--nocapture"]);
    run(sim.env("LIBVAULT_SEED", seed).env("LIBVAULT_SIM_STEPS", steps))
}

/// Every world of two rotations with a few faults, and so many random lives of each strategy.
pub(crate) fn rotations(seed: &str, runs: &str) -> Outcome {
    let mut rotations = cargo();
    rotations.args(["test", "-p", "vault-core", "--all-features", "--test", "rotation", "--", "--nocapture"]);
    run(rotations.env("LIBVAULT_SEED", seed).env("LIBVAULT_ROTATION_RUNS", runs))
}

/// Every interleaving of a few callers, with the preemptions that the models have themselves.
pub(crate) fn interleavings() -> Outcome {
    models(None)
}

/// Every interleaving of a few callers, with so many preemptions.
pub(crate) fn loom(preemptions: &str) -> Outcome {
    models(Some(preemptions))
}

/// Only the core's own tests are compiled with `--cfg loom`, and nothing below them: they need no build of their own for that.
fn models(preemptions: Option<&str>) -> Outcome {
    let mut build = cargo();
    build.args(["rustc", "-p", "vault-core", "--all-features", "--lib", "--profile", "test"]);
    let messages = output(build.args(["--message-format", "json-render-diagnostics", "--", "--cfg", "loom"]))?;
    let program = messages.split("\"executable\":\"").nth(1).and_then(|rest| rest.split('"').next()).ok_or("cargo names no program")?;
    let models = output(command(program).args(["interleavings", "--list"]))?;
    if !models.lines().any(|line| line.ends_with(": test")) {
        return Err("there is no model to run".to_owned());
    }
    let mut models = command(program);
    models.args(["interleavings", "--nocapture"]);
    run(models.envs(preemptions.map(|preemptions| ("LIBVAULT_LOOM_PREEMPTIONS", preemptions))))
}

/// Real threads for so long, in memory and over each backend.
pub(crate) fn stress(seconds: &str) -> Outcome {
    let mut stress = cargo();
    // One after another: side by side they would only slow each other.
    stress.args([
        "test",
        "--release",
        "-p",
        "vault-core",
        "--all-features",
        "--test",
        "stress",
        "--",
        "--nocapture",
        "--test-threads",
        "1",
    ]);
    run(stress.env("LIBVAULT_STRESS_SECONDS", seconds))
}

/// So many random decisions, the policy engine's beside a naive evaluator's.
pub(crate) fn policy(seed: &str, cases: &str) -> Outcome {
    let mut policy = cargo();
    policy.args([
        "test",
        "--release",
        "-p",
        "vault-core",
        "--all-features",
        "--test",
        "policies",
        "the_engine_decides",
        "--",
        "--nocapture",
    ]);
    run(policy.env("LIBVAULT_SEED", seed).env("LIBVAULT_POLICY_CASES", cases))
}

/// A store of so many tokens.
pub(crate) fn tokens(count: &str) -> Outcome {
    let mut tokens = cargo();
    tokens.args(["test", "--release", "-p", "vault-core", "--all-features", "--test", "token_store", "--", "--nocapture"]);
    run(tokens.env("LIBVAULT_TOKENS", count))
}

/// A store of so many leases.
pub(crate) fn leases(count: &str) -> Outcome {
    let mut leases = cargo();
    leases.args(["test", "--release", "-p", "vault-core", "--all-features", "--test", "lease_store", "--", "--nocapture"]);
    run(leases.env("LIBVAULT_LEASES", count))
}

/// Faults at system calls over each backend: one in `every` of them, those that the seed picks; and a device that is full.
pub(crate) fn faults(seed: &str, every: &str) -> Outcome {
    ["sled", "redb"].into_iter().try_for_each(|backend| {
        let mut faults = cargo();
        faults.args(["test", "-p", "vault-core", "--all-features", "--test", "faults", "--test", "full_disk", "--", "--nocapture"]);
        run(faults.env("LIBVAULT_SEED", seed).env("LIBVAULT_FAULTS_EVERY", every).env("LIBVAULT_TEST_BACKEND", backend))
    })
}

/// So many tampers, and a tenth as many flipped bits in the files of a store over each backend.
pub(crate) fn tamper(seed: &str, count: &str) -> Outcome {
    let flips = count.parse::<u64>().map_err(|_| format!("{count} is no number"))? / 10;
    let test = |names: &[&str]| {
        let mut test = cargo();
        test.args(["test", "--release", "-p", "vault-core", "--all-features"]).args(names).args(["--", "--nocapture"]);
        test.env("LIBVAULT_SEED", seed).env("LIBVAULT_TAMPERS", count).env("LIBVAULT_FLIPS", flips.to_string());
        test
    };
    run(&mut test(&["--test", "tamper", "--test", "rewritten_log"]))?;
    ["sled", "redb"].into_iter().try_for_each(|backend| run(test(&["--test", "disk", "flipped"]).env("LIBVAULT_TEST_BACKEND", backend)))
}

/// So many states that a power cut can leave of a store over a backend.
pub(crate) fn powercut(seed: &str, states: &str, backend: &str) -> Outcome {
    if !["sled", "redb"].contains(&backend) {
        return Err(format!("{backend} is no backend: sled or redb"));
    }
    let test = format!("a_power_cut_loses_nothing_over_{backend}");
    let mut powercut = cargo();
    powercut.args(["test", "--release", "-p", "vault-core", "--all-features", "--test", "powercut", "--", "--nocapture", "--exact", &test]);
    run(powercut.env("LIBVAULT_SEED", seed).env("LIBVAULT_POWERCUT_STATES", states))
}

/// Licences, bans and sources; needs a tool that is built first, so it is not part of `test`.
pub(crate) fn deny() -> Outcome {
    let tools = target()?.join("tools");
    let tool = tools.join("bin/cargo-deny");
    if !tool.exists() {
        run(cargo().args(["install", "--locked", "--root"]).arg(&tools).args(["cargo-deny", "--version", "0.20.2"]))?;
    }
    run(command(tool).args(["check", "licenses", "bans", "sources"]))
}

//! What continuous integration and people run: `cargo xtask test`, and its parts by themselves.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to whoever runs it")]

mod abi;
mod bench;
mod c;
mod consumers;
mod fuzz;
mod header;
mod install;
mod matrix;
mod python;
mod readme;
mod run;
mod rust;
mod servers;
mod setup;
mod suite;
mod tidy;

use std::process::ExitCode;
use std::time::Instant;
use suite::Step;

const HELP: &str = "\
cargo xtask test             every test: what .ci/run calls
cargo xtask tidy             first lines, floors, walls, leftovers; long files and functions as warnings
cargo xtask header [--check] write include/vault.h, or compare it with what would be written
cargo xtask abi              write the baseline of the C interface (vault-ffi/abi), after a change that docs/c-abi.md allows
cargo xtask c                the C and C++ programs, plain, under valgrind and with AddressSanitizer, and programs that link what is installed
cargo xtask install --prefix P [--profile dev]  libvault for C and C++: libraries, headers, pkg-config files, CMake package
cargo xtask wheel            build the wheel into the target directory's `wheels`
cargo xtask wheel --manylinux  build the wheel that is handed out into `manylinux`, linked by zig (fetched first), and run it
cargo xtask sdist            make the source distribution, and build and run it in a clean environment
cargo xtask python           the wheel in a fresh virtual environment, with its tests
cargo xtask readme           the commands of README.md, as they stand there
cargo xtask deny             licences, bans and sources of the dependencies (builds cargo-deny first)
cargo xtask doc              the documentation of the crates, warnings being errors
cargo xtask semver           the core's interface beside that of the last tag (builds cargo-semver-checks first)
cargo xtask bench [--quick | --full | CHAPTER..]  libvault beside raw limits and peers: writes benches/RESULTS.md and plots
cargo xtask bench --instructions [--write]  the instructions of the hot paths beside those of benches/instructions.txt
cargo xtask bench --criterion               the criterion benches, for work on one part
cargo xtask crash ROUNDS [--backend B]  the kill -9 loop over sled or redb (LIBVAULT_SEED to replay; LIBVAULT_TEST_WAL_BYTES=8192 for a small WAL)
cargo xtask sim --seed S --steps N  the simulation, from this seed on
cargo xtask rotations --seed S --runs N  every world of two rotations, and N random lives of each strategy
cargo xtask policy --seed S --cases N  random decisions of the policy engine beside a naive evaluator's
cargo xtask tokens --count N                 so many tokens: opening loads none of them, and ticks remove those that are over
cargo xtask bench leases --count N           the life of so many leases: granted, opened anew, looked up, listed, ended, told, with the figures
cargo xtask leases --count N                 so many leases: opening loads none of them, and ticks end those that are over, with the figures
cargo xtask faults [--seed S] [--every K]  every system call of every operation fails, or is the last; or one in K
cargo xtask loom [--preemptions P]          the interleavings of a few callers, one by one
cargo xtask stress --seconds N              real threads for so long, in memory and over each backend
cargo xtask fuzz --seconds N                each fuzz target for so long on nightly (builds cargo-fuzz first)
cargo xtask tamper --seed S --count N      N tampers with stores, proofs and whole logs, and a tenth as many flipped bits
cargo xtask powercut --seed S --states N --backend B  N states that a power cut can leave of a store are opened";

/// What every step of `test` stands on.
const SET_UP: Step = ("set-up", setup::everything);

/// Every step of `test`, in order: the quick ones first.
const STEPS: [Step; 14] = [
    ("format", rust::format),
    ("tidy", tidy::tidy),
    ("header", header::check),
    ("clippy", rust::clippy),
    ("fewer features", rust::check_features),
    ("documentation", rust::documentation),
    ("Rust tests", rust::tests),
    ("Rust tests over redb", rust::tests_over_redb),
    ("Rust tests over a small WAL", rust::tests_over_a_small_wal),
    ("interleavings", rust::interleavings),
    ("Rust examples", rust::examples),
    ("C and C++ programs", c::programs),
    ("Python wheel", python::wheel_tests),
    ("README", readme::commands),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => return test(),
        ["tidy"] => tidy::tidy(),
        ["header"] => header::write(),
        ["header", "--check"] => header::check(),
        ["abi"] => setup::everything().and_then(|()| abi::write()),
        ["install", "--prefix", prefix] => install::install(prefix, install::Profile::Release),
        ["install", "--prefix", prefix, "--profile", "dev"] => install::install(prefix, install::Profile::Dev),
        ["c"] => setup::everything().and_then(|()| c::programs()),
        ["wheel"] => setup::everything().and_then(|()| python::wheel().map(|path| println!("{}", path.display()))),
        ["wheel", "--manylinux"] => setup::everything().and_then(|()| python::manylinux().map(|path| println!("{}", path.display()))),
        ["sdist"] => setup::everything().and_then(|()| python::sdist().map(|path| println!("{}", path.display()))),
        ["readme"] => setup::everything().and_then(|()| readme::commands()),
        ["python"] => setup::everything().and_then(|()| python::wheel_tests()),
        ["fuzz", "--seconds", seconds] => fuzz::fuzz(seconds),
        ["deny"] => rust::deny(),
        ["doc"] => rust::documentation(),
        ["semver"] => rust::semver(),
        ["bench", "--instructions"] => bench::instructions(false),
        ["bench", "--instructions", "--write"] => bench::instructions(true),
        ["bench", "--criterion"] => bench::criterion(),
        ["bench", words @ ..] => bench::compare(words),
        ["sim", "--seed", seed, "--steps", steps] => rust::sim(seed, steps),
        ["rotations", "--seed", seed, "--runs", runs] => rust::rotations(seed, runs),
        ["policy", "--seed", seed, "--cases", cases] => rust::policy(seed, cases),
        ["tokens", "--count", count] => rust::tokens(count),
        ["leases", "--count", count] => rust::leases(count),
        ["faults"] => rust::faults("0", "1"),
        ["faults", "--every", every] => rust::faults("0", every),
        ["faults", "--seed", seed] => rust::faults(seed, "1"),
        ["faults", "--seed", seed, "--every", every] => rust::faults(seed, every),
        ["loom"] => rust::interleavings(),
        ["loom", "--preemptions", preemptions] => rust::loom(preemptions),
        ["stress", "--seconds", seconds] => rust::stress(seconds),
        ["tamper", "--seed", seed, "--count", count] => rust::tamper(seed, count),
        ["powercut", "--seed", seed, "--states", states, "--backend", backend] => rust::powercut(seed, states, backend),
        ["crash", rounds] => rust::crash(rounds, "sled"),
        ["crash", rounds, "--backend", backend] => rust::crash(rounds, backend),
        _ => {
            println!("{HELP}");
            return if words.is_empty() || words == ["--help"] { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every step and ends with one line of figures.
fn test() -> ExitCode {
    let start = Instant::now();
    let tally = suite::run(SET_UP, &STEPS);
    println!("\n{} steps in {:.0} s", STEPS.len() + 1, start.elapsed().as_secs_f64());
    println!("{}", tally.summary());
    if tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

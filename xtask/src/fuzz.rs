//! The fuzz targets, each for so long on the nightly toolchain.

use crate::run::{Outcome, cargo, command, root, run, target};
use std::fs;

/// Every target, as `fuzz/Cargo.toml` has them.
const TARGETS: [&str; 5] = ["path", "json", "policy", "kv", "requests"];

/// Largest input, in bytes.
const INPUT_BYTES_MAX: usize = 4096;

/// Lets each target run for so many seconds. What is found goes beside what is committed, into the target directory.
pub(crate) fn fuzz(seconds: &str) -> Outcome {
    seconds.parse::<u32>().map_err(|_| format!("{seconds} is no number of seconds"))?;
    let tools = target()?.join("tools");
    let tool = tools.join("bin/cargo-fuzz");
    if !tool.exists() {
        run(cargo().args(["install", "--locked", "--root"]).arg(&tools).args(["cargo-fuzz", "--version", "0.13.2"]))?;
    }
    for name in TARGETS {
        let place = target()?.join("fuzz");
        let (found, failures) = (place.join("found").join(name), place.join("failures").join(name));
        for folder in [&found, &failures] {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let mut fuzz = command(&tool);
        // The toolchain by its name: this command itself runs on the stable one.
        fuzz.env("RUSTUP_TOOLCHAIN", "nightly").env_remove("CARGO").env_remove("RUSTC");
        fuzz.args(["run", "--fuzz-dir", "fuzz", "--target-dir"]).arg(place.join("build")).arg(name).arg(&found);
        fuzz.arg(root().join("fuzz/corpus").join(name)).arg("--");
        fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={INPUT_BYTES_MAX}"));
        fuzz.arg(format!("-artifact_prefix={}/", failures.display())).arg("-timeout=20").arg("-rss_limit_mb=4096");
        run(&mut fuzz)?;
    }
    Ok(())
}

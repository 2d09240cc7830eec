//! The wheel: built by maturin, installed into a fresh virtual environment, tested, type-checked, and its examples run.

use crate::run::{Outcome, at, command, files, root, run, run_quietly, target};
use crate::{servers, setup};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What links against the C library of 2014, whatever this machine has: for the wheel that is handed out, so not among the tests' pins.
const ZIG: &str = "ziglang==0.17.1";

/// The oldest C library that the wheel runs with.
const MANYLINUX: &str = "manylinux_2_17";

/// Builds the wheel; its path.
pub(crate) fn wheel() -> Outcome<PathBuf> {
    build(&tools()?)
}

/// Builds the wheel that is handed out: optimised, and for every Linux with glibc 2.17 or later; its path. It is installed and run.
pub(crate) fn manylinux() -> Outcome<PathBuf> {
    let tools = tools()?;
    run_quietly(bin(&tools, "python").args(["-m", "pip", "install", "--quiet", ZIG]))?;
    let mut maturin = maturin(&tools, "build");
    maturin.args(["--release", "--locked", "--quiet", "--zig", "--compatibility", MANYLINUX]);
    let wheel = built(&mut maturin, "manylinux", "whl")?;
    run_installed(&wheel, &[])?;
    Ok(wheel)
}

/// Makes the source distribution, builds it in a clean environment as pip does it for a user, and runs what came of it; its path.
pub(crate) fn sdist() -> Outcome<PathBuf> {
    let sdist = built(&mut maturin(&tools()?, "sdist"), "sdist", "gz")?;
    // The profile of the tests: what is tried is that all is there, and an optimised build takes many times as long.
    run_installed(&sdist, &["--config-settings", "build-args=--profile dev"])?;
    Ok(sdist)
}

/// Installs the wheel into a fresh environment and runs all that tests it.
pub(crate) fn wheel_tests() -> Outcome {
    let tools = tools()?;
    let wheel = build(&tools)?;
    // The tests run against what is installed, never against the sources beside them.
    run_quietly(
        bin(&tools, "python").args(["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", "--no-index"]).arg(&wheel),
    )?;
    let tests = root().join("bindings/python/tests");
    let mut pytest = bin(&tools, "python");
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations", "5"]).arg(&tests);
    run(pytest.env("LIBVAULT_TEST_SERVERS", servers::program()?))?;
    types(&tools)?;
    for example in files(&root().join("examples/python"), "py")? {
        println!("{}", example.strip_prefix(root()).unwrap_or(&example).display());
        let mut python = bin(&tools, "python");
        python.arg(&example);
        run(&mut servers::beside(&example, python)?)?;
    }
    Ok(())
}

/// Looks at the types of the package, as each of the two checkers sees them, at the stubs beside the native part, and at the examples.
fn types(tools: &Path) -> Outcome {
    let examples = files(&root().join("examples/python"), "py")?;
    run(bin(tools, "python").args(["-m", "mypy", "--strict", "-p", "libvault"]))?;
    run(bin(tools, "python").args(["-m", "mypy", "--strict"]).args(&examples))?;
    let settings = root().join("bindings/python");
    let mut stubtest = bin(tools, "python");
    stubtest.args(["-m", "mypy.stubtest", "libvault", "--ignore-unused-allowlist", "--allowlist"]);
    run(stubtest.arg(settings.join("stubtest-allowlist.txt")))?;
    // Every public name has a type that pyright knows.
    run(bin(tools, "basedpyright").args(["--verifytypes", "libvault", "--ignoreexternal"]))?;
    run(bin(tools, "basedpyright").args(["--level", "error", "-p"]).arg(settings))
}

/// An interpreter that has the wheel, built for speed, and what the benches compare it with.
pub(crate) fn for_benches() -> Outcome<PathBuf> {
    let tools = tools()?;
    let wheel = build_into(&tools, "bench-wheels", "release")?;
    let venv = target()?.join("bench-venv");
    if !venv.exists() {
        run_quietly(command(setup::python()?).args(["-m", "venv"]).arg(&venv))?;
    }
    let pip = |words: &[&str]| {
        let mut pip = bin(&venv, "python");
        pip.args(["-m", "pip", "install", "--quiet"]).args(words);
        pip
    };
    run_quietly(pip(&["-r"]).arg(root().join("benches/requirements.txt")))?;
    run_quietly(pip(&["--force-reinstall", "--no-deps", "--no-index"]).arg(&wheel))?;
    Ok(venv.join("bin/python"))
}

fn build(tools: &Path) -> Outcome<PathBuf> {
    // The profile that the Rust tests have been built with, so that the core is not built anew.
    build_into(tools, "wheels", "dev")
}

fn build_into(tools: &Path, folder: &str, profile: &str) -> Outcome<PathBuf> {
    let mut maturin = maturin(tools, "build");
    maturin.args(["--profile", profile, "--locked", "--quiet", "--interpreter"]).arg(tools.join("bin/python"));
    built(&mut maturin, folder, "whl")
}

fn maturin(tools: &Path, what: &str) -> Command {
    let mut maturin = bin(tools, "maturin");
    maturin.args([what, "--manifest-path"]).arg(root().join("bindings/python/Cargo.toml"));
    maturin
}

/// Runs maturin with a folder for what it makes, emptied first; the one file with this ending in it.
fn built(maturin: &mut Command, folder: &str, ending: &str) -> Outcome<PathBuf> {
    let out = target()?.join(folder);
    if out.exists() {
        fs::remove_dir_all(&out).map_err(at(&out))?;
    }
    run_quietly(maturin.arg("--out").arg(&out))?;
    Ok(files(&out, ending)?.remove(0))
}

/// Installs a distribution into a clean environment of its own, and runs the quickstart there.
fn run_installed(distribution: &Path, options: &[&str]) -> Outcome {
    let venv = target()?.join("venv-clean");
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(at(&venv))?;
    }
    run_quietly(command(setup::python()?).args(["-m", "venv"]).arg(&venv))?;
    let mut pip = bin(&venv, "python");
    pip.args(["-m", "pip", "install", "--quiet"]).args(options).arg(distribution);
    run_quietly(pip.env("CARGO_TARGET_DIR", target()?))?;
    run_quietly(bin(&venv, "python").arg(root().join("examples/python/quickstart.py")))
}

/// A virtual environment with the tools that `requirements-test.txt` pins; made anew when that changes.
fn tools() -> Outcome<PathBuf> {
    let venv = target()?.join("venv");
    let pins = root().join("bindings/python/requirements-test.txt");
    let wanted = fs::read_to_string(&pins).map_err(at(&pins))?;
    let stamp = venv.join("requirements-test.txt");
    // An environment whose interpreter has gone from the machine is of no use either.
    let runs = || run_quietly(bin(&venv, "python").arg("--version")).is_ok();
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && runs() {
        return Ok(venv);
    }
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(at(&venv))?;
    }
    run_quietly(command(setup::python()?).args(["-m", "venv"]).arg(&venv))?;
    run_quietly(bin(&venv, "python").args(["-m", "pip", "install", "--quiet", "-r"]).arg(&pins))?;
    fs::write(&stamp, wanted).map_err(at(&stamp))?;
    Ok(venv)
}

fn bin(venv: &Path, name: &str) -> Command {
    let mut tool = command(venv.join("bin").join(name));
    // Some tools look for others, and for packages, by the first Python in the path.
    let mut path = venv.join("bin").into_os_string();
    if let Some(before) = std::env::var_os("PATH") {
        path.push(":");
        path.push(before);
    }
    // Away from the repository's root, so that a folder there is never taken for a package.
    tool.current_dir(venv).env("PATH", path).env("VIRTUAL_ENV", venv).env_remove("PYTHONPATH");
    tool
}

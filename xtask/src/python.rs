//! The wheel: built by maturin, installed into a fresh virtual environment, tested, type-checked, and its examples run.

use crate::run::{Outcome, at, cargo, command, files, root, run, run_quietly, target};
use crate::setup;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the wheel; its path.
pub(crate) fn wheel() -> Outcome<PathBuf> {
    build(&tools()?)
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
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).arg(&tests);
    run(pytest.env("LIBVAULT_TEST_SERVERS", servers()?))?;
    run(bin(&tools, "python").args(["-m", "mypy", "--strict", "-p", "libvault"]))?;
    run(bin(&tools, "python").args(["-m", "mypy.stubtest", "libvault"]))?;
    for example in files(&root().join("examples/python"), "py")? {
        println!("{}", example.strip_prefix(root()).unwrap_or(&example).display());
        run(bin(&tools, "python").args(["-m", "mypy", "--strict"]).arg(&example))?;
        run(bin(&tools, "python").arg(&example))?;
    }
    Ok(())
}

/// The program that starts database servers for tests.
fn servers() -> Outcome<PathBuf> {
    run_quietly(cargo().args(["build", "--quiet", "-p", "test-servers"]))?;
    Ok(target()?.join("debug/test-servers"))
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
    let out = target()?.join(folder);
    if out.exists() {
        fs::remove_dir_all(&out).map_err(at(&out))?;
    }
    let mut maturin = bin(tools, "maturin");
    maturin.args(["build", "--profile", profile, "--locked", "--quiet", "--out"]).arg(&out);
    maturin.arg("--manifest-path").arg(root().join("bindings/python/Cargo.toml")).arg("--interpreter").arg(tools.join("bin/python"));
    run(&mut maturin)?;
    Ok(files(&out, "whl")?.remove(0))
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
    // Away from the repository's root, so that a folder there is never taken for a package.
    tool.current_dir(venv).env("VIRTUAL_ENV", venv).env_remove("PYTHONPATH");
    tool
}

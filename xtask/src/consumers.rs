//! Programs of others: what was installed is found by pkg-config, CMake and Meson, linked shared and static, and runs.

use crate::install::{Profile, install, soname};
use crate::run::{Outcome, at, command, output, root, run_quietly, target};
use std::fs;
use std::path::{Path, PathBuf};

/// Installs into a fresh place, and builds and runs a consumer in each way.
pub(crate) fn build_and_run() -> Outcome {
    let place = target()?.join("c/consumers");
    if place.exists() {
        fs::remove_dir_all(&place).map_err(at(&place))?;
    }
    let first = place.join("first");
    install(&first.to_string_lossy(), Profile::Dev)?;
    // Whoever packages a library moves it after it was installed: nothing in it may name the place.
    let prefix = place.join("moved");
    fs::rename(&first, &prefix).map_err(at(&first))?;
    exports_only_the_interface(&prefix)?;
    by_pkg_config(&prefix, &place)?;
    by_cmake(&prefix, &place.join("cmake"))?;
    by_meson(&prefix, &place.join("meson"))
}

fn exports_only_the_interface(prefix: &Path) -> Outcome {
    let library = prefix.join("lib/libvault.so");
    let symbols = output(command("nm").args(["--dynamic", "--defined-only", "--format=posix"]).arg(&library))?;
    if let Some(foreign) = symbols.lines().find(|line| !line.starts_with("vault_")) {
        return Err(format!("the installed library exports {foreign}"));
    }
    let soname = soname()?;
    let named = output(command("readelf").arg("--dynamic").arg(&library))?.contains(&format!("[{soname}]"));
    if named && prefix.join("lib").join(&soname).exists() { Ok(()) } else { Err(format!("the installed library is not {soname}")) }
}

fn by_pkg_config(prefix: &Path, place: &Path) -> Outcome {
    for (package, linked) in [("libvault", Linked::Shared), ("libvault-static", Linked::Static)] {
        let words = output(command("pkg-config").args(["--cflags", "--libs", package]).env("PKG_CONFIG_PATH", pkg_config_path(prefix)))?;
        let program = place.join(format!("by-{package}"));
        let mut cc = command("cc");
        cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "vault-ffi/tests/consumer/main.c", "-o"]).arg(&program);
        run_quietly(cc.args(words.split_whitespace()))?;
        runs(&program, prefix, linked)?;
    }
    Ok(())
}

fn by_cmake(prefix: &Path, build: &Path) -> Outcome {
    let mut configure = command("cmake");
    configure.args(["-S", "vault-ffi/tests/consumer", "-G", "Ninja", "-B"]).arg(build);
    run_quietly(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())))?;
    run_quietly(command("cmake").arg("--build").arg(build))?;
    programs_run(build, prefix)
}

fn by_meson(prefix: &Path, build: &Path) -> Outcome {
    let mut setup = command("meson");
    setup.arg("setup").arg(build).arg("vault-ffi/tests/consumer").env("PKG_CONFIG_PATH", pkg_config_path(prefix));
    run_quietly(&mut setup)?;
    run_quietly(command("meson").args(["compile", "-C"]).arg(build))?;
    programs_run(build, prefix)
}

fn programs_run(build: &Path, prefix: &Path) -> Outcome {
    runs(&build.join("consumer_shared"), prefix, Linked::Shared)?;
    runs(&build.join("consumer_static"), prefix, Linked::Static)?;
    runs(&build.join("consumer_cpp"), prefix, Linked::Shared)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Linked {
    Shared,
    Static,
}

/// Runs the program, once it is seen to be linked as it was asked for.
fn runs(program: &Path, prefix: &Path, linked: Linked) -> Outcome {
    let needs = output(command("readelf").arg("--dynamic").arg(program))?.contains(&format!("[{}]", soname()?));
    if needs != (linked == Linked::Shared) {
        return Err(format!("{} is linked to the other library than it was asked for", program.display()));
    }
    println!("{}", program.strip_prefix(root()).unwrap_or(program).display());
    run_quietly(command(program).env("LD_LIBRARY_PATH", prefix.join("lib")))
}

fn pkg_config_path(prefix: &Path) -> PathBuf {
    prefix.join("lib/pkgconfig")
}

//! `cargo xtask install`: the libraries, headers, pkg-config files and CMake package, as C and C++ programs look for them.

use crate::run::{Outcome, at, cargo, command, root, run, run_quietly, target};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What Rust's standard library needs of the system where the library is linked statically (`rustc --print native-static-libs`).
const NATIVE: [&str; 7] = ["gcc_s", "util", "rt", "pthread", "m", "dl", "c"];

const TEMPLATES: [(&str, &str); 4] = [
    ("pkgconfig/libvault.pc", include_str!("../../vault-ffi/install/libvault.pc.in")),
    ("pkgconfig/libvault-static.pc", include_str!("../../vault-ffi/install/libvault-static.pc.in")),
    ("cmake/libvault/libvaultConfig.cmake", include_str!("../../vault-ffi/install/libvaultConfig.cmake.in")),
    ("cmake/libvault/libvaultConfigVersion.cmake", include_str!("../../vault-ffi/install/libvaultConfigVersion.cmake.in")),
];

/// Which build is installed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Release,
    /// What the tests have built already.
    Dev,
}

/// The name that programs bind to: it has the ABI's version, and not the library's.
pub(crate) fn soname() -> Outcome<String> {
    let header = fs::read_to_string(root().join("include/vault.h")).map_err(|error| error.to_string())?;
    let version = header.lines().find_map(|line| line.strip_prefix("#define VAULT_ABI_VERSION ")).ok_or("vault.h has no ABI version")?;
    Ok(format!("libvault.so.{version}"))
}

/// Builds and installs below `prefix`; what is there already is replaced.
pub(crate) fn install(prefix: &str, profile: Profile) -> Outcome {
    let prefix = &root().join(prefix);
    let built = build(profile)?;
    let lib = prefix.join("lib");
    let shared = format!("libvault.so.{VERSION}");
    for dir in [&lib, &lib.join("pkgconfig"), &lib.join("cmake/libvault"), &prefix.join("include")] {
        fs::create_dir_all(dir).map_err(at(dir))?;
    }
    copy(&built.join("libvault.so"), &lib.join(&shared), 0o755)?;
    copy(&built.join("libvault.a"), &lib.join("libvault.a"), 0o644)?;
    if profile == Profile::Release {
        // Line tables are for backtraces of panics, which nobody sees: they are caught at the boundary.
        run_quietly(command("strip").arg("--strip-unneeded").arg(lib.join(&shared)))?;
        run_quietly(command("strip").arg("--strip-debug").arg(lib.join("libvault.a")))?;
    }
    link(&shared, &lib.join(soname()?))?;
    link(&soname()?, &lib.join("libvault.so"))?;
    for header in ["vault.h", "vault.hpp"] {
        copy(&root().join("include").join(header), &prefix.join("include").join(header), 0o644)?;
    }
    for (name, template) in TEMPLATES {
        let path = lib.join(name);
        fs::write(&path, filled(template, path.extension().is_some_and(|ending| ending == "cmake"))?).map_err(at(&path))?;
    }
    println!("installed libvault {VERSION} below {}", prefix.display());
    Ok(())
}

fn build(profile: Profile) -> Outcome<PathBuf> {
    let (words, folder): (&[&str], &str) = match profile {
        Profile::Release => (&["build", "-p", "vault-ffi", "--release"], "release"),
        Profile::Dev => (&["build", "-p", "vault-ffi"], "debug"),
    };
    run(cargo().args(words))?;
    Ok(target()?.join(folder))
}

/// A template with its words filled in: the system's libraries are named by themselves for CMake, and by options of the linker otherwise.
fn filled(template: &str, is_cmake: bool) -> Outcome<String> {
    let mut numbers = VERSION.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let native = if is_cmake { NATIVE.join(";") } else { NATIVE.map(|name| format!("-l{name}")).join(" ") };
    let words = [("VERSION", VERSION), ("MAJOR", major), ("MINOR", minor), ("SONAME", &soname()?), ("NATIVE", &native)];
    Ok(words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(&format!("@{word}@"), value)))
}

/// A copy beside the place, then a rename: a program that has the old library loaded keeps it.
fn copy(from: &Path, to: &Path, mode: u32) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).map_err(at(from))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(mode)).map_err(at(&fresh))?;
    fs::rename(&fresh, to).map_err(at(to))
}

fn link(to: &str, name: &Path) -> Outcome {
    if name.symlink_metadata().is_ok() {
        fs::remove_file(name).map_err(at(name))?;
    }
    symlink(to, name).map_err(at(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_template_is_left_open() {
        for (name, template) in TEMPLATES {
            let text = filled(template, name.ends_with(".cmake")).expect("vault.h is there");
            assert!(text.contains(VERSION) && !text.contains('@'), "{name}: {text}");
        }
    }
}

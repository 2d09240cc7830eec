//! Running commands, and finding the places that they need.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Done, or why not, in words for whoever ran the command.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository")
}

/// Where cargo builds.
pub(crate) fn target() -> Outcome<&'static Path> {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    if let Some(target) = TARGET.get() {
        return Ok(target);
    }
    let metadata = output(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let after = metadata.split_once("\"target_directory\":\"").ok_or("cargo metadata names no target directory")?.1;
    let path = after.split_once('"').ok_or("cargo metadata is cut")?.0;
    Ok(TARGET.get_or_init(|| PathBuf::from(path)))
}

/// The cargo that runs us, at the root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo tells us of ourselves is not for the cargo that we run: build scripts that look at it (ring's does) would be run anew
    // whenever people and xtask take turns.
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        command.env_remove(name);
    }
    command.current_dir(root());
    command
}

/// A command, at the root.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Runs a command that must succeed; what it prints goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| format!("{}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", shown(command))) }
}

/// Runs a command that must succeed, and tells nothing of it unless it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Outcome {
    output(command).map(drop)
}

/// What a command that must succeed prints.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| format!("{}: {error}", shown(command)))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{} ended with {}\n{}{}", shown(command), output.status, text(&output.stdout), text(&output.stderr)))
    }
}

/// What went wrong with a file.
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

/// The files of a directory with this ending, in order.
pub(crate) fn files(dir: &Path, ending: &str) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        if path.extension().is_some_and(|found| found == ending) {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(format!("{} holds no .{ending} file: there is nothing to run", dir.display())) } else { Ok(files) }
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

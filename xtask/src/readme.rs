//! What newcomers copy: the commands and the C and C++ programs of README.md, run as they stand there. Its Rust is a documentation test of
//! vault-core, its Python one of the wheel's tests.

use crate::install::{Profile, install};
use crate::run::{Outcome, at, command, output, root, run, run_quietly, target};
use crate::setup;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const README: &str = "README.md";
/// What is installed by the commands themselves; here it is the build that the tests have made, since an optimised one takes minutes.
const INSTALL: &str = "cargo xtask install --prefix target/libvault";
/// What the page says of the second of its two commands: it runs all this.
const TEST: &str = "cargo xtask test";

/// Builds and runs each whole program, with the warnings that the library's own programs are free of.
pub(crate) fn programs(lib: &Path) -> Outcome {
    for (language, compiler, standard) in [("c", "cc", "-std=c11"), ("cpp", "g++", "-std=c++17")] {
        let programs: Vec<String> = blocks(&text()?, language).into_iter().filter(|block| block.contains("int main(")).collect();
        if programs.is_empty() {
            return Err(format!("{README} has no program in {language}"));
        }
        for (number, program) in programs.iter().enumerate() {
            let source = lib.join(format!("readme-{number}.{language}"));
            fs::write(&source, program).map_err(at(&source))?;
            let built = source.with_extension("run");
            let mut compile = command(compiler);
            compile.args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"]).arg(root().join("include")).arg(&source);
            run_quietly(compile.arg("-o").arg(&built).arg("-L").arg(lib).arg("-lvault"))?;
            run_quietly(command(&built).env("LD_LIBRARY_PATH", lib))?;
            println!("{README}: {language} {}", number + 1);
        }
    }
    Ok(())
}

/// Runs the commands in order, in one shell.
pub(crate) fn commands() -> Outcome {
    let text = text()?;
    let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    if !commands.contains(&INSTALL) || commands.iter().any(|line| line.contains(TEST)) {
        return Err(format!("{README}: its commands are not those that this step knows: {commands:?}"));
    }
    install("target/libvault", Profile::Dev)?;
    let script: Vec<&str> = commands.into_iter().filter(|line| *line != INSTALL).collect();
    let mut shell = command("bash");
    shell.args(["-euo", "pipefail", "-x", "-c"]).arg(script.join("\n"));
    let path = std::env::var("PATH").unwrap_or_default();
    run(shell.env("PATH", format!("{}:{path}", python3()?.display())))
}

/// A folder in which `python3`, as the page calls it, is the interpreter of the tests: the system's own may be too old.
fn python3() -> Outcome<PathBuf> {
    let interpreter = output(command(setup::python()?).args(["-c", "import sys; print(sys.executable)"]))?;
    let folder = target()?.join("python3");
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let link = folder.join("python3");
    if link.exists() {
        fs::remove_file(&link).map_err(at(&link))?;
    }
    symlink(interpreter.trim(), &link).map_err(at(&link))?;
    Ok(folder)
}

fn text() -> Outcome<String> {
    let path = root().join(README);
    fs::read_to_string(&path).map_err(at(&path))
}

/// The blocks of a language, without their fences.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    text.split(&fence).skip(1).filter_map(|part| part.split_once("\n```").map(|(block, _)| format!("{block}\n"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_one_language() {
        let text = "a\n```c\nint main(void) {}\n```\nb\n```cpp\nint main() {}\n```\n```console\n$ x\n```\n";
        assert_eq!(blocks(text, "c"), ["int main(void) {}\n"]);
        assert_eq!(blocks(text, "cpp"), ["int main() {}\n"]);
    }
}

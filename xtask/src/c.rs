//! The C programs: every test and example built with cc against the shared library, run plain and under valgrind; the header as C++.

use crate::run::{Outcome, at, cargo, command, files, root, run, run_quietly, target};
use std::fs;
use std::path::{Path, PathBuf};

const C_FLAGS: [&str; 5] = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"];
const CXX_FLAGS: [&str; 6] = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"];

/// Builds and runs them all.
pub(crate) fn programs() -> Outcome {
    let lib = library()?;
    header_is_clean(&lib)?;
    let mut sources = files(&root().join("vault-ffi/tests/c"), "c")?;
    sources.extend(files(&root().join("examples/c"), "c")?);
    for source in sources {
        let program = build(&source, &lib)?;
        println!("{}", source.strip_prefix(root()).unwrap_or(&source).display());
        run_quietly(command(&program).env("LD_LIBRARY_PATH", &lib))?;
        let mut valgrind = command("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,possible"]);
        // sled's threads outlive its databases; what is excused is named in the file.
        let excused = format!("--suppressions={}", root().join("vault-ffi/tests/c/valgrind.supp").display());
        valgrind.args(["--errors-for-leak-kinds=definite,possible", &excused]).arg(&program).env("LD_LIBRARY_PATH", &lib);
        run_quietly(&mut valgrind)?;
    }
    Ok(())
}

/// The shared library under the names that the linker and the loader look for.
fn library() -> Outcome<PathBuf> {
    run(cargo().args(["build", "-p", "vault-ffi"]))?;
    let dir = target()?.join("c");
    fs::create_dir_all(&dir).map_err(at(&dir))?;
    for name in ["libvault.so", "libvault.so.0"] {
        let to = dir.join(name);
        fs::copy(target()?.join("debug/libvault.so"), &to).map_err(at(&to))?;
    }
    Ok(dir)
}

fn build(source: &Path, lib: &Path) -> Outcome<PathBuf> {
    let program = lib.join(source.file_stem().ok_or("a source without a name")?);
    let mut cc = command("cc");
    cc.args(C_FLAGS).args(["-g"]).arg(source).arg("-o").arg(&program);
    cc.arg("-I").arg(root().join("include")).arg("-L").arg(lib).args(["-lvault", "-lpthread"]);
    run_quietly(&mut cc).map(|()| program)
}

/// The header is clean as C11 and as C++17, and may be included twice.
fn header_is_clean(dir: &Path) -> Outcome {
    for (compiler, flags, name) in [("cc", &C_FLAGS[..], "header.c"), ("g++", &CXX_FLAGS[..], "header.cpp")] {
        let source = dir.join(name);
        let text = "#include \"vault.h\"\n#include \"vault.h\"\nint main(void) { return VAULT_OK; }\n";
        fs::write(&source, text).map_err(at(&source))?;
        run_quietly(command(compiler).args(flags).arg("-fsyntax-only").arg("-I").arg(root().join("include")).arg(&source))?;
    }
    Ok(())
}

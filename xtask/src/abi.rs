//! The C interface beside a committed baseline: its functions and types by abidiff, its numbers by name.
//!
//! Rust's debug information describes Rust's types, so what is compared is a library of empty functions that a C compiler makes of vault.h.
//! That the header is what the library exports is held by other tests (`header --check`, `vault-ffi/tests/abi.rs`).

use crate::run::{Outcome, at, command, output, root, run_quietly, target};
use std::fs;
use std::path::{Path, PathBuf};

const NUMBERS: &str = "vault-ffi/abi/numbers.txt";
const BASELINE: &str = "vault-ffi/abi/libvault.abi";

/// Writes the baseline: after a change that was looked at, and is one that docs/c-abi.md allows.
pub(crate) fn write() -> Outcome {
    let (library, numbers) = (stub()?, numbers(&header()?));
    let path = root().join(BASELINE);
    fs::create_dir_all(path.parent().ok_or("the baseline has a folder")?).map_err(at(&path))?;
    let mut abidw = command("abidw");
    abidw.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--type-id-style", "hash", "--out-file"]).arg(&path);
    run_quietly(abidw.arg(&library))?;
    let path = root().join(NUMBERS);
    fs::write(&path, numbers).map_err(at(&path))
}

/// Compares the header with the baseline. Any difference is told: what docs/c-abi.md allows is committed with it, the rest is not done.
pub(crate) fn check() -> Outcome {
    let path = root().join(NUMBERS);
    let committed = fs::read_to_string(&path).map_err(at(&path))?;
    let numbers = numbers(&header()?);
    if let Some(line) = committed.lines().find(|line| !numbers.lines().any(|now| now == *line)) {
        return Err(format!("{line} was changed or removed: programs that are compiled already go by it"));
    }
    let library = stub()?;
    let told = output(command("abidiff").arg("--no-show-locs").arg(root().join(BASELINE)).arg(&library));
    let advice = "the C interface differs from its baseline. If docs/c-abi.md allows it, run `cargo xtask abi` and commit vault-ffi/abi";
    told.map_err(|why| format!("{advice}\n{why}"))?;
    if committed == numbers { Ok(()) } else { Err(format!("there are new numbers: {advice}")) }
}

fn header() -> Outcome<String> {
    let path = root().join("include/vault.h");
    fs::read_to_string(&path).map_err(at(&path))
}

/// Every `#define VAULT_NAME number` of the header, in order.
fn numbers(header: &str) -> String {
    let lines = header.lines().filter(|line| line.starts_with("#define VAULT_") && line.split(' ').count() == 3);
    lines.map(|line| format!("{line}\n")).collect()
}

/// A library of empty functions with the types of the header.
fn stub() -> Outcome<PathBuf> {
    let dir = target()?.join("c/abi");
    fs::create_dir_all(&dir).map_err(at(&dir))?;
    let source = dir.join("stub.c");
    fs::write(&source, stub_source(&header()?)?).map_err(at(&source))?;
    let library = dir.join("libvault.so");
    compile(&source, &library)?;
    Ok(library)
}

fn compile(source: &Path, library: &Path) -> Outcome {
    let folder = source.parent().ok_or("a file lies in a folder")?;
    let mut cc = command("cc");
    // The baseline says nothing of where it was made.
    cc.arg(format!("-ffile-prefix-map={}=.", folder.display())).arg(format!("-ffile-prefix-map={}=.", root().display()));
    cc.args(["-std=c11", "-g", "-w", "-fPIC", "-shared", "-Wl,-soname,libvault.so.0", "-I"]).arg(root().join("include"));
    run_quietly(cc.arg(source).arg("-o").arg(library))
}

/// The declarations between the braces of `extern "C"`, each with an empty body.
fn stub_source(header: &str) -> Outcome<String> {
    let declarations = header.split_once("extern \"C\" {\n").and_then(|(_, rest)| rest.split_once("#ifdef __cplusplus"));
    let declarations = declarations.ok_or("vault.h has no extern \"C\"")?.0.replace("#endif // __cplusplus", "");
    let define = |declaration: &str| {
        let is_void = declaration.lines().any(|line| line.starts_with("void "));
        format!("{declaration}) {{ {} }}", if is_void { "" } else { "return 0;" })
    };
    // Comments hold `);` too, so they go first.
    let code: String = without_comments(&declarations);
    let (whole, rest) = code.rsplit_once(");").ok_or("vault.h declares no function")?;
    let bodies: String = whole.split(");").map(define).collect();
    Ok(format!("#include \"vault.h\"\n{bodies}{rest}"))
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |code, part| code + part.split_once("*/").map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_declaration_becomes_an_empty_function() {
        let header = "x\nextern \"C\" {\n#endif // __cplusplus\n\n/**\n * As `f(x);`.\n */\nint f(int a);\n\nvoid g(void);\n\n#ifdef __cplusplus\n}\n";
        let source = stub_source(header).expect("two functions");
        let words: Vec<_> = source.split_whitespace().collect();
        assert_eq!(words.join(" "), "#include \"vault.h\" int f(int a) { return 0; } void g(void) { }");
    }

    #[test]
    fn only_defines_with_a_number_are_numbers() {
        assert_eq!(numbers("#define VAULT_H\n#define VAULT_OK 0\nint VAULT_X;\n"), "#define VAULT_OK 0\n");
    }
}

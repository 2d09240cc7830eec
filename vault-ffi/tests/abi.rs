//! The committed header and the built library, held to core's table of codes, to two compilers, and to the list of what is exported.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use vault_core::types::Code;

fn header() -> String {
    std::fs::read_to_string(include_dir().join("vault.h")).expect("include/vault.h is committed")
}

fn include_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../include")
}

/// `#define NAME number` lines with this prefix.
fn defines(prefix: &str) -> BTreeSet<(String, i32)> {
    let header = header();
    let lines = header.lines().filter_map(|line| line.strip_prefix("#define ")?.split_once(' '));
    let with_prefix = lines.filter(|(name, _)| name.starts_with(prefix));
    with_prefix.map(|(name, number)| (name.to_owned(), number.parse().expect("a number"))).collect()
}

/// `CasMismatch` as `CAS_MISMATCH`.
fn screaming(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = header();
    let is_type = |line: &str| line.contains("inline") || line.starts_with("typedef");
    let declarations = header.lines().filter(|line| line.starts_with(char::is_alphabetic) && line.contains('(') && !is_type(line));
    let name = |line: &str| line.split('(').next().and_then(|head| head.rsplit([' ', '*']).next()).map(str::to_owned);
    declarations.filter_map(name).collect()
}

#[test]
fn the_header_has_a_status_for_each_code_and_no_other() {
    let expected = Code::ALL.iter().map(|code| (format!("VAULT_ERR_{}", screaming(code.name())), code.number())).collect();
    assert_eq!(defines("VAULT_ERR_"), expected);
}

#[test]
fn the_header_has_each_class_of_the_codes_under_its_hundreds() {
    let mut expected: BTreeSet<_> =
        Code::ALL.iter().map(|code| (format!("VAULT_CLASS_{}", screaming(code.class().name())), code.number() / 100)).collect();
    expected.insert(("VAULT_CLASS_NONE".to_owned(), 0));
    assert_eq!(defines("VAULT_CLASS_"), expected);
}

#[test]
fn the_body_of_every_export_is_one_call_of_the_guard() {
    let mut exports = 0;
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("the sources are there") {
        let source = std::fs::read_to_string(file.expect("an entry").path()).expect("a text file");
        for export in source.split("#[unsafe(no_mangle)]").skip(1) {
            let end = export.find("\n}\n").expect("a function ends");
            let (signature, body) = export[..end].split_once(" {\n").expect("a body");
            let is_statement = |line: &&str| line.starts_with("    ") && !line.starts_with("     ") && !line.starts_with("    }");
            let statements: Vec<_> = body.lines().filter(is_statement).collect();
            assert!(matches!(statements[..], [only] if only.starts_with("    guard!(")), "{signature}");
            exports += 1;
        }
    }
    assert_eq!(exports, declared().len());
}

#[test]
fn the_header_is_clean_c11_and_cpp17_and_may_be_included_twice() {
    for (compiler, language, standard) in [("cc", "c", "-std=c11"), ("c++", "c++", "-std=c++17")] {
        let mut child = Command::new(compiler)
            .args(["-x", language, standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"])
            .arg(include_dir())
            .arg("-")
            .stdin(Stdio::piped())
            .spawn()
            .expect("a C and a C++ compiler are installed");
        let program: &[u8] = b"#include \"vault.h\"\n#include \"vault.h\"\nvoid f(vault_options_t *o) { vault_options_init(o); }\n";
        child.stdin.take().expect("piped").write_all(program).expect("the compiler reads");
        assert!(child.wait().expect("the compiler ends").success(), "{compiler} {standard}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_library_exports_what_the_header_declares_and_nothing_else_and_has_its_soname() {
    let library = std::env::current_exe().expect("known").with_file_name("libvault.so");
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).arg(&library).output().expect("binutils are installed");
        assert!(output.status.success(), "{program} reads the library");
        String::from_utf8(output.stdout).expect("ASCII")
    };
    let symbols = run("nm", &["--dynamic", "--defined-only", "--format=posix"]);
    let exported: BTreeSet<_> = symbols.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert_eq!(exported, declared());
    assert!(declared().len() > 20);
    assert!(run("readelf", &["--dynamic"]).contains("[libvault.so.0]"));
}

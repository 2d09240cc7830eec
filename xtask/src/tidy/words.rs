//! What holds for every file, in any language: it says what it holds, has no leftovers, no path of one machine, and no unsafe code out of place.

use super::code::without_comments;
use super::paths::tokens;

/// Notes to oneself. They are written in two parts, here and in the tests, so that this file needs no exception.
const LEFTOVERS: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("d", "bg!"),
];

/// Where paths of one machine begin.
const MACHINE: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// The beginnings of the names of the files that may hold unsafe code.
const UNSAFE: [&str; 6] = [
    "vault-ffi/src/",
    "vault-ffi/tests/",
    "bindings/python/src/",
    "vault-core/src/os/memory.rs",
    "benches/src/bindings.rs",
    "benches/src/memory.rs",
];

/// What is wrong with a file.
pub(crate) fn check(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !says_what_it_holds(name, text) {
        problems.push(format!("{name}: the first line does not say what the file holds"));
    }
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        problems.extend(LEFTOVERS.iter().filter(|word| has(line, word)).map(|word| format!("{place}: {word} is left")));
        problems.extend(MACHINE.iter().filter(|path| has(line, path)).map(|path| format!("{place}: {path} is a path of one machine")));
    }
    if name.ends_with(".rs") && !UNSAFE.iter().any(|allowed| name.starts_with(allowed)) {
        let code = without_comments(text);
        for (at, (line, _)) in unsafe_words(&code) {
            problems.push(format!("{name}:{line}: {at} may stand only in {}", UNSAFE.join(", ")));
        }
    }
    problems
}

/// The first line, after an interpreter's line, is a comment or a documentation text that says something.
fn says_what_it_holds(name: &str, text: &str) -> bool {
    let mut lines = text.lines().skip_while(|line| line.starts_with("#!") && !line.starts_with("#![")).map(str::trim);
    let first = lines.next().unwrap_or_default();
    let file = name.rsplit('/').next().unwrap_or(name);
    let marks: &[&str] = match file.rsplit_once('.').map(|(_, ending)| ending) {
        // A crate's manifest says it in its description.
        Some("toml") if file == "Cargo.toml" && text.contains("[package]") => return text.contains("\ndescription = \""),
        Some("rs") => &["//!"],
        Some("py" | "pyi") => &["\"\"\"", "#"],
        Some("toml" | "sh" | "yml" | "yaml" | "supp" | "txt") => &["#"],
        Some("c" | "h" | "hpp" | "cpp") => &["/*", "//"],
        _ if text.starts_with("#!") => &["#"],
        _ => return true,
    };
    let said = marks.iter().find_map(|mark| first.strip_prefix(mark)).map(|rest| rest.trim_matches(['*', '!', ' ', '"']));
    // A C comment may begin on the line after its opening.
    said.is_some_and(|said| !said.is_empty() || (first == "/*" || first == "/**") && lines.next().is_some_and(|line| line.len() > 3))
}

/// Whether the line has these characters, and not as the end or the beginning of a longer word.
fn has(line: &str, wanted: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(wanted).any(|(at, _)| {
        let continues = line[..at].ends_with(is_word) || (wanted.starts_with('/') && line[..at].ends_with(['.', '}', '>', '/']));
        let closed = !wanted.ends_with(is_word) || !line[at + wanted.len()..].starts_with(is_word);
        !continues && closed
    })
}

/// `unsafe` itself, and attributes that allow it.
fn unsafe_words(code: &str) -> Vec<(&'static str, (usize, &str))> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (at, (line, token)) in tokens.iter().enumerate() {
        let allows = at >= 2 && matches!(tokens[at - 2].1, "allow" | "expect" | "warn");
        match *token {
            "unsafe" => found.push(("unsafe", (*line, *token))),
            "unsafe_code" if allows => found.push(("a permission for unsafe code", (*line, *token))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn count(name: &str, text: &str) -> usize {
        check(name, text).len()
    }

    #[test]
    fn a_file_must_say_what_it_holds() {
        for (name, said, silent) in [
            ("a.rs", "//! This.\n", "use x;\n"),
            ("a.py", "#!/usr/bin/env python3\n\"\"\"This.\"\"\"\n", "import x\n"),
            ("a.pyi", "\"\"\"This.\"\"\"\n", "class X: ...\n"),
            ("a.c", "/* This. */\n", "#include <x.h>\n"),
            ("a.h", "/*\n * This.\n */\n", "#pragma once\n"),
            ("a.toml", "# This.\n", "a = 1\n"),
            ("x/Cargo.toml", "[package]\ndescription = \"This\"\n", "[package]\nname = \"x\"\n"),
            ("Cargo.toml", "# This.\n[workspace]\n", "[workspace]\n"),
            ("a.yml", "# This.\n", "a: 1\n"),
            ("a.sh", "#!/bin/sh\n# This.\n", "#!/bin/sh\nset -e\n"),
            (".ci/run", "#!/usr/bin/env bash\n# This.\n", "#!/usr/bin/env bash\nset -e\n"),
            ("b.rs", "//! This.", "//!"),
        ] {
            assert_eq!(count(name, said), 0, "{name}: {said}");
            assert_eq!(count(name, silent), 1, "{name}: {silent}");
        }
        assert_eq!(count("README.md", "anything"), 0);
    }

    #[test]
    fn leftovers_are_found_in_any_language() {
        for word in LEFTOVERS {
            assert_eq!(count("a.rs", &format!("//! x\n// {word}: y\n")), 1, "{word}");
            assert_eq!(count("a.md", &format!("x {word}\n")), 1, "{word}");
        }
        assert_eq!(count("a.sh", "# x\nmktemp a.XXXXXX\n"), 0);
    }

    #[test]
    fn paths_of_a_machine_are_found_and_paths_of_a_vault_are_not() {
        for path in MACHINE {
            assert_eq!(count("a.md", &format!("see {path}somebody\n")), 1, "{path}");
            assert_eq!(count("a.md", &format!("(`{path}x`)\n")), 1, "{path}");
            assert_eq!(count("a.md", &format!("secret/data{path}x\n")), 0, "{path}");
        }
    }

    #[test]
    fn unsafe_code_stands_only_in_its_places() {
        assert_eq!(count("vault-core/src/a.rs", "//! x\nfn f() { unsafe{ g() } }"), 1);
        assert_eq!(count("vault-connectors/src/lib.rs", "//! x\nunsafe impl Send for X {}"), 1);
        assert_eq!(count("xtask/src/a.rs", "//! x\n#![allow(unsafe_code, reason = \"y\")]"), 1);
        assert_eq!(count("vault-core/src/a.rs", "//! x: unsafe\n#![forbid(unsafe_code)]\nconst A: &str = \"unsafe {\";"), 0);
        assert_eq!(count("vault-core/src/os/memory.rs", "//! x\nfn f() { unsafe { g() } }"), 0);
    }
}

//! The house's order: first lines, floors, walls, no leftovers; sizes as warnings.

use crate::run::{Outcome, at, command, output, root};
use std::fs;

/// The floors of vault-core: what a folder (or a file) may import besides itself is every folder on a lower floor.
const FLOORS: [(&str, u8); 16] = [
    ("types", 0),
    ("host", 0),
    ("os", 0),
    ("crypto", 1),
    ("storage", 2),
    ("seal", 3),
    ("barrier", 3),
    ("policy", 4),
    ("audit", 4),
    ("commit", 5),
    ("auth", 6),
    ("engines", 6),
    ("pipeline", 7),
    ("vault", 8),
    ("wire", 8),
    ("lib", 9),
];

/// Imports within a floor: each with its reason.
const SAME_FLOOR: [(&str, &str, &str); 3] = [
    ("host", "types", "the world's traits speak of times and secrets"),
    ("os", "types", "the system's clock gives timestamps"),
    ("os", "host", "the default world implements the world's traits"),
];

/// What may stand only in some files of vault-core: the words, and the beginnings of the paths that may hold them.
const WALLS: [(&[&str], &[&str]); 3] = [
    (
        &["std::fs", "std::net", "std::thread::", "SystemTime", "Instant", "std::env::", "std::process"],
        &["os/", "storage/sled/", "storage/files.rs", "storage/segments.rs", "storage/conformance.rs"],
    ),
    (&["sled::Db", "sled::Config", "sled::Batch", "sled::Error", "sled::Result"], &["storage/sled/"]),
    (&["unsafe ", "allow(unsafe_code"], &["os/memory.rs"]),
];

const LEFTOVERS: [&str; 5] = ["TODO", "FIXME", "todo!(", "unimplemented!(", "dbg!("];
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Looks at every file that git knows or would add.
pub(crate) fn tidy() -> Outcome {
    let listed = output(command("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    let mut problems = Vec::new();
    for name in listed.lines() {
        let path = root().join(name);
        // A file that was removed and not yet committed, or one that is no text, is not looked at.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        problems.extend(check(name, &text));
        if let Some(rest) = name.strip_prefix("vault-core/src/") {
            problems.extend(check_core(rest, &text));
        }
        sizes(name, &text);
    }
    let exists = root().join("Cargo.lock");
    fs::metadata(&exists).map_err(at(&exists))?;
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// What holds for every file.
fn check(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let first = text.lines().find(|line| !line.starts_with("#!") || line.starts_with("#![")).unwrap_or_default();
    let says = match name.rsplit('.').next() {
        Some("rs") => first.starts_with("//! "),
        Some("py") => first.starts_with("\"\"\"") || first.starts_with("# "),
        Some("pyi") => first.starts_with("\"\"\"") || first.starts_with("# "),
        Some("c" | "h" | "hpp") => first.starts_with("/*") || first.starts_with("//"),
        _ => true,
    };
    if !says {
        problems.push(format!("{name}: the first line does not say what the file holds"));
    }
    if name != "xtask/src/tidy.rs" {
        let is_code = ["rs", "py", "c", "h"].iter().any(|ending| name.ends_with(&format!(".{ending}")));
        for (number, line) in text.lines().enumerate() {
            let found = LEFTOVERS.iter().filter(|_| is_code).find(|leftover| line.contains(**leftover));
            problems.extend(found.map(|leftover| format!("{name}:{}: {leftover} is left", number + 1)));
            let machine = ["/work/", "/root/", "/home/"].iter().find(|path| line.contains(**path));
            problems.extend(machine.map(|path| format!("{name}:{}: {path} is a path of one machine", number + 1)));
        }
    }
    problems
}

/// What holds for the core: floors and walls, outside of tests.
fn check_core(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let folder = name.split(['/', '.']).next().unwrap_or_default();
    let floor_of = |folder: &str| FLOORS.iter().find(|(name, _)| *name == folder).map(|(_, floor)| *floor);
    let Some(floor) = floor_of(folder) else { return vec![format!("vault-core/src/{name}: {folder} has no floor in xtask/src/tidy.rs")] };
    if name.ends_with("_tests.rs") {
        return problems;
    }
    for (number, line) in text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
        let place = format!("vault-core/src/{name}:{}", number + 1);
        if line.trim_start().starts_with("//") {
            continue;
        }
        for import in line.split("crate::").skip(1) {
            let imported = import.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let Some(other) = floor_of(imported) else { continue };
            let excepted = SAME_FLOOR.iter().any(|(from, to, _)| *from == folder && *to == imported);
            if imported != folder && other >= floor && !excepted {
                problems.push(format!("{place}: {folder} (floor {floor}) imports {imported} (floor {other})"));
            }
        }
        for (words, allowed) in WALLS {
            let found = words.iter().find(|word| line.contains(**word));
            if let Some(word) = found.filter(|_| !allowed.iter().any(|path| name.starts_with(path))) {
                problems.push(format!("{place}: {word} may stand only in {}", allowed.join(", ")));
            }
        }
    }
    problems
}

/// Tells of files and functions that have grown long; people judge.
fn sizes(name: &str, text: &str) {
    if !name.ends_with(".rs") {
        return;
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        println!("warning: {name} has {lines} lines");
    }
    let mut start: Option<(usize, usize)> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let is_start = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn "].iter().any(|word| line.trim_start().starts_with(word));
        if is_start && line.trim_end().ends_with('{') {
            start = Some((number, indent));
        } else if let Some((began, _)) = start.filter(|(_, outer)| line.trim() == "}" && indent == *outer) {
            if number - began > FUNCTION_LINES_MAX {
                println!("warning: {name}:{} is a function of {} lines", began + 1, number - began);
            }
            start = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_must_say_what_it_holds() {
        assert!(check("a.rs", "//! This.\n").is_empty());
        assert_eq!(check("a.rs", "use x;\n").len(), 1);
        assert!(check("a.py", "#!/usr/bin/env python3\n\"\"\"This.\"\"\"\n").is_empty());
        assert_eq!(check("a.c", "#include <x.h>\n").len(), 1);
    }

    #[test]
    fn leftovers_and_paths_of_a_machine_are_found() {
        assert_eq!(check("a.rs", "//! x\n// TODO\n").len(), 1);
        assert_eq!(check("a.md", "see /home/somebody\n").len(), 1);
    }

    #[test]
    fn an_import_from_a_higher_floor_or_a_sibling_is_found() {
        assert_eq!(check_core("types/a.rs", "use crate::storage::Key;\n").len(), 1);
        assert_eq!(check_core("engines/kv/a.rs", "let x = crate::auth::token::y();\n").len(), 1);
        assert!(check_core("pipeline/a.rs", "use crate::engines::Engine;\nuse crate::pipeline::x;\n").is_empty());
        assert!(check_core("types/a.rs", "#[cfg(test)]\nmod tests { use crate::storage::Key; }\n").is_empty());
    }

    #[test]
    fn the_walls_stand() {
        assert_eq!(check_core("engines/a.rs", "let x = std::fs::read(y);\n").len(), 1);
        assert_eq!(check_core("barrier/a.rs", "unsafe { x }\n").len(), 1);
        assert!(check_core("os/memory.rs", "unsafe { x }\n").is_empty());
    }
}

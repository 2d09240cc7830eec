//! The floors and walls of vault-core: what a file may import, and which of them may touch the world.

use super::code::{without_comments, without_tests};
use super::paths::{Found, module_of, paths, tokens};

/// What a folder (or a file) may import besides itself is every folder on a lower floor.
const FLOORS: [(&str, u8); 26] = [
    ("types", 0),
    ("host", 0),
    ("os", 0),
    ("crypto", 1),
    ("metrics", 1),
    ("storage", 2),
    ("seal", 3),
    ("barrier", 3),
    ("policy", 4),
    ("audit", 4),
    ("rotation", 4),
    ("password", 5),
    ("commit", 5),
    ("backup", 5),
    ("identity", 5),
    ("auth", 6),
    ("engines", 6),
    ("lease", 6),
    ("managed", 6),
    ("pipeline", 7),
    ("vault", 8),
    ("doctor", 8),
    ("wire", 8),
    ("testing", 8),
    ("measure", 8),
    ("lib", 9),
];

/// Imports within a floor: each with its reason.
const SAME_FLOOR: [(&str, &str, &str); 7] = [
    ("host", "types", "the world's traits speak of times and secrets"),
    ("os", "types", "the system's clock gives timestamps"),
    ("os", "host", "the default world implements the world's traits"),
    ("engines", "lease", "an engine says what a lease is to hold, and for how long"),
    ("engines", "managed", "a static role is a credential that is rotated"),
    ("lease", "auth", "a lease is held by a token, and ends with it"),
    ("managed", "auth", "whoever has read a credential is a token, and leaves with it"),
];

/// Folders whose members know their folder's own file (`mod.rs`) and the one member that holds what they share, and not each other.
const STRANGERS: [(&str, &str); 1] = [("engines", "common")];

/// Paths that may stand only in some files, and the beginnings of the names of those files.
const WALLS: [(&[&str], &[&str]); 5] = [
    (
        &["std::fs", "std::net", "std::os", "std::time::SystemTime", "std::time::Instant", "std::env", "std::process"],
        &[
            "os/",
            "storage/sled",
            "storage/redb",
            "storage/files.rs",
            "storage/home.rs",
            "storage/segments",
            "storage/anchor_file.rs",
            "storage/wal.rs",
            "storage/doctor",
        ],
    ),
    // The suite that every backend passes reads from several threads at once; it is compiled for tests only.
    (&["std::thread"], &["os/", "storage/sled", "storage/conformance"]),
    (&["libc", "ring::rand"], &["os/", "storage/sled", "storage/files.rs"]),
    (&["sled"], &["storage/sled"]),
    (&["redb"], &["storage/redb"]),
];

/// What a file of vault-core does against floors and walls, outside of its tests. `name` is relative to `vault-core/src`.
pub(crate) fn check(name: &str, source: &str) -> Vec<String> {
    // A file of tests only; the folder's `mod.rs` guards it with `cfg(test)`.
    if name.ends_with("_tests.rs") {
        return Vec::new();
    }
    let module = module_of(name);
    let folder = module.first().copied().unwrap_or("lib");
    let Some(floor) = floor_of(folder) else {
        return vec![format!("vault-core/src/{name}: {folder} has no floor in xtask/src/tidy/floors.rs")];
    };
    let code = without_tests(&without_comments(source));
    let modules = declared(&code);
    let mut problems = Vec::new();
    for found in paths(&code, &module) {
        let problem = if found.in_crate {
            wrong_floor(folder, floor, &found).or_else(|| stranger(&module, &found))
        } else if found.segments.first().is_none_or(|first| modules.contains(&first.as_str())) {
            None
        } else {
            breach(name, &found)
        };
        problems.extend(problem.map(|problem| format!("vault-core/src/{name}:{}: {problem}", found.line)));
    }
    problems
}

fn floor_of(folder: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == folder).map(|(_, floor)| *floor)
}

/// The modules that a file declares: a path that begins with one of them stays in the folder.
fn declared(code: &str) -> Vec<&str> {
    tokens(code).windows(2).filter(|pair| pair[0].1 == "mod").map(|pair| pair[1].1).collect()
}

/// An import from the same floor or a higher one.
fn wrong_floor(folder: &str, floor: u8, found: &Found) -> Option<String> {
    let imported = found.segments.first()?;
    // What the crate's root names again (`crate::Vault`) comes from the public face.
    let face = if imported.starts_with(char::is_uppercase) { floor_of("vault") } else { None };
    let other = floor_of(imported).or(face)?;
    let excepted = SAME_FLOOR.iter().any(|(from, to, _)| *from == folder && to == imported);
    let wrong = imported != folder && other >= floor && !excepted && !(face.is_some() && other == floor);
    wrong.then(|| format!("{folder} (floor {floor}) imports {imported} (floor {other})"))
}

/// A member of a folder whose members do not know each other, importing another.
fn stranger(module: &[&str], found: &Found) -> Option<String> {
    let [folder, own, ..] = module else { return None };
    let [other_folder, other, ..] = found.segments.as_slice() else { return None };
    // Types and functions of the folder's own file have no path of their own below it; modules are lower case.
    let is_module = found.segments.len() > 2 && other.starts_with(char::is_lowercase);
    let shared = STRANGERS.iter().find(|(strange, _)| strange == folder).map(|(_, shared)| *shared)?;
    let strange = other_folder == folder && is_module && other != own && other != shared;
    strange.then(|| format!("{folder}::{own} imports {folder}::{other}: members of {folder} do not know each other"))
}

fn breach(name: &str, found: &Found) -> Option<String> {
    WALLS.iter().find_map(|(walled, allowed)| {
        if allowed.iter().any(|beginning| name.starts_with(beginning)) {
            return None;
        }
        let path = walled.iter().find(|path| leads_to(found, path))?;
        Some(format!("{path} may stand only in {}", allowed.join(", ")))
    })
}

/// Whether the path goes through the wall, or imports something from which one step leads through it (`use std::time;`).
fn leads_to(found: &Found, walled: &str) -> bool {
    let walled: Vec<&str> = walled.split("::").collect();
    let agree = found.segments.iter().zip(&walled).all(|(a, b)| a == b);
    let reaches = found.segments.len() >= walled.len();
    // A single word may be a variable; as the first of several, or imported, it is a crate.
    agree && if reaches { found.segments.len() > 1 || found.imported } else { found.imported }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn bad(name: &str, source: &str) {
        assert_eq!(check(name, source).len(), 1, "{name}: {source}: {:?}", check(name, source));
    }

    #[track_caller]
    fn good(name: &str, source: &str) {
        assert_eq!(check(name, source), Vec::<String>::new(), "{name}: {source}");
    }

    #[test]
    fn an_import_from_a_higher_floor_is_found_however_it_is_written() {
        bad("types/a.rs", "use crate::storage::Key;");
        bad("types/a.rs", "use crate::{types::b, storage::Key};");
        bad("types/mod.rs", "use super::pipeline::Runtime;");
        bad("types/a.rs", "use super::super::pipeline::Runtime;");
        bad("types/a.rs", "fn a() -> crate::storage::Key { b() }");
        bad("types/a.rs", "use crate::{\n    types::b,\n    storage::Key,\n};");
        bad("policy/a.rs", "use crate::Vault;");
        good("storage/a.rs", "use crate::types::Path;\nuse crate::storage::b;\nuse super::c;");
        good("lib.rs", "pub use vault::Vault; use crate::wire::x;");
    }

    #[test]
    fn siblings_of_a_floor_are_strangers_but_for_the_table() {
        bad("engines/kv/a.rs", "let x = crate::auth::token::y();");
        bad("auth/token.rs", "use crate::engines::kv::Kv;");
        bad("types/a.rs", "use crate::host::Clock;");
        bad("host/a.rs", "use crate::os::SystemClock;");
        good("os/a.rs", "use crate::{host::Clock, types::Timestamp};");
    }

    #[test]
    fn engines_do_not_know_each_other() {
        bad("engines/kv/a.rs", "use crate::engines::transit::Key;");
        bad("engines/kv/mod.rs", "use super::transit::Key;");
        good("engines/kv/a.rs", "use crate::engines::common::input::member;");
        bad("engines/common/input.rs", "use crate::engines::kv::Kv;");
        good("engines/kv/a.rs", "use crate::engines::{Engine, kv::b::C};");
        good("engines/mod.rs", "use crate::engines::kv::Kv;");
    }

    #[test]
    fn a_folder_without_a_floor_is_told() {
        bad("nowhere/mod.rs", "");
    }

    #[test]
    fn the_world_is_behind_walls_however_it_is_written() {
        for source in [
            "let x = std::fs::read(y);",
            "use std::{fmt, fs};",
            "use std::env;",
            "use std::time;",
            "use std::time::{Duration, Instant};",
            "use std::time::*;",
            "use std::thread as t;",
            "let x = ::std::process::id();",
            "use sled::IVec;",
            "use sled as engine;",
            "fn a(b: libc::pid_t) {}",
        ] {
            bad("policy/a.rs", source);
        }
        good("policy/a.rs", "use std::time::Duration; use std::{fmt, sync::Arc}; let sled = fs(env);");
        good("os/clock.rs", "use std::time::SystemTime;");
        good("storage/sled/engine.rs", "use sled::Db; use std::fs::File;");
        bad("storage/segments.rs", "use sled::Db;");
        good("storage/conformance/mod.rs", "std::thread::scope(|scope| a);");
        bad("storage/conformance/mod.rs", "std::fs::read(a);");
    }

    #[test]
    fn a_module_of_ours_is_not_the_crate_of_its_name() {
        good("storage/mod.rs", "pub mod sled; pub use sled::SledStorage;");
        good("vault/place.rs", "use crate::storage::sled::SledStorage;");
    }

    #[test]
    fn tests_comments_and_texts_may_name_anything_and_what_follows_them_may_not() {
        good("types/a.rs", "#[cfg(test)]\nmod tests { use crate::storage::Key; use std::fs; }\n");
        good("types/a.rs", "//! See crate::storage::Key.\nconst A: &str = \"std::fs::read\"; // crate::vault::Vault");
        bad("types/a.rs", "#[cfg(test)]\nmod tests { use crate::storage::Key; }\nuse crate::storage::Key;");
    }
}

//! The house's order, over every file that git knows or would add: `words`, `floors`, tests that documents name, their `index`, and `sizes` as
//! warnings.

mod code;
mod floors;
mod index;
mod named;
mod paths;
mod sizes;
mod words;

use crate::run::{Outcome, at, command, output, root};
use std::io::ErrorKind;

/// What may hold bytes that are no text.
const BINARY: &str = "fuzz/corpus/";

/// Looks at every file; fails with all that it finds.
pub(crate) fn tidy() -> Outcome {
    let listed = output(command("git").args(["-c", "core.quotePath=off", "ls-files", "--cached", "--others", "--exclude-standard"]))?;
    let mut problems = Vec::new();
    let (mut named, mut index) = (named::Named::default(), index::Index::default());
    let mut looked_at = 0;
    for name in listed.lines() {
        let path = root().join(name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            // It was removed, and that is not yet committed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&path)(error)),
        };
        looked_at += 1;
        match String::from_utf8(bytes) {
            Ok(text) => {
                named.read(name, &text);
                index.read(name, &text);
                problems.extend(check(name, &text));
            }
            Err(_) if name.starts_with(BINARY) => {}
            Err(_) => problems.push(format!("{name}: not UTF-8 text")),
        }
    }
    if looked_at == 0 {
        return Err("git lists no file: there is nothing to look at".to_owned());
    }
    problems.extend(named.problems());
    problems.extend(index.problems());
    println!("{looked_at} files");
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn check(name: &str, text: &str) -> Vec<String> {
    if name.starts_with(BINARY) {
        return Vec::new();
    }
    let mut problems = words::check(name, text);
    if let Some(name) = name.strip_prefix("vault-core/src/") {
        problems.extend(floors::check(name, text));
    }
    if name.ends_with(".rs") {
        sizes::check(name, text).iter().for_each(|warning| println!("warning: {warning}"));
    }
    problems
}

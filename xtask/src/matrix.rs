//! The matrices of bad input call every function of vault.h and of vault.hpp, and vault.hpp uses every function of vault.h: one that is new
//! cannot be forgotten.

use crate::run::{Outcome, at, root};
use std::fs;

const HEADER: &str = "include/vault.h";
const HEADER_CPP: &str = "include/vault.hpp";
const MATRIX: &str = "vault-ffi/tests/c/matrix.c";
const MATRIX_CPP: &str = "vault-ffi/tests/cpp/matrix.cpp";
/// What vault.hpp has in another way: one of its requests does more.
const NOT_IN_CPP: [&str; 1] = ["vault_request"];

/// Names the functions that a matrix does not call, or vault.hpp does not have.
pub(crate) fn names_every_function() -> Outcome {
    let read = |name: &str| {
        let path = root().join(name);
        fs::read_to_string(&path).map_err(at(&path))
    };
    let (header, cpp, matrix, matrix_cpp) = (read(HEADER)?, read(HEADER_CPP)?, read(MATRIX)?, read(MATRIX_CPP)?);
    let declared = declared(&header);
    let in_cpp: Vec<&str> = declared.iter().copied().filter(|name| !NOT_IN_CPP.contains(name)).collect();
    none_is_missing(&missing(&declared, &matrix), MATRIX, "add rows for bad input to it")?;
    none_is_missing(&missing(&tries(&cpp), &matrix_cpp), MATRIX_CPP, "add rows for bad input to it")?;
    // A function may be handed on by its name instead of being called there.
    let missing: Vec<&str> = in_cpp.into_iter().filter(|name| !has_word(&cpp, name)).collect();
    none_is_missing(&missing, HEADER_CPP, "give them a face in it")
}

fn none_is_missing(missing: &[&str], file: &str, what_to_do: &str) -> Outcome {
    if missing.is_empty() { Ok(()) } else { Err(format!("{file} does not call {}: {what_to_do}", missing.join(", "))) }
}

fn missing<'h>(names: &[&'h str], matrix: &str) -> Vec<&'h str> {
    names.iter().copied().filter(|name| !matrix.contains(&format!("{name}("))).collect()
}

fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}

/// The functions that a header declares or defines: a line that begins with a word and has `vault_name(` in it.
fn declared(header: &str) -> Vec<&str> {
    let lines = header.lines().filter(|line| line.starts_with(char::is_alphabetic) && !line.starts_with("typedef"));
    let names = lines.filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next());
    names.filter(|name| name.starts_with("vault_")).collect()
}

/// The functions of vault.hpp that answer a result, each once.
fn tries(cpp: &str) -> Vec<&str> {
    let words = cpp.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '('));
    let mut names: Vec<&str> =
        words.filter_map(|word| word.split_once('(').map(|(name, _)| name)).filter(|name| name.starts_with("try_")).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_matrix_does_not_call_is_named() {
        let header = " * `vault_c(x)`\ntypedef int (*vault_fn)(void);\nint vault_a(int x);\nconst char *vault_b(void);\nstatic inline void vault_d(void) {\n";
        assert_eq!(declared(header), ["vault_a", "vault_b", "vault_d"]);
        assert_eq!(missing(&declared(header), "vault_a(1); vault_bb(2); vault_d();"), ["vault_b"]);
        assert_eq!(tries("Result<void> try_b(int x) { return a(); }\nvoid b() { try_b().value(); try_a(1); }"), ["try_a", "try_b"]);
        assert!(has_word("read(&vault_a)", "vault_a") && !has_word("vault_ab(1)", "vault_a"));
    }
}

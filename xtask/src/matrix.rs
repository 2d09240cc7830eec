//! Every function of vault.h is called in the matrix of bad input: one that is new cannot be forgotten there.

use crate::run::{Outcome, at, root};
use std::fs;

const MATRIX: &str = "vault-ffi/tests/c/matrix.c";

/// Names the functions that the matrix does not call.
pub(crate) fn names_every_function() -> Outcome {
    let read = |name: &str| {
        let path = root().join(name);
        fs::read_to_string(&path).map_err(at(&path))
    };
    let (header, matrix) = (read("include/vault.h")?, read(MATRIX)?);
    let missing = missing(&header, &matrix);
    if missing.is_empty() { Ok(()) } else { Err(format!("{MATRIX} does not call {}: add rows for bad input to it", missing.join(", "))) }
}

fn missing<'h>(header: &'h str, matrix: &str) -> Vec<&'h str> {
    declared(header).into_iter().filter(|name| !matrix.contains(&format!("{name}("))).collect()
}

/// The functions that a header declares or defines: a line that begins with a word and has `vault_name(` in it.
fn declared(header: &str) -> Vec<&str> {
    let lines = header.lines().filter(|line| line.starts_with(char::is_alphabetic) && !line.starts_with("typedef"));
    let names = lines.filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next());
    names.filter(|name| name.starts_with("vault_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_matrix_does_not_call_is_named() {
        let header = " * `vault_c(x)`\ntypedef int (*vault_fn)(void);\nint vault_a(int x);\nconst char *vault_b(void);\nstatic inline void vault_d(void) {\n";
        assert_eq!(declared(header), ["vault_a", "vault_b", "vault_d"]);
        assert_eq!(missing(header, "vault_a(1); vault_bb(2); vault_d();"), ["vault_b"]);
    }
}

//! Database servers for tests in other languages than Rust, and for the examples that log in at one: each has a server of its own.

use crate::run::{Outcome, cargo, command, output, run_quietly, target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The examples at a PostgreSQL, in each language.
const AT_POSTGRES: [&str; 2] = ["pool_survives_rotation", "postgres_per_request"];

/// The program that starts them.
pub(crate) fn program() -> Outcome<PathBuf> {
    run_quietly(cargo().args(["build", "--quiet", "-p", "test-servers"]))?;
    Ok(target()?.join("debug/test-servers"))
}

/// Whether a program is one of the examples at a PostgreSQL.
pub(crate) fn needs_postgres(source: &Path) -> bool {
    source.file_stem().is_some_and(|name| AT_POSTGRES.iter().any(|known| name == *known))
}

/// The command that runs an example: beside a PostgreSQL of its own, if it needs one.
pub(crate) fn beside(source: &Path, example: Command) -> Outcome<Command> {
    if !needs_postgres(source) {
        return Ok(example);
    }
    let mut beside = command(program()?);
    beside.arg("postgres").arg(example.get_program()).args(example.get_args());
    for (name, value) in example.get_envs() {
        match value {
            Some(value) => beside.env(name, value),
            None => beside.env_remove(name),
        };
    }
    if let Some(folder) = example.get_current_dir() {
        beside.current_dir(folder);
    }
    Ok(beside)
}

/// What the compiler, or with `--libs` the linker, is to be told so that a program finds PostgreSQL's client library.
pub(crate) fn libpq(what: &str) -> Outcome<Vec<String>> {
    Ok(output(command("pkg-config").args([what, "libpq"]))?.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_example_at_a_server_is_run_beside_one() {
        assert!(needs_postgres(Path::new("examples/c/postgres_per_request.c")));
        let run = beside(Path::new("examples/c/worker.c"), command("worker")).expect("nothing is built");
        assert_eq!(run.get_program(), "worker");
    }
}

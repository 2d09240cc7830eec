//! `test-servers KIND`: starts a PostgreSQL, MariaDB or Redis for tests in other languages, tells as one line of JSON where it is, and ends it
//! at the end of its own standard input.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to whoever runs it")]

use std::io::{Read, stdin};
use std::process::ExitCode;
use test_servers::{Kind, Outcome, PASSWORD, Server, USERNAME};

fn main() -> ExitCode {
    let kind = match std::env::args().nth(1).as_deref() {
        Some("postgres") => Kind::Postgres,
        Some("mariadb") => Kind::Mariadb,
        Some("redis") => Kind::Redis,
        _ => {
            eprintln!("usage: test-servers postgres|mariadb|redis");
            return ExitCode::FAILURE;
        }
    };
    match serve(kind) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(kind: Kind) -> Outcome<()> {
    let server = Server::start(kind)?;
    let quoted = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    println!("{{\"port\": {}, \"username\": \"{USERNAME}\", \"password\": \"{quoted}\"}}", server.port());
    stdin().read_to_end(&mut Vec::new())?;
    drop(server);
    Ok(())
}

//! Runs a server for tests in other languages: tells on one line of JSON how to reach it, and ends it when the standard input ends. Or runs a
//! command beside a PostgreSQL, which it finds as `psql` would, and ends the server with it.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::process::{Command, ExitCode};
use test_servers::{Kind, Outcome, PASSWORD, Server, USERNAME};

fn main() -> Outcome<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["postgres"] => serve(Kind::Postgres),
        ["mariadb"] => serve(Kind::MariaDb),
        ["redis"] => serve(Kind::Redis),
        ["postgres", program, words @ ..] => beside_postgres(program, words),
        _ => Err("usage: test-servers postgres|mariadb|redis, or test-servers postgres COMMAND [WORD..]".into()),
    }
}

fn serve(kind: Kind) -> Outcome<ExitCode> {
    let server = Server::start(kind)?;
    let told = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    let line = format!(
        "{{\"port\": {}, \"tls_port\": {}, \"username\": {}, \"password\": {}, \"ca\": {}}}",
        server.port(),
        server.tls_port(),
        told(USERNAME),
        told(PASSWORD),
        told(server.authority().certificate())
    );
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a command that finds the server by libpq's variables, and ends as it did.
fn beside_postgres(program: &str, words: &[&str]) -> Outcome<ExitCode> {
    let server = Server::start(Kind::Postgres)?;
    let mut command = Command::new(program);
    command.args(words).env("PGHOST", "127.0.0.1").env("PGPORT", server.port().to_string()).env("PGDATABASE", "postgres");
    let status = command.env("PGUSER", USERNAME).env("PGPASSWORD", PASSWORD).status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

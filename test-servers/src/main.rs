//! Runs a server for tests in other languages: tells on one line of JSON how to reach it, and ends it when the standard input ends.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use test_servers::{Kind, Outcome, PASSWORD, Server, USERNAME};

fn main() -> Outcome<()> {
    let kind = match std::env::args().nth(1).as_deref() {
        Some("postgres") => Kind::Postgres,
        Some("mariadb") => Kind::MariaDb,
        Some("redis") => Kind::Redis,
        _ => return Err("usage: test-servers postgres|mariadb|redis".into()),
    };
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
    Ok(())
}

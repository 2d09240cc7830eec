//! The protocol of MySQL and MariaDB as far as accounts need it: log in, ask in text, read rows.
//!
//! A driver would bring its own TLS with trust that nobody gave, want keys as files, and wait as it likes. What is spoken is version 10 of the
//! handshake, protocol 4.1, one statement at a time (multi-statements are not asked for, so nothing can come along behind one).

use super::login;
use super::settings::Settings;
use crate::target::{Deadline, Stream, misconfigured, told_tls, unauthenticated, unreachable};
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;
use vault_core::host::ConnectorError;
use zeroize::Zeroizing;

const PACKET_BYTES_MAX: usize = 1 << 20;
const ROWS_MAX: usize = 10_000;

const LONG_PASSWORD: u32 = 1;
const CONNECT_WITH_DB: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const SSL: u32 = 1 << 11;
const TRANSACTIONS: u32 = 1 << 13;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;

/// utf8mb4_general_ci.
const COLLATION: u8 = 45;

/// What a server answered with.
pub(super) enum Answer {
    Done,
    /// No, with its number.
    Refused(u16),
    Rows(Vec<Vec<Option<String>>>),
}

/// A connection to a server.
pub(super) struct Wire {
    stream: Stream,
    sequence: u8,
    pub(super) is_mariadb: bool,
}

impl Wire {
    /// Connects and logs in.
    pub(super) fn open(settings: &Settings, username: &str, password: &str, deadline: Deadline) -> Result<Self, ConnectorError> {
        if username.contains('\0') || password.contains('\0') {
            return Err(misconfigured("a name or a password holds a NUL: no client of MySQL could send it"));
        }
        let stream = Stream::connect(&settings.address, deadline).map_err(|error| not_reached(&error))?;
        let mut wire = Wire { stream, sequence: 0, is_mariadb: false };
        let greeting = wire.receive().map_err(|error| not_reached(&error))?;
        if let Some(number) = refusal(&greeting) {
            return Err(not_let_in(number));
        }
        let not_spoken = || unreachable("what answers there does not speak MySQL's protocol: correct host and port");
        let greeting = Greeting::read(&greeting).ok_or_else(not_spoken)?;
        wire.is_mariadb = greeting.is_mariadb;
        let mut wanted = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;
        if !settings.database.is_empty() {
            wanted |= CONNECT_WITH_DB;
        }
        if let Some(tls) = &settings.tls {
            if greeting.capabilities & SSL == 0 {
                return Err(unreachable("MySQL does not offer TLS at this port"));
            }
            wanted |= SSL;
            wire.send(&head(wanted)).map_err(|error| not_reached(&error))?;
            wire.stream = wire.stream.secure(tls).map_err(|error| not_reached(&error))?;
        }
        let plugin = if login::is_known(&greeting.plugin) { greeting.plugin.as_str() } else { login::NATIVE };
        let scramble = login::scramble(plugin, password, &greeting.nonce);
        let mut response = head(wanted);
        put_text(&mut response, username.as_bytes());
        response.push(u8::try_from(scramble.len()).unwrap_or_default());
        response.extend_from_slice(&scramble);
        if wanted & CONNECT_WITH_DB != 0 {
            put_text(&mut response, settings.database.as_bytes());
        }
        put_text(&mut response, plugin.as_bytes());
        wire.send(&response).map_err(|error| not_reached(&error))?;
        wire.log_in(password, plugin.to_owned())?;
        Ok(wire)
    }

    /// Answers what the server asks until it lets us in.
    fn log_in(&mut self, password: &str, mut plugin: String) -> Result<(), ConnectorError> {
        // A server has no reason to ask more often.
        for _ in 0..8 {
            let packet = self.receive().map_err(|error| not_reached(&error))?;
            let answer = match packet.split_first() {
                Some((0, _)) => return Ok(()),
                Some((0xff, _)) => return Err(not_let_in(refusal(&packet).unwrap_or_default())),
                Some((0xfe, rest)) if !rest.is_empty() => {
                    let (name, data) = split_text(rest).ok_or_else(|| unreachable("MySQL's login makes no sense"))?;
                    plugin = String::from_utf8_lossy(name).into_owned();
                    if !login::is_known(&plugin) {
                        return Err(misconfigured(
                            "the account logs in by a plugin that is not known here: mysql_native_password and caching_sha2_password are",
                        ));
                    }
                    login::scramble(&plugin, password, data.strip_suffix(&[0]).unwrap_or(data))
                }
                // The server knows the password already.
                Some((1, [3])) if plugin == login::CACHING => continue,
                Some((1, [4])) if plugin == login::CACHING => {
                    if !self.stream.is_private() {
                        return Err(misconfigured("MySQL asks for the password itself (caching_sha2_password): use TLS or a Unix socket"));
                    }
                    let mut itself = Zeroizing::new(Vec::with_capacity(password.len() + 1));
                    put_text(&mut itself, password.as_bytes());
                    itself
                }
                _ => return Err(unreachable("MySQL asks for a login in a way that is not known here")),
            };
            self.send(&answer).map_err(|error| not_reached(&error))?;
        }
        Err(unreachable("MySQL asks for a login without end"))
    }

    pub(super) fn wait_until(&mut self, deadline: Deadline) {
        self.stream.wait_until(deadline);
    }

    /// Asks one statement.
    pub(super) fn ask(&mut self, statement: &str) -> io::Result<Answer> {
        let mut packet = Zeroizing::new(Vec::with_capacity(statement.len() + 1));
        packet.push(3);
        packet.extend_from_slice(statement.as_bytes());
        self.command(&packet)
    }

    /// Brings the session to where a new one begins.
    pub(super) fn reset(&mut self) -> io::Result<Answer> {
        self.command(&[0x1f])
    }

    /// Tells the server that this is the end, if that needs no waiting: it sees the socket close anyway.
    pub(super) fn quit(&mut self) {
        self.sequence = 0;
        self.wait_until(Deadline::after(Duration::from_millis(10)));
        let _ = self.send(&[1]);
    }

    fn command(&mut self, packet: &[u8]) -> io::Result<Answer> {
        self.sequence = 0;
        self.send(packet)?;
        let first = self.receive()?;
        match first.first() {
            Some(0) => return Ok(Answer::Done),
            Some(0xff) => return refusal(&first).map(Answer::Refused).ok_or_else(nonsense),
            // The server wants a file of ours.
            Some(0xfb) | None => return Err(nonsense()),
            Some(_) => {}
        }
        // Columns, which nobody looks at, and then rows.
        while !is_end(&self.receive()?) {}
        let mut rows = Vec::new();
        loop {
            let packet = self.receive()?;
            if is_end(&packet) {
                return Ok(Answer::Rows(rows));
            }
            if packet.first() == Some(&0xff) {
                return refusal(&packet).map(Answer::Refused).ok_or_else(nonsense);
            }
            if rows.len() == ROWS_MAX {
                return Err(nonsense());
            }
            rows.push(row(&packet).ok_or_else(nonsense)?);
        }
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let length = u32::try_from(packet.len()).ok().filter(|_| packet.len() <= PACKET_BYTES_MAX).ok_or(ErrorKind::InvalidInput)?;
        let mut out = Zeroizing::new(Vec::with_capacity(packet.len() + 4));
        out.extend_from_slice(&length.to_le_bytes()[..3]);
        out.push(self.sequence);
        out.extend_from_slice(packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&out)?;
        self.stream.flush()
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
        if length > PACKET_BYTES_MAX || head[3] != self.sequence {
            return Err(nonsense());
        }
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0; length];
        self.stream.read_exact(&mut packet)?;
        Ok(packet)
    }
}

/// What the server says first.
struct Greeting {
    capabilities: u32,
    nonce: Vec<u8>,
    plugin: String,
    is_mariadb: bool,
}

impl Greeting {
    fn read(packet: &[u8]) -> Option<Self> {
        let (version, rest) = split_text(packet.strip_prefix(&[10])?)?;
        // The connection's number, 8 bytes of the nonce, a NUL; then in two halves what the server can do.
        let nonce = rest.get(4..12)?;
        let low = rest.get(13..15)?;
        let high = rest.get(18..20)?;
        let nonce_bytes = usize::from(*rest.get(20)?);
        let capabilities = u32::from_le_bytes([low[0], low[1], high[0], high[1]]);
        if capabilities & (PROTOCOL_41 | SECURE_CONNECTION) != PROTOCOL_41 | SECURE_CONNECTION {
            return None;
        }
        let more = nonce_bytes.saturating_sub(8).max(13);
        let second = rest.get(31..31 + more)?;
        let nonce = [nonce, second.strip_suffix(&[0]).unwrap_or(second)].concat();
        let plugin = if capabilities & PLUGIN_AUTH == 0 { &[][..] } else { rest.get(31 + more..)? };
        let plugin = plugin.split(|byte| *byte == 0).next().unwrap_or_default();
        let is_mariadb = version.windows(7).any(|part| part == b"MariaDB");
        Some(Greeting { capabilities, nonce, plugin: String::from_utf8_lossy(plugin).into_owned(), is_mariadb })
    }
}

/// The head of a login, which is also what asks for TLS.
fn head(wanted: u32) -> Zeroizing<Vec<u8>> {
    let mut head = Zeroizing::new(Vec::with_capacity(512));
    head.extend_from_slice(&wanted.to_le_bytes());
    head.extend_from_slice(&(1_u32 << 24).to_le_bytes());
    head.push(COLLATION);
    head.extend_from_slice(&[0; 23]);
    head
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(0);
}

fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// The number of a refusal. What the server says beside it can quote a password.
fn refusal(packet: &[u8]) -> Option<u16> {
    match packet {
        [0xff, low, high, ..] => Some(u16::from_le_bytes([*low, *high])),
        _ => None,
    }
}

fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

fn row(mut packet: &[u8]) -> Option<Vec<Option<String>>> {
    let mut row = Vec::new();
    while let Some((&first, rest)) = packet.split_first() {
        let (length, rest) = match first {
            0xfb => {
                row.push(None);
                packet = rest;
                continue;
            }
            0xfc => (usize::from(u16::from_le_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
            // Longer values are in nothing that is asked for.
            0xfd.. => return None,
            short => (usize::from(short), rest),
        };
        let (value, rest) = rest.split_at_checked(length)?;
        row.push(Some(String::from_utf8(value.to_vec()).ok()?));
        packet = rest;
    }
    Some(row)
}

fn nonsense() -> io::Error {
    ErrorKind::InvalidData.into()
}

fn not_reached(error: &io::Error) -> ConnectorError {
    unreachable(match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "MySQL did not let the vault in within connect_timeout".to_owned(),
        _ => told_tls(error).unwrap_or_else(|| "MySQL was not reached: see that it runs, and correct host and port".to_owned()),
    })
}

fn not_let_in(number: u16) -> ConnectorError {
    match number {
        // Denied, also for the database; expired; locked (MySQL, MariaDB).
        1045 | 1698 | 1820 | 1862 | 3118 | 4151 => unauthenticated(format!("MySQL refused the account or its password (error {number})")),
        1044 | 1049 => misconfigured(format!("MySQL has no such database for this account (error {number}): correct connection_url")),
        1130 => misconfigured("MySQL lets nobody in from this host (error 1130)"),
        _ => unreachable(format!("MySQL takes no connection now (error {number})")),
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;

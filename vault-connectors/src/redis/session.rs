//! A connection of the pool, and what answers mean.

use super::resp::{Answer, Wire};
use super::settings::Settings;
use crate::target::{Deadline, Session as Pooled, Stream, refused, told_tls, unauthenticated, unknown, unreachable};
use std::io::{self, ErrorKind};
use vault_core::host::{ConnectorError, ConnectorFailure};

/// A connection that is logged in.
pub(super) struct Session {
    wire: Wire,
    is_sound: bool,
}

impl Session {
    /// Connects and logs in.
    pub(super) fn open(settings: &Settings, username: &str, password: &str, deadline: Deadline) -> Result<Self, ConnectorError> {
        let connected = Stream::connect(&settings.address, deadline).and_then(|stream| match &settings.tls {
            Some(tls) => stream.secure(tls),
            None => Ok(stream),
        });
        let mut wire = Wire::new(connected.map_err(|error| not_reached(&error))?);
        match wire.ask(&["AUTH", username, password]).map_err(|error| not_reached(&error))? {
            Answer::Text(_) => Ok(Session { wire, is_sound: true }),
            Answer::Refused(word) if word == "WRONGPASS" || word == "NOAUTH" => {
                Err(unauthenticated("Redis refused the account or its password"))
            }
            // Too many clients; still reading its data; a version without ACLs.
            Answer::Refused(word) => Err(unreachable(format!("Redis takes no login now ({word})"))),
            _ => Err(unreachable("what answers there does not speak Redis' protocol: correct host and port")),
        }
    }

    /// One command.
    pub(super) fn ask(&mut self, deadline: Deadline, words: &[&str]) -> Result<Answer, ConnectorError> {
        self.wire.wait_until(deadline);
        let command = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        match self.wire.ask(words) {
            Ok(Answer::Refused(word)) => Err(refused(format!("Redis refused {command} with {word}{}", explained(&word)))),
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.is_sound = false;
                Err(unknown(match error.kind() {
                    ErrorKind::TimedOut | ErrorKind::WouldBlock => "Redis did not answer within statement_timeout",
                    _ => "the connection to Redis was lost before it answered",
                }))
            }
        }
    }
}

impl Pooled for Session {
    fn refresh(&mut self, deadline: Deadline) -> Result<(), ConnectorError> {
        match self.ask(deadline, &["PING"]) {
            // One who may not even ask is answered too.
            Err(error) if error.failure() != ConnectorFailure::Refused => {
                Err(unreachable("Redis does not answer on a connection that was kept"))
            }
            _ => Ok(()),
        }
    }

    fn is_sound(&self) -> bool {
        self.is_sound
    }
}

fn not_reached(error: &io::Error) -> ConnectorError {
    unreachable(match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "Redis did not let the vault in within connect_timeout".to_owned(),
        _ => told_tls(error).unwrap_or_else(|| "Redis was not reached: see that it runs, and correct host and port".to_owned()),
    })
}

/// The kinds that operators meet, in words.
fn explained(word: &str) -> &'static str {
    match word {
        "NOPERM" => " (the vault's account may not do this)",
        "ERR" => " (a rule that is not valid, or persistence without its file)",
        "READONLY" => " (it is a replica)",
        "LOADING" => " (it still reads its data)",
        _ => "",
    }
}

//! A connection of the pool, and what answers mean.

use super::settings::Settings;
use super::wire::{Answer, Wire};
use crate::target::{Deadline, Session as Pooled, refused, unknown, unreachable};
use std::io::{self, ErrorKind};
use std::time::Duration;
use vault_core::host::ConnectorError;

/// A connection that is logged in.
pub(super) struct Session {
    wire: Wire,
    statement_patience: Duration,
    is_sound: bool,
}

/// What became of a statement that did not go well: the server's number, if it answered.
pub(super) struct Wrong {
    pub(super) number: Option<u16>,
    pub(super) error: ConnectorError,
}

impl From<Wrong> for ConnectorError {
    fn from(wrong: Wrong) -> Self {
        wrong.error
    }
}

impl Session {
    /// Connects and logs in.
    pub(super) fn open(settings: &Settings, username: &str, password: &str, deadline: Deadline) -> Result<Self, ConnectorError> {
        let wire = Wire::open(settings, username, password, deadline)?;
        let mut session = Session { wire, statement_patience: settings.limits.statement, is_sound: true };
        session.begin(deadline)?;
        Ok(session)
    }

    /// One statement, whose rows are not wanted.
    pub(super) fn run(&mut self, deadline: Deadline, statement: &str) -> Result<(), Wrong> {
        self.rows(deadline, statement).map(|_| ())
    }

    /// One query.
    pub(super) fn rows(&mut self, deadline: Deadline, query: &str) -> Result<Vec<Vec<Option<String>>>, Wrong> {
        self.wire.wait_until(deadline);
        let asked = self.wire.ask(query);
        self.judged(asked)
    }

    /// What the lexer's reading of quotes stands on; and what is given up here is given up by the server too, where it knows how.
    fn begin(&mut self, deadline: Deadline) -> Result<(), ConnectorError> {
        let seconds = self.statement_patience.as_secs().max(1);
        let of_mariadb = if self.wire.is_mariadb { format!(", max_statement_time = {seconds}") } else { String::new() };
        let beginning =
            format!("SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', lock_wait_timeout = {seconds}{of_mariadb}");
        for statement in ["SET NAMES utf8mb4", &beginning] {
            self.rows(deadline, statement).map_err(|wrong| {
                self.is_sound = false;
                unreachable(format!("MySQL does not begin a session (error {})", wrong.number.unwrap_or_default()))
            })?;
        }
        Ok(())
    }

    fn judged(&mut self, answer: io::Result<Answer>) -> Result<Vec<Vec<Option<String>>>, Wrong> {
        let number = match answer {
            Ok(Answer::Done) => return Ok(Vec::new()),
            Ok(Answer::Rows(rows)) => return Ok(rows),
            Ok(Answer::Refused(number)) => number,
            Err(error) => {
                self.is_sound = false;
                let told = match error.kind() {
                    ErrorKind::TimedOut | ErrorKind::WouldBlock => "MySQL did not answer within statement_timeout",
                    _ => "the connection to MySQL was lost before it answered",
                };
                return Err(Wrong { number: None, error: unknown(told) });
            }
        };
        let error = match number {
            // Broken off by the server: interrupted, out of time.
            1317 | 1969 | 3024 => unknown(format!("MySQL broke the statement off (error {number})")),
            1053 | 1077 | 1079 | 1927 => {
                self.is_sound = false;
                unknown(format!("MySQL stopped before it was done (error {number})"))
            }
            number => refused(format!("MySQL refused it with error {number}{}", explained(number))),
        };
        Err(Wrong { number: Some(number), error })
    }
}

impl Pooled for Session {
    fn refresh(&mut self, deadline: Deadline) -> Result<(), ConnectorError> {
        self.wire.wait_until(deadline);
        let reset = self.wire.reset();
        self.judged(reset).map_err(|_| {
            self.is_sound = false;
            unreachable("MySQL does not answer on a connection that was kept")
        })?;
        self.begin(deadline)
    }

    fn is_sound(&self) -> bool {
        self.is_sound
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_sound {
            self.wire.quit();
        }
    }
}

/// The numbers that operators meet, in words. What the server says itself can quote a password.
fn explained(number: u16) -> &'static str {
    match number {
        1007 => " (there is such a database already)",
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 => " (the vault's account may not do this)",
        1049 => " (there is no such database)",
        1064 => " (a syntax error)",
        1133 => " (there is no such user)",
        1141 => " (there is no such grant)",
        1146 => " (there is no such table)",
        1205 | 1213 => " (another transaction was in the way)",
        1396 => " (the user is there already, or is not there)",
        1470 | 3057 => " (the name is too long for this server)",
        1819 => " (the password does not satisfy the server's policy)",
        _ => "",
    }
}

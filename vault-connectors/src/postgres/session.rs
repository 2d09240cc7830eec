//! One connection to a PostgreSQL: tokio-postgres on a runtime of its own, which runs only while somebody waits for it.

use super::settings::Settings;
use super::tls::Rustls;
use crate::target::{Address, Deadline, Session as Pooled, misconfigured, refused, told_tls, unauthenticated, unknown, unreachable};
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, NoTls, Row};
use vault_core::host::ConnectorError;

/// A connection that is logged in.
pub(super) struct Session {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    /// What each new user of the connection begins with.
    beginning: String,
    is_sound: bool,
}

/// What a statement is broken off with that has met another one: a row of the catalogue that was changed meanwhile (as an internal error, whatever
/// it says), a serialization failure, a deadlock.
const LOST_RACES: [&str; 3] = ["XX000", "40001", "40P01"];
/// Times that a transaction which has lost a race is begun anew.
const RACES_MAX: u32 = 10;
/// How long it waits before, with each time longer.
const RACE_PAUSE: Duration = Duration::from_millis(5);

/// What became of a statement that did not go well: the server's code (SQLSTATE), if it answered.
pub(super) struct Wrong {
    pub(super) code: Option<String>,
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
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|_| unreachable("the process has no file descriptors left for a connection"))?;
        let mut config = Config::new();
        config.user(username).password(password).dbname(&settings.database).application_name(&settings.application).port(settings.port);
        match &settings.address {
            Address::Tcp { host, .. } => config.host(host),
            Address::Unix(path) => config.host_path(path),
        };
        config.ssl_mode(if settings.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        let connecting = async {
            Ok(match settings.tls.clone() {
                Some(tls) => {
                    let (client, connection) = config.connect(Rustls(tls)).await?;
                    tokio::spawn(connection);
                    client
                }
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    tokio::spawn(connection);
                    client
                }
            })
        };
        let connected = runtime.block_on(async { tokio::time::timeout(deadline.left_or_zero(), connecting).await });
        let client = match connected {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                runtime.shutdown_background();
                return Err(not_connected(&error));
            }
            Err(_) => {
                runtime.shutdown_background();
                return Err(unreachable("PostgreSQL did not let the vault in within connect_timeout"));
            }
        };
        let mut session = Session { runtime: Some(runtime), client, beginning: beginning(settings), is_sound: true };
        session.refresh(deadline)?;
        Ok(session)
    }

    /// One statement; the protocol that is spoken takes no second one with it.
    pub(super) fn run(&mut self, deadline: Deadline, statement: &str) -> Result<(), Wrong> {
        self.ask(deadline, statement, &[]).map(|_| ())
    }

    /// The rows that a query about a name answers with.
    pub(super) fn rows_of(&mut self, deadline: Deadline, query: &str, name: &str) -> Result<Vec<Row>, Wrong> {
        self.ask(deadline, query, &[(&name, Type::TEXT)])
    }

    /// Works in a transaction, and anew where it has lost a race with another one: roles that are granted the same table at the same time meet at
    /// that table's row. An error has been rolled back, unless the server was lost.
    pub(super) fn transaction<R>(&mut self, deadline: Deadline, mut work: impl FnMut(&mut Self) -> Result<R, Wrong>) -> Result<R, Wrong> {
        let mut tries = 0;
        loop {
            self.run(deadline, "BEGIN")?;
            let wrong = match work(self) {
                Ok(done) => return self.run(deadline, "COMMIT").map(|()| done),
                Err(wrong) => wrong,
            };
            if self.is_sound && self.run(deadline, "ROLLBACK").is_err() {
                self.is_sound = false;
            }
            let has_lost_race = wrong.code.as_deref().is_some_and(|code| LOST_RACES.contains(&code));
            if !self.is_sound || !has_lost_race || tries == RACES_MAX {
                return Err(wrong);
            }
            tries += 1;
            std::thread::sleep(RACE_PAUSE * tries);
        }
    }

    fn ask(&mut self, deadline: Deadline, statement: &str, values: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Wrong> {
        let client = &self.client;
        let answer = wait(self.runtime.as_ref(), deadline, client.query_typed(statement, values));
        self.judged(answer)
    }

    /// What an answer means, once something was asked.
    fn judged<R>(&mut self, answer: Option<Result<R, Error>>) -> Result<R, Wrong> {
        let error = match answer {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) => error,
            None => {
                self.is_sound = false;
                return Err(Wrong { code: None, error: unknown("PostgreSQL did not answer within statement_timeout") });
            }
        };
        let Some(answered) = error.as_db_error() else {
            // What cannot be encoded was never sent; all else means that the connection is gone.
            self.is_sound = false;
            return Err(Wrong { code: None, error: unknown("the connection to PostgreSQL was lost before it answered") });
        };
        let code = answered.code().code().to_owned();
        let error = match code.as_str() {
            "57014" => unknown("PostgreSQL broke the statement off at statement_timeout"),
            // The server is going down, whatever of it was done.
            code if code.starts_with("57P") || code.starts_with("58") || code.starts_with("XX") && !LOST_RACES.contains(&code) => {
                self.is_sound = false;
                unknown(format!("PostgreSQL stopped before it was done (SQLSTATE {code})"))
            }
            code if LOST_RACES.contains(&code) => {
                refused(format!("PostgreSQL broke it off for others that changed the same (SQLSTATE {code}): try again"))
            }
            code => refused(format!("PostgreSQL refused it with SQLSTATE {code}{}: its log tells more", explained(code))),
        };
        Err(Wrong { code: Some(code), error })
    }
}

impl Pooled for Session {
    fn refresh(&mut self, deadline: Deadline) -> Result<(), ConnectorError> {
        if self.client.is_closed() {
            self.is_sound = false;
            return Err(unreachable("PostgreSQL closed the connection"));
        }
        let answer = wait(self.runtime.as_ref(), deadline, self.client.batch_execute(&self.beginning));
        self.judged(answer).map_err(|wrong| {
            self.is_sound = false;
            unreachable(format!("PostgreSQL does not begin a session ({})", wrong.code.as_deref().unwrap_or("no answer")))
        })
    }

    fn is_sound(&self) -> bool {
        self.is_sound && !self.client.is_closed()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The server is told by the closing socket. A runtime must not wait for its threads within another one.
            runtime.shutdown_background();
        }
    }
}

/// Runs work that waits for a runtime, on another thread where this one is a runtime's: it would panic there.
pub(super) fn outside_of_runtimes<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if Handle::try_current().is_err() {
        return work();
    }
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// The answer, or none in time.
fn wait<R>(runtime: Option<&Runtime>, deadline: Deadline, asking: impl Future<Output = R>) -> Option<R> {
    let left = deadline.left()?;
    runtime?.block_on(async { tokio::time::timeout(left, asking).await.ok() })
}

/// The lexer's reading holds with these only; and what is given up here is given up by the server too.
fn beginning(settings: &Settings) -> String {
    let milliseconds = settings.limits.statement.as_millis();
    format!(
        "ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; SET standard_conforming_strings = on; SET client_min_messages = error; \
         SET statement_timeout = {milliseconds}; SET idle_in_transaction_session_timeout = {milliseconds}"
    )
}

fn not_connected(error: &Error) -> ConnectorError {
    if let Some(answered) = error.as_db_error() {
        let code = answered.code().code();
        return match code {
            "28P01" | "28000" => unauthenticated("PostgreSQL refused the account or its password"),
            "3D000" => misconfigured("the database in connection_url does not exist"),
            // Too many connections, starting up, going down.
            code if code.starts_with("53") || code.starts_with("57P") => {
                unreachable(format!("PostgreSQL takes no connection now (SQLSTATE {code})"))
            }
            code => refused(format!("PostgreSQL refused the connection with SQLSTATE {code}{}", explained(code))),
        };
    }
    let of_tls = error.source().and_then(|source| source.downcast_ref::<io::Error>()).and_then(told_tls);
    unreachable(match of_tls {
        Some(told) => told,
        None if error.to_string().contains("server does not support TLS") => "PostgreSQL does not offer TLS at this port".to_owned(),
        None if error.to_string().contains("authentication error") => {
            "PostgreSQL asks for a login in a way that is not known here".to_owned()
        }
        None => "PostgreSQL was not reached: see that it runs, and correct host and port".to_owned(),
    })
}

/// The codes that operators meet, in words. What the server says itself can quote a password.
fn explained(code: &str) -> &'static str {
    match code {
        "0LP01" => " (this may not be granted)",
        "22023" | "22007" | "22008" => " (a value that is not valid)",
        "25001" => " (not within a transaction)",
        "2BP01" => " (other objects still depend on it, perhaps in another database)",
        "3D000" => " (there is no such database)",
        "3F000" => " (there is no such schema)",
        "40001" | "40P01" => " (another transaction was in the way)",
        "42501" => " (the vault's account may not do this)",
        "42601" => " (a syntax error)",
        "42703" => " (there is no such column)",
        "42704" => " (there is no such role or object)",
        "42710" => " (there is such a role or object already)",
        "42P01" => " (there is no such table)",
        "55006" => " (it is in use)",
        "55P03" => " (a lock was not to be had)",
        _ => "",
    }
}

//! Accounts at a PostgreSQL, as Vault's `postgresql-database-plugin` makes them.
//!
//! What each option and each default does stands in `docs/connectors.md`. The plain password of an account reaches the server in logins only:
//! statements carry its SCRAM verifier, unless `password_authentication` says otherwise.

mod session;
mod settings;
mod tls;

use crate::sql::{self, Dialect, Values};
use crate::target::{Deadline, Pools, checked_name, free_name, misconfigured, refused, without_kind};
use session::{Session, Wrong, outside_of_runtimes};
use settings::Settings;
use vault_core::host::{Account, Connector, ConnectorError, ConnectorFailure, NewAccount, Target};
use vault_core::types::{SecretString, Timestamp};
use zeroize::Zeroizing;

/// The server cuts longer names without a word.
const NAME_BYTES_MAX: usize = 63;

const EXISTS: &str = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1";
const CUT_OFF: &str = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
                       WHERE usename = $1 AND pid <> pg_catalog.pg_backend_pid()";
const IS_SUPERUSER: &str = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1 AND rolsuper";

/// What a creation's statements answer when the account was made before: the role, database, schema, table or function is there.
const THERE_ALREADY: [&str; 6] = ["42710", "42P04", "42P06", "42P07", "42723", "23505"];
/// What a revocation's statements answer when the account was removed before.
const GONE_ALREADY: [&str; 4] = ["42704", "42P01", "3F000", "3D000"];

/// Makes and removes roles at PostgreSQL servers, of which each has a pool of connections. May be used from any thread, an async runtime's too.
#[derive(Debug, Default)]
pub struct Postgres {
    pools: Pools<Session>,
}

impl Postgres {
    /// A connector without any connection yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Works with a connection of the pool, and all of `statement_timeout` before it.
    fn with<R: Send>(
        &self,
        target: &Target<'_>,
        work: impl FnOnce(&mut Session, Deadline, &Settings) -> Result<R, ConnectorError> + Send,
    ) -> Result<R, ConnectorError> {
        let settings = Settings::read(target)?;
        outside_of_runtimes(|| {
            let connect = |deadline| Session::open(&settings, target.username, target.password.expose(), deadline);
            let limits = &settings.limits;
            self.pools.with(&target.id, limits, connect, |session| work(session, Deadline::after(limits.statement), &settings))
        })
    }
}

impl Connector for Postgres {
    fn name(&self) -> &str {
        "postgresql-database-plugin"
    }

    fn check(&self, target: &Target<'_>, verify: bool) -> Result<(), ConnectorError> {
        Settings::read(target)?;
        if verify { self.test(target, target.username, target.password) } else { Ok(()) }
    }

    fn create(&self, target: &Target<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError> {
        let name = free(target, new.account.username)?;
        if new.account.statements.is_empty() {
            return Err(misconfigured("the role has no creation_statements: PostgreSQL has no way of its own to make an account"));
        }
        self.with(target, |session, deadline, settings| {
            let password = told_password(settings, new.password)?;
            let ends = sql::expiration(Dialect::Postgres, new.expires);
            let values = Values { name, password: Some(&password), expiration: Some(&ends) };
            let statements = sql::statements(Dialect::Postgres, new.account.statements, &values)?;
            let rollback = sql::statements(Dialect::Postgres, new.rollback, &values)?;
            let there_before = exists(session, deadline, name)?;
            let made = session.transaction(deadline, |session| {
                if !there_before {
                    return run_all(session, deadline, &statements, &[]);
                }
                run_all(session, deadline, &statements, &THERE_ALREADY)?;
                let again = "ALTER ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
                own(session, deadline, again, &values)
            });
            let Err(wrong) = made else { return Ok(()) };
            // The server has rolled back what it can. The role's own rollback undoes what it cannot, such as what a function did elsewhere.
            if wrong.error.failure() == ConnectorFailure::Refused && !rollback.is_empty() {
                let _ = session.transaction(deadline, |session| run_all(session, deadline, &rollback, &GONE_ALREADY));
                if !there_before {
                    remove(session, deadline, target.username, name)?;
                }
            }
            Err(wrong.into())
        })
    }

    fn renew(&self, target: &Target<'_>, account: &Account<'_>, expires: Timestamp) -> Result<(), ConnectorError> {
        let name = checked_name(account.username, NAME_BYTES_MAX)?;
        let ends = sql::expiration(Dialect::Postgres, Some(expires));
        let values = Values { name, password: None, expiration: Some(&ends) };
        self.change(target, account.statements, "ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}'", &values)
    }

    fn revoke(&self, target: &Target<'_>, account: &Account<'_>) -> Result<(), ConnectorError> {
        let name = free(target, account.username)?;
        let values = Values { name, password: None, expiration: None };
        let statements = sql::statements(Dialect::Postgres, account.statements, &values)?;
        self.with(target, |session, deadline, _| {
            if statements.is_empty() {
                return remove(session, deadline, target.username, name);
            }
            let is_there = exists(session, deadline, name)?;
            if is_there {
                // Afterwards nobody could tell whose sessions they were. Who may not end them may still remove the account.
                let _ = session.rows_of(deadline, CUT_OFF, name);
            }
            let tolerated: &[&str] = if is_there { &[] } else { &GONE_ALREADY };
            Ok(session.transaction(deadline, |session| run_all(session, deadline, &statements, tolerated))?)
        })
    }

    fn set_password(&self, target: &Target<'_>, account: &Account<'_>, password: &SecretString) -> Result<(), ConnectorError> {
        let name = checked_name(account.username, NAME_BYTES_MAX)?;
        let told = told_password(&Settings::read(target)?, password)?;
        let values = Values { name, password: Some(&told), expiration: None };
        self.change(target, account.statements, "ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}'", &values)
    }

    fn test(&self, target: &Target<'_>, username: &str, password: &SecretString) -> Result<(), ConnectorError> {
        let settings = Settings::read(target)?;
        checked_name(username, NAME_BYTES_MAX)?;
        outside_of_runtimes(|| Session::open(&settings, username, password.expose(), Deadline::after(settings.limits.connect)).map(|_| ()))
    }

    fn forget(&self, id: &[u8; 16]) {
        self.pools.forget(id);
    }
}

impl Postgres {
    /// Carries out the role's statements, or ours, in one transaction.
    fn change(&self, target: &Target<'_>, statements: &[String], ours: &str, values: &Values<'_>) -> Result<(), ConnectorError> {
        let ours = [ours.to_owned()];
        let statements = sql::statements(Dialect::Postgres, if statements.is_empty() { &ours } else { statements }, values)?;
        self.with(target, |session, deadline, _| Ok(session.transaction(deadline, |session| run_all(session, deadline, &statements, &[]))?))
    }
}

/// A name that is neither the vault's own account's nor one of PostgreSQL's.
fn free<'a>(target: &Target<'_>, name: &'a str) -> Result<&'a str, ConnectorError> {
    free_name(target, name, NAME_BYTES_MAX, |name| name == "postgres" || name.starts_with("pg_"))
}

/// What the server is told of a password.
fn told_password(settings: &Settings, password: &SecretString) -> Result<Zeroizing<String>, ConnectorError> {
    let password = password.expose();
    if password.contains('\0') {
        return Err(misconfigured("a password holds a NUL: no client of PostgreSQL could send it"));
    }
    Ok(Zeroizing::new(if settings.keeps_passwords {
        postgres_protocol::password::scram_sha_256(password.as_bytes())
    } else {
        password.to_owned()
    }))
}

fn exists(session: &mut Session, deadline: Deadline, name: &str) -> Result<bool, ConnectorError> {
    Ok(!session.rows_of(deadline, EXISTS, name)?.is_empty())
}

/// All statements in order; one that answers with a tolerated code is as good as done.
fn run_all(session: &mut Session, deadline: Deadline, statements: &[Zeroizing<String>], tolerated: &[&str]) -> Result<(), Wrong> {
    for (index, statement) in statements.iter().enumerate() {
        if !tolerated.is_empty() {
            session.run(deadline, "SAVEPOINT libvault")?;
        }
        match session.run(deadline, statement) {
            Err(Wrong { code: Some(code), .. }) if tolerated.contains(&code.as_str()) => {
                session.run(deadline, "ROLLBACK TO SAVEPOINT libvault")?;
            }
            Err(wrong) => {
                let (failure, told) =
                    (wrong.error.failure(), format!("statement {} of {}: {}", index + 1, statements.len(), without_kind(&wrong.error)));
                return Err(Wrong { code: wrong.code, error: ConnectorError::new(failure, told) });
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

fn own(session: &mut Session, deadline: Deadline, statement: &str, values: &Values<'_>) -> Result<(), Wrong> {
    let statements = sql::statements(Dialect::Postgres, &[statement.to_owned()], values).map_err(|error| Wrong { code: None, error })?;
    run_all(session, deadline, &statements, &[])
}

/// Removes a role: no new logins, no sessions, nothing that it owns or may do in this database, and then the role itself. What it owned is the
/// vault's account's from then on.
fn remove(session: &mut Session, deadline: Deadline, manager: &str, name: &str) -> Result<(), ConnectorError> {
    if !exists(session, deadline, name)? {
        return Ok(());
    }
    let values = Values { name, password: None, expiration: None };
    own(session, deadline, "ALTER ROLE \"{{name}}\" NOLOGIN", &values)?;
    if session.rows_of(deadline, IS_SUPERUSER, manager)?.is_empty() {
        // Whoever may create roles may make itself a member, and only members may do what follows. It goes with the role.
        match own(session, deadline, "GRANT \"{{name}}\" TO CURRENT_USER", &values) {
            Err(wrong) if wrong.error.failure() != ConnectorFailure::Refused => return Err(wrong.into()),
            _ => {}
        }
    }
    session.rows_of(deadline, CUT_OFF, name).map_err(|wrong| match wrong.code.as_deref() {
        Some("42501") => {
            refused("the role can log in no longer, but its sessions cannot be ended: grant pg_signal_backend to the vault's account")
        }
        _ => wrong.error,
    })?;
    Ok(session.transaction(deadline, |session| {
        let statements = "REASSIGN OWNED BY \"{{name}}\" TO CURRENT_USER; DROP OWNED BY \"{{name}}\"";
        own(session, deadline, statements, &values)?;
        // One that was still logging in when the sessions were ended.
        session.rows_of(deadline, CUT_OFF, name)?;
        own(session, deadline, "DROP ROLE IF EXISTS \"{{name}}\"", &values)
    })?)
}

//! Accounts at a MySQL or MariaDB, as Vault's `mysql-database-plugin` makes them.
//!
//! What each option and each default does stands in `docs/connectors.md`. MySQL has no transactions for accounts: a creation that fails half way
//! is undone by the role's rollback and then by removing the account.

mod login;
mod session;
mod settings;
mod wire;

use crate::sql::{self, Dialect, Values};
use crate::target::{Deadline, Pools, checked_name, free_name, misconfigured, refused, unknown, without_kind};
use session::{Session, Wrong};
use settings::Settings;
use vault_core::host::{Account, Connector, ConnectorError, ConnectorFailure, NewAccount, Target};
use vault_core::types::{SecretString, Timestamp};
use zeroize::Zeroizing;

/// MariaDB's; MySQL takes 32 and refuses longer ones itself.
const NAME_BYTES_MAX: usize = 128;
const RESERVED: [&str; 6] = ["root", "mysql", "mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys"];

/// What a creation's statements answer when the account was made before: the database, the table, the user is there.
const THERE_ALREADY: [u16; 3] = [1007, 1050, 1396];
/// What a revocation's statements answer when the account was removed before.
const GONE_ALREADY: [u16; 6] = [1008, 1133, 1141, 1269, 1396, 1147];

/// What becomes of the statements before one that is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Stands,
    IsUndone,
}

/// Makes and removes users at MySQL and MariaDB servers, of which each has a pool of connections. May be used from any thread.
#[derive(Debug, Default)]
pub struct Mysql {
    pools: Pools<Session>,
}

impl Mysql {
    /// A connector without any connection yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Works with a connection of the pool, and all of `statement_timeout` before it.
    fn with<R>(
        &self,
        target: &Target<'_>,
        work: impl FnOnce(&mut Session, Deadline) -> Result<R, ConnectorError>,
    ) -> Result<R, ConnectorError> {
        let settings = Settings::read(target)?;
        let connect = |deadline| Session::open(&settings, target.username, target.password.expose(), deadline);
        let limits = &settings.limits;
        self.pools.with(&target.id, limits, connect, |session| work(session, Deadline::after(limits.statement)))
    }
}

impl Connector for Mysql {
    fn name(&self) -> &str {
        "mysql-database-plugin"
    }

    fn check(&self, target: &Target<'_>, verify: bool) -> Result<(), ConnectorError> {
        Settings::read(target)?;
        if verify { self.test(target, target.username, target.password) } else { Ok(()) }
    }

    fn create(&self, target: &Target<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError> {
        let name = free(target, new.account.username)?;
        if new.account.statements.is_empty() {
            return Err(misconfigured("the role has no creation_statements: MySQL has no way of its own to make an account"));
        }
        let ends = sql::expiration(Dialect::Mysql, new.expires);
        let password = new.password.expose();
        let values = Values { name, password: Some(password), expiration: Some(&ends) };
        let statements = sql::statements(Dialect::Mysql, new.account.statements, &values)?;
        let rollback = sql::statements(Dialect::Mysql, new.rollback, &values)?;
        self.with(target, |session, deadline| {
            let there_before = !hosts(session, deadline, name)?.is_empty();
            let tolerated: &[u16] = if there_before { &THERE_ALREADY } else { &[] };
            let made = run_all(session, deadline, &statements, tolerated, Rest::IsUndone);
            let made = if there_before { made.and_then(|()| change_password(session, deadline, name, password)) } else { made };
            let Err(wrong) = made else { return Ok(()) };
            if wrong.error.failure() != ConnectorFailure::Refused {
                return Err(wrong.into());
            }
            if there_before {
                return Err(unknown(format!("the account was there before and is perhaps not as asked: {}", without_kind(&wrong.error))));
            }
            let _ = run_all(session, deadline, &rollback, &GONE_ALREADY, Rest::Stands);
            match remove(session, deadline, name) {
                Ok(()) => Err(wrong.into()),
                Err(_) => {
                    Err(unknown(format!("the account is perhaps half made, and could not be removed: {}", without_kind(&wrong.error))))
                }
            }
        })
    }

    fn renew(&self, target: &Target<'_>, account: &Account<'_>, expires: Timestamp) -> Result<(), ConnectorError> {
        let name = checked_name(account.username, NAME_BYTES_MAX)?;
        let ends = sql::expiration(Dialect::Mysql, Some(expires));
        let values = Values { name, password: None, expiration: Some(&ends) };
        let statements = sql::statements(Dialect::Mysql, account.statements, &values)?;
        if statements.is_empty() {
            // Accounts of MySQL have no end of their own.
            return Ok(());
        }
        self.with(target, |session, deadline| Ok(run_all(session, deadline, &statements, &[], Rest::Stands)?))
    }

    fn revoke(&self, target: &Target<'_>, account: &Account<'_>) -> Result<(), ConnectorError> {
        let name = free(target, account.username)?;
        let statements = sql::statements(Dialect::Mysql, account.statements, &Values { name, password: None, expiration: None })?;
        self.with(target, |session, deadline| {
            if statements.is_empty() {
                return remove(session, deadline, name);
            }
            let tolerated: &[u16] = if hosts(session, deadline, name)?.is_empty() { &GONE_ALREADY } else { &[] };
            run_all(session, deadline, &statements, tolerated, Rest::Stands)?;
            cut_off(session, deadline, name)
        })
    }

    fn set_password(&self, target: &Target<'_>, account: &Account<'_>, password: &SecretString) -> Result<(), ConnectorError> {
        let name = checked_name(account.username, NAME_BYTES_MAX)?;
        let password = password.expose();
        let statements = sql::statements(Dialect::Mysql, account.statements, &Values { name, password: Some(password), expiration: None })?;
        self.with(target, |session, deadline| {
            if statements.is_empty() {
                return Ok(change_password(session, deadline, name, password)?);
            }
            Ok(run_all(session, deadline, &statements, &[], Rest::Stands)?)
        })
    }

    fn test(&self, target: &Target<'_>, username: &str, password: &SecretString) -> Result<(), ConnectorError> {
        let settings = Settings::read(target)?;
        checked_name(username, NAME_BYTES_MAX)?;
        Session::open(&settings, username, password.expose(), Deadline::after(settings.limits.connect)).map(|_| ())
    }

    fn forget(&self, id: &[u8; 16]) {
        self.pools.forget(id);
    }
}

/// A name that is neither the vault's own account's nor one of MySQL's.
fn free<'a>(target: &Target<'_>, name: &'a str) -> Result<&'a str, ConnectorError> {
    free_name(target, name, NAME_BYTES_MAX, |name| RESERVED.contains(&name))
}

/// The hosts from which there is a user of that name: each is an account of its own.
fn hosts(session: &mut Session, deadline: Deadline, name: &str) -> Result<Vec<String>, ConnectorError> {
    let query = Zeroizing::new(format!("SELECT Host FROM mysql.user WHERE User = {}", sql::quoted(Dialect::Mysql, '\'', name)?.as_str()));
    match session.rows(deadline, &query) {
        Ok(rows) => Ok(rows.into_iter().flatten().flatten().collect()),
        Err(Wrong { number: Some(1142 | 1143 | 1044), .. }) => {
            Err(refused("the vault's account may not read mysql.user: grant it SELECT there"))
        }
        Err(wrong) => Err(wrong.into()),
    }
}

/// `'name'@'host'`.
fn account(name: &str, host: &str) -> Result<String, ConnectorError> {
    Ok(format!("{}@{}", sql::quoted(Dialect::Mysql, '\'', name)?.as_str(), sql::quoted(Dialect::Mysql, '\'', host)?.as_str()))
}

/// All statements in order; one that answers with a tolerated number is as good as done. What came before one that is refused stands, unless
/// the caller undoes it.
fn run_all(
    session: &mut Session,
    deadline: Deadline,
    statements: &[Zeroizing<String>],
    tolerated: &[u16],
    rest: Rest,
) -> Result<(), Wrong> {
    for (index, statement) in statements.iter().enumerate() {
        match session.run(deadline, statement) {
            Err(Wrong { number: Some(number), .. }) if tolerated.contains(&number) => {}
            Err(wrong) => {
                let (failure, told) =
                    (wrong.error.failure(), format!("statement {} of {}: {}", index + 1, statements.len(), without_kind(&wrong.error)));
                let failure = if rest == Rest::Stands && index > 0 { ConnectorFailure::Unknown } else { failure };
                return Err(Wrong { number: wrong.number, error: ConnectorError::new(failure, told) });
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

fn change_password(session: &mut Session, deadline: Deadline, name: &str, password: &str) -> Result<(), Wrong> {
    let own = |error| Wrong { number: None, error };
    let hosts = hosts(session, deadline, name).map_err(own)?;
    if hosts.is_empty() {
        return Err(own(refused("there is no such user")));
    }
    let password = sql::quoted(Dialect::Mysql, '\'', password).map_err(own)?;
    // One statement for all hosts: it is done or not.
    let mut statement = Zeroizing::new(String::with_capacity(32 + hosts.len() * (password.len() + 1024)));
    statement.push_str("ALTER USER ");
    for (index, host) in hosts.iter().enumerate() {
        statement.push_str(if index == 0 { "" } else { ", " });
        statement.push_str(&account(name, host).map_err(own)?);
        statement.push_str(" IDENTIFIED BY ");
        statement.push_str(&password);
    }
    session.run(deadline, &statement)
}

/// Removes a user from every host, and then ends its sessions: no new ones can come.
fn remove(session: &mut Session, deadline: Deadline, name: &str) -> Result<(), ConnectorError> {
    for host in hosts(session, deadline, name)? {
        session.run(deadline, &format!("DROP USER IF EXISTS {}", account(name, &host)?))?;
    }
    cut_off(session, deadline, name)
}

fn cut_off(session: &mut Session, deadline: Deadline, name: &str) -> Result<(), ConnectorError> {
    let name = sql::quoted(Dialect::Mysql, '\'', name)?;
    let query = format!("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = {}", name.as_str());
    for id in session.rows(deadline, &query)?.into_iter().flatten().flatten() {
        let id: u64 = id.parse().map_err(|_| unknown("MySQL tells a session's number that is none"))?;
        match session.run(deadline, &format!("KILL CONNECTION {id}")) {
            // Gone meanwhile.
            Ok(()) | Err(Wrong { number: Some(1094), .. }) => {}
            Err(Wrong { number: Some(1095 | 1227), .. }) => {
                return Err(refused(
                    "the user is removed, but its sessions cannot be ended: grant CONNECTION ADMIN (or SUPER) and PROCESS",
                ));
            }
            Err(wrong) => return Err(wrong.into()),
        }
    }
    Ok(())
}

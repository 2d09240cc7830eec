//! Accounts at a Redis (ACL users, from Redis 6 on), as Vault's `redis-database-plugin` makes them.
//!
//! What each option and each default does stands in `docs/connectors.md`. Only the SHA-256 of an account's password is sent when it is set.

mod resp;
mod rules;
mod session;
mod settings;

use crate::target::{Deadline, Pools, checked_name, free_name, misconfigured, refused};
use resp::Answer;
use ring::digest::{SHA256, digest};
use rules::rules;
use session::Session;
use settings::{Persistence, Settings};
use vault_core::host::{Account, Connector, ConnectorError, ConnectorFailure, NewAccount, Target};
use vault_core::types::{SecretString, Timestamp};

const NAME_BYTES_MAX: usize = 128;

/// Makes and removes ACL users at Redis servers, of which each has a pool of connections. May be used from any thread.
#[derive(Debug, Default)]
pub struct Redis {
    pools: Pools<Session>,
}

impl Redis {
    /// A connector without any connection yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Works with a connection of the pool, and all of `statement_timeout` before it.
    fn with<R>(
        &self,
        target: &Target<'_>,
        work: impl FnOnce(&mut Session, Deadline, &Settings) -> Result<R, ConnectorError>,
    ) -> Result<R, ConnectorError> {
        let settings = Settings::read(target)?;
        let connect = |deadline| Session::open(&settings, target.username, target.password.expose(), deadline);
        let limits = &settings.limits;
        self.pools.with(&target.id, limits, connect, |session| work(session, Deadline::after(limits.statement), &settings))
    }
}

impl Connector for Redis {
    fn name(&self) -> &str {
        "redis-database-plugin"
    }

    fn check(&self, target: &Target<'_>, verify: bool) -> Result<(), ConnectorError> {
        Settings::read(target)?;
        if verify { self.test(target, target.username, target.password) } else { Ok(()) }
    }

    fn create(&self, target: &Target<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError> {
        let name = free(target, new.account.username)?;
        if !new.rollback.is_empty() {
            return Err(misconfigured("Redis makes an account in one step: leave rollback_statements out"));
        }
        let rules = rules(new.account.statements)?;
        let hash = hash(new.password);
        // `reset` first: one that is there already becomes as asked.
        let mut words = vec!["ACL", "SETUSER", name, "reset", "on", hash.as_str()];
        words.extend(rules.iter().map(String::as_str));
        self.with(target, |session, deadline, settings| {
            session.ask(deadline, &words)?;
            persist(session, deadline, settings).or_else(|error| {
                if error.failure() == ConnectorFailure::Refused {
                    session.ask(deadline, &["ACL", "DELUSER", name])?;
                }
                Err(error)
            })
        })
    }

    fn renew(&self, _: &Target<'_>, account: &Account<'_>, _: Timestamp) -> Result<(), ConnectorError> {
        // Accounts of Redis have no end of their own.
        checked_name(account.username, NAME_BYTES_MAX).map(|_| ())
    }

    fn revoke(&self, target: &Target<'_>, account: &Account<'_>) -> Result<(), ConnectorError> {
        let name = free(target, account.username)?;
        self.with(target, |session, deadline, settings| {
            // It ends the user's sessions too.
            session.ask(deadline, &["ACL", "DELUSER", name])?;
            persist(session, deadline, settings)
        })
    }

    fn set_password(&self, target: &Target<'_>, account: &Account<'_>, password: &SecretString) -> Result<(), ConnectorError> {
        let name = checked_name(account.username, NAME_BYTES_MAX)?;
        let hash = hash(password);
        self.with(target, |session, deadline, settings| {
            // SETUSER would make one that is not there.
            if session.ask(deadline, &["ACL", "GETUSER", name])? == Answer::Nothing {
                return Err(refused("there is no such user"));
            }
            session.ask(deadline, &["ACL", "SETUSER", name, "resetpass", &hash])?;
            persist(session, deadline, settings).map_err(|error| {
                // The password is set: only the next start of the server may not know of it.
                ConnectorError::new(ConnectorFailure::Unknown, format!("the password is set and not persisted ({error})"))
            })
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

/// A name that is neither the vault's own account's nor everybody's.
fn free<'a>(target: &Target<'_>, name: &'a str) -> Result<&'a str, ConnectorError> {
    free_name(target, name, NAME_BYTES_MAX, |name| name == "default")
}

/// What Redis keeps of a password, as a rule of its ACLs.
fn hash(password: &SecretString) -> String {
    format!("#{}", hex::encode(digest(&SHA256, password.expose().as_bytes())))
}

fn persist(session: &mut Session, deadline: Deadline, settings: &Settings) -> Result<(), ConnectorError> {
    match settings.persistence {
        Persistence::Nothing => return Ok(()),
        Persistence::AclFile => session.ask(deadline, &["ACL", "SAVE"])?,
        Persistence::Rewrite => session.ask(deadline, &["CONFIG", "REWRITE"])?,
    };
    Ok(())
}

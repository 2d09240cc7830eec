//! What a rotation asks of its target, as the connector is asked it.

use super::core::Core;
use super::namespaces::Namespace;
use super::outside::{ask, ask_by_own_account, is_refused_login};
use crate::barrier::Overlay;
use crate::engines::{Connection, database};
use crate::host::{Account, Connector, ConnectorError, ConnectorFailure, Target};
use crate::managed::Managed;
use crate::password;
use crate::rotation::{Authenticate, Credential, Slot, Task, ValueId};
use crate::types::{Class, Code, Error, Result, SecretString};

/// Carries out a task; the caller holds the credential's claim, and what the task speaks of is durable.
pub(super) fn perform(core: &Core, namespace: &Namespace, managed: &Managed, task: Task) -> Result<Result<(), ConnectorError>> {
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    let configured = managed.target.map(|id| database::load(&mut overlay, &id)).transpose()?.flatten();
    let Some(configured) = configured else { return Ok(Err(misconfigured("the connection's record is gone"))) };
    let Ok(connector) = core.outside.connector(&configured.connection.plugin) else {
        return Ok(Err(ConnectorError::new(ConnectorFailure::Unreachable, "the host has not given the connector")));
    };
    // Drawn before anything is asked, and kept by nobody.
    let closing = match task {
        Task::Close(_) => match password::generate(&mut overlay, configured.policy(), namespace.barrier.rng()) {
            // What was asked is not in doubt: nothing was.
            Err(error) if is_of_the_vault(&error) => return Ok(Err(misconfigured(&error.to_string()))),
            generated => Some(generated?),
        },
        _ => None,
    };
    drop(overlay);
    let at = At { connector: &**connector, connection: &configured.connection, managed };
    let outcome = at.carry_out(task, closing.as_ref());
    // The connection's own password may have been changed since its record was read: it is no reason to stop.
    if is_by_manager(task) && is_refused_login(&outcome) {
        let now = database::load(&mut Overlay::reading(&namespace.barrier, core.source()), &configured.connection.id)?;
        if let Some(now) = now.filter(|now| !now.connection.has_passwords_of(&configured.connection)) {
            return Ok(At { connection: &now.connection, ..at }.carry_out(task, closing.as_ref()));
        }
    }
    Ok(outcome)
}

/// Whether the connection's own account asks.
const fn is_by_manager(task: Task) -> bool {
    matches!(task, Task::Set(_, Authenticate::Manager) | Task::Close(_) | Task::Check)
}

struct At<'a> {
    connector: &'a dyn Connector,
    connection: &'a Connection,
    managed: &'a Managed,
}

impl At<'_> {
    fn carry_out(&self, task: Task, closing: Option<&SecretString>) -> Result<(), ConnectorError> {
        match task {
            Task::Set(new, by) => self.value(new.value).and_then(|password| self.set(new.slot, password, by)),
            Task::Close(slot) => closing.map_or(Ok(()), |password| self.set(slot, password, Authenticate::Manager)),
            Task::Test(Credential { slot, value }) => self.value(value).and_then(|password| self.test(slot, password)),
            Task::Check => self.check(),
        }
    }

    fn value(&self, value: ValueId) -> Result<&SecretString, ConnectorError> {
        self.managed.value(value).ok_or_else(|| misconfigured("the vault does not know this password"))
    }

    fn set(&self, slot: Slot, password: &SecretString, by: Authenticate) -> Result<(), ConnectorError> {
        let account = Account { username: self.managed.username(slot), statements: &self.managed.statements };
        let Authenticate::Itself(own) = by else {
            return ask_by_own_account(self.connection, |target| self.connector.set_password(target, &account, password));
        };
        let own = self.value(own)?;
        // Connections are kept by a target's id: those of this account are its own, and are let go of at once.
        let connection = self.connection;
        let target = Target {
            id: self.managed.id,
            config: &connection.config,
            username: account.username,
            password: own,
            secrets: &connection.secrets,
        };
        let outcome = ask(|| self.connector.set_password(&target, &account, password));
        let _panicked: Result<(), ConnectorError> = ask(|| {
            self.connector.forget(&self.managed.id);
            Ok(())
        });
        outcome
    }

    fn test(&self, slot: Slot, password: &SecretString) -> Result<(), ConnectorError> {
        ask(|| self.connector.test(&self.connection.target(), self.managed.username(slot), password))
    }

    fn check(&self) -> Result<(), ConnectorError> {
        ask_by_own_account(self.connection, |target| self.connector.check(target, true))
    }
}

/// Whether a step was not made since the vault itself lacks something for it, such as a password policy: that is no failure of the store.
pub(super) fn is_of_the_vault(error: &Error) -> bool {
    matches!(error.class(), Class::NotFound | Class::InvalidRequest) && !matches!(error.code(), Code::Closed | Code::Forked)
}

fn misconfigured(why: &str) -> ConnectorError {
    ConnectorError::new(ConnectorFailure::Misconfigured, why)
}

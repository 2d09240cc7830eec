//! The change of a connection's own password: set at the target, tried out, then committed. Both passwords are kept until it is known which
//! one the target has; where a call was lost the change is carried on, and back only where an operator wants that.

use super::core::Core;
use super::namespaces::Namespace;
use super::outside::{Claim, ask, ask_by_own_account, failed};
use crate::audit::Event;
use crate::barrier::Overlay;
use crate::commit::{CommitError, Proposal};
use crate::engines::{Connection, database};
use crate::host::{Account, Connector, ConnectorError, ConnectorFailure};
use crate::lease::chore::Chore;
use crate::types::limits::COMMIT_RETRIES_MAX;
use crate::types::{Code, Error, Object, Result, SecretString, Timestamp, Value};

/// What was found out.
enum Found {
    /// The target has the new password; with `true` where no call that sets it was lost.
    New(bool),
    /// It has the old one, and refuses the new one.
    Old(ConnectorError),
    /// It is not known.
    Unknown(ConnectorError),
}

/// Goes on with a change that was cut off, or whose outcome is not known; when it is to be tried again.
pub(super) fn resume(core: &Core, namespace: &Namespace, id: &[u8; 16], now: Timestamp) -> Result<Option<Timestamp>> {
    if let Some(until) = core.outside.rests(id, now) {
        return Ok(Some(until));
    }
    let settled = claim(core, id).and_then(|claim| settle(core, namespace, id, (&claim, false), now));
    match settled {
        Ok(()) => Ok(None),
        Err(error) if error.code() == Code::TargetUnavailable || error.code() == Code::TargetRefused => {
            // From the answer on, however long it took.
            Ok(Some(core.outside.rest(*id, core.clock.now())))
        }
        // Another one is at it, or the host has not given the connector.
        Err(error) if matches!(error.code(), Code::Conflict | Code::UnknownConnector) => Ok(Some(core.outside.rest(*id, now))),
        Err(error) => Err(error),
    }
}

/// Lets a connection's password be changed by one caller at a time: claimed before the change is durable, so that no tick carries on what has
/// only just begun.
pub(super) fn claim<'c>(core: &'c Core, id: &[u8; 16]) -> Result<Claim<'c>> {
    let busy = || Error::new(Code::Conflict, "the connection's password is being changed just now: try again later");
    core.outside.begin_rotation(*id).ok_or_else(busy)
}

/// Sets the new password, finds out which one the target has, and commits that; under a claim. `is_first` where nothing was asked of the target
/// before: its refusal then means that it has the old one.
pub(super) fn settle(
    core: &Core,
    namespace: &Namespace,
    id: &[u8; 16],
    (_claim, is_first): (&Claim<'_>, bool),
    now: Timestamp,
) -> Result<()> {
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    let configured = database::load(&mut overlay, id)?.filter(|found| !found.connection.is_retired);
    drop(overlay);
    let Some(connection) = configured.map(|found| found.connection) else { return strike_off(core, namespace, id, now) };
    let Some(pending) = &connection.pending else { return strike_off(core, namespace, id, now) };
    let connector = &**core.outside.connector(&connection.plugin)?;
    let found = find_out(connector, &connection, is_first);
    match found {
        Found::New(is_sure) => {
            commit(core, namespace, id, (pending, is_sure), "rotate-root", None, now)?;
            forget(connector, id);
            Ok(())
        }
        Found::Old(error) => {
            commit(core, namespace, id, (&connection.password, true), "rotate-root", Some(&error), now)?;
            Err(failed(&error))
        }
        Found::Unknown(error) => {
            let why = format!(
                "{}; both passwords are kept, and tick finds out which one the target has: settle-root/NAME does that now, and gives the new one \
                 up where the target has the old one",
                failed(&error)
            );
            Err(Error::new(Code::TargetUnavailable, why))
        }
    }
}

/// Finds out which of the passwords that the vault knows the target has, and goes on with that one: a change that was under way is done or given
/// up. What is given up is kept beside it for as long as a late target could still set it. Under a claim.
pub(super) fn give_up(core: &Core, namespace: &Namespace, id: &[u8; 16], _claim: &Claim<'_>, now: Timestamp) -> Result<Value> {
    let configured = database::load(&mut Overlay::reading(&namespace.barrier, core.source()), id)?;
    let configured = configured.filter(|found| !found.connection.is_retired);
    let gone = || Error::new(Code::NotFound, "the connection was deleted meanwhile");
    let connection = configured.ok_or_else(gone)?.connection;
    let connector = &**core.outside.connector(&connection.plugin)?;
    let new = connection.pending.iter().map(|password| ("new", password));
    let late = connection.other_passwords().skip(new.len()).map(|password| ("given-up", password));
    let mut refused = None;
    for (which, password) in new.chain([("old", &connection.password)]).chain(late) {
        match ask(|| connector.test(&connection.target_with(password), &connection.username, password)) {
            Ok(()) => {
                commit(core, namespace, id, (password, false), "settle-root", None, now)?;
                forget(connector, id);
                return Ok(Object::new().with("works", which).into());
            }
            Err(error) if error.failure() == ConnectorFailure::Unauthenticated => refused = Some(error),
            // It is not known of this one: nothing is given up for it.
            Err(error) => return Err(failed(&error)),
        }
    }
    let why = refused.map_or_else(String::new, |error| format!(": {}", failed(&error)));
    let why = format!(
        "the target takes none of the passwords that the vault knows{why}; set one there by hand, and write config/NAME with it as \"password\""
    );
    Err(Error::new(Code::TargetRefused, why))
}

/// Lets the connector begin anew with the password that counts from now on.
fn forget(connector: &dyn Connector, id: &[u8; 16]) {
    let _panicked: Result<(), ConnectorError> = ask(|| {
        connector.forget(id);
        Ok(())
    });
}

fn find_out(connector: &dyn Connector, connection: &Connection, is_first: bool) -> Found {
    let Some(new) = &connection.pending else {
        return Found::Unknown(ConnectorError::new(ConnectorFailure::Unknown, "no password is being set"));
    };
    let account = Account { username: &connection.username, statements: &connection.rotation };
    let takes = |password| ask(|| connector.test(&connection.target_with(password), &connection.username, password));
    // Where the target has the new one already, it was set by a call whose answer was lost.
    if !is_first && takes(new).is_ok() {
        return Found::New(false);
    }
    // Of several calls that set it one may be on its way still, and one that was asked without an answer may be done twice.
    let set = ask_by_own_account(connection, |target| connector.set_password(target, &account, new));
    let tried = takes(new);
    if tried.is_ok() {
        return Found::New(is_first && set.is_ok());
    }
    match (set, takes(&connection.password)) {
        // Only what was refused for sure, and never asked before, is known not to arrive later.
        (Err(error), Ok(())) if is_first && !error.failure().may_be_done() => Found::Old(error),
        (Err(error), _) => Found::Unknown(error),
        (Ok(()), _) => {
            Found::Unknown(tried.err().unwrap_or_else(|| ConnectorError::new(ConnectorFailure::Unknown, "it was not tried out")))
        }
    }
}

/// Commits which password the target has, and whether it is sure that it will not come to have another one of the vault's.
fn commit(
    core: &Core,
    namespace: &Namespace,
    id: &[u8; 16],
    (works, is_sure): (&SecretString, bool),
    operation: &'static str,
    error: Option<&ConnectorError>,
    now: Timestamp,
) -> Result<()> {
    for _ in 0..=COMMIT_RETRIES_MAX {
        let mut overlay = Overlay::writing(&namespace.barrier, core.source());
        if let Some(mut configured) = database::load(&mut overlay, id)? {
            configured.connection.settle(works, is_sure, now);
            database::save(&mut overlay, &configured)?;
        }
        Chore::Rotation(*id).delete(&mut overlay);
        let event = Event {
            time_millis: now.as_millis(),
            request_id: core.random_id()?.to_string(),
            operation: operation.into(),
            path: "sys/leases".to_owned(),
            namespace: namespace.audit_name(),
            outcome: error.map_or(0, |_| Code::TargetRefused.number()),
            target_error: error.map(super::outside::text_of),
            count: 1,
            ..Event::default()
        };
        match core.committer.commit(Proposal { writes: overlay.into_writes(), events: vec![event], ..Proposal::default() }) {
            Err(CommitError::Conflict) => {}
            other => return Ok(other.map(drop)?),
        }
    }
    Err(CommitError::Conflict.into())
}

/// Nothing is to be found out any more.
fn strike_off(core: &Core, namespace: &Namespace, id: &[u8; 16], _now: Timestamp) -> Result<()> {
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    Chore::Rotation(*id).delete(&mut overlay);
    core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() })?;
    Ok(())
}

//! `static-roles/NAME`: an account that is at the target already, or two, whose password the vault replaces.

use super::record::{self, Configured};
use super::roles::statements;
use super::static_runs;
use crate::barrier::{BarrierError, Overlay};
use crate::engines::common::input::{known_only, member, not_found, truth};
use crate::engines::{Call, Outcome};
use crate::managed::{MEMBERS, Managed, Settings, Way, index};
use crate::password;
use crate::rotation::schedule::Due;
use crate::rotation::{Finish, Input, Phase, State};
use crate::types::id::Id;
use crate::types::limits::{GIVEN_PASSWORD_BYTES_MAX, NAME_BYTES_MAX, STATIC_ROLES_PER_CONNECTION_MAX};
use crate::types::{Code, Error, Object, Result, SecretString, Timestamp, Value};

/// What a request may hold beside the settings of the rotation.
const OWN: [&str; 8] =
    ["db_name", "username", "usernames", "rotation_statements", "credential_type", "credential_config", "password", "skip_import_rotation"];

/// What an operator does where the vault itself lacks what a rotation needs.
pub(crate) const STALLED: &str =
    "the rotation cannot go on, since the vault lacks what \"target_error\" tells of. Put that right; it goes on by itself then";

pub(super) fn read(overlay: &mut Overlay<'_>, mount: &Id, name: &str, now: Timestamp) -> Result<Outcome> {
    let managed = Managed::named(overlay, mount, name)?.ok_or_else(not_found)?;
    let body = Object::new().with("db_name", managed.connection.as_str()).with("credential_type", "password");
    let body = match managed.settings.way {
        Way::Alternating => body.with("usernames", managed.usernames.clone()),
        Way::Single | Way::Generate => body.with("username", managed.username(managed.state.current.slot)),
    };
    let body = managed.settings.show_accounts(body.with("rotation_statements", managed.statements.clone()));
    let body = managed.show_reads(overlay, managed.state.current.value.0, body)?;
    let body = body.with("last_vault_rotation", last_rotation(&managed)).with("rotation", status(&managed, now));
    Ok(Outcome { data: Some(body.into()), ..Outcome::default() })
}

/// When the password was last replaced; when the role was made where it never was.
pub(super) fn last_rotation(managed: &Managed) -> String {
    let millis = if managed.state.promoted_millis > 0 { managed.state.promoted_millis } else { managed.due.last_millis };
    Timestamp::from_millis(millis).to_string()
}

/// Where a rotation stands, in words and numbers and without its passwords.
pub(crate) fn status(managed: &Managed, now: Timestamp) -> Object {
    let state = &managed.state;
    let at = |millis: u64| Value::from(Timestamp::from_millis(millis).to_string());
    let last = match state.last {
        None => Value::Null,
        Some(Finish::Rotated { .. }) => "rotated".into(),
        Some(Finish::RolledBack) => "rolled-back".into(),
        Some(Finish::Rehearsed) => "rehearsed".into(),
        Some(Finish::RehearsalFailed { .. }) => "rehearsal-failed".into(),
        Some(Finish::Adopted) => "adopted".into(),
    };
    let stalled = managed.is_stalled().then(|| STALLED.to_owned());
    let what_to_do = state.attention.map(|reason| reason.words()).or(stalled);
    let mut body = Object::new()
        .with("phase", state.phase.name())
        .with("rehearsal", state.rehearsal)
        .with("needs_attention", state.attention.is_some() || managed.is_stalled())
        .with("what_to_do", what_to_do.map(Value::from))
        .with("failures", state.failures.max(managed.stalls))
        .with("next", managed.next().map(|next| Value::from(next.max(now).to_string())))
        .with("last", last);
    if let Some(used) = managed.used_up {
        body = body.with("due_by", used.by.name());
    }
    if let Some(Finish::RehearsalFailed { reason }) = state.last {
        body = body.with("rehearsal_found", reason.words());
    }
    if let Some(error) = &managed.error {
        body = body.with("target_error", error.as_str()).with("target_error_time", at(managed.error_millis));
    }
    body
}

/// Where it stands, for an error.
pub(crate) fn status_words(managed: &Managed) -> String {
    let error = managed.error.as_deref().map(|error| format!("; the target system: {error}")).unwrap_or_default();
    format!("it stands at \"{}\"{error}", managed.state.phase.name())
}

/// A new role, which is rotated at once unless it says otherwise, or other settings of one that is there.
pub(super) fn write(overlay: &mut Overlay<'_>, mount: &Id, name: &str, call: &Call<'_>) -> Result<Outcome> {
    known_only(call.data, &[&OWN[..], &MEMBERS[..]].concat())?;
    if member(call.data, "credential_type").is_some_and(|kind| kind.as_str() != Some("password")) {
        return Err(bad("this version makes credentials of the type \"password\" only"));
    }
    if member(call.data, "credential_config").and_then(Value::as_object).is_some_and(|config| !config.is_empty()) {
        return Err(bad("\"credential_config\" is not supported: name a password policy in the connection"));
    }
    match Managed::named(overlay, mount, name)? {
        Some(managed) => update(overlay, managed, call),
        None => create(overlay, mount, name, call),
    }
}

fn update(overlay: &mut Overlay<'_>, mut managed: Managed, call: &Call<'_>) -> Result<Outcome> {
    let before = index::places(&managed);
    let is_same = |name: &str, is: &str| member(call.data, name).is_none_or(|value| value.as_str() == Some(is));
    let usernames = usernames(call.data)?;
    if !is_same("db_name", &managed.connection) || usernames.is_some_and(|names| names != managed.usernames) {
        return Err(bad("a static role keeps its connection and its accounts: write another role"));
    }
    if given(call.data)?.is_some() || member(call.data, "skip_import_rotation").is_some() {
        return Err(bad("the role is there already: give a password that was changed by hand to adopt-role/NAME"));
    }
    let (way, by_itself) = (managed.settings.way, managed.settings.by_itself);
    managed.settings.take(call.data)?;
    if (managed.settings.way, managed.settings.by_itself) != (way, by_itself) {
        return Err(bad("a static role keeps its strategy: write another role"));
    }
    if let Some(value) = member(call.data, "rotation_statements") {
        managed.statements = statements(value, "rotation_statements")?;
    }
    let configured = managed.target.map(|id| record::load(overlay, &id)).transpose()?.flatten();
    password::check_policy(overlay, configured.as_ref().and_then(Configured::policy))?;
    let schedule = managed.settings.schedule().map_err(|error| bad(&error.to_string()))?;
    (managed.due, _) = schedule.look(&managed.due, call.now);
    managed.drop_use();
    index::save(overlay, &before, Some(&managed))?;
    Ok(Outcome::default())
}

fn create(overlay: &mut Overlay<'_>, mount: &Id, name: &str, call: &Call<'_>) -> Result<Outcome> {
    let configured = connection_of(overlay, mount, name, call.data)?;
    let count = index::count_of_target(overlay, &configured.connection.id)?;
    if count >= STATIC_ROLES_PER_CONNECTION_MAX {
        return Err(bad(&format!("the connection has {STATIC_ROLES_PER_CONNECTION_MAX} static roles already")));
    }
    let usernames = usernames(call.data)?.unwrap_or_default();
    let mut settings = Settings { way: if usernames.len() == 2 { Way::Alternating } else { Way::Single }, ..Settings::default() };
    settings.take(call.data)?;
    let wanted = if settings.way == Way::Alternating { 2 } else { 1 };
    if usernames.len() != wanted {
        return Err(bad("name the account as \"username\", or with the strategy \"alternating\" two as \"usernames\""));
    }
    password::check_policy(overlay, configured.policy())?;
    check_accounts(overlay, &configured, &usernames)?;
    let (given, skips) = (given(call.data)?, member(call.data, "skip_import_rotation").is_some_and(|value| truth(value) == Some(true)));
    if given.is_none() && (skips || settings.by_itself) {
        return Err(bad("pass the account's \"password\": without it nothing but a rotation by the managing account can begin"));
    }
    let schedule = settings.schedule().map_err(|error| bad(&error.to_string()))?;
    let mut state = State::unknown();
    // A password that is given is tried first, and rotated once it works.
    state.again_wanted = given.is_some() && !skips;
    let statements = member(call.data, "rotation_statements").map(|value| statements(value, "rotation_statements")).transpose()?;
    let mut managed = Managed {
        id: overlay.barrier().rng().array().map_err(BarrierError::from)?,
        owner: *mount.as_bytes(),
        name: name.to_owned(),
        target: Some(configured.connection.id),
        connection: configured.name.clone(),
        usernames,
        statements: statements.unwrap_or_default(),
        settings,
        state,
        due: Due { last_millis: call.now.as_millis(), next_millis: None, jitter_permille: 0 },
        error: None,
        error_millis: 0,
        member: String::new(),
        policy: String::new(),
        values: Vec::new(),
        stalls: 0,
        held_millis: 0,
        used_up: None,
    };
    let input = if given.is_some() { Input::Give } else { Input::Begin };
    managed.due = schedule.begun(call.now, static_runs::permille(overlay)?);
    let advanced = static_runs::advance(overlay, &configured, &mut managed, input, given, call.now)?;
    managed.enter(overlay)?;
    overlay.enter(*mount, &format!("static-roles/{name}"));
    static_runs::outcome(&managed, &configured, input, advanced, true)
}

/// Refuses an account whose password something else replaces: each of the two would keep the other's from working. What is read here becomes an
/// expectation.
fn check_accounts(overlay: &mut Overlay<'_>, configured: &Configured, usernames: &[String]) -> Result<()> {
    for username in usernames {
        if *username == configured.connection.username {
            let why = "the account is the connection's own, which everything else of the connection logs in with: name another account, or \
                       replace its password with rotate-root/NAME";
            return Err(Error::new(Code::InvalidRequest, why));
        }
        if let Some(other) = index::of_account(overlay, &configured.connection.id, username)? {
            let why = format!(
                "the static role \"{}\" rotates this account already: use it, delete it first, or name another account",
                other.name
            );
            return Err(Error::new(Code::InvalidRequest, why));
        }
    }
    Ok(())
}

/// The connection that a new role names, which has the role among its own.
fn connection_of(overlay: &mut Overlay<'_>, mount: &Id, name: &str, data: Option<&Value>) -> Result<Configured> {
    let connection = member(data, "db_name").and_then(Value::as_str).unwrap_or_default();
    if connection.is_empty() {
        return Err(bad("the connection is missing: pass its name as \"db_name\""));
    }
    let missing = || Error::new(Code::InvalidRequest, "there is no connection of that db_name: write it first");
    let configured = record::named(overlay, mount, super::checked(connection)?)?.ok_or_else(missing)?;
    configured.check_allows(name)?;
    Ok(configured)
}

fn usernames(data: Option<&Value>) -> Result<Option<Vec<String>>> {
    let fits = |name: &str| !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    let why = || bad("\"username\" is the name of an account, \"usernames\" two different ones");
    let names = match (member(data, "username"), member(data, "usernames")) {
        (None, None) => return Ok(None),
        (Some(name), None) => vec![name.as_str().ok_or_else(why)?.to_owned()],
        (None, Some(names)) => super::roles::texts(names).filter(|names| names.len() == 2 && names[0] != names[1]).ok_or_else(why)?,
        (Some(_), Some(_)) => return Err(why()),
    };
    if names.iter().all(|name| fits(name)) { Ok(Some(names)) } else { Err(why()) }
}

/// The password that the account has, where the request tells it.
pub(super) fn given(data: Option<&Value>) -> Result<Option<SecretString>> {
    let Some(value) = member(data, "password") else { return Ok(None) };
    let fits = |text: &&str| !text.is_empty() && text.len() <= GIVEN_PASSWORD_BYTES_MAX;
    let why = || bad(&format!("the password must be text from 1 to {GIVEN_PASSWORD_BYTES_MAX} bytes"));
    value.as_str().filter(fits).map(|text| Some(SecretString::copy_from(text))).ok_or_else(why)
}

/// The vault forgets the account's password, which stays as it is at the target.
pub(super) fn delete(overlay: &mut Overlay<'_>, mount: &Id, name: &str, data: Option<&Value>) -> Result<Outcome> {
    let Some(managed) = Managed::named(overlay, mount, name)? else { return Ok(Outcome::default()) };
    let forced = member(data, "force").is_some_and(|value| truth(value) == Some(true));
    let state = &managed.state;
    if !forced && (state.asked || !matches!(state.phase, Phase::Idle | Phase::Grace)) {
        let why = "the role is being rotated, so that its target could be left with a password that nobody knows: wait, or roll back first; \
                   or pass \"force\"";
        return Err(Error::new(Code::InvalidRequest, why));
    }
    managed.remove(overlay)?;
    overlay.leave(*mount, &format!("static-roles/{name}"));
    Ok(Outcome::default())
}

fn bad(why: &str) -> Error {
    Error::new(Code::InvalidData, why)
}

//! `config/NAME`: a connection to a target system is written, shown without its secrets, deleted; and `rotate-root/NAME`, `settle-root/NAME`,
//! `reset/NAME`.

use super::place::place_of;
use super::record::{self, Configured};
use super::{url, username};
use crate::barrier::{BarrierError, Overlay};
use crate::engines::Outcome;
use crate::engines::common::effect::{Connection, Effect, Probe};
use crate::engines::common::input::{member, not_found, truth};
use crate::engines::database::roles::{statements, texts};
use crate::lease::chore::Chore;
use crate::managed::index;
use crate::password;
use crate::types::id::Id;
use crate::types::limits::{LATE_PASSWORDS_MAX, NAME_BYTES_MAX};
use crate::types::{Code, Error, Object, Result, SecretString, Timestamp, Value};
use std::sync::Arc;

/// What the engine itself looks at; everything else is the connector's.
const OWN: [&str; 8] = [
    "plugin_name",
    "allowed_roles",
    "verify_connection",
    "password_policy",
    "username_template",
    "root_rotation_statements",
    "root_credentials_rotate_statements",
    "plugin_version",
];

/// What of a configuration is never shown.
const SECRET: [&str; 9] = [
    "password",
    "private_key",
    "client_key",
    "tls_private_key",
    "tls_certificate_key",
    "pem_bundle",
    "pem_json",
    "secret_key",
    "auth_token",
];

/// What of a connection's options is shown: a closed list, since another one may hold anything.
const PUBLIC: [&str; 18] = [
    "connection_url",
    "username",
    "host",
    "port",
    "tls",
    "tls_ca",
    "ca_cert",
    "tls_certificate",
    "tls_server_name",
    "tls_skip_verify",
    "insecure_tls",
    "max_open_connections",
    "max_idle_connections",
    "max_connection_lifetime",
    "connect_timeout",
    "statement_timeout",
    "password_authentication",
    "persistence_mode",
];

pub(super) fn read(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Outcome> {
    let configured = record::named(overlay, mount, name)?.ok_or_else(not_found)?;
    let connection = &configured.connection;
    let details = connection.config.as_object().cloned().unwrap_or_default();
    let shown: Object = details.iter().filter(|(name, value)| is_shown(name, value)).map(|(name, value)| (name, value.clone())).collect();
    let held_back = details.len() - shown.len();
    let warnings =
        (held_back > 0).then(|| format!("{held_back} options of the connection are kept and not shown, since they may hold secrets"));
    let body = Object::new()
        .with("plugin_name", connection.plugin.as_str())
        .with("plugin_version", "")
        .with("connection_details", shown)
        .with("allowed_roles", configured.allowed_roles.clone())
        .with("password_policy", configured.password_policy.as_str())
        .with("username_template", configured.username_template.as_str())
        .with("root_credentials_rotate_statements", connection.rotation.clone())
        .with("verify_connection", configured.verify);
    Ok(Outcome { data: Some(body.into()), warnings: warnings.into_iter().collect(), ..Outcome::default() })
}

/// Whether an option is one that readers of the configuration see.
fn is_shown(name: &str, value: &Value) -> bool {
    let is_plain = match value {
        Value::String(text) => !(text.as_str().contains("PRIVATE KEY") || name == "connection_url" && url::holds_password(text.as_str())),
        Value::Object(_) | Value::Array(_) => false,
        _ => true,
    };
    PUBLIC.contains(&name) && is_plain
}

/// A new connection, or another configuration of one that is there: what the request leaves out stays.
pub(super) fn write(overlay: &mut Overlay<'_>, mount: &Id, name: &str, data: Option<&Value>, now: Timestamp) -> Result<Outcome> {
    let old = record::named(overlay, mount, name)?;
    let is_new = old.is_none();
    let was = old.as_ref().map(|old| (old.connection.plugin.clone(), old.connection.id));
    let mut configured = match old {
        // Whoever knows the password that the target has says so by this.
        Some(old) if old.connection.pending.is_some() && member(data, "password").is_none() => return Err(unsettled()),
        Some(old) => old,
        None => blank(overlay, name)?,
    };
    if let Some(plugin) = text(data, "plugin_name")? {
        configured.connection.plugin = plugin;
    }
    if configured.connection.plugin.is_empty() {
        return Err(bad("the connector is missing: pass its name as \"plugin_name\""));
    }
    if let Some(roles) = member(data, "allowed_roles") {
        configured.allowed_roles =
            texts(roles).ok_or_else(|| bad("\"allowed_roles\" must be names of roles: an array, or text with commas"))?;
    }
    if let Some(template) = text(data, "username_template")? {
        username::check(&template)?;
        configured.username_template = template;
    }
    if let Some(policy) = text(data, "password_policy")? {
        configured.password_policy = policy;
    }
    if let Some(verify) = member(data, "verify_connection") {
        configured.verify = truth(verify).ok_or_else(|| bad("\"verify_connection\" must be true or false"))?;
    }
    for name in ["root_rotation_statements", "root_credentials_rotate_statements"] {
        if let Some(value) = member(data, name) {
            configured.connection.rotation = statements(value, name)?;
        }
    }
    let before = (configured.connection.config.clone(), configured.connection.username.clone());
    let password = SecretString::copy_from(configured.connection.password.expose());
    take_details(&mut configured.connection, data)?;
    let has_moved = was.as_ref().is_some_and(|(plugin, _)| *plugin != configured.connection.plugin)
        || place_of(&before.0) != place_of(&configured.connection.config);
    let is_settled = configured.connection.pending.is_some();
    if is_settled {
        if has_moved {
            return Err(unsettled());
        }
        Chore::Rotation(configured.connection.id).delete(overlay);
    }
    // A password that settles what the target has is tried, whatever the connection says; and one where too many others may work as well.
    let is_told = member(data, "password").is_some();
    let verify = configured.verify || is_settled || is_told && configured.connection.late.len() >= LATE_PASSWORDS_MAX;
    if has_moved || before.1 != configured.connection.username {
        // Another account's from now on.
        (configured.connection.pending, configured.connection.late) = (None, Vec::new());
    } else if !is_new && is_told {
        configured.connection.leave_password(password, verify, now);
    }
    if is_new {
        record::enter(overlay, mount, &configured)?;
    } else if let Some(role) = index::of_account(overlay, &configured.connection.id, &configured.connection.username)? {
        let why = format!(
            "the static role \"{}\" rotates the account of that \"username\": delete the role first, or name another account",
            role.name
        );
        return Err(Error::new(Code::InvalidRequest, why));
    } else if has_moved {
        check_move(overlay, &configured.connection.id, data)?;
        // Another connection from now on: an account that is just being made at the old place is undone there.
        if let Some(old) = record::named(overlay, mount, name)? {
            record::retire(overlay, mount, old)?;
        }
        configured.connection.id = overlay.barrier().rng().array().map_err(BarrierError::from)?;
        record::enter(overlay, mount, &configured)?;
    } else {
        record::save(overlay, &configured)?;
    }
    let probe = Some(Probe::Check(Arc::new(configured.connection), verify));
    Ok(Outcome { probe, forgets: was, ..Outcome::default() })
}

/// Takes over what the connector is to know, the secrets apart.
fn take_details(connection: &mut Connection, data: Option<&Value>) -> Result<()> {
    let mut config = connection.config.as_object().cloned().unwrap_or_default();
    for (name, value) in data.and_then(Value::as_object).into_iter().flat_map(Object::iter) {
        if OWN.contains(&name) {
            continue;
        }
        if SECRET.contains(&name) {
            let secret = value.as_str().ok_or_else(|| bad("a secret of the configuration must be text"))?;
            let secret = SecretString::copy_from(secret);
            if name == "password" {
                connection.password = secret;
            } else {
                connection.secrets.retain(|(other, _)| other != name);
                connection.secrets.push((name.to_owned(), secret));
            }
            continue;
        }
        config.insert(name, value.clone());
    }
    if config.get("connection_url").and_then(Value::as_str).is_some_and(url::holds_password) {
        return Err(bad(
            "the connection_url holds a password, which every reader of the configuration would see: write {{username}}:{{password}} \
                        in it, and pass \"username\" and \"password\" beside it",
        ));
    }
    connection.username = config.get("username").and_then(Value::as_str).unwrap_or_default().to_owned();
    connection.config = config.into();
    Ok(())
}

fn blank(overlay: &Overlay<'_>, name: &str) -> Result<Configured> {
    let connection = Connection {
        id: overlay.barrier().rng().array().map_err(BarrierError::from)?,
        plugin: String::new(),
        config: Object::new().into(),
        username: String::new(),
        password: SecretString::copy_from(""),
        pending: None,
        late: Vec::new(),
        secrets: Vec::new(),
        rotation: Vec::new(),
        is_retired: false,
    };
    Ok(Configured {
        connection,
        name: name.to_owned(),
        allowed_roles: Vec::new(),
        password_policy: String::new(),
        username_template: String::new(),
        verify: true,
    })
}

/// The connection is gone, and its leases end; what they made is removed from the target by `tick`.
pub(super) fn delete(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Outcome> {
    if let Some(configured) = record::named(overlay, mount, name)? {
        record::retire(overlay, mount, configured)?;
    }
    Ok(Outcome::default())
}

/// Lets the connector begin anew with the connection.
pub(super) fn reset(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Outcome> {
    let configured = record::named(overlay, mount, name)?.ok_or_else(not_found)?;
    Ok(Outcome { forgets: Some((configured.connection.plugin, configured.connection.id)), ..Outcome::default() })
}

/// Draws a new password for the connection's own account; it stands beside the old one until it is known which of them the target has.
pub(super) fn rotate(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Outcome> {
    let mut configured = record::named(overlay, mount, name)?.ok_or_else(not_found)?;
    if configured.connection.pending.is_some() {
        return Err(unsettled());
    }
    if configured.connection.username.is_empty() {
        return Err(bad("the connection has no \"username\" whose password could be changed"));
    }
    if configured.connection.late.len() >= LATE_PASSWORDS_MAX {
        let why = format!(
            "the connection's account may have one of {LATE_PASSWORDS_MAX} other passwords by now, since answers to changes were lost or \
             passwords were written untried: settle-root/NAME finds out which works, and a minute after the last of them lets go of the others"
        );
        // No conflict: trying again finds the same.
        return Err(Error::new(Code::InvalidRequest, why));
    }
    let policy = Some(configured.password_policy.as_str()).filter(|name| !name.is_empty());
    configured.connection.pending = Some(password::generate(overlay, policy, overlay.barrier().rng())?);
    record::save(overlay, &configured)?;
    Chore::Rotation(configured.connection.id).put(overlay)?;
    Ok(Outcome { effect: Some(Effect::Rotate(Arc::new(configured.connection))), ..Outcome::default() })
}

/// Finds out which of the passwords that the vault knows the connection's own account has, and goes on with that one.
pub(super) fn settle(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Outcome> {
    let configured = record::named(overlay, mount, name)?.ok_or_else(not_found)?;
    if configured.connection.username.is_empty() {
        return Err(bad("the connection has no \"username\" whose password could be looked for"));
    }
    Ok(Outcome { effect: Some(Effect::Settle(Arc::new(configured.connection))), ..Outcome::default() })
}

/// A connection that goes elsewhere takes no password there that was given for another place, and leaves no account behind.
fn check_move(overlay: &mut Overlay<'_>, id: &[u8; 16], data: Option<&Value>) -> Result<()> {
    if member(data, "password").is_none() {
        return Err(bad("the connection goes elsewhere by this: pass its \"password\" too, since the one that is kept is not sent there"));
    }
    if !record::is_unused(overlay, id)? {
        let why = "the connection has leases or static roles, whose accounts are where it goes now: revoke or delete them, or write a connection of another name";
        return Err(Error::new(Code::InvalidRequest, why));
    }
    Ok(())
}

fn unsettled() -> Error {
    Error::new(
        Code::Conflict,
        "the connection's password is being changed, and it is not known yet which one the target has: try again later; where that stays so, let \
         settle-root/NAME find out, or write config/NAME with the \"password\" that the target has",
    )
}

fn text(data: Option<&Value>, name: &str) -> Result<Option<String>> {
    let fits = |text: &&str| text.len() <= NAME_BYTES_MAX * 2;
    let why = || bad(&format!("\"{name}\" must be text of at most {} bytes", NAME_BYTES_MAX * 2));
    member(data, name).map(|value| value.as_str().filter(fits).map(str::to_owned).ok_or_else(why)).transpose()
}

fn bad(why: &str) -> Error {
    Error::new(Code::InvalidData, why)
}

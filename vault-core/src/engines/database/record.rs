//! The records of connections: each by its id, which its leases name, and found by mount and name while it is configured.

use super::place::place_of;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::engines::common::effect::{Connection, LatePassword};
use crate::lease::chore::Chore;
use crate::lease::index;
use crate::managed;
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::DATABASE_CONNECTIONS_MAX;
use crate::types::{Code, Error, Object, Result, SecretString, Value};

/// A connection with what the engine itself keeps of it.
pub(crate) struct Configured {
    pub(crate) connection: Connection,
    pub(super) name: String,
    /// Names of roles, with `*` at either end.
    pub(super) allowed_roles: Vec<String>,
    pub(super) password_policy: String,
    pub(super) username_template: String,
    pub(super) verify: bool,
}

impl Configured {
    /// The password policy that the connection names.
    pub(crate) fn policy(&self) -> Option<&str> {
        Some(self.password_policy.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether a role is among those that may use the connection.
    pub(super) fn allows(&self, role: &str) -> bool {
        self.allowed_roles.iter().any(|allowed| match (allowed.strip_prefix('*'), allowed.strip_suffix('*')) {
            (Some(""), _) => true,
            (Some(end), Some(_)) => role.contains(end.strip_suffix('*').unwrap_or(end)),
            (Some(end), None) => role.ends_with(end),
            (None, Some(beginning)) => role.starts_with(beginning),
            (None, None) => role == allowed,
        })
    }

    /// Refuses a role that may not use the connection.
    pub(crate) fn check_allows(&self, role: &str) -> Result<()> {
        let why = "the connection does not have this role among its \"allowed_roles\"";
        if self.allows(role) { Ok(()) } else { Err(Error::new(Code::InvalidRequest, why)) }
    }

    fn to_value(&self) -> Value {
        let connection = &self.connection;
        let secrets: Object = connection.secrets.iter().map(|(name, text)| (name.as_str(), Value::string(text.expose()))).collect();
        let since = |late: &LatePassword| Object::new().with("password", late.password.expose()).with("since", late.since_millis);
        let late: Vec<Value> = connection.late.iter().map(|late| since(late).into()).collect();
        Object::new()
            .with("name", self.name.as_str())
            .with("plugin", connection.plugin.as_str())
            .with("config", connection.config.clone())
            .with("username", connection.username.as_str())
            .with("password", connection.password.expose())
            .with("pending", connection.pending.as_ref().map(|pending| Value::string(pending.expose())))
            .with("late", late)
            .with("secrets", secrets)
            .with("rotation", connection.rotation.clone())
            .with("retired", connection.is_retired)
            .with("allowed_roles", self.allowed_roles.clone())
            .with("password_policy", self.password_policy.as_str())
            .with("username_template", self.username_template.as_str())
            .with("verify", self.verify)
            .into()
    }

    fn from_value(id: [u8; 16], value: &Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let texts =
            |name| -> Option<Vec<String>> { value.get(name)?.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect() };
        let truth = |name| value.get(name).and_then(Value::as_bool);
        let secret = |value: &Value| value.as_str().map(SecretString::copy_from);
        let late = |value: &Value| {
            let since_millis = value.get("since")?.as_u64()?;
            Some(LatePassword { password: secret(value.get("password")?)?, since_millis })
        };
        let secrets = value.get("secrets")?.as_object()?.iter();
        let secrets = secrets.map(|(name, text)| Some((name.to_owned(), secret(text)?))).collect::<Option<_>>()?;
        let connection = Connection {
            id,
            plugin: text("plugin")?,
            config: value.get("config")?.clone(),
            username: text("username")?,
            password: secret(value.get("password")?)?,
            pending: value.get("pending").and_then(secret),
            late: value.get("late")?.as_array()?.iter().map(late).collect::<Option<_>>()?,
            secrets,
            rotation: texts("rotation")?,
            is_retired: truth("retired")?,
        };
        Some(Configured {
            connection,
            name: text("name")?,
            allowed_roles: texts("allowed_roles")?,
            password_policy: text("password_policy")?,
            username_template: text("username_template")?,
            verify: truth("verify")?,
        })
    }
}

/// A connection by its id. What is read here becomes an expectation.
pub(crate) fn load(overlay: &mut Overlay<'_>, id: &[u8; 16]) -> Result<Option<Configured>> {
    let key = connection_key(overlay.barrier(), id);
    let Some(bytes) = overlay.get(Kind::DatabaseConnection, &key)? else { return Ok(None) };
    let value = Value::from_json(&bytes).map_err(|_| BarrierError::Corrupt)?;
    Ok(Some(Configured::from_value(*id, &value).ok_or(BarrierError::Corrupt)?))
}

/// Whether a connection is still the one that was used: `None` where it is gone meanwhile, false where the vault's own account is another one or it
/// goes elsewhere. What does not say that (limits, timeouts, trusted authorities) is not looked at. What is read here becomes an expectation.
pub(crate) fn is_still(overlay: &mut Overlay<'_>, used: &Connection) -> Result<Option<bool>> {
    let Some(Configured { connection, .. }) = load(overlay, &used.id)?.filter(|found| !found.connection.is_retired) else {
        return Ok(None);
    };
    Ok(Some(goes_as(&connection, used)))
}

/// The connections of a mount that go to the same place by the same account as another one: who still has that account has its password too.
pub(crate) fn of_same_account(overlay: &mut Overlay<'_>, mount: &Id, of: &Connection) -> Result<Vec<Connection>> {
    let mut found = Vec::new();
    for id in of_mount(overlay, mount)? {
        found.extend(load(overlay, &id)?.map(|other| other.connection).filter(|other| goes_as(other, of)));
    }
    Ok(found)
}

/// Whether two connections go to the same place by the same account.
fn goes_as(one: &Connection, other: &Connection) -> bool {
    one.plugin == other.plugin && place_of(&one.config) == place_of(&other.config) && one.username == other.username
}

/// Writes a connection's record.
pub(crate) fn save(overlay: &mut Overlay<'_>, configured: &Configured) -> Result<()> {
    let key = connection_key(overlay.barrier(), &configured.connection.id);
    Ok(overlay.put(Kind::DatabaseConnection, key, &configured.to_value().to_json())?)
}

/// Removes the record of a connection that is retired and has no leases.
pub(crate) fn purge(overlay: &mut Overlay<'_>, id: &[u8; 16]) {
    let key = connection_key(overlay.barrier(), id);
    overlay.delete(key);
}

/// Whether no static role, and no lease, ended ones included, needs a connection any more.
pub(crate) fn is_unused(overlay: &mut Overlay<'_>, id: &[u8; 16]) -> Result<bool> {
    if managed::index::count_of_target(overlay, id)? > 0 {
        return Ok(false);
    }
    let none = |part| index::of_target(overlay, id, part, 1).map(|leases| leases.is_empty());
    Ok(none(index::Part::Given)? && none(index::Part::Begun)?)
}

/// The id of the connection of that name. What is read here becomes an expectation.
pub(super) fn id_of(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Option<[u8; 16]>> {
    let key = name_key(overlay.barrier(), mount, name);
    let bytes = overlay.get(Kind::DatabaseName, &key)?;
    Ok(bytes.map(|bytes| bytes.as_slice().try_into().map_err(|_| BarrierError::Corrupt)).transpose()?)
}

/// The connection of that name.
pub(super) fn named(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Option<Configured>> {
    let Some(id) = id_of(overlay, mount, name)? else { return Ok(None) };
    Ok(Some(load(overlay, &id)?.ok_or(BarrierError::Corrupt)?))
}

/// Enters a new connection among those of its mount.
pub(super) fn enter(overlay: &mut Overlay<'_>, mount: &Id, configured: &Configured) -> Result<()> {
    let id = &configured.connection.id;
    let mut ids = of_mount(overlay, mount)?;
    if ids.len() >= DATABASE_CONNECTIONS_MAX {
        return Err(Error::new(Code::InvalidRequest, format!("the mount has {DATABASE_CONNECTIONS_MAX} connections already")));
    }
    ids.push(*id);
    put_of_mount(overlay, mount, &ids)?;
    let key = name_key(overlay.barrier(), mount, &configured.name);
    overlay.put(Kind::DatabaseName, key, id)?;
    overlay.enter(*mount, &format!("config/{}", configured.name));
    save(overlay, configured)
}

/// Refuses to let a connection go while static roles need it: only the vault knows their passwords. What is read here becomes an expectation.
fn check_no_static_roles(overlay: &mut Overlay<'_>, id: &[u8; 16]) -> Result<()> {
    match managed::index::count_of_target(overlay, id)? {
        0 => Ok(()),
        count => {
            let why = format!("{count} static roles need this, whose passwords only the vault knows: delete them first");
            Err(Error::new(Code::InvalidRequest, why))
        }
    }
}

/// Retires a connection: its name is free, its leases end, and its record stays for as long as they do.
pub(super) fn retire(overlay: &mut Overlay<'_>, mount: &Id, configured: Configured) -> Result<()> {
    let id = configured.connection.id;
    check_no_static_roles(overlay, &id)?;
    let mut ids = of_mount(overlay, mount)?;
    ids.retain(|other| *other != id);
    put_of_mount(overlay, mount, &ids)?;
    let key = name_key(overlay.barrier(), mount, &configured.name);
    overlay.delete(key);
    overlay.leave(*mount, &format!("config/{}", configured.name));
    end(overlay, configured)
}

/// Ends the leases of a connection that nobody finds any more. A change of its own password that is under way is not gone on with: another connection
/// may have the account by then.
fn end(overlay: &mut Overlay<'_>, mut configured: Configured) -> Result<()> {
    let id = configured.connection.id;
    if configured.connection.pending.is_some() {
        Chore::Rotation(id).delete(overlay);
    }
    configured.connection.is_retired = true;
    save(overlay, &configured)?;
    Ok(Chore::of_target(id).put(overlay)?)
}

/// Retires all connections of a mount, in the commit that removes the mount.
pub(crate) fn retire_all(overlay: &mut Overlay<'_>, mount: &Id) -> Result<()> {
    for id in of_mount(overlay, mount)? {
        check_no_static_roles(overlay, &id)?;
        if let Some(configured) = load(overlay, &id)? {
            end(overlay, configured)?;
        }
    }
    forget_mount(overlay, mount);
    Ok(())
}

/// Puts right what a damaged store no longer tells of a mount's connections, by their names: which there are, and what is under way with them.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) fn amend(overlay: &mut Overlay<'_>, mount: &Id, names: &[String]) -> Result<()> {
    let mut ids = of_mount(overlay, mount)?;
    let before = ids.len();
    for name in names {
        let Some(id) = id_of(overlay, mount, name)? else { continue };
        if !ids.contains(&id) {
            ids.push(id);
        }
        if load(overlay, &id)?.is_some_and(|configured| configured.connection.pending.is_some()) {
            Chore::Rotation(id).ensure(overlay)?;
        }
    }
    if ids.len() == before { Ok(()) } else { put_of_mount(overlay, mount, &ids) }
}

/// Removes the list of a mount's connections.
fn forget_mount(overlay: &mut Overlay<'_>, mount: &Id) {
    let key = mount_key(overlay.barrier(), mount);
    overlay.delete(key);
}

/// The connections of a mount. What is read here becomes an expectation: none is made meanwhile.
pub(crate) fn of_mount(overlay: &mut Overlay<'_>, mount: &Id) -> Result<Vec<[u8; 16]>> {
    let key = mount_key(overlay.barrier(), mount);
    let bytes = overlay.get(Kind::DatabaseMount, &key)?;
    Ok(bytes.map(|bytes| bytes.as_chunks::<16>().0.to_vec()).unwrap_or_default())
}

fn put_of_mount(overlay: &mut Overlay<'_>, mount: &Id, ids: &[[u8; 16]]) -> Result<()> {
    let key = mount_key(overlay.barrier(), mount);
    Ok(overlay.put(Kind::DatabaseMount, key, ids.as_flattened())?)
}

fn connection_key(barrier: &Barrier, id: &[u8; 16]) -> Key {
    barrier.key(Kind::DatabaseConnection, &[id])
}

pub(super) fn name_key(barrier: &Barrier, mount: &Id, name: &str) -> Key {
    barrier.key(Kind::DatabaseName, &[mount.as_bytes(), name.as_bytes()])
}

fn mount_key(barrier: &Barrier, mount: &Id) -> Key {
    barrier.key(Kind::DatabaseMount, &[mount.as_bytes()])
}

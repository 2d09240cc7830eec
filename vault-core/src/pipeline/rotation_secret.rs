//! Secrets of the vault's own that are rotated: a member of a KV version 2 secret gets a new value by a password policy, on a schedule.

use super::core::Core;
use super::mounts::{self, MountEntry};
use super::namespaces::Namespace;
use super::rotation;
use super::system::{Ask, Done};
use crate::barrier::{BarrierError, Overlay};
use crate::engines::{Call, EngineKind, database};
use crate::managed::{Managed, Settings, Way, index};
use crate::password;
use crate::policy::{Capability, Given};
use crate::rotation::schedule::Due;
use crate::rotation::{Input, State};
use crate::types::id::Id;
use crate::types::limits::CUSTOM_KEY_BYTES_MAX;
use crate::types::{Code, Error, Object, Operation, Path, Result, SecretString, Timestamp, Ttl, Value};

/// What a request may hold.
const KNOWN: [&str; 8] = [
    "member",
    "password_policy",
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "rotation_zone",
    "rotation_jitter",
    "skip_import_rotation",
];
/// The member that is rotated unless told.
const MEMBER_DEFAULT: &str = "password";

/// A secret that a request speaks of: its mount, and its path there.
struct Named {
    mount: MountEntry,
    path: String,
}

/// The secret at a path, where the caller may update it: nobody replaces by its schedule what it may not write.
fn named(ask: &Ask<'_>, path: &str) -> Result<Named> {
    let canonical = Path::parse(path)?;
    let table = ask.place.namespace.mounts.load();
    let found = table.entries().find_map(|entry| Some((entry, canonical.as_str().strip_prefix(entry.path())?)));
    let (mount, rest) = found.ok_or_else(|| Error::new(Code::NotFound, "no secrets engine is mounted at the secret's path"))?;
    if mount.kind()? != EngineKind::Kv2 {
        return Err(Error::new(Code::InvalidRequest, "secrets are rotated in mounts of KV version 2 only: older values are kept there"));
    }
    if rest.is_empty() || rest.ends_with('/') {
        return Err(Error::new(Code::InvalidPath, "the path names a folder: name a secret in it"));
    }
    let above = ask.policy_path.strip_suffix(ask.place.path()).unwrap_or_default();
    let data_path = format!("{above}{}data/{rest}", mount.path());
    if !ask.rules.decide(&data_path, Capability::Update, Given::default()).has(Capability::Update) {
        return Err(Error::permission_denied());
    }
    Ok(Named { mount: mount.clone(), path: rest.to_owned() })
}

/// `WRITE sys/rotation/secrets/MOUNT/PATH`: from now on, and at once unless told otherwise.
pub(super) fn write(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str) -> Result<Done> {
    known_only(ask.data)?;
    let named = named(ask, path)?;
    let text = |name: &str| -> Result<Option<String>> {
        let fits = |text: &&str| !text.is_empty() && text.len() <= CUSTOM_KEY_BYTES_MAX;
        let why = || bad(&format!("\"{name}\" must be text from 1 to {CUSTOM_KEY_BYTES_MAX} bytes"));
        member(ask.data, name).map(|value| value.as_str().filter(fits).map(str::to_owned).ok_or_else(why)).transpose()
    };
    let (name, policy) = (text("member")?, text("password_policy")?);
    let old = Managed::named(overlay, &named.mount.uuid(), &named.path)?;
    let (is_new, before) = (old.is_none(), old.as_ref().map(index::places).unwrap_or_default());
    let mut managed = match old {
        Some(old) => old,
        None => blank(overlay, &named, ask.now)?,
    };
    managed.settings.take_schedule(ask.data)?;
    managed.member = name.unwrap_or_else(|| if is_new { MEMBER_DEFAULT.to_owned() } else { managed.member.clone() });
    if let Some(policy) = policy {
        managed.policy = policy;
    }
    password::check_policy(overlay, Some(managed.policy.as_str()).filter(|policy| !policy.is_empty()))?;
    let schedule = managed.settings.schedule().map_err(|error| bad(&error.to_string()))?;
    if !is_new {
        (managed.due, _) = schedule.look(&managed.due, Default::default(), ask.now);
        index::save(overlay, &before, Some(&managed))?;
        return Ok(Done::default());
    }
    let skips = member(ask.data, "skip_import_rotation").and_then(Value::as_bool).unwrap_or_default();
    if skips {
        managed.due = schedule.begun(ask.now, 0);
    } else {
        rotation::advance(overlay, &mut managed, Input::Begin, ask.now)?;
    }
    managed.enter(overlay)?;
    Ok(Done::default())
}

fn blank(overlay: &Overlay<'_>, named: &Named, now: Timestamp) -> Result<Managed> {
    Ok(Managed {
        id: overlay.barrier().rng().array().map_err(BarrierError::from)?,
        owner: *named.mount.uuid().as_bytes(),
        name: named.path.clone(),
        target: None,
        connection: String::new(),
        usernames: Vec::new(),
        statements: Vec::new(),
        settings: Settings { way: Way::Generate, ..Settings::default() },
        state: State::unknown(),
        due: Due { last_millis: now.as_millis(), next_millis: None, jitter_permille: 0 },
        error: None,
        error_millis: 0,
        member: String::new(),
        policy: String::new(),
        values: Vec::new(),
        stalls: 0,
        held_millis: 0,
    })
}

/// `READ sys/rotation/secrets/MOUNT/PATH`.
pub(super) fn read(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str) -> Result<Done> {
    let managed = find(ask, overlay, path)?;
    let body = Object::new().with("member", managed.member.as_str()).with("password_policy", managed.policy.as_str());
    let next = managed.due.next_millis.map(|millis| ask.now.until(Timestamp::from_millis(millis)));
    let body = managed.settings.show(body).with("ttl", next.unwrap_or(Ttl::ZERO).as_secs());
    let rotated = managed.state.promoted_millis;
    let last = (rotated > 0).then(|| Value::from(Timestamp::from_millis(rotated).to_string()));
    Ok(Done::answer(body.with("last_vault_rotation", last).with("rotation", database::status(&managed, ask.now))))
}

/// `DELETE sys/rotation/secrets/MOUNT/PATH`: the secret stays as it is.
pub(super) fn delete(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str) -> Result<Done> {
    let named = named(ask, path)?;
    if let Some(managed) = Managed::named(overlay, &named.mount.uuid(), &named.path)? {
        managed.remove(overlay)?;
    }
    Ok(Done::default())
}

/// `WRITE sys/rotation/rotate/MOUNT/PATH`, and `roll-back`, which makes the old value a new version.
pub(super) fn run(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str, input: Input) -> Result<Done> {
    let mut managed = find(ask, overlay, path)?;
    let before = index::places(&managed);
    rotation::advance(overlay, &mut managed, input, ask.now)?;
    index::save(overlay, &before, Some(&managed))?;
    Ok(Done::default())
}

fn find(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str) -> Result<Managed> {
    let named = named(ask, path)?;
    let none = || Error::new(Code::NotFound, "this secret is not rotated");
    Managed::named(overlay, &named.mount.uuid(), &named.path)?.ok_or_else(none)
}

/// Writes what was promoted as a new version of its secret, in the commit of the step; the other members stay.
pub(super) fn store(overlay: &mut Overlay<'_>, managed: &Managed, password: &SecretString, now: Timestamp) -> Result<()> {
    let owner = Id::from_bytes(managed.owner);
    if !mounts::is_there(overlay, &owner)? {
        return Err(Error::new(Code::NotFound, "the secret's mount is gone"));
    }
    let engine = EngineKind::Kv2.engine(owner, Ttl::ZERO, Ttl::ZERO);
    let (path, metadata_path) = (format!("data/{}", managed.name), format!("metadata/{}", managed.name));
    let read = Call { operation: Operation::Read, path: &metadata_path, data: None, now, holder: None, display_name: "" };
    let metadata = match engine.execute(overlay, &read) {
        Err(error) if error.code() == Code::NotFound => None,
        read => read?.data,
    };
    let version = metadata.as_ref().and_then(|data| data.get("current_version")).and_then(Value::as_u64).unwrap_or_default();
    let members = Object::new().with(&managed.member, password.expose());
    // The mount may ask for a check-and-set.
    let data = Object::new().with("data", members).with("options", Object::new().with("cas", version)).into();
    let patch = Call { operation: Operation::Patch, path: &path, data: Some(&data), ..read };
    match engine.execute(overlay, &patch) {
        Err(error) if matches!(error.code(), Code::NotFound | Code::VersionDeleted) => {
            engine.execute(overlay, &Call { operation: Operation::Write, ..patch })?;
        }
        patched => drop(patched?),
    }
    Ok(())
}

/// A secret whose mount is gone is rotated no more.
pub(super) fn forget_orphan(core: &Core, namespace: &Namespace, id: &[u8; 16]) -> Result<bool> {
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    let Some(managed) = Managed::load(&mut overlay, id)? else { return Ok(true) };
    if managed.target.is_some() || mounts::is_there(&mut overlay, &Id::from_bytes(managed.owner))? {
        return Ok(false);
    }
    managed.remove(&mut overlay)?;
    core.committer.commit(crate::commit::Proposal { writes: overlay.into_writes(), ..Default::default() })?;
    Ok(true)
}

fn member<'d>(data: Option<&'d Value>, name: &str) -> Option<&'d Value> {
    data.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null))
}

fn known_only(data: Option<&Value>) -> Result<()> {
    let is_known = |name: &str| KNOWN.contains(&name);
    match data.and_then(Value::as_object) {
        Some(object) if object.iter().any(|(name, _)| !is_known(name)) => {
            Err(bad(&format!("unknown member: known are {}", KNOWN.join(", "))))
        }
        _ => Ok(()),
    }
}

fn bad(why: &str) -> Error {
    Error::new(Code::InvalidData, why)
}

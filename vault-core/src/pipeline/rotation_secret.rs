//! Secrets of the vault's own that are rotated: a member of a KV version 2 secret gets a new value by a password policy, on a schedule.

use super::core::Core;
use super::mounts::{self, MountEntry};
use super::namespaces::Namespace;
use super::rotation;
use super::system::{Ask, Done, capability_for};
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
use std::sync::Arc;

/// What a request may hold.
const KNOWN: [&str; 10] = [
    "member",
    "password_policy",
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "rotation_zone",
    "rotation_jitter",
    "rotate_after_reads",
    "rotate_when_reader_leaves",
    "skip_import_rotation",
];
/// The member that is rotated unless told.
const MEMBER_DEFAULT: &str = "password";

/// A secret that a request speaks of: its mount, its path there, and its rotation, if it has one.
struct Named {
    mount: MountEntry,
    path: String,
    managed: Option<Managed>,
}

/// The secret at a path, where the caller may write the member that is rotated as KV itself would ask: nobody replaces by its schedule what
/// it may not write. Nothing of mounts is told before that.
fn named(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str, member: Option<&str>) -> Result<Named> {
    let canonical = Path::parse(path)?;
    let canonical = canonical.as_str();
    if canonical.ends_with('/') {
        return Err(Error::new(Code::InvalidPath, "the path names a folder: name a secret in it"));
    }
    let above = ask.policy_path.strip_suffix(ask.place.path()).unwrap_or_default();
    let table = ask.place.namespace.mounts.load();
    let found = table.entries().find_map(|entry| Some((entry, canonical.strip_prefix(entry.path())?)));
    let kind = found.map(|(mount, _)| mount.kind()).transpose()?;
    let (Some((mount, rest)), Some(EngineKind::Kv2)) = (found, kind) else {
        // Whoever may write at the path itself learns as much by a write there.
        if !ask.rules.decide(&format!("{above}{canonical}"), Capability::Update, Given::default()).allowed() {
            return Err(Error::permission_denied());
        }
        return Err(if found.is_some() { not_version_2() } else { no_mount() });
    };
    let (uuid, data_path) = (mount.uuid(), format!("data/{rest}"));
    let managed = Managed::named(overlay, &uuid, rest)?;
    let write =
        Call { operation: Operation::Write, path: &data_path, data: None, now: ask.now, holder: None, display_name: "", entity: None };
    let exists = EngineKind::Kv2.engine(uuid, Ttl::ZERO, Ttl::ZERO).exists(overlay, &write)?;
    let rotated = managed.as_ref().map(|managed| managed.member.as_str());
    let asked = member.or_else(|| rotated.is_none().then_some(MEMBER_DEFAULT));
    for member in [rotated, asked].into_iter().flatten() {
        let data = Value::from(Object::new().with("data", Object::new().with(member, "")));
        let given = Given { data: Some(&data), wrap_ttl: ask.wrap_ttl };
        let capability = capability_for(Operation::Write, exists);
        if !ask.rules.decide(&format!("{above}{}{data_path}", mount.path()), capability, given).allowed() {
            return Err(Error::permission_denied());
        }
    }
    Ok(Named { mount: mount.clone(), path: rest.to_owned(), managed })
}

/// `WRITE sys/rotation/secrets/MOUNT/PATH`: from now on, and at once unless told otherwise.
pub(super) fn write(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str) -> Result<Done> {
    known_only(ask.data)?;
    let text = |name: &str| -> Result<Option<String>> {
        let fits = |text: &&str| !text.is_empty() && text.len() <= CUSTOM_KEY_BYTES_MAX;
        let why = || bad(&format!("\"{name}\" must be text from 1 to {CUSTOM_KEY_BYTES_MAX} bytes"));
        member(ask.data, name).map(|value| value.as_str().filter(fits).map(str::to_owned).ok_or_else(why)).transpose()
    };
    let (name, policy) = (text("member")?, text("password_policy")?);
    let mut named = named(ask, overlay, path, name.as_deref())?;
    if !mounts::is_there(overlay, &named.mount.uuid())? {
        return Err(no_mount());
    }
    let old = named.managed.take();
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
        (managed.due, _) = schedule.look(&managed.due, ask.now);
        managed.drop_use();
        index::save(overlay, &before, Some(&managed))?;
        return Ok(looked_at_anew(ask));
    }
    let skips = member(ask.data, "skip_import_rotation").and_then(Value::as_bool).unwrap_or_default();
    if skips {
        managed.due = schedule.begun(ask.now, 0);
    } else {
        rotation::advance(overlay, &mut managed, Input::Begin, ask.now)?;
    }
    managed.enter(overlay)?;
    Ok(looked_at_anew(ask))
}

/// Lets reads of the namespace's secrets be looked at as is said now, once that is durable.
fn looked_at_anew(ask: &Ask<'_>) -> Done {
    let namespace = Arc::clone(&ask.place.namespace);
    Done::default().publishing(move || namespace.used_secrets.look_anew())
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
        used_up: None,
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
    let version = version_now(overlay, &managed)?.unwrap_or_default();
    let body = managed.show_reads(overlay, version, body)?;
    Ok(Done::answer(body.with("last_vault_rotation", last).with("rotation", database::status(&managed, ask.now))))
}

/// `DELETE sys/rotation/secrets/MOUNT/PATH`: the secret stays as it is.
pub(super) fn delete(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str) -> Result<Done> {
    if let Some(managed) = named(ask, overlay, path, None)?.managed {
        managed.remove(overlay)?;
    }
    Ok(looked_at_anew(ask))
}

/// `WRITE sys/rotation/rotate/MOUNT/PATH`. There is no way back here: the secret's own versions are what is kept of older values.
pub(super) fn rotate(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str) -> Result<Done> {
    let mut managed = find(ask, overlay, path)?;
    let before = index::places(&managed);
    rotation::advance(overlay, &mut managed, Input::Begin, ask.now)?;
    index::save(overlay, &before, Some(&managed))?;
    Ok(Done::default())
}

fn find(ask: &Ask<'_>, overlay: &mut Overlay<'_>, path: &str) -> Result<Managed> {
    named(ask, overlay, path, None)?.managed.ok_or_else(|| Error::new(Code::NotFound, "this secret is not rotated"))
}

/// Writes what was promoted as a new version of its secret, in the commit of the step; the other members stay.
pub(super) fn store(overlay: &mut Overlay<'_>, managed: &Managed, password: &SecretString, now: Timestamp) -> Result<()> {
    let owner = Id::from_bytes(managed.owner);
    if !mounts::is_there(overlay, &owner)? {
        return Err(Error::new(Code::NotFound, "the secret's mount is gone"));
    }
    let engine = EngineKind::Kv2.engine(owner, Ttl::ZERO, Ttl::ZERO);
    let path = format!("data/{}", managed.name);
    let version = version_now(overlay, managed)?.unwrap_or_default();
    let members = Object::new().with(&managed.member, password.expose());
    // The mount may ask for a check-and-set.
    let data = Object::new().with("data", members).with("options", Object::new().with("cas", version)).into();
    let patch = Call { operation: Operation::Patch, path: &path, data: Some(&data), now, holder: None, display_name: "", entity: None };
    match engine.execute(overlay, &patch) {
        Err(error) if matches!(error.code(), Code::NotFound | Code::VersionDeleted) => {
            engine.execute(overlay, &Call { operation: Operation::Write, ..patch })?;
        }
        patched => drop(patched?),
    }
    Ok(())
}

/// The newest version of a secret; none where the secret, or its mount, is gone.
pub(super) fn version_now(overlay: &mut Overlay<'_>, managed: &Managed) -> Result<Option<u64>> {
    let engine = EngineKind::Kv2.engine(Id::from_bytes(managed.owner), Ttl::ZERO, Ttl::ZERO);
    let path = format!("metadata/{}", managed.name);
    // No time is looked at for this.
    let now = Timestamp::EPOCH;
    let read = Call { operation: Operation::Read, path: &path, data: None, now, holder: None, display_name: "", entity: None };
    match engine.execute(overlay, &read) {
        Err(error) if error.code() == Code::NotFound => Ok(None),
        read => Ok(read?.data.and_then(|data| data.get("current_version").and_then(Value::as_u64))),
    }
}

/// Removes rotations of a mount that is gone, so many at most; whether none is left.
pub(super) fn forget_all_of(overlay: &mut Overlay<'_>, owner: &Id, most: usize) -> Result<bool> {
    let mut left = most;
    for id in index::all(overlay)?.whole()? {
        let Some(managed) = Managed::load(overlay, &id)?.filter(|managed| managed.owner == *owner.as_bytes()) else { continue };
        if left == 0 {
            return Ok(false);
        }
        left -= 1;
        managed.remove(overlay)?;
    }
    Ok(true)
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

fn no_mount() -> Error {
    Error::new(Code::NotFound, "no secrets engine is mounted at the secret's path")
}

fn not_version_2() -> Error {
    Error::new(Code::InvalidRequest, "secrets are rotated in mounts of KV version 2 only: older values are kept there")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::Barrier;
    use crate::crypto::Keyring;
    use crate::os::SystemRng;
    use crate::storage::memory::MemoryStorage;
    use std::sync::Arc;

    #[test]
    fn a_value_that_was_written_is_in_its_secret_and_not_in_the_record_of_its_rotation() {
        let rng = Arc::new(SystemRng::new());
        let keyring = Keyring::generate(&*rng, 1, 0).expect("randomness");
        let barrier = Arc::new(Barrier::new(Id::from_bytes([1; 16]), Id::ROOT, keyring, rng));
        let storage = MemoryStorage::new();
        let mut overlay = Overlay::writing(&barrier, &storage);
        let mount = MountEntry::new("secret", EngineKind::Kv2, Id::from_bytes([2; 16])).expect("canonical");
        mounts::sign(&mut overlay, &mount.uuid()).expect("signed");
        let named = Named { mount, path: "a".to_owned(), managed: None };
        let mut managed = blank(&overlay, &named, Timestamp::EPOCH).expect("randomness");
        MEMBER_DEFAULT.clone_into(&mut managed.member);
        managed.settings.period_seconds = 3600;
        let engine = EngineKind::Kv2.engine(named.mount.uuid(), Ttl::ZERO, Ttl::ZERO);
        let read = Call {
            operation: Operation::Read,
            path: "data/a",
            data: None,
            now: Timestamp::EPOCH,
            holder: None,
            display_name: "",
            entity: None,
        };
        let mut seen = Vec::new();
        for _ in 0..3 {
            rotation::advance(&mut overlay, &mut managed, Input::Begin, Timestamp::EPOCH).expect("a step");
            assert!(managed.values.is_empty());
            let told = engine.execute(&mut overlay, &read).expect("written").data.expect("content");
            let value = told.get("data").and_then(|data| data.get(MEMBER_DEFAULT)).and_then(Value::as_str).map(str::to_owned);
            assert!(value.is_some() && !seen.contains(&value));
            seen.push(value);
        }
    }
}

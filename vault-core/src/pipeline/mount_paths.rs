//! What the paths below `sys/mounts` answer, and `sys/remount`: mounts are made, shown, tuned, moved and removed.

use super::core::Core;
use super::mounts::{self, MountEntry, MountTable};
use super::namespace_table::NamespaceTable;
use super::namespaces::Namespace;
use super::removal;
use super::system::Done;
use crate::barrier::Overlay;
use crate::engines::{EngineKind, database};
use crate::types::limits::DESCRIPTION_BYTES_MAX;
use crate::types::{Code, Error, Object, Result, Ttl, Value};
use std::sync::Arc;

/// `READ sys/mounts/PATH`.
pub(super) fn read(namespace: &Namespace, path: &str) -> Result<Done> {
    Ok(Done::answer(namespace.mounts.load().at(path).ok_or_else(no_mount)?.to_object()))
}

/// `WRITE sys/mounts/PATH`.
pub(super) fn mount(core: &Core, namespace: &Namespace, overlay: &mut Overlay<'_>, path: &str, data: Option<&Value>) -> Result<Done> {
    known_only(data, &["type", "description", "config", "options", "local", "seal_wrap", "external_entropy_access"])?;
    for name in ["local", "seal_wrap", "external_entropy_access"] {
        if member(data, name).is_some_and(|value| value.as_bool() != Some(false)) {
            return Err(refused(&format!("\"{name}\" is not supported: leave it out")));
        }
    }
    let kind = requested_engine(data)?;
    let mut table = MountTable::load(overlay)?;
    check_namespaces(core, namespace, overlay, path)?;
    let mut entry = MountEntry::new(path, kind, core.random_id()?)?;
    describe(&mut entry, data)?;
    let config = member(data, "config");
    known_only(config, &["default_lease_ttl", "max_lease_ttl", "force_no_cache"])?;
    set_leases(&mut entry, config)?;
    mounts::sign(overlay, &entry.uuid())?;
    table.add(entry)?;
    publish(namespace, overlay, table)
}

/// `DELETE sys/mounts/PATH`: unreachable with this commit; what was behind it is removed by `tick`.
pub(super) fn unmount(namespace: &Namespace, overlay: &mut Overlay<'_>, path: &str) -> Result<Done> {
    let mut table = MountTable::load(overlay)?;
    let Some(entry) = table.at(path).cloned() else { return Ok(Done::default()) };
    table.remove(overlay, &entry);
    removal::doom(overlay, entry.kind()?, &entry.uuid())?;
    // What its leases are revoked at stays for as long as they do.
    if entry.kind()? == EngineKind::Database {
        database::retire_all(overlay, &entry.uuid())?;
    }
    publish(namespace, overlay, table)
}

/// `READ sys/mounts/PATH/tune`.
pub(super) fn read_tune(namespace: &Namespace, path: &str) -> Result<Done> {
    let table = namespace.mounts.load();
    let entry = table.at(path).ok_or_else(no_mount)?;
    Ok(Done::answer(
        Object::new()
            .with("default_lease_ttl", entry.default_lease().as_secs())
            .with("description", entry.description.as_str())
            .with("force_no_cache", false)
            .with("max_lease_ttl", entry.max_lease().as_secs())
            .with("options", entry.options()),
    ))
}

/// `WRITE sys/mounts/PATH/tune`.
pub(super) fn tune(namespace: &Namespace, overlay: &mut Overlay<'_>, path: &str, data: Option<&Value>) -> Result<Done> {
    known_only(data, &["default_lease_ttl", "max_lease_ttl", "description", "options", "force_no_cache"])?;
    let mut table = MountTable::load(overlay)?;
    let mut entry = table.at(path).cloned().ok_or_else(no_mount)?;
    if let Some(options) = member(data, "options") {
        known_only(Some(options), &["version"])?;
        let kind = entry.kind()?;
        if requested_version(Some(options))?.is_some_and(|asked| asked != kind) {
            return Err(refused("the version of a KV mount cannot be changed: mount another one, and copy the secrets"));
        }
    }
    describe(&mut entry, data)?;
    set_leases(&mut entry, data)?;
    table.replace(entry)?;
    publish(namespace, overlay, table)
}

/// `WRITE sys/remount`: only the mount table changes.
pub(super) fn remount(core: &Core, namespace: &Namespace, overlay: &mut Overlay<'_>, data: Option<&Value>) -> Result<Done> {
    known_only(data, &["from", "to"])?;
    let text = |name| member(data, name).and_then(Value::as_str).map(|path| path.strip_prefix('/').unwrap_or(path));
    let missing = || Error::new(Code::InvalidData, "pass the mount's path as \"from\", and where it is to answer as \"to\"");
    let (from, to) = (text("from").ok_or_else(missing)?, text("to").ok_or_else(missing)?);
    let mut table = MountTable::load(overlay)?;
    let entry = table.at(from).ok_or_else(no_mount)?;
    let moved = MountTable::moved(entry, to)?;
    check_namespaces(core, namespace, overlay, moved.path())?;
    table.replace(moved)?;
    publish(namespace, overlay, table)
}

fn publish(namespace: &Namespace, overlay: &mut Overlay<'_>, table: MountTable) -> Result<Done> {
    table.save(overlay)?;
    let published = Arc::clone(&namespace.mounts);
    Ok(Done::default().publishing(move || published.store(Arc::new(table))))
}

/// Refuses a path under a namespace's name. What is read becomes an expectation: no namespace comes to have this name meanwhile.
fn check_namespaces(core: &Core, namespace: &Namespace, overlay: &mut Overlay<'_>, path: &str) -> Result<()> {
    let first = path.split('/').next().unwrap_or_default();
    let namespaces = NamespaceTable::load(&core.barrier, overlay)?;
    if namespaces.below(&namespace.id).any(|entry| entry.name.eq_ignore_ascii_case(first)) {
        return Err(refused("the path is in use by a namespace"));
    }
    Ok(())
}

/// The engine that a request names: `kv` is version 1 unless its options say otherwise, as users know it.
fn requested_engine(data: Option<&Value>) -> Result<EngineKind> {
    let options = member(data, "options");
    known_only(options, &["version"])?;
    let (version_1, version_2) = (EngineKind::Kv1, EngineKind::Kv2);
    match (member(data, "type").and_then(Value::as_str), requested_version(options)?) {
        (Some("kv"), version) => Ok(version.unwrap_or(version_1)),
        (Some("kv-v1" | "generic"), version) if version != Some(version_2) => Ok(version_1),
        (Some("kv-v2"), version) if version != Some(version_1) => Ok(version_2),
        (Some("kv-v1" | "kv-v2" | "generic"), _) => Err(refused("the engine and the version in its options contradict each other")),
        (Some("database"), None) => Ok(EngineKind::Database),
        (Some("database"), Some(_)) => Err(refused("a database mount has no version: leave it out of the options")),
        (Some(_), _) => Err(refused("unknown engine type: this version has \"kv\" and \"database\"")),
        (None, _) => Err(refused("the engine is missing: pass it as the member \"type\"")),
    }
}

fn requested_version(options: Option<&Value>) -> Result<Option<EngineKind>> {
    let is = |version: &Value, number: u64, text: &str| version.as_u64() == Some(number) || version.as_str() == Some(text);
    match member(options, "version") {
        None => Ok(None),
        Some(version) if is(version, 1, "1") => Ok(Some(EngineKind::Kv1)),
        Some(version) if is(version, 2, "2") => Ok(Some(EngineKind::Kv2)),
        Some(_) => Err(refused("unknown version of KV: there are 1 and 2")),
    }
}

fn describe(entry: &mut MountEntry, data: Option<&Value>) -> Result<()> {
    if let Some(description) = member(data, "description") {
        let fits = |text: &&str| text.len() <= DESCRIPTION_BYTES_MAX;
        let bad = || Error::new(Code::InvalidData, format!("the description must be text of at most {DESCRIPTION_BYTES_MAX} bytes"));
        description.as_str().filter(fits).ok_or_else(bad)?.clone_into(&mut entry.description);
    }
    Ok(())
}

/// Takes over the times that a request says; 0 or "system" stands for the system's.
fn set_leases(entry: &mut MountEntry, data: Option<&Value>) -> Result<()> {
    let seconds = |value: &Value| if value.as_str() == Some("system") { Ok(0) } else { Ttl::from_value(value).map(Ttl::as_secs) };
    if let Some(value) = member(data, "default_lease_ttl") {
        entry.default_lease_seconds = seconds(value)?;
    }
    if let Some(value) = member(data, "max_lease_ttl") {
        entry.max_lease_seconds = seconds(value)?;
    }
    if entry.default_lease_seconds > entry.max_lease().as_secs() {
        return Err(Error::new(Code::InvalidData, "the default_lease_ttl is longer than the max_lease_ttl"));
    }
    if member(data, "force_no_cache").is_some_and(|value| value.as_bool() != Some(false)) {
        return Err(refused("\"force_no_cache\" is not supported: leave it out"));
    }
    Ok(())
}

fn member<'d>(data: Option<&'d Value>, name: &str) -> Option<&'d Value> {
    data.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null))
}

/// Refuses what nobody would look at; what a request leaves empty it may name.
fn known_only(data: Option<&Value>, known: &[&str]) -> Result<()> {
    let Some(data) = data else { return Ok(()) };
    let members = data.as_object().ok_or_else(|| Error::new(Code::InvalidData, "the config and the options of a mount are objects"))?;
    match members.iter().find(|(name, value)| !known.contains(name) && **value != Value::Null) {
        Some(_) => Err(refused(&format!("an option of the mount is unknown, or not supported: use {}", known.join(", ")))),
        None => Ok(()),
    }
}

fn refused(why: &str) -> Error {
    Error::new(Code::InvalidRequest, why)
}

fn no_mount() -> Error {
    Error::new(Code::NotFound, "nothing is mounted there")
}

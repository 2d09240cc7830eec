//! The mount table: which engine answers where.

use super::core::Core;
use super::namespace_table::NamespaceTable;
use super::namespaces::Namespace;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::engines::{Engine, Kv1Engine, KvEngine};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::{MOUNTS_MAX, TTL_SECONDS_DEFAULT};
use crate::types::{Code, Error, Object, Path, Result, Ttl, Value};
use minicbor::{Decode, Encode};
use std::sync::Arc;

/// A mount as its record says.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct MountEntry {
    /// Where it answers: ends in a slash.
    #[n(0)]
    path: String,
    #[n(1)]
    engine: String,
    /// What its records are bound to; moving the mount keeps it.
    #[cbor(n(2), with = "minicbor::bytes")]
    uuid: [u8; 16],
    #[n(3)]
    description: String,
}

/// The mounts, in order of their paths.
#[derive(Clone, Default)]
pub(super) struct MountTable {
    mounts: Vec<Mount>,
}

#[derive(Clone)]
struct Mount {
    entry: MountEntry,
    engine: Arc<dyn Engine>,
}

const KV_1: &str = "kv-v1";
const KV_2: &str = "kv-v2";

/// Paths that the vault keeps for itself.
const RESERVED: [&str; 5] = ["sys/", "auth/", "identity/", "cubbyhole/", "audit/"];

impl MountTable {
    /// The table of a store.
    pub(super) fn load(overlay: &mut Overlay<'_>) -> Result<Self> {
        let key = table_key(overlay.barrier());
        let bytes = overlay.get(Kind::MountTable, &key)?.ok_or(BarrierError::Corrupt)?;
        let entries: Vec<MountEntry> = minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)?;
        let mounts = entries.into_iter().map(Mount::new).collect::<Result<_>>()?;
        Ok(MountTable { mounts })
    }

    pub(super) fn save(&self, overlay: &mut Overlay<'_>) -> Result<()> {
        let entries: Vec<&MountEntry> = self.mounts.iter().map(|mount| &mount.entry).collect();
        let bytes = minicbor::to_vec(entries).expect("encoding to memory cannot fail");
        let key = table_key(overlay.barrier());
        Ok(overlay.put(Kind::MountTable, key, &bytes)?)
    }

    /// The engine that answers for a path, and the path below its mount.
    pub(super) fn route<'p>(&self, path: &'p str) -> Option<(Arc<dyn Engine>, &'p str)> {
        self.mounts.iter().find_map(|mount| {
            let rest = path
                .strip_prefix(mount.entry.path.as_str())
                .or_else(|| (mount.entry.path.strip_suffix('/') == Some(path)).then_some(""))?;
            Some((Arc::clone(&mount.engine), rest))
        })
    }

    /// Adds a mount.
    pub(super) fn add(&mut self, path: &str, engine: &str, description: &str, uuid: Id) -> Result<()> {
        let mut path = Path::parse(path)?.as_str().to_owned();
        if !path.ends_with('/') {
            path.push('/');
        }
        if RESERVED.iter().any(|reserved| path.starts_with(reserved)) {
            return Err(Error::new(Code::InvalidRequest, "this path is reserved for the vault: choose another"));
        }
        if self.mounts.iter().any(|mount| mount.entry.path.starts_with(&path) || path.starts_with(&mount.entry.path)) {
            return Err(Error::new(Code::InvalidRequest, "the path is in use by a mount at, above or below it"));
        }
        if self.mounts.len() >= MOUNTS_MAX {
            return Err(Error::new(Code::InvalidRequest, format!("there are {MOUNTS_MAX} mounts already")));
        }
        let entry = MountEntry { path, engine: engine.to_owned(), uuid: *uuid.as_bytes(), description: description.to_owned() };
        self.mounts.push(Mount::new(entry)?);
        self.mounts.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        Ok(())
    }

    /// Whether a mount lies at or below a folder.
    pub(super) fn has_below(&self, folder: &str) -> bool {
        let is_below = |path: &str| path.get(..folder.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(folder));
        self.mounts.iter().any(|mount| is_below(&mount.entry.path))
    }

    /// The mounts as `sys/mounts` shows them, those of the vault itself included.
    pub(super) fn to_value(&self) -> Value {
        let row = |kind: &str, description: &str, uuid: &str, options: Value| {
            Object::new()
                .with("type", kind)
                .with("description", description)
                .with("uuid", uuid)
                .with("options", options)
                .with("local", false)
        };
        let system = row("system", "the vault itself: status, policies, mounts, audit log", "", Value::Null);
        let mut all = Object::new().with("sys/", system);
        for mount in &self.mounts {
            let options = Object::new().with("version", if mount.entry.engine == KV_1 { "1" } else { "2" });
            let uuid = Id::from_bytes(mount.entry.uuid).to_string();
            all.insert(&mount.entry.path, row("kv", &mount.entry.description, &uuid, options.into()));
        }
        all.into()
    }
}

impl Mount {
    fn new(entry: MountEntry) -> Result<Self> {
        let engine: Arc<dyn Engine> = match entry.engine.as_str() {
            KV_2 => Arc::new(KvEngine::new(Id::from_bytes(entry.uuid))),
            KV_1 => Arc::new(Kv1Engine::new(Id::from_bytes(entry.uuid), Ttl::from_secs(TTL_SECONDS_DEFAULT))),
            _ => return Err(Error::new(Code::Corrupt, "the mount table names an engine that this version does not have")),
        };
        Ok(Mount { entry, engine })
    }
}

/// Mounts an engine as `sys/mounts/PATH` is told to; the table to publish once that is durable.
pub(super) fn mount(core: &Core, namespace: &Namespace, overlay: &mut Overlay<'_>, path: &str, data: Option<&Value>) -> Result<MountTable> {
    let text = |name: &str| data.and_then(|data| data.get(name)).and_then(Value::as_str);
    let engine = requested_engine(data)?;
    let mut table = MountTable::load(overlay)?;
    let first = path.split('/').next().unwrap_or_default();
    // What is read here becomes an expectation of the commit: no namespace comes to have this name meanwhile.
    let namespaces = NamespaceTable::load(&core.barrier, overlay)?;
    if namespaces.below(&namespace.id).any(|entry| entry.name.eq_ignore_ascii_case(first)) {
        return Err(Error::new(Code::InvalidRequest, "the path is in use by a namespace"));
    }
    table.add(path, engine, text("description").unwrap_or_default(), core.random_id()?)?;
    table.save(overlay)?;
    Ok(table)
}

/// The engine that a request names: `kv` is version 1 unless its options say otherwise, as users know it.
fn requested_engine(data: Option<&Value>) -> Result<&'static str> {
    let bad = |why: &str| Error::new(Code::InvalidRequest, why.to_owned());
    let kind = data.and_then(|data| data.get("type")).and_then(Value::as_str);
    let version = data.and_then(|data| data.get("options")).and_then(|options| options.get("version"));
    let version = match version {
        None | Some(Value::Null) => None,
        Some(version) if version.as_str() == Some("1") || version.as_u64() == Some(1) => Some(KV_1),
        Some(version) if version.as_str() == Some("2") || version.as_u64() == Some(2) => Some(KV_2),
        Some(_) => return Err(bad("unknown version of KV: there are 1 and 2")),
    };
    match (kind, version) {
        (Some("kv"), version) => Ok(version.unwrap_or(KV_1)),
        (Some(KV_1 | "generic"), None | Some(KV_1)) => Ok(KV_1),
        (Some(KV_2), None | Some(KV_2)) => Ok(KV_2),
        (Some(KV_1 | KV_2 | "generic"), _) => Err(bad("the engine and the version in its options contradict each other")),
        (Some(_), _) => Err(bad("unknown engine type: this version has \"kv\"")),
        (None, _) => Err(bad("the engine is missing: pass it as the member \"type\"")),
    }
}

fn table_key(barrier: &Barrier) -> Key {
    barrier.key(Kind::MountTable, &[])
}

//! The mount table: which engine answers where.

use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::engines::cubbyhole::CubbyholeEngine;
use crate::engines::{Engine, EngineKind};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::{MOUNTS_MAX, TTL_SECONDS_DEFAULT, TTL_SECONDS_MAX};
use crate::types::{Code, Error, Object, Path, Result, Ttl, Value};
use minicbor::{Decode, Encode};
use std::sync::Arc;

/// A mount as its record says.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct MountEntry {
    /// Where it answers: ends in a slash.
    #[n(0)]
    path: String,
    #[n(1)]
    engine: String,
    /// What its records are bound to; moving the mount keeps it.
    #[cbor(n(2), with = "minicbor::bytes")]
    uuid: [u8; 16],
    #[n(3)]
    pub(super) description: String,
    /// In seconds; 0 for the system's.
    #[cbor(n(4), default)]
    pub(super) default_lease_seconds: u64,
    /// In seconds; 0 for the system's.
    #[cbor(n(5), default)]
    pub(super) max_lease_seconds: u64,
}

/// The mounts, in order of their paths.
#[derive(Clone, Default)]
pub(super) struct MountTable {
    mounts: Vec<Mount>,
    cubbyhole: Arc<CubbyholeEngine>,
}

#[derive(Clone)]
struct Mount {
    entry: MountEntry,
    engine: Arc<dyn Engine>,
}

/// What answers for a path.
#[derive(Clone)]
pub(super) struct Routing<'p> {
    pub(super) engine: &'p dyn Engine,
    /// The mount's; the cubbyhole has none.
    pub(super) uuid: Option<Id>,
    /// The path below the mount.
    pub(super) rest: &'p str,
}

const CUBBYHOLE: &str = "cubbyhole/";
const IDENTITY: &str = "identity/";

/// Paths that the vault keeps for itself.
const RESERVED: [&str; 5] = ["sys/", "auth/", IDENTITY, CUBBYHOLE, "audit/"];

impl MountEntry {
    /// A mount of an engine at a path that is in the one canonical form.
    pub(super) fn new(path: &str, kind: EngineKind, uuid: Id) -> Result<Self> {
        Ok(MountEntry {
            path: canonical(path)?,
            engine: kind.name().to_owned(),
            uuid: *uuid.as_bytes(),
            description: String::new(),
            default_lease_seconds: 0,
            max_lease_seconds: 0,
        })
    }

    pub(super) fn described(mut self, description: &str) -> Self {
        description.clone_into(&mut self.description);
        self
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn uuid(&self) -> Id {
        Id::from_bytes(self.uuid)
    }

    pub(super) fn kind(&self) -> Result<EngineKind> {
        let unknown = || Error::new(Code::Corrupt, "the mount table names an engine that this version does not have");
        EngineKind::named(&self.engine).ok_or_else(unknown)
    }

    /// The longest time that the mount grants.
    pub(super) fn max_lease(&self) -> Ttl {
        Ttl::from_secs(if self.max_lease_seconds == 0 { TTL_SECONDS_MAX } else { self.max_lease_seconds })
    }

    /// The time that the mount grants where nothing else is said.
    pub(super) fn default_lease(&self) -> Ttl {
        let seconds = if self.default_lease_seconds == 0 { TTL_SECONDS_DEFAULT } else { self.default_lease_seconds };
        Ttl::from_secs(seconds).min(self.max_lease())
    }

    /// The options of the mount as answers show them.
    pub(super) fn options(&self) -> Value {
        if self.engine == EngineKind::Database.name() {
            return Value::Null;
        }
        let options = Object::new().with("version", if self.engine == EngineKind::Kv1.name() { "1" } else { "2" });
        options.into()
    }

    /// What users know the engine as.
    fn kind_name(&self) -> &'static str {
        if self.engine == EngineKind::Database.name() { "database" } else { "kv" }
    }

    /// The mount as `sys/mounts` shows it.
    pub(super) fn to_object(&self) -> Object {
        let uuid = self.uuid().to_string();
        row(self.kind_name(), &self.description)
            .with("accessor", format!("{}_{}", self.kind_name(), uuid.split('-').next().unwrap_or_default()))
            .with("config", lease_config(self.default_lease_seconds, self.max_lease_seconds))
            .with("options", self.options())
            .with("uuid", uuid)
    }
}

impl MountTable {
    /// The table of a store.
    pub(super) fn load(overlay: &mut Overlay<'_>) -> Result<Self> {
        let key = table_key(overlay.barrier());
        let bytes = overlay.get(Kind::MountTable, &key)?.ok_or(BarrierError::Corrupt)?;
        let entries: Vec<MountEntry> = minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)?;
        let mounts = entries.into_iter().map(Mount::new).collect::<Result<_>>()?;
        Ok(MountTable { mounts, ..MountTable::default() })
    }

    /// The table of a store, if it is there.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(super) fn load_if_there(overlay: &mut Overlay<'_>) -> Result<Option<Self>> {
        let key = table_key(overlay.barrier());
        let is_there = overlay.get(Kind::MountTable, &key)?.is_some();
        is_there.then(|| Self::load(overlay)).transpose()
    }

    /// The mounts that every new vault has.
    pub(super) fn of_a_new_vault(barrier: &Barrier) -> Result<Self> {
        let mut mounts = Self::default();
        let uuid = Id::from_random(barrier.rng().array().map_err(BarrierError::from)?);
        mounts.add(MountEntry::new("secret/", EngineKind::Kv2, uuid)?.described("versioned secrets"))?;
        Ok(mounts)
    }

    /// The mounts as their records say.
    pub(super) fn entries(&self) -> impl Iterator<Item = &MountEntry> {
        self.mounts.iter().map(|mount| &mount.entry)
    }

    pub(super) fn save(&self, overlay: &mut Overlay<'_>) -> Result<()> {
        let entries: Vec<&MountEntry> = self.entries().collect();
        let bytes = minicbor::to_vec(entries).expect("encoding to memory cannot fail");
        let key = table_key(overlay.barrier());
        Ok(overlay.put(Kind::MountTable, key, &bytes)?)
    }

    /// The table's record, for whoever wants to know when it changes.
    pub(super) fn watch(overlay: &mut Overlay<'_>) {
        let key = table_key(overlay.barrier());
        overlay.watch(&key);
    }

    /// What answers for a path.
    pub(super) fn route<'p>(&'p self, path: &'p str) -> Option<Routing<'p>> {
        let below = |mount: &str| path.strip_prefix(mount).or_else(|| (mount.strip_suffix('/') == Some(path)).then_some(""));
        if let Some(rest) = below(CUBBYHOLE) {
            return Some(Routing { engine: &*self.cubbyhole, uuid: None, rest });
        }
        self.mounts.iter().find_map(|mount| {
            let rest = below(&mount.entry.path)?;
            Some(Routing { engine: &*mount.engine, uuid: Some(mount.entry.uuid()), rest })
        })
    }

    /// The mount at a path.
    pub(super) fn at(&self, path: &str) -> Option<&MountEntry> {
        let path = path.strip_suffix('/').unwrap_or(path);
        self.entries().find(|entry| entry.path.strip_suffix('/') == Some(path))
    }

    /// Takes a mount out, and the sign by which writes know that it is there: those under way fail.
    pub(super) fn remove(&mut self, overlay: &mut Overlay<'_>, entry: &MountEntry) {
        self.mounts.retain(|mount| mount.entry.uuid != entry.uuid);
        let key = sign_key(overlay.barrier(), &entry.uuid());
        overlay.delete(key);
    }

    /// Puts another entry in the place of a mount's; its path may be another.
    pub(super) fn replace(&mut self, entry: MountEntry) -> Result<()> {
        self.mounts.retain(|mount| mount.entry.uuid != entry.uuid);
        self.add(entry)
    }

    /// The same entry at another path.
    pub(super) fn moved(entry: &MountEntry, to: &str) -> Result<MountEntry> {
        Ok(MountEntry { path: canonical(to)?, ..entry.clone() })
    }

    /// Adds a mount.
    pub(super) fn add(&mut self, entry: MountEntry) -> Result<()> {
        let path = &entry.path;
        if RESERVED.iter().any(|reserved| path.starts_with(reserved)) {
            return Err(Error::new(Code::InvalidRequest, "this path is reserved for the vault: choose another"));
        }
        if self.mounts.iter().any(|mount| mount.entry.path.starts_with(path) || path.starts_with(&mount.entry.path)) {
            return Err(Error::new(Code::InvalidRequest, "the path is in use by a mount at, above or below it"));
        }
        if self.mounts.len() >= MOUNTS_MAX {
            return Err(Error::new(Code::InvalidRequest, format!("there are {MOUNTS_MAX} mounts already")));
        }
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
        let own = |kind: &str, description: &str| {
            row(kind, description).with("accessor", "").with("config", lease_config(0, 0)).with("options", Value::Null).with("uuid", "")
        };
        let mut all = Object::new()
            .with("sys/", own("system", "the vault itself: status, policies, mounts, audit log"))
            .with(CUBBYHOLE, own("cubbyhole", "secrets of one token, gone with it"))
            .with(IDENTITY, own("identity", "who people and programs are: entities, aliases, groups"));
        for mount in &self.mounts {
            all.insert(&mount.entry.path, mount.entry.to_object());
        }
        all.into()
    }
}

impl Mount {
    fn new(entry: MountEntry) -> Result<Self> {
        let engine = entry.kind()?.engine(entry.uuid(), entry.default_lease(), entry.max_lease());
        Ok(Mount { entry, engine })
    }
}

/// Gives a new mount the sign by which writes know that it is there.
pub(super) fn sign(overlay: &mut Overlay<'_>, uuid: &Id) -> Result<(), BarrierError> {
    let key = sign_key(overlay.barrier(), uuid);
    overlay.put(Kind::MountSign, key, &[])
}

/// Whether a mount is there. What is read becomes an expectation: a write that was told so commits only while it is.
pub(super) fn is_there(overlay: &mut Overlay<'_>, uuid: &Id) -> Result<bool> {
    let key = sign_key(overlay.barrier(), uuid);
    if overlay.get(Kind::MountSign, &key)?.is_some() {
        return Ok(true);
    }
    // One from before there were signs.
    Ok(MountTable::load(overlay)?.entries().any(|entry| entry.uuid() == *uuid))
}

fn canonical(path: &str) -> Result<String> {
    let mut path = Path::parse(path)?.as_str().to_owned();
    if !path.ends_with('/') {
        path.push('/');
    }
    Ok(path)
}

fn row(kind: &str, description: &str) -> Object {
    Object::new().with("description", description).with("local", false).with("seal_wrap", false).with("type", kind)
}

fn lease_config(default_seconds: u64, max_seconds: u64) -> Object {
    Object::new().with("default_lease_ttl", default_seconds).with("force_no_cache", false).with("max_lease_ttl", max_seconds)
}

fn table_key(barrier: &Barrier) -> Key {
    barrier.key(Kind::MountTable, &[])
}

fn sign_key(barrier: &Barrier, uuid: &Id) -> Key {
    barrier.key(Kind::MountSign, &[uuid.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Keyring;
    use crate::os::SystemRng;
    use crate::storage::memory::MemoryStorage;

    /// A mount as it was before it had times.
    #[derive(Encode)]
    struct OldEntry {
        #[n(0)]
        path: String,
        #[n(1)]
        engine: String,
        #[cbor(n(2), with = "minicbor::bytes")]
        uuid: [u8; 16],
        #[n(3)]
        description: String,
    }

    #[test]
    fn a_mount_from_before_there_were_signs_is_there_until_it_is_removed() {
        let rng = Arc::new(SystemRng::new());
        let keyring = Keyring::generate(&*rng, 1, 0).expect("randomness");
        let barrier = Arc::new(Barrier::new(Id::from_bytes([1; 16]), Id::ROOT, keyring, rng));
        let storage = MemoryStorage::new();
        let mut overlay = Overlay::writing(&barrier, &storage);
        let entry =
            |path: &str, byte| OldEntry { path: path.to_owned(), engine: "kv-v2".to_owned(), uuid: [byte; 16], description: String::new() };
        let table = minicbor::to_vec(vec![entry("a/", 1), entry("b/", 2)]).expect("encoded");
        overlay.put(Kind::MountTable, table_key(&barrier), &table).expect("put");
        let mut table = MountTable::load(&mut overlay).expect("decoded");
        let new = MountEntry::new("c", EngineKind::Kv1, Id::from_bytes([3; 16])).expect("canonical");
        sign(&mut overlay, &new.uuid()).expect("signed");
        table.add(new).expect("added");
        table.save(&mut overlay).expect("saved");
        for byte in [1, 2, 3] {
            assert!(is_there(&mut overlay, &Id::from_bytes([byte; 16])).expect("asked"));
        }
        for (path, byte) in [("a", 1), ("c/", 3)] {
            let entry = table.at(path).expect("there").clone();
            table.remove(&mut overlay, &entry);
            table.save(&mut overlay).expect("saved");
            assert!(!is_there(&mut overlay, &Id::from_bytes([byte; 16])).expect("asked"));
        }
        assert!(is_there(&mut overlay, &Id::from_bytes([2; 16])).expect("asked"));
    }
}

//! The namespaces in use: each with keys, mounts, policies and tokens of its own; and the one place where a request finds its own.

use super::core::Core;
use super::identities::IdentityStore;
use super::keys::{self, RotationPolicy};
use super::mounts::MountTable;
use super::namespace_table::{Deleted, NamespaceTable};
use super::policies::PolicyStore;
use super::rotation_usage::UsedSecrets;
use crate::barrier::{Barrier, BarrierError, Overlay};
use crate::policy::Settings;
use crate::storage::Read;
use crate::types::id::Id;
use crate::types::limits::{PATH_BYTES_MAX, PATH_SEGMENTS_MAX};
use crate::types::{Code, Error, Request, Result};
use arc_swap::{ArcSwap, Guard};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

/// A namespace, and what is published of it.
pub(super) struct Namespace {
    pub(super) id: Id,
    /// Its path from the root namespace, with a slash at its end; empty for the root namespace itself.
    pub(super) path: String,
    pub(super) above: Option<Arc<Namespace>>,
    pub(super) barrier: Arc<Barrier>,
    pub(super) mounts: Arc<ArcSwap<MountTable>>,
    pub(super) policies: Arc<PolicyStore>,
    pub(super) identities: Arc<IdentityStore>,
    /// When its keyring is rolled.
    pub(super) rotation: Arc<ArcSwap<RotationPolicy>>,
    /// Which of its secrets are rotated by use.
    pub(super) used_secrets: UsedSecrets,
}

/// All namespaces at one moment.
#[derive(Clone)]
pub(super) struct Namespaces {
    all: HashMap<Id, Arc<Namespace>>,
    /// Those below the root one, by their paths.
    by_path: HashMap<String, Arc<Namespace>>,
    /// What is to be swept of those that were deleted.
    pub(super) deleted: Vec<Deleted>,
}

/// Where a request goes: the namespace, and its path both from there and from the root namespace. Made once, before routing and policy.
pub(super) struct Place<'r> {
    pub(super) namespace: Found<'r>,
    /// The namespace's mounts, as they are when the request comes.
    pub(super) mounts: Guard<Arc<MountTable>>,
    full: Cow<'r, str>,
    /// The namespace that the request names is not there: this is the part of its way that is.
    pub(super) is_missing: bool,
}

/// A namespace that was found. The root one is borrowed: threads that read at once would meet at the count of its owners.
pub(super) enum Found<'r> {
    Root(&'r Arc<Namespace>),
    Below(Arc<Namespace>),
}

impl Deref for Found<'_> {
    type Target = Arc<Namespace>;
    fn deref(&self) -> &Arc<Namespace> {
        match self {
            Found::Root(root) => root,
            Found::Below(namespace) => namespace,
        }
    }
}

impl Namespace {
    /// Reads what a namespace publishes from the store.
    fn load(name: &str, above: Option<Arc<Namespace>>, barrier: Arc<Barrier>, records: &dyn Read, settings: Settings) -> Result<Self> {
        let mut overlay = Overlay::reading(&barrier, records);
        let mounts = MountTable::load(&mut overlay)?;
        let policies = PolicyStore::load(&mut overlay, settings)?;
        let rotation = RotationPolicy::load(&mut overlay)?;
        if above.is_some() {
            keys::restore_count(&mut overlay)?;
        }
        Ok(Namespace::new(name, above, barrier, mounts, policies, rotation))
    }

    pub(super) fn new(
        name: &str,
        above: Option<Arc<Namespace>>,
        barrier: Arc<Barrier>,
        mounts: MountTable,
        policies: PolicyStore,
        rotation: RotationPolicy,
    ) -> Self {
        Namespace {
            id: *barrier.namespace(),
            path: above.as_ref().map_or(String::new(), |above| format!("{}{name}/", above.path)),
            above,
            barrier,
            mounts: Arc::new(ArcSwap::from_pointee(mounts)),
            policies: Arc::new(policies),
            identities: Arc::default(),
            rotation: Arc::new(ArcSwap::from_pointee(rotation)),
            used_secrets: UsedSecrets::default(),
        }
    }

    pub(super) fn is_root(&self) -> bool {
        self.above.is_none()
    }

    /// This namespace and those above it, the root one last.
    pub(super) fn upward(&self) -> impl Iterator<Item = &Namespace> {
        std::iter::successors(Some(self), |namespace| namespace.above.as_deref())
    }

    /// How the audit log names it.
    pub(super) fn audit_name(&self) -> Option<String> {
        (!self.is_root()).then(|| self.path.clone())
    }
}

impl Namespaces {
    /// Reads the namespaces of a store; the root one, all, and the number of the next data key.
    pub(super) fn load(root: &Arc<Barrier>, records: &dyn Read, settings: Settings) -> Result<(Arc<Namespace>, Self, u32)> {
        let table = NamespaceTable::load(root, &mut Overlay::reading(root, records))?;
        let barriers = table.unlock(root, records)?;
        let top = Arc::new(Namespace::load("", None, Arc::clone(root), records, settings)?);
        let mut namespaces =
            Namespaces { all: HashMap::from([(Id::ROOT, Arc::clone(&top))]), by_path: HashMap::new(), deleted: table.deleted };
        for entry in &table.entries {
            let above = namespaces.get(&Id::from_bytes(entry.parent)).ok_or(BarrierError::Corrupt)?;
            let barrier = barriers.get(&Id::from_bytes(entry.id)).ok_or(BarrierError::Corrupt)?;
            namespaces.add(Arc::new(Namespace::load(&entry.name, Some(above), Arc::clone(barrier), records, settings)?));
        }
        Ok((top, namespaces, table.next_key))
    }

    pub(super) fn get(&self, id: &Id) -> Option<Arc<Namespace>> {
        self.all.get(id).cloned()
    }

    pub(super) fn barrier(&self, id: &Id) -> Option<Arc<Barrier>> {
        self.all.get(id).map(|namespace| Arc::clone(&namespace.barrier))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.all.values()
    }

    pub(super) fn add(&mut self, namespace: Arc<Namespace>) {
        self.by_path.insert(namespace.path.clone(), Arc::clone(&namespace));
        self.all.insert(namespace.id, namespace);
    }

    pub(super) fn remove(&mut self, id: &Id) {
        if let Some(namespace) = self.all.remove(id) {
            self.by_path.remove(&namespace.path);
        }
    }

    /// The barrier of each data key under which something may be.
    pub(super) fn by_data_key(&self) -> HashMap<u32, Arc<Barrier>> {
        let mut barriers = HashMap::new();
        for namespace in self.iter() {
            barriers.extend(namespace.barrier.keyring().data_keys().ids().map(|id| (id, Arc::clone(&namespace.barrier))));
        }
        barriers
    }

    /// The deepest namespace that a path leads into, and always leaves a rest for.
    pub(super) fn deepest(&self, root: &Arc<Namespace>, path: &str) -> Arc<Namespace> {
        let mut found = root;
        while let Some(slash) = path[found.path.len()..].find('/') {
            let end = found.path.len() + slash + 1;
            match self.by_path.get(&path[..end]).filter(|_| end < path.len()) {
                Some(namespace) => found = namespace,
                None => break,
            }
        }
        Arc::clone(found)
    }
}

impl<'r> Place<'r> {
    /// Brings a request's namespace and path into the one form that routing and policy see.
    pub(super) fn of(core: &'r Core, request: &'r Request) -> Result<Self> {
        let namespaces = core.namespaces.load();
        let path = request.path.as_str();
        let full = if request.namespace.is_root() {
            Cow::Borrowed(path)
        } else {
            let full = format!("{}/{path}", request.namespace.as_str());
            let segments = full.bytes().filter(|byte| *byte == b'/').count();
            if full.len() > PATH_BYTES_MAX || segments > PATH_SEGMENTS_MAX {
                return Err(Error::new(Code::InvalidPath, "invalid path: with its namespace it is too long"));
            }
            Cow::Owned(full)
        };
        let namespace =
            if namespaces.by_path.is_empty() { Found::Root(&core.root) } else { Found::Below(namespaces.deepest(&core.root, &full)) };
        let is_missing = !request.namespace.is_root() && namespace.path.len() <= request.namespace.as_str().len();
        Ok(Place { mounts: namespace.mounts.load(), namespace, full, is_missing })
    }

    /// The path from the root namespace.
    pub(super) fn full(&self) -> &str {
        &self.full
    }

    /// The path below the namespace.
    pub(super) fn path(&self) -> &str {
        self.path_from(&self.namespace)
    }

    /// The path as one sees it from the namespace, or from one above it.
    pub(super) fn path_from(&self, namespace: &Namespace) -> &str {
        &self.full[namespace.path.len()..]
    }

    /// What is asked for in a namespace that is not there, or is gone since the request came.
    pub(super) fn check_is_there(&self) -> Result<()> {
        if self.is_missing || self.namespace.barrier.is_ended() {
            return Err(Error::new(Code::NotFound, "there is no such namespace"));
        }
        Ok(())
    }
}

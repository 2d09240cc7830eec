//! What the paths below `sys/namespaces` answer: namespaces are made, shown, listed and deleted.

use super::core::Core;
use super::keys;
use super::keys::RotationPolicy;
use super::mounts::{self, MountTable};
use super::namespace_table::{Deleted, NamespaceEntry, NamespaceTable};
use super::namespaces::Namespace;
use super::policies::{self, DEFAULT, DEFAULT_TEXT};
use super::system::{Ask, Done};
use crate::barrier::{Barrier, BarrierError, Overlay};
use crate::crypto::Keyring;
use crate::engines::{EngineKind, database};
use crate::lease::chore::{self, Chore};
use crate::types::id::Id;
use crate::types::limits::{NAMESPACE_DEPTH_MAX, NAMESPACE_METADATA_BYTES_MAX, NAMESPACES_MAX};
use crate::types::namespace::check_name;
use crate::types::{Code, Error, Object, Result, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What stands in every new namespace: the mount `secret/`, the policy `default`.
pub(super) fn lay_out(overlay: &mut Overlay<'_>) -> Result<MountTable> {
    let table = MountTable::of_a_new_vault(overlay.barrier())?;
    table.entries().try_for_each(|entry| mounts::sign(overlay, &entry.uuid()))?;
    table.save(overlay)?;
    policies::put(overlay, DEFAULT, DEFAULT_TEXT)?;
    Ok(table)
}

/// `LIST sys/namespaces`: those directly below the request's.
pub(super) fn list(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let table = NamespaceTable::load(&ask.core.barrier, overlay)?;
    let mut entries: Vec<&NamespaceEntry> = table.below(&ask.place.namespace.id).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let keys: Vec<String> = entries.iter().map(|entry| format!("{}/", entry.name)).collect();
    let mut info = Object::new();
    for entry in entries {
        info.insert(&format!("{}/", entry.name), to_object(ask, entry));
    }
    Ok(Done::answer(Object::new().with("keys", keys).with("key_info", info)))
}

/// `READ sys/namespaces/NAME`.
pub(super) fn read(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let table = NamespaceTable::load(&ask.core.barrier, overlay)?;
    let entry = table.below(&ask.place.namespace.id).find(|entry| entry.name == name);
    Ok(Done::answer(to_object(ask, entry.ok_or_else(|| Error::new(Code::NotFound, "there is no namespace of that name"))?)))
}

/// `WRITE sys/namespaces/NAME`: a new namespace below the request's, with new keys.
pub(super) fn create(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let (core, above) = (ask.core, &ask.place.namespace);
    let refused = |why: String| Err(Error::new(Code::InvalidRequest, why));
    check_name(name)?;
    let metadata = requested_metadata(ask.data)?;
    let mut table = NamespaceTable::load(&core.barrier, overlay)?;
    if table.below(&above.id).any(|entry| entry.name.eq_ignore_ascii_case(name)) {
        return refused("there is a namespace of that name, or one that differs in upper and lower case only".to_owned());
    }
    if above.upward().count() > NAMESPACE_DEPTH_MAX {
        return refused(format!("namespaces nest at most {NAMESPACE_DEPTH_MAX} deep"));
    }
    if table.entries.len() >= NAMESPACES_MAX {
        return refused(format!("there are {NAMESPACES_MAX} namespaces already"));
    }
    // What is read here becomes an expectation of the commit: no mount comes to lie under the same name meanwhile.
    if MountTable::load(overlay)?.has_below(&format!("{name}/")) {
        return refused("the name is in use by a mount".to_owned());
    }
    let rng = core.barrier.rng();
    let keyring = Keyring::generate(rng, table.draw()?, ask.now.as_millis()).map_err(BarrierError::from)?;
    let barrier = Arc::new(Barrier::new(core.store, core.random_id()?, keyring, core.barrier.shared_rng()));
    keys::put_keyring_below(overlay, &barrier, &barrier.keyring().data_keys())?;
    let mounts = overlay.within(&barrier, lay_out)?;
    let entry = NamespaceEntry { id: *barrier.namespace().as_bytes(), parent: *above.id.as_bytes(), name: name.to_owned(), metadata };
    entry.put(overlay)?;
    let body = to_object(ask, &entry);
    table.entries.push(entry);
    table.save(&core.barrier, overlay)?;
    let made = Namespace::new(name, Some(Arc::clone(above)), barrier, mounts, above.policies.fresh()?, RotationPolicy::default());
    let (published, next_key) = (Arc::clone(&core.namespaces), Arc::clone(&core.next_key));
    Ok(Done::answer(body).publishing(move || {
        let mut namespaces = (**published.load()).clone();
        namespaces.add(Arc::new(made));
        published.store(Arc::new(namespaces));
        next_key.fetch_max(table.next_key, Ordering::AcqRel);
    }))
}

/// `DELETE sys/namespaces/NAME`: its keys are gone with this commit, and what was under them is removed by `tick`.
pub(super) fn delete(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let core = ask.core;
    let mut table = NamespaceTable::load(&core.barrier, overlay)?;
    let Some(id) = table.below(&ask.place.namespace.id).find(|entry| entry.name == name).map(|entry| Id::from_bytes(entry.id)) else {
        return Ok(Done::default());
    };
    if table.below(&id).next().is_some() {
        return Err(Error::new(Code::InvalidRequest, "the namespace has namespaces below it: delete those first"));
    }
    // One that is durable and not yet published.
    let namespace = core.namespaces.load().get(&id).ok_or_else(keys::lost_race)?;
    check_no_leases(core, &namespace, overlay)?;
    let keys = keys::check_keyring(core, &namespace, overlay)?.ids().collect();
    keys::delete_keyring_below(overlay, &id);
    overlay.delete(NamespaceEntry::key(overlay.barrier(), &id));
    table.entries.retain(|entry| entry.id != *id.as_bytes());
    let deleted = Deleted { keys, mark: table.draw()? };
    table.deleted.push(deleted.clone());
    table.save(&core.barrier, overlay)?;
    let (published, next_key, tokens) = (Arc::clone(&core.namespaces), Arc::clone(&core.next_key), Arc::clone(&core.tokens));
    Ok(Done::default().publishing(move || {
        namespace.barrier.end();
        let mut namespaces = (**published.load()).clone();
        namespaces.remove(&id);
        namespaces.deleted.push(deleted);
        published.store(Arc::new(namespaces));
        tokens.end_namespace(&id);
        next_key.fetch_max(table.next_key, Ordering::AcqRel);
    }))
}

/// What has to be revoked at targets would be lost with the keys. What is read here becomes an expectation: no connection is made meanwhile,
/// and one that goes leaves a chore.
fn check_no_leases(core: &Core, namespace: &Namespace, overlay: &mut Overlay<'_>) -> Result<()> {
    let why = "the namespace has database connections, or leases that are not revoked yet: unmount its database engines, and delete it once \
               tick has revoked their leases";
    overlay.within(&namespace.barrier, |overlay| {
        for entry in MountTable::load(overlay)?.entries() {
            if entry.kind()? == EngineKind::Database && !database::of_mount(overlay, &entry.uuid())?.is_empty() {
                return Err(Error::new(Code::InvalidRequest, why));
            }
        }
        let published = Overlay::reading(&namespace.barrier, core.source());
        if chore::all(&published)?.iter().any(|chore| matches!(chore, Chore::Target(_))) {
            return Err(Error::new(Code::InvalidRequest, why));
        }
        Ok(())
    })
}

fn to_object(ask: &Ask<'_>, entry: &NamespaceEntry) -> Object {
    let metadata: Object = entry.metadata.iter().map(|(name, text)| (name.as_str(), Value::string(text.as_str()))).collect();
    Object::new()
        .with("id", Id::from_bytes(entry.id).to_string())
        .with("path", format!("{}{}/", ask.place.namespace.path, entry.name))
        .with("custom_metadata", metadata)
}

fn requested_metadata(data: Option<&Value>) -> Result<BTreeMap<String, String>> {
    let bad = || {
        let why = format!("the custom_metadata must be an object of texts, of at most {NAMESPACE_METADATA_BYTES_MAX} bytes together");
        Error::new(Code::InvalidData, why)
    };
    let mut metadata = BTreeMap::new();
    if let Some(given) = data.and_then(|data| data.get("custom_metadata")).filter(|given| !matches!(given, Value::Null)) {
        for (name, text) in given.as_object().ok_or_else(bad)?.iter() {
            metadata.insert(name.to_owned(), text.as_str().ok_or_else(bad)?.to_owned());
        }
    }
    let bytes: usize = metadata.iter().map(|(name, text)| name.len() + text.len()).sum();
    if bytes > NAMESPACE_METADATA_BYTES_MAX { Err(bad()) } else { Ok(metadata) }
}

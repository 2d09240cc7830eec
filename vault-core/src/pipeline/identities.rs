//! The entities of callers as they stand: read once, held until something of the namespace's identities changes, and asked for at each request.

use super::core::Core;
use super::namespaces::{Namespace, Namespaces};
use super::policies::PolicyStore;
use crate::auth::{LiveToken, TokenEntry};
use crate::barrier::{BarrierError, Overlay};
use crate::identity::{self, EntityRef, Standing};
use crate::policy::CompiledPolicies;
use crate::storage::{Expected, Key, Read};
use crate::types::id::Id;
use crate::types::limits::{IDENTITY_CACHE_MAX, IDENTITY_RULES_MAX};
use crate::types::{Result, Timestamp};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is held in memory of a namespace's identities.
#[derive(Default)]
pub(super) struct IdentityStore {
    /// Raised with every change: what was read before is stale.
    generation: AtomicU64,
    standings: RwLock<HashMap<Id, Arc<Held>>>,
}

/// Rules that were filled in for one entity, by the policies, with the generation of those.
type Filled = HashMap<Vec<String>, (u64, Arc<CompiledPolicies>)>;

/// An entity as it was read.
struct Held {
    standing: Standing,
    /// The entity's record, as the commit of a write will expect it.
    record: (Key, Expected),
    rules: Mutex<Filled>,
}

/// Whose a token is, as it is known to a caller until a generation says that it is stale.
pub(super) struct Identity {
    entity: EntityRef,
    text: String,
    /// How often it had been lost when the token was made.
    losses: u64,
    /// Nothing where the entity's namespace is gone.
    found: Option<(Arc<IdentityStore>, Arc<Held>)>,
    generation: u64,
    /// A commit that expected the entity as it was read has failed.
    is_doubted: AtomicBool,
}

/// What a token gives its holder: its rules, with those of its entity, and whose it is.
pub(super) struct Bearing {
    pub(super) rules: Arc<CompiledPolicies>,
    pub(super) identity: Option<Identity>,
}

impl IdentityStore {
    /// Puts a change into effect, for live tokens too.
    pub(super) fn changed(&self) {
        let mut standings = self.standings.write();
        self.generation.fetch_add(1, Ordering::AcqRel);
        standings.clear();
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// How an entity stands, with the generation that it was read in.
    fn standing(&self, namespace: &Namespace, source: &dyn Read, id: &Id, now: Timestamp) -> Result<(u64, Arc<Held>)> {
        // The generation is read first: what changes in between makes this stale at its next use.
        let generation = self.generation();
        if let Some(held) = self.standings.read().get(id).filter(|held| !held.standing.presence.is_overdue(now)) {
            return Ok((generation, Arc::clone(held)));
        }
        let mut overlay = Overlay::writing(&namespace.barrier, source);
        let key = identity::entity_key(&namespace.barrier, id);
        let standing = identity::standing(&mut overlay, id)?;
        let seen = overlay.into_writes().expectations.get(&key).copied().unwrap_or(Expected::Absent);
        let held = Arc::new(Held { standing, record: (key, seen), rules: Mutex::default() });
        let mut standings = self.standings.write();
        // One that is not there is not held: it may be that of a request which makes it, and nothing tells when that is durable.
        if self.generation() == generation && held.record.1 != Expected::Absent {
            if standings.len() >= IDENTITY_CACHE_MAX {
                standings.clear();
            }
            standings.insert(*id, Arc::clone(&held));
        }
        Ok((generation, held))
    }

    /// Lets an entity be read anew whose record is not what was read, though nothing was changed that counts: its key was rolled, or it was
    /// heard of.
    pub(super) fn forget(&self, id: &Id) {
        self.standings.write().remove(id);
    }
}

impl Held {
    /// The rules of these policies for this entity.
    fn rules(&self, policies: &PolicyStore, names: &[String], in_root: bool) -> Arc<CompiledPolicies> {
        let generation = policies.generation();
        let shared = policies.compiled(names, in_root);
        if !shared.has_void() {
            return shared;
        }
        let mut own = self.rules.lock();
        if let Some((of, rules)) = own.get(names)
            && *of == generation
        {
            return Arc::clone(rules);
        }
        let rules = Arc::new(policies.compile(names, in_root, Some(&self.standing.facts)));
        if own.len() >= IDENTITY_RULES_MAX {
            own.clear();
        }
        own.insert(names.to_vec(), (generation, Arc::clone(&rules)));
        rules
    }
}

impl Identity {
    /// Whose a token is, if it is of an entity.
    fn of(core: &Core, namespaces: &Namespaces, entry: &TokenEntry, now: Timestamp) -> Result<Option<Self>> {
        let Some(entity) = entry.entity() else { return Ok(None) };
        let (generation, found) = match namespaces.get(&entity.namespace) {
            None => (0, None),
            Some(namespace) => {
                let store = Arc::clone(&namespace.identities);
                let (generation, held) = store.standing(&namespace, core.source(), &entity.id, now)?;
                (generation, Some((store, held)))
            }
        };
        let (text, losses) = (entity.id.to_string(), entry.entity_losses);
        Ok(Some(Identity { entity, text, losses, found, generation, is_doubted: AtomicBool::new(false) }))
    }

    /// The entity's id, as events have it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn entity(&self) -> &EntityRef {
        &self.entity
    }

    /// Whether the entity is there and may be used by this token.
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        self.held().is_some_and(|held| self.is_borne_by(held, now))
    }

    /// Whether the entity is lost by what is known of it, which may be old.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.held().is_some_and(|held| held.standing.presence.is_overdue(now))
    }

    /// Whether that the entity is heard of is to be noted.
    pub(super) fn is_use_noted(&self, now: Timestamp) -> bool {
        self.held().is_some_and(|held| held.standing.presence.is_use_noted(now))
    }

    fn is_borne_by(&self, held: &Held, now: Timestamp) -> bool {
        held.standing.is_good && held.standing.presence.admits(self.losses, now)
    }

    /// Whether this is what the store says.
    pub(super) fn is_fresh(&self) -> bool {
        self.found.as_ref().is_none_or(|(store, _)| store.generation() == self.generation) && !self.is_doubted.load(Ordering::Acquire)
    }

    /// Says that a commit has failed which may have expected the entity as it is no more.
    pub(super) fn doubt(&self) {
        self.is_doubted.store(true, Ordering::Release);
        if let Some((store, _)) = &self.found {
            store.forget(&self.entity.id);
        }
    }

    /// Whether the entity may be used by what was read of it, which the commit of a write will expect. The store is not asked.
    pub(super) fn expect(&self, overlay: &mut Overlay<'_>, now: Timestamp) -> bool {
        if let Some(held) = self.held() {
            let (key, seen) = held.record;
            overlay.expect(key, seen);
        }
        self.is_good(now)
    }

    /// Whether the store says that the entity may be used. What is read becomes an expectation.
    pub(super) fn stands(&self, home: &Namespace, overlay: &mut Overlay<'_>, now: Timestamp) -> Result<bool, BarrierError> {
        let Some(namespace) = home.upward().find(|namespace| namespace.id == self.entity.namespace) else { return Ok(false) };
        let entity = overlay.within(&namespace.barrier, |overlay| identity::load_entity(overlay, &self.entity.id))?;
        Ok(entity.is_some_and(|entity| entity.is_good() && entity.presence().admits(self.losses, now)))
    }

    /// The policies that it gives a token of a namespace: those of an entity are its own namespace's, where names mean what they mean there.
    fn policies(&self, home: &Id) -> &[String] {
        self.held().filter(|_| self.entity.namespace == *home).map_or(&[], |held| &held.standing.policies)
    }

    fn held(&self) -> Option<&Held> {
        self.found.as_ref().map(|(_, held)| &**held)
    }
}

/// What a token of a namespace gives its holder.
pub(super) fn bearing(core: &Core, namespaces: &Namespaces, home: &Namespace, live: &LiveToken, now: Timestamp) -> Result<Bearing> {
    let (policies, in_root, own) = (&home.policies, home.is_root(), &live.entry.policies);
    let identity = Identity::of(core, namespaces, &live.entry, now)?;
    let rules = match &identity {
        None => policies.compiled(own, in_root),
        Some(identity) => match identity.held().filter(|held| identity.is_borne_by(held, now)) {
            None => policies.compiled(&[], in_root),
            Some(held) if identity.entity.namespace == home.id => held.rules(policies, &united(own, &held.standing.policies), in_root),
            Some(_) => policies.compiled(own, in_root),
        },
    };
    Ok(Bearing { rules, identity })
}

/// The policies that a token of a namespace has from its entity, as they are now.
pub(super) fn policies_of(core: &Core, home: &Id, entry: &TokenEntry, now: Timestamp) -> Result<Vec<String>> {
    let identity = Identity::of(core, &core.namespaces.load(), entry, now)?;
    Ok(identity.map(|identity| identity.policies(home).to_vec()).unwrap_or_default())
}

/// All of both, sorted.
pub(super) fn united(own: &[String], given: &[String]) -> Vec<String> {
    own.iter().chain(given).cloned().collect::<BTreeSet<String>>().into_iter().collect()
}

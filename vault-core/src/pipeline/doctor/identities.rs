//! The identities of a damaged store: their indexes are laid anew from what is there of entities and groups, and whoever has lost something that
//! might have denied is disabled.

use super::super::policies;
use super::kept::KeptSpace;
use crate::barrier::{Barrier, Kind, Overlay};
use crate::identity::{self, Entity, Group, paths_of_entity, paths_of_group};
use crate::storage::{Key, Read};
use crate::types::Result;
use crate::types::id::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the records of a namespace tell of its identities.
#[derive(Clone, Default)]
pub(super) struct ToldIdentities {
    entities: Vec<Entity>,
    groups: Vec<Group>,
    /// Where their indexes lie.
    index: Vec<Key>,
}

/// The identities of a namespace, mended.
pub(super) struct MendedIdentities<'o> {
    pub(super) overlay: Overlay<'o>,
    /// Where they are listed.
    pub(super) paths: Vec<String>,
    /// Entities that were disabled.
    pub(super) disabled: u64,
}

impl ToldIdentities {
    /// Takes in a record, if it is one of identities.
    pub(super) fn see(&mut self, barrier: &Barrier, kind: u16, key: &Key, record: &[u8]) -> Result<()> {
        let is = |of: Kind| kind == of as u16;
        if is(Kind::Entity) {
            self.entities.push(Entity::parse(&barrier.open(Kind::Entity, key, record)?)?);
        } else if is(Kind::Group) {
            self.groups.push(Group::parse(&barrier.open(Kind::Group, key, record)?)?);
        } else if is(Kind::EntityAlias) || is(Kind::IdentityName) || is(Kind::GroupsOfMember) {
            self.index.push(*key);
        }
        Ok(())
    }

    /// The policies that they give.
    pub(super) fn policies(&self) -> impl Iterator<Item = &String> {
        let entities = self.entities.iter().flat_map(|entity| &entity.policies);
        entities.chain(self.groups.iter().flat_map(|group| &group.policies))
    }
}

/// Lays the identities of a namespace anew.
pub(super) fn mended<'o>(barrier: &'o Arc<Barrier>, records: &'o dyn Read, kept: &KeptSpace) -> Result<MendedIdentities<'o>> {
    let told = &kept.identities;
    let mut overlay = Overlay::reading(barrier, records);
    let groups: BTreeMap<Id, &Group> = told.groups.iter().map(|group| (group.id(), group)).collect();
    let entities: BTreeSet<Id> = told.entities.iter().map(Entity::id).collect();
    let harmed = harmed(&mut overlay, &groups, &entities, kept)?;
    told.index.iter().for_each(|key| overlay.delete(*key));
    let (mut paths, mut disabled) = (Vec::new(), 0);
    for entity in &told.entities {
        let mut entity = entity.clone();
        if harmed.contains(&entity.id()) && !entity.disabled {
            entity.disabled = true;
            disabled += 1;
        }
        identity::save_entity(&mut overlay, None, &entity)?;
        paths.extend(paths_of_entity(&entity));
    }
    for group in &told.groups {
        let mut group = group.clone();
        group.entities.retain(|id| entities.contains(id));
        group.groups.retain(|id| groups.contains_key(id));
        identity::save_group(&mut overlay, None, &group)?;
        paths.extend(paths_of_group(&group));
    }
    Ok(MendedIdentities { overlay, paths, disabled })
}

/// The entities and groups that have lost a policy or a group, by groups that they are in too: what is gone could have denied what another
/// policy allows.
fn harmed(overlay: &mut Overlay<'_>, groups: &BTreeMap<Id, &Group>, entities: &BTreeSet<Id>, kept: &KeptSpace) -> Result<BTreeSet<Id>> {
    let has_lost = |names: &[String]| names.iter().any(|name| name != policies::DEFAULT && kept.policies_lost.contains(name));
    let mut waiting: Vec<Id> = Vec::new();
    waiting.extend(kept.identities.entities.iter().filter(|entity| has_lost(&entity.policies)).map(Entity::id));
    waiting.extend(groups.values().filter(|group| has_lost(&group.policies)).map(|group| group.id()));
    for id in entities.iter().chain(groups.keys()) {
        // An index that is gone tells nothing, and the groups themselves tell whom they have.
        if identity::groups_of(overlay, id)?.iter().any(|group| !groups.contains_key(group)) {
            waiting.push(*id);
        }
    }
    let mut harmed = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if harmed.insert(id) {
            waiting.extend(groups.get(&id).into_iter().flat_map(|group| group.members().copied()));
        }
    }
    Ok(harmed)
}

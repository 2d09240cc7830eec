//! What an entity is worth to a token: whether it may be used at all, the policies that it and its groups give, and what templates know of it.

use super::presence::Presence;
use super::record::{Entity, Group};
use super::store::{groups_of, load_entity, load_group};
use crate::barrier::{BarrierError, Overlay};
use crate::policy::{AliasFacts, EntityFacts, GroupFacts, TemplateFacts};
use crate::types::id::Id;
use crate::types::limits::IDENTITY_GROUPS_MAX;
use std::collections::{BTreeSet, HashSet};

/// An entity as its records say at one time.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// It is there and may be used: its tokens are refused otherwise.
    pub(crate) is_good: bool,
    /// Whether it checks in, where it must.
    pub(crate) presence: Presence,
    /// Those of the entity and of its groups, sorted; names that no identity gives are left out.
    pub(crate) policies: Vec<String>,
    pub(crate) facts: TemplateFacts,
}

/// The names of policies that are never given by an identity, whatever its record says.
const NEVER: [&str; 2] = ["root", "response-wrapping"];

/// Reads how an entity stands.
pub(crate) fn standing(overlay: &mut Overlay<'_>, id: &Id) -> Result<Standing, BarrierError> {
    let Some(entity) = load_entity(overlay, id)?.filter(Entity::is_good) else { return Ok(Standing::default()) };
    // A group that is lost might have denied something: without it the entity is worth nothing.
    let Some(groups) = groups_above(overlay, id)? else { return Ok(Standing::default()) };
    let names = entity.policies.iter().chain(groups.iter().flat_map(|group| &group.policies));
    let policies: BTreeSet<String> = names.filter(|name| !NEVER.contains(&name.as_str())).cloned().collect();
    let presence = entity.presence();
    let facts = TemplateFacts { entity: Some(entity_facts(entity)), groups: groups.into_iter().map(group_facts).collect() };
    Ok(Standing { is_good: true, presence, policies: policies.into_iter().collect(), facts })
}

/// The groups that an entity or a group is in, by other groups too: the nearest first, each once. `None` where one of them is not there, or
/// there are more than anybody may be in.
pub(crate) fn groups_above(overlay: &mut Overlay<'_>, member: &Id) -> Result<Option<Vec<Group>>, BarrierError> {
    let (mut groups, mut seen) = (Vec::new(), HashSet::new());
    let mut level = vec![*member];
    while !level.is_empty() {
        let mut next = Vec::new();
        for member in level {
            for id in groups_of(overlay, &member)? {
                if !seen.insert(id) {
                    continue;
                }
                let Some(group) = load_group(overlay, &id)? else { return Ok(None) };
                if groups.len() >= IDENTITY_GROUPS_MAX {
                    return Ok(None);
                }
                groups.push(group);
                next.push(id);
            }
        }
        level = next;
    }
    Ok(Some(groups))
}

fn entity_facts(entity: Entity) -> EntityFacts {
    let aliases = entity.aliases.into_iter().map(|alias| {
        let id = alias.id().to_string();
        let facts = AliasFacts { id, name: alias.name, custom_metadata: alias.custom_metadata, ..AliasFacts::default() };
        (alias.mount_accessor, facts)
    });
    EntityFacts { id: Id::from_bytes(entity.id).to_string(), name: entity.name, metadata: entity.metadata, aliases: aliases.collect() }
}

fn group_facts(group: Group) -> GroupFacts {
    GroupFacts { id: group.id().to_string(), name: group.name, metadata: group.metadata }
}

//! Where the records of identities lie: each found by one read, by its id, its name or its alias; listed in folders of an owner of their own.
//!
//! Of whom a group consists stands in the group, and in which groups somebody is beside each member: both change in one commit.

use super::record::{Alias, Entity, Group, ids};
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use std::collections::HashSet;

/// Under which identities are listed, as if it were a mount.
pub(crate) const OWNER: Id = Id::from_bytes(*b"identity/records");

const ENTITY: &[u8] = b"entity";
const GROUP: &[u8] = b"group";
const ALIAS: &[u8] = b"alias";

/// The storage key of an entity.
pub(crate) fn entity_key(barrier: &Barrier, id: &Id) -> Key {
    barrier.key(Kind::Entity, &[id.as_bytes()])
}

pub(crate) fn load_entity(overlay: &mut Overlay<'_>, id: &Id) -> Result<Option<Entity>, BarrierError> {
    let key = entity_key(overlay.barrier(), id);
    overlay.get(Kind::Entity, &key)?.map(|bytes| Entity::parse(&bytes)).transpose()
}

pub(crate) fn load_group(overlay: &mut Overlay<'_>, id: &Id) -> Result<Option<Group>, BarrierError> {
    let key = group_key(overlay.barrier(), id);
    overlay.get(Kind::Group, &key)?.map(|bytes| Group::parse(&bytes)).transpose()
}

/// The id of the entity of that name.
pub(crate) fn entity_by_name(overlay: &mut Overlay<'_>, name: &str) -> Result<Option<Id>, BarrierError> {
    let key = name_key(overlay.barrier(), ENTITY, name);
    id_at(overlay, Kind::IdentityName, &key)
}

/// The id of the group of that name.
pub(crate) fn group_by_name(overlay: &mut Overlay<'_>, name: &str) -> Result<Option<Id>, BarrierError> {
    let key = name_key(overlay.barrier(), GROUP, name);
    id_at(overlay, Kind::IdentityName, &key)
}

/// The id of the alias of that name at an auth method.
pub(crate) fn alias_by_name(overlay: &mut Overlay<'_>, mount_accessor: &str, name: &str) -> Result<Option<Id>, BarrierError> {
    let key = alias_name_key(overlay.barrier(), mount_accessor, name);
    id_at(overlay, Kind::IdentityName, &key)
}

/// The entity that an alias is of.
pub(crate) fn by_alias(overlay: &mut Overlay<'_>, alias: &Id) -> Result<Option<Entity>, BarrierError> {
    let key = alias_key(overlay.barrier(), alias);
    match id_at(overlay, Kind::EntityAlias, &key)? {
        Some(entity) => load_entity(overlay, &entity),
        None => Ok(None),
    }
}

/// The groups that have an entity or a group as their own member.
pub(crate) fn groups_of(overlay: &mut Overlay<'_>, member: &Id) -> Result<Vec<Id>, BarrierError> {
    let key = groups_key(overlay.barrier(), member);
    let Some(bytes) = overlay.get(Kind::GroupsOfMember, &key)? else { return Ok(Vec::new()) };
    ids::from_bytes(&bytes).ok_or(BarrierError::Corrupt)
}

/// Lays an entity into the store, in the place of what it was.
pub(crate) fn save_entity(overlay: &mut Overlay<'_>, old: Option<&Entity>, new: &Entity) -> Result<(), BarrierError> {
    let barrier = overlay.barrier();
    if let Some(old) = old.filter(|old| old.name != new.name) {
        overlay.delete(name_key(barrier, ENTITY, &old.name));
        overlay.leave(OWNER, &name_path(ENTITY, &old.name));
    }
    if old.is_none_or(|old| old.name != new.name) {
        overlay.put(Kind::IdentityName, name_key(barrier, ENTITY, &new.name), &new.id)?;
        overlay.enter(OWNER, &name_path(ENTITY, &new.name));
    }
    if old.is_none() {
        overlay.enter(OWNER, &id_path(ENTITY, &new.id()));
    }
    let none = Vec::new();
    let (before, after) = (old.map_or(&none, |old| &old.aliases), &new.aliases);
    let is_in = |alias: &Alias, aliases: &[Alias]| {
        aliases.iter().any(|other| other.id == alias.id && other.name == alias.name && other.mount_accessor == alias.mount_accessor)
    };
    for alias in before.iter().filter(|alias| !is_in(alias, after)) {
        remove_alias(overlay, alias);
    }
    for alias in after.iter().filter(|alias| !is_in(alias, before)) {
        put_alias(overlay, &new.id(), alias)?;
    }
    let bytes = minicbor::to_vec(new).expect("encoding to memory cannot fail");
    overlay.put(Kind::Entity, entity_key(barrier, &new.id()), &bytes)
}

/// Removes an entity with its aliases, and takes it out of its groups.
pub(crate) fn remove_entity(overlay: &mut Overlay<'_>, entity: &Entity) -> Result<(), BarrierError> {
    let (barrier, id) = (overlay.barrier(), entity.id());
    for alias in &entity.aliases {
        remove_alias(overlay, alias);
    }
    leave_groups(overlay, &id)?;
    overlay.delete(name_key(barrier, ENTITY, &entity.name));
    overlay.leave(OWNER, &name_path(ENTITY, &entity.name));
    overlay.leave(OWNER, &id_path(ENTITY, &id));
    overlay.delete(entity_key(barrier, &id));
    Ok(())
}

/// Lays a group into the store, in the place of what it was, and notes it beside its members.
pub(crate) fn save_group(overlay: &mut Overlay<'_>, old: Option<&Group>, new: &Group) -> Result<(), BarrierError> {
    let (barrier, id) = (overlay.barrier(), new.id());
    if let Some(old) = old.filter(|old| old.name != new.name) {
        overlay.delete(name_key(barrier, GROUP, &old.name));
        overlay.leave(OWNER, &name_path(GROUP, &old.name));
    }
    if old.is_none_or(|old| old.name != new.name) {
        overlay.put(Kind::IdentityName, name_key(barrier, GROUP, &new.name), &new.id)?;
        overlay.enter(OWNER, &name_path(GROUP, &new.name));
    }
    if old.is_none() {
        overlay.enter(OWNER, &id_path(GROUP, &id));
    }
    let before: HashSet<Id> = old.map(|old| old.members().copied().collect()).unwrap_or_default();
    for member in new.members().filter(|member| !before.contains(*member)) {
        let mut groups = groups_of(overlay, member)?;
        groups.push(id);
        put_groups_of(overlay, member, &groups)?;
    }
    let after: HashSet<Id> = new.members().copied().collect();
    for member in before.difference(&after) {
        leave_group(overlay, member, &id)?;
    }
    put_group(overlay, new)
}

/// Removes a group; its members stay.
pub(crate) fn remove_group(overlay: &mut Overlay<'_>, group: &Group) -> Result<(), BarrierError> {
    let (barrier, id) = (overlay.barrier(), group.id());
    for member in group.members() {
        leave_group(overlay, member, &id)?;
    }
    leave_groups(overlay, &id)?;
    overlay.delete(name_key(barrier, GROUP, &group.name));
    overlay.leave(OWNER, &name_path(GROUP, &group.name));
    overlay.leave(OWNER, &id_path(GROUP, &id));
    overlay.delete(group_key(barrier, &id));
    Ok(())
}

/// Where an entity and its aliases are listed.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) fn paths_of_entity(entity: &Entity) -> Vec<String> {
    let mut paths = vec![id_path(ENTITY, &entity.id()), name_path(ENTITY, &entity.name)];
    paths.extend(entity.aliases.iter().map(|alias| id_path(ALIAS, &alias.id())));
    paths
}

/// Where a group is listed.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) fn paths_of_group(group: &Group) -> Vec<String> {
    vec![id_path(GROUP, &group.id()), name_path(GROUP, &group.name)]
}

fn put_alias(overlay: &mut Overlay<'_>, entity: &Id, alias: &Alias) -> Result<(), BarrierError> {
    let barrier = overlay.barrier();
    overlay.put(Kind::EntityAlias, alias_key(barrier, &alias.id()), entity.as_bytes())?;
    overlay.put(Kind::IdentityName, alias_name_key(barrier, &alias.mount_accessor, &alias.name), &alias.id)?;
    overlay.enter(OWNER, &id_path(ALIAS, &alias.id()));
    Ok(())
}

fn remove_alias(overlay: &mut Overlay<'_>, alias: &Alias) {
    let barrier = overlay.barrier();
    overlay.delete(alias_key(barrier, &alias.id()));
    overlay.delete(alias_name_key(barrier, &alias.mount_accessor, &alias.name));
    overlay.leave(OWNER, &id_path(ALIAS, &alias.id()));
}

fn put_group(overlay: &mut Overlay<'_>, group: &Group) -> Result<(), BarrierError> {
    let key = group_key(overlay.barrier(), &group.id());
    overlay.put(Kind::Group, key, &minicbor::to_vec(group).expect("encoding to memory cannot fail"))
}

/// Takes somebody out of all groups that it is in, since it is gone.
fn leave_groups(overlay: &mut Overlay<'_>, member: &Id) -> Result<(), BarrierError> {
    for id in groups_of(overlay, member)? {
        if let Some(mut group) = load_group(overlay, &id)? {
            group.entities.retain(|other| other != member);
            group.groups.retain(|other| other != member);
            put_group(overlay, &group)?;
        }
    }
    overlay.delete(groups_key(overlay.barrier(), member));
    Ok(())
}

/// Notes beside a member that it is in a group no more.
fn leave_group(overlay: &mut Overlay<'_>, member: &Id, group: &Id) -> Result<(), BarrierError> {
    let mut groups = groups_of(overlay, member)?;
    groups.retain(|other| other != group);
    put_groups_of(overlay, member, &groups)
}

fn put_groups_of(overlay: &mut Overlay<'_>, member: &Id, groups: &[Id]) -> Result<(), BarrierError> {
    let key = groups_key(overlay.barrier(), member);
    if groups.is_empty() {
        overlay.delete(key);
        return Ok(());
    }
    overlay.put(Kind::GroupsOfMember, key, &ids::to_bytes(groups))
}

fn id_at(overlay: &mut Overlay<'_>, kind: Kind, key: &Key) -> Result<Option<Id>, BarrierError> {
    let Some(bytes) = overlay.get(kind, key)? else { return Ok(None) };
    bytes.as_slice().try_into().map(|id| Some(Id::from_bytes(id))).map_err(|_| BarrierError::Corrupt)
}

fn group_key(barrier: &Barrier, id: &Id) -> Key {
    barrier.key(Kind::Group, &[id.as_bytes()])
}

fn groups_key(barrier: &Barrier, member: &Id) -> Key {
    barrier.key(Kind::GroupsOfMember, &[member.as_bytes()])
}

fn alias_key(barrier: &Barrier, id: &Id) -> Key {
    barrier.key(Kind::EntityAlias, &[id.as_bytes()])
}

fn name_key(barrier: &Barrier, of: &[u8], name: &str) -> Key {
    barrier.key(Kind::IdentityName, &[of, name.as_bytes()])
}

fn alias_name_key(barrier: &Barrier, mount_accessor: &str, name: &str) -> Key {
    barrier.key(Kind::IdentityName, &[ALIAS, mount_accessor.as_bytes(), name.as_bytes()])
}

fn id_path(of: &[u8], id: &Id) -> String {
    format!("{}/id/{id}", String::from_utf8_lossy(of))
}

fn name_path(of: &[u8], name: &str) -> String {
    format!("{}/name/{name}", String::from_utf8_lossy(of))
}

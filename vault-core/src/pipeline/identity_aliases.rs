//! `identity/entity-alias`: what entities are called at auth methods; and the entity of an alias, for a token that is made for it.

use super::auth_paths;
use super::given::{Members, bad};
use super::identity_entities::made;
use super::identity_named::by_id;
use super::identity_paths::{detailed, metadata, namespace_id, publish, refused, texts};
use super::system::{Ask, Done};
use crate::barrier::Overlay;
use crate::identity::{self, Alias, AliasName, Entity};
use crate::types::id::Id;
use crate::types::limits::ENTITY_ALIASES_MAX;
use crate::types::{Code, Error, Object, Result, Timestamp, Value};

const KNOWN: [&str; 6] = ["id", "name", "canonical_id", "entity_id", "mount_accessor", "custom_metadata"];

/// `WRITE identity/entity-alias`: the alias of the `id`, else of the `name` at the `mount_accessor`, else a new one; of the entity of the
/// `canonical_id`, else of a new one.
pub(super) fn write(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let data = Members(ask.data);
    if let Some(id) = data.text("id")?.filter(|id| !id.is_empty()) {
        return write_by_id(ask, overlay, id);
    }
    data.known_only(&KNOWN)?;
    let name = AliasName::parse(data.required("name")?)?;
    let accessor = mount_accessor(data)?.ok_or_else(|| bad("mount_accessor", "is missing: sys/auth tells it"))?;
    if let Some(id) = identity::alias_by_name(overlay, accessor, name.as_str())? {
        let entity = identity::by_alias(overlay, &id)?.ok_or_else(lost)?;
        return change(ask, overlay, entity, &id);
    }
    let (old, mut entity) = match canonical(data, overlay)? {
        Some(entity) => (Some(entity.clone()), entity),
        None => (None, made(ask)?),
    };
    let custom = metadata(data, "custom_metadata")?.unwrap_or_default();
    let alias = Alias { custom_metadata: custom, ..alias_of(ask, &name, accessor)? };
    let id = alias.id();
    add(&mut entity, alias)?;
    identity::save_entity(overlay, old.as_ref(), &entity)?;
    Ok(publish(ask, &entity.id(), answer(&entity, &id)))
}

/// `WRITE identity/entity-alias/id/ID`: what is not named stays as it was.
pub(super) fn write_by_id(ask: &Ask<'_>, overlay: &mut Overlay<'_>, id: &str) -> Result<Done> {
    let none = || refused("invalid alias id: there is none such in this namespace");
    let id = Id::parse(id).ok_or_else(none)?;
    let entity = identity::by_alias(overlay, &id)?.ok_or_else(none)?;
    change(ask, overlay, entity, &id)
}

/// `READ identity/entity-alias/id/ID`.
pub(super) fn read(ask: &Ask<'_>, overlay: &mut Overlay<'_>, id: &str) -> Result<Done> {
    let not_found = || Error::new(Code::NotFound, "there is no such alias");
    let id = Id::parse(id).ok_or_else(not_found)?;
    let entity = identity::by_alias(overlay, &id)?.ok_or_else(not_found)?;
    let alias = entity.alias(&id).ok_or_else(lost)?;
    Ok(Done::answer(to_object(&entity, alias).with("namespace_id", namespace_id(ask))))
}

/// `LIST identity/entity-alias/id`.
pub(super) fn list(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    detailed(ask, overlay, "alias/id/", |overlay, id| {
        let entity = identity::by_alias(overlay, id)?;
        let told = |entity: Entity| entity.alias(id).map(|alias| row(alias).with("canonical_id", entity.id().to_string()));
        Ok(entity.and_then(told))
    })
}

/// `DELETE identity/entity-alias/id/ID`: its entity stays, with its tokens.
pub(super) fn delete(ask: &Ask<'_>, overlay: &mut Overlay<'_>, id: &str) -> Result<Done> {
    let Some(id) = Id::parse(id) else { return Ok(Done::default()) };
    let Some(old) = identity::by_alias(overlay, &id)? else { return Ok(Done::default()) };
    let mut new = old.clone();
    new.aliases.retain(|alias| alias.id() != id);
    new.changed_millis = ask.now.as_millis();
    identity::save_entity(overlay, Some(&old), &new)?;
    Ok(publish(ask, &old.id(), Done::default()))
}

/// The entity of an alias at the method `token`, for a token that is made for it; where there is none it comes into being with it.
pub(super) fn entity_of_alias(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &AliasName) -> Result<Entity> {
    if let Some(alias) = identity::alias_by_name(overlay, auth_paths::ACCESSOR, name.as_str())? {
        let entity = identity::by_alias(overlay, &alias)?.ok_or_else(lost)?;
        if entity.disabled {
            return Err(refused("the entity of the \"entity_alias\" is disabled"));
        }
        if entity.presence().lost_since(ask.now).is_some() {
            return Err(refused(
                "the entity of the \"entity_alias\" is lost, since nothing was heard of it: write \"lost\": false to it to take it back",
            ));
        }
        return Ok(entity);
    }
    let mut entity = made(ask)?;
    add(&mut entity, alias_of(ask, name, auth_paths::ACCESSOR)?)?;
    identity::save_entity(overlay, None, &entity)?;
    Ok(entity)
}

/// An alias among others.
pub(super) fn row(alias: &Alias) -> Object {
    Object::new()
        .with("id", alias.id().to_string())
        .with("mount_accessor", alias.mount_accessor.as_str())
        .with("mount_path", "auth/token/")
        .with("mount_type", "token")
        .with("name", alias.name.as_str())
}

pub(super) fn to_object(entity: &Entity, alias: &Alias) -> Object {
    row(alias)
        .with("canonical_id", entity.id().to_string())
        .with("creation_time", Timestamp::from_millis(alias.created_millis).to_string())
        .with("custom_metadata", texts(&alias.custom_metadata))
        .with("last_update_time", Timestamp::from_millis(alias.changed_millis).to_string())
        .with("local", false)
        .with("merged_from_canonical_ids", Value::Null)
        .with("metadata", Value::Null)
}

/// Changes an alias of an entity; one that is given to another entity goes there.
fn change(ask: &Ask<'_>, overlay: &mut Overlay<'_>, old: Entity, id: &Id) -> Result<Done> {
    let data = Members(ask.data);
    data.known_only(&KNOWN)?;
    let mut alias = old.alias(id).ok_or_else(lost)?.clone();
    if let Some(name) = data.text("name")?.filter(|name| !name.is_empty()) {
        AliasName::parse(name)?.as_str().clone_into(&mut alias.name);
    }
    if let Some(accessor) = mount_accessor(data)? {
        accessor.clone_into(&mut alias.mount_accessor);
    }
    if identity::alias_by_name(overlay, &alias.mount_accessor, &alias.name)?.is_some_and(|other| other != *id) {
        return Err(refused("the name at this auth method is another alias'"));
    }
    alias.custom_metadata = metadata(data, "custom_metadata")?.unwrap_or(alias.custom_metadata);
    alias.changed_millis = ask.now.as_millis();
    let mut new = old.clone();
    new.aliases.retain(|other| other.id() != *id);
    let target = canonical(data, overlay)?.filter(|target| target.id != old.id);
    let Some(target) = target else {
        add(&mut new, alias)?;
        identity::save_entity(overlay, Some(&old), &new)?;
        return Ok(publish(ask, &new.id(), answer(&new, id)));
    };
    let mut receiver = target.clone();
    add(&mut receiver, alias)?;
    identity::save_entity(overlay, Some(&old), &new)?;
    identity::save_entity(overlay, Some(&target), &receiver)?;
    Ok(publish(ask, &receiver.id(), answer(&receiver, id)))
}

fn alias_of(ask: &Ask<'_>, name: &AliasName, accessor: &str) -> Result<Alias> {
    let (id, now) = (ask.core.random_id()?, ask.now.as_millis());
    Ok(Alias {
        id: *id.as_bytes(),
        name: name.as_str().to_owned(),
        mount_accessor: accessor.to_owned(),
        created_millis: now,
        changed_millis: now,
        ..Alias::default()
    })
}

/// Gives an entity an alias: one at each auth method, so that templates know which is meant.
fn add(entity: &mut Entity, alias: Alias) -> Result<()> {
    if entity.aliases.iter().any(|other| other.mount_accessor == alias.mount_accessor) {
        return Err(refused("the entity has an alias at this auth method already: it has one at each"));
    }
    if entity.aliases.len() >= ENTITY_ALIASES_MAX {
        return Err(refused(&format!("an entity has at most {ENTITY_ALIASES_MAX} aliases")));
    }
    entity.changed_millis = alias.changed_millis;
    entity.aliases.push(alias);
    Ok(())
}

/// The entity that the request gives the alias to.
fn canonical(data: Members<'_>, overlay: &mut Overlay<'_>) -> Result<Option<Entity>> {
    let given = data.text("canonical_id")?.filter(|id| !id.is_empty());
    let Some(id) = given.map_or_else(|| data.text("entity_id"), |id| Ok(Some(id)))?.filter(|id| !id.is_empty()) else { return Ok(None) };
    by_id(overlay, id)?.map(Some).ok_or_else(|| refused("invalid canonical_id: there is no such entity in this namespace"))
}

/// The accessor of an auth method that is there.
fn mount_accessor<'d>(data: Members<'d>) -> Result<Option<&'d str>> {
    let Some(accessor) = data.text("mount_accessor")?.filter(|accessor| !accessor.is_empty()) else { return Ok(None) };
    if accessor != auth_paths::ACCESSOR {
        return Err(refused("invalid mount_accessor: no auth method has it; sys/auth tells them"));
    }
    Ok(Some(accessor))
}

fn answer(entity: &Entity, alias: &Id) -> Done {
    Done::answer(Object::new().with("canonical_id", entity.id().to_string()).with("id", alias.to_string()))
}

fn lost() -> Error {
    Error::new(Code::Corrupt, "an alias has lost its entity: examine the store")
}

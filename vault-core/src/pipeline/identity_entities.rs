//! `identity/entity` and `identity/lookup/entity`: people and programs, made, shown, changed, listed, looked up and deleted.

use super::core::Core;
use super::deadman;
use super::given::{Members, bad};
use super::identity_aliases;
use super::identity_named::{Named, by_id, by_name, new_name};
use super::identity_paths::{detailed, generated_name, id_texts, metadata, namespace_id, one_of, policies, publish, refused, texts};
use super::system::{Ask, Done};
use crate::barrier::{Kind, Overlay};
use crate::identity::{self, AliasName, Entity, EntityRef, OWNER};
use crate::managed::usage::{self, Reader};
use crate::types::id::Id;
use crate::types::limits::COUNTED_ENTITIES_MAX;
use crate::types::{Object, Result, Timestamp, Value};

const KNOWN: [&str; 7] = ["id", "name", "metadata", "policies", "disabled", "deadman_period", "lost"];

impl Named for Entity {
    const WHAT: &'static str = "entity";

    fn load(overlay: &mut Overlay<'_>, id: &Id) -> Result<Option<Self>> {
        Ok(identity::load_entity(overlay, id)?)
    }

    fn id_of(overlay: &mut Overlay<'_>, name: &str) -> Result<Option<Id>> {
        Ok(identity::entity_by_name(overlay, name)?)
    }

    fn save(ask: &Ask<'_>, overlay: &mut Overlay<'_>, old: Option<Self>, named: Option<&str>) -> Result<Done> {
        let data = Members(ask.data);
        data.known_only(&KNOWN)?;
        let mut new = old.clone().map_or_else(|| made(ask), Ok)?;
        new.name = new_name::<Self>(overlay, data, named, &new.id())?.unwrap_or(new.name);
        new.metadata = metadata(data, "metadata")?.unwrap_or(new.metadata);
        new.policies = policies(data)?.unwrap_or(new.policies);
        new.disabled = data.truth("disabled")?.unwrap_or(new.disabled);
        new.changed_millis = ask.now.as_millis();
        let namespaces = ask.core.namespaces.load_full();
        let barrier_of = |id: &Id| namespaces.barrier(id);
        let mut before = old.clone();
        let speaks_of_it = ["deadman_period", "lost"].iter().any(|name| data.get(name).is_some());
        if let Some(lost) = old.as_ref().filter(|_| speaks_of_it).filter(|old| old.presence().is_overdue(ask.now)) {
            // No tick has seen to it yet.
            let lost = deadman::strike(overlay, lost, &barrier_of)?;
            (new.lost_millis, new.losses) = (lost.lost_millis, lost.losses);
            before = Some(lost);
        }
        let seconds = data.deadman_period()?.map(|period| Some(period.as_secs()).filter(|seconds| *seconds > 0));
        if let Some(seconds) = seconds.filter(|seconds| *seconds != new.deadman_seconds) {
            // From now on.
            new = Entity { deadman_seconds: seconds, ..new }.heard(ask.now);
        }
        match data.truth("lost")? {
            Some(true) => {
                return Err(bad("lost", "can only be written as false, which takes the entity back: \"disabled\" refuses its tokens"));
            }
            Some(false) if new.lost_millis.is_some() => new = new.taken_back(ask.now),
            Some(false) | None => {}
        }
        deadman::save(overlay, (before.as_ref(), &new), &barrier_of)?;
        if new.disabled && old.as_ref().is_some_and(|old| !old.disabled) {
            let_leave(ask, overlay, &new)?;
        }
        let done = match old {
            Some(_) => Done::default(),
            None => {
                Done::answer(Object::new().with("id", new.id().to_string()).with("name", new.name.as_str()).with("aliases", Value::Null))
            }
        };
        Ok(publish(ask, &new.id(), done))
    }

    fn remove(&self, ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
        identity::remove_entity(overlay, self)?;
        let namespaces = ask.core.namespaces.load_full();
        deadman::forget(overlay, self, &|id| namespaces.barrier(id));
        let_leave(ask, overlay, self)?;
        Ok(publish(ask, &self.id(), Done::default()))
    }

    fn to_object(&self, ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Object> {
        let id = self.id();
        let direct = identity::groups_of(overlay, &id)?;
        let too_many = || refused("the entity is in more groups than anybody may be in, or one of them is lost: its tokens are refused");
        let all: Vec<Id> = identity::groups_above(overlay, &id)?.ok_or_else(too_many)?.iter().map(identity::Group::id).collect();
        let inherited = all.iter().filter(|group| !direct.contains(group));
        let aliases: Vec<Object> = self.aliases.iter().map(|alias| identity_aliases::to_object(self, alias)).collect();
        let mut body = self.presence().deadman().map_or_else(Object::new, |switch| deadman::told(Object::new(), switch));
        if let Some(lost) = self.presence().lost_since(ask.now) {
            body = body.with("lost", lost.to_string());
        }
        if let Some(millis) = self.quarantined_millis {
            body = body.with("quarantined", Timestamp::from_millis(millis).to_string());
        }
        Ok(body
            .with("aliases", aliases)
            .with("creation_time", Timestamp::from_millis(self.created_millis).to_string())
            .with("direct_group_ids", id_texts(&direct))
            .with("disabled", self.disabled)
            .with("group_ids", id_texts(&all))
            .with("id", id.to_string())
            .with("inherited_group_ids", id_texts(inherited))
            .with("last_update_time", Timestamp::from_millis(self.changed_millis).to_string())
            .with("merged_entity_ids", Value::Null)
            .with("metadata", texts(&self.metadata))
            .with("name", self.name.as_str())
            .with("namespace_id", namespace_id(ask))
            .with("policies", self.policies.clone()))
    }
}

/// `LIST identity/entity/id`.
pub(super) fn list(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    detailed(ask, overlay, "entity/id/", |overlay, id| {
        let entity = identity::load_entity(overlay, id)?;
        Ok(entity.map(|entity| {
            let aliases: Vec<Object> = entity.aliases.iter().map(identity_aliases::row).collect();
            Object::new().with("name", entity.name.as_str()).with("aliases", aliases)
        }))
    })
}

/// `WRITE identity/lookup/entity`: nothing is answered where there is none.
pub(super) fn lookup(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let data = Members(ask.data);
    data.known_only(&["id", "name", "alias_id", "alias_name", "alias_mount_accessor"])?;
    let found = match one_of(data, &["id", "name", "alias_id", "alias_name"])? {
        "id" => by_id(overlay, data.required("id")?)?,
        "name" => by_name(overlay, data.required("name")?)?,
        "alias_id" => match Id::parse(data.required("alias_id")?) {
            Some(alias) => identity::by_alias(overlay, &alias)?,
            None => None,
        },
        _ => {
            let name = AliasName::parse(data.required("alias_name")?)?;
            match identity::alias_by_name(overlay, data.required("alias_mount_accessor")?, name.as_str())? {
                Some(alias) => identity::by_alias(overlay, &alias)?,
                None => None,
            }
        }
    };
    let Some(entity) = found else { return Ok(Done::default()) };
    Ok(Done { identity: Some(entity.id().to_string()), ..Done::answer(entity.to_object(ask, overlay)?) })
}

/// `sys/internal/counters/entities`: those of all namespaces, and at most [`COUNTED_ENTITIES_MAX`].
pub(super) fn count(core: &Core) -> Result<Done> {
    let mut total = 0_u64;
    for namespace in core.namespaces.load().iter() {
        let overlay = Overlay::reading(&namespace.barrier, core.source());
        overlay.scan(Kind::FolderEntry, &namespace.barrier.folder_prefix(&OWNER, "entity/id/"), |_, _| {
            total += 1;
            Ok(total < COUNTED_ENTITIES_MAX)
        })?;
        if total >= COUNTED_ENTITIES_MAX {
            break;
        }
    }
    let counters = Object::new().with("entities", Object::new().with("total", total));
    let many = format!("there are {COUNTED_ENTITIES_MAX} entities or more: no further one was counted");
    let warnings = if total >= COUNTED_ENTITIES_MAX { vec![many] } else { Vec::new() };
    Ok(Done { warnings, ..Done::answer(Object::new().with("counters", counters)) })
}

/// A new entity with a name of the vault's own choice.
pub(super) fn made(ask: &Ask<'_>) -> Result<Entity> {
    let (id, now) = (ask.core.random_id()?, ask.now.as_millis());
    let name = generated_name("entity", &id);
    Ok(Entity { id: *id.as_bytes(), name, created_millis: now, changed_millis: now, ..Entity::default() })
}

/// All tokens of an entity leave: what they have read is rotated where that is asked for.
fn let_leave(ask: &Ask<'_>, overlay: &mut Overlay<'_>, entity: &Entity) -> Result<()> {
    let namespaces = ask.core.namespaces.load_full();
    let reader = Reader::Entity(EntityRef { namespace: ask.place.namespace.id, id: entity.id() });
    Ok(usage::end_reader(overlay, &reader, true, &|id| namespaces.barrier(id))?)
}

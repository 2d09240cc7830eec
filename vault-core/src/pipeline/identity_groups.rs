//! `identity/group` and `identity/lookup/group`: entities and groups that have policies in common.

use super::given::{Members, bad};
use super::identity_named::{Named, by_id, by_name, new_name};
use super::identity_paths::{detailed, generated_name, id_texts, metadata, namespace_id, one_of, policies, publish, refused, texts};
use super::system::{Ask, Done};
use crate::barrier::Overlay;
use crate::identity::{self, Group};
use crate::types::id::Id;
use crate::types::limits::{GROUP_MEMBERS_MAX, GROUPS_PER_MEMBER_MAX};
use crate::types::{Error, Object, Result, Timestamp};

const KNOWN: [&str; 7] = ["id", "name", "type", "metadata", "policies", "member_entity_ids", "member_group_ids"];

impl Named for Group {
    const WHAT: &'static str = "group";

    fn load(overlay: &mut Overlay<'_>, id: &Id) -> Result<Option<Self>> {
        Ok(identity::load_group(overlay, id)?)
    }

    fn id_of(overlay: &mut Overlay<'_>, name: &str) -> Result<Option<Id>> {
        Ok(identity::group_by_name(overlay, name)?)
    }

    fn save(ask: &Ask<'_>, overlay: &mut Overlay<'_>, old: Option<Self>, named: Option<&str>) -> Result<Done> {
        let data = Members(ask.data);
        data.known_only(&KNOWN)?;
        if data.text("type")?.is_some_and(|kind| !matches!(kind, "" | "internal")) {
            return Err(bad("type", "must be \"internal\": external groups come with login methods, which are not in this version"));
        }
        let mut new = old.clone().map_or_else(|| made(ask), Ok)?;
        new.name = new_name::<Self>(overlay, data, named, &new.id())?.unwrap_or(new.name);
        new.metadata = metadata(data, "metadata")?.unwrap_or(new.metadata);
        new.policies = policies(data)?.unwrap_or(new.policies);
        new.entities = members(data, "member_entity_ids")?.unwrap_or(new.entities);
        new.groups = members(data, "member_group_ids")?.unwrap_or(new.groups);
        new.changed_millis = ask.now.as_millis();
        new.modified += 1;
        check_members(overlay, old.as_ref(), &new)?;
        identity::save_group(overlay, old.as_ref(), &new)?;
        let done = match old {
            Some(_) => Done::default(),
            None => Done::answer(Object::new().with("id", new.id().to_string()).with("name", new.name.as_str())),
        };
        Ok(publish(ask, &new.id(), done))
    }

    fn remove(&self, ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
        identity::remove_group(overlay, self)?;
        Ok(publish(ask, &self.id(), Done::default()))
    }

    fn to_object(&self, ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Object> {
        let parents = identity::groups_of(overlay, &self.id())?;
        Ok(Object::new()
            .with("alias", Object::new())
            .with("creation_time", Timestamp::from_millis(self.created_millis).to_string())
            .with("id", self.id().to_string())
            .with("last_update_time", Timestamp::from_millis(self.changed_millis).to_string())
            .with("member_entity_ids", id_texts(&self.entities))
            .with("member_group_ids", id_texts(&self.groups))
            .with("metadata", texts(&self.metadata))
            .with("modify_index", self.modified)
            .with("name", self.name.as_str())
            .with("namespace_id", namespace_id(ask))
            .with("parent_group_ids", id_texts(&parents))
            .with("policies", self.policies.clone())
            .with("type", "internal"))
    }
}

/// `LIST identity/group/id`.
pub(super) fn list(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    detailed(ask, overlay, "group/id/", |overlay, id| {
        let Some(group) = identity::load_group(overlay, id)? else { return Ok(None) };
        let parents = identity::groups_of(overlay, id)?.len() as u64;
        let members = group.entities.len() as u64;
        Ok(Some(Object::new().with("name", group.name).with("num_member_entities", members).with("num_parent_groups", parents)))
    })
}

/// `WRITE identity/lookup/group`: nothing is answered where there is none.
pub(super) fn lookup(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let data = Members(ask.data);
    data.known_only(&["id", "name"])?;
    let found = match one_of(data, &["id", "name"])? {
        "id" => by_id::<Group>(overlay, data.required("id")?)?,
        _ => by_name(overlay, data.required("name")?)?,
    };
    let Some(group) = found else { return Ok(Done::default()) };
    Ok(Done { identity: Some(group.id().to_string()), ..Done::answer(group.to_object(ask, overlay)?) })
}

fn made(ask: &Ask<'_>) -> Result<Group> {
    let id = ask.core.random_id()?;
    let name = generated_name("group", &id);
    Ok(Group { id: *id.as_bytes(), name, created_millis: ask.now.as_millis(), ..Group::default() })
}

/// Ids of members, each once.
fn members(data: Members<'_>, member: &str) -> Result<Option<Vec<Id>>> {
    let Some(given) = data.texts(member)? else { return Ok(None) };
    if given.len() > GROUP_MEMBERS_MAX {
        return Err(bad(member, &format!("are at most {GROUP_MEMBERS_MAX}: put further ones into groups that are members")));
    }
    let ids = given.into_iter().map(|id| Id::parse(id).ok_or_else(|| unknown(member)));
    let mut ids = ids.collect::<Result<Vec<Id>>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(Some(ids))
}

/// Whether those who come into the group are there, and the group comes to lie in no group of its own. What is read becomes an expectation of
/// the commit.
fn check_members(overlay: &mut Overlay<'_>, old: Option<&Group>, new: &Group) -> Result<()> {
    let is_new = |id: &Id, before: fn(&Group) -> &Vec<Id>| old.is_none_or(|old| !before(old).contains(id));
    for id in new.entities.iter().filter(|id| is_new(id, |group| &group.entities)) {
        identity::load_entity(overlay, id)?.ok_or_else(|| unknown("member_entity_ids"))?;
        check_room(overlay, id)?;
    }
    let joining: Vec<Id> = new.groups.iter().filter(|id| is_new(id, |group| &group.groups)).copied().collect();
    if joining.is_empty() {
        return Ok(());
    }
    let too_many = || refused("the group lies in more groups than anybody may be in");
    let mut above: Vec<Id> = identity::groups_above(overlay, &new.id())?.ok_or_else(too_many)?.iter().map(Group::id).collect();
    above.push(new.id());
    for id in &joining {
        identity::load_group(overlay, id)?.ok_or_else(|| unknown("member_group_ids"))?;
        if above.contains(id) {
            return Err(refused("cyclic relationship: a group of \"member_group_ids\" has this group among its members"));
        }
        check_room(overlay, id)?;
    }
    Ok(())
}

fn check_room(overlay: &mut Overlay<'_>, member: &Id) -> Result<()> {
    if identity::groups_of(overlay, member)?.len() >= GROUPS_PER_MEMBER_MAX {
        return Err(refused(&format!("one of the members is in {GROUPS_PER_MEMBER_MAX} groups already: put groups into groups")));
    }
    Ok(())
}

fn unknown(member: &str) -> Error {
    bad(member, "has an id that is none in this namespace")
}

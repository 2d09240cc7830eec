//! `identity/`: entities, their aliases and groups, by the paths and shapes that users of Vault and OpenBao know.

use super::given::{Members, bad};
use super::system::{Ask, Done};
use super::{identity_aliases, identity_entities, identity_groups, identity_named as named};
use crate::barrier::Overlay;
use crate::identity::{Entity, Group, IdentityName, OWNER};
use crate::policy::PolicyName;
use crate::types::id::Id;
use crate::types::limits::{
    CUSTOM_KEY_BYTES_MAX, CUSTOM_KEYS_MAX, CUSTOM_VALUE_BYTES_MAX, DETAILED_NAMES_MAX, IDENTITY_POLICIES_MAX, LIST_NAMES_MAX,
};
use crate::types::{Code, Error, Object, Operation, Result, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One of these paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum IdentityPath<'p> {
    Entity,
    EntityIds,
    EntityId(&'p str),
    EntityNames,
    EntityName(&'p str),
    Alias,
    AliasIds,
    AliasId(&'p str),
    Group,
    GroupIds,
    GroupId(&'p str),
    GroupNames,
    GroupName(&'p str),
    LookupEntity,
    LookupGroup,
}

impl<'p> IdentityPath<'p> {
    /// The path, from the whole of it; it has no slash at its end.
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        let rest = path.strip_prefix("identity/")?;
        Some(match rest {
            "entity" => IdentityPath::Entity,
            "entity/id" => IdentityPath::EntityIds,
            "entity/name" => IdentityPath::EntityNames,
            "entity-alias" => IdentityPath::Alias,
            "entity-alias/id" => IdentityPath::AliasIds,
            "group" => IdentityPath::Group,
            "group/id" => IdentityPath::GroupIds,
            "group/name" => IdentityPath::GroupNames,
            "lookup/entity" => IdentityPath::LookupEntity,
            "lookup/group" => IdentityPath::LookupGroup,
            _ => {
                let (folder, last) = rest.rsplit_once('/')?;
                match folder {
                    "entity/id" => IdentityPath::EntityId(last),
                    "entity/name" => IdentityPath::EntityName(last),
                    "entity-alias/id" => IdentityPath::AliasId(last),
                    "group/id" => IdentityPath::GroupId(last),
                    "group/name" => IdentityPath::GroupName(last),
                    _ => return None,
                }
            }
        })
    }

    /// Whether nothing is changed there, even where it is written to.
    pub(super) fn only_tells(self) -> bool {
        matches!(self, IdentityPath::LookupEntity | IdentityPath::LookupGroup)
    }
}

/// The name that a path ends in, and its one spelling, by which policies see it.
pub(super) fn canonical_name(path: IdentityPath<'_>) -> Option<(&str, String)> {
    let (IdentityPath::EntityName(name) | IdentityPath::GroupName(name)) = path else { return None };
    Some((name, IdentityName::parse(name).ok()?.as_str().to_owned()))
}

pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: IdentityPath<'_>) -> Result<Done> {
    match (operation, path) {
        (Operation::Write, IdentityPath::Entity) => named::write::<Entity>(ask, overlay),
        (Operation::List, IdentityPath::EntityIds) => identity_entities::list(ask, overlay),
        (Operation::Read, IdentityPath::EntityId(id)) => named::read::<Entity>(ask, overlay, id),
        (Operation::Write, IdentityPath::EntityId(id)) => named::write_by_id::<Entity>(ask, overlay, id),
        (Operation::Delete, IdentityPath::EntityId(id)) => named::delete::<Entity>(ask, overlay, id),
        (Operation::List, IdentityPath::EntityNames) => names(ask, overlay, "entity/name/"),
        (Operation::Read, IdentityPath::EntityName(name)) => named::read_by_name::<Entity>(ask, overlay, name),
        (Operation::Write, IdentityPath::EntityName(name)) => named::write_by_name::<Entity>(ask, overlay, name),
        (Operation::Delete, IdentityPath::EntityName(name)) => named::delete_by_name::<Entity>(ask, overlay, name),
        (Operation::Write, IdentityPath::Alias) => identity_aliases::write(ask, overlay),
        (Operation::List, IdentityPath::AliasIds) => identity_aliases::list(ask, overlay),
        (Operation::Read, IdentityPath::AliasId(id)) => identity_aliases::read(ask, overlay, id),
        (Operation::Write, IdentityPath::AliasId(id)) => identity_aliases::write_by_id(ask, overlay, id),
        (Operation::Delete, IdentityPath::AliasId(id)) => identity_aliases::delete(ask, overlay, id),
        (Operation::Write, IdentityPath::Group) => named::write::<Group>(ask, overlay),
        (Operation::List, IdentityPath::GroupIds) => identity_groups::list(ask, overlay),
        (Operation::Read, IdentityPath::GroupId(id)) => named::read::<Group>(ask, overlay, id),
        (Operation::Write, IdentityPath::GroupId(id)) => named::write_by_id::<Group>(ask, overlay, id),
        (Operation::Delete, IdentityPath::GroupId(id)) => named::delete::<Group>(ask, overlay, id),
        (Operation::List, IdentityPath::GroupNames) => names(ask, overlay, "group/name/"),
        (Operation::Read, IdentityPath::GroupName(name)) => named::read_by_name::<Group>(ask, overlay, name),
        (Operation::Write, IdentityPath::GroupName(name)) => named::write_by_name::<Group>(ask, overlay, name),
        (Operation::Delete, IdentityPath::GroupName(name)) => named::delete_by_name::<Group>(ask, overlay, name),
        (Operation::Write, IdentityPath::LookupEntity) => identity_entities::lookup(ask, overlay),
        (Operation::Write, IdentityPath::LookupGroup) => identity_groups::lookup(ask, overlay),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

/// Puts a change of identities into effect, once it is durable.
pub(super) fn publish(ask: &Ask<'_>, id: &Id, done: Done) -> Done {
    let identities = Arc::clone(&ask.place.namespace.identities);
    Done { identity: Some(id.to_string()), ..done }.publishing(move || identities.changed())
}

/// What a listing answers by names alone.
fn names(ask: &Ask<'_>, overlay: &Overlay<'_>, folder: &str) -> Result<Done> {
    Ok(Done::answer(Object::new().with("keys", listed(ask, overlay, folder)?)))
}

/// What a listing answers by ids, with something of each where there are not too many.
pub(super) fn detailed(
    ask: &Ask<'_>,
    overlay: &mut Overlay<'_>,
    folder: &str,
    mut tell: impl FnMut(&mut Overlay<'_>, &Id) -> Result<Option<Object>>,
) -> Result<Done> {
    let keys = listed(ask, overlay, folder)?;
    if keys.len() > DETAILED_NAMES_MAX {
        let why = format!("there are more than {DETAILED_NAMES_MAX} ids: pages of that many, with \"limit\" and \"after\", have key_info");
        return Ok(Done { warnings: vec![why], ..Done::answer(Object::new().with("keys", keys)) });
    }
    let mut info = Object::new();
    for key in &keys {
        if let Some(told) = Id::parse(key).map(|id| tell(overlay, &id)).transpose()?.flatten() {
            info.insert(key, told);
        }
    }
    Ok(Done::answer(Object::new().with("keys", keys).with("key_info", info)))
}

/// The names in a folder, whole or by pages: `limit` of them that come after the name `after`.
fn listed(ask: &Ask<'_>, overlay: &Overlay<'_>, folder: &str) -> Result<Vec<String>> {
    let data = Members(ask.data);
    let limit = data.whole("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    if limit.is_some_and(|limit| limit > LIST_NAMES_MAX) {
        return Err(bad("limit", &format!("is at most {LIST_NAMES_MAX}")));
    }
    let names = overlay.children_after(&OWNER, folder, data.text("after")?.unwrap_or_default(), limit)?;
    if names.is_empty() { Err(Error::new(Code::NotFound, "there are none")) } else { Ok(names) }
}

/// Policies that an identity is to give: each in its one spelling, and none of the vault's own.
pub(super) fn policies(data: Members<'_>) -> Result<Option<Vec<String>>> {
    let Some(names) = data.texts("policies")? else { return Ok(None) };
    if names.len() > IDENTITY_POLICIES_MAX {
        return Err(bad("policies", &format!("are at most {IDENTITY_POLICIES_MAX}")));
    }
    let mut policies = Vec::new();
    for name in names {
        let name = PolicyName::parse(name)?;
        if name.check_writable().is_err() {
            return Err(bad("policies", "cannot have \"root\" or \"response-wrapping\": no identity gives them"));
        }
        policies.push(name.as_str().to_owned());
    }
    policies.sort_unstable();
    policies.dedup();
    Ok(Some(policies))
}

/// Texts by names, of a member of the request's data.
pub(super) fn metadata(data: Members<'_>, member: &str) -> Result<Option<BTreeMap<String, String>>> {
    let Some(given) = data.get(member) else { return Ok(None) };
    let limits = || {
        let why = format!(
            "is an object of texts: at most {CUSTOM_KEYS_MAX}, with names of {CUSTOM_KEY_BYTES_MAX} bytes and texts of {CUSTOM_VALUE_BYTES_MAX}"
        );
        bad(member, &why)
    };
    let given = given.as_object().filter(|given| given.len() <= CUSTOM_KEYS_MAX).ok_or_else(limits)?;
    let texts = given.iter().map(|(name, text)| {
        let text = text.as_str().filter(|text| text.len() <= CUSTOM_VALUE_BYTES_MAX);
        let text = text.filter(|_| !name.is_empty() && name.len() <= CUSTOM_KEY_BYTES_MAX).ok_or_else(limits)?;
        Ok((name.to_owned(), text.to_owned()))
    });
    texts.collect::<Result<_>>().map(Some)
}

/// A name of the vault's own choice.
pub(super) fn generated_name(of: &str, id: &Id) -> String {
    let text = id.to_string();
    format!("{of}_{}", text.split('-').next().unwrap_or_default())
}

/// The one of some members that a look-up brings.
pub(super) fn one_of<'n>(data: Members<'_>, names: &[&'n str]) -> Result<&'n str> {
    let mut given = names.iter().filter(|name| data.get(name).is_some_and(|value| value.as_str() != Some("")));
    match (given.next(), given.next()) {
        (Some(name), None) => Ok(name),
        _ => Err(Error::new(Code::InvalidRequest, format!("pass one of these: {}", names.join(", ")))),
    }
}

/// Metadata, as replies have it.
pub(super) fn texts(metadata: &BTreeMap<String, String>) -> Object {
    metadata.iter().map(|(name, text)| (name.as_str(), Value::string(text.as_str()))).collect()
}

/// How replies name the namespace of an identity.
pub(super) fn namespace_id(ask: &Ask<'_>) -> String {
    let namespace = &ask.place.namespace;
    if namespace.is_root() { "root".to_owned() } else { namespace.id.to_string() }
}

/// Ids, as replies have them.
pub(super) fn id_texts<'i>(ids: impl IntoIterator<Item = &'i Id>) -> Vec<String> {
    ids.into_iter().map(Id::to_string).collect()
}

pub(super) fn refused(why: &str) -> Error {
    Error::new(Code::InvalidRequest, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_one_and_what_is_none_is_unknown() {
        for (path, expected) in [
            ("identity/entity", Some(IdentityPath::Entity)),
            ("identity/entity/id", Some(IdentityPath::EntityIds)),
            ("identity/entity/name/ann", Some(IdentityPath::EntityName("ann"))),
            ("identity/entity/name/a/b", None),
            ("identity/group/id/x", Some(IdentityPath::GroupId("x"))),
            ("identity/entity-alias/id/x", Some(IdentityPath::AliasId("x"))),
            ("identity/oidc/key/x", None),
            ("identity", None),
        ] {
            assert_eq!(IdentityPath::parse(path), expected, "{path}");
        }
    }
}

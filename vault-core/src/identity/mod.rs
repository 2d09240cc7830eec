//! Who people and programs are, whichever way they come: entities, the aliases by which they log in, and the groups that they are in.

mod name;
mod presence;
mod record;
mod standing;
mod store;

pub(crate) use name::{AliasName, IdentityName};
pub(crate) use record::{Alias, Entity, EntityRef, Group};
pub(crate) use standing::{Standing, groups_above, standing};
pub(crate) use store::{
    OWNER, alias_by_name, by_alias, entity_by_name, entity_key, group_by_name, groups_of, load_entity, load_group, remove_entity,
    remove_group, save_entity, save_group,
};
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) use store::{paths_of_entity, paths_of_group};

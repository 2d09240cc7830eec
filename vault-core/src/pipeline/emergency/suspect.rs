//! What is out, or who is not to be trusted any more, as a request says it.

use super::look::is_own;
use crate::identity::{Entity, IdentityName};
use crate::pipeline::given::Members;
use crate::pipeline::identity_named;
use crate::pipeline::system::Ask;
use crate::types::id::Id;
use crate::types::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};
use crate::types::{Code, Error, Path, Result};

/// What is out, or whose token is not trusted any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Suspect {
    /// A path of the root namespace with all that is below it, such as `secret/data/app` or `database/creds/app`.
    Path(String),
    /// All paths that begin so, but for the vault's own (`sys/`, `auth/`, `cubbyhole/`). Not all of the vault: it is not empty.
    Prefix(String),
    /// The accessor of a token: all that it, and those that it has made, have read.
    Accessor(String),
    /// The id or the name of an entity of the root namespace: all that its tokens, and those that they have made, have read. One that is
    /// deleted is still known by its id.
    Entity(String),
}

impl Suspect {
    /// What a request names; an entity by its id.
    pub(super) fn of(ask: &Ask<'_>) -> Result<Self> {
        let data = Members(ask.data);
        let given = [data.text("path")?, data.text("prefix")?, data.text("accessor")?, data.text("entity")?];
        let [path, prefix, accessor, entity] = given.map(|text| text.filter(|text| !text.is_empty()));
        // All of the vault is nothing that is out.
        let has_beginning = prefix.is_none_or(|prefix| !prefix.trim_start_matches('/').is_empty());
        match [path, prefix.filter(|_| has_beginning), accessor, entity] {
            [Some(path), None, None, None] => Ok(Suspect::Path(Path::parse(path)?.as_str().trim_end_matches('/').to_owned())),
            [None, Some(prefix), None, None] if prefix.len() <= PATH_BYTES_MAX => {
                Ok(Suspect::Prefix(prefix.trim_start_matches('/').to_owned()))
            }
            [None, None, Some(accessor), None] if accessor.len() <= NAME_BYTES_MAX => Ok(Suspect::Accessor(accessor.to_owned())),
            [None, None, None, Some(entity)] => {
                let found = entity_of(ask, entity)?.map(|found| found.id());
                let id = found.or_else(|| Id::parse(entity)).ok_or_else(|| no_entity(": pass the id of one that was deleted"))?;
                Ok(Suspect::Entity(id.to_string()))
            }
            _ => {
                let why = "pass one of \"path\", \"prefix\", \"accessor\" and \"entity\": what is out, or whose token is";
                Err(Error::new(Code::InvalidData, why))
            }
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Suspect::Path(_) => "path",
            Suspect::Prefix(_) => "prefix",
            Suspect::Accessor(_) => "accessor",
            Suspect::Entity(_) => "entity",
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Suspect::Path(text) | Suspect::Prefix(text) | Suspect::Accessor(text) | Suspect::Entity(text) => text,
        }
    }

    /// Whether a path is among those that are out; none is by itself where it is somebody who is not trusted.
    pub(super) fn covers(&self, path: &str) -> bool {
        match self {
            Suspect::Path(folder) => path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Suspect::Prefix(prefix) => path.starts_with(prefix.as_str()) && !is_own(path),
            Suspect::Accessor(_) | Suspect::Entity(_) => false,
        }
    }
}

/// The entity of the root namespace with that id, else the one of that name.
pub(super) fn entity_of(ask: &Ask<'_>, text: &str) -> Result<Option<Entity>> {
    let mut overlay = ask.core.reading();
    match identity_named::by_id(&mut overlay, text)? {
        Some(entity) => Ok(Some(entity)),
        // What can be no name is nobody's.
        None if IdentityName::parse(text).is_ok() => identity_named::by_name(&mut overlay, text),
        None => Ok(None),
    }
}

pub(super) fn no_entity(advice: &str) -> Error {
    Error::new(Code::InvalidRequest, format!("there is no entity with that id or name in the root namespace{advice}"))
}

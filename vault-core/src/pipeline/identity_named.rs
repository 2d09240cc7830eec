//! What the paths of entities and of groups have in common: both are written, read and deleted by their id and by their name.

use super::given::Members;
use super::identity_paths::refused;
use super::system::{Ask, Done};
use crate::barrier::Overlay;
use crate::identity::IdentityName;
use crate::types::id::Id;
use crate::types::{Code, Error, Object, Result};

/// An entity or a group.
pub(super) trait Named: Sized {
    /// What it is, in what is answered.
    const WHAT: &'static str;

    fn load(overlay: &mut Overlay<'_>, id: &Id) -> Result<Option<Self>>;

    /// The id of the one that has a name, in the name's one spelling.
    fn id_of(overlay: &mut Overlay<'_>, name: &str) -> Result<Option<Id>>;

    /// Changes one, or makes one. `named` is the name in the path, which goes before one in the data.
    fn save(ask: &Ask<'_>, overlay: &mut Overlay<'_>, old: Option<Self>, named: Option<&str>) -> Result<Done>;

    fn remove(&self, ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done>;

    fn to_object(&self, ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Object>;
}

/// `WRITE identity/WHAT`: the one of the `id`, else of the `name`, else a new one.
pub(super) fn write<N: Named>(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let data = Members(ask.data);
    if let Some(id) = data.text("id")?.filter(|id| !id.is_empty()) {
        return write_by_id::<N>(ask, overlay, id);
    }
    let found = match data.text("name")?.filter(|name| !name.is_empty()) {
        Some(name) => by_name(overlay, name)?,
        None => None,
    };
    N::save(ask, overlay, found, None)
}

/// `WRITE identity/WHAT/id/ID`: what is not named stays as it was.
pub(super) fn write_by_id<N: Named>(ask: &Ask<'_>, overlay: &mut Overlay<'_>, id: &str) -> Result<Done> {
    let none = || refused(&format!("invalid {} id: there is none such in this namespace", N::WHAT));
    let found = by_id(overlay, id)?.ok_or_else(none)?;
    N::save(ask, overlay, Some(found), None)
}

/// `WRITE identity/WHAT/name/NAME`: the one of that name, else a new one.
pub(super) fn write_by_name<N: Named>(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let found = by_name(overlay, name)?;
    N::save(ask, overlay, found, Some(name))
}

/// `READ identity/WHAT/id/ID`.
pub(super) fn read<N: Named>(ask: &Ask<'_>, overlay: &mut Overlay<'_>, id: &str) -> Result<Done> {
    let found = by_id::<N>(overlay, id)?;
    shown(ask, overlay, found)
}

/// `READ identity/WHAT/name/NAME`.
pub(super) fn read_by_name<N: Named>(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let found = by_name::<N>(overlay, name)?;
    shown(ask, overlay, found)
}

/// `DELETE identity/WHAT/id/ID`: an entity's tokens are refused from then on, and a group's members stay.
pub(super) fn delete<N: Named>(ask: &Ask<'_>, overlay: &mut Overlay<'_>, id: &str) -> Result<Done> {
    let found = by_id::<N>(overlay, id)?;
    found.map_or_else(|| Ok(Done::default()), |found| found.remove(ask, overlay))
}

/// `DELETE identity/WHAT/name/NAME`.
pub(super) fn delete_by_name<N: Named>(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let found = by_name::<N>(overlay, name)?;
    found.map_or_else(|| Ok(Done::default()), |found| found.remove(ask, overlay))
}

/// The one of an id, as requests write it.
pub(super) fn by_id<N: Named>(overlay: &mut Overlay<'_>, id: &str) -> Result<Option<N>> {
    Id::parse(id).map_or(Ok(None), |id| N::load(overlay, &id))
}

/// The one of a name, as requests write it.
pub(super) fn by_name<N: Named>(overlay: &mut Overlay<'_>, name: &str) -> Result<Option<N>> {
    let name = IdentityName::parse(name)?;
    match N::id_of(overlay, name.as_str())? {
        Some(id) => N::load(overlay, &id),
        None => Ok(None),
    }
}

/// The name that a write gives the one of this id, if any: that of the path, else that of the data.
pub(super) fn new_name<N: Named>(overlay: &mut Overlay<'_>, data: Members<'_>, named: Option<&str>, id: &Id) -> Result<Option<String>> {
    let Some(name) = named.or(data.text("name")?).filter(|name| !name.is_empty()) else { return Ok(None) };
    let name = IdentityName::parse(name)?;
    // What is read here becomes an expectation of the commit: of two that take one name, one is refused. Where another has made one of that name since
    // it was looked up, the request is carried out anew, and means that one.
    if N::id_of(overlay, name.as_str())?.is_some_and(|of| of != *id) {
        return Err(refused(&format!("the name is another {}'s: choose another", N::WHAT)));
    }
    Ok(Some(name.as_str().to_owned()))
}

fn shown<N: Named>(ask: &Ask<'_>, overlay: &mut Overlay<'_>, found: Option<N>) -> Result<Done> {
    let found = found.ok_or_else(|| Error::new(Code::NotFound, format!("there is no such {}", N::WHAT)))?;
    Ok(Done::answer(found.to_object(ask, overlay)?))
}

//! Listings, whole or by pages: `limit` names in order that come after the name `after`.

use super::input::{integer, member, not_found};
use crate::barrier::Overlay;
use crate::engines::Outcome;
use crate::types::id::Id;
use crate::types::limits::LIST_NAMES_MAX;
use crate::types::{Code, Error, Object, Result, Value};

/// The names directly below a folder, as the request asks for them.
pub(in crate::engines) fn list(overlay: &Overlay<'_>, owner: &Id, folder: &str, data: Option<&Value>) -> Result<Outcome> {
    let names = names(overlay, owner, folder, data, LIST_NAMES_MAX)?;
    Ok(Outcome { data: Some(Object::new().with("keys", names).into()), ..Outcome::default() })
}

/// Those names, so many at most.
pub(in crate::engines) fn names(overlay: &Overlay<'_>, owner: &Id, folder: &str, data: Option<&Value>, most: usize) -> Result<Vec<String>> {
    let bad = |why: &str| Error::new(Code::InvalidData, why.to_owned());
    let after = match member(data, "after") {
        None => "",
        Some(name) => name.as_str().ok_or_else(|| bad("\"after\" must be a name of the listing, as text"))?,
    };
    // As users know it, zero and below mean all.
    let limit = match member(data, "limit") {
        None => 0,
        Some(limit) => integer(limit).ok_or_else(|| bad("\"limit\" must be a whole number"))?,
    };
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    if limit.is_some_and(|limit| limit > most) {
        return Err(bad(&format!("\"limit\" is at most {most}")));
    }
    let folder = if folder.is_empty() || folder.ends_with('/') { folder.to_owned() } else { format!("{folder}/") };
    // One more than there may be tells whether there are more.
    let names = overlay.children_after(owner, &folder, after, limit.or_else(|| most.checked_add(1)))?;
    if names.is_empty() {
        return Err(not_found());
    }
    if names.len() > most {
        let why = format!("there are more than {most} names, which come by pages only: use \"limit\" and \"after\"");
        return Err(Error::new(Code::InvalidRequest, why));
    }
    Ok(names)
}

//! Somebody who is held still: a token with all that it has made, or an entity with all its tokens, may do nothing until it is released or ended, and only
//! the leases are lost.

use super::suspect::{entity_of, no_entity};
use crate::auth::{TokenEntry, records};
use crate::barrier::Overlay;
use crate::identity::{self, Entity};
use crate::lease::chore;
use crate::pipeline::given::Members;
use crate::pipeline::system::{Ask, Done};
use crate::pipeline::{identity_paths, token_look};
use crate::types::id::Id;
use crate::types::{Code, Error, Result};
use std::sync::Arc;

/// `WRITE sys/emergency/quarantine` and `release`, by accessor or entity. The leases of whoever is held end with it, those of a token's
/// descendants too: what they gave works outside the vault.
pub(super) fn set(ask: &Ask<'_>, overlay: &mut Overlay<'_>, held: bool) -> Result<Done> {
    let data = Members(ask.data);
    data.known_only(&["accessor", "entity"])?;
    let named = |name| data.text(name).map(|text| text.filter(|text| !text.is_empty()));
    match (named("accessor")?, named("entity")?) {
        (None, Some(entity)) => set_entity(ask, overlay, entity, held),
        (Some(_), None) => set_token(ask, overlay, held),
        _ => Err(Error::new(Code::InvalidData, "pass one of \"accessor\" and \"entity\": who is held still, or is to be")),
    }
}

fn set_token(ask: &Ask<'_>, overlay: &mut Overlay<'_>, held: bool) -> Result<Done> {
    let target = token_look::by_accessor(ask, overlay)?;
    if ask.caller.hangs_on(&target.entry.accessor) {
        let why = "a token cannot hold itself still, nor one that it was made by: ask with another one";
        return Err(Error::new(Code::InvalidRequest, why));
    }
    let concerns = token_look::told_accessor(ask, &target.entry);
    if target.entry.quarantined_millis.is_some() == held {
        return Ok(Done { concerns, ..Done::default() });
    }
    let namespaces = ask.core.namespaces.load_full();
    let barrier_of = |id: &Id| namespaces.barrier(id);
    let new = TokenEntry { quarantined_millis: held.then(|| ask.now.as_millis()), ..target.entry.clone() };
    records::replace(overlay, &target.id.key, (&target.entry, &new), &barrier_of)?;
    if held {
        chore::hold_family(overlay, &target.id, &barrier_of)?;
    }
    let (tokens, id) = (Arc::clone(&ask.core.tokens), target.id);
    Ok(Done { concerns, ..Done::default() }.publishing(move || tokens.forget(&[id])))
}

fn set_entity(ask: &Ask<'_>, overlay: &mut Overlay<'_>, entity: &str, held: bool) -> Result<Done> {
    // A deleted one has no tokens that do anything.
    let none = || no_entity(": one that was deleted needs no quarantine, its tokens are refused");
    let id = entity_of(ask, entity)?.ok_or_else(none)?.id();
    // Read anew: what is read here becomes an expectation of the commit.
    let old = identity::load_entity(overlay, &id)?.ok_or_else(none)?;
    if ask.caller.entry.entity().is_some_and(|own| own.id == id) {
        let why = "a token cannot hold still the entity that it is of: ask with the token of another one";
        return Err(Error::new(Code::InvalidRequest, why));
    }
    if old.quarantined_millis.is_some() == held {
        return Ok(Done { identity: Some(id.to_string()), ..Done::default() });
    }
    let new = Entity { quarantined_millis: held.then(|| ask.now.as_millis()), ..old.clone() };
    identity::save_entity(overlay, Some(&old), &new)?;
    if held {
        let namespaces = ask.core.namespaces.load_full();
        chore::hold_entity(overlay, new.id, &|id| namespaces.barrier(id))?;
    }
    Ok(identity_paths::publish(ask, &id, Done::default()))
}

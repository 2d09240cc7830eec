//! Entities that must check in: that one was heard of is noted, and one that was not is lost with its tokens and leases.

use super::core::Core;
use super::tick;
use crate::auth::{BarrierOf, Due, due};
use crate::barrier::{BarrierError, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::identity::{self, Entity, EntityRef};
use crate::lease::chore;
use crate::managed::usage::{self, Reader};
use crate::types::deadman::Deadman;
use crate::types::id::Id;
use crate::types::limits::COMMIT_RETRIES_MAX;
use crate::types::{Object, Result, Timestamp};
use std::sync::Arc;

/// Lays an entity into the store, in the place of what it was, so that a tick sees to its loss.
pub(super) fn save(
    overlay: &mut Overlay<'_>,
    (old, new): (Option<&Entity>, &Entity),
    barrier_of: BarrierOf<'_>,
) -> Result<(), BarrierError> {
    identity::save_entity(overlay, old, new)?;
    let (before, after) = (old.and_then(|old| old.presence().due()), new.presence().due());
    due::move_to(overlay, &due_of(overlay, new), (before, after), barrier_of)?;
    match barrier_of(&Id::ROOT).filter(|_| before != after) {
        Some(root) => tick::look_at(overlay, &root, after),
        None => Ok(()),
    }
}

/// Takes an entity out of what is due, since it is removed.
pub(super) fn forget(overlay: &mut Overlay<'_>, entity: &Entity, barrier_of: BarrierOf<'_>) {
    due::leave(overlay, &due_of(overlay, entity), entity.presence().due(), barrier_of);
}

/// Notes the loss of an entity of which nothing was heard for too long, through an overlay of its namespace: its leases end, and what its tokens
/// have read is rotated where that is asked for. What it is from then on.
pub(super) fn strike(overlay: &mut Overlay<'_>, old: &Entity, barrier_of: BarrierOf<'_>) -> Result<Entity, BarrierError> {
    let new = old.clone().with_loss_noted();
    save(overlay, (Some(old), &new), barrier_of)?;
    chore::hold_entity(overlay, new.id, barrier_of)?;
    let reader = EntityRef { namespace: *overlay.barrier().namespace(), id: new.id() };
    usage::end_reader(overlay, &Reader::Entity(reader), true, barrier_of)?;
    Ok(new)
}

/// Notes that an entity is heard of, where that is to be noted.
pub(super) fn note_use(core: &Core, entity: &EntityRef, now: Timestamp) -> Result<()> {
    let namespaces = core.namespaces.load_full();
    let Some(namespace) = namespaces.get(&entity.namespace) else { return Ok(()) };
    for _ in 0..=COMMIT_RETRIES_MAX {
        let mut overlay = Overlay::writing(&namespace.barrier, core.source());
        let old = identity::load_entity(&mut overlay, &entity.id)?;
        let Some(old) = old.filter(|old| old.is_good() && old.presence().is_use_noted(now)) else { return Ok(()) };
        save(&mut overlay, (Some(&old), &old.clone().heard(now)), &|id| namespaces.barrier(id))?;
        let (identities, id) = (Arc::clone(&namespace.identities), entity.id);
        let publish = move || identities.forget(&id);
        match core.committer.commit(Proposal { writes: overlay.into_writes(), publish: Some(Box::new(publish)), ..Proposal::default() }) {
            Err(CommitError::Conflict) => {}
            noted => return Ok(noted.map(drop)?),
        }
    }
    Err(CommitError::Conflict.into())
}

/// What replies tell of a switch.
pub(super) fn told(body: Object, deadman: Deadman) -> Object {
    body.with("deadman_period", deadman.seconds)
        .with("last_noted_use", Timestamp::from_millis(deadman.used_millis).to_string())
        .with("deadman_deadline", deadman.deadline().to_string())
}

fn due_of(overlay: &Overlay<'_>, entity: &Entity) -> Due {
    Due::Entity(EntityRef { namespace: *overlay.barrier().namespace(), id: entity.id() })
}

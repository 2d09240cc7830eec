//! What the pipeline knows of leases: whether one still holds, how one is changed, and what is told of it.

use super::core::Core;
use super::namespaces::{Namespace, Namespaces};
use super::tokens;
use crate::audit::Event;
use crate::auth::TokenRef;
use crate::barrier::{Barrier, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::host::{LeaseChange, LeaseNotice};
use crate::identity;
use crate::lease::chore::{self, Chore};
use crate::lease::shared::{self, Shared};
use crate::lease::{Lease, LeaseRef, index};
use crate::types::id::Id;
use crate::types::{Result, Timestamp};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// The barriers of all namespaces.
pub(super) fn barrier_of(namespaces: &Namespaces) -> impl Fn(&Id) -> Option<Arc<Barrier>> + '_ {
    |id| namespaces.barrier(id)
}

/// What a hook is told.
pub(super) fn notice(change: LeaseChange, lease: &Lease, namespace: &Namespace) -> LeaseNotice {
    LeaseNotice::new(change, lease.id.clone(), namespace.path.clone(), lease.expires())
}

/// Whether a lease holds: it was handed out, its time has not ended, and neither has what it belongs to. What is read becomes an expectation
/// of a commit but for ancestors of its token, whose end removes the token too.
pub(super) fn holds(core: &Core, overlay: &mut Overlay<'_>, lease: &Lease, now: Timestamp) -> Result<bool> {
    let namespaces = core.namespaces.load_full();
    if !lease.is_running(now) || chore::ends_already(overlay, lease, &barrier_of(&namespaces))? {
        return Ok(false);
    }
    if of_held_entity(overlay, lease, &namespaces, now)? {
        return Ok(false);
    }
    let token = tokens::look_up(core, &namespaces, lease.holder())?;
    Ok(token.is_some_and(|token| !token.has_expired(now) && !token.is_quarantined()))
}

/// Whether a lease is of an entity that is held still or lost: what ends its leases may lie in a namespace above.
fn of_held_entity(overlay: &mut Overlay<'_>, lease: &Lease, namespaces: &Namespaces, now: Timestamp) -> Result<bool> {
    let Some(of) = &lease.entity else { return Ok(false) };
    let Some(barrier) = namespaces.barrier(&Id::from_bytes(of.namespace)) else { return Ok(false) };
    let entity = overlay.within(&barrier, |overlay| identity::load_entity(overlay, &Id::from_bytes(of.id)))?;
    Ok(entity.is_some_and(|entity| entity.quarantined_millis.is_some() || entity.presence().lost_since(now).is_some()))
}

/// The same of many leases of one namespace, for requests that only read: what they have in common is read once.
pub(super) struct Holding {
    chores: Vec<Chore>,
    /// Those of other namespaces that their holders and entities are of.
    elsewhere: HashMap<Id, Vec<Chore>>,
    tokens: HashMap<TokenRef, bool>,
}

impl Holding {
    pub(super) fn of(overlay: &Overlay<'_>) -> Result<Self> {
        Ok(Holding { chores: chore::all(overlay)?, elsewhere: HashMap::new(), tokens: HashMap::new() })
    }

    /// Whether a lease holds.
    pub(super) fn holds(&mut self, core: &Core, overlay: &mut Overlay<'_>, lease: &Lease, now: Timestamp) -> Result<bool> {
        if !lease.is_running(now) || self.chores.iter().any(|chore| chore.ends(lease)) {
            return Ok(false);
        }
        for namespace in chore::elsewhere(lease, overlay.barrier().namespace()) {
            if self.chores_of(core, namespace)?.iter().any(|chore| chore.ends_from_above(lease)) {
                return Ok(false);
            }
        }
        if let Some(known) = self.tokens.get(&lease.holder()) {
            return Ok(*known);
        }
        let namespaces = core.namespaces.load_full();
        let token = tokens::look_up(core, &namespaces, lease.holder())?.filter(|token| !token.has_expired(now) && !token.is_quarantined());
        let holds = token.is_some()
            && chore::is_held(overlay, lease, &barrier_of(&namespaces))?
            && !of_held_entity(overlay, lease, &namespaces, now)?;
        self.tokens.insert(lease.holder(), holds);
        Ok(holds)
    }

    fn chores_of(&mut self, core: &Core, namespace: Id) -> Result<&[Chore]> {
        match self.elsewhere.entry(namespace) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(entry) => {
                let found = core.namespaces.load().get(&namespace);
                let chores = found.map(|found| chore::all(&Overlay::reading(&found.barrier, core.source()))).transpose()?;
                Ok(entry.insert(chores.unwrap_or_default()))
            }
        }
    }
}

/// When the token that holds a lease ends, if it does.
pub(super) fn end_of_holder(core: &Core, lease: &Lease) -> Result<Option<Timestamp>> {
    let token = tokens::look_up(core, &core.namespaces.load_full(), lease.holder())?;
    let expires = token.map_or(0, |token| token.entry.expires_millis);
    Ok((expires != 0).then(|| Timestamp::from_millis(expires)))
}

/// Changes a lease in a commit of its own, with these events: `change` says what it becomes, `None` inside for none, or that nothing is to
/// be done. What it was and what it is.
#[allow(clippy::type_complexity, reason = "a name for it would hide which of the two is which")]
pub(super) fn update(
    core: &Core,
    namespace: &Namespace,
    id: &str,
    events: Vec<Event>,
    change: impl FnOnce(&Lease) -> Option<Option<Lease>>,
) -> Result<Option<(Lease, Option<Lease>)>, CommitError> {
    let namespaces = core.namespaces.load_full();
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    let key = LeaseRef::of(&namespace.barrier, id).key;
    let Some(old) = Lease::load(&mut overlay, &key)? else { return Ok(None) };
    let Some(new) = change(&old) else { return Ok(None) };
    index::save(&mut overlay, Some(&old), new.as_ref(), &barrier_of(&namespaces))?;
    if new.is_none() {
        shared::forget_with(&mut overlay, &old)?;
    }
    core.committer.commit(Proposal { writes: overlay.into_writes(), events, ..Proposal::default() })?;
    Ok(Some((old, new)))
}

/// Lets a shared account be handed out no more, in a commit of its own.
pub(super) fn close_account(core: &Core, namespace: &Namespace, id: &[u8; 16]) -> Result<(), CommitError> {
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    if Shared::close_by_id(&mut overlay, id)? {
        core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() })?;
    }
    Ok(())
}

/// The event of something that happens to a lease by itself.
pub(super) fn event(core: &Core, namespace: &Namespace, operation: &'static str, lease: &Lease, now: Timestamp) -> Result<Event> {
    Ok(Event {
        time_millis: now.as_millis(),
        request_id: core.random_id()?.to_string(),
        operation: operation.into(),
        path: "sys/leases".to_owned(),
        namespace: namespace.audit_name(),
        lease: Some(lease.id.clone()),
        count: 1,
        ..Event::default()
    })
}

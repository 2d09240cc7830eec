//! What the leases of a store should be found by: whatever of it is missing or leads nowhere, as the changes that put it right.
//!
//! A lease that is not found by its token, its target or its time is never ended. Its own record tells all of these places.

use super::super::mounts::MountTable;
use super::spaces::Spaces;
use super::survey::each;
use crate::auth::records;
use crate::barrier::{Kind, Overlay};
use crate::engines::{EngineKind, database};
use crate::lease::chore::{self, Chore, Whose};
use crate::lease::index::{self, Mark};
use crate::lease::shared::Shared;
use crate::lease::{Lease, LeaseRef, State};
use crate::storage::{Key, Read};
use crate::types::Result;
use crate::types::id::Id;
use std::collections::{BTreeMap, BTreeSet};

/// What leads to leases, and the accounts that some of them share.
const KINDS: [Kind; index::PLACES.len() + 2] = {
    let mut kinds = [Kind::SharedAccount; index::PLACES.len() + 2];
    kinds[0] = Kind::SharedSlot;
    let (_, places) = kinds.split_at_mut(2);
    places.copy_from_slice(&index::PLACES);
    kinds
};

/// What the leases tell all together.
#[derive(Default)]
struct Told {
    /// The storage keys of all places.
    places: BTreeSet<Key>,
    /// The buckets in which they end.
    buckets: BTreeSet<u64>,
    /// The latest hold that one was granted after.
    hold: u64,
    /// The latest era, by namespace.
    eras: BTreeMap<usize, u64>,
    /// The connections that they are at, by namespace.
    targets: BTreeSet<(usize, [u8; 16])>,
    /// The accounts that they share, by namespace.
    shared: BTreeSet<(usize, [u8; 16])>,
}

/// The changes that let each lease be found, and nothing but leases; on a view that shows only what decrypts.
pub(super) fn corrections<'a>(spaces: &'a Spaces, records: &'a dyn Read) -> Result<Overlay<'a>> {
    let mut overlay = Overlay::reading(&spaces.all[0].barrier, records);
    let mut told = Told::default();
    each(records, |key, record| {
        let Some((at, _)) = spaces.among(&key, &record, &[Kind::Lease]) else { return Ok(()) };
        let lease = Lease::from_bytes(&spaces.all[at].barrier.open(Kind::Lease, &key, &record)?)?;
        place(spaces, &mut overlay, at, &lease, &mut told)
    })?;
    mark(&mut overlay, &told)?;
    for (at, era) in &told.eras {
        overlay.within(&spaces.all[*at].barrier, |overlay| chore::raise_era(overlay, *era))?;
    }
    for (at, target) in &told.targets {
        overlay.within(&spaces.all[*at].barrier, |overlay| -> Result<()> {
            let retired = database::load(overlay, target)?.is_some_and(|found| found.connection.is_retired);
            if retired { Ok(Chore::of_target(*target).ensure(overlay)?) } else { Ok(()) }
        })?;
    }
    connections(spaces, &mut overlay)?;
    each(records, |key, record| {
        let Some((at, kind)) = spaces.among(&key, &record, &KINDS) else { return Ok(()) };
        let leads_nowhere = match kind {
            Kind::SharedAccount => {
                let account: Shared = Shared::from_bytes(&spaces.all[at].barrier.open(kind, &key, &record)?)?;
                !told.shared.contains(&(at, account.id))
            }
            Kind::SharedSlot => {
                let id = spaces.all[at].barrier.open(kind, &key, &record)?;
                !id.as_slice().try_into().is_ok_and(|id| told.shared.contains(&(at, id)))
            }
            _ => !told.places.contains(&key),
        };
        if leads_nowhere {
            overlay.within(&spaces.all[at].barrier, |overlay| overlay.delete(key));
        }
        Ok(())
    })?;
    Ok(overlay)
}

/// Lets a lease be found by all that finds it, and end with its token.
fn place(spaces: &Spaces, overlay: &mut Overlay<'_>, at: usize, lease: &Lease, told: &mut Told) -> Result<()> {
    let barrier = &spaces.all[at].barrier;
    let barrier_of = |id: &Id| spaces.barrier(id);
    let found_by = index::places(lease, &LeaseRef::of(barrier, &lease.id), *barrier.namespace(), &barrier_of);
    for (key, place) in found_by {
        overlay.within(&place.barrier, |overlay| -> Result<()> {
            let there = overlay.get(place.kind, &key)?;
            if there.is_none_or(|there| *there != place.content) {
                overlay.put(place.kind, key, &place.content)?;
            }
            Ok(())
        })?;
        told.places.insert(key);
    }
    told.targets.insert((at, lease.target));
    told.shared.extend(lease.shared.map(|of| (at, of.id)));
    let era = told.eras.entry(at).or_default();
    *era = (*era).max(lease.era);
    told.hold = told.hold.max(lease.hold);
    if lease.state != State::Active {
        return Ok(());
    }
    told.buckets.insert(index::bucket_at(lease.expires()));
    let holder = lease.holder();
    let Some(of_holder) = spaces.barrier(&holder.namespace) else { return Ok(()) };
    overlay.within(&of_holder, |overlay| -> Result<()> {
        if records::load(overlay, &holder.key)?.is_some() {
            index::note_holder(overlay, &holder, &barrier_of)?;
        } else {
            Chore::Token(Whose::all(holder.key)).ensure(overlay)?;
        }
        Ok(())
    })
}

/// Lets ticks find all that end, and what holds somebody still end what was granted before.
fn mark(overlay: &mut Overlay<'_>, told: &Told) -> Result<()> {
    let Some(first) = told.buckets.first() else { return Ok(()) };
    let there = Mark::load(overlay)?;
    let mut mark = there.clone().unwrap_or_else(|| Mark::beginning_at(*first));
    for bucket in &told.buckets {
        mark.due.lead_to(*bucket);
    }
    mark.holds = mark.holds.max(told.hold);
    if there.as_ref() == Some(&mark) { Ok(()) } else { Ok(mark.put(overlay)?) }
}

/// Lets each mount know its connections: what unmounts it ends their leases.
fn connections(spaces: &Spaces, overlay: &mut Overlay<'_>) -> Result<()> {
    for space in &spaces.all {
        overlay.within(&space.barrier, |overlay| -> Result<()> {
            let Some(mounts) = MountTable::load_if_there(overlay)? else { return Ok(()) };
            for entry in mounts.entries() {
                if entry.kind()? == EngineKind::Database {
                    let names = overlay.children(&entry.uuid(), "config/")?;
                    database::amend(overlay, &entry.uuid(), &names)?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

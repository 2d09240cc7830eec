//! What the credentials of a store that are rotated should be found by: whatever of it is missing or leads nowhere, as the changes that put it
//! right.
//!
//! A credential that is not found by its time is never rotated, and one whose name leads nowhere is never read. Its own record tells all of these
//! places.

use super::spaces::Spaces;
use super::survey::each;
use crate::barrier::{Kind, Overlay};
use crate::managed::{Managed, index};
use crate::storage::{Key, Read};
use crate::types::Result;
use std::collections::{BTreeMap, BTreeSet};

/// What the credentials tell all together.
#[derive(Default)]
struct Told {
    /// The storage keys of all places.
    places: BTreeSet<Key>,
    /// The first bucket in which something is to be done, by namespace.
    first_buckets: BTreeMap<usize, u64>,
    /// How many there are at each connection's target, by namespace.
    counts: BTreeMap<(usize, [u8; 16]), u64>,
}

/// The changes that let each credential be found, and nothing but credentials; on a view that shows only what decrypts.
pub(super) fn corrections<'a>(spaces: &'a Spaces, records: &'a dyn Read) -> Result<Overlay<'a>> {
    let mut overlay = Overlay::reading(&spaces.all[0].barrier, records);
    let mut told = Told::default();
    each(records, |key, record| {
        let Some((at, _)) = spaces.among(&key, &record, &[Kind::Managed]) else { return Ok(()) };
        let barrier = &spaces.all[at].barrier;
        let managed = Managed::from_bytes(&barrier.open(Kind::Managed, &key, &record)?)?;
        overlay.within(barrier, |overlay| place(overlay, at, &managed, &mut told))
    })?;
    for (at, first) in &told.first_buckets {
        overlay.within(&spaces.all[*at].barrier, |overlay| index::lower_mark(overlay, *first))?;
    }
    for ((at, target), count) in &told.counts {
        overlay.within(&spaces.all[*at].barrier, |overlay| -> Result<()> {
            let (key, is_right) = index::count_is(overlay, target, *count)?;
            told.places.insert(key);
            if is_right { Ok(()) } else { Ok(index::put_count(overlay, target, *count)?) }
        })?;
    }
    each(records, |key, record| {
        let Some((at, _)) = spaces.among(&key, &record, &index::PLACES) else { return Ok(()) };
        if !told.places.contains(&key) {
            overlay.within(&spaces.all[at].barrier, |overlay| overlay.delete(key));
        }
        Ok(())
    })?;
    Ok(overlay)
}

/// Lets a credential be found by all that finds it, through an overlay of its namespace.
fn place(overlay: &mut Overlay<'_>, at: usize, managed: &Managed, told: &mut Told) -> Result<()> {
    for (kind, key, content) in index::found_by(overlay.barrier(), managed) {
        if overlay.get(kind, &key)?.is_none_or(|there| *there != content) {
            overlay.put(kind, key, &content)?;
        }
        told.places.insert(key);
    }
    // Without a mark no tick looks into the namespace.
    let bucket = managed.next().map_or(u64::MAX, index::bucket_at);
    let first = told.first_buckets.entry(at).or_insert(u64::MAX);
    *first = (*first).min(bucket);
    if let Some(target) = managed.target {
        *told.counts.entry((at, target)).or_default() += 1;
    }
    Ok(())
}

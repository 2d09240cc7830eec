//! Records that somebody watches: how often each was changed, so that what was read of them is known to be current without asking the store.

use crate::storage::Key;
use crate::types::limits::WATCHED_RECORDS_MAX;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Records that are turned away between two sweeps of a full register: commits wait for a sweep.
const TURNED_AWAY_PER_SWEEP: usize = 1_000;

/// Counts the changes of the records that are watched. A commit that changes none of them costs a look-up for each of its records, and nothing
/// where nobody watches.
#[derive(Default)]
pub(crate) struct Watches {
    changes: RwLock<Register>,
}

#[derive(Default)]
struct Register {
    counts: HashMap<Key, Weak<AtomicU64>>,
    /// Entries at which those that nobody watches any more are swept.
    swept_at: usize,
    /// Records that were turned away since a sweep of a full register.
    turned_away: usize,
}

/// What a reader has seen: the records, and how often each had been changed before it was read.
pub(crate) struct Sight(Vec<(Arc<AtomicU64>, u64)>);

impl Watches {
    /// Counts a change of each of these records: once it is durable and all that is published with it.
    pub(crate) fn changed<'k>(&self, keys: impl Iterator<Item = &'k Key>) {
        let register = self.changes.read();
        if register.counts.is_empty() {
            return;
        }
        for changes in keys.filter_map(|key| register.counts.get(key)).filter_map(Weak::upgrade) {
            changes.fetch_add(1, Ordering::Release);
        }
    }

    /// The changes of a record from now on; `None` where too many are watched.
    fn watch(&self, key: &Key) -> Option<Arc<AtomicU64>> {
        let mut register = self.changes.write();
        if let Some(changes) = register.counts.get(key).and_then(Weak::upgrade) {
            return Some(changes);
        }
        if register.turned_away > 0 && register.turned_away < TURNED_AWAY_PER_SWEEP {
            register.turned_away += 1;
            return None;
        }
        if register.counts.len() >= register.swept_at {
            register.turned_away = 0;
            register.counts.retain(|_, changes| changes.strong_count() > 0);
            // Swept again once it has doubled: a sweep costs each entry a constant.
            register.swept_at = (2 * register.counts.len()).clamp(64, WATCHED_RECORDS_MAX);
        }
        if register.counts.len() >= WATCHED_RECORDS_MAX {
            register.turned_away = 1;
            return None;
        }
        let changes = Arc::default();
        register.counts.insert(*key, Arc::downgrade(&changes));
        Some(changes)
    }
}

impl Sight {
    pub(super) fn new() -> Self {
        Sight(Vec::new())
    }

    /// Notes a record before it is read; whether it can be watched.
    pub(super) fn note(&mut self, watches: &Watches, key: &Key) -> bool {
        let Some(changes) = watches.watch(key) else { return false };
        let before = changes.load(Ordering::Acquire);
        self.0.push((changes, before));
        true
    }

    /// Whether none of the records was changed since it was read.
    pub(crate) fn is_current(&self) -> bool {
        self.0.iter().all(|(changes, before)| changes.load(Ordering::Acquire) == *before)
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watches")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        Key::new(&[&number.to_le_bytes()])
    }

    #[test]
    fn a_sight_is_current_until_one_of_its_records_is_changed() {
        let watches = Watches::default();
        let (mut one, mut other) = (Sight::new(), Sight::new());
        assert!(one.note(&watches, &key(1)) && one.note(&watches, &key(2)) && other.note(&watches, &key(3)));
        watches.changed([key(4)].iter());
        assert!(one.is_current() && other.is_current());
        watches.changed([key(4), key(2)].iter());
        assert!(!one.is_current() && other.is_current());
    }

    #[test]
    fn a_record_that_was_changed_before_it_is_noted_is_current() {
        let watches = Watches::default();
        let mut old = Sight::new();
        assert!(old.note(&watches, &key(1)));
        watches.changed([key(1)].iter());
        let mut new = Sight::new();
        assert!(new.note(&watches, &key(1)) && new.is_current() && !old.is_current());
    }

    #[test]
    fn what_nobody_watches_any_more_is_swept_and_what_is_watched_stays() {
        let watches = Watches::default();
        let mut kept = Sight::new();
        assert!(kept.note(&watches, &key(0)));
        for number in 1..10_000 {
            assert!(Sight::new().note(&watches, &key(number)));
        }
        assert!(watches.changes.read().counts.len() <= 64);
        watches.changed([key(0)].iter());
        assert!(!kept.is_current());
    }

    #[test]
    fn past_the_limit_nothing_more_is_watched() {
        let watches = Watches::default();
        let mut sight = Sight::new();
        assert!((0..WATCHED_RECORDS_MAX as u64).all(|number| sight.note(&watches, &key(number))));
        assert!(!Sight::new().note(&watches, &key(u64::MAX)));
        assert!(Sight::new().note(&watches, &key(7)), "one that is watched already");
        drop(sight);
        let turned_away = (0..).take_while(|_| !Sight::new().note(&watches, &key(u64::MAX))).count();
        assert_eq!(turned_away, TURNED_AWAY_PER_SWEEP - 1, "it is not swept at each call, and there is room again");
    }
}

//! What cannot be read of what is due: it hides what it leads to, and nothing else, and is counted once.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

/// What was set aside while one call went through what is due.
pub(super) struct Aside<T> {
    members: HashSet<T>,
    /// Records that lead to some, by the span of time that they are of.
    places: BTreeMap<u64, usize>,
}

impl<T> Default for Aside<T> {
    fn default() -> Self {
        Aside { members: HashSet::new(), places: BTreeMap::new() }
    }
}

impl<T: Eq + Hash> Aside<T> {
    pub(super) fn put(&mut self, member: T) {
        self.members.insert(member);
    }

    pub(super) fn has(&self, member: &T) -> bool {
        self.members.contains(member)
    }

    /// How many of a span lead nowhere, as it was found last.
    pub(super) fn put_places(&mut self, span: u64, unreadable: usize) {
        if unreadable > 0 {
            self.places.insert(span, unreadable);
        }
    }

    pub(super) fn len_of_members(&self) -> usize {
        self.members.len()
    }

    /// How many records that is.
    pub(super) fn len(&self) -> usize {
        self.members.len() + self.places.values().sum::<usize>()
    }
}

//! How long tokens last: what is asked for, bounded by the mount, by an explicit maximum and by the parent.

use super::token::TokenEntry;
use crate::types::{Timestamp, Ttl};

/// What bounds every token of a mount.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// What a token gets that asks for nothing.
    pub(crate) default: Ttl,
    /// How long it lasts at most from its creation, renewals included, unless it is periodic.
    pub(crate) max: Ttl,
    /// When its parent ends; a child never lasts longer.
    pub(crate) parent_ends: Option<Timestamp>,
}

/// When a token ends that is made or renewed now. `asked` counts from now; zero is what it was granted at first, or the default.
pub(crate) fn end_of(entry: &TokenEntry, asked: Ttl, bounds: Bounds, now: Timestamp) -> Timestamp {
    let created = entry.created();
    let mut end = if entry.period_seconds > 0 {
        now.plus(Ttl::from_secs(entry.period_seconds).min(bounds.max))
    } else {
        let granted = Ttl::from_secs(entry.ttl_seconds);
        let wanted = [asked, granted, bounds.default].into_iter().find(|ttl| *ttl > Ttl::ZERO).unwrap_or(bounds.max);
        now.plus(wanted).min(created.plus(bounds.max))
    };
    if entry.explicit_max_seconds > 0 {
        end = end.min(created.plus(Ttl::from_secs(entry.explicit_max_seconds)));
    }
    bounds.parent_ends.map_or(end, |parent| end.min(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { default: Ttl::from_secs(100), max: Ttl::from_secs(1000), parent_ends: None };

    fn end(entry: &TokenEntry, asked: u64, now: u64) -> u64 {
        end_of(entry, Ttl::from_secs(asked), BOUNDS, Timestamp::from_secs(now)).as_secs()
    }

    #[test]
    fn a_token_lasts_for_what_is_asked_else_for_the_default_and_never_past_the_maximum_from_its_creation() {
        let entry = TokenEntry::default();
        assert_eq!([end(&entry, 0, 0), end(&entry, 7, 0), end(&entry, 5000, 0)], [100, 7, 1000]);
        assert_eq!([end(&entry, 300, 900), end(&entry, 0, 950)], [1000, 1000], "an increment counts from now");
        let granted = TokenEntry { ttl_seconds: 60, ..entry };
        assert_eq!(end(&granted, 0, 50), 110, "without an increment what it was granted counts");
    }

    #[test]
    fn a_periodic_token_resets_to_its_period_and_only_an_explicit_maximum_bounds_its_life() {
        let entry = TokenEntry { period_seconds: 200, ..TokenEntry::default() };
        assert_eq!([end(&entry, 5, 0), end(&entry, 5, 990), end(&entry, 0, 100_000)], [200, 1190, 100_200]);
        let bounded = TokenEntry { explicit_max_seconds: 300, ..entry };
        assert_eq!([end(&bounded, 0, 0), end(&bounded, 0, 150)], [200, 300]);
        let long = TokenEntry { period_seconds: 5000, ..TokenEntry::default() };
        assert_eq!(end(&long, 0, 10), 1010, "a period is at most the mount's maximum");
    }

    #[test]
    fn an_explicit_maximum_counts_from_the_creation_and_a_parent_ends_its_children() {
        let entry = TokenEntry { explicit_max_seconds: 50, created_millis: 10_000, ..TokenEntry::default() };
        assert_eq!([end(&entry, 40, 10), end(&entry, 40, 40)], [50, 60]);
        let bounds = Bounds { parent_ends: Some(Timestamp::from_secs(33)), ..BOUNDS };
        for period_seconds in [0, 500] {
            let entry = TokenEntry { period_seconds, ..TokenEntry::default() };
            assert_eq!(end_of(&entry, Ttl::from_secs(90), bounds, Timestamp::from_secs(1)).as_secs(), 33);
        }
    }
}

//! What the audit log tells of names that have lost their folder entries.

use crate::audit::Event;
use std::collections::BTreeMap;

/// Paths from the root namespace, each with the newest version that the log tells of.
#[derive(Default)]
pub(super) struct Hints(BTreeMap<String, u64>);

/// Most paths that are remembered.
const HINTS_MAX: usize = 1_000_000;

impl Hints {
    pub(super) fn see(&mut self, event: &[u8]) {
        let Some(Event { namespace, path, version, .. }) = Event::from_bytes(event) else { return };
        let path = namespace.map_or(path.clone(), |namespace| namespace + &path);
        if self.0.len() < HINTS_MAX || self.0.contains_key(&path) {
            let newest = self.0.entry(path).or_default();
            *newest = (*newest).max(version.unwrap_or_default());
        }
    }

    /// The names below a mount, or below `sys/policies/acl/`, and the newest version that the log tells of.
    pub(super) fn below<'h>(&'h self, prefix: &'h str) -> impl Iterator<Item = (&'h str, u64)> + 'h {
        let range = self.0.range(prefix.to_owned()..).take_while(move |(path, _)| path.starts_with(prefix));
        range.filter_map(move |(path, newest)| Some((path.strip_prefix(prefix)?, *newest)))
    }

    /// The newest version that the log tells of, of the secret that requests reach by a path.
    pub(super) fn newest(&self, path: &str) -> u64 {
        self.0.get(path).copied().unwrap_or_default()
    }
}

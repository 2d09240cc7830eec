//! A token that was looked up and is held in memory with its ancestors, until something of it changes.

use super::token::{TokenEntry, TokenRef};
use crate::types::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A token as it was read. When it is renewed or revoked its flag is raised, and whoever holds it asks the store again.
#[derive(Debug)]
pub(crate) struct LiveToken {
    pub(crate) id: TokenRef,
    pub(crate) entry: TokenEntry,
    /// Revoked with its parent, and never valid for longer.
    parent: Option<Arc<LiveToken>>,
    stale: AtomicBool,
}

impl LiveToken {
    pub(crate) fn new(id: TokenRef, entry: TokenEntry, parent: Option<Arc<LiveToken>>) -> Self {
        LiveToken { id, entry, parent, stale: AtomicBool::new(false) }
    }

    /// Says that what is held here is no longer so, once that is durable.
    pub(crate) fn set_stale(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// Whether this is what the store says, of the token and of all its ancestors.
    pub(crate) fn is_current(&self) -> bool {
        self.lineage().all(|token| !token.stale.load(Ordering::Acquire))
    }

    /// Whether the token or one of its ancestors is past its time.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.lineage().any(|token| token.entry.is_expired(now))
    }

    /// Whether the token or one of its ancestors is held still.
    pub(crate) fn is_quarantined(&self) -> bool {
        self.lineage().any(|token| token.entry.quarantined_millis.is_some())
    }

    /// The token that made this one, where this one is a batch token.
    pub(crate) fn batch_parent(&self) -> Option<&LiveToken> {
        self.parent.as_deref().filter(|_| self.entry.is_batch())
    }

    /// Whether the accessor is that of the token or of one of its ancestors: it ends with whichever of them ends.
    pub(crate) fn hangs_on(&self, accessor: &str) -> bool {
        self.lineage().any(|token| token.entry.accessor == accessor)
    }

    fn lineage(&self) -> impl Iterator<Item = &LiveToken> {
        std::iter::successors(Some(self), |token| token.parent.as_deref())
    }
}

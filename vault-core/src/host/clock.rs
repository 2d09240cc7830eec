//! The clock that the vault reads, once a request.

use crate::types::{Timestamp, Ttl};
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of time. Called from any thread, under no lock of the vault; it should answer at once.
pub trait Clock: Send + Sync {
    /// The present instant. It may step back; the vault then never extends what it granted.
    fn now(&self) -> Timestamp;
}

/// A clock that moves only when told: leases and expiry tested without waiting.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        ManualClock(AtomicU64::new(start.as_millis()))
    }

    /// Moves the clock forward by whole seconds.
    pub fn advance(&self, by: Ttl) {
        let step = |now| Some(Timestamp::from_millis(now).plus(by).as_millis());
        // The closure always returns Some, so the update always succeeds.
        let _previous = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
    }

    /// Puts the clock at an instant, earlier ones included.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

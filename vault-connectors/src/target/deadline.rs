//! Until when a duty may wait: no wait of a connector is without one.

use std::time::{Duration, Instant};

/// The end of somebody's patience.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(patience: Duration) -> Self {
        Deadline(Instant::now() + patience)
    }

    /// What is left, if anything is.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// What is left, or nothing.
    #[cfg(feature = "postgres")]
    pub(crate) fn left_or_zero(self) -> Duration {
        self.left().unwrap_or_default()
    }

    pub(crate) fn instant(self) -> Instant {
        self.0
    }
}

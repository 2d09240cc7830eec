//! How long something takes, for figures that the vault tells of itself; nothing is decided by it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this file measures, by the system's steady clock")]

use std::time::{Duration, Instant};

/// Runs from when it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// The time since it was made.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

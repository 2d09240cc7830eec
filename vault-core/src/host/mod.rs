//! The injected world: what the vault asks of its surroundings, as traits.
//!
//! Floor 0. The default world is in `os`; tests and hosts give others.

mod clock;
mod rng;

pub use clock::{Clock, ManualClock};
pub use rng::{Rng, RngError};

//! The default world: the system's clock and randomness, locked memory, and the detection of forks.
//!
//! With the sled backend these are the only files of the crate that touch the operating system.

mod clock;
mod memory;
mod rng;

pub use clock::SystemClock;
pub use memory::{ForkGuard, LockedBox, lock_failures};
pub use rng::SystemRng;

/// Which thread this is: by it a callback that comes back is told from another caller.
pub(crate) fn this_thread() -> std::thread::ThreadId {
    std::thread::current().id()
}

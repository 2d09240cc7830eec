//! The default world: the system's clock and randomness, locked memory, an audit sink in a file, and the detection of forks.
//!
//! With the sled backend these are the only files of the crate that touch the operating system.

mod clock;
mod file_sink;
#[cfg(all(test, loom))]
pub(crate) mod interleavings_tests;
mod memory;
mod process;
mod rng;
mod several;
mod stopwatch;
pub(crate) mod sync;
mod text_file;

pub use clock::SystemClock;
pub use file_sink::FileSink;
pub use memory::{ForkGuard, LockedBox, lock_failures};
pub use rng::SystemRng;

pub(crate) use process::process_facts;
pub(crate) use several::several;
pub(crate) use stopwatch::Stopwatch;
pub(crate) use text_file::read_text;

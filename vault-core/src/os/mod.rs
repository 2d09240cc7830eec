//! The default world: the system's clock and randomness, locked memory, an audit sink in a file, and the detection of forks.
//!
//! With the sled backend these are the only files of the crate that touch the operating system.

mod clock;
mod file_sink;
mod memory;
mod rng;
mod text_file;

pub use clock::SystemClock;
pub use file_sink::FileSink;
pub use memory::{ForkGuard, LockedBox, lock_failures};
pub use rng::SystemRng;

pub(crate) use text_file::read_text;

/// Which thread this is, among those that live: by it a callback that comes back is told from another caller. The standard library's own
/// number would leave an allocation behind in threads that it has not made.
pub(crate) fn this_thread() -> usize {
    std::thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

//! Counters in several copies, so that threads which count at once seldom meet.

use crate::os::sync::copy_of_thread;
use std::sync::atomic::{AtomicU64, Ordering};

/// Copies of the counters.
const STRIPES: usize = 16;
/// Counters of one cache line: copies start on different ones.
const LINE: usize = 8;

/// A fixed number of counters.
pub(super) struct Stripes {
    counters: usize,
    stride: usize,
    cells: Box<[AtomicU64]>,
}

impl Stripes {
    pub(super) fn new(counters: usize) -> Self {
        let stride = counters.next_multiple_of(LINE) + LINE;
        Stripes { counters, stride, cells: (0..stride * STRIPES).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Counts one on the thread's copy.
    pub(super) fn count(&self, counter: usize) {
        if counter < self.counters {
            self.cells[copy_of_thread(STRIPES) * self.stride + counter].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counters, each summed over its copies.
    pub(super) fn sums(&self) -> Vec<u64> {
        let sum = |counter: usize| (0..STRIPES).map(|stripe| self.cells[stripe * self.stride + counter].load(Ordering::Relaxed)).sum();
        (0..self.counters).map(sum).collect()
    }
}

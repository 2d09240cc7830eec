//! Durations counted in fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bounds of what usually takes milliseconds, in microseconds.
pub(super) const FAST: [u64; 12] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000];
/// Bounds of what may take seconds, in microseconds.
pub(super) const SLOW: [u64; 12] =
    [500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000];

/// Bounds of what waits for a target system, in microseconds: from a millisecond to a day.
pub(super) const LONG: [u64; 12] = [
    1_000,
    10_000,
    100_000,
    1_000_000,
    5_000_000,
    15_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
    21_600_000_000,
    86_400_000_000,
];

/// A histogram of durations.
pub(crate) struct Histogram {
    bounds: &'static [u64; 12],
    /// Each of its own bucket alone; the last has all that is longer than the last bound.
    buckets: [AtomicU64; 13],
    sum_nanos: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    /// Upper bounds in seconds, with all that is at most that long.
    pub(super) cumulative: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) sum_seconds: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [u64; 12]) -> Self {
        Histogram { bounds, buckets: Default::default(), sum_nanos: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, took: Duration) {
        let bucket = self.bounds.partition_point(|bound| Duration::from_micros(*bound) < took);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut cumulative = Vec::new();
        for (at, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            if let Some(bound) = self.bounds.get(at) {
                cumulative.push((*bound as f64 / 1e6, count));
            }
        }
        Snapshot { cumulative, count, sum_seconds: self.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9 }
    }
}

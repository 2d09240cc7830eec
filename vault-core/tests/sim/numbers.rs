//! Numbers that only look random, drawn from a seed: for the story, for the medium, and as the vault's randomness.

use std::sync::atomic::{AtomicU64, Ordering};
use vault_core::host::{Rng, RngError};

/// `SplitMix64` (Steele, Lea, Flood 2014).
pub struct Numbers(AtomicU64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Numbers(AtomicU64::new(seed))
    }

    /// The same numbers from here on, in another's hands.
    pub fn fork(&self) -> Self {
        Numbers::new(self.0.load(Ordering::Relaxed))
    }

    pub fn next(&self) -> u64 {
        let step = 0x9E37_79B9_7F4A_7C15;
        let mut bits = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    pub fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn index(&self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("an index")
    }

    pub fn pick<'t, T>(&self, of: &'t [T]) -> &'t T {
        &of[self.index(of.len())]
    }

    /// Once in so many times.
    pub fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }
}

impl Rng for Numbers {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngError> {
        buffer.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]));
        Ok(())
    }
}

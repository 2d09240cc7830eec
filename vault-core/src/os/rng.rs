//! The system's randomness, drawn in blocks so that a nonce is not a system call.

use super::memory::{ForkGuard, LockedBox};
use super::sync::{Apart, copy_of_thread};
use crate::host::{Rng, RngError};
use parking_lot::{Mutex, MutexGuard};
use ring::rand::SecureRandom;
use std::fmt;
use zeroize::Zeroize;

const BLOCK_BYTES: usize = 4096;
/// Larger requests go to the system directly.
const SMALL_BYTES_MAX: usize = 64;
/// Blocks, of which a thread draws from one.
const BLOCKS: usize = 8;

/// The operating system's generator, through ring.
pub struct SystemRng {
    /// Each made when the first thread comes that draws from it.
    blocks: [Apart<Mutex<Option<Block>>>; BLOCKS],
    fork: ForkGuard,
}

struct Block {
    bytes: LockedBox<[u8; BLOCK_BYTES]>,
    left: usize,
}

impl SystemRng {
    /// A source with blocks of its own.
    #[must_use]
    pub fn new() -> Self {
        SystemRng { blocks: std::array::from_fn(|_| Apart::new(Mutex::new(None))), fork: ForkGuard::new() }
    }

    /// The block from which this thread draws.
    fn block(&self) -> MutexGuard<'_, Option<Block>> {
        self.blocks[copy_of_thread(BLOCKS)].lock()
    }
}

impl Default for SystemRng {
    fn default() -> Self {
        Self::new()
    }
}

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngError> {
        let system = ring::rand::SystemRandom::new();
        // After a fork the block is wiped in the child, and handing it out would hand out zeros.
        if buffer.len() > SMALL_BYTES_MAX || self.fork.is_forked() {
            return system.fill(buffer).map_err(|_| RngError);
        }
        let mut block = self.block();
        let block = block.get_or_insert_with(|| Block { bytes: LockedBox::new([0; BLOCK_BYTES]), left: 0 });
        if block.left < buffer.len() {
            system.fill(&mut *block.bytes).map_err(|_| RngError)?;
            block.left = BLOCK_BYTES;
        }
        let end = block.left;
        let start = end - buffer.len();
        buffer.copy_from_slice(&block.bytes[start..end]);
        block.bytes[start..end].zeroize();
        block.left = start;
        Ok(())
    }
}

impl fmt::Debug for SystemRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemRng")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_draws_never_repeat_and_are_wiped_from_the_block() {
        let rng = SystemRng::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            let bytes: [u8; 12] = (&rng as &dyn Rng).array().expect("randomness");
            assert!(seen.insert(bytes));
        }
        let block = rng.block();
        let block = block.as_ref().expect("this thread has drawn from it");
        assert!(block.bytes[block.left..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn large_draws_are_filled_whole() {
        let rng = SystemRng::new();
        let mut bytes = vec![0; 10_000];
        rng.fill(&mut bytes).expect("randomness");
        assert!(bytes.chunks(100).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
    }
}

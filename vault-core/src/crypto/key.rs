//! A 256-bit key in locked memory.

use crate::host::{Rng, RngError};
use crate::os::LockedBox;
use std::fmt;

/// A 256-bit key.
pub(crate) struct Key256(LockedBox<[u8; 32]>);

impl Key256 {
    /// A random key.
    pub(crate) fn random(rng: &dyn Rng) -> Result<Self, RngError> {
        let mut key = Key256::zero();
        rng.fill(&mut *key.0)?;
        Ok(key)
    }

    /// A copy of these bytes; wiping them stays with the caller.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut key = Key256::zero();
        key.0.copy_from_slice(bytes);
        key
    }

    /// A key that `fill` writes in place.
    pub(crate) fn filled<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Key256::zero();
        fill(&mut key.0)?;
        Ok(key)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn zero() -> Self {
        Key256(LockedBox::new([0; 32]))
    }
}

impl fmt::Debug for Key256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key256([redacted])")
    }
}

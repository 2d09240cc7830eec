//! The randomness that the vault draws.

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct RngError;

/// A cryptographically secure source of random bytes. Called from any thread.
pub trait Rng: Send + Sync {
    /// Fills the whole buffer.
    ///
    /// # Errors
    /// [`RngError`] when there is no randomness; the buffer's contents are then unspecified and must not be used.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngError>;
}

impl dyn Rng + '_ {
    /// A random array.
    ///
    /// # Errors
    /// [`RngError`] when there is no randomness.
    pub fn array<const N: usize>(&self) -> Result<[u8; N], RngError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

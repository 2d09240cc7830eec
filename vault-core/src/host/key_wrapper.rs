//! An outside keeper of keys: a KMS or an HSM that wraps and unwraps a slot's key and never gives its own away.

use crate::types::SecretBytes;

/// A key service failed, or refused. The text is shown to operators: it must hold no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrapError(String);

impl WrapError {
    /// An error with what the service said.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        WrapError(message.into())
    }
}

/// Wraps a slot's key under a key that the vault never sees. Called from any thread, under no lock of the vault; it may block.
pub trait KeyWrapper: Send + Sync {
    /// The name by which a slot finds its wrapper again: stable, from 1 to 128 printable ASCII characters.
    fn name(&self) -> &str;

    /// Encrypts 32 bytes; at most 64 KiB. `context` tells the slot and must be authenticated where the service can do so.
    ///
    /// # Errors
    /// [`WrapError`] when the service fails or refuses.
    fn wrap(&self, key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>, WrapError>;

    /// Gives the 32 bytes back that [`wrap`](KeyWrapper::wrap) encrypted under the same context.
    ///
    /// # Errors
    /// [`WrapError`] when the service fails or refuses.
    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<SecretBytes, WrapError>;
}

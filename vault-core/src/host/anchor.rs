//! An anchor: a few bytes kept where whoever can roll the store back cannot reach, by which an older store is told from the newest.

/// An anchor could not be read or written. The text is shown to operators: it must hold no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct AnchorError(String);

impl AnchorError {
    /// An error with what went wrong.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        AnchorError(message.into())
    }
}

/// Keeps the newest state of a vault outside of its store: on another machine, in a TPM's counter, in a file on another disk.
///
/// The bytes are at most 128, hold nothing secret, and are authenticated by the vault. One call at a time, under no lock of the vault; a call
/// may take its time, and delays the reply that waits for it.
pub trait Anchor: Send + Sync {
    /// What was stored last; `None` when nothing ever was.
    ///
    /// # Errors
    /// [`AnchorError`] when that cannot be told: the vault then stays sealed.
    fn load(&self) -> Result<Option<Vec<u8>>, AnchorError>;

    /// Stores the bytes durably in the place of those before.
    ///
    /// # Errors
    /// [`AnchorError`] when they may not have been stored.
    fn store(&self, state: &[u8]) -> Result<(), AnchorError>;
}

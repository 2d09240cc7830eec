//! The seals: the header of a store with its key slots, any one of which opens it.

mod header;
mod slot;

pub use slot::{NewSeal, UnsealKey};

pub(crate) use header::{FORMAT, Header};

use crate::crypto::CryptoError;
use crate::host::RngError;
use crate::types::{Code, Error};

/// Why a seal could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The key opens no slot.
    #[error("the key opens no slot of this store: wrong passphrase or key")]
    WrongKey,
    /// A passphrase is empty or too long.
    #[error("a passphrase must have from 1 to {} bytes", crate::types::limits::PASSPHRASE_BYTES_MAX)]
    BadPassphrase,
    /// A raw key has another length.
    #[error("a raw key must have exactly 32 bytes")]
    BadRawKey,
    /// The parameters of Argon2id are out of range.
    #[error("the parameters of Argon2id are out of range: at least 19456 KiB, 2 passes, 1 lane; at most 4194304 KiB, 64 passes, 64 lanes")]
    BadParameters,
    /// The header is damaged or was altered.
    #[error("the header of the store does not verify: it was altered or cut")]
    Corrupt,
    /// The store was made by a newer version.
    #[error("the store has format {0}, which this version does not know: use a newer version of libvault")]
    NewerFormat(u16),
    /// There is no header of ours.
    #[error("not a libvault store: its header is another's")]
    Foreign,
    /// There is no randomness.
    #[error(transparent)]
    Rng(#[from] RngError),
}

impl From<CryptoError> for SealError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Parameters => SealError::BadParameters,
            CryptoError::Decrypt | CryptoError::Keyring => SealError::Corrupt,
        }
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        let code = match error {
            SealError::WrongKey => Code::WrongKey,
            SealError::BadPassphrase | SealError::BadRawKey | SealError::BadParameters => Code::InvalidRequest,
            SealError::Corrupt => Code::Corrupt,
            SealError::NewerFormat(_) | SealError::Foreign => Code::NotAStore,
            SealError::Rng(_) => Code::NoEntropy,
        };
        Error::new(code, error.to_string())
    }
}

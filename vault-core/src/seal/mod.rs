//! The seals: the header of a store with its key slots, any one of which opens it.

mod header;
mod keys;
mod share;
mod slot;

pub use header::SlotInfo;
pub use keys::{NewSeal, UnsealKey};

pub(crate) use header::{FORMAT, Header};

use crate::crypto::CryptoError;
use crate::host::{RngError, WrapError};
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
    /// The numbers of key shares make no sense.
    #[error("key shares: from 1 to 255 of them, of which at least 2 are needed unless there is but one")]
    BadShareNumbers,
    /// The text is no key share, or was mistyped.
    #[error("this is not a key share, or it was mistyped: a share begins with \"lvs1\" and is given whole")]
    BadShare,
    /// The share is of another set.
    #[error("the key share belongs to another vault, or to a set that was replaced")]
    ForeignShare,
    /// The share has the name of one of ours and is not the one that was given out.
    #[error("the key share is not the one that was given out: it was altered")]
    AlteredShare,
    /// More shares are needed.
    #[error("{have} different key shares of the {need} that are needed")]
    NotEnoughShares {
        /// Different shares that were given.
        have: usize,
        /// Shares that are needed.
        need: usize,
    },
    /// A key wrapper's name cannot be kept.
    #[error("the name of a key wrapper must have from 1 to 128 printable ASCII characters")]
    BadWrapperName,
    /// The key service failed.
    #[error("the key service failed: {0}")]
    KeyService(WrapError),
    /// There is no slot of that number.
    #[error("there is no key slot of that number")]
    NoSuchSlot,
    /// Without its last slot nothing would open the vault.
    #[error("the last key slot cannot be removed: add another first")]
    LastSlot,
    /// There are as many slots as there may be.
    #[error("there are {} key slots already: remove one first", crate::types::limits::SLOTS_MAX)]
    TooManySlots,
    /// A slot would be lost by a rekey.
    #[error("the key slot {0} ({1}) cannot be kept without its key: give it, remove the slot first, or keep the root key")]
    SlotLeftBehind(u32, &'static str),
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
            SealError::BadPassphrase
            | SealError::BadRawKey
            | SealError::BadParameters
            | SealError::BadShareNumbers
            | SealError::BadWrapperName
            | SealError::LastSlot
            | SealError::TooManySlots
            | SealError::SlotLeftBehind(..) => Code::InvalidRequest,
            SealError::BadShare | SealError::ForeignShare | SealError::AlteredShare => Code::BadShare,
            SealError::NotEnoughShares { .. } => Code::NotEnoughShares,
            SealError::NoSuchSlot => Code::NotFound,
            SealError::KeyService(_) => Code::KeyService,
            SealError::Corrupt => Code::Corrupt,
            SealError::NewerFormat(_) | SealError::Foreign => Code::NotAStore,
            SealError::Rng(_) => Code::NoEntropy,
        };
        Error::new(code, error.to_string())
    }
}

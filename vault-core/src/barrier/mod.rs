//! The barrier: everything that reaches the store is encrypted here, and bound to what it is and where it lies.
//!
//! Records (`record`), hidden names (`names`), the integrity digest (`digest`), the root record (`root`), the overlay on which a request works (`overlay`),
//! decrypted values that are held (`values`) and the records that somebody watches (`watch`).
//! The format is described in `docs/format.md`.

mod digest;
mod keyring;
mod names;
mod overlay;
mod record;
mod root;
mod values;
mod watch;

pub(crate) use digest::Digest;
pub(crate) use keyring::{unwrap_keyring, wrap_keyring};
pub(crate) use names::{FolderChange, folder_and_child};
pub(crate) use overlay::{Overlay, Writes};
pub(crate) use record::{Barrier, Kind, data_key_of};
pub(crate) use root::RootRecord;
pub(crate) use values::ValueCache;
pub(crate) use watch::{Sight, Watches};

use crate::host::RngError;
use crate::storage::StorageError;
use crate::types::{Code, Error};

/// Storage keys of what stands outside the barrier or under the root key.
pub(crate) mod fixed {
    /// The header with its slots.
    pub(crate) const HEADER: &[u8] = b"header";
    /// The keyring of the root namespace.
    pub(crate) const KEYRING: &[u8] = b"keyring";

    /// Whether what lies at this key is none of the barrier's records.
    pub(crate) fn is_bare(key: &[u8]) -> bool {
        key == HEADER || key == KEYRING
    }
}

/// Why the barrier failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BarrierError {
    /// A record does not decrypt, or decrypts to what no vault wrote.
    #[error("a record of the store does not verify: it was altered, cut or put in another's place")]
    Corrupt,
    /// A record was read twice, and was changed in between: whatever would be made of both is of no state that ever was.
    #[error("a record was changed while the request was under way: try again")]
    Changed,
    /// A record would be larger than the limit.
    #[error("the record would be larger than {} bytes", crate::types::limits::RECORD_BYTES_MAX)]
    TooLarge,
    /// A folder has more children than one listing holds.
    #[error("the folder has more than {} names: list it by pages (\"limit\", \"after\")", crate::types::limits::LIST_NAMES_MAX)]
    TooManyNames,
    /// The data key has encrypted as much as is safe.
    #[error("the data key has reached its message limit: roll the keyring")]
    KeyExhausted,
    /// There is no randomness.
    #[error(transparent)]
    Rng(#[from] RngError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<BarrierError> for Error {
    fn from(error: BarrierError) -> Self {
        let code = match error {
            BarrierError::Corrupt => Code::Corrupt,
            BarrierError::Changed => Code::Conflict,
            BarrierError::TooLarge => Code::InvalidData,
            BarrierError::TooManyNames => Code::InvalidRequest,
            BarrierError::KeyExhausted => Code::Unavailable,
            BarrierError::Rng(_) => Code::NoEntropy,
            BarrierError::Storage(error) => return error.into(),
        };
        Error::new(code, error.to_string())
    }
}

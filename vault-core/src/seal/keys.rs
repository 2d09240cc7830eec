//! What makes a slot, and what opens one.

use super::SealError;
use super::share::Share;
use crate::crypto::Argon2Params;
use crate::host::KeyWrapper;
use crate::types::limits::PASSPHRASE_BYTES_MAX;
use crate::types::{SecretBytes, SecretString};
use std::fmt;
use std::sync::Arc;

/// A slot that is to be made.
#[non_exhaustive]
pub enum NewSeal {
    /// Opens by a passphrase, stretched by Argon2id.
    Passphrase {
        /// The passphrase.
        passphrase: SecretString,
        /// What a try costs.
        params: Argon2Params,
    },
    /// Opens by 32 bytes, which must be uniformly random.
    RawKey(SecretBytes),
    /// Opens by any `threshold` of `count` key shares, which are given out once.
    Shares {
        /// How many shares there are.
        count: u8,
        /// How many of them open.
        threshold: u8,
    },
    /// Opens by a key service: a KMS or an HSM.
    Wrapper(Arc<dyn KeyWrapper>),
}

/// What opens a slot.
#[non_exhaustive]
pub enum UnsealKey {
    /// A passphrase.
    Passphrase(SecretString),
    /// 32 raw bytes.
    RawKey(SecretBytes),
    /// As many key shares as are needed, or more.
    Shares(Vec<SecretString>),
    /// The key service that wrapped the slot's key, found by its name.
    Wrapper(Arc<dyn KeyWrapper>),
}

impl NewSeal {
    /// A slot for a passphrase, at the default cost (64 MiB, 3 passes, 4 lanes).
    ///
    /// # Errors
    /// When the passphrase is empty or longer than 4096 bytes.
    pub fn passphrase(passphrase: &str) -> Result<Self, SealError> {
        Self::passphrase_with(passphrase, Argon2Params::default())
    }

    /// A slot for a passphrase at a cost of one's own.
    ///
    /// # Errors
    /// When the passphrase is empty or longer than 4096 bytes, or the cost is below the floor or above the cap.
    pub fn passphrase_with(passphrase: &str, params: Argon2Params) -> Result<Self, SealError> {
        params.check()?;
        Ok(NewSeal::Passphrase { passphrase: checked_passphrase(passphrase)?, params })
    }

    /// A slot for a raw key.
    ///
    /// # Errors
    /// When it does not have exactly 32 bytes.
    pub fn raw_key(key: &[u8]) -> Result<Self, SealError> {
        checked_raw_key(key).map(NewSeal::RawKey)
    }

    /// A slot that any `threshold` of `count` key shares open: at least 2, unless there is but one share.
    ///
    /// # Errors
    /// When the numbers make no sense.
    pub fn shares(count: u8, threshold: u8) -> Result<Self, SealError> {
        super::share::check_numbers(count, threshold)?;
        Ok(NewSeal::Shares { count, threshold })
    }

    /// A slot that a key service opens.
    #[must_use]
    pub fn wrapper(wrapper: Arc<dyn KeyWrapper>) -> Self {
        NewSeal::Wrapper(wrapper)
    }
}

impl UnsealKey {
    /// A passphrase.
    ///
    /// # Errors
    /// When it is empty or longer than 4096 bytes.
    pub fn passphrase(passphrase: &str) -> Result<Self, SealError> {
        checked_passphrase(passphrase).map(UnsealKey::Passphrase)
    }

    /// A raw key.
    ///
    /// # Errors
    /// When it does not have exactly 32 bytes.
    pub fn raw_key(key: &[u8]) -> Result<Self, SealError> {
        checked_raw_key(key).map(UnsealKey::RawKey)
    }

    /// Key shares: as many as are needed, or more, in any order.
    ///
    /// # Errors
    /// When one of them is no share, or was mistyped.
    pub fn shares<'a>(shares: impl IntoIterator<Item = &'a str>) -> Result<Self, SealError> {
        let mut checked = Vec::new();
        for share in shares {
            Share::parse(share)?;
            checked.push(SecretString::copy_from(share));
        }
        Ok(UnsealKey::Shares(checked))
    }

    /// The key service that wrapped the slot's key.
    #[must_use]
    pub fn wrapper(wrapper: Arc<dyn KeyWrapper>) -> Self {
        UnsealKey::Wrapper(wrapper)
    }
}

impl fmt::Debug for NewSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NewSeal::Passphrase { .. } => "NewSeal::Passphrase([redacted])",
            NewSeal::RawKey(_) => "NewSeal::RawKey([redacted])",
            NewSeal::Shares { .. } => "NewSeal::Shares",
            NewSeal::Wrapper(_) => "NewSeal::Wrapper",
        })
    }
}

impl fmt::Debug for UnsealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnsealKey::Passphrase(_) => "UnsealKey::Passphrase([redacted])",
            UnsealKey::RawKey(_) => "UnsealKey::RawKey([redacted])",
            UnsealKey::Shares(_) => "UnsealKey::Shares([redacted])",
            UnsealKey::Wrapper(_) => "UnsealKey::Wrapper",
        })
    }
}

fn checked_passphrase(passphrase: &str) -> Result<SecretString, SealError> {
    if passphrase.is_empty() || passphrase.len() > PASSPHRASE_BYTES_MAX {
        return Err(SealError::BadPassphrase);
    }
    Ok(SecretString::copy_from(passphrase))
}

fn checked_raw_key(key: &[u8]) -> Result<SecretBytes, SealError> {
    if key.len() == 32 { Ok(SecretBytes::copy_from(key)) } else { Err(SealError::BadRawKey) }
}

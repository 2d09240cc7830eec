//! Cryptography: one primitive a file, each over a checked library, keys in locked memory.

mod aead;
mod digest;
mod hash;
mod kdf;
mod key;
mod keyring;
mod mac;
mod sign;
#[cfg(test)]
mod vectors;

pub(crate) use aead::{AeadKey, Nonce};
pub(crate) use digest::Sha2;
pub(crate) use hash::sha256;
pub use kdf::Argon2Params;
pub(crate) use kdf::{Label, argon2id, commitment, derive};
pub(crate) use key::Key256;
pub(crate) use keyring::{DataKeys, Keyring};
pub(crate) use mac::MacKey;
pub(crate) use sign::{public_key, sign, verify as verify_signature};

/// Why cryptography failed. A decryption that fails says no more than that.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum CryptoError {
    /// The ciphertext is not what was encrypted, or the key or its context is another.
    #[error("decryption failed")]
    Decrypt,
    /// The parameters of a key derivation are below the floor or above the cap.
    #[error("the key derivation's parameters are out of range")]
    Parameters,
    /// A keyring is not one that a vault wrote.
    #[error("the keyring does not parse")]
    Keyring,
}

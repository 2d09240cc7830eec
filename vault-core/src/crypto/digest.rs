//! The SHA-2 family by name (FIPS 180-4), for those who ask the vault to hash something.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// A hash function of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sha2 {
    Bits224,
    Bits256,
    Bits384,
    Bits512,
}

impl Sha2 {
    /// The function of that name, as users know it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "sha2-224" => Sha2::Bits224,
            "sha2-256" => Sha2::Bits256,
            "sha2-384" => Sha2::Bits384,
            "sha2-512" => Sha2::Bits512,
            _ => return None,
        })
    }

    /// The hash of some bytes.
    pub(crate) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Sha2::Bits224 => Sha224::digest(bytes).to_vec(),
            Sha2::Bits256 => Sha256::digest(bytes).to_vec(),
            Sha2::Bits384 => Sha384::digest(bytes).to_vec(),
            Sha2::Bits512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

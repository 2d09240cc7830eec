//! A key slot: the root key, wrapped under a key that a passphrase or 32 raw bytes give.

use super::SealError;
use crate::crypto::{AeadKey, Argon2Params, Key256, Label, Nonce, argon2id, commitment, derive};
use crate::host::Rng;
use crate::types::id::Id;
use crate::types::limits::PASSPHRASE_BYTES_MAX;
use crate::types::{SecretBytes, SecretString};
use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;

/// A slot that is to be made.
#[derive(Debug)]
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
}

/// What opens a slot.
#[derive(Debug)]
#[non_exhaustive]
pub enum UnsealKey {
    /// A passphrase.
    Passphrase(SecretString),
    /// 32 raw bytes.
    RawKey(SecretBytes),
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
}

/// A slot, as the header holds it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Slot {
    #[n(0)]
    pub(super) id: u32,
    #[n(1)]
    kind: SlotKind,
    #[cbor(n(2), with = "minicbor::bytes")]
    commitment: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    nonce: [u8; 12],
    /// The root key under AES-256-GCM-SIV, with its tag.
    #[cbor(n(4), with = "minicbor::bytes")]
    wrapped: Vec<u8>,
}

/// How a slot's key comes about, with all parameters.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
enum SlotKind {
    #[n(0)]
    Passphrase {
        #[cbor(n(0), with = "minicbor::bytes")]
        salt: [u8; 16],
        #[n(1)]
        memory_kib: u32,
        #[n(2)]
        iterations: u32,
        #[n(3)]
        lanes: u32,
    },
    #[n(1)]
    RawKey,
}

impl Slot {
    pub(super) fn create(rng: &dyn Rng, store: &Id, id: u32, root_key: &Key256, seal: &NewSeal) -> Result<Self, SealError> {
        let kind = match seal {
            NewSeal::Passphrase { params, .. } => SlotKind::Passphrase {
                salt: rng.array()?,
                memory_kib: params.memory_kib,
                iterations: params.iterations,
                lanes: params.lanes,
            },
            NewSeal::RawKey(_) => SlotKind::RawKey,
        };
        let secret = match seal {
            NewSeal::Passphrase { passphrase, .. } => passphrase.expose().as_bytes(),
            NewSeal::RawKey(key) => key.expose(),
        };
        let slot_key = kind.slot_key(secret)?;
        let context = kind.context(store, id);
        let nonce = Nonce::random(rng)?;
        let nonce_bytes = *nonce.as_bytes();
        let mut wrapped = Vec::new();
        AeadKey::new(&derive(&slot_key, Label::SlotKey, &context)).seal(nonce, &context, root_key.expose(), &mut wrapped);
        Ok(Slot { id, kind, commitment: commitment(&slot_key, Label::SlotCommitment, &context), nonce: nonce_bytes, wrapped })
    }

    /// The root key, if this key opens the slot.
    pub(super) fn open(&self, store: &Id, key: &UnsealKey) -> Result<Key256, SealError> {
        let secret = match (&self.kind, key) {
            (SlotKind::Passphrase { .. }, UnsealKey::Passphrase(passphrase)) => passphrase.expose().as_bytes(),
            (SlotKind::RawKey, UnsealKey::RawKey(key)) => key.expose(),
            _ => return Err(SealError::WrongKey),
        };
        // Parameters out of range in a header were not written by a vault.
        let slot_key = self.kind.slot_key(secret).map_err(|_| SealError::Corrupt)?;
        let context = self.kind.context(store, self.id);
        if !bool::from(commitment(&slot_key, Label::SlotCommitment, &context).ct_eq(&self.commitment)) {
            return Err(SealError::WrongKey);
        }
        let wrapping = AeadKey::new(&derive(&slot_key, Label::SlotKey, &context));
        let root_key = wrapping.open(&self.nonce, &context, &self.wrapped)?;
        root_key.as_slice().try_into().map(Key256::from_bytes).map_err(|_| SealError::Corrupt)
    }

    pub(super) fn kind_name(&self) -> &'static str {
        match self.kind {
            SlotKind::Passphrase { .. } => "passphrase",
            SlotKind::RawKey => "raw-key",
        }
    }
}

impl SlotKind {
    fn slot_key(&self, secret: &[u8]) -> Result<Key256, SealError> {
        match self {
            SlotKind::Passphrase { salt, memory_kib, iterations, lanes } => {
                let params = Argon2Params { memory_kib: *memory_kib, iterations: *iterations, lanes: *lanes };
                Ok(argon2id(secret, salt, &params)?)
            }
            SlotKind::RawKey => secret.try_into().map(Key256::from_bytes).map_err(|_| SealError::BadRawKey),
        }
    }

    /// Everything that gives the slot its meaning; authenticated by the commitment and the wrapping alike. All parts have a fixed length.
    fn context(&self, store: &Id, id: u32) -> Vec<u8> {
        let mut context = [&0_u16.to_le_bytes()[..], store.as_bytes(), &id.to_le_bytes()].concat();
        match self {
            SlotKind::Passphrase { salt, memory_kib, iterations, lanes } => {
                context.push(0);
                context.extend_from_slice(salt);
                [memory_kib, iterations, lanes].iter().for_each(|number| context.extend_from_slice(&number.to_le_bytes()));
            }
            SlotKind::RawKey => context.push(1),
        }
        context
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

//! The keyring's record: wrapped under a key of the root key, with a commitment to it.
//!
//! `commitment (32) | nonce (12) | ciphertext | tag (16)`

use super::BarrierError;
use crate::crypto::{AeadKey, DataKeys, Key256, Keyring, Label, Nonce, commitment, derive};
use crate::host::Rng;
use crate::types::id::Id;
use subtle::ConstantTimeEq;

/// The record of a keyring with these data keys.
pub(crate) fn wrap_keyring(
    rng: &dyn Rng,
    root_key: &Key256,
    store: &Id,
    namespace: &Id,
    keyring: &Keyring,
    data_keys: &DataKeys,
) -> Result<Vec<u8>, BarrierError> {
    let context = context(store, namespace);
    let nonce = Nonce::random(rng)?;
    let mut record = commitment(root_key, Label::KeyringCommitment, &context).to_vec();
    record.extend_from_slice(nonce.as_bytes());
    let wrapping = AeadKey::new(&derive(root_key, Label::KeyringKey, &context));
    wrapping.seal(nonce, &context, &[&keyring.to_bytes(data_keys)], &mut record);
    Ok(record)
}

/// The keyring of such a record.
pub(crate) fn unwrap_keyring(root_key: &Key256, store: &Id, namespace: &Id, record: &[u8]) -> Result<Keyring, BarrierError> {
    let context = context(store, namespace);
    let (committed, rest) = record.split_first_chunk::<32>().ok_or(BarrierError::Corrupt)?;
    let (nonce, sealed) = rest.split_first_chunk::<12>().ok_or(BarrierError::Corrupt)?;
    if !bool::from(commitment(root_key, Label::KeyringCommitment, &context).ct_eq(committed)) {
        return Err(BarrierError::Corrupt);
    }
    let wrapping = AeadKey::new(&derive(root_key, Label::KeyringKey, &context));
    let bytes = wrapping.open(nonce, &context, sealed).map_err(|_| BarrierError::Corrupt)?;
    Keyring::from_bytes(&bytes).map_err(|_| BarrierError::Corrupt)
}

fn context(store: &Id, namespace: &Id) -> Vec<u8> {
    [&store.as_bytes()[..], namespace.as_bytes()].concat()
}

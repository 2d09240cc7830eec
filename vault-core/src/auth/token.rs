//! Tokens: their form, their records, and their revocation with all their children.
//!
//! A token is `hvs.` and 32 random characters of base 62 (190 bits). The store knows only MACs of it: whoever reads a record learns no token.

use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::host::{Rng, RngError};
use crate::storage::Key;
use crate::types::{SecretString, Timestamp, Ttl};
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroize;

const PREFIX: &str = "hvs.";
const RANDOM_CHARACTERS: usize = 32;
const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Tokens that end within one bucket are found by one scan; seconds.
const DUE_BUCKET_SECONDS: u64 = 3600;

/// What the store calls a token: a MAC of it.
pub(crate) type TokenKey = [u8; 16];

/// A token's record.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct TokenEntry {
    #[n(0)]
    pub(crate) accessor: String,
    #[n(1)]
    pub(crate) policies: Vec<String>,
    #[n(2)]
    pub(crate) display_name: String,
    #[n(3)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// The path of the request that made it.
    #[n(4)]
    pub(crate) path: String,
    /// Milliseconds since the Unix epoch.
    #[n(5)]
    pub(crate) created_millis: u64,
    /// What it was granted, in seconds; 0 when it does not expire.
    #[n(6)]
    pub(crate) ttl_seconds: u64,
    /// Milliseconds since the Unix epoch; 0 when it does not expire.
    #[n(7)]
    pub(crate) expires_millis: u64,
    /// The token that it is revoked with.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub(crate) parent: Option<[u8; 16]>,
}

/// A token that was looked up and is held in memory. Revocation raises its flag, and it is never looked at again.
#[derive(Debug)]
pub(crate) struct LiveToken {
    pub(crate) key: TokenKey,
    pub(crate) entry: TokenEntry,
    /// Revoked with its parent, and never valid for longer.
    parent: Option<Arc<LiveToken>>,
    revoked: AtomicBool,
}

impl TokenEntry {
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_millis != 0 && now.as_millis() >= self.expires_millis
    }

    /// What is left of its time; zero when it does not expire.
    pub(crate) fn remaining(&self, now: Timestamp) -> Ttl {
        now.until(Timestamp::from_millis(self.expires_millis))
    }

    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|name| name == "root")
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }
}

impl LiveToken {
    pub(crate) fn new(key: TokenKey, entry: TokenEntry, parent: Option<Arc<LiveToken>>) -> Self {
        LiveToken { key, entry, parent, revoked: AtomicBool::new(false) }
    }

    /// Raised at revocation, once that is durable.
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    /// Whether neither this token nor one of its ancestors was revoked or has expired.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        let mut token = Some(self);
        while let Some(this) = token {
            if this.revoked.load(Ordering::Acquire) || this.entry.is_expired(now) {
                return false;
            }
            token = this.parent.as_deref();
        }
        true
    }
}

/// A new token.
pub(crate) fn generate(rng: &dyn Rng) -> Result<SecretString, RngError> {
    let mut text = String::with_capacity(PREFIX.len() + RANDOM_CHARACTERS);
    text.push_str(PREFIX);
    random_characters(rng, RANDOM_CHARACTERS, &mut text)?;
    Ok(SecretString::new(text.into_boxed_str()))
}

/// A new accessor. It names a token and is no secret.
pub(crate) fn generate_accessor(rng: &dyn Rng) -> Result<String, RngError> {
    let mut text = String::new();
    random_characters(rng, 24, &mut text)?;
    Ok(text)
}

/// The MAC by which the store knows a token.
pub(crate) fn key_of(barrier: &Barrier, token: &str) -> TokenKey {
    barrier.keyring().token_hash().short_tag(&[barrier.namespace().as_bytes(), token.as_bytes()])
}

/// A token's record, if it is there.
pub(crate) fn load(overlay: &mut Overlay<'_>, key: &TokenKey) -> Result<Option<TokenEntry>, BarrierError> {
    overlay.get(Kind::Token, &Key::new(&[key]))?.map(|bytes| TokenEntry::from_bytes(&bytes)).transpose()
}

/// Lays a new token into the store: its record, its accessor's, its place with its parent and in its time bucket.
pub(crate) fn store(overlay: &mut Overlay<'_>, key: &TokenKey, entry: &TokenEntry) -> Result<(), BarrierError> {
    let bytes = minicbor::to_vec(entry).expect("encoding to memory cannot fail");
    overlay.put(Kind::Token, Key::new(&[key]), &bytes)?;
    let barrier = overlay.barrier();
    overlay.put(Kind::Accessor, accessor_key(barrier, &entry.accessor), key)?;
    if let Some(parent) = &entry.parent {
        overlay.put(Kind::TokenChild, barrier.member_key(Kind::TokenChild, parent, key), key)?;
    }
    if let Some(bucket) = bucket_of(entry) {
        overlay.put(Kind::Due, barrier.member_key(Kind::Due, &bucket.to_le_bytes(), key), key)?;
    }
    Ok(())
}

/// Removes a token and all its descendants; returns the keys of those that were there.
pub(crate) fn remove_tree(overlay: &mut Overlay<'_>, key: &TokenKey) -> Result<Vec<TokenKey>, BarrierError> {
    let mut removed = Vec::new();
    let mut waiting = vec![*key];
    while let Some(key) = waiting.pop() {
        let Some(entry) = load(overlay, &key)? else { continue };
        let barrier = overlay.barrier();
        overlay.scan(Kind::TokenChild, &barrier.member_prefix(Kind::TokenChild, &key), |_, child| {
            waiting.push(child.try_into().map_err(|_| BarrierError::Corrupt)?);
            Ok(true)
        })?;
        overlay.delete(Key::new(&[&key]));
        overlay.delete(accessor_key(barrier, &entry.accessor));
        if let Some(parent) = &entry.parent {
            overlay.delete(barrier.member_key(Kind::TokenChild, parent, &key));
        }
        if let Some(bucket) = bucket_of(&entry) {
            overlay.delete(barrier.member_key(Kind::Due, &bucket.to_le_bytes(), &key));
        }
        removed.push(key);
    }
    Ok(removed)
}

/// The tokens whose time ends in this bucket.
pub(crate) fn due_in(overlay: &Overlay<'_>, bucket: u64) -> Result<Vec<TokenKey>, BarrierError> {
    let mut keys = Vec::new();
    overlay.scan(Kind::Due, &overlay.barrier().member_prefix(Kind::Due, &bucket.to_le_bytes()), |_, key| {
        keys.push(key.try_into().map_err(|_| BarrierError::Corrupt)?);
        Ok(true)
    })?;
    Ok(keys)
}

/// The bucket of an instant.
pub(crate) fn bucket_at(at: Timestamp) -> u64 {
    at.as_secs() / DUE_BUCKET_SECONDS
}

/// The instant at which a bucket begins.
pub(crate) fn bucket_start(bucket: u64) -> Timestamp {
    Timestamp::from_secs(bucket.saturating_mul(DUE_BUCKET_SECONDS))
}

fn bucket_of(entry: &TokenEntry) -> Option<u64> {
    (entry.expires_millis != 0).then(|| bucket_at(Timestamp::from_millis(entry.expires_millis)))
}

fn accessor_key(barrier: &Barrier, accessor: &str) -> Key {
    barrier.key(Kind::Accessor, &[accessor.as_bytes()])
}

/// Appends uniformly random characters of base 62.
fn random_characters(rng: &dyn Rng, count: usize, text: &mut String) -> Result<(), RngError> {
    let mut left = count;
    while left > 0 {
        let mut bytes: [u8; 64] = rng.array()?;
        // 248 = 4 * 62: bytes from there on would favour the first characters.
        for byte in bytes.iter().filter(|byte| **byte < 248).take(left) {
            text.push(char::from(BASE_62[usize::from(*byte % 62)]));
            left -= 1;
        }
        bytes.zeroize();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::SystemRng;

    #[test]
    fn tokens_have_their_form_and_differ() {
        let rng = SystemRng::new();
        let one = generate(&rng).expect("randomness");
        let other = generate(&rng).expect("randomness");
        assert!(one != other);
        let random = one.expose().strip_prefix(PREFIX).expect("prefix");
        assert_eq!(random.len(), RANDOM_CHARACTERS);
        assert!(random.bytes().all(|byte| BASE_62.contains(&byte)));
    }
}

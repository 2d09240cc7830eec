//! Tokens: their form, their records, and their revocation with all their children.
//!
//! A token is `hvs.` and 32 random characters of base 62 (190 bits). The store knows only MACs of it: whoever reads a record learns no token.

use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::host::{Rng, RngError};
use crate::storage::Key;
use crate::types::id::Id;
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

/// A token among those of all namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRef {
    pub(crate) namespace: Id,
    pub(crate) key: TokenKey,
}

/// The barrier of a namespace, unless it was deleted.
pub(crate) type BarrierOf<'a> = &'a dyn Fn(&Id) -> Option<Arc<Barrier>>;

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
    /// The namespace of that one; the token's own or one above it.
    #[cbor(n(9), with = "minicbor::bytes", default)]
    pub(crate) parent_namespace: [u8; 16],
    /// How many tokens there are above it.
    #[cbor(n(10), default)]
    pub(crate) depth: u64,
}

/// A token that was looked up and is held in memory. Revocation raises its flag, and it is never looked at again.
#[derive(Debug)]
pub(crate) struct LiveToken {
    pub(crate) id: TokenRef,
    pub(crate) entry: TokenEntry,
    /// Revoked with its parent, and never valid for longer.
    parent: Option<Arc<LiveToken>>,
    revoked: AtomicBool,
}

impl TokenRef {
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(self.namespace.as_bytes());
        bytes[16..].copy_from_slice(&self.key);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        let (namespace, key) = bytes.split_first_chunk::<16>().ok_or(BarrierError::Corrupt)?;
        Ok(TokenRef { namespace: Id::from_bytes(*namespace), key: key.try_into().map_err(|_| BarrierError::Corrupt)? })
    }
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

    pub(crate) fn parent(&self) -> Option<TokenRef> {
        self.parent.map(|key| TokenRef { namespace: Id::from_bytes(self.parent_namespace), key })
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }
}

impl LiveToken {
    pub(crate) fn new(id: TokenRef, entry: TokenEntry, parent: Option<Arc<LiveToken>>) -> Self {
        LiveToken { id, entry, parent, revoked: AtomicBool::new(false) }
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

/// Lays a new token into the store: its record and its accessor's in its own namespace, its place with its parent in the parent's, and its
/// place in a time bucket in the root namespace, where all that is due is found by one scan.
pub(crate) fn store(overlay: &mut Overlay<'_>, key: &TokenKey, entry: &TokenEntry, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    let bytes = minicbor::to_vec(entry).expect("encoding to memory cannot fail");
    overlay.put(Kind::Token, Key::new(&[key]), &bytes)?;
    let barrier = overlay.barrier();
    overlay.put(Kind::Accessor, accessor_key(barrier, &entry.accessor), key)?;
    let token = TokenRef { namespace: *barrier.namespace(), key: *key };
    if let Some(parent) = &entry.parent() {
        let above = barrier_of(&parent.namespace).ok_or(BarrierError::Corrupt)?;
        overlay.within(&above, |overlay| overlay.put(Kind::TokenChild, child_key(&above, parent, &token), &token.to_bytes()))?;
    }
    if let Some(bucket) = bucket_of(entry) {
        let root = barrier_of(&Id::ROOT).ok_or(BarrierError::Corrupt)?;
        overlay.within(&root, |overlay| overlay.put(Kind::Due, due_key(&root, bucket, &token), &token.to_bytes()))?;
    }
    Ok(())
}

/// Removes a token and all its descendants, those in namespaces below its own too; returns those that were there.
pub(crate) fn remove_tree(overlay: &mut Overlay<'_>, token: &TokenRef, barrier_of: BarrierOf<'_>) -> Result<Vec<TokenRef>, BarrierError> {
    let mut removed = Vec::new();
    let mut waiting = vec![*token];
    while let Some(token) = waiting.pop() {
        // With its namespace goes the token.
        let Some(barrier) = barrier_of(&token.namespace) else { continue };
        let Some(entry) = overlay.within(&barrier, |overlay| load(overlay, &token.key))? else { continue };
        overlay.within(&barrier, |overlay| {
            let mut children = Vec::new();
            overlay.scan(Kind::TokenChild, &barrier.member_prefix(Kind::TokenChild, &token.key), |key, child| {
                children.push((*key, TokenRef::from_bytes(child)?));
                Ok(true)
            })?;
            for (key, child) in children {
                overlay.delete(key);
                waiting.push(child);
            }
            overlay.delete(Key::new(&[&token.key]));
            overlay.delete(accessor_key(&barrier, &entry.accessor));
            Ok::<_, BarrierError>(())
        })?;
        if let Some((parent, above)) = entry.parent().and_then(|parent| Some((parent, barrier_of(&parent.namespace)?))) {
            overlay.within(&above, |overlay| overlay.delete(child_key(&above, &parent, &token)));
        }
        if let (Some(bucket), Some(root)) = (bucket_of(&entry), barrier_of(&Id::ROOT)) {
            overlay.within(&root, |overlay| overlay.delete(due_key(&root, bucket, &token)));
        }
        removed.push(token);
    }
    Ok(removed)
}

/// The tokens whose time ends in this bucket, through an overlay of the root namespace.
pub(crate) fn due_in(overlay: &Overlay<'_>, bucket: u64) -> Result<Vec<TokenRef>, BarrierError> {
    let mut tokens = Vec::new();
    overlay.scan(Kind::Due, &overlay.barrier().member_prefix(Kind::Due, &bucket.to_le_bytes()), |_, token| {
        tokens.push(TokenRef::from_bytes(token)?);
        Ok(true)
    })?;
    Ok(tokens)
}

/// Where a token stands in its bucket.
pub(crate) fn due_key(root: &Barrier, bucket: u64, token: &TokenRef) -> Key {
    root.member_key(Kind::Due, &bucket.to_le_bytes(), &token.key)
}

fn child_key(above: &Barrier, parent: &TokenRef, token: &TokenRef) -> Key {
    above.member_key(Kind::TokenChild, &parent.key, &token.key)
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
pub(crate) fn random_characters(rng: &dyn Rng, count: usize, text: &mut String) -> Result<(), RngError> {
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

//! Tokens: their form, and what is known of one.
//!
//! A service token is `hvs.` and 32 random characters of base 62 (190 bits). The store knows only MACs of it: whoever reads a record learns no token.

use crate::barrier::{Barrier, BarrierError};
use crate::host::{Rng, RngError};
use crate::identity::EntityRef;
use crate::types::deadman::Deadman;
use crate::types::id::Id;
use crate::types::{SecretString, Timestamp, Ttl};
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use zeroize::Zeroize;

/// The policy of a token that holds a wrapped response; none can be given it.
pub(crate) const WRAPPING_POLICY: &str = "response-wrapping";

const PREFIX: &str = "hvs.";
const RANDOM_CHARACTERS: usize = 32;
const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What the store calls a token: a MAC of it.
pub(crate) type TokenKey = [u8; 16];

/// A token among those of all namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TokenRef {
    pub(crate) namespace: Id,
    pub(crate) key: TokenKey,
}

/// What a token is: one with a record, or one that holds all that is known of it in its own text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum TokenKind {
    #[default]
    #[n(0)]
    Service,
    #[n(1)]
    Batch,
}

/// A token's record. New fields get new numbers, and a default that older records are read with.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
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
    #[cbor(n(11), default)]
    pub(crate) kind: TokenKind,
    #[cbor(n(12), default)]
    pub(crate) renewable: bool,
    /// What each renewal resets its time to, in seconds; 0 when it is not periodic.
    #[cbor(n(13), default)]
    pub(crate) period_seconds: u64,
    /// How long it lasts at most, renewals included, in seconds from its creation; 0 when nobody said so.
    #[cbor(n(14), default)]
    pub(crate) explicit_max_seconds: u64,
    /// How often it may be used; 0 when without limit. What is left of it is a record of its own.
    #[cbor(n(15), default)]
    pub(crate) num_uses: u64,
    /// The role that it was made by; empty when by none.
    #[cbor(n(16), default)]
    pub(crate) role: String,
    /// The networks that it may be used from; empty when from everywhere.
    #[cbor(n(17), default)]
    pub(crate) bound_cidrs: Vec<String>,
    /// Milliseconds since the Unix epoch; 0 when it was never renewed.
    #[cbor(n(19), default)]
    pub(crate) last_renewed_millis: u64,
    /// The entity that it is of: namespace (16), id (16).
    #[cbor(n(20), with = "minicbor::bytes")]
    pub(crate) entity: Option<[u8; 32]>,
    /// Since when it is held still (an emergency): it and its descendants may do nothing.
    #[n(30)]
    pub(crate) quarantined_millis: Option<u64>,
    /// It is lost when it is not used for so long, in seconds.
    #[n(31)]
    pub(crate) deadman_seconds: Option<u64>,
    /// When it was used last, where it can be lost: no older than a quarter of that time.
    #[n(32)]
    pub(crate) used_millis: Option<u64>,
    /// How often its entity had been lost when it was made.
    #[cbor(n(33), default)]
    pub(crate) entity_losses: u64,
}

impl TokenRef {
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(self.namespace.as_bytes());
        bytes[16..].copy_from_slice(&self.key);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        let (namespace, key) = bytes.split_first_chunk::<16>().ok_or(BarrierError::Corrupt)?;
        Ok(TokenRef { namespace: Id::from_bytes(*namespace), key: key.try_into().map_err(|_| BarrierError::Corrupt)? })
    }
}

impl TokenEntry {
    /// Whether its time has ended, or it was not used for too long.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.ends().is_some_and(|ends| now >= ends)
    }

    /// When it ends if it is neither used nor renewed before.
    pub(crate) fn ends(&self) -> Option<Timestamp> {
        [self.expires(), self.deadman().map(Deadman::deadline)].into_iter().flatten().min()
    }

    /// What it is lost by when it is not used.
    pub(crate) fn deadman(&self) -> Option<Deadman> {
        Some(Deadman { seconds: self.deadman_seconds?, used_millis: self.used_millis.unwrap_or(self.created_millis) })
    }

    /// Whether that it is used now is to be noted.
    pub(crate) fn is_use_noted(&self, now: Timestamp) -> bool {
        self.deadman().is_some_and(|deadman| deadman.is_use_noted(now))
    }

    /// What is left of its time; zero when it does not expire.
    pub(crate) fn remaining(&self, now: Timestamp) -> Ttl {
        now.until(Timestamp::from_millis(self.expires_millis))
    }

    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|name| name == "root")
    }

    pub(crate) fn is_batch(&self) -> bool {
        self.kind == TokenKind::Batch
    }

    /// Whether it holds a wrapped response, and is for nothing else.
    pub(crate) fn is_wrapping(&self) -> bool {
        self.policies.iter().any(|name| name == WRAPPING_POLICY)
    }

    pub(crate) fn created(&self) -> Timestamp {
        Timestamp::from_millis(self.created_millis)
    }

    /// When it ends, if it does.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        (self.expires_millis != 0).then(|| Timestamp::from_millis(self.expires_millis))
    }

    pub(crate) fn parent(&self) -> Option<TokenRef> {
        self.parent.map(|key| TokenRef { namespace: Id::from_bytes(self.parent_namespace), key })
    }

    pub(crate) fn entity(&self) -> Option<EntityRef> {
        self.entity.map(EntityRef::from_bytes)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("encoding to memory cannot fail")
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
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

    /// What a token's record held before there were kinds, renewals and limits of tokens.
    #[derive(Encode)]
    struct Before {
        #[n(0)]
        accessor: String,
        #[n(1)]
        policies: Vec<String>,
        #[n(2)]
        display_name: String,
        #[n(3)]
        metadata: BTreeMap<String, String>,
        #[n(4)]
        path: String,
        #[n(5)]
        created_millis: u64,
        #[n(6)]
        ttl_seconds: u64,
        #[n(7)]
        expires_millis: u64,
        #[cbor(n(8), with = "minicbor::bytes")]
        parent: Option<[u8; 16]>,
    }

    #[test]
    fn a_record_from_before_there_were_kinds_of_tokens_reads_as_a_plain_service_token() {
        let before = Before {
            accessor: "a".to_owned(),
            policies: vec!["p".to_owned()],
            display_name: "token".to_owned(),
            metadata: BTreeMap::new(),
            path: "auth/token/create".to_owned(),
            created_millis: 1,
            ttl_seconds: 2,
            expires_millis: 2001,
            parent: Some([7; 16]),
        };
        let read = TokenEntry::from_bytes(&minicbor::to_vec(before).expect("encoded")).expect("read");
        let expected = TokenEntry {
            accessor: "a".to_owned(),
            policies: vec!["p".to_owned()],
            display_name: "token".to_owned(),
            path: "auth/token/create".to_owned(),
            created_millis: 1,
            ttl_seconds: 2,
            expires_millis: 2001,
            parent: Some([7; 16]),
            ..TokenEntry::default()
        };
        assert_eq!(read, expected);
        assert_eq!(read.kind, TokenKind::Service);
    }
}

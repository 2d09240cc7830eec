//! A key slot: the root key, wrapped under a key that a passphrase, 32 raw bytes, key shares or an outside key service give.

use super::SealError;
use super::keys::{NewSeal, UnsealKey};
use super::share::{Share, ShareSet};
use crate::crypto::{AeadKey, Argon2Params, Key256, Label, Nonce, argon2id, commitment, derive, sha256};
use crate::host::{KeyWrapper, Rng, WrapError};
use crate::types::id::Id;
use crate::types::limits::WRAPPED_KEY_BYTES_MAX;
use crate::types::{SecretString, Timestamp};
use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;

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
    #[n(5)]
    pub(super) created_millis: u64,
    /// The slot that goes in its place once that one has been shown to open.
    #[n(6)]
    pub(super) superseded_by: Option<u32>,
}

/// What an opened slot gives.
pub(super) struct Opened {
    pub(super) root_key: Key256,
    /// What the root key was wrapped under.
    pub(super) slot_key: Key256,
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
    #[n(2)]
    Shares(#[n(0)] ShareSet),
    #[n(3)]
    Wrapper {
        #[n(0)]
        name: String,
        /// The slot's key as the key service wrapped it.
        #[cbor(n(1), with = "minicbor::bytes")]
        blob: Vec<u8>,
    },
}

impl Slot {
    /// A slot for a new seal, and the shares where it is opened by such.
    pub(super) fn create(
        rng: &dyn Rng,
        store: &Id,
        id: u32,
        now: Timestamp,
        root_key: &Key256,
        seal: &NewSeal,
    ) -> Result<(Self, Vec<SecretString>), SealError> {
        let mut shares = Vec::new();
        let (kind, slot_key) = match seal {
            NewSeal::Passphrase { passphrase, params } => {
                let salt = rng.array()?;
                let kind = SlotKind::Passphrase { salt, memory_kib: params.memory_kib, iterations: params.iterations, lanes: params.lanes };
                (kind, argon2id(passphrase.expose().as_bytes(), &salt, params)?)
            }
            NewSeal::RawKey(key) => (SlotKind::RawKey, raw(key.expose())?),
            NewSeal::Shares { count, threshold } => {
                let key = Key256::random(rng)?;
                let (set, dealt) = ShareSet::deal(rng, store, &key, *count, *threshold)?;
                shares = dealt;
                (SlotKind::Shares(set), key)
            }
            NewSeal::Wrapper(wrapper) => wrap_outside(rng, store, id, &**wrapper)?,
        };
        let mut slot = Slot {
            id,
            kind,
            commitment: [0; 32],
            nonce: [0; 12],
            wrapped: Vec::new(),
            created_millis: now.as_millis(),
            superseded_by: None,
        };
        slot.wrap(rng, store, root_key, &slot_key)?;
        Ok((slot, shares))
    }

    /// The same slot, opened by the same means, with another root key in it.
    pub(super) fn rewrapped(&self, rng: &dyn Rng, store: &Id, root_key: &Key256, slot_key: &Key256) -> Result<Self, SealError> {
        let mut slot = self.clone();
        slot.wrap(rng, store, root_key, slot_key)?;
        Ok(slot)
    }

    /// The root key and the slot's own, if this key opens the slot.
    pub(super) fn open(&self, store: &Id, key: &UnsealKey) -> Result<Opened, SealError> {
        let slot_key = self.slot_key(store, key)?;
        let context = self.context(store);
        if !bool::from(commitment(&slot_key, Label::SlotCommitment, &context).ct_eq(&self.commitment)) {
            return Err(SealError::WrongKey);
        }
        let opened = AeadKey::new(&derive(&slot_key, Label::SlotKey, &context)).open(&self.nonce, &context, &self.wrapped);
        let root_key = opened.map_err(|_| SealError::Corrupt)?;
        let root_key = raw(&root_key).map_err(|_| SealError::Corrupt)?;
        Ok(Opened { root_key, slot_key })
    }

    /// The slot's own key, as this key gives it; whether it is the right one the commitment tells.
    fn slot_key(&self, store: &Id, key: &UnsealKey) -> Result<Key256, SealError> {
        match (&self.kind, key) {
            (SlotKind::Passphrase { salt, memory_kib, iterations, lanes }, UnsealKey::Passphrase(passphrase)) => {
                let params = Argon2Params { memory_kib: *memory_kib, iterations: *iterations, lanes: *lanes };
                // Parameters out of range in a header were not written by a vault.
                argon2id(passphrase.expose().as_bytes(), salt, &params).map_err(|_| SealError::Corrupt)
            }
            (SlotKind::RawKey, UnsealKey::RawKey(key)) => raw(key.expose()),
            (SlotKind::Shares(set), UnsealKey::Shares(texts)) => {
                let shares = texts.iter().map(|text| Share::parse(text.expose())).collect::<Result<Vec<_>, _>>()?;
                let ours: Vec<&Share> = shares.iter().filter(|share| set.is_of(share)).collect();
                if ours.is_empty() {
                    return Err(SealError::ForeignShare);
                }
                ours.iter().try_for_each(|share| set.check(store, share))?;
                set.combine(&ours)
            }
            (SlotKind::Wrapper { name, blob }, UnsealKey::Wrapper(wrapper)) if wrapper.name() == name => {
                let key = wrapper.unwrap(blob, &outside_context(store, self.id)).map_err(SealError::KeyService)?;
                raw(key.expose()).map_err(|_| SealError::KeyService(WrapError::new("the key service gave no key of 32 bytes")))
            }
            _ => Err(SealError::WrongKey),
        }
    }

    /// The kind's name, as the status tells it.
    pub(super) fn kind_name(&self) -> &'static str {
        match self.kind {
            SlotKind::Passphrase { .. } => "passphrase",
            SlotKind::RawKey => "raw-key",
            SlotKind::Shares(_) => "shamir",
            SlotKind::Wrapper { .. } => "wrapper",
        }
    }

    /// Its set of shares, where it is opened by such.
    pub(super) fn shares(&self) -> Option<&ShareSet> {
        if let SlotKind::Shares(set) = &self.kind { Some(set) } else { None }
    }

    /// The name of the key service that opens it, where it is one.
    pub(super) fn wrapper(&self) -> Option<&str> {
        if let SlotKind::Wrapper { name, .. } = &self.kind { Some(name) } else { None }
    }

    fn wrap(&mut self, rng: &dyn Rng, store: &Id, root_key: &Key256, slot_key: &Key256) -> Result<(), SealError> {
        let context = self.context(store);
        let nonce = Nonce::random(rng)?;
        self.nonce = *nonce.as_bytes();
        self.commitment = commitment(slot_key, Label::SlotCommitment, &context);
        self.wrapped.clear();
        AeadKey::new(&derive(slot_key, Label::SlotKey, &context)).seal(nonce, &context, &[root_key.expose()], &mut self.wrapped);
        Ok(())
    }

    /// Everything that gives the slot its meaning; authenticated by the commitment and the wrapping alike. All parts have a fixed length.
    fn context(&self, store: &Id) -> Vec<u8> {
        let mut context = [&0_u16.to_le_bytes()[..], store.as_bytes(), &self.id.to_le_bytes()].concat();
        match &self.kind {
            SlotKind::Passphrase { salt, memory_kib, iterations, lanes } => {
                context.push(0);
                context.extend_from_slice(salt);
                [memory_kib, iterations, lanes].iter().for_each(|number| context.extend_from_slice(&number.to_le_bytes()));
            }
            SlotKind::RawKey => context.push(1),
            SlotKind::Shares(set) => {
                context.push(2);
                context.extend_from_slice(&sha256(&[&minicbor::to_vec(set).expect("encoding to memory cannot fail")]));
            }
            SlotKind::Wrapper { name, blob } => {
                context.push(3);
                context.extend_from_slice(&sha256(&[name.as_bytes()]));
                context.extend_from_slice(&sha256(&[blob]));
            }
        }
        context
    }
}

/// A random key, wrapped by the key service, which must give it back at once: a slot that cannot be opened is worth nothing.
fn wrap_outside(rng: &dyn Rng, store: &Id, id: u32, wrapper: &dyn KeyWrapper) -> Result<(SlotKind, Key256), SealError> {
    let fails = |why: &str| SealError::KeyService(WrapError::new(why));
    let name = wrapper.name().to_owned();
    if name.is_empty() || name.len() > 128 || !name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(SealError::BadWrapperName);
    }
    let key = Key256::random(rng)?;
    let context = outside_context(store, id);
    let blob = wrapper.wrap(key.expose(), &context).map_err(SealError::KeyService)?;
    if blob.len() > WRAPPED_KEY_BYTES_MAX {
        return Err(fails("the key service's wrapping is larger than 64 KiB"));
    }
    let again = wrapper.unwrap(&blob, &context).map_err(SealError::KeyService)?;
    if !bool::from(again.expose().ct_eq(key.expose())) {
        return Err(fails("the key service does not give back the key that it wrapped"));
    }
    Ok((SlotKind::Wrapper { name, blob }, key))
}

/// What a key service is told of the slot.
fn outside_context(store: &Id, id: u32) -> Vec<u8> {
    [&b"libvault v0 slot "[..], store.as_bytes(), &id.to_le_bytes()].concat()
}

fn raw(bytes: &[u8]) -> Result<Key256, SealError> {
    bytes.try_into().map(Key256::from_bytes).map_err(|_| SealError::BadRawKey)
}

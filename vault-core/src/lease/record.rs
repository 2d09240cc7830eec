//! The record of a lease, and the states that it goes through.

use crate::auth::TokenRef;
use crate::auth::token::random_characters;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::identity::EntityRef;
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Timestamp, Ttl};
use minicbor::{Decode, Encode};

/// Random characters at the end of a lease's id: 143 bits.
const ID_CHARACTERS: usize = 24;

/// A lease among those of all namespaces: the namespace, and what the store calls the lease there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LeaseRef {
    pub(crate) namespace: Id,
    pub(crate) key: [u8; 16],
}

/// Where a lease is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum State {
    /// Its account is being made, or may have been: nobody was told of it yet. Unless it becomes active the account is undone.
    #[n(0)]
    Pending,
    /// It was handed out.
    #[n(1)]
    Active,
    /// It has ended, and the target is to be told.
    #[n(2)]
    Ending,
    /// It has ended, and the target was told in vain as often as it is tried.
    #[n(3)]
    Stuck,
}

/// What was made at the target, and how it is undone.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct Account {
    #[n(0)]
    pub(crate) username: String,
    /// The role that it was made by.
    #[n(1)]
    pub(crate) role: String,
    /// As they were when it was made, for when the role is gone.
    #[n(2)]
    pub(crate) revocation: Vec<String>,
    #[n(3)]
    pub(crate) renewal: Vec<String>,
}

/// Whose a lease is: an entity, as records say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Entity {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) namespace: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
}

impl From<EntityRef> for Entity {
    fn from(of: EntityRef) -> Self {
        Entity { namespace: *of.namespace.as_bytes(), id: *of.id.as_bytes() }
    }
}

/// An account that is shared, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SharedRef {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
}

/// A lease's record.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Lease {
    /// The path of the request, 24 random characters and, below the root namespace, a sign of the namespace. It stays when the mount moves.
    #[n(0)]
    pub(crate) id: String,
    /// The mount's.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) mount: [u8; 16],
    /// What it is revoked at: the connection's id.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) target: [u8; 16],
    /// The token that holds it: its namespace and its key there.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) holder_namespace: [u8; 16],
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) holder: [u8; 16],
    #[n(5)]
    pub(crate) state: State,
    /// Milliseconds since the Unix epoch, as all times here.
    #[n(6)]
    pub(crate) issued_millis: u64,
    #[n(7)]
    pub(crate) renewed_millis: Option<u64>,
    /// What it was granted where nothing was asked for, in seconds.
    #[n(8)]
    pub(crate) ttl_seconds: u64,
    /// Its longest life from its issue on, in seconds.
    #[n(9)]
    pub(crate) max_seconds: u64,
    #[n(10)]
    pub(crate) renewable: bool,
    #[n(11)]
    pub(crate) expires_millis: u64,
    /// What was ended by prefix before ended those of this era and of earlier ones.
    #[n(12)]
    pub(crate) era: u64,
    #[n(13)]
    pub(crate) account: Account,
    /// Times that the target was told in vain.
    #[n(14)]
    pub(crate) attempts: u32,
    /// When the target is to be told next.
    #[n(15)]
    pub(crate) next_millis: u64,
    /// What the target said last.
    #[n(16)]
    pub(crate) error: Option<String>,
    /// It goes whatever the target says.
    #[n(17)]
    pub(crate) forced: bool,
    /// It was never handed out: its account is undone, and where it is not known what came of the call that was to make it once more after a
    /// while, since a lost call may still arrive at the target.
    #[n(18)]
    pub(crate) undone: bool,
    /// The target itself said that it made nothing.
    #[n(19)]
    pub(crate) refused: bool,
    /// The end that a renewal asked of the target and that the lease does not have, or not yet: its account may last so long there.
    #[n(20)]
    pub(crate) asked_millis: Option<u64>,
    /// The entity that the token which holds it is of, in its namespace.
    #[n(21)]
    pub(crate) entity: Option<Entity>,
    /// The account that it shares with others.
    #[n(22)]
    pub(crate) shared: Option<SharedRef>,
    /// How often somebody had been held still when it was granted: what a later one ends it is among.
    #[n(23)]
    pub(crate) hold: u64,
    /// Since when it does not hold any more, where its target has still to be told.
    #[n(24)]
    pub(crate) ended_millis: Option<u64>,
}

impl LeaseRef {
    /// The lease of that id in a namespace.
    pub(crate) fn of(barrier: &Barrier, id: &str) -> Self {
        let key = barrier.key(Kind::Lease, &[id.as_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(key.as_bytes());
        LeaseRef { namespace: *barrier.namespace(), key: bytes }
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(self.namespace.as_bytes());
        bytes[16..].copy_from_slice(&self.key);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        let (namespace, key) = bytes.split_first_chunk::<16>().ok_or(BarrierError::Corrupt)?;
        Ok(LeaseRef { namespace: Id::from_bytes(*namespace), key: key.try_into().map_err(|_| BarrierError::Corrupt)? })
    }

    pub(crate) fn storage_key(&self) -> Key {
        Key::new(&[&self.key])
    }
}

impl Lease {
    /// A lease's record, through an overlay of its namespace.
    pub(crate) fn load(overlay: &mut Overlay<'_>, key: &[u8; 16]) -> Result<Option<Self>, BarrierError> {
        overlay.get(Kind::Lease, &Key::new(&[key]))?.map(|bytes| Self::from_bytes(&bytes)).transpose()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("encoding to memory cannot fail")
    }

    pub(crate) fn holder(&self) -> TokenRef {
        TokenRef { namespace: Id::from_bytes(self.holder_namespace), key: self.holder }
    }

    pub(crate) fn expires(&self) -> Timestamp {
        Timestamp::from_millis(self.expires_millis)
    }

    /// Whether it is one of those that share an account.
    pub(crate) fn shares(&self, id: &[u8; 16]) -> bool {
        self.shared.is_some_and(|shared| shared.id == *id)
    }

    /// The end that no renewal goes past.
    pub(crate) fn latest_end(&self) -> Timestamp {
        Timestamp::from_millis(self.issued_millis).plus(Ttl::from_secs(self.max_seconds))
    }

    /// Whether nobody was told of it: it is being made, or is to be undone.
    pub(crate) fn was_never_given(&self) -> bool {
        self.state == State::Pending || self.undone
    }

    /// Whether it was handed out and its time has not ended. What ends many at once is not looked at.
    pub(crate) fn is_running(&self, now: Timestamp) -> bool {
        self.state == State::Active && now < self.expires()
    }

    /// The same lease at its end: the target is told from now on.
    pub(crate) fn ended(&self, now: Timestamp, forced: bool) -> Self {
        Lease {
            state: State::Ending,
            attempts: 0,
            next_millis: now.as_millis(),
            forced: self.forced || forced,
            undone: self.was_never_given(),
            ended_millis: self.ended_millis.or(Some(now.as_millis().min(self.expires_millis))),
            ..self.clone()
        }
    }
}

/// A new lease's id below a path, through an overlay of its namespace.
pub(crate) fn new_id(barrier: &Barrier, path: &str) -> Result<String, BarrierError> {
    let mut id = format!("{path}/");
    random_characters(barrier.rng(), ID_CHARACTERS, &mut id)?;
    if *barrier.namespace() != Id::ROOT {
        id.push('.');
        id.push_str(barrier.namespace().to_string().split('-').next().unwrap_or_default());
    }
    Ok(id)
}

//! The records of identities. New fields get new numbers, and a default that older records are read with.

use crate::barrier::BarrierError;
use crate::types::id::Id;
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;

/// An entity among those of all namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EntityRef {
    pub(crate) namespace: Id,
    pub(crate) id: Id,
}

/// A person or a program, with the aliases by which it is known.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct Entity {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    /// Canonical.
    #[n(1)]
    pub(crate) name: String,
    #[n(2)]
    pub(crate) metadata: BTreeMap<String, String>,
    #[n(3)]
    pub(crate) policies: Vec<String>,
    /// Its tokens are refused.
    #[n(4)]
    pub(crate) disabled: bool,
    /// Milliseconds since the Unix epoch.
    #[n(5)]
    pub(crate) created_millis: u64,
    #[n(6)]
    pub(crate) changed_millis: u64,
    /// At most one for each auth method.
    #[n(7)]
    pub(crate) aliases: Vec<Alias>,
    /// Since when it is held still (an emergency), in milliseconds since the Unix epoch: its tokens are refused.
    #[n(8)]
    pub(crate) quarantined_millis: Option<u64>,
    /// It is lost with all its tokens when nothing is heard of it for so long, in seconds.
    #[n(9)]
    pub(crate) deadman_seconds: Option<u64>,
    /// When it was heard of last, where it can be lost: no older than a quarter of that time. Milliseconds since the Unix epoch, as all times are.
    #[n(10)]
    pub(crate) heard_millis: Option<u64>,
    /// Since when it is lost.
    #[n(11)]
    pub(crate) lost_millis: Option<u64>,
    /// How often it was lost: tokens that were made when that was less are worth nothing.
    #[cbor(n(12), default)]
    pub(crate) losses: u64,
}

/// What an entity is called at one auth method.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct Alias {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    /// Canonical.
    #[n(1)]
    pub(crate) name: String,
    #[n(2)]
    pub(crate) mount_accessor: String,
    /// What whoever wrote it says of it.
    #[n(3)]
    pub(crate) custom_metadata: BTreeMap<String, String>,
    /// Milliseconds since the Unix epoch.
    #[n(4)]
    pub(crate) created_millis: u64,
    #[n(5)]
    pub(crate) changed_millis: u64,
}

/// Entities, and other groups with theirs, that have policies in common.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct Group {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    /// Canonical.
    #[n(1)]
    pub(crate) name: String,
    #[n(2)]
    pub(crate) metadata: BTreeMap<String, String>,
    #[n(3)]
    pub(crate) policies: Vec<String>,
    #[cbor(n(4), with = "ids")]
    pub(crate) entities: Vec<Id>,
    #[cbor(n(5), with = "ids")]
    pub(crate) groups: Vec<Id>,
    /// Milliseconds since the Unix epoch.
    #[n(6)]
    pub(crate) created_millis: u64,
    #[n(7)]
    pub(crate) changed_millis: u64,
    /// How often it was written.
    #[n(8)]
    pub(crate) modified: u64,
}

impl EntityRef {
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(self.namespace.as_bytes());
        bytes[16..].copy_from_slice(self.id.as_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        let [namespace, id] = [0, 16].map(|at| {
            let mut half = [0; 16];
            half.copy_from_slice(&bytes[at..at + 16]);
            Id::from_bytes(half)
        });
        EntityRef { namespace, id }
    }
}

impl Entity {
    pub(crate) fn id(&self) -> Id {
        Id::from_bytes(self.id)
    }

    /// Whether nobody forbids that its tokens are used. Whether it is lost its presence tells.
    pub(crate) fn is_good(&self) -> bool {
        !self.disabled && self.quarantined_millis.is_none()
    }

    pub(crate) fn alias(&self, id: &Id) -> Option<&Alias> {
        self.aliases.iter().find(|alias| alias.id() == *id)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }
}

impl Alias {
    pub(crate) fn id(&self) -> Id {
        Id::from_bytes(self.id)
    }
}

impl Group {
    pub(crate) fn id(&self) -> Id {
        Id::from_bytes(self.id)
    }

    /// Entities and groups alike.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Id> {
        self.entities.iter().chain(&self.groups)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }
}

/// Ids one behind another, 16 bytes each.
pub(super) mod ids {
    use crate::types::id::Id;
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decoder, Encoder};

    pub(crate) fn encode<C, W: Write>(ids: &[Id], encoder: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        encoder.bytes(&to_bytes(ids))?.ok()
    }

    pub(crate) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Vec<Id>, DecodeError> {
        from_bytes(decoder.bytes()?).ok_or_else(|| DecodeError::message("ids have 16 bytes each"))
    }

    pub(in crate::identity) fn to_bytes(ids: &[Id]) -> Vec<u8> {
        ids.iter().flat_map(|id| *id.as_bytes()).collect()
    }

    pub(in crate::identity) fn from_bytes(bytes: &[u8]) -> Option<Vec<Id>> {
        let (chunks, rest) = bytes.as_chunks::<16>();
        rest.is_empty().then(|| chunks.iter().map(|id| Id::from_bytes(*id)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_and_cut_ones_are_not() {
        let ids = |numbers: &[u8]| numbers.iter().map(|byte| Id::from_bytes([*byte; 16])).collect::<Vec<_>>();
        let group = Group { id: [1; 16], name: "g".to_owned(), entities: ids(&[2, 3]), groups: ids(&[4]), ..Group::default() };
        let bytes = minicbor::to_vec(&group).expect("encoded");
        assert_eq!(Group::parse(&bytes).expect("read"), group);
        let alias = Alias { id: [5; 16], name: "a".to_owned(), mount_accessor: "m".to_owned(), ..Alias::default() };
        let entity = Entity { id: [6; 16], name: "e".to_owned(), aliases: vec![alias], ..Entity::default() };
        let entity_bytes = minicbor::to_vec(&entity).expect("encoded");
        assert_eq!(Entity::parse(&entity_bytes).expect("read"), entity);
        assert!(Group::parse(&bytes[..bytes.len() - 1]).is_err() && Entity::parse(&entity_bytes[..9]).is_err());
        assert_eq!(ids::from_bytes(&[0; 17]), None);
        let there = EntityRef { namespace: Id::from_bytes([7; 16]), id: Id::from_bytes([8; 16]) };
        assert_eq!(EntityRef::from_bytes(there.to_bytes()), there);
    }
}

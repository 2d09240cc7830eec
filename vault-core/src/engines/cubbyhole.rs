//! The cubbyhole: secrets of one token, which nobody else reaches, the root token included, and which are gone with it.
//!
//! A token's first write draws a random owner for its secrets; the record that names it is found by the token's key alone.

use super::common::input::not_found;
use super::common::listing;
use super::common::plain::PlainSecrets;
use super::{Call, Engine, Outcome};
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Code, Error, Operation, Result};

/// The one engine for all tokens.
#[derive(Default)]
pub(crate) struct CubbyholeEngine;

impl Engine for CubbyholeEngine {
    fn exists(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Option<bool>> {
        match owner_of(overlay, holder(call)?)? {
            Some(owner) => secrets(overlay, owner).exists(call.path).map(Some),
            None => Ok(Some(false)),
        }
    }

    fn execute(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Outcome> {
        let holder = holder(call)?;
        let owner = owner_of(overlay, holder)?;
        match (call.operation, owner) {
            (Operation::Write, owner) => {
                let owner = owner.map_or_else(|| new_owner(overlay, holder), Ok)?;
                secrets(overlay, owner).write(call.path, call.data)?;
                Ok(Outcome::default())
            }
            (Operation::Patch, _) => Err(Error::new(Code::UnsupportedPath, "the cubbyhole has no patch: read, change and write")),
            (Operation::Delete, None) => Ok(Outcome::default()),
            (_, None) => Err(not_found()),
            (Operation::List, Some(owner)) => listing::list(overlay, &owner, call.path, call.data),
            (Operation::Read, Some(owner)) => {
                let secret = secrets(overlay, owner).read(call.path)?;
                Ok(Outcome { data: Some(secret), ..Outcome::default() })
            }
            (Operation::Delete, Some(owner)) => secrets(overlay, owner).delete(call.path).map(|()| Outcome::default()),
        }
    }
}

/// Parts a token that is being removed from its secrets; their owner, if there is one.
pub(crate) fn part(overlay: &mut Overlay<'_>, token: &[u8; 16]) -> Result<Option<Id>, BarrierError> {
    // What is read here becomes an expectation of the commit: no first write comes in between.
    let owner = owner_of(overlay, token)?;
    if owner.is_some() {
        let key = owner_key(overlay, token);
        overlay.delete(key);
    }
    Ok(owner)
}

/// The owner of a token's secrets, of the plaintext of the record that names it.
pub(crate) fn parse_owner(bytes: &[u8]) -> Result<Id, BarrierError> {
    bytes.try_into().map(Id::from_bytes).map_err(|_| BarrierError::Corrupt)
}

fn holder<'c>(call: &Call<'c>) -> Result<&'c [u8; 16]> {
    call.holder
        .ok_or_else(|| Error::new(Code::UnsupportedPath, "a service token has its cubbyhole in its own namespace: ask there with one"))
}

fn secrets<'s, 'o>(overlay: &'s mut Overlay<'o>, owner: Id) -> PlainSecrets<'s, 'o> {
    PlainSecrets { kind: Kind::Cubbyhole, owner, overlay }
}

fn owner_of(overlay: &mut Overlay<'_>, token: &[u8; 16]) -> Result<Option<Id>, BarrierError> {
    let key = owner_key(overlay, token);
    let bytes = overlay.get(Kind::CubbyholeOwner, &key)?;
    bytes.map(|bytes| parse_owner(&bytes)).transpose()
}

fn new_owner(overlay: &mut Overlay<'_>, token: &[u8; 16]) -> Result<Id> {
    let owner = Id::from_random(overlay.barrier().rng().array().map_err(BarrierError::from)?);
    let key = owner_key(overlay, token);
    overlay.put(Kind::CubbyholeOwner, key, owner.as_bytes())?;
    Ok(owner)
}

fn owner_key(overlay: &Overlay<'_>, token: &[u8; 16]) -> Key {
    overlay.barrier().key(Kind::CubbyholeOwner, &[token])
}

//! Examining and salvaging a store that may be damaged, with a key that opens it: the records and the log as far as they can be read.
//!
//! `spaces` unlocks the namespaces, `sound` shows of a store what decrypts; `kept` finds what has a name, with `hints` from the audit log,
//! which `log` reads in pieces; `leases` and `rotations` what leases and rotated credentials should be found by; `survey` says what is
//! there and what is missing. `salvage` writes what there is into an empty store, and lays the log there (`relay`); `mend` makes that agree with
//! itself.

mod hints;
mod identities;
mod kept;
mod leases;
mod log;
mod mend;
mod relay;
mod rotations;
mod salvage;
mod sound;
mod spaces;
mod survey;

pub(crate) use log::LogState;
pub(crate) use salvage::{Salvaged, salvage};
pub(crate) use survey::{DamagedSecret, Survey, survey};

use crate::barrier::{Barrier, BarrierError, RootRecord, fixed, unwrap_keyring};
use crate::crypto::Key256;
use crate::host::Rng;
use crate::seal::{Header, SealError, UnsealKey};
use crate::storage::{Key, Read};
use crate::types::id::Id;
use crate::types::{Error, Result};
use spaces::Spaces;
use std::sync::Arc;

/// A store whose keys are in memory, whatever else is to be said of it.
pub(crate) struct Opened {
    pub(crate) header: Header,
    /// The slot that the key opens.
    pub(crate) slot: u32,
    /// Whether the header is the one that the root key has signed.
    pub(crate) header_sound: bool,
    root_key: Key256,
    /// The keyring as it lies in the store.
    wrapped: Vec<u8>,
    pub(crate) barrier: Arc<Barrier>,
    /// The root namespace and all others.
    spaces: Spaces,
    /// The root record, if it can be read.
    pub(crate) root: Option<RootRecord>,
}

/// What keeps a store from being opened by any key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// There is no header.
    NoHeader,
    /// The header cannot be read.
    BadHeader,
    /// The keyring is missing or cannot be read.
    NoKeyring,
}

/// The header of a store, as far as it can be read.
pub(crate) fn header_of(records: &dyn Read) -> Result<Result<Header, Shut>> {
    let Some(bytes) = records.get(&Key::new(&[fixed::HEADER]))? else { return Ok(Err(Shut::NoHeader)) };
    match Header::parse(&bytes) {
        Ok(header) => Ok(Ok(header)),
        Err(SealError::Corrupt | SealError::Foreign) => Ok(Err(Shut::BadHeader)),
        Err(other) => Err(other.into()),
    }
}

/// Opens a store with a key.
///
/// # Errors
/// `WrongKey` and the like where the key opens no slot.
pub(crate) fn open(records: &dyn Read, key: &UnsealKey, rng: &Arc<dyn Rng>) -> Result<Result<Opened, Shut>> {
    let header = match header_of(records)? {
        Ok(header) => header,
        Err(shut) => return Ok(Err(shut)),
    };
    let (root_key, slot, header_sound) = header.open_unsigned(key)?;
    let store = header.store();
    let wrapped = records.get(&Key::new(&[fixed::KEYRING]))?;
    let Some(wrapped) = wrapped else { return Ok(Err(Shut::NoKeyring)) };
    let keyring = match unwrap_keyring(&root_key, &store, &Id::ROOT, &wrapped) {
        Ok(keyring) => keyring,
        Err(BarrierError::Corrupt) => return Ok(Err(Shut::NoKeyring)),
        Err(error) => return Err(error.into()),
    };
    let barrier = Arc::new(Barrier::new(store, Id::ROOT, keyring, Arc::clone(rng)));
    let root = match RootRecord::load(&barrier, records) {
        Ok(root) => Some(root),
        Err(BarrierError::Corrupt) => None,
        Err(error) => return Err(error.into()),
    };
    let spaces = Spaces::of(&barrier, records)?;
    Ok(Ok(Opened { header, slot, header_sound, root_key, wrapped, barrier, spaces, root }))
}

impl Shut {
    /// What a salvage says of it.
    fn error(self) -> Error {
        Error::new(crate::types::Code::Corrupt, self.what())
    }

    pub(crate) fn what(self) -> &'static str {
        match self {
            Shut::NoHeader => "the store has no header: nothing opens it, so restore a backup",
            Shut::BadHeader => "the header of the store was altered or cut: nothing opens it, so restore a backup",
            Shut::NoKeyring => "the keyring of the store is missing or was altered: nothing can be decrypted, so restore a backup",
        }
    }
}

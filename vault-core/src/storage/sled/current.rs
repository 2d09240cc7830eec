//! CURRENT: which generation `g-N/` of the store is the one that counts.
//!
//! `"LVCURR00" | generation (8) | commit (8) | SHA-256 of what comes before (32)`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::super::files::{io, write_durably};
use super::super::home::Home;
use super::super::{Backend, StorageError};
use crate::crypto::sha256;
use std::fs;
use std::path::PathBuf;

const FILE: &str = Backend::Sled.marker();
const MAGIC: &[u8; 8] = b"LVCURR00";

/// Which generation is the store, and the commit that it had when it was opened last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Current {
    pub(super) generation: u64,
    pub(super) number: u64,
}

impl Current {
    pub(super) fn read(home: &Home) -> Result<Self, StorageError> {
        let bytes = fs::read(home.dir().join(FILE)).map_err(io("reading CURRENT"))?;
        Self::parse(&bytes).ok_or_else(|| StorageError::Corrupt("the file CURRENT was altered or cut".to_owned()))
    }

    /// What the file's content says; `None` where it was altered or cut.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, hash) = bytes.split_last_chunk::<32>()?;
        let (generation, number) = body.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let number: [u8; 8] = number.try_into().ok()?;
        let current = Current { generation: u64::from_le_bytes(*generation), number: u64::from_le_bytes(number) };
        (sha256(&[body]) == *hash).then_some(current)
    }

    /// Makes this the generation that counts: written aside, synced, renamed, the directory synced.
    pub(super) fn write(self, home: &Home) -> Result<(), StorageError> {
        let mut bytes = [&MAGIC[..], &self.generation.to_le_bytes(), &self.number.to_le_bytes()].concat();
        bytes.extend_from_slice(&sha256(&[&bytes]));
        write_durably(home.dir(), FILE, &bytes).map_err(io("switching CURRENT"))
    }
}

/// The directory of a generation.
pub(super) fn generation_dir(home: &Home, generation: u64) -> PathBuf {
    home.dir().join(format!("g-{generation}"))
}

//! Sealed audit segments as files: `audit/00000001.seg` and so on, 0600, written whole or not at all.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "segments are files beside the store")]

use super::StorageError;
use super::files::{io, write_durably};
use std::path::PathBuf;

/// The directory of a store's segments.
pub(super) struct Segments {
    dir: PathBuf,
}

impl Segments {
    pub(super) fn at(dir: PathBuf) -> Self {
        Segments { dir }
    }

    /// Writes a segment durably; one of that number is replaced.
    pub(super) fn write(&self, index: u64, content: &[u8]) -> Result<(), StorageError> {
        write_durably(&self.dir, &name(index), content).map_err(io("writing an audit segment"))
    }

    /// The content of a segment, if it is there.
    pub(super) fn read(&self, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        match std::fs::read(self.dir.join(name(index))) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("reading an audit segment")(error)),
        }
    }

    /// Removes a segment; whether it was there.
    pub(super) fn remove(&self, index: u64) -> Result<bool, StorageError> {
        match std::fs::remove_file(self.dir.join(name(index))) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io("removing an audit segment")(error)),
        }
    }
}

fn name(index: u64) -> String {
    format!("{index:08}.seg")
}

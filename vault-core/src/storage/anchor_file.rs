//! An anchor in a file: on another disk, or where whoever can write to the store cannot. 0600, written whole or not at all.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this anchor is a file")]

use super::files::write_durably;
use crate::host::{Anchor, AnchorError};
use std::path::PathBuf;

/// Keeps an anchor in a file. It protects against a store that is rolled back by itself, and not against somebody who puts both back.
#[derive(Clone, Debug)]
pub struct FileAnchor {
    path: PathBuf,
}

impl FileAnchor {
    /// An anchor in this file; its directory must be there.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        FileAnchor { path: path.into() }
    }
}

impl Anchor for FileAnchor {
    fn load(&self) -> Result<Option<Vec<u8>>, AnchorError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(AnchorError::new(format!("reading the anchor's file: {error}"))),
        }
    }

    fn store(&self, state: &[u8]) -> Result<(), AnchorError> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| AnchorError::new("the anchor's path names no file"))?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(".".as_ref());
        write_durably(dir, name, state).map_err(|error| AnchorError::new(format!("writing the anchor's file: {error}")))
    }
}

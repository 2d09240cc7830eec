//! Files that are there whole or not at all, and that only their owner may touch: what the parts of a store on disk share.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::StorageError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// What went wrong while something was being done.
pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> StorageError {
    move |source| StorageError::Io { action, source }
}

/// Makes a directory that only its owner may enter.
pub(super) fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes a store that was made and never used, as far as that can be done: whoever made it has another error to tell.
pub(crate) fn remove(dir: &Path) {
    let _removed = fs::remove_dir_all(dir);
}

/// Writes a file of a directory so that it is there whole or as it was, whatever happens.
pub(super) fn write_durably(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let aside = dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&aside, dir.join(name))?;
    sync_dir(dir)
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

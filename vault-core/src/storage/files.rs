//! Files that are there whole or not at all, and that only their owner may touch: what the parts of a store on disk share.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend on disk touches files")]

use super::StorageError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
#[cfg(feature = "redb")]
use std::os::unix::fs::PermissionsExt;
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

/// How many bytes the files below a directory hold; one that vanishes meanwhile is left out.
pub(super) fn size_of(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(found) if found.is_dir() => bytes += size_of(&entry.path())?,
            Ok(found) => bytes += found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// How many bytes a file holds.
#[cfg(feature = "redb")]
pub(super) fn size_of_file(file: &Path) -> io::Result<u64> {
    Ok(fs::metadata(file)?.len())
}

/// Copies a file, by reference where the file system can; the copy is 0600.
#[cfg(feature = "redb")]
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o600))
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

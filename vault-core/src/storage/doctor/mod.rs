//! What can be told of a store on disk by looking at its files, none of which is opened for writing.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a store on disk is examined by its files")]

mod patient;
mod tolerant;

pub(crate) use patient::Patient;
pub(crate) use tolerant::Tolerant;

use super::files::{io, size_of};
use super::home::{HEAD_SLOT_BYTES, Home, head_of};
use super::{Backend, StorageError};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What the files of a store say.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    /// The backend that the files are of, where they tell.
    pub(crate) backend: Option<Backend>,
    /// There are the files of two backends.
    pub(crate) mixed: bool,
    /// Somebody has the store open; the pid of whom, where LOCK tells.
    pub(crate) holder: Option<Option<u32>>,
    /// Over sled, what CURRENT says; over redb it is absent.
    pub(crate) current: CurrentSign,
    /// Over sled, the generations that are there.
    pub(crate) generations: Vec<u64>,
    /// The heads that are noted.
    pub(crate) heads: Vec<(u64, [u8; 32])>,
    /// Slots of HEAD that are neither empty nor whole.
    pub(crate) torn_heads: usize,
    /// There is no file HEAD.
    pub(crate) head_missing: bool,
    /// Names of what openings and commits that were cut off have left.
    pub(crate) leftovers: Vec<String>,
    /// The audit segments by number, and how large each is.
    pub(crate) segments: BTreeMap<u64, u64>,
    /// There is no directory for segments.
    pub(crate) audit_missing: bool,
    /// Files and directories that others than their owner may read or write.
    pub(crate) too_open: u64,
    /// What the files hold together.
    pub(crate) bytes: u64,
}

/// What the file CURRENT says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(not(feature = "sled"), allow(dead_code, reason = "only sled has such a file"))]
pub(crate) enum CurrentSign {
    /// There is none.
    #[default]
    Missing,
    /// It was altered or cut.
    Torn,
    /// It names a generation, and the commit number at its last opening.
    Names { generation: u64, number: u64 },
}

impl Signs {
    /// Looks at a place.
    ///
    /// # Errors
    /// `NotAStore` where there is nothing that a vault has made; `Io`.
    pub(crate) fn of(dir: &Path) -> Result<Self, StorageError> {
        let mut signs = Signs { head_missing: true, audit_missing: true, ..Signs::default() };
        let mut known = false;
        let listed = fs::read_dir(dir);
        let entries = match listed {
            Ok(entries) => entries,
            // What is there instead says more than this error does.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Err(Home::why_not_a_store(dir)),
            Err(error) => return Err(io("listing the store")(error)),
        };
        signs.note_mode(dir)?;
        for entry in entries {
            let name = entry.map_err(io("listing the store"))?.file_name().to_string_lossy().into_owned();
            known |= signs.see(dir, &name)?;
        }
        if !known {
            return Err(Home::why_not_a_store(dir));
        }
        signs.generations.sort_unstable();
        signs.backend = Backend::found_at(dir).or((!signs.generations.is_empty()).then_some(Backend::Sled));
        signs.mixed = signs.backend == Some(Backend::Sled) && dir.join(Backend::Redb.marker()).exists();
        if let CurrentSign::Names { generation, .. } = signs.current {
            let others = signs.generations.iter().filter(|other| **other != generation);
            signs.leftovers.extend(others.map(|other| format!("g-{other}")));
        }
        signs.see_beside(dir);
        signs.holder = holder(dir)?;
        signs.bytes = size_of(dir).map_err(io("measuring the store"))?;
        Ok(signs)
    }

    /// The largest commit number that was acknowledged, as far as CURRENT and HEAD tell.
    pub(crate) fn acknowledged(&self) -> u64 {
        let at_open = if let CurrentSign::Names { number, .. } = self.current { number } else { 0 };
        self.heads.iter().map(|(number, _)| *number).fold(at_open, u64::max)
    }

    /// The generation that holds the store: the one that CURRENT names, else the newest.
    pub(crate) fn generation(&self) -> Option<u64> {
        match self.current {
            CurrentSign::Names { generation, .. } if self.generations.contains(&generation) => Some(generation),
            _ => self.generations.last().copied(),
        }
    }

    /// Takes in one name of the store's directory; whether it is one by which a store is known: others have a file HEAD as well.
    fn see(&mut self, dir: &Path, name: &str) -> Result<bool, StorageError> {
        let path = dir.join(name);
        match name {
            "LOCK" => {}
            "HEAD" => self.see_head(&path)?,
            "CURRENT" => self.current = current_of(&fs::read(&path).map_err(io("reading CURRENT"))?),
            "store.redb" | "WAL" => {}
            "CURRENT.new" | "WAL.new" => self.leftovers.push(name.to_owned()),
            "audit" => self.see_segments(&path)?,
            _ => match name.strip_prefix("g-").and_then(|number| number.parse().ok()) {
                Some(number) => {
                    self.generations.push(number);
                    self.note_modes_below(&path)?;
                }
                None => return Ok(false),
            },
        }
        self.note_mode(&path)?;
        Ok(!matches!(name, "HEAD" | "audit" | "WAL"))
    }

    fn see_head(&mut self, path: &Path) -> Result<(), StorageError> {
        let bytes = fs::read(path).map_err(io("reading HEAD"))?;
        self.head_missing = false;
        for slot in 0..2 {
            let start = usize::try_from(slot * HEAD_SLOT_BYTES).unwrap_or(usize::MAX);
            let Some(found) = bytes.get(start..) else { continue };
            let mut whole = [0; 48];
            let len = found.len().min(whole.len());
            whole[..len].copy_from_slice(&found[..len]);
            match head_of(&whole) {
                Some(head) => self.heads.push(head),
                None => self.torn_heads += usize::from(whole != [0; 48]),
            }
        }
        Ok(())
    }

    fn see_segments(&mut self, dir: &Path) -> Result<(), StorageError> {
        self.audit_missing = false;
        for entry in fs::read_dir(dir).map_err(io("listing audit segments"))? {
            let entry = entry.map_err(io("listing audit segments"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            self.note_mode(&entry.path())?;
            match name.strip_suffix(".seg").and_then(|number| number.parse().ok()) {
                Some(number) => {
                    let len = entry.metadata().map_err(io("looking at an audit segment"))?.len();
                    self.segments.insert(number, len);
                }
                None => self.leftovers.push(format!("audit/{name}")),
            }
        }
        Ok(())
    }

    /// A creation or an examination of this place that was cut off lies beside it.
    fn see_beside(&mut self, dir: &Path) {
        let Some(name) = dir.file_name().map(|name| name.to_string_lossy().into_owned()) else { return };
        let names = [format!(".{name}.creating"), patient::scratch_name(&name)];
        self.leftovers.extend(names.into_iter().filter(|name| dir.with_file_name(name).exists()));
    }

    fn note_modes_below(&mut self, dir: &Path) -> Result<(), StorageError> {
        for entry in fs::read_dir(dir).map_err(io("listing a generation"))? {
            let path = entry.map_err(io("listing a generation"))?.path();
            if path.is_dir() {
                self.note_modes_below(&path)?;
            }
            self.note_mode(&path)?;
        }
        Ok(())
    }

    fn note_mode(&mut self, path: &Path) -> Result<(), StorageError> {
        let found = fs::metadata(path).map_err(io("looking at the store's permissions"))?;
        self.too_open += u64::from(found.permissions().mode() & 0o077 != 0);
        Ok(())
    }
}

/// Who has the store open. The lock is tried, for an instant, and nothing is written into it.
fn holder(dir: &Path) -> Result<Option<Option<u32>>, StorageError> {
    match read_lock(dir)? {
        ReadLock::Held(pid) => Ok(Some(pid)),
        ReadLock::Free(_) => Ok(None),
    }
}

/// The lock of a store that is looked at.
enum ReadLock {
    /// Nobody has the store open, nor can open it for as long as this lives. There is no file where none was made.
    Free(Option<File>),
    /// Somebody has it open.
    Held(Option<u32>),
}

fn read_lock(dir: &Path) -> Result<ReadLock, StorageError> {
    let path = dir.join("LOCK");
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ReadLock::Free(None)),
        Err(error) => return Err(io("opening LOCK")(error)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(ReadLock::Free(Some(lock))),
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            Ok(ReadLock::Held(pid))
        }
        Err(TryLockError::Error(source)) => Err(StorageError::Io { action: "asking who has the store open", source }),
    }
}

#[cfg(feature = "sled")]
fn current_of(bytes: &[u8]) -> CurrentSign {
    super::sled::read_current(bytes).map_or(CurrentSign::Torn, |(generation, number)| CurrentSign::Names { generation, number })
}

#[cfg(not(feature = "sled"))]
fn current_of(_bytes: &[u8]) -> CurrentSign {
    CurrentSign::Missing
}

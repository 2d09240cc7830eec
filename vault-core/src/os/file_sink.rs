//! An audit sink that is a file of JSON lines, 0600, which may be moved away at any time: a new one is begun then.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this sink is a file")]

use crate::host::{AuditLine, AuditSink, SinkError};
use parking_lot::Mutex;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// Appends the audit log to a file, one JSON object a line. What it has taken is on the device before it answers.
///
/// The file is looked for by its name with each delivery, so that a program may rotate it by renaming it. After a crash, lines may come
/// twice: their numbers tell.
#[derive(Debug)]
pub struct FileSink {
    name: String,
    path: PathBuf,
    open: Mutex<Option<File>>,
}

impl FileSink {
    /// A sink in this file, which is made where it is not there; its directory must be. `name` is by what the vault knows how far it is.
    #[must_use]
    pub fn at(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        FileSink { name: name.into(), path: path.into(), open: Mutex::new(None) }
    }

    fn append(&self, text: &[u8]) -> std::io::Result<()> {
        let mut open = self.open.lock();
        let mut file = match open.take() {
            Some(file) if self.is_at_its_place(&file)? => file,
            _ => self.reopen()?,
        };
        let before = file.metadata()?.len();
        match file.write_all(text).and_then(|()| file.sync_data()) {
            Ok(()) => {
                *open = Some(file);
                Ok(())
            }
            Err(error) => {
                // Best effort: half a line would be there for ever, before the same lines come again.
                let _cut = file.set_len(before);
                Err(error)
            }
        }
    }

    fn is_at_its_place(&self, file: &File) -> std::io::Result<bool> {
        let same = |a: &Metadata, b: &Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        match std::fs::metadata(&self.path) {
            Ok(there) => Ok(same(&there, &file.metadata()?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn reopen(&self) -> std::io::Result<File> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        // A line that a crash cut off is ended, so that the next one stands by itself.
        if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        if let Some(dir) = self.path.parent() {
            let dir = if dir.as_os_str().is_empty() { ".".as_ref() } else { dir };
            File::open(dir)?.sync_all()?;
        }
        Ok(file)
    }
}

impl AuditSink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&self, lines: &[AuditLine]) -> Result<(), SinkError> {
        let mut text = Vec::with_capacity(lines.iter().map(|line| line.json.len() + 1).sum());
        for line in lines {
            text.extend_from_slice(line.json.as_bytes());
            text.push(b'\n');
        }
        self.append(&text).map_err(|error| SinkError::new(format!("writing the audit file: {error}")))
    }
}

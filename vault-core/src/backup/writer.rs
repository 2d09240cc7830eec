//! Writing a backup: frame after frame, hashed on the way.

use super::{BackupInfo, END, FORMAT, HEADER, KEYRING, MAGIC, MANIFEST, Manifest, PAGE_BYTES, RECORDS, SEGMENT, Totals};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Code, Error, Result, Timestamp};
use sha2::{Digest, Sha256};
use std::io::Write;

/// A backup that is being written.
pub(crate) struct Writer<'w> {
    sink: &'w mut dyn Write,
    hash: Sha256,
    bytes: u64,
    manifest: Manifest,
    page: Vec<u8>,
    totals: Totals,
}

impl<'w> Writer<'w> {
    pub(crate) fn begin(sink: &'w mut dyn Write, store: &Id, now: Timestamp, commit: u64) -> Result<Self> {
        let manifest =
            Manifest { store: *store.as_bytes(), made_millis: now.as_millis(), commit, version: env!("CARGO_PKG_VERSION").to_owned() };
        let mut writer = Writer { sink, hash: Sha256::new(), bytes: 0, manifest, page: Vec::new(), totals: Totals::default() };
        writer.put(MAGIC)?;
        writer.put(&FORMAT.to_le_bytes())?;
        let manifest = minicbor::to_vec(&writer.manifest).expect("encoding to memory cannot fail");
        writer.frame(MANIFEST, &[&manifest])?;
        Ok(writer)
    }

    pub(crate) fn header(&mut self, header: &[u8]) -> Result<()> {
        self.frame(HEADER, &[header])
    }

    pub(crate) fn keyring(&mut self, wrapped: &[u8]) -> Result<()> {
        self.frame(KEYRING, &[wrapped])
    }

    pub(crate) fn record(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        let len = u32::try_from(value.len()).map_err(|_| Error::new(Code::Internal, "a record of more than 4 GiB"))?;
        self.page.push(u8::try_from(key.as_bytes().len()).expect("a key has at most 48 bytes"));
        self.page.extend_from_slice(key.as_bytes());
        self.page.extend_from_slice(&len.to_le_bytes());
        self.page.extend_from_slice(value);
        self.totals.records += 1;
        if self.page.len() >= PAGE_BYTES { self.end_page() } else { Ok(()) }
    }

    pub(crate) fn segment(&mut self, index: u64, content: &[u8]) -> Result<()> {
        self.end_page()?;
        self.totals.segments += 1;
        self.frame(SEGMENT, &[&index.to_le_bytes(), content])
    }

    pub(crate) fn end(mut self) -> Result<BackupInfo> {
        self.end_page()?;
        let totals = minicbor::to_vec(self.totals).expect("encoding to memory cannot fail");
        self.frame(END, &[&totals])?;
        let digest: [u8; 32] = self.hash.finalize_reset().into();
        self.put(&digest)?;
        self.sink.flush().map_err(|error| failed(&error))?;
        Ok(BackupInfo::of(&self.manifest, self.totals, self.bytes, digest))
    }

    fn end_page(&mut self) -> Result<()> {
        let page = std::mem::take(&mut self.page);
        if page.is_empty() { Ok(()) } else { self.frame(RECORDS, &[&page]) }
    }

    fn frame(&mut self, kind: u8, payload: &[&[u8]]) -> Result<()> {
        let len: usize = payload.iter().map(|part| part.len()).sum();
        let len = u32::try_from(len).map_err(|_| Error::new(Code::Internal, "a frame of more than 4 GiB"))?;
        self.put(&[kind])?;
        self.put(&len.to_le_bytes())?;
        payload.iter().try_for_each(|part| self.put(part))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.sink.write_all(bytes).map_err(|error| failed(&error))
    }
}

fn failed(error: &std::io::Error) -> Error {
    let code = if error.kind() == std::io::ErrorKind::StorageFull { Code::NoSpace } else { Code::Unavailable };
    Error::new(code, format!("the backup could not be written: {error}"))
}

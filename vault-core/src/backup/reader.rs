//! Reading a backup: nothing of it is believed before its last byte has been read and the digest compared.

use super::{BackupInfo, END, FORMAT, FRAME_BYTES_MAX, HEADER, KEYRING, MAGIC, MANIFEST, Manifest, RECORDS, SEGMENT, Totals, bad};
use crate::storage::{KEY_BYTES_MAX, Key, Page};
use crate::types::{Code, Error, Result};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read};

/// A backup that is being read.
pub(crate) struct Reader<'r> {
    source: &'r mut dyn Read,
    hash: Sha256,
    bytes: u64,
    manifest: Manifest,
    totals: Totals,
    /// The header with its slots.
    pub(crate) header: Vec<u8>,
    /// The keyring under the header's root key.
    pub(crate) keyring: Vec<u8>,
}

/// The next part of a backup.
pub(crate) enum Frame {
    Records(Page),
    Segment(u64, Vec<u8>),
    /// The end; the digest was compared, and nothing follows.
    End(BackupInfo),
}

/// Reads a backup to its end and checks that it is whole: not cut, not altered since it was written. It needs no key, and so cannot tell
/// whether somebody has made another backup in its place: only opening it does.
///
/// # Errors
/// `InvalidRequest` with the code `BadBackup`; `Unavailable` when the stream fails.
pub fn verify(source: &mut dyn Read) -> Result<BackupInfo> {
    let mut reader = Reader::begin(source)?;
    loop {
        if let Frame::End(info) = reader.next()? {
            return Ok(info);
        }
    }
}

impl<'r> Reader<'r> {
    pub(crate) fn begin(source: &'r mut dyn Read) -> Result<Self> {
        let manifest = Manifest { store: [0; 16], made_millis: 0, commit: 0, version: String::new() };
        let mut reader =
            Reader { source, hash: Sha256::new(), bytes: 0, manifest, totals: Totals::default(), header: Vec::new(), keyring: Vec::new() };
        // One that ends here is none; a stream that fails is told as that.
        let none_of_ours = |error: Error| if error.code() == Code::BadBackup { bad("it is none of libvault's") } else { error };
        let start: [u8; 6] = reader.array().map_err(none_of_ours)?;
        if start[..4] != *MAGIC {
            return Err(bad("it is none of libvault's"));
        }
        if start[4..] != FORMAT.to_le_bytes() {
            return Err(bad("its format is not known to this version: use a newer one"));
        }
        let manifest = reader.expect(MANIFEST)?;
        reader.manifest = minicbor::decode(&manifest).map_err(|_| bad("its manifest was altered"))?;
        reader.header = reader.expect(HEADER)?;
        reader.keyring = reader.expect(KEYRING)?;
        Ok(reader)
    }

    /// The store that it is of, and the number of the last commit in it.
    pub(crate) fn origin(&self) -> ([u8; 16], u64) {
        (self.manifest.store, self.manifest.commit)
    }

    pub(crate) fn next(&mut self) -> Result<Frame> {
        let (kind, payload) = self.frame()?;
        match kind {
            RECORDS => {
                let page = records_of(&payload).ok_or_else(|| bad("a page of records was altered"))?;
                self.totals.records += page.len() as u64;
                Ok(Frame::Records(page))
            }
            SEGMENT => {
                let (index, content) = payload.split_first_chunk::<8>().ok_or_else(|| bad("a segment was altered"))?;
                self.totals.segments += 1;
                Ok(Frame::Segment(u64::from_le_bytes(*index), content.to_vec()))
            }
            END => {
                let totals: Totals = minicbor::decode(&payload).map_err(|_| bad("its end was altered"))?;
                let digest: [u8; 32] = self.hash.finalize_reset().into();
                let written: [u8; 32] = self.array()?;
                let nothing_follows = self.source.read(&mut [0]).map_err(|error| failed(&error))? == 0;
                if written != digest || totals != self.totals || !nothing_follows {
                    return Err(bad("its digest does not agree with its content: it was altered"));
                }
                Ok(Frame::End(BackupInfo::of(&self.manifest, totals, self.bytes, digest)))
            }
            _ => Err(bad("it has a part that no vault writes")),
        }
    }

    fn expect(&mut self, kind: u8) -> Result<Vec<u8>> {
        match self.frame()? {
            (found, payload) if found == kind => Ok(payload),
            _ => Err(bad("its parts are out of order")),
        }
    }

    fn frame(&mut self) -> Result<(u8, Vec<u8>)> {
        let [kind] = self.array()?;
        let len = u32::from_le_bytes(self.array()?) as usize;
        if len > FRAME_BYTES_MAX {
            return Err(bad("a part of it is larger than any that a vault writes"));
        }
        // Memory grows with what is really there, not with what a length says.
        let mut payload = Vec::new();
        (&mut *self.source).take(len as u64).read_to_end(&mut payload).map_err(|error| failed(&error))?;
        if payload.len() < len {
            return Err(bad("it is cut"));
        }
        self.count(&payload);
        Ok((kind, payload))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => bad("it is cut"),
            _ => failed(&error),
        })?;
        self.count(&bytes);
        Ok(bytes)
    }

    fn count(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

fn records_of(payload: &[u8]) -> Option<Page> {
    let mut page = Page::new();
    let mut rest = payload;
    while let Some((len, tail)) = rest.split_first() {
        let len = usize::from(*len);
        let key = tail.get(..len).filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX)?;
        let (value_len, tail) = tail[len..].split_first_chunk::<4>()?;
        let value_len = u32::from_le_bytes(*value_len) as usize;
        page.push((Key::new(&[key]), tail.get(..value_len)?.to_vec()));
        rest = &tail[value_len..];
    }
    Some(page)
}

fn failed(error: &std::io::Error) -> Error {
    Error::new(Code::Unavailable, format!("the backup could not be read: {error}"))
}

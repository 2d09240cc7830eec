//! Backup of a vault in use, and restore into an empty place: frozen until somebody adopts it.

use super::audit_log::View;
use super::core::Core;
use super::keys::lost_race;
use super::runtime::Parts;
use crate::audit::Log;
use crate::backup::{BackupInfo, Frame, Reader, Writer};
use crate::barrier::{Barrier, BarrierError, Digest, RootRecord, fixed, unwrap_keyring, wrap_keyring};
use crate::crypto::{Key256, sha256};
use crate::seal::{Header, NewSeal, UnsealKey};
use crate::storage::{Batch, Key, Read as Records, Storage};
use crate::types::id::Id;
use crate::types::{Code, Error, Result, SecretString};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

/// Records that are read at a time.
const PAGE: usize = 256;
/// Bytes after which a batch is committed into a store that nobody else uses yet: several go into the WAL, which a larger one would let grow.
const BATCH_BYTES: usize = 256 * 1024;
/// What a record counts at the least.
const RECORD_BYTES: usize = 512;
/// Times that a snapshot is taken anew because the keys changed just then.
const TRIES_MAX: usize = 5;

/// Which keys open a backup.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackupSeals {
    /// The vault's own slots, as they are now.
    Own,
    /// Slots of the backup's own: a key that opens the vault does not open it.
    New(Vec<NewSeal>),
}

/// Writes a backup of the vault as it is at one moment; the shares of new slots.
pub(super) fn backup(core: &Core, sink: &mut dyn Write, seals: &BackupSeals) -> Result<(BackupInfo, Vec<SecretString>)> {
    core.committer.flush()?;
    for _ in 0..TRIES_MAX {
        let view = View::of(core)?;
        let (root, snapshot) = (view.root(), view.records());
        let keys = core.keys.load_full();
        let bare = |name: &[u8]| -> Result<Vec<u8>> { Ok(snapshot.get(&Key::new(&[name]))?.ok_or(BarrierError::Corrupt)?) };
        let (header, wrapped) = (bare(fixed::HEADER)?, bare(fixed::KEYRING)?);
        // A rekey that is durable and not yet published.
        let Ok(keyring) = unwrap_keyring(&keys.root_key, &core.store, &Id::ROOT, &wrapped) else { continue };
        let (header, wrapped, shares) = match seals {
            BackupSeals::Own => (header, wrapped, Vec::new()),
            BackupSeals::New(seals) => {
                let rng = core.barrier.rng();
                let key = Key256::random(rng).map_err(BarrierError::from)?;
                let new = Header::create(rng, &core.store, core.clock.now(), &key, seals)?;
                let wrapped = wrap_keyring(rng, &key, &core.store, &Id::ROOT, &keyring, &keyring.data_keys())?;
                (new.header.to_bytes(), wrapped, new.shares)
            }
        };
        // The digest covers header and keyring too: that of the backup is over its own. It is sealed with the keyring of the snapshot, since
        // a roll may have made another one meanwhile.
        let at_snapshot = Barrier::new(core.store, Id::ROOT, keyring, core.barrier.shared_rng());
        let mut digest = root.digest();
        for (name, own) in [(fixed::HEADER, &header), (fixed::KEYRING, &wrapped)] {
            let mac = at_snapshot.keyring().digest();
            digest.subtract(mac, &Key::new(&[name]), &sha256(&[&bare(name)?]));
            digest.add(mac, &Key::new(&[name]), &sha256(&[own]));
        }
        let own_root = RootRecord { digest: digest.to_bytes(), ..root.clone() }.seal(&at_snapshot)?;
        let mut writer = Writer::begin(sink, &core.store, core.clock.now(), root.commit)?;
        writer.header(&header)?;
        writer.keyring(&wrapped)?;
        writer.record(&RootRecord::key(), &own_root)?;
        each_record(snapshot, |key, record| if *key == RootRecord::key() { Ok(()) } else { writer.record(key, record) })?;
        for index in view.log().base()?.segments + 1..=root.audit_segments {
            let missing = || Error::new(Code::Corrupt, format!("segment {index} of the audit log is missing: a backup would not be whole"));
            writer.segment(index, &core.storage.read_segment(index)?.ok_or_else(missing)?)?;
        }
        return Ok((writer.end()?, shares));
    }
    Err(lost_race())
}

fn each_record(records: &dyn Records, mut each: impl FnMut(&Key, &[u8]) -> Result<()>) -> Result<()> {
    let mut after = None;
    loop {
        let page = records.scan(&[], after.as_ref(), PAGE)?;
        for (key, record) in page.iter().filter(|(key, _)| !fixed::is_bare(key.as_bytes())) {
            each(key, record)?;
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => after = Some(*key),
            _ => return Ok(()),
        }
    }
}

/// Writes a backup into an empty store. The header comes last, once everything was read and found to agree: without it the store is none.
pub(crate) fn restore(parts: &Parts, source: &mut dyn Read, key: &UnsealKey) -> Result<BackupInfo> {
    let mut reader = Reader::begin(source)?;
    let header = Header::parse(&reader.header)?;
    let (root_key, _) = header.unseal(key)?;
    let store = header.store();
    if reader.origin().0 != *store.as_bytes() {
        return Err(Error::new(Code::BadBackup, "this backup cannot be used: its parts are of different vaults"));
    }
    let keyring = unwrap_keyring(&root_key, &store, &Id::ROOT, &reader.keyring)?;
    let barrier = Barrier::new(store, Id::ROOT, keyring, Arc::clone(&parts.rng));
    let mut target = Target::new(&*parts.storage);
    let mut digest = Digest::default();
    for (name, bytes) in [(fixed::HEADER, &reader.header), (fixed::KEYRING, &reader.keyring)] {
        digest.add(barrier.keyring().digest(), &Key::new(&[name]), &sha256(&[bytes]));
    }
    let mut root = None;
    let info = loop {
        match reader.next()? {
            Frame::Records(page) => {
                for (key, record) in page {
                    if fixed::is_bare(key.as_bytes()) {
                        return Err(Error::new(Code::BadBackup, "this backup cannot be used: it has a record that no vault writes"));
                    }
                    if key == RootRecord::key() {
                        root = Some(RootRecord::open(&barrier, &record)?);
                    } else {
                        digest.add(barrier.keyring().digest(), &key, &sha256(&[&record]));
                        target.put(key, record)?;
                    }
                }
            }
            Frame::Segment(index, content) => parts.storage.write_segment(index, &content)?,
            Frame::End(info) => break info,
        }
    };
    let mut root = root.ok_or(BarrierError::Corrupt)?;
    if digest != root.digest() {
        return Err(Error::new(Code::BadBackup, "this backup cannot be used: a record was removed, added or put back"));
    }
    target.flush()?;
    Log { barrier: &barrier, store: &store, root: &root, records: &*parts.storage, storage: &*parts.storage }.verify()?;
    root.commit = parts.storage.commit_number() + 1;
    root.frozen = true;
    target.put(RootRecord::key(), root.seal(&barrier)?)?;
    let wrapped = std::mem::take(&mut reader.keyring);
    target.put(Key::new(&[fixed::KEYRING]), wrapped)?;
    target.put(Key::new(&[fixed::HEADER]), header.to_bytes())?;
    target.flush()?;
    Ok(info)
}

/// Collects records into batches.
pub(super) struct Target<'s> {
    storage: &'s dyn Storage,
    changes: BTreeMap<Key, Option<Vec<u8>>>,
    bytes: usize,
}

impl<'s> Target<'s> {
    pub(super) fn new(storage: &'s dyn Storage) -> Self {
        Target { storage, changes: BTreeMap::new(), bytes: 0 }
    }

    pub(super) fn put(&mut self, key: Key, record: Vec<u8>) -> Result<()> {
        self.bytes += record.len().max(RECORD_BYTES);
        self.changes.insert(key, Some(record));
        if self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Removes a record.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(super) fn remove(&mut self, key: Key) -> Result<()> {
        self.changes.insert(key, None);
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        let changes = std::mem::take(&mut self.changes);
        self.bytes = 0;
        if changes.is_empty() {
            return Ok(());
        }
        Ok(self.storage.commit(&Batch { number: self.storage.commit_number() + 1, expectations: Vec::new(), changes })?)
    }
}

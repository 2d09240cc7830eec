//! Taking out of a damaged store what can be had of it, into an empty one: frozen, as after a restore.

use super::super::backup::Target;
use super::super::runtime::Parts;
use super::hints::Hints;
use super::kept::{Kept, keep};
use super::log::{LogState, Reader};
use super::mend::Mend;
use super::relay::Relaid;
use super::sound::Sound;
use super::spaces::Whose;
use super::survey::{DamagedSecret, each};
use super::{Opened, open};
use crate::barrier::{Digest, Kind, RootRecord, fixed};
use crate::crypto::sha256;
use crate::seal::UnsealKey;
use crate::storage::{Key, Read, Storage};
use crate::types::Result;
use crate::types::limits::KEY_MESSAGES_MAX;

/// How much a data key counts as having encrypted where that is not known: so much that it is rolled once the vault is adopted.
pub(super) const MESSAGES_UNKNOWN: u64 = KEY_MESSAGES_MAX / 10 * 9;

/// What a salvage has taken, and what was lost.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    /// Records that were taken as they were.
    pub(crate) taken: u64,
    /// Records that do not decrypt.
    pub(crate) unreadable: u64,
    /// Whether the records were those that the root record knows.
    pub(crate) digest_agrees: bool,
    /// Records of namespaces whose keys are gone, and the paths of those.
    pub(crate) orphans: u64,
    pub(crate) namespaces_lost: Vec<String>,
    /// Namespaces that were taken, the root one not counted.
    pub(crate) namespaces: u64,
    /// Records of the vault's own that were made anew.
    pub(crate) remade: Vec<&'static str>,
    pub(crate) policies_lost: u64,
    /// Tokens that hold a policy that was lost.
    pub(crate) tokens_dropped: u64,
    /// Entities that were disabled, since they, or groups that they are in, hold a policy that was lost, or a group was lost.
    pub(crate) entities_disabled: u64,
    /// Secrets that are whole.
    pub(crate) whole: u64,
    /// Secrets of which something was lost, or all.
    pub(crate) damaged: Vec<DamagedSecret>,
    /// Records that can be read and whose names were lost, and the mount where they lie now.
    pub(crate) nameless: u64,
    pub(crate) nameless_mount: Option<String>,
    pub(crate) log: LogState,
    /// Whether the header was signed anew, with no slot but the one that the key opens.
    pub(crate) header_remade: bool,
}

/// Writes what can be read of a store into an empty one. `lost_commits` is what its files tell of commits that are not there any more.
///
/// # Errors
/// `WrongKey` and the like; `Corrupt` where no key opens the store; `Unavailable`, `NoSpace`.
pub(crate) fn salvage(records: &dyn Read, storage: &dyn Storage, key: &UnsealKey, parts: &Parts, lost_commits: u64) -> Result<Salvaged> {
    let opened = open(records, key, &parts.rng)?.map_err(super::Shut::error)?;
    let barrier = &*opened.barrier;
    let now = parts.clock.now();
    let new = &*parts.storage;
    let sound = Sound { spaces: &opened.spaces, records };
    let mut told = Salvaged::default();
    let mut target = Target::new(new);
    take(records, &opened, &mut target, &mut told)?;
    target.flush()?;
    let mut hints = Hints::default();
    let reader = Reader { barrier, root: opened.root.as_ref(), records: &sound, storage };
    let (prefix, state) = reader.read(&mut |_, event, _| {
        hints.see(event);
        Ok(())
    })?;
    told.log = state;
    let mut kept = keep(&sound, &opened, &hints)?;
    drop(hints);
    let mut mend = Mend::new(&opened, new, now);
    mend.all(&mut kept, &mut target, &mut told)?;
    mend.messages(told.digest_agrees && lost_commits == 0, &mut target)?;
    tell_of(kept, &opened, &mut told);
    let mut root = Relaid { opened: &opened, reader: &reader, target: &mut target, new, now }.log(prefix, &told, lost_commits, parts)?;
    target.flush()?;
    told.header_remade = !opened.header_sound;
    finish(&opened, new, &mut target, &mut root)?;
    Ok(told)
}

/// Takes every record that decrypts but those of the log.
fn take(records: &dyn Read, opened: &Opened, target: &mut Target<'_>, told: &mut Salvaged) -> Result<()> {
    let mut digest = Digest::default();
    each(records, |key, record| {
        if key == RootRecord::key() {
            return Ok(());
        }
        digest.add(opened.barrier.keyring().digest(), &key, &sha256(&[&record]));
        if fixed::is_bare(key.as_bytes()) {
            return Ok(());
        }
        match opened.spaces.whose(&key, &record) {
            // The log is laid into its place by itself; what was deleted with its namespace is left out.
            Whose::Space(_, kind) if is_of_the_log(kind) => {}
            Whose::Deleted => {}
            Whose::Space(..) => {
                told.taken += 1;
                target.put(key, record)?;
            }
            Whose::Orphan => told.orphans += 1,
            Whose::Unreadable => told.unreadable += 1,
        }
        Ok(())
    })?;
    told.digest_agrees = opened.root.as_ref().is_some_and(|root| root.digest() == digest);
    Ok(())
}

fn tell_of(kept: Kept, opened: &Opened, told: &mut Salvaged) {
    told.policies_lost = kept.policies_lost();
    (told.whole, told.damaged) = kept.secrets();
    told.remade = kept.system_lost;
    told.namespaces = opened.spaces.all.len() as u64 - 1;
    told.namespaces_lost = opened.spaces.lost.clone();
}

fn is_of_the_log(kind: u16) -> bool {
    [Kind::AuditTail, Kind::AuditSegmentEntry, Kind::AuditBase, Kind::AuditCursor].into_iter().any(|of| of as u16 == kind)
}

/// Digest, root record, keyring and, last, the header: without it the store is none.
fn finish(opened: &Opened, new: &dyn Storage, target: &mut Target<'_>, root: &mut RootRecord) -> Result<()> {
    let mac = opened.barrier.keyring().digest();
    let header = if opened.header_sound {
        opened.header.to_bytes()
    } else {
        opened.header.with_slot_alone(&opened.root_key, opened.slot).to_bytes()
    };
    let mut digest = Digest::default();
    for (name, bytes) in [(fixed::HEADER, &header), (fixed::KEYRING, &opened.wrapped)] {
        digest.add(mac, &Key::new(&[name]), &sha256(&[bytes]));
    }
    each(new, |key, record| {
        digest.add(mac, &key, &sha256(&[&record]));
        Ok(())
    })?;
    root.digest = digest.to_bytes();
    root.commit = new.commit_number() + 1;
    target.put(RootRecord::key(), root.seal(&opened.barrier)?)?;
    target.put(Key::new(&[fixed::KEYRING]), opened.wrapped.clone())?;
    target.put(Key::new(&[fixed::HEADER]), header)?;
    target.flush()
}

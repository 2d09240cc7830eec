//! What a store holds, as far as it decrypts, and what is missing of what it should hold.

use super::hints::Hints;
use super::kept::{Kept, keep};
use super::log::{LogState, Reader};
use super::sound::Sound;
use super::spaces::Whose;
use super::{Opened, Shut};
use super::{leases, rotations};
use crate::barrier::{Digest, Kind, RootRecord, fixed};
use crate::commit::{AnchorPlan, Standing, standing};
use crate::crypto::sha256;
use crate::host::Rng;
use crate::seal::UnsealKey;
use crate::storage::{Key, Read, Storage};
use crate::types::{Error, Result};
use std::sync::Arc;

/// Records that are read at a time.
pub(super) const PAGE: usize = 512;

/// A secret that is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DamagedSecret {
    /// Its mount, with the path of its namespace; ends in a slash.
    pub(crate) mount: String,
    /// Its path below the mount.
    pub(crate) path: String,
    /// Versions that cannot be read.
    pub(crate) lost: Vec<u64>,
    /// How many versions of it can be read.
    pub(crate) readable: u64,
}

/// What was found in a store.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) slot: u32,
    pub(crate) header_sound: bool,
    /// The commit that the root record is of, where it can be read.
    pub(crate) commit: Option<u64>,
    /// Records that are there.
    pub(crate) records: u64,
    /// Records among them that do not decrypt.
    pub(crate) unreadable: u64,
    /// Records of namespaces whose keys are gone.
    pub(crate) orphans: u64,
    /// Namespaces whose keys are there, the root one not counted.
    pub(crate) namespaces: u64,
    /// The paths of those whose keys are gone.
    pub(crate) namespaces_lost: Vec<String>,
    /// Whether the records are those that the root record knows.
    pub(crate) digest_agrees: bool,
    /// Records of the vault's own that are missing, by name.
    pub(crate) system_lost: Vec<&'static str>,
    /// Policies that are missing.
    pub(crate) policies_lost: u64,
    /// Records by which leases are found and ended that are missing, or lead nowhere.
    pub(crate) leases_astray: u64,
    /// Records by which rotated credentials are found that are missing, or lead nowhere.
    pub(crate) rotations_astray: u64,
    /// Secrets all of whose versions can be read.
    pub(crate) whole: u64,
    pub(crate) damaged: Vec<DamagedSecret>,
    /// Secrets, and versions of secrets, that can be read and whose names are gone.
    pub(crate) nameless: u64,
    pub(crate) log: LogState,
    /// How the store stands to its anchor, where one is given; the text says why it cannot be told.
    pub(crate) anchor: Option<std::result::Result<Standing, Error>>,
}

/// Looks at all that a store holds.
///
/// # Errors
/// `WrongKey` and the like where the key opens nothing; `Unavailable` when the device fails.
pub(crate) fn survey(
    records: &dyn Read,
    storage: &dyn Storage,
    key: &UnsealKey,
    rng: &Arc<dyn Rng>,
    anchor: Option<&AnchorPlan>,
) -> Result<std::result::Result<Survey, Shut>> {
    let opened = match super::open(records, key, rng)? {
        Ok(opened) => opened,
        Err(shut) => return Ok(Err(shut)),
    };
    let barrier = &*opened.barrier;
    let mut found = Survey { slot: opened.slot, header_sound: opened.header_sound, ..Survey::default() };
    found.commit = opened.root.as_ref().map(|root| root.commit);
    let sound = Sound { spaces: &opened.spaces, records };
    let mut hints = Hints::default();
    let reader = Reader { barrier, root: opened.root.as_ref(), records: &sound, storage };
    found.log = reader
        .read(&mut |_, event, _| {
            hints.see(event);
            Ok(())
        })?
        .1;
    let kept = keep(&sound, &opened, &hints)?;
    found.system_lost = kept.system_lost.clone();
    found.policies_lost = kept.policies_lost();
    (found.whole, found.damaged) = kept.secrets();
    found.namespaces = opened.spaces.all.len() as u64 - 1;
    found.namespaces_lost = opened.spaces.lost.clone();
    found.leases_astray = leases::corrections(&opened.spaces, &sound)?.into_writes().changes.len() as u64;
    found.rotations_astray = rotations::corrections(&opened.spaces, &sound)?.into_writes().changes.len() as u64;
    read_all(records, &opened, &kept, &mut found)?;
    found.anchor = anchor.map(|plan| standing_of(&opened, plan)).and_then(Result::transpose);
    Ok(Ok(found))
}

/// Reads every record: whether it decrypts, whether all together are those of the digest, whether its name is known.
fn read_all(records: &dyn Read, opened: &Opened, kept: &Kept, found: &mut Survey) -> Result<()> {
    let barrier = &*opened.barrier;
    let mut digest = Digest::default();
    each(records, |key, record| {
        found.records += 1;
        if key != RootRecord::key() {
            digest.add(barrier.keyring().digest(), &key, &sha256(&[&record]));
        }
        if fixed::is_bare(key.as_bytes()) {
            return Ok(());
        }
        match opened.spaces.whose(&key, &record) {
            Whose::Unreadable => found.unreadable += 1,
            Whose::Orphan => found.orphans += 1,
            Whose::Space(_, kind) if is_content(kind) && !kept.has(&key) => found.nameless += 1,
            Whose::Space(..) | Whose::Deleted => {}
        }
        Ok(())
    })?;
    found.digest_agrees = opened.root.as_ref().is_some_and(|root| root.digest() == digest);
    Ok(())
}

/// Whether records of this kind hold what a secret is.
pub(super) fn is_content(kind: u16) -> bool {
    [Kind::KvHead, Kind::KvVersion, Kind::KvPlain].into_iter().any(|content| content as u16 == kind)
}

/// Gives every record of a store in order of their keys.
pub(super) fn each(records: &dyn Read, mut each: impl FnMut(Key, Vec<u8>) -> Result<()>) -> Result<()> {
    let mut after = None;
    loop {
        let page = records.scan(&[], after.as_ref(), PAGE)?;
        after = page.last().map(|(key, _)| *key);
        let ended = page.len() < PAGE;
        for (key, record) in page {
            each(key, record)?;
        }
        if ended {
            return Ok(());
        }
    }
}

fn standing_of(opened: &Opened, plan: &AnchorPlan) -> Result<Option<Standing>> {
    let Some(root) = opened.root.as_ref().filter(|root| !root.frozen) else { return Ok(None) };
    let unread = |error| Error::new(crate::types::Code::AnchorFailed, format!("the anchor cannot be read: {error}"));
    let anchored = plan.anchor.load().map_err(unread)?;
    standing(&opened.barrier, opened.barrier.store(), root, anchored.as_deref()).map(Some)
}

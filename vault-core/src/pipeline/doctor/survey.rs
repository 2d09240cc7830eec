//! What a store holds, as far as it decrypts, and what is missing of what it should hold.

use super::super::mounts::MountTable;
use super::super::{policies, removal};
use super::log::{LogState, Reader};
use super::sound::Sound;
use super::{Opened, Shut};
use crate::audit::Event;
use crate::barrier::{Barrier, Digest, Kind, Overlay, RootRecord, fixed};
use crate::commit::{AnchorPlan, Standing, standing};
use crate::crypto::sha256;
use crate::engines::kv::rescue::Health;
use crate::engines::{EngineKind, cubbyhole};
use crate::host::Rng;
use crate::seal::UnsealKey;
use crate::storage::{Key, Read, Storage};
use crate::types::id::Id;
use crate::types::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Records that are read at a time.
pub(super) const PAGE: usize = 512;

/// A secret that is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DamagedSecret {
    /// Its mount, which ends in a slash.
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
    /// Whether the records are those that the root record knows.
    pub(crate) digest_agrees: bool,
    /// Records of the vault's own that are missing, by name.
    pub(crate) system_lost: Vec<&'static str>,
    /// Policies that are missing.
    pub(crate) policies_lost: Vec<String>,
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
    let sound = Sound { barrier, records };
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
    found.policies_lost = kept.policies_lost.iter().cloned().collect();
    for secret in &kept.secrets {
        if secret.health.lost.is_empty() {
            found.whole += 1;
        } else {
            found.damaged.push(secret.told());
        }
    }
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
        match barrier.kind_of(&key, &record) {
            Err(_) => found.unreadable += 1,
            Ok(kind) if is_content(kind) && !kept.keys.contains(&key) && !kept.doomed.contains(&key) => found.nameless += 1,
            Ok(_) => {}
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

/// What of a store has a name and is kept.
pub(super) struct Kept {
    /// The mounts; those of a new vault where the table is gone.
    pub(super) mounts: MountTable,
    pub(super) system_lost: Vec<&'static str>,
    /// Policies that can be read.
    pub(super) policies: BTreeSet<String>,
    pub(super) policies_lost: BTreeSet<String>,
    pub(super) secrets: Vec<Secret>,
    /// The storage keys of the secrets' records.
    pub(super) keys: BTreeSet<Key>,
    /// What is in cubbyholes: by whom they are owned, and the path.
    pub(super) cubbyholes: Vec<(Id, String)>,
    /// The storage keys of what was behind mounts that are being removed: nobody is to see it again.
    pub(super) doomed: BTreeSet<Key>,
}

/// A secret whose name is known.
pub(super) struct Secret {
    pub(super) mount: String,
    pub(super) uuid: Id,
    pub(super) path: String,
    pub(super) health: Health,
}

impl Secret {
    pub(super) fn told(&self) -> DamagedSecret {
        let readable = self.health.readable.len() as u64;
        DamagedSecret { mount: self.mount.clone(), path: self.path.clone(), lost: self.health.lost.clone(), readable }
    }
}

/// What the audit log tells of names that have lost their folder entries.
#[derive(Default)]
pub(super) struct Hints(BTreeMap<String, u64>);

/// Most paths that are remembered.
const HINTS_MAX: usize = 1_000_000;

impl Hints {
    pub(super) fn see(&mut self, event: &[u8]) {
        let Some(event) = Event::from_bytes(event) else { return };
        if self.0.len() < HINTS_MAX || self.0.contains_key(&event.path) {
            let newest = self.0.entry(event.path).or_default();
            *newest = (*newest).max(event.version.unwrap_or_default());
        }
    }

    /// The names below a mount, or below `sys/policies/acl/`, and the newest version that the log tells of.
    fn below<'h>(&'h self, prefix: &'h str) -> impl Iterator<Item = (&'h str, u64)> + 'h {
        let range = self.0.range(prefix.to_owned()..).take_while(move |(path, _)| path.starts_with(prefix));
        range.filter_map(move |(path, newest)| Some((path.strip_prefix(prefix)?, *newest)))
    }

    fn newest(&self, path: &str) -> u64 {
        self.0.get(path).copied().unwrap_or_default()
    }
}

/// Finds what has a name.
pub(super) fn keep(sound: &Sound<'_>, opened: &Opened, hints: &Hints) -> Result<Kept> {
    let barrier = &opened.barrier;
    let mut overlay = Overlay::reading(barrier, sound);
    let mut system_lost = Vec::new();
    let mounts = match MountTable::load_if_there(&mut overlay)? {
        Some(mounts) => mounts,
        None => {
            system_lost.push("mount table");
            MountTable::of_a_new_vault(barrier)?
        }
    };
    if opened.root.is_none() {
        system_lost.push("root record");
    }
    if overlay.get(Kind::TickState, &barrier.key(Kind::TickState, &[]))?.is_none() {
        system_lost.push("tick state");
    }
    let mut secrets = Vec::new();
    let mut keys = BTreeSet::new();
    for entry in mounts.entries() {
        let (kind, uuid, prefix) = (entry.kind()?, entry.uuid(), entry.kind()?.request_prefix(entry.path()));
        let mut names = names_below(&overlay, &uuid)?;
        let listed = names.clone();
        names.extend(hints.below(&prefix).map(|(path, _)| path.to_owned()).filter(|path| !path.is_empty()));
        for path in names {
            let health = kind.examine(&mut overlay, &uuid, &path, hints.newest(&format!("{prefix}{path}")))?;
            // What only the log names, and of which nothing is there, was removed by somebody.
            if health.headless && health.readable.is_empty() && !listed.contains(&path) {
                continue;
            }
            keys.extend(kind.keys(barrier, &uuid, &path, &health.readable));
            secrets.push(Secret { mount: entry.path().to_owned(), uuid, path, health });
        }
    }
    let cubbyholes = cubbyholes(&mut overlay, sound)?;
    let doomed = doomed(&mut overlay, sound)?;
    let (policies, policies_lost) = policies_of(&mut overlay, sound, hints)?;
    Ok(Kept { mounts, system_lost, policies, policies_lost, secrets, keys, cubbyholes, doomed })
}

/// What is in cubbyholes: by whom it is owned, and its path.
fn cubbyholes(overlay: &mut Overlay<'_>, sound: &Sound<'_>) -> Result<Vec<(Id, String)>> {
    let mut owners = Vec::new();
    each(sound, |key, record| {
        let owner = overlay.barrier().open(Kind::CubbyholeOwner, &key, &record);
        owners.extend(owner.ok().map(|owner| cubbyhole::parse_owner(&owner)).transpose()?);
        Ok(())
    })?;
    let mut found = Vec::new();
    for owner in owners {
        for path in names_below(overlay, &owner)? {
            if !EngineKind::Cubbyhole.examine(overlay, &owner, &path, 0)?.headless {
                found.push((owner, path));
            }
        }
    }
    Ok(found)
}

/// Where the records lie of what is being removed.
fn doomed(overlay: &mut Overlay<'_>, sound: &Sound<'_>) -> Result<BTreeSet<Key>> {
    let mut removals = Vec::new();
    each(sound, |key, record| {
        let removal = overlay.barrier().open(Kind::Removal, &key, &record);
        removals.extend(removal.ok().map(|removal| removal::parse(&removal)).transpose()?);
        Ok(())
    })?;
    let mut keys = BTreeSet::new();
    for (kind, owner) in removals {
        for path in names_below(overlay, &owner)? {
            let readable = kind.examine(overlay, &owner, &path, 0)?.readable;
            keys.extend(kind.keys(overlay.barrier(), &owner, &path, &readable));
        }
    }
    Ok(keys)
}

/// The names below a mount, as its folder entries tell them.
fn names_below(overlay: &Overlay<'_>, mount: &Id) -> Result<BTreeSet<String>> {
    let barrier: &Barrier = overlay.barrier();
    let mut names = BTreeSet::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        overlay.scan(Kind::FolderEntry, &barrier.folder_prefix(mount, &folder), |_, child| {
            let path = format!("{folder}{}", String::from_utf8_lossy(child));
            if path.ends_with('/') {
                folders.push(path);
            } else {
                names.insert(path);
            }
            Ok(true)
        })?;
    }
    Ok(names)
}

/// The policies that can be read, and those that should be there.
fn policies_of(overlay: &mut Overlay<'_>, sound: &Sound<'_>, hints: &Hints) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let listed: BTreeSet<String> = overlay.children(&policies::FOLDER, "")?.into_iter().collect();
    let mut candidates = listed.clone();
    candidates.insert(policies::DEFAULT.to_owned());
    candidates.extend(hints.below("sys/policies/acl/").map(|(name, _)| name.to_owned()));
    each(sound, |key, record| {
        // Tokens tell the names of the policies that they hold.
        if let Ok(bytes) = overlay.barrier().open(Kind::Token, &key, &record) {
            candidates.extend(crate::auth::token::TokenEntry::from_bytes(&bytes).map(|entry| entry.policies).unwrap_or_default());
        }
        Ok(())
    })?;
    candidates.remove(policies::ROOT);
    let (mut there, mut lost) = (BTreeSet::new(), BTreeSet::new());
    for name in candidates {
        let key = policies::key_of(overlay.barrier(), &name);
        let readable = policies::text_of(overlay, &name)?.is_some();
        // One that is listed, or of which something lies where it should, is lost; one that nobody has written is none.
        if readable {
            there.insert(name);
        } else if listed.contains(&name) || name == policies::DEFAULT || sound.records.get(&key)?.is_some() {
            lost.insert(name);
        }
    }
    Ok((there, lost))
}

//! What of a store has a name and is kept: mounts, policies and secrets of each namespace.

use super::super::mounts::MountTable;
use super::super::policies;
use super::Opened;
use super::hints::Hints;
use super::sound::Sound;
use super::spaces::{Space, Whose};
use super::survey::{DamagedSecret, each};
use crate::auth::token::TokenEntry;
use crate::barrier::{Barrier, Kind, Overlay, fixed};
use crate::engines::kv::rescue::{self, Health};
use crate::storage::Key;
use crate::types::Result;
use crate::types::id::Id;
use std::collections::BTreeSet;

/// What has a name.
pub(super) struct Kept {
    /// As the namespaces stand among all.
    pub(super) spaces: Vec<KeptSpace>,
    /// Records of the vault's own that are missing, by name.
    pub(super) system_lost: Vec<&'static str>,
    /// The storage keys of the secrets' records.
    pub(super) keys: BTreeSet<Key>,
}

/// What has a name in one namespace.
pub(super) struct KeptSpace {
    /// The mounts; those of a new vault where the table is gone.
    pub(super) mounts: MountTable,
    pub(super) mounts_lost: bool,
    /// Policies that can be read.
    pub(super) policies: BTreeSet<String>,
    pub(super) policies_lost: BTreeSet<String>,
    pub(super) secrets: Vec<Secret>,
}

/// A secret whose name is known.
pub(super) struct Secret {
    /// Its mount, with the path of the namespace.
    pub(super) mount: String,
    pub(super) uuid: Id,
    pub(super) path: String,
    pub(super) health: Health,
}

impl Secret {
    fn told(&self) -> DamagedSecret {
        let readable = self.health.readable.len() as u64;
        DamagedSecret { mount: self.mount.clone(), path: self.path.clone(), lost: self.health.lost.clone(), readable }
    }
}

impl Kept {
    /// How many secrets are whole, and those that are not.
    pub(super) fn secrets(&self) -> (u64, Vec<DamagedSecret>) {
        let all = || self.spaces.iter().flat_map(|space| &space.secrets);
        let damaged: Vec<DamagedSecret> = all().filter(|secret| !secret.health.lost.is_empty()).map(Secret::told).collect();
        (all().count() as u64 - damaged.len() as u64, damaged)
    }

    /// How many policies are lost.
    pub(super) fn policies_lost(&self) -> u64 {
        self.spaces.iter().map(|space| space.policies_lost.len() as u64).sum()
    }
}

/// Finds what has a name.
pub(super) fn keep(sound: &Sound<'_>, opened: &Opened, hints: &Hints) -> Result<Kept> {
    let mut kept = Kept { spaces: Vec::new(), system_lost: Vec::new(), keys: BTreeSet::new() };
    if opened.root.is_none() {
        kept.system_lost.push("root record");
    }
    if opened.spaces.table_lost {
        kept.system_lost.push("namespace table");
    }
    let root = &opened.barrier;
    if Overlay::reading(root, sound).get(Kind::TickState, &root.key(Kind::TickState, &[]))?.is_none() {
        kept.system_lost.push("tick state");
    }
    let held = policies_held(sound)?;
    for (space, held) in opened.spaces.all.iter().zip(held) {
        let found = keep_of(sound, space, held, hints, &mut kept.keys)?;
        if found.mounts_lost {
            kept.system_lost.push(if space.path.is_empty() { "mount table" } else { "mount table of a namespace" });
        }
        kept.spaces.push(found);
    }
    Ok(kept)
}

fn keep_of(sound: &Sound<'_>, space: &Space, held: BTreeSet<String>, hints: &Hints, keys: &mut BTreeSet<Key>) -> Result<KeptSpace> {
    let barrier = &space.barrier;
    let mut overlay = Overlay::reading(barrier, sound);
    let found = MountTable::load_if_there(&mut overlay)?;
    let mounts_lost = found.is_none();
    let mounts = found.map_or_else(|| MountTable::of_a_new_vault(barrier), Ok)?;
    let mut secrets = Vec::new();
    for (mount, uuid) in mounts.places() {
        let mount = format!("{}{mount}", space.path);
        let mut names = names_below(&overlay, &uuid)?;
        let listed = names.clone();
        names.extend(hints.below(&format!("{mount}data/")).map(|(path, _)| path.to_owned()).filter(|path| !path.is_empty()));
        for path in names {
            let health = rescue::examine(&mut overlay, &uuid, &path, hints.newest(&mount, &path))?;
            // What only the log names, and of which nothing is there, was removed by somebody.
            if health.headless && health.readable.is_empty() && !listed.contains(&path) && !has_head(sound, barrier, &uuid, &path)? {
                continue;
            }
            keys.extend(rescue::keys(barrier, &uuid, &path, &health.readable));
            secrets.push(Secret { mount: mount.clone(), uuid, path, health });
        }
    }
    let (policies, policies_lost) = policies_of(&mut overlay, sound, space, held, hints)?;
    Ok(KeptSpace { mounts, mounts_lost, policies, policies_lost, secrets })
}

/// Whether something lies where the head of a secret should, whatever it is.
fn has_head(sound: &Sound<'_>, barrier: &Barrier, mount: &Id, path: &str) -> Result<bool> {
    let head = rescue::keys(barrier, mount, path, &[]).into_iter().next();
    Ok(head.map(|key| sound.records.get(&key)).transpose()?.flatten().is_some())
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

/// The names of the policies that the tokens of each namespace hold: a token's policies are those of its own namespace.
fn policies_held(sound: &Sound<'_>) -> Result<Vec<BTreeSet<String>>> {
    let spaces = sound.spaces;
    let mut held = vec![BTreeSet::new(); spaces.all.len()];
    each(sound.records, |key, record| {
        if fixed::is_bare(key.as_bytes()) {
            return Ok(());
        }
        if let Whose::Space(at, kind) = spaces.whose(&key, &record)
            && kind == Kind::Token as u16
        {
            let entry = spaces.all[at].barrier.open(Kind::Token, &key, &record).and_then(|bytes| TokenEntry::from_bytes(&bytes));
            held[at].extend(entry.map(|entry| entry.policies).unwrap_or_default());
        }
        Ok(())
    })?;
    Ok(held)
}

/// The policies that can be read, and those that should be there.
fn policies_of(
    overlay: &mut Overlay<'_>,
    sound: &Sound<'_>,
    space: &Space,
    held: BTreeSet<String>,
    hints: &Hints,
) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let listed: BTreeSet<String> = overlay.children(&policies::FOLDER, "")?.into_iter().collect();
    let mut candidates = held;
    candidates.extend(listed.iter().cloned());
    candidates.insert(policies::DEFAULT.to_owned());
    candidates.extend(hints.below(&format!("{}sys/policies/acl/", space.path)).map(|(name, _)| name.to_owned()));
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

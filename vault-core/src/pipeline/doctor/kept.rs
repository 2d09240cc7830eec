//! What of a store has a name and is kept: mounts, policies and secrets of each namespace, and what is in its cubbyholes.

use super::super::mounts::MountTable;
use super::super::{policies, removal};
use super::Opened;
use super::hints::Hints;
use super::identities::ToldIdentities;
use super::sound::Sound;
use super::spaces::{Space, Whose};
use super::survey::{DamagedSecret, each};
use crate::auth::TokenEntry;
use crate::auth::role::TokenRole;
use crate::barrier::{Barrier, Kind, Overlay, fixed};
use crate::engines::kv::leftovers::Leftover;
use crate::engines::kv::rescue::Health;
use crate::engines::{EngineKind, cubbyhole};
use crate::lease::{Lease, index};
use crate::managed::Managed;
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
    /// The storage keys of what was behind mounts, and in cubbyholes, that are being removed: nobody is to see it again.
    pub(super) doomed: BTreeSet<Key>,
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
    /// What is in cubbyholes, the leases and the static roles: by whom they are owned, and the path.
    pub(super) cubbyholes: Vec<(Id, String)>,
    /// The names of roles of tokens.
    pub(super) roles: Vec<String>,
    pub(super) identities: ToldIdentities,
}

/// What the records of one namespace tell of others.
#[derive(Clone, Default)]
struct Told {
    /// The policies that its tokens and its identities hold.
    policies: BTreeSet<String>,
    /// The owners of its cubbyholes.
    owners: Vec<Id>,
    /// What is being removed there.
    removals: Vec<(EngineKind, Id)>,
    /// Versions that are gone and whose records are being removed.
    leftovers: Vec<Leftover>,
    /// The names of its roles of tokens.
    roles: Vec<String>,
    /// Its leases and static roles, each with the folder that lists it.
    listed: Vec<(Id, String)>,
    identities: ToldIdentities,
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

    /// Whether it is known what a record is of: of a secret with a name, or of what is being removed.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.keys.contains(key) || self.doomed.contains(key)
    }

    /// How many policies are lost.
    pub(super) fn policies_lost(&self) -> u64 {
        self.spaces.iter().map(|space| space.policies_lost.len() as u64).sum()
    }
}

/// Finds what has a name.
pub(super) fn keep(sound: &Sound<'_>, opened: &Opened, hints: &Hints) -> Result<Kept> {
    let mut kept = Kept { spaces: Vec::new(), system_lost: Vec::new(), keys: BTreeSet::new(), doomed: BTreeSet::new() };
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
    for (space, told) in opened.spaces.all.iter().zip(all_told(sound)?) {
        let found = keep_of(sound, space, told, hints, &mut kept)?;
        if found.mounts_lost {
            kept.system_lost.push(if space.path.is_empty() { "mount table" } else { "mount table of a namespace" });
        }
        kept.spaces.push(found);
    }
    Ok(kept)
}

fn keep_of(sound: &Sound<'_>, space: &Space, told: Told, hints: &Hints, kept: &mut Kept) -> Result<KeptSpace> {
    let barrier = &space.barrier;
    let mut overlay = Overlay::reading(barrier, sound);
    let found = MountTable::load_if_there(&mut overlay)?;
    let mounts_lost = found.is_none();
    let mounts = found.map_or_else(|| MountTable::of_a_new_vault(barrier), Ok)?;
    let secrets = secrets_of(&mut overlay, sound, space, (&mounts, &told.leftovers), hints, kept)?;
    // Listed in folders of an owner's as what is in a cubbyhole is.
    let mut cubbyholes = told.listed;
    for owner in told.owners {
        for path in names_below(&overlay, &owner)? {
            if !EngineKind::Cubbyhole.examine(&mut overlay, &owner, &path, 0)?.headless {
                cubbyholes.push((owner, path));
            }
        }
    }
    for (kind, owner) in told.removals {
        for path in names_below(&overlay, &owner)? {
            let readable = kind.examine(&mut overlay, &owner, &path, 0)?.readable;
            kept.doomed.extend(kind.keys(barrier, &owner, &path, &readable));
        }
    }
    for leftover in &told.leftovers {
        let keys = EngineKind::Kv2.keys(barrier, &leftover.mount(), leftover.path(), leftover.numbers());
        // The first one is its head's, which is gone or another secret's.
        kept.doomed.extend(keys.into_iter().skip(1));
    }
    let (policies, policies_lost) = policies_of(&mut overlay, sound, space, told.policies, hints)?;
    Ok(KeptSpace { mounts, mounts_lost, policies, policies_lost, secrets, cubbyholes, roles: told.roles, identities: told.identities })
}

/// The secrets behind the mounts of a namespace. Their keys are noted among those that are kept.
fn secrets_of(
    overlay: &mut Overlay<'_>,
    sound: &Sound<'_>,
    space: &Space,
    (mounts, leftovers): (&MountTable, &[Leftover]),
    hints: &Hints,
    kept: &mut Kept,
) -> Result<Vec<Secret>> {
    let barrier = &space.barrier;
    let mut secrets = Vec::new();
    for entry in mounts.entries() {
        let (kind, uuid, mount) = (entry.kind()?, entry.uuid(), format!("{}{}", space.path, entry.path()));
        let prefix = kind.request_prefix(&mount);
        let mut names = names_below(overlay, &uuid)?;
        let listed = names.clone();
        names.extend(hints.below(&prefix).map(|(path, _)| path.to_owned()).filter(|path| !path.is_empty()));
        for path in names {
            let mut health = kind.examine(overlay, &uuid, &path, hints.newest(&format!("{prefix}{path}")))?;
            if health.headless {
                let gone = leftovers.iter().filter(|leftover| leftover.mount() == uuid && leftover.path() == path);
                let gone: BTreeSet<u64> = gone.flat_map(|leftover| leftover.numbers().iter().copied()).collect();
                health.readable.retain(|number| !gone.contains(number));
            }
            // What only the log names, and of which nothing is there, was removed by somebody.
            let is_there = listed.contains(&path) || has_head(sound, &kind.keys(barrier, &uuid, &path, &[]))?;
            if health.headless && health.readable.is_empty() && !is_there {
                continue;
            }
            kept.keys.extend(kind.keys(barrier, &uuid, &path, &health.readable));
            secrets.push(Secret { mount: mount.clone(), uuid, path, health });
        }
    }
    Ok(secrets)
}

/// Whether something lies where the first record of a secret should, whatever it is.
fn has_head(sound: &Sound<'_>, keys: &[Key]) -> Result<bool> {
    Ok(keys.first().map(|key| sound.records.get(key)).transpose()?.flatten().is_some())
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

/// What the records of each namespace tell. A token's policies, and its cubbyhole, are those of its own namespace.
fn all_told(sound: &Sound<'_>) -> Result<Vec<Told>> {
    let spaces = sound.spaces;
    let mut all = vec![Told::default(); spaces.all.len()];
    each(sound.records, |key, record| {
        if fixed::is_bare(key.as_bytes()) {
            return Ok(());
        }
        let Whose::Space(at, kind) = spaces.whose(&key, &record) else { return Ok(()) };
        let (barrier, told) = (&spaces.all[at].barrier, &mut all[at]);
        let is = |of: Kind| kind == of as u16;
        if is(Kind::Token) {
            let entry = barrier.open(Kind::Token, &key, &record).and_then(|bytes| TokenEntry::from_bytes(&bytes));
            told.policies.extend(entry.map(|entry| entry.policies).unwrap_or_default());
        } else if is(Kind::CubbyholeOwner) {
            told.owners.push(cubbyhole::parse_owner(&barrier.open(Kind::CubbyholeOwner, &key, &record)?)?);
        } else if is(Kind::KvLeftover) {
            told.leftovers.push(Leftover::from_bytes(&barrier.open(Kind::KvLeftover, &key, &record)?)?);
        } else if is(Kind::TokenRole) {
            told.roles.push(TokenRole::parse(&barrier.open(Kind::TokenRole, &key, &record)?)?.name);
        } else if is(Kind::Removal) {
            told.removals.push(removal::parse(&barrier.open(Kind::Removal, &key, &record)?)?);
        } else if is(Kind::Lease) {
            let lease = Lease::from_bytes(&barrier.open(Kind::Lease, &key, &record)?)?;
            told.listed.extend(index::folder(lease.state).map(|folder| (folder, lease.id)));
        } else if is(Kind::Managed) {
            let managed = Managed::from_bytes(&barrier.open(Kind::Managed, &key, &record)?)?;
            let path = format!("static-roles/{}", managed.name);
            told.listed.extend(managed.target.map(|_| (Id::from_bytes(managed.owner), path)));
        } else {
            told.identities.see(barrier, kind, &key, &record)?;
        }
        Ok(())
    })?;
    for told in &mut all {
        told.policies.extend(told.identities.policies().cloned());
    }
    Ok(all)
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

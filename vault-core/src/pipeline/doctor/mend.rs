//! Making what was taken out of a damaged store agree with itself: mounts, listings, heads of secrets, policies, tokens.

use super::super::backup::Target;
use super::super::mounts::{self, MountEntry, MountTable};
use super::super::namespace_table::NamespaceEntry;
use super::super::{keys, policies, tick, tokens};
use super::Opened;
use super::kept::{Kept, KeptSpace};
use super::salvage::{MESSAGES_UNKNOWN, Salvaged};
use super::spaces::Whose;
use super::survey::{each, is_content};
use super::{identities, leases, rotations};
use crate::auth::{TokenEntry, TokenRef, due, role};
use crate::barrier::{Barrier, Kind, Overlay, folder_and_child};
use crate::engines::EngineKind;
use crate::engines::kv::rescue;
use crate::identity::OWNER;
use crate::storage::{Key, Read};
use crate::types::id::Id;
use crate::types::limits::TTL_SECONDS_MAX;
use crate::types::spans::Spans;
use crate::types::{Object, Result, Timestamp, Ttl, Value, WipedBytes};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// No text of a time says more: a hundred years, in seconds.
const TIME_SECONDS_MAX: u64 = 100 * 366 * 86_400;

/// Where secrets come to lie whose names are gone.
const NAMELESS_MOUNT: &str = "salvaged";

/// What is being mended: the records that were taken, in the new store.
pub(super) struct Mend<'m> {
    pub(super) opened: &'m Opened,
    pub(super) records: &'m dyn Read,
    pub(super) now: Timestamp,
    /// Folder entries that stay.
    entries: BTreeSet<Key>,
}

impl<'m> Mend<'m> {
    pub(super) fn new(opened: &'m Opened, records: &'m dyn Read, now: Timestamp) -> Self {
        Mend { opened, records, now, entries: BTreeSet::new() }
    }

    /// Mends everything but the audit log.
    pub(super) fn all(&mut self, kept: &mut Kept, target: &mut Target<'_>, told: &mut Salvaged) -> Result<()> {
        self.system(kept, target)?;
        for (space, kept) in self.opened.spaces.all.iter().zip(&kept.spaces) {
            if kept.mounts_lost {
                let mut overlay = self.overlay(&space.barrier);
                save_mounts(&kept.mounts, &mut overlay)?;
                put_all(overlay, target)?;
            }
            self.secrets(&space.barrier, kept, target)?;
            self.policies(&space.barrier, kept, target)?;
            self.identities(&space.barrier, kept, target, told)?;
        }
        target.flush()?;
        self.leftovers(kept, target, told)?;
        target.flush()?;
        put_all(leases::corrections(&self.opened.spaces, self.records)?, target)?;
        put_all(rotations::corrections(&self.opened.spaces, self.records)?, target)?;
        target.flush()
    }

    /// Notes how much the data keys of the namespaces below the root one have encrypted, which counts that of the root record does not.
    pub(super) fn messages(&self, accounted: bool, target: &mut Target<'_>) -> Result<()> {
        for space in self.opened.spaces.all.iter().skip(1) {
            let mut overlay = self.overlay(&space.barrier);
            let noted = keys::noted_messages(&mut overlay)?;
            let data_keys = space.barrier.keyring().data_keys();
            let sealed = data_keys.primary().messages();
            // A namespace that has written little has none.
            let before = noted.unwrap_or(if accounted { 0 } else { MESSAGES_UNKNOWN });
            if sealed > 0 || noted.is_none() && !accounted {
                keys::put_messages(&mut overlay, before + sealed + 1)?;
                put_all(overlay, target)?;
            }
        }
        target.flush()
    }

    fn overlay<'o>(&'o self, barrier: &'o Arc<Barrier>) -> Overlay<'o> {
        Overlay::reading(barrier, self.records)
    }

    /// What every vault has of its own.
    fn system(&self, kept: &Kept, target: &mut Target<'_>) -> Result<()> {
        let (root, spaces) = (&self.opened.barrier, &self.opened.spaces);
        let mut overlay = self.overlay(root);
        if kept.system_lost.contains(&"tick state") {
            // So early that no token's end is passed over.
            let longest = Timestamp::from_secs(self.now.as_secs().saturating_sub(TTL_SECONDS_MAX));
            let last = self.now.plus(Ttl::from_secs(TIME_SECONDS_MAX));
            tick::save_hours(&mut overlay, &Spans::covering(due::hour_at(longest), due::hour_at(last)))?;
        }
        if spaces.is_table_stale() {
            spaces.table.save(root, &mut overlay)?;
        }
        for (entry, above) in spaces.entries() {
            let key = NamespaceEntry::key(&above, &Id::from_bytes(entry.id));
            if self.records.get(&key)?.is_none() {
                overlay.within(&above, |overlay| entry.put(overlay))?;
            }
        }
        put_all(overlay, target)
    }

    fn secrets(&mut self, barrier: &Arc<Barrier>, kept: &KeptSpace, target: &mut Target<'_>) -> Result<()> {
        for secret in &kept.secrets {
            if secret.health.headless && secret.health.readable.is_empty() {
                continue;
            }
            if !secret.health.lost.is_empty() {
                let mut overlay = self.overlay(barrier);
                rescue::mend(&mut overlay, &secret.uuid, &secret.path, &secret.health, self.now)?;
                put_all(overlay, target)?;
            }
            self.enter(barrier, &secret.uuid, &secret.path, target)?;
        }
        kept.roles.iter().try_for_each(|name| self.enter(barrier, &role::FOLDER, name, target))?;
        kept.cubbyholes.iter().try_for_each(|(owner, path)| self.enter(barrier, owner, path, target))
    }

    fn policies(&mut self, barrier: &Arc<Barrier>, kept: &KeptSpace, target: &mut Target<'_>) -> Result<()> {
        for name in &kept.policies {
            self.enter(barrier, &policies::FOLDER, name, target)?;
        }
        if kept.policies_lost.contains(policies::DEFAULT) {
            let mut overlay = self.overlay(barrier);
            policies::put(&mut overlay, policies::DEFAULT, policies::DEFAULT_TEXT)?;
            put_all(overlay, target)?;
            self.enter(barrier, &policies::FOLDER, policies::DEFAULT, target)?;
        }
        Ok(())
    }

    fn identities(&mut self, barrier: &Arc<Barrier>, kept: &KeptSpace, target: &mut Target<'_>, told: &mut Salvaged) -> Result<()> {
        let mended = identities::mended(barrier, self.records, kept)?;
        put_all(mended.overlay, target)?;
        told.entities_disabled += mended.disabled;
        mended.paths.iter().try_for_each(|path| self.enter(barrier, &OWNER, path, target))
    }

    /// Lets a path appear in the listings of its folders.
    fn enter(&mut self, barrier: &Barrier, mount: &Id, path: &str, target: &mut Target<'_>) -> Result<()> {
        let mut path = path;
        loop {
            let (folder, child) = folder_and_child(path);
            let key = barrier.folder_key(mount, folder, child);
            if !self.entries.insert(key) {
                return Ok(());
            }
            if self.records.get(&key)?.is_none() {
                target.put(key, barrier.seal(Kind::FolderEntry, &key, child.as_bytes())?)?;
            }
            if folder.is_empty() {
                return Ok(());
            }
            path = folder;
        }
    }

    /// What belongs to nothing that is known: secrets and policies without a name get one; listings of nothing go, keyrings of nothing, and
    /// tokens whose policies are not all there.
    fn leftovers(&mut self, kept: &mut Kept, target: &mut Target<'_>, told: &mut Salvaged) -> Result<()> {
        let spaces = &self.opened.spaces;
        let of_namespaces = spaces.keys();
        let mut known = BTreeSet::new();
        for (space, kept) in spaces.all.iter().zip(&kept.spaces) {
            let names = kept.policies.iter().map(String::as_str).chain([policies::DEFAULT]);
            known.extend(names.map(|name| policies::key_of(&space.barrier, name)));
        }
        let (mut nameless, mut gone, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        each(self.records, |key, record| {
            let Whose::Space(at, kind) = spaces.whose(&key, &record) else { return Ok(()) };
            let is = |of: Kind| kind == of as u16;
            if kept.doomed.contains(&key) {
                gone.push(key);
            } else if is_content(kind) && !kept.keys.contains(&key) || is(Kind::Policy) && !known.contains(&key) {
                nameless.push((at, key));
            } else if is(Kind::FolderEntry) && !self.entries.contains(&key)
                || (is(Kind::NamespaceKeyring) || is(Kind::NamespaceEntry)) && !of_namespaces.contains(&key)
            {
                gone.push(key);
            } else if is(Kind::Token) && holds_what_is_lost(&spaces.all[at].barrier, &key, &record, &kept.spaces[at]) {
                dropped.push((at, key));
            }
            Ok(())
        })?;
        gone.into_iter().try_for_each(|key| target.remove(key))?;
        told.tokens_dropped = dropped.len() as u64;
        for (at, key) in dropped {
            self.drop_token(&spaces.all[at].barrier, &key, target)?;
        }
        self.name(nameless, kept, target, told)
    }

    /// Leaves out a token and those that it has made, in namespaces below its own too; their cubbyholes go with them.
    fn drop_token(&self, barrier: &Arc<Barrier>, key: &Key, target: &mut Target<'_>) -> Result<()> {
        let Ok(own) = key.as_bytes().try_into() else { return target.remove(*key) };
        let token = TokenRef { namespace: *barrier.namespace(), key: own };
        let mut overlay = self.overlay(barrier);
        let barrier_of = |id: &Id| self.opened.spaces.barrier(id);
        tokens::remove(&mut overlay, &token, tokens::Ending::Revoked, &barrier_of, usize::MAX)?;
        put_all(overlay, target)
    }

    /// Gives names to what has none, each in its own namespace.
    fn name(&mut self, nameless: Vec<(usize, Key)>, kept: &mut Kept, target: &mut Target<'_>, told: &mut Salvaged) -> Result<()> {
        if nameless.is_empty() {
            return Ok(());
        }
        let mount = self.nameless_name(kept);
        let mut uuids = BTreeMap::new();
        for (at, key) in nameless {
            let barrier = &self.opened.spaces.all[at].barrier;
            let uuid = match uuids.get(&at) {
                Some(uuid) => *uuid,
                None => self.nameless_mount(barrier, &mount, &mut kept.spaces[at], target)?,
            };
            uuids.insert(at, uuid);
            self.rename(barrier, &uuid, &key, target)?;
            told.nameless += 1;
        }
        told.nameless_mount = Some(mount);
        Ok(())
    }

    /// A name that is free for a mount in all namespaces.
    fn nameless_name(&self, kept: &Kept) -> String {
        let mounts = kept.spaces.iter().flat_map(|space| space.mounts.entries()).map(|entry| entry.path().to_ascii_lowercase());
        let taken: BTreeSet<String> = mounts.chain(self.opened.spaces.names()).collect();
        let names = std::iter::once(format!("{NAMELESS_MOUNT}/")).chain((2..).map(|number| format!("{NAMELESS_MOUNT}-{number}/")));
        let is_free = |name: &String| !taken.iter().any(|other| other.starts_with(name.as_str()) || name.starts_with(other.as_str()));
        names.into_iter().find(is_free).expect("there are more names than mounts and namespaces")
    }

    fn nameless_mount(&self, barrier: &Arc<Barrier>, name: &str, kept: &mut KeptSpace, target: &mut Target<'_>) -> Result<Id> {
        let uuid = Id::from_random(barrier.rng().array().map_err(crate::barrier::BarrierError::from)?);
        kept.mounts.add(MountEntry::new(name, EngineKind::Kv2, uuid)?.described("secrets whose names were lost"))?;
        let mut overlay = self.overlay(barrier);
        save_mounts(&kept.mounts, &mut overlay)?;
        put_all(overlay, target)?;
        Ok(uuid)
    }

    /// Lays what a nameless record holds under the name of its storage key.
    fn rename(&mut self, barrier: &Arc<Barrier>, mount: &Id, key: &Key, target: &mut Target<'_>) -> Result<()> {
        let Some(record) = self.records.get(key)? else { return Ok(()) };
        let open = |kind| barrier.open(kind, key, &record).ok();
        let (folder, content) = if let Some(plaintext) = open(Kind::KvHead) {
            ("secrets", rescue::content_of_head(plaintext))
        } else if let Some(plaintext) = open(Kind::KvPlain) {
            ("secrets", Some(plaintext))
        } else if let Some(plaintext) = open(Kind::KvVersion) {
            ("versions", Some(plaintext))
        } else {
            let text = open(Kind::Policy).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
            let mut json = Value::from(Object::new().with("policy", text)).to_json();
            ("policies", Some(WipedBytes::from(std::mem::take(&mut *json))))
        };
        if let Some(content) = content {
            let path = format!("{folder}/{}", hex::encode(key.as_bytes()));
            let mut overlay = self.overlay(barrier);
            rescue::lay(&mut overlay, mount, &path, &content, self.now)?;
            put_all(overlay, target)?;
            self.enter(barrier, mount, &path, target)?;
        }
        target.remove(*key)
    }
}

/// Lays a mount table, with a sign for each mount.
fn save_mounts(table: &MountTable, overlay: &mut Overlay<'_>) -> Result<()> {
    table.entries().try_for_each(|entry| mounts::sign(overlay, &entry.uuid()))?;
    table.save(overlay)
}

/// A policy could deny what another one allows: without it a token might be let do more than it was.
fn holds_what_is_lost(barrier: &Barrier, key: &Key, record: &[u8], kept: &KeptSpace) -> bool {
    let entry = barrier.open(Kind::Token, key, record).and_then(|bytes| TokenEntry::from_bytes(&bytes));
    // The default policy is made anew, and it denies nothing.
    let is_lost = |name: &String| name != policies::DEFAULT && kept.policies_lost.contains(name);
    entry.is_ok_and(|entry| entry.policies.iter().any(is_lost))
}

fn put_all(overlay: Overlay<'_>, target: &mut Target<'_>) -> Result<()> {
    overlay.into_writes().changes.into_iter().try_for_each(|(key, change)| match change {
        Some(record) => target.put(key, record),
        None => target.remove(key),
    })
}

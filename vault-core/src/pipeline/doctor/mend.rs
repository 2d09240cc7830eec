//! Making what was taken out of a damaged store agree with itself: mounts, listings, heads of secrets, policies, tokens.

use super::super::backup::Target;
use super::super::mounts::{self, MountEntry};
use super::super::{policies, removal, tick};
use super::Opened;
use super::salvage::Salvaged;
use super::survey::{Kept, each, is_content};
use crate::auth::token::{self, TokenEntry, TokenRef};
use crate::barrier::{Barrier, Kind, Overlay, folder_and_child};
use crate::engines::kv::rescue;
use crate::engines::{EngineKind, cubbyhole};
use crate::storage::{Key, Read};
use crate::types::id::Id;
use crate::types::limits::TTL_SECONDS_MAX;
use crate::types::{Object, Result, Timestamp, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

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
        self.secrets(kept, target)?;
        self.policies(kept, target)?;
        target.flush()?;
        self.leftovers(kept, target, told)?;
        target.flush()
    }

    fn barrier(&self) -> &'m Arc<Barrier> {
        &self.opened.barrier
    }

    fn overlay(&self) -> Overlay<'m> {
        Overlay::reading(self.barrier(), self.records)
    }

    /// What every vault has of its own.
    fn system(&self, kept: &Kept, target: &mut Target<'_>) -> Result<()> {
        let mut overlay = self.overlay();
        for name in &kept.system_lost {
            match *name {
                "mount table" => save_mounts(kept, &mut overlay)?,
                // So early that no token's end is passed over.
                "tick state" => {
                    let longest = self.now.as_secs().saturating_sub(TTL_SECONDS_MAX);
                    tick::save_bucket(&mut overlay, token::bucket_at(Timestamp::from_secs(longest)))?;
                }
                _ => {}
            }
        }
        put_all(overlay, target)
    }

    fn secrets(&mut self, kept: &mut Kept, target: &mut Target<'_>) -> Result<()> {
        for secret in &kept.secrets {
            if secret.health.headless && secret.health.readable.is_empty() {
                continue;
            }
            if !secret.health.lost.is_empty() {
                let mut overlay = self.overlay();
                rescue::mend(&mut overlay, &secret.uuid, &secret.path, &secret.health, self.now)?;
                put_all(overlay, target)?;
            }
            self.enter(&secret.uuid, &secret.path, target)?;
        }
        kept.cubbyholes.iter().try_for_each(|(owner, path)| self.enter(owner, path, target))
    }

    fn policies(&mut self, kept: &Kept, target: &mut Target<'_>) -> Result<()> {
        for name in &kept.policies {
            self.enter(&policies::FOLDER, name, target)?;
        }
        if kept.policies_lost.contains(policies::DEFAULT) {
            let mut overlay = self.overlay();
            policies::put(&mut overlay, policies::DEFAULT, policies::DEFAULT_TEXT)?;
            put_all(overlay, target)?;
            self.enter(&policies::FOLDER, policies::DEFAULT, target)?;
        }
        Ok(())
    }

    /// Lets a path appear in the listings of its folders.
    fn enter(&mut self, mount: &Id, path: &str, target: &mut Target<'_>) -> Result<()> {
        let mut path = path;
        loop {
            let (folder, child) = folder_and_child(path);
            let key = self.barrier().folder_key(mount, folder, child);
            if !self.entries.insert(key) {
                return Ok(());
            }
            if self.records.get(&key)?.is_none() {
                target.put(key, self.barrier().seal(Kind::FolderEntry, &key, child.as_bytes())?)?;
            }
            if folder.is_empty() {
                return Ok(());
            }
            path = folder;
        }
    }

    /// What belongs to nothing that is known: secrets and policies without a name get one, listings of nothing go, and so do tokens whose
    /// policies are not all there.
    fn leftovers(&mut self, kept: &mut Kept, target: &mut Target<'_>, told: &mut Salvaged) -> Result<()> {
        let known: BTreeSet<Key> = kept.policies.iter().map(|name| policies::key_of(self.barrier(), name)).collect();
        let default = policies::key_of(self.barrier(), policies::DEFAULT);
        let (mut nameless, mut gone, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        each(self.records, |key, record| {
            let Ok(kind) = self.barrier().kind_of(&key, &record) else { return Ok(()) };
            if kept.doomed.contains(&key) {
                gone.push(key);
            } else if is_content(kind) && !kept.keys.contains(&key)
                || kind == Kind::Policy as u16 && !known.contains(&key) && key != default
            {
                nameless.push(key);
            } else if kind == Kind::FolderEntry as u16 && !self.entries.contains(&key) {
                gone.push(key);
            } else if kind == Kind::Token as u16 && self.holds_what_is_lost(&key, &record, kept) {
                dropped.push(key);
            }
            Ok(())
        })?;
        gone.into_iter().try_for_each(|key| target.remove(key))?;
        for key in dropped {
            told.tokens_dropped += 1;
            let mut overlay = self.overlay();
            if let Ok(own) = key.as_bytes().try_into() {
                let own = TokenRef { namespace: Id::ROOT, key: own };
                for token in token::remove_tree(&mut overlay, &own, &|id| (*id == Id::ROOT).then(|| Arc::clone(self.barrier())))? {
                    if let Some(owner) = cubbyhole::part(&mut overlay, &token.key)? {
                        removal::doom(&mut overlay, EngineKind::Cubbyhole, &owner)?;
                    }
                }
            }
            put_all(overlay, target)?;
        }
        if !nameless.is_empty() {
            let (mount, uuid) = self.nameless_mount(kept, target)?;
            told.nameless_mount = Some(mount);
            for key in nameless {
                self.rename(&uuid, &key, target)?;
                told.nameless += 1;
            }
        }
        Ok(())
    }

    /// A policy could deny what another one allows: without it a token might be let do more than it was.
    fn holds_what_is_lost(&self, key: &Key, record: &[u8], kept: &Kept) -> bool {
        let entry = self.barrier().open(Kind::Token, key, record).and_then(|bytes| TokenEntry::from_bytes(&bytes));
        // The default policy is made anew, and it denies nothing.
        let is_lost = |name: &String| name != policies::DEFAULT && kept.policies_lost.contains(name);
        entry.is_ok_and(|entry| entry.policies.iter().any(is_lost))
    }

    fn nameless_mount(&self, kept: &mut Kept, target: &mut Target<'_>) -> Result<(String, Id)> {
        let taken: BTreeSet<String> = kept.mounts.entries().map(|entry| entry.path().to_owned()).collect();
        let names = std::iter::once(format!("{NAMELESS_MOUNT}/")).chain((2..).map(|number| format!("{NAMELESS_MOUNT}-{number}/")));
        let name =
            names.into_iter().find(|name| !taken.iter().any(|other| other.starts_with(name.as_str()) || name.starts_with(other.as_str())));
        let name = name.expect("there are more names than mounts");
        let uuid = Id::from_random(self.barrier().rng().array().map_err(crate::barrier::BarrierError::from)?);
        kept.mounts.add(MountEntry::new(&name, EngineKind::Kv2, uuid)?.described("secrets whose names were lost"))?;
        let mut overlay = self.overlay();
        save_mounts(kept, &mut overlay)?;
        put_all(overlay, target)?;
        Ok((name, uuid))
    }

    /// Lays what a nameless record holds under the name of its storage key.
    fn rename(&mut self, mount: &Id, key: &Key, target: &mut Target<'_>) -> Result<()> {
        let Some(record) = self.records.get(key)? else { return Ok(()) };
        let barrier = self.barrier();
        let open = |kind| barrier.open(kind, key, &record).ok();
        let (folder, content) = if let Some(plaintext) = open(Kind::KvHead) {
            ("secrets", rescue::content_of_head(&plaintext))
        } else if let Some(plaintext) = open(Kind::KvPlain) {
            ("secrets", Some(plaintext))
        } else if let Some(plaintext) = open(Kind::KvVersion) {
            ("versions", Some(plaintext))
        } else {
            let text = open(Kind::Policy).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
            ("policies", Some(Value::from(Object::new().with("policy", text)).to_json()))
        };
        if let Some(content) = content {
            let path = format!("{folder}/{}", hex::encode(key.as_bytes()));
            let mut overlay = self.overlay();
            rescue::lay(&mut overlay, mount, &path, &content, self.now)?;
            put_all(overlay, target)?;
            self.enter(mount, &path, target)?;
        }
        target.remove(*key)
    }
}

/// Lays the mount table, with a sign for each mount.
fn save_mounts(kept: &Kept, overlay: &mut Overlay<'_>) -> Result<()> {
    kept.mounts.entries().try_for_each(|entry| mounts::sign(overlay, &entry.uuid()))?;
    kept.mounts.save(overlay)
}

fn put_all(overlay: Overlay<'_>, target: &mut Target<'_>) -> Result<()> {
    overlay.into_writes().changes.into_iter().try_for_each(|(key, change)| match change {
        Some(record) => target.put(key, record),
        None => target.remove(key),
    })
}

//! What versions are told to become: deleted, undeleted, destroyed, or gone with their secret.

use super::head::{self, Head, Loaded};
use super::{Outcome, Secrets, leftovers};
use crate::barrier::Overlay;
use crate::engines::common::input::whole;
use crate::managed::Managed;
use crate::types::id::Id;
use crate::types::limits::{KV_VERSIONS_MAX, KV_VERSIONS_REMOVED_MAX};
use crate::types::{Code, Error, Result, Value};

/// What versions of a secret are told to become.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Deleted,
    Undeleted,
    Destroyed,
}

impl Secrets<'_, '_> {
    pub(super) fn delete_newest(&mut self, path: &str) -> Result<Outcome> {
        let Some(Loaded { mut head, content }) = head::load(self.overlay, self.mount, path)? else { return Ok(Outcome::default()) };
        let (number, now) = (head.current, self.now);
        if let Some(version) = head.version_mut(number).filter(|version| version.is_readable(now)) {
            version.deleted_millis = now.as_millis();
            head.updated_millis = now.as_millis();
            head::save(self.overlay, self.mount, path, head, content.as_ref().map(|content| content.as_slice()))?;
        }
        Ok(Outcome { version: Some(number), ..Outcome::default() })
    }

    pub(super) fn on_versions(&mut self, path: &str, data: Option<&Value>, fate: Fate) -> Result<Outcome> {
        let numbers = requested_versions(data)?;
        let Some(Loaded { mut head, mut content }) = head::load(self.overlay, self.mount, path)? else { return Ok(Outcome::default()) };
        let (current, now) = (head.current, self.now);
        let expires_millis = match fate {
            // The clock starts anew.
            Fate::Undeleted => head.rules.under(&self.mount_rules()?).expiry_millis(now),
            Fate::Deleted | Fate::Destroyed => 0,
        };
        let (mut changed, mut gone) = (false, Vec::new());
        for number in numbers {
            let Some(version) = head.version_mut(number).filter(|version| !version.destroyed) else { continue };
            match fate {
                Fate::Deleted if version.is_readable(now) => version.deleted_millis = now.as_millis(),
                Fate::Deleted => continue,
                Fate::Undeleted if (version.deleted_millis, version.expires_millis) == (0, expires_millis) => continue,
                Fate::Undeleted => (version.deleted_millis, version.expires_millis) = (0, expires_millis),
                Fate::Destroyed => {
                    version.destroyed = true;
                    if number == current {
                        content = None;
                    } else {
                        gone.push(number);
                    }
                }
            }
            changed = true;
        }
        leftovers::remove_versions(self.overlay, self.mount, path, gone)?;
        if changed {
            head.updated_millis = now.as_millis();
            head::save(self.overlay, self.mount, path, head, content.as_ref().map(|content| content.as_slice()))?;
        }
        Ok(Outcome::default())
    }

    /// Removes a secret with all that belongs to it, its rotation too.
    pub(super) fn delete_all(&mut self, path: &str) -> Result<Outcome> {
        // Nobody comes to have the secret again by a schedule.
        if let Some(managed) = Managed::named(self.overlay, self.mount, path)? {
            managed.remove(self.overlay)?;
        }
        let Some(Loaded { head, .. }) = head::load(self.overlay, self.mount, path)? else { return Ok(Outcome::default()) };
        remove_records(self.overlay, self.mount, path, &head)?;
        self.overlay.leave(*self.mount, path);
        Ok(Outcome::default())
    }
}

/// Removes the records of a secret whose entry goes otherwise; how many.
pub(in crate::engines) fn forget(overlay: &mut Overlay<'_>, mount: &Id, path: &str) -> Result<usize> {
    let Some(Loaded { head, .. }) = head::load(overlay, mount, path)? else { return Ok(0) };
    remove_records(overlay, mount, path, &head)?;
    Ok(head.versions.len().clamp(1, KV_VERSIONS_REMOVED_MAX))
}

fn remove_records(overlay: &mut Overlay<'_>, mount: &Id, path: &str, head: &Head) -> Result<()> {
    let with_record = head.versions.iter().filter(|version| version.number != head.current && !version.destroyed);
    leftovers::remove_versions(overlay, mount, path, with_record.map(|version| version.number).collect())?;
    head::remove(overlay, mount, path);
    Ok(())
}

fn requested_versions(data: Option<&Value>) -> Result<Vec<u64>> {
    let missing = || Error::new(Code::InvalidData, "no versions provided: pass an array of version numbers as the member \"versions\"");
    let versions = data.and_then(|data| data.get("versions")).and_then(Value::as_array);
    let versions = versions.filter(|list| !list.is_empty()).ok_or_else(missing)?;
    if versions.len() > KV_VERSIONS_MAX as usize {
        return Err(Error::new(Code::InvalidData, format!("at most {KV_VERSIONS_MAX} versions at a time")));
    }
    versions.iter().map(|version| whole(version).ok_or_else(missing)).collect()
}

//! What can be had of a secret of which some records are gone: for the examination of a damaged store, and for salvage.
//!
//! The overlay shows what can be read; a record that cannot is as good as absent there.

use super::head::{self, Head, Loaded, Version};
use crate::barrier::{Barrier, Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::KV_VERSIONS_DEFAULT;
use crate::types::{Result, Timestamp, WipedBytes};

/// Numbers at which the versions of a secret without a head are looked for, where nothing tells more.
const PROBES_MAX: u64 = 10_000;

/// What can be read of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Its head is gone: with it the newest version and what was deleted.
    pub(crate) headless: bool,
    /// Versions whose content is there.
    pub(crate) readable: Vec<u64>,
    /// Versions whose content should be there and is not. Of a secret without a head only the newest is known to be lost.
    pub(crate) lost: Vec<u64>,
}

/// Which versions of a secret can be read. `newest` is the largest number that is known of it, 0 where none is.
pub(crate) fn examine(overlay: &mut Overlay<'_>, mount: &Id, path: &str, newest: u64) -> Result<Health> {
    let Some(Loaded { head, content }) = head::load(overlay, mount, path)? else { return without_head(overlay, mount, path, newest) };
    let mut health = Health::default();
    for version in head.versions.iter().filter(|version| !version.destroyed) {
        let there = if version.number == head.current { content.is_some() } else { has_version(overlay, mount, path, version.number)? };
        if there { &mut health.readable } else { &mut health.lost }.push(version.number);
    }
    Ok(health)
}

/// Makes the head of a secret agree with what is there: versions that are gone are destroyed, a head that is gone is made anew.
pub(crate) fn mend(overlay: &mut Overlay<'_>, mount: &Id, path: &str, health: &Health, now: Timestamp) -> Result<()> {
    if health.headless {
        let version = |number, destroyed| Version { destroyed, ..Version::new(number, now, 0) };
        let mut head = Head::new(now);
        head.versions = health.readable.iter().map(|number| version(*number, false)).collect();
        // The newest version stood in the head. It stays as one that was destroyed, so that its number is not given twice.
        head.current = health.lost.first().copied().unwrap_or(1);
        head.versions.push(version(head.current, true));
        return head::save(overlay, mount, path, head, None);
    }
    let Some(Loaded { mut head, content }) = head::load(overlay, mount, path)? else { return Ok(()) };
    for number in &health.lost {
        head.version_mut(*number).into_iter().for_each(|version| version.destroyed = true);
    }
    head::save(overlay, mount, path, head, content.as_ref().map(|content| content.as_slice()))
}

/// The storage keys that a secret's records have: of its head, and of its older versions.
pub(crate) fn keys(barrier: &Barrier, mount: &Id, path: &str, versions: &[u64]) -> Vec<Key> {
    let older = versions.iter().map(|number| head::version_key(barrier, mount, path, *number));
    std::iter::once(head::head_key(barrier, mount, path)).chain(older).collect()
}

/// The content of a secret's head, whoever it is of.
pub(crate) fn content_of_head(plaintext: WipedBytes) -> Option<WipedBytes> {
    head::parse(plaintext).ok()?.content
}

/// Lays a secret of one version into a mount.
pub(crate) fn lay(overlay: &mut Overlay<'_>, mount: &Id, path: &str, content: &[u8], now: Timestamp) -> Result<()> {
    let mut head = Head::new(now);
    head.current = 1;
    head.versions.push(Version::new(1, now, 0));
    head::save(overlay, mount, path, head, Some(content))
}

fn without_head(overlay: &mut Overlay<'_>, mount: &Id, path: &str, newest: u64) -> Result<Health> {
    let first = newest.saturating_sub(u64::from(KV_VERSIONS_DEFAULT)).max(1);
    let range = if newest > 0 { first..=newest } else { 1..=PROBES_MAX };
    let mut readable = Vec::new();
    for number in range {
        if has_version(overlay, mount, path, number)? {
            readable.push(number);
        }
    }
    // Versions are numbered without gaps, and all but the newest have records of their own.
    let lost = readable.last().map_or(1, |number| number + 1).max(newest);
    Ok(Health { headless: true, readable, lost: vec![lost] })
}

fn has_version(overlay: &mut Overlay<'_>, mount: &Id, path: &str, number: u64) -> Result<bool> {
    let key = head::version_key(overlay.barrier(), mount, path, number);
    Ok(overlay.get(Kind::KvVersion, &key)?.is_some())
}

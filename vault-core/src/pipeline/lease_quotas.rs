//! `sys/quotas/lease-count`: how many leases there may be below a path.

use super::core::Core;
use super::namespaces::Place;
use super::system::Done;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::crypto::sha256;
use crate::lease::{LeaseRef, index};
use crate::storage::Key;
use crate::types::limits::{LEASE_QUOTA_MAX, LEASE_QUOTAS_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX};
use crate::types::{Code, Error, Object, Result, Value};
use minicbor::{Decode, Encode};

/// A quota's record. All of them stand in the root namespace.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Quota {
    #[n(0)]
    name: String,
    /// From the root namespace on; empty for all leases.
    #[n(1)]
    path: String,
    #[n(2)]
    max: u64,
}

/// Refuses a lease that would be one too many. Those that are being made count, this one included: so it is asked once it is among them.
pub(super) fn check(core: &Core, place: &Place<'_>) -> Result<()> {
    let path = format!("{}{}", place.namespace.path, place.path());
    for quota in all(&core.reading())? {
        if path.starts_with(&quota.path) && count(core, &quota, quota.max)? > quota.max {
            let why = "there are as many leases as a quota (sys/quotas/lease-count) allows, those included that are being made or undone \
                       (sys/leases?type=pending): revoke some, or raise it";
            return Err(Error::new(Code::RateLimited, why));
        }
    }
    Ok(())
}

/// The leases that a quota counts, those that are being made or undone included; no further than one more than `most`.
fn count(core: &Core, quota: &Quota, most: u64) -> Result<u64> {
    let mut count = core.outside.in_creation(&quota.path);
    let is_busy = |lease: &LeaseRef| core.outside.is_busy(lease);
    for namespace in core.namespaces.load_full().iter() {
        // Where the namespace lies below the path all its leases count, where the path leads into it those below.
        let below = match quota.path.strip_prefix(&namespace.path) {
            Some(below) => below,
            None if namespace.path.starts_with(&quota.path) => "",
            None => continue,
        };
        let overlay = Overlay::reading(&namespace.barrier, core.source());
        // What was begun and is no longer being made has an account at its target, for all that is known.
        index::each_begun(&overlay, |lease, id| {
            count += u64::from(id.starts_with(below) && !is_busy(&lease));
            Ok(count <= most)
        })?;
        let folder = below.rfind('/').map_or("", |slash| &below[..=slash]);
        index::walk(&overlay, &index::LIVE, folder, &mut |id| {
            count += u64::from(id.starts_with(below));
            Ok(count <= most)
        })?;
    }
    Ok(count)
}

fn all(overlay: &Overlay<'_>) -> Result<Vec<Quota>, BarrierError> {
    let mut quotas = Vec::new();
    overlay.scan(Kind::LeaseQuota, &overlay.barrier().member_prefix(Kind::LeaseQuota, &[]), |_, bytes| {
        quotas.push(minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)?);
        Ok(true)
    })?;
    Ok(quotas)
}

pub(super) fn list(overlay: &Overlay<'_>) -> Result<Done> {
    let mut names: Vec<String> = all(overlay)?.into_iter().map(|quota| quota.name).collect();
    names.sort_unstable();
    if names.is_empty() {
        return Err(Error::new(Code::NotFound, "there are no quotas"));
    }
    Ok(Done::answer(Object::new().with("keys", names)))
}

pub(super) fn read(core: &Core, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let quota = load(overlay, name)?.ok_or_else(|| Error::new(Code::NotFound, "there is no quota of that name"))?;
    let counter = count(core, &quota, LEASE_QUOTA_MAX)?;
    let body = Object::new()
        .with("type", "lease-count")
        .with("name", quota.name)
        .with("path", quota.path)
        .with("max_leases", quota.max)
        .with("counter", counter);
    Ok(Done::answer(body))
}

pub(super) fn write(overlay: &mut Overlay<'_>, name: &str, data: Option<&Value>) -> Result<Done> {
    let bad = |why: String| Error::new(Code::InvalidData, why);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('/') {
        return Err(bad(format!("the name of a quota has from 1 to {NAME_BYTES_MAX} bytes and no slash")));
    }
    let member = |name| data.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null));
    let old = load(overlay, name)?;
    if old.is_none() && all(overlay)?.len() >= LEASE_QUOTAS_MAX {
        return Err(bad(format!("there are {LEASE_QUOTAS_MAX} quotas already")));
    }
    let max = match member("max_leases") {
        Some(max) => max.as_u64().filter(|max| (1..=LEASE_QUOTA_MAX).contains(max)),
        None => old.as_ref().map(|old| old.max),
    };
    let max = max.ok_or_else(|| bad(format!("\"max_leases\" must be a whole number from 1 to {LEASE_QUOTA_MAX}")))?;
    let path = match member("path") {
        Some(path) => path.as_str().filter(|path| path.len() <= PATH_BYTES_MAX).map(|path| path.trim_start_matches('/').to_owned()),
        None => Some(old.map(|old| old.path).unwrap_or_default()),
    };
    let path = path.ok_or_else(|| bad(format!("\"path\" must be text of at most {PATH_BYTES_MAX} bytes")))?;
    let quota = Quota { name: name.to_owned(), path, max };
    let key = key_of(overlay.barrier(), name);
    overlay.put(Kind::LeaseQuota, key, &minicbor::to_vec(&quota).expect("encoding to memory cannot fail"))?;
    Ok(Done::default())
}

pub(super) fn delete(overlay: &mut Overlay<'_>, name: &str) -> Done {
    let key = key_of(overlay.barrier(), name);
    overlay.delete(key);
    Done::default()
}

fn load(overlay: &mut Overlay<'_>, name: &str) -> Result<Option<Quota>, BarrierError> {
    let key = key_of(overlay.barrier(), name);
    let bytes = overlay.get(Kind::LeaseQuota, &key)?;
    bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()
}

fn key_of(root: &Barrier, name: &str) -> Key {
    let digest = sha256(&[name.as_bytes()]);
    let mut member = [0; 16];
    member.copy_from_slice(&digest[..16]);
    root.member_key(Kind::LeaseQuota, &[], &member)
}

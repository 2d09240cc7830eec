//! What the paths below `sys/leases` answer, and the older `sys/renew` and `sys/revoke`.

use super::affect::{Deed, Follow};
use super::lease_quotas;
use super::lease_renewal::Renewal;
use super::leases::{self, Holding, barrier_of};
use super::system::{Ask, Done, Granted};
use crate::barrier::Overlay;
use crate::engines::database;
use crate::lease::chore;
use crate::lease::shared::Shared;
use crate::lease::{Lease, LeaseRef, State, index, terms};
use crate::types::limits::{COUNTED_LEASES_MAX, LIST_NAMES_MAX};
use crate::types::{Code, Error, Object, Operation, Result, Timestamp, Ttl, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Leases that one answer shows.
const SHOWN_MAX: usize = 10_000;

/// One of the paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LeasePath<'p> {
    /// `sys/leases`: those of a kind.
    All,
    Count,
    Lookup,
    /// A folder of ids, for a listing.
    Below(&'p str),
    /// The id may stand in the path.
    Renew(&'p str),
    Revoke(&'p str),
    RevokePrefix(&'p str),
    RevokeForce(&'p str),
    Tidy,
    Quotas,
    Quota(&'p str),
}

impl<'p> LeasePath<'p> {
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        if let Some(rest) = path.strip_prefix("sys/quotas/lease-count") {
            return if rest.is_empty() { Some(LeasePath::Quotas) } else { rest.strip_prefix('/').map(LeasePath::Quota) };
        }
        let below = |name: &str| -> Option<&'p str> {
            let rest = path.strip_prefix(name)?;
            if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
        };
        if let Some(id) = below("sys/renew").or_else(|| below("sys/leases/renew")) {
            return Some(LeasePath::Renew(id));
        }
        if let Some(id) = below("sys/revoke").or_else(|| below("sys/leases/revoke")) {
            return Some(LeasePath::Revoke(id));
        }
        if let Some(prefix) = below("sys/leases/revoke-prefix").or_else(|| below("sys/revoke-prefix")) {
            return Some(LeasePath::RevokePrefix(prefix));
        }
        if let Some(prefix) = below("sys/leases/revoke-force").or_else(|| below("sys/revoke-force")) {
            return Some(LeasePath::RevokeForce(prefix));
        }
        match below("sys/leases")? {
            "" => Some(LeasePath::All),
            "count" => Some(LeasePath::Count),
            "tidy" => Some(LeasePath::Tidy),
            "lookup" => Some(LeasePath::Lookup),
            rest => rest.strip_prefix("lookup/").map(LeasePath::Below),
        }
    }

    pub(super) fn is_of_each_namespace(self) -> bool {
        !matches!(self, LeasePath::Quotas | LeasePath::Quota(_))
    }

    pub(super) fn is_root_protected(self) -> bool {
        matches!(
            self,
            LeasePath::All
                | LeasePath::Count
                | LeasePath::Below(_)
                | LeasePath::RevokePrefix(_)
                | LeasePath::RevokeForce(_)
                | LeasePath::Tidy
        )
    }
}

pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: LeasePath<'_>) -> Result<Done> {
    match (operation, path) {
        (Operation::Read | Operation::List, LeasePath::All) => all(ask, overlay),
        (Operation::Read, LeasePath::Count) => count(ask, overlay),
        (Operation::List, LeasePath::Lookup) => list(ask, overlay, ""),
        (Operation::List, LeasePath::Below(folder)) => list(ask, overlay, folder),
        (Operation::Read | Operation::Write, LeasePath::Lookup) => lookup(ask, overlay),
        (Operation::Write, LeasePath::Renew(id)) => renew(ask, overlay, id),
        (Operation::Write, LeasePath::Revoke(id)) => revoke(ask, overlay, id),
        (Operation::Write, LeasePath::RevokePrefix(prefix)) => revoke_prefix(ask, overlay, prefix, false),
        (Operation::Write, LeasePath::RevokeForce(prefix)) => revoke_prefix(ask, overlay, prefix, true),
        (Operation::Write, LeasePath::Tidy) => Ok(tidy(ask)),
        (Operation::Read | Operation::List, LeasePath::Quotas) => lease_quotas::list(overlay),
        (Operation::Read, LeasePath::Quota(name)) => lease_quotas::read(ask.core, overlay, name),
        (Operation::Write, LeasePath::Quota(name)) => lease_quotas::write(overlay, name, ask.data),
        (Operation::Delete, LeasePath::Quota(name)) => Ok(lease_quotas::delete(overlay, name)),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

/// The lease of the request: its id is in the data, or in the path.
fn asked(ask: &Ask<'_>, overlay: &mut Overlay<'_>, in_path: &str) -> Result<Option<Lease>> {
    let in_data = ask.data.and_then(|data| data.get("lease_id")).and_then(Value::as_str);
    let id = if in_path.is_empty() { in_data } else { Some(in_path) };
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| Error::new(Code::InvalidRequest, "the \"lease_id\" is missing"))?;
    let lease = LeaseRef::of(overlay.barrier(), id);
    // One that is being made is nobody's yet.
    Ok(Lease::load(overlay, &lease.key)?.filter(|lease| lease.state != State::Pending))
}

fn invalid() -> Error {
    Error::new(Code::InvalidRequest, "invalid lease: this namespace has none of that id")
}

/// What is told of a lease that has ended.
fn ended(lease: &Lease) -> Error {
    Error::new(Code::LeaseEnded, "the lease has ended: ask for new credentials").with_data(fate(lease).into())
}

fn fate(lease: &Lease) -> Object {
    let state = match lease.state {
        State::Pending => "pending",
        State::Active => "due",
        State::Ending => "ending",
        State::Stuck => "irrevocable",
    };
    Object::new()
        .with("lease_id", lease.id.as_str())
        .with("state", state)
        .with("expire_time", lease.expires().to_string())
        .with("asked_expire_time", lease.asked_millis.map(|millis| Value::from(Timestamp::from_millis(millis).to_string())))
        .with("attempts", lease.attempts)
        .with("error", lease.error.as_deref().map(Value::from))
}

fn lookup(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let lease = asked(ask, overlay, "")?.ok_or_else(invalid)?;
    if !leases::holds(ask.core, overlay, &lease, ask.now)? {
        return Err(ended(&lease));
    }
    let time = |millis| Value::from(Timestamp::from_millis(millis).to_string());
    let renewed = lease.renewed_millis.map(time);
    let account = lease.shared.map(|of| Shared::load(overlay, &of.id)).transpose()?.flatten();
    let asked = lease.asked_millis.max(account.and_then(|account| account.asked()));
    Ok(Done::answer(
        Object::new()
            .with("id", lease.id.as_str())
            .with("issue_time", Timestamp::from_millis(lease.issued_millis).to_string())
            .with("expire_time", lease.expires().to_string())
            .with("last_renewal", renewed)
            .with("renewable", lease.renewable)
            .with("ttl", ask.now.until(lease.expires()).as_secs())
            .with("asked_expire_time", asked.map(time)),
    ))
}

fn list(ask: &Ask<'_>, overlay: &Overlay<'_>, folder: &str) -> Result<Done> {
    let text = |name| ask.data.and_then(|data| data.get(name)).and_then(Value::as_str).unwrap_or_default();
    let limit = ask.data.and_then(|data| data.get("limit")).and_then(Value::as_u64).filter(|limit| *limit > 0);
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(LIST_NAMES_MAX).min(LIST_NAMES_MAX));
    let folder = as_folder(folder);
    let names = overlay.children_after(&index::LIVE, &folder, text("after"), limit)?;
    if names.is_empty() {
        return Err(Error::new(Code::NotFound, "there are no leases below this prefix"));
    }
    Ok(Done::answer(Object::new().with("keys", names)))
}

fn as_folder(prefix: &str) -> String {
    if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") }
}

/// `WRITE sys/leases/renew`: an increment counts from now. The end that is asked of the target is durable before it is asked.
fn renew(ask: &Ask<'_>, overlay: &mut Overlay<'_>, in_path: &str) -> Result<Done> {
    let (core, now) = (ask.core, ask.now);
    let lease = asked(ask, overlay, in_path)?.ok_or_else(invalid)?;
    if !leases::holds(core, overlay, &lease, now)? {
        return Err(ended(&lease));
    }
    if !lease.renewable {
        return Err(Error::new(Code::InvalidRequest, "the lease is not renewable"));
    }
    let increment = match ask.data.and_then(|data| data.get("increment")) {
        None | Some(Value::Null) => Ttl::ZERO,
        Some(value) => Ttl::from_value(value)?,
    };
    let configured = database::load(overlay, &lease.target)?.filter(|found| !found.connection.is_retired);
    let connection = configured.ok_or_else(|| ended(&lease))?.connection;
    let expires = terms::renewed_end(&lease, now, increment, leases::end_of_holder(core, &lease)?);
    let mut account = lease.shared.map(|of| Shared::load(overlay, &of.id)).transpose()?.flatten();
    if let Some(account) = &mut account {
        account.ask(expires);
        account.put(overlay)?;
    }
    let renewal = Renewal::of(lease, Arc::new(connection), (expires, account), now);
    let namespaces = core.namespaces.load_full();
    index::save(overlay, Some(&renewal.before), Some(&renewal.asked), &barrier_of(&namespaces))?;
    let wanted = if increment == Ttl::ZERO { Ttl::from_secs(renewal.before.ttl_seconds) } else { increment };
    let mut warnings = Vec::new();
    if now.plus(wanted) > expires {
        warnings.push("the TTL was capped: the lease would outlast its maximum, or the token that holds it".to_owned());
    }
    Ok(Done { effect: Some(Deed::Renew(Box::new(renewal))), warnings, ..Done::default() })
}

/// `WRITE sys/leases/revoke`: it has ended with this commit; the target is told by `tick`, or at once (`sync`).
fn revoke(ask: &Ask<'_>, overlay: &mut Overlay<'_>, in_path: &str) -> Result<Done> {
    let Some(lease) = asked(ask, overlay, in_path)? else { return Ok(Done::default()) };
    let namespaces = ask.core.namespaces.load_full();
    let effect = is_set(ask, "sync").then(|| Deed::Tell(LeaseRef::of(overlay.barrier(), &lease.id)));
    // One whose target is told already is left alone; one that was given up is tried anew.
    if lease.state != State::Ending || effect.is_some() {
        index::save(overlay, Some(&lease), Some(&lease.ended(ask.now, false)), &barrier_of(&namespaces))?;
    }
    let lease = Some(Granted { id: lease.id, renewable: false, duration: Ttl::ZERO });
    Ok(Done { named: lease, effect, ..Done::default() })
}

/// `WRITE sys/leases/revoke-prefix/PREFIX`, and `revoke-force`, which asks the target but does not mind what it says.
fn revoke_prefix(ask: &Ask<'_>, overlay: &mut Overlay<'_>, prefix: &str, forced: bool) -> Result<Done> {
    let namespaces = ask.core.namespaces.load_full();
    if !prefix.is_empty() {
        let one = LeaseRef::of(overlay.barrier(), prefix.strip_suffix('/').unwrap_or(prefix));
        if let Some(lease) = Lease::load(overlay, &one.key)?.filter(|lease| lease.state != State::Pending) {
            index::save(overlay, Some(&lease), Some(&lease.ended(ask.now, forced)), &barrier_of(&namespaces))?;
            let tells = forced || is_set(ask, "sync");
            let named = Some(Granted { id: lease.id, renewable: false, duration: Ttl::ZERO });
            return Ok(Done { named, effect: tells.then_some(Deed::Tell(one)), ..Done::default() });
        }
    }
    let folder = as_folder(prefix);
    chore::end_prefix(overlay, &folder, forced)?;
    let tells = forced || is_set(ask, "sync");
    let follow = Some(Follow::Sweep { namespace: Arc::clone(&ask.place.namespace), folder, tells });
    Ok(Done { follow, ..Done::default() })
}

fn is_set(ask: &Ask<'_>, name: &str) -> bool {
    let value = ask.data.and_then(|data| data.get(name));
    value.is_some_and(|value| value.as_bool() == Some(true) || value.as_str() == Some("true"))
}

/// `WRITE sys/leases/tidy`: there is nothing that could dangle, but what is due is done at once.
fn tidy(ask: &Ask<'_>) -> Done {
    let follow = Some(Follow::Sweep { namespace: Arc::clone(&ask.place.namespace), folder: String::new(), tells: false });
    Done { follow, ..Done::default() }
}

/// Which leases a request asks for.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Holding,
    /// Their time, or what they belong to, has ended, and that was not carried out yet: what a restored vault would revoke.
    Due,
    Ending,
    Irrevocable,
    /// Never handed out: being made, or to be undone.
    Pending,
}

fn wanted(ask: &Ask<'_>) -> Result<Wanted> {
    let kind = ask.data.and_then(|data| data.get("type")).filter(|kind| !matches!(kind, Value::Null));
    match kind.map(|kind| kind.as_str().unwrap_or("?")) {
        None => Ok(Wanted::Holding),
        Some("due") => Ok(Wanted::Due),
        Some("ending") => Ok(Wanted::Ending),
        Some("irrevocable") => Ok(Wanted::Irrevocable),
        Some("pending") => Ok(Wanted::Pending),
        Some(_) => {
            let why = "unknown \"type\": use irrevocable, ending, due or pending, or leave it out for those that hold";
            Err(Error::new(Code::InvalidData, why))
        }
    }
}

/// Gives the leases of a kind; whether all were looked at.
fn each(ask: &Ask<'_>, overlay: &mut Overlay<'_>, mut each: impl FnMut(&Lease)) -> Result<bool> {
    let wanted = wanted(ask)?;
    let most = COUNTED_LEASES_MAX;
    let mut keys = Vec::new();
    match wanted {
        Wanted::Irrevocable => keys.extend(index::stuck(overlay, most + 1)?),
        Wanted::Pending => index::each_begun(overlay, |lease, _| {
            keys.push(lease);
            Ok(keys.len() <= most)
        })?,
        Wanted::Holding | Wanted::Due | Wanted::Ending => {
            let owner = if wanted == Wanted::Ending { index::ENDING } else { index::LIVE };
            index::walk(overlay, &owner, "", &mut |id| {
                keys.push(LeaseRef::of(overlay.barrier(), id));
                Ok(keys.len() <= most)
            })?;
        }
    }
    let are_all = keys.len() <= most;
    keys.truncate(most);
    let mut holding = Holding::of(overlay)?;
    for key in keys {
        let Some(lease) = Lease::load(overlay, &key.key)? else { continue };
        let fits = match wanted {
            Wanted::Holding => holding.holds(ask.core, overlay, &lease, ask.now)?,
            Wanted::Due => !holding.holds(ask.core, overlay, &lease, ask.now)?,
            Wanted::Ending => lease.state == State::Ending,
            Wanted::Irrevocable => lease.state == State::Stuck,
            Wanted::Pending => lease.was_never_given(),
        };
        if fits {
            each(&lease);
        }
    }
    Ok(are_all)
}

fn not_all() -> String {
    format!("there are more: only {COUNTED_LEASES_MAX} leases were looked at")
}

/// `READ sys/leases`.
fn all(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let limit = ask.data.and_then(|data| data.get("limit")).and_then(Value::as_u64).filter(|limit| *limit > 0);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(SHOWN_MAX).min(SHOWN_MAX);
    let (mut shown, mut count) = (Vec::new(), 0_u64);
    let are_all = each(ask, overlay, |lease| {
        count += 1;
        if shown.len() < limit {
            shown.push(Value::from(fate_of(lease)));
        }
    })?;
    let more = count > shown.len() as u64;
    let mut done = Done::answer(Object::new().with("lease_count", count).with("leases", shown));
    if more {
        done.warnings.push(format!("only {limit} of them are shown"));
    }
    done.warnings.extend((!are_all).then(not_all));
    Ok(done)
}

fn fate_of(lease: &Lease) -> Object {
    let object = fate(lease);
    if lease.state == State::Active { object.with("state", "active") } else { object }
}

/// `READ sys/leases/count`.
fn count(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let mounts = ask.place.namespace.mounts.load();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut total = 0_u64;
    let are_all = each(ask, overlay, |lease| {
        total += 1;
        // Where the mount is now, which the lease's id need not say.
        let mount = mounts.entries().find(|entry| *entry.uuid().as_bytes() == lease.mount).map_or("(gone)", |entry| entry.path());
        *counts.entry(mount.to_owned()).or_default() += 1;
    })?;
    let counts: Object = counts.iter().map(|(mount, count)| (mount.as_str(), Value::from(*count))).collect();
    let mut done = Done::answer(Object::new().with("lease_count", total).with("counts", counts));
    done.warnings.extend((!are_all).then(not_all));
    Ok(done)
}

//! How long the audit log is kept: its oldest segments are pruned behind a checkpoint, once every sink has them.

use super::audit_log::View;
use super::core::Core;
use super::sinks;
use super::system::Done;
use crate::audit::{Base, Event, Leaf, Log, SegmentEntry, Signer, events_of_chunk};
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::types::{Code, Error, Object, Result, Timestamp, Ttl, Value};
use minicbor::{Decode, Encode};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How long events are kept at least.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct RetentionPolicy {
    /// In seconds; 0 for ever.
    #[n(0)]
    retain_seconds: u64,
}

impl RetentionPolicy {
    pub(super) fn load(overlay: &mut Overlay<'_>) -> Result<Self> {
        let key = overlay.barrier().key(Kind::AuditRetention, &[]);
        let bytes = overlay.get(Kind::AuditRetention, &key)?;
        Ok(bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()?.unwrap_or_default())
    }
}

/// `READ sys/audit-log/retention`.
pub(super) fn read_policy(core: &Core) -> Result<Done> {
    let base = View::of(core)?.log().base()?;
    let body = Object::new().with("retain", core.retention.load().retain_seconds).with("pruned", base.sequence);
    Ok(Done::answer(body))
}

/// `WRITE sys/audit-log/retention`.
pub(super) fn write_policy(core: &Core, overlay: &mut Overlay<'_>, data: Option<&Value>) -> Result<Done> {
    let retain = data.and_then(|data| data.get("retain"));
    let retain = retain.ok_or_else(|| Error::new(Code::InvalidData, "pass \"retain\": a duration such as \"90d\", or 0 for ever"))?;
    let policy = RetentionPolicy { retain_seconds: Ttl::from_value(retain)?.as_secs() };
    let key = overlay.barrier().key(Kind::AuditRetention, &[]);
    overlay.put(Kind::AuditRetention, key, &minicbor::to_vec(&policy).expect("encoding to memory cannot fail"))?;
    let published = Arc::clone(&core.retention);
    Ok(Done::default().publishing(move || published.store(Arc::new(policy))))
}

/// `WRITE sys/audit-log/prune`: removes the segments all of whose events come before the number `before`.
pub(super) fn prune(core: &Core, overlay: &mut Overlay<'_>, data: Option<&Value>) -> Result<Done> {
    let before = data.and_then(|data| data.get("before")).and_then(Value::as_u64);
    let before = before.ok_or_else(|| Error::new(Code::InvalidData, "pass \"before\": the number of the first event that is to stay"))?;
    let view = View::of(core)?;
    let taken = sinks::taken_by_all(core)?;
    if let Some(taken) = taken.filter(|taken| taken.saturating_add(1) < before) {
        let why = format!("an audit sink has only had the events up to {taken}: wait for it, or forget it (sys/audit-log/sinks)");
        return Err(Error::new(Code::InvalidRequest, why));
    }
    let pruned = prune_on(core, overlay, &view.log(), |entry| entry.last_sequence < before)?;
    let base = pruned.as_ref().map_or_else(|| view.log().base(), |base| Ok(base.clone()))?;
    let note = Signer::new(&core.barrier, &view.root().lineage).sign(base.sequence, &base.tree()?.root());
    Ok(Done::answer(
        Object::new().with("pruned", base.sequence).with("segments", pruned.map_or(0, |base| base.segments)).with("checkpoint", note),
    ))
}

/// Prunes the oldest segment if its time is over; whether there may be another one.
pub(super) fn prune_if_due(core: &Core, now: Timestamp) -> Result<bool> {
    let retain = core.retention.load().retain_seconds;
    if retain == 0 {
        return Ok(false);
    }
    let mut overlay = core.writing();
    let view = View::of(core)?;
    let log = view.log();
    let taken = sinks::taken_by_all(core)?.unwrap_or(u64::MAX);
    let mut left = 1;
    let due = |entry: &SegmentEntry| {
        let over = Timestamp::from_millis(entry.last_millis).plus(Ttl::from_secs(retain)) <= now && entry.last_sequence <= taken;
        let fits = left > 0;
        left = 0;
        over && fits
    };
    let Some(base) = prune_on(core, &mut overlay, &log, due)? else { return Ok(false) };
    let event = Event {
        time_millis: now.as_millis(),
        request_id: core.random_id()?.to_string(),
        operation: "prune".into(),
        path: "sys/audit-log/prune".to_owned(),
        version: Some(base.sequence),
        count: 1,
        ..Event::default()
    };
    match core.committer.commit(Proposal { writes: overlay.into_writes(), events: vec![event], ..Proposal::default() }) {
        Ok(_) | Err(CommitError::Conflict) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Prunes the oldest segments for as long as `goes` says, on an overlay; where the log begins then, if that changes.
fn prune_on(core: &Core, overlay: &mut Overlay<'_>, log: &Log<'_>, mut goes: impl FnMut(&SegmentEntry) -> bool) -> Result<Option<Base>> {
    let key = Base::key(&core.barrier);
    // What is read here becomes an expectation of the commit: two who prune at once do not undo each other's work.
    let found = overlay.get(Kind::AuditBase, &key)?;
    let mut base = Base::decode(found.as_ref().map(|bytes| bytes.as_slice()), &core.store)?;
    let mut tree = base.tree()?;
    let before = base.segments;
    while base.segments < log.root.audit_segments && goes(&log.entry(base.segments + 1)?) {
        let index = base.segments + 1;
        let (entry, chunk) = log.segment(index)?;
        let events = events_of_chunk(&chunk).ok_or(BarrierError::Corrupt)?;
        events.iter().for_each(|event| tree.push(Leaf::of(event)));
        base = Base { sequence: entry.last_sequence, head: entry.head, frontier: tree.to_bytes(), segments: index };
        overlay.delete(SegmentEntry::key(&core.barrier, index));
    }
    if base.segments == before {
        return Ok(None);
    }
    if tree.size() != base.sequence {
        return Err(BarrierError::Corrupt.into());
    }
    overlay.put(Kind::AuditBase, key, &base.to_bytes())?;
    Ok(Some(base))
}

/// Removes the files of segments that were pruned, unless somebody is reading the log just now: the next call does it then.
pub(super) fn sweep(core: &Core) -> Result<()> {
    let Some(_alone) = core.segments.try_write() else { return Ok(()) };
    let base = Base::load(&core.barrier, &core.store, core.source())?;
    if core.swept.load(Ordering::Acquire) == base.segments {
        return Ok(());
    }
    // The first time all of them, since a crash may have left some.
    for index in core.swept.load(Ordering::Acquire) + 1..=base.segments {
        core.storage.remove_segment(index)?;
    }
    core.swept.store(base.segments, Ordering::Release);
    Ok(())
}

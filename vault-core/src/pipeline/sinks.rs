//! The feed of the audit sinks: each has a durable cursor, and is given what comes after it, in order, at least once.

use super::audit_log::View;
use super::core::Core;
use super::system::Done;
use crate::audit::Event;
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::crypto::sha256;
use crate::host::{AuditLine, AuditSink, LogLevel, LogTopic};
use crate::storage::Key;
use crate::types::limits::{SINK_BATCH_BYTES_MAX, SINK_BATCH_LINES_MAX, SINK_BATCHES_MAX, SINK_NAME_BYTES_MAX, SINK_RETRY_MILLIS_MAX};
use crate::types::{Code, Error, Object, Result, Timestamp, Value};
use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use std::sync::Arc;

/// Wait after a sink's first failure, in milliseconds; it doubles with each.
const RETRY_MILLIS: u64 = 1_000;

/// How far a sink is.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Cursor {
    #[n(0)]
    name: String,
    /// The number of the last event that it has taken.
    #[n(1)]
    sequence: u64,
}

/// A sink of the host's, and how it does.
pub(super) struct Feed {
    sink: Arc<dyn AuditSink>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Somebody is feeding it.
    busy: bool,
    failures: u32,
    /// Not to be tried before.
    rests_until: Option<Timestamp>,
    error: Option<String>,
}

impl Feed {
    /// The feeds of a host's sinks.
    pub(super) fn of(sinks: &[Arc<dyn AuditSink>]) -> Result<Vec<Feed>> {
        let mut feeds: Vec<Feed> = Vec::new();
        for sink in sinks {
            let name = sink.name();
            if name.is_empty() || name.len() > SINK_NAME_BYTES_MAX || feeds.iter().any(|feed| feed.sink.name() == name) {
                let why = format!("audit sinks need names of their own, from 1 to {SINK_NAME_BYTES_MAX} bytes");
                return Err(Error::new(Code::InvalidRequest, why));
            }
            feeds.push(Feed { sink: Arc::clone(sink), state: Mutex::default() });
        }
        Ok(feeds)
    }

    /// Gives the sink what is there; when it wants to be called again, if before the next event.
    fn run(&self, core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
        for _ in 0..SINK_BATCHES_MAX {
            let sequence = match load(core, self.sink.name())? {
                Some(cursor) => cursor.sequence,
                // Noted before anything is given, so that nothing is pruned that it has not had.
                None => self.advance(core, None, 0)?,
            };
            let lines = lines_after(core, sequence)?;
            let Some(last) = lines.last() else { return Ok(None) };
            if let Err(error) = self.sink.deliver(&lines) {
                let mut state = self.state.lock();
                let wait = RETRY_MILLIS.checked_shl(state.failures).map_or(SINK_RETRY_MILLIS_MAX, |wait| wait.min(SINK_RETRY_MILLIS_MAX));
                state.failures = state.failures.saturating_add(1).min(u64::BITS - 1);
                state.error = Some(error.to_string());
                let until = Timestamp::from_millis(now.as_millis().saturating_add(wait));
                state.rests_until = Some(until);
                drop(state);
                core.log.note(LogLevel::Warning, LogTopic::Sink, None, || {
                    format!("the audit sink {:?} took nothing and is tried again in {} s: {error}", self.sink.name(), wait / 1_000)
                });
                return Ok(Some(until));
            }
            self.advance(core, Some(sequence), last.sequence)?;
            let before = std::mem::replace(&mut *self.state.lock(), State { busy: true, ..State::default() });
            if before.failures > 0 {
                let told = || format!("the audit sink {:?} takes events again", self.sink.name());
                core.log.note(LogLevel::Info, LogTopic::Sink, None, told);
            }
        }
        Ok(Some(now))
    }

    /// Moves the cursor, if it is where it was.
    fn advance(&self, core: &Core, from: Option<u64>, to: u64) -> Result<u64> {
        let mut overlay = core.writing();
        let key = key_of(&overlay, self.sink.name());
        let found = read(&mut overlay, &key)?.map(|cursor| cursor.sequence);
        if found != from {
            return Err(Error::new(Code::Conflict, "an audit sink was removed while it was being fed"));
        }
        let cursor = Cursor { name: self.sink.name().to_owned(), sequence: to };
        overlay.put(Kind::AuditCursor, key, &minicbor::to_vec(&cursor).expect("encoding to memory cannot fail"))?;
        core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }).map_err(Error::from)?;
        Ok(to)
    }
}

/// Marks a feed as free again, whatever its sink does.
struct Busy<'f>(&'f Feed);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state.lock().busy = false;
    }
}

/// Feeds every sink that is neither being fed nor resting; when the next one wants to be called.
pub(super) fn feed(core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
    let mut next = None;
    for feed in core.feeds.iter() {
        let _busy = {
            let mut state = feed.state.lock();
            // Where the clock has stepped back by more than a rest, the rest is over.
            let rests = state.rests_until.filter(|until| now < *until && until.as_millis() - now.as_millis() <= SINK_RETRY_MILLIS_MAX);
            if state.busy || rests.is_some() {
                next = earlier(next, rests);
                continue;
            }
            state.busy = true;
            Busy(feed)
        };
        match feed.run(core, now) {
            Ok(again) => next = earlier(next, again),
            Err(error) if error.code() == Code::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Ok(next)
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    [a, b].into_iter().flatten().min()
}

/// The next events for a sink, bounded in number and bytes.
fn lines_after(core: &Core, sequence: u64) -> Result<Vec<AuditLine>> {
    let view = View::of(core)?;
    let mut lines: Vec<AuditLine> = Vec::new();
    let mut bytes = 0;
    if view.root().audit_sequence <= sequence {
        return Ok(lines);
    }
    let mut unreadable = false;
    view.log().after(sequence, |sequence, event| {
        match Event::from_bytes(event) {
            Some(event) => {
                let json = super::audit_log::json_of(&event, sequence);
                bytes += json.len();
                lines.push(AuditLine::new(sequence, Timestamp::from_millis(event.time_millis), json));
            }
            None => unreadable = true,
        }
        !unreadable && lines.len() < SINK_BATCH_LINES_MAX && bytes < SINK_BATCH_BYTES_MAX
    })?;
    if unreadable { Err(super::audit_log::unreadable()) } else { Ok(lines) }
}

/// `READ sys/audit-log/sinks`: those that the host has given, and those that have a cursor from before.
pub(super) fn list(core: &Core, now: Timestamp) -> Result<Done> {
    let newest = View::of(core)?.root().audit_sequence;
    let mut cursors = cursors(core)?;
    for feed in core.feeds.iter() {
        if !cursors.iter().any(|cursor| cursor.name == feed.sink.name()) {
            cursors.push(Cursor { name: feed.sink.name().to_owned(), sequence: 0 });
        }
    }
    cursors.sort_by(|a, b| a.name.cmp(&b.name));
    let rows = cursors.into_iter().map(|cursor| {
        let row = Object::new()
            .with("name", cursor.name.as_str())
            .with("sequence", cursor.sequence)
            .with("behind", newest.saturating_sub(cursor.sequence));
        let Some(feed) = core.feeds.iter().find(|feed| feed.sink.name() == cursor.name) else { return row.with("attached", false).into() };
        let state = feed.state.lock();
        let rests = state.rests_until.filter(|until| *until > now).map(|until| until.to_string());
        row.with("attached", true)
            .with("failures", u64::from(state.failures))
            .with("error", state.error.as_deref().map_or(Value::Null, Value::from))
            .with("rests_until", rests.map_or(Value::Null, Value::string))
            .into()
    });
    Ok(Done::answer(Object::new().with("sinks", Value::Array(rows.collect()))))
}

/// `DELETE sys/audit-log/sinks/NAME`: forgets how far a sink was that is no longer there, so that pruning does not wait for it.
pub(super) fn forget(core: &Core, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    if core.feeds.iter().any(|feed| feed.sink.name() == name) {
        return Err(Error::new(Code::InvalidRequest, "the host has given this sink: open the vault without it first"));
    }
    let key = key_of(overlay, name);
    if read(overlay, &key)?.is_none() {
        return Err(Error::new(Code::NotFound, "no audit sink has this name"));
    }
    overlay.delete(key);
    Ok(Done::default())
}

/// The number of the last event that every sink has taken; `None` where there is no sink.
pub(super) fn taken_by_all(core: &Core) -> Result<Option<u64>> {
    let cursors = cursors(core)?;
    let unknown = core.feeds.iter().any(|feed| !cursors.iter().any(|cursor| cursor.name == feed.sink.name()));
    Ok(if unknown { Some(0) } else { cursors.iter().map(|cursor| cursor.sequence).min() })
}

fn cursors(core: &Core) -> Result<Vec<Cursor>> {
    let mut cursors = Vec::new();
    core.reading().scan(Kind::AuditCursor, &core.barrier.member_prefix(Kind::AuditCursor, &[]), |_, bytes| {
        cursors.push(minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)?);
        Ok(true)
    })?;
    Ok(cursors)
}

fn load(core: &Core, name: &str) -> Result<Option<Cursor>, CommitError> {
    let mut overlay = core.reading();
    let key = key_of(&overlay, name);
    Ok(read(&mut overlay, &key)?)
}

fn read(overlay: &mut Overlay<'_>, key: &Key) -> Result<Option<Cursor>, BarrierError> {
    let bytes = overlay.get(Kind::AuditCursor, key)?;
    bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()
}

fn key_of(overlay: &Overlay<'_>, name: &str) -> Key {
    let mut member = [0; 16];
    member.copy_from_slice(&sha256(&[name.as_bytes()])[..16]);
    overlay.barrier().member_key(Kind::AuditCursor, &[], &member)
}

//! What the paths below `sys/audit-log` answer: the log verified, its events, checkpoints and proofs.

use super::core::Core;
use super::system::Done;
use crate::audit::{ConsistencyProof, Event, HashedValue, InclusionProof, Leaves, Log, Signer, hash_text};
use crate::barrier::RootRecord;
use crate::storage::Read;
use crate::types::limits::HASHED_VALUES_MAX;
use crate::types::{Code, Error, Object, Result, Value};
use parking_lot::RwLockReadGuard;
use std::io::Write;

/// A longer name of a value is cut in the log, so that an event has a bound.
const POINTER_NAME_CHARS_MAX: usize = 64;
/// Most events that one request answers.
const EVENTS_MAX: u64 = 1_000;

/// The log as it is at one moment. While it is looked at no segment's file goes away.
pub(super) struct View<'c> {
    core: &'c Core,
    root: RootRecord,
    snapshot: Box<dyn Read + 'c>,
    _segments: RwLockReadGuard<'c, ()>,
}

impl<'c> View<'c> {
    pub(super) fn of(core: &'c Core) -> Result<Self> {
        let segments = core.segments.read_recursive();
        let (root, snapshot) = core.committer.snapshot()?;
        Ok(View { core, root, snapshot, _segments: segments })
    }

    /// As above, once all is durable that came before.
    pub(super) fn flushed(core: &'c Core) -> Result<Self> {
        core.committer.flush()?;
        Self::of(core)
    }

    pub(super) fn root(&self) -> &RootRecord {
        &self.root
    }

    pub(super) fn records(&self) -> &dyn Read {
        &*self.snapshot
    }

    pub(super) fn log(&self) -> Log<'_> {
        let Core { barrier, store, storage, .. } = self.core;
        Log { barrier, store, root: &self.root, records: &*self.snapshot, storage: &**storage }
    }
}

/// `READ sys/audit-log/verify`.
pub(super) fn verify(core: &Core) -> Result<Done> {
    let found = View::flushed(core)?.log().verify()?;
    let body = Object::new()
        .with("records", found.records)
        .with("segments", found.segments)
        .with("pruned", found.pruned)
        .with("head", hex::encode(found.head))
        .with("root", hex::encode(found.root));
    Ok(Done::answer(body))
}

/// `READ sys/audit-log/events`.
pub(super) fn events(core: &Core, data: Option<&Value>) -> Result<Done> {
    let (after, limit) = (number(data, "after", 0)?, number(data, "limit", 100)?.min(EVENTS_MAX));
    let mut events = Vec::new();
    each_event(core, after, |sequence, event| {
        if (events.len() as u64) < limit {
            events.push(event.to_value(sequence));
        }
        Ok((events.len() as u64) < limit)
    })?;
    Ok(Done::answer(Object::new().with("events", Value::Array(events))))
}

/// Writes the events after number `after` as JSON lines, those that are durable once this is called; how many they are.
pub(super) fn export(core: &Core, sink: &mut dyn Write, after: u64) -> Result<u64> {
    let failed = |error: std::io::Error| Error::new(Code::Unavailable, format!("the export could not be written: {error}"));
    let mut count = 0;
    each_event(core, after, |sequence, event| {
        count += 1;
        let mut line = json_of(event, sequence);
        line.push('\n');
        sink.write_all(line.as_bytes()).map(|()| true).map_err(failed)
    })?;
    sink.flush().map_err(failed)?;
    Ok(count)
}

/// Gives the events after number `after`, those that are durable once this is called, until `each` answers false.
pub(super) fn each_event(core: &Core, after: u64, mut each: impl FnMut(u64, &Event) -> Result<bool>) -> Result<()> {
    let view = View::flushed(core)?;
    let mut failed = None;
    view.log().after(after, |sequence, bytes| {
        let went_on = Event::from_bytes(bytes).ok_or_else(unreadable).and_then(|event| each(sequence, &event));
        went_on.unwrap_or_else(|error| {
            failed = Some(error);
            false
        })
    })?;
    failed.map_or(Ok(()), Err)
}

/// An event as one line of JSON, without its end.
pub(super) fn json_of(event: &Event, sequence: u64) -> String {
    String::from_utf8_lossy(&event.to_value(sequence).to_json()).into_owned()
}

pub(super) fn unreadable() -> Error {
    Error::new(Code::Corrupt, "the audit log holds a record that no vault wrote")
}

/// `WRITE sys/audit-hash`: how the log shows a value, so that it can be looked for.
pub(super) fn hash(core: &Core, data: Option<&Value>) -> Result<Done> {
    let input = data.and_then(|data| data.get("input")).and_then(Value::as_str);
    let input = input.ok_or_else(|| Error::new(Code::InvalidData, "pass \"input\": the text whose hash is wanted"))?;
    Ok(Done::answer(Object::new().with("hash", hash_text(&hmac(core, input.as_bytes())))))
}

/// What a request wrote, value by value, under the vault's audit key: the first so many of them.
pub(super) fn hashed_values(core: &Core, data: Option<&Value>) -> Vec<HashedValue> {
    let mut values = Vec::new();
    if let Some(data) = data {
        collect(core, data, &mut String::new(), &mut values);
    }
    values
}

fn collect(core: &Core, value: &Value, pointer: &mut String, values: &mut Vec<HashedValue>) {
    let len = pointer.len();
    let mut below = |name: &str, value: &Value, values: &mut Vec<HashedValue>| {
        let name: String = name.chars().take(POINTER_NAME_CHARS_MAX).collect();
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        collect(core, value, pointer, values);
        pointer.truncate(len);
    };
    match value {
        _ if values.len() >= HASHED_VALUES_MAX => {}
        Value::Object(members) => members.iter().for_each(|(name, value)| below(name, value, values)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| below(&at.to_string(), value, values)),
        Value::String(text) => values.push(HashedValue { pointer: pointer.clone(), hmac: hmac(core, text.as_bytes()) }),
        // A number can be as secret as a text; its JSON is what is hashed.
        other => values.push(HashedValue { pointer: pointer.clone(), hmac: hmac(core, &other.to_json()) }),
    }
}

fn hmac(core: &Core, text: &[u8]) -> [u8; 32] {
    core.barrier.keyring().audit().tag(&[b"value", text])
}

/// `READ sys/audit-log/checkpoint`: over all that is durable once this request has come.
pub(super) fn checkpoint(core: &Core) -> Result<Done> {
    let view = View::flushed(core)?;
    let root = view.root();
    let note = Signer::new(&core.barrier, &root.lineage).sign(root.audit_sequence, &root.audit_root);
    Ok(Done::answer(Object::new().with("checkpoint", note).with("size", root.audit_sequence)))
}

/// `READ sys/audit-log/public-key`: what verifies the checkpoints of this lineage.
pub(super) fn public_key(core: &Core) -> Result<Done> {
    let view = View::of(core)?;
    Ok(Done::answer(Object::new().with("key", Signer::new(&core.barrier, &view.root().lineage).verifier_key())))
}

/// `READ sys/audit-log/proof/inclusion`: of the event `sequence` in the log of `size` events.
pub(super) fn inclusion_proof(core: &Core, data: Option<&Value>) -> Result<Done> {
    let sequence = number(data, "sequence", 0)?;
    let (leaves, event) = leaves(core, data, "size", sequence)?;
    let absent =
        || Error::new(Code::InvalidRequest, "\"sequence\" must be the number of an event of that log, from 1, that was not pruned");
    let event = event.ok_or_else(absent)?;
    let hashes = leaves.inclusion(sequence - 1).ok_or_else(absent)?;
    let proof = InclusionProof { sequence, size: leaves.size(), hashes, event };
    let shown = Event::from_bytes(&proof.event).map_or(Value::Null, |event| event.to_value(sequence));
    Ok(Done::answer(proof.to_object().with("event_json", shown)))
}

/// `READ sys/audit-log/proof/consistency`: that the log of `to` events begins with that of `from`.
pub(super) fn consistency_proof(core: &Core, data: Option<&Value>) -> Result<Done> {
    let from = number(data, "from", 0)?;
    let (leaves, _) = leaves(core, data, "to", 0)?;
    if from > leaves.size() {
        return Err(Error::new(Code::InvalidRequest, "\"from\" must not be more than \"to\""));
    }
    let hashes = leaves.consistency(from);
    let hashes = hashes.ok_or_else(|| Error::new(Code::InvalidRequest, "the log was pruned beyond \"from\""))?;
    Ok(Done::answer(ConsistencyProof { from, to: leaves.size(), hashes }.to_object()))
}

/// The leaves of the log of as many events as `size_name` says (all that are durable unless it does), and the bytes of one of the events.
fn leaves(core: &Core, data: Option<&Value>, size_name: &str, wanted: u64) -> Result<(Leaves, Option<Vec<u8>>)> {
    let view = View::flushed(core)?;
    let base = view.log().base()?;
    let newest = view.root().audit_sequence;
    let size = number(data, size_name, newest)?;
    if size > newest || size < base.sequence {
        let why = format!("\"{size_name}\" must be from {} (what was pruned) to {newest} (what there is)", base.sequence);
        return Err(Error::new(Code::InvalidRequest, why));
    }
    let mut leaves = Leaves::after(base.tree()?);
    let mut event = None;
    if size > base.sequence {
        view.log().walk(|sequence, bytes, leaf| {
            leaves.push(leaf);
            if sequence == wanted {
                event = Some(bytes.to_vec());
            }
            sequence < size
        })?;
    }
    Ok((leaves, event))
}

/// A number, or a text that reads as one, as the query of an address gives it.
fn number(data: Option<&Value>, name: &str, default: u64) -> Result<u64> {
    let Some(value) = data.and_then(|data| data.get(name)).filter(|value| **value != Value::Null) else { return Ok(default) };
    let bad = || Error::new(Code::InvalidData, format!("\"{name}\" must be a whole number from 0 on"));
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).ok_or_else(bad)
}

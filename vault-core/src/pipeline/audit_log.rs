//! What the paths below `sys/audit-log` answer: the log verified, its events, checkpoints and proofs.

use super::core::Core;
use super::system::Done;
use crate::audit::{self, ConsistencyProof, Event, InclusionProof, Signer, consistency, inclusion, leaf_of, walk};
use crate::types::{Code, Error, Object, Result, Value};

/// Most events that one request answers.
const EVENTS_MAX: u64 = 1_000;

/// `READ sys/audit-log/verify`.
pub(super) fn verify(core: &Core) -> Result<Done> {
    core.committer.flush()?;
    let (root, snapshot) = core.committer.snapshot()?;
    let found = audit::verify(&core.barrier, &core.store, &root, &*snapshot, &*core.storage)?;
    let body = Object::new()
        .with("records", found.records)
        .with("segments", found.segments)
        .with("head", hex::encode(found.head))
        .with("root", hex::encode(found.root));
    Ok(Done::answer(body))
}

/// `READ sys/audit-log/events`.
pub(super) fn events(core: &Core, data: Option<&Value>) -> Result<Done> {
    let (after, limit) = (number(data, "after", 0)?, number(data, "limit", 100)?.min(EVENTS_MAX));
    core.committer.flush()?;
    let (root, snapshot) = core.committer.snapshot()?;
    let mut events = Vec::new();
    let mut unreadable = false;
    walk(&core.barrier, &core.store, &root, &*snapshot, &*core.storage, |sequence, bytes| {
        if sequence > after && (events.len() as u64) < limit {
            match Event::from_bytes(bytes) {
                Some(event) => events.push(event.to_value(sequence)),
                None => unreadable = true,
            }
        }
        (events.len() as u64) < limit && !unreadable
    })?;
    if unreadable {
        return Err(Error::new(Code::Corrupt, "the audit log holds a record that no vault wrote"));
    }
    Ok(Done::answer(Object::new().with("events", Value::Array(events))))
}

/// `READ sys/audit-log/checkpoint`: over all that is durable once this request has come.
pub(super) fn checkpoint(core: &Core) -> Result<Done> {
    core.committer.flush()?;
    let (root, _snapshot) = core.committer.snapshot()?;
    let note = Signer::new(&core.barrier, &root.lineage).sign(root.audit_sequence, &root.audit_root);
    Ok(Done::answer(Object::new().with("checkpoint", note).with("size", root.audit_sequence)))
}

/// `READ sys/audit-log/public-key`: what verifies the checkpoints of this lineage.
pub(super) fn public_key(core: &Core) -> Result<Done> {
    let (root, _snapshot) = core.committer.snapshot()?;
    Ok(Done::answer(Object::new().with("key", Signer::new(&core.barrier, &root.lineage).verifier_key())))
}

/// `READ sys/audit-log/proof/inclusion`: of the event `sequence` in the log of `size` events.
pub(super) fn inclusion_proof(core: &Core, data: Option<&Value>) -> Result<Done> {
    let sequence = number(data, "sequence", 0)?;
    let (leaves, event) = leaves(core, data, "size", sequence)?;
    let event = event.ok_or_else(|| Error::new(Code::InvalidRequest, "\"sequence\" must be the number of an event of that log, from 1"))?;
    let at = usize::try_from(sequence - 1).map_err(|_| Error::new(Code::InvalidRequest, "the log has no such event"))?;
    let proof = InclusionProof { sequence, size: leaves.len() as u64, hashes: inclusion(at, &leaves), event };
    let shown = Event::from_bytes(&proof.event).map_or(Value::Null, |event| event.to_value(sequence));
    Ok(Done::answer(proof.to_object().with("event_json", shown)))
}

/// `READ sys/audit-log/proof/consistency`: that the log of `to` events begins with that of `from`.
pub(super) fn consistency_proof(core: &Core, data: Option<&Value>) -> Result<Done> {
    let from = number(data, "from", 0)?;
    let (leaves, _) = leaves(core, data, "to", 0)?;
    let known = usize::try_from(from).ok().filter(|from| *from <= leaves.len());
    let known = known.ok_or_else(|| Error::new(Code::InvalidRequest, "\"from\" must not be more than \"to\""))?;
    let proof = ConsistencyProof { from, to: leaves.len() as u64, hashes: consistency(known, &leaves) };
    Ok(Done::answer(proof.to_object()))
}

/// The leaves of a log, and the bytes of the event that was wanted.
type Leaves = (Vec<[u8; 32]>, Option<Vec<u8>>);

/// The leaves of the log of as many events as `size_name` says (all that are durable unless it does), and the bytes of one of the events.
fn leaves(core: &Core, data: Option<&Value>, size_name: &str, wanted: u64) -> Result<Leaves> {
    core.committer.flush()?;
    let (root, snapshot) = core.committer.snapshot()?;
    let size = number(data, size_name, root.audit_sequence)?;
    if size > root.audit_sequence {
        return Err(Error::new(
            Code::InvalidRequest,
            format!("\"{size_name}\" is more than the {} events of the log", root.audit_sequence),
        ));
    }
    let mut leaves = Vec::new();
    let mut event = None;
    walk(&core.barrier, &core.store, &root, &*snapshot, &*core.storage, |sequence, bytes| {
        if sequence <= size {
            leaves.push(leaf_of(bytes));
            if sequence == wanted {
                event = Some(bytes.to_vec());
            }
        }
        sequence < size
    })?;
    Ok((leaves, event))
}

fn number(data: Option<&Value>, name: &str, default: u64) -> Result<u64> {
    match data.and_then(|data| data.get(name)) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value.as_u64().ok_or_else(|| Error::new(Code::InvalidData, format!("\"{name}\" must be a whole number from 0 on"))),
    }
}

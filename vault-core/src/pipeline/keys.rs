//! The data keys: rolled by hand, on schedule or at the message limit; what is under old ones is re-encrypted in the background, and they are retired.

use super::core::Core;
use super::system::Done;
use crate::audit::Event;
use crate::barrier::{BarrierError, Kind, Overlay, RootRecord, fixed, unwrap_keyring, wrap_keyring};
use crate::commit::{CommitError, Proposal};
use crate::crypto::DataKeys;
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::{COMMIT_RETRIES_MAX, KEY_MESSAGES_MAX};
use crate::types::{Code, Error, Object, Result, Timestamp, Ttl, Value};
use minicbor::{Decode, Encode};
use std::sync::Arc;

/// Records that one commit of the re-encryption looks at, and bytes after which it takes no more.
const PAGE: usize = 512;
const PAGE_BYTES_MAX: usize = 512 * 1024;
/// Messages under one key at which it is rolled unless told otherwise: nine tenths of the limit, as users know it.
const MAX_OPERATIONS_DEFAULT: u64 = KEY_MESSAGES_MAX / 10 * 9;
/// The fewest messages at which a roll may be set, so that rolls do not outrun the re-encryption.
const MAX_OPERATIONS_MIN: u64 = 10_000;

/// When the keyring is rolled without being told to.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct RotationPolicy {
    #[n(0)]
    enabled: bool,
    /// Age of the primary key at which it is rolled, in seconds; 0 for none.
    #[n(1)]
    interval_seconds: u64,
    /// Messages under the primary key at which it is rolled.
    #[n(2)]
    max_operations: u64,
}

/// How far the re-encryption is: a record of its own, written with each of its steps.
#[derive(Clone, Debug, Default, Encode, Decode)]
struct Progress {
    /// The data key under which everything will be.
    #[n(0)]
    target: u32,
    /// The last storage key that was looked at; they are as good as uniformly distributed.
    #[cbor(n(1), with = "minicbor::bytes")]
    after: Vec<u8>,
    /// Records that were re-encrypted so far.
    #[n(2)]
    done: u64,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        RotationPolicy { enabled: true, interval_seconds: 0, max_operations: MAX_OPERATIONS_DEFAULT }
    }
}

impl RotationPolicy {
    pub(super) fn load(overlay: &mut Overlay<'_>) -> Result<Self> {
        let key = overlay.barrier().key(Kind::RotationPolicy, &[]);
        let bytes = overlay.get(Kind::RotationPolicy, &key)?;
        Ok(bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()?.unwrap_or_default())
    }

    /// When the primary key is to be rolled for its age, if ever.
    fn due(&self, data_keys: &DataKeys) -> Option<Timestamp> {
        let scheduled = self.enabled && self.interval_seconds > 0;
        scheduled.then(|| Timestamp::from_millis(data_keys.primary().made_millis()).plus(Ttl::from_secs(self.interval_seconds)))
    }
}

/// Whether the primary key has encrypted so much that it must be rolled: whatever the schedule says, before the limit.
pub(super) fn must_roll(core: &Core) -> bool {
    let messages = core.barrier.keyring().data_keys().primary().messages();
    let policy = core.rotation.load();
    messages >= MAX_OPERATIONS_DEFAULT || (policy.enabled && messages >= policy.max_operations)
}

/// Rolls the keyring on an overlay: what is written from the next commit on is under the new key.
pub(super) fn roll(core: &Core, overlay: &mut Overlay<'_>, now: Timestamp) -> Result<Done> {
    let current = check_keyring(core, overlay)?;
    let rolled = current.rolled(core.barrier.rng(), now.as_millis()).map_err(BarrierError::from)?;
    let rolled =
        rolled.ok_or_else(|| Error::new(Code::InvalidRequest, "too many data keys wait for the re-encryption: let `tick` run first"))?;
    put_keyring(core, overlay, rolled)
}

/// Rolls the keyring if that is due; whether it was.
pub(super) fn roll_if_due(core: &Core, now: Timestamp) -> Result<bool> {
    let due = |core: &Core| core.rotation.load().due(&core.barrier.keyring().data_keys()).is_some_and(|due| due <= now);
    if !must_roll(core) && !due(core) {
        return Ok(false);
    }
    let mut overlay = core.writing();
    let done = roll(core, &mut overlay, now)?;
    match commit(core, overlay, done, "sys/rotate", now) {
        // Somebody else has rolled it.
        Err(CommitError::Conflict) => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

/// Does a step of the re-encryption; whether there is more to do.
pub(super) fn reencrypt(core: &Core, now: Timestamp) -> Result<bool> {
    for _ in 0..=COMMIT_RETRIES_MAX {
        if core.barrier.keyring().data_keys().len() == 1 {
            return Ok(false);
        }
        match step(core, now) {
            Err(CommitError::Conflict) => {}
            other => return Ok(other?),
        }
    }
    // Others write just there all the time: the next step tries again.
    Ok(true)
}

fn step(core: &Core, now: Timestamp) -> Result<bool, CommitError> {
    let failed = |error: Error| CommitError::Failed(error);
    let mut overlay = core.writing();
    let target = core.barrier.keyring().data_keys().primary().id();
    let state_key = overlay.barrier().key(Kind::Reencryption, &[]);
    let mut progress = match overlay.get(Kind::Reencryption, &state_key)? {
        Some(bytes) => minicbor::decode::<Progress>(&bytes).map_err(|_| BarrierError::Corrupt)?,
        None => Progress::default(),
    };
    if progress.target != target {
        progress = Progress { target, ..Progress::default() };
    }
    let after = (!progress.after.is_empty()).then(|| Key::new(&[&progress.after]));
    let page = core.source().scan(&[], after.as_ref(), PAGE)?;
    let mut ended = page.len() < PAGE;
    let mut bytes = 0;
    for (key, record) in &page {
        progress.after = key.as_bytes().to_vec();
        let is_ours = !fixed::is_bare(key.as_bytes()) && *key != RootRecord::key() && *key != state_key;
        if is_ours && !core.barrier.is_current(record) {
            bytes += overlay.reseal(*key, record)?;
            progress.done += 1;
            if bytes > PAGE_BYTES_MAX {
                ended = false;
                break;
            }
        }
    }
    if !ended {
        overlay.put(Kind::Reencryption, state_key, &minicbor::to_vec(&progress).expect("encoding to memory cannot fail"))?;
        let proposal = Proposal { writes: overlay.into_writes(), ..Proposal::default() };
        return core.committer.commit(proposal).map(|_| true);
    }
    if bytes > 0 {
        // Re-encrypted first and retired with the next step: a record that changes now is then looked at once more.
        overlay.put(Kind::Reencryption, state_key, &minicbor::to_vec(&progress).expect("encoding to memory cannot fail"))?;
        let proposal = Proposal { writes: overlay.into_writes(), ..Proposal::default() };
        return core.committer.commit(proposal).map(|_| true);
    }
    overlay.delete(state_key);
    let current = check_keyring(core, &mut overlay).map_err(|error| match error.code() {
        Code::Conflict => CommitError::Conflict,
        _ => failed(error),
    })?;
    let done = put_keyring(core, &mut overlay, current.without_retired()).map_err(failed)?;
    commit(core, overlay, done, "sys/rotate/retire", now).map(|()| false)
}

/// `READ sys/key-status`.
pub(super) fn status(core: &Core, overlay: &mut Overlay<'_>) -> Result<Done> {
    let state_key = overlay.barrier().key(Kind::Reencryption, &[]);
    let progress: Progress = match overlay.get(Kind::Reencryption, &state_key)? {
        Some(bytes) => minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)?,
        None => Progress::default(),
    };
    let data_keys = core.barrier.keyring().data_keys();
    let primary = data_keys.primary();
    let active = data_keys.len() > 1;
    let under_way = active && progress.target == primary.id();
    let at = if under_way { progress.after.first().copied().unwrap_or_default() } else { 0 };
    let reencryption = Object::new()
        .with("active", active)
        .with("records_done", if under_way { progress.done } else { 0 })
        .with("percent", if active { u64::from(at) * 100 / 256 } else { 100 })
        .with("data_keys", data_keys.len() as u64);
    Ok(Done::answer(
        Object::new()
            .with("term", u64::from(primary.id()))
            .with("install_time", Timestamp::from_millis(primary.made_millis()).to_string())
            .with("encryptions", primary.messages())
            .with("reencryption", reencryption),
    ))
}

/// `READ sys/rotate/config`.
pub(super) fn read_policy(core: &Core) -> Done {
    let policy = core.rotation.load();
    Done::answer(
        Object::new()
            .with("enabled", policy.enabled)
            .with("interval", policy.interval_seconds)
            .with("max_operations", policy.max_operations),
    )
}

/// `WRITE sys/rotate/config`.
pub(super) fn write_policy(core: &Core, overlay: &mut Overlay<'_>, data: Option<&Value>) -> Result<Done> {
    let mut policy = RotationPolicy::load(overlay)?;
    let given = |name: &str| data.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null));
    if let Some(enabled) = given("enabled") {
        policy.enabled = enabled.as_bool().ok_or_else(|| Error::new(Code::InvalidData, "\"enabled\" must be true or false"))?;
    }
    if let Some(interval) = given("interval") {
        policy.interval_seconds = Ttl::from_value(interval)?.as_secs();
    }
    if let Some(max) = given("max_operations") {
        let sound = max.as_u64().filter(|max| (MAX_OPERATIONS_MIN..=MAX_OPERATIONS_DEFAULT).contains(max));
        let why =
            || Error::new(Code::InvalidData, format!("\"max_operations\" must be from {MAX_OPERATIONS_MIN} to {MAX_OPERATIONS_DEFAULT}"));
        policy.max_operations = sound.ok_or_else(why)?;
    }
    let key = overlay.barrier().key(Kind::RotationPolicy, &[]);
    overlay.put(Kind::RotationPolicy, key, &minicbor::to_vec(&policy).expect("encoding to memory cannot fail"))?;
    let published = Arc::clone(&core.rotation);
    Ok(Done::default().publishing(move || published.store(Arc::new(policy))))
}

/// When the schedule wants to be looked at again.
pub(super) fn next_roll(core: &Core) -> Option<Timestamp> {
    core.rotation.load().due(&core.barrier.keyring().data_keys())
}

/// The data keys in force, once the keyring in the store is found to be theirs: what is read becomes an expectation of the commit.
fn check_keyring(core: &Core, overlay: &mut Overlay<'_>) -> Result<Arc<DataKeys>> {
    let record = overlay.get_bare(&Key::new(&[fixed::KEYRING]))?.ok_or(BarrierError::Corrupt)?;
    let keys = core.keys.load();
    let in_force = Arc::clone(&core.barrier.keyring().data_keys());
    // A roll or a rekey that is durable and not yet published: what is in memory is about to change.
    let stored = unwrap_keyring(&keys.root_key, &core.store, &Id::ROOT, &record).map_err(|_| lost_race())?;
    let same = stored.data_keys().primary().id() == in_force.primary().id() && stored.data_keys().len() == in_force.len();
    if same { Ok(in_force) } else { Err(lost_race()) }
}

/// Writes the keyring with these data keys.
fn put_keyring(core: &Core, overlay: &mut Overlay<'_>, data_keys: DataKeys) -> Result<Done> {
    let keys = core.keys.load();
    let keyring = core.barrier.keyring();
    let wrapped = wrap_keyring(core.barrier.rng(), &keys.root_key, &core.store, &Id::ROOT, keyring, &data_keys)?;
    overlay.put_bare(Key::new(&[fixed::KEYRING]), wrapped);
    let barrier = Arc::clone(&core.barrier);
    Ok(Done::default().publishing(move || barrier.keyring().publish(data_keys)))
}

fn commit(core: &Core, overlay: Overlay<'_>, done: Done, path: &str, now: Timestamp) -> Result<(), CommitError> {
    let request_id = core.random_id().map_err(CommitError::Failed)?.to_string();
    let event = Event {
        time_millis: now.as_millis(),
        request_id,
        operation: "write".to_owned(),
        path: path.to_owned(),
        count: 1,
        ..Event::default()
    };
    let proposal = Proposal { writes: overlay.into_writes(), events: vec![event], publish: done.publish, ..Proposal::default() };
    core.committer.commit(proposal).map(drop)
}

pub(super) fn lost_race() -> Error {
    Error::new(Code::Conflict, "the keys changed while the request was under way: try again")
}

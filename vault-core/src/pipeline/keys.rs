//! The keyrings: each rolled by hand, on schedule or at the message limit; the old data keys stay until nothing is under them (`reencrypt`).

use super::core::Core;
use super::namespace_table::{NamespaceTable, keyring_key, load_keyring};
use super::namespaces::Namespace;
use super::reencrypt::Progress;
use super::system::Done;
use crate::audit::Event;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay, fixed, unwrap_keyring, wrap_keyring};
use crate::commit::{CommitError, Proposal};
use crate::crypto::DataKeys;
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::KEY_MESSAGES_MAX;
use crate::types::{Code, Error, Object, Result, Timestamp, Ttl, Value};
use minicbor::{Decode, Encode};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Messages by which the count of an opening is raised, for those that a crash kept from being counted.
pub(super) const MESSAGES_UNCOUNTED: u64 = 1 << 16;
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
pub(super) fn must_roll(namespace: &Namespace) -> bool {
    let messages = namespace.barrier.keyring().data_keys().primary().messages();
    let policy = namespace.rotation.load();
    messages >= MAX_OPERATIONS_DEFAULT || (policy.enabled && messages >= policy.max_operations)
}

/// Rolls a namespace's keyring on an overlay: what is written there from the next commit on is under the new key.
pub(super) fn roll(core: &Core, namespace: &Namespace, overlay: &mut Overlay<'_>, now: Timestamp) -> Result<Done> {
    let current = check_keyring(core, namespace, overlay)?;
    let mut table = NamespaceTable::load(&core.barrier, overlay)?;
    let rolled = current.rolled(core.barrier.rng(), table.draw()?, now.as_millis()).map_err(BarrierError::from)?;
    let rolled =
        rolled.ok_or_else(|| Error::new(Code::InvalidRequest, "too many data keys wait for the re-encryption: let `tick` run first"))?;
    table.save(&core.barrier, overlay)?;
    put_keyring(core, namespace, overlay, &rolled)?;
    let (barrier, next_key) = (Arc::clone(&namespace.barrier), Arc::clone(&core.next_key));
    Ok(Done::default().publishing(move || {
        barrier.keyring().publish(rolled);
        // After the key: a pass over the store that begins with this number finds it in force.
        next_key.fetch_max(table.next_key, Ordering::AcqRel);
    }))
}

/// Rolls a namespace's keyring if that is due.
pub(super) fn roll_if_due(core: &Core, namespace: &Namespace, now: Timestamp) -> Result<()> {
    let due = namespace.rotation.load().due(&namespace.barrier.keyring().data_keys()).is_some_and(|due| due <= now);
    // A keyring that is full waits for the re-encryption, and keeps nothing else from being done.
    if (!must_roll(namespace) && !due) || namespace.barrier.keyring().data_keys().is_full() {
        return Ok(());
    }
    let mut overlay = core.writing();
    let done = roll(core, namespace, &mut overlay, now)?;
    match commit(core, namespace, overlay, done, "sys/rotate", now) {
        // Somebody else has rolled it.
        Err(CommitError::Conflict) => Ok(()),
        other => Ok(other?),
    }
}

/// Where no tick comes, rolls what must be rolled. A failure is not the request's: the next one tries again, long before the limit.
pub(super) fn roll_early(core: &Core, namespace: &Namespace, now: Timestamp) {
    if must_roll(namespace) && !core.frozen.load(Ordering::Acquire) {
        let _rolled = roll_if_due(core, namespace, now);
    }
}

/// `READ sys/key-status`.
pub(super) fn status(core: &Core, namespace: &Namespace, overlay: &mut Overlay<'_>) -> Result<Done> {
    let progress = Progress::load(&core.barrier, overlay)?;
    let data_keys = namespace.barrier.keyring().data_keys();
    let primary = data_keys.primary();
    let active = data_keys.len() > 1;
    let under_way = progress.filter(|progress| data_keys.has_succeeded(progress.target));
    let percent = under_way.as_ref().map_or(0, |progress| u64::from(progress.after.first().copied().unwrap_or_default()) * 100 / 256);
    let reencryption = Object::new()
        .with("active", active)
        .with("records_done", under_way.as_ref().map_or(0, |progress| progress.done))
        .with("percent", if active { percent } else { 100 })
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
pub(super) fn read_policy(namespace: &Namespace) -> Done {
    let policy = namespace.rotation.load();
    Done::answer(
        Object::new()
            .with("enabled", policy.enabled)
            .with("interval", policy.interval_seconds)
            .with("max_operations", policy.max_operations),
    )
}

/// `WRITE sys/rotate/config`.
pub(super) fn write_policy(namespace: &Namespace, overlay: &mut Overlay<'_>, data: Option<&Value>) -> Result<Done> {
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
    let published = Arc::clone(&namespace.rotation);
    Ok(Done::default().publishing(move || published.store(Arc::new(policy))))
}

/// When the schedules want to be looked at again.
pub(super) fn next_roll(core: &Core) -> Option<Timestamp> {
    let due = |namespace: &Arc<Namespace>| namespace.rotation.load().due(&namespace.barrier.keyring().data_keys());
    core.namespaces.load().iter().filter_map(due).min()
}

/// The data keys of a namespace in force, once the keyring in the store is found to be theirs: what is read becomes an expectation of the
/// commit.
pub(super) fn check_keyring(core: &Core, namespace: &Namespace, overlay: &mut Overlay<'_>) -> Result<Arc<DataKeys>> {
    let in_force = Arc::clone(&namespace.barrier.keyring().data_keys());
    let stored = match &namespace.above {
        Some(above) => overlay.within(&above.barrier, |overlay| load_keyring(overlay, &namespace.id))?,
        None => {
            let record = overlay.get_bare(&Key::new(&[fixed::KEYRING]))?.ok_or(BarrierError::Corrupt)?;
            let keys = core.keys.load();
            // A roll or a rekey that is durable and not yet published: what is in memory is about to change.
            unwrap_keyring(&keys.root_key, &core.store, &Id::ROOT, &record).map_err(|_| lost_race())?
        }
    };
    if stored.data_keys().ids().eq(in_force.ids()) { Ok(in_force) } else { Err(lost_race()) }
}

/// Writes a namespace's keyring with these data keys.
pub(super) fn put_keyring(core: &Core, namespace: &Namespace, overlay: &mut Overlay<'_>, data_keys: &DataKeys) -> Result<()> {
    let Some(above) = &namespace.above else {
        let keys = core.keys.load();
        let keyring = core.barrier.keyring();
        let wrapped = wrap_keyring(core.barrier.rng(), &keys.root_key, &core.store, &Id::ROOT, keyring, data_keys)?;
        overlay.put_bare(Key::new(&[fixed::KEYRING]), wrapped);
        return Ok(());
    };
    Ok(overlay.within(&above.barrier, |overlay| put_keyring_below(overlay, &namespace.barrier, data_keys))?)
}

/// Writes the keyring of a namespace through an overlay of the one above it.
pub(super) fn put_keyring_below(above: &mut Overlay<'_>, barrier: &Barrier, data_keys: &DataKeys) -> Result<(), BarrierError> {
    let key = keyring_key(above.barrier(), barrier.namespace());
    above.put(Kind::NamespaceKeyring, key, &barrier.keyring().to_bytes(data_keys))
}

/// Removes the keyring of a namespace through an overlay of the one above it: what is under it can then be read by nobody.
pub(super) fn delete_keyring_below(above: &mut Overlay<'_>, id: &Id) {
    let key = keyring_key(above.barrier(), id);
    above.delete(key);
}

/// What the store knows of the messages under a namespace's primary key.
pub(super) fn noted_messages(overlay: &mut Overlay<'_>) -> Result<Option<u64>, BarrierError> {
    let barrier = overlay.barrier();
    let Some(bytes) = overlay.get(Kind::KeyMessages, &barrier.key(Kind::KeyMessages, &[]))? else { return Ok(None) };
    match bytes.split_first_chunk::<4>() {
        Some((id, messages)) if u32::from_le_bytes(*id) == barrier.keyring().data_keys().primary().id() => {
            messages.try_into().map(|messages| Some(u64::from_le_bytes(messages))).map_err(|_| BarrierError::Corrupt)
        }
        _ => Ok(None),
    }
}

/// Notes how many messages a namespace's primary key has encrypted.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(super) fn put_messages(overlay: &mut Overlay<'_>, messages: u64) -> Result<(), BarrierError> {
    let barrier = overlay.barrier();
    let id = barrier.keyring().data_keys().primary().id();
    overlay.put(Kind::KeyMessages, barrier.key(Kind::KeyMessages, &[]), &[&id.to_le_bytes()[..], &messages.to_le_bytes()].concat())
}

/// Counts on from what the store knows of the messages under a namespace's primary key.
pub(super) fn restore_count(overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
    let noted = noted_messages(overlay)?.unwrap_or_default();
    let data_keys = overlay.barrier().keyring().data_keys();
    let primary = data_keys.primary();
    primary.note(noted);
    primary.count(noted + MESSAGES_UNCOUNTED);
    Ok(())
}

pub(super) fn commit(
    core: &Core,
    namespace: &Namespace,
    overlay: Overlay<'_>,
    done: Done,
    path: &str,
    now: Timestamp,
) -> Result<(), CommitError> {
    let request_id = core.random_id().map_err(CommitError::Failed)?.to_string();
    let event = Event {
        time_millis: now.as_millis(),
        request_id,
        operation: "write".into(),
        namespace: namespace.audit_name(),
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

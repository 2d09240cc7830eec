//! The pass over the store after a roll or the deletion of a namespace: what is under old data keys is re-encrypted and the keys are retired;
//! what nobody can read any more is removed.

use super::core::Core;
use super::keys;
use super::namespace_table::NamespaceTable;
use super::namespaces::{Namespace, Namespaces};
use super::system::Done;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay, RootRecord, data_key_of, fixed};
use crate::commit::{CommitError, Proposal};
use crate::storage::{Key, Page};
use crate::types::limits::COMMIT_RETRIES_MAX;
use crate::types::{Code, Error, Result, Timestamp};
use minicbor::{Decode, Encode};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Records that one commit looks at, and bytes after which it takes no more. Larger commits end the pass a little sooner, and let others wait longer
/// for theirs: for the commit, and for the engine, which is then given more records each time the WAL has no room.
const PAGE: usize = 48;
const PAGE_BYTES_MAX: usize = 24 * 1024;

/// How far the pass is: a record of its own, written with each of its steps.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub(super) struct Progress {
    /// The last number that was given to a data key or a deletion when the pass began: it is over all that they left.
    #[n(0)]
    pub(super) target: u32,
    /// The last storage key that was looked at; they are as good as uniformly distributed.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) after: Vec<u8>,
    /// Records that were re-encrypted or removed so far.
    #[n(2)]
    pub(super) done: u64,
}

impl Progress {
    /// That of the pass which is under way, if one is.
    pub(super) fn load(root: &Arc<Barrier>, overlay: &mut Overlay<'_>) -> Result<Option<Self>, BarrierError> {
        let bytes = overlay.within(root, |overlay| overlay.get(Kind::Reencryption, &state_key(root)))?;
        bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()
    }

    fn save(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let bytes = minicbor::to_vec(self).expect("encoding to memory cannot fail");
        let key = state_key(overlay.barrier());
        overlay.put(Kind::Reencryption, key, &bytes)
    }
}

/// Does a step of the pass, where one is due; whether there is more to do.
pub(super) fn work(core: &Core, now: Timestamp) -> Result<bool> {
    for _ in 0..=COMMIT_RETRIES_MAX {
        let namespaces = core.namespaces.load_full();
        let rolled = |namespace: &Arc<Namespace>| namespace.barrier.keyring().data_keys().len() > 1;
        if namespaces.deleted.is_empty() && !namespaces.iter().any(rolled) {
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
    let mut overlay = core.writing();
    let mut progress = match Progress::load(&core.barrier, &mut overlay)? {
        Some(progress) => progress,
        // Read before the namespaces and their keys: all that this number stands for is in force there.
        None => Progress { target: core.next_key.load(Ordering::Acquire) - 1, ..Progress::default() },
    };
    let namespaces = core.namespaces.load_full();
    let after = (!progress.after.is_empty()).then(|| Key::new(&[&progress.after]));
    let barriers = namespaces.by_data_key();
    let dead: HashSet<u32> = namespaces.deleted.iter().flat_map(|deleted| &deleted.keys).copied().collect();
    let page: Page = core.source().scan(&[], after.as_ref(), PAGE)?;
    let mut ended = page.len() < PAGE;
    let mut bytes = 0;
    for (key, record) in &page {
        progress.after = key.as_bytes().to_vec();
        if fixed::is_bare(key.as_bytes()) || *key == RootRecord::key() || *key == state_key(&core.barrier) {
            continue;
        }
        let data_key = data_key_of(record).ok_or(BarrierError::Corrupt)?;
        match barriers.get(&data_key) {
            Some(barrier) if barrier.is_current(record) => continue,
            Some(barrier) => bytes += overlay.within(barrier, |overlay| overlay.reseal(*key, record))?,
            None if dead.contains(&data_key) => {
                overlay.sweep(*key, record);
                bytes += record.len();
            }
            // Of a namespace that was made since.
            None if data_key > progress.target => continue,
            None => return Err(BarrierError::Corrupt.into()),
        }
        progress.done += 1;
        if bytes > PAGE_BYTES_MAX {
            ended = false;
            break;
        }
    }
    if ended && bytes == 0 {
        return finish(core, overlay, &progress, &namespaces, now).map(|()| true);
    }
    // Re-encrypted first and retired with a later step: a record that changes now is then looked at once more.
    progress.save(&mut overlay)?;
    core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }).map(|_| true)
}

/// Retires the keys that nothing is under any more, one keyring with each step, then ends the pass.
fn finish(core: &Core, mut overlay: Overlay<'_>, progress: &Progress, namespaces: &Namespaces, now: Timestamp) -> Result<(), CommitError> {
    let failed = |error: Error| if error.code() == Code::Conflict { CommitError::Conflict } else { CommitError::Failed(error) };
    let waits = |namespace: &&Arc<Namespace>| namespace.barrier.keyring().data_keys().has_succeeded(progress.target);
    let is_swept = |mark: u32| mark <= progress.target;
    let mut waiting = namespaces.iter().filter(waits);
    if let Some(namespace) = waiting.next() {
        if waiting.next().is_some() || namespaces.deleted.iter().any(|deleted| is_swept(deleted.mark)) {
            progress.save(&mut overlay)?;
        } else {
            overlay.delete(state_key(&core.barrier));
        }
        let retired = keys::check_keyring(core, namespace, &mut overlay).map_err(failed)?.without_succeeded(progress.target);
        keys::put_keyring(core, namespace, &mut overlay, &retired).map_err(failed)?;
        let barrier = Arc::clone(&namespace.barrier);
        let done = Done::default().publishing(move || barrier.keyring().publish(retired));
        return keys::commit(core, namespace, overlay, done, "sys/rotate/retire", now);
    }
    overlay.delete(state_key(&core.barrier));
    let mut table = NamespaceTable::load(&core.barrier, &mut overlay)?;
    table.deleted.retain(|deleted| !is_swept(deleted.mark));
    table.save(&core.barrier, &mut overlay)?;
    let (published, target) = (Arc::clone(&core.namespaces), progress.target);
    let publish = move || {
        let mut namespaces = (**published.load()).clone();
        namespaces.deleted.retain(|deleted| deleted.mark > target);
        published.store(Arc::new(namespaces));
    };
    core.committer.commit(Proposal { writes: overlay.into_writes(), publish: Some(Box::new(publish)), ..Proposal::default() }).map(drop)
}

fn state_key(root: &Barrier) -> Key {
    root.key(Kind::Reencryption, &[])
}

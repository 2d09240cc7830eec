//! Reads of rotated credentials: counted in memory and written down by the batch, and noted by their readers, so that a rotation becomes due by
//! use. A version that is not the current one any more counts for nothing.

use super::core::Core;
use super::mounts::Routing;
use super::namespaces::Namespace;
use super::rotation_secret;
use super::stage::Authenticated;
use crate::barrier::{BarrierError, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::engines::Call;
use crate::host::{LogLevel, LogTopic};
use crate::managed::index::{self, Found};
use crate::managed::usage::{self, HasRead, Reader};
use crate::managed::{Managed, Use, Used};
use crate::types::id::Id;
use crate::types::limits::{COMMIT_RETRIES_MAX, READERS_LEFT_PER_TICK_MAX, READS_UNWRITTEN_MAX};
use crate::types::{Class, Code, Error, Operation, Result, Timestamp, Ttl};
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How soon `tick` wants to be called again where reads are counted, in seconds: what makes a rotation due by use is seen no later.
const AGAIN_SECONDS: u64 = 60;

/// A version of a credential, with its namespace.
type Version = (Id, [u8; 16], u64);

/// Secrets whose reads are looked at, by their mounts and paths there.
type Secrets = HashMap<(Id, String), Used>;

/// Those of a namespace, found with the first read.
#[derive(Default)]
pub(super) struct UsedSecrets {
    found: ArcSwapOption<Secrets>,
    /// Held while they are looked for, or are to be looked for anew.
    looking: Mutex<()>,
}

/// Reads that are counted and not written down yet.
#[derive(Default)]
pub(super) struct Usage {
    unwritten: Mutex<HashMap<Version, u64>>,
}

impl UsedSecrets {
    /// What is to be done about reads of a secret; nothing of most.
    pub(super) fn at(&self, core: &Core, namespace: &Namespace, mount: &Id, path: &str) -> Result<Option<Used>> {
        let among = |secrets: &Secrets| if secrets.is_empty() { None } else { secrets.get(&(*mount, path.to_owned())).copied() };
        match self.found.load().as_deref() {
            Some(secrets) => Ok(among(secrets)),
            None => Ok(among(&*self.look(core, namespace)?)),
        }
    }

    fn look(&self, core: &Core, namespace: &Namespace) -> Result<Arc<Secrets>> {
        // What changes meanwhile waits for this, and lets them be looked for anew.
        let _looking = self.looking.lock();
        let mut overlay = Overlay::reading(&namespace.barrier, core.source());
        let mut found = HashMap::new();
        if index::mark(&mut overlay)?.is_some() {
            // What is hidden by a place that cannot be read keeps no secret from its readers: `tick` tells of it.
            for id in index::all(&overlay)?.all {
                let managed = readable(&mut overlay, &id)?.filter(|managed| managed.target.is_none());
                let used =
                    managed.and_then(|managed| Some(((Id::from_bytes(managed.owner), managed.name.clone()), managed.used_by_reads()?)));
                found.extend(used);
            }
        }
        let found = Arc::new(found);
        self.found.store(Some(Arc::clone(&found)));
        Ok(found)
    }

    /// Lets them be looked for anew, once a change of them is durable.
    pub(super) fn look_anew(&self) {
        let _looking = self.looking.lock();
        self.found.store(None);
    }

    fn are_any(&self) -> bool {
        self.found.load().as_deref().is_some_and(|secrets| !secrets.is_empty())
    }
}

impl Usage {
    /// Counts a read; how many are to be written down now.
    fn count(&self, version: Version, most: u64) -> Option<u64> {
        let mut unwritten = self.unwritten.lock();
        let count = unwritten.entry(version).or_default();
        *count += 1;
        if *count < most { None } else { unwritten.remove(&version) }
    }

    fn give_back(&self, version: Version, count: u64) {
        *self.unwritten.lock().entry(version).or_default() += count;
    }
}

/// What is to be done about what a request has read, which its engine says, or the rotations of secrets.
pub(super) fn used(stage: &Authenticated<'_>, routing: &Routing<'_>, call: &Call<'_>, by_engine: Option<Used>) -> Result<Option<Used>> {
    let namespace = &stage.place().namespace;
    match (routing.engine.reads_secret(call), &routing.uuid) {
        (Some(path), Some(mount)) => namespace.used_secrets.at(stage.core(), namespace, mount, path),
        _ => Ok(by_engine),
    }
}

/// Whoever unwraps the answer of a read comes to know it as well, and counts as a reader of the version that is the current one then. The read was
/// counted when it was wrapped; of who comes with nothing but the wrapping token nothing is known.
pub(super) fn unwrapped(stage: &Authenticated<'_>, path: &str) -> Result<(Option<Used>, Option<u64>)> {
    let (core, namespace) = (stage.core(), &stage.place().namespace);
    let mounts = namespace.mounts.load();
    let Some(routing) = mounts.route(path).filter(|_| !stage.token().entry.is_wrapping()) else { return Ok((None, None)) };
    let call =
        Call { operation: Operation::Read, path: routing.rest, data: None, now: stage.now(), holder: None, display_name: "", entity: None };
    if routing.engine.may_write(&call) {
        return Ok((None, None));
    }
    // What is gone since is of no matter.
    let Ok(outcome) = routing.engine.execute(&mut Overlay::reading(&namespace.barrier, core.source()), &call) else {
        return Ok((None, None));
    };
    let used = used(stage, &routing, &call, outcome.used)?.filter(|used| used.notes_readers);
    Ok((used.map(|used| Used { reads_max: 0, ..used }), outcome.version))
}

/// Notes a read before it is answered: who reads for the first time is durable, a count at the latest with so many others.
pub(super) fn note(stage: &Authenticated<'_>, used: Used, version: u64) -> Result<()> {
    let (core, namespace) = (stage.core(), &stage.place().namespace);
    if core.frozen.load(Ordering::Acquire) {
        return Ok(());
    }
    if used.notes_readers {
        note_reader(stage, used.id, version)?;
    }
    if used.reads_max > 0 {
        let counted = (namespace.id, used.id, version);
        if let Some(count) = core.usage.count(counted, READS_UNWRITTEN_MAX.min(used.reads_max)) {
            // What is not written down is counted still, and written down later.
            is_done(core, write_down(core, counted, count, stage.now()))?;
        }
    }
    Ok(())
}

/// Notes the token that reads the current version, and whose it is; for a batch token, which is nowhere, the one that made it. Its revocation comes before that, and
/// then nothing is answered, or behind it. An older version takes no newer one's place in the note.
fn note_reader(stage: &Authenticated<'_>, id: [u8; 16], version: u64) -> Result<()> {
    let (core, namespace, token) = (stage.core(), &stage.place().namespace, stage.token());
    let holder = if token.entry.is_batch() { token.entry.parent() } else { Some(token.id) };
    let readers: Vec<Reader> = holder.map(Reader::Token).into_iter().chain(token.entry.entity().map(Reader::Entity)).collect();
    let read = HasRead { namespace: *namespace.id.as_bytes(), id, version };
    for _ in 0..=COMMIT_RETRIES_MAX {
        let namespaces = core.namespaces.load_full();
        let mut overlay = Overlay::writing(&namespace.barrier, core.source());
        if !stage.holds(&mut overlay)? {
            return Err(Error::permission_denied());
        }
        let barrier_of = |id: &Id| namespaces.barrier(id);
        let mut new = Vec::new();
        for reader in &readers {
            if !usage::is_noted(&mut overlay, reader, &read, &barrier_of)? {
                new.push(reader);
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let Some(may_return) = beside_current(core, namespace, &id, version)? else { return Ok(()) };
        for reader in new {
            usage::note_reader(&mut overlay, reader, (read, &may_return), &barrier_of)?;
        }
        let holds = Some(stage.holds_at_commit()?);
        match core.committer.commit(Proposal { writes: overlay.into_writes(), holds, ..Proposal::default() }) {
            Err(CommitError::Conflict) => {}
            committed => return Ok(committed.map(drop)?),
        }
    }
    Err(CommitError::Conflict.into())
}

/// Of a version that is the one that readers are given now: those that may be given them again in its place. `None` of another version.
fn beside_current(core: &Core, namespace: &Namespace, id: &[u8; 16], version: u64) -> Result<Option<Vec<u64>>> {
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    let Some(managed) = readable(&mut overlay, id)? else { return Ok(None) };
    let is_current = version_now(&mut overlay, &managed)? == Some(version);
    Ok(is_current.then(|| managed.state.beside_current().map(|credential| credential.value.0).collect()))
}

/// A credential, unless its record cannot be read: `verify` tells of that, and no other credential is to suffer from it.
fn readable(overlay: &mut Overlay<'_>, id: &[u8; 16]) -> Result<Option<Managed>, BarrierError> {
    match Managed::load(overlay, id) {
        Err(BarrierError::Corrupt) => Ok(None),
        loaded => loaded,
    }
}

/// Whether what is to be done of one credential is done. Where others were first all the time, or its record cannot be read, that stops nothing
/// else, and the next tick tries it again; of what cannot be read the host's log is told.
fn is_done(core: &Core, tried: Result<()>) -> Result<bool> {
    match tried {
        Err(error) if error.code() == Code::Conflict => Ok(false),
        Err(error) if error.class() == Class::Corrupt => {
            core.log.note_failure(LogTopic::Rotation, &error);
            Ok(false)
        }
        tried => tried.map(|()| true),
    }
}

/// Writes down what is counted and looks after those who have left; when it wants to be called next.
pub(super) fn work(core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
    let again = now.plus(Ttl::from_secs(AGAIN_SECONDS));
    let mut next = write_all(core, now)?.then_some(again);
    next = [next, look_after_gone(core, now)?].into_iter().flatten().min();
    for namespace in core.namespaces.load_full().iter() {
        if namespace.used_secrets.are_any() {
            next = next.or(Some(again));
        }
        match look_after_left(core, namespace, now) {
            Ok(wants) => next = [next, wants].into_iter().flatten().min(),
            // The other namespaces go on.
            Err(error) if error.class() == Class::Corrupt => {
                core.log.note_failure(LogTopic::Rotation, &error);
                next = next.or(Some(again));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(next)
}

/// Goes through some of what readers have read who are gone; when it wants to be called next.
fn look_after_gone(core: &Core, now: Timestamp) -> Result<Option<Timestamp>> {
    let mut left = READERS_LEFT_PER_TICK_MAX;
    for _ in 0..READERS_LEFT_PER_TICK_MAX {
        let namespaces = core.namespaces.load_full();
        let mut overlay = core.writing();
        let Found { all: gone, unreadable } = usage::next_gone(&overlay)?;
        tell_unreadable(core, unreadable);
        let Some(gone) = gone.first() else { return Ok(None) };
        let found = usage::end_notes(&mut overlay, gone, left, &|id| namespaces.barrier(id))?;
        tell_unreadable(core, found.unreadable);
        match core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }) {
            // A reader's entity has read something just now, or a namespace is deleted: not at once, or a host that ticks when it is told to would
            // spin for as long as that takes.
            Err(CommitError::Conflict) => return Ok(Some(now.plus(Ttl::from_secs(AGAIN_SECONDS)))),
            committed => _ = committed?,
        }
        left = left.saturating_sub(found.all.len());
        if left == 0 {
            break;
        }
    }
    Ok(Some(now))
}

/// Lets what was read by those who have left be rotated; when it wants to be called next.
fn look_after_left(core: &Core, namespace: &Namespace, now: Timestamp) -> Result<Option<Timestamp>> {
    let again = now.plus(Ttl::from_secs(AGAIN_SECONDS));
    let mut overlay = Overlay::reading(&namespace.barrier, core.source());
    if index::mark(&mut overlay)?.is_none() {
        return Ok(None);
    }
    let Found { all: left, unreadable } = usage::left(&overlay, READERS_LEFT_PER_TICK_MAX)?;
    tell_unreadable(core, unreadable);
    let mut next = (left.len() == READERS_LEFT_PER_TICK_MAX).then_some(now);
    for read in left {
        let struck_off = change(core, namespace, &read.id, |overlay, managed| {
            usage::strike_off_left(overlay, &read);
            let Some(managed) = managed else { return Ok(()) };
            if managed.settings.when_reader_leaves && version_now(overlay, managed)? == Some(read.version) {
                managed.use_up(Use::ReaderLeft, now);
            }
            Ok(())
        });
        if !is_done(core, struck_off)? {
            next = next.or(Some(again));
        }
    }
    Ok(next)
}

/// Tells the host's log of records that lead to credentials and cannot be read: what they lead to is not rotated until they are mended.
pub(super) fn tell_unreadable(core: &Core, unreadable: usize) {
    if unreadable > 0 {
        core.log.note(LogLevel::Error, LogTopic::Rotation, Some(Code::Corrupt), || {
            format!(
                "{unreadable} records that lead to credentials which are to be rotated cannot be read: let the doctor look at the store"
            )
        });
    }
}

/// Writes down all that is counted; whether there was any.
pub(super) fn write_all(core: &Core, now: Timestamp) -> Result<bool> {
    let mut counted = std::mem::take(&mut *core.usage.unwritten.lock()).into_iter();
    let mut any = false;
    while let Some((version, count)) = counted.next() {
        any = true;
        if let Err(error) = is_done(core, write_down(core, version, count, now)) {
            counted.for_each(|(version, count)| core.usage.give_back(version, count));
            return Err(error);
        }
    }
    Ok(any)
}

/// Writes down reads of one version.
fn write_down(core: &Core, counted: Version, count: u64, now: Timestamp) -> Result<()> {
    let (of, id, version) = counted;
    // With its namespace it is gone.
    let Some(namespace) = core.namespaces.load().get(&of) else { return Ok(()) };
    let written = change(core, &namespace, &id, |overlay, managed| {
        let Some(managed) = managed else { return Ok(()) };
        let most = managed.settings.reads_max;
        if most > 0 && version_now(overlay, managed)? == Some(version) && usage::add_reads(overlay, managed, version, count)? >= most {
            managed.use_up(Use::Reads, now);
        }
        Ok(())
    });
    written.inspect_err(|_| core.usage.give_back(counted, count))
}

/// Changes what is known of a credential's use, and where it is found if it becomes due by that.
fn change(
    core: &Core,
    namespace: &Namespace,
    id: &[u8; 16],
    what: impl Fn(&mut Overlay<'_>, Option<&mut Managed>) -> Result<()>,
) -> Result<()> {
    for _ in 0..=COMMIT_RETRIES_MAX {
        let mut overlay = Overlay::writing(&namespace.barrier, core.source());
        let mut managed = Managed::load(&mut overlay, id)?;
        let before = managed.as_ref().map(|managed| (index::places(managed), managed.used_up));
        what(&mut overlay, managed.as_mut())?;
        if let (Some(managed), Some((places, used))) = (&managed, &before)
            && managed.used_up != *used
        {
            index::save(&mut overlay, places, Some(managed))?;
        }
        let writes = overlay.into_writes();
        if writes.changes.is_empty() {
            return Ok(());
        }
        match core.committer.commit(Proposal { writes, ..Proposal::default() }) {
            Err(CommitError::Conflict) => {}
            committed => return Ok(committed.map(drop)?),
        }
    }
    Err(CommitError::Conflict.into())
}

/// The number of the version that readers are given, as reads are told it.
fn version_now(overlay: &mut Overlay<'_>, managed: &Managed) -> Result<Option<u64>> {
    match managed.target {
        Some(_) => Ok(Some(managed.state.current.value.0)),
        None => rotation_secret::version_now(overlay, managed),
    }
}

//! The group committer: state, folder entries, audit records, digest and root record in one durable batch, published after it is durable.
//!
//! Nothing of the vault runs a thread for it: one of the waiting callers leads. Lock order: `queue` is never held while `leader` is taken
//! by the same call; `audit` is a leaf, taken and released in between.

mod anchor;
mod folders;
mod group;
mod hashes;
#[cfg(all(test, loom))]
mod interleavings_tests;

pub(crate) use anchor::{AnchorPlan, Standing, standing};

use crate::audit::{Admission, AuditMode, Chunk, Event, Queue};
use crate::barrier::{Barrier, BarrierError, RootRecord, ValueCache, Watches, Writes};
use crate::host::Clock;
use crate::os::sync::{Apart, AtomicBool, Condvar, Mutex, MutexGuard};
use crate::storage::{Read, Storage, StorageError};
use crate::types::id::Id;
use crate::types::limits::{COMMIT_GROUP_BYTES_MAX, COMMIT_GROUP_PROPOSALS_MAX};
use crate::types::{Code, Error, Timestamp};
use anchor::AnchorKeeper;
use group::Leader;
use hashes::Hashed;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What runs once a proposal is durable, under the leader: it swaps snapshots and raises flags, and calls nothing of the host.
pub(crate) type Publish = Box<dyn FnOnce() + Send>;

/// Whether what a proposal was judged by in memory is still so. The leader asks it: it looks at flags, and calls nothing of the host.
pub(crate) type Holds = Box<dyn Fn() -> bool + Send>;

/// What a caller wants committed.
#[derive(Default)]
pub(crate) struct Proposal {
    /// The request's writes and what it has read.
    pub(crate) writes: Writes,
    /// Its audit events.
    pub(crate) events: Vec<Event>,
    /// What is to happen once it is durable.
    pub(crate) publish: Option<Publish>,
    /// The store goes on as a new one: of this lineage, in the next epoch, and no longer frozen.
    pub(crate) adopts: Option<[u8; 16]>,
    /// It commits only before this instant of the clock; from then on what it was judged by is over.
    pub(crate) before: Option<Timestamp>,
    /// It commits only while this is so: of all that is published before its own group it knows.
    pub(crate) holds: Option<Holds>,
}

/// Shows that a reply's record is durable, or admitted to the queue. Only the committer makes one.
#[derive(Debug)]
pub(crate) struct Receipt {
    commit: Option<u64>,
}

impl Receipt {
    /// The number of the commit by which the record is durable; `None` while it waits in the queue.
    pub(crate) fn commit(&self) -> Option<u64> {
        self.commit
    }
}

/// Why a commit failed. Every member of a group gets its own copy.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CommitError {
    /// Something that the request has read was changed before it could commit.
    #[error("the request lost a race with others: try again")]
    Conflict,
    /// An earlier commit failed, or this one did.
    #[error("the commit failed and may or may not have been written: reopen the vault")]
    Poisoned,
    /// The barrier or the store failed before anything was written.
    #[error(transparent)]
    Failed(Error),
}

impl From<BarrierError> for CommitError {
    fn from(error: BarrierError) -> Self {
        CommitError::Failed(error.into())
    }
}

impl From<StorageError> for CommitError {
    fn from(error: StorageError) -> Self {
        CommitError::Failed(error.into())
    }
}

impl CommitError {
    /// What has failed on the way to a commit. Where something that was read there had changed meanwhile the race is lost before it began: the
    /// request is carried out anew, as behind one that was lost in the commit.
    pub(crate) fn before(error: Error) -> Self {
        if error.code() == Code::Conflict { CommitError::Conflict } else { CommitError::Failed(error) }
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Error::new(Code::Conflict, error.to_string()),
            CommitError::Poisoned => Error::new(Code::Poisoned, error.to_string()),
            CommitError::Failed(error) => error,
        }
    }
}

/// Commits proposals in groups, and the audit events of reads with them.
pub(crate) struct Committer {
    storage: Arc<dyn Storage>,
    barrier: Arc<Barrier>,
    clock: Arc<dyn Clock>,
    store: Id,
    audit_tail_bytes_max: u64,
    leader: Mutex<Leader>,
    waiting: Mutex<Waiting>,
    /// By itself: every read locks it, and what lies beside it is read by all.
    audit: Apart<Mutex<Queue>>,
    poisoned: AtomicBool,
    anchor: AnchorKeeper,
    watches: Arc<Watches>,
    /// Decrypted values that are held, where the vault is told to hold some.
    values: Option<Arc<ValueCache>>,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    led: bool,
}

struct Entry {
    prepared: Prepared,
    ticket: Arc<Ticket>,
}

/// A proposal with what its caller has worked out before the leader has it, which works for one group at a time.
struct Prepared {
    proposal: Proposal,
    /// Of its changes, in their order; `None` where a record is removed.
    hashed: Vec<Option<Hashed>>,
    events: Chunk,
}

/// Where a caller waits by itself for its proposal's outcome, or for its turn to lead: nobody else is woken with it, and it takes no lock
/// that others wait for.
struct Ticket {
    turn: Mutex<Option<Turn>>,
    wake: Condvar,
}

/// What a caller is woken for.
enum Turn {
    /// Its proposal stands first among those that wait, and nobody leads.
    Lead,
    /// What came of its proposal.
    Outcome(Result<u64, CommitError>),
}

impl Ticket {
    fn new() -> Self {
        Ticket { turn: Mutex::default(), wake: Condvar::new() }
    }

    fn give(&self, turn: Turn) {
        *self.turn.lock() = Some(turn);
        self.wake.notify_all();
    }

    fn wait(&self) -> Turn {
        let mut turn = self.turn.lock();
        loop {
            if let Some(turn) = turn.take() {
                return turn;
            }
            self.wake.wait(&mut turn);
        }
    }
}

impl Committer {
    /// A committer that goes on from a root record.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        barrier: Arc<Barrier>,
        clock: Arc<dyn Clock>,
        store: Id,
        root: RootRecord,
        audit_tail_bytes_max: u64,
        anchor: Option<AnchorPlan>,
    ) -> Self {
        Committer {
            anchor: AnchorKeeper::new(anchor, &root),
            storage,
            barrier,
            clock,
            store,
            audit_tail_bytes_max,
            leader: Mutex::new(Leader::new(root)),
            waiting: Mutex::default(),
            audit: Apart::default(),
            poisoned: AtomicBool::new(false),
            watches: Arc::default(),
            values: None,
        }
    }

    /// Lets values be held, which it forgets before it changes them.
    pub(crate) fn holding(self, values: Option<Arc<ValueCache>>) -> Self {
        Committer { values, ..self }
    }

    /// Commits a proposal; it is durable and published when this returns.
    pub(crate) fn commit(&self, proposal: Proposal) -> Result<Receipt, CommitError> {
        let receipt = self.commit_durably(proposal)?;
        if let Some(number) = receipt.commit {
            self.anchor.advance(&self.barrier, number, self.clock.now(), false)?;
        }
        Ok(receipt)
    }

    fn commit_durably(&self, proposal: Proposal) -> Result<Receipt, CommitError> {
        let prepared = self.prepare(proposal);
        let ticket = Arc::new(Ticket::new());
        let mut waiting = self.waiting.lock();
        waiting.entries.push_back(Entry { prepared, ticket: Arc::clone(&ticket) });
        let is_led = std::mem::replace(&mut waiting.led, true);
        drop(waiting);
        if !is_led {
            self.lead();
        }
        loop {
            match ticket.wait() {
                Turn::Lead => self.lead(),
                Turn::Outcome(outcome) => return outcome.map(|number| Receipt { commit: Some(number) }),
            }
        }
    }

    fn prepare(&self, proposal: Proposal) -> Prepared {
        let mac = self.barrier.keyring().digest();
        let hashed = proposal.writes.changes.iter().map(|(key, change)| change.as_ref().map(|record| Hashed::of(mac, key, record)));
        let hashed = hashed.collect();
        let mut events = Chunk::default();
        proposal.events.iter().for_each(|event| events.push(&event.to_bytes()));
        Prepared { proposal, hashed, events }
    }

    /// Admits the event of a read; writes the queue when that is due, and at once where replies wait for it (`strict`).
    pub(crate) fn admit(&self, event: &Event, now: Timestamp, strict: bool) -> Result<Receipt, CommitError> {
        if self.is_poisoned() {
            return Err(CommitError::Poisoned);
        }
        let bytes = event.to_bytes();
        let mut queue = self.open_queue()?;
        if queue.is_full() {
            // So that the queue does not grow without bound while its writer is slow.
            drop(queue);
            self.flush()?;
            queue = self.open_queue()?;
        }
        let admission = queue.admit(&bytes, now);
        drop(queue);
        self.after(if strict { Admission::WriteNow } else { admission })
    }

    /// Admits the event of a refusal, counted together with its repetitions: where replies wait for their records, they wait for the first.
    pub(crate) fn admit_refusal(&self, event: &Event, now: Timestamp, mode: AuditMode) -> Result<Receipt, CommitError> {
        self.make_room()?;
        let admission = self.open_queue()?.admit_counted(event, Event::repeats, now);
        self.after(if mode.is_strict() && admission == Admission::Waits { Admission::WriteNow } else { admission })
    }

    /// Admits the event of a read, counted together with its repetitions where the vault is told to.
    pub(crate) fn admit_read(&self, event: &Event, now: Timestamp, mode: AuditMode) -> Result<Receipt, CommitError> {
        if mode != AuditMode::Counted {
            return self.admit(event, now, mode.is_strict());
        }
        self.make_room()?;
        let admission = self.open_queue()?.admit_counted(event, Event::is_the_same_read, now);
        self.after(admission)
    }

    /// Writes all events that wait.
    pub(crate) fn flush(&self) -> Result<(), CommitError> {
        self.commit(Proposal::default()).map(drop)
    }

    /// Writes all that waits, counts of refusals included, and takes nothing more: for a vault that seals or closes.
    pub(crate) fn end(&self) -> Result<(), CommitError> {
        // In this order no event is admitted that the last write does not take.
        self.audit.lock().end();
        self.leader.lock().end_counting = true;
        let flushed = self.flush().and_then(|()| self.advance_anchor(true));
        self.leader.lock().ended = true;
        flushed
    }

    /// Advances the anchor to the last commit, if that is due or `force` says so.
    pub(crate) fn advance_anchor(&self, force: bool) -> Result<(), CommitError> {
        let number = self.leader.lock().root().commit;
        self.anchor.advance(&self.barrier, number, self.clock.now(), force)
    }

    /// When waiting events want to be written at the latest.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.audit.lock().deadline()
    }

    /// The root record and a snapshot of the store that it describes. After the end there is none: another opening may be writing by now.
    pub(crate) fn snapshot(&self) -> Result<(RootRecord, Box<dyn Read + '_>), CommitError> {
        let leader = self.leader.lock();
        if leader.ended {
            return Err(ended());
        }
        Ok((leader.root().clone(), self.storage.snapshot()?))
    }

    /// Whether the vault was sealed, so that nothing is committed any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.leader.lock().ended
    }

    /// The values that are held.
    pub(crate) fn values(&self) -> Option<&ValueCache> {
        self.values.as_deref()
    }

    /// The records that somebody watches.
    pub(crate) fn watches(&self) -> &Arc<Watches> {
        &self.watches
    }

    /// Whether a commit has failed.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    fn after(&self, admission: Admission) -> Result<Receipt, CommitError> {
        match admission {
            Admission::Waits | Admission::Counts => Ok(Receipt { commit: None }),
            Admission::WriteNow => self.commit(Proposal::default()),
        }
    }

    /// The queue, unless the vault is being sealed.
    fn open_queue(&self) -> Result<MutexGuard<'_, Queue>, CommitError> {
        let queue = self.audit.lock();
        if queue.is_ended() { Err(ended()) } else { Ok(queue) }
    }

    /// Refuses where the log cannot be written, so that neither replies leave without a record nor the queue grows without bound.
    fn make_room(&self) -> Result<(), CommitError> {
        if self.is_poisoned() {
            return Err(CommitError::Poisoned);
        }
        let full = self.audit.lock().is_full();
        if full { self.flush() } else { Ok(()) }
    }

    /// Leads one group, and lets the next one be led: every ticket of the group has an outcome when this returns, whatever happens.
    fn lead(&self) {
        let group = next_group(&mut self.waiting.lock().entries);
        let (proposals, tickets): (Vec<_>, Vec<_>) = group.into_iter().map(|entry| (entry.prepared, entry.ticket)).unzip();
        // A panic on the leader must not leave the others waiting for ever, nor a half-updated leader in use: it poisons.
        let led = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.commit_group(proposals)));
        let mut outcomes = led.unwrap_or_else(|_| {
            self.poisoned.store(true, Ordering::Release);
            Vec::new()
        });
        outcomes.resize_with(tickets.len(), || Err(CommitError::Poisoned));
        // First of all: the device has nothing to do until the next group is on its way.
        let mut waiting = self.waiting.lock();
        match waiting.entries.front() {
            Some(next) => next.ticket.give(Turn::Lead),
            None => waiting.led = false,
        }
        drop(waiting);
        for (ticket, outcome) in tickets.iter().zip(outcomes) {
            ticket.give(Turn::Outcome(outcome));
        }
    }
}

/// The proposals of the next group, in order, bounded in count and bytes.
fn next_group(entries: &mut VecDeque<Entry>) -> Vec<Entry> {
    let mut group = Vec::new();
    let mut bytes = 0_usize;
    while group.len() < COMMIT_GROUP_PROPOSALS_MAX && bytes < COMMIT_GROUP_BYTES_MAX {
        let Some(entry) = entries.pop_front() else { break };
        bytes += entry.prepared.proposal.writes.changes.values().flatten().map(Vec::len).sum::<usize>();
        group.push(entry);
    }
    group
}

/// The vault was sealed while the request was under way.
fn ended() -> CommitError {
    CommitError::Failed(Error::new(Code::Sealed, "the vault is sealed"))
}

/// The store failed while a batch was being committed: its outcome is unknown.
fn is_in_doubt(error: &StorageError) -> bool {
    !matches!(error, StorageError::Conflict | StorageError::Invalid(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_that_is_lost_before_the_commit_is_carried_out_anew_and_nothing_else_is() {
        let lost = Error::new(Code::Conflict, "the token is being changed: try again");
        assert!(matches!(CommitError::before(lost), CommitError::Conflict));
        assert!(
            matches!(CommitError::before(Error::permission_denied()), CommitError::Failed(error) if error.code() == Code::PermissionDenied)
        );
    }
}

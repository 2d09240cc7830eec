//! The outside that leases reach: the host's connectors and its hook, and what is under way there. Nothing here is called under a lock.

use super::log::LogQueue;
use crate::engines::Connection;
use crate::host::{
    Connector, ConnectorError, ConnectorFailure, LeaseChange, LeaseHook, LeaseNotice, LogLevel, LogTopic, RotationChange, RotationHook,
    RotationNotice, Target,
};
use crate::lease::LeaseRef;
use crate::os::Stopwatch;
use crate::storage::Key;
use crate::types::limits::{REVOCATIONS_PER_TARGET_MAX, SHARED_WAIT_SECONDS_MAX, SINK_NAME_BYTES_MAX, TARGET_ERROR_BYTES_MAX};
use crate::types::{Code, Error, Result, Timestamp, Ttl};
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection is left alone whose password could not be changed, in seconds.
const REST_SECONDS: u64 = 10;
/// How long a part of the queue has its turn, in seconds, where more of it is due than one call tells.
const PART_SECONDS: u64 = 1;

/// What the host has given, and what is under way. It outlives an opening: a call that began before the vault was sealed is still under way
/// when it is unsealed again.
pub(super) struct Outside {
    connectors: Vec<Arc<dyn Connector>>,
    hook: Option<Arc<dyn LeaseHook>>,
    rotation_hook: Option<Arc<dyn RotationHook>>,
    log: Arc<LogQueue>,
    busy: Mutex<Busy>,
    /// Rung when a slot is free.
    freed: Condvar,
    due: Mutex<Due>,
    /// Connections whose password is not to be changed before.
    rests: Mutex<HashMap<[u8; 16], Timestamp>>,
    /// The part of the queue of leases that wait for their targets whose turn it is.
    queue: Mutex<Turn>,
    /// Leases of whose end the hook was told already.
    told: Mutex<HashSet<LeaseRef>>,
}

#[derive(Default)]
struct Turn {
    /// Where the part before ended.
    after: Option<Key>,
    /// When the first of those is due that were looked at since the queue was begun.
    next: Option<Timestamp>,
    /// What was found of the part whose turn it is, and was not all told yet.
    part: Option<Part>,
}

/// A part of the queue of leases that wait for their targets, which was looked at.
pub(super) struct Part {
    /// What is due of it, by target.
    pub(super) due: BTreeMap<[u8; 16], VecDeque<LeaseRef>>,
    /// When the next of the others is due.
    pub(super) next: Option<Timestamp>,
    /// Some are to be told again.
    pub(super) in_vain: bool,
    /// Where it ends, unless that is the end of the queue.
    pub(super) left_at: Option<Key>,
    pub(super) looked: Timestamp,
}

#[derive(Default)]
struct Due {
    /// Leases that were granted or renewed in this process.
    grants: u64,
    /// Before this instant no lease ends.
    next: Timestamp,
}

#[derive(Default)]
struct Busy {
    /// Leases whose target is being asked just now.
    leases: BTreeSet<LeaseRef>,
    /// Revocations that are under way at a target.
    revocations: HashMap<[u8; 16], usize>,
    /// Accounts that are being made at a target, by role.
    creations: HashMap<[u8; 16], HashMap<String, usize>>,
    /// The paths, from the root namespace, of requests whose accounts are being made.
    paths: HashMap<LeaseRef, String>,
    /// Connections whose password is being changed.
    rotations: HashSet<[u8; 16]>,
    /// Leases whose end is being put off, or put back.
    renewals: HashSet<LeaseRef>,
    /// Slots of shared accounts in which one is being made, joined or put off: the tickets of those who came, in order. The first has it.
    slots: BTreeMap<Key, VecDeque<u64>>,
    /// The last ticket.
    ticket: u64,
}

impl Busy {
    /// Stands in line for a slot.
    fn take_ticket(&mut self, slot: Key) -> u64 {
        self.ticket += 1;
        self.slots.entry(slot).or_default().push_back(self.ticket);
        self.ticket
    }

    /// Lets go of a slot, or of the place in its line.
    fn give_back(&mut self, slot: &Key, ticket: u64) {
        if let Some(line) = self.slots.get_mut(slot) {
            line.retain(|other| *other != ticket);
            if line.is_empty() {
                self.slots.remove(slot);
            }
        }
    }
}

/// Something is under way outside until this is dropped.
pub(super) struct Claim<'o> {
    outside: &'o Outside,
    what: What,
}

enum What {
    Creation(LeaseRef, [u8; 16], String),
    Revocation(LeaseRef, [u8; 16]),
    /// The target has answered, and what it said is not committed yet.
    Answered(LeaseRef),
    Rotation([u8; 16]),
    Renewal(LeaseRef),
    Slot(Key, u64),
}

impl Outside {
    pub(super) fn new(
        connectors: &[Arc<dyn Connector>],
        hook: Option<Arc<dyn LeaseHook>>,
        rotation_hook: Option<Arc<dyn RotationHook>>,
        log: Arc<LogQueue>,
    ) -> Result<Self> {
        let mut names = HashSet::new();
        for connector in connectors {
            let name = connector.name();
            if name.is_empty() || name.len() > SINK_NAME_BYTES_MAX || !names.insert(name) {
                let why = format!("connectors need names of their own, from 1 to {SINK_NAME_BYTES_MAX} bytes");
                return Err(Error::new(Code::InvalidRequest, why));
            }
        }
        Ok(Outside {
            connectors: connectors.to_vec(),
            hook,
            rotation_hook,
            log,
            busy: Mutex::default(),
            freed: Condvar::new(),
            due: Mutex::default(),
            queue: Mutex::default(),
            rests: Mutex::default(),
            told: Mutex::default(),
        })
    }

    /// The connector of that name.
    pub(super) fn connector(&self, name: &str) -> Result<&Arc<dyn Connector>> {
        self.connectors.iter().find(|connector| connector.name() == name).ok_or_else(|| {
            let names: Vec<&str> = self.connectors.iter().map(|connector| connector.name()).collect();
            let there = if names.is_empty() { "the host has given none".to_owned() } else { format!("there are {}", names.join(", ")) };
            Error::new(Code::UnknownConnector, format!("unknown plugin_name, no connector of the host's has it: {there}"))
        })
    }

    /// Tells the hook, and the log of what needs somebody.
    pub(super) fn tell(&self, notices: Vec<LeaseNotice>) {
        for _stuck in notices.iter().filter(|notice| notice.change == LeaseChange::Irrevocable) {
            self.log.note(LogLevel::Warning, LogTopic::Lease, None, || {
                "a lease has ended, but its target was told so in vain too often: list the irrevocable leases, mend the target, revoke them".to_owned()
            });
        }
        let Some(hook) = &self.hook else { return };
        for notice in notices {
            // A hook that panics must not take the request with it, which is done.
            let _panicked = catch_unwind(AssertUnwindSafe(|| hook.changed(&notice)));
        }
    }

    /// Tells the hook of a rotation, and the log where it needs somebody.
    pub(super) fn tell_rotation(&self, notice: impl FnOnce() -> RotationNotice) {
        if self.rotation_hook.is_none() && !self.log.is_wanted() {
            return;
        }
        let notice = notice();
        if notice.change == RotationChange::NeedsAttention {
            self.log.note(LogLevel::Warning, LogTopic::Rotation, Some(Code::RotationStuck), || {
                "the rotation of a credential has stopped and needs somebody: sys/rotation lists it with what to do".to_owned()
            });
        }
        let Some(hook) = &self.rotation_hook else { return };
        let _panicked = catch_unwind(AssertUnwindSafe(|| hook.changed(&notice)));
    }

    pub(super) fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// Whether the hook is to be told that a lease ends soon: once for each, and no more once nothing of its kind was told for a bucket.
    pub(super) fn is_first_warning(&self, lease: LeaseRef) -> bool {
        self.told.lock().insert(lease)
    }

    /// Forgets of whose end the hook was told, but for these.
    pub(super) fn keep_warnings(&self, current: &HashSet<LeaseRef>) {
        self.told.lock().retain(|lease| current.contains(lease));
    }

    /// Before this instant no lease ends; with a number by which to tell whether some were granted since.
    pub(super) fn next_due(&self) -> (Timestamp, u64) {
        let due = self.due.lock();
        (due.next, due.grants)
    }

    /// A lease was granted that ends at that instant.
    pub(super) fn is_due(&self, at: Timestamp) {
        let mut due = self.due.lock();
        due.grants += 1;
        due.next = due.next.min(at);
    }

    /// Where the part of the queue begins whose turn it is.
    pub(super) fn queue_place(&self) -> Option<Key> {
        self.queue.lock().after
    }

    /// Takes what is left of the part whose turn it is. One that was looked at too long ago is left to the next round through the queue, so that
    /// what stands behind it has its turn however slow a target is.
    pub(super) fn take_part(&self, now: Timestamp) -> Option<Part> {
        let part = self.queue.lock().part.take()?;
        if now >= part.looked && now < part.looked.plus(Ttl::from_secs(PART_SECONDS)) {
            return Some(part);
        }
        self.leave_queue_at(part.left_at, Some(now));
        None
    }

    /// Keeps what is left of the part whose turn it is.
    pub(super) fn keep_part(&self, part: Part) {
        self.queue.lock().part = Some(part);
    }

    /// Notes where a look at the queue ended, or that it came to its end, and when the first is due of what it saw; once all of the queue was looked
    /// at, when the first of all is.
    pub(super) fn leave_queue_at(&self, place: Option<Key>, next: Option<Timestamp>) -> Option<Option<Timestamp>> {
        let mut turn = self.queue.lock();
        turn.next = [turn.next, next].into_iter().flatten().min();
        turn.after = place;
        turn.after.is_none().then(|| turn.next.take())
    }

    /// No lease ends before that instant, unless one was granted since.
    pub(super) fn nothing_due_before(&self, grants: u64, at: Timestamp) {
        let mut due = self.due.lock();
        if due.grants == grants {
            due.next = at;
        }
    }

    /// Notes that an account is being made at a target by a role.
    pub(super) fn begin_creation(&self, lease: LeaseRef, (target, role): ([u8; 16], &str), path: &str) -> Claim<'_> {
        let mut busy = self.busy.lock();
        *busy.creations.entry(target).or_default().entry(role.to_owned()).or_default() += 1;
        busy.leases.insert(lease);
        busy.paths.insert(lease, path.to_owned());
        Claim { outside: self, what: What::Creation(lease, target, role.to_owned()) }
    }

    /// How many accounts are being made at a target, and how many of them by a role.
    pub(super) fn creations(&self, target: &[u8; 16], role: &str) -> (usize, usize) {
        let busy = self.busy.lock();
        let by_role = busy.creations.get(target);
        let all = by_role.map_or(0, |by_role| by_role.values().sum());
        (all, by_role.and_then(|by_role| by_role.get(role)).copied().unwrap_or_default())
    }

    /// How many accounts are being made below a path.
    pub(super) fn in_creation(&self, path: &str) -> u64 {
        self.busy.lock().paths.values().filter(|other| other.starts_with(path)).count() as u64
    }

    /// Lets a lease be revoked, unless it is being made or revoked just now, or its target is busy with others.
    pub(super) fn begin_revocation(&self, lease: LeaseRef, target: [u8; 16]) -> Option<Claim<'_>> {
        let mut busy = self.busy.lock();
        let under_way = busy.revocations.get(&target).copied().unwrap_or_default();
        if under_way >= REVOCATIONS_PER_TARGET_MAX || !busy.leases.insert(lease) {
            return None;
        }
        busy.revocations.insert(target, under_way + 1);
        Some(Claim { outside: self, what: What::Revocation(lease, target) })
    }

    /// Whether a lease's target is being asked just now.
    pub(super) fn is_busy(&self, lease: &LeaseRef) -> bool {
        self.busy.lock().leases.contains(lease)
    }

    /// Lets a connection's password be changed, unless that is under way.
    pub(super) fn begin_rotation(&self, target: [u8; 16]) -> Option<Claim<'_>> {
        // A claim that is dropped takes the lock itself, and lets go of what another one holds: it is made only where it was had.
        let is_had = self.busy.lock().rotations.insert(target);
        is_had.then(|| Claim { outside: self, what: What::Rotation(target) })
    }

    /// Lets a lease's end be put off at its target, unless that is under way. A revocation does not wait for it.
    pub(super) fn begin_renewal(&self, lease: LeaseRef) -> Option<Claim<'_>> {
        let is_had = self.busy.lock().renewals.insert(lease);
        is_had.then(|| Claim { outside: self, what: What::Renewal(lease) })
    }

    /// Lets one at a time make, join or put off a shared account: each of them may ask the target. Waits for those who came before, but not without
    /// bound; whether it had to.
    pub(super) fn begin_slot(&self, slot: Key) -> Result<(Claim<'_>, bool)> {
        self.begin_slot_within(slot, Duration::from_secs(SHARED_WAIT_SECONDS_MAX))
    }

    fn begin_slot_within(&self, slot: Key, longest: Duration) -> Result<(Claim<'_>, bool)> {
        let (waited, mut has_waited) = (Stopwatch::start(), false);
        let mut busy = self.busy.lock();
        let ticket = busy.take_ticket(slot);
        while busy.slots.get(&slot).and_then(VecDeque::front) != Some(&ticket) {
            let left = longest.saturating_sub(waited.elapsed());
            if left.is_zero() {
                busy.give_back(&slot, ticket);
                let why = "the account of this entity is being made or put off, and its target has not answered yet: try again later";
                return Err(Error::new(Code::Conflict, why));
            }
            has_waited = true;
            self.freed.wait_for(&mut busy, left);
        }
        drop(busy);
        Ok((Claim { outside: self, what: What::Slot(slot, ticket) }, has_waited))
    }

    /// The same, unless somebody is at it.
    pub(super) fn try_slot(&self, slot: Key) -> Option<Claim<'_>> {
        let mut busy = self.busy.lock();
        if busy.slots.contains_key(&slot) {
            return None;
        }
        let ticket = busy.take_ticket(slot);
        Some(Claim { outside: self, what: What::Slot(slot, ticket) })
    }

    /// Whether a connection is left alone for now, since it has just failed.
    pub(super) fn rests(&self, target: &[u8; 16], now: Timestamp) -> Option<Timestamp> {
        self.rests.lock().get(target).copied().filter(|until| *until > now && until.as_secs() - now.as_secs() <= REST_SECONDS)
    }

    /// Leaves a connection alone for a while.
    pub(super) fn rest(&self, target: [u8; 16], now: Timestamp) -> Timestamp {
        let until = now.plus(Ttl::from_secs(REST_SECONDS));
        self.rests.lock().insert(target, until);
        until
    }
}

impl Claim<'_> {
    /// The target of a revocation has answered: it may be asked for others, while the lease stays claimed.
    pub(super) fn answered(&mut self) {
        if let What::Revocation(lease, target) = &self.what {
            one_less(&mut self.outside.busy.lock().revocations, target);
            self.what = What::Answered(*lease);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut busy = self.outside.busy.lock();
        match &self.what {
            What::Creation(lease, target, role) => {
                busy.leases.remove(lease);
                busy.paths.remove(lease);
                if let Some(by_role) = busy.creations.get_mut(target) {
                    one_less(by_role, role);
                    if by_role.is_empty() {
                        busy.creations.remove(target);
                    }
                }
            }
            What::Revocation(lease, target) => {
                busy.leases.remove(lease);
                one_less(&mut busy.revocations, target);
            }
            What::Answered(lease) => {
                busy.leases.remove(lease);
            }
            What::Rotation(target) => {
                busy.rotations.remove(target);
            }
            What::Renewal(lease) => {
                busy.renewals.remove(lease);
            }
            What::Slot(slot, ticket) => {
                busy.give_back(slot, *ticket);
                self.outside.freed.notify_all();
            }
        }
    }
}

/// Counts one less; what is at nothing goes.
fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Asks a connector. One that panics may have done what it was asked.
pub(super) fn ask<T>(what: impl FnOnce() -> Result<T, ConnectorError>) -> Result<T, ConnectorError> {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|_| Err(ConnectorError::new(ConnectorFailure::Unknown, "the connector panicked")))
}

/// Asks a connector by a connection's own account. While its password is being changed the target may have either, and it may come to have one that
/// was given up: where one is refused the next is tried.
pub(super) fn ask_by_own_account(
    connection: &Connection,
    what: impl Fn(&Target<'_>) -> Result<(), ConnectorError>,
) -> Result<(), ConnectorError> {
    let mut outcome = ask(|| what(&connection.target()));
    for other in connection.other_passwords() {
        if !is_refused_login(&outcome) {
            break;
        }
        outcome = ask(|| what(&connection.target_with(other)));
    }
    outcome
}

/// Whether the password was refused that somebody logged in with.
pub(super) fn is_refused_login(outcome: &Result<(), ConnectorError>) -> bool {
    outcome.as_ref().is_err_and(|error| error.failure() == ConnectorFailure::Unauthenticated)
}

/// What of a connector's error is kept and shown.
pub(super) fn text_of(error: &ConnectorError) -> String {
    let text = error.to_string();
    let end = (0..=text.len().min(TARGET_ERROR_BYTES_MAX)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What a caller is told when a target failed.
pub(super) fn failed(error: &ConnectorError) -> Error {
    let code = match error.failure() {
        ConnectorFailure::Refused | ConnectorFailure::Unauthenticated | ConnectorFailure::Misconfigured => Code::TargetRefused,
        ConnectorFailure::Unreachable | ConnectorFailure::Unknown => Code::TargetUnavailable,
    };
    Error::new(code, format!("the target system: {}", text_of(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn outside() -> Outside {
        Outside::new(&[], None, None, Arc::new(LogQueue::new(None))).unwrap()
    }

    #[test]
    fn whoever_waits_for_a_slot_gives_up_at_the_limit_however_often_others_are_freed() {
        let outside = outside();
        let (slot, other) = (Key::new(&[b"one"]), Key::new(&[b"other"]));
        let (held, has_waited) = outside.begin_slot(slot).unwrap();
        assert!(!has_waited && outside.try_slot(slot).is_none());
        let waited = Stopwatch::start();
        let limit = Duration::from_millis(100);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| outside.begin_slot_within(slot, limit).map(drop));
            while !waiter.is_finished() {
                assert!(waited.elapsed() < Duration::from_secs(20), "it waits without bound");
                drop(outside.begin_slot(other).unwrap());
            }
            assert_eq!(waiter.join().unwrap().unwrap_err().code(), Code::Conflict);
        });
        assert!(waited.elapsed() >= limit);
        // Who gave up is in nobody's way.
        drop(held);
        assert!(!outside.begin_slot_within(slot, Duration::ZERO).unwrap().1);
        assert!(outside.busy.lock().slots.is_empty());
    }

    #[test]
    fn those_who_wait_for_a_slot_have_it_in_the_order_in_which_they_came() {
        let outside = outside();
        let slot = Key::new(&[b"one"]);
        let mut held = Some(outside.begin_slot(slot).unwrap().0);
        let had = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for nth in 0..8 {
                let (outside, had) = (&outside, &had);
                scope.spawn(move || {
                    let (_claim, has_waited) = outside.begin_slot(slot).unwrap();
                    had.lock().push((nth, has_waited));
                });
                while outside.busy.lock().slots[&slot].len() < nth + 2 {
                    thread::yield_now();
                }
            }
            held.take();
        });
        assert_eq!(had.into_inner(), (0..8).map(|nth| (nth, true)).collect::<Vec<_>>());
    }
}

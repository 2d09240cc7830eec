//! Every interleaving of a few callers of the committer: writers, readers, a tick, and the end.

use super::{AnchorPlan, CommitError, Committer, Proposal};
use crate::audit::{Chain, Event, Leaf, Tree, events_of_chunk};
use crate::barrier::{Barrier, Digest, Kind, RootRecord};
use crate::crypto::Keyring;
use crate::host::{Anchor, AnchorError, Clock, ManualClock};
use crate::os::SystemRng;
use crate::os::interleavings_tests::{explore, spawn};
use crate::storage::faulty::{Fault, FaultyStorage};
use crate::storage::memory::MemoryStorage;
use crate::storage::{Expected, Key, Read, Storage};
use crate::types::id::Id;
use crate::types::limits::{AUDIT_QUEUE_RECORDS_MAX, AUDIT_TAIL_BYTES_MAX};
use crate::types::{Code, Timestamp, Ttl};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A committer over a store in memory, and what its callers were told.
#[derive(Clone)]
struct World {
    storage: Arc<FaultyStorage>,
    barrier: Arc<Barrier>,
    committer: Arc<Committer>,
    /// What the callers wrote or asked, of which they were told that it is recorded.
    told: Arc<parking_lot::Mutex<BTreeSet<String>>>,
}

/// One barrier for all executions: there is nothing in it that loom could see.
fn barrier() -> Arc<Barrier> {
    static BARRIER: OnceLock<Arc<Barrier>> = OnceLock::new();
    let make = || {
        let rng = Arc::new(SystemRng::new());
        let keyring = Keyring::generate(&*rng, 1, 0).expect("randomness");
        Arc::new(Barrier::new(Id::from_bytes([1; 16]), Id::ROOT, keyring, rng))
    };
    Arc::clone(BARRIER.get_or_init(make))
}

impl World {
    fn new() -> Self {
        World::with(None)
    }

    fn with(anchor: Option<Arc<dyn Anchor>>) -> Self {
        let barrier = barrier();
        let store = *barrier.store();
        let storage = Arc::new(FaultyStorage::over(MemoryStorage::new()));
        let root = RootRecord {
            commit: 0,
            digest: Digest::default().to_bytes(),
            audit_sequence: 0,
            audit_head: Chain::start(&store).head,
            audit_segments: 0,
            audit_tail_bytes: 0,
            messages: 0,
            epoch: 0,
            messages_key: 0,
            lineage: [0; 16],
            frozen: false,
            parent: [0; 16],
            audit_frontier: Tree::empty().to_bytes(),
            audit_root: Tree::empty().root(),
        };
        let plan = anchor.map(|anchor| AnchorPlan { anchor, interval: Ttl::from_secs(0) });
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
        let committer =
            Committer::new(Arc::clone(&storage) as Arc<dyn Storage>, Arc::clone(&barrier), clock, store, root, AUDIT_TAIL_BYTES_MAX, plan);
        World { storage, barrier, committer: Arc::new(committer), told: Arc::default() }
    }

    fn key(&self, name: &str) -> Key {
        self.barrier.key(Kind::KvHead, &[name.as_bytes()])
    }

    fn event(name: &str) -> Event {
        Event { request_id: name.to_owned(), operation: "write".into(), count: 1, time_millis: NOW.as_millis(), ..Event::default() }
    }

    fn proposal(&self, name: &str, record: &str) -> Proposal {
        let key = self.key(record);
        let mut proposal = Proposal { events: vec![World::event(name)], ..Proposal::default() };
        proposal.writes.barriers.push(Arc::clone(&self.barrier));
        proposal.writes.expectations.insert(key, Expected::Absent);
        proposal.writes.changes.insert(key, Some(self.barrier.seal(Kind::KvHead, &key, name.as_bytes()).expect("randomness")));
        proposal
    }

    /// Writes a record of its own. It is published once it is durable, before the caller goes on, and once.
    fn write(&self, name: &str) -> Result<u64, CommitError> {
        self.write_to(name, name)
    }

    fn write_to(&self, name: &str, record: &str) -> Result<u64, CommitError> {
        let published = Arc::new(AtomicU64::new(0));
        let (seen, storage, key) = (Arc::clone(&published), Arc::clone(&self.storage), self.key(record));
        let mut proposal = self.proposal(name, record);
        proposal.publish = Some(Box::new(move || {
            assert!(storage.get(&key).expect("the store reads").is_some(), "published before it was durable");
            seen.fetch_add(1, Ordering::Relaxed);
        }));
        let outcome = self.committer.commit(proposal);
        let published = published.load(Ordering::Relaxed);
        match &outcome {
            Ok(receipt) => {
                let number = receipt.commit().expect("a write waits for its commit");
                assert_eq!(published, 1, "acknowledged, and published once");
                assert!(number <= self.storage.commit_number(), "acknowledged before it was durable");
                self.tell(name);
                return Ok(number);
            }
            // The commit stands all the same.
            Err(CommitError::Failed(error)) if error.code() == Code::AnchorFailed => assert_eq!(published, 1),
            Err(_) => assert_eq!(published, 0, "a refusal that was published"),
        }
        outcome.map(|_| 0)
    }

    fn read(&self, name: &str) -> Result<Option<u64>, CommitError> {
        let receipt = self.committer.admit(&World::event(name), NOW, false)?;
        self.tell(name);
        Ok(receipt.commit())
    }

    fn tell(&self, name: &str) {
        assert!(self.told.lock().insert(name.to_owned()));
    }

    /// The log as it is in the store: the names of its events, in order. They make the chain and the tree of the root record.
    fn log(&self) -> Vec<String> {
        let root = self.committer.leader.lock().root().clone();
        let records = self.storage.snapshot().expect("the store reads");
        let mut chain = Chain::start(self.barrier.store());
        let mut tree = Tree::empty();
        let mut names = Vec::new();
        for (key, record) in records.scan(&self.barrier.tail_prefix(), None, usize::MAX).expect("the store reads") {
            let chunk = self.barrier.open(Kind::AuditTail, &key, &record).expect("its own record");
            for event in events_of_chunk(&chunk).expect("whole") {
                chain.push(Leaf::of(event));
                tree.push(Leaf::of(event));
                names.push(Event::from_bytes(event).expect("its own event").request_id);
            }
        }
        assert_eq!((root.audit_sequence, root.audit_head, root.audit_root), (chain.sequence, chain.head, tree.root()));
        assert_eq!(root.commit, self.storage.commit_number());
        names
    }

    /// Whatever a caller was told is in the log once, and nothing else is but for what `also` names.
    fn check_log(&self, also: &[&str]) {
        let log: Vec<String> = self.log().into_iter().filter(|name| !name.is_empty()).collect();
        let once: BTreeSet<String> = log.iter().cloned().collect();
        assert_eq!(once.len(), log.len(), "an event is in the log twice: {log:?}");
        let told: BTreeSet<String> = self.told.lock().iter().cloned().chain(also.iter().map(|name| (*name).to_owned())).collect();
        assert_eq!(once, told, "told of, and in the log");
    }

    fn has(&self, record: &str) -> bool {
        self.storage.restart().get(&self.key(record)).expect("the store reads").is_some()
    }

    /// Does this in a thread of its own.
    fn at_once<R: Send + 'static>(&self, thread: impl FnOnce(&World) -> R + Send + 'static) -> loom::thread::JoinHandle<R> {
        let world = self.clone();
        spawn(move || thread(&world))
    }
}

fn is_ended(error: &CommitError) -> bool {
    matches!(error, CommitError::Failed(error) if error.code() == Code::Sealed)
}

#[test]
fn two_writers_are_each_committed_once() {
    explore("two writers", || {
        let world = World::new();
        loom::explore();
        let other = world.at_once(|world| world.write("a").expect("committed"));
        let own = world.write("b").expect("committed");
        let other = other.join().expect("no panic");
        loom::stop_exploring();
        assert!(world.has("a") && world.has("b"));
        assert_eq!(world.storage.commit_number(), own.max(other));
        let order = if own < other { ["b", "a"] } else { ["a", "b"] };
        assert!(own == other || world.log() == order, "the log has the order of the commits");
        world.check_log(&[]);
    });
}

#[test]
fn three_writers_are_each_committed_once() {
    explore("three writers", || {
        let world = World::new();
        loom::explore();
        let others = ["a", "b"].map(|name| world.at_once(move |world| world.write(name).expect("committed")));
        world.write("c").expect("committed");
        for other in others {
            other.join().expect("no panic");
        }
        loom::stop_exploring();
        assert!(["a", "b", "c"].iter().all(|name| world.has(name)));
        world.check_log(&[]);
    });
}

#[test]
fn of_three_that_want_the_same_record_one_wins() {
    explore("three writers of one record", || {
        let world = World::new();
        loom::explore();
        let others = ["a", "b"].map(|name| world.at_once(move |world| world.write_to(name, "same")));
        let mut outcomes = vec![world.write_to("c", "same")];
        outcomes.extend(others.into_iter().map(|other| other.join().expect("no panic")));
        loom::stop_exploring();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(CommitError::Conflict))));
        world.check_log(&[]);
    });
}

#[test]
fn a_commit_that_fails_poisons_and_wakes_all_who_wait() {
    for (failing, fault) in [(1, Fault::Lost), (2, Fault::Lost), (2, Fault::Applied)] {
        explore(&format!("three writers, and commit {failing} fails ({fault:?})"), move || {
            let world = World::new();
            world.storage.fail_commit(failing, fault);
            loom::explore();
            let others = ["a", "b"].map(|name| world.at_once(move |world| world.write(name)));
            let mut outcomes = vec![("c", world.write("c"))];
            outcomes.extend(["a", "b"].into_iter().zip(others.into_iter().map(|other| other.join().expect("no panic"))));
            loom::stop_exploring();
            for (name, outcome) in &outcomes {
                match outcome {
                    Ok(number) => assert!(*number < failing && world.has(name), "what was acknowledged is there"),
                    Err(error) => assert!(matches!(error, CommitError::Poisoned), "{error}"),
                }
            }
            let all_in_one = outcomes.iter().all(|(_, outcome)| outcome.is_ok());
            assert!(failing > 1 || !all_in_one);
            if !all_in_one {
                assert!(world.committer.is_poisoned());
                assert!(matches!(world.write("later"), Err(CommitError::Poisoned)));
                assert!(matches!(world.read("later"), Err(CommitError::Poisoned)), "reads stop where the log cannot be written");
            }
        });
    }
}

#[test]
fn a_read_that_is_admitted_while_others_commit_is_recorded() {
    explore("two reads and a writer", || {
        let world = World::new();
        loom::explore();
        let others = ["a", "b"].map(|name| world.at_once(move |world| world.read(name).expect("admitted")));
        world.write("c").expect("committed");
        for other in others {
            other.join().expect("no panic");
        }
        loom::stop_exploring();
        world.committer.end().expect("written");
        world.check_log(&[]);
    });
}

#[test]
fn a_full_queue_is_written_before_another_read_is_admitted() {
    for left in [0, 1] {
        explore(&format!("two reads and a writer, room for {left} in the queue"), move || {
            let world = World::new();
            let filling = Event { count: 1, ..Event::default() };
            for _ in left..AUDIT_QUEUE_RECORDS_MAX {
                world.committer.audit.lock().admit(&filling.to_bytes(), NOW);
            }
            loom::explore();
            let others = ["a", "b"].map(|name| world.at_once(move |world| world.read(name).expect("admitted")));
            world.write("c").expect("committed");
            for other in others {
                other.join().expect("no panic");
            }
            loom::stop_exploring();
            assert!(!world.committer.audit.lock().is_full());
            world.committer.end().expect("written");
            world.check_log(&[]);
            assert_eq!(world.log().len(), AUDIT_QUEUE_RECORDS_MAX - left + 3);
        });
    }
}

#[test]
fn the_end_takes_what_was_admitted_and_nothing_comes_after_it() {
    explore("a writer, a read and the end", || {
        let world = World::new();
        loom::explore();
        let writer = world.at_once(|world| world.write("a").map(drop));
        let reader = world.at_once(|world| world.read("b").map(drop));
        world.committer.end().expect("written");
        let last = world.storage.commit_number();
        let refused = world.write("later").expect_err("ended");
        let outcomes = [writer.join().expect("no panic"), reader.join().expect("no panic"), Err(refused)];
        loom::stop_exploring();
        assert_eq!(world.storage.commit_number(), last, "nothing is committed after the end");
        assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(is_ended));
        assert_eq!(world.has("a"), outcomes[0].is_ok(), "committed or refused");
        assert!(world.read("later").is_err_and(|error| is_ended(&error)));
        world.check_log(&[]);
    });
}

/// An anchor that notices two who advance it at once.
#[derive(Default)]
struct Watched {
    busy: AtomicBool,
    stored: AtomicU64,
    /// Fails the first time.
    fails: AtomicBool,
    /// Whom it writes to from within, once.
    calls: parking_lot::Mutex<Option<Weak<Committer>>>,
}

impl Anchor for Watched {
    fn load(&self) -> Result<Option<Vec<u8>>, AnchorError> {
        Ok(None)
    }

    fn store(&self, state: &[u8]) -> Result<(), AnchorError> {
        assert!(!self.busy.swap(true, Ordering::SeqCst), "advanced by two at once");
        loom::thread::yield_now();
        let calls = self.calls.lock().take();
        if let Some(committer) = calls.and_then(|committer| committer.upgrade()) {
            let proposal = Proposal { events: vec![World::event("from within")], ..Proposal::default() };
            committer.commit(proposal).expect("a callback may write");
        }
        assert!(self.busy.swap(false, Ordering::SeqCst));
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err(AnchorError::new("away"));
        }
        let mut decoder = minicbor::Decoder::new(state);
        decoder.array().expect("an anchor");
        (0..4).for_each(|_| decoder.skip().expect("a field"));
        let number = decoder.u64().expect("the commit");
        assert!(self.stored.fetch_max(number, Ordering::SeqCst) <= number, "it went back");
        Ok(())
    }
}

#[test]
fn the_anchor_is_advanced_by_one_at_a_time_and_is_never_behind_what_was_acknowledged() {
    explore("two writers, a tick and an anchor", || {
        let anchor = Arc::new(Watched::default());
        let world = World::with(Some(Arc::clone(&anchor) as Arc<dyn Anchor>));
        loom::explore();
        let (watched, other_watched) = (Arc::clone(&anchor), Arc::clone(&anchor));
        let writer = world.at_once(move |world| {
            let number = world.write("a").expect("committed");
            assert!(watched.stored.load(Ordering::SeqCst) >= number, "acknowledged before it was anchored");
        });
        let tick = world.at_once(|world| world.committer.advance_anchor(true).expect("advanced"));
        let number = world.write("b").expect("committed");
        assert!(other_watched.stored.load(Ordering::SeqCst) >= number, "acknowledged before it was anchored");
        writer.join().expect("no panic");
        tick.join().expect("no panic");
        loom::stop_exploring();
        world.check_log(&[]);
    });
}

#[test]
fn an_anchor_that_calls_back_is_not_waited_for_by_itself() {
    explore("two writers and an anchor that writes", || {
        let anchor = Arc::new(Watched::default());
        let world = World::with(Some(Arc::clone(&anchor) as Arc<dyn Anchor>));
        *anchor.calls.lock() = Some(Arc::downgrade(&world.committer));
        loom::explore();
        let writer = world.at_once(|world| world.write("a").expect("committed"));
        world.write("b").expect("committed");
        writer.join().expect("no panic");
        loom::stop_exploring();
        world.check_log(&["from within"]);
    });
}

#[test]
fn an_anchor_that_fails_leaves_nobody_waiting() {
    explore("two writers and an anchor that fails once", || {
        let anchor = Arc::new(Watched { fails: AtomicBool::new(true), ..Watched::default() });
        let world = World::with(Some(Arc::clone(&anchor) as Arc<dyn Anchor>));
        loom::explore();
        let writer = world.at_once(|world| world.write("a"));
        let outcomes = [world.write("b"), writer.join().expect("no panic")];
        loom::stop_exploring();
        let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert!(failed <= 1 && !anchor.fails.load(Ordering::SeqCst));
        assert!(world.has("a") && world.has("b"), "both are durable");
        assert!(!world.committer.is_poisoned());
    });
}

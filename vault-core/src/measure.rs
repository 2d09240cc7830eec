//! What the benches cannot time by itself from outside: the audit log of reads, and the records of a lease.

use crate::audit::{Admission, Chain, Decided, Event, Queue, Tree};
use crate::barrier::{Barrier, Overlay, RootRecord};
use crate::commit::Committer;
use crate::crypto::Keyring;
use crate::host::ManualClock;
use crate::lease::{Account, Lease, State, index, new_id};
use crate::os::SystemRng;
use crate::storage::memory::MemoryStorage;
use crate::types::id::Id;
use crate::types::limits::AUDIT_TAIL_BYTES_USUAL;
use crate::types::{Error, Result, Timestamp};
use std::sync::Arc;

/// A time at which everything happens.
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// The audit log of a vault in memory, without the vault.
pub struct AuditLog {
    queue: Queue,
    committer: Committer,
}

impl AuditLog {
    /// An empty log.
    ///
    /// # Errors
    /// `NoEntropy` when the system gives no randomness.
    pub fn in_memory() -> Result<Self> {
        let (store, storage) = (Id::from_bytes([1; 16]), Arc::new(MemoryStorage::new()));
        let root = RootRecord {
            commit: 0,
            digest: [0; 32],
            audit_sequence: 0,
            audit_head: Chain::start(&store).head,
            audit_segments: 0,
            audit_tail_bytes: 0,
            messages: 0,
            epoch: 0,
            messages_key: 1,
            lineage: [0; 16],
            frozen: false,
            parent: [0; 16],
            audit_frontier: Tree::empty().to_bytes(),
            audit_root: Tree::empty().root(),
        };
        let (barrier, clock) = (barrier(store)?, Arc::new(ManualClock::new(NOW)));
        let committer = Committer::new(storage, barrier, clock, store, root, AUDIT_TAIL_BYTES_USUAL, None);
        Ok(AuditLog { queue: Queue::default(), committer })
    }

    /// What a read's record costs the read: it is made, encoded and put into the queue, which is emptied when it is full.
    pub fn admit(&mut self) {
        if self.queue.admit(&read_event().to_bytes(), NOW) == Admission::WriteNow {
            drop(self.queue.take(NOW, false));
        }
    }

    /// The whole of a record: as above, and with each 4,096 of them chained, put into the tree, encrypted and stored.
    ///
    /// # Errors
    /// None in memory.
    pub fn record(&self) -> Result<()> {
        self.committer.admit(&read_event(), NOW, false).map(drop).map_err(Error::from)
    }
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditLog")
    }
}

/// The records that a grant of a lease writes, without the commit that makes them durable.
pub struct LeaseRecords {
    barrier: Arc<Barrier>,
    storage: Arc<MemoryStorage>,
}

impl LeaseRecords {
    /// None yet.
    ///
    /// # Errors
    /// `NoEntropy` when the system gives no randomness.
    pub fn in_memory() -> Result<Self> {
        Ok(LeaseRecords { barrier: barrier(Id::from_bytes([1; 16]))?, storage: Arc::new(MemoryStorage::new()) })
    }

    /// Makes all records of one grant: the lease, encrypted, and where it is found by its holder, its target and its end.
    ///
    /// # Errors
    /// `NoEntropy` when the system gives no randomness.
    pub fn grant(&self) -> Result<usize> {
        let mut overlay = Overlay::writing(&self.barrier, &*self.storage);
        let lease = Lease {
            id: new_id(&self.barrier, "database/creds/app")?,
            mount: [2; 16],
            target: [3; 16],
            holder_namespace: [0; 16],
            holder: [4; 16],
            state: State::Active,
            issued_millis: NOW.as_millis(),
            renewed_millis: None,
            ttl_seconds: 3_600,
            max_seconds: 86_400,
            renewable: true,
            expires_millis: NOW.as_millis() + 3_600_000,
            asked_millis: None,
            entity: None,
            shared: None,
            era: 0,
            hold: 0,
            ended_millis: None,
            account: Account { username: "v-app-0123456789abcdef".to_owned(), role: "app".to_owned(), ..Account::default() },
            attempts: 0,
            next_millis: 0,
            error: None,
            forced: false,
            undone: false,
            refused: false,
        };
        index::save(&mut overlay, None, Some(&lease), &|_| Some(Arc::clone(&self.barrier)))?;
        Ok(overlay.into_writes().changes.len())
    }
}

impl std::fmt::Debug for LeaseRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LeaseRecords")
    }
}

fn barrier(store: Id) -> Result<Arc<Barrier>> {
    let rng = Arc::new(SystemRng::new());
    let keyring = Keyring::generate(&*rng, 1, 0).map_err(|error| Error::new(crate::types::Code::NoEntropy, error.to_string()))?;
    Ok(Arc::new(Barrier::new(store, Id::ROOT, keyring, rng)))
}

/// A read's event, as the pipeline makes it.
fn read_event() -> Event {
    Event {
        time_millis: NOW.as_millis(),
        request_id: "0b7c6a52-6f0e-4d3a-9a52-7c1d3f0e8b11".to_owned(),
        operation: "read".into(),
        path: "secret/data/app-12/service-3/key-4711".to_owned(),
        accessor: Some("h1x5a8V2rVbZsV0Qd8CrT3kQ".to_owned()),
        display_name: Some("token".to_owned()),
        decided: Some(Decided {
            capability: "read".into(),
            allowed: true,
            rule: Some("secret/data/app-*".to_owned()),
            policy: Some("app".to_owned()),
            line: Some(2),
            step: "the rule gives the capability".into(),
        }),
        version: Some(1),
        count: 1,
        ..Event::default()
    }
}

//! The anchor: the newest commit noted outside the store, after it is durable and before its reply leaves; and the check of a store against it.

use super::CommitError;
use crate::barrier::{Barrier, RootRecord};
use crate::host::Anchor;
use crate::os::sync::{Condvar, Mutex, MutexGuard, this_thread};
use crate::types::id::Id;
use crate::types::{Code, Error, Timestamp, Ttl};
use minicbor::{Decode, Encode};
use std::sync::Arc;

/// An anchor and how often it is advanced.
#[derive(Clone)]
pub(crate) struct AnchorPlan {
    pub(crate) anchor: Arc<dyn Anchor>,
    /// Zero: with every commit.
    pub(crate) interval: Ttl,
}

/// What an anchor holds: a state of one store, and its MAC.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Anchored {
    #[n(0)]
    version: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    store: [u8; 16],
    #[cbor(n(3), with = "minicbor::bytes")]
    lineage: [u8; 16],
    #[n(4)]
    commit: u64,
    #[cbor(n(5), with = "minicbor::bytes")]
    mac: [u8; 32],
}

/// How a store stands to its anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// At it or past it, or nothing was ever anchored.
    Sound,
    /// It is older, or a fork of what was anchored.
    RolledBack {
        /// The commit that was anchored.
        anchored: u64,
    },
}

/// Advances the anchor, one call at a time and under no lock.
pub(super) struct AnchorKeeper {
    plan: Option<AnchorPlan>,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    latest: RootRecord,
    stored: u64,
    stored_at: Option<Timestamp>,
    busy: Option<usize>,
}

impl AnchorKeeper {
    pub(super) fn new(plan: Option<AnchorPlan>, root: &RootRecord) -> Self {
        let state = State { latest: root.clone(), stored: 0, stored_at: None, busy: None };
        AnchorKeeper { plan, state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Notes what the leader has committed.
    pub(super) fn note(&self, root: &RootRecord) {
        if self.plan.is_some() {
            self.state.lock().latest = root.clone();
        }
    }

    /// Advances the anchor to a commit or past it, unless its time has not come. `force` leaves the time aside.
    pub(super) fn advance(&self, barrier: &Barrier, number: u64, now: Timestamp, force: bool) -> Result<(), CommitError> {
        let Some(plan) = &self.plan else { return Ok(()) };
        let mut state = self.state.lock();
        loop {
            let rests = |at: Timestamp| now >= at && now.as_millis() < at.plus(plan.interval).as_millis();
            let me = this_thread();
            // A callback of the anchor's own that commits is covered by the call that it came from.
            // A frozen store is a copy of an older one: its anchor begins when it is adopted.
            if state.latest.frozen || state.stored >= number || state.busy == Some(me) || (!force && state.stored_at.is_some_and(rests)) {
                return Ok(());
            }
            if state.busy.is_some() {
                self.wake.wait(&mut state);
                continue;
            }
            state.busy = Some(me);
            let point = state.latest.clone();
            let bytes = Anchored::of(barrier, &point).to_bytes();
            let stored = MutexGuard::unlocked(&mut state, || plan.anchor.store(&bytes));
            state.busy = None;
            self.wake.notify_all();
            stored.map_err(|error| {
                let why = format!("what was written is durable, but the anchor could not be advanced: {error}");
                CommitError::Failed(Error::new(Code::AnchorFailed, why))
            })?;
            state.stored = state.stored.max(point.commit);
            state.stored_at = Some(now);
        }
    }
}

impl Anchored {
    fn of(barrier: &Barrier, root: &RootRecord) -> Self {
        let mut anchored =
            Anchored { version: 0, store: *barrier.store().as_bytes(), lineage: root.lineage, commit: root.commit, mac: [0; 32] };
        anchored.mac = barrier.keyring().head().tag(&anchored.parts().each_ref().map(|part| &part[..]));
        anchored
    }

    fn parts(&self) -> [Vec<u8>; 4] {
        [b"anchor".to_vec(), self.store.to_vec(), self.lineage.to_vec(), self.commit.to_le_bytes().to_vec()]
    }

    fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("encoding to memory cannot fail")
    }
}

/// Compares a store with what its anchor holds.
pub(crate) fn standing(barrier: &Barrier, store: &Id, root: &RootRecord, anchor: Option<&[u8]>) -> Result<Standing, Error> {
    let Some(bytes) = anchor else { return Ok(Standing::Sound) };
    let corrupt = || Error::new(Code::Corrupt, "the anchor holds what no vault wrote: it was altered or cut");
    let anchored: Anchored = minicbor::decode(bytes).map_err(|_| corrupt())?;
    if anchored.version != 0 || anchored.to_bytes() != bytes {
        return Err(corrupt());
    }
    if anchored.store != *store.as_bytes() {
        return Err(Error::new(Code::InvalidRequest, "the anchor belongs to another vault: give each vault an anchor of its own"));
    }
    if !barrier.keyring().head().verify(&anchored.parts().each_ref().map(|part| &part[..]), &anchored.mac) {
        return Err(corrupt());
    }
    // One that was just adopted stands on the lineage that was anchored: a crash may come between its commit and its anchor.
    let follows = root.lineage == anchored.lineage && root.commit >= anchored.commit;
    let adopted = root.lineage != anchored.lineage && root.parent == anchored.lineage;
    Ok(if !follows && !adopted { Standing::RolledBack { anchored: anchored.commit } } else { Standing::Sound })
}

//! What stands outside of the vault's process: sinks that stall, fail, take a part and come back, and an anchor that fails at times.

use super::wal::WalStorage;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use vault_core::host::{Anchor, AnchorError, AuditLine, AuditSink, Clock, ManualClock, SinkError};
use vault_core::storage::Storage;
use vault_core::types::Ttl;

/// How a sink does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Takes nothing and says so.
    Down,
    /// Takes the first half and fails.
    Half,
    /// Takes everything and says that it failed.
    Denies,
    /// Takes its time, and everything.
    Stalls,
}

pub const MOODS: [Mood; 5] = [Mood::Well, Mood::Down, Mood::Half, Mood::Denies, Mood::Stalls];

/// What a sink does while it stalls: somebody uses the vault meanwhile.
pub type Meanwhile = Box<dyn Fn() + Send>;

/// A sink, and all that it was ever given.
pub struct Sink {
    name: String,
    clock: Arc<ManualClock>,
    mood: Mutex<Mood>,
    taken: Mutex<BTreeMap<u64, String>>,
    /// Set while a request is carried out: no sink is called then.
    pub busy: Arc<AtomicBool>,
    pub meanwhile: Mutex<Option<Meanwhile>>,
    /// How often it was called in which mood.
    pub calls: Mutex<BTreeMap<&'static str, u64>>,
}

impl Sink {
    pub fn new(name: &str, clock: Arc<ManualClock>, busy: Arc<AtomicBool>) -> Self {
        Sink {
            name: name.to_owned(),
            clock,
            mood: Mutex::new(Mood::Well),
            taken: Mutex::default(),
            busy,
            meanwhile: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    pub fn fork(&self, clock: Arc<ManualClock>, busy: Arc<AtomicBool>) -> Self {
        let other = Sink::new(&self.name, clock, busy);
        *other.mood.lock() = *self.mood.lock();
        *other.taken.lock() = self.taken.lock().clone();
        other
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// All that it was given, by number.
    pub fn taken(&self) -> BTreeMap<u64, String> {
        self.taken.lock().clone()
    }

    fn take(&self, lines: &[AuditLine]) {
        let mut taken = self.taken.lock();
        let mut newest = taken.keys().next_back().copied().unwrap_or(0);
        for line in lines {
            assert!(line.sequence <= newest + 1, "the sink {} has a gap after event {newest}: it was given {}", self.name, line.sequence);
            newest = newest.max(line.sequence);
            let known = taken.entry(line.sequence).or_insert_with(|| line.json.clone());
            assert_eq!(*known, line.json, "the sink {} was given another event {} than before", self.name, line.sequence);
        }
    }
}

impl AuditSink for Sink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&self, lines: &[AuditLine]) -> Result<(), SinkError> {
        assert!(!self.busy.load(Ordering::Relaxed), "a sink was called by a request");
        assert!(lines.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence), "a sink was given events out of order");
        let mood = *self.mood.lock();
        let (name, refuses) = match mood {
            Mood::Well => ("sink: took what it was given", false),
            Mood::Down => ("sink: was down", true),
            Mood::Half => ("sink: took a half", true),
            Mood::Denies => ("sink: took everything and denied it", true),
            Mood::Stalls => ("sink: stalled", false),
        };
        *self.calls.lock().entry(name).or_default() += 1;
        match mood {
            Mood::Down => {}
            Mood::Half => self.take(&lines[..lines.len() / 2]),
            Mood::Well | Mood::Denies => self.take(lines),
            Mood::Stalls => {
                if let Some(meanwhile) = self.meanwhile.lock().as_ref() {
                    meanwhile();
                }
                self.clock.advance(Ttl::from_secs(30));
                self.take(lines);
            }
        }
        if refuses { Err(SinkError::new("the collector is down")) } else { Ok(()) }
    }
}

/// How the anchor fails next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorFault {
    /// It stores nothing.
    Lost,
    /// It stores, and says that it did not.
    Stored,
    /// It cannot be read.
    Unreadable,
}

/// A state that was anchored: the bytes, and the commit that they are of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchored {
    pub bytes: Option<Vec<u8>>,
    pub commit: u64,
}

#[derive(Default)]
pub struct SimAnchor {
    state: Mutex<Anchored>,
    fault: Mutex<Option<AnchorFault>>,
    /// The store that it is the anchor of, which tells what is anchored.
    pub storage: Mutex<Weak<WalStorage>>,
    /// How often it has failed in this step.
    pub failures: AtomicU64,
}

impl SimAnchor {
    pub fn fork(&self) -> Self {
        SimAnchor { state: Mutex::new(self.state.lock().clone()), fault: Mutex::new(*self.fault.lock()), ..SimAnchor::default() }
    }

    pub fn state(&self) -> Anchored {
        self.state.lock().clone()
    }

    pub fn put_back(&self, state: Anchored) {
        *self.state.lock() = state;
    }

    pub fn fail(&self, fault: Option<AnchorFault>) {
        *self.fault.lock() = fault;
    }

    pub fn has_failed(&self) -> bool {
        self.failures.load(Ordering::Relaxed) > 0
    }

    fn commit(&self) -> u64 {
        self.storage.lock().upgrade().map_or(0, |storage| storage.commit_number())
    }

    fn strikes(&self, which: fn(AnchorFault) -> bool) -> Option<AnchorFault> {
        let mut fault = self.fault.lock();
        let struck = fault.filter(|fault| which(*fault))?;
        *fault = None;
        self.failures.fetch_add(1, Ordering::Relaxed);
        Some(struck)
    }
}

impl Anchor for SimAnchor {
    fn load(&self) -> Result<Option<Vec<u8>>, AnchorError> {
        match self.strikes(|fault| fault == AnchorFault::Unreadable) {
            Some(_) => Err(AnchorError::new("the anchor is away")),
            None => Ok(self.state.lock().bytes.clone()),
        }
    }

    fn store(&self, state: &[u8]) -> Result<(), AnchorError> {
        let fault = self.strikes(|fault| fault != AnchorFault::Unreadable);
        if fault != Some(AnchorFault::Lost) {
            *self.state.lock() = Anchored { bytes: Some(state.to_vec()), commit: self.commit() };
        }
        if fault.is_some() { Err(AnchorError::new("the anchor is away")) } else { Ok(()) }
    }
}

/// Milliseconds of a clock.
pub fn millis(clock: &ManualClock) -> u64 {
    clock.now().as_millis()
}

//! A seed decides a story of writes, clock jumps and crashes over a failing store; a plain map says what must be there.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking, and tells its seed")]

mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{KEY, number_from};
use vault_core::host::{ManualClock, Rng, RngError};
use vault_core::storage::Storage;
use vault_core::storage::faulty::{Fault, FaultyStorage};
use vault_core::types::{Code, Object, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{BackupSeals, Config, NewSeal, Session, UnsealKey, Vault};

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u64, u64),
    Remove(u64),
    Read(u64),
    Forward(u64),
    SetClock(u64),
    Tick,
    /// The data keys are rolled; ticks re-encrypt what is under the old one.
    Roll,
    /// A backup is restored elsewhere, at the first try after a fault at its first commits, and adopted: the story goes on there.
    Move(Option<(u64, Fault)>),
    /// The commit after so many more fails.
    FailCommit(u64, Fault),
    /// The process dies; with a fault, the first commit of its reopening fails too.
    Crash(Option<Fault>),
}

/// SplitMix64, as randomness of the story and of the vault.
struct Numbers(AtomicU64);

impl Numbers {
    fn next(&self) -> u64 {
        let step = 0x9E37_79B9_7F4A_7C15;
        let mut bits = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }
}

impl Rng for Numbers {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngError> {
        buffer.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]));
        Ok(())
    }
}

fn story(seed: u64, steps: u64) -> Vec<Step> {
    let numbers = Numbers(AtomicU64::new(seed));
    let below = |end| numbers.next() % end;
    let fault = || if below(2) == 0 { Fault::Lost } else { Fault::Applied };
    (0..steps)
        .map(|number| match below(23) {
            0..=8 => Step::Put(below(8), number),
            9 => Step::Remove(below(8)),
            10 => Step::Crash((below(2) == 0).then(fault)),
            11..=14 => Step::Read(below(8)),
            15 => Step::Forward(below(100_000_000)),
            16 => Step::SetClock(below(3_000_000_000)),
            17..=19 => Step::Tick,
            20 => Step::Roll,
            21 => Step::Move((below(2) == 0).then(|| (1 + below(2), fault()))),
            22 => Step::FailCommit(1 + below(4), fault()),
            _ => Step::Remove(below(8)),
        })
        .collect()
}

struct World {
    storage: Arc<FaultyStorage>,
    rng: Arc<Numbers>,
    clock: Arc<ManualClock>,
    token: String,
    vault: Vault,
    root: Session,
    model: BTreeMap<u64, u64>,
    /// A key whose last change is in doubt, and what that change would leave.
    doubt: Option<(u64, Option<u64>)>,
    acknowledged: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let (storage, clock) = (Arc::new(FaultyStorage::default()), Arc::new(ManualClock::new(Timestamp::from_secs(1_795_457_040))));
        let rng = Arc::new(Numbers(AtomicU64::new(!seed)));
        let config = Config::on(storage.clone()).with_clock(clock.clone()).with_rng(rng.clone()).with_audit_tail_bytes(4096);
        let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
        let token = init.root_token.expose().to_owned();
        let root = vault.session(init.root_token);
        World { storage, rng, clock, token, vault, root, model: BTreeMap::new(), doubt: None, acknowledged: 0 }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Put(key, value) => {
                let outcome = self.root.kv("secret").put(&format!("k{key}"), Object::new().with("value", value));
                self.written(key, Some(value), outcome.map(drop));
            }
            Step::Remove(key) if self.model.contains_key(&key) => {
                let outcome = self.root.kv("secret").delete_metadata(&format!("k{key}"));
                self.written(key, None, outcome);
            }
            Step::Remove(_) => {}
            Step::Read(key) => {
                let found = self.value(key);
                if found != Err(Code::Poisoned) {
                    assert_eq!(found, Ok(self.model.get(&key).copied()), "k{key}");
                }
            }
            Step::Forward(seconds) => self.clock.advance(Ttl::from_secs(seconds)),
            Step::SetClock(seconds) => self.clock.set(Timestamp::from_secs(seconds)),
            Step::Tick => {
                if self.vault.tick().is_err_and(|error| error.code() != Code::Poisoned) {
                    panic!("a tick failed otherwise than poisoned");
                }
            }
            Step::Roll => {
                let rolled = self.root.request(Operation::Write, "sys/rotate", None);
                let expected = |code| matches!(code, Code::Poisoned | Code::InvalidRequest);
                assert!(rolled.as_ref().map_or_else(|error| expected(error.code()), |_| true), "{rolled:?}");
            }
            Step::Move(fault) => self.move_elsewhere(fault),
            Step::FailCommit(after, fault) => self.storage.fail_commit(self.storage.commit_number() + after, fault),
            Step::Crash(again) => self.crash(again),
        }
    }

    fn move_elsewhere(&mut self, fault: Option<(u64, Fault)>) {
        let mut bytes = Vec::new();
        if let Err(error) = self.root.backup().to_writer(&mut bytes, &BackupSeals::Own) {
            return assert_eq!(error.code(), Code::Poisoned);
        }
        let restore = |storage: &Arc<FaultyStorage>| {
            Vault::restore(self.config(storage), &mut &bytes[..], &UnsealKey::raw_key(&KEY).unwrap()).map(|(vault, _)| vault)
        };
        if let Some((number, fault)) = fault {
            // A restore that fails leaves nothing that opens, or all of it; either way the vault itself is as it was.
            let storage = Arc::new(FaultyStorage::default());
            storage.fail_commit(number, fault);
            let failed = restore(&storage).is_err();
            let left = Vault::open(self.config(&Arc::new(FaultyStorage::over(storage.restart()))));
            assert!(failed || left.is_ok(), "a restore that was acknowledged is there");
            if let Ok(sealed) = left {
                sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap().verify().unwrap();
            }
        }
        let storage = Arc::new(FaultyStorage::default());
        let vault = restore(&storage).unwrap();
        let root = vault.session(SecretString::copy_from(&self.token));
        root.request(Operation::Write, "sys/storage/adopt", None).unwrap();
        (self.storage, self.vault, self.root) = (storage, vault, root);
    }

    fn config(&self, storage: &Arc<FaultyStorage>) -> Config {
        let config = Config::on(storage.clone()).with_audit_tail_bytes(4096);
        config.with_clock(self.clock.clone()).with_rng(self.rng.clone())
    }

    fn written(&mut self, key: u64, value: Option<u64>, outcome: Result<(), vault_core::types::Error>) {
        match outcome {
            Ok(()) => {
                self.acknowledged += 1;
                match value {
                    Some(value) => self.model.insert(key, value),
                    None => self.model.remove(&key),
                };
            }
            Err(error) => {
                assert_eq!(error.code(), Code::Poisoned);
                // Only the first failure may have been applied: afterwards nothing is written.
                self.doubt.get_or_insert((key, value));
            }
        }
    }

    fn value(&self, key: u64) -> Result<Option<u64>, Code> {
        match self.root.kv("secret").get(&format!("k{key}")) {
            Ok(secret) => Ok(secret.data.get("value").and_then(Value::as_u64)),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error.code()),
        }
    }

    fn crash(&mut self, again: Option<Fault>) {
        self.reopen(again);
        if again.is_some() {
            self.reopen(None);
        }
        if let Some((key, value)) = self.doubt.take() {
            let found = self.value(key).unwrap();
            assert!(found == value || found == self.model.get(&key).copied(), "k{key} is neither before nor after");
            match found {
                Some(found) => self.model.insert(key, found),
                None => self.model.remove(&key),
            };
        }
        for key in 0..8 {
            assert_eq!(self.value(key), Ok(self.model.get(&key).copied()), "k{key} after a crash");
        }
        self.vault.verify().unwrap();
        let report = self.root.audit().verify().unwrap();
        assert!(report.records >= self.acknowledged, "an acknowledged write has no record");
    }

    /// Opens what the dead process left; with a fault it may fail, and a write in it dies with the process.
    fn reopen(&mut self, fault: Option<Fault>) {
        self.storage = Arc::new(FaultyStorage::over(self.storage.restart()));
        if let Some(fault) = fault {
            self.storage.fail_commit(self.storage.commit_number() + 1, fault);
        }
        let opened = Vault::open(self.config(&self.storage)).and_then(|sealed| sealed.unseal(&UnsealKey::raw_key(&KEY)?));
        match opened {
            Ok(vault) => {
                self.root = vault.session(SecretString::copy_from(&self.token));
                self.vault = vault;
            }
            Err(error) => assert!(fault.is_some(), "{error}"),
        }
    }
}

fn run(seed: u64, steps: &[Step]) {
    let mut world = World::new(seed);
    steps.iter().for_each(|step| world.apply(*step));
    world.crash(None);
}

fn fails(seed: u64, steps: &[Step]) -> bool {
    catch_unwind(AssertUnwindSafe(|| run(seed, steps))).is_err()
}

#[test]
fn no_story_loses_what_was_acknowledged() {
    let first = number_from("LIBVAULT_SEED").unwrap_or(1);
    let stories = number_from("LIBVAULT_SIM_STEPS").unwrap_or(4_000).div_ceil(100);
    for seed in first..first + stories {
        let mut steps = story(seed, 100);
        if fails(seed, &steps) {
            let mut at = 0;
            while at < steps.len() {
                let mut fewer = steps.clone();
                fewer.remove(at);
                if fails(seed, &fewer) { steps = fewer } else { at += 1 }
            }
            panic!("seed {seed} fails with {steps:?}");
        }
    }
}

//! What the vault says to its host's log: when, in which words' kind, and that no request waits for it.
#![allow(clippy::unwrap_used, clippy::disallowed_types, reason = "a test fails by panicking")]

#[path = "support/target.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use support::*;
use vault_core::host::{Anchor, AnchorError, AuditLine, AuditSink, Log, LogLevel, LogLine, LogTopic, SinkError};
use vault_core::types::{Code, Object, Operation, Timestamp, Ttl};
use vault_core::{Config, UnsealKey, Vault};

/// A log that keeps its lines, and calls the vault as a host may.
#[derive(Default)]
struct Kept {
    lines: Mutex<Vec<LogLine>>,
    vault: Mutex<Option<Vault>>,
    panics: AtomicBool,
}

impl Log for Kept {
    fn log(&self, line: &LogLine) {
        self.lines.lock().unwrap().push(line.clone());
        let vault = self.vault.lock().unwrap().clone();
        if let Some(vault) = vault {
            drop(vault.tick());
        }
        assert!(!self.panics.load(Ordering::Relaxed), "as a host's log may");
    }
}

impl Kept {
    /// What was said since the last look: level, topic, code and how often.
    fn said(&self) -> Vec<(LogLevel, LogTopic, Option<Code>, u64)> {
        self.lines.lock().unwrap().drain(..).map(|line| (line.level, line.topic, line.code, line.count)).collect()
    }
}

/// Something of the host's that fails when it is told to.
#[derive(Default)]
struct Flaky(AtomicBool);

impl Anchor for Flaky {
    fn load(&self) -> Result<Option<Vec<u8>>, AnchorError> {
        Ok(None)
    }

    fn store(&self, _state: &[u8]) -> Result<(), AnchorError> {
        if self.0.load(Ordering::Relaxed) { Err(AnchorError::new("the network is down")) } else { Ok(()) }
    }
}

impl AuditSink for Flaky {
    fn name(&self) -> &str {
        "flaky"
    }

    fn deliver(&self, _lines: &[AuditLine]) -> Result<(), SinkError> {
        if self.0.load(Ordering::Relaxed) { Err(SinkError::new("the collector is down")) } else { Ok(()) }
    }
}

fn logged(config: Config) -> (World, Arc<Kept>) {
    let log = Arc::new(Kept::default());
    (world_on(config.with_log(log.clone())), log)
}

const CLOSED: (LogLevel, LogTopic, Option<Code>, u64) = (LogLevel::Info, LogTopic::Seal, None, 1);

#[test]
fn sealing_unsealing_and_wrong_keys_are_told() {
    let (world, log) = logged(Config::in_memory());
    assert_eq!(log.said(), [], "a creation is the caller's own doing");
    let sealed = world.vault.seal().unwrap();
    assert_eq!(log.said(), [CLOSED]);
    for _ in 0..2 {
        sealed.unseal(&UnsealKey::raw_key(&[9; 32]).unwrap()).unwrap_err();
        assert_eq!(log.said(), [(LogLevel::Warning, LogTopic::Seal, None, 1)]);
    }
    sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    assert_eq!(log.said(), [(LogLevel::Info, LogTopic::Seal, None, 1)]);
    assert_eq!(ask(&world.root, Operation::Read, "nowhere/x", "").unwrap_err().code(), Code::NotFound);
    world.vault.tick().unwrap();
    assert_eq!(log.said(), [], "what a caller does is between the two of them");
    world.vault.close().unwrap();
    assert_eq!(log.said(), [CLOSED]);
}

#[test]
fn a_request_that_fails_by_the_anchor_is_told_by_the_next_tick_and_not_by_itself() {
    let flaky = Arc::new(Flaky::default());
    let (world, log) = logged(Config::in_memory().with_anchor(flaky.clone(), Ttl::ZERO));
    flaky.0.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(world.root.kv("secret").put("a", Object::new()).unwrap_err().code(), Code::AnchorFailed);
    }
    assert_eq!(log.said(), [], "no request waits for the log");
    assert_eq!(world.vault.tick().unwrap_err().code(), Code::AnchorFailed);
    let failed = |topic, count| (LogLevel::Error, topic, Some(Code::AnchorFailed), count);
    assert_eq!(log.said(), [failed(LogTopic::Request, 3), failed(LogTopic::Tick, 1)], "equal ones in a row are one line");
    flaky.0.store(false, Ordering::Relaxed);
    world.vault.tick().unwrap();
    assert_eq!(log.said(), []);
}

#[test]
fn a_sink_that_takes_nothing_is_told_and_so_is_that_it_takes_again() {
    let flaky = Arc::new(Flaky::default());
    let (world, log) = logged(Config::in_memory().with_audit_sink(flaky.clone()));
    flaky.0.store(true, Ordering::Relaxed);
    world.vault.tick().unwrap();
    let lines: Vec<LogLine> = log.lines.lock().unwrap().drain(..).collect();
    assert_eq!((lines.len(), lines[0].level, lines[0].topic), (1, LogLevel::Warning, LogTopic::Sink));
    assert!(lines[0].message.contains("\"flaky\"") && lines[0].message.contains("the collector is down"), "{}", lines[0].message);
    flaky.0.store(false, Ordering::Relaxed);
    world.clock.advance(Ttl::from_secs(60));
    world.vault.tick().unwrap();
    assert_eq!(log.said(), [(LogLevel::Info, LogTopic::Sink, None, 1)]);
}

#[test]
fn a_lease_that_cannot_be_revoked_is_told_once_and_without_its_path() {
    let (world, log) = logged(Config::in_memory());
    let one = creds(&world.root).unwrap();
    world.target.always(Some(Fault::Refused));
    revoke(&world.root, &one.lease_id, false).unwrap();
    while count(&world.root, "irrevocable") == 0 {
        let next = world.vault.tick().unwrap().unwrap();
        world.clock.set(next.max(Timestamp::from_millis(world.clock_millis())));
    }
    world.vault.tick().unwrap();
    let lines: Vec<LogLine> = log.lines.lock().unwrap().drain(..).collect();
    assert_eq!((lines.len(), lines[0].level, lines[0].topic), (1, LogLevel::Warning, LogTopic::Lease), "{lines:?}");
    assert!(!lines[0].message.contains("creds") && !lines[0].message.contains(&one.lease_id));
}

#[test]
fn a_log_may_call_the_vault_and_one_that_panics_keeps_nothing_from_its_work() {
    let flaky = Arc::new(Flaky::default());
    let (world, log) = logged(Config::in_memory().with_audit_sink(flaky.clone()));
    *log.vault.lock().unwrap() = Some(world.vault.clone());
    log.panics.store(true, Ordering::Relaxed);
    flaky.0.store(true, Ordering::Relaxed);
    world.vault.tick().unwrap();
    assert_eq!(log.said().len(), 1);
    world.root.kv("secret").put("a", Object::new()).unwrap();
    world.vault.verify().unwrap();
    log.vault.lock().unwrap().take();
}

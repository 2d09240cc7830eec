//! Targets that do not answer, and calls that cross: what was never handed out holds back nothing that was, and no record says less than was done.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/target.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use support::*;
use vault_core::host::{Clock, Log, LogLevel, LogLine, LogTopic};
use vault_core::storage::faulty::{Fault as StoreFault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Batch, Key, Page, Read, Storage, StorageError};
use vault_core::types::{Code, Error, Operation, Response, SecretString, Timestamp, Ttl, Value};
use vault_core::{Config, Session, TokenOptions, UnsealKey, Vault};

/// As many as may be begun at one target, all roles together.
const BEGUN_MAX: usize = 1_000;

fn token(world: &World) -> Session {
    let policy = r#"path "database/creds/*" { capabilities = ["read"] }"#;
    world.root.policies().write("creds", policy).unwrap();
    let options = TokenOptions { policies: vec!["creds".to_owned()], ..TokenOptions::default() };
    world.vault.session(world.root.tokens().create(options).unwrap().client_token)
}

#[derive(Default)]
struct Kept(Mutex<Vec<LogLine>>);

impl Log for Kept {
    fn log(&self, line: &LogLine) {
        self.0.lock().unwrap().push(line.clone());
    }
}

/// The records of groups that are there since a copy of the store was made.
fn new_members(storage: &MemoryStorage, before: &MemoryStorage) -> Vec<Key> {
    let names = storage.scan(&[], None, 100_000).unwrap().into_iter().map(|(name, _)| name);
    names.filter(|name| name.as_bytes().len() == 32 && before.get(name).unwrap().is_none()).collect()
}

/// Opens a store with one record altered; what its host's log is told.
fn reopened_with_harmed(world: &World, storage: &MemoryStorage, name: &Key) -> (World, Arc<Kept>) {
    let log = Arc::new(Kept::default());
    (reopen_with(Config::on(with_harmed(storage, name)).with_log(log.clone()), world), log)
}

fn tells(log: &Kept, topic: LogTopic) -> bool {
    log.0.lock().unwrap().iter().any(|line| (line.level, line.topic, line.code) == (LogLevel::Error, topic, Some(Code::Corrupt)))
}

#[test]
fn a_harmed_record_of_what_ends_leases_keeps_no_other_lease_from_its_end_and_is_told() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    let leaving = token(&world);
    let (held, other) = (creds(&leaving).unwrap(), creds(&world.root).unwrap());
    let before = storage.copy();
    leaving.tokens().revoke_self().unwrap();
    let chores = new_members(&storage, &before);
    assert_eq!(chores.len(), 1, "what ends the leases of the token");
    let (harmed, log) = reopened_with_harmed(&world, &storage, &chores[0]);
    world.clock.advance(Ttl::from_secs(3_600));
    settle(&harmed, 10);
    assert!(tells(&log, LogTopic::Lease));
    assert!(!harmed.target.accounts().contains(&other.username), "its time is over");
    assert!(!harmed.target.accounts().contains(&held.username), "its time is over too");
}

#[test]
fn a_harmed_record_of_a_lease_that_is_due_keeps_no_other_from_its_end_and_is_told() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    let other = creds(&world.root).unwrap();
    let before = storage.copy();
    creds(&world.root).unwrap();
    let names = storage.scan(&[], None, 100_000).unwrap().into_iter().map(|(name, _)| name);
    let of_lease: Vec<Key> = names.filter(|name| matches!(name.as_bytes().len(), 16 | 32) && before.get(name).unwrap().is_none()).collect();
    world.clock.advance(Ttl::from_secs(3_600));
    let mut told = 0;
    for name in &of_lease {
        world.target.state.lock().unwrap().accounts.insert(other.username.clone(), String::new());
        let (harmed, log) = reopened_with_harmed(&world, &storage, name);
        settle(&harmed, 10);
        assert!(!harmed.target.accounts().contains(&other.username), "the other one has ended at its target");
        told += usize::from(tells(&log, LogTopic::Lease));
    }
    assert!(told >= 2, "its record, and what tells when it is due: {told} of {}", of_lease.len());
}

#[test]
fn a_harmed_record_of_a_token_that_is_due_keeps_no_other_from_its_end_and_is_told() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    let brief = |seconds| TokenOptions { ttl: Some(Ttl::from_secs(seconds)), ..TokenOptions::default() };
    let other = world.root.tokens().create(brief(120)).unwrap();
    let before = storage.copy();
    world.root.tokens().create(brief(3_700)).unwrap();
    let members = new_members(&storage, &before);
    world.clock.advance(Ttl::from_secs(7_200));
    let mut told = 0;
    for name in &members {
        let (harmed, log) = reopened_with_harmed(&world, &storage, name);
        harmed.vault.tick().unwrap();
        let gone = harmed.vault.session(SecretString::copy_from(other.client_token.expose()));
        assert!(gone.tokens().lookup_self().is_err());
        let accessors = ask(&harmed.root, Operation::List, "auth/token/accessors", "").unwrap().data.unwrap();
        assert!(!String::from_utf8_lossy(&accessors.to_json()).contains(&other.accessor), "it was removed");
        told += usize::from(tells(&log, LogTopic::Tick));
    }
    assert!(told >= 2, "its minute, and its place in it: {told} of {}", members.len());
}

#[test]
fn what_is_granted_after_a_release_outlives_what_the_quarantine_has_left_to_do() {
    let world = world();
    let everything = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#;
    world.root.policies().write("everything", everything).unwrap();
    let options = || TokenOptions { policies: vec!["everything".to_owned()], ..TokenOptions::default() };
    let one = world.vault.session(world.root.tokens().create(options()).unwrap().client_token);
    let child = world.vault.session(one.tokens().create(options()).unwrap().client_token);
    let held = one.tokens().lookup_self().unwrap().accessor;
    let old = [creds(&one).unwrap(), creds(&child).unwrap()];
    world.root.emergency().quarantine(&held).unwrap();
    world.root.emergency().release(&held).unwrap();
    assert!(lookup(&world.root, &old[0].lease_id).is_err(), "a release brings no lease back");
    let new = [creds(&one).unwrap(), creds(&child).unwrap()];
    assert!(new.iter().all(|lease| lookup(&world.root, &lease.lease_id).is_ok()));
    settle(&world, 10);
    assert!(new.iter().all(|lease| lookup(&world.root, &lease.lease_id).is_ok()));
    assert_eq!(world.target.accounts(), BTreeSet::from(new.map(|lease| lease.username)));
    world.vault.verify().unwrap();
}

fn pending(world: &World) -> u64 {
    count(&world.root, "pending")
}

#[test]
fn however_many_requests_fail_a_revoked_tokens_leases_end_at_their_target() {
    let world = world();
    connect(&world.root, "sick").unwrap();
    role(&world.root, "sick", r#"{"db_name":"sick"}"#);
    let caller = token(&world);
    // Of the same token: half of them before those that are handed out, half behind.
    for half in 0..2 {
        world.target.always(Some(Fault::UnknownNotDone));
        for _ in 0..100 {
            creds_of(&caller, "sick").err().unwrap();
        }
        world.target.always(None);
        if half == 0 {
            for _ in 0..40 {
                creds(&caller).unwrap();
            }
        }
    }
    assert_eq!((pending(&world), count(&world.root, "")), (200, 40));
    caller.tokens().revoke_self().unwrap();
    world.vault.tick().unwrap();
    // With that one tick all have ended: each was told, or waits for its turn.
    let live = count(&world.root, "due") + count(&world.root, "");
    assert_eq!(live, 0, "leases of a revoked token are live");
    settle(&world, 120);
    assert!(world.target.accounts().is_empty());
    assert_eq!(pending(&world), 0);
    world.vault.verify().unwrap();
}

/// Asks for accounts of a role until no more are begun; how many were.
fn begin_all(world: &World, name: &str) -> usize {
    for begun in 0..=BEGUN_MAX {
        let calls = world.target.calls(Duty::Create);
        let error = creds_of(&world.root, name).err().unwrap();
        if error.code() == Code::RateLimited {
            assert!(error.to_string().contains("tick") && error.to_string().contains("revoke-force"), "{error}");
            assert_eq!(world.target.calls(Duty::Create), calls, "the target was not asked");
            return begun;
        }
        assert_eq!(error.code(), Code::TargetUnavailable);
    }
    panic!("there is no bound");
}

#[test]
fn what_was_begun_is_bounded_at_each_connection_and_no_role_shuts_out_the_others() {
    let world = world();
    connect(&world.root, "other").unwrap();
    role(&world.root, "other", r#"{"db_name":"other"}"#);
    for name in ["rw", "third"] {
        role(&world.root, name, "{}");
    }
    world.target.always(Some(Fault::UnknownDone));
    // Each role leaves as many to the others as it has itself.
    assert_eq!([begin_all(&world, "ro"), begin_all(&world, "rw"), begin_all(&world, "third")], [500, 250, 125]);
    assert_eq!(pending(&world), 875, "and no intent was written of what was refused");
    // Told in vain they are still there.
    world.vault.tick().unwrap();
    assert_eq!(creds(&world.root).err().unwrap().code(), Code::RateLimited);
    world.target.heal();
    for name in ["other", "third"] {
        role(&world.root, &format!("{name}-late"), &format!(r#"{{"db_name":"{}"}}"#, if name == "other" { "other" } else { "db" }));
        creds_of(&world.root, &format!("{name}-late")).unwrap();
    }
    settle(&world, 900);
    assert_eq!((pending(&world), world.target.accounts().len()), (0, 2));
    creds(&world.root).unwrap();
    world.vault.verify().unwrap();
}

#[test]
fn however_many_roles_there_are_a_connection_has_its_bound() {
    let world = world();
    world.target.always(Some(Fault::UnknownDone));
    let mut begun = 0;
    for i in 0..14 {
        role(&world.root, &format!("r{i}"), "{}");
        begun += begin_all(&world, &format!("r{i}"));
    }
    assert!(begun <= BEGUN_MAX && begun > BEGUN_MAX - 10, "{begun}");
}

#[test]
fn what_was_begun_counts_in_quotas() {
    let world = world();
    ask(&world.root, Operation::Write, "sys/quotas/lease-count/few", r#"{"path":"database/creds/ro","max_leases":3}"#).unwrap();
    world.target.plan(Duty::Create, &[Fault::UnknownDone, Fault::UnknownDone]);
    for _ in 0..2 {
        assert_eq!(creds(&world.root).err().unwrap().code(), Code::TargetUnavailable);
    }
    creds(&world.root).unwrap();
    let calls = world.target.calls(Duty::Create);
    assert_eq!(creds(&world.root).err().unwrap().code(), Code::RateLimited);
    assert_eq!((world.target.calls(Duty::Create), pending(&world)), (calls, 2));
    settle(&world, 120);
    creds(&world.root).unwrap();
}

#[test]
fn what_cannot_be_undone_is_given_up_by_force_even_where_the_host_has_no_connector_any_more() {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    world.target.always(Some(Fault::UnknownDone));
    for _ in 0..3 {
        creds(&world.root).err().unwrap();
    }
    world.target.always(None);
    let kept = creds(&world.root).unwrap();
    world.vault.tick().unwrap();
    // Opened by a host that gives none.
    let config = Config::on(Arc::new(storage.copy())).with_clock(world.clock.clone());
    let vault = vault_core::Vault::open(config).unwrap().unseal(&vault_core::UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let root = vault.session(SecretString::copy_from(&world.token));
    revoke(&root, &kept.lease_id, false).unwrap();
    vault.tick().unwrap();
    assert_eq!(count(&root, "ending"), 4);
    ask(&root, Operation::Write, "sys/leases/revoke-force/database/creds", "").unwrap();
    vault.tick().unwrap();
    assert_eq!((count(&root, "ending"), count(&root, "pending"), count(&root, "irrevocable")), (0, 0, 0));
    vault.verify().unwrap();
}

#[test]
fn deleted_connections_whose_targets_do_not_answer_hold_back_no_other_revocation() {
    let world = world();
    for number in 0..70 {
        let name = format!("c{number}");
        connect(&world.root, &name).unwrap();
        role(&world.root, &name, &format!(r#"{{"db_name":"{name}"}}"#));
        creds_of(&world.root, &name).unwrap();
    }
    world.target.always(Some(Fault::Unreachable));
    for number in 0..70 {
        ask(&world.root, Operation::Delete, &format!("database/config/c{number}"), "").unwrap();
    }
    world.vault.tick().unwrap();
    world.vault.tick().unwrap();
    world.target.always(None);
    let callers: Vec<Session> = (0..20).map(|_| token(&world)).collect();
    callers.iter().for_each(|caller| drop(creds(caller).unwrap()));
    world.target.always(Some(Fault::Unreachable));
    callers.iter().for_each(|caller| caller.tokens().revoke_self().unwrap());
    let before = count(&world.root, "ending");
    world.vault.tick().unwrap();
    assert_eq!(count(&world.root, "ending"), before + 20, "they have ended, and their target is told");
}

fn expires(world: &World, id: &str, name: &str) -> Option<String> {
    lookup(&world.root, id).unwrap().get(name).and_then(Value::as_str).map(str::to_owned)
}

#[test]
fn a_crash_in_a_renewal_never_leaves_the_target_with_a_later_end_than_the_record_tells() {
    let storage = Arc::new(MemoryStorage::new());
    let old = world_on(Config::on(storage.clone()));
    let one = creds(&old.root).unwrap();
    old.clock.advance(Ttl::from_secs(600));
    let first = Timestamp::from_secs(START + 3_600);
    let mut crashes = 0;
    for fault in [StoreFault::Lost, StoreFault::Applied] {
        for nth in 1..=3 {
            old.target.state.lock().unwrap().expirations.clear();
            let faulty = Arc::new(FaultyStorage::over(storage.copy()));
            let world = reopen(faulty.clone(), &old);
            faulty.fail_commit(faulty.commit_number() + nth, fault);
            let answered = renew(&world.root, &one.lease_id, 7_200);
            let restarted = Arc::new(faulty.restart());
            drop(world);
            crashes += u32::from(answered.is_err());
            let world = reopen(restarted, &old);
            let at_target = || world.target.state.lock().unwrap().expirations.get(&one.username).copied().unwrap_or(first);
            let told = [expires(&world, &one.lease_id, "expire_time"), expires(&world, &one.lease_id, "asked_expire_time")];
            let latest = told.iter().flatten().max().unwrap();
            assert!(at_target().to_string() <= *latest, "{fault:?}, commit {nth}: {} at the target, {told:?}", at_target());
            // What was asked for and not granted is put back.
            settle(&world, 120);
            assert_eq!(expires(&world, &one.lease_id, "asked_expire_time"), None, "{fault:?}, commit {nth}");
            assert_eq!(Some(at_target().to_string()), expires(&world, &one.lease_id, "expire_time"), "{fault:?}, commit {nth}");
            world.vault.verify().unwrap();
            old.clock.set(Timestamp::from_secs(START + 600));
        }
    }
    assert!(crashes >= 2, "{crashes}");
}

#[test]
fn a_renewal_whose_answer_was_lost_is_put_back_and_the_record_tells_of_it_until_then() {
    for fault in [Fault::UnknownDone, Fault::UnknownNotDone, Fault::PanicsAfter] {
        let world = world();
        let one = creds(&world.root).unwrap();
        world.target.plan(Duty::Renew, &[fault]);
        assert_eq!(renew(&world.root, &one.lease_id, 7_200).unwrap_err().code(), Code::TargetUnavailable);
        let asked = Timestamp::from_secs(START + 7_200).to_string();
        assert_eq!(expires(&world, &one.lease_id, "asked_expire_time"), Some(asked), "{fault:?}");
        assert_eq!(expires(&world, &one.lease_id, "expire_time"), Some(Timestamp::from_secs(START + 3_600).to_string()));
        world.vault.tick().unwrap();
        assert_eq!(world.target.calls(Duty::Renew), 1, "the lost call may still arrive");
        settle(&world, 120);
        assert_eq!(world.target.calls(Duty::Renew), 2);
        assert_eq!(world.target.state.lock().unwrap().expirations[&one.username], Timestamp::from_secs(START + 3_600));
        assert_eq!(expires(&world, &one.lease_id, "asked_expire_time"), None);
        // It ends at its time all the same, with the question open too.
        world.target.plan(Duty::Renew, &[fault]);
        renew(&world.root, &one.lease_id, 7_200).unwrap_err();
        world.clock.set(Timestamp::from_secs(START + 3_600));
        settle(&world, 0);
        assert!(world.target.accounts().is_empty(), "{fault:?}");
        world.vault.verify().unwrap();
    }
}

#[test]
fn a_lease_is_renewed_by_one_at_a_time_and_revoked_while_that_is_under_way() {
    let world = world();
    let one = creds(&world.root).unwrap();
    world.target.plan(Duty::Renew, &[Fault::Stalls]);
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| renew(&world.root, &one.lease_id, 7_200));
        world.target.wait_for_stall();
        assert_eq!(renew(&world.root, &one.lease_id, 60).unwrap_err().code(), Code::Conflict);
        revoke(&world.root, &one.lease_id, false).unwrap();
        world.target.let_go();
        assert_eq!(stalled.join().unwrap().unwrap_err().code(), Code::LeaseEnded);
    });
    settle(&world, 120);
    assert!(world.target.accounts().is_empty());
}

#[test]
fn a_renewal_whose_target_takes_longer_than_the_lease_lasts_revives_nothing() {
    let world = world();
    let one = creds(&world.root).unwrap();
    world.target.plan(Duty::Renew, &[Fault::Stalls]);
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| renew(&world.root, &one.lease_id, 7_200));
        world.target.wait_for_stall();
        world.clock.advance(Ttl::from_secs(3_600));
        assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded);
        world.target.let_go();
        assert_eq!(stalled.join().unwrap().unwrap_err().code(), Code::LeaseEnded);
    });
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded);
    settle(&world, 120);
    assert!(world.target.accounts().is_empty());
    world.vault.verify().unwrap();
}

#[test]
fn credentials_whose_target_takes_longer_than_they_last_are_not_handed_out() {
    let world = world();
    role(&world.root, "short", r#"{"default_ttl":"10s"}"#);
    for (seconds, late) in [(4, false), (10, true)] {
        world.target.plan(Duty::Create, &[Fault::Stalls]);
        world.target.state.lock().unwrap().hold_again();
        std::thread::scope(|scope| {
            let stalled = scope.spawn(|| creds_of(&world.root, "short"));
            world.target.wait_for_stall();
            world.clock.advance(Ttl::from_secs(seconds));
            world.target.let_go();
            match stalled.join().unwrap() {
                Ok(one) => assert_eq!((late, one.seconds), (false, 6), "what is left counts from the answer on"),
                Err(error) => assert_eq!((late, error.code()), (true, Code::TargetUnavailable), "{error}"),
            }
        });
    }
    settle(&world, 120);
    assert!(world.target.accounts().is_empty());
}

/// A clock that jumps a day ahead with one of its readings.
struct Jumping {
    readings: AtomicU64,
    jumps_at: AtomicU64,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let jumped = self.readings.fetch_add(1, Ordering::SeqCst) >= self.jumps_at.load(Ordering::SeqCst);
        Timestamp::from_secs(START + if jumped { 86_400 } else { 0 })
    }
}

#[test]
fn at_whichever_reading_of_the_clock_a_lease_ends_a_renewal_is_too_late_until_it_commits() {
    let mut answers = Vec::new();
    for jumps_at in 0.. {
        let storage = Arc::new(MemoryStorage::new());
        let old = world_on(Config::on(storage.clone()));
        let one = creds(&old.root).unwrap();
        let clock = Arc::new(Jumping { readings: AtomicU64::new(0), jumps_at: AtomicU64::new(u64::MAX) });
        let config = Config::on(Arc::new(storage.copy())).with_clock(clock.clone()).with_connector(old.target.clone());
        let vault = Vault::open(config).unwrap().unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
        let root = vault.session(SecretString::copy_from(&old.token));
        clock.readings.store(0, Ordering::SeqCst);
        clock.jumps_at.store(jumps_at, Ordering::SeqCst);
        let answer = renew(&root, &one.lease_id, 7_200).map(drop).map_err(|error| error.code());
        let readings = clock.readings.load(Ordering::SeqCst);
        clock.jumps_at.store(0, Ordering::SeqCst);
        assert_eq!(lookup(&root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded);
        vault.tick().unwrap();
        assert!(old.target.accounts().is_empty());
        if readings <= jumps_at {
            assert_eq!(answer, Ok(()));
            break;
        }
        answers.push(answer);
    }
    // Behind the commit the clock is read for the anchor and for the answer: what is left of the lease.
    let late = answers.len() - 2;
    assert!(late > 3 && answers[..late].iter().all(|answer| *answer == Err(Code::LeaseEnded)), "{answers:?}");
    assert!(answers[late..].iter().all(Result::is_ok), "{answers:?}");
}

#[test]
fn an_edit_of_what_does_not_say_where_a_connection_goes_disturbs_neither_a_renewal_nor_a_grant() {
    let world = world();
    let one = creds(&world.root).unwrap();
    let edit = |data: &str| ask(&world.root, Operation::Write, "database/config/db", data).unwrap();
    for (duty, renews) in [(Duty::Renew, true), (Duty::Create, false)] {
        world.target.plan(duty, &[Fault::Stalls]);
        world.target.state.lock().unwrap().hold_again();
        std::thread::scope(|scope| {
            let stalled =
                scope.spawn(|| if renews { renew(&world.root, &one.lease_id, 7_200).map(drop) } else { creds(&world.root).map(drop) });
            world.target.wait_for_stall();
            edit(r#"{"max_open_connections":7,"connect_timeout":"3s","allowed_roles":"ro,rw","verify_connection":false}"#);
            world.target.let_go();
            stalled.join().unwrap().unwrap();
        });
    }
    assert_eq!(expires(&world, &one.lease_id, "asked_expire_time"), None);
    assert_eq!(count(&world.root, ""), 2);
}

#[test]
fn a_renewal_says_that_the_connection_was_written_anew_and_not_that_the_lease_has_ended() {
    let world = world();
    let one = creds(&world.root).unwrap();
    world.target.plan(Duty::Renew, &[Fault::Stalls]);
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| renew(&world.root, &one.lease_id, 7_200));
        world.target.wait_for_stall();
        ask(&world.root, Operation::Write, "database/config/db", r#"{"username":"x","password":"y","verify_connection":false}"#).unwrap();
        world.target.let_go();
        assert_eq!(stalled.join().unwrap().unwrap_err().code(), Code::Conflict);
    });
    assert!(lookup(&world.root, &one.lease_id).is_ok());
    let back = format!(r#"{{"username":"{ROOT_NAME}","password":"{ROOT_PASSWORD}"}}"#);
    ask(&world.root, Operation::Write, "database/config/db", &back).unwrap();
    settle(&world, 120);
    assert_eq!(expires(&world, &one.lease_id, "asked_expire_time"), None, "the target's end was put back");
}

/// A store that stops behind one commit until it is let go.
struct Gate {
    inner: MemoryStorage,
    stops_at: Mutex<Option<u64>>,
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Gate {
    fn wait_for_stop(&self) {
        let mut state = self.state.lock().unwrap();
        while !state.0 {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn let_go(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

impl Read for Gate {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        self.inner.get(key)
    }
    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        self.inner.scan(prefix, after, limit)
    }
}

impl Storage for Gate {
    fn commit_number(&self) -> u64 {
        self.inner.commit_number()
    }
    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StorageError> {
        self.inner.snapshot()
    }
    fn commit(&self, batch: &Batch) -> Result<(), StorageError> {
        self.inner.commit(batch)?;
        if *self.stops_at.lock().unwrap() == Some(batch.number) {
            let mut state = self.state.lock().unwrap();
            state.0 = true;
            self.changed.notify_all();
            while !state.1 {
                state = self.changed.wait(state).unwrap();
            }
        }
        Ok(())
    }
    fn note_head(&self, number: u64, mac: &[u8; 32]) -> Result<(), StorageError> {
        self.inner.note_head(number, mac)
    }
    fn heads(&self) -> Result<Vec<(u64, [u8; 32])>, StorageError> {
        self.inner.heads()
    }
    fn write_segment(&self, index: u64, content: &[u8]) -> Result<(), StorageError> {
        self.inner.write_segment(index, content)
    }
    fn read_segment(&self, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.inner.read_segment(index)
    }
    fn remove_segment(&self, index: u64) -> Result<bool, StorageError> {
        self.inner.remove_segment(index)
    }
    fn close(&self) -> Result<(), StorageError> {
        self.inner.close()
    }
}

#[test]
fn a_tick_between_the_commit_and_the_change_of_the_own_password_leaves_it_to_the_request() {
    let gate = Arc::new(Gate { inner: MemoryStorage::new(), stops_at: Mutex::default(), state: Mutex::default(), changed: Condvar::new() });
    let world = world_on(Config::on(gate.clone()));
    world.vault.tick().unwrap();
    *gate.stops_at.lock().unwrap() = Some(gate.commit_number() + 1);
    world.target.plan(Duty::SetPassword, &[Fault::Stalls]);
    std::thread::scope(|scope| {
        let request = scope.spawn(|| ask(&world.root, Operation::Write, "database/rotate-root/db", ""));
        gate.wait_for_stop();
        // The intent is durable and the request has not gone on.
        let tick = scope.spawn(|| world.vault.tick());
        for _ in 0..100 {
            if !tick.is_finished() {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
        assert_eq!((world.target.calls(Duty::Test), world.target.calls(Duty::SetPassword)), (0, 0), "tick has taken the change");
        gate.let_go();
        world.target.wait_for_stall();
        // While the target is asked a tick asks it nothing.
        world.vault.tick().unwrap();
        world.target.let_go();
        request.join().unwrap().unwrap();
        tick.join().unwrap().unwrap();
    });
    assert_eq!(world.target.calls(Duty::SetPassword), 1);
    assert_ne!(world.target.root_password(), ROOT_PASSWORD);
    creds(&world.root).unwrap();
    world.vault.verify().unwrap();
}

#[test]
fn an_account_is_not_handed_out_where_its_connection_became_another_one_meanwhile() {
    let world = world();
    world.target.plan(Duty::Create, &[Fault::Stalls]);
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| creds(&world.root));
        world.target.wait_for_stall();
        let other = r#"{"username":"other-admin","password":"p","verify_connection":false}"#;
        ask(&world.root, Operation::Write, "database/config/db", other).unwrap();
        world.target.let_go();
        assert_eq!(stalled.join().unwrap().err().unwrap().code(), Code::Conflict);
    });
    assert_eq!(count(&world.root, ""), 0);
    let back = format!(r#"{{"username":"{ROOT_NAME}","password":"{ROOT_PASSWORD}","verify_connection":false}}"#);
    ask(&world.root, Operation::Write, "database/config/db", &back).unwrap();
    settle(&world, 600);
    assert!(world.target.accounts().is_empty());
}

#[test]
fn counting_leases_needs_sudo_as_listing_them_does() {
    let world = world();
    creds(&world.root).unwrap();
    let may = |capabilities: &str| {
        let policy = format!(r#"path "sys/leases*" {{ capabilities = [{capabilities}] }}"#);
        world.root.policies().write("counts", &policy).unwrap();
        let options = TokenOptions { policies: vec!["counts".to_owned()], ..TokenOptions::default() };
        let session = world.vault.session(world.root.tokens().create(options).unwrap().client_token);
        ["sys/leases", "sys/leases/count"].map(|path| ask(&session, Operation::Read, path, "").map_err(|error| error.code()))
    };
    assert!(may(r#""read""#).iter().all(|answer| matches!(answer, Err(Code::PermissionDenied))));
    assert!(may(r#""read","sudo""#).iter().all(Result::is_ok));
    let kinds: BTreeSet<u64> = ["", "due", "ending", "irrevocable", "pending"].iter().map(|kind| count(&world.root, kind)).collect();
    assert_eq!(kinds, BTreeSet::from([0, 1]));
    assert_eq!(ask(&world.root, Operation::Read, "sys/leases/count", r#"{"type":"x"}"#).unwrap_err().code(), Code::InvalidData);
}

/// Found by the simulation (seed 1722).
#[test]
fn accounts_are_revoked_though_a_late_target_has_set_a_password_that_was_given_up() {
    let world = world();
    let one = creds(&world.root).unwrap();
    world.target.plan(Duty::SetPassword, &[Fault::UnknownNotDone]);
    assert_eq!(ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap_err().code(), Code::TargetUnavailable);
    let settled = ask(&world.root, Operation::Write, "database/settle-root/db", "").unwrap().data.unwrap();
    assert_eq!(settled.get("works").and_then(Value::as_str), Some("old"));
    let late = world.target.state.lock().unwrap().last_set.1.clone();
    world.target.state.lock().unwrap().accounts.insert(ROOT_NAME.to_owned(), late);
    revoke(&world.root, &one.lease_id, true).unwrap();
    assert!(world.target.accounts().is_empty());
}

fn rotate_root(world: &World, path: &str) -> Result<Response, Error> {
    ask(&world.root, Operation::Write, &format!("{path}/rotate-root/db"), "")
}

/// A connection that was deleted while its target could not be told of a lease, and whose account has another password since, by another
/// connection of that mount.
fn outdated(mount: &str) -> World {
    let world = world();
    creds(&world.root).unwrap();
    world.target.always(Some(Fault::Unreachable));
    ask(&world.root, Operation::Delete, "database/config/db", "").unwrap();
    world.vault.tick().unwrap();
    world.target.always(None);
    if mount != "database" {
        ask(&world.root, Operation::Write, &format!("sys/mounts/{mount}"), r#"{"type":"database"}"#).unwrap();
    }
    connect_at(&world.root, mount, ROOT_PASSWORD).unwrap();
    rotate_root(&world, mount).unwrap();
    assert_eq!(world.target.account_count(), 1);
    world
}

fn connect_at(root: &Session, mount: &str, password: &str) -> Result<Response, Error> {
    let data = format!(
        r#"{{"plugin_name":"fake","allowed_roles":"*","username":"{ROOT_NAME}","password":"{password}",
            "connection_url":"fake://{{{{username}}}}:{{{{password}}}}@host/db"}}"#
    );
    ask(root, Operation::Write, &format!("{mount}/config/db"), &data)
}

/// Found by the simulation (seed 10,493).
#[test]
fn what_a_deleted_connection_has_left_is_undone_with_the_password_that_its_account_has_since() {
    let world = outdated("database");
    settle(&world, 3600);
    assert_eq!((world.target.account_count(), count(&world.root, "irrevocable")), (0, 0));
    world.vault.verify().unwrap();
}

#[test]
fn a_connection_of_another_mount_lends_its_password_to_none_and_one_that_is_written_anew_does() {
    let world = outdated("other");
    settle(&world, 3600);
    assert_eq!((world.target.account_count(), count(&world.root, "irrevocable")), (1, 1));
    connect_at(&world.root, "database", &world.target.root_password()).unwrap();
    let listed = ask(&world.root, Operation::Read, "sys/leases", r#"{"type":"irrevocable"}"#).unwrap().data.unwrap();
    let id = listed.get("leases").and_then(Value::as_array).unwrap()[0].get("lease_id").and_then(Value::as_str).unwrap().to_owned();
    revoke(&world.root, &id, true).unwrap();
    assert_eq!((world.target.account_count(), count(&world.root, "irrevocable")), (0, 0));
    world.vault.verify().unwrap();
}

#[test]
fn a_change_of_the_own_password_ends_with_its_connection() {
    for unmounts in [false, true] {
        let world = world();
        creds(&world.root).unwrap();
        world.target.plan(Duty::SetPassword, &[Fault::UnknownNotDone]);
        rotate_root(&world, "database").unwrap_err();
        world.target.plan(Duty::Revoke, &[Fault::Unreachable; 2]);
        let path = if unmounts { "sys/mounts/database" } else { "database/config/db" };
        ask(&world.root, Operation::Delete, path, "").unwrap();
        if unmounts {
            ask(&world.root, Operation::Write, "sys/mounts/database", r#"{"type":"database"}"#).unwrap();
        }
        connect_at(&world.root, "database", ROOT_PASSWORD).unwrap();
        settle(&world, 600);
        assert_eq!(world.target.root_password(), ROOT_PASSWORD, "no password is set that only the deleted connection knows");
        assert_eq!(world.target.account_count(), 0);
        rotate_root(&world, "database").unwrap();
        world.vault.verify().unwrap();
    }
}

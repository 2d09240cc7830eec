//! Leases: how long they last, what ends them, and that the target holds what they say, whatever fails.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/target.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use support::*;
use vault_core::host::{LeaseChange, LeaseHook, LeaseNotice};
use vault_core::storage::Storage;
use vault_core::storage::faulty::{Fault as StoreFault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Code, Object, Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{BackupSeals, Config, Session, TokenOptions, UnsealKey, Vault};

fn ttl(session: &Session, id: &str) -> u64 {
    lookup(session, id).unwrap().get("ttl").and_then(Value::as_u64).unwrap()
}

fn token(world: &World, ttl_seconds: u64) -> Session {
    let policy = r#"path "database/creds/*" { capabilities = ["read"] }"#;
    world.root.policies().write("creds", policy).unwrap();
    let options = TokenOptions { policies: vec!["creds".to_owned()], ttl: Some(Ttl::from_secs(ttl_seconds)), ..TokenOptions::default() };
    world.vault.session(world.root.tokens().create(options).unwrap().client_token)
}

#[test]
fn a_lease_lasts_as_its_role_says_within_the_mounts_maximum() {
    let world = world();
    role(&world.root, "plain", "{}");
    assert_eq!(creds_of(&world.root, "plain").unwrap().seconds, 768 * 3600, "the system's");
    ask(&world.root, Operation::Write, "sys/mounts/database/tune", r#"{"default_lease_ttl":"2h","max_lease_ttl":"10h"}"#).unwrap();
    assert_eq!(creds_of(&world.root, "plain").unwrap().seconds, 2 * 3600, "the mount's");
    assert_eq!(creds(&world.root).unwrap().seconds, 3600, "the role's");
    role(&world.root, "long", r#"{"default_ttl":"20h"}"#);
    assert_eq!(creds_of(&world.root, "long").unwrap().seconds, 10 * 3600, "at most the mount's");
    role(&world.root, "short", r#"{"max_ttl":"30m"}"#);
    assert_eq!(creds_of(&world.root, "short").unwrap().seconds, 1800, "at most the role's");
}

#[test]
fn an_increment_counts_from_now_and_never_goes_past_the_maximum() {
    let world = world();
    let one = creds(&world.root).unwrap();
    world.clock.advance(Ttl::from_secs(1800));
    assert_eq!(ttl(&world.root, &one.lease_id), 1800);
    let renewed = renew(&world.root, &one.lease_id, 0).unwrap();
    assert_eq!((renewed.lease_duration.as_secs(), renewed.renewable, renewed.lease_id.as_str()), (3600, true, one.lease_id.as_str()));
    assert_eq!(ttl(&world.root, &one.lease_id), 3600);
    assert_eq!(renew(&world.root, &one.lease_id, 60).unwrap().lease_duration.as_secs(), 60, "a shorter one counts too");
    let capped = renew(&world.root, &one.lease_id, 30 * 3600).unwrap();
    assert_eq!(capped.lease_duration.as_secs(), 24 * 3600 - 1800);
    assert_eq!(capped.warnings.len(), 1);
    assert_eq!(world.target.state.lock().unwrap().expirations[&one.username], Timestamp::from_secs(START + 24 * 3600));
    world.clock.advance(Ttl::from_secs(24 * 3600 - 1801));
    assert_eq!(renew(&world.root, &one.lease_id, 3600).unwrap().lease_duration.as_secs(), 1);
    world.clock.advance(Ttl::from_secs(1));
    assert_eq!(renew(&world.root, &one.lease_id, 3600).unwrap_err().code(), Code::LeaseEnded);
    settle(&world, 1);
    assert!(world.target.accounts().is_empty());
}

#[test]
fn a_renewal_that_the_target_refuses_leaves_the_lease_as_it_was() {
    let world = world();
    let one = creds(&world.root).unwrap();
    world.clock.advance(Ttl::from_secs(600));
    for fault in [Fault::Refused, Fault::Unreachable, Fault::UnknownDone, Fault::PanicsBefore] {
        world.target.plan(Duty::Renew, &[fault]);
        assert!(renew(&world.root, &one.lease_id, 0).is_err(), "{fault:?}");
        assert_eq!(ttl(&world.root, &one.lease_id), 3000, "{fault:?}");
    }
    renew(&world.root, &one.lease_id, 0).unwrap();
}

#[test]
fn a_lease_is_never_valid_past_the_end_of_its_token_and_ends_with_it() {
    let world = world();
    let caller = token(&world, 600);
    let one = creds(&caller).unwrap();
    assert_eq!(one.seconds, 600);
    assert_eq!(renew(&world.root, &one.lease_id, 3600).unwrap().lease_duration.as_secs(), 600);
    // Revoked: its leases end with that commit, and so do those of its children.
    let (one, kept) = (creds(&caller).unwrap(), creds(&world.root).unwrap());
    caller.tokens().revoke_self().unwrap();
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded);
    assert_eq!(renew(&world.root, &one.lease_id, 60).unwrap_err().code(), Code::LeaseEnded);
    assert_eq!(count(&world.root, ""), 1);
    settle(&world, 1);
    assert_eq!(world.target.accounts(), BTreeSet::from([kept.username]));
    // Expired: the same.
    let caller = token(&world, 60);
    creds(&caller).unwrap();
    world.clock.advance(Ttl::from_secs(60));
    settle(&world, 1);
    assert_eq!(world.target.accounts().len(), 1);
    world.vault.verify().unwrap();
}

#[test]
fn leases_are_listed_counted_and_ended_by_prefix() {
    let world = world();
    role(&world.root, "rw", "{}");
    let many: Vec<Creds> = (0..30).map(|_| creds(&world.root).unwrap()).collect();
    let other = creds_of(&world.root, "rw").unwrap();
    let keys = |path: &str, data: &str| -> Vec<String> {
        let data = ask(&world.root, Operation::List, path, data).unwrap().data.unwrap();
        data.get("keys").and_then(Value::as_array).unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys("sys/leases/lookup/", ""), ["database/"]);
    assert_eq!(keys("sys/leases/lookup/database/creds", ""), ["ro/", "rw/"]);
    let all = keys("sys/leases/lookup/database/creds/ro/", "");
    assert_eq!(all.len(), 30);
    let page = keys("sys/leases/lookup/database/creds/ro/", &format!(r#"{{"limit":10,"after":"{}"}}"#, all[9]));
    assert_eq!(page, all[10..20]);
    assert_eq!(count(&world.root, ""), 31);
    ask(&world.root, Operation::Write, "sys/leases/revoke-prefix/database/creds/ro", r#"{"sync":true}"#).unwrap();
    assert_eq!(world.target.accounts(), BTreeSet::from([other.username]));
    assert_eq!(count(&world.root, ""), 1);
    assert_eq!(ask(&world.root, Operation::List, "sys/leases/lookup/database/creds/ro", "").unwrap_err().code(), Code::NotFound);
    assert_eq!(lookup(&world.root, &many[3].lease_id).unwrap_err().code(), Code::InvalidRequest);
    // What is granted afterwards is not touched by what was ended before, a folder is one, and one lease is a prefix too.
    let one = creds(&world.root).unwrap();
    ask(&world.root, Operation::Write, "sys/leases/revoke-prefix/database/creds/r", "").unwrap();
    settle(&world, 1);
    lookup(&world.root, &one.lease_id).unwrap();
    ask(&world.root, Operation::Write, &format!("sys/leases/revoke-prefix/{}", one.lease_id), "").unwrap();
    settle(&world, 1);
    assert_eq!(world.target.accounts().len(), 1);
    world.vault.verify().unwrap();
}

#[test]
fn the_older_paths_and_ids_in_the_path_do_the_same() {
    let world = world();
    let one = creds(&world.root).unwrap();
    let data = format!(r#"{{"lease_id":"{}"}}"#, one.lease_id);
    for (path, data) in [("sys/renew", data.as_str()), ("sys/leases/renew", &data)] {
        ask(&world.root, Operation::Write, path, data).unwrap();
    }
    ask(&world.root, Operation::Write, &format!("sys/leases/renew/{}", one.lease_id), "").unwrap();
    ask(&world.root, Operation::Write, &format!("sys/renew/{}", one.lease_id), r#"{"increment":"10m"}"#).unwrap();
    assert_eq!(ttl(&world.root, &one.lease_id), 600);
    ask(&world.root, Operation::Write, &format!("sys/revoke/{}", one.lease_id), "").unwrap();
    ask(&world.root, Operation::Write, "sys/revoke", &data).unwrap();
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded);
    ask(&world.root, Operation::Write, "sys/leases/tidy", "").unwrap();
    settle(&world, 1);
    assert_eq!(world.target.calls(Duty::Revoke), 1, "once");
    assert!(ask(&world.root, Operation::Write, "sys/leases/renew", "").is_err());
    ask(&world.root, Operation::Write, "sys/leases/revoke", r#"{"lease_id":"database/creds/ro/none"}"#).unwrap();
}

#[test]
fn a_target_is_told_six_times_ever_more_rarely_and_then_the_lease_is_irrevocable_until_it_is_forced() {
    let hook = Arc::new(Notes::default());
    let world = world_on(Config::in_memory().with_lease_hook(hook.clone()));
    let one = creds(&world.root).unwrap();
    world.target.always(Some(Fault::Refused));
    assert_eq!(revoke(&world.root, &one.lease_id, true).unwrap_err().code(), Code::RevocationPending);
    assert_eq!(lookup(&world.root, &one.lease_id).unwrap_err().code(), Code::LeaseEnded);
    assert_eq!((count(&world.root, ""), count(&world.root, "ending")), (0, 1));
    let mut at = vec![world.clock_millis()];
    while count(&world.root, "irrevocable") == 0 {
        let calls = world.target.calls(Duty::Revoke);
        let next = world.vault.tick().unwrap().unwrap();
        if world.target.calls(Duty::Revoke) > calls {
            at.push(world.clock_millis());
        }
        world.clock.set(next.max(Timestamp::from_millis(world.clock_millis())));
    }
    assert_eq!(world.target.calls(Duty::Revoke), 6);
    for (waited, whole) in at.windows(2).map(|pair| pair[1] - pair[0]).zip([10_000, 20_000, 40_000, 80_000, 160_000]) {
        assert!((whole / 2..=whole * 3 / 2).contains(&waited), "{waited} ms where {whole} are meant");
    }
    settle(&world, 100_000);
    assert_eq!(world.target.calls(Duty::Revoke), 6, "no more");
    let listed = ask(&world.root, Operation::Read, "sys/leases", r#"{"type":"irrevocable"}"#).unwrap().data.unwrap();
    let listed = &listed.get("leases").and_then(Value::as_array).unwrap()[0];
    assert_eq!(listed.get("lease_id").and_then(Value::as_str), Some(one.lease_id.as_str()));
    assert!(listed.get("error").and_then(Value::as_str).unwrap().contains("as it was told"));
    assert_eq!(hook.of(LeaseChange::Irrevocable), 1);
    let events = ask(&world.root, Operation::Read, "sys/audit-log/events", r#"{"limit":1000}"#).unwrap().data.unwrap();
    let text = String::from_utf8(events.to_json().to_vec()).unwrap();
    assert_eq!(text.matches(r#""operation":"irrevocable""#).count(), 1);
    ask(&world.root, Operation::Write, "sys/leases/revoke-force/database", "").unwrap();
    assert_eq!((count(&world.root, "ending"), count(&world.root, "irrevocable")), (0, 0));
    assert_eq!(world.target.accounts().len(), 1, "that is left to whoever forced it");
    world.vault.verify().unwrap();
}

#[test]
fn an_irrevocable_lease_can_be_revoked_anew() {
    let world = world();
    let one = creds(&world.root).unwrap();
    world.target.always(Some(Fault::UnknownNotDone));
    revoke(&world.root, &one.lease_id, false).unwrap();
    settle(&world, 3_600);
    assert_eq!(count(&world.root, "irrevocable"), 1);
    world.target.heal();
    settle(&world, 3_600);
    assert_eq!(count(&world.root, "irrevocable"), 1);
    revoke(&world.root, &one.lease_id, true).unwrap();
    assert!(world.target.accounts().is_empty());
    assert_eq!(count(&world.root, "irrevocable"), 0);
}

#[derive(Default)]
struct Notes(Mutex<Vec<LeaseNotice>>);

impl LeaseHook for Notes {
    fn changed(&self, notice: &LeaseNotice) {
        self.0.lock().unwrap().push(notice.clone());
        assert!(notice.change != LeaseChange::Granted, "a hook's panic is dropped");
    }
}

impl Notes {
    fn of(&self, change: LeaseChange) -> usize {
        self.0.lock().unwrap().iter().filter(|notice| notice.change == change).count()
    }
}

#[test]
fn a_hook_is_told_of_each_lease_once() {
    let hook = Arc::new(Notes::default());
    let world = world_on(Config::in_memory().with_lease_hook(hook.clone()));
    let one = creds(&world.root).unwrap();
    creds(&world.root).unwrap();
    renew(&world.root, &one.lease_id, 0).unwrap();
    let told = || {
        [LeaseChange::Granted, LeaseChange::Renewed, LeaseChange::ExpiringSoon, LeaseChange::Revoked, LeaseChange::Irrevocable]
            .map(|change| hook.of(change))
    };
    world.vault.tick().unwrap();
    assert_eq!(told(), [2, 1, 0, 0, 0]);
    world.clock.advance(Ttl::from_secs(3_400));
    world.vault.tick().unwrap();
    world.clock.advance(Ttl::from_secs(100));
    world.vault.tick().unwrap();
    assert_eq!(told(), [2, 1, 2, 0, 0]);
    world.clock.advance(Ttl::from_secs(100));
    settle(&world, 10);
    assert_eq!(told(), [2, 1, 2, 2, 0]);
}

#[test]
fn how_long_accounts_outlive_their_leases_is_measured_to_the_target() {
    let world = world();
    let figure = |name: &str| {
        let text = world.vault.metrics();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok()).unwrap()
    };
    let measured = || (figure("libvault_account_removal_seconds_count"), figure("libvault_account_removal_seconds_sum"));
    let (revoked, _expires) = (creds(&world.root).unwrap(), creds(&world.root).unwrap());
    revoke(&world.root, &revoked.lease_id, false).unwrap();
    world.clock.advance(Ttl::from_secs(30));
    world.vault.tick().unwrap();
    assert_eq!(measured(), (1.0, 30.0), "from its revocation on");
    world.clock.advance(Ttl::from_secs(3_600));
    world.vault.tick().unwrap();
    assert_eq!(measured(), (2.0, 60.0), "from its own end on, 30 s before");
    let stuck = creds(&world.root).unwrap();
    world.target.always(Some(Fault::Unreachable));
    revoke(&world.root, &stuck.lease_id, false).unwrap();
    settle(&world, 7_200);
    assert_eq!((measured().0, figure("libvault_leases_irrevocable_total")), (2.0, 1.0));
    ask(&world.root, Operation::Write, "sys/leases/revoke-force/database", "").unwrap();
    settle(&world, 60);
    assert_eq!((count(&world.root, "irrevocable"), measured().0), (0, 2.0), "the lease is gone, and not its account");
}

#[test]
fn a_creation_that_fails_in_whichever_way_leaves_no_account_behind() {
    for fault in FAULTS.into_iter().chain([Fault::Delayed]) {
        let world = world();
        let kept = creds(&world.root).unwrap();
        world.target.plan(Duty::Create, &[fault]);
        let error = creds(&world.root).err().unwrap();
        assert!(matches!(error.code(), Code::TargetRefused | Code::TargetUnavailable), "{fault:?}: {error}");
        assert_eq!(count(&world.root, ""), 1);
        settle(&world, 120);
        assert_eq!(world.target.accounts(), BTreeSet::from([kept.username.clone()]), "{fault:?}");
        for kind in ["ending", "irrevocable", "due"] {
            assert_eq!(count(&world.root, kind), 0, "{fault:?}");
        }
        world.vault.verify().unwrap();
    }
}

#[test]
fn what_a_target_refused_for_sure_is_not_counted_as_irrevocable_when_it_cannot_be_undone() {
    for (fault, irrevocable) in [(Fault::Unreachable, 0), (Fault::Refused, 0), (Fault::UnknownNotDone, 1)] {
        let world = world();
        world.target.plan(Duty::Create, &[fault]);
        creds(&world.root).err().unwrap();
        world.target.always(Some(Fault::Unreachable));
        settle(&world, 7_200);
        assert_eq!(count(&world.root, "irrevocable"), irrevocable, "{fault:?}");
        assert_eq!(count(&world.root, "ending"), 0, "{fault:?}");
    }
}

#[test]
fn a_connector_that_stalls_holds_up_nobody_else_and_its_account_is_not_undone_meanwhile() {
    let world = world();
    world.target.plan(Duty::Create, &[Fault::Stalls]);
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| creds(&world.root));
        world.target.wait_for_stall();
        world.root.kv("secret").put("a", Object::new().with("k", "v")).unwrap();
        world.vault.tick().unwrap();
        world.clock.advance(Ttl::from_secs(300));
        world.vault.tick().unwrap();
        // The fake keeps its own lock no longer than a call that does not stall.
        let sealed = world.vault.seal().unwrap();
        let vault = sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
        vault.tick().unwrap();
        assert_eq!(world.target.calls(Duty::Revoke), 0, "it is being made still, in an opening that is over");
        world.target.let_go();
        assert!(stalled.join().unwrap().is_err());
    });
    assert_eq!(world.target.accounts().len(), 1);
    settle(&world, 120);
    assert!(world.target.accounts().is_empty());
}

#[test]
fn a_thousand_leases_that_end_together_do_not_flood_their_target() {
    let world = world();
    for _ in 0..1_000 {
        creds(&world.root).unwrap();
    }
    world.clock.advance(Ttl::from_secs(3_600));
    assert_eq!(count(&world.root, ""), 0);
    world.vault.tick().unwrap();
    let told = world.target.calls(Duty::Revoke);
    assert!((1..=64).contains(&told), "{told} in one tick");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..40).for_each(|_| assert!(world.vault.tick().is_ok())));
        }
    });
    settle(&world, 1);
    assert!(world.target.accounts().is_empty());
    assert_eq!(world.target.calls(Duty::Revoke), 1_000, "each once");
    assert!(world.target.state.lock().unwrap().most_under_way <= 4);
    world.vault.verify().unwrap();
}

#[test]
fn a_target_that_does_not_answer_is_asked_once_a_tick() {
    let world = world();
    for _ in 0..50 {
        creds(&world.root).unwrap();
    }
    world.target.always(Some(Fault::Unreachable));
    world.clock.advance(Ttl::from_secs(3_600));
    let before = world.target.calls(Duty::Revoke);
    world.vault.tick().unwrap();
    assert_eq!(world.target.calls(Duty::Revoke), before + 1);
    world.target.heal();
    settle(&world, 600);
    assert!(world.target.accounts().is_empty());
}

#[test]
fn clocks_that_step_by_years_lose_no_lease_and_revoke_none_twice() {
    const YEAR: u64 = 365 * 86_400;
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    let at = |secs| world.clock.set(Timestamp::from_secs(secs));
    creds(&world.root).unwrap();
    world.vault.tick().unwrap();
    at(START + 4 * YEAR);
    settle(&world, 10);
    assert!(world.target.accounts().is_empty());
    assert_eq!(world.target.calls(Duty::Revoke), 1);
    // What was to be told again is told though the clock stepped back behind it.
    creds(&world.root).unwrap();
    world.target.plan(Duty::Revoke, &[Fault::Refused]);
    at(START + 5 * YEAR);
    world.vault.tick().unwrap();
    at(START);
    settle(&world, 10);
    assert!(world.target.accounts().is_empty());
    // What is granted after a step back ends in time.
    let one = creds(&world.root).unwrap();
    at(START + 3_599);
    settle(&world, 0);
    assert_eq!(world.target.accounts().len(), 1);
    lookup(&world.root, &one.lease_id).unwrap();
    let world = reopen(Arc::new(storage.copy()), &world);
    world.clock.set(Timestamp::from_secs(START + 3_600));
    settle(&world, 0);
    assert!(world.target.accounts().is_empty());
    world.vault.verify().unwrap();
}

#[test]
fn quotas_bound_how_many_leases_there_are() {
    let world = world();
    role(&world.root, "rw", "{}");
    ask(&world.root, Operation::Write, "sys/quotas/lease-count/few", r#"{"path":"database/creds/ro","max_leases":3}"#).unwrap();
    let made: Vec<Creds> = (0..3).map(|_| creds(&world.root).unwrap()).collect();
    assert_eq!(creds(&world.root).err().unwrap().code(), Code::RateLimited);
    assert_eq!(world.target.accounts().len(), 3);
    creds_of(&world.root, "rw").unwrap();
    let shown = ask(&world.root, Operation::Read, "sys/quotas/lease-count/few", "").unwrap().data.unwrap();
    assert_eq!(shown.get("counter").and_then(Value::as_u64), Some(3));
    revoke(&world.root, &made[0].lease_id, false).unwrap();
    creds(&world.root).unwrap();
    // However many ask at once.
    ask(&world.root, Operation::Write, "sys/quotas/lease-count/few", r#"{"path":"","max_leases":10}"#).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|_| drop(creds(&world.root))));
        }
    });
    assert_eq!(count(&world.root, ""), 10);
    ask(&world.root, Operation::Delete, "sys/quotas/lease-count/few", "").unwrap();
    creds(&world.root).unwrap();
    assert!(ask(&world.root, Operation::List, "sys/quotas/lease-count", "").is_err());
}

#[test]
fn revocation_wins_every_race_against_renewal_and_against_the_grant() {
    for round in 0..30 {
        let world = world();
        let one = creds(&world.root).unwrap();
        let caller = token(&world, 3_600);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..5).for_each(|_| drop(renew(&world.root, &one.lease_id, 7_200))));
            scope.spawn(|| (0..5).for_each(|_| drop(creds(&caller))));
            scope.spawn(|| assert!(world.vault.tick().is_ok()));
            match round % 2 {
                0 => drop(revoke(&world.root, &one.lease_id, false).unwrap()),
                _ => drop(ask(&world.root, Operation::Write, "sys/leases/revoke-prefix/database", "").unwrap()),
            }
            while let Err(error) = caller.tokens().revoke_self() {
                assert_eq!(error.code(), Code::Conflict, "{error}");
            }
        });
        assert!(lookup(&world.root, &one.lease_id).is_err());
        assert!(renew(&world.root, &one.lease_id, 60).is_err());
        settle(&world, 120);
        assert!(world.target.accounts().is_empty(), "round {round}: {:?}", world.target.accounts());
        assert_eq!(count(&world.root, ""), 0);
    }
}

#[test]
fn a_restored_vault_shows_what_it_would_revoke_and_tells_no_target_until_it_is_adopted() {
    let world = world();
    creds(&world.root).unwrap();
    let ended = creds(&world.root).unwrap();
    revoke(&world.root, &ended.lease_id, false).unwrap();
    let mut backup = Vec::new();
    world.root.backup().to_writer(&mut backup, &BackupSeals::Own).unwrap();
    world.clock.advance(Ttl::from_secs(3_600));
    let config = Config::in_memory().with_clock(world.clock.clone()).with_connector(world.target.clone());
    let (vault, _) = Vault::restore(config, &mut backup.as_slice(), &UnsealKey::raw_key(&KEY).unwrap()).unwrap();
    let root = vault.session(SecretString::copy_from(&world.token));
    vault.tick().unwrap();
    assert_eq!(world.target.accounts().len(), 2);
    assert_eq!((count(&root, ""), count(&root, "due"), count(&root, "ending")), (0, 1, 1));
    assert_eq!(creds(&root).err().unwrap().code(), Code::Frozen);
    assert_eq!(revoke(&root, &ended.lease_id, true).unwrap_err().code(), Code::Frozen);
    assert_eq!(world.target.accounts().len(), 2);
    ask(&root, Operation::Write, "sys/storage/adopt", "").unwrap();
    vault.tick().unwrap();
    vault.tick().unwrap();
    assert!(world.target.accounts().is_empty());
}

/// What is done in the lives that crash.
const STORIES: [&str; 4] = ["creds", "renew", "revoke", "rotate"];

fn tell(world: &World, story: &str, id: &str) {
    // Whatever it answers: the store may have failed under it.
    let root = &world.root;
    match story {
        "creds" => drop(creds(root)),
        "renew" => drop(renew(root, id, 7_200)),
        "revoke" => drop(revoke(root, id, true)),
        _ => drop(ask(root, Operation::Write, "database/rotate-root/db", "")),
    }
    for _ in 0..3 {
        let _whatever = world.vault.tick();
    }
}

#[test]
fn whichever_commit_a_crash_cuts_off_the_target_comes_to_hold_the_accounts_of_live_leases() {
    let prepared = {
        let storage = Arc::new(MemoryStorage::new());
        let world = world_on(Config::on(storage.clone()));
        let one = creds(&world.root).unwrap();
        (storage, world, one)
    };
    let (storage, old, one) = prepared;
    let mut crashes = 0;
    for story in STORIES {
        for fault in [StoreFault::Lost, StoreFault::Applied] {
            for nth in 1.. {
                // The same target each time: with the one account, and the password that the store knows.
                let target = Fake::new();
                target.state.lock().unwrap().accounts.insert(one.username.clone(), one.password.clone());
                old.clock.set(Timestamp::from_secs(START + 10));
                let old =
                    World { target, vault: old.vault.clone(), root: old.root.clone(), token: old.token.clone(), clock: old.clock.clone() };
                let faulty = Arc::new(FaultyStorage::over(storage.copy()));
                let world = reopen(faulty.clone(), &old);
                faulty.fail_commit(faulty.commit_number() + nth, fault);
                tell(&world, story, &one.lease_id);
                let crashed = world.vault.tick().is_err();
                let restarted = Arc::new(faulty.restart());
                drop(world);
                let world = reopen(restarted, &old);
                settle(&world, 200);
                let live = count(&world.root, "");
                let what = format!("{story}, {fault:?}, commit {nth}");
                assert_eq!(world.target.accounts().len() as u64, live, "{what}: {:?}", world.target.accounts());
                let holds = lookup(&world.root, &one.lease_id).is_ok();
                assert_eq!(holds, world.target.accounts().contains(&one.username), "{what}");
                assert!(holds || story == "revoke", "{what}");
                creds(&world.root).unwrap_or_else(|error| panic!("{what}: the vault knows its password: {error}"));
                world.vault.verify().unwrap();
                world.clock.advance(Ttl::from_secs(26 * 3_600));
                settle(&world, 200);
                assert!(world.target.accounts().is_empty(), "{what}");
                for kind in ["", "due", "ending", "irrevocable"] {
                    assert_eq!(count(&world.root, kind), 0, "{what}: {kind}");
                }
                if !crashed {
                    assert!(nth > 2, "{what}: it commits at least twice");
                    break;
                }
                crashes += 1;
            }
        }
    }
    eprintln!("{crashes} crashes");
    assert!(crashes > 20);
}

/// Makes so many leases, then opens the store anew and looks at what that reads.
fn many(leases: u64) {
    let storage = Arc::new(MemoryStorage::new());
    let world = world_on(Config::on(storage.clone()));
    for _ in 0..leases {
        creds(&world.root).unwrap();
    }
    let counting = Arc::new(Counting { inner: storage.copy(), read: Mutex::default() });
    let again = reopen(counting.clone(), &world);
    again.vault.tick().unwrap();
    let read = *counting.read.lock().unwrap();
    eprintln!("{leases} leases; opening, unsealing and the first tick read {read} records");
    assert!(read < 1_000, "{read} records are read of {leases} leases");
    let one = creds(&again.root).unwrap();
    lookup(&again.root, &one.lease_id).unwrap();
    revoke(&again.root, &one.lease_id, true).unwrap();
    assert!(*counting.read.lock().unwrap() < 2_000);
}

/// Counts the records that are read.
struct Counting {
    inner: MemoryStorage,
    read: Mutex<u64>,
}

impl vault_core::storage::Read for Counting {
    fn get(&self, key: &vault_core::storage::Key) -> Result<Option<Vec<u8>>, vault_core::storage::StorageError> {
        *self.read.lock().unwrap() += 1;
        self.inner.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&vault_core::storage::Key>,
        limit: usize,
    ) -> Result<vault_core::storage::Page, vault_core::storage::StorageError> {
        let page = self.inner.scan(prefix, after, limit)?;
        *self.read.lock().unwrap() += page.len() as u64;
        Ok(page)
    }
}

impl Storage for Counting {
    fn commit_number(&self) -> u64 {
        self.inner.commit_number()
    }
    fn snapshot(&self) -> Result<Box<dyn vault_core::storage::Read + '_>, vault_core::storage::StorageError> {
        self.inner.snapshot()
    }
    fn commit(&self, batch: &vault_core::storage::Batch) -> Result<(), vault_core::storage::StorageError> {
        self.inner.commit(batch)
    }
    fn note_head(&self, number: u64, mac: &[u8; 32]) -> Result<(), vault_core::storage::StorageError> {
        self.inner.note_head(number, mac)
    }
    fn heads(&self) -> Result<Vec<(u64, [u8; 32])>, vault_core::storage::StorageError> {
        self.inner.heads()
    }
    fn write_segment(&self, index: u64, content: &[u8]) -> Result<(), vault_core::storage::StorageError> {
        self.inner.write_segment(index, content)
    }
    fn read_segment(&self, index: u64) -> Result<Option<Vec<u8>>, vault_core::storage::StorageError> {
        self.inner.read_segment(index)
    }
    fn remove_segment(&self, index: u64) -> Result<bool, vault_core::storage::StorageError> {
        self.inner.remove_segment(index)
    }
    fn close(&self) -> Result<(), vault_core::storage::StorageError> {
        self.inner.close()
    }
}

#[test]
fn opening_a_vault_loads_none_of_20_000_leases() {
    many(20_000);
}

#[test]
fn the_typed_face_looks_up_renews_lists_and_revokes() {
    let world = world();
    let one = creds(&world.root).unwrap();
    let leases = world.root.leases();
    let info = leases.lookup(&one.lease_id).unwrap();
    assert_eq!((info.id.as_str(), info.ttl.as_secs(), info.renewable), (one.lease_id.as_str(), 3600, true));
    assert_eq!(leases.renew(&one.lease_id, Some(Ttl::from_secs(60))).unwrap().as_secs(), 60);
    assert_eq!(leases.renew(&one.lease_id, None).unwrap().as_secs(), 3600);
    assert_eq!(leases.list("").unwrap(), ["database/"]);
    assert_eq!(leases.list("database/creds/ro").unwrap().len(), 1);
    assert!(leases.list("nothing/there").unwrap().is_empty());
    leases.revoke(&one.lease_id, true).unwrap();
    assert_eq!(leases.lookup(&one.lease_id).unwrap_err().code(), Code::InvalidRequest);
}

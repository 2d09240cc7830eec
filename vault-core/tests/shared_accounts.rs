//! Accounts that the tokens of one entity share: one at the target, a lease for each caller, gone with the last of them, whatever fails.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/identities.rs"]
mod identities;
#[path = "support/target.rs"]
mod support;

use identities::{alias, entity, logged_in, login_role, session_of};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;
use support::*;
use vault_core::host::{LeaseChange, LeaseHook, LeaseNotice};
use vault_core::storage::faulty::{Fault as StoreFault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Read, Storage};
use vault_core::types::{Auth, Code, Error, Object, Operation, Timestamp, Ttl, Value};
use vault_core::{Config, Session, Suspect};

fn text_of(value: &Value) -> String {
    String::from_utf8_lossy(&value.to_json()).into_owned()
}

/// A world whose role `ro` shares accounts by entity, with the entities `ann` and `bob`.
fn shared_on(config: Config) -> World {
    let world = world_on(config);
    role(&world.root, "ro", r#"{"credential_sharing":"entity"}"#);
    let everything = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#;
    world.root.policies().write("everything", everything).unwrap();
    login_role(&world.root, "");
    for name in ["ann", "bob"] {
        let id = entity(&world.root, name, "everything");
        alias(&world.root, &id, name);
    }
    world
}

fn shared() -> World {
    shared_on(Config::in_memory())
}

fn token_of(world: &World, name: &str) -> Session {
    session_of(&world.vault, &logged_in(&world.root, name, ""))
}

fn revoke_now(world: &World, lease: &str) {
    revoke(&world.root, lease, false).unwrap();
    world.vault.tick().unwrap();
}

fn expiry(world: &World, username: &str) -> Option<u64> {
    world.target.state.lock().unwrap().expirations.get(username).map(|at| at.as_secs() - START)
}

fn advance(world: &World, seconds: u64) {
    world.clock.advance(Ttl::from_secs(seconds));
}

#[test]
fn the_tokens_of_an_entity_are_given_one_account_with_a_lease_for_each() {
    let world = shared();
    let tokens = [0; 5].map(|_| token_of(&world, "ann"));
    let given: Vec<Creds> = tokens.iter().map(|token| creds(token).unwrap()).collect();
    let accounts: BTreeSet<_> = given.iter().map(|creds| (&creds.username, &creds.password)).collect();
    let leases: BTreeSet<_> = given.iter().map(|creds| &creds.lease_id).collect();
    assert_eq!((accounts.len(), leases.len(), world.target.calls(Duty::Create)), (1, 5, 1));
    assert_eq!(world.target.state.lock().unwrap().accounts[&given[0].username], given[0].password);
    // A child is of its parent's entity, another entity is another account, and a batch token has it by its parent.
    let child = tokens[0].tokens().create(Default::default()).unwrap();
    assert_eq!(creds(&world.vault.session(child.client_token)).unwrap().username, given[0].username);
    assert_ne!(creds(&token_of(&world, "bob")).unwrap().username, given[0].username);
    assert_eq!(world.target.accounts().len(), 2);
    let error = creds(&world.root).err().unwrap();
    assert_eq!(error.code(), Code::EntityRequired);
    assert!(error.to_string().contains("entity_alias"), "{error}");
    let told = ask(&world.root, Operation::Read, "database/roles/ro", "").unwrap().data.unwrap();
    assert_eq!(told.get("credential_sharing").and_then(Value::as_str), Some("entity"));
    let wrong = ask(&world.root, Operation::Write, "database/roles/ro", r#"{"credential_sharing":"all"}"#).unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidData);
    role(&world.root, "ro", r#"{"credential_sharing":"none"}"#);
    assert_ne!(creds(&tokens[0]).unwrap().username, given[0].username);
    world.vault.verify().unwrap();
}

#[test]
fn the_account_is_revoked_with_its_last_lease_and_the_store_forgets_it() {
    let storage = Arc::new(MemoryStorage::new());
    let world = shared_on(Config::on(storage.clone()));
    let (ann, bob) = (token_of(&world, "ann"), token_of(&world, "bob"));
    // What the first leases of tokens leave in the store is there.
    for token in [&ann, &bob] {
        revoke_now(&world, &creds(token).unwrap().lease_id);
    }
    let names = || -> BTreeSet<Vec<u8>> {
        let records = storage.scan(&[], None, 100_000).unwrap();
        records.into_iter().map(|(key, _)| key.as_bytes().to_vec()).filter(|key| key.len() >= 16).collect()
    };
    let (before, revocations) = (names(), world.target.calls(Duty::Revoke));
    let leases: Vec<String> = (0..4).map(|_| creds(&ann).unwrap().lease_id).collect();
    let others = creds(&bob).unwrap();
    for (left, lease) in (0..4).rev().zip(&leases) {
        assert!(lookup(&world.root, lease).is_ok());
        revoke_now(&world, lease);
        assert!(lookup(&world.root, lease).is_err());
        assert_eq!(world.target.accounts().len(), 1 + usize::from(left > 0), "{left} are left");
    }
    assert_eq!((world.target.calls(Duty::Revoke) - revocations, count(&world.root, "ending")), (1, 0));
    revoke(&world.root, &others.lease_id, true).unwrap();
    assert!(world.target.accounts().is_empty());
    let left: BTreeSet<_> = names().difference(&before).map(|key| key[..16].to_vec()).collect();
    assert!(left.len() <= 1, "the tail of the audit log, and nothing of accounts: {left:?}");
    // What comes then is a new one.
    let next = creds(&ann).unwrap();
    assert_eq!(world.target.accounts().into_iter().collect::<Vec<_>>(), [next.username]);
    world.vault.verify().unwrap();
}

#[test]
fn a_renewal_puts_the_account_off_to_the_latest_end_and_never_past_its_longest_life() {
    let world = shared();
    let [one, two] = [0; 2].map(|_| token_of(&world, "ann"));
    let first = creds(&one).unwrap();
    advance(&world, 600);
    let second = creds(&two).unwrap();
    assert_eq!((second.seconds, expiry(&world, &first.username)), (3600, Some(4200)), "the account lasts for the later one");
    renew(&one, &first.lease_id, 1800).unwrap();
    assert_eq!(expiry(&world, &first.username), Some(4200), "a shorter one brings no other's end forward");
    renew(&one, &first.lease_id, 7200).unwrap();
    assert_eq!(expiry(&world, &first.username), Some(7800));
    renew(&two, &second.lease_id, 3600).unwrap();
    assert_eq!(expiry(&world, &first.username), Some(7800), "nor does another's");
    // A day counts from the account's birth, and not from the lease's.
    let capped = renew(&two, &second.lease_id, 30 * 3600).unwrap();
    assert_eq!(capped.lease_duration.as_secs(), 24 * 3600 - 600);
    assert_eq!(expiry(&world, &first.username), Some(24 * 3600));
    advance(&world, 7200);
    world.vault.tick().unwrap();
    assert!(lookup(&world.root, &first.lease_id).is_err() && lookup(&world.root, &second.lease_id).is_ok());
    assert_eq!(world.target.accounts().len(), 1);
    advance(&world, 24 * 3600);
    world.vault.tick().unwrap();
    assert!(world.target.accounts().is_empty());
}

#[test]
fn an_account_that_is_too_old_or_made_in_another_way_gives_way_and_goes_with_its_leases() {
    let world = shared();
    let ann = token_of(&world, "ann");
    let old = creds(&ann).unwrap();
    advance(&world, 1800);
    renew(&ann, &old.lease_id, 24 * 3600).unwrap();
    // Half an hour of an hour is left on the day's account.
    advance(&world, 21 * 3600 + 3600);
    advance(&world, 1800 - 60);
    let late = creds(&ann).unwrap();
    assert_eq!((late.username.clone(), late.seconds), (old.username.clone(), 3600));
    advance(&world, 3600 - 1800);
    let last = creds(&ann).unwrap();
    assert_eq!((last.username.clone(), last.seconds), (old.username.clone(), 1860), "no longer than the account");
    advance(&world, 61);
    let new = creds(&ann).unwrap();
    assert_ne!(new.username, old.username);
    assert_eq!((new.seconds, world.target.accounts().len()), (3600, 2));
    for lease in [&old.lease_id, &late.lease_id] {
        revoke_now(&world, lease);
        assert_eq!(world.target.accounts().len(), 2);
    }
    revoke_now(&world, &last.lease_id);
    assert!(world.target.accounts().iter().eq([&new.username]));
    ask(&world.root, Operation::Write, "database/roles/ro", r#"{"creation_statements":["CREATE LESS"]}"#).unwrap();
    let less = creds(&ann).unwrap();
    assert_ne!(less.username, new.username);
    assert_eq!(creds(&ann).unwrap().username, less.username);
    world.vault.verify().unwrap();
}

#[test]
fn of_many_callers_at_once_one_makes_the_account_and_all_have_it() {
    let world = shared();
    world.target.plan(Duty::Create, &[Fault::Stalls]);
    let given: Vec<Result<Creds, Error>> = thread::scope(|scope| {
        let callers: Vec<_> = (0..24)
            .map(|_| {
                let token = token_of(&world, "ann");
                scope.spawn(move || creds(&token))
            })
            .collect();
        world.target.wait_for_stall();
        world.target.let_go();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let given: Vec<Creds> = given.into_iter().map(Result::unwrap).collect();
    let names: BTreeSet<_> = given.iter().map(|creds| creds.username.clone()).collect();
    assert_eq!((names.len(), world.target.calls(Duty::Create)), (1, 1));
    // They end at once too.
    thread::scope(|scope| {
        for one in &given {
            let world = &world;
            scope.spawn(move || revoke(&world.root, &one.lease_id, true).unwrap_or_default());
        }
    });
    settle(&world, 300);
    assert!(world.target.accounts().is_empty());
    assert_eq!((count(&world.root, ""), count(&world.root, "ending")), (0, 0));
}

#[test]
fn whatever_a_target_answers_no_account_is_left_and_nobody_has_one_that_is_gone() {
    for fault in FAULTS.into_iter().chain([Fault::Delayed]) {
        for duty in [Duty::Create, Duty::Renew, Duty::Revoke] {
            let world = shared();
            let [one, two] = [0; 2].map(|_| token_of(&world, "ann"));
            if duty == Duty::Create {
                world.target.plan(duty, &[fault]);
                assert!(creds(&one).is_err());
            }
            let mut given = vec![creds(&one).unwrap()];
            advance(&world, 60);
            world.target.plan(duty, if duty == Duty::Create { &[] } else { std::slice::from_ref(&fault) });
            given.extend(creds(&two).ok());
            given.push(creds(&one).unwrap());
            settle(&world, 200);
            for one in &given {
                assert!(
                    lookup(&world.root, &one.lease_id).is_ok() && world.target.accounts().contains(&one.username),
                    "{fault:?} {duty:?}"
                );
            }
            let at_target = world.target.state.lock().unwrap().expirations.get(&given[0].username).copied();
            let latest = given
                .iter()
                .filter_map(|one| lookup(&world.root, &one.lease_id).unwrap().get("expire_time")?.as_str().map(str::to_owned))
                .max();
            if let (Some(at_target), Some(latest)) = (at_target, latest.and_then(|latest| Timestamp::parse(&latest))) {
                assert!(at_target.as_secs() >= latest.as_secs(), "{fault:?} {duty:?}: the account lasts for all of its leases");
            }
            // What the target lets last no longer is given up: whoever comes next has another.
            let is_given_up = duty == Duty::Renew && matches!(fault, Fault::Refused | Fault::LiesRefused);
            assert_eq!(world.target.accounts().len(), 1 + usize::from(is_given_up), "{fault:?} {duty:?}");
            for one in &given {
                revoke_now(&world, &one.lease_id);
            }
            settle(&world, 600);
            assert!(world.target.accounts().is_empty(), "{fault:?} {duty:?}");
            assert_eq!((count(&world.root, ""), count(&world.root, "ending"), count(&world.root, "pending")), (0, 0, 0), "{fault:?}");
            assert!(creds(&one).is_ok());
            world.vault.verify().unwrap();
        }
    }
}

/// What is cut off by a crash: the account is made, joined, put off, left, and left by the last.
fn story(world: &World, ann: &Auth) -> Vec<Creds> {
    let token = session_of(&world.vault, ann);
    let mut given = Vec::new();
    given.extend(creds(&token).ok());
    advance(world, 60);
    given.extend(creds(&token).ok());
    if let Some(first) = given.first() {
        drop(renew(&token, &first.lease_id, 7200));
        drop(revoke(&token, &first.lease_id, false));
    }
    drop(world.vault.tick());
    if let Some(last) = given.last() {
        drop(revoke(&token, &last.lease_id, false));
    }
    drop(world.vault.tick());
    drop(creds(&token));
    given
}

#[test]
fn wherever_the_process_ends_each_account_is_known_and_each_lease_has_its_account() {
    let storage = Arc::new(MemoryStorage::new());
    let old = shared_on(Config::on(storage.clone()));
    let ann = logged_in(&old.root, "ann", "");
    let accounts = old.target.state.lock().unwrap().accounts.clone();
    for fault in [StoreFault::Lost, StoreFault::Applied] {
        for nth in 1.. {
            old.target.state.lock().unwrap().accounts = accounts.clone();
            old.clock.set(Timestamp::from_secs(START + 10));
            let faulty = Arc::new(FaultyStorage::over(storage.copy()));
            let world = reopen(faulty.clone(), &old);
            faulty.fail_commit(faulty.commit_number() + nth, fault);
            let given = story(&world, &ann);
            let crashed = world.vault.tick().is_err();
            let restarted = Arc::new(faulty.restart());
            drop(world);
            let world = reopen(restarted, &old);
            let what = format!("{fault:?} {nth}");
            // Somebody comes before anything is undone, and again behind it.
            let token = session_of(&world.vault, &ann);
            let [at_once, later] = [0; 2].map(|_| {
                let given = creds(&token).unwrap_or_else(|error| panic!("{what}: {error}"));
                settle(&world, 200);
                given
            });
            let mut leases = 0;
            for one in given.iter().chain([&at_once, &later]) {
                let holds = lookup(&world.root, &one.lease_id).is_ok();
                leases += u64::from(holds);
                let stored = world.target.state.lock().unwrap().accounts.get(&one.username).cloned();
                assert!(!holds || stored.as_ref() == Some(&one.password), "{what}: a lease on an account that is gone");
            }
            assert!(leases >= 2, "{what}");
            advance(&world, 26 * 3600);
            settle(&world, 400);
            assert!(world.target.accounts().is_empty(), "{what}: {:?}", world.target.accounts());
            for kind in ["", "due", "ending", "pending", "irrevocable"] {
                assert_eq!(count(&world.root, kind), 0, "{what}: {kind}");
            }
            world.vault.verify().unwrap();
            if !crashed {
                assert!(nth > 10, "{what}: it commits at least so often");
                break;
            }
        }
    }
}

#[test]
fn what_ends_many_at_once_ends_shared_leases_too() {
    for ends in ["prefix", "force", "token", "quarantine", "mount", "connection", "contain"] {
        let world = shared();
        let [one, two] = [0; 2].map(|_| token_of(&world, "ann"));
        let given = [&one, &two].map(|token| creds(token).unwrap());
        let bobs = creds(&token_of(&world, "bob")).unwrap();
        let root = &world.root;
        match ends {
            "prefix" => ask(root, Operation::Write, "sys/leases/revoke-prefix/database/creds/ro", "").map(drop),
            "force" => ask(root, Operation::Write, "sys/leases/revoke-force/database/creds/ro", "").map(drop),
            "token" => one.tokens().revoke_self(),
            "quarantine" => root.emergency().quarantine_entity("ann"),
            "mount" => ask(root, Operation::Delete, "sys/mounts/database", "").map(drop),
            "connection" => ask(root, Operation::Delete, "database/config/db", "").map(drop),
            _ => {
                let exposure = root.emergency().look("database/creds/ro", Timestamp::EPOCH).unwrap();
                assert_eq!((exposure.leases.len(), exposure.readers.len()), (3, 3));
                root.emergency().contain(&exposure, 100).map(drop)
            }
        }
        .unwrap();
        world.vault.tick().unwrap();
        world.vault.tick().unwrap();
        let left = world.target.accounts();
        match ends {
            "token" => {
                assert_eq!(left.len(), 2, "the other token has it still");
                assert!(lookup(root, &given[0].lease_id).is_err() && lookup(root, &given[1].lease_id).is_ok());
            }
            "quarantine" => assert_eq!(left.into_iter().collect::<Vec<_>>(), [bobs.username]),
            _ => assert!(left.is_empty(), "{ends}: {left:?}"),
        }
        world.vault.verify().unwrap();
    }
}

#[test]
fn nobody_is_given_an_account_whose_leases_were_ended_though_its_target_was_not_told_yet() {
    for ends in ["prefix", "force", "contain", "revoke", "token", "quarantine"] {
        let world = shared();
        let [one, two] = [0; 2].map(|_| token_of(&world, "ann"));
        let old = creds(&one).unwrap();
        let root = &world.root;
        match ends {
            "prefix" => ask(root, Operation::Write, "sys/leases/revoke-prefix/database/creds/ro", "").map(drop),
            "force" => ask(root, Operation::Write, "sys/leases/revoke-force/database/creds/ro", "").map(drop),
            "contain" => {
                let exposure = root.emergency().look("database/creds/ro", Timestamp::EPOCH).unwrap();
                let data = Object::new().with("path", "database/creds/ro").with("tokens", "keep");
                assert_eq!(exposure.leases.len(), 1);
                root.request(Operation::Write, "sys/emergency/contain", Some(data.into())).map(drop)
            }
            "revoke" => revoke(root, &old.lease_id, false).map(drop),
            "token" => one.tokens().revoke_self(),
            _ => root.emergency().quarantine_entity("ann").and_then(|()| root.emergency().release_entity("ann")),
        }
        .unwrap();
        let new = creds(&two).unwrap();
        assert_ne!(new.username, old.username, "{ends}");
        settle(&world, 200);
        let left: Vec<_> = world.target.accounts().into_iter().collect();
        assert_eq!(left, [new.username], "{ends}");
        world.vault.verify().unwrap();
    }
}

#[test]
fn what_a_join_asks_of_the_target_is_on_record_before_it_is_asked() {
    for fault in [Fault::UnknownDone, Fault::PanicsAfter] {
        let world = shared();
        let [one, two] = [0; 2].map(|_| token_of(&world, "ann"));
        let first = creds(&one).unwrap();
        advance(&world, 600);
        world.target.plan(Duty::Renew, &[fault]);
        assert!(creds(&two).is_err(), "{fault:?}");
        // The target may have taken the end that was asked for the second lease.
        let told = lookup(&world.root, &first.lease_id).unwrap();
        let asked = Timestamp::from_secs(START + 600 + 3_600).to_string();
        assert_eq!(told.get("asked_expire_time").and_then(Value::as_str), Some(asked.as_str()), "{fault:?}");
        // Once a later one was taken nothing is open any more.
        let joined = creds(&two).unwrap();
        assert_eq!(joined.username, first.username);
        let told = lookup(&world.root, &first.lease_id).unwrap();
        assert_eq!(told.get("asked_expire_time").and_then(Value::as_str), None, "{fault:?}");
        world.vault.verify().unwrap();
    }
}

#[test]
fn what_is_ended_by_prefix_while_an_account_is_joined_lets_nobody_have_it() {
    let world = shared();
    let [one, two] = [0; 2].map(|_| token_of(&world, "ann"));
    let prefix = || ask(&world.root, Operation::Write, "sys/leases/revoke-prefix/database/creds/ro", "").unwrap();
    let meanwhile = |duty, token: &Session| {
        world.target.state.lock().unwrap().hold_again();
        world.target.plan(duty, &[Fault::Stalls]);
        thread::scope(|scope| {
            let caller = scope.spawn(|| creds(token));
            world.target.wait_for_stall();
            prefix();
            world.target.let_go();
            caller.join().unwrap()
        })
    };
    // Nobody has the password of one that is being made: it stays, and is joined.
    let first = meanwhile(Duty::Create, &one).unwrap();
    assert_eq!(creds(&two).unwrap().username, first.username);
    advance(&world, 60);
    let error = meanwhile(Duty::Renew, &two).err().unwrap();
    assert_eq!(error.code(), Code::Conflict);
    settle(&world, 200);
    assert!(world.target.accounts().is_empty());
    assert_ne!(creds(&two).unwrap().username, first.username);
    world.vault.verify().unwrap();
}

#[test]
fn an_account_that_its_target_lets_last_no_longer_is_given_to_nobody_and_locks_nobody_out() {
    let world = shared();
    let [one, two] = [0; 2].map(|_| token_of(&world, "ann"));
    let old = creds(&one).unwrap();
    advance(&world, 60);
    // The target does not answer: it may well do so next time.
    world.target.plan(Duty::Renew, &[Fault::Unreachable, Fault::Refused]);
    assert_eq!(creds(&two).err().unwrap().code(), Code::TargetUnavailable);
    assert_eq!(creds(&two).err().unwrap().code(), Code::TargetRefused);
    // The administrator's roles let no account last longer from now on.
    world.target.plan(Duty::Renew, &[Fault::Refused; 20]);
    let new = creds(&two).unwrap();
    assert_ne!(new.username, old.username);
    assert_eq!(creds(&one).unwrap().username, new.username);
    // Whoever has the old one has it until its time is over.
    settle(&world, 200);
    assert!(lookup(&world.root, &old.lease_id).is_ok() && world.target.accounts().contains(&old.username));
    advance(&world, 2 * 3600);
    settle(&world, 200);
    assert!(world.target.accounts().is_empty());
    world.vault.verify().unwrap();
}

/// A hook that does what the host is promised: it calls back.
#[derive(Default)]
struct CallsBack {
    session: Mutex<Option<Session>>,
    seen: Mutex<Vec<Result<String, Code>>>,
}

impl LeaseHook for CallsBack {
    fn changed(&self, notice: &LeaseNotice) {
        let session = match notice.change {
            LeaseChange::Granted | LeaseChange::Renewed => self.session.lock().unwrap().take(),
            _ => None,
        };
        if let Some(session) = session {
            self.seen.lock().unwrap().push(creds(&session).map(|creds| creds.username).map_err(|error| error.code()));
            let renewed = renew(&session, &notice.lease_id, 7200).map(|_| "renewed".to_owned()).map_err(|error| error.code());
            self.seen.lock().unwrap().push(renewed);
        }
    }
}

#[test]
fn a_hook_that_is_told_of_a_lease_may_ask_for_the_same_account() {
    let hook = Arc::new(CallsBack::default());
    let world = shared_on(Config::in_memory().with_lease_hook(hook.clone()));
    let ann = token_of(&world, "ann");
    let asks_then = || *hook.session.lock().unwrap() = Some(token_of(&world, "ann"));
    let seen = || std::mem::take(&mut *hook.seen.lock().unwrap());
    asks_then();
    let given = creds(&ann).unwrap();
    assert_eq!(seen(), [Ok(given.username.clone()), Ok("renewed".to_owned())]);
    asks_then();
    renew(&ann, &given.lease_id, 9000).unwrap();
    assert_eq!(seen(), [Ok(given.username), Ok("renewed".to_owned())]);
    world.vault.verify().unwrap();
}

#[test]
fn a_containment_of_one_token_ends_the_account_that_it_shared_and_a_quarantine_lets_nobody_else_have_it() {
    let world = shared();
    let [one, two, three] = [0; 3].map(|_| logged_in(&world.root, "ann", ""));
    let [first, second, third] = [&one, &two, &three].map(|auth| session_of(&world.vault, auth));
    let old = [creds(&first).unwrap(), creds(&second).unwrap()];
    let emergency = world.root.emergency();
    emergency.quarantine(&one.accessor).unwrap();
    world.vault.tick().unwrap();
    let next = creds(&third).unwrap();
    assert_ne!(next.username, old[0].username, "its password may be known");
    assert!(lookup(&world.root, &old[1].lease_id).is_ok() && world.target.accounts().contains(&old[0].username));
    emergency.release(&one.accessor).unwrap();
    // One of those who share it names all who have it.
    let joined = creds(&second).unwrap();
    assert_eq!(joined.username, next.username);
    let exposure = emergency.look_at(&Suspect::Accessor(three.accessor), Timestamp::EPOCH).unwrap();
    let leases: BTreeSet<_> = exposure.leases.iter().collect();
    assert_eq!(leases, BTreeSet::from([&next.lease_id, &joined.lease_id]));
    let contained = emergency.contain(&exposure, 100).unwrap();
    assert!(contained.is_complete && contained.failed == 0, "{}", contained.timeline.join("\n"));
    assert_ne!(creds(&second).unwrap().username, next.username);
    settle(&world, 200);
    assert!(!world.target.accounts().contains(&next.username) && world.target.accounts().contains(&old[1].username));
    world.vault.verify().unwrap();
}

#[test]
fn a_look_for_an_entity_names_the_leases_that_only_the_store_knows() {
    let world = shared();
    // The lease of a batch token is its parent's, whom the log does not tell to be of the entity.
    login_role(&world.root, r#","token_type":"batch","orphan":false"#);
    let given = creds(&token_of(&world, "ann")).unwrap();
    let emergency = world.root.emergency();
    let exposure = emergency.look_at(&Suspect::Entity("ann".to_owned()), Timestamp::EPOCH).unwrap();
    assert!(exposure.leases.iter().eq([&given.lease_id]), "{exposure}");
    emergency.contain(&exposure, 100).unwrap();
    settle(&world, 200);
    assert!(lookup(&world.root, &given.lease_id).is_err() && world.target.accounts().is_empty());
}

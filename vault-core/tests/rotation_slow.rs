//! Targets that take their time, and changes of the connection's own password beside a rotation: waits begin with the answer, and nothing stops
//! that need not.
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/roles.rs"]
mod roles;
#[path = "support/target.rs"]
mod support;

use roles::*;
use support::*;
use vault_core::testing::known;
use vault_core::types::limits::LATE_PASSWORDS_MAX;
use vault_core::types::{Code, Error, Operation, Response, Ttl, Value};

/// Rotates the role with a target that stalls, and does something meanwhile.
fn meanwhile(world: &World, fault: Fault, what: impl FnOnce()) -> Result<Response, Error> {
    world.target.plan(Duty::SetPassword, &[fault]);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| write(&world.root, "rotate-role/app", ""));
        world.target.wait_for_stall();
        what();
        world.target.let_go();
        slow.join().unwrap()
    })
}

#[test]
fn what_a_target_did_not_answer_is_tested_only_once_it_has_settled_since_then() {
    let world = enrolled();
    let before = world.target.calls(Duty::Test);
    let pending = meanwhile(&world, Fault::StallsLost, || world.clock.advance(Ttl::from_secs(300))).unwrap_err();
    assert_eq!(pending.code(), Code::RotationPending, "{pending}");
    for _ in 0..5 {
        world.clock.advance(Ttl::from_secs(11));
        world.vault.tick().unwrap();
    }
    assert_eq!(world.target.calls(Duty::Test), before, "not within a minute after the call");
    world.clock.advance(Ttl::from_secs(10));
    world.vault.tick().unwrap();
    assert!(world.target.calls(Duty::Test) > before);
    settle(&world, 3600);
    assert_eq!(creds_now(&world.root).1, password_at(&world, "app"));
}

#[test]
fn a_grace_lasts_from_the_answer_on() {
    let world = world();
    account(&world, "app", "from-before");
    role_of(&world, r#"{"db_name":"db","username":"app","rotation_period":"24h","grace":"1h"}"#);
    meanwhile(&world, Fault::Stalls, || world.clock.advance(Ttl::from_secs(7200))).unwrap();
    world.vault.tick().unwrap();
    assert_eq!(text(&status(&world.root), "phase"), "grace", "it has not been an hour since it was promoted");
    world.clock.advance(Ttl::from_secs(3600));
    world.vault.tick().unwrap();
    assert_eq!(text(&status(&world.root), "phase"), "idle");
}

#[test]
fn a_change_of_the_connections_own_password_meanwhile_stops_no_rotation() {
    let world = enrolled();
    let rotated = meanwhile(&world, Fault::Stalls, || {
        ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
    });
    assert!(rotated.is_ok(), "{rotated:?}");
    assert_ne!(world.target.root_password(), ROOT_PASSWORD);
    assert_eq!(creds_now(&world.root).1, password_at(&world, "app"));
    assert_eq!(status(&world.root).get("needs_attention").and_then(Value::as_bool), Some(false));
    world.vault.verify().unwrap();
}

/// A connection whose change of its own password is in doubt, and which its target goes on refusing to change.
fn in_doubt() -> World {
    let world = enrolled();
    world.target.plan(Duty::SetPassword, &[Fault::UnknownNotDone]);
    assert_eq!(ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap_err().code(), Code::TargetUnavailable);
    world.target.plan(Duty::SetPassword, &[Fault::Refused; 20]);
    settle(&world, 60);
    assert_eq!(world.target.root_password(), ROOT_PASSWORD);
    assert!(creds(&world.root).is_err(), "no credentials are made meanwhile");
    world
}

#[test]
fn a_change_of_the_own_password_that_is_refused_for_ever_is_given_up_once_the_old_one_was_seen_to_work() {
    let world = in_doubt();
    // Not while the target does not tell.
    world.target.plan(Duty::Test, &[Fault::Unreachable]);
    assert_eq!(ask(&world.root, Operation::Write, "database/settle-root/db", "").unwrap_err().code(), Code::TargetUnavailable);
    let settled = ask(&world.root, Operation::Write, "database/settle-root/db", "").unwrap();
    assert_eq!(text(&settled.data.unwrap(), "works"), "old");
    creds(&world.root).unwrap();
    let sets = world.target.calls(Duty::SetPassword);
    settle(&world, 600);
    assert_eq!(world.target.calls(Duty::SetPassword), sets, "it is not set again");
    world.target.heal();
    write(&world.root, "rotate-role/app", "").unwrap();
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
    assert_ne!(world.target.root_password(), ROOT_PASSWORD);
    creds(&world.root).unwrap();
    world.vault.verify().unwrap();
}

#[test]
fn what_was_given_up_and_comes_late_locks_nobody_out() {
    let world = in_doubt();
    ask(&world.root, Operation::Write, "database/settle-root/db", "").unwrap();
    world.target.heal();
    let (name, late) = world.target.state.lock().unwrap().last_set.clone();
    assert_eq!(name, ROOT_NAME);
    world.target.state.lock().unwrap().accounts.insert(name, late);
    assert_eq!(creds(&world.root).err().map(|error| error.code()), Some(Code::TargetRefused));
    // Rotations go on with it, and whoever asks is told.
    write(&world.root, "rotate-role/app", "").unwrap();
    let settled = ask(&world.root, Operation::Write, "database/settle-root/db", "").unwrap();
    assert_eq!(text(&settled.data.unwrap(), "works"), "given-up");
    creds(&world.root).unwrap();
    world.vault.verify().unwrap();
}

#[test]
fn whoever_knows_the_password_that_the_target_has_ends_a_change_of_it_by_writing_the_connection() {
    let world = in_doubt();
    // A wrong one is tried and refused, and all stays as it was.
    let wrong = ask(&world.root, Operation::Write, "database/config/db", r#"{"password":"wrong","verify_connection":false}"#).unwrap_err();
    assert_eq!(wrong.code(), Code::TargetRefused, "{wrong}");
    let data = format!(r#"{{"password":"{ROOT_PASSWORD}"}}"#);
    ask(&world.root, Operation::Write, "database/config/db", &data).unwrap();
    creds(&world.root).unwrap();
    world.target.heal();
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
    assert_ne!(world.target.root_password(), ROOT_PASSWORD);
    creds(&world.root).unwrap();
    // One that somebody has set by hand.
    world.target.plan(Duty::SetPassword, &[Fault::UnknownNotDone; 3]);
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap_err();
    world.target.state.lock().unwrap().accounts.insert(ROOT_NAME.to_owned(), "by-hand".to_owned());
    let none = ask(&world.root, Operation::Write, "database/settle-root/db", "").unwrap_err();
    assert!(none.code() == Code::TargetRefused && none.to_string().contains("write config/NAME with it"), "{none}");
    ask(&world.root, Operation::Write, "database/config/db", r#"{"password":"by-hand"}"#).unwrap();
    creds(&world.root).unwrap();
    world.vault.verify().unwrap();
}

/// A password that was to be set arrives after all.
fn arrives(world: &World, password: &str) {
    world.target.state.lock().unwrap().accounts.insert(ROOT_NAME.to_owned(), password.to_owned());
}

fn settled(world: &World) -> String {
    text(&ask(&world.root, Operation::Write, "database/settle-root/db", "").unwrap().data.unwrap(), "works")
}

/// The passwords that the vault knows of the connection's account, the one that counts first.
fn passwords(world: &World) -> Vec<String> {
    let known = known(&world.vault).unwrap();
    known.connections[0].passwords.iter().map(|password| password.expose().to_owned()).collect()
}

/// Found by the simulation (seed 2,483).
#[test]
fn writing_the_connection_forgets_no_password_that_may_still_arrive() {
    for settles_first in [false, true] {
        let world = in_doubt();
        world.target.heal();
        let late = world.target.state.lock().unwrap().last_set.1.clone();
        if settles_first {
            assert_eq!(settled(&world), "old");
        }
        ask(&world.root, Operation::Write, "database/config/db", &format!(r#"{{"password":"{ROOT_PASSWORD}"}}"#)).unwrap();
        arrives(&world, &late);
        assert_eq!(settled(&world), "given-up");
        creds(&world.root).unwrap();
        world.vault.verify().unwrap();
    }
}

#[test]
fn a_password_that_was_set_twice_may_arrive_behind_the_next_one() {
    let world = enrolled();
    world.target.plan(Duty::SetPassword, &[Fault::UnknownNotDone]);
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap_err();
    settle(&world, 20);
    let first = world.target.root_password();
    assert_ne!(first, ROOT_PASSWORD, "tick has set it once more");
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
    assert_ne!(world.target.root_password(), first);
    arrives(&world, &first);
    assert_eq!(settled(&world), "given-up");
    // A minute later nothing arrives any more, and a change that is seen to work forgets it.
    world.clock.advance(Ttl::from_secs(61));
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
    assert_eq!(passwords(&world), [world.target.root_password()]);
    world.vault.verify().unwrap();
}

#[test]
fn a_password_that_is_written_untried_takes_the_place_of_none_that_works() {
    let world = enrolled();
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
    let write_config = |password: &str| {
        let data = format!(r#"{{"password":"{password}","verify_connection":false}}"#);
        ask(&world.root, Operation::Write, "database/config/db", &data)
    };
    write_config("mistaken").unwrap();
    assert_eq!(creds(&world.root).err().map(|error| error.code()), Some(Code::TargetRefused));
    assert_eq!(settled(&world), "given-up");
    creds(&world.root).unwrap();
    // Of so many that were not tried, one more is, and no change is begun.
    (0..LATE_PASSWORDS_MAX - 1).for_each(|number| drop(write_config(&format!("mistaken-{number}")).unwrap()));
    assert_eq!(write_config("one-more").unwrap_err().code(), Code::TargetRefused);
    // Said at once: it is no race, and trying again would find the same.
    assert_eq!(ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap_err().code(), Code::InvalidRequest);
    world.clock.advance(Ttl::from_secs(61));
    assert_eq!(settled(&world), "given-up");
    ask(&world.root, Operation::Write, "database/rotate-root/db", "").unwrap();
    creds(&world.root).unwrap();
    world.vault.verify().unwrap();
}

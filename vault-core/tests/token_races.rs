//! A token that is revoked while it makes a child: at every read of the revocation the child is there before the next one.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

#[path = "support/watched.rs"]
mod store;
#[path = "support/target.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use store::Watched;
use support::*;
use vault_core::storage::Storage;
use vault_core::types::limits::{LEASE_PAGE_RECORDS_MAX, LEASES_LOOKED_AT_MAX};
use vault_core::types::{Code, Error, Object, Operation, SecretString, Ttl};
use vault_core::{Config, Session, TokenOptions, Vault};

const POLICY: &str = r#"path "auth/token/*" { capabilities = ["create", "read", "update", "sudo"] } path "database/creds/*" { capabilities = ["read"] } path "secret/data/*" { capabilities = ["create", "update"] }"#;
/// As long as a child may take; one that takes longer waits for a lock.
const PATIENCE: Duration = Duration::from_secs(2);

struct Race {
    world: World,
    storage: Arc<Watched>,
    parent: Arc<Session>,
    /// The token that is revoked: the parent, or the one above it.
    revoked: String,
}

fn options() -> TokenOptions {
    TokenOptions { policies: vec!["p".to_owned()], ttl: Some(Ttl::from_secs(3600)), ..TokenOptions::default() }
}

/// A token with so many children that each have an account; with `above`, below another one that is revoked in its place.
fn race(children: usize, above: bool) -> Race {
    let storage = Arc::new(Watched::default());
    let world = world_on(Config::on(Arc::clone(&storage) as Arc<dyn Storage>));
    world.root.policies().write("p", POLICY).unwrap();
    let auth = world.root.tokens().create(options()).unwrap();
    let revoked = auth.client_token.expose().to_owned();
    let mut parent = world.vault.session(auth.client_token);
    if above {
        parent = world.vault.session(parent.tokens().create(options()).unwrap().client_token);
    }
    for _ in 0..children {
        grant_to_child(&world.vault, &parent).unwrap();
    }
    Race { world, storage, parent: Arc::new(parent), revoked }
}

/// Makes a child and an account for it.
fn grant_to_child(vault: &Vault, parent: &Session) -> Result<Session, Error> {
    let child = vault.session(parent.tokens().create(options())?.client_token);
    creds(&child)?;
    Ok(child)
}

/// Carries something out as often as it has reads, with a child that is made behind each of them in turn, and looks at what came of both. Reads
/// that a commit does under its lock let the child wait: they come last.
fn at_each_read((children, above): (usize, bool), revoke: fn(&Race), check: fn(&Race, Result<Session, Error>)) {
    for read in 1.. {
        let race = race(children, above);
        let (vault, parent) = (race.world.vault.clone(), Arc::clone(&race.parent));
        let (tell, told) = mpsc::channel();
        let (waits, is_waiting) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
        let waited = Arc::clone(&waits);
        race.storage.behind(
            read,
            Box::new(move || {
                thread::spawn(move || {
                    let child = grant_to_child(&vault, &parent);
                    is_waiting.0.send(()).unwrap_or_default();
                    tell.send(child).unwrap_or_default();
                });
                waited.store(is_waiting.1.recv_timeout(PATIENCE).is_err(), Ordering::SeqCst);
            }),
        );
        revoke(&race);
        if waits.load(Ordering::SeqCst) || !race.storage.is_over() {
            assert!(read > 5, "the child never came between");
            return;
        }
        check(&race, told.recv().unwrap());
        race.world.vault.verify().unwrap();
    }
}

/// What the tokens and accounts are once ticks have done what was left.
fn settled(race: &Race) -> (usize, usize) {
    for _ in 0..4 {
        race.world.vault.tick().unwrap();
    }
    let listed = race.world.root.request(Operation::List, "auth/token/accessors", None).unwrap().data.unwrap();
    (listed.get("keys").and_then(|keys| keys.as_array()).unwrap().len(), race.world.target.accounts().len())
}

fn revoke(race: &Race) {
    race.world.root.tokens().revoke(&race.revoked).unwrap();
}

fn nothing_is_left(race: &Race, child: Result<Session, Error>) {
    assert!(race.parent.tokens().lookup_self().is_err());
    if let Ok(child) = child {
        assert_eq!(child.tokens().lookup_self().unwrap_err().code(), Code::PermissionDenied);
    }
    assert_eq!(settled(race), (1, 0), "tokens and accounts; the root token stays");
}

#[test]
fn a_child_that_is_made_at_any_read_of_its_parents_revocation_goes_with_it_and_so_do_its_leases() {
    for children in [0, 2] {
        at_each_read((children, false), revoke, nothing_is_left);
    }
}

#[test]
fn a_child_that_is_made_at_any_read_of_a_revocation_above_its_parent_goes_too() {
    for children in [0, 2] {
        at_each_read((children, true), revoke, nothing_is_left);
    }
}

#[test]
fn a_child_that_is_made_at_any_read_of_the_expiry_of_its_parent_goes_with_it() {
    let expire = |race: &Race| {
        race.world.clock.advance(Ttl::from_secs(3600));
        race.world.vault.tick().unwrap();
    };
    at_each_read((1, false), expire, nothing_is_left);
}

#[test]
fn a_child_that_is_made_at_any_read_of_its_parents_end_by_revoke_orphan_goes_on_or_was_never_made() {
    let orphan = |race: &Race| race.world.root.tokens().revoke_orphan(&race.revoked).unwrap();
    at_each_read((1, false), orphan, |race, child| {
        assert!(race.parent.tokens().lookup_self().is_err());
        if let Ok(child) = &child {
            assert!(child.tokens().lookup_self().unwrap().orphan);
        }
        // The root token, the child from before, and the one that was made.
        let children = 1 + usize::from(child.is_ok());
        assert_eq!(settled(race), (1 + children, children));
    });
}

/// Holds the parent of a token's parent still behind each read of a request of that token in turn, and looks at what came of the request.
fn quarantine_at_each_read(work: fn(&Session) -> Result<(), Error>, check: fn(&World)) {
    for read in 1.. {
        let Race { world, storage, parent, .. } = race(0, false);
        let child = world.vault.session(parent.tokens().create(options()).unwrap().client_token);
        let grandchild = world.vault.session(child.tokens().create(options()).unwrap().client_token);
        grandchild.tokens().lookup_self().unwrap();
        let held = parent.tokens().lookup_self().unwrap().accessor;
        let root = world.vault.session(SecretString::copy_from(&world.token));
        let waits = Arc::new(AtomicBool::new(false));
        let has_waited = Arc::clone(&waits);
        storage.behind(
            read,
            Box::new(move || {
                let (tell, told) = mpsc::channel();
                thread::spawn(move || tell.send(root.emergency().quarantine(&held)).unwrap_or_default());
                has_waited.store(told.recv_timeout(PATIENCE).map(Result::unwrap).is_err(), Ordering::SeqCst);
            }),
        );
        let done = work(&grandchild);
        if waits.load(Ordering::SeqCst) || !storage.is_over() {
            assert!(read > 2, "the quarantine never came between");
            return;
        }
        assert_eq!(done.unwrap_err().code(), Code::PermissionDenied, "at read {read}");
        check(&world);
        world.vault.verify().unwrap();
    }
}

#[test]
fn no_write_of_a_descendant_commits_behind_a_quarantine_that_was_answered() {
    let put = |session: &Session| session.kv("secret").put("app", Object::new().with("a", 1_u64)).map(drop);
    quarantine_at_each_read(put, |world| {
        assert_eq!(world.root.kv("secret").get("app").unwrap_err().code(), Code::NotFound);
    });
}

#[test]
fn no_lease_of_a_descendant_is_handed_out_behind_a_quarantine_and_its_account_goes() {
    quarantine_at_each_read(
        |session| creds(session).map(drop),
        |world| {
            for _ in 0..4 {
                world.vault.tick().unwrap();
                world.clock.advance(Ttl::from_secs(90));
            }
            assert!(world.target.accounts().is_empty());
        },
    );
}

#[test]
fn a_quarantine_ends_the_leases_of_all_descendants_however_many_and_however_deep() {
    let Race { world, parent, .. } = race(3, false);
    let mut deep = world.vault.session(parent.tokens().create(options()).unwrap().client_token);
    for _ in 0..5 {
        creds(&deep).unwrap();
        deep = world.vault.session(deep.tokens().create(options()).unwrap().client_token);
    }
    let id = creds(&deep).unwrap().lease_id;
    // More children than one step sees to.
    let wide = world.vault.session(parent.tokens().create(options()).unwrap().client_token);
    for _ in 0..LEASE_PAGE_RECORDS_MAX + 1 {
        wide.tokens().create(options()).unwrap();
    }
    let last = grant_to_child(&world.vault, &wide).unwrap();
    let other = creds(&world.root).unwrap();
    let held = parent.tokens().lookup_self().unwrap().accessor;
    world.root.emergency().quarantine(&held).unwrap();
    assert!(lookup(&world.root, &id).is_err(), "at once");
    world.vault.tick().unwrap();
    assert_eq!(world.target.accounts().into_iter().collect::<Vec<_>>(), [other.username]);
    world.root.emergency().release(&held).unwrap();
    last.tokens().lookup_self().unwrap();
    let again = creds(&deep).unwrap();
    world.vault.tick().unwrap();
    assert!(lookup(&world.root, &again.lease_id).is_ok() && world.target.accounts().len() == 2);
}

#[test]
fn what_was_granted_before_a_quarantine_ends_by_pages_and_what_was_granted_after_its_release_goes_on() {
    const BEFORE: usize = LEASE_PAGE_RECORDS_MAX + 6;
    const AFTER: usize = LEASES_LOOKED_AT_MAX + 6;
    let Race { world, parent, .. } = race(0, false);
    let grant = |count: usize| (0..count).map(|_| creds(&parent).unwrap()).collect::<Vec<_>>();
    let before = grant(BEFORE);
    let held = parent.tokens().lookup_self().unwrap().accessor;
    world.root.emergency().quarantine(&held).unwrap();
    world.root.emergency().release(&held).unwrap();
    let after = grant(AFTER);
    for _ in 0..4 {
        world.vault.tick().unwrap();
    }
    assert!(before.iter().all(|lease| lookup(&world.root, &lease.lease_id).is_err()));
    assert!(after.iter().all(|lease| lookup(&world.root, &lease.lease_id).is_ok()));
    assert_eq!(world.target.account_count(), AFTER);
    world.vault.verify().unwrap();
}

/// What may only be made tells nobody whether it is there: at every read of such a write another one has made it before.
#[test]
fn no_refusal_is_made_of_two_states_of_a_record() {
    let policy = r#"path "secret/data/x" { capabilities = ["create"] }"#;
    for read in 1.. {
        let storage = Arc::new(Watched::default());
        let world = world_on(Config::on(Arc::clone(&storage) as Arc<dyn Storage>));
        world.root.policies().write("p", policy).unwrap();
        let maker = world.vault.session(world.root.tokens().create(options()).unwrap().client_token);
        let put = |session: &Session, cas: u64| {
            let body = Object::new().with("data", Object::new().with("a", "b")).with("options", Object::new().with("cas", cas));
            session.request(Operation::Write, "secret/data/x", Some(body.into()))
        };
        // What is known of the token is known before.
        assert_eq!(put(&maker, 7).unwrap_err().code(), Code::CasMismatch);
        let root = world.vault.session(SecretString::copy_from(&world.token));
        let (made, is_made) = mpsc::channel();
        storage.ahead_of(
            read,
            Box::new(move || {
                thread::spawn(move || {
                    root.kv("secret").put("x", Object::new()).unwrap();
                    made.send(()).unwrap_or_default();
                });
                // Under the lock of a commit it comes behind that.
                let _waits = is_made.recv_timeout(Duration::from_millis(100));
            }),
        );
        let outcome = put(&maker, 0).map_err(|error| error.code());
        if !storage.is_over() {
            assert!(read > 3, "nobody came between");
            return;
        }
        assert!(matches!(outcome, Ok(_) | Err(Code::PermissionDenied)), "read {read}: {:?}", outcome.err());
    }
}

//! Every interleaving of a few requests with a tick, a seal, an unseal and a close, through the public face.

use crate::crypto::sha256;
use crate::host::{ManualClock, Rng, RngError};
use crate::os::interleavings_tests::{explore, spawn};
use crate::storage::memory::MemoryStorage;
use crate::storage::{Batch, Key, Page, Read, Storage, StorageError};
use crate::types::{Code, Context, Error, Object, Operation, Result, SecretString, Timestamp, Ttl, Value};
use crate::{Config, NewSeal, UnsealKey, Vault};
use loom::sync::atomic::AtomicUsize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const KEY: [u8; 32] = [7; 32];

/// A store in memory of which loom sees when it is read and written.
struct Seen {
    inner: MemoryStorage,
    touched: AtomicUsize,
}

impl Seen {
    fn touch(&self) -> &MemoryStorage {
        // Not a load, for which loom would try older values as well: the store always answers with its last state.
        self.touched.fetch_add(1, Ordering::AcqRel);
        &self.inner
    }
}

impl Read for Seen {
    fn get(&self, key: &Key) -> std::result::Result<Option<Vec<u8>>, StorageError> {
        self.touch().get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> std::result::Result<Page, StorageError> {
        self.touch().scan(prefix, after, limit)
    }
}

impl Storage for Seen {
    fn commit_number(&self) -> u64 {
        self.touch().commit_number()
    }

    fn snapshot(&self) -> std::result::Result<Box<dyn Read + '_>, StorageError> {
        self.touch().snapshot()
    }

    fn commit(&self, batch: &Batch) -> std::result::Result<(), StorageError> {
        self.touch().commit(batch)
    }

    fn note_head(&self, number: u64, mac: &[u8; 32]) -> std::result::Result<(), StorageError> {
        self.inner.note_head(number, mac)
    }

    fn heads(&self) -> std::result::Result<Vec<(u64, [u8; 32])>, StorageError> {
        self.inner.heads()
    }

    fn write_segment(&self, index: u64, content: &[u8]) -> std::result::Result<(), StorageError> {
        self.inner.write_segment(index, content)
    }

    fn read_segment(&self, index: u64) -> std::result::Result<Option<Vec<u8>>, StorageError> {
        self.inner.read_segment(index)
    }

    fn remove_segment(&self, index: u64) -> std::result::Result<bool, StorageError> {
        self.inner.remove_segment(index)
    }

    fn close(&self) -> std::result::Result<(), StorageError> {
        self.touch().close()
    }
}

/// The same numbers in each execution: the names of records follow from them, and from those the way of a re-encryption.
struct Counted(AtomicU64);

impl Rng for Counted {
    fn fill(&self, buffer: &mut [u8]) -> std::result::Result<(), RngError> {
        for chunk in buffer.chunks_mut(32) {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&sha256(&[&number.to_le_bytes()])[..chunk.len()]);
        }
        Ok(())
    }
}

#[derive(Clone)]
struct World {
    vault: Vault,
    storage: Arc<Seen>,
    clock: Arc<ManualClock>,
    token: String,
}

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).expect("32 bytes")
}

impl World {
    /// A vault with a secret `old`, and a read of it that waits to be written.
    fn new() -> Self {
        let storage = Arc::new(Seen { inner: MemoryStorage::new(), touched: AtomicUsize::new(0) });
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let config = Config::on(Arc::clone(&storage) as Arc<dyn Storage>)
            .with_clock(Arc::clone(&clock) as Arc<_>)
            .with_rng(Arc::new(Counted(AtomicU64::new(0))));
        let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).expect("32 bytes")).expect("created");
        let world = World { vault, storage, clock, token: init.root_token.expose().to_owned() };
        world.put("old").expect("written");
        world.get("waiting").expect("read");
        world
    }

    fn ask(&self, name: &str, operation: Operation, path: &str, data: Option<Value>) -> Result<()> {
        let context = Context { correlation_id: Some(name.to_owned()), ..Context::default() };
        let session = self.vault.session(SecretString::copy_from(&self.token));
        session.request_with(operation, path, data, context).map(drop)
    }

    /// Writes a secret of this name.
    fn put(&self, name: &str) -> Result<()> {
        let data = Object::new().with("data", Object::new().with("value", name));
        self.ask(name, Operation::Write, &format!("secret/data/{name}"), Some(data.into()))
    }

    /// Reads the secret `old`.
    fn get(&self, name: &str) -> Result<()> {
        self.ask(name, Operation::Read, "secret/data/old", None)
    }

    fn at_once<R: Send + 'static>(&self, thread: impl FnOnce(&World) -> R + Send + 'static) -> loom::thread::JoinHandle<R> {
        let world = self.clone();
        spawn(move || thread(&world))
    }

    fn commits(&self) -> u64 {
        self.storage.inner.commit_number()
    }

    /// Opens what the store holds now, verifies it, and compares it with what the callers were told: what was acknowledged is there and in the
    /// log, once; what was refused as sealed or closed is not. Only a read may be in the log all the same: one that was admitted, and met
    /// the end when it went on to write the queue. Its answer did not leave.
    fn check(&self, told: &[(&str, &Result<()>)]) {
        let copy = Arc::new(self.storage.inner.copy());
        let vault = Vault::open(Config::on(copy)).expect("opens").unseal(&key()).expect("unseals");
        vault.verify().expect("verifies");
        let root = vault.session(SecretString::copy_from(&self.token));
        root.audit().verify().expect("the log verifies");
        let events = root.audit().events(0, 1_000).expect("the log is read");
        let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        let recorded: Vec<String> = events.iter().filter_map(|event| text(event, "correlation_id")).collect();
        let names: BTreeSet<&String> = recorded.iter().collect();
        assert_eq!(names.len(), recorded.len(), "something is in the log twice: {recorded:?}");
        for name in ["old", "waiting"] {
            assert!(recorded.iter().any(|recorded| recorded == name), "{name} was admitted before");
        }
        for (name, outcome) in told {
            let in_log = recorded.iter().any(|recorded| recorded == name);
            let there = root.kv("secret").get(name).is_ok();
            match outcome {
                Ok(()) => assert!(in_log && (there || name.starts_with("read")), "{name} was acknowledged: {recorded:?}"),
                Err(error) => assert!((!in_log || name.starts_with("read")) && !there && is_refusal(error), "{name} was refused: {error}"),
            }
        }
        vault.close().expect("closes");
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.code(), Code::Sealed | Code::Closed)
}

#[test]
fn while_the_vault_is_sealed_a_request_is_recorded_or_refused_and_nothing_comes_after() {
    explore("a write and a read while the vault is sealed", || {
        let world = World::new();
        loom::explore();
        let writer = world.at_once(|world| world.put("a"));
        let reader = world.at_once(|world| world.get("read b"));
        world.vault.seal().expect("sealed");
        let commits = world.commits();
        let refused = world.put("later");
        let (wrote, read) = (writer.join().expect("no panic"), reader.join().expect("no panic"));
        loom::stop_exploring();
        assert_eq!(world.commits(), commits, "something was committed after the seal");
        world.check(&[("a", &wrote), ("read b", &read), ("later", &refused)]);
    });
}

#[test]
fn while_the_vault_is_closed_a_request_is_recorded_or_refused_and_a_tick_does_no_harm() {
    explore("a write and a tick while the vault is closed", || {
        let world = World::new();
        world.clock.advance(Ttl::from_secs(1));
        loom::explore();
        let writer = world.at_once(|world| world.put("a"));
        let tick = world.at_once(|world| world.vault.tick().map(drop));
        world.vault.close().expect("closed");
        let (wrote, ticked) = (writer.join().expect("no panic"), tick.join().expect("no panic"));
        loom::stop_exploring();
        assert!(ticked.as_ref().err().is_none_or(is_refusal), "{ticked:?}");
        assert!(world.put("later").is_err_and(|error| error.code() == Code::Closed));
        world.check(&[("a", &wrote)]);
    });
}

#[test]
fn a_tick_while_the_vault_is_sealed_writes_nothing_after_it() {
    explore("a tick and a read while the vault is sealed", || {
        let world = World::new();
        world.clock.advance(Ttl::from_secs(1));
        loom::explore();
        let tick = world.at_once(|world| world.vault.tick().map(drop));
        let reader = world.at_once(|world| world.get("read a"));
        world.vault.seal().expect("sealed");
        let commits = world.commits();
        let (ticked, read) = (tick.join().expect("no panic"), reader.join().expect("no panic"));
        loom::stop_exploring();
        assert_eq!(world.commits(), commits, "something was committed after the seal");
        assert!(ticked.as_ref().err().is_none_or(is_refusal), "{ticked:?}");
        world.check(&[("read a", &read)]);
    });
}

#[test]
fn two_who_close_and_one_who_seals_leave_a_closed_vault() {
    explore("two closes and a seal", || {
        let world = World::new();
        loom::explore();
        let other = world.at_once(|world| world.vault.close());
        let sealing = world.at_once(|world| world.vault.seal().map(drop));
        world.vault.close().expect("closed");
        other.join().expect("no panic").expect("closed");
        let sealed = sealing.join().expect("no panic");
        loom::stop_exploring();
        assert!(sealed.as_ref().err().is_none_or(is_refusal), "{sealed:?}");
        assert!(world.vault.seal_status().closed && world.vault.seal_status().sealed);
        world.check(&[]);
    });
}

#[test]
fn a_seal_by_a_request_and_one_by_the_host_are_one() {
    explore("a seal by a request, one by the host, and a write", || {
        let world = World::new();
        loom::explore();
        let asking = world.at_once(|world| world.ask("read: the seal", Operation::Write, "sys/seal", None));
        let writer = world.at_once(|world| world.put("a"));
        world.vault.seal().expect("sealed");
        let (asked, wrote) = (asking.join().expect("no panic"), writer.join().expect("no panic"));
        loom::stop_exploring();
        assert!(world.vault.seal_status().sealed);
        world.check(&[("read: the seal", &asked), ("a", &wrote)]);
    });
}

#[test]
fn of_two_who_unseal_one_does_and_what_comes_meanwhile_is_refused_or_recorded() {
    explore("two unseals and a write", || {
        let world = World::new();
        let sealed = world.vault.seal().expect("sealed");
        loom::explore();
        let other_sealed = sealed.clone();
        let other = spawn(move || other_sealed.unseal(&key()).map(drop));
        let writer = world.at_once(|world| world.put("a"));
        let outcomes = [sealed.unseal(&key()).map(drop), other.join().expect("no panic")];
        let wrote = writer.join().expect("no panic");
        loom::stop_exploring();
        let refused: Vec<&Error> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert!(matches!(refused[..], [error] if error.code() == Code::AlreadyUnsealed), "{refused:?}");
        world.check(&[("a", &wrote)]);
    });
}

#[test]
fn a_vault_that_is_unsealed_while_it_is_closed_stays_closed() {
    explore("an unseal while the vault is closed", || {
        let world = World::new();
        let sealed = world.vault.seal().expect("sealed");
        loom::explore();
        let unsealing = spawn(move || sealed.unseal(&key()).map(drop));
        world.vault.close().expect("closed");
        let unsealed = unsealing.join().expect("no panic");
        loom::stop_exploring();
        assert!(unsealed.as_ref().err().is_none_or(is_refusal), "{unsealed:?}");
        assert!(world.vault.seal_status().sealed && world.vault.seal_status().closed);
        world.check(&[]);
    });
}

/// Something that is under way while the vault is sealed, unsealed again and written to, under a new data key too.
fn under_way(name: &str, what: fn(&Vault) -> Result<()>) {
    explore(&format!("{name} while the vault is sealed, unsealed, rolled and written"), move || {
        let world = World::new();
        loom::explore();
        let under_way = world.at_once(move |world| what(&world.vault));
        let vault = world.vault.seal().expect("sealed").unseal(&key()).expect("unsealed");
        vault.session(SecretString::copy_from(&world.token)).request(Operation::Write, "sys/rotate", None).expect("rolled");
        let wrote = world.put("a");
        let outcome = under_way.join().expect("no panic");
        loom::stop_exploring();
        assert!(outcome.as_ref().err().is_none_or(is_refusal), "{outcome:?}");
        world.check(&[("a", &wrote)]);
    });
}

#[test]
fn a_verification_that_is_under_way_does_not_take_the_next_opening_for_damage() {
    under_way("a verification", |vault| vault.verify().map(drop));
}

#[test]
fn a_tick_that_is_under_way_does_not_take_the_next_opening_for_damage() {
    under_way("a tick", |vault| vault.tick().map(drop));
}

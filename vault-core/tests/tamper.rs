//! Whoever can write to a store, to an exported checkpoint or to a proof changes something: it is found, or it was nothing; and nothing panics.
//!
//! `LIBVAULT_TAMPERS` says how many are tried; each has a seed of its own, `LIBVAULT_SEED` is that of the first.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells its seed and its figures"
)]

mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use support::{KEY, Random, member, number_from};
use vault_core::audit_proof::{Checkpoint, ConsistencyProof, InclusionProof, verify_checkpoint};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Batch, Key, Read, Storage};
use vault_core::types::{Class, Code, Object, Operation, Result, SecretString, Value};
use vault_core::{Config, NewSeal, Session, UnsealKey, Vault};

const TAMPERS: u64 = 5_000;
/// Draws after which one must have changed something.
const DRAWS_MAX: u32 = 100;
/// The length of the keys under which the tail of the audit log lies, in order.
const TAIL_KEY_BYTES: usize = 24;

/// What is found by the log's own verification too, and not only by the digest over all records.
const OF_THE_LOG: [&str; 9] = [
    "a chunk of the log removed",
    "chunks of the log in another order",
    "the end of the log removed",
    "a segment altered",
    "a segment cut",
    "segments swapped",
    "a segment removed",
    "segments of a fork",
    "the last segments removed",
];

type Records = BTreeMap<Key, Vec<u8>>;

/// All that somebody who holds a store can read and write.
#[derive(Clone, PartialEq)]
struct Held {
    records: Records,
    segments: BTreeMap<u64, Vec<u8>>,
}

impl Held {
    fn of(storage: &MemoryStorage) -> Self {
        let records = storage.scan(&[], None, usize::MAX).unwrap().into_iter().collect();
        let segments = (1..).map_while(|index| storage.read_segment(index).unwrap().map(|content| (index, content))).collect();
        Held { records, segments }
    }

    fn keys(&self) -> Vec<Key> {
        self.records.keys().copied().collect()
    }

    fn tail(&self) -> Vec<Key> {
        self.records.keys().copied().filter(|key| key.as_bytes().len() == TAIL_KEY_BYTES).collect()
    }
}

/// A store as it was found, what it was earlier, and how it went on elsewhere.
struct Store {
    /// An empty store of the same commit number, with the same heads.
    blank: MemoryStorage,
    held: Held,
    older: Held,
    fork: Held,
    token: String,
}

impl Store {
    fn new() -> Self {
        let storage = Arc::new(MemoryStorage::new());
        let (vault, init) = Vault::create(config(storage.clone()), NewSeal::raw_key(&KEY).unwrap()).unwrap();
        let token = init.root_token.expose().to_owned();
        let root = vault.session(init.root_token);
        work(&root, 0, 20);
        let older = Held::of(&storage);
        let other = Arc::new(storage.copy());
        let forked = Vault::open(config(other.clone())).unwrap().unseal(&key()).unwrap();
        work(&forked.session(SecretString::copy_from(&token)), 30, 45);
        forked.close().unwrap();
        work(&root, 10, 25);
        root.kv("secret").delete_metadata("a/3").unwrap();
        while Held::of(&storage).tail().len() != 5 {
            work(&root, 0, 1);
        }
        vault.close().unwrap();
        let blank = MemoryStorage::new();
        let open = storage.copy();
        for number in 1..open.commit_number() {
            blank.commit(&Batch { number, ..Batch::default() }).unwrap();
        }
        for (number, mac) in open.heads().unwrap() {
            blank.note_head(number, &mac).unwrap();
        }
        Store { blank, held: Held::of(&open), older, fork: Held::of(&other.copy()), token }
    }

    /// Opens what is held now, reads all of it and verifies it: the whole store, and its log alone.
    fn examine(&self, held: &Held) -> (Result<()>, Result<()>) {
        let storage = self.blank.copy();
        let changes = held.records.iter().map(|(key, value)| (*key, Some(value.clone()))).collect();
        storage.commit(&Batch { number: storage.commit_number() + 1, expectations: Vec::new(), changes }).unwrap();
        held.segments.iter().for_each(|(index, content)| storage.write_segment(*index, content).unwrap());
        let vault = match Vault::open(config(Arc::new(storage))).and_then(|sealed| sealed.unseal(&key())) {
            Ok(vault) => vault,
            Err(error) => return (Err(error.clone()), Err(error)),
        };
        let log = vault.session(SecretString::copy_from(&self.token)).audit().verify();
        (vault.verify().map(drop), log.map(drop))
    }

    /// Changes what is held; the name of what was done.
    fn tamper(&self, held: &mut Held, random: &mut Random) -> &'static str {
        let keys = held.keys();
        let (one, two) = (*random.pick(&keys), *random.pick(&keys));
        let segments: Vec<u64> = held.segments.keys().copied().collect();
        let (segment, another) = (*random.pick(&segments), *random.pick(&segments));
        let tail = held.tail();
        let (chunk, other) = (*random.pick(&tail), *random.pick(&tail));
        match random.below(18) {
            0 => flip(held.records.get_mut(&one).unwrap(), random, "a record altered"),
            1 => cut(held.records.get_mut(&one).unwrap(), random, "a record cut"),
            2 => swap(&mut held.records, &one, &two, "records swapped"),
            3 => {
                held.records.remove(&one);
                "a record removed"
            }
            4 => {
                let value = held.records[&one].clone();
                held.records.insert(Key::new(&[&random.below(u64::MAX).to_le_bytes(), &random.below(u64::MAX).to_le_bytes()]), value);
                "a record added"
            }
            5 => {
                held.records.insert(one, held.records[&two].clone());
                "a record doubled over another"
            }
            6 => some_of(&mut held.records, &self.older.records, random, "records put back to an older state"),
            7 => some_of(&mut held.records, &self.fork.records, random, "records of a fork"),
            8 => {
                held.records.remove(&chunk);
                "a chunk of the log removed"
            }
            9 => swap(&mut held.records, &chunk, &other, "chunks of the log in another order"),
            10 => {
                let last = tail.last().unwrap().as_bytes();
                let next = u64::from_be_bytes(last[16..].try_into().unwrap()) + 1;
                held.records.insert(Key::new(&[&last[..16], &next.to_be_bytes()]), held.records[&chunk].clone());
                "a chunk of the log repeated at its end"
            }
            11 => flip(held.segments.get_mut(&segment).unwrap(), random, "a segment altered"),
            12 => cut(held.segments.get_mut(&segment).unwrap(), random, "a segment cut"),
            13 => swap(&mut held.segments, &segment, &another, "segments swapped"),
            14 => {
                held.segments.remove(&segment);
                "a segment removed"
            }
            15 => some_of(&mut held.segments, &self.fork.segments, random, "segments of a fork"),
            16 => {
                let kept = usize::try_from(random.below(tail.len() as u64)).unwrap();
                tail[kept..].iter().for_each(|key| drop(held.records.remove(key)));
                "the end of the log removed"
            }
            _ => {
                let kept = random.below(segments.len() as u64);
                held.segments.retain(|index, _| *index <= kept);
                "the last segments removed"
            }
        }
    }
}

fn config(storage: Arc<MemoryStorage>) -> Config {
    Config::on(storage).with_audit_tail_bytes(2 * 1024)
}

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

fn work(root: &Session, from: u64, to: u64) {
    (from..to).for_each(|number| drop(root.kv("secret").put(&format!("a/{number}"), member(&format!("value {number}"))).unwrap()));
}

fn flip(bytes: &mut [u8], random: &mut Random, name: &'static str) -> &'static str {
    let bit = random.below(bytes.len() as u64 * 8);
    bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
    name
}

fn cut(bytes: &mut Vec<u8>, random: &mut Random, name: &'static str) -> &'static str {
    bytes.truncate(usize::try_from(random.below(bytes.len() as u64)).unwrap());
    name
}

fn swap<K: Ord>(map: &mut BTreeMap<K, Vec<u8>>, one: &K, two: &K, name: &'static str) -> &'static str {
    let first = map[one].clone();
    let second = std::mem::replace(map.get_mut(two).unwrap(), first);
    *map.get_mut(one).unwrap() = second;
    name
}

/// Takes one, two or three of the entries in which another state differs: never all, which would be that state.
fn some_of<K: Ord + Copy>(
    map: &mut BTreeMap<K, Vec<u8>>,
    other: &BTreeMap<K, Vec<u8>>,
    random: &mut Random,
    name: &'static str,
) -> &'static str {
    let all = other.keys().chain(map.keys()).copied();
    let differing: Vec<K> = all.filter(|key| map.get(key) != other.get(key)).collect();
    for _ in 0..=random.below(3.min(differing.len() as u64 - 1)) {
        let key = random.pick(&differing);
        match other.get(key) {
            Some(value) => map.insert(*key, value.clone()),
            None => map.remove(key),
        };
    }
    name
}

/// What a vault has handed out to somebody who checks it: checkpoints, and proofs that go with them.
struct Exported {
    key: String,
    notes: Vec<String>,
    checkpoints: Vec<Checkpoint>,
    consistency: Vec<(usize, usize, ConsistencyProof)>,
    inclusion: Vec<(usize, InclusionProof)>,
    /// What the same vault, gone on elsewhere from the same beginning, has signed, with its proof from the size of each older checkpoint on.
    forked: Vec<(Checkpoint, Checkpoint, ConsistencyProof)>,
    /// The same from the beginning that both have in common.
    common: Vec<(Checkpoint, Checkpoint, ConsistencyProof)>,
}

impl Exported {
    fn new() -> Self {
        let storage = Arc::new(MemoryStorage::new());
        let (vault, init) = Vault::create(config(storage.clone()), NewSeal::raw_key(&KEY).unwrap()).unwrap();
        let token = init.root_token.expose().to_owned();
        let root = vault.session(init.root_token);
        let verifier = text(&read(&root, "public-key", Object::new()), "key");
        work(&root, 0, 5);
        let beginning = verify_checkpoint(&note(&root), &verifier).unwrap();
        let other = Arc::new(storage.copy());
        let notes: Vec<String> = (0..8)
            .map(|round| {
                work(&root, round * 5, round * 5 + 4);
                note(&root)
            })
            .collect();
        let checkpoints: Vec<Checkpoint> = notes.iter().map(|note| verify_checkpoint(note, &verifier).unwrap()).collect();
        let pairs = (0..8).flat_map(|newer| (0..newer).map(move |older| (older, newer)));
        let consistency =
            pairs.map(|(older, newer)| (older, newer, consistency_proof(&root, &checkpoints[older], checkpoints[newer].size))).collect();
        let inclusion =
            (0..40).map(|number| (7, inclusion_proof(&root, 1 + number * 3 % checkpoints[7].size, checkpoints[7].size))).collect();
        let forked = Vault::open(config(other)).unwrap().unseal(&key()).unwrap();
        let fork = forked.session(SecretString::copy_from(&token));
        let (mut of_fork, mut common) = (Vec::new(), Vec::new());
        for round in 0..16 {
            work(&fork, round * 4, round * 4 + 3);
            let newer = verify_checkpoint(&note(&fork), &verifier).unwrap();
            for older in checkpoints.iter().filter(|older| older.size <= newer.size) {
                assert!(older.size > beginning.size && older.origin == newer.origin);
                of_fork.push((older.clone(), newer.clone(), consistency_proof(&fork, older, newer.size)));
            }
            common.push((beginning.clone(), newer.clone(), consistency_proof(&fork, &beginning, newer.size)));
        }
        Exported { key: verifier, notes, checkpoints, consistency, inclusion, forked: of_fork, common }
    }

    /// Changes something that was exported; what was done, and whether it is found. `None` where it changed nothing.
    fn tamper(&self, random: &mut Random) -> Option<(&'static str, bool)> {
        match random.below(6) {
            0 => self.tamper_note(random),
            1 | 2 => self.tamper_consistency(random),
            3 | 4 => self.tamper_inclusion(random),
            _ => {
                // The fork's own proof, from an older checkpoint of its size: only what they are of tells them apart.
                let (older, newer, proof) = random.pick(&self.forked);
                Some(("a fork", proof.verify(older, newer).is_err()))
            }
        }
    }

    fn tamper_note(&self, random: &mut Random) -> Option<(&'static str, bool)> {
        let at = usize::try_from(random.below(self.notes.len() as u64)).unwrap();
        let (note, checkpoint) = (&self.notes[at], &self.checkpoints[at]);
        let (body, signature) = note.split_once("\n\n").unwrap();
        let other = random.pick(&self.notes);
        let (name, changed) = match random.below(5) {
            0 => ("a bit of a checkpoint", flipped_text(note, random)),
            1 => ("a signature of another checkpoint", format!("{body}\n\n{}", other.split_once("\n\n").unwrap().1)),
            2 => ("another origin", note.replace("libvault/", "libvault/0")),
            3 => ("a cut checkpoint", note.chars().take(usize::try_from(random.below(note.chars().count() as u64)).unwrap()).collect()),
            _ => ("a longer checkpoint", format!("{body}\nx\n\n{signature}")),
        };
        // A last line end that is missing changes nothing that is said.
        if changed.trim_end() == note.trim_end() {
            return None;
        }
        match verify_checkpoint(&changed, &self.key) {
            Err(_) => Some((name, true)),
            // What was added to the signatures is not signed: it is accepted where it says what was signed.
            Ok(found) => Some((name, found == *checkpoint && changed.starts_with(&format!("{body}\n\n")))),
        }
    }

    fn tamper_consistency(&self, random: &mut Random) -> Option<(&'static str, bool)> {
        let (older, newer, proof) = random.pick(&self.consistency);
        let mut changed = proof.clone();
        let (mut old, mut new) = (self.checkpoints[*older].clone(), self.checkpoints[*newer].clone());
        let name = match random.below(8) {
            0 => flip_hash(&mut changed.hashes, random, "a hash of a consistency proof"),
            1 => reorder(&mut changed.hashes, random, "a consistency proof in another order"),
            2 => shorten(&mut changed.hashes, random, "a shorter consistency proof"),
            3 => lengthen(&mut changed.hashes, random, "a longer consistency proof"),
            4 => flip(&mut old.root, random, "the older root"),
            5 => flip(&mut new.root, random, "the newer root"),
            6 => {
                changed.from = 1 + random.below(new.size + 1);
                old.size = changed.from;
                "another older size"
            }
            _ => {
                std::mem::swap(&mut old, &mut new);
                "the checkpoints swapped"
            }
        };
        let same = changed == *proof && old == self.checkpoints[*older] && new == self.checkpoints[*newer];
        (!same).then(|| (name, changed.verify(&old, &new).is_err()))
    }

    fn tamper_inclusion(&self, random: &mut Random) -> Option<(&'static str, bool)> {
        let (at, proof) = random.pick(&self.inclusion);
        let mut changed = proof.clone();
        let mut checkpoint = self.checkpoints[*at].clone();
        let name = match random.below(8) {
            0 => flip_hash(&mut changed.hashes, random, "a hash of an inclusion proof"),
            1 => reorder(&mut changed.hashes, random, "an inclusion proof in another order"),
            2 => shorten(&mut changed.hashes, random, "a shorter inclusion proof"),
            3 => lengthen(&mut changed.hashes, random, "a longer inclusion proof"),
            4 => flip(&mut changed.event, random, "an altered event"),
            5 => flip(&mut checkpoint.root, random, "another root"),
            6 => {
                changed.sequence = random.below(changed.size + 2);
                "another place"
            }
            _ => {
                changed.event.clone_from(&random.pick(&self.inclusion).1.event);
                "another event"
            }
        };
        let same = changed == *proof && checkpoint == self.checkpoints[*at];
        (!same).then(|| (name, changed.verify(&checkpoint).is_err()))
    }
}

fn read(root: &Session, path: &str, data: Object) -> Value {
    root.request(Operation::Read, &format!("sys/audit-log/{path}"), Some(data.into())).unwrap().data.unwrap()
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).unwrap().as_str().unwrap().to_owned()
}

fn note(root: &Session) -> String {
    text(&read(root, "checkpoint", Object::new()), "checkpoint")
}

fn consistency_proof(root: &Session, older: &Checkpoint, to: u64) -> ConsistencyProof {
    let data = Object::new().with("from", older.size).with("to", to);
    ConsistencyProof::from_value(&read(root, "proof/consistency", data)).unwrap()
}

fn inclusion_proof(root: &Session, sequence: u64, size: u64) -> InclusionProof {
    let data = Object::new().with("sequence", sequence).with("size", size);
    InclusionProof::from_value(&read(root, "proof/inclusion", data)).unwrap()
}

/// The text with one bit flipped, so that it stays a text.
fn flipped_text(text: &str, random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    flip(&mut bytes, random, "");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn flip_hash(hashes: &mut [[u8; 32]], random: &mut Random, name: &'static str) -> &'static str {
    flip(hashes.as_flattened_mut(), random, name)
}

fn reorder(hashes: &mut [[u8; 32]], random: &mut Random, name: &'static str) -> &'static str {
    let mut at = || usize::try_from(random.below(hashes.len() as u64)).unwrap();
    let (one, two) = (at(), at());
    hashes.swap(one, two);
    name
}

fn shorten(hashes: &mut Vec<[u8; 32]>, random: &mut Random, name: &'static str) -> &'static str {
    hashes.remove(usize::try_from(random.below(hashes.len() as u64)).unwrap());
    name
}

fn lengthen(hashes: &mut Vec<[u8; 32]>, random: &mut Random, name: &'static str) -> &'static str {
    let hash = *random.pick(hashes);
    hashes.insert(usize::try_from(random.below(hashes.len() as u64 + 1)).unwrap(), hash);
    name
}

/// Tries as many as are wanted, those that change nothing left aside, and tells which were tried how often. One that is not found fails.
fn try_all(share: u64, mut one: impl FnMut(&mut Random) -> Option<(&'static str, bool)>) {
    let count = number_from("LIBVAULT_TAMPERS").unwrap_or(TAMPERS) * share / 10;
    let first = number_from("LIBVAULT_SEED").unwrap_or(1);
    let start = Instant::now();
    let mut tried: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in first..first + count {
        let mut random = Random::from_seed(seed);
        let outcome = catch_unwind(AssertUnwindSafe(|| (0..DRAWS_MAX).find_map(|_| one(&mut random))));
        let outcome = outcome.unwrap_or_else(|_| panic!("LIBVAULT_SEED={seed} LIBVAULT_TAMPERS=10: it panicked"));
        let (name, found) = outcome.expect("some change changes something");
        assert!(found, "LIBVAULT_SEED={seed} LIBVAULT_TAMPERS=10: {name}: it was not found");
        *tried.entry(name).or_default() += 1;
    }
    eprintln!("LIBVAULT_SEED={first}: {count} tampers that changed something, all found, {:.1?}: {tried:?}", start.elapsed());
}

#[test]
fn whatever_is_changed_in_a_store_is_found() {
    let store = Store::new();
    assert!(store.held.segments.len() > 2 && store.held.tail().len() > 2);
    let (whole, log) = store.examine(&store.held);
    whole.and(log).unwrap();
    try_all(5, |random| {
        let mut held = store.held.clone();
        let name = store.tamper(&mut held, random);
        (held != store.held).then(|| {
            let is_found =
                |outcome: Result<()>| outcome.is_err_and(|error| matches!(error.class(), Class::Corrupt | Class::InvalidRequest));
            let (whole, log) = store.examine(&held);
            (name, is_found(whole) && (!OF_THE_LOG.contains(&name) || is_found(log)))
        })
    });
}

/// A state that is whole has nothing to be found in it but its age: the heads and the commit number know of later commits.
#[test]
fn a_whole_older_state_and_a_whole_fork_are_found_where_the_heads_are_newer() {
    let store = Store::new();
    for whole in [&store.older, &store.fork] {
        assert!(*whole != store.held);
        assert_eq!(store.examine(whole).0.unwrap_err().code(), Code::LostCommits);
    }
}

/// Whoever puts back the heads too is not found by the store. Whoever has a checkpoint finds it.
#[test]
fn a_store_that_was_put_back_whole_cannot_prove_what_was_signed_before() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, init) = Vault::create(config(storage.clone()), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let token = init.root_token.expose().to_owned();
    let root = vault.session(init.root_token);
    let verifier = text(&read(&root, "public-key", Object::new()), "key");
    work(&root, 0, 5);
    let earlier = verify_checkpoint(&note(&root), &verifier).unwrap();
    let put_back = Arc::new(storage.copy());
    work(&root, 5, 10);
    let signed = verify_checkpoint(&note(&root), &verifier).unwrap();
    let vault = Vault::open(config(put_back)).unwrap().unseal(&key()).unwrap();
    vault.verify().unwrap();
    let root = vault.session(SecretString::copy_from(&token));
    root.audit().verify().unwrap();
    let asked = Object::new().with("from", signed.size).with("to", signed.size);
    let shorter = root.request(Operation::Read, "sys/audit-log/proof/consistency", Some(asked.into()));
    assert_eq!(shorter.unwrap_err().class(), Class::InvalidRequest, "there are not as many events");
    for round in 0..8 {
        work(&root, round * 3, round * 3 + 3);
        let newer = verify_checkpoint(&note(&root), &verifier).unwrap();
        consistency_proof(&root, &earlier, newer.size).verify(&earlier, &newer).unwrap();
        if newer.size >= signed.size {
            assert_eq!(consistency_proof(&root, &signed, newer.size).verify(&signed, &newer).unwrap_err().code(), Code::Corrupt);
        }
    }
    assert!(verify_checkpoint(&note(&root), &verifier).unwrap().size > signed.size);
}

#[test]
fn whatever_is_changed_in_checkpoints_and_proofs_is_found() {
    let exported = Exported::new();
    for (older, newer, proof) in &exported.consistency {
        proof.verify(&exported.checkpoints[*older], &exported.checkpoints[*newer]).unwrap();
    }
    exported.inclusion.iter().for_each(|(at, proof)| proof.verify(&exported.checkpoints[*at]).unwrap());
    // A fork proves what it has in common, and only that: what it is refused for below is what it has changed.
    exported.common.iter().for_each(|(older, newer, proof)| proof.verify(older, newer).unwrap());
    assert!(exported.forked.len() > 30);
    try_all(5, |random| exported.tamper(random));
}

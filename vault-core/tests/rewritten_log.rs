//! Whoever holds the keys can write the whole log anew, so that the store verifies. Whoever kept a checkpoint or a proof finds it all the same.
//!
//! The log of a vault is rewritten event by event (one taken away, put elsewhere, altered, the end cut off, another end put in its place), and
//! the best proofs that there are of it are made by another implementation of RFC 6962. `LIBVAULT_TAMPERS` and `LIBVAULT_SEED` as for `tamper`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells its seed and its figures"
)]

mod support;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::time::Instant;
use support::{KEY, Random, member, number_from};
use vault_core::audit_proof::{Checkpoint, ConsistencyProof, InclusionProof, verify_checkpoint};
use vault_core::types::{Object, Operation, Value};
use vault_core::{Config, NewSeal, Session, Vault};

/// Of the tampers that are wanted in all, as many parts in ten are tried here.
const SHARE: u64 = 5;
const TAMPERS: u64 = 5_000;

type Events = Vec<Vec<u8>>;

/// A log as its vault has shown it: every event, and a checkpoint of many sizes.
struct Shown {
    events: Events,
    checkpoints: Vec<Checkpoint>,
}

fn read(root: &Session, path: &str, data: Object) -> Value {
    root.request(Operation::Read, &format!("sys/audit-log/{path}"), Some(data.into())).unwrap().data.unwrap()
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).unwrap().as_str().unwrap().to_owned()
}

impl Shown {
    fn new() -> Self {
        let config = Config::in_memory().with_audit_tail_bytes(2 * 1024);
        let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).unwrap()).unwrap();
        let root = vault.session(init.root_token);
        let key = text(&read(&root, "public-key", Object::new()), "key");
        let mut checkpoints = Vec::new();
        for round in 0..20 {
            (0..=round % 3).for_each(|i| drop(root.kv("secret").put(&format!("a/{i}"), member(&format!("{round}"))).unwrap()));
            checkpoints.push(verify_checkpoint(&text(&read(&root, "checkpoint", Object::new()), "checkpoint"), &key).unwrap());
        }
        let size = checkpoints.last().unwrap().size;
        let proof = |sequence: u64| {
            let asked = Object::new().with("sequence", sequence).with("size", size);
            InclusionProof::from_value(&read(&root, "proof/inclusion", asked)).unwrap()
        };
        let events: Events = (1..=size).map(|sequence| proof(sequence).event).collect();
        let shown = Shown { events, checkpoints };
        for checkpoint in &shown.checkpoints {
            assert_eq!(
                checkpoint.root,
                root_of(&shown.events[..checkpoint.size as usize]),
                "the other implementation agrees with the vault"
            );
        }
        shown
    }

    /// A log that differs; what was done to it, and the first event that is not the same any more.
    fn rewritten(&self, random: &mut Random) -> Option<(&'static str, Events, usize)> {
        let mut events = self.events.clone();
        let mut at = || usize::try_from(random.below(self.events.len() as u64)).unwrap();
        let (one, two) = (at(), at());
        let name = match random.below(6) {
            0 => {
                events.remove(one);
                "an event taken away"
            }
            1 => {
                events.swap(one, two);
                "two events swapped"
            }
            2 => {
                let event = events.remove(one);
                events.insert(two, event);
                "an event put elsewhere"
            }
            3 => {
                events.truncate(one);
                "the end cut off"
            }
            4 => {
                let bit = random.below(events[one].len() as u64 * 8);
                events[one][usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
                "an event altered"
            }
            _ => {
                events.truncate(one);
                (0..=random.below(100)).for_each(|i| events.push(format!("another event {i}").into_bytes()));
                "a fork"
            }
        };
        let common = events.iter().zip(&self.events).take_while(|(a, b)| a == b).count();
        (events != self.events).then_some((name, events, common))
    }
}

fn tree_of(events: &[Vec<u8>]) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    events.iter().for_each(|event| tree.push(event.clone()));
    tree
}

fn root_of(events: &[Vec<u8>]) -> [u8; 32] {
    (*tree_of(events).root().as_bytes()).into()
}

fn hashes(bytes: &[u8]) -> Vec<[u8; 32]> {
    bytes.as_chunks::<32>().0.to_vec()
}

/// Judges a rewritten log by all that was shown of the honest one: each checkpoint is kept by somebody who asks for proofs. How many proofs
/// were refused, and how many accepted: those of what is still the same.
fn judge(shown: &Shown, events: &Events, common: usize) -> (u64, u64) {
    let (mut refused, mut accepted) = (0, 0);
    let tree = tree_of(events);
    let size = events.len() as u64;
    let newer = Checkpoint { origin: shown.checkpoints[0].origin.clone(), size, root: root_of(events) };
    for older in &shown.checkpoints {
        let same = older.size <= common as u64;
        // A log that is shorter than what was signed has no proof at all: the one who asks is told of fewer events than there were.
        if older.size <= size {
            let made = tree.prove_consistency((size - older.size) as usize);
            let proof = ConsistencyProof { from: older.size, to: size, hashes: hashes(made.as_bytes()) };
            assert_eq!(proof.verify(older, &newer).is_ok(), same, "{} of {size}, {common} in common", older.size);
            *if same { &mut accepted } else { &mut refused } += 1;
        } else {
            assert!(!same);
            let proof = ConsistencyProof { from: older.size, to: size, hashes: Vec::new() };
            assert!(proof.verify(older, &newer).is_err());
            refused += 1;
        }
    }
    // What was changed is proved neither under the honest checkpoint nor, in its honest form, under the rewritten one.
    let honest = shown.checkpoints.last().unwrap();
    if let (Some(event), Some(honest_event)) = (events.get(common), shown.events.get(common)) {
        let made = hashes(tree.prove_inclusion(common).as_bytes());
        let proof = InclusionProof { sequence: common as u64 + 1, size, event: event.clone(), hashes: made };
        proof.verify(&newer).unwrap();
        assert!(InclusionProof { size: honest.size, ..proof.clone() }.verify(honest).is_err());
        assert!(InclusionProof { event: honest_event.clone(), ..proof }.verify(&newer).is_err());
        refused += 2;
        accepted += 1;
    }
    (refused, accepted)
}

#[test]
fn a_log_that_was_written_anew_is_found_by_whoever_kept_a_checkpoint() {
    let shown = Shown::new();
    let count = number_from("LIBVAULT_TAMPERS").unwrap_or(TAMPERS) * SHARE / 10;
    let first = number_from("LIBVAULT_SEED").unwrap_or(1);
    let start = Instant::now();
    let mut tried: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut refused, mut accepted) = (0, 0);
    for seed in first..first + count {
        let mut random = Random::from_seed(seed);
        let (name, events, common) = (0..100).find_map(|_| shown.rewritten(&mut random)).expect("some change changes something");
        let judged = judge(&shown, &events, common);
        assert!(judged.0 > 0, "LIBVAULT_SEED={seed}: {name} from event {common} on: it was not found");
        refused += judged.0;
        accepted += judged.1;
        *tried.entry(name).or_default() += 1;
    }
    eprintln!(
        "LIBVAULT_SEED={first}: {count} logs written anew, all found, {refused} proofs refused, {accepted} of what is the same accepted, {:.1?}: {tried:?}",
        start.elapsed()
    );
}

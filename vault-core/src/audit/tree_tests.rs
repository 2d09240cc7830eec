//! The tree and its proofs against the vectors of Certificate Transparency, and against another implementation of RFC 6962.

use super::proof::{ConsistencyProof, InclusionProof, Leaves};
use super::{Checkpoint, Leaf, Tree};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof as OtherConsistency, InclusionProof as OtherInclusion, RootHash};
use sha2::Sha256;

/// The leaves and the roots of the tree's first sizes, as the implementations of Certificate Transparency test them.
const LEAVES: [&str; 8] = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
/// Inner nodes of that tree.
const NODE_1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const NODE_23: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const NODE_4567: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const NODE_4: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const NODE_67: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const NODE_45: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
const NODE_0123: &str = ROOTS[4];
/// Which leaf (from 1) of which size is proved by what.
const INCLUSION: [(u64, u64, &[&str]); 4] = [
    (1, 8, &[NODE_1, NODE_23, NODE_4567]),
    (6, 8, &[NODE_4, NODE_67, NODE_0123]),
    (3, 3, &[ROOTS[2]]),
    (2, 5, &[ROOTS[1], NODE_23, NODE_4]),
];
/// Which size is the beginning of which, and by what that is proved.
const CONSISTENCY: [(u64, u64, &[&str]); 4] =
    [(1, 1, &[]), (1, 8, &[NODE_1, NODE_23, NODE_4567]), (6, 8, &[NODE_45, NODE_67, NODE_0123]), (2, 5, &[NODE_23, NODE_4])];

/// Leaves up to which every proof is compared.
const SIZE_MAX: u64 = 300;

fn hash(text: &str) -> [u8; 32] {
    hex::decode(text).expect("hex").try_into().expect("32 bytes")
}

fn hashes(texts: &[&str]) -> Vec<[u8; 32]> {
    texts.iter().map(|text| hash(text)).collect()
}

fn checkpoint(size: u64, root: [u8; 32]) -> Checkpoint {
    Checkpoint { origin: "o".to_owned(), size, root }
}

fn event(at: u64) -> Vec<u8> {
    // Of many lengths, the empty one and those around a block of the hash included.
    let seed = at.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..seed % 131).map(|byte| (seed >> (byte % 57)) as u8).collect()
}

#[test]
fn roots_and_proofs_are_those_of_certificate_transparency() {
    let mut tree = Tree::empty();
    let mut of_size = vec![Leaves::after(Tree::empty())];
    let mut leaves = Leaves::after(Tree::empty());
    assert_eq!(tree.root(), hash(ROOTS[0]));
    for (size, leaf) in (1..).zip(LEAVES) {
        let leaf = hex::decode(leaf).expect("hex");
        tree.push(Leaf::of(&leaf));
        assert_eq!(tree.root(), hash(ROOTS[size]), "size {size}");
        leaves.push(Leaf::of(&leaf));
        let mut so_far = Leaves::after(Tree::empty());
        LEAVES[..size].iter().for_each(|leaf| so_far.push(Leaf::of(&hex::decode(leaf).expect("hex"))));
        of_size.push(so_far);
    }
    for (sequence, size, expected) in INCLUSION {
        let proof = InclusionProof {
            sequence,
            size,
            event: hex::decode(LEAVES[sequence as usize - 1]).expect("hex"),
            hashes: of_size[size as usize].inclusion(sequence - 1).expect("nothing is gone"),
        };
        assert_eq!(proof.hashes, hashes(expected), "{sequence} of {size}");
        proof.verify(&checkpoint(size, hash(ROOTS[size as usize]))).expect("proved");
    }
    for (from, to, expected) in CONSISTENCY {
        let proof = ConsistencyProof { from, to, hashes: of_size[to as usize].consistency(from).expect("nothing is gone") };
        assert_eq!(proof.hashes, hashes(expected), "{from} to {to}");
        let older = checkpoint(from, hash(ROOTS[from as usize]));
        proof.verify(&older, &checkpoint(to, hash(ROOTS[to as usize]))).expect("proved");
    }
}

/// Every root, every inclusion proof and every consistency proof of every size is what the other implementation makes.
#[test]
fn every_root_and_proof_is_that_of_another_implementation() {
    let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut leaves = Leaves::after(Tree::empty());
    let mut tree = Tree::empty();
    let (mut inclusions, mut consistencies) = (0_u32, 0_u32);
    for size in 1..=SIZE_MAX {
        let event = event(size);
        other.push(event.clone());
        leaves.push(Leaf::of(&event));
        tree.push(Leaf::of(&event));
        assert_eq!(tree.root()[..], other.root().as_bytes()[..], "size {size}");
        for at in 0..size {
            let ours = leaves.inclusion(at).expect("nothing is gone");
            assert_eq!(ours.as_flattened(), other.prove_inclusion(at as usize).as_bytes(), "{at} of {size}");
            inclusions += 1;
        }
        for from in 1..=size {
            let ours = leaves.consistency(from).expect("nothing is gone");
            assert_eq!(ours.as_flattened(), other.prove_consistency((size - from) as usize).as_bytes(), "{from} to {size}");
            consistencies += 1;
        }
    }
    assert_eq!((inclusions, consistencies), (45_150, 45_150));
}

/// What the other implementation says of an inclusion proof of ours.
fn other_includes(proof: &InclusionProof, root: [u8; 32]) -> bool {
    let bytes = proof.hashes.as_flattened().to_vec();
    let Ok(other) = OtherInclusion::<Sha256>::try_from_bytes(bytes) else { return false };
    let in_range = (1..=proof.size).contains(&proof.sequence);
    in_range && RootHash::<Sha256>::new(root.into(), proof.size).verify_inclusion(&proof.event, proof.sequence - 1, &other).is_ok()
}

fn other_agrees(proof: &ConsistencyProof, older: [u8; 32], newer: [u8; 32]) -> bool {
    let bytes = proof.hashes.as_flattened().to_vec();
    let Ok(other) = OtherConsistency::<Sha256>::try_from_bytes(bytes) else { return false };
    let older = RootHash::<Sha256>::new(older.into(), proof.from);
    RootHash::<Sha256>::new(newer.into(), proof.to).verify_consistency(&older, &other).is_ok()
}

/// All proofs of some sizes, whole and with every kind of harm; ours must accept the former and refuse the latter, and the other does the same.
#[test]
fn wrong_proofs_are_refused_by_both() {
    let (mut accepted, mut refused) = (0_u32, 0_u32);
    let mut judge = |ours: bool, other: bool, sound: bool, what: &dyn Fn() -> String| {
        assert_eq!((ours, other), (sound, sound), "{}", what());
        *if sound { &mut accepted } else { &mut refused } += 1;
    };
    let mut leaves = Leaves::after(Tree::empty());
    let mut roots = vec![Tree::empty().root()];
    let mut tree = Tree::empty();
    for size in 1..=40_u64 {
        leaves.push(Leaf::of(&event(size)));
        tree.push(Leaf::of(&event(size)));
        roots.push(tree.root());
        for at in 0..size {
            let hashes = leaves.inclusion(at).expect("nothing is gone");
            let proof = InclusionProof { sequence: at + 1, size, event: event(at + 1), hashes };
            let check = |proof: &InclusionProof| (proof.verify(&checkpoint(size, tree.root())).is_ok(), other_includes(proof, tree.root()));
            let (ours, other) = check(&proof);
            judge(ours, other, true, &|| format!("{at} of {size}"));
            for (bad, hashes) in harmed(&proof.hashes) {
                let (ours, other) = check(&InclusionProof { hashes, ..proof.clone() });
                judge(ours, other, false, &|| format!("{at} of {size}, {bad}"));
            }
            for elsewhere in (0..=size + 1).filter(|elsewhere| *elsewhere != at + 1) {
                let (ours, other) = check(&InclusionProof { sequence: elsewhere, ..proof.clone() });
                judge(ours, other, false, &|| format!("{at} of {size} as {elsewhere}"));
            }
            let (ours, other) = check(&InclusionProof { event: b"another".to_vec(), ..proof.clone() });
            judge(ours, other, false, &|| format!("another event at {at} of {size}"));
        }
        for from in 1..size {
            let proof = ConsistencyProof { from, to: size, hashes: leaves.consistency(from).expect("nothing is gone") };
            let (older, newer) = (roots[from as usize], tree.root());
            let check = |proof: &ConsistencyProof, older: [u8; 32], newer: [u8; 32]| {
                let verified = proof.verify(&checkpoint(proof.from, older), &checkpoint(proof.to, newer));
                (verified.is_ok(), other_agrees(proof, older, newer))
            };
            let (ours, other) = check(&proof, older, newer);
            judge(ours, other, true, &|| format!("{from} to {size}"));
            for (bad, hashes) in harmed(&proof.hashes) {
                let (ours, other) = check(&ConsistencyProof { hashes, ..proof.clone() }, older, newer);
                judge(ours, other, false, &|| format!("{from} to {size}, {bad}"));
            }
            for (older, newer) in [(newer, newer), (older, older), (newer, older), (roots[from as usize - 1], newer)] {
                let (ours, other) = check(&proof, older, newer);
                judge(ours, other, false, &|| format!("{from} to {size}, other roots"));
            }
        }
    }
    assert_eq!(accepted, 820 + 780);
    assert_eq!(refused, 58_289);
}

/// A proof's hashes with every kind of harm, each once.
fn harmed(hashes: &[[u8; 32]]) -> Vec<(String, Vec<[u8; 32]>)> {
    let mut all = Vec::new();
    for at in 0..hashes.len() {
        let mut flipped = hashes.to_vec();
        flipped[at][at % 32] ^= 1 << (at % 8);
        all.push((format!("hash {at} altered"), flipped));
        let mut shorter = hashes.to_vec();
        shorter.remove(at);
        all.push((format!("without hash {at}"), shorter));
        let mut longer = hashes.to_vec();
        longer.insert(at, hashes[at]);
        all.push((format!("hash {at} twice"), longer));
        if at > 0 {
            let mut reordered = hashes.to_vec();
            reordered.swap(at - 1, at);
            all.push((format!("hashes {} and {at} swapped", at - 1), reordered));
        }
    }
    all.push(("one more".to_owned(), [hashes, &[[7; 32]]].concat()));
    all
}

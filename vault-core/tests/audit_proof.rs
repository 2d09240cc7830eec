//! Checkpoints and proofs of a running vault, checked with nothing but its public key.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use vault_core::audit_proof::{Checkpoint, ConsistencyProof, InclusionProof, verify_checkpoint};
use vault_core::types::{Code, Object, Operation, Value};
use vault_core::{Config, NewSeal, Session, Vault};

fn root() -> (Vault, Session) {
    let config = Config::in_memory().with_audit_tail_bytes(4 * 1024);
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let session = vault.session(init.root_token);
    (vault, session)
}

fn read(root: &Session, path: &str, data: Object) -> Value {
    root.request(Operation::Read, path, Some(data.into())).unwrap().data.unwrap()
}

fn key(root: &Session) -> String {
    read(root, "sys/audit-log/public-key", Object::new()).get("key").unwrap().as_str().unwrap().to_owned()
}

fn note(root: &Session) -> String {
    read(root, "sys/audit-log/checkpoint", Object::new()).get("checkpoint").unwrap().as_str().unwrap().to_owned()
}

fn work(root: &Session, from: u64, to: u64) {
    (from..to).for_each(|i| drop(root.kv("secret").put(&format!("a/{i}"), Object::new().with("value", i)).unwrap()));
}

#[test]
fn whoever_has_the_public_key_can_check_that_nothing_was_taken_away() {
    let (_vault, root) = root();
    let key = key(&root);
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    for round in 0..12 {
        work(&root, round * 9, round * 9 + 7);
        checkpoints.push(verify_checkpoint(&note(&root), &key).unwrap());
    }
    assert!(root.audit().verify().unwrap().segments > 1, "over sealed segments too");
    for (i, newer) in checkpoints.iter().enumerate() {
        for older in &checkpoints[..=i] {
            let proof = read(&root, "sys/audit-log/proof/consistency", Object::new().with("from", older.size).with("to", newer.size));
            ConsistencyProof::from_value(&proof).unwrap().verify(older, newer).unwrap();
        }
    }
    let last = checkpoints.last().unwrap();
    for sequence in 1..=last.size {
        let proof = read(&root, "sys/audit-log/proof/inclusion", Object::new().with("sequence", sequence).with("size", last.size));
        let proof = InclusionProof::from_value(&proof).unwrap();
        proof.verify(last).unwrap();
        assert_eq!(proof.verify(&checkpoints[0]).unwrap_err().code(), Code::Corrupt);
    }
}

#[test]
fn the_proof_shows_the_event_that_it_is_of() {
    let (_vault, root) = root();
    work(&root, 0, 3);
    let checkpoint = verify_checkpoint(&note(&root), &key(&root)).unwrap();
    let answer = read(&root, "sys/audit-log/proof/inclusion", Object::new().with("sequence", 2_u64).with("size", checkpoint.size));
    let shown = answer.get("event_json").unwrap();
    assert_eq!(shown.get("path").and_then(Value::as_str), Some("secret/data/a/0"));
    assert_eq!(shown.get("sequence").and_then(Value::as_u64), Some(2));
    let as_texts = Object::new().with("sequence", "2").with("size", checkpoint.size.to_string());
    assert_eq!(
        read(&root, "sys/audit-log/proof/inclusion", as_texts),
        answer,
        "numbers may be texts, as the query of an address gives them"
    );
}

#[test]
fn another_vault_and_a_fork_are_found() {
    let (vault, one) = root();
    let (_other, two) = root();
    let refused = verify_checkpoint(&note(&two), &key(&one)).unwrap_err();
    assert_eq!(refused.code(), Code::Corrupt);
    // A copy that goes on by itself is a fork: of another lineage once it is adopted, so of another key.
    work(&one, 0, 5);
    let mut bytes = Vec::new();
    one.backup().to_writer(&mut bytes, &vault_core::BackupSeals::Own).unwrap();
    let (copy, _) = Vault::restore(Config::in_memory(), &mut &bytes[..], &vault_core::UnsealKey::raw_key(&[7; 32]).unwrap()).unwrap();
    let token = copy.generate_root(&vault_core::UnsealKey::raw_key(&[7; 32]).unwrap()).unwrap();
    let forked = copy.session(token);
    forked.request(Operation::Write, "sys/storage/adopt", None).unwrap();
    assert_ne!(key(&one), key(&forked));
    assert!(verify_checkpoint(&note(&forked), &key(&one)).is_err());
    drop(vault);
}

#[test]
fn what_cannot_be_proved_is_refused() {
    let (_vault, root) = root();
    for (path, data) in [
        ("inclusion", Object::new()),
        ("inclusion", Object::new().with("sequence", 0_u64)),
        ("inclusion", Object::new().with("sequence", 9_999_u64)),
        ("inclusion", Object::new().with("sequence", 1_u64).with("size", 9_999_u64)),
        ("inclusion", Object::new().with("sequence", "one")),
        ("consistency", Object::new().with("from", 9_999_u64)),
        ("consistency", Object::new().with("from", 2_u64).with("to", 1_u64)),
    ] {
        let error = root.request(Operation::Read, &format!("sys/audit-log/proof/{path}"), Some(data.into())).unwrap_err();
        assert!(matches!(error.code(), Code::InvalidRequest | Code::InvalidData), "{error}");
    }
}

//! What the doctor makes of version 1 mounts, cubbyholes, and what is being removed.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/mounts.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use support::*;
use vault_core::doctor::{self, Options, Verdict};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Batch, Key, Read, Storage};
use vault_core::types::{Code, Error, Operation, SecretString};
use vault_core::{Config, Session, TokenOptions, UnsealKey, Vault};

const SECRETS: [&str; 3] = ["a", "b/c", "b/d/e"];

fn config(storage: &Arc<MemoryStorage>) -> Config {
    Config::on(Arc::clone(storage) as Arc<dyn Storage>).with_audit_tail_bytes(1)
}

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

/// A store with secrets of version 1, a cubbyhole, and a mount that was removed and not yet swept; and the cubbyhole's token.
fn store() -> (Arc<MemoryStorage>, String) {
    let storage = Arc::new(MemoryStorage::new());
    let world = create(config(&storage));
    mount(&world.root, "old", "1").unwrap();
    for path in SECRETS {
        ask(&world.root, Operation::Write, &format!("old/{path}"), &format!(r#"{{"is":"{path}"}}"#)).unwrap();
    }
    let options = TokenOptions { policies: vec!["default".to_owned()], ..TokenOptions::default() };
    let token = world.root.tokens().create(options).unwrap().client_token.expose().to_owned();
    let holder = world.vault.session(SecretString::copy_from(&token));
    ask(&holder, Operation::Write, "cubbyhole/x/y", r#"{"mine":1}"#).unwrap();
    for version in ["1", "2"] {
        mount(&world.root, "m", version).unwrap();
        fill(&world.root, version, 6);
        unmount(&world.root, "m").unwrap();
    }
    world.vault.seal().unwrap();
    (Arc::new(storage.copy()), token)
}

fn old_secrets(root: &Session) -> usize {
    let is_whole = |path: &&&str| read(root, &format!("old/{path}")).is_ok_and(|data| data.get("is").unwrap().as_str() == Some(**path));
    SECRETS.iter().filter(is_whole).count()
}

fn salvaged(storage: &Arc<MemoryStorage>) -> Result<(Vault, Session, doctor::SalvageReport), Error> {
    let (vault, report) = doctor::salvage_with(&config(storage), &key(), Config::in_memory(), &Options::new().with_names())?;
    vault.verify().unwrap();
    let root = vault.session(vault.generate_root(&key()).unwrap());
    root.request(Operation::Write, "sys/storage/adopt", None).unwrap();
    Ok((vault, root, report))
}

#[test]
fn a_salvage_keeps_version_1_and_cubbyholes_with_their_listings_and_nothing_of_what_is_being_removed() {
    let (storage, token) = store();
    let report = doctor::examine(&config(&storage), Some(&key())).unwrap();
    assert_eq!(report.verdict, Verdict::Sound, "{report}");
    assert_eq!(report.content.as_ref().unwrap().secrets, SECRETS.len() as u64, "{report}");
    let (vault, root, report) = salvaged(&storage).unwrap();
    assert!(report.is_complete() && report.nameless == 0, "{report}");
    assert_eq!(old_secrets(&root), SECRETS.len());
    let keys = |session: &Session, path: &str| text_of(ask(session, Operation::List, path, "").unwrap().data.unwrap().get("keys").unwrap());
    assert_eq!((keys(&root, "old"), keys(&root, "old/b")), (r#"["a","b/"]"#.to_owned(), r#"["c","d/"]"#.to_owned()));
    let holder = vault.session(SecretString::copy_from(&token));
    assert_eq!(keys(&holder, "cubbyhole/x"), r#"["y"]"#);
    read(&holder, "cubbyhole/x/y").unwrap();
    assert_eq!(code_of(read(&root, "sys/mounts/m")), Code::NotFound);
    ask(&root, Operation::Write, "old/new", r#"{"a":1}"#).unwrap();
    for _ in 0..10 {
        vault.tick().unwrap();
    }
    vault.verify().unwrap();
}

#[test]
fn whichever_record_is_gone_at_most_what_it_held_is_lost() {
    let (storage, _) = store();
    let records = storage.scan(&[], None, 100_000).unwrap();
    let (mut incomplete, mut refused) = (0, 0);
    for at in 0..records.len() {
        let harmed = Arc::new(MemoryStorage::new());
        for number in 1..=storage.commit_number() {
            let there = |(index, (key, value)): (usize, &(Key, Vec<u8>))| (index != at).then(|| (*key, Some(value.clone())));
            let is_last = number == storage.commit_number();
            let changes = if is_last { records.iter().enumerate().filter_map(there).collect() } else { BTreeMap::new() };
            harmed.commit(&Batch { number, expectations: Vec::new(), changes }).unwrap();
        }
        for index in 1.. {
            let Some(segment) = storage.read_segment(index).unwrap() else { break };
            harmed.write_segment(index, &segment).unwrap();
        }
        if matches!(records[at].0.as_bytes(), b"header" | b"keyring") {
            continue;
        }
        let (vault, root, report) = match salvaged(&harmed) {
            Ok(done) => done,
            Err(error) => {
                assert_eq!(error.code(), Code::Corrupt, "record {at}");
                refused += 1;
                continue;
            }
        };
        let there = old_secrets(&root);
        let told = report.damaged.len() + usize::try_from(report.nameless).unwrap();
        assert!(there + told >= SECRETS.len(), "record {at}: {report}");
        incomplete += usize::from(there < SECRETS.len());
        vault.tick().unwrap();
        vault.verify().unwrap();
    }
    assert!(incomplete >= SECRETS.len(), "{incomplete}");
    assert!(refused <= 1, "without the table of namespaces nobody can tell whose a record is: {refused}");
}

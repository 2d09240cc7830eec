//! Records that are altered or gone, one at a time: the doctor tells, and all others are salvaged.

use super::{check_salvaged, fill, key, member, text_of};
use crate::support::KEY;
use std::collections::BTreeMap;
use std::sync::Arc;
use vault_core::doctor::{self, Options, Verdict};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Batch, Key, Read, Storage};
use vault_core::types::{Code, SecretString};
use vault_core::{Config, NewSeal, Vault};

/// A store in memory whose records are given, at the commit that its root record is of.
pub fn memory(records: &[(Key, Vec<u8>)], segments: &[Vec<u8>], number: u64) -> Arc<MemoryStorage> {
    let storage = MemoryStorage::new();
    for commit in 1..=number {
        let changes =
            if commit == number { records.iter().map(|(key, value)| (*key, Some(value.clone()))).collect() } else { BTreeMap::new() };
        storage.commit(&Batch { number: commit, expectations: Vec::new(), changes }).unwrap();
    }
    (1_u64..).zip(segments).for_each(|(index, content)| storage.write_segment(index, content).unwrap());
    Arc::new(storage)
}

#[test]
fn whichever_record_is_altered_or_gone_the_doctor_tells_and_all_others_are_salvaged() {
    let origin = Arc::new(MemoryStorage::new());
    let on = |storage: &Arc<MemoryStorage>| Config::on(Arc::clone(storage) as Arc<dyn Storage>).with_audit_tail_bytes(2 * 1024);
    let (vault, init) = Vault::create(on(&origin), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let (secrets, reader) = fill(&vault.session(init.root_token));
    vault.tick().unwrap();
    vault.seal().unwrap();
    let number = origin.commit_number();
    let records = origin.scan(&[], None, 100_000).unwrap();
    let segments: Vec<Vec<u8>> = (1..).map_while(|index| origin.read_segment(index).unwrap()).collect();
    assert_eq!(doctor::examine(&on(&memory(&records, &segments, number)), Some(&key())).unwrap().verdict, Verdict::Sound);
    let (mut opened, mut partly) = (0, 0);
    for at in 0..records.len() {
        for gone in [false, true] {
            let mut harmed = records.clone();
            if gone {
                drop(harmed.remove(at));
            } else {
                let last = harmed[at].1.len() - 1;
                harmed[at].1[last] ^= 1;
            }
            let harmed = memory(&harmed, &segments, number);
            let name = format!("record {at} ({:?}), gone: {gone}", records[at].0);
            let report = doctor::examine(&on(&harmed), Some(&key())).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(report.verdict >= Verdict::Damaged, "{name}: {report}");
            let salvaged = doctor::salvage_with(&on(&harmed), &key(), Config::in_memory(), &Options::new().with_names());
            let (vault, told) = match salvaged {
                Ok(done) => done,
                Err(error) => {
                    assert_eq!((error.code(), report.verdict), (Code::Corrupt, Verdict::Unreadable), "{name}: {error}");
                    assert!(matches!(records[at].0.as_bytes(), b"header" | b"keyring"), "{name}: {error}");
                    continue;
                }
            };
            opened += 1;
            assert!(!told.is_complete(), "{name}: {told}");
            // A token with a policy that was lost may do nothing any more, and never more than it might.
            let asked = vault.session(SecretString::copy_from(reader.expose())).kv("secret").put("forbidden", member("x"));
            assert!(matches!(asked.unwrap_err().code(), Code::PermissionDenied | Code::Frozen), "{name}");
            let read = check_salvaged(&vault, &told, &secrets);
            partly += usize::from(read < secrets.len());
            let nameless = if told.remade.contains(&"mount table") { read + usize::try_from(told.nameless).unwrap() } else { read };
            assert!(nameless + 1 >= secrets.len(), "{name}: {read} of {}: {told}", secrets.len());
        }
    }
    eprintln!("{} records: {opened} salvages, {partly} of them without some secret", records.len());
    assert!(opened > 2 * (records.len() - 3) && partly > 0);
}

#[test]
fn secrets_whose_names_are_gone_are_kept_under_the_names_of_their_records() {
    let origin = Arc::new(MemoryStorage::new());
    let on = |storage: &Arc<MemoryStorage>| Config::on(Arc::clone(storage) as Arc<dyn Storage>);
    let (vault, init) = Vault::create(on(&origin), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let (secrets, _) = fill(&vault.session(init.root_token));
    vault.seal().unwrap();
    let records = origin.scan(&[], None, 100_000).unwrap();
    let found = (0..records.len()).find_map(|at| {
        let mut harmed = records.clone();
        drop(harmed.remove(at));
        let harmed = memory(&harmed, &[], origin.commit_number());
        let report = doctor::examine(&on(&harmed), Some(&key())).unwrap();
        report.content.is_some_and(|content| content.system_lost.contains(&"mount table")).then_some(harmed)
    });
    let (vault, told) = doctor::salvage(&on(&found.unwrap()), &key(), Config::in_memory()).unwrap();
    let mount = told.nameless_mount.unwrap();
    let root = vault.session(vault.generate_root(&key()).unwrap());
    let mut contents: Vec<String> = secrets.values().cloned().collect();
    for name in root.kv(&mount).list("secrets").unwrap() {
        let found = root.kv(&mount).get(&format!("secrets/{name}")).unwrap();
        let at = contents.iter().position(|content| content == text_of(&found.data)).unwrap();
        drop(contents.remove(at));
    }
    assert!(contents.is_empty(), "{} are missing", contents.len());
    assert_eq!(root.kv(&mount).list("versions").unwrap().len(), 3);
}

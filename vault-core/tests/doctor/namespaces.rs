//! The same of a vault with namespaces: what one of them loses is lost there, and nowhere else.

use super::records::memory;
use super::{key, member, text_of};
use crate::support::{Random, number_from};
use std::collections::BTreeMap;
use std::sync::Arc;
use vault_core::doctor::{self, Content, Options, Report, SalvageReport, Verdict};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Key, Read, Storage};
use vault_core::types::{Class, Code, Object, Operation, SecretString, Ttl, Value};
use vault_core::{Config, NewSeal, Session, TokenOptions, Vault};

const NAMESPACES: [&str; 4] = ["", "team-a", "team-a/dev", "team-b"];

/// A vault with namespaces, closed; one of them was deleted and is not swept.
struct Teams {
    records: Vec<(Key, Vec<u8>)>,
    segments: Vec<Vec<u8>>,
    number: u64,
    /// By namespace and path.
    secrets: BTreeMap<(String, String), String>,
    /// A token of each namespace, which may read its secrets.
    tokens: BTreeMap<String, String>,
}

impl Teams {
    fn new() -> Self {
        let origin = Arc::new(MemoryStorage::new());
        let (vault, init) = Vault::create(on(&origin), NewSeal::raw_key(&super::KEY).unwrap()).unwrap();
        let root = vault.session(init.root_token);
        let (mut secrets, mut tokens) = (BTreeMap::new(), BTreeMap::new());
        for path in NAMESPACES {
            let session = root.namespace(path).unwrap();
            if let Some((above, name)) = path.rsplit_once('/').or((!path.is_empty()).then_some(("", path))) {
                make(&root.namespace(above).unwrap(), name);
            }
            for (name, text) in [("a", "one"), ("app/b", "two"), ("app/b", "three")] {
                session.kv("secret").put(name, member(&format!("{path} {text}"))).unwrap();
                secrets.insert((path.to_owned(), name.to_owned()), format!("{path} {text}"));
            }
            session.policies().write("readers", "path \"secret/data/*\" { capabilities = [\"read\"] }").unwrap();
            let options = TokenOptions { policies: vec!["readers".into()], ttl: Some(Ttl::from_secs(7200)), ..TokenOptions::default() };
            tokens.insert(path.to_owned(), session.tokens().create(options).unwrap().client_token.expose().to_owned());
        }
        make(&root, "gone");
        root.namespace("gone").unwrap().kv("secret").put("a", member("gone")).unwrap();
        root.request(Operation::Delete, "sys/namespaces/gone", None).unwrap();
        vault.seal().unwrap();
        let records = origin.scan(&[], None, 100_000).unwrap();
        let segments = (1..).map_while(|index| origin.read_segment(index).unwrap()).collect();
        Teams { records, segments, number: origin.commit_number(), secrets, tokens }
    }

    fn store(&self, records: &[(Key, Vec<u8>)]) -> Arc<MemoryStorage> {
        memory(records, &self.segments, self.number)
    }

    /// The store without one record, or with one that was altered.
    fn harmed(&self, at: usize, gone: bool) -> Arc<MemoryStorage> {
        let mut records = self.records.clone();
        if gone {
            drop(records.remove(at));
        } else {
            let last = records[at].1.len() - 1;
            records[at].1[last] ^= 1;
        }
        self.store(&records)
    }

    /// The store with some records that are gone or altered, not those without which nothing opens it; and how many are gone.
    fn harmed_at_random(&self, random: &mut Random) -> (Arc<MemoryStorage>, usize) {
        let mut records = self.records.clone();
        let is_fixed = |key: &Key| matches!(key.as_bytes(), b"header" | b"keyring");
        for _ in 0..=random.below(12) {
            let open: Vec<usize> = (0..records.len()).filter(|at| !is_fixed(&records[*at].0)).collect();
            let at = *random.pick(&open);
            let record = &mut records[at].1;
            let byte = usize::try_from(random.below(record.len() as u64)).unwrap();
            match random.below(3) {
                0 => drop(records.remove(at)),
                1 if byte > 0 => record.truncate(byte),
                _ => record[byte] ^= 1 << random.below(8),
            }
        }
        (self.store(&records), self.records.len() - records.len())
    }

    /// Where the record lies without which the doctor finds this.
    fn find(&self, is_it: impl Fn(&Content) -> bool) -> usize {
        let found = (0..self.records.len()).find(|at| examine(&self.harmed(*at, true)).content.is_some_and(|content| is_it(&content)));
        found.unwrap()
    }
}

fn on(storage: &Arc<MemoryStorage>) -> Config {
    Config::on(Arc::clone(storage) as Arc<dyn Storage>).with_audit_tail_bytes(4 * 1024)
}

fn make(above: &Session, name: &str) {
    let data = Object::new().with("custom_metadata", Object::new().with("owner", name));
    above.request(Operation::Write, &format!("sys/namespaces/{name}"), Some(data.into())).unwrap();
}

fn examine(storage: &Arc<MemoryStorage>) -> Report {
    doctor::examine_with(&on(storage), Some(&key()), &Options::new().with_names()).unwrap()
}

fn salvage(storage: &Arc<MemoryStorage>) -> (Vault, SalvageReport) {
    doctor::salvage_with(&on(storage), &key(), Config::in_memory(), &Options::new().with_names()).unwrap()
}

/// What the data key of a namespace counts as having encrypted.
fn encryptions(vault: &Vault, namespace: &str) -> u64 {
    let session = vault.session(vault.generate_root(&key()).unwrap()).namespace(namespace).unwrap();
    let status = session.request(Operation::Read, "sys/key-status", None).unwrap().data.unwrap();
    status.get("encryptions").and_then(Value::as_u64).unwrap()
}

/// How many tokens can read their namespace's secret. None may do more than that.
fn tokens_that_work(teams: &Teams, vault: &Vault) -> usize {
    let works = |(path, token): (&String, &String)| {
        let session = vault.session(SecretString::copy_from(token));
        let own = session.namespace(path).unwrap();
        assert!(matches!(own.kv("secret").put("forbidden", member("x")).unwrap_err().code(), Code::PermissionDenied | Code::Frozen));
        if !path.is_empty() {
            assert_eq!(session.kv("secret").get("a").unwrap_err().code(), Code::PermissionDenied, "above {path}");
        }
        own.kv("secret").get("a").is_ok() || own.kv("secret").get("app/b").is_ok()
    };
    teams.tokens.iter().filter(|entry| works(*entry)).count()
}

/// The secrets that cannot be read, none of them untold; then the vault is adopted, and goes on in each namespace that it has.
fn check(teams: &Teams, vault: &Vault, told: &SalvageReport) -> Vec<(String, String)> {
    vault.verify().unwrap();
    let root = vault.session(vault.generate_root(&key()).unwrap());
    root.audit().verify().unwrap();
    let mut missing = Vec::new();
    for ((path, name), text) in &teams.secrets {
        match root.namespace(path).unwrap().kv("secret").get(name) {
            Ok(found) => assert_eq!(text_of(&found.data), text),
            Err(error) => {
                assert_eq!(error.code().class(), Class::NotFound, "{path} {name}: {error}\n{told}");
                missing.push((path.clone(), name.clone()));
            }
        }
    }
    root.request(Operation::Write, "sys/storage/adopt", None).unwrap();
    for path in NAMESPACES {
        if let Some((above, name)) = path.rsplit_once('/').or((!path.is_empty()).then_some(("", path))) {
            let above = root.namespace(above).unwrap();
            if let Err(error) = above.request(Operation::Read, &format!("sys/namespaces/{name}"), None) {
                assert!(error.code() == Code::NotFound && told.namespaces_lost + told.orphans > 0, "{path}: {error}\n{told}");
                make(&above, name);
            }
        }
        let session = root.namespace(path).unwrap();
        session.kv("secret").put("after", member(path)).unwrap();
        session.request(Operation::Write, "sys/rotate", None).unwrap();
        assert_eq!(text_of(&session.kv("secret").get("after").unwrap().data), path);
    }
    (0..30).for_each(|_| assert!(vault.tick().is_ok()));
    let status = root.request(Operation::Read, "sys/key-status", None).unwrap().data.unwrap();
    let keys = status.get("reencryption").and_then(|done| done.get("data_keys")).and_then(Value::as_u64);
    assert_eq!(keys, Some(1), "the pass over the store ends");
    vault.verify().unwrap();
    missing
}

#[test]
fn a_store_with_namespaces_is_sound_one_of_them_deleted_and_not_swept_and_is_salvaged_whole() {
    let teams = Teams::new();
    let storage = teams.store(&teams.records);
    let report = examine(&storage);
    assert_eq!(report.verdict, Verdict::Sound, "{report}");
    let content = report.content.unwrap();
    assert_eq!((content.namespaces, content.namespaces_lost, content.orphans, content.unreadable), (3, 0, 0, 0));
    assert_eq!((content.secrets, content.nameless), (teams.secrets.len() as u64, 0));
    let (vault, told) = salvage(&storage);
    assert!(told.is_complete(), "{told}");
    assert_eq!((told.namespaces, told.secrets), (3, teams.secrets.len() as u64));
    assert!(encryptions(&vault, "team-a") < 1 << 20, "what the key has encrypted is known");
    let own = vault.session(SecretString::copy_from(&teams.tokens["team-a"])).namespace("team-a").unwrap();
    assert_eq!(text_of(&own.kv("secret").get_version("app/b", 1).unwrap().data), "team-a two");
    assert_eq!(tokens_that_work(&teams, &vault), NAMESPACES.len());
    assert!(check(&teams, &vault, &told).is_empty());
    assert_eq!(tokens_that_work(&teams, &vault), NAMESPACES.len());
}

#[test]
fn whichever_record_of_a_store_with_namespaces_is_altered_or_gone_all_others_are_salvaged() {
    let teams = Teams::new();
    let (mut salvages, mut partly, mut without_namespace, mut tokens) = (0, 0, 0, 0);
    for at in 0..teams.records.len() {
        for gone in [false, true] {
            let harmed = teams.harmed(at, gone);
            let name = format!("record {at} ({:?}), gone: {gone}", teams.records[at].0);
            let report = examine(&harmed);
            assert!(report.verdict >= Verdict::Damaged, "{name}: {report}");
            if report.verdict == Verdict::Unreadable {
                assert!(matches!(teams.records[at].0.as_bytes(), b"header" | b"keyring"), "{name}: {report}");
                continue;
            }
            let content = report.content.as_ref().unwrap();
            let (vault, told) = salvage(&harmed);
            assert!(!told.is_complete(), "{name}: {told}");
            salvages += 1;
            assert_eq!(
                (content.namespaces, content.namespaces_lost, content.orphans),
                (told.namespaces, told.namespaces_lost, told.orphans)
            );
            tokens += tokens_that_work(&teams, &vault);
            let missing = check(&teams, &vault, &told);
            partly += usize::from(!missing.is_empty());
            let is_damaged = |(path, secret): &(String, String)| {
                let mount = if path.is_empty() { "secret/".to_owned() } else { format!("{path}/secret/") };
                told.damaged.iter().any(|damaged| damaged.mount == mount && damaged.path == *secret)
            };
            if told.namespaces_lost > 0 {
                without_namespace += 1;
                assert!(told.orphans > 0 && missing.iter().all(|(path, _)| !path.is_empty()), "{name}: {told}");
                let inside = |path: &str| told.lost_namespaces.iter().any(|lost| format!("{path}/").starts_with(lost));
                assert_eq!(missing.len(), teams.secrets.keys().filter(|(path, _)| inside(path)).count(), "{name}: {told}");
            } else if told.remade.iter().any(|remade| remade.starts_with("mount table")) {
                assert!(missing.len() == 2 && told.nameless == 3, "{name}: {told}");
            } else {
                assert!(missing.len() <= 1 && missing.iter().all(is_damaged), "{name}: {missing:?}\n{told}");
            }
        }
    }
    let records = teams.records.len();
    eprintln!(
        "{records} records: {salvages} salvages, {partly} without some secret, {without_namespace} without a namespace, {tokens} tokens work"
    );
    assert_eq!(without_namespace, 2 * 3, "the keyring of each, altered and gone");
    assert!(salvages > 2 * (records - 3) && tokens > salvages * 3);
}

#[test]
fn a_namespace_whose_keyring_is_gone_is_lost_with_those_below_it_and_its_name_is_free() {
    let teams = Teams::new();
    let at = teams.find(|content| content.namespaces_lost == 2);
    for gone in [false, true] {
        let harmed = teams.harmed(at, gone);
        let report = examine(&harmed);
        assert!(report.has("namespaces-lost") && !report.opens, "{report}");
        let content = report.content.unwrap();
        assert_eq!(content.lost_namespaces, ["team-a/", "team-a/dev/"]);
        assert_eq!((content.namespaces, content.unreadable), (1, u64::from(!gone)));
        let unnamed = doctor::examine(&on(&harmed), Some(&key())).unwrap().content.unwrap();
        assert!(unnamed.lost_namespaces.is_empty(), "names are told to who asks for them");
        let (vault, told) = salvage(&harmed);
        assert_eq!((told.lost_namespaces.len(), told.orphans), (2, content.orphans), "{told}");
        assert!(told.orphans > 20 && !told.is_complete(), "{told}");
        assert!(encryptions(&vault, "team-b") > 1 << 30, "what the key has encrypted may be what was lost: it is rolled soon");
        assert_eq!(check(&teams, &vault, &told).len(), 4);
    }
}

#[test]
fn a_table_that_is_gone_is_made_anew_of_the_entries_beside_the_keyrings() {
    let teams = Teams::new();
    let at = teams.find(|content| content.system_lost.contains(&"namespace table"));
    for gone in [false, true] {
        let harmed = teams.harmed(at, gone);
        let report = examine(&harmed);
        assert!(report.has("system-records") && !report.opens, "{report}");
        let (vault, told) = salvage(&harmed);
        assert!(told.remade == ["namespace table"] && told.namespaces == 3, "{told}");
        let root = vault.session(vault.generate_root(&key()).unwrap());
        let found = root.namespace("team-a").unwrap().request(Operation::Read, "sys/namespaces/dev", None).unwrap().data.unwrap();
        assert_eq!(found.get("custom_metadata"), Some(&Object::new().with("owner", "dev").into()));
        assert_eq!(tokens_that_work(&teams, &vault), NAMESPACES.len());
        assert!(check(&teams, &vault, &told).is_empty());
    }
    // With a second record gone no more is lost than what that one stands for.
    let mut without = Teams { records: teams.records.clone(), segments: teams.segments.clone(), ..teams };
    drop(without.records.remove(at));
    let mut fewer = BTreeMap::<u64, u32>::new();
    for second in 0..without.records.len() {
        let Some(content) = examine(&without.harmed(second, true)).content else { continue };
        if content.namespaces < 3 {
            assert!(content.orphans > 10);
            *fewer.entry(content.namespaces).or_default() += 1;
        }
    }
    assert_eq!(fewer, BTreeMap::from([(1, 2), (2, 4)]), "an entry and a keyring of each");
}

#[test]
fn whatever_is_altered_or_gone_the_rest_is_salvaged_and_what_is_missing_is_told() {
    let teams = Teams::new();
    let mut random = Random::seeded();
    let rounds = number_from("LIBVAULT_SALVAGES").unwrap_or(60);
    let mut read = 0;
    for round in 0..rounds {
        let (harmed, gone) = teams.harmed_at_random(&mut random);
        let report = examine(&harmed);
        assert_eq!(report.verdict, Verdict::Damaged, "round {round}: {report}");
        let (vault, told) = salvage(&harmed);
        tokens_that_work(&teams, &vault);
        let missing = check(&teams, &vault, &told);
        read += teams.secrets.len() - missing.len();
        let nameless = told.nameless > 0 || told.remade.iter().any(|remade| remade.starts_with("mount table"));
        for (path, name) in missing {
            let mount = if path.is_empty() { "secret/".to_owned() } else { format!("{path}/secret/") };
            let damaged = told.damaged.iter().any(|damaged| damaged.mount == mount && damaged.path == name);
            let lost_with_namespace = told.namespaces_lost + told.orphans > 0;
            // Of a secret whose head and whose name are both gone without a trace nothing tells but the digest, and the log where it is whole.
            let told_of = damaged || nameless || lost_with_namespace || told.audit.first_bad.is_some() || gone > 1;
            assert!(told_of && !told.is_complete(), "round {round}: {mount}{name}\n{told}");
        }
    }
    eprintln!("{rounds} salvages: {read} of {} secrets read", rounds * teams.secrets.len() as u64);
}

#[test]
fn a_token_that_is_left_out_takes_along_those_that_it_has_made_in_namespaces_below() {
    let origin = Arc::new(MemoryStorage::new());
    let (vault, init) = Vault::create(on(&origin), NewSeal::raw_key(&super::KEY).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    make(&root, "team");
    let team = root.namespace("team").unwrap();
    make(&team, "dev");
    let dev = team.namespace("dev").unwrap();
    dev.kv("secret").put("a", member("a")).unwrap();
    dev.policies().write("readers", "path \"secret/data/*\" { capabilities = [\"read\"] }").unwrap();
    team.policies().write("admin", "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"sudo\"] }").unwrap();
    let holding =
        |policy: &str| TokenOptions { policies: vec![policy.to_owned()], ttl: Some(Ttl::from_secs(7200)), ..TokenOptions::default() };
    let admin = team.tokens().create(holding("admin")).unwrap().client_token;
    let by_admin = vault.session(SecretString::copy_from(admin.expose())).namespace("team/dev").unwrap();
    let child = by_admin.tokens().create(holding("readers")).unwrap().client_token;
    vault.seal().unwrap();
    let records = origin.scan(&[], None, 100_000).unwrap();
    let reads = |vault: &Vault, token: &SecretString| {
        let session = vault.session(SecretString::copy_from(token.expose())).namespace("team/dev").unwrap();
        session.kv("secret").get("a").map(drop).map_err(|error| error.code())
    };
    let mut dropped = Vec::new();
    for at in 0..records.len() {
        let mut harmed = records.clone();
        let last = harmed[at].1.len() - 1;
        harmed[at].1[last] ^= 1;
        let harmed = memory(&harmed, &[], origin.commit_number());
        if !examine(&harmed).has("policies-lost") {
            continue;
        }
        let (vault, told) = salvage(&harmed);
        vault.verify().unwrap();
        let refused = Err(Code::PermissionDenied);
        match told.tokens_dropped {
            0 => assert_eq!((reads(&vault, &admin), reads(&vault, &child)), (Ok(()), Ok(()))),
            _ => {
                assert_eq!(reads(&vault, &child), refused);
                dropped.push(reads(&vault, &admin) == refused);
            }
        }
    }
    dropped.sort_unstable();
    assert_eq!(dropped, [false, true], "the child's policy, and that of the one who made it");
}

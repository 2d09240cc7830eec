//! The doctor says what is wrong with a store without changing it, and a salvage brings back everything that can be read.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking, and tells its seed"
)]

#[path = "doctor/namespaces.rs"]
mod namespaces;
#[path = "doctor/records.rs"]
mod records;
mod support;

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use support::{KEY, Random, all_below, backend, copy_dir, generation, main_file, member, number_from, text_of};
use vault_core::doctor::{self, Options, Report, SalvageReport, Severity, Verdict};
use vault_core::storage::memory::MemoryStorage;
use vault_core::storage::{Backend, FileAnchor};
use vault_core::types::{Code, Object, Operation, SecretString, Ttl, Value};
use vault_core::{BackupSeals, Config, NewSeal, Session, TokenOptions, UnsealKey, Vault};

fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

fn config(place: &Path) -> Config {
    support::config(place).with_audit_tail_bytes(1024)
}

fn text(number: u64) -> String {
    format!("value {number} ").repeat(if number % 4 == 3 { 1500 } else { 3 })
}

/// Secrets in folders, one with versions, policies, tokens, and so much of a log that there are segments.
fn fill(root: &Session) -> (BTreeMap<String, String>, SecretString) {
    let mut secrets = BTreeMap::new();
    for number in 0..12 {
        let path = format!("{}{number}", ["", "app/", "app/deep/"][usize::try_from(number % 3).unwrap()]);
        root.kv("secret").put(&path, member(&text(number))).unwrap();
        secrets.insert(path, text(number));
    }
    for version in 0..4 {
        root.kv("secret").put("app/versions", member(&text(version))).unwrap();
    }
    secrets.insert("app/versions".to_owned(), text(3));
    root.kv("secret").put("gone", member("gone")).unwrap();
    root.kv("secret").delete_metadata("gone").unwrap();
    root.policies().write("readers", "path \"secret/data/*\" { capabilities = [\"read\"] }").unwrap();
    let options = TokenOptions { policies: vec!["readers".to_owned()], ..TokenOptions::default() };
    (secrets, root.tokens().create(options).unwrap().client_token)
}

struct Store {
    dir: tempfile::TempDir,
    token: SecretString,
    secrets: BTreeMap<String, String>,
}

impl Store {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (vault, init) = Vault::create(config(&dir.path().join("vault")), NewSeal::raw_key(&KEY).unwrap()).unwrap();
        let (secrets, _) = fill(&vault.session(SecretString::copy_from(init.root_token.expose())));
        vault.close().unwrap();
        Store { dir, token: init.root_token, secrets }
    }

    /// A copy of the store under another name.
    fn copy(&self, name: &str) -> std::path::PathBuf {
        let to = self.dir.path().join(name);
        copy_dir(&self.dir.path().join("vault"), &to);
        let dirs = all_below(&to).into_iter().filter(|path| path.is_dir());
        dirs.for_each(|dir| fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap());
        to
    }

    fn place(&self) -> std::path::PathBuf {
        self.dir.path().join("vault")
    }
}

/// Everything that is to be seen of a directory and what is in it.
fn fingerprint(dir: &Path) -> BTreeMap<String, (String, u32, i64, u64)> {
    let entry = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        let content = if found.is_file() { format!("{:x?}", Sha256::digest(fs::read(path).unwrap()).as_slice()) } else { String::new() };
        (path.to_string_lossy().into_owned(), (content, found.mode(), found.mtime_nsec(), found.ino()))
    };
    all_below(dir).iter().map(|path| entry(path)).collect()
}

/// Examines a store, with and without the key, and shows that nothing of it was changed.
fn examine(place: &Path) -> Report {
    let before = fingerprint(place);
    let beside = || fs::read_dir(place.parent().unwrap()).unwrap().count();
    let around = beside();
    let without = doctor::examine(&config(place), None).unwrap();
    let with = doctor::examine_with(&config(place), Some(&key()), &Options::new().with_names()).unwrap();
    assert_eq!(fingerprint(place), before, "the examination has changed the store");
    assert_eq!(beside(), around, "the examination has left something");
    assert!(without.verdict <= with.verdict, "{without}\n{with}");
    assert!(!with.to_string().is_empty() && with.to_value().get("verdict").is_some());
    with
}

/// What the vault holds of these secrets; the rest must be told as lost or damaged.
fn check_salvaged(vault: &Vault, report: &SalvageReport, secrets: &BTreeMap<String, String>) -> usize {
    assert!(vault.is_frozen());
    vault.verify().unwrap();
    let root = vault.session(vault.generate_root(&key()).unwrap());
    root.audit().verify().unwrap();
    let mut read = 0;
    for (path, expected) in secrets {
        match root.kv("secret").get(path) {
            Ok(found) => {
                let older =
                    report.commits_lost > 0 && path == "app/versions" && (0..3).any(|version| text(version) == text_of(&found.data));
                assert!(older || text_of(&found.data) == expected, "{path}: {report}");
                read += 1;
            }
            Err(error) => {
                assert_eq!(error.code().class(), vault_core::types::Class::NotFound, "{path}: {error}");
                let told = report.damaged.iter().any(|damaged| damaged.path == *path) || !report.is_complete();
                assert!(told, "{path} is missing and nobody has said so");
            }
        }
    }
    let gone = root.kv("secret").get("gone").map_err(|error| error.code());
    assert!(report.commits_lost > 0 || gone.is_err_and(|code| code == Code::NotFound), "what was removed stays away");
    root.request(Operation::Write, "sys/storage/adopt", None).unwrap();
    root.kv("secret").put("app/after", member("after")).unwrap();
    assert_eq!(text_of(&root.kv("secret").get("app/after").unwrap().data), "after");
    vault.tick().unwrap();
    vault.verify().unwrap();
    read
}

fn salvage(from: &Path, to: Config) -> (Vault, SalvageReport) {
    let before = fingerprint(from);
    let done = doctor::salvage_with(&Config::at(from), &key(), to, &Options::new().with_names()).unwrap();
    assert_eq!(fingerprint(from), before, "the salvage has changed the store");
    done
}

#[test]
fn a_sound_store_is_said_to_be_sound_and_is_not_changed() {
    let store = Store::new();
    let report = examine(&store.place());
    assert_eq!(report.verdict, Verdict::Sound, "{report}");
    assert!(report.opens && report.findings.is_empty() && report.segments > 0, "{report}");
    assert_eq!((report.backend, &report.slots[..]), (Some(backend()), &["raw-key"][..]));
    assert_eq!(report.commit, Some(report.acknowledged));
    let content = report.content.unwrap();
    assert_eq!((content.secrets, content.secrets_damaged, content.unreadable), (store.secrets.len() as u64, 0, 0));
    assert!(content.digest_agrees && content.audit.first_bad.is_none() && content.audit.chained > 10);
    // It opens as before, and the copy may lie elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    doctor::examine_with(&config(&store.place()), None, &Options::new().with_scratch(elsewhere.path())).unwrap();
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    support::open(&store.place()).unwrap().verify().unwrap();
}

#[test]
fn a_sound_store_is_salvaged_whole_onto_either_backend() {
    let store = Store::new();
    for to in [Backend::Sled, Backend::Redb] {
        let place = store.dir.path().join(to.name());
        let (vault, report) = salvage(&store.place(), Config::at(&place).with_backend(to));
        assert!(report.is_complete(), "{report}");
        let old = vault.session(SecretString::copy_from(store.token.expose()));
        assert_eq!(text_of(&old.kv("secret").get("0").unwrap().data), store.secrets["0"], "its tokens are those of the store");
        assert_eq!(text_of(&old.kv("secret").get_version("app/versions", 1).unwrap().data), text(0));
        assert_eq!(check_salvaged(&vault, &report, &store.secrets), store.secrets.len());
        vault.close().unwrap();
        Vault::open(Config::at(&place)).unwrap().unseal(&key()).unwrap().verify().unwrap();
    }
}

#[test]
fn a_store_that_is_open_is_looked_at_from_outside_and_not_salvaged() {
    let store = Store::new();
    let vault = support::open(&store.place()).unwrap();
    let report = doctor::examine(&config(&store.place()), Some(&key())).unwrap();
    assert!(report.in_use && report.has("in-use") && report.content.is_none(), "{report}");
    assert_eq!((report.pid, report.verdict), (Some(std::process::id()), Verdict::Degraded));
    let refused = doctor::salvage(&config(&store.place()), &key(), Config::in_memory()).unwrap_err();
    assert_eq!(refused.code(), Code::StoreLocked);
    vault.close().unwrap();
}

#[test]
fn bad_input_is_refused_with_its_code() {
    let store = Store::new();
    let place = store.place();
    let empty = store.dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(store.dir.path().join("file"), b"x").unwrap();
    let other = store.dir.path().join("repository");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("HEAD"), b"ref: refs/heads/main").unwrap();
    let wrong = UnsealKey::raw_key(&[8; 32]).unwrap();
    let nul = Config::at("a\0b");
    for (config, key, code) in [
        (Config::at(store.dir.path().join("nothing")), None, Code::NotAStore),
        (Config::at(&empty), None, Code::NotAStore),
        (Config::at(&other), None, Code::NotAStore),
        (Config::at(store.dir.path().join("file")), None, Code::NotAStore),
        (Config::in_memory(), None, Code::NotAStore),
        (nul.clone(), None, Code::InvalidRequest),
        (config(&place), Some(&wrong), Code::WrongKey),
    ] {
        assert_eq!(doctor::examine(&config, key).unwrap_err().code(), code);
    }
    let scratch = |path: &str| doctor::examine_with(&config(&place), None, &Options::new().with_scratch(path)).unwrap_err().code();
    assert_eq!(scratch("/nowhere/at/all"), Code::Unavailable);
    assert_eq!(scratch("a\0b"), Code::NotAStore);
    let to = |config: Config| doctor::salvage(&support::config(&place), &key(), config).unwrap_err().code();
    assert_eq!(to(Config::at(&place)), Code::StoreExists);
    assert_eq!(to(Config::at(store.dir.path())), Code::NotAStore);
    assert_eq!(to(nul), Code::InvalidRequest);
    let target = store.dir.path().join("target");
    let refused = doctor::salvage(&config(&place), &wrong, Config::at(&target)).unwrap_err();
    assert_eq!((refused.code(), target.exists()), (Code::WrongKey, false), "{refused}");
}

/// Does something to a store.
type Harm = fn(&Path);

#[test]
fn what_files_tell_is_told_without_a_key() {
    let store = Store::new();
    let sled = backend() == Backend::Sled;
    let harm: [(&str, Severity, Harm); 8] = [
        ("head-missing", Severity::Warning, |place| fs::remove_file(place.join("HEAD")).unwrap()),
        ("head-torn", Severity::Warning, |place| fs::write(place.join("HEAD"), [7; 1024]).unwrap()),
        ("permissions", Severity::Warning, |place| fs::set_permissions(place.join("HEAD"), fs::Permissions::from_mode(0o644)).unwrap()),
        ("leftovers", Severity::Info, |place| {
            ["CURRENT.new", "WAL.new"].iter().for_each(|name| fs::write(place.join(name), b"x").unwrap())
        }),
        ("audit-directory-missing", Severity::Warning, |place| fs::remove_dir_all(place.join("audit")).unwrap()),
        ("segments-missing", Severity::Damage, |place| fs::remove_file(place.join("audit/00000002.seg")).unwrap()),
        ("current-torn", Severity::Damage, |place| fs::write(place.join("CURRENT"), b"LVCURR00").unwrap()),
        ("current-missing", Severity::Damage, |place| fs::remove_file(place.join("CURRENT")).unwrap()),
    ];
    for (name, severity, harm) in harm {
        if name.starts_with("current") && !sled {
            continue;
        }
        let place = store.copy(name);
        harm(&place);
        let report = examine(&place);
        let found = report.findings.iter().find(|finding| finding.name == name).unwrap_or_else(|| panic!("{name}: {report}"));
        assert_eq!(found.severity, severity, "{report}");
        assert!(name != "leftovers" || ["CURRENT.new", "WAL.new"].iter().all(|left| found.what.contains(left)), "{report}");
        if name.starts_with("current") {
            let (vault, told) = salvage(&place, Config::in_memory());
            assert!(told.is_complete(), "{told}");
            assert_eq!(check_salvaged(&vault, &told, &store.secrets), store.secrets.len());
        }
    }
}

#[test]
fn a_store_of_which_the_database_is_gone_is_unreadable() {
    let store = Store::new();
    let place = store.copy("nodb");
    match backend() {
        Backend::Sled => fs::remove_dir_all(generation(&place)).unwrap(),
        _ => fs::write(place.join("store.redb"), b"").unwrap(),
    }
    let report = examine(&place);
    assert_eq!(report.verdict, Verdict::Unreadable, "{report}");
    assert!(!report.opens);
    let to = store.dir.path().join("to");
    assert_eq!(doctor::salvage(&config(&place), &key(), Config::at(&to)).unwrap_err().code(), Code::Corrupt);
    assert!(!to.exists());
}

#[test]
fn commits_that_were_lost_are_counted_and_what_is_there_is_salvaged() {
    let store = Store::new();
    let older = store.copy("older");
    let vault = support::open(&store.place()).unwrap();
    let root = vault.session(SecretString::copy_from(store.token.expose()));
    (0..5).for_each(|number| drop(root.kv("secret").put(&format!("late/{number}"), member("late")).unwrap()));
    vault.close().unwrap();
    // The device has given back an older state of the database.
    fs::copy(store.place().join("HEAD"), older.join("HEAD")).unwrap();
    let refused = Vault::open(config(&older)).unwrap_err();
    assert_eq!(refused.code(), Code::LostCommits);
    let report = examine(&older);
    assert!(report.has("lost-commits") && report.verdict == Verdict::Damaged && !report.opens, "{report}");
    let (vault, told) = salvage(&older, Config::in_memory());
    assert!(told.commits_lost >= 5 && !told.is_complete(), "{told}");
    let events = vault.session(vault.generate_root(&key()).unwrap()).request(
        Operation::Read,
        "sys/audit-log/events",
        Some(Object::new().with("limit", 1000_u64).into()),
    );
    let events = events.unwrap().data.unwrap().get("events").and_then(Value::as_array).unwrap().to_vec();
    let told_of = events.iter().find(|event| event.get("path").and_then(Value::as_str) == Some("sys/storage/salvage/commits")).unwrap();
    assert_eq!(told_of.get("count").and_then(Value::as_u64), Some(told.commits_lost));
    assert_eq!(check_salvaged(&vault, &told, &store.secrets), store.secrets.len());
}

#[test]
fn a_rollback_is_found_by_the_anchor() {
    let dir = tempfile::tempdir().unwrap();
    let anchor = || Arc::new(FileAnchor::at(dir.path().join("anchor")));
    let place = dir.path().join("vault");
    let anchored = |place: &Path| config(place).with_anchor(anchor(), Ttl::ZERO);
    let (vault, init) = Vault::create(anchored(&place), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    vault.close().unwrap();
    let older = dir.path().join("older");
    copy_dir(&place, &older);
    let vault = Vault::open(anchored(&place)).unwrap().unseal(&key()).unwrap();
    vault.session(init.root_token).kv("secret").put("a", member("b")).unwrap();
    vault.close().unwrap();
    assert_eq!(doctor::examine(&anchored(&place), Some(&key())).unwrap().verdict, Verdict::Sound);
    let report = doctor::examine(&anchored(&older), Some(&key())).unwrap();
    assert!(report.has("rollback") && !report.opens, "{report}");
    fs::write(dir.path().join("anchor"), b"nonsense").unwrap();
    assert!(doctor::examine(&anchored(&place), Some(&key())).unwrap().has("anchor"));
}

#[test]
fn a_segment_that_is_lost_breaks_the_chain_and_everything_else_is_kept() {
    let store = Store::new();
    for (name, harm) in [("missing", None), ("altered", Some(9_usize))] {
        let place = store.copy(name);
        let file = place.join("audit/00000002.seg");
        match harm {
            None => fs::remove_file(&file).unwrap(),
            Some(at) => {
                let mut bytes = fs::read(&file).unwrap();
                bytes[at] ^= 1;
                fs::write(&file, bytes).unwrap();
            }
        }
        let report = examine(&place);
        assert!(report.has("audit-log"), "{report}");
        let audit = report.content.unwrap().audit;
        assert!(audit.first_bad.unwrap() > 1 && audit.lost > 0 && audit.unchained > 0 && audit.chained > 0, "{audit:?}");
        let (vault, told) = salvage(&place, Config::in_memory());
        assert_eq!((told.audit.lost, told.audit.unchained, told.secrets), (audit.lost, audit.unchained, store.secrets.len() as u64));
        let found = vault.verify().unwrap().audit.records;
        assert!(found > audit.chained + audit.unchained, "{found}: {audit:?}");
        assert_eq!(check_salvaged(&vault, &told, &store.secrets), store.secrets.len());
    }
}

#[test]
fn flipped_bits_in_the_database_lose_what_they_hit_and_no_more_is_claimed() {
    let store = Store::new();
    let mut random = Random::seeded();
    let mut told = BTreeMap::<&str, u64>::new();
    let mut kept = 0;
    let flips = number_from("LIBVAULT_FLIPS").unwrap_or(12);
    for round in 0..flips {
        let place = store.copy(&format!("flip-{round}"));
        let file = main_file(&place);
        let mut bytes = fs::read(&file).unwrap();
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[at] ^= 1 << random.below(8);
        fs::write(&file, bytes).unwrap();
        let report = match doctor::examine(&config(&place), Some(&key())) {
            Ok(report) => report,
            // A slot that was hit cannot be told from a wrong key.
            Err(error) => {
                assert_eq!(error.code(), Code::WrongKey, "at {at}: {error}");
                continue;
            }
        };
        *told.entry(report.verdict.name()).or_default() += 1;
        match doctor::salvage_with(&config(&place), &key(), Config::in_memory(), &Options::new().with_names()) {
            Ok((vault, told)) => {
                // A bit in a place that holds nothing is found by its page's checksum, and costs nothing.
                let agree = (report.verdict <= Verdict::Degraded) == told.is_complete();
                assert!(agree || told.is_complete() && report.has("database-damaged"), "at {at}: {report}\n{told}");
                kept += check_salvaged(&vault, &told, &store.secrets);
            }
            Err(error) => assert!(report.verdict == Verdict::Unreadable && error.code() == Code::Corrupt, "at {at}: {error}\n{report}"),
        }
        fs::remove_dir_all(&place).unwrap();
    }
    eprintln!("{}: {flips} flips: {told:?}, {kept} of {} secrets read", backend().name(), flips * store.secrets.len() as u64);
}

#[test]
fn a_creation_that_was_cut_off_is_no_loss() {
    let report = doctor::examine(&Config::on(Arc::new(MemoryStorage::new())), None).unwrap();
    assert!(report.has("unfinished") && report.verdict == Verdict::Degraded, "{report}");
}

#[test]
fn a_salvaged_vault_can_be_backed_up_and_restored() {
    let store = Store::new();
    let place = store.copy("broken");
    fs::remove_file(place.join("audit/00000001.seg")).unwrap();
    let (vault, _) = salvage(&place, Config::in_memory());
    let root = vault.session(vault.generate_root(&key()).unwrap());
    let mut backup = Vec::new();
    root.backup().to_writer(&mut backup, &BackupSeals::Own).unwrap();
    let (copy, _) = Vault::restore(Config::in_memory(), &mut &backup[..], &key()).unwrap();
    copy.verify().unwrap();
}

/// A copy of a store as a kill leaves it, with secrets that only the WAL has.
fn killed(store: &Store) -> std::path::PathBuf {
    let vault = support::open(&store.place()).unwrap();
    let root = vault.session(SecretString::copy_from(store.token.expose()));
    (0..3).for_each(|number| drop(root.kv("secret").put(&format!("late/{number}"), member("late")).unwrap()));
    let place = store.copy("killed");
    vault.close().unwrap();
    place
}

#[test]
fn a_damaged_wal_is_told_and_what_was_before_it_is_salvaged() {
    let store = Store::new();
    let place = killed(&store);
    let report = examine(&place);
    assert!(report.opens && !report.has("database-damaged"), "{report}");
    let wal = place.join("WAL");
    let mut bytes = fs::read(&wal).unwrap();
    bytes[40] ^= 1;
    fs::write(&wal, bytes).unwrap();
    assert_eq!(Vault::open(config(&place)).unwrap_err().code(), Code::Corrupt);
    let report = examine(&place);
    assert!(!report.opens && report.has("database-damaged") && report.verdict == Verdict::Damaged, "{report}");
    let (vault, told) = salvage(&place, Config::in_memory());
    assert_eq!(check_salvaged(&vault, &told, &store.secrets), store.secrets.len());
}

/// Over sled no single page is looked at by itself. redb itself opens no damaged database that was not closed well, so this one was.
#[test]
fn what_the_wal_has_is_salvaged_from_beside_a_damaged_database() {
    if backend() != Backend::Redb {
        return;
    }
    let store = Store::new();
    let whole = fs::read(main_file(&store.place())).unwrap();
    let place = killed(&store);
    let mut salvaged = 0;
    for page in 1..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096 + 200] ^= 1;
        fs::write(main_file(&place), bytes).unwrap();
        let report = doctor::examine(&config(&place), Some(&key()));
        if !report.is_ok_and(|report| report.has("database-damaged") && report.verdict == Verdict::Damaged) {
            continue;
        }
        let (vault, _) = doctor::salvage(&config(&place), &key(), Config::in_memory()).unwrap();
        let root = vault.session(vault.generate_root(&key()).unwrap());
        (0..3)
            .for_each(|number| assert_eq!(text_of(&root.kv("secret").get(&format!("late/{number}")).unwrap().data), "late", "page {page}"));
        salvaged += 1;
    }
    assert!(salvaged > 0, "a page that holds a record was damaged");
}

//! A store on disk that is reopened, held by another, cut, altered, swapped or foreign: intact, or a typed error; never a panic, never an empty store.
#![cfg(any(feature = "sled", feature = "redb"))]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and looks at files"
)]

mod support;

use redb::ReadableTable;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{
    KEY, PLACE, Random, backend, child_args, config, copy_dir, create, files_below, generation, main_file, member, open, text_of,
};
use vault_core::storage::{Backend, Batch, Key, Storage};
use vault_core::types::{Class, Code, Error, Result, SecretString};
use vault_core::{NewSeal, UnsealKey, Vault};

const SECRETS: u64 = 60;

struct Store {
    /// Dropped with the store.
    _dir: tempfile::TempDir,
    place: PathBuf,
    token: String,
}

/// A closed store with secrets, versions, listings and audit segments.
fn store() -> Store {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("vault");
    let (vault, token) = create(&place);
    let root = vault.session(SecretString::copy_from(&token));
    for number in 0..SECRETS {
        root.kv("secret").put(&format!("f{}/k{number}", number % 3), member(&value(number))).unwrap();
    }
    for round in 0..3 {
        for _ in 0..200 {
            root.kv("secret").get("f0/k0").unwrap();
        }
        root.kv("secret").put("rounds", member(&value(round))).unwrap();
    }
    vault.close().unwrap();
    Store { _dir: dir, place, token }
}

fn value(number: u64) -> String {
    format!("value {number} ").repeat(1 + usize::try_from(number * number % 700).unwrap())
}

impl Store {
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.place.with_extension(name);
        copy_dir(&self.place, &to);
        to
    }

    /// Opens a copy and reads all that was in it: everything is there, or an error says that it is not.
    fn examine(&self, place: &Path) -> Result<()> {
        let vault = open(place)?;
        let root = vault.session(SecretString::copy_from(&self.token));
        let read = || {
            vault.verify()?;
            for number in 0..SECRETS {
                let secret = root.kv("secret").get(&format!("f{}/k{number}", number % 3))?;
                assert!(text_of(&secret.data) == value(number), "a wrong plaintext for number {number}");
            }
            Ok(())
        };
        let outcome = read();
        // What is found to be wrong may keep the vault from closing well; it must not panic.
        let _closed = vault.close();
        outcome
    }
}

fn flip(file: &Path, bit: u64) {
    let mut bytes = fs::read(file).unwrap();
    bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
    fs::write(file, bytes).unwrap();
}

fn code(outcome: Result<impl Sized>) -> Code {
    outcome.map(drop).expect_err("an error was expected").code()
}

#[test]
fn reopening_keeps_everything_every_time() {
    let store = store();
    for _ in 0..5 {
        store.examine(&store.place).unwrap();
    }
    let root = open(&store.place).unwrap().session(SecretString::copy_from(&store.token));
    let report = root.audit().verify().unwrap();
    assert!(report.segments >= 1, "{report:?}");
}

#[test]
fn a_second_opening_is_refused_and_names_the_process_that_holds_the_store() {
    let store = store();
    let vault = open(&store.place).unwrap();
    let refused: Error = open(&store.place).unwrap_err();
    assert_eq!(refused.code(), Code::StoreLocked);
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    assert_eq!(code(Vault::create(config(&store.place), NewSeal::raw_key(&KEY).unwrap())), Code::StoreExists);
    let other = |place: &Path| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(child_args("other_process")).env(PLACE, place).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(other(&store.place).contains(&format!("in process {}", std::process::id())));
    vault.close().unwrap();
    assert!(other(&store.place).contains("it opened"));
    store.examine(&store.place).unwrap();
}

#[test]
#[ignore = "the other process of the test above"]
#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn other_process() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    match open(Path::new(&place)) {
        Ok(vault) => vault.close().map(|()| println!("it opened")).unwrap(),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn wrong_keys_open_nothing_and_leave_the_vault_to_the_right_one() {
    let store = store();
    let sealed = Vault::open(config(&store.place)).unwrap();
    for wrong in [UnsealKey::raw_key(&[8; 32]).unwrap(), UnsealKey::passphrase("x").unwrap()] {
        assert_eq!(code(sealed.unseal(&wrong)), Code::WrongKey);
    }
    sealed.unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap();
}

#[test]
fn missing_foreign_and_empty_places_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "x").unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::create_dir(at("foreign")).unwrap();
    fs::write(at("foreign").join("x"), "x").unwrap();
    for name in ["missing", "file", "empty", "foreign"] {
        assert_eq!(code(Vault::open(config(&at(name)))), Code::NotAStore, "{name}");
    }
    let create = |name: &str| Vault::create(config(&at(name)), NewSeal::raw_key(&KEY).unwrap());
    assert_eq!(code(create("foreign")), Code::NotAStore);
    assert_eq!(code(create("file")).class(), Class::Unavailable);
    assert_eq!(code(create("missing/below")).class(), Class::Unavailable);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left of what was refused");
    for outcome in [create("nul\0").map(drop), Vault::open(config(&at("nul\0"))).map(drop)] {
        assert_eq!(code(outcome), Code::InvalidRequest);
    }
    create("empty").unwrap().0.close().unwrap();
    create("new").unwrap().0.close().unwrap();
}

#[test]
fn what_a_crash_leaves_behind_is_cleared_away() {
    let store = store();
    let place = store.copy("left");
    if backend() == Backend::Sled {
        let current = generation(&place);
        copy_dir(&current, &place.join("g-77"));
        fs::write(current.join("snap.0000000000000001.generating"), "half").unwrap();
        fs::write(place.join("CURRENT.new"), "half").unwrap();
    }
    fs::write(place.join("audit/00000099.seg"), "never committed").unwrap();
    let aside = place.parent().unwrap().join(".fresh.creating");
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("LOCK"), "4194304\n").unwrap();
    store.examine(&place).unwrap();
    assert!(!place.join("g-77").exists() && !place.join("CURRENT.new").exists());
    let fresh = place.parent().unwrap().join("fresh");
    Vault::create(config(&fresh), NewSeal::raw_key(&KEY).unwrap()).unwrap().0.close().unwrap();
    assert!(!aside.exists());
}

#[test]
fn truncated_files_are_found_and_kept() {
    let store = store();
    let len = fs::metadata(main_file(&store.place)).unwrap().len();
    for (number, keep) in [0, 1, 100, len / 4, len / 2, len - 1, len - 4096].into_iter().enumerate() {
        let place = store.copy(&format!("cut{number}"));
        let file = main_file(&place);
        fs::File::options().write(true).open(&file).unwrap().set_len(keep).unwrap();
        match store.examine(&place) {
            // The end of the log may hold nothing but room.
            Ok(()) => assert!(keep >= len - 4096, "a log of {keep} bytes opened"),
            Err(error) => {
                assert_eq!(error.class(), Class::Corrupt, "{keep}: {error}");
                assert!(file.exists(), "{keep}: the file is kept");
            }
        }
    }
    for name in if backend() == Backend::Sled { &["HEAD", "CURRENT"][..] } else { &["HEAD"] } {
        let len = fs::metadata(store.place.join(name)).unwrap().len();
        for keep in [0, 1, len / 2, len - 1] {
            let place = store.copy(&format!("cut{name}{keep}"));
            fs::File::options().write(true).open(place.join(name)).unwrap().set_len(keep).unwrap();
            let outcome = store.examine(&place);
            // HEAD is a lower bound that a power cut may lose; CURRENT is not.
            assert!(
                if *name == "HEAD" { outcome.is_ok() } else { outcome.is_err_and(|error| error.class() == Class::Corrupt) },
                "{name} {keep}"
            );
        }
    }
    let place = store.copy("gone");
    let (gone, told) = match backend() {
        Backend::Redb => (fs::remove_file(main_file(&place)), Code::NotAStore),
        _ => (fs::remove_dir_all(generation(&place)), Code::Corrupt),
    };
    gone.unwrap();
    assert_eq!(code(store.examine(&place)), told);
}

#[test]
fn a_store_that_lost_commits_is_refused_and_kept() {
    let store = store();
    let older = store.copy("older");
    let vault = open(&store.place).unwrap();
    let root = vault.session(SecretString::copy_from(&store.token));
    root.kv("secret").put("f0/k0", member("newer")).unwrap();
    vault.close().unwrap();
    // The older records under the newer HEAD (and CURRENT): what a log cut at a flipped bit looks like.
    let newer = main_file(&store.place);
    if backend() == Backend::Sled {
        fs::remove_dir_all(generation(&store.place)).unwrap();
        copy_dir(&generation(&older), newer.parent().unwrap());
    } else {
        fs::copy(main_file(&older), &newer).unwrap();
    }
    assert_eq!(code(open(&store.place)), Code::LostCommits);
    assert!(newer.exists());
    store.examine(&older).unwrap();
}

#[test]
fn flipped_bits_are_found_or_harmless() {
    let store = store();
    let mut random = Random::seeded();
    let (mut found, rounds) = (0, support::number_from("LIBVAULT_FLIPS").unwrap_or(150));
    for round in 0..rounds {
        let place = store.copy("flip");
        let files: Vec<PathBuf> = files_below(&place).into_iter().filter(|file| fs::metadata(file).unwrap().len() > 0).collect();
        // Mostly the main file, since nearly all lies there.
        let log = main_file(&place);
        let file = if random.below(4) > 0 { log } else { files[usize::try_from(random.below(files.len() as u64)).unwrap()].clone() };
        let bit = random.below(fs::metadata(&file).unwrap().len() * 8);
        flip(&file, bit);
        if let Err(error) = store.examine(&place) {
            let told = matches!(error.class(), Class::Corrupt) || error.code() == Code::NotAStore;
            assert!(told, "round {round}, bit {bit} of {}: {error:?}", file.display());
            found += 1;
        }
        fs::remove_dir_all(&place).unwrap();
    }
    assert!(found > 0, "none of {rounds} flips was found");
}

#[test]
fn a_segment_that_was_deleted_altered_or_swapped_is_found() {
    let store = store();
    let segments: Vec<PathBuf> = files_below(&store.place.join("audit"));
    assert!(segments.len() >= 2, "{segments:?}");
    let relative: Vec<&Path> = segments.iter().map(|path| path.strip_prefix(&store.place).unwrap()).collect();
    let examine = |name: &str, harm: &dyn Fn(&Path)| {
        let place = store.copy(name);
        harm(&place);
        assert_eq!(code(store.examine(&place)), Code::Corrupt, "{name}");
    };
    examine("deleted", &|place| fs::remove_file(place.join(relative[0])).unwrap());
    examine("altered", &|place| flip(&place.join(relative[1]), 8 * 100));
    examine("swapped", &|place| {
        fs::copy(store.place.join(relative[0]), place.join(relative[1])).unwrap();
    });
    examine("emptied", &|place| fs::write(place.join(relative[0]), "").unwrap());
}

/// The records of a closed store, by the store's own means.
fn storage(place: &Path) -> Box<dyn Storage> {
    let (path, cache_bytes) = (place.to_owned(), 8 << 20);
    match backend() {
        #[cfg(feature = "sled")]
        Backend::Sled => {
            Box::new(vault_core::storage::sled::SledStorage::open(&vault_core::storage::sled::SledOptions { path, cache_bytes }).unwrap())
        }
        #[cfg(feature = "redb")]
        Backend::Redb => {
            Box::new(vault_core::storage::redb::RedbStorage::open(&vault_core::storage::redb::RedbOptions { path, cache_bytes }).unwrap())
        }
        other => panic!("{other:?} is not built in"),
    }
}

/// Changes the records of a closed store behind the vault's back.
fn tamper(place: &Path, change: impl FnOnce(&[(Key, Vec<u8>)]) -> Vec<(Key, Option<Vec<u8>>)>) {
    let storage = storage(place);
    let records = storage.scan(&[], None, usize::MAX).unwrap();
    let number = storage.commit_number() + 1;
    let changes = change(&records).into_iter().collect();
    storage.commit(&Batch { number, expectations: Vec::new(), changes }).unwrap();
    storage.close().unwrap();
}

/// Undoes what the tampering did to the store's own commit number, as a thorough attacker would.
fn rewind_number(place: &Path) {
    if backend() == Backend::Redb {
        let numbers = redb::TableDefinition::<&str, u64>::new("numbers");
        let db = redb::Database::open(main_file(place)).unwrap();
        let begun = db.begin_write().unwrap();
        let mut table = begun.open_table(numbers).unwrap();
        let number = table.get("commit").unwrap().unwrap().value();
        table.insert("commit", number - 1).unwrap();
        drop(table);
        begun.commit().unwrap();
        return;
    }
    let db = sled::open(generation(place)).unwrap();
    let number = u64::from_le_bytes(db.get(b"\x00number").unwrap().unwrap().as_ref().try_into().unwrap());
    db.insert(b"\x00number", &(number - 1).to_le_bytes()).unwrap();
    db.flush().unwrap();
    drop(db);
    // CURRENT names the commit of the last opening, which the tampering has not raised.
}

#[test]
fn records_that_were_swapped_removed_added_or_put_back_are_found() {
    let store = store();
    type Records = [(Key, Vec<u8>)];
    type Change = Vec<(Key, Option<Vec<u8>>)>;
    type Named<'c> = (&'static str, &'c dyn Fn(&Records) -> Change);
    let ordinary = |records: &Records| -> Vec<usize> {
        (0..records.len()).filter(|i| records[*i].0.as_bytes().len() == 16 && records[*i].1.len() < 4000).collect()
    };
    let old_records = storage(&store.copy("old")).scan(&[], None, usize::MAX).unwrap();
    let vault = open(&store.place).unwrap();
    let root = vault.session(SecretString::copy_from(&store.token));
    root.kv("secret").put("f0/k0", member(&value(0))).unwrap();
    vault.close().unwrap();
    let swapped = |records: &Records| -> Change {
        let picked = ordinary(records);
        let (a, b) = (&records[picked[0]], &records[picked[1]]);
        vec![(a.0, Some(b.1.clone())), (b.0, Some(a.1.clone()))]
    };
    let removed = |records: &Records| -> Change { vec![(records[ordinary(records)[0]].0, None)] };
    let added = |records: &Records| -> Change { vec![(Key::new(&[&[9; 16]]), Some(records[ordinary(records)[0]].1.clone()))] };
    let put_back = |records: &Records| -> Change {
        let older =
            old_records.iter().find(|(key, old)| key.as_bytes().len() == 16 && records.iter().any(|(now, new)| now == key && new != old));
        older.map(|(key, old)| (*key, Some(old.clone()))).into_iter().collect()
    };
    let changes: [Named<'_>; 4] = [("swapped", &swapped), ("removed", &removed), ("added", &added), ("back", &put_back)];
    for (name, change) in changes {
        let place = store.copy(name);
        tamper(&place, change);
        assert_eq!(store.examine(&place).unwrap_err().class(), Class::Corrupt, "{name}: by the commit number");
        let place = store.copy(&format!("{name}2"));
        tamper(&place, change);
        rewind_number(&place);
        assert_eq!(store.examine(&place).unwrap_err().code(), Code::Corrupt, "{name}: by its content");
    }
}

#[test]
fn a_large_value_reads_whole_while_it_is_replaced_piece_by_piece() {
    let dir = tempfile::tempdir().unwrap();
    let (vault, token) = create(&dir.path().join("vault"));
    let text = |number: usize| format!("value {number} ").repeat(40_000);
    let root = vault.session(SecretString::copy_from(&token));
    root.kv("secret").put("large", member(&text(0))).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        let (vault, token, done) = (&vault, &token, &done);
        let reader = move || {
            let root = vault.session(SecretString::copy_from(token));
            let mut read = 0;
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                let secret = root.kv("secret").get("large").unwrap();
                assert!(text_of(&secret.data) == text(usize::try_from(secret.version.version - 1).unwrap()));
                read += 1;
            }
            read
        };
        let readers = [threads.spawn(reader), threads.spawn(reader)];
        let verifier = threads.spawn(move || {
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                vault.verify().unwrap();
            }
        });
        for number in 1..=12 {
            root.kv("secret").put("large", member(&text(number))).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Release);
        let read: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        verifier.join().unwrap();
        assert!(read > 0);
    });
    vault.close().unwrap();
}

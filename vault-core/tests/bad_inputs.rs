//! The matrix of bad input: every public call that takes text, bytes or numbers, with every kind of them. Each is taken or refused by a typed
//! error that is no bug and does not repeat what it was given, and the vault goes on. A call that has no row here fails the tests.
#![cfg(feature = "sled")]
#![allow(
    clippy::unwrap_used,
    clippy::unit_arg,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and reads the sources and a folder of its own; a row is one expression"
)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use vault_core::audit_proof::{InclusionProof, verify_checkpoint};
use vault_core::policy::{Capability, Dialect, Facts, Policy, PolicyName, PolicySet, evaluate, run_tests, run_tests_of};
use vault_core::testing::TestVault;
use vault_core::types::namespace::check_name;
use vault_core::types::{
    Class, Code, Context, Error, NamespacePath, Object, Operation, Path, Request, SecretString, Timestamp, Ttl, Value,
};
use vault_core::{
    Argon2Params, BackupSeals, Config, KvSettings, NewSeal, SealError, TokenOptions, UnsealKey, Vault, backup, doctor, os, wire,
};

/// What every text holds that is long enough: no error may repeat it.
const CANARY: &str = "CANARY";
const KEY: [u8; 32] = [7; 32];

struct World {
    test: TestVault,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let test = TestVault::new();
        test.root.kv("secret").put("kept", Object::new().with("a", "b")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        World { test, folder }
    }

    /// A place in the test's own folder, wherever the text leads from there.
    fn place(&self, text: &str) -> PathBuf {
        self.folder.path().join(format!("in/./{text}"))
    }
}

type Outcome = Result<(), Error>;
/// The name of a call, and how it is given a value.
type TextRow = (&'static str, fn(&World, &str) -> Outcome);
type ByteRow = (&'static str, fn(&World, &[u8]) -> Outcome);
type NumberRow = (&'static str, fn(&World, u64) -> Outcome);

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "/",
        "//",
        ".",
        "..",
        "../CANARY",
        "CANARY/../x",
        "CANARY//x",
        "/CANARY",
        "CANARY/",
        "CANARY\0x",
        "CANARY\n",
        "\u{202e}CANARY",
    ]
    .map(str::to_owned)
    .into();
    texts.extend(
        [
            "root",
            "sys/",
            "-1",
            "1e9",
            "18446744073709551616",
            "9999999999999999d",
            "{",
            "[1",
            "null",
            "path \"CANARY\" {",
            "hvs.CANARY",
            "lvs1-CANARY",
        ]
        .map(str::to_owned),
    );
    texts.extend([
        format!("{CANARY}{}", "x".repeat(5_000)),
        format!("{CANARY}{}", "é".repeat(70_000)),
        "a/".repeat(3_000),
        "\"".repeat(3_000),
    ]);
    texts
}

fn blobs() -> Vec<Vec<u8>> {
    let mut blobs: Vec<Vec<u8>> = texts().into_iter().map(String::into_bytes).collect();
    blobs.extend([vec![0xff], vec![0; 31], vec![0; 32], vec![0xc3, 0x28], b"LVBK".to_vec(), vec![b'['; 200_000], vec![0xff; 70_000]]);
    blobs
}

const NUMBERS: [u64; 9] = [0, 1, 2, 255, 256, 1 << 32, i64::MAX as u64, u64::MAX - 1, u64::MAX];

fn done<T>(outcome: Result<T, Error>) -> Outcome {
    outcome.map(drop)
}

fn sealed<T>(outcome: Result<T, SealError>) -> Outcome {
    outcome.map(drop).map_err(Error::from)
}

/// Each call that takes text, with the text in one place of it.
const TEXT_ROWS: &[TextRow] = &[
    ("Config::at", |w, s| done(Vault::create(Config::at(w.place(s)), NewSeal::raw_key(&KEY)?).and_then(|(vault, _)| vault.close()))),
    ("Config::at opened", |w, s| done(Vault::open(Config::at(w.place(s))))),
    ("NewSeal::passphrase", |_, s| sealed(NewSeal::passphrase(s))),
    ("NewSeal::passphrase_with", |_, s| sealed(NewSeal::passphrase_with(s, Argon2Params { memory_kib: 1, iterations: 0, lanes: 0 }))),
    ("UnsealKey::passphrase", |_, s| sealed(UnsealKey::passphrase(s))),
    ("UnsealKey::shares", |_, s| sealed(UnsealKey::shares([s, s]))),
    ("SealedVault::unseal_share", |_, s| done(Vault::create(Config::in_memory(), NewSeal::shares(3, 2)?)?.0.seal()?.unseal_share(s))),
    ("Session::namespace", |w, s| done(w.test.root.namespace(s)?.request(Operation::Read, "sys/mounts", None))),
    ("Session::request", |w, s| done(w.test.root.request(Operation::Read, s, None))),
    ("Session::request listed", |w, s| done(w.test.root.request(Operation::List, s, None))),
    ("Session::request written", |w, s| done(w.test.root.request(Operation::Write, "sys/tools/hash", Some(Value::string(s))))),
    ("Session::request_with", |w, s| {
        let context = Context { correlation_id: Some(s.to_owned()), remote_address: Some(s.to_owned()) };
        done(w.test.root.request_with(Operation::Read, "sys/mounts", None, context))
    }),
    ("Session::live", |w, s| done(w.test.root.live(s)?.get())),
    ("Session::kv", |w, s| done(w.test.root.kv(s).get("kept"))),
    ("Kv::get", |w, s| done(w.test.root.kv("secret").get(s))),
    ("Kv::live", |w, s| done(w.test.root.kv("secret").live(s)?.get())),
    ("Kv::get_version", |w, s| done(w.test.root.kv("secret").get_version(s, 1))),
    ("Kv::put", |w, s| done(w.test.root.kv("secret").put(s, Object::new().with(s, s)))),
    ("Kv::put_cas", |w, s| done(w.test.root.kv("secret").put_cas(s, Object::new(), 7))),
    ("Kv::patch", |w, s| done(w.test.root.kv("secret").patch(s, Object::new().with(s, s)))),
    ("Kv::patch_cas", |w, s| done(w.test.root.kv("secret").patch_cas(s, Object::new(), 7))),
    ("Kv::subkeys", |w, s| done(w.test.root.kv("secret").subkeys(s, 1, 1))),
    ("Kv::list", |w, s| done(w.test.root.kv("secret").list(s))),
    ("Kv::list_page", |w, s| done(w.test.root.kv("secret").list_page(s, s, 5))),
    ("Kv::delete", |w, s| done(w.test.root.kv("secret").delete(s))),
    ("Kv::delete_versions", |w, s| done(w.test.root.kv("secret").delete_versions(s, &[1]))),
    ("Kv::undelete_versions", |w, s| done(w.test.root.kv("secret").undelete_versions(s, &[1]))),
    ("Kv::destroy_versions", |w, s| done(w.test.root.kv("secret").destroy_versions(s, &[1]))),
    ("Kv::metadata", |w, s| done(w.test.root.kv("secret").metadata(s))),
    ("Kv::set_metadata", |w, s| {
        let settings = KvSettings { delete_version_after: Some(s.to_owned()), ..KvSettings::default() };
        done(w.test.root.kv("secret").set_metadata("kept", &settings, Some(Object::new().with(s, s))))
    }),
    ("Kv::patch_custom_metadata", |w, s| done(w.test.root.kv("secret").patch_custom_metadata(s, Object::new().with("a", s)))),
    ("Kv::set_config", |w, s| {
        let settings = KvSettings { delete_version_after: Some(s.to_owned()), ..KvSettings::default() };
        done(w.test.root.kv("secret").set_config(&settings))
    }),
    ("Kv::delete_metadata", |w, s| if s == "kept" { Ok(()) } else { done(w.test.root.kv("secret").delete_metadata(s)) }),
    ("Policies::write", |w, s| done(w.test.root.policies().write("p", s))),
    ("Policies::write named", |w, s| done(w.test.root.policies().write(s, "path \"a\" { capabilities = [\"read\"] }"))),
    ("Policies::read", |w, s| done(w.test.root.policies().read(s))),
    ("Policies::delete", |w, s| done(w.test.root.policies().delete(s))),
    ("Tokens::create", |w, s| {
        let metadata = [(s.to_owned(), s.to_owned())].into();
        let options = TokenOptions { policies: vec![s.to_owned()], display_name: Some(s.to_owned()), metadata, ..TokenOptions::default() };
        done(w.test.root.tokens().create(options))
    }),
    ("Tokens::create_with_role", |w, s| done(w.test.root.tokens().create_with_role(s, TokenOptions::default()))),
    ("Tokens::lookup", |w, s| done(w.test.root.tokens().lookup(s))),
    ("Tokens::lookup_accessor", |w, s| done(w.test.root.tokens().lookup_accessor(s))),
    ("Tokens::renew", |w, s| done(w.test.root.tokens().renew(s, None))),
    ("Tokens::renew_accessor", |w, s| done(w.test.root.tokens().renew_accessor(s, None))),
    ("Tokens::revoke", |w, s| done(w.test.root.tokens().revoke(s))),
    ("Tokens::revoke_accessor", |w, s| done(w.test.root.tokens().revoke_accessor(s))),
    ("Tokens::revoke_orphan", |w, s| done(w.test.root.tokens().revoke_orphan(s))),
    ("Tokens::accessors", |w, s| done(w.test.root.tokens().accessors(Some(s), 5))),
    ("Wrapping::request", |w, s| done(w.test.root.wrapping().request(Operation::Read, s, None, Ttl::from_secs(60)))),
    ("Wrapping::lookup", |w, s| done(w.test.root.wrapping().lookup(s))),
    ("Wrapping::rewrap", |w, s| done(w.test.root.wrapping().rewrap(s))),
    ("Wrapping::unwrap", |w, s| done(w.test.root.wrapping().unwrap(s))),
    ("Leases::lookup", |w, s| done(w.test.root.leases().lookup(s))),
    ("Leases::renew", |w, s| done(w.test.root.leases().renew(s, None))),
    ("Leases::revoke", |w, s| done(w.test.root.leases().revoke(s, true))),
    ("Leases::list", |w, s| done(w.test.root.leases().list(s))),
    ("Rotation::creds", |w, s| done(w.test.root.rotation().creds(s, s))),
    ("Rotation::status", |w, s| done(w.test.root.rotation().status("database", s))),
    ("Rotation::rotate", |w, s| done(w.test.root.rotation().rotate(s, "app"))),
    ("Rotation::rehearse", |w, s| done(w.test.root.rotation().rehearse("database", s))),
    ("Rotation::roll_back", |w, s| done(w.test.root.rotation().roll_back("database", s))),
    ("Rotation::retry", |w, s| done(w.test.root.rotation().retry("database", s))),
    ("Rotation::end_grace", |w, s| done(w.test.root.rotation().end_grace("database", s))),
    ("Rotation::adopt", |w, s| done(w.test.root.rotation().adopt("database", s, &SecretString::copy_from(s)))),
    ("Emergency::look", |w, s| done(w.test.root.emergency().look(s, Timestamp::EPOCH))),
    ("TestVault::session", |w, s| done(w.test.session(s).kv("secret").get("kept"))),
    ("Emergency::quarantine", |w, s| done(w.test.root.emergency().quarantine(s))),
    ("Emergency::release", |w, s| done(w.test.root.emergency().release(s))),
    ("Emergency::quarantine_entity", |w, s| done(w.test.root.emergency().quarantine_entity(s))),
    ("Emergency::release_entity", |w, s| done(w.test.root.emergency().release_entity(s))),
    ("Timestamp::parse", |_, s| done(Timestamp::parse(s).ok_or_else(|| Error::new(Code::InvalidData, "it names no instant")))),
    ("Path::parse", |_, s| done(Path::parse(s))),
    ("NamespacePath::parse", |_, s| done(NamespacePath::parse(s))),
    ("check_name", |_, s| check_name(s)),
    ("Ttl::parse", |_, s| done(Ttl::parse(s))),
    ("Operation::from_name", |_, s| Ok(assert!(Operation::from_name(s).is_none()))),
    ("Capability::from_name", |_, s| Ok(assert!(Capability::from_name(s).is_none()))),
    ("Capability::asked", |_, s| done(Capability::asked(s))),
    ("SecretString::copy_from", |_, s| Ok(assert_eq!(SecretString::copy_from(s).expose(), s))),
    ("Value::string", |_, s| Ok(assert_eq!(Value::string(s).as_str(), Some(s)))),
    ("Value::get", |_, s| Ok(assert!(Value::Null.get(s).is_none()))),
    ("Object::with", |_, s| Ok(assert!(Object::new().with(s, s).get(s).is_some()))),
    ("PolicyName::parse", |_, s| PolicyName::parse(s).and_then(|name| name.check_writable()).map_err(Error::from)),
    ("Policy::parse", |_, s| Policy::parse("p", s).map(drop).map_err(Error::from)),
    ("PolicySet::parse", |_, s| done(PolicySet::parse(&[s], Dialect::Vault, None))),
    ("PolicySet::parse_named", |_, s| done(PolicySet::parse_named(&[(s, s)], Dialect::OpenBao, None))),
    ("Facts::new", |_, s| done(evaluate(&[], &Facts::new(Capability::Read, s), Dialect::Vault))),
    ("evaluate", |_, s| done(evaluate(&[s], &Facts::new(Capability::Read, "a"), Dialect::Vault))),
    ("run_tests", |w, s| done(run_tests(w.place(s)))),
    ("run_tests_of", |_, s| done(run_tests_of(s, |_| Ok(String::new())))),
    ("operation_from_name", |_, s| done(wire::operation_from_name(s))),
    ("verify_checkpoint", |_, s| done(verify_checkpoint(s, "key")).and(done(verify_checkpoint("note", s)))),
    ("FileSink::at", |w, s| {
        let (vault, _) = Vault::create(
            Config::in_memory().with_audit_sink(std::sync::Arc::new(os::FileSink::at(s, w.place(s)))),
            NewSeal::raw_key(&KEY)?,
        )?;
        done(vault.tick())
    }),
    ("Options::with_scratch", |w, s| {
        done(doctor::examine_with(&Config::at(w.place("none")), None, &doctor::Options::new().with_scratch(w.place(s))))
    }),
];

/// Each call that takes bytes.
const BYTE_ROWS: &[ByteRow] = &[
    ("NewSeal::raw_key", |_, b| sealed(NewSeal::raw_key(b))),
    ("UnsealKey::raw_key", |_, b| sealed(UnsealKey::raw_key(b))),
    ("SecretBytes::copy_from", |_, b| Ok(assert_eq!(vault_core::types::SecretBytes::copy_from(b).expose(), b))),
    ("Value::from_json", |_, b| done(Value::from_json(b))),
    ("data_from_json", |_, b| done(wire::data_from_json(b))),
    ("verify", |_, mut b| done(backup::verify(&mut b))),
    ("Vault::restore", |_, mut b| done(Vault::restore(Config::in_memory(), &mut b, &UnsealKey::raw_key(&KEY)?))),
    ("InclusionProof::from_value", |_, b| Value::from_json(b).and_then(|value| done(InclusionProof::from_value(&value)))),
];

/// Each call that takes a number or a time.
const NUMBER_ROWS: &[NumberRow] = &[
    ("NewSeal::shares", |_, n| sealed(NewSeal::shares(n as u8, (n >> 8) as u8)).and(sealed(NewSeal::shares(n as u8, n as u8)))),
    ("Config::with_cache_bytes", |_, n| done(Vault::create(Config::in_memory().with_cache_bytes(n), NewSeal::raw_key(&KEY)?))),
    ("Config::with_value_cache", |_, n| {
        done(Vault::create(Config::in_memory().with_value_cache(n, Ttl::from_secs(n)), NewSeal::raw_key(&KEY)?))
    }),
    ("Config::with_audit_tail_bytes", |_, n| {
        let (vault, init) = Vault::create(Config::in_memory().with_audit_tail_bytes(n), NewSeal::raw_key(&KEY)?)?;
        vault.session(init.root_token).kv("secret").put("a", Object::new())?;
        done(vault.verify())
    }),
    ("Kv::get_version", |w, n| done(w.test.root.kv("secret").get_version("kept", n))),
    ("Kv::put_cas", |w, n| done(w.test.root.kv("secret").put_cas("other", Object::new(), n))),
    ("Kv::patch_cas", |w, n| done(w.test.root.kv("secret").patch_cas("other", Object::new(), n))),
    ("Kv::subkeys", |w, n| done(w.test.root.kv("secret").subkeys("kept", n, n))),
    ("Kv::list_page", |w, n| done(w.test.root.kv("secret").list_page("", "", n))),
    ("Kv::delete_versions", |w, n| done(w.test.root.kv("secret").delete_versions("other", &[n, n]))),
    ("Kv::undelete_versions", |w, n| done(w.test.root.kv("secret").undelete_versions("other", &[n]))),
    ("Kv::destroy_versions", |w, n| done(w.test.root.kv("secret").destroy_versions("other", &[n]))),
    ("Kv::set_config", |w, n| done(w.test.root.kv("secret").set_config(&KvSettings { max_versions: Some(n), ..KvSettings::default() }))),
    ("Tokens::create", |w, n| {
        let ttl = Some(Ttl::from_secs(n));
        done(w.test.root.tokens().create(TokenOptions { ttl, explicit_max_ttl: ttl, num_uses: n, ..TokenOptions::default() }))
    }),
    ("Tokens::create_orphan", |w, n| {
        done(w.test.root.tokens().create_orphan(TokenOptions { period: Some(Ttl::from_secs(n)), ..TokenOptions::default() }))
    }),
    ("Tokens::renew_self", |w, n| done(w.test.root.tokens().renew_self(Some(Ttl::from_secs(n))))),
    ("Tokens::accessors", |w, n| done(w.test.root.tokens().accessors(None, n))),
    ("Wrapping::wrap", |w, n| done(w.test.root.wrapping().wrap(Object::new().with("n", n), Ttl::from_secs(n)))),
    ("Audit::events", |w, n| done(w.test.root.audit().events(n, n))),
    ("Audit::export", |w, n| done(w.test.root.audit().export(&mut Vec::new(), n))),
    ("Emergency::contain", |w, n| {
        let emergency = w.test.root.emergency();
        done(emergency.contain(&emergency.look("secret/data/none", Timestamp::from_secs(n))?, n as u32))
    }),
    ("Request::with_wrap_ttl", |w, n| {
        done(w.test.root.handle(Request::new(Operation::Read, Path::parse("sys/mounts")?).with_wrap_ttl(Ttl::from_secs(n))).into_result())
    }),
    ("TestVault::session_with", |_, n| Ok(drop(TestVault::new().session_with("", Ttl::from_secs(n.clamp(1, 1 << 24)))))),
    ("TestVault::advance", |_, n| {
        let test = TestVault::new();
        // Ten years: a tick goes through each hour that it has missed.
        test.advance(Ttl::from_secs(n.min(10 * 365 * 24 * 3600)));
        done(test.root.kv("secret").put("a", Object::new()))
    }),
    ("Timestamp::from_secs", |_, n| Ok(drop(Timestamp::from_secs(n).to_string()))),
    ("Timestamp::plus", |_, n| Ok(drop(Timestamp::from_secs(n).plus(Ttl::from_secs(n)).to_string()))),
    ("PolicySet::allows", |_, n| {
        let set = PolicySet::parse(
            &["path \"a\" { capabilities = [\"read\"] min_wrapping_ttl = \"10s\" max_wrapping_ttl = \"1h\" }"],
            Dialect::Vault,
            None,
        )?;
        assert_eq!(set.allows(Capability::Read, &Path::parse("a")?, None, Some(Ttl::from_secs(n))), (10..=3_600).contains(&n));
        Ok(())
    }),
    ("Config::with_anchor", |w, n| {
        let anchor = std::sync::Arc::new(vault_core::storage::FileAnchor::at(w.place(&format!("anchor-{n}"))));
        let (vault, init) = Vault::create(Config::in_memory().with_anchor(anchor, Ttl::from_secs(n)), NewSeal::raw_key(&KEY)?)?;
        done(vault.session(init.root_token).kv("secret").put("a", Object::new())).and(done(vault.tick())).and(vault.close())
    }),
    ("Timestamp::from_millis", |_, n| Ok(assert_eq!(Timestamp::from_millis(n).until(Timestamp::EPOCH), Ttl::ZERO))),
    ("Ttl::from_secs", |_, n| Ok(assert_eq!(Ttl::from_secs(n).as_secs(), n))),
];

/// A word of a policy that does not parse is quoted, with its line, and so is the name of a file of policy tests: neither is a secret.
const QUOTED: [&str; 7] =
    ["Policies::write", "Policy::parse", "PolicySet::parse", "PolicySet::parse_named", "evaluate", "run_tests", "run_tests_of"];

/// Calls one cell of the matrix.
fn cell<T: ?Sized>(row: &str, given: &str, call: impl Fn(&T) -> Outcome, value: &T) {
    let shown: String = given.chars().take(30).collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| call(value))).unwrap_or_else(|_| panic!("{row}: {shown:?} panicked"));
    let Err(error) = outcome else { return };
    assert_ne!(error.class(), Class::Internal, "{row}: {shown:?}");
    let told = error.to_string();
    assert!(!told.is_empty() && (told.len() < 2_000 || QUOTED.contains(&row)), "{row}: {shown:?}: {} bytes of text", told.len());
    assert!(QUOTED.contains(&row) || !told.contains(CANARY), "{row}: {shown:?} is repeated: {told}");
}

#[test]
fn every_text_is_taken_or_refused() {
    let world = World::new();
    for (row, call) in TEXT_ROWS {
        texts().iter().for_each(|text| cell(row, text, |text: &str| call(&world, text), text.as_str()));
    }
    goes_on(&world);
}

#[test]
fn all_bytes_are_taken_or_refused() {
    let world = World::new();
    for (row, call) in BYTE_ROWS {
        blobs().iter().for_each(|blob| cell(row, &String::from_utf8_lossy(blob), |bytes: &[u8]| call(&world, bytes), blob.as_slice()));
    }
    goes_on(&world);
}

#[test]
fn every_number_is_taken_or_refused() {
    let world = World::new();
    for (row, call) in NUMBER_ROWS {
        NUMBERS.iter().for_each(|number| cell(row, &number.to_string(), |number: &u64| call(&world, *number), number));
    }
    goes_on(&world);
}

/// What was there is there, and nothing was lost.
fn goes_on(world: &World) {
    world.test.vault.verify().unwrap();
    assert_eq!(world.test.root.kv("secret").get_version("kept", 1).unwrap().data.get("a").and_then(Value::as_str), Some("b"));
    world.test.root.backup().to_writer(&mut Vec::new(), &BackupSeals::Own).unwrap();
}

/// Where the calls stand that users make; what the traits of `host` and `storage` are given is the library's own doing.
const SOURCES: [&str; 16] = [
    "vault",
    "seal/keys.rs",
    "types",
    "wire",
    "testing.rs",
    "backup/reader.rs",
    "audit/checkpoint.rs",
    "os/file_sink.rs",
    "doctor/mod.rs",
    "policy/capability.rs",
    "policy/explain.rs",
    "policy/name.rs",
    "policy/parse.rs",
    "policy/test_file.rs",
    "policy/mod.rs",
    "policy/template.rs",
];
/// Calls that only compare or keep what they are given.
const HARMLESS: [&str; 13] = [
    "Config::with_wal_bytes",
    "Containment::count",
    "Error::new",
    "Error::raised",
    "Id::from_random",
    "Id::parse",
    "KvSecret::text",
    "Object::get",
    "Object::insert",
    "Object::remove",
    "Report::has",
    "SecretSnapshot::text",
    "TestVault::events",
];

#[test]
fn every_public_call_that_takes_text_bytes_or_numbers_has_a_row() {
    let rows = TEXT_ROWS.iter().map(|row| row.0).chain(BYTE_ROWS.iter().map(|row| row.0)).chain(NUMBER_ROWS.iter().map(|row| row.0));
    let rows: BTreeSet<String> = rows.filter_map(|row| row.split(' ').next()).map(str::to_owned).collect();
    let calls: BTreeSet<String> =
        SOURCES.iter().flat_map(|name| calls_in(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src").join(name))).collect();
    assert!(calls.len() > 80, "the sources are read: {}", calls.len());
    let missing: Vec<&String> = calls.iter().filter(|call| !rows.contains(*call) && !HARMLESS.contains(&call.as_str())).collect();
    assert!(missing.is_empty(), "no row has {missing:?}");
}

/// The public calls in a file or a folder that take text, bytes or numbers, as `Type::name`.
fn calls_in(path: &std::path::Path) -> Vec<String> {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().flat_map(|entry| calls_in(&entry.unwrap().path())).collect();
    }
    let text = fs::read_to_string(path).unwrap();
    let takes = |line: &str| {
        ["&str", "[u8]", "u64", "u32", "u8,", "usize", "Path>", "PathBuf>", "String>", "Ttl", "dyn Read"]
            .iter()
            .any(|kind| line.contains(kind))
    };
    let (mut of, mut calls) = (String::new(), Vec::new());
    for line in text.lines().take_while(|line| !line.contains("mod tests")) {
        if let Some(rest) = line.strip_prefix("impl") {
            let rest = rest.trim_start_matches(|c| c != ' ').trim_start();
            of = rest.rsplit(" for ").next().unwrap_or(rest).chars().take_while(|c| c.is_alphanumeric()).collect();
        }
        let call = line.trim_start().strip_prefix("pub fn ").or_else(|| line.trim_start().strip_prefix("pub const fn "));
        let Some((name, given)) = call.and_then(|call| call.split_once('(')) else { continue };
        let given = given.rsplit_once(") ->").map_or(given, |(given, _)| given);
        let name = name.split('<').next().unwrap_or(name);
        if takes(given) {
            calls.push(if line.starts_with(' ') { format!("{of}::{name}") } else { name.to_owned() });
        }
    }
    calls
}

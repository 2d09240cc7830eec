//! Key slots of every kind, each of which opens alone; rekey, and a root token from key shares, as users know them.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use vault_core::host::{KeyWrapper, WrapError};
use vault_core::storage::faulty::{Fault, FaultyStorage};
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Code, Object, Operation, Path, Request, SecretBytes, SecretString, Value};
use vault_core::{Config, NewSeal, Session, UnsealKey, Unsealing, Vault};

const KEY: [u8; 32] = [7; 32];

/// A key service in memory: it hides a key behind a pad of its own, and binds it to its context.
struct Service {
    name: &'static str,
    fails: AtomicBool,
    calls: AtomicU32,
}

impl Service {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Service { name, fails: AtomicBool::new(false), calls: AtomicU32::new(0) })
    }

    fn check(&self) -> Result<(), WrapError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.fails.load(Ordering::Relaxed) { Err(WrapError::new("the service is away")) } else { Ok(()) }
    }
}

impl KeyWrapper for Service {
    fn name(&self) -> &str {
        self.name
    }

    fn wrap(&self, key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>, WrapError> {
        self.check()?;
        Ok(key.iter().map(|byte| byte ^ 0x5A).chain(context.iter().copied()).collect())
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<SecretBytes, WrapError> {
        self.check()?;
        let (key, bound) = wrapped.split_at(32);
        if bound != context {
            return Err(WrapError::new("it was wrapped for something else"));
        }
        Ok(SecretBytes::copy_from(&key.iter().map(|byte| byte ^ 0x5A).collect::<Vec<_>>()))
    }
}

fn texts(shares: &[SecretString]) -> Vec<String> {
    shares.iter().map(|share| share.expose().to_owned()).collect()
}

fn reopened(storage: &MemoryStorage) -> vault_core::SealedVault {
    Vault::open(Config::on(Arc::new(storage.copy()))).unwrap()
}

fn raw() -> NewSeal {
    NewSeal::raw_key(&KEY).unwrap()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("{name} is missing"))
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("{name} is missing")).to_owned()
}

fn shares_of(value: &Value) -> Vec<String> {
    value.get("keys").and_then(Value::as_array).unwrap().iter().map(|share| share.as_str().unwrap().to_owned()).collect()
}

/// A request without a token.
fn ask(vault: &Vault, operation: Operation, path: &str, data: Object) -> Result<Value, vault_core::types::Error> {
    let request = Request::new(operation, Path::parse(path).unwrap()).with_data(data.into());
    vault.handle(request).into_result().map(|response| response.data.unwrap_or(Value::Null))
}

fn write(session: &Session, path: &str, data: Object) -> Value {
    session.request(Operation::Write, path, Some(data.into())).unwrap().data.unwrap_or(Value::Null)
}

#[test]
fn each_of_several_slots_opens_alone() {
    let storage = Arc::new(MemoryStorage::new());
    let service = Service::new("kms");
    let seals = [raw(), NewSeal::passphrase("open sesame").unwrap(), NewSeal::shares(3, 2).unwrap(), NewSeal::wrapper(service.clone())];
    let (vault, init) = Vault::create_with_seals(Config::on(storage.clone()), &seals).unwrap();
    let kinds: Vec<_> = vault.seal_status().slots.iter().map(|slot| slot.kind).collect();
    assert_eq!(kinds, ["raw-key", "passphrase", "shamir", "wrapper"]);
    let shares = texts(&init.shares);
    assert_eq!(shares.len(), 3);
    vault.seal().unwrap();
    let keys = [
        UnsealKey::raw_key(&KEY).unwrap(),
        UnsealKey::passphrase("open sesame").unwrap(),
        UnsealKey::shares([shares[2].as_str(), &shares[0]]).unwrap(),
        UnsealKey::wrapper(service),
    ];
    for key in &keys {
        let vault = reopened(&storage).unseal(key).unwrap();
        vault.session(SecretString::copy_from(init.root_token.expose())).kv("secret").put("x", Object::new()).unwrap();
    }
    let wrong = [UnsealKey::raw_key(&[8; 32]).unwrap(), UnsealKey::passphrase("open").unwrap(), UnsealKey::wrapper(Service::new("other"))];
    for key in &wrong {
        assert_eq!(reopened(&storage).unseal(key).unwrap_err().code(), Code::WrongKey);
    }
}

#[test]
fn shares_are_given_one_by_one_and_wrong_ones_are_named() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, init) = Vault::create(Config::on(storage.clone()), NewSeal::shares(5, 3).unwrap()).unwrap();
    let (_, foreign) = Vault::create(Config::in_memory(), NewSeal::shares(5, 3).unwrap()).unwrap();
    vault.close().unwrap();
    let sealed = reopened(&storage);
    let shares = texts(&init.shares);
    let progress = |outcome: vault_core::types::Result<Unsealing>| match outcome.unwrap() {
        Unsealing::More(status) => (status.progress, status.threshold, status.shares),
        Unsealing::Unsealed(_) => panic!("too early"),
    };
    assert_eq!(progress(sealed.unseal_share(&shares[4])), (1, 3, 5));
    assert_eq!(progress(sealed.unseal_share(&shares[4])), (1, 3, 5), "the same share again counts once");
    let error = sealed.unseal_share(foreign.shares[0].expose()).unwrap_err();
    assert_eq!(error.code(), Code::BadShare);
    assert!(error.to_string().contains("another vault"), "{error}");
    let error = sealed.unseal_share(&shares[0].replace("lvs1", "lvs1A")).unwrap_err();
    assert!(error.to_string().contains("mistyped"), "{error}");
    assert!(!error.to_string().contains(&shares[0][4..20]), "no message holds a share");
    assert_eq!(progress(sealed.unseal_share(&shares[1])), (2, 3, 5));
    sealed.reset_unseal();
    assert_eq!(sealed.seal_status().progress, 0);
    sealed.unseal_share(&shares[1]).unwrap();
    sealed.unseal_share(&shares[2]).unwrap();
    assert!(matches!(sealed.unseal_share(&shares[3]).unwrap(), Unsealing::Unsealed(_)));
    assert_eq!(sealed.unseal_share(&shares[3]).unwrap_err().code(), Code::AlreadyUnsealed);
    let too_few = UnsealKey::shares([shares[0].as_str(), &shares[1]]).unwrap();
    assert_eq!(reopened(&storage).unseal(&too_few).unwrap_err().code(), Code::NotEnoughShares);
}

#[test]
fn sys_unseal_takes_shares_and_tells_its_progress() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, init) = Vault::create(Config::on(storage.clone()), NewSeal::shares(3, 2).unwrap()).unwrap();
    vault.seal().unwrap();
    let shares = texts(&init.shares);
    let give = |share: &str| ask(&vault, Operation::Write, "sys/unseal", Object::new().with("key", share)).unwrap();
    let status = give(&shares[0]);
    assert_eq!((number(&status, "t"), number(&status, "n"), number(&status, "progress")), (2, 3, 1));
    let reset = ask(&vault, Operation::Write, "sys/unseal", Object::new().with("reset", true)).unwrap();
    assert_eq!(number(&reset, "progress"), 0);
    give(&shares[0]);
    assert_eq!(give(&shares[2]).get("sealed").and_then(Value::as_bool), Some(false));
    assert_eq!(ask(&vault, Operation::Read, "sys/init", Object::new()).unwrap().get("initialized").and_then(Value::as_bool), Some(true));
}

#[test]
fn a_key_service_unseals_at_open_and_its_failures_are_told() {
    let storage = Arc::new(MemoryStorage::new());
    let service = Service::new("kms");
    let config = Config::on(storage.clone()).with_key_wrapper(service.clone());
    let (vault, _init) = Vault::create(config, NewSeal::wrapper(service.clone())).unwrap();
    vault.close().unwrap();
    let open = || Vault::open_unsealed(Config::on(Arc::new(storage.copy())).with_key_wrapper(service.clone()));
    assert!(!open().unwrap().seal_status().sealed);
    service.fails.store(true, Ordering::Relaxed);
    let error = open().unwrap_err();
    assert_eq!(error.code(), Code::KeyService);
    assert!(error.to_string().contains("the service is away"), "{error}");
    let made = Vault::create(Config::in_memory(), NewSeal::wrapper(service.clone()));
    assert_eq!(made.unwrap_err().code(), Code::KeyService, "no vault is made that its service could not open");
    let other = Vault::open_unsealed(Config::on(Arc::new(storage.copy())).with_key_wrapper(Service::new("other")));
    assert_eq!(other.unwrap_err().code(), Code::WrongKey);
    assert!(service.calls.load(Ordering::Relaxed) > 3);
}

#[test]
fn a_service_that_is_away_is_told_though_another_has_no_slot() {
    let storage = Arc::new(MemoryStorage::new());
    let (service, other) = (Service::new("kms"), Service::new("other"));
    let seals = [NewSeal::shares(3, 2).unwrap(), NewSeal::wrapper(service.clone())];
    let config = |storage| Config::on(storage).with_key_wrapper(service.clone()).with_key_wrapper(other.clone());
    let (vault, init) = Vault::create_with_seals(config(storage.clone()), &seals).unwrap();
    let root = vault.session(init.root_token);
    service.fails.store(true, Ordering::Relaxed);
    let opened = Vault::open_unsealed(config(Arc::new(storage.copy())));
    assert_eq!(opened.unwrap_err().code(), Code::KeyService);
    let error = rekey(&vault, &root, &texts(&init.shares), Object::new()).unwrap_err();
    assert_eq!(error.code(), Code::KeyService, "and a rekey loses no slot for it");
}

#[test]
fn shares_that_were_given_stay_until_what_they_are_for_is_done() {
    let storage = Arc::new(FaultyStorage::default());
    let (vault, init) = Vault::create(Config::on(storage.clone()), NewSeal::shares(3, 2).unwrap()).unwrap();
    let sealed = vault.seal().unwrap();
    let shares = texts(&init.shares);
    sealed.unseal_share(&shares[0]).unwrap();
    storage.fail_reads(true);
    assert!(sealed.unseal_share(&shares[1]).is_err());
    storage.fail_reads(false);
    assert!(matches!(sealed.unseal_share(&shares[1]).unwrap(), Unsealing::Unsealed(_)), "nobody else has to come again");
    assert_eq!(vault.seal_status().progress, 0, "and then they are forgotten");
}

#[test]
fn a_service_that_gives_back_another_key_makes_no_slot() {
    struct Liar;
    impl KeyWrapper for Liar {
        fn name(&self) -> &str {
            "liar"
        }
        fn wrap(&self, _key: &[u8; 32], _context: &[u8]) -> Result<Vec<u8>, WrapError> {
            Ok(vec![0; 32])
        }
        fn unwrap(&self, _wrapped: &[u8], _context: &[u8]) -> Result<SecretBytes, WrapError> {
            Ok(SecretBytes::copy_from(&[0; 32]))
        }
    }
    let error = Vault::create(Config::in_memory(), NewSeal::wrapper(Arc::new(Liar))).unwrap_err();
    assert_eq!(error.code(), Code::KeyService);
}

#[test]
fn slots_are_added_and_removed_while_the_vault_is_in_use() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, init) = Vault::create(Config::on(storage.clone()), raw()).unwrap();
    let root = vault.session(init.root_token);
    let added = write(&root, "sys/seals", Object::new().with("passphrase", "open sesame"));
    assert_eq!(number(&added, "id"), 2);
    let added = write(&root, "sys/seals", Object::new().with("secret_shares", 2_u64).with("secret_threshold", 2_u64));
    let shares = shares_of(&added);
    root.request(Operation::Delete, "sys/seals/1", None).unwrap();
    let last = |id: &str| root.request(Operation::Delete, &format!("sys/seals/{id}"), None);
    assert_eq!(last("1").unwrap_err().code(), Code::NotFound);
    assert_eq!(reopened(&storage).unseal(&UnsealKey::raw_key(&KEY).unwrap()).unwrap_err().code(), Code::WrongKey);
    reopened(&storage).unseal(&UnsealKey::passphrase("open sesame").unwrap()).unwrap();
    reopened(&storage).unseal(&UnsealKey::shares(shares.iter().map(String::as_str)).unwrap()).unwrap();
    last("2").unwrap();
    assert_eq!(last("3").unwrap_err().code(), Code::InvalidRequest, "the last slot stays");
    let listed = root.request(Operation::List, "sys/seals", None).unwrap().data.unwrap();
    assert_eq!(listed.get("slots").and_then(Value::as_array).unwrap().len(), 1);
    vault.verify().unwrap();
    // The vault itself goes on with the header as it is now.
    let sealed = vault.seal().unwrap();
    assert_eq!(sealed.seal_status().slots.len(), 1);
    sealed.unseal(&UnsealKey::shares(shares.iter().map(String::as_str)).unwrap()).unwrap();
}

#[test]
fn a_least_token_may_do_nothing_with_the_keys() {
    let (vault, init) = Vault::create(Config::in_memory(), raw()).unwrap();
    let root = vault.session(init.root_token);
    // All capabilities but sudo.
    root.policies().write("all", "path \"sys/*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }").unwrap();
    let options = vault_core::TokenOptions { policies: vec!["all".to_owned()], ..Default::default() };
    let least = vault.session(root.tokens().create(options).unwrap().client_token);
    let numbers = || Some(Object::new().with("secret_shares", 1_u64).with("secret_threshold", 1_u64).into());
    for (operation, path) in [
        (Operation::Write, "sys/seals"),
        (Operation::List, "sys/seals"),
        (Operation::Delete, "sys/seals/1"),
        (Operation::Write, "sys/rotate"),
        (Operation::Write, "sys/rotate/config"),
        (Operation::Write, "sys/rekey/init"),
        (Operation::Delete, "sys/rekey/init"),
        (Operation::Delete, "sys/generate-root/attempt"),
    ] {
        assert_eq!(least.request(operation, path, numbers()).unwrap_err().code(), Code::PermissionDenied, "{path}");
    }
    assert_eq!(ask(&vault, Operation::Write, "sys/rekey/init", Object::new()).unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(ask(&vault, Operation::Delete, "sys/rekey/init", Object::new()).unwrap_err().code(), Code::PermissionDenied);
}

/// Begins a rekey and gives it as many old shares as it wants; the last answer.
fn rekey(vault: &Vault, root: &Session, old: &[String], options: Object) -> Result<Value, vault_core::types::Error> {
    let begun = write(root, "sys/rekey/init", options.with("secret_shares", 3_u64).with("secret_threshold", 2_u64));
    let nonce = text(&begun, "nonce");
    let required = number(&begun, "required") as usize;
    let mut last = Value::Null;
    for share in &old[..required] {
        last = ask(vault, Operation::Write, "sys/rekey/update", Object::new().with("nonce", nonce.as_str()).with("key", share.as_str()))?;
    }
    Ok(last)
}

#[test]
fn a_rekey_replaces_the_shares_and_the_root_key() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, init) = Vault::create(Config::on(storage.clone()), NewSeal::shares(5, 3).unwrap()).unwrap();
    let before = storage.copy();
    let root = vault.session(init.root_token);
    root.kv("secret").put("x", Object::new().with("value", 1_u64)).unwrap();
    let old = texts(&init.shares);
    let done = rekey(&vault, &root, &old, Object::new()).unwrap();
    let new = shares_of(&done);
    let by = |shares: &[String]| UnsealKey::shares(shares.iter().map(String::as_str)).unwrap();
    // The answer might never have arrived: until the new shares were used, the old ones open.
    reopened(&storage).unseal(&by(&old)).unwrap().verify().unwrap();
    let after = Arc::new(storage.copy());
    let vault_after = Vault::open(Config::on(after.clone())).unwrap().unseal(&by(&new[1..])).unwrap();
    vault_after.verify().unwrap();
    assert_eq!(reopened(&after).unseal(&by(&old)).unwrap_err().code(), Code::BadShare);
    reopened(&after).unseal(&by(&new)).unwrap();
    // Or somebody says so.
    root.request(Operation::Delete, &format!("sys/seals/{}", number(&done, "superseded_slot")), None).unwrap();
    assert_eq!(reopened(&storage).unseal(&by(&old)).unwrap_err().code(), Code::BadShare);
    Vault::open(Config::on(Arc::new(before))).unwrap().unseal(&by(&old)).unwrap();
    // It goes on: a roll and another slot are under the new root key.
    root.request(Operation::Write, "sys/rotate", None).unwrap();
    write(&root, "sys/seals", Object::new().with("passphrase", "open sesame"));
    reopened(&storage).unseal(&by(&new)).unwrap().verify().unwrap();
    reopened(&storage).unseal(&UnsealKey::passphrase("open sesame").unwrap()).unwrap();
}

#[test]
fn a_rekey_with_verification_waits_for_the_new_shares() {
    let storage = Arc::new(MemoryStorage::new());
    let (vault, init) = Vault::create(Config::on(storage.clone()), NewSeal::shares(3, 2).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    let old = texts(&init.shares);
    let by = |shares: &[String]| UnsealKey::shares(shares.iter().map(String::as_str)).unwrap();
    let done = rekey(&vault, &root, &old, Object::new().with("require_verification", true)).unwrap();
    let (new, nonce) = (shares_of(&done), text(&done, "verification_nonce"));
    reopened(&storage).unseal(&by(&old)).unwrap();
    assert!(reopened(&storage).unseal(&by(&new)).is_err(), "nothing is written before the new shares were shown");
    let show =
        |nonce: &str, share: &str| ask(&vault, Operation::Write, "sys/rekey/verify", Object::new().with("nonce", nonce).with("key", share));
    assert_eq!(show("guess", &new[0]).unwrap_err().code(), Code::InvalidRequest);
    assert_eq!(show(&nonce, &old[0]).unwrap_err().code(), Code::BadShare);
    assert_eq!(number(&show(&nonce, &new[0]).unwrap(), "progress"), 1);
    assert_eq!(number(&show(&nonce, &new[0]).unwrap(), "progress"), 1, "the same share again counts once");
    assert_eq!(show(&nonce, &new[2]).unwrap().get("complete").and_then(Value::as_bool), Some(true));
    reopened(&storage).unseal(&by(&new)).unwrap();
    assert!(reopened(&storage).unseal(&by(&old)).is_err());
    assert_eq!(show(&nonce, &new[2]).unwrap_err().code(), Code::InvalidRequest);
}

#[test]
fn a_rekey_loses_no_slot_unasked_and_can_be_cancelled_by_authority_only() {
    let storage = Arc::new(MemoryStorage::new());
    let service = Service::new("kms");
    let config = Config::on(storage.clone()).with_key_wrapper(service.clone());
    let seals = [NewSeal::shares(3, 2).unwrap(), NewSeal::wrapper(service.clone()), raw()];
    let (vault, init) = Vault::create_with_seals(config, &seals).unwrap();
    let root = vault.session(init.root_token);
    let old = texts(&init.shares);
    let error = rekey(&vault, &root, &old, Object::new()).unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    assert!(error.to_string().contains("slot 3 (raw-key)"), "{error}");
    let wrong = Object::new().with("secret_shares", 3_u64).with("secret_threshold", 2_u64);
    let again = root.request(Operation::Write, "sys/rekey/init", Some(wrong.into())).unwrap_err();
    assert!(again.to_string().contains("cancel it first"), "{again}");
    root.request(Operation::Delete, "sys/rekey/init", None).unwrap();
    // With the root key kept the other slots stay as they are.
    let new = shares_of(&rekey(&vault, &root, &old, Object::new().with("keep_root_key", true)).unwrap());
    let by = |shares: &[String]| UnsealKey::shares(shares.iter().map(String::as_str)).unwrap();
    for key in [by(&new), UnsealKey::raw_key(&KEY).unwrap(), UnsealKey::wrapper(service.clone())] {
        reopened(&storage).unseal(&key).unwrap();
    }
    root.request(Operation::Delete, "sys/seals/1", None).unwrap();
    assert!(reopened(&storage).unseal(&by(&old)).is_err());
    // Without the raw key's slot the root key is replaced, and the service's slot is wrapped anew.
    root.request(Operation::Delete, "sys/seals/3", None).unwrap();
    let newer = shares_of(&rekey(&vault, &root, &new, Object::new()).unwrap());
    for key in [by(&newer), UnsealKey::wrapper(service)] {
        reopened(&storage).unseal(&key).unwrap();
    }
}

#[test]
fn a_crash_at_any_step_of_a_rekey_leaves_the_old_or_the_new_opening() {
    for fault in [Fault::Lost, Fault::Applied] {
        for ahead in 1..6 {
            let storage = Arc::new(FaultyStorage::default());
            let (vault, init) = Vault::create(Config::on(storage.clone()), NewSeal::shares(3, 2).unwrap()).unwrap();
            let root = vault.session(SecretString::copy_from(init.root_token.expose()));
            let old = texts(&init.shares);
            storage.fail_commit(vault_core::storage::Storage::commit_number(&*storage) + ahead, fault);
            let outcome = (|| {
                let numbers = Object::new().with("secret_shares", 3_u64).with("secret_threshold", 2_u64);
                let begun = root.request(Operation::Write, "sys/rekey/init", Some(numbers.into()))?.data.unwrap();
                let nonce = text(&begun, "nonce");
                let give = |share: &str| {
                    ask(&vault, Operation::Write, "sys/rekey/update", Object::new().with("nonce", nonce.as_str()).with("key", share))
                };
                give(&old[0])?;
                let done = give(&old[1])?;
                root.kv("secret").put("x", Object::new())?;
                Ok::<_, vault_core::types::Error>(shares_of(&done))
            })();
            let sealed = Vault::open(Config::on(Arc::new(storage.restart()))).unwrap();
            let by = |shares: &[String]| UnsealKey::shares(shares.iter().map(String::as_str)).unwrap();
            let shares = match outcome {
                // Given out, and in force.
                Ok(new) => new,
                // Nobody has seen the new shares, whether they were written or not: the old ones open.
                Err(_) => old,
            };
            sealed.unseal(&by(&shares)).unwrap().verify().unwrap();
        }
    }
}

#[test]
fn a_root_token_is_made_by_key_shares() {
    use base64::Engine;
    let storage = Arc::new(MemoryStorage::new());
    let (vault, init) = Vault::create(Config::on(storage), NewSeal::shares(3, 2).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    root.tokens().revoke_self().unwrap();
    let shares = texts(&init.shares);
    let begun = ask(&vault, Operation::Write, "sys/generate-root/attempt", Object::new()).unwrap();
    let (nonce, otp) = (text(&begun, "nonce"), text(&begun, "otp"));
    let give = |nonce: &str, share: &str| {
        ask(&vault, Operation::Write, "sys/generate-root/update", Object::new().with("nonce", nonce).with("key", share))
    };
    assert_eq!(give("guess", &shares[0]).unwrap_err().code(), Code::InvalidRequest);
    assert_eq!(number(&give(&nonce, &shares[0]).unwrap(), "progress"), 1);
    // Whoever does not know the nonce cannot cancel it (CVE-2025-52894 is of that kind).
    let cancel = ask(&vault, Operation::Delete, "sys/generate-root/attempt", Object::new());
    assert_eq!(cancel.unwrap_err().code(), Code::InvalidRequest);
    let done = give(&nonce, &shares[1]).unwrap();
    let hidden = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text(&done, "encoded_token")).unwrap();
    let token: Vec<u8> = hidden.iter().zip(otp.bytes()).map(|(a, b)| a ^ b).collect();
    let root = vault.session(SecretString::copy_from(std::str::from_utf8(&token).unwrap()));
    assert_eq!(root.tokens().lookup_self().unwrap().policies, ["root"]);
    // The whole of it is in the log, by path and outcome, and no share.
    let events = root.audit().events(0, 1000).unwrap();
    let updates = events.iter().filter(|event| event.get("path").and_then(Value::as_str) == Some("sys/generate-root/update"));
    assert_eq!(updates.count(), 3);
    let log: Vec<u8> = events.iter().flat_map(|event| event.to_json().to_vec()).collect();
    assert!(!String::from_utf8(log).unwrap().contains(&shares[0][..20]));
    let direct = vault.generate_root(&UnsealKey::shares(shares.iter().map(String::as_str)).unwrap()).unwrap();
    assert!(vault.session(direct).tokens().lookup_self().is_ok());
    assert_eq!(vault.generate_root(&UnsealKey::raw_key(&KEY).unwrap()).unwrap_err().code(), Code::WrongKey);
}

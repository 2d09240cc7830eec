//! A vault whose slot is wrapped by a key in a SoftHSM2: unsealed at start, moved to another key, and every way in which a token fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../examples/rust/pkcs11.rs"]
mod example;
mod faults;
mod hsm;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType};
use hsm::{Hsm, KEY, LABEL, PIN, native, on_a_token};
use std::sync::Arc;
use vault_connectors::pkcs11::{Pkcs11Error, Pkcs11Options, Pkcs11Wrapper, Token};
use vault_core::host::KeyWrapper;
use vault_core::types::{Code, Object, Operation, SecretString, Value};
use vault_core::{Argon2Params, Config, NewSeal, UnsealKey, Vault};

const SECRET: [u8; 32] = [0xA5; 32];
const CONTEXT: &[u8] = b"libvault v0 slot 1";
const PASSPHRASE: &str = "for the safe";

fn passphrase() -> NewSeal {
    NewSeal::passphrase_with(PASSPHRASE, Argon2Params::FLOOR).unwrap()
}

fn wrapper_of(options: Pkcs11Options) -> Arc<Pkcs11Wrapper> {
    Arc::new(Pkcs11Wrapper::new(options).unwrap())
}

/// The text of a failure, which must not hold the PIN.
fn failure<T>(outcome: Result<T, impl std::fmt::Display>) -> String {
    let text = outcome.err().expect("it fails").to_string();
    assert!(!text.contains(PIN), "{text}");
    text
}

/// Both directions.
fn round_trip(wrapper: &Pkcs11Wrapper) -> Result<Vec<u8>, vault_core::host::WrapError> {
    let blob = wrapper.wrap(&SECRET, CONTEXT)?;
    assert_eq!(wrapper.unwrap(&blob, CONTEXT)?.expose(), SECRET);
    Ok(blob)
}

/// A vault on disk that the wrapper and a passphrase open.
fn vault_of(hsm: &Hsm, wrapper: &Arc<Pkcs11Wrapper>) -> SecretString {
    let config = Config::at(hsm.path("vault")).with_key_wrapper(wrapper.clone());
    let (vault, init) = Vault::create_with_seals(config, &[NewSeal::wrapper(wrapper.clone()), passphrase()]).unwrap();
    vault.session(SecretString::copy_from(init.root_token.expose())).kv("secret").put("x", Object::new().with("k", "v")).unwrap();
    vault.close().unwrap();
    init.root_token
}

fn opened(hsm: &Hsm, wrapper: &Arc<Pkcs11Wrapper>) -> vault_core::types::Result<Vault> {
    Vault::open_unsealed(Config::at(hsm.path("vault")).with_key_wrapper(wrapper.clone()))
}

on_a_token! {
    fn a_vault_is_unsealed_at_open_by_a_token_beside_a_passphrase(hsm) {
        let wrapper = Arc::new(hsm.wrapper());
        vault_of(hsm, &wrapper);
        let vault = opened(hsm, &wrapper).unwrap();
        let kinds: Vec<_> = vault.seal_status().slots.iter().map(|slot| slot.kind).collect();
        assert_eq!(kinds, ["wrapper", "passphrase"]);
        vault.close().unwrap();
        // After a restart the wrapper is another.
        opened(hsm, &wrapper_of(hsm.options())).unwrap().close().unwrap();
        let other = wrapper_of(hsm.options().with_name("another"));
        assert_eq!(opened(hsm, &other).unwrap_err().code(), Code::WrongKey, "no slot has that name");
        hsm.delete_key(KEY);
        let error = opened(hsm, &wrapper).unwrap_err();
        assert_eq!(error.code(), Code::KeyService);
        assert!(failure::<()>(Err(error)).contains("no AES key labelled \"vault-2026\" with the id "));
        let sealed = Vault::open(Config::at(hsm.path("vault")).with_key_wrapper(wrapper)).unwrap();
        sealed.unseal(&UnsealKey::passphrase(PASSPHRASE).unwrap()).unwrap().close().unwrap();
    }
}

on_a_token! {
    fn a_vault_moves_to_a_new_key_while_the_old_slot_stays_open(hsm) {
        let old = Arc::new(hsm.wrapper());
        let token = vault_of(hsm, &old);
        let new = wrapper_of(hsm.options_of("vault-2027", PIN));
        new.generate_key().unwrap();
        // The old slot names its key, so the new configuration opens it.
        let vault = opened(hsm, &new).unwrap();
        let root = vault.session(token);
        let added = root.request(Operation::Write, "sys/seals", Some(Object::new().with("wrapper", "pkcs11").into())).unwrap();
        assert_eq!(added.data.unwrap().get("id").and_then(Value::as_u64), Some(3));
        root.request(Operation::Delete, "sys/seals/1", None).unwrap();
        vault.close().unwrap();
        hsm.delete_key(KEY);
        opened(hsm, &new).unwrap().close().unwrap();
        // Whoever still has the old configuration can open it too, but make no slot.
        let vault = opened(hsm, &old).unwrap();
        vault.close().unwrap();
        assert!(failure(round_trip(&old)).contains("labelled \"vault-2026\""));
    }
}

on_a_token! {
    fn a_slot_whose_key_is_gone_does_not_hide_one_whose_key_is_there(hsm) {
        let old = Arc::new(hsm.wrapper());
        let token = vault_of(hsm, &old);
        let new = wrapper_of(hsm.options_of("vault-2027", PIN));
        new.generate_key().unwrap();
        let vault = opened(hsm, &new).unwrap();
        vault.session(token).request(Operation::Write, "sys/seals", Some(Object::new().with("wrapper", "pkcs11").into())).unwrap();
        vault.close().unwrap();
        hsm.delete_key(KEY);
        opened(hsm, &new).unwrap().close().unwrap();
    }
}

on_a_token! {
    fn keys_of_one_label_are_told_apart_by_their_id(hsm) {
        let first = hsm.wrapper();
        let blob = round_trip(&first).unwrap();
        assert!(matches!(first.generate_key(), Err(Pkcs11Error::KeyExists(_))));
        let second = wrapper_of(hsm.options().with_key_id([7, 7]));
        second.generate_key().unwrap();
        round_trip(&second).unwrap();
        assert!(failure(first.wrap(&SECRET, CONTEXT)).contains("name the key by its id"));
        assert_eq!(first.unwrap(&blob, CONTEXT).unwrap().expose(), SECRET, "the blob names the id of its key");
        assert_eq!(second.unwrap(&blob, CONTEXT).unwrap().expose(), SECRET);
        assert!(matches!(second.generate_key(), Err(Pkcs11Error::KeyExists(_))));
    }
}

on_a_token! {
    fn a_key_is_made_on_demand_alone_and_cannot_leave_the_token(hsm) {
        let wrapper = wrapper_of(hsm.options());
        assert!(failure(round_trip(&wrapper)).contains("no AES key labelled"));
        assert_eq!(hsm.keys(&hsm.session(), KEY).len(), 0, "none was made by the way");
        wrapper.generate_key().unwrap();
        let session = hsm.session();
        let key = hsm.keys(&session, KEY)[0];
        let is = [
            Attribute::Private(true), Attribute::Token(true), Attribute::Sensitive(true), Attribute::AlwaysSensitive(true),
            Attribute::Extractable(false), Attribute::NeverExtractable(true), Attribute::Encrypt(true), Attribute::Decrypt(true),
            Attribute::Wrap(false), Attribute::Unwrap(false), Attribute::Sign(false), Attribute::Verify(false), Attribute::Derive(false),
            Attribute::ValueLen(32.into()),
        ];
        let kinds: Vec<_> = is.iter().map(Attribute::attribute_type).collect();
        assert_eq!(session.get_attributes(key, &kinds).unwrap(), is);
        assert!(session.get_attributes(key, &[AttributeType::Value]).unwrap().is_empty(), "its value is not told");
        drop(session);
        assert_eq!(hsm.id_of(KEY).len(), 16);
    }
}

on_a_token! {
    fn nothing_is_wrapped_under_a_key_that_could_leave_or_is_short(hsm) {
        let session = hsm.session();
        for (label, sensitive, extractable, bytes) in [("leaks", false, false, 32), ("leaves", true, true, 32), ("short", true, false, 16)] {
            let template = [
                Attribute::Token(true), Attribute::Label(label.into()), Attribute::Sensitive(sensitive), Attribute::Extractable(extractable),
                Attribute::ValueLen(bytes.into()), Attribute::Encrypt(true), Attribute::Decrypt(true),
            ];
            session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
            assert!(failure(round_trip(&wrapper_of(hsm.options_of(label, PIN)))).contains("not fit to wrap with"), "{label}");
        }
        let template = [
            Attribute::Token(true), Attribute::Label("idle".into()), Attribute::Sensitive(true), Attribute::Extractable(false),
            Attribute::ValueLen(32.into()), Attribute::Encrypt(false), Attribute::Decrypt(true),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
        assert!(failure(round_trip(&wrapper_of(hsm.options_of("idle", PIN)))).contains("CKA_ENCRYPT"));
    }
}

on_a_token! {
    fn a_wrong_pin_is_told_and_a_new_wrapper_may_have_the_right_one(hsm) {
        hsm.wrapper();
        let wrong = wrapper_of(hsm.options_of(KEY, "1234"));
        assert!(failure(round_trip(&wrong)).contains("the token refused the user PIN"));
        assert!(failure(round_trip(&wrong)).contains("refused before and is not tried again"));
        assert!(matches!(wrong.generate_key(), Err(Pkcs11Error::PinRefusedBefore)));
        let made = Vault::create(Config::in_memory(), NewSeal::wrapper(wrong));
        assert_eq!(made.unwrap_err().code(), Code::KeyService);
        let right = wrapper_of(hsm.options());
        round_trip(&right).unwrap();
        assert!(!format!("{right:?}").contains(PIN));
    }
}

on_a_token! {
    fn modules_and_tokens_that_are_absent_are_named_as_such(hsm) {
        let with = |module: &std::path::Path, token| wrapper_of(Pkcs11Options::new(module, token, SecretString::copy_from(PIN), KEY));
        let label = || Token::Label(LABEL.to_owned());
        assert!(failure(round_trip(&with(&hsm.path("nothing.so"), label()))).contains("no PKCS#11 module at the path"));
        assert!(failure(round_trip(&with("nothing-of-this-name.so".as_ref(), label()))).contains("cannot be loaded"));
        std::fs::write(hsm.path("text.so"), "text").unwrap();
        assert!(failure(round_trip(&with(&hsm.path("text.so"), label()))).contains("cannot be loaded"));
        assert!(failure(round_trip(&with("libm.so.6".as_ref(), label()))).contains("is no PKCS#11 module"));
        for token in [Token::Label("other".to_owned()), Token::Serial("0000".to_owned()), Token::Slot(4711)] {
            let text = failure(round_trip(&with(hsm::module(), token)));
            assert!(text.contains("has no token with the"), "{text}");
        }
        assert!(matches!(with(hsm::module(), Token::Slot(4711)).generate_key(), Err(Pkcs11Error::NoToken(_))));
    }
}

on_a_token! {
    fn tokens_of_one_label_are_told_apart_by_serial_number_or_slot(hsm) {
        hsm.add_token(LABEL, "other-pin");
        let text = failure(round_trip(&wrapper_of(hsm.options())));
        assert!(text.contains("several tokens with the label \"vault\""), "{text}");
        let module = native();
        let mut opened = 0;
        for slot in module.get_slots_with_initialized_token().unwrap() {
            let serial = Token::Serial(module.get_token_info(slot).unwrap().serial_number().to_owned());
            for token in [serial, Token::Slot(slot.id())] {
                let options = Pkcs11Options::new(hsm::module(), token, SecretString::copy_from(PIN), KEY);
                let wrapper = wrapper_of(options);
                let _there_already = wrapper.generate_key();
                opened += usize::from(round_trip(&wrapper).is_ok());
            }
        }
        assert_eq!(opened, 2, "one of the two tokens has this PIN, and both names of it work");
    }
}

on_a_token! {
    fn every_altered_byte_and_every_other_context_is_refused(hsm) {
        let wrapper = hsm.wrapper();
        let blob = round_trip(&wrapper).unwrap();
        assert_ne!(blob, round_trip(&wrapper).unwrap(), "each wrapping has an IV of its own");
        for at in 0..blob.len() {
            let mut bad = blob.clone();
            bad[at] ^= 1;
            assert!(wrapper.unwrap(&bad, CONTEXT).is_err(), "byte {at}");
        }
        let mut bad = blob.clone();
        *bad.last_mut().unwrap() ^= 1;
        assert!(failure(wrapper.unwrap(&bad, CONTEXT)).contains("does not open the slot's wrapping"));
        assert!(failure(wrapper.unwrap(&blob, b"libvault v0 slot 2")).contains("does not open the slot's wrapping"));
        assert!(failure(wrapper.unwrap(b"vault:v1:x", CONTEXT)).contains("another key service"));
        assert!(wrapper.unwrap(&blob[..blob.len() - 1], CONTEXT).is_err());
        assert_eq!(wrapper.unwrap(&blob, CONTEXT).unwrap().expose(), SECRET, "and the session is none the worse");
        // A key of the same name that is another.
        let id = hsm.id_of(KEY);
        hsm.delete_key(KEY);
        let other = wrapper_of(hsm.options().with_key_id(id));
        other.generate_key().unwrap();
        assert!(failure(other.unwrap(&blob, CONTEXT)).contains("the key of that name is another"));
    }
}

on_a_token! {
    fn many_threads_wrap_at_once_over_one_wrapper_and_over_one_each(hsm) {
        hsm.add_token("second", "second-pin");
        let shared = hsm.wrapper();
        let second = || {
            let token = Token::Label("second".to_owned());
            wrapper_of(Pkcs11Options::new(hsm::module(), token, SecretString::copy_from("second-pin"), KEY))
        };
        second().generate_key().unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (shared, second) = (&shared, &second);
                scope.spawn(move || {
                    let own = if number % 2 == 0 { wrapper_of(hsm.options()) } else { second() };
                    for _ in 0..25 {
                        round_trip(shared).unwrap();
                        round_trip(&own).unwrap();
                    }
                });
            }
        });
    }
}

on_a_token! {
    fn others_in_the_process_may_finalise_the_module_or_be_logged_in(hsm) {
        let wrapper = hsm.wrapper();
        native().finalize().unwrap();
        round_trip(&wrapper).unwrap();
        let session = hsm.session();
        round_trip(&wrapper).unwrap();
        assert_eq!(hsm.keys(&session, KEY).len(), 1, "the other's session is still logged in");
        drop(session);
        // With the last session of the process its login ends.
        let module = native();
        let slot = module.get_slots_with_initialized_token().unwrap()[0];
        round_trip(&wrapper).unwrap();
        let public = module.open_ro_session(slot).unwrap();
        assert_eq!(hsm.keys(&public, KEY).len(), 0, "nobody is logged in between two calls");
    }
}

on_a_token! {
    fn a_token_that_is_emptied_under_us_is_told_and_the_passphrase_opens(hsm) {
        let wrapper = Arc::new(hsm.wrapper());
        vault_of(hsm, &wrapper);
        for token in std::fs::read_dir(hsm.path("tokens")).unwrap() {
            std::fs::remove_dir_all(token.unwrap().path()).unwrap();
        }
        let error = opened(hsm, &wrapper).unwrap_err();
        assert_eq!(error.code(), Code::KeyService);
        let text = failure::<()>(Err(error));
        assert!(text.contains("no token with the label"), "{text}");
        let sealed = Vault::open(Config::at(hsm.path("vault")).with_key_wrapper(wrapper)).unwrap();
        sealed.unseal(&UnsealKey::passphrase(PASSPHRASE).unwrap()).unwrap();
    }
}

on_a_token! {
    fn the_example_tells_its_story(_hsm) {
        example::main().unwrap();
    }
}

#[test]
fn options_that_cannot_be_are_refused_before_anything_is_touched() {
    let token = || Token::Label(LABEL.to_owned());
    let options = |module: &str, key: &str| Pkcs11Options::new(module, token(), SecretString::copy_from(PIN), key);
    let long = "x".repeat(256);
    for bad in [
        options("", KEY),
        options("m", ""),
        options("m", &long),
        options("m", KEY).with_key_id(long.clone()),
        options("m", KEY).with_name(""),
        options("m", KEY).with_name("é"),
        options("m", KEY).with_name(&long[..129]),
    ] {
        assert!(matches!(Pkcs11Wrapper::new(bad), Err(Pkcs11Error::BadOption(_))));
    }
    assert_eq!(Pkcs11Wrapper::new(options("m", KEY)).unwrap().name(), "pkcs11");
}

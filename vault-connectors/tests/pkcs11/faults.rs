//! A token that fails on demand: a module of C before SoftHSM2 (`shim.c`) answers what it is told to.

use crate::hsm::{Hsm, KEY, LABEL, PIN, on_a_token, told};
use crate::{CONTEXT, SECRET, failure, passphrase, round_trip};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use vault_connectors::pkcs11::{Pkcs11Options, Pkcs11Wrapper, Token};
use vault_core::host::KeyWrapper;
use vault_core::types::SecretString;
use vault_core::{Config, NewSeal, Vault};

const DEVICE_REMOVED: u64 = 0x32;
const GENERAL_ERROR: u64 = 0x05;
const MECHANISM_INVALID: u64 = 0x70;
const PIN_INCORRECT: u64 = 0xA0;
const PIN_EXPIRED: u64 = 0xA3;
const PIN_LOCKED: u64 = 0xA4;
const SESSION_HANDLE_INVALID: u64 = 0xB3;
const USER_NOT_LOGGED_IN: u64 = 0x101;
const VENDOR: u64 = 0x8000_0042;

const FLAG_FINAL_TRY: u64 = 0x0002_0000;
const FLAG_LOCKED: u64 = 0x0004_0000;

/// The module that fails as it is told.
struct Shim<'a>(&'a Hsm);

impl<'a> Shim<'a> {
    /// Built by the C compiler that the tests need anyway. What it is told lies in the folder of the test.
    fn new(hsm: &'a Hsm) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pkcs11/shim.c");
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]).arg(hsm.path("shim.so")).arg(source).arg("-ldl");
        let output = cc.output().expect("a C compiler is installed");
        assert!(output.status.success(), "{}", told(&output));
        Shim(hsm)
    }

    fn module(&self) -> PathBuf {
        self.0.path("shim.so")
    }

    fn wrapper(&self) -> Pkcs11Wrapper {
        let options = Pkcs11Options::new(self.module(), Token::Label(LABEL.to_owned()), SecretString::copy_from(PIN), KEY);
        Pkcs11Wrapper::new(options).unwrap()
    }

    /// From now on the function answers this, so many times.
    fn tell(&self, function: &str, answer: u64, times: u32) {
        std::fs::write(self.0.path(function), format!("{answer:x} {times}\n")).unwrap();
    }

    /// How often it was called since.
    fn calls(&self, function: &str) -> usize {
        let calls = std::fs::read_to_string(self.0.path("calls")).unwrap_or_default();
        let count = calls.lines().filter(|line| *line == function).count();
        let _absent = std::fs::remove_file(self.0.path("calls"));
        count
    }
}

on_a_token! {
    fn a_session_that_is_lost_is_made_anew_once(hsm) {
        let shim = Shim::new(hsm);
        hsm.wrapper();
        let wrapper = shim.wrapper();
        let blob = round_trip(&wrapper).unwrap();
        for (function, answer) in [
            ("C_OpenSession", DEVICE_REMOVED),
            ("C_Login", SESSION_HANDLE_INVALID),
            ("C_EncryptInit", USER_NOT_LOGGED_IN),
            ("C_Encrypt", DEVICE_REMOVED),
            ("C_DecryptInit", SESSION_HANDLE_INVALID),
            ("C_Decrypt", SESSION_HANDLE_INVALID),
            // What comes first in a search: the session is logged out, and the key is not to be seen.
            ("logout", 1),
        ] {
            shim.tell(function, answer, 1);
            round_trip(&wrapper).unwrap_or_else(|error| panic!("{function}: {error}"));
        }
        shim.tell("C_DecryptInit", DEVICE_REMOVED, 2);
        shim.calls("");
        let text = failure(wrapper.unwrap(&blob, CONTEXT));
        assert!(text.contains("lost") && text.contains("C_DecryptInit answered DeviceRemoved"), "{text}");
        assert_eq!(shim.calls("C_DecryptInit"), 2, "twice and no more");
        round_trip(&wrapper).unwrap();
    }
}

on_a_token! {
    fn a_wrong_pin_is_tried_once_however_many_slots_there_are(hsm) {
        let shim = Shim::new(hsm);
        hsm.wrapper();
        let seal = || NewSeal::wrapper(Arc::new(shim.wrapper()));
        let (vault, _) = Vault::create_with_seals(Config::at(hsm.path("vault")), &[seal(), seal(), seal(), passphrase()]).unwrap();
        vault.close().unwrap();
        let wrapper = Arc::new(shim.wrapper());
        let open = || Vault::open_unsealed(Config::at(hsm.path("vault")).with_key_wrapper(wrapper.clone()));
        shim.calls("");
        shim.tell("C_Login", PIN_INCORRECT, 100);
        assert!(failure(open()).contains("the token refused the user PIN"));
        assert!(failure(open()).contains("refused before"));
        assert_eq!(shim.calls("C_Login"), 1);
        shim.tell("C_Login", 0, 0);
        assert!(failure(open()).contains("refused before"), "only a new wrapper has a new PIN");
        round_trip(&shim.wrapper()).unwrap();
    }
}

on_a_token! {
    fn a_token_at_its_last_try_is_left_alone(hsm) {
        let shim = Shim::new(hsm);
        hsm.wrapper();
        let wrapper = shim.wrapper();
        shim.tell("flags", FLAG_FINAL_TRY, 1000);
        assert!(failure(round_trip(&wrapper)).contains("the next wrong user PIN locks the token"));
        shim.tell("flags", FLAG_LOCKED, 1000);
        assert!(failure(round_trip(&wrapper)).contains("locked after too many wrong ones"));
        assert_eq!(shim.calls("C_Login"), 0);
        shim.tell("flags", 0, 0);
        round_trip(&wrapper).unwrap();
    }
}

on_a_token! {
    fn what_a_token_answers_is_told_with_what_to_do(hsm) {
        let shim = Shim::new(hsm);
        hsm.wrapper();
        let wrapper = shim.wrapper();
        for (function, answer, told) in [
            ("C_Login", PIN_LOCKED, "its security officer must set a new one"),
            ("C_Login", PIN_EXPIRED, "set it with the token's own tool"),
            ("C_Login", GENERAL_ERROR, "C_Login answered GeneralError"),
            ("C_EncryptInit", MECHANISM_INVALID, "cannot do AES-GCM"),
            ("C_Encrypt", VENDOR, "C_Encrypt answered VendorDefined(80000042)"),
            ("C_Decrypt", GENERAL_ERROR, "does not open the slot's wrapping"),
        ] {
            shim.tell(function, answer, 1);
            let text = failure(round_trip(&wrapper));
            assert!(text.contains(told), "{function}: {text}");
            round_trip(&wrapper).unwrap();
        }
    }
}

on_a_token! {
    fn a_token_that_makes_its_own_iv_is_believed(hsm) {
        let shim = Shim::new(hsm);
        hsm.wrapper();
        let wrapper = shim.wrapper();
        shim.tell("iv", 0, 1);
        let blob = wrapper.wrap(&SECRET, CONTEXT).unwrap();
        assert!(blob.windows(12).any(|window| window == [0x1F; 12]));
        assert_eq!(wrapper.unwrap(&blob, CONTEXT).unwrap().expose(), SECRET);
    }
}

//! A SoftHSM2 of each test's own: its configuration is read once a process, so each test runs in a child of its own.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use vault_connectors::pkcs11::{Pkcs11Options, Pkcs11Wrapper, Token};
use vault_core::types::SecretString;

pub(crate) const LABEL: &str = "vault";
/// A text that must be in no message.
pub(crate) const PIN: &str = "pin-canary-4711";
pub(crate) const KEY: &str = "vault-2026";

const FOLDER: &str = "LIBVAULT_TEST_HSM";

/// A test of this body in a process with a SoftHSM2 that has one token.
macro_rules! on_a_token {
    (fn $name:ident($hsm:ident) $body:block) => {
        #[test]
        fn $name() {
            $crate::hsm::in_a_child(concat!(module_path!(), "::", stringify!($name)), |$hsm: &$crate::hsm::Hsm| $body);
        }
    };
}
pub(crate) use on_a_token;

/// The SoftHSM2 of a test, and a folder.
pub(crate) struct Hsm {
    folder: PathBuf,
}

impl Hsm {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a token. SoftHSM2 sees it only if the module was not used before.
    pub(crate) fn add_token(&self, label: &str, pin: &str) {
        let conf = self.path("softhsm2.conf");
        util(&conf, &["--init-token", "--free", "--label", label, "--so-pin", "so-pin-0815", "--pin", pin]);
    }

    /// The options for the first token and its key.
    pub(crate) fn options(&self) -> Pkcs11Options {
        self.options_of(KEY, PIN)
    }

    pub(crate) fn options_of(&self, key: &str, pin: &str) -> Pkcs11Options {
        Pkcs11Options::new(module(), Token::Label(LABEL.to_owned()), SecretString::copy_from(pin), key)
    }

    /// A wrapper, with its key made.
    pub(crate) fn wrapper(&self) -> Pkcs11Wrapper {
        let wrapper = Pkcs11Wrapper::new(self.options()).unwrap();
        wrapper.generate_key().unwrap();
        wrapper
    }

    /// A session of the test's own with the first token, beside those of the wrapper.
    pub(crate) fn session(&self) -> Session {
        let module = native();
        let slots = module.get_slots_with_initialized_token().unwrap();
        let slot = slots.into_iter().find(|slot| module.get_token_info(*slot).unwrap().label() == LABEL).unwrap();
        let session = module.open_rw_session(slot).unwrap();
        session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
        session
    }

    /// The handles of the keys with this label.
    pub(crate) fn keys(&self, session: &Session, label: &str) -> Vec<ObjectHandle> {
        session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(label.into())]).unwrap()
    }

    pub(crate) fn delete_key(&self, label: &str) {
        let session = self.session();
        let keys = self.keys(&session, label);
        assert!(!keys.is_empty());
        keys.into_iter().for_each(|key| session.destroy_object(key).unwrap());
    }

    pub(crate) fn id_of(&self, label: &str) -> Vec<u8> {
        let session = self.session();
        let key = self.keys(&session, label)[0];
        match session.get_attributes(key, &[AttributeType::Id]).unwrap().remove(0) {
            Attribute::Id(id) => id,
            other => panic!("{other:?}"),
        }
    }
}

/// The module, as the test itself uses it.
pub(crate) fn native() -> Pkcs11 {
    let module = Pkcs11::new(module()).unwrap();
    let _initialised_already = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    module
}

/// Where Debian, Fedora and a build from source have it.
pub(crate) fn module() -> &'static Path {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"];
    let found = places.into_iter().map(Path::new).find(|place| place.exists());
    found.expect("SoftHSM2 is missing: install the Debian package softhsm2 (`cargo xtask test` does so as root)")
}

/// Runs the body in a child process of this test binary, in which SoftHSM2 has a token.
pub(crate) fn in_a_child(test: &str, body: impl FnOnce(&Hsm)) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return body(&Hsm { folder: folder.into() });
    }
    module();
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("softhsm2.conf");
    std::fs::create_dir(folder.path().join("tokens")).unwrap();
    let text =
        format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", folder.path().join("tokens").display());
    std::fs::write(&conf, text).unwrap();
    util(&conf, &["--init-token", "--free", "--label", LABEL, "--so-pin", "so-pin-0815", "--pin", PIN]);
    let name = test.split_once("::").unwrap().1;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(FOLDER, folder.path()).env("SOFTHSM2_CONF", &conf);
    child.env("LIBVAULT_TEST_MODULE", module());
    // What the example asks for.
    child.env("HSM_MODULE", module()).env("HSM_TOKEN", LABEL).env("HSM_PIN", PIN);
    let output = child.output().unwrap();
    let told = told(&output);
    // A name that fits no test would run none, and succeed.
    assert!(output.status.success() && told.contains("1 passed"), "{name} in a child process: {}\n{told}", output.status);
}

fn util(conf: &Path, words: &[&str]) {
    let output = Command::new("softhsm2-util").args(words).env("SOFTHSM2_CONF", conf).output();
    let output = output.expect("softhsm2-util is missing: install the Debian package softhsm2");
    assert!(output.status.success(), "{}", told(&output));
}

pub(crate) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

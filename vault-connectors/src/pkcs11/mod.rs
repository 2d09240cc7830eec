//! A key in an HSM or a smart card as a vault's key wrapper, over PKCS #11 (OASIS, v2.40 and v3.0).
//!
//! A slot's key is encrypted by AES-256-GCM under a key that is made on the token and never leaves it. The wrapping names that key by label
//! and id, so that a slot stays open to the key that wrapped it while new slots go under another.
//!
//! ```no_run
//! use std::sync::Arc;
//! use vault_connectors::pkcs11::{Pkcs11Options, Pkcs11Wrapper, Token};
//! use vault_core::types::SecretString;
//! use vault_core::{Config, NewSeal, Vault};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pin = SecretString::copy_from(&std::env::var("HSM_PIN")?);
//! let hsm = Arc::new(Pkcs11Wrapper::new(Pkcs11Options::new(
//!     "/usr/lib/softhsm/libsofthsm2.so",
//!     Token::Label("vault".to_owned()),
//!     pin,
//!     "vault-2026",
//! ))?);
//! hsm.generate_key()?; // once
//! let config = Config::at("/var/lib/app/vault").with_key_wrapper(hsm.clone());
//! let seals = [NewSeal::wrapper(hsm.clone()), NewSeal::passphrase("for the safe: correct horse battery staple")?];
//! let (vault, _init) = Vault::create_with_seals(config.clone(), &seals)?;
//! vault.close()?;
//! let _vault = Vault::open_unsealed(config)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Sessions
//!
//! Each call opens a session, logs in, works and closes it again: the token is logged in only while a slot is made or opened, which is seldom,
//! and a token that was reset or unplugged in between is no failure. One that is lost during the call is tried once more. Logins count for
//! the whole process (PKCS #11 v2.40, section 5.6): where another part of it is logged into the same token, the PIN is not checked.
//!
//! **A wrong PIN is tried once** and never again by the same wrapper, since tokens lock after some; and none is tried when the token says that
//! it is at the last try. A host that makes a new wrapper in a loop gives that up.
//!
//! # Modules
//!
//! A module is loaded once a process, when it is first needed, and told that it may lock (`CKF_OS_LOCKING_OK`). It is neither finalised nor
//! unloaded: another part of the process may use it. So wrappers share modules among themselves and with others.

mod blob;
mod error;
mod module;
mod session;

pub use error::Pkcs11Error;

use blob::{Blob, KeyName, NAME_BYTES_MAX};
use parking_lot::Mutex;
use session::Session;
use std::path::{Path, PathBuf};
use vault_core::host::{KeyWrapper, WrapError};
use vault_core::os::{ForkGuard, SystemRng};
use vault_core::types::{SecretBytes, SecretString};

/// Which of a module's tokens is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Token {
    /// The one with this label.
    Label(String),
    /// The one with this serial number.
    Serial(String),
    /// Whichever is in this slot (`CK_SLOT_ID`). Some modules number their slots anew at each start.
    Slot(u64),
}

/// Which key of which token wraps.
#[derive(Debug)]
pub struct Pkcs11Options {
    module: PathBuf,
    token: Token,
    pin: SecretString,
    key: KeyName,
    name: String,
}

/// A [`KeyWrapper`] over a token.
///
/// May be used from any thread; one call at a time reaches the token, others wait. In a child process it answers [`Pkcs11Error::Forked`].
#[derive(Debug)]
pub struct Pkcs11Wrapper {
    options: Pkcs11Options,
    state: Mutex<State>,
    fork: ForkGuard,
    rng: SystemRng,
}

#[derive(Debug, Default)]
struct State {
    pin_was_refused: bool,
}

impl Token {
    fn told(&self) -> String {
        match self {
            Token::Label(label) => format!("label {label:?}"),
            Token::Serial(serial) => format!("serial number {serial:?}"),
            Token::Slot(id) => format!("slot number {id}"),
        }
    }
}

impl Pkcs11Options {
    /// The module is the path of the shared library that the token's maker gives. The PIN is that of the token's normal user (`CKU_USER`). The
    /// key is named by its label (`CKA_LABEL`), from 1 to 255 bytes.
    #[must_use]
    pub fn new(module: impl AsRef<Path>, token: Token, pin: SecretString, key_label: impl Into<String>) -> Self {
        let key = KeyName { label: key_label.into(), id: Vec::new() };
        Pkcs11Options { module: module.as_ref().to_owned(), token, pin, key, name: "pkcs11".to_owned() }
    }

    /// Names the key by its id (`CKA_ID`) too, at most 255 bytes: needed where several keys have the label. An empty one is none.
    #[must_use]
    pub fn with_key_id(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.key.id = id.into();
        self
    }

    /// The name by which a vault's slots find this wrapper again, `pkcs11` unless given: from 1 to 128 printable ASCII characters. It must stay
    /// as long as there are such slots; a vault with several wrappers needs several names.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl Pkcs11Wrapper {
    /// A wrapper with these options. Neither module nor token is touched yet, so that a vault can be opened by another slot while they are away.
    ///
    /// # Errors
    /// [`Pkcs11Error::BadOption`].
    pub fn new(options: Pkcs11Options) -> Result<Self, Pkcs11Error> {
        let bad = |why| Err(Pkcs11Error::BadOption(why));
        let is_printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if options.module.as_os_str().is_empty() {
            return bad("the path of the PKCS#11 module is empty");
        }
        if options.key.label.is_empty() || options.key.label.len() > NAME_BYTES_MAX || options.key.id.len() > NAME_BYTES_MAX {
            return bad("the label of a token's key has from 1 to 255 bytes, its id at most 255");
        }
        if options.name.is_empty() || options.name.len() > 128 || !options.name.bytes().all(is_printable) {
            return bad("the name of a key wrapper has from 1 to 128 printable ASCII characters");
        }
        Ok(Pkcs11Wrapper { options, state: Mutex::default(), fork: ForkGuard::new(), rng: SystemRng::new() })
    }

    /// Makes the key that the options name on the token: AES-256, sensitive, not extractable, to encrypt and decrypt with and for nothing else.
    /// Its id is the one in the options, or a random one. No other function makes a key.
    ///
    /// # Errors
    /// [`Pkcs11Error::KeyExists`] where there is one of that name, and whatever keeps the token from making one.
    pub fn generate_key(&self) -> Result<(), Pkcs11Error> {
        self.in_session(true, |session| session.generate(&self.rng, &self.options.key))
    }

    fn try_wrap(&self, key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        self.in_session(false, |session| session.wrap(&self.rng, &self.options.key, key, context))
    }

    fn try_unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<SecretBytes, Pkcs11Error> {
        let blob = Blob::parse(wrapped)?;
        self.in_session(false, |session| session.unwrap(&blob, context))
    }

    /// Works in a session of its own, and once more in another if that was lost.
    fn in_session<T>(&self, writes: bool, work: impl Fn(&Session) -> Result<T, Pkcs11Error>) -> Result<T, Pkcs11Error> {
        // Before the lock, which a thread of the parent's may have held.
        if self.fork.is_forked() {
            return Err(Pkcs11Error::Forked);
        }
        let mut state = self.state.lock();
        let mut outcome = self.attempt(&mut state, writes, &work);
        if outcome.as_ref().is_err_and(Pkcs11Error::is_lost) {
            outcome = self.attempt(&mut state, writes, &work);
        }
        outcome
    }

    fn attempt<T>(&self, state: &mut State, writes: bool, work: impl Fn(&Session) -> Result<T, Pkcs11Error>) -> Result<T, Pkcs11Error> {
        if state.pin_was_refused {
            return Err(Pkcs11Error::PinRefusedBefore);
        }
        let module = module::ready(&self.options.module)?;
        let session = Session::open(&module, &self.options.token, &self.options.pin, writes);
        state.pin_was_refused = matches!(session, Err(Pkcs11Error::WrongPin));
        work(&session?)
    }
}

impl KeyWrapper for Pkcs11Wrapper {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn wrap(&self, key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>, WrapError> {
        Ok(self.try_wrap(key, context)?)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<SecretBytes, WrapError> {
        Ok(self.try_unwrap(wrapped, context)?)
    }
}

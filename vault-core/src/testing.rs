//! A vault for tests: in memory, with a clock that moves when it is told.
//!
//! For the tests of whoever uses this crate, with the feature `testing`:
//!
//! ```toml
//! [dev-dependencies]
//! vault-core = { version = "0.1", default-features = false, features = ["testing"] }
//! ```
//!
//! ```
//! use vault_core::testing::TestVault;
//! use vault_core::types::{Code, Object, Ttl};
//!
//! let test = TestVault::new();
//! test.root.kv("secret").put("app/db", Object::new().with("password", "pa55-w0rd"))?;
//!
//! // What the program under test is given: a token that may do this and nothing else, and ends after an hour.
//! let app = test.session_with(r#"path "secret/data/app/*" { capabilities = ["read"] }"#, Ttl::from_secs(3600));
//! assert!(app.kv("secret").get("app/db").is_ok());
//! assert_eq!(app.kv("secret").get("other").unwrap_err().code(), Code::PermissionDenied);
//!
//! // An hour later, without waiting.
//! test.advance(Ttl::from_secs(3600));
//! assert_eq!(app.kv("secret").get("app/db").unwrap_err().code(), Code::PermissionDenied);
//!
//! // Nobody else read it.
//! assert_eq!(test.events("read", "secret/data/app/db").len(), 2);
//! # Ok::<(), vault_core::types::Error>(())
//! ```

pub use crate::pipeline::{Known, KnownConnection, KnownCredential, KnownLease};

use crate::host::{Clock, ManualClock};
use crate::types::{SecretString, Timestamp, Ttl, Value};
use crate::{Config, NewSeal, Session, TokenOptions, UnsealKey, Vault};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The key of every such vault: it protects nothing.
const KEY: [u8; 32] = [7; 32];

/// When every such vault begins: 2027-01-15T08:00:00Z.
const START_SECONDS: u64 = 1_800_000_000;

/// Ticks after which what they find to do must have come to an end.
const TICKS_MAX: usize = 10_000;

/// Events of the audit log that are read at a time.
const EVENTS_PAGE: u64 = 1_000;

/// A vault in memory, unsealed, with a session of its root token and a clock of its own. Any thread may use it; it is gone when it is dropped.
///
/// Everything is the vault's own but place and time: policies decide, tokens expire, and the audit log records, as in a vault on disk.
pub struct TestVault {
    /// The vault.
    pub vault: Vault,
    /// A session under the root token, which may do everything.
    pub root: Session,
    /// The vault's clock: it stands still until it is moved.
    pub clock: Arc<ManualClock>,
    policies: AtomicU64,
}

impl TestVault {
    /// A new vault, at 2027-01-15T08:00:00Z.
    ///
    /// # Panics
    /// When the operating system gives no randomness.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    /// A new vault with more of a host's world, such as connectors, hooks and sinks.
    ///
    /// ```
    /// use vault_core::testing::TestVault;
    /// use vault_core::{AuditMode, Config};
    ///
    /// let test = TestVault::with(|config: Config| config.with_audit_mode(AuditMode::Strict));
    /// assert!(test.root.audit().verify().is_ok());
    /// ```
    ///
    /// # Panics
    /// When the configuration can make no vault, or the operating system gives no randomness.
    #[must_use]
    pub fn with(configure: impl FnOnce(Config) -> Config) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START_SECONDS)));
        let config = configure(Config::in_memory()).with_clock(Arc::<ManualClock>::clone(&clock));
        let seal = NewSeal::raw_key(&KEY).expect("a key of 32 bytes");
        let (vault, init) = Vault::create(config, seal).expect("a vault for a test");
        TestVault { root: vault.session(init.root_token), vault, clock, policies: AtomicU64::new(0) }
    }

    /// A session under a new token whose only policy is this text, in HCL or JSON, and which lasts so long.
    ///
    /// # Panics
    /// When the text is no policy: the message gives line and column.
    #[must_use]
    pub fn session_with(&self, policy: &str, ttl: Ttl) -> Session {
        let name = format!("test-{}", self.policies.fetch_add(1, Ordering::Relaxed));
        self.root.policies().write(&name, policy).expect("the text of a policy");
        let options = TokenOptions { policies: vec![name], ttl: Some(ttl), no_default_policy: true, ..TokenOptions::default() };
        self.vault.session(self.root.tokens().create(options).expect("a token for a test").client_token)
    }

    /// A session under a token that is known as text.
    #[must_use]
    pub fn session(&self, token: &str) -> Session {
        self.vault.session(SecretString::copy_from(token))
    }

    /// Lets time pass, in whole seconds, and the vault do all that is due by then: tokens and leases end, listeners are told.
    ///
    /// # Panics
    /// When the vault is sealed or closed.
    pub fn advance(&self, by: Ttl) {
        self.clock.advance(by);
        for _ in 0..TICKS_MAX {
            let next = self.vault.tick().expect("an unsealed vault ticks");
            if next.is_none_or(|next| next > self.clock.now()) {
                return;
            }
        }
    }

    /// Seals the vault and unseals it again, as a restart does: sessions go on, and what was only in memory is gone.
    ///
    /// # Panics
    /// When the vault is closed.
    pub fn reseal(&self) {
        let sealed = self.vault.seal().expect("a vault seals");
        sealed.unseal(&UnsealKey::raw_key(&KEY).expect("a key of 32 bytes")).expect("its own key opens it");
    }

    /// The events of the audit log of an operation (`read`, `list`, `write`, `patch`, `delete`) on a path, in order, refusals included.
    ///
    /// # Panics
    /// When the vault is sealed or closed.
    #[must_use]
    pub fn events(&self, operation: &str, path: &str) -> Vec<Value> {
        let text = |event: &Value, name: &str, wanted: &str| event.get(name).and_then(Value::as_str) == Some(wanted);
        let mut found = Vec::new();
        let mut after = 0;
        loop {
            let page = self.root.audit().events(after, EVENTS_PAGE).expect("an unsealed vault has a log");
            let Some(last) = page.last().and_then(|event| event.get("sequence")).and_then(Value::as_u64) else { return found };
            let is_last = (page.len() as u64) < EVENTS_PAGE;
            found.extend(page.into_iter().filter(|event| text(event, "operation", operation) && text(event, "path", path)));
            if is_last {
                return found;
            }
            after = last;
        }
    }
}

impl Default for TestVault {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestVault")
    }
}

/// What a vault knows of the accounts at its targets.
///
/// ```
/// let test = vault_core::testing::TestVault::new();
/// assert!(vault_core::testing::known(&test.vault)?.leases.is_empty());
/// # Ok::<(), vault_core::types::Error>(())
/// ```
///
/// # Errors
/// `Sealed`; `Unavailable` when the device fails; `Corrupt` when a record cannot be read.
pub fn known(vault: &Vault) -> crate::types::Result<Known> {
    vault.known()
}

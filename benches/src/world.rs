//! Vaults that are measured: made on a backend, filled with secrets, and a session of a token that may only read and write them.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use vault_core::storage::Backend;
use vault_core::types::Object;
use vault_core::{Config, NewSeal, Session, TokenOptions, UnsealKey, Vault};

/// The key that opens them: no passphrase, since its stretching is no part of what is measured.
pub const KEY: [u8; 32] = [7; 32];
/// Writers that fill a store: they share commits.
const FILLERS: u64 = 64;

/// Where a vault lies.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    Memory,
    Sled,
    Redb,
}

impl Place {
    pub const ALL: [Place; 3] = [Place::Memory, Place::Sled, Place::Redb];
    pub const ON_DISK: [Place; 2] = [Place::Sled, Place::Redb];

    pub fn name(self) -> &'static str {
        match self {
            Place::Memory => "memory",
            Place::Sled => "sled",
            Place::Redb => "redb",
        }
    }

    /// How a vault is made or opened there.
    pub fn config(self, folder: &Path) -> Config {
        let at = || Config::at(folder.join(format!("vault-{}", self.name())));
        match self {
            Place::Memory => Config::in_memory(),
            Place::Sled => at().with_backend(Backend::Sled),
            Place::Redb => at().with_backend(Backend::Redb),
        }
    }

    /// The directory of a vault there.
    pub fn dir(self, folder: &Path) -> std::path::PathBuf {
        folder.join(format!("vault-{}", self.name()))
    }
}

/// A vault with a session that may do what an application does.
pub struct World {
    pub vault: Vault,
    pub root: Session,
    pub app: Session,
    /// That of `app`.
    pub token: String,
}

impl World {
    /// A new vault.
    pub fn new(config: Config) -> Self {
        let (vault, init) = Vault::create(config, NewSeal::raw_key(&KEY).expect("32 bytes")).expect("a vault is made");
        let root = vault.session(init.root_token);
        root.policies().write("app", POLICY).expect("a policy that parses");
        let options = TokenOptions { policies: vec!["app".to_owned()], ..TokenOptions::default() };
        let token = root.tokens().create(options).expect("root makes a token").client_token;
        let text = token.expose().to_owned();
        World { app: vault.session(token), vault, root, token: text }
    }

    /// Fills a vault with so many secrets of a size, each once.
    pub fn fill(&self, secrets: u64, bytes: usize) {
        self.put_all(secrets, |number| (path(number), secret(bytes)));
        self.vault.tick().expect("a tick");
    }

    /// Writes so many secrets, by several writers.
    pub fn put_all(&self, secrets: u64, each: impl Fn(u64) -> (String, Object) + Sync) {
        let next = AtomicU64::new(0);
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..FILLERS.min(secrets) {
                scope.spawn(|| {
                    let kv = self.app.kv("secret");
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= secrets {
                            return;
                        }
                        let (path, secret) = each(number);
                        if let Err(error) = kv.put(&path, secret) {
                            *failed.lock().expect("no filler panics") = Some(error);
                            return;
                        }
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().expect("no filler panics") {
            panic!("a store could not be filled: {error}");
        }
    }
}

/// Opens what was closed, unseals it and gives it.
pub fn reopen(config: Config) -> Vault {
    let sealed = Vault::open(config).expect("the vault is there");
    sealed.unseal(&UnsealKey::raw_key(&KEY).expect("32 bytes")).expect("it is its key")
}

/// Where a secret lies.
pub fn path(number: u64) -> String {
    format!("app-{}/service-{}/key-{number}", number % 97, number % 13)
}

/// The paths of so many secrets, in an order in which neighbours are far apart.
pub fn paths(secrets: u64) -> Vec<String> {
    // No step shares a factor with a number of secrets that is a power of ten.
    (0..secrets.min(100_000)).map(|at| path(at.wrapping_mul(7919) % secrets)).collect()
}

/// A secret of so many bytes.
pub fn secret(bytes: usize) -> Object {
    Object::new().with("value", "x".repeat(bytes))
}

/// Rules as an application has them, of each kind.
const POLICY: &str = r#"
path "secret/data/app-*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/app-*" { capabilities = ["read", "list"] }
path "secret/data/+/shared/*" { capabilities = ["read"] }
path "secret/data/team/config" { capabilities = ["read"] }
path "database/creds/app" { capabilities = ["read"] }
path "transit/encrypt/app-*" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
"#;

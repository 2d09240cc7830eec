//! The vault as a host holds it: create, open, unseal, seal, close; and sessions with their typed faces.

mod audit;
mod backup;
mod config;
mod emergency;
mod kv;
mod leases;
mod live;
mod place;
mod policies;
mod rotation;
mod session;
mod tokens;
mod wrapping;

pub use crate::audit::AuditMode;
pub use audit::{Audit, AuditReport};
pub use backup::Backup;
pub use config::Config;
pub use emergency::{ContainOptions, Containment, ContainmentStep, Emergency, Exposure, Reader, ReaderTokens};
pub use kv::{Kv, KvMetadata, KvSecret, KvSettings, KvVersion};
pub use leases::{LeaseInfo, Leases};
pub use live::{Listening, LiveSecret, RetryError, SecretSnapshot};
pub use policies::Policies;
pub use rotation::{Rehearsal, Rotation, RotationStatus, StaticCreds};
pub use session::Session;
pub use tokens::{TokenInfo, TokenOptions, Tokens};
pub use wrapping::{Wrapping, WrappingInfo};

use crate::backup::BackupInfo;
use crate::pipeline::{Caller, Parts, Reply, Runtime, SealStatus, Verification};
use crate::seal::{NewSeal, UnsealKey};
use crate::storage::Compaction;
use crate::types::{Code, Error, Request, Result, SecretString, Timestamp};
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use zeroize::Zeroizing;

/// An open, unsealed vault. Cheap to clone; safe to use from many threads at once.
///
/// When the last handle (vaults, sealed vaults and sessions) is dropped the vault is closed; [`Vault::close`] does so earlier and tells of errors.
///
/// ```
/// use vault_core::types::Object;
/// use vault_core::{Config, NewSeal, UnsealKey, Vault};
///
/// let (vault, init) = Vault::create(Config::in_memory(), NewSeal::raw_key(&[7; 32])?)?;
/// let root = vault.session(init.root_token);
/// root.kv("secret").put("app", Object::new().with("a", 1_u64))?;
/// assert!(!vault.seal_status().sealed);
///
/// // Somebody calls this about once a second, or when it says: expired tokens are removed, the audit log is fed.
/// vault.tick()?;
///
/// // The keys leave memory; the same session goes on once the vault is unsealed.
/// let sealed = vault.seal()?;
/// assert!(root.kv("secret").list("").is_err());
/// let vault = sealed.unseal(&UnsealKey::raw_key(&[7; 32])?)?;
/// vault.verify()?;
/// vault.close()?;
/// # Ok::<(), vault_core::types::Error>(())
/// ```
#[derive(Clone)]
pub struct Vault {
    runtime: Arc<Runtime>,
}

/// An open vault whose keys are not in memory: it tells its status and can be unsealed.
///
/// ```
/// use vault_core::{Config, NewSeal, Unsealing, Vault};
///
/// // Five people have a share each, and any three of them open the vault.
/// let (vault, init) = Vault::create(Config::in_memory(), NewSeal::shares(5, 3)?)?;
/// let sealed = vault.seal()?;
/// assert!(sealed.seal_status().sealed);
/// for share in &init.shares[..2] {
///     assert!(matches!(sealed.unseal_share(share.expose())?, Unsealing::More(_)));
/// }
/// let Unsealing::Unsealed(vault) = sealed.unseal_share(init.shares[4].expose())? else { unreachable!() };
/// # vault.close()?;
/// # Ok::<(), vault_core::types::Error>(())
/// ```
#[derive(Clone)]
pub struct SealedVault {
    runtime: Arc<Runtime>,
}

/// What is given once, at creation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Init {
    /// The root token: it may do everything and does not expire. Make lesser tokens with it, then revoke it.
    pub root_token: SecretString,
    /// The key shares, where a seal is opened by such: give each to another person. They are shown nowhere again.
    pub shares: Vec<SecretString>,
}

/// What a key share has led to.
#[derive(Debug)]
pub enum Unsealing {
    /// More shares are needed.
    More(SealStatus),
    /// It was the last that was needed.
    Unsealed(Vault),
}

impl Vault {
    /// Makes a new vault and leaves it unsealed.
    ///
    /// # Errors
    /// `InvalidRequest` when there is something at the place already or the seal is unusable; `Unavailable` when the device fails.
    /// Nothing is left at the place then.
    pub fn create(config: Config, seal: NewSeal) -> Result<(Vault, Init)> {
        Self::create_with_seals(config, &[seal])
    }

    /// Makes a new vault with several key slots, any one of which opens it, and leaves it unsealed.
    ///
    /// # Errors
    /// As [`Vault::create`]; `Unavailable` with the code `KeyService` when a key service fails.
    pub fn create_with_seals(config: Config, seals: &[NewSeal]) -> Result<(Vault, Init)> {
        let (runtime, born) = Runtime::create(place::create(config)?, seals)?;
        Ok((Vault { runtime: Arc::new(runtime) }, Init { root_token: born.root_token, shares: born.shares }))
    }

    /// Makes a vault in memory, for tests and for secrets that need no disk.
    ///
    /// # Errors
    /// `Unavailable` when the operating system gives no randomness.
    pub fn in_memory() -> Result<(Vault, Init)> {
        let config = Config::in_memory();
        let key = Zeroizing::new(config.rng.array::<32>().map_err(|error| Error::new(Code::NoEntropy, error.to_string()))?);
        Vault::create(config, NewSeal::raw_key(&*key).map_err(Error::from)?)
    }

    /// Opens a vault, sealed.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no store, it is none of ours, or it is open elsewhere (the message names the process);
    /// `Corrupt` when it is damaged or has lost commits.
    pub fn open(config: Config) -> Result<SealedVault> {
        Runtime::open(place::open(config)?).map(|runtime| SealedVault { runtime: Arc::new(runtime) })
    }

    /// Writes a backup into an empty place, opens the vault and leaves it unsealed and **frozen**: it can be read with the tokens that it
    /// holds (or one by [`Vault::generate_root`]), nothing is written or expires, nothing goes out, until somebody writes to
    /// `sys/storage/adopt` (`sudo`). It then goes on as a vault of its own, told from the one that the backup was made of.
    ///
    /// The place may be of another backend than the one that the backup was made on.
    ///
    /// # Errors
    /// `InvalidRequest` with the code `BadBackup` when the backup is cut, altered or none of libvault's, `WrongKey` when the key opens none of
    /// its slots, `StoreExists` when there is something at the place. Nothing is left at the place then.
    pub fn restore(config: Config, source: &mut dyn Read, key: &UnsealKey) -> Result<(Vault, BackupInfo)> {
        Self::filled(config, key, |parts| crate::pipeline::restore(parts, source, key))
    }

    /// Makes a store that is filled by something else than a new vault, opens it and unseals it. Nothing is left of it where that fails.
    pub(crate) fn filled<T>(config: Config, key: &UnsealKey, fill: impl FnOnce(&Parts) -> Result<T>) -> Result<(Vault, T)> {
        let place = config.clone();
        let parts = place::create(config)?;
        let told = match fill(&parts) {
            Ok(told) => told,
            Err(error) => {
                // The first error is the one to tell.
                let _closed = parts.storage.close();
                drop(parts);
                place::discard(&place);
                return Err(error);
            }
        };
        let runtime = Arc::new(Runtime::open(parts)?);
        runtime.unseal(key)?;
        Ok((Vault { runtime }, told))
    }

    /// Whether the vault was restored and not yet adopted.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.runtime.is_frozen()
    }

    /// Opens a vault and unseals it with the first key service that was given by [`Config::with_key_wrapper`] and has a slot.
    ///
    /// # Errors
    /// As [`Vault::open`] and [`SealedVault::unseal`].
    pub fn open_unsealed(config: Config) -> Result<Vault> {
        let sealed = Self::open(config)?;
        sealed.runtime.unseal_by_service()?;
        Ok(Vault { runtime: sealed.runtime })
    }

    /// A session under a token. The token is looked at with each request, not now.
    #[must_use]
    pub fn session(&self, token: SecretString) -> Session {
        Session::new(self.clone(), token)
    }

    /// Carries out a request under the token that it holds.
    pub fn handle(&self, mut request: Request) -> Reply {
        let caller = request.token.take().map(Caller::new);
        self.runtime.handle(caller.as_ref(), request)
    }

    pub(crate) fn handle_for(&self, caller: &Caller, request: Request) -> Reply {
        self.runtime.handle(Some(caller), request)
    }

    /// Does what is due by the vault's clock: writes waiting audit records, removes expired tokens. Returns when it wants to be called next.
    ///
    /// # Errors
    /// `Sealed`, or `Unavailable` when the device fails.
    pub fn tick(&self) -> Result<Option<Timestamp>> {
        self.runtime.tick()
    }

    /// Writes what waits, wipes the keys and leaves the vault sealed. Sealing twice is fine.
    ///
    /// # Errors
    /// `Unavailable` when what waits cannot be written; the vault is sealed all the same.
    pub fn seal(&self) -> Result<SealedVault> {
        self.runtime.seal()?;
        Ok(SealedVault { runtime: Arc::clone(&self.runtime) })
    }

    /// Whether the vault is sealed, and the like. Needs no token.
    #[must_use]
    pub fn seal_status(&self) -> SealStatus {
        self.runtime.seal_status()
    }

    /// What the vault has counted since it was opened, in the text format of Prometheus (0.0.4): give it to whoever scrapes the process.
    /// Needs no token, since it names neither paths nor secrets. Any thread; `docs/metrics.md` lists the figures.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.runtime.metrics()
    }

    /// Makes a root token for whoever can open the vault: when the last one was revoked or lost.
    ///
    /// # Errors
    /// As [`SealedVault::unseal`] for a key that opens nothing; `Sealed`; `Unavailable`.
    pub fn generate_root(&self, key: &UnsealKey) -> Result<SecretString> {
        self.runtime.generate_root(key)
    }

    /// Reads and decrypts every record of the store and the whole audit log, and compares both with the root record.
    /// Needs no token, since it says nothing of what is in them: an operator's check.
    ///
    /// # Errors
    /// `Corrupt` with what is wrong: a record altered, removed, added or put back.
    pub fn verify(&self) -> Result<Verification> {
        self.runtime.verify()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn known(&self) -> Result<crate::pipeline::Known> {
        self.runtime.known()
    }

    /// Gives disk space back that no record needs any more, while the vault is in use; how large the records are on the device before and
    /// after. Over sled readers go on, and writers but for a moment; it needs room for a second copy of what is there. Over redb all wait.
    /// Needs no token, as [`Vault::verify`]; `WRITE sys/storage/compact` is the same for a token with `update` and `sudo`.
    ///
    /// # Errors
    /// `Conflict` over redb while a backup or a verification is under way: try again. `Unavailable` when the device fails or is full: the
    /// vault is as it was and goes on, unless the code is `Poisoned`.
    pub fn compact(&self) -> Result<Compaction> {
        self.runtime.compact()
    }

    /// Writes what waits, wipes the keys, closes the store and frees it for others. Closing twice is fine; later requests answer `Closed`.
    ///
    /// # Errors
    /// `Unavailable` when what waits cannot be written; the vault is closed all the same.
    pub fn close(&self) -> Result<()> {
        self.runtime.close()
    }
}

impl SealedVault {
    /// Unseals the vault.
    ///
    /// # Errors
    /// `InvalidRequest` with the code `WrongKey` when the key opens no slot; `Corrupt` when what is on disk does not verify.
    pub fn unseal(&self, key: &UnsealKey) -> Result<Vault> {
        self.runtime.unseal(key)?;
        Ok(Vault { runtime: Arc::clone(&self.runtime) })
    }

    /// Takes one key share; with the last one that is needed the vault is unsealed. Shares of several slots may be given side by side.
    ///
    /// # Errors
    /// `InvalidRequest` with the code `BadShare` when the text is no share, was mistyped or altered, or belongs to another set.
    pub fn unseal_share(&self, share: &str) -> Result<Unsealing> {
        let unsealed = self.runtime.unseal_share(share)?;
        Ok(match unsealed {
            true => Unsealing::Unsealed(Vault { runtime: Arc::clone(&self.runtime) }),
            false => Unsealing::More(self.runtime.seal_status()),
        })
    }

    /// Forgets the key shares that were given so far.
    pub fn reset_unseal(&self) {
        self.runtime.reset_unseal();
    }

    /// Carries out a request, of which a sealed vault answers only `sys/seal-status`, `sys/init` and `sys/unseal`.
    pub fn handle(&self, request: Request) -> Reply {
        Vault { runtime: Arc::clone(&self.runtime) }.handle(request)
    }

    /// Whether the vault is sealed, and the like.
    #[must_use]
    pub fn seal_status(&self) -> SealStatus {
        self.runtime.seal_status()
    }

    /// As [`Vault::metrics`].
    #[must_use]
    pub fn metrics(&self) -> String {
        self.runtime.metrics()
    }

    /// Closes the store and frees it for others. Closing twice is fine.
    ///
    /// # Errors
    /// `Unavailable` when the device fails; the store is closed all the same.
    pub fn close(&self) -> Result<()> {
        self.runtime.close()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl fmt::Debug for SealedVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedVault")
    }
}

//! The credential vault that you link instead of run: an encrypted store, path policies, tokens, versioned secrets, leases and a tamper-evident
//! audit trail, in your own process. No daemon, no port, no thread that outlives a call but those that sled, the default store, keeps for its files.
//!
//! # A first vault
//!
//! ```
//! use vault_core::types::Object;
//! use vault_core::{Config, NewSeal, Vault};
//!
//! // `Config::at("vault")` keeps the vault in a directory; in memory it is gone when closed.
//! let (vault, init) = Vault::create(Config::in_memory(), NewSeal::raw_key(&[7; 32])?)?;
//! let root = vault.session(init.root_token);
//! root.kv("secret").put("app/db", Object::new().with("password", "hunter2"))?;
//! let secret = root.kv("secret").get("app/db")?;
//! assert_eq!(secret.data.get("password").and_then(|value| value.as_str()), Some("hunter2"));
//! # Ok::<(), vault_core::types::Error>(())
//! ```
//!
//! # The next steps
//!
//! | you want | begin with |
//! | --- | --- |
//! | a vault on disk, opened again after a restart | [`Config::at`], [`Vault::create`], [`Vault::open`], [`SealedVault::unseal`] |
//! | to open it by a passphrase, by people's key shares, by a key service | [`NewSeal`], [`UnsealKey`], [`Config::with_key_wrapper`] |
//! | a token that may do little, for a program | [`Session::policies`], [`Session::tokens`] |
//! | secrets with versions | [`Session::kv`] |
//! | a password that stays current while it is rotated | [`LiveSecret`] |
//! | database accounts that end by themselves | [`Config::with_connector`], [`Session::leases`] |
//! | to know who read what, and to prove it | [`Session::audit`], [`audit_proof`] |
//! | to know whose a token is, with policies of people and groups | [`Session::request`] on `identity/` |
//! | the end of a secret or a token that is out | [`Session::emergency`] |
//! | backups | [`Session::backup`], [`Vault::restore`] |
//! | to hear of trouble | [`Config::with_log`] |
//! | to know what a policy allows, without a vault | [`policy::evaluate`] |
//! | any path of the HTTP API that users of Vault and OpenBao know | [`Session::request`] |
//! | tests of your own program | the feature `testing` and its module `testing` |
//!
//! # What to know
//!
//! **Threads.** [`Vault`], [`SealedVault`], [`Session`], [`LiveSecret`] and every other public type are `Send + Sync`; the first four are cheap to clone
//! and made to be shared. Calls block until they are done: in an async program make them where blocking is allowed, such as by `spawn_blocking`. No
//! async runtime is imposed, and none is used.
//!
//! **Time.** Tokens and leases end by the vault's clock at their instant, whether anybody looks or not. What is to be removed or told then, and feeds of
//! the audit log, move by [`Vault::tick`]: call it about once a second, or when it says.
//!
//! **Errors** are one type, [`types::Error`]: a stable [`types::Code`], its [`types::Class`], and a message that says what to do and holds no secret, no
//! token and no path.
//!
//! **Secrets** are wiped when they are dropped, and redacted in `Debug`: see [`types::Secret`] and [`types::Value`].
//!
//! **Processes.** One process has a store open at a time. A forked child is refused; open the vault after the fork.
//!
//! # Features
//!
//! Each only adds: none changes what another does, and all may be on together.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `sled` (default) | stores on disk over sled 0.34.7 |
//! | `redb` | stores on disk over redb: for large ones |
//! | `testing` | a vault in memory for tests, a fault-injecting storage, the conformance suite of backends |
//!
//! The way of a request through the crate is told in `ARCHITECTURE.md`.
#![warn(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backup;
#[cfg(any(feature = "sled", feature = "redb"))]
pub mod doctor;
pub mod host;
#[cfg(feature = "testing")]
pub mod measure;
pub mod os;
pub mod policy;
pub mod rotation;
pub mod storage;
#[cfg(feature = "testing")]
pub mod testing;
pub mod types;
pub mod wire;

mod audit;
mod auth;
mod barrier;
mod commit;
mod crypto;
mod engines;
mod identity;
mod lease;
mod managed;
mod metrics;
mod password;
mod pipeline;
mod seal;
mod vault;

/// Checks of the audit log that need only the vault's public key: checkpoints, and proofs that an event is in the log or that a log is the
/// continuation of an older one.
pub mod audit_proof {
    pub use crate::audit::{Checkpoint, ConsistencyProof, InclusionProof, verify_checkpoint};
}

pub use audit::AuditSummary;
pub use crypto::Argon2Params;
pub use pipeline::{BackupSeals, Recorded, Reply, SealStatus, Suspect, Unrecorded, Verification};
pub use seal::{NewSeal, SealError, SlotInfo, UnsealKey};
pub use vault::{
    Audit, AuditMode, AuditReport, Backup, Config, ContainOptions, Containment, ContainmentStep, Emergency, Exposure, Init, Kv, KvMetadata,
    KvSecret, KvSettings, KvVersion, LeaseInfo, Leases, Listening, LiveSecret, Policies, Reader, ReaderTokens, Rehearsal, RetryError,
    Rotation, RotationStatus, SealedVault, SecretSnapshot, Session, StaticCreds, TokenInfo, TokenOptions, Tokens, Unsealing, Vault,
    Wrapping, WrappingInfo,
};

/// The README's Rust runs as a test.
#[cfg(all(doctest, feature = "sled"))]
#[doc = include_str!("../../README.md")]
struct Readme;

//! The credential vault that you link instead of run: an encrypted store, path policies, tokens, versioned secrets and a tamper-evident
//! audit trail, in your own process. No daemon, no port, no thread of its own.
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
//! [`Vault`] is where to start; [`types`] has requests, replies and errors; [`policy::evaluate`] answers what a policy allows without any
//! vault. The way of a request through the crate is told in `ARCHITECTURE.md`.

pub mod backup;
#[cfg(any(feature = "sled", feature = "redb"))]
pub mod doctor;
pub mod host;
#[cfg(feature = "testing")]
pub mod measure;
pub mod os;
pub mod policy;
// Its tests are all that drives it so far.
#[cfg(feature = "testing")]
pub mod rotation;
pub mod storage;
pub mod types;
pub mod wire;

mod audit;
mod auth;
mod barrier;
mod commit;
mod crypto;
mod engines;
mod lease;
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
pub use pipeline::{BackupSeals, Recorded, Reply, SealStatus, Unrecorded, Verification};
pub use seal::{NewSeal, SealError, SlotInfo, UnsealKey};
pub use vault::{
    Audit, AuditMode, AuditReport, Backup, Config, Init, Kv, KvMetadata, KvSecret, KvSettings, KvVersion, LeaseInfo, Leases, Policies,
    SealedVault, Session, TokenInfo, TokenOptions, Tokens, Unsealing, Vault, Wrapping, WrappingInfo,
};

/// The README's Rust runs as a test.
#[cfg(all(doctest, feature = "sled"))]
#[doc = include_str!("../../README.md")]
struct Readme;

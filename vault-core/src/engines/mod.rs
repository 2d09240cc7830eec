//! Secrets engines: what answers below a mount.
//!
//! An engine works on the overlay that it is given and returns what it did. It knows nothing of tokens, policies, commits or other engines.

mod input;
mod kv;
mod kv1;
mod listing;
mod plain;

pub(crate) use kv::KvEngine;
pub(crate) use kv1::Kv1Engine;

use crate::barrier::Overlay;
use crate::types::{Operation, Result, Timestamp, Ttl, Value};

/// What is asked of an engine.
#[derive(Clone, Copy)]
pub(crate) struct Call<'c> {
    pub(crate) operation: Operation,
    /// Below the mount.
    pub(crate) path: &'c str,
    pub(crate) data: Option<&'c Value>,
    pub(crate) now: Timestamp,
}

/// What answers below a mount.
pub(crate) trait Engine: Send + Sync {
    /// Whether the target of a write exists: decides between `create` and `update`. `None` where the engine does not tell: `update`.
    fn exists(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Option<bool>>;

    /// Carries out an operation on a path below the mount.
    fn execute(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Outcome>;
}

/// What an engine did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What it answers.
    pub(crate) data: Option<Value>,
    /// The version of a secret that it read or wrote, for the audit record.
    pub(crate) version: Option<u64>,
    /// How long the caller may rely on the answer.
    pub(crate) lease_duration: Ttl,
    /// What the caller should know though the request succeeded.
    pub(crate) warnings: Vec<String>,
}

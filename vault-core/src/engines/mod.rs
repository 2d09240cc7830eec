//! Secrets engines: what answers below a mount.
//!
//! An engine works on the overlay that it is given and returns what it did. It knows nothing of tokens, policies, commits or other engines.

pub(crate) mod kv;

pub(crate) use kv::KvEngine;

use crate::barrier::Overlay;
use crate::types::{Operation, Result, Timestamp, Value};

/// What answers below a mount.
pub(crate) trait Engine: Send + Sync {
    /// Whether the target of a write exists: decides between `create` and `update`. `None` where the engine does not tell: `update`.
    fn exists(&self, overlay: &mut Overlay<'_>, path: &str) -> Result<Option<bool>>;

    /// Carries out an operation on a path below the mount.
    fn execute(&self, overlay: &mut Overlay<'_>, operation: Operation, path: &str, data: Option<&Value>, now: Timestamp)
    -> Result<Outcome>;
}

/// What an engine did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What it answers.
    pub(crate) data: Option<Value>,
    /// The version of a secret that it read or wrote, for the audit record.
    pub(crate) version: Option<u64>,
}

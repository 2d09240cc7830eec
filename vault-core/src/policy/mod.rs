//! Path policies: parsed from HCL or JSON, compiled for a set of policies at once, evaluated without allocation, and explained by the evaluation's own trace.
//!
//! The language and its rules of precedence are those of HashiCorp Vault's and OpenBao's ACL policies; `docs/semantics.md` states each with its test.
//! This version knows paths and capabilities. Parameter constraints, wrapping TTLs and templates are refused, never ignored.

mod capability;
mod compile;
mod explain;
mod json;
mod lexer;
mod name;
mod parse;

pub use capability::{Capability, CapabilitySet};
pub use explain::{Decision, Facts, Loser, evaluate};
pub use name::PolicyName;
pub use parse::{Policy, Rule};

pub(crate) use compile::CompiledPolicies;

use crate::types::{Code, Error};

/// Whose rules are followed where HashiCorp Vault and OpenBao differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// HashiCorp Vault's.
    #[default]
    Vault,
    /// OpenBao's.
    OpenBao,
}

/// Why a policy was refused. Messages give the place and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The text does not parse.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// From 1 on.
        line: u32,
        /// In characters, from 1 on.
        column: u32,
        /// What was found and what was expected.
        message: String,
    },
    /// The JSON form does not parse.
    #[error("JSON policy: {0}")]
    Json(String),
    /// The name cannot be a policy's.
    #[error("{0}")]
    Name(&'static str),
    /// The text is larger, or has more rules, than the limit.
    #[error(
        "the policy is too large: at most {} bytes and {} rules",
        crate::types::limits::POLICY_BYTES_MAX,
        crate::types::limits::POLICY_RULES_MAX
    )]
    TooLarge,
}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        Error::new(Code::InvalidPolicy, error.to_string())
    }
}

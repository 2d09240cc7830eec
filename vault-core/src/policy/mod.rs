//! Path policies: parsed from HCL or JSON, compiled for a set of policies at once, evaluated without allocation, and explained by the evaluation's own trace.
//!
//! The language and its rules of precedence are those of HashiCorp Vault's and OpenBao's ACL policies; `docs/semantics.md` states each with its test.
//! What restricts and is not supported (`mfa_methods`, `control_group` and their like) is refused, never ignored.

mod capability;
mod compile;
mod constraints;
mod explain;
mod hash;
mod index;
mod lexer;
mod matching;
mod name;
mod parse;
mod quoted;
mod reachable;
mod reader;
mod template;
mod test_file;

pub use capability::{Capability, CapabilitySet};
pub use explain::{Decision, Facts, Loser, PolicySet, VoidRule, evaluate};
pub use name::PolicyName;
pub use parse::{Policy, Rule};
pub use template::{AliasFacts, EntityFacts, GroupFacts, TemplateFacts};
pub use test_file::{TestReport, TestResult, run_tests, run_tests_of};

pub(crate) use compile::{CompiledPolicies, Ruling};
pub(crate) use constraints::Given;
pub(crate) use lexer::{Form, Place, Token, shown};
pub(crate) use reachable::ReachableRule;
pub(crate) use reader::{Reader, unexpected};

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

/// How policies are evaluated. A [`Dialect`] by itself is one with the field's own `deny`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whose rules are followed.
    pub dialect: Dialect,
    /// Whether the deny of any rule that matches wins, however broad the rule is, and for a listing in either form of its path. In the
    /// field's servers a deny counts for its own path only, and a more specific rule may allow what a broader one denies.
    pub absolute_deny: bool,
}

impl From<Dialect> for Settings {
    fn from(dialect: Dialect) -> Self {
        Settings { dialect, absolute_deny: false }
    }
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
    /// The name cannot be a policy's.
    #[error("{0}")]
    Name(&'static str),
    /// The text is larger, or has more rules or values, than the limit.
    #[error(
        "the policy is too large: at most {} bytes, {} rules and {} values of parameters",
        crate::types::limits::POLICY_BYTES_MAX,
        crate::types::limits::POLICY_RULES_MAX,
        crate::types::limits::POLICY_VALUES_MAX
    )]
    TooLarge,
}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        Error::new(Code::InvalidPolicy, error.to_string())
    }
}

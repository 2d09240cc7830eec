//! The decision as data and as text: what was decided, by which rule, and which rules lost.

use super::compile::{Kind, Merged, Ruling};
use super::{Capability, CompiledPolicies, Dialect, Policy};
use crate::types::{Code, Error, Path, Result};
use std::fmt;

/// What is asked of policy: a capability on a path.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `create`, `read`, `update`, `patch`, `delete` or `list`.
    pub operation: Capability,
    /// The path; it is brought into its canonical form.
    pub path: &'a str,
}

/// A decision, with the trace of how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// The capability that was asked for.
    pub operation: &'static str,
    /// The path that was asked for.
    pub path: String,
    /// The path of the rule that decided, as its policy writes it; `None` where none matches.
    pub rule: Option<String>,
    /// The policy that holds that rule.
    pub policy: Option<String>,
    /// The rule's line in its policy; `None` in the JSON form.
    pub line: Option<u32>,
    /// The step that decided, in words.
    pub step: &'static str,
    /// What that rule gives, by name.
    pub capabilities: Vec<&'static str>,
    /// The other rules that match the path, each with the reason why it did not decide.
    pub losers: Vec<Loser>,
}

/// A rule that matches and did not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loser {
    /// The rule's path.
    pub rule: String,
    /// Why it did not decide.
    pub reason: &'static str,
}

/// Decides a request by these policies alone: a pure function, for which no vault is needed. The policies are named `policy 1`, `policy 2` and so on.
///
/// ```
/// use vault_core::policy::{Capability, Dialect, Facts, evaluate};
/// let policy = r#"path "secret/data/app/*" { capabilities = ["read"] }"#;
/// let facts = Facts { operation: Capability::Read, path: "secret/data/app/db" };
/// let decision = evaluate(&[policy], &facts, Dialect::Vault)?;
/// assert!(decision.allowed);
/// assert_eq!(decision.rule.as_deref(), Some("secret/data/app/*"));
/// # Ok::<(), vault_core::types::Error>(())
/// ```
///
/// # Errors
/// `InvalidRequest` when a policy does not parse, the path is malformed, or the operation is `sudo` or `deny`.
pub fn evaluate(policy_texts: &[&str], facts: &Facts<'_>, dialect: Dialect) -> Result<Decision> {
    if matches!(facts.operation, Capability::Sudo | Capability::Deny) {
        return Err(Error::new(Code::InvalidRequest, "ask for create, read, update, patch, delete or list"));
    }
    let path = Path::parse(facts.path)?;
    let mut policies = Vec::with_capacity(policy_texts.len());
    for (number, text) in (1..).zip(policy_texts) {
        policies.push(Policy::parse(&format!("policy {number}"), text)?);
    }
    let compiled = CompiledPolicies::compile(&policies.iter().collect::<Vec<_>>(), dialect);
    Ok(Decision::of(&compiled.decide(path.as_str(), facts.operation), path.as_str(), facts.operation))
}

impl Decision {
    fn of(ruling: &Ruling<'_>, path: &str, operation: Capability) -> Self {
        let losers = ruling.losers(path);
        Decision {
            allowed: ruling.allowed(),
            operation: operation.name(),
            path: path.to_owned(),
            rule: ruling.rule().map(str::to_owned),
            policy: ruling.policy().map(str::to_owned),
            line: ruling.line(),
            step: ruling.step(),
            capabilities: ruling.capabilities(),
            losers: losers.into_iter().map(|rule| Loser { rule: rule.path.to_string(), reason: reason(rule) }).collect(),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "ALLOWED" } else { "DENIED" };
        write!(f, "{verdict} {} {}: {}", self.operation, self.path, self.step)?;
        if let (Some(rule), Some(policy)) = (&self.rule, &self.policy) {
            write!(f, " (path {rule:?} of {policy}")?;
            if let Some(line) = self.line {
                write!(f, ", line {line}")?;
            }
            write!(f, ", gives {})", self.capabilities.join(", "))?;
        }
        for loser in &self.losers {
            write!(f, "; path {:?} matches too: {}", loser.rule, loser.reason)?;
        }
        Ok(())
    }
}

fn reason(loser: &Merged) -> &'static str {
    match loser.kind {
        Kind::Exact => "the path with or without its trailing slash has a rule that goes first",
        Kind::Prefix => "a more specific rule goes first",
        Kind::Segments => "a rule whose first wildcard comes later, or with fewer wildcards, goes first",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(policies: &[&str], operation: Capability, path: &str) -> Decision {
        evaluate(policies, &Facts { operation, path }, Dialect::Vault).expect("sound policies")
    }

    #[test]
    fn a_decision_tells_rule_policy_line_and_losers() {
        let app = "path \"secret/*\" { capabilities = [\"list\"] }\n\npath \"secret/data/app/*\" { capabilities = [\"read\"] }";
        let decision = decide(&["path \"x\" {}", app], Capability::Read, "secret/data/app/db");
        assert!(decision.allowed);
        assert_eq!(
            (decision.rule.as_deref(), decision.policy.as_deref(), decision.line),
            (Some("secret/data/app/*"), Some("policy 2"), Some(3))
        );
        assert_eq!(decision.losers.len(), 1);
        assert_eq!(
            decision.to_string(),
            "ALLOWED read secret/data/app/db: the rule gives the capability (path \"secret/data/app/*\" of policy 2, line 3, gives read); \
             path \"secret/*\" matches too: a more specific rule goes first"
        );
    }

    #[test]
    fn a_denial_tells_that_nothing_matched_or_which_rule_denies() {
        let decision = decide(&["path \"a/*\" { capabilities = [\"read\"] }"], Capability::Read, "b");
        assert_eq!(decision.to_string(), "DENIED read b: no rule matches, and the default is to deny");
        let denies = ["path \"a/*\" { capabilities = [\"read\"] }", "path \"a/*\" { capabilities = [\"deny\"] }"];
        let decision = decide(&denies, Capability::Read, "a/b");
        assert_eq!((decision.allowed, decision.step, decision.policy.as_deref()), (false, "the rule denies", Some("policy 2")));
        assert_eq!(decision.capabilities, ["deny"]);
    }

    #[test]
    fn bad_questions_are_refused() {
        let ask = |policy, operation, path| evaluate(&[policy], &Facts { operation, path }, Dialect::Vault).map(|_| ());
        assert_eq!(ask("path", Capability::Read, "a").expect_err("policy").code(), Code::InvalidPolicy);
        assert_eq!(ask("", Capability::Read, "a/../b").expect_err("path").code(), Code::InvalidPath);
        assert_eq!(ask("", Capability::Sudo, "a").expect_err("operation").code(), Code::InvalidRequest);
    }
}

//! The decision as data and as text: what was decided, by which rule, and which rules lost.

use super::compile::{CompiledPolicies, Kind, Merged, Ruling};
use super::constraints::Given;
use super::index::{Candidates, Form};
use super::{Capability, Policy, Settings, TemplateFacts};
use crate::types::{Code, Error, Object, Path, Result, Ttl, Value};
use std::fmt;

/// What is asked of policy: a capability on a path, and what a request has beside them.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `create`, `read`, `update`, `patch`, `delete` or `list`.
    pub operation: Capability,
    /// The path; it is brought into its canonical form.
    pub path: &'a str,
    /// The request's data, a JSON object: its members are the parameters.
    pub data: Option<&'a Value>,
    /// The time for which the reply is to be wrapped; zero is none.
    pub wrap_ttl: Option<Ttl>,
    /// What is known of the caller, for templates.
    pub caller: Option<&'a TemplateFacts>,
}

impl<'a> Facts<'a> {
    /// A capability on a path, without anything beside them.
    #[must_use]
    pub fn new(operation: Capability, path: &'a str) -> Self {
        Facts { operation, path, data: None, wrap_ttl: None, caller: None }
    }
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
    /// The path of the rule that decided, as its policy writes it and with its templates expanded; `None` where none matches.
    pub rule: Option<String>,
    /// The policy that holds that rule.
    pub policy: Option<String>,
    /// The rule's line in its policy.
    pub line: Option<u32>,
    /// The step that decided, in words.
    pub step: &'static str,
    /// The name of the parameter that was refused, or is missing. Values are never told.
    pub parameter: Option<String>,
    /// What that rule gives, by name.
    pub capabilities: Vec<&'static str>,
    /// The other rules that match the path, each with the reason why it did not decide.
    pub losers: Vec<Loser>,
    /// Rules with templates that match nothing, since no path comes of them for this caller.
    pub void: Vec<VoidRule>,
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

/// A rule that matches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VoidRule {
    /// The rule's path, as its policy writes it.
    pub rule: String,
    /// The policy that holds it.
    pub policy: String,
    /// Its line there.
    pub line: u32,
    /// Why it matches nothing.
    pub reason: &'static str,
}

/// Policies that are parsed and compiled once, for any number of decisions, none of which allocates.
#[derive(Debug)]
pub struct PolicySet(CompiledPolicies);

impl PolicySet {
    /// Compiles policies, with what is known of the caller for their templates. The policies are named `policy 1`, `policy 2` and so on.
    ///
    /// # Errors
    /// `InvalidPolicy` when one does not parse.
    pub fn parse(policy_texts: &[&str], settings: impl Into<Settings>, caller: Option<&TemplateFacts>) -> Result<Self> {
        let names: Vec<String> = (1..=policy_texts.len()).map(|number| format!("policy {number}")).collect();
        let policies: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(policy_texts.iter().copied()).collect();
        PolicySet::parse_named(&policies, settings, caller)
    }

    /// Compiles policies by name and text, as [`PolicySet::parse`] does.
    ///
    /// # Errors
    /// `InvalidPolicy` when one does not parse.
    pub fn parse_named(policies: &[(&str, &str)], settings: impl Into<Settings>, caller: Option<&TemplateFacts>) -> Result<Self> {
        let policies = policies.iter().map(|(name, text)| Policy::parse(name, text)).collect::<Result<Vec<_>, _>>()?;
        Ok(PolicySet(CompiledPolicies::compile(&policies.iter().collect::<Vec<_>>(), settings.into(), caller)))
    }

    /// Whether a request is allowed.
    #[must_use]
    pub fn allows(&self, operation: Capability, path: &Path, data: Option<&Value>, wrap_ttl: Option<Ttl>) -> bool {
        self.0.decide(path.as_str(), operation, Given { data, wrap_ttl }).allowed()
    }

    /// The same decision, with its reasons. Its caller is the one that the set was compiled for, not that of `facts`.
    ///
    /// # Errors
    /// `InvalidPath` for a malformed path; `InvalidRequest` when the operation is `sudo` or `deny`, or the data is no object.
    pub fn explain(&self, facts: &Facts<'_>) -> Result<Decision> {
        self.0.explained(facts)
    }
}

impl CompiledPolicies {
    /// As [`PolicySet::explain`].
    pub(crate) fn explained(&self, facts: &Facts<'_>) -> Result<Decision> {
        if !facts.operation.can_be_asked() {
            return Err(Capability::none_asked());
        }
        if facts.data.is_some_and(|data| data.as_object().is_none()) {
            return Err(Error::new(Code::InvalidRequest, "the data must be a JSON object"));
        }
        let path = Path::parse(facts.path)?;
        let given = Given { data: facts.data, wrap_ttl: facts.wrap_ttl };
        let (ruling, candidates) = self.explain(path.as_str(), facts.operation, given);
        Ok(Decision::of(self, &ruling, &candidates, path.as_str(), facts.operation))
    }
}

/// Decides a request by these policies alone: a pure function, for which no vault is needed. The policies are named `policy 1`, `policy 2` and so on.
///
/// ```
/// use vault_core::policy::{Capability, Dialect, Facts, evaluate};
/// let policy = r#"path "secret/data/app/*" { capabilities = ["read"] }"#;
/// let facts = Facts::new(Capability::Read, "secret/data/app/db");
/// let decision = evaluate(&[policy], &facts, Dialect::Vault)?;
/// assert!(decision.allowed);
/// assert_eq!(decision.rule.as_deref(), Some("secret/data/app/*"));
/// # Ok::<(), vault_core::types::Error>(())
/// ```
///
/// `settings` is a [`Dialect`](super::Dialect), or [`Settings`] where a deny is to be absolute.
///
/// # Errors
/// `InvalidRequest` when a policy does not parse, the path is malformed, the data is no object, or the operation is `sudo` or `deny`.
pub fn evaluate(policy_texts: &[&str], facts: &Facts<'_>, settings: impl Into<Settings>) -> Result<Decision> {
    PolicySet::parse(policy_texts, settings, facts.caller)?.explain(facts)
}

impl Decision {
    fn of(compiled: &CompiledPolicies, ruling: &Ruling<'_>, candidates: &Candidates, path: &str, operation: Capability) -> Self {
        let matching = candidates.0.iter().map(|(rank, form)| (compiled.ranked(*rank), *form));
        let winning_form = matching.clone().find(|(rule, _)| ruling.is_winner(rule)).map(|(_, form)| form);
        let losers = matching.filter(|(rule, _)| !ruling.is_winner(rule));
        let why =
            |rule: &Merged, form: Form| if ruling.is_absolute() { "a deny goes first" } else { reason(rule, Some(form) == winning_form) };
        let void = compiled.void.iter().map(|void| VoidRule {
            rule: void.path.clone(),
            policy: void.policy.clone(),
            line: void.line,
            reason: void.reason,
        });
        Decision {
            allowed: ruling.allowed(),
            operation: operation.name(),
            path: path.to_owned(),
            rule: ruling.rule().map(str::to_owned),
            policy: ruling.policy().map(str::to_owned),
            line: ruling.line(),
            step: ruling.step(),
            parameter: ruling.parameter().map(str::to_owned),
            capabilities: ruling.capabilities(),
            losers: losers.map(|(rule, form)| Loser { rule: rule.path.to_string(), reason: why(rule, form) }).collect(),
            void: void.collect(),
        }
    }

    /// The decision as a JSON object, with a member for each field and the one line of its text.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let losers = self.losers.iter().map(|loser| Object::new().with("rule", loser.rule.as_str()).with("reason", loser.reason));
        let void = self.void.iter().map(|void| {
            let place = Object::new().with("rule", void.rule.as_str()).with("policy", void.policy.as_str());
            place.with("line", void.line).with("reason", void.reason)
        });
        let object = Object::new()
            .with("allowed", self.allowed)
            .with("operation", self.operation)
            .with("path", self.path.as_str())
            .with("rule", self.rule.clone())
            .with("policy", self.policy.clone())
            .with("line", self.line)
            .with("step", self.step)
            .with("parameter", self.parameter.clone())
            .with("capabilities", self.capabilities.clone())
            .with("losers", losers.collect::<Vec<_>>())
            .with("void", void.collect::<Vec<_>>())
            .with("text", self.to_string());
        object.into()
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "ALLOWED" } else { "DENIED" };
        write!(f, "{verdict} {} {}: {}", self.operation, self.path, self.step)?;
        if let Some(parameter) = &self.parameter {
            write!(f, ": {parameter:?}")?;
        }
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
        for void in &self.void {
            write!(f, "; path {:?} of {}, line {}, matches nothing: {}", void.rule, void.policy, void.line, void.reason)?;
        }
        Ok(())
    }
}

fn reason(loser: &Merged, is_winning_form: bool) -> &'static str {
    match loser.kind {
        Kind::Exact => "the path with or without its trailing slash has a rule that goes first",
        _ if !is_winning_form => "it matches another form of the listing's path, which comes later",
        Kind::Prefix => "a more specific rule goes first",
        Kind::Segments => "a rule whose first wildcard comes later, or with fewer wildcards, goes first",
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;

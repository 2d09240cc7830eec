//! Policies compiled for evaluation: rules merged by their paths, ranked by precedence, and indexed; and the decision.
//!
//! Precedence: an exact rule wins. Otherwise the longest prefix rule competes with all matching `+` rules; of two, that one yields whose
//! first wildcard comes earlier, then that which ends in `*`, then that with more `+`, then the shorter, then the lexically smaller.

use super::constraints::{Constraints, Given, Refusal, Why};
use super::index::{Candidates, Index, NoTrace, Trace};
use super::reachable::ReachableRule;
use super::{Capability, CapabilitySet, Dialect, Policy, Settings, TemplateFacts};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A set of policies, ready for evaluation. Decisions allocate nothing, and their cost does not grow with the number of rules.
#[derive(Debug)]
pub(crate) struct CompiledPolicies {
    settings: Settings,
    is_root: bool,
    policies: Vec<String>,
    /// By rank: of several that match, the last wins.
    rules: Vec<Merged>,
    index: Index,
    /// The rules that deny, where a deny is absolute.
    denials: Option<Index>,
    /// Rules with templates that stand for no path of this caller's.
    pub(super) void: Vec<Void>,
}

/// The rules of all policies that are written for one and the same path, merged.
#[derive(Debug)]
pub(super) struct Merged {
    /// The path as the policies write it, without a leading slash, its templates expanded.
    pub(super) path: Box<str>,
    pub(super) kind: Kind,
    pub(super) capabilities: CapabilitySet,
    constraints: Option<Constraints>,
    /// Where they are written, in order of policies.
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    policy: usize,
    line: u32,
    capabilities: CapabilitySet,
    constraints: Option<Arc<Constraints>>,
}

/// A rule that matches nothing, and why.
#[derive(Debug)]
pub(super) struct Void {
    pub(super) path: String,
    pub(super) policy: String,
    pub(super) line: u32,
    pub(super) reason: &'static str,
}

/// How a rule's path matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Exact,
    Prefix,
    /// Some segment is `+`, or (as the field's servers have it) starts with it.
    Segments,
}

/// The decision on one request, with what it was decided by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruling<'p> {
    compiled: &'p CompiledPolicies,
    winner: Option<&'p Merged>,
    asked: Capability,
    outcome: Outcome<'p>,
}

/// The step that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome<'p> {
    Root,
    NoRule,
    Denied,
    DeniedAbsolutely,
    NotGiven,
    Refused(Refusal<'p>),
    Given,
}

impl CompiledPolicies {
    /// What the policy `root` gives: everything.
    pub(crate) fn root() -> Self {
        CompiledPolicies { is_root: true, ..CompiledPolicies::compile(&[], Settings::default(), None) }
    }

    /// Merges the rules of policies by their paths, and builds what they are looked up in. Templates are expanded by what is known of the caller.
    pub(crate) fn compile(policies: &[&Policy], settings: Settings, caller: Option<&TemplateFacts>) -> Self {
        let mut by_path: BTreeMap<Cow<'_, str>, Merged> = BTreeMap::new();
        let mut void = Vec::new();
        for (number, policy) in policies.iter().enumerate() {
            for rule in &policy.rules {
                let path = match rule.template.as_ref().map(|template| template.expand(caller)) {
                    None => Cow::Borrowed(rule.path.as_str()),
                    Some(Ok(path)) => Cow::Owned(path),
                    Some(Err(reason)) => {
                        void.push(Void { path: rule.path.clone(), policy: policy.name.clone(), line: rule.line, reason });
                        continue;
                    }
                };
                let merged = by_path.entry(path).or_insert_with_key(|path| Merged::new(path));
                merged.capabilities = merged.capabilities.union(rule.capabilities);
                if let Some(constraints) = &rule.constraints {
                    merged.constraints.get_or_insert_default().merge(constraints);
                }
                let constraints = rule.constraints.clone();
                merged.sources.push(Source { policy: number, line: rule.line, capabilities: rule.capabilities, constraints });
            }
        }
        let mut rules: Vec<Merged> = by_path.into_values().collect();
        rules.sort_by(precedence);
        let denials = settings.absolute_deny.then(|| Index::of(&rules, |rule| rule.capabilities.contains(Capability::Deny)));
        CompiledPolicies {
            settings,
            is_root: false,
            policies: policies.iter().map(|policy| policy.name.clone()).collect(),
            index: Index::of(&rules, |_| true),
            rules,
            denials,
            void,
        }
    }

    /// Decides whether a path may be asked for with a capability, and with what is given beside it.
    pub(crate) fn decide<'p>(&'p self, path: &str, asked: Capability, given: Given<'p>) -> Ruling<'p> {
        self.rule(path, asked, given, &mut NoTrace)
    }

    /// The same decision, with the rules that it came by.
    pub(super) fn explain<'p>(&'p self, path: &str, asked: Capability, given: Given<'p>) -> (Ruling<'p>, Candidates) {
        let mut candidates = Candidates::default();
        (self.rule(path, asked, given, &mut candidates), candidates)
    }

    /// The names of what a token may do at a path: `root`, the capabilities, or `deny`.
    pub(crate) fn capabilities(&self, path: &str) -> Vec<&'static str> {
        // A folder is there to be listed, so its rules are found as a listing finds them.
        let asked = if path.ends_with('/') { Capability::List } else { Capability::Read };
        self.decide(path, asked, Given::default()).capabilities()
    }

    /// Whether a rule's path could not be filled in by what was known of the caller.
    pub(crate) fn has_void(&self) -> bool {
        !self.void.is_empty()
    }

    /// Whether these are what the policy `root` gives.
    pub(crate) fn is_root(&self) -> bool {
        self.is_root
    }

    /// The rules, in order of precedence.
    pub(crate) fn reachable(&self) -> impl Iterator<Item = ReachableRule<'_>> {
        self.rules.iter().map(|rule| ReachableRule { path: &rule.path, kind: rule.kind, capabilities: rule.capabilities.names() })
    }

    pub(super) fn ranked(&self, rank: u32) -> &Merged {
        &self.rules[rank as usize]
    }

    fn rule<'p>(&'p self, path: &str, asked: Capability, given: Given<'p>, trace: &mut impl Trace) -> Ruling<'p> {
        let mut ruling = Ruling { compiled: self, winner: None, asked, outcome: Outcome::Root };
        if self.is_root {
            return ruling;
        }
        let denial = self.denials.as_ref().and_then(|denials| self.search(denials, path, asked, trace));
        if denial.is_none() || trace_wants_losers(trace) {
            ruling.winner = self.search(&self.index, path, asked, trace).map(|rank| self.ranked(rank));
        }
        if let Some(rank) = denial {
            return Ruling { winner: Some(self.ranked(rank)), outcome: Outcome::DeniedAbsolutely, ..ruling };
        }
        ruling.outcome = match ruling.winner {
            None => Outcome::NoRule,
            Some(rule) if rule.capabilities.contains(Capability::Deny) => Outcome::Denied,
            Some(rule) if !rule.capabilities.contains(asked) => Outcome::NotGiven,
            Some(rule) => match rule.constraints.as_ref().map(|constraints| constraints.check(asked, given, self.settings.dialect)) {
                Some(Err(refusal)) => Outcome::Refused(refusal),
                _ => Outcome::Given,
            },
        };
        ruling
    }

    fn search(&self, index: &Index, path: &str, asked: Capability, trace: &mut impl Trace) -> Option<u32> {
        if asked == Capability::List {
            index.search_listing(path, self.settings.dialect == Dialect::OpenBao, trace)
        } else {
            index.search(path, trace)
        }
    }
}

fn trace_wants_losers<T: Trace>(_: &T) -> bool {
    T::WANTS_LOSERS
}

impl Merged {
    fn new(path: &str) -> Self {
        let kind = if path == "+" || path.starts_with("+/") || path.contains("/+") {
            Kind::Segments
        } else if path.ends_with('*') {
            Kind::Prefix
        } else {
            Kind::Exact
        };
        Merged { path: path.into(), kind, capabilities: CapabilitySet::default(), constraints: None, sources: Vec::new() }
    }

    fn first_wildcard(&self) -> usize {
        match self.kind {
            Kind::Segments => self.path.find('+').unwrap_or(self.path.len()),
            Kind::Prefix => self.path.len() - 1,
            Kind::Exact => self.path.len(),
        }
    }

    fn plus_segments(&self) -> usize {
        if self.kind == Kind::Segments { self.path.trim_end_matches('*').split('/').filter(|segment| *segment == "+").count() } else { 0 }
    }
}

/// Which of two rules that match wins.
fn precedence(a: &Merged, b: &Merged) -> Ordering {
    let is_glob = |rule: &Merged| rule.path.ends_with('*');
    (a.kind == Kind::Exact)
        .cmp(&(b.kind == Kind::Exact))
        .then_with(|| a.first_wildcard().cmp(&b.first_wildcard()))
        .then_with(|| is_glob(b).cmp(&is_glob(a)))
        .then_with(|| b.plus_segments().cmp(&a.plus_segments()))
        .then_with(|| a.path.len().cmp(&b.path.len()))
        .then_with(|| a.path.cmp(&b.path))
}

impl<'p> Ruling<'p> {
    /// Whether the request is allowed.
    pub(crate) fn allowed(&self) -> bool {
        matches!(self.outcome, Outcome::Root | Outcome::Given)
    }

    /// Whether the winning rule gives a capability.
    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.compiled.is_root || self.winner.is_some_and(|rule| rule.capabilities.grants(capability))
    }

    /// The winning rule's path, as the policies write it.
    pub(crate) fn rule(&self) -> Option<&'p str> {
        self.winner.map(|rule| &*rule.path)
    }

    /// The policy that decided: one that gives the capability, denies it or asks for what is missing; else the first that has the rule.
    pub(crate) fn policy(&self) -> Option<&'p str> {
        if self.compiled.is_root {
            return Some("root");
        }
        self.source().map(|source| self.compiled.policies[source.policy].as_str())
    }

    /// The line of the rule in that policy.
    pub(crate) fn line(&self) -> Option<u32> {
        self.source().map(|source| source.line)
    }

    /// The step that decided.
    pub(crate) fn step(&self) -> &'static str {
        match self.outcome {
            Outcome::Root => "the policy root allows everything",
            Outcome::NoRule => "no rule matches, and the default is to deny",
            Outcome::Denied => "the rule denies",
            Outcome::DeniedAbsolutely => "a rule that matches denies, and a deny is absolute here",
            Outcome::NotGiven => "the rule does not give the capability",
            Outcome::Refused(refusal) => refusal.why.words(),
            Outcome::Given => "the rule gives the capability",
        }
    }

    /// The name of the parameter that was refused or is missing.
    pub(super) fn parameter(&self) -> Option<&'p str> {
        if let Outcome::Refused(refusal) = self.outcome { refusal.parameter } else { None }
    }

    /// What the winning rule gives.
    pub(crate) fn capabilities(&self) -> Vec<&'static str> {
        if self.compiled.is_root { vec!["root"] } else { self.winner.map_or(CapabilitySet::default(), |rule| rule.capabilities).names() }
    }

    pub(super) fn is_winner(&self, rule: &Merged) -> bool {
        self.winner.is_some_and(|winner| std::ptr::eq(winner, rule))
    }

    pub(super) fn is_absolute(&self) -> bool {
        self.outcome == Outcome::DeniedAbsolutely
    }

    fn source(&self) -> Option<&'p Source> {
        let rule = self.winner?;
        let is_decisive = |source: &&Source| match self.outcome {
            Outcome::Refused(refusal) => source.constraints.as_ref().is_some_and(|constraints| constraints.has_part_in(refusal)),
            Outcome::Denied | Outcome::DeniedAbsolutely => source.capabilities.contains(Capability::Deny),
            _ => source.capabilities.contains(self.asked),
        };
        rule.sources.iter().find(is_decisive).or(rule.sources.first())
    }
}

impl Constraints {
    /// Whether these, before they were merged with others, ask for what was refused.
    fn has_part_in(&self, refusal: Refusal<'_>) -> bool {
        match refusal.why {
            Why::NotWrapped => self.wrap_min.is_some() || self.wrap_max.is_some(),
            Why::WrappedTooLong => self.wrap_max.is_some(),
            Why::WrappedTooShort => self.wrap_min.is_some(),
            Why::NoObject => true,
            Why::Missing => refusal.parameter.is_some_and(|name| self.required.iter().any(|required| required == name)),
            Why::AnyDenied => self.denied.has("*"),
            Why::Denied => refusal.parameter.is_some_and(|name| self.denied.has(name)),
            Why::NotListed => !self.allowed.is_empty(),
            Why::ValueNotListed => refusal.parameter.is_some_and(|name| self.allowed.has(name)),
        }
    }
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;

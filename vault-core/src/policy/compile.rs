//! Policies compiled for evaluation: one look-up for exact rules, one for each length of prefix, a tree of segments for `+` rules.
//!
//! Precedence: an exact rule wins. Otherwise the longest prefix rule competes with all matching `+` rules; of two, that one yields whose
//! first wildcard comes earlier, then that which ends in `*`, then that with more `+`, then the shorter, then the lexically smaller.

use super::{Capability, CapabilitySet, Dialect, Policy};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// A set of policies, ready for evaluation. Decisions allocate nothing, and their cost does not grow with the number of rules.
#[derive(Debug)]
pub(crate) struct CompiledPolicies {
    dialect: Dialect,
    is_root: bool,
    policies: Vec<String>,
    rules: Vec<Merged>,
    exact: HashMap<Box<str>, usize>,
    prefixes: HashMap<Box<str>, usize>,
    /// The lengths of the prefixes in bytes, longest first.
    prefix_lengths: Vec<usize>,
    segments: Vec<Node>,
}

/// The rules of all policies that are written for one and the same path, merged.
#[derive(Debug)]
pub(super) struct Merged {
    /// The path as the policies write it, without a leading slash.
    pub(super) path: Box<str>,
    pub(super) kind: Kind,
    pub(super) capabilities: CapabilitySet,
    /// Where they are written, in order of policies.
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    policy: usize,
    line: u32,
    capabilities: CapabilitySet,
}

/// How a rule's path matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Exact,
    Prefix,
    /// Some segment is `+`, or (as the field's servers have it) starts with it.
    Segments,
}

/// A node of the tree of segments.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    plus: Option<usize>,
    /// The rule that ends with the segment of this node.
    end: Option<usize>,
    /// Rules whose last segment is what comes before their `*`.
    globs: Vec<(Box<str>, usize)>,
}

/// The decision on one request, with what it was decided by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruling<'p> {
    compiled: &'p CompiledPolicies,
    winner: Option<&'p Merged>,
    asked: Capability,
}

impl CompiledPolicies {
    /// What the policy `root` gives: everything.
    pub(crate) fn root() -> Self {
        CompiledPolicies { is_root: true, ..CompiledPolicies::compile(&[], Dialect::Vault) }
    }

    /// Merges the rules of policies by their paths, and builds what they are looked up in.
    pub(crate) fn compile(policies: &[&Policy], dialect: Dialect) -> Self {
        let mut by_path: BTreeMap<&str, Merged> = BTreeMap::new();
        for (number, policy) in policies.iter().enumerate() {
            for rule in &policy.rules {
                let merged = by_path.entry(&rule.path).or_insert_with(|| Merged::new(&rule.path));
                merged.capabilities = merged.capabilities.union(rule.capabilities);
                merged.sources.push(Source { policy: number, line: rule.line, capabilities: rule.capabilities });
            }
        }
        let mut compiled = CompiledPolicies {
            dialect,
            is_root: false,
            policies: policies.iter().map(|policy| policy.name.clone()).collect(),
            rules: by_path.into_values().collect(),
            exact: HashMap::new(),
            prefixes: HashMap::new(),
            prefix_lengths: Vec::new(),
            segments: vec![Node::default()],
        };
        for number in 0..compiled.rules.len() {
            compiled.index(number);
        }
        compiled.prefix_lengths.sort_unstable_by(|a, b| b.cmp(a));
        compiled.prefix_lengths.dedup();
        compiled
    }

    /// Decides whether a path may be asked for with a capability.
    pub(crate) fn decide(&self, path: &str, asked: Capability) -> Ruling<'_> {
        let winner = if self.is_root { None } else { self.winner(path, asked == Capability::List) };
        Ruling { compiled: self, winner: winner.map(|number| &self.rules[number]), asked }
    }

    /// The names of what a token may do at a path: `root`, the capabilities, or `deny`.
    pub(crate) fn capabilities(&self, path: &str) -> Vec<&'static str> {
        if self.is_root {
            return vec!["root"];
        }
        self.winner(path, false).map_or(CapabilitySet::default(), |number| self.rules[number].capabilities).names()
    }

    fn index(&mut self, number: usize) {
        let path = self.rules[number].path.clone();
        match self.rules[number].kind {
            Kind::Exact => drop(self.exact.insert(path, number)),
            Kind::Prefix => {
                let prefix = &path[..path.len() - 1];
                self.prefix_lengths.push(prefix.len());
                self.prefixes.insert(prefix.into(), number);
            }
            Kind::Segments => self.index_segments(&path, number),
        }
    }

    fn index_segments(&mut self, path: &str, number: usize) {
        let (body, is_glob) = path.strip_suffix('*').map_or((path, false), |body| (body, true));
        let mut node = 0;
        let mut segments = body.split('/').peekable();
        while let Some(segment) = segments.next() {
            if is_glob && segments.peek().is_none() {
                self.segments[node].globs.push((segment.into(), number));
                return;
            }
            let fresh = self.segments.len();
            let child = if segment == "+" {
                *self.segments[node].plus.get_or_insert(fresh)
            } else {
                *self.segments[node].literals.entry(segment.into()).or_insert(fresh)
            };
            if child == fresh {
                self.segments.push(Node::default());
            }
            node = child;
        }
        self.segments[node].end = Some(number);
    }

    /// The rule that decides. A listing is asked for with a trailing slash, and matched without it too.
    fn winner(&self, path: &str, is_list: bool) -> Option<usize> {
        let bare = path.strip_suffix('/').unwrap_or(path);
        if !is_list {
            return self.exact.get(path).copied().or_else(|| self.non_exact(path, false));
        }
        let exact = || self.exact_with_slash(bare).or_else(|| self.exact.get(bare).copied());
        let with_slash = || self.non_exact(bare, true);
        let without = || self.non_exact(bare, false);
        match self.dialect {
            Dialect::Vault => exact().or_else(without).or_else(with_slash),
            Dialect::OpenBao => exact().or_else(with_slash).or_else(without),
        }
    }

    fn exact_with_slash(&self, bare: &str) -> Option<usize> {
        // The paths of a request are bounded, so that this fits on the stack.
        let mut buffer = [0_u8; crate::types::limits::PATH_BYTES_MAX + 1];
        let bytes = buffer.get_mut(..=bare.len())?;
        bytes[..bare.len()].copy_from_slice(bare.as_bytes());
        bytes[bare.len()] = b'/';
        self.exact.get(std::str::from_utf8(bytes).ok()?).copied()
    }

    /// The best of the prefix and segment rules that match `path`, or `path/` where `slash` says so.
    fn non_exact(&self, path: &str, slash: bool) -> Option<usize> {
        let mut best = self.longest_prefix(path, slash);
        self.visit(0, Some(path), slash, &mut best);
        best
    }

    fn longest_prefix(&self, path: &str, slash: bool) -> Option<usize> {
        let len = path.len() + usize::from(slash);
        for prefix_len in self.prefix_lengths.iter().copied().filter(|prefix_len| *prefix_len <= len) {
            let found = if prefix_len > path.len() {
                self.prefix_with_slash(path)
            } else {
                path.get(..prefix_len).and_then(|prefix| self.prefixes.get(prefix)).copied()
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn prefix_with_slash(&self, bare: &str) -> Option<usize> {
        let mut buffer = [0_u8; crate::types::limits::PATH_BYTES_MAX + 1];
        let bytes = buffer.get_mut(..=bare.len())?;
        bytes[..bare.len()].copy_from_slice(bare.as_bytes());
        bytes[bare.len()] = b'/';
        self.prefixes.get(std::str::from_utf8(bytes).ok()?).copied()
    }

    /// Walks the tree along the segments of `rest`; `None` when they are used up. With `slash` an empty segment follows the last one.
    fn visit(&self, node: usize, rest: Option<&str>, slash: bool, best: &mut Option<usize>) {
        let node = &self.segments[node];
        let Some(rest) = rest else {
            if slash {
                self.visit_step(node, "", None, best);
            } else {
                self.consider(node.end, best);
            }
            return;
        };
        for (prefix, number) in &node.globs {
            // The rest may go on past this segment: what comes before the `*` is a prefix of all of it. A slash that is only implied adds nothing.
            if rest.starts_with(&**prefix) || (slash && prefix.strip_suffix('/').is_some_and(|bare| bare == rest)) {
                self.consider(Some(*number), best);
            }
        }
        let (segment, after) = rest.split_once('/').map_or((rest, None), |(segment, after)| (segment, Some(after)));
        for child in [node.literals.get(segment).copied(), node.plus].into_iter().flatten() {
            self.visit(child, after, slash, best);
        }
    }

    /// One step along the empty segment behind an implied slash.
    fn visit_step(&self, node: &Node, segment: &str, rest: Option<&str>, best: &mut Option<usize>) {
        for (prefix, number) in &node.globs {
            if prefix.is_empty() {
                self.consider(Some(*number), best);
            }
        }
        for child in [node.literals.get(segment).copied(), node.plus].into_iter().flatten() {
            self.visit(child, rest, false, best);
        }
    }

    fn consider(&self, candidate: Option<usize>, best: &mut Option<usize>) {
        let Some(candidate) = candidate else { return };
        if best.is_none_or(|best| precedence(&self.rules[candidate], &self.rules[best]) == Ordering::Greater) {
            *best = Some(candidate);
        }
    }
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
        Merged { path: path.into(), kind, capabilities: CapabilitySet::default(), sources: Vec::new() }
    }

    fn first_wildcard(&self) -> usize {
        let wildcard = if self.kind == Kind::Segments { '+' } else { '*' };
        self.path.find(wildcard).unwrap_or(self.path.len())
    }

    fn plus_segments(&self) -> usize {
        if self.kind == Kind::Segments { self.path.trim_end_matches('*').split('/').filter(|segment| *segment == "+").count() } else { 0 }
    }

    /// Whether the rule matches a path, for listing what lost: the plain definition, apart from the index.
    pub(super) fn matches(&self, path: &str) -> bool {
        let body = self.path.strip_suffix('*');
        match self.kind {
            Kind::Exact => *self.path == *path,
            Kind::Prefix => body.is_some_and(|body| path.starts_with(body)),
            Kind::Segments => {
                let pattern: Vec<&str> = body.unwrap_or(&self.path).split('/').collect();
                let segments: Vec<&str> = path.splitn(pattern.len(), '/').collect();
                let last = pattern.len() - 1;
                segments.len() == pattern.len()
                    && pattern.iter().zip(&segments).enumerate().all(|(i, (part, segment))| match body {
                        Some(_) if i == last => segment.starts_with(part),
                        _ => *part == "+" && !segment.contains('/') || part == segment,
                    })
            }
        }
    }
}

/// Which of two rules that match wins.
pub(super) fn precedence(a: &Merged, b: &Merged) -> Ordering {
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
        self.has(self.asked)
    }

    /// Whether the winning rule gives a capability.
    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.compiled.is_root || self.winner.is_some_and(|rule| rule.capabilities.grants(capability))
    }

    /// The winning rule's path, as the policies write it.
    pub(crate) fn rule(&self) -> Option<&'p str> {
        self.winner.map(|rule| &*rule.path)
    }

    /// The policy that decided: one that gives the capability, or denies it; else the first that has the rule.
    pub(crate) fn policy(&self) -> Option<&'p str> {
        if self.compiled.is_root {
            return Some("root");
        }
        self.source().map(|source| self.compiled.policies[source.policy].as_str())
    }

    /// The line of the rule in that policy; `None` in the JSON form.
    pub(crate) fn line(&self) -> Option<u32> {
        self.source().map(|source| source.line).filter(|line| *line != 0)
    }

    /// The step that decided.
    pub(crate) fn step(&self) -> &'static str {
        match self.winner {
            _ if self.compiled.is_root => "the policy root allows everything",
            None => "no rule matches, and the default is to deny",
            Some(rule) if rule.capabilities.contains(Capability::Deny) => "the rule denies",
            Some(_) if self.allowed() => "the rule gives the capability",
            Some(_) => "the rule does not give the capability",
        }
    }

    /// What the winning rule gives.
    pub(crate) fn capabilities(&self) -> Vec<&'static str> {
        if self.compiled.is_root { vec!["root"] } else { self.winner.map_or(CapabilitySet::default(), |rule| rule.capabilities).names() }
    }

    /// The other rules that match the path.
    pub(super) fn losers(&self, path: &str) -> Vec<&'p Merged> {
        let is_winner = |rule: &Merged| self.winner.is_some_and(|winner| std::ptr::eq(winner, rule));
        let slashed = format!("{}/", path.strip_suffix('/').unwrap_or(path));
        let matches = |rule: &Merged| rule.matches(path) || self.asked == Capability::List && rule.matches(&slashed);
        self.compiled.rules.iter().filter(|rule| !is_winner(rule) && matches(rule)).collect()
    }

    fn source(&self) -> Option<&'p Source> {
        let rule = self.winner?;
        let decisive = if rule.capabilities.contains(Capability::Deny) { Capability::Deny } else { self.asked };
        rule.sources.iter().find(|source| source.capabilities.contains(decisive)).or(rule.sources.first())
    }
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;

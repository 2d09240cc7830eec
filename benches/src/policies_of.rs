//! Policies with so many rules, of each kind, and the paths that they decide on.
#![allow(dead_code, reason = "each of two programs takes what it needs")]

use vault_core::policy::{Dialect, PolicySet};
use vault_core::types::Path;

/// Policies of a set, or as many as there are rules.
const POLICIES_MAX: usize = 100;
/// Paths that are asked for in turn, so that no decision finds the last one's memory warm.
pub const QUESTIONS: usize = 1024;

/// A rule of each kind in turn, and a path that it decides on.
fn rule(policy: usize, number: usize) -> (String, String) {
    let kinds = [
        ("secret/data/team-P/app-N/*", "secret/data/team-P/app-N/db"),
        ("secret/metadata/team-P/app-N/*", "secret/metadata/team-P/app-N/db"),
        ("secret/data/team-P/app-N/config", "secret/data/team-P/app-N/config"),
        ("database/creds/team-P-N", "database/creds/team-P-N"),
        ("secret/data/+/shared-P-N/public", "secret/data/any/shared-P-N/public"),
        ("transit/encrypt/team-P-N*", "transit/encrypt/team-P-N-key"),
    ];
    let (rule, path) = kinds[number % kinds.len()];
    let fill = |text: &str| text.replace('P', &policy.to_string()).replace('N', &number.to_string());
    (fill(rule), fill(path))
}

/// All rules with their paths, and with the policy that each is in.
pub fn numbered(rules: usize) -> impl Iterator<Item = (usize, (String, String))> {
    let policies = rules.min(POLICIES_MAX);
    (0..policies).flat_map(move |policy| (0..rules / policies).map(move |number| (policy, rule(policy, number + policy))))
}

/// The paths that are asked for, in steps that share no factor with the number of rules: neighbours are far apart.
pub fn questions(rules: usize) -> Vec<String> {
    let all: Vec<String> = numbered(rules).map(|(_, (_, path))| path).collect();
    (0..QUESTIONS).map(|question| all[question * 7919 % all.len()].clone()).collect()
}

/// The policies as libvault compiles them, and the paths that are asked for.
pub fn questions_of(rules: usize) -> (PolicySet, Vec<Path>) {
    let mut texts = vec![String::new(); rules.min(POLICIES_MAX)];
    numbered(rules).for_each(|(policy, (rule, _))| {
        texts[policy] += &format!("path {rule:?} {{ capabilities = [\"read\", \"update\"] }}\n");
    });
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let set = PolicySet::parse(&texts, Dialect::Vault, None).expect("policies that parse");
    (set, questions(rules).iter().map(|path| path.parse().expect("canonical")).collect())
}

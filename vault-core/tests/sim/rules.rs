//! The few policies of the stories, and the decision on a request straight from the documented rules: naive, and apart from the product's.

use vault_core::types::Operation;

/// A capability, by its bit.
pub const CAPABILITIES: [&str; 7] = ["create", "read", "update", "delete", "list", "sudo", "deny"];
const SUDO: &str = "sudo";
const DENY: &str = "deny";

/// The paths that rules of the stories are written for.
pub const PATHS: [&str; 25] = [
    "secret/*",
    "secret/data/a/*",
    "secret/data/a/x",
    "secret/data/+/x",
    "secret/metadata/*",
    "secret/metadata/a/",
    "secret/+/b/*",
    "team/data/*",
    "team/*",
    "+/data/c",
    "*",
    "auth/token/create",
    "sys/policies/acl/*",
    "sys/policies/acl",
    "sys/mounts/*",
    "sys/rotate",
    "secret/undelete/+/x",
    "secret/destroy/a/*",
    "auth/token/lookup-self",
    "auth/token/revoke-self",
    "database/creds/*",
    "database/creds/r1",
    "database/static-creds/+",
    "sys/leases/*",
    "sys/leases/renew",
];

/// A rule: one of the paths, and capabilities as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub path: &'static str,
    pub capabilities: u8,
}

/// The policy that each token holds unless told otherwise.
pub const DEFAULT_RULES: [Rule; 5] = [
    Rule { path: "auth/token/lookup-self", capabilities: 0b10 },
    Rule { path: "auth/token/revoke-self", capabilities: 0b100 },
    Rule { path: "sys/capabilities-self", capabilities: 0b100 },
    Rule { path: "sys/leases/lookup", capabilities: 0b100 },
    Rule { path: "sys/leases/renew", capabilities: 0b100 },
];

/// The policy of the tokens that share accounts, by its number: no story changes it.
pub const REPLICA_POLICY: u8 = 3;

pub const REPLICA_RULES: [Rule; 4] = [
    Rule { path: "auth/token/lookup-self", capabilities: 0b10 },
    Rule { path: "auth/token/revoke-self", capabilities: 0b100 },
    Rule { path: "database/creds/*", capabilities: 0b10 },
    Rule { path: "sys/leases/*", capabilities: 0b100 },
];

/// The text of a policy of these rules.
pub fn text_of(rules: &[Rule]) -> String {
    let mut text = String::new();
    for rule in rules {
        let held = CAPABILITIES.iter().enumerate().filter(|(bit, _)| rule.capabilities & (1 << bit) != 0);
        let names: Vec<String> = held.map(|(_, name)| format!("\"{name}\"")).collect();
        text.push_str(&format!("path \"{}\" {{\n  capabilities = [{}]\n}}\n", rule.path, names.join(", ")));
    }
    text
}

/// Whether these rules allow the operation on the path. `exists` tells for a write whether its target is there, where that is told.
/// With `lenient`, a planted bug of the model, a denial takes nothing away.
pub fn allows(rules: &[Rule], operation: Operation, path: &str, exists: Option<bool>, needs_sudo: bool, lenient: bool) -> bool {
    let Some(winner) = winner(rules, path, operation == Operation::List) else { return false };
    let held = rules.iter().filter(|rule| rule.path == winner).fold(0, |all, rule| all | rule.capabilities);
    let has = |name: &str| held & bit(name) != 0 && (lenient || held & bit(DENY) == 0);
    let asked = match operation {
        Operation::Read => "read",
        Operation::List => "list",
        Operation::Delete => "delete",
        _ if exists == Some(false) => "create",
        _ => "update",
    };
    has(asked) && (!needs_sudo || has(SUDO))
}

fn bit(name: &str) -> u8 {
    CAPABILITIES.iter().position(|known| *known == name).map_or(0, |bit| 1 << bit)
}

/// The path of the rule that decides. A listing is asked for with and without its trailing slash.
fn winner(rules: &[Rule], path: &str, is_list: bool) -> Option<&'static str> {
    let bare = path.strip_suffix('/').unwrap_or(path);
    let slashed = format!("{bare}/");
    let exact = |path: &str| rules.iter().map(|rule| rule.path).find(|rule| !is_wild(rule) && *rule == path);
    let wild = |path: &str| {
        let matching = rules.iter().map(|rule| rule.path).filter(|rule| is_wild(rule) && matches(rule, path));
        matching.max_by(|a, b| rank(a).cmp(&rank(b)))
    };
    if is_list {
        exact(&slashed).or_else(|| exact(bare)).or_else(|| wild(bare)).or_else(|| wild(&slashed))
    } else {
        exact(path).or_else(|| wild(path))
    }
}

fn is_wild(rule: &str) -> bool {
    rule.ends_with('*') || rule.split('/').any(|segment| segment == "+")
}

fn matches(rule: &str, path: &str) -> bool {
    let (body, is_glob) = rule.strip_suffix('*').map_or((rule, false), |body| (body, true));
    let wanted: Vec<&str> = body.split('/').collect();
    let given: Vec<&str> = if is_glob { path.splitn(wanted.len(), '/').collect() } else { path.split('/').collect() };
    let fits = |(at, (want, have)): (usize, (&&str, &&str))| {
        if is_glob && at + 1 == wanted.len() { have.starts_with(want) } else { *want == "+" || want == have }
    };
    wanted.len() == given.len() && wanted.iter().zip(&given).enumerate().all(fits)
}

/// Of two rules that match, the one whose first wildcard comes later wins, then one without `*`, then that with fewer `+`, then the longer,
/// then the lexically greater.
fn rank(rule: &'static str) -> (usize, bool, std::cmp::Reverse<usize>, usize, &'static str) {
    let plus = rule.split('/').filter(|segment| *segment == "+").count();
    let first = rule.find(if plus > 0 { '+' } else { '*' }).unwrap_or(rule.len());
    (first, !rule.ends_with('*'), std::cmp::Reverse(plus), rule.len(), rule)
}

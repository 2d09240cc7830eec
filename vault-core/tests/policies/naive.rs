//! The evaluator as the statements read: every rule is matched by itself, and the best one is sought by comparing. Nothing is shared with the engine.

use crate::model::{Case, Parameters, Rule, TEMPLATE, caller_name};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use vault_core::policy::{Capability, Dialect};
use vault_core::types::Value;

pub(crate) struct Naive {
    pub(crate) allowed: bool,
    pub(crate) rule: Option<String>,
    /// The other rules that match, sorted.
    pub(crate) losers: Vec<String>,
}

pub(crate) fn decide(case: &Case) -> Naive {
    let rules = expanded(case);
    let bare = case.path.strip_suffix('/').unwrap_or(&case.path).to_owned();
    let slashed = format!("{bare}/");
    // Statement 6: the forms in which a path is looked up, exactly and not.
    let (exact_forms, other_forms) = match (case.operation, case.dialect) {
        (Capability::List, Dialect::Vault) => (vec![&slashed, &bare], vec![&bare, &slashed]),
        (Capability::List, Dialect::OpenBao) => (vec![&slashed, &bare], vec![&slashed, &bare]),
        _ => (vec![&case.path], vec![&case.path]),
    };
    let all: BTreeSet<&str> = rules.iter().map(|(path, _)| path.as_str()).collect();
    let denying = rules.iter().filter(|(_, rule)| rule.capabilities.contains(&"deny")).map(|(path, _)| path.as_str()).collect();
    let denied = if case.absolute_deny { search(&denying, &exact_forms, &other_forms) } else { None };
    let winner = denied.or_else(|| search(&all, &exact_forms, &other_forms));
    let matches_any = |rule: &&str| {
        exact_forms.iter().any(|form| is_exact(rule) && rule == *form)
            || other_forms.iter().any(|form| !is_exact(rule) && matches(rule, form))
    };
    let merged: Vec<&Rule> = rules.iter().filter(|(path, _)| Some(path.as_str()) == winner).map(|(_, rule)| *rule).collect();
    Naive {
        allowed: winner.is_some() && denied.is_none() && passes(&merged, case),
        rule: winner.map(str::to_owned),
        losers: all.iter().copied().filter(|rule| Some(*rule) != winner).filter(matches_any).map(str::to_owned).collect(),
    }
}

/// Statement 3: an exact rule in the first form that has one; else the best of the others, in the first form that one of them matches.
fn search<'r>(rules: &BTreeSet<&'r str>, exact_forms: &[&String], other_forms: &[&String]) -> Option<&'r str> {
    let exact = exact_forms.iter().find_map(|form| rules.iter().copied().find(|rule| is_exact(rule) && rule == *form));
    exact.or_else(|| other_forms.iter().find_map(|form| best_of(rules, form)))
}

/// Statement 11: each rule with its path, templates filled in; without those for which there is no sound value.
fn expanded(case: &Case) -> Vec<(String, &Rule)> {
    let name = caller_name(case.caller).filter(|name| !name.is_empty() && !name.contains(['*', '+', '/', ',']));
    let usable = case.rules.iter().filter(|rule| name.is_some() || !rule.path.contains(TEMPLATE));
    usable.map(|rule| (rule.path.replace(TEMPLATE, name.unwrap_or_default()), rule)).collect()
}

/// Statement 1: a segment that is `+`, or begins with it, makes a wildcard rule.
fn has_plus(rule: &str) -> bool {
    rule == "+" || rule.starts_with("+/") || rule.contains("/+")
}

fn is_exact(rule: &str) -> bool {
    !has_plus(rule) && !rule.ends_with('*')
}

/// Statements 1 and 2, for rules that are not exact.
fn matches(rule: &str, path: &str) -> bool {
    let (body, is_glob) = rule.strip_suffix('*').map_or((rule, false), |body| (body, true));
    if !has_plus(rule) {
        return path.starts_with(body);
    }
    let (parts, segments): (Vec<&str>, Vec<&str>) = (body.split('/').collect(), path.split('/').collect());
    if segments.len() < parts.len() || (!is_glob && segments.len() != parts.len()) {
        return false;
    }
    (0..parts.len()).all(|i| {
        let is_last = i == parts.len() - 1;
        if is_glob && is_last { segments[i].starts_with(parts[i]) } else { parts[i] == "+" || parts[i] == segments[i] }
    })
}

/// Statement 3: the longest prefix against all matching `+` rules.
fn best_of<'r>(rules: &BTreeSet<&'r str>, path: &str) -> Option<&'r str> {
    let matching = rules.iter().copied().filter(|rule| !is_exact(rule) && matches(rule, path));
    let prefix = matching.clone().filter(|rule| !has_plus(rule)).max_by_key(|rule| rule.len());
    let pluses = |rule: &str| if has_plus(rule) { rule.trim_end_matches('*').split('/').filter(|part| *part == "+").count() } else { 0 };
    let rank = |rule: &&str| {
        let first = if has_plus(rule) { rule.find('+') } else { Some(rule.len() - 1) };
        (first, !rule.ends_with('*'), Reverse(pluses(rule)), rule.len(), (*rule).to_owned())
    };
    matching.filter(|rule| has_plus(rule)).chain(prefix).max_by_key(rank)
}

/// Statements 5, 7 and 8: the rules of one path string, merged, and what they ask.
fn passes(rules: &[&Rule], case: &Case) -> bool {
    let gives = |name: &str| rules.iter().any(|rule| rule.capabilities.contains(&name));
    if gives("deny") || !gives(case.operation.name()) {
        return false;
    }
    let lowest = |ttl: fn(&Rule) -> Option<u64>| rules.iter().filter_map(|rule| ttl(rule)).filter(|ttl| *ttl > 0).min();
    let (min, max) = (lowest(|rule| rule.wrap_min), lowest(|rule| rule.wrap_max));
    let wrap = case.wrap_seconds.unwrap_or(0);
    let is_wrapped_well = wrap > 0 && min.is_none_or(|min| wrap >= min) && max.is_none_or(|max| wrap <= max);
    if (min.is_some() || max.is_some()) && !is_wrapped_well {
        return false;
    }
    if matches!(case.operation, Capability::Delete | Capability::List) {
        return true;
    }
    let data: BTreeMap<&str, &Value> = case.data.iter().filter_map(Value::as_object).flat_map(|data| data.iter()).collect();
    let required = rules.iter().flat_map(|rule| rule.required.iter().map(|name| name.to_lowercase()));
    if required.into_iter().any(|name| !data.contains_key(name.as_str())) {
        return false;
    }
    if data.is_empty() {
        return true;
    }
    let (denied, allowed) = (united(rules, |rule| &rule.denied), united(rules, |rule| &rule.allowed));
    if denied.contains_key("*") {
        return false;
    }
    let listed = |value: &Value, values: &[Value], name: &str, all: bool| is_listed(value, values, name, all, case.dialect);
    if data.iter().any(|(name, value)| denied.get(&name.to_lowercase()).is_some_and(|values| listed(value, values, name, false))) {
        return false;
    }
    if allowed.is_empty() || (allowed.len() == 1 && allowed.contains_key("*")) {
        return true;
    }
    data.iter().all(|(name, value)| match allowed.get(&name.to_lowercase()) {
        Some(values) => listed(value, values, name, true),
        None => allowed.contains_key("*"),
    })
}

/// Statement 7: key by key; an empty list means any value, whatever others list.
fn united(rules: &[&Rule], of: impl Fn(&Rule) -> &Parameters) -> BTreeMap<String, Vec<Value>> {
    let mut united: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let lists = || rules.iter().flat_map(|rule| of(rule).iter());
    for (name, _) in lists() {
        let all: Vec<&Vec<Value>> =
            lists().filter(|(other, _)| other.to_lowercase() == name.to_lowercase()).map(|(_, values)| values).collect();
        let any = all.iter().any(|values| values.is_empty());
        united.insert(name.to_lowercase(), if any { Vec::new() } else { all.into_iter().flatten().cloned().collect() });
    }
    united
}

/// Statement 8: an empty list means any; else the value as a whole, and in one dialect each element: `all` of them, or any.
fn is_listed(value: &Value, values: &[Value], name: &str, all: bool, dialect: Dialect) -> bool {
    let are_policies = ["policies", "token_policies"].contains(&name.to_lowercase().as_str());
    // What is denied, and not "all" of a list as it is asked of what is allowed, is denied in every type that reads alike.
    let one = |value: &Value| values.iter().any(|listed| is_one(listed, value, are_policies) || !all && read_alike(listed, value));
    if values.is_empty() || one(value) {
        return true;
    }
    let elements: Vec<Value> = match value {
        _ if dialect == Dialect::OpenBao => return false,
        Value::Array(items) => items.clone(),
        Value::String(text) if !text.is_empty() => text.split(',').map(|part| part.trim().into()).collect(),
        _ => return false,
    };
    if all { elements.iter().all(one) } else { elements.iter().any(one) }
}

/// Whether two texts, numbers or truths are the same number, where true is 1 and false is 0.
fn read_alike(one: &Value, other: &Value) -> bool {
    let read = |value: &Value| {
        let text = match value {
            Value::Bool(_) | Value::Number(_) => canonical(value, false),
            Value::String(text) => text.trim().to_lowercase(),
            _ => return None,
        };
        let number = match text.as_str() {
            "true" => "1",
            "false" => "0",
            text => text,
        };
        Value::from_json(number.as_bytes()).ok().filter(|value| matches!(value, Value::Number(_))).map(|value| canonical(&value, false))
    };
    read(one).is_some_and(|one| read(other) == Some(one))
}

fn is_one(listed: &Value, value: &Value, are_policies: bool) -> bool {
    let (Some(listed), Some(text)) = (listed.as_str(), value.as_str()) else {
        return canonical(listed, are_policies) == canonical(value, are_policies);
    };
    let clean = |text: &str| if are_policies { text.trim().to_ascii_lowercase() } else { text.to_owned() };
    let (listed, text) = (clean(listed), clean(text));
    if listed.len() < 2 {
        return listed == text;
    }
    match (listed.strip_prefix('*'), listed.strip_suffix('*')) {
        (Some(_), Some(_)) => text.contains(&listed[1..listed.len() - 1]),
        (Some(ending), None) => text.ends_with(ending),
        (None, Some(beginning)) => text.starts_with(beginning),
        (None, None) => listed == text,
    }
}

/// A text that is the same for values that are the same; a whole number has no fraction.
fn canonical(value: &Value, are_policies: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => {
            let whole = number.as_u64().map(i128::from).or(number.as_i64().map(i128::from));
            let float = number.as_f64().unwrap();
            whole.map_or_else(|| if float == 0.0 { "0".to_owned() } else { format!("{float}") }, |whole| whole.to_string())
        }
        Value::String(text) if are_policies => format!("{:?}", text.trim().to_ascii_lowercase()),
        Value::String(text) => format!("{:?}", text.as_str()),
        Value::Array(items) => format!("{:?}", items.iter().map(|item| canonical(item, are_policies)).collect::<Vec<_>>()),
        Value::Object(members) => {
            format!("{:?}", members.iter().map(|(name, value)| (name, canonical(value, are_policies))).collect::<BTreeMap<_, _>>())
        }
    }
}

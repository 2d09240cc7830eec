//! The smallest form of a case that still fails, found by leaving things out.

use crate::model::{Case, Rule};
use vault_core::types::{Object, Value};

/// Leaves out what can be left out, until nothing can.
pub(crate) fn smallest(case: &Case, fails: impl Fn(&Case) -> bool) -> Case {
    let mut smallest = case.clone();
    while let Some(smaller) = smaller(&smallest).into_iter().find(&fails) {
        smallest = smaller;
    }
    smallest
}

/// The case with one thing less, in every way.
fn smaller(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut with = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        cases.push(smaller);
    };
    (0..case.rules.len()).for_each(|at| with(&|case| drop(case.rules.remove(at))));
    if case.data.is_some() {
        with(&|case| case.data = None);
    }
    if case.wrap_seconds.is_some() {
        with(&|case| case.wrap_seconds = None);
    }
    if case.absolute_deny {
        with(&|case| case.absolute_deny = false);
    }
    for name in case.data.iter().filter_map(Value::as_object).flat_map(|data| data.iter().map(|(name, _)| name)) {
        with(&|case| {
            let data = case.data.take().unwrap();
            let members = data.as_object().unwrap().iter().filter(|(other, _)| *other != name).map(|(name, value)| (name, value.clone()));
            case.data = Some(members.collect::<Object>().into());
        });
    }
    for (at, rule) in case.rules.iter().enumerate() {
        smaller_rules(rule).into_iter().for_each(|smaller| with(&|case| case.rules[at] = smaller.clone()));
    }
    cases
}

fn smaller_rules(rule: &Rule) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut with = |change: &dyn Fn(&mut Rule)| {
        let mut smaller = rule.clone();
        change(&mut smaller);
        rules.push(smaller);
    };
    (0..rule.capabilities.len()).for_each(|at| with(&|rule| _ = rule.capabilities.remove(at)));
    (0..rule.required.len()).for_each(|at| with(&|rule| _ = rule.required.remove(at)));
    if rule.wrap_min.is_some() {
        with(&|rule| rule.wrap_min = None);
    }
    if rule.wrap_max.is_some() {
        with(&|rule| rule.wrap_max = None);
    }
    for (name, values) in &rule.denied {
        with(&|rule| drop(rule.denied.remove(name)));
        (0..values.len()).for_each(|at| with(&|rule| drop(rule.denied.get_mut(name).unwrap().remove(at))));
    }
    for (name, values) in &rule.allowed {
        with(&|rule| drop(rule.allowed.remove(name)));
        (0..values.len()).for_each(|at| with(&|rule| drop(rule.allowed.get_mut(name).unwrap().remove(at))));
    }
    rules
}

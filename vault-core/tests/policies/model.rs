//! A case for the policy engine as plain data: rules, a question, and their texts.

use std::collections::BTreeMap;
use std::fmt;
use vault_core::policy::{Capability, Dialect, EntityFacts, TemplateFacts};
use vault_core::types::{Object, Value};

/// What the names of the caller may be, in turn; none is a caller of whom nothing is known.
const CALLERS: [Option<&str>; 6] = [None, Some("a"), Some("ab"), Some("*"), Some(""), Some("a/b")];

/// The place of a name that is known of the caller.
pub(crate) const TEMPLATE: &str = "{{identity.entity.name}}";

/// Some policies, and one question to them.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) rules: Vec<Rule>,
    pub(crate) dialect: Dialect,
    pub(crate) absolute_deny: bool,
    /// Which of the callers it is.
    pub(crate) caller: usize,
    pub(crate) operation: Capability,
    pub(crate) path: String,
    pub(crate) data: Option<Value>,
    pub(crate) wrap_seconds: Option<u64>,
}

/// A rule as it is written.
#[derive(Clone, Default)]
pub(crate) struct Rule {
    /// The policy that it stands in.
    pub(crate) policy: usize,
    pub(crate) path: String,
    pub(crate) capabilities: Vec<&'static str>,
    pub(crate) wrap_min: Option<u64>,
    pub(crate) wrap_max: Option<u64>,
    pub(crate) required: Vec<&'static str>,
    pub(crate) denied: Parameters,
    pub(crate) allowed: Parameters,
}

pub(crate) type Parameters = BTreeMap<&'static str, Vec<Value>>;

/// SplitMix64.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % end
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
    }

    fn some<T>(&mut self, most: u64, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| each(self)).collect()
    }
}

/// What is known of the caller of that number.
pub(crate) fn caller(number: usize) -> Option<TemplateFacts> {
    caller_name(number)
        .map(|name| TemplateFacts { entity: Some(EntityFacts { name: name.to_owned(), ..EntityFacts::default() }), groups: Vec::new() })
}

pub(crate) fn caller_name(number: usize) -> Option<&'static str> {
    CALLERS[number % CALLERS.len()]
}

impl Case {
    pub(crate) fn random(numbers: &mut Numbers) -> Self {
        let mut rules = numbers.some(7, Rule::random);
        rules.sort_by_key(|rule| rule.policy);
        let mut case = Case {
            rules,
            dialect: numbers.one_of(&[Dialect::Vault, Dialect::OpenBao]),
            absolute_deny: numbers.once_in(4),
            caller: usize::try_from(numbers.below(CALLERS.len() as u64)).unwrap(),
            operation: Capability::Read,
            path: String::new(),
            data: None,
            wrap_seconds: None,
        };
        case.ask_anew(numbers);
        case
    }

    /// Another question to the same policies.
    pub(crate) fn ask_anew(&mut self, numbers: &mut Numbers) {
        use Capability::{Create, Delete, List, Patch, Read, Update};
        self.operation = numbers.one_of(&[Read, Read, Update, Create, Patch, Delete, List, List]);
        let segments: Vec<&str> = (0..=numbers.below(4)).map(|_| numbers.one_of(&["a", "a", "b", "b", "ab", "+a"])).collect();
        self.path = segments.join("/") + if numbers.once_in(4) { "/" } else { "" };
        self.data = (!numbers.once_in(3)).then(|| {
            let members = numbers.some(3, |numbers| (numbers.one_of(&["k", "k", "K", "l", "policies", "*"]), value(numbers, 0)));
            Value::from(members.into_iter().collect::<Object>())
        });
        self.wrap_seconds = numbers.once_in(3).then(|| numbers.below(5));
    }

    /// The texts of the policies: every other one is JSON.
    pub(crate) fn texts(&self) -> Vec<String> {
        let policies = self.rules.last().map_or(0, |rule| rule.policy + 1);
        (0..policies)
            .map(|number| text(&self.rules.iter().filter(|rule| rule.policy == number).collect::<Vec<_>>(), number % 2 == 1))
            .collect()
    }
}

impl Rule {
    fn random(numbers: &mut Numbers) -> Self {
        let path = loop {
            let segments = ["a", "a", "a", "b", "b", "ab", "+", "+", "+a", "", TEMPLATE];
            let segments: Vec<&str> = (0..=numbers.below(3)).map(|_| numbers.one_of(&segments)).collect();
            let path = segments.join("/") + if numbers.once_in(3) { "*" } else { "" };
            if !path.is_empty() && !path.starts_with('/') && !path.contains("+*") {
                break path;
            }
        };
        let capabilities = if numbers.once_in(8) {
            vec!["deny", "read"]
        } else {
            let all = ["create", "read", "read", "update", "patch", "delete", "list", "list"];
            all.into_iter().filter(|_| !numbers.once_in(3)).collect()
        };
        let mut rule = Rule { policy: usize::try_from(numbers.below(3)).unwrap(), path, capabilities, ..Rule::default() };
        rule.capabilities.dedup();
        if numbers.once_in(6) {
            rule.wrap_min = numbers.once_in(2).then(|| numbers.below(3));
            rule.wrap_max = numbers.once_in(2).then(|| rule.wrap_min.unwrap_or(1).max(1) + numbers.below(2));
        }
        if numbers.once_in(6) {
            rule.required = numbers.some(2, |numbers| numbers.one_of(&["k", "K", "l"]));
        }
        if numbers.once_in(4) {
            rule.denied = parameters(numbers);
        }
        if numbers.once_in(3) {
            rule.allowed = parameters(numbers);
        }
        rule
    }
}

fn parameters(numbers: &mut Numbers) -> Parameters {
    let names = numbers.some(3, |numbers| numbers.one_of(&["k", "k", "l", "L", "policies", "policies", "*"]));
    let mut parameters: Parameters = names.into_iter().map(|name| (name, numbers.some(3, |numbers| value(numbers, 0)))).collect();
    if parameters.contains_key("l") {
        parameters.remove("L");
    }
    parameters
}

fn value(numbers: &mut Numbers, depth: u64) -> Value {
    let json = match numbers.below(if depth < 2 { 9 } else { 7 }) {
        0..=3 => {
            return numbers
                .one_of(&[
                    "x", "x", "xy", "X", "x*", "*y", "*x*", "*", "**", "", "x,xy", " x , y", ",", "1", "1.0", " -1", "x,1", "true", "False",
                ])
                .into();
        }
        4 => numbers.one_of(&["1", "1.0", "1e0", "-1", "0.5", "-0.0", "0", "18446744073709551615", "18446744073709551616"]),
        5 => numbers.one_of(&["true", "false"]),
        6 => numbers.one_of(&["null", "1", "2"]),
        7 => return Value::Array(numbers.some(2, |numbers| value(numbers, depth + 1))),
        _ => {
            let members = numbers.some(2, |numbers| (numbers.one_of(&["m", "n"]), value(numbers, depth + 1)));
            return members.into_iter().collect::<Object>().into();
        }
    };
    Value::from_json(json.as_bytes()).unwrap()
}

/// The text of one policy. HCL knows no null: a rule that holds one anywhere is left to JSON.
fn text(rules: &[&Rule], is_json: bool) -> String {
    let is_json = is_json || rules.iter().any(|rule| rule.denied.values().chain(rule.allowed.values()).flatten().any(has_null));
    let assign = if is_json { ": " } else { " = " };
    let rules: Vec<String> = rules
        .iter()
        .map(|rule| {
            let mut attributes = vec![format!("\"capabilities\"{assign}{:?}", rule.capabilities)];
            let ttl = |name, ttl: Option<u64>| ttl.map(|ttl| format!("\"{name}\"{assign}{ttl}"));
            attributes.extend(ttl("min_wrapping_ttl", rule.wrap_min));
            attributes.extend(ttl("max_wrapping_ttl", rule.wrap_max));
            if !rule.required.is_empty() {
                attributes.push(format!("\"required_parameters\"{assign}{:?}", rule.required));
            }
            for (name, parameters) in [("denied_parameters", &rule.denied), ("allowed_parameters", &rule.allowed)] {
                if !parameters.is_empty() {
                    let lists = parameters.iter().map(|(name, values)| format!("{name:?}{assign}{}", written(values, assign)));
                    attributes.push(format!("\"{name}\"{assign}{{{}}}", lists.collect::<Vec<_>>().join(", ")));
                }
            }
            let attributes = attributes.join(", ");
            if is_json { format!("{{{:?}: {{{attributes}}}}}", rule.path) } else { format!("path {:?} {{ {attributes} }}\n", rule.path) }
        })
        .collect();
    // One path may have several rules, so that JSON needs a list of objects.
    if is_json { format!("{{\"path\": [{}]}}", rules.join(",\n")) } else { rules.concat() }
}

fn written(values: &[Value], assign: &str) -> String {
    format!("[{}]", values.iter().map(|value| written_value(value, assign)).collect::<Vec<_>>().join(", "))
}

fn written_value(value: &Value, assign: &str) -> String {
    match value {
        Value::Array(items) => written(items, assign),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{name:?}{assign}{}", written_value(value, assign)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        other => String::from_utf8(other.to_json().to_vec()).unwrap(),
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.iter().any(|(_, value)| has_null(value)),
        _ => false,
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, text) in self.texts().iter().enumerate() {
            writeln!(f, "policy {}: {text}", number + 1)?;
        }
        let data = self.data.as_ref().map(|data| String::from_utf8(data.to_json().to_vec()).unwrap());
        write!(
            f,
            "{:?} {:?} data {data:?} wrapped for {:?} s, {:?}, absolute deny: {}, the caller's name: {:?}",
            self.operation,
            self.path,
            self.wrap_seconds,
            self.dialect,
            self.absolute_deny,
            caller_name(self.caller)
        )
    }
}

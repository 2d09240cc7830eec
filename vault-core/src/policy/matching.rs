//! Whether a parameter's value is one of those that a policy lists.
//!
//! Texts match with a `*` at either end, numbers by value (5, 5.0 and 5e0 are one), all else when it is the same. Where they are allowed a number
//! and a text never match; where they are denied they do when the text reads as the number, since engines take the one for the other. Lists: with OpenBao the value as a whole, with HashiCorp Vault also element by element, and there a text is taken for a
//! list too where commas part it, since engines take such texts for lists.

use super::Dialect;
use crate::types::Value;
use serde_json::Number;

/// A value that was listed for a parameter, as requests' values are compared with it.
#[derive(Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) values: &'a [Value],
    pub(super) dialect: Dialect,
    /// Texts are names of policies, which are trimmed and lower-cased by whoever takes them: so are they here.
    pub(super) are_policy_names: bool,
}

impl Listed<'_> {
    /// Whether a value passes where these are allowed; none listed means any.
    pub(super) fn allow(self, value: &Value) -> bool {
        if self.values.is_empty() || self.has(value) {
            return true;
        }
        self.dialect == Dialect::Vault
            && match value {
                Value::Array(items) => items.iter().all(|item| self.has(item)),
                // An empty text is no list: it would pass as one without elements.
                Value::String(text) => !text.is_empty() && text.split(',').all(|part| self.has_text(part.trim())),
                _ => false,
            }
    }

    /// Whether a value is refused where these are denied; none listed means any.
    pub(super) fn deny(self, value: &Value) -> bool {
        if self.values.is_empty() || self.has(value) || self.has_alike(Reading::of(value)) {
            return true;
        }
        self.dialect == Dialect::Vault
            && match value {
                Value::Array(items) => items.iter().any(|item| self.has(item) || self.has_alike(Reading::of(item))),
                Value::String(text) => {
                    text.split(',').map(str::trim).any(|part| self.has_text(part) || self.has_alike(Reading::of_text(part)))
                }
                _ => false,
            }
    }

    fn has(self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.has_text(text),
            value => self.values.iter().any(|listed| self.same(listed, value)),
        }
    }

    fn has_alike(self, reading: Option<Reading>) -> bool {
        reading.is_some() && self.values.iter().any(|listed| Reading::of(listed) == reading)
    }

    fn has_text(self, text: &str) -> bool {
        self.values.iter().any(|listed| listed.as_str().is_some_and(|listed| self.glob(listed, text)))
    }

    /// A `*` at either end stands for any text; one that stands alone is itself.
    fn glob(self, listed: &str, text: &str) -> bool {
        let (listed, text) = (self.trimmed(listed), self.trimmed(text));
        if listed.len() < 2 {
            return self.equal(listed, text);
        }
        let (listed, text) = (listed.as_bytes(), text.as_bytes());
        match (listed.strip_prefix(b"*"), listed.strip_suffix(b"*")) {
            (Some(_), Some(_)) => {
                let part = &listed[1..listed.len() - 1];
                part.is_empty() || text.windows(part.len()).any(|window| self.equal(part, window))
            }
            (Some(ending), None) => text.len() >= ending.len() && self.equal(ending, &text[text.len() - ending.len()..]),
            (None, Some(beginning)) => text.len() >= beginning.len() && self.equal(beginning, &text[..beginning.len()]),
            (None, None) => self.equal(listed, text),
        }
    }

    fn trimmed(self, text: &str) -> &str {
        if self.are_policy_names { text.trim() } else { text }
    }

    fn equal(self, a: impl AsRef<[u8]>, b: impl AsRef<[u8]>) -> bool {
        if self.are_policy_names { a.as_ref().eq_ignore_ascii_case(b.as_ref()) } else { a.as_ref() == b.as_ref() }
    }

    /// Texts inside of lists and objects have no wildcards.
    fn same(self, a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::String(a), Value::String(b)) => self.equal(self.trimmed(a), self.trimmed(b)),
            (Value::Number(a), Value::Number(b)) => same_number(a, b),
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|((a_name, a), (b_name, b))| a_name == b_name && self.same(a, b))
            }
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            _ => false,
        }
    }
}

/// What a text, a number or a truth is where an engine wants a number or a truth; the latter are 1 and 0.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Whole(i128),
    Float(f64),
}

impl Reading {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(truth) => Some(Reading::Whole((*truth).into())),
            Value::Number(number) => whole(number).map(Reading::Whole).or_else(|| number.as_f64().map(Reading::Float)),
            Value::String(text) => Reading::of_text(text),
            _ => None,
        }
    }

    fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return Some(Reading::Whole(text.eq_ignore_ascii_case("true").into()));
        }
        let is_number = text.bytes().any(|byte| byte.is_ascii_digit());
        let float = text.parse::<f64>().ok().filter(|float| is_number && float.is_finite())?;
        let exact = text.parse::<i128>().ok().filter(|number| (i64::MIN.into()..=u64::MAX.into()).contains(number));
        Some(exact.or_else(|| whole_of(float)).map_or(Reading::Float(float), Reading::Whole))
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.as_f64() == b.as_f64(),
        _ => false,
    }
}

/// The number where it is a whole one, exactly; floats beyond 2^64 stay floats.
fn whole(number: &Number) -> Option<i128> {
    if let Some(number) = number.as_u64() {
        return Some(number.into());
    }
    if let Some(number) = number.as_i64() {
        return Some(number.into());
    }
    number.as_f64().and_then(whole_of)
}

fn whole_of(float: f64) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^64")]
    (float.fract() == 0.0 && float.abs() < 18_446_744_073_709_551_616.0).then_some(float as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        Value::from_json(text.as_bytes()).expect("JSON")
    }

    fn listed(values: &str, value: &str, dialect: Dialect) -> (bool, bool) {
        let values = json(values);
        let listed = Listed { values: values.as_array().expect("a list"), dialect, are_policy_names: false };
        (listed.allow(&json(value)), listed.deny(&json(value)))
    }

    #[track_caller]
    fn both(values: &str, value: &str, expected: (bool, bool)) {
        for dialect in [Dialect::Vault, Dialect::OpenBao] {
            assert_eq!(listed(values, value, dialect), expected, "{values} {value} {dialect:?}");
        }
    }

    #[test]
    fn texts_match_with_a_star_at_either_end() {
        for (values, value, expected) in [
            (r#"["app"]"#, r#""app""#, true),
            (r#"["app"]"#, r#""App""#, false),
            (r#"["app-*"]"#, r#""app-1""#, true),
            (r#"["app-*"]"#, r#""app-""#, true),
            (r#"["app-*"]"#, r#""app""#, false),
            (r#"["*-app"]"#, r#""x-app""#, true),
            (r#"["*app*"]"#, r#""my-app-1""#, true),
            (r#"["*app*"]"#, r#""ap""#, false),
            (r#"["a*p"]"#, r#""app""#, false),
            (r#"["a*p"]"#, r#""a*p""#, true),
            (r#"["**"]"#, r#""anything""#, true),
            (r#"["*"]"#, r#""anything""#, false),
            (r#"["*"]"#, r#""*""#, true),
            (r#"["ü*"]"#, r#""üx""#, true),
        ] {
            both(values, value, (expected, expected));
        }
    }

    #[test]
    fn what_is_denied_is_denied_in_every_type_that_reads_alike_and_what_is_allowed_is_not() {
        for (values, value, expected) in [
            ("[5]", r#""5""#, true),
            (r#"["5"]"#, "5", true),
            ("[5]", r#"" +5.0 ""#, true),
            ("[5]", r#""05""#, true),
            ("[5]", r#""5s""#, false),
            ("[5]", r#""6""#, false),
            ("[0.5]", r#"".5""#, true),
            ("[18446744073709551615]", r#""18446744073709551615""#, true),
            ("[18446744073709551615]", r#""18446744073709551614""#, false),
            ("[18446744073709551616]", r#""18446744073709551616""#, true),
            ("[true]", r#""True""#, true),
            ("[true]", r#""1""#, true),
            ("[true]", "1", true),
            (r#"["false"]"#, "false", true),
            ("[false]", "0", true),
            ("[true]", "false", false),
            ("[1]", "true", true),
            ("[null]", r#""null""#, false),
            ("[1e300]", r#""inf""#, false),
            (r#"["x"]"#, "true", false),
        ] {
            both(values, value, (false, expected));
        }
        for (value, vault, openbao) in [(r#"["x", "5"]"#, true, false), (r#""x, 5.0""#, true, false), (r#"["x", 6]"#, false, false)] {
            assert_eq!(listed("[5]", value, Dialect::Vault), (false, vault), "{value}");
            assert_eq!(listed("[5]", value, Dialect::OpenBao), (false, openbao), "{value}");
        }
    }

    #[test]
    fn numbers_compare_by_value_and_where_allowed_never_equal_texts() {
        for (values, value, expected) in [
            ("[5]", "5", true),
            ("[5]", "5.0", true),
            ("[5e0]", "5", true),
            ("[-1]", "-1", true),
            ("[0]", "-0.0", true),
            ("[18446744073709551615]", "18446744073709551615", true),
            ("[18446744073709551615]", "18446744073709551614", false),
            ("[9007199254740993]", "9007199254740992.0", false),
            ("[0.1]", "0.1", true),
            ("[1e300]", "1e300", true),
            ("[true]", "true", true),
            ("[null]", "null", true),
            ("[]", "null", true),
        ] {
            both(values, value, (expected, expected));
        }
    }

    #[test]
    fn lists_are_checked_by_element_in_vault_and_whole_in_openbao() {
        let cases = [
            (r#"["a", "b"]"#, r#"["a"]"#, (true, true), (false, false)),
            (r#"["a", "b"]"#, r#"["a", "c"]"#, (false, true), (false, false)),
            (r#"["a", "b"]"#, r#"["c"]"#, (false, false), (false, false)),
            (r#"[["a", "c"]]"#, r#"["a", "c"]"#, (true, true), (true, true)),
            (r#"["a*"]"#, r#"["ab", "ac"]"#, (true, true), (false, false)),
            (r#"["a"]"#, "[]", (true, false), (false, false)),
            (r#"["a", "b"]"#, r#""b, a""#, (true, true), (false, false)),
            (r#"["a", "b"]"#, r#""a,c""#, (false, true), (false, false)),
            (r#"["a"]"#, r#""""#, (false, false), (false, false)),
            (r#"[{"k": [1]}]"#, r#"{"k": [1.0]}"#, (true, true), (true, true)),
            (r#"[{"k": 1}]"#, r#"{"k": 1, "l": 2}"#, (false, false), (false, false)),
        ];
        for (values, value, vault, openbao) in cases {
            assert_eq!(listed(values, value, Dialect::Vault), vault, "{values} {value}");
            assert_eq!(listed(values, value, Dialect::OpenBao), openbao, "{values} {value}");
        }
    }

    #[test]
    fn names_of_policies_match_in_any_spelling_that_means_them() {
        let values = [Value::string("Admin"), Value::string("ops-*")];
        let names = Listed { values: &values, dialect: Dialect::Vault, are_policy_names: true };
        for spelling in [r#"["ADMIN"]"#, r#"" admin ""#, r#""default,aDmin""#, r#"["OPS-1"]"#] {
            assert!(names.deny(&json(spelling)), "{spelling}");
        }
        assert!(!names.deny(&json(r#"["default"]"#)));
    }
}

//! Tests of policies as a file: cases with the decisions that are expected, for a host's continuous integration.
//!
//! `{"policies": ["app.hcl"], "cases": [{"operation": "read", "path": "secret/data/app/db", "allowed": true}]}`; `docs/policies.md` has all members.

use super::{Capability, Decision, Dialect, Facts, PolicySet, Settings, TemplateFacts};
use crate::os;
use crate::types::limits::{JSON_BYTES_MAX, POLICY_BYTES_MAX, TOKEN_POLICIES_MAX};
use crate::types::{Code, Error, Object, Result, Ttl, Value};
use std::fmt;
use std::path::Path;

/// What came of the tests of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestReport {
    /// One for each case, in order.
    pub results: Vec<TestResult>,
}

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestResult {
    /// The case: its number from 1 on, and its name where it has one.
    pub case: String,
    /// Whether the decision is the expected one.
    pub passed: bool,
    /// What was expected, in words.
    pub expected: String,
    /// What was decided.
    pub decision: Decision,
}

/// Runs the tests of a file; the policies' files are found from its folder.
///
/// # Errors
/// `InvalidData` when the file is no test file or has no cases, `InvalidPolicy` when a policy does not parse, `InvalidRequest` when a
/// file cannot be read.
pub fn run_tests(file: impl AsRef<Path>) -> Result<TestReport> {
    let file = file.as_ref();
    let text = os::read_text(file, JSON_BYTES_MAX)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    run_tests_of(&text, |name| os::read_text(&folder.join(name), POLICY_BYTES_MAX))
}

/// Runs the tests of a text; `read` gives the texts of the policies that it names as files.
///
/// # Errors
/// As for [`run_tests`], and those of `read`.
pub fn run_tests_of(text: &str, mut read: impl FnMut(&str) -> Result<String>) -> Result<TestReport> {
    let file = Value::from_json(text.as_bytes())?;
    let file = file.as_object().ok_or_else(|| bad("a test file must be an object with the members \"policies\" and \"cases\""))?;
    expect_members(file, "a test file", &["policies", "cases", "dialect", "absolute_deny", "caller"])?;
    let settings = Settings {
        dialect: match file.get("dialect").map(Value::as_str) {
            None | Some(Some("vault")) => Dialect::Vault,
            Some(Some("openbao")) => Dialect::OpenBao,
            _ => return Err(bad("\"dialect\" must be \"vault\" or \"openbao\"")),
        },
        absolute_deny: boolean(file, "absolute_deny")?.unwrap_or_default(),
    };
    let policies = list(file, "policies")?.iter().map(|policy| named_policy(policy, &mut read)).collect::<Result<Vec<_>>>()?;
    if policies.len() > TOKEN_POLICIES_MAX {
        return Err(bad(&format!("\"policies\" has more than {TOKEN_POLICIES_MAX} of them")));
    }
    let policies: Vec<(&str, &str)> = policies.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let caller = file.get("caller").map(TemplateFacts::from_value).transpose()?;
    let set = PolicySet::parse_named(&policies, settings, caller.as_ref())?;
    let cases = list(file, "cases")?;
    if cases.is_empty() {
        return Err(bad("\"cases\" is empty: such a test could not fail"));
    }
    let run = |(number, case)| {
        let case = Case::read(case).map_err(|error| bad(&format!("case {number}: {error}")))?;
        // Another caller has other rules.
        let own = case.caller.as_ref().map(|caller| PolicySet::parse_named(&policies, settings, Some(caller))).transpose()?;
        let decision = own.as_ref().unwrap_or(&set).explain(&case.facts).map_err(|error| bad(&format!("case {number}: {error}")))?;
        Ok(case.result(number, decision))
    };
    Ok(TestReport { results: (1..).zip(cases).map(run).collect::<Result<_>>()? })
}

impl TestReport {
    /// How many cases passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.results.iter().filter(|result| result.passed).count()
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.results.len() - self.passed()
    }
}

impl fmt::Display for TestReport {
    /// A line for each case that failed, and one with the figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in self.results.iter().filter(|result| !result.passed) {
            writeln!(f, "FAILED {}: expected {}, got {}", result.case, result.expected, result.decision)?;
        }
        write!(f, "{} passed, {} failed", self.passed(), self.failed())
    }
}

/// A case as it is read.
struct Case<'f> {
    name: Option<&'f str>,
    facts: Facts<'f>,
    caller: Option<TemplateFacts>,
    allowed: bool,
    /// The rule that must decide, or that none may match.
    rule: Option<Option<&'f str>>,
    parameter: Option<&'f str>,
}

impl<'f> Case<'f> {
    fn read(case: &'f Value) -> Result<Self> {
        let case = case.as_object().ok_or_else(|| bad("it must be an object"))?;
        expect_members(case, "a case", &["name", "operation", "path", "data", "wrap_ttl", "caller", "allowed", "rule", "parameter"])?;
        let operation = text(case, "operation")?.ok_or_else(|| bad("\"operation\" is missing"))?;
        let operation = Capability::asked(operation)?;
        let path = text(case, "path")?.ok_or_else(|| bad("\"path\" is missing"))?;
        Ok(Case {
            name: text(case, "name")?,
            facts: Facts {
                data: case.get("data").filter(|data| **data != Value::Null),
                wrap_ttl: case.get("wrap_ttl").filter(|ttl| **ttl != Value::Null).map(Ttl::from_value).transpose()?,
                ..Facts::new(operation, path)
            },
            caller: case.get("caller").map(TemplateFacts::from_value).transpose()?,
            allowed: boolean(case, "allowed")?.ok_or_else(|| bad("\"allowed\" is missing"))?,
            rule: match case.get("rule") {
                Some(Value::Null) => Some(None),
                _ => text(case, "rule")?.map(Some),
            },
            parameter: text(case, "parameter")?,
        })
    }

    fn result(&self, number: usize, decision: Decision) -> TestResult {
        let mut expected = (if self.allowed { "ALLOWED" } else { "DENIED" }).to_owned();
        match self.rule {
            Some(Some(rule)) => expected += &format!(" by path {rule:?}"),
            Some(None) => expected += " since no rule matches",
            None => {}
        }
        if let Some(parameter) = self.parameter {
            expected += &format!(" for the parameter {parameter:?}");
        }
        let passed = decision.allowed == self.allowed
            && self.rule.is_none_or(|rule| decision.rule.as_deref() == rule)
            && self.parameter.is_none_or(|parameter| decision.parameter.as_deref() == Some(parameter));
        let case = self.name.map_or_else(|| format!("case {number}"), |name| format!("case {number} ({name})"));
        TestResult { case, passed, expected, decision }
    }
}

/// A policy's name and text: of a file by its name, or from `{"name": ..., "text": ...}`.
fn named_policy(policy: &Value, read: &mut impl FnMut(&str) -> Result<String>) -> Result<(String, String)> {
    if let Some(file) = policy.as_str() {
        let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or(file);
        return Ok((stem.to_owned(), read(file)?));
    }
    let why = || bad("a policy must be the name of a file, or an object with the members \"name\" and \"text\"");
    let policy = policy.as_object().ok_or_else(why)?;
    expect_members(policy, "a policy", &["name", "text"])?;
    let (name, text) = text(policy, "name")?.zip(text(policy, "text")?).ok_or_else(why)?;
    Ok((name.to_owned(), text.to_owned()))
}

fn expect_members(object: &Object, what: &str, known: &[&str]) -> Result<()> {
    match object.iter().find(|(name, _)| !known.contains(name)) {
        Some((name, _)) => Err(bad(&format!("unknown member {name:?} of {what}: expected {}", known.join(", ")))),
        None => Ok(()),
    }
}

fn text<'f>(object: &'f Object, name: &str) -> Result<Option<&'f str>> {
    object.get(name).map(|value| value.as_str().ok_or_else(|| bad(&format!("{name:?} must be text")))).transpose()
}

fn boolean(object: &Object, name: &str) -> Result<Option<bool>> {
    object.get(name).map(|value| value.as_bool().ok_or_else(|| bad(&format!("{name:?} must be true or false")))).transpose()
}

fn list<'f>(object: &'f Object, name: &str) -> Result<&'f [Value]> {
    object.get(name).and_then(Value::as_array).ok_or_else(|| bad(&format!("{name:?} must be a list")))
}

fn bad(why: &str) -> Error {
    Error::new(Code::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<TestReport> {
        run_tests_of(text, |name| match name {
            "policies/app.hcl" => {
                Ok("path \"a/*\" { capabilities = [\"read\", \"update\"] allowed_parameters = { ttl = [\"1h\"] } }".to_owned())
            }
            "own.hcl" => Ok("path \"{{identity.entity.name}}/*\" { capabilities = [\"read\"] min_wrapping_ttl = 60 }".to_owned()),
            _ => Err(Error::new(Code::NotFound, "no such file")),
        })
    }

    #[test]
    fn cases_pass_when_the_decision_is_the_expected_one() {
        let report = run(r#"{"policies": ["policies/app.hcl", "own.hcl", {"name": "more", "text": "path \"b\" { policy = \"deny\" }"}],
            "dialect": "openbao", "absolute_deny": true, "caller": {"entity": {"name": "ann"}}, "cases": [
            {"operation": "read", "path": "a/x", "allowed": true, "rule": "a/*"},
            {"operation": "update", "path": "a/x", "data": {"ttl": "2h"}, "allowed": false, "parameter": "ttl"},
            {"operation": "read", "path": "ann/x", "wrap_ttl": "2m", "allowed": true},
            {"operation": "read", "path": "bob/x", "wrap_ttl": 60, "allowed": true, "caller": {"entity": {"name": "bob"}}},
            {"operation": "read", "path": "c", "allowed": false, "rule": null, "data": null},
            {"operation": "read", "path": "b", "allowed": true, "name": "wishful", "rule": "b"},
            {"operation": "read", "path": "a/x", "allowed": true, "rule": "a/x"}]}"#)
        .expect("a test file");
        assert_eq!(report.results.iter().map(|result| result.passed).collect::<Vec<_>>(), [true, true, true, true, true, false, false]);
        assert_eq!((report.passed(), report.failed()), (5, 2));
        let text = report.to_string();
        assert!(text.starts_with("FAILED case 6 (wishful): expected ALLOWED by path \"b\", got DENIED read b: "), "{text}");
        assert!(text.contains("of more, line 1") && text.contains("of app, line 1"), "{text}");
        assert!(text.ends_with("\n5 passed, 2 failed"), "{text}");
    }

    #[test]
    fn broken_test_files_are_refused_with_the_reason() {
        for (text, part) in [
            ("[]", "must be an object"),
            ("{\"policies\": [], \"case\": []}", "unknown member \"case\""),
            ("{\"policies\": []}", "\"cases\" must be a list"),
            ("{\"policies\": [], \"cases\": []}", "could not fail"),
            ("{\"policies\": [\"x\"], \"cases\": []}", "no such file"),
            ("{\"policies\": [1], \"cases\": []}", "the name of a file"),
            ("{\"policies\": [{\"name\": \"n\", \"text\": \"path\"}], \"cases\": []}", "line 1"),
            ("{\"policies\": [], \"dialect\": 1, \"cases\": []}", "\"dialect\""),
            ("{\"policies\": [], \"cases\": [{\"path\": \"a\", \"allowed\": true}]}", "case 1: \"operation\" is missing"),
            ("{\"policies\": [], \"cases\": [{\"path\": \"a\", \"operation\": \"read\"}]}", "case 1: \"allowed\" is missing"),
            ("{\"policies\": [], \"cases\": [{\"path\": \"a\", \"operation\": \"write\", \"allowed\": true}]}", "create, read, update"),
            ("{\"policies\": [], \"cases\": [{\"path\": \"a/../b\", \"operation\": \"read\", \"allowed\": true}]}", "case 1: invalid path"),
            ("{\"policies\": [], \"cases\": [{\"path\": \"a\", \"operation\": \"read\", \"allow\": true}]}", "unknown member \"allow\""),
            ("{\"policies\": [], \"cases\": [{\"path\": \"a\", \"operation\": \"read\", \"data\": [], \"allowed\": true}]}", "JSON object"),
        ] {
            let error = run(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

//! Parameter constraints and wrapping TTLs: how rules merge, and in which order they are checked; in both dialects.

use crate::policy::{Capability, Decision, Dialect, Facts, evaluate};
use crate::types::{Ttl, Value};

const BOTH: [Dialect; 2] = [Dialect::Vault, Dialect::OpenBao];

/// The decision on updating `a`, which is the same in both dialects but where a test says otherwise.
fn decision(policies: &[&str], operation: Capability, data: &str, wrap_seconds: Option<u64>, dialect: Dialect) -> Decision {
    let data = (!data.is_empty()).then(|| Value::from_json(data.as_bytes()).expect("JSON"));
    let facts = Facts { data: data.as_ref(), wrap_ttl: wrap_seconds.map(Ttl::from_secs), ..Facts::new(operation, "a") };
    evaluate(policies, &facts, dialect).expect("sound policies")
}

/// A rule for `a` with these attributes.
fn rule(attributes: &str) -> String {
    format!("path \"a\" {{ capabilities = [\"create\", \"read\", \"update\", \"patch\", \"delete\", \"list\"] {attributes} }}")
}

#[track_caller]
fn check(policies: &[&str], data: &str, expected: Result<(), &str>) {
    let policies: Vec<String> = policies.iter().map(|attributes| rule(attributes)).collect();
    let policies: Vec<&str> = policies.iter().map(String::as_str).collect();
    for dialect in BOTH {
        let decision = decision(&policies, Capability::Update, data, None, dialect);
        assert_eq!(decision.allowed, expected.is_ok(), "{policies:?} {data} {dialect:?}: {decision}");
        if let Err(words) = expected {
            assert!(decision.to_string().contains(words), "{policies:?} {data} {dialect:?}: {decision}");
        }
    }
}

#[test]
fn allowed_parameters_list_what_may_be_given() {
    let allowed = "allowed_parameters = { \"ttl\" = [\"1h\", \"2h\"] \"note\" = [] }";
    check(&[allowed], r#"{"ttl": "1h"}"#, Ok(()));
    check(&[allowed], r#"{"ttl": "3h"}"#, Err("does not allow this parameter's value: \"ttl\""));
    check(&[allowed], r#"{"note": {"any": [1]}}"#, Ok(()));
    check(&[allowed], r#"{"ttl": "1h", "other": 1}"#, Err("does not allow this parameter: \"other\""));
    check(&["allowed_parameters = {}"], r#"{"other": 1}"#, Ok(()));
}

#[test]
fn a_star_among_allowed_parameters_lets_the_unlisted_pass_and_keeps_the_listed_restricted() {
    let allowed = "allowed_parameters = { \"ttl\" = [\"1h\"] \"*\" = [] }";
    check(&[allowed], r#"{"other": 1, "ttl": "1h"}"#, Ok(()));
    check(&[allowed], r#"{"other": 1, "ttl": "2h"}"#, Err("\"ttl\""));
    check(&["allowed_parameters = { \"*\" = [] }"], r#"{"other": 1}"#, Ok(()));
    // What is listed for the star itself restricts nothing, as with HashiCorp Vault.
    check(&["allowed_parameters = { \"*\" = [\"x\"] }"], r#"{"other": 1, "*": 2}"#, Ok(()));
}

#[test]
fn denied_parameters_go_before_allowed_ones() {
    let denied = "denied_parameters = { \"ttl\" = [\"9*\"] \"root\" = [] } allowed_parameters = { \"ttl\" = [] \"root\" = [] }";
    check(&[denied], r#"{"ttl": "1h"}"#, Ok(()));
    check(&[denied], r#"{"ttl": "99h"}"#, Err("denies this parameter or its value: \"ttl\""));
    check(&[denied], r#"{"root": null}"#, Err("\"root\""));
    check(&["denied_parameters = { \"x\" = [] }"], r#"{"y": 1}"#, Ok(()));
}

#[test]
fn a_star_among_denied_parameters_blocks_any_data() {
    for denied in ["denied_parameters = { \"*\" = [] }", "denied_parameters = { \"*\" = [\"x\"] }"] {
        check(&[denied], r#"{"ttl": 1}"#, Err("denies every parameter"));
        check(&[denied], "{}", Ok(()));
        check(&[denied], "", Ok(()));
    }
}

#[test]
fn required_parameters_must_be_there_before_all_else_is_looked_at() {
    let required = "required_parameters = [\"TTL\", \"name\"] denied_parameters = { \"*\" = [] }";
    check(&[required], "", Err("requires is missing: \"ttl\""));
    check(&[required], r#"{"ttl": null}"#, Err("requires is missing: \"name\""));
    check(&[required], r#"{"ttl": 1, "name": 2}"#, Err("denies every parameter"));
    // Names that are required are lower-cased, those of the request are not.
    check(&[required], r#"{"TTL": 1, "name": 2}"#, Err("requires is missing: \"ttl\""));
}

#[test]
fn parameter_names_match_in_any_case() {
    check(&["denied_parameters = { \"Größe\" = [1] }"], r#"{"GRÖßE": 1}"#, Err("\"GRÖßE\""));
    check(&["allowed_parameters = { \"TTL\" = [1] }"], r#"{"Ttl": 1}"#, Ok(()));
}

#[test]
fn a_request_without_data_passes_what_is_not_required() {
    check(&["allowed_parameters = { \"ttl\" = [1] } denied_parameters = { \"x\" = [] }"], "", Ok(()));
    check(&["allowed_parameters = { \"ttl\" = [1] } denied_parameters = { \"x\" = [] }"], "{}", Ok(()));
}

#[test]
fn a_restriction_of_one_policy_holds_beside_another_policy_without_one() {
    let free = "comment = \"no parameters\"";
    for policies in [[free, "allowed_parameters = { \"ttl\" = [1] }"], ["allowed_parameters = { \"ttl\" = [1] }", free]] {
        check(&policies, r#"{"ttl": 1}"#, Ok(()));
        check(&policies, r#"{"ttl": 2}"#, Err("\"ttl\""));
        check(&policies, r#"{"other": 1}"#, Err("\"other\""));
    }
    check(&[free, "required_parameters = [\"ttl\"]"], "", Err("\"ttl\""));
}

#[test]
fn parameters_of_several_policies_are_united_by_name_and_an_empty_list_means_any_value() {
    let allowed = ["allowed_parameters = { \"ttl\" = [1] }", "allowed_parameters = { \"TTL\" = [2] \"x\" = [] }"];
    check(&allowed, r#"{"ttl": 1}"#, Ok(()));
    check(&allowed, r#"{"ttl": 2, "x": 3}"#, Ok(()));
    check(&allowed, r#"{"ttl": 3}"#, Err("\"ttl\""));
    for any in [["allowed_parameters = { \"ttl\" = [1] }", "allowed_parameters = { \"ttl\" = [] }"]]
        .iter()
        .flat_map(|p| [[p[0], p[1]], [p[1], p[0]]])
    {
        check(&any, r#"{"ttl": 3}"#, Ok(()));
        let denied = any.map(|attributes| attributes.replace("allowed", "denied"));
        check(&[&denied[0], &denied[1]], r#"{"ttl": 3}"#, Err("\"ttl\""));
    }
    let required = ["required_parameters = [\"a\"]", "required_parameters = [\"b\", \"a\"]"];
    check(&required, r#"{"a": 1}"#, Err("\"b\""));
    check(&required, r#"{"a": 1, "b": 1}"#, Ok(()));
}

#[test]
fn a_wrapping_ttl_must_lie_between_the_lowest_minimum_and_the_lowest_maximum() {
    let first = rule("min_wrapping_ttl = \"1m\" max_wrapping_ttl = \"1h\"");
    let second = rule("min_wrapping_ttl = 90 max_wrapping_ttl = 300");
    let apart = [rule("min_wrapping_ttl = 90"), rule("max_wrapping_ttl = 60")];
    let (both, apart) = ([first.as_str(), &second], [apart[0].as_str(), &apart[1]]);
    for dialect in BOTH {
        for (policies, wrap, expected) in [
            (&both[..1], Some(60), Ok(())),
            (&both[..1], Some(3600), Ok(())),
            (&both[..1], Some(59), Err("below the rule's min_wrapping_ttl")),
            (&both[..1], Some(3601), Err("above the rule's max_wrapping_ttl")),
            (&both[..1], None, Err("asks for a wrapped reply")),
            (&both[..1], Some(0), Err("asks for a wrapped reply")),
            (&both[..], Some(60), Ok(())),
            (&both[..], Some(301), Err("above")),
            // No time can lie between bounds that cross once they are merged.
            (&apart[..], Some(60), Err("below")),
            (&apart[..], Some(90), Err("above")),
        ] {
            for operation in [Capability::Read, Capability::Delete, Capability::List] {
                let decision = decision(policies, operation, "", wrap, dialect);
                assert_eq!(decision.allowed, expected.is_ok(), "{wrap:?}: {decision}");
                assert!(decision.step.contains(expected.err().unwrap_or_default()), "{wrap:?}: {decision}");
            }
        }
        let zero = rule("min_wrapping_ttl = 0 max_wrapping_ttl = \"\"");
        assert!(decision(&[&zero], Capability::Read, "", None, dialect).allowed);
    }
}

#[test]
fn the_capability_is_checked_before_the_wrapping_ttl_and_that_before_parameters() {
    let policy = "path \"a\" { capabilities = [\"update\"] min_wrapping_ttl = 1 required_parameters = [\"x\"] }";
    for dialect in BOTH {
        let step = |operation, wrap| decision(&[policy], operation, "", wrap, dialect).step;
        assert_eq!(step(Capability::Read, None), "the rule does not give the capability");
        assert_eq!(step(Capability::Update, None), "the rule asks for a wrapped reply, and the request for none");
        assert_eq!(step(Capability::Update, Some(1)), "a parameter that the rule requires is missing");
    }
}

#[test]
fn parameters_are_checked_on_read_create_update_and_patch_only() {
    let policy = rule("required_parameters = [\"x\"] allowed_parameters = { \"x\" = [1] } denied_parameters = { \"y\" = [] }");
    for dialect in BOTH {
        for operation in [Capability::Read, Capability::Create, Capability::Update, Capability::Patch] {
            assert!(!decision(&[&policy], operation, "", None, dialect).allowed);
            assert!(!decision(&[&policy], operation, r#"{"x": 2}"#, None, dialect).allowed);
            assert!(decision(&[&policy], operation, r#"{"x": 1}"#, None, dialect).allowed);
        }
        for operation in [Capability::Delete, Capability::List] {
            assert!(decision(&[&policy], operation, r#"{"y": 2}"#, None, dialect).allowed);
        }
    }
}

#[test]
fn lists_are_checked_by_element_in_one_dialect_and_whole_in_the_other() {
    let allowed = rule("allowed_parameters = { \"tags\" = [\"a\", \"b\"] }");
    let denied = rule("denied_parameters = { \"tags\" = [\"a\"] }");
    let allows = |policy: &str, data: &str| BOTH.map(|dialect| decision(&[policy], Capability::Update, data, None, dialect).allowed);
    assert_eq!(allows(&allowed, r#"{"tags": ["a", "b"]}"#), [true, false]);
    assert_eq!(allows(&allowed, r#"{"tags": ["a", "c"]}"#), [false, false]);
    assert_eq!(allows(&denied, r#"{"tags": ["a", "c"]}"#), [false, true]);
    assert_eq!(allows(&denied, r#"{"tags": ["c"]}"#), [true, true]);
}

#[test]
fn a_denied_policy_is_denied_in_every_spelling_that_means_it() {
    let denied = "denied_parameters = { \"policies\" = [\"admin\", [\"admin\"]] }";
    for data in [r#"{"policies": "Admin"}"#, r#"{"Policies": [" ADMIN "]}"#] {
        check(&[denied], data, Err("denies this parameter"));
    }
}

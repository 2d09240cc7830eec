//! What a decision tells: the winner, the losers, the step and the parameter that decided.

use super::*;
use crate::policy::{Dialect, EntityFacts};

fn decide(policies: &[&str], operation: Capability, path: &str) -> Decision {
    evaluate(policies, &Facts::new(operation, path), Dialect::Vault).expect("sound policies")
}

#[test]
fn a_decision_tells_rule_policy_line_and_losers() {
    let app = "path \"secret/*\" { capabilities = [\"list\"] }\n\npath \"secret/data/app/*\" { capabilities = [\"read\"] }";
    let decision = decide(&["path \"x\" {}", app], Capability::Read, "secret/data/app/db");
    assert!(decision.allowed);
    assert_eq!(
        (decision.rule.as_deref(), decision.policy.as_deref(), decision.line),
        (Some("secret/data/app/*"), Some("policy 2"), Some(3))
    );
    assert_eq!(decision.losers.len(), 1);
    assert_eq!(
        decision.to_string(),
        "ALLOWED read secret/data/app/db: the rule gives the capability (path \"secret/data/app/*\" of policy 2, line 3, gives read); \
         path \"secret/*\" matches too: a more specific rule goes first"
    );
}

#[test]
fn a_denial_tells_that_nothing_matched_or_which_rule_denies() {
    let decision = decide(&["path \"a/*\" { capabilities = [\"read\"] }"], Capability::Read, "b");
    assert_eq!(decision.to_string(), "DENIED read b: no rule matches, and the default is to deny");
    let denies = ["path \"a/*\" { capabilities = [\"read\"] }", "path \"a/*\" { capabilities = [\"deny\"] }"];
    let decision = decide(&denies, Capability::Read, "a/b");
    assert_eq!((decision.allowed, decision.step, decision.policy.as_deref()), (false, "the rule denies", Some("policy 2")));
    assert_eq!(decision.capabilities, ["deny"]);
}

#[test]
fn every_loser_is_told_once_with_its_reason() {
    let policy = "path \"a/b\" { capabilities = [\"list\"] } path \"a/b/\" {} path \"a/*\" {} path \"+/b\" {} path \"a/b*\" {} path \"a/b/*\" {}\
                  path \"*\" {} path \"c\" {} path \"+/+/\" {}";
    let decision = decide(&[policy], Capability::List, "a/b");
    assert_eq!(decision.rule.as_deref(), Some("a/b/"));
    let mut losers: Vec<_> = decision.losers.iter().map(|loser| loser.rule.as_str()).collect();
    losers.sort_unstable();
    assert_eq!(losers, ["*", "+/+/", "+/b", "a/*", "a/b", "a/b*", "a/b/*"]);
}

#[test]
fn a_refused_parameter_is_told_by_name_and_never_by_value() {
    let first = "path \"a\" { capabilities = [\"update\"] }";
    let second = "\npath \"a\" { capabilities = [\"update\"] allowed_parameters = { \"size\" = [\"s*\"] \"ttl\" = [] } }";
    for (data, step, parameter) in [
        (r#"{"Size": "CANARY"}"#, "the rule does not allow this parameter's value", "Size"),
        (r#"{"ttl": 1, "x": "CANARY"}"#, "the rule does not allow this parameter", "x"),
    ] {
        let data = Value::from_json(data.as_bytes()).expect("JSON");
        let facts = Facts { data: Some(&data), ..Facts::new(Capability::Update, "a") };
        let decision = evaluate(&[first, second], &facts, Dialect::Vault).expect("sound");
        assert_eq!((decision.allowed, decision.step, decision.parameter.as_deref()), (false, step, Some(parameter)));
        // The policy that restricts is named, not the first that gives the capability.
        assert_eq!((decision.policy.as_deref(), decision.line), (Some("policy 2"), Some(2)));
        assert!(decision.to_string().contains(&format!("{step}: {parameter:?}")));
        assert!(!format!("{decision:?} {decision}").contains("CANARY"));
        let json = decision.to_value();
        assert_eq!(json.get("parameter").and_then(Value::as_str), Some(parameter));
        assert_eq!(json.get("text").and_then(Value::as_str), Some(decision.to_string().as_str()));
    }
}

#[test]
fn a_rule_whose_template_stands_for_nothing_is_told() {
    let policy = "path \"secret/{{identity.entity.name}}/*\" { capabilities = [\"read\"] }";
    let caller = TemplateFacts { entity: Some(EntityFacts { name: "*".to_owned(), ..EntityFacts::default() }), groups: Vec::new() };
    for (caller, part) in [(None, "nothing is known of the caller"), (Some(&caller), "holds '*'")] {
        let facts = Facts { caller, ..Facts::new(Capability::Read, "secret/ann/db") };
        let decision = evaluate(&[policy], &facts, Dialect::Vault).expect("sound");
        assert!(!decision.allowed && decision.rule.is_none() && decision.void.len() == 1);
        assert!(decision.to_string().contains(part), "{decision}");
    }
}

#[test]
fn bad_questions_are_refused() {
    let ask = |policy, operation, path| evaluate(&[policy], &Facts::new(operation, path), Dialect::Vault).map(|_| ());
    assert_eq!(ask("path", Capability::Read, "a").expect_err("policy").code(), Code::InvalidPolicy);
    assert_eq!(ask("", Capability::Read, "a/../b").expect_err("path").code(), Code::InvalidPath);
    assert_eq!(ask("", Capability::Sudo, "a").expect_err("operation").code(), Code::InvalidRequest);
    let data = Value::from(vec![1_u32]);
    let facts = Facts { data: Some(&data), ..Facts::new(Capability::Read, "a") };
    assert_eq!(evaluate(&[], &facts, Dialect::Vault).expect_err("data").code(), Code::InvalidRequest);
}

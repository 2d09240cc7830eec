//! What the language takes, what it refuses and with which words.

use super::*;
use crate::types::limits::{POLICY_DEPTH_MAX, POLICY_VALUES_MAX};
use proptest::prelude::*;

fn parse(text: &str) -> Policy {
    Policy::parse("p", text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn rules(text: &str) -> Vec<(String, Vec<&'static str>, u32)> {
    parse(text).rules.iter().map(|rule| (rule.path.clone(), rule.capabilities.names(), rule.line)).collect()
}

#[test]
fn policies_read_as_users_write_them() {
    let text = r#"
# three kinds of comments
// and several attributes on a line
/* of
   HCL 1 */
name = "app"
path "secret/data/app/*" { capabilities = ["read", "list",] comment = "x" }
"path" "/sys/mounts" {
  "capabilities" = [
    "update", # trailing
    "create"
  ]
}
path "literal/${x}/\"quoted\"/${" { capabilities = ["deny"], }
path "nothing" {}
path "old" { policy = "write" }
"#;
    let expected: Vec<(String, Vec<&str>, u32)> = vec![
        ("secret/data/app/*".into(), vec!["list", "read"], 7),
        ("sys/mounts".into(), vec!["create", "update"], 8),
        ("literal/${x}/\"quoted\"/${".into(), vec!["deny"], 14),
        ("nothing".into(), vec!["deny"], 15),
        ("old".into(), vec!["create", "delete", "list", "read", "update"], 16),
    ];
    assert_eq!(rules(text), expected);
    assert!(rules("").is_empty() && rules("# nothing").is_empty() && rules("{}").is_empty());
}

#[test]
fn the_old_shorthand_stands_for_capabilities() {
    for (word, names) in [
        ("deny", vec!["deny"]),
        ("read", vec!["list", "read"]),
        ("write", vec!["create", "delete", "list", "read", "update"]),
        ("sudo", vec!["create", "delete", "list", "read", "sudo", "update"]),
    ] {
        assert_eq!(rules(&format!("path \"a\" {{ policy = {word:?} }}"))[0].1, names);
    }
}

#[test]
fn json_says_the_same_as_hcl() {
    let hcl = r#"
path "a/*" {
  capabilities = ["create", "update"]
  allowed_parameters = { "Name" = ["x*", 5, -1.5, true, ["l", 0x10], { k = "v" }], "*" = [] }
  denied_parameters { bad = [<<EOF
two
lines
EOF
  ] }
  required_parameters = ["name"]
  min_wrapping_ttl = "1m"
  max_wrapping_ttl = 3600
}
path "b" { policy = "deny" }"#;
    let json = r#"{"path": [{
        "a/*": {"capabilities": ["create", "update"],
            "allowed_parameters": {"name": ["x*", 5, -1.5, true, ["l", 16], {"k": "v"}], "*": []},
            "denied_parameters": {"bad": ["two\nlines\n"]},
            "required_parameters": ["NAME"],
            "min_wrapping_ttl": 60,
            "max_wrapping_ttl": "1h"},
        "/b": {"policy": "deny"}}]}"#;
    let (hcl, json) = (parse(hcl), parse(json));
    let without_lines =
        |policy: &Policy| policy.rules.iter().map(|r| (r.path.clone(), r.capabilities, r.constraints.clone())).collect::<Vec<_>>();
    assert_eq!(without_lines(&hcl), without_lines(&json));
    assert_eq!(hcl.rules.iter().map(Rule::line).collect::<Vec<_>>(), [2, 14]);
    assert_eq!(json.rules.iter().map(Rule::line).collect::<Vec<_>>(), [2, 8]);
}

#[test]
fn texts_have_escapes_and_heredocs() {
    let value = |text: &str| {
        let policy = parse(&format!("path \"a\" {{ allowed_parameters = {{ k = [{text}] }} }}"));
        let mut expected = Constraints::default();
        move |text: &str| {
            assert!(expected.allowed.insert("k", vec![text.into()]));
            assert_eq!(policy.rules[0].constraints.as_deref(), Some(&expected));
        }
    };
    value(r#""\a\b\f\n\r\t\v\\\"\x41\101\u00e9\U0001f600${x}""#)("\u{7}\u{8}\u{c}\n\r\t\u{b}\\\"AAé😀${x}");
    value("<<EOF\na\n  EOF\n b\nEOF\n")("a\n  EOF\n b\n");
    value("<<-EOF\n    a\n      b\n    EOF\n")("a\n  b\n");
    value("<<-EOF\n  a\n      b\n    EOF\n")("  a\n      b\n");
    value("<<EOF\r\na\r\nEOF\r\n")("a\r\n");
    value("<<EOF\nEOF\n")("");
    let json = parse(r#"{"path": {"a\u00e9\ud83d\ude00\/": {}}}"#);
    assert_eq!(json.rules[0].path, "aé😀/");
}

#[test]
fn errors_give_line_column_and_what_was_expected() {
    for (text, line, column, part) in [
        ("path \"a\" { capabilities = [\"raed\"] }", 1, 28, "unknown capability \"raed\": did you mean \"read\"?"),
        ("path \"a\" { capabilities = [\"everything\"] }", 1, 28, "expected one of create, read"),
        ("path \"a\" {\n  capabilites = [\"read\"]\n}", 2, 3, "unknown attribute \"capabilites\": did you mean \"capabilities\"?"),
        ("path \"a\" { color = 1 }", 1, 12, "unknown attribute \"color\": expected one of capabilities"),
        ("path \"a\" { capabilities = [\"read\"] ", 1, 36, "the end of the policy"),
        ("path \"a\" { capabilities = [\"read\"] capabilities = [\"list\"] }", 1, 36, "given twice"),
        ("path \"a\" { capabilities = \"read\" }", 1, 27, "expected '['"),
        ("path a { }", 1, 6, "the rule's path, quoted"),
        ("path \"a\" = { }", 1, 10, "expected '{'"),
        ("rule \"a\" { }", 1, 1, "unknown key \"rule\""),
        ("paht \"a\" { }", 1, 1, "did you mean \"path\"?"),
        ("path \"\" { }", 1, 6, "empty"),
        ("path \"a/+*\" { }", 1, 6, "+*"),
        ("path \"a/{{identity.entity.nme}}\" { }", 1, 6, "unknown template"),
        ("path \"a\" { policy = \"admin\" }", 1, 21, "expected read, write, sudo or deny"),
        ("path \"a\" { mfa_methods = [\"x\"] }", 1, 12, "cannot be ignored"),
        ("path \"a\" { control_group = { } }", 1, 12, "cannot be ignored"),
        ("path \"a\" { allowed_parameters = [] }", 1, 33, "an object of lists by parameter"),
        ("path \"a\" { allowed_parameters = { k = \"v\" } }", 1, 39, "a list of values"),
        ("path \"a\" { allowed_parameters = { k = [v] } }", 1, 40, "a value: a quoted text"),
        ("path \"a\" { allowed_parameters = { k = [010] } }", 1, 40, "no number"),
        ("path \"a\" { denied_parameters = { k = [], K = [] } }", 1, 42, "given twice"),
        ("path \"a\" { min_wrapping_ttl = \"soon\" }", 1, 31, "expected a time"),
        ("path \"a\" { min_wrapping_ttl = -1 }", 1, 31, "expected a time"),
        ("path \"a\" { min_wrapping_ttl = 2 max_wrapping_ttl = 1 }", 1, 33, "below min_wrapping_ttl"),
        ("path \"a { }", 1, 6, "not closed"),
        ("path \"a\" { comment = <<EOF\n EOF\n", 1, 22, "not closed"),
        ("path \"a\" { comment = <<EOF x\nEOF\n", 1, 22, "expected a heredoc"),
        ("/* path", 1, 1, "not closed"),
        ("path \"a\" { capabilities = [\"read\" \"list\"] }", 1, 35, "',' or ']'"),
        ("path \"a\\y\" {}", 1, 8, "unknown escape"),
        ("path \"a\\xff\" {}", 1, 8, "no character"),
        ("@", 1, 1, "unexpected character"),
        ("{", 1, 2, "\"path\" or '}'"),
        ("{\"path\": {\"a\": {\"capabilities\": [\"read\",]}}}", 1, 41, "a capability, quoted"),
        ("{\"path\": {\"a\": {},}}", 1, 19, "a rule's path or '}'"),
        ("{\"path\": []} x", 1, 14, "the end of the policy"),
        ("{\n\"paths\": {}}", 2, 1, "unknown key \"paths\""),
        ("{\"path\": {\"a\": {\"capabilities\": \"read\"}}}", 1, 33, "expected '['"),
        ("{\"path\": {\"a/+*\": {}}}", 1, 11, "+*"),
        ("{\"path\": {\"\\ud800\": {}}}", 1, 12, "half a character"),
        ("{\"path\" {}}", 1, 9, "expected ':'"),
        ("{# x\n}", 1, 2, "unexpected character"),
    ] {
        match Policy::parse("p", text) {
            Err(PolicyError::Syntax { line: l, column: c, message }) => {
                assert!(message.contains(part), "{text}: {message}");
                assert_eq!((l, c), (line, column), "{text}: {message}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_message_repeats_no_more_of_a_text_than_a_line() {
    let long = "x".repeat(100_000);
    for text in [
        long.clone(),
        format!("path \"a\" {{ {long} = 1 }}"),
        format!("path \"a\" {{ capabilities = [\"{long}\"] }}"),
        format!("path \"a\" {{ policy = \"{long}\" }}"),
        format!("path {long} {{}}"),
        format!("path \"a\" {{ comment = <<{long}\n }}"),
        format!("path \"a\" {{ allowed_parameters = {{ {long} = [], {long} = [] }} }}"),
    ] {
        let message = Policy::parse("p", &text).expect_err("unsound").to_string();
        assert!(message.len() < 400, "{} bytes", message.len());
    }
}

#[test]
fn what_restricts_and_is_not_supported_is_refused_by_name() {
    for name in NOT_SUPPORTED {
        for text in [format!("path \"a\" {{ {name} = [] }}"), format!("{{\"path\": {{\"a\": {{{name:?}: []}}}}}}")] {
            let error = Policy::parse("p", &text).expect_err(&text).to_string();
            assert!(error.contains(name) && error.contains("cannot be ignored"), "{error}");
        }
    }
}

#[test]
fn limits_of_depth_count_and_size_hold_for_policies() {
    let nested = |depth: usize| format!("path \"a\" {{ allowed_parameters = {{ k = {}{} }} }}", "[".repeat(depth), "]".repeat(depth));
    assert!(Policy::parse("p", &nested(POLICY_DEPTH_MAX)).is_ok());
    assert!(Policy::parse("p", &nested(POLICY_DEPTH_MAX + 2)).expect_err("too deep").to_string().contains("nested deeper"));
    assert!(Policy::parse("p", &nested(100_000)).is_err());
    let wide = |values: usize| format!("path \"a\" {{ allowed_parameters = {{ k = [{}] }} }}", "0,".repeat(values));
    assert!(Policy::parse("p", &wide(POLICY_VALUES_MAX - 1)).is_ok());
    assert_eq!(Policy::parse("p", &wide(POLICY_VALUES_MAX)), Err(PolicyError::TooLarge));
    assert!(Policy::parse("p", &"path \"a\" {}".repeat(POLICY_RULES_MAX)).is_ok());
    assert_eq!(Policy::parse("p", &"path \"a\" {}".repeat(POLICY_RULES_MAX + 1)), Err(PolicyError::TooLarge));
    assert_eq!(Policy::parse("p", &" ".repeat(POLICY_BYTES_MAX + 1)), Err(PolicyError::TooLarge));
}

proptest! {
    #[test]
    fn parsing_any_text_gives_rules_or_an_error(text in "\\PC*") {
        let _outcome = Policy::parse("p", &text);
    }

    #[test]
    fn parsing_almost_policies_gives_rules_or_an_error(
        text in "(path|\"a/\\+\"|\\{|\\}|\\[|\\]|=|,|:|capabilities|allowed_parameters|max_wrapping_ttl|\"read\"|\"\\{\\{|1|#|<<-E|\n|E|/\\*| ){0,40}",
    ) {
        let _outcome = Policy::parse("p", &text);
        let _outcome = Policy::parse("p", &format!("{{{text}"));
    }
}

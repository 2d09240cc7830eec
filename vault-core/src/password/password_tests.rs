//! Tests of password policies, by drawing from them.

use super::*;
use crate::os::SystemRng;
use std::collections::HashMap;

fn of(text: &str) -> PasswordPolicy {
    PasswordPolicy::parse(text).expect("a policy")
}

fn refused(text: &str) -> String {
    PasswordPolicy::parse(text).expect_err("no policy").to_string()
}

#[test]
fn the_standard_policy_has_twenty_characters_and_one_of_each_kind() {
    let policy = PasswordPolicy::standard();
    for _ in 0..1_000 {
        let password = policy.generate(&SystemRng::new()).expect("a password");
        let password = password.expose();
        assert_eq!(password.len(), 20);
        let has = |kind: fn(&u8) -> bool| password.as_bytes().iter().any(kind);
        assert!(has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit) && has(|byte| *byte == b'-'));
        assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
}

#[test]
fn hcl_and_json_say_the_same_in_all_their_forms() {
    let hcl = of("length = 8 # comment\nrule \"charset\" {\n charset = \"ab\"\n min-chars = 2\n}\nrule \"charset\" { charset = \"1\" }");
    for json in [
        r#"{"length": 8, "rule": [{"charset": {"charset": "ab", "min-chars": 2}}, {"charset": {"charset": "1"}}]}"#,
        r#"{"rule": {"charset": [{"min-chars": 2, "charset": "ab"}, {"charset": "1", "min-chars": 0}]}, "length": 8}"#,
    ] {
        assert_eq!(of(json), hcl, "{json}");
    }
}

#[test]
fn every_password_that_follows_the_policy_is_as_likely_as_any_other() {
    // 4 characters of "ab1", at least two of "ab" and one "1": 50 texts, counted by hand below.
    let policy = of("length = 4 rule \"charset\" { charset = \"ab\" min-chars = 2 } rule \"charset\" { charset = \"1\" min-chars = 1 }");
    let valid = |text: &str| text.bytes().filter(|byte| *byte != b'1').count() >= 2 && text.contains('1');
    let mut all = vec![String::new()];
    for _ in 0..4 {
        all = all.iter().flat_map(|text| ["a", "b", "1"].map(|next| format!("{text}{next}"))).collect();
    }
    all.retain(|text| valid(text));
    let rng = SystemRng::new();
    let draws = 400 * all.len();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for _ in 0..draws {
        *counts.entry(policy.generate(&rng).expect("a password").expose().to_owned()).or_default() += 1;
    }
    assert!(counts.keys().all(|text| valid(text)));
    // Chi squared: its mean is the degrees of freedom, its deviation the root of twice that; six deviations come once in a billion.
    let freedom = (all.len() - 1) as f64;
    let chi: f64 = all.iter().map(|text| (*counts.get(text).unwrap_or(&0) as f64 - 400.0).powi(2) / 400.0).sum();
    assert!(chi < freedom + 8.0 * (2.0 * freedom).sqrt(), "chi squared {chi} at {freedom} degrees of freedom");
}

#[test]
fn a_character_in_two_charsets_is_no_likelier_and_counts_for_both() {
    let policy = of("length = 4 rule \"charset\" { charset = \"aab\" min-chars = 1 } rule \"charset\" { charset = \"ac\" min-chars = 1 }");
    assert_eq!(policy.characters, [('a', 3), ('b', 1), ('c', 2)]);
}

#[test]
fn charsets_beyond_ascii_and_past_256_characters_are_drawn_from() {
    let charset: String = ('\u{4e00}'..='\u{53ff}').collect();
    let policy = of(&format!("length = 100 rule \"charset\" {{ charset = \"{charset}\" }}"));
    let password = policy.generate(&SystemRng::new()).expect("a password");
    assert!(password.expose().chars().all(|character| charset.contains(character)));
    assert!(password.expose().chars().any(|character| character > '\u{4f00}'), "not the first 256 alone");
}

#[test]
fn what_is_no_policy_is_refused_with_its_place() {
    for (text, why) in [
        ("", "between 4 and 100"),
        ("length = 20", "no rule"),
        ("length = 3 rule \"charset\" { charset = \"a\" }", "between 4 and 100"),
        ("length = 101 rule \"charset\" { charset = \"a\" }", "between 4 and 100"),
        ("length = -5 rule \"charset\" { charset = \"a\" }", "line 1, column 10"),
        ("length = 99999999999999999999 rule \"charset\" { charset = \"a\" }", "line 1, column 10"),
        ("length = 20\nlength = 21", "line 2, column 1: the length is given twice"),
        ("length = 20\nrule \"words\" {}", "line 2, column 6: unknown rule \"words\""),
        ("length = 20 rule \"charset\" { }", "has no \"charset\""),
        ("length = 20 rule \"charset\" { charset = \"\" }", "at least one character"),
        ("length = 20 rule \"charset\" { charset = \"a\\n\" }", "only such as can be printed"),
        ("length = 20 rule \"charset\" { charset = \"a\" min_chars = 1 }", "unknown attribute \"min_chars\""),
        ("length = 20 rule \"charset\" { charset = \"a\" min-chars = 21 }", "at least 21 characters"),
        (
            "length = 4 rule \"charset\" { charset = \"a\" min-chars = 18446744073709551615 } rule \"charset\" { charset = \"b\" min-chars = 1 }",
            "more than the length",
        ),
        ("lenght = 20", "unknown key \"lenght\""),
        ("length = 20 rule", "the kind of the rule"),
        ("{\"length\": 20", "',' or '}'"),
        ("{\"length\": 20} x", "the end of the policy"),
        ("{\"length\": \"20\", \"rule\": []}", "whole number"),
    ] {
        let told = refused(text);
        assert!(told.contains(why), "{text}: {told}");
    }
    let many = "rule \"charset\" { charset = \"a\" } ".repeat(PASSWORD_RULES_MAX + 1);
    assert!(refused(&format!("length = 20 {many}")).contains("at most"));
    assert!(refused(&" ".repeat(PASSWORD_POLICY_BYTES_MAX + 1)).contains("longer than"));
}

#[test]
fn a_policy_that_hardly_any_text_follows_is_refused_instead_of_searched_for_ever() {
    let wide: String = ('\u{4e00}'..='\u{53ff}').collect();
    let policy =
        of(&format!("length = 20 rule \"charset\" {{ charset = \"{wide}\" }} rule \"charset\" {{ charset = \"1\" min-chars = 19 }}"));
    assert_eq!(policy.check_common(&SystemRng::new()), Err(PasswordError::Rare));
}

#[test]
fn without_randomness_there_is_no_password() {
    struct Dry;
    impl Rng for Dry {
        fn fill(&self, _: &mut [u8]) -> Result<(), RngError> {
            Err(RngError)
        }
    }
    assert_eq!(PasswordPolicy::standard().generate(&Dry).expect_err("no randomness"), PasswordError::NoEntropy);
}

use crate::types::limits::{PASSWORD_POLICY_BYTES_MAX, PASSWORD_RULES_MAX};

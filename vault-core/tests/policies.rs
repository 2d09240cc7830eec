//! Policies against a naive evaluator over random cases, and the published ways around a policy, each closed.
//!
//! `LIBVAULT_POLICY_CASES` says how many decisions are compared; each set of policies has a seed of its own, `LIBVAULT_SEED` is that of the first.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells its seed and its figures"
)]

#[path = "policies/model.rs"]
mod model;
#[path = "policies/naive.rs"]
mod naive;
#[path = "policies/shrink.rs"]
mod shrink;
mod support;

use model::{Case, Numbers, caller};
use std::time::Instant;
use support::number_from;
use vault_core::policy::{Capability, Dialect, EntityFacts, Facts, GroupFacts, PolicySet, Settings, TemplateFacts, evaluate, run_tests};
use vault_core::types::{Path, Ttl};

const CASES: u64 = 200_000;
/// Questions to each set of policies.
const QUESTIONS: u64 = 20;
const BOTH: [Dialect; 2] = [Dialect::Vault, Dialect::OpenBao];

/// What differs between the engine and the naive evaluator on one case; the reasons are compared too where `fully`.
fn difference(set: &PolicySet, case: &Case, fully: bool) -> Option<String> {
    let naive = naive::decide(case);
    let path = Path::parse(&case.path).unwrap();
    let wrap_ttl = case.wrap_seconds.map(Ttl::from_secs);
    let allowed = set.allows(case.operation, &path, case.data.as_ref(), wrap_ttl);
    if allowed != naive.allowed {
        return Some(format!("allowed: {allowed}, naively {}", naive.allowed));
    }
    if !fully {
        return None;
    }
    let facts = Facts { data: case.data.as_ref(), wrap_ttl, ..Facts::new(case.operation, &case.path) };
    let decision = set.explain(&facts).unwrap();
    let mut losers: Vec<String> = decision.losers.iter().map(|loser| loser.rule.clone()).collect();
    losers.sort_unstable();
    let told = (decision.allowed, decision.rule, losers);
    let expected = (naive.allowed, naive.rule, naive.losers);
    (told != expected).then(|| format!("told: {told:?}, naively {expected:?}"))
}

fn compile(case: &Case) -> PolicySet {
    let texts = case.texts();
    let settings = Settings { dialect: case.dialect, absolute_deny: case.absolute_deny };
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    PolicySet::parse(&texts, settings, caller(case.caller).as_ref()).unwrap_or_else(|error| panic!("{error}: {texts:?}"))
}

#[test]
fn the_engine_decides_as_the_statements_read() {
    let first = number_from("LIBVAULT_SEED").unwrap_or(1);
    let cases = number_from("LIBVAULT_POLICY_CASES").unwrap_or(CASES);
    let (start, mut allowed, mut explained) = (Instant::now(), 0_u64, 0_u64);
    for seed in first..first + cases.div_ceil(QUESTIONS) {
        let mut numbers = Numbers::new(seed);
        let mut case = Case::random(&mut numbers);
        let set = compile(&case);
        for question in 0..QUESTIONS {
            case.ask_anew(&mut numbers);
            let fully = question == 0;
            explained += u64::from(fully);
            allowed += u64::from(naive::decide(&case).allowed);
            if let Some(difference) = difference(&set, &case, fully) {
                let smallest = shrink::smallest(&case, |case| self::difference(&compile(case), case, true).is_some());
                panic!("LIBVAULT_SEED={seed} LIBVAULT_POLICY_CASES={QUESTIONS}: {difference}\nthe smallest case found:\n{smallest}");
            }
        }
    }
    let cases = cases.div_ceil(QUESTIONS) * QUESTIONS;
    eprintln!(
        "LIBVAULT_SEED={first}: {cases} decisions, {allowed} of them allowed, {explained} compared with their rules and losers, 0 differences, {:.1?}",
        start.elapsed()
    );
    assert!(allowed > cases / 20 && allowed < cases * 19 / 20, "the cases are one-sided");
}

#[test]
fn a_difference_is_shrunk_to_the_smallest_case_that_shows_it() {
    let mut numbers = Numbers::new(7);
    // As if the engine were wrong wherever a listing is allowed.
    let is_wrong = |case: &Case| case.operation == Capability::List && naive::decide(case).allowed;
    let case = std::iter::repeat_with(|| Case::random(&mut numbers)).find(|case| is_wrong(case) && case.rules.len() > 3).unwrap();
    let smallest = shrink::smallest(&case, is_wrong);
    assert!(is_wrong(&smallest));
    assert_eq!((smallest.rules.len(), smallest.data.is_some(), smallest.wrap_seconds), (1, false, None), "{smallest}");
}

/// GHSA-xp3c-3jw3-4vcr: a listing whose path had a slash behind it was matched by other rules than one without, and a deny was missed.
///
/// Each form of a rule that denies, each verb and each form of the path, side by side: what a dialect answers, and what it answers where a
/// deny is absolute. Beside the deny stands a broad rule that allows everything.
#[test]
fn a_listing_slips_past_no_deny() {
    use Capability::{List, Read};
    // The rule that denies; then whether LIST a/b, LIST a/b/, READ a/b, READ a/b/ are allowed in each dialect.
    let table = [
        ("a/b", [false, false, false, true], [false, false, false, true]),
        ("a/b/", [false, false, true, false], [false, false, true, false]),
        ("a/b*", [false, false, false, false], [false, false, false, false]),
        // Without the slash only the broad rule matches, and HashiCorp Vault asks for that form first.
        ("a/b/*", [true, true, true, false], [false, false, true, false]),
        ("a/+", [false, false, false, true], [true, true, false, true]),
        ("a/+/", [true, true, true, false], [false, false, true, false]),
        ("a/*", [false, false, false, false], [false, false, false, false]),
        ("a/b/+", [true, true, true, false], [false, false, true, false]),
        ("+/b", [false, false, false, true], [true, true, false, true]),
    ];
    for (rule, vault, openbao) in table {
        let policy = format!("path \"*\" {{ capabilities = [\"read\", \"list\"] }} path \"{rule}\" {{ capabilities = [\"deny\"] }}");
        for (dialect, expected) in [(Dialect::Vault, vault), (Dialect::OpenBao, openbao)] {
            for absolute_deny in [false, true] {
                let asked = [(List, "a/b"), (List, "a/b/"), (Read, "a/b"), (Read, "a/b/")];
                let allowed = asked.map(|(operation, path)| {
                    evaluate(&[&policy], &Facts::new(operation, path), Settings { dialect, absolute_deny }).unwrap().allowed
                });
                // Where a deny is absolute, either form of a listing's path finds it.
                let expected = if absolute_deny { [false, false, expected[2], expected[3]] } else { expected };
                assert_eq!(allowed, expected, "{rule} {dialect:?} absolute: {absolute_deny}");
            }
        }
    }
}

/// GHSA-59w7-v8rr-pr4p: whoever could choose his name or metadata could make a rule's path match what was not his.
#[test]
fn a_template_value_with_a_glob_character_matches_nothing() {
    let templates = [
        "{{identity.entity.id}}",
        "{{identity.entity.name}}",
        "{{identity.entity.metadata.team}}",
        "{{identity.entity.aliases.up.id}}",
        "{{identity.entity.aliases.up.name}}",
        "{{identity.entity.aliases.up.metadata.team}}",
        "{{identity.entity.aliases.up.custom_metadata.team}}",
        "{{identity.groups.ids.g.name}}",
        "{{identity.groups.ids.g.metadata.team}}",
    ];
    let known = |value: &str| {
        let metadata = || [("team".to_owned(), value.to_owned())].into();
        let alias = vault_core::policy::AliasFacts {
            id: value.to_owned(),
            name: value.to_owned(),
            metadata: metadata(),
            custom_metadata: metadata(),
        };
        TemplateFacts {
            entity: Some(EntityFacts {
                id: value.to_owned(),
                name: value.to_owned(),
                metadata: metadata(),
                aliases: [("up".to_owned(), alias)].into(),
            }),
            groups: vec![GroupFacts { id: "g".to_owned(), name: value.to_owned(), metadata: metadata() }],
        }
    };
    for template in templates {
        for form in ["secret/T", "secret/T/*", "secret/T*", "secret/+/T", "secret/T/+", "T", "T/*"] {
            let policy = format!("path \"{}\" {{ capabilities = [\"read\", \"list\"] }}", form.replace('T', template));
            for dialect in BOTH {
                let decide = |value: &str, path: &str| {
                    let caller = known(value);
                    let facts = Facts { caller: Some(&caller), ..Facts::new(Capability::Read, path) };
                    evaluate(&[&policy], &facts, dialect).unwrap()
                };
                for value in ["*", "+", "a*", "+a", "a/b", "secret/*", "a,b", "", "/", "ann/*"] {
                    for path in ["secret/a", "secret/a/b", "secret/ann/b", "a", "a/b", "ann", "+", "secret/+"] {
                        let decision = decide(value, path);
                        assert!(!decision.allowed && decision.void.len() == 1, "{policy} {value:?} {path}");
                    }
                }
                let own = form.replace('T', "ann").replace(['+', '*'], "x");
                assert!(decide("ann", &own).allowed && !decide("bob", &own).allowed, "{policy} {own}");
            }
        }
    }
}

#[test]
fn the_example_of_a_test_file_passes() {
    let report = run_tests(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies/app.tests.json")).unwrap();
    assert_eq!((report.failed(), report.passed()), (0, report.results.len()), "{report}");
    let missing = run_tests("no/such/file.json").unwrap_err();
    assert!(missing.to_string().contains("no/such/file.json"), "{missing}");
}

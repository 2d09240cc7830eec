//! Each rule of precedence as a test, and the compiled form against a naive evaluator straight from the statements.

use super::*;
use crate::policy::Policy;
use proptest::prelude::*;

fn compiled(text: &str, dialect: Dialect) -> CompiledPolicies {
    CompiledPolicies::compile(&[&Policy::parse("p", text).expect("sound policy")], dialect)
}

/// Rules by path, each giving what its words say.
fn policy(rules: &[(&str, &str)]) -> String {
    rules
        .iter()
        .map(|(path, words)| {
            format!(
                "path {path:?} {{ capabilities = [{}] }}\n",
                words.split(' ').filter(|w| !w.is_empty()).map(|w| format!("{w:?}")).collect::<Vec<_>>().join(", ")
            )
        })
        .collect()
}

fn winner(paths: &[&str], path: &str) -> Option<String> {
    let rules: Vec<_> = paths.iter().map(|path| (*path, "read")).collect();
    compiled(&policy(&rules), Dialect::Vault).decide(path, Capability::Read).rule().map(str::to_owned)
}

#[test]
fn an_exact_rule_always_wins() {
    assert_eq!(winner(&["a/b", "a/*", "a/+", "+/b", "a/b*"], "a/b").as_deref(), Some("a/b"));
}

#[test]
fn the_longest_prefix_wins_among_prefixes() {
    assert_eq!(winner(&["*", "a/*", "a/b*", "a/bc/*"], "a/bcd").as_deref(), Some("a/b*"));
    assert_eq!(winner(&["a*"], "ü").as_deref(), None);
    assert_eq!(winner(&["*", "a\u{fc}*"], "a\u{fd}").as_deref(), Some("*"));
}

#[test]
fn a_star_elsewhere_is_literal() {
    assert_eq!(winner(&["a/*/c"], "a/b/c"), None);
    assert_eq!(winner(&["a/*/c"], "a/*/c").as_deref(), Some("a/*/c"));
}

#[test]
fn a_plus_matches_one_whole_segment_the_empty_one_included() {
    assert_eq!(winner(&["a/+"], "a/b").as_deref(), Some("a/+"));
    assert_eq!(winner(&["a/+"], "a/").as_deref(), Some("a/+"));
    for path in ["a", "a/b/c", "b/b"] {
        assert_eq!(winner(&["a/+"], path), None, "{path}");
    }
    let listing = compiled(&policy(&[("secret/+", "list")]), Dialect::Vault);
    assert!(listing.decide("secret/", Capability::List).allowed());
    assert!(listing.decide("secret", Capability::List).allowed());
}

#[test]
fn a_segment_that_starts_with_plus_is_literal_in_the_wildcard_class() {
    assert_eq!(winner(&["foo/+bar"], "foo/+bar").as_deref(), Some("foo/+bar"));
    assert_eq!(winner(&["foo/+bar"], "foo/xbar"), None);
    // In the wildcard class it does not win as an exact rule would.
    assert_eq!(winner(&["foo/+bar", "foo/+ba*"], "foo/+bar").as_deref(), Some("foo/+bar"));
}

#[test]
fn wildcards_compete_by_first_position_ending_number_length_and_order() {
    for (paths, path, expected) in [
        (vec!["foo/a*", "foo/+"], "foo/ab", "foo/a*"),
        (vec!["foo/bar/+/baz", "foo/+/bar/baz"], "foo/bar/bar/baz", "foo/bar/+/baz"),
        (vec!["foo/+/bar", "foo/+/ba*"], "foo/x/bar", "foo/+/bar"),
        (vec!["foo/+", "foo/*"], "foo/x", "foo/+"),
        (vec!["foo/bar/+/baz", "foo/bar/+/+"], "foo/bar/x/baz", "foo/bar/+/baz"),
        (vec!["foo/+/bar/ba*", "foo/+/bar/b*"], "foo/x/bar/baz", "foo/+/bar/ba*"),
        (vec!["foo/+/a*", "foo/+/*"], "foo/x/ab/c", "foo/+/a*"),
    ] {
        assert_eq!(winner(&paths, path).as_deref(), Some(expected), "{paths:?} {path}");
        let reversed: Vec<_> = paths.into_iter().rev().collect();
        assert_eq!(winner(&reversed, path).as_deref(), Some(expected), "{reversed:?} {path}");
    }
}

#[test]
fn only_the_winning_path_applies_and_rules_merge_on_identical_paths_only() {
    let text = policy(&[("a/*", "read list"), ("a/b", "update"), ("a/b", "delete")]);
    let compiled = compiled(&text, Dialect::Vault);
    let allowed = |capability| compiled.decide("a/b", capability).allowed();
    assert!(allowed(Capability::Update) && allowed(Capability::Delete));
    assert!(!allowed(Capability::Read), "the broader rule gives nothing where a more specific one exists");
    assert_eq!(compiled.capabilities("a/b"), ["delete", "update"]);
    assert_eq!(compiled.capabilities("b"), ["deny"]);
}

#[test]
fn deny_erases_its_own_path_only_and_a_more_specific_allow_beats_a_broader_deny() {
    let text = policy(&[("a/*", "deny read"), ("a/b", "read"), ("c", "read"), ("c", "deny")]);
    let compiled = compiled(&text, Dialect::Vault);
    assert!(!compiled.decide("a/x", Capability::Read).allowed());
    assert!(compiled.decide("a/b", Capability::Read).allowed());
    assert!(!compiled.decide("c", Capability::Read).allowed());
}

#[test]
fn list_finds_exact_rules_with_the_slash_then_without() {
    let with = compiled(&policy(&[("a/", "list"), ("a", "deny")]), Dialect::Vault);
    let without = compiled(&policy(&[("a", "list")]), Dialect::Vault);
    for path in ["a", "a/"] {
        assert!(with.decide(path, Capability::List).allowed(), "{path}");
        assert!(without.decide(path, Capability::List).allowed(), "{path}");
    }
    assert!(!without.decide("a/", Capability::Read).allowed(), "only listings take the other form");
}

#[test]
fn the_dialects_differ_in_which_form_of_a_listing_goes_first() {
    let text = policy(&[("a/b*", "deny"), ("a/b/*", "list")]);
    assert!(!compiled(&text, Dialect::Vault).decide("a/b", Capability::List).allowed());
    assert!(compiled(&text, Dialect::OpenBao).decide("a/b", Capability::List).allowed());
    assert!(compiled(&policy(&[("a/b/*", "list")]), Dialect::Vault).decide("a/b", Capability::List).allowed());
}

#[test]
fn root_may_do_everything() {
    let root = CompiledPolicies::root();
    assert!(
        Capability::ALL
            .into_iter()
            .filter(|c| *c != Capability::Deny)
            .all(|c| root.decide("any/path", c).has(Capability::Sudo) && root.decide("x", c).allowed())
    );
    assert_eq!((root.decide("x", Capability::Read).policy(), root.capabilities("x")), (Some("root"), vec!["root"]));
}

/// The evaluator as the statements read: every rule is matched, the best is sought by comparing.
fn naive(rules: &[(String, CapabilitySet)], path: &str, asked: Capability, dialect: Dialect) -> bool {
    let is_segments = |rule: &str| rule == "+" || rule.starts_with("+/") || rule.contains("/+");
    let granted = |rule: &str| {
        let merged = rules.iter().filter(|(path, _)| path == rule).fold(CapabilitySet::default(), |all, (_, set)| all.union(*set));
        merged.grants(asked)
    };
    let exact =
        |path: &str| rules.iter().map(|(rule, _)| rule.as_str()).find(|rule| !is_segments(rule) && !rule.ends_with('*') && *rule == path);
    let matches = |rule: &str, path: &str| {
        let (body, glob) = rule.strip_suffix('*').map_or((rule, false), |body| (body, true));
        if !is_segments(rule) {
            return glob && path.starts_with(body);
        }
        let parts: Vec<&str> = body.split('/').collect();
        let segments: Vec<&str> = path.split('/').collect();
        if segments.len() < parts.len() || !glob && segments.len() != parts.len() {
            return false;
        }
        (0..parts.len()).all(|i| {
            parts[i] == "+" && !(glob && i == parts.len() - 1)
                || parts[i] == segments[i]
                || glob && i == parts.len() - 1 && segments[i].starts_with(parts[i])
        })
    };
    let non_exact = |path: &str| {
        let mut best: Option<&str> = None;
        for (rule, _) in rules.iter().filter(|(rule, _)| (is_segments(rule) || rule.ends_with('*')) && matches(rule, path)) {
            let rank = |rule: &str| {
                let first = if is_segments(rule) { rule.find('+') } else { rule.find('*') };
                let pluses = if is_segments(rule) { rule.trim_end_matches('*').split('/').filter(|s| *s == "+").count() } else { 0 };
                (first, !rule.ends_with('*'), std::cmp::Reverse(pluses), rule.len(), rule.to_owned())
            };
            if best.is_none_or(|best| rank(rule) > rank(best)) {
                best = Some(rule);
            }
        }
        best
    };
    let bare = path.strip_suffix('/').unwrap_or(path);
    let slashed = format!("{bare}/");
    let winner = if asked != Capability::List {
        exact(path).or_else(|| non_exact(path))
    } else if dialect == Dialect::Vault {
        exact(&slashed).or_else(|| exact(bare)).or_else(|| non_exact(bare)).or_else(|| non_exact(&slashed))
    } else {
        exact(&slashed).or_else(|| exact(bare)).or_else(|| non_exact(&slashed)).or_else(|| non_exact(bare))
    };
    winner.is_some_and(granted)
}

fn rule_paths() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("ab"), Just("+"), Just("+a"), Just("")], 1..4)
        .prop_flat_map(|segments| (Just(segments.join("/")), any::<bool>()))
        .prop_map(|(path, glob)| if glob && !path.ends_with('+') { path + "*" } else { path })
        .prop_filter("a rule's path is not empty", |path| !path.is_empty() && !path.starts_with('/'))
}

fn sets() -> impl Strategy<Value = CapabilitySet> {
    prop::collection::vec(prop_oneof![4 => Just(Capability::Read), 4 => Just(Capability::List), 1 => Just(Capability::Deny)], 0..3)
        .prop_map(|capabilities| capabilities.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_form_decides_as_the_statements_read(
        rules in prop::collection::vec((rule_paths(), sets()), 0..7),
        path in "(a|b|ab|\\+a)(/(a|b|ab|\\+a)){0,3}/?",
        list in any::<bool>(),
        bao in any::<bool>(),
    ) {
        let dialect = if bao { Dialect::OpenBao } else { Dialect::Vault };
        let asked = if list { Capability::List } else { Capability::Read };
        let text: String = rules.iter().map(|(path, set)| {
            let names: Vec<_> = Capability::ALL.into_iter().filter(|c| set.contains(*c)).map(|c| format!("{:?}", c.name())).collect();
            format!("path {path:?} {{ capabilities = [{}] }}\n", names.join(", "))
        }).collect();
        let compiled = compiled(&text, dialect);
        let ruling = compiled.decide(&path, asked);
        prop_assert_eq!(ruling.allowed(), naive(&rules, &path, asked, dialect), "{} {:?} {}", text, asked, path);
    }
}

//! Each rule of precedence as a test.

use super::*;
use crate::policy::Policy;

const BOTH: [Dialect; 2] = [Dialect::Vault, Dialect::OpenBao];

fn compiled(text: &str, dialect: Dialect) -> CompiledPolicies {
    CompiledPolicies::compile(&[&Policy::parse("p", text).expect("sound policy")], dialect.into(), None)
}

fn allowed(compiled: &CompiledPolicies, path: &str, asked: Capability) -> bool {
    compiled.decide(path, asked, Given::default()).allowed()
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

/// The rule that decides on reading a path: the same in both dialects.
fn winner(paths: &[&str], path: &str) -> Option<String> {
    let rules: Vec<_> = paths.iter().map(|path| (*path, "read")).collect();
    let winners = BOTH.map(|dialect| {
        let compiled = compiled(&policy(&rules), dialect);
        compiled.decide(path, Capability::Read, Given::default()).rule().map(str::to_owned)
    });
    assert_eq!(winners[0], winners[1]);
    winners[0].clone()
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
    for dialect in BOTH {
        let listing = compiled(&policy(&[("secret/+", "list")]), dialect);
        assert!(allowed(&listing, "secret/", Capability::List) && allowed(&listing, "secret", Capability::List));
    }
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
    for dialect in BOTH {
        let compiled = compiled(&policy(&[("a/*", "read list"), ("a/b", "update"), ("a/b", "delete")]), dialect);
        assert!(allowed(&compiled, "a/b", Capability::Update) && allowed(&compiled, "a/b", Capability::Delete));
        assert!(!allowed(&compiled, "a/b", Capability::Read), "the broader rule gives nothing where a more specific one exists");
        assert_eq!(compiled.capabilities("a/b"), ["delete", "update"]);
        assert_eq!(compiled.capabilities("b"), ["deny"]);
    }
}

#[test]
fn deny_erases_its_own_path_only_and_a_more_specific_allow_beats_a_broader_deny() {
    for dialect in BOTH {
        let compiled = compiled(&policy(&[("a/*", "deny read"), ("a/b", "read"), ("c", "read"), ("c", "deny")]), dialect);
        assert!(!allowed(&compiled, "a/x", Capability::Read));
        assert!(allowed(&compiled, "a/b", Capability::Read));
        assert!(!allowed(&compiled, "c", Capability::Read));
    }
}

#[test]
fn an_absolute_deny_wins_over_every_allow_and_in_every_form() {
    for dialect in BOTH {
        let settings = Settings { dialect, absolute_deny: true };
        let absolute = |rules: &[(&str, &str)]| {
            let policy = Policy::parse("p", &policy(rules)).expect("sound policy");
            CompiledPolicies::compile(&[&policy], settings, None)
        };
        for broad in ["*", "a/*", "+/b", "a/+", "a/b*", "+/*"] {
            let compiled = absolute(&[(broad, "deny"), ("a/b", "read list"), ("c", "read")]);
            assert!(!allowed(&compiled, "a/b", Capability::Read), "{broad}");
            assert_eq!(allowed(&compiled, "c", Capability::Read), broad != "*", "{broad}");
        }
        for form in ["a/b", "a/b/", "a/b*", "a/b/*", "a/b/+", "+/b", "+/b/"] {
            let compiled = absolute(&[(form, "deny"), (if form == "a/b/" { "a/b" } else { "a/b/" }, "list")]);
            for path in ["a/b", "a/b/"] {
                let ruling = compiled.decide(path, Capability::List, Given::default());
                assert!(!ruling.allowed() && ruling.rule() == Some(form), "{form} {path}");
            }
        }
    }
}

#[test]
fn list_finds_exact_rules_with_the_slash_then_without() {
    for dialect in BOTH {
        let with = compiled(&policy(&[("a/", "list"), ("a", "deny")]), dialect);
        let without = compiled(&policy(&[("a", "list")]), dialect);
        for path in ["a", "a/"] {
            assert!(allowed(&with, path, Capability::List) && allowed(&without, path, Capability::List), "{path}");
        }
        assert!(!allowed(&without, "a/", Capability::Read), "only listings take the other form");
    }
}

#[test]
fn the_dialects_differ_in_which_form_of_a_listing_goes_first() {
    let text = policy(&[("a/b*", "deny"), ("a/b/*", "list")]);
    assert!(!allowed(&compiled(&text, Dialect::Vault), "a/b", Capability::List));
    assert!(allowed(&compiled(&text, Dialect::OpenBao), "a/b", Capability::List));
    for dialect in BOTH {
        assert!(allowed(&compiled(&policy(&[("a/b/*", "list")]), dialect), "a/b", Capability::List));
        assert!(allowed(&compiled(&policy(&[("a/b*", "list")]), dialect), "a/b", Capability::List));
    }
}

#[test]
fn root_may_do_everything() {
    let root = CompiledPolicies::root();
    assert!(
        Capability::ALL
            .into_iter()
            .filter(|c| *c != Capability::Deny)
            .all(|c| root.decide("any/path", c, Given::default()).has(Capability::Sudo) && root.decide("x", c, Given::default()).allowed())
    );
    assert_eq!((root.decide("x", Capability::Read, Given::default()).policy(), root.capabilities("x")), (Some("root"), vec!["root"]));
}

//! A value never leaves its quotes: by examples, and for random statements and values by a reader of its own.

use super::*;
use proptest::prelude::*;

fn values<'a>(name: &'a str, password: &'a str) -> Values<'a> {
    Values { name, password: Some(password), expiration: Some("2026-11-26 10:00:00+0000") }
}

fn one(dialect: Dialect, template: &str, value: &str) -> Result<String, ConnectorError> {
    let mut done = statements(dialect, &[template.to_owned()], &values(value, value))?;
    assert_eq!(done.len(), 1, "{template}");
    Ok(done.remove(0).to_string())
}

#[test]
fn values_are_escaped_for_where_they_stand() {
    for (template, value, expected) in [
        ("x '{{password}}'", "a'b\\", "x 'a''b\\'"),
        ("x E'{{password}}'", "a'b\\", "x E'a''b\\\\'"),
        ("x \"{{name}}\"", "a\"b'", "x \"a\"\"b'\""),
        ("x {{name}}", "v-a_1", "x v-a_1"),
        ("do $$ '{{name}}' $$", "v-a", "do $$ 'v-a' $$"),
        ("x '{{expiration}}'", "", "x '2026-11-26 10:00:00+0000'"),
    ] {
        assert_eq!(one(Dialect::Postgres, template, value).expect(template), expected);
    }
    for (template, value, expected) in [
        ("x '{{password}}'", "a'b\\\"", "x 'a''b\\\\\"'"),
        ("x \"{{password}}\"", "a'b\\\"", "x \"a'b\\\\\"\"\""),
        ("x `{{name}}`", "a`b\\", "x `a``b\\`"),
    ] {
        assert_eq!(one(Dialect::Mysql, template, value).expect(template), expected);
    }
}

#[test]
fn values_that_would_mean_something_are_refused_and_not_told() {
    let hostile =
        ["secret'x", "secret x", "secret;x", "secret--x", "-secret", "secret-", "secret$$", "secret*/", "secret\nx", "", "secret\\"];
    for value in hostile {
        for template in ["x {{password}}", "do $$ {{password}} $$", "x /* {{password}} */", "x -- {{password}}"] {
            let told = one(Dialect::Postgres, template, value).expect_err(template).to_string();
            assert!(!told.contains("secret"), "{told}");
        }
    }
    assert!(one(Dialect::Mysql, "x '{{password}}'", "secret\0").is_err());
    let nothing = Values { name: "a", password: None, expiration: None };
    for template in ["x '{{password}}'", "x '{{expiration}}'"] {
        assert!(statements(Dialect::Mysql, &[template.to_owned()], &nothing).is_err());
    }
}

#[test]
fn statements_have_limits() {
    let long = "x".repeat(STATEMENT_BYTES_MAX + 1);
    assert!(statements(Dialect::Postgres, &[long], &values("a", "b")).is_err());
    assert!(statements(Dialect::Postgres, &["x;".repeat(STATEMENTS_MAX + 1)], &values("a", "b")).is_err());
    assert_eq!(statements(Dialect::Postgres, &["x;".repeat(STATEMENTS_MAX)], &values("a", "b")).expect("few enough").len(), STATEMENTS_MAX);
}

#[test]
fn an_end_is_told_in_the_servers_own_way_and_never_too_early() {
    let at = Some(Timestamp::from_millis(1_790_000_000_001));
    assert_eq!(expiration(Dialect::Postgres, at), "2026-09-21 14:13:21+0000");
    assert_eq!(expiration(Dialect::Mysql, at), "2026-09-21 14:13:21");
    assert_eq!(expiration(Dialect::Postgres, None), "infinity");
}

/// The quoted texts of a statement as a server reads them, without our lexer: what stands between this quote and its end.
fn read_back(text: &str, from: usize, by: char, escapes: bool) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut characters = text[from..].char_indices().peekable();
    characters.next().filter(|(_, first)| *first == by)?;
    while let Some((at, character)) = characters.next() {
        if escapes && character == '\\' {
            out.push(characters.next()?.1);
        } else if character == by {
            if characters.peek().is_some_and(|(_, next)| *next == by) {
                characters.next();
                out.push(by);
            } else {
                return Some((out, from + at + 1));
            }
        } else {
            out.push(character);
        }
    }
    None
}

fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("'"),
        Just("\""),
        Just("`"),
        Just("\\"),
        Just("$$"),
        Just(";"),
        Just("--"),
        Just("/*"),
        Just("*/"),
        Just("\n"),
        Just("E'"),
        Just("{{password}}"),
        Just("a"),
        Just("ä"),
        Just(" "),
        Just("$x$"),
        Just("#")
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_server_reads_a_quoted_value_as_it_is(value in hostile(), before in "[a-z ]{0,4}", after in "[a-z ]{0,4}") {
        for (dialect, open, by, escapes) in [
            (Dialect::Postgres, "", '\'', false), (Dialect::Postgres, "E", '\'', true), (Dialect::Postgres, "", '"', false),
            (Dialect::Mysql, "", '\'', true), (Dialect::Mysql, "", '"', true), (Dialect::Mysql, "", '`', false),
        ] {
            let done = one(dialect, &format!("x {open}{by}{before}{{{{password}}}}{after}{by} y"), &value).expect("quotes take anything");
            let (read, end) = read_back(&done, 2 + open.len(), by, escapes).expect("the quote ends");
            prop_assert_eq!(read, format!("{before}{value}{after}"));
            prop_assert_eq!(&done[end..], " y");
        }
    }

    #[test]
    fn a_value_changes_no_statements_number_and_nothing_around_it(value in hostile(), pieces in prop::collection::vec(0_usize..12, 0..10)) {
        const PIECES: [&str; 12] =
            ["a ", "'{{name}}'", "\"{{name}}\"", " {{name}} ", "; ", "E'x{{name}}' ", "/* {{name}} */", "$$ {{name}} $$ ", "-- {{name}}\n", "'it''s' ", "E'\\'' ", "`{{name}}` "];
        let template = pieces.into_iter().map(|piece| PIECES[piece]).collect::<Vec<_>>().concat();
        for dialect in [Dialect::Postgres, Dialect::Mysql] {
            let with = |value: &str| statements(dialect, std::slice::from_ref(&template), &values(value, value));
            if let (Ok(plain), Ok(done)) = (with("a"), with(&value)) {
                prop_assert_eq!(plain.len(), done.len());
                // What was put in is cut by the same lexer again: as many statements, none of which ends somewhere else.
                for statement in done.iter().filter(|statement| !statement.contains("{{")) {
                    prop_assert_eq!(cut(dialect, statement).map(|cut| cut.len()).unwrap_or(0), 1, "{}", statement.as_str());
                }
            }
        }
    }

    #[test]
    fn whatever_a_statement_is_it_is_read_without_a_panic(text in "\\PC{0,40}", value in hostile()) {
        for dialect in [Dialect::Postgres, Dialect::Mysql] {
            let _ = statements(dialect, std::slice::from_ref(&text), &values(&value, &value));
        }
    }
}

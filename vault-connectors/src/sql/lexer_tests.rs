//! Where statements are cut, and what placeholders are found to stand in.

use super::*;

fn statements(dialect: Dialect, text: &str) -> Vec<String> {
    let told = |statement: Vec<Piece<'_>>| -> String {
        let told = statement.into_iter().map(|piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Hole(hole, context) => format!("<{hole:?} {context:?}>"),
        });
        told.collect::<String>().trim().to_owned()
    };
    cut(dialect, text).expect(text).into_iter().map(told).collect()
}

fn contexts(dialect: Dialect, text: &str) -> Vec<Context> {
    let pieces = cut(dialect, text).expect(text).into_iter().flatten();
    pieces.filter_map(|piece| if let Piece::Hole(_, context) = piece { Some(context) } else { None }).collect()
}

#[test]
fn statements_are_cut_at_semicolons_that_mean_an_end() {
    assert_eq!(statements(Dialect::Postgres, "a; b ;; c;\n"), ["a", "b", "c"]);
    for whole in [
        "select ';'",
        "select 'it''s;'",
        "select E'it\\';'",
        "select e'\\\\;'",
        "select \"a;b\"\"c;\"",
        "do $$ begin; end; $$",
        "do $x$ $$ ; $y$ ; $x$",
        "select 1 /* ; /* ; */ ; */ + 1",
        "select 1 -- ; it's\n + 1",
        "select '\\'",
        "select U&'\\0061;'",
    ] {
        assert_eq!(statements(Dialect::Postgres, whole).len(), 1, "{whole}");
    }
    assert_eq!(statements(Dialect::Postgres, "select '\\'; select 2").len(), 2);
    assert_eq!(statements(Dialect::Postgres, "select $1; select a$b; select 2").len(), 3);
    for whole in ["select 'it\\';'", "select \"a\\\";\"", "select `a;\\`", "select 1 # ;\n + 1", "select 1 -- ;\n", "select 1 /* ; */"] {
        assert_eq!(statements(Dialect::Mysql, whole).len(), 1, "{whole}");
    }
    assert_eq!(statements(Dialect::Mysql, "select 1--1; select 2").len(), 2);
    assert_eq!(statements(Dialect::Mysql, "select '$$'; select $$; select 2").len(), 3);
}

#[test]
fn a_placeholder_is_found_with_what_it_stands_in() {
    let single = |escapes| Context::Quoted { by: b'\'', escapes };
    let double = |escapes| Context::Quoted { by: b'"', escapes };
    let cases = [
        ("'{{name}}'", single(false), single(true)),
        ("'x''{{ name }}'", single(false), single(true)),
        ("\"{{username}}\"", double(false), double(true)),
        ("({{name}})", Context::Plain, Context::Plain),
        ("/* '{{name}}' */", Context::Inner, Context::Inner),
        ("-- {{name}}", Context::Inner, Context::Inner),
    ];
    for (text, postgres, mysql) in cases {
        assert_eq!(contexts(Dialect::Postgres, text), [postgres], "{text}");
        assert_eq!(contexts(Dialect::Mysql, text), [mysql], "{text}");
    }
    assert_eq!(contexts(Dialect::Postgres, "E'{{password}}'"), [single(true)]);
    assert_eq!(contexts(Dialect::Postgres, "do $$ execute '{{name}}' $$"), [Context::Inner]);
    assert_eq!(contexts(Dialect::Mysql, "`{{name}}`"), [Context::Quoted { by: b'`', escapes: false }]);
}

#[test]
fn statements_whose_reading_is_not_certain_are_refused() {
    let both = ["'{{name}}", "{{nme}}", "{{}}", "{{name", "x{{name}}", "{{name}}'x'", "{{name}}$", "E{{name}}", "/* {{name}}", "/*", "'"];
    for text in both {
        assert!(cut(Dialect::Postgres, text).is_err(), "{text}");
        assert!(cut(Dialect::Mysql, text).is_err(), "{text}");
    }
    for text in [
        "U&'{{name}}'",
        "u&\"{{name}}\"",
        "E'a'\n'{{name}}'",
        "E'a' -- {{name}}\n'b'",
        "E'a' /* {{name}} */ '{{password}}'",
        "E'\\{{name}}'",
        "a$b$ {{name}} $b$",
        "$$",
        "1e'x'",
        "$a{{name}}$",
    ] {
        assert!(cut(Dialect::Postgres, text).is_err(), "{text}");
    }
    for text in ["/*! drop */", "/*M! drop */", "/* /* */", "'\\{{name}}'", "`{{name}}"] {
        assert!(cut(Dialect::Mysql, text).is_err(), "{text}");
    }
}

//! Documents that name tests: each test that they name is there, and each statement of the semantics has one.

use std::collections::BTreeSet;

/// The list of statements with their tests, and how many numbered ones there are.
const STATEMENTS: (&str, usize) = ("docs/semantics.md", 20);
/// What else names tests.
const OTHERS: [&str; 1] = ["docs/threat-model.md"];
/// A name in a document that has so many underscores is a test's.
const UNDERSCORES: usize = 4;

/// The tests that were seen, and the documents that name some.
#[derive(Default)]
pub(crate) struct Named {
    tests: BTreeSet<String>,
    documents: Vec<(String, String)>,
}

impl Named {
    /// Looks at one more file.
    pub(crate) fn read(&mut self, name: &str, text: &str) {
        if name == STATEMENTS.0 || OTHERS.contains(&name) {
            self.documents.push((name.to_owned(), text.to_owned()));
        } else if name.ends_with(".rs") {
            self.tests.extend(rust_tests(text));
        } else if name.ends_with(".py") {
            let functions = text.lines().filter_map(|line| line.trim_start().strip_prefix("def ")?.split_once('('));
            self.tests.extend(functions.filter(|(name, _)| name.starts_with("test_")).map(|(name, _)| name.to_owned()));
        }
    }

    /// What is wrong, once all files were looked at.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (document, text) in &self.documents {
            for (number, line) in text.lines().enumerate() {
                let missing = names(line).filter(|name| !self.tests.contains(*name));
                problems.extend(missing.map(|name| format!("{document}:{}: there is no test `{name}`", number + 1)));
            }
            if document == STATEMENTS.0 {
                let is_there =
                    |number: &usize| text.lines().any(|line| line.starts_with(&format!("| {number} | ")) && names(line).count() > 0);
                let missing = (1..=STATEMENTS.1).filter(|number| !is_there(number));
                problems.extend(missing.map(|number| format!("{document}: statement {number} has no row with a test")));
            }
        }
        problems
    }
}

/// The names of tests in a line of a document.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let is_name = |text: &&str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    line.split('`').skip(1).step_by(2).filter(is_name).filter(|text| text.matches('_').count() >= UNDERSCORES)
}

/// The functions behind `#[test]`, whatever other attributes stand between.
fn rust_tests(text: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some((name, _)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once('(')) {
            if std::mem::take(&mut is_test) {
                tests.push(name.to_owned());
            }
        } else if !line.starts_with("#[") {
            is_test = false;
        }
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(document: &str, rust: &str) -> Vec<String> {
        let mut named = Named::default();
        named.read(OTHERS[0], document);
        named.read("x.rs", rust);
        named.problems()
    }

    #[test]
    fn a_test_that_is_named_must_be_there() {
        let rust = "#[test]\n#[ignore = \"long\"]\nfn a_b_c_d_e() {}\nfn no_test_at_all_here() {}\n";
        assert!(problems("see `a_b_c_d_e` and `short_name`", rust).is_empty());
        assert_eq!(problems("a\n`a_b_c_d_f`", rust), ["docs/threat-model.md:2: there is no test `a_b_c_d_f`"]);
        assert_eq!(problems("`no_test_at_all_here`", rust).len(), 1, "a function is no test");
    }

    #[test]
    fn each_statement_needs_a_row_with_a_test() {
        let mut named = Named::default();
        let rows: String = (2..=STATEMENTS.1).map(|number| format!("| {number} | x | `a_b_c_d_e` |\n")).collect();
        named.read(STATEMENTS.0, &format!("| 1 | x | none |\n{rows}"));
        named.read("x.rs", "#[test]\nfn a_b_c_d_e() {}");
        assert_eq!(named.problems(), ["docs/semantics.md: statement 1 has no row with a test"]);
    }
}

//! Files and functions that have grown long: told, and left to people to judge.

use super::code::without_comments;
use super::paths::tokens;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// What is long in a Rust file.
pub(crate) fn check(name: &str, source: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let lines = source.lines().count();
    if lines > FILE_LINES_MAX {
        warnings.push(format!("{name} has {lines} lines"));
    }
    let code = without_comments(source);
    let tokens = tokens(&code);
    for at in 0..tokens.len() {
        let is_named = tokens.get(at + 1).is_some_and(|(_, next)| next.starts_with(|c: char| c.is_alphabetic() || c == '_'));
        if tokens[at].1 != "fn" || !is_named {
            continue;
        }
        let lines = last_line(&tokens[at..]) + 1 - tokens[at].0;
        if lines > FUNCTION_LINES_MAX {
            warnings.push(format!("{name}:{} is a function of {lines} lines", tokens[at].0));
        }
    }
    warnings
}

/// The line on which a function ends that begins here: with its body, or with its semicolon if it has none.
fn last_line(tokens: &[(usize, &str)]) -> usize {
    let mut depth = 0_usize;
    for (line, token) in tokens {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(*token, "}" | ";") {
            return *line;
        }
    }
    tokens.last().map_or(0, |(line, _)| *line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_measured_from_its_name_to_its_end() {
        let body = |lines: usize| {
            format!("pub async fn a<T>(\n    b: T,\n) -> c\nwhere\n    T: D,\n{{\n{}}}\nfn e() {{}}\n", "x;\n".repeat(lines))
        };
        assert!(check("a.rs", &body(FUNCTION_LINES_MAX - 7)).is_empty());
        assert_eq!(check("a.rs", &body(FUNCTION_LINES_MAX - 6)), ["a.rs:1 is a function of 71 lines"]);
    }

    #[test]
    fn a_declaration_and_a_type_have_no_body() {
        let rest = "x;\n".repeat(FUNCTION_LINES_MAX + 1);
        assert!(check("a.rs", &format!("fn a(b: [u8; 3]);\nlet c: fn(d) = e;\n{rest}")).is_empty());
    }

    #[test]
    fn a_long_file_is_told() {
        assert!(check("a.rs", &"\n".repeat(FILE_LINES_MAX)).is_empty());
        assert_eq!(check("a.rs", &"\n".repeat(FILE_LINES_MAX + 1)).len(), 1);
    }
}

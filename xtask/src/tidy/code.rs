//! A Rust file as the compiler sees it: comments and the insides of texts become spaces, so that every line keeps its number.

/// The code without comments and without what stands in texts and character literals.
pub(crate) fn without_comments(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_blank(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// The code (already without comments) without what `#[cfg(test)]` or `#[cfg(all(test, ..))]` guards: the items, and no more.
pub(crate) fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::with_capacity(code.len());
    while let Some(start) = ["#[cfg(test)]", "#[cfg(all(test,"].iter().filter_map(|guard| rest.find(guard)).min() {
        let end = start + end_of_item(&rest[start..]);
        kept.push_str(&rest[..start]);
        kept.extend(rest[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[end..];
    }
    if code.trim_start().starts_with("#![cfg(test)]") {
        return String::new();
    }
    kept + rest
}

/// Where an item ends that begins (with its attributes) at the start of this code: after its body, or after its semicolon.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(c, '}' | ';') {
            return at + c.len_utf8();
        }
    }
    code.len()
}

/// Where a comment or a literal ends that begins here; `at` itself if none does.
fn end_of_blank(chars: &[char], at: usize) -> usize {
    let next = |ahead: usize| chars.get(at + ahead).copied().unwrap_or('\0');
    let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if next(1) == '/' => end_where(chars, at, |rest| rest[0] == '\n'),
        '/' if next(1) == '*' => end_of_block_comment(chars, at),
        '"' => end_of_quoted(chars, at + 1, '"'),
        '\'' if next(1) == '\\' || (next(2) == '\'' && next(1) != '\'') => end_of_quoted(chars, at + 1, '\''),
        'r' | 'b' | 'c' if !after_word => end_of_raw(chars, at),
        _ => at,
    }
}

fn end_where(chars: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|&at| is_end(&chars[at..])).unwrap_or(chars.len())
}

fn end_of_block_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0_usize, from);
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn end_of_quoted(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `r"..."`, `br#"..."#` and the like; other words that begin with these letters are left alone, raw names (`r#type`) too.
fn end_of_raw(chars: &[char], from: usize) -> usize {
    let prefix = chars[from..].iter().take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
    let hashes = chars[from + prefix..].iter().take_while(|&&c| c == '#').count();
    let open = from + prefix + hashes;
    let is_raw = chars[from..from + prefix].contains(&'r');
    if prefix > 2 || !is_raw || chars.get(open) != Some(&'"') {
        return from;
    }
    let is_end = |rest: &[char]| rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|&c| c == '#');
    (end_where(chars, open + 1, is_end) + 1 + hashes).min(chars.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words that are left, with single spaces.
    fn words(code: &str) -> String {
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_texts_are_blanked() {
        for (source, left) in [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            ("a(\"b // c\") d", "a( ) d"),
            (r#"a("b \" c") d"#, "a( ) d"),
            ("a(r#\"b \" c\"#) d", "a( ) d"),
            ("a(br\"b\\\") d", "a( ) d"),
            ("a(b\"c\") d", "a(b ) d"),
            ("a('\"') b", "a( ) b"),
            ("a('\\'') b", "a( ) b"),
            ("fn a<'b>(c: &'b str) {}", "fn a<'b>(c: &'b str) {}"),
            ("let r#type = bar; rb", "let r#type = bar; rb"),
        ] {
            assert_eq!(words(&without_comments(source)), left, "{source}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let source = "a /* b\nc */ \"d\ne\"\n#[cfg(test)]\nmod t {\n}\nf";
        let code = without_tests(&without_comments(source));
        assert_eq!(code.lines().position(|line| line.contains('f')), Some(6));
    }

    #[test]
    fn only_the_guarded_item_is_a_test() {
        for (code, left) in [
            ("a #[cfg(test)] mod t { b { } } c", "a c"),
            ("a #[cfg(test)] use b::{c, d}; e", "a ; e"),
            ("a #[cfg(test)] mod t; b", "a b"),
            ("a #[cfg(test)] #[allow(b)] fn c(d: [u8; 3]) { e } f", "a f"),
            ("a #[cfg(all(test, b))] mod t { c } d", "a d"),
            ("a #[cfg(any(test, b))] mod t { c } d", "a #[cfg(any(test, b))] mod t { c } d"),
            ("#![cfg(test)] a", ""),
        ] {
            assert_eq!(words(&without_tests(code)), left, "{code}");
        }
    }

    #[test]
    fn a_file_that_is_cut_is_read_to_its_end() {
        for source in ["/* a", "\"a", "r#\"a", "'\\", "#[cfg(test)]", "\"\\"] {
            without_tests(&without_comments(source));
        }
    }
}

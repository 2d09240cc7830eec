//! Every path in a Rust file (`a::b::c`), with the trees of `use` unfolded and `crate`, `self` and `super` resolved.

/// Words after which a `::` begins a path instead of continuing one.
const KEYWORDS: [&str; 16] =
    ["as", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move", "mut", "return", "use", "while"];

/// A path and the line it stands on (from 1).
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) line: usize,
    /// Whether the path begins at the crate's root; otherwise it names another crate, or something that is in scope.
    pub(crate) in_crate: bool,
    /// Whether `use` brings it into scope, perhaps under another name.
    pub(crate) imported: bool,
    pub(crate) segments: Vec<String>,
}

/// The paths in code that has no comments left; `module` is where in the crate the file stands.
pub(crate) fn paths(code: &str, module: &[&str]) -> Vec<Found> {
    let tokens = tokens(code);
    let mut reader = Reader { tokens: &tokens, at: 0, module, inline: Vec::new(), imported: false, found: Vec::new() };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.found
}

/// Where in the crate a file stands: `storage/sled/engine.rs` is `storage::sled::engine`, and `storage/mod.rs` is `storage`.
pub(crate) fn module_of(file: &str) -> Vec<&str> {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    stem.split('/').filter(|part| !matches!(*part, "mod" | "lib")).collect()
}

/// The words, `::` and single marks of the code, each with its line.
pub(crate) fn tokens(code: &str) -> Vec<(usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push((number + 1, &rest[..length]));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

struct Reader<'a> {
    tokens: &'a [(usize, &'a str)],
    at: usize,
    module: &'a [&'a str],
    /// For each brace that is open: whether it is that of an inline module, so that `super` counts from there.
    inline: Vec<bool>,
    imported: bool,
    found: Vec<Found>,
}

impl<'a> Reader<'a> {
    fn token(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |(_, token)| token)
    }

    fn step(&mut self) {
        let before = if self.at == 0 { "" } else { self.token(self.at - 1) };
        self.imported = before == "use" || before == "::" && self.at >= 2 && self.token(self.at - 2) == "use";
        match self.token(self.at) {
            "{" if self.imported => return self.tree(&[]),
            "{" => self.inline.push(self.at >= 2 && self.token(self.at - 2) == "mod"),
            "}" => _ = self.inline.pop(),
            // A word that is joined to what stands before it continues a type or a value; a path begins without, or with a leading `::`.
            word if is_name(word)
                && !KEYWORDS.contains(&word)
                && (before != "::" || !follows_a_type(self.at, self.tokens))
                && before != "." =>
            {
                return self.tree(&[]);
            }
            _ => {}
        }
        self.at += 1;
    }

    /// Reads one path, or the tree of paths that its braces hold, after `prefix`.
    fn tree(&mut self, prefix: &[String]) {
        let line = self.tokens[self.at].0;
        let mut segments = prefix.to_vec();
        loop {
            let token = self.token(self.at).to_owned();
            match token.as_str() {
                "{" => return self.branches(&segments),
                // The folder itself, or all that is in it.
                "*" => {}
                "self" if !segments.is_empty() => {}
                name if is_name(name) => segments.push(name.to_owned()),
                _ => break,
            }
            self.at += 1;
            if self.token(self.at) != "::" {
                break;
            }
            self.at += 1;
        }
        self.keep(line, segments);
    }

    fn branches(&mut self, prefix: &[String]) {
        self.at += 1;
        while self.at < self.tokens.len() && self.token(self.at) != "}" {
            match self.token(self.at) {
                "," | "::" => self.at += 1,
                "as" => self.at += 2,
                token if is_name(token) || matches!(token, "*" | "{") => self.tree(prefix),
                _ => self.at += 1,
            }
        }
        self.at += 1;
    }

    fn keep(&mut self, line: usize, segments: Vec<String>) {
        let inline = self.inline.iter().filter(|is_module| **is_module).count();
        let first = segments.first().map_or("", String::as_str);
        let (mut base, skip) = match first {
            "crate" | "vault_core" => (Some(Vec::new()), 1),
            "self" | "super" => {
                let ups = segments.iter().skip_while(|name| *name == "self").take_while(|name| *name == "super").count();
                let selfs = usize::from(first == "self");
                // A name for each inline module, so that `super` there stays in the file.
                let here: Vec<String> = self.module.iter().map(|name| (*name).to_owned()).chain(vec![String::new(); inline]).collect();
                (Some(here[..here.len().saturating_sub(ups)].to_vec()), ups + selfs)
            }
            _ => (None, 0),
        };
        let in_crate = base.is_some();
        let mut whole = base.take().unwrap_or_default();
        whole.extend(segments.into_iter().skip(skip));
        self.found.push(Found { line, in_crate, imported: self.imported, segments: whole });
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Whether the `::` before this word has a name or a closing `>` before it.
fn follows_a_type(at: usize, tokens: &[(usize, &str)]) -> bool {
    at >= 2 && (is_name(tokens[at - 2].1) && !KEYWORDS.contains(&tokens[at - 2].1) || tokens[at - 2].1 == ">")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &str, file: &str) -> Vec<String> {
        let show = |found: Found| format!("{}{}", if found.in_crate { "/" } else { "" }, found.segments.join("::"));
        paths(code, &module_of(file)).into_iter().map(show).filter(|path| path.contains("::") || path.starts_with('/')).collect()
    }

    #[test]
    fn trees_are_unfolded() {
        assert_eq!(shown("use crate::{a::b, c::{d, e as f}, g};", "x.rs"), ["/a::b", "/c::d", "/c::e", "/g"]);
        assert_eq!(shown("use crate::{\n  a::{self, B},\n  c::*,\n};", "x.rs"), ["/a", "/a::B", "/c"]);
        assert_eq!(shown("use std::{fs, net::TcpStream};", "x.rs"), ["std::fs", "std::net::TcpStream"]);
        assert_eq!(shown("use {std::fs, crate::a::b};", "x.rs"), ["std::fs", "/a::b"]);
    }

    #[test]
    fn paths_within_code_are_found() {
        assert_eq!(shown("let x = crate::a::b::<u8>(std::fs::read(y)?.z());", "x.rs"), ["/a::b", "std::fs::read"]);
        assert_eq!(shown("<crate::a::B as C>::d(::std::env::var(e))", "x.rs"), ["/a::B", "std::env::var"]);
        assert_eq!(shown("pub(crate) use ::std::process;", "x.rs"), ["/", "std::process"]);
    }

    #[test]
    fn super_is_resolved_from_the_file_and_from_its_modules() {
        assert_eq!(shown("use super::super::StorageError;", "storage/sled/engine.rs"), ["/storage::StorageError"]);
        assert_eq!(shown("use super::a::B;", "types/mod.rs"), ["/a::B"]);
        assert_eq!(shown("use super::a::B;", "types/path.rs"), ["/types::a::B"]);
        assert_eq!(shown("use self::a::B;", "types/mod.rs"), ["/types::a::B"]);
        assert_eq!(shown("mod m { use super::super::a::B; } use super::c;", "types/path.rs"), ["/types::a::B", "/types::c"]);
    }

    #[test]
    fn every_path_has_its_line() {
        let lines: Vec<usize> = paths("a::b\n\nc::d", &[]).into_iter().map(|found| found.line).collect();
        assert_eq!(lines, [1, 3]);
    }

    #[test]
    fn code_that_is_cut_is_read_to_its_end() {
        for code in ["use crate::{", "use crate::", "use a::{b::{c", "::", "mod"] {
            paths(code, &["x"]);
        }
    }
}

//! Cuts statements at `;` and finds the placeholders, each with what it stands in.
//!
//! It reads quotes, dollar quotes and comments as the server does. Where what a placeholder's value will do to the reading is not certain, the
//! statement is refused: a role can always be written so that it is.

use crate::target::misconfigured;
use vault_core::host::ConnectorError;

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// With `standard_conforming_strings` on.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "only the other connector is built"))]
    Postgres,
    /// With neither `ANSI_QUOTES` nor `NO_BACKSLASH_ESCAPES` in `sql_mode`.
    #[cfg_attr(not(feature = "mysql"), allow(dead_code, reason = "only the other connector is built"))]
    Mysql,
}

/// What a placeholder stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Outside of everything.
    Plain,
    /// In a comment or a dollar-quoted text, in which who knows what is quoted again.
    Inner,
    /// In quotes: which, and whether a backslash means something there.
    Quoted { by: u8, escapes: bool },
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    Name,
    Password,
    Expiration,
}

/// A part of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Hole(Hole, Context),
}

enum State<'a> {
    Plain,
    Quoted {
        by: u8,
        escapes: bool,
        is_unicode: bool,
    },
    /// With its tag, both dollars included.
    Dollar(&'a str),
    Line,
    /// How many comments are open within each other.
    Block(u32),
}

struct Lexer<'a> {
    dialect: Dialect,
    text: &'a str,
    at: usize,
    from: usize,
    state: State<'a>,
    /// PostgreSQL goes on with a string after a line's end, in the way in which it was begun: `E'a'` and below it `'b\'c'`.
    after_escapes: bool,
    statement: Vec<Piece<'a>>,
    statements: Vec<Vec<Piece<'a>>>,
}

/// The statements of a text. Those that hold nothing but white space are left out.
pub(super) fn cut(dialect: Dialect, text: &str) -> Result<Vec<Vec<Piece<'_>>>, ConnectorError> {
    let state = State::Plain;
    let mut lexer = Lexer { dialect, text, at: 0, from: 0, state, after_escapes: false, statement: Vec::new(), statements: Vec::new() };
    while lexer.at < text.len() {
        if lexer.rest().starts_with(b"{{") {
            lexer.hole()?;
            continue;
        }
        match lexer.state {
            State::Plain => lexer.plain()?,
            State::Quoted { by, escapes, .. } => lexer.in_quotes(by, escapes)?,
            State::Dollar(tag) => lexer.in_dollars(tag),
            State::Line => lexer.in_line(),
            State::Block(depth) => lexer.in_block(depth)?,
        }
    }
    if !matches!(lexer.state, State::Plain | State::Line) {
        return Err(misconfigured("a statement has a quote or a comment that does not end"));
    }
    lexer.end_statement();
    Ok(lexer.statements)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn before(&self) -> Option<u8> {
        self.at.checked_sub(1).map(|before| self.text.as_bytes()[before])
    }

    fn flush(&mut self) {
        if self.from < self.at {
            self.statement.push(Piece::Text(&self.text[self.from..self.at]));
        }
        self.from = self.at;
    }

    fn end_statement(&mut self) {
        self.flush();
        let statement = std::mem::take(&mut self.statement);
        let is_blank = |piece: &Piece<'_>| matches!(piece, Piece::Text(text) if text.trim().is_empty());
        if !statement.iter().all(is_blank) {
            self.statements.push(statement);
        }
    }

    fn hole(&mut self) -> Result<(), ConnectorError> {
        let end = self.text[self.at..].find("}}").ok_or_else(|| misconfigured("a statement has {{ without }}"))?;
        let hole = match self.text[self.at + 2..self.at + end].trim() {
            "name" | "username" => Hole::Name,
            "password" => Hole::Password,
            "expiration" => Hole::Expiration,
            _ => {
                return Err(misconfigured(
                    "a statement has a placeholder other than {{name}}, {{username}}, {{password}} and {{expiration}}",
                ));
            }
        };
        let after = self.at + end + 2;
        let context = match self.state {
            State::Plain => Context::Plain,
            State::Quoted { is_unicode: true, .. } => return Err(misconfigured("a placeholder stands in a U&'...': use plain quotes")),
            State::Quoted { by, escapes, .. } => Context::Quoted { by, escapes },
            State::Dollar(_) | State::Line | State::Block(_) => Context::Inner,
        };
        let touches = |byte: Option<u8>| {
            byte.is_none_or(|byte| {
                byte.is_ascii_whitespace() || b";,()=.@".contains(&byte) || (context == Context::Inner && (byte == b'\'' || byte == b'"'))
            })
        };
        // What it touches could make another word of it, such as the E that begins an E'...', or a dollar quote's tag.
        let is_apart = touches(self.before()) && touches(self.text.as_bytes().get(after).copied());
        if !is_apart && !matches!(context, Context::Quoted { .. }) {
            return Err(misconfigured("a placeholder touches the word beside it: put quotes around the whole"));
        }
        self.flush();
        self.statement.push(Piece::Hole(hole, context));
        (self.at, self.from) = (after, after);
        if context == Context::Plain {
            // In a comment it parts no strings.
            self.after_escapes = false;
        }
        Ok(())
    }

    fn plain(&mut self) -> Result<(), ConnectorError> {
        let rest = self.rest();
        let byte = rest[0];
        let is_comment = match self.dialect {
            Dialect::Postgres => rest.starts_with(b"--"),
            Dialect::Mysql => byte == b'#' || (rest.starts_with(b"--") && rest.get(2).is_none_or(|byte| *byte <= b' ')),
        };
        if is_comment {
            self.state = State::Line;
            self.at += 1;
            return Ok(());
        }
        if rest.starts_with(b"/*") {
            if self.dialect == Dialect::Mysql && (rest.starts_with(b"/*!") || rest.starts_with(b"/*M!")) {
                return Err(misconfigured("a statement has a comment that is carried out (/*!): write it out"));
            }
            self.state = State::Block(1);
            self.at += 2;
            return Ok(());
        }
        match byte {
            b'\'' | b'"' => self.open_quote(byte)?,
            b'`' if self.dialect == Dialect::Mysql => self.state = State::Quoted { by: b'`', escapes: false, is_unicode: false },
            b'$' if self.dialect == Dialect::Postgres => return self.open_dollar(),
            b';' => {
                self.end_statement();
                self.from += 1;
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            self.after_escapes = false;
        }
        self.at += 1;
        Ok(())
    }

    fn open_quote(&mut self, by: u8) -> Result<(), ConnectorError> {
        let mut escapes = self.dialect == Dialect::Mysql;
        let mut is_unicode = false;
        if self.dialect == Dialect::Postgres {
            if self.after_escapes {
                return Err(misconfigured("a string goes on after an E'...' or a U&'...': write it as one"));
            }
            let before = &self.text.as_bytes()[..self.at];
            let word = before.iter().rev().take_while(|byte| is_of_a_word(**byte)).count();
            escapes = by == b'\'' && word == 1 && matches!(before.last(), Some(b'E' | b'e'));
            let sign = before.len().checked_sub(2).map(|from| &before[from..]);
            is_unicode = matches!(sign, Some(b"U&" | b"u&"));
            let is_of_digits = word > 1 && before[before.len() - word].is_ascii_digit();
            if is_of_digits {
                // Servers differ in where a number ends that letters follow.
                return Err(misconfigured("a quote touches a number: put a space between them"));
            }
        }
        self.state = State::Quoted { by, escapes, is_unicode };
        Ok(())
    }

    fn open_dollar(&mut self) -> Result<(), ConnectorError> {
        let rest = self.rest();
        let is_of_a_tag = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        let name = rest[1..].iter().take_while(|byte| is_of_a_tag(**byte)).count();
        let is_tag = rest.get(name + 1) == Some(&b'$') && !rest[1].is_ascii_digit();
        if !is_tag {
            self.at += 1;
            self.after_escapes = false;
            return Ok(());
        }
        if self.before().is_some_and(is_of_a_word) {
            return Err(misconfigured("a dollar quote touches the word before it: put a space between them"));
        }
        let tag = &self.text[self.at..self.at + name + 2];
        self.at += tag.len();
        self.state = State::Dollar(tag);
        Ok(())
    }

    fn in_quotes(&mut self, by: u8, escapes: bool) -> Result<(), ConnectorError> {
        let rest = self.rest();
        if escapes && rest[0] == b'\\' {
            if rest[1..].starts_with(b"{{") {
                return Err(misconfigured("a backslash stands before a placeholder"));
            }
            // A second byte that is not ASCII goes on with bytes that mean nothing here.
            self.at += 2.min(rest.len());
            return Ok(());
        }
        if rest[0] != by {
            self.at += 1;
        } else if rest.get(1) == Some(&by) {
            self.at += 2;
        } else {
            self.at += 1;
            let State::Quoted { escapes, is_unicode, .. } = self.state else { return Ok(()) };
            self.after_escapes = self.dialect == Dialect::Postgres && by == b'\'' && (escapes || is_unicode);
            self.state = State::Plain;
        }
        Ok(())
    }

    fn in_dollars(&mut self, tag: &str) {
        if self.rest().starts_with(tag.as_bytes()) {
            self.at += tag.len();
            self.state = State::Plain;
        } else {
            self.at += 1;
        }
    }

    fn in_line(&mut self) {
        // PostgreSQL ends a comment at a carriage return too; for MySQL only a line feed is certain to.
        let byte = self.rest()[0];
        if byte == b'\n' || (byte == b'\r' && self.dialect == Dialect::Postgres) {
            self.state = State::Plain;
        }
        self.at += 1;
    }

    fn in_block(&mut self, depth: u32) -> Result<(), ConnectorError> {
        let rest = self.rest();
        let (depth, length) = if rest.starts_with(b"*/") {
            (depth - 1, 2)
        } else if rest.starts_with(b"/*") {
            if self.dialect == Dialect::Mysql {
                return Err(misconfigured("a statement has a comment within a comment"));
            }
            (depth + 1, 2)
        } else {
            (depth, 1)
        };
        self.at += length;
        self.state = if depth == 0 { State::Plain } else { State::Block(depth) };
        Ok(())
    }
}

/// Whether a byte goes on with a word of PostgreSQL's.
fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
#[path = "lexer_tests.rs"]
mod tests;

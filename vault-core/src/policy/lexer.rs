//! The tokens of a policy (a path policy or a password policy), one at a time: those of HCL 1 as policies use it, or of JSON.

use super::PolicyError;
use std::iter::Peekable;
use std::str::Chars;

/// A token and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) at: Place,
}

/// A place in the text: line and column, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Which of the two forms a text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Hcl,
    Json,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Identifier(String),
    Text(String),
    Number(String),
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    Equals,
    Colon,
    Comma,
    End,
}

impl Token {
    /// What the token is called in a message; texts are not repeated.
    pub(crate) fn describe(&self) -> String {
        match self {
            Token::Identifier(name) => format!("the word {}", shown(name)),
            Token::Text(_) => "a quoted text".to_owned(),
            Token::Number(_) => "a number".to_owned(),
            Token::OpenBrace => "'{'".to_owned(),
            Token::CloseBrace => "'}'".to_owned(),
            Token::OpenBracket => "'['".to_owned(),
            Token::CloseBracket => "']'".to_owned(),
            Token::Equals => "'='".to_owned(),
            Token::Colon => "':'".to_owned(),
            Token::Comma => "','".to_owned(),
            Token::End => "the end of the policy".to_owned(),
        }
    }
}

impl Place {
    /// Where a text begins.
    pub(crate) const START: Place = Place { line: 1, column: 1 };

    pub(crate) fn error(self, message: impl Into<String>) -> PolicyError {
        PolicyError::Syntax { line: self.line, column: self.column, message: message.into() }
    }
}

/// A word of the text as messages repeat it: quoted, and no longer than a line.
pub(crate) fn shown(word: &str) -> String {
    const CHARS_MAX: usize = 64;
    match word.char_indices().nth(CHARS_MAX) {
        None => format!("{word:?}"),
        Some((end, _)) => format!("{:?}...", &word[..end]),
    }
}

/// Gives the tokens of a text; after the last one, [`Token::End`] for ever.
pub(crate) struct Lexer<'t> {
    rest: Peekable<Chars<'t>>,
    pub(crate) form: Form,
    pub(crate) at: Place,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str, form: Form) -> Self {
        Lexer { rest: text.chars().peekable(), form, at: Place::START }
    }

    /// The next token.
    pub(crate) fn lexeme(&mut self) -> Result<Lexeme, PolicyError> {
        self.skip_blank()?;
        Ok(Lexeme { at: self.at, token: self.token()? })
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.at = Place { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    pub(crate) fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    pub(crate) fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| accept(*c)) {
            taken.push(c);
            self.next();
        }
        taken
    }

    fn skip_blank(&mut self) -> Result<(), PolicyError> {
        while let Some(c) = self.peek() {
            match c {
                _ if c.is_whitespace() || c == '\u{feff}' => {
                    self.next();
                }
                '#' if self.form == Form::Hcl => self.skip_line(),
                '/' if self.form == Form::Hcl => {
                    let start = self.at;
                    self.next();
                    match self.peek() {
                        Some('/') => self.skip_line(),
                        Some('*') => self.skip_block(start)?,
                        _ => return Err(start.error("a single '/': comments start with '//', '/*' or '#', and paths are quoted")),
                    }
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.next();
        }
    }

    fn skip_block(&mut self, start: Place) -> Result<(), PolicyError> {
        self.next();
        let mut last = ' ';
        while let Some(c) = self.next() {
            if last == '*' && c == '/' {
                return Ok(());
            }
            last = c;
        }
        Err(start.error("this comment is not closed: expected '*/'"))
    }

    fn token(&mut self) -> Result<Token, PolicyError> {
        let at = self.at;
        let is_hcl = self.form == Form::Hcl;
        let Some(c) = self.peek() else { return Ok(Token::End) };
        let single = match c {
            '{' => Token::OpenBrace,
            '}' => Token::CloseBrace,
            '[' => Token::OpenBracket,
            ']' => Token::CloseBracket,
            '=' if is_hcl => Token::Equals,
            ':' if !is_hcl => Token::Colon,
            ',' => Token::Comma,
            '"' => return self.quoted().map(Token::Text),
            '<' if is_hcl => return self.heredoc().map(Token::Text),
            _ if c.is_ascii_digit() || c == '-' => {
                return Ok(Token::Number(self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))));
            }
            _ if c.is_alphabetic() || c == '_' => {
                return Ok(Token::Identifier(self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))));
            }
            _ => return Err(at.error(format!("unexpected character {c:?}"))),
        };
        self.next();
        Ok(single)
    }
}

//! The tokens of HCL 1, as policies use it: identifiers, quoted text, numbers, brackets, comments of three kinds.

use super::PolicyError;
use std::iter::Peekable;
use std::str::Chars;

/// A token and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) at: Place,
}

/// A place in the text: line and column, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Identifier(String),
    Text(String),
    Number(String),
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    Equals,
    Comma,
    End,
}

impl Token {
    /// What the token is called in a message; texts are not repeated.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Identifier(name) => format!("the word {name:?}"),
            Token::Text(_) => "a quoted text".to_owned(),
            Token::Number(_) => "a number".to_owned(),
            Token::OpenBrace => "'{'".to_owned(),
            Token::CloseBrace => "'}'".to_owned(),
            Token::OpenBracket => "'['".to_owned(),
            Token::CloseBracket => "']'".to_owned(),
            Token::Equals => "'='".to_owned(),
            Token::Comma => "','".to_owned(),
            Token::End => "the end of the policy".to_owned(),
        }
    }
}

impl Place {
    pub(super) fn error(self, message: impl Into<String>) -> PolicyError {
        PolicyError::Syntax { line: self.line, column: self.column, message: message.into() }
    }
}

/// Splits a text into tokens; the last one is [`Token::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Lexeme>, PolicyError> {
    let mut lexer = Lexer { rest: text.chars().peekable(), at: Place { line: 1, column: 1 } };
    let mut lexemes = Vec::new();
    loop {
        lexer.skip_blank()?;
        let at = lexer.at;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        lexemes.push(Lexeme { token, at });
        if is_end {
            return Ok(lexemes);
        }
    }
}

struct Lexer<'t> {
    rest: Peekable<Chars<'t>>,
    at: Place,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.at = Place { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn skip_blank(&mut self) -> Result<(), PolicyError> {
        while let Some(c) = self.peek() {
            match c {
                _ if c.is_whitespace() || c == '\u{feff}' => {
                    self.next();
                }
                '#' => self.skip_line(),
                '/' => {
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
        let Some(c) = self.peek() else { return Ok(Token::End) };
        let single = match c {
            '{' => Token::OpenBrace,
            '}' => Token::CloseBrace,
            '[' => Token::OpenBracket,
            ']' => Token::CloseBracket,
            '=' => Token::Equals,
            ',' => Token::Comma,
            '"' => return self.text(),
            '<' => return Err(at.error("heredocs are not supported in policies: write a quoted text")),
            _ if c.is_ascii_digit() || c == '-' => {
                return Ok(Token::Number(self.take_while(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')));
            }
            _ if c.is_alphabetic() || c == '_' => {
                return Ok(Token::Identifier(self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))));
            }
            _ => return Err(at.error(format!("unexpected character {c:?}"))),
        };
        self.next();
        Ok(single)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| accept(*c)) {
            taken.push(c);
            self.next();
        }
        taken
    }

    fn text(&mut self) -> Result<Token, PolicyError> {
        let start = self.at;
        self.next();
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.next() {
                Some('"') => return Ok(Token::Text(text)),
                Some('\\') => text.push(self.escape(at)?),
                Some('\n') | None => return Err(start.error("this text is not closed: expected '\"' on the same line")),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self, at: Place) -> Result<char, PolicyError> {
        match self.next() {
            Some('"') => Ok('"'),
            Some('\\') => Ok('\\'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.code_point(at, 4),
            Some('U') => self.code_point(at, 8),
            _ => Err(at.error("unknown escape: use \\\", \\\\, \\n, \\r, \\t, \\uXXXX or \\UXXXXXXXX")),
        }
    }

    fn code_point(&mut self, at: Place, digits: usize) -> Result<char, PolicyError> {
        let mut number = 0_u32;
        for _ in 0..digits {
            let digit =
                self.next().and_then(|c| c.to_digit(16)).ok_or_else(|| at.error(format!("expected {digits} hexadecimal digits")))?;
            number = number << 4 | digit;
        }
        char::from_u32(number).ok_or_else(|| at.error("this escape is no character"))
    }
}

//! Texts in a policy: quoted ones with their escapes, and heredocs.

use super::PolicyError;
use super::lexer::{Form, Lexer, Place, shown};

impl Lexer<'_> {
    /// A quoted text. `${` is nothing special in it: policies know no interpolation.
    pub(super) fn quoted(&mut self) -> Result<String, PolicyError> {
        let start = self.at;
        self.next();
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(if self.form == Form::Json { self.json_escape(at)? } else { self.hcl_escape(at)? }),
                Some('\n') | None => return Err(start.error("this text is not closed: expected '\"' on the same line")),
                Some(c) if c.is_control() && self.form == Form::Json => return Err(at.error("a control character: write it as \\uXXXX")),
                Some(c) => text.push(c),
            }
        }
    }

    fn hcl_escape(&mut self, at: Place) -> Result<char, PolicyError> {
        match self.next() {
            Some(c @ ('"' | '\\')) => Ok(c),
            Some('a') => Ok('\u{7}'),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('v') => Ok('\u{b}'),
            // Both give bytes; above 0x7f these would be parts of a character.
            Some('x') => self.hexadecimal(at, 2).and_then(|number| ascii(number, at)),
            Some(c @ '0'..='7') => self.octal(at, c).and_then(|number| ascii(number, at)),
            Some('u') => self.hexadecimal(at, 4).and_then(|number| character(number, at)),
            Some('U') => self.hexadecimal(at, 8).and_then(|number| character(number, at)),
            _ => Err(at.error("unknown escape: use \\\", \\\\, \\n, \\r, \\t, \\xXX, \\uXXXX or \\UXXXXXXXX")),
        }
    }

    fn json_escape(&mut self, at: Place) -> Result<char, PolicyError> {
        match self.next() {
            Some(c @ ('"' | '\\' | '/')) => Ok(c),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let first = self.hexadecimal(at, 4)?;
                if !(0xd800..0xdc00).contains(&first) {
                    return character(first, at);
                }
                if (self.next(), self.next()) != (Some('\\'), Some('u')) {
                    return Err(at.error("this escape is half a character"));
                }
                let second = self.hexadecimal(at, 4)?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(at.error("this escape is half a character"));
                }
                character(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), at)
            }
            _ => Err(at.error("unknown escape: use \\\", \\\\, \\/, \\b, \\f, \\n, \\r, \\t or \\uXXXX")),
        }
    }

    fn hexadecimal(&mut self, at: Place, digits: usize) -> Result<u32, PolicyError> {
        let mut number = 0_u32;
        for _ in 0..digits {
            let digit = self.next().and_then(|c| c.to_digit(16));
            number = number << 4 | digit.ok_or_else(|| at.error(format!("expected {digits} hexadecimal digits")))?;
        }
        Ok(number)
    }

    fn octal(&mut self, at: Place, first: char) -> Result<u32, PolicyError> {
        let mut number = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            let digit = self.next().and_then(|c| c.to_digit(8));
            number = number << 3 | digit.ok_or_else(|| at.error("expected 3 octal digits"))?;
        }
        Ok(number)
    }

    /// `<<EOF`, the lines up to one that is `EOF`, each with its line's end; `<<-EOF` takes the last line's indentation from each of
    /// them where all have it.
    pub(super) fn heredoc(&mut self) -> Result<String, PolicyError> {
        let start = self.at;
        let is_opened = (self.next(), self.next()) == (Some('<'), Some('<'));
        let is_indented = self.peek() == Some('-');
        if is_indented {
            self.next();
        }
        let marker = self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let rest_of_line = self.take_while(|c| c != '\n');
        if !is_opened || marker.is_empty() || !rest_of_line.trim_end_matches('\r').is_empty() {
            return Err(start.error("expected a heredoc, such as <<EOF with nothing behind it on its line"));
        }
        let mut lines = Vec::new();
        while self.next() == Some('\n') {
            let line = self.take_while(|c| c != '\n');
            let bare = line.trim_end_matches('\r');
            let indentation = bare.len() - bare.trim_start_matches([' ', '\t']).len();
            if bare[indentation..] == marker && (is_indented || indentation == 0) {
                let shared = &bare[..indentation];
                let all_have_it = lines.iter().all(|line: &String| line.starts_with(shared));
                let cut = if all_have_it { shared.len() } else { 0 };
                return Ok(lines.iter().flat_map(|line| [&line[cut..], "\n"]).collect());
            }
            lines.push(line);
        }
        Err(start.error(format!("this heredoc is not closed: expected a line that is {}", shown(&marker))))
    }
}

fn ascii(number: u32, at: Place) -> Result<char, PolicyError> {
    u8::try_from(number).ok().filter(u8::is_ascii).map(char::from).ok_or_else(|| at.error("this escape is no character: use \\uXXXX"))
}

fn character(number: u32, at: Place) -> Result<char, PolicyError> {
    char::from_u32(number).ok_or_else(|| at.error("this escape is no character"))
}

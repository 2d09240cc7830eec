//! From a password policy's text to its length and its rules.

use super::PasswordError;
use crate::policy::{Form, Place, PolicyError, Reader, Token, shown, unexpected};
use crate::types::limits::{PASSWORD_POLICY_BYTES_MAX, PASSWORD_RULES_MAX};

/// What a policy says.
#[derive(Default)]
pub(super) struct Written {
    pub(super) length: usize,
    pub(super) rules: Vec<Charset>,
}

/// One rule: some of these characters.
pub(super) struct Charset {
    pub(super) charset: String,
    pub(super) minimum: usize,
}

const KEYS: &str = "\"length\" or \"rule\"";

pub(super) fn parse(text: &str) -> Result<Written, PasswordError> {
    let is_json = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('{');
    let form = if is_json { Form::Json } else { Form::Hcl };
    let mut parser = Parser { reader: Reader::new(text, form), written: Written::default(), length_at: None };
    if text.len() > PASSWORD_POLICY_BYTES_MAX {
        let why = format!("the policy is longer than {PASSWORD_POLICY_BYTES_MAX} bytes");
        return Err(Place::START.error(why).into());
    }
    if is_json {
        parser.json()?
    } else {
        parser.hcl()?
    }
    if parser.length_at.is_none() { Err(PasswordError::Length) } else { Ok(parser.written) }
}

struct Parser<'t> {
    reader: Reader<'t>,
    written: Written,
    length_at: Option<Place>,
}

impl Parser<'_> {
    fn hcl(&mut self) -> Result<(), PolicyError> {
        loop {
            let found = self.reader.take()?;
            match &found.token {
                Token::End => return Ok(()),
                Token::Identifier(word) | Token::Text(word) if word == "length" => {
                    self.reader.assignment()?;
                    self.length(found.at)?;
                }
                Token::Identifier(word) | Token::Text(word) if word == "rule" => {
                    let kind = self.reader.take()?;
                    match &kind.token {
                        Token::Identifier(name) | Token::Text(name) => known_rule(name, kind.at)?,
                        _ => return Err(unexpected(&kind, "the kind of the rule, \"charset\"")),
                    }
                    self.charset()?;
                }
                Token::Identifier(word) | Token::Text(word) => return Err(unknown_key(word, found.at)),
                _ => return Err(unexpected(&found, KEYS)),
            }
            self.reader.skip_comma()?;
        }
    }

    /// `{"length": 20, "rule": [{"charset": {"charset": "abc", "min-chars": 1}}]}`; each list of one may be left out.
    fn json(&mut self) -> Result<(), PolicyError> {
        self.reader.expect(&Token::OpenBrace, "'{'")?;
        let mut is_first = true;
        while let Some((word, at)) = self.reader.key(is_first, KEYS)? {
            self.reader.assignment()?;
            match word.as_str() {
                "length" => self.length(at)?,
                "rule" => self.one_or_several(Self::json_rules)?,
                _ => return Err(unknown_key(&word, at)),
            }
            is_first = false;
        }
        self.reader.expect(&Token::End, "the end of the policy").map(drop)
    }

    fn json_rules(&mut self) -> Result<(), PolicyError> {
        self.reader.expect(&Token::OpenBrace, "an object of rules by their kind")?;
        let mut is_first = true;
        while let Some((name, at)) = self.reader.key(is_first, "\"charset\"")? {
            known_rule(&name, at)?;
            self.reader.assignment()?;
            self.one_or_several(Self::charset)?;
            is_first = false;
        }
        Ok(())
    }

    fn one_or_several(&mut self, one: impl Fn(&mut Self) -> Result<(), PolicyError>) -> Result<(), PolicyError> {
        if self.reader.peek()?.token != Token::OpenBracket {
            return one(self);
        }
        self.reader.take()?;
        let mut is_first = true;
        while self.reader.has_element(is_first)? {
            one(self)?;
            is_first = false;
        }
        Ok(())
    }

    fn length(&mut self, at: Place) -> Result<(), PolicyError> {
        if self.length_at.replace(at).is_some() {
            return Err(at.error("the length is given twice"));
        }
        self.written.length = self.number("the length of a password, a whole number such as 20")?;
        Ok(())
    }

    fn number(&mut self, what: &str) -> Result<usize, PolicyError> {
        let found = self.reader.take()?;
        match &found.token {
            Token::Number(text) => text.parse().map_err(|_| unexpected(&found, what)),
            _ => Err(unexpected(&found, what)),
        }
    }

    fn charset(&mut self) -> Result<(), PolicyError> {
        let start = self.reader.expect(&Token::OpenBrace, "'{'")?;
        let (mut charset, mut minimum) = (None, None);
        let mut is_first = true;
        while let Some((name, at)) = self.reader.key(is_first, "\"charset\" or \"min-chars\"")? {
            self.reader.assignment()?;
            match name.as_str() {
                "charset" if charset.is_none() => charset = Some(self.characters()?),
                "min-chars" if minimum.is_none() => minimum = Some(self.number("a whole number of characters")?),
                "charset" | "min-chars" => return Err(at.error(format!("{} is given twice in one rule", shown(&name)))),
                _ => return Err(at.error(format!("unknown attribute {}: expected \"charset\" or \"min-chars\"", shown(&name)))),
            }
            is_first = false;
        }
        let charset = charset.ok_or_else(|| start.error("the rule has no \"charset\""))?;
        if self.written.rules.len() == PASSWORD_RULES_MAX {
            return Err(start.error(format!("a policy has at most {PASSWORD_RULES_MAX} rules")));
        }
        self.written.rules.push(Charset { charset, minimum: minimum.unwrap_or(0) });
        Ok(())
    }

    fn characters(&mut self) -> Result<String, PolicyError> {
        let (text, at) = self.reader.text("the characters, quoted")?;
        let is_printable = |c: char| c == ' ' || !c.is_control() && !c.is_whitespace();
        if text.is_empty() || !text.chars().all(is_printable) {
            return Err(at.error("a charset must have at least one character, and only such as can be printed"));
        }
        Ok(text)
    }
}

fn known_rule(name: &str, at: Place) -> Result<(), PolicyError> {
    if name == "charset" { Ok(()) } else { Err(at.error(format!("unknown rule {}: there is \"charset\"", shown(name)))) }
}

fn unknown_key(word: &str, at: Place) -> PolicyError {
    at.error(format!("unknown key {}: expected {KEYS}", shown(word)))
}

//! Objects, lists and values of a policy's text: one way of reading them for HCL and for JSON.

use super::PolicyError;
use super::lexer::{Form, Lexeme, Lexer, Place, Token, shown};
use crate::types::limits::{POLICY_DEPTH_MAX, POLICY_VALUES_MAX};
use crate::types::{Object, Value};
use serde_json::Number;

/// Reads a text from its beginning to its end, one token ahead.
pub(crate) struct Reader<'t> {
    lexer: Lexer<'t>,
    ahead: Option<Lexeme>,
    values: usize,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str, form: Form) -> Self {
        Reader { lexer: Lexer::new(text, form), ahead: None, values: 0 }
    }

    pub(crate) fn take(&mut self) -> Result<Lexeme, PolicyError> {
        self.ahead.take().map_or_else(|| self.lexer.lexeme(), Ok)
    }

    pub(crate) fn peek(&mut self) -> Result<&Lexeme, PolicyError> {
        let ahead = self.take()?;
        Ok(self.ahead.insert(ahead))
    }

    pub(crate) fn expect(&mut self, token: &Token, what: &str) -> Result<Place, PolicyError> {
        let found = self.take()?;
        if found.token == *token { Ok(found.at) } else { Err(unexpected(&found, what)) }
    }

    /// A comma between attributes, which HCL lets one write or leave out.
    pub(crate) fn skip_comma(&mut self) -> Result<(), PolicyError> {
        if self.peek()?.token == Token::Comma {
            self.take()?;
        }
        Ok(())
    }

    /// The next key of an object whose brace was read; `None` behind its closing brace.
    pub(crate) fn key(&mut self, is_first: bool, what: &str) -> Result<Option<(String, Place)>, PolicyError> {
        let is_json = self.lexer.form == Form::Json;
        if !is_first && is_json {
            let found = self.take()?;
            match found.token {
                Token::CloseBrace => return Ok(None),
                Token::Comma => {}
                _ => return Err(unexpected(&found, "',' or '}'")),
            }
        } else if !is_first {
            self.skip_comma()?;
        }
        let found = self.take()?;
        match found.token {
            Token::CloseBrace if is_first || !is_json => Ok(None),
            Token::Text(name) => Ok(Some((name, found.at))),
            Token::Identifier(name) if !is_json => Ok(Some((name, found.at))),
            _ => Err(unexpected(&found, &format!("{what} or '}}'"))),
        }
    }

    /// What stands between a key and its value.
    pub(crate) fn assignment(&mut self) -> Result<(), PolicyError> {
        if self.lexer.form == Form::Json {
            self.expect(&Token::Colon, "':'")?;
        } else if self.peek()?.token != Token::OpenBrace {
            self.expect(&Token::Equals, "'='")?;
        }
        Ok(())
    }

    /// Whether a list whose bracket was read has another element; its closing bracket is read.
    pub(crate) fn has_element(&mut self, is_first: bool) -> Result<bool, PolicyError> {
        if !is_first {
            let found = self.take()?;
            match found.token {
                Token::CloseBracket => return Ok(false),
                Token::Comma => {}
                _ => return Err(unexpected(&found, "',' or ']'")),
            }
        }
        let may_end = is_first || self.lexer.form == Form::Hcl;
        let ends = may_end && self.peek()?.token == Token::CloseBracket;
        if ends {
            self.take()?;
        }
        Ok(!ends)
    }

    pub(crate) fn text(&mut self, what: &str) -> Result<(String, Place), PolicyError> {
        let found = self.take()?;
        match found.token {
            Token::Text(text) => Ok((text, found.at)),
            _ => Err(unexpected(&found, what)),
        }
    }

    /// A list of texts, each given to `each`.
    pub(crate) fn texts(&mut self, what: &str, mut each: impl FnMut(String, Place) -> Result<(), PolicyError>) -> Result<(), PolicyError> {
        self.expect(&Token::OpenBracket, "'['")?;
        let mut is_first = true;
        while self.has_element(is_first)? {
            let (text, at) = self.text(&format!("{what}, quoted, or ']'"))?;
            each(text, at)?;
            is_first = false;
        }
        Ok(())
    }

    /// A list of values of any kind.
    pub(crate) fn values(&mut self) -> Result<Vec<Value>, PolicyError> {
        self.expect(&Token::OpenBracket, "a list of values, such as [\"a\", \"b*\"] or [] for any")?;
        self.elements(0)
    }

    /// Counts a value or a name against the policy's limit.
    pub(crate) fn count(&mut self) -> Result<(), PolicyError> {
        self.values += 1;
        if self.values > POLICY_VALUES_MAX { Err(PolicyError::TooLarge) } else { Ok(()) }
    }

    fn elements(&mut self, depth: usize) -> Result<Vec<Value>, PolicyError> {
        let mut elements = Vec::new();
        while self.has_element(elements.is_empty())? {
            elements.push(self.value(depth)?);
        }
        Ok(elements)
    }

    fn value(&mut self, depth: usize) -> Result<Value, PolicyError> {
        self.count()?;
        let found = self.take()?;
        if depth == POLICY_DEPTH_MAX {
            return Err(found.at.error(format!("values are nested deeper than {POLICY_DEPTH_MAX} levels")));
        }
        match &found.token {
            Token::Text(text) => Ok(Value::string(text.as_str())),
            Token::Number(number) => self.number(number).map(Value::Number).ok_or_else(|| found.at.error("this is no number")),
            Token::Identifier(word) if word == "true" || word == "false" => Ok(Value::Bool(word == "true")),
            Token::Identifier(word) if word == "null" && self.lexer.form == Form::Json => Ok(Value::Null),
            Token::OpenBracket => self.elements(depth + 1).map(Value::Array),
            Token::OpenBrace => self.object(depth + 1).map(Value::Object),
            _ => Err(unexpected(&found, "a value: a quoted text, a number, true, false, a list or an object")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object, PolicyError> {
        let mut object = Object::new();
        let mut is_first = true;
        while let Some((name, at)) = self.key(is_first, "a name")? {
            self.assignment()?;
            if object.get(&name).is_some() {
                return Err(at.error(format!("{} is given twice", shown(&name))));
            }
            let value = self.value(depth)?;
            object.insert(&name, value);
            is_first = false;
        }
        Ok(object)
    }

    /// A number as JSON writes it, or in HCL also a hexadecimal one. Others are ambiguous: some read `010` as 8.
    fn number(&self, text: &str) -> Option<Number> {
        if let Some(digits) = text.strip_prefix("0x").filter(|_| self.lexer.form == Form::Hcl) {
            return digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, 16).ok())?.map(Number::from);
        }
        serde_json::from_str(text).ok()
    }
}

pub(crate) fn unexpected(found: &Lexeme, what: &str) -> PolicyError {
    found.at.error(format!("expected {what}, found {}", found.token.describe()))
}

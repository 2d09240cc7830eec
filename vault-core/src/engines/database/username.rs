//! Templates of user names, as users know them: `v-{{.DisplayName | truncate 8}}-{{random 20}}`, made to what databases take as a name.

use crate::host::{Rng, RngError};
use crate::types::limits::{USERNAME_CHARACTERS_MAX, USERNAME_TEMPLATE_BYTES_MAX};
use crate::types::{Code, Error, Result, Timestamp};

/// As users know it: who asks, by which role, something random, and when.
const DEFAULT: &str = "v-{{.DisplayName | truncate 8}}-{{.RoleName | truncate 8}}-{{random 20}}-{{unix_time}}";
/// Random characters that have to be left in a name, so that no two accounts share one.
const RANDOM_CHARACTERS_MIN: usize = 8;
/// Most random characters of one place in a template.
const RANDOM_CHARACTERS_MAX: usize = 63;
const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a template may speak of.
struct Facts<'f> {
    display_name: &'f str,
    role_name: &'f str,
    now: Timestamp,
    rng: &'f dyn Rng,
}

/// A name by a template; by the default one where it is empty.
pub(super) fn expand(template: &str, display_name: &str, role_name: &str, now: Timestamp, rng: &dyn Rng) -> Result<String> {
    let template = if template.is_empty() { DEFAULT } else { template };
    let facts = Facts { display_name, role_name, now, rng };
    let mut name = String::new();
    let mut rest = template;
    while let Some((text, tail)) = rest.split_once("{{") {
        let (expression, tail) = tail.split_once("}}").ok_or_else(|| bad("\"{{\" is not closed"))?;
        name.push_str(text);
        name.push_str(&Reader::new(expression)?.whole(&facts)?);
        rest = tail;
    }
    name.push_str(rest);
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    let name: String = name.chars().map(fits).take(USERNAME_CHARACTERS_MAX).collect();
    if name.is_empty() { Err(bad("it gives an empty name")) } else { Ok(name) }
}

/// Refuses a template that does not parse, or that could give two accounts the same name, however long the names in it are.
pub(super) fn check(template: &str) -> Result<()> {
    if template.len() > USERNAME_TEMPLATE_BYTES_MAX {
        return Err(bad(&format!("it is longer than {USERNAME_TEMPLATE_BYTES_MAX} bytes")));
    }
    let long = "x".repeat(USERNAME_CHARACTERS_MAX);
    for name in ["", &long] {
        let [one, other] = [0, 1].map(|byte| expand(template, name, name, Timestamp::EPOCH, &Same(byte)));
        let differing = one?.bytes().zip(other?.bytes()).filter(|(a, b)| a != b).count();
        if differing < RANDOM_CHARACTERS_MIN {
            let why = format!("{RANDOM_CHARACTERS_MIN} random characters at least must be left in a name of {USERNAME_CHARACTERS_MAX}");
            return Err(bad(&why));
        }
    }
    Ok(())
}

/// The same byte always: two of them tell what of a name is random.
struct Same(u8);

impl Rng for Same {
    fn fill(&self, out: &mut [u8]) -> std::result::Result<(), RngError> {
        out.fill(self.0);
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(usize),
    Pipe,
    Open,
    Close,
}

/// Reads one expression: terms with `|` between them, each of which gets what is before it as its last argument.
struct Reader {
    tokens: std::vec::IntoIter<Token>,
    depth: usize,
}

impl Reader {
    fn new(expression: &str) -> Result<Self> {
        let mut tokens = Vec::new();
        let mut chars = expression.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                c if c.is_whitespace() => continue,
                '|' => Token::Pipe,
                '(' => Token::Open,
                ')' => Token::Close,
                '"' => {
                    let text: String = chars.by_ref().take_while(|c| *c != '"').collect();
                    Token::Text(text)
                }
                c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') => {
                    let mut word = String::from(c);
                    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                        word.push(c);
                    }
                    word.parse().map_or(Token::Word(word), Token::Number)
                }
                _ => return Err(bad("an expression has a character that has no meaning there")),
            });
        }
        Ok(Reader { tokens: tokens.into_iter(), depth: 0 })
    }

    fn whole(mut self, facts: &Facts<'_>) -> Result<String> {
        let text = self.pipeline(facts)?;
        if self.tokens.next().is_some() { Err(bad("a parenthesis is closed that was not opened")) } else { Ok(text) }
    }

    /// Up to the end, or the parenthesis that closes it.
    fn pipeline(&mut self, facts: &Facts<'_>) -> Result<String> {
        let mut value: Option<String> = None;
        loop {
            let mut words: Vec<Token> = Vec::new();
            let end = loop {
                match self.tokens.next() {
                    Some(Token::Open) => {
                        self.depth += 1;
                        if self.depth > 8 {
                            return Err(bad("its parentheses nest too deep"));
                        }
                        let inner = self.pipeline(facts)?;
                        words.push(Token::Text(inner));
                    }
                    Some(Token::Close) if self.depth > 0 => {
                        self.depth -= 1;
                        break Token::Close;
                    }
                    None if self.depth > 0 => return Err(bad("a parenthesis is not closed")),
                    Some(Token::Pipe) => break Token::Pipe,
                    Some(Token::Close) => return Err(bad("a parenthesis is closed that was not opened")),
                    Some(word) => words.push(word),
                    None => break Token::Close,
                }
            };
            words.extend(value.take().map(Token::Text));
            let text = call(words, facts)?;
            if end == Token::Close {
                return Ok(text);
            }
            value = Some(text);
        }
    }
}

fn call(words: Vec<Token>, facts: &Facts<'_>) -> Result<String> {
    let mut words = words.into_iter();
    let name = match words.next() {
        Some(Token::Word(name)) => name,
        Some(Token::Text(text)) if words.len() == 0 => return Ok(text),
        _ => return Err(bad("an expression is empty, or does not begin with a name or a function")),
    };
    let arguments: Vec<Token> = words.collect();
    let text = |token: &Token| match token {
        Token::Text(text) => Ok(text.clone()),
        Token::Number(number) => Ok(number.to_string()),
        Token::Word(word) => fact(word, facts).ok_or_else(unknown),
        _ => Err(unknown()),
    };
    match (name.as_str(), arguments.as_slice()) {
        ("random", [Token::Number(count)]) if *count <= RANDOM_CHARACTERS_MAX => random(facts.rng, *count),
        ("unix_time", []) => Ok(facts.now.as_secs().to_string()),
        ("truncate", [Token::Number(count), value]) => Ok(text(value)?.chars().take(*count).collect()),
        ("uppercase", [value]) => Ok(text(value)?.to_uppercase()),
        ("lowercase", [value]) => Ok(text(value)?.to_lowercase()),
        ("replace", [from, to, value]) => Ok(text(value)?.replace(&text(from)?, &text(to)?)),
        ("printf", [format, values @ ..]) => {
            let mut out = text(format)?;
            for value in values {
                if !out.contains("%s") {
                    return Err(bad("printf has more values than %s"));
                }
                // What is put in may hold a %s itself: it is no place for the next one.
                out = out.replacen("%s", &text(value)?.replace('%', "-"), 1);
            }
            if out.contains("%s") { Err(bad("printf has fewer values than %s")) } else { Ok(out) }
        }
        (name, []) => fact(name, facts).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}

fn fact(name: &str, facts: &Facts<'_>) -> Option<String> {
    match name {
        ".DisplayName" => Some(facts.display_name.to_owned()),
        ".RoleName" => Some(facts.role_name.to_owned()),
        "unix_time" => Some(facts.now.as_secs().to_string()),
        _ => None,
    }
}

/// Uniformly random characters of base 62.
fn random(rng: &dyn Rng, count: usize) -> Result<String> {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let bytes: [u8; 64] = rng.array().map_err(|error| Error::new(Code::NoEntropy, error.to_string()))?;
        // 248 = 4 * 62: bytes from there on would favour the first characters.
        let room = count - text.len();
        text.extend(bytes.iter().filter(|byte| **byte < 248).take(room).map(|byte| char::from(BASE_62[usize::from(*byte % 62)])));
    }
    Ok(text)
}

fn unknown() -> Error {
    bad(
        "use .DisplayName, .RoleName, random N (at most 63), unix_time, truncate N, uppercase, lowercase, replace and printf, with | between them",
    )
}

fn bad(why: &str) -> Error {
    Error::new(Code::InvalidData, format!("the username_template: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, display: &str, role: &str) -> Result<String> {
        expand(template, display, role, Timestamp::from_secs(1_795_457_040), &Same(1))
    }

    #[test]
    fn names_have_the_shape_that_users_know() {
        assert_eq!(name("", "token-alice", "readonly").expect("default"), "v-token-al-readonly-11111111111111111111-1795457040");
        let known =
            r#"{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}"#;
        assert_eq!(name(known, "token", "r").expect("printf"), "v-token-r-11111111111111111111-1795457040");
        assert_eq!(name("{{.RoleName | replace \"-\" \"_\" | uppercase}}_{{random 8}}", "", "a-b").expect("filters"), "A_B_11111111");
    }

    #[test]
    fn what_a_database_would_not_take_as_a_name_is_replaced_and_cut() {
        assert_eq!(name("{{.DisplayName}}-{{random 8}}", "a'; DROP \"ü", "r").expect("hostile"), "a---DROP----11111111");
        assert_eq!(name("{{random 63}}{{random 63}}", "", "").expect("long").len(), USERNAME_CHARACTERS_MAX);
        assert_eq!(name("{{ printf \"%s-%s\" .DisplayName (random 8) }}", "%s", "").expect("a hostile name"), "-s-11111111");
    }

    #[test]
    fn templates_that_do_not_parse_or_give_a_name_twice_are_refused() {
        for template in [
            "{{",
            "{{}}",
            "{{nothing}}",
            "{{random}}",
            "{{random 64}}",
            "{{random 20 | truncate 7}}",
            "x",
            "{{.DisplayName}}",
            "{{.DisplayName}}-{{random 20}}",
            "{{unix_time}}",
            "{{(random 20}}",
            "{{random 20)}}",
            "{{random 20}}{{ printf \"%s\" }}",
            "{{random -1}}",
            "{{.RoleName | truncate 50}}{{.DisplayName | truncate 8}}{{random 20}}",
        ] {
            assert!(check(template).is_err(), "{template}");
        }
        for template in ["{{random 8}}", DEFAULT, "{{random 20 | lowercase}}_{{.DisplayName}}"] {
            check(template).expect(template);
        }
    }
}

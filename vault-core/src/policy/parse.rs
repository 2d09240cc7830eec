//! From a policy's text to its rules.

use super::lexer::{Lexeme, Place, Token, lex};
use super::{Capability, CapabilitySet, PolicyError, json};
use crate::types::limits::{POLICY_BYTES_MAX, POLICY_RULES_MAX};

/// A parsed policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
}

/// One `path` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub(super) path: String,
    pub(super) capabilities: CapabilitySet,
    pub(super) line: u32,
}

/// Attributes of a rule that the field's servers know and this version does not: each of them restricts, so none may be ignored.
const NOT_YET: [&str; 8] = [
    "allowed_parameters",
    "denied_parameters",
    "required_parameters",
    "min_wrapping_ttl",
    "max_wrapping_ttl",
    "mfa_methods",
    "control_group",
    "subscribe_event_types",
];

impl Policy {
    /// Reads a policy, in HCL or (where it starts with `{`) in JSON.
    ///
    /// # Errors
    /// With line, column and what was expected. Unknown keys are refused by name.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLarge);
        }
        let rules = if text.trim_start().starts_with('{') { json::rules(text)? } else { Parser::new(text)?.rules()? };
        if rules.len() > POLICY_RULES_MAX {
            return Err(PolicyError::TooLarge);
        }
        Ok(Policy { name: name.to_owned(), rules })
    }

    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rules, in the order of the text.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl Rule {
    /// The path, without a leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it gives.
    #[must_use]
    pub fn capabilities(&self) -> CapabilitySet {
        self.capabilities
    }

    /// The line of the text on which it starts, from 1 on; 0 in the JSON form.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }
}

/// Checks a rule's path, and strips its leading slash.
pub(super) fn rule_path(path: &str) -> Result<&str, &'static str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        Err("the path is empty")
    } else if path.contains("+*") {
        Err("the path holds \"+*\": '+' stands for one whole segment and '*' for any ending, so write one of them")
    } else if path.contains("{{") {
        Err("templated paths are not supported in this version")
    } else {
        Ok(path)
    }
}

/// The capability of a name, or what to say of it.
pub(super) fn capability(name: &str) -> Result<Capability, String> {
    Capability::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Capability::ALL.into_iter().map(Capability::name).collect();
        format!("unknown capability {name:?}: expected one of {}", known.join(", "))
    })
}

/// What to say of an attribute that is not `capabilities`.
pub(super) fn refuse_attribute(name: &str) -> String {
    if NOT_YET.contains(&name) {
        format!("{name:?} is not supported in this version, and would restrict the rule: it cannot be ignored")
    } else if name == "policy" {
        "the shorthand \"policy\" is not supported: write capabilities".to_owned()
    } else {
        format!("unknown attribute {name:?}: expected \"capabilities\"")
    }
}

struct Parser {
    lexemes: Vec<Lexeme>,
    next: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, PolicyError> {
        Ok(Parser { lexemes: lex(text)?, next: 0 })
    }

    /// The next token; the last one is never passed.
    fn take(&mut self) -> Lexeme {
        let lexeme = self.lexemes[self.next].clone();
        self.next = (self.next + 1).min(self.lexemes.len() - 1);
        lexeme
    }

    fn peek(&self) -> &Lexeme {
        &self.lexemes[self.next]
    }

    fn expect(&mut self, token: &Token, what: &str) -> Result<(), PolicyError> {
        let found = self.take();
        if found.token == *token { Ok(()) } else { Err(unexpected(&found, what)) }
    }

    fn skip_comma(&mut self) {
        if self.peek().token == Token::Comma {
            self.take();
        }
    }

    fn rules(mut self) -> Result<Vec<Rule>, PolicyError> {
        let mut rules = Vec::new();
        loop {
            let found = self.take();
            match &found.token {
                Token::End => return Ok(rules),
                Token::Identifier(word) | Token::Text(word) if word == "path" => rules.push(self.rule(found.at)?),
                Token::Identifier(word) | Token::Text(word) if word == "name" => {
                    self.expect(&Token::Equals, "'='")?;
                    self.text("the policy's name, quoted")?;
                }
                Token::Identifier(word) | Token::Text(word) => {
                    return Err(found
                        .at
                        .error(format!("unknown key {word:?}: expected a rule, such as path \"secret/data/app/*\" {{ ... }}")));
                }
                _ => return Err(unexpected(&found, "a rule, such as path \"secret/data/app/*\" { ... }")),
            }
            self.skip_comma();
        }
    }

    fn rule(&mut self, start: Place) -> Result<Rule, PolicyError> {
        let (path, at) = self.text("the rule's path, quoted")?;
        let path = rule_path(&path).map_err(|why| at.error(why))?.to_owned();
        self.expect(&Token::OpenBrace, "'{'")?;
        let mut capabilities = CapabilitySet::default();
        loop {
            let found = self.take();
            match &found.token {
                Token::CloseBrace => return Ok(Rule { path, capabilities, line: start.line }),
                Token::Identifier(word) | Token::Text(word) if word == "capabilities" => {
                    self.expect(&Token::Equals, "'='")?;
                    capabilities = capabilities.union(self.capabilities()?);
                }
                Token::Identifier(word) | Token::Text(word) => return Err(found.at.error(refuse_attribute(word))),
                _ => return Err(unexpected(&found, "\"capabilities\" or '}'")),
            }
            self.skip_comma();
        }
    }

    fn capabilities(&mut self) -> Result<CapabilitySet, PolicyError> {
        self.expect(&Token::OpenBracket, "'['")?;
        let mut set = CapabilitySet::default();
        loop {
            let found = self.take();
            match &found.token {
                Token::CloseBracket => return Ok(set),
                Token::Text(name) => set.insert(capability(name).map_err(|why| found.at.error(why))?),
                _ => return Err(unexpected(&found, "a capability, quoted, or ']'")),
            }
            match &self.peek().token {
                Token::Comma => drop(self.take()),
                Token::CloseBracket => {}
                _ => return Err(unexpected(self.peek(), "',' or ']'")),
            }
        }
    }

    fn text(&mut self, what: &str) -> Result<(String, Place), PolicyError> {
        let found = self.take();
        match found.token {
            Token::Text(text) => Ok((text, found.at)),
            _ => Err(unexpected(&found, what)),
        }
    }
}

fn unexpected(found: &Lexeme, what: &str) -> PolicyError {
    found.at.error(format!("expected {what}, found {}", found.token.describe()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(text: &str) -> Vec<(String, Vec<&'static str>, u32)> {
        let policy = Policy::parse("p", text).unwrap_or_else(|error| panic!("{error}: {text}"));
        policy.rules.iter().map(|rule| (rule.path.clone(), rule.capabilities.names(), rule.line)).collect()
    }

    #[test]
    fn policies_read_as_users_write_them() {
        let text = r#"
# three kinds of comments
// and several attributes on a line
/* of
   HCL 1 */
name = "app"
path "secret/data/app/*" { capabilities = ["read", "list",] }
"path" "/sys/mounts" {
  "capabilities" = [
    "update", # trailing
    "create"
  ]
}
path "literal/${x}/\"quoted\"" { capabilities = ["deny"], }
path "nothing" {}
"#;
        let expected: Vec<(String, Vec<&str>, u32)> = vec![
            ("secret/data/app/*".into(), vec!["list", "read"], 7),
            ("sys/mounts".into(), vec!["create", "update"], 8),
            ("literal/${x}/\"quoted\"".into(), vec!["deny"], 14),
            ("nothing".into(), vec!["deny"], 15),
        ];
        assert_eq!(rules(text), expected);
        assert_eq!(rules(r#"{"path": {"a/*": {"capabilities": ["read"]}, "b": {"capabilities": []}}}"#).len(), 2);
        assert!(rules("").is_empty() && rules("# nothing").is_empty());
    }

    #[test]
    fn errors_give_line_column_and_what_was_expected() {
        for (text, line, column, part) in [
            ("path \"a\" { capabilities = [\"raed\"] }", 1, 28, "unknown capability \"raed\""),
            ("path \"a\" {\n  capabilites = [\"read\"]\n}", 2, 3, "unknown attribute \"capabilites\""),
            ("path \"a\" { capabilities = [\"read\"] ", 1, 36, "the end of the policy"),
            ("path a { }", 1, 6, "the rule's path, quoted"),
            ("path \"a\" = { }", 1, 10, "expected '{'"),
            ("rule \"a\" { }", 1, 1, "unknown key \"rule\""),
            ("path \"\" { }", 1, 6, "empty"),
            ("path \"a/+*\" { }", 1, 6, "+*"),
            ("path \"a/{{identity.entity.id}}\" { }", 1, 6, "templated"),
            ("path \"a\" { policy = \"write\" }", 1, 12, "shorthand"),
            ("path \"a\" { allowed_parameters = { } }", 1, 12, "cannot be ignored"),
            ("path \"a\" { min_wrapping_ttl = \"1h\" }", 1, 12, "cannot be ignored"),
            ("path \"a { }", 1, 6, "not closed"),
            ("/* path", 1, 1, "not closed"),
            ("path \"a\" { capabilities = [\"read\" \"list\"] }", 1, 35, "',' or ']'"),
            ("path \"a\\x\" {}", 1, 8, "unknown escape"),
            ("@", 1, 1, "unexpected character"),
        ] {
            match Policy::parse("p", text) {
                Err(PolicyError::Syntax { line: l, column: c, message }) => {
                    assert!(message.contains(part), "{text}: {message}");
                    assert_eq!((l, c), (line, column), "{text}: {message}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn bad_json_policies_are_refused() {
        for text in [
            "{",
            "{\"path\": []}",
            "{\"paths\": {}}",
            "{\"path\": {\"a\": {\"capabilities\": [\"raed\"]}}}",
            "{\"path\": {\"a\": {\"capabilities\": \"read\"}}}",
            "{\"path\": {\"a\": {\"allowed_parameters\": {}}}}",
            "{\"path\": {\"a/+*\": {}}}",
        ] {
            assert!(Policy::parse("p", text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_any_text_gives_rules_or_an_error(text in "\\PC*") {
            let _outcome = Policy::parse("p", &text);
        }

        #[test]
        fn parsing_almost_policies_gives_rules_or_an_error(text in "(path|\"a/\\+\"|\\{|\\}|\\[|\\]|=|,|capabilities|\"read\"|#|\n|/\\*| ){0,40}") {
            let _outcome = Policy::parse("p", &text);
        }
    }
}

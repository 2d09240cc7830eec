//! From a policy's text to its rules.

use super::constraints::{Constraints, Parameters, lower_cased};
use super::lexer::{Form, Place, Token, shown};
use super::reader::{Reader, unexpected};
use super::template::Template;
use super::{Capability, CapabilitySet, PolicyError};
use crate::types::Ttl;
use crate::types::limits::{POLICY_BYTES_MAX, POLICY_RULES_MAX};
use std::sync::Arc;

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
    pub(super) template: Option<Template>,
    pub(super) capabilities: CapabilitySet,
    pub(super) constraints: Option<Arc<Constraints>>,
    pub(super) line: u32,
}

/// What a rule may say.
const ATTRIBUTES: [&str; 8] = [
    "capabilities",
    "policy",
    "allowed_parameters",
    "denied_parameters",
    "required_parameters",
    "min_wrapping_ttl",
    "max_wrapping_ttl",
    "comment",
];

/// Attributes of a rule that the field's servers know and this version does not: each of them restricts, so none may be ignored.
const NOT_SUPPORTED: [&str; 7] = [
    "mfa_methods",
    "control_group",
    "subscribe_event_types",
    "pagination_limit",
    "expiration",
    "response_keys_filter_path",
    "list_scan_response_keys_filter_path",
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
        let is_json = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('{');
        let form = if is_json { Form::Json } else { Form::Hcl };
        let parser = Parser { reader: Reader::new(text, form), rules: Vec::new() };
        let rules = if is_json { parser.json()? } else { parser.hcl()? };
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
    /// The path as it is written, without a leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it gives.
    #[must_use]
    pub fn capabilities(&self) -> CapabilitySet {
        self.capabilities
    }

    /// The line of the text on which it starts, from 1 on.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }
}

struct Parser<'t> {
    reader: Reader<'t>,
    rules: Vec<Rule>,
}

impl Parser<'_> {
    fn hcl(mut self) -> Result<Vec<Rule>, PolicyError> {
        loop {
            let found = self.reader.take()?;
            match &found.token {
                Token::End => return Ok(self.rules),
                Token::Identifier(word) | Token::Text(word) if word == "path" => {
                    let (path, at) = self.reader.text("the rule's path, quoted")?;
                    self.rule(&path, at, found.at.line)?;
                }
                Token::Identifier(word) | Token::Text(word) if word == "name" => self.name()?,
                Token::Identifier(word) | Token::Text(word) => return Err(unknown_key(word, found.at)),
                _ => return Err(unexpected(&found, "a rule, such as path \"secret/data/app/*\" { ... }")),
            }
            self.reader.skip_comma()?;
        }
    }

    /// `{"path": {"secret/*": {"capabilities": ["read"]}}}`, or a list of such objects of rules.
    fn json(mut self) -> Result<Vec<Rule>, PolicyError> {
        self.reader.expect(&Token::OpenBrace, "'{'")?;
        let mut is_first = true;
        while let Some((word, at)) = self.reader.key(is_first, "\"path\"")? {
            match word.as_str() {
                "path" => self.json_rules()?,
                "name" => self.name()?,
                _ => return Err(unknown_key(&word, at)),
            }
            is_first = false;
        }
        self.reader.expect(&Token::End, "the end of the policy")?;
        Ok(self.rules)
    }

    fn json_rules(&mut self) -> Result<(), PolicyError> {
        self.reader.assignment()?;
        if self.reader.peek()?.token != Token::OpenBracket {
            return self.json_rules_by_path();
        }
        self.reader.take()?;
        let mut is_first = true;
        while self.reader.has_element(is_first)? {
            self.json_rules_by_path()?;
            is_first = false;
        }
        Ok(())
    }

    fn json_rules_by_path(&mut self) -> Result<(), PolicyError> {
        self.reader.expect(&Token::OpenBrace, "an object of rules by path")?;
        let mut is_first = true;
        while let Some((path, at)) = self.reader.key(is_first, "a rule's path")? {
            self.reader.assignment()?;
            self.rule(&path, at, at.line)?;
            is_first = false;
        }
        Ok(())
    }

    fn name(&mut self) -> Result<(), PolicyError> {
        self.reader.assignment()?;
        self.reader.text("the policy's name, quoted").map(drop)
    }

    fn rule(&mut self, path: &str, at: Place, line: u32) -> Result<(), PolicyError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let template = rule_path(path).map_err(|why| at.error(why))?;
        self.reader.expect(&Token::OpenBrace, "'{'")?;
        let mut body = Body::default();
        let mut seen: Vec<String> = Vec::new();
        while let Some((name, at)) = self.reader.key(seen.is_empty(), "an attribute, such as \"capabilities\",")? {
            if seen.contains(&name) {
                return Err(at.error(format!("{} is given twice in one rule: write it once", shown(&name))));
            }
            if !ATTRIBUTES.contains(&name.as_str()) {
                return Err(at.error(unknown_attribute(&name)));
            }
            self.reader.assignment()?;
            self.attribute(&name, at, &mut body)?;
            seen.push(name);
        }
        if self.rules.len() == POLICY_RULES_MAX {
            return Err(PolicyError::TooLarge);
        }
        let constraints = (!body.constraints.is_empty()).then(|| Arc::new(body.constraints));
        self.rules.push(Rule { path: path.to_owned(), template, capabilities: body.capabilities, constraints, line });
        Ok(())
    }

    fn attribute(&mut self, name: &str, at: Place, body: &mut Body) -> Result<(), PolicyError> {
        let constraints = &mut body.constraints;
        match name {
            "capabilities" => self.reader.texts("a capability", |text, at| {
                body.capabilities.insert(capability(&text).map_err(|why| at.error(why))?);
                Ok(())
            })?,
            "policy" => {
                let (text, at) = self.reader.text("read, write, sudo or deny, quoted")?;
                body.capabilities = body.capabilities.union(shorthand(&text).map_err(|why| at.error(why))?);
            }
            "comment" => drop(self.reader.text("a comment, quoted")?),
            "allowed_parameters" => self.parameters(&mut constraints.allowed)?,
            "denied_parameters" => self.parameters(&mut constraints.denied)?,
            "required_parameters" => {
                let mut names = Vec::new();
                self.reader.texts("a parameter's name", |text, _| {
                    names.push(lower_cased(&text));
                    Ok(())
                })?;
                names.iter().try_for_each(|_| self.reader.count())?;
                constraints.required = names;
            }
            "min_wrapping_ttl" => constraints.wrap_min = self.ttl()?,
            _ => constraints.wrap_max = self.ttl()?,
        }
        if constraints.wrap_min.zip(constraints.wrap_max).is_some_and(|(min, max)| min > max) {
            return Err(at.error("max_wrapping_ttl is below min_wrapping_ttl: no request could pass"));
        }
        Ok(())
    }

    fn parameters(&mut self, parameters: &mut Parameters) -> Result<(), PolicyError> {
        self.reader.expect(&Token::OpenBrace, "an object of lists by parameter, such as { \"ttl\" = [\"1h\"], \"*\" = [] }")?;
        let mut is_first = true;
        while let Some((name, at)) = self.reader.key(is_first, "a parameter's name")? {
            self.reader.count()?;
            self.reader.assignment()?;
            if !parameters.insert(&name, self.reader.values()?) {
                return Err(at.error(format!("the parameter {} is given twice", shown(&lower_cased(&name)))));
            }
            is_first = false;
        }
        Ok(())
    }

    /// A time as text, or as a number of whole seconds; none where it is zero.
    fn ttl(&mut self) -> Result<Option<Ttl>, PolicyError> {
        let found = self.reader.take()?;
        let ttl = match &found.token {
            Token::Text(text) | Token::Number(text) => Ttl::parse(text),
            _ => return Err(unexpected(&found, "a time, such as \"90s\", \"1h\" or 3600")),
        };
        let ttl = ttl.map_err(|_| found.at.error("expected a time in whole seconds, such as \"90s\", \"1h30m\" or 3600"))?;
        Ok(Some(ttl).filter(|ttl| *ttl > Ttl::ZERO))
    }
}

#[derive(Default)]
struct Body {
    capabilities: CapabilitySet,
    constraints: Constraints,
}

/// Checks a rule's path, and reads its template where it is one.
fn rule_path(path: &str) -> Result<Option<Template>, &'static str> {
    if path.is_empty() {
        return Err("the path is empty");
    }
    if path.contains("+*") {
        return Err("the path holds \"+*\": '+' stands for one whole segment and '*' for any ending, so write one of them");
    }
    Template::parse(path)
}

fn capability(name: &str) -> Result<Capability, String> {
    let known = Capability::ALL.map(Capability::name);
    Capability::from_name(name).ok_or_else(|| match nearest(name, &known) {
        Some(near) => format!("unknown capability {}: did you mean {near:?}?", shown(name)),
        None => format!("unknown capability {}: expected one of {}", shown(name), known.join(", ")),
    })
}

/// What the old form `policy = "write"` gives.
fn shorthand(word: &str) -> Result<CapabilitySet, String> {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    let capabilities: &[Capability] = match word {
        "deny" => &[Deny],
        "read" => &[Read, List],
        "write" => &[Create, Read, Update, Delete, List],
        "sudo" => &[Create, Read, Update, Delete, List, Sudo],
        _ => return Err(format!("unknown policy {}: expected read, write, sudo or deny; or write capabilities", shown(word))),
    };
    Ok(capabilities.iter().copied().collect())
}

fn unknown_attribute(name: &str) -> String {
    if NOT_SUPPORTED.contains(&name) {
        format!("{name:?} is not supported in this version, and would restrict the rule: it cannot be ignored")
    } else if let Some(near) = nearest(name, &ATTRIBUTES) {
        format!("unknown attribute {}: did you mean {near:?}?", shown(name))
    } else {
        format!("unknown attribute {}: expected one of {}", shown(name), ATTRIBUTES.join(", "))
    }
}

fn unknown_key(word: &str, at: Place) -> PolicyError {
    let hint = nearest(word, &["path", "name"]).map_or_else(String::new, |near| format!(" (did you mean {near:?}?)"));
    at.error(format!("unknown key {}{hint}: expected a rule, such as path \"secret/data/app/*\" {{ ... }}", shown(word)))
}

/// The word that at most two typing mistakes turned into this one.
fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    const MISTAKES_MAX: usize = 2;
    let distance = |known: &str| {
        let known: Vec<char> = known.chars().collect();
        let mut row: Vec<usize> = (0..=known.len()).collect();
        for (i, c) in word.chars().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, k) in known.iter().enumerate() {
                let changed = diagonal + usize::from(c != *k);
                diagonal = row[j + 1];
                row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[known.len()]
    };
    let is_comparable = word.len() <= 64;
    let near = known.iter().filter(|_| is_comparable).map(|known| (distance(known), *known)).min()?;
    Some(near).filter(|(distance, known)| *distance <= MISTAKES_MAX && *distance * 2 <= known.len()).map(|(_, known)| known)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;

//! The JSON form of a policy: `{"path": {"secret/*": {"capabilities": ["read"]}}}`.

use super::parse::{Rule, capability, refuse_attribute, rule_path};
use super::{CapabilitySet, PolicyError};
use crate::types::Value;

/// The rules of a JSON policy, in the order of their paths.
pub(super) fn rules(text: &str) -> Result<Vec<Rule>, PolicyError> {
    let bad = |why: &str| PolicyError::Json(why.to_owned());
    let policy = Value::from_json(text.as_bytes()).map_err(|error| PolicyError::Json(error.to_string()))?;
    let policy = policy.as_object().ok_or_else(|| bad("expected an object"))?;
    let mut rules = Vec::new();
    for (key, value) in policy.iter() {
        match key {
            "name" if value.as_str().is_some() => {}
            "path" => {
                for (path, rule) in value.as_object().ok_or_else(|| bad("\"path\" must be an object of rules by path"))?.iter() {
                    let path = rule_path(path).map_err(|why| PolicyError::Json(format!("rule {}: {why}", rules.len() + 1)))?;
                    rules.push(Rule { path: path.to_owned(), capabilities: capabilities(rule)?, line: 0 });
                }
            }
            _ => return Err(PolicyError::Json(format!("unknown key {key:?}: expected \"path\""))),
        }
    }
    Ok(rules)
}

fn capabilities(rule: &Value) -> Result<CapabilitySet, PolicyError> {
    let bad = || PolicyError::Json("\"capabilities\" must be an array of texts".to_owned());
    let rule = rule.as_object().ok_or_else(|| PolicyError::Json("a rule must be an object".to_owned()))?;
    let mut set = CapabilitySet::default();
    for (key, value) in rule.iter() {
        if key != "capabilities" {
            return Err(PolicyError::Json(refuse_attribute(key)));
        }
        for name in value.as_array().ok_or_else(bad)? {
            set.insert(capability(name.as_str().ok_or_else(bad)?).map_err(PolicyError::Json)?);
        }
    }
    Ok(set)
}

//! The rules of an ACL user, as a role's `creation_statements` give them.

use crate::target::misconfigured;
use vault_core::host::ConnectorError;
use vault_core::types::Value;

/// What Vault gives where a role says nothing: to read every key.
const DEFAULT: [&str; 2] = ["~*", "+@read"];
const RULES_MAX: usize = 256;
const RULE_BYTES_MAX: usize = 1024;

/// The rules: each statement is a JSON array of them, such as `["~app:*", "+@read"]`. None may touch the credential, which is the vault's.
pub(super) fn rules(statements: &[String]) -> Result<Vec<String>, ConnectorError> {
    let bad = || misconfigured("creation_statements of a Redis are a JSON array of rules, such as [\"~app:*\", \"+@read\"]");
    if statements.is_empty() {
        return Ok(DEFAULT.map(str::to_owned).to_vec());
    }
    let mut rules = Vec::new();
    for statement in statements {
        let read = Value::from_json(statement.as_bytes()).map_err(|_| bad())?;
        for rule in read.as_array().ok_or_else(bad)? {
            rules.push(checked(rule.as_str().ok_or_else(bad)?)?.to_owned());
        }
    }
    if rules.len() > RULES_MAX {
        return Err(misconfigured(format!("a role has at most {RULES_MAX} rules")));
    }
    Ok(rules)
}

fn checked(rule: &str) -> Result<&str, ConnectorError> {
    let word = rule.to_ascii_lowercase();
    let is_of_the_credential =
        word.starts_with(['>', '<', '#', '!']) || ["on", "off", "nopass", "resetpass", "reset"].contains(&word.as_str());
    if is_of_the_credential {
        return Err(misconfigured(
            "a rule of creation_statements turns the account on or off or sets its password: that is the vault's to do",
        ));
    }
    if rule.is_empty() || rule.len() > RULE_BYTES_MAX || rule.contains(['\0', '\r', '\n']) {
        return Err(misconfigured(format!("a rule of creation_statements has from 1 to {RULE_BYTES_MAX} bytes on one line")));
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(statements: &[&str]) -> Result<Vec<String>, ConnectorError> {
        rules(&statements.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn rules_are_a_json_array() {
        assert_eq!(read(&[]).expect("the default"), ["~*", "+@read"]);
        assert_eq!(read(&[r#"["~app:*", "+@read"]"#, r#"["(%R~x +get)"]"#]).expect("valid"), ["~app:*", "+@read", "(%R~x +get)"]);
        for text in ["+@read", "{}", "[1]", r#"[""]"#, "[\"a\\nb\"]"] {
            assert!(read(&[text]).is_err(), "{text}");
        }
    }

    #[test]
    fn no_rule_touches_the_credential() {
        for rule in [">x", "<x", "#00", "!00", "nopass", "NoPass", "reset", "resetpass", "on", "OFF"] {
            assert!(read(&[&format!("[\"+@all\", \"{rule}\"]")]).is_err(), "{rule}");
        }
    }
}

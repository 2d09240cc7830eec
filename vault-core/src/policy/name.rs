//! Policy names: one canonical spelling, so that no other spelling can be taken for `root`.

use super::PolicyError;
use crate::types::limits::NAME_BYTES_MAX;

/// A policy's name: trimmed, lower case, printable ASCII without slash or white space inside.
///
/// The field's servers take any text and compare it after trimming and lower-casing. Full-width letters, combining marks and look-alikes
/// then give names that differ to the machine and not to the reader (CVE-2025-5999); here they are refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyName(String);

impl PolicyName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds another character than printable ASCII.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let name = text.trim();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(PolicyError::Name("a policy name must have from 1 to 512 bytes"));
        }
        if !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
            return Err(PolicyError::Name("a policy name must be printable ASCII without spaces and slashes"));
        }
        Ok(PolicyName(name.to_ascii_lowercase()))
    }

    /// The canonical name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses the names whose policies are the vault's own.
    ///
    /// # Errors
    /// For `root` and `response-wrapping`.
    pub fn check_writable(&self) -> Result<(), PolicyError> {
        match self.0.as_str() {
            "root" => Err(PolicyError::Name("the policy \"root\" cannot be written or deleted")),
            "response-wrapping" => Err(PolicyError::Name("the policy \"response-wrapping\" cannot be written or deleted")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_names_are_trimmed_and_lower_cased() {
        assert_eq!(PolicyName::parse("  App-Read \n").expect("a name").as_str(), "app-read");
    }

    #[test]
    fn root_cannot_be_written_in_any_spelling() {
        for spelling in ["root", "ROOT", " Root", "root\t"] {
            assert!(PolicyName::parse(spelling).expect("a name").check_writable().is_err(), "{spelling:?}");
        }
        for spelling in ["ｒｏｏｔ", "ro\u{2060}ot", "r\u{43e}ot", "root\u{301}", "ro ot", "root/", "a/b", "", " "] {
            assert!(PolicyName::parse(spelling).is_err(), "{spelling:?}");
        }
    }
}

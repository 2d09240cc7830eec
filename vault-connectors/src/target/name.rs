//! Which names a connector gives to accounts: those that mean nothing in any statement.

use super::misconfigured;
use vault_core::host::{ConnectorError, Target};

/// An account's name, if it has from 1 to `bytes_max` of the characters that are safe everywhere. Role names of a vault's callers end up in
/// it by way of templates, so this stands in front of all quoting.
pub(crate) fn checked_name(name: &str, bytes_max: usize) -> Result<&str, ConnectorError> {
    if name.is_empty() || name.len() > bytes_max {
        return Err(misconfigured(format!("an account's name has from 1 to {bytes_max} bytes: change the username template")));
    }
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@+:=~/".contains(&byte);
    if !name.bytes().all(is_safe) {
        return Err(misconfigured(
            "an account's name holds letters, digits and the characters _-.@+:=~/ only: change the username template or the role's name",
        ));
    }
    Ok(name)
}

/// A name that is safe, and neither the vault's own account's nor one of the `server`'s: making or removing such a one would cut the branch that
/// all sits on.
pub(crate) fn free_name<'a>(
    target: &Target<'_>,
    name: &'a str,
    bytes_max: usize,
    is_of_the_server: impl Fn(&str) -> bool,
) -> Result<&'a str, ConnectorError> {
    let name = checked_name(name, bytes_max)?;
    if name == target.username || is_of_the_server(name) {
        return Err(misconfigured(
            "the account's name is that of the vault's own account or one of the server's: change the username template",
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_mean_something_in_a_statement_is_refused() {
        for name in ["v-token-app-Xy12-1790000000", "a", "app@example.org", "svc.app_1"] {
            assert_eq!(checked_name(name, 63).expect(name), name);
        }
        let long = "a".repeat(64);
        for name in ["", "a'b", "a\"b", "a`b", "a\\b", "a;b", "a b", "a\0b", "a\nb", "a$b", "a{b", "ä", "a(b", "a*b", "a%b", long.as_str()]
        {
            assert!(checked_name(name, 63).is_err(), "{name:?}");
        }
    }
}

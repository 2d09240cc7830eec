//! Puts values into the placeholders of statements, each escaped for where it stands, or refused.

use super::lexer::{Context, Dialect, Hole, Piece, cut};
use crate::target::misconfigured;
use vault_core::host::ConnectorError;
use vault_core::types::Timestamp;
use zeroize::Zeroizing;

const STATEMENTS_MAX: usize = 100;
const STATEMENT_BYTES_MAX: usize = 64 * 1024;

/// What is put in.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) name: &'a str,
    /// The password, or what the server keeps of it; none where there is none to be told.
    pub(crate) password: Option<&'a str>,
    pub(crate) expiration: Option<&'a str>,
}

/// The statements of a role, ready for the server, one each.
pub(crate) fn statements(dialect: Dialect, templates: &[String], values: &Values<'_>) -> Result<Vec<Zeroizing<String>>, ConnectorError> {
    if templates.iter().map(String::len).sum::<usize>() > STATEMENT_BYTES_MAX {
        return Err(misconfigured(format!("a role's statements have at most {STATEMENT_BYTES_MAX} bytes together")));
    }
    let mut done = Vec::new();
    for template in templates {
        if template.contains('\0') {
            return Err(misconfigured("a statement holds a NUL"));
        }
        for statement in cut(dialect, template)? {
            if done.len() == STATEMENTS_MAX {
                return Err(misconfigured(format!("a role has at most {STATEMENTS_MAX} statements of a kind")));
            }
            done.push(filled(dialect, &statement, values)?);
        }
    }
    Ok(done)
}

/// A value in quotes, for statements of the connectors' own.
#[cfg(feature = "mysql")]
pub(crate) fn quoted(dialect: Dialect, by: char, value: &str) -> Result<Zeroizing<String>, ConnectorError> {
    let escapes = dialect == Dialect::Mysql && by != '`';
    let mut out = Zeroizing::new(String::with_capacity(value.len() * 2 + 2));
    out.push(by);
    put(&mut out, value, Context::Quoted { by: u8::try_from(by).unwrap_or(b'\''), escapes })?;
    out.push(by);
    Ok(out)
}

/// An instant as a server reads it, in UTC, rounded up to a whole second: an account is not to end before its lease.
pub(crate) fn expiration(dialect: Dialect, expires: Option<Timestamp>) -> String {
    let Some(expires) = expires else {
        return if dialect == Dialect::Postgres { "infinity" } else { "9999-12-31 23:59:59" }.to_owned();
    };
    let seconds = Timestamp::from_secs(expires.as_millis().div_ceil(1000)).as_secs();
    let zone = if dialect == Dialect::Postgres { "+0000" } else { "" };
    Timestamp::from_secs(seconds).to_string().replace('T', " ").replace('Z', zone)
}

fn filled(dialect: Dialect, statement: &[Piece<'_>], values: &Values<'_>) -> Result<Zeroizing<String>, ConnectorError> {
    let value = |hole| match hole {
        Hole::Name => Ok(values.name),
        Hole::Password => values.password.ok_or_else(|| misconfigured("{{password}} stands in a statement that is given none")),
        Hole::Expiration => values.expiration.ok_or_else(|| misconfigured("{{expiration}} stands in a statement that is given none")),
    };
    // Sized before writing, so that growth leaves no copies of the password behind.
    let mut size = 0;
    for piece in statement {
        size += match piece {
            Piece::Text(text) => text.len(),
            Piece::Hole(hole, _) => value(*hole)?.len() * 2,
        };
    }
    let mut out = Zeroizing::new(String::with_capacity(size));
    for piece in statement {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Hole(hole, context) => {
                let context = match (dialect, context) {
                    // The backslash of MySQL's identifiers is none.
                    (Dialect::Mysql, Context::Quoted { by: b'`', .. }) => Context::Quoted { by: b'`', escapes: false },
                    (_, context) => *context,
                };
                match (hole, context) {
                    // Its characters are known: digits, a space, and - : +.
                    (Hole::Expiration, Context::Inner) => out.push_str(value(*hole)?),
                    _ => put(&mut out, value(*hole)?, context)?,
                }
            }
        }
    }
    Ok(out)
}

fn put(out: &mut String, value: &str, context: Context) -> Result<(), ConnectorError> {
    if value.contains('\0') {
        return Err(misconfigured("a name or a password holds a NUL"));
    }
    match context {
        Context::Quoted { by, escapes } => {
            for character in value.chars() {
                if character == char::from(by) || (escapes && character == '\\') {
                    out.push(character);
                }
                out.push(character);
            }
        }
        Context::Plain | Context::Inner => {
            let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            // Two dashes begin a comment, also where the other one is the statement's.
            if value.is_empty() || !value.bytes().all(is_safe) || value.contains("--") || value.starts_with('-') || value.ends_with('-') {
                return Err(misconfigured(
                    "a placeholder outside of quotes, in a dollar-quoted text or in a comment takes letters, digits, _ and single dashes only: \
                     put it in quotes, or have a password policy that keeps to these",
                ));
            }
            out.push_str(value);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "substitute_tests.rs"]
mod tests;

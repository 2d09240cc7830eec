//! What a connection's configuration says, read with the spellings that users of Vault know.

use super::misconfigured;
use std::time::Duration;
use vault_core::host::{ConnectorError, Target};
use vault_core::types::{Ttl, Value};

/// Vault's own default.
const CONNECTIONS_DEFAULT: u64 = 4;
const CONNECTIONS_MAX: u64 = 256;
const CONNECT_SECONDS_DEFAULT: u64 = 5;
const STATEMENT_SECONDS_DEFAULT: u64 = 10;
const SECONDS_MAX: u64 = 60;

/// How many connections there may be, and how long each thing may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) open_max: usize,
    pub(crate) idle_max: usize,
    /// None: however long.
    pub(crate) lifetime: Option<Duration>,
    /// To get a connection.
    pub(crate) connect: Duration,
    /// For all of a duty's statements.
    pub(crate) statement: Duration,
}

impl Limits {
    pub(crate) fn read(target: &Target<'_>) -> Result<Self, ConnectorError> {
        let config = target.config;
        let open = match number(config, "max_open_connections")?.unwrap_or(0) {
            0 => CONNECTIONS_DEFAULT,
            some if some <= CONNECTIONS_MAX => some,
            _ => return Err(misconfigured(format!("max_open_connections is at most {CONNECTIONS_MAX}"))),
        };
        // As in Vault 0, or nothing, means as many as may be open; a negative number means none.
        let idle = match config.get("max_idle_connections") {
            Some(value) if is_negative(value) => 0,
            _ => match number(config, "max_idle_connections")?.unwrap_or(0) {
                0 => open,
                some => some.min(open),
            },
        };
        Ok(Limits {
            open_max: usize::try_from(open).unwrap_or(usize::MAX),
            idle_max: usize::try_from(idle).unwrap_or(usize::MAX),
            lifetime: duration(config, "max_connection_lifetime")?.filter(|lifetime| !lifetime.is_zero()),
            connect: patience(config, "connect_timeout", CONNECT_SECONDS_DEFAULT)?,
            statement: patience(config, "statement_timeout", STATEMENT_SECONDS_DEFAULT)?,
        })
    }
}

/// Text of a configuration; an empty one is none.
pub(crate) fn text<'a>(config: &'a Value, name: &str) -> Result<Option<&'a str>, ConnectorError> {
    match config.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(misconfigured(format!("{name} must be text"))),
    }
}

/// Yes or no, as a truth value or as text; no when it is not there.
pub(crate) fn flag(config: &Value, name: &str) -> Result<bool, ConnectorError> {
    match config.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(Value::String(text)) if text.as_str() == "true" => Ok(true),
        Some(Value::String(text)) if text.is_empty() || text.as_str() == "false" => Ok(false),
        Some(_) => Err(misconfigured(format!("{name} must be true or false"))),
    }
}

/// A whole number, as one or as text.
pub(crate) fn number(config: &Value, name: &str) -> Result<Option<u64>, ConnectorError> {
    let bad = || misconfigured(format!("{name} must be a whole number"));
    match config.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| bad()),
        Some(value) => value.as_u64().map(Some).ok_or_else(bad),
    }
}

fn is_negative(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_some_and(|number| number < 0),
        Value::String(text) => text.parse::<i64>().is_ok_and(|number| number < 0),
        _ => false,
    }
}

fn duration(config: &Value, name: &str) -> Result<Option<Duration>, ConnectorError> {
    let seconds = match config.get(name) {
        Some(Value::String(text)) => {
            Some(Ttl::parse(text).map_err(|_| misconfigured(format!("{name} must be a duration, such as 30s or 5m")))?.as_secs())
        }
        _ => number(config, name)?,
    };
    Ok(seconds.map(Duration::from_secs))
}

fn patience(config: &Value, name: &str, default: u64) -> Result<Duration, ConnectorError> {
    let given = duration(config, name)?.unwrap_or_default();
    match given.as_secs() {
        0 => Ok(Duration::from_secs(default)),
        1..=SECONDS_MAX => Ok(given),
        _ => Err(misconfigured(format!("{name} is at most {SECONDS_MAX} seconds: a request of the vault waits for it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_core::types::SecretString;

    fn read(config: &str) -> Result<Limits, ConnectorError> {
        let config = Value::from_json(config.as_bytes()).expect("the test's JSON is valid");
        let password = SecretString::copy_from("x");
        Limits::read(&Target { id: [0; 16], config: &config, username: "x", password: &password, secrets: &[] })
    }

    #[test]
    fn limits_are_read_as_vault_reads_them() {
        let limits = read("{}").expect("all have defaults");
        assert_eq!((limits.open_max, limits.idle_max, limits.lifetime), (4, 4, None));
        assert_eq!((limits.connect.as_secs(), limits.statement.as_secs()), (5, 10));
        let limits =
            read(r#"{"max_open_connections": "7", "max_idle_connections": 2, "max_connection_lifetime": "5m", "statement_timeout": 3}"#);
        let limits = limits.expect("all are valid");
        assert_eq!((limits.open_max, limits.idle_max, limits.lifetime), (7, 2, Some(Duration::from_secs(300))));
        assert_eq!(limits.statement.as_secs(), 3);
        assert_eq!(read(r#"{"max_idle_connections": -1}"#).expect("valid").idle_max, 0);
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        for config in [
            r#"{"max_open_connections": 257}"#,
            r#"{"max_open_connections": "many"}"#,
            r#"{"max_connection_lifetime": "long"}"#,
            r#"{"statement_timeout": "2m"}"#,
            r#"{"connect_timeout": true}"#,
        ] {
            assert!(read(config).is_err(), "{config}");
        }
    }
}

//! Where a target listens: URLs, in which the credential stands as placeholders and is never put in.

use super::misconfigured;
use std::path::PathBuf;
use vault_core::host::{ConnectorError, Target};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// A URL in its parts, percent-encoding undone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Without the slash in front.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
}

impl Url {
    /// Reads `scheme://{{username}}:{{password}}@host:port/path?name=value&...`. The credential may be left out. It is handed to the server
    /// beside the URL, so nothing in it needs an encoding.
    pub(crate) fn parse(url: &str, target: &Target<'_>) -> Result<Self, ConnectorError> {
        let bad = |why: &str| misconfigured(format!("connection_url {why}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("must begin with a scheme and ://"))?;
        let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
        let (credential, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        check_credential(credential, target)?;
        if place.contains(',') {
            return Err(bad("names several hosts: give one"));
        }
        let (host, port) = host_and_port(place).ok_or_else(|| bad("has no valid host and port"))?;
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text| decoded(text).ok_or_else(|| bad("has percent-encoding that is not valid"));
            pairs.push((decode(name)?, decode(value)?));
        }
        let decode = |text| decoded(text).ok_or_else(|| bad("has percent-encoding that is not valid"));
        Ok(Url { scheme: scheme.to_owned(), host: decode(host)?, port, path: decode(path)?, query: pairs })
    }
}

/// What stands before the `@`: placeholders, or the account's own name; never a password.
pub(super) fn check_credential(credential: &str, target: &Target<'_>) -> Result<(), ConnectorError> {
    let (user, password) = credential.split_once(':').unwrap_or((credential, ""));
    let is_user = user.is_empty() || user == "{{username}}" || user == target.username;
    if !is_user || !(password.is_empty() || password == "{{password}}") {
        return Err(misconfigured(
            "write {{username}}:{{password}} into connection_url, and give the credential as username and password: it is kept apart",
        ));
    }
    Ok(())
}

/// `host`, `host:port`, `[v6]:port`.
pub(super) fn host_and_port(place: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None => None,
    };
    Some((host, port))
}

/// Undoes percent-encoding.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let value = digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))?;
        bytes.push(u8::try_from(value).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

impl Address {
    /// The host by which a certificate would name the server.
    pub(crate) fn host(&self) -> &str {
        match self {
            Address::Tcp { host, .. } => host,
            Address::Unix(_) => "localhost",
        }
    }
}

#[cfg(feature = "mysql")]
impl Address {
    /// `host:port` of a DSN, with a port where it says none.
    pub(crate) fn tcp(place: &str, port_default: u16) -> Option<Self> {
        let (host, port) = host_and_port(place)?;
        if host.is_empty() {
            return None;
        }
        Some(Address::Tcp { host: host.to_owned(), port: port.unwrap_or(port_default) })
    }

    /// Checks the credential of a DSN.
    pub(crate) fn check_credential(credential: &str, target: &Target<'_>) -> Result<(), ConnectorError> {
        check_credential(credential, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_core::types::{SecretString, Value};

    fn parse(url: &str) -> Result<Url, ConnectorError> {
        let password = SecretString::copy_from("p");
        Url::parse(url, &Target { id: [0; 16], config: &Value::Null, username: "vault", password: &password, secrets: &[] })
    }

    #[test]
    fn urls_are_read_in_their_parts() {
        let url = parse("postgresql://{{username}}:{{password}}@db.example:6432/my%20db?sslmode=disable&a=%2Fx").expect("it is valid");
        assert_eq!(
            (url.scheme.as_str(), url.host.as_str(), url.port, url.path.as_str()),
            ("postgresql", "db.example", Some(6432), "my db")
        );
        assert_eq!(url.query, [("sslmode".to_owned(), "disable".to_owned()), ("a".to_owned(), "/x".to_owned())]);
        let url = parse("redis://[::1]:7000").expect("it is valid");
        assert_eq!((url.host.as_str(), url.port), ("::1", Some(7000)));
        assert_eq!(parse("mysql://vault@h/").expect("the account's own name may stand there").host, "h");
    }

    #[test]
    fn urls_with_a_credential_or_without_sense_are_refused() {
        for url in [
            "postgres://{{username}}:hunter2@h/db",
            "postgres://root:{{password}}@h/db",
            "h:5432/db",
            "postgres://h:port/",
            "postgres://h:0/",
            "postgres://h:99999/",
            "postgres://a,b/",
            "postgres://h/%zz",
            "postgres://h/%0",
            "postgres://h/%00",
            "postgres://[::1/",
        ] {
            let told = parse(url).expect_err(url).to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}

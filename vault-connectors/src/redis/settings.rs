//! How to reach a Redis: `host` and `port` as Vault's users write them, or a URL.

use crate::target::{Address, Limits, Tls, Trust, Url, flag, misconfigured, number, text};
use std::path::PathBuf;
use vault_core::host::{ConnectorError, Target};

const PORT: u16 = 6379;

/// Where Redis keeps accounts over its restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Nowhere.
    Nothing,
    /// In its ACL file.
    AclFile,
    /// In its configuration file.
    Rewrite,
}

/// What a connection needs but for the credential.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) address: Address,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Limits,
    pub(super) persistence: Persistence,
}

impl Settings {
    pub(super) fn read(target: &Target<'_>) -> Result<Self, ConnectorError> {
        let config = target.config;
        let (address, has_tls) = match (text(config, "connection_url")?, text(config, "host")?) {
            (Some(url), None) => of_url(url, target)?,
            (None, Some(path)) if path.starts_with('/') => (Address::Unix(PathBuf::from(path)), false),
            (None, Some(host)) => {
                let port = number(config, "port")?.unwrap_or(u64::from(PORT));
                let port = u16::try_from(port).ok().filter(|port| *port != 0).ok_or_else(|| misconfigured("port is no port's number"))?;
                (Address::Tcp { host: host.to_owned(), port }, flag(config, "tls")?)
            }
            (None, None) => return Err(misconfigured("host is missing")),
            (Some(_), Some(_)) => return Err(misconfigured("give host and port, or connection_url, and not both")),
        };
        let is_lenient = flag(config, "insecure_tls")? || flag(config, "tls_skip_verify")?;
        let trust = if is_lenient { Trust::Nobody } else { Trust::Full };
        let tls = has_tls.then(|| Tls::read(target, trust, address.host())).transpose()?;
        let persistence = match text(config, "persistence_mode")?.unwrap_or_default().to_ascii_uppercase().as_str() {
            "" | "NONE" => Persistence::Nothing,
            "ACLFILE" => Persistence::AclFile,
            "REWRITE" => Persistence::Rewrite,
            _ => return Err(misconfigured("persistence_mode is ACLFILE, REWRITE or NONE")),
        };
        Ok(Settings { address, tls, limits: Limits::read(target)?, persistence })
    }
}

fn of_url(url: &str, target: &Target<'_>) -> Result<(Address, bool), ConnectorError> {
    let url = Url::parse(url, target)?;
    let has_tls = match url.scheme.as_str() {
        "redis" => false,
        "rediss" => true,
        _ => return Err(misconfigured("connection_url must begin with redis:// or rediss://")),
    };
    if url.host.is_empty() || !url.path.is_empty() || !url.query.is_empty() {
        return Err(misconfigured("connection_url of a Redis has a host and a port, and nothing behind them"));
    }
    Ok((Address::Tcp { host: url.host, port: url.port.unwrap_or(PORT) }, has_tls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_core::types::{SecretString, Value};

    fn read(config: &str) -> Result<Settings, ConnectorError> {
        let config = Value::from_json(config.as_bytes()).expect("the test's JSON is valid");
        let password = SecretString::copy_from("p");
        Settings::read(&Target { id: [0; 16], config: &config, username: "vault", password: &password, secrets: &[] })
    }

    #[test]
    fn host_and_port_and_a_url_say_the_same() {
        for config in [r#"{"host": "db", "port": 6380}"#, r#"{"connection_url": "redis://{{username}}:{{password}}@db:6380"}"#] {
            let settings = read(config).expect(config);
            assert_eq!(settings.address, Address::Tcp { host: "db".to_owned(), port: 6380 });
            assert!(settings.tls.is_none());
        }
        assert!(read(r#"{"host": "db", "tls": true, "insecure_tls": true}"#).expect("said to be so").tls.is_some());
        assert_eq!(read(r#"{"host": "db", "persistence_mode": "aclfile"}"#).expect("valid").persistence, Persistence::AclFile);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for config in [
            "{}",
            r#"{"host": "db", "port": 0}"#,
            r#"{"host": "db", "port": 65536}"#,
            r#"{"host": "db", "tls": true}"#,
            r#"{"host": "db", "persistence_mode": "often"}"#,
            r#"{"host": "db", "connection_url": "redis://db"}"#,
            r#"{"connection_url": "redis://db/0"}"#,
            r#"{"connection_url": "http://db"}"#,
        ] {
            assert!(read(config).is_err(), "{config}");
        }
    }
}

//! How to reach a PostgreSQL: `connection_url` as a URL or as words, with what stands beside it.

use crate::target::{Address, Limits, Tls, Trust, Url, flag, misconfigured, text};
use std::path::PathBuf;
use vault_core::host::{ConnectorError, Target};

const PORT: u16 = 5432;

/// What a connection needs but for the credential.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) address: Address,
    /// It names a socket's file too.
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) application: String,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Limits,
    /// Whether passwords reach the server as SCRAM verifiers only.
    pub(super) keeps_passwords: bool,
}

/// The words of a `connection_url`, whichever way it is written.
#[derive(Default)]
struct Words {
    host: String,
    port: Option<u16>,
    database: String,
    application: String,
    sslmode: Option<String>,
}

impl Settings {
    pub(super) fn read(target: &Target<'_>) -> Result<Self, ConnectorError> {
        let config = target.config;
        let url = text(config, "connection_url")?.ok_or_else(|| misconfigured("connection_url is missing"))?;
        let words = if url.contains("://") { of_url(url, target)? } else { of_words(url, target)? };
        let port = words.port.unwrap_or(PORT);
        let address = match words.host.as_str() {
            "" => return Err(misconfigured("connection_url names no host")),
            path if path.starts_with('/') => Address::Unix(PathBuf::from(path)),
            host => Address::Tcp { host: host.to_owned(), port },
        };
        let trust = trust(target, &address, words.sslmode.as_deref())?;
        let keeps_passwords = match text(config, "password_authentication")? {
            None | Some("scram-sha-256") => true,
            Some("password") => false,
            Some(_) => return Err(misconfigured("password_authentication is scram-sha-256 or password")),
        };
        Ok(Settings {
            tls: trust.map(|trust| Tls::read(target, trust, address.host())).transpose()?,
            address,
            port,
            database: if words.database.is_empty() { "postgres".to_owned() } else { words.database },
            application: if words.application.is_empty() { "libvault".to_owned() } else { words.application },
            limits: Limits::read(target)?,
            keeps_passwords,
        })
    }
}

/// Which certificate the server must show; none where there is no TLS.
fn trust(target: &Target<'_>, address: &Address, sslmode: Option<&str>) -> Result<Option<Trust>, ConnectorError> {
    let has_authority = text(target.config, "tls_ca")?.or(text(target.config, "ca_cert")?).is_some();
    let skips = flag(target.config, "tls_skip_verify")?;
    Ok(match sslmode {
        None if matches!(address, Address::Unix(_)) => None,
        Some("disable") => None,
        None | Some("verify-full") if !skips => Some(Trust::Full),
        Some("verify-ca") if !skips => Some(Trust::Authority),
        // As libpq has it: without an authority whoever answers is believed.
        Some("require") if has_authority && !skips => Some(Trust::Authority),
        None | Some("require" | "verify-ca" | "verify-full") => Some(Trust::Nobody),
        Some(_) => {
            return Err(misconfigured("sslmode is disable, require, verify-ca or verify-full: what may turn out as either is not safe"));
        }
    })
}

fn of_url(url: &str, target: &Target<'_>) -> Result<Words, ConnectorError> {
    let url = Url::parse(url, target)?;
    if !matches!(url.scheme.as_str(), "postgres" | "postgresql") {
        return Err(misconfigured("connection_url must begin with postgresql://"));
    }
    let mut words = Words { host: url.host, port: url.port, database: url.path, ..Words::default() };
    url.query.iter().try_for_each(|(name, value)| words.set(name, value, target))?;
    Ok(words)
}

/// Reads `host=... port=... user={{username}} password='{{password}}'`.
fn of_words(text: &str, target: &Target<'_>) -> Result<Words, ConnectorError> {
    let bad = || misconfigured("connection_url is neither a URL nor a sequence of name=value");
    let mut words = Words::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(bad)?;
        let after = after.trim_start();
        let mut value = String::new();
        let is_quoted = after.starts_with('\'');
        let mut characters = after.char_indices().skip(usize::from(is_quoted));
        let mut end = None;
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => value.push(characters.next().ok_or_else(bad)?.1),
                '\'' if is_quoted => {
                    end = Some(at + 1);
                    break;
                }
                space if space.is_whitespace() && !is_quoted => {
                    end = Some(at);
                    break;
                }
                other => value.push(other),
            }
        }
        if is_quoted && end.is_none() {
            return Err(bad());
        }
        words.set(name.trim_end(), &value, target)?;
        rest = after[end.unwrap_or(after.len())..].trim_start();
    }
    Ok(words)
}

impl Words {
    fn set(&mut self, name: &str, value: &str, target: &Target<'_>) -> Result<(), ConnectorError> {
        let slot = match name {
            "host" => &mut self.host,
            "dbname" => &mut self.database,
            "application_name" => &mut self.application,
            "port" => {
                self.port = Some(value.parse().map_err(|_| misconfigured("the port in connection_url is no number"))?);
                return Ok(());
            }
            "sslmode" => {
                self.sslmode = Some(value.to_owned());
                return Ok(());
            }
            // The two below are the vault's business; what is given here would be lost.
            "user" if value == "{{username}}" || value == target.username => return Ok(()),
            "password" if value == "{{password}}" => return Ok(()),
            "user" | "password" => return Err(misconfigured("write user={{username}} password={{password}} into connection_url")),
            "sslcert" | "sslkey" | "sslrootcert" => {
                return Err(misconfigured(
                    "connection_url names a file for TLS: give the text itself as tls_ca, tls_certificate and private_key",
                ));
            }
            _ => {
                return Err(misconfigured(
                    "connection_url has a parameter other than host, port, dbname, application_name and sslmode: leave it out",
                ));
            }
        };
        value.clone_into(slot);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_core::types::{Object, SecretString, Value};

    fn read(url: &str, more: &[(&str, &str)]) -> Result<Settings, ConnectorError> {
        let config = more.iter().fold(Object::new().with("connection_url", url), |config, (name, value)| config.with(name, *value));
        let password = SecretString::copy_from("p");
        Settings::read(&Target { id: [0; 16], config: &Value::Object(config), username: "vault", password: &password, secrets: &[] })
    }

    #[test]
    fn a_url_and_words_say_the_same() {
        for url in [
            "postgresql://{{username}}:{{password}}@db:6432/app?sslmode=disable",
            "host=db port=6432 user={{username}} password='{{password}}' dbname = 'app' sslmode=disable",
        ] {
            let settings = read(url, &[]).expect(url);
            assert_eq!(settings.address, Address::Tcp { host: "db".to_owned(), port: 6432 });
            assert_eq!((settings.database.as_str(), settings.tls.is_none(), settings.keeps_passwords), ("app", true, true));
        }
        let socket = read("host=/run/postgresql user={{username}}", &[]).expect("a socket needs no TLS");
        assert_eq!(socket.address, Address::Unix(PathBuf::from("/run/postgresql")));
    }

    #[test]
    fn what_is_not_certain_to_be_safe_is_refused() {
        for url in [
            "",
            "db:5432",
            "mysql://db/",
            "postgres:///app",
            "postgres://db/app",
            "postgres://db/app?sslmode=prefer",
            "postgres://db/app?sslmode=disable&sslkey=/etc/shadow",
            "postgres://db/app?sslmode=disable&options=-c%20x",
            "host=db password=hunter2 sslmode=disable",
            "host=db password='{{password}} sslmode=disable",
        ] {
            let told = read(url, &[]).expect_err(url).to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert!(read("postgres://db/app?sslmode=require", &[]).expect("as libpq has it").tls.is_some());
        assert!(read("postgres://db/app", &[("tls_skip_verify", "true")]).expect("said to be so").tls.is_some());
        assert!(read("postgres://db/app?sslmode=disable", &[("password_authentication", "md5")]).is_err());
        assert!(read("postgres://db/app", &[("tls_ca", "no PEM")]).is_err());
    }
}

//! How to reach a MySQL or MariaDB: `connection_url` as the DSN that Vault's users write, or as a URL.

use crate::target::{Address, Limits, Tls, Trust, Url, decoded, flag, misconfigured, text};
use std::path::PathBuf;
use vault_core::host::{ConnectorError, Target};

const PORT: u16 = 3306;

/// Parameters of Go's driver that change nothing for a connector.
const IDLE: [&str; 11] = [
    "allowCleartextPasswords",
    "allowNativePasswords",
    "charset",
    "checkConnLiveness",
    "collation",
    "interpolateParams",
    "loc",
    "multiStatements",
    "parseTime",
    "readTimeout",
    "writeTimeout",
];

/// What a connection needs but for the credential.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) address: Address,
    pub(super) database: String,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Limits,
}

impl Settings {
    pub(super) fn read(target: &Target<'_>) -> Result<Self, ConnectorError> {
        let url = text(target.config, "connection_url")?.ok_or_else(|| misconfigured("connection_url is missing"))?;
        let (address, database, parameters) = if url.contains("://") { of_url(url, target)? } else { of_dsn(url, target)? };
        let mut wanted = None;
        for (name, value) in &parameters {
            match name.as_str() {
                "tls" => wanted = Some(value.as_str()),
                "timeout" => {}
                name if IDLE.contains(&name) => {}
                _ => return Err(misconfigured("connection_url has a parameter that is not known: leave it out")),
            }
        }
        let trust = trust(target, &address, wanted)?;
        let tls = trust.map(|trust| Tls::read(target, trust, address.host())).transpose()?;
        Ok(Settings { tls, address, database, limits: Limits::read(target)? })
    }
}

fn trust(target: &Target<'_>, address: &Address, wanted: Option<&str>) -> Result<Option<Trust>, ConnectorError> {
    let has_authority = text(target.config, "tls_ca")?.or(text(target.config, "ca_cert")?).is_some();
    let full = if flag(target.config, "tls_skip_verify")? { Trust::Nobody } else { Trust::Full };
    Ok(match wanted {
        _ if matches!(address, Address::Unix(_)) => None,
        Some("false") => None,
        Some("skip-verify") => Some(Trust::Nobody),
        Some("true" | "custom") => Some(full),
        // As in Vault: TLS where there is something for it.
        None if has_authority || full == Trust::Nobody => Some(full),
        None => None,
        Some(_) => {
            return Err(misconfigured(
                "tls in connection_url is true, false, skip-verify or custom: what may turn out as either is not safe",
            ));
        }
    })
}

type Parts = (Address, String, Vec<(String, String)>);

fn of_url(url: &str, target: &Target<'_>) -> Result<Parts, ConnectorError> {
    let url = Url::parse(url, target)?;
    if !matches!(url.scheme.as_str(), "mysql" | "mariadb") || url.host.is_empty() {
        return Err(misconfigured("connection_url must begin with mysql:// and a host"));
    }
    let address = if url.host.starts_with('/') {
        Address::Unix(PathBuf::from(url.host))
    } else {
        Address::Tcp { host: url.host, port: url.port.unwrap_or(PORT) }
    };
    Ok((address, url.path, url.query))
}

/// Reads `{{username}}:{{password}}@tcp(host:port)/database?name=value`, or `unix(/path)`.
fn of_dsn(dsn: &str, target: &Target<'_>) -> Result<Parts, ConnectorError> {
    let bad = || misconfigured("connection_url is not of the form {{username}}:{{password}}@tcp(host:port)/database");
    let (before_query, query) = dsn.split_once('?').unwrap_or((dsn, ""));
    let (credential, place) = before_query.rsplit_once('@').unwrap_or(("", before_query));
    Address::check_credential(credential, target)?;
    let (network, rest) = place.split_once('(').ok_or_else(bad)?;
    let (place, database) = rest.split_once(')').ok_or_else(bad)?;
    let database = database.strip_prefix('/').ok_or_else(bad)?;
    let address = match network {
        "tcp" => Address::tcp(place, PORT).ok_or_else(bad)?,
        "unix" if place.starts_with('/') => Address::Unix(PathBuf::from(place)),
        _ => return Err(bad()),
    };
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(bad)?;
        parameters.push((name.to_owned(), decoded(value).ok_or_else(bad)?));
    }
    Ok((address, decoded(database).ok_or_else(bad)?, parameters))
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
    fn a_dsn_and_a_url_say_the_same() {
        for url in ["{{username}}:{{password}}@tcp(db:3307)/app?parseTime=true", "mysql://{{username}}:{{password}}@db:3307/app"] {
            let settings = read(url, &[]).expect(url);
            assert_eq!(settings.address, Address::Tcp { host: "db".to_owned(), port: 3307 });
            assert_eq!((settings.database.as_str(), settings.tls.is_none()), ("app", true));
        }
        let socket = read("{{username}}:{{password}}@unix(/run/mysqld/mysqld.sock)/", &[]).expect("a socket");
        assert_eq!(socket.address, Address::Unix(PathBuf::from("/run/mysqld/mysqld.sock")));
        assert!(read("{{username}}@tcp(db)/?tls=skip-verify", &[]).expect("said to be so").tls.is_some());
    }

    #[test]
    fn what_is_not_certain_to_be_safe_is_refused() {
        for url in [
            "",
            "db:3306",
            "{{username}}:{{password}}@db/",
            "{{username}}:{{password}}@tcp(db)",
            "{{username}}:hunter2@tcp(db)/",
            "root:{{password}}@tcp(db)/",
            "{{username}}:{{password}}@tcp(db)/?tls=preferred",
            "{{username}}:{{password}}@tcp(db)/?tls=true",
            "{{username}}:{{password}}@tcp(db)/?allowAllFiles=true",
            "{{username}}:{{password}}@unix(etc)/",
            "postgres://db/",
        ] {
            let told = read(url, &[]).expect_err(url).to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}

//! The kinds of server: how each makes its data, how it is started, and how it tells that it is ready.

use crate::watch::run;
use crate::{Outcome, PASSWORD, USERNAME, path_text, program};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// What server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL, with passwords as SCRAM verifiers and every statement in its log.
    Postgres,
    /// MariaDB.
    MariaDb,
    /// Redis, with an ACL file.
    Redis,
}

impl Kind {
    /// Makes the server's data in a folder.
    pub(crate) fn prepare(self, folder: &Path) -> Outcome<()> {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        fs::set_permissions(folder.join("server.key"), fs::Permissions::from_mode(0o600))?;
        let within = |name: &str| path_text(&folder.join(name));
        match self {
            Kind::Postgres => {
                fs::write(folder.join("password"), PASSWORD)?;
                self.own(folder)?;
                let mut words = self.user(folder)?;
                words.extend([path_text(&program("initdb")?), "--no-sync".to_owned(), "--encoding=UTF8".to_owned()]);
                words.extend(["--locale=C", "--auth-host=scram-sha-256", "--auth-local=scram-sha-256"].map(str::to_owned));
                words.extend([format!("--username={USERNAME}"), format!("--pwfile={}", within("password"))]);
                words.push(format!("--pgdata={}", within("data")));
                run(&words)
            }
            Kind::MariaDb => {
                let sql = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
                // One line a statement. Without the anonymous ones, who would come before everybody's `%`.
                let setup = format!(
                    "DELETE FROM mysql.global_priv WHERE User = '';\nFLUSH PRIVILEGES;\n\
                     CREATE USER IF NOT EXISTS '{USERNAME}'@'%' IDENTIFIED BY '{}';\n\
                     GRANT ALL ON *.* TO '{USERNAME}'@'%' WITH GRANT OPTION;\nCREATE DATABASE IF NOT EXISTS app;\n",
                    sql(PASSWORD)
                );
                fs::write(folder.join("setup.sql"), setup)?;
                self.own(folder)?;
                let mut words = self.user(folder)?;
                words.extend([path_text(&program("mariadb-install-db")?), "--no-defaults".to_owned()]);
                words.extend(["--auth-root-authentication-method=normal", "--skip-test-db"].map(str::to_owned));
                words.extend([format!("--datadir={}", within("data")), format!("--tmpdir={}", path_text(folder))]);
                run(&words)
            }
            Kind::Redis => {
                // A hash needs no quoting, and a password with spaces would.
                let line = format!("user {USERNAME} on #{PASSWORD_SHA256} ~* &* +@all\nuser default off\n");
                fs::write(folder.join("users.acl"), line)?;
                Ok(())
            }
        }
    }

    /// The command that is the server, and stays in front.
    pub(crate) fn command(self, folder: &Path, port: u16, tls_port: u16) -> Outcome<Vec<String>> {
        let within = |name: &str| path_text(&folder.join(name));
        let mut words = self.user(folder)?;
        match self {
            Kind::Postgres => {
                words.extend([path_text(&program("postgres")?), "-D".to_owned(), within("data"), "-p".to_owned(), port.to_string()]);
                let settings = [
                    "listen_addresses=127.0.0.1".to_owned(),
                    format!("unix_socket_directories={}", path_text(folder)),
                    "fsync=off".to_owned(),
                    "log_statement=all".to_owned(),
                    "max_connections=40".to_owned(),
                    "ssl=on".to_owned(),
                    format!("ssl_cert_file={}", within("server.pem")),
                    format!("ssl_key_file={}", within("server.key")),
                ];
                words.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
            }
            Kind::MariaDb => {
                words.extend([path_text(&program("mariadbd")?), "--no-defaults".to_owned(), "--bind-address=127.0.0.1".to_owned()]);
                words.extend(
                    ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=8M", "--skip-name-resolve"].map(str::to_owned),
                );
                words.extend([format!("--datadir={}", within("data")), format!("--socket={}", within("socket"))]);
                words.push(format!("--tmpdir={}", path_text(folder)));
                words.extend([
                    format!("--port={port}"),
                    format!("--pid-file={}", within("pid")),
                    format!("--init-file={}", within("setup.sql")),
                ]);
                words.extend([format!("--ssl-cert={}", within("server.pem")), format!("--ssl-key={}", within("server.key"))]);
                words.push(format!("--ssl-ca={}", within("ca.pem")));
            }
            Kind::Redis => {
                words.push(path_text(&program("redis-server")?));
                let settings = [
                    ("--port", port.to_string()),
                    ("--tls-port", tls_port.to_string()),
                    ("--bind", "127.0.0.1".to_owned()),
                    ("--unixsocket", within("socket")),
                    ("--dir", path_text(folder)),
                    ("--save", String::new()),
                    ("--aclfile", within("users.acl")),
                    ("--tls-cert-file", within("server.pem")),
                    ("--tls-key-file", within("server.key")),
                    ("--tls-ca-cert-file", within("ca.pem")),
                    ("--tls-auth-clients", "no".to_owned()),
                ];
                words.extend(settings.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
            }
        }
        Ok(words)
    }

    /// What stands in the log once it is ready.
    pub(crate) fn is_ready(self) -> &'static str {
        match self {
            Kind::Postgres => "database system is ready to accept connections",
            Kind::MariaDb => "ready for connections",
            Kind::Redis => "Ready to accept connections",
        }
    }

    /// The signal that ends it quickly, with all its children.
    pub(crate) fn farewell(self) -> &'static str {
        if self == Kind::Postgres { "QUIT" } else { "KILL" }
    }

    /// Gives the folder to the user that the server runs as.
    fn own(self, folder: &Path) -> Outcome<()> {
        match self.package_user(folder)? {
            Some(user) => run(&["chown", "-R", user, &path_text(folder)]),
            None => Ok(()),
        }
    }

    /// The words that change to that user.
    fn user(self, folder: &Path) -> Outcome<Vec<String>> {
        let Some(user) = self.package_user(folder)? else { return Ok(Vec::new()) };
        let words = ["setpriv".to_owned(), format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()];
        Ok(words.into_iter().chain(["--".to_owned()]).collect())
    }

    /// Who it runs as when root starts it.
    fn package_user(self, folder: &Path) -> Outcome<Option<&'static str>> {
        // The folder's owner tells who we are before it is given away, and root owns what is above it.
        let is_root = fs::metadata(folder)?.uid() == 0 || fs::metadata("/proc/self")?.uid() == 0;
        Ok(match self {
            Kind::Postgres if is_root => Some("postgres"),
            Kind::MariaDb if is_root => Some("mysql"),
            _ => None,
        })
    }
}

/// The SHA-256 of `PASSWORD`.
const PASSWORD_SHA256: &str = "1f81b9e72fb954b9c323b6c7db62bcb67ff99a2ee927306d243372d86ae7ae2c";

//! The three kinds of server under one set of words, for what is to hold at each of them.

use super::careful::Careful;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use test_servers::{Kind, PASSWORD, Server, USERNAME};
use vault_core::types::Object;

/// One test for each kind of server from each of these functions.
macro_rules! at_every_server {
    ($($test:ident),+) => {
        at_every_server!(@ postgres, Kind::Postgres, $($test),+);
        at_every_server!(@ mysql, Kind::MariaDb, $($test),+);
        at_every_server!(@ redis, Kind::Redis, $($test),+);
    };
    (@ $name:ident, $kind:expr, $($test:ident),+) => {
        mod $name {
            use test_servers::Kind;
            $(#[test]
            fn $test() {
                super::$test($kind);
            })+
        }
    };
}
pub(crate) use at_every_server;

/// A server that all tests share that do not harm it.
pub(crate) fn shared(kind: Kind) -> &'static Server {
    static SERVERS: [OnceLock<Server>; 3] = [const { OnceLock::new() }; 3];
    let index = [Kind::Postgres, Kind::MariaDb, Kind::Redis].iter().position(|known| *known == kind).unwrap();
    SERVERS[index].get_or_init(|| Server::start(kind).unwrap())
}

/// The connection's configuration, without TLS.
pub(crate) fn config(kind: Kind, server: &Server) -> Object {
    let port = server.port();
    match kind {
        Kind::Postgres => {
            let url = format!("postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/postgres?sslmode=disable");
            Object::new().with("connection_url", url)
        }
        Kind::MariaDb => Object::new().with("connection_url", format!("{{{{username}}}}:{{{{password}}}}@tcp(127.0.0.1:{port})/")),
        Kind::Redis => Object::new().with("host", "127.0.0.1").with("port", u64::from(port)),
    }
}

/// The same in TLS.
pub(crate) fn tls_config(kind: Kind, server: &Server, host: &str) -> Object {
    let port = server.tls_port();
    match kind {
        Kind::Postgres => {
            let url = format!("postgresql://{{{{username}}}}:{{{{password}}}}@{host}:{port}/postgres?sslmode=verify-full");
            Object::new().with("connection_url", url)
        }
        Kind::MariaDb => Object::new().with("connection_url", format!("{{{{username}}}}:{{{{password}}}}@tcp({host}:{port})/?tls=true")),
        Kind::Redis => Object::new().with("host", host).with("port", u64::from(port)).with("tls", true),
    }
}

pub(crate) fn connection(kind: Kind, config: Object) -> Careful {
    match kind {
        Kind::Postgres => Careful::postgres(config),
        Kind::MariaDb => Careful::mysql(config),
        Kind::Redis => Careful::redis(config),
    }
}

pub(crate) fn connected(kind: Kind) -> Careful {
    connection(kind, config(kind, shared(kind)))
}

/// Statements that make an account.
pub(crate) fn creation(kind: Kind) -> Vec<String> {
    let statements: &[&str] = match kind {
        Kind::Postgres => &["CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; \
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{name}}\";"],
        Kind::MariaDb => &["CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'", "GRANT SELECT ON app.* TO '{{name}}'@'%';"],
        Kind::Redis => &[r#"["~*", "&*", "+@all"]"#],
    };
    statements.iter().map(|statement| (*statement).to_owned()).collect()
}

/// The server's own client, logged in as somebody.
fn client(kind: Kind, server: &Server, username: &str, password: &str) -> Command {
    let port = server.port().to_string();
    let mut client;
    match kind {
        Kind::Postgres => {
            client = Command::new("psql");
            client.args(["-h", "127.0.0.1", "-p", &port, "-U", username, "-d", "postgres", "-X", "-Atqc"]).env("PGPASSWORD", password);
        }
        Kind::MariaDb => {
            client = Command::new("mariadb");
            client.args(["--no-defaults", "-h", "127.0.0.1", "-P", &port, "-u", username, "-Nse"]).env("MYSQL_PWD", password);
        }
        Kind::Redis => {
            client = Command::new("redis-cli");
            client.args(["-p", &port, "--user", username]).env("REDISCLI_AUTH", password);
        }
    }
    client.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    client
}

/// What the server answers its administrator.
pub(crate) fn asked(kind: Kind, server: &Server, question: &[&str]) -> String {
    let Output { status, stdout, stderr } = client(kind, server, USERNAME, PASSWORD).args(question).output().unwrap();
    assert!(status.success(), "{question:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).trim().to_owned()
}

/// A session that stays for a minute, unless it is cut off.
pub(crate) struct Session(Child);

impl Session {
    pub(crate) fn open(kind: Kind, username: &str, password: &str) -> Self {
        let wait: &[&str] = match kind {
            Kind::Postgres => &["SELECT pg_sleep(60)"],
            Kind::MariaDb => &["DO SLEEP(60)"],
            Kind::Redis => &["BLPOP", "nothing", "60"],
        };
        let server = shared(kind);
        let session = Session(client(kind, server, username, password).args(wait).spawn().unwrap());
        let question: Vec<String> = match kind {
            Kind::Postgres => vec![format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{username}' AND query LIKE '%sleep%'")],
            Kind::MariaDb => {
                vec![format!("SELECT count(*) FROM information_schema.processlist WHERE user = '{username}' AND info IS NOT NULL")]
            }
            Kind::Redis => vec!["CLIENT".to_owned(), "LIST".to_owned()],
        };
        let question: Vec<&str> = question.iter().map(String::as_str).collect();
        let sign = if kind == Kind::Redis { format!("user={username} ") } else { "1".to_owned() };
        for _ in 0..200 {
            if asked(kind, server, &question).contains(&sign) {
                return session;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("the session does not appear");
    }

    /// Whether it ends within five seconds.
    pub(crate) fn is_cut_off(&mut self) -> bool {
        for _ in 0..200 {
            if self.0.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        false
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

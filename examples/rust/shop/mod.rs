//! What the examples at a PostgreSQL share: a shop's table there, an account for the vault, and a vault that manages accounts with it.
//!
//! The server is found as `psql` finds it: by `PGHOST` (a name, or the folder of a Unix socket), `PGPORT`, `PGDATABASE`, `PGUSER` and
//! `PGPASSWORD`, of an account that may make schemas and roles. Nobody encrypts the way to it here, so it is to be on this machine:
//! docs/connectors.md has what a connection over a network needs. What is laid there begins with `libvault_shop`, and is removed at the end.

use postgres::{Client, Config, NoTls};
use std::env;
use std::error::Error;
use std::sync::Arc;
use vault_connectors::postgres::Postgres;
use vault_core::types::{Object, Operation, Value};
use vault_core::{NewSeal, Session, Vault};

const CLEAN: &str = "DROP SCHEMA IF EXISTS libvault_shop CASCADE;
     DROP ROLE IF EXISTS libvault_shop_vault, libvault_shop_a, libvault_shop_b";
/// The accounts `a` and `b` are there for a pool; their passwords nobody knows until the vault has set them.
const LAY: &str = "CREATE SCHEMA libvault_shop;
     CREATE TABLE libvault_shop.orders AS SELECT number, 650 * number AS cents FROM generate_series(1, 12) AS number;
     CREATE ROLE libvault_shop_a LOGIN; CREATE ROLE libvault_shop_b LOGIN;
     GRANT USAGE ON SCHEMA libvault_shop TO libvault_shop_a, libvault_shop_b;
     GRANT SELECT ON libvault_shop.orders TO libvault_shop_a, libvault_shop_b;
     CREATE ROLE libvault_shop_vault LOGIN CREATEROLE;
     GRANT USAGE ON SCHEMA libvault_shop TO libvault_shop_vault WITH GRANT OPTION;
     GRANT SELECT ON libvault_shop.orders TO libvault_shop_vault WITH GRANT OPTION;
     GRANT libvault_shop_a, libvault_shop_b TO libvault_shop_vault WITH ADMIN OPTION";

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The shop's database, and a vault that has its mount `database` and the connection `shop` to it.
pub(crate) struct Shop {
    pub(crate) vault: Vault,
    pub(crate) root: Session,
    pub(crate) admin: Client,
}

impl Shop {
    pub(crate) fn open() -> Outcome<Self> {
        let mut admin = server().user(&variable("PGUSER", "postgres")).password(variable("PGPASSWORD", "")).connect(NoTls)?;
        admin.batch_execute(CLEAN)?;
        admin.batch_execute(LAY)?;

        let config = vault_core::Config::in_memory().with_connector(Arc::new(Postgres::new()));
        let (vault, init) = Vault::create(config, NewSeal::passphrase("correct horse battery staple")?)?;
        let root = vault.session(init.root_token);
        let mut shop = Shop { vault, root, admin };
        shop.connect_the_vault()?;
        Ok(shop)
    }

    /// The vault gets an account of its own, and changes its password to one that nobody is shown.
    fn connect_the_vault(&mut self) -> Outcome<()> {
        let random = self.write("sys/tools/random/24", Object::new().with("format", "hex"))?;
        let password = random.get("random_bytes").and_then(Value::as_str).ok_or("no random bytes")?;
        self.admin.batch_execute(&format!("ALTER ROLE libvault_shop_vault PASSWORD '{password}'"))?;
        self.write("sys/mounts/database", Object::new().with("type", "database"))?;
        let (host, port, database) = (variable("PGHOST", "127.0.0.1"), variable("PGPORT", "5432"), variable("PGDATABASE", "postgres"));
        let url = format!("host={host} port={port} dbname={database} user={{{{username}}}} password='{{{{password}}}}' sslmode=disable");
        let connection = Object::new().with("plugin_name", "postgresql-database-plugin").with("connection_url", url);
        let connection = connection.with("username", "libvault_shop_vault").with("password", password).with("allowed_roles", "*");
        self.write("database/config/shop", connection)?;
        self.write("database/rotate-root/shop", Object::new())?;
        Ok(())
    }

    pub(crate) fn write(&self, path: &str, data: Object) -> Outcome<Value> {
        Ok(self.root.request(Operation::Write, path, Some(data.into()))?.data.unwrap_or(Value::Null))
    }

    pub(crate) fn close(self) -> Outcome<()> {
        Ok(self.vault.close()?)
    }
}

impl Drop for Shop {
    /// What was laid is removed, however the example ends.
    #[allow(clippy::print_stderr, reason = "an example talks to its reader")]
    fn drop(&mut self) {
        if let Err(error) = self.admin.batch_execute(CLEAN) {
            eprintln!("what begins with libvault_shop is still at the server: {error}");
        }
    }
}

pub(crate) fn log_in(username: &str, password: &str) -> Result<Client, postgres::Error> {
    server().user(username).password(password).connect(NoTls)
}

/// Whether the server knows the account, and refuses the password or the account itself.
pub(crate) fn is_refusal(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("28"))
}

fn server() -> Config {
    let mut server = Config::new();
    server.host(&variable("PGHOST", "127.0.0.1")).dbname(&variable("PGDATABASE", "postgres"));
    server.port(variable("PGPORT", "5432").parse().unwrap_or(5432));
    server
}

fn variable(name: &str, unless_set: &str) -> String {
    env::var(name).unwrap_or_else(|_| unless_set.to_owned())
}

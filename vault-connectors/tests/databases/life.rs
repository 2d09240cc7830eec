//! A vault whose connector asks a real server.

use std::sync::Arc;
use test_servers::{Kind, PASSWORD, USERNAME};
use vault_connectors::{mysql::Mysql, postgres::Postgres, redis::Redis};
use vault_core::host::{Clock, Connector, ManualClock};
use vault_core::os::SystemClock;
use vault_core::types::{Object, Operation, Timestamp, Ttl, Value};
use vault_core::{Config, NewSeal, Session, Vault};

pub(crate) fn connector_to(kind: Kind) -> Arc<dyn Connector> {
    match kind {
        Kind::Postgres => Arc::new(Postgres::new()),
        Kind::MariaDb => Arc::new(Mysql::new()),
        Kind::Redis => Arc::new(Redis::new()),
    }
}

/// A vault over servers.
pub(crate) struct Life {
    pub(crate) vault: Vault,
    pub(crate) root: Session,
    pub(crate) clock: Arc<ManualClock>,
}

/// A vault with the mount `database` and the connection `db`. Its clock begins with the servers', which look at the ends of accounts themselves.
pub(crate) fn life(connector: Arc<dyn Connector>, config: Object) -> Life {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(SystemClock.now().as_secs())));
    let plugin = connector.name().to_owned();
    let place = Config::in_memory().with_clock(clock.clone()).with_connector(connector);
    let (vault, init) = Vault::create(place, NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    let life = Life { vault, root, clock };
    life.write("sys/mounts/database", Object::new().with("type", "database"));
    let config = config.with("plugin_name", plugin).with("username", USERNAME).with("password", PASSWORD).with("allowed_roles", "*");
    life.write("database/config/db", config);
    life
}

impl Life {
    pub(crate) fn write(&self, path: &str, data: Object) {
        self.root.request(Operation::Write, path, Some(data.into())).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// What a static role's readers are given.
    pub(crate) fn creds(&self, role: &str) -> (String, String) {
        let data = self.root.request(Operation::Read, &format!("database/static-creds/{role}"), None).unwrap().data.unwrap();
        let text = |name| data.get(name).and_then(Value::as_str).unwrap().to_owned();
        (text("username"), text("password"))
    }

    /// Ticks until nothing is due within so many seconds, with the clock going on.
    pub(crate) fn settle(&self, seconds: u64) {
        let end = self.clock.now().plus(Ttl::from_secs(seconds));
        for _ in 0..500 {
            let Some(next) = self.vault.tick().unwrap().filter(|next| *next <= end) else { return };
            self.clock.set(next.max(self.clock.now()));
        }
    }
}

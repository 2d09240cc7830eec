//! A connector whose every error is looked at: none may hold a secret.

use vault_connectors::{mysql::Mysql, postgres::Postgres, redis::Redis};
use vault_core::host::{Account, Connector, ConnectorError, ConnectorFailure, NewAccount, Target};
use vault_core::types::{Object, SecretString, Timestamp, Value};

/// A connection, as the vault would have configured it.
pub(crate) struct Careful {
    pub(crate) connector: Box<dyn Connector>,
    pub(crate) id: [u8; 16],
    pub(crate) config: Object,
    pub(crate) username: String,
    pub(crate) password: SecretString,
    pub(crate) secrets: Vec<(String, SecretString)>,
}

impl Careful {
    pub(crate) fn new(connector: Box<dyn Connector>, config: Object) -> Self {
        let password = SecretString::copy_from(test_servers::PASSWORD);
        Careful { connector, id: [7; 16], config, username: test_servers::USERNAME.to_owned(), password, secrets: Vec::new() }
    }

    pub(crate) fn postgres(config: Object) -> Self {
        Self::new(Box::new(Postgres::new()), config)
    }

    pub(crate) fn mysql(config: Object) -> Self {
        Self::new(Box::new(Mysql::new()), config)
    }

    pub(crate) fn redis(config: Object) -> Self {
        Self::new(Box::new(Redis::new()), config)
    }

    /// With other options, and so another connection.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.config = self.config.with(name, value);
        self
    }

    pub(crate) fn with_secret(mut self, name: &str, secret: &str) -> Self {
        self.secrets.push((name.to_owned(), SecretString::copy_from(secret)));
        self
    }

    pub(crate) fn logged_in_as(mut self, username: &str, password: &str) -> Self {
        self.username = username.to_owned();
        self.password = SecretString::copy_from(password);
        self
    }

    fn ask(&self, duty: impl FnOnce(&dyn Connector, &Target<'_>) -> Result<(), ConnectorError>) -> Result<(), ConnectorFailure> {
        let config = Value::Object(self.config.clone());
        let target = Target { id: self.id, config: &config, username: &self.username, password: &self.password, secrets: &self.secrets };
        duty(self.connector.as_ref(), &target).map_err(|error| {
            let told = format!("{error} {error:?}");
            assert!(!told.to_lowercase().contains("canary") && !told.contains("SCRAM-SHA-256$"), "a secret is in: {told}");
            error.failure()
        })
    }

    pub(crate) fn check(&self, verify: bool) -> Result<(), ConnectorFailure> {
        self.ask(|connector, target| connector.check(target, verify))
    }

    pub(crate) fn create(&self, name: &str, password: &str, statements: &[String]) -> Result<(), ConnectorFailure> {
        self.create_with_rollback(name, password, statements, &[])
    }

    pub(crate) fn create_with_rollback(
        &self,
        name: &str,
        password: &str,
        statements: &[String],
        rollback: &[String],
    ) -> Result<(), ConnectorFailure> {
        let password = SecretString::copy_from(password);
        let account = Account { username: name, statements };
        let expires = Some(Timestamp::from_secs(4_000_000_000));
        self.ask(|connector, target| connector.create(target, &NewAccount { account, password: &password, expires, rollback }))
    }

    pub(crate) fn renew(&self, name: &str, expires: Timestamp) -> Result<(), ConnectorFailure> {
        self.ask(|connector, target| connector.renew(target, &Account { username: name, statements: &[] }, expires))
    }

    pub(crate) fn revoke(&self, name: &str, statements: &[String]) -> Result<(), ConnectorFailure> {
        self.ask(|connector, target| connector.revoke(target, &Account { username: name, statements }))
    }

    pub(crate) fn set_password(&self, name: &str, password: &str) -> Result<(), ConnectorFailure> {
        let password = SecretString::copy_from(password);
        self.ask(|connector, target| connector.set_password(target, &Account { username: name, statements: &[] }, &password))
    }

    pub(crate) fn test(&self, name: &str, password: &str) -> Result<(), ConnectorFailure> {
        let password = SecretString::copy_from(password);
        self.ask(|connector, target| connector.test(target, name, &password))
    }

    pub(crate) fn forget(&self) {
        self.connector.forget(&self.id);
    }
}

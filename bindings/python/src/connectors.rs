//! Connectors to target systems: Python's own, and those that the library brings.

use crate::convert::object_to_python;
use crate::secret::SecretStr;
use pyo3::exceptions::{PyNotImplementedError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyTuple};
use std::sync::Arc;
use vault_core::host::{
    Account as CoreAccount, Connector as CoreConnector, ConnectorError, ConnectorFailure, NewAccount, Target as CoreTarget,
};
use vault_core::types::{SecretString, Timestamp};

/// A connection to a target system, as it was configured.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Target {
    /// Stays while the configuration does, and is never given again: connection pools may be kept by it.
    #[pyo3(get)]
    id: Py<PyBytes>,
    /// The configuration as it was written, without secrets.
    #[pyo3(get)]
    config: Py<PyDict>,
    /// The account by which the vault manages the others.
    #[pyo3(get)]
    username: String,
    /// Its password.
    #[pyo3(get)]
    password: Py<SecretStr>,
    /// What else of the configuration is secret, by its name.
    #[pyo3(get)]
    secrets: Py<PyDict>,
}

#[pymethods]
impl Target {
    fn __repr__(&self) -> String {
        format!("Target(username={:?})", self.username)
    }
}

/// An account at a target, and what is asked of it.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Account {
    /// Its name at the target.
    #[pyo3(get)]
    username: String,
    /// For `create` and `set_password` the password that it gets, for `test` that which it is to log in with; else None.
    #[pyo3(get)]
    password: Option<Py<SecretStr>>,
    /// For `create` and `renew`, when it ends: seconds since the Unix epoch; None for never.
    #[pyo3(get)]
    expires: Option<f64>,
    /// What the role says is to be done, with `{{name}}`, `{{password}}` and `{{expiration}}` in it; empty where the connector's own way is wanted.
    #[pyo3(get)]
    statements: Vec<String>,
    /// For `create`, what undoes a creation that failed half way.
    #[pyo3(get)]
    rollback: Vec<String>,
}

#[pymethods]
impl Account {
    fn __repr__(&self) -> String {
        format!("Account(username={:?})", self.username)
    }
}

/// Makes, renews and removes accounts at a target system. Subclass it: give a `name` (text that stays, as `plugin_name` of a configuration says it)
/// and the six methods, which answer None when it is done and raise `ConnectorFailed` when it is not. Each can be called more than once, after
/// a crash or a lost answer, and must then end in the same state. They are called from several threads, under no lock of the vault; the request
/// that caused a call waits for it, so they bound their waiting. What else they raise counts as "unknown": done or not.
#[pyclass(subclass, frozen, module = "libvault")]
pub(crate) struct Connector;

#[pymethods]
impl Connector {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Connector
    }

    /// Looks at a configuration, and where `verify` is true connects and logs in with it.
    fn check(&self, _target: &Bound<'_, PyAny>, _verify: bool) -> PyResult<()> {
        Err(PyNotImplementedError::new_err("a Connector needs the method check(target, verify)"))
    }

    /// Makes an account; one that is there already is made to be as asked.
    fn create(&self, _target: &Bound<'_, PyAny>, _account: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyNotImplementedError::new_err("a Connector needs the method create(target, account)"))
    }

    /// Puts off an account's end, where the target has one; else does nothing.
    fn renew(&self, _target: &Bound<'_, PyAny>, _account: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyNotImplementedError::new_err("a Connector needs the method renew(target, account)"))
    }

    /// Removes an account and ends its sessions; one that is not there is removed.
    fn revoke(&self, _target: &Bound<'_, PyAny>, _account: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyNotImplementedError::new_err("a Connector needs the method revoke(target, account)"))
    }

    /// Gives an account that is there a new password.
    fn set_password(&self, _target: &Bound<'_, PyAny>, _account: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyNotImplementedError::new_err("a Connector needs the method set_password(target, account)"))
    }

    /// Logs in with an account and out again; raises ConnectorFailed("unauthenticated", ...) when the target refuses it.
    fn test(&self, _target: &Bound<'_, PyAny>, _account: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyNotImplementedError::new_err("a Connector needs the method test(target, account)"))
    }

    /// Lets go of what is held for the target of that id.
    fn forget(&self, _id: &[u8]) {}
}

/// A connector that the library brings: to PostgreSQL, as `postgresql-database-plugin`.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct PostgreSQL(Arc<vault_connectors::postgres::Postgres>);

/// A connector that the library brings: to MariaDB and MySQL, as `mysql-database-plugin`.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct MySQL(Arc<vault_connectors::mysql::Mysql>);

/// A connector that the library brings: to Redis with its ACL users, as `redis-database-plugin`.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Redis(Arc<vault_connectors::redis::Redis>);

#[pymethods]
impl PostgreSQL {
    #[new]
    fn new() -> Self {
        PostgreSQL(Arc::new(vault_connectors::postgres::Postgres::new()))
    }
}

#[pymethods]
impl MySQL {
    #[new]
    fn new() -> Self {
        MySQL(Arc::new(vault_connectors::mysql::Mysql::new()))
    }
}

#[pymethods]
impl Redis {
    #[new]
    fn new() -> Self {
        Redis(Arc::new(vault_connectors::redis::Redis::new()))
    }
}

/// A `Connector` of Python's as core calls it.
struct PyConnector {
    object: Py<PyAny>,
    name: String,
}

impl PyConnector {
    fn of(object: Bound<'_, PyAny>) -> PyResult<Self> {
        let name = object.getattr("name").map_err(|_| PyTypeError::new_err("a Connector needs a name: text that stays"))?;
        Ok(PyConnector { name: name.extract()?, object: object.unbind() })
    }

    /// Calls a method with the target and one thing more.
    fn ask(
        &self,
        method: &str,
        target: &CoreTarget<'_>,
        argument: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>,
    ) -> Result<(), ConnectorError> {
        Python::attach(|py| {
            let call = || self.object.bind(py).call_method1(method, (target_of(py, target)?, argument(py)?)).map(drop);
            call().map_err(|error| failure_of(py, &error))
        })
    }
}

impl CoreConnector for PyConnector {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, target: &CoreTarget<'_>, verify: bool) -> Result<(), ConnectorError> {
        self.ask("check", target, |py| Ok(PyBool::new(py, verify).to_owned().into_any().unbind()))
    }

    fn create(&self, target: &CoreTarget<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError> {
        self.ask("create", target, |py| {
            let account = account_of(py, &new.account, Some(new.password), new.expires)?;
            Ok(Py::new(py, Account { rollback: new.rollback.to_vec(), ..account })?.into_any())
        })
    }

    fn renew(&self, target: &CoreTarget<'_>, account: &CoreAccount<'_>, expires: Timestamp) -> Result<(), ConnectorError> {
        self.ask("renew", target, |py| object_of(py, account, None, Some(expires)))
    }

    fn revoke(&self, target: &CoreTarget<'_>, account: &CoreAccount<'_>) -> Result<(), ConnectorError> {
        self.ask("revoke", target, |py| object_of(py, account, None, None))
    }

    fn set_password(&self, target: &CoreTarget<'_>, account: &CoreAccount<'_>, password: &SecretString) -> Result<(), ConnectorError> {
        self.ask("set_password", target, |py| object_of(py, account, Some(password), None))
    }

    fn test(&self, target: &CoreTarget<'_>, username: &str, password: &SecretString) -> Result<(), ConnectorError> {
        let account = CoreAccount { username, statements: &[] };
        self.ask("test", target, |py| object_of(py, &account, Some(password), None))
    }

    fn forget(&self, id: &[u8; 16]) {
        // There is nobody to tell of what this raises, and nothing hangs on it.
        Python::attach(|py| drop(self.object.bind(py).call_method1("forget", (PyBytes::new(py, id),))));
    }
}

/// The connectors of a list of Python's as core calls them.
pub(crate) fn connectors_of(list: &Bound<'_, PyAny>) -> PyResult<Vec<Arc<dyn CoreConnector>>> {
    list.try_iter()?.map(|connector| connector_of(connector?)).collect()
}

fn connector_of(connector: Bound<'_, PyAny>) -> PyResult<Arc<dyn CoreConnector>> {
    if let Ok(postgres) = connector.cast::<PostgreSQL>() {
        return Ok(Arc::clone(&postgres.get().0) as Arc<dyn CoreConnector>);
    }
    if let Ok(mysql) = connector.cast::<MySQL>() {
        return Ok(Arc::clone(&mysql.get().0) as Arc<dyn CoreConnector>);
    }
    if let Ok(redis) = connector.cast::<Redis>() {
        return Ok(Arc::clone(&redis.get().0) as Arc<dyn CoreConnector>);
    }
    if connector.is_instance_of::<Connector>() {
        return Ok(Arc::new(PyConnector::of(connector)?));
    }
    Err(PyTypeError::new_err("a connector must be PostgreSQL(), MySQL() or Redis(), or a subclass of libvault.Connector"))
}

fn target_of(py: Python<'_>, target: &CoreTarget<'_>) -> PyResult<Target> {
    let secrets = PyDict::new(py);
    for (name, secret) in target.secrets {
        secrets.set_item(name, secret_of(py, secret)?)?;
    }
    let config = target.config.as_object().map(|config| object_to_python(py, config)).transpose()?;
    Ok(Target {
        id: PyBytes::new(py, &target.id).unbind(),
        config: config.unwrap_or_else(|| PyDict::new(py)).unbind(),
        username: target.username.to_owned(),
        password: secret_of(py, target.password)?,
        secrets: secrets.unbind(),
    })
}

fn account_of(py: Python<'_>, account: &CoreAccount<'_>, password: Option<&SecretString>, expires: Option<Timestamp>) -> PyResult<Account> {
    Ok(Account {
        username: account.username.to_owned(),
        password: password.map(|password| secret_of(py, password)).transpose()?,
        expires: expires.map(seconds),
        statements: account.statements.to_vec(),
        rollback: Vec::new(),
    })
}

fn object_of(
    py: Python<'_>,
    account: &CoreAccount<'_>,
    password: Option<&SecretString>,
    expires: Option<Timestamp>,
) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, account_of(py, account, password, expires)?)?.into_any())
}

fn secret_of(py: Python<'_>, secret: &SecretString) -> PyResult<Py<SecretStr>> {
    Py::new(py, SecretStr::of(secret))
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

/// What a connector of Python's raised. Only the text of a `ConnectorFailed` is told: that of another exception may hold anything.
fn failure_of(py: Python<'_>, error: &PyErr) -> ConnectorError {
    let told = || -> PyResult<Option<ConnectorError>> {
        let class = py.import("libvault.errors")?.getattr("ConnectorFailed")?;
        if !error.value(py).is_instance(&class)? {
            return Ok(None);
        }
        let name: String = error.value(py).getattr("failure")?.extract()?;
        let all = [
            ConnectorFailure::Refused,
            ConnectorFailure::Unauthenticated,
            ConnectorFailure::Unreachable,
            ConnectorFailure::Unknown,
            ConnectorFailure::Misconfigured,
        ];
        let failure = all.into_iter().find(|failure| failure.name() == name).unwrap_or(ConnectorFailure::Unknown);
        Ok(Some(ConnectorError::new(failure, error.value(py).getattr("message")?.extract::<String>()?)))
    };
    let raised = || error.get_type(py).name().map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
    told().ok().flatten().unwrap_or_else(|| ConnectorError::new(ConnectorFailure::Unknown, format!("the connector raised {}", raised())))
}

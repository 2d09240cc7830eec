//! `Rotation` and `StaticCreds`: static roles of a database mount, and their rotations.

use crate::arguments::Text;
use crate::convert::to_python;
use crate::errors::{detached, guarded};
use crate::secret::{SecretStr, token_of};
use crate::session::Shared;
use pyo3::prelude::*;
use vault_core::Rotation as CoreRotation;
use vault_core::types::{Object, Result as CoreResult, Value};

/// The static roles of one database mount.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Rotation {
    session: Shared,
    mount: String,
}

/// An account with its password as it is now. Another `version` is another password.
#[pyclass(frozen, get_all, module = "libvault")]
pub(crate) struct StaticCreds {
    /// The account's name at the target.
    username: String,
    /// Its password.
    password: Py<SecretStr>,
    /// The number of the password.
    version: u64,
    /// When it was last replaced (RFC 3339).
    last_rotation: String,
    /// The time until its schedule replaces it, in seconds.
    ttl: u64,
}

#[pymethods]
impl StaticCreds {
    fn __repr__(&self) -> String {
        format!("StaticCreds(version={}, [redacted])", self.version)
    }
}

impl Rotation {
    pub(crate) fn new(session: Shared, mount: &str) -> Self {
        Rotation { session, mount: mount.to_owned() }
    }

    /// Does work on core's face without the interpreter's lock.
    fn with<R: Send>(&self, py: Python<'_>, work: impl FnOnce(CoreRotation<'_>, &str) -> CoreResult<R> + Send) -> PyResult<R> {
        let session = self.session.get(py)?;
        detached(py, || work(session.rotation(), &self.mount))
    }
}

#[pymethods]
impl Rotation {
    /// The account of a role with its password as it is now.
    fn creds(&self, py: Python<'_>, role: Text<'_>) -> PyResult<StaticCreds> {
        let creds = self.with(py, |rotation, mount| rotation.creds(mount, role.0))?;
        Ok(StaticCreds {
            username: creds.username,
            password: Py::new(py, SecretStr::of(&creds.password))?,
            version: creds.version,
            last_rotation: creds.last_rotation,
            ttl: creds.ttl.as_secs(),
        })
    }

    /// Where the rotation of a role stands: `phase`, `what_to_do` (None unless it needs somebody), `failures`, `next`, `last`, `target_error`.
    fn status<'py>(&self, py: Python<'py>, role: Text<'_>) -> PyResult<Bound<'py, PyAny>> {
        let status = self.with(py, |rotation, mount| rotation.status(mount, role.0))?;
        let text = |text: Option<String>| text.map_or(Value::Null, |text| Value::from(text.as_str()));
        let body = Object::new()
            .with("phase", status.phase.as_str())
            .with("what_to_do", text(status.what_to_do))
            .with("failures", status.failures)
            .with("next", text(status.next))
            .with("last", text(status.last))
            .with("target_error", text(status.target_error));
        guarded(py, || to_python(py, &body.into()))
    }

    /// Replaces a role's password now. `Unavailable` where it has begun and `tick` carries it on, or has stopped and needs somebody.
    fn rotate(&self, py: Python<'_>, role: Text<'_>) -> PyResult<()> {
        self.with(py, |rotation, mount| rotation.rotate(mount, role.0))
    }

    /// Goes through a rotation without promoting anything: `would_work`, `found` (None, or what would stop it), `steps` (pairs of what was
    /// asked and its error).
    fn rehearse<'py>(&self, py: Python<'py>, role: Text<'_>) -> PyResult<Bound<'py, PyAny>> {
        let found = self.with(py, |rotation, mount| rotation.rehearse(mount, role.0))?;
        let text = |text: Option<String>| text.map_or(Value::Null, |text| Value::from(text.as_str()));
        let steps: Vec<Value> =
            found.steps.into_iter().map(|(asked, error)| Value::Array(vec![asked.as_str().into(), text(error)])).collect();
        let body = Object::new().with("would_work", found.would_work).with("found", text(found.found)).with("steps", steps);
        guarded(py, || to_python(py, &body.into()))
    }

    /// Takes back a run that has begun, or in its grace the promotion.
    fn roll_back(&self, py: Python<'_>, role: Text<'_>) -> PyResult<()> {
        self.with(py, |rotation, mount| rotation.roll_back(mount, role.0))
    }

    /// Goes on with a rotation that had stopped.
    fn retry(&self, py: Python<'_>, role: Text<'_>) -> PyResult<()> {
        self.with(py, |rotation, mount| rotation.retry(mount, role.0))
    }

    /// Retires the old credential now.
    fn end_grace(&self, py: Python<'_>, role: Text<'_>) -> PyResult<()> {
        self.with(py, |rotation, mount| rotation.end_grace(mount, role.0))
    }

    /// Takes over a password, str or `SecretStr`, that was set at the target by hand, once a login with it works.
    fn adopt(&self, py: Python<'_>, role: Text<'_>, password: &Bound<'_, PyAny>) -> PyResult<()> {
        let password = token_of(password)?;
        self.with(py, |rotation, mount| rotation.adopt(mount, role.0, &password))
    }
}

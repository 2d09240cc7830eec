//! `create`, `open`, `Vault` and `Init`.

use crate::clock::ManualClock;
use crate::convert::refuse;
use crate::errors::detached;
use crate::keys::{new_seal, unseal_key};
use crate::secret::{SecretStr, token_of};
use crate::session::{Session, answer, request_of};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::path::PathBuf;
use vault_core::types::{Code, Context, Error};
use vault_core::{AuditMode, Config, SealStatus, SealedVault, Vault as CoreVault};

/// An open vault, sealed or not. Use it in a `with` block, which closes it.
#[pyclass(frozen, weakref, module = "libvault")]
pub(crate) struct Vault(Mutex<State>);

/// What is given once, at creation.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Init {
    /// The root token: it may do everything and does not expire.
    #[pyo3(get)]
    root_token: Py<SecretStr>,
}

#[derive(Clone)]
enum State {
    Sealed(SealedVault),
    Open(CoreVault),
}

/// Makes a new vault and leaves it unsealed.
#[pyfunction]
#[pyo3(signature = (path, *, key, clock=None, audit="batched"))]
pub(crate) fn create(
    py: Python<'_>,
    path: Option<PathBuf>,
    key: &Bound<'_, PyAny>,
    clock: Option<&ManualClock>,
    audit: &str,
) -> PyResult<(Vault, Init)> {
    let config = config(py, path, clock, audit)?;
    let seal = new_seal(key)?;
    let (vault, init) = detached(py, || CoreVault::create(config, seal))?;
    let init = Init { root_token: Py::new(py, SecretStr(init.root_token))? };
    Ok((Vault(Mutex::new(State::Open(vault))), init))
}

/// Opens a vault; sealed where no key is given.
#[pyfunction]
#[pyo3(signature = (path, *, key=None, clock=None, audit="batched"))]
pub(crate) fn open(
    py: Python<'_>,
    path: PathBuf,
    key: Option<&Bound<'_, PyAny>>,
    clock: Option<&ManualClock>,
    audit: &str,
) -> PyResult<Vault> {
    let config = config(py, Some(path), clock, audit)?;
    let key = key.map(unseal_key).transpose()?;
    let state = detached(py, || {
        let sealed = CoreVault::open(config)?;
        match key {
            Some(key) => sealed.unseal(&key).map(State::Open),
            None => Ok(State::Sealed(sealed)),
        }
    })?;
    Ok(Vault(Mutex::new(state)))
}

fn config(py: Python<'_>, path: Option<PathBuf>, clock: Option<&ManualClock>, audit: &str) -> PyResult<Config> {
    let mode = match audit {
        "batched" => AuditMode::Batched,
        "strict" => AuditMode::Strict,
        _ => return Err(refuse(py, Code::InvalidRequest, "unknown audit mode: use \"batched\" or \"strict\"")),
    };
    let config = path.map_or_else(Config::in_memory, Config::at).with_audit_mode(mode);
    Ok(match clock {
        Some(clock) => config.with_clock(clock.0.clone()),
        None => config,
    })
}

impl Vault {
    fn state(&self) -> State {
        self.0.lock().clone()
    }

    fn status(&self) -> SealStatus {
        match self.state() {
            State::Sealed(sealed) => sealed.seal_status(),
            State::Open(vault) => vault.seal_status(),
        }
    }

    fn unsealed(&self) -> Result<CoreVault, Error> {
        match self.state() {
            State::Open(vault) => Ok(vault),
            State::Sealed(sealed) if sealed.seal_status().closed => Err(Error::new(Code::Closed, "the vault is closed: open it again")),
            State::Sealed(_) => Err(Error::new(Code::Sealed, "the vault is sealed: unseal it")),
        }
    }
}

#[pymethods]
impl Vault {
    /// Unseals the vault.
    fn unseal(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = unseal_key(key)?;
        let state = self.state();
        let vault = detached(py, || {
            let sealed = match state {
                State::Sealed(sealed) => sealed,
                // Sealed by a request meanwhile: sealing again only gives the handle that unseals.
                State::Open(vault) if vault.seal_status().sealed => vault.seal()?,
                State::Open(_) => return Err(Error::new(Code::AlreadyUnsealed, "the vault is unsealed already")),
            };
            sealed.unseal(&key)
        })?;
        *self.0.lock() = State::Open(vault);
        Ok(())
    }

    /// Writes what waits, and wipes the keys.
    fn seal(&self, py: Python<'_>) -> PyResult<()> {
        let vault = match self.state() {
            State::Sealed(_) => return Ok(()),
            State::Open(vault) => vault,
        };
        let sealed = detached(py, || vault.seal())?;
        *self.0.lock() = State::Sealed(sealed);
        Ok(())
    }

    /// Whether the keys are out of memory.
    #[getter]
    fn sealed(&self) -> bool {
        self.status().sealed
    }

    /// The status of the seal: sealed, closed, the kinds of the key slots, version and format.
    fn seal_status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = self.status();
        let dict = PyDict::new(py);
        dict.set_item("sealed", status.sealed)?;
        dict.set_item("closed", status.closed)?;
        dict.set_item("seal_types", status.seal_types)?;
        dict.set_item("version", status.version)?;
        dict.set_item("format", status.format)?;
        Ok(dict)
    }

    /// A session under a token, which is looked at with each request.
    fn session(&self, py: Python<'_>, token: &Bound<'_, PyAny>) -> PyResult<Session> {
        let token = token_of(token)?;
        detached(py, || Ok(Session(self.unsealed()?.session(token))))
    }

    /// Carries out a request under a token (None: without one); the answer as a dict, or None where there is nothing to answer.
    #[pyo3(signature = (operation, path, data=None, *, token=None, correlation_id=None, remote_address=None))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
    fn request<'py>(
        &self,
        py: Python<'py>,
        operation: &str,
        path: &Bound<'py, PyString>,
        data: Option<&Bound<'py, PyDict>>,
        token: Option<&Bound<'py, PyAny>>,
        correlation_id: Option<String>,
        remote_address: Option<String>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut request = request_of(py, operation, path, data, Context { correlation_id, remote_address })?;
        request.token = token.map(token_of).transpose()?;
        let state = self.state();
        let response = detached(py, || match state {
            State::Open(vault) => vault.handle(request).into_result(),
            State::Sealed(sealed) => sealed.handle(request).into_result(),
        })?;
        answer(py, response)
    }

    /// Reads every record of the store and the whole audit log anew; how many there are.
    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = detached(py, || self.unsealed()?.verify())?;
        let dict = PyDict::new(py);
        dict.set_item("records", found.records)?;
        dict.set_item("audit_records", found.audit.records)?;
        dict.set_item("audit_segments", found.audit.segments)?;
        Ok(dict)
    }

    /// Does what is due by the vault's clock; when it wants to be called next, in seconds since the Unix epoch.
    fn tick(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let next = detached(py, || self.unsealed()?.tick())?;
        Ok(next.map(|next| next.as_millis() as f64 / 1000.0))
    }

    /// Writes what waits, wipes the keys and frees the store. Closing twice is fine.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.state();
        detached(py, || match state {
            State::Open(vault) => vault.close(),
            State::Sealed(sealed) => sealed.close(),
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(&self, py: Python<'_>, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        format!("Vault(sealed={})", self.status().sealed)
    }
}

#[pymethods]
impl Init {
    fn __repr__(&self) -> &'static str {
        "Init([redacted])"
    }
}

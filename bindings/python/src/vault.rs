//! `create`, `open`, `Vault` and `Init`.

use crate::arguments::{Place, Text};
use crate::clock::ManualClock;
use crate::convert::refuse;
use crate::errors::{detached, raise};
use crate::keys::{new_seal, unseal_key};
use crate::maintenance::Maintenance;
use crate::secret::{SecretStr, token_of};
use crate::session::{Asked, Session, answer};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vault_core::types::{Code, Context, Error, Operation, Path, Request, Response};
use vault_core::{AuditMode, Config, SealStatus, SealedVault, UnsealKey, Vault as CoreVault};

/// An open vault, sealed or not. Use it in a `with` block, which closes it.
#[pyclass(frozen, weakref, module = "libvault")]
pub(crate) struct Vault {
    /// Locked by those only who hold the interpreter's lock, so that no child process finds it locked for ever.
    state: Mutex<State>,
    /// Locked like the state; the thread is stopped outside of the lock.
    maintenance: Mutex<Option<Maintenance>>,
}

/// What is given once, at creation.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Init {
    /// The root token: it may do everything and does not expire.
    #[pyo3(get)]
    root_token: Py<SecretStr>,
}

#[derive(Clone)]
enum State {
    /// Opened, and never unsealed.
    Sealed(SealedVault),
    /// Unsealed once. Core knows whether it still is; this never steps back, so that racing calls cannot make it say other than core.
    Open { vault: CoreVault, way_back: Option<SealedVault> },
}

/// Makes a new vault and leaves it unsealed.
#[pyfunction]
#[pyo3(signature = (path, *, key, clock=None, audit=Text("batched")), text_signature = "(path, *, key, clock=None, audit='batched')")]
pub(crate) fn create(
    py: Python<'_>,
    path: Option<Place>,
    key: &Bound<'_, PyAny>,
    clock: Option<&ManualClock>,
    audit: Text<'_>,
) -> PyResult<(Vault, Init)> {
    let config = config(py, path, clock, audit)?;
    let seal = new_seal(key)?;
    let (vault, init) = detached(py, || CoreVault::create(config, seal))?;
    let init = Init { root_token: Py::new(py, SecretStr(init.root_token))? };
    Ok((Vault::new(State::Open { vault, way_back: None }), init))
}

/// Opens a vault; sealed where no key is given.
#[pyfunction]
#[pyo3(signature = (path, *, key=None, clock=None, audit=Text("batched")), text_signature = "(path, *, key=None, clock=None, audit='batched')")]
pub(crate) fn open(
    py: Python<'_>,
    path: Place,
    key: Option<&Bound<'_, PyAny>>,
    clock: Option<&ManualClock>,
    audit: Text<'_>,
) -> PyResult<Vault> {
    let config = config(py, Some(path), clock, audit)?;
    let key = key.map(unseal_key).transpose()?;
    let state = detached(py, || {
        let sealed = CoreVault::open(config)?;
        match key {
            Some(key) => Ok(State::Open { vault: sealed.unseal(&key)?, way_back: Some(sealed) }),
            None => Ok(State::Sealed(sealed)),
        }
    })?;
    Ok(Vault::new(state))
}

fn config(py: Python<'_>, path: Option<Place>, clock: Option<&ManualClock>, audit: Text<'_>) -> PyResult<Config> {
    let mode = match audit.0 {
        "batched" => AuditMode::Batched,
        "strict" => AuditMode::Strict,
        _ => return Err(refuse(py, Code::InvalidRequest, "unknown audit mode: use \"batched\" or \"strict\"")),
    };
    let config = path.map_or_else(Config::in_memory, |place| Config::at(place.0)).with_audit_mode(mode);
    Ok(match clock {
        Some(clock) => config.with_clock(clock.0.clone()),
        None => config,
    })
}

impl Vault {
    fn new(state: State) -> Self {
        Vault { state: Mutex::new(state), maintenance: Mutex::new(None) }
    }

    fn state(&self) -> State {
        self.state.lock().clone()
    }

    fn set_state(&self, state: State) {
        let mut known = self.state.lock();
        if matches!(state, State::Open { .. }) {
            *known = state;
        }
    }

    fn status(&self) -> SealStatus {
        match self.state() {
            State::Sealed(sealed) => sealed.seal_status(),
            State::Open { vault, .. } => vault.seal_status(),
        }
    }

    fn unsealed(&self, py: Python<'_>) -> PyResult<CoreVault> {
        match self.state() {
            State::Open { vault, .. } if !vault.seal_status().sealed => Ok(vault),
            state => {
                detached(py, || state.check_usable())?;
                Err(refuse(py, Code::Sealed, "the vault is sealed: unseal it"))
            }
        }
    }
}

impl State {
    fn handle(&self, request: Request) -> Result<Response, Error> {
        match self {
            State::Sealed(sealed) => sealed.handle(request).into_result(),
            State::Open { vault, .. } => vault.handle(request).into_result(),
        }
    }

    /// An error where the vault is closed or of a parent process. Asked by the one request that any other vault answers.
    fn check_usable(&self) -> Result<(), Error> {
        let path = Path::parse("sys/seal-status")?;
        self.handle(Request { operation: Operation::Read, path, data: None, token: None, context: Context::default() }).map(drop)
    }

    /// Unseals, or seals and so gets the handle that unseals where there is none yet; what is known then.
    fn unseal(self, key: &UnsealKey) -> Result<State, Error> {
        self.check_usable()?;
        let sealed = match self {
            State::Sealed(sealed) | State::Open { way_back: Some(sealed), .. } => sealed,
            // Sealed by a request meanwhile: sealing again only gives the handle.
            State::Open { vault, way_back: None } if vault.seal_status().sealed => vault.seal()?,
            State::Open { .. } => return Err(Error::new(Code::AlreadyUnsealed, "the vault is unsealed already")),
        };
        Ok(State::Open { vault: sealed.unseal(key)?, way_back: Some(sealed) })
    }

    fn seal(self) -> Result<State, Error> {
        self.check_usable()?;
        Ok(match self {
            State::Open { vault, .. } => State::Open { way_back: Some(vault.seal()?), vault },
            sealed => sealed,
        })
    }

    fn close(self) -> Result<(), Error> {
        match self {
            State::Sealed(sealed) => sealed.close(),
            State::Open { vault, .. } => vault.close(),
        }
    }
}

#[pymethods]
impl Vault {
    /// Unseals the vault.
    fn unseal(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = unseal_key(key)?;
        let state = self.state();
        let unsealed = detached(py, || state.unseal(&key))?;
        self.set_state(unsealed);
        Ok(())
    }

    /// Writes what waits, and wipes the keys. Sealing twice is fine.
    fn seal(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.state();
        let sealed = detached(py, || state.seal())?;
        self.set_state(sealed);
        Ok(())
    }

    /// Whether the keys are out of memory.
    #[getter]
    fn sealed(&self) -> bool {
        self.status().sealed
    }

    /// The status of the seal: initialized, sealed, closed, the kinds of the key slots, version and format.
    fn seal_status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = self.status();
        let dict = PyDict::new(py);
        // A store is made whole or not at all: one that opens is initialised.
        dict.set_item("initialized", true)?;
        dict.set_item("sealed", status.sealed)?;
        dict.set_item("closed", status.closed)?;
        dict.set_item("seal_types", status.slots.iter().map(|slot| slot.kind).collect::<Vec<_>>())?;
        dict.set_item("version", status.version)?;
        dict.set_item("format", status.format)?;
        Ok(dict)
    }

    /// A session under a token, which is looked at with each request.
    fn session(&self, py: Python<'_>, token: &Bound<'_, PyAny>) -> PyResult<Session> {
        let token = token_of(token)?;
        Ok(Session::new(self.unsealed(py)?.session(token)))
    }

    /// Carries out a request under a token (None: without one); the answer as a dict, or None where there is nothing to answer.
    #[pyo3(signature = (operation, path, data=None, *, token=None, correlation_id=None, remote_address=None))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
    fn request<'py>(
        &self,
        py: Python<'py>,
        operation: Text<'_>,
        path: Text<'_>,
        data: Option<&Bound<'py, PyAny>>,
        token: Option<&Bound<'py, PyAny>>,
        correlation_id: Option<Text<'_>>,
        remote_address: Option<Text<'_>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let asked = Asked::new(operation, path, data, correlation_id, remote_address)?;
        let token = token.map(token_of).transpose()?;
        let state = self.state();
        let response = detached(py, || {
            let request = Request { token, ..asked.into_request()? };
            state.handle(request)
        })?;
        answer(py, response)
    }

    /// Reads every record of the store and the whole audit log anew; how many there are.
    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let vault = self.unsealed(py)?;
        let found = detached(py, || vault.verify())?;
        let dict = PyDict::new(py);
        dict.set_item("records", found.records)?;
        dict.set_item("audit_records", found.audit.records)?;
        dict.set_item("audit_segments", found.audit.segments)?;
        Ok(dict)
    }

    /// Does what is due by the vault's clock; when it wants to be called next, in seconds since the Unix epoch.
    fn tick(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let vault = self.unsealed(py)?;
        let next = detached(py, || vault.tick())?;
        Ok(next.map(|next| next.as_millis() as f64 / 1000.0))
    }

    /// Starts a thread that does what `tick` does, until `stop_maintenance` or `close`. Starting it twice is fine.
    fn start_maintenance(&self, py: Python<'_>) -> PyResult<()> {
        let vault = self.unsealed(py)?;
        // Asked first, since a vault that is closed, or of a parent process, has nothing to maintain.
        detached(py, || vault.tick().map(drop))?;
        let started = {
            let mut running = self.maintenance.lock();
            if running.is_some() { Ok(()) } else { Maintenance::start(vault).map(|started| *running = Some(started)) }
        };
        started.map_err(|error| raise(py, &error))
    }

    /// Stops that thread and waits for its end. Stopping what does not run is fine.
    fn stop_maintenance(&self, py: Python<'_>) {
        let running = self.maintenance.lock().take();
        py.detach(|| drop(running));
    }

    /// Stops maintenance, writes what waits, wipes the keys and frees the store. Closing twice is fine.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stop_maintenance(py);
        let state = self.state();
        detached(py, || state.close())
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

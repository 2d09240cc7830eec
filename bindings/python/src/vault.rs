//! `create`, `open`, `restore`, `Vault` and `Init`.

use crate::arguments::{Duration, Parameter, Place, Text};
use crate::callbacks::{PyAnchor, PyStream};
use crate::clock::ManualClock;
use crate::connectors::connectors_of;
use crate::convert::refuse;
use crate::errors::{detached, raise};
use crate::hooks::PyHook;
use crate::keys::{new_seals, unseal_key, wrappers_among, wrappers_of};
use crate::log::PyLog;
use crate::maintenance::Maintenance;
use crate::policy::settings;
use crate::secret::{SecretStr, token_of};
use crate::session::{Asked, Session, answer};
use crate::sinks::sinks_of;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use vault_core::host::Anchor;
use vault_core::storage::{Backend, FileAnchor};
use vault_core::types::{Code, Error, Operation, Path, Request, Response, SecretString, Ttl};
use vault_core::{AuditMode, Config, SealStatus, SealedVault, UnsealKey, Unsealing, Vault as CoreVault};

/// An open vault, sealed or not. Use it in a `with` block, which closes it.
///
/// >>> import libvault
/// >>> vault, _ = libvault.create(None, key=libvault.RawKey(bytes(range(32))))
/// >>> with vault:
/// ...     vault.seal()
/// ...     vault.sealed
/// ...     vault.unseal(libvault.RawKey(bytes(range(32))))
/// ...     vault.verify()["records"] > 0
/// True
/// True
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
    /// The key shares, where a slot is opened by such: shown this once.
    #[pyo3(get)]
    shares: Vec<Py<SecretStr>>,
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
#[pyo3(
    signature = (path, *, key, clock=None, audit=Text("batched"), key_wrappers=None, audit_sinks=None, anchor=None, anchor_interval=Parameter(0), value_cache_bytes=Parameter(0), value_cache_ttl=Parameter(60), backend=None, dialect=Text("vault"), absolute_deny=false, connectors=None, lease_hook=None, rotation_hook=None, log=None),
    text_signature = "(path, *, key, clock=None, audit='batched', key_wrappers=None, audit_sinks=None, anchor=None, anchor_interval=0, value_cache_bytes=0, value_cache_ttl=60, backend=None, dialect='vault', absolute_deny=False, connectors=None, lease_hook=None, rotation_hook=None, log=None)"
)]
#[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
pub(crate) fn create(
    py: Python<'_>,
    path: Option<Place>,
    key: &Bound<'_, PyAny>,
    clock: Option<&ManualClock>,
    audit: Text<'_>,
    key_wrappers: Option<&Bound<'_, PyAny>>,
    audit_sinks: Option<&Bound<'_, PyAny>>,
    anchor: Option<&Bound<'_, PyAny>>,
    anchor_interval: Parameter,
    value_cache_bytes: Parameter,
    value_cache_ttl: Parameter,
    backend: Option<Text<'_>>,
    dialect: Text<'_>,
    absolute_deny: bool,
    connectors: Option<&Bound<'_, PyAny>>,
    lease_hook: Option<&Bound<'_, PyAny>>,
    rotation_hook: Option<&Bound<'_, PyAny>>,
    log: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Vault, Init)> {
    let config = on_backend(py, config(py, path, clock, audit)?, backend)?.with_policies(settings(py, dialect, absolute_deny)?);
    let config = surroundings(config, Some(key), key_wrappers, audit_sinks, anchor, anchor_interval)?;
    let config = holding(config, value_cache_bytes, value_cache_ttl);
    let config = to_targets(config, connectors, lease_hook, rotation_hook, log)?;
    let seals = new_seals(key)?;
    let (vault, init) = detached(py, || CoreVault::create_with_seals(config, &seals))?;
    let secret = |text: SecretString| Py::new(py, SecretStr::of(&text));
    let shares = init.shares.into_iter().map(secret).collect::<PyResult<_>>()?;
    let init = Init { root_token: secret(init.root_token)?, shares };
    Ok((Vault::new(State::Open { vault, way_back: None }), init))
}

/// Opens a vault; sealed where no key is given.
#[pyfunction]
#[pyo3(
    signature = (path, *, key=None, clock=None, audit=Text("batched"), key_wrappers=None, audit_sinks=None, anchor=None, anchor_interval=Parameter(0), value_cache_bytes=Parameter(0), value_cache_ttl=Parameter(60), accept_rollback=false, dialect=Text("vault"), absolute_deny=false, connectors=None, lease_hook=None, rotation_hook=None, log=None),
    text_signature = "(path, *, key=None, clock=None, audit='batched', key_wrappers=None, audit_sinks=None, anchor=None, anchor_interval=0, value_cache_bytes=0, value_cache_ttl=60, accept_rollback=False, dialect='vault', absolute_deny=False, connectors=None, lease_hook=None, rotation_hook=None, log=None)"
)]
#[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
pub(crate) fn open(
    py: Python<'_>,
    path: Place,
    key: Option<&Bound<'_, PyAny>>,
    clock: Option<&ManualClock>,
    audit: Text<'_>,
    key_wrappers: Option<&Bound<'_, PyAny>>,
    audit_sinks: Option<&Bound<'_, PyAny>>,
    anchor: Option<&Bound<'_, PyAny>>,
    anchor_interval: Parameter,
    value_cache_bytes: Parameter,
    value_cache_ttl: Parameter,
    accept_rollback: bool,
    dialect: Text<'_>,
    absolute_deny: bool,
    connectors: Option<&Bound<'_, PyAny>>,
    lease_hook: Option<&Bound<'_, PyAny>>,
    rotation_hook: Option<&Bound<'_, PyAny>>,
    log: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vault> {
    let config = config(py, Some(path), clock, audit)?.with_policies(settings(py, dialect, absolute_deny)?);
    let config = surroundings(config, key, key_wrappers, audit_sinks, anchor, anchor_interval)?;
    let config = holding(config, value_cache_bytes, value_cache_ttl);
    let mut config = to_targets(config, connectors, lease_hook, rotation_hook, log)?;
    if accept_rollback {
        config = config.with_rollback_accepted();
    }
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

/// Writes a backup into an empty place and opens it, frozen until it is adopted.
#[pyfunction]
#[pyo3(
    signature = (path, file, *, key, clock=None, audit=Text("batched"), key_wrappers=None, audit_sinks=None, anchor=None, anchor_interval=Parameter(0), value_cache_bytes=Parameter(0), value_cache_ttl=Parameter(60), backend=None, connectors=None, lease_hook=None, rotation_hook=None, log=None),
    text_signature = "(path, file, *, key, clock=None, audit='batched', key_wrappers=None, audit_sinks=None, anchor=None, anchor_interval=0, value_cache_bytes=0, value_cache_ttl=60, backend=None, connectors=None, lease_hook=None, rotation_hook=None, log=None)"
)]
#[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
pub(crate) fn restore(
    py: Python<'_>,
    path: Option<Place>,
    file: Py<PyAny>,
    key: &Bound<'_, PyAny>,
    clock: Option<&ManualClock>,
    audit: Text<'_>,
    key_wrappers: Option<&Bound<'_, PyAny>>,
    audit_sinks: Option<&Bound<'_, PyAny>>,
    anchor: Option<&Bound<'_, PyAny>>,
    anchor_interval: Parameter,
    value_cache_bytes: Parameter,
    value_cache_ttl: Parameter,
    backend: Option<Text<'_>>,
    connectors: Option<&Bound<'_, PyAny>>,
    lease_hook: Option<&Bound<'_, PyAny>>,
    rotation_hook: Option<&Bound<'_, PyAny>>,
    log: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vault> {
    let config = on_backend(py, config(py, path, clock, audit)?, backend)?;
    let config = surroundings(config, Some(key), key_wrappers, audit_sinks, anchor, anchor_interval)?;
    let config = holding(config, value_cache_bytes, value_cache_ttl);
    let config = to_targets(config, connectors, lease_hook, rotation_hook, log)?;
    let key = unseal_key(key)?;
    let (vault, _) = detached(py, || CoreVault::restore(config, &mut PyStream(file), &key))?;
    Ok(Vault::new(State::Open { vault, way_back: None }))
}

/// Decrypted secrets that are held, as the keywords bound them.
fn holding(config: Config, bytes: Parameter, ttl: Parameter) -> Config {
    config.with_value_cache(bytes.0.into(), Ttl::from_secs(ttl.0.into()))
}

/// Key services, audit sinks and the anchor, as the keywords give them.
pub(crate) fn surroundings(
    mut config: Config,
    key: Option<&Bound<'_, PyAny>>,
    key_wrappers: Option<&Bound<'_, PyAny>>,
    audit_sinks: Option<&Bound<'_, PyAny>>,
    anchor: Option<&Bound<'_, PyAny>>,
    anchor_interval: Parameter,
) -> PyResult<Config> {
    let among_keys = key.map(wrappers_among).transpose()?.unwrap_or_default();
    let on_their_own = key_wrappers.map(wrappers_of).transpose()?.unwrap_or_default();
    for wrapper in among_keys.into_iter().chain(on_their_own) {
        config = config.with_key_wrapper(wrapper);
    }
    for sink in audit_sinks.map(sinks_of).transpose()?.unwrap_or_default() {
        config = config.with_audit_sink(sink);
    }
    let Some(anchor) = anchor else { return Ok(config) };
    let interval = Ttl::from_secs(anchor_interval.0.into());
    let keeper: Arc<dyn Anchor> = match anchor.extract::<Place>() {
        Ok(place) => Arc::new(FileAnchor::at(place.0)),
        Err(_) => Arc::new(PyAnchor::of(anchor)?),
    };
    Ok(config.with_anchor(keeper, interval))
}

/// The connectors to target systems, and who is told of leases and of trouble.
fn to_targets(
    mut config: Config,
    connectors: Option<&Bound<'_, PyAny>>,
    lease_hook: Option<&Bound<'_, PyAny>>,
    rotation_hook: Option<&Bound<'_, PyAny>>,
    log: Option<&Bound<'_, PyAny>>,
) -> PyResult<Config> {
    for connector in connectors.map(connectors_of).transpose()?.unwrap_or_default() {
        config = config.with_connector(connector);
    }
    if let Some(hook) = lease_hook {
        config = config.with_lease_hook(Arc::new(PyHook::of(hook, "lease_hook(change, lease_id, namespace, expires)")?));
    }
    if let Some(hook) = rotation_hook {
        config = config.with_rotation_hook(Arc::new(PyHook::of(hook, "rotation_hook(change, path, namespace, version, what_to_do)")?));
    }
    if let Some(log) = log {
        config = config.with_log(Arc::new(PyLog::of(log)?));
    }
    Ok(config)
}

pub(crate) fn config(py: Python<'_>, path: Option<Place>, clock: Option<&ManualClock>, audit: Text<'_>) -> PyResult<Config> {
    let mode = match audit.0 {
        "batched" => AuditMode::Batched,
        "strict" => AuditMode::Strict,
        "counted" => AuditMode::Counted,
        _ => return Err(refuse(py, Code::InvalidRequest, "unknown audit mode: use \"batched\", \"strict\" or \"counted\"")),
    };
    let config = path.map_or_else(Config::in_memory, |place| Config::at(place.0)).with_audit_mode(mode);
    Ok(match clock {
        Some(clock) => config.with_clock(clock.0.clone()),
        None => config,
    })
}

/// A new store is kept by the backend that is named, else by the preferred one.
pub(crate) fn on_backend(py: Python<'_>, config: Config, name: Option<Text<'_>>) -> PyResult<Config> {
    let Some(name) = name else { return Ok(config) };
    match Backend::named(name.0) {
        Some(backend) => Ok(config.with_backend(backend)),
        None => Err(refuse(py, Code::InvalidRequest, "unknown backend: use \"sled\" or \"redb\"")),
    }
}

impl Vault {
    /// A vault that is open and unsealed.
    pub(crate) fn unsealed_by(vault: CoreVault) -> Self {
        Vault::new(State::Open { vault, way_back: None })
    }

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
        self.handle(Request::new(Operation::Read, path)).map(drop)
    }

    /// Unseals, or seals and so gets the handle that unseals where there is none yet; what is known then.
    fn unseal(self, key: &UnsealKey) -> Result<State, Error> {
        let sealed = self.sealed()?;
        Ok(State::Open { vault: sealed.unseal(key)?, way_back: Some(sealed) })
    }

    /// Takes one key share; what is known then.
    fn unseal_share(self, share: &str) -> Result<State, Error> {
        let sealed = self.sealed()?;
        Ok(match sealed.unseal_share(share)? {
            Unsealing::Unsealed(vault) => State::Open { vault, way_back: Some(sealed) },
            Unsealing::More(_) => State::Sealed(sealed),
        })
    }

    /// The handle that unseals.
    fn sealed(self) -> Result<SealedVault, Error> {
        self.check_usable()?;
        Ok(match self {
            State::Sealed(sealed) | State::Open { way_back: Some(sealed), .. } => sealed,
            // Sealed by a request meanwhile: sealing again only gives the handle.
            State::Open { vault, way_back: None } if vault.seal_status().sealed => vault.seal()?,
            State::Open { .. } => return Err(Error::new(Code::AlreadyUnsealed, "the vault is unsealed already")),
        })
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

    /// Takes one key share; whether the vault is unsealed by it. `seal_status()` shows the progress.
    fn unseal_share(&self, py: Python<'_>, share: &Bound<'_, PyAny>) -> PyResult<bool> {
        let share = token_of(share)?;
        let state = self.state();
        let known = detached(py, || state.unseal_share(share.expose()))?;
        let unsealed = matches!(known, State::Open { .. });
        self.set_state(known);
        Ok(unsealed)
    }

    /// Forgets the key shares that were given so far.
    fn reset_unseal(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.state();
        detached(py, || state.sealed().map(|sealed| sealed.reset_unseal()))
    }

    /// Makes a root token for whoever can open the vault: when the last one was revoked or lost.
    fn generate_root(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<SecretStr> {
        let key = unseal_key(key)?;
        let vault = self.unsealed(py)?;
        detached(py, || vault.generate_root(&key)).map(|token| SecretStr::of(&token))
    }

    /// Whether the vault was restored and not yet adopted.
    #[getter]
    fn frozen(&self) -> bool {
        matches!(self.state(), State::Open { vault, .. } if vault.is_frozen())
    }

    /// Writes what waits, and wipes the keys. Sealing twice is fine.
    fn seal(&self, py: Python<'_>) -> PyResult<()> {
        let state = self.state();
        let sealed = detached(py, || state.seal())?;
        self.set_state(sealed);
        Ok(())
    }

    /// What the vault has counted since it was opened, in the text format of Prometheus (0.0.4). Needs no token; sealed or not.
    fn metrics(&self, py: Python<'_>) -> String {
        let state = self.state();
        py.detach(|| match state {
            State::Sealed(sealed) => sealed.metrics(),
            State::Open { vault, .. } => vault.metrics(),
        })
    }

    /// Whether the keys are out of memory.
    #[getter]
    fn sealed(&self) -> bool {
        self.status().sealed
    }

    /// The status of the seal: initialized, sealed, closed, the key slots and their kinds, version and format; of key shares `t`, `n` and `progress`.
    fn seal_status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = self.status();
        let dict = PyDict::new(py);
        // A store is made whole or not at all: one that opens is initialised.
        dict.set_item("initialized", true)?;
        dict.set_item("sealed", status.sealed)?;
        dict.set_item("closed", status.closed)?;
        dict.set_item("seal_types", status.slots.iter().map(|slot| slot.kind).collect::<Vec<_>>())?;
        let slots = status.slots.iter().map(|slot| {
            let row = PyDict::new(py);
            row.set_item("id", slot.id)?;
            row.set_item("type", slot.kind)?;
            row.set_item("wrapper", slot.wrapper.as_deref())?;
            row.set_item("superseded_by", slot.superseded_by)?;
            Ok(row)
        });
        dict.set_item("slots", slots.collect::<PyResult<Vec<_>>>()?)?;
        dict.set_item("t", status.threshold)?;
        dict.set_item("n", status.shares)?;
        dict.set_item("progress", status.progress)?;
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
    #[pyo3(signature = (operation, path, data=None, *, token=None, namespace=None, correlation_id=None, remote_address=None, wrap_ttl=None))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
    fn request<'py>(
        &self,
        py: Python<'py>,
        operation: Text<'_>,
        path: Text<'_>,
        data: Option<&Bound<'py, PyAny>>,
        token: Option<&Bound<'py, PyAny>>,
        namespace: Option<Text<'_>>,
        correlation_id: Option<Text<'_>>,
        remote_address: Option<Text<'_>>,
        wrap_ttl: Option<Duration>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let asked = Asked::new(operation, path, data, namespace, correlation_id, remote_address, wrap_ttl)?;
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

    /// Gives disk space back that no record needs any more; how many bytes the records had before and have after.
    fn compact<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let vault = self.unsealed(py)?;
        let found = detached(py, || vault.compact())?;
        let dict = PyDict::new(py);
        dict.set_item("bytes_before", found.before)?;
        dict.set_item("bytes_after", found.after)?;
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

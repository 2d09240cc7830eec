//! `LiveSecret` and `SecretSnapshot`: a secret that stays current, and what it was at one moment.

use crate::arguments::Text;
use crate::convert::{object_to_python, refuse, to_python};
use crate::errors::{detached, guarded, raise};
use parking_lot::Mutex;
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use vault_core::types::{Code, Result as CoreResult};
use vault_core::{Listening, LiveSecret as CoreLive, SecretSnapshot as CoreSnapshot};

/// A secret that stays current: `get()` gives the newest version, and asks the store only when something has changed. Make one for each secret and
/// keep it; any thread may use it.
///
/// >>> import libvault
/// >>> vault, init = libvault.create(None, key=libvault.RawKey(bytes(range(32))))
/// >>> kv = vault.session(init.root_token).kv("secret")
/// >>> version = kv.put("app/db", {"password": "one"})
/// >>> live = kv.live("app/db")
/// >>> live.get().version
/// 1
/// >>> version = kv.put("app/db", {"password": "two"})
/// >>> live.is_current, live.get().version, live.is_current
/// (False, 2, True)
/// >>> vault.close()
#[pyclass(frozen, module = "libvault")]
pub(crate) struct LiveSecret {
    live: Mutex<Option<CoreLive>>,
    listening: Mutex<Option<Listening>>,
}

/// A secret as it was read at one moment: a mapping of its members until it is closed.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct SecretSnapshot {
    held: Mutex<Option<Arc<CoreSnapshot>>>,
    version: Option<u64>,
}

impl LiveSecret {
    pub(crate) fn new(live: CoreLive) -> Self {
        LiveSecret { live: Mutex::new(Some(live)), listening: Mutex::new(None) }
    }

    /// A handle of one's own: what is under way ends well even where this one is closed meanwhile.
    fn open(&self, py: Python<'_>) -> PyResult<CoreLive> {
        self.live.lock().clone().ok_or_else(|| refuse(py, Code::Closed, "the live secret was closed: make another"))
    }
}

impl From<Arc<CoreSnapshot>> for SecretSnapshot {
    fn from(snapshot: Arc<CoreSnapshot>) -> Self {
        SecretSnapshot { version: snapshot.version(), held: Mutex::new(Some(snapshot)) }
    }
}

#[pymethods]
impl LiveSecret {
    /// The secret as it is now. Raises what a read raises.
    fn get(&self, py: Python<'_>) -> PyResult<SecretSnapshot> {
        let live = self.open(py)?;
        detached(py, || live.get()).map(SecretSnapshot::from)
    }

    /// Reads the secret whether it has changed or not: a read with its record in the audit log.
    fn refresh(&self, py: Python<'_>) -> PyResult<SecretSnapshot> {
        let live = self.open(py)?;
        detached(py, || live.refresh()).map(SecretSnapshot::from)
    }

    /// The secret, read anew unless that was done since `snapshot` was given: for whoever was refused with that one.
    fn newer_than(&self, py: Python<'_>, snapshot: &Bound<'_, SecretSnapshot>) -> PyResult<SecretSnapshot> {
        let (live, used) = (self.open(py)?, snapshot.get().open(py)?);
        detached(py, || live.newer_than(&used)).map(SecretSnapshot::from)
    }

    /// Whether what was read last is still what a read would give. Never asks the store; False before the first read.
    #[getter]
    fn is_current(&self, py: Python<'_>) -> PyResult<bool> {
        let live = self.open(py)?;
        guarded(py, || Ok(live.is_current()))
    }

    /// Calls `attempt(secret)` and gives what it returns. When it raises `retry_on` (an exception class, or a tuple of some), which says that the
    /// credential was refused, the secret is read anew and the attempt is made once more.
    fn with_retry<'py>(&self, py: Python<'py>, attempt: &Bound<'py, PyAny>, retry_on: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let live = self.open(py)?;
        let once = |snapshot: Arc<CoreSnapshot>| attempt.call1((SecretSnapshot::from(snapshot),));
        let used = detached(py, || live.get())?;
        match once(Arc::clone(&used)) {
            Err(error) if error.value(py).is_instance(retry_on)? => {}
            ended => return ended,
        }
        let newer = detached(py, || live.newer_than(&used))?;
        once(newer)
    }

    /// Calls `listener(news)` whenever a tick of the vault (`tick()`, or the maintenance thread) finds another content than it was told last, with
    /// a SecretSnapshot, and once when the secret can no longer be read, with the VaultError. It takes the place of the one before; None ends it.
    /// The secret is read now, so that this raises what a read raises.
    fn on_change(&self, py: Python<'_>, listener: Option<Py<PyAny>>) -> PyResult<()> {
        let live = self.open(py)?;
        let listening = match listener {
            None => None,
            Some(listener) if listener.bind(py).is_callable() => Some(detached(py, || live.on_change(move |news| tell(&listener, news)))?),
            Some(_) => return Err(PyTypeError::new_err("a listener must be callable")),
        };
        let before = std::mem::replace(&mut *self.listening.lock(), listening);
        // It may hold the last handle of a vault, whose end writes what waits.
        py.detach(|| drop(before));
        Ok(())
    }

    /// Lets go of the secret and of the listener. Closing twice is fine.
    fn close(&self, py: Python<'_>) {
        let taken = (self.live.lock().take(), self.listening.lock().take());
        py.detach(|| drop(taken));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(&self, py: Python<'_>, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) {
        self.close(py);
    }

    fn __repr__(&self) -> &'static str {
        "LiveSecret([redacted])"
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a live secret cannot be pickled"))
    }
}

/// Tells a Python listener; what it raises is shown where Python shows what nobody can catch.
fn tell(listener: &Py<PyAny>, news: CoreResult<Arc<CoreSnapshot>>) {
    Python::attach(|py| {
        let told = match news {
            Ok(snapshot) => listener.call1(py, (SecretSnapshot::from(snapshot),)),
            Err(error) => listener.call1(py, (raise(py, &error).into_value(py),)),
        };
        if let Err(error) = told {
            error.write_unraisable(py, None);
        }
    });
}

impl SecretSnapshot {
    fn open(&self, py: Python<'_>) -> PyResult<Arc<CoreSnapshot>> {
        self.held.lock().clone().ok_or_else(|| refuse(py, Code::Closed, "the secret was closed: get it again"))
    }

    fn member<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let held = self.open(py)?;
        guarded(py, || held.data().get(name).map(|value| to_python(py, value)).transpose())
    }
}

#[pymethods]
impl SecretSnapshot {
    /// The version's number; None where the secret has no versions.
    #[getter]
    fn version(&self) -> Option<u64> {
        self.version
    }

    /// The names of the members, in order.
    fn keys(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.open(py)?.data().iter().map(|(name, _)| name.to_owned()).collect())
    }

    /// The contents of the members, in the order of their names.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let held = self.open(py)?;
        guarded(py, || held.data().iter().map(|(_, value)| to_python(py, value)).collect())
    }

    /// Names with contents, in the order of the names.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
        let held = self.open(py)?;
        guarded(py, || held.data().iter().map(|(name, value)| Ok((name.to_owned(), to_python(py, value)?))).collect())
    }

    /// A member's content, or the default where there is none of that name.
    #[pyo3(signature = (name, default=None))]
    fn get<'py>(&self, py: Python<'py>, name: Text<'_>, default: Option<Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.member(py, name.0)?.or(default))
    }

    /// A copy of all members as a dict, which cannot be wiped.
    fn expose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let held = self.open(py)?;
        guarded(py, || object_to_python(py, held.data()))
    }

    /// Lets go of the secret, which is wiped when nobody else holds it: neither another snapshot nor the live secret itself.
    fn close(&self) {
        drop(self.held.lock().take());
    }

    fn __getitem__<'py>(&self, py: Python<'py>, name: Text<'_>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, name.0)?.ok_or_else(|| PyKeyError::new_err("the secret has no member of that name"))
    }

    fn __contains__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        let held = self.open(py)?;
        Ok(name.extract::<Text<'_>>().is_ok_and(|Text(name)| held.data().get(name).is_some()))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.open(py)?.data().len())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.keys(py)?.into_pyobject(py)?.try_iter()?.into_any())
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) {
        self.close();
    }

    fn __repr__(&self) -> String {
        let version = self.version.map_or("None".to_owned(), |version| version.to_string());
        format!("SecretSnapshot(version={version}, [redacted])")
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a secret cannot be pickled"))
    }
}

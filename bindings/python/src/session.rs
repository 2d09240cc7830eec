//! `Session`: one token's requests.

use crate::arguments::{Duration, Text, Whole};
use crate::backup::info_dict;
use crate::callbacks::PyStream;
use crate::convert::{data_to_value, refuse, to_python};
use crate::emergency::Emergency;
use crate::errors::{detached, guarded, raise};
use crate::keys::new_seals;
use crate::kv::Kv;
use crate::live::LiveSecret;
use crate::rotation::Rotation;
use crate::secret::SecretStr;
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use vault_core::types::{Code, Context, NamespacePath, Operation, Path, Request, Response, Result as CoreResult, Ttl, Value};
use vault_core::{BackupSeals, Session as CoreSession, wire};

/// The requests of one token. The token is looked at with each request, not when the session is made.
///
/// >>> import libvault
/// >>> vault, init = libvault.create(None, key=libvault.RawKey(bytes(range(32))))
/// >>> with vault.session(init.root_token) as session:
/// ...     session.request("read", "auth/token/lookup-self")["data"]["policies"]
/// ['root']
/// >>> vault.close()
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Session(Shared);

/// A session that closing takes away, from all that was made of it too.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Option<CoreSession>>>);

/// A request as Python's arguments say it; core looks at it without the interpreter's lock.
pub(crate) struct Asked<'a> {
    operation: &'a str,
    path: &'a str,
    namespace: &'a str,
    data: Option<Value>,
    context: Context,
    wrap_ttl: Option<Ttl>,
}

impl Session {
    pub(crate) fn new(session: CoreSession) -> Self {
        Session(Shared(Arc::new(Mutex::new(Some(session)))))
    }
}

impl Shared {
    /// A handle of one's own: what is under way ends well even where the session is closed meanwhile.
    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<CoreSession> {
        self.0.lock().clone().ok_or_else(|| refuse(py, Code::Closed, "the session is closed: open another"))
    }
}

impl<'a> Asked<'a> {
    #[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
    pub(crate) fn new(
        operation: Text<'a>,
        path: Text<'a>,
        data: Option<&Bound<'_, PyAny>>,
        namespace: Option<Text<'a>>,
        correlation_id: Option<Text<'_>>,
        remote_address: Option<Text<'_>>,
        wrap_ttl: Option<Duration>,
    ) -> PyResult<Self> {
        let owned = |text: Option<Text<'_>>| text.map(|Text(text)| text.to_owned());
        let context = Context { correlation_id: owned(correlation_id), remote_address: owned(remote_address) };
        let namespace = namespace.map_or("", |Text(namespace)| namespace);
        Ok(Asked {
            operation: operation.0,
            path: path.0,
            namespace,
            data: data_to_value(data)?,
            context,
            wrap_ttl: wrap_ttl.map(|ttl| ttl.0),
        })
    }

    pub(crate) fn into_request(self) -> CoreResult<Request> {
        let operation: Operation = wire::operation_from_name(self.operation)?;
        let (namespace, path) = (NamespacePath::parse(self.namespace)?, Path::parse(self.path)?);
        Ok(Request {
            data: self.data,
            context: self.context,
            wrap_ttl: self.wrap_ttl,
            ..Request::new(operation, path).in_namespace(namespace)
        })
    }
}

#[pymethods]
impl Session {
    /// Carries out a request: read, list, write, patch or delete. The answer is a dict, or None where there is nothing to answer.
    /// `namespace` is one below the session's own. With `wrap_ttl`, in seconds or as text such as "5m", the answer is put behind a wrapping token: it has `wrap_info` only.
    #[pyo3(signature = (operation, path, data=None, *, namespace=None, correlation_id=None, remote_address=None, wrap_ttl=None))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
    fn request<'py>(
        &self,
        py: Python<'py>,
        operation: Text<'_>,
        path: Text<'_>,
        data: Option<&Bound<'py, PyAny>>,
        namespace: Option<Text<'_>>,
        correlation_id: Option<Text<'_>>,
        remote_address: Option<Text<'_>>,
        wrap_ttl: Option<Duration>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let asked = Asked::new(operation, path, data, namespace, correlation_id, remote_address, wrap_ttl)?;
        let session = self.0.get(py)?;
        let response = detached(py, || session.handle(asked.into_request()?).into_result())?;
        answer(py, response)
    }

    /// The same token's requests in a namespace below the session's own, such as `team-a`: all its paths are relative to that one, and lead
    /// nowhere else. A session of its own: closing one leaves the other.
    fn namespace(&self, py: Python<'_>, path: Text<'_>) -> PyResult<Session> {
        let session = self.0.get(py)?;
        guarded(py, || session.namespace(path.0).map(Session::new).map_err(|error| raise(py, &error)))
    }

    /// The KV version 2 secrets engine that is mounted at `mount`.
    fn kv(&self, mount: Text<'_>) -> Kv {
        Kv::new(self.0.clone(), mount.0)
    }

    /// The static roles of the database mount at `mount`, and their rotations.
    #[pyo3(signature = (mount=Text("database")), text_signature = "($self, mount='database')")]
    fn rotation(&self, mount: Text<'_>) -> Rotation {
        Rotation::new(self.0.clone(), mount.0)
    }

    /// What is done when a credential is out.
    fn emergency(&self) -> Emergency {
        Emergency::new(self.0.clone())
    }

    /// A secret at a path of an engine, such as `kv1/app`, that stays current: its members are those of the answer's data. It is read at its
    /// first use, not now.
    fn live(&self, py: Python<'_>, path: Text<'_>) -> PyResult<LiveSecret> {
        let session = self.0.get(py)?;
        guarded(py, || session.live(path.0).map(LiveSecret::new).map_err(|error| raise(py, &error)))
    }

    /// Writes the events of the audit log to a binary file as JSON lines, those after the number `after`; how many they are. Needs `read` and
    /// `sudo` on `sys/audit-log/export`.
    #[pyo3(signature = (file, *, after=Whole(0)), text_signature = "($self, file, *, after=0)")]
    fn export_audit(&self, py: Python<'_>, file: Py<PyAny>, after: Whole) -> PyResult<u64> {
        let session = self.0.get(py)?;
        detached(py, || session.audit().export(&mut PyStream(file), after.0))
    }

    /// Writes a backup of the vault as it is at one moment to a binary file, under the vault's own key slots or, where `key` is given (one or
    /// several), under slots of its own. Needs `update` and `sudo` on `sys/storage/backup`. What the backup says of itself, with the shares
    /// of a `Shamir` under `shares`.
    #[pyo3(signature = (file, *, key=None))]
    fn backup<'py>(&self, py: Python<'py>, file: Py<PyAny>, key: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyDict>> {
        let seals = key.map(new_seals).transpose()?.map_or(BackupSeals::Own, BackupSeals::New);
        let session = self.0.get(py)?;
        let (info, shares) = detached(py, || session.backup().to_writer(&mut PyStream(file), &seals))?;
        let dict = info_dict(py, &info)?;
        let shares = shares.into_iter().map(|share| Py::new(py, SecretStr::of(&share))).collect::<PyResult<Vec<_>>>()?;
        dict.set_item("shares", shares)?;
        Ok(dict)
    }

    /// Lets go of the token. Closing twice is fine; the token itself stays valid until it is revoked.
    fn close(&self, py: Python<'_>) {
        let session = self.0.0.lock().take();
        // It may be the vault's last handle, whose end writes what waits.
        py.detach(|| drop(session));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(&self, py: Python<'_>, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) {
        self.close(py);
    }

    fn __repr__(&self) -> &'static str {
        "Session([redacted])"
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a session cannot be pickled"))
    }
}

/// An answer in the shape of the field's HTTP APIs.
pub(crate) fn answer<'py>(py: Python<'py>, response: Response) -> PyResult<Option<Bound<'py, PyAny>>> {
    guarded(py, || wire::response_to_value(response).map(|value| to_python(py, &value)).transpose())
}

//! `Kv`, `KvSecret` and `KvVersion`: versioned secrets.

use crate::convert::{dict_to_object, object_to_python, refuse, text_of, to_python};
use crate::errors::detached;
use parking_lot::Mutex;
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use vault_core::types::{Code, Object};
use vault_core::{KvMetadata, KvVersion as CoreVersion, Session};

/// The secrets below one KV version 2 mount.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Kv {
    session: Session,
    mount: String,
}

/// One version of a secret, without its content.
#[pyclass(frozen, get_all, module = "libvault")]
pub(crate) struct KvVersion {
    /// Its number, from 1 on.
    version: u64,
    /// When it was written (RFC 3339).
    created_time: String,
    /// When it was deleted (RFC 3339); empty when it was not.
    deletion_time: String,
    /// Whether its content is gone for good.
    destroyed: bool,
}

/// A secret that was read: a mapping of its members until it is closed, which wipes the vault's copy.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct KvSecret {
    data: Mutex<Option<Object>>,
    version: CoreVersion,
}

impl Kv {
    pub(crate) fn new(session: Session, mount: &str) -> Self {
        Kv { session, mount: mount.to_owned() }
    }
}

#[pymethods]
impl Kv {
    /// A secret: its newest version, or the one with that number.
    #[pyo3(signature = (path, version=None))]
    fn get(&self, py: Python<'_>, path: &Bound<'_, PyString>, version: Option<u64>) -> PyResult<KvSecret> {
        let path = text_of(path)?;
        let kv = self.session.kv(&self.mount);
        let secret = detached(py, || version.map_or_else(|| kv.get(path), |version| kv.get_version(path, version)))?;
        Ok(KvSecret { data: Mutex::new(Some(secret.data)), version: secret.version })
    }

    /// Writes a new version; with `cas` only if that is the number of the current one (0: none yet).
    #[pyo3(signature = (path, data, cas=None))]
    fn put(&self, py: Python<'_>, path: &Bound<'_, PyString>, data: &Bound<'_, PyDict>, cas: Option<u64>) -> PyResult<KvVersion> {
        let (path, data) = (text_of(path)?, dict_to_object(data)?);
        let kv = self.session.kv(&self.mount);
        detached(py, || match cas {
            Some(cas) => kv.put_cas(path, data, cas),
            None => kv.put(path, data),
        })
        .map(KvVersion::from)
    }

    /// The names directly below a folder, in order; folders end in a slash.
    #[pyo3(signature = (prefix=None))]
    fn list(&self, py: Python<'_>, prefix: Option<&Bound<'_, PyString>>) -> PyResult<Vec<String>> {
        let prefix = prefix.map(text_of).transpose()?.unwrap_or_default();
        detached(py, || self.session.kv(&self.mount).list(prefix))
    }

    /// Deletes the newest version; it can be undeleted.
    fn delete(&self, py: Python<'_>, path: &Bound<'_, PyString>) -> PyResult<()> {
        let path = text_of(path)?;
        detached(py, || self.session.kv(&self.mount).delete(path))
    }

    /// Deletes these versions; they can be undeleted.
    fn delete_versions(&self, py: Python<'_>, path: &Bound<'_, PyString>, versions: Vec<u64>) -> PyResult<()> {
        let path = text_of(path)?;
        detached(py, || self.session.kv(&self.mount).delete_versions(path, &versions))
    }

    /// Brings deleted versions back.
    fn undelete_versions(&self, py: Python<'_>, path: &Bound<'_, PyString>, versions: Vec<u64>) -> PyResult<()> {
        let path = text_of(path)?;
        detached(py, || self.session.kv(&self.mount).undelete_versions(path, &versions))
    }

    /// Removes the content of these versions for good.
    fn destroy_versions(&self, py: Python<'_>, path: &Bound<'_, PyString>, versions: Vec<u64>) -> PyResult<()> {
        let path = text_of(path)?;
        detached(py, || self.session.kv(&self.mount).destroy_versions(path, &versions))
    }

    /// What is known of a secret without its content: current and oldest version, and the versions in order.
    fn metadata<'py>(&self, py: Python<'py>, path: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyDict>> {
        let path = text_of(path)?;
        let KvMetadata { current_version, oldest_version, versions, .. } = detached(py, || self.session.kv(&self.mount).metadata(path))?;
        let dict = PyDict::new(py);
        dict.set_item("current_version", current_version)?;
        dict.set_item("oldest_version", oldest_version)?;
        let versions: Vec<KvVersion> = versions.into_iter().map(KvVersion::from).collect();
        dict.set_item("versions", versions)?;
        Ok(dict)
    }

    /// Removes a secret with all its versions and metadata for good.
    fn delete_metadata(&self, py: Python<'_>, path: &Bound<'_, PyString>) -> PyResult<()> {
        let path = text_of(path)?;
        detached(py, || self.session.kv(&self.mount).delete_metadata(path))
    }
}

impl From<CoreVersion> for KvVersion {
    fn from(version: CoreVersion) -> Self {
        KvVersion {
            version: version.version,
            created_time: version.created_time,
            deletion_time: version.deletion_time,
            destroyed: version.destroyed,
        }
    }
}

#[pymethods]
impl KvVersion {
    fn __repr__(&self) -> String {
        let KvVersion { version, created_time, deletion_time, destroyed } = self;
        format!("KvVersion(version={version}, created_time={created_time:?}, deletion_time={deletion_time:?}, destroyed={destroyed})")
    }
}

impl KvSecret {
    fn with<R>(&self, py: Python<'_>, with: impl FnOnce(&Object) -> PyResult<R>) -> PyResult<R> {
        let data = self.data.lock();
        with(data.as_ref().ok_or_else(|| refuse(py, Code::Closed, "the secret was closed and wiped: read it again"))?)
    }
}

#[pymethods]
impl KvSecret {
    /// The version's number.
    #[getter]
    fn version(&self) -> u64 {
        self.version.version
    }

    /// The version without its content.
    #[getter]
    fn metadata(&self) -> KvVersion {
        self.version.clone().into()
    }

    /// The names of the members, in order.
    fn keys(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.with(py, |data| Ok(data.iter().map(|(name, _)| name.to_owned()).collect()))
    }

    /// A copy of all members as a dict, which cannot be wiped.
    fn expose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.with(py, |data| object_to_python(py, data))
    }

    /// Wipes the vault's copy; the members are gone from then on.
    fn close(&self) {
        drop(self.data.lock().take());
    }

    fn __getitem__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.with(py, |data| {
            let value = data.get(name).ok_or_else(|| PyKeyError::new_err("the secret has no member of that name"))?;
            to_python(py, value)
        })
    }

    fn __contains__(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        self.with(py, |data| Ok(data.get(name).is_some()))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |data| Ok(data.len()))
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
        format!("KvSecret(version={}, [redacted])", self.version.version)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a secret cannot be pickled"))
    }
}

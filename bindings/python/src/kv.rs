//! `Kv`, `KvSecret` and `KvVersion`: versioned secrets.

use crate::arguments::{Parameter, Text, Whole, Wholes};
use crate::convert::{mapping_to_object, object_to_python, refuse, to_python};
use crate::errors::{detached, guarded};
use crate::live::LiveSecret;
use crate::secret::SecretBytes;
use crate::session::Shared;
use parking_lot::Mutex;
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use vault_core::types::limits::LIST_NAMES_MAX;
use vault_core::types::{Code, Object, Result as CoreResult, Value};
use vault_core::{Kv as CoreKv, KvMetadata, KvSettings, KvVersion as CoreVersion};

/// The secrets below one KV version 2 mount.
///
/// >>> import libvault
/// >>> vault, init = libvault.create(None, key=libvault.RawKey(bytes(range(32))))
/// >>> kv = vault.session(init.root_token).kv("secret")
/// >>> kv.put("app/db", {"password": "one"}, cas=0).version
/// 1
/// >>> kv.patch("app/db", {"user": "app"}).version
/// 2
/// >>> kv.list("app"), kv.subkeys("app/db")
/// (['db'], {'password': None, 'user': None})
/// >>> vault.close()
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Kv {
    session: Shared,
    mount: String,
}

/// One version of a secret, without its content.
#[pyclass(frozen, get_all, module = "libvault")]
pub(crate) struct KvVersion {
    /// Its number, from 1 on.
    version: u64,
    /// When it was written (RFC 3339).
    created_time: String,
    /// When it was or will be deleted (RFC 3339); empty when never.
    deletion_time: String,
    /// Whether its content is gone for good.
    destroyed: bool,
}

/// A secret that was read: a mapping of its members until it is closed, which wipes the vault's copy.
///
/// >>> import libvault
/// >>> vault, init = libvault.create(None, key=libvault.RawKey(bytes(range(32))))
/// >>> kv = vault.session(init.root_token).kv("secret")
/// >>> version = kv.put("app/db", {"password": "pa55-w0rd"})
/// >>> with kv.get("app/db") as secret:
/// ...     print(secret, list(secret), len(secret["password"]))
/// KvSecret(version=1, [redacted]) ['password'] 9
/// >>> vault.close()
#[pyclass(frozen, module = "libvault")]
pub(crate) struct KvSecret {
    data: Mutex<Option<Arc<Object>>>,
    version: CoreVersion,
}

impl Kv {
    pub(crate) fn new(session: Shared, mount: &str) -> Self {
        Kv { session, mount: mount.to_owned() }
    }

    /// Does work on core's face without the interpreter's lock.
    fn with<R: Send>(&self, py: Python<'_>, work: impl FnOnce(CoreKv<'_>) -> CoreResult<R> + Send) -> PyResult<R> {
        let session = self.session.get(py)?;
        detached(py, || work(session.kv(&self.mount)))
    }
}

#[pymethods]
impl Kv {
    /// A secret: its newest version, or the one with that number.
    #[pyo3(signature = (path, version=None))]
    fn get(&self, py: Python<'_>, path: Text<'_>, version: Option<Whole>) -> PyResult<KvSecret> {
        let Text(path) = path;
        let secret = self.with(py, |kv| version.map_or_else(|| kv.get(path), |version| kv.get_version(path, version.0)))?;
        Ok(KvSecret { data: Mutex::new(Some(Arc::new(secret.data))), version: secret.version })
    }

    /// A secret that stays current. It is read at its first use, not now.
    fn live(&self, py: Python<'_>, path: Text<'_>) -> PyResult<LiveSecret> {
        self.with(py, |kv| kv.live(path.0)).map(LiveSecret::new)
    }

    /// Writes a new version of a mapping; with `cas` only if that is the number of the current one (0: none yet).
    #[pyo3(signature = (path, data, cas=None))]
    fn put(&self, py: Python<'_>, path: Text<'_>, data: &Bound<'_, PyAny>, cas: Option<Whole>) -> PyResult<KvVersion> {
        let (Text(path), data) = (path, mapping_to_object(data)?);
        self.with(py, |kv| match cas {
            Some(cas) => kv.put_cas(path, data, cas.0),
            None => kv.put(path, data),
        })
        .map(KvVersion::from)
    }

    /// Merges a JSON merge patch into the newest version, which makes a new one: members are replaced, `None` removes.
    /// With `cas` only if that is the number of the current version.
    #[pyo3(signature = (path, data, cas=None))]
    fn patch(&self, py: Python<'_>, path: Text<'_>, data: &Bound<'_, PyAny>, cas: Option<Whole>) -> PyResult<KvVersion> {
        let (Text(path), data) = (path, mapping_to_object(data)?);
        self.with(py, |kv| match cas {
            Some(cas) => kv.patch_cas(path, data, cas.0),
            None => kv.patch(path, data),
        })
        .map(KvVersion::from)
    }

    /// The names of a version's members and of those below, down to a depth, with `None` in the place of their contents.
    #[pyo3(signature = (path, version=None, *, depth=None))]
    fn subkeys<'py>(&self, py: Python<'py>, path: Text<'_>, version: Option<Whole>, depth: Option<Whole>) -> PyResult<Bound<'py, PyDict>> {
        let number = |whole: Option<Whole>| whole.map_or(0, |whole| whole.0);
        let subkeys = self.with(py, |kv| kv.subkeys(path.0, number(version), number(depth)))?;
        guarded(py, || object_to_python(py, &subkeys))
    }

    /// The names directly below a folder, in order; folders end in a slash. With `limit` a page of them: the first ones after the name `after`,
    /// and none after the last.
    #[pyo3(signature = (prefix=Text(""), *, after=None, limit=None), text_signature = "($self, prefix='', *, after=None, limit=None)")]
    fn list(&self, py: Python<'_>, prefix: Text<'_>, after: Option<Text<'_>>, limit: Option<Whole>) -> PyResult<Vec<String>> {
        let from = after.map_or("", |after| after.0);
        self.with(py, |kv| match limit {
            Some(limit) => kv.list_page(prefix.0, from, limit.0),
            None if from.is_empty() => kv.list(prefix.0),
            None => kv.list_page(prefix.0, from, LIST_NAMES_MAX as u64),
        })
    }

    /// Deletes the newest version; it can be undeleted.
    fn delete(&self, py: Python<'_>, path: Text<'_>) -> PyResult<()> {
        self.with(py, |kv| kv.delete(path.0))
    }

    /// Deletes these versions; they can be undeleted.
    fn delete_versions(&self, py: Python<'_>, path: Text<'_>, versions: Wholes) -> PyResult<()> {
        self.with(py, |kv| kv.delete_versions(path.0, &versions.0))
    }

    /// Brings deleted versions back.
    fn undelete_versions(&self, py: Python<'_>, path: Text<'_>, versions: Wholes) -> PyResult<()> {
        self.with(py, |kv| kv.undelete_versions(path.0, &versions.0))
    }

    /// Removes the content of these versions for good.
    fn destroy_versions(&self, py: Python<'_>, path: Text<'_>, versions: Wholes) -> PyResult<()> {
        self.with(py, |kv| kv.destroy_versions(path.0, &versions.0))
    }

    /// What is known of a secret without its content: its versions in order, its settings, what its users say about it.
    fn metadata<'py>(&self, py: Python<'py>, path: Text<'_>) -> PyResult<Bound<'py, PyDict>> {
        let KvMetadata { current_version, oldest_version, versions, created_time, updated_time, settings, custom_metadata, .. } =
            self.with(py, |kv| kv.metadata(path.0))?;
        let dict = settings_to_python(py, settings)?;
        dict.set_item("current_version", current_version)?;
        dict.set_item("oldest_version", oldest_version)?;
        dict.set_item("created_time", created_time)?;
        dict.set_item("updated_time", updated_time)?;
        dict.set_item("custom_metadata", custom_metadata)?;
        let versions: Vec<KvVersion> = versions.into_iter().map(KvVersion::from).collect();
        dict.set_item("versions", versions)?;
        Ok(dict)
    }

    /// Writes settings of a secret, and what its users say about it (a mapping of texts, which replaces what there was); what is not given
    /// stays. Makes the secret, without a version, where there is none.
    #[pyo3(signature = (path, *, max_versions=None, cas_required=None, delete_version_after=None, custom_metadata=None))]
    fn set_metadata(
        &self,
        py: Python<'_>,
        path: Text<'_>,
        max_versions: Option<Parameter>,
        cas_required: Option<bool>,
        delete_version_after: Option<Text<'_>>,
        custom_metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let settings = settings_of(max_versions, cas_required, delete_version_after);
        let custom = custom_metadata.map(mapping_to_object).transpose()?;
        self.with(py, |kv| kv.set_metadata(path.0, &settings, custom))
    }

    /// Changes what users say about a secret, member by member; `None` removes.
    fn patch_custom_metadata(&self, py: Python<'_>, path: Text<'_>, changes: &Bound<'_, PyAny>) -> PyResult<()> {
        let (Text(path), changes) = (path, mapping_to_object(changes)?);
        self.with(py, |kv| kv.patch_custom_metadata(path, changes))
    }

    /// The settings of the mount.
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let settings = self.with(py, |kv| kv.config())?;
        settings_to_python(py, settings)
    }

    /// Writes settings of the mount; what is not given stays.
    #[pyo3(signature = (*, max_versions=None, cas_required=None, delete_version_after=None))]
    fn set_config(
        &self,
        py: Python<'_>,
        max_versions: Option<Parameter>,
        cas_required: Option<bool>,
        delete_version_after: Option<Text<'_>>,
    ) -> PyResult<()> {
        let settings = settings_of(max_versions, cas_required, delete_version_after);
        self.with(py, |kv| kv.set_config(&settings))
    }

    /// Removes a secret with all its versions and metadata for good.
    fn delete_metadata(&self, py: Python<'_>, path: Text<'_>) -> PyResult<()> {
        self.with(py, |kv| kv.delete_metadata(path.0))
    }

    fn __repr__(&self) -> &'static str {
        "Kv([redacted])"
    }
}

fn settings_of(max_versions: Option<Parameter>, cas_required: Option<bool>, delete_version_after: Option<Text<'_>>) -> KvSettings {
    KvSettings {
        max_versions: max_versions.map(|most| most.0.into()),
        cas_required,
        delete_version_after: delete_version_after.map(|delay| delay.0.to_owned()),
    }
}

fn settings_to_python(py: Python<'_>, settings: KvSettings) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("max_versions", settings.max_versions)?;
    dict.set_item("cas_required", settings.cas_required)?;
    dict.set_item("delete_version_after", settings.delete_version_after)?;
    Ok(dict)
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
        format!(
            "KvVersion(version={version}, created_time='{created_time}', deletion_time='{deletion_time}', destroyed={})",
            if *destroyed { "True" } else { "False" }
        )
    }
}

impl KvSecret {
    /// The members, held on their own: what runs below may call Python, which may close this very secret.
    fn members(&self, py: Python<'_>) -> PyResult<Arc<Object>> {
        self.data.lock().clone().ok_or_else(|| refuse(py, Code::Closed, "the secret was closed and wiped: read it again"))
    }

    fn member<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let members = self.members(py)?;
        guarded(py, || members.get(name).map(|value| to_python(py, value)).transpose())
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
        Ok(self.members(py)?.iter().map(|(name, _)| name.to_owned()).collect())
    }

    /// The contents of the members, in the order of their names.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let members = self.members(py)?;
        guarded(py, || members.iter().map(|(_, value)| to_python(py, value)).collect())
    }

    /// Names with contents, in the order of the names.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
        let members = self.members(py)?;
        guarded(py, || members.iter().map(|(name, value)| Ok((name.to_owned(), to_python(py, value)?))).collect())
    }

    /// A member's content, or the default where there is none of that name.
    #[pyo3(signature = (name, default=None))]
    fn get<'py>(&self, py: Python<'py>, name: Text<'_>, default: Option<Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.member(py, name.0)?.or(default))
    }

    /// A text member's UTF-8 in a buffer of its own, which can be wiped: no `str` is made of it.
    fn secret_bytes(&self, py: Python<'_>, name: Text<'_>) -> PyResult<SecretBytes> {
        let members = self.members(py)?;
        match members.get(name.0) {
            Some(Value::String(text)) => Ok(SecretBytes::of(text.as_bytes())),
            Some(_) => Err(refuse(py, Code::InvalidData, "only a member that is text has bytes")),
            None => Err(PyKeyError::new_err("the secret has no member of that name")),
        }
    }

    /// A copy of all members as a dict, which cannot be wiped.
    fn expose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let members = self.members(py)?;
        guarded(py, || object_to_python(py, &members))
    }

    /// Wipes the vault's copy; the members are gone from then on.
    fn close(&self) {
        drop(self.data.lock().take());
    }

    fn __getitem__<'py>(&self, py: Python<'py>, name: Text<'_>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, name.0)?.ok_or_else(|| PyKeyError::new_err("the secret has no member of that name"))
    }

    fn __contains__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        let members = self.members(py)?;
        Ok(name.extract::<Text<'_>>().is_ok_and(|Text(name)| members.get(name).is_some()))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.members(py)?.len())
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

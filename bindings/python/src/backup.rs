//! Backups: written from a session, verified without a key.

use crate::callbacks::PyStream;
use crate::errors::detached;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vault_core::backup::{self, BackupInfo};

/// Reads a backup to its end and checks that it is whole; what it says of itself. It needs no key.
///
/// >>> import io, libvault
/// >>> vault, init = libvault.create(None, key=libvault.RawKey(bytes(range(32))))
/// >>> file = io.BytesIO()
/// >>> written = vault.session(init.root_token).backup(file)
/// >>> vault.close()
/// >>> start = file.seek(0)
/// >>> libvault.verify_backup(file)["digest"] == written["digest"]
/// True
#[pyfunction]
pub(crate) fn verify_backup(py: Python<'_>, file: Py<PyAny>) -> PyResult<Bound<'_, PyDict>> {
    let info = detached(py, || backup::verify(&mut PyStream(file)))?;
    info_dict(py, &info)
}

pub(crate) fn info_dict<'py>(py: Python<'py>, info: &BackupInfo) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("vault", &info.vault)?;
    dict.set_item("made", info.made.to_string())?;
    dict.set_item("commit", info.commit)?;
    dict.set_item("version", &info.version)?;
    dict.set_item("records", info.records)?;
    dict.set_item("segments", info.segments)?;
    dict.set_item("bytes", info.bytes)?;
    dict.set_item("digest", info.digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
    Ok(dict)
}

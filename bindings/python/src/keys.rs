//! What seals and opens a vault: `Passphrase` and `RawKey`.

use crate::arguments::{Parameter, Text};
use crate::errors::raise;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use vault_core::types::{SecretBytes, SecretString};
use vault_core::{Argon2Params, NewSeal, SealError, UnsealKey};

/// A passphrase, stretched by Argon2id. The cost matters at creation alone: memory in KiB (65536 unless given, at least 19456),
/// passes (3, at least 2), lanes (4, at least 1).
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Passphrase {
    passphrase: SecretString,
    params: Argon2Params,
}

/// A key of 32 uniformly random bytes, such as from `os.urandom(32)`.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct RawKey(SecretBytes);

#[pymethods]
impl Passphrase {
    #[new]
    #[pyo3(signature = (text, *, memory_kib=None, iterations=None, lanes=None))]
    fn new(
        py: Python<'_>,
        text: Text<'_>,
        memory_kib: Option<Parameter>,
        iterations: Option<Parameter>,
        lanes: Option<Parameter>,
    ) -> PyResult<Self> {
        let usual = Argon2Params::default();
        let params = Argon2Params {
            memory_kib: memory_kib.map_or(usual.memory_kib, |parameter| parameter.0),
            iterations: iterations.map_or(usual.iterations, |parameter| parameter.0),
            lanes: lanes.map_or(usual.lanes, |parameter| parameter.0),
        };
        let Text(text) = text;
        // Refused here and not first at creation, where it would look like the store's fault.
        NewSeal::passphrase_with(text, params).map_err(|error| refused(py, error))?;
        Ok(Passphrase { passphrase: SecretString::copy_from(text), params })
    }

    fn __repr__(&self) -> &'static str {
        "Passphrase([redacted])"
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a key cannot be pickled"))
    }
}

#[pymethods]
impl RawKey {
    #[new]
    fn new(py: Python<'_>, key: &[u8]) -> PyResult<Self> {
        NewSeal::raw_key(key).map_err(|error| refused(py, error))?;
        Ok(RawKey(SecretBytes::copy_from(key)))
    }

    fn __repr__(&self) -> &'static str {
        "RawKey([redacted])"
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a key cannot be pickled"))
    }
}

/// The slot that a key makes.
pub(crate) fn new_seal(key: &Bound<'_, PyAny>) -> PyResult<NewSeal> {
    let seal = if let Ok(passphrase) = key.cast::<Passphrase>() {
        NewSeal::passphrase_with(passphrase.get().passphrase.expose(), passphrase.get().params)
    } else if let Ok(raw) = key.cast::<RawKey>() {
        NewSeal::raw_key(raw.get().0.expose())
    } else {
        return Err(no_key());
    };
    seal.map_err(|error| refused(key.py(), error))
}

/// What a key opens slots with.
pub(crate) fn unseal_key(key: &Bound<'_, PyAny>) -> PyResult<UnsealKey> {
    let opens = if let Ok(passphrase) = key.cast::<Passphrase>() {
        UnsealKey::passphrase(passphrase.get().passphrase.expose())
    } else if let Ok(raw) = key.cast::<RawKey>() {
        UnsealKey::raw_key(raw.get().0.expose())
    } else {
        return Err(no_key());
    };
    opens.map_err(|error| refused(key.py(), error))
}

fn refused(py: Python<'_>, error: SealError) -> PyErr {
    raise(py, &error.into())
}

fn no_key() -> PyErr {
    PyTypeError::new_err("a key must be a libvault.Passphrase or a libvault.RawKey")
}

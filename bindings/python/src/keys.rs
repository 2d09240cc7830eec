//! What seals and opens a vault: `Passphrase`, `RawKey`, `Shamir`, `Shares`, and key services.

use crate::arguments::{Parameter, Text, bytes_of};
use crate::callbacks::{KeyWrapper, PyWrapper};
use crate::errors::raise;
use crate::pkcs11::Pkcs11;
use crate::secret::token_of;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::sync::Arc;
use vault_core::host::KeyWrapper as CoreWrapper;
use vault_core::types::{SecretBytes, SecretString};
use vault_core::{Argon2Params, NewSeal, SealError, UnsealKey};

/// A passphrase, stretched by Argon2id. The cost matters at creation alone: memory in KiB (65536 unless given, at least 19456),
/// passes (3, at least 2), lanes (4, at least 1).
///
/// >>> import libvault
/// >>> libvault.Passphrase("correct horse battery staple", memory_kib=19456, iterations=2)
/// Passphrase([redacted])
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Passphrase {
    passphrase: SecretString,
    params: Argon2Params,
}

/// A key of 32 uniformly random bytes, such as from `os.urandom(32)`: `bytes`, or what can be wiped (`bytearray`, `SecretBytes`).
///
/// >>> import libvault, os
/// >>> libvault.RawKey(os.urandom(32))
/// RawKey([redacted])
#[pyclass(frozen, module = "libvault")]
pub(crate) struct RawKey(SecretBytes);

/// A slot that any `threshold` of `shares` key shares open; `Init.shares` has them, once.
///
/// >>> import libvault
/// >>> vault, init = libvault.create(None, key=libvault.Shamir(shares=5, threshold=3))
/// >>> len(init.shares)
/// 5
/// >>> vault.close()
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Shamir {
    shares: u8,
    threshold: u8,
}

/// Key shares that open a vault: as many as are needed, or more, in any order; each a `str` or a `SecretStr`.
///
/// >>> import libvault
/// >>> vault, init = libvault.create(None, key=libvault.Shamir(shares=5, threshold=3))
/// >>> vault.seal()
/// >>> vault.unseal(libvault.Shares(init.shares[1:4]))
/// >>> vault.close()
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Shares(Vec<SecretString>);

#[pymethods]
impl Shamir {
    #[new]
    #[pyo3(signature = (shares, threshold))]
    fn new(py: Python<'_>, shares: Parameter, threshold: Parameter) -> PyResult<Self> {
        let number = |parameter: Parameter| u8::try_from(parameter.0).map_err(|_| refused(py, SealError::BadShareNumbers));
        let (shares, threshold) = (number(shares)?, number(threshold)?);
        NewSeal::shares(shares, threshold).map_err(|error| refused(py, error))?;
        Ok(Shamir { shares, threshold })
    }

    fn __repr__(&self) -> String {
        format!("Shamir(shares={}, threshold={})", self.shares, self.threshold)
    }
}

#[pymethods]
impl Shares {
    #[new]
    fn new(py: Python<'_>, shares: &Bound<'_, PyAny>) -> PyResult<Self> {
        let shares = shares.try_iter()?.map(|share| token_of(&share?)).collect::<PyResult<Vec<_>>>()?;
        UnsealKey::shares(shares.iter().map(SecretString::expose)).map_err(|error| refused(py, error))?;
        Ok(Shares(shares))
    }

    fn __repr__(&self) -> String {
        format!("Shares({} of them, redacted)", self.0.len())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a key cannot be pickled"))
    }
}

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
    fn new(key: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bytes = bytes_of(key)?;
        NewSeal::raw_key(bytes.expose()).map_err(|error| refused(key.py(), error))?;
        Ok(RawKey(bytes))
    }

    fn __repr__(&self) -> &'static str {
        "RawKey([redacted])"
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a key cannot be pickled"))
    }
}

/// The slots that a key, or several in a list or tuple, make.
pub(crate) fn new_seals(key: &Bound<'_, PyAny>) -> PyResult<Vec<NewSeal>> {
    if key.is_instance_of::<PyList>() || key.is_instance_of::<PyTuple>() {
        key.try_iter()?.map(|key| new_seal(&key?)).collect()
    } else {
        Ok(vec![new_seal(key)?])
    }
}

/// The key services among what was given as keys: one, or several in a list or tuple, and no deeper, so that a list in itself ends too.
pub(crate) fn wrappers_among(key: &Bound<'_, PyAny>) -> PyResult<Vec<Arc<dyn CoreWrapper>>> {
    let given = if key.is_instance_of::<PyList>() || key.is_instance_of::<PyTuple>() {
        key.try_iter()?.collect::<PyResult<Vec<_>>>()?
    } else {
        vec![key.clone()]
    };
    given.iter().filter(|key| key.is_instance_of::<KeyWrapper>()).map(wrapper_of).collect()
}

/// The key services in a list of nothing else.
pub(crate) fn wrappers_of(list: &Bound<'_, PyAny>) -> PyResult<Vec<Arc<dyn CoreWrapper>>> {
    list.try_iter()?.map(|wrapper| wrapper_of(&wrapper?)).collect()
}

/// A key service: ours as it is, one of Python's behind calls of its methods.
fn wrapper_of(key: &Bound<'_, PyAny>) -> PyResult<Arc<dyn CoreWrapper>> {
    match key.cast::<Pkcs11>() {
        Ok(pkcs11) => Ok(pkcs11.get().wrapper()),
        Err(_) => Ok(Arc::new(PyWrapper::of(key)?)),
    }
}

/// The slot that a key makes.
pub(crate) fn new_seal(key: &Bound<'_, PyAny>) -> PyResult<NewSeal> {
    let seal = if let Ok(passphrase) = key.cast::<Passphrase>() {
        NewSeal::passphrase_with(passphrase.get().passphrase.expose(), passphrase.get().params)
    } else if let Ok(raw) = key.cast::<RawKey>() {
        NewSeal::raw_key(raw.get().0.expose())
    } else if let Ok(shamir) = key.cast::<Shamir>() {
        NewSeal::shares(shamir.get().shares, shamir.get().threshold)
    } else if key.is_instance_of::<KeyWrapper>() {
        Ok(NewSeal::wrapper(wrapper_of(key)?))
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
    } else if let Ok(shares) = key.cast::<Shares>() {
        UnsealKey::shares(shares.get().0.iter().map(SecretString::expose))
    } else if key.is_instance_of::<KeyWrapper>() {
        Ok(UnsealKey::wrapper(wrapper_of(key)?))
    } else {
        return Err(no_key());
    };
    opens.map_err(|error| refused(key.py(), error))
}

fn refused(py: Python<'_>, error: SealError) -> PyErr {
    raise(py, &error.into())
}

fn no_key() -> PyErr {
    PyTypeError::new_err("a key must be a libvault.Passphrase, RawKey or KeyWrapper; Shamir to create, Shares to open")
}

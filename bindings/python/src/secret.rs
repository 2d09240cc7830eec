//! `SecretStr`: text that is not shown, not pickled, and compared in constant time.

use crate::convert::text_of;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use vault_core::types::SecretString;

/// Secret text, such as a token. `expose()` gives it as `str`, of which Python keeps copies as it likes.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct SecretStr(pub(crate) SecretString);

#[pymethods]
impl SecretStr {
    #[new]
    fn new(text: &Bound<'_, PyString>) -> PyResult<Self> {
        Ok(SecretStr(SecretString::copy_from(text_of(text)?)))
    }

    /// The text itself.
    fn expose(&self) -> &str {
        self.0.expose()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(other) = other.cast::<SecretStr>() {
            return Ok(self.0 == other.get().0);
        }
        match other.cast::<PyString>() {
            Ok(text) => Ok(self.0 == SecretString::copy_from(text_of(text)?)),
            Err(_) => Ok(false),
        }
    }

    fn __repr__(&self) -> &'static str {
        "SecretStr([redacted])"
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a secret cannot be pickled"))
    }
}

/// A token, given as `str` or `SecretStr`.
pub(crate) fn token_of(token: &Bound<'_, PyAny>) -> PyResult<SecretString> {
    if let Ok(secret) = token.cast::<SecretStr>() {
        return Ok(SecretString::copy_from(secret.get().0.expose()));
    }
    match token.cast::<PyString>() {
        Ok(text) => Ok(SecretString::copy_from(text_of(text)?)),
        Err(_) => Err(PyTypeError::new_err("a token must be str or SecretStr")),
    }
}

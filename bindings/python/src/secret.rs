//! `SecretStr`: text that is not shown, not pickled, and compared in constant time.

use crate::arguments::Text;
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
    fn new(text: Text<'_>) -> Self {
        SecretStr(SecretString::copy_from(text.0))
    }

    /// The text itself.
    fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Compares in constant time with another or with a `str`; what is neither, or no UTF-8, is not equal.
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        token_of(other).is_ok_and(|other| self.0 == other)
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
    if !token.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("a token, a share or a PIN must be str or SecretStr"));
    }
    token.extract().map(|Text(text)| SecretString::copy_from(text))
}

//! `SecretStr` and `SecretBytes`: not shown, not pickled, compared in constant time, wiped when they are closed.
#![allow(unsafe_code, reason = "PyO3 declares `__getbuffer__` unsafe; each says why it is sound")]
#![allow(
    unsafe_op_in_unsafe_fn,
    reason = "of what PyO3 makes of `__getbuffer__` where a macro writes it; each block of ours is marked all the same"
)]

use crate::arguments::{Text, bytes_of};
use crate::buffer::Buffer;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::ffi::c_int;
use vault_core::types::{SecretBytes as CoreBytes, SecretString};

/// Secret text, such as a token. `expose()` gives it as `str`, of which Python keeps copies as it likes; a `memoryview` of it shows its
/// UTF-8 without a copy, and zeros once it is closed.
///
/// >>> import libvault
/// >>> with libvault.SecretStr("s3cret") as secret:
/// ...     print(secret, secret == "s3cret", len(memoryview(secret)))
/// SecretStr([redacted]) True 6
#[pyclass(frozen, module = "libvault")]
pub(crate) struct SecretStr(Buffer);

/// Secret bytes. A `memoryview` shows them without a copy, and zeros once they are closed.
///
/// >>> import libvault
/// >>> with libvault.SecretBytes(bytearray(b"key")) as secret:
/// ...     view = memoryview(secret)
/// ...     print(secret, secret == b"key", view[0] == ord("k"))
/// SecretBytes([redacted]) True True
/// >>> bytes(view)
/// b'\x00\x00\x00'
#[pyclass(frozen, module = "libvault")]
pub(crate) struct SecretBytes(Buffer);

impl SecretStr {
    pub(crate) fn of(text: &SecretString) -> Self {
        SecretStr(Buffer::copy_from(text.expose().as_bytes()))
    }

    /// A copy that is wiped when it is dropped.
    fn text(&self, py: Python<'_>) -> PyResult<SecretString> {
        let bytes = self.0.copy(py)?;
        let text = std::str::from_utf8(bytes.expose()).expect("it was made of text");
        Ok(SecretString::copy_from(text))
    }
}

/// The methods of a secret in Python: its own ones, and those by which every secret is lent, wiped and kept out of sight.
macro_rules! secret_class {
    ($class:ident, $shown:literal, { $($own:tt)* }) => {
        #[pymethods]
        impl $class {
            $($own)*

            /// Wipes the content; views of it show zeros from then on. Closing twice is fine.
            fn close(&self) {
                self.0.close();
            }

            /// A view that cannot be written to.
            ///
            /// # Safety
            /// Python alone calls it.
            unsafe fn __getbuffer__(slf: &Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
                // SAFETY: Python gives the view, and the object holds the buffer.
                unsafe { slf.get().0.lend(slf.as_any(), view, flags) }
            }

            fn __enter__(slf: Py<Self>) -> Py<Self> {
                slf
            }

            fn __exit__(&self, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) {
                self.close();
            }

            fn __repr__(&self) -> &'static str {
                $shown
            }

            fn __reduce__(&self) -> PyResult<()> {
                Err(PyTypeError::new_err("a secret cannot be pickled"))
            }
        }
    };
}

secret_class!(SecretStr, "SecretStr([redacted])", {
    #[new]
    fn new(text: Text<'_>) -> Self {
        SecretStr(Buffer::copy_from(text.0.as_bytes()))
    }

    /// The text itself.
    fn expose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(PyString::new(py, self.text(py)?.expose()))
    }

    /// Compares in constant time with another or with a `str`; what is neither, no UTF-8, or closed, is not equal.
    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> bool {
        let own = self.text(py);
        own.is_ok_and(|own| token_of(other).is_ok_and(|other| own == other))
    }
});

impl SecretBytes {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        SecretBytes(Buffer::copy_from(bytes))
    }

    pub(crate) fn copy(&self, py: Python<'_>) -> PyResult<CoreBytes> {
        self.0.copy(py)
    }
}

secret_class!(SecretBytes, "SecretBytes([redacted])", {
    #[new]
    fn new(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(SecretBytes::of(bytes_of(data)?.expose()))
    }

    /// A copy as `bytes`, which cannot be wiped.
    fn expose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.copy(py)?.expose()))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.len(py)
    }

    /// Compares in constant time with another or with bytes; what is neither, or closed, is not equal.
    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> bool {
        let own = self.copy(py);
        own.is_ok_and(|own| bytes_of(other).is_ok_and(|other| own == other))
    }
});

/// A token, given as `str` or `SecretStr`.
pub(crate) fn token_of(token: &Bound<'_, PyAny>) -> PyResult<SecretString> {
    if let Ok(secret) = token.cast::<SecretStr>() {
        return secret.get().text(token.py());
    }
    if !token.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("a token, a share or a PIN must be str or SecretStr"));
    }
    token.extract().map(|Text(text)| SecretString::copy_from(text))
}

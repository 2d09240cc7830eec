//! Core's errors as the exceptions that `libvault.errors` defines, and panics as one of them.

use crate::convert::to_python;
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use vault_core::types::{Code, Error};

/// The exception of an error: the class of its class's name, with code, messages and data.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let build = || {
        let class = py.import("libvault.errors")?.getattr(error.class().name())?;
        let data = error.data().map(|data| to_python(py, data)).transpose()?;
        class.call1((error.messages().to_vec(), error.code().number(), error.code().name(), data))
    };
    build().map_or_else(|failure| failure, PyErr::from_value)
}

/// Does the vault's work without the interpreter's lock; an error or a panic becomes an exception.
pub(crate) fn detached<R: Send>(py: Python<'_>, work: impl FnOnce() -> Result<R, Error> + Send) -> PyResult<R> {
    let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(work)));
    outcome.unwrap_or_else(|_| Err(caught())).map_err(|error| raise(py, &error))
}

/// Does work with Python's objects; a panic becomes an exception, and not the one of the bindings, which `except Exception` lets pass.
pub(crate) fn guarded<R>(py: Python<'_>, work: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(raise(py, &caught())))
}

/// The panic's text is left out: it is for the developers of the vault, and might hold anything.
fn caught() -> Error {
    Error::new(Code::Internal, "a bug in libvault was caught: please report it")
}

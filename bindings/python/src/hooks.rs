//! Callables of Python's that are told of leases and of rotations.

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use vault_core::host::{LeaseHook, LeaseNotice, RotationHook, RotationNotice};

/// A callable that is told of something, from any thread.
pub(crate) struct PyHook(Py<PyAny>);

impl PyHook {
    /// Takes a callable; `form` says what it is called with.
    pub(crate) fn of(object: &Bound<'_, PyAny>, form: &str) -> PyResult<Self> {
        if !object.is_callable() {
            return Err(PyTypeError::new_err(format!("a callable is needed: {form}")));
        }
        Ok(PyHook(object.clone().unbind()))
    }

    /// Python's `sys.unraisablehook` is told of what it raises: nothing else waits for it.
    fn tell<'py>(&self, py: Python<'py>, given: impl PyCallArgs<'py>) {
        if let Err(error) = self.0.bind(py).call1(given) {
            error.write_unraisable(py, Some(self.0.bind(py)));
        }
    }
}

impl LeaseHook for PyHook {
    fn changed(&self, notice: &LeaseNotice) {
        let expires = notice.expires.as_millis() as f64 / 1e3;
        Python::attach(|py| self.tell(py, (notice.change.name(), &notice.lease_id, &notice.namespace, expires)));
    }
}

impl RotationHook for PyHook {
    fn changed(&self, notice: &RotationNotice) {
        let what_to_do = notice.what_to_do.as_deref();
        Python::attach(|py| self.tell(py, (notice.change.name(), &notice.path, &notice.namespace, notice.version, what_to_do)));
    }
}

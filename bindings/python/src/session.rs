//! `Session`: one token's requests.

use crate::convert::{data_to_value, text_of, to_python};
use crate::errors::detached;
use crate::kv::Kv;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use vault_core::types::{Context, Error, Path, Request, Response};
use vault_core::{Session as CoreSession, wire};

/// The requests of one token. The token is looked at with each request, not when the session is made.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Session(pub(crate) CoreSession);

#[pymethods]
impl Session {
    /// Carries out a request; the answer as a dict, or None where there is nothing to answer.
    #[pyo3(signature = (operation, path, data=None, *, correlation_id=None, remote_address=None))]
    fn request<'py>(
        &self,
        py: Python<'py>,
        operation: &str,
        path: &Bound<'py, PyString>,
        data: Option<&Bound<'py, PyDict>>,
        correlation_id: Option<String>,
        remote_address: Option<String>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let context = Context { correlation_id, remote_address };
        let request = request_of(py, operation, path, data, context)?;
        let response = detached(py, || self.0.handle(request).into_result())?;
        answer(py, response)
    }

    /// The KV version 2 secrets engine that is mounted at `mount`.
    fn kv(&self, mount: &Bound<'_, PyString>) -> PyResult<Kv> {
        Ok(Kv::new(self.0.clone(), text_of(mount)?))
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Nothing is held that would have to be given back: a session may be used on.
    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) {}

    fn __repr__(&self) -> &'static str {
        "Session([redacted])"
    }
}

/// A request of Python's arguments.
pub(crate) fn request_of(
    py: Python<'_>,
    operation: &str,
    path: &Bound<'_, PyString>,
    data: Option<&Bound<'_, PyDict>>,
    context: Context,
) -> PyResult<Request> {
    let raise = |error: Error| crate::errors::raise(py, &error);
    let operation = wire::operation_from_name(operation).map_err(raise)?;
    let path = Path::parse(text_of(path)?).map_err(raise)?;
    Ok(Request { operation, path, data: data_to_value(data)?, token: None, context })
}

/// An answer in the shape of the field's HTTP APIs.
pub(crate) fn answer<'py>(py: Python<'py>, response: Response) -> PyResult<Option<Bound<'py, PyAny>>> {
    wire::response_to_value(response).map(|value| to_python(py, &value)).transpose()
}

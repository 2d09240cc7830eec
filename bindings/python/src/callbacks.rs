//! What a host gives as Python objects: key services, anchors, audit sinks, and streams of bytes.

use pyo3::exceptions::{PyNotImplementedError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::io;
use vault_core::host::{
    Anchor as CoreAnchor, AnchorError, AuditLine as CoreLine, AuditSink as CoreSink, KeyWrapper as CoreWrapper, SinkError, WrapError,
};
use vault_core::types::SecretBytes;

/// An outside key service (KMS, HSM) that opens a key slot. Subclass it: give a `name` (text that stays, by which a slot finds its service again),
/// `wrap(key, context)` and `unwrap(wrapped, context)`, both from bytes to bytes. They are called from any thread, under no lock of the vault.
#[pyclass(subclass, frozen, module = "libvault")]
pub(crate) struct KeyWrapper;

#[pymethods]
impl KeyWrapper {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        KeyWrapper
    }

    /// Encrypts 32 bytes; at most 64 KiB. The context tells the slot, and is to be authenticated where the service can do so.
    fn wrap(&self, _key: &[u8], _context: &[u8]) -> PyResult<Vec<u8>> {
        Err(PyNotImplementedError::new_err("a KeyWrapper needs the method wrap(key, context)"))
    }

    /// Gives the 32 bytes back that `wrap` encrypted under the same context.
    fn unwrap(&self, _wrapped: &[u8], _context: &[u8]) -> PyResult<Vec<u8>> {
        Err(PyNotImplementedError::new_err("a KeyWrapper needs the method unwrap(wrapped, context)"))
    }
}

/// Keeps the newest commit of a vault where whoever can roll the store back cannot reach. Subclass it: `load()` answers the bytes that were
/// stored last, or None; `store(state)` stores them durably.
#[pyclass(subclass, frozen, module = "libvault")]
pub(crate) struct Anchor;

#[pymethods]
impl Anchor {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Anchor
    }

    /// What was stored last; None when nothing ever was.
    fn load(&self) -> PyResult<Option<Vec<u8>>> {
        Err(PyNotImplementedError::new_err("an Anchor needs the method load()"))
    }

    /// Stores the bytes in the place of those before.
    fn store(&self, _state: &[u8]) -> PyResult<()> {
        Err(PyNotImplementedError::new_err("an Anchor needs the method store(state)"))
    }
}

/// One event of the audit log on its way to a sink.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct AuditLine {
    /// The event's number in the log; they count from 1.
    #[pyo3(get)]
    sequence: u64,
    /// When the event was, by the vault's clock: seconds since the Unix epoch.
    #[pyo3(get)]
    time: f64,
    /// The event as one JSON object without line breaks.
    #[pyo3(get)]
    json: String,
}

#[pymethods]
impl AuditLine {
    fn __repr__(&self) -> String {
        format!("AuditLine(sequence={})", self.sequence)
    }
}

/// Takes the events of the audit log in order, each at least once. Subclass it: give a `name` (text that stays, by which the vault knows how
/// far it is) and `deliver(lines)`, which takes all the lines for good, or raises: then they come again later. It is called by `tick` (and the
/// maintenance thread), under no lock of the vault; requests never wait for it.
#[pyclass(subclass, frozen, module = "libvault")]
pub(crate) struct AuditSink;

#[pymethods]
impl AuditSink {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        AuditSink
    }

    /// Takes these events.
    fn deliver(&self, _lines: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyNotImplementedError::new_err("an AuditSink needs the method deliver(lines)"))
    }
}

/// An `AuditSink` of Python's as core calls it.
pub(crate) struct PySink {
    object: Py<PyAny>,
    name: String,
}

impl PySink {
    pub(crate) fn of(object: Bound<'_, PyAny>) -> PyResult<Self> {
        let name = object.getattr("name").map_err(|_| PyTypeError::new_err("an AuditSink needs a name: text that stays"))?;
        Ok(PySink { name: name.extract()?, object: object.unbind() })
    }
}

impl CoreSink for PySink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&self, lines: &[CoreLine]) -> Result<(), SinkError> {
        Python::attach(|py| {
            let of = |line: &CoreLine| AuditLine {
                sequence: line.sequence,
                time: line.time.as_millis() as f64 / 1000.0,
                json: line.json.clone(),
            };
            let given: Vec<AuditLine> = lines.iter().map(of).collect();
            let taken = self.object.bind(py).call_method1("deliver", (given,));
            taken.map(drop).map_err(|error| SinkError::new(raised(py, &error)))
        })
    }
}

/// A `KeyWrapper` of Python's as core calls it.
pub(crate) struct PyWrapper {
    object: Py<PyAny>,
    name: String,
}

impl PyWrapper {
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !object.is_instance_of::<KeyWrapper>() {
            return Err(PyTypeError::new_err("a key wrapper must be a subclass of libvault.KeyWrapper"));
        }
        let name = object.getattr("name").map_err(|_| PyTypeError::new_err("a KeyWrapper needs a name: text that stays"))?;
        Ok(PyWrapper { name: name.extract()?, object: object.clone().unbind() })
    }

    /// Calls a method of two pieces of bytes. What it raises is told by its type alone: its text may hold anything.
    fn call<R>(&self, method: &str, first: &[u8], context: &[u8], take: impl FnOnce(&[u8]) -> R) -> Result<R, WrapError> {
        Python::attach(|py| {
            let answer = self.object.bind(py).call_method1(method, (PyBytes::new(py, first), PyBytes::new(py, context)));
            let answer = answer.map_err(|error| WrapError::new(raised(py, &error)))?;
            let bytes: &[u8] = answer.extract().map_err(|_| WrapError::new(format!("{method} of the key wrapper must answer bytes")))?;
            Ok(take(bytes))
        })
    }
}

impl CoreWrapper for PyWrapper {
    fn name(&self) -> &str {
        &self.name
    }

    fn wrap(&self, key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>, WrapError> {
        self.call("wrap", key, context, <[u8]>::to_vec)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<SecretBytes, WrapError> {
        self.call("unwrap", wrapped, context, SecretBytes::copy_from)
    }
}

/// An `Anchor` of Python's as core calls it.
pub(crate) struct PyAnchor(Py<PyAny>);

impl PyAnchor {
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !object.is_instance_of::<Anchor>() {
            return Err(PyTypeError::new_err("an anchor must be a path, or a subclass of libvault.Anchor"));
        }
        Ok(PyAnchor(object.clone().unbind()))
    }
}

impl CoreAnchor for PyAnchor {
    fn load(&self) -> Result<Option<Vec<u8>>, AnchorError> {
        Python::attach(|py| {
            let answer = self.0.bind(py).call_method0("load").and_then(|answer| answer.extract::<Option<Vec<u8>>>());
            answer.map_err(|error| AnchorError::new(raised(py, &error)))
        })
    }

    fn store(&self, state: &[u8]) -> Result<(), AnchorError> {
        Python::attach(|py| {
            let stored = self.0.bind(py).call_method1("store", (PyBytes::new(py, state),));
            stored.map(drop).map_err(|error| AnchorError::new(raised(py, &error)))
        })
    }
}

/// A binary file of Python's as a stream.
pub(crate) struct PyStream(pub(crate) Py<PyAny>);

impl io::Write for PyStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Python::attach(|py| {
            let written = self.0.bind(py).call_method1("write", (PyBytes::new(py, bytes),)).map_err(io::Error::from)?;
            // Raw streams answer how much they took, others take all.
            Ok(written.extract::<usize>().unwrap_or(bytes.len()).min(bytes.len()))
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Python::attach(|py| self.0.bind(py).call_method0("flush").map(drop).map_err(io::Error::from))
    }
}

impl io::Read for PyStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Python::attach(|py| {
            let read = self.0.bind(py).call_method1("read", (buffer.len().min(1 << 20),)).map_err(io::Error::from)?;
            let bytes: &[u8] = read.extract().map_err(|_| io::Error::other("read() must answer bytes: open the file in binary mode"))?;
            let len = bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&bytes[..len]);
            Ok(len)
        })
    }
}

fn raised(py: Python<'_>, error: &PyErr) -> String {
    let name = error.get_type(py).name().map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
    format!("it raised {name}")
}

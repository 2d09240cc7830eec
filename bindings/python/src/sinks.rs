//! The audit sinks that the library brings itself: a file, sockets, syslog.

use crate::arguments::{Place, Text};
use crate::callbacks::{AuditSink, PySink};
use crate::convert::refuse;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;
use vault_connectors::socket::SocketSink as CoreSocketSink;
use vault_connectors::syslog::SyslogSink as CoreSyslogSink;
use vault_core::host::AuditSink as CoreSink;
use vault_core::os::FileSink as CoreFileSink;
use vault_core::types::Code;

/// Where a collector listens.
#[derive(Clone)]
enum Address {
    /// `host:port`.
    Tcp(String),
    Unix(PathBuf),
}

impl Address {
    /// One of the two that a call gives.
    fn of(py: Python<'_>, tcp: Option<Text<'_>>, unix: Option<Place>) -> PyResult<Self> {
        match (tcp, unix) {
            (Some(Text(address)), None) => Ok(Address::Tcp(address.to_owned())),
            (None, Some(path)) => Ok(Address::Unix(path.0)),
            _ => Err(refuse(py, Code::InvalidRequest, "give one address: tcp=\"host:port\", or unix=path")),
        }
    }
}

/// An audit sink that appends JSON lines to a file, 0600, which may be rotated by renaming it.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct FileSink {
    name: String,
    path: PathBuf,
}

#[pymethods]
impl FileSink {
    #[new]
    #[pyo3(signature = (path, *, name=Text("file")), text_signature = "(path, *, name='file')")]
    fn new(path: Place, name: Text<'_>) -> Self {
        FileSink { name: name.0.to_owned(), path: path.0 }
    }

    fn __repr__(&self) -> String {
        format!("FileSink(name={:?})", self.name)
    }
}

/// An audit sink that sends JSON lines to a collector over TCP (`tcp="host:port"`) or a Unix stream socket (`unix=path`). With
/// `acknowledged=True` events count as taken only once the collector has answered, within five seconds, a line with the number of the last
/// event that it has stored. Nothing is encrypted: use it on the same machine or through a tunnel.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct SocketSink {
    name: String,
    address: Address,
    acknowledged: bool,
}

#[pymethods]
impl SocketSink {
    #[new]
    #[pyo3(
        signature = (*, tcp=None, unix=None, name=Text("socket"), acknowledged=false),
        text_signature = "(*, tcp=None, unix=None, name='socket', acknowledged=False)"
    )]
    fn new(py: Python<'_>, tcp: Option<Text<'_>>, unix: Option<Place>, name: Text<'_>, acknowledged: bool) -> PyResult<Self> {
        Ok(SocketSink { name: name.0.to_owned(), address: Address::of(py, tcp, unix)?, acknowledged })
    }

    fn __repr__(&self) -> String {
        format!("SocketSink(name={:?})", self.name)
    }
}

/// An audit sink that sends messages of RFC 5424 to a syslog daemon: the machine's own at its datagram socket (`unix="/dev/log"`), or one over
/// TCP with octet counting, RFC 6587 (`tcp="host:port"`). `host` and `application` are the names in the messages.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct SyslogSink {
    name: String,
    address: Address,
    host: Option<String>,
    application: Option<String>,
}

#[pymethods]
impl SyslogSink {
    #[new]
    #[pyo3(
        signature = (*, tcp=None, unix=None, name=Text("syslog"), host=None, application=None),
        text_signature = "(*, tcp=None, unix=None, name='syslog', host=None, application=None)"
    )]
    fn new(
        py: Python<'_>,
        tcp: Option<Text<'_>>,
        unix: Option<Place>,
        name: Text<'_>,
        host: Option<Text<'_>>,
        application: Option<Text<'_>>,
    ) -> PyResult<Self> {
        let owned = |text: Text<'_>| text.0.to_owned();
        Ok(SyslogSink {
            name: owned(name),
            address: Address::of(py, tcp, unix)?,
            host: host.map(owned),
            application: application.map(owned),
        })
    }

    fn __repr__(&self) -> String {
        format!("SyslogSink(name={:?})", self.name)
    }
}

impl FileSink {
    fn sink(&self) -> Arc<dyn CoreSink> {
        Arc::new(CoreFileSink::at(&self.name, &self.path))
    }
}

impl SocketSink {
    fn sink(&self) -> Arc<dyn CoreSink> {
        let sink = match &self.address {
            Address::Tcp(address) => CoreSocketSink::tcp(&self.name, address),
            Address::Unix(path) => CoreSocketSink::unix(&self.name, path),
        };
        Arc::new(if self.acknowledged { sink.acknowledged() } else { sink })
    }
}

impl SyslogSink {
    fn sink(&self) -> Arc<dyn CoreSink> {
        let mut sink = match &self.address {
            Address::Tcp(address) => CoreSyslogSink::tcp(&self.name, address),
            Address::Unix(path) => CoreSyslogSink::local(&self.name, path),
        };
        if let Some(host) = &self.host {
            sink = sink.with_host(host);
        }
        if let Some(application) = &self.application {
            sink = sink.with_application(application);
        }
        Arc::new(sink)
    }
}

/// The sinks of a list of Python's as core calls them.
pub(crate) fn sinks_of(list: &Bound<'_, PyAny>) -> PyResult<Vec<Arc<dyn CoreSink>>> {
    list.try_iter()?.map(|sink| sink_of(sink?)).collect()
}

fn sink_of(sink: Bound<'_, PyAny>) -> PyResult<Arc<dyn CoreSink>> {
    if let Ok(file) = sink.cast::<FileSink>() {
        return Ok(file.get().sink());
    }
    if let Ok(socket) = sink.cast::<SocketSink>() {
        return Ok(socket.get().sink());
    }
    if let Ok(syslog) = sink.cast::<SyslogSink>() {
        return Ok(syslog.get().sink());
    }
    if sink.is_instance_of::<AuditSink>() {
        return Ok(Arc::new(PySink::of(sink)?));
    }
    Err(PyTypeError::new_err("an audit sink must be a FileSink, SocketSink or SyslogSink, or a subclass of libvault.AuditSink"))
}

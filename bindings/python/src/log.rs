//! A logger of Python's that is given what the vault has to say.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vault_core::host::{Log, LogLevel, LogLine};

/// A `logging.Logger`.
pub(crate) struct PyLog(Py<PyAny>);

impl PyLog {
    pub(crate) fn of(logger: &Bound<'_, PyAny>) -> PyResult<Self> {
        match logger.getattr("log") {
            Ok(log) if log.is_callable() => Ok(PyLog(logger.clone().unbind())),
            _ => Err(PyTypeError::new_err("the log must be a logger, such as logging.getLogger(\"libvault\")")),
        }
    }
}

impl Log for PyLog {
    fn log(&self, line: &LogLine) {
        Python::attach(|py| {
            let told = given(py, self.0.bind(py), line);
            if let Err(error) = told {
                error.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}

/// Logs a line; its parts are members of the record, for handlers that want them apart.
fn given(py: Python<'_>, logger: &Bound<'_, PyAny>, line: &LogLine) -> PyResult<()> {
    let level = match line.level {
        LogLevel::Error => 40,
        LogLevel::Warning => 30,
        _ => 20,
    };
    let parts = PyDict::new(py);
    parts.set_item("vault_topic", line.topic.name())?;
    parts.set_item("vault_code", line.code.map(|code| code.number()))?;
    parts.set_item("vault_count", line.count)?;
    let keywords = PyDict::new(py);
    keywords.set_item("extra", parts)?;
    logger.call_method("log", (level, "%s: %s", line.topic.name(), &line.message), Some(&keywords)).map(drop)
}

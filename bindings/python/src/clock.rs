//! `ManualClock`: time that moves only when told.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;
use vault_core::host::{Clock, ManualClock as CoreClock};
use vault_core::types::Timestamp;

/// A clock that stands still until it is moved: expiry tested without waiting. `start` is in seconds since the Unix epoch, or a datetime.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct ManualClock(pub(crate) Arc<CoreClock>);

#[pymethods]
impl ManualClock {
    #[new]
    fn new(start: &Bound<'_, PyAny>) -> PyResult<Self> {
        // A datetime tells its own timestamp, one without a zone in local time.
        let seconds = if start.hasattr("timestamp")? { start.call_method0("timestamp")?.extract()? } else { start.extract()? };
        Ok(ManualClock(Arc::new(CoreClock::new(Timestamp::from_millis(millis(seconds)?)))))
    }

    /// Moves the clock forward by seconds.
    fn advance(&self, seconds: f64) -> PyResult<()> {
        let now = self.0.now().as_millis();
        self.0.set(Timestamp::from_millis(now.saturating_add(millis(seconds)?)));
        Ok(())
    }

    /// The present instant, in seconds since the Unix epoch.
    fn now(&self) -> f64 {
        self.0.now().as_millis() as f64 / 1000.0
    }
}

fn millis(seconds: f64) -> PyResult<u64> {
    if seconds.is_finite() && seconds >= 0.0 {
        // Past the range of u64 this saturates, and a timestamp ends with the year 9999.
        Ok((seconds * 1000.0).round() as u64)
    } else {
        Err(PyValueError::new_err("seconds must be a finite number from 0 on"))
    }
}

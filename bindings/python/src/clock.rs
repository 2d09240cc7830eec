//! `ManualClock`: time that moves only when told.

use crate::arguments::Seconds;
use pyo3::prelude::*;
use std::sync::Arc;
use vault_core::host::{Clock, ManualClock as CoreClock};
use vault_core::types::Timestamp;

/// A clock that stands still until it is moved: expiry tested without waiting. `start` is in seconds since the Unix epoch, or a datetime.
///
/// >>> import libvault
/// >>> clock = libvault.ManualClock(1_795_457_040)
/// >>> clock.advance(60)
/// >>> clock.now()
/// 1795457100.0
#[pyclass(frozen, module = "libvault")]
pub(crate) struct ManualClock(pub(crate) Arc<CoreClock>);

#[pymethods]
impl ManualClock {
    #[new]
    fn new(start: &Bound<'_, PyAny>) -> PyResult<Self> {
        // A datetime tells its own timestamp, one without a zone in local time.
        let Seconds(millis) = if start.hasattr("timestamp")? { start.call_method0("timestamp")?.extract()? } else { start.extract()? };
        Ok(ManualClock(Arc::new(CoreClock::new(Timestamp::from_millis(millis)))))
    }

    /// Moves the clock forward by seconds.
    fn advance(&self, seconds: Seconds) {
        let Seconds(millis) = seconds;
        self.0.set(Timestamp::from_millis(self.0.now().as_millis().saturating_add(millis)));
    }

    /// The present instant, in seconds since the Unix epoch.
    fn now(&self) -> f64 {
        self.0.now().as_millis() as f64 / 1000.0
    }

    fn __repr__(&self) -> String {
        format!("ManualClock({})", self.now())
    }
}

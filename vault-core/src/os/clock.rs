//! The system's clock.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this file is the one place that reads the system's time")]

use crate::host::Clock;
use crate::types::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The operating system's real-time clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 counts as 1970: what expires then has expired.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

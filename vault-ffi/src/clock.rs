//! The clock of a host, as a callback: what time a vault goes by, and what tests move by hand.

use crate::error::bad_argument;
use std::ffi::c_void;
use vault_core::host::Clock;
use vault_core::types::{Result, Timestamp};

/// What time a vault goes by, in the place of the system's clock: for tests, which move time by hand, and for hosts that have a better one.
///
/// It is called once for each request, from whichever thread makes it, also from several at once, and perhaps under a lock of the vault: it
/// must not call the vault, and should return at once. It may step back; what was granted is never extended by that. It must not unwind or
/// longjmp out.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_clock_t {
    /// Given to the callback as it is.
    pub user: *mut c_void,
    /// The present instant in milliseconds since the Unix epoch.
    pub now_ms: Option<unsafe extern "C" fn(user: *mut c_void) -> u64>,
}

/// A clock of the host's, as core calls it.
pub(crate) struct HostClock {
    user: *mut c_void,
    now_ms: unsafe extern "C" fn(user: *mut c_void) -> u64,
}

// SAFETY: the host promises that its callback may be called from any thread with this `user`.
unsafe impl Send for HostClock {}
// SAFETY: as above.
unsafe impl Sync for HostClock {}

impl HostClock {
    /// # Safety
    /// `clock` is NULL, or as its description says.
    pub(crate) unsafe fn read(clock: *const vault_clock_t) -> Result<Option<Self>> {
        if clock.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so as the caller promises.
        let vault_clock_t { user, now_ms } = unsafe { clock.read() };
        now_ms.map(|now_ms| Some(HostClock { user, now_ms })).ok_or_else(|| bad_argument("clock.now_ms is NULL"))
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        // SAFETY: the callback is the host's promise.
        Timestamp::from_millis(unsafe { (self.now_ms)(self.user) })
    }
}

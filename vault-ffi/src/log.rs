//! The log of a host, as a callback: what the vault has to say that is neither an answer nor an event of its audit log.

use crate::error::bad_argument;
use crate::status::{VAULT_OK, vault_status_t};
use std::ffi::{CString, c_char, c_void};
use vault_core::host::{Log, LogLevel, LogLine};
use vault_core::types::Result;

/// How much a line matters: one of the `VAULT_LOG_` numbers. Later versions may add some: treat a larger one as less important.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_log_level_t = i32;

/// Something that was to work did not: the device, the audit log, the anchor, a key service.
pub const VAULT_LOG_ERROR: vault_log_level_t = 1;
/// Somebody should look at it: a sink that takes nothing, a lease that cannot be revoked, a rotation that has stopped, a wrong key.
pub const VAULT_LOG_WARNING: vault_log_level_t = 2;
/// It is as it should be: the vault was unsealed, a sink takes events again.
pub const VAULT_LOG_INFO: vault_log_level_t = 3;

/// One line for the host's log. It holds no secret, no token and no path. Borrowed for the call that is given it.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_log_line_t {
    /// How much it matters.
    pub level: vault_log_level_t,
    /// The number of the error that it tells of; `VAULT_OK` where it tells of none.
    pub code: vault_status_t,
    /// What it is about: `request`, `tick`, `seal`, `sink`, `lease`, `rotation` or `log`; later versions may add some. NUL-terminated.
    pub topic: *const c_char,
    /// What happened, and mostly what to do: NUL-terminated UTF-8 of at most 1024 characters, none of them a
    /// control character.
    pub message: *const c_char,
    /// How many times in a row the same was to be said.
    pub count: u64,
}

/// Takes what the vault has to say, for the host's own log.
///
/// No request waits for it: lines are kept, 256 at most and equal ones in a row as one, until a call of `vault_unseal` and the like, `vault_tick`,
/// `vault_seal` or `vault_close`, and are given at the end of that call, from its thread, one at a time, under no lock of the vault. It may call
/// the vault back, but not close it. It must not unwind or longjmp out. What must not be lost is in the audit log: a crash loses what was not given yet.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_log_t {
    /// Given to the callback as it is.
    pub user: *mut c_void,
    /// Takes one line.
    pub log: Option<unsafe extern "C" fn(user: *mut c_void, line: *const vault_log_line_t)>,
}

/// A log of the host's, as core calls it.
pub(crate) struct HostLog {
    user: *mut c_void,
    log: unsafe extern "C" fn(user: *mut c_void, line: *const vault_log_line_t),
}

// SAFETY: the host promises that its callback may be called from any thread with this `user`.
unsafe impl Send for HostLog {}
// SAFETY: as above.
unsafe impl Sync for HostLog {}

impl HostLog {
    /// # Safety
    /// `log` is NULL, or as its description says.
    pub(crate) unsafe fn read(log: *const vault_log_t) -> Result<Option<Self>> {
        if log.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so as the caller promises.
        let vault_log_t { user, log } = unsafe { log.read() };
        log.map(|log| Some(HostLog { user, log })).ok_or_else(|| bad_argument("log.log is NULL"))
    }
}

impl Log for HostLog {
    fn log(&self, line: &LogLine) {
        let text = |text: &str| CString::new(text).unwrap_or_default();
        let (topic, message) = (text(line.topic.name()), text(&line.message));
        let level = match line.level {
            LogLevel::Error => VAULT_LOG_ERROR,
            LogLevel::Warning => VAULT_LOG_WARNING,
            _ => VAULT_LOG_INFO,
        };
        let code = line.code.map_or(VAULT_OK, |code| code.number());
        let given = vault_log_line_t { level, code, topic: topic.as_ptr(), message: message.as_ptr(), count: line.count };
        // SAFETY: the line and its texts live for the call; the callback is the host's promise.
        unsafe { (self.log)(self.user, &raw const given) }
    }
}

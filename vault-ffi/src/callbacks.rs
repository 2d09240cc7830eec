//! What a host gives as callbacks: an outside key service, an anchor, audit sinks, and streams of bytes.

use crate::error::bad_argument;
use crate::input;
use crate::status::{VAULT_OK, vault_status_t};
use std::ffi::{CString, c_char, c_void};
use std::io;
use vault_core::host::{Anchor, AnchorError, AuditLine, AuditSink, KeyWrapper, SinkError, WrapError};
use vault_core::types::limits::{SINK_NAME_BYTES_MAX, WRAPPED_KEY_BYTES_MAX};
use vault_core::types::{Result, SecretBytes};
use zeroize::Zeroize;

/// An outside key service (KMS, HSM) that opens a key slot. The callbacks answer `VAULT_OK`, or any other number, which is told.
///
/// They are called from whichever thread makes the call that needs them, also from several at once, under no lock of the vault. They may
/// call the vault back. They must not unwind or longjmp out.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_key_wrapper_t {
    /// The name by which a slot finds its service again: NUL-terminated, from 1 to 128 printable ASCII characters. Copied.
    pub name: *const c_char,
    /// Given to the callbacks as it is.
    pub user: *mut c_void,
    /// Encrypts `key` (32 bytes). Writes at most `out_capacity` bytes (65536) to `out` and their number to `out_len`. `context` tells the
    /// slot, and is to be authenticated where the service can do so. All pointers are borrowed for the call.
    pub wrap: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            key: *const u8,
            context: *const u8,
            context_len: usize,
            out: *mut u8,
            out_capacity: usize,
            out_len: *mut usize,
        ) -> vault_status_t,
    >,
    /// Writes the 32 bytes to `out_key` that `wrap` encrypted under the same context. All pointers are borrowed for the call.
    pub unwrap: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            wrapped: *const u8,
            wrapped_len: usize,
            context: *const u8,
            context_len: usize,
            out_key: *mut u8,
        ) -> vault_status_t,
    >,
}

/// Keeps the newest commit of a vault where whoever can roll the store back cannot reach. One call at a time, under no lock of the vault,
/// from whichever thread commits or unseals. The callbacks must not call the vault. They answer `VAULT_OK`, or any other number, which is told.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_anchor_t {
    /// Given to the callbacks as it is.
    pub user: *mut c_void,
    /// Writes what was stored last to `out`, at most `out_capacity` bytes (128), and their number to `out_len`; 0 when nothing ever was.
    pub load: Option<unsafe extern "C" fn(user: *mut c_void, out: *mut u8, out_capacity: usize, out_len: *mut usize) -> vault_status_t>,
    /// Stores `state` durably in the place of what was there. Borrowed for the call.
    pub store: Option<unsafe extern "C" fn(user: *mut c_void, state: *const u8, state_len: usize) -> vault_status_t>,
}

/// One event of the audit log on its way to a sink. Borrowed for the call that is given it.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_audit_line_t {
    /// The event's number in the log; they count from 1.
    pub sequence: u64,
    /// When the event was, by the vault's clock: milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The event as one JSON object without line breaks, NUL-terminated UTF-8.
    pub json: *const c_char,
    /// Its length in bytes, without the NUL.
    pub json_len: usize,
}

/// Takes the events of the audit log in order, each at least once. The vault keeps, by the name, how far it is. It is called by `vault_tick`,
/// from one thread at a time, under no lock of the vault; requests never wait for it. It may call the vault
/// back. It must not unwind or longjmp out.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_audit_sink_t {
    /// A name that stays, by which the vault knows how far the sink is: NUL-terminated UTF-8, from 1 to 128 bytes. Copied.
    pub name: *const c_char,
    /// Given to the callback as it is.
    pub user: *mut c_void,
    /// Takes all of `lines` for good and answers `VAULT_OK`; any other number is told, and all of them come again later.
    pub deliver: Option<unsafe extern "C" fn(user: *mut c_void, lines: *const vault_audit_line_t, count: usize) -> vault_status_t>,
}

/// Takes bytes of a backup or of an export: all of them, and answers `VAULT_OK`, or any other number, which ends the backup or the export. Borrowed for the call.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_write_fn = Option<unsafe extern "C" fn(user: *mut c_void, bytes: *const u8, len: usize) -> vault_status_t>;

/// Gives bytes of a backup: at most `capacity` to `out` and their number to `out_len`; 0 at the end. Any answer but `VAULT_OK` ends the
/// reading. Borrowed for the call.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_read_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, out: *mut u8, capacity: usize, out_len: *mut usize) -> vault_status_t>;

const ANCHOR_BYTES_MAX: usize = 128;
const SINKS_MAX: usize = 16;

/// A key service of the host's, as core calls it.
pub(crate) struct HostWrapper {
    name: String,
    callbacks: vault_key_wrapper_t,
}

// SAFETY: the host promises that its callbacks may be called from any thread with this `user`.
unsafe impl Send for HostWrapper {}
// SAFETY: as above.
unsafe impl Sync for HostWrapper {}

impl HostWrapper {
    /// # Safety
    /// `wrapper` is NULL, or as its description says.
    pub(crate) unsafe fn read(wrapper: *const vault_key_wrapper_t) -> Result<Option<Self>> {
        if wrapper.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so as the caller promises.
        let callbacks = unsafe { wrapper.read() };
        if callbacks.wrap.is_none() || callbacks.unwrap.is_none() {
            return Err(bad_argument("key_wrapper.wrap or key_wrapper.unwrap is NULL"));
        }
        // SAFETY: as the caller promises.
        let name = unsafe { input::text(callbacks.name, "key_wrapper.name", ANCHOR_BYTES_MAX) }?.to_owned();
        Ok(Some(HostWrapper { name, callbacks }))
    }
}

impl KeyWrapper for HostWrapper {
    fn name(&self) -> &str {
        &self.name
    }

    fn wrap(&self, key: &[u8; 32], context: &[u8]) -> std::result::Result<Vec<u8>, WrapError> {
        let wrap = self.callbacks.wrap.ok_or_else(|| WrapError::new("there is no wrap"))?;
        let mut out = vec![0; WRAPPED_KEY_BYTES_MAX];
        let mut len = 0;
        // SAFETY: the buffers are as long as is told and live for the call; the callback is the host's promise.
        let status =
            unsafe { wrap(self.callbacks.user, key.as_ptr(), context.as_ptr(), context.len(), out.as_mut_ptr(), out.len(), &raw mut len) };
        if status != VAULT_OK || len > out.len() {
            return Err(WrapError::new(format!("wrap answered {status} and {len} bytes")));
        }
        out.truncate(len);
        Ok(out)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> std::result::Result<SecretBytes, WrapError> {
        let unwrap = self.callbacks.unwrap.ok_or_else(|| WrapError::new("there is no unwrap"))?;
        let mut key = [0; 32];
        // SAFETY: as above.
        let status =
            unsafe { unwrap(self.callbacks.user, wrapped.as_ptr(), wrapped.len(), context.as_ptr(), context.len(), key.as_mut_ptr()) };
        let secret = SecretBytes::copy_from(&key);
        key.zeroize();
        if status == VAULT_OK { Ok(secret) } else { Err(WrapError::new(format!("unwrap answered {status}"))) }
    }
}

/// An anchor of the host's, as core calls it.
pub(crate) struct HostAnchor(vault_anchor_t);

// SAFETY: the host promises that its callbacks may be called from any thread with this `user`.
unsafe impl Send for HostAnchor {}
// SAFETY: as above.
unsafe impl Sync for HostAnchor {}

impl HostAnchor {
    /// # Safety
    /// `anchor` is NULL, or as its description says.
    pub(crate) unsafe fn read(anchor: *const vault_anchor_t) -> Result<Option<Self>> {
        if anchor.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so as the caller promises.
        let callbacks = unsafe { anchor.read() };
        if callbacks.load.is_none() || callbacks.store.is_none() {
            return Err(bad_argument("anchor.load or anchor.store is NULL"));
        }
        Ok(Some(HostAnchor(callbacks)))
    }
}

impl Anchor for HostAnchor {
    fn load(&self) -> std::result::Result<Option<Vec<u8>>, AnchorError> {
        let load = self.0.load.ok_or_else(|| AnchorError::new("there is no load"))?;
        let mut out = vec![0; ANCHOR_BYTES_MAX];
        let mut len = 0;
        // SAFETY: the buffer is as long as is told and lives for the call; the callback is the host's promise.
        let status = unsafe { load(self.0.user, out.as_mut_ptr(), out.len(), &raw mut len) };
        if status != VAULT_OK || len > out.len() {
            return Err(AnchorError::new(format!("load answered {status} and {len} bytes")));
        }
        out.truncate(len);
        Ok((len > 0).then_some(out))
    }

    fn store(&self, state: &[u8]) -> std::result::Result<(), AnchorError> {
        let store = self.0.store.ok_or_else(|| AnchorError::new("there is no store"))?;
        // SAFETY: as above.
        let status = unsafe { store(self.0.user, state.as_ptr(), state.len()) };
        if status == VAULT_OK { Ok(()) } else { Err(AnchorError::new(format!("store answered {status}"))) }
    }
}

/// An audit sink of the host's, as core calls it.
pub(crate) struct HostSink {
    name: String,
    callbacks: vault_audit_sink_t,
}

// SAFETY: the host promises that its callback may be called from any thread with this `user`.
unsafe impl Send for HostSink {}
// SAFETY: as above.
unsafe impl Sync for HostSink {}

impl HostSink {
    /// # Safety
    /// `sinks` is NULL, or points to `count` sinks as their description says.
    pub(crate) unsafe fn read_all(sinks: *const vault_audit_sink_t, count: usize) -> Result<Vec<Self>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if sinks.is_null() || count > SINKS_MAX {
            return Err(bad_argument("audit_sinks is NULL, or there are more than 16 of them"));
        }
        // SAFETY: not NULL, so as the caller promises.
        let sinks = unsafe { std::slice::from_raw_parts(sinks, count) };
        let read = |callbacks: &vault_audit_sink_t| {
            if callbacks.deliver.is_none() {
                return Err(bad_argument("audit_sinks.deliver is NULL"));
            }
            // SAFETY: as the caller promises.
            let name = unsafe { input::text(callbacks.name, "audit_sinks.name", SINK_NAME_BYTES_MAX) }?.to_owned();
            Ok(HostSink { name, callbacks: *callbacks })
        };
        sinks.iter().map(read).collect()
    }
}

impl AuditSink for HostSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&self, lines: &[AuditLine]) -> std::result::Result<(), SinkError> {
        let deliver = self.callbacks.deliver.ok_or_else(|| SinkError::new("there is no deliver"))?;
        let texts: Vec<CString> = lines.iter().map(|line| CString::new(line.json.as_str()).unwrap_or_default()).collect();
        let of = |(line, text): (&AuditLine, &CString)| vault_audit_line_t {
            sequence: line.sequence,
            time_ms: line.time.as_millis(),
            json: text.as_ptr(),
            json_len: text.as_bytes().len(),
        };
        let given: Vec<vault_audit_line_t> = lines.iter().zip(&texts).map(of).collect();
        // SAFETY: the lines and their texts live for the call; the callback is the host's promise.
        let status = unsafe { deliver(self.callbacks.user, given.as_ptr(), given.len()) };
        if status == VAULT_OK { Ok(()) } else { Err(SinkError::new(format!("deliver answered {status}"))) }
    }
}

/// A stream of the host's.
pub(crate) struct HostStream<F> {
    pub(crate) call: F,
    pub(crate) user: *mut c_void,
}

impl io::Write for HostStream<vault_write_fn> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = self.call.ok_or_else(|| io::Error::other("there is no write"))?;
        // SAFETY: the bytes live for the call; the callback is the host's promise.
        let status = unsafe { write(self.user, bytes.as_ptr(), bytes.len()) };
        if status == VAULT_OK { Ok(bytes.len()) } else { Err(io::Error::other(format!("write answered {status}"))) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Read for HostStream<vault_read_fn> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.call.ok_or_else(|| io::Error::other("there is no read"))?;
        let mut len = 0;
        // SAFETY: the buffer is as long as is told and lives for the call; the callback is the host's promise.
        let status = unsafe { read(self.user, buffer.as_mut_ptr(), buffer.len(), &raw mut len) };
        if status != VAULT_OK || len > buffer.len() {
            return Err(io::Error::other(format!("read answered {status} and {len} bytes")));
        }
        Ok(len)
    }
}

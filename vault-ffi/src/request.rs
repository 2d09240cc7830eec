//! Requests: the logical API, JSON in and JSON out.

use crate::error::bad_argument;
use crate::guard::guard;
use crate::handle::{get, reserve};
use crate::input;
use crate::secret::{SecretEntry, vault_secret_t};
use crate::session::{SessionEntry, vault_session_t};
use crate::status::vault_status_t;
use std::ffi::c_char;
use std::mem::size_of;
use vault_core::types::limits::REQUEST_ID_BYTES_MAX;
use vault_core::types::{Operation, Path, Request, Result, Ttl};
use vault_core::wire;

/// What a request asks for: one of the `VAULT_OP_` numbers.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_operation_t = i32;

/// Read what is at the path.
pub const VAULT_OP_READ: vault_operation_t = 1;
/// List the names below the path.
pub const VAULT_OP_LIST: vault_operation_t = 2;
/// Create or replace what is at the path.
pub const VAULT_OP_WRITE: vault_operation_t = 3;
/// Change part of what is at the path.
pub const VAULT_OP_PATCH: vault_operation_t = 4;
/// Delete what is at the path.
pub const VAULT_OP_DELETE: vault_operation_t = 5;

/// Carries out a request of the logical API: anything that the vault can do under a token.
///
/// - `session`: borrowed.
/// - `operation`: one of the `VAULT_OP_` numbers.
/// - `path`: such as `sys/policies/acl/app`; NUL-terminated UTF-8, borrowed for the call.
/// - `json`, `json_len`: the data, a JSON object; borrowed for the call. NULL with the length 0 for none.
/// - `out_reply`: receives the reply as JSON, of length 0 where there is nothing to tell. Owner: the caller; free it with
///   `vault_secret_free`. May be NULL when the reply is not wanted. NULL on failure; never NULL on success.
/// - On failure nothing was done, but with `VAULT_ERR_POISONED`: then only opening the vault anew tells; and with
///   `VAULT_ERR_ANCHOR_FAILED`: then what was written is durable, so do not write it again. `vault_last_error_data` may tell more.
/// - Threads: any, also several at once with one session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_request(
    session: *mut vault_session_t,
    operation: vault_operation_t,
    path: *const c_char,
    json: *const c_char,
    json_len: usize,
    out_reply: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(optional out_reply => {
        let entry = get::<SessionEntry>(session)?;
        let operation = operation_from_number(operation)?;
        // SAFETY: the caller gives NULL, NUL-terminated text, or `json_len` bytes.
        let (path, json) = unsafe { (input::path(path, "path")?, input::json(json, json_len)?) };
        let data = wire::data_from_json(json)?;
        let slot = (!out_reply.is_null()).then(reserve::<SecretEntry>).transpose()?;
        let response = entry.session.request(operation, path, data)?;
        Ok(slot.map_or(std::ptr::null_mut(), |slot| slot.fill(SecretEntry::new(wire::response_to_value(response)))))
    })
}

/// What a request may have beside what is asked. Start with all bytes zero and the size: zero is the default of every member. All pointers
/// are borrowed for the call.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_request_options_t {
    /// `sizeof(vault_request_options_t)` as the caller was compiled.
    pub size: usize,
    /// For how long the reply is to be kept behind a wrapping token, in seconds, at most 768 hours: the reply has `wrap_info` only. 0 for a
    /// plain reply.
    pub wrap_ttl_seconds: u64,
    /// Where the request came from, as the host knows it: an address, with a port or without, at most 128 bytes, NUL-terminated UTF-8. It
    /// goes into the audit log, and a token that is bound to networks needs it. May be NULL.
    pub remote_address: *const c_char,
    /// The host's own id of the request, for the audit log; at most 128 bytes, NUL-terminated UTF-8. May be NULL.
    pub correlation_id: *const c_char,
}

impl vault_request_options_t {
    /// The options of a caller.
    ///
    /// # Safety
    /// `options` is NULL, or points to as many bytes as its first member says.
    unsafe fn read(options: *const Self) -> Result<Option<Self>> {
        // SAFETY: as the caller promises; every bit pattern is a value of each member. It has not grown yet.
        unsafe { input::sized(options, size_of::<Self>()) }
    }
}

/// Carries out a request of the logical API as `vault_request` does, with more that the host says of it.
///
/// - `options`: borrowed; may be NULL.
/// - All else is as for `vault_request`, failures and threads too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_request_with(
    session: *mut vault_session_t,
    operation: vault_operation_t,
    path: *const c_char,
    json: *const c_char,
    json_len: usize,
    options: *const vault_request_options_t,
    out_reply: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(optional out_reply => {
        let entry = get::<SessionEntry>(session)?;
        let operation = operation_from_number(operation)?;
        // SAFETY: the caller gives NULL, NUL-terminated text, `json_len` bytes, or options of the size that they tell.
        let (path, json, options) = unsafe {
            (input::path(path, "path")?, input::json(json, json_len)?, vault_request_options_t::read(options)?)
        };
        let mut request = Request { data: wire::data_from_json(json)?, ..Request::new(operation, Path::parse(path)?) };
        if let Some(options) = options {
            // SAFETY: the caller gives NULL or NUL-terminated text.
            let text = |pointer: *const c_char, name| unsafe { optional_text(pointer, name) };
            request.context.remote_address = text(options.remote_address, "options.remote_address")?;
            request.context.correlation_id = text(options.correlation_id, "options.correlation_id")?;
            request.wrap_ttl = Some(Ttl::from_secs(options.wrap_ttl_seconds));
        }
        let slot = (!out_reply.is_null()).then(reserve::<SecretEntry>).transpose()?;
        let response = entry.session.handle(request).into_result()?;
        Ok(slot.map_or(std::ptr::null_mut(), |slot| slot.fill(SecretEntry::new(wire::response_to_value(response)))))
    })
}

/// Text that may be missing.
///
/// # Safety
/// As for [`input::text`].
unsafe fn optional_text(pointer: *const c_char, name: &str) -> Result<Option<String>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    unsafe { input::text(pointer, name, REQUEST_ID_BYTES_MAX) }.map(|text| Some(text.to_owned()))
}

fn operation_from_number(number: vault_operation_t) -> Result<Operation> {
    match number {
        VAULT_OP_READ => Ok(Operation::Read),
        VAULT_OP_LIST => Ok(Operation::List),
        VAULT_OP_WRITE => Ok(Operation::Write),
        VAULT_OP_PATCH => Ok(Operation::Patch),
        VAULT_OP_DELETE => Ok(Operation::Delete),
        _ => Err(bad_argument("operation is none of the VAULT_OP_ numbers")),
    }
}

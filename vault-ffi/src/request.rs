//! Requests: the logical API, JSON in and JSON out.

use crate::error::bad_argument;
use crate::guard::guard;
use crate::handle::{get, reserve};
use crate::input;
use crate::secret::{SecretEntry, vault_secret_t};
use crate::session::{SessionEntry, vault_session_t};
use crate::status::vault_status_t;
use std::ffi::c_char;
use vault_core::types::{Operation, Result};
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

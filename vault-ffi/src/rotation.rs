//! Static roles: credentials as they are now, and what operators want of their rotations; `vault_request` has the rest.

use crate::guard::guard;
use crate::handle::{get, reserve};
use crate::input;
use crate::secret::{SecretEntry, vault_secret_t};
use crate::session::{SessionEntry, vault_session_t};
use crate::status::vault_status_t;
use std::ffi::c_char;
use vault_core::types::{Operation, Response, Result, Value};

/// Reads the account of a static role with its password as it is now.
///
/// Its members are read with `vault_secret_field`: `username`, `password`, `last_vault_rotation`, `ttl` (seconds until its schedule replaces
/// it). The number of the password is given by `vault_secret_version`: another one is another password.
///
/// - `session`: borrowed.
/// - `mount`, `role`: such as `database` and `app`; NUL-terminated UTF-8, borrowed for the call.
/// - `out_secret`: receives the credential. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Fails with `VAULT_ERR_NOT_FOUND` when there is no such role, and with `VAULT_ERR_ROTATION_PENDING` while its first rotation is not at
///   its end.
/// - Threads: any, also several at once with one session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_static_creds(
    session: *mut vault_session_t,
    mount: *const c_char,
    role: *const c_char,
    out_secret: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_secret => {
        let slot = reserve::<SecretEntry>()?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let data = unsafe { ask(session, Operation::Read, mount, "static-creds", role)? }.data.unwrap_or(Value::Null);
        let version = data.get("stages").and_then(|stages| stages.get("current")).and_then(|current| current.get("version"));
        let version = version.and_then(Value::as_u64).unwrap_or_default();
        Ok(slot.fill(SecretEntry::with_version(data, version)))
    })
}

/// Replaces the password of a static role now.
///
/// - `session`: borrowed.
/// - `mount`, `role`: such as `database` and `app`; NUL-terminated UTF-8, borrowed for the call.
/// - Fails with `VAULT_ERR_ROTATION_PENDING` when it has begun and `vault_tick` carries it on, and with `VAULT_ERR_ROTATION_STUCK` when it has
///   stopped and needs somebody: `vault_last_error` says what to do.
/// - Threads: any, also several at once with one session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_rotate_role(session: *mut vault_session_t, mount: *const c_char, role: *const c_char) -> vault_status_t {
    guard!(=> {
        // SAFETY: the caller gives NULL or NUL-terminated text.
        unsafe { ask(session, Operation::Write, mount, "rotate-role", role) }.map(drop)
    })
}

/// Goes through the rotation of a static role without promoting anything, and reports.
///
/// - `session`: borrowed.
/// - `mount`, `role`: such as `database` and `app`; NUL-terminated UTF-8, borrowed for the call.
/// - `out_report`: receives a JSON object: `would_work`, `found` (what would stop it, or null), `steps`. Owner: the caller; free it with
///   `vault_secret_free`. NULL on failure.
/// - Fails with `VAULT_ERR_ROTATION_PENDING` when the target did not answer yet.
/// - Threads: any, also several at once with one session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_rehearse_role(
    session: *mut vault_session_t,
    mount: *const c_char,
    role: *const c_char,
    out_report: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_report => {
        let slot = reserve::<SecretEntry>()?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let data = unsafe { ask(session, Operation::Write, mount, "rehearse-role", role)? }.data;
        Ok(slot.fill(SecretEntry::new(data)))
    })
}

/// Reads a static role, with where its rotation stands and without its password.
///
/// - `session`: borrowed.
/// - `mount`, `role`: such as `database` and `app`; NUL-terminated UTF-8, borrowed for the call.
/// - `out_role`: receives a JSON object; `/rotation/phase`, `/rotation/needs_attention`, `/rotation/what_to_do` and the like with
///   `vault_secret_field`. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Fails with `VAULT_ERR_NOT_FOUND` when there is no such role.
/// - Threads: any, also several at once with one session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_static_role(
    session: *mut vault_session_t,
    mount: *const c_char,
    role: *const c_char,
    out_role: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_role => {
        let slot = reserve::<SecretEntry>()?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let data = unsafe { ask(session, Operation::Read, mount, "static-roles", role)? }.data;
        Ok(slot.fill(SecretEntry::new(data)))
    })
}

/// # Safety
/// `mount` and `role` are NULL or NUL-terminated text.
unsafe fn ask(
    session: *mut vault_session_t,
    operation: Operation,
    mount: *const c_char,
    part: &str,
    role: *const c_char,
) -> Result<Response> {
    let entry = get::<SessionEntry>(session)?;
    // SAFETY: as the caller of this one promises.
    let (mount, role) = unsafe { (input::path(mount, "mount")?, input::path(role, "role")?) };
    entry.session.request(operation, &format!("{}/{part}/{role}", mount.trim_end_matches('/')), None)
}

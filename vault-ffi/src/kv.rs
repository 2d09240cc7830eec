//! The three calls of KV version 2 that most programs need; `vault_request` has the rest.

use crate::error::bad_argument;
use crate::guard::guard;
use crate::handle::{get, issue, reserve};
use crate::input;
use crate::secret::{SecretEntry, vault_secret_t};
use crate::session::{SessionEntry, vault_session_t};
use crate::status::vault_status_t;
use std::ffi::c_char;
use vault_core::types::{Code, Error, Value};
use vault_core::wire;

/// No check-and-set: `vault_kv_put` writes whatever the current version is.
pub const VAULT_KV_CAS_NONE: i64 = -1;

/// Reads a secret of a KV version 2 mount.
///
/// Its members are read with `vault_secret_field`, all of them as a JSON object with `vault_secret_data`, its version with
/// `vault_secret_version`.
///
/// - `session`: borrowed.
/// - `mount`, `path`: such as `secret` and `app/db`; NUL-terminated UTF-8, borrowed for the call.
/// - `version`: which version; 0 for the newest.
/// - `out_secret`: receives the secret. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Fails with `VAULT_ERR_NOT_FOUND` when there is none, and with `VAULT_ERR_VERSION_DELETED` when it was deleted or destroyed; its
///   metadata is in `vault_last_error_data` then.
/// - Threads: any, also several at once with one session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_kv_get(
    session: *mut vault_session_t,
    mount: *const c_char,
    path: *const c_char,
    version: u64,
    out_secret: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_secret => {
        let entry = get::<SessionEntry>(session)?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let (mount, path) = unsafe { (input::path(mount, "mount")?, input::path(path, "path")?) };
        let kv = entry.session.kv(mount);
        let found = if version == 0 { kv.get(path) } else { kv.get_version(path, version) }?;
        issue(SecretEntry::with_version(found.data.into(), found.version.version))
    })
}

/// Writes a new version of a secret of a KV version 2 mount. When it returns `VAULT_OK`, the version is on the device.
///
/// - `session`: borrowed.
/// - `mount`, `path`: such as `secret` and `app/db`; NUL-terminated UTF-8, borrowed for the call.
/// - `json`, `json_len`: the members, a JSON object; borrowed for the call.
/// - `cas`: write only if this is the current version; 0 if there must be none yet; `VAULT_KV_CAS_NONE` for no such check.
/// - `out_version`: receives the new version's number; may be NULL. 0 on failure.
/// - Fails with `VAULT_ERR_CAS_MISMATCH` when another version is the current one.
/// - Threads: any, also several at once with one session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_kv_put(
    session: *mut vault_session_t,
    mount: *const c_char,
    path: *const c_char,
    json: *const c_char,
    json_len: usize,
    cas: i64,
    out_version: *mut u64,
) -> vault_status_t {
    guard!(optional out_version => {
        let entry = get::<SessionEntry>(session)?;
        // SAFETY: the caller gives NULL, NUL-terminated text, or `json_len` bytes.
        let (mount, path, json) = unsafe { (input::path(mount, "mount")?, input::path(path, "path")?, input::json(json, json_len)?) };
        let Some(Value::Object(data)) = wire::data_from_json(json)? else {
            return Err(Error::new(Code::InvalidData, "the data of a secret must be a JSON object"));
        };
        let kv = entry.session.kv(mount);
        let written = match u64::try_from(cas) {
            Ok(cas) => kv.put_cas(path, data, cas),
            Err(_) if cas == VAULT_KV_CAS_NONE => kv.put(path, data),
            Err(_) => Err(bad_argument("cas is negative and not VAULT_KV_CAS_NONE")),
        }?;
        Ok(written.version)
    })
}

/// Lists the names directly below a folder of a KV version 2 mount, in order; folders end in a slash.
///
/// - `session`: borrowed.
/// - `mount`, `folder`: such as `secret` and `app/`, the empty text for the mount's top; NUL-terminated UTF-8, borrowed for the call.
/// - `out_names`: receives the names as a JSON array; `vault_secret_field` reads one with the name `/0` and so on. Owner: the caller;
///   free it with `vault_secret_free`. NULL on failure.
/// - Fails with `VAULT_ERR_NOT_FOUND` when there are none.
/// - Threads: any, also several at once with one session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_kv_list(
    session: *mut vault_session_t,
    mount: *const c_char,
    folder: *const c_char,
    out_names: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_names => {
        let entry = get::<SessionEntry>(session)?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let (mount, folder) = unsafe { (input::path(mount, "mount")?, input::path(folder, "folder")?) };
        let slot = reserve::<SecretEntry>()?;
        let names = entry.session.kv(mount).list(folder)?;
        Ok(slot.fill(SecretEntry::new(Some(names.into()))))
    })
}

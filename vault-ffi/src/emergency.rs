//! An emergency: who has had a credential that is out, and the end of it; `vault_request` has the rest (`sys/emergency`).

use crate::guard::guard;
use crate::handle::{get, reserve};
use crate::input;
use crate::secret::{SecretEntry, vault_secret_t};
use crate::session::{SessionEntry, vault_session_t};
use crate::status::vault_status_t;
use std::ffi::c_char;
use vault_core::types::{Operation, Result, Value};

/// Tells who has read what is out, since when, and which leases and rotated credentials hang on it. Changes nothing.
///
/// - `session`: borrowed. Needs `update` and `sudo` on `sys/emergency/look`.
/// - `asked`, `asked_len`: a JSON object with one of `path` (with all that is below it), `prefix`, `accessor` (a token, with those that it has
///   made) and `entity` (the id or the name of one, with all its tokens), `since` (seconds since 1970, or RFC 3339) and `after`
///   (the `next` of the page before); borrowed for the call.
/// - `out_exposure`: receives a JSON object: `readers`, `paths`, `leases`, `credentials`, `by_hand`, `is_complete`, `next` (where it is a number
///   there is more: pass it as `after`), `looked`, and `timeline`, lines for a postmortem. `/readers/0/accessor` and the like with
///   `vault_secret_field`. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Threads: any, also several at once with one session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_emergency_look(
    session: *mut vault_session_t,
    asked: *const c_char,
    asked_len: usize,
    out_exposure: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_exposure => {
        let slot = reserve::<SecretEntry>()?;
        // SAFETY: the caller gives NULL or `asked_len` bytes.
        let data = unsafe { ask(session, "sys/emergency/look", asked, asked_len)? };
        Ok(slot.fill(SecretEntry::new(data)))
    })
}

/// Ends what a look finds: the tokens of the readers, the leases, and then the credentials, several at one time. A step that fails keeps none of the
/// others from being done; each is a request of the session's own token.
///
/// - `session`: borrowed; its own token is kept. Needs `update` and `sudo` on `sys/emergency/contain`, and what each step needs.
/// - `asked`, `asked_len`: a JSON object as for `vault_emergency_look`, and: `before` (what was rotated since is left: pass `looked`), `tokens`
///   (`revoke`, `quarantine` or `keep`), `leases` and `rotate` (true), `most` (100), `parallel` (4), `dry_run` (false); borrowed for the call.
/// - `out_containment`: receives the exposure as it is then, and `steps` (each with `time`, `step`, `what`, `outcome`, `why`), `left` (call it again
///   until that is 0), `is_complete` (false: somebody may have it still, for there is more than one look takes), `failed`, and the `timeline` of both. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Threads: any. It waits for the targets of what it rotates.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_emergency_contain(
    session: *mut vault_session_t,
    asked: *const c_char,
    asked_len: usize,
    out_containment: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_containment => {
        let slot = reserve::<SecretEntry>()?;
        // SAFETY: the caller gives NULL or `asked_len` bytes.
        let data = unsafe { ask(session, "sys/emergency/contain", asked, asked_len)? };
        Ok(slot.fill(SecretEntry::new(data)))
    })
}

/// # Safety
/// `asked` is NULL or points to `asked_len` bytes.
unsafe fn ask(session: *mut vault_session_t, path: &str, asked: *const c_char, asked_len: usize) -> Result<Option<Value>> {
    let entry = get::<SessionEntry>(session)?;
    // SAFETY: as the caller of this one promises.
    let asked = Value::from_json(unsafe { input::json(asked, asked_len) }?)?;
    Ok(entry.session.request(Operation::Write, path, Some(asked))?.data)
}

//! Sessions: the requests of one token, in one namespace.

use crate::guard::guard;
use crate::handle::{Entry, Table, Tables, get, reserve, take};
use crate::input;
use crate::status::vault_status_t;
use crate::vault::{VaultEntry, vault_t};
use std::ffi::c_char;
use vault_core::Session;
use vault_core::types::SecretString;
use vault_core::types::limits::TOKEN_BYTES_MAX;

/// A session: the requests of one token. A handle, not an address.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct vault_session_t {
    _opaque: [u8; 0],
}

/// What a `vault_session_t` stands for.
pub(crate) struct SessionEntry {
    pub(crate) session: Session,
}

impl Entry for SessionEntry {
    type Raw = vault_session_t;
    const KIND: usize = 2;
    const NAME: &'static str = "session";
    fn table(tables: &Tables) -> &Table<Self> {
        &tables.sessions
    }
}

/// Opens a session under a token.
///
/// The token is looked at with each request, not now: one that is bad, expired or revoked answers `VAULT_ERR_PERMISSION_DENIED` then.
/// A session outlives the sealing of its vault (its requests answer `VAULT_ERR_SEALED` until the vault is unsealed) and its
/// closing (they answer `VAULT_ERR_CLOSED`), and must be closed in any case.
///
/// - `vault`: borrowed.
/// - `token`, `token_len`: the token, UTF-8; copied into memory that is wiped. An empty one is allowed where `token` is not NULL: what
///   needs no token can then be asked.
/// - `out_session`: receives the session. Owner: the caller; close it with `vault_session_close`. NULL on failure.
/// - Threads: any; one session may be used by several at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_session_open(
    vault: *mut vault_t,
    token: *const c_char,
    token_len: usize,
    out_session: *mut *mut vault_session_t,
) -> vault_status_t {
    guard!(required out_session => {
        let vault = get::<VaultEntry>(vault)?;
        // SAFETY: the caller gives NULL or `token_len` bytes.
        let token = unsafe { input::bytes(token.cast(), token_len, "token", TOKEN_BYTES_MAX) }?;
        let token = SecretString::copy_from(input::utf8(token, "token")?);
        let slot = reserve::<SessionEntry>()?;
        Ok(slot.fill(SessionEntry { session: vault.unsealed()?.session(token) }))
    })
}

/// Opens a session of the same token in a namespace: all its paths are relative to that one, and lead nowhere else.
///
/// Whether the namespace is there is looked at with each request, not now.
///
/// - `session`: borrowed. It may be closed before the new one.
/// - `namespace_path`: such as `team-a` or `team-a/dev`, from the namespace of `session` down; NUL-terminated UTF-8, borrowed for the call.
///   The empty text is that namespace itself.
/// - `out_session`: receives the session. Owner: the caller; close it with `vault_session_close`. NULL on failure.
/// - Fails with `VAULT_ERR_INVALID_PATH` when this can be no namespace's path.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_session_namespace(
    session: *mut vault_session_t,
    namespace_path: *const c_char,
    out_session: *mut *mut vault_session_t,
) -> vault_status_t {
    guard!(required out_session => {
        let entry = get::<SessionEntry>(session)?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let path = unsafe { input::path(namespace_path, "namespace_path") }?;
        let slot = reserve::<SessionEntry>()?;
        Ok(slot.fill(SessionEntry { session: entry.session.namespace(path)? }))
    })
}

/// Closes a session and wipes its token from memory. The token itself stays valid: revoke it with a request.
///
/// Calls that other threads are making with the session finish as they would have.
///
/// - `session`: taken; NULL is allowed and does nothing.
/// - Fails with `VAULT_ERR_BAD_HANDLE` when it was closed already, and does nothing then.
/// - Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn vault_session_close(session: *mut vault_session_t) -> vault_status_t {
    guard!(=> {
        if !session.is_null() {
            drop(take::<SessionEntry>(session)?);
        }
        Ok(())
    })
}

//! Live secrets: a secret that stays current, looked at without asking the store while nothing changes.

use crate::error::bad_argument;
use crate::guard::guard;
use crate::handle::{Entry, Table, Tables, get, reserve, take};
use crate::input;
use crate::secret::{SecretEntry, vault_secret_free, vault_secret_t};
use crate::session::{SessionEntry, vault_session_t};
use crate::status::{VAULT_OK, vault_status_t};
use parking_lot::Mutex;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use vault_core::types::{Error, Result};
use vault_core::{Listening, LiveSecret, RetryError, SecretSnapshot};

/// What an attempt answers when the credential was refused: it is read anew and tried once more.
pub const VAULT_ATTEMPT_REFUSED: i32 = 1;

/// A secret that stays current. A handle, not an address.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct vault_live_secret_t {
    _opaque: [u8; 0],
}

/// Uses a credential, such as by a login at a database: answers `VAULT_ATTEMPT_REFUSED` when it was refused, and any other number for whatever
/// else came of it. `secret` is lent for the call: do not free it. It must not unwind or longjmp out, and may call the vault.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_attempt_fn = Option<unsafe extern "C" fn(user: *mut c_void, secret: *const vault_secret_t) -> i32>;

/// Is told of a change: `secret` is the secret as it is now, or NULL when it can no longer be read, and `status` says why. `secret` is lent for
/// the call: do not free it. It is called by whoever calls `vault_tick`, the maintenance thread included, under no lock of the vault; it may call the
/// vault, should return at once, and must not unwind or longjmp out.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_change_fn = Option<unsafe extern "C" fn(user: *mut c_void, secret: *const vault_secret_t, status: vault_status_t)>;

/// What a `vault_live_secret_t` stands for.
pub(crate) struct LiveEntry {
    live: LiveSecret,
    listening: Mutex<Option<Listening>>,
}

/// A `user` pointer of the host's, which has promised that its callback may be called with it from any thread.
struct User(*mut c_void);
// SAFETY: the host promises so, see `vault_live_secret_on_change`.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl Entry for LiveEntry {
    type Raw = vault_live_secret_t;
    const KIND: usize = 4;
    const NAME: &'static str = "live secret";
    fn table(tables: &Tables) -> &Table<Self> {
        &tables.lives
    }
}

/// Makes a live secret of a KV version 2 mount. It is read at its first use, not now; make one for each secret and keep it.
///
/// - `session`: borrowed; the live secret goes on when the session is closed.
/// - `mount`, `path`: such as `secret` and `app/db`; NUL-terminated UTF-8, borrowed for the call.
/// - `out_live`: receives the live secret. Owner: the caller; free it with `vault_live_secret_free`. NULL on failure.
/// - Fails with `VAULT_ERR_INVALID_PATH` when this can be no path.
/// - Threads: any; one live secret may be used by several at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_kv_live(
    session: *mut vault_session_t,
    mount: *const c_char,
    path: *const c_char,
    out_live: *mut *mut vault_live_secret_t,
) -> vault_status_t {
    guard!(required out_live => {
        let entry = get::<SessionEntry>(session)?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let (mount, path) = unsafe { (input::path(mount, "mount")?, input::path(path, "path")?) };
        let slot = reserve::<LiveEntry>()?;
        Ok(slot.fill(LiveEntry::new(entry.session.kv(mount).live(path)?)))
    })
}

/// Makes a live secret of any path of a secrets engine that can be read again and again, such as `kv1/app`: its members are those of the
/// answer's data.
///
/// - `session`: borrowed; the live secret goes on when the session is closed.
/// - `path`: the whole path; NUL-terminated UTF-8, borrowed for the call.
/// - `out_live`: receives the live secret. Owner: the caller; free it with `vault_live_secret_free`. NULL on failure.
/// - Fails with `VAULT_ERR_INVALID_PATH` when this can be no path.
/// - Threads: any; one live secret may be used by several at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_session_live(
    session: *mut vault_session_t,
    path: *const c_char,
    out_live: *mut *mut vault_live_secret_t,
) -> vault_status_t {
    guard!(required out_live => {
        let entry = get::<SessionEntry>(session)?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let path = unsafe { input::path(path, "path") }?;
        let slot = reserve::<LiveEntry>()?;
        Ok(slot.fill(LiveEntry::new(entry.session.live(path)?)))
    })
}

/// The secret as it is now. The store is asked, and a record made, at the first call and when something has changed.
///
/// - `live`: borrowed.
/// - `out_secret`: receives a copy of the secret with its version. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Fails as a read does: `VAULT_ERR_NOT_FOUND`, `VAULT_ERR_PERMISSION_DENIED`, `VAULT_ERR_SEALED` and so on; `VAULT_ERR_UNSUPPORTED_PATH`
///   where each read gives something new, and for the vault's own paths.
/// - Threads: any, also several at once; when the secret has changed one of them reads it and the others wait for that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_live_secret_get(live: *const vault_live_secret_t, out_secret: *mut *mut vault_secret_t) -> vault_status_t {
    guard!(required out_secret => {
        let entry = get::<LiveEntry>(live)?;
        let slot = reserve::<SecretEntry>()?;
        Ok(slot.fill(secret_of(&*entry.live.get()?)))
    })
}

/// Reads the secret whether it has changed or not: a read with its record.
///
/// - `live`: borrowed.
/// - `out_secret`: receives a copy of the secret with its version. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Fails as `vault_live_secret_get`.
/// - Threads: any, also several at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_live_secret_refresh(
    live: *const vault_live_secret_t,
    out_secret: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_secret => {
        let entry = get::<LiveEntry>(live)?;
        let slot = reserve::<SecretEntry>()?;
        Ok(slot.fill(secret_of(&*entry.live.refresh()?)))
    })
}

/// Whether what was read last is still what a read would give: keep what `vault_live_secret_get` gave as long as it is. Never asks the store,
/// takes no lock, and costs nanoseconds.
///
/// - `live`: borrowed.
/// - Returns: false before the first read, and when `live` is NULL or no live handle (see `vault_last_error_code`).
/// - Threads: any, also several at once.
#[unsafe(no_mangle)]
pub extern "C" fn vault_live_secret_is_current(live: *const vault_live_secret_t) -> bool {
    guard!(or false => { Ok(get::<LiveEntry>(live)?.live.is_current()) })
}

/// Lets an attempt use the secret. When it answers `VAULT_ATTEMPT_REFUSED` the secret is read anew, whether it is known to have changed or not,
/// and the attempt is made once more: a password that was rotated meanwhile costs one more login, and a wrong one no more than two.
///
/// - `live`: borrowed.
/// - `attempt`: called once or twice by this thread, under no lock of the vault.
/// - `user`: given to `attempt`; the library does nothing else with it.
/// - `out_answer`: receives what the last attempt answered; may be NULL. 0 on failure.
/// - Fails as `vault_live_secret_get` when the secret cannot be read. What an attempt answers is no failure of this call.
/// - Threads: any, also several at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_live_secret_with_retry(
    live: *const vault_live_secret_t,
    attempt: vault_attempt_fn,
    user: *mut c_void,
    out_answer: *mut i32,
) -> vault_status_t {
    guard!(optional out_answer => {
        let entry = get::<LiveEntry>(live)?;
        let attempt = attempt.ok_or_else(|| bad_argument("attempt is NULL"))?;
        // SAFETY: the callback is the host's promise.
        let once = |secret: *const vault_secret_t| unsafe { attempt(user, secret) };
        entry.with_retry(once)
    })
}

/// Calls a callback whenever a `vault_tick` finds that the secret is another one than it was told last, or than it is now; and once when it can no
/// longer be read. It takes the place of the one before.
///
/// - `live`: borrowed.
/// - `changed`: NULL for none from now on. One that is under way in another thread may still end after that, so keep `user` valid until a
///   tick has ended.
/// - `user`: given to `changed`, possibly from several threads at once; the library does nothing else with it.
/// - Fails as `vault_live_secret_get`, since the secret is read now; the callback before is kept then.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_live_secret_on_change(
    live: *mut vault_live_secret_t,
    changed: vault_change_fn,
    user: *mut c_void,
) -> vault_status_t {
    guard!(=> {
        let entry = get::<LiveEntry>(live)?;
        let listening = changed.map(|changed| {
            let user = User(user);
            // SAFETY: the callback is the host's promise.
            entry.live.on_change(move |news| tell(news, |secret, status| unsafe { changed(pointer_of(&user), secret, status) }))
        });
        let before = std::mem::replace(&mut *entry.listening.lock(), listening.transpose()?);
        drop(before);
        Ok(())
    })
}

/// Wipes and frees a live secret. What `vault_live_secret_get` gave stays its receiver's.
///
/// - `live`: taken; NULL is allowed and does nothing. A handle that was freed already, or is of another kind, is left alone
///   (see `vault_last_error_code`).
/// - Threads: any, also while another thread uses it: that call ends well.
#[unsafe(no_mangle)]
pub extern "C" fn vault_live_secret_free(live: *mut vault_live_secret_t) {
    guard!(or () => {
        if !live.is_null() {
            drop(take::<LiveEntry>(live)?);
        }
        Ok(())
    });
}

impl LiveEntry {
    fn new(live: LiveSecret) -> Self {
        LiveEntry { live, listening: Mutex::new(None) }
    }

    /// What the last attempt answered.
    fn with_retry(&self, once: impl Fn(*const vault_secret_t) -> i32) -> Result<i32> {
        /// Why an attempt gave nothing.
        enum Why {
            Refused,
            NoHandle(Error),
        }
        let done = self.live.with_retry(
            |secret| match lend(secret, &once).map_err(Why::NoHandle)? {
                VAULT_ATTEMPT_REFUSED => Err(Why::Refused),
                answer => Ok(answer),
            },
            |why| matches!(why, Why::Refused),
        );
        match done {
            Err(RetryError::Attempt(Why::Refused)) => Ok(VAULT_ATTEMPT_REFUSED),
            Err(RetryError::Attempt(Why::NoHandle(error)) | RetryError::Vault(error)) => Err(error),
            Ok(answer) => Ok(answer),
        }
    }
}

fn pointer_of(user: &User) -> *mut c_void {
    user.0
}

fn secret_of(snapshot: &SecretSnapshot) -> SecretEntry {
    SecretEntry::with_version(snapshot.data().clone().into(), snapshot.version().unwrap_or_default())
}

/// Lends a secret to a callback.
fn lend<T>(snapshot: &SecretSnapshot, to: impl FnOnce(*const vault_secret_t) -> T) -> Result<T> {
    let secret = reserve::<SecretEntry>()?.fill(secret_of(snapshot));
    let done = to(secret);
    vault_secret_free(secret);
    Ok(done)
}

fn tell(news: Result<Arc<SecretSnapshot>>, changed: impl Fn(*const vault_secret_t, vault_status_t)) {
    let told = news.and_then(|snapshot| lend(&snapshot, |secret| changed(secret, VAULT_OK)));
    if let Err(error) = told {
        changed(std::ptr::null(), error.code().number());
    }
}

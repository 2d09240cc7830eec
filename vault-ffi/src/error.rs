//! The last error of a thread: its status, its text, and the data that came with it.

use crate::guard::guard;
use crate::handle::reserve;
use crate::secret::{SecretEntry, vault_secret_t};
use crate::status::{VAULT_OK, vault_status_t};
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use vault_core::types::{Code, Error, Value};

struct LastError {
    status: vault_status_t,
    text: CString,
    data: Option<Value>,
}

thread_local! {
    static LAST: RefCell<Option<LastError>> = const { RefCell::new(None) };
}

/// The text of this thread's last failure: what is wrong and what to do, in English, as UTF-8. It holds no secret, no token and no path.
///
/// - Returns: never NULL; the empty text when no call of this thread has failed yet. A call that succeeds leaves it as it is.
/// - Owner: the library. Valid until the next call of this thread that fails, or until the thread ends; do not free it.
/// - Threads: each thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn vault_last_error() -> *const c_char {
    guard!(or c"".as_ptr() => { Ok(read(|last| last.text.as_ptr()).unwrap_or(c"".as_ptr())) })
}

/// The status of this thread's last failure, or `VAULT_OK` when no call of this thread has failed yet.
///
/// The functions that answer no status (frees and accessors) leave their failures here too.
///
/// - Threads: each thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn vault_last_error_code() -> vault_status_t {
    guard!(or VAULT_OK => { Ok(read(|last| last.status).unwrap_or(VAULT_OK)) })
}

/// The data that came with this thread's last failure, as JSON: the metadata of a version that was deleted
/// (`VAULT_ERR_VERSION_DELETED`), for instance. Most failures come without; the result then has the length 0.
///
/// - `out_data`: receives the data. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Threads: each thread has its own last error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_last_error_data(out_data: *mut *mut vault_secret_t) -> vault_status_t {
    guard!(required out_data => {
        Ok(reserve::<SecretEntry>()?.fill(SecretEntry::new(read(|last| last.data.clone()).flatten())))
    })
}

/// Makes this the thread's last error.
pub(crate) fn keep(error: &Error) -> vault_status_t {
    let status = error.code().number();
    // Messages hold no NUL; one that did would still be told, without it.
    let text = CString::new(error.to_string().replace('\0', "")).unwrap_or_default();
    let last = LastError { status, text, data: error.data().cloned() };
    // A thread that is ending keeps no last error; the status says enough.
    let _kept = LAST.try_with(|slot| slot.replace(Some(last)));
    status
}

/// A failure that the caller's arguments alone explain.
pub(crate) fn bad_argument(message: impl Into<String>) -> Error {
    Error::new(Code::BadArgument, message)
}

/// Reads this thread's last error, if there is one. A thread that is ending has lost it already.
fn read<T>(part: impl FnOnce(&LastError) -> T) -> Option<T> {
    LAST.try_with(|last| last.borrow().as_ref().map(part)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn text() -> String {
        // SAFETY: the text lives until this thread's next failure.
        unsafe { CStr::from_ptr(vault_last_error()) }.to_str().expect("UTF-8").to_owned()
    }

    #[test]
    fn each_thread_has_its_own_last_error() {
        keep(&bad_argument("mine"));
        std::thread::spawn(|| assert_eq!((vault_last_error_code(), text().as_str()), (VAULT_OK, ""))).join().expect("no panic");
        assert_eq!((vault_last_error_code(), text().as_str()), (Code::BadArgument.number(), "mine"));
    }

    #[test]
    fn a_message_with_a_nul_is_told_without_it() {
        keep(&bad_argument("a\0b"));
        assert_eq!(text(), "ab");
    }
}

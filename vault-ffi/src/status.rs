//! The stable numbers: a status for each of core's codes, and the classes that a caller decides by.
//!
//! They are spelled out, since cbindgen reads text; a test holds them to core's table, and the header to both.

use crate::guard::guard;
use std::ffi::{CStr, CString, c_char};
use std::sync::LazyLock;
use vault_core::types::Code;

/// What a call answers: `VAULT_OK`, or one of the `VAULT_ERR_` numbers. The hundreds give the class; a number is never used again
/// for something else, and later versions may add some: treat an unknown one by its class.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_status_t = i32;

/// The call succeeded.
pub const VAULT_OK: vault_status_t = 0;
/// The request is malformed or refused by validation.
pub const VAULT_ERR_INVALID_REQUEST: vault_status_t = 100;
/// The path is empty, too long, or not in its one canonical form.
pub const VAULT_ERR_INVALID_PATH: vault_status_t = 101;
/// The data is not JSON, or past a limit of size, depth or count.
pub const VAULT_ERR_INVALID_DATA: vault_status_t = 102;
/// Check-and-set: the version given is not the current one.
pub const VAULT_ERR_CAS_MISMATCH: vault_status_t = 103;
/// The policy text does not parse; the message gives line and column.
pub const VAULT_ERR_INVALID_POLICY: vault_status_t = 104;
/// No mount, or no such operation at this path.
pub const VAULT_ERR_UNSUPPORTED_PATH: vault_status_t = 105;
/// The key opens no slot of this store: wrong passphrase or key.
pub const VAULT_ERR_WRONG_KEY: vault_status_t = 106;
/// There is already a store at this place.
pub const VAULT_ERR_STORE_EXISTS: vault_status_t = 107;
/// There is no store at this place, or it is none of ours.
pub const VAULT_ERR_NOT_A_STORE: vault_status_t = 108;
/// Another process, or another handle of this one, has the store open.
pub const VAULT_ERR_STORE_LOCKED: vault_status_t = 109;
/// The vault was closed.
pub const VAULT_ERR_CLOSED: vault_status_t = 110;
/// The vault was opened in another process: open it after the fork.
pub const VAULT_ERR_FORKED: vault_status_t = 111;
/// The handle was freed, closed, or is of another kind.
pub const VAULT_ERR_BAD_HANDLE: vault_status_t = 112;
/// An argument is NULL or out of range, or of a wrong type.
pub const VAULT_ERR_BAD_ARGUMENT: vault_status_t = 113;
/// Text is not valid UTF-8.
pub const VAULT_ERR_INVALID_UTF8: vault_status_t = 114;
/// The vault is unsealed already.
pub const VAULT_ERR_ALREADY_UNSEALED: vault_status_t = 115;
/// The text is no key share, or one of another set, or was altered.
pub const VAULT_ERR_BAD_SHARE: vault_status_t = 116;
/// More key shares are needed.
pub const VAULT_ERR_NOT_ENOUGH_SHARES: vault_status_t = 117;
/// The vault was restored and not yet adopted: it can be read, and adopted.
pub const VAULT_ERR_FROZEN: vault_status_t = 118;
/// The backup is cut, altered, or none of libvault's.
pub const VAULT_ERR_BAD_BACKUP: vault_status_t = 119;
/// The lease has ended, or is being revoked: ask for new credentials.
pub const VAULT_ERR_LEASE_ENDED: vault_status_t = 130;
/// The configuration names a connector that the host has not given.
pub const VAULT_ERR_UNKNOWN_CONNECTOR: vault_status_t = 131;
/// The target refused what it was asked: the configuration or the statements need to be changed.
pub const VAULT_ERR_TARGET_REFUSED: vault_status_t = 132;
/// The role shares accounts among the tokens of an entity, and the token is of none: log in by an alias, or use another role.
pub const VAULT_ERR_ENTITY_REQUIRED: vault_status_t = 140;
/// The token is missing, bad or not allowed.
pub const VAULT_ERR_PERMISSION_DENIED: vault_status_t = 200;
/// Nothing is there.
pub const VAULT_ERR_NOT_FOUND: vault_status_t = 300;
/// The version was deleted or destroyed; its metadata is in the error's data.
pub const VAULT_ERR_VERSION_DELETED: vault_status_t = 301;
/// The vault is sealed.
pub const VAULT_ERR_SEALED: vault_status_t = 400;
/// A quota or a lockout.
pub const VAULT_ERR_RATE_LIMITED: vault_status_t = 500;
/// The request lost a race with others several times in a row.
pub const VAULT_ERR_CONFLICT: vault_status_t = 600;
/// Storage, the audit log, a key service or a target system failed; nothing was acknowledged.
pub const VAULT_ERR_UNAVAILABLE: vault_status_t = 700;
/// A commit failed: it may or may not have been written, and only reopening the store tells.
pub const VAULT_ERR_POISONED: vault_status_t = 701;
/// There is no room on the device.
pub const VAULT_ERR_NO_SPACE: vault_status_t = 702;
/// The operating system gave no randomness.
pub const VAULT_ERR_NO_ENTROPY: vault_status_t = 703;
/// The key service (KMS, HSM) failed or refused.
pub const VAULT_ERR_KEY_SERVICE: vault_status_t = 704;
/// The write is durable, but the anchor could not be advanced.
pub const VAULT_ERR_ANCHOR_FAILED: vault_status_t = 705;
/// The target system could not be reached, or did not answer: what it may have done is undone by `vault_tick`.
pub const VAULT_ERR_TARGET_UNAVAILABLE: vault_status_t = 706;
/// The lease has ended, but the target system could not be told yet: it is told again by `vault_tick`.
pub const VAULT_ERR_REVOCATION_PENDING: vault_status_t = 707;
/// The rotation has begun and is not at its end: `vault_tick` carries it on, and reading the role tells where it stands.
pub const VAULT_ERR_ROTATION_PENDING: vault_status_t = 710;
/// The rotation has stopped and needs an operator: reading the role tells what to do.
pub const VAULT_ERR_ROTATION_STUCK: vault_status_t = 711;
/// What is on disk does not verify.
pub const VAULT_ERR_CORRUPT: vault_status_t = 800;
/// The store has lost commits that it acknowledged.
pub const VAULT_ERR_LOST_COMMITS: vault_status_t = 801;
/// The store is older than its anchor.
pub const VAULT_ERR_ROLLBACK: vault_status_t = 900;
/// A bug in libvault, caught at the boundary.
pub const VAULT_ERR_INTERNAL: vault_status_t = 1000;

/// What kind of failure a status is; a caller decides by it what to do next.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_class_t = i32;

/// `VAULT_OK`, or a number that is no status.
pub const VAULT_CLASS_NONE: vault_class_t = 0;
/// Malformed, refused by validation, or a check-and-set mismatch: change the request.
pub const VAULT_CLASS_INVALID_REQUEST: vault_class_t = 1;
/// The token is missing, bad or not allowed; always one and the same answer.
pub const VAULT_CLASS_PERMISSION_DENIED: vault_class_t = 2;
/// Nothing is there, or it was deleted (then the error carries its metadata).
pub const VAULT_CLASS_NOT_FOUND: vault_class_t = 3;
/// The vault is sealed: unseal it.
pub const VAULT_CLASS_SEALED: vault_class_t = 4;
/// A quota or a lockout: wait.
pub const VAULT_CLASS_RATE_LIMITED: vault_class_t = 5;
/// The request lost a race: try again.
pub const VAULT_CLASS_CONFLICT: vault_class_t = 6;
/// Storage, audit log, key service or target failed; nothing was acknowledged. After `VAULT_ERR_POISONED` it may have been written, after
/// `VAULT_ERR_ANCHOR_FAILED` it was.
pub const VAULT_CLASS_UNAVAILABLE: vault_class_t = 7;
/// What is on disk does not verify.
pub const VAULT_CLASS_CORRUPT: vault_class_t = 8;
/// The store is older than its anchor.
pub const VAULT_CLASS_ROLLBACK: vault_class_t = 9;
/// A bug, caught at the boundary.
pub const VAULT_CLASS_INTERNAL: vault_class_t = 10;

/// The class of a status: its hundreds.
///
/// - Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn vault_status_class(status: vault_status_t) -> vault_class_t {
    guard!(or VAULT_CLASS_NONE => { Ok(find(status).map_or(VAULT_CLASS_NONE, |code| code.number() / 100)) })
}

/// The name of a status, such as `CasMismatch`; `Ok` for `VAULT_OK`, `Unknown` for a number that is no status.
///
/// - Returns: never NULL. Owner: the library; the text lives as long as the process.
/// - Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn vault_status_name(status: vault_status_t) -> *const c_char {
    guard!(or c"Unknown".as_ptr() => {
        if status == VAULT_OK {
            return Ok(c"Ok".as_ptr());
        }
        Ok(named(find(status).map(|code| code.name())).as_ptr())
    })
}

/// The name of a class, such as `PermissionDenied`; `None` for `VAULT_CLASS_NONE`, `Unknown` for a number that is no class.
///
/// - Returns: never NULL. Owner: the library; the text lives as long as the process.
/// - Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn vault_class_name(failure_class: vault_class_t) -> *const c_char {
    guard!(or c"Unknown".as_ptr() => {
        if failure_class == VAULT_CLASS_NONE {
            return Ok(c"None".as_ptr());
        }
        let code = Code::ALL.iter().find(|code| code.number() / 100 == failure_class);
        Ok(named(code.map(|code| code.class().name())).as_ptr())
    })
}

fn find(status: vault_status_t) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.number() == status)
}

/// A name of core's tables as C text that lives on.
fn named(name: Option<&'static str>) -> &'static CStr {
    static NAMES: LazyLock<Vec<CString>> = LazyLock::new(|| {
        let names = Code::ALL.iter().flat_map(|code| [code.name(), code.class().name()]);
        names.map(|name| CString::new(name).expect("names in core's tables are identifiers, which hold no NUL")).collect()
    });
    let found = NAMES.iter().find(|text| Some(text.as_bytes()) == name.map(str::as_bytes));
    found.map_or(c"Unknown", CString::as_c_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pointer: *const c_char) -> &'static str {
        // SAFETY: the names live as long as the process.
        unsafe { CStr::from_ptr(pointer) }.to_str().expect("ASCII")
    }

    #[test]
    fn every_status_tells_its_name_and_class() {
        for code in Code::ALL {
            assert_eq!(text(vault_status_name(code.number())), code.name());
            assert_eq!(text(vault_class_name(vault_status_class(code.number()))), code.class().name());
        }
    }

    #[test]
    fn numbers_that_are_no_status_are_told_without_a_class() {
        for status in [-1, 1, 99, 199, i32::MIN, i32::MAX] {
            assert_eq!((text(vault_status_name(status)), vault_status_class(status)), ("Unknown", VAULT_CLASS_NONE));
        }
        assert_eq!((text(vault_status_name(VAULT_OK)), text(vault_class_name(VAULT_CLASS_NONE))), ("Ok", "None"));
        assert_eq!(text(vault_class_name(11)), "Unknown");
    }
}

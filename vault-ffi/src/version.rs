//! Which libvault this is: its version, and the version of this interface.

use crate::guard::guard;
use std::ffi::{CStr, c_char};

/// The version of this interface, as in the name `libvault.so.0`. While it is the same, programs that were compiled against an
/// earlier `vault.h` keep working: functions and numbers are only added, and structs only grow at their end.
pub const VAULT_ABI_VERSION: u32 = 0;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version holds no NUL"),
};

/// The version of the interface that the library was built with: compare it with `VAULT_ABI_VERSION`, which the program was built with.
///
/// - Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn vault_abi_version() -> u32 {
    guard!(or VAULT_ABI_VERSION => { Ok(VAULT_ABI_VERSION) })
}

/// The library's version, such as `0.1.0`.
///
/// - Returns: never NULL. Owner: the library; the text lives as long as the process.
/// - Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn vault_version() -> *const c_char {
    guard!(or VERSION.as_ptr() => { Ok(VERSION.as_ptr()) })
}

//! Hooks of a host, as callbacks: what it is told of leases and of rotations once that is durable.

use crate::error::bad_argument;
use std::ffi::{CString, c_char, c_void};
use std::ptr;
use vault_core::host::{LeaseHook, LeaseNotice, RotationHook, RotationNotice};
use vault_core::types::Result;

/// Is told of leases, once what it is told is durable: from several threads at once, under no lock of the vault. It may call the vault back, and
/// should return at once. It must not unwind or longjmp out. A notice can be lost in a crash; the leases and the audit log tell what is so.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_lease_hook_t {
    /// Given to the callback as it is.
    pub user: *mut c_void,
    /// Something has happened to a lease. `change` is one of `granted`, `renewed`, `expiring-soon`, `revoked` and `irrevocable`; `namespace_path`
    /// is empty for the root namespace; `expires_ms` is when it ends or has ended, in milliseconds since the Unix epoch. Borrowed for the call.
    pub changed: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            change: *const c_char,
            lease_id: *const c_char,
            namespace_path: *const c_char,
            expires_ms: u64,
        ),
    >,
}

/// What has happened to a credential that the vault rotates. It holds no password. Borrowed for the call that is given it.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_rotation_notice_t {
    /// `promoted`: readers are given another password, so whoever keeps the old one reads anew; `needs-attention`: its rotation has stopped, and
    /// somebody has to look after it. Later versions may add some. NUL-terminated, as all texts here.
    pub change: *const c_char,
    /// Where the credential is known, such as `database/static-roles/app`.
    pub path: *const c_char,
    /// The path of its namespace, with a slash at its end; empty for the root namespace.
    pub namespace_path: *const c_char,
    /// The number of the password that readers are given.
    pub version: u64,
    /// What happened, what holds and what to do; NULL where it needs nobody.
    pub what_to_do: *const c_char,
}

/// Is told of rotations, once what it is told is durable: by requests and by `vault_tick`, from several threads at once, under no lock of the
/// vault. It may call the vault back, and should return at once, since a request waits for it. It must not unwind or longjmp out. A notice can
/// be lost in a crash: `sys/rotation` and the audit log tell what is so.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_rotation_hook_t {
    /// Given to the callback as it is.
    pub user: *mut c_void,
    /// Something has happened to a credential.
    pub changed: Option<unsafe extern "C" fn(user: *mut c_void, notice: *const vault_rotation_notice_t)>,
}

/// A lease hook of the host's, as core calls it.
pub(crate) struct HostLeaseHook {
    user: *mut c_void,
    changed: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, *const c_char, u64),
}

// SAFETY: the host promises that its callback may be called from any thread with this `user`.
unsafe impl Send for HostLeaseHook {}
// SAFETY: as above.
unsafe impl Sync for HostLeaseHook {}

impl HostLeaseHook {
    /// # Safety
    /// `hook` is NULL, or as its description says.
    pub(crate) unsafe fn read(hook: *const vault_lease_hook_t) -> Result<Option<Self>> {
        if hook.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so as the caller promises.
        let vault_lease_hook_t { user, changed } = unsafe { hook.read() };
        changed.map(|changed| Some(HostLeaseHook { user, changed })).ok_or_else(|| bad_argument("lease_hook.changed is NULL"))
    }
}

impl LeaseHook for HostLeaseHook {
    fn changed(&self, notice: &LeaseNotice) {
        let (change, lease_id, namespace) = (text(notice.change.name()), text(&notice.lease_id), text(&notice.namespace));
        // SAFETY: the texts live for the call; the callback is the host's promise.
        unsafe { (self.changed)(self.user, change.as_ptr(), lease_id.as_ptr(), namespace.as_ptr(), notice.expires.as_millis()) }
    }
}

/// A rotation hook of the host's, as core calls it.
pub(crate) struct HostRotationHook {
    user: *mut c_void,
    changed: unsafe extern "C" fn(*mut c_void, *const vault_rotation_notice_t),
}

// SAFETY: the host promises that its callback may be called from any thread with this `user`.
unsafe impl Send for HostRotationHook {}
// SAFETY: as above.
unsafe impl Sync for HostRotationHook {}

impl HostRotationHook {
    /// # Safety
    /// `hook` is NULL, or as its description says.
    pub(crate) unsafe fn read(hook: *const vault_rotation_hook_t) -> Result<Option<Self>> {
        if hook.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so as the caller promises.
        let vault_rotation_hook_t { user, changed } = unsafe { hook.read() };
        changed.map(|changed| Some(HostRotationHook { user, changed })).ok_or_else(|| bad_argument("rotation_hook.changed is NULL"))
    }
}

impl RotationHook for HostRotationHook {
    fn changed(&self, notice: &RotationNotice) {
        let (change, path, namespace) = (text(notice.change.name()), text(&notice.path), text(&notice.namespace));
        let what_to_do = notice.what_to_do.as_deref().map(text);
        let given = vault_rotation_notice_t {
            change: change.as_ptr(),
            path: path.as_ptr(),
            namespace_path: namespace.as_ptr(),
            version: notice.version,
            what_to_do: what_to_do.as_ref().map_or(ptr::null(), |text| text.as_ptr()),
        };
        // SAFETY: the notice and its texts live for the call; the callback is the host's promise.
        unsafe { (self.changed)(self.user, &raw const given) }
    }
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

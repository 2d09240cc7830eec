//! The audit log: its export, and the checks that need only the vault's public key.

use crate::callbacks::{HostStream, vault_write_fn};
use crate::error::bad_argument;
use crate::guard::guard;
use crate::handle::{get, reserve};
use crate::input;
use crate::secret::{SecretEntry, vault_secret_t};
use crate::session::{SessionEntry, vault_session_t};
use crate::status::vault_status_t;
use std::ffi::{c_char, c_void};
use std::ptr;
use vault_core::audit_proof::{Checkpoint, ConsistencyProof, InclusionProof, verify_checkpoint};
use vault_core::types::{Object, Result, Value};

const NOTE_BYTES_MAX: usize = 65_536;

/// Writes the events of the audit log as JSON lines, one object a line. Needs `read` and `sudo` on `sys/audit-log/export`.
///
/// - `session`: borrowed.
/// - `after`: the number of the last event that is not wanted; 0 for all that is there.
/// - `write`, `user`: receive the bytes in order, on this thread.
/// - `out_count`: receives how many events were written; may be NULL. 0 on failure.
/// - Threads: any, also while others use the vault.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_audit_export(
    session: *mut vault_session_t,
    after: u64,
    write: vault_write_fn,
    user: *mut c_void,
    out_count: *mut u64,
) -> vault_status_t {
    guard!(optional out_count => {
        let entry = get::<SessionEntry>(session)?;
        if write.is_none() {
            return Err(bad_argument("write is NULL"));
        }
        entry.session.audit().export(&mut HostStream { call: write, user }, after)
    })
}

/// Checks a checkpoint of an audit log with the vault's public key.
///
/// - `note`, `key`: as `sys/audit-log/checkpoint` and `sys/audit-log/public-key` answer them; NUL-terminated UTF-8, borrowed for the call.
/// - `out_info`: receives origin, size and root (hexadecimal) as JSON. Owner: the caller; free it with `vault_secret_free`. May be NULL.
///   NULL on failure.
/// - Fails with `VAULT_ERR_CORRUPT` when the key has not signed it.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_audit_verify_checkpoint(
    note: *const c_char,
    key: *const c_char,
    out_info: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(optional out_info => {
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let found = unsafe { checkpoint(note, key) }?;
        let root = found.root.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let info = Object::new().with("origin", found.origin).with("size", found.size).with("root", root);
        let slot = (!out_info.is_null()).then(reserve::<SecretEntry>).transpose()?;
        Ok(slot.map_or(ptr::null_mut(), |slot| slot.fill(SecretEntry::new(Some(info.into())))))
    })
}

/// Checks that an event is in the log of a checkpoint.
///
/// - `note`, `key`: as for `vault_audit_verify_checkpoint`.
/// - `proof`, `proof_len`: JSON, the data that `sys/audit-log/proof/inclusion` answers for the checkpoint's size; borrowed for the call.
/// - Fails with `VAULT_ERR_CORRUPT` when the event is not in that log, at that place, as these bytes.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_audit_verify_inclusion(
    note: *const c_char,
    key: *const c_char,
    proof: *const c_char,
    proof_len: usize,
) -> vault_status_t {
    guard!(=> {
        // SAFETY: the caller gives NULL, NUL-terminated text, or `proof_len` bytes.
        let (checkpoint, proof) = unsafe { (checkpoint(note, key)?, json(proof, proof_len)?) };
        InclusionProof::from_value(&proof)?.verify(&checkpoint)
    })
}

/// Checks that the log of a newer checkpoint begins with that of an older one.
///
/// - `older`, `newer`, `key`: as for `vault_audit_verify_checkpoint`.
/// - `proof`, `proof_len`: JSON, the data that `sys/audit-log/proof/consistency` answers for both sizes; borrowed for the call.
/// - Fails with `VAULT_ERR_CORRUPT` when something was taken away or changed, or the log was forked.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_audit_verify_consistency(
    older: *const c_char,
    newer: *const c_char,
    key: *const c_char,
    proof: *const c_char,
    proof_len: usize,
) -> vault_status_t {
    guard!(=> {
        // SAFETY: the caller gives NULL, NUL-terminated text, or `proof_len` bytes.
        let (older, newer, proof) = unsafe { (checkpoint(older, key)?, checkpoint(newer, key)?, json(proof, proof_len)?) };
        ConsistencyProof::from_value(&proof)?.verify(&older, &newer)
    })
}

/// # Safety
/// Both are NULL or NUL-terminated text.
unsafe fn checkpoint(note: *const c_char, key: *const c_char) -> Result<Checkpoint> {
    // SAFETY: as the caller promises.
    let (note, key) = unsafe { (input::text(note, "note", NOTE_BYTES_MAX)?, input::text(key, "key", NOTE_BYTES_MAX)?) };
    verify_checkpoint(note, key)
}

/// # Safety
/// `json` is NULL or points to `length` bytes.
unsafe fn json(json: *const c_char, length: usize) -> Result<Value> {
    // SAFETY: as the caller promises.
    Value::from_json(unsafe { input::json(json, length) }?)
}

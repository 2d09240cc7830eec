//! The doctor: what is wrong with a store, and what can be had of it.

use crate::error::bad_argument;
use crate::guard::guard;
use crate::handle::reserve;
use crate::input;
use crate::options::{STORE_PATH_BYTES_MAX, vault_options_t};
use crate::secret::{SecretEntry, vault_secret_t};
use crate::status::vault_status_t;
use crate::vault::{VaultEntry, vault_t};
use std::ffi::c_char;
use vault_core::doctor::{self, Options};
use vault_core::types::{Result, Value};

/// For `vault_doctor` and `vault_salvage`: damaged secrets are named by mount and path, and not only counted.
pub const VAULT_DOCTOR_NAMES: u32 = 1;

/// Tells what is wrong with a store. Without a key in the options that is what its files and its database tell; with one, every record and
/// the audit log are read as well. The store is not changed: a private copy is opened, which takes as much room as the store.
///
/// - `options`: borrowed for the call; `path`, the key, `cache_bytes` and `anchor` matter.
/// - `scratch`: the directory for the copy, NUL-terminated UTF-8, at most 4096 bytes; NULL for the store's parent. Borrowed for the call.
/// - `flags`: 0 or `VAULT_DOCTOR_NAMES`.
/// - `out_report`: receives the report as JSON: verdict (sound, degraded, damaged, unreadable), advice, findings (severity, name, what,
///   advice), backend, in_use, pid, bytes, segments, opens, commit, acknowledged, vault, created, slots, content, text (all of it to
///   read). Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - A store that is damaged is no failure. Fails with `VAULT_ERR_NOT_A_STORE`, `VAULT_ERR_WRONG_KEY`, `VAULT_ERR_NO_SPACE`.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_doctor(
    options: *const vault_options_t,
    scratch: *const c_char,
    flags: u32,
    out_report: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_report => {
        // SAFETY: the caller gives NULL or options of the size that they tell, with members as described.
        let (config, key) = unsafe {
            let options = vault_options_t::read(options)?;
            (options.config()?, options.unseal_key()?)
        };
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let how = unsafe { how(scratch, flags) }?;
        let slot = reserve::<SecretEntry>()?;
        let report = doctor::examine_with(&config, key.as_ref(), &how)?;
        Ok(slot.fill(with_text(report.to_value(), &report.to_string())))
    })
}

/// Takes out of a store what can be read of it, into an empty place, and opens that: frozen, as after `vault_restore`, until somebody writes
/// to `sys/storage/adopt`. The damaged store is not changed.
///
/// - `from`: borrowed for the call; `path`, a key of one of its slots, and `cache_bytes` matter.
/// - `to`: borrowed for the call: the new vault. A key in it is not looked at, since the new vault is opened by the slots of the old one.
/// - `scratch`, `flags`: as for `vault_doctor`.
/// - `out_vault`: receives the new vault. Owner: the caller; close it with `vault_close`. NULL on failure; nothing is left at the place then.
/// - `out_report`: receives what was taken and lost as JSON: complete, commits_lost, records, records_lost, digest_agrees, orphans,
///   namespaces, namespaces_lost, lost_namespaces, gaps, secrets, secrets_damaged, secrets_lost, damaged, nameless, nameless_mount,
///   policies_lost, tokens_dropped, entities_disabled, remade, header_remade, audit, text. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Fails with `VAULT_ERR_CORRUPT` where no key opens the store any more, `VAULT_ERR_STORE_LOCKED` where it is open,
///   `VAULT_ERR_STORE_EXISTS` where the new place is not empty, and as `vault_doctor`.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_salvage(
    from: *const vault_options_t,
    to: *const vault_options_t,
    scratch: *const c_char,
    flags: u32,
    out_vault: *mut *mut vault_t,
    out_report: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_vault, required out_report => {
        // SAFETY: the caller gives NULL or options of the size that they tell, with members as described.
        let (from, key, to) = unsafe {
            let from = vault_options_t::read(from)?;
            (from.config()?, from.unseal_key()?, vault_options_t::read(to)?.config()?)
        };
        let key = key.ok_or_else(|| bad_argument("a salvage needs a key: set key_kind, key and key_len in from"))?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let how = unsafe { how(scratch, flags) }?;
        let (vault_slot, report_slot) = (reserve::<VaultEntry>()?, reserve::<SecretEntry>()?);
        let (vault, report) = doctor::salvage_with(&from, &key, to, &how)?;
        let text = with_text(report.to_value(), &report.to_string());
        Ok((vault_slot.fill(VaultEntry::unsealed_by(vault)), report_slot.fill(text)))
    })
}

/// # Safety
/// `scratch` is NULL or NUL-terminated text.
unsafe fn how(scratch: *const c_char, flags: u32) -> Result<Options> {
    let mut how = Options::new();
    if flags & VAULT_DOCTOR_NAMES != 0 {
        how = how.with_names();
    }
    if flags & !VAULT_DOCTOR_NAMES != 0 {
        return Err(bad_argument("flags has a bit that this version of libvault does not know"));
    }
    if scratch.is_null() {
        return Ok(how);
    }
    // SAFETY: as the caller promises.
    Ok(how.with_scratch(unsafe { input::text(scratch, "scratch", STORE_PATH_BYTES_MAX) }?))
}

fn with_text(report: Value, text: &str) -> SecretEntry {
    SecretEntry::new(Some(match report {
        Value::Object(object) => object.with("text", text).into(),
        other => other,
    }))
}

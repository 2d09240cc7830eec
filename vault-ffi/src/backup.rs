//! Backups: written to and read from callbacks.

use crate::callbacks::{HostStream, vault_read_fn, vault_write_fn};
use crate::error::bad_argument;
use crate::guard::guard;
use crate::handle::{get, reserve};
use crate::options::vault_options_t;
use crate::secret::{SecretEntry, vault_secret_t};
use crate::session::{SessionEntry, vault_session_t};
use crate::status::vault_status_t;
use crate::vault::{VaultEntry, vault_t};
use std::ffi::c_void;
use vault_core::backup::{self, BackupInfo};
use vault_core::types::{Object, Value};
use vault_core::{BackupSeals, Vault};

/// Writes a backup of the vault as it is at one moment, while it is in use. Needs `update` and `sudo` on `sys/storage/backup`.
///
/// - `session`: borrowed.
/// - `write`, `user`: receive the bytes in order, on this thread.
/// - `seal`: NULL for the vault's own key slots; else options of which only the members about the key matter, as for
///   `vault_create`: the one slot that opens the backup. Borrowed for the call.
/// - `out_info`: receives what the backup says of itself as JSON: vault, made, commit, version, records, segments, bytes, digest, shares
///   (where the slot is opened by such). Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - On failure what was written is no backup, and `vault_backup_verify` says so.
/// - Threads: any, also while others use the vault.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_backup(
    session: *mut vault_session_t,
    write: vault_write_fn,
    user: *mut c_void,
    seal: *const vault_options_t,
    out_info: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_info => {
        let entry = get::<SessionEntry>(session)?;
        if write.is_none() {
            return Err(bad_argument("write is NULL"));
        }
        let seals = if seal.is_null() {
            BackupSeals::Own
        } else {
            // SAFETY: the caller gives options of the size that they tell, with members as described.
            BackupSeals::New(vec![unsafe { vault_options_t::read(seal)?.new_seal() }?])
        };
        let slot = reserve::<SecretEntry>()?;
        let (info, shares) = entry.session.backup().to_writer(&mut HostStream { call: write, user }, &seals)?;
        let shares = shares.iter().map(|share| Value::string(share.expose())).collect();
        Ok(slot.fill(SecretEntry::new(Some(described(&info).with("shares", Value::Array(shares)).into()))))
    })
}

/// Reads a backup to its end and checks that it is whole: not cut, not altered since it was written. It needs no key.
///
/// - `read`, `user`: give the bytes in order, on this thread.
/// - `out_info`: receives what the backup says of itself, as for `vault_backup`. Owner: the caller; free it with `vault_secret_free`. May
///   be NULL. NULL on failure.
/// - Fails with `VAULT_ERR_BAD_BACKUP`.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_backup_verify(read: vault_read_fn, user: *mut c_void, out_info: *mut *mut vault_secret_t) -> vault_status_t {
    guard!(optional out_info => {
        if read.is_none() {
            return Err(bad_argument("read is NULL"));
        }
        let slot = (!out_info.is_null()).then(reserve::<SecretEntry>).transpose()?;
        let info = backup::verify(&mut HostStream { call: read, user })?;
        Ok(slot.map_or(std::ptr::null_mut(), |slot| slot.fill(SecretEntry::new(Some(described(&info).into())))))
    })
}

/// Writes a backup into an empty place and opens the vault, frozen: it is read, and every write answers `VAULT_ERR_FROZEN` until somebody
/// writes to `sys/storage/adopt`.
///
/// - `options`: borrowed for the call; the key of one of the backup's slots must be in them.
/// - `read`, `user`: give the bytes in order, on this thread.
/// - `out_vault`: receives the vault. Owner: the caller; close it with `vault_close`. NULL on failure; nothing is left at the place then.
/// - Fails with `VAULT_ERR_BAD_BACKUP`, `VAULT_ERR_WRONG_KEY`, `VAULT_ERR_STORE_EXISTS`.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_restore(
    options: *const vault_options_t,
    read: vault_read_fn,
    user: *mut c_void,
    out_vault: *mut *mut vault_t,
) -> vault_status_t {
    guard!(required out_vault => {
        // SAFETY: the caller gives NULL or options of the size that they tell, with members as described.
        let (config, key) = unsafe {
            let options = vault_options_t::read(options)?;
            (options.config()?, options.unseal_key()?)
        };
        if read.is_none() {
            return Err(bad_argument("read is NULL"));
        }
        let key = key.ok_or_else(|| bad_argument("a restore needs a key: set options.key_kind, key and key_len"))?;
        let slot = reserve::<VaultEntry>()?;
        let (vault, _) = Vault::restore(config, &mut HostStream { call: read, user }, &key)?;
        Ok(slot.fill(VaultEntry::unsealed_by(vault)))
    })
}

fn described(info: &BackupInfo) -> Object {
    Object::new()
        .with("vault", info.vault.as_str())
        .with("made", info.made.to_string())
        .with("commit", info.commit)
        .with("version", info.version.as_str())
        .with("records", info.records)
        .with("segments", info.segments)
        .with("bytes", info.bytes)
        .with("digest", info.digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

//! The vault: create, open, unseal, seal, tick, verify, compact, close.

use crate::error::bad_argument;
use crate::guard::guard;
use crate::handle::{Entry, Table, Tables, get, reserve, take};
use crate::input;
use crate::options::{Key, vault_key_kind_t, vault_options_t};
use crate::secret::{SecretEntry, vault_secret_t};
use crate::status::vault_status_t;
use parking_lot::{Mutex, RwLock};
use std::ffi::{c_char, c_void};
use vault_core::types::limits::PASSPHRASE_BYTES_MAX;
use vault_core::types::{Code, Error, Object, Result, Value};
use vault_core::{NewSeal, SealStatus, SealedVault, UnsealKey, Unsealing, Vault};

/// An open vault, sealed or unsealed. A handle, not an address.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct vault_t {
    _opaque: [u8; 0],
}

/// What a `vault_t` stands for: the vault as it was last seen, and the way between sealed and unsealed.
pub(crate) struct VaultEntry {
    state: RwLock<State>,
    /// One sealing or unsealing at a time, so that `state` says what was done last; its readers never wait for a key derivation.
    changing: Mutex<()>,
}

#[derive(Clone)]
enum State {
    Sealed(SealedVault),
    /// Unsealed by this handle; a request to `sys/seal` may have sealed it since.
    Open(Vault),
}

impl Entry for VaultEntry {
    type Raw = vault_t;
    const KIND: usize = 1;
    const NAME: &'static str = "vault";
    fn table(tables: &Tables) -> &Table<Self> {
        &tables.vaults
    }
}

/// Makes a new vault and leaves it open and unsealed.
///
/// - `options`: borrowed for the call; a key must be in them.
/// - `out_vault`: receives the vault. Owner: the caller; close it with `vault_close`. NULL on failure.
/// - `out_root_token`: receives the root token, as the whole content (`vault_secret_data`). It may do everything, does not expire, and is
///   told only here. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - On failure nothing is left at the path.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_create(
    options: *const vault_options_t,
    out_vault: *mut *mut vault_t,
    out_root_token: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_vault, required out_root_token => {
        // SAFETY: the caller gives NULL or options of the size that they tell, with members as described.
        let (config, seal) = unsafe {
            let options = vault_options_t::read(options)?;
            (options.config()?, options.new_seal()?)
        };
        if matches!(seal, NewSeal::Shares { .. }) {
            return Err(bad_argument("key shares are given out once: use vault_create_with_shares"));
        }
        let (vault_slot, token_slot) = (reserve::<VaultEntry>()?, reserve::<SecretEntry>()?);
        let (vault, init) = Vault::create(config, seal)?;
        let token = Value::from(init.root_token.expose());
        Ok((vault_slot.fill(VaultEntry::new(State::Open(vault))), token_slot.fill(SecretEntry::new(Some(token)))))
    })
}

/// Makes a new vault that key shares open (`VAULT_KEY_SHARES`, `share_count`, `share_threshold`) and leaves it open and unsealed.
///
/// - `options`: borrowed for the call.
/// - `out_vault`: receives the vault. Owner: the caller; close it with `vault_close`. NULL on failure.
/// - `out_init`: receives what is told only here, as JSON: `root_token`, and `shares`, an array of texts (`vault_secret_field` with
///   `/shares/0`). Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - On failure nothing is left at the path.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_create_with_shares(
    options: *const vault_options_t,
    out_vault: *mut *mut vault_t,
    out_init: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_vault, required out_init => {
        // SAFETY: the caller gives NULL or options of the size that they tell, with members as described.
        let (config, seal) = unsafe {
            let options = vault_options_t::read(options)?;
            (options.config()?, options.new_seal()?)
        };
        let (vault_slot, init_slot) = (reserve::<VaultEntry>()?, reserve::<SecretEntry>()?);
        let (vault, init) = Vault::create(config, seal)?;
        let shares = init.shares.iter().map(|share| Value::string(share.expose())).collect();
        let told = Object::new().with("root_token", init.root_token.expose()).with("shares", Value::Array(shares));
        Ok((vault_slot.fill(VaultEntry::new(State::Open(vault))), init_slot.fill(SecretEntry::new(Some(told.into())))))
    })
}

/// Opens a vault: unsealed when a key is in the options, else sealed.
///
/// - `options`: borrowed for the call.
/// - `out_vault`: receives the vault. Owner: the caller; close it with `vault_close`. NULL on failure, the store then being closed again.
/// - Fails with `VAULT_ERR_STORE_LOCKED` when the store is open elsewhere (the text names the process), and with `VAULT_ERR_WRONG_KEY`
///   when the key opens no slot of it.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_open(options: *const vault_options_t, out_vault: *mut *mut vault_t) -> vault_status_t {
    guard!(required out_vault => {
        // SAFETY: the caller gives NULL or options of the size that they tell, with members as described.
        let (config, key) = unsafe {
            let options = vault_options_t::read(options)?;
            (options.config()?, options.unseal_key()?)
        };
        let slot = reserve::<VaultEntry>()?;
        let sealed = Vault::open(config)?;
        let Some(key) = key else { return Ok(slot.fill(VaultEntry::new(State::Sealed(sealed)))) };
        let vault = sealed.unseal(&key).inspect_err(|_| {
            // The wrong key is the news; a store that was only read has nothing to write when it is closed.
            let _closed = sealed.close();
        })?;
        Ok(slot.fill(VaultEntry::new(State::Open(vault))))
    })
}

/// Unseals a vault. Its sessions work again.
///
/// - `vault`: borrowed.
/// - `key_kind`, `key`, `key_len`: the key; borrowed for the call. It is stretched and dropped, never kept.
/// - Fails with `VAULT_ERR_WRONG_KEY` when the key opens no slot, and with `VAULT_ERR_ALREADY_UNSEALED`. The vault stays as it was.
/// - Threads: any; one unsealing at a time, others wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_unseal(
    vault: *mut vault_t,
    key_kind: vault_key_kind_t,
    key: *const c_void,
    key_len: usize,
) -> vault_status_t {
    guard!(=> {
        let vault = get::<VaultEntry>(vault)?;
        // SAFETY: the caller gives NULL or `key_len` bytes.
        let key = unsafe { Key::read(key_kind, key, key_len) }?.unseal_key()?;
        vault.unseal(&key.ok_or_else(|| bad_argument("unsealing needs a key"))?)
    })
}

/// Takes one key share; with the last one that is needed the vault is unsealed. What was given so far is in memory only.
///
/// - `vault`: borrowed.
/// - `share`: NUL-terminated UTF-8; borrowed for the call.
/// - `out_sealed`: receives whether the vault is still sealed; false on failure.
/// - `out_progress`: receives how many shares were given so far, 0 once the vault is unsealed; may be NULL. 0 on failure.
/// - Fails with `VAULT_ERR_BAD_SHARE` when the text is no share, was mistyped or altered, or belongs to another set: the text says which.
/// - Threads: any; one unsealing at a time, others wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_unseal_share(
    vault: *mut vault_t,
    share: *const c_char,
    out_sealed: *mut bool,
    out_progress: *mut usize,
) -> vault_status_t {
    guard!(required out_sealed, optional out_progress => {
        let vault = get::<VaultEntry>(vault)?;
        // SAFETY: the caller gives NULL or NUL-terminated text.
        let share = unsafe { input::text(share, "share", PASSPHRASE_BYTES_MAX) }?;
        vault.unseal_share(share)
    })
}

/// Makes a root token for whoever can open the vault: when the last one was revoked or lost.
///
/// - `vault`: borrowed.
/// - `key_kind`, `key`, `key_len`: a key of one of the slots; borrowed for the call. Shares are given one to a line.
/// - `out_root_token`: receives the root token, as for `vault_create`. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Fails with `VAULT_ERR_WRONG_KEY` when the key opens no slot.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_generate_root(
    vault: *mut vault_t,
    key_kind: vault_key_kind_t,
    key: *const c_void,
    key_len: usize,
    out_root_token: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(required out_root_token => {
        let vault = get::<VaultEntry>(vault)?;
        // SAFETY: the caller gives NULL or `key_len` bytes.
        let key = unsafe { Key::read(key_kind, key, key_len) }?.unseal_key()?;
        let key = key.ok_or_else(|| bad_argument("a root token needs a key of the vault"))?;
        let slot = reserve::<SecretEntry>()?;
        let token = vault.unsealed()?.generate_root(&key)?;
        Ok(slot.fill(SecretEntry::new(Some(Value::from(token.expose())))))
    })
}

/// Writes what waits, wipes the keys from memory and leaves the vault sealed. Sealing a sealed vault is fine.
///
/// - `vault`: borrowed; still to be closed with `vault_close`.
/// - Fails with `VAULT_ERR_UNAVAILABLE` when what waits cannot be written; the vault is sealed all the same.
/// - Threads: any. Calls of other threads finish or answer `VAULT_ERR_SEALED`.
#[unsafe(no_mangle)]
pub extern "C" fn vault_seal(vault: *mut vault_t) -> vault_status_t {
    guard!(=> { get::<VaultEntry>(vault)?.seal() })
}

/// Whether the vault is sealed.
///
/// - `vault`: borrowed.
/// - `out_sealed`: receives the answer; false on failure.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_seal_status(vault: *mut vault_t, out_sealed: *mut bool) -> vault_status_t {
    guard!(required out_sealed => { get::<VaultEntry>(vault)?.status().map(|status| status.sealed) })
}

/// Does what is due by the vault's clock: writes waiting audit records, removes expired tokens. Call it about as often as it asks for.
///
/// - `vault`: borrowed.
/// - `out_next_ms`: receives when it wants to be called next, in milliseconds since the Unix epoch; -1 when nothing is due. May be NULL.
///   0 on failure.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_tick(vault: *mut vault_t, out_next_ms: *mut i64) -> vault_status_t {
    guard!(optional out_next_ms => {
        let next = get::<VaultEntry>(vault)?.unsealed()?.tick()?;
        Ok(next.map_or(-1, |next| i64::try_from(next.as_millis()).unwrap_or(i64::MAX)))
    })
}

/// Reads and decrypts every record of the store and the whole audit log, and compares both with the root record.
///
/// - `vault`: borrowed.
/// - `out_records`: receives how many records the store holds; may be NULL. 0 on failure.
/// - `out_audit_records`: receives how many records the audit log holds; may be NULL. 0 on failure.
/// - Fails with `VAULT_ERR_CORRUPT`, and a text that says what is wrong, when a record was altered, removed, added or put back.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_verify(vault: *mut vault_t, out_records: *mut u64, out_audit_records: *mut u64) -> vault_status_t {
    guard!(optional out_records, optional out_audit_records => {
        let found = get::<VaultEntry>(vault)?.unsealed()?.verify()?;
        Ok((found.records, found.audit.records))
    })
}

/// Gives disk space back that no record needs any more, while the vault is in use. Over sled readers go on, and writers but for a moment;
/// it needs room for a second copy of what is there. Over redb all wait.
///
/// - `vault`: borrowed.
/// - `out_bytes_before`: receives how large the records are on the device beforehand; may be NULL. 0 on failure, and for a vault in memory.
/// - `out_bytes_after`: receives how large they are afterwards; may be NULL. 0 on failure, and for a vault in memory.
/// - Fails with `VAULT_ERR_CONFLICT` over redb while a backup or a verification is under way: try again. On any other failure but
///   `VAULT_ERR_POISONED` the vault is as it was, and goes on.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_compact(vault: *mut vault_t, out_bytes_before: *mut u64, out_bytes_after: *mut u64) -> vault_status_t {
    guard!(optional out_bytes_before, optional out_bytes_after => {
        let found = get::<VaultEntry>(vault)?.unsealed()?.compact()?;
        Ok((found.before, found.after))
    })
}

/// Writes what waits, wipes the keys from memory, closes the store for others to open, and frees the handle.
///
/// Sessions of the vault answer `VAULT_ERR_CLOSED` from then on, and are still to be closed with `vault_session_close`.
///
/// - `vault`: taken, also on failure; NULL is allowed and does nothing.
/// - Fails with `VAULT_ERR_UNAVAILABLE` when what waits cannot be written, and with `VAULT_ERR_BAD_HANDLE` when the vault was closed
///   already.
/// - Threads: any, also while others make calls with the vault or its sessions: those finish, or answer `VAULT_ERR_CLOSED`,
///   `VAULT_ERR_SEALED` (the keys went while they were at work) or `VAULT_ERR_BAD_HANDLE` (calls with this handle).
#[unsafe(no_mangle)]
pub extern "C" fn vault_close(vault: *mut vault_t) -> vault_status_t {
    guard!(=> { if vault.is_null() { Ok(()) } else { take::<VaultEntry>(vault)?.close() } })
}

impl VaultEntry {
    fn new(state: State) -> Self {
        VaultEntry { state: RwLock::new(state), changing: Mutex::new(()) }
    }

    /// The vault, if it is unsealed.
    pub(crate) fn unsealed(&self) -> Result<Vault> {
        let state = self.state();
        match (state.status(), state) {
            (status, _) if status.closed => Err(closed()),
            (status, State::Open(vault)) if !status.sealed => Ok(vault),
            _ => Err(Error::new(Code::Sealed, "the vault is sealed: unseal it")),
        }
    }

    fn status(&self) -> Result<SealStatus> {
        let status = self.state().status();
        if status.closed { Err(closed()) } else { Ok(status) }
    }

    /// What the vault has counted; a closed one has nothing to tell.
    pub(crate) fn metrics(&self) -> Result<String> {
        self.status()?;
        Ok(match self.state() {
            State::Sealed(sealed) => sealed.metrics(),
            State::Open(vault) => vault.metrics(),
        })
    }

    fn seal(&self) -> Result<()> {
        let _one_at_a_time = self.changing.lock();
        if let State::Open(vault) = self.state() {
            let sealed = vault.seal()?;
            *self.state.write() = State::Sealed(sealed);
        }
        Ok(())
    }

    fn unseal(&self, key: &UnsealKey) -> Result<()> {
        let _one_at_a_time = self.changing.lock();
        let vault = self.sealed()?.unseal(key)?;
        *self.state.write() = State::Open(vault);
        Ok(())
    }

    /// Whether the vault is still sealed after a share, and how many were given.
    fn unseal_share(&self, share: &str) -> Result<(bool, usize)> {
        let _one_at_a_time = self.changing.lock();
        Ok(match self.sealed()?.unseal_share(share)? {
            Unsealing::More(status) => (true, status.progress),
            Unsealing::Unsealed(vault) => {
                *self.state.write() = State::Open(vault);
                (false, 0)
            }
        })
    }

    /// The face by which the vault is unsealed.
    fn sealed(&self) -> Result<SealedVault> {
        match self.state() {
            State::Sealed(sealed) => Ok(sealed),
            State::Open(_) if !self.status()?.sealed => Err(Error::new(Code::AlreadyUnsealed, "the vault is unsealed already")),
            // A request to sys/seal sealed it; sealing once more is the way to its sealed face.
            State::Open(vault) => vault.seal(),
        }
    }

    /// An entry for a vault that is unsealed.
    pub(crate) fn unsealed_by(vault: Vault) -> Self {
        VaultEntry::new(State::Open(vault))
    }

    fn close(&self) -> Result<()> {
        match self.state() {
            State::Sealed(sealed) => sealed.close(),
            State::Open(vault) => vault.close(),
        }
    }

    fn state(&self) -> State {
        self.state.read().clone()
    }
}

impl State {
    fn status(&self) -> SealStatus {
        match self {
            State::Sealed(sealed) => sealed.seal_status(),
            State::Open(vault) => vault.seal_status(),
        }
    }
}

fn closed() -> Error {
    Error::new(Code::Closed, "the vault was closed")
}

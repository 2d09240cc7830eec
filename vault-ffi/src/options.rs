//! How a vault is created or opened, as C says it: a struct that starts with its own size, so that it can grow.

use crate::callbacks::{HostAnchor, HostSink, HostWrapper, vault_anchor_t, vault_audit_sink_t, vault_key_wrapper_t};
use crate::clock::{HostClock, vault_clock_t};
use crate::connector::{HostConnector, databases, vault_connector_t};
use crate::error::bad_argument;
use crate::hooks::{HostLeaseHook, HostRotationHook, vault_lease_hook_t, vault_rotation_hook_t};
use crate::input;
use crate::log::{HostLog, vault_log_t};
use crate::pkcs11::vault_pkcs11_t;
use crate::policy::{dialect_from_number, vault_dialect_t};
use crate::targets::vault_audit_target_t;
use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::sync::Arc;
use vault_core::host::KeyWrapper;
use vault_core::os::FileSink;
use vault_core::policy::{Dialect, Settings};
use vault_core::storage::Backend;
use vault_core::types::limits::PASSPHRASE_BYTES_MAX;
use vault_core::types::{Result, Ttl};
use vault_core::{Argon2Params, AuditMode, Config, NewSeal, UnsealKey};

/// What kind of key opens a vault: one of the `VAULT_KEY_` numbers.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_key_kind_t = i32;

/// No key is given.
pub const VAULT_KEY_NONE: vault_key_kind_t = 0;
/// A passphrase, UTF-8, at most 4096 bytes; stretched with Argon2id.
pub const VAULT_KEY_PASSPHRASE: vault_key_kind_t = 1;
/// 32 random bytes.
pub const VAULT_KEY_RAW: vault_key_kind_t = 2;
/// Key shares. To open: as many as are needed, or more, one to a line, at most 65536 bytes. To create: no key, but the members
/// `share_count` and `share_threshold`.
pub const VAULT_KEY_SHARES: vault_key_kind_t = 3;
/// An outside key service, the member `key_wrapper`; no key.
pub const VAULT_KEY_WRAPPER: vault_key_kind_t = 4;
/// A key in an HSM or a smart card, the member `pkcs11`; no key.
pub const VAULT_KEY_PKCS11: vault_key_kind_t = 5;

/// When a read's reply may leave with respect to its audit record: one of the `VAULT_AUDIT_` numbers. Writes always wait for theirs.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_audit_mode_t = i32;

/// When the record is admitted to a bounded queue, which is written within 50 ms of use. A crash loses the records of that window.
pub const VAULT_AUDIT_BATCHED: vault_audit_mode_t = 0;
/// When the record is durable.
pub const VAULT_AUDIT_STRICT: vault_audit_mode_t = 1;
/// As `VAULT_AUDIT_BATCHED`, and reads that a session repeats within a second are one record and a second one that counts the others. A crash
/// loses the counts of the last second too.
pub const VAULT_AUDIT_COUNTED: vault_audit_mode_t = 2;

/// Which engine keeps a new store on disk: one of the `VAULT_BACKEND_` numbers. An old store is opened by the one that it was made with.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_backend_t = i32;

/// The default: sled.
pub const VAULT_BACKEND_DEFAULT: vault_backend_t = 0;
/// sled.
pub const VAULT_BACKEND_SLED: vault_backend_t = 1;
/// redb: for large stores, since it opens them without a copy and takes less room.
pub const VAULT_BACKEND_REDB: vault_backend_t = 2;

/// How a vault is created or opened. Start with `vault_options_init`, which sets the size and zeroes the rest: zero is the default
/// of every member. All pointers are borrowed for the call that is given the options.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_options_t {
    /// `sizeof(vault_options_t)` as the caller was compiled.
    pub size: usize,
    /// The vault's directory, NUL-terminated UTF-8, at most 4096 bytes; NULL for a vault in memory, gone when it is closed.
    pub path: *const c_char,
    /// Which kind of key `key` holds.
    pub key_kind: vault_key_kind_t,
    /// When replies to reads may leave.
    pub audit_mode: vault_audit_mode_t,
    /// The key that opens the vault.
    pub key: *const c_void,
    /// Its length in bytes.
    pub key_len: usize,
    /// Bound of the store's page cache in bytes; 0 for 64 MiB. The pages hold ciphertext.
    pub cache_bytes: u64,
    /// For `vault_create` with a passphrase, Argon2id's memory in KiB; 0 for 65536. The floor is 19456.
    pub argon2_memory_kib: u32,
    /// For `vault_create` with a passphrase, Argon2id's passes; 0 for 3. The floor is 2.
    pub argon2_iterations: u32,
    /// For `vault_create` with a passphrase, Argon2id's lanes; 0 for 4.
    pub argon2_lanes: u32,
    /// 1 to take a store that is older than its anchor as it is, for this one opening; else 0.
    pub accept_rollback: u32,
    /// For `vault_create` with shares: how many there are, from 1 to 255.
    pub share_count: u32,
    /// For `vault_create` with shares: how many of them open; at least 2 unless there is but one.
    pub share_threshold: u32,
    /// An outside key service: for `VAULT_KEY_WRAPPER`, and for slots that are added or rekeyed later; may be NULL. The struct is
    /// copied; its `user` must live until the vault is closed.
    pub key_wrapper: *const vault_key_wrapper_t,
    /// Keeps the newest commit outside the store; may be NULL. The struct is copied; its `user` must live until the vault is closed.
    pub anchor: *const vault_anchor_t,
    /// How often the anchor is advanced, in seconds; 0 for each commit.
    pub anchor_interval_s: u64,
    /// For a new store on disk, which engine keeps it.
    pub backend: vault_backend_t,
    /// Sinks that are fed with the audit log; may be NULL. The structs are copied; their `user`s must live until the vault is closed.
    pub audit_sinks: *const vault_audit_sink_t,
    /// How many there are, at most 16.
    pub audit_sink_count: usize,
    /// A file that is fed with the audit log as JSON lines, 0600, which may be rotated by renaming it: NUL-terminated UTF-8, at most 4096
    /// bytes; may be NULL. As a sink it has the name "file".
    pub audit_file: *const c_char,
    /// A key in an HSM or a smart card: for `VAULT_KEY_PKCS11`, and for slots that are added or rekeyed later; may be NULL. Copied.
    pub pkcs11: *const vault_pkcs11_t,
    /// Collectors over TCP, Unix sockets and syslog that are fed with the audit log; may be NULL. Copied.
    pub audit_targets: *const vault_audit_target_t,
    /// How many there are, at most 16.
    pub audit_target_count: usize,
    /// Whose rules policies follow: one of the `VAULT_DIALECT_` numbers; 0 for HashiCorp Vault's.
    pub dialect: vault_dialect_t,
    /// 1 when the deny of any rule that matches wins, however broad the rule is; else 0.
    pub absolute_deny: u32,
    /// Connectors of the host's own to target systems; may be NULL. The structs are copied; their `user`s must live until the vault is closed.
    pub connectors: *const vault_connector_t,
    /// How many there are, at most 16.
    pub connector_count: usize,
    /// Which connectors of the library's own the vault has: `VAULT_DATABASE_` numbers, added together.
    pub databases: u32,
    /// Is told of leases; may be NULL. The struct is copied; its `user` must live until the vault is closed.
    pub lease_hook: *const vault_lease_hook_t,
    /// What time the vault goes by; NULL for the system's. The struct is copied; its `user` must live until the vault is closed.
    pub clock: *const vault_clock_t,
    /// Takes what the vault has to say that is neither an answer nor in the audit log; may be NULL. The struct is copied; its `user` must live
    /// until the vault is closed.
    pub log: *const vault_log_t,
    /// How many bytes of decrypted secrets are held in memory, so that a read of one that is held asks policy and is recorded as ever, and
    /// neither reads the store nor decrypts; 0 for none. A write forgets what it changes before it is answered; sealing wipes all. One that is
    /// larger than a sixteenth of this is not held.
    pub value_cache_bytes: u64,
    /// How long a decrypted secret is held at most, in seconds; 0 for 60.
    pub value_cache_ttl_s: u64,
    /// Is told of rotations; may be NULL. The struct is copied; its `user` must live until the vault is closed.
    pub rotation_hook: *const vault_rotation_hook_t,
}

/// Longest path of a vault's directory, in bytes.
pub(crate) const STORE_PATH_BYTES_MAX: usize = 4096;
/// How large the struct was when it was first promised: what is smaller was never set.
const OPTIONS_BYTES_FIRST: usize = offset_of!(vault_options_t, clock);
/// How long a decrypted secret is held unless told, in seconds.
const VALUE_CACHE_TTL_DEFAULT_S: u64 = 60;
/// A hundred years, in seconds.
const SECONDS_MAX: u64 = 100 * 366 * 86_400;
const RAW_KEY_BYTES_MAX: usize = 64;
const SHARES_BYTES_MAX: usize = 65_536;

/// A key as C gives it, checked and borrowed.
pub(crate) enum Key<'a> {
    None,
    Passphrase(&'a str),
    Raw(&'a [u8]),
    Shares(&'a str),
}

/// A length of time, which no negative number that was taken for one passes.
fn seconds(given: u64, member: &str) -> Result<Ttl> {
    if given > SECONDS_MAX {
        return Err(bad_argument(format!("{member} is more than a hundred years, or was negative: give seconds")));
    }
    Ok(Ttl::from_secs(given))
}

impl vault_options_t {
    /// Reads options of this version's size, of an earlier one, or of a later one whose additions are all zero.
    ///
    /// # Safety
    /// `options` is NULL or points to as many bytes as its first member says.
    pub(crate) unsafe fn read(options: *const Self) -> Result<Self> {
        // SAFETY: as the caller promises; every bit pattern is a value of each member.
        let options = unsafe { input::sized(options, OPTIONS_BYTES_FIRST) }?.ok_or_else(|| bad_argument("options is NULL"))?;
        if options.absolute_deny > 1 {
            return Err(bad_argument("options.absolute_deny is neither 0 nor 1: use vault_options_init"));
        }
        if options.accept_rollback > 1 {
            return Err(bad_argument("options.accept_rollback is neither 0 nor 1: use vault_options_init"));
        }
        Ok(options)
    }

    /// The place of the vault and how it works.
    ///
    /// # Safety
    /// `path` is as its description says.
    pub(crate) unsafe fn config(&self) -> Result<Config> {
        let mut config = if self.path.is_null() {
            Config::in_memory()
        } else {
            // SAFETY: as the caller promises.
            let path = unsafe { input::text(self.path, "options.path", STORE_PATH_BYTES_MAX) }?;
            if path.is_empty() {
                return Err(bad_argument("options.path is empty: give a directory, or NULL for a vault in memory"));
            }
            Config::at(path)
        };
        config = config.with_audit_mode(match self.audit_mode {
            VAULT_AUDIT_BATCHED => AuditMode::Batched,
            VAULT_AUDIT_STRICT => AuditMode::Strict,
            VAULT_AUDIT_COUNTED => AuditMode::Counted,
            _ => return Err(bad_argument("options.audit_mode is none of the VAULT_AUDIT_ numbers")),
        });
        config = config.with_backend(match self.backend {
            VAULT_BACKEND_DEFAULT => Backend::preferred(),
            VAULT_BACKEND_SLED => Backend::Sled,
            VAULT_BACKEND_REDB => Backend::Redb,
            _ => return Err(bad_argument("options.backend is none of the VAULT_BACKEND_ numbers")),
        });
        let dialect = if self.dialect == 0 { Dialect::Vault } else { dialect_from_number(self.dialect)? };
        config = config.with_policies(Settings { dialect, absolute_deny: self.absolute_deny == 1 });
        // SAFETY: as the caller promises.
        let (service, pkcs11) = unsafe { (HostWrapper::read(self.key_wrapper)?, vault_pkcs11_t::read(self.pkcs11)?) };
        if let Some(service) = service {
            config = config.with_key_wrapper(Arc::new(service));
        }
        if let Some(pkcs11) = pkcs11 {
            config = config.with_key_wrapper(Arc::new(pkcs11));
        }
        // SAFETY: as the caller promises.
        if let Some(anchor) = unsafe { HostAnchor::read(self.anchor) }? {
            config = config.with_anchor(Arc::new(anchor), seconds(self.anchor_interval_s, "options.anchor_interval_s")?);
        }
        // SAFETY: as the caller promises.
        for sink in unsafe { HostSink::read_all(self.audit_sinks, self.audit_sink_count) }? {
            config = config.with_audit_sink(Arc::new(sink));
        }
        // SAFETY: as the caller promises.
        for target in unsafe { vault_audit_target_t::read_all(self.audit_targets, self.audit_target_count) }? {
            config = config.with_audit_sink(target);
        }
        // SAFETY: as the caller promises.
        for connector in unsafe { HostConnector::read_all(self.connectors, self.connector_count) }? {
            config = config.with_connector(Arc::new(connector));
        }
        for connector in databases(self.databases)? {
            config = config.with_connector(connector);
        }
        // SAFETY: as the caller promises.
        if let Some(hook) = unsafe { HostLeaseHook::read(self.lease_hook) }? {
            config = config.with_lease_hook(Arc::new(hook));
        }
        // SAFETY: as the caller promises.
        if let Some(hook) = unsafe { HostRotationHook::read(self.rotation_hook) }? {
            config = config.with_rotation_hook(Arc::new(hook));
        }
        // SAFETY: as the caller promises.
        if let Some(clock) = unsafe { HostClock::read(self.clock) }? {
            config = config.with_clock(Arc::new(clock));
        }
        // SAFETY: as the caller promises.
        if let Some(log) = unsafe { HostLog::read(self.log) }? {
            config = config.with_log(Arc::new(log));
        }
        if !self.audit_file.is_null() {
            // SAFETY: as the caller promises.
            let path = unsafe { input::text(self.audit_file, "options.audit_file", STORE_PATH_BYTES_MAX) }?;
            config = config.with_audit_sink(Arc::new(FileSink::at("file", path)));
        }
        if self.accept_rollback == 1 {
            config = config.with_rollback_accepted();
        }
        let held = if self.value_cache_ttl_s == 0 { VALUE_CACHE_TTL_DEFAULT_S } else { self.value_cache_ttl_s };
        let held = seconds(held, "options.value_cache_ttl_s")?;
        config = config.with_value_cache(self.value_cache_bytes, held);
        Ok(if self.cache_bytes == 0 { config } else { config.with_cache_bytes(self.cache_bytes) })
    }

    /// The key service that the kind of key speaks of, if it does so.
    ///
    /// # Safety
    /// `key_wrapper` and `pkcs11` are NULL or as their descriptions say.
    unsafe fn wrapper(&self) -> Result<Option<Arc<dyn KeyWrapper>>> {
        let none = |message: &'static str| move || bad_argument(message);
        match self.key_kind {
            VAULT_KEY_WRAPPER => {
                // SAFETY: as the caller promises.
                let service = unsafe { HostWrapper::read(self.key_wrapper) }?;
                Ok(Some(Arc::new(service.ok_or_else(none("options.key_kind is VAULT_KEY_WRAPPER and options.key_wrapper is NULL"))?)))
            }
            VAULT_KEY_PKCS11 => {
                // SAFETY: as the caller promises.
                let pkcs11 = unsafe { vault_pkcs11_t::read(self.pkcs11) }?;
                Ok(Some(Arc::new(pkcs11.ok_or_else(none("options.key_kind is VAULT_KEY_PKCS11 and options.pkcs11 is NULL"))?)))
            }
            _ => Ok(None),
        }
    }

    /// What opens the vault, if there is something.
    ///
    /// # Safety
    /// As for [`Self::key`].
    pub(crate) unsafe fn unseal_key(&self) -> Result<Option<UnsealKey>> {
        // SAFETY: as the caller promises.
        if let Some(wrapper) = unsafe { self.wrapper() }? {
            return Ok(Some(UnsealKey::wrapper(wrapper)));
        }
        // SAFETY: as the caller promises.
        unsafe { self.key() }?.unseal_key()
    }

    /// The key in the options.
    ///
    /// # Safety
    /// `key` is NULL or points to `key_len` bytes.
    pub(crate) unsafe fn key<'a>(&self) -> Result<Key<'a>> {
        // SAFETY: as the caller promises.
        unsafe { Key::read(self.key_kind, self.key, self.key_len) }
    }

    /// The seal of a new vault.
    ///
    /// # Safety
    /// As for [`Self::key`].
    pub(crate) unsafe fn new_seal(&self) -> Result<NewSeal> {
        // SAFETY: as the caller promises.
        if let Some(wrapper) = unsafe { self.wrapper() }? {
            return Ok(NewSeal::wrapper(wrapper));
        }
        if self.key_kind == VAULT_KEY_SHARES {
            let number = |given| u8::try_from(given).map_err(|_| bad_argument("options.share_count and share_threshold are from 1 to 255"));
            return Ok(NewSeal::shares(number(self.share_count)?, number(self.share_threshold)?)?);
        }
        // SAFETY: as the caller promises.
        match unsafe { self.key() }? {
            Key::Shares(_) | Key::None => Err(bad_argument("a new vault needs a key: set options.key_kind, key and key_len")),
            Key::Raw(key) => Ok(NewSeal::raw_key(key)?),
            Key::Passphrase(passphrase) => Ok(NewSeal::passphrase_with(passphrase, self.argon2())?),
        }
    }

    fn argon2(&self) -> Argon2Params {
        let default = Argon2Params::default();
        let or = |given: u32, default: u32| if given == 0 { default } else { given };
        Argon2Params {
            memory_kib: or(self.argon2_memory_kib, default.memory_kib),
            iterations: or(self.argon2_iterations, default.iterations),
            lanes: or(self.argon2_lanes, default.lanes),
        }
    }
}

impl<'a> Key<'a> {
    /// # Safety
    /// `key` is NULL or points to `key_len` bytes.
    pub(crate) unsafe fn read(kind: vault_key_kind_t, key: *const c_void, key_len: usize) -> Result<Self> {
        // SAFETY: as the caller promises.
        let bytes = |max| unsafe { input::bytes(key.cast(), key_len, "key", max) };
        match kind {
            VAULT_KEY_NONE if key.is_null() && key_len == 0 => Ok(Key::None),
            VAULT_KEY_NONE => Err(bad_argument("a key is given and its kind is VAULT_KEY_NONE")),
            VAULT_KEY_PASSPHRASE => Ok(Key::Passphrase(input::utf8(bytes(PASSPHRASE_BYTES_MAX)?, "the passphrase")?)),
            VAULT_KEY_RAW => Ok(Key::Raw(bytes(RAW_KEY_BYTES_MAX)?)),
            VAULT_KEY_SHARES => Ok(Key::Shares(input::utf8(bytes(SHARES_BYTES_MAX)?, "the key shares")?)),
            VAULT_KEY_WRAPPER | VAULT_KEY_PKCS11 => Err(bad_argument("a key service is given by the options, when the vault is opened")),
            _ => Err(bad_argument("the kind of key is none of the VAULT_KEY_ numbers")),
        }
    }

    /// The key to unseal with, if there is one.
    pub(crate) fn unseal_key(&self) -> Result<Option<UnsealKey>> {
        match self {
            Key::None => Ok(None),
            Key::Passphrase(passphrase) => Ok(Some(UnsealKey::passphrase(passphrase)?)),
            Key::Raw(key) => Ok(Some(UnsealKey::raw_key(key)?)),
            Key::Shares(lines) => Ok(Some(UnsealKey::shares(lines.lines().filter(|line| !line.trim().is_empty()))?)),
        }
    }
}

//! The C ABI of libvault: the exports from which `include/vault.h` is generated (`cargo xtask header`).
//!
//! # Conventions
//!
//! **Names.** `vault_` and what is worked on, then the verb: `vault_session_open`. Types end in `_t`, outputs begin with `out_`, lengths end
//! in `_len`, and a quantity with a unit ends in the unit: `out_next_ms`.
//!
//! **Results.** Every function answers a `vault_status_t`, but frees and plain accessors; `vault_last_error` has the text of the calling
//! thread's last failure, whichever function it was.
//!
//! **No partial success.** Outputs are cleared before anything else (NULL, 0, false) and written together at the end, or not at all.
//! Handles for results are set aside before the work, so that no result of a write is lost for want of one.
//!
//! **Ownership.** What a function is given is borrowed for the call, unless its name ends in `_close` or `_free`, which take it. What comes
//! out through a handle is the caller's, to be freed by the function that its description names. A `const char *` that comes out belongs
//! to the object that it came from.
//!
//! **NULL.** Where a description does not allow it, NULL answers `VAULT_ERR_BAD_ARGUMENT`. Frees and closes allow it and do nothing.
//!
//! **Handles** are values, never addresses: a second free, a use after close and a wrong kind answer `VAULT_ERR_BAD_HANDLE`, also when
//! the slot was used again (see `handle.rs`).
//!
//! **Text** is UTF-8: NUL-terminated for names and paths, read no further than their limit; pointer and length for JSON, tokens and keys.
//! Anything else answers `VAULT_ERR_INVALID_UTF8`.
//!
//! **Threads.** Every function may be called from any thread, with the same handles. Only what `vault_secret_data` and
//! `vault_secret_field` lend must not be used when another thread may free the secret.
//!
//! **Fork.** A child process cannot use its parent's handles: they answer `VAULT_ERR_FORKED`. It can open vaults of its own.
//!
//! **Panics** never cross into C: they answer `VAULT_ERR_INTERNAL`. Every export's body is one call of the macro in `guard.rs`.
#![allow(unsafe_code, reason = "a C ABI exports unmangled symbols and reads and writes through its callers' pointers")]
#![allow(clippy::missing_safety_doc, reason = "an export's description goes into vault.h and is its contract: what each pointer must be")]

mod guard;
mod handle;
mod input;

// The exports, in the order of the header; the empty lines keep rustfmt from sorting them.
pub mod version;

pub mod status;

pub mod error;

pub mod callbacks;

pub mod clock;

pub mod log;

pub mod pkcs11;

pub mod targets;

pub mod connector;

pub mod hooks;

pub mod options;

pub mod vault;

pub mod session;

pub mod request;

pub mod policy;

pub mod kv;

pub mod live;
pub mod rotation;

pub mod emergency;

pub mod backup;

pub mod doctor;

pub mod audit;

pub mod metrics;

pub mod secret;

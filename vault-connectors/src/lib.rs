//! Everything of libvault that opens a socket or loads a driver will live here, one feature each.
//!
//! `vault-core` stays free of drivers: it names what it needs from the outside as traits in its `host` folder, and this
//! crate implements them. Nothing needs it yet: a vault with its store, policies, tokens, secrets and audit trail reaches no other system.
#![forbid(unsafe_code)]

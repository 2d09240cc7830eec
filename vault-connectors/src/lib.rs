//! Everything of libvault that opens a socket or loads a driver lives here, one feature each.
//!
//! `vault-core` stays free of drivers: it names what it needs from the outside as traits in its `host` folder, and this
//! crate implements them. The feature `audit-sinks` is sinks of the audit log over TCP, Unix sockets and syslog.
#![forbid(unsafe_code)]

#[cfg(feature = "audit-sinks")]
mod connection;
#[cfg(feature = "audit-sinks")]
pub mod socket;
#[cfg(feature = "audit-sinks")]
pub mod syslog;

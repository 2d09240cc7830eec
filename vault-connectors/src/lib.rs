//! Everything of libvault that opens a socket or loads a driver lives here, one feature each.
//!
//! `vault-core` stays free of drivers: it names what it needs from the outside as traits in its `host` folder, and this
//! crate implements them. The feature `audit-sinks` is sinks of the audit log over TCP, Unix sockets and syslog; `pkcs11` is a key in an HSM
//! as a vault's key wrapper; `postgres`, `mysql` and `redis` make and remove accounts at databases.
#![forbid(unsafe_code)]

#[cfg(feature = "audit-sinks")]
mod connection;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "audit-sinks")]
pub mod socket;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod sql;
#[cfg(feature = "audit-sinks")]
pub mod syslog;
#[cfg(feature = "targets")]
mod target;

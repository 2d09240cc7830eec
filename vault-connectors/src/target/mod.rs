//! What connectors to databases share: settings, addresses, TLS, a pool of connections, and the names that accounts may have.

mod address;
mod deadline;
mod failure;
mod name;
mod pool;
mod settings;
#[cfg(any(feature = "mysql", feature = "redis"))]
mod stream;
mod tls;

#[cfg(feature = "mysql")]
pub(crate) use address::decoded;
pub(crate) use address::{Address, Url};
pub(crate) use deadline::Deadline;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) use failure::without_kind;
pub(crate) use failure::{misconfigured, refused, unauthenticated, unknown, unreachable};
pub(crate) use name::{checked_name, free_name};
pub(crate) use pool::{Pools, Session};
#[cfg(feature = "redis")]
pub(crate) use settings::number;
pub(crate) use settings::{Limits, flag, text};
#[cfg(any(feature = "mysql", feature = "redis"))]
pub(crate) use stream::Stream;
pub(crate) use tls::{Tls, Trust, told_tls};

//! Accounts at real servers, which the tests start themselves: PostgreSQL, MariaDB and Redis.
//!
//! Every password that is used holds the word `canary`, and no error may: `Careful` looks at each. Sessions that are to be cut off are those of
//! the servers' own clients.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod careful;
mod cut;
mod everywhere;
mod leases;
mod life;
mod mysql;
mod postgres;
mod redis;
mod rotation;
mod subject;

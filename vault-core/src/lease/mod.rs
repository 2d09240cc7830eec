//! Leases: what was handed out for a time, who holds it, and what is to be undone when that time ends.
//!
//! A lease's record (`record`) is written before anything is made at a target, and removed after it was undone there: at no instant is an
//! account at a target that no lease knows. Where it is found (`index`), what ends many at once (`chore`), how long it lasts (`terms`).

pub(crate) mod chore;
pub(crate) mod index;
mod record;
pub(crate) mod shared;
pub(crate) mod terms;

pub(crate) use record::{Account, Entity, Lease, LeaseRef, SharedRef, State, new_id};

//! What engines share: reading what requests bring, listings, and secrets without versions.

pub(super) mod effect;
pub(super) mod input;
pub(super) mod listing;
pub(super) mod plain;

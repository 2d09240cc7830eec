//! What needs neither token nor keys: whether the vault is there, and who leads.

use super::runtime::SealStatus;
use crate::types::id::Id;
use crate::types::{Object, Response, Timestamp};

/// `READ sys/health`. A host that answers over HTTP gives 200 for it, and 503 where `sealed` is true.
pub(super) fn health(status: &SealStatus, store: &Id, now: Timestamp) -> Response {
    let id = store.to_string();
    answer(
        Object::new()
            .with("initialized", true)
            .with("sealed", status.sealed)
            .with("standby", false)
            .with("performance_standby", false)
            .with("replication_performance_mode", "disabled")
            .with("replication_dr_mode", "disabled")
            .with("server_time_utc", now.as_secs())
            .with("version", status.version)
            .with("enterprise", false)
            .with("cluster_name", format!("libvault-{}", id.split('-').next().unwrap_or_default()))
            .with("cluster_id", id),
    )
}

/// `READ sys/leader`: one vault in one process leads itself, and nobody waits to take over.
pub(super) fn leader() -> Response {
    answer(
        Object::new()
            .with("ha_enabled", false)
            .with("is_self", false)
            .with("active_time", "0001-01-01T00:00:00Z")
            .with("leader_address", "")
            .with("leader_cluster_address", "")
            .with("performance_standby", false)
            .with("performance_standby_last_remote_wal", 0_u64),
    )
}

fn answer(body: Object) -> Response {
    Response { data: Some(body.into()), ..Response::default() }
}

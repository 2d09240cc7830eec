//! What the vault tells of itself to a token: figures, counters, the process, its configuration without secrets.

use super::core::Core;
use super::system::{Ask, Done};
use super::{identity_entities, rotation_paths, runtime, sinks, version_history};
use crate::auth::{Due, due};
use crate::barrier::{Kind, Overlay};
use crate::metrics::{self, Family, Gauge, Metrics};
use crate::os::process_facts;
use crate::policy::Dialect;
use crate::types::limits::{COUNTED_TOKENS_MAX, TTL_SECONDS_MAX};
use crate::types::{Code, Error, Object, Operation, Result, Timestamp, Ttl, Value};
use std::sync::atomic::Ordering;

/// One of these paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum InfoPath {
    Metrics,
    HostInfo,
    HaStatus,
    SanitizedConfig,
    CountTokens,
    CountEntities,
    CountRequests,
    VersionHistory,
}

impl InfoPath {
    pub(super) fn parse(path: &str) -> Option<Self> {
        Some(match path {
            "sys/metrics" => InfoPath::Metrics,
            "sys/host-info" => InfoPath::HostInfo,
            "sys/ha-status" => InfoPath::HaStatus,
            "sys/config/state/sanitized" => InfoPath::SanitizedConfig,
            "sys/internal/counters/tokens" => InfoPath::CountTokens,
            "sys/internal/counters/entities" => InfoPath::CountEntities,
            "sys/internal/counters/requests" => InfoPath::CountRequests,
            "sys/version-history" => InfoPath::VersionHistory,
            _ => return None,
        })
    }

    /// Whether `sudo` is needed.
    pub(super) fn is_root_protected(self) -> bool {
        matches!(self, InfoPath::HostInfo | InfoPath::SanitizedConfig)
    }
}

pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: InfoPath) -> Result<Done> {
    let expected = if path == InfoPath::VersionHistory { Operation::List } else { Operation::Read };
    if operation != expected {
        return Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path"));
    }
    let core = ask.core;
    match path {
        InfoPath::Metrics => read_metrics(ask),
        InfoPath::HostInfo => Ok(Done::answer(host_info(core, ask.now))),
        InfoPath::HaStatus => Ok(Done::answer(ha_status())),
        InfoPath::SanitizedConfig => Ok(Done::answer(sanitized(core))),
        InfoPath::CountTokens => count_tokens(overlay, ask.now),
        InfoPath::CountEntities => identity_entities::count(core),
        InfoPath::VersionHistory => version_history::list(overlay),
        InfoPath::CountRequests => Ok(Done::answer(Object::new().with("counters", Object::new().with("requests", requests(core))))),
    }
}

fn read_metrics(ask: &Ask<'_>) -> Result<Done> {
    let families = families(&ask.core.metrics, Some(ask.core));
    match ask.data.and_then(|data| data.get("format")).filter(|format| !matches!(format, Value::Null)) {
        None => Ok(Done::answer(metrics::to_value(&families, ask.now))),
        Some(format) => match format.as_str() {
            Some("prometheus") => {
                let text = metrics::to_text(&families);
                Ok(Done::answer(Object::new().with("content_type", metrics::CONTENT_TYPE).with("text", text)))
            }
            Some("" | "json") => Ok(Done::answer(metrics::to_value(&families, ask.now))),
            _ => Err(Error::new(Code::InvalidRequest, "unsupported format: use \"prometheus\", or leave it out for JSON")),
        },
    }
}

/// All figures of the vault; without a core it is sealed.
pub(super) fn families(metrics: &Metrics, core: Option<&Core>) -> Vec<Family> {
    let mut families = metrics.families(&gauges(core));
    if let Some(values) = core.and_then(|core| core.committer.values()) {
        let figures = values.figures();
        families.push(Family::of_two(
            "libvault_value_cache_total",
            "Reads of a secret's record by whether its content was held (hit), or the store was asked (miss).",
            "outcome",
            [("hit", figures.hits), ("miss", figures.misses)],
        ));
    }
    families
}

/// Figures of the present moment; without a core the vault is sealed.
fn gauges(core: Option<&Core>) -> Vec<Gauge> {
    let flag = |truth: bool| f64::from(u8::from(truth));
    let sealed = Gauge { name: "libvault_sealed", help: "Whether the vault is sealed.", value: flag(core.is_none()) };
    let Some(core) = core else { return vec![sealed] };
    let mut gauges = vec![
        sealed,
        Gauge {
            name: "libvault_frozen",
            help: "Whether the vault was restored and not yet adopted.",
            value: flag(core.frozen.load(Ordering::Acquire)),
        },
        Gauge {
            name: "libvault_poisoned",
            help: "Whether a commit has failed, so that the vault must be opened anew.",
            value: flag(core.committer.is_poisoned()),
        },
        Gauge { name: "libvault_commits", help: "The number of the last durable commit.", value: core.storage.commit_number() as f64 },
        Gauge { name: "libvault_audit_sinks", help: "Audit sinks that the host has given.", value: core.feeds.len() as f64 },
    ];
    if let Some(values) = core.committer.values() {
        let figures = values.figures();
        gauges.push(Gauge { name: "libvault_value_cache_values", help: "Decrypted secrets that are held.", value: figures.values as f64 });
        gauges.push(Gauge {
            name: "libvault_value_cache_bytes",
            help: "Memory that decrypted secrets take, in bytes.",
            value: figures.bytes as f64,
        });
    }
    if let Ok(counts) = rotation_paths::counts(core) {
        gauges.push(Gauge { name: "libvault_rotated_credentials", help: "Credentials that are rotated.", value: counts.all as f64 });
        gauges.push(Gauge {
            name: "libvault_rotations_needing_attention",
            help: "Rotations that have stopped and need an operator: sys/rotation says what to do.",
            value: counts.stuck as f64,
        });
    }
    if let (Ok((root, _)), Ok(Some(taken))) = (core.committer.snapshot(), sinks::taken_by_all(core)) {
        let lag = root.audit_sequence.saturating_sub(taken) as f64;
        gauges.push(Gauge {
            name: "libvault_audit_sink_lag_records",
            help: "Audit records that the slowest sink has not had yet.",
            value: lag,
        });
    }
    gauges
}

fn requests(core: &Core) -> Object {
    Object::new().with("total", core.metrics.requests()).with("since", "the vault was opened")
}

fn host_info(core: &Core, now: Timestamp) -> Object {
    let facts = process_facts();
    Object::new()
        .with("timestamp", now.to_string())
        .with("pid", facts.pid)
        .with("cpu", Object::new().with("count", facts.cpus.map(|cpus| cpus as u64)))
        .with("memory", Object::new().with("resident_bytes", facts.resident_bytes))
        .with("store", Object::new().with("id", core.store.to_string()).with("commits", core.storage.commit_number()))
}

fn ha_status() -> Object {
    let node = Object::new()
        .with("active_node", true)
        .with("api_address", "")
        .with("cluster_address", "")
        .with("hostname", "")
        .with("last_echo", Value::Null)
        .with("version", env!("CARGO_PKG_VERSION"));
    Object::new().with("nodes", vec![node])
}

/// What the vault was opened with, and nothing that is a secret or a place.
fn sanitized(core: &Core) -> Object {
    let facts = &core.facts;
    let dialect = match facts.policies.dialect {
        Dialect::Vault => "vault",
        Dialect::OpenBao => "openbao",
    };
    Object::new()
        .with("policy", Object::new().with("dialect", dialect).with("absolute_deny", facts.policies.absolute_deny))
        .with("audit", Object::new().with("mode", facts.audit_mode.name()).with("sinks", core.feeds.len() as u64))
        .with("anchor", facts.anchored)
        .with("key_wrappers", core.wrappers.len() as u64)
        .with("seals", core.header.load().slots().iter().map(|slot| Value::from(slot.kind)).collect::<Vec<_>>())
        .with("storage", Object::new().with("type", runtime::STORAGE_TYPE))
        .with("default_lease_ttl", TTL_SECONDS_MAX)
        .with("max_lease_ttl", TTL_SECONDS_MAX)
        .with("version", env!("CARGO_PKG_VERSION"))
}

/// Tokens that expire, by the lists of what is due: one for each hour up to the longest time that is granted, so that no other record is
/// looked at, and at most [`COUNTED_TOKENS_MAX`].
fn count_tokens(overlay: &Overlay<'_>, now: Timestamp) -> Result<Done> {
    // One hour behind now: what a tick has not removed yet.
    let first = due::hour_at(now).saturating_sub(1);
    let last = due::hour_at(now.plus(Ttl::from_secs(TTL_SECONDS_MAX)));
    let mut total = 0_u64;
    for hour in first..=last {
        for minute in due::minutes_in(overlay, hour)?.0 {
            let prefix = overlay.barrier().member_prefix(Kind::Due, &minute.to_le_bytes());
            overlay.scan(Kind::Due, &prefix, |_, due| {
                total += u64::from(matches!(Due::from_bytes(due)?, Due::Token(_)));
                Ok(total < COUNTED_TOKENS_MAX)
            })?;
        }
        if total >= COUNTED_TOKENS_MAX {
            break;
        }
    }
    let counters = Object::new().with("service_tokens", Object::new().with("total", total));
    let done = Done::answer(Object::new().with("counters", counters));
    let many = format!("there are {COUNTED_TOKENS_MAX} tokens or more: no further one was counted");
    Ok(Done { warnings: if total >= COUNTED_TOKENS_MAX { vec![many] } else { Vec::new() }, ..done })
}

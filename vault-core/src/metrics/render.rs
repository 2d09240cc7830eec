//! The figures as Prometheus reads them, and as JSON.

use super::histogram::Snapshot;
use super::{CLASSES, Metrics, OPERATIONS, OUTCOMES, REQUESTS, TARGETS, Target, slot};
use crate::types::{Class, Object, Timestamp, Value};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Figures of one name.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    name: &'static str,
    help: &'static str,
    samples: Samples,
}

/// A figure of the present moment, which its holder knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauge {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) value: f64,
}

type Labels = Vec<(&'static str, &'static str)>;

#[derive(Clone, Debug)]
enum Samples {
    Counters(Vec<(Labels, u64)>),
    Gauge(f64),
    Histogram(Snapshot),
}

impl Family {
    /// Two counts of a whole, told apart by a label.
    pub(crate) fn of_two(name: &'static str, help: &'static str, label: &'static str, counts: [(&'static str, u64); 2]) -> Self {
        let samples = counts.map(|(value, count)| (vec![(label, value)], count));
        Family { name, help, samples: Samples::Counters(samples.into()) }
    }
}

pub(super) fn families(metrics: &Metrics, gauges: &[Gauge]) -> Vec<Family> {
    let sums = metrics.counts.sums();
    let counters = |name, help, counters| Family { name, help, samples: Samples::Counters(counters) };
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let [known, looked_up, refused] = [0, 1, 2].map(|how| sums[REQUESTS + how]);
    let two = |label, names: [&'static str; 2], values: [u64; 2]| {
        vec![(vec![(label, names[0])], values[0]), (vec![(label, names[1])], values[1])]
    };
    let histogram = |name, help, histogram: &super::Histogram| Family { name, help, samples: Samples::Histogram(histogram.snapshot()) };
    let outcomes = ["success", "failure"];
    let recorded = sums[..REQUESTS].iter().sum::<u64>().saturating_sub(read(&metrics.audit_failures)).saturating_sub(sealed(&sums));
    let mut all = vec![
        counters("libvault_requests_total", "Requests by what they went to, operation and outcome.", requests(&sums)),
        counters(
            "libvault_authentications_total",
            "Requests that a token was looked at for, by whether it was accepted.",
            two("outcome", outcomes, [known + looked_up, refused]),
        ),
        counters(
            "libvault_caller_cache_total",
            "Accepted tokens by whether what was learned of them earlier was still good (hit), or the store was asked (miss).",
            two("outcome", ["hit", "miss"], [known, looked_up]),
        ),
        counters(
            "libvault_audit_records_total",
            "Replies by whether their audit record was taken; one without is not given.",
            two("outcome", outcomes, [recorded, read(&metrics.audit_failures)]),
        ),
        counters("libvault_rotations_total", "Rotations of credentials.", two("outcome", outcomes, metrics.rotations.each_ref().map(read))),
        counters("libvault_ticks_total", "Calls of tick.", two("outcome", outcomes, metrics.ticks.each_ref().map(read))),
        counters(
            "libvault_unseal_failures_total",
            "Keys that opened nothing, and unsealings that failed.",
            vec![(Vec::new(), read(&metrics.unseal_failures))],
        ),
        histogram("libvault_issuance_seconds", "Time to issue a token or another credential, until it is durable.", &metrics.issuance),
        histogram("libvault_revocation_seconds", "Time of a revocation, until it is durable and in effect.", &metrics.revocation),
        histogram(
            "libvault_account_removal_seconds",
            "Time from the end of a lease until its account is gone from the target, by the vault's clock.",
            &metrics.account_gone,
        ),
        counters(
            "libvault_leases_irrevocable_total",
            "Leases whose target was told in vain as often as it is tried.",
            vec![(Vec::new(), read(&metrics.irrevocable))],
        ),
        histogram("libvault_commit_seconds", "Time that a request waits for its commit.", &metrics.commit),
        histogram("libvault_unseal_seconds", "Time from the key to an unsealed vault.", &metrics.unseal),
    ];
    all.extend(gauges.iter().map(|gauge| Family { name: gauge.name, help: gauge.help, samples: Samples::Gauge(gauge.value) }));
    all
}

/// Requests that came while the vault was sealed: they have no record.
fn sealed(sums: &[u64]) -> u64 {
    let outcome = 1 + CLASSES.iter().position(|class| *class == Class::Sealed).unwrap_or_default();
    (0..TARGETS.len())
        .flat_map(|target| (0..OPERATIONS.len()).map(move |operation| slot(target, operation, outcome)))
        .map(|at| sums[at])
        .sum()
}

/// Those that are not zero: most of what is possible never happens. A read of a secret that succeeds is always there.
fn requests(sums: &[u64]) -> Vec<(Labels, u64)> {
    let mut counters = Vec::new();
    for (target_at, target) in TARGETS.into_iter().enumerate() {
        for (operation_at, operation) in OPERATIONS.into_iter().enumerate() {
            for outcome in 0..OUTCOMES {
                let count = sums[slot(target_at, operation_at, outcome)];
                let is_first = target == Target::Secrets && operation_at == 0 && outcome == 0;
                if count > 0 || is_first {
                    let named = outcome.checked_sub(1).map_or("success", |class| class_name(CLASSES[class]));
                    let labels = vec![("target", target_name(target)), ("operation", operation.name()), ("outcome", named)];
                    counters.push((labels, count));
                }
            }
        }
    }
    counters
}

fn target_name(target: Target) -> &'static str {
    match target {
        Target::None => "none",
        Target::System => "system",
        Target::Secrets => "secrets",
        Target::Cubbyhole => "cubbyhole",
    }
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::InvalidRequest => "invalid_request",
        Class::PermissionDenied => "permission_denied",
        Class::NotFound => "not_found",
        Class::Sealed => "sealed",
        Class::RateLimited => "rate_limited",
        Class::Conflict => "conflict",
        Class::Unavailable => "unavailable",
        Class::Corrupt => "corrupt",
        Class::Rollback => "rollback",
        Class::Internal => "internal",
    }
}

/// The content type of the text.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text exposition format of Prometheus, version 0.0.4.
pub(crate) fn to_text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let name = family.name;
        let kind = match family.samples {
            Samples::Counters(_) => "counter",
            Samples::Gauge(_) => "gauge",
            Samples::Histogram(_) => "histogram",
        };
        let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("writing to memory cannot fail");
        line(format_args!("# HELP {name} {}", family.help));
        line(format_args!("# TYPE {name} {kind}"));
        match &family.samples {
            Samples::Counters(counters) => {
                counters.iter().for_each(|(labels, count)| line(format_args!("{name}{} {count}", written(labels))))
            }
            Samples::Gauge(value) => line(format_args!("{name} {value}")),
            Samples::Histogram(snapshot) => {
                snapshot.cumulative.iter().for_each(|(bound, count)| line(format_args!("{name}_bucket{{le=\"{bound}\"}} {count}")));
                line(format_args!("{name}_bucket{{le=\"+Inf\"}} {}", snapshot.count));
                line(format_args!("{name}_sum {}", snapshot.sum_seconds));
                line(format_args!("{name}_count {}", snapshot.count));
            }
        }
    }
    text
}

fn written(labels: &Labels) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{{{}}}", pairs.join(","))
}

/// The figures as `sys/metrics` answers them in JSON.
pub(crate) fn to_value(families: &[Family], now: Timestamp) -> Object {
    let (mut counters, mut gauges, mut samples) = (Vec::new(), Vec::new(), Vec::new());
    for family in families {
        let named = |labels: &Labels| {
            let labels: Object = labels.iter().map(|(name, value)| (*name, Value::from(*value))).collect();
            Object::new().with("Name", family.name).with("Labels", labels)
        };
        match &family.samples {
            Samples::Counters(all) => counters.extend(all.iter().map(|(labels, count)| named(labels).with("Count", *count))),
            Samples::Gauge(value) => gauges.push(named(&Vec::new()).with("Value", number(*value))),
            Samples::Histogram(taken) => {
                samples.push(named(&Vec::new()).with("Count", taken.count).with("Sum", number(taken.sum_seconds)));
            }
        }
    }
    Object::new().with("Timestamp", now.to_string()).with("Counters", counters).with("Gauges", gauges).with("Samples", samples)
}

fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}

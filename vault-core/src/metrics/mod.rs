//! What the vault counts of itself, from opening to closing: atomics that are counted at the pipeline and read by whoever asks.
//!
//! A read costs two increments on a stripe of its thread, and looks at no clock. Labels come from closed sets: never a path, never a name.

mod histogram;
mod render;
mod stripes;

pub(crate) use histogram::Histogram;
pub(crate) use render::{CONTENT_TYPE, Family, Gauge, to_text, to_value};

use crate::types::{Class, Operation};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use stripes::Stripes;

/// What a request went to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing that is there, or the request came to no route.
    #[default]
    None,
    /// The vault's own paths.
    System,
    /// A mounted engine.
    Secrets,
    /// The token's own cubbyhole.
    Cubbyhole,
}

/// How a caller was found to be who it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// By what was learned with an earlier request.
    Known,
    /// By the store.
    LookedUp,
    /// Not at all.
    Refused,
}

/// How a rotation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RotationOutcome {
    Succeeded,
    Failed,
}

const TARGETS: [Target; 4] = [Target::None, Target::System, Target::Secrets, Target::Cubbyhole];
const OPERATIONS: [Operation; 5] = [Operation::Read, Operation::List, Operation::Write, Operation::Patch, Operation::Delete];
const CLASSES: [Class; 10] = [
    Class::InvalidRequest,
    Class::PermissionDenied,
    Class::NotFound,
    Class::Sealed,
    Class::RateLimited,
    Class::Conflict,
    Class::Unavailable,
    Class::Corrupt,
    Class::Rollback,
    Class::Internal,
];
/// Success, and each class of failure.
const OUTCOMES: usize = CLASSES.len() + 1;
const REQUESTS: usize = TARGETS.len() * OPERATIONS.len() * OUTCOMES;
const AUTHENTICATIONS: usize = 3;

/// The figures of one open vault.
pub(crate) struct Metrics {
    /// Of requests by target, operation and outcome; behind them those of authentications.
    counts: Stripes,
    audit_failures: AtomicU64,
    rotations: [AtomicU64; 2],
    ticks: [AtomicU64; 2],
    unseal_failures: AtomicU64,
    issuance: Histogram,
    revocation: Histogram,
    account_gone: Histogram,
    irrevocable: AtomicU64,
    commit: Histogram,
    unseal: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            counts: Stripes::new(REQUESTS + AUTHENTICATIONS),
            audit_failures: AtomicU64::new(0),
            rotations: Default::default(),
            ticks: Default::default(),
            unseal_failures: AtomicU64::new(0),
            issuance: Histogram::new(&histogram::FAST),
            revocation: Histogram::new(&histogram::SLOW),
            account_gone: Histogram::new(&histogram::LONG),
            irrevocable: AtomicU64::new(0),
            commit: Histogram::new(&histogram::FAST),
            unseal: Histogram::new(&histogram::SLOW),
        }
    }
}

impl Metrics {
    /// Counts a request that has ended.
    pub(crate) fn request(&self, target: Target, operation: Operation, failed: Option<Class>) {
        let outcome = failed.map_or(0, |class| 1 + CLASSES.iter().position(|known| *known == class).unwrap_or(CLASSES.len() - 1));
        self.counts.count(slot(target as usize, operation as usize, outcome));
    }

    /// Counts an authentication.
    pub(crate) fn authentication(&self, how: Authentication) {
        self.counts.count(REQUESTS + how as usize);
    }

    /// Counts a reply that could not be given since its record could not be written.
    pub(crate) fn audit_failure(&self) {
        self.audit_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a rotation of a credential.
    pub(crate) fn rotation(&self, outcome: RotationOutcome) {
        self.rotations[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a tick.
    pub(crate) fn tick(&self, succeeded: bool) {
        self.ticks[usize::from(!succeeded)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a token, or another credential, that was issued, and how long that took.
    pub(crate) fn issuance(&self, took: Duration) {
        self.issuance.observe(took);
    }

    /// Counts a revocation, and how long it took until it was durable and in effect.
    pub(crate) fn revocation(&self, took: Duration) {
        self.revocation.observe(took);
    }

    /// Counts an account that is gone from its target, and how long that took since its lease has ended.
    pub(crate) fn account_gone(&self, took: Duration) {
        self.account_gone.observe(took);
    }

    /// Counts a lease whose target was told in vain as often as it is tried.
    pub(crate) fn irrevocable(&self) {
        self.irrevocable.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a commit that a request has waited for.
    pub(crate) fn commit(&self, took: Duration) {
        self.commit.observe(took);
    }

    /// Counts an unsealing: how long from the key to an unsealed vault, or that it failed.
    pub(crate) fn unseal(&self, took: Option<Duration>) {
        match took {
            Some(took) => self.unseal.observe(took),
            None => drop(self.unseal_failures.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// All requests that have ended so far.
    pub(crate) fn requests(&self) -> u64 {
        self.counts.sums()[..REQUESTS].iter().sum()
    }

    /// All figures, with what their holder adds of the present moment.
    pub(crate) fn families(&self, gauges: &[Gauge]) -> Vec<Family> {
        render::families(self, gauges)
    }
}

fn slot(target: usize, operation: usize, outcome: usize) -> usize {
    (target * OPERATIONS.len() + operation) * OUTCOMES + outcome
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;

//! What a rotation was configured to do: its strategy, its patience and its limits.

use crate::types::limits::{ROTATION_ATTEMPTS_MAX, ROTATION_FAILING_LOGINS_MAX, ROTATION_WAIT_SECONDS_MAX};

/// How a credential is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// One account, whose password is replaced. `by_itself` where the account sets its own password and no other account manages it.
    SingleAccount {
        /// The account logs in with its own password to change it.
        by_itself: bool,
    },
    /// Two accounts in turn: the idle one gets a new password, is tested and becomes the current one; the other works on through its grace.
    TwoAccounts {
        /// What becomes of the other one after its grace.
        retire: Retire,
    },
    /// No target: a new value becomes the current one at once.
    GenerateAndStore,
}

/// What becomes of an old account after its grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retire {
    /// Its password is set to a random one that nobody keeps.
    Close,
    /// It keeps its password, which the vault goes on knowing, until it is its turn again.
    Keep,
}

/// What a rotation was configured to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// How the credential is replaced.
    pub strategy: Strategy,
    /// How long the old credential is kept after the new one was promoted, in seconds.
    pub grace_seconds: u64,
    /// How often one rotation may fail before it stops and asks for an operator; at least 1.
    pub attempts_max: u32,
    /// The wait after the first failure, in seconds; each further failure doubles it.
    pub backoff_first_seconds: u64,
    /// The longest wait after a failure, in seconds.
    pub backoff_max_seconds: u64,
    /// How long a target may still be carrying out what it gave no answer to, in seconds.
    pub settle_seconds: u64,
    /// Most logins that may fail at the target within an hour; at least 1.
    pub failing_logins_per_hour_max: u32,
}

/// A plan that cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A rotation that may not fail even once.
    #[error("attempts_max must be from 1 to {ROTATION_ATTEMPTS_MAX}")]
    Attempts,
    /// Without a login nothing can be tested.
    #[error("failing_logins_per_hour_max must be from 1 to {ROTATION_FAILING_LOGINS_MAX}")]
    Logins,
    /// A wait out of its bounds.
    #[error("waits must be at most {ROTATION_WAIT_SECONDS_MAX} seconds, and a back-off at least 1 second and at most its maximum")]
    Waits,
}

impl Plan {
    /// A plan with the usual patience: a grace of a day, 6 attempts from 10 seconds to 15 minutes apart, 3 failing logins an hour.
    #[must_use]
    pub const fn new(strategy: Strategy) -> Self {
        Plan {
            strategy,
            grace_seconds: 86_400,
            attempts_max: 6,
            backoff_first_seconds: 10,
            backoff_max_seconds: 900,
            settle_seconds: 60,
            failing_logins_per_hour_max: 3,
        }
    }

    /// Looks at a plan that came from outside.
    ///
    /// # Errors
    /// [`PlanError`] when it cannot be carried out.
    pub fn check(&self) -> Result<(), PlanError> {
        let long = |seconds: u64| seconds > ROTATION_WAIT_SECONDS_MAX;
        if !(1..=ROTATION_ATTEMPTS_MAX).contains(&self.attempts_max) {
            return Err(PlanError::Attempts);
        }
        if !(1..=ROTATION_FAILING_LOGINS_MAX).contains(&self.failing_logins_per_hour_max) {
            return Err(PlanError::Logins);
        }
        if self.backoff_first_seconds == 0
            || self.backoff_first_seconds > self.backoff_max_seconds
            || long(self.backoff_max_seconds)
            || long(self.settle_seconds)
            || long(self.grace_seconds)
        {
            return Err(PlanError::Waits);
        }
        Ok(())
    }

    /// The wait after so many failures, in milliseconds: doubled for each, and lengthened by up to a quarter by the jitter.
    pub(super) fn backoff_millis(&self, failures: u32, jitter_permille: u32) -> u64 {
        let doubled = self.backoff_first_seconds.saturating_mul(1_u64 << failures.saturating_sub(1).min(32));
        let millis = doubled.min(self.backoff_max_seconds).saturating_mul(1000);
        millis.saturating_add(millis / 4000 * u64::from(jitter_permille.min(1000)))
    }

    pub(super) const fn is_by_itself(&self) -> bool {
        matches!(self.strategy, Strategy::SingleAccount { by_itself: true })
    }

    pub(super) const fn is_two(&self) -> bool {
        matches!(self.strategy, Strategy::TwoAccounts { .. })
    }
}

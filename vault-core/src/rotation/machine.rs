//! The machine: one step from what is durable and what happened to what is to be durable next and asked then.

use super::attention::{Reason, Why};
use super::messages::{Ask, Authenticate, Input, Moment, Record, Rejected, Step, Task};
use super::plan::{Plan, Retire, Strategy};
use super::state::{Credential, Finish, Phase, State};
use crate::types::limits::ROTATION_ABANDONED_MAX;

const HOUR_MILLIS: u64 = 3_600_000;

/// A step that is being made.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) state: State,
    pub(super) now: u64,
    jitter_permille: u32,
    pub(super) records: Vec<Record>,
}

/// What follows from a state and what happened.
///
/// # Errors
/// [`Rejected`] when what happened has no meaning in this state, which then stays as it is.
pub fn step(plan: &Plan, state: &State, input: Input, moment: Moment) -> Result<Step, Rejected> {
    let now = moment.now.as_millis();
    let mut run = Run { plan, state: state.clone(), now, jitter_permille: moment.jitter_permille, records: Vec::new() };
    run.bear_clock_steps();
    match input {
        Input::Tick => {}
        Input::Restarted => run.restarted(),
        Input::Answer(number, answer) => run.answered(number, answer)?,
        Input::Begin => run.begin_wanted()?,
        Input::Rehearse => run.rehearsal_wanted()?,
        Input::RollBack => run.roll_back_wanted()?,
        Input::Retry => run.retry()?,
        Input::EndGrace => run.end_grace()?,
        Input::Give => run.give()?,
    }
    if run.state.roll_back_wanted && !run.state.asked {
        run.state.roll_back_wanted = false;
        // What was in flight may have ended the run, so that nothing is left to roll back.
        let _ended = run.roll_back();
    }
    let ask = run.proceed();
    Ok(Step { state: run.state, records: run.records, ask })
}

impl Run<'_> {
    /// A clock that was set back makes no wait longer than it can be, and no failing login younger than now.
    fn bear_clock_steps(&mut self) {
        let grace = if self.state.phase == Phase::Grace { self.plan.grace_seconds } else { 0 };
        let longest = self.plan.backoff_millis(u32::MAX, 1000).max(HOUR_MILLIS).max(grace.saturating_mul(1000));
        self.state.wake_millis = self.state.wake_millis.min(self.now.saturating_add(longest));
        self.state.settled_millis = self.state.settled_millis.min(self.settled());
        self.state.promoted_millis = self.state.promoted_millis.min(self.now);
        let now = self.now;
        self.state.logins_millis.iter_mut().for_each(|at| *at = (*at).min(now));
        self.state.logins_millis.retain(|at| now - *at < HOUR_MILLIS);
    }

    /// When the target is done with what it gave no answer to.
    pub(super) fn settled(&self) -> u64 {
        self.now.saturating_add(self.plan.settle_seconds.saturating_mul(1000))
    }

    /// Begins a run; the state is idle.
    pub(super) fn begin(&mut self, rehearsal: bool) {
        self.state.failures = 0;
        self.state.gave_up = None;
        self.state.rehearsal = rehearsal;
        match self.plan.strategy {
            Strategy::GenerateAndStore if rehearsal => self.finish(Finish::Rehearsed),
            Strategy::SingleAccount { .. } if rehearsal => self.go(Phase::Checking),
            strategy => {
                let slot = if self.plan.is_two() { self.state.current.slot.other() } else { self.state.current.slot };
                let value = self.state.new_value();
                self.records.push(Record::Generate(value));
                self.state.pending = Some(Credential { slot, value });
                if strategy == Strategy::GenerateAndStore { self.promote(true) } else { self.go(Phase::Setting) }
            }
        }
    }

    /// Goes on to a phase, at once.
    pub(super) fn go(&mut self, phase: Phase) {
        self.state.phase = phase;
        self.state.wake_millis = self.now;
        self.state.tried = 0;
    }

    /// Ends a run.
    pub(super) fn finish(&mut self, how: Finish) {
        self.go(Phase::Idle);
        self.state.rehearsal = false;
        self.state.gave_up = None;
        self.state.last = Some(how);
    }

    /// What is pending becomes what readers are given. The caller has seen it work, or there is no target.
    pub(super) fn promote(&mut self, old_worked: bool) {
        let Some(new) = self.state.pending.take() else { return };
        self.records.push(Record::Promote(new));
        // The account has the new password, so it has none of those any more.
        let idle = self.state.idle.take();
        let others: Vec<_> = self.state.abandoned.drain(..).chain(idle).collect();
        others.into_iter().for_each(|other| self.forget(other));
        let old = std::mem::replace(&mut self.state.current, new);
        self.state.last = Some(Finish::Rotated { old_worked });
        if old.value.is_known() {
            self.state.previous = Some(old);
            self.begin_grace();
        } else {
            // Nobody of us has used it.
            self.state.promoted_millis = self.now;
            self.state.failures = 0;
            self.go(Phase::Idle);
        }
    }

    pub(super) fn begin_grace(&mut self) {
        self.state.promoted_millis = self.now;
        self.state.failures = 0;
        self.resume_grace();
    }

    /// Waits for the end of a grace that has begun.
    pub(super) fn resume_grace(&mut self) {
        self.state.phase = Phase::Grace;
        self.state.wake_millis = self.state.promoted_millis.saturating_add(self.plan.grace_seconds.saturating_mul(1000));
    }

    /// Ends the grace.
    pub(super) fn retire(&mut self) {
        self.state.failures = 0;
        match self.plan.strategy {
            Strategy::TwoAccounts { retire: Retire::Close } => self.go(Phase::Closing),
            Strategy::TwoAccounts { retire: Retire::Keep } => {
                self.state.idle = self.state.previous.take();
                self.go(Phase::Idle);
            }
            Strategy::SingleAccount { .. } | Strategy::GenerateAndStore => {
                if let Some(previous) = self.state.previous.take() {
                    self.forget(previous);
                }
                self.go(Phase::Idle);
            }
        }
    }

    pub(super) fn forget(&mut self, credential: Credential) {
        self.records.push(Record::Forget(credential.value));
    }

    /// Keeps what was pending as something that a late target could still set.
    pub(super) fn abandon(&mut self) {
        let Some(pending) = self.state.pending.take() else { return };
        self.state.abandoned.push(pending);
        if self.state.abandoned.len() > ROTATION_ABANDONED_MAX {
            let oldest = self.state.abandoned.remove(0);
            self.forget(oldest);
        }
    }

    /// Counts a failure that another try makes no worse, and waits; at the limit it gives up.
    pub(super) fn fail_and_wait(&mut self, why: Why) {
        self.state.failures = self.state.failures.saturating_add(1);
        self.state.wake_millis = self.now.saturating_add(self.plan.backoff_millis(self.state.failures, self.jitter_permille));
        if self.state.failures >= self.plan.attempts_max {
            self.give_up(why);
        }
    }

    /// Counts a failure; what another try cannot mend gives up at once.
    pub(super) fn fail(&mut self, why: Why) {
        match why {
            Why::Misconfigured | Why::Unauthenticated => self.give_up(why),
            Why::Refused | Why::Unreachable | Why::Unknown | Why::NotDone => self.fail_and_wait(why),
        }
    }

    /// Stops: a rehearsal and a login that the target refuses are put back, everything else waits for an operator.
    pub(super) fn give_up(&mut self, why: Why) {
        let reason = Reason { phase: self.state.phase, why };
        let refused = !self.plan.is_two() && self.state.has_current() && self.state.phase == Phase::TestingNew && why == Why::Refused;
        match self.state.phase {
            Phase::Checking | Phase::TestingCurrent => self.finish(Finish::RehearsalFailed { reason }),
            Phase::TestingGiven => self.give_back(reason),
            Phase::Setting | Phase::TestingNew | Phase::TestingKept if self.state.rehearsal || refused => {
                self.state.gave_up = Some(reason);
                self.undo();
            }
            _ => self.state.attention = Some(reason),
        }
    }

    /// What this phase asks of the target.
    pub(super) fn task(&self) -> Option<Task> {
        let state = &self.state;
        let by = |value: Option<Credential>| match value {
            Some(own) if self.plan.is_by_itself() => Authenticate::Itself(own.value),
            _ => Authenticate::Manager,
        };
        match state.phase {
            Phase::Idle | Phase::Grace => None,
            Phase::Setting => state.pending.map(|new| Task::Set(new, by(Some(state.current)))),
            Phase::TestingNew => state.pending.map(Task::Test),
            Phase::TestingOld | Phase::TestingBack => Some(Task::Test(state.candidate())),
            Phase::TestingKept | Phase::TestingCurrent => Some(Task::Test(state.current)),
            Phase::Closing => state.previous.or(state.pending).map(|unwanted| Task::Close(unwanted.slot)),
            Phase::TestingClosed => state.previous.or(state.pending).map(Task::Test),
            Phase::SettingBack => Some(Task::Set(state.current, by(state.pending))),
            Phase::TestingPrevious => state.previous.map(Task::Test),
            Phase::Checking => Some(Task::Check),
            Phase::TestingGiven => state.given.map(Task::Test),
        }
    }

    /// Asks what is due.
    fn proceed(&mut self) -> Option<Ask> {
        if self.state.asked || self.state.attention.is_some() {
            return None;
        }
        if self.state.phase == Phase::Grace && self.is_due() {
            self.retire();
        }
        let may_begin = self.state.has_current() || !self.plan.is_by_itself();
        if self.state.phase == Phase::Idle && self.state.again_wanted && may_begin {
            self.state.again_wanted = false;
            self.begin(false);
        }
        let task = self.task()?;
        if !self.is_due() || (logs_in(task) && !self.may_log_in()) {
            return None;
        }
        self.state.asked = true;
        self.state.ask += 1;
        Some(Ask { number: self.state.ask, task })
    }

    fn is_due(&self) -> bool {
        self.now >= self.state.wake_millis.max(self.state.settled_millis)
    }

    /// Counts a login as failing until its answer says otherwise; waits where there were too many of them.
    fn may_log_in(&mut self) -> bool {
        let most = self.plan.failing_logins_per_hour_max as usize;
        let logins = &mut self.state.logins_millis;
        if let Some(oldest) = logins.first().filter(|_| logins.len() >= most) {
            self.state.wake_millis = oldest.saturating_add(HOUR_MILLIS);
            return false;
        }
        logins.push(self.now);
        true
    }
}

/// Whether a task logs in with a password of the rotation, which may fail.
pub(super) const fn logs_in(task: Task) -> bool {
    matches!(task, Task::Test(_) | Task::Set(_, Authenticate::Itself(_)))
}

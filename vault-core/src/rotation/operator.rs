//! What operators can want of a rotation.

use super::attention::Reason;
use super::machine::Run;
use super::messages::{Record, Rejected};
use super::plan::Strategy;
use super::state::{Credential, Finish, Phase};

impl Run<'_> {
    pub(super) fn begin_wanted(&mut self) -> Result<(), Rejected> {
        if self.state.attention.is_some() {
            return Err(Rejected::NeedsAttention);
        }
        match self.state.phase {
            Phase::Idle if self.plan.is_by_itself() && !self.state.has_current() => return Err(Rejected::Unknown),
            Phase::Idle => self.begin(false),
            // The old password does not work any more, so nobody loses anything.
            Phase::Grace if !self.plan.is_two() => {
                self.retire();
                self.begin(false);
            }
            Phase::Grace | Phase::Closing | Phase::TestingClosed if self.state.previous.is_some() => self.state.again_wanted = true,
            _ => return Err(Rejected::Busy),
        }
        Ok(())
    }

    pub(super) fn rehearsal_wanted(&mut self) -> Result<(), Rejected> {
        match (self.state.attention, self.state.phase) {
            (Some(_), _) => Err(Rejected::NeedsAttention),
            (None, Phase::Idle) if !self.state.has_current() && self.plan.strategy != Strategy::GenerateAndStore => Err(Rejected::Unknown),
            (None, Phase::Idle) => {
                self.begin(true);
                Ok(())
            }
            (None, _) => Err(Rejected::Busy),
        }
    }

    pub(super) fn roll_back_wanted(&mut self) -> Result<(), Rejected> {
        if self.state.asked {
            self.state.roll_back_wanted = true;
            return Ok(());
        }
        self.roll_back()
    }

    pub(super) fn roll_back(&mut self) -> Result<(), Rejected> {
        match self.state.phase {
            Phase::Idle if self.state.attention.is_some() => self.state.attention = None,
            Phase::Idle => return Err(Rejected::NothingToDo),
            Phase::Setting | Phase::TestingNew if !self.state.has_current() && !self.plan.is_two() => return Err(Rejected::Unknown),
            Phase::Setting | Phase::TestingNew | Phase::TestingOld | Phase::TestingKept => {
                self.state.rehearsal = false;
                self.undo();
            }
            Phase::Grace => self.roll_back_promotion(),
            // The old account is left as it is; the vault goes on knowing its password.
            Phase::Closing | Phase::TestingClosed if self.state.previous.is_some() => {
                self.state.attention = None;
                self.state.idle = self.state.previous.take();
                self.go(Phase::Idle);
            }
            Phase::Closing | Phase::TestingClosed | Phase::TestingBack | Phase::SettingBack => return Err(Rejected::RollingBack),
            Phase::TestingPrevious => {
                self.state.attention = None;
                self.resume_grace();
            }
            Phase::Checking | Phase::TestingCurrent => self.finish(Finish::RolledBack),
            Phase::TestingGiven => {
                self.forget_given();
                self.state.phase = self.state.before_given;
                return self.roll_back();
            }
        }
        Ok(())
    }

    /// Puts back a run that has not promoted anything.
    pub(super) fn undo(&mut self) {
        self.state.attention = None;
        self.state.failures = 0;
        self.go(if self.plan.is_two() { Phase::Closing } else { Phase::TestingBack });
    }

    /// What the run had begun is gone from the target.
    pub(super) fn undone(&mut self) {
        self.abandon();
        let (gave_up, rehearsal) = (self.state.gave_up, self.state.rehearsal);
        self.finish(match gave_up {
            Some(reason) if rehearsal => Finish::RehearsalFailed { reason },
            None if rehearsal => Finish::Rehearsed,
            _ => Finish::RolledBack,
        });
        if let Some(reason) = gave_up.filter(|_| !rehearsal) {
            self.state.attention = Some(Reason { phase: Phase::Idle, ..reason });
        }
    }

    fn roll_back_promotion(&mut self) {
        self.state.attention = None;
        self.state.failures = 0;
        match self.plan.strategy {
            Strategy::TwoAccounts { .. } => self.go(Phase::TestingPrevious),
            // The way back is the way forth, with the old password.
            Strategy::SingleAccount { .. } => {
                self.state.pending = self.state.previous.take();
                self.go(Phase::Setting);
            }
            Strategy::GenerateAndStore => {
                self.state.pending = self.state.previous.take();
                self.promote(true);
                self.state.last = Some(Finish::RolledBack);
            }
        }
    }

    pub(super) fn retry(&mut self) -> Result<(), Rejected> {
        let reason = self.state.attention.take().ok_or(Rejected::NothingToDo)?;
        self.state.failures = 0;
        match self.state.phase {
            Phase::Idle if reason.phase == Phase::Idle => self.begin(false),
            Phase::Idle => {}
            Phase::Grace => self.resume_grace(),
            // Neither password works. A managing account can set the new one all the same, now that an operator wants it.
            Phase::TestingOld if !self.plan.is_by_itself() => self.go(Phase::Setting),
            Phase::TestingOld => self.go(Phase::TestingNew),
            phase => self.go(phase),
        }
        Ok(())
    }

    pub(super) fn end_grace(&mut self) -> Result<(), Rejected> {
        if self.state.phase != Phase::Grace || self.state.attention.is_some() {
            return Err(Rejected::NothingToDo);
        }
        self.state.wake_millis = self.now;
        Ok(())
    }

    /// A password that an operator gave is kept and tested; only then does it become the current one.
    pub(super) fn give(&mut self) -> Result<(), Rejected> {
        if self.plan.strategy == Strategy::GenerateAndStore {
            return Err(Rejected::NothingToDo);
        }
        if self.state.phase != Phase::Idle && self.state.attention.is_none() {
            return Err(Rejected::Busy);
        }
        let value = self.state.new_value();
        self.records.push(Record::KeepGiven(value));
        self.state.given = Some(Credential { slot: self.state.current.slot, value });
        self.state.before_given = self.state.phase;
        self.state.attention = None;
        self.state.failures = 0;
        // What a rehearsal left is put back, but the password counts.
        self.state.rehearsal = false;
        self.state.gave_up = None;
        self.go(Phase::TestingGiven);
        Ok(())
    }

    /// The password that was given is of no use: everything is as before.
    pub(super) fn give_back(&mut self, reason: Reason) {
        self.forget_given();
        self.state.phase = self.state.before_given;
        self.state.attention = Some(reason);
    }

    fn forget_given(&mut self) {
        if let Some(given) = self.state.given.take() {
            self.forget(given);
        }
    }

    /// The password that was given works, so what the vault took for the current one does not.
    pub(super) fn adopt(&mut self) {
        let Some(given) = self.state.given.take() else { return };
        self.records.push(Record::Promote(given));
        let old = std::mem::replace(&mut self.state.current, given);
        if old.value.is_known() {
            self.forget(old);
        }
        let pending = self.state.pending.is_some();
        if !self.plan.is_two() {
            self.abandon();
        }
        self.finish(Finish::Adopted);
        if self.state.previous.is_some() {
            match self.state.before_given {
                // It may be closed already: it has no grace any more.
                Phase::Closing | Phase::TestingClosed => self.go(Phase::Closing),
                _ => self.resume_grace(),
            }
        } else if pending && self.plan.is_two() {
            self.undo();
        }
    }
}

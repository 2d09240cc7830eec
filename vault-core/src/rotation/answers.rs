//! What follows from a target's answer, phase by phase.

use super::attention::Why;
use super::machine::{Run, logs_in};
use super::messages::{Answer, Record, Rejected};
use super::plan::{Retire, Strategy};
use super::state::{Finish, Phase};
use crate::host::ConnectorFailure;

impl Run<'_> {
    /// The answer to what is in flight.
    pub(super) fn answered(&mut self, number: u64, answer: Answer) -> Result<(), Rejected> {
        if !self.state.asked || number != self.state.ask {
            return Err(Rejected::Stale);
        }
        // No login failed where it succeeded or was never tried.
        let harmless = matches!(answer, Ok(()) | Err(ConnectorFailure::Unreachable | ConnectorFailure::Misconfigured));
        if harmless && self.task().is_some_and(logs_in) {
            self.state.logins_millis.pop();
        }
        self.take(answer.map_err(Why::from));
        Ok(())
    }

    /// What was in flight when the process ended may have been done or not, and may have been a login that failed.
    pub(super) fn restarted(&mut self) {
        if self.state.asked {
            self.take(Err(Why::Unknown));
        }
    }

    fn take(&mut self, answer: Result<(), Why>) {
        self.state.asked = false;
        if answer == Err(Why::Unknown) {
            self.state.settled_millis = self.settled();
        }
        match self.state.phase {
            Phase::Idle | Phase::Grace => {}
            Phase::Setting => self.set(answer, Phase::TestingNew),
            Phase::SettingBack => self.set(answer, Phase::TestingBack),
            Phase::TestingNew => self.tested_new(answer),
            Phase::TestingOld => self.tested_old(answer),
            Phase::TestingKept => self.tested_kept(answer),
            Phase::Closing => self.closed(answer),
            Phase::TestingClosed => self.tested_closed(answer),
            Phase::TestingBack => self.tested_back(answer),
            Phase::TestingPrevious => self.tested_previous(answer),
            Phase::Checking => match answer {
                Ok(()) => self.go(Phase::TestingCurrent),
                Err(why) => self.fail(why),
            },
            Phase::TestingCurrent => match answer {
                Ok(()) => self.finish(Finish::Rehearsed),
                Err(why) => self.fail(why),
            },
            Phase::TestingGiven => match answer {
                Ok(()) => self.adopt(),
                Err(why) => self.fail(why),
            },
        }
    }

    /// An Ok is believed only after a test; what may be done is tested too, once the target has settled.
    fn set(&mut self, answer: Result<(), Why>, test: Phase) {
        match answer {
            Ok(()) | Err(Why::Unknown) => self.go(test),
            // The account's own password is not what the vault took it for: which one works is to be found out.
            Err(Why::Unauthenticated) if self.plan.is_by_itself() => {
                self.state.phase = test;
                self.fail_and_wait(Why::Unauthenticated);
            }
            Err(why) => self.fail(why),
        }
    }

    fn tested_new(&mut self, answer: Result<(), Why>) {
        match answer {
            Ok(()) if self.plan.is_two() && self.state.has_current() => self.go(Phase::TestingKept),
            Ok(()) => self.promote(!self.plan.is_two()),
            // Where no other password is known the new one is set again.
            Err(Why::Unauthenticated) if self.plan.is_two() || !self.state.has_current() => {
                self.state.phase = Phase::Setting;
                self.fail(Why::NotDone);
            }
            Err(Why::Unauthenticated) => self.go(Phase::TestingOld),
            Err(why) => self.fail(why),
        }
    }

    fn tested_old(&mut self, answer: Result<(), Why>) {
        match answer {
            Ok(()) => {
                self.found();
                self.state.phase = Phase::Setting;
                self.fail(Why::NotDone);
            }
            Err(Why::Unauthenticated) if self.try_next() => {}
            Err(why) => self.fail(why),
        }
    }

    /// Goes on to the next of the passwords that were abandoned, which a late target may have set; whether there is one.
    fn try_next(&mut self) -> bool {
        let is_one_left = (self.state.tried as usize) < self.state.abandoned.len();
        self.state.tried += u32::from(is_one_left);
        is_one_left
    }

    /// What was tried works: where that is one that was abandoned it is what readers are to be given.
    fn found(&mut self) {
        if let Some(at) = self.state.tried_at() {
            let found = self.state.abandoned[at];
            self.records.push(Record::Promote(found));
            self.state.last = Some(Finish::Adopted);
            // The old one is kept in its place: it may come late too.
            self.state.abandoned[at] = std::mem::replace(&mut self.state.current, found);
        }
        self.state.tried = 0;
    }

    /// The new account works. Where the old one does not, somebody broke it, and the new one is the better.
    fn tested_kept(&mut self, answer: Result<(), Why>) {
        let old_worked = match answer {
            Ok(()) => true,
            Err(Why::Unauthenticated) => false,
            Err(why) => return self.fail(why),
        };
        match self.plan.strategy {
            _ if !self.state.rehearsal => self.promote(old_worked),
            Strategy::TwoAccounts { retire: Retire::Keep } => {
                let idle = std::mem::replace(&mut self.state.idle, self.state.pending.take());
                let others: Vec<_> = self.state.abandoned.drain(..).chain(idle).collect();
                others.into_iter().for_each(|other| self.forget(other));
                self.finish(Finish::Rehearsed);
            }
            _ => {
                self.state.failures = 0;
                self.go(Phase::Closing);
            }
        }
    }

    fn closed(&mut self, answer: Result<(), Why>) {
        match answer {
            Ok(()) | Err(Why::Unknown) => self.go(Phase::TestingClosed),
            Err(why) => self.fail(why),
        }
    }

    /// Here a refusal is what is hoped for.
    fn tested_closed(&mut self, answer: Result<(), Why>) {
        match answer {
            Ok(()) => {
                self.state.phase = Phase::Closing;
                self.fail(Why::NotDone);
            }
            Err(Why::Unauthenticated) => match self.state.previous.take() {
                Some(previous) => {
                    self.forget(previous);
                    self.go(Phase::Idle);
                }
                None => self.undone(),
            },
            Err(why) => self.fail(why),
        }
    }

    fn tested_back(&mut self, answer: Result<(), Why>) {
        match answer {
            Ok(()) => {
                self.found();
                self.undone();
            }
            // An account that manages it puts the current one back without knowing which one it has.
            Err(Why::Unauthenticated) if self.plan.is_by_itself() && self.try_next() => {}
            Err(Why::Unauthenticated) => {
                self.fail_and_wait(Why::Unauthenticated);
                if self.state.attention.is_none() {
                    self.go(Phase::SettingBack);
                }
            }
            Err(why) => self.fail(why),
        }
    }

    fn tested_previous(&mut self, answer: Result<(), Why>) {
        match (answer, self.state.previous) {
            (Ok(()), Some(previous)) => {
                self.records.push(Record::Promote(previous));
                self.state.previous = Some(std::mem::replace(&mut self.state.current, previous));
                self.state.last = Some(Finish::RolledBack);
                self.begin_grace();
            }
            (Err(Why::Unauthenticated), _) => {
                self.give_up(Why::Unauthenticated);
                self.resume_grace();
            }
            (Err(why), _) => self.fail(why),
            (Ok(()), None) => self.resume_grace(),
        }
    }
}

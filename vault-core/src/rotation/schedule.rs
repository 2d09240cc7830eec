//! When a rotation is due by the clock: by period, by cron; and what a clock that is set does to it. What makes it due by use is not here.

use super::cron::CronWindow;
use crate::types::Timestamp;
use crate::types::limits::ROTATION_WAIT_SECONDS_MAX;
use minicbor::{Decode, Encode};

/// Shortest period, in seconds: a rotation that never ends is not one.
const PERIOD_SECONDS_MIN: u64 = 5;

/// A schedule that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// No cron expression.
    #[error("write a cron expression with five fields: minute, hour, day of the month, month, day of the week, such as \"0 2 * * SUN\"")]
    Cron,
    /// A cron expression for a day that does not exist.
    #[error("this cron expression never fires: correct its day and month")]
    Never,
    /// No such zone.
    #[error("unknown time zone: write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"")]
    TimeZone,
    /// A window that is too long.
    #[error("a window is at most {ROTATION_WAIT_SECONDS_MAX} seconds long")]
    Window,
    /// A period out of its bounds.
    #[error("a period is from {PERIOD_SECONDS_MIN} to {ROTATION_WAIT_SECONDS_MAX} seconds long")]
    Period,
    /// A jitter out of its bounds.
    #[error("a jitter is at most as long as the period or half the window, and at most {ROTATION_WAIT_SECONDS_MAX} seconds")]
    Jitter,
}

/// What the clock has to do with it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Timing {
    /// Nothing: it runs when somebody wants it.
    OnDemand,
    /// So many seconds after the last run.
    Period {
        /// The length in seconds.
        seconds: u64,
    },
    /// When a cron expression fires, within its window.
    Cron(Box<CronWindow>),
}

/// When a rotation is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    timing: Timing,
    jitter_seconds_max: u64,
}

/// When it last ran and when it runs next; kept with the rotation's state, so that a clock that is set is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Due {
    /// The last run, or the enrolment; milliseconds since the Unix epoch.
    #[n(0)]
    pub last_millis: u64,
    /// The next run; nothing when no clock starts it. Milliseconds since the Unix epoch.
    #[n(1)]
    pub next_millis: Option<u64>,
    /// The chance that was drawn for the next run, from 0 to 1,000.
    #[n(2)]
    pub jitter_permille: u32,
}

impl Schedule {
    /// A schedule by the clock.
    ///
    /// # Errors
    /// [`ScheduleError::Period`] when the period is out of its bounds.
    pub fn new(timing: Timing) -> Result<Self, ScheduleError> {
        if let Timing::Period { seconds } = timing
            && !(PERIOD_SECONDS_MIN..=ROTATION_WAIT_SECONDS_MAX).contains(&seconds)
        {
            return Err(ScheduleError::Period);
        }
        Ok(Schedule { timing, jitter_seconds_max: 0 })
    }

    /// Puts runs off by a random time of up to so many seconds, so that not all start at once.
    ///
    /// # Errors
    /// [`ScheduleError::Jitter`] when it is longer than the period or than half the window: what looks at the clock now and then must
    /// still find the window open.
    pub fn with_jitter(mut self, seconds_max: u64) -> Result<Self, ScheduleError> {
        let most = match &self.timing {
            Timing::Period { seconds } => *seconds,
            Timing::Cron(cron) if cron.window_seconds() > 0 => cron.window_seconds() / 2,
            _ => ROTATION_WAIT_SECONDS_MAX,
        };
        if seconds_max > most {
            return Err(ScheduleError::Jitter);
        }
        self.jitter_seconds_max = seconds_max;
        Ok(self)
    }

    /// When what last ran at `last` is due next, as it looks at `now`; nothing when no clock starts it. What was missed is due at an instant
    /// that has passed, however often it was missed.
    #[must_use]
    pub fn next_due(&self, last: Timestamp, now: Timestamp, jitter_permille: u32) -> Option<Timestamp> {
        let next = match &self.timing {
            Timing::OnDemand => None,
            Timing::Period { seconds } => Some(Timestamp::from_millis(last.as_millis().saturating_add(seconds * 1000))),
            Timing::Cron(cron) => cron.due(last, now),
        }?;
        let jitter_millis = self.jitter_seconds_max * u64::from(jitter_permille.min(1000));
        Some(Timestamp::from_millis(next.as_millis().saturating_add(jitter_millis)))
    }

    /// What is to be kept when a run was begun, or the rotation enrolled; the chance of the next run is handed in.
    #[must_use]
    pub fn begun(&self, now: Timestamp, jitter_permille: u32) -> Due {
        let next_millis = self.next_due(now, now, jitter_permille).map(Timestamp::as_millis);
        Due { last_millis: now.as_millis(), next_millis, jitter_permille }
    }

    /// What is to be kept after a look at the clock, and whether a run is due. A clock that was set back starts the wait anew, once; one that
    /// was set forth makes it due, once.
    #[must_use]
    pub fn look(&self, due: &Due, now: Timestamp) -> (Due, bool) {
        let kept = if due.last_millis > now.as_millis() {
            self.begun(now, due.jitter_permille)
        } else {
            let next = self.next_due(Timestamp::from_millis(due.last_millis), now, due.jitter_permille);
            Due { next_millis: next.map(Timestamp::as_millis), ..*due }
        };
        let by_clock = kept.next_millis.is_some_and(|next| next <= now.as_millis());
        (kept, by_clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const YEAR: u64 = 365 * DAY;
    /// A Thursday of November 2026, 12:00 UTC.
    const NOON: u64 = 1_795_694_400;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn schedules() -> [Schedule; 3] {
        let cron = |window| Timing::Cron(Box::new(CronWindow::parse("0 2 * * *", "Europe/Berlin", window).unwrap()));
        [Timing::Period { seconds: DAY }, cron(0), cron(3 * 3600)].map(|timing| Schedule::new(timing).unwrap())
    }

    /// Looks every 10 minutes, and tells how often it ran.
    fn runs(schedule: &Schedule, due: &mut Due, from: u64, seconds: u64) -> u32 {
        let mut runs = 0;
        for now in (from..from + seconds).step_by(600) {
            let (kept, is_due) = schedule.look(due, at(now));
            *due = if is_due { schedule.begun(at(now), 0) } else { kept };
            runs += u32::from(is_due);
        }
        runs
    }

    #[test]
    fn a_day_has_one_run() {
        for schedule in schedules() {
            let mut due = schedule.begun(at(NOON), 0);
            assert_eq!(runs(&schedule, &mut due, NOON, 30 * DAY + 1200), 30, "{schedule:?}");
        }
    }

    #[test]
    fn what_was_missed_for_weeks_runs_once_at_once_or_in_the_next_window() {
        // In the 12 hours after noon no cron fires; in the 12 hours after them one does.
        for (schedule, at_once, at_night) in schedules().into_iter().zip([(1, 0), (1, 1), (0, 1)]).map(|(one, (a, b))| (one, a, b)) {
            let mut due = schedule.begun(at(NOON), 0);
            let noon = NOON + 30 * DAY;
            assert_eq!(runs(&schedule, &mut due, noon, DAY / 2), at_once, "{schedule:?}");
            assert_eq!(runs(&schedule, &mut due, noon + DAY / 2, DAY / 2), at_night, "{schedule:?}");
        }
    }

    #[test]
    fn a_clock_set_back_or_forth_by_years_neither_loses_nor_repeats_runs() {
        for schedule in schedules() {
            let mut due = schedule.begun(at(NOON), 0);
            assert_eq!(runs(&schedule, &mut due, NOON - 5 * YEAR, 10 * DAY + 1200), 10, "back: {schedule:?}");
            let forth = runs(&schedule, &mut due, NOON + 5 * YEAR, 10 * DAY + 1200);
            assert!((10..=11).contains(&forth), "forth: {forth} {schedule:?}");
            assert_eq!(runs(&schedule, &mut due, NOON, 10 * DAY + 1200), 10, "and right again: {schedule:?}");
        }
    }

    #[test]
    fn on_demand_no_clock_starts_it() {
        let schedule = Schedule::new(Timing::OnDemand).unwrap();
        let mut due = schedule.begun(at(NOON), 500);
        assert_eq!(due.next_millis, None);
        assert_eq!(runs(&schedule, &mut due, NOON, 30 * DAY), 0);
    }

    #[test]
    fn jitter_puts_off_within_its_bounds() {
        let [period, _, window] = schedules();
        let period = period.with_jitter(3600).unwrap();
        let next = |permille| period.next_due(at(NOON), at(NOON), permille).unwrap().as_secs();
        assert_eq!([next(0), next(500), next(1000), next(9999)], [NOON + DAY, NOON + DAY + 1800, NOON + DAY + 3600, NOON + DAY + 3600]);
        let refused = window.clone().with_jitter(3600 * 3 / 2 + 1);
        assert_eq!(refused.unwrap_err(), ScheduleError::Jitter, "it could miss its window");
        let window = window.with_jitter(3600 * 3 / 2).unwrap();
        let mut due = window.begun(at(NOON), 990);
        assert_eq!(runs(&window, &mut due, NOON, DAY), 1, "put off, it is still within its window");
    }

    #[test]
    fn a_period_out_of_bounds_is_refused() {
        for seconds in [0, 4, u64::MAX] {
            assert_eq!(Schedule::new(Timing::Period { seconds }).unwrap_err(), ScheduleError::Period);
        }
    }
}

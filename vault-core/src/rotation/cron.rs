//! A cron expression in a time zone, and the window that opens each time it fires.

use super::schedule::ScheduleError;
use crate::types::Timestamp;
use crate::types::limits::{CRON_BYTES_MAX, ROTATION_WAIT_SECONDS_MAX};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp as Instant, Zoned};

/// A cron expression of five fields (minute, hour, day of the month, month, day of the week) in a time zone.
///
/// Where summer time begins, what falls into the hour that is missing fires right after it; where it ends, what falls into the hour that comes
/// twice fires once, unless it fires every hour or minute anyway.
#[derive(Clone, Debug, PartialEq)]
pub struct CronWindow {
    cron: Cron,
    zone: TimeZone,
    window_seconds: u64,
}

impl CronWindow {
    /// Reads an expression. `zone` is a name of the IANA database, such as `Europe/Berlin` or `UTC`; the database is that of this library,
    /// not of the system. With a window of 0 seconds what was missed runs as soon as it can; else only while a window is open.
    ///
    /// # Errors
    /// [`ScheduleError`] when it is no expression, never fires, or the zone is not known.
    pub fn parse(expression: &str, zone: &str, window_seconds: u64) -> Result<Self, ScheduleError> {
        if expression.len() > CRON_BYTES_MAX {
            return Err(ScheduleError::Cron);
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|_| ScheduleError::Cron)?;
        let zone = TimeZoneDatabase::bundled().get(zone).map_err(|_| ScheduleError::TimeZone)?;
        if window_seconds > ROTATION_WAIT_SECONDS_MAX {
            return Err(ScheduleError::Window);
        }
        let window = CronWindow { cron, zone, window_seconds };
        window.after(Timestamp::EPOCH).ok_or(ScheduleError::Never)?;
        Ok(window)
    }

    /// How long it stays open, in seconds; 0 when it need not.
    #[must_use]
    pub fn window_seconds(&self) -> u64 {
        self.window_seconds
    }

    /// When it fires next after an instant; nothing past the year 9999.
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        self.cron.find_next_occurrence(&self.zoned(instant)?, false).ok().and_then(|next| timestamp(&next))
    }

    /// When it last fired, at an instant or before it.
    fn until(&self, instant: Timestamp) -> Option<Timestamp> {
        self.cron.find_previous_occurrence(&self.zoned(instant)?, true).ok().and_then(|last| timestamp(&last))
    }

    /// When what last ran at `last` is due, as it looks at `now`.
    pub(super) fn due(&self, last: Timestamp, now: Timestamp) -> Option<Timestamp> {
        if self.window_seconds == 0 || now <= last {
            return self.after(last);
        }
        let open = |from: &Timestamp| *from > last && now.as_secs() - from.as_secs() < self.window_seconds;
        self.until(now).filter(open).or_else(|| self.after(now))
    }

    fn zoned(&self, instant: Timestamp) -> Option<Zoned> {
        let millis = i64::try_from(instant.as_millis()).ok()?;
        Some(Instant::from_millisecond(millis).ok()?.to_zoned(self.zone.clone()))
    }
}

fn timestamp(at: &Zoned) -> Option<Timestamp> {
    u64::try_from(at.timestamp().as_millisecond()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        timestamp(&text.parse::<Instant>().unwrap().to_zoned(TimeZone::UTC)).unwrap()
    }

    fn daily(expression: &str, zone: &str, window_seconds: u64) -> CronWindow {
        CronWindow::parse(expression, zone, window_seconds).unwrap()
    }

    #[test]
    fn an_expression_that_is_none_or_never_fires_is_refused() {
        for expression in ["", "* * * *", "61 * * * *", "0 0 2 * * *", "@@", &"1,".repeat(200)] {
            assert_eq!(CronWindow::parse(expression, "UTC", 0).unwrap_err(), ScheduleError::Cron, "{expression}");
        }
        assert_eq!(CronWindow::parse("0 0 30 2 *", "UTC", 0).unwrap_err(), ScheduleError::Never);
        assert_eq!(CronWindow::parse("0 0 * * *", "Middle/Earth", 0).unwrap_err(), ScheduleError::TimeZone);
        assert_eq!(CronWindow::parse("0 0 * * *", "UTC", u64::MAX).unwrap_err(), ScheduleError::Window);
    }

    #[test]
    fn a_time_of_day_is_that_of_the_zone_summer_and_winter() {
        let berlin = daily("0 2 * * *", "Europe/Berlin", 0);
        assert_eq!(berlin.after(at("2026-01-10T12:00:00Z")), Some(at("2026-01-11T01:00:00Z")));
        assert_eq!(berlin.after(at("2026-07-10T12:00:00Z")), Some(at("2026-07-11T00:00:00Z")));
    }

    #[test]
    fn each_day_of_a_year_fires_once_though_an_hour_is_missing_or_comes_twice() {
        let berlin = daily("30 2 * * *", "Europe/Berlin", 0);
        let (mut from, end, mut fired) = (at("2025-12-31T23:00:00Z"), at("2026-12-31T23:00:00Z"), 0);
        while let Some(next) = berlin.after(from).filter(|next| *next < end) {
            assert!(next > from);
            (from, fired) = (next, fired + 1);
        }
        assert_eq!(fired, 365);
    }

    #[test]
    fn what_was_missed_waits_for_the_next_window() {
        let nightly = daily("0 2 * * *", "UTC", 2 * 3600);
        let last = at("2026-03-01T02:00:00Z");
        assert_eq!(nightly.due(last, at("2026-03-04T03:59:59Z")), Some(at("2026-03-04T02:00:00Z")), "open");
        assert_eq!(nightly.due(last, at("2026-03-04T04:00:00Z")), Some(at("2026-03-05T02:00:00Z")), "closed");
        assert_eq!(nightly.due(at("2026-03-04T02:10:00Z"), at("2026-03-04T03:00:00Z")), Some(at("2026-03-05T02:00:00Z")), "once a window");
        let at_once = daily("0 2 * * *", "UTC", 0);
        assert_eq!(at_once.due(last, at("2026-03-04T12:00:00Z")), Some(at("2026-03-02T02:00:00Z")), "overdue");
    }
}

//! Time as the vault knows it: instants of the vault's clock, and whole-second durations.

use super::{Code, Error, Result, Value};
use std::fmt;
use time::OffsetDateTime;

/// An instant: milliseconds since the Unix epoch, UTC. The latest is the end of the year 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

const TIMESTAMP_MILLIS_MAX: u64 = 253_402_300_799_999;

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// An instant from milliseconds since the epoch, clamped to the year 9999.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Timestamp(if millis > TIMESTAMP_MILLIS_MAX { TIMESTAMP_MILLIS_MAX } else { millis })
    }

    /// An instant from whole seconds since the epoch, clamped to the year 9999.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Timestamp::from_millis(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The instant `ttl` later.
    #[must_use]
    pub const fn plus(self, ttl: Ttl) -> Self {
        Timestamp::from_millis(self.0.saturating_add(ttl.as_secs().saturating_mul(1000)))
    }

    /// The instant that a text of RFC 3339 names; `None` where it names none from 1970 on.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let instant = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
        u64::try_from(instant.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp::from_millis)
    }

    /// Whole seconds until `later`, rounded up; zero when it has passed.
    #[must_use]
    pub const fn until(self, later: Timestamp) -> Ttl {
        Ttl::from_secs(later.0.saturating_sub(self.0).div_ceil(1000))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with milliseconds where there are some, such as `2026-11-23T18:04:00.25Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.as_secs()).map_err(|_| fmt::Error)?;
        let instant = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| fmt::Error)?;
        let (year, month, day) = instant.to_calendar_date();
        let (hour, minute, second) = instant.to_hms();
        // Written digit by digit: every read of a secret tells when it was made.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put_digits(&mut text[0..4], year.unsigned_abs());
        for (at, number) in [(5, u8::from(month)), (8, day), (11, hour), (14, minute), (17, second)] {
            put_digits(&mut text[at..at + 2], u32::from(number));
        }
        let millis = (self.0 % 1000) as u32;
        put_digits(&mut text[20..23], millis);
        let end = match millis {
            0 => 19,
            _ if millis.is_multiple_of(100) => 21,
            _ if millis.is_multiple_of(10) => 22,
            _ => 23,
        };
        text[end] = b'Z';
        f.write_str(std::str::from_utf8(&text[..=end]).map_err(|_| fmt::Error)?)
    }
}

/// Writes a number in decimal digits, as many as there are places.
fn put_digits(places: &mut [u8], mut number: u32) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A length of time in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ttl(u64);

impl Ttl {
    /// No time; for a token's TTL this means that it does not expire.
    pub const ZERO: Ttl = Ttl(0);

    /// A length of whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Ttl(secs)
    }

    /// The length in whole seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Parses a duration as users of the field write it: plain seconds (`"3600"`), or numbers with the units `s`, `m`, `h`, `d`
    /// in any sequence (`"1h30m"`, `"7d"`). The empty text is zero.
    ///
    /// # Errors
    /// `InvalidData` when the text is anything else, or past a hundred years.
    pub fn parse(text: &str) -> Result<Self> {
        let bad =
            || Error::new(Code::InvalidData, "invalid duration: write seconds, or numbers with units, such as \"90\", \"1h30m\" or \"7d\"");
        let mut total = 0_u64;
        let mut rest = text.trim();
        if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()) {
            total = rest.parse().map_err(|_| bad())?;
            rest = "";
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
            let unit = match rest[digits..].bytes().next() {
                Some(b's') => 1,
                Some(b'm') => 60,
                Some(b'h') => 3600,
                Some(b'd') => 86400,
                _ => return Err(bad()),
            };
            total = number.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
            rest = &rest[digits + 1..];
        }
        if total > 100 * 366 * 86400 {
            return Err(bad());
        }
        Ok(Ttl(total))
    }

    /// A duration in a request's data: whole seconds as a number, or text as [`Ttl::parse`] takes it.
    pub(crate) fn from_value(value: &Value) -> Result<Self> {
        let bad = || Error::new(Code::InvalidData, "a duration must be whole seconds, or text such as \"1h\"");
        match value {
            Value::String(text) => Ttl::parse(text),
            number => number.as_u64().map(Ttl::from_secs).ok_or_else(bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_as_users_write_them() {
        for (text, secs) in [("", 0), ("90", 90), ("1h30m", 5400), ("7d", 604_800), ("768h", 2_764_800), (" 5s ", 5)] {
            assert_eq!(Ttl::parse(text).expect(text).as_secs(), secs, "{text}");
        }
        for text in ["-1", "1x", "h", "1h30", "99999999999999999999", "1.5h", "200000d", "1h ü"] {
            assert_eq!(Ttl::parse(text).expect_err(text).code(), Code::InvalidData);
        }
    }

    #[test]
    fn timestamps_print_as_rfc_3339_and_never_overflow() {
        assert_eq!(Timestamp::from_millis(1_795_457_040_250).to_string(), "2026-11-23T18:04:00.25Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        for millis in (0..20_000_000_000_000).step_by(1_234_567_891).chain([0, 1, 10, 100, 1_000, 951_782_400_000]) {
            let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).expect("in range");
            let text = instant.format(&time::format_description::well_known::Rfc3339).expect("in range");
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
            assert_eq!(Timestamp::parse(&text), Some(Timestamp::from_millis(millis)));
        }
        for text in ["", "2026", "2026-13-01T00:00:00Z", "1969-12-31T23:59:58Z", "2026-11-23 18:04", "2026-11-23T18:04:00"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
        assert_eq!(Timestamp::parse("2026-11-23T19:04:00.25+01:00"), Some(Timestamp::from_millis(1_795_457_040_250)));
        assert_eq!(Timestamp::from_millis(u64::MAX).plus(Ttl::from_secs(u64::MAX)), Timestamp::from_millis(u64::MAX));
    }

    #[test]
    fn remaining_time_rounds_up_and_stops_at_zero() {
        let at = Timestamp::from_millis;
        assert_eq!(at(0).until(at(1)), Ttl::from_secs(1));
        assert_eq!(at(5000).until(at(1)), Ttl::ZERO);
    }
}

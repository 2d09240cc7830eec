//! A dead man's switch: whoever is not heard of for so long is lost. That somebody was heard of is written down now and then, not each time.

use super::time::Timestamp;

/// The switch of somebody, and when it was heard of last, as far as that is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadman {
    pub(crate) seconds: u64,
    pub(crate) used_millis: u64,
}

impl Deadman {
    /// When it is lost if it is not heard of before. That it was is noted with a delay of up to a quarter of its time, which it is given more.
    pub(crate) fn deadline(self) -> Timestamp {
        Timestamp::from_millis(self.used_millis.saturating_add(self.seconds.saturating_mul(1250)))
    }

    /// Whether it is lost by then.
    pub(crate) fn has_struck(self, now: Timestamp) -> bool {
        now >= self.deadline()
    }

    /// Whether that it is heard of now is to be noted. One that is noted to have been heard of later was so by a clock that was wrong.
    pub(crate) fn is_use_noted(self, now: Timestamp) -> bool {
        let now = now.as_millis();
        now < self.used_millis || now >= self.used_millis.saturating_add(self.seconds.saturating_mul(250))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_noted_four_times_in_a_period_and_the_delay_is_given_more() {
        let deadman = Deadman { seconds: 400, used_millis: 1_000_000 };
        let at = Timestamp::from_millis;
        assert_eq!(deadman.deadline(), at(1_500_000));
        assert!(!deadman.has_struck(at(1_499_999)) && deadman.has_struck(at(1_500_000)));
        assert!(!deadman.is_use_noted(at(1_000_000)) && !deadman.is_use_noted(at(1_099_999)));
        assert!(deadman.is_use_noted(at(1_100_000)) && deadman.is_use_noted(at(999_999)));
    }
}

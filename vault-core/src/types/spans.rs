//! How far time was gone through, step by step, and where something is due from there on: so that a clock which leaps by decades needs not be
//! followed through steps in which there is nothing.

use minicbor::{Decode, Encode};

/// Steps of one span: what is noted is which spans have something due.
const SPAN_STEPS: u64 = 4_096;

/// A mark, and the spans behind it in which something is or was due. What a step is, is up to whoever uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Spans {
    #[n(0)]
    mark: u64,
    /// In order.
    #[n(1)]
    spans: Vec<u64>,
}

impl Spans {
    /// Nothing is due, and nothing was before that step.
    pub(crate) fn beginning_at(mark: u64) -> Self {
        Spans { mark, spans: Vec::new() }
    }

    /// Something may be due in each step of a stretch.
    #[cfg(any(feature = "sled", feature = "redb"))]
    pub(crate) fn covering(first: u64, last: u64) -> Self {
        Spans { mark: first, spans: (first / SPAN_STEPS..=last / SPAN_STEPS).collect() }
    }

    /// The first step that was not gone through.
    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }

    /// The steps from the mark to another one in which something may be due, in order; where the clock has stepped back before the mark, that one.
    pub(crate) fn steps_to(&self, last: u64) -> impl Iterator<Item = u64> + '_ {
        let first = self.mark.min(last);
        let steps_of = move |span: &u64| first.max(span * SPAN_STEPS)..=last.min(span * SPAN_STEPS + (SPAN_STEPS - 1));
        self.spans.iter().flat_map(steps_of)
    }

    /// The same with all before a step gone through; where the clock has stepped back, with that step to be gone through again.
    pub(crate) fn at(&self, mark: u64) -> Self {
        Spans { mark, spans: self.spans.iter().copied().filter(|span| *span >= mark / SPAN_STEPS).collect() }
    }

    /// Lets it lead to a step; whether it did not.
    pub(crate) fn lead_to(&mut self, step: u64) -> bool {
        let is_before = step < self.mark;
        self.mark = self.mark.min(step);
        match self.spans.binary_search(&(step / SPAN_STEPS)) {
            Ok(_) => is_before,
            Err(place) => {
                self.spans.insert(place, step / SPAN_STEPS);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_of_a_million_steps_goes_through_the_spans_that_were_led_to() {
        let mut spans = Spans::beginning_at(100);
        assert_eq!(spans.steps_to(1_000_000).count(), 0);
        assert!(spans.lead_to(150) && !spans.lead_to(160) && spans.lead_to(900_000) && spans.lead_to(50));
        let steps: Vec<u64> = spans.steps_to(1_000_000).collect();
        assert!(steps.is_sorted() && steps.len() == (4_096 - 50) + 4_096, "{}", steps.len());
        assert!([50, 150, 160, 900_000].iter().all(|step| steps.contains(step)));
        assert_eq!(spans.steps_to(60).collect::<Vec<_>>(), (50..=60).collect::<Vec<_>>());
        let spans = spans.at(500_000);
        assert_eq!((spans.mark(), spans.steps_to(2_000_000).count()), (500_000, 4_096));
        assert_eq!(spans.steps_to(900_000 / 4_096 * 4_096).count(), 1);
    }

    #[test]
    fn a_clock_that_steps_back_leads_to_where_it_is() {
        let mut spans = Spans::beginning_at(10_000);
        assert!(spans.lead_to(10_001));
        let mut back = spans.at(9_000);
        assert_eq!((back.mark(), back.steps_to(9_000).count()), (9_000, 1));
        assert!(!back.lead_to(9_001) && back.steps_to(10_001).any(|step| step == 10_001));
    }
}

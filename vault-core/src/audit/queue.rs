//! The bounded queue of events that wait to be written, and the counting of those that repeat: refusals, and reads where the vault is told to.

use super::{Chunk, Event};
use crate::types::Timestamp;
use crate::types::limits::{AUDIT_QUEUE_MILLIS_MAX, AUDIT_QUEUE_RECORDS_MAX, AUDIT_REPEATS_MAX};
use std::collections::BTreeMap;

/// How long identical events are counted together, in milliseconds.
const REPEAT_MILLIS: u64 = 1_000;
/// The largest buffer that is kept for the next events, in bytes.
const SPARE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the caller of [`Queue::admit`] does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing: the event waits.
    Waits,
    /// Nothing: the event is counted together with one that was admitted before.
    Counts,
    /// Write the queue now: it is full, or its oldest event has waited long enough.
    WriteNow,
}

/// Events in order of their admission.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    events: Chunk,
    /// The buffer of events that were written, for the next ones.
    spare: Chunk,
    oldest: Option<Timestamp>,
    /// By [`Event::sameness`]. Two different events under one number only end each other's count.
    repeats: BTreeMap<u64, Repeat>,
    /// Events that were counted, or could be.
    counted: u64,
    ended: bool,
}

/// An event that was admitted, and how often it came again since.
#[derive(Debug)]
struct Repeat {
    first: Event,
    again: u64,
    /// Its place among those that are counted.
    place: u64,
}

impl Queue {
    /// Admits an event, as its bytes: whoever holds a lock on the queue has encoded it before.
    pub(crate) fn admit(&mut self, event: &[u8], now: Timestamp) -> Admission {
        self.push(event, now);
        let waited = self.oldest.is_some_and(|oldest| {
            // A clock that stepped back would otherwise keep events waiting for as long as the step.
            now < oldest || now.as_millis() - oldest.as_millis() >= AUDIT_QUEUE_MILLIS_MAX
        });
        if waited || self.is_full() { Admission::WriteNow } else { Admission::Waits }
    }

    /// Admits an event; when by `is_same` it repeats one of the last second it is counted with it.
    pub(crate) fn admit_counted(&mut self, event: &Event, is_same: fn(&Event, &Event) -> bool, now: Timestamp) -> Admission {
        let number = event.sameness();
        if let Some(repeat) = self.repeats.get_mut(&number) {
            if is_recent(&repeat.first, now) && is_same(&repeat.first, event) {
                repeat.again += 1;
                return Admission::Counts;
            }
            let over = self.repeats.remove(&number);
            over.into_iter().for_each(|over| self.end_count(over, now));
        } else if self.repeats.len() >= AUDIT_REPEATS_MAX {
            self.settle(now, false);
            if self.repeats.len() >= AUDIT_REPEATS_MAX {
                self.settle(now, true);
            }
        }
        let admission = self.admit(&event.to_bytes(), now);
        self.counted += 1;
        self.repeats.insert(number, Repeat { first: event.clone(), again: 0, place: self.counted });
        admission
    }

    /// Takes all events that are to be written now. `all` ends every counting, for a vault that closes.
    pub(crate) fn take(&mut self, now: Timestamp, all: bool) -> Chunk {
        self.settle(now, all);
        self.oldest = None;
        std::mem::replace(&mut self.events, std::mem::take(&mut self.spare))
    }

    /// Keeps the buffer of events that were written.
    pub(crate) fn reuse(&mut self, written: Chunk) {
        self.spare = written.emptied(SPARE_BYTES_MAX);
    }

    /// Puts events back in front that were taken and could not be written.
    pub(crate) fn put_back(&mut self, mut events: Chunk, now: Timestamp) {
        if !events.is_empty() {
            events.append(&self.events);
            self.events = events;
            self.oldest = Some(now);
        }
    }

    /// Whether the queue must be written before another event is admitted.
    pub(crate) fn is_full(&self) -> bool {
        self.events.len() >= AUDIT_QUEUE_RECORDS_MAX
    }

    /// Admits nothing from now on.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether nothing is admitted any more.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// When the queue wants to be written at the latest.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let queued = self.oldest.map(|oldest| oldest.as_millis() + AUDIT_QUEUE_MILLIS_MAX);
        let counted = self.repeats.values().filter(|repeat| repeat.again > 0).map(|repeat| repeat.first.time_millis + REPEAT_MILLIS).min();
        [queued, counted].into_iter().flatten().min().map(Timestamp::from_millis)
    }

    /// Ends the counting of events whose second is over, and admits their counts in the order in which the first ones came.
    fn settle(&mut self, now: Timestamp, all: bool) {
        let mut over: Vec<Repeat> =
            self.repeats.extract_if(.., |_, repeat| all || !is_recent(&repeat.first, now)).map(|(_, repeat)| repeat).collect();
        over.sort_unstable_by_key(|repeat| repeat.place);
        over.into_iter().for_each(|repeat| self.end_count(repeat, now));
    }

    fn end_count(&mut self, repeat: Repeat, now: Timestamp) {
        if repeat.again > 0 {
            self.push(&Event { count: repeat.again, ..repeat.first }.to_bytes(), now);
        }
    }

    fn push(&mut self, event: &[u8], now: Timestamp) {
        self.events.push(event);
        self.oldest.get_or_insert(now);
    }
}

fn is_recent(event: &Event, now: Timestamp) -> bool {
    (event.time_millis..event.time_millis + REPEAT_MILLIS).contains(&now.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Decided;

    fn refusal(path: &str, millis: u64) -> Event {
        Event { path: path.to_owned(), time_millis: millis, outcome: 200, count: 1, ..Event::default() }
    }

    fn counts(events: &Chunk) -> Vec<(String, u64)> {
        events.iter().map(|bytes| Event::from_bytes(bytes).expect("own bytes")).map(|event| (event.path, event.count)).collect()
    }

    #[test]
    fn identical_refusals_of_a_second_become_one_record_with_a_count_and_none_is_lost() {
        let mut queue = Queue::default();
        let at = Timestamp::from_millis;
        for i in 0..100 {
            queue.admit_counted(&refusal("a", i), Event::repeats, at(i));
        }
        queue.admit_counted(&refusal("b", 100), Event::repeats, at(100));
        assert_eq!(counts(&queue.take(at(200), false)), [("a".into(), 1), ("b".into(), 1)]);
        assert_eq!(queue.deadline(), Some(at(1000)));
        assert!(queue.take(at(999), false).is_empty());
        assert_eq!(counts(&queue.take(at(1000), false)), [("a".into(), 99)]);
        assert_eq!(queue.deadline(), None);
    }

    #[test]
    fn a_refusal_after_the_second_starts_a_new_count() {
        let mut queue = Queue::default();
        let at = Timestamp::from_millis;
        queue.admit_counted(&refusal("a", 0), Event::repeats, at(0));
        queue.admit_counted(&refusal("a", 10), Event::repeats, at(10));
        queue.admit_counted(&refusal("a", 2000), Event::repeats, at(2000));
        assert_eq!(counts(&queue.take(at(2000), true)), [("a".into(), 1), ("a".into(), 1), ("a".into(), 1)]);
    }

    #[test]
    fn reads_are_counted_with_those_that_say_the_same_only() {
        let at = Timestamp::from_millis;
        let read = |path: &str, version| Event { version: Some(version), outcome: 0, ..refusal(path, 0) };
        let mut queue = Queue::default();
        let mut admit = |event: Event| queue.admit_counted(&event, Event::is_the_same_read, at(1));
        assert_eq!(admit(read("a", 1)), Admission::Waits);
        assert_eq!(admit(Event { request_id: "another".into(), time_millis: 1, ..read("a", 1) }), Admission::Counts);
        assert_eq!(admit(read("b", 1)), Admission::Waits, "of another path");
        assert_eq!(admit(read("a", 2)), Admission::Waits, "of another version");
        assert_eq!(
            admit(Event { correlation_id: Some("x".into()), ..read("a", 2) }),
            Admission::Waits,
            "for another request of the host's"
        );
        assert_eq!(admit(Event { decided: Some(Decided::default()), ..read("b", 1) }), Admission::Waits, "by another rule");
        let versions: Vec<_> = queue.take(at(1), true).iter().map(|bytes| Event::from_bytes(bytes).expect("own bytes")).collect();
        let told: Vec<_> = versions.iter().map(|event| (event.path.as_str(), event.version, event.count)).collect();
        assert_eq!(
            told,
            [("a", Some(1), 1), ("b", Some(1), 1), ("a", Some(1), 1), ("a", Some(2), 1), ("a", Some(2), 1), ("b", Some(1), 1)]
        );
    }

    #[test]
    fn counts_come_in_the_order_of_their_first_events() {
        let at = Timestamp::from_millis;
        let mut queue = Queue::default();
        for round in 0..2 {
            for path in ["c", "a", "b"] {
                queue.admit_counted(&refusal(path, 0), Event::repeats, at(round));
            }
        }
        assert_eq!(queue.take(at(1), false).len(), 3);
        assert_eq!(counts(&queue.take(at(1), true)), [("c".into(), 1), ("a".into(), 1), ("b".into(), 1)]);
    }

    #[test]
    fn the_queue_asks_to_be_written_when_full_or_old_or_the_clock_stepped_back() {
        let at = Timestamp::from_millis;
        let mut queue = Queue::default();
        assert_eq!(queue.admit(&refusal("a", 0).to_bytes(), at(100)), Admission::Waits);
        assert_eq!(queue.admit(&refusal("a", 0).to_bytes(), at(149)), Admission::Waits);
        assert_eq!(queue.admit(&refusal("a", 0).to_bytes(), at(150)), Admission::WriteNow);
        assert_eq!(queue.admit(&refusal("a", 0).to_bytes(), at(50)), Admission::WriteNow);
        queue.take(at(150), false);
        for i in 1..AUDIT_QUEUE_RECORDS_MAX {
            assert_eq!(queue.admit(&refusal("a", 0).to_bytes(), at(0)), Admission::Waits, "{i}");
        }
        assert_eq!(queue.admit(&refusal("a", 0).to_bytes(), at(0)), Admission::WriteNow);
    }

    #[test]
    fn a_flood_of_distinct_refusals_keeps_memory_bounded() {
        let mut queue = Queue::default();
        let at = Timestamp::from_millis;
        for i in 0..3 * AUDIT_REPEATS_MAX {
            queue.admit_counted(&refusal(&i.to_string(), 0), Event::repeats, at(0));
        }
        assert!(queue.repeats.len() <= AUDIT_REPEATS_MAX);
        assert_eq!(queue.take(at(0), true).len(), 3 * AUDIT_REPEATS_MAX);
    }
}

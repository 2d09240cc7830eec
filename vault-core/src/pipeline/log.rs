//! What the vault has to say to the host's log: kept until a call that no request waits for, then given line by line.

use crate::host::{Log, LogLevel, LogLine, LogTopic};
use crate::types::limits::{LOG_LINES_MAX, LOG_MESSAGE_CHARS_MAX};
use crate::types::{Class, Code, Error};
use parking_lot::Mutex;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The lines that wait, and where they go.
pub(super) struct LogQueue {
    log: Option<Arc<dyn Log>>,
    waiting: Mutex<Waiting>,
    /// Held while lines are given, so that they stay in order.
    giving: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<LogLine>,
    dropped: u64,
}

impl LogQueue {
    pub(super) fn new(log: Option<Arc<dyn Log>>) -> Self {
        LogQueue { log, waiting: Mutex::default(), giving: Mutex::new(()) }
    }

    /// Whether there is a log.
    pub(super) fn is_wanted(&self) -> bool {
        self.log.is_some()
    }

    /// Keeps a line.
    pub(super) fn note(&self, level: LogLevel, topic: LogTopic, code: Option<Code>, message: impl FnOnce() -> String) {
        if self.log.is_none() {
            return;
        }
        // A host's own text may be in it: it makes no second line of what follows, nor a log of its own.
        let message = message().chars().take(LOG_MESSAGE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        let line = LogLine::new(level, topic, code, message);
        let mut waiting = self.waiting.lock();
        let is_full = waiting.lines.len() >= LOG_LINES_MAX;
        match waiting.lines.last_mut() {
            Some(last) if LogLine { count: 1, ..last.clone() } == line => last.count = last.count.saturating_add(1),
            _ if is_full => waiting.dropped += 1,
            _ => waiting.lines.push(line),
        }
    }

    /// Keeps an error, where it tells of what is not its caller's doing.
    pub(super) fn note_failure(&self, topic: LogTopic, error: &Error) {
        if is_a_failure(error.code()) {
            self.note(LogLevel::Error, topic, Some(error.code()), || error.to_string());
        }
    }

    /// Gives what waits, unless lines are being given: what comes meanwhile is for the next call, so that a log whose own calls of the vault
    /// fail does not go on for ever.
    pub(super) fn give(&self) {
        let Some(log) = &self.log else { return };
        let Some(_giving) = self.giving.try_lock() else { return };
        let Waiting { mut lines, dropped } = std::mem::take(&mut *self.waiting.lock());
        if dropped > 0 {
            let why = format!("{dropped} lines were dropped: call the vault's tick about once a second");
            lines.push(LogLine::new(LogLevel::Warning, LogTopic::Log, None, why));
        }
        for line in lines {
            let _panicked = catch_unwind(AssertUnwindSafe(|| log.log(&line)));
        }
    }
}

impl fmt::Debug for LogQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogQueue")
    }
}

/// Whether a code tells that something the vault stands on has failed. Targets that are away have lines of their own.
fn is_a_failure(code: Code) -> bool {
    let is_of_a_target = matches!(code, Code::TargetUnavailable | Code::RevocationPending | Code::RotationPending | Code::RotationStuck);
    matches!(code.class(), Class::Unavailable | Class::Corrupt | Class::Rollback | Class::Internal) && !is_of_a_target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<LogLine>>);

    impl Log for Kept {
        fn log(&self, line: &LogLine) {
            self.0.lock().push(line.clone());
            assert!(line.message != "panic", "as a host's log may");
        }
    }

    fn note(queue: &LogQueue, message: &str) {
        queue.note(LogLevel::Info, LogTopic::Seal, None, || message.to_owned());
    }

    #[test]
    fn equal_lines_in_a_row_are_one_and_too_many_are_told_of() {
        let kept = Arc::new(Kept::default());
        let queue = LogQueue::new(Some(Arc::clone(&kept) as Arc<dyn Log>));
        note(&queue, "a");
        note(&queue, "a");
        note(&queue, "panic");
        note(&queue, "a");
        queue.give();
        let told: Vec<(String, u64)> = kept.0.lock().drain(..).map(|line| (line.message, line.count)).collect();
        assert_eq!(told, [("a".to_owned(), 2), ("panic".to_owned(), 1), ("a".to_owned(), 1)]);
        (0..LOG_LINES_MAX + 3).for_each(|number| note(&queue, &number.to_string()));
        queue.give();
        let last = kept.0.lock().pop().expect("one");
        assert_eq!((last.topic, kept.0.lock().len()), (LogTopic::Log, LOG_LINES_MAX));
        assert!(last.message.starts_with("3 lines were dropped"), "{}", last.message);
    }

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let kept = Arc::new(Kept::default());
        let queue = LogQueue::new(Some(Arc::clone(&kept) as Arc<dyn Log>));
        note(&queue, &format!("a\nb\0c\u{85}{}", "x".repeat(5_000)));
        queue.give();
        let message = kept.0.lock().pop().expect("one").message;
        assert!(message.starts_with("a b c x") && message.chars().count() == LOG_MESSAGE_CHARS_MAX, "{message}");
    }

    #[test]
    fn what_a_caller_did_is_no_failure() {
        let failures: Vec<Code> = Code::ALL.iter().copied().filter(|code| is_a_failure(*code)).collect();
        assert!(failures.contains(&Code::NoSpace) && failures.contains(&Code::LostCommits) && failures.contains(&Code::Rollback));
        assert!(
            !failures.contains(&Code::PermissionDenied) && !failures.contains(&Code::Sealed) && !failures.contains(&Code::RotationStuck)
        );
    }
}

//! A list of steps, run in order, timed and counted: a step counts as passed only if it ran.

use crate::run::Outcome;
use std::time::Instant;

/// One step: its name and what it does.
pub(crate) type Step = (&'static str, fn() -> Outcome);

/// What became of a list of steps. The three parts add up to the list's length.
#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: Vec<String>,
    not_run: Vec<&'static str>,
}

impl Tally {
    /// Whether every step ran and passed.
    pub(crate) fn is_clean(&self) -> bool {
        self.failed.is_empty() && self.not_run.is_empty()
    }

    /// The closing words; the last line has the figures. A step that was not run is named, and counts as failed.
    pub(crate) fn summary(&self) -> String {
        let failed = self.failed.iter().map(|failure| format!("FAILED {failure}\n"));
        let not_run = self.not_run.iter().map(|name| format!("NOT RUN {name}\n"));
        let lines: String = failed.chain(not_run).collect();
        format!("{lines}{} passed, {} failed", self.passed, self.failed.len() + self.not_run.len())
    }
}

/// Runs the set-up, without which nothing else means anything, and then every step: one that fails does not keep the
/// others from telling what they find.
pub(crate) fn run(set_up: Step, steps: &[Step]) -> Tally {
    let mut tally = Tally::default();
    if one(set_up, &mut tally) {
        steps.iter().for_each(|step| _ = one(*step, &mut tally));
    } else {
        tally.not_run = steps.iter().map(|(name, _)| *name).collect();
    }
    tally
}

fn one((name, step): Step, tally: &mut Tally) -> bool {
    println!("\n=== {name}");
    let began = Instant::now();
    let outcome = step();
    println!("=== {name}: {} after {:.1} s", if outcome.is_ok() { "passed" } else { "FAILED" }, began.elapsed().as_secs_f64());
    match &outcome {
        Ok(()) => tally.passed += 1,
        Err(why) => {
            println!("{why}");
            tally.failed.push(format!("{name}: {why}"));
        }
    }
    outcome.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Step = ("good", || Ok(()));
    const BAD: Step = ("bad", || Err("because".to_owned()));

    #[test]
    fn steps_that_pass_are_counted() {
        let tally = run(GOOD, &[GOOD, GOOD]);
        assert!(tally.is_clean());
        assert_eq!(tally.summary(), "3 passed, 0 failed");
    }

    #[test]
    fn a_failure_is_told_and_does_not_stop_the_steps_after_it() {
        let tally = run(GOOD, &[BAD, GOOD]);
        assert!(!tally.is_clean());
        assert_eq!(tally.summary(), "FAILED bad: because\n2 passed, 1 failed");
    }

    #[test]
    fn steps_that_a_failed_set_up_kept_from_running_never_count_as_passed() {
        let tally = run(BAD, &[GOOD, GOOD]);
        assert!(!tally.is_clean());
        assert_eq!(tally.summary(), "FAILED bad: because\nNOT RUN good\nNOT RUN good\n0 passed, 3 failed");
    }
}

//! What was asked and how it was answered, compared with the audit log: whatever was acknowledged and could not be lost any more has its record, in order, and nothing else has one.

use super::model::TokenId;
use std::collections::{BTreeMap, BTreeSet};
use vault_core::types::Value;

/// Refusals that repeat within this time are counted together, in milliseconds.
const REPEAT_MILLIS: u64 = 1_000;

#[derive(Clone, Debug)]
struct Entry {
    operation: &'static str,
    path: String,
    token: Option<TokenId>,
    time: u64,
    /// The error's number, or 0; unknown where the vault failed instead of answering.
    outcome: Option<i32>,
    /// Its record cannot be lost any more.
    certain: bool,
}

#[derive(Clone, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    /// Those that are not certain yet and may still become so in this life of the process.
    waiting: Vec<usize>,
}

impl Ledger {
    /// A request is about to be sent: its number.
    pub fn begin(&mut self, operation: &'static str, path: &str, token: Option<TokenId>, time: u64) -> usize {
        self.entries.push(Entry { operation, path: path.to_owned(), token, time, outcome: None, certain: false });
        self.entries.len() - 1
    }

    /// It was answered; `durable` says that its record is so already.
    pub fn end(&mut self, number: usize, outcome: i32, durable: bool) {
        self.entries[number].outcome = Some(outcome);
        self.entries[number].certain = durable;
        if !durable {
            self.waiting.push(number);
        }
    }

    /// Something was committed at that time, and with it what has waited; a refusal may go on being counted for a second.
    pub fn committed(&mut self, before: usize, now: u64) {
        let entries = &mut self.entries;
        self.waiting.retain(|number| {
            let entry = &mut entries[*number];
            let settled = entry.outcome == Some(0) || now >= entry.time + REPEAT_MILLIS || now + REPEAT_MILLIS < entry.time;
            if *number < before && settled {
                entry.certain = true;
            }
            !entry.certain
        });
    }

    /// The vault was sealed or closed in an orderly way: everything is written.
    pub fn all_certain(&mut self) {
        self.waiting.drain(..).for_each(|number| self.entries[number].certain = true);
    }

    /// The process has died: what waited may be lost.
    pub fn died(&mut self) {
        self.waiting.clear();
    }

    /// Successful requests whose record cannot be lost.
    pub fn certain(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.certain && entry.outcome == Some(0)).count() as u64
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Compares with the whole log, line by line in order. `accessors` are those of the tokens.
    pub fn check(&self, lines: &BTreeMap<u64, String>, accessors: &BTreeMap<TokenId, String>) {
        let mut seen: BTreeSet<usize> = BTreeSet::new();
        let mut succeeded: BTreeSet<usize> = BTreeSet::new();
        let mut refusals: BTreeMap<(&'static str, &str, i32), u64> = BTreeMap::new();
        let mut last = None;
        for line in lines.values() {
            let event = Value::from_json(line.as_bytes()).expect("a line is JSON");
            let text = |name: &str| event.get(name).and_then(Value::as_str);
            let Some(number) = text("correlation_id").and_then(|id| id.parse::<usize>().ok()) else { continue };
            let entry = &self.entries[number];
            assert_eq!(text("operation"), Some(entry.operation), "the record of request {number}");
            assert_eq!(text("path"), Some(entry.path.as_str()), "the record of request {number}");
            let outcome = outcome_of(&event);
            assert!(
                entry.outcome.is_none_or(|known| known == outcome),
                "request {number} ended in {:?}, its record says {outcome}",
                entry.outcome
            );
            let own = entry.token.and_then(|token| accessors.get(&token)).map(String::as_str);
            let named = text("accessor");
            assert!(named == own || (named.is_none() && outcome != 0), "request {number} was another token's");
            if seen.insert(number) {
                assert!(last.is_none_or(|last| last < number), "the record of request {number} comes after that of {last:?}");
                last = Some(number);
            }
            if outcome == 0 {
                assert!(succeeded.insert(number), "request {number} has two records");
            } else {
                let count = event.get("count").and_then(Value::as_u64).expect("a count");
                *refusals.entry((entry.operation, &entry.path, outcome)).or_default() += count;
            }
        }
        self.check_all_there(&succeeded, &refusals);
    }

    fn check_all_there(&self, succeeded: &BTreeSet<usize>, refusals: &BTreeMap<(&'static str, &str, i32), u64>) {
        let mut refused: BTreeMap<(&'static str, &str, i32), (u64, u64)> = BTreeMap::new();
        let mut unknown: BTreeMap<(&'static str, &str), u64> = BTreeMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            match entry.outcome {
                Some(0) => assert!(!entry.certain || succeeded.contains(&number), "the record of request {number} is lost: {entry:?}"),
                Some(outcome) => {
                    let (certain, all) = refused.entry((entry.operation, &entry.path, outcome)).or_default();
                    *certain += u64::from(entry.certain);
                    *all += 1;
                }
                None => *unknown.entry((entry.operation, entry.path.as_str())).or_default() += 1,
            }
        }
        for (refusal, (certain, all)) in refused {
            // A refusal whose answer was lost to a failure may have its record all the same.
            let all = all + unknown.get(&(refusal.0, refusal.1)).copied().unwrap_or(0);
            let found = refusals.get(&refusal).copied().unwrap_or(0);
            assert!((certain..=all).contains(&found), "{refusal:?}: {found} refusals in the log, of {certain} to {all}");
        }
    }
}

fn outcome_of(event: &Value) -> i32 {
    // Refusals have positive numbers, and 0 is success: both fit.
    event.get("outcome").and_then(Value::as_u64).and_then(|number| i32::try_from(number).ok()).expect("an outcome")
}

//! What must be found after a cut: what a run had said until then.

use super::opener::Answer;
use super::record::{Op, Record};
use super::story::{Run, Step};

/// What holds from a place in the record on.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// The first cut that it holds for.
    pub from: usize,
    pub phase: String,
    pub token: Option<String>,
    /// The vault is there: its creation was acknowledged.
    pub there: bool,
    /// What the vault holds: one of these.
    pub contents: Vec<String>,
    /// The audit log has as many records at least.
    pub records: u64,
}

impl Epoch {
    /// Before a run from an empty directory on.
    pub fn before(run: Run) -> Self {
        let contents = vec![run.beginning().to_string()];
        let phase = if run == Run::Restored { "restoring" } else { "creating" }.to_owned();
        Epoch { from: 0, phase, token: None, there: false, contents, records: 0 }
    }

    /// What is wrong with an answer, if anything.
    pub fn wrong(&self, answer: &Answer) -> Option<String> {
        match answer {
            Answer::Failed(why) => Some(why.clone()),
            Answer::Opened { again: true, .. } if self.there => Some("the vault is gone".to_owned()),
            Answer::Opened { records, again: false, .. } if *records < self.records => {
                Some(format!("the audit log has {records} records instead of {} or more", self.records))
            }
            Answer::Opened { contents, .. } if !self.contents.contains(contents) => {
                Some(format!("it holds [{contents}] and not one of {:?}", self.contents))
            }
            Answer::Opened { .. } => None,
        }
    }
}

/// The epochs of a record, the first of which is given.
pub fn epochs(run: Run, record: &Record, first: Epoch) -> Vec<Epoch> {
    let states = states(run);
    let mut epochs = vec![first];
    for (at, op) in record.ops.iter().enumerate() {
        let Op::Said(line) = op else { continue };
        let mut next = Epoch { from: at + 1, ..epochs.last().unwrap().clone() };
        match line.split_once(' ').unwrap_or((line, "")) {
            ("phase", phase) => phase.clone_into(&mut next.phase),
            ("token", token) => next.token = Some(token.to_owned()),
            ("acknowledged", step) => {
                let step: usize = step.parse().unwrap();
                next.there = true;
                next.contents = states[step..states.len().min(step + 2)].iter().map(|state| state.0.clone()).collect();
                next.records = states[step].1;
            }
            ("found", contents) => {
                let (found, after) = contents.split_once('|').unwrap();
                next.there = true;
                next.contents = vec![found.to_owned(), after.to_owned()];
            }
            ("wrote", _) => _ = next.contents.remove(0),
            _ => continue,
        }
        epochs.push(next);
    }
    epochs
}

/// The epoch of a cut.
pub fn at(epochs: &[Epoch], cut: usize) -> &Epoch {
    &epochs[epochs.partition_point(|epoch| epoch.from <= cut) - 1]
}

/// What the vault holds after each step of a run, and how many records there are for it.
fn states(run: Run) -> Vec<(String, u64)> {
    let mut contents = run.beginning();
    let mut records = 0;
    let mut states = vec![(contents.to_string(), records)];
    for step in run.steps() {
        contents.apply(step);
        records += u64::from(!matches!(step, Step::Ticks(_) | Step::Reopen));
        states.push((contents.to_string(), records));
    }
    states
}

//! The runs that are recorded, step by step, and what the vault must hold after each step: the worker does them, the checker knows them.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// A run that is recorded from an empty directory on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Several lives of a small vault: values small and large, removals, rolls, segments; each closed and opened again.
    Lives,
    /// So much that is overwritten that the engine uses its room again.
    Churn,
    /// A vault with an anchor beside it.
    Anchored,
    /// A vault that comes from a backup.
    Restored,
    /// Values so large that one commit is many writes of the engine's.
    Large,
    /// A WAL so small that the engine is given what is in it every few commits.
    Settled,
}

pub const RUNS: [Run; 6] = [Run::Lives, Run::Churn, Run::Anchored, Run::Restored, Run::Large, Run::Settled];

/// What is done to an open vault.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Writes the value with this number.
    Put { secret: u64, number: u64 },
    /// Deletes the newest version.
    Delete { secret: u64 },
    /// Removes the secret.
    Remove { secret: u64 },
    /// Rolls the data keys.
    Roll,
    /// Lets the chores run, so often; nothing of it can be seen.
    Ticks(u64),
    /// Takes a frozen vault into use.
    Adopt,
    /// Closes the vault and opens it again.
    Reopen,
}

impl Run {
    pub fn named(name: &str) -> Self {
        RUNS.into_iter().find(|run| run.name() == name).unwrap()
    }

    pub fn name(self) -> &'static str {
        match self {
            Run::Lives => "lives",
            Run::Churn => "churn",
            Run::Anchored => "anchored",
            Run::Restored => "restored",
            Run::Large => "large",
            Run::Settled => "settled",
        }
    }

    /// What is there when the vault was made.
    pub fn beginning(self) -> Contents {
        let mut contents = Contents { secrets: BTreeMap::new(), term: 1 };
        if self == Run::Restored {
            BACKED_UP.iter().for_each(|step| contents.apply(*step));
        }
        contents
    }

    pub fn steps(self) -> Vec<Step> {
        let put = |secret: u64, number: u64| Step::Put { secret, number };
        match self {
            Run::Lives => {
                let mut steps: Vec<Step> = (0..7).map(|number| put(number, number)).collect();
                steps.extend([Step::Reopen, put(1, 11), Step::Delete { secret: 0 }, put(2, 12), Step::Reopen]);
                steps.extend([Step::Roll, Step::Ticks(12), put(3, 13), Step::Remove { secret: 4 }, Step::Reopen]);
                steps.extend([put(4, 14), put(0, 15), Step::Roll, put(7, 19), Step::Ticks(12), Step::Reopen, Step::Reopen, put(8, 20)]);
                steps
            }
            Run::Churn => {
                let life = |life: u64| {
                    let puts = (0..14).map(move |number| put(number % 3, 100 * life + 4 * number + 3 * u64::from(number % 4 > 0)));
                    puts.chain([Step::Reopen])
                };
                (0..4).flat_map(life).chain([put(5, 1)]).collect()
            }
            Run::Anchored => vec![put(0, 0), put(1, 1), Step::Reopen, put(0, 7), Step::Roll, Step::Reopen, put(2, 2)],
            Run::Large => vec![put(0, 0), put(1, LARGE), put(2, 1), put(1, LARGE), Step::Reopen, put(1, LARGE), put(3, 2)],
            Run::Settled => {
                let mut steps: Vec<Step> = (0..10).map(|number| put(number % 4, 40 + number)).collect();
                // Gone and there again, on either side of a settling.
                steps.extend([Step::Remove { secret: 1 }, put(4, 4), put(5, 7), put(1, 5), Step::Delete { secret: 2 }, put(1, 11)]);
                steps.extend([Step::Remove { secret: 5 }, put(2, 8), Step::Roll, Step::Ticks(4), put(5, 9), Step::Reopen]);
                steps.extend([put(0, 60), Step::Remove { secret: 3 }, put(3, 15), put(0, 61), put(6, 62), put(3, 16)]);
                steps
            }
            Run::Restored => vec![Step::Adopt, put(0, 30), put(9, 31), Step::Reopen, put(1, 32)],
        }
    }
}

/// What the vault holds that is backed up for [`Run::Restored`].
pub const BACKED_UP: [Step; 5] = [
    Step::Put { secret: 0, number: 0 },
    Step::Put { secret: 1, number: 3 },
    Step::Put { secret: 1, number: 2 },
    Step::Put { secret: 2, number: 1 },
    Step::Remove { secret: 2 },
];

/// Versions that a secret keeps.
const VERSIONS_MAX: usize = 10;
/// The number of a value of 900 KB.
const LARGE: u64 = 5_000;
/// More than any secret's number.
pub const SECRETS: u64 = 12;
/// What is written after a cut.
pub const AFTER: Step = Step::Put { secret: 11, number: 999 };

pub fn path(secret: u64) -> String {
    // Two of them share a folder.
    format!("folder{}/{secret}", secret / 2)
}

/// Mostly small; every fourth has 20 KB and more, so that it is cut into chunks.
pub fn text(number: u64) -> String {
    let length = match number {
        LARGE => 900_000,
        number if number % 4 == 3 => 20_000 + usize::try_from(number * 1_237 % 80_000).unwrap(),
        _ => 30,
    };
    let mut text = format!("{number} ");
    while text.len() < length {
        text.push_str(&(number * 31 + text.len() as u64).to_string());
    }
    text
}

/// What can be read of a vault.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// By secret and version the number of what was written; `None`: deleted.
    pub secrets: BTreeMap<u64, BTreeMap<u64, Option<u64>>>,
    /// The data keys' term.
    pub term: u64,
}

impl Contents {
    pub fn apply(&mut self, step: Step) {
        match step {
            Step::Put { secret, number } => {
                let versions = self.secrets.entry(secret).or_default();
                versions.insert(versions.last_key_value().map_or(0, |(version, _)| *version) + 1, Some(number));
                if versions.len() > VERSIONS_MAX {
                    versions.pop_first();
                }
            }
            Step::Delete { secret } => *self.secrets.get_mut(&secret).unwrap().last_entry().unwrap().get_mut() = None,
            Step::Remove { secret } => _ = self.secrets.remove(&secret),
            Step::Roll => self.term += 1,
            Step::Ticks(_) | Step::Adopt | Step::Reopen => {}
        }
    }
}

impl Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "term {}", self.term)?;
        for (secret, versions) in &self.secrets {
            write!(f, "; {secret}:")?;
            for (version, number) in versions {
                write!(f, " {version}={}", number.map_or("-".to_owned(), |number| number.to_string()))?;
            }
        }
        Ok(())
    }
}

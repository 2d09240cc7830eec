//! One step of a rotation on the record that it works on: the machine's, with the passwords that it speaks of and the schedule.

use super::record::Managed;
use crate::host::Rng;
use crate::rotation::machine;
use crate::rotation::schedule::Due;
use crate::rotation::{Answer, Ask, Finish, Input, Moment, Reason, Record, Rejected, State, Step, Task, ValueId};
use crate::types::{Code, Error, SecretString, Timestamp};

/// What a step led to, beside the record itself.
#[derive(Debug)]
pub(crate) struct Advanced {
    /// What is to be asked of the target once the record is durable.
    pub(crate) ask: Option<Ask>,
    /// What readers are given since this step.
    pub(crate) promoted: Option<ValueId>,
    /// It has just stopped, and needs somebody.
    pub(crate) stopped: Option<Reason>,
    /// A run has just ended.
    pub(crate) finished: Option<Finish>,
}

/// Why a step was not made.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It has no meaning where the rotation stands.
    Rejected(Rejected),
    /// There was no password, or no randomness.
    Failed(Error),
}

impl From<Halt> for Error {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Rejected(rejected) => Error::new(Code::InvalidRequest, format!("the rotation cannot do this now: {rejected}")),
            Halt::Failed(error) => error,
        }
    }
}

/// What a step is made with.
pub(crate) struct With<'w> {
    pub(crate) now: Timestamp,
    pub(crate) rng: &'w dyn Rng,
    /// The password that an operator gave.
    pub(crate) given: Option<SecretString>,
    /// Draws a new password by the policy.
    pub(crate) fresh: &'w mut dyn FnMut() -> Result<SecretString, Error>,
}

/// Makes a step. Where it is not made the record stays as it was.
pub(crate) fn advance(managed: &mut Managed, input: Input, mut with: With<'_>) -> Result<Advanced, Halt> {
    let plan = managed.settings.plan();
    let jitter_permille = permille(with.rng)?;
    let moment = Moment { now: with.now, jitter_permille };
    let mut step = machine::step(&plan, &managed.state, input, moment).map_err(Halt::Rejected)?;
    let mut drawn = draw(&step, &mut with);
    // What is known of the target is not lost for a further run that cannot begin: that one is begun by the clock.
    let is_answer = matches!(input, Input::Answer(..) | Input::Restarted);
    let is_put_off = is_answer && managed.state.again_wanted && drawn.is_err();
    if is_put_off {
        let without = State { again_wanted: false, ..managed.state.clone() };
        step = machine::step(&plan, &without, input, moment).map_err(Halt::Rejected)?;
        drawn = draw(&step, &mut with);
    }
    let added = drawn?;
    // Closing needs a password that nobody keeps: where there is none for it, it is not begun.
    if !is_answer && step.ask.is_some_and(|ask| matches!(ask.task, Task::Close(_))) {
        (with.fresh)().map_err(Halt::Failed)?;
    }
    let promoted = step.records.iter().rev().find_map(|record| match record {
        Record::Promote(credential) => Some(credential.value),
        _ => None,
    });
    // Drawn before anything changes.
    let due = (input == Input::Begin).then(|| managed.settings.schedule()).transpose().map_err(|_| Halt::Failed(corrupt()))?;
    if let Some(schedule) = due {
        managed.due = schedule.begun(with.now, permille(with.rng)?);
    }
    if input == Input::Begin || promoted.is_some() {
        managed.used_up = None;
    }
    managed.values.extend(added);
    let forgotten = |number: &ValueId| step.records.iter().any(|record| matches!(record, Record::Forget(value) if value == number));
    managed.values.retain(|(number, _)| !forgotten(number));
    let stopped = step.state.attention.filter(|_| managed.state.attention.is_none());
    let finished = step.state.last.filter(|_| step.state.last != managed.state.last || promoted.is_some());
    managed.state = step.state;
    if is_put_off {
        managed.due = Due { last_millis: 0, next_millis: Some(with.now.as_millis()), ..managed.due };
    }
    managed.let_go();
    Ok(Advanced { ask: step.ask, promoted, stopped, finished })
}

/// The passwords that a step adds.
fn draw(step: &Step, with: &mut With<'_>) -> Result<Vec<(ValueId, SecretString)>, Halt> {
    let mut added = Vec::new();
    for record in &step.records {
        match *record {
            Record::Generate(value) => added.push((value, (with.fresh)().map_err(Halt::Failed)?)),
            Record::KeepGiven(value) => {
                let missing = || Halt::Failed(Error::new(Code::Internal, "a password was to be kept that nobody has given"));
                added.push((value, with.given.take().ok_or_else(missing)?));
            }
            Record::Promote(_) | Record::Forget(_) => {}
        }
    }
    Ok(added)
}

/// What is to be done about a credential whose time may have come: nothing while it waits.
pub(crate) fn due_input(managed: &mut Managed, now: Timestamp) -> Result<Option<Input>, Error> {
    if managed.held(now).is_none() {
        managed.held_millis = 0;
    }
    if managed.may_begin() {
        let schedule = managed.settings.schedule().map_err(|_| corrupt())?;
        let (due, is_due) = schedule.look(&managed.due, now);
        managed.due = due;
        // It ends a grace too, where that is over.
        if is_due || managed.used_up.is_some() {
            return Ok(Some(Input::Begin));
        }
    }
    // A clock that was set back is noticed by any step.
    Ok(managed.state.wake().map(|_| Input::Tick))
}

/// What the log says of an input.
pub(crate) fn name_of(input: Input) -> &'static str {
    match input {
        Input::Begin => "begin",
        Input::Rehearse => "rehearse",
        Input::Tick => "tick",
        Input::Restarted => "restarted",
        Input::Answer(_, answer) => answer_name(answer),
        Input::RollBack => "roll-back",
        Input::Retry => "retry",
        Input::EndGrace => "end-grace",
        Input::Give => "give-password",
    }
}

fn answer_name(answer: Answer) -> &'static str {
    answer.map_or_else(|failure| failure.name(), |()| "done")
}

fn corrupt() -> Error {
    Error::new(Code::Corrupt, "the schedule of a rotation cannot be read")
}

/// A random number from 0 to 1,000.
fn permille(rng: &dyn Rng) -> Result<u32, Halt> {
    let bytes: [u8; 4] = rng.array().map_err(|error| Halt::Failed(Error::new(Code::NoEntropy, error.to_string())))?;
    Ok(u32::from_le_bytes(bytes) % 1001)
}

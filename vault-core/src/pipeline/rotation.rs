//! The driver of rotations: what the machine asks is asked of the connector, under no lock and only once the state that holds the pending
//! password is durable; each answer is committed with its audit event before the next thing is asked.
//!
//! One ask is in flight for each credential: whoever makes one holds its claim. A record that says that something was asked, and that nobody
//! holds the claim of, is one whose answer was lost: with the process, or because it could not be committed.

use super::core::Core;
use super::namespaces::Namespace;
use super::outside::{Claim, text_of};
use super::{rotation_ask, rotation_secret};
use crate::audit::Event;
use crate::barrier::Overlay;
use crate::commit::{CommitError, Proposal};
use crate::engines::{Begun, database};
use crate::host::{ConnectorError, ConnectorFailure, RotationChange, RotationNotice};
use crate::managed::step::{self, Advanced, Halt, With};
use crate::managed::{Managed, Use, Way, index};
use crate::metrics::RotationOutcome;
use crate::password;
use crate::rotation::{Ask, Finish, Input, Phase, Rejected};
use crate::types::id::Id;
use crate::types::limits::COMMIT_RETRIES_MAX;
use crate::types::{Code, Error, Object, Result, Timestamp, Value};

/// What was asked and what came of it, in the order in which it was.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) task: &'static str,
    pub(super) error: Option<String>,
}

/// Where a rotation came to rest, or waits.
pub(super) struct Rested {
    pub(super) managed: Managed,
    pub(super) asked: Vec<Asked>,
    /// What the target said last, where that was no yes.
    pub(super) error: Option<ConnectorError>,
}

/// Lets a credential's target be asked, unless that is under way.
pub(super) fn claim<'o>(core: &'o Core, id: &[u8; 16]) -> Result<Claim<'o>> {
    let busy = || Error::new(Code::Conflict, "the credential is being rotated just now: try again");
    core.outside.begin_rotation(*id).ok_or_else(busy)
}

/// Asks the target, commits the answer, and goes on until nothing more is to be asked now. `None` where the credential is gone. The clock is read
/// with each answer: what is waited for after it does not begin before it, however long the target took.
pub(super) fn carry_on(core: &Core, namespace: &Namespace, id: &[u8; 16], mut ask: Option<Ask>) -> Result<Option<Rested>> {
    let (mut asked, mut last) = (Vec::new(), None);
    while let Some(next) = ask.take() {
        let Some(managed) = load(core, namespace, id)? else { return Ok(None) };
        let answer = rotation_ask::perform(core, namespace, &managed, next.task)?;
        drop(managed);
        asked.push(Asked { task: next.task.name(), error: answer.as_ref().err().map(text_of) });
        let input = Input::Answer(next.number, answer.as_ref().copied().map_err(ConnectorError::failure));
        last = answer.err();
        match make_step(core, namespace, id, input, last.as_ref(), core.clock.now())? {
            Made::Step(advanced) => ask = advanced.ask,
            // Somebody has begun anew with it: what was answered is in doubt there.
            Made::Rejected(Rejected::Stale) => break,
            Made::Rejected(_) | Made::Nothing => break,
            Made::Gone => return Ok(None),
        }
    }
    Ok(load(core, namespace, id)?.map(|managed| Rested { managed, asked, error: last }))
}

pub(super) fn load(core: &Core, namespace: &Namespace, id: &[u8; 16]) -> Result<Option<Managed>> {
    Ok(Managed::load(&mut Overlay::reading(&namespace.barrier, core.source()), id)?)
}

/// What came of a step.
pub(super) enum Made {
    Step(Advanced),
    Rejected(Rejected),
    /// Its time has not come.
    Nothing,
    Gone,
}

/// What a step is made for.
pub(super) enum Cause {
    Input(Input),
    /// What is due, if anything.
    Due,
}

fn make_step(
    core: &Core,
    namespace: &Namespace,
    id: &[u8; 16],
    input: Input,
    error: Option<&ConnectorError>,
    now: Timestamp,
) -> Result<Made> {
    commit_step(core, namespace, id, Cause::Input(input), error, now)
}

/// Makes a step of a credential and commits it with its event.
pub(super) fn commit_step(
    core: &Core,
    namespace: &Namespace,
    id: &[u8; 16],
    cause: Cause,
    error: Option<&ConnectorError>,
    now: Timestamp,
) -> Result<Made> {
    for _ in 0..=COMMIT_RETRIES_MAX {
        let mut overlay = Overlay::writing(&namespace.barrier, core.source());
        let Some(mut managed) = Managed::load(&mut overlay, id)? else { return Ok(Made::Gone) };
        let before = index::places(&managed);
        let input = match cause {
            Cause::Input(input) => input,
            Cause::Due => match step::due_input(&mut managed, now)? {
                Some(Input::Begin) => begin_or_go_on(&mut overlay, &managed, now)?,
                Some(input) => input,
                None => match look_again(core, overlay, &before, &managed) {
                    Err(CommitError::Conflict) => continue,
                    other => return Ok(other.map(|()| Made::Nothing)?),
                },
            },
        };
        let (was, by) = (managed.state.clone(), managed.used_up.map(|used| used.by));
        let advanced = match advance(&mut overlay, &mut managed, input, now) {
            Ok(advanced) => advanced,
            Err(Halt::Rejected(rejected)) => return Ok(Made::Rejected(rejected)),
            Err(Halt::Failed(error)) => return Err(error),
        };
        if input == Input::Tick && managed.state == was {
            match look_again(core, overlay, &before, &managed) {
                Err(CommitError::Conflict) => continue,
                other => return Ok(other.map(|()| Made::Nothing)?),
            }
        }
        // A login that an account which was closed must not have: its refusal is what was hoped for.
        let hoped = was.phase == Phase::TestingClosed && error.is_some_and(|error| error.failure() == ConnectorFailure::Unauthenticated);
        let error = error.filter(|_| !hoped);
        note(&mut managed, input, error, now);
        let mut event = event(core, namespace, &managed, input, advanced.ask, now)?;
        if hoped {
            event.rotation_input = Some("refused-as-hoped".to_owned());
        }
        if input == Input::Begin && matches!(cause, Cause::Due) {
            event.rotation_cause = Some(by.map_or("schedule", Use::name).to_owned());
        }
        event.version = advanced.promoted.map(|value| value.0);
        event.target_error = error.map(text_of);
        event.outcome = outcome_of(&advanced, error);
        if let Some(reason) = advanced.stopped {
            event.operation = "rotation-needs-attention".into();
            event.target_error = Some(error.map_or_else(|| reason.words(), |error| format!("{} ({})", reason.words(), text_of(error))));
        }
        index::save(&mut overlay, &before, Some(&managed))?;
        match core.committer.commit(Proposal { writes: overlay.into_writes(), events: vec![event], ..Proposal::default() }) {
            Err(CommitError::Conflict) => {}
            committed => {
                committed?;
                count(core, &advanced);
                tell(core, namespace, &managed, &advanced);
                return Ok(Made::Step(advanced));
            }
        }
    }
    Err(CommitError::Conflict.into())
}

/// The clock begins no run of a role that may not use its connection any more; what was begun goes on to its end.
fn begin_or_go_on(overlay: &mut Overlay<'_>, managed: &Managed, now: Timestamp) -> Result<Input> {
    let configured = managed.target.map(|id| database::load(overlay, &id)).transpose()?.flatten();
    match configured.map_or(Ok(()), |configured| configured.check_allows(&managed.name)) {
        Err(_) if managed.state.wake().is_some_and(|wake| wake <= now) => Ok(Input::Tick),
        checked => checked.map(|()| Input::Begin),
    }
}

/// Nothing is due: where a clock that was set has moved what is next, that is kept.
fn look_again(core: &Core, mut overlay: Overlay<'_>, before: &[index::Place], managed: &Managed) -> Result<(), CommitError> {
    if index::places(managed) == before {
        return Ok(());
    }
    index::save(&mut overlay, before, Some(managed))?;
    core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }).map(drop)
}

/// One step, with passwords by the policy of the connection or of the credential itself.
pub(super) fn advance(overlay: &mut Overlay<'_>, managed: &mut Managed, input: Input, now: Timestamp) -> Result<Advanced, Halt> {
    let configured = managed.target.map(|id| database::load(overlay, &id)).transpose().map_err(Halt::Failed)?.flatten();
    let own = Some(managed.policy.clone()).filter(|policy| !policy.is_empty());
    let policy = configured.as_ref().map_or(own, |configured| configured.policy().map(str::to_owned));
    let rng = overlay.barrier().rng();
    let mut fresh = || password::generate(overlay, policy.as_deref(), rng);
    let advanced = step::advance(managed, input, With { now, rng, given: None, fresh: &mut fresh })?;
    if let (None, Some(value)) = (&managed.target, advanced.promoted) {
        let password = managed.value(value).ok_or_else(|| Halt::Failed(Error::new(Code::Corrupt, "a promoted value is not kept")))?;
        rotation_secret::store(overlay, managed, password, now).map_err(Halt::Failed)?;
        // The secret's version has it, and it ends with that.
        managed.values.clear();
    }
    Ok(advanced)
}

/// Keeps what the target said where that was no yes, and forgets it at the next yes that ends a run.
fn note(managed: &mut Managed, input: Input, error: Option<&ConnectorError>, now: Timestamp) {
    match (input, error) {
        (Input::Answer(..), Some(error)) => {
            managed.error = Some(text_of(error));
            managed.error_millis = now.as_millis();
        }
        (Input::Answer(..), None) if matches!(managed.state.phase, Phase::Idle | Phase::Grace) => managed.error = None,
        _ => {}
    }
}

fn outcome_of(advanced: &Advanced, error: Option<&ConnectorError>) -> i32 {
    match (advanced.stopped, error) {
        (Some(_), _) => Code::RotationStuck.number(),
        (None, Some(error)) => super::outside::failed(error).code().number(),
        (None, None) => 0,
    }
}

/// Tells the hook what readers and operators want to know.
fn tell(core: &Core, namespace: &Namespace, managed: &Managed, advanced: &Advanced) {
    let change = match (advanced.promoted, advanced.stopped) {
        (_, Some(_)) => RotationChange::NeedsAttention,
        (Some(_), None) => RotationChange::Promoted,
        (None, None) => return,
    };
    core.outside.tell_rotation(|| {
        let words = advanced.stopped.map(|reason| reason.words());
        RotationNotice::new(change, path_of(namespace, managed), namespace.path.clone(), managed.state.current.value.0, words)
    });
}

fn count(core: &Core, advanced: &Advanced) {
    if matches!(advanced.finished, Some(Finish::Rotated { .. })) && advanced.promoted.is_some() {
        core.metrics.rotation(RotationOutcome::Succeeded);
    }
    if advanced.stopped.is_some() {
        core.metrics.rotation(RotationOutcome::Failed);
    }
}

/// Lets a credential be for a while that cannot be gone on with, and keeps why, where readers see it. Where that `counts` it needs somebody in
/// the end.
pub(super) fn hold(
    core: &Core,
    namespace: &Namespace,
    id: &[u8; 16],
    why: &str,
    counts: bool,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    for _ in 0..=COMMIT_RETRIES_MAX {
        let mut overlay = Overlay::writing(&namespace.barrier, core.source());
        let Some(mut managed) = Managed::load(&mut overlay, id)? else { return Ok(None) };
        let before = index::places(&managed);
        let needs_somebody = managed.hold(now, counts);
        (managed.error, managed.error_millis) = (Some(why.to_owned()), now.as_millis());
        index::save(&mut overlay, &before, Some(&managed))?;
        let mut events = Vec::new();
        if needs_somebody {
            let mut event = event(core, namespace, &managed, Input::Tick, None, now)?;
            event.operation = "rotation-needs-attention".into();
            event.outcome = Code::RotationStuck.number();
            event.target_error = Some(why.to_owned());
            events.push(event);
        }
        match core.committer.commit(Proposal { writes: overlay.into_writes(), events, ..Proposal::default() }) {
            Err(CommitError::Conflict) => {}
            committed => {
                committed?;
                if needs_somebody {
                    core.metrics.rotation(RotationOutcome::Failed);
                    core.outside.tell_rotation(|| {
                        let (path, current) = (path_of(namespace, &managed), managed.state.current.value.0);
                        RotationNotice::new(
                            RotationChange::NeedsAttention,
                            path,
                            namespace.path.clone(),
                            current,
                            Some(database::STALLED.to_owned()),
                        )
                    });
                }
                return Ok(managed.held(now));
            }
        }
    }
    Ok(None)
}

/// The event of a step: what happened, where the rotation stands since, and what is asked next.
fn event(core: &Core, namespace: &Namespace, managed: &Managed, input: Input, ask: Option<Ask>, now: Timestamp) -> Result<Event> {
    Ok(Event {
        time_millis: now.as_millis(),
        request_id: core.random_id()?.to_string(),
        operation: "rotation".into(),
        path: path_of(namespace, managed),
        namespace: namespace.audit_name(),
        rotation_input: Some(step::name_of(input).to_owned()),
        rotation_phase: Some(managed.state.phase.name().to_owned()),
        rotation_ask: ask.map(|ask| ask.task.name().to_owned()),
        count: 1,
        ..Event::default()
    })
}

/// The event of the step that an operator's request has begun with.
pub(super) fn event_of_begun(core: &Core, namespace: &Namespace, begun: &Begun, mount: Option<Id>, now: Timestamp) -> Result<Event> {
    let mount = mount.map(|mount| mount_of(namespace, &mount)).unwrap_or_default();
    Ok(Event {
        time_millis: now.as_millis(),
        request_id: core.random_id()?.to_string(),
        operation: "rotation".into(),
        path: format!("{mount}static-roles/{}", begun.name),
        namespace: namespace.audit_name(),
        rotation_input: Some(step::name_of(begun.input).to_owned()),
        rotation_phase: Some(begun.phase.name().to_owned()),
        rotation_ask: Some(begun.ask.task.name().to_owned()),
        count: 1,
        ..Event::default()
    })
}

/// Where a credential is known: the path at which its role, or its secret, is.
pub(super) fn path_of(namespace: &Namespace, managed: &Managed) -> String {
    let part = if managed.settings.way == Way::Generate { "" } else { "static-roles/" };
    format!("{}{part}{}", mount_of(namespace, &Id::from_bytes(managed.owner)), managed.name)
}

fn mount_of(namespace: &Namespace, id: &Id) -> String {
    namespace.mounts.load().entries().find(|entry| entry.uuid() == *id).map_or_else(String::new, |entry| entry.path().to_owned())
}

/// What a request that has begun a rotation answers, by where the rotation came to rest.
pub(super) fn answer(rested: Option<Rested>, begun: &Begun, now: Timestamp) -> Result<Option<Value>> {
    let Some(rested) = rested else {
        return Err(Error::new(Code::NotFound, "the role was deleted meanwhile"));
    };
    let managed = &rested.managed;
    let status = database::status(managed, now);
    if begun.input == Input::Rehearse && managed.state.phase == Phase::Idle && managed.state.attention.is_none() {
        return Ok(Some(report(&rested)));
    }
    if let Some(reason) = managed.state.attention {
        return Err(Error::new(Code::RotationStuck, reason.words()).with_data(status.into()));
    }
    // After a promotion the old credential may wait for its grace; whoever ends that wants it gone.
    let is_grace = managed.state.phase == Phase::Grace && begun.input != Input::EndGrace;
    if managed.state.phase != Phase::Idle && !is_grace {
        let why = format!("the rotation has begun and is not at its end: {}; tick carries it on", database::status_words(managed));
        return Err(Error::new(Code::RotationPending, why).with_data(status.into()));
    }
    let is_quiet = matches!(begun.input, Input::Begin) || begun.is_new;
    Ok((!is_quiet).then(|| status.into()))
}

/// What a rehearsal has found.
fn report(rested: &Rested) -> Value {
    let found = match rested.managed.state.last {
        Some(Finish::RehearsalFailed { reason }) => Some(reason.words()),
        _ => None,
    };
    let steps: Vec<Value> =
        rested.asked.iter().map(|asked| Object::new().with("asked", asked.task).with("error", asked.error.clone()).into()).collect();
    Object::new().with("would_work", found.is_none()).with("found", found).with("steps", steps).into()
}

/// Removes a credential that was made by this request where its target has for sure done nothing of what it was asked.
pub(super) fn forget_unmade(core: &Core, namespace: &Namespace, rested: &Rested) -> Result<bool> {
    let state = &rested.managed.state;
    let is_sure = rested.error.as_ref().is_some_and(|error| !error.failure().may_be_done());
    let nothing_set = rested.asked.iter().all(|asked| asked.task == "test") || (rested.asked.len() == 1 && state.phase == Phase::Setting);
    if state.has_current() || state.asked || !is_sure || !nothing_set {
        return Ok(false);
    }
    for _ in 0..=COMMIT_RETRIES_MAX {
        let mut overlay = Overlay::writing(&namespace.barrier, core.source());
        let Some(found) = Managed::load(&mut overlay, &rested.managed.id)? else { return Ok(true) };
        if found.state != *state {
            return Ok(false);
        }
        found.remove(&mut overlay)?;
        overlay.leave(Id::from_bytes(found.owner), &format!("static-roles/{}", found.name));
        match core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }) {
            Err(CommitError::Conflict) => {}
            committed => return Ok(committed.map(|_| true)?),
        }
    }
    Ok(false)
}

//! The end of an exposure: tokens, then leases, then the credentials themselves, so many in one call, with a line for each.
//!
//! Tokens go first: a reader that lives on would be handed what comes in the place of the old. Each step is a request of the caller's own token,
//! and one that fails keeps none of the others from being done. Before them all, the shared accounts that are concerned are closed: nobody else of
//! their entity is given one meanwhile.

use super::look::{self, Exposure};
use super::{Suspect, page, since};
use crate::audit::AuditMode;
use crate::os;
use crate::pipeline::affect::Follow;
use crate::pipeline::given::{Members, bad};
use crate::pipeline::stage::Authenticated;
use crate::pipeline::system::{Ask, Done};
use crate::pipeline::{lease_work, leases};
use crate::types::id::Id;
use crate::types::limits::{EMERGENCY_PARALLEL_MAX, EMERGENCY_STEPS_MAX};
use crate::types::{Class, Code, Context, Error, Object, Operation, Path, Request, Response, Result, Timestamp, Value};
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};

/// Tokens and leases together, and credentials apart, that one call ends unless told.
const MOST: u64 = 100;
/// Credentials that are rotated at one time unless told.
const PARALLEL: u64 = 4;

const KNOWN: [&str; 13] =
    ["path", "prefix", "accessor", "entity", "since", "after", "before", "tokens", "leases", "rotate", "most", "parallel", "dry_run"];

/// What is to be done.
pub(in crate::pipeline) struct Plan {
    exposure: Exposure,
    steps: VecDeque<Step>,
    /// What was decided without asking anybody.
    settled: Vec<Line>,
    parallel: usize,
    most: usize,
    /// Whether anybody who has one of the shared accounts loses it.
    closes: bool,
}

/// One request.
struct Step {
    name: &'static str,
    what: String,
    path: String,
    data: Option<Value>,
}

/// What became of a step.
struct Line {
    name: &'static str,
    what: String,
    time: Timestamp,
    outcome: &'static str,
    why: Option<String>,
}

/// What is done to the tokens.
#[derive(Clone, Copy, PartialEq)]
enum Tokens {
    Revoke,
    Quarantine,
    Keep,
}

/// `WRITE sys/emergency/contain`.
pub(super) fn plan(ask: &Ask<'_>) -> Result<Done> {
    let data = Members(ask.data);
    data.known_only(&KNOWN)?;
    if ask.wrap_ttl.is_some() {
        return Err(Error::new(Code::InvalidRequest, "what a containment did is not wrapped: leave the wrap_ttl out"));
    }
    let tokens = match data.text("tokens")? {
        None | Some("" | "revoke") => Tokens::Revoke,
        Some("quarantine") => Tokens::Quarantine,
        Some("keep") => Tokens::Keep,
        Some(_) => return Err(bad("tokens", "must be revoke, quarantine or keep")),
    };
    let number = |name, default, most: u64| {
        let number = data.whole(name)?.unwrap_or(default);
        let fits = (1..=most).contains(&number);
        if fits { Ok(usize::try_from(number).unwrap_or(usize::MAX)) } else { Err(bad(name, &format!("must be from 1 to {most}"))) }
    };
    let (most, parallel) = (number("most", MOST, EMERGENCY_STEPS_MAX)?, number("parallel", PARALLEL, EMERGENCY_PARALLEL_MAX)?);
    let before = if data.get("before").is_some() { since(ask, "before")? } else { ask.now };
    let exposure = look::look(ask, Suspect::of(ask)?, page(ask)?)?;
    let ends_leases = data.truth("leases")?.unwrap_or(true);
    let closes = ends_leases || tokens != Tokens::Keep;
    let mut plan = Plan { exposure, steps: VecDeque::new(), settled: Vec::new(), parallel, most, closes };
    plan.end_tokens(ask, tokens);
    if ends_leases {
        plan.end_leases();
    }
    if data.truth("rotate")?.unwrap_or(true) {
        plan.rotate(before, ask.now);
    }
    if data.truth("dry_run")?.unwrap_or(false) {
        return Ok(Done::answer(plan.rehearsed(ask.now)));
    }
    Ok(Done { follow: Some(Follow::Contain(Box::new(plan))), ..Done::default() })
}

impl Plan {
    fn end_tokens(&mut self, ask: &Ask<'_>, tokens: Tokens) {
        let (name, path) = match tokens {
            Tokens::Revoke => ("revoke-token", "auth/token/revoke-accessor"),
            Tokens::Quarantine => ("quarantine-token", "sys/emergency/quarantine"),
            Tokens::Keep => return,
        };
        let mut met = BTreeSet::new();
        for reader in &self.exposure.readers {
            let mut keep = |what: &str, why: &str| {
                self.settled.push(Line { name, what: what.to_owned(), time: ask.now, outcome: "kept", why: Some(why.to_owned()) });
            };
            // Several batch tokens, and what made them, end with one request.
            let Some(accessor) = reader.ends_with() else {
                keep(&reader.display_name, "a batch token that no other has made: wait for its end");
                continue;
            };
            if !met.insert(accessor) {
                continue;
            }
            if accessor == ask.caller.entry.accessor {
                keep(accessor, "the token of this session");
            } else if ask.caller.hangs_on(accessor) {
                keep(accessor, "the token of this session would end with it: ask with one that it has not made");
            } else {
                let data = Object::new().with("accessor", accessor);
                self.steps.push_back(Step { name, what: accessor.to_owned(), path: path.to_owned(), data: Some(data.into()) });
            }
        }
    }

    /// Below a path with one request, whatever their number; else one by one.
    fn end_leases(&mut self) {
        let name = "end-leases";
        if let (Suspect::Path(path), false) = (&self.exposure.suspect, self.exposure.leases.is_empty()) {
            self.steps.push_back(Step { name, what: path.clone(), path: format!("sys/leases/revoke-prefix/{path}"), data: None });
            return;
        }
        for lease in &self.exposure.leases {
            let data = Object::new().with("lease_id", lease.as_str());
            self.steps.push_back(Step { name, what: lease.clone(), path: "sys/leases/revoke".to_owned(), data: Some(data.into()) });
        }
    }

    /// Those that were not rotated since: called again, nothing is replaced twice.
    fn rotate(&mut self, before: Timestamp, now: Timestamp) {
        let name = "rotate";
        for rotated in &self.exposure.credentials {
            if rotated.promoted_millis >= before.as_millis() && rotated.promoted_millis > 0 {
                let why = Some("it was rotated since".to_owned());
                self.settled.push(Line { name, what: rotated.path.clone(), time: now, outcome: "gone", why });
            } else {
                self.steps.push_back(Step { name, what: rotated.path.clone(), path: rotated.rotate_path.clone(), data: None });
            }
        }
    }

    /// What would be done.
    fn rehearsed(self, now: Timestamp) -> Object {
        let Plan { exposure, steps, settled, .. } = self;
        let planned = steps.into_iter().map(|step| Line { name: step.name, what: step.what, time: now, outcome: "planned", why: None });
        tell(&exposure, &settled.into_iter().chain(planned).collect::<Vec<_>>()).with("dry_run", true)
    }

    /// Does it, once the request itself is recorded.
    pub(in crate::pipeline) fn carry_out(self, stage: &Authenticated<'_>, request_id: &str, mode: AuditMode) -> Object {
        let Plan { exposure, steps, mut settled, parallel, most, closes } = self;
        let asker = Asker { stage, request_id, mode };
        let (rotations, others): (VecDeque<Step>, VecDeque<Step>) = steps.into_iter().partition(|step| step.name == "rotate");
        if closes {
            settled.extend(asker.close_accounts(&exposure));
        }
        let mut ended = 0;
        for step in others {
            // Those that were gone already cost their targets nothing, and do not count.
            let line = if ended < most { asker.take(step) } else { asker.leave(step) };
            ended += usize::from(line.outcome != "gone");
            settled.push(line);
        }
        settled.extend(asker.rotate(rotations, most, parallel));
        tell(&exposure, &settled).with("dry_run", false)
    }
}

/// Who asks for the steps.
struct Asker<'a, 'r> {
    stage: &'a Authenticated<'r>,
    request_id: &'a str,
    mode: AuditMode,
}

impl Asker<'_, '_> {
    fn request(&self, step: &Step) -> Result<Response> {
        let context = Context {
            correlation_id: Some(self.request_id.to_owned()),
            remote_address: self.stage.request().context.remote_address.clone(),
        };
        let data = step.data.clone();
        let request = Request { data, context, ..Request::new(Operation::Write, Path::parse(&step.path)?) };
        self.stage.handle_another(&request, self.mode)
    }

    /// Lets the shared accounts of an exposure be handed out no more; a line for each of which that failed.
    fn close_accounts(&self, exposure: &Exposure) -> Vec<Line> {
        let (core, namespace) = (self.stage.core(), &self.stage.place().namespace);
        let close = |id: &[u8; 16]| {
            let closed = lease_work::retried(|| leases::close_account(core, namespace, id));
            let why = match closed {
                Ok(Some(())) => return None,
                Ok(None) => "it lost every race with others: contain again".to_owned(),
                Err(error) => error.to_string(),
            };
            let (name, what) = ("close-account", Id::from_bytes(*id).to_string());
            Some(Line { name, what, time: core.clock.now(), outcome: "failed", why: Some(why) })
        };
        exposure.accounts.iter().filter_map(close).collect()
    }

    fn take(&self, step: Step) -> Line {
        let answer = self.request(&step);
        let (outcome, why) = match answer {
            Ok(_) => ("done", None),
            Err(error) if error.class() == Class::RateLimited => ("left", Some(error.to_string())),
            Err(error) if error.code() == Code::RotationPending => ("pending", Some(error.to_string())),
            // The accessor of a token that has ended is no accessor any more.
            Err(error) if step.name != "rotate" && error.class() == Class::InvalidRequest => ("gone", None),
            Err(error) => ("failed", Some(error.to_string())),
        };
        Line { name: step.name, what: step.what, time: self.stage.core().clock.now(), outcome, why }
    }

    fn leave(&self, step: Step) -> Line {
        Line { name: step.name, what: step.what, time: self.stage.core().clock.now(), outcome: "left", why: None }
    }

    /// Rotates, several at one time: each of them waits for its target, and somebody waits for all of them.
    fn rotate(&self, mut steps: VecDeque<Step>, most: usize, parallel: usize) -> Vec<Line> {
        let left = steps.split_off(steps.len().min(most));
        let (waiting, done) = (Mutex::new(steps), Mutex::new(Vec::new()));
        let work = || {
            while let Some(step) = { waiting.lock().pop_front() } {
                let line = self.take(step);
                done.lock().push(line);
            }
        };
        let threads = parallel.min(waiting.lock().len());
        os::several(threads, work);
        let mut lines = done.into_inner();
        lines.extend(left.into_iter().map(|step| self.leave(step)));
        lines
    }
}

/// The answer: what was found, and what became of each step.
fn tell(exposure: &Exposure, lines: &[Line]) -> Object {
    let steps: Vec<Value> = lines
        .iter()
        .map(|line| {
            Object::new()
                .with("time", line.time.to_string())
                .with("step", line.name)
                .with("what", line.what.as_str())
                .with("outcome", line.outcome)
                .with("why", line.why.as_deref().map(Value::from))
                .into()
        })
        .collect();
    let count = |outcome| lines.iter().filter(|line| line.outcome == outcome).count() as u64;
    let mut timeline = exposure.timeline();
    timeline.extend(lines.iter().map(Line::text));
    exposure.tell().with("steps", steps).with("left", count("left")).with("failed", count("failed")).with("timeline", timeline)
}

impl Line {
    fn text(&self) -> String {
        let Line { what, time, .. } = self;
        let did = match (self.name, self.outcome) {
            (_, "kept") => "kept".to_owned(),
            (_, "left") => "left for another call".to_owned(),
            ("revoke-token", "planned") => "would revoke, with its children and leases,".to_owned(),
            ("revoke-token", "done") => "revoked, with its children and leases,".to_owned(),
            ("quarantine-token", "planned") => "would quarantine".to_owned(),
            ("quarantine-token", "done") => "quarantined".to_owned(),
            ("end-leases", "planned") => "would end the leases at".to_owned(),
            ("end-leases", "done") => "ended the leases at".to_owned(),
            ("rotate", "planned") => "would rotate".to_owned(),
            ("rotate", "done") => "rotated".to_owned(),
            ("rotate", "gone") => "rotated already".to_owned(),
            (_, "gone") => "had ended already:".to_owned(),
            (name, outcome) => format!("{name} {outcome}:"),
        };
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{time}  {did} {what}{why}")
    }
}

//! Who has read what is out, from the audit log; which leases and which rotated credentials are behind it.

use super::Subject;
use crate::audit::Event;
use crate::auth::{TokenRef, records};
use crate::barrier::Overlay;
use crate::lease::{Lease, index};
use crate::managed::{self, Managed, Way};
use crate::pipeline::system::Ask;
use crate::pipeline::{audit_log, rotation};
use crate::types::id::Id;
use crate::types::limits::{EMERGENCY_EVENTS_MAX, EMERGENCY_LEASES_MAX, EMERGENCY_NAMES_MAX};
use crate::types::{Object, Result, Timestamp, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What a look has found.
pub(super) struct Exposure {
    pub(super) subject: Subject,
    since: Timestamp,
    pub(super) looked: Timestamp,
    pub(super) readers: Vec<Reader>,
    /// What was read.
    paths: Vec<(String, Seen)>,
    pub(super) leases: Vec<String>,
    pub(super) credentials: Vec<Rotated>,
    /// What was read and is replaced by nobody but a person.
    by_hand: Vec<String>,
    /// Whether all was read and named, and each of the readers can be ended.
    pub(super) is_complete: bool,
}

/// How often, and from when to when.
#[derive(Clone, Copy)]
struct Seen {
    reads: u64,
    first_millis: u64,
    last_millis: u64,
}

/// Somebody who has read it.
pub(super) struct Reader {
    /// Of its token; empty for a batch token.
    accessor: String,
    /// Of the token that made it, where it is a batch token; empty where none did.
    parent_accessor: String,
    pub(super) display_name: String,
    seen: Seen,
    is_live: bool,
    /// The number of the event by which it was first met.
    order: u64,
}

/// A credential that the vault itself can replace.
pub(super) struct Rotated {
    pub(super) path: String,
    /// The path of the request that replaces it.
    pub(super) rotate_path: String,
    pub(super) promoted_millis: u64,
}

/// What the log tells.
#[derive(Default)]
struct Told {
    /// By accessor, that of a batch token's parent, and name.
    readers: BTreeMap<(String, String, String), Reader>,
    paths: BTreeMap<String, Seen>,
    /// The accessors of the token that is not trusted, and of those it has made.
    family: BTreeSet<String>,
    are_all: bool,
}

/// Looks.
pub(super) fn look(ask: &Ask<'_>, subject: Subject, since: Timestamp) -> Result<Exposure> {
    let told = read_log(ask, &subject, since)?;
    let mut overlay = ask.core.reading();
    let (leases, all_leases) = leases_of(&mut overlay, &subject, &told.family)?;
    let mut credentials = Vec::new();
    let mut replaced = BTreeSet::new();
    let all = managed::index::all(&overlay)?;
    for id in all.all {
        let Some(managed) = Managed::load(&mut overlay, &id)? else { continue };
        let (rotated, read_path) = rotated(ask, &managed);
        if subject.covers(&rotated.path) || subject.covers(&read_path) || told.paths.contains_key(&read_path) {
            replaced.insert(read_path);
            credentials.push(rotated);
        }
    }
    credentials.sort_by(|one, other| one.path.cmp(&other.path));
    let is_leased = |path: &str| leases.iter().any(|lease| lease.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
    let by_hand = told.paths.keys().filter(|path| !replaced.contains(*path) && !is_leased(path)).cloned().collect();
    let mut readers: Vec<Reader> = told.readers.into_values().collect();
    readers.sort_by_key(|reader| reader.order);
    let can_end = readers.iter().all(|reader| reader.ends_with().is_some());
    let (looked, is_complete) = (ask.now, told.are_all && all_leases && can_end && all.unreadable == 0);
    Ok(Exposure { subject, since, looked, readers, paths: told.paths.into_iter().collect(), leases, credentials, by_hand, is_complete })
}

/// A credential that is rotated, and the path at which it is read.
fn rotated(ask: &Ask<'_>, managed: &Managed) -> (Rotated, String) {
    let path = rotation::path_of(&ask.place.namespace, managed);
    let mount = path.strip_suffix(managed.name.as_str()).unwrap_or_default();
    let (mount, name) = (mount.strip_suffix("static-roles/").unwrap_or(mount), &managed.name);
    let (rotate_path, read_path) = if managed.settings.way == Way::Generate {
        (format!("sys/rotation/rotate/{path}"), format!("{mount}data/{name}"))
    } else {
        (format!("{mount}rotate-role/{name}"), format!("{mount}static-creds/{name}"))
    };
    (Rotated { path, rotate_path, promoted_millis: managed.state.promoted_millis }, read_path)
}

fn read_log(ask: &Ask<'_>, subject: &Subject, since: Timestamp) -> Result<Told> {
    let mut told = Told { are_all: true, ..Told::default() };
    if let Subject::Accessor(accessor) = subject {
        told.family.insert(accessor.clone());
    }
    let (mut looked_at, since) = (0, since.as_millis());
    audit_log::each_event(ask.core, 0, |sequence, event| {
        if event.namespace.is_some() || event.outcome != 0 {
            return Ok(true);
        }
        let of_family = event.accessor.as_ref().or(event.batch_parent.as_ref()).is_some_and(|accessor| told.family.contains(accessor));
        if let Some(made) = event.accessor_created.as_ref().filter(|_| of_family) {
            told.family.insert(made.clone());
        }
        if event.time_millis < since {
            return Ok(true);
        }
        if let Some(path) = read_path(event).filter(|path| of_family && !is_own(path) || subject.covers(path)) {
            // What is none of it does not count: nobody fills a look with other requests.
            looked_at += 1;
            told.note(event, sequence, path);
        }
        told.are_all &= looked_at < EMERGENCY_EVENTS_MAX;
        Ok(told.are_all)
    })?;
    told.add_silent();
    Ok(told)
}

/// What a request has read: what was put behind a wrapping token is read by whoever unwraps it, not by who looks the token up or wraps it anew.
fn read_path(event: &Event) -> Option<&str> {
    match event.path.as_str() {
        "sys/wrapping/unwrap" | "cubbyhole/response" => event.unwrapped_path.as_deref(),
        path if event.operation == "read" => Some(path),
        _ => None,
    }
}

/// Whether a path is one of the vault's own, where no secret is.
pub(super) fn is_own(path: &str) -> bool {
    ["sys/", "auth/", "cubbyhole/"].iter().any(|own| path.starts_with(own))
}

impl Told {
    /// Adds the tokens of the family that have read nothing.
    fn add_silent(&mut self) {
        let known: BTreeSet<&String> = self.readers.keys().map(|(accessor, ..)| accessor).collect();
        let silent: Vec<String> = self.family.iter().filter(|accessor| !known.contains(accessor)).cloned().collect();
        for accessor in silent {
            let seen = Seen { reads: 0, first_millis: 0, last_millis: 0 };
            let reader = Reader {
                accessor: accessor.clone(),
                parent_accessor: String::new(),
                display_name: String::new(),
                seen,
                is_live: false,
                order: u64::MAX,
            };
            self.readers.insert((accessor, String::new(), String::new()), reader);
        }
    }

    fn note(&mut self, event: &Event, order: u64, path: &str) {
        if self.readers.len() >= EMERGENCY_NAMES_MAX || self.paths.len() >= EMERGENCY_NAMES_MAX {
            self.are_all = false;
            return;
        }
        let name = |text: &Option<String>| text.clone().unwrap_or_default();
        let once = Seen { reads: 0, first_millis: event.time_millis, last_millis: event.time_millis };
        let who = (name(&event.accessor), name(&event.batch_parent), name(&event.display_name));
        let reader = self.readers.entry(who).or_insert_with(|| Reader {
            accessor: name(&event.accessor),
            parent_accessor: name(&event.batch_parent),
            display_name: name(&event.display_name),
            seen: once,
            is_live: false,
            order,
        });
        reader.is_live = event.live;
        reader.seen.again(event);
        self.paths.entry(path.to_owned()).or_insert(once).again(event);
    }
}

impl Reader {
    /// The accessor of the token with which it ends: its own, or that of its parent; `None` for a batch token that has none.
    pub(super) fn ends_with(&self) -> Option<&str> {
        [&self.accessor, &self.parent_accessor].into_iter().find(|accessor| !accessor.is_empty()).map(String::as_str)
    }
}

impl Seen {
    fn again(&mut self, event: &Event) {
        self.reads += event.count.max(1);
        self.last_millis = event.time_millis;
    }

    fn tell(self, body: Object) -> Object {
        let time = |millis| Value::from(Timestamp::from_millis(millis).to_string());
        let were_any = self.reads > 0;
        body.with("reads", self.reads)
            .with("first", were_any.then(|| time(self.first_millis)))
            .with("last", were_any.then(|| time(self.last_millis)))
    }
}

/// The ids of the leases below the path, or of those that the tokens hold; whether these are all.
fn leases_of(overlay: &mut Overlay<'_>, subject: &Subject, family: &BTreeSet<String>) -> Result<(Vec<String>, bool)> {
    let mut leases = Vec::new();
    let (folder, beginning) = match subject {
        Subject::Path(path) => (format!("{path}/"), ""),
        Subject::Prefix(prefix) => (prefix.rfind('/').map_or("", |slash| &prefix[..=slash]).to_owned(), prefix.as_str()),
        Subject::Accessor(_) => return leases_of_tokens(overlay, family),
    };
    let are_all = index::walk(overlay, &index::LIVE, &folder, &mut |id| {
        if id.starts_with(beginning) && leases.len() < EMERGENCY_LEASES_MAX {
            leases.push(id.to_owned());
        }
        Ok(leases.len() < EMERGENCY_LEASES_MAX)
    })?;
    Ok((leases, are_all))
}

fn leases_of_tokens(overlay: &mut Overlay<'_>, family: &BTreeSet<String>) -> Result<(Vec<String>, bool)> {
    let mut leases = Vec::new();
    for accessor in family {
        let Some(key) = records::by_accessor(overlay, accessor)? else { continue };
        let token = TokenRef { namespace: Id::ROOT, key };
        for lease in index::of_token(overlay, &token.key, EMERGENCY_LEASES_MAX)? {
            if lease.namespace == Id::ROOT
                && let Some(lease) = Lease::load(overlay, &lease.key)?
            {
                leases.push(lease.id);
            }
            if leases.len() >= EMERGENCY_LEASES_MAX {
                return Ok((leases, false));
            }
        }
    }
    leases.sort_unstable();
    Ok((leases, true))
}

impl Exposure {
    /// The answer of a look.
    pub(super) fn tell(&self) -> Object {
        let readers: Vec<Value> = self
            .readers
            .iter()
            .map(|reader| {
                let body = Object::new()
                    .with("accessor", reader.accessor.as_str())
                    .with("parent_accessor", reader.parent_accessor.as_str())
                    .with("display_name", reader.display_name.as_str());
                reader.seen.tell(body).with("is_live", reader.is_live).into()
            })
            .collect();
        let paths: Vec<Value> = self.paths.iter().map(|(path, seen)| seen.tell(Object::new().with("path", path.as_str())).into()).collect();
        let rotated: Vec<Value> = self.credentials.iter().map(|rotated| Value::from(rotated.path.as_str())).collect();
        let lines: Vec<Value> = self.timeline().into_iter().map(Value::from).collect();
        Object::new()
            .with(self.subject.name(), self.subject.text())
            .with("since", self.since.to_string())
            .with("looked", self.looked.to_string())
            .with("readers", readers)
            .with("paths", paths)
            .with("leases", self.leases.clone())
            .with("credentials", rotated)
            .with("by_hand", self.by_hand.clone())
            .with("is_complete", self.is_complete)
            .with("timeline", lines)
    }

    /// The same as lines for a postmortem.
    pub(super) fn timeline(&self) -> Vec<String> {
        let time = Timestamp::from_millis;
        let since = if self.since == Timestamp::EPOCH { String::new() } else { format!(" since {}", self.since) };
        let what = match &self.subject {
            Subject::Path(path) => format!("who has read {path}"),
            Subject::Prefix(prefix) => format!("who has read what begins with {prefix}"),
            Subject::Accessor(accessor) => format!("what the token {accessor} and those it has made have read"),
        };
        let mut lines = vec![format!("{}  looked for {what}{since}", self.looked)];
        for Reader { accessor, parent_accessor, display_name, seen, is_live, .. } in &self.readers {
            let name = match (accessor.as_str(), parent_accessor.as_str()) {
                ("", "") => "a batch token that no other has made".to_owned(),
                ("", parent) => format!("a batch token made by {parent}"),
                (accessor, _) => accessor.to_owned(),
            };
            let live = if *is_live { ", and has used it on since" } else { "" };
            lines.push(match seen.reads {
                0 => format!("{}  has read nothing: {name}", self.looked),
                reads => format!(
                    "{}  first read by {name} ({display_name}), {reads} times until {}{live}",
                    time(seen.first_millis),
                    time(seen.last_millis)
                ),
            });
        }
        let whole =
            if self.is_complete { "" } else { "; this is not all: there is more than one look takes, or a reader that cannot be ended" };
        let (readers, leases, credentials) = (self.readers.len(), self.leases.len(), self.credentials.len());
        lines.push(format!("{}  {readers} readers, {leases} leases, {credentials} credentials that can be rotated{whole}", self.looked));
        lines.extend(self.by_hand.iter().map(|path| format!("{}  to be replaced by hand: {path}", self.looked)));
        lines
    }
}

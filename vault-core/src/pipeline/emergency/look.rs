//! Who has read what is out, from the audit log; which leases and which rotated credentials are behind it.

use super::{Page, Suspect};
use crate::audit::Event;
use crate::auth::records;
use crate::barrier::Overlay;
use crate::lease::{Lease, LeaseRef, State, index};
use crate::managed::{self, Managed, Way};
use crate::pipeline::system::Ask;
use crate::pipeline::{audit_log, rotation};
use crate::types::id::Id;
use crate::types::limits::{EMERGENCY_EVENTS_MAX, EMERGENCY_LEASES_MAX, EMERGENCY_NAMES_MAX};
use crate::types::{Object, Result, Timestamp, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What a look has found.
pub(super) struct Exposure {
    pub(super) suspect: Suspect,
    page: Page,
    pub(super) looked: Timestamp,
    pub(super) readers: Vec<Reader>,
    /// What was read.
    paths: Vec<(String, Seen)>,
    pub(super) leases: Vec<String>,
    /// The accounts that these share, with each other or with leases that begin from now on.
    pub(super) accounts: BTreeSet<[u8; 16]>,
    pub(super) credentials: Vec<Rotated>,
    /// What was read and is replaced by nobody but a person.
    by_hand: Vec<String>,
    /// Whether all was read and named, and each of the readers can be ended.
    pub(super) is_complete: bool,
    /// Why it is not complete, though it came to the end of the log.
    lacks: Vec<String>,
    /// The number behind which the next look goes on, where this one did not come to the end of the log.
    next: Option<u64>,
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
    /// The number of the event by which it was first met here.
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
    /// The accessors of the tokens that are not trusted, and of those they have made.
    family: BTreeSet<String>,
    /// Where it did not come to the end: the last number that it has seen to.
    ended_at: Option<u64>,
}

/// Looks.
pub(super) fn look(ask: &Ask<'_>, suspect: Suspect, page: Page) -> Result<Exposure> {
    let told = read_log(ask, &suspect, page)?;
    let mut overlay = ask.core.reading();
    let leased = leases_of(&mut overlay, &suspect, &told.family)?;
    let all_leases = !leased.is_full();
    let leases: Vec<String> = leased.ids.into_iter().collect();
    let mut credentials = Vec::new();
    let mut replaced = BTreeSet::new();
    let all = managed::index::all(&overlay)?;
    for id in all.all {
        let Some(managed) = Managed::load(&mut overlay, &id)? else { continue };
        let (rotated, read_path) = rotated(ask, &managed);
        if suspect.covers(&rotated.path) || suspect.covers(&read_path) || told.paths.contains_key(&read_path) {
            replaced.insert(read_path);
            credentials.push(rotated);
        }
    }
    credentials.sort_by(|one, other| one.path.cmp(&other.path));
    let is_leased = |path: &str| leases.iter().any(|lease| lease.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
    let by_hand = told.paths.keys().filter(|path| !replaced.contains(*path) && !is_leased(path)).cloned().collect();
    let mut readers: Vec<Reader> = told.readers.into_values().collect();
    // Those that have read nothing come last.
    readers.sort_by_key(|reader| (reader.seen.reads == 0, reader.order));
    let can_end = readers.iter().all(|reader| reader.ends_with().is_some());
    let (looked, next) = (ask.now, told.ended_at);
    let lacks: Vec<String> = [
        (!all_leases).then(|| "there are more leases than one look names".to_owned()),
        (!can_end).then(|| "there is a reader that cannot be ended".to_owned()),
        (all.unreadable > 0).then(|| {
            format!("{} records that lead to rotated credentials cannot be read: let the doctor look at the store", all.unreadable)
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    let is_complete = next.is_none() && lacks.is_empty();
    let paths = told.paths.into_iter().collect();
    let accounts = leased.accounts;
    Ok(Exposure { suspect, page, looked, readers, paths, leases, accounts, credentials, by_hand, is_complete, lacks, next })
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

/// Reads the log from its beginning, since that tells who has made whom, and notes what comes behind the page's number.
fn read_log(ask: &Ask<'_>, suspect: &Suspect, page: Page) -> Result<Told> {
    let mut told = Told::default();
    if let Suspect::Accessor(accessor) = suspect {
        told.family.insert(accessor.clone());
        if page.after == 0 {
            told.note_silent(accessor, 0);
        }
    }
    let (mut looked_at, since) = (0, page.since.as_millis());
    audit_log::each_event(ask.core, 0, |sequence, event| {
        if event.namespace.is_some() || event.outcome != 0 {
            return Ok(true);
        }
        let is_new = sequence > page.after;
        if is_new && (looked_at >= EMERGENCY_EVENTS_MAX || told.is_full()) {
            told.ended_at = Some(sequence - 1);
            return Ok(false);
        }
        let entity = match suspect {
            Suspect::Entity(id) => Some(id),
            _ => None,
        };
        let is_entitys = entity.is_some() && event.entity.as_ref() == entity;
        let holder = event.accessor.as_ref().or(event.batch_parent.as_ref());
        let of_family = is_entitys || holder.is_some_and(|accessor| told.family.contains(accessor));
        if let Some(accessor) = event.accessor.as_ref().filter(|accessor| is_entitys && !told.family.contains(*accessor)) {
            told.family.insert(accessor.clone());
            if is_new {
                told.note_silent(accessor, sequence);
            }
        }
        // A token that was made for the entity, or by one of those.
        let is_made_so = of_family || entity.is_some() && event.identity_concerned.as_ref() == entity;
        if let Some(made) = event.accessor_created.as_ref().filter(|_| is_made_so) {
            told.family.insert(made.clone());
            if is_new {
                told.note_silent(made, sequence);
            }
        }
        if event.time_millis < since || !is_new {
            return Ok(true);
        }
        if let Some(path) = read_path(event).filter(|path| of_family && !is_own(path) || suspect.covers(path)) {
            // What is none of it does not count: nobody fills a look with other requests.
            looked_at += 1;
            told.note(event, sequence, path);
        }
        Ok(true)
    })?;
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
    fn is_full(&self) -> bool {
        self.readers.len() >= EMERGENCY_NAMES_MAX || self.paths.len() >= EMERGENCY_NAMES_MAX
    }

    /// Notes a token of the family that has read nothing so far.
    fn note_silent(&mut self, accessor: &str, order: u64) {
        let seen = Seen { reads: 0, first_millis: 0, last_millis: 0 };
        let reader = Reader {
            accessor: accessor.to_owned(),
            parent_accessor: String::new(),
            display_name: String::new(),
            seen,
            is_live: false,
            order,
        };
        self.readers.entry((accessor.to_owned(), String::new(), String::new())).or_insert(reader);
    }

    fn note(&mut self, event: &Event, order: u64, path: &str) {
        let name = |text: &Option<String>| text.clone().unwrap_or_default();
        let once = Seen { reads: 0, first_millis: event.time_millis, last_millis: event.time_millis };
        let who = (name(&event.accessor), name(&event.batch_parent), name(&event.display_name));
        // It is silent no more.
        self.readers.remove(&(who.0.clone(), String::new(), String::new()));
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

/// The leases below the path, or those that the tokens hold, and those that share an account with one of them.
fn leases_of(overlay: &mut Overlay<'_>, suspect: &Suspect, family: &BTreeSet<String>) -> Result<Leased> {
    let mut leased = Leased::default();
    let (folder, beginning) = match suspect {
        Suspect::Path(path) => (format!("{path}/"), ""),
        Suspect::Prefix(prefix) => (prefix.rfind('/').map_or("", |slash| &prefix[..=slash]).to_owned(), prefix.as_str()),
        Suspect::Accessor(_) | Suspect::Entity(_) => {
            leased.of_tokens(overlay, suspect, family)?;
            return Ok(leased);
        }
    };
    let mut found = Vec::new();
    index::walk(overlay, &index::LIVE, &folder, &mut |id| {
        if id.starts_with(beginning) {
            found.push(LeaseRef::of(overlay.barrier(), id));
        }
        Ok(found.len() < EMERGENCY_LEASES_MAX)
    })?;
    leased.note(overlay, &found)?;
    Ok(leased)
}

/// What is found of leases.
#[derive(Default)]
struct Leased {
    ids: BTreeSet<String>,
    /// The accounts that some of them share.
    accounts: BTreeSet<[u8; 16]>,
}

impl Leased {
    /// Whether these are as many as a look names: there may be more.
    fn is_full(&self) -> bool {
        self.ids.len() >= EMERGENCY_LEASES_MAX
    }

    fn of_tokens(&mut self, overlay: &mut Overlay<'_>, suspect: &Suspect, family: &BTreeSet<String>) -> Result<()> {
        // The store knows leases of an entity whose tokens the log does not tell of.
        if let Suspect::Entity(id) = suspect
            && let Some(id) = Id::parse(id)
        {
            let found = index::of_entity(overlay, id.as_bytes(), EMERGENCY_LEASES_MAX)?;
            self.note(overlay, &found)?;
        }
        for accessor in family {
            let Some(key) = records::by_accessor(overlay, accessor)? else { continue };
            let found = index::of_token(overlay, &key, EMERGENCY_LEASES_MAX)?;
            self.note(overlay, &found)?;
        }
        Ok(())
    }

    /// Notes those of the root namespace that were handed out and have not ended, and those with which they share an account: its password is theirs
    /// too.
    fn note(&mut self, overlay: &mut Overlay<'_>, found: &[LeaseRef]) -> Result<()> {
        for at in found.iter().filter(|lease| lease.namespace == Id::ROOT) {
            if self.is_full() {
                break;
            }
            let Some(lease) = Lease::load(overlay, &at.key)?.filter(|lease| lease.state == State::Active) else { continue };
            self.ids.insert(lease.id);
            if let Some(of) = lease.shared.filter(|of| self.accounts.insert(of.id)) {
                let others = index::of_shared(overlay, &of.id, EMERGENCY_LEASES_MAX)?;
                self.note(overlay, &others)?;
            }
        }
        Ok(())
    }
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
            .with(self.suspect.name(), self.suspect.text())
            .with("since", self.page.since.to_string())
            .with("after", self.page.after)
            .with("next", self.next)
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
        let since = if self.page.since == Timestamp::EPOCH { String::new() } else { format!(" since {}", self.page.since) };
        let what = match &self.suspect {
            Suspect::Path(path) => format!("who has read {path}"),
            Suspect::Prefix(prefix) => format!("who has read what begins with {prefix}"),
            Suspect::Accessor(accessor) => format!("what the token {accessor} and those it has made have read"),
            Suspect::Entity(id) => format!("what the tokens of the entity {id} and those they have made have read"),
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
        let whole = match (self.is_complete, self.next) {
            (true, _) => String::new(),
            (false, Some(next)) => format!("; this is not all: look on after {next}"),
            (false, None) => format!("; this is not all: {}", self.lacks.join("; ")),
        };
        let (readers, leases, credentials) = (self.readers.len(), self.leases.len(), self.credentials.len());
        lines.push(format!("{}  {readers} readers, {leases} leases, {credentials} credentials that can be rotated{whole}", self.looked));
        lines.extend(self.by_hand.iter().map(|path| format!("{}  to be replaced by hand: {path}", self.looked)));
        lines
    }
}

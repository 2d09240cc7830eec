//! The typed face of `sys/emergency`: a credential is out. Who has had it, what hangs on it, and the end of both, with a timeline.

use super::Session;
use crate::pipeline::Suspect;
use crate::types::{Object, Operation, Result, Timestamp, Value};
use std::fmt;

/// What is done when a credential is out.
///
/// ```
/// use vault_core::testing::TestVault;
/// use vault_core::types::{Object, Timestamp, Ttl};
///
/// let test = TestVault::new();
/// test.root.kv("secret").put("app/db", Object::new().with("password", "x"))?;
/// let app = test.session_with(r#"path "secret/data/app/*" { capabilities = ["read"] }"#, Ttl::from_secs(3600));
/// app.kv("secret").get("app/db")?;
///
/// // Looks, and changes nothing.
/// let emergency = test.root.emergency();
/// let exposure = emergency.look("secret/data/app", Timestamp::EPOCH)?;
/// assert_eq!((exposure.readers.len(), exposure.by_hand.len()), (1, 1));
///
/// // Ends the tokens of those who read it, at most 100 in this call.
/// let ended = emergency.contain(&exposure, 100)?;
/// assert_eq!((ended.count("done"), ended.left), (1, 0));
/// assert!(app.kv("secret").get("app/db").is_err());
/// println!("{ended}");
/// # Ok::<(), vault_core::types::Error>(())
/// ```
#[derive(Debug)]
pub struct Emergency<'s> {
    session: &'s Session,
}

/// Who has had what is out, and what hangs on it. Its `Display` is the timeline.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exposure {
    /// What was looked for.
    pub suspect: Suspect,
    /// From when on the log was read.
    pub since: Timestamp,
    /// Behind which number of the log it was read: 0 for the first page.
    pub after: u64,
    /// The number behind which the next page begins ([`Emergency::look_on`]); none where the log was read to its end.
    pub next: Option<u64>,
    /// When that was.
    pub looked: Timestamp,
    /// Who has read it, in the order of their first reads; for an accessor or an entity also the tokens that have read nothing.
    pub readers: Vec<Reader>,
    /// The paths that were read.
    pub paths: Vec<String>,
    /// The ids of the leases below the path, or of those that the tokens hold.
    pub leases: Vec<String>,
    /// The paths of static roles and rotated secrets that are out: the vault can replace what they hold.
    pub credentials: Vec<String>,
    /// Paths that were read and that only a person can replace.
    pub by_hand: Vec<String>,
    /// Whether all of the log from `since` on was read, and all leases and readers named: false where there are more than a look takes, where a
    /// batch token that no other has made is among the readers, which nothing ends but its time, and where a record that leads to a rotated
    /// credential cannot be read. The `timeline` says which.
    pub is_complete: bool,
    /// All of it as lines for a postmortem.
    pub timeline: Vec<String>,
}

/// Somebody who has read it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reader {
    /// The accessor of the token; empty for a batch token, which ends only with its parent or by its time.
    pub accessor: String,
    /// The accessor of a batch token's parent; empty for every other token, and for a batch token that no other has made.
    pub parent_accessor: String,
    /// Its name.
    pub display_name: String,
    /// How often it has read, or unwrapped what another has read.
    pub reads: u64,
    /// The first and the last time (RFC 3339); empty where it has read nothing.
    pub first: String,
    /// See `first`.
    pub last: String,
    /// Whether its last read was a live secret's: it has used the secret on until that changed.
    pub is_live: bool,
}

/// What a containment does with the tokens of the readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReaderTokens {
    /// They are revoked, with their children and leases. That does not come back.
    #[default]
    Revoke,
    /// They are held still, with all that they have made, and lose their leases: [`Emergency::release`] lets them go on.
    Quarantine,
    /// They are left as they are.
    Keep,
}

impl ReaderTokens {
    const fn name(self) -> &'static str {
        match self {
            ReaderTokens::Revoke => "revoke",
            ReaderTokens::Quarantine => "quarantine",
            ReaderTokens::Keep => "keep",
        }
    }
}

/// How far a containment goes. More is added over time: begin with `ContainOptions::default()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainOptions {
    /// What is done with the tokens of the readers.
    pub tokens: ReaderTokens,
    /// Whether the leases end.
    pub ends_leases: bool,
    /// Whether the credentials are rotated.
    pub rotates: bool,
    /// How many tokens and leases together, and how many credentials, in this call: 1 to 10,000.
    pub most: u32,
    /// How many credentials are rotated at one time: 1 to 16.
    pub parallel: u32,
    /// It tells what it would do, and does nothing.
    pub dry_run: bool,
}

impl Default for ContainOptions {
    /// Tokens are revoked, leases end and credentials are rotated: 100 tokens and leases and 100 credentials in one call, four of these at one time.
    fn default() -> Self {
        ContainOptions { tokens: ReaderTokens::Revoke, ends_leases: true, rotates: true, most: 100, parallel: 4, dry_run: false }
    }
}

/// What was done. Its `Display` is the timeline, that of the look included.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Containment {
    /// Each step, in order.
    pub steps: Vec<ContainmentStep>,
    /// Steps that this call did not come to: call it again, with a pause that the targets can bear.
    pub left: usize,
    /// Whether its look found all, and could read it, and no reader that cannot be ended: as [`Exposure::is_complete`]. Where it is false, somebody may have it still
    /// though nothing is left.
    pub is_complete: bool,
    /// Steps that failed: `why` of each says it.
    pub failed: usize,
    /// All of it as lines for a postmortem.
    pub timeline: Vec<String>,
}

/// One thing that a containment did, would do, or did not do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainmentStep {
    /// When (RFC 3339).
    pub time: String,
    /// `revoke-token`, `quarantine-token`, `end-leases` or `rotate`.
    pub step: String,
    /// The accessor, the lease or its prefix, or the path of the credential.
    pub what: String,
    /// `done`; `planned` (a dry run); `gone` (it had ended, or was rotated already); `kept`; `pending` (begun, and `tick` carries it on); `left`;
    /// `failed`.
    pub outcome: String,
    /// Why it was kept, is pending, was left or failed.
    pub why: Option<String>,
}

impl Containment {
    /// How many steps had that outcome.
    #[must_use]
    pub fn count(&self, outcome: &str) -> usize {
        self.steps.iter().filter(|step| step.outcome == outcome).count()
    }
}

impl<'s> Emergency<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Emergency { session }
    }

    /// Who has read what lies at a path of the root namespace or below it, such as `secret/data/app`, since when, and what hangs on it. Changes
    /// nothing. Needs `update` and `sudo` on `sys/emergency/look`.
    ///
    /// # Errors
    /// `PermissionDenied`; any class.
    pub fn look(&self, path: &str, since: Timestamp) -> Result<Exposure> {
        self.look_at(&Suspect::Path(path.to_owned()), since)
    }

    /// The same of a path, a prefix, a token, or an entity.
    ///
    /// # Errors
    /// As [`Emergency::look`].
    pub fn look_at(&self, suspect: &Suspect, since: Timestamp) -> Result<Exposure> {
        self.look_after(suspect, since, 0)
    }

    /// The next page of a look that did not come to the end of the log; `None` where it did. A look names at most 10,000 readers and 10,000
    /// paths, and takes a million reads from the log.
    ///
    /// # Errors
    /// As [`Emergency::look`].
    pub fn look_on(&self, exposure: &Exposure) -> Result<Option<Exposure>> {
        exposure.next.map(|next| self.look_after(&exposure.suspect, exposure.since, next)).transpose()
    }

    fn look_after(&self, suspect: &Suspect, since: Timestamp, after: u64) -> Result<Exposure> {
        let data = asked(suspect, since, after);
        let data = self.session.request(Operation::Write, "sys/emergency/look", Some(data.into()))?.data.unwrap_or(Value::Null);
        let items = |name| data.get(name).and_then(Value::as_array).unwrap_or_default();
        Ok(Exposure {
            suspect: suspect.clone(),
            since,
            after,
            next: data.get("next").and_then(Value::as_u64),
            looked: data.get("looked").and_then(Value::as_str).and_then(Timestamp::parse).unwrap_or_default(),
            readers: items("readers").iter().map(reader).collect(),
            paths: items("paths").iter().map(|path| text(path, "path")).collect(),
            leases: texts(&data, "leases"),
            credentials: texts(&data, "credentials"),
            by_hand: texts(&data, "by_hand"),
            is_complete: data.get("is_complete").and_then(Value::as_bool).unwrap_or_default(),
            timeline: texts(&data, "timeline"),
        })
    }

    /// Ends what a look has found: the tokens of the readers with their children and leases, then the leases, then the credentials, `most` of them
    /// in this call. See [`Emergency::contain_with`].
    ///
    /// # Errors
    /// As [`Emergency::contain_with`].
    pub fn contain(&self, exposure: &Exposure, most: u32) -> Result<Containment> {
        self.contain_with(exposure, &ContainOptions { most, ..ContainOptions::default() })
    }

    /// Looks once more, since others may have read meanwhile, and ends what that finds; of a look that was one of several pages, what that page
    /// finds. The session's own token is kept, and so are those that it was made by. A step that fails keeps
    /// none of the others from being done. Called again it goes on: what was rotated since the look is not rotated twice. Needs `update` and
    /// `sudo` on `sys/emergency/contain`, and whatever each step needs: `update` on `auth/token/revoke-accessor` (or, with `sudo`,
    /// `sys/emergency/quarantine`), on `sys/leases/revoke`, with `sudo` on `sys/leases/revoke-prefix`, on `MOUNT/rotate-role/NAME` and
    /// `sys/rotation/rotate/PATH`.
    ///
    /// # Errors
    /// `PermissionDenied`, `InvalidData`; any class. What fails of the steps is told in the answer.
    pub fn contain_with(&self, exposure: &Exposure, options: &ContainOptions) -> Result<Containment> {
        let data = asked(&exposure.suspect, exposure.since, exposure.after)
            .with("before", exposure.looked.to_string())
            .with("tokens", options.tokens.name())
            .with("leases", options.ends_leases)
            .with("rotate", options.rotates)
            .with("most", options.most)
            .with("parallel", options.parallel)
            .with("dry_run", options.dry_run);
        let data = self.session.request(Operation::Write, "sys/emergency/contain", Some(data.into()))?.data.unwrap_or(Value::Null);
        let number = |name| data.get(name).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
        let steps = data.get("steps").and_then(Value::as_array).unwrap_or_default();
        Ok(Containment {
            steps: steps.iter().map(step).collect(),
            left: number("left"),
            failed: number("failed"),
            is_complete: data.get("is_complete").and_then(Value::as_bool).unwrap_or_default(),
            timeline: texts(&data, "timeline"),
        })
    }

    /// Holds a token still, with all that it has made: nothing of them is lost but their leases, and nothing that they have under way is committed
    /// any more. Needs `update` and `sudo` on `sys/emergency/quarantine`.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such token, or it is the session's own or one that this was made by.
    pub fn quarantine(&self, accessor: &str) -> Result<()> {
        self.hold("quarantine", "accessor", accessor)
    }

    /// Lets a token go on that was held still. Needs `update` and `sudo` on `sys/emergency/release`.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such token.
    pub fn release(&self, accessor: &str) -> Result<()> {
        self.hold("release", "accessor", accessor)
    }

    /// Holds all tokens of an entity still, by its id or name: nothing of them is lost but their leases. Needs what [`Emergency::quarantine`] does.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such entity, or the session's token is of it.
    pub fn quarantine_entity(&self, entity: &str) -> Result<()> {
        self.hold("quarantine", "entity", entity)
    }

    /// Lets the tokens of an entity go on that were held still.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such entity.
    pub fn release_entity(&self, entity: &str) -> Result<()> {
        self.hold("release", "entity", entity)
    }

    fn hold(&self, verb: &str, name: &str, whom: &str) -> Result<()> {
        let data = Object::new().with(name, whom);
        self.session.request(Operation::Write, &format!("sys/emergency/{verb}"), Some(data.into())).map(drop)
    }
}

fn asked(suspect: &Suspect, since: Timestamp, after: u64) -> Object {
    Object::new().with(suspect.name(), suspect.text()).with("since", since.to_string()).with("after", after)
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(data: &Value, name: &str) -> Vec<String> {
    let items = data.get(name).and_then(Value::as_array).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn reader(value: &Value) -> Reader {
    Reader {
        accessor: text(value, "accessor"),
        parent_accessor: text(value, "parent_accessor"),
        display_name: text(value, "display_name"),
        reads: value.get("reads").and_then(Value::as_u64).unwrap_or_default(),
        first: text(value, "first"),
        last: text(value, "last"),
        is_live: value.get("is_live").and_then(Value::as_bool).unwrap_or_default(),
    }
}

fn step(value: &Value) -> ContainmentStep {
    ContainmentStep {
        time: text(value, "time"),
        step: text(value, "step"),
        what: text(value, "what"),
        outcome: text(value, "outcome"),
        why: value.get("why").and_then(Value::as_str).map(str::to_owned),
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timeline.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timeline.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

//! A credential that is out: who has read it, which leases hang on it, and the end of both, with a timeline.

use super::Session;
use crate::types::limits::{EMERGENCY_EVENTS_MAX, EMERGENCY_LEASES_MAX};
use crate::types::{Class, Operation, Result, Timestamp, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Events that are read at a time.
const PAGE: u64 = 1_000;

/// What is done when a credential is out. It looks and acts by the session's own requests, each with its record.
///
/// ```
/// use vault_core::testing::TestVault;
/// use vault_core::types::{Object, Ttl};
///
/// let test = TestVault::new();
/// test.root.kv("secret").put("app/db", Object::new().with("password", "x"))?;
/// let app = test.session_with(r#"path "secret/data/app/*" { capabilities = ["read"] }"#, Ttl::from_secs(3600));
/// app.kv("secret").get("app/db")?;
///
/// // Looks, and changes nothing.
/// let emergency = test.root.emergency();
/// let exposure = emergency.look("secret/data/app", vault_core::types::Timestamp::EPOCH)?;
/// assert_eq!(exposure.readers.len(), 1);
///
/// // Ends the tokens of those who read it, at most 100 in this call.
/// let ended = emergency.contain(&exposure, 100)?;
/// assert_eq!((ended.revoked.len(), ended.left), (1, 0));
/// assert!(app.kv("secret").get("app/db").is_err());
/// println!("{}{}", exposure, ended);
/// # Ok::<(), vault_core::types::Error>(())
/// ```
#[derive(Debug)]
pub struct Emergency<'s> {
    session: &'s Session,
}

/// Who has had what lies at a path, and what hangs on it. Its `Display` is a page for a postmortem.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exposure {
    /// The path, or the folder of paths, as the audit log has them.
    pub path: String,
    /// From when on the log was read, whole seconds.
    pub since: Timestamp,
    /// When that was.
    pub looked: Timestamp,
    /// Who has read it, in the order of their first reads.
    pub readers: Vec<Reader>,
    /// The ids of the leases below the path.
    pub leases: Vec<String>,
    /// Whether all of the log from `since` on was read, and all leases named: false where there are more than a look takes.
    pub is_complete: bool,
}

/// Somebody who has read it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reader {
    /// The accessor of the token; empty for a batch token, which ends only with its parent or by its time.
    pub accessor: String,
    /// Its name.
    pub display_name: String,
    /// How often it has read, or unwrapped what another has read.
    pub reads: u64,
    /// The first and the last time (RFC 3339).
    pub first: String,
    /// See `first`.
    pub last: String,
    /// Whether its last read was a live secret's: it has used the secret on until that changed.
    pub is_live: bool,
}

/// What was ended. Its `Display` goes on where that of the [`Exposure`] ends.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Containment {
    /// The accessors of the tokens that were revoked, with their children and leases, each with when.
    pub revoked: Vec<(Timestamp, String)>,
    /// The accessors of tokens that had ended already.
    pub gone: Vec<String>,
    /// What was left as it is, and why: the session's own token, and batch tokens.
    pub kept: Vec<(String, &'static str)>,
    /// Readers that this call did not come to: call it again, with a pause that the targets can bear.
    pub left: usize,
    /// When the leases below the path were ended, if there were any.
    pub leases_ended: Option<Timestamp>,
}

impl<'s> Emergency<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Emergency { session }
    }

    /// Who has read what lies at a path of the root namespace or below it, such as `secret/data/app`, since when, and which leases are there.
    /// Changes nothing: the rehearsal of [`Emergency::contain`]. Needs `read` and `sudo` on `sys/audit-log/events`, and `list` and `sudo` on
    /// `sys/leases/lookup`.
    ///
    /// # Errors
    /// `PermissionDenied`; any class.
    pub fn look(&self, path: &str, since: Timestamp) -> Result<Exposure> {
        let path = path.trim_end_matches('/').to_owned();
        let (readers, all_events) = self.readers(&path, since)?;
        let mut leases = Vec::new();
        let all_leases = self.leases_below(&path, &mut leases)?;
        let looked = self.session.vault().runtime.now();
        Ok(Exposure { path, since, looked, readers, leases, is_complete: all_events && all_leases })
    }

    /// Ends what the look has found: the leases below the path, then the tokens of its readers with their children and leases, at most `most`
    /// tokens in this call. The session's own token is kept. What is there for who comes next must be changed besides: write a new version,
    /// rotate the account. Needs `update` on `auth/token/revoke-accessor` and
    /// `auth/token/lookup-accessor`, and `update` and `sudo` on `sys/leases/revoke-prefix`.
    ///
    /// # Errors
    /// Any class; what was revoked until then is, and calling it again goes on.
    pub fn contain(&self, exposure: &Exposure, most: usize) -> Result<Containment> {
        let tokens = self.session.tokens();
        let own = tokens.lookup_self()?.accessor;
        let now = || self.session.vault().runtime.now();
        let mut ended = Containment { revoked: Vec::new(), gone: Vec::new(), kept: Vec::new(), left: 0, leases_ended: None };
        if !exposure.leases.is_empty() {
            self.session.request(Operation::Write, &format!("sys/leases/revoke-prefix/{}", exposure.path), None)?;
            ended.leases_ended = Some(now());
        }
        for reader in &exposure.readers {
            if reader.accessor.is_empty() {
                ended.kept.push((reader.display_name.clone(), "a batch token: revoke its parent, or wait for its end"));
            } else if reader.accessor == own {
                ended.kept.push((reader.accessor.clone(), "the token of this session"));
            } else if ended.revoked.len() >= most {
                ended.left += 1;
            } else if tokens.lookup_accessor(&reader.accessor).is_err_and(|error| error.class() == Class::InvalidRequest) {
                ended.gone.push(reader.accessor.clone());
            } else {
                tokens.revoke_accessor(&reader.accessor)?;
                ended.revoked.push((now(), reader.accessor.clone()));
            }
        }
        Ok(ended)
    }

    /// The readers, and whether all of the log was read.
    fn readers(&self, path: &str, since: Timestamp) -> Result<(Vec<Reader>, bool)> {
        let mut readers: BTreeMap<(String, String), Reader> = BTreeMap::new();
        let (mut after, mut seen) = (0, 0);
        // Text of one form and length up to the second, whose order is that of time.
        let since = seconds_of(&since.to_string()).to_owned();
        loop {
            let page = self.session.audit().events(after, PAGE)?;
            for event in &page {
                let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
                after = event.get("sequence").and_then(Value::as_u64).unwrap_or(after);
                // What was put behind a wrapping token is read by whoever unwraps it, not by who looks the token up or wraps it anew.
                let unwraps = matches!(text("path"), "sys/wrapping/unwrap" | "cubbyhole/response");
                let is_read =
                    text("operation") == "read" && is_below(text("path"), path) || unwraps && is_below(text("wrapping_path"), path);
                let succeeded = event.get("outcome").and_then(Value::as_u64) == Some(0);
                if !is_read || !succeeded || !text("namespace").is_empty() || seconds_of(text("time")) < since.as_str() {
                    continue;
                }
                let reader = readers.entry((text("accessor").to_owned(), text("display_name").to_owned())).or_insert_with(|| Reader {
                    accessor: text("accessor").to_owned(),
                    display_name: text("display_name").to_owned(),
                    reads: 0,
                    first: text("time").to_owned(),
                    last: String::new(),
                    is_live: false,
                });
                reader.reads += event.get("count").and_then(Value::as_u64).unwrap_or(1);
                text("time").clone_into(&mut reader.last);
                reader.is_live = event.get("live").and_then(Value::as_bool) == Some(true);
            }
            seen += page.len() as u64;
            let is_end = (page.len() as u64) < PAGE;
            if is_end || seen >= EMERGENCY_EVENTS_MAX {
                let mut readers: Vec<Reader> = readers.into_values().collect();
                readers.sort_by(|one, other| one.first.cmp(&other.first));
                return Ok((readers, is_end));
            }
        }
    }

    /// The ids of the leases below a path; whether these are all.
    fn leases_below(&self, path: &str, leases: &mut Vec<String>) -> Result<bool> {
        for name in self.session.leases().list(path)? {
            if leases.len() >= EMERGENCY_LEASES_MAX {
                return Ok(false);
            }
            let below = format!("{path}/{name}");
            if !name.ends_with('/') {
                leases.push(below);
            } else if !self.leases_below(below.trim_end_matches('/'), leases)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a path of the log is this one or below it.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A time up to its second.
fn seconds_of(time: &str) -> &str {
    time.get(..19).unwrap_or(time)
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  looked for who has read {} since {}", self.looked, self.path, self.since)?;
        for reader in &self.readers {
            let name = if reader.accessor.is_empty() { "a batch token" } else { &reader.accessor };
            let live = if reader.is_live { ", and has used it on since" } else { "" };
            writeln!(
                f,
                "{}  first read by {name} ({}), {} times until {}{live}",
                reader.first, reader.display_name, reader.reads, reader.last
            )?;
        }
        let whole = if self.is_complete { "" } else { "; there is more than one look takes" };
        writeln!(f, "{}  {} readers, {} leases{whole}", self.looked, self.readers.len(), self.leases.len())
    }
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(time) = self.leases_ended {
            writeln!(f, "{time}  ended the leases below the path")?;
        }
        for (time, accessor) in &self.revoked {
            writeln!(f, "{time}  revoked {accessor} with its children and leases")?;
        }
        self.gone.iter().try_for_each(|accessor| writeln!(f, "had ended already: {accessor}"))?;
        self.kept.iter().try_for_each(|(who, why)| writeln!(f, "kept: {who}: {why}"))?;
        if self.left > 0 { writeln!(f, "left for another call: {} readers", self.left) } else { Ok(()) }
    }
}

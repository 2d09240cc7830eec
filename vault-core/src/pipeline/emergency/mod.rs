//! `sys/emergency`: a credential is out. Who has had it, what hangs on it, and the end of both.
//!
//! `look` reads and changes nothing. `contain` looks, and then acts by requests of the caller's own token, each with its record and its
//! decision by policy: the path gives nobody more than they have. Both speak of the root namespace's paths and tokens.

mod contain;
mod look;
mod quarantine;

pub(super) use contain::Plan;

use super::given::{Members, bad};
use super::system::{Ask, Done};
use crate::barrier::Overlay;
use crate::types::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};
use crate::types::{Code, Error, Operation, Path, Result, Timestamp};

/// One of the paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum EmergencyPath {
    Look,
    Contain,
    Quarantine,
    Release,
}

impl EmergencyPath {
    pub(super) fn parse(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("sys/emergency/")? {
            "look" => EmergencyPath::Look,
            "contain" => EmergencyPath::Contain,
            "quarantine" => EmergencyPath::Quarantine,
            "release" => EmergencyPath::Release,
            _ => return None,
        })
    }
}

/// Carries out an operation on such a path.
pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: EmergencyPath) -> Result<Done> {
    match (operation, path) {
        (Operation::Write, EmergencyPath::Look) => {
            Members(ask.data).known_only(&["path", "prefix", "accessor", "since"])?;
            Ok(Done::answer(look::look(ask, Subject::of(ask)?, since(ask, "since")?)?.tell()))
        }
        (Operation::Write, EmergencyPath::Contain) => contain::plan(ask),
        (Operation::Write, EmergencyPath::Quarantine) => quarantine::set(ask, overlay, true),
        (Operation::Write, EmergencyPath::Release) => quarantine::set(ask, overlay, false),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

/// What is out, or who is not to be trusted any more.
pub(super) enum Subject {
    /// A path, with all that is below it.
    Path(String),
    /// All paths that begin so, but for the vault's own.
    Prefix(String),
    /// A token with those that it has made: what it has read.
    Accessor(String),
}

impl Subject {
    fn of(ask: &Ask<'_>) -> Result<Self> {
        let data = Members(ask.data);
        let given = [data.text("path")?, data.text("prefix")?, data.text("accessor")?];
        let [path, prefix, accessor] = given.map(|text| text.filter(|text| !text.is_empty()));
        // All of the vault is nothing that is out.
        let has_beginning = prefix.is_none_or(|prefix| !prefix.trim_start_matches('/').is_empty());
        match [path, prefix.filter(|_| has_beginning), accessor] {
            [Some(path), None, None] => Ok(Subject::Path(Path::parse(path)?.as_str().trim_end_matches('/').to_owned())),
            [None, Some(prefix), None] if prefix.len() <= PATH_BYTES_MAX => Ok(Subject::Prefix(prefix.trim_start_matches('/').to_owned())),
            [None, None, Some(accessor)] if accessor.len() <= NAME_BYTES_MAX => Ok(Subject::Accessor(accessor.to_owned())),
            _ => Err(Error::new(Code::InvalidData, "pass one of \"path\", \"prefix\" and \"accessor\": what is out, or whose token is")),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Subject::Path(_) => "path",
            Subject::Prefix(_) => "prefix",
            Subject::Accessor(_) => "accessor",
        }
    }

    fn text(&self) -> &str {
        match self {
            Subject::Path(text) | Subject::Prefix(text) | Subject::Accessor(text) => text,
        }
    }

    /// Whether a path is among those that are out; none is by itself where it is a token that is not trusted.
    fn covers(&self, path: &str) -> bool {
        match self {
            Subject::Path(folder) => path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Subject::Prefix(prefix) => path.starts_with(prefix.as_str()) && !look::is_own(path),
            Subject::Accessor(_) => false,
        }
    }
}

/// An instant: seconds since the Unix epoch, or RFC 3339.
fn since(ask: &Ask<'_>, name: &str) -> Result<Timestamp> {
    let data = Members(ask.data);
    let text = data.get(name).and_then(|value| value.as_str()).filter(|text| text.parse::<u64>().is_err());
    match text {
        Some("") => Ok(Timestamp::EPOCH),
        Some(text) => Timestamp::parse(text).ok_or_else(|| bad(name, "must be seconds since 1970, or a time such as 2026-11-23T18:04:00Z")),
        None => Ok(Timestamp::from_secs(data.whole(name)?.unwrap_or_default())),
    }
}

//! `sys/emergency`: a credential is out. Who has had it, what hangs on it, and the end of both.
//!
//! `look` reads and changes nothing. `contain` looks, and then acts by requests of the caller's own token, each with its record and its
//! decision by policy: the path gives nobody more than they have. Both speak of the root namespace's paths and tokens.

mod contain;
mod look;
mod quarantine;
mod suspect;

pub(super) use contain::Plan;
pub use suspect::Suspect;

use super::given::{Members, bad};
use super::system::{Ask, Done};
use crate::barrier::Overlay;
use crate::types::{Code, Error, Operation, Result, Timestamp};

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
            Members(ask.data).known_only(&["path", "prefix", "accessor", "entity", "since", "after"])?;
            Ok(Done::answer(look::look(ask, Suspect::of(ask)?, page(ask)?)?.tell()))
        }
        (Operation::Write, EmergencyPath::Contain) => contain::plan(ask),
        (Operation::Write, EmergencyPath::Quarantine) => quarantine::set(ask, overlay, true),
        (Operation::Write, EmergencyPath::Release) => quarantine::set(ask, overlay, false),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

/// What of the audit log a look goes through.
#[derive(Clone, Copy)]
struct Page {
    /// From when on.
    since: Timestamp,
    /// Behind which number: where the look before has ended.
    after: u64,
}

fn page(ask: &Ask<'_>) -> Result<Page> {
    Ok(Page { since: since(ask, "since")?, after: Members(ask.data).whole("after")?.unwrap_or_default() })
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

//! `LIST sys/version-history`: which versions of the library have worked on the store, and since when.

use super::core::Core;
use super::system::Done;
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::types::limits::VERSIONS_NOTED_MAX;
use crate::types::{Code, Error, Object, Result, Timestamp, Value};
use minicbor::{Decode, Encode};

/// This version.
const CURRENT: &str = env!("CARGO_PKG_VERSION");

/// The versions, in the order in which they came.
#[derive(Default, Encode, Decode)]
struct History {
    #[n(0)]
    versions: Vec<Installed>,
}

#[derive(Encode, Decode)]
struct Installed {
    #[n(0)]
    version: String,
    #[n(1)]
    at_millis: u64,
}

impl History {
    fn load(overlay: &mut Overlay<'_>) -> Result<Self, BarrierError> {
        let key = overlay.barrier().key(Kind::VersionHistory, &[]);
        let bytes = overlay.get(Kind::VersionHistory, &key)?;
        Ok(bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()?.unwrap_or_default())
    }

    fn is_current(&self) -> bool {
        self.versions.last().is_some_and(|last| last.version == CURRENT)
    }
}

/// Notes this version, if another one was noted last: in the commit that makes a store, else with the first tick.
pub(super) fn note(overlay: &mut Overlay<'_>, now: Timestamp) -> Result<bool, BarrierError> {
    let mut history = History::load(overlay)?;
    if history.is_current() {
        return Ok(false);
    }
    history.versions.push(Installed { version: CURRENT.to_owned(), at_millis: now.as_millis() });
    let too_many = history.versions.len().saturating_sub(VERSIONS_NOTED_MAX);
    history.versions.drain(..too_many);
    let key = overlay.barrier().key(Kind::VersionHistory, &[]);
    overlay.put(Kind::VersionHistory, key, &minicbor::to_vec(&history).expect("encoding to memory cannot fail"))?;
    Ok(true)
}

/// The same in a commit of its own. Whoever was faster has noted it.
pub(super) fn note_once(core: &Core, now: Timestamp) -> Result<()> {
    let mut overlay = core.writing();
    if !note(&mut overlay, now)? {
        return Ok(());
    }
    match core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }) {
        Ok(_) | Err(CommitError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn list(overlay: &mut Overlay<'_>) -> Result<Done> {
    let history = History::load(overlay)?;
    if history.versions.is_empty() {
        return Err(Error::new(Code::NotFound, "no version was noted yet: the first tick does"));
    }
    let mut previous = Value::Null;
    let mut info = Object::new();
    for Installed { version, at_millis } in &history.versions {
        let installed = Object::new()
            .with("build_date", Value::Null)
            .with("previous_version", std::mem::replace(&mut previous, Value::string(version.as_str())))
            .with("timestamp_installed", Timestamp::from_millis(*at_millis).to_string());
        info = info.with(version, installed);
    }
    let keys: Vec<&str> = history.versions.iter().map(|installed| installed.version.as_str()).collect();
    Ok(Done::answer(Object::new().with("keys", keys).with("key_info", info)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_noted_once_behind_those_before_it() {
        let noted = |version: &str| Installed { version: version.to_owned(), at_millis: 1 };
        assert!(!History::default().is_current());
        assert!(!History { versions: vec![noted(CURRENT), noted("0.0.9")] }.is_current());
        assert!(History { versions: vec![noted("0.0.9"), noted(CURRENT)] }.is_current());
    }
}

//! What the paths below `sys/rotation` answer: which rotations need somebody, and secrets of the vault's own that are rotated.

use super::core::Core;
use super::rotation::path_of;
use super::rotation_secret;
use super::system::{Ask, Done};
use crate::barrier::{BarrierError, Overlay};
use crate::engines::database;
use crate::managed::{Managed, index};
use crate::types::{Code, Error, Object, Operation, Result, Value};

/// One of the paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RotationPath<'p> {
    /// `sys/rotation`: how many there are, and which need attention.
    All,
    Secrets,
    /// The path of a secret, with its mount.
    Secret(&'p str),
    Rotate(&'p str),
}

impl<'p> RotationPath<'p> {
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        let rest = path.strip_prefix("sys/rotation")?;
        match rest.split_once('/') {
            None if rest.is_empty() => Some(RotationPath::All),
            Some(("", "secrets")) => Some(RotationPath::Secrets),
            Some(("", rest)) => match rest.split_once('/')? {
                ("secrets", path) => Some(RotationPath::Secret(path)),
                ("rotate", path) => Some(RotationPath::Rotate(path)),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn is_root_protected(self) -> bool {
        matches!(self, RotationPath::All | RotationPath::Secrets)
    }
}

pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: RotationPath<'_>) -> Result<Done> {
    match (operation, path) {
        (Operation::Read, RotationPath::All) => all(ask, overlay),
        (Operation::List | Operation::Read, RotationPath::Secrets) => secrets(ask, overlay),
        (Operation::Read, RotationPath::Secret(path)) => rotation_secret::read(ask, overlay, path),
        (Operation::Write, RotationPath::Secret(path)) => rotation_secret::write(ask, overlay, path),
        (Operation::Delete, RotationPath::Secret(path)) => rotation_secret::delete(ask, overlay, path),
        (Operation::Write, RotationPath::Rotate(path)) => rotation_secret::rotate(ask, overlay, path),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

/// `READ sys/rotation`.
fn all(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let mut stuck = Vec::new();
    for id in index::stuck(overlay)?.whole()? {
        let Some(managed) = Managed::load(overlay, &id)? else { continue };
        let path = path_of(&ask.place.namespace, &managed);
        stuck.push(Value::from(database::status(&managed, ask.now).with("path", path)));
    }
    let (all, asked) = (index::all(overlay)?.whole()?.len(), index::asked(overlay)?.whole()?.len());
    let body = Object::new().with("credentials", all as u64).with("asked", asked as u64);
    Ok(Done::answer(body.with("needing_attention", stuck.len() as u64).with("attention", stuck)))
}

/// `LIST sys/rotation/secrets`: the paths of secrets that are rotated.
fn secrets(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let mut paths = Vec::new();
    for id in index::all(overlay)?.whole()? {
        let found = Managed::load(overlay, &id)?.filter(|managed| managed.target.is_none());
        paths.extend(found.map(|managed| path_of(&ask.place.namespace, &managed)));
    }
    if paths.is_empty() {
        return Err(Error::new(Code::NotFound, "no secret is rotated"));
    }
    paths.sort_unstable();
    Ok(Done::answer(Object::new().with("keys", paths)))
}

/// How many credentials of all namespaces are rotated, and how many of those need somebody.
pub(super) struct Counts {
    pub(super) all: usize,
    pub(super) stuck: usize,
}

pub(super) fn counts(core: &Core) -> Result<Counts, BarrierError> {
    let mut counts = Counts { all: 0, stuck: 0 };
    for namespace in core.namespaces.load_full().iter() {
        let mut overlay = Overlay::reading(&namespace.barrier, core.source());
        if index::mark(&mut overlay)?.is_some() {
            counts.all += index::all(&overlay)?.all.len();
            counts.stuck += index::stuck(&overlay)?.all.len();
        }
    }
    Ok(counts)
}

//! The removal of what was behind a mount or in a cubbyhole: doomed in the commit that ends its owner, then removed by `tick` in bounded steps.
//!
//! Nothing of a doomed owner can be reached: its id is random and stands nowhere any more, and every write to it would have expected its
//! owner to be there. So a step needs no note of how far it came: it takes what it finds first, and the last one ends the removal.

use super::core::Core;
use super::namespaces::Namespace;
use super::rotation_secret;
use crate::auth::{BarrierOf, TokenRef};
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::engines::kv::leftovers;
use crate::engines::{EngineKind, cubbyhole};
use crate::lease;
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::COMMIT_RETRIES_MAX;
use crate::types::{Error, Result};
use minicbor::{Decode, Encode};

/// Records, about, that one commit removes.
const STEP_RECORDS: usize = 256;

/// Steps that one call does.
const STEPS: usize = 4;

/// Whose records are to be removed: there while some may be left.
#[derive(Encode, Decode)]
struct Removal {
    #[n(0)]
    engine: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    owner: [u8; 16],
}

/// Notes, in the commit that ends an owner, that its records are to be removed.
pub(super) fn doom(overlay: &mut Overlay<'_>, kind: EngineKind, owner: &Id) -> Result<(), BarrierError> {
    let removal = Removal { engine: kind.name().to_owned(), owner: *owner.as_bytes() };
    let key = key_of(overlay, owner);
    overlay.put(Kind::Removal, key, &minicbor::to_vec(removal).expect("encoding to memory cannot fail"))
}

/// Notes, in the commit that removes tokens, that their cubbyholes are to be removed and their leases are ended.
pub(super) fn doom_cubbyholes(overlay: &mut Overlay<'_>, barrier_of: BarrierOf<'_>, tokens: &[TokenRef]) -> Result<(), BarrierError> {
    for token in tokens {
        // With its namespace goes the cubbyhole.
        let Some(barrier) = barrier_of(&token.namespace) else { continue };
        lease::chore::end_token(overlay, token, barrier_of)?;
        overlay.within(&barrier, |overlay| match cubbyhole::part(overlay, &token.key)? {
            Some(owner) => doom(overlay, EngineKind::Cubbyhole, &owner),
            None => Ok(()),
        })?;
    }
    Ok(())
}

/// Whose records are to be removed, of a note's plaintext.
pub(super) fn parse(bytes: &[u8]) -> Result<(EngineKind, Id), BarrierError> {
    let removal: Removal = minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)?;
    Ok((EngineKind::named(&removal.engine).ok_or(BarrierError::Corrupt)?, Id::from_bytes(removal.owner)))
}

/// Does some steps of what is to be removed; whether there is more to do.
pub(super) fn work(core: &Core) -> Result<bool> {
    let mut left = STEPS;
    for namespace in core.namespaces.load_full().iter() {
        let mut tries = 0;
        loop {
            match step(core, namespace).and_then(|removed| if removed { Ok(true) } else { leftover_step(core, namespace) }) {
                Ok(false) => break,
                Ok(true) if left == 0 => return Ok(true),
                Ok(true) => left -= 1,
                // Its namespace was deleted, or its records are being re-encrypted.
                Err(CommitError::Conflict) if tries < COMMIT_RETRIES_MAX => tries += 1,
                Err(CommitError::Conflict) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(false)
}

/// Removes some records of a namespace's first doomed owner; whether there was one.
fn step(core: &Core, namespace: &Namespace) -> Result<bool, CommitError> {
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    let prefix = namespace.barrier.member_prefix(Kind::Removal, &[]);
    let mut found = None;
    overlay.scan(Kind::Removal, &prefix, |_, bytes| {
        found = Some(parse(bytes)?);
        Ok(false)
    })?;
    let Some((kind, owner)) = found else { return Ok(false) };
    let mut sweep = Sweep { kind, owner, overlay: &mut overlay, left: STEP_RECORDS };
    let is_empty = sweep.folder("").map_err(CommitError::Failed)?;
    let is_rotated = |overlay: &mut Overlay<'_>| match kind {
        EngineKind::Kv2 => rotation_secret::forget_all_of(overlay, &owner, STEP_RECORDS).map(|is_done| !is_done),
        _ => Ok(false),
    };
    if is_empty && !is_rotated(&mut overlay).map_err(CommitError::Failed)? {
        kind.forget_rest(&mut overlay, &owner);
        let key = key_of(&overlay, &owner);
        overlay.delete(key);
    }
    core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }).map(|_| true)
}

/// Removes some records of versions that are gone; whether there were some.
fn leftover_step(core: &Core, namespace: &Namespace) -> Result<bool, CommitError> {
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    if !leftovers::sweep(&mut overlay).map_err(CommitError::Failed)? {
        return Ok(false);
    }
    core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }).map(|_| true)
}

struct Sweep<'s, 'o> {
    kind: EngineKind,
    owner: Id,
    overlay: &'s mut Overlay<'o>,
    /// Records that this step may still remove.
    left: usize,
}

impl Sweep<'_, '_> {
    /// Removes what a folder holds, for as long as the step may; whether nothing is left in it. Folders nest as deep as paths have segments.
    fn folder(&mut self, folder: &str) -> Result<bool, Error> {
        let prefix = self.overlay.barrier().folder_prefix(&self.owner, folder);
        let mut children = Vec::new();
        let most = self.left + 1;
        self.overlay.scan(Kind::FolderEntry, &prefix, |key, name| {
            children.push((*key, String::from_utf8(name.to_vec()).map_err(|_| BarrierError::Corrupt)?));
            Ok(children.len() < most)
        })?;
        for (key, child) in children {
            if self.left == 0 {
                return Ok(false);
            }
            let path = format!("{folder}{child}");
            if path.ends_with('/') {
                if !self.folder(&path)? {
                    return Ok(false);
                }
            } else {
                let records = self.kind.forget(self.overlay, &self.owner, &path)?;
                self.left = self.left.saturating_sub(records);
            }
            self.overlay.delete(key);
            self.left = self.left.saturating_sub(1);
        }
        Ok(true)
    }
}

fn key_of(overlay: &Overlay<'_>, owner: &Id) -> Key {
    overlay.barrier().member_key(Kind::Removal, &[], owner.as_bytes())
}

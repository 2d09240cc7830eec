//! A token that is held still: it and all that it has made may do nothing until it is released or revoked, and only their leases are lost.

use crate::auth::{TokenEntry, records};
use crate::barrier::Overlay;
use crate::lease::chore;
use crate::pipeline::given::Members;
use crate::pipeline::system::{Ask, Done};
use crate::pipeline::token_look;
use crate::types::id::Id;
use crate::types::{Code, Error, Result};
use std::sync::Arc;

/// `WRITE sys/emergency/quarantine` and `release`, by accessor. Its leases and those of its
/// descendants end with the quarantine: what they gave works outside the vault.
pub(super) fn set(ask: &Ask<'_>, overlay: &mut Overlay<'_>, held: bool) -> Result<Done> {
    Members(ask.data).known_only(&["accessor"])?;
    let target = token_look::by_accessor(ask, overlay)?;
    if ask.caller.hangs_on(&target.entry.accessor) {
        let why = "a token cannot hold itself still, nor one that it was made by: ask with another one";
        return Err(Error::new(Code::InvalidRequest, why));
    }
    let concerns = token_look::told_accessor(ask, &target.entry);
    if target.entry.quarantined_millis.is_some() == held {
        return Ok(Done { concerns, ..Done::default() });
    }
    let namespaces = ask.core.namespaces.load_full();
    let barrier_of = |id: &Id| namespaces.barrier(id);
    let new = TokenEntry { quarantined_millis: held.then(|| ask.now.as_millis()), ..target.entry.clone() };
    records::replace(overlay, &target.id.key, (&target.entry, &new), &barrier_of)?;
    if held {
        chore::end_family(overlay, &target.id, &barrier_of)?;
    }
    let (tokens, id) = (Arc::clone(&ask.core.tokens), target.id);
    Ok(Done { concerns, ..Done::default() }.publishing(move || tokens.forget(&[id])))
}

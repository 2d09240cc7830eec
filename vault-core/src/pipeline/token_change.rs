//! What is done with tokens that are there: renewed, revoked with or without their children, tidied.

use super::auth_paths::TokenLifetimes;
use super::given::{Members, bad};
use super::system::{Ask, Done};
use super::token_create::{auth_of, bounds};
use super::token_look::{self, Target, told_accessor};
use super::{tick, tokens};
use crate::auth::{TokenRef, batch, lifetime, records};
use crate::barrier::Overlay;
use crate::types::id::Id;
use crate::types::limits::{TOKEN_ORPHANS_MAX, TOKEN_REMOVALS_MAX};
use crate::types::{Code, Error, Object, Result, SecretString, Ttl};
use std::sync::Arc;

/// `WRITE auth/token/renew`: the token that the request names.
pub(super) fn renew(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let text = Members(ask.data).required("token")?;
    let target = token_look::by_text(ask, overlay, text)?;
    renew_target(ask, overlay, target.ok_or_else(|| refused("token not found"))?, text)
}

/// `WRITE auth/token/renew-self`.
pub(super) fn renew_self(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let target = token_look::of_caller(ask, overlay)?;
    renew_target(ask, overlay, target, ask.token)
}

/// `WRITE auth/token/renew-accessor`. The answer does not have the token.
pub(super) fn renew_accessor(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let target = token_look::by_accessor(ask, overlay)?;
    renew_target(ask, overlay, target, "")
}

/// `WRITE auth/token/revoke`: the token that the request names, with all its descendants. One that is gone already is no error.
pub(super) fn revoke(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let text = Members(ask.data).required("token")?;
    check_not_batch(batch::is_batch(text))?;
    revoke_tree(ask, overlay, &token_look::ref_of(ask, text))
}

/// `WRITE auth/token/revoke-self`.
pub(super) fn revoke_self(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    check_not_batch(ask.caller.entry.is_batch())?;
    revoke_tree(ask, overlay, &ask.caller.id)
}

/// `WRITE auth/token/revoke-accessor`.
pub(super) fn revoke_accessor(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let target = token_look::by_accessor(ask, overlay)?;
    revoke_tree(ask, overlay, &target.id)
}

/// `WRITE auth/token/revoke-orphan`: the token alone; its children go on without a parent.
pub(super) fn revoke_orphan(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let text = Members(ask.data).required("token")?;
    check_not_batch(batch::is_batch(text))?;
    let target = token_look::by_text(ask, overlay, text)?.ok_or_else(|| refused("token to revoke not found"))?;
    let namespaces = ask.core.namespaces.load();
    let changed = tokens::remove_and_orphan(overlay, &target.id, &|id| namespaces.barrier(id), TOKEN_ORPHANS_MAX)?;
    let changed = changed.ok_or_else(|| {
        let why = format!("the token has more than {TOKEN_ORPHANS_MAX} children, which one commit cannot make orphans: revoke some first");
        refused(&why)
    })?;
    let tokens = Arc::clone(&ask.core.tokens);
    let concerns = told_accessor(ask, &target.entry);
    Ok(Done { concerns, ..Done::default() }.publishing(move || tokens.forget(&changed)))
}

/// `WRITE auth/token/tidy`: removes, some at a time, tokens of the namespace that are worth nothing and that no tick would find before their end.
pub(super) fn tidy(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let namespaces = ask.core.namespaces.load_full();
    let barrier_of = |id: &Id| namespaces.barrier(id);
    let namespace = ask.place.namespace.id;
    let mut useless = Vec::new();
    // Looked at without an expectation: only what is removed is read again below.
    let mut looking = Overlay::reading(&ask.place.namespace.barrier, ask.core.source());
    let mut keys = Vec::new();
    records::accessors(&looking, None, |key, _| {
        keys.push(*key);
        Ok(true)
    })?;
    for key in keys {
        let Some(entry) = records::load(&mut looking, &key)? else { continue };
        let used_up = entry.num_uses > 0 && !entry.is_wrapping() && records::uses_left(&mut looking, &key)? == 0;
        let parentless = match entry.parent() {
            None => false,
            Some(parent) => match barrier_of(&parent.namespace) {
                Some(above) => looking.within(&above, |looking| records::load(looking, &parent.key))?.is_none(),
                None => true,
            },
        };
        if used_up || parentless || entry.is_expired(ask.now) {
            useless.push((TokenRef { namespace, key }, parentless));
        }
        if useless.len() == TOKEN_REMOVALS_MAX {
            break;
        }
    }
    let mut gone = Vec::new();
    for (token, parentless) in &useless {
        let ending = if *parentless { tokens::Ending::Revoked } else { tokens::Ending::Over };
        gone.extend(tokens::remove(overlay, token, ending, &barrier_of, TOKEN_REMOVALS_MAX.saturating_sub(gone.len()))?);
    }
    let body = Object::new().with("removed", gone.len() as u64).with("more", useless.len() == TOKEN_REMOVALS_MAX);
    let tokens = Arc::clone(&ask.core.tokens);
    Ok(Done::answer(body).publishing(move || tokens.forget(&gone)))
}

fn renew_target(ask: &Ask<'_>, overlay: &mut Overlay<'_>, target: Target, text: &str) -> Result<Done> {
    let (old, now) = (target.entry, ask.now);
    if old.is_batch() {
        return Err(refused("batch tokens cannot be renewed"));
    }
    if !old.renewable {
        return Err(refused("lease is not renewable: the token was made so, or does not expire"));
    }
    let increment = Members(ask.data).ttl("increment")?;
    let namespaces = ask.core.namespaces.load_full();
    let barrier_of = |id: &Id| namespaces.barrier(id);
    let parent_ends = match old.parent() {
        None => None,
        Some(parent) => {
            let above = barrier_of(&parent.namespace).ok_or_else(Error::permission_denied)?;
            let parent = overlay.within(&above, |overlay| records::load(overlay, &parent.key))?;
            parent.ok_or_else(|| refused("token not found"))?.expires()
        }
    };
    let end = lifetime::end_of(&old, increment, bounds(TokenLifetimes::load(overlay)?, parent_ends), now);
    let mut new = old.clone();
    new.expires_millis = end.as_millis();
    new.last_renewed_millis = now.as_millis();
    let barrier = barrier_of(&target.id.namespace).ok_or_else(Error::permission_denied)?;
    overlay.within(&barrier, |overlay| records::replace(overlay, &target.id.key, (&old, &new), &barrier_of))?;
    tick::look_at(overlay, &ask.core.barrier, new.ends())?;
    let mut warnings = Vec::new();
    if increment > now.until(end) && increment > Ttl::ZERO {
        warnings.push("the time was shortened to the longest that is left of this token".to_owned());
    }
    let mut auth = auth_of(ask, &target.id.namespace, SecretString::copy_from(text), &new)?;
    auth.num_uses = target.uses_left;
    let (tokens, id) = (Arc::clone(&ask.core.tokens), target.id);
    let done = Done { auth: Some(auth), warnings, concerns: told_accessor(ask, &new), ..Done::default() };
    Ok(done.publishing(move || tokens.forget(&[id])))
}

fn revoke_tree(ask: &Ask<'_>, overlay: &mut Overlay<'_>, token: &TokenRef) -> Result<Done> {
    let namespaces = ask.core.namespaces.load_full();
    let barrier_of = |id: &Id| namespaces.barrier(id);
    let entry = match barrier_of(&token.namespace) {
        Some(barrier) => overlay.within(&barrier, |overlay| records::load(overlay, &token.key))?,
        None => None,
    };
    let gone = tokens::remove(overlay, token, tokens::Ending::Revoked, &barrier_of, TOKEN_REMOVALS_MAX)?;
    let tokens = Arc::clone(&ask.core.tokens);
    let concerns = entry.and_then(|entry| told_accessor(ask, &entry));
    Ok(Done { concerns, ..Done::default() }.publishing(move || tokens.forget(&gone)))
}

fn check_not_batch(is_batch: bool) -> Result<()> {
    if is_batch { Err(bad("token", "is a batch token, which cannot be revoked: it ends with its parent, or by its time")) } else { Ok(()) }
}

fn refused(why: &str) -> Error {
    Error::new(Code::InvalidRequest, why)
}

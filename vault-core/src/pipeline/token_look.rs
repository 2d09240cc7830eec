//! What is told of tokens: by the token itself, by its accessor, and the accessors of all.

use super::given::{Members, bad};
use super::system::{Ask, Done};
use super::{deadman, identities, tokens};
use crate::auth::{LiveToken, TokenEntry, TokenRef, batch, records, token};
use crate::barrier::Overlay;
use crate::types::limits::{LIST_NAMES_MAX, TOKEN_BYTES_MAX};
use crate::types::{Code, Error, Object, Result, Timestamp, Value};
use std::sync::Arc;

/// A token that is asked about, or that something is to be done with.
pub(super) struct Target {
    pub(super) id: TokenRef,
    pub(super) entry: TokenEntry,
    /// What is left of its uses; zero when they are without limit.
    pub(super) uses_left: u64,
}

/// `auth/token/lookup`: the token that the request names, else the caller's own.
pub(super) fn lookup(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let Some(text) = Members(ask.data).text("token")?.filter(|text| !text.is_empty()) else { return lookup_self(ask, overlay) };
    let target = by_text(ask, overlay, text)?.ok_or_else(|| Error::new(Code::PermissionDenied, "bad token"))?;
    tell(ask, &target, text)
}

/// `auth/token/lookup-self`.
pub(super) fn lookup_self(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let target = of_caller(ask, overlay)?;
    tell(ask, &target, ask.token)
}

/// `auth/token/lookup-accessor`: all but the token itself.
pub(super) fn lookup_accessor(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let target = by_accessor(ask, overlay)?;
    tell(ask, &target, "")
}

/// `LIST auth/token/accessors`: of the namespace's tokens, whole or by pages: `limit` of them that come after the accessor `after`.
pub(super) fn accessors(ask: &Ask<'_>, overlay: &Overlay<'_>) -> Result<Done> {
    let data = Members(ask.data);
    let after = data.text("after")?.filter(|after| !after.is_empty());
    let limit = data.whole("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    if limit.is_some_and(|limit| limit > LIST_NAMES_MAX) {
        return Err(bad("limit", &format!("is at most {LIST_NAMES_MAX}")));
    }
    let most = limit.unwrap_or(LIST_NAMES_MAX + 1);
    let mut keys: Vec<String> = Vec::new();
    records::accessors(overlay, after, |_, accessor| {
        keys.push(accessor.to_owned());
        Ok(keys.len() < most)
    })?;
    if keys.len() > LIST_NAMES_MAX {
        return Err(Error::new(
            Code::InvalidRequest,
            "there are more accessors than one answer holds: ask for pages with \"limit\" and \"after\"",
        ));
    }
    Ok(Done::answer(Object::new().with("keys", keys)))
}

/// The caller's own token.
pub(super) fn of_caller(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Target> {
    if ask.caller.entry.is_batch() {
        return Ok(Target { id: ask.caller.id, entry: ask.caller.entry.clone(), uses_left: 0 });
    }
    overlay.within(&ask.home.barrier, |overlay| target(overlay, ask.caller))?.ok_or_else(Error::permission_denied)
}

/// The token of the request's namespace with that text, if it is valid.
pub(super) fn by_text(ask: &Ask<'_>, overlay: &mut Overlay<'_>, text: &str) -> Result<Option<Target>> {
    if text.len() > TOKEN_BYTES_MAX {
        return Ok(None);
    }
    let namespaces = ask.core.namespaces.load();
    let live = tokens::find(ask.core, &namespaces, &ask.place.namespace, text)?.filter(|live| !live.has_expired(ask.now));
    match live {
        Some(live) if batch::is_batch(text) => Ok(Some(Target { id: live.id, entry: live.entry.clone(), uses_left: 0 })),
        Some(live) => target(overlay, &live),
        None => Ok(None),
    }
}

/// The token of the request's namespace that the request names by its accessor.
pub(super) fn by_accessor(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Target> {
    let accessor = Members(ask.data).required("accessor")?;
    let unknown = || Error::new(Code::InvalidRequest, "invalid accessor: there is no valid token with it in this namespace");
    let key = records::by_accessor(overlay, accessor)?.ok_or_else(unknown)?;
    let namespaces = ask.core.namespaces.load();
    let live = tokens::look_up(ask.core, &namespaces, TokenRef { namespace: ask.place.namespace.id, key })?;
    let live = live.filter(|live| !live.has_expired(ask.now)).ok_or_else(unknown)?;
    target(overlay, &live)?.ok_or_else(unknown)
}

/// A token as its record says, through an overlay of its namespace: what is read becomes an expectation of the commit.
fn target(overlay: &mut Overlay<'_>, live: &Arc<LiveToken>) -> Result<Option<Target>> {
    let Some(entry) = records::load(overlay, &live.id.key)? else { return Ok(None) };
    let limited = entry.num_uses > 0 && !entry.is_wrapping();
    let uses_left = if limited { records::uses_left(overlay, &live.id.key)? } else { entry.num_uses };
    Ok(Some(Target { id: live.id, entry, uses_left }))
}

/// All that is known of a token.
fn tell(ask: &Ask<'_>, target: &Target, id: &str) -> Result<Done> {
    let (entry, now) = (&target.entry, ask.now);
    let namespace = ask.place.namespace.upward().find(|namespace| namespace.id == target.id.namespace);
    let meta: Object = entry.metadata.iter().map(|(name, text)| (name.as_str(), Value::string(text.as_str()))).collect();
    let mut body = Object::new()
        .with("accessor", entry.accessor.as_str())
        .with("creation_time", entry.created().as_secs())
        .with("creation_ttl", entry.ttl_seconds)
        .with("display_name", entry.display_name.as_str())
        .with("entity_id", entry.entity().map(|entity| entity.id.to_string()).unwrap_or_default())
        .with("expire_time", entry.expires().map(|end| end.to_string()))
        .with("explicit_max_ttl", entry.explicit_max_seconds)
        .with("id", id)
        .with("issue_time", entry.created().to_string())
        .with("meta", meta)
        .with("namespace_path", namespace.map(|namespace| namespace.path.clone()))
        .with("num_uses", target.uses_left)
        .with("orphan", entry.parent.is_none())
        .with("path", entry.path.as_str())
        .with("policies", entry.policies.clone())
        .with("renewable", entry.renewable)
        .with("ttl", entry.remaining(now).as_secs())
        .with("type", if entry.is_batch() { "batch" } else { "service" });
    if entry.last_renewed_millis != 0 {
        let renewed = Timestamp::from_millis(entry.last_renewed_millis);
        body = body.with("last_renewal", renewed.to_string()).with("last_renewal_time", renewed.as_secs());
    }
    if entry.period_seconds != 0 {
        body = body.with("period", entry.period_seconds);
    }
    if !entry.role.is_empty() {
        body = body.with("role", entry.role.as_str());
    }
    if let Some(switch) = entry.deadman() {
        body = deadman::told(body, switch);
    }
    if let Some(millis) = entry.quarantined_millis {
        body = body.with("quarantined", Timestamp::from_millis(millis).to_string());
    }
    if !entry.bound_cidrs.is_empty() {
        body = body.with("bound_cidrs", entry.bound_cidrs.clone());
    }
    if entry.entity.is_some() {
        body = body.with("identity_policies", identities::policies_of(ask.core, &target.id.namespace, entry, ask.now)?);
    }
    Ok(Done { concerns: told_accessor(ask, entry), ..Done::answer(body) })
}

/// The accessor of a token that a request is about, where that is not the caller's own: for the audit log.
pub(super) fn told_accessor(ask: &Ask<'_>, entry: &TokenEntry) -> Option<String> {
    (entry.accessor != ask.caller.entry.accessor && !entry.accessor.is_empty()).then(|| entry.accessor.clone())
}

/// The key of a text in the request's namespace, whether there is such a token or not.
pub(super) fn ref_of(ask: &Ask<'_>, text: &str) -> TokenRef {
    let namespace = &ask.place.namespace;
    TokenRef { namespace: namespace.id, key: token::key_of(&namespace.barrier, text) }
}

//! Tokens in use: looked up once, held in memory, and what the paths below `auth/token` answer.

use super::auth_paths::TokenLifetimes;
use super::core::Core;
use super::namespaces::Namespaces;
use super::policies::{DEFAULT, ROOT};
use super::removal;
use super::system::{Ask, Done};
use super::tick;
use crate::auth::{LiveToken, TokenEntry, TokenKey, TokenRef, token};
use crate::barrier::{Barrier, Overlay};
use crate::host::RngError;
use crate::policy::{Capability, Given, PolicyName};
use crate::types::id::Id;
use crate::types::limits::{NAME_BYTES_MAX, TOKEN_CACHE_MAX, TOKEN_DEPTH_MAX, TOKEN_POLICIES_MAX};
use crate::types::{Auth, Code, Error, Object, Result, SecretString, Timestamp, Ttl, Value};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest chain of parents that is followed.
const ANCESTORS_MAX: usize = 1_000;

/// The tokens that were looked up since the vault was unsealed.
#[derive(Default)]
pub(super) struct TokenCache {
    live: RwLock<HashMap<TokenKey, Arc<LiveToken>>>,
    /// Raised when the cache is emptied: tokens that sessions hold from before would no longer hear of their revocation.
    epoch: AtomicU64,
}

impl TokenCache {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Puts revocations into effect, once they are durable.
    pub(super) fn revoke(&self, tokens: &[TokenRef]) {
        let mut live = self.live.write();
        for token in tokens {
            if let Some(token) = live.remove(&token.key) {
                token.revoke();
            }
        }
    }

    /// Ends the tokens of a namespace that was deleted.
    pub(super) fn end_namespace(&self, id: &Id) {
        self.live.write().retain(|_, token| {
            let stays = token.id.namespace != *id;
            if !stays {
                token.revoke();
            }
            stays
        });
    }

    fn get(&self, key: &TokenKey) -> Option<Arc<LiveToken>> {
        self.live.read().get(key).cloned()
    }

    /// Holds a token; where another thread was faster its own is held.
    fn hold(&self, token: LiveToken) -> Arc<LiveToken> {
        let mut live = self.live.write();
        if live.len() >= TOKEN_CACHE_MAX {
            live.clear();
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        Arc::clone(live.entry(token.id.key).or_insert_with(|| Arc::new(token)))
    }
}

/// The live token of that key: held, or read from the store with all its ancestors. `None` when it or one of them is gone.
pub(super) fn look_up(core: &Core, namespaces: &Namespaces, token: TokenRef) -> Result<Option<Arc<LiveToken>>> {
    let load = |token: &TokenRef| -> Result<Option<TokenEntry>> {
        let Some(barrier) = namespaces.barrier(&token.namespace).filter(|barrier| !barrier.is_ended()) else { return Ok(None) };
        Ok(token::load(&mut Overlay::reading(&barrier, core.source()), &token.key)?)
    };
    let mut chain = Vec::new();
    let mut next = Some(token);
    let mut parent: Option<Arc<LiveToken>> = None;
    while let Some(token) = next.take() {
        if let Some(live) = core.tokens.get(&token.key) {
            parent = Some(live);
        } else {
            let Some(entry) = load(&token)? else { return Ok(None) };
            next = entry.parent();
            chain.push((token, entry));
        }
        if chain.len() > ANCESTORS_MAX {
            return Ok(None);
        }
    }
    while let Some((token, entry)) = chain.pop() {
        let live = core.tokens.hold(LiveToken::new(token, entry, parent.take()));
        // A revocation that became durable before the token was held has raised no flag: the store tells, or that its namespace has ended.
        if load(&token)?.is_none() {
            core.tokens.revoke(&[token]);
            return Ok(None);
        }
        parent = Some(live);
    }
    Ok(parent)
}

/// `WRITE auth/token/create`: a child of the calling token, in the namespace of the request.
pub(super) fn create(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let (core, caller, data, now) = (ask.core, ask.caller, ask.data, ask.now);
    refuse_unsupported(data)?;
    if caller.entry.depth >= TOKEN_DEPTH_MAX {
        let why = format!("a token has at most {TOKEN_DEPTH_MAX} tokens above it: make this one with a token nearer to the first");
        return Err(Error::new(Code::InvalidRequest, why));
    }
    let policies = requested_policies(ask)?;
    let ttl = granted_ttl(caller, &policies, data, now, TokenLifetimes::load(overlay)?)?;
    let name = match data.and_then(|data| data.get("display_name")) {
        None | Some(Value::Null) => "token".to_owned(),
        Some(name) => format!("token-{}", checked_name(name)?),
    };
    let no_entropy = |error: RngError| Error::new(Code::NoEntropy, error.to_string());
    let secret = token::generate(core.barrier.rng()).map_err(no_entropy)?;
    let entry = TokenEntry {
        accessor: token::generate_accessor(core.barrier.rng()).map_err(no_entropy)?,
        policies: policies.clone(),
        display_name: name,
        metadata: requested_metadata(data)?,
        path: ask.place.path().to_owned(),
        created_millis: now.as_millis(),
        ttl_seconds: ttl.as_secs(),
        expires_millis: if ttl == Ttl::ZERO { 0 } else { now.plus(ttl).as_millis() },
        parent: Some(caller.id.key),
        parent_namespace: *caller.id.namespace.as_bytes(),
        depth: caller.entry.depth + 1,
    };
    let namespaces = core.namespaces.load();
    token::store(overlay, &token::key_of(overlay.barrier(), secret.expose()), &entry, &|id| namespaces.barrier(id))?;
    if entry.expires_millis != 0 {
        let bucket = token::bucket_at(Timestamp::from_millis(entry.expires_millis));
        overlay.within(&core.barrier, |overlay| tick::look_into(overlay, bucket))?;
    }
    let auth = Auth {
        client_token: secret,
        accessor: entry.accessor,
        token_policies: policies.clone(),
        policies,
        metadata: entry.metadata,
        lease_duration: ttl,
        renewable: false,
        orphan: false,
        num_uses: 0,
    };
    Ok(Done { auth: Some(auth), ..Done::default() })
}

/// Lays a root token into the root namespace: it may do everything and does not expire.
pub(super) fn make_root(overlay: &mut Overlay<'_>, barrier: &Arc<Barrier>, now: Timestamp) -> Result<SecretString> {
    let no_entropy = |error: RngError| Error::new(Code::NoEntropy, error.to_string());
    let secret = token::generate(barrier.rng()).map_err(no_entropy)?;
    let entry = TokenEntry {
        accessor: token::generate_accessor(barrier.rng()).map_err(no_entropy)?,
        policies: vec![ROOT.to_owned()],
        display_name: "root".to_owned(),
        metadata: BTreeMap::new(),
        path: "auth/token/root".to_owned(),
        created_millis: now.as_millis(),
        ttl_seconds: 0,
        expires_millis: 0,
        parent: None,
        parent_namespace: [0; 16],
        depth: 0,
    };
    token::store(overlay, &token::key_of(barrier, secret.expose()), &entry, &|_| Some(Arc::clone(barrier)))?;
    Ok(secret)
}

/// `READ auth/token/lookup-self`.
pub(super) fn lookup_self(ask: &Ask<'_>) -> Done {
    let (caller, id, now) = (ask.caller, ask.token, ask.now);
    let entry = &caller.entry;
    let namespace = ask.place.namespace.upward().find(|namespace| namespace.id == caller.id.namespace);
    let expire_time = (entry.expires_millis != 0).then(|| Timestamp::from_millis(entry.expires_millis).to_string());
    let meta: Object = entry.metadata.iter().map(|(name, text)| (name.as_str(), Value::string(text.as_str()))).collect();
    Done::answer(
        Object::new()
            .with("accessor", entry.accessor.as_str())
            .with("creation_time", entry.created_millis / 1000)
            .with("creation_ttl", entry.ttl_seconds)
            .with("display_name", entry.display_name.as_str())
            .with("entity_id", "")
            .with("expire_time", expire_time)
            .with("explicit_max_ttl", 0_u64)
            .with("id", id)
            .with("issue_time", Timestamp::from_millis(entry.created_millis).to_string())
            .with("meta", meta)
            .with("namespace_path", namespace.map(|namespace| namespace.path.clone()))
            .with("num_uses", 0_u64)
            .with("orphan", entry.parent.is_none())
            .with("path", entry.path.as_str())
            .with("policies", entry.policies.clone())
            .with("renewable", false)
            .with("ttl", entry.remaining(now).as_secs())
            .with("type", "service"),
    )
}

/// `WRITE auth/token/revoke-self`: the calling token and all its descendants.
pub(super) fn revoke_self(core: &Core, overlay: &mut Overlay<'_>, caller: &LiveToken) -> Result<Done> {
    let namespaces = core.namespaces.load();
    let barrier_of = |id: &Id| namespaces.barrier(id);
    let removed = token::remove_tree(overlay, &caller.id, &barrier_of)?;
    removal::doom_cubbyholes(overlay, &barrier_of, &removed)?;
    let tokens = Arc::clone(&core.tokens);
    Ok(Done::default().publishing(move || tokens.revoke(&removed)))
}

/// Options that a token of this version cannot have must not be ignored: each of them limits the token.
fn refuse_unsupported(data: Option<&Value>) -> Result<()> {
    let Some(data) = data.and_then(Value::as_object) else { return Ok(()) };
    const KNOWN: [&str; 6] = ["policies", "ttl", "display_name", "meta", "no_default_policy", "renewable"];
    match data.iter().map(|(name, _)| name).find(|name| !KNOWN.contains(name)) {
        None => Ok(()),
        Some("num_uses" | "period" | "explicit_max_ttl" | "type" | "no_parent" | "id" | "entity_alias" | "lease") => {
            Err(Error::new(Code::InvalidRequest, format!("this token option is not supported in this version: use {}", KNOWN.join(", "))))
        }
        Some(_) => Err(Error::new(Code::InvalidRequest, format!("unknown token option: use {}", KNOWN.join(", ")))),
    }
}

/// The policies of the new token: those asked for, of which a token without `root` may give only its own; or its own.
///
/// A policy is its namespace's: one of the same name in another namespace says something else. So a token of a namespace above gives
/// policies only by `sudo`, and names them.
fn requested_policies(ask: &Ask<'_>) -> Result<Vec<String>> {
    let (caller, data) = (ask.caller, ask.data);
    let from_above = caller.id.namespace != ask.place.namespace.id;
    let bad = || Error::new(Code::InvalidData, "the policies must be an array of names");
    let mut policies = Vec::new();
    match data.and_then(|data| data.get("policies")) {
        None | Some(Value::Null) => policies.clone_from(&caller.entry.policies),
        Some(names) => {
            for name in names.as_array().ok_or_else(bad)? {
                policies.push(PolicyName::parse(name.as_str().ok_or_else(bad)?)?.as_str().to_owned());
            }
        }
    }
    if from_above {
        if !ask.rules.decide(ask.policy_path, Capability::Sudo, Given::default()).has(Capability::Sudo) {
            return Err(Error::permission_denied());
        }
        if data.and_then(|data| data.get("policies")).is_none() || policies.is_empty() {
            let why = "name the policies of a token that is made from a namespace above: they are those of its own namespace";
            return Err(Error::new(Code::InvalidRequest, why));
        }
    }
    if !ask.place.namespace.is_root() && policies.iter().any(|name| name == ROOT) {
        return Err(Error::new(
            Code::InvalidRequest,
            "root tokens are of the root namespace only: name a policy that allows what is needed",
        ));
    }
    if policies.is_empty() {
        policies.clone_from(&caller.entry.policies);
    }
    let no_default = data.and_then(|data| data.get("no_default_policy")).and_then(Value::as_bool).unwrap_or(false);
    let is_root = policies.iter().any(|name| name == ROOT);
    if no_default {
        policies.retain(|name| name != DEFAULT);
    } else if !is_root {
        policies.push(DEFAULT.to_owned());
    }
    policies.sort_unstable();
    policies.dedup();
    if is_root && policies.len() > 1 {
        return Err(Error::new(Code::InvalidRequest, "the policy \"root\" stands alone: leave the others out"));
    }
    if policies.len() > TOKEN_POLICIES_MAX {
        return Err(Error::new(Code::InvalidRequest, format!("a token has at most {TOKEN_POLICIES_MAX} policies")));
    }
    let may_give = |name: &String| name == DEFAULT || caller.entry.policies.contains(name);
    if !from_above && !caller.entry.is_root() && !policies.iter().all(may_give) {
        return Err(Error::new(Code::InvalidRequest, "child policies must be a subset of the parent's"));
    }
    Ok(policies)
}

/// What the new token is granted: what was asked for, at most the system's maximum and what is left of its parent. Zero for a root token only.
fn granted_ttl(caller: &LiveToken, policies: &[String], data: Option<&Value>, now: Timestamp, lifetimes: TokenLifetimes) -> Result<Ttl> {
    let asked = match data.and_then(|data| data.get("ttl")) {
        None | Some(Value::Null) => Ttl::ZERO,
        Some(value) => Ttl::from_value(value)?,
    };
    let parent_left = (caller.entry.expires_millis != 0).then(|| caller.entry.remaining(now));
    if asked == Ttl::ZERO && parent_left.is_none() && policies.iter().any(|name| name == ROOT) {
        return Ok(Ttl::ZERO);
    }
    let asked = if asked == Ttl::ZERO { lifetimes.default_ttl() } else { asked };
    Ok(asked.min(lifetimes.max_ttl()).min(parent_left.unwrap_or(asked)))
}

fn requested_metadata(data: Option<&Value>) -> Result<BTreeMap<String, String>> {
    let bad = || Error::new(Code::InvalidData, format!("the meta must be an object of texts, of at most {NAME_BYTES_MAX} bytes each"));
    let mut metadata = BTreeMap::new();
    match data.and_then(|data| data.get("meta")) {
        None | Some(Value::Null) => {}
        Some(meta) => {
            for (name, text) in meta.as_object().ok_or_else(bad)?.iter() {
                let text = text.as_str().filter(|text| text.len() <= NAME_BYTES_MAX && name.len() <= NAME_BYTES_MAX).ok_or_else(bad)?;
                metadata.insert(name.to_owned(), text.to_owned());
            }
        }
    }
    if metadata.len() > TOKEN_POLICIES_MAX { Err(bad()) } else { Ok(metadata) }
}

fn checked_name(name: &Value) -> Result<&str> {
    name.as_str().filter(|name| name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)).ok_or_else(|| {
        Error::new(Code::InvalidData, format!("the display_name must be text of at most {NAME_BYTES_MAX} bytes without control characters"))
    })
}

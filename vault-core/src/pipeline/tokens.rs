//! Tokens in use: looked up once, held in memory, counted where their uses are limited, and removed in one place.

use super::core::Core;
use super::namespaces::{Namespace, Namespaces};
use super::policies::ROOT;
use super::runtime::own_event;
use super::{removal, tick};
use crate::audit::Event;
use crate::auth::token::{self, TokenEntry, TokenKey, TokenRef};
use crate::auth::{BarrierOf, LiveToken, batch, records};
use crate::barrier::{Barrier, BarrierError, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::managed::usage::{self, Reader};
use crate::types::id::Id;
use crate::types::limits::{COMMIT_RETRIES_MAX, TOKEN_CACHE_MAX, TOKEN_REMOVALS_MAX};
use crate::types::{Code, Error, Result, SecretString, Timestamp};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest chain of parents that is followed.
const ANCESTORS_MAX: usize = 1_000;

/// Times that a token is looked up anew which was changed meanwhile.
const LOOK_UPS_MAX: u32 = 10;

/// The tokens that were looked up since the vault was unsealed.
#[derive(Default)]
pub(super) struct TokenCache {
    live: RwLock<HashMap<TokenKey, Arc<LiveToken>>>,
    /// Raised when the cache is emptied: tokens that sessions hold from before would no longer hear of changes.
    epoch: AtomicU64,
    /// Tokens of limited uses that are in use: by how many requests, and whether one of these is the last.
    in_use: Mutex<HashMap<TokenKey, (usize, bool)>>,
}

impl TokenCache {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Puts changes and revocations of tokens into effect, once they are durable: whoever holds one of them, or a descendant, asks the store.
    pub(super) fn forget(&self, tokens: &[TokenRef]) {
        let mut live = self.live.write();
        for token in tokens {
            if let Some(token) = live.remove(&token.key) {
                token.set_stale();
            }
        }
    }

    /// Ends the tokens of a namespace that was deleted.
    pub(super) fn end_namespace(&self, id: &Id) {
        self.live.write().retain(|_, token| {
            let stays = token.id.namespace != *id;
            if !stays {
                token.set_stale();
            }
            stays
        });
    }

    /// Notes that a request uses a token of limited uses.
    pub(super) fn begin_use(&self, key: &TokenKey) {
        self.in_use.lock().entry(*key).or_default().0 += 1;
    }

    /// Notes that it does no longer; whether the token has no use left and is in none, so that it is to be ended by whoever is told.
    pub(super) fn end_use(&self, key: &TokenKey, was_last: bool) -> bool {
        let mut in_use = self.in_use.lock();
        let Some((requests, used_up)) = in_use.get_mut(key) else { return was_last };
        *used_up |= was_last;
        *requests -= 1;
        if *requests > 0 {
            return false;
        }
        in_use.remove(key).is_some_and(|(_, used_up)| used_up)
    }

    fn get(&self, key: &TokenKey) -> Option<Arc<LiveToken>> {
        self.live.read().get(key).filter(|token| token.is_current()).cloned()
    }

    /// Holds a token; where another thread was faster its own is held.
    fn hold(&self, token: LiveToken) -> Arc<LiveToken> {
        let mut live = self.live.write();
        if let Some(held) = live.get(&token.id.key).filter(|held| held.is_current()) {
            return Arc::clone(held);
        }
        if live.len() >= TOKEN_CACHE_MAX {
            live.clear();
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        let token = Arc::new(token);
        live.insert(token.id.key, Arc::clone(&token));
        token
    }
}

/// A token with its ancestors as memory holds them. Whether that is still so is told without the store.
pub(super) struct Lineage {
    cache: Arc<TokenCache>,
    live: Arc<LiveToken>,
    epoch: u64,
}

impl Lineage {
    /// A token as it was looked up in an epoch of the cache.
    pub(super) fn of(core: &Core, live: Arc<LiveToken>, epoch: u64) -> Self {
        Lineage { cache: Arc::clone(&core.tokens), live, epoch }
    }

    /// Whether nothing of the token or of one of its ancestors was changed since, as far as that is published.
    pub(super) fn is_current(&self) -> bool {
        self.cache.epoch() == self.epoch && self.live.is_current()
    }
}

/// The live token of that text in a namespace, if it is one of its own.
pub(super) fn find(core: &Core, namespaces: &Namespaces, namespace: &Namespace, text: &str) -> Result<Option<Arc<LiveToken>>> {
    let id = TokenRef { namespace: namespace.id, key: token::key_of(&namespace.barrier, text) };
    if !batch::is_batch(text) {
        return look_up(core, namespaces, id);
    }
    let Some(entry) = batch::open(&namespace.barrier, text) else { return Ok(None) };
    let parent = match entry.parent() {
        None => None,
        Some(parent) => match look_up(core, namespaces, parent)? {
            None => return Ok(None),
            parent => parent,
        },
    };
    Ok(Some(Arc::new(LiveToken::new(id, entry, parent))))
}

/// The live token of that key: held, or read from the store with all its ancestors. `None` when it or one of them is gone.
pub(super) fn look_up(core: &Core, namespaces: &Namespaces, token: TokenRef) -> Result<Option<Arc<LiveToken>>> {
    for _ in 0..LOOK_UPS_MAX {
        match look_up_once(core, namespaces, token) {
            Err(error) if error.code() == Code::Conflict => {}
            found => return found,
        }
    }
    Err(Error::new(Code::Conflict, "the token is being changed: try again"))
}

fn look_up_once(core: &Core, namespaces: &Namespaces, token: TokenRef) -> Result<Option<Arc<LiveToken>>> {
    let load = |token: &TokenRef| -> Result<Option<TokenEntry>> {
        let Some(barrier) = namespaces.barrier(&token.namespace).filter(|barrier| !barrier.is_ended()) else { return Ok(None) };
        Ok(records::load(&mut Overlay::reading(&barrier, core.source()), &token.key)?)
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
        // A change that became durable before the token was held has told nobody: the store tells, or that its namespace has ended.
        match load(&token)? {
            Some(entry) if entry == live.entry => parent = Some(live),
            changed => {
                core.tokens.forget(&[token]);
                live.set_stale();
                return if changed.is_none() { Ok(None) } else { Err(Error::new(Code::Conflict, "the token was changed")) };
            }
        }
    }
    Ok(parent)
}

/// Counts one use of a token whose uses are limited, durably and before the use; whether it is the last. One that has none left is worth nothing.
pub(super) fn count_use(core: &Core, barrier: &Arc<Barrier>, key: &TokenKey) -> Result<bool> {
    if core.frozen.load(Ordering::Acquire) {
        return Err(super::frozen());
    }
    let mut tries = 0;
    loop {
        let mut overlay = Overlay::writing(barrier, core.source());
        if records::load(&mut overlay, key)?.is_none() {
            return Err(Error::permission_denied());
        }
        let left = records::uses_left(&mut overlay, key)?.checked_sub(1).ok_or_else(Error::permission_denied)?;
        records::put_uses(&mut overlay, key, left)?;
        match core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }) {
            Ok(_) => return Ok(left == 0),
            // Whoever won has used the token: as many races can be lost as there are uses left, and some to what works in the background.
            Err(CommitError::Conflict) if tries < left.saturating_add(u64::from(COMMIT_RETRIES_MAX)) => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Notes that a token is used which is lost when it is not.
pub(super) fn note_use(core: &Core, token: &LiveToken, barrier: &Arc<Barrier>, now: Timestamp) -> Result<()> {
    let namespaces = core.namespaces.load_full();
    for _ in 0..=COMMIT_RETRIES_MAX {
        let mut overlay = Overlay::writing(barrier, core.source());
        let Some(old) = records::load(&mut overlay, &token.id.key)?.filter(|old| old.is_use_noted(now)) else { return Ok(()) };
        let new = TokenEntry { used_millis: Some(now.as_millis()), ..old.clone() };
        records::replace(&mut overlay, &token.id.key, (&old, &new), &|id| namespaces.barrier(id))?;
        tick::look_at(&mut overlay, &core.barrier, new.ends())?;
        let (tokens, id) = (Arc::clone(&core.tokens), token.id);
        let publish = move || tokens.forget(&[id]);
        match core.committer.commit(Proposal { writes: overlay.into_writes(), publish: Some(Box::new(publish)), ..Proposal::default() }) {
            Err(CommitError::Conflict) => {}
            noted => return Ok(noted.map(drop)?),
        }
    }
    Err(CommitError::Conflict.into())
}

/// Ends a token with its last use. Where that fails the token stays as a record without a use, which `tidy` removes, or a tick at its end.
pub(super) fn end_used(core: &Core, token: &LiveToken, namespace: Option<String>, now: Timestamp) -> Result<()> {
    let namespaces = core.namespaces.load_full();
    let barrier_of = |id: &Id| namespaces.barrier(id);
    for _ in 0..=COMMIT_RETRIES_MAX {
        let mut overlay = core.writing();
        let gone = remove(&mut overlay, &token.id, Ending::Over, &barrier_of, TOKEN_REMOVALS_MAX)?;
        let event = Event {
            operation: "revoke".into(),
            path: "auth/token".to_owned(),
            namespace: namespace.clone(),
            accessor: Some(token.entry.accessor.clone()),
            display_name: Some(token.entry.display_name.clone()),
            ..own_event(core.barrier.rng(), now)?
        };
        let tokens = Arc::clone(&core.tokens);
        let publish = move || tokens.forget(&gone);
        let proposal =
            Proposal { writes: overlay.into_writes(), events: vec![event], publish: Some(Box::new(publish)), ..Proposal::default() };
        match core.committer.commit(proposal) {
            Err(CommitError::Conflict) => {}
            ended => return Ok(ended.map(drop)?),
        }
    }
    Err(Error::new(Code::Conflict, "the token was used up and is being changed: tidy removes it"))
}

/// Why a token is removed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ending {
    /// It was revoked before its time, so that what it has read may have to be rotated.
    Revoked,
    /// Its time or its uses have come to their end.
    Over,
}

/// Removes a token and of its descendants so many at most; what is left is worth nothing and removed by `tick`.
pub(super) fn remove(
    overlay: &mut Overlay<'_>,
    token: &TokenRef,
    ending: Ending,
    barrier_of: BarrierOf<'_>,
    most: usize,
) -> Result<Vec<TokenRef>, BarrierError> {
    let gone = records::remove_tree(overlay, token, barrier_of, most)?;
    removed(overlay, barrier_of, &gone, ending)?;
    Ok(gone)
}

/// Removes a token and lets its children go on; the token and its children, or `None` where there are more than one commit takes.
pub(super) fn remove_and_orphan(
    overlay: &mut Overlay<'_>,
    token: &TokenRef,
    barrier_of: BarrierOf<'_>,
    most: usize,
) -> Result<Option<Vec<TokenRef>>, BarrierError> {
    let Some(mut changed) = records::remove_and_orphan(overlay, token, barrier_of, most)? else { return Ok(None) };
    removed(overlay, barrier_of, &[*token], Ending::Revoked)?;
    changed.push(*token);
    Ok(Some(changed))
}

/// Removes descendants of tokens that are gone already; `None` when there are none.
pub(super) fn sweep(overlay: &mut Overlay<'_>, barrier_of: BarrierOf<'_>, most: usize) -> Result<Option<Vec<TokenRef>>, BarrierError> {
    let Some(gone) = records::sweep_doomed(overlay, barrier_of, most)? else { return Ok(None) };
    removed(overlay, barrier_of, &gone, Ending::Revoked)?;
    Ok(Some(gone))
}

/// What goes with tokens, in the commit that removes them, whatever removes them.
fn removed(overlay: &mut Overlay<'_>, barrier_of: BarrierOf<'_>, gone: &[TokenRef], ending: Ending) -> Result<(), BarrierError> {
    gone.iter().try_for_each(|token| usage::end_reader(overlay, &Reader::Token(*token), ending == Ending::Revoked, barrier_of))?;
    removal::doom_cubbyholes(overlay, barrier_of, gone)
}

/// Lays a root token into the root namespace: it may do everything and does not expire.
pub(super) fn make_root(overlay: &mut Overlay<'_>, barrier: &Arc<Barrier>, now: Timestamp) -> Result<SecretString> {
    let secret = token::generate(barrier.rng()).map_err(super::runtime::no_entropy)?;
    let entry = TokenEntry {
        accessor: token::generate_accessor(barrier.rng()).map_err(super::runtime::no_entropy)?,
        policies: vec![ROOT.to_owned()],
        display_name: "root".to_owned(),
        path: "auth/token/root".to_owned(),
        created_millis: now.as_millis(),
        ..TokenEntry::default()
    };
    records::store(overlay, &token::key_of(barrier, secret.expose()), &entry, &|_| Some(Arc::clone(barrier)))?;
    Ok(secret)
}

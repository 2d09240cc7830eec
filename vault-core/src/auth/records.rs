//! The records of tokens: laid, changed, found, and removed with all descendants in bounded steps.
//!
//! A token's record, its accessor's and what is left of its uses lie in its own namespace, its place with its parent in the parent's, and its
//! place among what is due in the root namespace.

use super::due::{self, Due};
use super::token::{TokenEntry, TokenKey, TokenRef};
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::storage::Key;
use crate::types::id::Id;
use std::sync::Arc;

/// The barrier of a namespace, unless it was deleted.
pub(crate) type BarrierOf<'a> = &'a dyn Fn(&Id) -> Option<Arc<Barrier>>;

/// A token's record, if it is there.
pub(crate) fn load(overlay: &mut Overlay<'_>, key: &TokenKey) -> Result<Option<TokenEntry>, BarrierError> {
    overlay.get(Kind::Token, &Key::new(&[key]))?.map(|bytes| TokenEntry::from_bytes(&bytes)).transpose()
}

/// Lays a new token into the store.
pub(crate) fn store(overlay: &mut Overlay<'_>, key: &TokenKey, entry: &TokenEntry, barrier_of: BarrierOf<'_>) -> Result<(), BarrierError> {
    overlay.put(Kind::Token, Key::new(&[key]), &entry.to_bytes())?;
    let barrier = overlay.barrier();
    let named = [&key[..], entry.accessor.as_bytes()].concat();
    overlay.put(Kind::Accessor, accessor_key(barrier, &entry.accessor), &named)?;
    if entry.num_uses > 0 && !entry.is_wrapping() {
        put_uses(overlay, key, entry.num_uses)?;
    }
    let token = TokenRef { namespace: *barrier.namespace(), key: *key };
    if let Some(parent) = &entry.parent() {
        let above = barrier_of(&parent.namespace).ok_or(BarrierError::Corrupt)?;
        overlay.within(&above, |overlay| {
            overlay.put(Kind::TokenChild, child_key(&above, parent, &token), &token.to_bytes())?;
            overlay.put(Kind::TokenLastChild, last_child_key(&above, parent), &token.to_bytes())
        })?;
    }
    due::enter(overlay, &Due::Token(token), entry.ends(), barrier_of)
}

/// Lays a token's record anew, with another time at which it ends.
pub(crate) fn replace(
    overlay: &mut Overlay<'_>,
    key: &TokenKey,
    (old, new): (&TokenEntry, &TokenEntry),
    barrier_of: BarrierOf<'_>,
) -> Result<(), BarrierError> {
    let token = TokenRef { namespace: *overlay.barrier().namespace(), key: *key };
    overlay.put(Kind::Token, Key::new(&[key]), &new.to_bytes())?;
    due::move_to(overlay, &Due::Token(token), (old.ends(), new.ends()), barrier_of)
}

/// What is left of a token's uses.
pub(crate) fn uses_left(overlay: &mut Overlay<'_>, key: &TokenKey) -> Result<u64, BarrierError> {
    let at = overlay.barrier().key(Kind::TokenUses, &[key]);
    let bytes = overlay.get(Kind::TokenUses, &at)?.ok_or(BarrierError::Corrupt)?;
    bytes.as_slice().try_into().map(u64::from_le_bytes).map_err(|_| BarrierError::Corrupt)
}

/// Notes what is left of them.
pub(crate) fn put_uses(overlay: &mut Overlay<'_>, key: &TokenKey, left: u64) -> Result<(), BarrierError> {
    let at = overlay.barrier().key(Kind::TokenUses, &[key]);
    overlay.put(Kind::TokenUses, at, &left.to_le_bytes())
}

/// Where the response lies that a token holds.
pub(crate) fn wrapped_key(barrier: &Barrier, key: &TokenKey) -> Key {
    barrier.key(Kind::Wrapped, &[key])
}

/// The token that an accessor names.
pub(crate) fn by_accessor(overlay: &mut Overlay<'_>, accessor: &str) -> Result<Option<TokenKey>, BarrierError> {
    let at = accessor_key(overlay.barrier(), accessor);
    let Some(bytes) = overlay.get(Kind::Accessor, &at)? else { return Ok(None) };
    bytes.first_chunk::<16>().copied().map(Some).ok_or(BarrierError::Corrupt)
}

/// Gives the accessors of a namespace's tokens that come after one, with the tokens' keys, until `each` answers false. Their order is the
/// store's, and stays.
pub(crate) fn accessors(
    overlay: &Overlay<'_>,
    after: Option<&str>,
    mut each: impl FnMut(&TokenKey, &str) -> Result<bool, BarrierError>,
) -> Result<(), BarrierError> {
    let barrier = overlay.barrier();
    let after = after.map(|accessor| accessor_key(barrier, accessor));
    overlay.scan_after(Kind::Accessor, &barrier.member_prefix(Kind::Accessor, &[]), after, |_, bytes| {
        let (key, accessor) = bytes.split_first_chunk::<16>().ok_or(BarrierError::Corrupt)?;
        each(key, std::str::from_utf8(accessor).map_err(|_| BarrierError::Corrupt)?)
    })
}

/// Removes a token and of its descendants, those in namespaces below its own too, so many at most; returns those that were there. What is left
/// is worth nothing without its ancestors, and is noted to be removed in later steps: a child too that is made while this looks for them. What
/// removes a token that had children does not wait for that: whoever makes ever more of them would keep it from ending.
pub(crate) fn remove_tree(
    overlay: &mut Overlay<'_>,
    token: &TokenRef,
    barrier_of: BarrierOf<'_>,
    mut most: usize,
) -> Result<Vec<TokenRef>, BarrierError> {
    let mut removed = Vec::new();
    let mut waiting = vec![*token];
    while let Some(token) = waiting.pop() {
        // With its namespace goes the token.
        let Some(barrier) = barrier_of(&token.namespace) else { continue };
        let Some(entry) = overlay.within(&barrier, |overlay| load(overlay, &token.key))? else { continue };
        let (children, are_all) = children_of(overlay, &barrier, &token, most)?;
        most -= children.len();
        // The first child of a token that had none lets this commit fail.
        if !are_all || !children.is_empty() || overlay.within(&barrier, |overlay| last_child(overlay, &token))?.is_some() {
            let root = barrier_of(&Id::ROOT).ok_or(BarrierError::Corrupt)?;
            overlay.within(&root, |overlay| overlay.put(Kind::TokenDoom, doom_key(&root, &token), &token.to_bytes()))?;
            overlay.within(&barrier, |overlay| overlay.delete(last_child_key(&barrier, &token)));
        }
        for (key, child) in children {
            overlay.within(&barrier, |overlay| overlay.delete(key));
            waiting.push(child);
        }
        remove_one(overlay, &barrier, &token, &entry, barrier_of);
        removed.push(token);
    }
    Ok(removed)
}

/// Removes a token and lets its children go on without a parent, or none of it where there are more children than that.
pub(crate) fn remove_and_orphan(
    overlay: &mut Overlay<'_>,
    token: &TokenRef,
    barrier_of: BarrierOf<'_>,
    most: usize,
) -> Result<Option<Vec<TokenRef>>, BarrierError> {
    let Some(barrier) = barrier_of(&token.namespace) else { return Ok(Some(Vec::new())) };
    let Some(entry) = overlay.within(&barrier, |overlay| load(overlay, &token.key))? else { return Ok(Some(Vec::new())) };
    // Read before the children are: one that is made from here on lets this commit fail, so that it goes on as an orphan or is refused.
    if overlay.within(&barrier, |overlay| last_child(overlay, token))?.is_some() {
        overlay.within(&barrier, |overlay| overlay.delete(last_child_key(&barrier, token)));
    }
    let (children, are_all) = children_of(overlay, &barrier, token, most)?;
    if !are_all {
        return Ok(None);
    }
    let mut orphans = Vec::new();
    for (key, child) in children {
        overlay.within(&barrier, |overlay| overlay.delete(key));
        let Some(below) = barrier_of(&child.namespace) else { continue };
        overlay.within(&below, |overlay| match load(overlay, &child.key)? {
            Some(entry) => {
                let orphan = TokenEntry { parent: None, parent_namespace: [0; 16], ..entry };
                orphans.push(child);
                overlay.put(Kind::Token, Key::new(&[&child.key]), &orphan.to_bytes())
            }
            None => Ok(()),
        })?;
    }
    remove_one(overlay, &barrier, token, &entry, barrier_of);
    Ok(Some(orphans))
}

/// Removes descendants of tokens that were removed before them, so many at most, through an overlay of the root namespace: `None` when there are
/// no such tokens.
pub(crate) fn sweep_doomed(
    overlay: &mut Overlay<'_>,
    barrier_of: BarrierOf<'_>,
    most: usize,
) -> Result<Option<Vec<TokenRef>>, BarrierError> {
    let root = barrier_of(&Id::ROOT).ok_or(BarrierError::Corrupt)?;
    let mut doomed = Vec::new();
    overlay.scan(Kind::TokenDoom, &root.member_prefix(Kind::TokenDoom, &[]), |_, token| {
        doomed.push(TokenRef::from_bytes(token)?);
        Ok(doomed.len() < most)
    })?;
    if doomed.is_empty() {
        return Ok(None);
    }
    let mut removed = Vec::new();
    for token in doomed {
        let left = most.saturating_sub(removed.len());
        if left == 0 {
            break;
        }
        // Nothing is made below a token that is gone: once no child is found there is none.
        if remove_children(overlay, &token, barrier_of, left, &mut removed)? {
            overlay.delete(doom_key(&root, &token));
        }
    }
    Ok(Some(removed))
}

/// Removes descendants of a token that is gone, so many at most; whether its children are all among them.
fn remove_children(
    overlay: &mut Overlay<'_>,
    token: &TokenRef,
    barrier_of: BarrierOf<'_>,
    most: usize,
    removed: &mut Vec<TokenRef>,
) -> Result<bool, BarrierError> {
    let Some(barrier) = barrier_of(&token.namespace) else { return Ok(true) };
    let (children, are_all) = children_of(overlay, &barrier, token, most)?;
    let mut left = most - children.len();
    for (key, child) in children {
        overlay.within(&barrier, |overlay| overlay.delete(key));
        let gone = remove_tree(overlay, &child, barrier_of, left)?;
        left = left.saturating_sub(gone.len().saturating_sub(1));
        removed.extend(gone);
    }
    Ok(are_all)
}

/// A child, and where it stands among those of its parent.
pub(crate) type Child = (Key, TokenRef);

/// The children of a token that come after one, so many at most, through an overlay of the token's namespace; whether they are all.
pub(crate) fn children_after(
    overlay: &Overlay<'_>,
    token: &TokenKey,
    after: Option<Key>,
    most: usize,
) -> Result<(Vec<Child>, bool), BarrierError> {
    let mut children = Vec::new();
    let mut are_all = true;
    overlay.scan_after(Kind::TokenChild, &overlay.barrier().member_prefix(Kind::TokenChild, token), after, |key, child| {
        are_all = children.len() < most;
        if are_all {
            children.push((*key, TokenRef::from_bytes(child)?));
        }
        Ok(are_all)
    })?;
    Ok((children, are_all))
}

/// A token's children, so many at most, and whether they are all.
fn children_of(
    overlay: &mut Overlay<'_>,
    barrier: &Arc<Barrier>,
    token: &TokenRef,
    most: usize,
) -> Result<(Vec<Child>, bool), BarrierError> {
    overlay.within(barrier, |overlay| children_after(overlay, &token.key, None, most))
}

/// The child that a token made last. What is read here becomes an expectation: each child that is made changes it.
fn last_child(overlay: &mut Overlay<'_>, token: &TokenRef) -> Result<Option<TokenRef>, BarrierError> {
    let key = last_child_key(overlay.barrier(), token);
    overlay.get(Kind::TokenLastChild, &key)?.map(|child| TokenRef::from_bytes(&child)).transpose()
}

/// Removes what belongs to a token itself.
fn remove_one(overlay: &mut Overlay<'_>, barrier: &Arc<Barrier>, token: &TokenRef, entry: &TokenEntry, barrier_of: BarrierOf<'_>) {
    overlay.within(barrier, |overlay| {
        overlay.delete(Key::new(&[&token.key]));
        overlay.delete(accessor_key(barrier, &entry.accessor));
        if entry.is_wrapping() {
            overlay.delete(wrapped_key(barrier, &token.key));
        } else if entry.num_uses > 0 {
            overlay.delete(barrier.key(Kind::TokenUses, &[&token.key]));
        }
    });
    if let Some((parent, above)) = entry.parent().and_then(|parent| Some((parent, barrier_of(&parent.namespace)?))) {
        overlay.within(&above, |overlay| overlay.delete(child_key(&above, &parent, token)));
    }
    due::leave(overlay, &Due::Token(*token), entry.ends(), barrier_of);
}

fn child_key(above: &Barrier, parent: &TokenRef, token: &TokenRef) -> Key {
    above.member_key(Kind::TokenChild, &parent.key, &token.key)
}

fn last_child_key(barrier: &Barrier, token: &TokenRef) -> Key {
    barrier.key(Kind::TokenLastChild, &[&token.key])
}

fn doom_key(root: &Barrier, token: &TokenRef) -> Key {
    root.member_key(Kind::TokenDoom, &[], &token.key)
}

fn accessor_key(barrier: &Barrier, accessor: &str) -> Key {
    // Behind one prefix, so that the accessors can be listed.
    barrier.member_key(Kind::Accessor, &[], &barrier.member_prefix(Kind::Accessor, accessor.as_bytes()))
}

//! What several people do together, each with a key share: unseal, rekey, make a root token. What was given so far is held in memory only.

use super::core::Core;
use super::runtime::no_entropy;
use super::seals::{self, Rekeyed, share_values};
use super::system::Done;
use super::tokens;
use crate::auth::token;
use crate::barrier::Overlay;
use crate::crypto::sha256;
use crate::host::KeyWrapper;
use crate::seal::{Header, NewSeal, UnsealKey};
use crate::types::limits::TOKEN_BYTES_MAX;
use crate::types::{Code, Error, Object, Result, SecretString, Timestamp, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::collections::BTreeMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The shares that were given so far, by slot and by their number.
#[derive(Default)]
pub(super) struct Shares(BTreeMap<u32, BTreeMap<u8, SecretString>>);

/// What one more share, or another key, has led to.
pub(super) enum Step {
    /// More shares are needed beside those that are there.
    More(usize),
    /// What opens.
    Complete(UnsealKey),
}

impl Shares {
    /// Takes a key as a request gives it: a share by `key`, a `passphrase`, a `raw_key`, or the name of a `wrapper`.
    pub(super) fn give(&mut self, header: &Header, wrappers: &[Arc<dyn KeyWrapper>], data: Option<&Value>) -> Result<Step> {
        let text = |name: &str| data.and_then(|data| data.get(name)).and_then(Value::as_str);
        if let Some(share) = text("key") {
            return self.give_share(header, share);
        }
        Ok(Step::Complete(if let Some(passphrase) = text("passphrase") {
            UnsealKey::passphrase(passphrase)?
        } else if let Some(key) = text("raw_key") {
            UnsealKey::raw_key(&seals::decoded(key)?)?
        } else if let Some(name) = text("wrapper") {
            let wrapper = wrappers.iter().find(|wrapper| wrapper.name() == name);
            UnsealKey::wrapper(
                wrapper.cloned().ok_or_else(|| Error::new(Code::WrongKey, "the host has given no key wrapper of that name"))?,
            )
        } else {
            return Err(Error::new(Code::InvalidData, "give a share as \"key\", or a \"passphrase\", a \"raw_key\" or a \"wrapper\""));
        }))
    }

    /// Takes one share.
    pub(super) fn give_share(&mut self, header: &Header, share: &str) -> Result<Step> {
        let (slot, x) = header.slot_of_share(share)?;
        let given = self.0.entry(slot.id).or_default();
        given.insert(x, SecretString::copy_from(share));
        let have = given.len();
        if have < usize::from(slot.threshold.unwrap_or(u8::MAX)) {
            return Ok(Step::More(have));
        }
        // They stay until what they are for is done: a device that fails then asks nobody to come again.
        let shares = given.values().map(|share| SecretString::copy_from(share.expose())).collect();
        Ok(Step::Complete(UnsealKey::Shares(shares)))
    }

    pub(super) fn reset(&mut self) {
        self.0.clear();
    }

    /// The slot that most shares were given of, and how many.
    pub(super) fn progress(&self) -> Option<(u32, usize)> {
        self.0.iter().map(|(slot, given)| (*slot, given.len())).max_by_key(|(_, have)| *have)
    }
}

/// What is under way while the vault is unsealed.
#[derive(Default)]
pub(super) struct Ceremonies {
    rekey: Option<Rekey>,
    root: Option<RootToken>,
}

/// A rekey that was begun.
struct Rekey {
    nonce: String,
    count: u8,
    threshold: u8,
    verify: bool,
    keep_root_key: bool,
    given: Shares,
    have: usize,
    /// Made, and waiting for the new shares to be shown.
    pending: Option<Pending>,
}

struct Pending {
    nonce: String,
    rekeyed: Rekeyed,
    /// SHA-256 of the new shares that were shown.
    shown: Vec<[u8; 32]>,
}

/// A root token that is being made.
struct RootToken {
    nonce: String,
    /// What the token is hidden with; whoever began knows it.
    otp: Zeroizing<String>,
    given: Shares,
    have: usize,
}

/// `READ sys/rekey/init`.
pub(super) fn rekey_status(core: &Core) -> Done {
    let ceremonies = core.ceremonies.lock();
    let required = required(&core.keys.load().header);
    Done::answer(match &ceremonies.rekey {
        None => Object::new()
            .with("started", false)
            .with("nonce", "")
            .with("t", 0_u64)
            .with("n", 0_u64)
            .with("progress", 0_u64)
            .with("required", required),
        Some(rekey) => rekey.status(required),
    })
}

/// `WRITE sys/rekey/init`: begins a rekey, which the holders of a key then authorise.
pub(super) fn rekey_begin(core: &Core, data: Option<&Value>) -> Result<Done> {
    let NewSeal::Shares { count, threshold } = seals::share_numbers(data)? else {
        return Err(Error::new(Code::Internal, "numbers of shares make no share seal"));
    };
    let flag = |name: &str| data.and_then(|data| data.get(name)).and_then(Value::as_bool).unwrap_or(false);
    let nonce = core.random_id()?.to_string();
    let mut ceremonies = core.ceremonies.lock();
    if ceremonies.rekey.is_some() {
        return Err(Error::new(Code::InvalidRequest, "a rekey is under way: cancel it first"));
    }
    let rekey = Rekey {
        nonce,
        count,
        threshold,
        verify: flag("require_verification"),
        keep_root_key: flag("keep_root_key"),
        given: Shares::default(),
        have: 0,
        pending: None,
    };
    let status = rekey.status(required(&core.keys.load().header));
    ceremonies.rekey = Some(rekey);
    Ok(Done::answer(status))
}

/// `DELETE sys/rekey/init`. The caller's authority was checked by policy, and the record says who it was.
pub(super) fn rekey_cancel(core: &Core) -> Done {
    core.ceremonies.lock().rekey = None;
    Done::default()
}

/// `WRITE sys/rekey/update`: takes a key; with enough of them the new shares are made, and written unless they are to be verified first.
pub(super) fn rekey_update(core: &Core, overlay: &mut Overlay<'_>, data: Option<&Value>, now: Timestamp) -> Result<Done> {
    let mut ceremonies = core.ceremonies.lock();
    let rekey = ceremonies.rekey.as_mut().ok_or_else(|| Error::new(Code::InvalidRequest, "no rekey is under way"))?;
    check_nonce(&rekey.nonce, data)?;
    if rekey.pending.is_some() {
        return Err(Error::new(Code::InvalidRequest, "the new shares were given out and wait for sys/rekey/verify"));
    }
    let header = core.keys.load().header.clone();
    let key = match rekey.given.give(&header, &core.wrappers, data)? {
        Step::More(have) => {
            rekey.have = have;
            let status = rekey.status(required(&header));
            return Ok(Done::answer(status));
        }
        Step::Complete(key) => key,
    };
    let (seal, keep, verify) = (NewSeal::shares(rekey.count, rekey.threshold)?, rekey.keep_root_key, rekey.verify);
    // What follows may take its time and ask a key service: not under the lock.
    drop(ceremonies);
    let (_, slot) = header.unseal(&key)?;
    let rekeyed = seals::rekeyed(core, key, slot, &seal, keep, verify, now)?;
    let mut body = Object::new().with("complete", true).with("keys", share_values(&rekeyed.shares));
    let mut ceremonies = core.ceremonies.lock();
    let rekey = ceremonies.rekey.as_mut().ok_or_else(|| Error::new(Code::InvalidRequest, "the rekey was cancelled"))?;
    check_nonce(&rekey.nonce, data)?;
    body.insert("nonce", rekey.nonce.as_str());
    body.insert("verification_required", rekey.verify);
    if rekey.verify {
        let nonce = core.random_id()?.to_string();
        body.insert("verification_nonce", nonce.as_str());
        rekey.given.reset();
        rekey.pending = Some(Pending { nonce, rekeyed, shown: Vec::new() });
        return Ok(Done::answer(body));
    }
    body.insert("superseded_slot", u64::from(slot));
    let written = seals::put_rekeyed(core, overlay, &rekeyed)?;
    Ok(ended(core, Done { data: Some(body.into()), ..written }, |ceremonies| ceremonies.rekey = None))
}

/// `READ sys/rekey/verify`.
pub(super) fn verify_status(core: &Core) -> Result<Done> {
    let ceremonies = core.ceremonies.lock();
    let rekey = ceremonies.rekey.as_ref().ok_or_else(nothing_to_verify)?;
    let pending = rekey.pending.as_ref().ok_or_else(nothing_to_verify)?;
    Ok(Done::answer(pending.status(rekey)))
}

/// `WRITE sys/rekey/verify`: takes a new share; once as many as open were shown, the new shares replace the old ones.
pub(super) fn verify_update(core: &Core, overlay: &mut Overlay<'_>, data: Option<&Value>) -> Result<Done> {
    let mut ceremonies = core.ceremonies.lock();
    let rekey = ceremonies.rekey.as_mut().ok_or_else(nothing_to_verify)?;
    let threshold = usize::from(rekey.threshold);
    let Some(pending) = rekey.pending.as_mut() else { return Err(nothing_to_verify()) };
    check_nonce(&pending.nonce, data)?;
    let share = data.and_then(|data| data.get("key")).and_then(Value::as_str);
    let share = share.ok_or_else(|| Error::new(Code::InvalidData, "give one of the new shares as \"key\""))?;
    pending.rekeyed.check_share(share)?;
    let hash = sha256(&[share.trim().as_bytes()]);
    if !pending.shown.contains(&hash) {
        pending.shown.push(hash);
    }
    if pending.shown.len() < threshold {
        let (nonce, shown) = (pending.nonce.clone(), pending.shown.len());
        return Ok(Done::answer(verification(rekey, &nonce, shown)));
    }
    let nonce = pending.nonce.clone();
    let written = seals::put_rekeyed(core, overlay, &pending.rekeyed)?;
    let body = Object::new().with("complete", true).with("nonce", nonce);
    Ok(ended(core, Done { data: Some(body.into()), ..written }, |ceremonies| ceremonies.rekey = None))
}

/// `READ sys/generate-root/attempt`.
pub(super) fn root_status(core: &Core) -> Done {
    let ceremonies = core.ceremonies.lock();
    Done::answer(root_object(ceremonies.root.as_ref(), required(&core.keys.load().header)))
}

/// `WRITE sys/generate-root/attempt`: begins to make a root token; the answer holds what the token will be hidden with.
pub(super) fn root_begin(core: &Core) -> Result<Done> {
    let nonce = core.random_id()?.to_string();
    let otp = token::generate(core.barrier.rng()).map_err(no_entropy)?;
    let mut ceremonies = core.ceremonies.lock();
    if ceremonies.root.is_some() {
        return Err(Error::new(Code::InvalidRequest, "a root token is being made already: cancel that first"));
    }
    let root = RootToken { nonce, otp: Zeroizing::new(otp.expose().to_owned()), given: Shares::default(), have: 0 };
    let body = root_object(Some(&root), required(&core.keys.load().header)).with("otp", root.otp.as_str());
    ceremonies.root = Some(root);
    Ok(Done::answer(body))
}

/// `DELETE sys/generate-root/attempt`, by whom policy allows it or by whoever knows the nonce.
pub(super) fn root_cancel(core: &Core, nonce: Option<&Value>) -> Result<Done> {
    let mut ceremonies = core.ceremonies.lock();
    if let (Some(root), Some(data)) = (&ceremonies.root, nonce) {
        check_nonce(&root.nonce, Some(data))?;
    }
    ceremonies.root = None;
    Ok(Done::default())
}

/// `WRITE sys/generate-root/update`: takes a key; with enough of them the root token is made, and given hidden by the one-time pad.
pub(super) fn root_update(core: &Core, overlay: &mut Overlay<'_>, data: Option<&Value>, now: Timestamp) -> Result<Done> {
    let mut ceremonies = core.ceremonies.lock();
    let root = ceremonies
        .root
        .as_mut()
        .ok_or_else(|| Error::new(Code::InvalidRequest, "no root token is being made: begin with sys/generate-root/attempt"))?;
    check_nonce(&root.nonce, data)?;
    let header = core.keys.load().header.clone();
    let key = match root.given.give(&header, &core.wrappers, data)? {
        Step::More(have) => {
            root.have = have;
            return Ok(Done::answer(root_object(Some(root), required(&header))));
        }
        Step::Complete(key) => key,
    };
    drop(ceremonies);
    header.unseal(&key)?;
    let secret = tokens::make_root(overlay, &core.barrier, now)?;
    let ceremonies = core.ceremonies.lock();
    let cancelled = || Error::new(Code::InvalidRequest, "the making of the root token was cancelled");
    let root = ceremonies.root.as_ref().ok_or_else(cancelled)?;
    check_nonce(&root.nonce, data)?;
    let hidden: Zeroizing<Vec<u8>> = Zeroizing::new(secret.expose().bytes().zip(root.otp.bytes()).map(|(a, b)| a ^ b).collect());
    debug_assert!(secret.expose().len() == root.otp.len() && hidden.len() <= TOKEN_BYTES_MAX);
    let body = root_object(Some(root), required(&header))
        .with("complete", true)
        .with("started", false)
        .with("encoded_token", STANDARD_NO_PAD.encode(&*hidden));
    Ok(ended(core, Done::answer(body), |ceremonies| ceremonies.root = None))
}

/// Forgets a ceremony once what it led to is durable; until then it can be completed again.
fn ended(core: &Core, done: Done, end: impl FnOnce(&mut Ceremonies) + Send + 'static) -> Done {
    let ceremonies = Arc::clone(&core.ceremonies);
    let Done { publish, .. } = done;
    Done { publish: None, ..done }.publishing(move || {
        if let Some(publish) = publish {
            publish();
        }
        end(&mut ceremonies.lock());
    })
}

impl Rekey {
    fn status(&self, required: u64) -> Object {
        Object::new()
            .with("started", true)
            .with("nonce", self.nonce.as_str())
            .with("t", u64::from(self.threshold))
            .with("n", u64::from(self.count))
            .with("progress", self.have as u64)
            .with("required", required)
            .with("verification_required", self.verify)
            .with("keep_root_key", self.keep_root_key)
    }
}

impl Pending {
    fn status(&self, rekey: &Rekey) -> Object {
        verification(rekey, &self.nonce, self.shown.len())
    }
}

fn verification(rekey: &Rekey, nonce: &str, shown: usize) -> Object {
    Object::new()
        .with("nonce", nonce)
        .with("started", true)
        .with("t", u64::from(rekey.threshold))
        .with("n", u64::from(rekey.count))
        .with("progress", shown as u64)
        .with("complete", false)
}

fn root_object(root: Option<&RootToken>, required: u64) -> Object {
    Object::new()
        .with("started", root.is_some())
        .with("nonce", root.map_or("", |root| root.nonce.as_str()))
        .with("progress", root.map_or(0, |root| root.have as u64))
        .with("required", required)
        .with("complete", false)
        .with("encoded_token", "")
        .with("otp_length", root.map_or(0, |root| root.otp.len() as u64))
}

/// How many keys authorise: the threshold of the first slot of shares, or 1 where there is none.
fn required(header: &Header) -> u64 {
    header.slots().iter().find_map(|slot| slot.threshold).map_or(1, u64::from)
}

fn check_nonce(nonce: &str, data: Option<&Value>) -> Result<()> {
    let given = data.and_then(|data| data.get("nonce")).and_then(Value::as_str).unwrap_or_default();
    let same: bool = given.as_bytes().ct_eq(nonce.as_bytes()).into();
    if same { Ok(()) } else { Err(Error::new(Code::InvalidRequest, "the nonce is not that of what is under way")) }
}

fn nothing_to_verify() -> Error {
    Error::new(Code::InvalidRequest, "no rekey waits for its verification")
}

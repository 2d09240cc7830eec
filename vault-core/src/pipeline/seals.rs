//! The key slots: listed, added, removed, and replaced together with the root key.

use super::core::{Core, KeyState};
use super::keys::lost_race;
use super::system::Done;
use crate::barrier::{BarrierError, Overlay, fixed, unwrap_keyring, wrap_keyring};
use crate::crypto::Key256;
use crate::host::RngError;
use crate::seal::{Header, NewSeal, SlotInfo, UnsealKey};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Code, Error, Object, Result, SecretString, Timestamp, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use zeroize::Zeroizing;

/// `LIST` and `READ sys/seals`: the slots without anything secret.
pub(super) fn list(core: &Core) -> Done {
    let slots = core.keys.load().header.slots();
    let ids: Vec<String> = slots.iter().map(|slot| slot.id.to_string()).collect();
    let slots: Vec<Value> = slots.iter().map(slot_value).collect();
    Done::answer(Object::new().with("keys", ids).with("slots", Value::Array(slots)))
}

/// `WRITE sys/seals`: one slot more, beside those that are there.
pub(super) fn add(core: &Core, overlay: &mut Overlay<'_>, data: Option<&Value>, now: Timestamp) -> Result<Done> {
    let seal = new_seal(core, data)?;
    let keys = current(core, overlay)?;
    let new = keys.header.with_slot(core.barrier.rng(), now, &keys.root_key, &seal)?;
    let mut body = Object::new().with("id", u64::from(new.slot));
    if !new.shares.is_empty() {
        body.insert("keys", share_values(&new.shares));
    }
    put(core, overlay, KeyState { root_key: Arc::clone(&keys.root_key), header: new.header }, Done::answer(body))
}

/// `DELETE sys/seals/NUMBER`.
pub(super) fn remove(core: &Core, overlay: &mut Overlay<'_>, number: &str) -> Result<Done> {
    // One spelling for each, since policy sees what was written.
    let id = number.parse::<u32>().ok().filter(|id| id.to_string() == number);
    let id = id.ok_or_else(|| Error::new(Code::InvalidRequest, "name the key slot by its number"))?;
    let keys = current(core, overlay)?;
    let header = keys.header.without_slot(&keys.root_key, id)?;
    put(core, overlay, KeyState { root_key: Arc::clone(&keys.root_key), header }, Done::default())
}

/// A new state of the keys that is ready to be written: made when a rekey has its authority, and written when the new shares are verified.
pub(super) struct Rekeyed {
    keys: KeyState,
    /// The header that it replaces.
    from: Header,
    /// The number of the new slot.
    slot: u32,
    pub(super) shares: Vec<SecretString>,
}

impl Rekeyed {
    /// Refuses what is none of the new shares.
    pub(super) fn check_share(&self, share: &str) -> Result<()> {
        let (slot, _) = self.keys.header.slot_of_share(share)?;
        if slot.id == self.slot { Ok(()) } else { Err(Error::new(Code::BadShare, "this is none of the new key shares")) }
    }
}

/// New shares in the place of the slot that `authority` opened. Unless the root key stays it is replaced too, and the other slots must be
/// openable by the key services that the vault was given. Where the new shares are not verified before they count, the old slot opens until
/// they have been used: an answer that a crash keeps from arriving locks nobody out.
pub(super) fn rekeyed(
    core: &Core,
    authority: UnsealKey,
    slot: u32,
    seal: &NewSeal,
    keep_root_key: bool,
    verified: bool,
    now: Timestamp,
) -> Result<Rekeyed> {
    let rng = core.barrier.rng();
    let keys = core.keys.load_full();
    let (root_key, new) = if keep_root_key {
        (Arc::clone(&keys.root_key), keys.header.with_slot(rng, now, &keys.root_key, seal)?)
    } else {
        let root_key = Key256::random(rng).map_err(no_entropy)?;
        let mut keep: Vec<UnsealKey> = core.wrappers.iter().map(|wrapper| UnsealKey::wrapper(Arc::clone(wrapper))).collect();
        keep.push(authority);
        let new = keys.header.rekeyed(rng, now, &root_key, std::slice::from_ref(seal), &keep, &[])?;
        (Arc::new(root_key), new)
    };
    let header = if verified { new.header.without_slot(&root_key, slot)? } else { new.header.superseded(&root_key, slot, new.slot) };
    Ok(Rekeyed { keys: KeyState { root_key, header }, from: keys.header.clone(), slot: new.slot, shares: new.shares })
}

/// Removes the slots that the one which has just opened supersedes; whether there were any.
pub(super) fn retire_superseded(core: &Core, overlay: &mut Overlay<'_>, slot: u32) -> Result<Option<Done>> {
    let keys = current(core, overlay)?;
    match keys.header.without_superseded(&keys.root_key, slot) {
        Some(header) => put(core, overlay, KeyState { root_key: Arc::clone(&keys.root_key), header }, Done::default()).map(Some),
        None => Ok(None),
    }
}

/// Writes such a state: header and keyring in one commit, so that a crash leaves the old opening or the new one.
pub(super) fn put_rekeyed(core: &Core, overlay: &mut Overlay<'_>, rekeyed: &Rekeyed) -> Result<Done> {
    let keys = current(core, overlay)?;
    if keys.header != rekeyed.from {
        return Err(Error::new(Code::Conflict, "the key slots changed since the rekey began: cancel it and begin anew"));
    }
    let state = KeyState { root_key: Arc::clone(&rekeyed.keys.root_key), header: rekeyed.keys.header.clone() };
    put(core, overlay, state, Done::default())
}

/// The keys in force, once header and keyring in the store are found to be theirs: what is read becomes an expectation of the commit.
fn current(core: &Core, overlay: &mut Overlay<'_>) -> Result<Arc<KeyState>> {
    let header = overlay.get_bare(&Key::new(&[fixed::HEADER]))?.ok_or(BarrierError::Corrupt)?;
    let keyring = overlay.get_bare(&Key::new(&[fixed::KEYRING]))?.ok_or(BarrierError::Corrupt)?;
    let keys = core.keys.load_full();
    let stored = unwrap_keyring(&keys.root_key, &core.store, &Id::ROOT, &keyring).map_err(|_| lost_race())?;
    let in_force = core.barrier.keyring().data_keys();
    let same = stored.data_keys().primary().id() == in_force.primary().id() && stored.data_keys().len() == in_force.len();
    if same && keys.header.to_bytes() == header { Ok(keys) } else { Err(lost_race()) }
}

fn put(core: &Core, overlay: &mut Overlay<'_>, state: KeyState, done: Done) -> Result<Done> {
    let keyring = core.barrier.keyring();
    let wrapped = wrap_keyring(core.barrier.rng(), &state.root_key, &core.store, &Id::ROOT, keyring, &keyring.data_keys())?;
    overlay.put_bare(Key::new(&[fixed::HEADER]), state.header.to_bytes());
    overlay.put_bare(Key::new(&[fixed::KEYRING]), wrapped);
    let (keys, header) = (Arc::clone(&core.keys), Arc::clone(&core.header));
    Ok(done.publishing(move || {
        header.store(Arc::new(state.header.clone()));
        keys.store(Arc::new(state));
    }))
}

/// The seal that a request describes: a passphrase, 32 bytes in base64, numbers of shares, or the name of a key service of the host's.
pub(super) fn new_seal(core: &Core, data: Option<&Value>) -> Result<NewSeal> {
    let given = |name: &str| data.and_then(|data| data.get(name));
    let text = |name: &str| given(name).and_then(Value::as_str);
    let missing =
        || Error::new(Code::InvalidData, "say what opens the slot: \"passphrase\", \"raw_key\", \"secret_shares\" or \"wrapper\"");
    if let Some(passphrase) = text("passphrase") {
        Ok(NewSeal::passphrase(passphrase)?)
    } else if let Some(key) = text("raw_key") {
        Ok(NewSeal::raw_key(&decoded(key)?)?)
    } else if let Some(name) = text("wrapper") {
        let wrapper = core.wrappers.iter().find(|wrapper| wrapper.name() == name);
        let wrapper =
            wrapper.ok_or_else(|| Error::new(Code::InvalidRequest, "the host has given the vault no key wrapper of that name"))?;
        Ok(NewSeal::wrapper(Arc::clone(wrapper)))
    } else if given("secret_shares").is_some() {
        share_numbers(data)
    } else {
        Err(missing())
    }
}

/// The numbers of shares that a request asks for.
pub(super) fn share_numbers(data: Option<&Value>) -> Result<NewSeal> {
    let number = |name: &str| {
        let number = data.and_then(|data| data.get(name)).and_then(Value::as_u64).and_then(|number| u8::try_from(number).ok());
        number
            .ok_or_else(|| Error::new(Code::InvalidData, "\"secret_shares\" and \"secret_threshold\" must be whole numbers from 1 to 255"))
    };
    Ok(NewSeal::shares(number("secret_shares")?, number("secret_threshold")?)?)
}

/// 32 bytes of base64 and the like, in a buffer that wipes itself.
pub(super) fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| Error::new(Code::InvalidData, "the key is not valid base64"))?;
    Ok(Zeroizing::new(bytes))
}

pub(super) fn share_values(shares: &[SecretString]) -> Value {
    Value::Array(shares.iter().map(|share| Value::string(share.expose())).collect())
}

fn slot_value(slot: &SlotInfo) -> Value {
    Object::new()
        .with("id", u64::from(slot.id))
        .with("type", slot.kind)
        .with("created", slot.created.to_string())
        .with("secret_shares", slot.shares.map(u64::from))
        .with("secret_threshold", slot.threshold.map(u64::from))
        .with("wrapper", slot.wrapper.clone())
        .with("superseded_by", slot.superseded_by.map(u64::from))
        .into()
}

fn no_entropy(error: RngError) -> Error {
    Error::new(Code::NoEntropy, error.to_string())
}

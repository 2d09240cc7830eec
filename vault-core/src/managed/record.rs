//! The record of a credential that is rotated: what it is, how it is rotated, where that stands, and every password that may work.

use super::index;
use super::settings::{ATTEMPTS_MAX, Settings};
use super::usage::{self, Use, Used, UsedUp};
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::rotation::schedule::Due;
use crate::rotation::{Credential, Phase, Slot, State, ValueId};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Object, SecretString, Timestamp, Ttl};
use minicbor::{Decode, Encode};
use std::convert::Infallible;
use zeroize::Zeroizing;

/// The first wait of a credential that cannot be gone on with, and the longest, in seconds.
const HELD_SECONDS_FIRST: u64 = 10;
const HELD_SECONDS_MAX: u64 = 900;
/// The wait of one whose connector the host may give the next time.
const HELD_SECONDS_UNCOUNTED: u64 = 300;

/// A credential that is rotated.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Managed {
    /// Drawn once; another credential of the same name has another.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    /// The mount that it is of.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) owner: [u8; 16],
    /// Its name among those of the mount.
    #[n(2)]
    pub(crate) name: String,
    /// The id of the connection whose target it is at; none for a secret of the vault's own.
    #[cbor(n(3), with = "optional_id")]
    pub(crate) target: Option<[u8; 16]>,
    /// The name of that connection.
    #[n(4)]
    pub(crate) connection: String,
    /// Its account, or its two.
    #[n(5)]
    pub(crate) usernames: Vec<String>,
    /// What sets a password at the target; empty for the connector's own way.
    #[n(6)]
    pub(crate) statements: Vec<String>,
    #[n(7)]
    pub(crate) settings: Settings,
    #[n(8)]
    pub(crate) state: State,
    #[n(9)]
    pub(crate) due: Due,
    /// What the target said last, where that was no yes.
    #[n(10)]
    pub(crate) error: Option<String>,
    /// When that was, in milliseconds since the Unix epoch.
    #[n(11)]
    pub(crate) error_millis: u64,
    /// The name of the member that is rotated, where it is a secret of the vault's own.
    #[n(12)]
    pub(crate) member: String,
    /// The password policy by which it is generated, where no connection says it.
    #[n(13)]
    pub(crate) policy: String,
    #[cbor(n(14), with = "passwords")]
    pub(crate) values: Vec<(ValueId, SecretString)>,
    /// How often in a row nothing could be asked at all, since the vault itself lacks something: a password policy, or the leave to ask.
    #[cbor(n(15), default)]
    pub(crate) stalls: u32,
    /// Until when it is let be since then, in milliseconds since the Unix epoch; 0 where it is not.
    #[cbor(n(16), default)]
    pub(crate) held_millis: u64,
    /// It is due by its use.
    #[n(17)]
    pub(crate) used_up: Option<UsedUp>,
}

impl Managed {
    /// A credential by its id. What is read here becomes an expectation.
    pub(crate) fn load(overlay: &mut Overlay<'_>, id: &[u8; 16]) -> Result<Option<Self>, BarrierError> {
        let key = overlay.barrier().key(Kind::Managed, &[id]);
        overlay.get(Kind::Managed, &key)?.map(|bytes| Managed::from_bytes(&bytes)).transpose()
    }

    /// A credential from the content of its record.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }

    /// The credential of that name. What is read here becomes an expectation.
    pub(crate) fn named(overlay: &mut Overlay<'_>, owner: &Id, name: &str) -> Result<Option<Self>, BarrierError> {
        let Some(id) = id_of(overlay, owner, name)? else { return Ok(None) };
        Managed::load(overlay, &id)?.ok_or(BarrierError::Corrupt).map(Some)
    }

    /// Writes the record alone; [`index::save`] keeps what it is found by too.
    pub(super) fn put(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let key = overlay.barrier().key(Kind::Managed, &[&self.id]);
        overlay.put(Kind::Managed, key, &self.to_bytes())
    }

    /// Enters a new credential under its name.
    pub(crate) fn enter(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let key = name_key(overlay.barrier(), &Id::from_bytes(self.owner), &self.name);
        overlay.put(Kind::ManagedName, key, &self.id)?;
        if let Some(target) = &self.target {
            index::count(overlay, target, true)?;
            index::take_accounts(overlay, target, self)?;
        }
        index::save(overlay, &[], Some(self))
    }

    /// Removes a credential with all that it is found by.
    pub(crate) fn remove(&self, overlay: &mut Overlay<'_>) -> Result<(), BarrierError> {
        let key = name_key(overlay.barrier(), &Id::from_bytes(self.owner), &self.name);
        overlay.delete(key);
        let key = overlay.barrier().key(Kind::Managed, &[&self.id]);
        overlay.delete(key);
        if let Some(target) = &self.target {
            index::count(overlay, target, false)?;
            index::let_accounts_go(overlay, target, self)?;
        }
        usage::forget(overlay, &self.id)?;
        index::save(overlay, &index::places(self), None)
    }

    /// A password by its number.
    pub(crate) fn value(&self, value: ValueId) -> Option<&SecretString> {
        self.values.iter().find(|(number, _)| *number == value).map(|(_, text)| text)
    }

    /// The name of an account.
    pub(crate) fn username(&self, slot: Slot) -> &str {
        let at = usize::from(slot == Slot::B);
        self.usernames.get(at).or_else(|| self.usernames.first()).map_or("", String::as_str)
    }

    /// What readers are given: the account's name and its password, once there is one.
    pub(crate) fn current(&self) -> Option<(&str, &SecretString)> {
        let Credential { slot, value } = self.state.current;
        Some((self.username(slot), self.value(value)?))
    }

    /// Whether its schedule may begin a run now.
    pub(crate) fn may_begin(&self) -> bool {
        let state = &self.state;
        let rests = matches!(state.phase, Phase::Idle | Phase::Grace) && !state.asked && !state.again_wanted && state.attention.is_none();
        rests && (state.has_current() || !self.settings.by_itself)
    }

    /// When `tick` has something to do about it.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let used = self.used_up.map(|used| used.since_millis);
        let due = [self.due.next_millis, used].into_iter().flatten().min();
        let scheduled = due.filter(|_| self.may_begin()).map(Timestamp::from_millis);
        let next = [self.state.wake(), scheduled].into_iter().flatten().min()?;
        Some(next.max(Timestamp::from_millis(self.held_millis)))
    }

    /// Lets it be due since it was used up, until it is rotated.
    pub(crate) fn use_up(&mut self, by: Use, now: Timestamp) {
        self.used_up.get_or_insert(UsedUp { since_millis: now.as_millis(), by });
    }

    /// Other settings than those by which it was used up: that counts no more unless they say so too.
    pub(crate) fn drop_use(&mut self) {
        let Settings { reads_max, when_reader_leaves, .. } = self.settings;
        self.used_up = self.used_up.filter(|used| match used.by {
            Use::Reads => reads_max > 0,
            Use::ReaderLeft => when_reader_leaves,
        });
    }

    /// Shows how often the current version was read, where that is counted and as far as it is written down.
    pub(crate) fn show_reads(&self, overlay: &mut Overlay<'_>, version: u64, body: Object) -> Result<Object, BarrierError> {
        if self.settings.reads_max == 0 {
            return Ok(body);
        }
        Ok(body.with("reads", usage::reads(overlay, self, version)?))
    }

    /// What is to be done about its reads, if anything.
    pub(crate) fn used_by_reads(&self) -> Option<Used> {
        let Settings { reads_max, when_reader_leaves: notes_readers, .. } = self.settings;
        (reads_max > 0 || notes_readers).then_some(Used { id: self.id, reads_max, notes_readers })
    }

    /// Until when it is let be. A clock that was set back makes no wait longer than any is.
    pub(crate) fn held(&self, now: Timestamp) -> Option<Timestamp> {
        let until = Timestamp::from_millis(self.held_millis);
        (until > now && until <= now.plus(Ttl::from_secs(HELD_SECONDS_MAX))).then_some(until)
    }

    /// Lets it be for a while, which is longer each time that this `counts`; whether it needs somebody just since now.
    pub(crate) fn hold(&mut self, now: Timestamp, counts: bool) -> bool {
        let was_stalled = self.is_stalled();
        self.stalls = self.stalls.saturating_add(u32::from(counts));
        let doubled = HELD_SECONDS_FIRST.saturating_mul(1 << self.stalls.saturating_sub(1).min(16)).min(HELD_SECONDS_MAX);
        let seconds = if counts { doubled } else { HELD_SECONDS_UNCOUNTED };
        self.held_millis = now.plus(Ttl::from_secs(seconds)).as_millis();
        self.is_stalled() && !was_stalled
    }

    /// It goes on, and lacks nothing any more.
    pub(super) fn let_go(&mut self) {
        if self.stalls > 0 {
            self.error = None;
        }
        (self.stalls, self.held_millis) = (0, 0);
    }

    /// Whether it was held so often that it needs somebody. It is tried again all the same.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalls >= ATTEMPTS_MAX
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut counted = Counted(0);
        minicbor::encode(self, &mut counted).expect("counting cannot fail");
        let mut bytes = Zeroizing::new(Vec::with_capacity(counted.0));
        minicbor::encode(self, &mut *bytes).expect("encoding to memory cannot fail");
        bytes
    }
}

/// The id of the credential of that name. What is read here becomes an expectation.
pub(crate) fn id_of(overlay: &mut Overlay<'_>, owner: &Id, name: &str) -> Result<Option<[u8; 16]>, BarrierError> {
    let key = name_key(overlay.barrier(), owner, name);
    let bytes = overlay.get(Kind::ManagedName, &key)?;
    bytes.map(|bytes| bytes.as_slice().try_into().map_err(|_| BarrierError::Corrupt)).transpose()
}

/// Where a name's record lies.
pub(crate) fn name_key(barrier: &Barrier, owner: &Id, name: &str) -> Key {
    barrier.key(Kind::ManagedName, &[owner.as_bytes(), name.as_bytes()])
}

/// Counts the bytes of a record, so that its buffer never grows: growth would leave copies of passwords behind.
struct Counted(usize);

impl minicbor::encode::Write for Counted {
    type Error = Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0 += bytes.len();
        Ok(())
    }
}

mod optional_id {
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decoder, Encoder};

    pub(super) fn encode<C, W: Write>(id: &Option<[u8; 16]>, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.bytes(id.as_ref().map_or(&[], |id| &id[..])).map(drop)
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Option<[u8; 16]>, DecodeError> {
        let bytes = d.bytes()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        bytes.try_into().map(Some).map_err(|_| DecodeError::message("an id has 16 bytes"))
    }
}

mod passwords {
    use super::{SecretString, ValueId};
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::{Error as EncodeError, Write};
    use minicbor::{Decoder, Encoder};

    type Values = Vec<(ValueId, SecretString)>;

    pub(super) fn encode<C, W: Write>(values: &Values, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.array(values.len() as u64 * 2)?;
        for (number, text) in values {
            e.u64(number.0)?.str(text.expose())?;
        }
        Ok(())
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Values, DecodeError> {
        let count = d.array()?.ok_or_else(|| DecodeError::message("the length is missing"))? / 2;
        (0..count).map(|_| Ok((ValueId(d.u64()?), SecretString::copy_from(d.str()?)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managed() -> Managed {
        let mut state = State::enrolled();
        state.pending = Some(Credential { slot: Slot::A, value: ValueId(2) });
        Managed {
            id: [1; 16],
            owner: [2; 16],
            name: "app".to_owned(),
            target: Some([3; 16]),
            connection: "db".to_owned(),
            usernames: vec!["a".to_owned(), "b".to_owned()],
            statements: vec!["ALTER".to_owned()],
            settings: Settings::default(),
            state,
            due: Due { last_millis: 1, next_millis: Some(2), jitter_permille: 3 },
            error: Some("no".to_owned()),
            error_millis: 4,
            member: String::new(),
            policy: String::new(),
            values: vec![(ValueId(1), SecretString::copy_from("old")), (ValueId(2), SecretString::copy_from("new"))],
            stalls: 0,
            held_millis: 0,
            used_up: None,
        }
    }

    #[test]
    fn a_record_reads_back_with_its_passwords_and_shows_none() {
        let one = managed();
        let bytes = one.to_bytes();
        assert_eq!(bytes.len(), bytes.capacity(), "no growth that leaves copies");
        let two: Managed = minicbor::decode(&bytes).expect("own bytes");
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
        assert_eq!(two.value(ValueId(2)).map(SecretString::expose), Some("new"));
        assert_eq!(two.current().map(|(name, password)| (name, password.expose())), Some(("a", "old")));
        assert_eq!(two.target, Some([3; 16]));
        assert!(!format!("{two:?}").contains("old"));
        let mut three = two;
        three.target = None;
        assert_eq!(minicbor::decode::<Managed>(&three.to_bytes()).expect("own bytes").target, None);
    }

    #[test]
    fn a_schedule_waits_while_a_run_is_under_way_and_while_it_needs_attention() {
        let mut one = managed();
        one.state.pending = None;
        assert_eq!(one.next(), Some(Timestamp::from_millis(2)));
        one.state.phase = Phase::Setting;
        one.state.wake_millis = 7;
        assert_eq!(one.next(), Some(Timestamp::from_millis(7)));
        one.state.asked = true;
        assert_eq!(one.next(), None);
    }

    #[test]
    fn what_cannot_be_gone_on_with_is_let_be_for_longer_each_time_and_needs_somebody_in_the_end() {
        let mut one = managed();
        one.state.pending = None;
        let now = Timestamp::from_secs(1_000_000);
        let mut waits = Vec::new();
        let told: Vec<bool> = (0..ATTEMPTS_MAX + 1)
            .map(|_| {
                let told = one.hold(now, true);
                waits.push(now.until(one.held(now).expect("held")).as_secs());
                told
            })
            .collect();
        assert_eq!(waits[..4], [10, 20, 40, 80]);
        assert_eq!(waits.last(), Some(&HELD_SECONDS_MAX));
        assert_eq!(told.iter().position(|told| *told), Some(ATTEMPTS_MAX as usize - 1));
        assert_eq!(told.iter().filter(|told| **told).count(), 1, "told once");
        assert_eq!(one.next(), one.held(now));
        assert_eq!(one.held(Timestamp::from_secs(1)), None, "the clock was set back");
        one.let_go();
        assert_eq!((one.held(now), one.is_stalled()), (None, false));
    }
}

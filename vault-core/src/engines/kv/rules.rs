//! How many versions are kept, for how long, and whether a write must name the version it is made on: as a mount and a key say it together.

use super::{Outcome, Secrets};
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::engines::common::input::{known_only, member, signed_seconds, truth, whole};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::{KV_VERSIONS_DEFAULT, KV_VERSIONS_MAX};
use crate::types::{Code, Error, Object, Result, Timestamp, Ttl, Value};
use minicbor::{Decode, Encode};

/// What a mount or a key says.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Rules {
    /// 0 where it says nothing.
    #[n(0)]
    max_versions: u32,
    #[n(1)]
    cas_required: bool,
    /// Seconds after which a version is deleted: 0 where it says nothing, -1 where a mount turns that off for all its keys.
    #[n(2)]
    delete_after_seconds: i64,
}

/// What holds for a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Effective {
    pub(super) max_versions: usize,
    pub(super) cas_required: bool,
    delete_after: Option<Ttl>,
}

/// Whose rules a request changes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Owner {
    Mount,
    Key,
}

pub(super) const RULE_NAMES: [&str; 3] = ["max_versions", "cas_required", "delete_version_after"];

impl Rules {
    /// The rules of a key under those of its mount.
    pub(super) fn under(&self, mount: &Rules) -> Effective {
        let most = match self.max_versions.max(mount.max_versions) {
            0 => KV_VERSIONS_DEFAULT,
            most => most,
        };
        let delays = [self.delete_after_seconds, mount.delete_after_seconds];
        let least = delays.into_iter().filter_map(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0).min();
        Effective {
            max_versions: most as usize,
            cas_required: self.cas_required || mount.cas_required,
            delete_after: least.filter(|_| mount.delete_after_seconds >= 0).map(Ttl::from_secs),
        }
    }

    /// Takes over what a request says; `null` leaves a rule as it is, or with `null_resets` takes it back.
    pub(super) fn change(&mut self, data: Option<&Value>, owner: Owner, null_resets: bool) -> Result<()> {
        let said = |name: &str| match data.and_then(|data| data.get(name)) {
            Some(Value::Null) if !null_resets => None,
            said => said,
        };
        if let Some(most) = said("max_versions") {
            self.max_versions = if *most == Value::Null { 0 } else { max_versions(most)? };
        }
        if let Some(required) = said("cas_required") {
            let bad = || Error::new(Code::InvalidData, "\"cas_required\" must be true or false");
            self.cas_required = *required != Value::Null && truth(required).ok_or_else(bad)?;
        }
        if let Some(delay) = said("delete_version_after") {
            let seconds = if *delay == Value::Null { 0 } else { signed_seconds(delay)? };
            if seconds < 0 && owner == Owner::Key {
                return Err(Error::new(
                    Code::InvalidData,
                    "\"delete_version_after\" of a key cannot be negative: only a mount's turns it off",
                ));
            }
            self.delete_after_seconds = seconds;
        }
        Ok(())
    }

    /// The rules as answers show them.
    pub(super) fn to_object(&self) -> Object {
        Object::new()
            .with("cas_required", self.cas_required)
            .with("delete_version_after", duration_text(self.delete_after_seconds))
            .with("max_versions", self.max_versions)
    }
}

impl Effective {
    /// When a version that begins to live now is deleted; 0 for never.
    pub(super) fn expiry_millis(&self, now: Timestamp) -> u64 {
        self.delete_after.map_or(0, |delay| now.plus(delay).as_millis())
    }
}

impl Secrets<'_, '_> {
    /// What the mount says.
    pub(super) fn mount_rules(&mut self) -> Result<Rules> {
        let key = config_key(self.overlay, self.mount);
        let bytes = self.overlay.get(Kind::KvConfig, &key)?;
        Ok(bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()?.unwrap_or_default())
    }

    pub(super) fn read_config(&mut self) -> Result<Outcome> {
        let rules = self.mount_rules()?;
        Ok(Outcome { data: Some(rules.to_object().into()), ..Outcome::default() })
    }

    pub(super) fn write_config(&mut self, data: Option<&Value>) -> Result<Outcome> {
        known_only(data, &RULE_NAMES)?;
        let mut rules = self.mount_rules()?;
        rules.change(data, Owner::Mount, false)?;
        let key = config_key(self.overlay, self.mount);
        self.overlay.put(Kind::KvConfig, key, &minicbor::to_vec(&rules).expect("encoding to memory cannot fail"))?;
        Ok(Outcome::default())
    }
}

/// Removes what a mount says that is gone.
pub(in crate::engines) fn forget_rest(overlay: &mut Overlay<'_>, mount: &Id) {
    let key = config_key(overlay, mount);
    overlay.delete(key);
}

fn config_key(overlay: &Overlay<'_>, mount: &Id) -> Key {
    overlay.barrier().key(Kind::KvConfig, &[mount.as_bytes()])
}

/// What of a key's rules has no effect, since its mount says otherwise.
pub(super) fn warnings(data: Option<&Value>, mount: &Rules) -> Vec<String> {
    let mut warnings = Vec::new();
    if mount.cas_required && member(data, "cas_required").and_then(truth) == Some(false) {
        warnings.push("\"cas_required\" is false, and the mount requires it: the key's value has no effect".to_owned());
    }
    if member(data, "max_versions").and_then(whole).is_some_and(|most| most > 0 && most < u64::from(mount.max_versions)) {
        warnings.push("\"max_versions\" is less than the mount's: the key's value has no effect".to_owned());
    }
    if mount.delete_after_seconds < 0 && member(data, "delete_version_after").and_then(|delay| signed_seconds(delay).ok()) > Some(0) {
        warnings.push("\"delete_version_after\" is turned off by the mount: the key's value has no effect".to_owned());
    }
    warnings
}

fn max_versions(value: &Value) -> Result<u32> {
    let most = whole(value).and_then(|most| u32::try_from(most).ok()).filter(|most| *most <= KV_VERSIONS_MAX);
    most.ok_or_else(|| Error::new(Code::InvalidData, format!("\"max_versions\" must be a whole number from 0 to {KV_VERSIONS_MAX}")))
}

/// A duration as users of the field read it, such as `3h25m19s`.
fn duration_text(seconds: i64) -> String {
    let (sign, total) = (if seconds < 0 { "-" } else { "" }, seconds.unsigned_abs());
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{rest}s"),
        (0, _) => format!("{sign}{minutes}m{rest}s"),
        _ => format!("{sign}{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(max_versions: u32, cas_required: bool, delete_after_seconds: i64) -> Rules {
        Rules { max_versions, cas_required, delete_after_seconds }
    }

    #[test]
    fn the_larger_number_of_versions_holds_else_ten() {
        for (mount, key, most) in [(0, 0, 10), (3, 0, 3), (0, 4, 4), (5, 4, 5), (4, 5, 5), (20, 1, 20)] {
            assert_eq!(rules(key, false, 0).under(&rules(mount, false, 0)).max_versions, most, "{mount} {key}");
        }
    }

    #[test]
    fn the_lesser_delay_that_is_there_holds_and_a_mount_turns_it_off() {
        for (mount, key, delay) in [(0, 0, 0), (60, 0, 60), (0, 60, 60), (60, 30, 30), (30, 60, 30), (-1, 60, 0), (-1, 0, 0)] {
            let effective = rules(0, false, key).under(&rules(0, false, mount));
            assert_eq!(effective.expiry_millis(Timestamp::EPOCH), delay * 1000, "{mount} {key}");
        }
    }

    #[test]
    fn check_and_set_is_required_where_either_says_so() {
        for (mount, key) in [(false, false), (true, false), (false, true), (true, true)] {
            assert_eq!(rules(0, key, 0).under(&rules(0, mount, 0)).cas_required, mount || key);
        }
    }

    #[test]
    fn durations_read_as_users_know_them() {
        for (seconds, text) in [(0, "0s"), (45, "45s"), (60, "1m0s"), (3600, "1h0m0s"), (12_319, "3h25m19s"), (-1, "-1s")] {
            assert_eq!(duration_text(seconds), text);
        }
    }
}

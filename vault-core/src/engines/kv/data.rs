//! The content of secrets: read, write, patch, and the names of what is in them.

use super::head::{self, Head, Loaded, Version};
use super::merge::{merge, subkeys};
use super::rules::Effective;
use super::{Outcome, Secrets, leftovers};
use crate::engines::common::input::{known_only, member, not_found, whole};
use crate::types::limits::COMMIT_RETRIES_MAX;
use crate::types::{Code, Error, Object, Result, Value};

/// A version that can be read.
struct Found {
    head: Head,
    /// The place of the version among the head's.
    at: usize,
    content: Object,
}

impl Secrets<'_, '_> {
    pub(super) fn read(&mut self, path: &str, data: Option<&Value>) -> Result<Outcome> {
        let Found { head, at, content } = self.find(path, requested_version(data)?, "data")?;
        let version = &head.versions[at];
        let body = Object::new().with_known("data", content).with_known("metadata", head.metadata_of(version));
        Ok(Outcome { data: Some(body.into()), version: Some(version.number), until: version.ends(), ..Outcome::default() })
    }

    pub(super) fn read_subkeys(&mut self, path: &str, data: Option<&Value>) -> Result<Outcome> {
        let bad = || Error::new(Code::InvalidData, "the depth must be a whole number from 0 on");
        let depth = member(data, "depth").map_or(Ok(0), |depth| whole(depth).ok_or_else(bad))?;
        let Found { head, at, content } = self.find(path, requested_version(data)?, "subkeys")?;
        let version = &head.versions[at];
        let body = Object::new().with("metadata", head.metadata_of(version)).with("subkeys", subkeys(&content, depth));
        Ok(Outcome { data: Some(body.into()), version: Some(version.number), until: version.ends(), ..Outcome::default() })
    }

    pub(super) fn write(&mut self, path: &str, data: Option<&Value>) -> Result<Outcome> {
        let content = requested_content(data)?.to_json();
        // A host's own values have passed no limit yet, and what reading would refuse must not be acknowledged.
        drop(Value::from_json(&content)?);
        let cas = requested_cas(data)?;
        let loaded = head::load(self.overlay, self.mount, path)?;
        let is_new = loaded.is_none();
        let loaded = loaded.unwrap_or_else(|| Loaded { head: Head::new(self.now), content: None });
        let rules = self.check_cas(&loaded.head, cas)?;
        let outcome = self.add_version(path, loaded, &content, rules)?;
        if is_new {
            self.overlay.enter(*self.mount, path);
        }
        Ok(outcome)
    }

    /// A JSON merge patch of the newest version, which must be readable; it makes a new one.
    pub(super) fn patch(&mut self, path: &str, data: Option<&Value>) -> Result<Outcome> {
        // Within the limits before it is walked.
        let patch = Value::from_json(&requested_content(data)?.to_json())?;
        let cas = requested_cas(data)?;
        let loaded = head::load(self.overlay, self.mount, path)?.ok_or_else(not_found)?;
        let rules = self.check_cas(&loaded.head, cas)?;
        let (_, content) = self.open(path, loaded.head.current, &loaded, "data")?.ok_or_else(missing)?;
        let patched = merge(content, patch.as_object().ok_or_else(no_content)?);
        let content = Value::from(patched).to_json();
        drop(Value::from_json(&content)?);
        self.add_version(path, loaded, &content, rules)
    }

    /// What holds for a key, if `cas` allows a write on it.
    fn check_cas(&mut self, head: &Head, cas: Option<u64>) -> Result<Effective> {
        let rules = head.rules.under(&self.mount_rules()?);
        match cas {
            None if rules.cas_required => Err(Error::new(Code::InvalidRequest, "check-and-set parameter required for this call")),
            Some(cas) if cas != head.current => {
                Err(Error::new(Code::CasMismatch, "check-and-set parameter did not match the current version"))
            }
            _ => Ok(rules),
        }
    }

    fn add_version(&mut self, path: &str, loaded: Loaded, content: &[u8], rules: Effective) -> Result<Outcome> {
        let Loaded { mut head, content: replaced } = loaded;
        if let Some(replaced) = replaced {
            head::save_version(self.overlay, self.mount, path, head.current, &replaced)?;
        }
        let version = Version::new(head.current + 1, self.now, rules.expiry_millis(self.now));
        let number = version.number;
        let row = head.metadata_of(&version);
        head.current = number;
        head.updated_millis = self.now.as_millis();
        head.versions.push(version);
        // The oldest ones past the number that is kept.
        let excess = head.versions.len().saturating_sub(rules.max_versions);
        let oldest = head.versions.drain(..excess).filter(|version| !version.destroyed).map(|version| version.number).collect();
        leftovers::remove_versions(self.overlay, self.mount, path, oldest)?;
        head::save(self.overlay, self.mount, path, head, Some(content))?;
        Ok(Outcome { data: Some(row), version: Some(number), ..Outcome::default() })
    }

    /// The version of that number, the newest one for 0; a deleted one's metadata comes with the error, beside an empty member of that name.
    fn find(&mut self, path: &str, number: u64, member: &str) -> Result<Found> {
        for _ in 0..=COMMIT_RETRIES_MAX {
            let loaded = head::load(self.overlay, self.mount, path)?.ok_or_else(not_found)?;
            // An older version's record is read after the head: where another request removed it in between, the head now says so.
            if let Some((at, content)) = self.open(path, number, &loaded, member)? {
                return Ok(Found { head: loaded.head, at, content });
            }
        }
        Err(missing())
    }

    /// A version of a head that was read: its place there, and its content; `None` where that is not there.
    fn open(&mut self, path: &str, number: u64, loaded: &Loaded, member: &str) -> Result<Option<(usize, Object)>> {
        let head = &loaded.head;
        let number = if number == 0 { head.current } else { number };
        let at = head.versions.iter().position(|version| version.number == number).ok_or_else(not_found)?;
        let version = &head.versions[at];
        if !version.is_readable(self.now) {
            let body = Object::new().with(member, Value::Null).with("metadata", head.metadata_of(version));
            return Err(Error::new(Code::VersionDeleted, "the version was deleted or destroyed").with_data(body.into()));
        }
        let older;
        let content: &[u8] = match &loaded.content {
            Some(content) if number == head.current => content,
            _ => match head::load_version(self.overlay, self.mount, path, number)? {
                Some(content) => {
                    older = content;
                    &older
                }
                None => return Ok(None),
            },
        };
        let Value::Object(content) = Value::from_json(content)? else { return Err(missing()) };
        Ok(Some((at, content)))
    }
}

/// The version to read; 0 for the newest.
fn requested_version(data: Option<&Value>) -> Result<u64> {
    let bad = || Error::new(Code::InvalidData, "the version must be a whole number from 0 on");
    member(data, "version").map_or(Ok(0), |version| whole(version).ok_or_else(bad))
}

fn requested_content(data: Option<&Value>) -> Result<&Value> {
    member(data, "data").filter(|content| content.as_object().is_some()).ok_or_else(no_content)
}

fn requested_cas(data: Option<&Value>) -> Result<Option<u64>> {
    let Some(options) = member(data, "options") else { return Ok(None) };
    if options.as_object().is_none() {
        return Err(Error::new(Code::InvalidData, "the options must be an object"));
    }
    known_only(Some(options), &["cas"])?;
    let bad = || Error::new(Code::InvalidData, "the option \"cas\" must be a whole number from 0 on");
    member(Some(options), "cas").map(|cas| whole(cas).ok_or_else(bad)).transpose()
}

fn no_content() -> Error {
    Error::new(Code::InvalidData, "no data provided: pass an object as the member \"data\"")
}

fn missing() -> Error {
    Error::new(Code::Corrupt, "the store does not verify: a version of a secret is missing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barrier::{Barrier, Overlay};
    use crate::crypto::Keyring;
    use crate::engines::kv::versions::Fate;
    use crate::os::SystemRng;
    use crate::storage::{Key, Page, Read, StorageError};
    use crate::types::Timestamp;
    use crate::types::id::Id;
    use parking_lot::Mutex;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    type Records = BTreeMap<Key, Vec<u8>>;

    /// A store that somebody changes after each of a reader's looks at it.
    struct Changing(Mutex<Vec<Records>>);

    impl Read for Changing {
        fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
            let mut states = self.0.lock();
            let found = states[0].get(key).cloned();
            if states.len() > 1 {
                states.remove(0);
            }
            Ok(found)
        }

        fn scan(&self, _prefix: &[u8], _after: Option<&Key>, _limit: usize) -> Result<Page, StorageError> {
            Ok(Page::new())
        }
    }

    #[test]
    fn an_older_version_that_goes_while_it_is_read_is_no_damage() {
        let rng = Arc::new(SystemRng::new());
        let keyring = Keyring::generate(&*rng, 1, 0).expect("randomness");
        let barrier = Arc::new(Barrier::new(Id::from_bytes([1; 16]), Id::ROOT, keyring, rng));
        let (mount, now) = (Id::from_bytes([2; 16]), Timestamp::EPOCH);
        let step = |before: &Records, work: &dyn Fn(&mut Secrets<'_, '_>) -> Result<Outcome>| {
            let source = Changing(Mutex::new(vec![before.clone()]));
            let mut overlay = Overlay::writing(&barrier, &source);
            work(&mut Secrets { mount: &mount, overlay: &mut overlay, now }).expect("done");
            let mut after = before.clone();
            for (key, change) in overlay.into_writes().changes {
                match change {
                    Some(record) => drop(after.insert(key, record)),
                    None => drop(after.remove(&key)),
                }
            }
            after
        };
        let body = Value::from(Object::new().with("data", Object::new()));
        let written = step(&Records::new(), &|secrets| secrets.write("x", Some(&body)));
        let written = step(&written, &|secrets| secrets.write("x", Some(&body)));
        let numbers = Value::from(Object::new().with("versions", vec![1_u64]));
        let destroyed = step(&written, &|secrets| secrets.on_versions("x", Some(&numbers), Fate::Destroyed));
        let gone = step(&written, &|secrets| secrets.delete_all("x"));
        let mut damaged = written.clone();
        damaged.retain(|key, _| destroyed.contains_key(key));
        for (after, code) in [(destroyed, Code::VersionDeleted), (gone, Code::NotFound), (damaged, Code::Corrupt)] {
            let source = Changing(Mutex::new(vec![written.clone(), after]));
            let mut overlay = Overlay::reading(&barrier, &source);
            let asked = Value::from(Object::new().with("version", 1_u64));
            let read = Secrets { mount: &mount, overlay: &mut overlay, now }.read("x", Some(&asked));
            assert_eq!(read.expect_err("the version is not there").code(), code);
        }
    }
}

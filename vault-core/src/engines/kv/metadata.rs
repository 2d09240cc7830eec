//! What is known of a secret beside its content: its rules, its versions, and what its users say about it.

use super::head::{self, Head, Loaded};
use super::rules::{Owner, RULE_NAMES, warnings};
use super::{Outcome, Secrets};
use crate::engines::common::input::{known_only, member, not_found};
use crate::engines::common::listing;
use crate::types::limits::{CUSTOM_KEY_BYTES_MAX, CUSTOM_KEYS_MAX, CUSTOM_VALUE_BYTES_MAX, DETAILED_NAMES_MAX, DETAILED_VERSIONS_MAX};
use crate::types::{Code, Error, Object, Result, Timestamp, Value};
use std::collections::BTreeMap;

const NAMES: [&str; 4] = [RULE_NAMES[0], RULE_NAMES[1], RULE_NAMES[2], "custom_metadata"];

impl Secrets<'_, '_> {
    /// The names below a folder, with what `read_metadata` tells of each that is a secret.
    pub(super) fn list_detailed(&mut self, folder: &str, data: Option<&Value>) -> Result<Outcome> {
        let names = listing::names(self.overlay, self.mount, folder, data, DETAILED_NAMES_MAX)?;
        let folder = folder.strip_suffix('/').unwrap_or(folder);
        let (mut info, mut versions) = (Object::new(), 0);
        for name in names.iter().filter(|name| !name.ends_with('/')) {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            // One that was removed since has left the listing.
            if let Some(loaded) = head::load(self.overlay, self.mount, &path)? {
                versions += loaded.head.versions.len();
                if versions > DETAILED_VERSIONS_MAX {
                    let why = format!("the secrets have more than {DETAILED_VERSIONS_MAX} versions together: ask for fewer by \"limit\"");
                    return Err(Error::new(Code::InvalidRequest, why));
                }
                info = info.with(name, told(&loaded.head));
            }
        }
        Ok(Outcome { data: Some(Object::new().with("keys", names).with("key_info", info).into()), ..Outcome::default() })
    }

    pub(super) fn read_metadata(&mut self, path: &str) -> Result<Outcome> {
        let head = head::load(self.overlay, self.mount, path)?.ok_or_else(not_found)?.head;
        Ok(Outcome { data: Some(told(&head).into()), ..Outcome::default() })
    }

    /// Sets what the request names, and makes the secret, without a version, where there is none.
    pub(super) fn write_metadata(&mut self, path: &str, data: Option<&Value>) -> Result<Outcome> {
        known_only(data, &NAMES)?;
        let loaded = head::load(self.overlay, self.mount, path)?;
        let is_new = loaded.is_none();
        let Loaded { mut head, content } = loaded.unwrap_or_else(|| Loaded { head: Head::new(self.now), content: None });
        head.rules.change(data, Owner::Key, false)?;
        if let Some(custom) = member(data, "custom_metadata") {
            head.custom = merged(BTreeMap::new(), custom, false)?;
        }
        if is_new {
            self.overlay.enter(*self.mount, path);
        }
        self.save_metadata(path, Loaded { head, content }, data)
    }

    /// Changes what the request names; `null` takes back.
    pub(super) fn patch_metadata(&mut self, path: &str, data: Option<&Value>) -> Result<Outcome> {
        known_only(data, &NAMES)?;
        let Loaded { mut head, content } = head::load(self.overlay, self.mount, path)?.ok_or_else(not_found)?;
        head.rules.change(data, Owner::Key, true)?;
        match data.and_then(|data| data.get("custom_metadata")) {
            None => {}
            Some(Value::Null) => head.custom.clear(),
            Some(changes) => head.custom = merged(std::mem::take(&mut head.custom), changes, true)?,
        }
        self.save_metadata(path, Loaded { head, content }, data)
    }

    fn save_metadata(&mut self, path: &str, loaded: Loaded, data: Option<&Value>) -> Result<Outcome> {
        let Loaded { mut head, content } = loaded;
        head.updated_millis = self.now.as_millis();
        head::save(self.overlay, self.mount, path, head, content.as_ref().map(|content| content.as_slice()))?;
        Ok(Outcome { warnings: warnings(data, &self.mount_rules()?), ..Outcome::default() })
    }
}

/// What is told of a secret's metadata.
fn told(head: &Head) -> Object {
    let versions: Object = head
        .versions
        .iter()
        .map(|version| (version.number.to_string(), version))
        .fold(Object::new(), |all, (name, version)| all.with(&name, version.to_object()));
    head.rules
        .to_object()
        .with("created_time", Timestamp::from_millis(head.created_millis).to_string())
        .with("current_version", head.current)
        .with("custom_metadata", head.custom_metadata())
        .with("oldest_version", head.versions.first().map_or(0, |version| version.number))
        .with("updated_time", Timestamp::from_millis(head.updated_millis).to_string())
        .with("versions", versions)
}

/// Custom metadata with changes, within its limits; `null` removes where it may.
fn merged(mut custom: BTreeMap<String, String>, changes: &Value, null_removes: bool) -> Result<BTreeMap<String, String>> {
    let bad = |why: String| Error::new(Code::InvalidData, format!("custom_metadata validation failed: {why}"));
    let changes = changes.as_object().ok_or_else(|| bad("it must be an object of texts".to_owned()))?;
    for (name, text) in changes.iter() {
        if null_removes && *text == Value::Null {
            custom.remove(name);
            continue;
        }
        let fits = |text: &str, most: usize| !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control);
        let text = text.as_str().ok_or_else(|| bad("each value must be text".to_owned()))?;
        if !fits(name, CUSTOM_KEY_BYTES_MAX) {
            return Err(bad(format!("a key has 1 to {CUSTOM_KEY_BYTES_MAX} bytes and no control character")));
        }
        if !fits(text, CUSTOM_VALUE_BYTES_MAX) {
            return Err(bad(format!("a value has 1 to {CUSTOM_VALUE_BYTES_MAX} bytes and no control character")));
        }
        custom.insert(name.to_owned(), text.to_owned());
    }
    if custom.len() > CUSTOM_KEYS_MAX {
        return Err(bad(format!("payload must contain at most {CUSTOM_KEYS_MAX} keys")));
    }
    Ok(custom)
}

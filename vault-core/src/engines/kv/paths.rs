//! What each path below a KV version 2 mount answers.

use super::Outcome;
use super::head::{self, Head, Loaded, Version};
use crate::barrier::Overlay;
use crate::types::id::Id;
use crate::types::limits::KV_VERSIONS_DEFAULT;
use crate::types::{Code, Error, Object, Operation, Result, Timestamp, Value};

/// What a path below the mount names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target<'p> {
    Data(&'p str),
    Metadata(&'p str),
    Delete(&'p str),
    Undelete(&'p str),
    Destroy(&'p str),
}

/// What versions of a secret are told to become.
#[derive(Clone, Copy)]
enum Fate {
    Deleted,
    Undeleted,
    Destroyed,
}

impl<'p> Target<'p> {
    pub(super) fn parse(path: &'p str) -> Result<Self> {
        let (verb, rest) = path.split_once('/').unwrap_or((path, ""));
        match verb {
            "data" => Ok(Target::Data(rest)),
            "metadata" => Ok(Target::Metadata(rest)),
            "delete" => Ok(Target::Delete(rest)),
            "undelete" => Ok(Target::Undelete(rest)),
            "destroy" => Ok(Target::Destroy(rest)),
            _ => Err(unsupported()),
        }
    }
}

pub(super) fn execute(
    mount: &Id,
    overlay: &mut Overlay<'_>,
    operation: Operation,
    target: Target<'_>,
    data: Option<&Value>,
    now: Timestamp,
) -> Result<Outcome> {
    let mut secrets = Secrets { mount, overlay, now };
    match (operation, target) {
        (Operation::List, Target::Metadata(folder)) => secrets.list(folder),
        (Operation::Read, Target::Data(path)) => secrets.read(named(path)?, requested_version(data)?),
        (Operation::Write, Target::Data(path)) => secrets.write(named(path)?, data),
        (Operation::Delete, Target::Data(path)) => secrets.delete_newest(named(path)?),
        (Operation::Read, Target::Metadata(path)) => secrets.read_metadata(named(path)?),
        (Operation::Delete, Target::Metadata(path)) => secrets.delete_all(named(path)?),
        (Operation::Write, Target::Delete(path)) => secrets.on_versions(named(path)?, data, Fate::Deleted),
        (Operation::Write, Target::Undelete(path)) => secrets.on_versions(named(path)?, data, Fate::Undeleted),
        (Operation::Write, Target::Destroy(path)) => secrets.on_versions(named(path)?, data, Fate::Destroyed),
        _ => Err(unsupported()),
    }
}

struct Secrets<'s, 'o> {
    mount: &'s Id,
    overlay: &'s mut Overlay<'o>,
    now: Timestamp,
}

impl Secrets<'_, '_> {
    fn list(&self, folder: &str) -> Result<Outcome> {
        let folder = if folder.is_empty() || folder.ends_with('/') { folder.to_owned() } else { format!("{folder}/") };
        let names = self.overlay.children(self.mount, &folder)?;
        if names.is_empty() {
            return Err(not_found());
        }
        answer(Object::new().with("keys", names), None)
    }

    fn read(&mut self, path: &str, number: u64) -> Result<Outcome> {
        let Loaded { head, content } = self.load(path)?;
        let number = if number == 0 { head.current } else { number };
        let version = head.version(number).ok_or_else(not_found)?;
        let metadata = version.to_metadata();
        if !version.is_readable() {
            let body = Object::new().with("data", Value::Null).with("metadata", metadata);
            return Err(Error::new(Code::VersionDeleted, "the version was deleted or destroyed").with_data(body.into()));
        }
        let content = match content {
            Some(content) if number == head.current => content,
            _ => head::load_version(self.overlay, self.mount, path, number)?,
        };
        answer(Object::new().with("data", Value::from_json(&content)?).with("metadata", metadata), Some(number))
    }

    fn write(&mut self, path: &str, data: Option<&Value>) -> Result<Outcome> {
        let content = data
            .and_then(|data| data.get("data"))
            .filter(|content| content.as_object().is_some())
            .ok_or_else(|| Error::new(Code::InvalidData, "no data provided: pass an object as the member \"data\""))?;
        let content = content.to_json();
        // A host's own values have passed no limit yet, and what reading would refuse must not be acknowledged.
        drop(Value::from_json(&content)?);
        let cas = requested_cas(data)?;
        let loaded = head::load(self.overlay, self.mount, path)?;
        let current = loaded.as_ref().map_or(0, |loaded| loaded.head.current);
        if cas.is_some_and(|cas| cas != current) {
            return Err(Error::new(Code::CasMismatch, "check-and-set parameter did not match the current version"));
        }
        let is_new = loaded.is_none();
        let Loaded { mut head, content: replaced } = loaded.unwrap_or(Loaded { head: Head::new(self.now), content: None });
        if let Some(replaced) = replaced {
            head::save_version(self.overlay, self.mount, path, current, &replaced)?;
        }
        let version = Version { number: current + 1, created_millis: self.now.as_millis(), deleted_millis: 0, destroyed: false };
        let row = version.to_metadata();
        head.current = version.number;
        head.updated_millis = self.now.as_millis();
        head.versions.push(version);
        self.prune(path, &mut head);
        head::save(self.overlay, self.mount, path, head, Some(&content))?;
        if is_new {
            self.overlay.enter(*self.mount, path);
        }
        Ok(Outcome { data: Some(row), version: Some(current + 1) })
    }

    fn delete_newest(&mut self, path: &str) -> Result<Outcome> {
        let Some(Loaded { mut head, content }) = head::load(self.overlay, self.mount, path)? else { return Ok(Outcome::default()) };
        let number = head.current;
        let now = self.now.as_millis();
        if let Some(version) = head.version_mut(number).filter(|version| version.is_readable()) {
            version.deleted_millis = now;
            head.updated_millis = now;
            head::save(self.overlay, self.mount, path, head, content.as_ref().map(|content| content.as_slice()))?;
        }
        Ok(Outcome { data: None, version: Some(number) })
    }

    fn on_versions(&mut self, path: &str, data: Option<&Value>, fate: Fate) -> Result<Outcome> {
        let numbers = requested_versions(data)?;
        let Some(Loaded { mut head, mut content }) = head::load(self.overlay, self.mount, path)? else { return Ok(Outcome::default()) };
        let current = head.current;
        let mut changed = false;
        for number in numbers {
            let Some(version) = head.version_mut(number).filter(|version| !version.destroyed) else { continue };
            match fate {
                Fate::Deleted if version.deleted_millis == 0 => version.deleted_millis = self.now.as_millis(),
                Fate::Undeleted if version.deleted_millis != 0 => version.deleted_millis = 0,
                Fate::Deleted | Fate::Undeleted => continue,
                Fate::Destroyed => {
                    version.destroyed = true;
                    if number == current {
                        content = None;
                    } else {
                        head::remove_version(self.overlay, self.mount, path, number);
                    }
                }
            }
            changed = true;
        }
        if changed {
            head.updated_millis = self.now.as_millis();
            head::save(self.overlay, self.mount, path, head, content.as_ref().map(|content| content.as_slice()))?;
        }
        Ok(Outcome::default())
    }

    fn read_metadata(&mut self, path: &str) -> Result<Outcome> {
        let head = self.load(path)?.head;
        let versions: Object = head
            .versions
            .iter()
            .map(|version| (version.number.to_string(), version))
            .fold(Object::new(), |all, (name, version)| all.with(&name, version.to_object()));
        let body = Object::new()
            .with("cas_required", false)
            .with("created_time", Timestamp::from_millis(head.created_millis).to_string())
            .with("current_version", head.current)
            .with("custom_metadata", Value::Null)
            .with("delete_version_after", "0s")
            .with("max_versions", 0_u64)
            .with("oldest_version", head.versions.first().map_or(0, |version| version.number))
            .with("updated_time", Timestamp::from_millis(head.updated_millis).to_string())
            .with("versions", versions);
        answer(body, None)
    }

    fn delete_all(&mut self, path: &str) -> Result<Outcome> {
        let Some(Loaded { head, .. }) = head::load(self.overlay, self.mount, path)? else { return Ok(Outcome::default()) };
        for version in head.versions.iter().filter(|version| version.number != head.current) {
            head::remove_version(self.overlay, self.mount, path, version.number);
        }
        head::remove(self.overlay, self.mount, path);
        self.overlay.leave(*self.mount, path);
        Ok(Outcome::default())
    }

    /// Removes the oldest versions past the number that is kept.
    fn prune(&mut self, path: &str, head: &mut Head) {
        while head.versions.len() > KV_VERSIONS_DEFAULT as usize {
            let oldest = head.versions.remove(0);
            head::remove_version(self.overlay, self.mount, path, oldest.number);
        }
    }

    fn load(&mut self, path: &str) -> Result<Loaded> {
        head::load(self.overlay, self.mount, path)?.ok_or_else(not_found)
    }
}

fn answer(body: Object, version: Option<u64>) -> Result<Outcome> {
    Ok(Outcome { data: Some(body.into()), version })
}

/// The path of a secret: not empty, not a folder.
fn named(path: &str) -> Result<&str> {
    if path.is_empty() || path.ends_with('/') {
        return Err(Error::new(Code::InvalidPath, "the path names a folder: name a secret in it"));
    }
    Ok(path)
}

/// The version to read; 0 for the newest. Text of a number is a number here, as in a query parameter.
fn requested_version(data: Option<&Value>) -> Result<u64> {
    match data.and_then(|data| data.get("version")) {
        None | Some(Value::Null) => Ok(0),
        Some(version) => number_of(version).ok_or_else(|| Error::new(Code::InvalidData, "the version must be a whole number from 0 on")),
    }
}

fn requested_cas(data: Option<&Value>) -> Result<Option<u64>> {
    let options = match data.and_then(|data| data.get("options")) {
        None | Some(Value::Null) => return Ok(None),
        Some(options) => options.as_object().ok_or_else(|| Error::new(Code::InvalidData, "the options must be an object"))?,
    };
    // A misspelt option would silently lose the protection that it asks for.
    if options.iter().any(|(name, _)| name != "cas") {
        return Err(Error::new(Code::InvalidData, "unknown option: only \"cas\" is known"));
    }
    match options.get("cas") {
        None | Some(Value::Null) => Ok(None),
        Some(cas) => {
            number_of(cas).map(Some).ok_or_else(|| Error::new(Code::InvalidData, "the option \"cas\" must be a whole number from 0 on"))
        }
    }
}

fn requested_versions(data: Option<&Value>) -> Result<Vec<u64>> {
    let missing = || Error::new(Code::InvalidData, "no versions provided: pass an array of version numbers as the member \"versions\"");
    let versions =
        data.and_then(|data| data.get("versions")).and_then(Value::as_array).filter(|list| !list.is_empty()).ok_or_else(missing)?;
    versions.iter().map(|version| number_of(version).ok_or_else(missing)).collect()
}

fn number_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn not_found() -> Error {
    Error::new(Code::NotFound, "nothing is there")
}

fn unsupported() -> Error {
    Error::new(
        Code::UnsupportedPath,
        "a KV version 2 mount has no such operation here: use data/, metadata/, delete/, undelete/ or destroy/",
    )
}

//! The typed face of a KV version 2 secrets engine.

use super::Session;
use crate::types::{Code, Error, Object, Operation, Result, Value};

/// The secrets below one KV version 2 mount.
#[derive(Debug)]
pub struct Kv<'s> {
    session: &'s Session,
    mount: String,
}

/// A secret that was read: its members, and which version of it they are.
#[derive(Debug)]
pub struct KvSecret {
    /// The members.
    pub data: Object,
    /// Version, creation time and the like.
    pub version: KvVersion,
}

/// One version of a secret.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KvVersion {
    /// Its number, from 1 on.
    pub version: u64,
    /// When it was written (RFC 3339).
    pub created_time: String,
    /// When it was or will be deleted (RFC 3339); empty when never.
    pub deletion_time: String,
    /// Whether its content is gone for good.
    pub destroyed: bool,
}

/// What is known of a secret without its content.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KvMetadata {
    /// The newest version's number.
    pub current_version: u64,
    /// The oldest version that is still kept.
    pub oldest_version: u64,
    /// The versions, in ascending order.
    pub versions: Vec<KvVersion>,
}

impl<'s> Kv<'s> {
    pub(super) fn new(session: &'s Session, mount: &str) -> Self {
        Kv { session, mount: mount.trim_matches('/').to_owned() }
    }

    /// The newest version of a secret.
    ///
    /// # Errors
    /// `NotFound` when there is none, or when it was deleted (then with its metadata as data).
    pub fn get(&self, path: &str) -> Result<KvSecret> {
        self.read(path, None)
    }

    /// A given version of a secret.
    ///
    /// # Errors
    /// As for [`Kv::get`].
    pub fn get_version(&self, path: &str, version: u64) -> Result<KvSecret> {
        self.read(path, Some(Object::new().with("version", version).into()))
    }

    /// Writes a new version.
    ///
    /// # Errors
    /// `InvalidRequest` when the data is past a limit, or when the mount or key demands check-and-set.
    pub fn put(&self, path: &str, data: Object) -> Result<KvVersion> {
        self.write(path, Object::new().with("data", data))
    }

    /// Writes a new version if `cas` is the number of the current one; 0 when there must be none yet.
    ///
    /// # Errors
    /// `InvalidRequest` with the code `CasMismatch` when it is not.
    pub fn put_cas(&self, path: &str, data: Object, cas: u64) -> Result<KvVersion> {
        self.write(path, Object::new().with("data", data).with("options", Object::new().with("cas", cas)))
    }

    /// The names directly below a folder, in order; folders end in a slash. The empty text is the mount's top.
    ///
    /// # Errors
    /// `NotFound` when there are none.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        let response = self.session.request(Operation::List, &self.at("metadata", folder), None)?;
        let keys = response.data.as_ref().and_then(|data| data.get("keys")).and_then(Value::as_array).ok_or_else(unexpected)?;
        keys.iter().map(|key| key.as_str().map(str::to_owned).ok_or_else(unexpected)).collect()
    }

    /// Deletes the newest version; it can be undeleted.
    ///
    /// # Errors
    /// Any class.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.session.request(Operation::Delete, &self.at("data", path), None).map(drop)
    }

    /// Deletes these versions; they can be undeleted.
    ///
    /// # Errors
    /// Any class.
    pub fn delete_versions(&self, path: &str, versions: &[u64]) -> Result<()> {
        self.on_versions("delete", path, versions)
    }

    /// Brings deleted versions back.
    ///
    /// # Errors
    /// Any class.
    pub fn undelete_versions(&self, path: &str, versions: &[u64]) -> Result<()> {
        self.on_versions("undelete", path, versions)
    }

    /// Removes the content of these versions for good.
    ///
    /// # Errors
    /// Any class.
    pub fn destroy_versions(&self, path: &str, versions: &[u64]) -> Result<()> {
        self.on_versions("destroy", path, versions)
    }

    /// The versions of a secret, without their content.
    ///
    /// # Errors
    /// `NotFound` when there is no such secret.
    pub fn metadata(&self, path: &str) -> Result<KvMetadata> {
        let response = self.session.request(Operation::Read, &self.at("metadata", path), None)?;
        let data = response.data.as_ref().ok_or_else(unexpected)?;
        let number = |name| data.get(name).and_then(Value::as_u64).ok_or_else(unexpected);
        let mut versions = Vec::new();
        for (name, row) in data.get("versions").and_then(Value::as_object).ok_or_else(unexpected)?.iter() {
            versions.push(version_of(row, name.parse().ok())?);
        }
        versions.sort_by_key(|row| row.version);
        Ok(KvMetadata { current_version: number("current_version")?, oldest_version: number("oldest_version")?, versions })
    }

    /// Removes a secret with all its versions and metadata for good.
    ///
    /// # Errors
    /// Any class.
    pub fn delete_metadata(&self, path: &str) -> Result<()> {
        self.session.request(Operation::Delete, &self.at("metadata", path), None).map(drop)
    }

    fn at(&self, part: &str, path: &str) -> String {
        format!("{}/{part}/{}", self.mount, path.strip_prefix('/').unwrap_or(path))
    }

    fn read(&self, path: &str, data: Option<Value>) -> Result<KvSecret> {
        let response = self.session.request(Operation::Read, &self.at("data", path), data)?;
        let Some(Value::Object(mut body)) = response.data else { return Err(unexpected()) };
        let version = version_of(&body.remove("metadata").ok_or_else(unexpected)?, None)?;
        let Some(Value::Object(data)) = body.remove("data") else { return Err(unexpected()) };
        Ok(KvSecret { data, version })
    }

    fn write(&self, path: &str, body: Object) -> Result<KvVersion> {
        let response = self.session.request(Operation::Write, &self.at("data", path), Some(body.into()))?;
        version_of(response.data.as_ref().ok_or_else(unexpected)?, None)
    }

    fn on_versions(&self, verb: &str, path: &str, versions: &[u64]) -> Result<()> {
        let body = Object::new().with("versions", versions.to_vec());
        self.session.request(Operation::Write, &self.at(verb, path), Some(body.into())).map(drop)
    }
}

fn version_of(row: &Value, number: Option<u64>) -> Result<KvVersion> {
    let text = |name| row.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(unexpected);
    Ok(KvVersion {
        version: number.or_else(|| row.get("version").and_then(Value::as_u64)).ok_or_else(unexpected)?,
        created_time: text("created_time")?,
        deletion_time: text("deletion_time")?,
        destroyed: row.get("destroyed").and_then(Value::as_bool).ok_or_else(unexpected)?,
    })
}

fn unexpected() -> Error {
    Error::new(Code::UnsupportedPath, "the mount did not answer as a KV version 2 secrets engine does")
}

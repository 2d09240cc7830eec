//! The typed face of a KV version 2 secrets engine.

use super::{LiveSecret, Session};
use crate::types::{Code, Context, Error, Object, Operation, Path, Result, Value};
use std::collections::BTreeMap;

/// The secrets below one KV version 2 mount.
///
/// ```
/// use vault_core::types::{Code, Object};
/// # use vault_core::Vault;
/// # let (vault, init) = Vault::in_memory()?;
/// # let session = vault.session(init.root_token);
/// let kv = session.kv("secret");
/// let first = kv.put("app/db", Object::new().with("user", "app").with("password", "one"))?;
/// // Only if nobody wrote in between; then only one member of it.
/// kv.put_cas("app/db", Object::new().with("user", "app").with("password", "two"), first.version)?;
/// kv.patch("app/db", Object::new().with("password", "three"))?;
///
/// let secret = kv.get("app/db")?;
/// assert_eq!((secret.version.version, secret.data.get("password").and_then(|text| text.as_str())), (3, Some("three")));
/// assert_eq!(kv.get_version("app/db", 1)?.data.get("password").and_then(|text| text.as_str()), Some("one"));
///
/// kv.delete("app/db")?;
/// assert_eq!(kv.get("app/db").unwrap_err().code(), Code::VersionDeleted);
/// kv.undelete_versions("app/db", &[3])?;
/// assert_eq!(kv.list("app/")?, ["db"]);
/// # Ok::<(), vault_core::types::Error>(())
/// ```
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
    /// When the secret was made (RFC 3339).
    pub created_time: String,
    /// When it was last changed (RFC 3339).
    pub updated_time: String,
    /// What the secret itself says; its mount may say more.
    pub settings: KvSettings,
    /// What its users say about it.
    pub custom_metadata: BTreeMap<String, String>,
}

/// What a mount or a secret says of versions. Where it is written, `None` leaves a setting as it is; what was read has them all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KvSettings {
    /// How many versions are kept; 0 says nothing. The larger of mount's and secret's holds, else 10.
    pub max_versions: Option<u64>,
    /// Whether a write must name the version that it is made on. It must where either says so.
    pub cas_required: Option<bool>,
    /// After which time a version is deleted, such as `"90d"`; `"0s"` says nothing. The lesser of mount's and secret's holds; a mount's
    /// negative one turns it off.
    pub delete_version_after: Option<String>,
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

    /// A secret that stays current: see [`LiveSecret`]. It is read at its first use, not now.
    ///
    /// # Errors
    /// `InvalidPath` when this can be no path.
    pub fn live(&self, path: &str) -> Result<LiveSecret> {
        Ok(LiveSecret::new(self.session.clone(), Path::parse(&self.at("data", path))?, Some("data")))
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
        self.change(Operation::Write, path, Object::new().with("data", data))
    }

    /// Writes a new version if `cas` is the number of the current one; 0 when there must be none yet.
    ///
    /// # Errors
    /// `InvalidRequest` with the code `CasMismatch` when it is not.
    pub fn put_cas(&self, path: &str, data: Object, cas: u64) -> Result<KvVersion> {
        self.change(Operation::Write, path, Object::new().with("data", data).with("options", Object::new().with("cas", cas)))
    }

    /// Merges a JSON merge patch (RFC 7396) into the newest version, which makes a new one: members are replaced, `Value::Null` removes.
    ///
    /// # Errors
    /// `NotFound` when there is no version or it was deleted; else as for [`Kv::put`].
    pub fn patch(&self, path: &str, patch: Object) -> Result<KvVersion> {
        self.change(Operation::Patch, path, Object::new().with("data", patch))
    }

    /// Merges a patch if `cas` is the number of the current version.
    ///
    /// # Errors
    /// `InvalidRequest` with the code `CasMismatch` when it is not; else as for [`Kv::patch`].
    pub fn patch_cas(&self, path: &str, patch: Object, cas: u64) -> Result<KvVersion> {
        self.change(Operation::Patch, path, Object::new().with("data", patch).with("options", Object::new().with("cas", cas)))
    }

    /// The names of a version's members and of those below, with `Value::Null` in the place of their contents.
    /// Version 0 is the newest one; depth 0 goes all the way.
    ///
    /// # Errors
    /// As for [`Kv::get`].
    pub fn subkeys(&self, path: &str, version: u64, depth: u64) -> Result<Object> {
        let data = Object::new().with("version", version).with("depth", depth);
        let response = self.session.request(Operation::Read, &self.at("subkeys", path), Some(data.into()))?;
        let Some(Value::Object(mut body)) = response.data else { return Err(unexpected()) };
        let Some(Value::Object(subkeys)) = body.remove("subkeys") else { return Err(unexpected()) };
        Ok(subkeys)
    }

    /// The names directly below a folder, in order; folders end in a slash. The empty text is the mount's top.
    ///
    /// # Errors
    /// `NotFound` when there are none.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.names(folder, None)
    }

    /// The first `limit` of those names that come after the name `after`; none when that was the last. The empty text begins the listing.
    ///
    /// # Errors
    /// `NotFound` when there are none at all; `InvalidRequest` when the limit is 0 or above 100,000.
    pub fn list_page(&self, folder: &str, after: &str, limit: u64) -> Result<Vec<String>> {
        if limit == 0 {
            return Err(Error::new(Code::InvalidData, "the limit of a page must be at least 1"));
        }
        let data = Object::new().with("after", after).with("limit", limit);
        match self.names(folder, Some(data.into())) {
            Err(error) if error.code() == Code::NotFound && !after.is_empty() => Ok(Vec::new()),
            names => names,
        }
    }

    fn names(&self, folder: &str, data: Option<Value>) -> Result<Vec<String>> {
        let response = self.session.request(Operation::List, &self.at("metadata", folder), data)?;
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
            let row = row.as_object().ok_or_else(unexpected)?;
            versions.push(version_of(row.clone(), name.parse().ok())?);
        }
        versions.sort_by_key(|row| row.version);
        let text = |name| data.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(unexpected);
        let custom = data.get("custom_metadata").and_then(Value::as_object);
        let custom = custom.into_iter().flat_map(Object::iter);
        Ok(KvMetadata {
            current_version: number("current_version")?,
            oldest_version: number("oldest_version")?,
            versions,
            created_time: text("created_time")?,
            updated_time: text("updated_time")?,
            settings: KvSettings::from_value(data),
            custom_metadata: custom.filter_map(|(name, text)| Some((name.to_owned(), text.as_str()?.to_owned()))).collect(),
        })
    }

    /// Writes settings of a secret, and with `custom` what its users say about it: an object of texts, which replaces what there was.
    /// Makes the secret, without a version, where there is none.
    ///
    /// # Errors
    /// `InvalidRequest` when something is out of range.
    pub fn set_metadata(&self, path: &str, settings: &KvSettings, custom: Option<Object>) -> Result<()> {
        let mut body = settings.to_object();
        if let Some(custom) = custom {
            body.insert("custom_metadata", custom);
        }
        self.session.request(Operation::Write, &self.at("metadata", path), Some(body.into())).map(drop)
    }

    /// Changes what users say about a secret, member by member; `Value::Null` removes.
    ///
    /// # Errors
    /// `NotFound` when there is no such secret; `InvalidRequest` when something is out of range.
    pub fn patch_custom_metadata(&self, path: &str, changes: Object) -> Result<()> {
        let body = Object::new().with("custom_metadata", changes);
        self.session.request(Operation::Patch, &self.at("metadata", path), Some(body.into())).map(drop)
    }

    /// The settings of the mount.
    ///
    /// # Errors
    /// Any class.
    pub fn config(&self) -> Result<KvSettings> {
        let response = self.session.request(Operation::Read, &format!("{}/config", self.mount), None)?;
        Ok(KvSettings::from_value(response.data.as_ref().ok_or_else(unexpected)?))
    }

    /// Writes settings of the mount.
    ///
    /// # Errors
    /// `InvalidRequest` when something is out of range.
    pub fn set_config(&self, settings: &KvSettings) -> Result<()> {
        self.session.request(Operation::Write, &format!("{}/config", self.mount), Some(settings.to_object().into())).map(drop)
    }

    /// Removes a secret with all its versions and metadata for good.
    ///
    /// # Errors
    /// Any class.
    pub fn delete_metadata(&self, path: &str) -> Result<()> {
        self.session.request(Operation::Delete, &self.at("metadata", path), None).map(drop)
    }

    fn at(&self, part: &str, path: &str) -> String {
        [&self.mount, "/", part, "/", path.strip_prefix('/').unwrap_or(path)].concat()
    }

    fn read(&self, path: &str, data: Option<Value>) -> Result<KvSecret> {
        let path = Path::try_from(self.at("data", path))?;
        let response = self.session.request_at(Operation::Read, path, data, Context::default())?;
        let Some(Value::Object(mut body)) = response.data else { return Err(unexpected()) };
        let Some(Value::Object(metadata)) = body.take_value("metadata") else { return Err(unexpected()) };
        let version = version_of(metadata, None)?;
        let Some(Value::Object(data)) = body.take_value("data") else { return Err(unexpected()) };
        Ok(KvSecret { data, version })
    }

    fn change(&self, operation: Operation, path: &str, body: Object) -> Result<KvVersion> {
        let response = self.session.request(operation, &self.at("data", path), Some(body.into()))?;
        let Some(Value::Object(row)) = response.data else { return Err(unexpected()) };
        version_of(row, None)
    }

    fn on_versions(&self, verb: &str, path: &str, versions: &[u64]) -> Result<()> {
        let body = Object::new().with("versions", versions.to_vec());
        self.session.request(Operation::Write, &self.at(verb, path), Some(body.into())).map(drop)
    }
}

impl KvSettings {
    fn from_value(value: &Value) -> Self {
        KvSettings {
            max_versions: value.get("max_versions").and_then(Value::as_u64),
            cas_required: value.get("cas_required").and_then(Value::as_bool),
            delete_version_after: value.get("delete_version_after").and_then(Value::as_str).map(str::to_owned),
        }
    }

    fn to_object(&self) -> Object {
        Object::new()
            .with("max_versions", self.max_versions)
            .with("cas_required", self.cas_required)
            .with("delete_version_after", self.delete_version_after.clone())
    }
}

fn version_of(mut row: Object, number: Option<u64>) -> Result<KvVersion> {
    let version = number.or_else(|| row.get("version").and_then(Value::as_u64)).ok_or_else(unexpected)?;
    let destroyed = row.get("destroyed").and_then(Value::as_bool).ok_or_else(unexpected)?;
    let mut text = |name| match row.take_value(name) {
        Some(Value::String(mut text)) => Ok(std::mem::take(&mut *text)),
        _ => Err(unexpected()),
    };
    Ok(KvVersion { version, created_time: text("created_time")?, deletion_time: text("deletion_time")?, destroyed })
}

fn unexpected() -> Error {
    Error::new(Code::UnsupportedPath, "the mount did not answer as a KV version 2 secrets engine does")
}

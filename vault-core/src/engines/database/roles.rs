//! `roles/NAME`: by which connection, with what statements and for how long an account is made.

use super::record;
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::crypto::sha256;
use crate::engines::Outcome;
use crate::engines::common::input::{known_only, member, not_found};
use crate::lease::terms::RoleTerms;
use crate::types::id::Id;
use crate::types::limits::{DATABASE_STATEMENTS_BYTES_MAX, DATABASE_STATEMENTS_MAX};
use crate::types::{Code, Error, Object, Result, Ttl, Value};
use minicbor::{Decode, Encode};

/// A role's record.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Role {
    #[n(0)]
    pub(super) db_name: String,
    #[n(1)]
    pub(super) creation: Vec<String>,
    #[n(2)]
    pub(super) revocation: Vec<String>,
    #[n(3)]
    pub(super) rollback: Vec<String>,
    #[n(4)]
    pub(super) renewal: Vec<String>,
    #[n(5)]
    pub(super) default_ttl_seconds: u64,
    #[n(6)]
    pub(super) max_ttl_seconds: u64,
    /// The tokens of one entity are given one account.
    #[cbor(n(7), default)]
    pub(super) shares_by_entity: bool,
}

impl Role {
    /// What tells accounts that it has made from those that it would make now.
    pub(super) fn hash(&self) -> [u8; 32] {
        let lengths: Vec<[u8; 8]> = self.creation.iter().map(|statement| (statement.len() as u64).to_le_bytes()).collect();
        let parts = lengths.iter().zip(&self.creation).flat_map(|(length, statement)| [&length[..], statement.as_bytes()]);
        sha256(&parts.collect::<Vec<_>>())
    }

    pub(super) fn terms(&self) -> RoleTerms {
        RoleTerms { default_ttl: Ttl::from_secs(self.default_ttl_seconds), max_ttl: Ttl::from_secs(self.max_ttl_seconds) }
    }
}

const KNOWN: [&str; 10] = [
    "db_name",
    "creation_statements",
    "revocation_statements",
    "rollback_statements",
    "renew_statements",
    "default_ttl",
    "max_ttl",
    "credential_type",
    "credential_config",
    "credential_sharing",
];

pub(super) fn load(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Option<Role>> {
    let key = overlay.barrier().key(Kind::DatabaseRole, &[mount.as_bytes(), name.as_bytes()]);
    let bytes = overlay.get(Kind::DatabaseRole, &key)?;
    Ok(bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()?)
}

pub(super) fn read(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Outcome> {
    let role = load(overlay, mount, name)?.ok_or_else(not_found)?;
    let body = Object::new()
        .with("db_name", role.db_name)
        .with("credential_type", "password")
        .with("credential_sharing", if role.shares_by_entity { "entity" } else { "none" })
        .with("creation_statements", role.creation)
        .with("revocation_statements", role.revocation)
        .with("rollback_statements", role.rollback)
        .with("renew_statements", role.renewal)
        .with("default_ttl", role.default_ttl_seconds)
        .with("max_ttl", role.max_ttl_seconds);
    Ok(Outcome { data: Some(body.into()), ..Outcome::default() })
}

/// A new role, or another one in its place: what the request leaves out stays.
pub(super) fn write(overlay: &mut Overlay<'_>, mount: &Id, name: &str, data: Option<&Value>) -> Result<Outcome> {
    known_only(data, &KNOWN)?;
    let old = load(overlay, mount, name)?;
    let is_new = old.is_none();
    let mut role = old.unwrap_or_default();
    let bad = |why: &str| Error::new(Code::InvalidData, why.to_owned());
    if member(data, "credential_type").is_some_and(|kind| kind.as_str() != Some("password")) {
        return Err(bad("this version makes credentials of the type \"password\" only"));
    }
    if member(data, "credential_config").and_then(Value::as_object).is_some_and(|config| !config.is_empty()) {
        return Err(bad("\"credential_config\" is not supported: name a password policy in the connection"));
    }
    match member(data, "credential_sharing").map(|sharing| sharing.as_str().unwrap_or_default()) {
        None => {}
        Some("none") => role.shares_by_entity = false,
        Some("entity") => role.shares_by_entity = true,
        Some(_) => return Err(bad("\"credential_sharing\" must be \"none\" or \"entity\": one account for all tokens of an entity")),
    }
    if let Some(connection) = member(data, "db_name") {
        role.db_name = super::checked(connection.as_str().unwrap_or_default())?.to_owned();
    }
    if role.db_name.is_empty() {
        return Err(bad("the connection is missing: pass its name as \"db_name\""));
    }
    for (name, of) in [
        ("creation_statements", &mut role.creation),
        ("revocation_statements", &mut role.revocation),
        ("rollback_statements", &mut role.rollback),
        ("renew_statements", &mut role.renewal),
    ] {
        if let Some(value) = member(data, name) {
            *of = statements(value, name)?;
        }
    }
    for (name, seconds) in [("default_ttl", &mut role.default_ttl_seconds), ("max_ttl", &mut role.max_ttl_seconds)] {
        if let Some(value) = member(data, name) {
            *seconds = Ttl::from_value(value)?.as_secs();
        }
    }
    if role.max_ttl_seconds != 0 && role.default_ttl_seconds > role.max_ttl_seconds {
        return Err(bad("the default_ttl is longer than the max_ttl"));
    }
    let key = overlay.barrier().key(Kind::DatabaseRole, &[mount.as_bytes(), name.as_bytes()]);
    overlay.put(Kind::DatabaseRole, key, &minicbor::to_vec(&role).expect("encoding to memory cannot fail"))?;
    if is_new {
        overlay.enter(*mount, &format!("roles/{name}"));
    }
    let mut warnings = Vec::new();
    if record::id_of(overlay, mount, &role.db_name)?.is_none() {
        warnings.push("there is no connection of that db_name yet".to_owned());
    }
    Ok(Outcome { warnings, ..Outcome::default() })
}

/// No new account is made by it; those that were made stay for as long as their leases.
pub(super) fn delete(overlay: &mut Overlay<'_>, mount: &Id, name: &str) -> Result<Outcome> {
    if load(overlay, mount, name)?.is_some() {
        let key = overlay.barrier().key(Kind::DatabaseRole, &[mount.as_bytes(), name.as_bytes()]);
        overlay.delete(key);
        overlay.leave(*mount, &format!("roles/{name}"));
    }
    Ok(Outcome::default())
}

/// What undoes the accounts of a role as it is now: a statement that was wrong can be put right for those that are there. None where the role
/// is no longer one of the connection's: its statements are then not the connection's business.
pub(crate) fn revocation_of(overlay: &mut Overlay<'_>, mount: &Id, name: &str, target: &[u8; 16]) -> Result<Option<Vec<String>>> {
    let Some(role) = load(overlay, mount, name)? else { return Ok(None) };
    let configured = record::named(overlay, mount, &role.db_name)?;
    let is_its_own = configured.is_some_and(|configured| configured.connection.id == *target && configured.allows(name));
    Ok(is_its_own.then_some(role.revocation))
}

/// Statements: an array of texts, or one text.
pub(super) fn statements(value: &Value, name: &str) -> Result<Vec<String>> {
    let bad = || {
        let why = format!(
            "\"{name}\" must be an array of at most {DATABASE_STATEMENTS_MAX} texts, or one text, of at most {DATABASE_STATEMENTS_BYTES_MAX} \
             bytes together"
        );
        Error::new(Code::InvalidData, why)
    };
    let statements: Option<Vec<String>> = match value {
        Value::String(text) if text.trim().is_empty() => Some(Vec::new()),
        Value::String(text) => Some(vec![text.as_str().to_owned()]),
        Value::Array(texts) => texts.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let statements = statements.ok_or_else(bad)?;
    let bytes: usize = statements.iter().map(String::len).sum();
    if statements.len() > DATABASE_STATEMENTS_MAX || bytes > DATABASE_STATEMENTS_BYTES_MAX { Err(bad()) } else { Ok(statements) }
}

/// Names: an array of texts, or one text with commas between them.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()),
        Value::Array(texts) => texts.iter().map(|text| text.as_str().map(|text| text.trim().to_owned())).collect(),
        _ => None,
    }
}

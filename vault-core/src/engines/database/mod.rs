//! The database secrets engine: accounts at a target system that are made for who asks, with a lease, and are gone with it.
//!
//! It keeps connections (`config`) and roles (`roles`), and says what is to be made (`creds`); the pipeline asks the target.

mod config;
mod creds;
mod place;
mod record;
mod roles;
mod static_creds;
mod static_roles;
mod static_runs;
mod url;
mod username;

#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) use record::amend;
pub(crate) use record::{is_still, is_unused, load, of_mount, of_same_account, purge, retire_all, save};
pub(crate) use roles::revocation_of;
pub(crate) use static_roles::{STALLED, status, status_words};

use super::{Call, Engine, Outcome};
#[cfg(any(feature = "sled", feature = "redb"))]
use crate::barrier::Barrier;
use crate::barrier::{Kind, Overlay};
use crate::managed;
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::{Code, Error, Operation, Result, Ttl};
use static_runs::Wish;

/// The engine of one mount.
pub(crate) struct DatabaseEngine {
    mount: Id,
    default_lease: Ttl,
    max_lease: Ttl,
}

/// What lies below the mount.
enum Part<'p> {
    Configs,
    Config(&'p str),
    Roles,
    Role(&'p str),
    Creds(&'p str),
    RotateRoot(&'p str),
    SettleRoot(&'p str),
    Reset(&'p str),
    StaticRoles,
    StaticRole(&'p str),
    StaticCreds(&'p str),
    /// What an operator wants of a static role's rotation.
    Run(Wish, &'p str),
}

impl DatabaseEngine {
    pub(crate) fn new(mount: Id, default_lease: Ttl, max_lease: Ttl) -> Self {
        DatabaseEngine { mount, default_lease, max_lease }
    }
}

fn parse(path: &str) -> Result<Part<'_>> {
    let unknown = || {
        let why = "a database mount has config/, roles/, creds/, static-roles/, static-creds/, rotate-root/, settle-root/, reset/, \
                   rotate-role/, \
                   rehearse-role/, roll-back-role/, retry-role/, end-grace-role/ and adopt-role/, each with a name";
        Error::new(Code::UnsupportedPath, why)
    };
    let (part, name) = path.split_once('/').unwrap_or((path, ""));
    match (part, name) {
        ("config", "") => Ok(Part::Configs),
        ("roles", "") => Ok(Part::Roles),
        ("config", name) => checked(name).map(Part::Config),
        ("roles", name) => checked(name).map(Part::Role),
        ("creds", name) => checked(name).map(Part::Creds),
        ("rotate-root", name) => checked(name).map(Part::RotateRoot),
        ("settle-root", name) => checked(name).map(Part::SettleRoot),
        ("reset", name) => checked(name).map(Part::Reset),
        ("static-roles", "") => Ok(Part::StaticRoles),
        ("static-roles", name) => checked(name).map(Part::StaticRole),
        ("static-creds", name) => checked(name).map(Part::StaticCreds),
        (part, name) => {
            let wish = Wish::named(part).ok_or_else(unknown)?;
            checked(name).map(|name| Part::Run(wish, name))
        }
    }
}

/// A connection's or role's name.
fn checked(name: &str) -> Result<&str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > crate::types::limits::NAME_BYTES_MAX || !name.chars().all(fits) {
        return Err(Error::new(Code::InvalidPath, "invalid name: use letters, digits, '_', '-' and '.'"));
    }
    Ok(name)
}

impl Engine for DatabaseEngine {
    fn may_write(&self, call: &Call<'_>) -> bool {
        !matches!(call.operation, Operation::Read | Operation::List) || matches!(parse(call.path), Ok(Part::Creds(_)))
    }

    fn exists(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Option<bool>> {
        match parse(call.path)? {
            Part::Config(name) => Ok(Some(record::id_of(overlay, &self.mount, name)?.is_some())),
            Part::Role(name) => Ok(Some(roles::load(overlay, &self.mount, name)?.is_some())),
            Part::StaticRole(name) => Ok(Some(managed::id_of(overlay, &self.mount, name)?.is_some())),
            _ => Ok(None),
        }
    }

    fn execute(&self, overlay: &mut Overlay<'_>, call: &Call<'_>) -> Result<Outcome> {
        let mount = &self.mount;
        match (call.operation, parse(call.path)?) {
            (Operation::List, Part::Configs) => super::common::listing::list(overlay, mount, "config/", call.data),
            (Operation::List, Part::Roles) => super::common::listing::list(overlay, mount, "roles/", call.data),
            (Operation::Read, Part::Config(name)) => config::read(overlay, mount, name),
            (Operation::Write, Part::Config(name)) => config::write(overlay, mount, name, call.data, call.now),
            (Operation::Delete, Part::Config(name)) => config::delete(overlay, mount, name),
            (Operation::Read, Part::Role(name)) => roles::read(overlay, mount, name),
            (Operation::Write, Part::Role(name)) => roles::write(overlay, mount, name, call.data),
            (Operation::Delete, Part::Role(name)) => roles::delete(overlay, mount, name),
            (Operation::Read, Part::Creds(name)) => creds::draw(overlay, self, name, call),
            (Operation::Write, Part::RotateRoot(name)) => config::rotate(overlay, mount, name),
            (Operation::Write, Part::SettleRoot(name)) => config::settle(overlay, mount, name),
            (Operation::Write, Part::Reset(name)) => config::reset(overlay, mount, name),
            (Operation::List, Part::StaticRoles) => super::common::listing::list(overlay, mount, "static-roles/", call.data),
            (Operation::Read, Part::StaticRole(name)) => static_roles::read(overlay, mount, name, call.now),
            (Operation::Write, Part::StaticRole(name)) => static_roles::write(overlay, mount, name, call),
            (Operation::Delete, Part::StaticRole(name)) => static_roles::delete(overlay, mount, name, call.data),
            (Operation::Read, Part::StaticCreds(name)) => static_creds::read(overlay, mount, name, call.now),
            (Operation::Write, Part::Run(wish, name)) => static_runs::run(overlay, mount, name, wish, call),
            _ => Err(Error::new(Code::UnsupportedPath, "the database engine has no such operation at this path")),
        }
    }
}

/// Removes what is known of one path of a mount that is gone; how many records.
pub(crate) fn forget(overlay: &mut Overlay<'_>, mount: &Id, path: &str) -> usize {
    keys_of(overlay, mount, path).into_iter().map(|key| overlay.delete(key)).count()
}

/// Whether something is at a path of a mount.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) fn is_there(overlay: &mut Overlay<'_>, mount: &Id, path: &str) -> Result<bool> {
    match parse(path)? {
        Part::Config(name) => Ok(record::id_of(overlay, mount, name)?.is_some()),
        Part::Role(name) => Ok(roles::load(overlay, mount, name)?.is_some()),
        // A name that leads nowhere is none.
        Part::StaticRole(name) => match managed::id_of(overlay, mount, name)? {
            Some(id) => Ok(managed::Managed::load(overlay, &id)?.is_some()),
            None => Ok(false),
        },
        _ => Ok(false),
    }
}

/// Where the record of a path lies.
#[cfg(any(feature = "sled", feature = "redb"))]
pub(crate) fn keys(barrier: &Barrier, mount: &Id, path: &str) -> Vec<Key> {
    match parse(path) {
        Ok(Part::Config(name)) => vec![barrier.key(Kind::DatabaseName, &[mount.as_bytes(), name.as_bytes()])],
        Ok(Part::Role(name)) => vec![barrier.key(Kind::DatabaseRole, &[mount.as_bytes(), name.as_bytes()])],
        Ok(Part::StaticRole(name)) => vec![managed::name_key(barrier, mount, name)],
        _ => Vec::new(),
    }
}

fn keys_of(overlay: &Overlay<'_>, mount: &Id, path: &str) -> Vec<Key> {
    match parse(path) {
        Ok(Part::Config(name)) => vec![record::name_key(overlay.barrier(), mount, name)],
        Ok(Part::Role(name)) => vec![overlay.barrier().key(Kind::DatabaseRole, &[mount.as_bytes(), name.as_bytes()])],
        Ok(Part::StaticRole(name)) => vec![managed::name_key(overlay.barrier(), mount, name)],
        _ => Vec::new(),
    }
}

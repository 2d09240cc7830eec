//! What an opened vault knows of the accounts at its targets, in the root namespace: for simulations, which compare it with what is there.

use super::core::Core;
use crate::barrier::Overlay;
use crate::engines::{Connection, database};
use crate::lease::{Lease, LeaseRef, State, index};
use crate::managed::{self, Managed};
use crate::types::id::Id;
use crate::types::{Result, SecretString, Timestamp, Value};
use std::fmt;

/// What an unsealed vault knows of the accounts at its targets, in the root namespace: for a simulation, which compares it with what is there.
/// It holds passwords: leave it out of whatever is shown.
#[derive(Default)]
#[non_exhaustive]
pub struct Known {
    /// Every lease that has a record: no account of another one may be at a target.
    pub leases: Vec<KnownLease>,
    /// Every credential that is rotated.
    pub credentials: Vec<KnownCredential>,
    /// Every connection that is configured.
    pub connections: Vec<KnownConnection>,
}

/// What a lease's record tells.
#[derive(Debug)]
#[non_exhaustive]
pub struct KnownLease {
    /// Its id.
    pub id: String,
    /// The name of its account.
    pub username: String,
    /// `begun` where nobody was told of it, `active`, `ending` or `irrevocable`.
    pub state: &'static str,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// The end that no renewal goes past.
    pub latest_end: Timestamp,
    /// The end that its target was asked for and that it does not have.
    pub asked: Option<Timestamp>,
}

/// What the record of a credential tells that is rotated.
#[non_exhaustive]
pub struct KnownCredential {
    /// Its account, or its two.
    pub usernames: Vec<String>,
    /// What readers are given: the account and its password.
    pub current: Option<(String, SecretString)>,
    /// Every password that may work.
    pub passwords: Vec<SecretString>,
    /// Its rotation has stopped, and needs somebody.
    pub needs_attention: bool,
}

/// What the record of a connection tells.
#[non_exhaustive]
pub struct KnownConnection {
    /// Its configuration, without secrets.
    pub config: Value,
    /// The account by which the vault manages others.
    pub username: String,
    /// Every password that this may have.
    pub passwords: Vec<SecretString>,
    /// Its password is being changed, and it is not known which one the target has.
    pub is_changing: bool,
}

/// What the records tell.
pub(super) fn known(core: &Core) -> Result<Known> {
    let mut overlay = core.reading();
    let mut known = Known::default();
    for key in leases(&overlay)? {
        known.leases.extend(Lease::load(&mut overlay, &key.key)?.map(told_lease));
    }
    for id in managed::index::all(&overlay)?.all {
        known.credentials.extend(Managed::load(&mut overlay, &id)?.map(|managed| told_credential(&managed)));
    }
    let mounts: Vec<Id> = core.namespaces.load().get(&Id::ROOT).map_or_else(Vec::new, |root| {
        let mounts = root.mounts.load();
        mounts.entries().map(super::mounts::MountEntry::uuid).collect()
    });
    for mount in mounts {
        for id in database::of_mount(&mut overlay, &mount)? {
            let connection = database::load(&mut overlay, &id)?.map(|found| found.connection);
            known.connections.extend(connection.map(told_connection));
        }
    }
    Ok(known)
}

/// All that there are, whatever their state.
fn leases(overlay: &Overlay<'_>) -> Result<Vec<LeaseRef>> {
    let mut keys = Vec::new();
    for owner in [index::LIVE, index::ENDING] {
        index::walk(overlay, &owner, "", &mut |id| {
            keys.push(LeaseRef::of(overlay.barrier(), id));
            Ok(true)
        })?;
    }
    index::each_begun(overlay, |lease, _| {
        keys.push(lease);
        Ok(true)
    })?;
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

fn told_lease(lease: Lease) -> KnownLease {
    KnownLease {
        state: match lease.state {
            State::Stuck => "irrevocable",
            _ if lease.was_never_given() => "begun",
            State::Pending | State::Active => "active",
            State::Ending => "ending",
        },
        issued: Timestamp::from_millis(lease.issued_millis),
        latest_end: lease.latest_end(),
        expires: lease.expires(),
        asked: lease.asked_millis.map(Timestamp::from_millis),
        username: lease.account.username,
        id: lease.id,
    }
}

fn told_connection(connection: Connection) -> KnownConnection {
    let passwords = [&connection.password].into_iter().chain(connection.other_passwords());
    KnownConnection {
        passwords: passwords.map(|password| SecretString::copy_from(password.expose())).collect(),
        username: connection.username,
        is_changing: connection.pending.is_some(),
        config: connection.config,
    }
}

fn told_credential(managed: &Managed) -> KnownCredential {
    let copied = |password: &SecretString| SecretString::copy_from(password.expose());
    KnownCredential {
        usernames: managed.usernames.clone(),
        current: managed.current().map(|(username, password)| (username.to_owned(), copied(password))),
        passwords: managed.values.iter().map(|(_, password)| copied(password)).collect(),
        needs_attention: managed.state.attention.is_some(),
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("leases", &self.leases).finish_non_exhaustive()
    }
}

impl fmt::Debug for KnownCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownCredential").field("usernames", &self.usernames).finish_non_exhaustive()
    }
}

impl fmt::Debug for KnownConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownConnection").field("username", &self.username).finish_non_exhaustive()
    }
}

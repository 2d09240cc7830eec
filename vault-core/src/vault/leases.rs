//! The typed face of `sys/leases`.

use super::Session;
use crate::types::{Class, Object, Operation, Result, Ttl, Value};

/// The leases of a namespace.
///
/// ```
/// # use vault_core::Vault;
/// # let (vault, init) = Vault::in_memory()?;
/// # let session = vault.session(init.root_token);
/// // `READ database/creds/app` answers a `lease_id`, by which the account lasts longer or ends: `leases().renew(id, None)`, `leases().revoke(id, false)`.
/// let leases = session.leases();
/// assert!(leases.list("database/creds/app")?.is_empty());
/// assert!(leases.lookup("database/creds/app/none").is_err());
/// # Ok::<(), vault_core::types::Error>(())
/// ```
#[derive(Debug)]
pub struct Leases<'s> {
    session: &'s Session,
}

/// What is known of a lease that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// Its id, which is no secret.
    pub id: String,
    /// What is left of its time.
    pub ttl: Ttl,
    /// Whether its end can be put off.
    pub renewable: bool,
    /// When it was granted (RFC 3339).
    pub issue_time: String,
    /// When it ends (RFC 3339).
    pub expire_time: String,
}

impl<'s> Leases<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Leases { session }
    }

    /// What is known of a lease.
    ///
    /// # Errors
    /// `InvalidRequest` when there is none of that id, or it has ended (`LeaseEnded`).
    pub fn lookup(&self, id: &str) -> Result<LeaseInfo> {
        let data = Object::new().with("lease_id", id);
        let response = self.session.request(Operation::Write, "sys/leases/lookup", Some(data.into()))?;
        let data = response.data.unwrap_or(Value::Null);
        let text = |name| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(LeaseInfo {
            id: text("id"),
            ttl: Ttl::from_secs(data.get("ttl").and_then(Value::as_u64).unwrap_or_default()),
            renewable: data.get("renewable").and_then(Value::as_bool).unwrap_or_default(),
            issue_time: text("issue_time"),
            expire_time: text("expire_time"),
        })
    }

    /// Puts off a lease's end: so long from now, or its own time where that is not given, but not past its maximum; how long it lasts then.
    ///
    /// # Errors
    /// As [`Leases::lookup`]; `TargetUnavailable` or `TargetRefused` when the target did not put off the account's end: the lease stands as it was.
    pub fn renew(&self, id: &str, increment: Option<Ttl>) -> Result<Ttl> {
        let data = Object::new().with("lease_id", id).with("increment", increment.map(Ttl::as_secs));
        Ok(self.session.request(Operation::Write, "sys/leases/renew", Some(data.into()))?.lease_duration)
    }

    /// Ends a lease. It holds no more when this returns; its target is told by `tick`, or at once where `sync` is set.
    ///
    /// # Errors
    /// `Unavailable` with the code `RevocationPending` when `sync` is set and the target could not be told: the lease has ended all the same.
    pub fn revoke(&self, id: &str, sync: bool) -> Result<()> {
        let data = Object::new().with("lease_id", id).with("sync", sync);
        self.session.request(Operation::Write, "sys/leases/revoke", Some(data.into())).map(drop)
    }

    /// The ids' parts directly below a prefix such as `database/creds/app`, in order; those of folders end in a slash. Needs `sudo`.
    ///
    /// # Errors
    /// `InvalidRequest` when there are too many for one listing.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let path = format!("sys/leases/lookup/{}", prefix.trim_end_matches('/'));
        let listed = match self.session.request(Operation::List, path.trim_end_matches('/'), None) {
            Err(error) if error.class() == Class::NotFound => return Ok(Vec::new()),
            listed => listed?.data.unwrap_or(Value::Null),
        };
        let keys = listed.get("keys").and_then(Value::as_array).unwrap_or_default();
        Ok(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }
}

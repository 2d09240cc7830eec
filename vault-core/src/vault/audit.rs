//! The typed face of the audit log.

use super::Session;
use crate::types::{Code, Error, Object, Operation, Result, Value};
use std::io::Write;

/// The audit log of the vault.
///
/// ```
/// # use vault_core::Vault;
/// # let (vault, init) = Vault::in_memory()?;
/// # let session = vault.session(init.root_token);
/// session.kv("secret").list("").ok();
///
/// // Who asked for what, how policy decided, and how it ended.
/// let events = session.audit().events(0, 100)?;
/// let listing = events.iter().find(|event| event.get("operation").and_then(|name| name.as_str()) == Some("list"));
/// assert_eq!(listing.and_then(|event| event.get("path")).and_then(|path| path.as_str()), Some("secret/metadata/"));
///
/// // The log is whole, from its first record on; and here it is as JSON lines.
/// assert!(session.audit().verify()?.records >= 3);
/// let mut lines = Vec::new();
/// let count = session.audit().export(&mut lines, 0)?;
/// assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count() as u64, count);
/// # Ok::<(), vault_core::types::Error>(())
/// ```
#[derive(Debug)]
pub struct Audit<'s> {
    session: &'s Session,
}

/// What a verification of the audit log found: that it is whole.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditReport {
    /// Records that were read and chained anew.
    pub records: u64,
    /// Sealed segments among them.
    pub segments: u64,
    /// The head of the chain, in hexadecimal: SHA-256.
    pub head: String,
}

impl<'s> Audit<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Audit { session }
    }

    /// Reads the whole log anew, from the first record to the head in the root record.
    ///
    /// # Errors
    /// `Corrupt` when a record is missing, added, out of place or altered: the message says which.
    pub fn verify(&self) -> Result<AuditReport> {
        let response = self.session.request(Operation::Read, "sys/audit-log/verify", None)?;
        let data = response.data.unwrap_or(Value::Null);
        let number = |name| data.get(name).and_then(Value::as_u64).ok_or_else(incomplete);
        let head = data.get("head").and_then(Value::as_str).ok_or_else(incomplete)?.to_owned();
        Ok(AuditReport { records: number("records")?, segments: number("segments")?, head })
    }

    /// At most `limit` records after the one with the number `after`, in order, as JSON objects.
    ///
    /// # Errors
    /// Any class.
    pub fn events(&self, after: u64, limit: u64) -> Result<Vec<Value>> {
        let body = Object::new().with("after", after).with("limit", limit);
        let response = self.session.request(Operation::Read, "sys/audit-log/events", Some(body.into()))?;
        let events = response.data.as_ref().and_then(|data| data.get("events")).and_then(Value::as_array);
        events.map(<[Value]>::to_vec).ok_or_else(incomplete)
    }

    /// Writes the records after the one with the number `after` as JSON lines, one object a line; how many they are. The sink is flushed.
    ///
    /// # Errors
    /// Any class; `Unavailable` when the sink fails.
    pub fn export(&self, sink: &mut dyn Write, after: u64) -> Result<u64> {
        self.session.request(Operation::Read, "sys/audit-log/export", None)?;
        self.session.vault().runtime.export_audit(sink, after)
    }
}

fn incomplete() -> Error {
    Error::new(Code::Internal, "the audit log answered incompletely")
}

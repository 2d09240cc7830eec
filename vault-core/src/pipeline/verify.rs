//! Reading the whole store anew and comparing it with the root record.

use super::audit_log::View;
use super::core::Core;
use crate::audit::AuditSummary;
use crate::barrier::{Digest, RootRecord, fixed};
use crate::crypto::sha256;
use crate::types::{Code, Error, Result};

/// Records that are read at a time.
const PAGE: usize = 1_000;

/// What a verification of the whole store found: that it is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Records that were read, the root record among them.
    pub records: u64,
    /// The audit log.
    pub audit: AuditSummary,
}

/// Every record against the digest, and every audit event against the chain, on one snapshot.
pub(super) fn verify(core: &Core) -> Result<Verification> {
    let view = View::flushed(core)?;
    let root = view.root();
    let mut digest = Digest::default();
    let mut records = 0;
    let mut unreadable = 0_u64;
    let mut after = None;
    loop {
        let page = view.records().scan(&[], after.as_ref(), PAGE)?;
        for (key, record) in &page {
            records += 1;
            if !fixed::is_bare(key.as_bytes()) && core.barrier.kind_of(key, record).is_err() {
                unreadable += 1;
            }
            if *key != RootRecord::key() {
                digest.add(core.barrier.keyring().digest(), key, &sha256(&[record]));
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => after = Some(*key),
            _ => break,
        }
    }
    // The log first: where it is broken it can say what is wrong, the digest only that something is.
    let audit = view.log().verify()?;
    if unreadable > 0 {
        return Err(Error::new(
            Code::Corrupt,
            format!("the store does not verify: {unreadable} of {records} records were altered or put in another's place"),
        ));
    }
    if digest != root.digest() {
        return Err(Error::new(Code::Corrupt, "the store does not verify: a record was removed, added or put back"));
    }
    Ok(Verification { records, audit })
}

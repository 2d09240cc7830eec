//! The typed face of backups.

use super::Session;
use crate::backup::BackupInfo;
use crate::pipeline::BackupSeals;
use crate::types::{Operation, Result, SecretString};
use std::io::Write;

/// Backups of the vault.
#[derive(Debug)]
pub struct Backup<'s> {
    session: &'s Session,
}

impl<'s> Backup<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Backup { session }
    }

    /// Writes a backup of the vault as it is at one moment, while it is in use; and the key shares of its slots, where it has slots of its own
    /// that are opened by such. Needs `update` and `sudo` on `sys/storage/backup`. The sink is flushed, and not synced.
    ///
    /// # Errors
    /// `PermissionDenied`; `Unavailable` when the sink or the store fails: what was written is then no backup, and [`crate::backup::verify`]
    /// says so.
    pub fn to_writer(&self, sink: &mut dyn Write, seals: &BackupSeals) -> Result<(BackupInfo, Vec<SecretString>)> {
        self.session.request(Operation::Write, "sys/storage/backup", None)?;
        self.session.vault().runtime.backup(sink, seals)
    }
}

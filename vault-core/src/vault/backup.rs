//! The typed face of backups.

use super::Session;
use crate::backup::BackupInfo;
use crate::pipeline::BackupSeals;
use crate::types::{Operation, Result, SecretString};
use std::io::Write;

/// Backups of the vault.
///
/// ```
/// use vault_core::types::Object;
/// use vault_core::{BackupSeals, Config, NewSeal, UnsealKey};
/// # use vault_core::Vault;
/// # let (vault, init) = Vault::in_memory()?;
/// # let session = vault.session(init.root_token);
/// session.kv("secret").put("app", Object::new().with("a", 1_u64))?;
/// // Under a key of its own: whoever has the backup and this key restores it.
/// let mut file = Vec::new();
/// session.backup().to_writer(&mut file, &BackupSeals::New(vec![NewSeal::raw_key(&[9; 32])?]))?;
///
/// // Whole? That can be told without any key.
/// vault_core::backup::verify(&mut file.as_slice())?;
///
/// let (copy, _) = Vault::restore(Config::in_memory(), &mut file.as_slice(), &UnsealKey::raw_key(&[9; 32])?)?;
/// assert!(copy.is_frozen());
/// # Ok::<(), vault_core::types::Error>(())
/// ```
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

//! What a vault has counted of itself.

use crate::guard::guard;
use crate::handle::{get, reserve};
use crate::secret::{SecretEntry, vault_secret_t};
use crate::status::vault_status_t;
use crate::vault::{VaultEntry, vault_t};
use vault_core::types::Value;

/// What the vault has counted since it was opened, in the text format of Prometheus (0.0.4). No token is needed: neither paths nor secrets
/// are named. The vault may be sealed.
///
/// - `vault`: borrowed.
/// - `out_text`: receives the text. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_metrics(vault: *mut vault_t, out_text: *mut *mut vault_secret_t) -> vault_status_t {
    guard!(required out_text => {
        let entry = get::<VaultEntry>(vault)?;
        let slot = reserve::<SecretEntry>()?;
        Ok(slot.fill(SecretEntry::new(Some(Value::string(entry.metrics()?)))))
    })
}

//! What policies allow, without a vault.

use crate::error::bad_argument;
use crate::guard::guard;
use crate::handle::reserve;
use crate::input;
use crate::secret::{SecretEntry, vault_secret_t};
use crate::status::vault_status_t;
use std::ffi::c_char;
use vault_core::policy::{Capability, Dialect, Facts, Settings, evaluate};
use vault_core::types::limits::{POLICY_BYTES_MAX, TOKEN_POLICIES_MAX};
use vault_core::types::{Result, Ttl};
use vault_core::wire;

/// Whose rules are followed where HashiCorp Vault and OpenBao differ: one of the `VAULT_DIALECT_` numbers.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_dialect_t = i32;

/// HashiCorp Vault's.
pub const VAULT_DIALECT_VAULT: vault_dialect_t = 1;
/// OpenBao's.
pub const VAULT_DIALECT_OPENBAO: vault_dialect_t = 2;

/// What is asked of a policy: one of the `VAULT_CAPABILITY_` numbers.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_capability_t = i32;

/// Write where nothing is yet.
pub const VAULT_CAPABILITY_CREATE: vault_capability_t = 1;
/// Read.
pub const VAULT_CAPABILITY_READ: vault_capability_t = 2;
/// Write where something is.
pub const VAULT_CAPABILITY_UPDATE: vault_capability_t = 3;
/// Change part of what is there.
pub const VAULT_CAPABILITY_PATCH: vault_capability_t = 4;
/// Delete.
pub const VAULT_CAPABILITY_DELETE: vault_capability_t = 5;
/// List the names below.
pub const VAULT_CAPABILITY_LIST: vault_capability_t = 6;

/// For `vault_policy_evaluate`: the deny of any rule that matches wins, however broad the rule is.
pub const VAULT_POLICY_ABSOLUTE_DENY: u32 = 1;

/// Decides a request by policies alone: a pure function, for which no vault is needed.
///
/// - `texts`, `count`: the policies, HCL or JSON, each NUL-terminated UTF-8; borrowed for the call. NULL with the count 0 for none. In
///   the decision they are named `policy 1`, `policy 2` and so on.
/// - `dialect`: one of the `VAULT_DIALECT_` numbers.
/// - `flags`: 0, or `VAULT_POLICY_ABSOLUTE_DENY`.
/// - `capability`: one of the `VAULT_CAPABILITY_` numbers.
/// - `path`: the request's; NUL-terminated UTF-8, borrowed for the call.
/// - `json`, `json_len`: the request's data, a JSON object; borrowed for the call. NULL with the length 0 for none.
/// - `wrap_ttl_seconds`: for how long the reply is to be wrapped; 0 for not.
/// - `out_allowed`: receives whether the request is allowed; may be NULL. False on failure.
/// - `out_decision`: receives the decision as JSON: `allowed`, `operation`, `path`, `rule`, `policy`, `line`, `step`, `parameter`,
///   `capabilities`, `losers`, `void` and, in one line, `text`. Owner: the caller; free it with `vault_secret_free`. May be NULL when
///   only `out_allowed` is wanted. NULL on failure.
/// - Fails with `VAULT_ERR_INVALID_POLICY` when a policy does not parse; the message has line and column.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_policy_evaluate(
    texts: *const *const c_char,
    count: usize,
    dialect: vault_dialect_t,
    flags: u32,
    capability: vault_capability_t,
    path: *const c_char,
    json: *const c_char,
    json_len: usize,
    wrap_ttl_seconds: u64,
    out_allowed: *mut bool,
    out_decision: *mut *mut vault_secret_t,
) -> vault_status_t {
    guard!(optional out_allowed, optional out_decision => {
        let settings = Settings { dialect: dialect_from_number(dialect)?, absolute_deny: absolute_deny(flags)? };
        let operation = capability_from_number(capability)?;
        // SAFETY: the caller gives NULL, `count` pointers each NULL or to NUL-terminated text, NUL-terminated text, or `json_len` bytes.
        let (texts, path, json) = unsafe { (policies(texts, count)?, input::path(path, "path")?, input::json(json, json_len)?) };
        let data = wire::data_from_json(json)?;
        let wrap_ttl = Some(Ttl::from_secs(wrap_ttl_seconds));
        let slot = (!out_decision.is_null()).then(reserve::<SecretEntry>).transpose()?;
        let decision = evaluate(&texts, &Facts { data: data.as_ref(), wrap_ttl, ..Facts::new(operation, path) }, settings)?;
        let handle = slot.map_or(std::ptr::null_mut(), |slot| slot.fill(SecretEntry::new(Some(decision.to_value()))));
        Ok((decision.allowed, handle))
    })
}

/// The texts of policies.
///
/// # Safety
/// `texts` is NULL or points to `count` pointers, each as for [`input::text`].
unsafe fn policies<'a>(texts: *const *const c_char, count: usize) -> Result<Vec<&'a str>> {
    if count > TOKEN_POLICIES_MAX {
        return Err(bad_argument(format!("count is above {TOKEN_POLICIES_MAX}")));
    }
    if texts.is_null() && count > 0 {
        return Err(bad_argument("texts is NULL"));
    }
    // SAFETY: as the caller promises; none is read where `count` is 0.
    (0..count).map(|number| unsafe { input::text(*texts.add(number), "a policy", POLICY_BYTES_MAX) }).collect()
}

pub(crate) fn dialect_from_number(number: vault_dialect_t) -> Result<Dialect> {
    match number {
        VAULT_DIALECT_VAULT => Ok(Dialect::Vault),
        VAULT_DIALECT_OPENBAO => Ok(Dialect::OpenBao),
        _ => Err(bad_argument("dialect is none of the VAULT_DIALECT_ numbers")),
    }
}

fn absolute_deny(flags: u32) -> Result<bool> {
    match flags {
        0 => Ok(false),
        VAULT_POLICY_ABSOLUTE_DENY => Ok(true),
        _ => Err(bad_argument("flags holds unknown bits")),
    }
}

fn capability_from_number(number: vault_capability_t) -> Result<Capability> {
    match number {
        VAULT_CAPABILITY_CREATE => Ok(Capability::Create),
        VAULT_CAPABILITY_READ => Ok(Capability::Read),
        VAULT_CAPABILITY_UPDATE => Ok(Capability::Update),
        VAULT_CAPABILITY_PATCH => Ok(Capability::Patch),
        VAULT_CAPABILITY_DELETE => Ok(Capability::Delete),
        VAULT_CAPABILITY_LIST => Ok(Capability::List),
        _ => Err(bad_argument("capability is none of the VAULT_CAPABILITY_ numbers")),
    }
}

//! Connectors to target systems: those of a host as callbacks, those that the library brings by number; and a hook that is told of leases.

use crate::error::bad_argument;
use crate::input;
use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;
use vault_core::host::{Account, Connector, ConnectorError, ConnectorFailure, NewAccount, Target};
use vault_core::types::limits::NAME_BYTES_MAX;
use vault_core::types::{Object, Result, SecretString, Timestamp, Value};
use zeroize::Zeroize;

/// What a connector's callback answers: one of the `VAULT_CONNECTOR_` numbers. Any other number counts as `VAULT_CONNECTOR_UNKNOWN`. The
/// vault decides by it what to do next, so it must be true.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_connector_answer_t = i32;

/// It is done.
pub const VAULT_CONNECTOR_OK: vault_connector_answer_t = 0;
/// The target answered no, and did nothing.
pub const VAULT_CONNECTOR_REFUSED: vault_connector_answer_t = 1;
/// The target refused the credential that it was asked with.
pub const VAULT_CONNECTOR_UNAUTHENTICATED: vault_connector_answer_t = 2;
/// The target was not reached: nothing was asked of it.
pub const VAULT_CONNECTOR_UNREACHABLE: vault_connector_answer_t = 3;
/// The target may have done it or not: the answer was lost, or did not come in time.
pub const VAULT_CONNECTOR_UNKNOWN: vault_connector_answer_t = 4;
/// The configuration or the statements make no sense to the connector.
pub const VAULT_CONNECTOR_MISCONFIGURED: vault_connector_answer_t = 5;

/// Connectors that the library brings, for `vault_options_t.databases`, added together: PostgreSQL (`postgresql-database-plugin`).
pub const VAULT_DATABASE_POSTGRESQL: u32 = 1;
/// MariaDB and MySQL (`mysql-database-plugin`).
pub const VAULT_DATABASE_MYSQL: u32 = 2;
/// Redis (`redis-database-plugin`).
pub const VAULT_DATABASE_REDIS: u32 = 4;

/// A connection to a target system, as it was configured. Borrowed for the call that is given it; all texts are NUL-terminated UTF-8.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_target_t {
    /// 16 bytes that stay while the configuration does, and are never given again: connection pools may be kept by them.
    pub id: *const u8,
    /// The configuration as it was written, a JSON object without secrets.
    pub config_json: *const c_char,
    /// The account by which the vault manages the others.
    pub username: *const c_char,
    /// Its password. Wiped after the call.
    pub password: *const c_char,
    /// What else of the configuration is secret: a JSON object of texts. Wiped after the call.
    pub secrets_json: *const c_char,
}

/// An account at a target, and what is asked of it. Borrowed for the call that is given it; all texts are NUL-terminated UTF-8.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_account_t {
    /// Its name at the target.
    pub username: *const c_char,
    /// For `create` and `set_password`, the password that it gets; for `test`, that which it is to log in with; else NULL. Wiped after the call.
    pub password: *const c_char,
    /// For `create` and `renew`, when it ends, in milliseconds since the Unix epoch; 0 for never.
    pub expires_ms: u64,
    /// What the role says is to be done, a JSON array of texts with `{{name}}`, `{{password}}` and `{{expiration}}` in them; empty where the
    /// connector's own way is wanted.
    pub statements_json: *const c_char,
    /// For `create`, what undoes a creation that failed half way, a JSON array of texts; else an empty one.
    pub rollback_json: *const c_char,
    /// Where the callback may write why it failed, NUL-terminated UTF-8; shown to operators and logged, so it must hold no secret.
    pub message: *mut c_char,
    /// How many bytes there are for it.
    pub message_capacity: usize,
}

/// One duty of a connector.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_connector_fn = Option<
    unsafe extern "C" fn(user: *mut c_void, target: *const vault_target_t, account: *const vault_account_t) -> vault_connector_answer_t,
>;

/// Makes, renews and removes accounts at a target system. Each duty can be asked more than once, after a crash or a lost answer, and must then
/// end in the same state: an account that is there already is made to be as asked, one that is gone already counts as revoked.
///
/// The callbacks are called from several threads at once, under no lock of the vault. The request that caused a call waits for it, so they bound
/// their waiting (some seconds). They may call the vault back. They must not unwind or longjmp out.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_connector_t {
    /// What kind of target it serves, as `plugin_name` of a configuration says it: NUL-terminated UTF-8, from 1 to 128 bytes. Copied.
    pub name: *const c_char,
    /// Given to the callbacks as it is.
    pub user: *mut c_void,
    /// Looks at a configuration; where `verify` is 1 it connects and logs in with it, else `verify` is 0. `account` is for the message alone.
    pub check: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            target: *const vault_target_t,
            account: *const vault_account_t,
            verify: i32,
        ) -> vault_connector_answer_t,
    >,
    /// Makes an account.
    pub create: vault_connector_fn,
    /// Puts off an account's end, where the target has one; else nothing is to be done.
    pub renew: vault_connector_fn,
    /// Removes an account and ends its sessions.
    pub revoke: vault_connector_fn,
    /// Gives an account that is there a new password.
    pub set_password: vault_connector_fn,
    /// Logs in with an account, on a connection of its own, and out again. `VAULT_CONNECTOR_UNAUTHENTICATED` when the target refuses it.
    pub test: vault_connector_fn,
    /// Lets go of what is held for the target of that id; may be NULL.
    pub forget: Option<unsafe extern "C" fn(user: *mut c_void, id: *const u8)>,
}

const CONNECTORS_MAX: usize = 16;
const MESSAGE_BYTES: usize = 512;

/// A connector of the host's, as core calls it.
pub(crate) struct HostConnector {
    name: String,
    callbacks: vault_connector_t,
}

// SAFETY: the host promises that its callbacks may be called from any thread with this `user`.
unsafe impl Send for HostConnector {}
// SAFETY: as above.
unsafe impl Sync for HostConnector {}

/// What is asked of an account.
#[derive(Default)]
struct Asked<'a> {
    username: &'a str,
    password: Option<&'a SecretString>,
    expires: Option<Timestamp>,
    statements: &'a [String],
    rollback: &'a [String],
}

/// Text for C that is wiped when it goes.
struct Text(CString);

impl Text {
    fn of(text: &str) -> std::result::Result<Self, ConnectorError> {
        let nul = |_| ConnectorError::new(ConnectorFailure::Misconfigured, "a name, a password or a statement holds a NUL");
        CString::new(text).map(Text).map_err(nul)
    }

    fn json(value: Value) -> std::result::Result<Self, ConnectorError> {
        let json = value.to_json();
        Self::of(std::str::from_utf8(&json).unwrap_or_default())
    }

    fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr()
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        std::mem::take(&mut self.0).into_bytes_with_nul().zeroize();
    }
}

impl HostConnector {
    /// # Safety
    /// `connectors` is NULL, or points to `count` connectors as their description says.
    pub(crate) unsafe fn read_all(connectors: *const vault_connector_t, count: usize) -> Result<Vec<Self>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if connectors.is_null() || count > CONNECTORS_MAX {
            return Err(bad_argument("connectors is NULL, or there are more than 16 of them"));
        }
        // SAFETY: not NULL, so as the caller promises.
        let connectors = unsafe { std::slice::from_raw_parts(connectors, count) };
        let read = |callbacks: &vault_connector_t| {
            let duties = [callbacks.create, callbacks.renew, callbacks.revoke, callbacks.set_password, callbacks.test];
            if callbacks.check.is_none() || duties.iter().any(Option::is_none) {
                return Err(bad_argument("a callback of connectors is NULL: only forget may be"));
            }
            // SAFETY: as the caller promises.
            let name = unsafe { input::text(callbacks.name, "connectors.name", NAME_BYTES_MAX) }?.to_owned();
            Ok(HostConnector { name, callbacks: *callbacks })
        };
        connectors.iter().map(read).collect()
    }

    /// Lays out what is asked for C, asks, and reads the answer.
    fn ask(
        &self,
        target: &Target<'_>,
        asked: &Asked<'_>,
        call: impl FnOnce(*mut c_void, *const vault_target_t, *const vault_account_t) -> vault_connector_answer_t,
    ) -> std::result::Result<(), ConnectorError> {
        let secrets: Object = target.secrets.iter().map(|(name, secret)| (name.as_str(), Value::string(secret.expose()))).collect();
        let texts = [
            Text::json(target.config.clone())?,
            Text::of(target.username)?,
            Text::of(target.password.expose())?,
            Text::json(secrets.into())?,
        ];
        let [config, username, password, secrets] = &texts;
        let given = vault_target_t {
            id: target.id.as_ptr(),
            config_json: config.as_ptr(),
            username: username.as_ptr(),
            password: password.as_ptr(),
            secrets_json: secrets.as_ptr(),
        };
        let name = Text::of(asked.username)?;
        let secret = asked.password.map(|password| Text::of(password.expose())).transpose()?;
        let [statements, rollback] = [asked.statements, asked.rollback].map(|list| Text::json(list.to_vec().into()));
        let (statements, rollback) = (statements?, rollback?);
        let mut message = vec![0_u8; MESSAGE_BYTES];
        let account = vault_account_t {
            username: name.as_ptr(),
            password: secret.as_ref().map_or(ptr::null(), Text::as_ptr),
            expires_ms: asked.expires.map_or(0, Timestamp::as_millis),
            statements_json: statements.as_ptr(),
            rollback_json: rollback.as_ptr(),
            message: message.as_mut_ptr().cast(),
            message_capacity: message.len(),
        };
        let answer = call(self.callbacks.user, &raw const given, &raw const account);
        let failure = match answer {
            VAULT_CONNECTOR_OK => return Ok(()),
            VAULT_CONNECTOR_REFUSED => ConnectorFailure::Refused,
            VAULT_CONNECTOR_UNAUTHENTICATED => ConnectorFailure::Unauthenticated,
            VAULT_CONNECTOR_UNREACHABLE => ConnectorFailure::Unreachable,
            VAULT_CONNECTOR_MISCONFIGURED => ConnectorFailure::Misconfigured,
            _ => ConnectorFailure::Unknown,
        };
        let len = message.iter().position(|byte| *byte == 0).unwrap_or(message.len());
        let why = String::from_utf8_lossy(&message[..len]).into_owned();
        Err(ConnectorError::new(failure, if why.is_empty() { format!("the connector answered {answer}") } else { why }))
    }

    fn duty(&self, duty: vault_connector_fn, target: &Target<'_>, asked: &Asked<'_>) -> std::result::Result<(), ConnectorError> {
        let call = duty.ok_or_else(|| ConnectorError::new(ConnectorFailure::Misconfigured, "the connector has no such callback"))?;
        // SAFETY: the structs and their texts live for the call; the callback is the host's promise.
        self.ask(target, asked, |user, target, account| unsafe { call(user, target, account) })
    }
}

impl Connector for HostConnector {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, target: &Target<'_>, verify: bool) -> std::result::Result<(), ConnectorError> {
        let missing = || ConnectorError::new(ConnectorFailure::Misconfigured, "the connector has no check");
        let check = self.callbacks.check.ok_or_else(missing)?;
        // SAFETY: the structs and their texts live for the call; the callback is the host's promise.
        self.ask(target, &Asked::default(), |user, target, account| unsafe { check(user, target, account, verify.into()) })
    }

    fn create(&self, target: &Target<'_>, new: &NewAccount<'_>) -> std::result::Result<(), ConnectorError> {
        let asked = Asked {
            username: new.account.username,
            password: Some(new.password),
            expires: new.expires,
            statements: new.account.statements,
            rollback: new.rollback,
        };
        self.duty(self.callbacks.create, target, &asked)
    }

    fn renew(&self, target: &Target<'_>, account: &Account<'_>, expires: Timestamp) -> std::result::Result<(), ConnectorError> {
        let asked = Asked { expires: Some(expires), ..Asked::of(account) };
        self.duty(self.callbacks.renew, target, &asked)
    }

    fn revoke(&self, target: &Target<'_>, account: &Account<'_>) -> std::result::Result<(), ConnectorError> {
        self.duty(self.callbacks.revoke, target, &Asked::of(account))
    }

    fn set_password(&self, target: &Target<'_>, account: &Account<'_>, password: &SecretString) -> std::result::Result<(), ConnectorError> {
        let asked = Asked { password: Some(password), ..Asked::of(account) };
        self.duty(self.callbacks.set_password, target, &asked)
    }

    fn test(&self, target: &Target<'_>, username: &str, password: &SecretString) -> std::result::Result<(), ConnectorError> {
        let asked = Asked { username, password: Some(password), ..Asked::default() };
        self.duty(self.callbacks.test, target, &asked)
    }

    fn forget(&self, id: &[u8; 16]) {
        if let Some(forget) = self.callbacks.forget {
            // SAFETY: the id lives for the call; the callback is the host's promise.
            unsafe { forget(self.callbacks.user, id.as_ptr()) }
        }
    }
}

impl<'a> Asked<'a> {
    fn of(account: &Account<'a>) -> Self {
        Asked { username: account.username, statements: account.statements, ..Asked::default() }
    }
}

/// The connectors that the library brings, of the numbers added together.
pub(crate) fn databases(numbers: u32) -> Result<Vec<Arc<dyn Connector>>> {
    if numbers & !(VAULT_DATABASE_POSTGRESQL | VAULT_DATABASE_MYSQL | VAULT_DATABASE_REDIS) != 0 {
        return Err(bad_argument("options.databases has a number that is none of the VAULT_DATABASE_ ones"));
    }
    let mut connectors: Vec<Arc<dyn Connector>> = Vec::new();
    if numbers & VAULT_DATABASE_POSTGRESQL != 0 {
        connectors.push(Arc::new(vault_connectors::postgres::Postgres::new()));
    }
    if numbers & VAULT_DATABASE_MYSQL != 0 {
        connectors.push(Arc::new(vault_connectors::mysql::Mysql::new()));
    }
    if numbers & VAULT_DATABASE_REDIS != 0 {
        connectors.push(Arc::new(vault_connectors::redis::Redis::new()));
    }
    Ok(connectors)
}

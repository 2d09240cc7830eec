//! A connector: what makes, changes and removes accounts at a target system, so that the vault can hand them out.

use crate::types::{SecretString, Timestamp, Value};

/// What went wrong at a target. It decides what the vault does next, so it must be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectorFailure {
    /// The target answered no, and did nothing: a wrong statement, an account that may not do this.
    Refused,
    /// The target refused the credential that it was asked with.
    Unauthenticated,
    /// The target was not reached: nothing was asked of it.
    Unreachable,
    /// The target may have done it or not: the answer was lost, or did not come in time.
    Unknown,
    /// What the connector was given makes no sense to it: a configuration or statements that need to be changed.
    Misconfigured,
}

impl ConnectorFailure {
    /// The failure's name, as C and Python spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ConnectorFailure::Refused => "refused",
            ConnectorFailure::Unauthenticated => "unauthenticated",
            ConnectorFailure::Unreachable => "unreachable",
            ConnectorFailure::Unknown => "unknown",
            ConnectorFailure::Misconfigured => "misconfigured",
        }
    }

    /// Whether the target may have done what was asked.
    #[must_use]
    pub const fn may_be_done(self) -> bool {
        matches!(self, ConnectorFailure::Unknown)
    }
}

/// A connector could not do what it was asked. The text is shown to operators and written to the audit log: it must hold no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {message}", failure.name())]
pub struct ConnectorError {
    failure: ConnectorFailure,
    message: String,
}

impl ConnectorError {
    /// An error with what went wrong.
    #[must_use]
    pub fn new(failure: ConnectorFailure, message: impl Into<String>) -> Self {
        ConnectorError { failure, message: message.into() }
    }

    /// What went wrong.
    #[must_use]
    pub fn failure(&self) -> ConnectorFailure {
        self.failure
    }
}

/// A connection to a target system, as it was configured (`database/config/NAME`).
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Stays while the connection's configuration does, and is never given again: connection pools may be kept by it.
    pub id: [u8; 16],
    /// The configuration as it was written: an object with `connection_url`, `username` and whatever else the connector knows; without secrets.
    pub config: &'a Value,
    /// The account by which the vault manages the others.
    pub username: &'a str,
    /// Its password.
    pub password: &'a SecretString,
    /// What of the configuration is secret beside the password (a private key for TLS), each by its name.
    pub secrets: &'a [(String, SecretString)],
}

/// An account at a target.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// Its name there.
    pub username: &'a str,
    /// What the role says is to be done, in the target's own language, with `{{name}}`, `{{password}}` and `{{expiration}}` in it; empty where
    /// the connector's own way is wanted.
    pub statements: &'a [String],
}

/// An account that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewAccount<'a> {
    /// Its name, and the statements that make it.
    pub account: Account<'a>,
    /// Its password.
    pub password: &'a SecretString,
    /// When it is to end, where the target can see to that itself.
    pub expires: Option<Timestamp>,
    /// What undoes a creation that failed half way.
    pub rollback: &'a [String],
}

/// Does at target systems what the vault asks.
///
/// Each duty can be asked more than once, after a crash or a lost answer, and must then end in the same state: an account that is there
/// already is made to be as asked, one that is gone already counts as revoked. Calls come from several threads at once, under no lock of the
/// vault; the request that caused one waits for it, so an implementation bounds its waiting (some seconds) and then answers
/// [`ConnectorFailure::Unknown`] or [`ConnectorFailure::Unreachable`]. Names and passwords come from the vault's own templates and policies:
/// an implementation still treats them as data, never as part of a statement's text that could end it.
pub trait Connector: Send + Sync {
    /// What kind of target it serves, as `plugin_name` of a configuration says it: from 1 to 128 bytes, for good.
    fn name(&self) -> &str;

    /// Looks at a configuration, and where `verify` is set connects and logs in with it.
    ///
    /// # Errors
    /// [`ConnectorError`] when it cannot be used.
    fn check(&self, target: &Target<'_>, verify: bool) -> Result<(), ConnectorError>;

    /// Makes an account.
    ///
    /// # Errors
    /// [`ConnectorError`] when it was not made, or may not have been.
    fn create(&self, target: &Target<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError>;

    /// Puts off an account's end, where the target has one; else nothing is to be done.
    ///
    /// # Errors
    /// [`ConnectorError`] when the target's end stands as it was.
    fn renew(&self, target: &Target<'_>, account: &Account<'_>, expires: Timestamp) -> Result<(), ConnectorError>;

    /// Removes an account and ends its sessions. One that is not there is removed.
    ///
    /// # Errors
    /// [`ConnectorError`] when it may still be there.
    fn revoke(&self, target: &Target<'_>, account: &Account<'_>) -> Result<(), ConnectorError>;

    /// Gives an account that is there a new password.
    ///
    /// # Errors
    /// [`ConnectorError`]; whether the password was set is then said by its kind.
    fn set_password(&self, target: &Target<'_>, account: &Account<'_>, password: &SecretString) -> Result<(), ConnectorError>;

    /// Logs in with an account, on a connection of its own, and out again.
    ///
    /// # Errors
    /// [`ConnectorFailure::Unauthenticated`] when the target refuses the credential, another when that could not be found out.
    fn test(&self, target: &Target<'_>, username: &str, password: &SecretString) -> Result<(), ConnectorError>;

    /// Lets go of what is held for a target, its configuration being changed or gone.
    fn forget(&self, id: &[u8; 16]);
}

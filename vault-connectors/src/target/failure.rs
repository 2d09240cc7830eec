//! Errors by what is known of the target, each with its kind.

use vault_core::host::{ConnectorError, ConnectorFailure};

/// An error's text without its kind, for one in which it is to stand: the kind stands in front of the whole again.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) fn without_kind(error: &ConnectorError) -> String {
    let told = error.to_string();
    told.split_once(": ").map_or(told.clone(), |(_, text)| text.to_owned())
}

/// The target said no, and did nothing.
pub(crate) fn refused(message: impl Into<String>) -> ConnectorError {
    ConnectorError::new(ConnectorFailure::Refused, message)
}

/// The target did not take the credential.
pub(crate) fn unauthenticated(message: impl Into<String>) -> ConnectorError {
    ConnectorError::new(ConnectorFailure::Unauthenticated, message)
}

/// Nothing was asked of the target.
pub(crate) fn unreachable(message: impl Into<String>) -> ConnectorError {
    ConnectorError::new(ConnectorFailure::Unreachable, message)
}

/// The target may have done it.
pub(crate) fn unknown(message: impl Into<String>) -> ConnectorError {
    ConnectorError::new(ConnectorFailure::Unknown, message)
}

/// The configuration or the statements need to be changed.
pub(crate) fn misconfigured(message: impl Into<String>) -> ConnectorError {
    ConnectorError::new(ConnectorFailure::Misconfigured, message)
}

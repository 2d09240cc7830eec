//! Errors by what is known of the target, each with its kind.

use vault_core::host::{ConnectorError, ConnectorFailure};

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

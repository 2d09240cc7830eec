//! The error of the public face: a stable code, messages that never hold a secret or a path, and data where there is some.

use super::{Class, Code, Value};
use std::fmt;

/// A failed request, or a failure to create, open or unseal a vault.
///
/// Messages say what is wrong and what to do. They hold no secret, no token and no path.
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Clone)]
struct Parts {
    code: Code,
    messages: Vec<String>,
    data: Option<Value>,
}

/// A result with the public [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with one message.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error(Box::new(Parts { code, messages: vec![message.into()], data: None }))
    }

    /// The one answer to a token that is missing, bad or not allowed.
    #[must_use]
    pub fn permission_denied() -> Self {
        Error::new(Code::PermissionDenied, "permission denied")
    }

    /// The same error with data, such as the metadata of a deleted version.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.0.data = Some(data);
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The class of the code.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.code.class()
    }

    /// What is wrong and what to do, at least one line.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.0.messages
    }

    /// What came with the error: for a deleted version its metadata.
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        self.0.data.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.messages.join("; "))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code)
            .field("messages", &self.0.messages)
            .field("data", &self.0.data.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

impl std::error::Error for Error {}

//! A logical request: what is asked, of which path, with what data, by whom.

use super::{NamespacePath, Path, SecretString, Ttl, Value};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Read what is at the path.
    Read,
    /// List the names below the path.
    List,
    /// Create or replace what is at the path.
    Write,
    /// Change part of what is at the path.
    Patch,
    /// Delete what is at the path.
    Delete,
}

impl Operation {
    /// The operation's name: `read`, `list`, `write`, `patch` or `delete`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Read => "read",
            Operation::List => "list",
            Operation::Write => "write",
            Operation::Patch => "patch",
            Operation::Delete => "delete",
        }
    }

    /// The operation of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Operation::Read, Operation::List, Operation::Write, Operation::Patch, Operation::Delete].into_iter().find(|op| op.name() == name)
    }
}

/// What the host knows about a request beside what is asked; it goes into the audit record.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The host's own request id, for correlation; at most 128 bytes.
    pub correlation_id: Option<String>,
    /// Where the request came from, as the host knows it.
    pub remote_address: Option<String>,
}

/// A logical request. Build it with [`Request::new`] and the `with_` methods.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub operation: Operation,
    /// In which namespace.
    pub namespace: NamespacePath,
    /// Of which path: relative to the namespace, or into one below it by its name.
    pub path: Path,
    /// With what data: a JSON object, or nothing.
    pub data: Option<Value>,
    /// By whom.
    pub token: Option<SecretString>,
    /// What the host knows beside that.
    pub context: Context,
    /// For how long the reply is to be kept behind a wrapping token, which is all that comes back; `None` and zero for a plain reply.
    pub wrap_ttl: Option<Ttl>,
}

impl Request {
    /// A request without data and without token.
    #[must_use]
    pub fn new(operation: Operation, path: Path) -> Self {
        Request { operation, namespace: NamespacePath::ROOT, path, data: None, token: None, context: Context::default(), wrap_ttl: None }
    }

    /// The request in a namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: NamespacePath) -> Self {
        self.namespace = namespace;
        self
    }

    /// The request with data.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The request whose reply is wrapped for so long.
    #[must_use]
    pub fn with_wrap_ttl(mut self, ttl: Ttl) -> Self {
        self.wrap_ttl = Some(ttl);
        self
    }

    /// The request with a token.
    #[must_use]
    pub fn with_token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }
}

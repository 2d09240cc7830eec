//! A session: one token's requests, and the typed faces over them.

use super::{Audit, Backup, Kv, Leases, Policies, Rotation, Tokens, Vault, Wrapping};
use crate::pipeline::{Caller, Reply};
use crate::types::{Context, NamespacePath, Operation, Path, Request, Response, Result, SecretString, Value};
use std::fmt;
use std::sync::Arc;

/// The requests of one token. Cheap to clone, safe to share between threads.
///
/// The token is looked at with each request: one that is bad, expired or revoked answers `PermissionDenied` from then on.
#[derive(Clone)]
pub struct Session {
    vault: Vault,
    caller: Arc<Caller>,
    namespace: NamespacePath,
}

impl Session {
    pub(super) fn new(vault: Vault, token: SecretString) -> Self {
        Session { vault, caller: Arc::new(Caller::new(token)), namespace: NamespacePath::ROOT }
    }

    /// The same token's requests in a namespace below this session's own, such as `team-a`: all its paths are relative to that one, and
    /// lead nowhere else. Whether the namespace is there is looked at with each request.
    ///
    /// # Errors
    /// `InvalidPath` when this can be no namespace's path.
    pub fn namespace(&self, path: &str) -> Result<Session> {
        let namespace = self.namespace.join(&NamespacePath::parse(path)?);
        Ok(Session { namespace, ..self.clone() })
    }

    /// Carries out a request under this session's token, its namespace being relative to the session's; a token in the request itself is
    /// not looked at.
    pub fn handle(&self, mut request: Request) -> Reply {
        if !self.namespace.is_root() {
            request.namespace = self.namespace.join(&request.namespace);
        }
        self.vault.handle_for(&self.caller, request)
    }

    /// Carries out a request.
    ///
    /// # Errors
    /// Any class; see [`crate::types::Class`].
    pub fn request(&self, operation: Operation, path: &str, data: Option<Value>) -> Result<Response> {
        self.request_with(operation, path, data, Context::default())
    }

    /// Carries out a request of which the host knows more.
    ///
    /// # Errors
    /// Any class; see [`crate::types::Class`].
    pub fn request_with(&self, operation: Operation, path: &str, data: Option<Value>, context: Context) -> Result<Response> {
        let path = Path::parse(path)?;
        self.handle(Request { data, context, ..Request::new(operation, path) }).into_result()
    }

    /// Backups of the vault.
    #[must_use]
    pub fn backup(&self) -> Backup<'_> {
        Backup::new(self)
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The KV version 2 secrets engine that is mounted at `mount`, such as `secret`.
    #[must_use]
    pub fn kv(&self, mount: &str) -> Kv<'_> {
        Kv::new(self, mount)
    }

    /// The policies.
    #[must_use]
    pub fn policies(&self) -> Policies<'_> {
        Policies::new(self)
    }

    /// The tokens.
    #[must_use]
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens::new(self)
    }

    /// Replies that are kept behind a token, and what such tokens hold.
    #[must_use]
    pub fn wrapping(&self) -> Wrapping<'_> {
        Wrapping::new(self)
    }

    /// The leases of the session's namespace.
    #[must_use]
    pub fn leases(&self) -> Leases<'_> {
        Leases::new(self)
    }

    /// The static roles of the session's namespace, and their rotations.
    #[must_use]
    pub fn rotation(&self) -> Rotation<'_> {
        Rotation::new(self)
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> Audit<'_> {
        Audit::new(self)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

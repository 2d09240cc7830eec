//! A session: one token's requests, and the typed faces over them.

use super::{Audit, Backup, Emergency, Kv, Leases, LiveSecret, Policies, Rotation, Tokens, Vault, Wrapping};
use crate::pipeline::{Caller, Footing, Reply};
use crate::types::{Context, NamespacePath, Operation, Path, Request, Response, Result, SecretString, Value};
use std::fmt;
use std::sync::Arc;

/// The requests of one token. Cheap to clone, safe to share between threads.
///
/// The token is looked at with each request: one that is bad, expired or revoked answers `PermissionDenied` from then on.
///
/// ```
/// use vault_core::types::{Context, Object, Operation};
/// # use vault_core::Vault;
/// # let (vault, init) = Vault::in_memory()?;
/// # let session = vault.session(init.root_token);
/// // Typed faces for what most programs need, and requests by path for all that there is.
/// session.kv("secret").put("app/db", Object::new().with("password", "x"))?;
/// let reply = session.request(Operation::Read, "secret/data/app/db", None)?;
/// assert!(reply.data.is_some_and(|data| data.get("metadata").is_some()));
///
/// // What the host knows of a request goes into its audit record.
/// let context = Context { correlation_id: Some("order-7".into()), remote_address: Some("192.0.2.7".into()) };
/// session.request_with(Operation::List, "secret/metadata/", None, context)?;
/// # Ok::<(), vault_core::types::Error>(())
/// ```
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
    pub fn handle(&self, request: Request) -> Reply {
        self.vault.handle_for(&self.caller, self.placed(request))
    }

    /// The request, its namespace being relative to the session's.
    fn placed(&self, mut request: Request) -> Request {
        if !self.namespace.is_root() {
            request.namespace = self.namespace.join(&request.namespace);
        }
        request
    }

    /// Carries out a read whose caller wants to know when its answer changes; what that stands on is `None` where this cannot be told.
    pub(super) fn watched(&self, request: Request) -> Result<(Response, Option<Arc<Footing>>)> {
        let caller = self.caller.watching();
        let response = self.vault.handle_for(&caller, self.placed(request)).into_result()?;
        Ok((response, caller.into_footing()))
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
        self.request_at(operation, Path::parse(path)?, data, context)
    }

    pub(super) fn request_at(&self, operation: Operation, path: Path, data: Option<Value>, context: Context) -> Result<Response> {
        self.handle(Request { data, context, ..Request::new(operation, path) }).into_result()
    }

    /// A secret at a path of an engine, such as `secret/data/app/db` or `kv1/app`, that stays current: its members are those of the answer's
    /// data. For a KV version 2 secret [`Kv::live`] gives the secret's own. It is read at its first use, not now.
    ///
    /// # Errors
    /// `InvalidPath` when this can be no path.
    pub fn live(&self, path: &str) -> Result<LiveSecret> {
        Ok(LiveSecret::new(self.clone(), Path::parse(path)?, None))
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

    /// What is done when a credential is out.
    #[must_use]
    pub fn emergency(&self) -> Emergency<'_> {
        Emergency::new(self)
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

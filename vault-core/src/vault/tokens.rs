//! The typed face of `auth/token`.

use super::Session;
use crate::types::{Auth, Code, Error, Object, Operation, Response, Result, TokenType, Ttl, Value};
use std::collections::BTreeMap;

/// The tokens of the vault.
///
/// ```
/// use vault_core::TokenOptions;
/// use vault_core::types::Ttl;
/// # use vault_core::Vault;
/// # let (vault, init) = Vault::in_memory()?;
/// # let session = vault.session(init.root_token);
/// session.policies().write("app", r#"path "secret/data/app" { capabilities = ["read"] }"#)?;
/// let options = TokenOptions { policies: vec!["app".into()], ttl: Some(Ttl::from_secs(3600)), ..TokenOptions::default() };
/// let auth = session.tokens().create(options)?;
///
/// // The program has the token, the operator its accessor, by which it can be looked at, renewed and revoked but not used.
/// let app = vault.session(auth.client_token);
/// assert_eq!(app.tokens().lookup_self()?.policies, ["app", "default"]);
/// session.tokens().renew_accessor(&auth.accessor, Some(Ttl::from_secs(7200)))?;
/// session.tokens().revoke_accessor(&auth.accessor)?;
/// assert!(app.tokens().lookup_self().is_err());
/// # Ok::<(), vault_core::types::Error>(())
/// ```
#[derive(Debug)]
pub struct Tokens<'s> {
    session: &'s Session,
}

/// What a new token is to be. More is added over time: begin with `TokenOptions::default()`.
#[derive(Clone, Debug, Default)]
pub struct TokenOptions {
    /// Its policies; when there are none, those of the token that makes it, or of the role.
    pub policies: Vec<String>,
    /// How long it lasts; 768 hours when not given.
    pub ttl: Option<Ttl>,
    /// How long it lasts at most, renewals included.
    pub explicit_max_ttl: Option<Ttl>,
    /// What each renewal resets its time to. Needs `sudo`, or a role.
    pub period: Option<Ttl>,
    /// How often it may be used; zero for without limit.
    pub num_uses: u64,
    /// Its kind; when not given a service token, or what the role says.
    pub token_type: Option<TokenType>,
    /// Whether it cannot be renewed.
    pub not_renewable: bool,
    /// Its name in the audit log.
    pub display_name: Option<String>,
    /// What else is to be said of it, in the audit log and at look-up.
    pub metadata: BTreeMap<String, String>,
    /// Leave out the policy `default`.
    pub no_default_policy: bool,
    /// It is not revoked with the token that makes it. Needs `sudo`; [`Tokens::create_orphan`] does not.
    pub no_parent: bool,
    /// The alias of the entity that it is to be of. Needs a role that allows it: [`Tokens::create_with_role`].
    pub entity_alias: Option<String>,
    /// The token is lost, with its children and leases, when it is not used for so long (at least a minute): any request that it makes counts.
    pub deadman_period: Option<Ttl>,
}

/// What is known of a token without the token itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TokenInfo {
    /// Its accessor; empty for a batch token.
    pub accessor: String,
    /// Its policies.
    pub policies: Vec<String>,
    /// Its name in the audit log.
    pub display_name: String,
    /// What is left of its time; zero when it does not expire.
    pub ttl: Ttl,
    /// When it ends (RFC 3339), if it does.
    pub expire_time: Option<String>,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Whether it has no parent to be revoked with.
    pub orphan: bool,
    /// How often it may still be used; zero when without limit.
    pub num_uses: u64,
    /// The id of the entity that it is of; empty when of none.
    pub entity_id: String,
    /// Its kind.
    pub token_type: TokenType,
}

impl TokenOptions {
    fn into_body(self) -> Object {
        let mut body = Object::new();
        if !self.policies.is_empty() {
            body.insert("policies", self.policies);
        }
        let deadman = ("deadman_period", self.deadman_period);
        for (name, ttl) in [("ttl", self.ttl), ("explicit_max_ttl", self.explicit_max_ttl), ("period", self.period), deadman] {
            if let Some(ttl) = ttl {
                body.insert(name, ttl.as_secs());
            }
        }
        if self.num_uses > 0 {
            body.insert("num_uses", self.num_uses);
        }
        if let Some(kind) = self.token_type {
            body.insert("type", kind.name());
        }
        for (name, text) in [("display_name", self.display_name), ("entity_alias", self.entity_alias)] {
            if let Some(text) = text {
                body.insert(name, text);
            }
        }
        if !self.metadata.is_empty() {
            let meta = self.metadata.iter().map(|(name, text)| (name.as_str(), Value::string(text.as_str())));
            body.insert("meta", meta.collect::<Object>());
        }
        for (name, truth) in [("no_default_policy", self.no_default_policy), ("no_parent", self.no_parent)] {
            if truth {
                body.insert(name, true);
            }
        }
        if self.not_renewable {
            body.insert("renewable", false);
        }
        body
    }
}

impl<'s> Tokens<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Tokens { session }
    }

    /// Makes a token, a child of this session's. It is revoked with its parent.
    ///
    /// # Errors
    /// `InvalidRequest` when it would hold a policy that this session's token does not.
    pub fn create(&self, options: TokenOptions) -> Result<Auth> {
        self.made("create", options)
    }

    /// Makes a token that is nobody's child.
    ///
    /// # Errors
    /// As [`Tokens::create`].
    pub fn create_orphan(&self, options: TokenOptions) -> Result<Auth> {
        self.made("create-orphan", options)
    }

    /// Makes a token by a role (`auth/token/roles/NAME`).
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such role, or it does not allow one of the policies.
    pub fn create_with_role(&self, role: &str, options: TokenOptions) -> Result<Auth> {
        self.made(&format!("create/{role}"), options)
    }

    /// What is known of this session's own token.
    ///
    /// # Errors
    /// `PermissionDenied` when it is no longer valid.
    pub fn lookup_self(&self) -> Result<TokenInfo> {
        self.session.request(Operation::Read, "auth/token/lookup-self", None).map(info_of)
    }

    /// What is known of a token.
    ///
    /// # Errors
    /// `PermissionDenied` when this session may not ask, or the token is none.
    pub fn lookup(&self, token: &str) -> Result<TokenInfo> {
        self.write("lookup", Object::new().with("token", token)).map(info_of)
    }

    /// What is known of the token that an accessor names.
    ///
    /// # Errors
    /// `InvalidRequest` when it names none.
    pub fn lookup_accessor(&self, accessor: &str) -> Result<TokenInfo> {
        self.write("lookup-accessor", Object::new().with("accessor", accessor)).map(info_of)
    }

    /// Renews this session's own token for `increment` from now on, or as long as it was granted at first.
    ///
    /// # Errors
    /// `InvalidRequest` when it is not renewable.
    pub fn renew_self(&self, increment: Option<Ttl>) -> Result<Auth> {
        self.renewed("renew-self", Object::new(), increment)
    }

    /// Renews a token.
    ///
    /// # Errors
    /// `InvalidRequest` when it is none, or not renewable.
    pub fn renew(&self, token: &str, increment: Option<Ttl>) -> Result<Auth> {
        self.renewed("renew", Object::new().with("token", token), increment)
    }

    /// Renews the token that an accessor names; the answer does not have the token.
    ///
    /// # Errors
    /// As [`Tokens::renew`].
    pub fn renew_accessor(&self, accessor: &str, increment: Option<Ttl>) -> Result<Auth> {
        self.renewed("renew-accessor", Object::new().with("accessor", accessor), increment)
    }

    /// Revokes this session's own token with all its children.
    ///
    /// # Errors
    /// Any class.
    pub fn revoke_self(&self) -> Result<()> {
        self.write("revoke-self", Object::new()).map(drop)
    }

    /// Revokes a token with all its children. One that is gone already is no error.
    ///
    /// # Errors
    /// `InvalidRequest` for a batch token.
    pub fn revoke(&self, token: &str) -> Result<()> {
        self.write("revoke", Object::new().with("token", token)).map(drop)
    }

    /// Revokes the token that an accessor names, with all its children.
    ///
    /// # Errors
    /// `InvalidRequest` when it names none.
    pub fn revoke_accessor(&self, accessor: &str) -> Result<()> {
        self.write("revoke-accessor", Object::new().with("accessor", accessor)).map(drop)
    }

    /// Revokes a token and lets its children go on. Needs `sudo`.
    ///
    /// # Errors
    /// `InvalidRequest` when it is none, or has more than 10,000 children.
    pub fn revoke_orphan(&self, token: &str) -> Result<()> {
        self.write("revoke-orphan", Object::new().with("token", token)).map(drop)
    }

    /// The accessors of the namespace's tokens: at most `limit` that come after the accessor `after`, in an order of the store's own. Needs `sudo`.
    ///
    /// # Errors
    /// Any class.
    pub fn accessors(&self, after: Option<&str>, limit: u64) -> Result<Vec<String>> {
        let body = Object::new().with("after", after).with("limit", limit);
        let response = self.session.request(Operation::List, "auth/token/accessors", Some(body.into()))?;
        let data = response.data.unwrap_or(Value::Null);
        let keys = data.get("keys").and_then(Value::as_array).unwrap_or_default();
        Ok(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    fn write(&self, verb: &str, body: Object) -> Result<Response> {
        let body = (!body.is_empty()).then(|| body.into());
        self.session.request(Operation::Write, &format!("auth/token/{verb}"), body)
    }

    fn made(&self, verb: &str, options: TokenOptions) -> Result<Auth> {
        self.write(verb, options.into_body())?.auth.ok_or_else(|| Error::new(Code::Internal, "a token was made and not answered"))
    }

    fn renewed(&self, verb: &str, mut body: Object, increment: Option<Ttl>) -> Result<Auth> {
        if let Some(increment) = increment {
            body.insert("increment", increment.as_secs());
        }
        self.write(verb, body)?.auth.ok_or_else(|| Error::new(Code::Internal, "a token was renewed and not answered"))
    }
}

fn info_of(response: Response) -> TokenInfo {
    let data = response.data.unwrap_or(Value::Null);
    let text = |name| data.get(name).and_then(Value::as_str).map(str::to_owned);
    let truth = |name| data.get(name).and_then(Value::as_bool).unwrap_or_default();
    let number = |name| data.get(name).and_then(Value::as_u64).unwrap_or_default();
    let policies = data.get("policies").and_then(Value::as_array).unwrap_or_default();
    TokenInfo {
        accessor: text("accessor").unwrap_or_default(),
        policies: policies.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        display_name: text("display_name").unwrap_or_default(),
        ttl: Ttl::from_secs(number("ttl")),
        expire_time: text("expire_time"),
        renewable: truth("renewable"),
        orphan: truth("orphan"),
        num_uses: number("num_uses"),
        entity_id: text("entity_id").unwrap_or_default(),
        token_type: if text("type").as_deref() == Some("batch") { TokenType::Batch } else { TokenType::Service },
    }
}
